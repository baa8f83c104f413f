"""What a platform brings to our webhook: only what is needed of it, and once each.

However often it is brought: in memory. What must be kept once across a restart has its key in
the store.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Callable, Mapping
from typing import Any

SETTLE_SECONDS = 8.0
"""How long a platform waits for us at most; what is not settled by then it brings again."""
REMEMBERED = 10_000

Names = Mapping[str, Any]
"""The names that are read of an object: with None a plain value, else the names of the object
under it, or of each object in a list."""


class Deliveries:
    """Remembers what is under way and what is settled, by the platform's own id of it."""

    def __init__(self) -> None:
        self._settling: OrderedDict[str, asyncio.Future[None]] = OrderedDict()

    async def once(self, key: str, hand_over: Callable[[], asyncio.Future[None]]) -> bool:
        """Hand over, unless it is under way or settled already; the same waits for the same end.

        Whether it may be acknowledged. What failed is handed over anew when it comes again.
        """
        settled = self._settling.get(key)
        if settled is None or has_failed(settled):
            settled = self._settling[key] = hand_over()
            if len(self._settling) > REMEMBERED:
                self._settling.popitem(last=False)
        await asyncio.wait({settled}, timeout=SETTLE_SECONDS)
        return settled.done() and not has_failed(settled)


def has_failed(settled: asyncio.Future[None]) -> bool:
    """Whether it ended without being kept."""
    return settled.done() and (settled.cancelled() or settled.exception() is not None)


def needed(told: Mapping[str, Any], names: Names) -> dict[str, Any]:
    """An object with these names alone. What is of another kind than it should be is left out."""
    kept: dict[str, Any] = {}
    for name, of in names.items():
        match told.get(name):
            case dict() as inner if of is not None:
                kept[name] = needed(inner, of)
            case list() as several if of is not None:
                kept[name] = [needed(each, of) for each in several if isinstance(each, dict)]
            case str() | int() | float() as plain if of is None:
                kept[name] = plain
    return kept
