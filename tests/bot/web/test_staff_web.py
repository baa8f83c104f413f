"""The staff pages as the team's browser meets them, without a script."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from bot.neutral import topic_word
from bot.storage.records import Role
from bot.texts import open_content
from scheduler.csv_lines import PROBLEM_CODES
from scheduler.model import Reception, ReceptionState
from tests.bot.desk import Centre, a_centre
from tests.bot.web.test_desk_web import Browser, browser

NEW = "/staff/receptions/new"
ONE = "/staff/receptions/one"
AS_PLANNED = {
    "municipality": "rse04", "day": "2026-11-24", "from": "10:00", "to": "14:00", "place": "Борово",
}  # fmt: skip
TABLE = "municipality,place,landmark,date,start,end,attends,public_name\n"
IN_RUSE = "rse27,Русе,,2026-11-25,10:00,14:00,,\n"
GOOD = {
    "municipality": "rse04",
    "day": "2026-11-26",
    "from": "10:00",
    "to": "14:00",
    "place": "Бяла, читалището",
    "landmark": "до пощата",
    "attends": "юрист",
    "public_name": "Консултации за семейството",
}


@pytest.fixture
async def centre(tmp_path: Path) -> AsyncIterator[Centre]:
    async with a_centre(tmp_path) as made:
        yield made


@pytest.fixture
async def ivan(centre: Centre) -> AsyncIterator[Browser]:
    """Somebody of the team."""
    async with browser(centre, await centre.session_of("ivan", [Role.STAFF])) as made:
        yield made


async def planned(centre: Centre, **changed: object) -> Reception:
    start = datetime(2026, 11, 24, 8, 0, tzinfo=UTC)
    values = {"start": start, "end": start + timedelta(hours=4), "place": "Борово"} | changed
    reception = Reception("one", "rse04", **values)  # type: ignore[arg-type]
    await centre.store.save_receptions([reception])
    return reception


async def test_a_new_reception_stands_in_calendar_and_list(centre: Centre, ivan: Browser) -> None:
    await ivan.get(NEW)
    await ivan.submit(NEW, **GOOD)
    assert "Приемната е запазена." in ivan.text
    assert "ноември 2026" in ivan.text
    assert "10:00 Бяла" in ivan.text
    kept = (await centre.store.receptions())[0]
    assert kept.start == datetime(2026, 11, 26, 8, 0, tzinfo=UTC)
    assert (kept.municipality, kept.state) == ("rse04", ReceptionState.PLANNED)


async def test_a_form_sent_twice_makes_one_reception(centre: Centre, ivan: Browser) -> None:
    await ivan.get(NEW)
    form = ivan.fields(NEW)
    for _ in range(2):
        await ivan.post(NEW, **form | GOOD)
    assert len(await centre.store.receptions()) == 1


@pytest.mark.parametrize(
    ("wrong", "field", "told"),
    [
        ({"municipality": ""}, "municipality", "Избери община"),
        ({"municipality": "Бяла"}, "municipality", "Избери община"),
        ({"day": ""}, "day", "Напиши ден"),
        ({"day": "31.02.2026"}, "day", "Напиши ден"),
        ({"day": "2026-11-20"}, "day", "вече са минали"),
        ({"day": "2036-11-20"}, "day", "повече от две години"),
        ({"from": "25:00"}, "from", "Напиши начален час"),
        ({"from": "１０:００"}, "from", "Напиши начален час"),
        ({"to": ""}, "to", "Напиши краен час"),
        ({"to": "09:00"}, "to", "Краят е преди началото"),
        ({"from": "00:00", "to": "23:00"}, "to", "най-много 12 часа"),
        ({"day": "2027-03-28", "from": "03:30", "to": "06:00"}, "from", "Такъв час няма"),
        ({"place": "  "}, "place", "Напиши мястото"),
        ({"landmark": "я" * 200}, "landmark", "до 120 знака"),
    ],
)
async def test_each_mistake_is_named_at_its_field(
    centre: Centre, ivan: Browser, wrong: dict[str, str], field: str, told: str
) -> None:
    await ivan.get(NEW)
    await ivan.submit(NEW, **GOOD | wrong)
    assert ivan.status == 422
    found = re.search(rf'id="{field}-wrong">([^<]+)<', ivan.page)
    assert found
    assert told in found[1]
    if field != "place":
        assert GOOD["place"] in ivan.page
    assert await centre.store.receptions() == []


async def test_a_day_may_be_written_as_people_write_it(centre: Centre, ivan: Browser) -> None:
    await ivan.get(NEW)
    await ivan.submit(NEW, **GOOD | {"day": "26.11.2026", "from": "9.30"})
    kept = (await centre.store.receptions())[0]
    assert kept.start == datetime(2026, 11, 26, 7, 30, tzinfo=UTC)


@pytest.mark.parametrize("name", ["public_name", "place"])
async def test_a_name_or_place_that_tells_the_topic_is_asked_about_once(
    centre: Centre, ivan: Browser, name: str
) -> None:
    telling = GOOD | {name: "Помощ при насилие"}
    await ivan.get(NEW)
    await ivan.submit(NEW, **telling)
    assert "„насилие“ издава темата" in ivan.text
    assert await centre.store.receptions() == []
    await ivan.submit(NEW, **telling)
    assert getattr((await centre.store.receptions())[0], name) == "Помощ при насилие"


async def test_two_receptions_at_once_are_asked_about(centre: Centre, ivan: Browser) -> None:
    await planned(centre)
    await ivan.get(NEW)
    await ivan.submit(NEW, **GOOD | {"day": "2026-11-24", "municipality": "rse27"})
    assert "По същото време има приемна в Бяла" in ivan.text
    await ivan.submit(NEW, **GOOD | {"day": "2026-11-24", "municipality": "rse27"})
    assert len(await centre.store.receptions()) == 2


async def test_another_hour_or_place_makes_it_a_moved_one(centre: Centre, ivan: Browser) -> None:
    await planned(centre)
    await ivan.get("/staff/receptions/one")
    same = GOOD | {"day": "2026-11-24", "place": "Борово"}
    await ivan.submit("/staff/receptions/one", **same)
    assert (await centre.store.receptions())[0].state is ReceptionState.PLANNED
    await ivan.get("/staff/receptions/one")
    await ivan.submit("/staff/receptions/one", **same | {"from": "11:00"})
    assert "като преместена" in ivan.text
    assert (await centre.store.receptions())[0].state is ReceptionState.MOVED


async def test_a_cancelled_reception_stays_in_the_list_and_can_come_back(
    centre: Centre, ivan: Browser
) -> None:
    await planned(centre)
    await ivan.get("/staff/receptions/one")
    await ivan.submit("/staff/receptions/one/cancel")
    assert "Отменена" in ivan.text
    assert (await centre.store.receptions())[0].state is ReceptionState.CANCELLED
    await ivan.get("/staff/receptions/one")
    await ivan.submit("/staff/receptions/one/restore")
    assert (await centre.store.receptions())[0].state is ReceptionState.PLANNED


# --- when a colleague was faster -------------------------------------------------------------


async def moved_by_a_colleague(centre: Centre, **changed: object) -> Reception:
    """To Friday; what is kept of it then."""
    reception = await centre.store.reception("one")
    assert reception is not None
    later = {each: getattr(reception, each) + timedelta(days=3) for each in ("start", "end")}
    values = {**later, "state": ReceptionState.MOVED} | changed
    await centre.store.save_receptions([replace(reception, **values)])  # type: ignore[arg-type]
    kept = await centre.store.reception("one")
    assert kept is not None
    return kept


async def test_an_old_form_does_not_undo_what_a_colleague_changed(
    centre: Centre, ivan: Browser
) -> None:
    await planned(centre)
    await ivan.get(ONE)
    moved = await moved_by_a_colleague(centre, attends="юрист")
    await ivan.submit(ONE, **AS_PLANNED, landmark="до пощата")
    assert ivan.status == 409
    assert "променена междувременно" in ivan.text
    for told in ("Ден : При теб беше „2026-11-24“.", "Ориентир : При теб беше „до пощата“.",
                 "Кой ще бъде там : При теб беше празно."):  # fmt: skip
        assert told in ivan.text
    assert "Място : При теб" not in ivan.text
    assert 'value="2026-11-27"' in ivan.page
    assert await centre.store.reception("one") == moved
    await ivan.submit(ONE, **AS_PLANNED | {"day": "2026-11-27", "landmark": "до пощата"})
    assert "Приемната е запазена като преместена." in ivan.text
    kept = await centre.store.reception("one")
    assert kept == replace(moved, landmark="до пощата", attends="", sequence=moved.sequence + 1)


async def test_an_old_form_stays_old_when_it_is_asked_about_again(
    centre: Centre, ivan: Browser
) -> None:
    await planned(centre)
    await ivan.get(ONE)
    moved = await moved_by_a_colleague(centre)
    await ivan.submit(ONE, **AS_PLANNED | {"place": " "})
    assert ivan.status == 422
    await ivan.submit(ONE, **AS_PLANNED, public_name="Срещу насилие")
    assert "издава темата" in ivan.text
    await ivan.submit(ONE, **AS_PLANNED, public_name="Срещу насилие")
    assert ivan.status == 409
    await ivan.post(ONE, **{**ivan.fields(ONE), "seen": ""} | AS_PLANNED)
    assert ivan.status == 409
    assert await centre.store.reception("one") == moved


async def test_an_old_form_does_not_undo_a_calendar_that_does_not_count(
    centre: Centre, ivan: Browser
) -> None:
    one = await planned(centre)
    await ivan.get(ONE)
    taken = replace(one, place="Борово, пазарът")
    await centre.store.revise_receptions(lambda _: [taken], counted=True)
    await ivan.submit(ONE, **AS_PLANNED, landmark="до пощата")
    assert ivan.status == 409
    assert await centre.store.reception("one") == taken


async def test_from_an_old_page_nothing_is_called_off_or_brought_back(
    centre: Centre, ivan: Browser
) -> None:
    await planned(centre)
    await ivan.get(ONE)
    moved = await moved_by_a_colleague(centre)
    await ivan.submit(f"{ONE}/cancel")
    assert ivan.status == 409
    assert "променена междувременно" in ivan.text
    assert await centre.store.reception("one") == moved
    await ivan.submit(f"{ONE}/cancel")
    await ivan.get(ONE)
    off = await moved_by_a_colleague(centre, place="Бяла", state=ReceptionState.CANCELLED)
    await ivan.submit(f"{ONE}/restore")
    assert ivan.status == 409
    assert await centre.store.reception("one") == off


async def test_a_change_and_a_cancellation_that_are_sent_twice_are_one(
    centre: Centre, ivan: Browser
) -> None:
    await planned(centre)
    for action, fields, done in (
        (ONE, AS_PLANNED | {"day": "2026-11-26"}, "преместена"),
        (f"{ONE}/cancel", {}, "отменена"),
        (f"{ONE}/restore", {}, "пак ще я има"),
    ):
        await ivan.get(ONE)
        hidden = ivan.fields(action)
        before = (await centre.store.receptions())[0].sequence
        for _ in range(2):
            await ivan.post(action, **hidden | fields)
            assert done in ivan.text
        assert (await centre.store.receptions())[0].sequence == before + 1


async def test_of_two_who_save_at_the_same_moment_one_is_told(
    centre: Centre, ivan: Browser
) -> None:
    await planned(centre)
    await ivan.get(ONE)
    form = ivan.fields(ONE) | AS_PLANNED
    sent = [ivan.client.post(ONE, data=form | {"landmark": each}) for each in ("а", "б", "в")]
    answers = await asyncio.gather(*sent)
    assert sorted(each.status_code for each in answers) == [200, 409, 409]
    assert (await centre.store.receptions())[0].sequence == 1


async def test_the_form_of_a_new_one_that_comes_back_changes_nothing_that_was_changed_since(
    centre: Centre, ivan: Browser
) -> None:
    await ivan.get(NEW)
    form = ivan.fields(NEW) | GOOD
    await ivan.post(NEW, **form)
    [kept] = await centre.store.receptions()
    off = replace(kept, state=ReceptionState.CANCELLED)
    await centre.store.save_receptions([off])
    await ivan.post(NEW, **form | {"landmark": "до училището"})
    assert ivan.status == 409
    assert "При теб беше „до училището“." in ivan.text
    assert await centre.store.receptions() == [replace(off, sequence=1)]


# --- files -----------------------------------------------------------------------------------


async def test_an_old_table_does_not_undo_what_a_colleague_changed(
    centre: Centre, ivan: Browser
) -> None:
    await planned(centre)
    table = (await ivan.client.get("/staff/receptions.csv")).text
    moved = await moved_by_a_colleague(centre)
    line = ";rse27;;Русе;;2026-11-25;10:00;14:00;;;;\n"
    await upload(ivan, (table + line).encode())
    assert ivan.status == 422
    assert "Ред 2: Тази приемна е променена тук, след като файлът е свален." in ivan.text
    assert await centre.store.receptions() == [moved]
    table = (await ivan.client.get("/staff/receptions.csv")).text
    await upload(ivan, (table + line).encode())
    assert "1 нови, 0 променени, 1 без промяна." in ivan.text


async def test_what_was_called_off_stays_so_whatever_a_table_says_and_the_page_says_it(
    centre: Centre, ivan: Browser
) -> None:
    await planned(centre)
    await ivan.get(ONE)
    await ivan.submit(f"{ONE}/cancel")
    await upload(ivan, f"{TABLE}rse04,Борово,,2026-11-24,10:00,14:00,,\n{IN_RUSE}".encode())
    assert (
        "1 нови, 0 променени, 0 без промяна. Отменени са тук, а във файла ги има: 1." in ivan.text
    )
    first = (await centre.store.receptions())[0]
    assert (first.id, first.state) == ("one", ReceptionState.CANCELLED)
    await upload(ivan, f"{TABLE}{IN_RUSE}".encode())
    assert "0 нови, 0 променени, 1 без промяна." in ivan.text
    assert "Отменени са тук" not in ivan.text


async def test_a_table_that_is_sent_twice_even_at_once_doubles_nothing(
    centre: Centre, ivan: Browser
) -> None:
    await ivan.get("/staff")
    token = ivan.fields("/staff/receptions/import")
    file = {"file": ("a.csv", f"{TABLE}{IN_RUSE}".encode(), "text/csv")}
    posts = (ivan.client.post("/staff/receptions/import", data=token, files=file) for _ in range(3))
    assert [each.status_code for each in await asyncio.gather(*posts)] == [200] * 3
    assert len(await centre.store.receptions()) == 1


async def test_a_wrong_year_in_a_table_is_named_and_nothing_is_taken(
    centre: Centre, ivan: Browser
) -> None:
    await upload(ivan, f"{TABLE}{IN_RUSE.replace('2026', '2062')}".encode())
    assert "Ред 2, „date“: 2062-11-25 е след повече от две години." in ivan.text
    assert await centre.store.receptions() == []


async def test_what_was_downloaded_can_be_uploaded_as_it_is(centre: Centre, ivan: Browser) -> None:
    before = await planned(centre, landmark="=1+1")
    await planned_long_ago(centre)
    file = await ivan.client.get("/staff/receptions.csv")
    assert "attachment" in file.headers["content-disposition"]
    await upload(ivan, file.content)
    assert "0 нови, 0 променени" in ivan.text
    assert await centre.store.reception("one") == before


async def planned_long_ago(centre: Centre) -> None:
    start = datetime(2026, 11, 3, 8, 0, tzinfo=UTC)
    old = Reception("old", "rse04", "Борово", start, start + timedelta(hours=1))
    await centre.store.save_receptions([old])


async def upload(visitor: Browser, data: bytes) -> None:
    await visitor.get("/staff")
    token = visitor.fields("/staff/receptions/import")
    visitor._seen(
        await visitor.client.post(
            "/staff/receptions/import", data=token, files={"file": ("a.csv", data, "text/csv")}
        )
    )


async def test_a_file_with_mistakes_names_each_line_and_changes_nothing(
    centre: Centre, ivan: Browser
) -> None:
    rows = (
        "municipality;place;landmark;date;start;end;attends;public_name\n"
        "rse04;Борово;;2026-11-26;10:00;14:00;;\n"
        "Бяла;Борово;;2026-11-27;10:00;14:00;;\n"
        "rse04;Борово;;2026-11-28;14:00;10:00;;\n"
    )
    await upload(ivan, rows.encode("cp1251"))
    assert ivan.status == 422
    assert "Ред 3, „municipality“: „Бяла“ е име" in ivan.text
    assert "Ред 4, „end“: Краят 10:00 не е след началото 14:00." in ivan.text
    assert await centre.store.receptions() == []
    for nothing in (b"", b"\x00\xff", b"PK\x03\x04"):
        await upload(ivan, nothing)
        assert ivan.status == 422


async def test_a_good_file_moves_what_has_another_hour(centre: Centre, ivan: Browser) -> None:
    await planned(centre)
    rows = (
        "id,municipality,place,landmark,date,start,end,attends,public_name\n"
        "one,rse04,Борово,,2026-11-24,11:00,14:00,,\n"
        ",rse27,Русе,,2026-11-25,10:00,14:00,,\n"
    )
    await upload(ivan, rows.encode())
    assert "1 нови, 1 променени" in ivan.text
    moved = await centre.store.reception("one")
    assert moved is not None
    assert moved.state is ReceptionState.MOVED


def test_every_mistake_of_a_file_has_its_sentence() -> None:
    assert {f"staff.csv.problem.{code}" for code in PROBLEM_CODES} <= open_content()[0].texts.keys()


async def test_consultants_do_not_change_receptions(centre: Centre) -> None:
    await planned(centre)
    async with browser(centre, await centre.session_of("maria")) as maria:
        await maria.get("/staff")
        assert maria.status == 403
        token = maria.fields("/logout")
        await maria.post("/staff/receptions/one/cancel", **token)
        assert maria.status == 403
    assert (await centre.store.receptions())[0].state is ReceptionState.PLANNED
    assert "refused.role" in [action for _, action in await centre.audited()]


@pytest.mark.parametrize("month", ["2026-13", "0000-01", "9999-12", "x", "2026-12&done=<b>"])
async def test_any_month_in_the_address_gives_a_page(ivan: Browser, month: str) -> None:
    await ivan.get(f"/staff?month={month}")
    assert ivan.status == 200


async def test_an_unknown_reception_says_so(ivan: Browser) -> None:
    for path in ("/staff/receptions/none", "/staff/receptions/%3Cb%3E"):
        await ivan.get(path)
        assert ivan.status == 404


def test_words_that_tell_the_topic_are_found_in_any_form() -> None:
    _, texts = open_content()
    for name in (
        "Срещу НАСИЛИЕТО", "Помощ за жертви", "домашен тормоз", "Център „Динамика“", "Dinamika",
        "Полицията", "Убежище", "Закрила на детето", "Прокуратурата", "Женски център",
        "антинасилие", "анти-насилие",
        "Домашно нaсилиe", "наси́лие", "HACИЛИE", "Shеltеr", "Прuют Приют",
    ):  # fmt: skip
        assert topic_word(texts, name), name
    for name in (
        "Консултации за семейството", "Ден на отворени врати", "Бойчиновци", "Читалище „Зора“",
        "Пазара", "Здравна служба", "Пощата", "Община Бяла", "Поликлиниката", "Митрополията",
        "Младежкият дом", "Политехническата гимназия", "Жилищен блок „Роза“",
        "Ruse, the market", "",
    ):  # fmt: skip
        assert topic_word(texts, name) is None, name


def test_a_word_that_tells_the_topic_is_quoted_as_it_was_written() -> None:
    _, texts = open_content()
    assert topic_word(texts, "Център „Динaмикa“") == "Динaмикa"  # two of its letters are Latin
    assert topic_word(texts, "Women, Shеlter") == "Shеlter"  # and one of these is not
