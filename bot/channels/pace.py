"""How fast we may speak: a token bucket for the platform, a softer one per chat, and lanes.

The bucket spreads the calls, so that whoever is in a hurry finds a free place soon. Over it
stands what the platform counts: no more than so many in any second, however they came about.
`Pace` is arithmetic alone, time comes in as seconds. `Gate` lets callers wait in it.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict, deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import IntEnum

from bot.channels.base import Throttled

MANY_CHATS = 3
"""That many chats refused within `MANY_SECONDS`: it is not about a chat any more."""
MANY_SECONDS = 10.0
SECOND = 1.025
"""A platform's second, and by how much two calls may come closer together on their way there."""
SUSTAINED = 29.22 / 30
"""What is taken of a platform's cap while the queue is never empty. A little less than `SECOND`
leaves, so that the bucket holds calls back, and not the second: that would send them in bursts."""
_ALMOST = 1e-6


@dataclass(frozen=True, slots=True)
class Rates:
    """What a platform takes: messages a second and at once, over all and in one chat."""

    per_second: float
    burst: float
    chat_per_second: float
    chat_burst: float
    most: int | None = None  # in any second, where the platform counts that strictly

    @classmethod
    def under(cls, cap: int, chat_per_second: float, chat_burst: float) -> Rates:
        """For a platform that refuses what is more than `cap` in any second.

        A queue that is never empty gets `SUSTAINED` of that, even when it wakes up late now and
        then: what was missed goes at once.
        """
        return cls(cap * SUSTAINED, max(2, cap / 15), chat_per_second, chat_burst, cap)


class Lane(IntEnum):
    """Who goes first."""

    CRISIS = 0  # 112, hide, the cover, whatever is removed
    CASE = 1
    MENU = 2
    BROADCAST = 3


class Bucket:
    """Tokens that come back at `rate` a second, at most `burst` of them."""

    __slots__ = ("_at", "_burst", "_rate", "_tokens")

    def __init__(self, rate: float, burst: float, now: float) -> None:
        self._rate, self._burst = rate, burst
        self._tokens, self._at = burst, now

    def wait(self, now: float) -> float:
        """Seconds until a token is there; 0 when one is."""
        return self._wait_for(1, now)

    def wait_full(self, now: float) -> float:
        """Seconds until nobody has taken from it lately."""
        return self._wait_for(self._burst, now)

    def take(self, now: float) -> None:
        """Take a token, or owe one that is not there yet (never more than one)."""
        self._refill(now)
        self._tokens = max(self._tokens - 1, -1.0)

    def _wait_for(self, tokens: float, now: float) -> float:
        self._refill(now)
        return 0.0 if self._tokens >= tokens - _ALMOST else (tokens - self._tokens) / self._rate

    def _refill(self, now: float) -> None:
        gained = max(now - self._at, 0.0) * self._rate
        self._tokens, self._at = min(self._tokens + gained, self._burst), now


class Last:
    """When the last calls went: no more than `most` of them in any `SECOND`."""

    __slots__ = ("_most", "_went")

    def __init__(self, most: int | None) -> None:
        self._most = most
        self._went: deque[float] = deque(maxlen=most or 0)

    def wait(self, now: float) -> float:
        """Seconds until one more may go; 0 when it may."""
        if self._most is None or len(self._went) < self._most:
            return 0.0
        wait = self._went[0] + SECOND - now
        return wait if wait > _ALMOST else 0.0

    def take(self, now: float) -> None:
        self._went.append(now)


@dataclass(frozen=True, slots=True, eq=False)
class Ticket:
    """One call that waits for its turn. `chat` is empty where it concerns no single one."""

    chat: str
    lane: Lane


@dataclass(frozen=True, slots=True)
class Pause:
    """The platform told us to be silent for `seconds` more, in one chat or everywhere."""

    seconds: float
    everywhere: bool


class Pace:
    """Who may go now: lanes in their order, first come first served within each."""

    def __init__(self, now: float, rates: Rates) -> None:
        self._rates = rates
        self._overall = Bucket(rates.per_second, rates.burst, now)
        self._last = Last(rates.most)
        self._chats: OrderedDict[str, Bucket] = OrderedDict()  # who was spoken to last, last
        self._waiting: dict[Lane, dict[Ticket, None]] = {lane: {} for lane in Lane}
        self._paused: dict[str, float] = {}
        self._all_paused = 0.0
        self._refused: deque[tuple[float, str]] = deque()

    def join(self, chat: str, lane: Lane) -> Ticket:
        ticket = Ticket(chat, lane)
        self._waiting[lane][ticket] = None
        return ticket

    def leave(self, ticket: Ticket) -> None:
        """The caller waits no longer; twice is no error."""
        self._waiting[ticket.lane].pop(ticket, None)

    def release(self, now: float) -> tuple[list[Ticket], float | None]:
        """Those who may go now, and after how many seconds to ask again (None: nobody waits)."""
        going: list[Ticket] = []
        waits: list[float] = []
        for ticket in self._in_order():
            if (wait := self._platform_wait(ticket, now)) > 0:
                waits.append(wait)
                break
            if (wait := self._chat_wait(ticket, now)) > 0:
                waits.append(wait)
                continue
            self._take(ticket, now)
            going.append(ticket)
        for ticket in going:
            self.leave(ticket)
        return going, min(waits, default=None)

    def pause(self, chat: str, seconds: float, now: float) -> Pause:
        """A 429 came. It stops this chat alone, unless several chats were refused together."""
        self._refused.append((now, chat))
        while self._refused and now - self._refused[0][0] > MANY_SECONDS:
            self._refused.popleft()
        everywhere = len({each for _, each in self._refused}) >= MANY_CHATS
        until = now + seconds
        if everywhere:
            self._all_paused = max(self._all_paused, until)
        self._paused = {each: then for each, then in self._paused.items() if then > now}
        self._paused[chat] = max(self._paused.get(chat, 0.0), until)
        return Pause(seconds, everywhere)

    def paused(self, chat: str, now: float) -> Pause | None:
        """The pause that holds this chat back now."""
        if self._all_paused > now:
            return Pause(self._all_paused - now, everywhere=True)
        if (until := self._paused.get(chat, 0.0)) > now:
            return Pause(until - now, everywhere=False)
        return None

    def _in_order(self) -> Iterator[Ticket]:
        for lane in Lane:
            yield from self._waiting[lane]

    def _platform_wait(self, ticket: Ticket, now: float) -> float:
        # Where each second is counted, what is urgent need not be spread: it goes once it is taken.
        urgent = ticket.lane is Lane.CRISIS and self._rates.most is not None
        return max(0.0 if urgent else self._overall.wait(now), self._last.wait(now))

    def _chat_wait(self, ticket: Ticket, now: float) -> float:
        """One a second in a chat is soft at the platform, and hiding cannot wait for it.

        What nobody waits for holds to it strictly, and leaves the rest to her own screens.
        """
        bucket = self._chats.get(ticket.chat)
        if bucket is None or ticket.lane is Lane.CRISIS:
            return 0.0
        return bucket.wait_full(now) if ticket.lane is Lane.BROADCAST else bucket.wait(now)

    def _take(self, ticket: Ticket, now: float) -> None:
        self._overall.take(now)
        self._last.take(now)
        if ticket.chat:
            rates = self._rates
            bucket = self._chats.pop(ticket.chat, None)
            bucket = bucket or Bucket(rates.chat_per_second, rates.chat_burst, now)
            bucket.take(now)
            self._chats[ticket.chat] = bucket
            self._forget(now)

    def _forget(self, now: float) -> None:
        """Drop the buckets that are full again: they say nothing. The oldest is full first."""
        while self._chats:
            oldest = next(iter(self._chats))
            if self._chats[oldest].wait_full(now) > 0:
                return
            del self._chats[oldest]


class Gate:
    """`await gate.enter(...)` before each call that the platform counts."""

    def __init__(self, clock: Callable[[], float], rates: Rates) -> None:
        """`clock` gives seconds that only grow, such as the event loop's `time`."""
        self._clock = clock
        self._pace = Pace(clock(), rates)
        self._turns: dict[Ticket, asyncio.Future[None]] = {}
        self._timer: asyncio.TimerHandle | None = None

    async def enter(self, chat: str, lane: Lane) -> None:
        """Wait for the turn; `chat` as in `Ticket`.

        Raises `Throttled` while the chat is paused, or as soon as it is.
        """
        if pause := self._pace.paused(chat, self._clock()):
            raise Throttled(pause.seconds, pause.everywhere)
        ticket = self._pace.join(chat, lane)
        turn = self._turns[ticket] = asyncio.get_running_loop().create_future()
        self._let_through()
        try:
            await turn
        finally:
            del self._turns[ticket]
            self._pace.leave(ticket)

    def pause(self, chat: str, seconds: float) -> Pause:
        """Note a 429. Whoever waits in its scope gets `Throttled` too."""
        now = self._clock()
        pause = self._pace.pause(chat, seconds, now)
        for ticket, turn in self._turns.items():
            if not turn.done() and (held := self._pace.paused(ticket.chat, now)):
                turn.set_exception(Throttled(held.seconds, held.everywhere))
                self._pace.leave(ticket)
        return pause

    def _let_through(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        going, wait = self._pace.release(self._clock())
        for ticket in going:
            if not self._turns[ticket].done():
                self._turns[ticket].set_result(None)
        if wait is not None:
            loop = asyncio.get_running_loop()
            self._timer = loop.call_later(wait, self._let_through)
