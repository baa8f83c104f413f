"""Chooses the moment of a kill, so that every state that the platform can tell apart is met."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable
from random import Random

from bot.verify.platform import KINDS, Call, Platform

IDLE = "idle"
STARTING = "starting, before the first poll"
RECOVERING = "recovering from the kill before"
FETCHED = "updates fetched, not acknowledged"
AFTER = "just after an answer"
DROPPED = "an answer was dropped"
STOPPING = "stopping"
UNDER_WAY, DONE = "under way", "done, not answered"

STATES = (
    IDLE,
    STARTING,
    RECOVERING,
    FETCHED,
    AFTER,
    DROPPED,
    STOPPING,
    *(f"{kind}: {step}" for kind in dict.fromkeys(KINDS.values()) for step in (UNDER_WAY, DONE)),
)
STEPS = {"received": UNDER_WAY, "acted": DONE}
JITTER_SECONDS = 0.03
"""After the state was met, so that what the program does beside it is hit, too."""
QUIET_SECONDS = 0.01
"""So long without any call is idle."""
LOOKS = 1500
PATIENCE = 8.0
"""Seconds that one state is waited for; then it is tried again later."""


class Killer:
    """Kills through `kill`, which is told the number of a process and what state it was in."""

    def __init__(self, platform: Platform, dice: Random, kill: Callable[[int, str], None]) -> None:
        self.met: Counter[str] = Counter()
        self._platform, self._dice, self._kill = platform, dice, kill
        self._next: list[str] = []
        self._wanted: str | None = None
        self._done = asyncio.Event()
        platform.moment = self._moment

    def choose(self) -> str:
        """The state of the next kill: each in its turn, in an order of chance."""
        if not self._next:
            self._next = list(STATES)
            self._dice.shuffle(self._next)
        return self._next.pop()

    async def strike(self, wanted: str) -> None:
        """Wait for that state in any process, and kill there; once the wait is too long, as it
        is then.
        """
        self._wanted = wanted
        self._done.clear()
        try:
            async with asyncio.timeout(PATIENCE):
                if wanted == IDLE:
                    await self._until_idle()
                await self._done.wait()
        except TimeoutError:
            self._next.insert(0, wanted)
            self._strike_anybody()
        finally:
            self._wanted = None

    def struck(self, worker: int, state: str) -> None:
        """Kill this process now."""
        self.met[state] += 1
        self._wanted = None
        self._kill(worker, state)
        self._done.set()

    async def _moment(self, what: str, call: Call) -> None:
        if self._wanted is None or call.worker in self._platform.dead:
            return
        if what in STEPS and self._wanted == f"{call.kind}: {STEPS[what]}":
            return await self._after_a_while(call.worker)
        beside = {"answered": AFTER, "dropped": DROPPED}.get(what)
        if what == "fetched":
            again = self._wanted == RECOVERING and self._platform.fetched_again(call.worker)
            beside = RECOVERING if again else FETCHED
        if beside == self._wanted:
            self._later = asyncio.create_task(self._after_a_while(call.worker))

    async def _after_a_while(self, worker: int) -> None:
        state, self._wanted = self._wanted, None
        await asyncio.sleep(self._dice.uniform(0, JITTER_SECONDS))
        if state is not None and worker not in self._platform.dead:
            self.struck(worker, state)

    async def _until_idle(self) -> None:
        platform = self._platform
        for _ in range(LOOKS):
            if not platform.under_way and platform.now - platform.last_answer >= QUIET_SECONDS:
                break
            await asyncio.sleep(0.001)
        if platform.alive:
            self.struck(self._dice.choice(sorted(platform.alive)), IDLE)

    def _strike_anybody(self) -> None:
        """As it is now, under the name of what is seen."""
        platform = self._platform
        call = next((c for c in platform.under_way if c.kind and c.worker in platform.alive), None)
        if call is not None:
            state = f"{call.kind}: {DONE if call.acted else UNDER_WAY}"
            self.struck(call.worker, state)
        elif platform.alive:
            state = FETCHED if platform.unconfirmed() else IDLE
            self.struck(self._dice.choice(sorted(platform.alive)), state)
