"""What did not go through to a woman is before human eyes within a minute, until it is decided."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import pytest

from bot.bell import OWNER_AGAIN, OWNER_ROUNDS, Bell
from bot.channels.base import Unsent
from bot.handover import Handover
from bot.live import Changes
from bot.storage.handing import UNNOTICED
from bot.storage.records import Case, MessageState, Role, StaffMember
from bot.texts import open_content
from bot.web.switchboard import HOME
from tests.bot.desk import Centre, a_centre
from tests.bot.paper import a_shell
from tests.bot.test_bell import Phones
from tests.bot.web.test_desk_web import Browser, browser

TICK = timedelta(seconds=5)
MINUTE = timedelta(minutes=1)


@dataclass
class Duty:
    """Maria has a case, and her phone is linked."""

    centre: Centre
    maria: StaffMember
    session: str
    phones: Phones
    bell: Bell
    case: Case

    async def says(self, text: str, ends: MessageState, case: Case | None = None) -> str:
        """A reply of hers, and what becomes of it; its id."""
        case = case or self.case
        message = await self.centre.desk.reply(self.maria, case.id, text, text)
        await self.centre.send_all(ends)
        return message.id

    async def passes(self, span: timedelta) -> list[timedelta]:
        """Let time pass; after how long her phone rang. Ticks with nothing due are left out."""
        clock, before = self.centre.clock, len(self.phones.rung)
        begin, end, step = clock.at, clock.at + span, TICK
        while clock.at < end:
            clock.at = min(clock.at + step, end)
            await self.bell.tick()
            open_ = await self.centre.store.open_cases()
            step = max(TICK, min([each.bell_at or end for each in open_], default=end) - clock.at)
        return [at - begin for _, _, at in self.phones.rung[before:]]

    async def mine(self) -> list[tuple[str, int]]:
        """Her list: each case, and how much she has to decide there."""
        return [(each.alias, each.undecided) for each in await self.centre.desk.mine(self.maria)]

    async def another(self, alias: str) -> Case:
        case = await self.centre.woman(alias)
        assert await self.centre.desk.claim(self.maria, case.id)
        await self.centre.send_all()
        return case


@pytest.fixture
async def duty(tmp_path: Path) -> AsyncIterator[Duty]:
    async with a_centre(tmp_path) as centre:
        session = await centre.session_of("maria")
        maria = await centre.store.staff_by_login("maria")
        assert maria is not None
        await centre.store.offer_bell(maria.id, b"code", centre.clock.at + MINUTE)
        await centre.store.link_bell(b"code", "1")
        phones = Phones(centre.clock)
        texts = open_content()[1]
        handover = Handover(centre.store, texts, centre.changes, centre.clock, lambda: None)
        bell = Bell(centre.store, centre.changes, centre.clock, phones, handover)
        case = await centre.woman("река")
        duty = Duty(centre, maria, session, phones, bell, case)
        assert await centre.desk.claim(maria, case.id)
        await centre.send_all()
        yield duty


@pytest.fixture
async def staff(duty: Duty) -> AsyncIterator[Browser]:
    """Somebody of the staff, who answers no women."""
    session = await duty.centre.session_of("ivan", [Role.STAFF])
    async with browser(duty.centre, session) as made:
        yield made


async def test_what_the_platform_refuses_six_times_is_before_human_eyes_within_a_minute(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with a_shell(tmp_path, monkeypatch) as shell:
        case, maria, store = await shell.opens_case(), await shell.consultant(), shell.phen.store
        await shell.phen.desk.claim(maria, case.id)
        await shell.deliver()
        await store.offer_bell(maria.id, b"code", shell.clock() + MINUTE)
        await store.link_bell(b"code", "1")
        phones = Phones(shell.clock)
        bell = Bell(store, Changes(), shell.clock, phones, shell.phen.handover)
        shell.channel.faults = [Unsent()] * 6
        await shell.phen.desk.reply(maria, case.id, "тук съм", "k")
        for attempt in range(6):
            assert (await store.undecided()).count == 0, attempt
            await shell.deliver()
            shell.clock.passes(minutes=8)
        shell.clock.passes(minutes=-8)
        assert (await store.undecided()).count == 1
        assert [each.undecided for each in await shell.phen.desk.mine(maria)] == [1]
        for _ in range(12):
            shell.clock.passes(seconds=5)
            await bell.tick()
        assert [staff_id for _, staff_id, _ in phones.rung] == [maria.id]


@pytest.mark.parametrize("state", [MessageState.UNKNOWN, MessageState.FAILED])
async def test_it_rings_for_who_has_the_case_so_often_and_no_more(
    duty: Duty, state: MessageState
) -> None:
    await duty.says("Чуваш ли ме?", state)
    assert await duty.passes(timedelta(hours=1)) == [
        UNNOTICED + n * OWNER_AGAIN for n in range(OWNER_ROUNDS)
    ]
    assert duty.phones.standing


async def test_who_has_it_before_her_eyes_is_not_rung_and_the_mark_stays(duty: Duty) -> None:
    await duty.says("Чуваш ли ме?", MessageState.UNKNOWN)
    await duty.centre.desk.looked(duty.maria, duty.case.id)
    assert await duty.passes(timedelta(minutes=20)) == []
    assert await duty.mine() == [("река", 1)]


async def test_opening_the_case_takes_the_ring_back_and_the_mark_stays(duty: Duty) -> None:
    await duty.says("Чуваш ли ме?", MessageState.UNKNOWN)
    assert await duty.passes(MINUTE) == [UNNOTICED]
    async with browser(duty.centre, duty.session) as maria:
        await maria.get(f"/desk/case/{duty.case.id}")
    assert await duty.passes(timedelta(minutes=20)) == []
    assert not duty.phones.standing
    assert await duty.mine() == [("река", 1)]


@pytest.mark.parametrize("decision", ["drop", "resend"])
async def test_decided_it_is_quiet_everywhere(duty: Duty, staff: Browser, decision: str) -> None:
    message_id = await duty.says("Чуваш ли ме?", MessageState.FAILED)
    await duty.passes(MINUTE)
    assert duty.phones.standing
    decide = duty.centre.desk.drop if decision == "drop" else duty.centre.desk.resend
    await decide(duty.maria, duty.case.id, message_id)
    assert await duty.passes(timedelta(hours=1)) == []
    assert not duty.phones.standing
    assert await duty.mine() == [("река", 0)]
    await staff.get(HOME)
    assert "Сега нищо не чака решение." in staff.text
    assert await duty.centre.send_all() == (["Чуваш ли ме?"] if decision == "resend" else [])


async def test_what_fails_once_more_rings_once_more(duty: Duty) -> None:
    message_id = await duty.says("Чуваш ли ме?", MessageState.UNKNOWN)
    await duty.passes(timedelta(hours=1))
    await duty.centre.desk.resend(duty.maria, duty.case.id, message_id)
    await duty.centre.send_all(MessageState.FAILED)
    assert await duty.passes(MINUTE) == [UNNOTICED]


async def test_a_message_that_the_platform_took_and_did_not_bring_rings(duty: Duty) -> None:
    message_id = await duty.says("Чуваш ли ме?", MessageState.SENT)
    assert await duty.centre.store.not_delivered(message_id)
    assert await duty.passes(MINUTE) == [UNNOTICED]


async def test_a_send_that_was_cut_off_rings(duty: Duty) -> None:
    await duty.centre.desk.reply(duty.maria, duty.case.id, "Чуваш ли ме?", "k")
    (due,) = await duty.centre.store.due(duty.centre.clock())
    assert await duty.centre.store.take(due.outbox_id, "gone")
    assert await duty.centre.store.recover() == 1
    assert await duty.passes(MINUTE) == [UNNOTICED]


@pytest.mark.parametrize("mend", ["correct", "take_back"])
async def test_what_could_not_be_changed_in_her_chat_rings_until_it_is_seen(
    duty: Duty, mend: str
) -> None:
    desk, store = duty.centre.desk, duty.centre.store
    message_id = await duty.says("Утре в 9.", MessageState.SENT)
    await store.add_handles(duty.case.id, ["41"], message_id)
    if mend == "correct":
        await desk.correct(duty.maria, duty.case.id, message_id, "Утре в 10.")
    else:
        await desk.take_back(duty.maria, duty.case.id, message_id)
    await duty.centre.send_all(MessageState.FAILED)
    assert await duty.passes(MINUTE) == [UNNOTICED]
    await desk.looked(duty.maria, duty.case.id)
    assert await duty.passes(timedelta(hours=1)) == []
    assert not duty.phones.standing
    assert await duty.mine() == [("река", 0)]


async def test_in_her_list_what_she_has_to_decide_about_is_first_and_marked(duty: Duty) -> None:
    await duty.says("Чуваш ли ме?", MessageState.UNKNOWN)
    duty.centre.clock.passes(minutes=1)
    newer = await duty.another("орех")
    await duty.centre.store.add_from_woman(newer.id, "Тук ли си?", "k")
    assert [alias for alias, _ in await duty.mine()] == ["река", "орех"]
    async with browser(duty.centre, duty.session) as maria:
        await maria.get("/desk")
        assert maria.text.count("за решение: 1") == 1
        assert maria.text.index("река") < maria.text.index("за решение: 1")
        await maria.get(f"/desk/case/{duty.case.id}")  # seen, and still to be decided
    assert [alias for alias, _ in await duty.mine()] == ["река", "орех"]


async def test_the_ring_says_nothing_of_it_to_who_has_another_case(duty: Duty) -> None:
    await duty.another("орех")
    rada = await duty.centre.person("rada")
    await duty.centre.store.offer_bell(rada.id, b"other", duty.centre.clock.at + MINUTE)
    await duty.centre.store.link_bell(b"other", "2")
    await duty.says("Чуваш ли ме?", MessageState.UNKNOWN)
    await duty.passes(timedelta(hours=1))
    assert {staff_id for _, staff_id, _ in duty.phones.rung} == {duty.maria.id}


# --- the staff page ----------------------------------------------------------------------------


async def test_staff_see_how_much_waits_for_a_decision_and_nothing_of_it(
    duty: Duty, staff: Browser
) -> None:
    await duty.says("Чуваш ли ме?", MessageState.UNKNOWN)
    duty.centre.clock.passes(minutes=3)
    await staff.get(HOME)
    assert "не е сигурно, че са стигнали: 1. Най-старото е писано преди 3 мин." in staff.text
    assert "Решава консултантката" in staff.text
    assert "никоя не води" not in staff.text
    assert "река" not in staff.text
    assert "Чуваш" not in staff.text


async def test_what_nobody_has_is_on_the_staff_page(duty: Duty, staff: Browser) -> None:
    waiting = await duty.centre.woman("орех")
    await duty.centre.store.add_notice(waiting.id, "Още чакаме.", "n")
    await duty.centre.send_all(MessageState.FAILED)
    await staff.get(HOME)
    assert "От тях 1 са в разговори, които сега никоя не води." in staff.text
    await duty.centre.desk.claim(duty.maria, waiting.id)
    await staff.get(HOME)
    assert "никоя не води" not in staff.text


async def test_what_was_set_aside_stands_there_in_plain_words(duty: Duty, staff: Browser) -> None:
    await staff.get(HOME)
    assert "През последните 7 дни нищо." in staff.text
    await duty.centre.store.set_aside("telegram", "update_set_aside", 2)
    await duty.centre.store.set_aside("conversation", "a_newer_code", 1000)
    duty.centre.clock.passes(hours=2)
    await staff.get(HOME)
    assert "който програмата не може да прочете. Telegram 2 преди 2 ч 0 мин" in staff.text
    assert "Нещо друго. Програмата поне 100 преди" in staff.text
    assert "set_aside" not in staff.text


async def test_an_open_staff_page_asks_for_that_alone_and_is_not_kept_awake_by_it(
    duty: Duty, staff: Browser
) -> None:
    await staff.get(HOME)
    assert f'data-again="{HOME}/wrong"' in staff.page
    await duty.says("Чуваш ли ме?", MessageState.UNKNOWN)
    await staff.get(f"{HOME}/wrong")
    assert "не е сигурно, че са стигнали: 1" in staff.text
    assert "<html" not in staff.page
    for _ in range(20):
        duty.centre.clock.passes(hours=1)
        await staff.get(f"{HOME}/wrong")
    assert staff.status == 401
