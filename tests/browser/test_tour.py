"""Every state of the desk is legible, named and within the screen, on a phone and at a desk."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.async_api import Browser

from tests.browser import eyes
from tests.browser.tour import SIZES, STATES, WITH_BOT, stage

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest.mark.parametrize("name", STATES)
async def test_a_state_can_be_read_touched_and_heard(
    browser: Browser, tmp_path: Path, name: str
) -> None:
    async with stage(browser, tmp_path, bot=name in WITH_BOT) as on:
        await STATES[name](on)
        for label, size in SIZES.items():
            await on.page.set_viewport_size(size)  # type: ignore[arg-type]
            await eyes.finds_nothing_wrong(on.page)
            if label == "phone":
                assert await eyes.too_small(on.page) == []
        await on.page.set_viewport_size({"width": 320, "height": 640})
        await eyes.fits(on.page)
