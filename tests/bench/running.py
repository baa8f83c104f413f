"""The bench's stand-in, and a bot at it, in the test's own process."""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from typing import Any

import aiohttp

from bench import standin, thirty

TOKEN = "1:one"
Ask = Callable[..., Awaitable[dict[str, Any]]]


@contextlib.asynccontextmanager
async def standing_in() -> AsyncIterator[tuple[str, Ask]]:
    """The stand-in's address, and what sets it to work."""
    server, port = await standin.listening(thirty.build())
    api = f"http://127.0.0.1:{port}"
    async with server, aiohttp.ClientSession() as session:

        async def ask(what: str, **told: Any) -> dict[str, Any]:
            told = {"token": TOKEN, **told}
            async with session.post(f"{api}/control/{what}", json=told) as seen:
                return dict(await seen.json())

        yield api, ask


@contextlib.asynccontextmanager
async def running(bot: Coroutine[Any, Any, None], ask: Ask) -> AsyncIterator[None]:
    task = asyncio.create_task(bot)
    try:
        await ask("polled", pid=os.getpid())
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
