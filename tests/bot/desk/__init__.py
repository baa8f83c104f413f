"""The desk on a real store: what its tests stand on."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pyotp
from argon2 import PasswordHasher

from bot.broadcasts import Broadcasting
from bot.channels import telegram, viber
from bot.desk.accounts import Accounts
from bot.desk.service import Desk
from bot.live import Changes
from bot.privacy.vault import Vault
from bot.storage.records import Case, MessageState, Role, StaffMember
from bot.storage.store import Store
from bot.texts import open_content
from tests.sqlite import migrated

PASSWORD = "four quiet green boats"
CONSULTANT = (Role.CONSULTANT,)
RINGING = {telegram.NAME: telegram.LIMITS, viber.ViberChannel.name: viber.LIMITS}
QUICK = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)


@dataclass(slots=True)
class Clock:
    """The time that everything goes by."""

    at: datetime = datetime(2026, 11, 22, 9, 0, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.at

    def passes(self, **how_much: float) -> None:
        self.at += timedelta(**how_much)


@dataclass(slots=True)
class Centre:
    """A centre with a desk, and whom it has invited."""

    store: Store
    vault: Vault
    clock: Clock
    changes: Changes
    accounts: Accounts
    desk: Desk
    broadcasts: Broadcasting
    woken: list[None]
    secrets: dict[str, str] = field(default_factory=dict)

    async def person(
        self, login: str, roles: Iterable[Role] = CONSULTANT, alias: str = ""
    ) -> StaffMember:
        """Somebody who has accepted her invitation."""
        await self.session_of(login, roles, alias)
        member = await self.store.staff_by_login(login)
        assert member is not None
        return member

    async def session_of(
        self, login: str, roles: Iterable[Role] = CONSULTANT, alias: str = ""
    ) -> str:
        """The session in which somebody has just accepted her invitation."""
        token = await self.accounts.invite(login, roles, alias)
        enrolment = await self.accounts.accept(token, PASSWORD)
        self.secrets[login] = enrolment.secret
        return await self.accounts.confirm(token, enrolment.sealed, self.code(login))

    def code(self, login: str) -> str:
        return pyotp.TOTP(self.secrets[login]).at(self.clock.at)

    async def woman(self, name: str, *said: str, language: str = "bg") -> Case:
        """A woman who asked for a human and wrote."""
        case = await self.store.open_case("web", name, language, "topic.order", "rse27", name)
        for number, text in enumerate(said):
            await self.store.add_from_woman(case.id, text, f"{name}{number}")
        return await self.case(case)

    async def case(self, case: Case) -> Case:
        found = await self.store.case(case.id)
        assert found is not None
        return found

    async def send_all(self, state: MessageState = MessageState.SENT) -> list[str]:
        """Send what is due, as the delivery would, with this outcome; the texts that went out."""
        texts: list[str] = []
        while due := await self.store.due(self.clock()):
            for one in due:
                if await self.store.take(one.outbox_id, "here"):
                    await self.store.settle(one.outbox_id, state)
                    texts.append(one.message.text)
            if state is not MessageState.SENT:
                break
        return texts

    async def audited(self) -> list[tuple[str | None, str]]:
        return [(entry.staff_id, entry.action) for entry in await self.store.audits(100)]


@asynccontextmanager
async def a_centre(folder: Path) -> AsyncIterator[Centre]:
    """A centre on a database of its own."""
    url = migrated(folder / "phen.db")
    vault = Vault.open(folder / "keys" / "master.key", create=True)
    clock, changes, woken = Clock(), Changes(), list[None]()
    store = await Store.open(url, vault, clock)
    accounts = Accounts(store, vault, clock, QUICK)
    desk = Desk(store, changes, clock, lambda: woken.append(None), open_content()[1])
    broadcasts = Broadcasting(store, *open_content(), RINGING, clock, lambda: woken.append(None))
    try:
        yield Centre(store, vault, clock, changes, accounts, desk, broadcasts, woken)
    finally:
        await store.close()
