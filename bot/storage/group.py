"""Who is to be put out of the desk's Telegram group, and who may come back into it.

A note is written in the transaction that changes an account, so that no kill comes between the
two, and goes when Telegram has done what it says (`bot/desk/membership.py`). The address in it
is the account's own sealed value, and opens as that.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import Row, select
from sqlalchemy.ext.asyncio import AsyncConnection

from bot.privacy.vault import Tampered
from bot.storage.part import Part, log, new_id
from bot.storage.records import GroupNote, Role, Wish
from bot.storage.tables import audit, group_notes, staff


async def put_out(connection: AsyncConnection, staff_id: str, now: datetime) -> None:
    """Every phone that she has linked, or had, is to leave the group."""
    hers = group_notes.c.staff_id == staff_id, group_notes.c.wish != Wish.OUT
    await connection.execute(
        group_notes.update().where(*hers).values(wish=Wish.OUT, refused=False, at=now)
    )
    row = (await connection.execute(select(staff).where(staff.c.id == staff_id))).one_or_none()
    if row is not None and row.bell_index is not None:
        await _note(connection, row, Wish.OUT, now)


async def let_back(connection: AsyncConnection, staff_id: str, now: datetime) -> None:
    """The phone that she has linked may come in again, if she answers women."""
    row = (await connection.execute(select(staff).where(staff.c.id == staff_id))).one()
    if row.bell_index is not None and is_consultant(row):
        await _note(connection, row, Wish.BACK, now)


async def unlinked(connection: AsyncConnection, row: Row[Any], now: datetime) -> None:
    """A phone is hers no more, and may still be in the group: known for when she has to leave.

    `row` is her account as it was before.
    """
    if row.bell_index is None or not is_consultant(row):
        return
    known = select(group_notes.c.wish).where(group_notes.c.address_index == row.bell_index)
    if (await connection.execute(known)).scalar_one_or_none() != Wish.OUT:
        await _note(connection, row, Wish.NONE, now)


def is_consultant(row: Row[Any]) -> bool:
    """Whether this account answers women."""
    return Role.CONSULTANT in row.roles.split(",")


async def _note(connection: AsyncConnection, row: Row[Any], wish: Wish, now: datetime) -> None:
    """In place of what was to become of this phone before."""
    same = group_notes.c.address_index == row.bell_index
    await connection.execute(group_notes.delete().where(same))
    await connection.execute(
        group_notes.insert().values(
            id=new_id(),
            address_index=row.bell_index,
            address=row.bell_address,
            staff_id=row.id,
            name=row.login,
            wish=wish,
            refused=False,
            at=now,
        )
    )


class GroupNotes(Part):
    """What is to be done in the group, as whoever keeps it reads and settles it."""

    async def group_notes(self) -> list[GroupNote]:
        """All notes, oldest first."""
        query = select(group_notes).order_by(group_notes.c.at, group_notes.c.id)
        async with self._database.read() as connection:
            rows = (await connection.execute(query)).all()
        found = []
        for row in rows:
            place = "address", "staff", "bell_address", row.staff_id
            try:
                address = self._vault.unseal(*place, row.address).decode()
            except Tampered:  # it must not keep the others in
                log.alarm("unreadable")
                continue
            wish = Wish(row.wish)
            found.append(GroupNote(row.id, row.staff_id, row.name, wish, row.refused, address))
        return found

    async def group_note_done(self, note: GroupNote, *, unmet: bool = False) -> None:
        """Telegram has done it, or knows nobody there (`unmet`). What is wished since then stays.

        The audit keeps when somebody was put out.
        """
        same = group_notes.c.id == note.id, group_notes.c.wish == note.wish
        put_out = {"at": self._now(), "staff_id": note.staff_id, "action": "account.put_out"}
        async with self._database.write() as connection:
            done = await connection.execute(group_notes.delete().where(*same))
            if done.rowcount and note.wish is Wish.OUT and not unmet:
                await connection.execute(audit.insert().values(**put_out))

    async def group_note_refused(self, note: GroupNote) -> None:
        """Telegram does not do it, and a person must."""
        change = group_notes.update().where(group_notes.c.id == note.id)
        async with self._database.write() as connection:
            await connection.execute(change.values(refused=True))

    async def drop_group_notes(self) -> None:
        """There is no group."""
        async with self._database.read() as connection:
            if (await connection.execute(select(group_notes.c.id).limit(1))).first() is None:
                return
        async with self._database.write() as connection:
            await connection.execute(group_notes.delete())
