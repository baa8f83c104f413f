"""Telegram's side of a webhook: it calls, and calls again until the answer is 2xx.

The updates of one chat come one after another; those of different chats side by side, and her
taps beside her words, as the real one brings them.
"""

from __future__ import annotations

import asyncio
from datetime import datetime
from typing import TYPE_CHECKING, Any

import aiohttp

if TYPE_CHECKING:
    from tests.standins.telegram import TelegramStandIn

SECRET = "X-Telegram-Bot-Api-Secret-Token"
AGAIN_SECONDS = 0.05
PATIENCE = 10.0


class Caller:
    """Calls one address until it is closed. `lose` is how many answers get lost on their way."""

    def __init__(
        self, server: TelegramStandIn, url: str, secret: str | None, connections: int
    ) -> None:
        self.url, self.connections = url, connections
        self.lose = 0
        self.failed_at: datetime | None = None
        self.failure = ""
        self.answers: list[tuple[int, int]] = []  # (update_id, status)
        self._server, self._secret = server, secret
        self._busy: dict[object, asyncio.Task[None]] = {}
        self._turned = asyncio.Event()
        self._running = asyncio.create_task(self._run())

    def wake(self) -> None:
        """There may be something to bring."""
        self._turned.set()

    async def close(self) -> None:
        """Stop calling; what was not taken stays where it is."""
        tasks = [self._running, *self._busy.values()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _run(self) -> None:
        async with aiohttp.ClientSession() as session:
            while True:
                self._turned.clear()
                for update in list(self._server.updates):
                    queue = _queue_of(update)
                    if queue not in self._busy and len(self._busy) < self.connections:
                        bringing = asyncio.create_task(self._bring(session, update, queue))
                        self._busy[queue] = bringing
                await self._turned.wait()

    async def _bring(self, session: aiohttp.ClientSession, update: Any, queue: object) -> None:
        headers = {SECRET: self._secret} if self._secret else {}
        try:
            timeout = aiohttp.ClientTimeout(PATIENCE)
            async with session.post(
                self.url, json=update, headers=headers, timeout=timeout
            ) as answer:
                status = answer.status
        except (aiohttp.ClientError, TimeoutError):
            status = 0
        self.answers.append((update.get("update_id", 0), status))
        if self.lose:
            self.lose, status = self.lose - 1, 0
        if 200 <= status < 300:
            self._server.updates.remove(update)
        else:
            self.failed_at = self._server.now()
            self.failure = f"Wrong response from the webhook: {status}"
            await asyncio.sleep(AGAIN_SECONDS)
        del self._busy[queue]
        self._turned.set()


def _queue_of(update: Any) -> object:
    kind = next((name for name in update if name != "update_id"), "")
    told = update.get(kind)
    told = told if isinstance(told, dict) else {}
    message = told.get("message", told)
    chat = message.get("chat", {}).get("id") if isinstance(message, dict) else None
    own = kind if kind in ("callback_query", "my_chat_member") else "message"
    return own, chat
