"""The forms of somebody's duty: her week, and a day that differs from it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, time, timedelta

from starlette.datastructures import FormData

from bot.web.fields import Say, one_line, read_day, read_time
from bot.web.login import field
from scheduler.duty import Hours, Weekly, Who

DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
SPANS = (1, 2)
"""A day has at most two spans: before and after a pause."""
FARTHEST = timedelta(days=400)
AWAY, OTHER = "away", "other"


@dataclass(frozen=True, slots=True)
class FilledWeek:
    """What was written, by field; and the pattern, or what is wrong, by field."""

    values: Mapping[str, str]
    problems: Mapping[str, str]
    weekly: tuple[Weekly, ...] = ()


@dataclass(frozen=True, slots=True)
class FilledDay:
    """What was written, by field; and the day with its hours, or what is wrong, by field."""

    values: Mapping[str, str]
    problems: Mapping[str, str]
    day: date | None = None
    hours: tuple[Hours, ...] = ()


def week_fields() -> list[str]:
    return [f"{day}-{part}-{n}" for day in DAYS for n in SPANS for part in ("from", "to")]


def week_values(weekly: Sequence[Weekly]) -> dict[str, str]:
    """What the form shows of a pattern."""
    values = dict.fromkeys(week_fields(), "")
    for number, name in enumerate(DAYS):
        spans = sorted(
            (each.hours for each in weekly if each.weekday == number), key=lambda it: it.start
        )
        for n, hours in zip(SPANS, spans, strict=False):
            values[f"{name}-from-{n}"] = f"{hours.start:%H:%M}"
            values[f"{name}-to-{n}"] = f"{hours.end:%H:%M}"
    return values


def filled_week(form: FormData, who: Who, say: Say) -> FilledWeek:
    """Read the pattern of a week; with any mistake there is none."""
    values = {name: one_line(field(form, name), 20) for name in week_fields()}
    problems: dict[str, str] = {}
    weekly = [
        Weekly(who, number, hours)
        for number, name in enumerate(DAYS)
        for hours in _spans(values, f"{name}-", problems, say)
    ]
    return FilledWeek(values, problems, () if problems else tuple(weekly))


def filled_day(form: FormData, today: date, say: Say) -> FilledDay:
    """Read a day that differs; without hours she is away."""
    names = ("day", "kind", *(f"day-{part}-{n}" for n in SPANS for part in ("from", "to")))
    values = {name: one_line(field(form, name), 40) for name in names}
    problems: dict[str, str] = {}
    day = read_day(values["day"])
    if day is None:
        problems["day"] = say("staff.problem.day")
    elif day < today:
        problems["day"] = say("staff.duty.problem.past")
    elif day - today > FARTHEST:
        problems["day"] = say("staff.duty.problem.too_far")
    if values["kind"] not in (AWAY, OTHER):
        problems["kind"] = say("staff.duty.problem.kind")
    hours: list[Hours] = []
    if values["kind"] == OTHER:
        hours = _spans(values, "day-", problems, say)
        if not hours and not problems:
            problems["day-from-1"] = say("staff.duty.problem.no_hours")
    if problems:
        return FilledDay(values, problems)
    return FilledDay(values, {}, day, tuple(hours))


def _spans(
    values: Mapping[str, str], prefix: str, problems: dict[str, str], say: Say
) -> list[Hours]:
    """The spans of one day that are written out; every mistake goes to its field."""
    found: list[Hours] = []
    for n in SPANS:
        hours = _span(values, f"{prefix}from-{n}", f"{prefix}to-{n}", problems, say)
        if hours is None:
            continue
        if found and found[0].overlap(hours):
            problems[f"{prefix}from-{n}"] = say("staff.duty.problem.overlap")
        found.append(hours)
    return found


def _span(
    values: Mapping[str, str], first: str, last: str, problems: dict[str, str], say: Say
) -> Hours | None:
    if not values[first] and not values[last]:
        return None
    times = {name: read_time(values[name]) for name in (first, last)}
    for name, told in ((first, "staff.problem.from"), (last, "staff.problem.to")):
        if times[name] is None:
            problems[name] = say(told)
    start, end = times[first], times[last]
    if start is None or end is None:
        return None
    if start == end != time():
        problems[last] = say("staff.duty.problem.equal")
        return None
    return Hours(start, end)
