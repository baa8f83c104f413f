"""The week at a glance: who is there, and who is missing."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, date, datetime, time, timedelta

from bot.texts import ZONE
from bot.web.duty_week import DutyDay, Span, week_of
from scheduler.duty import Day, DutyTable, Hours, Shift, Weekly

MONDAY = date(2026, 11, 23)
SPEAKS = {"maria": {"bg", "tr"}, "elena": {"bg"}}


def hours(start: int, end: int) -> Hours:
    return Hours(time(start), time(end))


def told(spans: Sequence[Span]) -> list[str]:
    local = [(each.start.astimezone(ZONE), each.end.astimezone(ZONE)) for each in spans]
    return [f"{start:%H}-{end:%H}" for start, end in local]


def week(table: DutyTable, first: date = MONDAY) -> list[DutyDay]:
    return week_of(table, SPEAKS, ("bg", "tr"), first, ZONE)


def test_an_empty_table_has_nobody_all_week() -> None:
    days = week(DutyTable())
    assert [each.day for each in days] == [MONDAY + timedelta(days=n) for n in range(7)]
    assert all(told(each.nobody) == ["00-00"] for each in days)
    assert all(told(each.without["tr"]) == [] for each in days)


def test_the_hours_in_which_nobody_is_there() -> None:
    table = DutyTable((Weekly("maria", 0, hours(9, 13)), Weekly("elena", 0, hours(12, 17))))
    monday, tuesday = week(table)[:2]
    assert [each.who for each in monday.duties] == ["maria", "elena"]
    assert told(monday.covered) == ["09-17"]
    assert told(monday.nobody) == ["00-09", "17-00"]
    assert told(tuesday.nobody) == ["00-00"]


def test_the_hours_in_which_nobody_speaks_a_language() -> None:
    table = DutyTable((Weekly("maria", 0, hours(10, 12)), Weekly("elena", 0, hours(9, 17))))
    monday = week(table)[0]
    assert told(monday.without["tr"]) == ["09-10", "12-17"]
    assert told(monday.without["bg"]) == []


def test_a_night_counts_on_both_days() -> None:
    table = DutyTable((Weekly("elena", 0, hours(22, 6)),))
    monday, tuesday = week(table)[:2]
    assert told(monday.covered) == ["22-00"]
    assert told(tuesday.covered) == ["00-06"]
    sunday_night = week(table, MONDAY + timedelta(days=1))[0]
    assert told(sunday_night.covered) == ["00-06"]


def test_a_long_shift_from_a_calendar_runs_through_the_days() -> None:
    start = datetime(2026, 11, 10, 8, tzinfo=UTC)
    days = week(DutyTable(shifts=(Shift("elena", start, start + timedelta(days=14)),)))
    assert told(days[0].covered) == ["00-00"]
    assert told(days[1].covered) == ["00-10"]


def test_a_day_away_leaves_its_hours_empty() -> None:
    table = DutyTable((Weekly("elena", 0, hours(9, 17)),), (Day("elena", MONDAY, None),))
    assert told(week(table)[0].nobody) == ["00-00"]


def test_whoever_does_not_answer_women_is_not_there() -> None:
    table = DutyTable((Weekly("frozen", 0, hours(9, 17)),))
    assert week(table)[0].duties == ()
    assert told(week(table)[0].nobody) == ["00-00"]


def test_the_day_on_which_the_clock_goes_back_has_one_hour_more() -> None:
    sunday = week(DutyTable(), date(2026, 10, 25))[0]
    assert sunday.nobody[0].end - sunday.nobody[0].start == timedelta(hours=25)
