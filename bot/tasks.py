"""Work that goes on beside whoever began it, and that is waited for at the end."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Iterator
from typing import Any, TypeVar

T = TypeVar("T")


class Tasks:
    """What is under way; asyncio alone would not keep it alive."""

    def __init__(self) -> None:
        self._running: set[asyncio.Task[Any]] = set()

    def __iter__(self) -> Iterator[asyncio.Task[Any]]:
        return iter(tuple(self._running))

    def spawn(self, work: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
        """Begin it now, and do not wait for it."""
        task = asyncio.get_running_loop().create_task(work)
        self._running.add(task)
        task.add_done_callback(self._running.discard)
        return task

    async def finish(self) -> None:
        """Return when nothing is under way, nor what it began."""
        while self._running:
            await asyncio.wait(set(self._running))

    async def cancel(self) -> None:
        """End what is under way, and return when it has ended."""
        for task in self:
            task.cancel()
        await asyncio.gather(*self._running, return_exceptions=True)
