"""The web page as a channel: a window answers a request, a case message goes down a stream.

A woman who only reads has no address of her own: each request brings a new one. Once a case
is open her cookie is the address, and her page may hold a stream (`GET /live`) open. What
cannot be put on a page that is open now was not sent, and waits until she is back.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict, deque
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Protocol

from bot.channels.base import (
    Address,
    Handle,
    Incoming,
    Intake,
    Limits,
    Outgoing,
    Refused,
    SendError,
    Unsent,
)

NAME = "web"
WINDOW: Handle = "window"
ANSWER_SECONDS = 10.0
"""How long a request waits for its window."""
ACKNOWLEDGE_SECONDS = 5.0
"""How long a message waits for her page to say that it is on the screen."""
MAX_STREAMS = 3
"""Open pages of one address; one more closes the oldest."""
_BACKLOG = 100
_REMEMBERED = 10_000
"""Messages of which is remembered that they were read."""

LIMITS = Limits(
    text=4096,
    window=2000,
    buttons=12,
    label=64,
    payload=64,
    picture=True,
    edit=True,
    delete_hours=24 * 365,  # the page forgets what it is told to, however old
    knows_edit_time=False,
    keeps_window=False,
    rings=False,
)


class WebIntake(Intake, Protocol):
    """What the page asks of the conversation, beyond what every channel does."""

    async def has_case(self, channel: str, address: Address) -> bool:
        """Whether anything is kept for this address that she may come back to."""
        ...

    async def unread(self, channel: str, address: Address) -> Sequence[Outgoing]:
        """The case messages, with their numbers, that are due to her: for a page without a stream.

        This settles nothing: `show` does, once her page has said that she has them.
        """
        ...

    async def settled(self, channel: str, address: Address) -> None:
        """Return when nothing she sent is unhandled and no window is on its way to her."""
        ...

    def here(self, channel: str, address: Address) -> None:
        """Her page is open and shows her case or a screen beside it: send what was held."""
        ...

    def stays(self, channel: str, address: Address) -> None:
        """A page of hers at another process was closed: one that is open here stays open."""
        ...

    def covered(self, channel: str, address: Address) -> None:
        """Another process covers her page: nothing more is said on it."""
        ...


class Word(StrEnum):
    """What one process tells another about a page whose stream it may have."""

    SEEN = "seen"  # it has the message of a number on its screen
    HERE = "here"  # she is back at it
    LEFT = "left"  # the last stream of a process has ended: hers here may still be open
    WIPE = "wipe"  # it is to be covered


Elsewhere = Callable[[Word, Address, int], None]


class NotAnswered(Exception):
    """The request could not be handled, or not in time. Says nothing about its content."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What became of a request. No window: what she sees stays, or is gone (`hidden`)."""

    window: Outgoing | None
    messages: tuple[Outgoing, ...] = ()
    hidden: bool = False


@dataclass(frozen=True, slots=True)
class Wipe:
    """These messages leave the page; the window among them covers it."""

    handles: tuple[Handle, ...]


@dataclass(frozen=True, slots=True)
class Correction:
    """The message of this number says something else now, wherever it stands."""

    message: Outgoing


Signal = Outgoing | Correction | Wipe | None
"""What a stream carries; None ends it."""


class _Stream(asyncio.Queue[Signal]):
    """What goes down to one page.

    Of a page that is too far behind nobody knows what it shows: it is covered, and its stream
    ends. What it has not acknowledged by then is due again.
    """

    def __init__(self) -> None:
        super().__init__(_BACKLOG)
        self._ended = False

    def push(self, signal: Signal) -> bool:
        """False when nothing more goes down here."""
        if self._ended:
            return False
        if self.full():
            self.cover()
            return False
        self.put_nowait(signal)
        self._ended = signal is None
        return True

    def cover(self) -> None:
        """Cover the page before anything that still waits, and end."""
        while not self.empty():
            self.get_nowait()
        self._ended = True
        self.put_nowait(Wipe((WINDOW,)))
        self.put_nowait(None)


@dataclass(slots=True)
class _Request:
    """One HTTP request that waits for its window."""

    shown: asyncio.Future[Outgoing]
    latest: Outgoing | None = None
    messages: list[Outgoing] = field(default_factory=list)
    removed: bool = False


class WebChannel:
    """See the module. One instance per process."""

    name = NAME
    limits = LIMITS
    reached = True

    def __init__(
        self,
        answer_seconds: float = ANSWER_SECONDS,
        acknowledge: float = ACKNOWLEDGE_SECONDS,
        elsewhere: Elsewhere = lambda word, address, number: None,
    ) -> None:
        """`elsewhere` tells the other processes what concerns a stream that may be theirs."""
        self._elsewhere = elsewhere
        self._answer_seconds = answer_seconds
        self._acknowledge_seconds = acknowledge
        self._intake: Intake | None = None
        self._requests: dict[Address, deque[_Request]] = {}
        self._streams: dict[Address, list[_Stream]] = {}
        self._closed = False
        self._waiting: dict[Address, dict[int, asyncio.Future[None]]] = {}
        self._read: OrderedDict[tuple[Address, int], None] = OrderedDict()

    async def run(self, intake: Intake) -> None:
        """Requests come by themselves; at the end every open page is covered."""
        self._intake = intake
        try:
            await asyncio.get_running_loop().create_future()
        finally:
            await self.close()

    async def close(self) -> None:
        """Cover the open pages and end their streams, so that the server can stop."""
        self._closed = True
        for streams in self._streams.values():
            for stream in streams:
                stream.cover()

    # --- what her page does ----------------------------------------------------------------

    async def answer(self, intake: WebIntake, incoming: Incoming) -> Answer:
        """Hand over one request and wait for what she sees then. Raises `NotAnswered`."""
        self._give_up(incoming.address)
        with self._request(incoming.address) as request:
            try:
                async with asyncio.timeout(self._answer_seconds):
                    await intake.accept(incoming)
                    await self._shown_or_settled(request, intake, incoming.address)
            except Exception:  # its text may hold hers
                raise NotAnswered from None
            window = request.shown.result() if request.shown.done() else request.latest
            hidden = window is None and request.removed
            back = window is not None and window.in_case and not window.cover
            if back and incoming.address not in self._streams:
                self._elsewhere(Word.HERE, incoming.address, 0)
            return Answer(window, tuple(request.messages), hidden)

    @asynccontextmanager
    async def listen(
        self, intake: WebIntake, address: Address
    ) -> AsyncIterator[asyncio.Queue[Signal]]:
        """Her page's stream, from its opening until she leaves."""
        stream = _Stream()
        streams = self._streams.setdefault(address, [])
        streams.append(stream)
        if len(streams) > MAX_STREAMS:
            streams[0].push(None)
        if self._closed:
            stream.cover()
        else:
            intake.here(NAME, address)
        try:
            yield stream
        finally:
            streams.remove(stream)
            if not streams:
                self._streams.pop(address, None)
                self._give_up(address)
                intake.left(NAME, address)
                self._elsewhere(Word.LEFT, address, 0)

    def seen(self, address: Address, *numbers: int) -> bool:
        """Her page has these case messages on its screen.

        True when one of them is news, and from a page that is open.
        """
        for number in numbers:  # what waits for it may have gone down another process's stream
            self._elsewhere(Word.SEEN, address, number)
        news = [number for number in numbers if self._has_read(address, number)]
        return bool(news) and address in self._streams

    def _has_read(self, address: Address, number: int) -> bool:
        """Note it; whether that is news. It says nothing of any other message."""
        news = (address, number) not in self._read
        self._read[address, number] = None
        self._read.move_to_end((address, number))
        if len(self._read) > _REMEMBERED:
            self._read.popitem(last=False)
        here = self._waiting.get(address, {}).get(number)
        if here is not None and not here.done():
            here.set_result(None)
        return news

    @property
    def addresses(self) -> list[Address]:
        """Whose pages have a stream here."""
        return list(self._streams)

    def told(self, intake: WebIntake, word: Word, address: Address, number: int) -> None:
        """Another process says this of a page that has its stream here."""
        match word:
            case Word.WIPE:
                intake.covered(NAME, address)
                self._push(address, Wipe((WINDOW,)))
            case Word.HERE:
                intake.here(NAME, address)
            case Word.SEEN if self._has_read(address, number):
                intake.here(NAME, address)
            case Word.LEFT:
                intake.stays(NAME, address)

    # --- the channel's protocol ------------------------------------------------------------

    async def show(self, address: Address, message: Outgoing, window: Handle | None) -> Handle:
        """Answer her request, or push down her stream; else `Unsent`."""
        if message.window:
            return self._show_window(address, message)
        if message.number is None:
            return self._show_remark(address, message)
        return await self._show_message(address, message, message.number)

    async def correct(self, address: Address, handle: Handle, message: Outgoing) -> None:
        """Replace the words on her open pages; else `Unsent`. A closed page keeps nothing."""
        if message.number is not None:
            await self._until_seen(address, Correction(message), message.number)

    async def remove(
        self, address: Address, handles: Sequence[Handle], *, urgent: bool = True
    ) -> None:
        """Make her open pages forget these; there is nothing to do where none is open."""
        for request in self._requests.get(address, ()):
            request.removed = request.removed or WINDOW in handles
        if WINDOW in handles:
            self._elsewhere(Word.WIPE, address, 0)
        self._push(address, Wipe(tuple(handles)))

    async def sweep(self, address: Address, newest: Handle | None) -> None:
        """Cover her open pages."""
        await self.remove(address, [WINDOW])

    async def notify(
        self, addresses: Sequence[Address], message: Outgoing
    ) -> Sequence[Handle | SendError]:
        """A page rings nowhere; `limits` says so."""
        self.limits.check(addresses)
        return [Refused() for _ in addresses]

    # --- inside ------------------------------------------------------------------------------

    def _show_window(self, address: Address, message: Outgoing) -> Handle:
        requests = self._requests.get(address, ())
        for request in requests:
            request.latest = message
        first = next((r for r in requests if not r.shown.done()), None)
        if first is not None:
            first.shown.set_result(message)
        elif not self._push(address, message) and not message.cover:
            raise Unsent  # a page that nobody has open covers itself
        return WINDOW

    def _show_remark(self, address: Address, message: Outgoing) -> Handle:
        requests = self._requests.get(address)
        if requests:
            requests[0].messages.append(message)
        elif not self._push(address, message):
            raise Unsent
        return ""

    async def _show_message(self, address: Address, message: Outgoing, number: int) -> Handle:
        older = message.edited and address in self._streams  # she may have read what it said before
        if older or (address, number) not in self._read:
            await self._until_seen(address, message, number)
        return str(number)

    async def _until_seen(self, address: Address, signal: Signal, number: int) -> None:
        """Push it, and wait until her page says that it is on the screen; else `Unsent`."""
        if not self._push(address, signal):
            if self._intake is not None:
                self._intake.left(NAME, address)
            raise Unsent
        waiting = self._waiting.setdefault(address, {})
        here = waiting.setdefault(number, asyncio.get_running_loop().create_future())
        try:
            await asyncio.wait({here}, timeout=self._acknowledge_seconds)
        finally:
            waiting.pop(number, None)
            if not waiting:
                self._waiting.pop(address, None)
        if not here.done() or here.cancelled():
            raise Unsent

    def _push(self, address: Address, signal: Signal) -> bool:
        streams = self._streams.get(address, ())
        return any([stream.push(signal) for stream in streams])

    def _give_up(self, address: Address) -> None:
        """Messages that nobody has acknowledged by now were not sent."""
        for waiting in self._waiting.get(address, {}).values():
            waiting.cancel()

    @contextmanager
    def _request(self, address: Address) -> Iterator[_Request]:
        request = _Request(asyncio.get_running_loop().create_future())
        requests = self._requests.setdefault(address, deque())
        requests.append(request)
        try:
            yield request
        finally:
            requests.remove(request)
            if not requests:
                self._requests.pop(address, None)

    async def _shown_or_settled(
        self, request: _Request, intake: WebIntake, address: Address
    ) -> None:
        settled = asyncio.ensure_future(intake.settled(NAME, address))
        either: set[asyncio.Future[Any]] = {request.shown, settled}
        try:
            await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
            if not request.shown.done():
                settled.result()
        finally:
            settled.cancel()
