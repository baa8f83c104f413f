"""The page of posters as the team's browser meets it, and where a poster's codes lead her."""

from __future__ import annotations

import html
import re
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import pytest
import pytest_asyncio

from bot.channels.base import Linked
from bot.posters import Posters
from bot.storage.records import Role
from bot.texts import open_content
from bot.web.login import SESSION_COOKIE
from tests.bot.desk import Centre, a_centre
from tests.bot.test_posters import BOTH, OURS, Chat, codes, modules
from tests.bot.web.test_desk_web import HOST, Browser, browser, site
from tests.line import Line, running_line

HOME = "/staff/posters"
ONE = f"{HOME}/rse04.bg.svg"
SILENT = Chat(None)


@pytest.fixture
async def centre(tmp_path: Path) -> AsyncIterator[Centre]:
    async with a_centre(tmp_path) as made:
        yield made


@asynccontextmanager
async def ivan(centre: Centre, linked: Mapping[str, Linked], web: str) -> AsyncIterator[Browser]:
    """Somebody of the team, where these chats and this page can be linked to."""
    session = await centre.session_of("ivan", [Role.STAFF])
    posters = Posters(open_content()[1], linked, web)
    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(site(centre, posters=posters)),
        base_url=HOST,
        cookies={SESSION_COOKIE: session},
    ) as client:
        yield Browser(client)


# --- the page ----------------------------------------------------------------------------------


async def test_every_municipality_has_a_poster_in_each_language(centre: Centre) -> None:
    content, texts = open_content()
    async with ivan(centre, BOTH, OURS) as page:
        await page.get("/staff")
        assert f'href="{HOME}"' in page.page
        await page.get(HOME)
        listed = set(re.findall(rf'href="({HOME}/[^"]+)"', page.page))
        assert len(listed) == len(content.places) * len(content.languages)
        assert all(texts.say("bg", place.name) in page.text for place in content.places.values())
        for name in ("Telegram", "Viber", "Интернет"):
            assert f'<span class="badge">{name}</span>' in page.page
        for address in listed:
            await page.get(address)
            assert page.status == 200
            place, language, _ = address.removeprefix(f"{HOME}/").split(".")
            assert f'xml:lang="{language}"' in page.page
            assert texts.say(language, content.places[place].name) in page.text


async def test_a_poster_opens_in_the_browser_and_needs_nothing_that_is_forbidden_there(
    centre: Centre,
) -> None:
    async with ivan(centre, BOTH, OURS) as page:
        answer = await page.client.get(ONE)
        assert answer.headers["content-type"].startswith("image/svg+xml")
        assert answer.headers["content-disposition"] == 'inline; filename="rse04.bg.svg"'
        assert answer.headers["cache-control"] == "no-store"
        assert "style-src 'self';" in answer.headers["content-security-policy"]
        assert "style" not in answer.text
        assert len(codes(answer.text)) == 3


async def test_a_chat_that_does_not_tell_its_name_is_left_out_and_named(centre: Centre) -> None:
    async with ivan(centre, {"telegram": SILENT, "viber": BOTH["viber"]}, "") as page:
        await page.get(HOME)
        assert "Telegram не отговаря сега" in page.text
        assert "PHEN_PUBLIC_URL" in page.text
        assert "Viber не отговаря" not in page.text
        await page.get(ONE)
        assert [each.label for each in codes(page.page)] == ["Viber"]


async def test_where_nothing_can_be_linked_to_there_is_no_poster(centre: Centre) -> None:
    async with ivan(centre, {}, "") as page:
        await page.get(HOME)
        assert "няма къде да води плакатът" in page.text
        assert "rse04" not in page.page
        await page.get(ONE)
        assert page.status == 503
        assert "няма къде да води плакатът" in page.text


@pytest.mark.parametrize("name", ["rse99.bg.svg", "rse04.xx.svg", "rse04.svg", "..bg.svg"])
async def test_a_poster_of_nowhere_is_not_found(centre: Centre, name: str) -> None:
    async with ivan(centre, BOTH, OURS) as page:
        await page.get(f"{HOME}/{name}")
        assert page.status == 404


async def test_consultants_have_no_business_there(centre: Centre) -> None:
    async with browser(centre, await centre.session_of("maria")) as maria:
        for path in (HOME, ONE):
            await maria.get(path)
            assert maria.status == 403


# --- where the codes lead ----------------------------------------------------------------------


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def line(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Line]:
    async with running_line(tmp_path_factory.mktemp("line")) as running:
        yield running


class Woman:
    """She has no script: each tap is a form."""

    def __init__(self, client: httpx.AsyncClient, page: str) -> None:
        self.client = client
        self.page = page

    @property
    def buttons(self) -> dict[str, str]:
        found = re.findall(r'name="p" value="([^"]*)".*?<span>([^<]*)</span></button>', self.page)
        return {html.unescape(label): html.unescape(value) for value, label in found}

    async def taps(self, label: str) -> None:
        self.page = (await self.client.post("/", data={"p": self.buttons[label]})).text


@pytest.mark.asyncio(loop_scope="module")
async def test_the_webs_code_leads_through_the_gate_to_that_municipality(line: Line) -> None:
    planned = await line.reception("rse04", "Читалище „Пробуда“")
    place = line.phen.content.places["rse04"]
    links = await line.phen.posters.links(place)
    link = links["web"]
    assert link is not None
    async with httpx.AsyncClient(base_url=line.url) as client:
        her = Woman(client, (await client.get(link)).text)
        assert planned.place not in her.page
        assert link.partition("=")[2] not in re.sub(r'value="[^"]*"', "", her.page)
        for label in ("За мен", "Български", "Да, сама съм", "Разбрах"):
            assert planned.place not in html.unescape(her.page)
            await her.taps(next(each for each in her.buttons if each.startswith(label)))
        assert planned.place in html.unescape(her.page)
        assert not client.cookies


@pytest.mark.asyncio(loop_scope="module")
async def test_the_poster_leads_to_the_chats_by_the_names_that_the_platforms_tell(
    line: Line,
) -> None:
    posters, place = line.phen.posters, line.phen.content.places["rse27"]
    links = await posters.links(place)
    assert list(links) == ["telegram", "viber", "web"]
    told = re.fullmatch(r"https://t\.me/\w+\?start=(\w+)", links["telegram"] or "")
    assert told
    assert (links["viber"] or "").endswith(f"&context={told[1]}")
    assert (links["web"] or "").endswith(f"/?start={told[1]}")
    found = {each.label: each.modules for each in codes(posters.draw(place, "bg", links))}
    assert found["Telegram"] == modules(links["telegram"] or "")
