"""What the women send, in order: one line for each, every delivery once, 112 never behind."""

from __future__ import annotations

import asyncio
from collections import OrderedDict, deque
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass, field
from typing import Any

from bot.channels.base import Handle, Incoming, Who
from bot.privacy.redact import EventLog
from bot.privacy.vault import VaultError
from dialogs import engine, match
from dialogs.model import DANGER, Content, NodeKind, Position, Sent, Tapped, Typed

REMEMBERED = 10_000
"""How many deliveries are remembered, so that the same one twice is handled once."""
URGENT_SECONDS = 1.0
"""How long 112 and *hide* wait behind what she sent before."""
_STORES = (
    NodeKind.OPEN_CASE, NodeKind.END_CASE, NodeKind.ALLOW_MEDIA, NodeKind.FORGET,
    NodeKind.SET_REMINDER, NodeKind.RENEW_REMINDER, NodeKind.STOP_REMINDERS,
)  # fmt: skip

_OUR_FAULT = (
    LookupError, ValueError, TypeError, AttributeError, AssertionError, ArithmeticError,
    RecursionError, VaultError,
)  # fmt: skip
"""What fails once fails always: handed over again it would only stand in the way of others."""

_Deliveries = OrderedDict[tuple[str, str], None]
"""Deliveries by channel and key, the oldest first."""

log = EventLog("conversation")


class NotHandled(Exception):
    """A message was not handled and may be handed over again. Says nothing about its content."""


@dataclass(frozen=True, slots=True)
class Edit:
    """She changed a message of hers. `take` makes the same of what is kept of it."""

    handle: Handle
    take: Callable[[], Awaitable[None]] = field(repr=False)


@dataclass(slots=True)
class _Line:
    """What one woman has sent and is not yet handled, in order."""

    waiting: deque[tuple[Incoming | Edit, asyncio.Future[None]]] = field(default_factory=deque)
    worker: asyncio.Task[None] | None = None


class Lines:
    """The lines of all women.

    `handle` does what one message asks for. `apologise` is called once for a delivery of which
    that failed. `spawn` runs something beside the lines.
    """

    def __init__(
        self,
        content: Content,
        handle: Callable[[Who, Incoming], Awaitable[None]],
        apologise: Callable[[Who, Incoming], None],
        spawn: Callable[[Coroutine[Any, Any, None]], object],
    ) -> None:
        self._content = content
        self._handle = handle
        self._apologise = apologise
        self._spawn = spawn
        self._lines: dict[Who, _Line] = {}
        self._handled: _Deliveries = OrderedDict()
        self._apologised: _Deliveries = OrderedDict()
        self._unkept: OrderedDict[tuple[Who, Handle], None] = OrderedDict()

    def __len__(self) -> int:
        return len(self._lines)

    def accept(self, incoming: Incoming) -> asyncio.Future[None]:
        """Queue one message; see `Intake.accept`."""
        settled: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        if not self._changes_what_is_stored(incoming):
            settled.set_result(None)
        who = Who(incoming.channel, incoming.address)
        if (line := self._queue(who, incoming, settled)) and self._is_urgent(incoming):
            self._spawn(self._not_behind(who, line, incoming))
        return settled

    def edited(self, who: Who, edit: Edit) -> asyncio.Future[None]:
        """Queue a change to a message of hers; see `Intake.edited`."""
        settled: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._queue(who, edit, settled)
        return settled

    def _queue(
        self, who: Who, what: Incoming | Edit, settled: asyncio.Future[None]
    ) -> _Line | None:
        """Put it into her line; the line, if something is being handled there."""
        line = self._lines.setdefault(who, _Line())
        line.waiting.append((what, settled))
        if line.worker is not None:
            return line
        line.worker = asyncio.get_running_loop().create_task(self._work(who, line))
        return None

    async def settled(self, who: Who) -> None:
        """Return when nothing that she sent is unhandled."""
        while (line := self._lines.get(who)) is not None and line.worker is not None:
            await asyncio.wait({line.worker})

    async def run_dry(self) -> bool:
        """Return when what is in the lines now is handled; False if nothing was."""
        workers = [line.worker for line in self._lines.values() if line.worker]
        if workers:
            await asyncio.wait(workers)
        return bool(workers)

    async def _work(self, who: Who, line: _Line) -> None:
        while line.waiting:
            what, settled = line.waiting.popleft()
            try:
                await (self._edit(who, what) if isinstance(what, Edit) else self._once(who, what))
            except Exception as error:  # one message's fault never ends her line
                log.failed("not_handled", error)
                again = self._give_back(who.channel, settled, error)
                if isinstance(what, Incoming):
                    self._failed(who, what, again)
            else:
                if not settled.done():
                    settled.set_result(None)
        line.worker = None
        self._lines.pop(who, None)

    async def _once(self, who: Who, incoming: Incoming) -> None:
        if (incoming.channel, incoming.key) in self._handled and self._opens_a_door(incoming):
            return
        await self._handle(who, incoming)
        self._is_new(self._handled, incoming)
        self._unkept.pop((who, incoming.handle or ""), None)

    async def _edit(self, who: Who, edit: Edit) -> None:
        if (who, edit.handle) in self._unkept:
            raise NotHandled
        await edit.take()

    def _failed(self, who: Who, incoming: Incoming, again: bool) -> None:
        if again and incoming.handle is not None:  # an edit of it must not come before it
            self._unkept[who, incoming.handle] = None
            if len(self._unkept) > REMEMBERED:
                self._unkept.popitem(last=False)
        if not incoming.overtaken and self._is_new(self._apologised, incoming):
            self._apologise(who, incoming)

    def _give_back(self, channel: str, settled: asyncio.Future[None], error: Exception) -> bool:
        """It may be handed over again, unless that would fail in the same way for ever.

        Whether it will be.
        """
        if settled.done():
            return False
        if isinstance(error, _OUR_FAULT):
            EventLog(channel).alarm("set_aside", error)
            settled.set_result(None)
            return False
        settled.set_exception(NotHandled())  # the error itself may hold her words
        settled.exception()
        return True

    async def _not_behind(self, who: Who, line: _Line, incoming: Incoming) -> None:
        """Handle what is urgent now, while something before it hangs; in its turn it comes again.

        The second time makes sure that the last thing she wanted is what stands there.
        """
        await asyncio.sleep(URGENT_SECONDS)
        if any(each is incoming for each, _ in line.waiting):
            try:
                await self._handle(who, incoming)
            except Exception as error:  # in its turn it is handled like any other
                log.failed("not_handled", error)

    @staticmethod
    def _is_new(known: _Deliveries, incoming: Incoming) -> bool:
        """Whether this delivery was not among the known ones; now it is."""
        delivery = (incoming.channel, incoming.key)
        is_new = delivery not in known
        known[delivery] = None
        if len(known) > REMEMBERED:
            known.popitem(last=False)
        return is_new

    # --- what a message is, as far as the lines must know ---------------------------------------

    def _changes_what_is_stored(self, incoming: Incoming) -> bool:
        return isinstance(incoming.event, Typed | Sent) or self._opens_a_door(incoming)

    def _opens_a_door(self, incoming: Incoming) -> bool:
        """A tap that does something. Her words have their key in the store; the rest may recur."""
        match incoming.event:
            case Tapped(to=Position() as to):
                return self._content.nodes[engine.living(self._content, to).node].kind in _STORES
            case _:
                return False

    def _is_urgent(self, incoming: Incoming) -> bool:
        """112 and *hide*: they need no database."""
        match incoming.event:
            case Tapped(to=Position() as to):
                node = self._content.nodes[engine.living(self._content, to).node]
                return node.kind is NodeKind.HIDE or node.id == DANGER
            case Typed(text=text):
                return match.is_safe_word(self._content, text)
            case _:
                return False
