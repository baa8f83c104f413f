"""The login and the web desk as a consultant's browser meets them, without a script."""

from __future__ import annotations

import asyncio
import html
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, cast

import httpx
import pyotp
import pytest
from starlette.applications import Starlette

from bot.desk.web import desk_routes, neutral
from bot.storage.records import CaseState, MessageState, Role
from bot.web.app import WebParts, assemble
from bot.web.login import SESSION_COOKIE, login_routes
from bot.web.security import MAX_BODY
from bot.web.staff import staff_routes
from tests.bot.desk import PASSWORD, Centre, a_centre, words

HOST = "https://desk.test"


def site(centre: Centre) -> Starlette:
    """The pages behind the login, over a real store."""
    content, texts = words()
    parts = WebParts(
        content=content,
        texts=texts,
        channel=cast(Any, None),
        intake=cast(Any, None),
        desk=centre.desk,
        accounts=centre.accounts,
        store=centre.store,
        changes=centre.changes,
        links=cast(Any, None),
        now=centre.clock,
        health=cast(Any, None),
        counts=cast(Any, None),
        public_url=HOST,
    )
    return assemble(parts, [*login_routes(parts), *desk_routes(parts), *staff_routes(parts)])


class Browser:
    """A browser without a script: it follows redirects and fills in the forms it sees."""

    def __init__(self, client: httpx.AsyncClient) -> None:
        self.client = client
        self.page = ""
        self.status = 0

    async def get(self, path: str) -> str:
        return self._seen(await self.client.get(path))

    async def post(self, path: str, headers: Any = None, **fields: Any) -> str:
        return self._seen(await self.client.post(path, data=fields, headers=headers))

    async def submit(self, action: str, **fields: Any) -> str:
        """Submit the form with this action that stands on the page."""
        return await self.post(action, **self.fields(action) | fields)

    def fields(self, action: str) -> dict[str, str]:
        """The hidden fields of a form on the page."""
        found = re.search(f'<form[^>]*action="{re.escape(action)}".*?</form>', self.page, re.S)
        assert found, f"no form to {action}"
        pairs = re.findall(r'<input type="hidden" name="(\w+)" value="([^"]*)"', found[0])
        return {name: html.unescape(value) for name, value in pairs}

    @property
    def text(self) -> str:
        return html.unescape(" ".join(re.sub(r"<[^>]+>", " ", self.page).split()))

    def _seen(self, response: httpx.Response) -> str:
        self.page, self.status = response.text, response.status_code
        return self.page


@asynccontextmanager
async def browser(centre: Centre, session: str = "") -> AsyncIterator[Browser]:
    cookies = {SESSION_COOKIE: session} if session else {}
    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(site(centre)),
        base_url=HOST,
        follow_redirects=True,
        cookies=cookies,
    ) as client:
        yield Browser(client)


@pytest.fixture
async def centre(tmp_path: Path) -> AsyncIterator[Centre]:
    async with a_centre(tmp_path) as made:
        yield made


@pytest.fixture
async def maria(centre: Centre) -> AsyncIterator[Browser]:
    """A consultant at her desk."""
    async with browser(centre, await centre.session_of("maria")) as made:
        yield made


# --- coming in ---------------------------------------------------------------------------


async def test_an_invited_person_comes_in_with_password_and_code(centre: Centre) -> None:
    token = await centre.accounts.invite("maria", [Role.CONSULTANT])
    async with browser(centre) as new:
        await new.get("/invite")
        await new.submit("/invite", token=f"{HOST}/invite#{token}")
        assert "Здравей, maria" in new.text
        await new.submit("/invite/password", password="short", again="short")
        assert "поне 12 знака" in new.text
        await new.submit("/invite/password", password=PASSWORD, again=PASSWORD + "x")
        assert "различни" in new.text
        await new.submit("/invite/password", password=PASSWORD, again=PASSWORD)
        assert "<svg" in new.page
        assert PASSWORD not in new.page
        found = re.search(r'class="secret">([A-Z2-7 ]+)<', new.page)
        assert found
        await new.submit("/invite/code", code="000000")
        assert "не важи" in new.text
        code = pyotp.TOTP(found[1].replace(" ", "")).at(centre.clock.at)
        await new.submit("/invite/code", code=code)
        assert "Чакат човек" in new.text
        await new.get("/invite")
        await new.submit("/invite", token=token)
        assert "вече е използвана" in new.text


async def test_the_session_cookie_is_kept_from_scripts_and_other_sites(centre: Centre) -> None:
    await centre.session_of("maria")
    centre.clock.passes(minutes=1)
    async with browser(centre) as visitor:
        await visitor.get("/login")
        fields = {"login": "maria", "password": PASSWORD, "code": centre.code("maria")}
        answer = await visitor.client.post("/login", data=fields, follow_redirects=False)
    cookie = answer.headers["set-cookie"].casefold()
    assert all(part in cookie for part in ("httponly", "samesite=strict", "secure", "path=/"))
    assert answer.headers["location"] == "/desk"


async def test_a_refused_login_does_not_say_what_was_wrong(centre: Centre) -> None:
    await centre.session_of("maria")
    async with browser(centre) as visitor:
        texts = []
        for login in ("maria", "nobody"):
            await visitor.post("/login", login=login, password="wrong wrong wrong", code="1")
            texts.append(visitor.text.replace(login, ""))
            assert visitor.status == 403
    assert texts[0] == texts[1]


async def test_a_login_form_of_another_site_is_refused(centre: Centre) -> None:
    await centre.session_of("maria")
    centre.clock.passes(minutes=1)
    fields = {"login": "maria", "password": PASSWORD, "code": centre.code("maria")}
    for foreign in ({"Sec-Fetch-Site": "cross-site"}, {"Origin": "https://evil.example"}):
        async with browser(centre) as visitor:
            await visitor.post("/login", foreign, **fields)
            assert visitor.status == 403


@pytest.mark.parametrize("path", ["/desk", "/desk/case/x", "/staff", "/staff/accounts"])
async def test_without_a_login_every_page_is_the_login(centre: Centre, path: str) -> None:
    async with browser(centre) as visitor:
        await visitor.get(path)
    assert "Код от приложението" in visitor.text


@pytest.mark.parametrize("path", ["/desk/list", "/desk/live", "/desk/case/x/live"])
async def test_what_a_page_asks_for_by_itself_is_refused_plainly(centre: Centre, path: str) -> None:
    async with browser(centre) as visitor:
        await visitor.get(path)
    assert (visitor.status, visitor.page) == (401, "")


async def test_after_the_logout_the_desk_is_closed(maria: Browser) -> None:
    await maria.get("/desk")
    await maria.submit("/logout")
    assert "Излезе" in maria.text
    await maria.get("/desk")
    assert "Чакат човек" not in maria.text


async def test_a_form_without_its_token_changes_nothing(centre: Centre, maria: Browser) -> None:
    case = await centre.woman("тих орех")
    for fields in ({}, {"form_token": "0" * 64}):
        await maria.post(f"/desk/case/{case.id}/claim", **fields)
        assert maria.status == 403
    await maria.get("/desk")
    token = maria.fields("/logout")
    await maria.post(f"/desk/case/{case.id}/claim", {"Sec-Fetch-Site": "same-site"}, **token)
    assert maria.status == 403
    assert (await centre.case(case)).state is CaseState.WAITING


# --- the desk ----------------------------------------------------------------------------


async def test_the_list_shows_age_language_and_channel_only(centre: Centre, maria: Browser) -> None:
    case = await centre.woman("тих орех", "Страх ме е.", language="tr")
    centre.clock.passes(minutes=12)
    await maria.get("/desk")
    assert "чака 12 мин" in maria.text
    assert "турски · уеб" in maria.text
    for hidden in ("тих орех", "Страх", "Русе"):
        assert hidden not in maria.text
    await maria.get(f"/desk/case/{case.id}")
    for hidden in ("тих орех", "Страх", "Русе"):
        assert hidden not in maria.text


async def test_claim_answer_note_and_close(centre: Centre, maria: Browser) -> None:
    case = await centre.woman("тих орех", "Мога ли да питам?")
    at = f"/desk/case/{case.id}"
    await maria.get("/desk")
    await maria.submit(f"{at}/claim")
    assert all(shown in maria.text for shown in ("тих орех", "Русе", "Мога ли да питам?"))
    await maria.submit(f"{at}/reply", text="Питай спокойно.")
    assert "Питай спокойно." in maria.text
    await maria.submit(f"{at}/note", text="Има две деца.")
    assert "Вътрешна бележка" in maria.text
    assert await centre.send_all() == [
        words()[1].say("bg", "notice.claimed"), "Питай спокойно."
    ]  # fmt: skip
    await maria.submit(f"{at}/close")
    assert "Разговорът е приключен" in maria.text
    assert f"{at}/reply" not in maria.page


async def test_the_second_to_claim_is_told_kindly(centre: Centre, maria: Browser) -> None:
    case = await centre.woman("тих орех")
    await maria.get("/desk")
    elena = await centre.person("elena")
    await centre.desk.claim(elena, case.id)
    await maria.submit(f"/desk/case/{case.id}/claim")
    assert maria.status == 409
    assert "Жената не е сама" in maria.text


async def test_the_case_of_a_colleague_is_refused_and_noted(centre: Centre, maria: Browser) -> None:
    case = await centre.woman("тих орех", "Тайно.")
    elena = await centre.person("elena")
    await centre.desk.claim(elena, case.id)
    for path in ("", "/live"):
        await maria.get(f"/desk/case/{case.id}{path}")
        assert maria.status == 403
        assert "Тайно" not in maria.text
    assert "refused.case" in [action for _, action in await centre.audited()]


async def test_sent_twice_it_stands_once(centre: Centre, maria: Browser) -> None:
    case = await centre.woman("тих орех")
    at = f"/desk/case/{case.id}"
    await maria.get("/desk")
    await maria.submit(f"{at}/claim")
    form = maria.fields(f"{at}/reply")
    for _ in range(2):
        await maria.post(f"{at}/reply", **form, text="Само веднъж.")
    assert maria.text.count("Само веднъж.") == 1


async def test_what_could_not_be_sent_stands_in_its_box_again(
    centre: Centre, maria: Browser
) -> None:
    case = await centre.woman("тих орех")
    at = f"/desk/case/{case.id}"
    await maria.get("/desk")
    await maria.submit(f"{at}/claim")
    long = "дълго " * 600
    await maria.submit(f"{at}/reply", text=long)
    assert maria.status == 422
    assert "Раздели го" in maria.text
    assert long in maria.page
    await maria.get(at)
    form = maria.fields(f"{at}/reply")
    await centre.store.close_case(case.id, None, "she ended it")
    await maria.post(f"{at}/reply", **form, text="Късно е.")
    assert maria.status == 409
    assert "вече е приключен" in maria.text
    assert "Късно е." in maria.page


async def test_her_text_is_only_text(centre: Centre, maria: Browser) -> None:
    nasty = "<script>alert(1)</script> https://a.example \u202eexe.txt\u2066 а\u200bб {{ 7*7 }}"
    case = await centre.woman("тих орех", nasty)
    await maria.get("/desk")
    await maria.submit(f"/desk/case/{case.id}/claim")
    assert "&lt;script&gt;" in maria.page
    assert "<script>alert" not in maria.page
    assert 'href="https://a.example' not in maria.page
    assert not re.search("[\u200b-\u200f\u202a-\u202e\u2066-\u2069]", maria.page)
    assert "{{ 7*7 }}" in maria.text


def test_invisible_characters_go_and_letters_stay() -> None:
    assert neutral("a\u202eb\u200dc\x07\ud800") == "abc"
    assert neutral("ред\nѝ şğ 👩 й́") == "ред\nѝ şğ 👩 й́"
    assert len(neutral("e" + "\u0301" * 50)) == 4


async def test_a_held_reply_says_that_it_waits_for_her(centre: Centre, maria: Browser) -> None:
    case = await centre.woman("тих орех")
    at = f"/desk/case/{case.id}"
    await maria.get("/desk")
    await maria.submit(f"{at}/claim")
    await centre.send_all()
    await centre.store.set_present(case.id, False)
    await maria.submit(f"{at}/reply", text="Ще те чакам.")
    assert all(shown in maria.text for shown in ("Не е тук", "Чака я да се върне", "чакат я: 1"))


async def test_what_may_not_have_arrived_can_be_sent_again(centre: Centre, maria: Browser) -> None:
    case = await centre.woman("тих орех")
    at = f"/desk/case/{case.id}"
    await maria.get("/desk")
    await maria.submit(f"{at}/claim")
    await centre.send_all()
    await maria.submit(f"{at}/reply", text="Чуваш ли ме?")
    await centre.send_all(MessageState.UNKNOWN)
    await maria.get(at)
    assert "Може да не е стигнало до нея." in maria.text
    action = re.search(r'action="([^"]+/resend)"', maria.page)
    assert action
    await maria.submit(action[1])
    assert await centre.send_all() == ["Чуваш ли ме?"]


async def test_opening_a_case_takes_its_unread_mark_away(centre: Centre, maria: Browser) -> None:
    case = await centre.woman("тих орех")
    await maria.get("/desk")
    await maria.submit(f"/desk/case/{case.id}/claim")
    await centre.store.add_from_woman(case.id, "Още нещо.", "k")
    await maria.get("/desk")
    assert "нови: 1" in maria.text
    await maria.get(f"/desk/case/{case.id}/live")
    await maria.get("/desk")
    assert "нови: 1" in maria.text
    await maria.get(f"/desk/case/{case.id}")
    assert "нови: 1" not in maria.text


async def test_staff_who_are_no_consultants_see_no_desk(centre: Centre) -> None:
    async with browser(centre, await centre.session_of("ivan", [Role.STAFF])) as ivan:
        await ivan.get("/desk")
        assert ivan.status == 403
        await ivan.get("/desk/live")
        assert ivan.status == 403


async def test_an_unknown_case_says_so(maria: Browser) -> None:
    await maria.get("/desk/case/nothing")
    assert maria.status == 404
    assert "Такъв разговор вече няма" in maria.text


async def test_no_page_holds_a_script_or_style_of_its_own(centre: Centre, maria: Browser) -> None:
    case = await centre.woman("тих орех", "нещо")
    await maria.get("/desk")
    await maria.submit(f"/desk/case/{case.id}/claim")
    for path in ("/desk", f"/desk/case/{case.id}", "/login?bye=1", "/invite"):
        response = await maria.client.get(path)
        assert "default-src 'none'" in response.headers["content-security-policy"]
        assert response.headers["cache-control"] == "no-store"
        assert not re.search(r"<script(?![^>]*\bsrc=)|<style|\sstyle=|\son\w+=", response.text)


async def test_the_live_news_say_that_something_changed_and_nothing_else(
    centre: Centre,
) -> None:
    session = await centre.session_of("maria")
    app = site(centre)
    heard: list[bytes] = []
    news, gone = asyncio.Event(), asyncio.Event()

    async def receive() -> dict[str, Any]:
        await gone.wait()
        return {"type": "http.disconnect"}

    async def send(message: Any) -> None:
        heard.append(message.get("body", b""))
        if b"data" in heard[-1]:
            news.set()

    scope = {
        "type": "http", "method": "GET", "path": "/desk/live", "raw_path": b"/desk/live",
        "query_string": b"", "root_path": "", "scheme": "https", "http_version": "1.1",
        "headers": [(b"cookie", f"{SESSION_COOKIE}={session}".encode())],
    }  # fmt: skip
    listening = asyncio.create_task(app(scope, receive, send))
    try:
        await asyncio.wait_for(news.wait(), 5)
        news.clear()
        await centre.woman("тих орех", "Тайно.")
        centre.changes.notify()
        await asyncio.wait_for(news.wait(), 5)
    finally:
        gone.set()
        await asyncio.wait_for(listening, 5)
    lines = {line for line in b"".join(heard).decode().splitlines() if line}
    assert lines <= {"retry: 2000", "data: change", ":"}


async def test_a_stranger_cannot_fill_the_disk_at_the_login(tmp_path: Path) -> None:
    async with a_centre(tmp_path) as centre:
        transport = httpx.ASGITransport(app=site(centre))
        async with httpx.AsyncClient(transport=transport, base_url=HOST) as man:
            answer = await man.post("/login", files={"file": b"a" * MAX_BODY})
    assert answer.status_code == 413
    assert "112" in answer.text
