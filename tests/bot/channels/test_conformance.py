"""One suite for every channel: what the shell may rely on, whatever the platform.

A harness per channel shows what stands on her screen and lets her act, through what she would
really have: the terminal's streams, HTTP to the web page, HTTP to stand-ins of Telegram and Viber.

Where a channel cannot edit or remove, its limits say so, and the suite asks for what remains:
each screen stands below the one before, and only the last keyboard can be tapped.
"""

from __future__ import annotations

import asyncio
import io
import json
import logging
import re
import traceback
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any, Protocol

import aiohttp
import pytest

from bot import media
from bot.channels.base import (
    MAX_MEDIUM,
    Channel,
    Gone,
    Incoming,
    Outgoing,
    OutgoingButton,
    Refused,
    SendError,
    Throttled,
    Unknown,
)
from bot.channels.console import ADDRESS, RULE, ConsoleChannel
from dialogs import payload
from dialogs.model import MediaKind, Position, Sent, Started, Tapped, Typed
from tests import sounds
from tests.bot.channels.telegram_line import (
    MARKS,
    Clock,
    MediaIds,
    RecordingIntake,
    draw,
    eventually,
    new_channel,
    said,
    screen,
)  # fmt: skip
from tests.bot.channels.viber_line import on_phone, viber_line
from tests.bot.web.fakes import NOW, World, served
from tests.standins import viber
from tests.standins.telegram import TOKEN, ApiError, Fault, TelegramStandIn

LONGEST = Position(
    "bg", "a" * 24, (("a", "12345678"), ("b", "12345678"), ("c", "1234"), ("d", "12345"))
)
STRANGE = [
    "<b>не</b> <script>alert(1)</script> &amp;",
    "*не* _не_ [виж](tg://user?id=777000111) `x`",
    '<a href="https://phish.example/">натисни</a> https://phish.example/',
    "🙂👩‍👧 сърце ❤️",
    "\u202eобратно\u202c \u200bнула\u200d ширина \u2066x\u2069",
]
IDS = ["markup", "markdown", "links", "emoji", "directions"]


class Harness(Protocol):
    """One channel with one woman before it."""

    channel: Channel
    intake: RecordingIntake
    address: str
    acknowledges: bool  # the platform asks again for what was not settled
    media: bool

    async def screen(self) -> list[str]:
        """All messages that stand before her, the window first."""
        ...

    async def labels(self) -> list[str]: ...

    async def taps(self, label: str, times: int = 1) -> None: ...

    async def types(self, text: str) -> None: ...

    async def opens(self, code: str) -> None: ...

    async def hears(self) -> list[bytes]:
        """The voices that stand before her, each as it sounds."""
        ...


class Console:
    """The terminal's two streams."""

    acknowledges = media = False
    address = ADDRESS

    def __init__(self) -> None:
        self.intake = RecordingIntake()
        self.lines: asyncio.Queue[str | None] = asyncio.Queue()
        self.out = io.StringIO()
        self.channel = ConsoleChannel(self.lines, self.out)

    @asynccontextmanager
    async def open(self, _: Path) -> AsyncIterator[Console]:
        running = asyncio.create_task(self.channel.run(self.intake))
        await self.intake.receives(1)
        self.intake.got.clear()
        yield self
        self.lines.put_nowait(None)
        await running
        await self.channel.close()

    async def screen(self) -> list[str]:
        frame = self.out.getvalue().rpartition(f"{RULE}\n")[2]
        text, *rest = re.split(r"(?m)^» +", frame)
        window = re.sub(r"(?m)\n+(^  .*\n)*^\[?.*\]? ?.*$\n?\Z", "", text) if "[" in text else text
        return [*([window.strip("\n")] if window.strip() else []), *(s.rstrip("\n") for s in rest)]

    async def labels(self) -> list[str]:
        frame = self.out.getvalue().rpartition(f"{RULE}\n")[2]
        marks = [mark.strip() for mark in re.findall(r"\[.\] ([^\[\n]+)", frame)]
        return [line.strip() for line in frame.splitlines() if line.startswith("  ")] + marks

    async def taps(self, label: str, times: int = 1) -> None:
        labels = await self.labels()
        number = str(labels.index(label) + 1)
        for _ in range(times):
            self.lines.put_nowait(f"{number}\n")

    async def types(self, text: str) -> None:
        self.lines.put_nowait(f"{text}\n")

    async def opens(self, code: str) -> None:
        await self.types(f"/start {code}")

    async def hears(self) -> list[bytes]:
        return []


class Telegram:
    """A chat in the stand-in of the Bot API."""

    acknowledges = media = True

    def __init__(self) -> None:
        self.intake = RecordingIntake()
        self.server = TelegramStandIn(now=Clock())

    @asynccontextmanager
    async def open(self, folder: Path) -> AsyncIterator[Telegram]:
        draw(folder, "cover", "order")
        await self.server.start()
        self.channel = new_channel(self.server, folder, MediaIds(), Clock())
        self.woman = self.server.woman()
        self.address = str(self.woman.id)
        running = asyncio.create_task(self.channel.run(self.intake))
        await eventually(
            lambda: (p := self.server.called("getUpdates")) and p[-1].params["timeout"] > 0
        )
        yield self
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        await self.channel.close()
        await self.server.stop()

    async def screen(self) -> list[str]:
        standing = self.woman.bot_messages
        return [s.words for s in sorted(standing, key=lambda shown: not shown.photo)]

    async def labels(self) -> list[str]:
        return self.woman.buttons

    async def taps(self, label: str, times: int = 1) -> None:
        number = self.woman.taps(label)
        update = next(u for u in self.server.updates if u["update_id"] == number)
        for _ in range(times - 1):
            self.server.push_raw(update)

    async def types(self, text: str) -> None:
        self.woman.types(text)

    async def opens(self, code: str) -> None:
        self.woman.starts(code)

    async def hears(self) -> list[bytes]:
        return [self.woman.hears(shown) for shown in self.woman.bot_messages if shown.voice]


class WebLine(RecordingIntake):
    """What her page asks of the line beside the protocol."""

    async def has_case(self, channel: str, address: str) -> bool:
        return True

    async def unread(self, channel: str, address: str) -> list[Outgoing]:
        return []

    async def settled(self, channel: str, address: str) -> None:
        """Nothing is under way."""

    def here(self, channel: str, address: str) -> None:
        """She is."""

    def stays(self, channel: str, address: str) -> None:
        """She does."""

    def covered(self, channel: str, address: str) -> None:
        """She is not."""


class Screen(HTMLParser):
    """The inside of the page: its text, and what its buttons say and carry."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.paragraphs: list[str] = []
        self.buttons: dict[str, str] = {}
        self._tag = self._value = self._label = ""
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        if tag == "h1" or given.get("class") == "said":
            self._tag = tag
            self.paragraphs.append("")
        if tag == "button" and given.get("class", "") in ("choice",):
            self._tag, self._value, self._label = tag, str(given["value"]), ""

    def handle_endtag(self, tag: str) -> None:
        if tag == "b" and self._tag == "button":
            self._label += ". "
        if tag == self._tag:
            if tag == "button":
                self.buttons[self._label.strip()] = self._value
            self._tag = ""

    def handle_data(self, data: str) -> None:
        if self._tag == "button":
            self._label += data.strip()
        elif self._tag:
            self.paragraphs[-1] += data.strip("\n")


class Web:
    """Her page in a case: forms go up, and a stream comes down, over HTTP."""

    acknowledges = media = False
    address = "k" * 22

    def __init__(self) -> None:
        self.intake = WebLine()
        self.world = World()
        self.world.parts = replace(self.world.parts, intake=self.intake)
        self.channel = self.world.channel
        self.window: Screen | None = None
        self.messages: dict[int, str] = {}
        self.voices: dict[int, list[dict[str, str]]] = {}
        self.fences: set[str] = set()

    @asynccontextmanager
    async def open(self, _: Path) -> AsyncIterator[Web]:
        cookies = {"k": self.address}
        async with served(self.world) as self.url, aiohttp.ClientSession(cookies=cookies) as page:
            self.page = page
            async with page.get(f"{self.url}live") as stream:
                await stream.content.readline()
                reading = asyncio.create_task(self._read(stream.content))
                yield self
                reading.cancel()
                await asyncio.gather(reading, return_exceptions=True)
            await self.channel.close()

    async def _read(self, stream: aiohttp.StreamReader) -> None:
        kind = ""
        async for raw in stream:
            line = raw.decode().rstrip("\n")
            if line.startswith("event: "):
                kind = line.removeprefix("event: ")
            elif line.startswith("data: "):
                await self._takes(kind, json.loads(line.removeprefix("data: ")))
                kind = ""

    async def _takes(self, kind: str, data: dict[str, Any]) -> None:
        match kind:
            case "window":
                self.window = Screen(data["html"])
            case "cover":
                self.window = None
            case "wipe":
                self.fences.update(n for n in data["n"] if n.startswith("fence"))
                self.window = None if data["all"] else self.window
                self.messages = {
                    n: text for n, text in self.messages.items() if str(n) not in data["n"]
                }
            case "correct":
                if data["n"] in self.messages:
                    self.messages[data["n"]] = f"{data['author']} {data['text']}".strip()
                await self.page.post(f"{self.url}seen", data={"n": str(data["n"])})
            case _:
                self.messages[data["n"]] = f"{data['author']} {data['text']}".strip()
                self.voices[data["n"]] = data["voice"]
                await self.page.post(f"{self.url}seen", data={"n": str(data["n"])})

    async def _up_to_date(self) -> None:
        """What went down the stream before now is on the page."""
        fence = f"fence {len(self.fences)}"
        await self.channel.remove(self.address, [fence])
        await eventually(lambda: fence in self.fences)

    async def screen(self) -> list[str]:
        await self._up_to_date()
        window = ["\n\n".join(self.window.paragraphs)] if self.window else []
        return [*window, *self.messages.values()]

    async def labels(self) -> list[str]:
        await self._up_to_date()
        return list(self.window.buttons) if self.window else []

    async def taps(self, label: str, times: int = 1) -> None:
        await self.labels()
        assert self.window is not None
        for _ in range(times):
            await self._post(p=self.window.buttons[label], once="one-and-the-same")

    async def types(self, text: str) -> None:
        await self._post(text=text, at=payload.pack(Position("bg", "home"), self.world.clock()))

    async def opens(self, code: str) -> None:
        async with self.page.get(f"{self.url}?start={code}") as answer:
            await answer.read()

    async def hears(self) -> list[bytes]:
        await self._up_to_date()
        return [await self._plays(self.voices[n]) for n in self.messages if self.voices[n]]

    async def _plays(self, sources: list[dict[str, str]]) -> bytes:
        """As a browser that plays the first of them."""
        async with self.page.get(f"{self.url.rstrip('/')}{sources[0]['src']}") as answer:
            assert answer.status == 200
            assert answer.headers["Cache-Control"] == "no-store"
            return await answer.read()

    async def _post(self, **form: str) -> None:
        headers = {"X-Requested-With": "fetch"}
        async with self.page.post(self.url, data=form, headers=headers) as answer:
            await answer.read()


class Viber:
    """A chat in the stand-in of Viber, whose callbacks come to our webhook over HTTP."""

    acknowledges = media = True

    @asynccontextmanager
    async def open(self, folder: Path) -> AsyncIterator[Viber]:
        async with viber_line(folder) as line:
            self.server, self.channel, self.intake = line.server, line.channel, line.intake
            self.woman = self.server.woman(subscribed=True)
            self.address = self.woman.id
            yield self
        assert self.server.refusals == []

    async def screen(self) -> list[str]:
        return [on_phone(shown.text) for shown in self.woman.bot_messages]

    async def labels(self) -> list[str]:
        return [label for label in self.woman.buttons if label]

    async def taps(self, label: str, times: int = 1) -> None:
        callback = self.woman.taps(label)
        assert callback is not None
        for _ in range(times - 1):
            raw = json.dumps((await callback).event).encode()
            await self.server.post(raw, self.server.sign(raw))

    async def types(self, text: str) -> None:
        self.woman.types(text)

    async def opens(self, code: str) -> None:
        self.woman.opens(code)

    async def hears(self) -> list[bytes]:
        files = [shown for shown in self.woman.bot_messages if shown.type == "file"]
        return [await self.woman.hears(shown) for shown in files]


CHANNELS: dict[str, Callable[[], Any]] = {
    "console": Console,
    "telegram": Telegram,
    "viber": Viber,
    "web": Web,
}


@pytest.fixture(params=CHANNELS)
async def her(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Harness]:
    async with CHANNELS[request.param]().open(tmp_path) as harness:
        yield harness


# --- what she sees -------------------------------------------------------------------------


async def show(her: Harness, message: Outgoing, window: str | None = None) -> str:
    return await her.channel.show(her.address, message, window)


async def test_a_window_is_edited_in_place_or_stands_below_and_the_last_one_is_tapped(
    her: Harness,
) -> None:
    handle: str | None = None
    shown: list[str] = []
    for text in ("Едно", "Две", "Три"):
        button = OutgoingButton(f"Към {text}", "bg:order")
        handle = await show(her, screen(text, choices=(button,)), handle)
        shown = [text] if her.channel.limits.edit else [*shown, text]
        assert await her.screen() == shown
        tapped = [label for label in await her.labels() if label.startswith("Към")]
        assert tapped == [button.label]


async def test_the_same_window_twice_is_no_error(her: Harness) -> None:
    handle = await show(her, screen("Едно"))
    again = await show(her, screen("Едно"), handle)
    assert (again == handle) is her.channel.limits.edit
    assert await her.screen() == ["Едно"] * (1 if her.channel.limits.edit else 2)


async def test_a_window_that_is_gone_is_replaced_by_one(her: Harness) -> None:
    handle = await show(her, screen("Едно"))
    await her.channel.remove(her.address, [handle])
    stays = ["Едно"] if her.channel.limits.lasting else []
    assert await her.screen() == stays
    await show(her, screen("Две"), handle)
    assert await her.screen() == [*stays, "Две"]


async def test_the_cover_takes_content_and_marks_away(her: Harness) -> None:
    """As far as it can: content stays above it in a lasting chat, but nothing to tap."""
    limits = her.channel.limits
    handle = await show(her, screen("Защита"))
    await show(her, Outgoing("Рецепта", "bg", cover=True), handle)
    own = [] if not limits.keeps_window else ["Рецепта"]  # or her page's own cover
    assert await her.screen() == [*(["Защита"] if limits.lasting else []), *own]
    assert await her.labels() == []


async def test_a_reminder_comes_where_it_can_ring_and_nowhere_else(her: Harness) -> None:
    limits = her.channel.limits
    reminder = Outgoing("Новата рецепта е готова.", "bg", cover=True, silent=False)
    [became] = await her.channel.notify([her.address], reminder)
    assert isinstance(became, str if limits.rings else Refused)
    assert await her.screen() == ([reminder.text] if limits.rings else [])
    with pytest.raises(ValueError, match="together"):
        await her.channel.notify([her.address] * (limits.together + 1), reminder)


async def test_a_message_of_her_case_stands_below_with_its_author(her: Harness) -> None:
    await show(her, screen("Случай"))
    await show(her, said("Тук съм.", number=1, author="Консултант"))
    window, message = await her.screen()
    assert window == "Случай"
    first = her.channel.limits.silent
    told = r"Консултант:?\s+Тук съм\." if first else r"Тук съм\.\s+— Консултант"
    assert re.fullmatch(told, message)


async def test_a_voice_arrives_as_the_channel_can_play_it_and_goes_with_its_message(
    her: Harness,
) -> None:
    """The terminal says so in words; where nothing can be removed, the chat keeps it."""
    await show(her, screen("Случай"))
    ogg = await media.voice(sounds.voice())
    spoken = said("Гласово съобщение.", number=1, author="Консултант", voice=ogg)
    handle = await show(her, spoken)
    heard = await her.hears()
    if isinstance(her, Console):
        assert heard == []
        assert (await her.screen())[1] == "Консултант Гласово съобщение."
    else:
        assert [sounds.stream(each) for each in heard] == [
            "mp3,48000,1" if her.channel.limits.lasting else "opus,48000,1"
        ]
        assert 0.9 < sounds.seconds(heard[0]) < 1.2
    await her.channel.remove(her.address, [handle])
    assert await her.hears() == (heard if her.channel.limits.lasting else [])
    assert len(await her.screen()) == (2 if her.channel.limits.lasting else 1)


async def test_a_voice_carries_the_buttons_of_a_message(her: Harness) -> None:
    button = OutgoingButton("Приключи", "bg:case_end")
    ogg = await media.voice(sounds.voice())
    await show(her, screen("Случай", choices=()))
    await show(her, said("Гласово съобщение.", number=1, choices=(button,), voice=ogg))
    standing = [*await her.labels(), *labels_below(her)]
    assert ("Приключи" in standing) is isinstance(her, Telegram | Viber)


def labels_below(her: Harness) -> list[str]:
    """What can be tapped under the newest message, where messages carry buttons."""
    newest = her.woman.bot_messages[-1] if isinstance(her, Telegram) else None
    return [button["text"] for row in newest.buttons for button in row] if newest else []


async def test_what_is_removed_is_gone_and_twice_is_no_error(her: Harness) -> None:
    handles = [await show(her, screen("Случай")), await show(her, said("Тук съм.", number=1))]
    for _ in range(2):
        await her.channel.remove(her.address, handles)
        assert await her.screen() == (["Случай", "Тук съм."] if her.channel.limits.lasting else [])
    await her.channel.remove(her.address, [])


async def test_a_message_of_her_case_says_the_new_words_where_it_stands(her: Harness) -> None:
    await show(her, screen("Случай"))
    handle = await show(her, said("Утре в 9.", number=1, author="Консултант"))
    await show(her, said("Тук съм.", number=2))
    mended = said("Утре в 10.", number=1, author="Консултант")
    if her.channel.limits.lasting:
        with pytest.raises(Refused):
            await her.channel.correct(her.address, handle, mended)
        return
    for _ in range(2):  # the second time it says so already
        await her.channel.correct(her.address, handle, mended)
        _, first, second = await her.screen()
        assert re.fullmatch(r"Консултант:?\s+Утре в 10\.", first)
        assert second == "Тук съм."


async def test_what_stands_there_no_more_is_not_brought_back_by_a_correction(her: Harness) -> None:
    await show(her, screen("Случай"))
    handle = await show(her, said("Утре в 9.", number=1))
    await her.channel.remove(her.address, [handle])
    mended = said("Утре в 10.", number=1)
    if her.channel.limits.lasting:  # nothing went there, and nothing can be mended
        with pytest.raises(Refused):
            await her.channel.correct(her.address, handle, mended)
        assert await her.screen() == ["Случай", "Утре в 9."]
    else:
        await her.channel.correct(her.address, handle, mended)
        assert await her.screen() == ["Случай"]


async def test_a_sweep_is_no_error_and_leaves_what_is_known_removable(her: Harness) -> None:
    handle = await show(her, screen("Случай"))
    await her.channel.sweep(her.address, handle)
    await her.channel.remove(her.address, [handle])
    assert await her.screen() == (["Случай"] if her.channel.limits.lasting else [])


# --- limits --------------------------------------------------------------------------------


async def test_the_longest_window_and_the_longest_message_are_taken(her: Harness) -> None:
    limits = her.channel.limits
    await show(her, screen("а" * limits.window))
    await show(her, said("б" * limits.text, number=1))
    window, message = await her.screen()
    assert window == "а" * limits.window
    assert message.endswith("б" * limits.text)


async def test_the_most_buttons_with_the_longest_labels_and_payloads_are_taken(
    her: Harness,
) -> None:
    limits = her.channel.limits
    data = payload.pack(LONGEST)
    assert len(data.encode()) == limits.payload
    buttons = tuple(
        OutgoingButton(f"{n:03}".ljust(limits.label, "ж"), data) for n in range(limits.buttons)
    )
    await show(her, screen("Много", choices=buttons, marks=()))
    assert await her.labels() == [button.label for button in buttons]


async def test_the_longest_window_with_the_most_buttons_and_the_marks_is_taken(
    her: Harness,
) -> None:
    limits = her.channel.limits
    data = payload.pack(LONGEST)
    labels = (f"{n:03}".ljust(limits.label, "ж") for n in range(limits.buttons))
    buttons = tuple(OutgoingButton(label, data) for label in labels)
    marks = tuple(OutgoingButton("М" * 20, data) for _ in MARKS)
    await show(her, screen("а" * limits.window, choices=buttons, marks=marks))
    assert await her.screen() == ["а" * limits.window]
    assert (await her.labels())[: len(buttons)] == [button.label for button in buttons]


@pytest.mark.parametrize("text", STRANGE, ids=IDS)
async def test_a_text_is_shown_letter_for_letter(her: Harness, text: str) -> None:
    await show(her, screen(text))
    await show(her, said(text, number=1))
    window, message = await her.screen()
    assert window == text
    assert message == text


# --- what she does -------------------------------------------------------------------------


async def test_a_tap_brings_back_the_position_that_was_packed(her: Harness) -> None:
    place = Position("tr", "order_when", (("b", "3"), ("m", "rse27")))
    made = None if her.channel.limits.knows_edit_time else NOW
    button = OutgoingButton("1. Кога?", payload.pack(place, made))
    handle = await show(her, screen("Едно", choices=(button,)))
    await her.taps("1. Кога?")
    got, *_ = await her.intake.receives(1)  # a page may ask again
    assert got.event == Tapped(place, fresh=True)
    assert (got.channel, got.address) == (her.channel.name, her.address)
    told = her.channel.limits.edit and her.channel.limits.keeps_window  # else there is no need to
    assert got.window == (handle if told else None)


@pytest.mark.parametrize("text", [*STRANGE, "/close 7", "0", "7"], ids=[*IDS, "command", "0", "7"])
async def test_what_she_types_arrives_letter_for_letter(her: Harness, text: str) -> None:
    await her.types(text)
    got, *_ = await her.intake.receives(1)  # a page may ask again
    assert got.event == Typed(text)


async def test_opening_the_line_is_told_with_its_code(her: Harness) -> None:
    await her.opens("k3f9x")
    got, *_ = await her.intake.receives(1)  # a page may ask again
    assert got.event == Started("k3f9x")


async def test_two_deliveries_have_two_keys(her: Harness) -> None:
    await her.types("едно")
    await her.types("две")
    got = await her.intake.receives(2)
    assert [each.event for each in got] == [Typed("едно"), Typed("две")]
    assert len({each.key for each in got}) == 2


async def test_a_message_that_could_not_be_kept_ends_nothing(her: Harness) -> None:
    def fails_once(_: Incoming, kept: asyncio.Future[None]) -> None:
        kept.set_exception(OSError())
        her.intake.keep = lambda _, kept: kept.set_result(None)

    her.intake.keep = fails_once
    await her.types("едно")
    await her.intake.receives(2 if her.acknowledges else 1)
    await her.types("две")
    await eventually(lambda: her.intake.got[-1].event == Typed("две"))
    if her.acknowledges:  # and what was not kept came again, as the same delivery
        assert [each.event for each in her.intake.got[:2]] == [Typed("едно")] * 2
        assert len({each.key for each in her.intake.got[:2]}) == 1


async def test_nothing_of_it_stands_in_any_log(
    her: Harness, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    await show(her, screen("Тайна защита"))
    await show(her, said("Тайна дума", number=1))
    await her.types("тайна молба")
    await her.intake.receives(1)
    address = her.address.lower() if her.media else "\0"
    for trace in ("тайна", TOKEN, viber.TOKEN, address):
        assert trace not in caplog.text.lower()


async def test_after_closing_no_connection_is_open(tmp_path: Path) -> None:
    async with Telegram().open(tmp_path) as her:
        await show(her, screen("Едно"))
    sessions = [request._http._session for request in her.channel._requests]
    assert all(session is None or session.closed for session in sessions)
    with pytest.raises(SendError):
        await show(her, screen("Две"))


def refused(code: int, why: str, **more: Any) -> Fault:
    return Fault("refuse", "sendMessage", error=ApiError(code, why, **more))


# --- where the platform has it -------------------------------------------------------------


@pytest.mark.parametrize(
    ("channel", "kind", "event"),
    [
        (Telegram, "photo", MediaKind.PHOTO),
        (Telegram, "voice", MediaKind.VOICE),
        (Telegram, "contact", MediaKind.CONTACT),
        (Viber, "picture", MediaKind.PHOTO),
        (Viber, "contact", MediaKind.CONTACT),
        (Viber, "location", MediaKind.LOCATION),
    ],
)
async def test_a_medium_arrives_as_its_kind_alone(
    channel: Any, kind: str, event: MediaKind, tmp_path: Path
) -> None:
    async with channel().open(tmp_path) as her:
        her.woman.sends(kind, caption="това съм аз")
        [got] = await her.intake.receives(1)
        assert got.event == Sent(event)
        assert "това съм аз" not in repr(got)
        assert (got.fetch is not None) is (event in (MediaKind.PHOTO, MediaKind.VOICE))


@pytest.mark.parametrize("channel", [Telegram, Viber])
async def test_a_photo_is_brought_when_it_is_wanted_and_not_before(
    channel: Any, tmp_path: Path
) -> None:
    async with channel().open(tmp_path) as her:
        raw = sounds.photo()
        her.woman.sends_photo(raw)
        [got] = await her.intake.receives(1)
        assert her.server.downloads == []
        assert got.fetch is not None
        assert await got.fetch() == raw
        assert len(her.server.downloads) == 1


@pytest.mark.parametrize("channel", [Telegram, Viber])
@pytest.mark.parametrize(
    ("kind", "verdict"), [("html", Refused), ("drop_before", Unknown)], ids=["gone", "lost"]
)
async def test_a_photo_that_cannot_be_brought_is_a_verdict_without_its_address(
    channel: Any, kind: str, verdict: type[SendError], tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:  # fmt: skip
    caplog.set_level(logging.DEBUG)
    fault = Fault if channel is Telegram else viber.Fault
    async with channel().open(tmp_path) as her:
        her.woman.sends_photo(sounds.photo())
        [got] = await her.intake.receives(1)
        again = fault(kind, "download", status=404)
        her.server.fail(again, again)  # a file is asked for twice where a connection breaks
        with pytest.raises(verdict) as refusal:
            await got.fetch()
        told = "".join(traceback.format_exception(refusal.value)) + caplog.text + repr(got)
        for trace in (TOKEN, viber.TOKEN, her.server.api):
            assert trace not in told


@pytest.mark.parametrize("channel", [Telegram, Viber])
async def test_what_is_too_large_is_not_read_to_its_end(channel: Any, tmp_path: Path) -> None:
    async with channel().open(tmp_path) as her:
        her.woman.sends_photo(sounds.photo() + bytes(MAX_MEDIUM))
        [got] = await her.intake.receives(1)
        with pytest.raises(Refused):
            await got.fetch()


@pytest.mark.parametrize("channel", [Telegram, Viber, Web])
async def test_the_same_delivery_twice_has_the_same_key(channel: Any, tmp_path: Path) -> None:
    async with channel().open(tmp_path) as her:
        her.intake.keep = lambda _, kept: kept.set_exception(OSError())
        await show(her, screen("Едно"))
        await her.taps("Кога?", times=2)
        got = await her.intake.receives(2)
        assert got[0].key == got[1].key


@pytest.mark.parametrize(
    ("channel", "fault", "verdict"),
    [
        (Telegram, refused(403, "Forbidden: bot was blocked by the user"), Gone),
        (Telegram, refused(429, "Too Many Requests", retry_after=7), Throttled),
        (Telegram, refused(400, "Bad Request: BUTTON_DATA_INVALID"), Refused),
        (Telegram, Fault("drop_after", "sendMessage"), Unknown),
        (Telegram, Fault("html", "sendMessage"), Unknown),
        (Viber, viber.Fault("refuse", code=6), Gone),
        (Viber, viber.Fault("refuse", code=12), Throttled),
        (Viber, viber.Fault("html", status=429, retry_after=7), Throttled),
        (Viber, viber.Fault("refuse", code=3), Refused),
        (Viber, viber.Fault("drop_after"), Unknown),
        (Viber, viber.Fault("html"), Unknown),
    ],
    ids=[
        *("blocked", "too many", "our fault", "answer lost", "not the platform"),
        *("left", "unanswered", "too fast", "bad data", "lost", "not viber"),
    ],
)
async def test_a_platforms_answer_becomes_a_verdict(
    channel: Any, fault: Any, verdict: type[SendError], tmp_path: Path
) -> None:
    async with channel().open(tmp_path) as her:
        her.server.fail(fault)
        with pytest.raises(verdict):
            await show(her, said("Тук съм.", number=1))
