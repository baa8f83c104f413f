"""What is under way on one channel to women who wait for a reception, and its pace."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Sequence
from datetime import timedelta
from math import ceil

from bot.channels.base import (
    Channel,
    Handle,
    SendError,
    Throttled,
    Unauthorised,
    Unknown,
    Unsent,
    Who,
)
from bot.storage.mail_records import MailingOutcome

STOPPED = timedelta(seconds=30)
"""Until the next try where the platform accepts our token no more, or cannot be reached."""
LONGEST_PAUSE = 64.0
"""Seconds between two tries of a platform that takes nothing at all."""
MOST_SPAN = 0.4
"""After a pause no more than so many seconds' worth begins at once."""


class Round:
    """What one channel has under way, and what has ended there since it was last settled."""

    def __init__(self, channel: Channel) -> None:
        self.channel = channel
        self.under_way: dict[asyncio.Task[None], int] = {}
        self.ended: dict[int, MailingOutcome] = {}
        self.gone: list[Who] = []
        self.turn = asyncio.Event()
        self.settling = asyncio.Lock()
        self.emptied = False  # the last take found less than it asked for
        self.keep_at = 0.0
        self._together = channel.limits.together
        self._per_second = channel.limits.per_second * self._together
        self._room = max(ceil(channel.limits.per_second), 2 * self._together)
        self._took_at = -1.0
        self._paused_until = 0.0
        self._in_vain = 0  # calls of which the platform took nothing, since it last took one

    def limit(self) -> int:
        """How many to take: no more than leave at once, or they would only lie here.

        Those of whom it is not known whether they left are unknown after a crash, and never sent
        again. So it is with what a platform that is out of order does not answer: it is tried
        with one call.
        """
        free = self._room - sum(self.under_way.values()) - len(self.ended)
        if free < self._together:
            return 0
        if self._in_vain:
            return self._together
        span = asyncio.get_running_loop().time() - self._took_at
        return min(free, int(min(span, MOST_SPAN) * self._per_second))

    def took(self, taken: int, limit: int) -> None:
        self.emptied = taken < limit
        now = asyncio.get_running_loop().time()
        self._took_at = max(self._took_at + taken / self._per_second, now - MOST_SPAN)

    def paused_for(self) -> float:
        """Seconds for which nothing is begun; 0 or less: it may be."""
        return self._paused_until - asyncio.get_running_loop().time()

    def begin(self, send: Awaitable[None], women: int) -> None:
        task = asyncio.ensure_future(send)
        self.under_way[task] = women
        task.add_done_callback(self._done)

    def end(self, mailing_id: int, outcome: MailingOutcome) -> None:
        self.ended[mailing_id] = outcome
        self.turn.set()

    def heed(self, results: Sequence[Handle | SendError]) -> None:
        """Begin nothing for a while, where it is about more than one woman."""
        if any(isinstance(each, Unauthorised) for each in results):
            self._pause(STOPPED.total_seconds())
        for each in results:
            if isinstance(each, Throttled) and each.everywhere:
                self._pause(each.seconds)
        if not all(isinstance(each, Unsent | Unknown) for each in results):
            self._in_vain = 0
        elif self.paused_for() <= 0:  # those that were under way together count as one
            self._pause(min(2.0**self._in_vain, LONGEST_PAUSE))
            self._in_vain += 1

    def _pause(self, seconds: float) -> None:
        until = asyncio.get_running_loop().time() + seconds
        self._paused_until = max(self._paused_until, until)

    def _done(self, task: asyncio.Task[None]) -> None:
        del self.under_way[task]
        self.turn.set()
