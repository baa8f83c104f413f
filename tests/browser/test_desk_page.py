"""The desk's page at work: what it keeps, what it sends, when it rings, and the keys."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from playwright.async_api import Browser, Page, Route, expect

from bot.storage.records import Author, Case, MediumKind, MessageState, Prepared
from tests import sounds
from tests.browser import eyes
from tests.browser.tour import ANSWERS, NAMES, SIZES, Stage, list_twelve, stage
from tests.line import eventually

pytestmark = pytest.mark.asyncio(loop_scope="module")

HEARS = """
window.rings = 0;
const start = OscillatorNode.prototype.start;
OscillatorNode.prototype.start = function (at) { window.rings += 1; return start.call(this, at); };
window.shown = [];
window.looks = true;
document.hasFocus = () => window.looks;
const Real = window.Notification;
window.Notification = class extends Real {
  constructor(title, options) { super(title, options); window.shown.push([title, options]); }
};
"""
SOMETHING_SAID = re.compile("0:0[1-9]|0:[1-5][0-9]")
TONES = 3
"""Of which one ring is made."""


@pytest_asyncio.fixture(loop_scope="module")
async def on(browser: Browser, tmp_path: Path) -> AsyncIterator[Stage]:
    async with stage(browser, tmp_path) as made:
        yield made


async def said(on: Stage, case: Case) -> list[str]:
    """What Maria has said to her."""
    return [
        message.text
        for message in await on.centre.store.messages(case.id)
        if message.author is Author.CONSULTANT
    ]


async def taken_and_lost(route: Route) -> None:
    """The server takes it; its answer never arrives."""
    await route.fetch(max_redirects=0)
    await route.abort()


async def rang(page: Page, rings: int) -> None:
    await page.wait_for_function("(n) => window.rings === n", arg=rings * TONES)


async def arrives(on: Stage, name: str) -> Case:
    case = await on.centre.woman(name, "Ало?")
    on.centre.changes.notify()
    return case


async def rings_again(on: Stage, case: Case, rounds: int) -> None:
    """As the bell does it."""
    assert await on.centre.store.rung(await on.centre.case(case), rounds, None)
    on.centre.changes.notify()


# --- nothing is lost or doubled --------------------------------------------------------------


async def test_what_is_being_written_survives_a_reload_until_it_is_sent(on: Stage) -> None:
    case = await on.hers(NAMES[0], "Ало?")
    await on.opens(case)
    reply, note = on.page.locator("#reply"), on.page.locator("#note")
    await reply.fill("Недописан отговор")
    await on.unfolds("note-box")
    await note.fill("Недописана бележка")
    await on.page.reload()
    await expect(reply).to_have_value("Недописан отговор")
    await expect(note).to_be_visible()
    await expect(note).to_have_value("Недописана бележка")
    await on.page.locator(".reply button.main").click()
    await expect(on.page.locator(".message.consultant")).to_have_count(1)
    await on.page.reload()
    await expect(reply).to_have_value("")
    await expect(note).to_have_value("Недописана бележка")
    assert await on.page.evaluate("localStorage.length") == 0


async def test_the_drafts_of_two_cases_and_two_tabs_do_not_meet(on: Stage) -> None:
    one, two = await on.hers(NAMES[0]), await on.hers(NAMES[1])
    await on.opens(one)
    await on.page.locator("#reply").fill("За тих орех")
    await on.opens(two)
    await expect(on.page.locator("#reply")).to_have_value("")
    tab = await on.page.context.new_page()
    await tab.goto(f"{on.url}/desk/case/{one.id}")
    await tab.locator("#reply").fill("От другия раздел")
    await on.opens(one)
    await expect(on.page.locator("#reply")).to_have_value("За тих орех")
    await tab.locator(".reply button.main").click()
    await expect(on.page.locator(".message.consultant .words")).to_have_text("От другия раздел")
    await expect(on.page.locator("#reply")).to_have_value("За тих орех")


async def test_a_draft_goes_when_its_case_is_closed_and_at_the_logout(on: Stage) -> None:
    one, two = await on.hers(NAMES[0]), await on.hers(NAMES[1])
    drafts = "Object.keys(sessionStorage).filter((name) => name.startsWith('draft:')).length"
    for case in (one, two):
        await on.opens(case)
        await on.page.locator("#reply").fill("Недописано")
    await on.goes()
    assert await on.page.evaluate(drafts) == 2
    await on.centre.store.close_case(one.id, None, "she ended it")
    on.centre.changes.notify()
    await on.page.wait_for_function(f"() => {drafts} === 1")
    tab = await on.page.context.new_page()
    await tab.goto(f"{on.url}/desk/case/{two.id}")
    await tab.locator("#reply").fill("И тук")
    await on.page.locator(".leave button").click()
    await on.page.wait_for_url("**/login?bye=1")
    await tab.wait_for_url("**/login?bye=1")
    for page in (on.page, tab):
        assert await page.evaluate("sessionStorage.length") == 0


async def test_the_case_closed_while_she_writes_and_her_words_stay_in_sight(on: Stage) -> None:
    case = await on.hers(NAMES[0])
    await on.opens(case)
    await on.page.locator("#reply").fill("Недописано")
    await on.centre.store.close_case(case.id, None, "she ended it")
    on.centre.changes.notify()
    kept = on.page.locator(".write textarea[readonly]")
    await expect(kept).to_have_value("Недописано")
    await eyes.finds_nothing_wrong(on.page)


@pytest.mark.parametrize("reload", [False, True])
async def test_an_answer_that_was_lost_on_the_way_back_is_sent_again_and_stands_once(
    on: Stage, reload: bool
) -> None:
    case = await on.hers(NAMES[0])
    await on.opens(case)

    await on.page.route("**/reply", taken_and_lost)
    on.watch.plans("ERR_FAILED")
    await on.page.locator("#reply").fill("Само веднъж.")
    await on.page.locator(".reply button.main").click()
    await expect(on.page.locator("[data-live=problem]")).to_contain_text("Няма връзка")
    assert await said(on, case) == ["Само веднъж."]
    await on.page.unroute("**/reply")
    if reload:
        await on.page.reload()
    await expect(on.page.locator("#reply")).to_have_value("Само веднъж.")
    await on.page.locator(".reply button.main").click()
    await expect(on.page.locator("#reply")).to_have_value("")
    await expect(on.page.locator(".message.consultant")).to_have_count(1)
    assert await said(on, case) == ["Само веднъж."]


async def test_words_changed_after_a_lost_answer_are_not_lost_either(on: Stage) -> None:
    case = await on.hers(NAMES[0])
    await on.opens(case)

    await on.page.route("**/reply", taken_and_lost)
    on.watch.plans("ERR_FAILED")
    await on.page.locator("#reply").fill("Здравей.")
    await on.page.locator(".reply button.main").click()
    await expect(on.page.locator("[data-live=problem]")).to_contain_text("Няма връзка")
    await on.page.unroute("**/reply")
    await on.page.locator("#reply").fill("Здравей. Как си?")
    await on.page.locator(".reply button.main").click()
    await expect(on.page.locator("[data-live=problem]")).to_contain_text("вече беше изпратен")
    on.watch.expected(409)
    await expect(on.page.locator("#reply")).to_have_value("Здравей. Как си?")
    await on.page.locator(".reply button.main").click()
    await expect(on.page.locator("#reply")).to_have_value("")
    assert await said(on, case) == ["Здравей.", "Здравей. Как си?"]


async def test_a_double_click_sends_once(on: Stage) -> None:
    case = await on.hers(NAMES[0])
    await on.opens(case)
    await on.page.locator("#reply").fill("Само веднъж.")
    await on.page.locator(".reply button.main").dblclick()
    await expect(on.page.locator("#reply")).to_have_value("")
    assert await said(on, case) == ["Само веднъж."]


async def test_a_dropped_connection_says_so_and_comes_back_by_itself(on: Stage) -> None:
    case = await on.hers(NAMES[0])
    await on.opens(case)
    await on.page.locator("#reply").fill("Недописано")
    on.watch.plans("ERR_INTERNET_DISCONNECTED")
    await on.page.context.set_offline(True)
    await expect(on.page.locator("#lost")).to_be_visible()
    await on.centre.store.add_from_woman(case.id, "Още съм тук.", "k")
    await on.page.context.set_offline(False)
    await expect(on.page.locator("#lost")).to_be_hidden()
    await expect(on.page.locator(".message.woman")).to_have_count(1)
    await expect(on.page.locator("#reply")).to_have_value("Недописано")


# --- the bell --------------------------------------------------------------------------------


async def test_the_page_rings_with_each_round_until_somebody_claims(on: Stage) -> None:
    await on.page.add_init_script(HEARS)
    await on.goes()
    sound = on.page.locator("#sound")
    await expect(sound).to_have_attribute("data-state", "wait")
    await on.page.locator("#list h2").first.click()
    await expect(sound).to_have_attribute("data-state", "on")
    case = await arrives(on, NAMES[0])
    await rang(on.page, 1)
    await expect(on.page.locator("#news")).to_contain_text("Нова жена чака.")
    await expect(on.page).to_have_title("(1) Разговори")
    await rings_again(on, case, 1)  # the first round is the ring that was heard already
    await expect(on.page.locator(".card.waits")).to_contain_text("звъня веднъж")
    await rings_again(on, case, 2)
    await rang(on.page, 2)
    await expect(on.page.locator("#news")).to_contain_text("Звъни пак")
    await on.centre.desk.claim(on.elena, case.id)
    await expect(on.page.locator(".card.waits")).to_have_count(0)
    await expect(on.page).to_have_title("Разговори")
    assert await on.page.evaluate("window.rings") == 2 * TONES


async def test_what_came_while_the_page_changed_rings_too(on: Stage) -> None:
    await on.page.add_init_script(HEARS)
    case = await on.hers(NAMES[0])
    async with on.page.expect_response(lambda told: told.request.resource_type == "fetch"):
        await on.goes()  # it listens, and has looked once
    await on.page.locator("#list h2").first.click()
    await expect(on.page.locator("#sound")).to_have_attribute("data-state", "on")
    await on.centre.woman(NAMES[1], "Ало?")  # nobody has told the page yet
    await on.page.locator(".card.mine a").click()
    await on.page.wait_for_url(f"**/{case.id}")
    await expect(on.page.locator("#news")).to_contain_text("Нова жена чака.")


async def test_the_sound_can_be_turned_off_and_stays_off_on_the_next_page(on: Stage) -> None:
    await on.page.add_init_script(HEARS)
    await on.goes()
    await on.page.locator("#list h2").first.click()
    await expect(on.page.locator("#sound")).to_have_attribute("data-state", "on")
    await on.page.locator("#sound").click()  # a press before would have tried the sound
    await expect(on.page.locator("#sound")).to_have_attribute("aria-pressed", "false")
    await on.goes()
    await on.page.locator("#list h2").first.click()
    await arrives(on, NAMES[0])
    await expect(on.page.locator("#news")).to_contain_text("Нова жена чака.")
    assert await on.page.evaluate("window.rings") == 0


async def test_a_notification_says_nothing_and_comes_only_when_nobody_looks(on: Stage) -> None:
    await on.page.context.grant_permissions(["notifications"])
    await on.page.add_init_script(HEARS)
    await on.goes("/desk/bell")
    await expect(on.page.locator("#notices-state")).to_contain_text("включени")
    await arrives(on, NAMES[0])
    await expect(on.page.locator("#news")).to_contain_text("Нова жена чака.")
    assert await on.page.evaluate("window.shown") == []
    await on.page.evaluate("window.looks = false")
    await arrives(on, NAMES[1])
    await on.page.wait_for_function("() => window.shown.length === 1")
    shown = await on.page.evaluate("window.shown")
    assert shown == [["Phen", {"body": "Отвори страницата.", "tag": "desk", "renotify": True}]]
    await on.page.locator("#notices").click()
    await arrives(on, NAMES[2])
    await expect(on.page.locator(".card.waits")).to_have_count(3)
    assert len(await on.page.evaluate("window.shown")) == 1


async def test_a_browser_that_shows_no_notifications_says_so(on: Stage) -> None:
    await on.page.context.grant_permissions(["notifications"])
    await on.page.add_init_script(
        """const Real = window.Notification;
        window.Notification = function () { throw new TypeError("Illegal constructor"); };
        Object.defineProperty(window.Notification, "permission", { get: () => Real.permission });"""
    )
    await on.goes("/desk/bell")
    await on.page.locator("#notices").click()  # off, and on again
    await on.page.locator("#notices").click()
    await expect(on.page.locator("#notices-state")).to_contain_text("няма известия")
    await expect(on.page.locator("#notices")).to_be_hidden()


async def test_an_open_page_says_that_the_line_was_stopped_and_that_it_works_again(
    on: Stage,
) -> None:
    await on.goes()
    await expect(on.page.locator("#stopped")).to_be_hidden()
    for stopped in (True, False):
        await on.stop.set(stopped)
        on.centre.changes.notify()
        await expect(on.page.locator("#stopped")).to_be_visible(visible=stopped)


async def test_what_was_handed_to_me_is_announced(on: Stage) -> None:
    await on.goes()
    case = await on.centre.woman(NAMES[0], "Ало?")
    await on.centre.desk.claim(on.elena, case.id)
    await on.centre.desk.transfer(on.elena, case.id, on.maria.id)
    await expect(on.page.locator("#news")).to_contain_text("Предадоха ти разговор.")
    await expect(on.page.locator(".card.unread")).to_contain_text("предаден на теб")


# --- prepared answers ------------------------------------------------------------------------


async def with_answers(on: Stage) -> Case:
    for shortcut, text in ANSWERS:
        await on.centre.store.save_prepared(Prepared("", "bg", shortcut, text))
    case = await on.hers(NAMES[0])
    await on.opens(case)
    return case


async def test_who_reads_in_another_language_is_offered_the_answers_of_that_one(on: Stage) -> None:
    case = await with_answers(on)
    await on.centre.store.save_prepared(Prepared("", "tr", "ev", "Senin için yer var."))
    await on.page.locator("#reply").fill("Пиша")
    await on.centre.store.set_language(case.id, "tr")
    on.centre.changes.notify()
    await expect(on.page.locator(".answers button")).to_contain_text(["Senin için yer var."])
    await expect(on.page.locator(".case-head")).to_contain_text("турски")
    await expect(on.page.locator("#reply")).to_have_value("Пиша")


@pytest.mark.parametrize("key", ["Tab", "Enter"])
async def test_a_shortcut_finds_an_answer_and_puts_it_into_the_box(on: Stage, key: str) -> None:
    case = await with_answers(on)
    reply, found = on.page.locator("#reply"), on.page.locator("#found [role=option]")
    await reply.press_sequentially("Добре. /")
    await expect(found).to_have_count(3)
    await expect(on.page.locator("#news")).to_contain_text("Готови отговори: 3")
    await reply.press_sequentially("адв")
    await expect(found).to_have_count(1)
    await expect(reply).to_have_attribute("role", "combobox")
    chosen = await reply.get_attribute("aria-activedescendant")
    await expect(on.page.locator(f"#{chosen}")).to_have_attribute("aria-selected", "true")
    await on.page.keyboard.press(key)
    await expect(reply).to_have_value(f"Добре. {ANSWERS[1][1]}")
    await expect(reply).to_be_focused()
    await expect(on.page.locator("#found")).to_be_hidden()
    assert await reply.get_attribute("role") is None
    assert await said(on, case) == []


async def test_arrows_choose_escape_leaves_and_a_fraction_is_no_shortcut(on: Stage) -> None:
    await with_answers(on)
    reply = on.page.locator("#reply")
    await reply.press_sequentially("/")
    await on.page.keyboard.press("ArrowUp")
    last = on.page.locator("#found [role=option]").last
    await expect(last).to_have_attribute("aria-selected", "true")
    await on.page.keyboard.press("Escape")
    await expect(on.page.locator("#found")).to_be_hidden()
    await expect(reply).to_have_value("/")
    await reply.fill("")
    await reply.press_sequentially("В 10/12 ")
    await expect(on.page.locator("#found")).to_be_hidden()
    await on.page.keyboard.press("Enter")
    await expect(reply).to_have_value("В 10/12 \n")


async def test_an_answer_is_pressed_in_its_list_and_stands_where_the_cursor_is(on: Stage) -> None:
    case = await with_answers(on)
    await on.page.locator("#reply").fill("Здравей.")
    await on.unfolds("prepared-box")
    await on.page.locator(".answers button").filter(has_text="адвокат").click()
    await expect(on.page.locator("#reply")).to_have_value(f"Здравей. {ANSWERS[1][1]}")
    await on.page.reload()
    await expect(on.page.locator("#reply")).to_have_value(f"Здравей. {ANSWERS[1][1]}")
    assert await said(on, case) == []


# --- voice and photo -------------------------------------------------------------------------


async def records(on: Stage) -> None:
    await on.page.context.grant_permissions(["microphone"])
    await on.page.locator("#record").click()
    await expect(on.page.locator("#voice-stop")).to_be_focused()
    await expect(on.page.locator("#voice-clock")).to_have_text(SOMETHING_SAID)
    await on.page.locator("#voice-stop").click()
    await expect(on.page.locator("#voice-send")).to_be_focused()


async def test_a_voice_note_is_recorded_heard_and_sent_once(on: Stage) -> None:
    case = await on.hers(NAMES[0])
    await on.opens(case)
    await records(on)
    play = "(audio) => audio.play().then(() => true)"
    assert await on.page.locator("#voice-play").evaluate(play)

    await on.page.route("**/voice", taken_and_lost)
    on.watch.plans("ERR_FAILED")
    await on.page.locator("#voice-send").click()
    await expect(on.page.locator("[data-live=problem]")).to_contain_text("Няма връзка")
    await on.page.unroute("**/voice")
    await on.page.locator("#voice-send").click()
    await expect(on.page.locator("#voice")).to_be_hidden()
    note = on.page.locator(".message.consultant")
    await expect(note).to_contain_text("Гласово съобщение до нея")
    await expect(note).to_have_count(1)
    kept = (await on.centre.store.messages(case.id))[-1]
    voice = await on.centre.store.medium(kept.id)
    assert voice is not None
    assert sounds.stream(voice.data).startswith("opus")


async def test_a_recording_that_is_thrown_away_is_sent_to_nobody(on: Stage) -> None:
    case = await on.hers(NAMES[0])
    await on.opens(case)
    await on.page.locator("#reply").fill("Недописано")
    key = await on.page.locator("#voice [name=key]").input_value()
    await records(on)
    await on.page.locator("#voice-away").click()
    await expect(on.page.locator("#voice")).to_be_hidden()
    await expect(on.page.locator("#record")).to_be_focused()
    await expect(on.page.locator("#reply")).to_have_value("Недописано")
    assert await on.page.locator("#voice [name=key]").input_value() != key
    assert await said(on, case) == []


async def test_a_recording_stops_by_itself_after_three_minutes(on: Stage) -> None:
    await on.opens(await on.hers(NAMES[0]))
    await on.page.context.grant_permissions(["microphone"])
    assert await on.page.locator("#voice").get_attribute("data-most") == "180"
    await on.page.locator("#voice").evaluate("(form) => { form.dataset.most = '1'; }")
    await on.page.locator("#record").click()
    await expect(on.page.locator("#voice-state")).to_contain_text("Стигна 3 минути")
    await expect(on.page.locator("#voice-send")).to_be_focused()


async def test_without_a_recorder_the_button_says_why(on: Stage) -> None:
    await on.page.add_init_script("delete window.MediaRecorder")
    await on.opens(await on.hers(NAMES[0]))
    await on.page.locator("#record").click()
    await expect(on.page.locator("[data-live=problem]")).to_contain_text("не може да записва")


async def test_a_photo_is_seen_once_and_destroyed_as_soon_as_it_is_seen(on: Stage) -> None:
    case = await on.hers(NAMES[0])
    await on.sends(case, MediumKind.PHOTO)
    await on.opens(case)
    assert await on.centre.store.kept_media(case.id)
    await on.page.locator("[data-medium=photo]").click()
    picture = on.page.locator("#medium img")
    await expect(picture).to_be_visible()
    await expect(picture).to_have_js_property("naturalWidth", 900)

    async def destroyed() -> bool:
        return not await on.centre.store.kept_media(case.id)

    assert await eventually(destroyed)
    await expect(on.page.locator(".message.woman")).to_contain_text("вече не се пази")
    await expect(picture).to_be_visible()
    await expect(on.page.locator("#medium")).to_contain_text("Вече е унищожено при нас")
    await on.page.keyboard.press("Escape")
    await expect(picture).to_have_count(0)


async def test_a_photo_that_could_not_be_destroyed_says_so(on: Stage) -> None:
    case = await on.hers(NAMES[0])
    await on.sends(case, MediumKind.PHOTO)
    await on.opens(case)
    on.watch.plans("ERR_FAILED")
    await on.page.route("**/received", lambda route: route.abort())
    await on.page.locator("[data-medium=photo]").click()
    await expect(on.page.locator("#medium")).to_contain_text("Не е унищожено")
    await on.page.keyboard.press("Escape")
    await on.page.unroute("**/received")
    await on.page.locator(".medium form button").click()
    await expect(on.page.locator(".message.woman")).to_contain_text("вече не се пази")


async def test_what_cannot_be_shown_is_not_destroyed(on: Stage) -> None:
    case = await on.hers(NAMES[0])
    await on.sends(case, MediumKind.PHOTO)
    await on.opens(case)
    await on.page.route("**/medium", lambda route: route.fulfill(body=b"no picture"))
    await on.page.locator("[data-medium=photo]").click()
    await expect(on.page.locator("[data-live=problem]")).to_contain_text("Не е унищожено")
    await on.page.unroute("**/medium")
    on.watch.plans("ERR_FAILED")
    await on.page.route("**/medium", lambda route: route.abort())
    await on.page.locator("[data-medium=photo]").click()
    await expect(on.page.locator("[data-live=problem]")).to_contain_text("Няма връзка")
    assert await on.centre.store.kept_media(case.id)


# --- the keys --------------------------------------------------------------------------------


async def test_twelve_cases_are_walked_by_letters_and_arrows(on: Stage) -> None:
    await list_twelve(on)
    await on.page.locator("#list h2").first.click()
    cards = on.page.locator(".list .card > a")
    await on.page.keyboard.press("j")
    opened = await on.page.evaluate(
        "[...document.querySelectorAll('.list .card > a')].findIndex((a) => a.ariaCurrent)"
    )
    await expect(cards.nth(opened + 1)).to_be_focused()
    await on.page.keyboard.press("k")
    await on.page.keyboard.press("k")
    await expect(cards.nth(opened - 1)).to_be_focused()
    for _ in range(20):
        await on.page.keyboard.press("ArrowUp")
    await expect(cards.first).to_be_focused()
    await on.page.keyboard.press("ArrowDown")
    await on.page.keyboard.press("ArrowDown")
    address = await cards.nth(2).get_attribute("href")
    await on.page.keyboard.press("Enter")
    await on.page.wait_for_url(f"{on.url}{address}")
    await expect(on.page.locator("#reply")).to_be_focused()


async def test_letters_write_where_one_writes_and_can_be_turned_off(on: Stage) -> None:
    await on.opens(await on.hers(NAMES[0]))
    await on.page.locator("#reply").focus()
    await on.page.keyboard.type("jk?rn")
    await expect(on.page.locator("#reply")).to_have_value("jk?rn")
    await on.page.locator("#list h2").first.click()
    await on.page.keyboard.press("n")
    await expect(on.page.locator("#note")).to_be_focused()
    await on.page.keyboard.press("Escape")
    await on.page.keyboard.press("r")
    await expect(on.page.locator("#reply")).to_be_focused()
    await on.page.locator("#list h2").first.click()
    await on.page.keyboard.press("?")
    await expect(on.page.locator("#keys")).to_be_visible()
    await on.page.locator("#keys-off").check()
    await on.page.keyboard.press("Escape")
    await on.page.keyboard.press("r")
    await expect(on.page.locator("#reply")).not_to_be_focused()


async def test_the_focus_stays_where_it_was_when_the_list_changes_under_it(on: Stage) -> None:
    case = await on.hers(NAMES[0])
    waits = await on.centre.woman(NAMES[1], "Ало?")
    await on.goes()
    claim = on.page.locator(f"#w-{waits.id} button")
    await claim.focus()
    on.centre.clock.passes(minutes=5)
    on.centre.changes.notify()
    await expect(on.page.locator(f"#w-{waits.id}")).to_contain_text("5 мин")
    await expect(claim).to_be_focused()
    mine = on.page.locator(f"#c-{case.id} a")
    await mine.focus()
    await on.centre.store.add_from_woman(case.id, "Ало?", "k")
    on.centre.changes.notify()
    await expect(mine).to_contain_text("нови: 1")
    await expect(mine).to_be_focused()
    await claim.focus()
    await on.centre.desk.claim(on.elena, waits.id)
    await expect(claim).to_have_count(0)
    assert await on.page.evaluate("document.activeElement !== document.body")


async def test_the_focus_goes_along_with_a_case_that_changes_its_place(on: Stage) -> None:
    cases = [await on.hers(name, "Ало?") for name in NAMES[:3]]
    for case in cases:
        await on.centre.desk.looked(on.maria, case.id)
    await on.goes()
    cards = on.page.locator(".card.mine a")
    for place in range(3):
        await cards.nth(place).focus()
        name = await cards.nth(place).locator("strong").inner_text()
        on.centre.clock.passes(minutes=1)
        other = cases[NAMES[:3].index(await cards.nth(2 - place).locator("strong").inner_text())]
        await on.centre.store.add_from_woman(other.id, "Ало?", f"k{place}")
        on.centre.changes.notify()
        await expect(on.page.locator(f"#c-{other.id} .count")).to_be_visible()
        await expect(on.page.locator(".card a:focus strong")).to_have_text(name)
        await on.centre.desk.looked(on.maria, other.id)
        on.centre.changes.notify()
        await expect(on.page.locator(f"#c-{other.id} .count")).to_have_count(0)
        await expect(on.page.locator(".card a:focus strong")).to_have_text(name)


async def test_a_note_that_is_kept_folds_away_and_on_a_phone_it_alone_is_written(
    on: Stage,
) -> None:
    await on.page.set_viewport_size(SIZES["phone"])  # type: ignore[arg-type]
    await on.opens(await on.hers(NAMES[0]))
    await on.unfolds("note-box")
    await expect(on.page.locator("#reply")).to_be_hidden()
    await on.page.locator("#note").fill("Да питам адвоката.")
    await on.page.locator(".note-save").click()
    await expect(on.page.locator(".message.note")).to_have_count(1)
    await expect(on.page.locator("#note")).to_be_hidden()
    await expect(on.page.locator("#reply")).to_be_visible()
    await expect(on.page.locator(".note-box summary")).to_be_focused()


async def test_what_may_not_have_arrived_is_decided_by_keyboard(on: Stage) -> None:
    case = await on.hers(NAMES[0])
    await on.centre.desk.reply(on.maria, case.id, "Чуваш ли ме?", "k")
    await on.centre.send_all(MessageState.UNKNOWN)
    await on.opens(case)
    await on.page.locator("#messages").focus()
    await eyes.tabs_to(on.page, "Изпрати пак")
    await on.page.keyboard.press("Enter")
    await expect(on.page.locator(".decide")).to_have_count(0)
    assert await on.centre.send_all() == ["Чуваш ли ме?"]


async def test_on_a_phone_nothing_lies_under_the_keyboard(on: Stage) -> None:
    await on.page.set_viewport_size(SIZES["phone"])  # type: ignore[arg-type]
    await on.opens(await on.talk())
    await on.page.locator("#reply").focus()
    await on.page.set_viewport_size({"width": 390, "height": 420})
    for seen in ("#reply", ".reply button.main", ".case-head h1", "#messages"):
        part = on.page.locator(seen)
        await expect(part).to_be_in_viewport(ratio=1)
        assert await part.evaluate("part => part.getBoundingClientRect().height") > 20


async def test_a_desk_at_which_nobody_sits_has_read_nothing_until_a_hand_is_there(
    on: Stage,
) -> None:
    case = await on.hers(NAMES[0], "Ало?")
    await on.opens(case)
    await on.page.clock.install()
    await on.page.mouse.move(300, 300)
    await on.page.mouse.move(310, 310)
    for said, minutes, unread in (("Той идва.", 1, 0), ("Тук е.", 3, 1)):
        await on.page.clock.fast_forward(minutes * 60_000)
        await on.centre.store.add_from_woman(case.id, said, said)
        on.centre.changes.notify()
        await expect(on.page.locator(".message.woman").last).to_contain_text(said)
        await expect(on.page.locator(".case-head")).to_have_attribute("data-unread", f"{unread}")
        assert await eventually(lambda unread=unread: _is(on, case, unread))
    await on.page.keyboard.press("Shift")
    assert await eventually(lambda: _is(on, case, 0))


async def _is(on: Stage, case: Case, unread: int) -> bool:
    return (await on.centre.case(case)).unread == unread
