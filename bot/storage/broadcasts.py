"""Broadcasts: what staff write for those who wait for a reception, who approves it, how it goes."""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import Mapping
from datetime import datetime, timedelta
from time import monotonic
from typing import Any

from sqlalchemy import (
    ColumnElement,
    FromClause,
    Integer,
    Row,
    and_,
    case,
    cast,
    func,
    insert,
    literal,
    or_,
    select,
    true,
)
from sqlalchemy.ext.asyncio import AsyncConnection

from bot.storage.mail_counts import HELD, PARTS, finish
from bot.storage.mail_records import (
    Audience,
    Broadcast,
    BroadcastState,
    NotAuthor,
    NotProposed,
    OwnBroadcast,
    Reach,
)
from bot.storage.mailings import Mailings
from bot.storage.part import new_id
from bot.storage.said import GOING
from bot.storage.tables import audit, broadcasts, mailings, subscriptions
from scheduler import plan
from scheduler.model import SAFE_HOURS

APPROVAL = timedelta(minutes=30)
"""How long a proposal can be approved; then it has to be proposed again."""
LIFE = timedelta(days=3)
"""What a broadcast could not bring to somebody within so long is held."""
SHORT = 0.02
"""Seconds for which a part may keep other writers waiting without leaving them room after it."""
_MOMENT = mailings.c.due_at.type
_COUNTS = ("recipients", "delivered", "gone", "held", "unknown", "failed")
_OPEN = (BroadcastState.DRAFT, BroadcastState.PROPOSED)
_NOT_ALL = and_(broadcasts.c.state.in_(GOING), broadcasts.c.enqueued < PARTS)


class Broadcasts(Mailings):
    """Keeps broadcasts, and puts an approved one into the mailings."""

    async def save_broadcast(
        self, broadcast_id: str | None, by: str, audience: Audience, texts: Mapping[str, str]
    ) -> Broadcast | None:
        """Keep a draft, new or changed; a proposal of it counts no more. None: it has begun."""
        values = {
            "state": BroadcastState.DRAFT,
            "municipalities": _written(audience.municipalities),
            "languages": _written(audience.languages),
            "channels": _written(audience.channels),
            "texts": json.dumps(dict(sorted(texts.items())), ensure_ascii=False),
            "created_by": by,
            "proposed_at": None,
            "digest": None,
        }
        async with self._database.write() as connection:
            if broadcast_id is None:
                broadcast_id = new_id()
                row = {"id": broadcast_id, "created_at": self._now(), **values}
                await connection.execute(broadcasts.insert().values(**row))
            else:
                change = broadcasts.update().where(_is(broadcast_id, *_OPEN)).values(**values)
                if not (await connection.execute(change)).rowcount:
                    return None
            return await _read(connection, broadcast_id)

    async def broadcast(self, broadcast_id: str) -> Broadcast | None:
        """One broadcast, as it stands now."""
        async with self._database.read() as connection:
            return await _read(connection, broadcast_id)

    async def broadcasts(self) -> list[Broadcast]:
        """All of them, the newest first."""
        query = select(broadcasts).order_by(broadcasts.c.created_at.desc(), broadcasts.c.id)
        async with self._database.read() as connection:
            return [_broadcast(row) for row in (await connection.execute(query)).all()]

    async def reach(self, audience: Audience, paid_before: Mapping[str, datetime]) -> Reach:
        """How many women an audience is now.

        `paid_before`: of a channel that asks for money, before when she must have been there for
        a message of today to cost something.
        """
        rings = func.max(cast(subscriptions.c.address.is_not(None), Integer)).label("rings")
        here = func.max(subscriptions.c.here_at, type_=subscriptions.c.here_at.type)
        women = (
            select(subscriptions.c.channel, rings, here.label("here"))
            .where(_audience(audience, self._now()))
            .group_by(subscriptions.c.address_index, subscriptions.c.channel)
            .subquery()
        )
        query = select(women.c.channel, women.c.rings, func.count().label("women"))
        paid = [
            and_(women.c.channel == channel, or_(women.c.here.is_(None), women.c.here <= moment))
            for channel, moment in paid_before.items()
        ]
        async with self._database.read() as connection:
            rows = (await connection.execute(query.group_by(women.c.channel, women.c.rings))).all()
            billable = 0
            if paid:
                count = select(func.count()).select_from(women).where(women.c.rings == 1)
                billable = (await connection.execute(count.where(or_(*paid)))).scalar_one()
        by_channel = {row.channel: row.women for row in rows if row.rings}
        silent = sum(row.women for row in rows if not row.rings)
        return Reach(by_channel, silent, billable)

    async def propose(self, broadcast_id: str, by: str) -> Broadcast | None:
        """Ask a second person to approve it as it is now. None: it is no draft.

        Raises `NotAuthor`: whoever wrote it could approve what another only proposed.
        """
        async with self._database.write() as connection:
            found = await _read(connection, broadcast_id)
            if found is None or found.state not in _OPEN:
                return None
            if found.created_by != by:
                raise NotAuthor
            proposed = {
                "state": BroadcastState.PROPOSED,
                "proposed_at": self._now(),
                "digest": digest(found),
            }
            change = broadcasts.update().where(broadcasts.c.id == broadcast_id)
            await connection.execute(change.values(**proposed))
            return await _read(connection, broadcast_id)

    async def approve(self, broadcast_id: str, by: str, seen: str) -> Broadcast:
        """A second person has read what `seen` is the digest of: it begins.

        Who did it stands in the audit before anything goes out. Everything of it stands in the
        mailings when this returns; where it does not return, the
        next tick goes on. Raises `OwnBroadcast`, and `NotProposed` where it is another than was
        proposed, or was proposed too long ago.
        """
        now = self._now()
        async with self._database.write() as connection:
            found = await _read(connection, broadcast_id)
            if found is None or found.state is not BroadcastState.PROPOSED:
                raise NotProposed
            if found.created_by == by:
                raise OwnBroadcast
            late = found.proposed_at is None or not (
                found.proposed_at <= now < found.proposed_at + APPROVAL
            )
            if late or found.digest != seen or digest(found) != seen:
                raise NotProposed
            begun = {"state": BroadcastState.RUNNING, "approved_by": by, "started_at": now}
            change = broadcasts.update().where(broadcasts.c.id == broadcast_id)
            await connection.execute(change.values(**begun, until=now + LIFE))
            who = {"at": now, "staff_id": by, "action": "broadcast.approved"}
            await connection.execute(audit.insert().values(**who))
        await self.enqueue_rest()
        approved = await self.broadcast(broadcast_id)
        if approved is None:
            raise NotProposed
        return approved

    async def enqueue_rest(self) -> int:
        """Put what was approved into the mailings, as far as it is not there; returns how many.

        Part by part, so that what women write meanwhile does not wait. Until the last part is in,
        the figures are of those that are. To be called at each tick, by any process.
        """
        enqueued, began = 0, monotonic()
        while (more := await self._enqueue_part()) is not None:
            enqueued += more
            if (lasted := monotonic() - began) > SHORT:
                await asyncio.sleep(lasted)  # whoever waits to write is let in for as long
            began = monotonic()
        return enqueued

    async def _enqueue_part(self) -> int | None:
        """One part of the first that is not all there; None: there is no such broadcast."""
        first = select(broadcasts).where(_NOT_ALL).order_by(broadcasts.c.started_at).limit(1)
        async with self._database.read() as connection:
            if (await connection.execute(first)).first() is None:
                return None
        async with self._database.write() as connection:
            row = (await connection.execute(first)).first()
            return None if row is None else await self._enqueue(connection, row, self._now())

    async def _enqueue(self, connection: AsyncConnection, row: Row[Any], now: datetime) -> int:
        """One mailing for each woman of its next part, in her hours, at one of her places."""
        found, part = _broadcast(row), _part(row.enqueued)
        theirs = _audience(found.audience, now)
        also = subscriptions.alias()
        twice = (
            select(also.c.id)
            .where(also.c.address_index == subscriptions.c.address_index)
            .where(_audience(found.audience, now, also), also.c.address.is_not(None))
            .where(also.c.id < subscriptions.c.id)
        )
        spans = {code: plan.safe_span(code, now) for code in SAFE_HOURS}
        starts = {code: literal(max(start, now), _MOMENT) for code, (start, _) in spans.items()}
        until = now + LIFE if found.until is None else found.until
        ends = {code: literal(min(end, until), _MOMENT) for code, (_, end) in spans.items()}
        values = {
            "subscription_id": subscriptions.c.id,
            "cause": literal(f"broadcast:{found.id}"),
            "broadcast_id": literal(found.id),
            "channel": subscriptions.c.channel,
            "due_at": case(starts, value=subscriptions.c.hours),
            "latest": case(ends, value=subscriptions.c.hours),
            "sending": literal(False),
            "attempts": literal(0),
        }
        each_once = theirs, subscriptions.c.address.is_not(None), ~twice.exists()
        rows = select(*values.values()).where(part, *each_once)
        into = insert(mailings).from_select(list(values), rows)
        enqueued: int = (await connection.execute(into)).rowcount
        unread = subscriptions.update().where(part, theirs, ~subscriptions.c.news)
        await connection.execute(unread.values(news=True))
        silent = await self._count_silent(connection, and_(part, theirs))
        more = {
            "enqueued": broadcasts.c.enqueued + 1,
            "recipients": broadcasts.c.recipients + enqueued + silent,
            HELD: broadcasts.c.held + silent,
        }
        this = broadcasts.update().where(broadcasts.c.id == found.id)
        await connection.execute(this.values(**more))
        await finish(connection, now)
        return enqueued

    async def _count_silent(self, connection: AsyncConnection, whose: ColumnElement[bool]) -> int:
        women = (
            select(subscriptions.c.address_index)
            .where(whose)
            .group_by(subscriptions.c.address_index)
            .having(func.count(subscriptions.c.address) == 0)
            .subquery()
        )
        query = select(func.count()).select_from(women)
        return (await connection.execute(query)).scalar_one()

    async def pause(self, broadcast_id: str) -> bool:
        """Nothing more of it goes out until `resume`; False: it does not run."""
        return await self._turn(broadcast_id, BroadcastState.RUNNING, BroadcastState.PAUSED)

    async def resume(self, broadcast_id: str) -> bool:
        """It goes on where it was; False: it is not paused."""
        return await self._turn(broadcast_id, BroadcastState.PAUSED, BroadcastState.RUNNING)

    async def _turn(self, broadcast_id: str, old: BroadcastState, new: BroadcastState) -> bool:
        change = broadcasts.update().where(_is(broadcast_id, old)).values(state=new)
        async with self._database.write() as connection:
            return (await connection.execute(change)).rowcount > 0

    async def cancel(self, broadcast_id: str) -> bool:
        """What has not gone out is held for good; False: it has ended already."""
        now = self._now()
        waits = and_(mailings.c.broadcast_id == broadcast_id, ~mailings.c.sending)
        async with self._database.write() as connection:
            ended = {"state": BroadcastState.CANCELLED, "ended_at": now}
            change = broadcasts.update().where(_is(broadcast_id, *_OPEN, *GOING))
            if not (await connection.execute(change.values(**ended))).rowcount:
                return False
            held = (await connection.execute(mailings.delete().where(waits))).rowcount
            more = {HELD: broadcasts.c.held + held}
            this = broadcasts.update().where(broadcasts.c.id == broadcast_id)
            await connection.execute(this.values(**more))
            return True


def digest(broadcast: Broadcast) -> str:
    """Of the words and of who is to read them: what one person proposes and another approves."""
    told = {
        "texts": dict(broadcast.texts),
        "municipalities": sorted(broadcast.audience.municipalities),
        "languages": sorted(broadcast.audience.languages),
        "channels": sorted(broadcast.audience.channels),
    }
    return hashlib.sha256(json.dumps(told, sort_keys=True).encode()).hexdigest()


def _audience(audience: Audience, now: datetime, of: FromClause = subscriptions) -> Any:
    alike = of.c.language.in_(audience.languages), of.c.channel.in_(audience.channels)
    there = of.c.municipality.in_(audience.municipalities) if audience.municipalities else true()
    return and_(there, *alike, of.c.until > now)


def _part(number: int) -> ColumnElement[bool]:
    """Those whose index, which is as good as random, begins with this one of sixteen digits."""
    index, width = subscriptions.c.address_index, 256 // PARTS
    since = index >= bytes([number * width])
    return since if number + 1 == PARTS else and_(since, index < bytes([(number + 1) * width]))


def _is(broadcast_id: str, *states: BroadcastState) -> Any:
    return and_(broadcasts.c.id == broadcast_id, broadcasts.c.state.in_(states))


async def _read(connection: AsyncConnection, broadcast_id: str) -> Broadcast | None:
    query = select(broadcasts).where(broadcasts.c.id == broadcast_id)
    row = (await connection.execute(query)).one_or_none()
    return None if row is None else _broadcast(row)


def _broadcast(row: Row[Any]) -> Broadcast:
    return Broadcast(
        id=row.id,
        state=BroadcastState(row.state),
        audience=Audience(_parts(row.municipalities), _parts(row.languages), _parts(row.channels)),
        texts=json.loads(row.texts),
        created_by=row.created_by,
        created_at=row.created_at,
        proposed_at=row.proposed_at,
        digest=row.digest,
        approved_by=row.approved_by,
        started_at=row.started_at,
        ended_at=row.ended_at,
        until=row.until,
        **{name: getattr(row, name) for name in _COUNTS},
    )


def _parts(written: str) -> frozenset[str]:
    return frozenset(each for each in written.split(",") if each)


def _written(parts: frozenset[str]) -> str:
    return ",".join(sorted(parts))
