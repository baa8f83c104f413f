"""How far she is from where: what can be reached at all, and how many taps 112 is away."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping

from dialogs import links
from dialogs.build import facts_in
from dialogs.model import DANGER, HIDE, START, Content, Node, NodeId, NodeKind, TextId

EMERGENCY = "112"


def reachable(content: Content) -> frozenset[NodeId]:
    """Every node to which buttons lead from the cover, or that the line shows by itself."""
    queue = deque(name for name in (START, DANGER, HIDE, *links.SYSTEM) if name in content.nodes)
    found = set(queue)
    while queue:
        node = content.nodes[queue.popleft()]
        for target in links.following(node, content.topics):
            if target in content.nodes and target not in found:
                found.add(target)
                queue.append(target)
    return frozenset(found)


def taps_to_danger(content: Content) -> Mapping[NodeId, int]:
    """How many taps each node is away from a screen that shows 112.

    Behind the gate the marks lead there at once; a cover has only its own buttons. Passing
    through a door costs no tap. Nodes that never get there are not in the answer.
    """
    taps = {node.id: 0 for node in content.nodes.values() if shows_emergency(content, node)}
    for node in content.nodes.values():
        if node.kind is not NodeKind.COVER and node.kind not in links.DOORS and DANGER in taps:
            taps.setdefault(node.id, 1)
    changed = True
    while changed:
        changed = False
        for node in content.nodes.values():
            cost = 0 if node.kind in links.DOORS else 1
            known = [taps[t] for t in links.following(node, content.topics) if t in taps]
            if known and min(known) + cost < taps.get(node.id, len(content.nodes) + 2):
                taps[node.id] = min(known) + cost
                changed = True
    return taps


def shows_emergency(content: Content, node: Node) -> bool:
    """Whether 112 itself stands on the screen, to be read and called, in every kind of chat."""
    if node.kind in links.DOORS:
        return False
    texts = (node.text, node.lasting_text or node.text)
    return all(_names_emergency(content, text) for text in texts)


def _names_emergency(content: Content, text_id: TextId) -> bool:
    source = content.texts.get(text_id)
    if source is None:
        return False
    facts = (content.facts[name] for name in facts_in(source.text) if name in content.facts)
    return EMERGENCY in source.text or any(fact.phone == EMERGENCY for fact in facts)
