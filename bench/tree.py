"""The thirty screens that every contestant shows."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Button:
    """What it says, and to which of the thirty it leads: to none of them, it is never tapped."""

    label: str
    to: str | None


@dataclass(frozen=True, slots=True)
class Screen:
    """One node: its text and its rows of buttons."""

    text: str
    rows: list[list[Button]]


@dataclass(frozen=True, slots=True)
class Tree:
    """The screens by name. `home` is the first; `person` is Phen's payload that opens a case."""

    home: str
    person: str
    screens: dict[str, Screen]

    def exits(self, name: str) -> list[tuple[int, str]]:
        """The buttons that lead to another of the thirty, by their place in the keyboard."""
        buttons = [button for row in self.screens[name].rows for button in row]
        return [(n, b.to) for n, b in enumerate(buttons) if b.to is not None and b.to != name]


def write(tree: Tree, path: Path) -> None:
    """Keep it for the contestants, which know nothing of Phen."""
    path.write_text(json.dumps(asdict(tree), ensure_ascii=False), "utf-8")


def read(path: Path) -> Tree:
    """What `write` kept."""
    told = json.loads(path.read_text("utf-8"))
    screens = {
        name: Screen(each["text"], [[Button(**button) for button in row] for row in each["rows"]])
        for name, each in told["screens"].items()
    }
    return Tree(told["home"], told["person"], screens)
