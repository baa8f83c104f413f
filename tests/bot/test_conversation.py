"""The path of one message: from her to what stands on her screen and in the store."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy.exc import OperationalError

from bot import conversation as conversation_of
from bot.storage.records import CaseState, MessageState
from dialogs import engine
from dialogs.model import MediaKind, Position, Sent, Started, Tapped, Typed
from tests.bot.paper import HER, Shell, a_shell

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


def comes_back(shell: Shell) -> None:
    shell.phen.handover._store = shell.phen.store
    shell.phen.delivery._store = shell.phen.store
    shell.phen.conversation._store = shell.phen.store


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
    monkeypatch.setattr(conversation_of, "REMEMBERED", 5)
    for _ in range(20):
        await shell.taps("home")
    assert len(shell.phen.conversation._handled) == 5
    assert shell.phen.conversation._lines == {}
    assert shell.phen.conversation._tasks == set()


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
    shell.phen.conversation.idle(HER)
    await shell.settled()
    assert shell.chat == [shell.say("start.text")]
    assert not (await shell.case()).present


async def test_words_under_a_cover_are_kept_and_the_cover_stays(shell: Shell) -> None:
    await shell.opens_case()
    shell.phen.conversation.idle(HER)
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


async def test_a_photo_in_a_case_is_declined_in_words(shell: Shell) -> None:
    case = await shell.opens_case()
    await shell.sends(MediaKind.PHOTO)
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
        patched.setattr(shell.phen.handover, "arrive", lambda who: _nothing())
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
    assert {name for name in after if after[name] != before[name]} <= {"audit"}
    assert "hers" not in shell.chat
    assert len(shell.chat) == 1


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
    assert shell.phen.conversation._lines == {}
