"""The door of the centre's people: sessions, logins that failed, and who was shut out."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from bot.privacy.retention import AUDIT
from bot.privacy.vault import Vault
from bot.storage.part import Part, member_of, new_id
from bot.storage.records import AuditEntry, StaffMember, StaffState
from bot.storage.tables import audit, failed_logins, former_logins, sessions, staff

SHUT, FLOODED = "login.shut", "login.flooded"
"""In the audit: a name was tried too often; or so many were that no stranger is let try."""


@dataclass(frozen=True, slots=True)
class Credentials:
    """What a login is checked against."""

    staff: StaffMember
    password_hash: str = field(repr=False)
    totp_secret: str = field(repr=False)
    last_totp_step: int | None
    known_since: datetime | None  # a browser that knows her from before is a stranger's


@dataclass(frozen=True, slots=True)
class Session:
    """Whose session, and about when she last did something in it; None: it was ended for her."""

    staff: StaffMember
    seen_at: datetime | None


class Sessions(Part):
    """Who is logged in, and who tries to be."""

    # --- sessions ----------------------------------------------------------------------------

    async def add_session(self, token_hash: bytes, staff_id: str, expires_at: datetime) -> None:
        """Somebody logged in; only her token's hash is kept."""
        new = {"token_hash": token_hash, "staff_id": staff_id, "expires_at": expires_at}
        async with self._database.write() as connection:
            await connection.execute(sessions.insert().values(**new, seen_at=self._now()))

    async def session(self, token_hash: bytes) -> Session | None:
        """Whose session this is or was, until it would have run out."""
        query = (
            select(sessions.c.seen_at, staff)
            .join_from(sessions, staff, staff.c.id == sessions.c.staff_id)
            .where(sessions.c.token_hash == token_hash, sessions.c.expires_at > self._now())
        )
        async with self._database.read() as connection:
            row = (await connection.execute(query)).one_or_none()
        return None if row is None else Session(member_of(row), row.seen_at)

    async def session_seen(self, token_hash: bytes) -> None:
        """She does something in it now; it does not bring back one that was ended for her."""
        lives = sessions.c.token_hash == token_hash, sessions.c.seen_at.is_not(None)
        async with self._database.write() as connection:
            await connection.execute(sessions.update().where(*lives).values(seen_at=self._now()))

    async def end_session(self, token_hash: bytes) -> None:
        """She logged out."""
        async with self._database.write() as connection:
            await connection.execute(sessions.delete().where(sessions.c.token_hash == token_hash))

    # --- logins that failed ------------------------------------------------------------------

    async def failed_logins(self, login: str, browser: str, since: datetime) -> tuple[int, int]:
        """How often this login failed since then in this browser, and how often any did anywhere.

        `browser` is empty for all those that do not know her.
        """
        key = login_key(self._vault, login, browser)
        async with self._database.read() as connection:
            return await _failures(connection, key, since)

    async def login_failed(
        self, login: str, browser: str, since: datetime, most: int, most_in_all: int
    ) -> list[str]:
        """Keep that a login failed. What the audit says of that now, and had not since then.

        One transaction, whoever it was: how long it takes tells nobody which names there are.
        """
        now, key = self._now(), login_key(self._vault, login, browser)
        by_login = select(staff.c.id, staff.c.state).where(staff.c.login == login)
        was_hers = former_logins.c.login_key == login_key(self._vault, login)
        by_former = select(former_logins.c.staff_id).where(was_hers, former_logins.c.until > now)
        noted: list[str] = []
        async with self._database.write() as connection:
            new = {"id": new_id(), "login_key": key, "at": now}
            await connection.execute(failed_logins.insert().values(**new))
            of_name, in_all = await _failures(connection, key, since)
            hers = (await connection.execute(by_login)).one_or_none()
            former = (await connection.execute(by_former)).scalar_one_or_none()
            if hers is not None and hers.state == StaffState.ACTIVE and of_name >= most:
                noted += await _once(connection, now, since, hers.id, action=SHUT)
            elif hers is not None and hers.state == StaffState.FROZEN:
                noted += await _once(connection, now, since, hers.id, action="refused.frozen")
            elif hers is None and former is not None:
                noted += await _once(connection, now, since, former, action="refused.removed")
            if in_all >= most_in_all:
                noted += await _once(connection, now, since, None, action=FLOODED)
        return noted

    async def audit_once(self, staff_id: str, action: str, since: datetime) -> None:
        """Write down who did what, unless that stands there since then."""
        async with self._database.read() as connection:
            if await _stands(connection, since, staff_id, action):
                return
        async with self._database.write() as connection:
            await _once(connection, self._now(), since, staff_id, action)

    async def tried_too_often(self, since: datetime) -> list[AuditEntry]:
        """Whose login was shut since then, each with the last time; None: all strangers' were."""
        query = (
            select(audit.c.staff_id, audit.c.action, func.max(audit.c.at).label("at"))
            .where(audit.c.action.in_((SHUT, FLOODED)), audit.c.at > since)
            .group_by(audit.c.staff_id, audit.c.action)
        )
        async with self._database.read() as connection:
            rows = (await connection.execute(query)).all()
        return [AuditEntry(row.at, row.staff_id, row.action, None) for row in rows]


def login_key(vault: Vault, login: str, browser: str = "") -> bytes:
    """Under what a login's failures are counted, in one browser or in all that are strangers'."""
    return vault.mac("login", login, browser)


async def end_for(connection: AsyncConnection, staff_id: str) -> None:
    """Her sessions are over. Until they would have run out it is known that they were hers."""
    hers = sessions.c.staff_id == staff_id
    await connection.execute(sessions.update().where(hers).values(seen_at=None))


async def remember_login(
    connection: AsyncConnection, vault: Vault, staff_id: str, now: datetime
) -> None:
    """Before she is removed: who tries her login is written down, for as long as the audit is."""
    query = select(staff.c.login).where(staff.c.id == staff_id, staff.c.state != StaffState.REMOVED)
    login = (await connection.execute(query)).scalar_one_or_none()
    if login is None:
        return
    key = login_key(vault, login)
    await connection.execute(former_logins.delete().where(former_logins.c.login_key == key))
    await connection.execute(
        former_logins.insert().values(login_key=key, staff_id=staff_id, until=now + AUDIT)
    )


async def _failures(connection: AsyncConnection, key: bytes, since: datetime) -> tuple[int, int]:
    of_it = func.count().filter(failed_logins.c.login_key == key)
    query = select(of_it, func.count()).select_from(failed_logins)
    row = (await connection.execute(query.where(failed_logins.c.at >= since))).one()
    return row[0], row[1]


async def _stands(
    connection: AsyncConnection, since: datetime, staff_id: str | None, action: str
) -> bool:
    query = select(audit.c.id).where(
        audit.c.staff_id == staff_id, audit.c.action == action, audit.c.at > since
    )
    return (await connection.execute(query.limit(1))).first() is not None


async def _once(
    connection: AsyncConnection, now: datetime, since: datetime, staff_id: str | None, action: str
) -> list[str]:
    if await _stands(connection, since, staff_id, action):
        return []
    await connection.execute(audit.insert().values(at=now, staff_id=staff_id, action=action))
    return [action]
