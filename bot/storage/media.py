"""Photos and voice on their way: sealed under the case's key, gone once they are delivered."""

from __future__ import annotations

from typing import Any

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from bot.privacy.vault import KeyDestroyed
from bot.storage.part import CASES, Part, new_id
from bot.storage.records import Medium, MediumKind
from bot.storage.tables import cases, media, messages


class MediaPart(Part):
    """Keeps a photo or a voice until it is delivered."""

    async def medium(self, message_id: str) -> Medium | None:
        """The photo or voice of a message; None once it was delivered, or its text destroyed."""
        query = (
            select(media.c.data, messages.c.medium, messages.c.case_id)
            .join_from(media, messages, messages.c.id == media.c.message_id)
            .where(media.c.message_id == message_id)
        )
        async with self._database.read() as connection:
            row = (await connection.execute(query)).one_or_none()
            if row is None:
                return None
            case = (await connection.execute(CASES.where(cases.c.id == row.case_id))).one()
        try:
            key = self._key(case)
        except KeyDestroyed:
            return None
        data = self._vault.unseal_bytes(key, "media", "data", message_id, row.data)
        return Medium(MediumKind(row.medium), data)

    async def kept_media(self, case_id: str) -> frozenset[str]:
        """The messages of a case whose photo or voice was not delivered yet."""
        query = (
            select(media.c.message_id)
            .join_from(media, messages, messages.c.id == media.c.message_id)
            .where(messages.c.case_id == case_id)
        )
        async with self._database.read() as connection:
            return frozenset((await connection.execute(query)).scalars())

    async def drop_medium(self, message_id: str) -> bool:
        """It was delivered: nothing of it is kept. False: that was so already."""
        async with self._database.write() as connection:
            gone = media.delete().where(media.c.message_id == message_id)
            return (await connection.execute(gone)).rowcount == 1

    async def _insert_medium(
        self, connection: AsyncConnection, message_id: str, key: bytes, medium: Medium
    ) -> None:
        sealed = self._vault.seal_bytes(key, "media", "data", message_id, medium.data)
        await connection.execute(media.insert().values(message_id=message_id, data=sealed))

    def _sealed(self, case_id: str, handle: str, message_id: str | None = None) -> dict[str, Any]:
        """The row of what stands in her chat."""
        row = new_id()
        sealed = self._vault.seal("handle", "handles", "handle", row, handle.encode())
        values = {"id": row, "case_id": case_id, "handle": sealed, "at": self._now()}
        return values | {"message_id": message_id}
