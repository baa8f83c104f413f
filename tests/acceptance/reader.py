"""A woman who walks the dialog on Telegram, and what is watched on every phone meanwhile."""

from __future__ import annotations

import asyncio
import random
from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cache
from typing import Any

from bot import render
from bot.channels import telegram
from bot.channels.base import Outgoing
from bot.texts import open_content
from dialogs import engine, payload
from dialogs.model import DANGER, HIDE, HOME, START, Content, NodeKind, Position, Tapped
from tests.standins.telegram import Shown, TelegramStandIn
from tests.standins.woman import Woman

CONTENT, TEXTS = open_content()
SYSTEM = {"fact_expired", "error", "out_of_hours", "no_receptions"}
"""Screens that no button leads to: what has run out, what failed."""
NAME = "language.name"
PATIENCE = 10.0

State = tuple[str, tuple[tuple[str, str], ...]]
Edge = tuple[str, str, str]
"""Where a button stands, what it says, where it leads."""


def _landing(content: Content, to: Position) -> Position | None:
    """Where a tap ends; None for the doors that do more than show."""
    node = content.nodes[to.node]
    match node.kind:
        case NodeKind.HIDE | NodeKind.OPEN_CASE | NodeKind.END_CASE:
            return None
        case NodeKind.ARRIVE:
            return engine.step(content, to, Tapped(to)).position
        case NodeKind.FORGET:
            return engine.screen(content, Position(to.language, node.go or HOME)).position
        case _:
            return engine.screen(content, to).position


def _state(position: Position) -> State:
    """A place without its ticks, of which there are too many to visit all."""
    ticks = {node.slot for node in CONTENT.nodes.values() if node.kind is NodeKind.CHECKLIST}
    return position.node, tuple(pair for pair in position.answers if pair[0] not in ticks)


@cache
def graph(*others: str) -> Mapping[State, tuple[tuple[Edge, State | None], ...]]:
    """Every place that buttons lead to from the cover, and from `others`, with its buttons."""
    known: dict[State, tuple[tuple[Edge, State | None], ...]] = {}
    queue = deque(Position("bg", node) for node in (START, *others))
    while queue:
        here = queue.popleft()
        if _state(here) in known:
            continue
        shown = engine.screen(CONTENT, here)
        leads: dict[Edge, State | None] = {}
        for button in (*shown.choices, *(each for _, each in shown.marks)):
            landing = _landing(CONTENT, button.to)
            edge = here.node, button.label, button.to.node
            leads[edge] = _state(landing) if landing else None
            if landing is not None:
                queue.append(Position("bg", landing.node, landing.answers))
        known[_state(here)] = tuple(leads.items())
    return known


def choices() -> list[Edge]:
    """Every button that is not one of the four marks, doors to a case and *hide* left out."""
    reached = graph().values()
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


class Reader:
    """One woman with a plan: she taps what she has not tapped yet, by the shortest way."""

    def __init__(self, woman: Woman, language: str, dice: random.Random | None = None) -> None:
        self.woman, self.language = woman, language
        self.at = Position("bg", START)
        self.seen: set[str] = set()
        self._dice = dice or random.Random(1)

    async def opens(self) -> None:
        """Open the line, and choose her language."""
        self.woman.starts()
        await self._arrives(engine.cover("bg"))
        for edge in self._way({e for leads in graph().values() for e, _ in leads if e[1] == NAME}):
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
            into = {e for leads in graph().values() for e, to in leads if to and to[0] == node}
            for edge in self._way(into):
                await self.follows(edge)

    async def follows(self, edge: Edge) -> None:
        """Tap that button, and see where it leads."""
        to = self._target(edge)
        landing = _landing(CONTENT, to)
        assert landing is not None
        self.woman.taps(payload=payload.pack(to), message=self.window)
        self.seen.add(to.node)
        await self._arrives(landing)

    async def forges(self, node: str) -> None:
        """Tap what stands on no screen of hers."""
        to = Position(self.language, node)
        self.woman.taps(payload=payload.pack(to))
        await self._arrives(to)

    async def types(self, text: str, leads_to: str) -> None:
        self.woman.types(text)
        await self._sees_node(leads_to)

    async def sends(self, kind: str, leads_to: str) -> None:
        self.woman.sends(kind)
        await self._sees_node(leads_to)

    async def hides(self) -> None:
        self.woman.taps(payload=payload.pack(Position(self.at.language, HIDE)))
        self.seen.add(HIDE)
        await self.woman.sees_empty_chat(timeout=PATIENCE)
        self.at = engine.cover(self.at.language)

    async def asks_for_a_human(self) -> None:
        await self.goes_to("talk_ready")
        self.woman.taps(payload=payload.pack(self._target(("talk_ready", "", "talk_yes"))))
        self.seen |= {"talk_yes", "case"}
        await self.sees(TEXTS.say(self.language, CONTENT.nodes["case"].text))
        self.at = Position(self.language, "case")

    async def sees(self, words: str) -> None:
        await self.woman.sees(words, timeout=PATIENCE)

    @property
    def window(self) -> Shown:
        assert self.woman.window is not None
        return self.woman.window

    # --- inside ------------------------------------------------------------------------------

    def _way(self, wanted: set[Edge]) -> list[Edge]:
        """The shortest way from here that ends with one of these buttons."""
        start = _state(self.at)
        queue: deque[tuple[State, list[Edge]]] = deque([(start, [])])
        reached = {start}
        while queue:
            state, way = queue.popleft()
            for edge, to in graph(*CONTENT.nodes)[state]:
                if to is None:
                    continue
                if edge in wanted:
                    return [*way, edge]
                if to not in reached:
                    reached.add(to)
                    queue.append((to, [*way, edge]))
        raise AssertionError(f"no way from {start} to {sorted(wanted)[:3]}")

    def _target(self, edge: Edge) -> Position:
        shown = engine.screen(CONTENT, self.at)
        for button in (*shown.choices, *(each for _, each in shown.marks)):
            if edge[2] == button.to.node and edge[1] in ("", button.label):
                chosen = edge[1] == NAME
                language = self.language if chosen else button.to.language
                return Position(language, button.to.node, button.to.answers)
        raise AssertionError(f"{self.at.node} has no button {edge}")

    async def _taps_a_mark(self) -> None:
        marks = [
            e for e, to in graph(*CONTENT.nodes)[_state(self.at)] if e[1].startswith("mark.") and to
        ]
        if marks:
            await self.follows(self._dice.choice(marks))

    async def _arrives(self, at: Position) -> None:
        shown = engine.screen(CONTENT, at)
        wanted = render.render(shown, TEXTS, telegram.LIMITS, datetime.now(UTC))
        await self._until(lambda: _looks_like(self.woman.window, wanted), at.node)
        self.at = at
        self.seen.add(at.node)

    async def _sees_node(self, node: str) -> None:
        text = TEXTS.say(self.language, CONTENT.nodes[node].text)
        await self._until(lambda: (self.window.caption or "").startswith(text), node)
        self.at = Position(self.language, node)
        self.seen.add(node)

    async def _until(self, told: Any, what: str) -> None:
        until = asyncio.get_running_loop().time() + PATIENCE
        while not told():
            if asyncio.get_running_loop().time() > until:
                stands = self.woman.window and self.woman.window.caption
                raise AssertionError(f"{self.language}: not at {what} but {stands!r}")
            await asyncio.sleep(0.004)


def _looks_like(window: Shown | None, wanted: Outgoing) -> bool:
    if window is None or not (window.caption or "").startswith(wanted.text):
        return False
    there = [b["callback_data"] for row in window.buttons for b in row]
    return there == [b.payload for b in (*wanted.choices, *wanted.marks)]
