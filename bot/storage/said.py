"""What the centre said lately to women who wait for a reception: its broadcasts, to be read."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import Row, and_, or_, select
from sqlalchemy.ext.asyncio import AsyncConnection

from bot.privacy.retention import BROADCAST_WORDS
from bot.storage.mail_records import BroadcastState
from bot.storage.tables import broadcasts

GOING = (BroadcastState.RUNNING, BroadcastState.PAUSED)


class Said(NamedTuple):
    """The words of one broadcast by language, and to those who wait where they were said."""

    broadcast: str
    channels: Collection[str]
    municipalities: Collection[str]  # none: everywhere
    texts: Mapping[str, str]

    def is_there(self, waits: Row[Any]) -> bool:
        """Whether it was said where this reminder is, in whatever language."""
        there = not self.municipalities or waits.municipality in self.municipalities
        return there and waits.channel in self.channels

    def is_for(self, waits: Row[Any]) -> bool:
        """Whether it was said to her whose reminder this is."""
        return waits.language in self.texts and self.is_there(waits)


async def lately(connection: AsyncConnection, now: datetime) -> list[Said]:
    """All that can be read now, the newest first: what is on its way, and what ended lately."""
    ended = and_(
        broadcasts.c.state == BroadcastState.DONE, broadcasts.c.ended_at > now - BROADCAST_WORDS
    )
    query = (
        select(broadcasts)
        .where(or_(broadcasts.c.state.in_(GOING), ended))
        .order_by(broadcasts.c.started_at.desc())
    )
    return [
        Said(row.id, _parts(row.channels), _parts(row.municipalities), json.loads(row.texts))
        for row in (await connection.execute(query)).all()
    ]


def _parts(written: str) -> frozenset[str]:
    return frozenset(each for each in written.split(",") if each)
