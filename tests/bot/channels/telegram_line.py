"""What the tests of the Telegram channel share: a channel, a stand-in, and a recording intake."""

from __future__ import annotations

import asyncio
import zlib
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from struct import pack
from typing import Any

from bot.channels.base import Incoming, Outgoing, OutgoingButton
from bot.channels.telegram import TelegramChannel
from bot.channels.telegram_profile import Profile
from dialogs.model import Position
from tests.standins.telegram import TelegramStandIn

PATIENCE = 30.0  # seconds; a machine may be busy with other tests
PROFILE = (
    Profile("bg", "Дом и здраве", "За дома.", "Съвети за дома и здравето.", (("start", "Начало"),)),
    Profile("tr", "Ev ve sağlık", "Ev için.", "Ev ve sağlık bilgileri.", (("start", "Başla"),)),
)
MARKS = tuple(
    OutgoingButton(label, payload)
    for label, payload in (
        ("◀", "bg:order"),
        ("⌂", "bg:home"),
        ("112", "bg:danger"),
        ("✕", "bg:hide"),
    )
)  # fmt: skip


class Clock:
    """The real time, and whatever a test adds to it."""

    def __init__(self) -> None:
        self.ahead = timedelta()

    def __call__(self) -> datetime:
        return datetime.now(UTC) + self.ahead


class MediaIds:
    """The store's table of picture ids, in memory."""

    def __init__(self) -> None:
        self.ids: dict[tuple[str, str], str] = {}

    async def get(self, channel: str, digest: str) -> str | None:
        return self.ids.get((channel, digest))

    async def put(self, channel: str, digest: str, media_id: str) -> None:
        self.ids[channel, digest] = media_id


def done() -> asyncio.Future[None]:
    """Something that is kept already."""
    kept: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    kept.set_result(None)
    return kept


@dataclass
class RecordingIntake:
    """Keeps what it is given; `keep` decides what becomes of each."""

    got: list[Incoming] = field(default_factory=list)
    gone: list[str] = field(default_factory=list)
    edits: list[tuple[str, str, str]] = field(default_factory=list)
    keep: Callable[[Incoming, asyncio.Future[None]], None] = lambda _, kept: kept.set_result(None)
    keep_edit: Callable[[asyncio.Future[None]], None] = lambda kept: kept.set_result(None)

    def accept(self, incoming: Incoming) -> asyncio.Future[None]:
        self.got.append(incoming)
        kept: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.keep(incoming, kept)
        return kept

    def edited(self, channel: str, address: str, handle: str, text: str) -> asyncio.Future[None]:
        self.edits.append((address, handle, text))
        kept: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.keep_edit(kept)
        return kept

    def left(self, channel: str, address: str) -> None:
        """A page is closed; here is none."""

    def blocked(
        self, channel: str, address: str, at: datetime | None = None
    ) -> asyncio.Future[None]:
        self.gone.append(address)
        return done()

    async def receives(self, count: int = 1, timeout: float = PATIENCE) -> list[Incoming]:
        """All that came, once there are `count` of them."""
        await eventually(lambda: len(self.got) >= count, timeout)
        return self.got


@dataclass
class Line:
    """One running channel against one stand-in."""

    server: TelegramStandIn
    channel: TelegramChannel
    intake: RecordingIntake
    clock: Clock
    media: MediaIds
    pictures: Path
    task: asyncio.Task[None] | None = None

    async def opens(self) -> None:
        """Run, and wait until the line is held: what comes from now on is not late."""
        self.task = asyncio.create_task(self.channel.run(self.intake))
        await eventually(lambda: (self.task and self.task.done()) or self.holding())

    def holding(self) -> bool:
        polls = self.server.called("getUpdates")
        return bool(polls and polls[-1].params["timeout"] > 0)

    async def closes(self) -> None:
        if self.task:
            self.task.cancel()
            await asyncio.gather(self.task, return_exceptions=True)
        await self.channel.close()


def new_channel(
    server: TelegramStandIn, pictures: Path, media: MediaIds, clock: Clock, **other: Any
) -> TelegramChannel:
    return TelegramChannel(
        other.pop("token", server.token),
        other.pop("api", server.api),
        pictures,
        media,
        PROFILE,
        clock,
        lambda: 0.0,
        rates=other.pop("rates", None),
    )


def draw(folder: Path, *names: str) -> None:
    """A real PNG each, of one pixel, each of another colour."""
    for name in names:
        header = pack(">2I5B", 1, 1, 8, 2, 0, 0, 0)
        pixel = b"\0" + zlib.crc32(name.encode()).to_bytes(4, "big")[:3]
        chunks = ((b"IHDR", header), (b"IDAT", zlib.compress(pixel)), (b"IEND", b""))
        body = b"".join(
            pack(">I", len(c)) + k + c + pack(">I", zlib.crc32(k + c)) for k, c in chunks
        )
        (folder / f"{name}.png").write_bytes(b"\x89PNG\r\n\x1a\n" + body)


def screen(text: str, picture: str = "order", **other: Any) -> Outgoing:
    """A screen behind the gate."""
    choices = (OutgoingButton("Какво е това?", "bg:order_what"), OutgoingButton("Кога?", "bg:when"))
    filled = {"choices": choices, "marks": MARKS, "picture": picture} | other
    return Outgoing(text, "bg", position=Position("bg", "order"), **filled)


def said(text: str, **other: Any) -> Outgoing:
    """A consultant's message."""
    return Outgoing(text, "bg", marks=MARKS, window=False, in_case=True, **other)


async def eventually(holds: Callable[[], Any], timeout: float = PATIENCE) -> None:
    """Return as soon as it holds."""
    async with asyncio.timeout(timeout):
        while not holds():
            await asyncio.sleep(0.01)
