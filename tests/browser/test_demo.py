"""`phen demo` as a newcomer sees it: the whole line side by side."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from playwright.async_api import Browser, expect

from tests.browser import eyes
from tests.browser.people import DESK, Colleague, Woman, watched
from tests.ports import Held

pytestmark = pytest.mark.asyncio(loop_scope="module")
STARTS_WITHIN = 120
TODAY = """
import time_machine
time_machine.travel({now}, tick=True).start()
from bot.cli import main
main()
"""


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def address(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[str]:
    """The demo in a process of its own; it must stop cleanly."""
    held = Held()
    ours = {name: value for name, value in os.environ.items() if not name.startswith("PHEN_")}
    folder: Path = tmp_path_factory.mktemp("demo")
    ours |= {"PHEN_PORT": str(held.port), "PHEN_DATA_DIR": str(folder / "data")}
    program = await asyncio.create_subprocess_exec(
        sys.executable, "-c", TODAY.format(now=time.time()), "demo", env=ours,
        cwd=Path(__file__).parents[2],
        stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    try:
        assert program.stdout is not None
        async with asyncio.timeout(STARTS_WITHIN):
            while b"Ctrl+C" not in (line := await program.stdout.readline()):
                assert line, "the demo ended"
        yield f"http://127.0.0.1:{held.port}"
    finally:
        program.send_signal(signal.SIGTERM)
        await asyncio.wait_for(program.communicate(), STARTS_WITHIN)
    assert program.returncode == 0


async def test_the_demo_shows_the_whole_line_signed_in(browser: Browser, address: str) -> None:
    async with watched(browser, DESK) as (page, watch):
        await page.goto(f"{address}/demo")
        await expect(page.locator("iframe")).to_have_count(3)
        phone, desk, staff = page.frames[1:]
        await eyes.finds_nothing_wrong(page)
        await expect(staff.locator("h1")).to_have_text("Приемни")
        await expect(staff.locator(".visit").first).to_be_visible()
        await expect(desk.locator(".card.waits")).to_contain_text("турски")
        await expect(desk.locator(".card.mine")).to_contain_text("предаден на теб")

        her, colleague = Woman(phone), Colleague(desk)
        await her.passes_the_gate()
        await her.calls_a_person()
        await expect(colleague.waiting).to_have_count(2)
        await colleague.waiting.filter(has_text="български").locator("button").click()
        await desk.locator("#reply").wait_for()
        await her.writes("Здравей.")
        await expect(colleague.heard("Здравей.")).to_have_count(1)
        await colleague.replies("Тук съм.")
        await expect(her.heard("Тук съм.")).to_have_count(1)

        await phone.locator(".at-hide").click()
        await phone.wait_for_url(f"{address}/demo/away")
        assert watch.away == 0
        await expect(desk.locator(".case-head .mark.away")).to_be_visible()
        await phone.locator("a").click()
        await expect(phone.locator("#first")).to_contain_text("рецепти")


async def test_the_demo_logins_stand_on_the_login_page(browser: Browser, address: str) -> None:
    async with watched(browser, DESK) as (page, _):
        await page.goto(f"{address}/staff")
        await page.get_by_role("button", name="Влез като demo").click()
        await expect(page.locator("h1")).to_have_text("Приемни")


async def test_the_demo_has_a_day_to_hand_over(browser: Browser, address: str) -> None:
    async with watched(browser, DESK) as (page, _):
        await page.goto(f"{address}/demo")
        await page.goto(f"{address}/desk")
        await page.locator(".card.mine a").filter(has_text="предаден на теб").click()
        await expect(page.locator(".message.woman")).to_have_count(1)
        await expect(page.locator(".message.consultant")).to_contain_text("elena")
        await page.locator(".prepared-box summary").click()
        await expect(page.locator(".answers button")).to_have_count(6)
        await page.locator(".transfer-box summary").click()
        await expect(page.locator(".transfer-box label")).to_have_count(2)
        await page.goto(f"{address}/staff/duty")
        await expect(page.locator(".now")).to_contain_text("demo")
        await expect(page.locator("main")).not_to_contain_text("Няма никого")
        await page.goto(f"{address}/staff/line")
        await expect(page.locator(".figures-table")).to_contain_text("до 1 мин")
