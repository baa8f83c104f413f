"""What the tests of the Viber channel share: a channel behind a real webhook, and a stand-in."""

from __future__ import annotations

import asyncio
import json
import re
import socket
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import uvicorn
from starlette.applications import Starlette

from bot.channels.base import Handle, Outgoing, OutgoingButton, Webhook
from bot.channels.viber import ViberChannel
from bot.links import Links
from bot.privacy.vault import Vault
from bot.web.platforms import platform_routes
from dialogs import payload
from dialogs.model import Position
from tests.bot.channels.telegram_line import MARKS, RecordingIntake, done, draw, eventually
from tests.bot.web.fakes import Clock, LentVoices
from tests.standins.viber import Callback, ViberStandIn
from tests.standins.viber_woman import ViberWoman

NAMES = {"bg": "Дом и здраве", "tr": "Ev ve sağlık"}
HAIR_SPACE = "\u200a"
Json = dict[str, Any]


@dataclass
class ViberIntake(RecordingIntake):
    """Also what did not reach her."""

    failed: list[tuple[str, Handle]] = field(default_factory=list)

    def undelivered(self, channel: str, address: str, handle: Handle) -> asyncio.Future[None]:
        self.failed.append((address, handle))
        return done()


@dataclass
class ViberLine:
    """One running channel with its webhook, against one stand-in."""

    server: ViberStandIn
    channel: ViberChannel
    intake: ViberIntake
    links: Links
    clock: Clock
    url: str
    make: Callable[[str], ViberChannel]
    task: asyncio.Task[None]

    async def takes(self, event: object, *, signature: str | None = None) -> tuple[int, bytes]:
        """Bring the webhook this, signed as Viber signs."""
        body = event if isinstance(event, bytes) else json.dumps(event).encode()
        signed = self.server.sign(body) if signature is None else signature
        return await self.server.post(body, signed)

    def event(self, kind: str, **content: Any) -> Json:
        return {
            "event": kind, "timestamp": self.moment(), "chat_hostname": "SN-CHAT-05_",
            "message_token": self.server.token_for(),
        } | content  # fmt: skip

    def moment(self) -> int:
        """Now, as Viber counts."""
        return int(self.clock().timestamp() * 1000)

    def says(self, woman: ViberWoman, text: str, *, silent: bool = False, **content: Any) -> Json:
        """The event in which she says this, or taps what carries it."""
        message = {"type": "text", "text": text} | content.pop("message", {})
        return self.event("message", sender=woman._user(), message=message, silent=silent) | content

    async def shows(
        self, woman: ViberWoman, message: Outgoing, window: Handle | None = None
    ) -> Handle:
        return await self.channel.show(woman.id, message, window)

    def sent(self) -> list[Json]:
        return self.server.called("send_message")


@asynccontextmanager
async def viber_line(folder: Path, **server: Any) -> AsyncIterator[ViberLine]:
    """Everything on loopback: Viber's side, our webhook and our media, and the channel."""
    for name in ("pictures", "audio"):
        (folder / name).mkdir(exist_ok=True)
    draw(folder / "pictures", "cover", "order", "danger")
    (folder / "audio" / "order_bg.m4a").write_bytes(b"a voice of 26 bytes, in bg")
    clock = Clock()
    viber = ViberStandIn(now=clock, **server)
    await viber.start()
    listening = socket.socket()
    listening.bind(("127.0.0.1", 0))
    url = f"http://127.0.0.1:{listening.getsockname()[1]}"
    folders = (folder / "pictures", folder / "audio")
    links = Links(Vault(bytes(32), folder / "days"), url, folders, clock, LentVoices(clock))

    def make(token: str) -> ViberChannel:
        return ViberChannel(token, viber.api, NAMES, links, f"{url}/viber/webhook", clock)

    channel, intake = make(viber.token), ViberIntake()
    running = asyncio.create_task(channel.run(intake))
    async with served(listening, links, {"viber": channel}):
        await eventually(lambda: viber.called("get_account_info"))
        viber.calls.clear()
        viber.webhook = f"{url}/viber/webhook"
        yield ViberLine(viber, channel, intake, links, clock, url, make, running)
        await viber.stop()
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    await channel.close()


@asynccontextmanager
async def served(
    listening: socket.socket, links: Links, webhooks: Mapping[str, Webhook]
) -> AsyncIterator[None]:
    """Our webhooks and our media, on a real server."""
    parts = cast(Any, SimpleNamespace(links=links, webhooks=webhooks))
    config = uvicorn.Config(
        Starlette(routes=platform_routes(parts)), log_config=None, access_log=False, lifespan="off"
    )
    server = uvicorn.Server(config)
    serving = asyncio.create_task(server.serve(sockets=[listening]))
    await eventually(lambda: server.started)
    try:
        yield
    finally:
        server.should_exit = True
        await serving


def stamped(message: Outgoing, made: Clock) -> Outgoing:
    """The same screen as the renderer makes it for Viber: each button carries its minute."""

    def each(buttons: tuple[OutgoingButton, ...]) -> tuple[OutgoingButton, ...]:
        places = [payload.unpack(button.payload) for button in buttons]
        assert all(places)
        return tuple(
            replace(button, payload=payload.pack(place, made()))
            for button, place in zip(buttons, places, strict=True)
            if place
        )

    return replace(message, choices=each(message.choices), marks=each(message.marks))


def cover(text: str = "Супа от леща.") -> Outgoing:
    """What stands before the gate."""
    more = OutgoingButton("1. Още една рецепта", "bg:start")
    return Outgoing(text, "bg", choices=(more,), cover=True, position=Position("bg", "start"))


def door(node: str) -> Outgoing:
    """112, or the like."""
    return Outgoing("Обади се на 112.", "bg", marks=MARKS, position=Position("bg", node))


def on_phone(text: str) -> str:
    """A text as the eagerest of phones shows it: every pair of signs is eaten, whatever is
    between, unless a space of any kind follows the first; a hair's breadth of one is not seen.
    """
    for sign in ("```", "*", "_", "~"):
        there = re.escape(sign)
        text = re.sub(rf"(?s){there}(?=\S)(.+?){there}", r"\1", text)
    return text.replace(HAIR_SPACE, "")


async def taken(callback: asyncio.Task[Callback] | None) -> Callback:
    """What became of something she did."""
    assert callback is not None
    return await callback
