"""The duty pages as the team's browser meets them, without a script."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from datetime import UTC, date, datetime, time
from pathlib import Path

import pytest

from bot.storage.records import Role, StaffMember
from bot.texts import open_content
from scheduler.duty import Day, Hours, Shift, Weekly
from scheduler.ical import PROBLEM_CODES
from tests.bot.desk import Centre, a_centre
from tests.bot.web.test_desk_web import Browser, browser

HOME = "/staff/duty"


@pytest.fixture
async def centre(tmp_path: Path) -> AsyncIterator[Centre]:
    async with a_centre(tmp_path) as made:  # Sunday, 22 November 2026, 11:00 in Sofia
        yield made


@pytest.fixture
async def maria(centre: Centre) -> StaffMember:
    return await centre.person("maria", alias="Мария")


@pytest.fixture
async def ivan(centre: Centre, maria: StaffMember) -> AsyncIterator[Browser]:
    """Somebody of the team."""
    async with browser(centre, await centre.session_of("ivan", [Role.STAFF])) as made:
        yield made


def hours(start: int, end: int) -> Hours:
    return Hours(time(start), time(end))


async def test_a_weekly_pattern_is_kept_and_shown(
    centre: Centre, ivan: Browser, maria: StaffMember
) -> None:
    at = f"{HOME}/{maria.id}"
    week = {"mon-from-1": "09:00", "mon-to-1": "13:00", "mon-from-2": "14:00", "mon-to-2": "17:30"}
    await ivan.get(at)
    await ivan.submit(f"{at}/week", **week, **{"sat-from-1": "22:00", "sat-to-1": "6.00"})
    assert "Седмицата е запазена" in ivan.text
    assert all(f'value="{hour}"' in ivan.page for hour in ("14:00", "17:30", "22:00", "06:00"))
    assert (await centre.store.duty()).weekly == (
        Weekly(maria.id, 0, hours(9, 13)),
        Weekly(maria.id, 0, Hours(time(14), time(17, 30))),
        Weekly(maria.id, 5, hours(22, 6)),
    )
    await ivan.get(HOME)
    assert "пн 09:00–13:00, 14:00–17:30; сб 22:00–06:00" in ivan.text
    assert "09:00–13:00 maria (Мария)" in ivan.text
    assert "Няма никого: 00:00–09:00, 13:00–14:00, 17:30–24:00" in ivan.text


@pytest.mark.parametrize(
    ("written", "field", "told"),
    [
        ({"mon-from-1": "9"}, "mon-from-1", "Напиши начален час"),
        ({"mon-from-1": "09:00"}, "mon-to-1", "Напиши краен час"),
        ({"mon-to-1": "12:00"}, "mon-from-1", "Напиши начален час"),
        ({"mon-from-1": "09:00", "mon-to-1": "25:00"}, "mon-to-1", "Напиши краен час"),
        ({"mon-from-1": "09:00", "mon-to-1": "09:00"}, "mon-to-1", "същият като началото"),
        (
            {"mon-from-1": "9:00", "mon-to-1": "13:00", "mon-from-2": "12:59", "mon-to-2": "15:00"},
            "mon-from-2",
            "се застъпват",
        ),
    ],
)
async def test_a_mistake_in_one_day_keeps_the_week_as_it_was(
    centre: Centre,
    ivan: Browser,
    maria: StaffMember,
    written: dict[str, str],
    field: str,
    told: str,
) -> None:
    before = (Weekly(maria.id, 4, hours(9, 17)),)
    await centre.store.set_weekly(maria.id, before)
    at = f"{HOME}/{maria.id}"
    await ivan.get(at)
    await ivan.submit(f"{at}/week", **written, **{"tue-from-1": "09:00", "tue-to-1": "10:00"})
    assert ivan.status == 422
    found = re.search(rf'id="{field}-wrong">([^<]+)<', ivan.page)
    assert found
    assert told in found[1]
    assert f'href="#{field}"' in ivan.page
    assert 'name="tue-to-1" type="time" value="10:00"' in ivan.page
    assert (await centre.store.duty()).weekly == before


async def test_a_whole_day_and_night_can_be_meant(
    centre: Centre, ivan: Browser, maria: StaffMember
) -> None:
    at = f"{HOME}/{maria.id}"
    await ivan.get(at)
    await ivan.submit(f"{at}/week", **{"sun-from-1": "00:00", "sun-to-1": "00:00"})
    assert (await centre.store.duty()).weekly == (Weekly(maria.id, 6, hours(0, 0)),)
    await ivan.get(HOME)
    assert "00:00–24:00 maria" in ivan.text


async def test_a_day_away_and_a_day_with_other_hours(
    centre: Centre, ivan: Browser, maria: StaffMember
) -> None:
    at = f"{HOME}/{maria.id}"
    await ivan.get(at)
    await ivan.submit(f"{at}/day", day="24.11.2026", kind="away")
    assert "вторник, 24 ноември : не дежури" in ivan.text
    other = {"day-from-1": "10:00", "day-to-1": "12:00"}
    await ivan.submit(f"{at}/day", day="2026-11-25", kind="other", **other)
    assert "сряда, 25 ноември : 10:00–12:00" in ivan.text
    assert (await centre.store.duty()).days == (
        Day(maria.id, date(2026, 11, 24), None),
        Day(maria.id, date(2026, 11, 25), hours(10, 12)),
    )
    await ivan.submit(f"{at}/day/delete", day="2026-11-25")
    assert "Денят е махнат" in ivan.text
    assert [each.day for each in (await centre.store.duty()).days] == [date(2026, 11, 24)]


@pytest.mark.parametrize(
    ("written", "field", "told"),
    [
        ({"day": ""}, "day", "Напиши ден"),
        ({"day": "2026-11-21"}, "day", "вече е минал"),
        ({"day": "2028-11-21"}, "day", "повече от година"),
        ({"kind": "maybe"}, "kind", "Избери"),
        ({"kind": "other"}, "day-from-1", "Напиши часовете"),
        ({"kind": "other", "day-from-1": "10:00"}, "day-to-1", "Напиши краен час"),
    ],
)
async def test_a_wrong_day_is_named_at_its_field(
    centre: Centre,
    ivan: Browser,
    maria: StaffMember,
    written: dict[str, str],
    field: str,
    told: str,
) -> None:
    at = f"{HOME}/{maria.id}"
    await ivan.get(at)
    await ivan.submit(f"{at}/day", **{"day": "2026-11-24", "kind": "away"} | written)
    assert ivan.status == 422
    found = re.search(rf'id="{field}-wrong">([^<]+)<', ivan.page)
    assert found
    assert told in found[1]
    assert (await centre.store.duty()).days == ()


async def upload(visitor: Browser, maria: StaffMember, data: bytes) -> None:
    at = f"{HOME}/{maria.id}"
    await visitor.get(at)
    token = visitor.fields(f"{at}/file")
    file = {"file": ("a.ics", data, "text/calendar")}
    visitor._seen(await visitor.client.post(f"{at}/file", data=token, files=file))


def calendar(*lines: str) -> bytes:
    head = ["BEGIN:VCALENDAR", "VERSION:2.0", "PRODID:-//x//y//EN"]
    return "\r\n".join([*head, *lines, "END:VCALENDAR", ""]).encode()


EVENT = (
    "BEGIN:VEVENT", "UID:1", "DTSTAMP:20261101T000000Z", "SUMMARY:Тайно",
    "DTSTART:20261124T090000Z", "DTEND:20261124T120000Z", "END:VEVENT",
)  # fmt: skip


async def test_a_calendar_becomes_her_duties_and_can_be_taken_away(
    centre: Centre, ivan: Browser, maria: StaffMember
) -> None:
    await upload(ivan, maria, calendar(*EVENT))
    assert "Дежурствата от файла са запазени" in ivan.text
    assert "вторник, 24 ноември, 11:00–14:00" in ivan.text
    assert "Тайно" not in ivan.text
    start = datetime(2026, 11, 24, 9, tzinfo=UTC)
    assert (await centre.store.duty()).shifts == (Shift(maria.id, start, start.replace(hour=12)),)
    await ivan.submit(f"{HOME}/{maria.id}/file/delete")
    assert (await centre.store.duty()).shifts == ()


@pytest.mark.parametrize("data", [b"", b"\x00\xff", b"<html>", calendar()])
async def test_a_file_that_is_no_calendar_changes_nothing(
    centre: Centre, ivan: Browser, maria: StaffMember, data: bytes
) -> None:
    await upload(ivan, maria, calendar(*EVENT))
    before = await centre.store.duty()
    await upload(ivan, maria, data)
    assert ivan.status == 422
    assert 'role="alert"' in ivan.page
    assert await centre.store.duty() == before


def test_every_mistake_of_a_calendar_has_its_sentence() -> None:
    known = open_content()[0].texts.keys()
    assert {f"staff.duty.file.problem.{code}" for code in PROBLEM_CODES} <= known


async def test_the_page_says_who_is_there_now_and_what_is_missing(
    centre: Centre, ivan: Browser, maria: StaffMember
) -> None:
    await ivan.get(HOME)
    assert "Още няма записани часове" in ivan.text
    await centre.store.set_weekly(maria.id, [Weekly(maria.id, 0, hours(9, 17))])
    await ivan.get(HOME)
    assert "Сега не дежури никой. Следващата е maria, утре, 09:00" in ivan.text
    assert "Никоя консултантка не говори: турски, английски" in ivan.text
    await centre.person("elena")
    elena = await centre.store.staff_by_login("elena")
    assert elena is not None
    await centre.store.change_staff(elena.id, "", [Role.CONSULTANT], ["bg", "tr"])
    centre.clock.passes(days=1)
    async with browser(centre, await centre.session_of("petar", [Role.STAFF])) as petar:
        await petar.get(HOME)
        assert "Никой дежурен не говори: турски" in petar.text
        assert "Никоя консултантка не говори: английски" in petar.text


async def test_hours_of_a_frozen_account_do_not_count(
    centre: Centre, ivan: Browser, maria: StaffMember
) -> None:
    await centre.store.set_weekly(maria.id, [Weekly(maria.id, 6, hours(9, 17))])
    await ivan.get(HOME)
    assert "Сега не дежури никой" not in ivan.text
    await centre.accounts.freeze("maria")
    await ivan.get(HOME)
    assert "Сега не дежури никой" in ivan.text
    assert "акаунтът не е активен" in ivan.text


@pytest.mark.parametrize("first", ["2026-13-01", "x", "2200-12-31", "2000-01-01"])
async def test_any_week_in_the_address_gives_a_page(ivan: Browser, first: str) -> None:
    await ivan.get(f"{HOME}?from={first}")
    assert ivan.status == 200


async def test_nobody_but_a_consultant_has_hours(centre: Centre, ivan: Browser) -> None:
    raya = await centre.person("raya", [Role.STAFF])
    for who in (raya.id, "nobody"):
        await ivan.get(f"{HOME}/{who}")
        assert ivan.status == 404
    token = ivan.fields("/logout")
    week = {"mon-from-1": "09:00", "mon-to-1": "13:00"}
    await ivan.post(f"{HOME}/{raya.id}/week", **token, **week)
    assert ivan.status == 404
    assert not await centre.store.duty()


async def test_consultants_do_not_change_the_duty_table(centre: Centre, maria: StaffMember) -> None:
    async with browser(centre, await centre.session_of("elena")) as elena:
        await elena.get(HOME)
        assert elena.status == 403
        token = elena.fields("/logout")
        for act in ("week", "day", "day/delete", "file", "file/delete"):
            await elena.post(f"{HOME}/{maria.id}/{act}", **token, day="2026-11-24", kind="away")
            assert elena.status == 403
    assert not await centre.store.duty()


async def test_a_change_of_hours_is_written_down_and_wakes_the_desks(
    centre: Centre, ivan: Browser, maria: StaffMember
) -> None:
    at = f"{HOME}/{maria.id}"
    await ivan.get(at)
    async with centre.changes.listen() as changed:
        await ivan.submit(f"{at}/day", day="2026-11-24", kind="away")
        assert changed.is_set()
    assert "duty.saved" in [action for _, action in await centre.audited()]
