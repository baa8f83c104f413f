"""A woman on the web and two consultants at the web desk, through the whole running program."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import pytest
import pytest_asyncio
from playwright.async_api import Browser, Page, Route, expect

from tests.browser import eyes
from tests.browser.people import DESK, EXIT, PHONE, Colleague, Watch, Woman, logs_in, watched
from tests.line import Line

pytestmark = pytest.mark.asyncio(loop_scope="module")


@dataclass
class Room:
    """Both consultants' pages. They stay logged in from test to test, as on a long day."""

    maria: Colleague
    elena: Colleague
    maria_page: Page
    elena_page: Page
    elena_watch: Watch


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def room(browser: Browser, line: Line) -> AsyncIterator[Room]:
    async with watched(browser, DESK) as (a, _), watched(browser, DESK) as (b, watch):
        await logs_in(a, line, "maria")
        await logs_in(b, line, "elena")
        yield Room(Colleague(a), Colleague(b), a, b, watch)


@asynccontextmanager
async def woman_at(browser: Browser, line: Line) -> AsyncIterator[tuple[Woman, Page, Watch]]:
    async with watched(browser, PHONE) as (page, watch):
        await page.goto(line.url)
        yield Woman(page), page, watch


async def start_over(room: Room, line: Line) -> None:
    for page in (room.maria_page, room.elena_page):
        await page.goto(f"{line.url}/desk")


async def test_a_case_from_the_call_to_the_good_bye(
    browser: Browser, line: Line, room: Room
) -> None:
    maria, elena = room.maria, room.elena
    async with woman_at(browser, line) as (her, page, watch):
        await her.passes_the_gate()
        await her.calls_a_person()
        assert [c["name"] for c in await page.context.cookies()] == ["k"]

        # Both see it come, without a reload, and no more of it than may be seen.
        for one in (maria, elena):
            await expect(one.waiting).to_have_count(1)
            await expect(one.waiting).to_contain_text("български · уеб")
        await expect(room.maria_page).to_have_title(re.compile(r"^\(1\) "))

        # One takes it; the other's list is empty, and a late claim is refused kindly.
        claim = elena.waiting.locator("form")
        action = await claim.get_attribute("action")
        token = await claim.locator("[name=form_token]").input_value()
        await maria.claims()
        await expect(elena.waiting).to_have_count(0)
        await expect(her.heard("Човекът е тук")).to_have_count(1)
        await room.elena_page.evaluate(
            """([action, token]) => {
              const form = document.createElement('form');
              Object.assign(form, { action, method: 'post' });
              form.append(Object.assign(document.createElement('input'),
                { name: 'form_token', value: token }));
              document.body.append(form);
              form.submit();
            }""",
            [action, token],
        )
        await expect(room.elena_page.locator("[data-refusal]")).to_contain_text("Жената не е сама")
        room.elena_watch.expected(409)

        # They write to each other.
        await maria.replies("Здравей. Тук съм.\n\n112")
        await expect(her.heard("Здравей. Тук съм.")).to_have_count(1)
        await expect(page.locator(".theirs a[href='tel:112']")).to_be_visible()
        await her.writes("Здравей. Мога ли да питам?")
        await page.set_viewport_size({"width": 360, "height": 420})  # the keyboard is open
        await page.wait_for_function(
            """() => document.querySelector('#log li:last-child').getBoundingClientRect().bottom
              <= document.getElementById('write').getBoundingClientRect().top"""
        )
        await page.set_viewport_size(PHONE)  # type: ignore[arg-type]
        await expect(maria.heard("Мога ли да питам?")).to_have_count(1)
        assert (await maria.heard("Мога").locator(".words").get_attribute("lang")) == "bg"

        # A note stays inside; what is half written stays through all of this.
        await room.maria_page.locator(".note-box summary").click()
        await room.maria_page.locator("#note").fill("Само за нас: да питаме адвоката.")
        await room.maria_page.locator(".note-save").click()
        await expect(room.maria_page.locator(".message.note")).to_have_count(1)
        await room.maria_page.locator("#reply").fill("Започнато, но не изпратено")
        await her.writes("Още едно нещо.")
        await expect(maria.heard("Още едно нещо.")).to_have_count(1)
        await expect(room.maria_page.locator("#reply")).to_have_value("Започнато, но не изпратено")

        # She hides. The answer waits, and is read once after she is back through the gate.
        await page.locator(".at-hide").click()
        await page.wait_for_url(EXIT)
        await expect(room.maria_page.locator(".case-head .mark.away")).to_be_visible()
        await maria.replies("Ще чакам тук.")
        await expect(maria.said("Ще чакам тук.").locator(".state")).to_have_text(
            "Чака я да се върне"
        )
        await page.goto(line.url)
        await expect(page.locator("#first")).to_contain_text("рецепти")
        assert await page.locator(".theirs").count() == 0
        await her.passes_the_gate()
        await expect(her.heard("Ще чакам тук.")).to_have_count(1)
        await expect(maria.said("Ще чакам тук.").locator(".state")).to_have_text("Изпратено")
        assert await her.heard("Здравей. Тук съм.").count() == 0

        await maria.closes()
        await expect(her.heard("Разговорът приключи.")).to_have_count(1)
        assert "да питаме адвоката" not in await page.content()
        assert "Започнато" not in await page.content()
        assert watch.away == 1
    await start_over(room, line)


async def test_shift_three_times_leaves_a_conversation_too(
    browser: Browser, line: Line, room: Room
) -> None:
    async with woman_at(browser, line) as (her, page, watch):
        await her.passes_the_gate()
        await her.calls_a_person()
        await expect(room.elena.waiting).to_have_count(1)
        await room.elena.claims()
        await page.locator("#text").fill("Искам да ")
        for _ in range(3):
            await page.keyboard.press("Shift")
        await page.wait_for_url(EXIT)
        assert watch.away == 1
        await expect(room.elena_page.locator(".case-head .mark.away")).to_be_visible()
        await room.elena.replies("Тук съм.")
        await expect(room.elena.said("Тук съм.").locator(".state")).to_have_text(
            "Чака я да се върне"
        )
        await page.go_back()
        assert page.url != f"{line.url}/"
        await room.elena.closes()
    await start_over(room, line)


async def test_a_message_elsewhere_marks_the_title_and_the_list(
    browser: Browser, line: Line, room: Room
) -> None:
    async with woman_at(browser, line) as (her, _, _):
        await her.passes_the_gate()
        await her.calls_a_person()
        await room.maria.claims()
        await room.maria_page.goto(f"{line.url}/desk")
        await expect(room.maria_page).to_have_title("Разговори")
        await her.writes("Има ли някой?")
        await expect(room.maria_page).to_have_title("(1) Разговори")
        await expect(room.maria_page.locator(".card.unread .count")).to_have_text("нови: 1")
        await room.maria_page.locator(".card.unread a").click()
        await expect(room.maria_page).to_have_title("Разговори")
        await room.maria.closes()
    await start_over(room, line)


async def test_the_chat_can_be_walked_by_keyboard_alone(browser: Browser, line: Line) -> None:
    async with woman_at(browser, line) as (_, page, _):
        for label in ("За мен", "Български", "Да, сама съм", "Разбрах, продължи"):
            await eyes.tabs_to(page, label)
            old = await page.locator("#screen").element_handle()
            await page.keyboard.press("Enter")
            await page.wait_for_function("(old) => !old.isConnected", arg=old)
            assert (await eyes.focused(page))[1] == "first"
        await expect(page.locator("#first")).to_contain_text("Добре, че си тук")
        await page.keyboard.press("Shift+Tab")
        await eyes.tabs_to(page, "112")
        await page.keyboard.press("Enter")
        await expect(page.locator("a[href='tel:112']").first).to_be_visible()
        await eyes.tabs_to(page, "Скрий")
        await page.keyboard.press("Enter")
        await page.wait_for_url(EXIT)


async def test_a_slow_answer_does_not_pull_the_note_that_is_being_written_into_the_reply(
    browser: Browser, line: Line, room: Room
) -> None:
    desk, arrived = room.maria_page, asyncio.Event()

    async def slow(route: Route) -> None:
        await arrived.wait()
        await route.continue_()

    async with woman_at(browser, line) as (her, _, _):
        await her.passes_the_gate()
        await her.calls_a_person()
        await room.maria.claims()
        await desk.route("**/reply", slow)
        await desk.locator("#reply").fill("До нея.")
        await desk.keyboard.press("Control+Enter")
        await desk.locator(".note-box summary").click()
        await desk.locator("#note").focus()
        await desk.keyboard.type("Само ")
        arrived.set()
        await expect(desk.locator("#reply")).to_have_value("")
        await desk.keyboard.type("за нас.")
        await expect(desk.locator("#note")).to_have_value("Само за нас.")
        await expect(her.heard("До нея.")).to_have_count(1)
        await desk.unroute("**/reply")
        await room.maria.closes()
    await start_over(room, line)


async def test_the_desk_can_be_walked_by_keyboard_alone(
    browser: Browser, line: Line, room: Room
) -> None:
    desk = room.maria_page
    async with woman_at(browser, line) as (her, _, _):
        await her.passes_the_gate()
        await her.calls_a_person()
        await expect(room.maria.waiting).to_have_count(1)
        await eyes.tabs_to(desk, "Поеми жената")
        await desk.keyboard.press("Enter")
        await expect(desk.locator("#reply")).to_be_focused()
        await desk.keyboard.type("Пиша ти от клавиатурата.")
        await desk.keyboard.press("Control+Enter")
        await expect(her.heard("от клавиатурата")).to_have_count(1)
        await expect(desk.locator("#reply")).to_be_focused()
        await eyes.tabs_to(desk, "Бележка")
        await desk.keyboard.press("Enter")
        await expect(desk.locator("#note")).to_be_visible()
        await desk.keyboard.press("Tab")
        await desk.keyboard.type("Наум.")
        await desk.keyboard.press("Control+Enter")
        await expect(desk.locator(".message.note")).to_have_count(1)
        await eyes.tabs_to(desk, "Приключи")
        await desk.keyboard.press("Enter")
        await eyes.tabs_to(desk, "Да, приключи")
        await desk.keyboard.press("Enter")
        await desk.locator(".mark.over").wait_for()
    await start_over(room, line)


async def test_the_desk_is_legible_and_every_control_has_a_name(
    browser: Browser, line: Line, room: Room
) -> None:
    desk = room.maria_page
    await eyes.finds_nothing_wrong(desk)
    async with woman_at(browser, line) as (her, _, _):
        await her.passes_the_gate()
        await her.calls_a_person()
        await expect(room.maria.waiting).to_have_count(1)
        await room.maria.claims()
        await her.writes("Здравей.")
        await room.maria.replies("Здравей.")
        await eyes.finds_nothing_wrong(desk)
        assert await desk.locator("[aria-live], [role=status], [role=alert]").count() >= 3
        for size in ({"width": 640, "height": 400}, PHONE):  # 200 % of a desk, and a phone
            await desk.set_viewport_size(size)  # type: ignore[arg-type]
            await eyes.fits(desk)
        await desk.set_viewport_size(DESK)  # type: ignore[arg-type]
        await room.maria.closes()
    await start_over(room, line)


@pytest.mark.parametrize(("number", "language"), [(1, "bg"), (2, "tr"), (3, "en")])
async def test_the_chat_is_legible_and_easy_to_touch(
    browser: Browser, line: Line, number: int, language: str
) -> None:
    async with woman_at(browser, line) as (her, page, _):
        await eyes.finds_nothing_wrong(page)
        await her.taps_number(4, number, 1, 1)
        for path in ([], [1], [1, 1], [2], [3], [4]):
            await her.taps_mark("home")
            await her.taps_number(*path)
            await eyes.finds_nothing_wrong(page, language)
            assert await eyes.too_small(page) == []
            await page.set_viewport_size({"width": 180, "height": 370})  # 200 %
            await eyes.fits(page)
            await page.set_viewport_size(PHONE)  # type: ignore[arg-type]
        await her.taps_mark("danger")
        await eyes.finds_nothing_wrong(page, language)
        assert await page.locator("[role=status], [role=alert], [role=log]").count() == 3


async def test_reading_weighs_little_and_leaves_nothing(browser: Browser, line: Line) -> None:
    async with watched(browser, PHONE) as (page, _):
        session = await page.context.new_cdp_session(page)
        weight = 0

        def loaded(event: dict[str, float]) -> None:
            nonlocal weight
            weight += int(event["encodedDataLength"])

        session.on("Network.loadingFinished", loaded)
        await session.send("Network.enable")
        await page.goto(line.url, wait_until="networkidle")
        assert 0 < weight < 60_000
        her, length = Woman(page), await page.evaluate("() => history.length")
        await her.passes_the_gate()
        for path in ([1], [2], [4]):
            await her.taps_mark("home")
            await her.taps_number(*path)
            assert page.url == f"{line.url}/"
            assert await page.title() == "Дом и здраве"
        assert await page.evaluate("() => history.length") == length
        assert await page.evaluate("() => localStorage.length + sessionStorage.length") == 0
        assert await page.context.cookies() == []
        await page.goto(line.url)
        assert await page.title() == "Дом и здраве"
        await expect(page.locator("#first")).to_contain_text("рецепти")
