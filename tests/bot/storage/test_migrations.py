"""A migrated database is the one that the tables describe; a strange one is refused."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, TypeVar

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Connection, MetaData, Table, inspect, select, text
from sqlalchemy.ext.asyncio import AsyncConnection

from bot.privacy.vault import Vault
from bot.storage.engine import connect, writing
from bot.storage.migrate import _config, migrate, newest
from bot.storage.records import (
    MessageState,
    NewerDatabase,
    NotMigrated,
    StaffMember,
    StaffState,
    Wish,
)
from bot.storage.store import Store
from bot.storage.tables import metadata
from tests import postgres
from tests.bot.storage.conftest import Clock

T = TypeVar("T")


@pytest.fixture
def empty(url: str, tmp_path: Path) -> Iterator[str]:
    """Beside `url`, a database with nothing in it, not even tables."""
    if url.startswith("sqlite"):
        yield f"sqlite:///{tmp_path / 'empty.db'}"
        return
    address = postgres.empty(url)
    yield address
    postgres.drop(address)


@asynccontextmanager
async def writer(address: str) -> AsyncIterator[AsyncConnection]:
    engine = connect(address)
    try:
        async with writing(engine).begin() as connection:
            yield connection
    finally:
        await engine.dispose()


async def on(address: str, work: Callable[[Connection], T]) -> T:
    async with writer(address) as connection:
        return await connection.run_sync(work)


def described(connection: Connection) -> dict[str, Any]:
    """Every table as it is now, however many migrations made it: columns, keys and indexes."""
    found = inspect(connection)
    return {
        table: {
            "columns": {c["name"]: repr({**c, "type": repr(c["type"])})
                        for c in found.get_columns(table)},
            "key": found.get_pk_constraint(table),
            "foreign": sorted(map(repr, found.get_foreign_keys(table))),
            "unique": sorted(map(repr, found.get_unique_constraints(table))),
            "indexes": sorted(
                repr({**i, "dialect_options": {k: str(v) for k, v in i["dialect_options"].items()}})
                for i in found.get_indexes(table)
            ),
        }
        for table in found.get_table_names() if table != "alembic_version"
    }  # fmt: skip


def automatic(connection: Connection) -> list[str]:
    """The tables in which SQLite never uses an id again; on PostgreSQL that is every sequence."""
    if connection.dialect.name != "sqlite":
        return []
    found = connection.execute(text("SELECT name, sql FROM sqlite_master WHERE sql IS NOT NULL"))
    return sorted(row.name for row in found if "AUTOINCREMENT" in row.sql)


async def test_a_migrated_schema_is_the_fresh_one(url: str, empty: str) -> None:
    await on(empty, metadata.create_all)
    fresh = await on(empty, described)
    assert len(fresh) > 15
    assert await on(url, described) == fresh
    assert await on(url, automatic) == await on(empty, automatic)


async def test_alembic_finds_nothing_left_to_migrate(url: str) -> None:
    def compared(connection: Connection) -> list[Any]:
        options = {"compare_type": True, "compare_server_default": True}
        return compare_metadata(MigrationContext.configure(connection, opts=options), metadata)

    assert await on(url, compared) == []


async def test_a_shipped_database_with_rows_is_upgraded_and_goes_on(
    store: Store, url: str, empty: str, maria: StaffMember, vault: Vault, clock: Clock
) -> None:
    """It stands at 0003, the last revision that was in use before several processes were."""
    case = await store.open_case("web", "4711", "bg", None, "rse27", "тиха река")
    await store.claim(case.id, maria.id)
    said = await store.add_from_woman(case.id, "Той идва", "k")
    reply = await store.add_reply(case.id, maria.id, "Тук съм", "k")

    def to_0003(connection: Connection) -> None:
        config = _config()
        config.attributes["connection"] = connection
        command.upgrade(config, "0003")

    await on(empty, to_0003)
    async with store._database.read() as source, writer(empty) as target:
        old = MetaData()
        await target.run_sync(old.reflect)
        assert "workers" not in old.tables
        for table in metadata.sorted_tables:
            if table.name in old.tables:
                await _copied(source, target, table, old.tables[table.name])
    assert migrate(empty) is False
    upgraded = await Store.open(empty, vault, clock)
    assert await upgraded.messages(case.id) == [said, reply]
    assert await upgraded.case_of("web", "4711") == await store.case_of("web", "4711")
    (due,) = await upgraded.due(clock())
    assert due.message == reply
    await upgraded.settle(due.outbox_id, MessageState.SENT)
    new = await upgraded.add_reply(case.id, maria.id, "Пиши ми", "k2")
    (due,) = await upgraded.due(clock())
    assert due.message == new
    await upgraded.close()


async def test_who_was_frozen_before_the_update_is_to_leave_the_group(
    store: Store, url: str, empty: str, maria: StaffMember, elena: StaffMember, vault: Vault,
    clock: Clock,
) -> None:  # fmt: skip
    for member, phone in ((maria, "7000001"), (elena, "7000002")):
        await store.offer_bell(member.id, b"code", clock.moment.replace(year=2027))
        assert await store.link_bell(b"code", phone)
    await store.set_staff_state(maria.id, StaffState.FROZEN)

    def to_0005(connection: Connection) -> None:
        config = _config()
        config.attributes["connection"] = connection
        command.upgrade(config, "0005")

    await on(empty, to_0005)
    async with store._database.read() as source, writer(empty) as target:
        old = MetaData()
        await target.run_sync(old.reflect)
        await _copied(source, target, metadata.tables["staff"], old.tables["staff"])
    migrate(empty)
    upgraded = await Store.open(empty, vault, clock)
    (note,) = await upgraded.group_notes()
    assert (note.name, note.wish, note.address) == ("maria", Wish.OUT, "7000001")
    await upgraded.close()


async def test_who_is_logged_in_at_the_update_stays_so_for_two_hours_and_is_no_stranger(
    store: Store, url: str, empty: str, maria: StaffMember, vault: Vault, clock: Clock
) -> None:
    await store.add_session(b"s", maria.id, datetime.now(UTC) + timedelta(days=9999))

    def to_0008(connection: Connection) -> None:
        config = _config()
        config.attributes["connection"] = connection
        command.upgrade(config, "0008")

    await on(empty, to_0008)
    async with store._database.read() as source, writer(empty) as target:
        old = MetaData()
        await target.run_sync(old.reflect)
        for name in ("staff", "sessions"):
            await _copied(source, target, metadata.tables[name], old.tables[name])
    migrate(empty)
    upgraded = await Store.open(empty, vault, clock)
    session = await upgraded.session(b"s")
    assert session is not None
    assert session.seen_at is not None
    assert abs(session.seen_at - datetime.now(UTC)) < timedelta(hours=1)
    found = await upgraded.credentials("maria")
    assert found is not None
    assert found.known_since is None
    await upgraded.close()


async def _copied(
    source: AsyncConnection, target: AsyncConnection, table: Table, old: Table
) -> None:
    """All rows, as far as the older table has room for them; an id is given anew."""
    names = [c.name for c in old.columns if not (c.name == "id" and c.autoincrement is True)]
    kept = select(*(table.c[name] for name in names if name in table.c))
    numbered = table.c.id if "id" in table.c and table.c.id.type.python_type is int else None
    for row in (await source.execute(kept)).mappings():
        values = {name: row[name] for name in row if numbered is None or name != "id"}
        await target.execute(table.insert().values(values))


async def test_migrating_works_inside_a_running_loop_and_twice(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/a%2520b.db"  # a percent sign in the path
    assert migrate(url)
    assert not migrate(url)
    assert (tmp_path / "a%20b.db").stat().st_mode & 0o077 == 0


async def test_a_database_that_was_never_migrated_is_refused_in_one_sentence(
    empty: str, vault: Vault, clock: Clock
) -> None:
    with pytest.raises(NotMigrated, match="phen migrate"):
        await Store.open(empty, vault, clock)


async def test_a_database_from_a_newer_version_is_refused_and_left_alone(
    empty: str, vault: Vault, clock: Clock
) -> None:
    migrate(empty)
    async with writer(empty) as connection:
        await connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(NewerDatabase, match="newer version"):
        await Store.open(empty, vault, clock)
    with pytest.raises(NewerDatabase, match="newer version"):
        migrate(empty)


async def test_a_migration_that_fails_leaves_nothing_behind(empty: str) -> None:
    async with writer(empty) as connection:
        await connection.execute(text("CREATE TABLE audit (mine integer)"))
    with pytest.raises(Exception, match="audit"):
        migrate(empty)
    assert await on(empty, lambda connection: inspect(connection).get_table_names()) == ["audit"]
    assert newest() == "0009"
