"""Content of many nodes: how long it takes to load, and how long one step in it takes.

`python -m bench.pages NODES` prints one line of JSON; without nodes it is the present content.
"""

from __future__ import annotations

import json
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from dialogs import engine, load
from dialogs.model import HOME, SOURCE_LANGUAGE, Content, Event, NodeKind, Position, Tapped, Typed

A_TOPIC = 100
"""Nodes in one file."""
TAPS, WORDS = 2000, 40
TYPED = "той ми взема парите и не ме пуска да изляза"
_NODE = """
  - id: {name}
    name: Страница {number}
    words: [страница {number}, дума {number} и още една]
    text: |
      Това е страница {number}. Тя има няколко кратки изречения.

      Избери какво искаш да прочетеш. Никой не те бърза.
    choices:
      - say: Напред
        go: {next}
      - say: Нататък
        go: {later}
      - say: В началото
        go: home
"""


def grown(folder: Path, nodes: int) -> Path:
    """A copy of the present content with so many nodes more, each with text, words and choices."""
    copy = folder / "dialogs"
    shutil.copytree(load.FOLDER, copy)
    for topic in range(-(-nodes // A_TOPIC)):
        size = min(A_TOPIC, nodes - topic * A_TOPIC)
        written = [
            _NODE.format(
                name=f"many{topic}_{n}",
                number=topic * A_TOPIC + n,
                next=f"many{topic}_{(n + 1) % size}",
                later=f"many{topic}_{(n + 7) % size}",
            )
            for n in range(size)
        ]
        head = f"topic: many{topic}\ntitle: Тема {topic}\npicture: home\n\nnodes:\n"
        (copy / "topics" / f"many{topic}.yaml").write_text(head + "\n".join(written), "utf-8")
    return copy


def measure(nodes: int) -> dict[str, float]:
    """Seconds: to load, for a tap, and for what she typed; the median of each."""
    with tempfile.TemporaryDirectory() as folder:
        files = grown(Path(folder), nodes) if nodes else load.FOLDER
        began = time.perf_counter()
        content = load.load(files, load.FOLDER.parent / "locales")
        loaded = time.perf_counter() - began
    pages = [name for name, node in content.nodes.items() if node.kind is NodeKind.PAGE]
    home = Position(SOURCE_LANGUAGE, HOME)
    # As the conversation asks for it: the content of today, then the step.
    tap = _each(content, [Tapped(home.to(name)) for name in (pages * TAPS)[:TAPS]])
    typed = _each(content, [Typed(TYPED)] * WORDS)
    return {"nodes": len(content.nodes), "load": loaded, "tap": tap, "typed": typed}


def _each(content: Content, events: Sequence[Event]) -> float:
    home, day = Position(SOURCE_LANGUAGE, HOME), datetime.now(UTC).date()
    took = []
    for event in events:
        began = time.perf_counter()
        engine.step(load.on(content, day), home, event)
        took.append(time.perf_counter() - began)
    return statistics.median(took)


if __name__ == "__main__":
    print(json.dumps(measure(int((*sys.argv[1:], "0")[0]))))
