"""What holds for every request and answer: which page may do what, and how much may come in."""

from __future__ import annotations

from collections.abc import AsyncIterator

import httpx
import pytest
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from bot.web.security import MAX_BODY, MAX_IMPORT, MAX_UPLOAD, BodyLimit, SecurityHeaders

VOICE_NOTE = "/desk/case/1/voice"
WORDS = {"Content-Type": "application/x-www-form-urlencoded"}
FILE = {"Content-Type": "multipart/form-data; boundary=x"}


@pytest.fixture
async def anybody() -> AsyncIterator[httpx.AsyncClient]:
    """Asks at every address; whatever is sent there is read to its end."""

    async def answer(request: Request) -> Response:
        await request.body()
        return Response()

    routes = [Route("/{path:path}", answer, methods=["GET", "POST"])]
    app = Starlette(routes=routes, middleware=[Middleware(BodyLimit)])
    headed = SecurityHeaders(app, demo=False, https=True, exit_site="https://bg.wikipedia.org/")
    transport = httpx.ASGITransport(app=headed)
    async with httpx.AsyncClient(transport=transport, base_url="http://phen.test") as client:
        yield client


@pytest.mark.parametrize(
    ("path", "hears"),
    [
        ("/", True), ("/r/abc", True), ("/desk", True), ("/desk/case/1", True),
        ("/login", False), ("/invite", False), ("/staff", False), ("/staff/duty", False),
        ("/desks", False), ("/m/abc.png", False), ("/nothing", False),
    ],
)  # fmt: skip
async def test_only_where_a_voice_is_recorded_a_page_may_listen(
    anybody: httpx.AsyncClient, path: str, hears: bool
) -> None:
    headers = (await anybody.get(path)).headers
    assert ("microphone=(self)" in headers["permissions-policy"]) is hears
    assert ("blob:" in headers["content-security-policy"]) is hears
    assert "camera=()" in headers["permissions-policy"]
    assert "geolocation=()" in headers["permissions-policy"]


@pytest.mark.parametrize("path", ["/login", "/invite/password", "/viber/webhook", "/desk/case/1"])
@pytest.mark.parametrize("kind", [WORDS, FILE], ids=["words", "a file"])
async def test_who_is_nobody_yet_gets_no_room_for_a_file(
    anybody: httpx.AsyncClient, path: str, kind: dict[str, str]
) -> None:
    fits = await anybody.post(path, content=bytes(MAX_BODY), headers=kind)
    too_large = await anybody.post(path, content=bytes(MAX_BODY + 1), headers=kind)
    assert (fits.status_code, too_large.status_code) == (200, 413)


@pytest.mark.parametrize(
    ("path", "kind", "most"),
    [
        ("/", FILE, MAX_UPLOAD),
        ("/", WORDS, MAX_BODY),
        (VOICE_NOTE, FILE, MAX_UPLOAD),
        (VOICE_NOTE, WORDS, MAX_BODY),
        ("/staff/receptions/import", FILE, MAX_IMPORT),
    ],
)
async def test_what_carries_a_file_has_room_for_it(
    anybody: httpx.AsyncClient, path: str, kind: dict[str, str], most: int
) -> None:
    fits = await anybody.post(path, content=bytes(most), headers=kind)
    too_large = await anybody.post(path, content=bytes(most + 1), headers=kind)
    assert (fits.status_code, too_large.status_code) == (200, 413)
