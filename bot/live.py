"""Tells open pages that something changed, so that they ask for it; it carries no content."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from bot.storage.together import Alone

DESK = "desk"
"""The word by which one process tells the others that something changed."""


class Changes:
    """Wakes whoever listens. A listener that is slow misses repeats, never the last change.

    `together`: the other processes, whose listeners are woken, too.
    """

    def __init__(self, together: Alone | None = None) -> None:
        self._together = together or Alone()
        self._together.hear(DESK, lambda _: self._wake())
        self._together.missed(self._wake)
        self._listeners: set[asyncio.Event] = set()
        self._desks: set[asyncio.Event] = set()

    def notify(self) -> None:
        """Something on the desk changed: a case, a message, a claim."""
        self._wake()
        self._together.tell(DESK)

    def _wake(self) -> None:
        for listener in self._listeners:
            listener.set()

    @property
    def watched_here(self) -> bool:
        """Whether anybody has a desk of this process open now."""
        return bool(self._desks)

    @property
    def watched(self) -> bool:
        """Whether anybody has a desk open now."""
        return self.watched_here or self._together.watched_elsewhere

    @asynccontextmanager
    async def listen(self, *, desk: bool = True) -> AsyncIterator[asyncio.Event]:
        """An event that is set at each change; the listener clears it.

        `desk`: somebody sits before it, so that it counts as `watched`.
        """
        event = asyncio.Event()
        self._listeners.add(event)
        if desk:
            self._desks.add(event)
        try:
            yield event
        finally:
            self._listeners.discard(event)
            self._desks.discard(event)
