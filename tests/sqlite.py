"""An empty SQLite database for each test, migrated once: that takes longer than most tests."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

from bot.storage.migrate import migrate


def migrated(file: Path) -> str:
    """The address of a migrated database: with no rows, unless it is there already."""
    if not file.exists():
        file.write_bytes(_empty())
    return f"sqlite:///{file}"


@cache
def _empty() -> bytes:
    with TemporaryDirectory() as folder:
        file = Path(folder, "phen.db")
        migrate(f"sqlite:///{file}")
        return file.read_bytes()
