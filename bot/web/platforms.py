"""What platforms ask of us: their webhooks, and the pictures, clips and voices that they fetch."""

from __future__ import annotations

import asyncio
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

    music = Music(parts.links)

    async def medium(request: Request) -> Response:
        file: str = request.path_params["file"]
        found = parts.links.find(file)
        if isinstance(found, Lent):
            return Response(found.content, media_type=found.mime, headers=_NOT_KEPT)
        if found is None:
            made = await music.of(file)
            status = 404 if made is None else 200
            return Response(made, status, media_type="audio/mpeg", headers=_NOT_KEPT)
        return FileResponse(found.path, media_type=found.mime, headers=_KEPT)

    hooks = [_webhook(name, hook) for name, hook in parts.webhooks.items()]
    return [*hooks, Route(f"{MEDIA}{{file}}", medium, methods=["GET", "HEAD"])]


class Music:
    """The voices that lie here, made anew for a browser that does not play them as they are.

    Each once, however often and by how many it is asked for: that takes a whole processor.
    """

    def __init__(self, links: Links) -> None:
        self._links = links
        self._making: dict[str, asyncio.Task[bytes | None]] = {}

    async def of(self, file: str) -> bytes | None:
        """The MP3 of this name, or None where there is no such voice."""
        if file not in self._making:
            voice = self._links.find(f"{file.removesuffix('.mp3')}.ogg")
            if not file.endswith(".mp3") or not isinstance(voice, Lent):
                return None
            self._making[file] = asyncio.create_task(self._made(file, voice))
        return await asyncio.shield(self._making[file])

    async def _made(self, file: str, voice: Lent) -> bytes | None:
        try:
            made = await media.as_mp3(voice.content)
        except (media.Unusable, media.NoTools):
            return None
        else:
            self._links.lay_beside(voice, file, made)
            return made
        finally:
            del self._making[file]


def _webhook(name: str, hook: Webhook) -> Route:
    async def receive(request: Request) -> Response:
        reply = await hook.receive(await request.body(), request.headers.get(hook.signature, ""))
        kind = "application/json" if reply.body else None
        return Response(reply.body, reply.status, media_type=kind)

    return Route(f"/{name}/webhook", receive, methods=["POST"])
