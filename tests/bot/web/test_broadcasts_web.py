"""The broadcasts as the team's browsers meet them, without a script."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import event

from bot.storage.mail_records import BroadcastState, MailingEnd, MailingOutcome
from bot.storage.records import Role
from scheduler.model import Reception
from tests.bot.desk import Centre, a_centre
from tests.bot.web.test_desk_web import Browser, browser, desk_bells

HOME = "/staff/broadcasts"
NEW = f"{HOME}/new"
TEXT = "Приемната в четвъртък е от 11 часа."
GOOD = {"text-bg": TEXT, "channels": ["telegram", "viber"]}


@pytest.fixture
async def centre(tmp_path: Path) -> AsyncIterator[Centre]:
    async with a_centre(tmp_path) as made:
        yield made


@pytest.fixture
async def raya(centre: Centre) -> AsyncIterator[Browser]:
    async with browser(centre, await centre.session_of("raya", [Role.STAFF])) as made:
        yield made


@pytest.fixture
async def ivan(centre: Centre) -> AsyncIterator[Browser]:
    async with browser(centre, await centre.session_of("ivan", [Role.ADMIN])) as made:
        yield made


async def wait_there(centre: Centre, count: int, words: str | None = "remind.words.when") -> None:
    for number in range(count):
        await centre.store.subscribe("telegram", f"{words}{number}", "bg", "rse27", "day", words)


async def composed(centre: Centre, by: Browser, **fields: object) -> str:
    """The address of a draft."""
    await by.get(NEW)
    await by.submit(NEW, **GOOD | fields)
    assert by.status == 200
    return f"{HOME}/{(await centre.broadcasts.all())[0].id}"


def figure(page: Browser, name: str) -> str:
    found = re.search(rf'data-figure="{name}">([^<]+)<', page.page)
    assert found, name
    return found[1]


async def sent(centre: Centre, count: int) -> None:
    worker = centre.store.together.worker
    taken = await centre.store.take_mailings("telegram", worker, count)
    ended = {each.id: MailingOutcome(MailingEnd.SENT) for each in taken}
    await centre.store.settle_mailings(worker, ended)


async def test_it_is_composed_proposed_approved_by_another_and_reported(
    centre: Centre, raya: Browser, ivan: Browser
) -> None:
    await wait_there(centre, 25)
    await wait_there(centre, 4, None)
    at = await composed(centre, raya, municipalities=["rse27"])
    assert "Русе" in raya.text
    assert figure(raya, "recipients") == "поне 20"
    await raya.submit(f"{at}/propose")
    assert "Ти не можеш" in raya.text
    assert f"{at}/approve" not in raya.page
    await ivan.get(HOME)
    assert "Чака одобрение" in ivan.text
    await ivan.get(at)
    assert TEXT in ivan.text
    await ivan.submit(f"{at}/approve")
    assert "Одобрено е и тръгва" in ivan.text
    assert (figure(ivan, "delivered"), figure(ivan, "left")) == ("под 10", "поне 20")
    await sent(centre, 12)
    await ivan.submit(f"{at}/pause")
    assert "На пауза" in ivan.text
    await ivan.submit(f"{at}/resume")
    await sent(centre, 13)
    await ivan.get(f"{at}/progress")
    assert 'data-state="done"' in ivan.page
    assert "data-again" not in ivan.page
    await raya.get(at)
    assert "Отчет" in raya.text
    assert (figure(raya, "delivered"), figure(raya, "held")) == ("поне 20", "под 10")
    assert not re.search(r"\b(4|25|29)\b", re.sub(r"<[^>]+>", "", raya.page.split("Отчет")[1]))


async def test_a_small_group_is_never_counted_out(
    centre: Centre, raya: Browser, ivan: Browser
) -> None:
    await wait_there(centre, 7)
    at = await composed(centre, raya)
    assert figure(raya, "recipients") == "под 10"
    await raya.submit(f"{at}/propose")
    await ivan.get(at)
    await ivan.submit(f"{at}/approve")
    await sent(centre, 3)
    await ivan.get(f"{at}/progress")
    assert set(re.findall(r"<dd[^>]*>([^<]+)<", ivan.page)) == {"под 10"}
    assert "<progress" not in ivan.page


async def test_ones_own_words_cannot_be_approved_by_a_form_made_by_hand(
    centre: Centre, raya: Browser
) -> None:
    at = await composed(centre, raya)
    await raya.submit(f"{at}/propose")
    (it,) = await centre.broadcasts.all()
    await raya.post(f"{at}/approve", **raya.fields(f"{at}/cancel"), digest=it.digest)
    assert raya.status == 409
    assert "Помоли колега" in raya.text
    assert (await centre.audited())[0][1] == "refused.own_broadcast"


async def test_an_approval_of_other_words_or_too_late_says_so_and_sends_nothing(
    centre: Centre, raya: Browser, ivan: Browser
) -> None:
    await wait_there(centre, 1)
    at = await composed(centre, raya)
    await raya.submit(f"{at}/propose")
    await ivan.get(at)
    seen = ivan.fields(f"{at}/approve")
    await raya.get(f"{at}/edit")
    assert "се предлага наново" in raya.text
    await raya.submit(f"{at}/edit", **GOOD | {"text-bg": "Друго."})
    await raya.submit(f"{at}/propose")
    await ivan.post(f"{at}/approve", **seen)
    assert ivan.status == 409
    assert "текстът или получателите са сменени" in ivan.text
    assert "Друго." in ivan.text
    seen = ivan.fields(f"{at}/approve")
    centre.clock.passes(minutes=31)
    await ivan.post(f"{at}/approve", **seen)
    assert ivan.status == 409
    assert "повече от 30 минути" in ivan.text
    assert "Не е одобрено навреме" in ivan.text
    assert f"{at}/approve" not in ivan.page
    assert (await centre.broadcasts.all())[0].state is BroadcastState.PROPOSED
    await raya.get(at)
    await raya.submit(f"{at}/propose")
    assert "Предложено е" in raya.text


@pytest.mark.parametrize(
    ("wrong", "field", "told"),
    [
        ({"text-bg": " \r\n"}, "text", "поне на един език"),
        ({"text-bg": "Жертва на случая."}, "text-bg", "„Жертва“"),
        ({"text-bg": "Виж http://a.bg"}, "text-bg", "„http://a.bg“ е адрес"),
        ({"text-bg": "а" * 501}, "text-bg", "до 500 знака. Сега са 501"),
        ({"channels": []}, "channels", "поне един канал"),
        ({"channels": ["web"]}, "channels", "„web“"),
        ({"municipalities": ["x"]}, "municipalities", "„x“"),
    ],
)
async def test_each_mistake_is_named_at_its_field(
    centre: Centre, raya: Browser, wrong: dict[str, object], field: str, told: str
) -> None:
    await raya.get(NEW)
    await raya.submit(NEW, **GOOD | wrong)
    assert raya.status == 422
    found = re.search(rf'id="{field}-wrong">([^<]+)<', raya.page)
    assert found
    assert told in found[1]
    assert await centre.broadcasts.all() == []


async def test_a_colleague_proposes_it_only_once_she_has_saved_it_herself(
    centre: Centre, raya: Browser, ivan: Browser
) -> None:
    at = await composed(centre, raya)
    await ivan.get(at)
    assert "Предлага го който последен го е писал" in ivan.text
    assert f'action="{at}/propose"' not in ivan.page
    await ivan.post(f"{at}/propose", **ivan.fields(f"{at}/cancel"))
    assert ivan.status == 409
    await ivan.get(f"{at}/edit")
    await ivan.submit(f"{at}/edit", **GOOD)
    await ivan.submit(f"{at}/propose")
    assert "Ти не можеш" in ivan.text
    await raya.get(at)
    assert f'action="{at}/approve"' in raya.page


async def test_what_has_begun_is_changed_no_more_and_what_is_not_there_is_said(
    centre: Centre, raya: Browser, ivan: Browser
) -> None:
    await wait_there(centre, 1)
    at = await composed(centre, raya)
    await raya.get(f"{at}/edit")
    form = raya.fields(f"{at}/edit")
    await raya.get(at)
    await raya.submit(f"{at}/propose")
    await ivan.get(at)
    await ivan.submit(f"{at}/approve")
    await raya.post(f"{at}/edit", **form, **GOOD | {"text-bg": "Друго."})
    assert raya.status == 409
    assert TEXT in raya.text
    await raya.get(f"{HOME}/nothing")
    assert raya.status == 404


async def test_consultants_have_no_broadcasts(centre: Centre, raya: Browser) -> None:
    at = await composed(centre, raya)
    async with browser(centre, await centre.session_of("maria")) as maria:
        await maria.get(HOME)
        assert maria.status == 403
        token = maria.fields("/logout")
        for act in ("propose", "approve", "pause", "resume", "cancel", "edit"):
            await maria.post(f"{at}/{act}", **token)
            assert maria.status == 403
    assert (await centre.broadcasts.all())[0].state is BroadcastState.DRAFT


async def test_markup_in_the_words_is_only_text(centre: Centre, raya: Browser) -> None:
    await composed(centre, raya, **{"text-bg": "<b>Утре</b> {{ 7*7 }}"})
    assert "&lt;b&gt;Утре" in raya.page
    assert "{{ 7*7 }}" in raya.text


# --- the receptions ------------------------------------------------------------------------


async def reception(centre: Centre, hours: float) -> Reception:
    start = centre.clock() + timedelta(hours=hours)
    planned = Reception("r1", "rse27", "Читалището", start, start + timedelta(hours=2))
    await centre.store.save_receptions([planned])
    return planned


async def test_staff_see_how_many_wait_for_a_reception_in_tens(
    centre: Centre, raya: Browser
) -> None:
    await reception(centre, 30)
    await raya.get("/staff?month=2026-11")
    assert "напомняния: под 10" in raya.text
    await wait_there(centre, 12)
    await raya.get("/staff?month=2026-11")
    assert "напомняния: поне 10" in raya.text
    assert "навреме" not in raya.text


async def test_however_many_receptions_are_ahead_their_women_are_counted_at_once(
    centre: Centre, raya: Browser
) -> None:
    asked: list[str] = []
    engine = centre.store._database._engine.sync_engine
    event.listen(engine, "before_cursor_execute", lambda *args: asked.append(args[2]))
    planned = await reception(centre, 30)
    await wait_there(centre, 12)
    many = [replace(planned, id=f"r{number}") for number in range(2, 9)]
    for ahead in ([], many):
        await centre.store.save_receptions(ahead)
        asked.clear()
        await raya.get("/staff?month=2026-11")
        assert raya.text.count("напомняния: ") == 1 + len(ahead)
        assert sum("FROM subscriptions" in statement for statement in asked) == 2


async def test_for_whom_a_change_comes_too_late_the_consultants_on_duty_are_rung(
    centre: Centre,
) -> None:
    planned = await reception(centre, 23)
    await wait_there(centre, 3)
    centre.clock.passes(hours=11)  # ten in the evening, and it is moved to eight in the morning
    moved = replace(planned, start=planned.start - timedelta(hours=4))
    await centre.store.save_receptions([moved])
    maria = await centre.person("maria")
    async with desk_bells(centre) as (bells, telegram):
        phone = telegram.woman()
        phone.starts()
        await centre.store.offer_bell(maria.id, b"code", centre.clock() + timedelta(minutes=9))
        await centre.store.link_bell(b"code", str(phone.id))
        session = await centre.session_of("raya", [Role.STAFF])
        async with browser(centre, session, bells) as raya:
            await raya.get("/staff")
            assert "няма да стигне навреме до под 10 жени" in raya.text
            await raya.submit("/staff/receptions/r1/call")
            assert "звъннаха" in raya.text
        (rung,) = phone.bot_messages
        assert "Русе" not in str(rung)
        assert "Читалището" not in str(rung)
    assert "reception.called" in [action for _, action in await centre.audited()]


async def test_whoever_may_still_set_out_for_a_date_that_is_over_sooner_is_late_until_then(
    centre: Centre, raya: Browser
) -> None:
    planned = await reception(centre, 30)
    await wait_there(centre, 3)
    week = timedelta(days=7)
    await centre.store.save_receptions(
        [replace(planned, start=planned.start - week, end=planned.end - week)]
    )
    await raya.get("/staff")
    assert "няма да стигне навреме до под 10 жени" in raya.text


async def test_where_no_phone_can_ring_staff_are_told_to_call(
    centre: Centre, raya: Browser
) -> None:
    await reception(centre, 30)
    await raya.get("/staff")
    await raya.post("/staff/receptions/r1/call", **raya.fields("/logout"))
    assert "Обади им се" in raya.text
    await raya.post("/staff/receptions/none/call", **raya.fields("/logout"))
    assert raya.status == 404
