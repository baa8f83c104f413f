"""Who hears what about a reception, and when: once, in her hours, and only what holds.

All times here are read on the clocks of Bulgaria.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    rule,
)

from scheduler.model import SAFE_HOURS, Reception, ReceptionState, Reminder, Subscription
from scheduler.plan import (
    FREE_MARGIN,
    Over,
    Send,
    Wait,
    after,
    fingerprint,
    in_time,
    moments,
    next_for,
    outlook,
    readable_until,
    safe_span,
    takes_place,
)

BEFORE, MORNING, MOVED, CANCELLED = Reminder
SOFIA = ZoneInfo("Europe/Sofia")
MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)


def at(local: str) -> datetime:
    return datetime.fromisoformat(local).replace(tzinfo=SOFIA).astimezone(UTC)


def reception(start: str | datetime, name: str = "r", hours: float = 4) -> Reception:
    begins = at(start) if isinstance(start, str) else start
    return Reception(name, "rse04", "Бяла, читалището", begins, begins + hours * HOUR)


def off(one: Reception) -> Reception:
    return replace(one, state=ReceptionState.CANCELLED)


def moved(one: Reception, start: str | datetime) -> Reception:
    to = reception(start)
    return replace(one, start=to.start, end=to.end, state=ReceptionState.MOVED)


def woman(
    hours: str = "day",
    told: Reception | None = None,
    known_at: str | datetime | None = None,
    done: frozenset[Reminder] = frozenset(),
    silent: bool = False,
    until: str = "2027-12-31 00:00",
) -> Subscription:
    """Without `told` she waits for a date, and has seen none."""
    return Subscription(
        id="s",
        municipality="rse04",
        hours=hours,
        reception="r",
        told=None if told is None else fingerprint(told),
        told_start=None if told is None else told.start,
        known_at=at(known_at) if isinstance(known_at, str) else known_at,
        done=done,
        silent=silent,
        renew=False,
        until=at(until),
    )


def plan_of(hours: str, start: str, now: str = "2026-01-01 00:00") -> list[tuple[Reminder, str]]:
    """What comes to her who saw the date long before, read on her clock."""
    one = reception(start)
    coming = moments(woman(hours, one, now), one, at(now))
    return [(each, f"{when.astimezone(SOFIA):%Y-%m-%d %H:%M}") for each, when in coming]


# --- her hours -----------------------------------------------------------------------------------


@pytest.mark.parametrize("day", ["2026-10-25", "2027-03-28", "2026-12-01"])
def test_her_hours_are_those_on_the_clock_whatever_the_clocks_do_that_night(day: str) -> None:
    span = at(f"{day} 09:00"), at(f"{day} 12:00")
    assert safe_span("am", at(f"{day} 00:00")) == span
    assert safe_span("am", at(f"{day} 02:30")) == span
    assert safe_span("am", at(f"{day} 09:00")) == span
    assert safe_span("am", at(f"{day} 11:59")) == span
    assert safe_span("am", at(f"{day} 12:00"))[0].astimezone(SOFIA).hour == 9
    assert safe_span("am", at(f"{day} 12:00"))[0] > span[1]


def test_the_night_in_which_the_clocks_go_back_is_an_hour_longer() -> None:
    end, start = safe_span("day", at("2026-10-24 20:00"))[1], at("2026-10-25 09:00")
    assert safe_span("day", end)[0] == start
    assert start - end == 13 * HOUR


def test_the_night_in_which_the_clocks_go_forward_is_an_hour_shorter() -> None:
    end, start = safe_span("day", at("2027-03-27 20:00"))[1], at("2027-03-28 09:00")
    assert safe_span("day", end)[0] == start
    assert start - end == 11 * HOUR


# --- two days before, and on the same morning ----------------------------------------------------


@pytest.mark.parametrize(
    ("day", "before"),
    [
        ("2026-12-01", "2026-11-29"),
        ("2026-10-25", "2026-10-23"),
        ("2026-10-26", "2026-10-24"),
        ("2027-03-28", "2027-03-26"),
        ("2027-03-29", "2027-03-27"),
        ("2027-03-01", "2027-02-27"),
    ],
)
def test_she_is_reminded_two_days_before_at_six_and_on_the_same_morning_at_nine(
    day: str, before: str
) -> None:
    assert plan_of("day", f"{day} 10:00") == [
        (BEFORE, f"{before} 18:00"),
        (MORNING, f"{day} 09:00"),
    ]


@pytest.mark.parametrize(
    ("hours", "start", "expected"),
    [
        # each waits for her hours
        ("am", "10:00", [(BEFORE, "2026-11-30 09:00"), (MORNING, "2026-12-01 09:00")]),
        ("pm", "14:00", [(BEFORE, "2026-11-30 12:00"), (MORNING, "2026-12-01 12:00")]),
        ("eve", "18:00", [(BEFORE, "2026-11-29 18:00"), (MORNING, "2026-12-01 17:00")]),
        # none of her hours is left on the day: the day before
        ("eve", "10:00", [(BEFORE, "2026-11-29 18:00"), (MORNING, "2026-11-30 17:00")]),
        ("day", "09:00", [(BEFORE, "2026-11-29 18:00"), (MORNING, "2026-11-30 09:00")]),
        ("day", "07:30", [(BEFORE, "2026-11-29 18:00"), (MORNING, "2026-11-30 09:00")]),
        ("day", "01:00", [(BEFORE, "2026-11-29 18:00"), (MORNING, "2026-11-30 09:00")]),
        # but not twice on that day
        ("pm", "10:00", [(BEFORE, "2026-11-30 12:00")]),
        ("pm", "12:00", [(BEFORE, "2026-11-30 12:00")]),
        ("am", "09:00", [(BEFORE, "2026-11-30 09:00")]),
    ],
)
def test_each_moment_moves_into_her_hours(
    hours: str, start: str, expected: list[tuple[Reminder, str]]
) -> None:
    assert plan_of(hours, f"2026-12-01 {start}") == expected


def test_she_waits_until_it_is_due_and_then_it_is_sent_once() -> None:
    one = reception("2026-12-01 10:00")
    she = woman("day", one, "2026-11-20 08:00")
    due = at("2026-11-29 18:00")
    assert outlook(she, one, due - MINUTE) == Wait(due)
    assert outlook(she, one, due) == Send(BEFORE, at("2026-11-29 21:00"))
    reminded = after(she, one, BEFORE, due)
    assert outlook(reminded, one, due) == Wait(at("2026-12-01 09:00"))


def test_after_an_outage_what_was_due_still_comes_in_her_hours() -> None:
    one = reception("2026-12-01 10:00")
    she = woman("day", one, "2026-11-20 08:00")
    assert outlook(she, one, at("2026-11-29 21:00")) == Wait(at("2026-11-30 09:00"))
    late = outlook(she, one, at("2026-11-30 13:00"))
    assert late == Send(BEFORE, at("2026-11-30 21:00"))


def test_after_a_longer_outage_the_two_reminders_do_not_come_on_top_of_each_other() -> None:
    one = reception("2026-12-01 10:00")
    she = woman("day", one, "2026-11-20 08:00")
    morning = at("2026-12-01 09:00")
    assert outlook(she, one, at("2026-11-30 21:30")) == Wait(morning)
    assert outlook(she, one, morning) == Send(MORNING, one.start)
    assert outlook(after(she, one, MORNING, morning), one, morning) == Wait(one.end)
    clock_set_back = at("2026-11-30 20:00")
    assert outlook(after(she, one, MORNING, morning), one, clock_set_back) == Wait(one.end)


def test_it_goes_out_before_her_hours_end_and_before_the_reception_begins() -> None:
    one = reception("2026-12-01 10:00")
    she = woman("am", one, "2026-11-20 08:00")
    assert outlook(she, one, at("2026-11-30 09:00")) == Send(BEFORE, at("2026-11-30 12:00"))
    reminded = after(she, one, BEFORE, at("2026-11-30 09:00"))
    assert outlook(reminded, one, at("2026-12-01 09:59")) == Send(MORNING, one.start)


def test_nothing_is_sent_any_more_once_the_reception_has_begun() -> None:
    one = reception("2026-12-01 10:00")
    she = woman("day", one, "2026-11-20 08:00")
    assert outlook(she, one, one.start) == Wait(one.end)
    assert outlook(she, one, one.end) == Over()


def test_who_has_just_seen_the_date_is_not_told_it_again() -> None:
    one = reception("2026-12-01 10:00")
    for seen in ("2026-11-29 18:00", "2026-11-29 18:30", "2026-11-30 20:00"):
        assert moments(woman("day", one, seen), one, at(seen)) == [
            (MORNING, at("2026-12-01 09:00"))
        ]
    assert moments(woman("day", one, "2026-12-01 09:00"), one, at("2026-12-01 08:10")) == []
    seen = "2026-11-30 18:00"  # of the day before, since she is not rung in the morning
    assert moments(woman("eve", one, seen), one, at(seen)) == []


def test_whose_earlier_reminder_was_not_needed_has_the_one_of_the_day_before() -> None:
    one = reception("2026-12-01 10:00")
    seen = "2026-11-29 19:00"
    assert moments(woman("pm", one, seen), one, at(seen)) == [(MORNING, at("2026-11-30 12:00"))]


def test_who_was_reminded_on_the_day_before_is_not_reminded_again_that_day() -> None:
    one, noon = reception("2026-12-01 10:00"), at("2026-11-30 12:00")
    reminded = after(woman("pm", one, "2026-11-20 08:00"), one, BEFORE, noon)
    clock_set_back = noon - HOUR
    looked = after(reminded, one, None, clock_set_back)
    assert moments(looked, one, clock_set_back) == []


def test_who_waited_for_a_date_hears_of_one_that_is_planned_late() -> None:
    one = reception("2026-12-01 10:00")
    planned = at("2026-11-30 20:00")
    assert moments(woman("day"), one, planned) == [
        (BEFORE, planned),
        (MORNING, at("2026-12-01 09:00")),
    ]
    assert moments(woman("am"), one, planned) == [(MORNING, at("2026-12-01 09:00"))]
    assert moments(woman("eve"), one, planned) == [(MORNING, planned)]
    assert moments(woman("pm"), one, at("2026-11-30 13:00")) == [(BEFORE, at("2026-11-30 13:00"))]
    assert moments(woman("pm"), one, planned) == []
    assert outlook(woman("pm"), one, planned) == Wait(one.end)


@pytest.mark.parametrize("day", ["2026-10-25", "2027-03-28", "2026-12-01"])
def test_a_clock_set_back_an_hour_brings_nothing_twice(day: str) -> None:
    one = reception(f"{day} 14:00")
    she = woman("day", one, "2026-09-01 08:00")
    for reminder, due in moments(she, one, at("2026-10-01 00:00")):
        she = after(she, one, reminder, due)
        for minutes in range(-61, 3):
            assert not isinstance(outlook(she, one, due + minutes * MINUTE), Send)


# --- moved, cancelled ----------------------------------------------------------------------------

TUESDAY = reception("2026-12-01 10:00")
HEARD = woman("day", TUESDAY, "2026-11-20 08:00")


def test_snow_at_seven_in_the_morning_is_told_when_her_hours_begin() -> None:
    snow, nine = at("2026-12-01 07:00"), at("2026-12-01 09:00")
    assert outlook(HEARD, off(TUESDAY), snow) == Wait(nine)
    assert outlook(HEARD, off(TUESDAY), nine) == Send(CANCELLED, TUESDAY.start)


def test_of_a_cancelled_one_she_hears_once_and_then_it_is_over() -> None:
    now = at("2026-11-25 12:00")
    assert outlook(HEARD, off(TUESDAY), now) == Send(CANCELLED, at("2026-11-25 21:00"))
    told = after(HEARD, off(TUESDAY), CANCELLED, now)
    assert outlook(told, off(TUESDAY), now) == Over()
    corrected = replace(off(TUESDAY), place="Бяла, кметството", start=TUESDAY.start + DAY)
    assert outlook(told, corrected, now) == Over()


def test_a_cancellation_is_of_no_use_once_what_she_was_told_would_have_begun() -> None:
    she = replace(HEARD, hours="eve")
    assert outlook(she, off(TUESDAY), at("2026-12-01 09:59")) == Wait(TUESDAY.start)
    assert outlook(she, off(TUESDAY), TUESDAY.start) == Over()
    later = off(moved(TUESDAY, "2026-12-04 10:00"))  # of which she has not heard
    assert outlook(HEARD, later, at("2026-12-01 09:30")) == Send(CANCELLED, TUESDAY.start)
    assert outlook(HEARD, later, TUESDAY.start) == Over()


def test_of_a_moved_one_she_hears_and_is_then_reminded_of_the_new_date() -> None:
    later = moved(TUESDAY, "2026-12-08 10:00")
    now = at("2026-11-25 22:00")
    nine = at("2026-11-26 09:00")
    assert outlook(HEARD, later, now) == Wait(nine)
    assert moments(HEARD, later, now) == [
        (MOVED, nine),
        (BEFORE, at("2026-12-06 18:00")),
        (MORNING, at("2026-12-08 09:00")),
    ]


def test_of_another_place_or_hour_or_landmark_she_hears_but_not_of_who_sits_there() -> None:
    now = at("2026-11-25 12:00")
    for change in (
        replace(TUESDAY, place="Бяла, кметството"),
        replace(TUESDAY, landmark="до пощата"),
        replace(TUESDAY, end=TUESDAY.end - HOUR),
    ):
        assert outlook(HEARD, change, now) == Send(MOVED, at("2026-11-25 21:00"))
    same = replace(
        TUESDAY, attends="юрист", public_name="Приемна", state=ReceptionState.MOVED, sequence=7
    )
    assert outlook(HEARD, same, now) == Wait(at("2026-11-29 18:00"))


def test_a_change_goes_before_the_reminder_that_is_due_and_takes_its_place() -> None:
    nine = at("2026-12-01 09:00")
    later = moved(TUESDAY, "2026-12-01 14:00")
    assert outlook(HEARD, later, nine) == Send(MOVED, later.start)
    told = after(HEARD, later, MOVED, nine)
    assert outlook(told, later, nine) == Wait(later.end)


def test_no_reminder_goes_out_for_what_holds_no_more() -> None:
    sooner = moved(TUESDAY, "2026-11-30 08:00")
    assert outlook(HEARD, sooner, at("2026-11-29 18:00")) == Send(MOVED, at("2026-11-29 21:00"))
    told = after(HEARD, sooner, MOVED, at("2026-11-29 18:00"))
    assert outlook(told, sooner, at("2026-11-29 18:00")) == Wait(sooner.end)


def test_what_was_moved_back_before_she_heard_of_it_is_no_change() -> None:
    back = moved(moved(TUESDAY, "2026-12-08 10:00"), TUESDAY.start)
    assert outlook(HEARD, back, at("2026-11-25 12:00")) == Wait(at("2026-11-29 18:00"))


def test_a_team_that_is_late_is_told_of_after_the_old_hour() -> None:
    late = moved(TUESDAY, "2026-12-01 13:00")
    now = at("2026-12-01 10:20")
    assert outlook(HEARD, TUESDAY, now) == Wait(TUESDAY.end)
    assert outlook(HEARD, late, now) == Send(MOVED, late.start)
    assert outlook(HEARD, late, late.start) == Wait(late.end)


@pytest.mark.parametrize("cancelled", [False, True], ids=["moved", "cancelled"])
def test_of_one_that_is_over_sooner_she_hears_before_she_sets_out_for_what_she_was_told(
    cancelled: bool,
) -> None:
    thursday = reception("2026-11-26 14:00", hours=3)
    she = woman("pm", thursday, "2026-11-20 08:00")
    sooner = replace(moved(thursday, "2026-11-24 09:00"), end=at("2026-11-24 11:00"))
    change, told = (off(sooner), CANCELLED) if cancelled else (sooner, MOVED)
    noon = at("2026-11-24 12:00")
    assert outlook(she, change, at("2026-11-23 22:00")) == Wait(noon)
    assert outlook(she, change, noon) == Send(told, at("2026-11-24 17:00"))
    nobody_looked_until = at("2026-11-26 13:00")
    assert outlook(she, change, nobody_looked_until) == Send(told, thursday.start)
    assert outlook(she, change, thursday.start) == Over()
    assert outlook(after(she, change, told, noon), change, noon) == Over()


def test_on_the_same_day_she_hears_of_an_earlier_hour_though_that_has_passed() -> None:
    thursday = reception("2026-11-26 14:00", hours=3)
    she = woman("pm", thursday, "2026-11-20 08:00")
    sooner = replace(moved(thursday, "2026-11-26 09:00"), end=at("2026-11-26 12:30"))
    noon = at("2026-11-26 12:00")
    assert outlook(she, sooner, at("2026-11-25 20:00")) == Wait(noon)
    assert outlook(she, sooner, noon) == Send(MOVED, thursday.start)
    assert outlook(she, sooner, at("2026-11-26 13:59")) == Send(MOVED, thursday.start)
    assert outlook(she, sooner, thursday.start) == Over()


def test_a_change_can_be_read_until_what_she_was_told_would_be_over() -> None:
    assert readable_until(TUESDAY, None) == TUESDAY.end
    assert readable_until(TUESDAY, TUESDAY.start) == TUESDAY.end
    assert readable_until(TUESDAY, TUESDAY.start - DAY) == TUESDAY.end
    assert readable_until(TUESDAY, TUESDAY.start + DAY) == TUESDAY.end + DAY


def test_who_was_told_of_none_hears_of_no_change() -> None:
    waits = woman("day", until="2026-12-20 00:00")
    later, now = moved(TUESDAY, "2026-12-08 10:00"), at("2026-11-25 12:00")
    assert outlook(waits, later, now) == Wait(at("2026-12-06 18:00"))
    assert outlook(waits, off(TUESDAY), now) == Wait(at("2026-12-20 00:00"))


def test_a_cancelled_one_that_takes_place_after_all_is_told_as_a_change() -> None:
    now = at("2026-11-25 12:00")
    told = after(HEARD, off(TUESDAY), CANCELLED, now)
    assert outlook(told, TUESDAY, now) == Send(MOVED, at("2026-11-25 21:00"))


def test_a_reminder_that_went_out_is_not_repeated_where_only_the_place_is_new() -> None:
    evening = at("2026-11-29 18:00")
    reminded = after(HEARD, TUESDAY, BEFORE, evening)
    elsewhere = replace(TUESDAY, place="Бяла, кметството")
    clock_set_back = evening - HOUR
    told = after(reminded, elsewhere, MOVED, clock_set_back)
    assert moments(told, elsewhere, clock_set_back) == [(MORNING, at("2026-12-01 09:00"))]


def test_a_date_that_is_moved_away_and_back_brings_no_reminder_twice() -> None:
    free = at("2026-11-29 10:00")  # sent early, since it cost nothing
    she = after(HEARD, TUESDAY, BEFORE, free)
    later = moved(TUESDAY, "2026-12-08 10:00")
    she = after(she, later, MOVED, free + HOUR)
    she = after(she, TUESDAY, MOVED, free + 2 * HOUR)
    assert moments(she, TUESDAY, free + 3 * HOUR) == [(MORNING, at("2026-12-01 09:00"))]


def test_nor_does_one_that_comes_back_at_another_hour() -> None:
    one, evening = reception("2026-12-01 10:00"), at("2026-11-30 17:00")
    she = after(woman("eve", one, "2026-11-20 08:00"), one, MORNING, evening)
    she = after(she, moved(one, "2026-12-08 10:00"), MOVED, evening + HOUR)
    back = moved(one, "2026-12-01 18:00")
    she = after(she, back, MOVED, evening + 2 * HOUR)
    assert moments(she, back, evening + 2 * HOUR) == []


# --- who looks for herself, and who waits --------------------------------------------------------


def test_who_wants_silence_is_sent_nothing() -> None:
    silent = replace(HEARD, silent=True)
    now = at("2026-11-29 18:00")
    assert outlook(silent, TUESDAY, now) == Wait(TUESDAY.end)
    assert outlook(silent, moved(TUESDAY, "2026-12-08 10:00"), now) == Wait(
        moved(TUESDAY, "2026-12-08 10:00").end
    )
    assert outlook(silent, off(TUESDAY), now) == Wait(TUESDAY.start)
    assert outlook(silent, TUESDAY, TUESDAY.end) == Over()
    assert moments(silent, TUESDAY, now) == []


def test_who_waits_for_a_date_waits_so_long_and_no_longer() -> None:
    waits = replace(woman(until="2026-12-01 00:00"), reception=None)
    assert outlook(waits, None, at("2026-11-30 23:59")) == Wait(waits.until)
    assert outlook(waits, None, waits.until) == Over()
    assert moments(waits, None, at("2026-11-01 00:00")) == []


def test_the_next_for_her_takes_place_in_her_municipality_and_has_not_begun() -> None:
    now = at("2026-12-01 12:00")
    plan = [
        reception("2026-12-20 10:00", "later"),
        reception("2026-12-10 10:00", "next"),
        off(reception("2026-12-05 10:00", "off")),
        replace(reception("2026-12-03 10:00", "elsewhere"), municipality="rse27"),
        reception("2026-12-01 10:00", "running"),
    ]
    found = next_for(plan, "rse04", now)
    assert found is not None
    assert found.id == "next"
    assert next_for(plan, "rse33", now) is None


# --- whether she hears in time -------------------------------------------------------------------


def test_she_hears_in_time_if_that_is_an_hour_before_it_begins() -> None:
    snow = at("2026-12-01 07:00")
    assert in_time(HEARD, off(TUESDAY), snow)
    assert in_time(HEARD, off(TUESDAY), at("2026-12-01 09:00"))
    assert not in_time(HEARD, off(TUESDAY), at("2026-12-01 09:01"))
    assert not in_time(replace(HEARD, hours="pm"), off(TUESDAY), snow)
    assert in_time(replace(HEARD, hours="pm"), off(TUESDAY), at("2026-11-30 16:00"))
    sooner = moved(TUESDAY, "2026-11-30 11:00")
    assert not in_time(replace(HEARD, hours="pm"), sooner, at("2026-11-29 20:00"))
    assert not in_time(HEARD, moved(TUESDAY, "2026-12-04 10:00"), at("2026-12-01 11:00"))


def test_of_an_earlier_date_she_has_to_hear_an_hour_before_that() -> None:
    sooner = moved(TUESDAY, "2026-11-30 10:00")
    assert in_time(HEARD, sooner, at("2026-11-30 09:00"))
    assert not in_time(HEARD, sooner, at("2026-11-30 09:01"))
    assert not in_time(HEARD, sooner, at("2026-11-30 20:00")), "nor once it is over"
    hears = at("2026-11-30 20:00")
    assert in_time(after(HEARD, sooner, MOVED, hears), sooner, hears)


def test_who_is_sent_nothing_does_not_hear_by_herself() -> None:
    silent = replace(HEARD, silent=True)
    assert not in_time(silent, off(TUESDAY), at("2026-11-20 12:00"))
    assert in_time(silent, TUESDAY, at("2026-11-20 12:00"))


def test_nobody_is_late_for_what_she_knows_or_was_never_told() -> None:
    now = at("2026-12-01 09:30")
    assert in_time(after(HEARD, off(TUESDAY), CANCELLED, now), off(TUESDAY), now)
    assert in_time(woman(), off(TUESDAY), now)


# --- where a message is free for a while ---------------------------------------------------------


def test_a_reminder_goes_earlier_on_its_day_while_that_costs_nothing() -> None:
    free_until = at("2026-11-29 15:00")
    goes = free_until - 2 * FREE_MARGIN
    assert outlook(HEARD, TUESDAY, at("2026-11-28 15:00"), free_until) == Wait(goes)
    assert outlook(HEARD, TUESDAY, goes, free_until) == Send(BEFORE, at("2026-11-29 21:00"))
    a_slow_tick_later = goes + FREE_MARGIN - MINUTE
    assert isinstance(outlook(HEARD, TUESDAY, a_slow_tick_later, free_until), Send)


def test_what_would_cost_money_all_the_same_waits_until_it_is_due() -> None:
    due = at("2026-11-29 18:00")
    for free_until in (
        at("2026-11-29 09:05"),  # none of her hours on that day is free
        at("2026-11-28 20:00"),  # free is only the day before
        None,
    ):
        assert outlook(HEARD, TUESDAY, at("2026-11-28 12:00"), free_until) == Wait(due)
    past = at("2026-11-29 14:00")
    assert outlook(HEARD, TUESDAY, past, past) == Wait(due)


def test_a_reminder_goes_no_earlier_than_she_has_hours_or_knew_the_date() -> None:
    free_until = at("2026-11-29 16:00")
    now = at("2026-11-29 15:30")
    assert outlook(replace(HEARD, hours="eve"), TUESDAY, now, free_until) == Wait(
        at("2026-11-29 18:00")
    )
    just_seen = woman("day", TUESDAY, "2026-11-29 16:00")
    assert outlook(just_seen, TUESDAY, now, free_until) == Wait(at("2026-11-29 18:00"))


# --- whatever happens ----------------------------------------------------------------------------

HOURS = st.sampled_from(sorted(SAFE_HOURS))
DATES = st.sampled_from(["2026-10-25", "2027-03-28", "2026-12-01"])
STARTS = st.builds(
    lambda day, days, hour: at(f"{day} 00:00").astimezone(SOFIA).replace(hour=hour) + days * DAY,
    DATES,
    st.integers(-2, 9),
    st.integers(6, 20),
).map(lambda start: start.astimezone(UTC))
MINUTES = st.integers(0, 30 * 60)


def local_day(moment: datetime) -> date:
    return moment.astimezone(SOFIA).date()


def is_safe(hours: str, moment: datetime) -> bool:
    first, last = SAFE_HOURS[hours]
    return first <= moment.astimezone(SOFIA).hour < last


class Line(RuleBasedStateMachine):
    """One woman, one reception, and staff, clocks and outages that do what they like.

    It plays the store: what is sent is written down, and then it is asked again.
    """

    @initialize(hours=HOURS, start=STARTS, early=st.integers(0, 5 * 24 * 60), waited=st.booleans())
    def begin(self, hours: str, start: datetime, early: int, waited: bool) -> None:
        self.hours = hours
        self.reception = reception(start)
        self.dates = [start]
        self.now = start - early * MINUTE
        self.she: Subscription | None = None
        self.she_comes(waited, silent=9)

    @rule(waited=st.booleans(), silent=st.integers(0, 9))
    def she_comes(self, waited: bool, silent: int) -> None:
        """She reads what holds now, or asks to be reminded."""
        self.free_until = None if waited else self.now + DAY
        if self.she is not None:
            self.she = after(self.she, self.reception, None, self.now)
        elif takes_place(self.reception):
            self.sent: set[tuple[Reminder, date]] = set()
            self.days: set[tuple[date, date]] = set()
            told, known_at = (None, None) if waited else (self.reception, self.now)
            self.she = woman(self.hours, told, known_at, silent=silent == 0)
        self.look()

    @rule(minutes=MINUTES, lateness=st.integers(0, 3))
    def time_passes(self, minutes: int, lateness: int) -> None:
        """The clock ticks, up to `lateness` minutes after the moment that it was to look."""
        stop = self.now + minutes * MINUTE
        while self.she is not None and self.now < stop:
            result = self.look()
            self.now = stop
            if isinstance(result, Wait):
                self.now = min(stop, result.until + lateness * MINUTE)
        self.now = stop

    @rule(minutes=MINUTES)
    def nothing_runs(self, minutes: int) -> None:
        self.now += minutes * MINUTE

    @rule(days=st.integers(-2, 0), minutes=st.integers(-600, 120))
    def nothing_runs_until_it_is_near(self, days: int, minutes: int) -> None:
        self.now = max(self.now, self.reception.start + days * DAY + minutes * MINUTE)

    @rule(minutes=st.sampled_from([-1500, -60, -59, -7, 60]))
    def the_clock_is_set(self, minutes: int) -> None:
        self.now += minutes * MINUTE

    @rule(days=st.integers(-3, 6), hour=st.integers(6, 20))
    def staff_move_it(self, days: int, hour: int) -> None:
        start = self.reception.start.astimezone(SOFIA).replace(hour=hour) + days * DAY
        self.dates.append(start.astimezone(UTC))
        self.reception = moved(self.reception, self.dates[-1])
        self.look()

    @rule(which=st.integers(0, 20))
    def staff_move_it_back(self, which: int) -> None:
        self.reception = moved(self.reception, self.dates[which % len(self.dates)])
        self.look()

    @rule(place=st.sampled_from(["Бяла, кметството", "Бяла, читалището"]))
    def staff_change_the_place(self, place: str) -> None:
        self.reception = replace(self.reception, place=place)
        self.look()

    @rule()
    def staff_cancel_or_restore_it(self) -> None:
        on = not takes_place(self.reception)
        state = ReceptionState.PLANNED if on else ReceptionState.CANCELLED
        self.reception = replace(self.reception, state=state)
        self.look()

    @invariant()
    def asking_changes_nothing(self) -> None:
        result = self.look()
        if isinstance(result, Send):  # it is written down now
            assert self.look() != result

    def look(self) -> Send | Wait | Over | None:
        if self.she is None:
            return None
        result = outlook(self.she, self.reception, self.now, self.free_until)
        assert result == outlook(self.she, self.reception, self.now, self.free_until)
        match result:
            case Send():
                self.judge(self.she, result)
                self.she = after(self.she, self.reception, result.reminder, self.now)
                if result.reminder is CANCELLED:
                    assert outlook(self.she, self.reception, self.now) == Over()
            case Wait(until):
                assert until > self.now
                self.judge_silence(self.she)
            case Over():
                self.she = None
        return result

    def judge(self, she: Subscription, send: Send) -> None:
        """What goes out is safe, true and new to her."""
        one, now, reminder = self.reception, self.now, send.reminder
        assert not she.silent
        assert is_safe(she.hours, now)
        assert is_safe(she.hours, send.latest - MINUTE)
        assert now < send.latest
        assert local_day(send.latest) == local_day(now)
        if reminder is CANCELLED:
            assert not takes_place(one)
            assert she.told is not None
            assert she.told != fingerprint(one)
            assert she.told_start is not None
            assert send.latest <= she.told_start
            return
        assert takes_place(one)
        if reminder is MOVED:
            assert she.told is not None
            assert she.told != fingerprint(one)
            assert she.told_start is not None
            assert send.latest <= max(one.start, she.told_start)
            return
        assert send.latest <= one.start
        assert she.told in (None, fingerprint(one)), "of what holds no more"
        day = local_day(one.start)
        assert (reminder, day) not in self.sent, "once for one date"
        self.sent.add((reminder, day))
        assert (day, local_day(now)) not in self.days, "two on one day"
        self.days.add((day, local_day(now)))
        if reminder is BEFORE:
            due = at(f"{day - 2 * DAY} 18:00")
            assert (MORNING, day) not in self.sent
            if now < due:
                assert local_day(now) == local_day(due)
                assert self.free_until is not None
                assert now < self.free_until
        else:
            due = at(f"{day} 09:00")
            if max(due, safe_span(she.hours, due)[0]) >= one.start:
                due = safe_span(she.hours, at(f"{day - DAY} 00:00"))[0]
            assert now >= due
        assert she.known_at is None or she.known_at < due, "of what she had just seen"

    def judge_silence(self, she: Subscription) -> None:
        """Where nothing goes out, there is no news that could."""
        one = self.reception
        news = she.told is not None and she.told != fingerprint(one)
        limit = she.told_start or one.start
        if takes_place(one):
            limit = max(limit, one.start)
        if news and not she.silent and is_safe(she.hours, self.now):
            assert self.now >= limit


TestLine = Line.TestCase
TestLine.settings = settings(max_examples=150, stateful_step_count=25, deadline=None)


def run(
    she: Subscription, one: Reception, now: datetime, step: timedelta
) -> list[tuple[Reminder, datetime]]:
    """Look every `step` until it is over."""
    sent = []
    while True:
        match outlook(she, one, now):
            case Send(reminder):
                sent.append((reminder, now))
                she = after(she, one, reminder, now)
            case Wait():
                now += step
            case Over():
                return sent


@settings(max_examples=60, deadline=None)
@given(
    hours=HOURS,
    start=STARTS,
    early=st.integers(0, 4 * 24 * 60),
    away=st.integers(-3, 3),
    cancelled=st.booleans(),
    knows=st.sampled_from(["nothing", "now", "something else"]),
)
def test_what_is_promised_is_what_comes(
    hours: str, start: datetime, early: int, away: int, cancelled: bool, knows: str
) -> None:
    one = reception(start)
    now = start - early * MINUTE
    old = reception(start + away * DAY + HOUR)
    told = {"nothing": None, "now": one, "something else": old}[knows]
    she = woman(hours, told, None if told is None else now - 9 * DAY, until="2026-01-01 00:00")
    one = off(one) if cancelled else one
    promised = moments(she, one, now)
    step = 17 * MINUTE
    came = run(she, one, now, step)
    assert [reminder for reminder, _ in came] == [reminder for reminder, _ in promised]
    for (_, at_last), (_, moment) in zip(came, promised, strict=True):
        assert timedelta() <= at_last - moment < step


@settings(max_examples=200, deadline=None)
@given(
    hours=HOURS,
    start=STARTS,
    early=st.integers(0, 4 * 24 * 60),
    away=st.integers(-5 * 24 * 60, 5 * 24 * 60),
    length=st.integers(1, 8),
    cancelled=st.booleans(),
)
def test_whoever_was_told_a_time_hears_of_its_change_before_she_sets_out_or_counts_as_late(
    hours: str, start: datetime, early: int, away: int, length: int, cancelled: bool
) -> None:
    """At her first safe hour, and never once she stands at the door, though it is over by then."""
    old = reception(start)
    now = start - early * MINUTE
    change = replace(old, start=start + away * MINUTE, end=start + away * MINUTE + length * HOUR)
    change = off(change) if cancelled else change
    she = woman(hours, old, now - 9 * DAY)
    assume(fingerprint(change) != fingerprint(old))
    hears = max(now, safe_span(hours, now)[0])
    heard = [at for each, at in moments(she, change, now) if each in (MOVED, CANCELLED)]
    if hears < start:
        assert heard == [hears]
    else:
        assert in_time(she, change, now) is False
        assert all(at == hears < change.start for at in heard), "of a team that is late"
    starts = start if cancelled else min(start, change.start)
    if not heard or heard[0] > starts - HOUR:
        assert not in_time(she, change, now)
    assert readable_until(change, start) > start, "it is kept until she has heard"


@settings(max_examples=200, deadline=None)
@given(hours=HOURS, start=STARTS, early=st.integers(0, 6 * 24 * 60), seen=st.booleans())
def test_whose_hours_leave_room_is_always_reminded(
    hours: str, start: datetime, early: int, seen: bool
) -> None:
    one, now = reception(start), start - early * MINUTE
    two_days_before = at(f"{local_day(start) - 2 * DAY} 18:00")
    if seen:
        assume(now < two_days_before)
    earliest = max(now, two_days_before)
    room = max(earliest, safe_span(hours, earliest)[0]) < start
    she = woman(hours, one if seen else None, now if seen else None)
    assert bool(moments(she, one, now)) == room
    assert len(moments(she, one, now)) <= 2
