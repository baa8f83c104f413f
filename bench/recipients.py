"""The stand-in's part of a broadcast: who got it, how often, and what the platform refuses.

It counts as strictly as Telegram says of itself: no more than its cap in any second over all
chats, and in one chat one a second after a short burst.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from typing import Any

FIRST = 2_000_000_001
"""The first recipient's chat; the others follow."""
CHAT_BURST = 20.0
PAUSE_SECONDS, CHAT_PAUSE_SECONDS = 1, 3
"""For how long a bot that was refused is told to be silent."""
_COUNTED = ("send", "edit")


class TooMany(Exception):
    """A call that came too early; `seconds` until the next one is taken."""

    def __init__(self, seconds: int) -> None:
        super().__init__()
        self.seconds = seconds


class Recipients:
    """All to whom a broadcast goes, and the platform's limits for the whole bot."""

    def __init__(self, many: int, cap: int) -> None:
        """`cap`: calls that are taken in any second."""
        self.got = bytearray(many)
        self.reached = 0
        self.calls, self.refused = 0, 0
        self._cap = cap
        self._second = deque[float](maxlen=cap)
        self._chats: dict[int, tuple[float, float]] = {}  # what is left of a burst, and when
        self._came = asyncio.Event()
        self._came_at = 0.0

    def __contains__(self, chat: int) -> bool:
        return FIRST <= chat < FIRST + len(self.got)

    def allow(self, method: str, chat: int, now: float) -> None:
        """Count a call. Raises `TooMany` where the platform would refuse it."""
        if not method.startswith(_COUNTED):
            return
        burst, at = self._chats.get(chat, (CHAT_BURST, now))
        burst = min(burst + now - at, CHAT_BURST)
        full = len(self._second) == self._cap and now - self._second[0] <= 1
        if full or burst < 1:
            self._chats[chat] = burst, now
            self.refused += 1
            raise TooMany(PAUSE_SECONDS if full else CHAT_PAUSE_SECONDS)
        self._chats[chat] = burst - 1, now
        self._second.append(now)
        self.calls += 1

    def take(self, chat: int) -> int:
        """A message of the broadcast has come; its number in that chat."""
        place = chat - FIRST
        self.got[place] = min(self.got[place] + 1, 255)
        self.reached += self.got[place] == 1
        self._came_at = time.monotonic()
        self._came.set()
        return self.got[place]

    async def until(self, reached: int, seconds: float) -> None:
        """Return when so many have got it, or so many seconds are over."""
        try:
            async with asyncio.timeout(seconds):
                while self.reached < reached:
                    await self.next()
        except TimeoutError:
            return

    async def next(self) -> float:
        """Wait for the next message of the broadcast; when it came, on the machine's own clock."""
        self._came.clear()
        await self._came.wait()
        return self._came_at

    def told(self) -> dict[str, Any]:
        """What the bench asks for."""
        return {
            "reached": self.reached,
            "twice": sum(each > 1 for each in self.got),
            "calls": self.calls,
            "refused": self.refused,
        }
