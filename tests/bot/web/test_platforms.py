"""What platforms ask of us over HTTP: the webhook where one is configured, and our media."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest
from starlette.applications import Starlette

from bot.channels.base import Call, Reply
from bot.channels.viber import SIGNATURE, ViberChannel
from bot.links import Links
from bot.privacy.vault import Vault
from bot.web.app import assemble
from bot.web.platforms import platform_routes
from tests import sounds
from tests.bot.web.fakes import LentVoices, World
from tests.standins.viber import TOKEN, ViberStandIn

OURS = "http://phen.test"
FILES = {"order.png": ("image/png", b"\x89PNG, a picture"), "talk.mp3": ("audio/mpeg", b"a clip")}
HOOK = "/viber/webhook"


class Platforms:
    """The routes, with a folder of media and, where it is wanted, a bot of Viber's."""

    def __init__(self, folder: Path, api: str | None = None) -> None:
        for name, (_, content) in FILES.items():
            (folder / name).write_bytes(content)
        self.world = World()
        vault = Vault(bytes(32), folder / "no-days")
        voices = LentVoices(self.world.clock)
        self.links = Links(vault, OURS, (folder,), self.world.clock, voices)
        self.viber: ViberChannel | None = None
        if api is not None:
            names = {"bg": "Дом"}
            self.viber = ViberChannel(
                TOKEN, api, names, self.links, f"{OURS}/viber/webhook", self.world.clock
            )
        hooks = {} if self.viber is None else {self.viber.name: self.viber}
        self.parts = replace(self.world.parts, links=self.links, webhooks=hooks)

    def app(self) -> Starlette:
        return assemble(self.parts, platform_routes(self.parts))

    def address(self, name: str) -> str:
        url = self.links.medium(name)
        assert url is not None
        return url


@asynccontextmanager
async def asking(platforms: Platforms) -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(app=platforms.app(), raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url=OURS) as client:
        yield client


@pytest.fixture
def platforms(tmp_path: Path) -> Platforms:
    return Platforms(tmp_path)


@pytest.fixture
async def client(platforms: Platforms) -> AsyncIterator[httpx.AsyncClient]:
    async with asking(platforms) as client:
        yield client


# --- media -----------------------------------------------------------------------------------


@pytest.mark.parametrize("name", FILES)
async def test_a_medium_comes_with_its_kind_and_without_its_name(
    client: httpx.AsyncClient, platforms: Platforms, name: str
) -> None:
    kind, content = FILES[name]
    given = await client.get(platforms.address(name))
    assert (given.status_code, given.content) == (200, content)
    assert given.headers["content-type"] == kind
    assert given.headers["content-disposition"] == "inline"
    assert Path(name).stem not in f"{given.url} {given.headers}"
    assert "set-cookie" not in given.headers


@pytest.mark.parametrize("name", FILES)
async def test_a_medium_says_its_size_before_it_is_fetched(
    client: httpx.AsyncClient, platforms: Platforms, name: str
) -> None:
    asked = await client.head(platforms.address(name))
    assert (asked.status_code, asked.content) == (200, b"")
    assert asked.headers["content-length"] == str(len(FILES[name][1]))
    assert asked.headers["content-type"] == FILES[name][0]


async def test_a_medium_may_be_kept_by_her_phone_for_its_hour_and_by_nobody_between(
    client: httpx.AsyncClient, platforms: Platforms
) -> None:
    kept = (await client.get(platforms.address("order.png"))).headers["cache-control"]
    assert kept == "private, max-age=3600"


async def test_a_medium_is_there_this_hour_and_the_next_and_gone_after(
    client: httpx.AsyncClient, platforms: Platforms
) -> None:
    address, told = platforms.address("order.png"), []
    for _ in range(3):
        told.append((await client.get(address)).status_code)
        platforms.world.clock.time += timedelta(hours=1)
    assert told == [200, 200, 404]


@pytest.mark.parametrize(
    "path", ["order.png", "x.png", "0" * 32 + ".png", "%2e%2e%2forder.png", "..%2Forder.png", ""]
)
async def test_there_is_no_other_medium(client: httpx.AsyncClient, path: str) -> None:
    for answer in (await client.get(f"/m/{path}"), await client.head(f"/m/{path}")):
        assert answer.status_code == 404
        assert "PNG" not in answer.text


async def test_nothing_can_be_put_among_the_media(
    client: httpx.AsyncClient, platforms: Platforms
) -> None:
    for method in ("POST", "PUT", "DELETE"):
        refused = await client.request(method, platforms.address("order.png"), content=b"x")
        assert refused.status_code >= 400
    assert (await client.get(platforms.address("order.png"))).content == FILES["order.png"][1]


async def test_a_voice_is_made_anew_once_however_often_it_is_asked_for(
    client: httpx.AsyncClient,
    platforms: Platforms,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    used, tools = tmp_path / "used", tmp_path / "tools"
    tools.mkdir()
    used.mkdir()
    script = tools / "ffmpeg"
    script.write_text(f'#!/bin/sh\n: > {used}/$$\nexec {shutil.which("ffmpeg")} "$@"\n')
    script.chmod(0o755)
    ogg = await platforms.links.lend("web", "hers", sounds.voice("ogg"), ".ogg")
    assert ogg is not None
    monkeypatch.setenv("PATH", f"{tools}:/usr/bin:/bin")
    mp3 = f"{ogg.removesuffix('.ogg')}.mp3"
    answers = await asyncio.gather(*(client.get(mp3) for _ in range(20)))
    answers += [await client.get(mp3), await client.head(mp3)]
    assert {answer.status_code for answer in answers} == {200}
    assert sounds.stream(answers[0].content) == "mp3,48000,1"
    assert len({answer.content for answer in answers[:-1]}) == 1
    assert len(list(used.iterdir())) == 1  # empty ones: the tool may write no file
    platforms.world.clock.time += timedelta(minutes=10)
    assert (await client.get(mp3)).status_code == 404


# --- the webhook -----------------------------------------------------------------------------

SHE_LEFT = {"event": "unsubscribed", "timestamp": 1, "user_id": "hers", "message_token": 7}
BODY = json.dumps(SHE_LEFT).encode()
SIGNED = {SIGNATURE: hmac.new(TOKEN.encode(), BODY, hashlib.sha256).hexdigest()}


async def test_where_viber_is_not_configured_there_is_no_webhook(
    client: httpx.AsyncClient,
) -> None:
    answer = await client.post(HOOK, content=BODY, headers=SIGNED)
    assert answer.status_code == 404


async def test_where_viber_is_configured_its_calls_are_taken_once_we_listen(
    tmp_path: Path,
) -> None:
    server = ViberStandIn()
    await server.start()
    platforms = Platforms(tmp_path, server.api)
    assert platforms.viber is not None
    try:
        async with asking(platforms) as client:
            early = await client.post(HOOK, content=BODY, headers=SIGNED)
            running = asyncio.create_task(platforms.viber.run(platforms.world.line))  # type: ignore[arg-type]
            await asyncio.sleep(0)
            taken = await client.post(HOOK, content=BODY, headers=SIGNED)
            unsigned = await client.post(HOOK, content=BODY)
            forged = await client.post(HOOK, content=BODY + b" ", headers=SIGNED)
            read = await client.get(HOOK)
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)
    finally:
        await platforms.viber.close()
        await server.stop()
    assert early.status_code == 503  # not taken: it comes again
    assert (taken.status_code, taken.content) == (200, b"")
    assert "content-type" not in taken.headers
    assert [unsigned.status_code, forged.status_code] == [403, 403]
    assert read.status_code >= 400


class Welcoming:
    """A channel that answers a call with words of its own."""

    name = "viber"
    signature = SIGNATURE

    def __init__(self) -> None:
        self.calls: list[tuple[bytes, str]] = []

    def read(self, body: bytes, signature: str) -> Call | Reply:
        self.calls.append((body, signature))
        return Call("1", json.loads(body), datetime.now(UTC))

    async def take(self, call: Call) -> Reply:
        return Reply(200, json.dumps({"type": call.told["a"]}).encode())


async def test_the_webhook_hands_over_the_raw_body_and_gives_the_answer_back_as_json(
    platforms: Platforms,
) -> None:
    hook = Welcoming()
    platforms.parts = replace(platforms.parts, webhooks={"viber": hook})
    async with asking(platforms) as client:
        answer = await client.post(HOOK, content=b'{"a" : "\xd0\xb6"}\n', headers=SIGNED)
    assert hook.calls == [(b'{"a" : "\xd0\xb6"}\n', SIGNED[SIGNATURE])]
    assert (answer.content, answer.headers["content-type"]) == (
        b'{"type": "\\u0436"}', "application/json",
    )  # fmt: skip
    assert answer.headers["cache-control"] == "no-store"
    assert "set-cookie" not in answer.headers
