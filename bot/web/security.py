"""What holds for every request and answer of the web: headers that keep others out, a limit.

Nothing inline, nothing of third parties, nothing cached, nothing told to the next site.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.formparsers import MultiPartParser
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from bot.channels.base import MAX_MEDIUM
from bot.links import PAGE

_FEATURES = (
    "accelerometer", "autoplay", "browsing-topics", "camera", "display-capture",
    "encrypted-media", "fullscreen", "geolocation", "gyroscope", "hid", "idle-detection",
    "local-fonts", "magnetometer", "microphone", "midi", "payment", "picture-in-picture",
    "screen-wake-lock", "serial", "usb", "xr-spatial-tracking",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class _Room:
    """What the pages of one part of the web may do besides showing what is ours."""

    features: tuple[str, ...] = ()
    pictures: str = "'self'"
    sound: str = "'self'"


_DESK = _Room(("autoplay", "microphone"), pictures="'self' blob:", sound="blob:")
"""Ring, record a voice note, and show what a woman sent from memory."""
_HERS = _Room(("microphone",), sound="'self' blob:")
"""Record a voice, once she has agreed to that and taps, and play one from memory."""
_ELSEWHERE = _Room()

HERS = "/"
"""The one address of the chat page, beside those that open it from a chat."""

MAX_BODY = 256 * 1024
"""Bytes of one request; the longest that a form of words takes is a tenth of it."""
MAX_IMPORT = 4 * 1024 * 1024
"""Of one to the staff pages: the largest is a calendar, or a table of receptions."""
MAX_UPLOAD = MAX_MEDIUM + 64 * 1024
"""Of one that carries a photo or a voice."""
MULTIPART = "multipart/form-data"
_VOICE_NOTE = re.compile(r"/desk/case/[^/]+/voice")

MultiPartParser.spool_max_size = MAX_UPLOAD  # what is uploaded stays in memory, off the disk


class BodyLimit:
    """Refuses a larger request before it fills the memory or the disk."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        size, most = 0, _most(scope) if scope["type"] == "http" else MAX_BODY

        async def receive_within() -> Message:
            nonlocal size
            message = await receive()
            size += len(message.get("body", b""))
            if size > most:
                raise HTTPException(413)
            return message

        await self.app(scope, receive_within, send)


def _most(scope: Scope) -> int:
    """Whoever is nobody yet (a login, a webhook) gets no room for a file."""
    path = scope["path"]
    if path == HERS or _VOICE_NOTE.fullmatch(path):
        carries = Headers(scope=scope).get("content-type", "").startswith(MULTIPART)
        return MAX_UPLOAD if carries else MAX_BODY
    return MAX_IMPORT if path.startswith("/staff/") else MAX_BODY


class SecurityHeaders:
    """Adds the headers to every answer; `Cache-Control` only where a route set none.

    The desk's pages and hers may do what no other may, see `_Room`.
    `demo` lets our own page frame ours. `exit_site` is where *hide* leads: a form that ends
    in a redirect needs its target named.
    """

    def __init__(self, app: ASGIApp, *, demo: bool, https: bool, exit_site: str) -> None:
        self.app = app
        self._headers = {
            room: _headers(room, demo=demo, https=https, exit_site=exit_site)
            for room in (_DESK, _HERS, _ELSEWHERE)
        }

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return await self.app(scope, receive, send)

        wanted = self._headers[_room(scope["path"])]

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in wanted.items():
                    headers.setdefault(name, value)
            await send(message)

        await self.app(scope, receive, send_with_headers)


def _room(path: str) -> _Room:
    if path == HERS or path.startswith(PAGE):
        return _HERS
    return _DESK if path == "/desk" or path.startswith("/desk/") else _ELSEWHERE


def _headers(room: _Room, *, demo: bool, https: bool, exit_site: str) -> Mapping[str, str]:
    features = {each: "(self)" if each in room.features else "()" for each in _FEATURES}
    headers = {
        "Content-Security-Policy": _policy(room, demo=demo, exit_site=exit_site),
        "Cache-Control": "no-store",
        "Referrer-Policy": "no-referrer",
        "X-Content-Type-Options": "nosniff",
        "X-Frame-Options": "SAMEORIGIN" if demo else "DENY",
        "X-Robots-Tag": "noindex",
        "X-DNS-Prefetch-Control": "off",
        "Cross-Origin-Opener-Policy": "same-origin",
        "Cross-Origin-Resource-Policy": "same-origin",
        "Permissions-Policy": ", ".join(f"{name}={who}" for name, who in features.items()),
    }
    if https:
        headers["Strict-Transport-Security"] = "max-age=31536000"
    return headers


def _policy(room: _Room, *, demo: bool, exit_site: str) -> str:
    site = urlsplit(exit_site)
    ours = "'self'" if demo else "'none'"
    return "; ".join(
        [
            "default-src 'none'",
            "script-src 'self'",
            "style-src 'self'",
            f"img-src {room.pictures}",
            f"media-src {room.sound}",
            "connect-src 'self'",
            f"form-action 'self' {site.scheme}://{site.netloc}",
            "base-uri 'none'",
            f"frame-src {ours}",
            f"frame-ancestors {ours}",
        ]
    )
