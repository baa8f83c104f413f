"""The database's connections: the one place that knows SQLite from PostgreSQL.

Readers and writers are told apart from the start: a writer takes SQLite's only write lock at
once (`BEGIN IMMEDIATE`), since a reader that turns into a writer would fail.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any

from sqlalchemy import Connection, event, text
from sqlalchemy.engine import URL, make_url
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

LOCK_WAIT_MS = 5_000
CLOSE_WAIT = 5.0
"""Seconds that a closing store waits for what is under way."""
_CHECKPOINT_WAIT_MS = 100
_CHECKPOINT_PAUSE = 0.2
_WRITES = "phen_writes"

_PRAGMAS = (
    f"busy_timeout={LOCK_WAIT_MS}",
    "journal_mode=WAL",
    "synchronous=FULL",
    "secure_delete=ON",  # what is deleted is overwritten
    "temp_store=MEMORY",
)


def connect(url: str, foreign_keys: bool = True) -> AsyncEngine:
    """An engine for either database. `foreign_keys` is off only while migrating."""
    engine = create_async_engine(_async_url(url), hide_parameters=True)
    if engine.dialect.name == "sqlite":
        _teach_sqlite(engine, foreign_keys)
    return engine


def _async_url(url: str) -> URL:
    """`sqlite:///…` and `postgresql://…` mean their asynchronous drivers."""
    parsed = make_url(url)
    drivers = {"sqlite": "sqlite+aiosqlite", "postgresql": "postgresql+asyncpg"}
    return parsed.set(drivername=drivers.get(parsed.drivername, parsed.drivername))


def _teach_sqlite(engine: AsyncEngine, foreign_keys: bool) -> None:
    @event.listens_for(engine.sync_engine, "connect")
    def prepare(connection: Any, _: Any) -> None:
        connection.isolation_level = None  # transactions begin where `begin` says so
        cursor = connection.cursor()
        for pragma in (*_PRAGMAS, f"foreign_keys={'ON' if foreign_keys else 'OFF'}"):
            cursor.execute(f"PRAGMA {pragma}")
        cursor.close()

    @event.listens_for(engine.sync_engine, "begin")
    def begin(connection: Connection) -> None:
        writes = connection.get_execution_options().get(_WRITES)
        connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


def writing(engine: AsyncEngine) -> AsyncEngine:
    """The same connections, for transactions that write."""
    return engine.execution_options(**{_WRITES: True})


class Database:
    """Transactions, and the truncation of the write-ahead log."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine
        self._sqlite = engine.dialect.name == "sqlite"
        self._writer = writing(engine)
        self._turn = asyncio.Lock()  # SQLite's own queue for the write lock is not a fair one
        self._idle = asyncio.Event()
        self._idle.set()
        self._busy = 0

    @asynccontextmanager
    async def read(self) -> AsyncIterator[AsyncConnection]:
        """One snapshot."""
        async with self._counted(), self._engine.begin() as connection:
            yield connection

    @asynccontextmanager
    async def write(self) -> AsyncIterator[AsyncConnection]:
        """One transaction, committed at the end of the block."""
        async with self._counted():
            if not self._sqlite:
                async with self._writer.begin() as connection:
                    yield connection
                return
            async with self._turn, self._writer.begin() as connection:
                yield connection

    async def truncate_log(self, patience: float) -> bool:
        """Empty the write-ahead log: what was deleted stands in it, too.

        Tried again for `patience` seconds while somebody reads an older snapshot. False: it
        still holds traces.
        """
        if not self._sqlite:
            return True
        deadline = asyncio.get_running_loop().time() + patience
        while not await self._checkpoint():
            if asyncio.get_running_loop().time() >= deadline:
                return False
            await asyncio.sleep(_CHECKPOINT_PAUSE)
        return True

    async def _checkpoint(self) -> bool:
        # Not in a transaction; a short wait, for it holds the writers up. The turn keeps our own
        # writers from making the log long again in between.
        async with self._counted(), self._turn, self._engine.connect() as connection:
            raw = await connection.get_raw_connection()
            driver: Any = raw.driver_connection
            await driver.execute(f"PRAGMA busy_timeout={_CHECKPOINT_WAIT_MS}")
            try:
                async with driver.execute("PRAGMA wal_checkpoint(TRUNCATE)") as cursor:
                    row = await cursor.fetchone()
            except sqlite3.OperationalError:
                return False
            finally:
                await driver.execute(f"PRAGMA busy_timeout={LOCK_WAIT_MS}")
            return row is not None and row[0] == 0

    async def revision(self) -> str | None:
        """The migration at which the database stands; None where there is none."""
        async with self.read() as connection:
            if not await connection.run_sync(
                lambda sync: self._engine.dialect.has_table(sync, "alembic_version")
            ):
                return None
            found = await connection.execute(text("SELECT version_num FROM alembic_version"))
            return found.scalar_one_or_none()

    async def close(self) -> None:
        """Wait for what is under way, then close every connection."""
        with suppress(TimeoutError):
            await asyncio.wait_for(self._idle.wait(), CLOSE_WAIT)
        await self._engine.dispose()

    @asynccontextmanager
    async def _counted(self) -> AsyncIterator[None]:
        self._busy += 1
        self._idle.clear()
        try:
            yield
        finally:
            self._busy -= 1
            if not self._busy:
                self._idle.set()
