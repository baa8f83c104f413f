"""A store on a real SQLite file, a clock that the test moves, and two consultants."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from bot.privacy.vault import Vault
from bot.storage.migrate import migrate
from bot.storage.records import Role, StaffMember
from bot.storage.store import Store

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


@pytest.fixture
async def store(file: Path, vault: Vault, clock: Clock) -> AsyncIterator[Store]:
    opened = await Store.open(f"sqlite:///{file}", vault, clock)
    yield opened
    await opened.close()


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
