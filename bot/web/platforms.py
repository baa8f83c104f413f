"""What platforms ask of us: their webhooks, and the pictures, clips and voices that they fetch."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from starlette.requests import Request
from starlette.responses import FileResponse, Response
from starlette.routing import BaseRoute, Route

from bot import media
from bot.channels.base import Call
from bot.links import MEDIA, Lent, Links

if TYPE_CHECKING:
    from bot.channels.base import Webhook
    from bot.web.app import WebParts

_KEPT = {"Cache-Control": "private, max-age=3600", "Content-Disposition": "inline"}
_NOT_KEPT = {**_KEPT, "Cache-Control": "no-store"}


def platform_routes(parts: WebParts) -> list[BaseRoute]:
    """Each platform's webhook where it is to call us, and our media."""

    music = Music(parts.links)

    async def medium(request: Request) -> Response:
        file: str = request.path_params["file"]
        found = await parts.links.find(file)
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
        if not file.endswith(".mp3"):
            return None
        if file not in self._making:
            self._making[file] = asyncio.create_task(self._made(file))
            self._making[file].add_done_callback(lambda _: self._making.pop(file))
        return await asyncio.shield(self._making[file])

    async def _made(self, file: str) -> bytes | None:
        lies = f"{file.removesuffix('.mp3')}.ogg"
        voice = await self._links.find(lies)
        if not isinstance(voice, Lent):
            return None
        try:
            made = await media.as_mp3(voice.content)
        except (media.Unusable, media.NoTools):
            return None
        await self._links.lay_beside(lies, file, made)
        return made


def _webhook(name: str, hook: Webhook) -> Route:
    async def receive(request: Request) -> Response:
        read = hook.read(await request.body(), request.headers.get(hook.signature, ""))
        reply = await hook.take(read) if isinstance(read, Call) else read
        kind = "application/json" if reply.body else None
        return Response(reply.body, reply.status, media_type=kind)

    return Route(f"/{name}/webhook", receive, methods=["POST"])
