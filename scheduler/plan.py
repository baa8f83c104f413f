"""What of the plan to show, and what is due to whom. Pure: the time comes in as an argument."""

from __future__ import annotations

import calendar
import hashlib
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from zoneinfo import ZoneInfo

from scheduler.model import SAFE_HOURS, Reception, ReceptionState, Reminder, Subscription

FIRST_YEAR, LAST_YEAR = 1970, 9998
FREE_MARGIN = timedelta(minutes=5)
"""How long before a free session ends we count it as over: our clock is not the platform's."""


@dataclass(frozen=True, slots=True)
class Day:
    """One square of the staff's calendar; the month's neighbours fill its first and last week."""

    date: date
    in_month: bool
    receptions: tuple[Reception, ...] = ()


def upcoming(
    receptions: Iterable[Reception], municipality: str, now: datetime, limit: int = 3
) -> list[Reception]:
    """The next receptions of a municipality, soonest first, at most `limit`.

    One that has begun counts until it ends. A cancelled one is still told of until it would
    have begun, so that nobody travels in vain; but whatever is cancelled, the next reception
    that does take place is among those returned.
    """
    coming = sorted(
        (it for it in receptions if it.municipality == municipality and _is_ahead(it, now)),
        key=_when,
    )
    shown, later = coming[:limit], coming[limit:]
    if shown and not any(map(takes_place, shown)):
        shown[-1:] = next(([it] for it in later if takes_place(it)), shown[-1:])
    return shown


def month_grid(
    year: int, month: int, receptions: Iterable[Reception], tz: tzinfo
) -> list[list[Day]]:
    """The weeks of a month, Monday first, each reception on the day when it begins in `tz`.

    Raises ValueError for a month outside 1 to 12 or a year outside 1970 to 9998.
    """
    if not (1 <= month <= 12 and FIRST_YEAR <= year <= LAST_YEAR):
        raise ValueError(f"there is no month {month} of {year} in the calendar")
    on: dict[date, list[Reception]] = {}
    for reception in sorted(receptions, key=_when):
        on.setdefault(reception.start.astimezone(tz).date(), []).append(reception)
    weeks = calendar.Calendar(calendar.MONDAY).monthdatescalendar(year, month)
    return [
        [Day(day, day.month == month, tuple(on.get(day, ()))) for day in week] for week in weeks
    ]


def clashes(reception: Reception, others: Iterable[Reception]) -> list[Reception]:
    """Those of `others` that run at the same time, wherever they are: the team is one.

    Meant as a question to the staff, not as a refusal. Not counted: its own older version (the
    same id), cancelled ones, and two that only touch.
    """
    if not takes_place(reception):
        return []
    return sorted((it for it in others if takes_place(it) and _overlap(it, reception)), key=_when)


def moment_to_send(due: datetime, earliest: datetime, free_until: datetime | None) -> datetime:
    """When a reminder goes out: when it is due, or before that where only this costs nothing.

    It may go from `earliest` on, which is not after `due`. `free_until` is the end of the
    session in which messages are free (None: there is none). The moment lies as near to `due`
    as is still free by `FREE_MARGIN`; where none is free, it is `due`.
    """
    last_free = due if free_until is None else min(due, free_until - FREE_MARGIN)
    return last_free if last_free >= earliest else due


def takes_place(reception: Reception) -> bool:
    """False for a cancelled one."""
    return reception.state is not ReceptionState.CANCELLED


def _is_ahead(reception: Reception, now: datetime) -> bool:
    return (reception.end if takes_place(reception) else reception.start) > now


def _overlap(one: Reception, other: Reception) -> bool:
    return one.id != other.id and one.start < other.end and other.start < one.end


def _when(reception: Reception) -> tuple[datetime, datetime, str]:
    return reception.start, reception.end, reception.id


# --- reminders ---------------------------------------------------------------------------------

SOFIA = ZoneInfo("Europe/Sofia")
BEFORE_DAYS, BEFORE_HOUR, MORNING_HOUR = 2, 18, 9
SETS_OUT = timedelta(hours=1)
"""So long before it begins she leaves for a reception at the latest, as far as we guess."""
_DAY = timedelta(days=1)
_LONG_AGO = datetime.min.replace(tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Send:
    """Now is a safe moment for this reminder, and it may still go out before `latest`."""

    reminder: Reminder
    latest: datetime


@dataclass(frozen=True, slots=True)
class Wait:
    """Nothing is due before `until`."""

    until: datetime


@dataclass(frozen=True, slots=True)
class Over:
    """Nothing is due for this reception any more."""


Outlook = Send | Wait | Over


@dataclass(frozen=True, slots=True)
class _Use:
    """A reminder that still has a use: from `moment` on, until before `limit`."""

    reminder: Reminder
    moment: datetime
    limit: datetime


def fingerprint(reception: Reception) -> str:
    """What a woman has to know of it, as 32 characters: alike as long as that is alike.

    Place and time; of a cancelled one only that it is cancelled, so that no correction of one
    that does not take place is news.
    """
    what: list[str] = ["cancelled"]
    if takes_place(reception):
        times = (each.astimezone(UTC).isoformat() for each in (reception.start, reception.end))
        what = [reception.municipality, reception.place, reception.landmark, *times]
    return hashlib.sha256(json.dumps(what).encode()).hexdigest()[:32]


def next_for(receptions: Iterable[Reception], municipality: str, now: datetime) -> Reception | None:
    """The next there that takes place and has not begun, if one is planned."""
    ahead = (
        it
        for it in receptions
        if it.municipality == municipality and takes_place(it) and it.start > now
    )
    return min(ahead, key=_when, default=None)


def safe_span(hours: str, at: datetime) -> tuple[datetime, datetime]:
    """From when until when her phone may ring: the span that holds `at`, else the next one.

    In UTC; its end is outside. `hours` is a code of `SAFE_HOURS` (else KeyError): hours on the
    clocks of Bulgaria, also on a day on which these change.
    """
    first, last = SAFE_HOURS[hours]
    day = at.astimezone(SOFIA).date()
    if _local(day, last) <= at:
        day += _DAY
    return _local(day, first), _local(day, last)


def outlook(
    subscription: Subscription,
    reception: Reception | None,
    now: datetime,
    free_until: datetime | None = None,
) -> Outlook:
    """What is to be done for her at `now`; the same however often it is asked.

    `reception` is the one that she waits for, as it is now. `free_until`: until when a message to
    her costs nothing. What was sent is to be written down as `after` says, before it is asked
    again.

    Without a reception it is over at `subscription.until`, else when the reception ends: a team
    that is late may move the hour after the start, and who stands at the door hears of it. Of one
    that was moved to an earlier time she hears, over or not, until what she was told would have
    begun: else she would travel to a locked door. A cancelled one is over as soon as she knows,
    or at that hour. One of which she was told nothing is to her as if there were none.
    """
    told = subscription.told
    if reception is None or (told is None and not takes_place(reception)):
        end = subscription.until
    elif takes_place(reception):
        end = max(reception.end, _limit(subscription, reception))
    elif told == fingerprint(reception):
        return Over()
    else:
        end = _limit(subscription, reception)
    if now >= end:
        return Over()
    ahead = end
    if reception is not None and not subscription.silent:
        for use in _uses(subscription, reception, now, free_until):
            if use.reminder in subscription.done:
                continue
            moment = max(use.moment, now)
            first, last = safe_span(subscription.hours, moment)
            moment = max(moment, first)
            if moment >= use.limit:
                continue
            if moment <= now:
                return Send(use.reminder, min(last, use.limit))
            ahead = min(ahead, moment)
    return Wait(ahead)


def after(
    subscription: Subscription, reception: Reception, reminder: Reminder | None, at: datetime
) -> Subscription:
    """How she stands once `reminder` went out; None: she has seen for herself what holds at `at`.

    A new date begins with nothing done. But what went out for the old one counts as known until
    it was due, so that a date that is moved away and back brings nothing twice.
    """
    told = replace(subscription, told=fingerprint(reception), told_start=reception.start)
    if reminder in (Reminder.BEFORE, Reminder.MORNING):
        return replace(told, done=subscription.done | {reminder})
    old_start = subscription.told_start or reception.start
    known_at = max(at, subscription.known_at or at)
    if Reminder.BEFORE in subscription.done:
        known_at = max(known_at, _before_due(old_start))
    if Reminder.MORNING in subscription.done:
        known_at = max(known_at, _morning_due(old_start))
    same_date = _date(old_start) == _date(reception.start)
    done = subscription.done if same_date else frozenset[Reminder]()
    return replace(told, known_at=known_at, done=done)


def moments(
    subscription: Subscription,
    reception: Reception | None,
    now: datetime,
    free_until: datetime | None = None,
) -> list[tuple[Reminder, datetime]]:
    """What will still come, and when, soonest first, if nothing changes; see `outlook`."""
    coming = []
    while True:
        match outlook(subscription, reception, now, free_until):
            case Send(reminder) if reception is not None:
                coming.append((reminder, now))
                subscription = after(subscription, reception, reminder, now)
            case Wait(until):
                now = until
            case _:
                return coming


def in_time(subscription: Subscription, reception: Reception, now: datetime) -> bool:
    """Whether she hears of a change before she sets out for what she was told, or has to for it.

    True where there is nothing new to her. One to whom nothing is sent will not hear by herself.
    """
    if not _is_news(subscription, reception):
        return True
    if subscription.silent:
        return False
    hears = max(now, safe_span(subscription.hours, now)[0])
    starts = subscription.told_start or reception.start
    if takes_place(reception):
        starts = min(starts, reception.start)
    return hears <= starts - SETS_OUT


def readable_until(reception: Reception, told_start: datetime | None) -> datetime:
    """Until when it has something to say to her who was told that it begins at `told_start`.

    That is when it ends; or when it would have, had it kept to what she was told.
    """
    length = reception.end - reception.start
    return max(reception.end, (told_start or reception.start) + length)


def _is_news(subscription: Subscription, reception: Reception) -> bool:
    return subscription.told is not None and subscription.told != fingerprint(reception)


def _limit(subscription: Subscription, reception: Reception) -> datetime:
    """When it is of no use any more to tell her that it is another than she was told."""
    if subscription.told is None or subscription.told_start is None:
        return reception.start
    if not takes_place(reception):
        return subscription.told_start
    return max(reception.start, subscription.told_start)


def _uses(
    subscription: Subscription, reception: Reception, now: datetime, free_until: datetime | None
) -> Iterator[_Use]:
    """The reminders that have a use, `done` or not, soonest first.

    Where there is a change, nothing else: it would speak of what holds no more.
    """
    if not takes_place(reception):
        if _is_news(subscription, reception):
            yield _Use(Reminder.CANCELLED, now, _limit(subscription, reception))
        return
    if _is_news(subscription, reception):
        yield _Use(Reminder.MOVED, now, _limit(subscription, reception))
        return
    hours, start, done = subscription.hours, reception.start, subscription.done
    known_at = subscription.known_at or _LONG_AGO
    before_due, morning_due = _before_due(start), _morning_due(start)
    before_first = safe_span(hours, before_due)[0]
    before = max(before_due, before_first)
    first = max(morning_due, safe_span(hours, morning_due)[0])
    morning: datetime | None = first
    if first >= start:
        # none of her hours is left on the day: the day before, unless she is reminded then anyway
        morning_due = safe_span(hours, _local(_date(start) - _DAY, 0))[0]
        reminded = before_due > known_at or Reminder.BEFORE in done
        morning = None if before >= morning_due and reminded else morning_due
    if before_due > known_at and Reminder.MORNING not in done:
        earliest = max(before_first, known_at)
        moment = _while_free(before, earliest, now, free_until)
        yield _Use(Reminder.BEFORE, moment, morning or start)
    if morning is not None and morning_due > known_at:
        yield _Use(Reminder.MORNING, morning, start)


def _while_free(
    due: datetime, earliest: datetime, now: datetime, free_until: datetime | None
) -> datetime:
    """`moment_to_send`, which it stays for `FREE_MARGIN`: the clock that looks only ticks.

    (The morning's needs none: it is the first moment of its day already.)
    """
    if free_until is None or now >= free_until - FREE_MARGIN:
        return due
    return moment_to_send(due, min(earliest, due), free_until - FREE_MARGIN)


def _before_due(start: datetime) -> datetime:
    return _local(_date(start) - BEFORE_DAYS * _DAY, BEFORE_HOUR)


def _morning_due(start: datetime) -> datetime:
    return _local(_date(start), MORNING_HOUR)


def _date(moment: datetime) -> date:
    return moment.astimezone(SOFIA).date()


def _local(day: date, hour: int) -> datetime:
    return datetime.combine(day, time(hour), SOFIA).astimezone(UTC)
