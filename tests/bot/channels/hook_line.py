"""A Telegram channel behind a real webhook, and a stand-in that calls it."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from bot.channels.telegram import TelegramChannel, WebhookAt
from bot.channels.telegram_hook import TelegramHook
from bot.links import Links
from bot.privacy.vault import Vault
from tests.bot.channels.telegram_line import (
    PROFILE,
    Clock,
    Line,
    MediaIds,
    RecordingIntake,
    draw,
    eventually,
)
from tests.bot.channels.viber_line import served
from tests.standins.telegram import TelegramStandIn
from tests.standins.telegram_hook import SECRET, Caller

KNOWN = "a-secret_of-ours-0123456789"


@dataclass
class HookLine(Line):
    """One channel that Telegram calls."""

    url: str = ""

    @property
    def hook(self) -> TelegramHook[Any]:
        assert self.channel.hook is not None
        return self.channel.hook

    @property
    def caller(self) -> Caller:
        assert self.server.caller is not None
        return self.server.caller

    async def opens(self) -> None:
        """Run, and wait until the webhook stands and was looked at."""
        self.task = asyncio.create_task(self.channel.run(self.intake))
        await eventually(self._looked)

    def _looked(self) -> bool:
        looks = [call.answer for call in self.server.called("getWebhookInfo")]
        ended = self.task is not None and self.task.done()
        return ended or any(told and told["result"]["url"] for told in looks)

    async def looks(self) -> None:
        """Wait until a look at the webhook that begins from now on has its answer."""
        before = len(self.server.called("getWebhookInfo"))
        await eventually(lambda: len(self.server.called("getWebhookInfo")) > before + 1)

    async def stops(self) -> None:
        """Let nothing more in; what was taken goes on."""
        assert self.task is not None
        self.task.cancel()
        await asyncio.gather(self.task, return_exceptions=True)

    async def takes(self, body: object, secret: str | None = KNOWN) -> int:
        """Bring the webhook this; its status."""
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        headers = {} if secret is None else {SECRET: secret.encode("latin-1")}
        async with httpx.AsyncClient() as client:
            return (await client.post(self.url, content=content, headers=headers)).status_code

    def seen(self) -> list[int]:
        """The statuses with which the calls were answered."""
        return [status for _, status in self.caller.answers]


@asynccontextmanager
async def hook_line(folder: Path) -> AsyncIterator[HookLine]:
    """Everything on loopback: Telegram's side, our webhook, and the channel."""
    draw(folder, "cover", "order", "danger", "meet")
    clock, kept = Clock(), MediaIds()
    server = TelegramStandIn(now=clock)
    await server.start()
    listening = socket.socket()
    listening.bind(("127.0.0.1", 0))
    base = f"http://127.0.0.1:{listening.getsockname()[1]}"
    url = f"{base}/telegram/webhook"
    at = WebhookAt(url, KNOWN)
    channel = TelegramChannel(
        server.token, server.api, folder, kept, PROFILE, clock, lambda: 0.0, at
    )
    line = HookLine(server, channel, RecordingIntake(), clock, kept, folder, url=url)
    links = Links(Vault(bytes(32), folder / "days"), base, (folder,), clock)
    async with served(listening, links, {"telegram": line.hook}):
        yield line
        await line.closes()
        await server.stop()
