"""Reads a transcript and plays it: her phone on one side, the desk on the other."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path

from bot.storage.records import StaffMember
from dialogs.model import SOURCE_LANGUAGE, START, Language, SourceText
from tests.line import Line, eventually
from tests.phones import Look, Phone, ViberPhone, WebPhone

HERE = Path(__file__).parent
DOOR = ("За мен", None, "Да, сама съм")
READ_HERE, BEYOND = "Ще чета тук", "Разбрах, продължи"
NEVER, CALL = "Никога", "Да, повикай човек"
_QUOTED = re.compile(r"„([^“]+)“")
_ONLY = "# само: "
_UNLESS_LASTING = "ако чатът не пази всичко, "


@dataclass
class Clock:
    """The program's clock, which a transcript can move."""

    at: datetime

    def __call__(self) -> datetime:
        return self.at


@dataclass
class Play:
    """One transcript on one phone in one language."""

    line: Line
    phone: Phone
    language: Language
    clock: Clock
    consultant: StaffMember
    where: str = ""
    page: WebPhone | None = None
    spoken: set[Language] = field(default_factory=lambda: {SOURCE_LANGUAGE})

    async def run(self, script: Path) -> None:
        try:
            for number, row in enumerate(script.read_text("utf-8").splitlines(), start=1):
                if row.strip() and not row.startswith("#"):
                    self.where = f"{script.name}:{number}: {row}"
                    await self._act(row.strip())
        finally:
            if self.page is not None:
                await self.page.closes()

    async def _act(self, row: str) -> None:
        if row.startswith(_UNLESS_LASTING):
            if (await self.phone.look()).lasting:
                return
            row = row.removeprefix(_UNLESS_LASTING)
        quoted = _QUOTED.search(row)
        words = quoted[1] if quoted else ""
        verb = _QUOTED.sub("…", row)
        actions: dict[str, Callable[[], object]] = {
            "тя отваря линията": lambda: self._open(None),
            "тя отваря линията с …": lambda: self._open(words),
            "тя минава през вратата": self._through_the_door,
            "тя ще чете тук": self._reads_here,
            "тя не иска да звъни": self._wants_no_ring,
            "тя натиска …": lambda: self._tap(words),
            "тя натиска своя език": lambda: self._tap(None),
            "тя пише …": lambda: self.phone.types(words),
            "тя пише тайната дума": lambda: self.phone.types(
                self.line.phen.content.safe_words[self.language][0]
            ),
            "тя вижда …": lambda: self._sees(words),
            "тя не вижда …": lambda: self._sees_not(words),
            "тя отваря страницата": self._opens_the_page,
            "на страницата тя вижда …": lambda: self._page_says(words),
            "на страницата тя натиска …": lambda: self._taps_the_page(words),
            "… е пратено само веднъж": lambda: self._came_once(words),
            "чатът е празен": self._nothing,
            "на екрана е корицата": self._only_the_cover,
            "консултантката поема разговора": self._claims,
            "консултантката затваря разговора": self._closes,
            "консултантката пише …": lambda: self._replies(words),
            "консултантката си записва …": lambda: self._notes(words),
            "на бюрото няма разговори": self._desk_is_empty,
            "консултантката вижда …": lambda: self._desk_sees(words),
            "консултантката не вижда …": lambda: self._desk_sees_not(words),
        }
        if minutes := re.fullmatch(r"минават (\d+) минути", row):
            return await self._pass(int(minutes[1]))
        if verb not in actions:
            raise AssertionError(f"{self.where}: този ред не е познат")
        done = actions[verb]()
        if hasattr(done, "__await__"):
            await done

    # --- she -----------------------------------------------------------------------------------

    async def _open(self, code: str | None) -> None:
        if self.spoken != {SOURCE_LANGUAGE}:
            self.spoken = {SOURCE_LANGUAGE, self.language}  # the cover may remember her language
        await self.phone.opens(code)

    async def _through_the_door(self) -> None:
        for label in DOOR:
            await self._tap(label)
        await self._reads_here()
        await self._tap(BEYOND)

    async def _reads_here(self) -> None:
        """Where a chat keeps everything she is asked where she will read; elsewhere she is not."""
        await self._tap_if_asked(READ_HERE, BEYOND)

    async def _wants_no_ring(self) -> None:
        """Where a phone can ring she is asked whether it may; elsewhere she is not."""
        await self._tap_if_asked(NEVER, CALL)

    async def _tap_if_asked(self, label: str, beyond: str) -> None:
        here, further = self._labels(label), self._labels(beyond)

        async def offered() -> bool:
            return bool((here | further) & set((await self.phone.look()).labels))

        assert await eventually(offered), await self._failure(f"neither {here} nor {further}")
        if here & set((await self.phone.look()).labels):
            await self._tap(label)

    async def _tap(self, label: str | None) -> None:
        wanted = self._labels(label)

        async def there() -> bool:
            return bool(wanted & set((await self.phone.look()).labels))

        assert await eventually(there), await self._failure(f"no button of {wanted}")
        labels = (await self.phone.look()).labels
        await self.phone.taps(next(one for one in labels if one in wanted))
        if label is None:
            self.spoken = {self.language}

    async def _sees(self, words: str) -> None:
        async def there() -> bool:
            return self._stands(words, await self.phone.look())

        assert await eventually(there), await self._failure("not seen")

    async def _sees_not(self, words: str) -> None:
        assert not self._stands(words, await self.phone.look()), await self._failure("seen")

    async def _nothing(self) -> None:
        """Nothing stands there; where nothing can be removed, nothing stands below the cover."""

        async def empty() -> bool:
            look = await self.phone.look()
            return self._is_cover(look) if look.lasting else not look.all

        assert await eventually(empty), await self._failure("something is left")

    async def _only_the_cover(self) -> None:
        async def covered() -> bool:
            return self._is_cover(await self.phone.look())

        assert await eventually(covered), await self._failure("not the cover")

    def _is_cover(self, look: Look) -> bool:
        choices = self.line.phen.content.nodes[START].choices
        doors = [
            [self.line.phen.texts.say(language, choice.label) for choice in choices]
            for language in self.spoken
        ]
        told = self._stands("рецепти и съвети за дома", look) and not look.said
        return told and (not look.lasting or look.labels in doors)

    # --- a chat from which nothing can be removed ------------------------------------------------

    async def _opens_the_page(self) -> None:
        assert isinstance(self.phone, ViberPhone)
        self.page = WebPhone(self.line.url)
        await self.page.follows(self.phone.woman.opened_urls[-1])

    async def _page_says(self, words: str) -> None:
        assert self.page is not None
        look = await self.page.look()
        assert self._stands(words, look), f"{self.where}: not on the page: {look}"

    async def _taps_the_page(self, label: str) -> None:
        assert self.page is not None
        labels = (await self.page.look()).labels
        await self.page.taps(next(one for one in labels if one in self._labels(label)))

    def _came_once(self, words: str) -> None:
        assert isinstance(self.phone, ViberPhone)
        assert self.phone.times(words) == 1, f"{self.where}: {self.phone.times(words)}"

    # --- the desk --------------------------------------------------------------------------------

    async def _claims(self) -> None:
        async def waiting() -> bool:
            return bool(await self.line.phen.desk.waiting(self.consultant))

        assert await eventually(waiting), await self._failure("nobody waits")
        [case] = await self.line.phen.desk.waiting(self.consultant)
        assert await self.line.phen.desk.claim(self.consultant, case.id)

    async def _case(self) -> str:
        return (await self.line.phen.desk.mine(self.consultant))[0].id

    async def _closes(self) -> None:
        case = await self._case()
        await self.line.phen.desk.looked(self.consultant, case)
        await self.line.phen.desk.close(self.consultant, case)

    async def _replies(self, words: str) -> None:
        await self.line.phen.desk.reply(self.consultant, await self._case(), words, self.where)

    async def _notes(self, words: str) -> None:
        await self.line.phen.desk.note(self.consultant, await self._case(), words, self.where)

    async def _desk_has(self, words: str) -> bool:
        view = await self.line.phen.desk.open(self.consultant, await self._case())
        return any(words in message.text for message in view.messages)

    async def _desk_sees(self, words: str) -> None:
        assert await eventually(lambda: self._desk_has(words)), await self._failure("not there")

    async def _desk_sees_not(self, words: str) -> None:
        assert not await self._desk_has(words), await self._failure("there")

    async def _desk_is_empty(self) -> None:
        async def empty() -> bool:
            desk = self.line.phen.desk
            return not await desk.mine(self.consultant) + await desk.waiting(self.consultant)

        assert await eventually(empty), await self._failure("a case is left")

    async def _pass(self, minutes: int) -> None:
        self.clock.at += timedelta(minutes=minutes)
        await self.line.phen.handover.tick()

    # --- words in her language --------------------------------------------------------------------

    def _say(self, text_ids: list[str]) -> set[str]:
        say = self.line.phen.texts.say
        return {_flat(say(language, text)) for text in text_ids for language in self.spoken}

    def _labels(self, label: str | None) -> set[str]:
        """A button's words in the language that her screen speaks now."""
        if label is None:
            return {self.line.phen.texts.say(self.language, "language.name")}
        same = [t.id for t in self._texts() if t.text.strip() == label]
        signs = [each.replace("mark.", "mark_sign.") for each in same]
        same += [sign for sign in signs if sign in self.line.phen.texts]
        return self._say(same) or {label}

    def _stands(self, words: str, look: Look) -> bool:
        """Content words stand in her language; other words (a place, an answer) as they are."""
        found = [t.id for t in self._texts() if words in _flat(t.text)]
        seen = _flat(look.all)
        return any(said in seen for said in self._say(found)) if found else words in seen

    def _texts(self) -> list[SourceText]:
        texts = self.line.phen.content.texts.values()
        return [t for t in texts if not t.id.startswith(("desk.", "staff.", "login.", "page."))]

    async def _failure(self, why: str) -> str:
        return f"{self.where}: {why}; her screen: {await self.phone.look()}"


def scripts(channels: Sequence[str]) -> list[tuple[Path, str]]:
    """Every transcript with each channel that it is for: all, or those its first line names."""
    found: list[tuple[Path, str]] = []
    for path in sorted(HERE.glob("*.txt")):
        first = path.read_text("utf-8").partition("\n")[0]
        only = first.removeprefix(_ONLY).split(", ") if first.startswith(_ONLY) else channels
        assert set(only) <= set(channels), f"{path.name}: {first}"
        found += [(path, channel) for channel in only]
    return found


def _flat(text: str) -> str:
    return " ".join(text.split())
