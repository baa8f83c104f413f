"""Who is on duty, over midnight, over days that differ, and on the days when the clock jumps."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from hypothesis import given, settings
from hypothesis import strategies as st

from scheduler.duty import (
    FARTHEST,
    Day,
    DutyTable,
    Hours,
    Shift,
    Weekly,
    duties,
    next_duty,
    on_duty,
)

SOFIA = ZoneInfo("Europe/Sofia")
MONDAY = date(2026, 11, 23)
SPRING, AUTUMN = date(2027, 3, 28), date(2026, 10, 25)
"""Sundays: from 03:00 the clock goes on to 04:00, and from 04:00 back to 03:00."""


def hours(span: str) -> Hours:
    return Hours(*(time.fromisoformat(each) for each in span.split("-")))


def at(day: date, clock: str, fold: int = 0) -> datetime:
    """A local time, in UTC."""
    local = datetime.combine(day, time.fromisoformat(clock), SOFIA).replace(fold=fold)
    return local.astimezone(UTC)


def weekly(*spans: str, days: Iterable[int] = (0,), who: str = "maria") -> tuple[Weekly, ...]:
    return tuple(Weekly(who, day, hours(span)) for day in days for span in spans)


def there(table: DutyTable, day: date, clock: str, fold: int = 0) -> set[str]:
    return set(on_duty(table, at(day, clock, fold), SOFIA))


def spans(table: DutyTable, first: date, last: date) -> list[str]:
    """The duties that begin on these days, in local time."""
    found = []
    for each in duties(table, first, last, SOFIA):
        start, end = (moment.astimezone(SOFIA) for moment in (each.start, each.end))
        assert each.start < each.end
        found.append(f"{each.who} {start:%d.%m %H:%M} - {end:%d.%m %H:%M}")
    return found


def test_she_is_there_from_the_first_minute_and_not_in_the_last() -> None:
    table = DutyTable(weekly("09:00-17:00"))
    assert there(table, MONDAY, "08:59:59") == set()
    assert there(table, MONDAY, "09:00") == {"maria"}
    assert there(table, MONDAY, "16:59:59") == {"maria"}
    assert there(table, MONDAY, "17:00") == set()
    assert there(table, MONDAY + timedelta(days=1), "10:00") == set()
    assert there(table, MONDAY + timedelta(days=7), "10:00") == {"maria"}


def test_several_hours_on_one_day_leave_the_pause_free() -> None:
    table = DutyTable(weekly("09:00-12:00", "13:00-17:00"))
    assert there(table, MONDAY, "12:30") == set()
    assert there(table, MONDAY, "13:00") == {"maria"}
    assert len(spans(table, MONDAY, MONDAY)) == 2


def test_a_night_goes_over_midnight_into_the_next_day() -> None:
    table = DutyTable(weekly("22:00-06:00", days=[6]))
    sunday = MONDAY - timedelta(days=1)
    assert there(table, sunday, "21:59") == set()
    assert there(table, sunday, "22:00") == {"maria"}
    assert there(table, MONDAY, "05:59") == {"maria"}
    assert there(table, MONDAY, "06:00") == set()
    assert there(table, sunday, "05:00") == set()


def test_a_duty_from_midnight_to_midnight_is_the_whole_day() -> None:
    table = DutyTable(weekly("00:00-00:00"))
    assert there(table, MONDAY, "00:00") == there(table, MONDAY, "23:59:59") == {"maria"}
    assert there(table, MONDAY + timedelta(days=1), "00:00") == set()
    assert there(table, MONDAY - timedelta(days=1), "23:59:59") == set()


def test_on_a_day_away_nothing_begins_and_the_night_before_it_is_finished() -> None:
    away = Day("maria", MONDAY, None)
    night = weekly("22:00-06:00", days=range(7))
    table = DutyTable((*night, *weekly("09:00-17:00", who="elena")), (away,))
    assert there(table, MONDAY, "05:00") == {"maria"}
    assert there(table, MONDAY, "10:00") == {"elena"}
    assert there(table, MONDAY, "23:00") == set()
    assert there(table, MONDAY + timedelta(days=1), "05:00") == set()
    assert there(table, MONDAY + timedelta(days=1), "23:00") == {"maria"}


def test_other_hours_on_a_day_replace_the_week_and_the_calendar() -> None:
    days = (Day("maria", MONDAY, hours("10:00-11:00")), Day("maria", MONDAY, hours("20:00-02:00")))
    shift = Shift("maria", at(MONDAY, "12:00"), at(MONDAY, "13:00"))
    table = DutyTable(weekly("09:00-17:00"), days, (shift,))
    assert spans(table, MONDAY, MONDAY) == [
        "maria 23.11 10:00 - 23.11 11:00",
        "maria 23.11 20:00 - 24.11 02:00",
    ]
    assert there(table, MONDAY, "12:30") == set()
    assert there(table, MONDAY + timedelta(days=1), "01:59") == {"maria"}


def test_a_shift_over_several_days_loses_the_day_that_differs_and_goes_on_after_it() -> None:
    wednesday = MONDAY + timedelta(days=2)
    shift = Shift("maria", at(MONDAY, "09:00"), at(MONDAY + timedelta(days=4), "17:00"))
    away = DutyTable((), (Day("maria", wednesday, None), Day("elena", MONDAY, None)), (shift,))
    assert spans(away, MONDAY, MONDAY + timedelta(days=6)) == [
        "maria 23.11 09:00 - 25.11 00:00",
        "maria 26.11 00:00 - 27.11 17:00",
    ]
    assert there(away, wednesday, "12:00") == set()
    assert there(away, wednesday - timedelta(days=1), "23:59") == {"maria"}
    coming = next_duty(away, at(wednesday, "12:00"), SOFIA)
    assert coming is not None
    assert coming.start == at(wednesday + timedelta(days=1), "00:00")
    shorter = DutyTable((), (Day("maria", wednesday, hours("10:00-12:00")),), (shift,))
    assert there(shorter, wednesday, "11:00") == {"maria"}
    assert there(shorter, wednesday, "12:00") == set()
    assert there(shorter, MONDAY, "08:59") == set()


def test_a_shift_that_began_weeks_ago_still_runs() -> None:
    shift = Shift("maria", at(MONDAY, "09:00"), at(MONDAY + timedelta(days=30), "17:00"))
    table = DutyTable(shifts=(shift,))
    assert there(table, MONDAY + timedelta(days=30), "16:59") == {"maria"}
    assert there(table, MONDAY + timedelta(days=30), "17:00") == set()


def test_in_spring_the_hour_that_does_not_exist_is_when_the_clock_goes_on() -> None:
    table = DutyTable(
        (
            *weekly("22:00-06:00", days=[5]),
            *weekly("03:30-05:00", days=[6], who="elena"),
            *weekly("03:10-03:50", days=[6], who="rada"),
        )
    )
    assert spans(table, SPRING - timedelta(days=1), SPRING) == [
        "maria 27.03 22:00 - 28.03 06:00",
        "elena 28.03 04:00 - 28.03 05:00",
    ]
    (night, _) = duties(table, SPRING - timedelta(days=1), SPRING, SOFIA)
    assert night.end - night.start == timedelta(hours=7)
    assert there(table, SPRING, "04:00") == {"maria", "elena"}
    assert there(table, SPRING, "02:59") == {"maria"}
    assert there(table, SPRING + timedelta(days=7), "03:30") == {"maria", "elena", "rada"}


def test_in_autumn_of_the_hour_that_comes_twice_the_first_counts() -> None:
    table = DutyTable(
        (
            *weekly("22:00-06:00", days=[5]),
            *weekly("03:30-05:00", days=[6], who="elena"),
            *weekly("01:00-03:30", days=[6], who="rada"),
        )
    )
    assert there(table, AUTUMN, "03:20") == {"maria", "rada"}
    assert there(table, AUTUMN, "03:20", fold=1) == {"maria", "elena"}
    assert there(table, AUTUMN, "03:40") == {"maria", "elena"}
    assert there(table, AUTUMN, "05:59") == {"maria"}
    (night, *_) = duties(table, AUTUMN - timedelta(days=1), AUTUMN, SOFIA)
    assert night.end - night.start == timedelta(hours=9)


def test_nobody_is_on_duty_in_an_empty_table_and_nobody_comes() -> None:
    table = DutyTable()
    assert not table
    assert there(table, MONDAY, "10:00") == set()
    assert next_duty(table, at(MONDAY, "10:00"), SOFIA) is None
    assert DutyTable(days=(Day("maria", MONDAY, None),))


def test_the_next_duty_is_of_one_of_those_and_begins_later_than_now() -> None:
    table = DutyTable(
        (*weekly("09:00-17:00", days=range(7)), *weekly("10:00-12:00", days=[4], who="elena"))
    )
    now = at(MONDAY, "09:00")
    first = next_duty(table, now, SOFIA)
    assert first is not None
    assert (first.who, first.start) == ("maria", at(MONDAY + timedelta(days=1), "09:00"))
    elena = next_duty(table, now, SOFIA, {"elena"})
    assert elena is not None
    assert (elena.who, elena.start) == ("elena", at(MONDAY + timedelta(days=4), "10:00"))
    assert next_duty(table, now, SOFIA, {"nobody"}) is None
    assert next_duty(table, now, SOFIA, ()) is None


def test_the_next_duty_is_looked_for_four_weeks_ahead() -> None:
    day = MONDAY + timedelta(days=FARTHEST)
    near = DutyTable(days=(Day("maria", day, hours("09:00-10:00")),))
    far = DutyTable(days=(Day("maria", day + timedelta(days=1), hours("09:00-10:00")),))
    assert next_duty(near, at(MONDAY, "12:00"), SOFIA) is not None
    assert next_duty(far, at(MONDAY, "12:00"), SOFIA) is None


# --- against a clock that is looked at every minute -----------------------------------------

MINUTE = timedelta(minutes=1)
_CLOCKS = st.builds(time, st.integers(0, 23), st.sampled_from([0, 1, 30, 59]))
_HOURS = st.builds(Hours, _CLOCKS, _CLOCKS)


@st.composite
def tables(draw: st.DrawFn) -> tuple[date, DutyTable]:
    """A table around an ordinary day, or one on which the clock jumps."""
    middle = draw(st.sampled_from([MONDAY, SPRING, AUTUMN]))
    near = st.integers(-2, 2).map(lambda n: middle + timedelta(days=n))
    who = st.sampled_from(["maria", "elena"])
    starts = st.builds(lambda day, clock: at(day, clock.isoformat()), near, _CLOCKS)
    lengths = st.sampled_from([1, 9, 24, 25, 60]).map(lambda n: timedelta(hours=n))
    shifts = st.builds(lambda w, s, n: Shift(w, s, s + n), who, starts, lengths)
    return middle, DutyTable(
        tuple(draw(st.lists(st.builds(Weekly, who, st.integers(0, 6), _HOURS), max_size=4))),
        tuple(draw(st.lists(st.builds(Day, who, near, st.none() | _HOURS), max_size=3))),
        tuple(draw(st.lists(shifts, max_size=2))),
    )


def looking_at_the_clock(table: DutyTable, first: date, last: date) -> dict[datetime, set[str]]:
    """Each minute of these days, and who is there, by a hand that only compares clocks."""
    midnight, end = at(first, "00:00"), at(last + timedelta(days=3), "00:00")
    minutes = [midnight + n * MINUTE for n in range(int((end - midnight) / MINUTE))]
    shown = [minute.astimezone(SOFIA).replace(tzinfo=None) for minute in minutes]
    found: dict[datetime, set[str]] = {minute: set() for minute in minutes}

    def mark(who: str, day: date, its: Hours) -> None:
        until = day if its.end > its.start else day + timedelta(days=1)
        begins = next(n for n, s in enumerate(shown) if s >= datetime.combine(day, its.start))
        ends = next(n for n, s in enumerate(shown) if s >= datetime.combine(until, its.end))
        for minute in minutes[begins:ends]:
            found[minute].add(who)

    for n in range((last - first).days + 1):
        day = first + timedelta(days=n)
        differs = {each.who for each in table.days if each.day == day}
        for special in table.days:
            if special.day == day and special.hours:
                mark(special.who, day, special.hours)
        for usual in table.weekly:
            if usual.weekday == day.weekday() and usual.who not in differs:
                mark(usual.who, day, usual.hours)
    for shift in table.shifts:
        lost = {each.day for each in table.days if each.who == shift.who}
        is_long = shift.end - shift.start > timedelta(days=1)
        if not is_long and shift.start.astimezone(SOFIA).date() in lost:
            continue
        for minute, clock in zip(minutes, shown, strict=True):
            if shift.start <= minute < shift.end and not (is_long and clock.date() in lost):
                found[minute].add(shift.who)
    return found


@given(tables())
@settings(max_examples=40, deadline=None)
def test_it_agrees_with_a_clock_that_is_looked_at_every_minute(
    drawn: tuple[date, DutyTable],
) -> None:
    middle, table = drawn
    seen = looking_at_the_clock(table, middle - timedelta(days=5), middle + timedelta(days=2))
    before, after = at(middle, "00:00"), at(middle + timedelta(days=1), "00:00")
    for minute, who in seen.items():
        changes = minute - MINUTE not in seen or seen[minute - MINUTE] != who
        if before <= minute < after and (changes or minute.minute in (17, 59)):
            assert on_duty(table, minute, SOFIA) == who, minute


@given(tables(), st.integers(0, 2880))
@settings(deadline=None)
def test_the_next_duty_is_the_first_that_begins_later(
    drawn: tuple[date, DutyTable], minutes: int
) -> None:
    middle, table = drawn
    now = at(middle, "00:00") + minutes * MINUTE
    coming = next_duty(table, now, SOFIA, {"maria"})
    all_ = duties(table, middle - timedelta(days=3), middle + timedelta(days=20), SOFIA)
    later = [each for each in all_ if each.start > now and each.who == "maria"]
    assert coming == (later[0] if later else coming)
    if coming is not None:
        assert "maria" in on_duty(table, coming.start, SOFIA)


@given(*(st.integers(0, 23) for _ in range(4)))
def test_two_spans_of_a_day_overlap_when_an_hour_is_in_both(a: int, b: int, c: int, d: int) -> None:
    def inside(start: int, end: int) -> set[int]:
        return set(range(start, end if end > start else end + 24))

    one, other = (Hours(time(start), time(end)) for start, end in ((a, b), (c, d)))
    assert one.overlap(other) is bool(inside(a, b) & inside(c, d))
    assert other.overlap(one) is one.overlap(other)
