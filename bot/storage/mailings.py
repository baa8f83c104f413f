"""What is on its way to the phones of women who wait for a reception, and how it ended.

A row lives until it is settled; then only the counts of its broadcast say that it was there.
Whoever sends holds a lease on it; one that runs out makes the send unknown, which counts as sent.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Row, and_, func, or_, select
from sqlalchemy.ext.asyncio import AsyncConnection

from bot.privacy.redact import EventLog
from bot.privacy.vault import Tampered
from bot.storage.leftovers import forget_leftovers
from bot.storage.mail_counts import (
    DELIVERED,
    FAILED,
    GONE,
    HELD,
    UNKNOWN,
    count,
    drop,
    finish,
)
from bot.storage.mail_records import BroadcastState, Mailing, MailingEnd, MailingOutcome
from bot.storage.outbox import LEASE
from bot.storage.part import log
from bot.storage.reminding import reminder_of, stale, told, work_out_anew
from bot.storage.rows import RECEPTION, its_reception
from bot.storage.subscriptions import Subscriptions
from bot.storage.tables import broadcasts, mailings, receptions, subscriptions
from scheduler import plan

_COUNTED = {
    MailingEnd.SENT: DELIVERED,
    MailingEnd.UNKNOWN: UNKNOWN,
    MailingEnd.GONE: GONE,
    MailingEnd.FAILED: FAILED,
}

_AT_ONCE = 5_000
"""So many are moved on in one transaction."""
_BY_INDEX = mailings.c.broadcast_id, mailings.c.channel, mailings.c.due_at
"""As `due_at` alone where the others are given; but PostgreSQL would sort a long line by that."""


class Mailings(Subscriptions):
    """Gives out what may be sent now, and takes back how it ended."""

    async def take_mailings(self, channel: str, worker: str, limit: int) -> list[Mailing]:
        """Lease what may go out on this channel now, reminders first; the oldest first.

        Only inside her hours. What cannot be opened is settled as failed.
        """
        now = self._now()
        taken: list[Row[Any]] = []
        async with self._database.write() as connection:
            for of in await _in_turn(connection):
                if (room := limit - len(taken)) > 0:
                    query = _may_go(channel, of, now).limit(room)
                    taken += (await connection.execute(query)).all()
            await _lease(connection, [row.mailing_id for row in taken], worker, now)
            opened = {row.mailing_id: self._mailing(row) for row in taken}
            lost = {
                mailing_id: MailingOutcome(MailingEnd.FAILED)
                for mailing_id, mailing in opened.items()
                if mailing is None
            }
            if lost:
                await self._settle_mailings(connection, lost, now)
        return [mailing for mailing in opened.values() if mailing is not None]

    async def mailings_due(self, channel: str) -> datetime | None:
        """When the next one on this channel may go, as far as is known; None: none waits."""
        moments: list[datetime] = []
        async with self._database.read() as connection:
            for of in await _in_turn(connection):
                mine = of, mailings.c.channel == channel, ~mailings.c.sending
                query = select(mailings.c.due_at).where(*mine).order_by(*_BY_INDEX).limit(1)
                moments += (await connection.execute(query)).scalars().all()
        return min(moments, default=None)

    async def keep_mailings(self, worker: str) -> None:
        """What this process sends goes on: to be called while a send is under way."""
        mine = mailings.update().where(mailings.c.leased_by == worker)
        async with self._database.write() as connection:
            await connection.execute(mine.values(leased_until=self._now() + LEASE))

    async def settle_mailings(self, worker: str, outcomes: Mapping[int, MailingOutcome]) -> None:
        """These sends ended so. What this process has no lease on any more is left alone."""
        mine = mailings.c.leased_by == worker, mailings.c.id.in_(outcomes)
        async with self._database.write() as connection:
            ids = (await connection.execute(select(mailings.c.id).where(*mine))).scalars().all()
            ended = {mailing_id: outcomes[mailing_id] for mailing_id in ids}
            await self._settle_mailings(connection, ended, self._now())

    async def recover_mailings(self, living: Collection[str] = (), steady: bool = True) -> int:
        """Sends that were cut off may have arrived: they are unknown. Returns how many.

        As `recover` of the outbox: to be called at the start, and every few seconds. Not `steady`
        (`Alone.steady`): whoever is there may still have to say how its sends ended, and could
        not; then a lease that ran out counts only where nobody is there any more.
        """
        out: ColumnElement[bool] = mailings.c.leased_by.not_in(living)
        if steady:
            out = or_(out, mailings.c.leased_until <= self._now())
        return await self._cut_off_mailings(and_(mailings.c.leased_by.is_not(None), out))

    async def take_over_mailings(self, channel: str) -> int:
        """This process serves the channel from now on: what another was sending is cut off."""
        out = mailings.c.leased_by.is_not(None), mailings.c.channel == channel
        return await self._cut_off_mailings(and_(*out))

    async def _cut_off_mailings(self, which: ColumnElement[bool]) -> int:
        async with self._database.read() as connection:
            query = select(mailings.c.id).where(which).limit(1)
            if (await connection.execute(query)).first() is None:
                return 0
        async with self._database.write() as connection:
            rows = (await connection.execute(select(mailings).where(which))).all()
            unknown = {row.id: MailingOutcome(MailingEnd.UNKNOWN) for row in rows}
            await self._settle_mailings(connection, unknown, self._now())
        for row in rows:
            if row.broadcast_id is None:  # of a broadcast its report says so
                EventLog(row.channel).failed("reminder_unknown")
        return len(rows)

    async def expire_mailings(self) -> int:
        """What did not go out while her phone may ring waits for the next time; returns how many.

        A reminder is worked out anew; of a broadcast what would come too late is held.
        """
        expired = some = await self._expire()
        while some == _AT_ONCE:
            some = await self._expire()
            expired += some
        return expired

    async def _expire(self) -> int:
        """As many as others may have to wait for."""
        now = self._now()
        late = select(mailings.c.id).where(mailings.c.latest <= now, ~mailings.c.sending)
        async with self._database.read() as connection:
            if (await connection.execute(late.limit(1))).first() is None:
                return 0
        query = (
            select(
                mailings.c.id, mailings.c.broadcast_id, broadcasts.c.until, subscriptions.c.hours
            )
            .join_from(mailings, subscriptions, subscriptions.c.id == mailings.c.subscription_id)
            .outerjoin(broadcasts, broadcasts.c.id == mailings.c.broadcast_id)
            .where(mailings.c.id.in_(late.limit(_AT_ONCE)))
        )
        alike: dict[tuple[str | None, datetime, str], list[int]] = defaultdict(list)
        async with self._database.write() as connection:
            rows = (await connection.execute(query)).all()
            for row in rows:
                alike[row.broadcast_id, row.until, row.hours].append(row.id)
            for (broadcast_id, until, hours), ids in alike.items():
                if broadcast_id is None:
                    await work_out_anew(connection, mailings.c.id.in_(ids), now)
                else:
                    await _next_time(connection, ids, broadcast_id, until, hours, now)
            await finish(connection, now)
        return len(rows)

    async def _settle_mailings(
        self, connection: AsyncConnection, outcomes: Mapping[int, MailingOutcome], now: datetime
    ) -> None:
        if not outcomes:
            return
        columns = mailings.c.id, mailings.c.subscription_id, mailings.c.broadcast_id
        query = select(*columns, mailings.c.cause).where(mailings.c.id.in_(outcomes))
        rows = (await connection.execute(query)).all()
        counts: dict[str, Counter[str]] = defaultdict(Counter)
        causes: dict[str, list[str]] = defaultdict(list)
        later: list[int] = []
        over, gone = [], []
        for row in rows:
            end = outcomes[row.id].end
            if end is MailingEnd.LATER:
                later.append(row.id)
                continue
            over.append(row.id)
            if row.broadcast_id is not None:
                counts[row.broadcast_id][_COUNTED[end]] += 1
            elif end is not MailingEnd.GONE:
                causes[row.subscription_id].append(row.cause)
            if end is MailingEnd.GONE:
                gone.append(row.subscription_id)
        await self._keep_handles(connection, rows, outcomes)
        await _delete(connection, over)
        if causes:
            await told(connection, causes, now)
        for broadcast_id, counted in counts.items():
            await count(connection, broadcast_id, counted)
        if gone:
            await self._left(connection, gone)
        if later:
            await _later(connection, {each: outcomes[each] for each in later}, now)
        await finish(connection, now)

    async def _keep_handles(
        self,
        connection: AsyncConnection,
        rows: Sequence[Any],
        outcomes: Mapping[int, MailingOutcome],
    ) -> None:
        for row in rows:
            if handle := outcomes[row.id].handle:
                sealed = self._seal("handle", row.subscription_id, handle)
                of = subscriptions.c.id == row.subscription_id
                await connection.execute(subscriptions.update().where(of).values(handle=sealed))

    async def _left(self, connection: AsyncConnection, subscription_ids: Sequence[str]) -> None:
        """They have left the line: nothing waits for them any more, of whatever place."""
        theirs = select(subscriptions.c.address_index).where(
            subscriptions.c.id.in_(subscription_ids)
        )
        indexes = (await connection.execute(theirs)).scalars().all()
        await drop(connection, subscriptions.c.address_index.in_(indexes), self._now())
        for index in set(indexes):
            await forget_leftovers(connection, index)

    def _mailing(self, row: Row[Any]) -> Mailing | None:
        try:
            sealed = row.address
            address = self._vault.unseal("address", "subscriptions", "address", row.id, sealed)
            handle = None if row.handle is None else self._reminder(row)
        except Tampered:
            log.alarm("unreadable")
            return None
        of_reminder = row.broadcast_id is None
        return Mailing(
            id=row.mailing_id,
            channel=row.channel,
            address=address.decode(),
            language=row.language,
            words=row.words,
            reminder=reminder_of(row.cause) if of_reminder else None,
            broadcast=row.broadcast_id,
            reception=its_reception(row),
            latest=row.latest,
            attempts=row.attempts,
            tried_at=row.tried_at,
            handle=handle,
        )


async def _in_turn(connection: AsyncConnection) -> list[ColumnElement[bool]]:
    """What goes out before what: the reminders, then each broadcast that runs."""
    running = select(broadcasts.c.id).where(broadcasts.c.state == BroadcastState.RUNNING)
    ids = (
        await connection.execute(running.order_by(broadcasts.c.started_at, broadcasts.c.id))
    ).scalars()
    return [mailings.c.broadcast_id.is_(None), *(mailings.c.broadcast_id == each for each in ids)]


def _may_go(channel: str, of: ColumnElement[bool], now: datetime) -> Any:
    return (
        select(
            mailings.c.id.label("mailing_id"),
            mailings.c.cause,
            mailings.c.broadcast_id,
            mailings.c.latest,
            mailings.c.attempts,
            mailings.c.tried_at,
            subscriptions,
            *RECEPTION,
        )
        .join_from(mailings, subscriptions, subscriptions.c.id == mailings.c.subscription_id)
        .outerjoin(receptions, receptions.c.id == subscriptions.c.reception_id)
        .where(of, mailings.c.channel == channel, mailings.c.due_at <= now)
        .where(mailings.c.latest > now, ~mailings.c.sending, subscriptions.c.address.is_not(None))
        .order_by(*_BY_INDEX)
    )


async def _lease(
    connection: AsyncConnection, ids: Sequence[int], worker: str, now: datetime
) -> None:
    if ids:
        leased = {
            "sending": True,
            "leased_by": worker,
            "leased_until": now + LEASE,
            "tried_at": func.coalesce(mailings.c.tried_at, now),
        }
        change = mailings.update().where(mailings.c.id.in_(ids))
        await connection.execute(change.values(**leased))


async def _later(
    connection: AsyncConnection, outcomes: Mapping[int, MailingOutcome], now: datetime
) -> None:
    """They are tried again, unless what they say is not to be said any more."""
    for mailing_id, outcome in outcomes.items():
        free = {"sending": False, "leased_by": None, "leased_until": None}
        tried = {"tried_at": None} if outcome.afresh else {}
        change = mailings.update().where(mailings.c.id == mailing_id)
        attempts = mailings.c.attempts + int(outcome.refused)
        due = {"due_at": outcome.until or now, "attempts": attempts}
        await connection.execute(change.values(**free, **tried, **due))
    these = mailings.c.id.in_(outcomes)
    if outdated := await stale(connection, list(outcomes)):
        await work_out_anew(connection, mailings.c.id.in_(outdated), now)
    of = select(mailings.c.broadcast_id).where(these)
    cancelled = broadcasts.c.state == BroadcastState.CANCELLED, broadcasts.c.id.in_(of)
    for each in (await connection.execute(select(broadcasts.c.id).where(*cancelled))).scalars():
        waits = mailings.delete().where(these, mailings.c.broadcast_id == each)
        await count(connection, each, {HELD: (await connection.execute(waits)).rowcount})


async def _next_time(
    connection: AsyncConnection,
    late: Sequence[int],
    broadcast_id: str,
    until: datetime,
    hours: str,
    now: datetime,
) -> None:
    """Those of a broadcast whose hours are over for today wait for the next, or are held."""
    start, end = plan.safe_span(hours, now)
    if max(start, now) < until:
        later = mailings.update().where(mailings.c.id.in_(late))
        await connection.execute(later.values(due_at=start, latest=min(end, until)))
    else:
        await _delete(connection, late)
        await count(connection, broadcast_id, {HELD: len(late)})


async def _delete(connection: AsyncConnection, ids: Sequence[int]) -> None:
    if ids:
        await connection.execute(mailings.delete().where(mailings.c.id.in_(ids)))
