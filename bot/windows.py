"""The live windows: one per woman, and the ordered line of calls to her chat.

What her window shows is known in memory only. Calls to one chat go one after another, so
that order holds; only the newest screen is ever brought to the platform, and *hide* does
not wait for a call that hangs.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

from bot.channels.base import (
    Channel,
    Gone,
    Handle,
    Outgoing,
    SendError,
    Throttled,
    Unknown,
    Unsent,
    Who,
)
from bot.privacy.redact import EventLog
from bot.removal import Removal
from bot.tasks import Tasks
from dialogs.model import REMINDER, START, Position

MAX_CLOSED = 10_000
"""How many covered windows are remembered; older ones are found by sweeping."""

COVER_SECONDS = 1.0
"""How long a cover waits behind another call in a chat where it is a message of its own."""
REPEAT = 5
"""How many times longer to wait before a message whose answer was lost is sent once more."""

T = TypeVar("T")

log = EventLog("windows")


@dataclass(frozen=True, slots=True)
class Timing:
    """The clocks of a window, in seconds."""

    idle: float = 600
    give_up: float = 30
    cover_give_up: float = 3600
    retry: float = 1


class Covered(Exception):
    """Her window is not open: what was to be said is held until she comes back."""


@dataclass(slots=True)
class Window:
    """What one woman has before her."""

    position: Position | None = None
    handle: Handle | None = None
    open: bool = False  # content stands on her screen
    in_case: bool = False
    littered: bool = True  # messages of a case may stand in the chat
    wanted: Outgoing | None = None
    wanted_at: float = 0.0
    on_landed: Callable[[], object] | None = None  # to be called once the wish stands there
    said: list[Handle] = field(default_factory=list)
    moves: int = 0  # how often her window went elsewhere: what lands after a move is a stray
    closings: int = 0  # how often it was covered or hidden: what is said after one is held
    lost: bool = False  # an answer was lost: something unknown may stand in the chat
    idle: asyncio.TimerHandle | None = None
    line: deque[Callable[[], Coroutine[Any, Any, None]]] = field(default_factory=deque)
    worker: asyncio.Task[None] | None = None
    bringing: Outgoing | None = None
    turned: asyncio.Event = field(default_factory=asyncio.Event)  # she wants something else


class Windows:
    """All windows of this process.

    `on_idle` is told when a window has been left alone, `on_gone` when she has left the line;
    `kept` and `removed` are `Removal`'s.
    """

    def __init__(
        self,
        channels: Mapping[str, Channel],
        timing: Timing,
        *,
        on_idle: Callable[[Who], None],
        on_gone: Callable[[Who], Awaitable[None]],
        kept: Callable[[Who], Awaitable[Sequence[Handle]]],
        removed: Callable[[Who, Sequence[Handle]], Awaitable[None]],
    ) -> None:
        self._channels = channels
        self._timing = timing
        self._on_idle = on_idle
        self._on_gone = on_gone
        self._removal = Removal(channels, kept, removed, timing.cover_give_up, timing.retry)
        self._windows: dict[Who, Window] = {}
        self._tasks = Tasks()

    def get(self, who: Who) -> Window | None:
        return self._windows.get(who)

    def is_open(self, who: Who) -> bool:
        """Whether content stands on her screen."""
        window = self._windows.get(who)
        return window is not None and window.open

    def open_ones(self) -> list[Who]:
        return [who for who, window in self._windows.items() if window.open]

    def tapped(self, who: Who, handle: Handle) -> None:
        """The message that she tapped is her window now; another one is removed.

        After a tap under a message of her case the window moves down to where she looks.
        """
        window = self._window(who)
        if handle in window.said:
            self.renew(who)
        elif handle != window.handle:
            unknown = window.handle is None and self._channels[who.channel].limits.keeps_window
            if unknown and not self._lasting(who):  # it is from before our start: so may others be
                window.lost = True
            self.renew(who)
            window.handle = handle

    def renew(self, who: Who, newest: Handle | None = None) -> None:
        """Drop the window, so that the next screen stands below what she wrote.

        Where none is known, what stands above `newest` is swept. In a lasting chat every screen
        is a new message anyway.
        """
        if self._lasting(who):
            return
        window = self._window(who)
        window.moves += 1
        if window.handle is not None:
            self.remove(who, [window.handle])
            window.handle = None
        elif newest is not None:
            window.lost = False
            self._tasks.spawn(self._removal.sweep(who, newest))

    def has_none(self, who: Who) -> bool:
        """Whether no window of hers is known."""
        window = self._windows.get(who)
        return window is None or window.handle is None

    def show(
        self, who: Who, message: Outgoing, on_landed: Callable[[], object] | None = None
    ) -> None:
        """Her window shall show this. A newer wish replaces one not yet sent.

        `on_landed` is called once it stands in her chat and she wants nothing else by then; never
        where that is not known.
        """
        window = self._window(who)
        fresh = window.wanted is None
        window.on_landed = on_landed
        window.wanted, window.wanted_at = message, asyncio.get_running_loop().time()
        window.position = message.position
        window.open, window.in_case = not message.cover, message.in_case
        window.littered = window.littered or message.in_case
        if message.cover:
            window.closings += 1
        self.touch(who)
        window.turned.set()
        if fresh:
            self._enqueue(who, window, lambda: self._bring(who, window))
        if message.cover and self._lasting(who):
            self._tasks.spawn(self._cover_beside(who, window, message))

    def touch(self, who: Who) -> None:
        """She is here: the idle clock starts anew."""
        window = self._windows.get(who)
        if window is None:
            return
        self._stop_clock(window)
        if window.open and self._channels[who.channel].limits.keeps_window:
            loop = asyncio.get_running_loop()
            window.idle = loop.call_later(self._timing.idle, self._on_idle, who)

    async def say(
        self, who: Who, message: Outgoing, sent: Callable[[Handle], Awaitable[None]]
    ) -> None:
        """Put an ordinary message under the window, in its order; `sent` keeps its handle.

        Raises `Covered` when her window is not open at that moment, or a `SendError`.
        """
        window = self._windows.get(who)
        if window is None or not window.open:
            raise Covered
        done: asyncio.Future[Handle] = asyncio.get_running_loop().create_future()
        self._enqueue(who, window, lambda: _told(done, self._say(who, window, message)))
        await sent(await done)  # beside the line: 112 does not wait for the database

    async def correct(self, who: Who, handle: Handle, message: Outgoing) -> None:
        """Replace the words of a message of her case. Raises as `say` does."""
        channel = self._channels[who.channel]
        await self._while_open(who, lambda: channel.correct(who.address, handle, message))

    async def take_back(self, who: Who, handle: Handle) -> None:
        """Remove a message of her case, while she looks. Raises as `say` does."""
        channel = self._channels[who.channel]
        await self._while_open(who, lambda: channel.remove(who.address, [handle]))
        if (window := self._windows.get(who)) is not None:
            window.said = [each for each in window.said if each != handle]

    async def _while_open(self, who: Who, call: Callable[[], Awaitable[None]]) -> None:
        """Call in the order of her chat, unless her window is not open by then."""
        window = self._windows.get(who)
        if window is None or not window.open:
            raise Covered
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()

        async def change() -> None:
            if not window.open:
                raise Covered
            await call()

        self._enqueue(who, window, lambda: _told(done, change()))
        await done

    def hide(self, who: Who, newest: Handle | None = None) -> None:
        """Remove the window and all of the case from the chat, now; then be silent."""
        window = self._window(who)
        if window.lost or window.handle is None:
            self._tasks.spawn(self._removal.sweep(who, newest or window.handle))
        self._take_down(who, window)
        self._tasks.spawn(self._remove_kept(who, window))
        self._enqueue(who, window, lambda: self._remove_late(who, window))

    def opened(self, who: Who) -> None:
        """Her page, or what she wrote, says that it is open, on her case or beside it."""
        window = self._window(who)
        window.open = window.in_case = window.littered = True
        self.touch(who)

    def left(self, who: Who) -> None:
        """Nobody is before the window any more; nothing is sent to it."""
        window = self._windows.get(who)
        if window is not None:
            window.open = False
            self._stop_clock(window)
            if window.position is not None:
                window.position = Position(window.position.language, START)
            self._drop_if_spent(who, window)

    def drop_all(self, channel: str) -> None:
        """Another process has the windows of this channel: nothing more is shown from here."""
        for who in [who for who in self._windows if who.channel == channel]:
            window = self._windows.pop(who)
            self._stop_clock(window)
            window.open, window.wanted = False, None
            window.moves += 1  # what is under way is removed as soon as it lands
            window.closings += 1
            window.line.clear()

    def covered_elsewhere(self, who: Who) -> None:
        """Another process has covered or hidden her window: what is just being said is held."""
        window = self._windows.get(who)
        if window is not None:
            window.closings += 1
            self.left(who)

    def case_over(self, who: Who) -> None:
        """Her case has ended; its messages stay until the window is covered."""
        if (window := self._windows.get(who)) is not None:
            window.in_case = False

    def clear_case(self, who: Who) -> None:
        """Remove the messages of her case; the window stays."""
        window = self._window(who)
        if window.littered:
            window.littered = False
            self._enqueue(who, window, lambda: self._remove_kept(who, window))

    def remove(self, who: Who, handles: Sequence[Handle]) -> None:
        """Remove messages from her chat, beside the line: nobody waits for it."""
        self._unsay(who, handles)
        if handles:
            self._tasks.spawn(self._removal.remove(who, list(handles)))

    def remove_known(
        self, who: Who, handles: Sequence[Handle], forget: Callable[[], Awaitable[None]]
    ) -> None:
        """As `remove`. `forget` is called once they are gone, or can never be removed."""
        self._unsay(who, handles)
        self._tasks.spawn(self._removal.remove_known(who, list(handles), forget))

    def tidy(self, who: Who, handles: Sequence[Handle]) -> None:
        """As `remove`, for what nobody waits for at all: after everything else."""
        self._tasks.spawn(self._removal.remove(who, list(handles), urgent=False))

    def taken_away(self, who: Who, handle: Handle) -> None:
        """A reminder was removed from her chat: it is her window no more, and no digit means it."""
        window = self._windows.get(who)
        if window is None or window.open:
            return
        if window.handle == handle:
            window.moves += 1
            window.handle = None
        if window.position is not None and window.position.node == REMINDER:
            window.position = Position(window.position.language, START)
        self._drop_if_spent(who, window)

    def remove_old(self, who: Who, handles: Sequence[Handle]) -> None:
        """Remove stored messages of a case whose time in the chat is over."""
        self._tasks.spawn(self._removal.remove_stored(who, handles))

    def heard(self, who: Who, handle: Handle) -> None:
        """What she wrote stands in her chat; it goes with the case, whatever becomes of it."""
        window = self._window(who)
        window.said.append(handle)

    def came(self, who: Who, handle: Handle, message: Outgoing) -> None:
        """A reminder has come to her chat beside the line: it is her window from now on.

        Where hers is open it stands below that instead, and goes with the next cover or *hide*.
        Where none is known only what a digit means there is: her tap names it, and what else may
        stand there is swept as before.
        """
        window = self._windows.get(who)
        if self._lasting(who):
            return
        if window is None and len(self._windows) >= MAX_CLOSED:
            return  # of a broadcast to so many: theirs whose window stands there are kept
        if window is None or _is_unknown(window):
            self._window(who).position = message.position
            return
        if window.open or window.lost:  # what is lost is swept when the next cover stands
            window.said.append(handle)
            window.littered = True
            if not window.open and window.wanted is None:
                window.position = message.position
            return
        self.renew(who)
        window.handle, window.position = handle, message.position
        window.wanted = None  # a cover that is on its way would only take its place

    async def settled_for(self, who: Who) -> None:
        """Return when nothing is on its way to this chat."""
        while (window := self._windows.get(who)) is not None and window.worker is not None:
            await asyncio.wait({window.worker})

    async def settled(self) -> None:
        """Return when every call now under way or queued is done."""
        while tasks := [*self._tasks, *(w.worker for w in self._windows.values() if w.worker)]:
            await asyncio.wait(tasks)

    # --- the line of calls -----------------------------------------------------------------

    def _unsay(self, who: Who, handles: Sequence[Handle]) -> None:
        if (window := self._windows.get(who)) is not None:
            window.said = [handle for handle in window.said if handle not in handles]

    def _window(self, who: Who) -> Window:
        window = self._windows.get(who)
        if window is None:
            self._evict()
            window = self._windows[who] = Window()
        return window

    def _evict(self) -> None:
        if len(self._windows) >= MAX_CLOSED:
            closed = (w for w, window in self._windows.items() if _is_spent(window))
            if (oldest := next(closed, None)) is not None:
                del self._windows[oldest]

    def _drop_if_spent(self, who: Who, window: Window) -> None:
        """Forget a conversation of which nothing stands in a chat."""
        limits = self._channels[who.channel].limits
        if limits.lasting:
            stands = window.open  # what lies in the chat is nobody's to remove
        elif limits.keeps_window:
            stands = window.handle is not None
        else:
            stands = window.in_case and window.open
        if not (stands or window.lost) and _is_spent(window) and self._windows.get(who) is window:
            del self._windows[who]

    def _lasting(self, who: Who) -> bool:
        return self._channels[who.channel].limits.lasting

    @staticmethod
    def _stop_clock(window: Window) -> None:
        if window.idle is not None:
            window.idle.cancel()
            window.idle = None

    def _take_down(self, who: Who, window: Window) -> None:
        """Remove what is known to stand in her chat, and wish for nothing there any more."""
        language = window.position.language if window.position else None
        window.position = Position(language, START) if language else None
        window.open, window.lost, window.wanted = False, False, None
        window.moves += 1
        window.closings += 1
        self._stop_clock(window)
        standing = [*([] if window.handle is None else [window.handle]), *window.said]
        window.handle, window.said = None, []
        self.remove(who, standing)

    def _enqueue(
        self, who: Who, window: Window, call: Callable[[], Coroutine[Any, Any, None]]
    ) -> None:
        window.line.append(call)
        if window.worker is None:
            window.worker = asyncio.get_running_loop().create_task(self._work(who, window))

    async def _work(self, who: Who, window: Window) -> None:
        try:
            while window.line:
                try:
                    await window.line.popleft()()
                except Gone:
                    await self._left_the_line(who, window)
                except SendError as error:
                    log.failed("send_dropped", error)
                except Exception as error:  # one chat's fault never ends its line
                    log.failed("send_failed", error)
        finally:
            window.worker = None
            self._drop_if_spent(who, window)

    async def _left_the_line(self, who: Who, window: Window) -> None:
        """Nothing can be shown or removed there any more."""
        window.handle, window.said = None, []
        self._take_down(who, window)
        try:
            await self._on_gone(who)
        except Exception as error:  # the next send to her finds it out again
            log.failed("send_failed", error)

    async def _bring(self, who: Who, window: Window) -> None:
        """Bring the newest wish to the platform; one that cannot be sent in time is dropped."""
        while (message := window.wanted) is not None and not self._expired(who, window, 0):
            moves = window.moves
            window.bringing = message
            try:
                handle = await self._channels[who.channel].show(who.address, message, window.handle)
            except (Throttled, Unsent, Unknown) as error:
                window.lost = window.lost or isinstance(error, Unknown)
                await self._pause(who, window, message, error)
            except Exception as error:
                self._refused(who, window, message, error)
                if isinstance(error, Gone) or window.wanted is None:
                    raise
            else:
                self._landed(who, window, message, handle, moved=window.moves != moves)
            finally:
                window.bringing = None

    def _landed(
        self, who: Who, window: Window, message: Outgoing, handle: Handle, *, moved: bool
    ) -> None:
        """It stands in the chat; where she looks elsewhere by now, or at nothing, it goes again."""
        if moved:
            if handle != window.handle:
                self.remove(who, [handle])
            return
        in_place, window.handle = handle == window.handle, handle
        if window.wanted is not message:
            return
        lost = window.lost and not self._lasting(who)
        if message.cover and lost:  # content that nobody knows of may stand above it
            if not in_place:  # else that may stand below it, too: the next one is the newest
                window.lost = False
                self._tasks.spawn(self._removal.sweep(who, handle))
            self.renew(who)
        else:
            window.wanted = None
            if window.on_landed is not None:
                window.on_landed()

    def _refused(self, who: Who, window: Window, message: Outgoing, error: Exception) -> None:
        """It will never be taken. Where it was the cover, what it was to cover is removed."""
        if window.wanted is message:
            window.wanted = None
        if message.cover and not isinstance(error, Gone):
            self.renew(who)

    async def _pause(self, who: Who, window: Window, message: Outgoing, error: SendError) -> None:
        """Wait before the next attempt, unless that would come too late or the wish is another."""
        pause = error.seconds if isinstance(error, Throttled) else self._timing.retry
        if isinstance(error, Unknown) and not message.silent and window.wanted is message:
            window.wanted = None  # it may have rung: twice is worse than not at all
        if isinstance(error, Unknown) and self._lasting(who):
            pause *= REPEAT  # it may stand there already, and would stand there twice
        if window.wanted is not message or self._expired(who, window, pause):
            return
        window.turned.clear()
        if isinstance(error, Throttled):  # whatever she wants, it must wait
            return await asyncio.sleep(pause)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(pause):
                await window.turned.wait()

    async def _cover_beside(self, who: Who, window: Window, message: Outgoing) -> None:
        """A cover that has to be sent goes beside a call that hangs, not behind it."""
        await asyncio.sleep(COVER_SECONDS)
        hangs = window.bringing is None or not window.bringing.cover
        if window.wanted is not message or not hangs:
            return
        window.wanted = None  # from here on it is brought here
        try:
            window.handle = await self._channels[who.channel].show(who.address, message, None)
        except Exception as error:  # whatever it was, a cover is not given up
            log.failed("send_dropped", error)
            if window.wanted is None and not window.open:  # in its turn it is tried again
                window.wanted = message
                self._enqueue(who, window, lambda: self._bring(who, window))

    def _expired(self, who: Who, window: Window, pause: float) -> bool:
        """Whether the wish is too old to be brought after `pause` seconds; then it is dropped.

        A cover is insisted on, but where it rings, or is a new message: it must not come late.
        """
        wanted = window.wanted
        if wanted is None:
            return True
        insisted = wanted.cover and wanted.silent and not self._lasting(who)
        limit = self._timing.cover_give_up if insisted else self._timing.give_up
        if asyncio.get_running_loop().time() + pause - window.wanted_at <= limit:
            return False
        window.wanted = None
        log.event("window_dropped")
        return True

    async def _say(self, who: Who, window: Window, message: Outgoing) -> Handle:
        if not window.open:
            raise Covered
        closings = window.closings
        try:
            handle = await self._channels[who.channel].show(who.address, message, None)
        except Unknown:
            window.lost = True
            raise
        if self._lasting(who):
            return handle  # it stands there now, whatever came meanwhile
        if window.closings != closings:  # covered meanwhile: she has not read it
            self.remove(who, [handle])
            raise Covered
        window.said.append(handle)
        window.littered = True
        return handle

    async def _remove_late(self, who: Who, window: Window) -> None:
        """What was kept while she hid."""
        if not window.open:
            await self._remove_kept(who, window)

    async def _remove_kept(self, who: Who, window: Window) -> None:
        said, window.said = window.said, []
        await self._removal.remove_case(who, said)


async def _told(done: asyncio.Future[T], call: Awaitable[T]) -> None:
    """Call for somebody who waits beside the line; a woman who has left ends the line, too."""
    try:
        result = await call
    except BaseException as error:
        if not done.done():
            done.set_exception(error if isinstance(error, Exception) else Covered())
        if isinstance(error, Gone) or not isinstance(error, Exception):
            raise
        return
    if not done.done():
        done.set_result(result)


def _is_unknown(window: Window) -> bool:
    """Whether nothing is known of what stands in her chat, and nothing is on its way there."""
    stands = window.handle is not None or window.open or window.lost
    return not stands and window.wanted is None and window.worker is None


def _is_spent(window: Window) -> bool:
    return window.worker is None and not (window.open and window.in_case) and window.idle is None
