"""Every state of the desk, made one by one, for the tests and for our own eyes.

`python -m tests.browser.tour FOLDER [STATE…]` takes a picture of each, on a phone and at a desk,
by day and by night.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

import uvicorn
from playwright.async_api import Browser, Page

from bot.stop import StopSwitch
from bot.storage.records import Case, Medium, MediumKind, MessageState, Prepared, StaffMember
from bot.web.login import SESSION_COOKIE
from tests import sounds
from tests.bot.desk import PASSWORD, Centre, a_centre
from tests.bot.web.test_desk_web import desk_bells, site
from tests.browser.eyes import SCHEMES
from tests.browser.people import Watch, chromium, watched

SIZES = {"phone": {"width": 390, "height": 844}, "desk": {"width": 1280, "height": 800}}
KEYBOARD = {"width": 390, "height": 420}
NAMES = (
    "тих орех", "бял клен", "ясна река", "синя птица", "топъл хляб", "зелен бор",
    "стара чешма", "млада луна", "сребърен ключ", "дълга пътека", "мека вълна", "лек вятър",
)  # fmt: skip
ANSWERS = (
    ("здравей", "Здравей. Тук съм и те чета. Пиши, както ти е удобно."),
    ("адвокат", "Адвокат може да ти помогне без пари. Искаш ли да видиш как?"),
    ("112", "Ако сега е опасно, обади се на 112. После пиши пак."),
)  # fmt: skip


@dataclass
class Stage:
    """A centre with Maria at her desk, and the page before her."""

    centre: Centre
    page: Page
    watch: Watch
    url: str
    maria: StaffMember
    elena: StaffMember
    server: uvicorn.Server
    stop: StopSwitch

    async def goes(self, path: str = "/desk") -> None:
        await self.page.goto(self.url + path)

    async def opens(self, case: Case) -> None:
        await self.goes(f"/desk/case/{case.id}")

    async def unfolds(self, box: str) -> None:
        await self.page.locator(f".{box} > summary").click()

    async def hers(self, name: str = NAMES[0], *said: str) -> Case:
        """A case that Maria has taken."""
        case = await self.centre.woman(name, *said)
        assert await self.centre.desk.claim(self.maria, case.id)
        await self.centre.send_all()
        return case

    async def talk(self) -> Case:
        """A case in the middle of a conversation."""
        case = await self.hers(NAMES[0], "Здравей. Мога ли да питам нещо?")
        for number, (ours, hers) in enumerate(
            (
                ("Здравей. Тук съм. Питай спокойно.", "Той ми взе телефона. Пиша от сестра ми."),
                ("Разбирам. Сега сама ли си?", "Да. До шест часа."),
            )
        ):  # fmt: skip
            self.centre.clock.passes(minutes=2)
            await self.centre.desk.reply(self.maria, case.id, ours, f"talk{number}")
            await self.centre.send_all()
            await self.centre.store.add_from_woman(case.id, hers, f"talk{number}")
        await self.centre.desk.note(self.maria, case.id, "До 18 ч. Да питам адвоката.", "note")
        return case

    async def sends(self, case: Case, kind: MediumKind) -> None:
        data = sounds.photo(size=(900, 600)) if kind is MediumKind.PHOTO else sounds.voice()
        await self.centre.store.add_from_woman(case.id, "", f"{kind}", medium=Medium(kind, data))


@asynccontextmanager
async def stage(browser: Browser, folder: Path, *, bot: bool = False) -> AsyncIterator[Stage]:
    """The desk over a store of its own, on a real server, and a browser at a desk."""
    async with AsyncExitStack() as stack:
        centre = await stack.enter_async_context(a_centre(folder))
        bells = (await stack.enter_async_context(desk_bells(centre)))[0] if bot else None
        stop = StopSwitch(centre.store, lambda: None)
        config = uvicorn.Config(
            site(centre, bells, stop), port=0, log_config=None, access_log=False, lifespan="off",
            timeout_graceful_shutdown=1,
        )  # fmt: skip
        server = uvicorn.Server(config)
        session = await centre.session_of("maria", alias="Мария")
        elena = await centre.person("elena", alias="Елена")
        await centre.store.change_staff(elena.id, "Елена", elena.roles, ("bg", "tr"))
        await centre.person("ana")
        maria = await centre.store.staff_by_login("maria")
        assert maria is not None
        serving = asyncio.create_task(server.serve())
        while not server.started:  # uvicorn tells in no other way
            await asyncio.sleep(0.01)
        url = f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
        try:
            async with watched(browser, SIZES["desk"]) as (page, watch):
                await page.context.add_cookies(
                    [{"name": SESSION_COOKIE, "value": session, "url": url, "httpOnly": True}]
                )
                yield Stage(centre, page, watch, url, maria, elena, server, stop)
        finally:
            server.should_exit = True
            await serving


# --- the states ----------------------------------------------------------------------------

State = Callable[[Stage], Awaitable[None]]
STATES: dict[str, State] = {}
WITH_BOT = {"bell_code", "bell_linked"}


def state(make: State) -> State:
    STATES[make.__name__] = make
    return make


@state
async def list_empty(on: Stage) -> None:
    await on.goes()


@state
async def list_waiting(on: Stage) -> None:
    for number, name in enumerate(NAMES[:4]):
        case = await on.centre.woman(name, "Ало?", language="tr" if number == 1 else "bg")
        await on.centre.store.rung(await on.centre.case(case), 4 - number, None)
        on.centre.clock.passes(minutes=7 * number + 1)
    await on.goes()


@state
async def list_twelve(on: Stage) -> None:
    centre = on.centre
    cases = []
    for name in NAMES:  # one after another, so that their order in the list is always the same
        cases.append(await on.hers(name, "Здравей."))
        centre.clock.passes(minutes=1)
    for number, case in enumerate(cases):
        centre.clock.passes(minutes=3)
        if number % 3 != 1:
            await centre.desk.looked(on.maria, case.id)
        if number % 4 == 2:
            await centre.store.set_present(case.id, False)
            await centre.desk.reply(on.maria, case.id, "Ще те чакам.", f"held{number}")
    await centre.desk.block(on.maria, cases[5].id, "day")
    await centre.desk.close(on.maria, cases[11].id)
    passed = await centre.woman("кротка вода", "Ало?")
    await centre.desk.claim(on.elena, passed.id)
    await centre.desk.transfer(on.elena, passed.id, on.maria.id)
    for name in ("нова зора", "тънък лед"):
        await centre.woman(name, "Ало?")
        centre.clock.passes(minutes=4)
    await on.opens(cases[3])


@state
async def unclaimed(on: Stage) -> None:
    case = await on.centre.woman(NAMES[0], "Ало?")
    on.centre.clock.passes(minutes=3)
    await on.opens(case)


@state
async def present(on: Stage) -> None:
    await on.opens(await on.talk())


@state
async def absent_and_held(on: Stage) -> None:
    case = await on.talk()
    await on.centre.store.set_present(case.id, False)
    await on.centre.desk.reply(on.maria, case.id, "Ще те чакам тук.", "held")
    await on.opens(case)


@state
async def undecided(on: Stage) -> None:
    case = await on.talk()
    for text, outcome in (("Чуваш ли ме?", MessageState.UNKNOWN), ("Ало?", MessageState.FAILED)):
        message = await on.centre.desk.reply(on.maria, case.id, text, text)
        await on.centre.send_all(outcome)
        if outcome is MessageState.UNKNOWN:
            await on.centre.desk.resend(on.maria, case.id, message.id)
            await on.centre.send_all()
    await on.centre.desk.reply(on.maria, case.id, "Още ли си тук?", "unknown")
    await on.centre.send_all(MessageState.UNKNOWN)
    await on.opens(case)


@state
async def covered_words(on: Stage) -> None:
    case = await on.talk()
    await on.centre.store.add_from_woman(case.id, "С кого си пишеш?", "covered", covered=True)
    await on.opens(case)


@state
async def photo_and_voice(on: Stage) -> None:
    case = await on.hers(NAMES[0], "Мога ли да пратя снимка?")
    await on.sends(case, MediumKind.PHOTO)
    await on.sends(case, MediumKind.VOICE)
    await on.opens(case)


@state
async def photo_open(on: Stage) -> None:
    await photo_and_voice(on)
    await on.page.locator("[data-medium=photo]").click()
    await on.page.locator("#medium img").wait_for()


@state
async def voice_open(on: Stage) -> None:
    await photo_and_voice(on)
    await on.page.locator("[data-medium=voice]").click()
    await on.page.locator("#medium audio").wait_for()


@state
async def photo_gone(on: Stage) -> None:
    await photo_open(on)
    await on.page.locator("#medium button").click()
    await on.page.locator("[data-medium=photo]").wait_for(state="detached")


@state
async def voice_recording(on: Stage) -> None:
    await present(on)
    await on.page.context.grant_permissions(["microphone"])
    await on.page.locator("#record").click()
    await on.page.locator("#voice-stop").wait_for()


@state
async def voice_ready(on: Stage) -> None:
    await voice_recording(on)
    await on.page.locator("#voice-clock", has_not_text="0:00").wait_for()
    await on.page.locator("#voice-stop").click()
    await on.page.locator("#voice-send").wait_for()


@state
async def voice_without_microphone(on: Stage) -> None:
    await present(on)
    await on.page.locator("#record").click()
    await on.page.locator("[data-live=problem]").wait_for()


async def _with_answers(on: Stage) -> None:
    for shortcut, text in ANSWERS:
        await on.centre.store.save_prepared(Prepared("", "bg", shortcut, text))
    await present(on)


@state
async def answers_listed(on: Stage) -> None:
    await _with_answers(on)
    await on.unfolds("prepared-box")


@state
async def answers_found(on: Stage) -> None:
    await _with_answers(on)
    await on.page.locator("#reply").press_sequentially("/")
    await on.page.locator("#found").wait_for()


@state
async def answers_none(on: Stage) -> None:
    await present(on)
    await on.unfolds("prepared-box")


@state
async def writing_a_note(on: Stage) -> None:
    await present(on)
    await on.unfolds("note-box")
    await on.page.locator("#note").fill("Да питаме адвоката за заповедта.")


@state
async def transfer(on: Stage) -> None:
    await present(on)
    await on.unfolds("transfer-box")


@state
async def transferred(on: Stage) -> None:
    await on.goes("/desk?done=transferred")


@state
async def handed_over(on: Stage) -> None:
    case = await on.centre.woman(NAMES[0], "Тук ли си?")
    await on.centre.desk.claim(on.elena, case.id)
    await on.centre.desk.reply(on.elena, case.id, "Тук съм. Ще те поеме Мария.", "k")
    await on.centre.desk.note(on.elena, case.id, "Говори и турски.", "k")
    await on.centre.desk.transfer(on.elena, case.id, on.maria.id)
    await on.centre.send_all()
    await on.opens(case)


@state
async def block(on: Stage) -> None:
    await present(on)
    await on.unfolds("block-box")


@state
async def blocked(on: Stage) -> None:
    case = await on.talk()
    await on.centre.desk.block(on.maria, case.id, "day")
    await on.opens(case)


@state
async def child_in_danger(on: Stage) -> None:
    await present(on)
    await on.unfolds("child-box")


@state
async def close(on: Stage) -> None:
    await present(on)
    await on.unfolds("close-box")


@state
async def written_since(on: Stage) -> None:
    case = await on.talk()
    await on.opens(case)
    await on.unfolds("close-box")
    await on.centre.store.add_from_woman(case.id, "Той идва.", "crossed")
    await on.page.locator(".close-box button.danger").click()
    await on.page.locator("[data-live=problem]").wait_for()
    on.watch.expected(409)


@state
async def unanswered(on: Stage) -> None:
    case = await on.talk()
    await on.centre.desk.looked(on.maria, case.id)
    on.centre.clock.passes(minutes=15)
    await on.centre.store.rung(await on.centre.store.case(case.id), 1, None)
    await on.goes()
    await on.page.locator(".card.mine .count").wait_for()


@state
async def closed(on: Stage) -> None:
    case = await on.talk()
    await on.centre.desk.looked(on.maria, case.id)
    await on.centre.desk.close(on.maria, case.id)
    await on.opens(case)


@state
async def closed_and_gone(on: Stage) -> None:
    case = await on.talk()
    await on.centre.desk.looked(on.maria, case.id)
    await on.centre.desk.close(on.maria, case.id)
    on.centre.clock.passes(hours=49)
    await on.centre.store.purge(on.centre.clock())
    session = await on.centre.accounts.login("maria", PASSWORD, on.centre.code("maria"))
    cookie = {"name": SESSION_COOKIE, "value": session, "url": on.url, "httpOnly": True}
    await on.page.context.add_cookies([cookie])  # type: ignore[list-item]
    await on.opens(case)


@state
async def not_reopened(on: Stage) -> None:
    case = await on.talk()
    await on.centre.desk.looked(on.maria, case.id)
    await on.centre.desk.close(on.maria, case.id)
    await on.opens(case)
    await on.centre.woman(NAMES[0], "Пак съм аз.")
    await on.page.locator(".reopen button").click()
    await on.page.locator("[data-refusal]").wait_for()
    on.watch.expected(409)


@state
async def refused(on: Stage) -> None:
    case = await on.centre.woman(NAMES[0], "Ало?")
    await on.centre.desk.claim(on.elena, case.id)
    await on.opens(case)
    on.watch.expected(403)


@state
async def taken(on: Stage) -> None:
    case = await on.centre.woman(NAMES[0], "Ало?")
    await on.goes()
    form = await on.page.locator(".card.waits form").element_handle()
    await on.centre.desk.claim(on.elena, case.id)
    await form.evaluate("(form) => { document.body.append(form); form.submit(); }")
    await on.page.locator("[data-refusal]").wait_for()
    on.watch.expected(409)


@state
async def too_long(on: Stage) -> None:
    await present(on)
    await on.page.locator("#reply").evaluate(
        "(box) => { box.removeAttribute('maxlength'); box.value = 'дълго '.repeat(600); }"
    )
    await on.page.locator(".reply button.main").click()
    await on.page.locator("[data-live=problem]").wait_for()
    on.watch.expected(422)


@state
async def bell_page(on: Stage) -> None:
    await on.goes("/desk/bell")


@state
async def bell_code(on: Stage) -> None:
    await on.goes("/desk/bell")
    await on.page.locator("[action='/desk/bell/offer'] button").click()
    await on.page.locator("[data-code]").wait_for()


@state
async def bell_linked(on: Stage) -> None:
    code = b"a code"
    until = on.centre.clock() + timedelta(minutes=5)
    await on.centre.store.offer_bell(on.maria.id, code, until)
    await on.centre.store.link_bell(code, "4711")
    await on.goes("/desk/bell")


@state
async def connection_lost(on: Stage) -> None:
    await present(on)
    await on.page.locator("#reply").fill("Започнато, но не изпратено")
    on.watch.plans("ERR_INTERNET_DISCONNECTED")
    await on.page.context.set_offline(True)
    await on.page.locator("#lost").wait_for()


@state
async def stopped(on: Stage) -> None:
    case = await on.talk()
    await on.stop.set(True)
    await on.opens(case)


@state
async def session_ended(on: Stage) -> None:
    await present(on)
    await on.page.locator("#reply").fill("Започнато, но не изпратено")
    on.watch.plans("status of 401")
    on.centre.clock.passes(hours=3)
    on.centre.changes.notify()
    await on.page.locator("#ended").wait_for()


@state
async def keys(on: Stage) -> None:
    await list_waiting(on)
    await on.page.locator("#list h2").first.click()
    await on.page.keyboard.press("?")
    await on.page.locator("#keys").wait_for()


# --- for our own eyes ----------------------------------------------------------------------


async def tour(folder: Path, names: list[str]) -> None:
    """A picture of each state, at each size, by day and by night."""
    folder.mkdir(parents=True, exist_ok=True)
    async with chromium() as browser:
        for name in names or STATES:
            with TemporaryDirectory() as data:
                async with stage(browser, Path(data), bot=name in WITH_BOT) as on:
                    await STATES[name](on)
                    for label, size in [*SIZES.items(), ("keyboard", KEYBOARD)]:
                        if label == "keyboard" and name != "present":
                            continue
                        await on.page.set_viewport_size(size)  # type: ignore[arg-type]
                        for scheme in SCHEMES:
                            await on.page.emulate_media(color_scheme=scheme)
                            path = folder / f"{name}.{label}.{scheme}.png"
                            await on.page.screenshot(path=path)


if __name__ == "__main__":
    asyncio.run(tour(Path(sys.argv[1]), sys.argv[2:]))
