"""The accounts' pages as an admin's browser meets them, without a script."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from bot.storage.records import CaseState, Role, StaffState
from tests.bot.desk import Centre, a_centre
from tests.bot.web.test_desk_web import HOST, Browser, browser, desk_bells

HOME = "/staff/accounts"
NEW = f"{HOME}/new"


@pytest.fixture
async def centre(tmp_path: Path) -> AsyncIterator[Centre]:
    async with a_centre(tmp_path) as made:
        yield made


@pytest.fixture
async def ana(centre: Centre) -> AsyncIterator[Browser]:
    """The admin."""
    async with browser(centre, await centre.session_of("ana", [Role.ADMIN])) as made:
        yield made


async def member(centre: Centre, login: str) -> str:
    found = await centre.store.staff_by_login(login)
    assert found is not None
    return f"{HOME}/{found.id}"


def link_on(page: Browser) -> str:
    found = re.search(r"/invite#([\w-]+)", page.page)
    assert found
    return found[1]


async def test_an_invitation_is_shown_once_and_opens(centre: Centre, ana: Browser) -> None:
    await ana.get(NEW)
    await ana.submit(NEW, login="maria", alias="Мария", roles="consultant", languages=["bg", "tr"])
    assert f"{HOST}/invite#" in ana.page
    assert "Връзката се показва само сега" in ana.text
    token = link_on(ana)
    invited = await centre.accounts.invited(token)
    assert (invited.alias, invited.languages) == ("Мария", {"bg", "tr"})
    await ana.get(HOME)
    assert all(shown in ana.text for shown in ("maria", "Мария", "поканен", "български, турски"))
    for path in (HOME, await member(centre, "maria"), NEW):
        await ana.get(path)
        assert token not in ana.page


async def test_a_lost_invitation_is_made_anew(centre: Centre, ana: Browser) -> None:
    old = await centre.accounts.invite("maria", [Role.CONSULTANT])
    at = await member(centre, "maria")
    await ana.get(at)
    await ana.submit(f"{at}/invite")
    assert link_on(ana) != old
    assert (await centre.accounts.invited(link_on(ana))).login == "maria"


@pytest.mark.parametrize(
    ("wrong", "field", "told"),
    [
        ({"login": ""}, "login", "от 2 до 32"),
        ({"login": "Мария"}, "login", "от 2 до 32"),
        ({"login": "ana"}, "login", "вече е заето"),
        ({"alias": "М" * 41}, "alias", "до 40 знака"),
        ({"alias": "Срещу насилието"}, "alias", "издава темата"),
        ({"roles": "boss"}, "roles", "поне една роля"),
        ({"languages": "xx"}, "languages", "поне един език"),
    ],
)
async def test_each_mistake_is_named_at_its_field(
    centre: Centre, ana: Browser, wrong: dict[str, str], field: str, told: str
) -> None:
    good = {"login": "maria", "alias": "", "roles": "consultant", "languages": "bg"}
    await ana.get(NEW)
    await ana.submit(NEW, **good | wrong)
    assert ana.status == 422
    found = re.search(rf'id="{field}-wrong">([^<]+)<', ana.page)
    assert found
    assert told in found[1]
    assert f'href="#{field}"' in ana.page
    assert [each.login for each in await centre.store.all_staff()] == ["ana"]


async def test_alias_roles_and_languages_are_changed(centre: Centre, ana: Browser) -> None:
    await centre.session_of("maria")
    at = await member(centre, "maria")
    await ana.get(at)
    await ana.submit(at, alias="Мими", roles=["consultant", "staff"], languages="tr")
    assert "Промените са запазени" in ana.text
    assert "жените виждат: Мими" in ana.text
    maria = await centre.store.staff_by_login("maria")
    assert maria is not None
    assert maria.roles == {Role.CONSULTANT, Role.STAFF}


async def test_that_somebody_guesses_is_told_for_a_day(centre: Centre, ana: Browser) -> None:
    await centre.person("maria")
    await centre.person("elena")
    since = centre.clock()
    await ana.get(HOME)
    assert "грешни опити" not in ana.text
    for login in ("maria", "maria", "elena", "nobody"):
        await centre.store.login_failed(login, "", since, 2, 4)
    await ana.get(HOME)
    assert "При maria имаше много грешни опити за вход, последно на 22.11., 11:00." in ana.text
    assert "с всякакви имена, последно на 22.11., 11:00." in ana.text
    assert "При elena" not in ana.text
    centre.clock.passes(hours=1)  # while a session of hers still lasts
    await centre.store.remove_staff((await member(centre, "maria")).rpartition("/")[2])
    await ana.get(HOME)
    assert ana.text.count("грешни опити") == 1
    centre.clock.passes(hours=24)
    async with browser(centre, await centre.session_of("vera", [Role.ADMIN])) as tomorrow:
        await tomorrow.get(HOME)
        assert "vera" in tomorrow.text
        assert "грешни опити" not in tomorrow.text


async def test_freeze_thaw_and_remove(centre: Centre, ana: Browser) -> None:
    maria = await centre.person("maria")
    case = await centre.woman("тих орех")
    await centre.desk.claim(maria, case.id)
    at = await member(centre, "maria")
    await ana.get(at)
    assert "звънят пак" in ana.text
    await ana.submit(f"{at}/freeze")
    assert "Акаунтът е спрян" in ana.text
    assert (await centre.case(case)).state is CaseState.WAITING
    await ana.get(at)
    await ana.submit(f"{at}/thaw")
    assert "пак е активен" in ana.text
    await ana.get(at)
    await ana.submit(f"{at}/remove")
    assert "премахнат" in ana.text
    await ana.get(at)
    assert ana.status == 404


async def test_nobody_can_shut_herself_out(centre: Centre, ana: Browser) -> None:
    await centre.session_of("vera", [Role.ADMIN])
    at = await member(centre, "ana")
    await ana.get(at)
    assert f"{at}/freeze" not in ana.page
    assert f"{at}/remove" not in ana.page
    token = ana.fields("/logout")
    for act in ("freeze", "remove"):
        await ana.post(f"{at}/{act}", **token)
        assert ana.status == 403
    await ana.post(at, **token, alias="", roles="staff", languages="bg")
    assert ana.status == 403
    assert "Нищо не е променено" in ana.text
    me = await centre.store.staff_by_login("ana")
    assert me is not None
    assert (me.state, me.roles) == (StaffState.ACTIVE, {Role.ADMIN})
    assert [action for _, action in await centre.audited()].count("refused.oneself") == 3


@pytest.mark.parametrize("role", [Role.STAFF, Role.CONSULTANT])
async def test_only_an_admin_sees_and_changes_accounts(
    centre: Centre, ana: Browser, role: Role
) -> None:
    at = await member(centre, "ana")
    async with browser(centre, await centre.session_of("ivan", [role])) as ivan:
        for path in (HOME, NEW, at):
            await ivan.get(path)
            assert ivan.status == 403
        token = ivan.fields("/logout")
        for path in (NEW, at, f"{at}/invite", f"{at}/freeze", f"{at}/thaw", f"{at}/remove"):
            await ivan.post(path, **token, login="nova", roles="admin", languages="bg")
            assert ivan.status == 403
    assert {each.login for each in await centre.store.all_staff()} == {"ana", "ivan"}
    assert [action for _, action in await centre.audited()].count("refused.role") == 9


async def test_a_form_without_its_token_removes_nobody(centre: Centre, ana: Browser) -> None:
    await centre.session_of("maria")
    at = await member(centre, "maria")
    await ana.post(f"{at}/remove")
    assert ana.status == 403
    assert await centre.store.staff_by_login("maria") is not None


async def test_the_page_says_how_consultants_hear_that_somebody_waits(
    centre: Centre, ana: Browser
) -> None:
    await centre.session_of("maria")
    await ana.get(HOME)
    assert "Бюрото няма свой бот в Telegram" in ana.text
    assert "Telegram не е свързан" not in ana.text


async def test_a_linked_bell_is_shown(centre: Centre) -> None:
    maria = await centre.person("maria")
    await centre.person("elena")
    await centre.store.offer_bell(maria.id, b"code", centre.clock.at.replace(year=2027))
    await centre.store.link_bell(b"code", "42")
    session = await centre.session_of("ana", [Role.ADMIN])
    async with desk_bells(centre) as (bells, _), browser(centre, session, bells) as ana:
        await ana.get(HOME)
        assert "Telegram е свързан" in ana.text
        assert "Telegram не е свързан" in ana.text
        await ana.get("/staff/line")
        assert "Свързан звънец имат 1 от 2 консултантки" in ana.text


# --- the group in Telegram -----------------------------------------------------------------


@pytest.fixture
async def vera(centre: Centre) -> AsyncIterator[Browser]:
    """An admin of a desk that has a group in Telegram."""
    session = await centre.session_of("vera", [Role.ADMIN])
    async with browser(centre, session, desk_group=True) as made:
        yield made


async def linked(centre: Centre, login: str) -> None:
    maria = await centre.person(login)
    await centre.store.offer_bell(maria.id, b"code", centre.clock.at.replace(year=2027))
    assert await centre.store.link_bell(b"code", "7000001")
    for note in await centre.store.group_notes():
        await centre.store.group_note_done(note)


@pytest.mark.parametrize("act", ["freeze", "remove"])
async def test_who_still_reads_in_the_group_is_named_until_she_is_out(
    centre: Centre, vera: Browser, act: str
) -> None:
    await linked(centre, "maria")
    at = await member(centre, "maria")
    await vera.get(HOME)
    assert "чете" not in vera.text
    await vera.get(at)
    assert "Телефонът ѝ не е свързан" not in vera.text
    await vera.submit(f"{at}/{act}")
    assert "maria още чете в групата в Telegram. Изваждаме я" in vera.text
    (note,) = await centre.store.group_notes()
    await centre.store.group_note_refused(note)
    await vera.get(HOME)
    assert "Администраторът на групата трябва да я извади сега" in vera.text
    assert "Изваждаме я" not in vera.text
    await centre.store.group_note_done(note)
    await vera.get(HOME)
    assert "чете" not in vera.text


async def test_whom_phen_cannot_put_out_is_named_before_and_after(
    centre: Centre, vera: Browser
) -> None:
    await centre.person("maria")
    at = await member(centre, "maria")
    await vera.get(at)
    assert "Телефонът ѝ не е свързан" in vera.text
    await vera.submit(f"{at}/freeze")
    assert "maria не е със свързан телефон" in vera.text
    await vera.get(at)
    await vera.submit(f"{at}/thaw")
    assert "не е със свързан телефон" not in vera.text


async def test_a_phone_that_was_linked_is_within_reach(centre: Centre, vera: Browser) -> None:
    await linked(centre, "maria")
    maria = await centre.store.staff_by_login("maria")
    assert maria is not None
    await centre.store.unlink_bell(maria.id)
    await vera.get(await member(centre, "maria"))
    assert "Телефонът ѝ не е свързан" not in vera.text


async def test_without_a_group_nobody_speaks_of_one(centre: Centre, ana: Browser) -> None:
    await linked(centre, "maria")
    await centre.person("elena")
    for login in ("maria", "elena"):
        at = await member(centre, login)
        await ana.get(at)
        assert "групата" not in ana.text
        await ana.submit(f"{at}/freeze")
        assert "групата" not in ana.text
