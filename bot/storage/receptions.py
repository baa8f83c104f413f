"""What belongs to no woman: the receptions, and the platforms' ids of our own pictures."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from bot.storage import reminding
from bot.storage.part import Part
from bot.storage.rows import reception_columns, reception_of
from bot.storage.tables import media_ids, receptions
from scheduler.model import Reception


class Receptions(Part):
    """Reads and saves receptions."""

    async def receptions(
        self, municipality: str | None = None, since: datetime | None = None
    ) -> list[Reception]:
        """In order of time, cancelled ones too; with `since`, those that end after it."""
        query = select(receptions).order_by(receptions.c.starts_at, receptions.c.id)
        if municipality is not None:
            query = query.where(receptions.c.municipality == municipality)
        if since is not None:
            query = query.where(receptions.c.ends_at > since)
        async with self._database.read() as connection:
            rows = (await connection.execute(query)).all()
        return [reception_of(row) for row in rows]

    async def reception(self, reception_id: str) -> Reception | None:
        """One reception."""
        query = select(receptions).where(receptions.c.id == reception_id)
        async with self._database.read() as connection:
            row = (await connection.execute(query)).one_or_none()
        return None if row is None else reception_of(row)

    async def save_receptions(self, new: Sequence[Reception]) -> tuple[int, int]:
        """Save all or none, by id; returns how many were added and how many changed.

        Whoever waits for one of them is looked at at once. A changed one counts on, as calendars
        do (`sequence`), and keeps the name that it has there.
        """
        async with self._database.write() as connection:
            return await self._save(connection, new, counted=False)

    async def revise_receptions(
        self,
        revise: Callable[[Sequence[Reception]], Sequence[Reception]],
        *,
        counted: bool = False,
    ) -> tuple[int, int]:
        """Save what `revise` makes of all that are known; nobody else saves meanwhile.

        As `save_receptions` does otherwise, but where a calendar has `counted` already. What
        `revise` raises is raised, and nothing is saved.
        """
        query = select(receptions).order_by(receptions.c.starts_at, receptions.c.id)
        async with self._database.write() as connection:
            rows = (await connection.execute(query)).all()
            new = revise([reception_of(row) for row in rows])
            return await self._save(connection, new, counted=counted)

    async def _save(
        self, connection: AsyncConnection, new: Sequence[Reception], *, counted: bool
    ) -> tuple[int, int]:
        query = select(receptions).where(receptions.c.id.in_([each.id for each in new]))
        now, added, changed = self._now(), 0, 0
        rows = (await connection.execute(query)).all()
        known = {row.id: reception_of(row) for row in rows}
        for each in new:
            old = known.get(each.id)
            if old is None:
                added += 1
                await connection.execute(receptions.insert().values(**reception_columns(each)))
            elif (each := _after(old, each, counted=counted)) != old:
                changed += 1
                change = receptions.update().where(receptions.c.id == each.id)
                await connection.execute(change.values(**reception_columns(each)))
                await reminding.changed(connection, each, now)
            else:
                continue
            known[each.id] = each
            await reminding.planned(connection, each.municipality, now)
        return added, changed


def _after(old: Reception, new: Reception, *, counted: bool) -> Reception:
    """What is kept of a known reception: its name in calendars, and how often it was changed."""
    is_changed = replace(new, uid=old.uid, sequence=old.sequence) != old
    least = old.sequence + 1 if is_changed and not counted else old.sequence
    return replace(new, uid=new.uid or old.uid, sequence=max(new.sequence, least))


class MediaIds(Part):
    """Under which id a platform knows a picture of ours, so that it is uploaded once."""

    async def get(self, channel: str, digest: str) -> str | None:
        """The platform's id of the file with this digest."""
        query = select(media_ids.c.file_id).where(
            media_ids.c.channel == channel, media_ids.c.digest == digest
        )
        async with self._database.read() as connection:
            return (await connection.execute(query)).scalar_one_or_none()

    async def put(self, channel: str, digest: str, file_id: str) -> None:
        """Remember it; a newer id takes the place of an older one."""
        old = media_ids.c.channel == channel, media_ids.c.digest == digest
        async with self._database.write() as connection:
            await connection.execute(media_ids.delete().where(*old))
            await connection.execute(
                media_ids.insert().values(channel=channel, digest=digest, file_id=file_id)
            )
