"""The centre's figures in few numbers: how long women waited, from the tallies of a month."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from bot.storage.records import Waits


@dataclass(frozen=True, slots=True)
class MonthFigures:
    """One month. `median` and `nine_of_ten`: seconds within which so many were answered.

    They are upper edges of tallies: None where nobody was answered, `math.inf` where the answer
    took longer than the last edge.
    """

    month: str  # 2026-11
    answered: int
    unanswered: int
    median: float | None
    nine_of_ten: float | None


def figures_of(waits: Waits) -> MonthFigures:
    """What the page says of a month."""
    return MonthFigures(
        waits.month,
        sum(waits.answered.values()),
        waits.unanswered,
        within(waits.answered, 50),
        within(waits.answered, 90),
    )


def within(answered: Mapping[int | None, int], percent: int) -> float | None:
    """The edge, in seconds, under which at least so many of a hundred waits lie.

    `answered` counts by the upper edge (None: longer than the last).
    """
    total = sum(answered.values())
    if total == 0:
        return None
    wanted, seen = -(-percent * total // 100), 0
    for edge in sorted(math.inf if edge is None else edge for edge in answered):
        seen += answered[None if edge == math.inf else int(edge)]
        if seen >= wanted:
            return edge
    raise AssertionError
