"""What the centre reads of a month's waits."""

from __future__ import annotations

import math

import pytest

from bot.desk.figures import figures_of, within
from bot.storage.records import Waits


def test_a_month_without_answers_has_no_wait() -> None:
    told = figures_of(Waits("2026-11", {}, 3))
    assert (told.answered, told.unanswered) == (0, 3)
    assert (told.median, told.nine_of_ten) == (None, None)


def test_median_and_nine_of_ten_are_edges_of_the_tallies() -> None:
    told = figures_of(Waits("2026-11", {60: 4, 300: 4, 3600: 1, None: 1}, 0))
    assert (told.answered, told.median, told.nine_of_ten) == (10, 300, 3600)


def test_a_wait_over_the_last_edge_is_longer_than_all() -> None:
    told = figures_of(Waits("2026-11", {60: 1, None: 9}, 0))
    assert (told.median, told.nine_of_ten) == (math.inf, math.inf)


def test_the_order_of_the_tallies_does_not_matter() -> None:
    assert within({None: 1, 600: 1, 60: 3}, 50) == 60


@pytest.mark.parametrize(
    ("answered", "percent", "edge"),
    [
        ({60: 1}, 50, 60),
        ({60: 1}, 90, 60),
        ({60: 1, 120: 1}, 50, 60),
        ({60: 1, 120: 1}, 90, 120),
        ({60: 9, 120: 1}, 90, 60),
        ({60: 8, 120: 2}, 90, 120),
        ({60: 0, 120: 1}, 50, 120),
        ({60: 99, 120: 11}, 90, 60),
    ],
)
def test_at_least_so_many_lie_under_the_edge(
    answered: dict[int | None, int], percent: int, edge: float
) -> None:
    assert within(answered, percent) == edge
