"""The women and the consultants: they tap and write as people do, by what is on their screens."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from random import Random

from bot.texts import Texts
from bot.verify import record
from bot.verify.platform import Chat, Message, Platform
from bot.verify.record import ANSWER, HERS, NOTE, mentions, words
from dialogs import engine
from dialogs.model import FORGET, HIDE, SOURCE_LANGUAGE, START, Content, Position

ASKS = "talk_yes"
IN_CASE = "case_end"
"""The button by which she sees that her case is open."""
NUMBERS = 4
"""How many messages she writes in one case."""
HIDES = 0.04
"""How often, in each moment of a case, she hides everything."""
SHORT_CUT = 0.5
"""How often she has an old button at hand that leads there at once: the position is in it."""
PATIENCE = 1.5
"""Seconds without any change until somebody tries again."""


def ways(content: Content) -> dict[str, int]:
    """How many taps it is from each node to the one that asks for a person."""
    leads: dict[str, set[str]] = {}
    queue = deque([START, "case_ended", "home"])
    while queue:
        here = queue.popleft()
        if here in leads or here in (ASKS, HIDE, FORGET):
            continue
        shown = engine.screen(content, Position(SOURCE_LANGUAGE, here))
        leads[here] = {b.to.node for b in shown.choices} | {shown.position.node} - {here}
        if here == "inside":
            leads[here].add("home")
        leads[here] |= {b.to.node for _, b in shown.marks if b.to.node == "home"}
        queue.extend(leads[here])
    far = {ASKS: 0, "case": 0}
    while True:
        nearer = {
            node: 1 + min(far[to] for to in to_all if to in far)
            for node, to_all in leads.items()
            if node not in far and any(to in far for to in to_all)
        }
        if not nearer:
            return far
        far |= nearer


class Woman:
    """One woman, and one case of hers after another."""

    def __init__(self, platform: Platform, name: str, far: dict[str, int], dice: Random) -> None:
        self.name = name
        self.chat: Chat = platform.woman(name)
        self.written = 0
        self.answers = 0
        """How many answers consultants have written to her."""
        self.is_done = True
        """She has written what she had to say, and waits."""
        self._platform, self._far, self._dice = platform, far, dice
        self._left = 0
        self._began_at = 0
        self._seen: tuple[object, ...] = ()
        self._changed_at = 0.0
        self._in_case = False

    @property
    def window(self) -> Message | None:
        shown = [each for each in self.chat.messages.values() if each.picture]
        return shown[-1] if shown else None

    def begins(self) -> None:
        """She asks for a person, once more."""
        self._left = NUMBERS
        self.is_done = self._in_case = False
        self._starts()
        self._began_at = next(reversed(self.chat.messages))

    def stops(self) -> None:
        """She writes nothing more, but looks what is answered."""
        self._left = 0
        self.is_done = True

    async def live(self) -> None:
        """Tap and write until cancelled."""
        while True:
            await asyncio.sleep(self._dice.uniform(0.03, 0.25))
            self.acts()

    def acts(self) -> None:
        window = self.window
        seen = (window.id, window.words, window.edited_at) if window else ()
        now = time.monotonic()
        if seen != self._seen:
            self._seen, self._changed_at = seen, now
        waits = now - self._changed_at > PATIENCE
        if window is None:
            if waits:
                self._starts()
            return
        if _offers(window, IN_CASE) and window.id > self._began_at:
            self._in_case = True
        if self._in_case and self._left and self._dice.random() < 0.5:
            return self._writes()
        if self._in_case and not self._left:
            self.is_done = True
        if not _offers(window, IN_CASE) or window.id <= self._began_at:
            self._goes_on(window, waits)
        elif not self.is_done and self._dice.random() < HIDES:
            self._taps(window, "hide")
        elif waits and self._dice.random() < 0.2:
            self._taps(window, "home")

    def _writes(self) -> None:
        self.written += 1
        self._left -= 1
        said = words(self.name, HERS, self.written)
        self._platform.writes(self.chat, said, self.chat.id)

    def _goes_on(self, window: Message, waits: bool) -> None:
        """Tap what leads to a person; a window that does not change is begun anew."""
        nodes = [_node(button["callback_data"]) for button in window.buttons]
        known = [node for node in nodes if node in self._far]
        if not known or window.id < self._began_at:
            if waits:
                self._starts()
            return
        if self._tapped == (window.id, window.words) and not waits:
            return
        if self._dice.random() < SHORT_CUT:
            self._tapped = (window.id, window.words)
            self._changed_at = time.monotonic()
            data = f"{SOURCE_LANGUAGE}:{'case' if self._in_case else ASKS}"
            return self._platform.presses(self.chat, window, data, self.chat.id)
        self._taps(window, min(known, key=lambda node: self._far[node]))

    _tapped: tuple[int, str] = (0, "")

    def _taps(self, window: Message, node: str) -> None:
        for button in window.buttons:
            if _node(button["callback_data"]) == node:
                self._tapped = (window.id, window.words)
                self._changed_at = time.monotonic()
                data = button["callback_data"]
                return self._platform.presses(self.chat, window, data, self.chat.id)

    def _starts(self) -> None:
        self._changed_at = time.monotonic()
        self._platform.writes(self.chat, "/start", self.chat.id)


class Phrases:
    """The desk's sentences that a consultant and the judge go by."""

    def __init__(self, texts: Texts) -> None:
        def say(phrase: str, **params: object) -> str:
            return texts.say(SOURCE_LANGUAGE, f"bell.{phrase}", **params).strip()

        self.sent = say("state.sent")
        self.dropped = say("state.dropped")
        self.unsure = (say("state.unknown"), say("state.failed"))
        self.repeated = say("repeated", words="")
        self.owner = {name: say("owner", name=name) for name in NAMES}


NAMES = ("Maria", "Elena", "Ivana")
"""The consultants' names."""


class Consultant:
    """One consultant with her phone in the group."""

    def __init__(
        self,
        platform: Platform,
        number: int,
        women: dict[str, Woman],
        phrases: Phrases,
        dice: Random,
    ) -> None:
        self.chat = platform.consultant(number)
        self._platform, self._women, self._phrases, self._dice = platform, women, phrases, dice
        self._name = NAMES[number]
        self._pressed: dict[tuple[int, str], float] = {}
        self._answered: dict[int, int] = {}
        self.closes = True

    async def live(self) -> None:
        """Look at the group until cancelled."""
        while True:
            await asyncio.sleep(self._dice.uniform(0.05, 0.2))
            for topic in list(self._platform.topics):
                self._looks_at(topic)

    def _looks_at(self, topic: int) -> None:
        there = [m for m in self._platform.group.messages.values() if m.topic == topic]
        for message in there:
            if _offers(message, "claim") and self._dice.random() < 0.4:
                self._presses(message, "claim")
        mine = self._phrases.owner[self._name]
        owners = [m for m in there if m.words in self._phrases.owner.values()]
        if not owners or owners[-1].words != mine:
            return
        hers = [m for each in there if each.from_bot for m in mentions(each.words) if m[1] == HERS]
        if not hers:
            return
        woman = self._women[hers[-1].woman]
        for message in undecided(there):
            self._decides(message, woman)
        told = len({each.number for each in hers})
        if self._answered.get(topic, 0) < told:
            self._answered[topic] = self._answered.get(topic, 0) + 1
            woman.answers += 1
            said = words(woman.name, ANSWER, woman.answers)
            self._platform.writes(self._platform.group, said, self.chat.id, topic)
            if self._dice.random() < 0.1:
                note = f"// {words(woman.name, NOTE, woman.answers)}"
                self._platform.writes(self._platform.group, note, self.chat.id, topic)
        elif self.closes and woman.is_done and self.is_settled(there, woman):
            self._closes(there, owners[-1])

    def _decides(self, message: Message, woman: Woman) -> None:
        """Ask her whether it arrived, as it were: only then it is sent again."""
        asked = self._platform.group.messages.get(message.answers or 0)
        said = next(iter(mentions(asked.words)), None) if asked is not None else None
        if said is None:
            return
        verb = "drop" if (woman.name, said) in self._platform.stood else "resend"
        if self._presses(message, verb):
            decided = record.Decided(
                at=self._platform.now, verb=verb, woman=woman.name, number=said.number
            )
            self._platform.note(decided)

    def is_settled(self, there: list[Message], woman: Woman) -> bool:
        """Whether all that she wrote stands here, and every answer says that it was sent."""
        shown = {m.number for each in there if each.from_bot for m in mentions(each.words)}
        answers = {
            each.id
            for each in there
            if not each.from_bot and any(m.kind == ANSWER for m in mentions(each.words))
        }
        ends = (self._phrases.sent, self._phrases.dropped)
        settled = {m.answers for m in there if m.from_bot and any(e in m.words for e in ends)}
        return woman.written in shown and answers <= settled

    def _closes(self, there: list[Message], owner: Message) -> None:
        asked = [each for each in there if _offers(each, "close_yes")]
        if asked:
            self._presses(asked[-1], "close_yes")
        else:
            self._presses(owner, "close")

    def _presses(self, message: Message, verb: str) -> bool:
        """Press a button, and not again before something could have come of it."""
        now = time.monotonic()
        if now - self._pressed.get((message.id, verb), 0.0) < PATIENCE:
            return False
        for button in message.buttons:
            if button["callback_data"].partition(":")[0] == verb:
                self._pressed[message.id, verb] = now
                data = button["callback_data"]
                self._platform.presses(self._platform.group, message, data, self.chat.id)
                return True
        return False


def undecided(there: list[Message]) -> list[Message]:
    """Those that ask whether to send again; of two below the same answer the older one is spent."""
    newest = {m.answers: m for m in there if m.from_bot and m.answers is not None}
    return [message for message in newest.values() if _offers(message, "resend")]


def _node(data: str) -> str:
    parts = data.split(":")
    return parts[1] if len(parts) > 1 and parts[0] == SOURCE_LANGUAGE else ""


def _offers(message: Message, what: str) -> bool:
    """Whether one of its buttons carries that node, or that verb."""
    return any(what in button["callback_data"].split(":")[:2] for button in message.buttons)
