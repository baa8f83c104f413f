"""What a series says of single times of its own (EXDATE, RDATE, RECURRENCE-ID), where it misses.

The calendar library passes over what fits no time of the series: a day that was called off would
stay planned, and one that was moved would be there twice.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, date, datetime, time, tzinfo
from typing import Any

import recurring_ical_events
from icalendar import Calendar

from scheduler.ical_lines import Event, Problem, countable


def moment_of(at: date, zone: tzinfo | None) -> datetime:
    """That time in UTC, or when that day begins."""
    if not isinstance(at, datetime):
        at = datetime.combine(at, time.min)
    return (at if at.tzinfo else at.replace(tzinfo=zone)).astimezone(UTC)


def excluded(event: Event, zone: tzinfo) -> Iterator[datetime]:
    """The times, in UTC, that an event says to take out (EXDATE)."""
    for _, at in _dates(event, "EXDATE"):
        yield moment_of(at, _zone_of(event, zone))


def missed(
    events: Sequence[Event], first: datetime, last: datetime, zone: tzinfo
) -> Iterator[Problem]:
    """Each date of a series from the day of `first` on that is of another kind than its start, and
    each that is to be taken out or changed before `last` (both aware) and is no time of it.

    Where a series is over, or has not begun, nothing of it can be missed: programs that cut one
    in two leave such dates behind.
    """
    core = _core(events)
    start = _start(core) if core is not None else None
    if core is None or start is None:
        return
    today = moment_of(first.astimezone(zone).date(), zone)
    times: set[datetime] | None = None
    for line, name, at in _exceptions(core, events):
        moment = moment_of(at, _zone_of(core, zone))
        if moment < today:
            continue
        if isinstance(at, datetime) != isinstance(start, datetime):
            yield Problem(line, name, "kinds_differ")
        elif name != "RDATE" and moment < last:
            if times is None:
                times = _times(core, today, last, zone)
            if moment not in times and _is_within(moment, moment_of(start, zone), times, zone):
                said = f"{moment.astimezone(zone):%Y-%m-%d %H:%M}"
                yield Problem(line, name, "no_such_time", {"value": said})


def _exceptions(core: Event, events: Sequence[Event]) -> Iterator[tuple[int, str, date]]:
    """Line, property and date of what is said of single times."""
    for name in ("RDATE", "EXDATE"):
        for line, at in _dates(core, name):
            yield line, name, at
    for event in events:
        stands: Any = event.component.get("RECURRENCE-ID")
        if stands is not None and countable(stands.dt):
            yield event.lines["RECURRENCE-ID"][0][0], "RECURRENCE-ID", stands.dt


def _core(events: Sequence[Event]) -> Event | None:
    """The last version of what the series is as a whole; None: the file does not say it."""
    whole = (it for it in events if not it.lines["RECURRENCE-ID"])
    return max(whole, key=lambda it: it.sequence or 0, default=None)


def _start(event: Event) -> date | None:
    return getattr(event.component.get("DTSTART"), "dt", None)


def _zone_of(event: Event, zone: tzinfo) -> tzinfo:
    """Where a date of the event without a zone of its own is: where it starts."""
    start = _start(event)
    return (start.tzinfo or zone) if isinstance(start, datetime) else zone


def _dates(event: Event, name: str) -> Iterator[tuple[int, date]]:
    """Each date of a property that holds many, with its line; of a period, when it begins."""
    stands: Any = event.component.get(name, [])
    lists = stands if isinstance(stands, list) else [stands]
    for (line, _), its in zip(event.lines[name], lists, strict=False):
        for it in its.dts:
            at = it.dt[0] if isinstance(it.dt, tuple) else it.dt
            if isinstance(at, date) and countable(at):
                yield line, at


def _times(core: Event, first: datetime, last: datetime, zone: tzinfo) -> set[datetime]:
    """When the series begins between two moments, were nothing taken out or changed."""
    whole = core.component.copy()
    whole.pop("EXDATE", None)
    calendar = Calendar()
    calendar.add_component(whole)
    times = recurring_ical_events.of(calendar).between(first, last)
    return {moment_of(it.start, zone) for it in times}


def _is_within(moment: datetime, start: datetime, times: set[datetime], zone: tzinfo) -> bool:
    """Whether a time is on a day between the first and the last of the series."""
    if not times:
        return False
    first, day, last = (at.astimezone(zone).date() for at in (start, moment, max(times)))
    return first <= day <= last
