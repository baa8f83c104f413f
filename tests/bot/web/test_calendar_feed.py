"""`/receptions.ics` over real HTTP, as a phone's calendar asks for it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest
import pytest_asyncio
from icalendar import Calendar

from bot.web.calendar_feed import FEED
from scheduler.model import Reception, ReceptionState
from scheduler.reception_event import public_uid_of
from tests.line import Line, running_line

NOW = datetime(2026, 11, 22, 10, 0, tzinfo=UTC)
START = datetime(2026, 12, 1, 8, 0, tzinfo=UTC)
NAME = "Дом и здраве"
PLAIN = Reception(
    id="plain",
    municipality="rse04",
    place="читалището",
    start=START,
    end=START + timedelta(hours=4),
    landmark="до пощата, зеленият вход срещу голямата липа",
    attends="юрист и психолог",
    public_name="Консултации за семейството",
    uid="secret@dinamika.example/20261201T080000Z",
    sequence=2,
)
pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def line(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Line]:
    folder: Path = tmp_path_factory.mktemp("line")
    async with running_line(folder, now=lambda: NOW) as line:
        others = {
            "told": {
                "public_name": "Помощ за жертви на насилие",
                "place": "Кризисен център",
                "landmark": "където се дават заповеди за защита",
            },
            "no_name": {"public_name": "", "place": "Бяла, читалището"},
            "off": {"state": ReceptionState.CANCELLED},
            "just_over": {"start": NOW - timedelta(hours=27), "end": NOW - timedelta(hours=23)},
            "long_over": {"start": NOW - timedelta(hours=29), "end": NOW - timedelta(hours=25)},
        }
        made = [replace(PLAIN, id=id_, uid="", **new) for id_, new in others.items()]  # type: ignore[arg-type]
        await line.phen.store.save_receptions([PLAIN, *made])
        yield line


async def asked(line: Line, method: str = "GET", **headers: str) -> httpx.Response:
    async with httpx.AsyncClient() as phone:
        return await phone.request(method, line.url + FEED, headers=headers)


IDS = ("plain", "told", "no_name", "off", "just_over", "long_over")


def events(answer: httpx.Response) -> dict[str, dict[str, str]]:
    """What of each event a phone shows, by the reception's id."""
    shown = ("SUMMARY", "LOCATION", "DESCRIPTION", "STATUS")
    ids = {public_uid_of(replace(PLAIN, id=id_)): id_ for id_ in IDS}
    return {
        ids[str(event["UID"])]: {name: str(event.get(name, "")) for name in shown}
        for event in Calendar.from_ical(answer.content).events
    }


async def test_a_phone_gets_it_without_a_login_and_leaves_nothing_behind(line: Line) -> None:
    answer = await asked(line)
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "text/calendar; charset=utf-8"
    assert "set-cookie" not in answer.headers
    assert answer.headers["cache-control"] == "public, max-age=600"
    assert answer.headers["x-robots-tag"] == "noindex"
    assert answer.headers["referrer-policy"] == "no-referrer"
    assert "default-src 'none'" in answer.headers["content-security-policy"]


async def test_it_stands_there_as_rfc_5545_says(line: Line) -> None:
    content = (await asked(line)).content
    lines = content.split(b"\r\n")
    assert b"\n" not in b"".join(lines)
    assert max(map(len, lines)) <= 75
    assert all(line.decode() or not line for line in lines)  # no letter is cut in two
    assert any(line.startswith(b" ") for line in lines)
    calendar = Calendar.from_ical(content)
    assert not calendar.errors
    assert not any(event.errors for event in calendar.events)
    starts = {str(event["UID"]): event["DTSTART"] for event in calendar.events}
    assert starts[public_uid_of(PLAIN)].dt == START
    assert starts[public_uid_of(PLAIN)].params["TZID"] == "Europe/Sofia"
    assert str(calendar["X-WR-CALNAME"]) == NAME


async def test_it_tells_when_and_where_and_nobody_what_about(line: Line) -> None:
    answer = await asked(line)
    found = events(answer)
    assert found["plain"] == {
        "SUMMARY": "Консултации за семейството",
        "LOCATION": "читалището, Бяла",
        "DESCRIPTION": "до пощата, зеленият вход срещу голямата липа",
        "STATUS": "CONFIRMED",
    }
    told = {"SUMMARY": NAME, "LOCATION": "Бяла", "DESCRIPTION": "", "STATUS": "CONFIRMED"}
    assert found["told"] == told
    assert (found["no_name"]["SUMMARY"], found["no_name"]["LOCATION"]) == (NAME, "Бяла, читалището")
    text = answer.content.replace(b"\r\n ", b"").decode()
    for secret in ("юрист", "secret", "dinamika", "X-PHEN", "rse04", "насили", "no_name"):
        assert secret not in text


async def test_what_was_called_off_stays_until_the_day_after_it(line: Line) -> None:
    found = events(await asked(line))
    assert found["off"]["STATUS"] == "CANCELLED"
    assert "just_over" in found
    assert "long_over" not in found


async def test_a_phone_that_looks_again_gets_it_only_when_something_changed(line: Line) -> None:
    first = await asked(line)
    tag = first.headers["etag"]
    for known in (tag, f'"other", {tag}'):
        again = await asked(line, **{"If-None-Match": known})
        assert (again.status_code, again.content) == (304, b"")
        assert again.headers["etag"] == tag
    await line.phen.store.save_receptions([replace(PLAIN, attends="лекар", sequence=2)])
    changed = await asked(line, **{"If-None-Match": tag})
    assert changed.status_code == 200  # SEQUENCE went on with it
    await line.phen.store.save_receptions([replace(PLAIN, place="кметството")])
    moved = await asked(line, **{"If-None-Match": changed.headers["etag"]})
    assert events(moved)["plain"]["LOCATION"] == "кметството, Бяла"
    await line.phen.store.save_receptions([PLAIN])


async def test_a_phone_may_ask_for_the_headers_alone(line: Line) -> None:
    whole, head = await asked(line), await asked(line, "HEAD")
    assert (head.status_code, head.content) == (200, b"")
    assert head.headers["etag"] == whole.headers["etag"]
    assert (await asked(line, "POST")).status_code == 404


async def test_it_goes_on_while_the_line_is_stopped(line: Line) -> None:
    await line.phen.stop.set(True)
    try:
        assert "plain" in events(await asked(line))
    finally:
        await line.phen.stop.set(False)
