"""When a message that did not get through is tried again: arithmetic alone."""

from __future__ import annotations

import itertools
from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from bot.retry import ATTEMPTS, LATEST, LONGEST, next_try

START = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)


def tries(*, reached: bool) -> list[timedelta]:
    """After how long each try comes, where every one fails in the same way."""
    now, attempts, found = START, 0, [timedelta(0)]
    while True:
        attempts += reached
        again = next_try(attempts, START, now, reached=reached)
        if again is None:
            return found
        found.append(again - START)
        now = again


def test_ten_minutes_of_refusals_are_outlived_and_the_sixth_is_the_last() -> None:
    found = tries(reached=True)
    assert len(found) == ATTEMPTS
    assert found[1] == timedelta(seconds=2)
    assert found[-2] < timedelta(minutes=10) < found[-1] < timedelta(minutes=15)


def test_what_never_left_is_tried_for_an_hour_and_soon_after_the_line_is_back() -> None:
    found = tries(reached=False)
    assert found[-1] == LONGEST
    pauses = [later - sooner for sooner, later in itertools.pairwise(found)]
    assert max(pauses) == LATEST
    assert [seconds.total_seconds() for seconds in pauses[:5]] == [2, 2, 4, 8, 16]


def test_after_twenty_minutes_without_a_line_a_refusal_is_the_first_one() -> None:
    now = START + timedelta(minutes=20)
    assert next_try(0, START, now, reached=False) == now + LATEST
    assert next_try(1, START, now, reached=True) == now + timedelta(seconds=2)


def test_after_an_hour_a_person_decides_however_few_attempts_there_were() -> None:
    assert next_try(1, START, START + LONGEST, reached=True) is None
    late = START + LONGEST - timedelta(seconds=1)
    assert next_try(5, START, late, reached=True) == START + LONGEST


def test_a_clock_that_was_set_back_holds_nothing_up() -> None:
    back = START - timedelta(hours=1)
    assert next_try(0, START, back, reached=False) == back + timedelta(seconds=2)


@given(
    attempts=st.integers(1, ATTEMPTS),
    passed=st.timedeltas(timedelta(0), 2 * LONGEST),
    reached=st.booleans(),
)
def test_it_is_later_than_now_and_never_after_the_hour(
    attempts: int, passed: timedelta, reached: bool
) -> None:
    again = next_try(attempts, START, START + passed, reached=reached)
    assert (again is None) == (attempts == ATTEMPTS or passed >= LONGEST)
    assert again is None or START + passed < again <= START + LONGEST
