"""No framework: the updates as they came, a queue for each chat, and both calls over aiohttp."""

from __future__ import annotations

import asyncio
import json
from collections import deque
from typing import Any

import aiohttp

from bench.contestants import Told

CONNECTIONS = 256


def run(told: Told) -> None:
    """Run until it is stopped."""
    asyncio.run(serving(told))


async def serving(told: Told) -> None:
    """Ask for updates, and handle them, until cancelled."""
    tree = told.tree
    shown = {
        name: {
            "text": screen.text,
            "reply_markup": json.dumps(
                {
                    "inline_keyboard": [
                        [{"text": b.label, "callback_data": b.to or "-"} for b in row]
                        for row in screen.rows
                    ]
                }
            ),
        }
        for name, screen in tree.screens.items()
    }
    chats: dict[int, deque[dict[str, Any]]] = {}
    working: set[asyncio.Task[None]] = set()
    connector = aiohttp.TCPConnector(limit=CONNECTIONS)
    async with aiohttp.ClientSession(connector=connector) as session:

        async def call(method: str, **fields: Any) -> Any:
            async with session.post(f"{told.api}/bot{told.token}/{method}", data=fields) as answer:
                return json.loads(await answer.read())["result"]

        async def handle(chat: int, update: dict[str, Any]) -> None:
            query = update.get("callback_query")
            if query is None:
                await call("sendMessage", chat_id=chat, **shown[tree.home])
                return
            window = query["message"]["message_id"]
            await asyncio.gather(
                call("answerCallbackQuery", callback_query_id=query["id"]),
                call("editMessageText", chat_id=chat, message_id=window, **shown[query["data"]]),
            )

        async def work(chat: int, waiting: deque[dict[str, Any]]) -> None:
            while waiting:
                await handle(chat, waiting.popleft())
            del chats[chat]

        offset = 0
        while True:
            for update in await call("getUpdates", offset=offset, timeout=10):
                offset = update["update_id"] + 1
                message = update.get("message") or update["callback_query"]["message"]
                chat = message["chat"]["id"]
                if chat in chats:
                    chats[chat].append(update)
                    continue
                chats[chat] = deque([update])
                task = asyncio.create_task(work(chat, chats[chat]))
                working.add(task)
                task.add_done_callback(working.discard)
