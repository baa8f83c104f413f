"""Messages of ours that are to be removed from a chat: known until they are, through a kill.

It is written in the transaction that ends a reminder, at its time or at her *stop*, and in the one
that deletes everything. A chat holds no history to read: what is kept of such a woman is where
the message stands, sealed as a reminder's is, and for no longer than a platform lets us remove
it. Of who deleted everything it is sealed anew, under an id that was nowhere else, and nothing
finds it by her address; a row says no more than that something stands in some chat.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Row, literal, select
from sqlalchemy.ext.asyncio import AsyncConnection

from bot.privacy.retention import HANDLES, whole_hour
from bot.privacy.vault import Tampered
from bot.storage.part import Part, log, new_id
from bot.storage.tables import leftovers, subscriptions


@dataclass(frozen=True, slots=True)
class Leftover:
    """A message of ours that is to be removed from a chat."""

    id: int
    channel: str
    address: str = field(repr=False)
    handle: str = field(repr=False)
    erased: bool = False  # she has deleted everything


class Leftovers(Part):
    """Gives out what is to be removed, and forgets what was."""

    traces_remain = False
    """Deleted rows still stand in the write-ahead log; see the store's `leave_no_trace`."""

    async def leftovers(self, channels: Collection[str]) -> list[Leftover]:
        """What is to be removed from chats of these channels.

        First what is of women who deleted everything, then the oldest.
        """
        query = select(leftovers).where(leftovers.c.channel.in_(channels))
        query = query.order_by(leftovers.c.address_index.is_not(None), leftovers.c.id)
        async with self._database.read() as connection:
            return self._opened((await connection.execute(query)).all())

    async def drop_leftovers(self, ids: Sequence[int]) -> None:
        """These stand in no chat any more, or cannot be removed; no trace of them stays."""
        if not ids:
            return
        async with self._database.write() as connection:
            await connection.execute(leftovers.delete().where(leftovers.c.id.in_(ids)))
        self.traces_remain = True

    async def _leftovers_of(self, connection: AsyncConnection, index: bytes) -> list[Leftover]:
        """What still stands in her chat."""
        hers = select(leftovers).where(leftovers.c.address_index == index).order_by(leftovers.c.id)
        return self._opened((await connection.execute(hers)).all())

    async def _leave_nameless(
        self, connection: AsyncConnection, channel: str, address: str, handles: Collection[str]
    ) -> list[Leftover]:
        """These are to be removed from the chat of a woman of whom nothing else is kept."""
        until, left = whole_hour(self._now() + HANDLES), []
        for handle in handles:
            whose = new_id()
            row = {
                "sealed_for": whose,
                "channel": channel,
                "address": self._seal("address", whose, address),
                "handle": self._seal("handle", whose, handle),
                "until": until,
            }
            new = leftovers.insert().values(**row).returning(leftovers.c.id)
            row_id = (await connection.execute(new)).scalar_one()
            left.append(Leftover(row_id, channel, address, handle, erased=True))
        return left

    def _opened(self, rows: Sequence[Row[Any]]) -> list[Leftover]:
        return [found for row in rows if (found := self._leftover(row)) is not None]

    def _leftover(self, row: Row[Any]) -> Leftover | None:
        whose = row.sealed_for
        try:
            address = self._vault.unseal("address", "subscriptions", "address", whose, row.address)
            handle = self._vault.unseal("handle", "subscriptions", "handle", whose, row.handle)
        except Tampered:  # it can remove nothing, and must not stop the others
            log.alarm("unreadable")
            return None
        erased = row.address_index is None
        return Leftover(row.id, row.channel, address.decode(), handle.decode(), erased)

    def _seal(self, column: str, row_id: str, value: str) -> bytes:
        return self._vault.seal(column, "subscriptions", column, row_id, value.encode())


async def leave(connection: AsyncConnection, which: ColumnElement[bool], now: datetime) -> None:
    """These reminders are over: what of them stands in a chat is to be removed."""
    names = "channel", "address_index", "address", "handle"
    stands = subscriptions.c.handle.is_not(None), subscriptions.c.address.is_not(None)
    until = literal(whole_hour(now + HANDLES), leftovers.c.until.type)
    columns = subscriptions.c.id, *(subscriptions.c[name] for name in names), until
    rows = select(*columns).where(which, *stands)
    into = ["sealed_for", *names, "until"]
    await connection.execute(leftovers.insert().from_select(into, rows))


async def forget_leftovers(connection: AsyncConnection, index: bytes) -> None:
    """Nothing can be removed from her chat any more, or it is known elsewhere what is."""
    await connection.execute(leftovers.delete().where(leftovers.c.address_index == index))
