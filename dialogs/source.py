"""Reads a YAML file so that every value still knows its line; says all that is wrong with it.

Every plain scalar stays text (`no`, `12`, `2026-01-01`), so that YAML's own guesses about
words never reach the content; the schema turns text into dates and numbers where it wants them.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from dialogs.model import Source

Loc = tuple[str | int, ...]
_NULLS = {"", "~", "null", "Null", "NULL"}


@dataclass(frozen=True, slots=True)
class Mistake:
    """What stops the content from loading. Reads `file:line: node: what is wrong, what to do`."""

    source: Source
    node: str
    message: str

    def __str__(self) -> str:
        return f"{self.source}: {self.node}: {self.message}"


@dataclass(frozen=True, slots=True)
class Document:
    """One file as plain data, and the line of each value by its place in that data."""

    name: str
    data: Any
    lines: dict[Loc, int] = field(default_factory=dict)

    def at(self, loc: Sequence[str | int] = ()) -> Source:
        """Where a value stands; of a missing one, where it should be."""
        where = tuple(loc)
        while where and where not in self.lines:
            where = where[:-1]
        return Source(self.name, self.lines.get(where, 1))


class _Loader(yaml.SafeLoader):
    """YAML without anchors: a value that is written elsewhere is hard to read and to translate."""

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        if self.check_event(yaml.AliasEvent):
            event = self.peek_event()  # type: ignore[no-untyped-call]
            raise yaml.composer.ComposerError(
                None,
                None,
                "an alias (*name) is not taken here, write the value out",
                event.start_mark,
            )
        return super().compose_node(parent, index)


def read(path: Path, name: str) -> tuple[Document, list[Mistake]]:
    """The file as a document. With mistakes, the document holds None."""
    empty = Document(name, None)

    def mistake(line: int, message: str) -> tuple[Document, list[Mistake]]:
        return empty, [Mistake(Source(name, line), path.stem, message)]

    try:
        text = path.read_bytes().decode("utf-8-sig")
    except FileNotFoundError:
        return mistake(1, "the file is missing, create it")
    except UnicodeDecodeError:
        return mistake(1, "the file is not UTF-8, save it as UTF-8")
    tabs = [n for n, line in enumerate(text.splitlines(), 1) if re.match(r"[ ]*\t", line)]
    if tabs:
        message = "a tab at the start of the line, use spaces"
        return empty, [Mistake(Source(name, line), path.stem, message) for line in tabs]
    try:
        root = yaml.compose(text, Loader=_Loader)
        if root is None:
            return mistake(1, "the file is empty, write its content or remove it")
        return _Walk(name).document(root)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        return mistake(mark.line + 1 if mark else 1, f"not YAML: {error.problem}")
    except yaml.YAMLError:
        return mistake(1, "not YAML: it holds a character that may not stand in a file")
    except RecursionError:
        return mistake(1, "not YAML of ours: nested too deep")


class _Walk:
    """Turns YAML nodes into data, noting lines, and keys that stand twice."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._lines: dict[Loc, int] = {}
        self._mistakes: list[Mistake] = []

    def document(self, root: yaml.Node) -> tuple[Document, list[Mistake]]:
        data = self._value(root, ())
        return Document(self._name, data, self._lines), self._mistakes

    def _value(self, node: yaml.Node, loc: Loc) -> Any:
        self._lines.setdefault(loc, node.start_mark.line + 1)
        if isinstance(node, yaml.MappingNode):
            return self._mapping(node, loc)
        if isinstance(node, yaml.SequenceNode):
            return [self._value(item, (*loc, n)) for n, item in enumerate(node.value)]
        text = str(node.value)
        return None if getattr(node, "style", None) is None and text in _NULLS else text

    def _mapping(self, node: yaml.MappingNode, loc: Loc) -> dict[str, Any]:
        data: dict[str, Any] = {}
        for key, value in node.value:
            line = key.start_mark.line + 1
            name = str(key.value) if isinstance(key, yaml.ScalarNode) else "?"
            if name in data:
                source = Source(self._name, line)
                self._mistakes.append(Mistake(source, name, "the key stands twice, keep one"))
            self._lines[(*loc, name)] = line
            data[name] = self._value(value, (*loc, name))
        return data
