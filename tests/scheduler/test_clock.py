"""The clock ticks, whatever its jobs do."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Callable
from datetime import UTC

import pytest
import pytest_asyncio

from scheduler.clock import Clock

TICK = 0.02


class Diary:
    """A job that keeps count."""

    def __init__(self, lasts: float = 0, raises: Exception | None = None) -> None:
        self.begun = self.ended = self.at_once = self.most_at_once = 0
        self._lasts, self._raises = lasts, raises

    async def __call__(self) -> None:
        self.begun += 1
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        try:
            await asyncio.sleep(self._lasts)
            if self._raises:
                raise self._raises
            self.ended += 1
        finally:
            self.at_once -= 1


@pytest_asyncio.fixture
async def clock() -> AsyncIterator[Clock]:
    it = Clock()
    yield it
    it.stop()
    await it.finish(patience=0)


async def until(condition: Callable[[], object], tries: int = 1000) -> None:
    for _ in range(tries):
        if condition():
            return
        await asyncio.sleep(TICK / 4)
    pytest.fail("it never came true")


def stand_still(seconds: float) -> None:
    """The whole process stops, as on a full disk or a sleeping laptop."""
    time.sleep(seconds)


async def test_every_job_ticks_again_and_again(clock: Clock) -> None:
    one, other = Diary(), Diary()
    clock.every(TICK, one, "one")
    clock.start()
    clock.every(TICK, other, "other")
    await until(lambda: one.ended >= 3 and other.ended >= 3)


async def test_a_job_never_runs_twice_at_once(clock: Clock) -> None:
    slow = Diary(lasts=TICK * 5)
    clock.every(TICK, slow, "slow")
    clock.start()
    await until(lambda: slow.ended >= 2)
    assert slow.most_at_once == 1


async def test_after_a_stall_missed_ticks_become_one(clock: Clock) -> None:
    job = Diary()
    clock.every(0.2, job, "job")
    clock.start()
    stand_still(1.3)
    since = time.monotonic()
    await until(lambda: job.ended >= 1)
    await asyncio.sleep(0.05)
    assert job.begun <= 2 + (time.monotonic() - since) / 0.2, "the six that were missed are one"


async def test_a_failing_job_stops_nothing_and_leaves_no_words(
    clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    failing, healthy = Diary(raises=ValueError("her secret words")), Diary()
    clock.every(TICK, failing, "failing")
    clock.every(TICK, healthy, "healthy")
    clock.start()
    await until(lambda: failing.begun >= 2 and healthy.ended >= 2)
    assert "tick_failed failing ValueError at test_clock.py:" in caplog.text
    assert "secret" not in caplog.text


async def test_who_is_told_of_failures_can_be_chosen() -> None:
    told: list[tuple[str, str]] = []
    clock = Clock(failed=lambda name, error: told.append((name, type(error).__name__)))
    clock.every(TICK, Diary(raises=KeyError("x")), "failing")
    clock.start()
    await until(lambda: told)
    clock.stop()
    await clock.finish()
    assert told[0] == ("failing", "KeyError")


async def test_a_job_may_be_cancelled_from_inside(
    clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    async def gives_up() -> None:
        calls.append(1)
        raise asyncio.CancelledError

    calls: list[int] = []
    clock.every(TICK, gives_up, "gives_up")
    clock.start()
    await until(lambda: len(calls) >= 2)
    assert not [record for record in caplog.records if record.levelno >= logging.ERROR]


async def test_stopping_lets_a_running_job_end(
    clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    slow = Diary(lasts=TICK * 10)
    clock.every(TICK, slow, "slow")
    clock.start()
    await until(lambda: slow.at_once)
    begun = slow.begun
    clock.stop()
    await clock.finish()
    await asyncio.sleep(TICK * 3)
    assert (slow.begun, slow.ended) == (begun, begun)
    assert not [record for record in caplog.records if record.levelno >= logging.ERROR]


async def test_a_job_that_fails_after_the_stop_is_still_told_of(
    clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    clock.every(TICK, job := Diary(lasts=TICK * 3, raises=ValueError("secret")), "late")
    clock.start()
    await until(lambda: job.at_once)
    clock.stop()
    await clock.finish()
    await asyncio.sleep(0)
    assert "tick_failed late ValueError" in caplog.text
    assert "secret" not in caplog.text


async def test_finishing_does_not_wait_for_ever(
    clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    endless = Diary(lasts=600)
    clock.every(TICK, endless, "endless")
    clock.start()
    await until(lambda: endless.begun == 1)
    clock.stop()
    async with asyncio.timeout(30):
        await clock.finish(patience=TICK)
    assert (endless.at_once, endless.ended) == (0, 0)
    assert not [record for record in caplog.records if record.levelno >= logging.ERROR]


async def test_a_clock_that_does_not_run_can_be_stopped() -> None:
    clock = Clock()
    clock.stop()
    clock.start()
    clock.stop()
    clock.stop()
    await clock.finish()
    clock.stop()


async def test_a_pace_of_nothing_and_a_name_used_twice_are_refused(clock: Clock) -> None:
    with pytest.raises(ValueError, match="cannot tick"):
        clock.every(0, Diary(), "never")
    clock.every(60, Diary(), "one")
    with pytest.raises(ValueError, match="already"):
        clock.every(60, Diary(), "one")
    clock.start()
    with pytest.raises(ValueError, match="already"):
        clock.every(60, Diary(), "one")


def test_it_never_drops_a_late_tick_and_counts_in_utc() -> None:
    clock = Clock()
    clock.every(60, Diary(), "one")
    scheduler = clock._scheduler
    assert scheduler.timezone is UTC
    job = scheduler._job_defaults
    assert (job["coalesce"], job["max_instances"], job["misfire_grace_time"]) == (True, 1, None)
