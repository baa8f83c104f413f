"""The path of one message: from her to what stands on her screen and in the store."""

from __future__ import annotations

import asyncio
import io
import logging
from collections.abc import AsyncIterator
from datetime import time
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from sqlalchemy.exc import OperationalError

from bot import handover as handover_of
from bot import lines as lines_of
from bot.channels.base import Fetch, Incoming, Unsent
from bot.lines import NotHandled
from bot.storage.records import Case, CaseState, MediumKind, MessageState, StaffMember
from dialogs import engine
from dialogs.model import CASE, HIDE, START, MediaKind, Position, Sent, Started, Tapped, Typed
from scheduler.duty import Hours, Weekly
from tests.bot.paper import HER, LastingPaper, PaperChannel, Shell, a_shell

SECRET = "той знае къде съм"


@pytest.fixture
async def shell(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Shell]:
    async with a_shell(tmp_path, monkeypatch) as shell:
        yield shell


class Away:
    """A database that is away: each of its calls fails as the library's would."""

    def __init__(self, real: object, *names: str) -> None:
        self._real, self._names = real, names

    def __getattr__(self, name: str) -> Any:
        if self._names and name not in self._names:
            return getattr(self._real, name)

        async def fails(*_: object, **__: object) -> None:
            raise OperationalError("SELECT 1", {"said": SECRET}, Exception("database is locked"))

        return fails


def goes_away(shell: Shell, *names: str) -> None:
    away = Away(shell.phen.store, *names)
    shell.phen.handover._store = away  # type: ignore[assignment]
    shell.phen.delivery._store = away  # type: ignore[assignment]
    shell.phen.conversation._store = away  # type: ignore[assignment]
    shell.phen.screens._store = away  # type: ignore[assignment]


def comes_back(shell: Shell) -> None:
    shell.phen.handover._store = shell.phen.store
    shell.phen.delivery._store = shell.phen.store
    shell.phen.conversation._store = shell.phen.store
    shell.phen.screens._store = shell.phen.store


# --- browsing ------------------------------------------------------------------------------


async def test_who_opens_the_line_sees_the_cover_alone(shell: Shell) -> None:
    await shell.done(Started())
    assert shell.chat == [shell.say("start.text")]


async def test_reading_writes_no_row(shell: Shell) -> None:
    before = await shell.phen.store.counts()
    await shell.done(Started())
    for node in ("gate_language", "home", "danger", "meet", "talk", "hide"):
        await shell.taps(node)
    await shell.types("какво е това")
    await shell.sends(MediaKind.PHOTO)
    assert await shell.phen.store.counts() == before


async def test_what_she_types_outside_a_case_is_removed(shell: Shell) -> None:
    await shell.taps("home")
    await shell.types("какво да правя")
    assert "hers" not in shell.chat
    assert len(shell.chat) == 1


async def test_a_tap_that_comes_late_opens_the_cover(shell: Shell) -> None:
    await shell.done(Tapped(Position("bg", "danger"), fresh=False))
    assert shell.chat == [shell.say("start.text")]


@pytest.mark.parametrize("digits", ["0011", "0021", "00", "1" * 5000, "٣", "²", "-1"])
async def test_any_digits_leave_the_line_alive(shell: Shell, digits: str) -> None:
    await shell.taps("home")
    await shell.types(digits)
    await shell.taps("danger")
    assert shell.chat == [shell.say("danger.text")]


async def test_the_same_delivery_twice_is_handled_once(shell: Shell) -> None:
    await shell.opens_case()
    for _ in range(2):
        await shell.types("ало", key="77")
    assert [m.text for m in await shell.phen.store.messages((await shell.case()).id)] == ["ало"]


async def test_two_women_write_at_once_and_nothing_crosses(shell: Shell) -> None:
    other = HER._replace(address="2")
    await shell.taps("talk_yes")
    await shell.taps("talk_yes", who=other)
    for number in range(5):
        shell.does(Typed(f"a{number}"))
        shell.does(Typed(f"b{number}"), who=other)
    await shell.settled()
    await shell.settled(other)
    for who, letter in ((HER, "a"), (other, "b")):
        case = await shell.phen.store.case_of(*who)
        assert case is not None
        texts = [message.text for message in await shell.phen.store.messages(case.id)]
        assert texts == [f"{letter}{number}" for number in range(5)]


# --- when it counts as received ------------------------------------------------------------


async def test_a_tap_counts_at_once_and_words_only_when_they_are_kept(shell: Shell) -> None:
    await shell.opens_case()
    assert shell.does(Tapped(Position("bg", "danger"))).done()
    words = shell.does(Typed("ало"))
    assert not words.done()
    await words
    case = await shell.case()
    assert [m.text for m in await shell.phen.store.messages(case.id)] == ["ало"]


@pytest.mark.parametrize("node", ["talk_yes", "case_end_yes", "forget_yes"])
async def test_a_tap_that_changes_what_is_stored_counts_when_it_is_done(
    shell: Shell, node: str
) -> None:
    tap = shell.does(Tapped(Position("bg", node)))
    assert not tap.done()
    await tap


async def test_words_that_could_not_be_kept_are_not_acknowledged(
    shell: Shell, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    await shell.opens_case()
    goes_away(shell)
    words = shell.does(Typed(SECRET), key="9")
    await shell.settled()
    assert words.done()
    error = words.exception()
    assert error is not None
    assert SECRET not in repr(error)
    assert shell.say("error.text") in shell.chat
    comes_back(shell)
    await shell.does(Typed(SECRET), key="9")
    case = await shell.case()
    assert [m.text for m in await shell.phen.store.messages(case.id)] == [SECRET]
    assert SECRET not in caplog.text


async def test_112_and_hide_need_no_database(shell: Shell) -> None:
    await shell.opens_case()
    goes_away(shell)
    await shell.taps("danger")
    assert shell.say("danger.text") in shell.chat
    await shell.taps("hide")
    assert shell.chat == []


async def test_nine_hides_a_case_though_the_database_is_away(shell: Shell) -> None:
    await shell.opens_case()
    goes_away(shell)
    words = shell.does(Typed("9"))
    await shell.settled()
    assert words.exception() is not None  # it comes again, and is kept then
    assert [text for text in shell.chat if text != "hers"] == []


async def test_after_a_failure_on_the_cover_she_still_sees_the_cover(shell: Shell) -> None:
    await shell.done(Started())
    goes_away(shell)
    await asyncio.wait([shell.does(Typed("ало"))])
    await shell.settled()
    assert shell.say("start.text") in shell.chat
    assert shell.say("error.text") not in shell.chat


async def test_a_fault_in_the_engine_shows_112_and_leaves_the_line_alive(
    shell: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> None:
        raise IndexError(SECRET)

    await shell.taps("home")
    with monkeypatch.context() as patched:
        patched.setattr(engine, "step", broken)
        await asyncio.wait([shell.does(Typed(SECRET))])
        await shell.settled()
        assert shell.say("danger.text") in shell.chat
    await shell.taps("home")
    assert shell.say("home.text") in shell.chat


async def test_memory_of_deliveries_is_bounded(
    shell: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lines_of, "REMEMBERED", 5)
    for _ in range(20):
        await shell.taps("home")
    assert len(shell.phen.conversation._lines._handled) == 5
    assert len(shell.phen.conversation._lines) == 0
    assert list(shell.phen.conversation._tasks) == []


# --- in a case -----------------------------------------------------------------------------


async def test_a_case_opens_once_and_shows_that_she_waits(shell: Shell) -> None:
    await shell.opens_case()
    await shell.taps("talk_yes")
    assert len(await shell.phen.store.open_cases()) == 1
    assert shell.say("case.text") in shell.chat[-1]


@pytest.mark.parametrize("typed", ["9", "{safe}"])
async def test_hide_from_a_case_leaves_nothing_and_holds_it(shell: Shell, typed: str) -> None:
    await shell.opens_case()
    await shell.types("ало")
    await shell.types(typed.replace("{safe}", shell.phen.content.safe_words["bg"][0]))
    assert shell.chat == []
    assert not (await shell.case()).present


async def test_the_safe_word_is_never_kept(shell: Shell) -> None:
    await shell.opens_case()
    await shell.types(shell.phen.content.safe_words["bg"][0])
    assert await shell.phen.store.messages((await shell.case()).id) == []


async def test_a_window_left_alone_becomes_the_cover_and_her_case_is_held(shell: Shell) -> None:
    await shell.opens_case()
    await shell.types("ало")
    shell.phen.screens.idle(HER)
    await shell.settled()
    assert shell.chat == [shell.say("start.text")]
    assert not (await shell.case()).present


async def test_words_under_a_cover_are_kept_and_the_cover_stays(shell: Shell) -> None:
    await shell.opens_case()
    shell.phen.screens.idle(HER)
    await shell.settled()
    await shell.types("още съм тук")
    case = await shell.case()
    assert [m.text for m in await shell.phen.store.messages(case.id)] == ["още съм тук"]
    assert shell.say("case.text") not in " ".join(shell.chat)


async def test_beyond_the_gate_her_case_comes_first(shell: Shell) -> None:
    await shell.opens_case()
    await shell.taps("hide")
    await shell.taps("inside")
    assert shell.say("case.text") in shell.chat[-1]
    assert (await shell.case()).present


@pytest.mark.parametrize("kind", [MediaKind.CONTACT, MediaKind.LOCATION, MediaKind.OTHER])
async def test_what_is_never_taken_is_declined_in_words(shell: Shell, kind: MediaKind) -> None:
    case = await shell.opens_case()
    await shell.sends(kind, fetch=never_fetched)
    said = await shell.phen.store.messages(case.id)
    assert [m.text for m in said] == [shell.say("notice.cannot_take")]
    assert said[0].state is MessageState.DUE


@pytest.mark.parametrize("event", [Typed("чуваш ли"), Sent(MediaKind.VOICE)])
async def test_a_case_closed_meanwhile_leads_to_the_door_of_a_new_one(
    shell: Shell, event: Typed | Sent, monkeypatch: pytest.MonkeyPatch
) -> None:
    case = await shell.opens_case()

    async def as_it_was(*_: object) -> object:
        return case

    await shell.phen.store.close_case(case.id, None, "closed")
    with monkeypatch.context() as patched:
        patched.setattr(shell.phen.handover, "case_of", as_it_was)
        patched.setattr(shell.phen.handover, "arrive", lambda *_: _nothing())
        await shell.does(event)
        await shell.settled()
    assert len(shell.chat) == 1  # and what she wrote is not left behind
    assert shell.say("talk.text") in shell.chat[0]


async def _nothing() -> None:
    return None


async def test_an_ended_case_is_over_on_her_screen_and_at_the_desk(shell: Shell) -> None:
    case = await shell.opens_case()
    await shell.taps("case_end_yes")
    closed = await shell.phen.store.case(case.id)
    assert closed is not None
    assert closed.state is CaseState.CLOSED
    window = shell.phen.windows.get(HER)
    assert window is not None
    assert not window.in_case


async def test_a_page_that_opens_again_after_the_end_is_in_no_case(shell: Shell) -> None:
    await shell.opens_case()
    await shell.taps("case_end_yes")
    shell.phen.conversation.here(*HER)
    await shell.settled()
    window = shell.phen.windows.get(HER)
    assert window is None or not window.in_case


async def test_delete_everything_leaves_no_row_and_no_message_of_the_case(shell: Shell) -> None:
    before = await shell.phen.store.counts()
    await shell.opens_case()
    await shell.types("ало")
    await shell.taps("forget_yes")
    after = await shell.phen.store.counts()
    changed = {name for name in after if after[name] != before[name]}
    assert changed <= {"audit", "tallies"}  # what the centre counts says nothing of her
    assert "hers" not in shell.chat
    assert len(shell.chat) == 1


# --- photos and voice ----------------------------------------------------------------------


async def never_fetched() -> bytes:
    raise AssertionError("fetched without her leave")


async def a_photo() -> bytes:
    drawn = io.BytesIO()
    Image.new("RGB", (40, 30), "red").save(drawn, "PNG")
    return drawn.getvalue()


async def no_photo() -> bytes:
    return b"not a picture at all"


async def out_of_reach() -> bytes:
    raise Unsent


async def said_in(shell: Shell) -> list[str]:
    case = await shell.case()
    return [message.text for message in await shell.phen.store.messages(case.id)]


@pytest.mark.parametrize("kind", [MediaKind.PHOTO, MediaKind.VOICE])
async def test_without_her_leave_no_photo_and_no_voice_is_even_fetched(
    shell: Shell, kind: MediaKind
) -> None:
    await shell.opens_case()
    await shell.sends(kind, fetch=never_fetched)
    assert await said_in(shell) == [shell.say("notice.media_ask")]


async def test_once_she_agreed_her_photo_reaches_the_consultant(shell: Shell) -> None:
    case = await shell.opens_case()
    await shell.taps("case_media_yes")
    assert shell.say("case.text") in shell.chat[-1]
    assert shell.channel.sent[-1].takes_media
    await shell.sends(MediaKind.PHOTO, fetch=a_photo)
    maria = await shell.consultant()
    assert await shell.phen.desk.claim(maria, case.id)
    [hers, _] = (await shell.phen.desk.open(maria, case.id)).messages
    medium = await shell.phen.desk.medium(maria, case.id, hers.id)
    assert medium.kind is MediumKind.PHOTO
    assert Image.open(io.BytesIO(medium.data)).size == (40, 30)


async def test_a_new_case_asks_for_her_leave_anew(shell: Shell) -> None:
    await shell.opens_case()
    await shell.taps("case_media_yes")
    await shell.taps("case_end_yes")
    await shell.opens_case()
    assert not shell.channel.sent[-1].takes_media
    await shell.sends(MediaKind.PHOTO, fetch=never_fetched)
    assert await said_in(shell) == [shell.say("notice.media_ask")]


@pytest.mark.parametrize("fetch", [no_photo, out_of_reach])
async def test_a_photo_that_cannot_be_opened_is_told_so_and_the_line_goes_on(
    shell: Shell, fetch: Fetch
) -> None:
    await shell.opens_case()
    await shell.taps("case_media_yes")
    await shell.sends(MediaKind.PHOTO, fetch=fetch)
    await shell.types("тогава с думи")
    assert await said_in(shell) == [shell.say("notice.media_failed"), "тогава с думи"]


async def test_where_the_platform_gives_us_none_she_is_not_asked_to_agree_again(
    shell: Shell,
) -> None:
    await shell.opens_case()
    await shell.taps("case_media_yes")
    await shell.sends(MediaKind.VOICE)
    assert await said_in(shell) == [shell.say("notice.cannot_take")]


async def test_a_photo_of_before_an_outage_is_kept_and_shows_nothing(shell: Shell) -> None:
    case = await shell.opens_case()
    await shell.taps("case_media_yes")
    await shell.taps("hide")
    await shell.sends(MediaKind.PHOTO, fetch=a_photo, overtaken=True)
    [hers] = await shell.phen.store.messages(case.id)
    assert (hers.medium, hers.covered) == (MediumKind.PHOTO, True)
    assert [text for text in shell.chat if text != "hers"] == []


async def test_agreeing_without_a_case_is_harmless(shell: Shell) -> None:
    await shell.taps("case_media_yes")
    assert shell.say("case_ended.text") in shell.chat[-1]
    assert await shell.phen.store.open_cases() == []


# --- who may have written it ---------------------------------------------------------------


async def marked_covered(shell: Shell) -> list[bool]:
    return [m.covered for m in await shell.phen.store.messages((await shell.case()).id)]


async def test_what_is_written_under_a_cover_is_marked_since_it_may_not_be_she(
    shell: Shell,
) -> None:
    await shell.opens_case()
    await shell.types("аз съм")
    shell.phen.screens.idle(HER)
    await shell.settled()
    await shell.types("кой си ти")
    await shell.taps("inside")
    await shell.types("пак съм аз")
    assert await marked_covered(shell) == [False, True, False]


async def test_what_is_written_after_hide_is_marked(shell: Shell) -> None:
    await shell.opens_case()
    await shell.taps("hide")
    await shell.types("кой си ти")
    assert await marked_covered(shell) == [True]


async def test_what_is_written_on_her_page_is_marked_by_where_the_page_stands(
    lasting: Shell,
) -> None:
    await lasting.opens_case()
    await lasting.types("аз съм", at=FRESH)
    await lasting.taps("hide")
    await lasting.types("кой си ти", at=Position("bg", START))
    assert await marked_covered(lasting) == [False, True]


async def test_words_of_before_an_outage_are_marked_where_nobody_knows_her_window(
    shell: Shell,
) -> None:
    await shell.opens_case()
    await shell.taps("hide")
    await shell.types("преди това", overtaken=True)
    assert await marked_covered(shell) == [True]


@pytest.mark.parametrize("text", ["/close", "/claim", "/note тайна", "/start", "/стоп"])
async def test_a_command_of_the_staff_is_plain_text_from_her(shell: Shell, text: str) -> None:
    case = await shell.opens_case()
    await shell.types(text)
    assert await said_in(shell) == [text]
    assert (await shell.case()).id == case.id


# --- who is there, and what changes --------------------------------------------------------


async def test_nobody_on_duty_is_said_with_lines_that_answer_now_and_her_words_wait(
    shell: Shell,
) -> None:
    await shell.taps("talk")
    assert shell.say("duty.nobody") in shell.chat[-1]
    await shell.opens_case()
    assert shell.say("duty.nobody") in shell.chat[-1]
    assert shell.say("notice.out_of_hours") in shell.chat[-1]
    await shell.types("прочетете го сутринта")
    assert await said_in(shell) == ["прочетете го сутринта"]
    assert shell.say("case.waiting") not in shell.chat[-1]


async def on_duty(shell: Shell, member: StaffMember, start: int, end: int) -> None:
    hours = Hours(time(start), time(end))
    week = [Weekly(member.id, day, hours) for day in range(7)]
    await shell.phen.store.set_weekly(member.id, week)


async def test_she_is_told_who_is_there_by_alias_or_role_and_when_somebody_is_next(
    shell: Shell,
) -> None:
    maria = await shell.consultant(alias="Мария")
    await on_duty(shell, maria, 9, 17)  # it is noon
    await shell.taps("talk")
    assert shell.say("duty.now_is", who="Мария") in shell.chat[-1]
    await on_duty(shell, await shell.consultant("elena"), 11, 13)
    await shell.taps("talk_ready")
    both = f"{shell.say('case.role')}, Мария"
    assert shell.say("duty.now_is", who=both) in shell.chat[-1]
    assert "maria" not in shell.chat[-1]
    assert "elena" not in shell.chat[-1]
    shell.clock.passes(hours=6)
    await shell.taps("talk")
    when = f"{shell.say('receptions.tomorrow')}, 09:00"
    assert shell.say("duty.next", when=when) in shell.chat[-1]


async def test_who_speaks_another_language_is_said_to(shell: Shell) -> None:
    await on_duty(shell, await shell.consultant(), 9, 17)
    await shell.taps("talk", language="tr")
    speaks = shell.say("language.name", "bg")
    assert shell.say("duty.other_language", "tr", languages=speaks) in shell.chat[-1]


async def test_while_somebody_is_on_duty_she_is_told_that_a_human_is_called(
    shell: Shell,
) -> None:
    await on_duty(shell, await shell.consultant(), 9, 17)
    await shell.opens_case()
    assert shell.say("case.waiting") in shell.chat[-1]


@pytest.mark.parametrize("alias", ["", "Мария"])
async def test_an_answer_comes_under_the_role_or_the_chosen_alias(shell: Shell, alias: str) -> None:
    case = await shell.opens_case()
    maria = await shell.consultant("maria", alias)
    assert await shell.phen.desk.claim(maria, case.id)
    await shell.phen.desk.reply(maria, case.id, "тук съм", "k")
    for _ in range(4):
        await shell.deliver()
    [answer] = [message for message in shell.channel.sent if message.text == "тук съм"]
    assert answer.author == (alias or shell.say("case.role"))


async def delivered(shell: Shell) -> None:
    for _ in range(4):
        await shell.deliver()
    await shell.settled()


async def test_her_open_window_says_who_has_her_case_now(shell: Shell) -> None:
    case = await shell.opens_case()
    maria, elena = await shell.consultant(), await shell.consultant("elena")
    desk = shell.phen.desk
    assert await desk.claim(maria, case.id)
    await delivered(shell)
    assert shell.say("case.answered") in shell.chat[0]
    await desk.transfer(maria, case.id, elena.id)
    await delivered(shell)
    assert shell.say("case.answered") in shell.chat[0]
    assert shell.chat[-1] == shell.say("notice.transferred")
    await desk.give_back(elena, case.id)
    await delivered(shell)
    assert shell.say("case.answered") not in shell.chat[0]
    assert shell.say("duty.nobody") in shell.chat[0]
    assert shell.chat[-1] == shell.say("notice.returned")
    assert await desk.claim(elena, case.id)
    await desk.close(elena, case.id)
    await delivered(shell)
    assert shell.say("case_ended.text") in shell.chat[0]
    assert shell.chat[-1] == shell.say("notice.closed")


async def test_a_case_that_is_opened_again_waits_until_she_is_back(shell: Shell) -> None:
    case = await shell.opens_case()
    maria = await shell.consultant()
    await shell.phen.desk.claim(maria, case.id)
    await shell.phen.desk.close(maria, case.id)
    await delivered(shell)
    await shell.taps("hide")
    await shell.phen.desk.reopen(maria, case.id)
    await delivered(shell)
    assert shell.chat == []
    await shell.taps("inside")
    await delivered(shell)
    assert shell.say("case.text") in shell.chat[0]
    assert shell.chat[-1] == shell.say("notice.reopened")


async def test_who_still_looks_at_the_end_and_writes_is_in_the_case_that_was_opened_again(
    shell: Shell,
) -> None:
    case = await shell.opens_case()
    maria = await shell.consultant()
    await shell.phen.desk.claim(maria, case.id)
    await shell.phen.desk.close(maria, case.id)
    await delivered(shell)
    await shell.phen.desk.reopen(maria, case.id)
    await shell.types("още нещо")
    await delivered(shell)
    assert (await shell.case()).present
    assert shell.say("case.text") in shell.chat[0]
    assert shell.say("notice.reopened") in shell.chat
    assert (await said_in(shell))[-1] == "още нещо"


async def test_hide_in_the_middle_of_an_answered_case_leaves_nothing(shell: Shell) -> None:
    case = await shell.opens_case()
    maria = await shell.consultant()
    await shell.phen.desk.claim(maria, case.id)
    await shell.types("ало")
    await shell.phen.desk.reply(maria, case.id, "тук съм", "k")
    await delivered(shell)
    assert "тук съм" in shell.chat
    await shell.taps("hide")
    assert shell.chat == []
    await shell.phen.desk.reply(maria, case.id, "чувате ли", "k2")
    await shell.phen.desk.give_back(maria, case.id)
    shell.clock.passes(minutes=20)
    await shell.ticks()
    assert shell.chat == []


@pytest.mark.parametrize("answered", [False, True])
async def test_she_can_end_her_case_at_any_time(shell: Shell, answered: bool) -> None:
    case = await shell.opens_case()
    maria = await shell.consultant()
    if answered:
        await shell.phen.desk.claim(maria, case.id)
        await shell.phen.desk.reply(maria, case.id, "тук съм", "k")
    await shell.taps("case_end")
    await shell.taps("case_end_yes")
    assert shell.say("case_ended.text") in shell.chat[0]
    closed = await shell.phen.store.case(case.id)
    assert closed is not None
    assert closed.state is CaseState.CLOSED


# --- in which language ---------------------------------------------------------------------


async def in_a_bulgarian_case(shell: Shell) -> tuple[StaffMember, Case]:
    case, maria = await shell.opens_case(), await shell.consultant()
    assert await shell.phen.desk.claim(maria, case.id)
    await delivered(shell)
    return maria, case


@pytest.mark.parametrize("door", ["inside", "talk", "talk_yes"])
@pytest.mark.parametrize("kind", [PaperChannel, LastingPaper])
async def test_who_is_back_in_another_language_is_answered_in_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: type[PaperChannel], door: str
) -> None:
    async with a_shell(tmp_path, monkeypatch, channel=kind()) as shell:
        maria, case = await in_a_bulgarian_case(shell)
        await shell.taps("hide")
        desk = shell.phen.desk
        await desk.reply(maria, case.id, "Merhaba", "k")  # held
        await shell.taps(door, "tr")
        await delivered(shell)
        (held,) = [message for message in shell.channel.sent if message.text == "Merhaba"]
        assert shell.say("mark.hide", "tr") in [mark.label for mark in held.marks]
        assert [each.language for each in await desk.mine(maria)] == ["tr"]
        await desk.give_back(maria, case.id)
        assert [each.language for each in await desk.waiting(maria)] == ["tr"]
        shell.clock.passes(minutes=16)
        await shell.ticks()
        await desk.claim(maria, case.id)
        await desk.close(maria, case.id)
        await delivered(shell)
        told = ("returned", "waiting_long", "claimed", "closed")
        assert {shell.say(f"notice.{each}", "tr") for each in told} <= set(shell.channel.shown)


@pytest.mark.parametrize("digit", ["0", "9"])
async def test_a_digit_is_answered_at_once_in_the_language_that_she_reads(
    lasting: Shell, digit: str
) -> None:
    await in_a_bulgarian_case(lasting)
    await lasting.taps("home", "tr")
    await lasting.types(digit)
    assert lasting.channel.sent[-1].language == "tr"
    assert (await lasting.case()).language == "tr", "she wrote at a screen in it"


async def test_where_nobody_knows_what_she_reads_it_is_the_language_of_her_case(
    shell: Shell,
) -> None:
    await shell.taps("talk_yes", "tr")
    shell.phen.windows.drop_all("paper")
    await shell.types("0")
    assert shell.say("danger.text", "tr") in shell.chat[-1]
    assert (await shell.case()).language == "tr"


async def test_what_is_typed_at_the_cover_changes_no_language(shell: Shell) -> None:
    await in_a_bulgarian_case(shell)
    await shell.taps("hide")
    await shell.taps(START, "tr")
    await shell.types("кой си ти")
    assert shell.channel.sent[-1].language == "tr", "the cover stays as it was read"
    assert (await shell.case()).language == "bg", "it may be somebody else's finger"


async def test_what_cannot_be_taken_is_said_in_the_language_that_she_reads(shell: Shell) -> None:
    await in_a_bulgarian_case(shell)
    await shell.taps("talk", "tr")
    await shell.sends(MediaKind.LOCATION)
    await delivered(shell)
    assert shell.chat[-1] == shell.say("notice.cannot_take", "tr")


# --- who is shut out -----------------------------------------------------------------------


async def shut_out(shell: Shell, span: str) -> StaffMember:
    case = await shell.opens_case()
    maria = await shell.consultant()
    assert await shell.phen.desk.claim(maria, case.id)
    await shell.phen.desk.block(maria, case.id, span)
    return maria


async def test_words_of_who_is_shut_out_are_not_taken_and_he_is_told(shell: Shell) -> None:
    await shut_out(shell, "case")
    before = await said_in(shell)
    await shell.types(SECRET)
    assert await said_in(shell) == before
    assert shell.say("blocked.text") in shell.chat[0]
    assert "hers" not in shell.chat


async def test_who_is_shut_out_still_reads_and_finds_112(shell: Shell) -> None:
    await shut_out(shell, "case")
    await shell.types(SECRET)
    for node in ("home", "order", "danger", "meet"):
        await shell.taps(node)
        assert shell.say(shell.phen.content.nodes[node].text) in shell.chat[0]
    await shell.types("0")
    assert shell.chat[0] == shell.say("danger.text")
    await shell.types("9")
    assert shell.chat == []


async def test_under_a_cover_who_is_shut_out_sees_the_cover_alone(shell: Shell) -> None:
    await shut_out(shell, "case")
    shell.phen.screens.idle(HER)
    await shell.settled()
    await shell.types(SECRET)
    assert shell.chat == [shell.say("start.text")]


async def test_who_is_shut_out_cannot_fill_the_case_with_photos_that_are_declined(
    shell: Shell,
) -> None:
    await shut_out(shell, "case")
    case = await shell.case()
    before = await shell.phen.store.messages(case.id)
    for _ in range(3):
        await shell.sends(MediaKind.PHOTO)
        await shell.sends(MediaKind.PHOTO, overtaken=True)
    assert await shell.phen.store.messages(case.id) == before
    assert shell.say("blocked.text") in shell.chat[0]
    shell.phen.screens.idle(HER)
    await shell.settled()
    await shell.sends(MediaKind.PHOTO)
    assert shell.chat[0] == shell.say("start.text")


async def test_while_a_block_lasts_no_new_case_is_opened(shell: Shell) -> None:
    await shut_out(shell, "hour")
    await shell.taps("case_end_yes")
    await shell.taps("talk_yes")
    assert await shell.phen.store.case_of(*HER) is None
    assert shell.say("blocked.text") in shell.chat[0]
    shell.clock.passes(minutes=61)
    await shell.taps("talk_yes")
    assert shell.say("case.text") in shell.chat[0]


async def test_a_block_for_the_case_ends_with_it(shell: Shell) -> None:
    await shut_out(shell, "case")
    await shell.taps("case_end_yes")
    await shell.opens_case()
    await shell.types("здравейте")
    assert await said_in(shell) == ["здравейте"]


async def test_who_is_shut_out_can_still_delete_everything(shell: Shell) -> None:
    await shut_out(shell, "day")
    await shell.taps("forget_yes")
    assert await shell.phen.store.case_of(*HER) is None
    assert shell.say("forget_done.text") in shell.chat[0]


async def test_when_too_many_wait_on_the_web_she_is_told_and_finds_112(
    shell: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(handover_of, "MAX_WAITING_WEB", 0)
    monkeypatch.setattr(handover_of, "WEB", shell.channel.name)
    await shell.taps("talk_yes")
    assert shell.chat == [shell.say("crowded.text")]
    assert await shell.phen.store.open_cases() == []
    await shell.taps("danger")
    assert shell.chat == [shell.say("danger.text")]


# --- the end -------------------------------------------------------------------------------


async def test_a_clean_stop_covers_every_window(shell: Shell) -> None:
    other = HER._replace(address="2")
    await shell.taps("home")
    await shell.taps("danger", who=other)
    await shell.phen.conversation.cover_all()
    cover = [shell.say("start.text")]
    assert shell.chat == cover
    assert shell.channel.chat(other) == cover


async def test_a_clean_stop_covers_what_is_just_coming_in(shell: Shell) -> None:
    await shell.taps("home")
    shell.does(Tapped(Position("bg", "danger")))
    await shell.phen.conversation.cover_all()
    assert shell.chat == [shell.say("start.text")]
    assert len(shell.phen.conversation._lines) == 0


# --- a chat that keeps everything ----------------------------------------------------------

FRESH = Position("bg", CASE)
"""What her phone says of where she typed, while that is no half an hour ago."""


@pytest.fixture
async def lasting(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Shell]:
    async with a_shell(tmp_path, monkeypatch, channel=LastingPaper()) as shell:
        yield shell


def covered(shell: Shell) -> str:
    """What *hide* puts into her chat: enough of recipes to fill the screen, and the cover."""
    covers = shell.phen.content.nodes[HIDE].covers
    assert covers
    return "\n\n".join(shell.say(f"{node}.text") for node in (*covers, START))


def comes(shell: Shell) -> int:
    """How many messages of ours stand in her chat."""
    return len(shell.channel.sent)


async def replies(shell: Shell, text: str, key: str = "k") -> None:
    """A consultant takes her case, if nobody has yet, and answers."""
    case = await shell.case()
    members = await shell.phen.store.all_staff()
    maria = members[0] if members else await shell.consultant()
    if not members:
        assert await shell.phen.desk.claim(maria, case.id)
    await shell.phen.desk.reply(maria, case.id, text, key)
    for _ in range(3):
        await shell.deliver()


@pytest.mark.parametrize("how", ["tap", "9", "{safe}"])
async def test_hide_puts_the_cover_under_recipes_into_a_chat_that_keeps_everything(
    lasting: Shell, how: str
) -> None:
    await lasting.taps("home")
    if how == "tap":
        await lasting.taps("hide")
    else:
        safe = lasting.phen.content.safe_words["bg"][0]
        await lasting.types(how.replace("{safe}", safe), at=Position("bg", "home"))
    cover = lasting.channel.sent[-1]
    assert (cover.text, cover.cover, cover.marks) == (covered(lasting), True, ())
    assert cover.position == Position("bg", START)
    assert comes(lasting) == 2
    assert lasting.phen.windows.open_ones() == []


@pytest.mark.parametrize("how", ["tap", "9", "{safe}"])
async def test_hide_holds_a_case_in_a_chat_that_keeps_everything(lasting: Shell, how: str) -> None:
    await lasting.opens_case()
    if how == "tap":
        await lasting.taps("hide")
    else:
        safe = lasting.phen.content.safe_words["bg"][0]
        await lasting.types(how.replace("{safe}", safe), at=FRESH)
    assert lasting.channel.shown[-1] == covered(lasting)
    assert not lasting.channel.sent[-1].in_case
    assert not (await lasting.case()).present
    before = comes(lasting)
    await replies(lasting, "тук съм")
    assert comes(lasting) == before


async def test_hide_twice_in_a_chat_that_keeps_everything_is_harmless(lasting: Shell) -> None:
    await lasting.opens_case()
    for _ in range(2):
        await lasting.taps("hide")
        assert lasting.channel.shown[-1] == covered(lasting)
    assert lasting.channel.shown[1:] == [covered(lasting)] * 2


async def test_hide_speaks_the_language_of_the_screen_that_it_covers(lasting: Shell) -> None:
    await lasting.taps("home", language="tr")
    await lasting.taps("hide", language="tr")
    assert lasting.channel.sent[-1].language == "tr"
    assert lasting.say("start.text", "tr") in lasting.channel.shown[-1]


async def test_hide_needs_no_database_in_a_chat_that_keeps_everything(lasting: Shell) -> None:
    await lasting.opens_case()
    goes_away(lasting)
    await lasting.taps("hide")
    assert lasting.channel.shown[-1] == covered(lasting)


async def test_words_that_hide_and_could_not_be_kept_still_hide_a_chat_that_keeps_everything(
    lasting: Shell,
) -> None:
    await lasting.opens_case()
    goes_away(lasting)
    words = lasting.does(Typed("9"), at=FRESH)
    await lasting.settled()
    assert words.exception() is not None  # it comes again, and is kept then
    assert lasting.channel.shown[1:] == [covered(lasting)]
    assert lasting.phen.windows.open_ones() == []


async def test_who_comes_back_to_a_chat_that_keeps_everything_finds_what_was_held(
    lasting: Shell,
) -> None:
    await lasting.opens_case()
    await lasting.taps("hide")
    await replies(lasting, "тук съм")
    await lasting.taps("inside")
    for _ in range(3):
        await lasting.deliver()
    assert lasting.channel.shown[-1] == "тук съм"
    assert lasting.channel.shown.count("тук съм") == 1


async def test_to_a_chat_that_keeps_everything_no_cover_comes_by_itself(lasting: Shell) -> None:
    await lasting.opens_case()
    before = comes(lasting)
    lasting.phen.screens.idle(lasting.her)
    await lasting.settled()
    assert comes(lasting) == before
    assert lasting.phen.windows.open_ones() == []
    assert not (await lasting.case()).present
    await replies(lasting, "тук съм")
    assert comes(lasting) == before


async def test_a_clean_stop_sends_nothing_to_a_chat_that_keeps_everything(lasting: Shell) -> None:
    await lasting.opens_case()
    before = comes(lasting)
    await lasting.phen.conversation.cover_all()
    assert comes(lasting) == before
    assert lasting.phen.windows.open_ones() == []
    assert not (await lasting.case()).present


async def test_a_claim_sends_one_message_to_a_chat_that_keeps_everything(lasting: Shell) -> None:
    case = await lasting.opens_case()
    maria = await lasting.consultant()
    before = comes(lasting)
    assert await lasting.phen.desk.claim(maria, case.id)
    for _ in range(3):
        await lasting.deliver()
    await lasting.settled()
    [notice] = lasting.channel.sent[before:]
    assert not notice.window
    assert notice.choices == lasting.channel.sent[before - 1].choices != ()


async def test_the_end_of_a_case_sends_one_message_to_a_chat_that_keeps_everything(
    lasting: Shell,
) -> None:
    await lasting.opens_case()
    await replies(lasting, "тук съм")
    [maria] = await lasting.phen.store.all_staff()
    before = comes(lasting)
    await lasting.phen.desk.close(maria, (await lasting.case()).id)
    for _ in range(3):
        await lasting.deliver()
    await lasting.settled()
    assert [message.window for message in lasting.channel.sent[before:]] == [False]
    window = lasting.phen.windows.get(lasting.her)
    assert window is not None
    assert not window.in_case


async def test_who_writes_on_the_window_of_her_case_is_back_and_gets_what_was_held(
    lasting: Shell,
) -> None:
    await lasting.opens_case()
    lasting.phen.screens.idle(lasting.her)
    await lasting.settled()
    await replies(lasting, "тук съм")
    before = comes(lasting)
    await lasting.types("и аз", at=FRESH)
    assert (await lasting.case()).present
    for _ in range(3):
        await lasting.deliver()
    assert lasting.channel.shown[-1] == "тук съм"
    assert all(not message.window for message in lasting.channel.sent[before:])
    said = await lasting.phen.store.messages((await lasting.case()).id)
    assert "и аз" in [message.text for message in said]


async def test_who_writes_on_the_cover_is_kept_and_stays_away(lasting: Shell) -> None:
    await lasting.opens_case()
    await lasting.taps("hide")
    await replies(lasting, "тук съм")
    await lasting.types("и аз", at=Position("bg", START))
    for _ in range(3):
        await lasting.deliver()
    assert "тук съм" not in lasting.channel.shown
    assert not (await lasting.case()).present
    assert lasting.channel.sent[-1].cover
    said = await lasting.phen.store.messages((await lasting.case()).id)
    assert "и аз" in [message.text for message in said]


async def test_who_writes_on_a_window_of_long_ago_is_kept_and_sees_the_cover(
    lasting: Shell,
) -> None:
    await lasting.opens_case()
    lasting.phen.screens.idle(lasting.her)
    await lasting.settled()
    await lasting.types("чуваш ли")  # her phone's word of where she was is too old to be told
    assert lasting.channel.sent[-1].cover
    assert not (await lasting.case()).present
    said = await lasting.phen.store.messages((await lasting.case()).id)
    assert [message.text for message in said] == ["чуваш ли"]


async def test_our_own_page_is_offered_in_the_gate_of_a_lasting_chat_and_nowhere_else(
    lasting: Shell,
) -> None:
    nodes = ["gate_language", "gate_alone", "gate_lasting", "gate_hide", "home", "danger", "talk"]
    for node in nodes:
        await lasting.taps(node)
    assert [m.position.node for m in lasting.channel.sent if m.position] == nodes
    urls = {
        message.position.node: [choice.url for choice in message.choices if choice.url]
        for message in lasting.channel.sent
        if message.position
    }
    assert [node for node, found in urls.items() if found] == ["gate_lasting"]
    [url] = urls["gate_lasting"]
    code = url.removeprefix(f"{lasting.phen.settings.address}/r/")
    assert lasting.phen.links.position(code) == Position("bg", "gate_hide")


async def test_where_messages_can_be_removed_the_gate_speaks_of_no_page(shell: Shell) -> None:
    await shell.taps("gate_lasting")
    assert shell.chat == [shell.say("gate_hide.text", safe_word=safe_word(shell))]
    assert {choice.url for choice in shell.channel.sent[-1].choices} == {None}


async def test_a_lasting_chat_is_told_what_hide_leaves_there(lasting: Shell) -> None:
    await lasting.taps("gate_hide")
    told = lasting.say("gate_hide.lasting_text", safe_word=safe_word(lasting))
    assert lasting.chat == [told]


def safe_word(shell: Shell) -> str:
    return shell.phen.content.safe_words["bg"][0]


async def test_in_a_lasting_chat_nothing_is_ever_removed_or_swept(lasting: Shell) -> None:
    await lasting.done(Started())
    await lasting.taps("home")
    await lasting.types("какво е това", at=Position("bg", "home"))
    await lasting.taps("hide")
    await lasting.opens_case()
    await replies(lasting, "тук съм")
    await lasting.taps("forget_yes")
    assert await lasting.phen.store.kept_handles(*lasting.her) == []
    assert lasting.chat.count("hers") == 2
    assert len(lasting.chat) == comes(lasting) + 2


# --- she changes what she wrote ------------------------------------------------------------------


async def wrote(shell: Shell, text: str = "едно") -> str:
    """Under which handle her words stand, in an open case."""
    await shell.opens_case()
    await shell.types(text)
    return list(shell.channel.chats[shell.her.address])[-1]


async def test_her_edit_is_what_the_desk_reads(shell: Shell) -> None:
    handle = await wrote(shell)
    await shell.edits(handle, "две")
    assert await said_in(shell) == ["две"]
    await shell.edits(handle, "")
    assert await said_in(shell) == [""]


async def test_an_edit_comes_after_the_words_that_it_changes(shell: Shell) -> None:
    await shell.opens_case()
    written = shell.does(Typed("едно"))
    handle = list(shell.channel.chats[shell.her.address])[-1]
    edited = shell.phen.conversation.edited(*shell.her, handle, "две")
    await asyncio.gather(written, edited)
    assert await said_in(shell) == ["две"]


async def test_an_edit_of_words_that_could_not_be_kept_waits_for_them(shell: Shell) -> None:
    await shell.opens_case()
    goes_away(shell, "add_from_woman")
    with pytest.raises(NotHandled):
        await shell.does(Typed("едно"), key="k")
    handle = list(shell.channel.chats[shell.her.address])[-1]
    comes_back(shell)
    with pytest.raises(NotHandled):
        await shell.edits(handle, "две")
    again = Incoming(*shell.her, Typed("едно"), "k", handle)
    await shell.phen.conversation.accept(again)
    await shell.edits(handle, "две")
    assert await said_in(shell) == ["две"]


async def test_an_edit_that_could_not_be_kept_is_not_acknowledged(shell: Shell) -> None:
    handle = await wrote(shell)
    goes_away(shell, "edit_from_woman")
    with pytest.raises(NotHandled):
        await shell.edits(handle, "две")
    comes_back(shell)
    await shell.edits(handle, "две")
    assert await said_in(shell) == ["две"]


async def test_an_edit_outside_a_case_writes_no_row(shell: Shell) -> None:
    await shell.types("едно")
    before = await shell.phen.store.counts()
    await shell.edits("1", "две")
    assert await shell.phen.store.counts() == before


async def test_an_edit_after_the_end_changes_nothing(shell: Shell) -> None:
    handle = await wrote(shell)
    case = await shell.case()
    await shell.phen.store.close_case(case.id, None, "bye")
    await shell.edits(handle, "две")
    assert [m.text for m in await shell.phen.store.messages(case.id)] == ["едно"]


async def test_an_edit_under_a_cover_is_marked_since_it_may_not_be_she(shell: Shell) -> None:
    handle = await wrote(shell)
    shell.phen.windows.left(shell.her)
    await shell.edits(handle, "две")
    assert await marked_covered(shell) == [True]
