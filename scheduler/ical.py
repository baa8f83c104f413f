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
                    no_length · too_long {days}
    its repetition  rule_broken {value} · rule_too_often {value} · rule_part {part, freq} ·
                    rule_never {value}
"""

from __future__ import annotations

import re
import threading
import warnings
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from itertools import product
from time import monotonic
from typing import Any
from zoneinfo import ZoneInfo

import recurring_ical_events
from icalendar import Calendar, Component
from icalendar.error import GloballyUniqueTZIDGuessed
from icalendar.timezone import tzp

from scheduler.duty import Shift, Who

HORIZON = timedelta(weeks=26)
"""How far ahead duties are taken from a calendar; many repeat without end."""
LONGEST = timedelta(days=31)
"""No duty is longer; a whole year is somebody's note."""
MOST_BYTES = 2_000_000
MOST_EVENTS = 2_000
MOST_TIMES = 2_000
PATIENCE = 5.0
"""Seconds after which no further event is worked out."""

PROBLEM_CODES = (
    "too_big", "encoding", "not_calendar", "broken", "no_events", "too_many_events",
    "too_many_times", "too_slow", "nothing_ahead",
    "line_broken", "not_closed", "not_opened",
    "missing", "twice", "value_broken", "zone_unknown", "kinds_differ", "end_before_start",
    "end_and_duration", "event_broken", "uid_twice", "no_length", "too_long",
    "rule_broken", "rule_too_often", "rule_part", "rule_never",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Problem:
    """One mistake in the file. `line` counts from 1 as an editor does, 0 is the file as a whole.

    `name` is the property or the component that is meant; it may be empty.
    """

    line: int
    name: str
    code: str
    params: Mapping[str, str | int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Occurrence:
    """One time at which an event happens (aware). `line`: where the event stands in the file."""

    start: datetime
    end: datetime
    line: int


@dataclass(frozen=True, slots=True)
class CalendarResult:
    """When a calendar's events happen, in order; or, with any problem, only the problems."""

    occurrences: tuple[Occurrence, ...]
    problems: tuple[Problem, ...]


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
    problems = read.problems or tuple(_unfit(read.occurrences))
    if not problems and not read.occurrences:
        problems = (Problem(0, "", "nothing_ahead", {"weeks": HORIZON.days // 7}),)
    if problems:
        return ShiftsResult((), problems, until)
    return ShiftsResult(tuple(Shift(who, it.start, it.end) for it in read.occurrences), (), until)


def _unfit(occurrences: tuple[Occurrence, ...]) -> Iterator[Problem]:
    """Events that are no duty, each once however often it repeats."""
    for it in {each.line: each for each in reversed(occurrences)}.values():
        if it.start == it.end:
            yield Problem(it.line, "DTEND", "no_length")
        elif it.end - it.start > LONGEST:
            yield Problem(it.line, "DTEND", "too_long", {"days": LONGEST.days})


def read_calendar(data: bytes, first: datetime, last: datetime, zone: ZoneInfo) -> CalendarResult:
    """When the events of a file happen between two moments (aware), also in part.

    `zone` is where whole days, and times without a zone, are. Raises nothing on any bytes.
    """
    try:
        with _READING, warnings.catch_warnings():
            warnings.simplefilter("ignore", GloballyUniqueTZIDGuessed)
            tzp.use_default()  # what another file called a time zone counts no more
            text = _decode(data)
            series = _series(_parsed(text, _events(text), zone))
        return CalendarResult(_times(series, first.astimezone(zone), last.astimezone(zone)), ())
    except _Unusable as unusable:
        return CalendarResult((), unusable.problems)


_READING = threading.Lock()
"""The calendar library keeps the time zones of a file for the whole process."""


class _Unusable(Exception):
    """The file gives nothing."""

    def __init__(self, *problems: Problem) -> None:
        super().__init__()
        self.problems = problems


# --- its lines ---------------------------------------------------------------------------------


@dataclass(slots=True)
class _Event:
    """An event, and where in the file it and its properties stand."""

    line: int
    lines: defaultdict[str, list[tuple[int, str]]] = field(
        default_factory=lambda: defaultdict(list)
    )
    component: Component = field(default_factory=Component)

    def wrong(self, name: str, code: str, /, **params: str | int) -> Problem:
        """A mistake in the last of these properties, or in the event as a whole."""
        at = self.lines[name][-1][0] if self.lines[name] else self.line
        return Problem(at, name, code, params)


def _decode(data: bytes) -> str:
    if len(data) > MOST_BYTES:
        raise _Unusable(Problem(0, "", "too_big", {"limit": MOST_BYTES}))
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise _Unusable(Problem(0, "", "encoding")) from None
    if not text.lstrip().upper().startswith("BEGIN:VCALENDAR"):
        raise _Unusable(Problem(0, "", "not_calendar"))
    return text


def _unfolded(text: str) -> Iterator[tuple[int, str]]:
    """Each line with its number; one that begins with a space goes on with the one before."""
    whole, at = "", 0
    for number, line in enumerate(re.split(r"\r\n|\n|\r", text), 1):
        if line[:1] in (" ", "\t"):
            whole += line[1:]
            continue
        if whole:
            yield at, whole
        whole, at = line, number
    if whole:
        yield at, whole


def _events(text: str) -> list[_Event]:
    """The events as they stand in the file, whose every line and component is whole."""
    scan = _Scan()
    for number, line in _unfolded(text):
        scan.line(number, line)
    problems = [*scan.problems, *scan.unknown_zones()]
    problems += (Problem(number, name, "not_closed") for number, name in scan.open)
    if len(scan.events) > MOST_EVENTS:
        many = {"found": len(scan.events), "limit": MOST_EVENTS}
        problems.append(Problem(0, "", "too_many_events", many))
    if not scan.events and not problems:
        problems.append(Problem(0, "", "no_events"))
    if problems:
        raise _Unusable(*sorted(problems, key=lambda it: it.line))
    return scan.events


class _Scan:
    """One pass over the lines, for what the calendar library passes over or takes too long for."""

    def __init__(self) -> None:
        self.events: list[_Event] = []
        self.open: list[tuple[int, str]] = []
        self.problems: list[Problem] = []
        self._zones: list[tuple[int, str, str]] = []  # as they are used
        self._defined: set[str] = set()

    def line(self, number: int, line: str) -> None:
        found = _CONTENT.fullmatch(line)
        if found is None:
            self.problems.append(Problem(number, "", "line_broken"))
            return
        name, value = found["name"].upper(), found["value"].strip()
        if name == "BEGIN":
            self.open.append((number, value.upper()))
            if value.upper() == "VEVENT":
                self.events.append(_Event(number))
        elif name == "END":
            if not self.open or self.open.pop()[1] != value.upper():
                wrong = Problem(number, _shown(value.upper()), "not_opened")
                raise _Unusable(*self.problems, wrong)
        elif self.open:
            self._property(number, name, found["parameters"], value)

    def _property(self, number: int, name: str, parameters: str, value: str) -> None:
        component = self.open[-1][1]
        if component == "VEVENT":
            self.events[-1].lines[name].append((number, value))
        if component == "VTIMEZONE" and name == "TZID":
            self._defined.add(value)
        if zone := _ZONE.search(parameters):
            self._zones.append((number, name, zone["quoted"] or zone["bare"] or ""))
        if name == "RRULE":
            wrong = _rule_wrong(value)
            if wrong is not None:
                self.problems.append(Problem(number, name, *wrong))

    def unknown_zones(self) -> Iterator[Problem]:
        """Time zones that neither the file defines nor anybody knows."""
        known = {zone: zone in self._defined or _is_zone(zone) for _, _, zone in self._zones}
        for number, name, zone in self._zones:
            if not known[zone]:
                yield Problem(number, name, "zone_unknown", {"value": _shown(zone)})


_CONTENT = re.compile(
    r'(?P<name>[A-Za-z0-9-]+)(?P<parameters>(?:;(?:"[^"]*"|[^":])*)?):(?P<value>.*)', re.DOTALL
)
_ZONE = re.compile(r';TZID=(?:"(?P<quoted>[^"]*)"|(?P<bare>[^";:,]*))', re.IGNORECASE)


def _is_zone(name: str) -> bool:
    try:
        return tzp.timezone(name) is not None
    except (OSError, ValueError):  # the name of a folder, or none that a file can have
        return False


# --- how it repeats ----------------------------------------------------------------------------

_OFTEN = ("SECONDLY", "MINUTELY", "HOURLY")
_ONLY_WITH = {
    "BYWEEKNO": ("YEARLY",),
    "BYYEARDAY": ("YEARLY",),
    "BYMONTHDAY": ("DAILY", "MONTHLY", "YEARLY"),
    "BYSETPOS": ("WEEKLY", "MONTHLY", "YEARLY"),
    "BYDAY": ("DAILY", "WEEKLY", "MONTHLY", "YEARLY"),
    "BYMONTH": ("DAILY", "WEEKLY", "MONTHLY", "YEARLY"),
    "BYHOUR": ("DAILY", "WEEKLY", "MONTHLY", "YEARLY"),
    "BYMINUTE": ("DAILY", "WEEKLY", "MONTHLY", "YEARLY"),
    "BYSECOND": ("DAILY", "WEEKLY", "MONTHLY", "YEARLY"),
}
"""As RFC 5545 says, and: the hour of a duty is one."""
_LONGEST_SET = {"WEEKLY": 7, "MONTHLY": 31, "YEARLY": 366}
_DAYS = (31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)


def _rule_wrong(value: str) -> tuple[str, Mapping[str, str | int]] | None:
    """What is wrong with a rule, as code and params.

    What the library would go on looking for until the year 9999 is refused here.
    """
    parts = dict(part.partition("=")[::2] for part in value.upper().strip(";").split(";"))
    freq, shown = parts.get("FREQ", ""), {"value": _shown(value)}
    if freq in _OFTEN:
        return "rule_too_often", {"value": freq}
    counted = [parts[name] for name in ("COUNT", "INTERVAL") if name in parts]
    if freq not in ("DAILY", "WEEKLY", "MONTHLY", "YEARLY") or {"COUNT", "UNTIL"} <= set(parts):
        return "rule_broken", shown
    if not all(re.fullmatch(r"0*[1-9][0-9]{0,5}", count) for count in counted):
        return "rule_broken", shown
    for part, given in parts.items():
        if freq not in _ONLY_WITH.get(part, (freq,)) or _is_unfit(part, given, freq):
            return "rule_part", {"part": _shown(f"{part}={given}"), "freq": freq}
    try:
        never = _is_never(parts, freq)
    except ValueError:
        return "rule_broken", shown
    return ("rule_never", shown) if never else None


def _is_unfit(part: str, given: str, freq: str) -> bool:
    """What stands in a part cannot be meant: two hours a day, the second Monday of a week."""
    if part in ("BYHOUR", "BYMINUTE", "BYSECOND"):
        return "," in given
    if part == "BYDAY" and freq in ("DAILY", "WEEKLY"):
        return re.search("[0-9]", given) is not None
    return part not in (*_ONLY_WITH, "FREQ", "UNTIL", "COUNT", "INTERVAL", "WKST")


def _is_never(parts: Mapping[str, str], freq: str) -> bool:
    """Whether no day can fit: 30 February, or the ninth day of a week."""
    months, days, places = (
        [int(each) for each in parts[name].split(",")] if name in parts else []
        for name in ("BYMONTH", "BYMONTHDAY", "BYSETPOS")
    )
    if any(not 1 <= month <= 12 for month in months):
        raise ValueError(months)
    fits = any(1 <= abs(day) <= _DAYS[month - 1] for month, day in product(months, days))
    beyond = all(not 1 <= abs(place) <= _LONGEST_SET[freq] for place in places)
    return bool(months and days and not fits) or bool(places and beyond)


# --- its events --------------------------------------------------------------------------------

_ONCE = ("DTSTART", "DTEND", "DURATION", "RRULE", "RECURRENCE-ID", "UID", "STATUS", "SEQUENCE")
_TIMES_OF = (*_ONCE, "RDATE", "EXDATE")
_STAMP = "X-PHEN-LINE"


def _parsed(text: str, events: list[_Event], zone: ZoneInfo) -> list[_Event]:
    """The same events with their components, those that are cancelled among them."""
    try:
        calendars = Calendar.from_ical(text.lstrip(), multiple=True)
        components = [each for calendar in calendars for each in calendar.walk("VEVENT")]
        pairs = list(zip(events, components, strict=True))
    except Exception:  # of many kinds: the library says nothing of them
        raise _Unusable(Problem(0, "", "broken")) from None
    for calendar in calendars:
        if calendar.get("CALSCALE", "GREGORIAN").upper() != "GREGORIAN":
            raise _Unusable(Problem(0, "CALSCALE", "broken"))
        if calendar.get("METHOD", "").upper() == "CANCEL":  # all that it holds is called off
            for each in calendar.walk("VEVENT"):
                each["STATUS"] = "CANCELLED"
    for event, component in pairs:
        event.component = component
        component[_STAMP] = str(event.line)
    problems = [problem for event in events for problem in _event_wrong(event, zone)]
    if problems:
        raise _Unusable(*problems)
    return events


def _event_wrong(event: _Event, zone: ZoneInfo) -> Iterator[Problem]:
    component = event.component
    for name in _ONCE:
        if len(event.lines[name]) > 1:
            yield event.wrong(name, "twice")
            return
    broken = {name or "" for name, _ in component.errors} & {"", *_TIMES_OF}
    for name in sorted(broken):
        said = event.lines[name][-1][1] if name else ""
        yield event.wrong(name, "value_broken" if name else "event_broken", value=_shown(said))
    if broken:
        return
    if "DTSTART" not in component:
        yield event.wrong("DTSTART", "missing")
        return
    _place(component, zone)
    start, end, span = (_value(component, name) for name in ("DTSTART", "DTEND", "DURATION"))
    if not isinstance(start, date) or not _countable(start):
        yield event.wrong("DTSTART", "value_broken", value=_shown(event.lines["DTSTART"][-1][1]))
    elif not isinstance(end, date | None) or not _countable(end):
        yield event.wrong("DTEND", "value_broken", value=_shown(event.lines["DTEND"][-1][1]))
    elif not isinstance(span, timedelta | None):
        yield event.wrong("DURATION", "value_broken", value=_shown(event.lines["DURATION"][-1][1]))
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
    event: _Event, start: date, end: date | None, span: timedelta | None, zone: ZoneInfo
) -> Iterator[Problem]:
    has_time = isinstance(start, datetime)
    if end is not None and span is not None:
        yield event.wrong("DURATION", "end_and_duration")
    elif end is not None and isinstance(end, datetime) != has_time:
        yield event.wrong("DTEND", "kinds_differ")
    elif span is not None and not has_time and span % timedelta(days=1):
        yield event.wrong("DURATION", "kinds_differ")
    elif end is not None and _moment(end, zone) < _moment(start, zone):
        yield event.wrong("DTEND", "end_before_start")
    elif span is not None and span < timedelta():
        yield event.wrong("DURATION", "end_before_start")


# --- when they happen --------------------------------------------------------------------------


def _series(events: Sequence[_Event]) -> list[list[_Event]]:
    """The events that belong together: a repeating one and what changes some of its times."""
    series: dict[str, list[_Event]] = {}
    known: dict[tuple[str, str, str], _Event] = {}
    problems = []
    for event in events:
        said = {name: event.lines[name][0][1] if event.lines[name] else "" for name in _ONCE}
        uid = said["UID"] or f"line {event.line}"
        series.setdefault(uid, []).append(event)
        first = known.setdefault((uid, said["RECURRENCE-ID"], said["SEQUENCE"] or "0"), event)
        if first is not event:
            problems.append(event.wrong("UID", "uid_twice", first=first.line))
    if problems:
        raise _Unusable(*problems)
    return list(series.values())


def _times(
    series: Sequence[Sequence[_Event]], first: datetime, last: datetime
) -> tuple[Occurrence, ...]:
    found: list[Occurrence] = []
    give_up = monotonic() + PATIENCE
    for events in series:
        if monotonic() > give_up:
            raise _Unusable(Problem(events[0].line, "", "too_slow"))
        try:
            found += _times_of(events, first, last)
        except Exception:  # of many kinds: a rule, a date or a mixture that makes no sense
            raise _Unusable(Problem(events[0].line, "", "event_broken")) from None
        if len(found) > MOST_TIMES:
            raise _Unusable(Problem(events[0].line, "", "too_many_times", {"limit": MOST_TIMES}))
    return tuple(sorted(found, key=lambda it: (it.start, it.end, it.line)))


def _times_of(events: Sequence[_Event], first: datetime, last: datetime) -> Iterator[Occurrence]:
    calendar = Calendar()
    for event in events:
        calendar.add_component(event.component)
    for each in recurring_ical_events.of(calendar).between(first, last):
        if each.get("STATUS", "").upper() == "CANCELLED":
            continue
        start, end = (_moment(at, first.tzinfo) for at in (each.start, each.end))
        if start < last and (first < end or first <= start):
            yield Occurrence(start, end, int(each[_STAMP]))


def _countable(at: date | None) -> bool:
    """Whether every zone can tell that time: the first and the last year have no neighbours."""
    return at is None or date.min.year < at.year < date.max.year


def _moment(at: date, zone: tzinfo | None) -> datetime:
    """That time in UTC, or when that day begins."""
    if not isinstance(at, datetime):
        at = datetime.combine(at, time.min)
    return (at if at.tzinfo else at.replace(tzinfo=zone)).astimezone(UTC)


def _shown(value: str, longest: int = 40) -> str:
    """As much of a value as a message can quote."""
    printable = "".join(it if it.isprintable() else "?" for it in value)
    return printable if len(printable) <= longest else printable[: longest - 1] + "…"
