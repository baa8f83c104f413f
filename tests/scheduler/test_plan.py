"""What she and the staff are shown of the plan."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from scheduler.model import Reception, ReceptionState
from scheduler.plan import FREE_MARGIN, clashes, moment_to_send, month_grid, upcoming

NOW = datetime(2026, 11, 22, 9, 0, tzinfo=UTC)
SOFIA = ZoneInfo("Europe/Sofia")
HOUR = timedelta(hours=1)


def reception(
    name: str,
    start: datetime,
    hours: float = 4,
    municipality: str = "rse04",
    state: ReceptionState = ReceptionState.PLANNED,
) -> Reception:
    return Reception(name, municipality, "Бяла", start, start + hours * HOUR, state=state)


def cancelled(name: str, start: datetime) -> Reception:
    return reception(name, start, state=ReceptionState.CANCELLED)


def names(receptions: list[Reception]) -> list[str]:
    return [it.id for it in receptions]


def test_the_next_three_of_her_municipality_come_soonest_first() -> None:
    days = {name: NOW + timedelta(days=at) for at, name in enumerate("abcd", start=1)}
    plan = [reception(name, start) for name, start in reversed(days.items())]
    plan.append(reception("elsewhere", NOW + HOUR, municipality="rse27"))
    assert names(upcoming(plan, "rse04", NOW)) == ["a", "b", "c"]
    assert names(upcoming(plan, "rse04", NOW, limit=1)) == ["a"]


def test_a_reception_is_shown_until_it_ends() -> None:
    running = reception("running", NOW - HOUR, hours=2)
    assert names(upcoming([running], "rse04", NOW)) == ["running"]
    assert upcoming([running], "rse04", running.end) == []


def test_she_is_told_of_a_cancelled_one_until_it_would_have_begun() -> None:
    off = cancelled("off", NOW + HOUR)
    assert upcoming([off], "rse04", NOW)[0].state is ReceptionState.CANCELLED
    assert upcoming([off], "rse04", off.start) == []


def test_a_moved_one_is_shown_as_moved() -> None:
    moved = reception("moved", NOW + HOUR, state=ReceptionState.MOVED)
    assert upcoming([moved], "rse04", NOW) == [moved]


def test_cancelled_ones_never_push_out_the_next_that_takes_place() -> None:
    plan = [cancelled(f"off{at}", NOW + at * HOUR) for at in range(1, 6)]
    plan += [reception("on", NOW + 9 * HOUR), reception("later", NOW + 19 * HOUR)]
    assert names(upcoming(plan, "rse04", NOW)) == ["off1", "off2", "on"]
    assert names(upcoming(plan, "rse04", NOW, limit=1)) == ["on"]
    assert names(upcoming(plan[:5], "rse04", NOW)) == ["off1", "off2", "off3"]


def test_nothing_is_planned() -> None:
    assert upcoming([], "rse04", NOW) == []


def test_the_calendar_has_whole_weeks_from_monday() -> None:
    grid = month_grid(2026, 12, [], SOFIA)
    assert [len(week) for week in grid] == [7] * 5
    assert (grid[0][0].date, grid[0][0].in_month) == (date(2026, 11, 30), False)
    assert (grid[0][1].date, grid[0][1].in_month) == (date(2026, 12, 1), True)
    assert (grid[-1][-1].date, grid[-1][-1].in_month) == (date(2027, 1, 3), False)


def test_a_reception_stands_on_the_day_it_has_in_bulgaria() -> None:
    late = reception("late", datetime(2026, 11, 30, 22, 30, tzinfo=UTC), hours=1)
    early = reception("early", datetime(2026, 11, 30, 22, 0, tzinfo=UTC), hours=1)
    grid = month_grid(2026, 12, [late, early], SOFIA)
    assert grid[0][0].receptions == ()
    assert grid[0][1].receptions == (early, late)


def test_the_calendar_spans_the_change_of_the_clocks() -> None:
    sunday = reception("sunday", datetime(2027, 3, 28, 6, 0, tzinfo=UTC))
    days = [day for week in month_grid(2027, 3, [sunday], SOFIA) for day in week]
    assert [day.date for day in days if day.receptions] == [date(2027, 3, 28)]
    assert len({day.date for day in days}) == len(days)


@pytest.mark.parametrize(("year", "month"), [(2026, 0), (2026, 13), (9999, 12), (1, 1)])
def test_a_month_that_is_none_is_refused(year: int, month: int) -> None:
    with pytest.raises(ValueError, match="no month"):
        month_grid(year, month, [], SOFIA)


def test_two_at_the_same_time_clash_wherever_they_are() -> None:
    one = reception("one", NOW)
    other = reception("other", NOW + 3 * HOUR, municipality="rse27")
    assert clashes(one, [other]) == [other]


def test_what_only_touches_or_is_cancelled_or_is_itself_does_not_clash() -> None:
    one = reception("one", NOW)
    harmless = [reception("after", one.end), cancelled("off", NOW), reception("one", NOW + HOUR)]
    assert clashes(one, harmless) == []
    assert clashes(cancelled("off2", NOW), [one]) == []


# --- when a reminder goes out ----------------------------------------------------------------

EARLIEST, DUE = NOW, NOW + 10 * HOUR


def test_a_reminder_goes_when_it_is_due_while_that_is_free() -> None:
    assert moment_to_send(DUE, EARLIEST, DUE + HOUR) == DUE
    assert moment_to_send(DUE, EARLIEST, DUE + FREE_MARGIN) == DUE


def test_a_reminder_goes_just_before_the_free_session_ends() -> None:
    assert moment_to_send(DUE, EARLIEST, DUE - HOUR) == DUE - HOUR - FREE_MARGIN


def test_a_reminder_that_costs_money_whenever_it_goes_waits_until_it_is_due() -> None:
    assert moment_to_send(DUE, EARLIEST, None) == DUE
    assert moment_to_send(DUE, EARLIEST, EARLIEST - HOUR) == DUE
    assert moment_to_send(DUE, EARLIEST, EARLIEST) == DUE


def test_where_every_message_is_free_for_ever_a_reminder_goes_when_it_is_due() -> None:
    assert moment_to_send(DUE, EARLIEST, datetime.max.replace(tzinfo=UTC)) == DUE


MINUTES = st.integers(min_value=-3000, max_value=3000).map(lambda many: timedelta(minutes=many))


@given(MINUTES, MINUTES, st.none() | MINUTES)
def test_a_reminder_is_never_early_or_late_and_free_whenever_it_can_be(
    due_after: timedelta, earliest_after: timedelta, free_for: timedelta | None
) -> None:
    assume(earliest_after <= due_after)
    due, earliest = NOW + due_after, NOW + earliest_after
    free_until = None if free_for is None else NOW + free_for
    moment = moment_to_send(due, earliest, free_until)
    assert earliest <= moment <= due
    if free_until is None or earliest > free_until - FREE_MARGIN:
        assert moment == due
    else:
        assert moment <= free_until - FREE_MARGIN
        minute_later = moment + timedelta(minutes=1)
        assert minute_later > due or minute_later > free_until - FREE_MARGIN
