"""Reminders from her side: she sets one, reads what is new, and stops them from anywhere."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from bot import fills, render
from bot.channels import telegram, viber, web
from bot.channels.base import Limits, Unreached
from bot.lines import NotHandled
from bot.storage.mail_records import Audience, MailingEnd, MailingOutcome
from bot.texts import open_content
from bot.windows import Window
from dialogs import engine, lint
from dialogs.model import (
    HOURS_SLOT,
    REMINDER,
    WHEN_WORDS,
    NodeKind,
    Position,
    Started,
    Tapped,
)
from scheduler import plan
from scheduler.model import SAFE_HOURS, Reception, ReceptionState, Reminder, Subscription
from tests.bot.paper import LIMITS, LastingPaper, PaperChannel, Shell, a_shell, until
from tests.bot.test_conversation import comes_back, goes_away

SOFIA = ZoneInfo("Europe/Sofia")
CONTENT, TEXTS = open_content()
NOW = datetime(2026, 11, 23, 10, 0, tzinfo=UTC)
START = datetime(2026, 12, 1, 10, 0, tzinfo=SOFIA).astimezone(UTC)
IN_VETOVO = Reception("r1", "rse05", "Читалището", START, START + timedelta(hours=4))
IN_RUSE = Reception("r2", "rse27", "Пазара", START, START + timedelta(hours=4))


@pytest.fixture
async def shell(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Shell]:
    async with a_shell(tmp_path, monkeypatch) as shell:
        await shell.phen.store.save_receptions([IN_VETOVO])
        yield shell


def chosen(
    place: str = "rse05", hours: str = "day", cover: str = "a", language: str = "bg"
) -> Tapped:
    answers = (("c", cover), ("m", place), ("q", hours))
    return Tapped(Position(language, "remind_set", answers))


def window_of(shell: Shell) -> Window:
    window = shell.phen.windows.get(shell.her)
    assert window is not None
    return window


async def waits(shell: Shell) -> list[Subscription]:
    found = await shell.phen.store.subscriptions_of(*shell.her)
    return [one for one, _ in found]


async def changes(shell: Shell, **what: object) -> None:
    await shell.phen.store.save_receptions([replace(IN_VETOVO, **what)])  # type: ignore[arg-type]


# --- she sets one ------------------------------------------------------------------------------


async def test_she_is_shown_of_what_and_when_she_will_be_reminded(shell: Shell) -> None:
    await shell.done(chosen())
    [window] = shell.chat
    assert window.startswith(shell.say("remind_mine.text"))
    assert "Ветово" in window
    assert "Читалището" in window
    assert (
        shell.say("remind.rings", moments="неделя, 29 ноември, 18:00\nвторник, 1 декември, 09:00")
        in window
    )
    [one] = await waits(shell)
    assert (one.municipality, one.hours, one.silent) == ("rse05", "day", False)
    assert one.told == plan.fingerprint(IN_VETOVO)


async def test_who_wants_nothing_sent_is_told_to_look_for_herself(shell: Shell) -> None:
    await shell.done(chosen(cover="none"))
    [window] = shell.chat
    assert shell.say("remind.silent") in window
    [one] = await waits(shell)
    assert one.silent


async def test_where_no_date_is_planned_she_waits_for_one(shell: Shell) -> None:
    await shell.done(chosen("rse27"))
    [window] = shell.chat
    assert shell.say("remind.no_date") in window
    await shell.done(chosen("rse27", cover="none"))
    [window] = shell.chat
    assert shell.say("remind.no_date_silent") in window


async def test_where_it_is_too_late_to_ring_she_is_told_to_remember(shell: Shell) -> None:
    shell.clock.at = START - timedelta(minutes=30)
    await shell.done(chosen())
    [window] = shell.chat
    assert shell.say("remind.late") in window


async def test_a_reminder_is_committed_before_she_sees_that_it_is(shell: Shell) -> None:
    await shell.taps("home")
    goes_away(shell)
    with pytest.raises(NotHandled):  # it will be handed over again
        await shell.done(chosen())
    await shell.settled()
    comes_back(shell)
    assert shell.chat == [shell.say("error.text")]
    assert await waits(shell) == []


async def test_the_questions_need_no_database(shell: Shell) -> None:
    goes_away(shell)
    for node in ("remind", "remind_hours", "remind_words"):
        await shell.taps(node)
        assert shell.chat == [shell.say(f"{node}.text")]
    comes_back(shell)


async def test_a_tap_without_all_answers_keeps_nothing_and_asks(shell: Shell) -> None:
    before = await shell.phen.store.counts()
    for node in ("remind_set", "remind", "remind_hours", "remind_words"):
        await shell.taps(node)
    assert await shell.phen.store.counts() == before


async def test_the_same_delivery_twice_sets_one_reminder(shell: Shell) -> None:
    for _ in range(2):
        await shell.done(chosen(), key="77")
    assert len(await waits(shell)) == 1


async def test_she_renews_the_one_that_she_sees(shell: Shell) -> None:
    await shell.done(chosen("rse05"))
    await shell.done(Tapped(Position("bg", "remind_renew", (("m", "rse05"),))))
    [window] = shell.chat
    assert shell.say("remind.renewed") in window
    [one] = await waits(shell)
    assert one.renew


async def test_the_button_that_renews_knows_its_municipality_however_she_came(
    shell: Shell,
) -> None:
    await shell.done(chosen("rse05"))
    await shell.taps("remind_mine")
    choices = shell.channel.sent[-1].choices
    assert choices[0].payload == "bg:remind_renew:m.rse05"


async def test_who_waits_for_nothing_is_told_so(shell: Shell) -> None:
    await shell.taps("remind_mine")
    assert shell.chat == [shell.say("remind_none.text")]


# --- what is new ---------------------------------------------------------------------------------


async def passes_the_gate(shell: Shell) -> None:
    await shell.done(Started())
    for node in ("gate_language", "gate_alone", "inside"):
        await shell.taps(node)


async def test_who_has_no_reminder_arrives_at_home(shell: Shell) -> None:
    await passes_the_gate(shell)
    assert shell.chat == [shell.say("home.text")]


async def test_behind_the_gate_what_is_new_comes_before_home_and_only_once(shell: Shell) -> None:
    await shell.done(chosen())
    await changes(shell, state=ReceptionState.CANCELLED)
    await shell.phen.store.remind(shell.clock(), lambda *_: None)
    await passes_the_gate(shell)
    [window] = shell.chat
    assert shell.say("receptions.cancelled") in window
    await passes_the_gate(shell)
    assert shell.chat == [shell.say("home.text")]


async def test_who_wants_nothing_sent_finds_a_change_when_she_comes(shell: Shell) -> None:
    await shell.done(chosen(cover="none"))
    later = START + timedelta(days=1)
    await changes(shell, start=later, end=later + timedelta(hours=4))
    await shell.phen.store.remind(shell.clock(), lambda *_: None)
    await passes_the_gate(shell)
    [window] = shell.chat
    assert shell.say("remind.changed") in window
    assert "2 декември" in window


async def is_told_of_it(shell: Shell) -> bool:
    """Whether a notice of the change is still to come, and she finds it when she comes."""
    waiting = await shell.phen.store.take_mailings("paper", shell.phen.store.together.worker, 10)
    return bool(waiting) and await shell.phen.store.news_for(*shell.her)


async def test_what_never_came_to_her_screen_is_still_news(shell: Shell) -> None:
    await shell.done(chosen())
    await changes(shell, place="Гарата")
    await shell.phen.store.remind(shell.clock(), lambda *_: None)
    shell.channel.faults = [Unreached()] * 100
    await shell.taps("remind_mine")
    assert "Гарата" not in shell.chat[0]
    assert await is_told_of_it(shell)


async def test_what_she_left_before_it_came_is_still_news(shell: Shell) -> None:
    await shell.done(chosen())
    await changes(shell, place="Гарата")
    await shell.phen.store.remind(shell.clock(), lambda *_: None)
    shell.channel.lock = asyncio.Event()
    await shell.does(Tapped(Position("bg", "remind_mine")))
    await shell.does(Tapped(Position("bg", "home")))
    shell.channel.lock.set()
    await shell.settled()
    assert shell.chat == [shell.say("home.text")]
    assert await is_told_of_it(shell)


async def test_what_did_not_fit_on_her_screen_is_still_news_until_it_does(shell: Shell) -> None:
    places = sorted(CONTENT.places)[:5]
    planned = [replace(IN_VETOVO, id=f"of-{p}", municipality=p, landmark="о" * 120) for p in places]
    await shell.phen.store.save_receptions(planned)
    for place in places:
        await shell.done(chosen(place))
    await shell.phen.store.save_receptions([replace(it, place=f"В {it.id}") for it in planned])
    await shell.phen.store.remind(shell.clock(), lambda *_: None)
    read: set[str] = set()
    rounds = 0
    while await shell.phen.store.news_for(*shell.her):
        rounds += 1
        await shell.taps("remind_mine")
        assert not shell.chat[0].endswith("…")
        changed = shell.chat[0].split(shell.say("remind.changed"))[1:]
        new = {it.id for it in planned for told in changed if f"В {it.id}" in told}
        assert new - read, "each time she reads of another"
        read |= new
    assert read == {it.id for it in planned}
    assert rounds > 1


async def says_to_her(shell: Shell, words: str, there: str = "rse05", language: str = "bg") -> None:
    """The centre's words to who waits there have gone out."""
    store, worker = shell.phen.store, shell.phen.store.together.worker
    hers = Audience(frozenset({there}), frozenset({language}), frozenset({"paper"}))
    draft = await store.save_broadcast(None, "anna", hers, {language: words})
    assert draft is not None
    proposed = await store.propose(draft.id, "anna")
    assert proposed is not None
    assert proposed.digest is not None
    await store.approve(draft.id, "maria", proposed.digest)
    for due in await store.take_mailings("paper", worker, 10):
        await store.settle_mailings(worker, {due.id: MailingOutcome(MailingEnd.SENT)})


async def test_older_words_of_the_centre_that_do_not_fit_lead_nobody_back(shell: Shell) -> None:
    await shell.done(chosen())
    for said in ("Първо. " * 60, "Второ. " * 60):
        shell.clock.passes(minutes=1)
        await says_to_her(shell, said)
    await shell.taps("remind_mine")
    assert "Второ" in shell.chat[0]
    assert "Първо" not in shell.chat[0]
    assert not await shell.phen.store.news_for(*shell.her)


async def test_words_of_the_centre_that_did_not_fit_are_still_news(shell: Shell) -> None:
    await shell.done(chosen("rse27"))
    await shell.done(chosen("rse05"))
    await says_to_her(shell, "Първо. " * 60)
    await says_to_her(shell, "Второ. " * 60, "rse27")
    await shell.taps("remind_mine")
    assert ("Първо" in shell.chat[0]) != ("Второ" in shell.chat[0])
    assert await shell.phen.store.news_for(*shell.her)


async def test_words_in_her_language_are_read_by_who_chose_another_at_the_gate(
    shell: Shell,
) -> None:
    await shell.done(chosen(language="tr"))
    await says_to_her(shell, "Giriş arka kapıdan.", language="tr")
    await shell.taps("inside", language="bg")
    [window] = shell.chat
    assert window.startswith(shell.say("remind_mine.text"))
    assert "Giriş arka kapıdan." in window
    assert not await shell.phen.store.news_for(*shell.her)


async def test_words_that_were_not_for_her_take_no_place_from_those_that_were(
    shell: Shell,
) -> None:
    await shell.done(chosen())
    await says_to_her(shell, "Първо. " * 60)
    shell.clock.passes(minutes=1)
    await says_to_her(shell, "Yeni. " * 100, language="tr")
    await shell.taps("inside", language="tr")
    assert "Първо" in shell.chat[0]
    assert "Yeni" not in shell.chat[0]


async def test_words_of_the_centre_that_came_while_she_read_are_still_news(shell: Shell) -> None:
    await shell.done(chosen())
    await says_to_her(shell, "Първо.")
    shell.channel.lock = asyncio.Event()
    await shell.does(Tapped(Position("bg", "remind_mine")))
    await until(lambda: window_of(shell).bringing)
    shell.clock.passes(minutes=1)
    await says_to_her(shell, "Второ.")
    shell.channel.lock.set()
    await shell.settled()
    assert "Второ" not in shell.chat[0]
    assert await shell.phen.store.news_for(*shell.her)
    await passes_the_gate(shell)
    assert "Второ" in shell.chat[0]
    assert not await shell.phen.store.news_for(*shell.her)


async def test_what_was_moved_to_another_municipality_is_told_with_its_name(shell: Shell) -> None:
    await shell.done(chosen())
    await changes(shell, municipality="rse27", state=ReceptionState.MOVED)
    await shell.taps("remind_mine")
    assert "Община Русе" in shell.chat[0]
    assert "Ветово" not in shell.chat[0]


async def test_her_case_comes_before_what_is_new(shell: Shell) -> None:
    await shell.done(chosen())
    await changes(shell, state=ReceptionState.CANCELLED)
    await shell.phen.store.remind(shell.clock(), lambda *_: None)
    await shell.opens_case()
    await passes_the_gate(shell)
    assert shell.chat[0].startswith(shell.say("case.text"))


# --- she stops them ------------------------------------------------------------------------------


@pytest.mark.parametrize("fresh", [True, False])
async def test_a_stop_ends_them_and_shows_a_cover_at_any_age(shell: Shell, fresh: bool) -> None:
    await shell.done(chosen())
    await shell.done(Tapped(Position("bg", "remind_stop"), fresh=fresh))
    assert shell.chat == [shell.say("remind_stopped.text")]
    assert await waits(shell) == []


@pytest.mark.parametrize("text", ["стоп", "Stop!", "spri", "durdur"])
async def test_a_typed_stop_ends_them_from_before_the_gate_too(shell: Shell, text: str) -> None:
    await shell.done(chosen())
    await shell.done(Started())
    await shell.types(text)
    assert shell.chat == [shell.say("remind_stopped.text")]
    assert await waits(shell) == []


async def reminded(shell: Shell) -> str:
    """A reminder has come; the handle under which it stands in her chat."""
    shell.clock.at = START - timedelta(days=1, hours=16)  # two days before, 18:00
    store, channel = shell.phen.store, shell.channel
    assert await store.remind(shell.clock(), lambda *_: None) == 1
    [due] = await store.take_mailings(channel.name, store.together.worker, 10)
    handle = channel.her_message()
    channel.chats[shell.her.address][handle] = shell.say(due.words)
    outcome = MailingOutcome(MailingEnd.SENT, handle=handle)
    await store.settle_mailings(store.together.worker, {due.id: outcome})
    return handle


async def test_who_asks_to_be_written_to_stops_nothing(shell: Shell) -> None:
    await shell.done(chosen())
    await shell.types("Bana yaz")
    assert len(await waits(shell)) == 1


async def test_a_stop_from_the_reminder_turns_it_into_a_cover(shell: Shell) -> None:
    await shell.done(chosen())
    handle = await reminded(shell)
    await shell.done(Tapped(Position("bg", "remind_stop"), fresh=False), on=handle)
    assert shell.channel.chats["1"] == {handle: shell.say("remind_stopped.text")}


async def test_a_stop_from_elsewhere_takes_the_reminder_out_of_her_chat(shell: Shell) -> None:
    await shell.done(chosen())
    await reminded(shell)
    await shell.taps("remind_stop")
    assert shell.chat == [shell.say("remind_stopped.text")]


async def test_a_stop_without_a_reminder_is_harmless(shell: Shell) -> None:
    before = await shell.phen.store.counts()
    for _ in range(2):
        await shell.taps("remind_stop")
    assert shell.chat == [shell.say("remind_stopped.text")]
    assert await shell.phen.store.counts() == before


async def test_a_stop_in_a_case_goes_to_the_desk(shell: Shell) -> None:
    await shell.done(chosen())
    case = await shell.opens_case()
    await shell.types("стоп")
    assert [m.text for m in await shell.phen.store.messages(case.id)] == ["стоп"]
    assert len(await waits(shell)) == 1


async def kept_for_the_desk(shell: Shell) -> list[tuple[str, bool]]:
    """Her words in her case; and whether her window was covered."""
    messages = await shell.phen.store.messages((await shell.case()).id)
    return [(each.text, each.covered) for each in messages]


@pytest.mark.parametrize("overtaken", [False, True])
async def test_a_stop_over_the_cover_of_a_case_ends_them_and_the_desk_has_it_too(
    shell: Shell, overtaken: bool
) -> None:
    await shell.done(chosen())
    await shell.opens_case()
    await shell.taps("start")
    await shell.types("стоп", overtaken=overtaken)
    assert await waits(shell) == []
    assert await kept_for_the_desk(shell) == [("стоп", True)]
    assert shell.phen.windows.open_ones() == []


async def test_a_stop_over_a_cover_shows_the_same_whether_there_is_a_case_or_not(
    shell: Shell,
) -> None:
    seen = []
    for with_case in (False, True):
        await shell.done(chosen())
        if with_case:
            await shell.opens_case()
        await shell.taps("start")
        shell.channel.sent.clear()
        await shell.types("стоп")
        seen.append([replace(each, in_case=False) for each in shell.channel.sent])
        assert shell.chat == [shell.say("remind_stopped.text")]
    assert seen[0] == seen[1]


async def test_a_stop_over_a_case_that_could_not_be_kept_says_so_and_is_handed_over_again(
    shell: Shell,
) -> None:
    await shell.done(chosen())
    await shell.opens_case()
    await shell.taps("start")
    goes_away(shell)
    with pytest.raises(NotHandled):
        await shell.types("стоп", key="7")
    await shell.settled()
    comes_back(shell)
    assert shell.channel.sent[-1].text == shell.say("remind_not_stopped.text")
    for _ in range(2):
        await shell.types("стоп", key="7")
    assert await waits(shell) == []
    assert await kept_for_the_desk(shell) == [("стоп", True)]


async def test_other_words_over_the_cover_of_a_case_stop_nothing(shell: Shell) -> None:
    await shell.done(chosen())
    await shell.opens_case()
    await shell.taps("start")
    for text in ("спри се", "3"):  # on that cover it opens the telephones
        await shell.types(text)
        assert shell.chat == [shell.say("start.text")]
    assert len(await waits(shell)) == 1
    assert await kept_for_the_desk(shell) == [("спри се", True), ("3", True)]


async def test_who_was_told_that_her_case_has_ended_can_stop_there(shell: Shell) -> None:
    await shell.done(chosen())
    case = await shell.opens_case()
    await shell.phen.store.close_case(case.id, None, "closed")
    for left in (1, 0):  # the first was for the consultant: she is told that nobody reads it
        await shell.types("стоп")
        assert len(await waits(shell)) == left
    assert shell.chat == [shell.say("remind_stopped.text")]


# --- a digit under a reminder --------------------------------------------------------------------


def starts_anew(shell: Shell) -> None:
    """What was known in memory only is known no more."""
    shell.phen.windows.drop_all(shell.channel.name)


def comes(shell: Shell, handle: str) -> None:
    """The windows are told that a reminder stands there."""
    screen = engine.screen(CONTENT, Position("bg", REMINDER))
    message = render.reminder("Рецепта", "bg", screen, TEXTS, LIMITS, shell.clock())
    shell.phen.windows.came(shell.her, handle, message)


@pytest.mark.parametrize("since", ["came", "started anew", "came to one who hid"])
async def test_a_typed_digit_means_what_stands_beside_it_on_the_reminder(
    shell: Shell, since: str
) -> None:
    await shell.done(chosen())
    await shell.taps("hide" if since == "came to one who hid" else "start")
    handle = await reminded(shell)
    if since == "started anew":
        starts_anew(shell)
    else:
        comes(shell, handle)
    await shell.types("3")
    assert shell.chat == [shell.say("remind_stopped.text")]
    assert await waits(shell) == []


async def test_the_digit_of_a_stop_on_the_reminder_stops_though_there_is_a_case(
    shell: Shell,
) -> None:
    await shell.done(chosen())
    await shell.opens_case()
    await shell.taps("start")
    comes(shell, await reminded(shell))
    await shell.types("3")
    assert shell.chat == [shell.say("remind_stopped.text")]
    assert await waits(shell) == []
    assert await kept_for_the_desk(shell) == [("3", True)]


async def test_a_digit_means_the_cover_again_once_she_has_read_what_was_new(shell: Shell) -> None:
    await shell.done(chosen())
    comes(shell, await reminded(shell))
    await passes_the_gate(shell)
    await shell.taps("start")
    starts_anew(shell)
    await shell.types("3")
    assert shell.chat == [shell.say("cover_phones.text")]
    assert len(await waits(shell)) == 1


async def test_a_digit_of_one_who_was_not_reminded_means_the_cover(shell: Shell) -> None:
    await shell.done(chosen())
    starts_anew(shell)
    await shell.types("3")
    assert shell.chat == [shell.say("cover_phones.text")]
    assert len(await waits(shell)) == 1


async def test_only_for_a_digit_where_no_window_is_known_is_the_store_asked(
    shell: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []
    real = shell.phen.store.reminded_in

    async def counts(channel: str, address: str) -> str | None:
        asked.append(channel)
        return await real(channel, address)

    monkeypatch.setattr(shell.phen.store, "reminded_in", counts)
    for text in ("ало", "33", "9", "мусака"):
        starts_anew(shell)
        await shell.types(text)
    starts_anew(shell)
    await shell.taps("home")
    await shell.types("3")
    assert asked == []
    starts_anew(shell)
    await shell.types(" 3 ")
    assert asked == ["paper"]


async def test_a_stop_that_could_not_be_kept_says_so_under_a_cover_and_can_be_tried_again(
    shell: Shell,
) -> None:
    await shell.done(chosen())
    goes_away(shell)
    with pytest.raises(NotHandled):
        await shell.taps("remind_stop")
    await shell.settled()
    comes_back(shell)
    assert shell.chat == [shell.say("remind_not_stopped.text")]
    assert shell.channel.sent[-1].cover
    assert shell.channel.sent[-1].choices[0].payload == "bg:remind_stop"
    await shell.taps("remind_stop")
    assert await waits(shell) == []


async def test_a_stop_of_before_an_outage_is_kept_and_a_wish_of_before_it_is_not(
    shell: Shell,
) -> None:
    await shell.done(chosen(), overtaken=True)
    assert await waits(shell) == []
    await shell.done(chosen())
    await shell.done(Tapped(Position("bg", "remind_stop")), overtaken=True)
    assert await waits(shell) == []


async def test_while_the_line_is_stopped_none_is_taken_and_a_stop_still_works(
    shell: Shell,
) -> None:
    await shell.done(chosen("rse05"))
    await shell.phen.stop.set(True)
    await shell.done(chosen("rse27"))
    assert shell.chat == [shell.say("stopped.text")]
    assert [one.municipality for one in await waits(shell)] == ["rse05"]
    await shell.taps("remind_stop")
    assert shell.chat == [shell.say("remind_stopped.text")]
    assert await waits(shell) == []


async def test_her_leaving_told_again_ends_none_that_she_began_since(shell: Shell) -> None:
    left = shell.phen.now()
    shell.clock.passes(hours=1.5)
    await shell.done(chosen())
    await shell.phen.conversation.blocked(*shell.her, left)
    assert await waits(shell)
    await shell.phen.conversation.blocked(*shell.her, shell.phen.now())
    assert not await waits(shell)


async def test_delete_everything_ends_them(shell: Shell) -> None:
    await shell.done(chosen())
    door = next(n.id for n in CONTENT.nodes.values() if n.kind is NodeKind.FORGET)
    await shell.taps(door)
    assert await waits(shell) == []


# --- where nothing can ring ----------------------------------------------------------------------


class QuietPaper(PaperChannel):
    """A platform on which nothing can come to her by itself."""

    limits = replace(LIMITS, rings=False)


async def test_where_nothing_rings_a_stop_needs_no_database(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with a_shell(tmp_path, monkeypatch, channel=QuietPaper()) as shell:
        goes_away(shell)
        await shell.taps("remind_stop")
        comes_back(shell)
        assert shell.chat == [shell.say("remind_stopped.text")]


async def test_where_messages_cost_money_later_it_rings_when_her_screen_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with a_shell(tmp_path, monkeypatch, channel=LastingPaper()) as shell:
        await shell.phen.store.save_receptions([IN_VETOVO])
        shell.clock.at = datetime(2026, 11, 28, 15, 20, tzinfo=SOFIA).astimezone(UTC)
        await shell.done(chosen())
        assert "\nутре, 14:50\n" in shell.chat[-1]
        promised = datetime(2026, 11, 29, 14, 50, tzinfo=SOFIA)
        ring = shell.phen.store.remind
        for minutes, due in (-1, 0), (0, 1):
            shell.clock.at = (promised + timedelta(minutes=minutes)).astimezone(UTC)
            assert await ring(shell.clock(), shell.phen.mailer._free_until) == due


async def test_where_nothing_rings_she_is_told_so_and_no_row_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with a_shell(tmp_path, monkeypatch, channel=QuietPaper()) as shell:
        await shell.phen.store.save_receptions([IN_VETOVO])
        before = await shell.phen.store.counts()
        await shell.done(chosen())
        [window] = shell.chat
        assert window.startswith(shell.say("remind_not_here.text"))
        assert "Читалището" in window
        await passes_the_gate(shell)
        assert shell.chat == [shell.say("home.text")]
        assert await shell.phen.store.counts() == before


async def test_a_chat_that_keeps_everything_is_told_that_reminders_stay(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with a_shell(tmp_path, monkeypatch, channel=LastingPaper()) as shell:
        await shell.taps("remind_words")
        assert shell.chat[-1] == shell.say("remind_words.lasting_text")


# --- what her phone shows ------------------------------------------------------------------------


def phone_shows(words: str, reception: Reception | None, reminder: Reminder | None = None) -> str:
    return fills.reminder_words(TEXTS, "bg", words, reception, NOW, reminder)


def test_day_hour_and_place_stand_there_only_where_they_are_true() -> None:
    when = "вторник, 1 декември, 10:00, Читалището"
    assert phone_shows(WHEN_WORDS, IN_VETOVO, Reminder.BEFORE) == when
    changed, news = TEXTS.say("bg", "remind.words.changed"), TEXTS.say("bg", "remind.words.news")
    assert phone_shows(WHEN_WORDS, IN_VETOVO, Reminder.MOVED) == changed
    cancelled = replace(IN_VETOVO, state=ReceptionState.CANCELLED)
    assert phone_shows(WHEN_WORDS, cancelled, Reminder.CANCELLED) == changed
    assert phone_shows(WHEN_WORDS, cancelled) == changed
    assert phone_shows(WHEN_WORDS, None) == news
    assert phone_shows(WHEN_WORDS, replace(IN_VETOVO, start=NOW)) == news


def test_a_place_that_tells_what_the_line_is_about_never_stands_on_her_phone() -> None:
    telling = replace(IN_VETOVO, place="Център срещу насилие")
    assert phone_shows(WHEN_WORDS, telling) == TEXTS.say("bg", "remind.words.news")


def test_other_words_stay_as_she_chose_them_whatever_happens() -> None:
    for reminder in (*Reminder, None):
        assert phone_shows("remind_words.go.a", IN_VETOVO, reminder) == "Рецепта за днес"
    gone = phone_shows("remind_words.go.of_old", IN_VETOVO)
    assert gone == TEXTS.say("bg", "remind.words.news")


@pytest.mark.parametrize("language", CONTENT.languages)
@pytest.mark.parametrize("limits", [telegram.LIMITS, viber.LIMITS], ids=["telegram", "viber"])
def test_a_reminder_is_a_cover_that_rings_and_can_be_stopped(limits: Limits, language: str) -> None:
    screen = engine.screen(CONTENT, Position(language, REMINDER))
    message = render.reminder("Рецепта", language, screen, TEXTS, limits, NOW)
    assert message.text == "Рецепта"
    assert (message.cover, message.window, message.silent, message.in_case) == (
        True,
        True,
        False,
        False,
    )
    assert message.marks == ()
    targets = [choice.payload.split(":")[1] for choice in message.choices]
    assert targets == ["start", "cover_phones", "remind_stop"]
    assert message.picture == (screen.picture if limits.picture else None)


@pytest.mark.parametrize("language", CONTENT.languages)
def test_nothing_of_what_comes_to_her_phone_says_what_it_is_about(language: str) -> None:
    rules = lint.load_rules()
    ids = ["reminder.text", "remind_stopped.text", "remind_not_stopped.text"]
    ids += [c.label for n in (REMINDER, "remind_words") for c in CONTENT.nodes[n].choices]
    said = [TEXTS.say(language, each) for each in ids]
    said += [fills.reminder_words(TEXTS, language, WHEN_WORDS, IN_VETOVO, NOW, r) for r in Reminder]
    for phrase in rules.topic_words[language]:
        assert [each for each in said if lint.has(phrase, each)] == []


def test_the_hours_that_she_can_choose_are_those_that_the_plan_knows() -> None:
    [asked] = [node for node in CONTENT.nodes.values() if node.slot == HOURS_SLOT]
    assert {choice.value for choice in asked.choices} == set(SAFE_HOURS)
    for choice in asked.choices:
        first, last = SAFE_HOURS[choice.value or ""]
        for language in CONTENT.languages:
            label = TEXTS.say(language, choice.label)
            assert str(first) in label
            assert str(last) in label


# --- what she reads ------------------------------------------------------------------------------


def waiting(reception: Reception, **other: object) -> Subscription:
    known = Subscription(
        "s",
        reception.municipality,
        "day",
        reception.id,
        plan.fingerprint(reception),
        reception.start,
        NOW,
        frozenset(),
        silent=False,
        renew=False,
        until=reception.end,
    )
    return replace(known, **other)  # type: ignore[arg-type]


async def read(shell: Shell, place: str, *hers: fills.Waits) -> str:
    inside = shell.phen.screens._fills
    screen = engine.screen(CONTENT, Position("bg", "remind_mine", (("m", place),)))
    words, shown = await inside.of_reminders(screen, fills.most_telling_first(hers), shell.channel)
    assert sorted(one.municipality for one, _ in shown.waits) == ["rse05", "rse27"]
    return words


async def test_what_was_changed_stands_first_and_the_others_in_short(shell: Shell) -> None:
    moved = replace(IN_RUSE, place="Гарата")
    said = await read(shell, "rse05", (waiting(IN_VETOVO), IN_VETOVO), (waiting(IN_RUSE), moved))
    assert said.index("Гарата") < said.index("Читалището")
    assert said.count(shell.say("remind.changed")) == 1
    said = await read(shell, "rse05", (waiting(IN_VETOVO), IN_VETOVO), (waiting(IN_RUSE), IN_RUSE))
    assert "Читалището" in said
    assert "Пазара" not in said
    assert "Община Русе\nвторник, 1 декември, 10:00–14:00" in said


async def test_what_is_cancelled_is_never_told_in_short(shell: Shell) -> None:
    cancelled = replace(IN_RUSE, state=ReceptionState.CANCELLED)
    hers = (waiting(IN_VETOVO), IN_VETOVO), (waiting(cancelled), cancelled)
    assert shell.say("receptions.cancelled") in await read(shell, "rse05", *hers)


def test_it_does_not_tell_of_a_ring_for_what_she_is_reading() -> None:
    moved = replace(IN_VETOVO, place="Гарата")
    said = fills.reminded_words(TEXTS, "bg", waiting(IN_VETOVO), moved, NOW)
    assert "29 ноември, 18:00" in said
    assert "днес" not in said


async def test_of_one_moved_to_an_earlier_time_and_over_she_reads_so_and_when_the_next_is(
    shell: Shell,
) -> None:
    for place in ("rse05", "rse27"):
        await shell.done(chosen(place))
    await changes(shell, start=shell.clock(), end=shell.clock() + timedelta(hours=1))
    shell.clock.passes(hours=2)
    for _ in range(2):  # and as long as it is kept, though she knows by now
        await shell.taps("remind_mine")
        assert f"Община Ветово\n{shell.say('remind.over')}" in shell.chat[0]
        assert shell.say("remind.no_next") in shell.chat[0]
        assert shell.say("remind.late") not in shell.chat[0]
        assert "днес" not in shell.chat[0]
    later = START + timedelta(days=7)
    planned = replace(IN_VETOVO, id="r3", start=later, end=later + timedelta(hours=4))
    await shell.phen.store.save_receptions([planned])
    await shell.taps("remind_mine")
    after = shell.say("remind.next") + "\nвторник, 8 декември, 10:00–14:00\nЧиталището"
    assert shell.chat[0].count(after) == 1


@pytest.mark.parametrize("language", CONTENT.languages)
def test_the_longest_that_she_reads_of_one_fits_the_smallest_window(language: str) -> None:
    longest = replace(IN_VETOVO, municipality="rse33", place="м" * 120, landmark="о" * 120)
    one = waiting(IN_VETOVO, municipality="rse33", known_at=None)
    screen = engine.screen(CONTENT, Position(language, "remind_mine"))
    over = replace(longest, start=NOW - timedelta(hours=2), end=NOW - timedelta(hours=1))
    for hers, coming in ((longest, None), (over, longest)):
        added = fills.reminded_words(TEXTS, language, one, hers, NOW, coming=coming)
        for limits in (telegram.LIMITS, viber.LIMITS, web.LIMITS):
            window = render.render(screen, TEXTS, limits, NOW, added=added)
            assert not window.text.endswith("…")
