"""What a running program keeps on its disk: rows, files, bytes."""

from __future__ import annotations

import hashlib
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

from tests.acceptance.program import Program


def dump(program: Program, folder: Path) -> dict[str, list[tuple[Any, ...]]]:
    """Every row of every table, of a copy that holds what still stands in the log."""
    copy = folder / "copy.db"
    with closing(sqlite3.connect(program.database)) as live, closing(sqlite3.connect(copy)) as to:
        live.backup(to)
        names = [name for (name,) in to.execute("SELECT name FROM sqlite_master WHERE rootpage")]
        tables = [n for (n,) in to.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        assert {"cases", "messages", "handles", "audit", "sessions"} <= set(names)
        rows = {table: sorted(to.execute(f"SELECT * FROM {table}"), key=repr) for table in tables}
    copy.unlink()
    return rows


def files(program: Program) -> dict[str, str]:
    """Every file of the data folder with what it holds; the database's own are in the dump."""
    return {
        str(path.relative_to(program.data)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(program.data.rglob("*"))
        if path.is_file() and not path.name.startswith("phen.db")
    }


def database_files(program: Program) -> dict[str, str]:
    """The database byte by byte; `-shm` holds who reads now."""
    return {
        path.name: hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(program.data.glob("phen.db*"))
        if not path.name.endswith("-shm")
    }


def connected(folder: Path) -> sqlite3.Connection:
    """Somebody else's connection to a line's database."""
    return sqlite3.connect(folder / "phen.db", isolation_level=None, check_same_thread=False)
