"""A woman who walks the dialog in a chat, and what is watched on every phone meanwhile."""

from __future__ import annotations

import asyncio
import random
from collections import deque
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cache, lru_cache
from typing import Any

from bot import render
from bot.channels import telegram, viber
from bot.channels.base import Outgoing, OutgoingButton
from bot.channels.viber_screens import unformatted
from bot.texts import open_content
from dialogs import engine, load, payload
from dialogs.model import (
    DANGER,
    HIDE,
    HOME,
    REMIND_MINE,
    REMIND_NONE,
    START,
    Content,
    NodeKind,
    Position,
    Screen,
    Tapped,
)
from tests.standins import viber as viber_standin
from tests.standins import viber_woman
from tests.standins.telegram import Shown, TelegramStandIn
from tests.standins.viber_woman import ViberWoman
from tests.standins.woman import Woman

_ALL, TEXTS = open_content()
CONTENT = load.in_chat(_ALL, lasting=False)
"""As it is said where a screen can be removed; `LASTING` where it cannot."""
LASTING = load.in_chat(_ALL, lasting=True)
REMINDED = {
    *("remind", "remind_set", "remind_mine", "remind_renew", "remind_none", "remind_not_here"),
    *("reminder", "remind_stop", "remind_stopped", "remind_not_stopped"),
}
"""What stands behind the door by which she asks to be reminded: that she has, is kept."""
SYSTEM = {
    *("fact_expired", "error", "out_of_hours", "no_receptions"),
    *("stopped", "blocked", "crowded"),
}
"""Screens that no button leads to: what has run out, what failed, who is not taken now."""
NAME = "language.name"
_TICKS = {node.slot for node in CONTENT.nodes.values() if node.kind is NodeKind.CHECKLIST}
PATIENCE = 40.0

State = tuple[str, tuple[tuple[str, str], ...]]
Edge = tuple[str, str, str]
"""Where a button stands, what it says, where it leads."""


def _landing(content: Content, to: Position) -> Position | None:
    """Where a tap ends; None for the doors that do more than show."""
    node = content.nodes[to.node]
    match node.kind:
        case NodeKind.HIDE | NodeKind.OPEN_CASE | NodeKind.END_CASE | NodeKind.ALLOW_MEDIA:
            return None
        case NodeKind.SET_REMINDER | NodeKind.RENEW_REMINDER | NodeKind.STOP_REMINDERS:
            return None
        case NodeKind.ARRIVE:
            return engine.step(content, to, Tapped(to)).position
        case _ if node.id == REMIND_MINE:  # who only reads waits for nothing
            return engine.screen(content, to.to(REMIND_NONE)).position
        case NodeKind.FORGET:
            return engine.screen(content, Position(to.language, node.go or HOME)).position
        case _:
            return engine.screen(content, to).position


def _state(position: Position) -> State:
    """A place without its ticks, of which there are too many to visit all."""
    return position.node, tuple(pair for pair in position.answers if pair[0] not in _TICKS)


@cache
def graph(
    *others: str, lasting: bool = False
) -> Mapping[State, tuple[tuple[Edge, State | None], ...]]:
    """Every place that buttons lead to from the cover, and from `others`, with its buttons.

    A button that opens a page of ours leads out of the chat, and is none here.
    """
    content = LASTING if lasting else CONTENT
    known: dict[State, tuple[tuple[Edge, State | None], ...]] = {}
    queue = deque(Position("bg", node) for node in (START, *others))
    queued = {_state(here) for here in queue}
    landings: dict[Position, Position | None] = {}
    while queue:
        here = queue.popleft()
        shown = engine.screen(content, here)
        leads: dict[Edge, State | None] = {}
        for button in (*shown.choices, *(each for _, each in shown.marks)):
            if lasting and button.on_page:
                continue
            if button.to not in landings:
                landings[button.to] = _landing(content, button.to)
            landing = landings[button.to]
            edge = here.node, button.label, button.to.node
            leads[edge] = state = _state(landing) if landing else None
            if landing is not None and state not in queued:
                queued.add(state)
                queue.append(Position("bg", landing.node, landing.answers))
        known[_state(here)] = tuple(leads.items())
    return known


def choices(*, lasting: bool = False) -> list[Edge]:
    """Every button that is not one of the four marks, doors to a case and *hide* left out."""
    reached = graph(lasting=lasting).values()
    found = {edge for leads in reached for edge, to in leads if to is not None}
    return sorted(edge for edge in found if not edge[1].startswith("mark."))


@dataclass
class Watch:
    """Stands behind every chat: what ever stood there, whether or not a test looked."""

    server: TelegramStandIn
    windows: dict[int, int] = field(default_factory=dict)
    faults: list[str] = field(default_factory=list)
    screens: int = 0

    def __post_init__(self) -> None:
        add, edited = self.server.add_message, self.server._edited
        self._covers = {
            TEXTS.say(language, node.text)
            for node in CONTENT.nodes.values()
            if node.kind is NodeKind.COVER
            for language in CONTENT.languages
        }

        def added(chat: Any, **content: Any) -> Shown:
            shown = add(chat, **content)
            self._look(shown)
            return shown

        def changed(shown: Shown, params: Any, **content: Any) -> Any:
            answer = edited(shown, params, **content)
            self._look(shown)
            return answer

        vars(self.server).update(add_message=added, _edited=changed)

    def _look(self, shown: Shown) -> None:
        if not shown.from_bot or not shown.photo:
            return
        self.screens += 1
        standing = self.server.chats[shown.chat].messages.values()
        count = sum(1 for each in standing if each.from_bot and each.photo)
        self.windows[shown.chat] = max(count, self.windows.get(shown.chat, 0))
        to = {b["callback_data"].split(":")[1] for row in shown.buttons for b in row}
        if shown.caption not in self._covers and not {DANGER, HIDE} <= to:
            self.faults.append(f"no 112 or no hide under {shown.caption!r}")


class Walker:
    """One woman with a plan: she taps what she has not tapped yet, by the shortest way."""

    lasting = False

    def __init__(self, language: str, dice: random.Random | None = None) -> None:
        self.language = language
        self.at = Position("bg", START)
        self.seen: set[str] = set()
        self._dice = dice or random.Random(1)

    @property
    def content(self) -> Content:
        return LASTING if self.lasting else CONTENT

    async def opens(self) -> None:
        """Open the line, and choose her language."""
        await self._starts()
        await self._arrives(engine.cover("bg"))
        leads = graph(lasting=self.lasting).values()
        for edge in self._way({edge for each in leads for edge, _ in each if edge[1] == NAME}):
            await self.follows(edge)

    async def walks(self, edges: Iterable[Edge], marks: float = 0.0) -> None:
        """Tap each of these buttons; with that chance, one of the marks in between."""
        todo = set(edges)
        while todo:
            for edge in self._way(todo):
                await self.follows(edge)
                todo.discard(edge)
            if self._dice.random() < marks:
                await self._taps_a_mark()

    async def goes_to(self, node: str) -> None:
        """Go where a screen stands, by its buttons."""
        while self.at.node != node:
            leads = graph(lasting=self.lasting).values()
            into = {edge for each in leads for edge, to in each if to and to[0] == node}
            for edge in self._way(into):
                await self.follows(edge)

    async def follows(self, edge: Edge) -> None:
        """Tap that button, and see where it leads."""
        to = self._target(edge)
        landing = _landing(self.content, to)
        assert landing is not None
        await self._taps(to)
        self.seen.add(to.node)
        await self._arrives(landing)

    async def forges(self, node: str) -> None:
        """Tap what stands on no screen of hers."""
        to = Position(self.language, node)
        await self._taps(to)
        await self._arrives(to)

    async def types(self, text: str, leads_to: str) -> None:
        await self._types(text)
        await self._sees_node(leads_to)

    async def sends(self, kind: str, leads_to: str) -> None:
        await self._sends(kind)
        await self._sees_node(leads_to)

    async def hides(self) -> None:
        await self._taps(Position(self.at.language, HIDE))
        self.seen.add(HIDE)
        await self._is_hidden()
        self.at = engine.cover(self.at.language)

    async def asks_for_a_human(self) -> None:
        await self.goes_to("talk_ready")
        await self._taps(self._target(("talk_ready", "", "talk_yes")))
        self.seen |= {"talk_yes", "case"}
        await self.sees(TEXTS.say(self.language, self.content.nodes["case"].text))
        self.at = Position(self.language, "case")

    async def sees(self, words: str) -> None:
        raise NotImplementedError

    # --- her phone ---------------------------------------------------------------------------

    async def _starts(self) -> None:
        raise NotImplementedError

    async def _taps(self, to: Position) -> None:
        """Tap what leads there, even if it stands on no screen of hers."""
        raise NotImplementedError

    async def _types(self, text: str) -> None:
        raise NotImplementedError

    async def _sends(self, kind: str) -> None:
        raise NotImplementedError

    async def _is_hidden(self) -> None:
        raise NotImplementedError

    def _screen(self) -> str:
        """The words of the newest screen."""
        raise NotImplementedError

    def _looks_like(self, shown: Screen) -> bool:
        """Whether this screen stands there, with its buttons."""
        raise NotImplementedError

    # --- inside ------------------------------------------------------------------------------

    def _way(self, wanted: set[Edge]) -> list[Edge]:
        """The shortest way from here that ends with one of these buttons."""
        start = _state(self.at)
        queue: deque[tuple[State, list[Edge]]] = deque([(start, [])])
        reached = {start}
        while queue:
            state, way = queue.popleft()
            for edge, to in graph(*CONTENT.nodes, lasting=self.lasting)[state]:
                if to is None:
                    continue
                if edge in wanted:
                    return [*way, edge]
                if to not in reached:
                    reached.add(to)
                    queue.append((to, [*way, edge]))
        raise AssertionError(f"no way from {start} to {sorted(wanted)[:3]}")

    def _target(self, edge: Edge) -> Position:
        shown = engine.screen(self.content, self.at)
        for button in (*shown.choices, *(each for _, each in shown.marks)):
            if edge[2] == button.to.node and edge[1] in ("", button.label):
                chosen = edge[1] == NAME
                language = self.language if chosen else button.to.language
                return Position(language, button.to.node, button.to.answers)
        raise AssertionError(f"{self.at.node} has no button {edge}")

    async def _taps_a_mark(self) -> None:
        leads = graph(*CONTENT.nodes, lasting=self.lasting)[_state(self.at)]
        marks = [edge for edge, to in leads if edge[1].startswith("mark.") and to]
        if marks:
            await self.follows(self._dice.choice(marks))

    async def _arrives(self, at: Position) -> None:
        shown = engine.screen(self.content, at)
        await self._until(lambda: self._looks_like(shown), at.node)
        self.at = at
        self.seen.add(at.node)

    async def _sees_node(self, node: str) -> None:
        text = TEXTS.say(self.language, self.content.nodes[node].text)
        await self._until(lambda: self._screen().startswith(text), node)
        self.at = Position(self.language, node)
        self.seen.add(node)

    async def _until(self, told: Any, what: str) -> None:
        until = asyncio.get_running_loop().time() + PATIENCE
        while not told():
            if asyncio.get_running_loop().time() > until:
                raise AssertionError(f"{self.language}: not at {what} but {self._screen()!r}")
            await asyncio.sleep(0.004)


@lru_cache(100)
def _on_telegram(shown: Screen) -> Outgoing:
    """As it stands there; she looks often while she waits for it."""
    return render.render(shown, TEXTS, telegram.LIMITS, datetime.now(UTC))


class Reader(Walker):
    """On Telegram."""

    def __init__(self, woman: Woman, language: str, dice: random.Random | None = None) -> None:
        super().__init__(language, dice)
        self.woman = woman

    @property
    def window(self) -> Shown:
        assert self.woman.window is not None
        return self.woman.window

    async def sees(self, words: str) -> None:
        await self.woman.sees(words, timeout=PATIENCE)

    async def _starts(self) -> None:
        self.woman.starts()

    async def _taps(self, to: Position) -> None:
        self.woman.taps(payload=payload.pack(to))

    async def _types(self, text: str) -> None:
        self.woman.types(text)

    async def _sends(self, kind: str) -> None:
        self.woman.sends(kind)

    async def _is_hidden(self) -> None:
        await self.woman.sees_empty_chat(timeout=PATIENCE)

    def _screen(self) -> str:
        window = self.woman.window
        return (window.caption or "") if window else ""

    def _looks_like(self, shown: Screen) -> bool:
        wanted = _on_telegram(shown)
        window = self.woman.window
        if window is None or not self._screen().startswith(wanted.text):
            return False
        there = [b["callback_data"] for row in window.buttons for b in row]
        return there == [b.payload for b in _buttons(wanted)]


class ViberReader(Walker):
    """On Viber: each tap brings one new message below all others, and nothing ever goes.

    `now` is the clock that the line goes by.
    """

    lasting = True

    def __init__(
        self,
        woman: ViberWoman,
        language: str,
        dice: random.Random | None = None,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        super().__init__(language, dice)
        self.woman, self.now = woman, now
        self.answered = 0
        """How many messages she had seen when she last did something."""

    async def sees(self, words: str) -> None:
        await self.woman.sees(words, timeout=PATIENCE)

    async def forges_payload(self, packed: str) -> None:
        """Tap a button with this in it, which stands nowhere."""
        self.answered = len(self.woman.bot_messages)
        await _taken(self.woman._says({"type": "text", "text": packed}, silent=True))

    async def is_answered(self, does: Callable[[], Awaitable[object]]) -> None:
        """She does something, and one message comes, whatever it says."""
        self.answered = len(self.woman.bot_messages)
        await does()
        await self._until(self._screen, "an answer")

    async def _starts(self) -> None:
        self.answered = len(self.woman.bot_messages)
        await self.woman.opens()

    async def _taps(self, to: Position) -> None:
        self.answered = len(self.woman.bot_messages)
        for button in (self.woman.keyboard or {}).get("Buttons", []):
            if payload.unpack(button["ActionBody"]) == to:
                told = self.woman.taps(viber_woman._label(button))
                assert told is not None
                return await _taken(told)
        await self.forges_payload(payload.pack(to, self.now()))

    async def _types(self, text: str) -> None:
        self.answered = len(self.woman.bot_messages)
        await _taken(self.woman.types(text))

    async def _sends(self, kind: str) -> None:
        self.answered = len(self.woman.bot_messages)
        await _taken(self.woman.sends(_VIBER_KINDS.get(kind, kind)))

    async def _is_hidden(self) -> None:
        """The cover stands below the recipes, and below it nothing."""
        cover = engine.screen(LASTING, engine.cover(self.at.language))
        await self._until(lambda: self._ends_with(cover), HIDE)
        recipes = [TEXTS.say(self.at.language, LASTING.nodes[n].text) for n in HIDDEN_UNDER]
        assert all(unformatted(recipe) in self._screen() for recipe in recipes)

    def _screen(self) -> str:
        """What came since she did something; one message at most, as she sees it."""
        came = self.woman.bot_messages[self.answered :]
        assert len(came) <= 1, [each.text for each in came]
        return came[0].text if came else ""

    def _looks_like(self, shown: Screen) -> bool:
        if not self._screen():
            return False
        wanted = self._wanted(shown)
        return self._screen().startswith(unformatted(wanted.text)) and self._leads(wanted)

    def _ends_with(self, shown: Screen) -> bool:
        wanted = self._wanted(shown)
        return self._screen().endswith(unformatted(wanted.text)) and self._leads(wanted)

    def _wanted(self, shown: Screen) -> Outgoing:
        return render.render(shown, TEXTS, viber.LIMITS, self.now())

    def _leads(self, wanted: Outgoing) -> bool:
        """Each button, but those of pages and pictures, leads where it should."""
        buttons = (self.woman.keyboard or {}).get("Buttons", [])
        there = [payload.unpack(b["ActionBody"]) for b in buttons if b["ActionType"] == "reply"]
        to = [payload.unpack(button.payload) for button in _buttons(wanted)]
        on_page = [b for b in buttons if b["ActionType"] == "open-url"]
        return there == to[len(on_page) :]  # on the one screen that has a page, it comes first


HIDDEN_UNDER = _ALL.nodes[HIDE].covers
_VIBER_KINDS = {"voice": "file"}


async def _taken(told: asyncio.Task[viber_standin.Callback]) -> None:
    callback = await told
    assert callback.taken, callback.statuses


def _buttons(wanted: Outgoing) -> tuple[OutgoingButton, ...]:
    return (*wanted.choices, *wanted.marks)
