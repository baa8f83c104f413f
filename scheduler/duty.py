"""Who is on duty, and when somebody is next: pure, from a table and a moment.

Hours are local ones of the zone that is given; an end at or before the start is on the next
day. A time that the clock jumps over is when the clock goes on; of one that comes twice, the
first counts.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, replace
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

    def overlap(self, other: Hours) -> bool:
        """Whether the two share any time, where both begin on the same day."""
        first, second = sorted((self, other), key=lambda each: each.start)
        goes_over_midnight = first.end <= first.start
        return goes_over_midnight or second.start < first.end


@dataclass(frozen=True, slots=True)
class Weekly:
    """On this day of each week (0 is Monday)."""

    who: Who
    weekday: int
    hours: Hours


@dataclass(frozen=True, slots=True)
class Day:
    """What begins on one day instead of her week and her shifts. No hours: she is away.

    A night that began the day before stays; a shift over several days loses this day.
    """

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
    """Every duty that begins on these local days, in order of time.

    Of a shift over several days, what is left after a day that differs begins after that day.
    """
    found = [
        shift
        for n in range((last - first).days + 1)
        for shift in _planned(table, first + timedelta(days=n), zone)
    ]
    calendar = _shifts(table, zone)
    found += [each for each in calendar if first <= each.start.astimezone(zone).date() <= last]
    return sorted(found, key=lambda shift: (shift.start, shift.end, shift.who))


def on_duty(table: DutyTable, now: datetime, zone: ZoneInfo) -> frozenset[Who]:
    """Who is on duty at that moment."""
    today = now.astimezone(zone).date()
    running = [
        *_planned(table, today - _DAY, zone),
        *_planned(table, today, zone),
        *_shifts(table, zone),
    ]
    return frozenset(shift.who for shift in running if shift.start <= now < shift.end)


def next_duty(
    table: DutyTable, now: datetime, zone: ZoneInfo, among: Collection[Who] | None = None
) -> Shift | None:
    """The next duty to begin after that moment, of one of these; None within four weeks."""
    today = now.astimezone(zone).date()
    coming = duties(table, today, today + timedelta(days=FARTHEST), zone)
    wanted = (shift for shift in coming if among is None or shift.who in among)
    return next((shift for shift in wanted if shift.start > now), None)


_DAY = timedelta(days=1)


def _planned(table: DutyTable, day: date, zone: ZoneInfo) -> Iterator[Shift]:
    """What begins on that day by the week, or by what holds instead."""
    instead = {each.who for each in table.days if each.day == day}
    hours = [(each.who, each.hours) for each in table.days if each.day == day and each.hours]
    hours += [
        (each.who, each.hours)
        for each in table.weekly
        if each.weekday == day.weekday() and each.who not in instead
    ]
    for who, its in hours:
        ends_on = day if its.start < its.end else day + _DAY
        start, end = _moment(day, its.start, zone), _moment(ends_on, its.end, zone)
        if start < end:  # else the clock jumps over all of it
            yield Shift(who, start, end)


def _shifts(table: DutyTable, zone: ZoneInfo) -> Iterator[Shift]:
    """What is left of the calendar: a night goes with the day on which it begins."""
    for shift in table.shifts:
        instead = {each.day for each in table.days if each.who == shift.who}
        if shift.end - shift.start > _DAY:
            yield from _without(shift, sorted(instead), zone)
        elif shift.start.astimezone(zone).date() not in instead:
            yield shift


def _without(shift: Shift, days: Sequence[date], zone: ZoneInfo) -> Iterator[Shift]:
    start = shift.start
    for day in days:
        begins, ends = (_moment(each, time(), zone) for each in (day, day + _DAY))
        if start < ends and begins < shift.end:
            if start < begins:
                yield replace(shift, start=start, end=begins)
            start = ends
    if start < shift.end:
        yield replace(shift, start=start)


def _moment(day: date, clock: time, zone: ZoneInfo) -> datetime:
    """When the clock first shows that time of that day, or, where it jumps, a later one."""
    local = datetime.combine(day, clock)
    while True:
        at = local.replace(tzinfo=zone).astimezone(UTC)
        if at.astimezone(zone).replace(tzinfo=None) == local:
            return at
        local += timedelta(minutes=1)
