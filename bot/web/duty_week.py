"""The week at a glance: pure, from the duty table to who is there when, and who is missing."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from scheduler.duty import DutyTable, Shift, Who, duties
from scheduler.ical import LONGEST


@dataclass(frozen=True, slots=True)
class Span:
    """From a moment to a moment (aware)."""

    start: datetime
    end: datetime


@dataclass(frozen=True, slots=True)
class DutyDay:
    """One local day.

    `duties` are those that run on it. `covered` and `nobody` divide it; `without` says, for each
    language that somebody should speak, when somebody is there but speaks it not.
    """

    day: date
    duties: tuple[Shift, ...]
    covered: tuple[Span, ...]
    nobody: tuple[Span, ...]
    without: Mapping[str, tuple[Span, ...]]


def week_of(
    table: DutyTable,
    speaks: Mapping[Who, Collection[str]],
    wanted: Iterable[str],
    first: date,
    zone: ZoneInfo,
    days: int = 7,
) -> list[DutyDay]:
    """These days, from `first` on. Only whoever is in `speaks` counts as being there."""
    last, wanted = first + timedelta(days=days - 1), tuple(wanted)
    begin = first - LONGEST  # a duty that began before can still run
    found = [each for each in duties(table, begin, last, zone) if each.who in speaks]
    return [
        _day(first + timedelta(days=n), found, speaks, wanted, zone)
        for n in range((last - first).days + 1)
    ]


def _day(
    day: date,
    found: Sequence[Shift],
    speaks: Mapping[Who, Collection[str]],
    wanted: Sequence[str],
    zone: ZoneInfo,
) -> DutyDay:
    whole = Span(_midnight(day, zone), _midnight(day + timedelta(days=1), zone))
    near = [each for each in found if each.start < whole.end and each.end > whole.start]
    covered = _union(near, whole)
    return DutyDay(
        day,
        tuple(near),
        covered,
        _minus((whole,), covered),
        {
            language: _minus(covered, _union(_speaking(near, speaks, language), whole))
            for language in wanted
        },
    )


def _speaking(
    found: Iterable[Shift], speaks: Mapping[Who, Collection[str]], language: str
) -> list[Shift]:
    return [each for each in found if language in speaks[each.who]]


def _union(found: Iterable[Shift], within: Span) -> tuple[Span, ...]:
    """When at least one of them runs, in order, without overlaps."""
    spans: list[Span] = []
    for each in sorted(found, key=lambda shift: shift.start):
        start, end = max(each.start, within.start), min(each.end, within.end)
        if spans and start <= spans[-1].end:
            spans[-1] = Span(spans[-1].start, max(end, spans[-1].end))
        elif start < end:
            spans.append(Span(start, end))
    return tuple(spans)


def _minus(spans: Sequence[Span], taken: Sequence[Span]) -> tuple[Span, ...]:
    """What is left of `spans`; both are in order and without overlaps."""
    left = []
    for span in spans:
        start = span.start
        for each in taken:
            if each.end <= start or each.start >= span.end:
                continue
            if each.start > start:
                left.append(Span(start, each.start))
            start = max(start, each.end)
        if start < span.end:
            left.append(Span(start, span.end))
    return tuple(left)


def _midnight(day: date, zone: ZoneInfo) -> datetime:
    return datetime.combine(day, time(), zone).astimezone(UTC)
