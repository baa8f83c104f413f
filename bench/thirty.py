"""Thirty of Phen's own screens, with their words and buttons, for everybody to show."""

from __future__ import annotations

from datetime import UTC, datetime

from bench.tree import Button, Screen, Tree
from bot import render
from bot.channels.telegram import LIMITS
from bot.texts import open_content
from dialogs import engine, load, model
from dialogs.model import HOME, SOURCE_LANGUAGE, NodeKind, Position

SIZE = 30
_PLAIN = (NodeKind.PAGE, NodeKind.MENU, NodeKind.QUESTION, NodeKind.PLACES)


def build() -> Tree:
    """The thirty screens of today's content that are nearest to home and touch no database."""
    content, texts = open_content()
    content = load.on(load.in_chat(content, lasting=False), datetime.now(UTC).date())
    found: dict[str, model.Screen] = {}
    ahead = [Position(SOURCE_LANGUAGE, HOME)]
    while ahead and len(found) < SIZE:
        position = ahead.pop(0)
        node = content.nodes[position.node]
        if position.answers or position.node in found or node.kind not in _PLAIN or node.fill:
            continue
        screen = engine.screen(content, position)
        if screen.position == position:
            found[position.node] = screen
            ahead += [b.to for b in (*screen.choices, *(mark for _, mark in screen.marks))]
    screens = {}
    for name, screen in found.items():
        shown = render.render(screen, texts, LIMITS, datetime.now(UTC))
        targets = [b.to for b in (*screen.choices, *(mark for _, mark in screen.marks))]
        buttons = [
            Button(each.label, to.node if not to.answers and to.node in found else None)
            for each, to in zip((*shown.choices, *shown.marks), targets, strict=True)
        ]
        cut = len(shown.choices)
        screens[name] = Screen(shown.text, [*([each] for each in buttons[:cut]), buttons[cut:]])
    opens = next(n for n, node in content.nodes.items() if node.kind is NodeKind.OPEN_CASE)
    return Tree(HOME, f"{SOURCE_LANGUAGE}:{opens}", screens)
