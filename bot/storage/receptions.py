"""What belongs to no woman: the receptions, and the platforms' ids of our own pictures."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Row, select

from bot.storage.part import Part
from bot.storage.tables import media_ids, receptions
from scheduler.model import Reception, ReceptionState


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
        return [_reception(row) for row in rows]

    async def reception(self, reception_id: str) -> Reception | None:
        """One reception."""
        query = select(receptions).where(receptions.c.id == reception_id)
        async with self._database.read() as connection:
            row = (await connection.execute(query)).one_or_none()
        return None if row is None else _reception(row)

    async def save_receptions(self, new: Sequence[Reception]) -> tuple[int, int]:
        """Save all or none, by id; returns how many were added and how many changed."""
        query = select(receptions).where(receptions.c.id.in_([each.id for each in new]))
        async with self._database.write() as connection:
            rows = (await connection.execute(query)).all()
            known = {row.id: _reception(row) for row in rows}
            added = changed = 0
            for each in new:
                if each.id not in known:
                    added += 1
                    await connection.execute(receptions.insert().values(**_columns(each)))
                elif each != known[each.id]:
                    changed += 1
                    change = receptions.update().where(receptions.c.id == each.id)
                    await connection.execute(change.values(**_columns(each)))
                known[each.id] = each
        return added, changed


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


def _reception(row: Row[Any]) -> Reception:
    return Reception(
        id=row.id,
        municipality=row.municipality,
        place=row.place,
        start=row.starts_at,
        end=row.ends_at,
        landmark=row.landmark,
        attends=row.attends,
        public_name=row.public_name,
        state=ReceptionState(row.state),
    )


def _columns(reception: Reception) -> dict[str, Any]:
    return {
        "id": reception.id,
        "municipality": reception.municipality,
        "place": reception.place,
        "starts_at": reception.start,
        "ends_at": reception.end,
        "landmark": reception.landmark,
        "attends": reception.attends,
        "public_name": reception.public_name,
        "state": reception.state,
    }
