"""What she ended or deleted leaves her chat: at once, and through a kill just after the commit."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from copy import deepcopy
from pathlib import Path

import pytest
import time_machine

from bot import serving
from bot.app import utc_now
from bot.channels.base import Handle, Unauthorised, Unreached
from bot.leftovers import remove_leftovers
from dialogs.model import Event, Position, Tapped, Typed
from tests.bot.paper import PaperChannel, Shell, a_shell
from tests.bot.test_reminders import IN_VETOVO, chosen, reminded
from tests.line import Line, eventually, running_line


class SlowPaper(PaperChannel):
    """Nothing is removed before `let`; what is asked for a chat that is `broken` fails."""

    def __init__(self) -> None:
        super().__init__()
        self.let = asyncio.Event()
        self.let.set()
        self.broken = ""

    async def remove(self, address: str, handles: Sequence[Handle], *, urgent: bool = True) -> None:
        await self.let.wait()
        if address == self.broken:
            raise ValueError
        await super().remove(address, handles, urgent=urgent)


@pytest.fixture
async def shell(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Shell]:
    async with a_shell(tmp_path, monkeypatch, channel=SlowPaper()) as shell:
        await shell.phen.store.save_receptions([IN_VETOVO])
        yield shell
        slow(shell).let.set()


def slow(shell: Shell) -> SlowPaper:
    assert isinstance(shell.channel, SlowPaper)
    return shell.channel


@asynccontextmanager
async def after_a_kill(
    shell: Shell, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Shell]:
    """Another process over the same database and the same chats. Of the first nothing helps it."""
    channel = SlowPaper()
    channel.chats, channel._last = deepcopy(shell.channel.chats), shell.channel._last
    async with a_shell(tmp_path, monkeypatch, channel=channel) as again:
        again.clock.at = shell.clock.at
        yield again


async def clears(shell: Shell) -> None:
    """As at a start, and as the clock does."""
    phen = shell.phen
    await remove_leftovers(phen.store, phen.windows, phen.channels, {shell.channel.name})


async def known(shell: Shell) -> int:
    return (await shell.phen.store.counts())["leftovers"]


def handles(shell: Shell) -> list[Handle]:
    return list(shell.channel.chats["1"])


async def has_reminder(shell: Shell) -> Handle:
    """It stands in her chat, above the cover."""
    await shell.done(chosen())
    await shell.taps("start")
    return await reminded(shell)


STOPS = [Typed("стоп"), Tapped(Position("bg", "remind_stop"))]
ERASES = Tapped(Position("bg", "forget_yes"))


@pytest.mark.parametrize("ends", [*STOPS, ERASES])
async def test_a_reminder_leaves_her_chat_though_we_are_killed_right_after_her_word(
    shell: Shell, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ends: Event
) -> None:
    reminder = await has_reminder(shell)
    slow(shell).let.clear()
    await shell.does(ends)
    assert reminder in handles(shell)
    async with after_a_kill(shell, tmp_path, monkeypatch) as again:
        assert await known(again) == 1
        await clears(again)
        assert reminder not in handles(again)
        assert await known(again) == 0


@pytest.mark.parametrize("overtaken", [False, True])
async def test_what_was_said_in_her_case_leaves_her_chat_though_we_are_killed_as_she_deletes_all(
    shell: Shell, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, overtaken: bool
) -> None:
    await shell.opens_case()
    await shell.types("ало")
    await shell.ticks()
    kept = await shell.phen.handover.kept_handles(shell.her)
    assert set(kept) & set(handles(shell))
    slow(shell).let.clear()
    await shell.does(ERASES, overtaken=overtaken)
    async with after_a_kill(shell, tmp_path, monkeypatch) as again:
        assert await known(again) == len(kept)
        await clears(again)
        assert not set(kept) & set(handles(again))
        assert await known(again) == 0


@pytest.mark.parametrize("ends", [*STOPS, ERASES])
async def test_as_a_rule_it_leaves_at_once_and_nothing_is_known_of_it(
    shell: Shell, ends: Event
) -> None:
    reminder = await has_reminder(shell)
    await shell.done(ends)
    assert reminder not in handles(shell)
    assert len(shell.chat) == 1
    assert await known(shell) == 0


async def test_what_was_overtaken_and_deletes_all_takes_her_case_out_of_her_chat(
    shell: Shell,
) -> None:
    await shell.opens_case()
    await shell.types("ало")
    await shell.taps("start")
    await shell.types("още")
    await shell.done(ERASES, overtaken=True)
    assert "hers" not in shell.chat
    assert await known(shell) == 0


async def test_the_trace_of_where_it_stood_is_erased_soon(shell: Shell) -> None:
    await has_reminder(shell)
    await shell.done(ERASES)
    await shell.phen.handover.tick()
    assert not shell.phen.store.traces_remain
    assert (shell.phen.settings.data_dir / "phen.db-wal").stat().st_size == 0


async def test_a_reminder_that_she_opened_and_stops_stays_as_her_cover(shell: Shell) -> None:
    reminder = await has_reminder(shell)
    await shell.done(Tapped(Position("bg", "remind_stop")), on=reminder)
    assert shell.channel.chats["1"] == {reminder: shell.say("remind_stopped.text")}
    await clears(shell)
    assert shell.channel.chats["1"] == {reminder: shell.say("remind_stopped.text")}
    assert await known(shell) == 0


async def test_who_deletes_all_in_a_reminder_that_she_opened_reads_that_it_is_done(
    shell: Shell,
) -> None:
    reminder = await has_reminder(shell)
    await shell.done(Tapped(Position("bg", "start")), on=reminder)
    await shell.taps("home")
    assert handles(shell) == [reminder]
    await shell.done(ERASES)
    assert shell.chat == [shell.say("forget_done.text")]
    assert reminder not in handles(shell)
    assert await known(shell) == 0


async def test_it_leaves_while_she_reads_something_else_and_not_while_she_reads_it(
    shell: Shell,
) -> None:
    reminder = await has_reminder(shell)
    shell.channel.removals = [Unauthorised()]
    await shell.done(STOPS[1])
    await shell.done(Tapped(Position("bg", "home")), on=reminder)
    await clears(shell)
    assert handles(shell) == [reminder]
    assert await known(shell) == 1
    shell.phen.windows.drop_all("paper")
    await shell.taps("home")
    assert len(handles(shell)) == 2
    await clears(shell)
    assert shell.chat == [shell.say("home.text")]
    assert await known(shell) == 0


async def test_what_could_not_be_removed_is_tried_again_at_once_and_known_until_then(
    shell: Shell,
) -> None:
    reminder = await has_reminder(shell)
    shell.channel.removals = [Unreached()] * 3
    await shell.done(STOPS[1])
    assert reminder not in handles(shell)
    assert await known(shell) == 0


async def test_where_our_token_is_wrong_it_is_known_until_it_is_right(shell: Shell) -> None:
    reminder = await has_reminder(shell)
    shell.channel.removals = [Unauthorised()] * 2
    await shell.done(STOPS[1])
    await clears(shell)
    assert reminder in handles(shell)
    assert await known(shell) == 1
    await clears(shell)
    assert reminder not in handles(shell)


async def test_a_fault_of_ours_with_one_keeps_no_other_standing(shell: Shell) -> None:
    store = shell.phen.store
    slow(shell).broken = "2"
    for number, address in enumerate(("2", "1")):
        case = await store.open_case("paper", address, "bg", None, None, f"случай {number}")
        await store.add_handles(case.id, ["11"])
        await store.forget("paper", address)
    shell.channel.chats["1"] = {"11": "тук съм"}
    await clears(shell)
    assert shell.chat == []
    assert await known(shell) == 1


async def test_what_she_deleted_leaves_a_chat_that_blocked_us_no_row(shell: Shell) -> None:
    await has_reminder(shell)
    await shell.phen.conversation.blocked(*shell.her)
    assert await known(shell) == 0


# --- by the clock --------------------------------------------------------------------------------


async def test_it_is_removed_soon_after_a_start_and_looked_for_every_ten_minutes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(serving, "TICK_SECONDS", 0.2)  # the clock looks at the time so often
    before = SlowPaper()
    async with a_shell(tmp_path, monkeypatch, channel=before) as shell:
        store = shell.phen.store

        async def stands(number: int) -> None:
            """A message of ours is known to stand in a chat, as after a kill."""
            case = await store.open_case("telegram", "7", "bg", None, None, f"случай {number}")
            await store.add_handles(case.id, [str(number)])
            await store.forget("telegram", "7")

        async def gone() -> bool:
            return await known(shell) == 0

        async def has_ticked(line: Line) -> None:
            """It looked at the stop switch, too."""
            on = not line.phen.stop.on
            await store.set_stopped(on)
            assert await eventually(lambda: line.phen.stop.on is on)

        await stands(1)
        with time_machine.travel(utc_now(), tick=True) as time:
            async with running_line(tmp_path) as line:
                assert await eventually(gone)
                await stands(2)
                for _ in range(2):
                    time.shift(270)
                    await has_ticked(line)
                assert not await gone()
                time.shift(60)
                assert await eventually(gone)
