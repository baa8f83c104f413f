"""What stands in a chat and has to go, however long that takes: another could read it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence

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
from bot.privacy.redact import EventLog

log = EventLog("windows")


class Removal:
    """Takes messages out of her chat.

    `kept` gives the case messages that still stand in a chat, and `removed` is told which went.
    It goes on for `patience` seconds, with `retry` between two attempts.
    """

    def __init__(
        self,
        channels: Mapping[str, Channel],
        kept: Callable[[Who], Awaitable[Sequence[Handle]]],
        removed: Callable[[Who, Sequence[Handle]], Awaitable[None]],
        patience: float,
        retry: float,
    ) -> None:
        self._channels = channels
        self._kept = kept
        self._removed = removed
        self._patience = patience
        self._retry = retry

    async def remove(self, who: Who, handles: Sequence[Handle], *, urgent: bool = True) -> bool:
        """Remove these messages. False: it may be possible later, and was not for too long."""
        channel = self._channels[who.channel]
        return not handles or await self._insist(
            lambda: channel.remove(who.address, handles, urgent=urgent)
        )

    async def remove_stored(self, who: Who, handles: Sequence[Handle]) -> None:
        """Remove, and only then forget: a restart in between finds what still stands there."""
        await self.remove_known(who, handles, lambda: self._removed(who, handles))

    async def remove_known(
        self, who: Who, handles: Sequence[Handle], forget: Callable[[], Awaitable[None]]
    ) -> None:
        """As `remove_stored`; `forget` ends that they are known."""
        if not handles or not await self.remove(who, handles):
            return
        try:
            await forget()
        except Exception as error:  # then they are removed once more, which is no error
            log.failed("kept_unknown", error)

    async def remove_case(self, who: Who, said: Sequence[Handle]) -> None:
        """Remove all of her case: what memory knows, `said`, and what is stored of it."""
        try:
            kept = list(await self._kept(who))
        except Exception as error:  # the database is away: what memory knows goes at least
            log.failed("kept_unknown", error)
            kept = []
        await self.remove_stored(who, list(dict.fromkeys([*said, *kept])))

    async def sweep(self, who: Who, newest: Handle | None) -> None:
        """Remove what may stand there unknown, down to `newest`; see `Channel.sweep`."""
        channel = self._channels[who.channel]
        await self._insist(lambda: channel.sweep(who.address, newest))

    async def _insist(self, call: Callable[[], Awaitable[None]]) -> bool:
        loop = asyncio.get_running_loop()
        until = loop.time() + self._patience
        while loop.time() < until:
            try:
                await call()
            except (Throttled, Unsent, Unknown) as error:
                pause = error.seconds if isinstance(error, Throttled) else self._retry
                await asyncio.sleep(pause)
            except Exception as error:
                log.failed("not_removed", error)
                return isinstance(error, SendError) and not isinstance(error, Unauthorised)
            else:
                return True
        return False
