"""The stop switch: one static screen whatever she does, on every channel, and back."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from bot.storage.store import Store
from bot.texts import open_content
from dialogs.model import (
    CASE,
    START,
    STOPPED,
    Event,
    MediaKind,
    NodeKind,
    Position,
    Sent,
    Started,
    Tapped,
    Typed,
)
from tests.bot.paper import HER, LastingPaper, Shell, a_shell
from tests.line import eventually, running_line
from tests.phones import ConsolePhone, Phone, TelegramPhone, ViberPhone, WebPhone
from tests.transcripts.script import DOOR

ANYTHING: list[Event] = [
    Started(),
    Started("code"),
    Tapped(None),
    Tapped(Position("bg", "home"), fresh=False),
    *(Tapped(Position("bg", n)) for n in ("start", "home", "danger", "talk", "case", "inside")),
    *(Tapped(Position("bg", n)) for n in ("talk_yes", "case_end_yes", "forget_yes", "gone")),
    *(Typed(text) for text in ("ало", "0", "1", "помощ той идва", "/start")),
    *(Sent(kind) for kind in MediaKind),
]


@pytest.fixture
async def shell(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Shell]:
    async with a_shell(tmp_path, monkeypatch) as shell:
        yield shell


@pytest.fixture
async def lasting(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Shell]:
    async with a_shell(tmp_path, monkeypatch, channel=LastingPaper()) as shell:
        yield shell


async def stops(shell: Shell) -> None:
    await shell.phen.stop.set(True)
    await shell.settled()


async def said(shell: Shell) -> list[str]:
    case = await shell.case()
    return [message.text for message in await shell.phen.store.messages(case.id)]


@pytest.mark.parametrize("event", ANYTHING, ids=str)
async def test_whatever_she_does_she_sees_one_static_screen(shell: Shell, event: Event) -> None:
    before = await shell.phen.store.counts()
    await stops(shell)
    await shell.done(event)
    assert shell.chat == [shell.say("stopped.text")]
    assert shell.channel.sent[-1].marks == ()
    assert shell.channel.sent[-1].cover
    after = await shell.phen.store.counts()
    assert {n for n in after if after[n] != before[n]} == {"switches"}


async def test_delete_everything_deletes_while_the_line_is_stopped(shell: Shell) -> None:
    await shell.opens_case()
    await shell.types("тайна")
    await stops(shell)
    await shell.taps("forget_yes")
    assert shell.chat == [shell.say("stopped.text")]
    counts = await shell.phen.store.counts()
    assert (counts["cases"], counts["messages"], counts["handles"]) == (0, 0, 0)


async def test_the_static_screen_helps_and_leads_back_to_the_cover(shell: Shell) -> None:
    await stops(shell)
    await shell.taps("home")
    assert "112" in shell.chat[0]
    [again] = shell.channel.sent[-1].choices
    assert again.payload.startswith(f"bg:{START}")


async def test_the_static_screen_speaks_her_language(shell: Shell) -> None:
    await shell.taps("home", language="tr")
    await stops(shell)
    await shell.types("merhaba")
    assert shell.chat == [shell.say("stopped.text", "tr")]


@pytest.mark.parametrize("event", ANYTHING, ids=str)
async def test_a_chat_that_keeps_everything_sees_it_too(lasting: Shell, event: Event) -> None:
    await stops(lasting)
    await lasting.done(event)
    assert lasting.channel.shown == [lasting.say("stopped.text")]


async def test_when_the_line_stops_every_open_window_is_covered(shell: Shell) -> None:
    other = HER._replace(address="2")
    await shell.opens_case()
    await shell.types("ало")
    await shell.taps("danger", who=other)
    await stops(shell)
    assert shell.chat == [shell.say("start.text")]
    assert shell.channel.chat(other) == [shell.say("start.text")]
    assert not (await shell.case()).present


async def test_to_a_chat_that_keeps_everything_a_stop_sends_nothing(lasting: Shell) -> None:
    await lasting.opens_case()
    before = len(lasting.channel.sent)
    await stops(lasting)
    assert len(lasting.channel.sent) == before
    assert not (await lasting.case()).present


@pytest.mark.parametrize("how", ["tap", "9", "{safe}"])
async def test_hide_still_hides(shell: Shell, how: str) -> None:
    await shell.taps("home")
    await stops(shell)
    await shell.taps("home")
    if how == "tap":
        await shell.taps("hide")
    else:
        await shell.types(how.replace("{safe}", shell.phen.content.safe_words["bg"][0]))
    assert shell.chat == []


async def test_hide_still_covers_a_chat_that_keeps_everything(lasting: Shell) -> None:
    await stops(lasting)
    await lasting.taps("hide")
    assert lasting.channel.shown[-1].endswith(lasting.say("start.text"))
    assert lasting.channel.sent[-1].cover


async def test_words_into_an_open_case_are_not_taken_and_not_left_in_the_chat(
    shell: Shell,
) -> None:
    await shell.opens_case()
    await shell.types("преди")
    await stops(shell)
    for overtaken in (False, True):
        await shell.types("докато е спряна", overtaken=overtaken)
    assert await said(shell) == ["преди"]
    assert "hers" not in shell.chat


async def test_what_a_consultant_writes_meanwhile_waits_and_all_is_back_afterwards(
    shell: Shell,
) -> None:
    case = await shell.opens_case()
    maria = await shell.consultant()
    await shell.phen.desk.claim(maria, case.id)
    await stops(shell)
    await shell.phen.desk.reply(maria, case.id, "тук съм", "k")
    for node in ("inside", "case"):
        await shell.taps(node)
        await shell.ticks()
    assert "тук съм" not in shell.channel.shown
    await shell.phen.stop.set(False)
    await shell.taps("inside")
    await shell.ticks()
    assert shell.say("case.text") in shell.chat[0]
    assert shell.chat[-1] == "тук съм"
    await shell.types("и аз")
    assert (await said(shell))[-1] == "и аз"


async def test_a_page_that_opens_again_while_the_line_is_stopped_brings_nothing(
    shell: Shell,
) -> None:
    case = await shell.opens_case()
    maria = await shell.consultant()
    await shell.phen.desk.claim(maria, case.id)
    await shell.phen.desk.reply(maria, case.id, "тук съм", "k")
    await stops(shell)
    shell.phen.conversation.here(*HER)
    await shell.ticks()
    assert not (await shell.case()).present
    assert "тук съм" not in shell.channel.shown
    assert await shell.phen.conversation.unread(*HER) == []
    await shell.phen.stop.set(False)
    assert "тук съм" in [each.text for each in await shell.phen.conversation.unread(*HER)]


async def test_a_stopped_line_rings_nobody_and_rings_when_it_goes_on(shell: Shell) -> None:
    door = Position("bg", "talk_yes").with_answer("r", "pm").with_answer("w", "a")
    await shell.done(Tapped(door))
    await shell.taps("hide")
    maria = await shell.consultant()
    case = await shell.case()
    await shell.phen.desk.claim(maria, case.id)
    await stops(shell)
    shell.clock.passes(minutes=5)
    await shell.ticks()
    assert shell.chat == []
    await shell.phen.stop.set(False)
    await shell.ticks()
    assert [not message.silent for message in shell.channel.sent][-1]


async def test_stopping_twice_and_going_on_twice_is_no_error(shell: Shell) -> None:
    for on in (True, True, False, False):
        await shell.phen.stop.set(on)
        assert shell.phen.stop.on is on
    await shell.taps("home")
    assert shell.chat == [shell.say("home.text")]


async def test_a_stop_by_another_process_covers_what_is_open_here(shell: Shell) -> None:
    await shell.taps("home")
    phen = shell.phen
    other = await Store.open(phen.settings.database, phen.vault, phen.now)
    try:
        await other.set_stopped(True)
    finally:
        await other.close()
    assert not phen.stop.on
    await phen.stop.refresh()
    await shell.settled()
    assert phen.stop.on
    assert shell.chat == [shell.say("start.text")]


async def test_a_stopped_line_is_stopped_after_a_restart_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with a_shell(tmp_path, monkeypatch) as shell:
        await stops(shell)
    async with a_shell(tmp_path, monkeypatch) as again:
        await again.phen.stop.refresh()
        await again.taps(CASE)
        assert again.chat == [again.say("stopped.text")]


async def test_every_channel_shows_it_within_a_minute_and_goes_on_afterwards(
    tmp_path: Path,
) -> None:
    console = ConsolePhone()
    async with running_line(tmp_path, also=(console.channel,)) as line:
        phones: list[Phone] = [
            TelegramPhone(line.telegram.woman()),
            ViberPhone(line.viber.woman()),
            WebPhone(line.url),
            console,
        ]
        say = line.phen.texts.say

        async def sees(phone: Phone, text_id: str) -> bool:
            words = " ".join(say("bg", text_id).split())
            return await eventually(lambda: _shows(phone, words))

        try:
            for phone in phones:
                await phone.opens()
                assert await sees(phone, "start.text")
            await line.phen.store.set_stopped(True)  # as `phen` in another terminal does
            assert await eventually(lambda: line.phen.stop.on, patience=60)
            for phone in phones:
                await phone.taps(DOOR[0] or "")
                assert await sees(phone, "stopped.text"), await phone.look()
            await line.phen.store.set_stopped(False)
            assert await eventually(lambda: not line.phen.stop.on, patience=60)
            for phone in phones:
                await phone.taps(say("bg", "stopped.go.start"))
                assert await sees(phone, "start.text"), await phone.look()
        finally:
            for phone in phones:
                await phone.closes()


async def _shows(phone: Phone, words: str) -> bool:
    return words in (await phone.look()).all


def test_what_stands_before_the_gate_names_no_line_that_says_what_this_is_for() -> None:
    content, texts = open_content()
    covers = [node for node in content.nodes.values() if node.kind is NodeKind.COVER]
    assert STOPPED in [node.id for node in covers]
    national = content.facts["TEL-03"].value
    for node in covers:
        for language in content.languages:
            assert national not in texts.say(language, node.text)
