"""What platforms ask of us: their webhooks, and the pictures, clips and voices that they fetch."""

from __future__ import annotations

from typing import TYPE_CHECKING

from starlette.requests import Request
from starlette.responses import FileResponse, Response
from starlette.routing import BaseRoute, Route

from bot import media
from bot.links import MEDIA, Lent, Links

if TYPE_CHECKING:
    from bot.channels.base import Webhook
    from bot.web.app import WebParts

_KEPT = {"Cache-Control": "private, max-age=3600", "Content-Disposition": "inline"}
_NOT_KEPT = {**_KEPT, "Cache-Control": "no-store"}


def platform_routes(parts: WebParts) -> list[BaseRoute]:
    """`/viber/webhook` where Viber is configured, and our media."""

    async def medium(request: Request) -> Response:
        file: str = request.path_params["file"]
        found = parts.links.find(file)
        if isinstance(found, Lent):
            return Response(found.content, media_type=found.mime, headers=_NOT_KEPT)
        if found is None:
            music = await _as_mp3(parts.links, file)
            status = 404 if music is None else 200
            return Response(music, status, media_type="audio/mpeg", headers=_NOT_KEPT)
        return FileResponse(found.path, media_type=found.mime, headers=_KEPT)

    hooks = [_webhook(name, hook) for name, hook in parts.webhooks.items()]
    return [*hooks, Route(f"{MEDIA}{{file}}", medium, methods=["GET", "HEAD"])]


async def _as_mp3(links: Links, file: str) -> bytes | None:
    """A voice that lies here, made anew for a browser that does not play it as it is."""
    voice = links.find(f"{file.removesuffix('.mp3')}.ogg") if file.endswith(".mp3") else None
    if not isinstance(voice, Lent):
        return None
    try:
        return await media.as_mp3(voice.content)
    except (media.Unusable, media.NoTools):
        return None


def _webhook(name: str, hook: Webhook) -> Route:
    async def receive(request: Request) -> Response:
        reply = await hook.receive(await request.body(), request.headers.get(hook.signature, ""))
        kind = "application/json" if reply.body else None
        return Response(reply.body, reply.status, media_type=kind)

    return Route(f"/{name}/webhook", receive, methods=["POST"])
