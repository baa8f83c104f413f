"""The database is read by somebody else, or locked: she is served, and nothing is lost."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from pathlib import Path

from bot.storage.engine import LOCK_WAIT_MS
from tests.acceptance.reader import Reader
from tests.acceptance.steps import arrived, claimed, hers, in_a_case, rows, screen
from tests.line import eventually, running_line


def _connected(folder: Path) -> sqlite3.Connection:
    """Somebody else's connection."""
    return sqlite3.connect(folder / "phen.db", isolation_level=None, check_same_thread=False)


@asynccontextmanager
async def another_reader(folder: Path) -> AsyncIterator[None]:
    """Another connection that reads an old snapshot all the while."""
    with closing(_connected(folder)) as connection:
        connection.execute("BEGIN")
        connection.execute("SELECT count(*) FROM messages").fetchone()
        yield
        connection.rollback()


async def test_delete_everything_while_another_connection_reads(tmp_path: Path) -> None:
    async with running_line(tmp_path) as line:
        reader = await in_a_case(line)
        case = await claimed(line, await line.consultant())
        reader.woman.types("тайна")
        assert await arrived(line, case, "тайна")
        async with another_reader(tmp_path):
            reader.woman.taps(payload="bg:forget_yes")
            assert await eventually(lambda: rows(line, "cases", 0))
            await reader.sees(screen("forget_done"))
            reader.woman.taps(payload="bg:danger")
            await reader.sees(screen("danger"))
            reader.woman.taps(payload="bg:hide")
            await reader.woman.sees_empty_chat()
        log = tmp_path / "phen.db-wal"
        assert await eventually(lambda: log.stat().st_size == 0)
        assert await rows(line, "messages", 0)


LOCKED = 12.0
"""Longer than a connection waits for the lock. Thirty seconds behave no differently."""
AT_ONCE = LOCK_WAIT_MS / 1000
"""What is there by then has not waited for the lock."""


async def test_database_locked_nothing_is_acknowledged_and_112_answers(tmp_path: Path) -> None:
    async with running_line(tmp_path) as line:
        reader, maria = await in_a_case(line), await line.consultant()
        case = await claimed(line, maria)
        other = Reader(line.telegram.woman(), "bg")
        await other.opens()
        with closing(_connected(tmp_path)) as thief:
            await asyncio.to_thread(thief.execute, "BEGIN EXCLUSIVE")
            update = reader.woman.types("помощ")
            await asyncio.sleep(0.2)
            other.woman.taps(payload="bg:danger")
            await other.woman.sees(screen("danger"), timeout=AT_ONCE)
            await asyncio.sleep(LOCKED / 2)
            reader.woman.taps(payload="bg:danger")
            await reader.woman.sees(screen("danger"))
            await asyncio.sleep(LOCKED / 2)
            waiting = [u["update_id"] for u in line.telegram.updates]
            assert update in waiting
            assert await hers(line, case) == []
            thief.rollback()
        assert await arrived(line, case, "помощ")
        assert await eventually(lambda: not line.telegram.updates)
        await reader.hides()
