"""A store on a real database, a clock that the test moves, and two consultants.

Every test of the store runs on SQLite and on PostgreSQL. One that asks for `file` is about
SQLite's own files, and runs there only.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import text

from bot.privacy.vault import Vault
from bot.storage.migrate import migrate
from bot.storage.records import Role, StaffMember
from bot.storage.store import Store
from tests.postgres import Server, drop, fresh, wipe

NOON = datetime(2026, 11, 22, 12, 34, 56, 789, tzinfo=UTC)


class Clock:
    def __init__(self) -> None:
        self.moment = NOON

    def __call__(self) -> datetime:
        return self.moment

    def forward(self, **span: float) -> datetime:
        self.moment += timedelta(**span)
        return self.moment


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def vault(tmp_path: Path) -> Vault:
    return Vault.open(tmp_path / "keys" / "master.key", create=True)


@pytest.fixture(scope="session")
def empty_database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("schema") / "phen.db"
    migrate(f"sqlite:///{file}")
    return file


@pytest.fixture
def file(tmp_path: Path, empty_database: Path) -> Path:
    """A migrated database of this test's own."""
    copy = tmp_path / "phen.db"
    copy.write_bytes(empty_database.read_bytes())
    return copy


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "url" in metafunc.fixturenames:
        both = ["sqlite"] if "file" in metafunc.fixturenames else ["sqlite", "postgres"]
        metafunc.parametrize("url", both, indirect=True)


@pytest.fixture(scope="session")
def reused(postgres_server: Server) -> Iterator[str]:
    """One database for test after test: a new one for each takes the server a third of a second."""
    address = fresh(postgres_server.url)
    yield address
    drop(address)


@pytest.fixture
def url(request: pytest.FixtureRequest) -> str:
    """The address of a migrated database with no rows. Its rows may be changed, and no more."""
    if request.param == "sqlite":
        return f"sqlite:///{request.getfixturevalue('file')}"
    address: str = request.getfixturevalue("reused")
    wipe(address)
    return address


@pytest.fixture
async def store(url: str, vault: Vault, clock: Clock) -> AsyncIterator[Store]:
    opened = await Store.open(url, vault, clock)
    yield opened
    await opened.close()


async def rows(store: Store, statement: str, **values: object) -> list[tuple[object, ...]]:
    """What stands in the database, beside the store's own methods; or a change there."""
    async with store._database.write() as connection:
        done = await connection.execute(text(statement), values)
        return [tuple(row) for row in done] if done.returns_rows else []


async def everything(store: Store) -> set[tuple[object, ...]]:
    """All rows of all tables."""
    found: set[tuple[object, ...]] = set()
    for name in await store.counts():
        found |= {(name, *row) for row in await rows(store, f"SELECT * FROM {name}")}
    return found


async def consultant(store: Store, login: str) -> StaffMember:
    expires = store._now() + timedelta(days=1)
    invited = await store.add_staff(login, "Мария", [Role.CONSULTANT], login.encode(), expires)
    assert await store.accept_invite(invited.id, "argon2-hash", "TOTPSECRET")
    member = await store.staff(invited.id)
    assert member is not None
    return member


@pytest.fixture
async def maria(store: Store) -> StaffMember:
    return await consultant(store, "maria")


@pytest.fixture
async def elena(store: Store) -> StaffMember:
    return await consultant(store, "elena")
