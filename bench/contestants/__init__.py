"""Who is compared: one module each, with `run(told)`; each is started as a process of its own."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from bench.tree import Tree


@dataclass(frozen=True, slots=True)
class Told:
    """What a contestant is told: the platform's address, its token, the screens, a folder."""

    api: str
    token: str
    tree: Tree
    folder: Path
    database: str = ""
