"""The chat page in a real browser, with its script: leaving, covering, live answers."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from playwright.async_api import Browser, BrowserContext, Page, Route, async_playwright

from dialogs.model import Position, Tapped, Typed
from tests.bot.web.fakes import World, message, served

CHROMIUM = Path("/usr/bin/chromium")
EXIT = "https://bg.wikipedia.org/"


@pytest.fixture
def world() -> World:
    return World()


@pytest.fixture
async def address(world: World) -> AsyncIterator[str]:
    async with served(world) as address:
        yield address


@pytest.fixture
async def browser() -> AsyncIterator[Browser]:
    async with async_playwright() as playwright:
        arguments = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
        browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=arguments)
        yield browser
        await browser.close()


@pytest.fixture
async def phone(browser: Browser) -> AsyncIterator[BrowserContext]:
    """A small phone. The leaving site is answered here; nothing else may leave."""
    context = await browser.new_context(viewport={"width": 320, "height": 640})

    async def elsewhere(route: Route) -> None:
        assert route.request.url == EXIT
        await route.fulfill(body="<title>Уикипедия</title>", content_type="text/html")

    await context.route(lambda url: "127.0.0.1" not in url, elsewhere)
    yield context
    await context.close()


@pytest.fixture
async def page(phone: BrowserContext, address: str) -> AsyncIterator[Page]:
    page = await phone.new_page()
    page.set_default_timeout(5000)
    faults: list[str] = []
    page.on("pageerror", lambda error: faults.append(str(error)))
    page.on("console", lambda said: faults.append(said.text) if "Policy" in said.text else None)
    await page.goto(f"{address}?start=k3f9")
    yield page
    assert faults == []


async def enter(page: Page) -> None:
    await page.get_by_role("button", name="За мен").click()
    await page.wait_for_selector(".marks")


async def open_case(page: Page, world: World) -> str:
    await enter(page)
    await page.get_by_role("button", name="Искам да говоря с човек").click()
    await page.wait_for_selector("body.live")
    return next(iter(world.line.cases))


async def test_reading_makes_no_history_and_no_cookie(
    page: Page, phone: BrowserContext, address: str
) -> None:
    assert page.url == address
    before = await page.evaluate("history.length")
    await enter(page)
    await page.click(".at-danger")
    await page.wait_for_selector("text=0800 1 86 76")
    assert page.url == address
    assert await page.title() == "Дом и здраве"
    assert await page.evaluate("history.length") == before
    assert await phone.cookies() == []
    stored = await page.evaluate("localStorage.length + sessionStorage.length")
    assert stored == 0


async def test_a_new_screen_is_read_from_its_first_words(page: Page) -> None:
    await enter(page)
    assert await page.evaluate("document.activeElement.id") == "first"
    assert await page.evaluate("document.activeElement.innerText") == "С какво да започнем?"


async def test_everything_fits_a_narrow_phone_and_can_be_touched(page: Page) -> None:
    await enter(page)
    assert await page.evaluate("document.documentElement.scrollWidth") <= 320
    for button in await page.query_selector_all("main button:not(.skip), main textarea"):
        box = await button.bounding_box()
        assert box is not None
        assert box["height"] >= 48
        assert box["width"] >= 48


async def test_hide_covers_at_once_and_leaves_nothing_to_go_back_to(
    page: Page, world: World, address: str
) -> None:
    await open_case(page, world)
    await page.click(".at-hide")
    await page.wait_for_url(EXIT)
    for _ in range(100):
        if world.line.received[-1].event == Tapped(Position("bg", "hide"), True):
            break
        await asyncio.sleep(0.02)
    assert world.line.received[-1].event == Tapped(Position("bg", "hide"), True)
    await page.go_back()
    assert page.url != address


async def test_shift_three_times_leaves_from_the_cover_too(page: Page) -> None:
    await page.keyboard.press("Shift")
    await page.wait_for_selector("#say >> text=още 2 пъти", state="attached")
    await page.keyboard.press("Shift")
    await page.wait_for_selector("#say >> text=още 1 път", state="attached")
    await page.keyboard.press("Shift")
    await page.wait_for_url(EXIT)


async def test_capital_letters_and_single_shifts_do_not_leave(page: Page, address: str) -> None:
    await enter(page)
    await page.focus("#text")
    for key in ("Shift+A", "Shift+B", "Shift+C"):
        await page.keyboard.press(key)
    for key in ("Shift", "Shift", "a", "Shift"):
        await page.keyboard.press(key)
    await asyncio.sleep(0.2)
    assert page.url == address


async def test_her_words_stand_in_the_log_and_the_answer_below(page: Page, world: World) -> None:
    address = await open_case(page, world)
    await page.fill("#text", "Здравей.\nМога ли да питам?")
    await page.click(".send")
    await page.wait_for_selector(".mine")
    assert world.line.relayed == ["Здравей.\nМога ли да питам?"]
    assert await page.input_value("#text") == ""
    for _ in range(2):  # the same message twice is shown once
        shown = await world.channel.show(address, message(1, "Да.\n\n112\n<b>"), None)
        assert shown == "1"
    assert await page.locator(".theirs").count() == 1
    assert await page.locator(".theirs a.phone").get_attribute("href") == "tel:112"
    assert "<b>" in await page.locator(".theirs").inner_text()
    await page.click(".at-home")
    await page.wait_for_selector("text=С какво да започнем?")
    assert await page.locator("#log li").count() == 2


async def test_two_messages_carry_two_keys(page: Page, world: World) -> None:
    await open_case(page, world)
    for number, words in enumerate(("Ало", "Ало"), start=1):
        await page.fill("#text", words)
        await page.click(".send")
        await page.wait_for_selector(f".mine:nth-child({number})")
    keys = [i.key for i in world.line.received if isinstance(i.event, Typed)]
    assert len(set(keys)) == 2


async def test_words_that_did_not_arrive_stay_and_keep_their_key(page: Page, world: World) -> None:
    await open_case(page, world)
    world.line.broken = True
    await page.fill("#text", "Ало")
    await page.click(".send")
    await page.wait_for_selector("#trouble >> text=112")
    assert await page.input_value("#text") == "Ало"
    world.line.broken = False
    await page.click(".send")
    await page.wait_for_selector(".mine")
    keys = [i.key for i in world.line.received if isinstance(i.event, Typed)]
    assert len(keys) == 2
    assert len(set(keys)) == 1


async def test_without_a_line_she_still_sees_112(page: Page, phone: BrowserContext) -> None:
    await enter(page)
    await phone.set_offline(True)
    await page.click(".at-danger")
    await page.wait_for_selector("#trouble a[href='tel:112']", state="visible")


async def test_hiding_on_another_page_covers_this_one(page: Page, world: World) -> None:
    address = await open_case(page, world)
    await world.channel.show(address, message(1, "Тук съм."), None)
    await world.channel.remove(address, ["window", "1"])
    await page.wait_for_selector("text=Супа от леща")
    assert "Тук съм." not in await page.content()
    assert await page.locator(".marks").count() == 0


async def test_a_page_left_alone_becomes_the_cover(phone: BrowserContext, address: str) -> None:
    page = await phone.new_page()
    await page.clock.install()
    await page.goto(address)
    await enter(page)
    await page.clock.fast_forward("09:00")
    assert await page.locator(".marks").count() == 1
    await page.clock.fast_forward("02:00")
    await page.wait_for_selector("text=Супа от леща")
    assert await page.locator(".marks").count() == 0


async def test_it_works_without_the_script(browser: Browser, world: World, address: str) -> None:
    context = await browser.new_context(java_script_enabled=False)
    page = await context.new_page()
    await page.goto(address)
    await enter(page)
    await page.get_by_role("button", name="Искам да говоря с човек").click()
    await page.fill("#text", "Здравей.")
    await page.click(".send")
    await page.wait_for_selector(".mine")
    world.line.due = [message(1, "Тук съм.")]
    await page.get_by_role("button", name="Има ли отговор?").click()
    await page.wait_for_selector(".theirs >> text=Тук съм.")
    await context.route(EXIT, lambda route: route.fulfill(body="далече"))
    await page.click(".at-hide")
    await page.wait_for_url(EXIT)
    await context.close()
