"""The clock: calls the program's own functions at a steady pace, and knows nothing of them."""

from __future__ import annotations

import asyncio
import logging
import traceback
from collections.abc import Awaitable, Callable
from contextlib import suppress
from datetime import UTC
from functools import partial
from pathlib import Path

from apscheduler.schedulers.asyncio import AsyncIOScheduler

Job = Callable[[], Awaitable[object]]
"""What a tick calls. It looks for itself what is due: a tick carries nothing."""

Failed = Callable[[str, Exception], None]
"""Is told the name of a job and what it raised."""

PATIENCE = 10.0
"""Seconds that `Clock.finish` waits for jobs that are under way."""


class Clock:
    """Calls each job every so many seconds, until stopped.

    A job never runs twice at once; ticks that it or a stall swallowed become one, and that one
    is never dropped for being late. What a job raises is told to `failed` (by default: logged
    as class and line, without its words), and the clock goes on.
    """

    def __init__(self, failed: Failed | None = None) -> None:
        self._failed = failed or log_failure
        self._calls: set[asyncio.Task[object]] = set()
        self._stopped = False
        self._scheduler = AsyncIOScheduler(
            timezone=UTC,
            job_defaults={"coalesce": True, "max_instances": 1, "misfire_grace_time": None},
        )

    def every(self, seconds: float, job: Job, name: str) -> None:
        """Call `job` every `seconds`, the first time after that long; `name` is for the log.

        Raises ValueError when `seconds` is not above 0 or the name is taken.
        """
        if seconds <= 0:
            raise ValueError(f"{name}: the clock cannot tick every {seconds} seconds")
        if self._scheduler.get_job(name):
            raise ValueError(f"{name}: the clock has a job of this name already")
        self._scheduler.add_job(self._tick, "interval", (job, name), id=name, seconds=seconds)

    def start(self) -> None:
        """Begin to tick, in the running event loop."""
        self._scheduler.start()

    def stop(self) -> None:
        """No tick begins any more; jobs under way go on, `finish` waits for them.

        Does nothing on a clock that does not run.
        """
        if self._scheduler.running and not self._stopped:
            self._stopped = True
            self._scheduler.pause()
            self._scheduler.shutdown(wait=False)

    async def finish(self, patience: float = PATIENCE) -> None:
        """After `stop`: give jobs under way `patience` seconds to end, then cancel them."""
        if calls := set(self._calls):
            _, late = await asyncio.wait(calls, timeout=patience)
            for call in late:
                call.cancel()
            await asyncio.gather(*late, return_exceptions=True)

    async def _tick(self, job: Job, name: str) -> None:
        call: asyncio.Task[object] = asyncio.ensure_future(_call(job))
        self._calls.add(call)
        call.add_done_callback(partial(self._ended, name))
        with suppress(asyncio.CancelledError):  # the scheduler's end is not the job's
            await asyncio.wait({call})

    def _ended(self, name: str, call: asyncio.Task[object]) -> None:
        self._calls.discard(call)
        error = None if call.cancelled() else call.exception()
        if isinstance(error, Exception):
            self._failed(name, error)


async def _call(job: Job) -> object:
    return await job()


def log_failure(name: str, error: Exception) -> None:
    """Log that a job failed: its name, the class of what it raised and the line, no more."""
    frames = traceback.extract_tb(error.__traceback__)
    place = f"{Path(frames[-1].filename).name}:{frames[-1].lineno}" if frames else "?"
    logging.getLogger(__name__).error("tick_failed %s %s at %s", name, type(error).__name__, place)
