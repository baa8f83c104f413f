"""A picture of the dialog for authors: boxes, ways, dead ends, and how far 112 is."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from xml.sax.saxutils import escape, quoteattr

from dialogs import links
from dialogs.model import DANGER, HOME, START, Content, Node, NodeId, NodeKind, TextId
from dialogs.paths import taps_to_danger

WIDTH, HEIGHT = 230, 66
_GAP_X, _GAP_Y, _MARGIN = 110, 22, 24
_WORDS = 30
_STYLE = """
text{font:13px sans-serif;fill:#24323a} .id{font-weight:600} .taps{font-size:11px;fill:#5a6a72}
.box{fill:#f4f7f6;stroke:#7d9a94} .cover .box{fill:#fdf6ea;stroke:#c9ad7f}
.door .box{fill:#e9eef6;stroke:#8797b5;stroke-dasharray:5 3}
.dead .box{stroke:#b4552d;stroke-width:3} .far .taps{fill:#b4552d;font-weight:600}
.other .box{fill:none;stroke:#b8c2c4} .other text{fill:#7a878a}
path{fill:none;stroke:#8aa09b;stroke-width:1.3} .back{stroke-dasharray:3 4;stroke:#b8c2c4}
"""


@dataclass(frozen=True, slots=True)
class Box:
    """A node and where it is drawn."""

    node: Node
    x: int
    y: int
    is_other: bool


def svg(content: Content, say: Callable[[TextId], str], topic: str | None = None) -> str:
    """The drawing of one topic, with the nodes it leads to, or of everything.

    `say` gives the words of a text id. The same content always gives the same drawing.
    Raises `KeyError` for a topic that does not exist.
    """
    boxes = _layout(content, topic)
    taps = taps_to_danger(content)
    width = max(box.x for box in boxes.values()) + WIDTH + _MARGIN
    height = max(box.y for box in boxes.values()) + HEIGHT + _MARGIN
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}"'
            f' width="{width}" height="{height}" role="img">',
            f"<style>{_STYLE}</style>",
            '<defs><marker id="end" viewBox="0 0 8 8" refX="8" refY="4" markerWidth="7"'
            ' markerHeight="7" orient="auto"><path d="M0 0L8 4L0 8"/></marker></defs>',
            *_edges(content, boxes),
            *(_box(content, say, box, taps) for box in boxes.values()),
            "</svg>",
            "",
        ]
    )


def is_dead_end(content: Content, node: Node) -> bool:
    """Whether only the marks lead on from a screen: back, home, 112, hide."""
    shows_choices = node.kind in (NodeKind.LANGUAGES, NodeKind.PLACES, NodeKind.SUGGEST)
    is_screen = node.kind not in links.DOORS and not shows_choices
    return is_screen and not links.following(node, content.topics)


# --- layout ------------------------------------------------------------------------------------


def _layout(content: Content, topic: str | None) -> dict[NodeId, Box]:
    """Columns by the number of taps from the first node, rows by the node's ways in."""
    if topic is not None and topic not in content.topics:
        raise KeyError(topic)
    own = [n.id for n in content.nodes.values() if topic is None or n.topic == topic]
    layers = _layers(content, own, topic)
    columns: dict[int, list[NodeId]] = {}
    for node_id, layer in layers.items():
        columns.setdefault(layer, []).append(node_id)
    boxes: dict[NodeId, Box] = {}
    rows: dict[NodeId, int] = {}
    for layer in sorted(columns):
        ordered = sorted(columns[layer], key=lambda n: (_weight(content, n, rows), n))
        for row, node_id in enumerate(ordered):
            rows[node_id] = row
            x = _MARGIN + layer * (WIDTH + _GAP_X)
            y = _MARGIN + row * (HEIGHT + _GAP_Y)
            boxes[node_id] = Box(content.nodes[node_id], x, y, node_id not in own)
    return boxes


def _layers(content: Content, own: list[NodeId], topic: str | None) -> dict[NodeId, int]:
    inside = set(own)
    found: dict[NodeId, int] = {}
    for root in [*_roots(content, topic), *own]:
        if root not in inside or root in found:
            continue
        found[root] = 0
        queue = deque([root])
        while queue:
            node_id = queue.popleft()
            if node_id not in inside:
                continue  # drawn as a way out, not followed
            for target in links.following(content.nodes[node_id], content.topics):
                if target not in found:
                    found[target] = found[node_id] + 1
                    queue.append(target)
    return found


def _roots(content: Content, topic: str | None) -> list[NodeId]:
    entry = content.topics[topic].entry if topic is not None else None
    return [entry.go] if entry is not None else [START, HOME, DANGER]


def _weight(content: Content, node_id: NodeId, rows: Mapping[NodeId, int]) -> float:
    """The mean row of those who lead here, so that few ways cross."""
    ways = [
        row
        for source, row in rows.items()
        if node_id in links.following(content.nodes[source], content.topics)
    ]
    return sum(ways) / len(ways) if ways else float(len(content.nodes))


# --- drawing -----------------------------------------------------------------------------------


def _edges(content: Content, boxes: Mapping[NodeId, Box]) -> list[str]:
    drawn = []
    for box in boxes.values():
        if box.is_other:
            continue
        for target in dict.fromkeys(links.following(box.node, content.topics)):
            if target in boxes:
                drawn.append(_edge(box, boxes[target]))
    return drawn


def _edge(start: Box, end: Box) -> str:
    y1, y2 = start.y + HEIGHT // 2, end.y + HEIGHT // 2
    if end.x > start.x:
        x1, x2 = start.x + WIDTH, end.x
        bend = (x2 - x1) // 2
        way = f"M{x1} {y1}C{x1 + bend} {y1} {x2 - bend} {y2} {x2} {y2}"
        return f'<path d="{way}" marker-end="url(#end)"/>'
    x1, x2 = start.x + WIDTH // 2, end.x + WIDTH // 2
    y1, y2 = start.y + HEIGHT, end.y + HEIGHT
    low = max(y1, y2) + _GAP_Y
    way = f"M{x1} {y1}C{x1} {low} {x2} {low} {x2} {y2}"
    return f'<path class="back" d="{way}" marker-end="url(#end)"/>'


def _box(
    content: Content, say: Callable[[TextId], str], box: Box, taps: Mapping[NodeId, int]
) -> str:
    node = box.node
    away = taps.get(node.id)
    is_door = node.kind in links.DOORS
    marks = {
        "cover": node.kind is NodeKind.COVER,
        "door": is_door,
        "dead": is_dead_end(content, node),
        "far": not is_door and (away is None or away > 1),
        "other": box.is_other,
    }
    kinds = " ".join(["node", *(name for name, is_so in marks.items() if is_so)])
    told = "" if is_door else f"112: {'∞' if away is None else away}"
    told += " ⊣" if marks["dead"] else ""
    words = _first_words(say(node.text)) if node.text in content.texts else node.kind.value
    lines = [
        f'<g class="{kinds}" id={quoteattr(node.id)} transform="translate({box.x},{box.y})">',
        f"<title>{escape(f'{node.id} · {node.kind.value} · {node.source}')}</title>",
        f'<rect class="box" width="{WIDTH}" height="{HEIGHT}" rx="9"/>',
        f'<text class="id" x="10" y="20">{escape(node.id)}</text>',
        f'<text x="10" y="39">{escape(words)}</text>',
        f'<text class="taps" x="10" y="57">{escape(told)}</text>',
        "</g>",
    ]
    return "".join(lines)


def _first_words(text: str) -> str:
    line = " ".join(text.split())
    if len(line) <= _WORDS:
        return line
    return line[: _WORDS - 1].rsplit(" ", 1)[0].rstrip(".,:;?") + "…"
