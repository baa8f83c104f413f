"""Reminders that are over and still stand in a chat: kept until they are taken away.

A chat holds no history to read. What is kept of such a woman is where the message stands, sealed
as it was in her reminder, and for no longer than a platform lets us remove it.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Row, literal, select
from sqlalchemy.ext.asyncio import AsyncConnection

from bot.privacy.retention import HANDLES
from bot.privacy.vault import Tampered
from bot.storage.part import Part, log
from bot.storage.tables import leftovers, subscriptions


@dataclass(frozen=True, slots=True)
class Leftover:
    """A message of ours that is to be removed from a chat."""

    id: int
    channel: str
    address: str = field(repr=False)
    handle: str = field(repr=False)


class Leftovers(Part):
    """Gives out what is to be removed, and forgets what was."""

    async def leftovers(self, channels: Collection[str]) -> list[Leftover]:
        """What stands in chats of these channels though it is over, the oldest first."""
        query = select(leftovers).where(leftovers.c.channel.in_(channels)).order_by(leftovers.c.id)
        async with self._database.read() as connection:
            rows = (await connection.execute(query)).all()
        return [found for row in rows if (found := self._leftover(row)) is not None]

    async def drop_leftovers(self, ids: Sequence[int]) -> None:
        """These stand in no chat any more, or cannot be removed."""
        if not ids:
            return
        async with self._database.write() as connection:
            await connection.execute(leftovers.delete().where(leftovers.c.id.in_(ids)))

    async def _leftovers_of(self, connection: AsyncConnection, index: bytes) -> list[str]:
        """The handles of what still stands in her chat; they are forgotten here."""
        hers = leftovers.c.address_index == index
        rows = (await connection.execute(select(leftovers).where(hers))).all()
        await connection.execute(leftovers.delete().where(hers))
        return [found.handle for row in rows if (found := self._leftover(row)) is not None]

    def _leftover(self, row: Row[Any]) -> Leftover | None:
        whose = row.subscription_id
        try:
            address = self._vault.unseal("address", "subscriptions", "address", whose, row.address)
            handle = self._vault.unseal("handle", "subscriptions", "handle", whose, row.handle)
        except Tampered:  # it can remove nothing, and must not stop the others
            log.alarm("unreadable")
            return None
        return Leftover(row.id, row.channel, address.decode(), handle.decode())


async def leave(connection: AsyncConnection, which: ColumnElement[bool], now: datetime) -> None:
    """These reminders are over: what of them stands in a chat is to be removed."""
    names = "channel", "address_index", "address", "handle"
    stands = subscriptions.c.handle.is_not(None), subscriptions.c.address.is_not(None)
    until = literal(now + HANDLES, leftovers.c.until.type)
    columns = subscriptions.c.id, *(subscriptions.c[name] for name in names), until
    rows = select(*columns).where(which, *stands)
    into = ["subscription_id", *names, "until"]
    await connection.execute(leftovers.insert().from_select(into, rows))
