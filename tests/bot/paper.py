"""A channel on paper, and a line joined around it: what the tests of the shell stand on."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from bot import app
from bot.channels.base import (
    Fetch,
    Handle,
    Incoming,
    Intake,
    Limits,
    Outgoing,
    SendError,
    Unknown,
    Who,
)
from bot.privacy.vault import Vault
from bot.settings import Settings
from bot.storage.records import Case, Role, StaffMember
from bot.windows import Timing
from dialogs.model import START, Event, MediaKind, Position, Sent, Started, Tapped, Typed
from tests.sqlite import migrated

LIMITS = Limits(4000, 1024, 100, 64, 64, True, True, 48, True, True)
LASTING = replace(LIMITS, edit=False, delete_hours=None, knows_edit_time=False, free_hours=24)
HER = Who("paper", "1")


class PaperChannel:
    """A platform on paper: what stands in each chat, oldest first. `before` may refuse or hang."""

    name = "paper"
    limits = LIMITS
    reached = True

    def __init__(self) -> None:
        self.chats: dict[str, dict[Handle, str]] = {}
        self.shown: list[str] = []
        self.sent: list[Outgoing] = []
        self.faults: list[SendError | None] = []
        self.removals: list[SendError | None] = []
        self.arrives_anyway = False
        self.lock: asyncio.Event | None = None
        self.cannot_edit = False
        self._last = 0

    def chat(self, who: Who = HER) -> list[str]:
        return list(self.chats.get(who.address, {}).values())

    async def run(self, intake: Intake) -> None:
        raise NotImplementedError

    async def show(self, address: str, message: Outgoing, window: Handle | None) -> Handle:
        if self.lock is not None:
            await self.lock.wait()
        await asyncio.sleep(0)
        fault = self.faults.pop(0) if self.faults else None
        if fault is not None and not (isinstance(fault, Unknown) and self.arrives_anyway):
            raise fault
        chat = self.chats.setdefault(address, {})
        if not message.window or window not in chat or self.cannot_edit:
            if message.window and window is not None:
                chat.pop(window, None)
            self._last += 1
            window = str(self._last)
        chat[window] = message.text
        self.shown.append(message.text)
        self.sent.append(message)
        if fault is not None:
            raise fault
        await asyncio.sleep(0)
        return window

    async def correct(self, address: str, handle: Handle, message: Outgoing) -> None:
        await asyncio.sleep(0)
        if self.faults and (fault := self.faults.pop(0)) is not None:
            raise fault
        if handle in self.chats.get(address, {}):
            self.chats[address][handle] = message.text

    async def remove(self, address: str, handles: Sequence[Handle], *, urgent: bool = True) -> None:
        await asyncio.sleep(0)
        if self.removals and (fault := self.removals.pop(0)) is not None:
            raise fault
        for handle in handles:
            self.chats.get(address, {}).pop(handle, None)

    async def sweep(self, address: str, newest: Handle | None) -> None:
        await asyncio.sleep(0)
        if newest is None:
            return
        if self.removals and (fault := self.removals.pop(0)) is not None:
            raise fault
        chat = self.chats.get(address, {})
        for handle in [each for each in chat if int(each) <= int(newest)]:
            del chat[handle]

    async def close(self) -> None:
        """Nothing was opened."""

    async def notify(
        self, addresses: Sequence[str], message: Outgoing
    ) -> Sequence[Handle | SendError]:
        return [await self.show(address, message, None) for address in addresses]

    def her_message(self) -> Handle:
        """She writes: an id of the platform's, and nothing of ours."""
        self._last += 1
        return str(self._last)


class LastingPaper(PaperChannel):
    """A platform that keeps all that was sent: each screen is a new message."""

    name = "lasting"
    limits = LASTING

    def __init__(self) -> None:
        super().__init__()
        self.cannot_edit = True
        self.asked: list[str] = []

    async def show(self, address: str, message: Outgoing, window: Handle | None) -> Handle:
        return await super().show(address, message, None)

    async def correct(self, address: str, handle: Handle, message: Outgoing) -> None:
        self.asked.append("correct")

    async def remove(self, address: str, handles: Sequence[Handle], *, urgent: bool = True) -> None:
        self.asked.append("remove")

    async def sweep(self, address: str, newest: Handle | None) -> None:
        self.asked.append("sweep")


async def until(holds: Callable[[], object]) -> None:
    async with asyncio.timeout(30):
        while not holds():
            await asyncio.sleep(0.005)


def page(text: str, **other: object) -> Outgoing:
    return Outgoing(text, "bg", position=Position("bg", "home"), **other)  # type: ignore[arg-type]


def cover(text: str = "cover") -> Outgoing:
    return Outgoing(text, "bg", cover=True, position=Position("bg", START))


def said(text: str) -> Outgoing:
    return Outgoing(text, "bg", window=False, in_case=True)


# --- a line around it ----------------------------------------------------------------------


@dataclass
class Clock:
    at: datetime = datetime(2026, 11, 23, 10, 0, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.at

    def passes(self, **how_much: float) -> None:
        self.at += timedelta(**how_much)


@dataclass
class Shell:
    """All parts joined around the paper; nothing runs but what a test starts."""

    phen: app.Phen
    channel: PaperChannel
    clock: Clock
    _keys: list[int] = field(default_factory=list)

    @property
    def her(self) -> Who:
        return Who(self.channel.name, "1")

    @property
    def chat(self) -> list[str]:
        return self.channel.chat()

    def say(self, text_id: str, language: str = "bg", **params: object) -> str:
        return self.phen.texts.say(language, text_id, **params)

    def does(
        self,
        event: Event,
        *,
        who: Who | None = None,
        key: str | None = None,
        on: Handle | None = None,
        at: Position | None = None,
        fetch: Fetch | None = None,
        overtaken: bool = False,
    ) -> asyncio.Future[None]:
        """She does something; the future is what the platform waits for.

        `at` is what a platform tells of where she was when she typed, `fetch` brings what she
        sent, and `overtaken` says that what she did later was handled before.
        """
        self._keys.append(0)
        who, lasts = who or self.her, self.channel.limits.lasting
        handle = self.channel.her_message() if isinstance(event, Typed | Sent | Started) else None
        if handle is not None:
            self.channel.chats.setdefault(who.address, {})[handle] = "hers"
        if isinstance(event, Tapped) and on is None and not lasts:
            window = self.phen.windows.get(who)
            on = window.handle if window else None
        hers = None if lasts else handle  # nothing can be removed there: it is not even told
        key = key or str(len(self._keys))
        return self.phen.conversation.accept(
            Incoming(
                who.channel,
                who.address,
                event,
                key,
                hers,
                on,
                at,
                fetch=fetch,
                overtaken=overtaken,
            )
        )

    async def done(self, event: Event, **other: object) -> None:
        """She does something, and all of it has happened."""
        await self.does(event, **other)  # type: ignore[arg-type]
        await self.settled()

    async def taps(self, node: str, language: str = "bg", **other: object) -> None:
        await self.done(Tapped(Position(language, node)), **other)

    async def types(self, text: str, **other: object) -> None:
        await self.done(Typed(text), **other)

    async def sends(self, kind: MediaKind, **other: object) -> None:
        await self.done(Sent(kind), **other)

    async def edits(self, handle: Handle, text: str) -> None:
        """She changes her message, and the platform is told that it is kept."""
        await self.phen.conversation.edited(*self.her, handle, text)

    async def settled(self, who: Who | None = None) -> None:
        await self.phen.conversation.settled(*(who or self.her))
        await self.phen.conversation.finish()
        await self.phen.windows.settled()

    async def deliver(self) -> None:
        """One round of the outbox."""
        await self.phen.delivery._round()
        await self.phen.delivery.drain()

    async def case(self) -> Case:
        found = await self.phen.store.case_of(*self.her)
        assert found is not None
        return found

    async def opens_case(self) -> Case:
        await self.taps("talk_yes")
        return await self.case()

    async def ticks(self) -> None:
        """A moment in which time may do something to a case, and the outbox is looked at."""
        await self.phen.handover.tick()
        await self.phen.handover.ring_away(self.phen.delivery.served)
        for _ in range(3):
            await self.deliver()
        await self.settled()

    async def consultant(self, login: str = "maria", alias: str = "") -> StaffMember:
        """An active account; without an alias it shows itself by its role alone."""
        expires = self.phen.now() + timedelta(days=1)
        store = self.phen.store
        member = await store.add_staff(login, alias, {Role.CONSULTANT}, login.encode(), expires)
        await store.accept_invite(member.id, "unused", "unused")
        active = await store.staff(member.id)
        assert active is not None
        return active


@asynccontextmanager
async def a_shell(
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    timing: Timing | None = None,
    channel: PaperChannel | None = None,
) -> AsyncIterator[Shell]:
    """The parts on a database of their own."""
    settings = Settings(data_dir=folder)
    migrated(folder / "phen.db")
    Vault.open(settings.key_file, create=True)
    channel, clock = channel or PaperChannel(), Clock()
    quick = timing or Timing(idle=60, give_up=1, cover_give_up=5, retry=0.01)
    async with app.join(settings, now=clock, timing=quick, also=[channel]) as phen:
        shell = Shell(phen, channel, clock)
        with phen.delivery.serving(channel.name):
            yield shell
        await phen.conversation.cover_all()
