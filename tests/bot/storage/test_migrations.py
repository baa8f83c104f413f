"""A migrated database is the one that the tables describe; a strange one is refused."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import create_engine, inspect

from bot.privacy.vault import Vault
from bot.storage.migrate import migrate, newest
from bot.storage.records import NewerDatabase, NotMigrated
from bot.storage.store import Store
from bot.storage.tables import metadata
from tests.bot.storage.conftest import Clock


def schema(file: Path) -> dict[tuple[str, str], str]:
    """Every table and index as SQLite keeps it, without the order of a table's lines."""
    with closing(sqlite3.connect(file)) as connection:
        found = connection.execute("SELECT type, name, sql FROM sqlite_master").fetchall()
    return {
        (kind, name): "\n".join(sorted(line.strip().rstrip(",") for line in sql.splitlines()))
        for kind, name, sql in found
        if sql and name not in ("alembic_version", "sqlite_sequence")
    }


def described(file: Path) -> dict[str, Any]:
    """Every table as it is now, however many migrations made it: columns, keys and indexes."""
    engine = create_engine(f"sqlite:///{file}")
    try:
        found = inspect(engine)
        return {
            table: {
                "columns": {c["name"]: repr({**c, "type": str(c["type"])})
                            for c in found.get_columns(table)},
                "key": found.get_pk_constraint(table),
                "foreign": sorted(map(repr, found.get_foreign_keys(table))),
                "unique": sorted(map(repr, found.get_unique_constraints(table))),
                "indexes": sorted(sql for (kind, _), sql in schema(file).items()
                                  if kind == "index" and f" ON {table} " in sql),
            }
            for table in found.get_table_names() if table != "alembic_version"
        }  # fmt: skip
    finally:
        engine.dispose()


def test_a_migrated_schema_is_the_fresh_one(empty_database: Path, tmp_path: Path) -> None:
    fresh = tmp_path / "fresh.db"
    engine = create_engine(f"sqlite:///{fresh}")
    metadata.create_all(engine)
    engine.dispose()
    assert len(described(fresh)) > 15
    assert described(empty_database) == described(fresh)


def test_alembic_finds_nothing_left_to_migrate(empty_database: Path) -> None:
    engine = create_engine(f"sqlite:///{empty_database}")
    with engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, metadata) == []
    engine.dispose()


async def test_migrating_works_inside_a_running_loop_and_twice(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/a%2520b.db"  # a percent sign in the path
    migrate(url)
    migrate(url)
    assert (tmp_path / "a%20b.db").stat().st_mode & 0o077 == 0


async def test_a_database_that_was_never_migrated_is_refused_in_one_sentence(
    tmp_path: Path, vault: Vault, clock: Clock
) -> None:
    with pytest.raises(NotMigrated, match="phen migrate"):
        await Store.open(f"sqlite:///{tmp_path}/none.db", vault, clock)


async def test_a_database_from_a_newer_version_is_refused_and_left_alone(
    file: Path, vault: Vault, clock: Clock
) -> None:
    with closing(sqlite3.connect(file)) as connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
        connection.commit()
    with pytest.raises(NewerDatabase, match="newer version"):
        await Store.open(f"sqlite:///{file}", vault, clock)
    with pytest.raises(NewerDatabase, match="newer version"):
        migrate(f"sqlite:///{file}")


def test_a_migration_that_fails_leaves_nothing_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "phen.db"
    with closing(sqlite3.connect(file)) as connection:
        connection.execute("CREATE TABLE audit (mine)")
    with pytest.raises(Exception, match="audit"):
        migrate(f"sqlite:///{file}")
    assert [name for _, name in schema(file)] == ["audit"]
    assert newest() == "0004"
