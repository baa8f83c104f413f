"""The store: every query of the program, in the words of the field.

Each method is one transaction; when it returns, what it did is on the disk. Its parts stand in
the modules beside this one. What it takes and gives is plain; at rest everything of a woman's
is sealed by the vault.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from datetime import datetime

from sqlalchemy import func, select
from sqlalchemy.exc import SQLAlchemyError

from bot.privacy.vault import Vault
from bot.storage.aside import Aside
from bot.storage.backup import Backups
from bot.storage.broadcasts import Broadcasts
from bot.storage.calls import Calls
from bot.storage.cases import Cases
from bot.storage.desk_book import DeskBook
from bot.storage.duty import DutyBook
from bot.storage.engine import Database, connect
from bot.storage.erasure import Erasure
from bot.storage.figures import Figures
from bot.storage.forum import ForumBook
from bot.storage.group import GroupNotes
from bot.storage.lent import Lent
from bot.storage.mending import Mending
from bot.storage.migrate import known, newest
from bot.storage.outbox import Outbox
from bot.storage.receptions import MediaIds, Receptions
from bot.storage.records import NewerDatabase, NotMigrated
from bot.storage.sessions import Sessions
from bot.storage.staff import Staff
from bot.storage.tables import metadata
from bot.storage.together import Among

_OPEN_PATIENCE = 1.0


class Store(
    Cases,
    Outbox,
    Mending,
    Erasure,
    Receptions,
    Staff,
    Sessions,
    DutyBook,
    DeskBook,
    Figures,
    ForumBook,
    GroupNotes,
    Aside,
    Backups,
    Calls,
    Lent,
    Broadcasts,
):
    """All that is kept. Made by `Store.open`, ended by `close`."""

    def __init__(self, database: Database, vault: Vault, now: Callable[[], datetime]) -> None:
        super().__init__(database, vault, now)
        self.media = MediaIds(database, vault, now)

    @classmethod
    async def open(cls, url: str, vault: Vault, now: Callable[[], datetime]) -> Store:
        """Open a migrated database; raises `NotMigrated` or `NewerDatabase`.

        The write-ahead log is emptied, in case the last run was killed while it deleted.
        """
        engine = connect(url)
        store = cls(Database(engine), vault, now)
        if engine.dialect.name != "sqlite":
            store.together = Among(engine)
        try:
            await store._database.check()
            await store._check_version()
            await store._leave_no_trace(_OPEN_PATIENCE)
        except BaseException:
            await store.close()
            raise
        return store

    async def _check_version(self) -> None:
        revision = await self._database.revision()
        if revision == newest():
            return
        raise NotMigrated if revision is None or known(revision) else NewerDatabase

    def served_from_here(self) -> AbstractContextManager[None]:
        """While it lasts, no other process serves this database, where it is a file.

        Raises `ServedAlready`.
        """
        return self._database.alone()

    async def answers(self) -> bool:
        """Whether the database can be read now, for `/healthz`."""
        try:
            await self._database.revision()
        except (SQLAlchemyError, OSError):
            return False
        return True

    def log_bytes(self) -> int:
        """How long the write-ahead log is, where there is one file of it."""
        return self._database.log_bytes()

    async def close(self) -> None:
        """Wait for what is under way, and close every connection: the process can end."""
        await self._database.close()

    async def counts(self) -> dict[str, int]:
        """How many rows each table has."""
        async with self._database.read() as connection:
            return {
                table.name: (
                    await connection.execute(select(func.count()).select_from(table))
                ).scalar_one()
                for table in metadata.sorted_tables
            }
