"""The line's page (stop switch, bell, figures) and the written answers, without a script."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from bot.desk.figures import figures_of
from bot.storage.figures import EDGES
from bot.storage.records import Role, Waits
from bot.texts import open_content
from bot.web.login import SESSION_COOKIE
from bot.web.switchboard import FiguresLook
from tests.bot.desk import Centre, a_centre
from tests.bot.web.test_desk_web import Browser, browser

HOME = "/staff/line"
BANNER = "Линията е спряна. Жените виждат само едно съобщение"


@pytest.fixture
async def centre(tmp_path: Path) -> AsyncIterator[Centre]:
    async with a_centre(tmp_path) as made:
        yield made


@pytest.fixture
async def ana(centre: Centre) -> AsyncIterator[Browser]:
    """The admin, with a consultant's role too."""
    session = await centre.session_of("ana", [Role.ADMIN, Role.CONSULTANT])
    async with browser(centre, session) as made:
        yield made


async def test_the_line_is_stopped_and_goes_on(centre: Centre, ana: Browser) -> None:
    await ana.get(HOME)
    assert "Линията работи" in ana.text
    assert all(told in ana.text for told in ("112", "разговори чакат", "не се губи"))
    await ana.submit(f"{HOME}/stop")
    assert await centre.store.stopped()
    for path in (HOME, "/staff", "/desk", "/staff/accounts", "/desk/answers"):
        await ana.get(path)
        assert BANNER in ana.text
        assert 'href="/staff/line"' in ana.page
    await ana.get(HOME)
    await ana.submit(f"{HOME}/resume")
    assert "Линията работи пак" in ana.text
    assert BANNER not in ana.text
    assert not await centre.store.stopped()
    acts = [action for _, action in await centre.audited()]
    assert acts[:2] == ["line.resumed", "line.stopped"]


async def test_who_is_no_admin_sees_the_banner_without_the_switch(
    centre: Centre, ana: Browser
) -> None:
    await ana.get(HOME)
    await ana.submit(f"{HOME}/stop")
    session = await centre.session_of("ivan", [Role.STAFF])
    ana.client.cookies.set(SESSION_COOKIE, session)  # the same site: its switch is in memory
    ivan = ana
    await ivan.get(HOME)
    assert BANNER in ivan.text
    assert f"{HOME}/resume" not in ivan.page
    for act in ("stop", "resume"):
        await ivan.post(f"{HOME}/{act}", **ivan.fields("/logout"))
        assert ivan.status == 403
        await ivan.get(HOME)
    assert await centre.store.stopped()


async def test_a_consultant_cannot_stop_the_line(centre: Centre) -> None:
    async with browser(centre, await centre.session_of("maria")) as maria:
        await maria.get("/desk")
        await maria.post(f"{HOME}/stop", **maria.fields("/logout"))
        assert maria.status == 403
        await maria.get(HOME)
        assert maria.status == 403
    assert not await centre.store.stopped()
    assert "refused.role" in [action for _, action in await centre.audited()]


async def test_without_its_token_the_switch_does_not_move(centre: Centre, ana: Browser) -> None:
    await ana.post(f"{HOME}/stop")
    assert ana.status == 403
    assert not await centre.store.stopped()


async def test_a_month_tells_how_fast_women_were_answered(centre: Centre, ana: Browser) -> None:
    await ana.get(HOME)
    assert "Още няма приключени числа" in ana.text
    maria = await centre.person("maria")
    for number, minutes in enumerate((1, 4, 4, 25)):
        case = await centre.woman(f"тих орех {number}", "Тук ли си?")
        centre.clock.passes(minutes=minutes - 0.5)
        await centre.desk.claim(maria, case.id)
        await centre.desk.reply(maria, case.id, "Тук съм.", f"r{number}")
    ended = await centre.woman("бял камък")
    await centre.store.close_case(ended.id, None, "she ended it")
    await ana.get(HOME)
    assert "ноември 2026" in ana.text
    row = ana.text.split("ноември 2026")[1]
    assert "4 до 5 мин до 30 мин 1" in " ".join(row.replace(" г.", "").split())


def test_a_wait_is_told_in_the_largest_fitting_unit() -> None:
    texts = open_content()[1]
    look = FiguresLook(lambda text_id, **params: texts.say("bg", text_id, **params))
    told = {edge: look.wait(figures_of(Waits("2026-11", {edge: 1}, 0)).median) for edge in EDGES}
    assert told[60] == "до 1 мин"
    assert told[45 * 60] == "до 45 мин"
    assert told[60 * 60] == "до 1 ч"
    assert told[90 * 60] == "до 1,5 ч"
    assert told[12 * 3600] == "до 12 ч"
    assert told[24 * 3600] == "до 24 ч"
    assert told[72 * 3600] == "до 3 дни"
    assert look.wait(None) == "–"
    assert look.wait(figures_of(Waits("2026-11", {None: 1}, 0)).median) == "над 3 дни"


async def test_the_page_says_that_only_an_open_desk_rings(ana: Browser) -> None:
    await ana.get(HOME)
    assert "Звъни само отворената страница „Разговори“" in ana.text


# --- the written answers -------------------------------------------------------------------


@pytest.mark.parametrize("role", list(Role))
async def test_everybody_with_a_login_reads_the_written_answers(centre: Centre, role: Role) -> None:
    async with browser(centre, await centre.session_of("somebody", [role])) as somebody:
        await somebody.get("/desk/answers")
        assert somebody.status == 200
        assert "Дете в опасност" in somebody.text
        assert "Искане от полицията" in somebody.text
        assert 'href="/desk/answers" aria-current="page"' in somebody.page


async def test_without_a_login_nobody_reads_them(centre: Centre) -> None:
    async with browser(centre) as stranger:
        await stranger.get("/desk/answers")
        assert "Код от приложението" in stranger.text


async def test_the_answers_state_the_law_as_the_facts_do_and_no_other_number(
    centre: Centre, ana: Browser
) -> None:
    await ana.get("/desk/answers")
    law = open_content()[0].facts["LAW-40"]
    assert law.says in ana.text
    assert "22.11.2026" in ana.text
    assert "Проверката е изтекла" not in ana.text
    assert "tel:" not in ana.page
    centre.clock.passes(days=100)
    async with browser(centre, await centre.session_of("later")) as later:
        await later.get("/desk/answers")
        assert "Проверката е изтекла" in later.text
