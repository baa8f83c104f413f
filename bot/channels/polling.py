"""Asking a platform for updates so that none is lost and none holds up the next.

Knows no platform: an adapter brings `fetch` and `read`. What is settled, and from where to ask
again, is the `Ledger`'s arithmetic.
"""

from __future__ import annotations

import asyncio
from collections import Counter, OrderedDict
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime, timedelta
from typing import Any, Generic, Protocol, TypeVar

from bot.channels.base import SendError, Throttled, Unauthorised
from bot.privacy.redact import EventLog

REMEMBERED = 1000
SKEW = timedelta(seconds=60)
"""How far ahead of ours the platform's clock may be."""
LATE = timedelta(seconds=60)
"""What may have been on its way for longer is late, and opens no content."""
HOLD_SECONDS = 25
MISSES = 3
"""After so many questions in a row without an answer a channel counts as not reached."""
SETTLE_SECONDS = 0.5
"""How long one poll waits for what it handed over; the slow ones go on beside the next poll."""
FULL_BATCH = 100

T = TypeVar("T")
Took = TypeVar("Took", contravariant=True)

Fetch = Callable[[int | None, int], Awaitable[Sequence[object]]]
"""(offset, seconds to hold the line) -> raw updates. Raises a `SendError`."""
Read = Callable[[dict[str, Any], bool], T | None]
"""(raw update, surely sent within `LATE`) -> what to hand over, None when nothing is."""


class Accepts(Protocol[Took]):
    """Where it is handed over to: the part of an `Intake` that polling needs."""

    def accept(self, incoming: Took) -> asyncio.Future[None]: ...


class Backoff:
    """Seconds to wait after each failure: twice as long each time, with jitter, up to `most`."""

    def __init__(
        self, random: Callable[[], float], first: float = 0.25, most: float = 30.0
    ) -> None:
        """`random` gives a number from 0 to below 1."""
        self._random, self._first, self._most = random, first, most
        self._failures = 0

    def next(self) -> float:
        longest = min(self._first * 2.0 ** min(self._failures, 16), self._most)
        self._failures += 1
        return longest * (0.5 + self._random() / 2)

    def reset(self) -> None:
        self._failures = 0


class Ledger:
    """Which updates are settled. The offset never passes one that is not.

    An id that comes again is not handed over again, unless it failed. Ids need not grow: after
    a quiet week the platform starts anew at a random one.
    """

    def __init__(self) -> None:
        self.offset: int | None = None
        self._running: set[int] = set()
        self._failed: set[int] = set()
        self._settled: set[int] = set()
        self._recent: OrderedDict[int, None] = OrderedDict()
        self._sent_after: dict[int, datetime | None] = {}

    @property
    def unsettled(self) -> bool:
        return bool(self._running or self._failed)

    def admit(self, update_id: int, sent_after: datetime | None) -> bool:
        """Whether this update is to be handed over now. `sent_after`: it is younger than that."""
        if update_id in self._running or update_id in self._recent:
            return False
        self._failed.discard(update_id)
        self._running.add(update_id)
        self._sent_after.setdefault(update_id, sent_after)
        return True

    def sent_after(self, update_id: int) -> datetime | None:
        """What was known about its age when it came for the first time."""
        return self._sent_after.get(update_id)

    def settle(self, update_id: int) -> None:
        self._running.discard(update_id)
        self._sent_after.pop(update_id, None)
        self._settled.add(update_id)
        self._recent[update_id] = None
        if len(self._recent) > REMEMBERED:
            self._recent.popitem(last=False)

    def fail(self, update_id: int) -> None:
        """It could not be kept: it will be asked for, and handed over, again."""
        self._running.discard(update_id)
        self._failed.add(update_id)

    def move(self) -> bool:
        """Move the offset as far as everything is settled; whether it moved."""
        before = self.offset
        if self.unsettled:
            self.offset = min(self._running | self._failed)
        elif self._settled:
            self.offset = max(self._settled) + 1
            self._settled.clear()
        return self.offset != before


class Poller(Generic[T]):
    """Fetch, hand over, settle, move on: until cancelled, through every outage."""

    def __init__(
        self,
        name: str,
        fetch: Fetch,
        read: Read[T],
        now: Callable[[], datetime],
        random: Callable[[], float],
        events: Counter[str],
    ) -> None:
        """`name` is the channel's; `events` counts what happened, by code."""
        self._log = EventLog(name)
        self._fetch, self._read, self._now = fetch, read, now
        self._events = events
        self._ledger = Ledger()
        self._backoff = Backoff(random)
        self._running: dict[int, asyncio.Future[None]] = {}
        self._emptied_at: datetime | None = None
        self._after_failure = True
        self._misses = 0

    @property
    def reached(self) -> bool:
        """Whether the platform answers when we ask it."""
        return self._misses < MISSES

    async def run(self, intake: Accepts[T]) -> None:
        """Poll until cancelled. Raises `Unauthorised` when the token is not accepted."""
        try:
            while True:
                wait = await self._poll(intake)
                await asyncio.sleep(wait)
        finally:
            await self._confirm()

    async def _poll(self, intake: Accepts[T]) -> float:
        """One round; the seconds to wait before the next one."""
        try:
            batch = await self._fetch(self._ledger.offset, self._hold())
        except Unauthorised as error:
            self._events["unauthorised"] += 1
            self._log.alarm("unauthorised", error)
            raise
        except SendError as failure:
            self._after_failure = True
            self._misses += 1
            self._failed("poll_failed", failure)
            wait = self._backoff.next()
            return failure.seconds if isinstance(failure, Throttled) else wait
        self._after_failure = False
        self._misses = 0
        sent_after = self._emptied_at
        if len(batch) < FULL_BATCH:
            self._emptied_at = self._now()
        for raw in batch:
            self._take(raw, sent_after, intake)
        failed = await self._settle()
        moved = self._ledger.move()
        if failed or (batch and not moved and not self._running):
            return self._backoff.next()
        self._backoff.reset()
        return 0.0

    def _hold(self) -> int:
        # The first answer after a start or an outage is late. A quick one brings what is old,
        # so that what she taps from now on is not counted among it.
        waiting = self._after_failure or self._emptied_at is None or self._ledger.unsettled
        return 0 if waiting else HOLD_SECONDS

    def _take(self, raw: object, sent_after: datetime | None, intake: Accepts[T]) -> None:
        update_id = raw.get("update_id") if isinstance(raw, dict) else None
        if not isinstance(raw, dict) or type(update_id) is not int or update_id < 1:
            # Telegram counts from 1; below 0 an offset would let go of all that waits.
            self._failed("update_dropped")
            return
        if not self._ledger.admit(update_id, sent_after):
            return
        try:
            incoming = self._read(raw, self._is_prompt(update_id))
        except Exception as error:  # what nobody understands must not hold up the next
            self._failed("update_set_aside", error)
            incoming = None
        if incoming is None:
            self._ledger.settle(update_id)
            return
        try:
            self._running[update_id] = intake.accept(incoming)
        except Exception as error:
            self._fail(update_id, error)

    def _is_prompt(self, update_id: int) -> bool:
        return is_recent(self._ledger.sent_after(update_id), self._now(), LATE)

    async def _settle(self) -> bool:
        """Wait a little for what was handed over; whether something could not be kept."""
        if self._running:
            await asyncio.wait(self._running.values(), timeout=SETTLE_SECONDS)
        failed = False
        for update_id, kept in list(self._running.items()):
            if not kept.done():
                continue
            del self._running[update_id]
            if kept.cancelled() or kept.exception() is not None:
                self._fail(update_id, None if kept.cancelled() else kept.exception())
                failed = True
            else:
                self._ledger.settle(update_id)
        return failed

    def _fail(self, update_id: int, error: BaseException | None) -> None:
        self._failed("not_stored", error)
        self._ledger.fail(update_id)

    async def _confirm(self) -> None:
        """Tell the platform at the end what is settled, or it would deliver that once more."""
        await self._settle()
        if self._ledger.move() or self._ledger.offset is not None:
            try:
                async with asyncio.timeout(2):
                    await self._fetch(self._ledger.offset, 0)
            except (SendError, TimeoutError):
                return

    def _failed(self, code: str, error: BaseException | None = None) -> None:
        self._events[code] += 1
        self._log.failed(code, error)


def is_recent(then: datetime | None, now: datetime, most: timedelta) -> bool:
    """Whether `then` is surely not longer ago than `most`; unknown or in the future is not."""
    return then is not None and -SKEW <= now - then <= most
