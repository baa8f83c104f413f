"""The lines of an iCalendar file (RFC 5545): read once, before the calendar library sees them.

Found here is what the library passes over (a cut file, an unknown time zone) or takes too long
for (a rule that fits no day), and where in the file each event and each property stands.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from itertools import product

from icalendar import Component, vDDDTypes
from icalendar.timezone import tzp

MOST_BYTES = 2_000_000
MOST_EVENTS = 2_000
DEEPEST = 100
"""Components in each other; a good file has three."""


@dataclass(frozen=True, slots=True)
class Problem:
    """One mistake in the file. `line` counts from 1 as an editor does, 0 is the file as a whole.

    `name` is the property or the component that is meant; it may be empty.
    """

    line: int
    name: str
    code: str
    params: Mapping[str, str | int] = field(default_factory=dict)


class Unusable(Exception):
    """The file gives nothing."""

    def __init__(self, *problems: Problem) -> None:
        super().__init__()
        self.problems = problems


@dataclass(slots=True)
class Event:
    """An event, and where in the file it and its properties stand."""

    line: int
    lines: defaultdict[str, list[tuple[int, str]]] = field(
        default_factory=lambda: defaultdict(list)
    )
    component: Component = field(default_factory=Component)
    quoted: dict[str, int] = field(default_factory=dict)
    """Properties whose text is QUOTED-PRINTABLE, and their line: nobody reads that any more."""

    @property
    def uid(self) -> str:
        """Its name; empty where the file gives none."""
        return unescaped(self.lines["UID"][0][1]) if self.lines["UID"] else ""

    @property
    def sequence(self) -> int | None:
        """How often it was changed; None where nobody counts. To be asked of a good file."""
        return int(self.lines["SEQUENCE"][0][1]) if self.lines["SEQUENCE"] else None

    @property
    def begins(self) -> datetime | None:
        """When it is to begin at first, in UTC; None: at no hour. To be asked of a good file."""
        return self.moment("DTSTART")

    @property
    def stands(self) -> set[tuple[int, str]]:
        """Line and name of each of its properties: where a mistake is one of its own."""
        return {(line, name) for name, its in self.lines.items() for line, _ in its}

    def moment(self, name: str) -> datetime | None:
        """That time in UTC; None where none stands, or a whole day."""
        stands = self.component.get(name)
        at = stands.dt if isinstance(stands, vDDDTypes) else None
        return at.astimezone(UTC) if isinstance(at, datetime) else None

    def wrong(self, name: str, code: str, /, **params: str | int) -> Problem:
        """A mistake in the last of these properties, or in the event as a whole."""
        at = self.lines[name][-1][0] if self.lines[name] else self.line
        return Problem(at, name, code, params)


def countable(at: date | None) -> bool:
    """Whether every zone can tell that time: the first and the last year have no neighbours."""
    return at is None or date.min.year < at.year < date.max.year


def decode(data: bytes) -> str:
    """The text of a file that may be a calendar."""
    if len(data) > MOST_BYTES:
        raise Unusable(Problem(0, "", "too_big", {"limit": MOST_BYTES}))
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise Unusable(Problem(0, "", "encoding")) from None
    if not text.lstrip().upper().startswith("BEGIN:VCALENDAR"):
        raise Unusable(Problem(0, "", "not_calendar"))
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


def read_events(text: str) -> tuple[list[Event], list[Problem]]:
    """The events as they stand in the file, and what is wrong with lines of theirs.

    Every line and component is whole, and nothing outside of them is wrong.
    """
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
    problems.sort(key=lambda it: it.line)
    if not {(it.line, it.name) for it in problems} <= set[tuple[int, str]]().union(
        *(event.stands for event in scan.events)
    ):
        raise Unusable(*problems)
    return scan.events, problems


class _Scan:
    """One pass over the lines, for what the calendar library passes over or takes too long for."""

    def __init__(self) -> None:
        self.events: list[Event] = []
        self.open: list[tuple[int, str]] = []
        self.problems: list[Problem] = []
        self._zones: list[tuple[int, str, str]] = []  # as they are used
        self._defined: set[str] = set()
        self._quoted: Problem | None = None  # the property before, where it may go on

    def line(self, number: int, line: str) -> None:
        found = _CONTENT.fullmatch(line)
        if found is None:
            if self._quoted is None:
                self.problems.append(Problem(number, "", "line_broken"))
            elif self._quoted not in self.problems[-1:]:
                self.problems.append(self._quoted)
            return
        self._quoted = None
        name, value = found["name"].upper(), found["value"].strip()
        if name == "BEGIN":
            around = [it for it in self.open if it[1] == value.upper() == "VEVENT"]
            self.problems += (Problem(*it, "not_closed") for it in around)
            if len(self.open) == DEEPEST:
                raise Unusable(*self.problems, Problem(*self.open[0], "not_closed"))
            self.open.append((number, value.upper()))
            if value.upper() == "VEVENT":
                self.events.append(Event(number))
        elif name == "END":
            if not self.open or self.open.pop()[1] != value.upper():
                wrong = Problem(number, shown(value.upper()), "not_opened")
                raise Unusable(*self.problems, wrong)
        elif self.open:
            self._property(number, name, found["parameters"], value)

    def _property(self, number: int, name: str, parameters: str, value: str) -> None:
        component = self.open[-1][1]
        if component == "VEVENT":
            self.events[-1].lines[name].append((number, value))
            if _QUOTED.search(parameters):
                self.events[-1].quoted[name] = number
                self._quoted = Problem(number, name, "quoted_printable")
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
                yield Problem(number, name, "zone_unknown", {"value": shown(zone)})


_CONTENT = re.compile(
    r'(?P<name>[A-Za-z0-9-]+)(?P<parameters>(?:;(?:"[^"]*"|[^":])*)?):(?P<value>.*)', re.DOTALL
)
_QUOTED = re.compile(r';(?:ENCODING=)?"?QUOTED-PRINTABLE"?(?:;|$)', re.IGNORECASE)
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
    freq, quoted = parts.get("FREQ", ""), {"value": shown(value)}
    if freq in _OFTEN:
        return "rule_too_often", {"value": freq}
    counted = [parts[name] for name in ("COUNT", "INTERVAL") if name in parts]
    if freq not in ("DAILY", "WEEKLY", "MONTHLY", "YEARLY") or {"COUNT", "UNTIL"} <= set(parts):
        return "rule_broken", quoted
    if not all(re.fullmatch(r"0*[1-9][0-9]{0,5}", count) for count in counted):
        return "rule_broken", quoted
    for part, given in parts.items():
        if freq not in _ONLY_WITH.get(part, (freq,)) or _is_unfit(part, given, freq):
            return "rule_part", {"part": shown(f"{part}={given}"), "freq": freq}
    try:
        never = _is_never(parts, freq)
    except ValueError:
        return "rule_broken", quoted
    return ("rule_never", quoted) if never else None


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
        {int(each) for each in parts[name].split(",")} if name in parts else set()
        for name in ("BYMONTH", "BYMONTHDAY", "BYSETPOS")
    )
    if any(not 1 <= month <= 12 for month in months):
        raise ValueError(months)
    fits = any(1 <= abs(day) <= _DAYS[month - 1] for month, day in product(months, days))
    beyond = all(not 1 <= abs(place) <= _LONGEST_SET[freq] for place in places)
    return bool(months and days and not fits) or bool(places and beyond)


def unescaped(value: str) -> str:
    """A text as it is meant."""
    return _ESCAPED.sub(lambda it: "\n" if it[1] in "nN" else it[1], value)


_ESCAPED = re.compile(r"\\([\\;,nN])")


def shown(value: str, longest: int = 40) -> str:
    """As much of a value as a message can quote."""
    printable = "".join(it if it.isprintable() else "?" for it in value)
    return printable if len(printable) <= longest else printable[: longest - 1] + "…"
