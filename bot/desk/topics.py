"""What a case's topic in the desk's group says: worked out anew from the case each time.

Before the claim it tells nothing of her.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial

from bot.desk.service import UNSETTLED, Desk
from bot.desk.telegram import Button
from bot.desk.words import Words, neutral, standing
from bot.storage.records import Author, Case, CaseMessage, CaseState, MediumKind, TopicLine
from bot.storage.store import Store
from bot.texts import ZONE, Texts
from dialogs.model import SOURCE_LANGUAGE

MOST = 2000
"""Characters of one message there: even if each counts twice, Telegram takes it."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """One message that is to stand in a topic, under the name by which it is found again."""

    entry: str
    text: str = field(repr=False)
    buttons: tuple[Button, ...] = ()
    silent: bool = False
    part: int = 0
    answers: int | None = None


class TopicTexts:
    """The words of the topics, and the buttons below them."""

    def __init__(self, desk: Desk, store: Store, texts: Texts, now: Callable[[], datetime]) -> None:
        self._desk = desk
        self._store = store
        self._say = partial(texts.say, SOURCE_LANGUAGE)
        self._words = Words(texts, desk, now)

    async def all_of(self, case: Case, there: Mapping[tuple[str, int], TopicLine]) -> list[Wanted]:
        """All that is to stand in the topic, in its order. Before the claim, nothing of hers."""
        opened = f"{case.opened_at.astimezone(ZONE):%d.%m. %H:%M}"
        language, channel = self._words.language(case), self._words.channel(case)
        head = self._say("bell.case", since=opened, speaks=language, by=channel)
        if case.state is CaseState.WAITING:
            return [Wanted("case", head, (self.button("claim"),))]
        topic, place = self._words.topic(case), self._words.place(case)
        about = self._say("bell.about", topic=topic, place=place)
        found = [
            Wanted("case", head, silent=True),
            Wanted("about", about, silent=True),
            await self._owner(case),
        ]
        for message in await self._store.messages(case.id):
            said = there.get((f"m:{message.id}", 0))
            wanted = await self._message(case, message, said.answers if said else None)
            found += _in_parts(wanted)
        return found

    async def _owner(self, case: Case) -> Wanted:
        """Who has it, with the buttons; a new line for each who gets it."""
        since = int(case.claimed_at.timestamp()) if case.claimed_at else 0
        text = self._say("bell.owner", name=await self._name_of(case.claimed_by))
        return Wanted(f"owner:{since}:{case.claimed_by}", text, self.controls())

    def controls(self) -> tuple[Button, ...]:
        """What the owner of a case can do with it."""
        return tuple(self.button(verb) for verb in ("read", "back", "close"))

    async def _message(self, case: Case, message: CaseMessage, answers: int | None) -> Wanted:
        entry, words = f"m:{message.id}", message.text
        if message.author is Author.WOMAN:
            return Wanted(entry, self._hers(message))
        if message.author is Author.SYSTEM:
            return Wanted(entry, self._say("bell.from_line", words=words), silent=True)
        name = await self._name_of(message.staff_id)
        if message.author is Author.NOTE:
            text = self._say("bell.noted")
            if answers is None:
                text = self._say("bell.note_from_desk", name=name, words=words)
            return Wanted(entry, text, silent=True, answers=answers)
        state = self._say(f"bell.state.{standing(message, case)}")
        if answers is None:
            state = self._say("bell.reply_from_desk", name=name, words=words, state=state)
        elif message.edited:
            state = self._say("bell.corrected", words=words, state=state)
        verbs: tuple[str, ...] = ("resend", "drop") if message.state in UNSETTLED else ()
        silent = not verbs
        if self._desk.can_mend(case, message):
            verbs = ("take_back",)
        buttons = tuple(self.button(verb, message.id) for verb in verbs)
        return Wanted(entry, state, buttons, silent=silent, answers=answers)

    def _hers(self, message: CaseMessage) -> str:
        lines = []
        if message.covered:
            lines.append(self._say("bell.covered"))
        if message.medium is not None:
            photo = message.medium is MediumKind.PHOTO
            lines.append(self._say("bell.photo" if photo else "bell.voice"))
        words = neutral(message.text).strip()
        if words or not lines:
            lines.append(words or self._say("desk.empty"))
        if message.edited:
            lines.append(self._say("bell.mended"))
        return "\n\n".join(lines)

    async def _name_of(self, staff_id: str | None) -> str:
        member = await self._store.staff(staff_id) if staff_id else None
        name = self._words.name(member) if member else ""
        return name or self._say("bell.somebody")

    def button(self, verb: str, about: str = "") -> Button:
        """What one button says, and what it carries: for which act, and upon which message."""
        return self._say(f"bell.button.{verb}"), f"{verb}:{about}"


def _in_parts(wanted: Wanted) -> list[Wanted]:
    """A message that is too long as several; the buttons stand below the last one."""
    cut = [wanted.text[at : at + MOST] for at in range(0, len(wanted.text), MOST)]
    texts = [text for text in cut if text.strip()]
    last = len(texts) - 1
    return [
        Wanted(
            wanted.entry,
            text,
            wanted.buttons if part == last else (),
            wanted.silent,
            part,
            wanted.answers if part == 0 else None,
        )
        for part, text in enumerate(texts)
    ]
