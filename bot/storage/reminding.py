"""What is due to those who wait for a reception: put into the mailings, put back, written down.

`scheduler.plan` decides. A reminder counts as done as soon as it stands in the mailings; what she
was told is written only when it went out, so that what is put back was never said.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Row, and_, bindparam, or_, select
from sqlalchemy.ext.asyncio import AsyncConnection

from bot.privacy.retention import SUBSCRIPTION, known_at, whole_hour
from bot.storage.leftovers import leave
from bot.storage.mail_counts import drop
from bot.storage.rows import (
    WITH_RECEPTION,
    its_reception,
    knowledge,
    reception_of,
    subscription_of,
    written,
)
from bot.storage.tables import mailings, receptions, subscriptions
from scheduler import plan
from scheduler.model import Reception, Reminder, Subscription

FreeUntil = Callable[[str, datetime], datetime | None]
"""Until when a channel's messages cost nothing to a woman who was there at that moment."""
BATCH = 500
"""So many are looked at in one transaction."""
HOUR = timedelta(hours=1)
_AGAIN = timedelta(minutes=1)
_CHANGES = (Reminder.MOVED, Reminder.CANCELLED)
_REMINDS = mailings.c.broadcast_id.is_(None)
_LOOKED = subscriptions.update().where(subscriptions.c.id == bindparam("of"))


async def look(
    connection: AsyncConnection, now: datetime, free_until: FreeUntil
) -> tuple[int, int]:
    """Do what is due for at most `BATCH` of them; how many there were, and how many to send."""
    due = WITH_RECEPTION.where(subscriptions.c.next_at <= now)
    query = due.order_by(subscriptions.c.next_at).limit(BATCH)
    rows = (await connection.execute(query)).all()
    waits = await _waiting(connection, [row.id for row in rows])
    changes: list[dict[str, Any]] = []
    sends: list[dict[str, Any]] = []
    over: list[str] = []
    left: list[str] = []
    ahead: dict[str, Reception | None] = {}

    async def next_at(there: str) -> Reception | None:
        if there not in ahead:
            ahead[there] = plan.next_for(await coming(connection, there, now), there, now)
        return ahead[there]

    for row in rows:
        one, reception = subscription_of(row), its_reception(row)
        if reception is None:
            reception = await next_at(one.municipality)
            if reception is not None:
                one = replace(one, reception=reception.id, until=reception.end)
        free = None if row.here_at is None else free_until(row.channel, row.here_at)
        values: dict[str, Any] = {"news": row.news, "handle": row.handle}
        # A silent one is due as the others are: then it is news to her, and nothing is sent.
        match plan.outlook(replace(one, silent=False), reception, now, free):
            case plan.Wait(until):
                values["next_at"] = until
            case plan.Send(reminder, latest) if reception is not None:
                cause = _cause(reminder, reception)
                values["next_at"] = latest
                if not _under_way(waits[row.id], cause):
                    one, more = _sent(one, reception, reminder, latest, now)
                    values |= more
                    if not one.silent:
                        sends.append(_mailing(row, cause, now, latest))
            case _:
                if any(mailing.sending for mailing in waits[row.id]):
                    values["next_at"] = now + _AGAIN
                elif now < one.until and not (
                    one.renew and (not row.news or await next_at(one.municipality))
                ):
                    values["next_at"] = one.until  # what was cancelled can be read until then
                elif one.renew:
                    left.append(row.id)
                    values |= {"next_at": now, "handle": None}
                    one = replace(_unbound(one, now), renew=False)
                else:
                    over.append(row.id)
                    continue
        bound = {"reception_id": one.reception, "until": one.until, "renew": one.renew}
        changes.append({"of": row.id, **bound, **knowledge(one), **values})
    await leave(connection, subscriptions.c.id.in_(left + over), now)
    if changes:
        await connection.execute(_LOOKED, changes)
    if sends:
        await connection.execute(mailings.insert(), sends)
    if over:
        await drop(connection, subscriptions.c.id.in_(over), now)
    return len(rows), len(sends)


async def changed(connection: AsyncConnection, reception: Reception, now: datetime) -> None:
    """A reception is another than it was: who waits for it is looked at again at once.

    What is not under way to her yet is put back, since it may speak of what holds no more. Who was
    told another date can hear, and read, of the change until that is over. Who never heard of one
    that is cancelled waits for the next.
    """
    theirs = subscriptions.c.reception_id == reception.id
    of_them = mailings.c.subscription_id.in_(select(subscriptions.c.id).where(theirs))
    await put_back(connection, and_(_REMINDS, of_them, ~mailings.c.sending))
    again = subscriptions.update().where(theirs)
    starts = select(subscriptions.c.told_start).where(theirs).distinct()
    for told_start in (await connection.execute(starts)).scalars().all():
        until = plan.readable_until(reception, told_start)
        alike = again.where(subscriptions.c.told_start.is_not_distinct_from(told_start))
        await connection.execute(alike.values(next_at=now, until=until))
    if not plan.takes_place(reception):
        hears = select(mailings.c.subscription_id).where(_REMINDS, mailings.c.sending)
        unheard = subscriptions.c.told.is_(None), subscriptions.c.id.not_in(hears)
        anew = {"reception_id": None, "until": _open_end(now)}
        await connection.execute(again.where(*unheard).values(**anew))


async def planned(connection: AsyncConnection, municipality: str, now: datetime) -> None:
    """A reception takes place there that did not before: who waits for one is looked at.

    So is who wants the next, too.
    """
    waits = or_(subscriptions.c.reception_id.is_(None), subscriptions.c.renew)
    there = subscriptions.c.municipality == municipality
    await connection.execute(subscriptions.update().where(there, waits).values(next_at=now))


async def put_back(connection: AsyncConnection, which: ColumnElement[bool]) -> int:
    """These mailings do not go out; all is as if they had not been put there. Returns how many."""
    for reminder in (Reminder.BEFORE, Reminder.MORNING):
        theirs = subscriptions.c.id.in_(_whose(and_(which, _is(reminder))))
        found = select(subscriptions.c.done).where(theirs).distinct()
        for done in (await connection.execute(found)).scalars().all():
            less = written({Reminder(each) for each in done.split(",") if each} - {reminder})
            undo = subscriptions.update().where(theirs, subscriptions.c.done == done)
            await connection.execute(undo.values(done=less))
    put: int = (await connection.execute(mailings.delete().where(which))).rowcount
    return put


async def work_out_anew(
    connection: AsyncConnection, which: ColumnElement[bool], now: datetime
) -> int:
    """As `put_back`; what is due instead is looked at again at once."""
    theirs = subscriptions.c.id.in_(_whose(which))
    await connection.execute(subscriptions.update().where(theirs).values(next_at=now))
    return await put_back(connection, which)


async def drop_changes(connection: AsyncConnection, whose: ColumnElement[bool]) -> None:
    """They know what holds now: no notice of it goes out any more."""
    of_them = mailings.c.subscription_id.in_(select(subscriptions.c.id).where(whose))
    changes = or_(*(_is(reminder) for reminder in _CHANGES))
    await put_back(connection, and_(_REMINDS, of_them, ~mailings.c.sending, changes))


async def told(
    connection: AsyncConnection, causes: Mapping[str, Sequence[str]], now: datetime
) -> None:
    """Write down what these were told; by subscription, the causes of what went out."""
    changes = []
    rows = (await connection.execute(WITH_RECEPTION.where(subscriptions.c.id.in_(causes)))).all()
    for row in rows:
        one, reception = subscription_of(row), its_reception(row)
        if reception is None:
            continue
        before, holds = one, plan.fingerprint(reception)
        for cause in causes[row.id]:
            reminder, said, start = _said(cause)
            if one.told is None or (reminder in _CHANGES and one.told != holds):
                then = reception if said == holds else replace(reception, start=start)
                one = replace(plan.after(one, then, reminder, now), told=said)
        if one != before:
            changes.append({"of": row.id, **knowledge(one), "next_at": now})
    if changes:
        await connection.execute(_LOOKED, changes)


async def stale(connection: AsyncConnection, ids: Sequence[int]) -> list[int]:
    """Those mailings that speak of what holds no more."""
    columns = mailings.c.id.label("mailing_id"), mailings.c.cause
    query = WITH_RECEPTION.add_columns(*columns).join(
        mailings, mailings.c.subscription_id == subscriptions.c.id
    )
    found = (await connection.execute(query.where(_REMINDS, mailings.c.id.in_(ids)))).all()
    receptions_of = {row.mailing_id: (_said(row.cause)[1], its_reception(row)) for row in found}
    return [
        mailing_id
        for mailing_id, (said, reception) in receptions_of.items()
        if reception is None or plan.fingerprint(reception) != said
    ]


async def coming(connection: AsyncConnection, municipality: str, now: datetime) -> list[Reception]:
    """The receptions there that have not ended."""
    there = receptions.c.municipality == municipality, receptions.c.ends_at > now
    rows = (await connection.execute(select(receptions).where(*there))).all()
    return [reception_of(row) for row in rows]


def bound(reception: Reception | None, now: datetime) -> dict[str, Any]:
    """What she waits for from `now` on, with the date of its reception before her eyes."""
    nothing = {"done": "", "renew": False, "next_at": whole_hour(now), "here_at": whole_hour(now)}
    if reception is None:
        unknown = dict.fromkeys(("reception_id", "told", "told_start", "known_at"))
        return {**nothing, **unknown, "until": _open_end(now)}
    return {
        **nothing,
        "reception_id": reception.id,
        "told": plan.fingerprint(reception),
        "told_start": reception.start,
        "known_at": known_at(now),
        "until": reception.end,
    }


def reminder_of(cause: str) -> Reminder:
    """The reminder of a mailing's cause."""
    return Reminder(cause.partition(":")[0])


def _cause(reminder: Reminder, reception: Reception) -> str:
    """Of which a mailing is: what it tells, and of which place and time."""
    return f"{reminder}:{plan.fingerprint(reception)}:{int(reception.start.timestamp())}"


def _said(cause: str) -> tuple[Reminder, str, datetime]:
    reminder, told, start = cause.split(":")
    return Reminder(reminder), told, datetime.fromtimestamp(int(start), UTC)


def _whose(which: ColumnElement[bool]) -> Any:
    return select(mailings.c.subscription_id).where(which)


def _is(reminder: Reminder) -> ColumnElement[bool]:
    return mailings.c.cause.startswith(f"{reminder}:")


async def _waiting(connection: AsyncConnection, ids: Sequence[str]) -> Mapping[str, list[Any]]:
    columns = mailings.c.subscription_id, mailings.c.broadcast_id, mailings.c.cause
    query = select(*columns, mailings.c.sending).where(mailings.c.subscription_id.in_(ids))
    found: dict[str, list[Any]] = defaultdict(list)
    for row in (await connection.execute(query)).all() if ids else ():
        found[row.subscription_id].append(row)
    return found


def _under_way(waits: Sequence[Any], cause: str) -> bool:
    """Whether it stands in the mailings already; or, of a change, another that goes out now."""
    reminders = [row.cause for row in waits if row.broadcast_id is None]
    return cause in reminders or (
        reminder_of(cause) in _CHANGES and any(reminder_of(it) in _CHANGES for it in reminders)
    )


def _sent(
    one: Subscription, reception: Reception, reminder: Reminder, latest: datetime, now: datetime
) -> tuple[Subscription, dict[str, Any]]:
    """How she stands when it is on its way, and when to look at her again."""
    if reminder in _CHANGES:
        seen = max(reception.end, one.told_start or reception.end)
        return one, {"news": True, "next_at": seen if one.silent else latest}
    heard = replace(plan.after(one, reception, reminder, now), silent=False)
    ahead = plan.outlook(heard, reception, now)
    until = ahead.until if isinstance(ahead, plan.Wait) else now + _AGAIN
    return replace(one, done=one.done | {reminder}), {"news": True, "next_at": until}


def _mailing(row: Row[Any], cause: str, now: datetime, latest: datetime) -> dict[str, Any]:
    return {
        "subscription_id": row.id,
        "cause": cause,
        "channel": row.channel,
        "due_at": now,
        "latest": latest,
        "sending": False,
        "attempts": 0,
    }


def _unbound(one: Subscription, now: datetime) -> Subscription:
    """She waits for the next to be planned."""
    return replace(
        one,
        reception=None,
        told=None,
        told_start=None,
        known_at=None,
        done=frozenset(),
        until=_open_end(now),
    )


def _open_end(now: datetime) -> datetime:
    """When it ends where no date is planned."""
    return known_at(now) + SUBSCRIPTION
