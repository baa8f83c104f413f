"""The staff pages in a browser, and what a woman sees of what is done there."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pyotp
import pytest
import pytest_asyncio
from playwright.async_api import Browser, Page, expect

from scheduler.model import Reception
from tests.browser import eyes
from tests.browser.people import DESK, PASSWORD, PHONE, Watch, Woman, logs_in, watched
from tests.line import Line

pytestmark = pytest.mark.asyncio(loop_scope="module")

HEADER = "id,municipality,place,landmark,date,start,end,attends,public_name,state"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def staff(browser: Browser, line: Line) -> AsyncIterator[tuple[Page, Watch]]:
    async with watched(browser, DESK) as (page, watch):
        await logs_in(page, line, "raya", "/staff")
        yield page, watch


async def meets(browser: Browser, line: Line, language: int) -> str:
    """What "meet us" says about Ruse, the first municipality, in a language."""
    async with watched(browser, PHONE) as (page, _):
        await page.goto(line.url)
        her = Woman(page)
        await her.passes_the_gate(language)
        await her.taps_number(4, 1, 1)
        return await page.locator("#screen").inner_text()


async def test_a_reception_is_added_moved_and_cancelled(
    browser: Browser, line: Line, staff: tuple[Page, Watch]
) -> None:
    page, watch = staff
    await page.get_by_role("link", name="Нова приемна", exact=True).click()
    await page.locator("button.main").click()
    problems = page.locator(".problem li")
    await expect(problems).to_have_count(3)
    watch.expected(422)
    await page.locator("#municipality").select_option(label="Русе")
    await page.locator("#place").fill("Читалище „Зора“")
    await page.locator("#landmark").fill("до пощата")
    await page.locator("#day").fill("2026-11-24")
    await page.locator("#from").fill("10:00")
    await page.locator("#to").fill("14:00")
    await page.locator("button.main").click()
    await expect(page.locator(".notice")).to_contain_text("запазена")
    await expect(page.locator(".visit.planned")).to_have_text("10:00 Русе")
    row = page.locator(".rows tbody tr")
    await expect(row).to_contain_text("утре, вторник, 24 ноември")
    await expect(row).to_contain_text("Предстои")
    await eyes.finds_nothing_wrong(page)

    for language, words in ((1, "утре"), (2, "yarın"), (3, "tomorrow")):
        told = await meets(browser, line, language)
        assert words in told
        assert "24" in told
        assert "Читалище „Зора“" in told

    await row.get_by_role("link").click()
    await page.locator("#day").fill("2026-11-25")
    await page.locator("button.main").click()
    await expect(page.locator(".visit.moved")).to_have_text("10:00 Русе")
    await expect(row).to_contain_text("Преместена")
    assert "25 ноември" in await meets(browser, line, 1)

    await page.locator("a.visit").click()
    await page.locator(".cancel-box summary").click()
    await page.locator(".cancel-box button").click()
    await expect(page.locator(".visit.cancelled")).to_contain_text("10:00 Русе")
    await expect(row).to_contain_text("Отменена")
    assert "Тази среща няма да я има." in await meets(browser, line, 1)


async def test_an_old_form_shows_what_a_colleague_changed(
    staff: tuple[Page, Watch], line: Line
) -> None:
    page, watch = staff
    start = datetime(2026, 12, 3, 8, 0, tzinfo=UTC)
    one = Reception("faster", "rse05", "Ветово", start, start + timedelta(hours=4))
    await line.phen.store.save_receptions([one])
    await page.goto(f"{line.url}/staff/receptions/faster")
    await line.phen.store.save_receptions([replace(one, end=start + timedelta(hours=3))])
    await page.locator("#landmark").fill("до пощата")
    await page.locator("button.main").click()
    await expect(page.locator(".problem")).to_contain_text("променена междувременно")
    watch.expected(409)
    await expect(page.locator("#to")).to_have_value("13:00")
    await expect(page.locator("#landmark-wrong")).to_have_text("При теб беше „до пощата“.")
    await eyes.finds_nothing_wrong(page)
    await page.locator("#landmark").fill("до пощата")
    await page.locator("button.main").click()
    await expect(page.locator(".notice")).to_contain_text("запазена")


async def test_a_file_with_mistakes_is_refused_line_by_line(staff: tuple[Page, Watch]) -> None:
    page, watch = staff
    wrong = [
        HEADER,
        ",rse99,Читалище,,2026-12-01,10:00,12:00,,,planned",
        ",rse05,Читалище,,2026-12-41,10:00,12:00,,,planned",
        ",rse05,Читалище,,2026-12-01,14:00,12:00,,,planned",
    ]
    await _upload(page, wrong)
    problems = page.locator(".problem li")
    await expect(problems).to_have_count(3)
    for number, told in zip((2, 3, 4), await problems.all_inner_texts(), strict=True):
        assert told.startswith(f"Ред {number}")
    watch.expected(422)
    await eyes.finds_nothing_wrong(page)


async def test_a_good_file_is_taken_and_can_be_taken_away_again(
    staff: tuple[Page, Watch], line: Line
) -> None:
    page, _ = staff
    await _upload(page, [HEADER, ",rse05,Читалището,,2026-12-01,10:00,12:00,юрист,,planned"])
    await expect(page.locator(".notice")).to_contain_text("1 нови")
    async with page.expect_download() as download:
        await page.get_by_role("link", name="Свали предстоящите като CSV").click()
    taken = (await (await download.value).path()).read_text("utf-8-sig")
    assert taken.startswith("id;municipality;")
    assert "Читалището" in taken


async def test_a_new_colleague_comes_in_by_the_link_and_is_shut_out_again(
    browser: Browser, line: Line, staff: tuple[Page, Watch]
) -> None:
    page, _ = staff
    await page.goto(line.url + "/staff/accounts")
    await page.get_by_role("link", name="Покани човек").click()
    await page.get_by_label("Име за вход").fill("vera")
    await page.get_by_label("турски").check()
    await page.get_by_role("button", name="Направи поканата").click()
    link = await page.locator("#link").input_value()
    await eyes.finds_nothing_wrong(page)
    async with watched(browser, PHONE) as (hers, her_watch):
        await hers.goto(link)
        await hers.locator("#password").fill(PASSWORD)
        await hers.locator("#again").fill(PASSWORD)
        await hers.locator("button.main").click()
        secret = (await hers.locator(".secret").inner_text()).replace(" ", "")
        await hers.locator("#code").fill(pyotp.TOTP(secret).at(line.phen.now()))
        await hers.locator("button.main").click()
        await hers.wait_for_url(line.url + "/desk")

        await page.get_by_role("link", name="Към хората").click()
        await page.get_by_role("link", name="Промени: vera").click()
        await page.get_by_text("Спри акаунта").click()
        await page.get_by_role("button", name="Да, спри го").click()
        await expect(page.locator(".notice")).to_contain_text("Акаунтът е спрян")
        await hers.goto(line.url + "/desk")
        await expect(hers.locator("#login")).to_be_visible()
        her_watch.faults.clear()  # her open page asked once more, and was refused


async def test_hours_are_set_by_keyboard_and_show_in_the_week(
    staff: tuple[Page, Watch], line: Line
) -> None:
    page, watch = staff
    await page.goto(line.url + "/staff/duty")
    await page.get_by_role("link", name="Промени часовете: maria").click()
    hours = page.locator("[data-hours]")
    await expect(hours).to_be_hidden()
    await page.get_by_label("Други часове").check()
    await expect(hours).to_be_visible()
    await page.locator("#mon-from-1").fill("09:00")
    await page.locator("#mon-to-1").fill("09:00")
    await page.locator("#mon-to-1").press("Enter")
    await expect(page.locator("#mon-to-1-wrong")).to_contain_text("същият като началото")
    watch.expected(422)
    await page.locator("#problems a").click()
    assert (await eyes.focused(page))[1] == "mon-to-1"
    await page.locator("#mon-to-1").fill("17:00")
    await page.locator("#mon-to-1").press("Enter")
    await expect(page.locator(".notice")).to_contain_text("Седмицата е запазена")
    await page.goto(line.url + "/staff/duty")
    await expect(page.locator(".now")).to_contain_text("maria")
    await expect(page.locator(".week > li").first).to_contain_text("Няма никого: 00:00–09:00")


async def test_the_stopped_line_is_one_message_for_her_and_a_banner_for_the_team(
    browser: Browser, line: Line, staff: tuple[Page, Watch]
) -> None:
    page, _ = staff
    await page.goto(line.url + "/staff/line")
    await page.get_by_text("Спри линията", exact=True).click()
    await page.get_by_role("button", name="Да, спри линията").click()
    await expect(page.locator("#stopped")).to_contain_text("Линията е спряна")
    async with watched(browser, PHONE) as (hers, _):
        await hers.goto(line.url)
        await expect(hers.locator("#screen")).to_contain_text("Сега тази страница не работи")
        await expect(hers.locator("#screen")).to_contain_text("112")
        await page.goto(line.url + "/staff")
        await page.locator("#stopped a").click()
        await page.get_by_role("button", name="Пусни линията").click()
        await expect(page.locator(".notice")).to_contain_text("Линията работи пак")
        await expect(page.locator("#stopped")).to_have_count(0)
        await hers.goto(line.url)
        await expect(hers.locator("#screen")).not_to_contain_text("не работи")


async def test_the_staff_pages_are_legible(staff: tuple[Page, Watch], line: Line) -> None:
    page, _ = staff
    maria = await line.phen.store.staff_by_login("maria")
    assert maria is not None
    await page.goto(line.url + "/staff/prepared")
    await eyes.finds_nothing_wrong(page)
    async with page.expect_navigation():
        await page.get_by_role("button", name="Сложи примерните").click()
    for place in (
        "/staff",
        "/staff/receptions/new",
        "/staff?month=2026-12",
        "/staff/duty",
        f"/staff/duty/{maria.id}",
        "/staff/prepared",
        "/staff/prepared/new",
        "/staff/line",
        "/staff/accounts",
        "/staff/accounts/new",
        f"/staff/accounts/{maria.id}",
        "/desk/answers",
    ):
        await page.goto(line.url + place)
        for closed in await page.locator("details").all():
            await closed.evaluate("(details) => { details.open = true; }")
        await eyes.finds_nothing_wrong(page)
        for size in ({"width": 640, "height": 400}, PHONE):
            await page.set_viewport_size(size)  # type: ignore[arg-type]
            await eyes.fits(page)
        await page.set_viewport_size(DESK)  # type: ignore[arg-type]


async def test_the_login_and_the_invitation_are_legible(browser: Browser, line: Line) -> None:
    async with watched(browser, PHONE) as (page, watch):
        for place in ("/login", "/invite", "/"):
            await page.goto(line.url + place)
            await eyes.finds_nothing_wrong(page)
        await page.goto(f"{line.url}/nowhere")
        await eyes.finds_nothing_wrong(page)
        watch.expected(404)


async def _upload(page: Page, rows: list[str]) -> None:
    await page.locator("#file").set_input_files(
        {"name": "a.csv", "mimeType": "text/csv", "buffer": "\n".join(rows).encode()}
    )
    await page.locator(".csv form button").click()
