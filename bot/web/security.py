"""What holds for every request and answer of the web: headers that keep others out, a limit.

Nothing inline, nothing of third parties, nothing cached, nothing told to the next site.
"""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.formparsers import MultiPartParser
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from bot.channels.base import MAX_MEDIUM

_FEATURES = (
    "accelerometer", "autoplay", "browsing-topics", "camera", "display-capture",
    "encrypted-media", "fullscreen", "geolocation", "gyroscope", "hid", "idle-detection",
    "local-fonts", "magnetometer", "microphone", "midi", "payment", "picture-in-picture",
    "screen-wake-lock", "serial", "usb", "xr-spatial-tracking",
)  # fmt: skip

_DESK_FEATURES = ("autoplay", "microphone")
"""What the desk's pages may use besides: its bell, and the recording of a voice note."""
_HER_FEATURES = ("microphone",)
"""What hers may: the recording of a voice, once she has agreed to that and taps."""

MAX_BODY = 4 * 1024 * 1024
"""Bytes of one request; the largest that our pages send is a voice note of the desk."""

MAX_UPLOAD = MAX_MEDIUM + 64 * 1024
"""Of one that carries a photo or a voice of hers."""
MULTIPART = "multipart/form-data"

MultiPartParser.spool_max_size = MAX_UPLOAD  # what is uploaded stays in memory, off the disk


class BodyLimit:
    """Refuses a larger request before it fills the memory or the disk."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        size = 0
        kind = Headers(scope=scope).get("content-type", "") if scope["type"] == "http" else ""
        most = MAX_UPLOAD if kind.startswith(MULTIPART) else MAX_BODY

        async def receive_within() -> Message:
            nonlocal size
            message = await receive()
            size += len(message.get("body", b""))
            if size > most:
                raise HTTPException(413)
            return message

        await self.app(scope, receive_within, send)


class SecurityHeaders:
    """Adds the headers to every answer; `Cache-Control` only where a route set none.

    The desk's pages may record, ring, and show what was sent from memory; hers may record and
    play a voice.
    `demo` lets our own page frame ours. `exit_site` is where *hide* leads: a form that ends
    in a redirect needs its target named.
    """

    def __init__(self, app: ASGIApp, *, demo: bool, https: bool, exit_site: str) -> None:
        self.app = app
        self._headers, self._desk_headers = (
            _headers(demo=demo, https=https, exit_site=exit_site, desk=desk)
            for desk in (False, True)
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return await self.app(scope, receive, send)

        desk = scope["path"] == "/desk" or scope["path"].startswith("/desk/")

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in (self._desk_headers if desk else self._headers).items():
                    headers.setdefault(name, value)
            await send(message)

        await self.app(scope, receive, send_with_headers)


def _headers(*, demo: bool, https: bool, exit_site: str, desk: bool) -> Mapping[str, str]:
    allowed = _DESK_FEATURES if desk else _HER_FEATURES
    features = {each: "(self)" if each in allowed else "()" for each in _FEATURES}
    headers = {
        "Content-Security-Policy": _policy(demo=demo, exit_site=exit_site, desk=desk),
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


def _policy(*, demo: bool, exit_site: str, desk: bool) -> str:
    site = urlsplit(exit_site)
    pictures, sound = ("'self' blob:", "blob:") if desk else ("'self'", "'self' blob:")
    ours = "'self'" if demo else "'none'"
    return "; ".join(
        [
            "default-src 'none'",
            "script-src 'self'",
            "style-src 'self'",
            f"img-src {pictures}",
            f"media-src {sound}",
            "connect-src 'self'",
            f"form-action 'self' {site.scheme}://{site.netloc}",
            "base-uri 'none'",
            f"frame-src {ours}",
            f"frame-ancestors {ours}",
        ]
    )
