"""Voices that a platform or her page fetches: sealed under the case's key, for minutes."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from bot.privacy.vault import KeyDestroyed
from bot.storage.part import Part
from bot.storage.tables import cases, lent

LENT_BYTES = 64 * 1024 * 1024
"""Of all voices that lie there; the oldest go first."""


@dataclass(frozen=True, slots=True)
class LentVoice:
    """A voice that lies there until then."""

    content: bytes = field(repr=False)
    until: datetime


class Lent(Part):
    """Keeps a voice for whoever was given its address. It goes with its case."""

    async def lend(
        self, name: str, channel: str, address: str, content: bytes, until: datetime
    ) -> bool:
        """Let this be fetched under a name. False: she has no case any more."""
        mine = cases.c.address_index == self._index(channel, address)
        newest = select(cases).where(mine, cases.c.wrapped_key.is_not(None))
        async with self._database.write() as connection:
            await connection.execute(lent.delete().where(lent.c.until <= self._now()))
            again = lent.update().where(lent.c.name == name).values(until=until)
            if (await connection.execute(again)).rowcount:
                return True
            query = newest.order_by(cases.c.opened_at.desc()).limit(1)
            case = (await connection.execute(query)).one_or_none()
            if case is None:
                return False
            try:
                key = self._key(case)
            except KeyDestroyed:
                return False
            data = self._vault.seal_bytes(key, "lent", "data", name, content)
            row = {"name": name, "case_id": case.id, "data": data, "until": until}
            await connection.execute(lent.insert().values(**row))
            await _make_room(connection)
        return True

    async def lend_beside(self, lies: str, name: str, content: bytes) -> None:
        """The same voice in another kind, for as long as that one lies there."""
        query = select(lent.c.until, cases).join(cases, cases.c.id == lent.c.case_id)
        async with self._database.write() as connection:
            row = (await connection.execute(query.where(lent.c.name == lies))).one_or_none()
            known = select(lent.c.name).where(lent.c.name == name)
            if row is None or (await connection.execute(known)).first() is not None:
                return
            try:
                data = self._vault.seal_bytes(self._key(row), "lent", "data", name, content)
            except KeyDestroyed:
                return
            values = {"name": name, "case_id": row.id, "data": data, "until": row.until}
            await connection.execute(lent.insert().values(**values))
            await _make_room(connection)

    async def lent(self, name: str) -> LentVoice | None:
        """What lies under this name, unless its time is over."""
        query = select(lent.c.data, lent.c.until, cases).join(cases, cases.c.id == lent.c.case_id)
        async with self._database.read() as connection:
            row = (await connection.execute(query.where(lent.c.name == name))).one_or_none()
        if row is None:
            return None
        if row.until <= self._now():
            await self.drop_lent()
            return None
        try:
            content = self._vault.unseal_bytes(self._key(row), "lent", "data", name, row.data)
        except KeyDestroyed:
            return None
        return LentVoice(content, row.until)

    async def drop_lent(self) -> None:
        """Delete the voices whose time is over."""
        async with self._database.write() as connection:
            await connection.execute(lent.delete().where(lent.c.until <= self._now()))

    async def take_back_lent(self, channel: str, address: str) -> None:
        """She hid: of her voices nothing more is fetched. What is being fetched comes whole."""
        mine = select(cases.c.id).where(cases.c.address_index == self._index(channel, address))
        async with self._database.read() as connection:
            hers = select(lent.c.name).where(lent.c.case_id.in_(mine)).limit(1)
            if (await connection.execute(hers)).first() is None:
                return
        async with self._database.write() as connection:
            await connection.execute(lent.delete().where(lent.c.case_id.in_(mine)))


async def _make_room(connection: AsyncConnection) -> None:
    """Delete the oldest, so that all of them together stay below their limit."""
    sizes = select(lent.c.name, func.length(lent.c.data)).order_by(lent.c.until.desc())
    left = LENT_BYTES
    for name, size in (await connection.execute(sizes)).all():
        left -= size
        if left < 0:
            await connection.execute(lent.delete().where(lent.c.name == name))
