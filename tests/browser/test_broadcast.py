"""A broadcast in the browser: composed by one, approved by a second login, and looked on at."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Any

import pytest
from playwright.async_api import Browser, Page, expect

from bot.storage.records import Role
from tests.browser import eyes
from tests.browser.people import DESK, hire, logs_in, watched
from tests.line import Line
from tests.standins.woman import Woman

pytestmark = pytest.mark.asyncio(loop_scope="module")

WORDS = "Приемната в четвъртък е от 11 часа. Входът е откъм пощата."
MANY = 240
"""Women who wait: while Telegram takes its time there is time to pause."""


async def is_legible(page: Page) -> None:
    for size in (DESK, {"width": 390, "height": 844}, {"width": 320, "height": 640}):
        await page.set_viewport_size(size)  # type: ignore[arg-type]
        await eyes.finds_nothing_wrong(page)
        if size["width"] == 390:
            in_words = page.locator(".problem a")  # a link in a sentence is as high as its line
            assert len(await eyes.too_small(page)) == await in_words.count()
    await page.set_viewport_size(DESK)  # type: ignore[arg-type]


def slowed(line: Line) -> asyncio.Event:
    """Telegram takes its time with each message, until this is set."""
    quick, send = asyncio.Event(), line.telegram._do_send_photo

    async def slow(*args: Any) -> Any:
        with suppress(TimeoutError):
            await asyncio.wait_for(quick.wait(), 5)
        return send(*args)

    line.telegram._do_send_photo = slow  # type: ignore[assignment,method-assign]
    return quick


async def waiting(line: Line) -> list[Woman]:
    """Women who wait for the reception in Ruse, in the daytime, under day, hour and place."""
    women = [line.telegram.woman() for _ in range(MANY)]
    for woman in women:
        await line.phen.store.subscribe(
            "telegram", str(woman.id), "bg", "rse27", "day", "remind.words.when"
        )
    return women


async def test_it_is_composed_approved_by_a_second_login_and_reported(
    browser: Browser, line: Line
) -> None:
    await hire(line, "ivan", [Role.STAFF])
    await line.reception("rse27", "Читалище „Зора“")
    women = await waiting(line)
    async with watched(browser, DESK) as (raya, watch), watched(browser, DESK) as (ivan, _):
        await logs_in(raya, line, "raya", "/staff")
        await expect(raya.locator(".rows")).to_contain_text("напомняния: поне 240")
        await raya.get_by_role("link", name="Съобщения").click()
        await raya.get_by_role("link", name="Ново съобщение").click()
        await raya.get_by_label("български").fill(f"Виж тук: http://example.org. {WORDS}")
        await raya.get_by_label("Русе").check()
        await raya.get_by_role("button", name="Запази и виж").click()
        await expect(raya.locator(".problem")).to_contain_text("http://example.org")
        watch.expected(422)
        await is_legible(raya)
        await raya.get_by_label("български").fill(WORDS)
        await raya.get_by_role("button", name="Запази и виж").click()
        await expect(raya.locator("[data-figure=recipients]")).to_have_text("поне 240")
        phones = raya.locator(".phone")
        await expect(phones).to_have_count(4)
        await expect(phones.nth(0)).to_contain_text("четвъртък, 26 ноември, 10:00")
        await expect(phones.nth(0)).not_to_contain_text(WORDS)
        await expect(phones.nth(1)).to_contain_text(WORDS)
        await is_legible(raya)
        await raya.get_by_role("button", name="Предложи за одобрение").click()
        await expect(raya.locator(".approve")).to_contain_text("Ти не можеш")

        await logs_in(ivan, line, "ivan", "/staff")
        await ivan.goto(raya.url.partition("?")[0])
        await is_legible(ivan)
        quick = slowed(line)
        await ivan.get_by_role("button", name="Прочетох го. Изпрати го").click()
        await ivan.get_by_role("button", name="Пауза").click()
        await expect(ivan.locator("#progress")).to_have_attribute("data-state", "paused")
        await raya.reload()
        await is_legible(raya)
        await expect(raya.locator("#progress")).to_have_attribute("data-state", "paused")
        quick.set()
        await ivan.get_by_role("button", name="Продължи").click()
        for page in (ivan, raya):  # the other page follows by itself
            await expect(page.locator("#progress-title")).to_have_text("Отчет")
            await expect(page.locator("[data-figure=delivered]")).to_have_text("поне 240")
            await expect(page.locator("[data-figure=unknown]")).to_have_text("под 10")
            await expect(page.locator("progress")).to_have_js_property("value", 240)
        await is_legible(raya)
    for woman in women:
        texts = [shown.words for shown in woman.bot_messages]
        assert len([each for each in texts if "26 ноември, 10:00, Читалище" in each]) == 1
        assert not any(WORDS in each for each in texts)
