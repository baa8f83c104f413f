"""The stop switch: the whole line becomes one static help message, and comes back."""

from __future__ import annotations

from collections.abc import Callable

from bot.storage.store import Store

STOP = "stop"
"""The word by which one process tells the others to look at the switch."""


class StopSwitch:
    """Known in memory, so that no message waits for the database; kept, so that it survives.

    `on_stop` is called when the line has just been stopped.
    """

    def __init__(self, store: Store, on_stop: Callable[[], None]) -> None:
        self._store = store
        self._on_stop = on_stop
        self._on = False

    @property
    def on(self) -> bool:
        return self._on

    async def set(self, on: bool) -> None:
        """Stop the line, or let it go on. Who may is the caller's business."""
        await self._store.set_stopped(on)
        self._store.together.tell(STOP)
        self._take(on)

    async def refresh(self) -> None:
        """Read what another process, or the last run, has set. To be called every few seconds."""
        self._take(await self._store.stopped())

    def _take(self, on: bool) -> None:
        was, self._on = self._on, on
        if on and not was:
            self._on_stop()
