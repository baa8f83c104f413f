"""A day at the desk: three consultants in their browsers, three women on the web, two on Telegram.

Everything goes through the whole running program. Each woman's words carry her own mark, so that
whatever crosses from one to another is seen at once, on both sides.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest
import pytest_asyncio
from playwright.async_api import Browser, Locator, Page, expect

from bot.storage.records import Prepared, Role
from tests.acceptance.reader import TEXTS, Reader
from tests.acceptance.steps import screen
from tests.browser.people import (
    DESK,
    PHONE,
    Colleague,
    Monday,
    Watch,
    Woman,
    chromium,
    hire,
    logs_in,
    watched,
)
from tests.line import Line, eventually, running_line

pytestmark = pytest.mark.asyncio(loop_scope="module")

AT_THE_LIST = re.compile(r"/desk(\?done=\w+)?$")
TEAM = {"maria": ("bg",), "elena": ("bg", "tr"), "zeynep": ("tr",)}


@dataclass
class Her:
    """A woman who has called a person: on the web or on Telegram, one way to ask what she has."""

    mark: str
    web: Woman | None = None
    telegram: Reader | None = None

    async def writes(self, words: str) -> None:
        if self.web is not None:
            await self.web.writes(words)
        elif self.telegram is not None:
            self.telegram.woman.types(words)

    async def has(self, words: str) -> bool:
        return words in " ".join(await self.said())

    async def said(self) -> list[str]:
        """What stands before her of what was said to her."""
        if self.web is not None:
            return await self.web.page.locator(".theirs").all_inner_texts()
        assert self.telegram is not None
        return [shown.words for shown in self.telegram.woman.bot_messages]

    async def before_her(self) -> list[str]:
        """All that stands before her, should something be missing."""
        if self.web is None:
            return await self.said()
        return [await self.web.page.locator("body").inner_text()]

    async def hears(self, words: str) -> None:
        assert await eventually(lambda: self.has(words), 60), (words, await self.before_her())


@dataclass
class Day:
    line: Line
    pages: dict[str, Page]
    watches: dict[str, Watch]
    women: list[Her]

    def at(self, login: str) -> Colleague:
        return Colleague(self.pages[login])

    async def opens(self, login: str, mark: str) -> None:
        """Open, from her list, the case in which these words stand."""
        page = self.pages[login]
        await page.goto(f"{self.line.url}/desk")
        for address in await links(page.locator(".card.mine a")):
            await page.goto(self.line.url + address)
            if await page.locator(".message.woman").filter(has_text=mark).count():
                return
        raise AssertionError(f"{login} has no case with {mark!r}")


async def links(found: Locator) -> list[str]:
    return [str(await each.get_attribute("href")) for each in await found.all()]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def day(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Day]:
    async with AsyncExitStack() as stack:
        folder: Path = tmp_path_factory.mktemp("day")
        line = await stack.enter_async_context(running_line(folder, now=Monday()))
        browser = await stack.enter_async_context(chromium())
        pages, watches = {}, {}
        for login, languages in TEAM.items():
            await hire(line, login, [Role.CONSULTANT])
            member = await line.phen.store.staff_by_login(login)
            assert member is not None
            await line.phen.store.change_staff(member.id, "", member.roles, languages)
            page, watch = await stack.enter_async_context(watched(browser, DESK))
            await logs_in(page, line, login)
            pages[login], watches[login] = page, watch
        women = [Her(mark) for mark in ("лале", "роза", "мак", "iris", "zambak")]
        await call(stack, browser, line, women)
        yield Day(line, pages, watches, women)


async def call(stack: AsyncExitStack, browser: Browser, line: Line, women: Sequence[Her]) -> None:
    """Each calls a person and writes her first words, one after another."""
    for her in women[:3]:
        page, _ = await stack.enter_async_context(watched(browser, PHONE))
        await page.goto(line.url)
        her.web = Woman(page)
        await her.web.passes_the_gate()
        await her.web.calls_a_person()
        await her.writes(f"{her.mark} първо")
    for her, language in zip(women[3:], ("bg", "tr"), strict=True):
        her.telegram = Reader(line.telegram.woman(), language)
        her.telegram.woman.starts()
        await her.telegram.sees(screen("start"))
        her.telegram.woman.taps(payload=f"{language}:talk_yes")
        await her.telegram.sees(TEXTS.say(language, "case.text"))
        await her.writes(f"{her.mark} първо")
    assert await eventually(lambda: not line.telegram.updates)


async def claims_all(day: Day) -> None:
    """Two for Maria, two for Elena; the Turkish one is Zeynep's."""
    for login, count in {"maria": 2, "elena": 2, "zeynep": 1}.items():
        for _ in range(count):
            await day.pages[login].goto(f"{day.line.url}/desk")
            await day.at(login).claims()


async def test_five_women_wait_and_every_desk_sees_only_age_language_and_channel(
    day: Day,
) -> None:
    for login in TEAM:
        colleague = day.at(login)
        await expect(colleague.waiting).to_have_count(5)
        listed = " ".join(await colleague.waiting.all_inner_texts())
        assert listed.count("български") == 4
        assert listed.count("турски") == 1
        assert listed.count("уеб") == 3
        assert listed.count("Telegram") == 2
        assert not any(her.mark in listed for her in day.women)


async def test_words_go_to_the_right_one_on_both_sides_and_nothing_crosses(day: Day) -> None:
    await claims_all(day)
    for login in TEAM:
        await expect(day.at(login).waiting).to_have_count(0)
    taken: dict[str, str] = {}
    for login in TEAM:
        page = day.pages[login]
        await page.goto(f"{day.line.url}/desk")
        for address in await links(page.locator(".card.mine a")):
            await page.goto(day.line.url + address)
            [mark] = [her.mark for her in day.women if await heard(page, her.mark)]
            assert mark not in taken
            taken[mark] = login
            await day.at(login).replies(f"отговор за {mark}")
    assert len(taken) == 5
    await asyncio.gather(*(her.hears(f"отговор за {her.mark}") for her in day.women))
    for her in day.women:
        others = [f"отговор за {other.mark}" for other in day.women if other is not her]
        assert not any([await her.has(words) for words in others])


async def heard(page: Page, mark: str) -> int:
    return await page.locator(".message.woman").filter(has_text=mark).count()


async def owner_of(day: Day, her: Her) -> str:
    for login in TEAM:
        try:
            await day.opens(login, her.mark)
        except AssertionError:
            continue
        return login
    raise AssertionError


async def test_a_case_is_handed_to_a_colleague_who_sees_it_whole(day: Day) -> None:
    her = day.women[0]
    owner = await owner_of(day, her)
    to = next(login for login in ("elena", "maria") if login != owner)
    page = day.pages[owner]
    address = page.url
    await page.locator(".transfer-box summary").click()
    await page.locator(".transfer-box label").filter(has_text=to).click()
    await page.locator('.transfer-box form[action$="/transfer"] button').click()
    await page.wait_for_url(AT_THE_LIST)
    await her.hears(TEXTS.say("bg", "notice.transferred"))

    # It is announced where she works, without a reload; the one who had it is refused.
    await expect(day.pages[to].locator(".card.mine[data-passed]")).to_have_count(1)
    await day.opens(to, her.mark)
    await expect(day.at(to).said(f"отговор за {her.mark}")).to_contain_text(owner)
    await day.at(to).replies("сега съм аз")
    await her.hears("сега съм аз")
    await page.goto(address)
    await expect(page.locator("[data-refusal]")).to_be_visible()
    day.watches[owner].expected(403)
    await page.goto(f"{day.line.url}/desk")


async def test_a_case_that_is_given_back_waits_for_everybody_again(day: Day) -> None:
    her = day.women[4]
    await day.opens("zeynep", her.mark)
    page = day.pages["zeynep"]
    await page.locator(".transfer-box summary").click()
    await page.locator(".transfer-box .return button").click()
    await page.wait_for_url(AT_THE_LIST)
    await her.hears(TEXTS.say("tr", "notice.returned"))
    for login in TEAM:
        await expect(day.at(login).waiting).to_have_count(1)
    await day.at("zeynep").claims()
    await her.hears(TEXTS.say("tr", "notice.claimed"))
    await expect(day.at("zeynep").heard(her.mark)).to_have_count(1)


async def test_who_hides_leaves_nothing_and_reads_later_what_was_held(day: Day) -> None:
    her = day.women[3]
    assert her.telegram is not None
    owner = await owner_of(day, her)
    her.telegram.woman.types("9")
    assert await eventually(lambda: not her.telegram.woman.bot_messages, 60)  # type: ignore[union-attr]
    await expect(day.pages[owner].locator(".case-head .mark.away")).to_be_visible()
    await day.at(owner).replies("чакам те")
    await expect(day.at(owner).said("чакам те").locator(".state.held, .state.due")).to_be_visible()
    assert not await her.has("чакам те")

    her.telegram.woman.starts()
    await her.telegram.sees(screen("start"))
    assert not await her.has("чакам те"), "the cover shows nothing of it"
    her.telegram.woman.taps(payload="bg:inside")
    await her.hears("чакам те")


async def test_the_good_bye_says_how_to_come_back_and_the_case_can_be_opened_again(
    day: Day,
) -> None:
    her = day.women[1]
    owner = await owner_of(day, her)
    await day.at(owner).closes()
    await her.hears(TEXTS.say("bg", "notice.closed"))
    page = day.pages[owner]
    await page.locator("form.reopen button").click()
    await page.locator("#reply").wait_for()
    await day.at(owner).replies("още съм тук")
    assert her.web is not None
    await her.web.page.goto(day.line.url)
    await her.web.passes_the_gate()
    await her.hears("още съм тук")


async def test_a_prepared_answer_fills_the_box_and_a_draft_survives_a_reload(day: Day) -> None:
    await day.line.phen.store.save_prepared(Prepared("", "bg", "тук", "Тук съм. Пиши спокойно."))
    her = day.women[2]
    owner = await owner_of(day, her)
    page = day.pages[owner]
    await page.locator("#reply").press_sequentially("/тук")
    await page.keyboard.press("Tab")
    await expect(page.locator("#reply")).to_have_value("Тук съм. Пиши спокойно.")
    assert not await her.has("Пиши спокойно"), "it only fills the box"
    await page.reload()
    await expect(page.locator("#reply")).to_have_value("Тук съм. Пиши спокойно.")
    await page.keyboard.press("Control+Enter")
    await her.hears("Пиши спокойно")
