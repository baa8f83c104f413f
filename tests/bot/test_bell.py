"""The bell on a real store, under a moved clock; the ringer stands in for the phones."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Callable, Iterable
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path

import pytest

from bot.bell import (
    LATER,
    OWNER_AGAIN,
    OWNER_ROUNDS,
    PAUSE,
    UNREACHED,
    Bell,
    call_round,
    is_new,
)
from bot.handover import UNANSWERED, Handover
from bot.live import Changes
from bot.privacy.vault import Vault
from bot.storage.messages import ANSWER_WITHIN
from bot.storage.records import BellAddress, Case, CaseState, Role, StaffState
from bot.storage.store import Store
from bot.texts import ZONE, open_content
from scheduler.duty import Hours, Shift, Weekly
from tests.sqlite import migrated

MONDAY = date(2026, 11, 23)
TICK = timedelta(seconds=5)
WORK = Hours(time(9), time(17))


def local(day: date, clock: str) -> datetime:
    return datetime.combine(day, time.fromisoformat(clock), ZONE).astimezone(UTC)


class Crash(BaseException):
    """The power went."""


class Phones:
    """The consultants' phones: who was rung for which case and when, and what stands on them."""

    def __init__(self, now: Callable[[], datetime]) -> None:
        self._now = now
        self.rung: list[tuple[str, str, datetime]] = []
        self.standing: dict[str, set[str]] = {}
        self.off: set[str] = set()
        self.fault: BaseException | None = None

    async def ring(self, bells: Iterable[BellAddress], case_id: str) -> frozenset[str]:
        if self.fault is not None:
            raise self.fault
        reached = frozenset(b.staff_id for b in bells if b.address not in self.off)
        for staff_id in sorted(reached):
            self.rung.append((case_id, staff_id, self._now()))
        if reached:
            self.standing.setdefault(case_id, set()).update(reached)
        return reached

    async def quiet(self, case_id: str) -> None:
        self.standing.pop(case_id, None)


@dataclass
class Centre:
    """A store, its people by login, their phones and the bell."""

    file: Path
    vault: Vault
    moment: datetime = field(default_factory=lambda: local(MONDAY, "10:00"))
    people: dict[str, str] = field(default_factory=dict)
    changes: Changes = field(default_factory=Changes)

    def now(self) -> datetime:
        return self.moment

    async def open(self) -> None:
        self.store = await Store.open(f"sqlite:///{self.file}", self.vault, self.now)
        self.phones = Phones(self.now)
        _, texts = open_content()
        self.handover = Handover(self.store, texts, self.changes, self.now, lambda: None)
        self.bell = Bell(self.store, self.changes, self.now, self.phones, self.handover)

    async def restart(self) -> None:
        await self.store.close()
        await self.open()

    async def person(
        self, login: str, *languages: str, phone: bool = True, roles: tuple[Role, ...] = ()
    ) -> str:
        """An active account, with her phone linked; a consultant's unless told otherwise."""
        expires = self.moment + timedelta(days=1)
        given = roles or (Role.CONSULTANT,)
        code = login.encode()
        new = await self.store.add_staff(login, "", given, code, expires, languages or ("bg",))
        assert await self.store.accept_invite(new.id, "hash", "SECRET")
        if phone:
            await self.store.offer_bell(new.id, code, expires)
            assert await self.store.link_bell(code, login)
        self.people[login] = new.id
        return new.id

    async def works(self, login: str, hours: Hours = WORK, days: Iterable[int] = range(7)) -> None:
        who = self.people[login]
        await self.store.set_weekly(who, [Weekly(who, day, hours) for day in days])

    async def asks(self, language: str = "bg", address: str = "1") -> Case:
        """A woman asks for a person."""
        return await self.store.open_case("web", address, language, None, None, f"A {address}")

    async def case(self, case: Case) -> Case:
        found = await self.store.case(case.id)
        assert found is not None
        assert found.state is not CaseState.WAITING or found.bell_at is not None
        return found

    async def rings(self) -> set[str]:
        """Whom the bell rings for at this tick, by login."""
        before = len(self.phones.rung)
        await self.bell.tick()
        names = {staff_id: login for login, staff_id in self.people.items()}
        return {names[staff_id] for _, staff_id, _ in self.phones.rung[before:]}

    async def passes(self, span: timedelta) -> list[tuple[timedelta, set[str]]]:
        """Let time pass; who was rung after how long. Ticks before anything is due are left out."""
        found, begin = [], self.moment
        end, step = begin + span, TICK
        while self.moment < end:
            self.moment = min(self.moment + step, end)
            if whom := await self.rings():
                found.append((self.moment - begin, whom))
            bells = [each.bell_at for each in await self.store.open_cases() if each.bell_at]
            step = max(TICK, min(bells, default=end) - self.moment)
        return found

    async def claims(self, login: str, case: Case) -> None:
        assert await self.store.claim(case.id, self.people[login])

    async def looks(self, case: Case) -> None:
        """Its consultant has it before her eyes."""
        kept = await self.case(case)
        assert kept.claimed_by is not None
        await self.store.looked(case.id, kept.claimed_by)

    async def answers(self, login: str, case: Case) -> None:
        key = f"{self.moment}"
        await self.store.add_reply(case.id, self.people[login], "an answer", key)

    async def writes(self, case: Case, text: str = "words") -> None:
        await self.store.add_from_woman(case.id, text, f"{text}{self.moment}")


@pytest.fixture
async def centre(tmp_path: Path) -> AsyncIterator[Centre]:
    """Three consultants, and it is Monday at ten: maria and elena are on duty, rada is not."""
    file = tmp_path / "phen.db"
    migrated(file)
    centre = Centre(file, Vault.open(tmp_path / "keys" / "master.key", create=True))
    await centre.open()
    await centre.person("maria", "bg")
    await centre.person("elena", "bg", "tr")
    await centre.person("rada", "bg", "tr")
    await centre.works("maria")
    await centre.works("elena")
    await centre.works("rada", Hours(time(18), time(20)))
    yield centre
    await centre.store.close()


# --- whom it rings for, and when ---------------------------------------------------------------


async def test_forty_cases_at_once_ring_a_person_once(centre: Centre) -> None:
    for number in range(40):
        await centre.asks("bg", f"{number}")
    assert await centre.rings() == {"maria", "elena"}
    assert len(centre.phones.rung) == 2
    assert not [case for case in await centre.store.waiting() if case.bell_round != 1]


async def test_it_rings_at_once_for_who_speaks_her_language_then_wider_and_wider(
    centre: Centre,
) -> None:
    await centre.asks("tr")
    assert await centre.rings() == {"elena"}
    assert await centre.passes(timedelta(minutes=40)) == [
        (PAUSE, {"elena"}),
        (2 * PAUSE, {"maria"}),
        (3 * PAUSE, {"maria", "elena", "rada"}),
        (3 * PAUSE + LATER, {"maria", "elena"}),
        (3 * PAUSE + 2 * LATER, {"maria", "elena"}),
    ]


async def test_where_all_on_duty_speak_her_language_nobody_is_left_out_and_no_round_is_lost(
    centre: Centre,
) -> None:
    await centre.asks("bg")
    assert await centre.rings() == {"maria", "elena"}
    assert await centre.passes(timedelta(minutes=8)) == [
        (PAUSE, {"maria", "elena"}),
        (2 * PAUSE, {"maria", "elena", "rada"}),
    ]


async def test_where_nobody_on_duty_speaks_her_language_those_on_duty_are_rung(
    centre: Centre,
) -> None:
    await centre.asks("en")
    assert await centre.rings() == {"maria", "elena"}


def test_a_round_rings_somebody_whoever_there_is() -> None:
    three = {"m": {"bg"}, "e": {"bg", "tr"}, "r": {"tr"}}
    for there in ((), ("m",), ("m", "e"), ("m", "e", "r"), ("x",)):
        for language in ("bg", "tr", "en"):
            rounds = [call_round(n, language, three, frozenset(there)) for n in range(6)]
            assert all(each.whom and each.whom <= set(three) for each in rounds)
            assert frozenset(three) in [each.whom for each in rounds]
            assert rounds[0].whom == rounds[1].whom
            assert [each.again_in for each in rounds] == sorted(each.again_in for each in rounds)
    assert call_round(0, "bg", {}, frozenset()).whom == frozenset()


async def test_without_a_duty_table_it_rings_for_everybody_who_answers_women(
    centre: Centre,
) -> None:
    for login in ("maria", "elena", "rada"):
        await centre.store.set_weekly(centre.people[login], ())
    await centre.person("boss", roles=(Role.ADMIN, Role.STAFF))
    centre.moment = local(MONDAY, "03:00")
    await centre.asks("bg")
    assert await centre.rings() == {"maria", "elena", "rada"}
    assert await centre.passes(LATER + 2 * PAUSE + TICK) == [
        (PAUSE, {"maria", "elena", "rada"}),
        (2 * PAUSE, {"maria", "elena", "rada"}),
        (2 * PAUSE + LATER, {"maria", "elena", "rada"}),
    ]


async def test_a_table_that_knows_only_people_who_are_gone_is_no_table(centre: Centre) -> None:
    for login in ("maria", "elena"):
        await centre.store.set_staff_state(centre.people[login], StaffState.FROZEN)
    await centre.store.set_weekly(centre.people["rada"], ())
    await centre.asks()
    assert await centre.rings() == {"rada"}


# --- nights, and duties that begin and end -----------------------------------------------------


async def test_nobody_is_woken_at_night_and_the_next_duty_begins_with_it(centre: Centre) -> None:
    centre.moment = local(MONDAY, "22:00")
    case = await centre.asks("tr")
    assert await centre.rings() == set()
    assert (await centre.case(case)).bell_at == local(MONDAY + timedelta(days=1), "09:00")
    centre.moment = local(MONDAY + timedelta(days=1), "08:59:50")
    assert await centre.rings() == set()
    assert await centre.passes(timedelta(minutes=3)) == [
        (timedelta(seconds=10), {"elena"}),
        (timedelta(seconds=10) + PAUSE, {"elena"}),
    ]


async def test_a_duty_that_ends_while_it_rings_leaves_the_night_quiet_and_the_next_one_begins_anew(
    centre: Centre,
) -> None:
    await centre.works("rada", Hours(time(7), time(8)))
    centre.moment = local(MONDAY, "16:58")
    case = await centre.asks("tr")
    assert await centre.rings() == {"elena"}
    assert await centre.passes(timedelta(minutes=30)) == []
    assert (await centre.case(case)).bell_at == local(MONDAY + timedelta(days=1), "07:00")
    centre.moment = local(MONDAY + timedelta(days=1), "07:00")
    assert await centre.rings() == {"rada"}
    assert (await centre.case(case)).bell_round == 1


async def test_who_begins_between_two_rounds_hears_of_it_when_her_duty_begins(
    centre: Centre,
) -> None:
    await centre.works("rada", Hours(time(10, 10), time(12)))
    await centre.asks("tr")
    await centre.rings()
    assert await centre.passes(timedelta(minutes=11)) == [
        (PAUSE, {"elena"}),
        (2 * PAUSE, {"maria"}),
        (3 * PAUSE, {"maria", "elena", "rada"}),
        (timedelta(minutes=10), {"maria", "elena", "rada"}),
    ]


async def test_when_the_next_duty_comes_too_late_for_her_it_rings_for_everybody_by_day(
    centre: Centre,
) -> None:
    friday, saturday = MONDAY + timedelta(days=4), MONDAY + timedelta(days=5)
    for login in ("maria", "elena", "rada"):
        await centre.works(login, days=[0])
    centre.moment = local(friday, "08:30")  # 72 hours and a half before Monday at nine
    case = await centre.asks()
    assert await centre.rings() == set()
    assert await centre.passes(timedelta(minutes=30)) == [
        (timedelta(minutes=30), {"maria", "elena", "rada"})
    ]
    centre.moment = local(friday, "21:00")
    assert await centre.rings() == set()
    assert (await centre.case(case)).bell_at == local(saturday, "09:00")
    centre.moment = local(saturday, "00:10")
    other = await centre.asks(address="2")
    assert await centre.rings() == set()
    monday = local(MONDAY + timedelta(days=7), "09:00")
    assert (await centre.case(other)).bell_at == monday
    assert monday - centre.moment < UNANSWERED


async def test_a_change_of_the_duty_table_is_heard_at_night(centre: Centre) -> None:
    centre.moment = local(MONDAY, "22:00")
    await centre.asks()
    assert await centre.rings() == set()
    shift = Shift(centre.people["rada"], centre.moment, centre.moment + timedelta(hours=8))
    await centre.store.set_shifts(centre.people["rada"], [shift])
    assert await centre.rings() == {"rada"}


# --- until somebody has it ---------------------------------------------------------------------


async def test_a_claim_stops_it_and_takes_it_back_from_every_phone(centre: Centre) -> None:
    case = await centre.asks()
    await centre.rings()
    centre.moment += TICK
    other = await centre.asks(address="2")
    await centre.rings()
    await centre.claims("elena", case)
    await centre.bell.tick()
    assert set(centre.phones.standing) == {other.id}
    await centre.passes(timedelta(minutes=30))
    assert {case_id for case_id, _, at in centre.phones.rung if at > local(MONDAY, "10:00")} == {
        other.id
    }


async def test_a_case_that_ends_stops_ringing(centre: Centre) -> None:
    case = await centre.asks()
    await centre.rings()
    await centre.store.close_case(case.id, None, "ended")
    assert await centre.passes(timedelta(minutes=20)) == []
    assert centre.phones.standing == {}


async def test_after_a_restart_it_goes_on_where_it_was(centre: Centre) -> None:
    await centre.asks("tr")
    await centre.rings()
    assert await centre.passes(PAUSE) == [(PAUSE, {"elena"})]
    await centre.restart()
    assert await centre.rings() == set()
    assert await centre.passes(PAUSE) == [(PAUSE, {"maria"})]


async def test_a_ring_that_a_crash_cut_off_comes_again(centre: Centre) -> None:
    case = await centre.asks("tr")
    centre.phones.fault = Crash()
    with pytest.raises(Crash):
        await centre.bell.tick()
    await centre.restart()
    assert (await centre.case(case)).bell_round == 0
    assert await centre.rings() == {"elena"}


async def test_a_case_that_is_claimed_while_it_rings_stays_claimed_and_quiet(
    centre: Centre, monkeypatch: pytest.MonkeyPatch
) -> None:
    case = await centre.asks()
    ring = centre.phones.ring

    async def meanwhile(bells: Iterable[BellAddress], case_id: str) -> frozenset[str]:
        await centre.claims("maria", case)
        return await ring(bells, case_id)

    monkeypatch.setattr(centre.phones, "ring", meanwhile)
    await centre.bell.tick()
    assert (await centre.case(case)).bell_at is None
    await centre.bell.tick()
    assert centre.phones.standing == {}


# --- phones that do not ring -------------------------------------------------------------------


async def test_where_no_phone_is_reached_the_next_round_comes_sooner_and_it_is_an_alarm(
    centre: Centre, caplog: pytest.LogCaptureFixture
) -> None:
    centre.phones.off = {"elena"}
    await centre.asks("tr")
    with caplog.at_level(logging.INFO, logger="phen"):
        assert await centre.rings() == set()
    assert "bell_unreached" in caplog.text
    assert await centre.passes(timedelta(minutes=1)) == [(2 * UNREACHED, {"maria"})]


async def test_where_one_of_two_is_reached_the_pace_stays(
    centre: Centre, caplog: pytest.LogCaptureFixture
) -> None:
    centre.phones.off = {"elena"}
    await centre.asks("bg")
    assert await centre.rings() == {"maria"}
    assert await centre.passes(PAUSE) == [(PAUSE, {"maria"})]
    assert not [each for each in caplog.records if each.name.startswith("phen")]


async def test_a_phone_that_is_not_linked_lets_the_next_ones_ring_sooner_unless_a_desk_is_open(
    centre: Centre, caplog: pytest.LogCaptureFixture
) -> None:
    await centre.store.unlink_bell(centre.people["elena"])
    case = await centre.asks("tr")
    assert await centre.rings() == set()
    assert await centre.passes(timedelta(minutes=1)) == [(2 * UNREACHED, {"maria"})]
    await centre.claims("maria", case)
    async with centre.changes.listen():
        await centre.asks("tr", address="2")
        assert await centre.rings() == set()
        assert await centre.passes(2 * PAUSE) == [(2 * PAUSE, {"maria"})]
    assert "alarm" not in caplog.text


async def test_when_no_phone_is_ever_reached_it_is_tried_again_and_again_not_without_pause(
    centre: Centre,
) -> None:
    centre.phones.off = {"maria", "elena", "rada"}
    case = await centre.asks("tr")
    await centre.passes(timedelta(minutes=5))
    for _ in range(5):
        bell_at = (await centre.case(case)).bell_at
        assert bell_at is not None
        assert centre.moment < bell_at <= centre.moment + PAUSE
        await centre.passes(PAUSE)
    centre.phones.off = set()
    assert len(await centre.passes(PAUSE)) == 1


async def test_a_fault_in_ringing_for_one_keeps_nobody_else_from_being_rung(
    centre: Centre, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    first = await centre.asks(address="1")
    centre.moment += TICK
    second = await centre.asks(address="2")
    ring = centre.phones.ring

    async def fails_once(bells: Iterable[BellAddress], case_id: str) -> frozenset[str]:
        if case_id == first.id:
            raise RuntimeError("no more sockets")
        return await ring(bells, case_id)

    monkeypatch.setattr(centre.phones, "ring", fails_once)
    await centre.bell.tick()
    assert {case_id for case_id, _, _ in centre.phones.rung} == {second.id}
    assert (await centre.case(first)).bell_at == centre.moment + UNREACHED
    assert "bell_unreached" in caplog.text
    assert "sockets" not in caplog.text


async def test_a_case_that_cannot_be_handled_holds_up_no_other(
    centre: Centre, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    first = await centre.asks(address="1")
    centre.moment += TICK
    second = await centre.asks(address="2")
    real = centre.store.rung

    async def broken(case: Case, rounds: int, again_at: datetime | None) -> bool:
        if case.id == first.id:
            raise RuntimeError("her words")
        return await real(case, rounds, again_at)

    monkeypatch.setattr(centre.store, "rung", broken)
    await centre.bell.tick()
    assert (await centre.case(second)).bell_round == 1
    assert "tick_failed" in caplog.text
    assert "her words" not in caplog.text


async def test_without_a_bot_of_the_desks_the_open_desks_hear_every_round(centre: Centre) -> None:
    bell = Bell(centre.store, centre.changes, centre.now, None, centre.handover)
    case = await centre.asks("tr")
    async with centre.changes.listen() as heard:
        heard.clear()
        await bell.tick()
        assert heard.is_set()
        heard.clear()
        await bell.tick()
        assert not heard.is_set()
        centre.moment += PAUSE
        await bell.tick()
        assert heard.is_set()
    assert (await centre.case(case)).bell_round == 2


# --- people who leave --------------------------------------------------------------------------


@pytest.mark.parametrize("how", ["frozen", "removed", "no consultant any more"])
async def test_who_answers_no_more_is_rung_for_nothing_and_her_cases_ring_again(
    centre: Centre, how: str
) -> None:
    case = await centre.asks("tr")
    await centre.claims("elena", case)
    await centre.writes(case)
    elena = centre.people["elena"]
    if how == "frozen":
        await centre.store.set_staff_state(elena, StaffState.FROZEN)
    elif how == "removed":
        await centre.store.remove_staff(elena)
    else:
        await centre.store.change_staff(elena, "", {Role.STAFF}, {"bg"})
    assert await centre.rings() == {"maria"}
    rung = await centre.passes(timedelta(minutes=30))
    assert set.union(*(whom for _, whom in rung)) == {"maria", "rada"}


# --- the consultant who has it -----------------------------------------------------------------


async def has_a_case(centre: Centre) -> Case:
    """Maria has it, and has read all of it; she and Elena are on duty."""
    case = await centre.asks()
    await centre.claims("maria", case)
    await centre.looks(case)
    assert await centre.rings() == set()
    return case


async def test_unread_words_ring_for_their_consultant_and_then_for_her_colleagues(
    centre: Centre,
) -> None:
    case = await has_a_case(centre)
    await centre.writes(case)
    over = PAUSE + OWNER_ROUNDS * OWNER_AGAIN
    assert await centre.passes(over + 2 * TICK) == [
        *((PAUSE + n * OWNER_AGAIN, {"maria"}) for n in range(OWNER_ROUNDS)),
        (over + TICK, {"maria", "elena"}),
    ]
    assert (await centre.case(case)).state is CaseState.WAITING
    said = [each.text for each in await centre.store.messages(case.id)]
    assert said[-1] == open_content()[1].say("bg", "notice.returned")


async def test_more_words_put_nothing_off(centre: Centre) -> None:
    case = await has_a_case(centre)
    for minute in range(1 + (PAUSE + OWNER_ROUNDS * OWNER_AGAIN) // timedelta(minutes=1)):
        await centre.writes(case, f"{minute}")
        await centre.passes(timedelta(minutes=1))
    assert (await centre.case(case)).state is CaseState.WAITING


async def test_her_ring_stands_until_she_looks_and_looking_stops_it(centre: Centre) -> None:
    case = await centre.asks()
    await centre.claims("maria", case)
    await centre.writes(case)
    await centre.passes(PAUSE + 2 * TICK)
    assert centre.phones.standing == {case.id: {centre.people["maria"]}}
    await centre.looks(case)
    assert await centre.passes(ANSWER_WITHIN - TICK) == []
    assert centre.phones.standing == {}


async def test_words_that_are_read_and_answered_within_two_minutes_do_not_ring(
    centre: Centre,
) -> None:
    case = await has_a_case(centre)
    await centre.writes(case)
    await centre.passes(PAUSE - TICK)
    await centre.looks(case)
    await centre.answers("maria", case)
    assert await centre.passes(timedelta(hours=1)) == []


async def test_off_duty_she_hears_it_first_and_then_who_is_there(centre: Centre) -> None:
    await centre.works("maria", Hours(time(9), time(10)))
    case = await has_a_case(centre)
    await centre.writes(case)
    assert await centre.passes(2 * PAUSE + 2 * TICK) == [
        (PAUSE, {"maria"}),
        (2 * PAUSE + TICK, {"elena"}),
    ]
    assert (await centre.case(case)).state is CaseState.WAITING


async def test_off_duty_she_may_still_come_to_it(centre: Centre) -> None:
    await centre.works("maria", Hours(time(9), time(10)))
    case = await has_a_case(centre)
    await centre.writes(case)
    assert await centre.passes(PAUSE) == [(PAUSE, {"maria"})]
    await centre.looks(case)
    await centre.answers("maria", case)
    assert await centre.passes(timedelta(hours=1)) == []
    assert (await centre.case(case)).state is CaseState.CLAIMED


async def test_at_night_she_hears_each_time_and_again_when_her_own_duty_begins(
    centre: Centre,
) -> None:
    case = await has_a_case(centre)
    centre.moment = local(MONDAY, "23:00")
    for text in ("one", "two"):
        await centre.writes(case, text)
        assert await centre.passes(timedelta(hours=1)) == [(PAUSE, {"maria"})]
    assert (await centre.case(case)).bell_at == local(MONDAY + timedelta(days=1), "09:00")
    centre.moment = local(MONDAY + timedelta(days=1), "09:00")
    assert await centre.rings() == {"maria"}
    assert await centre.passes(timedelta(minutes=10)) == [(OWNER_AGAIN, {"maria"})]


async def test_at_night_it_waits_for_whoever_is_there_first(centre: Centre) -> None:
    case = await has_a_case(centre)
    await centre.works("elena", Hours(time(6), time(7)))
    centre.moment = local(MONDAY, "23:00")
    await centre.writes(case)
    assert await centre.passes(timedelta(hours=7, seconds=5)) == [
        (PAUSE, {"maria"}),
        (timedelta(hours=7, seconds=5), {"elena"}),
    ]


async def test_a_change_of_the_duty_table_at_night_calls_whoever_is_there_now(
    centre: Centre,
) -> None:
    case = await has_a_case(centre)
    centre.moment = local(MONDAY, "23:00")
    await centre.writes(case)
    await centre.passes(timedelta(hours=1))
    shift = Shift(centre.people["rada"], centre.moment, centre.moment + timedelta(hours=8))
    await centre.store.set_shifts(centre.people["rada"], [shift])
    assert await centre.passes(2 * TICK) == [(2 * TICK, {"rada"})]
    assert (await centre.case(case)).claimed_by is None


async def test_where_she_alone_is_there_it_rings_on_for_her_until_somebody_comes(
    centre: Centre,
) -> None:
    await centre.works("elena", Hours(time(11), time(12)))
    case = await has_a_case(centre)
    await centre.writes(case)
    last = PAUSE + OWNER_ROUNDS * OWNER_AGAIN
    assert await centre.passes(timedelta(hours=1, seconds=5)) == [
        *((PAUSE + n * OWNER_AGAIN, {"maria"}) for n in range(OWNER_ROUNDS + 1)),
        *((last + n * LATER, {"maria"}) for n in range(1, 3)),
        (timedelta(hours=1, seconds=5), {"maria", "elena"}),
    ]


@pytest.mark.parametrize("how", ["off", "at fault"])
async def test_where_her_phone_is_not_reached_a_colleague_hears_it_at_once(
    centre: Centre, how: str
) -> None:
    case = await has_a_case(centre)
    await centre.writes(case)
    if how == "off":
        centre.phones.off = {"maria"}
    else:
        centre.phones.fault = RuntimeError("no more sockets")
    assert await centre.passes(PAUSE) == []
    centre.phones.fault = None
    assert await centre.passes(TICK) == [(TICK, {"maria", "elena"} - centre.phones.off)]


async def test_a_consultant_whose_phone_is_lost_is_not_given_up_where_nobody_else_is_there(
    centre: Centre, caplog: pytest.LogCaptureFixture
) -> None:
    await centre.works("elena", days=[])
    case = await has_a_case(centre)
    await centre.writes(case)
    centre.phones.off = {"maria"}
    assert await centre.passes(timedelta(hours=1)) == []
    assert caplog.text.count("bell_unreached") > OWNER_ROUNDS
    centre.phones.off = set()
    assert len(await centre.passes(LATER)) == 1


# --- read, and not answered --------------------------------------------------------------------


async def test_words_that_are_read_and_not_answered_ring_once_and_then_for_a_colleague(
    centre: Centre,
) -> None:
    case = await has_a_case(centre)
    await centre.writes(case)
    await centre.looks(case)
    over = ANSWER_WITHIN + OWNER_AGAIN
    assert await centre.passes(over + TICK) == [
        (ANSWER_WITHIN, {"maria"}),
        (over + TICK, {"maria", "elena"}),
    ]
    assert (await centre.case(case)).state is CaseState.WAITING


async def test_who_looks_again_is_reminded_no_more(centre: Centre) -> None:
    case = await has_a_case(centre)
    await centre.writes(case)
    await centre.looks(case)
    assert not is_new(await centre.case(case))
    await centre.passes(ANSWER_WITHIN + TICK)
    assert is_new(await centre.case(case))
    await centre.looks(case)
    assert not is_new(await centre.case(case))
    assert await centre.passes(timedelta(hours=20)) == []
    await centre.writes(case, "more words")
    centre.moment = local(MONDAY + timedelta(days=1), "10:00")
    assert await centre.rings() == {"maria"}


async def test_looking_at_what_was_seen_already_puts_the_reminder_off_no_more(
    centre: Centre,
) -> None:
    case = await has_a_case(centre)
    await centre.writes(case)
    await centre.looks(case)
    await centre.passes(ANSWER_WITHIN - TICK)
    await centre.looks(case)
    assert await centre.passes(TICK) == [(TICK, {"maria"})]


@pytest.mark.parametrize("ends", ["answers", "closes", "shuts him out"])
async def test_an_answer_a_close_and_a_block_take_the_reminder_back(
    centre: Centre, ends: str
) -> None:
    case = await has_a_case(centre)
    await centre.writes(case)
    await centre.looks(case)
    if ends == "answers":
        await centre.answers("maria", case)
    elif ends == "closes":
        await centre.store.close_case(case.id, None, "bye")
    else:
        await centre.store.block(case.id, None)
    assert await centre.passes(timedelta(hours=2)) == []


async def test_who_claims_and_does_nothing_more_is_reminded(centre: Centre) -> None:
    case = await centre.asks()
    await centre.writes(case)
    await centre.claims("maria", case)
    assert await centre.passes(ANSWER_WITHIN) == [(ANSWER_WITHIN, {"maria"})]


async def test_a_reply_that_crosses_with_her_words_leaves_their_bell(centre: Centre) -> None:
    case = await has_a_case(centre)
    await centre.writes(case)
    centre.moment += TICK
    await centre.answers("maria", case)
    assert await centre.passes(PAUSE) == [(PAUSE, {"maria"})]


# --- handed over -------------------------------------------------------------------------------


async def test_a_case_that_is_handed_over_rings_for_the_colleague_off_duty_too(
    centre: Centre,
) -> None:
    case = await centre.asks()
    await centre.claims("maria", case)
    assert await centre.store.transfer(case.id, centre.people["maria"], centre.people["rada"])
    assert await centre.rings() == {"rada"}
    assert await centre.passes(OWNER_AGAIN) == [(OWNER_AGAIN, {"rada"})]
    await centre.store.looked(case.id, centre.people["rada"])
    assert await centre.passes(timedelta(hours=1)) == []
    assert centre.phones.standing == {}


async def test_what_the_colleague_does_not_open_rings_for_all_on_duty_after_a_quarter_of_an_hour(
    centre: Centre,
) -> None:
    case = await centre.asks()
    await centre.claims("maria", case)
    assert await centre.store.transfer(case.id, centre.people["maria"], centre.people["rada"])
    await centre.passes(timedelta(minutes=14, seconds=55))
    await centre.handover.tick()
    assert (await centre.case(case)).state is CaseState.CLAIMED
    centre.moment += TICK
    await centre.handover.tick()
    assert (await centre.case(case)).state is CaseState.WAITING
    assert await centre.rings() == {"maria", "elena"}
    assert centre.phones.standing[case.id] == {centre.people["maria"], centre.people["elena"]}


# --- what always holds -------------------------------------------------------------------------


async def test_no_case_waits_without_a_bell_for_three_days_of_changing_duties(
    centre: Centre,
) -> None:
    for login, day in (("maria", 0), ("elena", 2)):
        await centre.works(login, days=[day])
    await centre.works("rada", Hours(time(22), time(2)), [1])
    case = await centre.asks("tr")
    rung_at = []
    for _ in range(3 * 24 * 4 - 1):
        centre.moment += timedelta(minutes=15)
        if await centre.rings():
            rung_at.append(centre.moment)
        bell_at = (await centre.case(case)).bell_at
        assert bell_at is not None
        assert centre.moment < bell_at
    hours = {f"{at.astimezone(ZONE):%a %H}" for at in rung_at}
    assert hours == {
        *(f"Mon {hour}" for hour in range(10, 17)),
        *("Tue 22", "Tue 23", "Wed 00", "Wed 01"),
        *(f"Wed {hour:02}" for hour in range(9, 21)),  # the next duty would come too late
        "Thu 09",
    }
