"""What of the plan to show, to her and to the staff. Pure: the time comes in as an argument."""

from __future__ import annotations

import calendar
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime, timedelta, tzinfo

from scheduler.model import Reception, ReceptionState

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
