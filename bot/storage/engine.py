"""The database's connections: the one place that knows SQLite from PostgreSQL.

Readers and writers are told apart from the start, and there is one writer at a time on both: on
SQLite a writer takes the only write lock at once (`BEGIN IMMEDIATE`), since a reader that turns
into a writer would fail; on PostgreSQL it takes an advisory lock first, before it has seen a
row. Readers take no lock, and each sees one snapshot.
"""

from __future__ import annotations

import asyncio
import fcntl
import os
import sqlite3
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, event, func, select, text, true
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError, DisconnectionError, SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from bot.storage.records import DatabaseUnreachable, ServedAlready, ServerLogsText

LOCK_WAIT_MS = 5_000
CLOSE_WAIT = 2.0
"""Seconds that a closing store waits for what is under way."""
_HANG_UP_WAIT = 1.0
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

_CONNECT_SECONDS = 5
_ANSWER_SECONDS = 25  # more than the server takes to give up by itself
_POOL = {"pool_size": 10, "max_overflow": 10, "pool_timeout": 10}
"""Three processes fit into the hundred connections that PostgreSQL allows by default."""
_SESSION = {
    "application_name": "phen",
    "synchronous_commit": "on",  # what is acknowledged is on the disk
    # A writer that hangs is cut off before those who wait behind it give up.
    "idle_in_transaction_session_timeout": "8s",
    "lock_timeout": "10s",
    "statement_timeout": "20s",
    # The roles of a machine that lost its power are free within ten seconds.
    "tcp_keepalives_idle": "3",
    "tcp_keepalives_interval": "2",
    "tcp_keepalives_count": "2",
    "tcp_user_timeout": "7s",
    # What an ordinary role may keep out of the server's log by itself; `leaks` tells the rest.
    "log_parameter_max_length_on_error": "0",
    "debug_print_parse": "off",
    "debug_print_rewritten": "off",
    "debug_print_plan": "off",
}
_PATIENT = dict.fromkeys(
    ("idle_in_transaction_session_timeout", "lock_timeout", "statement_timeout"), "0"
)
_THE_WRITER = 0x7068656E  # an advisory lock, which counts within one database

_QUIET = {
    "log_statement": {"none", "ddl"},
    "log_duration": {"off"},
    "log_min_duration_statement": {"-1"},
    "log_min_duration_sample": {"-1"},
    "log_transaction_sample_rate": {"0"},
    "log_error_verbosity": {"terse"},  # else it writes the values of a key that is there twice
    "log_min_messages": {"info", "notice", "warning", "error", "log", "fatal", "panic"},
    "log_parser_stats": {"off"},
    "log_planner_stats": {"off"},
    "log_executor_stats": {"off"},
    "log_statement_stats": {"off"},
    "auto_explain.log_min_duration": {"-1"},
    "pgaudit.log": {"none"},
}
"""With which values PostgreSQL writes nothing of what is stored, nor when, into its log."""


def connect(url: str, *, migrating: bool = False) -> AsyncEngine:
    """An engine for either database; nothing is opened yet. Raises `DatabaseUnreachable`.

    `sqlite:///…` and `postgresql://…` mean their asynchronous drivers. `migrating`: without
    foreign keys on SQLite, which changes a table by copying and dropping it, and the drop would
    take the rows that refer to it along; with all the time it takes on PostgreSQL.
    """
    if url.startswith("postgresql"):
        return _postgresql(url, patient=migrating)
    try:
        parsed = make_url(url)
    except (ArgumentError, ValueError):
        raise DatabaseUnreachable from None
    driver = "sqlite+aiosqlite" if parsed.drivername == "sqlite" else parsed.drivername
    engine = create_async_engine(parsed.set(drivername=driver), hide_parameters=True)
    _teach_sqlite(engine, foreign_keys=not migrating)
    return engine


def _postgresql(address: str, *, patient: bool) -> AsyncEngine:
    # The driver reads the address itself, and so it means what it means to `psql`.
    engine = create_async_engine(
        "postgresql+asyncpg://",
        connect_args={
            "dsn": f"postgresql://{address.partition('://')[2]}",
            "server_settings": _SESSION | (_PATIENT if patient else {}),
            "timeout": _CONNECT_SECONDS,
            "command_timeout": None if patient else _ANSWER_SECONDS,
        },
        hide_parameters=True,
        **_POOL,
    )

    @event.listens_for(engine.sync_engine, "checkout")
    def still_open(_: Any, record: Any, __: Any) -> None:
        # Known without a question to the server, which would cost every transaction its time.
        if record.driver_connection.is_closed():
            raise DisconnectionError

    @event.listens_for(engine.sync_engine, "begin")
    def begin(connection: Connection) -> None:
        if connection.get_execution_options().get(_WRITES):
            connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({_THE_WRITER})")

    return engine


def _teach_sqlite(engine: AsyncEngine, *, foreign_keys: bool) -> None:
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


def _reading(engine: AsyncEngine) -> AsyncEngine:
    """The same connections, for transactions that see one snapshot and change nothing."""
    if engine.dialect.name == "sqlite":
        return engine
    return engine.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)


async def reach(engine: AsyncEngine) -> None:
    """Open a connection; raises `DatabaseUnreachable`, which tells no password."""
    try:
        async with engine.connect():
            pass
    except (SQLAlchemyError, OSError, ValueError):
        raise DatabaseUnreachable from None


async def leaks(connection: AsyncConnection) -> list[str]:
    """The settings with which PostgreSQL would write into its log what is stored, or when."""
    # Not from pg_settings, which leaves out what a library that is loaded later would find.
    ask = select(*(func.current_setting(name, true()).label(name) for name in _QUIET))
    found = (await connection.execute(ask)).mappings().one()
    return sorted(name for name, quiet in _QUIET.items() if (found[name] or "") not in quiet | {""})


class Database:
    """Transactions, and the truncation of the write-ahead log."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine
        self._sqlite = engine.dialect.name == "sqlite"
        self._reader = _reading(engine)
        self._writer = writing(engine)
        # SQLite's own queue for the write lock is not a fair one; and on PostgreSQL writers that
        # wait would take the connections that readers need.
        self._turn = asyncio.Lock()
        self._idle = asyncio.Event()
        self._idle.set()
        self._busy = 0

    @asynccontextmanager
    async def read(self) -> AsyncIterator[AsyncConnection]:
        """One snapshot."""
        async with self._counted(), self._reader.begin() as connection:
            yield connection

    @asynccontextmanager
    async def write(self) -> AsyncIterator[AsyncConnection]:
        """One transaction, committed at the end of the block."""
        async with self._counted(), self._turn, self._writer.begin() as connection:
            yield connection

    async def check(self) -> None:
        """Whether it is there, and keeps to itself what it is given: to be asked at the start.

        Raises `DatabaseUnreachable`, `ServerLogsText`.
        """
        if self._sqlite:
            return
        await reach(self._engine)
        async with self.read() as connection:
            found = await leaks(connection)
        if found:
            raise ServerLogsText(found)

    async def truncate_log(self, patience: float) -> bool:
        """Empty the write-ahead log: what was deleted stands in it, too.

        Tried again for `patience` seconds while somebody reads an older snapshot. False: it
        still holds traces. PostgreSQL's own log is recycled by the server, not by us
        (docs/postgresql.md); what stands in it is sealed under keys that are destroyed.
        """
        if not self._sqlite:
            return True
        deadline = asyncio.get_running_loop().time() + patience
        while not await self._checkpoint():
            if asyncio.get_running_loop().time() >= deadline:
                return False
            await asyncio.sleep(_CHECKPOINT_PAUSE)
        return True

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Hold the lock beside SQLite's file; it ends with this process, however that ends.

        Raises `ServedAlready`, `DatabaseUnreachable`.
        """
        file = self._engine.url.database
        if not self._sqlite or file in (None, "", ":memory:"):
            yield
            return
        try:
            handle = os.open(f"{file}.lock", os.O_RDWR | os.O_CREAT, 0o600)
        except OSError:
            raise DatabaseUnreachable from None
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(handle)
            raise ServedAlready from None
        try:
            yield
        finally:
            os.close(handle)

    def log_bytes(self) -> int:
        """How long SQLite's write-ahead log is."""
        file = self._engine.url.database
        if not self._sqlite or file is None:
            return 0
        try:
            return Path(f"{file}-wal").stat().st_size
        except FileNotFoundError:
            return 0

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
        with suppress(SQLAlchemyError, OSError):  # a server that is gone hears no good-bye
            await asyncio.wait_for(self._engine.dispose(), _HANG_UP_WAIT)

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
