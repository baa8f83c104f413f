"""What a request of the chat page carries: small forms, a token, and how it was made."""

from __future__ import annotations

import re
import secrets
from collections.abc import Mapping
from urllib.parse import parse_qsl

from starlette.requests import Request

COOKIE = "k"
MAX_BODY = 64 * 1024
_ONCE = re.compile(r"[A-Za-z0-9_-]{1,64}")
_TOKEN = re.compile(r"[A-Za-z0-9_-]{22}")


class BadForm(Exception):
    """The body is not a form of ours."""


def once(form: Mapping[str, str]) -> str:
    """The form's own key, so that words sent twice arrive once."""
    key = form.get("once", "")
    return key if _ONCE.fullmatch(key) else secrets.token_urlsafe(12)


def token(request: Request) -> str | None:
    """The address that her browser carries while a case is open."""
    carried = request.cookies.get(COOKIE, "")
    return carried if _TOKEN.fullmatch(carried) else None


def by_script(request: Request) -> bool:
    """Whether the page's script asks, for the inside of the page alone."""
    return request.headers.get("x-requested-with") == "fetch"


def number(text: str | None) -> int | None:
    """A case message's number, or None for anything else."""
    if text is None or not text.isascii() or not text.isdigit() or len(text) > 6:
        return None
    return int(text) or None


async def read(request: Request) -> Mapping[str, str]:
    """The fields of a small urlencoded form; of two with one name the first."""
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > MAX_BODY:
            raise BadForm
    try:
        pairs = parse_qsl(
            body.decode("ascii"), keep_blank_values=True, max_num_fields=10, errors="strict"
        )
    except ValueError:
        raise BadForm from None
    return dict(reversed(pairs))
