"""How long a button's payload can get: bounded by what can be asked, not by trying."""

from __future__ import annotations

from collections.abc import Mapping

from dialogs import links
from dialogs.model import (
    DANGER,
    MISS_SLOT,
    OUTSIDE_SLOT,
    PAGE_SLOT,
    PLACE_SLOT,
    START,
    Content,
    Node,
    NodeId,
    NodeKind,
)
from dialogs.payload import to_base36

_LINK_SLOT, _LINK_LENGTH = "d", 5
_STAMP = "z" * 6
"""Minutes since 1970 in base 36 need six digits until the year 6000."""


def longest_payloads(content: Content) -> dict[NodeId, str]:
    """By node, the longest payload that leads there."""
    language = max(content.languages, key=len)
    longest = {}
    for node, slots in carried(content).items():
        answers = "-".join(f"{slot}.{value}" for slot, value in sorted(slots.items()))
        longest[node] = f"{language}:{node}:{answers}:{_STAMP}"
    return longest


def carried(content: Content) -> Mapping[NodeId, Mapping[str, str]]:
    """By node, the answers that can have been given when she gets there, each at its longest.

    Answers go along within a topic, by *back* too, and are left behind where it ends.
    """
    found: dict[NodeId, dict[str, str]] = {
        node.id: _asked(content, node) for node in content.nodes.values()
    }
    found[DANGER][OUTSIDE_SLOT] = "1"
    for node_id in ("not_understood", "not_understood_again"):
        if node_id in found:
            found[node_id][MISS_SLOT] = "1"
    changed = True
    while changed:
        changed = False
        for node in content.nodes.values():
            for target in _next(content, node):
                news = {s: v for s, v in found[node.id].items() if s not in (PAGE_SLOT, MISS_SLOT)}
                merged = _longest(found[target], news)
                if merged != found[target]:
                    found[target] = merged
                    changed = True
    return found


def _asked(content: Content, node: Node) -> dict[str, str]:
    """What is answered on the node itself, and carried by its own buttons."""
    if node.id == START:
        return {_LINK_SLOT: "z" * _LINK_LENGTH}
    if node.kind is NodeKind.MENU:
        return {PAGE_SLOT: "9"}
    if node.kind is NodeKind.PLACES:
        return {PAGE_SLOT: "99", PLACE_SLOT: max(content.places, key=len, default="")}
    if node.slot is None:
        return {}
    if node.kind is NodeKind.CHECKLIST:
        return {node.slot: to_base36((1 << len(node.items)) - 1)}
    return {node.slot: max((choice.value or "" for choice in node.choices), key=len, default="")}


def _next(content: Content, node: Node) -> list[NodeId]:
    back = content.parents.get(node.id)
    targets = [*links.following(node, content.topics), *([back] if back is not None else [])]
    return [t for t in targets if t in content.nodes and content.nodes[t].topic == node.topic]


def _longest(one: Mapping[str, str], other: Mapping[str, str]) -> dict[str, str]:
    return {slot: max(one.get(slot, ""), other.get(slot, ""), key=len) for slot in {*one, *other}}
