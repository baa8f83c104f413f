"""The chat page over HTTP, without its script: what she gets, and what is left behind."""

from __future__ import annotations

import asyncio
import gzip
import json
import re
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest

from bot import media
from bot.channels.base import MAX_MEDIUM
from dialogs import payload
from dialogs.model import CASE, MediaKind, Position, Sent, Started, Tapped, Typed
from tests import sounds
from tests.bot.web.fakes import NOW, SAFE_WORD, World, message, served
from tests.line import eventually

EXIT = "https://bg.wikipedia.org/"
BY_SCRIPT = {"X-Requested-With": "fetch"}
SOON = 0.2
"""How long an answer is waited for that never comes."""


@pytest.fixture
def world() -> World:
    return World()


@pytest.fixture
async def her(world: World) -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(app=world.app(), raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://phen.test") as client:
        yield client


def to(node: str, age: timedelta = timedelta(0)) -> str:
    return payload.pack(Position("bg", node), NOW - age)


async def tap(her: httpx.AsyncClient, node: str, **fields: str) -> httpx.Response:
    return await her.post("/", data={"p": to(node), "at": to("home"), **fields})


async def open_case(her: httpx.AsyncClient) -> str:
    await tap(her, "open")
    return her.cookies["k"]


# --- the cover, and reading ------------------------------------------------------------------


async def test_the_first_page_is_a_cover_and_nothing_else(her: httpx.AsyncClient) -> None:
    page = await her.get("/")
    assert page.status_code == 200
    assert "<title>Дом и здраве</title>" in page.text
    assert 'lang="bg"' in page.text
    for word in ("насили", "Скрий", "помощ", "data-leave", 'class="marks"'):
        assert word not in page.text


async def test_reading_leaves_no_cookie_and_nothing_in_a_cache(her: httpx.AsyncClient) -> None:
    for answer in (await her.get("/"), await tap(her, "home"), await tap(her, "danger")):
        assert "set-cookie" not in answer.headers
        assert answer.headers["cache-control"] == "no-store"
    assert not her.cookies


async def test_each_request_of_a_reader_comes_from_nobody_known(
    her: httpx.AsyncClient, world: World
) -> None:
    await her.get("/")
    await tap(her, "home")
    addresses = {incoming.address for incoming in world.line.received}
    assert len(addresses) == 2
    assert all(len(address) == 22 for address in addresses)


async def test_every_screen_has_one_address_and_one_title(her: httpx.AsyncClient) -> None:
    for node in ("home", "page", "danger"):
        page = (await tap(her, node)).text
        assert "<title>Дом и здраве</title>" in page
        assert set(re.findall(r'action="([^"]*)"', page)) == {"/"}
        links = re.findall(r'href="([^"]*)"', page)
        assert all(re.match(r"/static/|tel:|#screen", link) for link in links)


async def test_112_and_hide_stand_on_every_screen_in_one_order(her: httpx.AsyncClient) -> None:
    for node in ("home", "page", "danger"):
        page = (await tap(her, node)).text
        assert re.findall(r'class="mark at-(\w+)"', page) == ["back", "home", "danger", "hide"]


async def test_a_number_alone_on_its_line_can_be_dialled(her: httpx.AsyncClient) -> None:
    page = (await tap(her, "danger")).text
    assert '<a class="phone" href="tel:112">112</a>' in page
    assert '<a class="phone" href="tel:080018676">0800 1 86 76</a>' in page
    assert "Обади се на 112." in page


async def test_markup_in_a_text_is_literal(her: httpx.AsyncClient) -> None:
    page = (await tap(her, "page")).text
    assert "&lt;b&gt;Това не е по твоя вина.&lt;/b&gt;<br>" in page


async def test_a_deep_link_goes_on_inside_the_covers_buttons(
    her: httpx.AsyncClient, world: World
) -> None:
    page = await her.get("/", params={"start": "k3f9"})
    assert world.line.received[0].event == Started("k3f9")
    assert "d.k3f9" in page.text
    assert "start=k3f9" not in page.text


@pytest.mark.parametrize("code", ["x" * 65, "<script>", "a b", "й", ""])
async def test_a_deep_link_that_is_none_opens_the_plain_cover(
    her: httpx.AsyncClient, world: World, code: str
) -> None:
    await her.get("/", params={"start": code})
    assert world.line.received[0].event == Started(None)


async def test_the_script_gets_only_the_inside_of_the_page(her: httpx.AsyncClient) -> None:
    part = await her.post("/", data={"p": to("home")}, headers=BY_SCRIPT)
    assert part.text.startswith('<section id="screen"')
    assert "<html" not in part.text


async def test_the_first_load_is_small(her: httpx.AsyncClient) -> None:
    page = await her.get("/")
    size = len(page.content)
    for path in re.findall(r'(?:href|src)="(/static/[^"]+)"', page.text):
        file = await her.get(path)
        assert "immutable" in file.headers["cache-control"]
        size += len(file.content)
    assert size < 60_000


# --- from a chat that keeps everything --------------------------------------------------------


def leads_to(world: World, position: Position) -> str:
    """Where the address of a page at that position leads here."""
    return urlsplit(world.parts.links.page(position)).path


async def test_a_page_opened_from_a_chat_shows_the_same_place_with_its_answers(
    her: httpx.AsyncClient, world: World
) -> None:
    place = Position("bg", "page", (("d", "k3f9"), ("m", "rse27")))
    page = await her.get(leads_to(world, place))
    assert page.status_code == 200
    assert "Това не е по твоя вина." in page.text
    [received] = world.line.received
    assert received.event == Tapped(place, fresh=True)


async def test_a_page_that_is_no_cover_carries_one_for_when_nobody_answers(
    her: httpx.AsyncClient, world: World
) -> None:
    page = await her.get(leads_to(world, Position("bg", "page")))
    _, spare = page.text.split('<template id="spare">')
    assert 'data-cover="1"' in spare
    assert 'href="tel:112"' in spare
    assert "Това не е по твоя вина." not in spare
    assert "<template" not in (await her.get("/")).text


async def test_a_page_opened_from_a_chat_is_kept_nowhere_and_sets_no_cookie(
    her: httpx.AsyncClient, world: World
) -> None:
    page = await her.get(leads_to(world, Position("bg", "home")))
    assert page.headers["cache-control"] == "no-store"
    assert page.headers["referrer-policy"] == "no-referrer"
    assert "set-cookie" not in page.headers
    assert "<title>Дом и здраве</title>" in page.text
    assert "/r/" not in page.text
    assert set(re.findall(r'action="([^"]*)"', page.text)) == {"/"}
    assert re.findall(r'class="mark at-(\w+)"', page.text) == ["back", "home", "danger", "hide"]


async def test_a_page_opened_from_a_chat_opens_again_within_ten_minutes(
    her: httpx.AsyncClient, world: World
) -> None:
    address = leads_to(world, Position("bg", "home"))
    for _ in range(2):
        assert "С какво да започнем?" in (await her.get(address)).text
        world.clock.time += timedelta(minutes=9)
    assert "Супа от леща" in (await her.get(address)).text
    assert [incoming.event for incoming in world.line.received] == [
        Tapped(Position("bg", "home"), True), Tapped(Position("bg", "home"), True), Started(None),
    ]  # fmt: skip


@pytest.mark.parametrize(
    "code", ["x", "A" * 123, "%00", "й", "bg:home", "bg:home::htc9i", "a" * 9999]
)
async def test_an_address_that_leads_nowhere_shows_the_cover(
    her: httpx.AsyncClient, world: World, code: str
) -> None:
    page = await her.get(f"/r/{code}")
    assert page.status_code == 200
    assert "Супа от леща" in page.text
    assert world.line.received[0].event == Started(None)
    assert "set-cookie" not in page.headers
    assert page.headers["cache-control"] == "no-store"


async def test_who_has_a_case_on_the_page_keeps_it_when_she_comes_from_a_chat(
    her: httpx.AsyncClient, world: World
) -> None:
    token = await open_case(her)
    await her.get(leads_to(world, Position("bg", "home")))
    assert her.cookies["k"] == token
    assert world.line.received[-1].address == token


async def test_two_who_come_by_one_address_are_two(her: httpx.AsyncClient, world: World) -> None:
    address = leads_to(world, Position("bg", "home"))
    for _ in range(2):
        await her.get(address)
    assert len({incoming.address for incoming in world.line.received}) == 2


async def test_112_answers_on_the_way_from_a_chat_when_the_rest_does_not(
    her: httpx.AsyncClient, world: World
) -> None:
    world.line.broken = True
    page = await her.get(leads_to(world, Position("bg", "home")))
    assert page.status_code == 503
    assert 'href="tel:112"' in page.text
    assert page.headers["cache-control"] == "no-store"


# --- freshness and forged input ---------------------------------------------------------------


@pytest.mark.parametrize(
    ("minutes", "fresh"), [(0, True), (29, True), (31, False), (-1, True), (-10, False)]
)
async def test_a_button_older_than_half_an_hour_is_not_fresh(
    her: httpx.AsyncClient, world: World, minutes: int, fresh: bool
) -> None:
    await her.post("/", data={"p": to("home", timedelta(minutes=minutes))})
    assert world.line.received[0].event == Tapped(Position("bg", "home"), fresh)


async def test_words_are_as_fresh_as_the_page_they_were_typed_on(
    her: httpx.AsyncClient, world: World
) -> None:
    await her.post("/", data={"at": to("home", timedelta(minutes=40)), "text": " защита "})
    assert world.line.received[0].event == Typed("защита", fresh=False)
    assert world.line.received[0].position == Position("bg", "home")


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"p=",
        b"p=%00%ff",
        b"p=bg:home",
        b"p=' OR 1=1",
        b"p=" + b"a" * 500,
        b"text=&at=&seen=x",
        b"&".join(b"a=1" for _ in range(50)),
        b"\xff\xfe\x00",
        b"p=" + b"a" * 70_000,
    ],
)
async def test_whatever_is_posted_the_answer_is_a_safe_screen(
    her: httpx.AsyncClient, world: World, body: bytes
) -> None:
    answer = await her.post("/", content=body)
    assert answer.status_code in (200, 400)
    assert "112" in answer.text
    assert "Traceback" not in answer.text
    events = [incoming.event for incoming in world.line.received]
    assert all(isinstance(e, Tapped) and (e.to is None or not e.fresh) for e in events)


# --- hide ---------------------------------------------------------------------------------------


async def test_hide_leads_away_at_once(her: httpx.AsyncClient) -> None:
    for _ in range(2):
        answer = await tap(her, "hide")
        assert answer.status_code == 303
        assert answer.headers["location"] == EXIT
        assert answer.headers["referrer-policy"] == "no-referrer"


async def test_hide_leads_away_even_when_nothing_else_works(
    her: httpx.AsyncClient, world: World
) -> None:
    await open_case(her)
    world.line.hangs, world.channel._answer_seconds = True, SOON
    assert (await tap(her, "hide")).status_code == 303
    world.line.broken = True
    assert (await tap(her, "hide")).status_code == 303


async def test_hide_holds_her_case_and_keeps_it_for_her_return(
    her: httpx.AsyncClient, world: World
) -> None:
    token = await open_case(her)
    await tap(her, "hide")
    assert world.line.received[-1].event == Tapped(Position("bg", "hide"), True)
    assert her.cookies["k"] == token


@pytest.mark.parametrize("words", [SAFE_WORD, "9"])
async def test_the_safe_word_and_nine_hide_too(her: httpx.AsyncClient, words: str) -> None:
    fields = {"at": to("home"), "text": words}
    assert (await her.post("/", data=fields)).headers["location"] == EXIT
    by_script = await her.post("/", data=fields, headers=BY_SCRIPT)
    assert by_script.status_code == 204
    assert by_script.headers["x-leave"] == "1"


# --- a case -----------------------------------------------------------------------------------


async def test_the_cookie_comes_with_the_case_and_goes_with_it(
    her: httpx.AsyncClient, world: World
) -> None:
    opened = await tap(her, "open")
    cookie = opened.headers["set-cookie"].lower()
    assert "httponly" in cookie
    assert "samesite=strict" in cookie
    assert "path=/" in cookie
    assert "max-age" not in cookie
    assert "expires" not in cookie
    assert "secure" not in cookie
    await her.get("/")
    assert her.cookies["k"] in world.line.cases
    await tap(her, "forget")
    assert not her.cookies


async def test_behind_https_the_cookie_travels_encrypted_only() -> None:
    world = World(public_url="https://phen.test")
    transport = httpx.ASGITransport(app=world.app())
    async with httpx.AsyncClient(transport=transport, base_url="https://phen.test") as her:
        opened = await tap(her, "open")
    assert "; secure" in opened.headers["set-cookie"].lower()
    assert "strict-transport-security" in opened.headers


async def test_a_cookie_of_no_case_is_taken_away(her: httpx.AsyncClient) -> None:
    her.cookies.set("k", "a" * 22, domain="phen.test")
    assert 'k=""' in (await tap(her, "home")).headers["set-cookie"]


async def test_a_case_opens_under_no_address_that_was_there_before_it(
    her: httpx.AsyncClient, world: World
) -> None:
    planted = "a" * 22
    her.cookies.set("k", planted)
    opened = await tap(her, "open")
    [hers] = world.line.cases
    assert hers != planted
    assert f"k={hers};" in opened.headers["set-cookie"]


async def test_who_cannot_be_asked_about_her_case_keeps_it(
    her: httpx.AsyncClient, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    token, asked = await open_case(her), asyncio.Event()

    async def hangs(*_: str) -> bool:
        await asked.wait()
        return False

    monkeypatch.setattr(world.line, "has_case", hangs)
    monkeypatch.setattr("bot.web.chat.KNOWN_SECONDS", SOON)
    assert 'href="tel:112"' in (await tap(her, "danger")).text
    assert world.line.received[-1].address == token
    asked.set()


async def test_without_the_script_her_words_are_kept_and_her_case_stands(
    her: httpx.AsyncClient, world: World
) -> None:
    await open_case(her)
    page = await her.post("/", data={"at": to(CASE), "text": "Той <чете> всичко."})
    assert world.line.relayed == ["Той <чете> всичко."]
    assert "Повикахме човек." in page.text
    assert "Той &lt;чете&gt; всичко." in page.text
    assert "Изпратено" in page.text


async def test_words_from_an_old_page_are_kept_and_answered_with_the_cover(
    her: httpx.AsyncClient, world: World
) -> None:
    await open_case(her)
    world.line.due = [message(1, "Тук съм.")]
    old = to(CASE, timedelta(minutes=31))
    page = await her.post("/", data={"at": old, "text": "Ало"})
    assert world.line.relayed == ["Ало"]
    assert 'data-cover="1"' in page.text
    assert "Ало" not in page.text
    assert "Тук съм." not in page.text


async def test_words_posted_twice_carry_one_key_and_other_words_their_own(
    her: httpx.AsyncClient, world: World
) -> None:
    await open_case(her)
    page = await tap(her, CASE)
    once = re.findall(r'name="once" value="([^"]+)"', page.text)
    for words in ("Ало", "Ало", "Ало, той идва"):  # under one key, as after a lost answer
        await her.post("/", data={"at": to(CASE), "text": words, "once": once[0]})
    first, again, other = (i.key for i in world.line.received if isinstance(i.event, Typed))
    assert first == again != other
    assert once[0] in first
    assert "Ало" not in first


async def test_without_the_script_answers_come_with_the_next_page_until_read(
    her: httpx.AsyncClient, world: World
) -> None:
    await open_case(her)
    world.line.due = [message(1, "Здравей."), message(2, "Обади се:\n112")]
    page = (await tap(her, CASE)).text
    assert page.index("Здравей.") < page.index("Обади се:")
    assert 'name="seen" value="1 2"' in page
    assert "Мария" in page
    assert "Здравей." in (await tap(her, CASE)).text
    read = (await tap(her, CASE, seen="1")).text
    assert "Здравей." not in read
    assert "Обади се:" in read


async def test_answers_stay_unread_on_the_cover(her: httpx.AsyncClient, world: World) -> None:
    await open_case(her)
    world.line.due = [message(1, "Здравей.")]
    assert "Здравей." not in (await her.get("/")).text


# --- when something is broken --------------------------------------------------------------------


@pytest.mark.parametrize("fault", ["broken", "hangs"])
async def test_112_answers_when_the_rest_does_not(
    her: httpx.AsyncClient, world: World, fault: str
) -> None:
    setattr(world.line, fault, True)
    world.channel._answer_seconds = SOON
    for answer in (await her.get("/"), await tap(her, "danger"), await her.get("/?start=x")):
        assert answer.status_code == 503
        assert 'href="tel:112"' in answer.text


async def test_words_that_could_not_be_kept_stand_in_the_field_again(
    her: httpx.AsyncClient, world: World
) -> None:
    world.line.broken = True
    fields = {"at": to("home"), "text": "Чакай ме.", "once": "onceonce"}
    page = await her.post("/", data=fields)
    assert ">Чакай ме.</textarea>" in page.text
    assert 'name="once" value="onceonce"' in page.text
    assert re.findall(r'class="mark at-(\w+)"', page.text) == ["home", "danger", "hide"]


async def test_an_old_button_does_not_become_a_new_one_while_nothing_answers(
    her: httpx.AsyncClient, world: World
) -> None:
    world.line.broken = True
    old = to("page", timedelta(minutes=31))
    page = await her.post("/", data={"p": old, "at": old})
    assert page.status_code == 503
    assert 'data-cover="1"' in page.text
    led = [payload.unpack(each) for each in re.findall(r'name="p" value="([^"]+)"', page.text)]
    assert led == [Position("bg", "start")]
    assert 'name="p" value="bg:page' in (await her.post("/", data={"p": to("page")})).text


async def test_words_from_an_old_page_are_kept_for_her_and_lead_to_the_start(
    her: httpx.AsyncClient, world: World
) -> None:
    world.line.broken = True
    old = to(CASE, timedelta(minutes=31))
    page = (await her.post("/", data={"at": old, "text": "Чакай ме."})).text
    assert ">Чакай ме.</textarea>" in page
    stands = [payload.unpack(at) for at in re.findall(r'name="(?:at|p)" value="([^"]+)"', page)]
    assert set(stands) == {Position("bg", "start")}


async def test_an_unknown_address_and_a_fault_show_nothing_of_themselves(
    her: httpx.AsyncClient, world: World
) -> None:
    world.parts.channel.answer = None  # type: ignore[assignment,method-assign]
    for answer in (await her.get("/wp-admin"), await her.put("/"), await her.get("/")):
        assert 'href="tel:112"' in answer.text
        assert "<title>Дом и здраве</title>" in answer.text
        assert "error" not in answer.text.lower()
        assert "Error" not in answer.text


async def test_a_faults_page_is_kept_nowhere_and_framed_by_nobody(
    her: httpx.AsyncClient, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> bool:
        raise RuntimeError

    monkeypatch.setattr(world.channel, "seen", broken)
    her.cookies.set("k", "a" * 22, domain="phen.test")
    fault = await her.post("/seen", data={"n": "1"})
    assert fault.status_code == 500
    assert fault.headers["cache-control"] == "no-store"
    assert "frame-ancestors 'none'" in fault.headers["content-security-policy"]


async def test_a_tap_that_shows_nothing_is_our_fault_and_says_so(
    her: httpx.AsyncClient, world: World
) -> None:
    world.line.silent = True
    for headers in ({}, BY_SCRIPT):
        answer = await her.post("/", data={"p": to("home")}, headers=headers)
        assert answer.status_code == 503
        assert 'href="tel:112"' in answer.text


async def test_health_names_what_does_not_work(her: httpx.AsyncClient, world: World) -> None:
    assert (await her.get("/healthz")).status_code == 200
    world.well = {"database": True, "telegram": False}
    ill = await her.get("/healthz")
    assert ill.status_code == 503
    assert ill.json()["parts"]["telegram"] is False


async def test_nothing_inline_and_nothing_of_others_may_run(her: httpx.AsyncClient) -> None:
    page = await tap(her, "home")
    policy = page.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "script-src 'self';" in policy
    assert "frame-ancestors 'none'" in policy
    assert "unsafe" not in policy
    assert page.headers["x-frame-options"] == "DENY"
    assert not re.search(r"<style|style=|<script>| on[a-z]+=", page.text)
    assert not re.search(r'(?:src|href)="(?:https?:)?//', page.text)


# --- the stream, over a real server ---------------------------------------------------------------


@pytest.fixture
async def server(world: World) -> AsyncIterator[str]:
    async with served(world) as address:
        yield address


async def event(lines: AsyncIterator[str]) -> dict[str, Any]:
    async for line in lines:
        if line.startswith("data: "):
            return dict(json.loads(line[6:]))
    raise AssertionError


async def test_an_answer_reaches_her_open_page_and_counts_once_she_has_it(
    server: str, world: World
) -> None:
    async with httpx.AsyncClient(base_url=server) as her:
        address = await open_case(her)
        async with her.stream("GET", "/live") as stream:
            assert stream.headers["content-type"].startswith("text/event-stream")
            assert stream.headers["cache-control"] == "no-store"
            lines = stream.aiter_lines()
            await anext(lines)
            assert world.line.present == {address}
            sending = asyncio.create_task(
                world.channel.show(address, message(7, "Тук съм.\n\n</p>"), None)
            )
            assert (await event(lines))["text"] == "Тук съм.\n\n</p>"
            await her.post("/seen", data={"n": "7"})
            assert await sending == "7"
        assert await eventually(lambda: not world.line.present)


async def test_reading_on_an_open_page_says_that_she_is_back(server: str, world: World) -> None:
    async with httpx.AsyncClient(base_url=server) as her:
        address = await open_case(her)
        async with her.stream("GET", "/live") as stream:
            await anext(stream.aiter_lines())
            world.line.left("web", address)  # her page was in the background for a while
            await her.post("/seen", data={"n": "7"})
            assert world.line.present == {address}


async def test_leaving_does_not_say_that_she_is_back(server: str, world: World) -> None:
    async with httpx.AsyncClient(base_url=server) as her:
        address = await open_case(her)
        async with her.stream("GET", "/live") as stream:
            await anext(stream.aiter_lines())
            world.line.left("web", address)
            await tap(her, "hide", seen="7", away="1")
            assert world.line.present == set()


async def test_a_stop_covers_an_open_page_and_ends_its_stream(server: str, world: World) -> None:
    async with httpx.AsyncClient(base_url=server) as her:
        await open_case(her)
        async with her.stream("GET", "/live") as stream:
            lines = stream.aiter_lines()
            await anext(lines)
            await world.channel.close()
            told = [json.loads(line[6:]) async for line in lines if line.startswith("data")]
            assert [wiped["all"] for wiped in told] == [True]


async def test_the_stream_ends_with_all_that_was_kept_of_her(
    server: str, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bot.web.chat.HEARTBEAT", 0.05)
    async with httpx.AsyncClient(base_url=server) as her:
        address = await open_case(her)
        async with her.stream("GET", "/live") as stream:
            lines = stream.aiter_lines()
            for _ in range(6):  # it goes on while there is a case
                await anext(lines)
            world.line.cases.discard(address)
            async for _ in lines:
                pass
        assert await eventually(lambda: not world.channel.addresses)


async def test_there_is_no_stream_without_a_case(her: httpx.AsyncClient) -> None:
    assert (await her.get("/live")).status_code == 204
    her.cookies.set("k", "a" * 22, domain="phen.test")
    assert (await her.get("/live")).status_code == 204


async def test_pages_are_packed_for_slow_lines(server: str) -> None:
    async with httpx.AsyncClient(base_url=server) as her, her.stream("GET", "/") as page:
        raw = b"".join([chunk async for chunk in page.aiter_raw()])
    assert page.headers["content-encoding"] == "gzip"
    assert len(raw) * 2 < len(gzip.decompress(raw))


# --- photos and voices -----------------------------------------------------------------------


async def give(her: httpx.AsyncClient, content: bytes, **fields: str) -> httpx.Response:
    """Send the form with a file, whose name is a person's."""
    form = {"at": to(CASE), "seen": "0", "once": "k-m", **fields}
    return await her.post("/", data=form, files={"medium": ("Мария Иванова.jpg", content)})


async def test_the_form_for_photos_and_voice_is_there_when_she_has_agreed(
    her: httpx.AsyncClient, world: World
) -> None:
    page = await tap(her, "open")
    assert 'type="file"' not in page.text
    world.line.takes_media = True
    assert 'type="file"' in (await tap(her, CASE)).text
    assert 'type="file"' not in (await tap(her, "page")).text


@pytest.mark.parametrize(
    ("content", "kind"),
    [
        (sounds.photo(), MediaKind.PHOTO),
        (sounds.photo("WEBP"), MediaKind.PHOTO),
        (sounds.voice(), MediaKind.VOICE),
        (b"anything", MediaKind.VOICE),
    ],
    ids=["photo", "webp", "voice", "anything"],
)
async def test_a_medium_comes_with_its_key_its_place_and_no_name(
    her: httpx.AsyncClient, world: World, content: bytes, kind: MediaKind
) -> None:
    address = await open_case(her)
    page = await give(her, content)
    assert page.status_code == 200
    assert page.text.count('class="mine"') == 1
    got = next(each for each in world.line.received if isinstance(each.event, Sent))
    assert (got.event, got.address) == (Sent(kind), address)
    assert got.position == Position("bg", CASE)
    assert world.line.given == [content]
    assert "Мария Иванова" not in page.text + repr(world.line.received)


async def test_a_medium_given_twice_carries_one_key_and_another_its_own(
    her: httpx.AsyncClient, world: World
) -> None:
    await open_case(her)

    async def given(content: bytes) -> bool:  # the one before is done
        return (await give(her, content)).status_code == 200

    for content in (b"one", b"one", b"other"):
        assert await eventually(lambda content=content: given(content))
    first, again, other = (i.key for i in world.line.received if isinstance(i.event, Sent))
    assert first == again != other
    assert "k-m" in first


async def test_for_the_script_there_is_nothing_to_show(
    her: httpx.AsyncClient, world: World
) -> None:
    await open_case(her)
    her.headers.update(BY_SCRIPT)
    assert (await give(her, sounds.photo())).status_code == 204
    assert len(world.line.given) == 1


async def test_a_form_without_a_file_shows_her_case_again(
    her: httpx.AsyncClient, world: World
) -> None:
    await open_case(her)
    page = await give(her, b"")
    assert page.status_code == 200
    assert "Повикахме човек." in page.text
    assert world.line.given == []


async def test_of_who_has_no_case_nothing_is_read(her: httpx.AsyncClient, world: World) -> None:
    read = 0

    async def endless() -> AsyncIterator[bytes]:
        nonlocal read
        yield b"--x\r\n"
        read += 1
        yield b"..."

    headers = {"Content-Type": "multipart/form-data; boundary=x"}
    for cookie in (None, "k" * 22):
        if cookie:
            her.cookies["k"] = cookie
        answer = await her.post("/", content=endless(), headers=headers)
        assert answer.status_code == 400
        assert "112" in answer.text
    assert world.line.received == []


@pytest.mark.parametrize(
    "body", [b"", b"no parts", b'--x\r\nContent-Disposition: form-data; name="at"\r\n\r\nbg'],
    ids=["nothing", "no parts", "half a part"],
)  # fmt: skip
async def test_a_broken_form_breaks_nothing(
    her: httpx.AsyncClient, world: World, body: bytes
) -> None:
    await open_case(her)
    headers = {"Content-Type": "multipart/form-data; boundary=x"}
    answer = await her.post("/", content=body, headers=headers)
    assert answer.status_code in (200, 400)
    assert world.line.given == []


async def test_what_is_as_large_as_allowed_arrives_and_more_does_not(
    her: httpx.AsyncClient, world: World
) -> None:
    await open_case(her)
    assert (await give(her, bytes(MAX_MEDIUM))).status_code == 200

    async def refused() -> bool:  # the first one is done
        return (await give(her, bytes(MAX_MEDIUM + 100_000))).status_code == 413

    assert await eventually(refused)
    assert [len(each) for each in world.line.given] == [MAX_MEDIUM]


async def test_of_one_woman_no_second_medium_is_read_before_the_first_is_done(
    her: httpx.AsyncClient, world: World
) -> None:
    await open_case(her)
    answers = await asyncio.gather(*(give(her, bytes(MAX_MEDIUM), once=f"k{n}") for n in range(5)))
    assert sorted(answer.status_code for answer in answers) == [200, 503, 503, 503, 503]
    assert len(world.line.given) == 1
    assert (await give(her, b"later", once="later")).status_code == 200
    assert world.line.given[1:] == [b"later"]


async def test_no_more_media_come_in_at_once_than_the_memory_holds(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bot.web.chat.UPLOADS", 2)
    transport = httpx.ASGITransport(app=world.app(), raise_app_exceptions=False)
    async with AsyncExitStack() as stack:
        women = [
            await stack.enter_async_context(
                httpx.AsyncClient(transport=transport, base_url="http://phen.test")
            )
            for _ in range(4)
        ]
        for woman in women:
            await open_case(woman)
        answers = await asyncio.gather(*(give(woman, b"a photo") for woman in women))
        assert sorted(answer.status_code for answer in answers) == [200, 200, 503, 503]
        assert all("112" in answer.text for answer in answers)


async def test_nothing_of_a_large_medium_touches_the_disk(
    her: httpx.AsyncClient, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_file(*_: object, **__: object) -> None:
        raise AssertionError("a file was opened")

    await open_case(her)
    monkeypatch.setattr("tempfile.TemporaryFile", no_file)
    assert (await give(her, bytes(MAX_MEDIUM))).status_code == 200
    assert len(world.line.given) == 1


async def test_a_voice_on_the_page_can_be_played_and_plays_by_itself_never(
    her: httpx.AsyncClient, world: World
) -> None:
    await open_case(her)
    voice = await media.voice(sounds.voice())
    world.line.due = [message(1, "Гласово съобщение.", voice=voice)]
    page = await tap(her, CASE)
    assert "<audio controls" in page.text
    assert "autoplay" not in page.text
    ogg, mp3 = re.findall(r'<source src="([^"]+)"', page.text)
    assert re.fullmatch(r"/m/[0-9a-f]{32}\.ogg", ogg)
    answer = await her.get(ogg)
    assert (answer.content, answer.headers["Cache-Control"]) == (voice, "no-store")
    assert sounds.stream((await her.get(mp3)).content) == "mp3,48000,1"
    assert "media-src 'self' blob:" in page.headers["Content-Security-Policy"]


async def test_without_tools_a_voice_is_there_as_it_is(
    her: httpx.AsyncClient, world: World, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    await open_case(her)
    monkeypatch.setenv("PATH", str(tmp_path))
    world.line.due = [message(1, "Гласово съобщение.", voice=b"OggS")]
    ogg, mp3 = re.findall(r'<source src="([^"]+)"', (await tap(her, CASE)).text)
    assert (await her.get(ogg)).content == b"OggS"
    assert (await her.get(mp3)).status_code == 404


async def test_messages_without_a_voice_have_no_player(
    her: httpx.AsyncClient, world: World
) -> None:
    await open_case(her)
    world.line.due = [message(1, "Тук съм.")]
    assert "<audio" not in (await tap(her, CASE)).text
