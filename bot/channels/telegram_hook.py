"""Telegram's other way in: it calls us. The webhook is set, watched, and its calls are taken.

Knows no library. Telegram brings the updates of one chat one after another, but promises it
nowhere: what comes after something newer of the same chat is marked as overtaken, and nobody
waits for a gap in the numbers. It tells no time of a tap. So a tap counts as prompt only while
Telegram has lately said that nothing waits there but what is in our hands: as in polling, what
piled up while we were away opens the cover.
"""

from __future__ import annotations

import asyncio
import hmac
from collections import Counter, OrderedDict, deque
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Generic, Protocol, TypeVar

from bot.channels.base import Address, Call, Refused, Reply, SendError, Throttled, Unauthorised
from bot.channels.deliveries import Deliveries, needed
from bot.channels.http import read_object
from bot.channels.polling import LATE, MISSES, Accepts, Backoff, Read, is_recent
from bot.channels.updates import NEEDED
from bot.privacy.redact import EventLog

SIGNATURE = "x-telegram-bot-api-secret-token"
MAX_UPDATE = 128 * 1024
CONNECTIONS = 40
"""How many calls at once we let Telegram make."""
LOOK_SECONDS, LOOK_AGAIN_SECONDS = 25.0, 1.0
"""Between two looks at the webhook: while nothing waits at Telegram, and while something does."""
FAILING = timedelta(minutes=10)
"""For so long a call that failed counts, while something still waits at Telegram."""
COMPARABLE = timedelta(days=1)
"""Two numbers say which came first. After a quiet week Telegram begins anew at a random one."""
MOST_KEPT = 10_000

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Standing:
    """What Telegram says of the webhook."""

    url: str
    waiting: int  # updates that it did not bring yet, those in our hands among them
    failed_at: datetime | None


class Webhooks(Protocol):
    """Telegram's calls about the webhook. Each raises a `SendError`."""

    async def set(self, url: str, secret: str, connections: int) -> None:
        """Have it call us. What waits there is kept."""
        ...

    async def standing(self) -> Standing: ...


class TelegramHook(Generic[T]):
    """The webhook of one bot."""

    signature = SIGNATURE

    def __init__(
        self,
        name: str,
        url: str,
        secret: str,
        calls: Webhooks,
        read: Read[T],
        now: Callable[[], datetime],
        random: Callable[[], float],
        events: Counter[str],
    ) -> None:
        """`name` is the channel's; `events` counts what happened, by code."""
        self.name = name
        self.reached = True
        self._url, self._secret = url, secret
        self._calls, self._read, self._now = calls, read, now
        self._log, self._events = EventLog(name), events
        self._backoff = Backoff(random, first=1)
        self._intake: Accepts[T] | None = None
        self._deliveries = Deliveries()
        self._in_hand: set[str] = set()
        self._emptied: deque[datetime] = deque(maxlen=8)

    # --- the webhook itself --------------------------------------------------------------------

    async def run(self, intake: Accepts[T]) -> None:
        """Let calls in until cancelled. Raises `Unauthorised` when the token is not accepted."""
        self._intake = intake
        try:
            await self._stand()
        finally:
            self._intake = None

    async def _stand(self) -> None:
        """Set the webhook until Telegram takes it, then look after it."""
        is_set, misses = False, 0
        while True:
            try:
                if not is_set:
                    await self._calls.set(self._url, self._secret, CONNECTIONS)
                    is_set = True
                standing = await self._look()
            except Unauthorised as error:
                self._events["unauthorised"] += 1
                self._log.alarm("unauthorised", error)
                raise
            except SendError as failure:
                misses += 1
                self.reached = self.reached and misses < MISSES
                is_wrong = isinstance(failure, Refused)  # an address that Telegram does not call
                self._failed("webhook_refused" if is_wrong else "poll_failed", failure)
                wait = self._backoff.next()
                pause = failure.seconds if isinstance(failure, Throttled) else wait
            else:
                misses, is_set = 0, standing.url == self._url
                pause = self._pause(standing)
            await asyncio.sleep(pause)

    async def _look(self) -> Standing:
        asked, before = self._now(), frozenset(self._in_hand)
        standing = await self._calls.standing()
        if standing.waiting <= len(before & self._in_hand):  # all that waits was here throughout
            self._emptied.append(asked)
        return standing

    def _pause(self, standing: Standing) -> float:
        if standing.url != self._url:  # somebody else set one: ours is set again
            self.reached = False
            self._events["webhook_elsewhere"] += 1
            self._log.alarm("webhook_elsewhere")
            return self._backoff.next()
        self._backoff.reset()
        waits = standing.waiting > len(self._in_hand)
        self.reached = not (waits and is_recent(standing.failed_at, self._now(), FAILING))
        return LOOK_AGAIN_SECONDS if waits else LOOK_SECONDS

    # --- its calls -----------------------------------------------------------------------------

    def read(self, body: bytes, signature: str) -> Call | Reply:
        """One call: whoever does not know the secret is told nothing."""
        raw = signature.encode("latin-1", "replace")
        if not hmac.compare_digest(raw, self._secret.encode()):
            return self._refuse(403)
        if len(body) > MAX_UPDATE:
            return self._refuse(413)
        told = read_object(body)
        if told is None:
            return self._refuse(400)
        if type(told.get("update_id")) is not int:
            self._failed("update_dropped")
            return Reply(200)
        kept = needed(told, NEEDED)
        if len(kept) == 1:
            self._log.count("unknown_event")
            self._events["unknown_event"] += 1
            return Reply(200)
        return Call(str(told["update_id"]), kept, self._now())

    async def take(self, call: Call) -> Reply:
        """Hand it over once, and acknowledge it once nothing of it can be lost any more."""
        intake = self._intake
        if intake is None:
            return Reply(503)
        self._in_hand.add(call.key)
        try:
            kept = await self._deliveries.once(call.key, lambda: self._hand_over(intake, call))
        finally:
            self._in_hand.discard(call.key)
        return Reply(200 if kept else 503)

    def _hand_over(self, intake: Accepts[T], call: Call) -> asyncio.Future[None]:
        settled: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        try:
            incoming = self._read(call.told, self._is_prompt(call.at))
        except Exception as error:  # what nobody understands must not hold up the next
            self._failed("update_set_aside", error)
            incoming = None
        if incoming is None:
            settled.set_result(None)
            return settled
        return intake.accept(incoming)

    def _is_prompt(self, at: datetime) -> bool:
        """Whether what came then was surely sent within `LATE`."""
        earlier = [moment for moment in self._emptied if moment <= at]
        return bool(earlier) and is_recent(max(earlier), self._now(), LATE)

    def _refuse(self, status: int) -> Reply:
        self._events["call_refused"] += 1
        self._log.count("call_refused")  # whoever calls us must not fill the log
        return Reply(status)

    def _failed(self, code: str, error: BaseException | None = None) -> None:
        self._events[code] += 1
        self._log.failed(code, error)


class Order:
    """Which update of each chat was the newest."""

    def __init__(self, now: Callable[[], datetime]) -> None:
        self._now = now
        self._newest: OrderedDict[Address, tuple[int, datetime]] = OrderedDict()

    def is_overtaken(self, address: Address, number: int) -> bool:
        """Whether something that this chat sent later came before it."""
        now = self._now()
        newest, at = self._newest.get(address, (number, now))
        if number < newest and now - at < COMPARABLE:
            return True
        self._newest[address] = number, now
        self._newest.move_to_end(address)
        if len(self._newest) > MOST_KEPT:
            self._newest.popitem(last=False)
        return False
