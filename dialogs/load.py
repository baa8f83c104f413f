"""Files -> content. Everything that is wrong is told at once, as `file:line: node: what to do`."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterable, Mapping
from datetime import date
from pathlib import Path

from rapidfuzz import process

from dialogs import links
from dialogs.build import Built, build
from dialogs.model import SOURCE_LANGUAGE, Case, Content, Language, Node, NodeId, NodeKind, Source
from dialogs.source import Mistake

FOLDER = Path(__file__).parent
CATALOGUE = Path("LC_MESSAGES") / "messages.po"
_FIRST_LANGUAGES = (SOURCE_LANGUAGE, "tr", "en")


class ContentError(Exception):
    """The content cannot be used; `problems` says each place and what to do there."""

    def __init__(self, problems: Iterable[Mistake]) -> None:
        ordered = sorted(problems, key=lambda p: (p.source.file, p.source.line, p.message))
        self.problems = tuple(ordered)
        super().__init__("\n".join(str(problem) for problem in self.problems))


def load(folder: Path | None = None, locales: Path | None = None) -> Content:
    """The content of a `dialogs` folder, and the languages that `locales` beside it holds.

    Raises `ContentError` with all mistakes of all files.
    """
    folder = FOLDER if folder is None else folder
    locales = folder.resolve().parent / "locales" if locales is None else locales
    mistakes: list[Mistake] = []
    built = build(folder, mistakes)
    if built.is_whole:
        mistakes.extend(_broken_links(built))
    if mistakes:
        raise ContentError(mistakes)
    return Content(
        nodes=built.nodes,
        topics=built.topics,
        facts=built.facts,
        places=built.places,
        texts=built.texts,
        languages=languages(locales),
        safe_words=built.safe,
        danger_words=built.danger,
        stop_words=built.stop,
        parents=links.parents(built.nodes, built.topics),
    )


def on(content: Content, day: date) -> Content:
    """The same content as it stands on a day: facts whose time is over are marked expired."""
    over = frozenset(
        fact.id
        for fact in content.facts.values()
        if fact.expires_on is not None and day >= fact.expires_on
    )
    return dataclasses.replace(content, expired=over)


def in_chat(content: Content, *, lasting: bool, rings: bool = True) -> Content:
    """The same content for one kind of chat.

    In a `lasting` one nothing that was sent can be removed: what is true only elsewhere is said
    in other words. In the others she passes through what is said of lasting chats; and where no
    message `rings`, through what is asked about that.
    """
    passed = set() if lasting else {NodeKind.LASTING}
    passed |= set() if rings else {NodeKind.NUDGE, NodeKind.REMIND}
    nodes = {
        name: _passed(node) if node.kind in passed else _said(node, lasting)
        for name, node in content.nodes.items()
    }
    return dataclasses.replace(content, nodes=nodes, parents=links.parents(nodes, content.topics))


def _said(node: Node, lasting: bool) -> Node:
    return dataclasses.replace(node, text=node.lasting_text or node.text) if lasting else node


def _passed(node: Node) -> Node:
    if node.go is None:
        return node
    return dataclasses.replace(
        node, kind=NodeKind.RESULT, choices=(), cases=(Case({}, node.go),), go=None
    )


def languages(locales: Path) -> tuple[Language, ...]:
    """Bulgarian, and every folder that holds a catalogue, in an order that never changes."""
    found = {path.parent.parent.name for path in locales.glob(f"*/{CATALOGUE}")}
    found = {name for name in found if re.fullmatch(r"[a-z]{2,3}", name)} | {SOURCE_LANGUAGE}
    first = [language for language in _FIRST_LANGUAGES if language in found]
    return (*first, *sorted(found.difference(first)))


# --- links -----------------------------------------------------------------------------------


def _broken_links(built: Built) -> list[Mistake]:
    mistakes = [*_missing_nodes(built), *_dead_targets(built), *_bad_entries(built)]
    for circle in links.circles(built.nodes):
        way = " -> ".join([*circle, circle[0]])
        message = f"a circle without a screen ({way}), lead one of them to a page"
        mistakes.append(Mistake(built.nodes[circle[0]].source, circle[0], message))
    return mistakes


def _missing_nodes(built: Built) -> list[Mistake]:
    return [
        Mistake(Source(built.folder, 1), name, "this node must exist, write it")
        for name in links.FIXED
        if name not in built.nodes and name not in built.unread
    ]


def _dead_targets(built: Built) -> list[Mistake]:
    return [
        _no_such(built.lines.get((node.id, target), node.source), node.id, target, built.nodes)
        for node in built.nodes.values()
        for target in dict.fromkeys(_named(node))
        if target not in built.nodes and target not in built.unread
    ]


def _named(node: Node) -> list[NodeId]:
    back = [node.back] if node.back is not None else []
    return [*links.targets(node), *node.covers, *back]


def _bad_entries(built: Built) -> list[Mistake]:
    mistakes = []
    for topic in built.topics.values():
        entry = topic.entry
        if entry is None:
            continue
        where = built.lines.get((topic.id, "entry"), topic.source)
        if entry.go not in built.nodes and entry.go not in built.unread:
            mistakes.append(_no_such(where, topic.id, entry.go, built.nodes))
        menu = built.nodes.get(entry.menu)
        is_menu = menu is not None and menu.kind is NodeKind.MENU
        if not is_menu and entry.menu not in built.unread:
            message = f"the entry's menu {entry.menu!r} is no node of kind menu, name one"
            mistakes.append(Mistake(where, topic.id, message))
    return mistakes


def _no_such(where: Source, node: str, target: NodeId, nodes: Mapping[NodeId, Node]) -> Mistake:
    known = nearest_name(target, nodes)
    hint = f", did you mean {known!r}?" if known else ", write that node or name another"
    return Mistake(where, node, f"leads to {target!r}, which does not exist{hint}")


def nearest_name(name: str, known: Iterable[str]) -> str | None:
    """The known name that was probably meant."""
    found = process.extractOne(name, list(known), score_cutoff=75)
    return found[0] if found else None
