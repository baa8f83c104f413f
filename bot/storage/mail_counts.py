"""How a broadcast's figures follow what becomes of its mailings, and of those it is for."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from sqlalchemy import ColumnElement, func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from bot.storage.mail_records import BroadcastState
from bot.storage.tables import broadcasts, mailings, subscriptions

PARTS = 32
"""An audience is put into the mailings in so many parts; all the rows of a woman are of one."""
DELIVERED, UNKNOWN, GONE, FAILED, HELD = "delivered", "unknown", "gone", "failed", "held"


async def count(connection: AsyncConnection, broadcast_id: str, counted: Mapping[str, int]) -> None:
    """So many women more, by what became of theirs."""
    change = broadcasts.update().where(broadcasts.c.id == broadcast_id)
    more = {name: broadcasts.c[name] + women for name, women in counted.items()}
    await connection.execute(change.values(**more))


async def drop(connection: AsyncConnection, which: ColumnElement[bool], now: datetime) -> int:
    """These reminders are over, and whatever waits for them goes along. Returns how many.

    Of a broadcast that was still to come to them, they count as gone.
    """
    waits = (
        select(mailings.c.broadcast_id, func.count().label("women"))
        .join_from(mailings, subscriptions, subscriptions.c.id == mailings.c.subscription_id)
        .where(which, mailings.c.broadcast_id.is_not(None))
        .group_by(mailings.c.broadcast_id)
    )
    for row in (await connection.execute(waits)).all():
        await count(connection, row.broadcast_id, {GONE: row.women})
    dropped: int = (await connection.execute(subscriptions.delete().where(which))).rowcount
    await finish(connection, now)
    return dropped


async def finish(connection: AsyncConnection, now: datetime) -> None:
    """A broadcast of which nothing waits any more, and nothing is to come, has ended."""
    waits = select(mailings.c.id).where(mailings.c.broadcast_id == broadcasts.c.id).exists()
    going = broadcasts.c.state.in_((BroadcastState.RUNNING, BroadcastState.PAUSED))
    over = broadcasts.update().where(going, broadcasts.c.enqueued == PARTS, ~waits)
    await connection.execute(over.values(state=BroadcastState.DONE, ended_at=now))
