"""Calendars of receptions on the page of the team, as its browser meets them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from bot.calendars import take_calendar
from bot.storage.records import Role
from bot.texts import open_content
from scheduler.exchange import SOFIA
from scheduler.ical import HORIZON, PROBLEM_CODES
from scheduler.model import ReceptionState
from scheduler.reception_ical import OWN_CODES
from tests.bot.desk import Centre, a_centre
from tests.bot.web.test_desk_web import HOST, Browser, browser
from tests.scheduler.test_ical import calendar
from tests.scheduler.test_reception_ical import ONE, TUESDAYS

IMPORT = "/staff/receptions/import"


@pytest.fixture
async def centre(tmp_path: Path) -> AsyncIterator[Centre]:
    async with a_centre(tmp_path) as made:
        yield made


@pytest.fixture
async def ivan(centre: Centre) -> AsyncIterator[Browser]:
    """Somebody of the team."""
    async with browser(centre, await centre.session_of("ivan", [Role.STAFF])) as made:
        yield made


async def upload(visitor: Browser, data: bytes, name: str = "plan.ics") -> str:
    await visitor.get("/staff")
    token = visitor.fields(IMPORT)
    files = {"file": (name, data, "application/octet-stream")}
    return visitor._seen(await visitor.client.post(IMPORT, data=token, files=files))


async def test_a_second_calendar_changes_what_changed_and_says_so(
    centre: Centre, ivan: Browser
) -> None:
    other = ONE.replace("UID:one", "UID:two").replace("1201", "1202")
    await upload(ivan, calendar(ONE, other))
    assert "Нови: 2. Променени: 0. Отменени: 0. Без промяна: 0." in ivan.text
    later = ONE.replace("SEQUENCE:0", "SEQUENCE:1").replace("T10", "T11")
    await upload(ivan, calendar(later, other + "\nSTATUS:CANCELLED"), "plan.txt")
    assert "Нови: 0. Променени: 1. Отменени: 1. Без промяна: 0." in ivan.text
    first, second = await centre.store.receptions()
    assert (first.state, second.state) == (ReceptionState.MOVED, ReceptionState.CANCELLED)
    assert first.start == datetime(2026, 12, 1, 9, 0, tzinfo=UTC)
    await upload(ivan, calendar(ONE))
    assert "Тук са по-нови и остават: 1." in ivan.text
    assert [action for _, action in await centre.audited()].count("reception.imported") == 3


async def test_what_was_changed_on_the_page_stays_when_the_old_calendar_comes_again(
    centre: Centre, ivan: Browser
) -> None:
    await upload(ivan, calendar(ONE))
    (kept,) = await centre.store.receptions()
    await ivan.get(f"/staff/receptions/{kept.id}")
    await ivan.submit(f"/staff/receptions/{kept.id}/cancel")
    await upload(ivan, calendar(ONE))
    assert "Отменени са тук, а във файла ги има: 1. Остават отменени." in ivan.text
    (still,) = await centre.store.receptions()
    assert still.state is ReceptionState.CANCELLED
    assert still.uid == "one"


async def test_what_stood_here_before_its_calendar_is_known_by_it_from_then_on(
    centre: Centre, ivan: Browser
) -> None:
    await upload(ivan, calendar(ONE))
    (kept,) = await centre.store.receptions()
    again = ONE.replace("UID:one", "UID:another")
    await upload(ivan, calendar(again))
    assert "Нови: 0. Променени: 0. Отменени: 0. Без промяна: 1." in ivan.text
    assert await centre.store.receptions() == [replace(kept, uid="another")]
    await upload(ivan, calendar(again.replace("1201", "1203")))
    (moved,) = await centre.store.receptions()
    assert (moved.id, moved.start.day, moved.sequence) == (kept.id, 3, 0)


async def test_it_says_until_when_it_took_what_repeats(centre: Centre, ivan: Browser) -> None:
    await upload(ivan, calendar(TUESDAYS.replace(";COUNT=4", "")))
    until = (centre.clock.at + HORIZON).astimezone(SOFIA)
    assert f"Повторенията са взети до {until:%d.%m.%Y}. После качи календара пак." in ivan.text


async def test_a_calendar_with_mistakes_names_each_line_and_changes_nothing(
    centre: Centre, ivan: Browser
) -> None:
    wrong = ONE.replace("UID:one", "UID:two").replace("rse04", "Бяла")
    await upload(ivan, calendar(ONE, wrong.replace("SEQUENCE:0", "SEQUENCE:0\nSEQUENCE:1")))
    assert ivan.status == 422
    assert "Ред 16, „SEQUENCE“: Това стои два пъти в едно събитие." in ivan.text
    await upload(ivan, calendar(ONE, wrong))
    assert (
        "Ред 19, „CATEGORIES“: „Бяла“ е име, а имената се повтарят. Напиши кода rse04" in ivan.text
    )
    await upload(ivan, b"nothing", "plan.ICS")
    assert "Това не е календар." in ivan.text
    assert await centre.store.receptions() == []


async def test_what_was_downloaded_as_a_calendar_changes_nothing(
    centre: Centre, ivan: Browser
) -> None:
    await upload(ivan, calendar(ONE, TUESDAYS.replace("1201", "1202")))
    before = await centre.store.receptions()
    file = await ivan.client.get("/staff/receptions.ics")
    assert "attachment" in file.headers["content-disposition"]
    assert file.headers["content-type"] == "text/calendar; charset=utf-8"
    await upload(ivan, file.content)
    assert "Нови: 0. Променени: 0. Отменени: 0. Без промяна: 5." in ivan.text
    assert await centre.store.receptions() == before


async def test_a_calendar_that_is_sent_twice_at_once_is_taken_once(
    centre: Centre, ivan: Browser
) -> None:
    await ivan.get("/staff")
    token = ivan.fields(IMPORT)
    sent = [
        ivan.client.post(IMPORT, data=token, files={"file": ("a.ics", calendar(ONE))})
        for _ in range(2)
    ]
    answers = await asyncio.gather(*sent)
    assert [answer.status_code for answer in answers] == [200, 200]
    assert len(await centre.store.receptions()) == 1


async def test_what_a_colleague_saves_while_a_calendar_is_read_is_not_undone(
    centre: Centre, ivan: Browser
) -> None:
    await upload(ivan, calendar(ONE))
    (known,) = await centre.store.receptions()
    moved = replace(known, place="Борово, пазарът", state=ReceptionState.MOVED)
    loop, keys = asyncio.get_running_loop(), iter("abcd")

    def new_key() -> str:
        """It is asked for in the middle of the reading."""
        saving = centre.store.save_receptions([moved])
        asyncio.run_coroutine_threadsafe(saving, loop).result(10)
        return next(keys)

    other = ONE.replace("UID:one", "UID:two").replace("1201", "1202")
    file, now = calendar(ONE + "\nDESCRIPTION:x", other), centre.clock.at
    took = await take_calendar(centre.store, file, {"rse04": ("", "Бяла")}, now, new_key)
    assert (took.added, took.older) == (1, 1)
    first, second = await centre.store.receptions()
    assert (first, second.id) == (replace(moved, sequence=1), "b")


async def test_the_page_says_where_phones_find_the_calendar(ivan: Browser) -> None:
    await ivan.get("/staff")
    assert f"{HOST}/receptions.ics" in ivan.text


def test_every_mistake_of_a_calendar_has_its_sentence() -> None:
    shared = {f"staff.duty.file.problem.{code}" for code in {*PROBLEM_CODES} - {*OWN_CODES}}
    own = {f"staff.ics.problem.{code}" for code in OWN_CODES}
    assert shared | own <= open_content()[0].texts.keys()
