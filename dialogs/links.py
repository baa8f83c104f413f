"""Which node leads to which: what the loader checks, and where *back* goes."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from graphlib import CycleError, TopologicalSorter

from dialogs.model import (
    BLOCKED,
    CASE,
    CASE_ENDED,
    CROWDED,
    DANGER,
    HIDE,
    HOME,
    NOT_STOPPED,
    REMIND,
    REMIND_NONE,
    REMINDER,
    START,
    STOPPED,
    Entry,
    Node,
    NodeId,
    NodeKind,
    Topic,
)

GATE = frozenset({NodeKind.COVER, NodeKind.LANGUAGES, NodeKind.ARRIVE})
"""What stands before the gate is passed."""
DOORS = frozenset(
    {
        NodeKind.ARRIVE,
        NodeKind.RESULT,
        NodeKind.OPEN_CASE,
        NodeKind.END_CASE,
        NodeKind.ALLOW_MEDIA,
        NodeKind.SET_REMINDER,
        NodeKind.RENEW_REMINDER,
        NodeKind.STOP_REMINDERS,
        NodeKind.HIDE,
        NodeKind.FORGET,
    }
)
"""Kinds that have no screen: she passes through."""
SYSTEM = (
    CASE,
    CASE_ENDED,
    STOPPED,
    BLOCKED,
    CROWDED,
    REMINDER,
    NOT_STOPPED,
    REMIND_NONE,
    "not_understood",
    "not_understood_again",
    "suggest",
    "got_photo",
    "got_voice",
    "got_contact",
    "got_other",
    "fact_expired",
    "error",
    "no_receptions",
)
"""Screens that no button leads to: the line shows them by itself."""
FIXED = (START, HOME, DANGER, HIDE)
"""Without these there is no line at all."""
DOOR_IDS = ("talk", "meet", REMIND, "forget")


def targets(node: Node) -> Iterator[NodeId]:
    """Every node that this one names as the next, in reading order."""
    for choice in node.choices:
        yield choice.go
    for case in node.cases:
        yield case.go
    if node.go is not None:
        yield node.go


def entries(topics: Iterable[Topic], menu: NodeId) -> list[Entry]:
    """The topics that enter at a menu, in the order in which they are shown."""
    found = [t.entry for t in topics if t.entry is not None and t.entry.menu == menu]
    return sorted(found, key=lambda entry: (entry.order, entry.go))


def following(node: Node, topics: Mapping[str, Topic]) -> list[NodeId]:
    """Where she can go from a node by its own buttons."""
    if node.kind is NodeKind.MENU:
        return [entry.go for entry in entries(topics.values(), node.id)] + list(targets(node))
    return list(targets(node))


def parents(nodes: Mapping[NodeId, Node], topics: Mapping[str, Topic]) -> dict[NodeId, NodeId]:
    """Where *back* leads from each node: the screen nearest to home that leads here.

    What no button leads to goes back home; an explicit `back` wins.
    """
    found: dict[NodeId, NodeId] = {START: START, HOME: HOME}
    _spread(START, nodes, topics, found, lambda node: node.id != HOME)
    _spread(HOME, nodes, topics, found, lambda node: node.kind not in GATE)
    for root in (DANGER, *SYSTEM):
        if root in nodes and root not in found:
            found[root] = HOME
        if root in nodes:
            _spread(root, nodes, topics, found, lambda node: node.kind not in GATE)
    del found[START], found[HOME]
    found.update({node.id: node.back for node in nodes.values() if node.back is not None})
    return found


def _spread(
    root: NodeId,
    nodes: Mapping[NodeId, Node],
    topics: Mapping[str, Topic],
    found: dict[NodeId, NodeId],
    enters: Callable[[Node], bool],
) -> None:
    """Breadth first from `root`; through doors the parent stays the last screen."""
    queue: deque[tuple[NodeId, NodeId]] = deque([(root, root)])
    while queue:
        node_id, screen = queue.popleft()
        node = nodes[node_id]
        here = screen if node.kind in DOORS else node_id
        for target in following(node, topics):
            if target in nodes and target not in found and enters(nodes[target]):
                found[target] = here
                queue.append((target, here))


def circles(nodes: Mapping[NodeId, Node]) -> list[list[NodeId]]:
    """Doors that lead only to one another, so that no screen would ever come."""
    doors = {
        node.id: [t for t in targets(node) if t in nodes and nodes[t].kind in DOORS]
        for node in nodes.values()
        if node.kind in DOORS
    }
    found: list[list[NodeId]] = []
    while True:
        try:
            TopologicalSorter(doors).prepare()
        except CycleError as error:
            circle = list(reversed(error.args[1][1:]))
            found.append(circle)
            doors = {node: leads for node, leads in doors.items() if node not in circle}
            continue
        return found
