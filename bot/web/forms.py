"""What a request of the chat page carries: small forms, a token, and how it was made."""

from __future__ import annotations

import re
import secrets
from collections.abc import Mapping
from urllib.parse import parse_qsl

from starlette.datastructures import UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.requests import Request

from bot.web.security import MULTIPART

COOKIE = "k"
MAX_BODY = 64 * 1024
MEDIUM = "medium"
MAX_NUMBERS = 100
_NUMBER = re.compile(r"[1-9][0-9]{0,15}")
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


def numbers(text: str | None) -> list[int]:
    """The numbers of case messages, parted by spaces, without anything else."""
    found = [each for each in (text or "").split() if _NUMBER.fullmatch(each)]
    return [int(each) for each in found[:MAX_NUMBERS]]


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


def carries_medium(request: Request) -> bool:
    """Whether it is the form with a photo or a voice."""
    return request.headers.get("content-type", "").startswith(MULTIPART)


async def read_medium(request: Request) -> tuple[Mapping[str, str], bytes]:
    """The fields of that form, and the file in it, without its name; empty where there is none."""
    parser = MultiPartParser(
        request.headers, request.stream(), max_files=1, max_fields=10, max_part_size=MAX_BODY
    )
    try:
        form = await parser.parse()
    except MultiPartException:
        raise BadForm from None
    try:
        file = form.get(MEDIUM)
        content = await file.read() if isinstance(file, UploadFile) else b""
    finally:
        await form.close()
    return {name: value for name, value in form.items() if isinstance(value, str)}, content
