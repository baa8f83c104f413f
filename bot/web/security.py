"""What holds for every request and answer of the web: headers that keep others out, a limit.

Nothing inline, nothing of third parties, nothing cached, nothing told to the next site.
"""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import urlsplit

from starlette.datastructures import MutableHeaders
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

_FEATURES = (
    "accelerometer", "autoplay", "browsing-topics", "camera", "display-capture",
    "encrypted-media", "fullscreen", "geolocation", "gyroscope", "hid", "idle-detection",
    "local-fonts", "magnetometer", "microphone", "midi", "payment", "picture-in-picture",
    "screen-wake-lock", "serial", "usb", "xr-spatial-tracking",
)  # fmt: skip

MAX_BODY = 4 * 1024 * 1024
"""Bytes of one request; the largest that our pages send is a file of receptions."""


class BodyLimit:
    """Refuses a larger request before it fills the memory or the disk."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        size = 0

        async def receive_within() -> Message:
            nonlocal size
            message = await receive()
            size += len(message.get("body", b""))
            if size > MAX_BODY:
                raise HTTPException(413)
            return message

        await self.app(scope, receive_within, send)


class SecurityHeaders:
    """Adds the headers to every answer; `Cache-Control` only where a route set none.

    `demo` lets our own page frame ours. `exit_site` is where *hide* leads: a form that ends
    in a redirect needs its target named.
    """

    def __init__(self, app: ASGIApp, *, demo: bool, https: bool, exit_site: str) -> None:
        self.app = app
        self._headers = _headers(demo=demo, https=https, exit_site=exit_site)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return await self.app(scope, receive, send)

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in self._headers.items():
                    headers.setdefault(name, value)
            await send(message)

        await self.app(scope, receive, send_with_headers)


def _headers(*, demo: bool, https: bool, exit_site: str) -> Mapping[str, str]:
    headers = {
        "Content-Security-Policy": _policy(demo=demo, exit_site=exit_site),
        "Cache-Control": "no-store",
        "Referrer-Policy": "no-referrer",
        "X-Content-Type-Options": "nosniff",
        "X-Frame-Options": "SAMEORIGIN" if demo else "DENY",
        "X-Robots-Tag": "noindex",
        "X-DNS-Prefetch-Control": "off",
        "Cross-Origin-Opener-Policy": "same-origin",
        "Cross-Origin-Resource-Policy": "same-origin",
        "Permissions-Policy": ", ".join(f"{feature}=()" for feature in _FEATURES),
    }
    if https:
        headers["Strict-Transport-Security"] = "max-age=31536000"
    return headers


def _policy(*, demo: bool, exit_site: str) -> str:
    site = urlsplit(exit_site)
    ours = "'self'" if demo else "'none'"
    return "; ".join(
        [
            "default-src 'none'",
            "script-src 'self'",
            "style-src 'self'",
            "img-src 'self'",
            "connect-src 'self'",
            f"form-action 'self' {site.scheme}://{site.netloc}",
            "base-uri 'none'",
            f"frame-src {ours}",
            f"frame-ancestors {ours}",
        ]
    )
