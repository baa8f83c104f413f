"""The outbox: what was committed for her is sent once, in order, while her window is open."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest

from bot import delivery as delivery_of
from bot.channels.base import Gone, Refused, SendError, Throttled, Unknown, Unsent
from bot.delivery import MAX_ATTEMPTS, remove_old
from bot.storage.records import Case, MessageState, StaffMember
from tests.bot.paper import HER, Shell, a_shell, until


@pytest.fixture
async def shell(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Shell]:
    monkeypatch.setattr(delivery_of, "POLL_SECONDS", 0.05)
    async with a_shell(tmp_path, monkeypatch) as shell:
        yield shell


async def claimed(shell: Shell) -> tuple[Case, StaffMember]:
    """A case that somebody answers, with the notice of that on her screen."""
    case = await shell.opens_case()
    maria = await shell.consultant()
    assert await shell.phen.desk.claim(maria, case.id)
    await shell.deliver()
    return case, maria


async def states(shell: Shell, case: Case) -> dict[str, MessageState]:
    return {m.text: m.state for m in await shell.phen.store.messages(case.id)}


async def test_answers_come_in_their_order_under_the_consultants_role(shell: Shell) -> None:
    case, maria = await claimed(shell)
    for number in range(3):
        await shell.phen.desk.reply(maria, case.id, f"ред {number}", f"k{number}")
    for _ in range(3):
        await shell.deliver()
    assert shell.chat[-3:] == ["ред 0", "ред 1", "ред 2"]
    assert (await states(shell, case))["ред 2"] is MessageState.SENT


async def test_a_note_is_never_sent(shell: Shell) -> None:
    case, maria = await claimed(shell)
    await shell.phen.desk.note(maria, case.id, "само за нас", "n")
    await shell.deliver()
    assert "само за нас" not in shell.channel.shown


async def test_while_she_hides_everything_is_held_and_comes_when_she_is_back(shell: Shell) -> None:
    case, maria = await claimed(shell)
    await shell.taps("hide")
    await shell.phen.desk.reply(maria, case.id, "тук съм", "k")
    await shell.deliver()
    assert shell.chat == []
    await shell.taps("inside")
    await shell.deliver()
    assert shell.chat[-1] == "тук съм"


async def test_what_she_has_read_does_not_come_again(shell: Shell) -> None:
    case, maria = await claimed(shell)
    await shell.phen.desk.reply(maria, case.id, "тук съм", "k")
    await shell.deliver()
    await shell.taps("hide")
    await shell.taps("inside")
    await shell.deliver()
    assert shell.channel.shown.count("тук съм") == 1
    assert await shell.phen.delivery.unread(HER) == []


@pytest.mark.parametrize(
    ("fault", "state"),
    [(Unknown(), MessageState.UNKNOWN), (Refused(), MessageState.FAILED)],
    ids=["answer lost", "refused"],
)
async def test_what_may_have_arrived_or_never_will_waits_for_the_desk(
    shell: Shell, fault: SendError, state: MessageState
) -> None:
    case, maria = await claimed(shell)
    shell.channel.faults = [fault]
    await shell.phen.desk.reply(maria, case.id, "тук съм", "k")
    await shell.deliver()
    assert (await states(shell, case))["тук съм"] is state
    await shell.phen.desk.reply(maria, case.id, "и още", "k2")
    await shell.deliver()
    assert (await states(shell, case))["и още"] is MessageState.SENT


async def test_what_never_left_is_sent_again_and_a_human_sees_it_after_six_times(
    shell: Shell,
) -> None:
    case, maria = await claimed(shell)
    shell.channel.faults = [Unsent()] * MAX_ATTEMPTS
    await shell.phen.desk.reply(maria, case.id, "тук съм", "k")
    for _ in range(MAX_ATTEMPTS):
        assert (await states(shell, case))["тук съм"] is MessageState.DUE
        await shell.deliver()
        shell.clock.passes(minutes=5)
    assert (await states(shell, case))["тук съм"] is MessageState.FAILED


async def test_a_throttled_message_waits_as_long_as_it_was_told(shell: Shell) -> None:
    case, maria = await claimed(shell)
    shell.channel.faults = [Throttled(40)]
    await shell.phen.desk.reply(maria, case.id, "тук съм", "k")
    await shell.deliver()
    shell.clock.passes(seconds=39)
    await shell.deliver()
    assert "тук съм" not in shell.chat
    shell.clock.passes(seconds=2)
    await shell.deliver()
    assert shell.chat[-1] == "тук съм"


async def test_she_blocks_the_line_and_is_purged(shell: Shell) -> None:
    case, maria = await claimed(shell)
    shell.channel.faults = [Gone()]
    await shell.phen.desk.reply(maria, case.id, "тук съм", "k")
    await shell.deliver()
    assert not await shell.phen.store.knows(*HER)


async def test_a_database_away_after_a_send_does_not_end_the_case(
    shell: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    case, maria = await claimed(shell)
    store, refusals = shell.phen.store, [OSError(), OSError()]
    real = store.settle

    async def settle(outbox_id: int, state: MessageState) -> None:
        if refusals:
            raise refusals.pop()
        await real(outbox_id, state)

    monkeypatch.setattr(asyncio, "sleep", _soon(asyncio.sleep))
    monkeypatch.setattr(store, "settle", settle)
    await shell.phen.desk.reply(maria, case.id, "едно", "k")
    await shell.phen.desk.reply(maria, case.id, "две", "k2")
    await shell.deliver()
    await shell.deliver()
    assert shell.chat[-2:] == ["едно", "две"]
    assert shell.channel.shown.count("едно") == 1


def _soon(sleep):  # type: ignore[no-untyped-def]
    return lambda seconds: sleep(min(seconds, 0.01))


async def test_a_handle_that_could_not_be_kept_is_known_until_she_hides(
    shell: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    case, maria = await claimed(shell)

    async def fails(*_: object) -> None:
        raise OSError

    monkeypatch.setattr(shell.phen.store, "add_handles", fails)
    await shell.phen.desk.reply(maria, case.id, "тук съм", "k")
    await shell.deliver()
    assert (await states(shell, case))["тук съм"] is MessageState.SENT
    await shell.taps("hide")
    assert shell.chat == []


async def test_the_outbox_runs_by_itself_and_survives_a_database_away(
    shell: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    case, maria = await claimed(shell)
    running = asyncio.create_task(shell.phen.delivery.run())
    store, real, away = shell.phen.store, shell.phen.store.due, [1, 2]

    async def due(*args: object) -> object:
        if away:
            away.pop()
            raise OSError
        return await real(*args)  # type: ignore[arg-type]

    monkeypatch.setattr(store, "due", due)
    await shell.phen.desk.reply(maria, case.id, "тук съм", "k")
    await until(lambda: "тук съм" in shell.chat)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    await shell.phen.delivery.drain()


async def test_messages_of_a_case_leave_the_chat_after_a_day(shell: Shell) -> None:
    case, maria = await claimed(shell)
    await shell.phen.desk.reply(maria, case.id, "тук съм", "k")
    await shell.deliver()
    await remove_old(shell.phen.store, shell.phen.windows, shell.clock())
    await shell.phen.windows.settled()
    assert "тук съм" in shell.chat
    shell.clock.at += timedelta(hours=24)
    await remove_old(shell.phen.store, shell.phen.windows, shell.clock())
    await shell.phen.windows.settled()
    assert "тук съм" not in shell.chat
