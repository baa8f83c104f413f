"""Who is on duty, and when somebody is next: pure, from a table and a moment.

Hours are local ones of the zone that is given; an end at or before the start is on the next
day. An hour that the clock jumps over begins when the clock goes on.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

FARTHEST = 28
"""Days for which the next duty is looked for."""

Who = str
"""The id of a member of staff."""


@dataclass(frozen=True, slots=True)
class Hours:
    """From when to when, in local time."""

    start: time
    end: time


@dataclass(frozen=True, slots=True)
class Weekly:
    """On this day of each week (0 is Monday)."""

    who: Who
    weekday: int
    hours: Hours


@dataclass(frozen=True, slots=True)
class Day:
    """What holds on one day instead of her week and her shifts. No hours: she is away."""

    who: Who
    day: date
    hours: Hours | None


@dataclass(frozen=True, slots=True)
class Shift:
    """One duty, from a moment to a moment (aware)."""

    who: Who
    start: datetime
    end: datetime


@dataclass(frozen=True, slots=True)
class DutyTable:
    """All that says who is on duty."""

    weekly: tuple[Weekly, ...] = ()
    days: tuple[Day, ...] = ()
    shifts: tuple[Shift, ...] = ()

    def __bool__(self) -> bool:
        """Whether anybody's hours are known at all."""
        return bool(self.weekly or self.days or self.shifts)


def duties(table: DutyTable, first: date, last: date, zone: ZoneInfo) -> list[Shift]:
    """Every duty that begins on these local days, in order of time."""
    found = [
        shift
        for n in range((last - first).days + 1)
        for shift in _on(table, first + timedelta(days=n), zone)
    ]
    return sorted(found, key=lambda shift: (shift.start, shift.end, shift.who))


def on_duty(table: DutyTable, now: datetime, zone: ZoneInfo) -> frozenset[Who]:
    """Who is on duty at that moment."""
    today = now.astimezone(zone).date()
    around = duties(table, today - timedelta(days=1), today, zone)
    long = (shift for shift in table.shifts if shift.start <= now < shift.end)
    away = {each.who for each in table.days if each.day == today and each.hours is None}
    running = {shift.who for shift in around if shift.start <= now < shift.end}
    return frozenset(running | {shift.who for shift in long if shift.who not in away})


def next_duty(
    table: DutyTable, now: datetime, zone: ZoneInfo, among: Collection[Who] | None = None
) -> Shift | None:
    """The next duty to begin after that moment, of one of these; None within four weeks."""
    today = now.astimezone(zone).date()
    coming = duties(table, today, today + timedelta(days=FARTHEST), zone)
    wanted = (shift for shift in coming if among is None or shift.who in among)
    return next((shift for shift in wanted if shift.start > now), None)


def _on(table: DutyTable, day: date, zone: ZoneInfo) -> Iterator[Shift]:
    instead = {each.who for each in table.days if each.day == day}
    for each in table.days:
        if each.day == day and each.hours is not None:
            yield _shift(each.who, day, each.hours, zone)
    for weekly in table.weekly:
        if weekly.weekday == day.weekday() and weekly.who not in instead:
            yield _shift(weekly.who, day, weekly.hours, zone)
    for shift in table.shifts:
        if shift.start.astimezone(zone).date() == day and shift.who not in instead:
            yield shift


def _shift(who: Who, day: date, hours: Hours, zone: ZoneInfo) -> Shift:
    over_midnight = hours.end <= hours.start
    ends_on = day + timedelta(days=1) if over_midnight else day
    moment: Callable[[date, time], datetime] = lambda at, clock: datetime.combine(  # noqa: E731
        at, clock, zone
    ).astimezone(UTC)
    return Shift(who, moment(day, hours.start), moment(ends_on, hours.end))
