"""The people of the browser tests: a woman with a phone, and the centre's staff at a desk."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import urlsplit

import pyotp
from playwright.async_api import (
    Browser,
    BrowserContext,
    ConsoleMessage,
    Frame,
    Locator,
    Page,
    Request,
    Route,
    async_playwright,
    expect,
)

from bot.desk.accounts import unspent_code
from bot.storage.records import Role
from tests.line import Line

CHROMIUM = Path("/usr/bin/chromium")
ARGUMENTS = (
    "--no-sandbox", "--disable-gpu", "--disable-background-networking", "--no-first-run",
    "--disable-component-update", "--use-fake-device-for-media-stream",
)  # fmt: skip
EXIT = "https://bg.wikipedia.org/"
PASSWORD = "four quiet words here"
PATIENCE = 60_000
PHONE = {"width": 360, "height": 740}
DESK = {"width": 1280, "height": 800}
SAYS = "Failed to load resource: the server responded with a status of "

expect.set_options(timeout=PATIENCE)


class Monday:
    """The real clock, moved to ten in the morning of Monday, 23 November 2026, in Sofia."""

    def __init__(self) -> None:
        self._ahead = datetime(2026, 11, 23, 8, 0, tzinfo=UTC) - datetime.now(UTC)

    def __call__(self) -> datetime:
        return datetime.now(UTC) + self._ahead


@dataclass
class Watch:
    """What must not happen on any page: faults, and requests to anybody else.

    The site that *hide* leads to is answered here; the count of such departures is kept.
    """

    faults: list[str] = field(default_factory=list)
    away: int = 0
    planned: list[str] = field(default_factory=list)

    async def over(self, context: BrowserContext) -> None:
        context.on("console", self._console)
        context.on("weberror", lambda error: self.faults.append(str(error.error)))
        context.on("request", self._request)
        await context.route(lambda url: urlsplit(url).hostname != "127.0.0.1", self._elsewhere)

    def _console(self, said: ConsoleMessage) -> None:
        fault = said.type == "error" or "Content Security Policy" in said.text
        if fault and not any(part in said.text for part in self.planned):
            self.faults.append(said.text)

    def _request(self, request: Request) -> None:
        ours = urlsplit(request.url).hostname == "127.0.0.1"
        leaving = request.url == EXIT and request.is_navigation_request()
        if not ours and not leaving:
            self.faults.append(f"asked somebody else: {request.url}")

    async def _elsewhere(self, route: Route) -> None:
        if route.request.url != EXIT:
            return await route.abort()
        self.away += 1
        page = "<!doctype html><link rel='icon' href='data:,'><title>Уикипедия</title>"
        await route.fulfill(body=page, content_type="text/html; charset=utf-8")

    def plans(self, part: str) -> None:
        """Faults that say this come from now on, however many, and are part of the plan."""
        self.planned.append(part)

    def expected(self, status: int) -> None:
        """An answer with this status was part of the plan, also where a page asked again."""
        others = [fault for fault in self.faults if not fault.startswith(f"{SAYS}{status}")]
        assert others != self.faults
        self.faults[:] = others


@asynccontextmanager
async def chromium() -> AsyncIterator[Browser]:
    """Debian's Chromium; where it is missing the tests fail."""
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(
            executable_path=CHROMIUM, args=list(ARGUMENTS), timeout=120_000
        )
        yield browser
        await browser.close()


@asynccontextmanager
async def watched(browser: Browser, size: dict[str, int]) -> AsyncIterator[tuple[Page, Watch]]:
    """A page in a browser profile of its own; at the end nothing may have gone wrong in it."""
    context = await browser.new_context(
        viewport=size,  # type: ignore[arg-type]
        locale="bg-BG",
        reduced_motion="reduce",  # a colour that is still fading would be measured half way
    )
    context.set_default_timeout(PATIENCE)
    watch = Watch()
    await watch.over(context)
    try:
        yield await context.new_page(), watch
        assert watch.faults == []
    finally:
        await context.close()


class Woman:
    """She taps and writes."""

    def __init__(self, page: Page | Frame) -> None:
        self.page = page

    def choice(self, label: str) -> Locator:
        return self.page.locator(f'.choice:has(span:text-is("{label}"))')

    async def taps(self, *labels: str) -> None:
        for label in labels:
            await self._then(self.choice(label))

    async def taps_number(self, *numbers: int) -> None:
        for number in numbers:
            await self._then(self.page.locator(".choice").nth(number - 1))

    async def taps_mark(self, name: str) -> None:
        await self._then(self.page.locator(f".at-{name}"))

    async def _then(self, button: Locator) -> None:
        """Tap, and wait until another screen stands where this one stood."""
        await button.wait_for()
        before = await self.page.locator("#screen").element_handle()
        await button.click()
        await self.page.wait_for_function(
            "(old) => !old.isConnected && document.getElementById('screen') !== null", arg=before
        )

    async def passes_the_gate(self, language: int = 1) -> None:
        await self.taps_number(4, language, 1, 1)

    async def calls_a_person(self) -> None:
        """From the menu to an open case with a live page."""
        await self.taps("Искам да говоря", "Продължи", "Разбрах, продължи")
        await self.taps("Друго, без тема", "Няма да кажа", "Да, повикай човек")
        await self.page.locator("body.live").wait_for()

    async def writes(self, words: str) -> None:
        await self.page.locator("#text").fill(words)
        await self.page.locator(".send").click()
        await expect(self.page.locator(".mine").filter(has_text=words)).to_have_count(1)

    def heard(self, words: str) -> Locator:
        return self.page.locator(".theirs").filter(has_text=words)


class Colleague:
    """A person of the centre, logged in."""

    def __init__(self, page: Page | Frame) -> None:
        self.page = page
        self.waiting = page.locator(".card.waits")

    async def claims(self) -> None:
        await self.waiting.locator("button").first.click()
        await self.page.locator("#reply").wait_for()
        await self.is_ready()

    async def is_ready(self) -> None:
        """The page's scripts have begun: who writes so fast as a test must wait for that."""
        await self.page.wait_for_function("() => !document.getElementById('keys-open').hidden")

    async def replies(self, words: str) -> None:
        await self.page.locator("#reply").fill(words)
        await self.page.locator(".reply button.main").click()
        await expect(self.said(words)).to_have_count(1)

    async def closes(self) -> None:
        await self.page.locator(".close-box summary").click()
        await self.page.locator(".close-box button").click()
        await self.page.locator(".mark.over").wait_for()

    def said(self, words: str) -> Locator:
        return self.page.locator(".message.consultant").filter(has_text=words)

    def heard(self, words: str) -> Locator:
        return self.page.locator(".message.woman").filter(has_text=words)


async def hire(line: Line, login: str, roles: Sequence[Role]) -> None:
    """An account as `phen staff add` and its invitation make it."""
    accounts = line.phen.accounts
    token = await accounts.invite(login, roles)
    enrolment = await accounts.accept(token, PASSWORD)
    code = pyotp.TOTP(enrolment.secret).at(line.phen.now())
    await accounts.confirm(token, enrolment.sealed, code)


async def logs_in(page: Page, line: Line, login: str, place: str = "/desk") -> None:
    """With name, password and the code that her telephone shows now."""
    await page.goto(line.url + place)
    credentials = await line.phen.store.credentials(login)
    assert credentials is not None
    await page.locator("#login").fill(login)
    await page.locator("#password").fill(PASSWORD)
    await page.locator("#code").fill(unspent_code(credentials, line.phen.now()))
    await page.locator("form.stack button.main").click()
    await page.wait_for_url(line.url + place)
