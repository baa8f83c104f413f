"""How the line is, for machines: `/healthz` and `/metrics`. No figure here is about a woman.

`/metrics` answers this machine only. Who could read it from outside would see when somebody
writes; so the centre's Prometheus, or curl, runs beside the program.
"""

from __future__ import annotations

import asyncio
from ipaddress import ip_address
from typing import TYPE_CHECKING

from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import BaseRoute, Route

from bot.metrics import exposition

if TYPE_CHECKING:
    from bot.web.app import WebParts

PATIENCE = 5.0
TEXT_FORMAT = "text/plain; version=0.0.4"
_LED_ON = ("x-forwarded-for", "x-forwarded-host", "x-real-ip", "forwarded", "via")
"""A proxy adds one of these; whoever asks through one is not of this machine."""
_HERE = frozenset({"localhost", "127.0.0.1", "::1"})


def health_routes(parts: WebParts) -> list[BaseRoute]:
    """`/healthz` and `/metrics`."""

    async def health(_: Request) -> Response:
        try:
            async with asyncio.timeout(PATIENCE):
                states = dict(await asyncio.shield(parts.health()))  # a query is never cut off
        except Exception:  # whatever it is, the answer is that we are not well
            states = {"health": False}
        good = all(states.values())
        return JSONResponse({"ok": good, "parts": states}, status_code=200 if good else 503)

    async def metrics(request: Request) -> Response:
        if not is_of_this_machine(request):
            return PlainTextResponse("", 404)
        try:
            async with asyncio.timeout(PATIENCE):
                samples = await asyncio.shield(parts.metrics()) if parts.metrics else []
        except TimeoutError:
            return PlainTextResponse("", 503)
        return PlainTextResponse(exposition(samples), media_type=TEXT_FORMAT)

    return [Route("/healthz", health), Route("/metrics", metrics)]


def is_of_this_machine(request: Request) -> bool:
    """Whether somebody on this machine asks, by one of its own names and through no proxy.

    The name counts, too: a proxy beside us that adds no header still leads on the site's.
    """
    if any(name in request.headers for name in _LED_ON) or request.client is None:
        return False
    try:
        loopback = ip_address(request.client.host).is_loopback
    except ValueError:
        return False
    return loopback and request.url.hostname in _HERE
