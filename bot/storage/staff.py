"""The people of the centre: their accounts, and who did what."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from sqlalchemy import or_, select
from sqlalchemy.ext.asyncio import AsyncConnection

from bot.privacy.retention import whole_hour
from bot.privacy.vault import Tampered
from bot.storage import group
from bot.storage.handing import look_again, waits_again
from bot.storage.part import OPEN, Part, log, member_of, new_id
from bot.storage.records import (
    AuditEntry,
    BellAddress,
    LoginTaken,
    Role,
    StaffMember,
    StaffState,
)
from bot.storage.sessions import Credentials, end_for, remember_login
from bot.storage.tables import (
    audit,
    cases,
    duty_days,
    duty_shifts,
    duty_weekly,
    staff,
)


class Staff(Part):
    """Accounts and the audit."""

    # --- accounts ----------------------------------------------------------------------------

    async def add_staff(
        self,
        login: str,
        alias: str,
        roles: Iterable[Role],
        invite_hash: bytes,
        expires_at: datetime,
        languages: Iterable[str] = ("bg",),
    ) -> StaffMember:
        """Invite somebody; the account is hers once she accepts. Raises `LoginTaken`."""
        spoken = frozenset(languages)
        state, now = StaffState.INVITED, self._now()
        new = StaffMember(new_id(), login, alias, frozenset(roles), state, now, spoken)
        async with self._database.write() as connection:
            query = select(staff.c.id).where(staff.c.login == login)
            if (await connection.execute(query)).first():
                raise LoginTaken
            await connection.execute(
                staff.insert().values(
                    id=new.id,
                    login=login,
                    alias=alias,
                    roles=",".join(sorted(new.roles)),
                    languages=",".join(sorted(spoken)),
                    state=new.state,
                    invite_hash=invite_hash,
                    invite_expires_at=expires_at,
                    created_at=new.created_at,
                )
            )
        return new

    async def staff(self, staff_id: str) -> StaffMember | None:
        """Somebody, in whatever state her account is."""
        return await self._member(staff.c.id == staff_id)

    async def staff_by_login(self, login: str) -> StaffMember | None:
        """Somebody, in whatever state her account is."""
        return await self._member(staff.c.login == login)

    async def staff_by_invite(self, invite_hash: bytes) -> StaffMember | None:
        """Who was invited so, while the invitation is good."""
        return await self._member(
            staff.c.invite_hash == invite_hash,
            staff.c.state == StaffState.INVITED,
            staff.c.invite_expires_at > self._now(),
        )

    async def all_staff(self) -> list[StaffMember]:
        """Everybody who was not removed, by login."""
        query = select(staff).where(staff.c.state != StaffState.REMOVED).order_by(staff.c.login)
        async with self._database.read() as connection:
            rows = (await connection.execute(query)).all()
        return [member_of(row) for row in rows]

    async def change_staff(
        self, staff_id: str, alias: str, roles: Iterable[Role], languages: Iterable[str]
    ) -> bool:
        """How she is shown, what she may do, what she speaks; False if there is no such account.

        Who answers women no more loses her open cases: they wait, and ring, for another.
        """
        given = frozenset(roles)
        change = staff.update().where(staff.c.id == staff_id, staff.c.state != StaffState.REMOVED)
        changed = {"roles": ",".join(sorted(given)), "languages": ",".join(sorted(languages))}
        async with self._database.write() as connection:
            query = select(staff).where(staff.c.id == staff_id)
            before = (await connection.execute(query)).one_or_none()
            done = await connection.execute(change.values(alias=alias, **changed))
            if Role.CONSULTANT not in given:
                await self._give_back_all(connection, staff_id)
            if before is not None and group.is_consultant(before) != (Role.CONSULTANT in given):
                if Role.CONSULTANT not in given:
                    await group.put_out(connection, staff_id, self._now())
                elif before.state == StaffState.ACTIVE:
                    await group.let_back(connection, staff_id, self._now())
            await look_again(connection, self._now())
        return done.rowcount == 1

    async def invite_again(self, staff_id: str, invite_hash: bytes, expires_at: datetime) -> bool:
        """A new invitation for who has not accepted hers; False for everybody else."""
        return await self._update_staff(
            staff.c.id == staff_id,
            staff.c.state == StaffState.INVITED,
            invite_hash=invite_hash,
            invite_expires_at=expires_at,
        )

    async def remove_staff(self, staff_id: str) -> None:
        """Remove an account: her open cases wait for another, and her login is free again.

        The row stays, without name and credentials, while something that is kept speaks of it.
        """
        nothing = dict.fromkeys(
            ("password_hash", "totp_secret", "last_totp_step", "invite_hash", "invite_expires_at",
             "bell_address", "bell_index", "bell_code_hash", "bell_code_expires_at")
        )  # fmt: skip
        gone = {"state": StaffState.REMOVED, "login": f"-{staff_id}", "alias": "", "roles": ""}
        async with self._database.write() as connection:
            await group.put_out(connection, staff_id, self._now())
            await remember_login(connection, self._vault, staff_id, self._now())
            await end_for(connection, staff_id)
            await connection.execute(
                staff.update().where(staff.c.id == staff_id).values(**gone, **nothing)
            )
            for table in (duty_weekly, duty_days, duty_shifts):
                await connection.execute(table.delete().where(table.c.staff_id == staff_id))
            await self._give_back_all(connection, staff_id)

    # --- the bell ----------------------------------------------------------------------------

    async def offer_bell(self, staff_id: str, code_hash: bytes, expires_at: datetime) -> None:
        """A one-time code by which she links her Telegram; the one before counts no more."""
        await self._update_staff(
            staff.c.id == staff_id, bell_code_hash=code_hash, bell_code_expires_at=expires_at
        )

    async def link_bell(self, code_hash: bytes, address: str) -> StaffMember | None:
        """Link this chat of the desk's bot to whose code it is; None if nobody's, or too late.

        A chat belongs to one account: it leaves the one that it was linked to before.
        """
        index = self._vault.blind_index("desk", address)
        query = select(staff).where(
            staff.c.bell_code_hash == code_hash,
            staff.c.bell_code_expires_at > self._now(),
            staff.c.state == StaffState.ACTIVE,
        )
        async with self._database.write() as connection:
            row = (await connection.execute(query)).one_or_none()
            if row is None:
                return None
            query = select(staff).where(staff.c.bell_index == index, staff.c.id != row.id)
            other = (await connection.execute(query)).one_or_none()
            if other is not None:
                await group.unlinked(connection, other, self._now())
            if row.bell_index != index:
                await group.unlinked(connection, row, self._now())
            sealed = self._vault.seal("address", "staff", "bell_address", row.id, address.encode())
            unlinked = {"bell_address": None, "bell_index": None}
            linked = {"bell_address": sealed, "bell_index": index}
            spent = {"bell_code_hash": None, "bell_code_expires_at": None}
            await connection.execute(
                staff.update().where(staff.c.bell_index == index).values(**unlinked)
            )
            await connection.execute(
                staff.update().where(staff.c.id == row.id).values(**linked, **spent)
            )
            await group.let_back(connection, row.id, self._now())
            return member_of(
                (await connection.execute(select(staff).where(staff.c.id == row.id))).one()
            )

    async def unlink_bell(self, staff_id: str) -> None:
        """Her Telegram rings no more."""
        hers, nothing = staff.c.id == staff_id, {"bell_address": None, "bell_index": None}
        async with self._database.write() as connection:
            row = (await connection.execute(select(staff).where(hers))).one_or_none()
            if row is not None:
                await group.unlinked(connection, row, self._now())
                await connection.execute(staff.update().where(hers).values(**nothing))

    async def bells(self) -> list[BellAddress]:
        """Where the bells of active accounts ring."""
        query = select(staff.c.id, staff.c.bell_address).where(
            staff.c.state == StaffState.ACTIVE, staff.c.bell_address.is_not(None)
        )
        async with self._database.read() as connection:
            rows = (await connection.execute(query)).all()
        found = []
        for row in rows:
            try:
                opened = self._vault.unseal(
                    "address", "staff", "bell_address", row.id, row.bell_address
                )
            except Tampered:  # it must not silence the others
                log.alarm("unreadable")
                continue
            found.append(BellAddress(row.id, opened.decode()))
        return found

    async def staff_by_bell(self, address: str) -> StaffMember | None:
        """Whose chat with the desk's bot this is, while her account is active."""
        index = self._vault.blind_index("desk", address)
        return await self._member(staff.c.bell_index == index, staff.c.state == StaffState.ACTIVE)

    async def accept_invite(self, staff_id: str, password_hash: str, totp_secret: str) -> bool:
        """Activate an invited account; False if it is not invited any more."""
        sealed = self._vault.seal("totp", "staff", "totp_secret", staff_id, totp_secret.encode())
        return await self._update_staff(
            staff.c.id == staff_id,
            staff.c.state == StaffState.INVITED,
            staff.c.invite_expires_at > self._now(),
            state=StaffState.ACTIVE,
            password_hash=password_hash,
            totp_secret=sealed,
            invite_hash=None,
            invite_expires_at=None,
        )

    async def credentials(self, login: str) -> Credentials | None:
        """What an active account's login is checked against."""
        query = select(staff).where(staff.c.login == login, staff.c.state == StaffState.ACTIVE)
        async with self._database.read() as connection:
            row = (await connection.execute(query)).one_or_none()
        if row is None:
            return None
        secret = self._vault.unseal("totp", "staff", "totp_secret", row.id, row.totp_secret)
        return Credentials(
            member_of(row),
            row.password_hash,
            secret.decode(),
            row.last_totp_step,
            row.known_since,
        )

    async def used_totp(self, staff_id: str, step: int) -> bool:
        """Spend a one-time code's step; False if it, or a later one, was spent: a replay."""
        unspent = or_(staff.c.last_totp_step.is_(None), staff.c.last_totp_step < step)
        return await self._update_staff(staff.c.id == staff_id, unspent, last_totp_step=step)

    async def set_staff_state(self, staff_id: str, state: StaffState) -> bool:
        """Freeze or thaw an account.

        Whoever is not active loses her sessions and known browsers at once, and her open cases
        wait, and ring, for another. False: there is no such account any more, or it is to be
        thawed and was never accepted.
        """
        change = staff.update().where(staff.c.id == staff_id, staff.c.state != StaffState.REMOVED)
        if state is StaffState.ACTIVE:
            change = change.where(staff.c.password_hash.is_not(None))
        else:
            change = change.values(known_since=self._now())
        async with self._database.write() as connection:
            done = await connection.execute(change.values(state=state))
            if state is not StaffState.ACTIVE:
                await end_for(connection, staff_id)
                await self._give_back_all(connection, staff_id)
            if done.rowcount == 1:
                back = state is StaffState.ACTIVE
                change_group = group.let_back if back else group.put_out
                await change_group(connection, staff_id, self._now())
            await look_again(connection, self._now())
        return done.rowcount == 1

    async def _give_back_all(self, connection: AsyncConnection, staff_id: str) -> None:
        hers = cases.c.claimed_by == staff_id
        await connection.execute(
            cases.update().where(hers, OPEN).values(**waits_again(self._now()))
        )

    async def _member(self, *conditions: Any) -> StaffMember | None:
        async with self._database.read() as connection:
            row = (await connection.execute(select(staff).where(*conditions))).one_or_none()
        return None if row is None else member_of(row)

    async def _update_staff(self, *conditions: Any, **values: Any) -> bool:
        async with self._database.write() as connection:
            done = await connection.execute(staff.update().where(*conditions).values(**values))
        return done.rowcount == 1

    # --- audit -------------------------------------------------------------------------------

    async def audit(self, staff_id: str | None, action: str, case_id: str | None = None) -> None:
        """Write down who did what; about a closed case, only in which hour."""
        now = self._now()
        query = select(cases.c.id).where(cases.c.id == case_id, OPEN)
        async with self._database.write() as connection:
            exact = case_id is None or (await connection.execute(query)).first() is not None
            await connection.execute(
                audit.insert().values(
                    at=now if exact else whole_hour(now),
                    staff_id=staff_id,
                    action=action,
                    case_id=case_id,
                )
            )

    async def audits(self, limit: int) -> list[AuditEntry]:
        """What was done, newest first."""
        async with self._database.read() as connection:
            rows = await connection.execute(select(audit).order_by(audit.c.id.desc()).limit(limit))
        return [AuditEntry(row.at, row.staff_id, row.action, row.case_id) for row in rows]
