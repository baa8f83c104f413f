"""Reading aloud, with a browser whose voices are ours: headless Chromium has none."""

from __future__ import annotations

import pytest
from playwright.async_api import Browser, expect

from tests.browser.people import PHONE, Woman, watched
from tests.line import Line

pytestmark = pytest.mark.asyncio(loop_scope="module")

VOICES = """
window.spoken = [];
window.SpeechSynthesisUtterance = class { constructor(text) { this.text = text; } };
Object.defineProperty(window, 'speechSynthesis', { value: {
  getVoices: () => [
    { lang: 'bg-BG', localService: true, name: 'here' },
    { lang: 'tr-TR', localService: false, name: 'far away' },
  ],
  speak: (said) => window.spoken.push([said.lang, said.voice.name, said.text]),
  cancel: () => { window.spoken.length = 0; },
} });
"""


async def test_she_hears_the_screen_and_its_choices_with_their_numbers(
    browser: Browser, line: Line
) -> None:
    async with watched(browser, PHONE) as (page, _):
        await page.add_init_script(VOICES)
        await page.goto(line.url)
        her = Woman(page)
        await her.passes_the_gate()
        await page.locator("#listen").click()
        await page.wait_for_function("window.spoken.length > 0")
        spoken = await page.evaluate("window.spoken")
        assert {(lang, name) for lang, name, _ in spoken} == {("bg", "here")}
        texts = [text for _, _, text in spoken]
        assert texts[0].startswith("Добре, че си тук")
        assert texts[-4:-1] == ["1. Това, което той прави", "2. Какво мога", "3. Искам да говоря"]
        await her.taps("Още")
        assert await page.evaluate("window.spoken") == [], "the next screen is silent"


async def test_a_voice_that_would_send_her_words_away_is_not_offered(
    browser: Browser, line: Line
) -> None:
    async with watched(browser, PHONE) as (page, _):
        await page.add_init_script(VOICES)
        await page.goto(line.url)
        await Woman(page).passes_the_gate(language=2)
        await expect(page.locator("html")).to_have_attribute("lang", "tr")
        await expect(page.locator("#listen")).to_be_hidden()
