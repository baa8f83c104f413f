"""Tells open pages that something changed, so that they ask for it; it carries no content."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager


class Changes:
    """Wakes whoever listens. A listener that is slow misses repeats, never the last change."""

    def __init__(self) -> None:
        self._listeners: set[asyncio.Event] = set()

    def notify(self) -> None:
        """Something on the desk changed: a case, a message, a claim."""
        for listener in self._listeners:
            listener.set()

    @property
    def watched(self) -> bool:
        """Whether anybody has a desk open now."""
        return bool(self._listeners)

    @asynccontextmanager
    async def listen(self) -> AsyncIterator[asyncio.Event]:
        """An event that is set at each change; the listener clears it."""
        event = asyncio.Event()
        self._listeners.add(event)
        try:
            yield event
        finally:
            self._listeners.discard(event)
