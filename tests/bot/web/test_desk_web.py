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

from bot import media
from bot.desk.bells import Bells
from bot.desk.service import MAX_WORDS
from bot.desk.team import Team
from bot.desk.telegram import DeskBot, DeskUpdate, What
from bot.desk.web import desk_routes
from bot.desk.words import neutral
from bot.posters import Posters
from bot.stop import StopSwitch
from bot.storage.records import (
    Author,
    Case,
    CaseState,
    Medium,
    MediumKind,
    MessageState,
    Prepared,
    Role,
    StaffState,
)
from bot.texts import open_content
from bot.web.app import WebParts, assemble
from bot.web.login import SESSION_COOKIE, login_routes
from bot.web.security import MAX_UPLOAD
from bot.web.staff import staff_routes
from tests import sounds
from tests.bot.desk import PASSWORD, Centre, a_centre
from tests.standins.telegram import TelegramStandIn

HOST = "https://desk.test"


def site(
    centre: Centre,
    bells: Bells | None = None,
    stop: StopSwitch | None = None,
    posters: Posters | None = None,
    desk_group: bool = False,
) -> Starlette:
    """The pages behind the login, over a real store."""
    content, texts = open_content()
    parts = WebParts(
        content=content,
        texts=texts,
        channel=cast(Any, None),
        intake=cast(Any, None),
        desk=centre.desk,
        accounts=centre.accounts,
        team=Team(centre.store, centre.accounts, centre.changes, lambda: None, texts),
        stop=stop or StopSwitch(centre.store, lambda: None),
        store=centre.store,
        changes=centre.changes,
        links=cast(Any, None),
        posters=posters or Posters(texts, {}, HOST),
        broadcasts=centre.broadcasts,
        now=centre.clock,
        health=cast(Any, None),
        bells=bells,
        desk_group=desk_group,
        public_url=HOST,
    )
    return assemble(parts, [*login_routes(parts), *desk_routes(parts), *staff_routes(parts)])


@asynccontextmanager
async def desk_bells(centre: Centre) -> AsyncIterator[tuple[Bells, TelegramStandIn]]:
    """The desk's own bot, over the stand-in for Telegram."""
    server = TelegramStandIn()
    await server.start()
    bot = DeskBot(server.token, server.api, centre.clock)
    try:
        yield Bells(bot, centre.store, centre.vault, open_content()[1], centre.clock), server
    finally:
        await bot.close()
        await server.stop()


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
async def browser(
    centre: Centre, session: str = "", bells: Bells | None = None, desk_group: bool = False
) -> AsyncIterator[Browser]:
    cookies = {SESSION_COOKIE: session} if session else {}
    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(site(centre, bells, desk_group=desk_group)),
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


async def test_a_known_browser_lets_her_in_while_strangers_guess(centre: Centre) -> None:
    member = await centre.person("maria")
    name = centre.accounts.browser_cookie("maria")
    async with browser(centre) as hers, browser(centre) as his:
        for _ in range(2):
            centre.clock.passes(minutes=16)
            fields = {"login": "Maria ", "password": PASSWORD, "code": centre.code("maria")}
            answer = await hers.client.post("/login", data=fields, follow_redirects=False)
            assert answer.headers["location"] == "/desk", "the second time, while he guesses"
            (made,) = (c for c in answer.headers.get_list("set-cookie") if c.startswith(name))
            assert "; HttpOnly; Max-Age=7776000; Path=/login; SameSite=strict; Secure" in made
            assert "maria" not in made
            assert member.id not in made
            for _ in range(6):
                await his.post("/login", login="maria", password="wrong wrong wrong", code="1")
            assert his.status == 429
            await hers.get("/desk")
            await hers.submit("/logout")
            assert [cookie.name for cookie in hers.client.cookies.jar] == [name]
            assert name not in hers.client.build_request("GET", "/desk").headers.get("cookie", "")


async def test_the_browser_in_which_she_accepts_knows_her(centre: Centre) -> None:
    token = await centre.accounts.invite("maria", [Role.CONSULTANT])
    async with browser(centre) as new:
        await new.post("/invite", token=token)
        await new.submit("/invite/password", password=PASSWORD, again=PASSWORD)
        found = re.search(r"secret=([A-Z2-7]+)", html.unescape(new.page))
        assert found
        await new.submit("/invite/code", code=pyotp.TOTP(found[1]).at(centre.clock.at))
        names = {cookie.name: cookie.path for cookie in new.client.cookies.jar}
        assert names[centre.accounts.browser_cookie("maria")] == "/login"


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
        open_content()[1].say("bg", "notice.claimed"), "Питай спокойно."
    ]  # fmt: skip
    await maria.submit(f"{at}/close")
    assert "Разговорът е приключен" in maria.text
    assert f"{at}/reply" not in maria.page


async def test_a_close_that_crosses_with_her_words_shows_them_and_a_second_press_closes(
    centre: Centre, maria: Browser
) -> None:
    at = await claimed(centre, maria, "Ало?")
    case = await of(centre, at)
    await centre.store.add_from_woman(case.id, "Той идва.", "k")
    await maria.submit(f"{at}/close")
    assert maria.status == 409
    assert "писа междувременно" in maria.text
    assert "Той идва." in maria.text
    assert (await of(centre, at)).state is CaseState.CLAIMED
    await maria.submit(f"{at}/close")
    assert (await of(centre, at)).state is CaseState.CLOSED


async def test_a_page_has_read_what_it_shows_and_no_more(centre: Centre, maria: Browser) -> None:
    at = await claimed(centre, maria, "Ало?")
    case = await of(centre, at)
    first = await centre.store.add_from_woman(case.id, "Той идва.", "1")
    assert first is not None
    await centre.store.add_from_woman(case.id, "Тук е.", "2")
    token = maria.fields("/logout")
    for upto, unread in (("", 2), ("9" * 40, 2), (str(first.number), 1)):
        await maria.post(f"{at}/looked", **token, upto=upto)
        assert (await of(centre, at)).unread == unread


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
    assert maria.page.count(">Само веднъж.</p>") == 1


async def test_what_could_not_be_sent_stands_in_its_box_again(
    centre: Centre, maria: Browser
) -> None:
    case = await centre.woman("тих орех")
    at = f"/desk/case/{case.id}"
    await maria.get("/desk")
    await maria.submit(f"{at}/claim")
    long = "дълго " * (MAX_WORDS // 5)
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


async def mended(centre: Centre, maria: Browser) -> tuple[str, str]:
    """A reply of Maria's that stands in the woman's chat: the case's address and its own."""
    at = await claimed(centre, maria)
    await maria.submit(f"{at}/reply", text="Утре в 9.")
    await centre.send_all()
    case_id = at.rpartition("/")[2]
    message = (await centre.store.messages(case_id))[-1]
    await centre.store.add_handles(case_id, ["41"], message.id)
    await maria.get(at)
    return at, f"{at}/message/{message.id}"


async def test_a_sent_reply_is_corrected_and_says_what_stands_in_her_chat(
    centre: Centre, maria: Browser
) -> None:
    _, message = await mended(centre, maria)
    assert "Може вече да го е прочела." in maria.text
    await maria.submit(f"{message}/correct", text="Утре в 10.")
    assert "Утре в 10." in maria.text
    assert "Там стои старият текст." in maria.text
    assert await centre.send_all() == ["Утре в 10."]
    await maria.submit(f"{message}/correct", text="Утре в 11.")
    assert await centre.send_all(MessageState.FAILED) == ["Утре в 11."]
    await maria.get(message.partition("/message")[0])
    assert "Поправката не стигна до нея." in maria.text


async def test_a_sent_reply_is_taken_back_and_a_failure_says_that_it_still_stands(
    centre: Centre, maria: Browser
) -> None:
    at, message = await mended(centre, maria)
    await maria.submit(f"{message}/take_back")
    assert "Още не е върнато. Стои в чата ѝ." in maria.text
    await centre.send_all(MessageState.FAILED)
    await maria.get(at)
    assert "Още стои в чата ѝ." in maria.text
    await maria.submit(f"{message}/take_back")
    await centre.send_all()
    await maria.get(at)
    assert "Върнато" in maria.text
    assert f'action="{message}/' not in maria.page


async def test_what_was_sent_on_viber_is_not_offered_and_is_refused_with_the_reason(
    centre: Centre, maria: Browser
) -> None:
    at, message = await mended(centre, maria)
    fields = maria.fields(f"{message}/take_back")
    centre.desk._lasting = frozenset({"web"})
    await maria.get(at)
    assert f'action="{message}/' not in maria.page
    for act in ("correct", "take_back"):
        await maria.post(f"{message}/{act}", **fields, text="друго")
        assert maria.status == 409
        assert "Във Viber остава" in maria.text


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


# --- what a consultant does in a case --------------------------------------------------------


async def claimed(centre: Centre, maria: Browser, *said: str, name: str = "тих орех") -> str:
    """The address of a case that Maria has taken."""
    case = await centre.woman(name, *said)
    await maria.get("/desk")
    await maria.submit(f"/desk/case/{case.id}/claim")
    assert maria.status == 200
    return f"/desk/case/{case.id}"


async def of(centre: Centre, at: str) -> Case:
    case = await centre.store.case(at.rsplit("/", 1)[1])
    assert case is not None
    return case


async def sent_medium(centre: Centre, at: str, kind: MediumKind) -> tuple[str, bytes]:
    """The address of something that she sent, and what it is."""
    data = sounds.photo() if kind is MediumKind.PHOTO else sounds.voice()
    case = await of(centre, at)
    message = await centre.store.add_from_woman(case.id, "", kind, medium=Medium(kind, data))
    assert message is not None
    return f"{at}/message/{message.id}", data


async def test_the_list_says_how_often_a_case_has_rung(centre: Centre, maria: Browser) -> None:
    case = await centre.woman("тих орех")
    for rounds, told, number in ((0, "", 1), (1, "звъня веднъж", 1), (2, "звъня 2 пъти", 2)):
        await centre.store.rung(await centre.case(case), rounds, None)
        await maria.get("/desk")
        assert told in maria.text
        assert f'data-bell="{number}"' in maria.page


async def test_unread_words_ring_on_the_open_page_until_they_are_read(
    centre: Centre, maria: Browser
) -> None:
    at = await claimed(centre, maria)
    case = await of(centre, at)
    await centre.store.add_from_woman(case.id, "Тук ли си?", "k")
    await centre.store.rung(await of(centre, at), 1, None)
    await maria.get("/desk/list")
    assert 'data-bell="1" data-unread="1"' in maria.page
    await maria.get(at)
    await maria.get("/desk/list")
    assert 'data-bell="0" data-unread="0"' in maria.page


async def test_a_prepared_answer_of_her_language_only_fills_the_box(
    centre: Centre, maria: Browser
) -> None:
    ready = await centre.store.save_prepared(Prepared("", "bg", "дом", "Има място за теб."))
    await centre.store.save_prepared(Prepared("", "tr", "ev", "Senin için yer var."))
    at = await claimed(centre, maria)
    await centre.send_all()
    assert "Има място за теб." in maria.text
    assert "Senin" not in maria.text
    await maria.get(f"{at}?answer={ready.id}")
    assert re.search(r'<textarea id="reply"[^>]*>Има място за теб.</textarea>', maria.page)
    assert await centre.send_all() == []


async def test_a_form_sent_again_with_other_words_loses_neither(
    centre: Centre, maria: Browser
) -> None:
    at = await claimed(centre, maria)
    await centre.send_all()
    form = maria.fields(f"{at}/reply")
    await maria.post(f"{at}/reply", **form, text="Здравей.")
    await maria.post(f"{at}/reply", **form, text="Здравей. Как си?")
    assert maria.status == 409
    assert "вече беше изпратен" in maria.text
    assert "Здравей. Как си?</textarea>" in maria.page
    await maria.submit(f"{at}/reply", text="Здравей. Как си?")
    assert await centre.send_all() == ["Здравей.", "Здравей. Как си?"]


async def test_a_case_is_handed_to_a_colleague_who_sees_who_wrote_what(
    centre: Centre, maria: Browser
) -> None:
    session = await centre.session_of("elena", alias="Елена")
    elena = await centre.store.staff_by_login("elena")
    assert elena is not None
    await centre.store.change_staff(elena.id, "Елена", elena.roles, ("bg", "tr"))
    at = await claimed(centre, maria, "Тук ли си?")
    assert "Елена български, турски · без звънец на телефона" in maria.text
    await maria.submit(f"{at}/reply", text="Ще те поеме колежка.")
    await maria.submit(f"{at}/note", text="Две деца.")
    await maria.submit(f"{at}/transfer", to=elena.id)
    assert "Разговорът е предаден" in maria.text
    await maria.get(at)
    assert maria.status == 403
    async with browser(centre, session) as colleague:
        await colleague.get("/desk")
        assert "предаден на теб" in colleague.text
        await colleague.get(at)
        assert "maria" in colleague.text
        assert "Вътрешна бележка, maria" in colleague.text
        await colleague.submit(f"{at}/reply", text="Аз съм Елена.")
        assert re.search(r"Ти \d\d:\d\d Аз съм Елена.", colleague.text)
        assert "предаден на теб" not in colleague.text


async def test_nothing_is_handed_to_who_does_not_answer_women(
    centre: Centre, maria: Browser
) -> None:
    frozen = await centre.person("frozen")
    await centre.store.set_staff_state(frozen.id, StaffState.FROZEN)
    ivan = await centre.person("ivan", [Role.STAFF])
    at = await claimed(centre, maria)
    me = (await of(centre, at)).claimed_by
    assert "Няма друга активна консултантка" in maria.text
    token = maria.fields(f"{at}/return")
    for to in (frozen.id, ivan.id, me, "", "nobody"):
        await maria.post(f"{at}/transfer", **token, to=to)
        assert maria.status == 409
        assert "остана при теб" in maria.text
    assert (await of(centre, at)).claimed_by == me


async def test_a_case_given_back_waits_for_everybody(centre: Centre, maria: Browser) -> None:
    at = await claimed(centre, maria)
    await maria.submit(f"{at}/return")
    assert "пак чака" in maria.text
    assert "Поеми" in maria.text
    assert (await of(centre, at)).state is CaseState.WAITING


async def test_a_closed_case_is_opened_again_while_its_text_is_kept(
    centre: Centre, maria: Browser
) -> None:
    at = await claimed(centre, maria, "Тук ли си?")
    await maria.submit(f"{at}/close")
    await maria.submit(f"{at}/reopen")
    assert (await of(centre, at)).state is CaseState.CLAIMED
    assert "Тук ли си?" in maria.text
    await maria.submit(f"{at}/close")
    form = maria.fields(f"{at}/reopen")
    other = await centre.woman("тих орех", "Пак съм аз.")
    await maria.post(f"{at}/reopen", **form)
    assert maria.status == 409
    assert "друг отворен разговор" in maria.text
    await centre.store.close_case(other.id, None, "she ended it")
    centre.clock.passes(hours=49)
    await centre.store.purge(centre.clock())
    async with browser(
        centre, await centre.accounts.login("maria", PASSWORD, centre.code("maria"))
    ) as later:
        await later.get(at)
        assert "вече е унищожен" in later.text
        assert f"{at}/reopen" not in later.page
        await later.post(f"{at}/reopen", **later.fields("/logout"))
        assert later.status == 409
        assert "вече е унищожен" in later.text


@pytest.mark.parametrize(
    ("span", "told"),
    [("case", "до края на разговора"), ("hour", "до 12:00"), ("week", "до 29.11. 11:00")],
)
async def test_an_abuser_is_shut_out_and_let_in_again(
    centre: Centre, maria: Browser, span: str, told: str
) -> None:
    at = await claimed(centre, maria)
    await maria.submit(f"{at}/block", span=span)
    assert f"Блокиран {told}" in maria.text
    assert await centre.store.blocked("web", "тих орех")
    await maria.get("/desk")
    assert "блокиран" in maria.text
    await maria.get(at)
    await maria.submit(f"{at}/unblock")
    assert "Блокиран" not in maria.text
    assert not await centre.store.blocked("web", "тих орех")


async def test_a_block_lasts_as_long_as_one_can_choose(centre: Centre, maria: Browser) -> None:
    at = await claimed(centre, maria)
    for span in ("", "year"):
        await maria.submit(f"{at}/block", span=span)
        assert maria.status == 422
        await maria.get(at)
    assert not await centre.store.blocked("web", "тих орех")
    await maria.submit(f"{at}/close")
    assert 'value="case"' not in maria.page
    await maria.submit(f"{at}/block", span="day")
    assert await centre.store.blocked("web", "тих орех")


async def test_words_that_came_while_she_was_covered_are_marked(
    centre: Centre, maria: Browser
) -> None:
    at = await claimed(centre, maria, "Аз съм.")
    assert "Може да не е тя" not in maria.text
    case = await of(centre, at)
    await centre.store.add_from_woman(case.id, "С кого си пишеш?", "k", covered=True)
    await maria.get(at)
    assert "екранът ѝ беше скрит. Може да не е тя. С кого си пишеш?" in maria.text


ACTS = (
    "reply", "voice", "note", "transfer", "return", "block", "unblock", "close", "reopen", "looked",
    "message/x/received", "message/x/resend", "message/x/drop", "message/x/correct",
    "message/x/take_back",
)  # fmt: skip


@pytest.mark.parametrize("act", ACTS)
async def test_no_act_reaches_the_case_of_a_colleague(
    centre: Centre, maria: Browser, act: str
) -> None:
    case = await centre.woman("тих орех", "Тайно.")
    await centre.desk.claim(await centre.person("elena"), case.id)
    await maria.get("/desk")
    token = maria.fields("/logout")
    await maria.post(f"/desk/case/{case.id}/{act}", **token, text="Здравей", key="k", span="day")
    assert maria.status == 403
    assert "на друга колежка" in maria.text
    assert (await centre.audited()).count((await _id(centre), "refused.case")) == 1
    assert (await centre.case(case)).state is CaseState.CLAIMED


async def _id(centre: Centre) -> str:
    member = await centre.store.staff_by_login("maria")
    assert member is not None
    return member.id


# --- voice and photo -------------------------------------------------------------------------


async def test_a_voice_note_goes_to_her_made_anew_and_once(centre: Centre, maria: Browser) -> None:
    at = await claimed(centre, maria)
    await centre.send_all()
    form = maria.fields(f"{at}/voice")
    for _ in range(2):
        upload = {"voice": ("voice", sounds.voice("webm"), "audio/webm")}
        answer = await maria.client.post(f"{at}/voice", data=form, files=upload)
        assert answer.status_code == 200
    assert answer.text.count("Гласово съобщение до нея") == 1
    said = await centre.store.messages((await of(centre, at)).id)
    voice = await centre.store.medium(said[-1].id)
    assert (said[-1].author, said[-1].state) == (Author.CONSULTANT, MessageState.DUE)
    assert voice is not None
    assert sounds.stream(voice.data).startswith("opus")
    assert sounds.TOLD not in sounds.tags(voice.data)


async def test_what_is_no_sound_is_refused_and_nothing_is_sent(
    centre: Centre, maria: Browser
) -> None:
    at = await claimed(centre, maria)
    await centre.send_all()
    form = maria.fields(f"{at}/voice")
    for files in ({"voice": ("voice", b"no sound", "audio/webm")}, {"other": ("x", b"")}):
        answer = await maria.client.post(f"{at}/voice", data=form, files=files)
        assert answer.status_code == 422
        assert "Това не е звук" in answer.text
    assert await centre.send_all() == []


async def test_without_the_tools_for_sound_it_says_so(
    centre: Centre, maria: Browser, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    at = await claimed(centre, maria)
    upload = {"voice": ("voice", sounds.voice("webm"), "audio/webm")}
    monkeypatch.setenv("PATH", str(tmp_path))
    assert not media.hears()
    answer = await maria.client.post(f"{at}/voice", data=maria.fields(f"{at}/voice"), files=upload)
    assert answer.status_code == 503
    assert "не може да се обработва звук" in answer.text


async def test_a_voice_note_to_a_closed_case_is_refused(centre: Centre, maria: Browser) -> None:
    at = await claimed(centre, maria)
    form = maria.fields(f"{at}/voice")
    await centre.store.close_case((await of(centre, at)).id, None, "she ended it")
    upload = {"voice": ("voice", b"never opened", "audio/webm")}
    answer = await maria.client.post(f"{at}/voice", data=form, files=upload)
    assert answer.status_code == 409
    assert "вече е приключен" in answer.text


@pytest.mark.parametrize(
    ("kind", "type_", "open_it", "gone"),
    [
        (MediumKind.PHOTO, "image/jpeg", "Отвори снимката", "Снимката беше отворена"),
        (MediumKind.VOICE, "audio/ogg", "Чуй го", "Гласовото съобщение беше отворено"),
    ],
)
async def test_what_she_sent_is_opened_once_and_then_destroyed(
    centre: Centre, maria: Browser, kind: MediumKind, type_: str, open_it: str, gone: str
) -> None:
    at = await claimed(centre, maria)
    message, data = await sent_medium(centre, at, kind)
    await maria.get(at)
    assert open_it in maria.text
    for _ in range(2):  # looking destroys nothing: the picture may not have arrived
        answer = await maria.client.get(f"{message}/medium")
        assert answer.content == data
    assert answer.headers["content-type"] == type_
    assert answer.headers["content-disposition"] == "inline"
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["x-content-type-options"] == "nosniff"
    await maria.submit(f"{message}/received")
    assert gone in maria.text
    assert open_it not in maria.text
    await maria.get(f"{message}/medium")
    assert maria.status == 404
    assert "вече беше отворено" in maria.text


async def test_a_medium_belongs_to_its_case_and_its_consultant(
    centre: Centre, maria: Browser
) -> None:
    at = await claimed(centre, maria)
    other = await centre.woman("бял клен")
    await centre.desk.claim(await centre.person("elena"), other.id)
    foreign, _ = await sent_medium(centre, f"/desk/case/{other.id}", MediumKind.PHOTO)
    await maria.get(f"{foreign}/medium")
    assert maria.status == 403
    await maria.get(f"{at}/message/{foreign.rsplit('/', 1)[1]}/medium")
    assert maria.status == 404
    await maria.get(at)
    await maria.post(
        f"{at}/message/{foreign.rsplit('/', 1)[1]}/received", **maria.fields("/logout")
    )
    assert maria.status == 404
    assert await centre.store.kept_media(other.id)


async def test_only_the_desk_may_ring_record_and_show_what_was_sent(
    centre: Centre, maria: Browser
) -> None:
    at = await claimed(centre, maria)
    for path, allowed in ((at, True), ("/desk", True), ("/staff", False), ("/deskx", False)):
        headers = (await maria.client.get(path)).headers
        assert ("autoplay=(self)" in headers["permissions-policy"]) is allowed
        assert ("img-src 'self' blob:" in headers["content-security-policy"]) is allowed
        assert "camera=()" in headers["permissions-policy"]
    assert "microphone=(self)" in (await maria.client.get(at)).headers["permissions-policy"]


# --- her bell --------------------------------------------------------------------------------


async def test_without_a_bot_only_the_open_page_rings(centre: Centre, maria: Browser) -> None:
    await maria.get("/desk/bell")
    assert "няма свой бот" in maria.text
    assert 'action="/desk/bell/offer"' not in maria.page
    for act in ("offer", "try", "unlink"):
        await maria.get("/desk/bell")
        await maria.post(f"/desk/bell/{act}", **maria.fields("/logout"))
        assert maria.status == 404


async def test_a_telephone_is_linked_tried_and_taken_away(centre: Centre) -> None:
    session = await centre.session_of("maria")
    async with (
        desk_bells(centre) as (bells, telegram),
        browser(centre, session, bells) as maria,
    ):
        telegram.woman()
        chat = next(iter(telegram.chats))
        await maria.get("/desk/bell")
        assert "не е свързан" in maria.text
        await maria.submit("/desk/bell/offer")
        code = re.search(r"data-code>([^<]+)<", maria.page)
        assert code
        await bells.took(DeskUpdate("1", What.SAID, chat, True, chat, code[1]))
        await maria.get("/desk/bell")
        assert code[1] not in maria.page
        assert "Телефонът ти е свързан" in maria.text
        before = len(telegram.called("sendMessage"))
        await maria.submit("/desk/bell/try")
        assert "Звънна" in maria.text
        assert len(telegram.called("sendMessage")) == before + 1
        telegram.chats[chat].open = False
        await maria.submit("/desk/bell/try")
        assert "Не стигна до телефона" in maria.text
        telegram.chats[chat].open = True
        await maria.submit("/desk/bell/offer")
        code = re.search(r"data-code>([^<]+)<", maria.page)
        assert code
        await bells.took(DeskUpdate("2", What.SAID, chat, True, chat, code[1]))
        await maria.get("/desk/bell")
        await maria.submit("/desk/bell/unlink")
        assert "Телефонът е махнат" in maria.text
        assert await centre.store.bells() == []


async def test_who_is_no_consultant_has_no_bell(centre: Centre) -> None:
    session = await centre.session_of("ivan", [Role.STAFF])
    async with desk_bells(centre) as (bells, _), browser(centre, session, bells) as ivan:
        await ivan.get("/staff")
        token = ivan.fields("/logout")
        await ivan.get("/desk/bell")
        assert ivan.status == 403
        await ivan.post("/desk/bell/offer", **token)
        assert ivan.status == 403


# --- who sees what ---------------------------------------------------------------------------


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
        await asyncio.wait_for(news.wait(), 30)
        news.clear()
        await centre.woman("тих орех", "Тайно.")
        centre.changes.notify()
        await asyncio.wait_for(news.wait(), 30)
    finally:
        gone.set()
        await asyncio.wait_for(listening, 30)
    lines = {line for line in b"".join(heard).decode().splitlines() if line}
    assert lines <= {"retry: 2000", "data: change", ":"}


async def test_a_stranger_cannot_fill_the_disk_at_the_login(tmp_path: Path) -> None:
    async with a_centre(tmp_path) as centre:
        transport = httpx.ASGITransport(app=site(centre))
        async with httpx.AsyncClient(transport=transport, base_url=HOST) as man:
            answer = await man.post("/login", files={"file": b"a" * MAX_UPLOAD})
    assert answer.status_code == 413
    assert "112" in answer.text
