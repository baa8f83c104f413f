"""Calendars come in: an iCalendar file (RFC 5545), read once and turned into what is wanted.

`read_calendar` finds when its events happen: recurring ones (RRULE, RDATE, EXDATE, changed and
cancelled occurrences), in any time zone, also under the names that Outlook gives them; a time
without a zone is local, and a whole day goes from midnight to midnight. `read_shifts` makes a
consultant's duties of that. A file with any mistake gives nothing at all, and every mistake by
its line (0: the file as a whole), its property and a code of `PROBLEM_CODES`:

    the file        too_big {limit} · encoding · not_calendar · broken · no_events ·
                    too_many_events {found, limit} · too_many_times {limit} · too_slow ·
                    nothing_ahead {weeks}
    its lines       line_broken · not_closed · not_opened (the property is the component's name)
    an event        missing · twice · value_broken {value} · zone_unknown {value} · kinds_differ ·
                    end_before_start · end_and_duration · event_broken · uid_twice {first} ·
                    no_length · too_long {days} · quoted_printable
    its repetition  rule_broken {value} · rule_too_often {value} · rule_part {part, freq} ·
                    rule_never {value} · no_such_time {value}
"""

from __future__ import annotations

import threading
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta, tzinfo
from time import monotonic
from typing import Any
from zoneinfo import ZoneInfo

import recurring_ical_events
from icalendar import Calendar, Component
from icalendar.error import GloballyUniqueTZIDGuessed
from icalendar.timezone import tzp

from scheduler.duty import Shift, Who
from scheduler.ical_lines import (
    Event,
    Problem,
    Unusable,
    countable,
    decode,
    read_events,
    shown,
)
from scheduler.ical_series import missed, moment_of

HORIZON = timedelta(weeks=26)
"""How far ahead is taken what repeats; much does without end."""
LONGEST = timedelta(days=31)
"""No duty is longer; a whole year is somebody's note."""
MOST_TIMES = 2_000
PATIENCE = 5.0
"""Seconds after which no further event is worked out."""

PROBLEM_CODES = (
    "too_big", "encoding", "not_calendar", "broken", "no_events", "too_many_events",
    "too_many_times", "too_slow", "nothing_ahead",
    "line_broken", "not_closed", "not_opened",
    "missing", "twice", "value_broken", "zone_unknown", "kinds_differ", "end_before_start",
    "end_and_duration", "event_broken", "uid_twice", "no_length", "too_long",
    "quoted_printable",
    "rule_broken", "rule_too_often", "rule_part", "rule_never", "no_such_time",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Occurrence:
    """One time at which an event happens, or would if it were not `cancelled`. Times are in UTC.

    `original` is when this time of a repeating event was to begin at first (RECURRENCE-ID);
    None: the event does not repeat. `event` is what the file says of this time.
    """

    start: datetime
    end: datetime
    event: Event
    original: datetime | None = None
    cancelled: bool = False

    @property
    def line(self) -> int:
        """Where the event stands in the file."""
        return self.event.line


@dataclass(frozen=True, slots=True)
class CalendarResult:
    """When a calendar's events happen, in order; or, with any problem, only the problems.

    `events` are all that stand in the file, also those that happen at another time, as far as it
    can be read at all.
    """

    occurrences: tuple[Occurrence, ...]
    problems: tuple[Problem, ...]
    events: tuple[Event, ...] = ()


@dataclass(frozen=True, slots=True)
class ShiftsResult:
    """The duties of a calendar in order, as far as `until`; or only the problems."""

    shifts: tuple[Shift, ...]
    problems: tuple[Problem, ...]
    until: datetime


def read_shifts(data: bytes, who: Who, now: datetime, zone: ZoneInfo) -> ShiftsResult:
    """Her duties from a calendar file that are not over at `now` (aware), for half a year.

    Each event is a duty; cancelled ones are none. Raises nothing on any bytes. It may take
    seconds: not on the event loop.
    """
    until = now + HORIZON
    read = read_calendar(data, now, until, zone)
    times = tuple(it for it in read.occurrences if not it.cancelled)
    problems = read.problems or tuple(_unfit(times))
    if not problems and not times:
        problems = (Problem(0, "", "nothing_ahead", {"weeks": HORIZON.days // 7}),)
    if problems:
        return ShiftsResult((), problems, until)
    return ShiftsResult(tuple(Shift(who, it.start, it.end) for it in times), (), until)


def _unfit(occurrences: tuple[Occurrence, ...]) -> Iterator[Problem]:
    """Events that are no duty, each once however often it repeats."""
    for it in {each.line: each for each in reversed(occurrences)}.values():
        if it.start == it.end:
            yield Problem(it.line, "DTEND", "no_length")
        elif it.end - it.start > LONGEST:
            yield Problem(it.line, "DTEND", "too_long", {"days": LONGEST.days})


def read_calendar(
    data: bytes,
    first: datetime,
    last: datetime,
    zone: ZoneInfo,
    last_single: datetime | None = None,
) -> CalendarResult:
    """When the events of a file happen between two moments (aware), also in part.

    What does not repeat, or is said of one time alone, is taken until `last_single` where that
    is later. `zone` is where whole days, and times without a zone, are. Those that are cancelled
    are among them. Raises nothing on any bytes.
    """
    first, last, last_single = (at.astimezone(zone) for at in (first, last, last_single or last))
    span = _Span(first, last, last_single, zone)
    events: list[Event] = []
    try:
        with _READING, warnings.catch_warnings():
            warnings.simplefilter("ignore", GloballyUniqueTZIDGuessed)
            tzp.use_default()  # what another file called a time zone counts no more
            text = decode(data)
            events, problems = read_events(text)
            _parse(text, events, problems, zone)
            series = _series(events)
        return CalendarResult(_times(series, span), (), tuple(events))
    except Unusable as unusable:
        return CalendarResult((), unusable.problems, tuple(events))


@dataclass(frozen=True, slots=True)
class _Span:
    """From when until when: of what repeats, and of the rest; and where."""

    first: datetime
    last: datetime
    last_single: datetime
    zone: ZoneInfo


_READING = threading.Lock()
"""The calendar library keeps the time zones of a file for the whole process."""


# --- its events --------------------------------------------------------------------------------

_ONCE = ("DTSTART", "DTEND", "DURATION", "RRULE", "RECURRENCE-ID", "UID", "STATUS", "SEQUENCE")
_TIMES_OF = (*_ONCE, "RDATE", "EXDATE")
_OF_A_SERIES = ("RDATE", "RECURRENCE-ID")
_STAMP = "X-PHEN-LINE"


def _parse(text: str, events: list[Event], known: list[Problem], zone: ZoneInfo) -> None:
    """Give the events their components, those that are cancelled among them.

    What is wrong with others than those in which something is `known` to be, is told with it.
    """
    try:
        calendars = Calendar.from_ical(text.lstrip(), multiple=True)
        components = [each for calendar in calendars for each in calendar.walk("VEVENT")]
        pairs = list(zip(events, components, strict=True))
    except Exception:  # of many kinds: the library says nothing of them
        raise Unusable(*known or [Problem(0, "", "broken")]) from None
    for calendar in calendars:
        if calendar.get("CALSCALE", "GREGORIAN").upper() != "GREGORIAN":
            raise Unusable(*known, Problem(0, "CALSCALE", "broken"))
        if calendar.get("METHOD", "").upper() == "CANCEL":  # all that it holds is called off
            for each in calendar.walk("VEVENT"):
                each["STATUS"] = "CANCELLED"
    for event, component in pairs:
        event.component = component
        component[_STAMP] = str(event.line)
    wrong = {(it.line, it.name) for it in known}
    good = (event for event in events if event.stands.isdisjoint(wrong))
    problems = [*known, *(problem for event in good for problem in _event_wrong(event, zone))]
    if problems:
        raise Unusable(*sorted(problems, key=lambda it: it.line))


def _event_wrong(event: Event, zone: ZoneInfo) -> Iterator[Problem]:
    component = event.component
    for name in _ONCE:
        if len(event.lines[name]) > 1:
            yield event.wrong(name, "twice")
            return
    broken = {name or "" for name, _ in component.errors} & {"", *_TIMES_OF}
    for name in sorted(broken):
        said = event.lines[name][-1][1] if name else ""
        yield event.wrong(name, "value_broken" if name else "event_broken", value=shown(said))
    if broken:
        return
    if "DTSTART" not in component:
        yield event.wrong("DTSTART", "missing")
        return
    _place(component, zone)
    start, end, span = (_value(component, name) for name in ("DTSTART", "DTEND", "DURATION"))
    if not isinstance(start, date) or not countable(start):
        yield event.wrong("DTSTART", "value_broken", value=shown(event.lines["DTSTART"][-1][1]))
    elif not isinstance(end, date | None) or not countable(end):
        yield event.wrong("DTEND", "value_broken", value=shown(event.lines["DTEND"][-1][1]))
    elif not isinstance(span, timedelta | None):
        yield event.wrong("DURATION", "value_broken", value=shown(event.lines["DURATION"][-1][1]))
    else:
        yield from _end_wrong(event, start, end, span, zone)


def _place(component: Component, zone: ZoneInfo) -> None:
    """A time without a zone is here."""
    for name in ("DTSTART", "DTEND", "RECURRENCE-ID"):
        stands: Any = component.get(name)
        at = getattr(stands, "dt", None)
        if isinstance(at, datetime) and at.tzinfo is None:
            stands.dt = at.replace(tzinfo=zone)


def _value(component: Component, name: str) -> object:
    return getattr(component.get(name), "dt", None)


def _end_wrong(
    event: Event, start: date, end: date | None, span: timedelta | None, zone: ZoneInfo
) -> Iterator[Problem]:
    has_time = isinstance(start, datetime)
    if end is not None and span is not None:
        yield event.wrong("DURATION", "end_and_duration")
    elif end is not None and isinstance(end, datetime) != has_time:
        yield event.wrong("DTEND", "kinds_differ")
    elif span is not None and not has_time and span % timedelta(days=1):
        yield event.wrong("DURATION", "kinds_differ")
    elif end is not None and moment_of(end, zone) < moment_of(start, zone):
        yield event.wrong("DTEND", "end_before_start")
    elif span is not None and span < timedelta():
        yield event.wrong("DURATION", "end_before_start")


# --- when they happen --------------------------------------------------------------------------


def _series(events: Sequence[Event]) -> list[list[Event]]:
    """The events that belong together: a repeating one and what changes some of its times."""
    series: dict[str, list[Event]] = {}
    known: dict[tuple[str, str, str], Event] = {}
    problems = []
    for event in events:
        said = {name: event.lines[name][0][1] if event.lines[name] else "" for name in _ONCE}
        uid = said["UID"] or f"line {event.line}"
        series.setdefault(uid, []).append(event)
        first = known.setdefault((uid, said["RECURRENCE-ID"], said["SEQUENCE"] or "0"), event)
        if first is not event:
            problems.append(event.wrong("UID", "uid_twice", first=first.line))
    if problems:
        raise Unusable(*problems)
    return list(series.values())


def _times(series: Sequence[Sequence[Event]], span: _Span) -> tuple[Occurrence, ...]:
    found: list[Occurrence] = []
    problems: list[Problem] = []
    give_up = monotonic() + PATIENCE
    for events in series:
        if monotonic() > give_up:
            raise Unusable(Problem(events[0].line, "", "too_slow"))
        try:
            found += _times_of(events, span)
            problems += missed(events, span.first, span.last, span.zone)
        except Exception:  # of many kinds: a rule, a date or a mixture that makes no sense
            raise Unusable(Problem(events[0].line, "", "event_broken")) from None
        if len(found) > MOST_TIMES:
            raise Unusable(Problem(events[0].line, "", "too_many_times", {"limit": MOST_TIMES}))
    if problems:
        raise Unusable(*sorted(problems, key=lambda it: it.line))
    return tuple(sorted(found, key=lambda it: (it.start, it.end, it.line)))


def _times_of(events: Sequence[Event], span: _Span) -> Iterator[Occurrence]:
    by_line, calendar = {event.line: event for event in events}, Calendar()
    for event in events:
        calendar.add_component(event.component)
    endless = any(event.lines["RRULE"] for event in events)
    is_series = endless or any(event.lines[it] for event in events for it in _OF_A_SERIES)
    last = span.last if endless else max(span.last, span.last_single)
    zone = span.zone
    times = [
        (by_line[int(each[_STAMP])], each)
        for each in recurring_ical_events.of(calendar).between(span.first, last)
    ]
    if endless:  # what was moved beyond, too
        beyond = (it for it in _overrides(events, zone) if _at(it, "DTSTART", zone) >= last)
        times += [(it, it.component) for it in beyond]
    for event, each in times:
        start, end = (moment_of(at, zone) for at in _ends(each))
        if start < max(last, span.last_single) and (span.first < end or span.first <= start):
            original = _original(event, each, start, zone) if is_series else None
            cancelled = str(each.get("STATUS", "")).upper() == "CANCELLED"
            yield Occurrence(start, end, event, original, cancelled)


def _overrides(events: Sequence[Event], zone: tzinfo | None) -> list[Event]:
    """What is said last of one time of a series alone."""
    latest: dict[datetime, Event] = {}
    for event in sorted(events, key=lambda it: it.sequence or 0):
        if event.lines["RECURRENCE-ID"]:
            latest[_at(event, "RECURRENCE-ID", zone)] = event
    return list(latest.values())


def _at(event: Event, name: str, zone: tzinfo | None) -> datetime:
    at: Any = _value(event.component, name)
    return moment_of(at, zone)


def _ends(each: Any) -> tuple[date, date]:
    return each.start, each.end


def _original(event: Event, each: Component, start: datetime, zone: tzinfo | None) -> datetime:
    """When this time was to begin at first, before the series was changed from some time on."""
    said: Any = each.get("RECURRENCE-ID")
    if said is None:
        return start
    first = moment_of(said.dt, zone)
    if said.params.get("RANGE", "").upper() != "THISANDFUTURE":
        return first
    shift = _clock(_at(event, "DTSTART", zone), zone) - _clock(first, zone)
    return moment_of(_clock(start, zone) - shift, zone)


def _clock(at: datetime, zone: tzinfo | None) -> datetime:
    """What the clocks there show."""
    return at.astimezone(zone).replace(tzinfo=None)
