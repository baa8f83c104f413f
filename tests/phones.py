"""Her phone, on each channel: what she sees and what she can do, through the real program."""

from __future__ import annotations

import asyncio
import io
import re
from dataclasses import dataclass, field
from html.parser import HTMLParser
from typing import Protocol

import httpx

from bot.channels.console import RULE, ConsoleChannel
from dialogs import payload
from dialogs.model import HIDE, Position
from tests.standins.viber_woman import Shown, ViberWoman
from tests.standins.woman import Woman

_NUMBER = re.compile(r"^\d\.?\s+")
_TICK = re.compile(r"^[☐☑]\s*")


def bare(label: str) -> str:
    """A button's words without its number and tick."""
    return _TICK.sub("", _NUMBER.sub("", label.strip())).strip()


@dataclass
class Look:
    """What stands on her screen now.

    `lasting`: nothing can be removed from this chat, so what stands above the last cover is
    read already and does not count.
    """

    text: str = ""
    labels: list[str] = field(default_factory=list)
    said: list[str] = field(default_factory=list)
    lasting: bool = False

    @property
    def all(self) -> str:
        return " ".join(" ".join([self.text, *self.labels, *self.said]).split())


class Phone(Protocol):
    """One woman on one channel."""

    async def opens(self, code: str | None = None) -> None: ...
    async def taps(self, label: str) -> None: ...
    async def types(self, text: str) -> None: ...
    async def look(self) -> Look: ...
    async def closes(self) -> None: ...


class MediaPhone(Phone, Protocol):
    """One that can send a photo, and hear a voice."""

    async def sends_photo(self, content: bytes) -> None: ...

    async def hears(self) -> list[bytes]:
        """The voices that stand before her, each as it sounds."""
        ...


class TelegramPhone:
    """A chat in the stand-in."""

    def __init__(self, woman: Woman) -> None:
        self.woman = woman

    async def opens(self, code: str | None = None) -> None:
        self.woman.starts(code)

    async def taps(self, label: str) -> None:
        for shown in reversed(self.woman.bot_messages):
            for row in shown.buttons or []:
                for button in row:
                    if bare(button["text"]) == label:
                        self.woman.taps(button["text"], message=shown)
                        return
        raise AssertionError(f"no button {label!r}")

    async def types(self, text: str) -> None:
        self.woman.types(text)

    async def sends_photo(self, content: bytes) -> None:
        self.woman.sends_photo(content)

    async def sends_voice(self, content: bytes) -> None:
        self.woman.sends_voice(content)

    async def hears(self) -> list[bytes]:
        spoken = (shown for shown in self.woman.bot_messages if shown.voice or shown.audio)
        return [self.woman.hears(shown) for shown in spoken]

    async def look(self) -> Look:
        look = Look()
        for shown in self.woman.bot_messages:
            words = shown.caption or shown.text or ""
            if shown.photo:
                look.text = f"{look.text} {words}"
            else:
                look.said.append(words)
            look.labels += [bare(b["text"]) for row in shown.buttons or [] for b in row]
        return look

    async def closes(self) -> None:
        """The stand-in keeps the chat."""


class ViberPhone:
    """A chat in the stand-in for Viber, which keeps all that was ever sent."""

    def __init__(self, woman: ViberWoman) -> None:
        self.woman = woman

    async def opens(self, code: str | None = None) -> None:
        await self.woman.opens(code)

    async def taps(self, label: str) -> None:
        """Tap, and wait for the answer: what she types next says which screen she had."""
        shown = next((each for each in self.woman.buttons if each and bare(each) == label), None)
        assert shown is not None, f"no button {label!r} among {self.woman.buttons}"
        before = len(self.woman.bot_messages)
        if (told := self.woman.taps(shown)) is not None:
            await told
            await self.woman.sees_messages(before + 1, timeout=30)

    async def types(self, text: str) -> None:
        await self.woman.types(text)

    async def sends_photo(self, content: bytes) -> None:
        await self.woman.sends_photo(content)

    async def hears(self) -> list[bytes]:
        files = [shown for shown in self.woman.bot_messages if shown.type == "file"]
        return [await self.woman.hears(shown) for shown in files]

    async def look(self) -> Look:
        """The newest screen, or all that was said on it one after another, as in a case.

        Nothing above the last cover counts: a cover alone is all that she sees then.
        """
        chat = self.woman.messages
        covers = [at for at, each in enumerate(chat) if _is_cover(each)]
        below = chat[covers[-1] + 1 :] if covers else chat
        answers = [each for each in below if not each.mine]
        labels = [bare(each) for each in self.woman.buttons if each]
        if not answers:
            text = chat[covers[-1]].text if covers else ""
            return Look(text, labels, [each.text for each in below], lasting=True)
        here = _place(answers[-1])
        same = answers[next(n for n in range(len(answers)) if _all_at(here, answers[n:])) :]
        first, *rest = (each.text for each in same)
        return Look(first, labels, rest, lasting=True)

    def times(self, words: str) -> int:
        """How often the line ever sent this into her chat."""
        return sum(words in each.text for each in self.woman.bot_messages)

    async def closes(self) -> None:
        """The stand-in keeps the chat."""


def _is_cover(shown: Shown) -> bool:
    """A screen of the line's with buttons, none of which hides it."""
    led = [payload.unpack(each["ActionBody"]) for each in (shown.keyboard or {}).get("Buttons", [])]
    return bool(led) and not any(to is not None and to.node == HIDE for to in led)


def _place(shown: Shown) -> Position | None:
    return payload.unpack(shown.raw.get("tracking_data", ""))


def _all_at(place: Position | None, answers: list[Shown]) -> bool:
    return all(_place(each) == place for each in answers)


class ConsolePhone:
    """`phen talk`, with its keyboard and its screen in our hands."""

    def __init__(self) -> None:
        self.lines: asyncio.Queue[str | None] = asyncio.Queue()
        self.out = io.StringIO()
        self.channel = ConsoleChannel(self.lines, self.out)

    async def opens(self, code: str | None = None) -> None:
        self.lines.put_nowait(f"/start {code or ''}")

    async def taps(self, label: str) -> None:
        frame = self._frame()
        for line in frame.splitlines():
            if line.startswith("  ") and bare(line) == label:
                self.lines.put_nowait(line.strip().partition(".")[0])
                return
        for key, mark in re.findall(r"\[(.)\] ([^\[\n]+)", frame):
            if mark.strip() == label:
                self.lines.put_nowait(key)
                return
        raise AssertionError(f"no button {label!r} in {frame}")

    async def types(self, text: str) -> None:
        self.lines.put_nowait(text)

    async def look(self) -> Look:
        look = Look()
        for line in self._frame().splitlines():
            if line.startswith("  "):
                look.labels.append(bare(line))
            elif line.startswith("»"):
                look.said.append(line)
            elif line.startswith("["):
                look.labels += [mark.strip() for _, mark in re.findall(r"\[(.)\] ([^\[\n]+)", line)]
            elif look.said:
                look.said[-1] += f" {line}"
            else:
                look.text += f" {line}"
        return look

    async def closes(self) -> None:
        self.lines.put_nowait(None)

    def _frame(self) -> str:
        return self.out.getvalue().rpartition(RULE)[2]


class _Page(HTMLParser):
    """The chat page as she sees it: words, buttons, hidden fields, the log of a case."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.words: list[str] = []
        self.said: list[str] = []
        self.buttons: list[tuple[str, str]] = []
        self.fields: dict[str, str] = {}
        self.voices: list[str] = []
        self.takes_media = False
        self._stack: list[tuple[str, str]] = []
        self._button: str | None = None
        self._label = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {key: value or "" for key, value in attrs}
        if tag == "input" and given.get("type") == "hidden":
            self.fields.setdefault(given["name"], given.get("value", ""))
        if tag == "input" and given.get("name") == "medium":
            self.takes_media = True
        if tag == "source" and given.get("type") == "audio/mpeg":
            self.voices.append(given.get("src", ""))
        if tag == "button" and given.get("name") == "p":
            self._button, self._label = given.get("value", ""), ""
        if tag == "li" and self._within("log"):
            self.said.append("")
        if tag not in ("input", "meta", "link", "br", "img", "path", "source"):
            self._stack.append((tag, given.get("id", "")))

    def handle_endtag(self, tag: str) -> None:
        if tag == "button" and self._button is not None:
            self.buttons.append((bare(self._label), self._button))
            self._button = None
        if any(tag == opened for opened, _ in self._stack):
            while self._stack.pop()[0] != tag:
                pass

    def handle_data(self, data: str) -> None:
        tags = {tag for tag, _ in self._stack}
        if tags & {"script", "style", "title", "head"}:
            return
        if self._button is not None:
            self._label += data
        elif self._within("log"):
            if self.said:
                self.said[-1] += f" {data.strip()}"
        elif self._within("screen") and not self._within("trouble"):
            self.words.append(data.strip())

    def _within(self, name: str) -> bool:
        return any(identity == name for _, identity in self._stack)


class WebPhone:
    """A browser without JavaScript: forms and pages. After *hide* it stands elsewhere."""

    def __init__(self, url: str) -> None:
        self.client = httpx.AsyncClient(base_url=url, headers={"Origin": url}, timeout=40)
        self.page = _Page("")
        self.away = False
        self.voices: list[bytes] = []

    async def follows(self, url: str) -> None:
        """Open an address that a chat gave her."""
        await self._took(await self.client.get(url))

    async def opens(self, code: str | None = None) -> None:
        await self._took(await self.client.get("/", params={"start": code} if code else None))

    async def taps(self, label: str) -> None:
        for words, value in reversed(self.page.buttons):
            if words == label:
                return await self._post({"p": value})
        raise AssertionError(f"no button {label!r} in {self.page.buttons}")

    async def types(self, text: str) -> None:
        await self._post({"text": text})

    async def sends_photo(self, content: bytes) -> None:
        await self._gives(content, "IMG_Мария Иванова.jpg")

    async def sends_voice(self, content: bytes) -> None:
        await self._gives(content, "Мария Иванова.m4a")

    async def hears(self) -> list[bytes]:
        await self.look()
        return self.voices

    async def _gives(self, content: bytes, name: str) -> None:
        assert self.page.takes_media, "her page offers no such thing"
        given = {**self.page.fields, "once": f"{self.page.fields['once']}-m"}
        said = self.page.said
        answer = await self.client.post("/", data=given, files={"medium": (name, content)})
        await self._took(answer)
        self.page.said[:0] = said

    async def look(self) -> Look:
        if self.page.fields.get("at", "").split(":")[1:2] == ["case"] and not self.away:
            await self._post({"p": self.page.fields["at"]})
        if self.away:
            return Look()
        labels = [words for words, _ in self.page.buttons]
        return Look(" ".join(self.page.words), labels, list(self.page.said))

    async def closes(self) -> None:
        await self.client.aclose()

    async def _post(self, more: dict[str, str]) -> None:
        said = self.page.said
        await self._took(await self.client.post("/", data={**self.page.fields, **more}))
        if self.page.fields.get("at", "").split(":")[1:2] == ["case"]:
            self.page.said[:0] = said

    async def _took(self, answer: httpx.Response) -> None:
        self.away = answer.status_code == 303
        assert answer.status_code in (200, 303), answer.status_code
        self.page = _Page("" if self.away else answer.text)
        for voice in self.page.voices:  # the line keeps it for minutes only
            self.voices.append((await self.client.get(voice)).read())
