"""Lines of the catalogue, each on the whole program: answers that get lost, and a full disk."""

from __future__ import annotations

import asyncio
import random
import resource
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from bot.app import join
from bot.storage.records import Author, MessageState
from tests.acceptance.reader import Reader
from tests.acceptance.steps import arrived, claimed, hers, in_a_case, say, screen
from tests.line import Line, eventually, running_line
from tests.standins.telegram import Fault
from tests.transcripts.script import Clock

TRIES = 10
"""The quickest of them counts: the machine may be busy with something else."""

# --- what nobody should send ---------------------------------------------------------------------


async def test_an_update_without_a_date_with_date_10_18_with_an_entity_without_offset_or_unknown(
    tmp_path: Path,
) -> None:
    """Whatever comes before it, the next good one is answered within 1 s: of some tries one."""
    async with running_line(tmp_path) as line:
        reader, maria = await in_a_case(line), await line.consultant()
        case = await claimed(line, maria)
        other = Reader(line.telegram.woman(), "bg")
        await _is_shown(other, "start", other.woman.starts)
        message = line.telegram.message_json(
            line.telegram.add_message(line.telegram.chats[reader.woman.id], from_bot=False)
        )
        dateless = {key: each for key, each in message.items() if key != "date"}
        for number, (kind, odd) in enumerate(
            [
                ("message", dateless | {"text": "0"}),
                ("message", message | {"date": 10**18, "text": "1"}),
                ("message", message | {"entities": [{"type": "url", "length": 3}], "text": "2"}),
                ("unheard_of", message),
                ("message", {}),
            ]
        ):
            line.telegram.push_raw({"update_id": line.telegram._next_update, kind: odd})
            line.telegram.skip_ids(line.telegram._next_update + 1)
            node = ("danger", "order")[number % 2]
            tap = f"bg:{node}"
            seconds = [await _is_shown(other, node, lambda tap=tap: other.woman.taps(payload=tap))]
            while min(seconds) >= 1 and len(seconds) < TRIES:
                seconds.append(await _is_shown(other, "start", other.woman.starts))
                await _is_shown(other, node, lambda tap=tap: other.woman.taps(payload=tap))
            assert min(seconds) < 1
        assert await arrived(line, case, "0", "1", "2")


async def _is_shown(reader: Reader, node: str, does: Any) -> float:
    """She does something and sees a screen, after so many seconds."""
    began = time.monotonic()
    does()
    await reader.sees(screen(node))
    return time.monotonic() - began


# --- sends that go wrong -------------------------------------------------------------------------


async def test_answer_lost_after_a_send_the_desk_decides_and_she_has_it_once(
    tmp_path: Path,
) -> None:
    async with running_line(tmp_path) as line:
        reader, maria = await in_a_case(line), await line.consultant()
        case = await claimed(line, maria)
        await reader.sees(say("notice.claimed"))
        line.telegram.fail(Fault("drop_after", "sendMessage"))
        await line.phen.desk.reply(maria, case, "идвам", "1")
        await line.phen.desk.reply(maria, case, "след минута", "2")
        await reader.sees("след минута")
        assert await eventually(
            lambda: _states(line, case, MessageState.UNKNOWN, MessageState.SENT)
        )
        assert sum("идвам" in shown.words for shown in reader.woman.chat) == 1


async def test_answer_lost_after_a_window_edit_it_is_made_again_and_she_sees_one_screen(
    tmp_path: Path,
) -> None:
    async with running_line(tmp_path) as line:
        reader = Reader(line.telegram.woman(), "bg")
        await _is_shown(reader, "start", reader.woman.starts)
        line.telegram.fail(Fault("drop_after", "editMessageMedia"))
        reader.woman.taps(payload="bg:danger")
        await reader.sees(screen("danger"))
        reader.woman.taps(payload="bg:order")
        await reader.sees(screen("order"))
        assert len(reader.woman.bot_messages) == 1


async def test_502_for_ten_minutes_nothing_is_lost_silently(tmp_path: Path) -> None:
    """Her words come afterwards; of a consultant's each is read, or stands there as undecided."""
    clock = Clock(datetime.now(UTC))
    async with running_line(tmp_path, now=clock) as line:
        line.telegram.now = clock
        reader, maria = await in_a_case(line), await line.consultant()
        case = await claimed(line, maria)
        line.telegram.faults.extend([Fault("html")] * 10_000)
        reader.woman.types("едно")
        await line.phen.desk.reply(maria, case, "чувам те", "1")
        assert await eventually(lambda: len(line.telegram.faults) < 9_997)
        for _ in range(10):
            clock.at += timedelta(minutes=1)
            await asyncio.sleep(0.2)
        reader.woman.types("две")
        await line.phen.desk.reply(maria, case, "тук съм", "2")
        line.telegram.faults.clear()
        assert await arrived(line, case, "едно", "две")

        async def accounted() -> bool:
            said = await line.phen.store.messages(case)
            replies = [each for each in said if each.author is Author.CONSULTANT]
            seen = " ".join(shown.words for shown in reader.woman.chat)
            return len(replies) == 2 and all(
                each.text in seen
                if each.state is MessageState.SENT
                else each.state in (MessageState.UNKNOWN, MessageState.FAILED)
                for each in replies
            )

        assert await eventually(accounted)


async def _states(line: Line, case: str, *wanted: MessageState) -> bool:
    said = await line.phen.store.messages(case)
    return [each.state for each in said if each.author is Author.CONSULTANT] == [*wanted]


# --- the disk ------------------------------------------------------------------------------------


@contextmanager
def no_room() -> Iterator[None]:
    """No file grows any more. What is in the files already can be read."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


async def test_disk_full_nothing_is_acknowledged_112_answers_and_it_recovers(
    tmp_path: Path,
) -> None:
    async with running_line(tmp_path) as line:
        reader, maria = await in_a_case(line), await line.consultant()
        case = await claimed(line, maria)
        other = Reader(line.telegram.woman(), "bg")
        await _is_shown(other, "start", other.woman.starts)
        with no_room():
            update = reader.woman.types("помощ")
            await _is_shown(other, "danger", lambda: other.woman.taps(payload="bg:danger"))
            refused = line.phen.channels["telegram"].events  # type: ignore[attr-defined]
            assert await eventually(lambda: refused["not_stored"] >= 2)
            assert update in [each["update_id"] for each in line.telegram.updates]
            assert await hers(line, case) == []
        assert await arrived(line, case, "помощ")
        assert await eventually(lambda: not line.telegram.updates)


async def test_truncated_write_ahead_log_what_was_committed_is_there(tmp_path: Path) -> None:
    """A power cut: the log ends anywhere. Each message whose commit was on the disk is there."""
    live, killed, sizes = tmp_path / "live", tmp_path / "killed", [0]
    live.mkdir()
    async with running_line(live) as line:
        reader, maria = await in_a_case(line), await line.consultant()
        case = await claimed(line, maria)
        await _is_quiet(live)
        sizes = [_log(live)]
        for number in range(8):
            reader.woman.types(f"ред {number}")
            assert await arrived(line, case, *(f"ред {n}" for n in range(number + 1)))
            await _is_quiet(live)
            sizes.append(_log(live))
        assert sizes == sorted(set(sizes)), "the log was begun anew meanwhile"
        shutil.copytree(live, killed)
        settings = line.phen.settings
    dice = random.Random(8)
    for cut in [sizes[-1], *(dice.randrange(sizes[0], sizes[-1]) for _ in range(7))]:
        folder = tmp_path / f"cut at {cut}"
        shutil.copytree(killed, folder)
        with (folder / "phen.db-wal").open("r+b") as log:
            log.truncate(cut)
        there = sum(size <= cut for size in sizes[1:])
        async with join(settings.model_copy(update={"data_dir": folder})) as phen:
            said = [each.text for each in await phen.store.messages(case)
                    if each.author is Author.WOMAN]  # fmt: skip
        assert said[:there] == [f"ред {n}" for n in range(there)]
        assert len(said) <= there + 1


def _log(folder: Path) -> int:
    return (folder / "phen.db-wal").stat().st_size


async def _is_quiet(folder: Path) -> None:
    """Nobody writes for a moment."""
    before = -1
    while before != (before := _log(folder)):
        await asyncio.sleep(0.15)
