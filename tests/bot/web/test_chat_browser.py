"""The chat page in a real browser, with its script: leaving, covering, live answers."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from playwright.async_api import Browser, BrowserContext, Page, Route, async_playwright

from bot import media
from dialogs.model import CASE, Position, Started, Tapped, Typed
from tests import sounds
from tests.bot.web.fakes import SCREENS, World, made, message, served
from tests.line import eventually

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
        arguments.append("--use-fake-device-for-media-stream")
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
    hidden = Tapped(Position("bg", "hide"), True)
    assert await eventually(lambda: world.line.received[-1].event == hidden)
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


async def test_words_changed_after_a_lost_answer_are_a_message_of_their_own(
    page: Page, world: World
) -> None:
    await open_case(page, world)

    async def lose(route: Route) -> None:
        await route.fetch()
        await route.abort("connectionreset")

    await page.route(lambda url: url.endswith("/"), lose, times=1)
    await page.fill("#text", "Ало")
    await page.click(".send")
    await page.wait_for_selector("#trouble:not([hidden])")
    await page.fill("#text", "Ало, той идва")
    await page.click(".send")
    await page.wait_for_selector(".mine >> text=той идва")
    assert world.line.relayed == ["Ало", "Ало, той идва"]
    assert len({i.key for i in world.line.received if isinstance(i.event, Typed)}) == 2


async def test_words_on_their_way_keep_their_key_when_her_screen_changes(
    page: Page, world: World
) -> None:
    address = await open_case(page, world)
    came, go_on = asyncio.Event(), asyncio.Event()

    async def slowly(route: Route) -> None:
        came.set()
        await go_on.wait()
        await route.continue_()

    key = await page.input_value("#write [name=once]")
    await page.route(lambda url: url.endswith("/"), slowly, times=1)
    await page.fill("#text", "Ало")
    await page.click(".send")
    await came.wait()
    window = made(SCREENS[CASE], world.clock(), in_case=True, code=None)
    await world.channel.show(address, replace(window, text="Има ново."), None)
    await page.wait_for_selector("#first >> text=Има ново.")
    assert await page.input_value("#write [name=once]") == key
    go_on.set()
    await page.wait_for_selector(".mine")
    assert await page.input_value("#text") == ""
    assert await page.input_value("#write [name=once]") != key


async def test_each_message_is_told_by_itself_and_again_when_asked_for_again(
    page: Page, world: World
) -> None:
    address = await open_case(page, world)
    for number in (4_184_929_057_000_002, 4_184_929_057_000_001, 7):
        for _ in range(2):
            shown = await world.channel.show(address, message(number, f"ред {number}"), None)
            assert shown == str(number)
            world.channel._read.clear()  # as in a process that has just started
    assert await page.locator(".theirs").count() == 3


async def test_what_was_corrected_before_it_was_known_to_be_read_takes_its_place(
    page: Page, world: World
) -> None:
    address = await open_case(page, world)
    await world.channel.show(address, message(1, "Утре в 9."), None)
    mended = replace(message(1, "Утре в 10."), edited=True)
    assert await world.channel.show(address, mended, None) == "1"
    assert "Утре в 10." in await page.inner_text(".theirs")
    assert await page.locator(".theirs").count() == 1


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


async def away(page: Page) -> list[str]:
    """From now on nothing answers but the stream; what is asked stands in the list."""
    asked: list[str] = []

    async def refuse(route: Route) -> None:
        asked.append(route.request.method)
        await route.abort("connectionrefused")

    await page.route(lambda url: url.endswith("/"), refuse)
    return asked


async def test_a_page_left_alone_is_covered_while_the_line_is_away_and_renewed_after_it(
    phone: BrowserContext, world: World, address: str
) -> None:
    page = await phone.new_page()
    await page.clock.install()
    await page.goto(address)
    await enter(page)
    asked, before = await away(page), len(world.line.received)
    await page.clock.fast_forward("11:00")
    await page.wait_for_selector("text=Супа от леща")
    assert await page.locator(".marks").count() == 0
    assert await page.locator("a[href='tel:112']").first.is_visible()

    assert await eventually(lambda: len(asked) > 1)
    assert len(world.line.received) == before
    await page.unroute_all()
    assert await eventually(lambda: len(world.line.received) > before)
    assert world.line.received[-1].event == Started(None)
    await page.wait_for_selector("text=Супа от леща")


async def test_while_the_line_is_away_a_tap_on_the_cover_shows_112(
    page: Page, world: World
) -> None:
    her = await open_case(page, world)
    await world.channel.show(her, message(1, "Тук съм."), None)
    await away(page)
    await world.channel.remove(her, ["window", "1"])  # another page of hers was hidden
    await page.wait_for_selector("text=Супа от леща")
    assert "Тук съм." not in await page.content()
    await page.get_by_role("button", name="Още една рецепта").click()
    await page.wait_for_selector("#trouble a[href='tel:112']", state="visible")


async def test_a_page_that_began_behind_the_cover_is_covered_while_the_line_is_away(
    phone: BrowserContext, world: World, address: str
) -> None:
    page = await phone.new_page()
    await page.clock.install()
    await page.goto(address + world.parts.links.page(Position("bg", "page")).split("/", 3)[3])
    await page.wait_for_selector("text=Това не е по твоя вина")
    await away(page)
    await page.clock.fast_forward("11:00")
    await page.wait_for_selector("main a[href='tel:112']:visible")
    assert await page.locator(".marks").count() == 0
    assert "по твоя вина" not in await page.inner_text("body")


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


# --- photos and voice ------------------------------------------------------------------------


@pytest.fixture
async def talks(page: Page, world: World) -> str:
    """Her case is open and she has agreed to send photos and voice."""
    world.line.takes_media = True
    return await open_case(page, world)


async def holds(page: Page, what: str) -> None:
    """Wait for it. The page's policy lets playwright's own waiting run nothing in it."""

    async def there() -> bool:
        return bool(await page.evaluate(f"() => {what}"))

    assert await eventually(there), what


async def test_a_photo_is_sent_with_a_tap_and_without_its_name(
    page: Page, world: World, talks: str
) -> None:
    photo = sounds.photo()
    await page.set_input_files(
        "#medium", {"name": "Мария Иванова.jpg", "mimeType": "image/jpeg", "buffer": photo}
    )
    requests: list[bytes] = []
    page.on("request", lambda request: requests.append(request.post_data_buffer or b""))
    await page.click(".give")
    await page.wait_for_selector(".mine >> text=Снимка.")
    assert world.line.given == [photo]
    assert not [body for body in requests if "Мария".encode() in body]
    assert await page.input_value("#medium") == ""


async def test_what_she_chose_stays_when_her_screen_changes(
    page: Page, world: World, talks: str
) -> None:
    await page.set_input_files(
        "#medium", {"name": "a.jpg", "mimeType": "image/jpeg", "buffer": sounds.photo()}
    )
    window = made(SCREENS[CASE], world.clock(), in_case=True, code=None)
    answered = replace(window, text="Човекът е тук.", takes_media=True)
    await world.channel.show(talks, answered, "window")
    await page.wait_for_selector("text=Човекът е тук.")
    await page.click(".give")
    await page.wait_for_selector(".mine")
    assert len(world.line.given) == 1


async def test_what_is_too_large_is_said_before_it_is_sent(
    page: Page, world: World, talks: str
) -> None:
    await page.evaluate("document.getElementById('media').dataset.most = '9'")
    await page.set_input_files(
        "#medium", {"name": "a.jpg", "mimeType": "image/jpeg", "buffer": sounds.photo()}
    )
    await page.click(".give")
    await page.wait_for_selector("#trouble >> text=твърде голямо")
    assert world.line.given == []


async def test_she_speaks_and_it_is_sent_when_she_says_so(
    page: Page, phone: BrowserContext, world: World, talks: str
) -> None:
    await phone.grant_permissions(["microphone"])
    await page.click("#record")
    await page.wait_for_selector("#record[aria-pressed='true'] >> text=Готово")
    await asyncio.sleep(1)  # what she says lasts
    await page.click("#record")
    await page.wait_for_selector("#record[aria-pressed='false'] >> text=Говори")
    assert world.line.given == []
    await page.click(".give")
    await page.wait_for_selector(".mine >> text=Глас.")
    [raw] = world.line.given
    assert sounds.stream(await media.voice(raw)) == "opus,48000,1"


async def test_hiding_ends_the_recording(
    page: Page, phone: BrowserContext, world: World, talks: str
) -> None:
    await phone.grant_permissions(["microphone"])
    await page.evaluate(
        """() => {
          const ask = navigator.mediaDevices.getUserMedia.bind(navigator.mediaDevices);
          navigator.mediaDevices.getUserMedia = async (what) => window.heard = await ask(what);
        }"""
    )
    await page.click("#record")
    await page.wait_for_selector("#record[aria-pressed='true']")
    await world.channel.remove(talks, ["window"])
    await page.wait_for_selector("text=Супа от леща")
    await holds(page, "window.heard.getTracks().every((t) => t.readyState === 'ended')")
    assert world.line.given == []


async def test_without_a_microphone_she_is_told_that_she_can_write(page: Page, talks: str) -> None:
    await page.evaluate(
        "() => { navigator.mediaDevices.getUserMedia = () => Promise.reject(new Error('no')); }"
    )
    await page.click("#record")
    await page.wait_for_selector("#trouble >> text=Можеш да пишеш с думи.")


async def spoken(page: Page, world: World, talks: str) -> None:
    """A consultant's voice stands on her page."""
    voice = await media.voice(sounds.voice(seconds=9))
    await world.channel.show(talks, message(1, "Гласово съобщение.", voice=voice), None)
    await page.wait_for_selector(".theirs audio[src^='blob:']")


async def test_a_voice_is_played_by_her_alone_and_from_her_page(
    page: Page, world: World, talks: str
) -> None:
    await spoken(page, world, talks)
    world.clock.time += timedelta(hours=1)  # nothing of it is with us any more
    assert await page.evaluate("document.querySelector('audio').paused")
    await page.evaluate("() => { document.querySelector('audio').play(); }")
    await holds(page, "document.querySelector('audio').currentTime > 0")
    assert await page.get_attribute("audio", "aria-label") == "Гласово съобщение."


async def test_hiding_silences_a_voice_at_once(page: Page, world: World, talks: str) -> None:
    await spoken(page, world, talks)
    await page.evaluate(
        "() => { window.player = document.querySelector('audio'); window.player.play(); }"
    )
    await holds(page, "window.player.currentTime > 0")
    await world.channel.remove(talks, ["1"])
    await holds(page, "window.player.paused")
    assert await page.locator("audio").count() == 0


async def test_the_form_for_photos_and_voice_fits_a_narrow_phone(
    page: Page, world: World, talks: str
) -> None:
    await spoken(page, world, talks)
    assert await page.evaluate("document.documentElement.scrollWidth") <= 320
    for button in await page.query_selector_all("#media button, #media input[type=file], audio"):
        box = await button.bounding_box()
        assert box is not None
        assert box["height"] >= 48


async def test_a_photo_is_sent_without_the_script_too(
    browser: Browser, world: World, address: str
) -> None:
    context = await browser.new_context(java_script_enabled=False)
    page = await context.new_page()
    world.line.takes_media = True
    await page.goto(address)
    await enter(page)
    await page.get_by_role("button", name="Искам да говоря с човек").click()
    assert not await page.locator("#record").is_visible()
    photo = sounds.photo()
    await page.set_input_files(
        "#medium", {"name": "a.jpg", "mimeType": "image/jpeg", "buffer": photo}
    )
    await page.click(".give")
    await page.wait_for_selector(".mine >> text=Снимка.")
    assert world.line.given == [photo]
    assert page.url == address
    await context.close()
