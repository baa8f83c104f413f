"""What platforms ask of us: their webhooks, and the pictures and clips that they fetch."""

from __future__ import annotations

from typing import TYPE_CHECKING

from starlette.requests import Request
from starlette.responses import FileResponse, Response
from starlette.routing import BaseRoute, Route

from bot.links import MEDIA

if TYPE_CHECKING:
    from bot.channels.base import Webhook
    from bot.web.app import WebParts

_KEPT = {"Cache-Control": "private, max-age=3600", "Content-Disposition": "inline"}


def platform_routes(parts: WebParts) -> list[BaseRoute]:
    """`/viber/webhook` where Viber is configured, and our media."""

    async def medium(request: Request) -> Response:
        found = parts.links.find(request.path_params["file"])
        if found is None:
            return Response(status_code=404)
        return FileResponse(found.path, media_type=found.mime, headers=_KEPT)

    hooks = [_webhook(name, hook) for name, hook in parts.webhooks.items()]
    return [*hooks, Route(f"{MEDIA}{{file}}", medium, methods=["GET", "HEAD"])]


def _webhook(name: str, hook: Webhook) -> Route:
    async def receive(request: Request) -> Response:
        reply = await hook.receive(await request.body(), request.headers.get(hook.signature, ""))
        kind = "application/json" if reply.body else None
        return Response(reply.body, reply.status, media_type=kind)

    return Route(f"/{name}/webhook", receive, methods=["POST"])
