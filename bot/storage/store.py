"""The store: every query of the program, in the words of the field.

Each method is one transaction; when it returns, what it did is on the disk. Its parts stand in
the modules beside this one. What it takes and gives is plain; at rest everything of a woman's
is sealed by the vault.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from sqlalchemy import func, select
from sqlalchemy.exc import SQLAlchemyError

from bot.privacy.vault import Vault
from bot.storage.cases import Cases
from bot.storage.desk_book import DeskBook
from bot.storage.duty import DutyBook
from bot.storage.engine import Database, connect
from bot.storage.erasure import Erasure
from bot.storage.figures import Figures
from bot.storage.forum import ForumBook
from bot.storage.mending import Mending
from bot.storage.migrate import known, newest
from bot.storage.outbox import Outbox
from bot.storage.part import log
from bot.storage.receptions import MediaIds, Receptions
from bot.storage.records import NewerDatabase, NotMigrated
from bot.storage.staff import Staff
from bot.storage.tables import metadata

_OPEN_PATIENCE = 1.0


class Store(
    Cases, Outbox, Mending, Erasure, Receptions, Staff, DutyBook, DeskBook, Figures, ForumBook
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
        store = cls(Database(connect(url)), vault, now)
        try:
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

    async def answers(self) -> bool:
        """Whether the database can be read now, for `/healthz`."""
        try:
            await self._database.revision()
        except (SQLAlchemyError, OSError):
            return False
        return True

    async def close(self) -> None:
        """Wait for what is under way, and close every connection: the process can end."""
        await self._database.close()

    async def recover(self) -> int:
        """At the start, before anything is sent: put right what the last run left half done.

        What was being sent becomes unknown (returns how many), and open cases whose key is lost
        are closed, so that their women can open others.
        """
        lost = await self.close_unreadable()
        if lost:
            log.alarm("cases_lost", count=lost)
        return await super().recover()

    async def counts(self) -> dict[str, int]:
        """How many rows each table has."""
        async with self._database.read() as connection:
            return {
                table.name: (
                    await connection.execute(select(func.count()).select_from(table))
                ).scalar_one()
                for table in metadata.sorted_tables
            }
