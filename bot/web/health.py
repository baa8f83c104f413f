"""How the line is, for machines: `/healthz` and `/metrics`. No figure here is about a woman."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import BaseRoute, Route

if TYPE_CHECKING:
    from bot.web.app import WebParts

PATIENCE = 5.0


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

    async def metrics(_: Request) -> Response:
        counts = await parts.counts() if parts.counts is not None else {}
        lines = [f"phen_{name} {value}" for name, value in sorted(counts.items())]
        return PlainTextResponse("".join(f"{line}\n" for line in lines))

    return [Route("/healthz", health), Route("/metrics", metrics)]
