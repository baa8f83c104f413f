"""An empty SQLite database for each test, migrated once: that takes longer than most tests."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

from bot.storage.migrate import migrate


def fresh(file: Path) -> str:
    """Make a migrated database with no rows; its address."""
    file.write_bytes(_migrated())
    return f"sqlite:///{file}"


@cache
def _migrated() -> bytes:
    with TemporaryDirectory() as folder:
        file = Path(folder, "phen.db")
        migrate(f"sqlite:///{file}")
        return file.read_bytes()
