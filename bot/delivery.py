"""The outbox: what was committed for her is sent, in order, while her window is open."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from datetime import datetime, timedelta
from functools import partial
from typing import TypeVar

from bot import render
from bot.channels.base import (
    Channel,
    Gone,
    Handle,
    Outgoing,
    Throttled,
    Unauthorised,
    Unknown,
    Unreached,
    Unsent,
    Who,
)
from bot.live import Changes
from bot.privacy.redact import EventLog
from bot.privacy.retention import IN_HER_CHAT
from bot.retry import next_try
from bot.storage.records import (
    Author,
    CaseMessage,
    CaseState,
    Due,
    MediumKind,
    MessageState,
    What,
)
from bot.storage.store import Store
from bot.texts import Texts
from bot.windows import Covered, Windows
from dialogs.engine import screen
from dialogs.model import CASE, CASE_ENDED, Content, Language, Position

T = TypeVar("T")
POLL_SECONDS = 5.0
STOPPED_SECONDS = 30.0
"""Until the next try where the platform accepts our token no more."""
OUTBOX = "outbox"
"""The word by which one process tells the others that something may be due."""
MAX_TAKEN = 1000
"""How many sent messages are remembered, should their platform say that one did not arrive."""

log = EventLog("delivery")


class VoiceGone(Exception):
    """The voice of this message is kept no longer: it was sent once, and did not arrive."""


class Delivery:
    """Takes what is due from the store, sends it through the windows, and settles it."""

    def __init__(
        self,
        store: Store,
        windows: Windows,
        channels: Mapping[str, Channel],
        content: Content,
        texts: Texts,
        changes: Changes,
        now: Callable[[], datetime],
        on_gone: Callable[[Who], Awaitable[None]],
        on_notice: Callable[[Who], Awaitable[None]],
    ) -> None:
        self._store = store
        self._windows = windows
        self._channels = channels
        self._content = content
        self._texts = texts
        self._changes = changes
        self._now = now
        self._on_gone = on_gone
        self._on_notice = on_notice
        self._served: set[str] = set()
        self._one_more = asyncio.Event()
        self._woken = asyncio.Event()
        self._under_way: dict[str, asyncio.Task[None]] = {}
        self._taken: OrderedDict[tuple[Who, Handle], str] = OrderedDict()
        self._lost: OrderedDict[tuple[Who, Handle], None] = OrderedDict()

    @contextmanager
    def serving(self, channel: str) -> Iterator[None]:
        """What is due on this channel is sent from here: its windows, or her page, are here."""
        self._served.add(channel)
        self._woken.set()
        self._one_more.set()
        try:
            yield
        finally:
            self._served.discard(channel)

    @property
    def served(self) -> frozenset[str]:
        """The channels that are served from here."""
        return frozenset(self._served)

    async def serves(self, channels: Collection[str]) -> None:
        """Return when all these are served from here."""
        while not self._served.issuperset(channels):
            self._one_more.clear()
            await self._one_more.wait()

    def wake(self) -> None:
        """Something may be due now, here or in another process."""
        self._woken.set()
        self._store.together.tell(OUTBOX)

    def woken(self) -> None:
        """Another process says that something may be due."""
        self._woken.set()

    async def run(self) -> None:
        """Send until cancelled; a database that is away for a while is waited for."""
        while True:
            self._woken.clear()
            try:
                await self._round()
            except Exception as error:  # the next round tries again
                log.failed("outbox_unread", error)
            with suppress(TimeoutError):  # `wait_for` may eat a stop
                async with asyncio.timeout(POLL_SECONDS):
                    await self._woken.wait()

    async def unread(self, who: Who) -> list[Outgoing]:
        """What is due to her, for a page that can show it only in an answer. Settles nothing."""
        case = await self._store.case_of(*who) or await self._store.closed_case_of(*who)
        if case is None:
            return []
        messages = await self._store.messages(case.id)
        due = [message for message in messages if message.state is MessageState.DUE]
        node = CASE_ENDED if case.state is CaseState.CLOSED else CASE
        here = Position(case.language, node)
        shown = [await self._unread(who.channel, here, message) for message in due]
        return [message for message in shown if message is not None]

    async def undelivered(self, who: Who, handle: Handle) -> None:
        """The platform took this message and could not bring it: the desk decides."""
        message_id = self._taken.get((who, handle))
        if message_id is None:  # this came before the answer that says which message it was
            return _keep(self._lost, (who, handle), None)
        if await self._store.not_delivered(message_id):
            self._changes.notify()
        self._taken.pop((who, handle), None)  # told again, it would undo that it was sent again

    async def drain(self) -> None:
        """Return when the sends under way are settled."""
        while self._under_way:
            await asyncio.wait(list(self._under_way.values()))

    async def _round(self) -> None:
        if self._under_way:
            await self._store.keep_leases(self._store.together.worker)
        await self._store.recover(await self._store.together.living())
        for due in await self._store.due(self._now(), self._served):
            if due.case_id not in self._under_way and due.channel in self._channels:
                task = asyncio.create_task(self._deliver(due))
                self._under_way[due.case_id] = task
                task.add_done_callback(self._done)

    def _done(self, task: asyncio.Task[None]) -> None:
        self._under_way = {case: one for case, one in self._under_way.items() if one is not task}
        self._woken.set()

    async def _deliver(self, due: Due) -> None:
        try:
            taken = await self._store.take(due.outbox_id, self._store.together.worker)
        except Exception as error:  # it was not taken: the next round finds it
            log.failed("delivery_failed", error)
            return await asyncio.sleep(1)
        if taken is None:
            return
        await self._surely(await self._send(taken, Who(taken.channel, taken.address)))
        self._changes.notify()

    async def _surely(self, settle: Callable[[], Awaitable[None]]) -> None:
        """Settle, however long the database is away: until then her case waits, in its order."""
        pause = 1.0
        while True:
            try:
                return await settle()
            except Exception as error:
                log.failed("delivery_failed", error)
            await asyncio.sleep(pause)
            pause = min(2 * pause, POLL_SECONDS)

    async def _send(self, due: Due, who: Who) -> Callable[[], Awaitable[None]]:
        """Send one message; how it is to be settled."""

        async def sent(handle: Handle) -> None:
            landed.append(handle)
            if self._channels[due.channel].limits.lasting:  # nothing to remove; it may fail later
                return await self._remember(due, who, handle)
            try:
                await self._store.add_handles(due.case_id, [handle], due.message.id)
            except Exception as error:  # the window still knows it, and removes it when covered
                log.failed("delivery_failed", error)

        if due.what is not What.SAY:
            return await self._mend(due, who)
        settle = partial(self._settle, due)
        landed: list[Handle] = []
        try:
            here = Position(due.language, CASE_ENDED if due.ended else CASE)
            message = await self._message(due.channel, here, due.message)
        except VoiceGone:  # its neutral words alone would only make her wait
            return partial(settle, MessageState.FAILED)
        except Exception as error:  # nothing has left
            log.failed("delivery_failed", error)
            return partial(self._again, due)
        told = EventLog(due.channel)
        try:
            await self._windows.say(who, message, sent)
        except Covered:
            return partial(self._hold, due)
        except (Throttled, Unauthorised) as failure:
            told.count("throttled")
            return partial(self._pause, due, failure)
        except Unsent as failure:
            told.count("unsent")
            return partial(self._again, due, not isinstance(failure, Unreached))
        except Unknown:
            told.count("unknown")
            return partial(settle, MessageState.UNKNOWN)
        except Gone:
            told.count("gone")
            return partial(self._on_gone, who)
        except Exception as error:
            told.count("refused")
            log.failed("delivery_failed", error)
            return partial(settle, MessageState.FAILED)
        told.count("sent")
        return partial(self._sent, due, who, landed)

    async def _mend(self, due: Due, who: Who) -> Callable[[], Awaitable[None]]:
        """Change or remove what stands in her chat; how that is to be settled.

        Twice is no error, so where an answer was lost it is simply made again.
        """
        settled = partial(self._settle, due, MessageState.SENT)
        if due.handle is None:  # it was removed from her chat meanwhile
            return settled
        try:
            if due.what is What.TAKE_BACK:
                await self._windows.take_back(who, due.handle)
                return partial(self._taken_back, due, who, due.handle)
            else:
                here = Position(due.language, CASE_ENDED if due.ended else CASE)
                message = await self._message(due.channel, here, due.message)
                await self._windows.correct(who, due.handle, message)
        except Covered:
            return partial(self._hold, due)
        except (Throttled, Unauthorised) as failure:
            return partial(self._pause, due, failure)
        except (Unsent, Unknown) as failure:
            return partial(self._again, due, not isinstance(failure, Unreached))
        except Gone:
            return partial(self._on_gone, who)
        except Exception as error:
            log.failed("delivery_failed", error)
            return partial(self._settle, due, MessageState.FAILED)
        return settled

    async def _settle(self, due: Due, state: MessageState) -> None:
        if not await self._store.settle(due.outbox_id, state, due.lease):
            log.event("fenced_off")

    async def _postpone(
        self, due: Due, until: datetime, *, failed: bool = False, afresh: bool = False
    ) -> None:
        if not await self._store.postpone(
            due.outbox_id, until, failed=failed, afresh=afresh, lease=due.lease
        ):
            log.event("fenced_off")

    async def _pause(self, due: Due, told: Throttled | Unauthorised) -> None:
        """Not now: the platform says until when, or its channel has stopped, with an alarm."""
        seconds = told.seconds if isinstance(told, Throttled) else STOPPED_SECONDS
        await self._postpone(due, self._now() + timedelta(seconds=seconds), afresh=True)

    async def _taken_back(self, due: Due, who: Who, handle: Handle) -> None:
        await self._store.drop_handles(*who, [handle])
        await self._settle(due, MessageState.SENT)

    async def _remember(self, due: Due, who: Who, handle: Handle) -> None:
        """Which message it was, should the platform say, or have said, that it did not arrive."""
        _keep(self._taken, (who, handle), due.message.id)
        if (who, handle) in self._lost:
            del self._lost[who, handle]
            await self.undelivered(who, handle)

    async def _sent(self, due: Due, who: Who, landed: Sequence[Handle]) -> None:
        """She has it; what the desk did may also change what her window says.

        Where she hid meanwhile, and another process heard that, it goes from her chat again.
        """
        several = self._store.together.several
        if several and self._is_open(who) and not self._channels[who.channel].limits.lasting:
            case = await self._store.case(due.case_id)
            if case is None or not case.present:
                self._windows.covered_elsewhere(who)
                self._windows.remove(who, landed)
                return await self._postpone(due, self._now(), afresh=True)
        await self._settle(due, MessageState.SENT)
        if due.message.author is Author.SYSTEM:
            await self._on_notice(who)

    async def _hold(self, due: Due) -> None:
        # Else she is back already; and where we serve her no more, another process knows.
        if due.channel in self._served and not self._is_open(Who(due.channel, due.address)):
            await self._store.set_present(due.case_id, False, self._store.together.worker)
        await self._postpone(due, self._now(), afresh=True)

    def _is_open(self, who: Who) -> bool:
        window = self._windows.get(who)
        return window is not None and window.open

    async def _again(self, due: Due, reached: bool = True) -> None:
        if not self._channels[due.channel].limits.keeps_window:
            return await self._hold(due)  # her page is closed; she reads when she is back
        now = self._now()
        at = next_try(due.attempts + reached, due.tried_at or now, now, reached=reached)
        if at is None:
            return await self._settle(due, MessageState.FAILED)
        EventLog(due.channel).count("retried")
        await self._postpone(due, at, failed=reached)

    async def _unread(self, channel: str, here: Position, message: CaseMessage) -> Outgoing | None:
        try:
            return await self._message(channel, here, message)
        except VoiceGone:  # its turn to be sent settles that
            return None

    async def _message(self, channel: str, here: Position, message: CaseMessage) -> Outgoing:
        """A message of a case, with the buttons of the screen that she is at now."""
        voice = await self._voice(message)
        return render.case_message(
            message.text,
            here.language,
            screen(self._content, here),
            self._texts,
            self._channels[channel].limits,
            self._now(),
            number=_own_number(message),
            author=await self._author(here.language, message),
            voice=voice,
            edited=message.edited,
        )

    async def _voice(self, message: CaseMessage) -> bytes | None:
        if message.medium is not MediumKind.VOICE:
            return None
        medium = await self._store.medium(message.id)
        if medium is None:
            raise VoiceGone
        return medium.data

    async def _author(self, language: Language, message: CaseMessage) -> str | None:
        if message.author is not Author.CONSULTANT or message.staff_id is None:
            return None
        staff = await self._store.staff(message.staff_id)
        alias = staff.alias if staff is not None else ""
        return alias or self._texts.say(language, "case.role")


def _own_number(message: CaseMessage) -> int:
    """What no other message has that may stand on her page, of an older case neither.

    Nothing of that case need be kept for it. Below 2**53: the page's script counts it exactly.
    """
    return int(message.case_id[:8], 16) * 1_000_000 + message.number


def _keep(kept: OrderedDict[tuple[Who, Handle], T], key: tuple[Who, Handle], value: T) -> None:
    kept[key] = value
    if len(kept) > MAX_TAKEN:
        kept.popitem(last=False)


async def remove_old(
    store: Store, windows: Windows, channels: Collection[str], now: datetime
) -> None:
    """Take messages of cases out of chats a day after they were sent, while it is possible.

    Of these channels: only where the windows are is known what else stands there.
    """
    for channel, address, handles in await store.old_handles(now - IN_HER_CHAT):
        if channel in channels:
            windows.remove_old(Who(channel, address), handles)
