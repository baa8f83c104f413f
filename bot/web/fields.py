"""What people write into the fields of a form: a day, an hour, a text."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import date, datetime, time

Say = Callable[..., str]
"""Says a phrase of the content by its id."""

_DATES = ("%Y-%m-%d", "%d.%m.%Y", "%d.%m.%Y г.")
_TIME = re.compile(r"([01]?\d|2[0-3])[:.]([0-5]\d)", re.ASCII)


def read_day(written: str) -> date | None:
    """A day as people or browsers write it; None for anything else."""
    for pattern in _DATES:
        try:
            day = datetime.strptime(written, pattern).date()  # noqa: DTZ007
        except ValueError:
            continue
        return day if 2000 <= day.year <= 2200 else None
    return None


def read_time(written: str) -> time | None:
    """An hour as people or browsers write it: 9:30, 09.30; None for anything else."""
    found = _TIME.fullmatch(written)
    return time(int(found[1]), int(found[2])) if found else None


def one_line(written: str, longest: int = 500) -> str:
    """The text without outer and double spaces, cut where nobody writes so much."""
    return " ".join(written.split())[:longest]
