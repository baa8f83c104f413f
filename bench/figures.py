"""What the tables are written with."""

from __future__ import annotations

import math
from collections.abc import Sequence


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table in Markdown."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def met(is_met: bool) -> str:
    """What stands beside a goal."""
    return "met" if is_met else "**not met**"


def quantile(values: Sequence[float], part: float) -> float:
    """The value that so great a part of them is not above; NaN of none."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * part))] if ordered else math.nan


def middle_and_late(took: Sequence[float]) -> str:
    """Median and 99th percentile of so many seconds, in milliseconds."""
    if not took:
        return "–"
    return f"{number(quantile(took, 0.5) * 1000)} · {number(quantile(took, 0.99) * 1000)}"


def number(value: float) -> str:
    """With one decimal where that says something."""
    return f"{value:,.0f}" if value >= 10 else f"{value:.1f}"
