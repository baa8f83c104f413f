"""What an admin does with the accounts of the centre's people: invite, change, freeze, remove.

Every act asks the store who its author is now. An admin cannot act upon her own account, and
the acts of one process follow one another: so the last active admin always stays. The operator
of the server is not bound by it (`phen staff remove`).
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Collection
from contextlib import asynccontextmanager, suppress

from bot.desk.accounts import AccountError, Accounts
from bot.live import Changes
from bot.storage.records import Case, CaseClosed, CaseState, Role, StaffMember, StaffState
from bot.storage.store import Store
from bot.texts import Texts

LONGEST_ALIAS = 40


class NotAnAdmin(AccountError):
    """Only an active admin changes accounts."""


class NotOneself(AccountError):
    """Nobody freezes, removes or demotes herself; another admin does it."""


class NoSuchAccount(AccountError):
    """There is no such account, or it is not in a state in which this can be done."""


class NoRole(AccountError):
    """An account has at least one role."""


class NoLanguage(AccountError):
    """Everybody speaks at least one language."""


class AliasTooLong(AccountError):
    """An alias has at most forty characters."""


class Team:
    """The accounts, as an admin changes them.

    Whoever answers women no more loses her open cases: they wait, and ring, for another, and
    each woman is told. That wakes the open desks and, by `wake`, the delivery.
    """

    def __init__(
        self,
        store: Store,
        accounts: Accounts,
        changes: Changes,
        wake: Callable[[], None],
        texts: Texts,
    ) -> None:
        self._store = store
        self._accounts = accounts
        self._changes = changes
        self._wake = wake
        self._texts = texts

    async def invite(
        self,
        me: StaffMember,
        login: str,
        alias: str,
        roles: Collection[Role],
        languages: Collection[str],
    ) -> str:
        """Make an account; the token of its one-time link. Raises `LoginUnfit`, `LoginTaken`."""
        async with self._acting(me):
            alias = _fit(alias, roles, languages)
            token = await self._accounts.invite(login, roles, alias, languages)
            await self._store.audit(me.id, "account.invite_sent")
            return token

    async def invite_again(self, me: StaffMember, staff_id: str) -> str:
        """A new link for somebody who has not accepted hers; the one before opens no more.

        Raises `InviteInvalid` when she has accepted meanwhile.
        """
        async with self._acting(me):
            token = await self._accounts.invite_again(staff_id)
            await self._store.audit(me.id, "account.invite_sent")
            return token

    async def change(
        self,
        me: StaffMember,
        staff_id: str,
        alias: str,
        roles: Collection[Role],
        languages: Collection[str],
    ) -> None:
        """How she is shown, what she may do, what she speaks. Her own admin's role stays hers."""
        async with self._acting(me):
            alias = _fit(alias, roles, languages)
            member = await self._member(staff_id, *StaffState)
            if staff_id == me.id and Role.ADMIN not in roles:
                await self._refuse(me)
            async with self.leaving(member):
                await self._store.change_staff(staff_id, alias, roles, languages)
                await self._store.audit(me.id, "account.changed")

    async def freeze(self, me: StaffMember, staff_id: str) -> None:
        """Shut an account: its sessions end at once."""
        async with self._acting(me, upon=staff_id):
            member = await self._member(staff_id, StaffState.ACTIVE)
            async with self.leaving(member):
                await self._store.set_staff_state(member.id, StaffState.FROZEN)
                await self._store.audit(me.id, "account.froze")

    async def thaw(self, me: StaffMember, staff_id: str) -> None:
        """Let somebody frozen in again, with the password and the code that she had."""
        async with self._acting(me, upon=staff_id):
            member = await self._member(staff_id, StaffState.FROZEN)
            if not await self._store.set_staff_state(member.id, StaffState.ACTIVE):
                raise NoSuchAccount
            await self._store.audit(me.id, "account.thawed")
            self._changes.notify()

    async def remove(self, me: StaffMember, staff_id: str) -> None:
        """Remove an account for good: its sessions end at once, its login is free again."""
        async with self._acting(me, upon=staff_id):
            member = await self._member(staff_id, *StaffState)
            async with self.leaving(member):
                await self._store.remove_staff(member.id)
                await self._store.audit(me.id, "account.removed")

    @asynccontextmanager
    async def leaving(self, member: StaffMember) -> AsyncIterator[None]:
        """What is done meanwhile may take her cases from her: then each woman is told."""
        before = await self._open_cases(member)
        yield
        still = {case.id for case in await self._open_cases(member)}
        for case in before:
            if case.id not in still:
                words = self._texts.say(case.language, "notice.returned")
                with suppress(CaseClosed):
                    await self._store.add_notice(case.id, words, f"left:{case.claimed_at}")
        self._changes.notify()
        self._wake()

    # --- who may ---------------------------------------------------------------------------

    @asynccontextmanager
    async def _acting(self, me: StaffMember, upon: str = "") -> AsyncIterator[None]:
        """Nobody else changes an account meanwhile, and `me` may."""
        async with self._store.together.alone("accounts"):
            current = await self._store.staff(me.id)
            is_admin = current is not None and Role.ADMIN in current.roles
            if current is None or current.state is not StaffState.ACTIVE or not is_admin:
                await self._store.audit(me.id, "refused.role")
                raise NotAnAdmin
            if upon == me.id:
                await self._refuse(me)
            yield

    async def _refuse(self, me: StaffMember) -> None:
        await self._store.audit(me.id, "refused.oneself")
        raise NotOneself

    async def _member(self, staff_id: str, *states: StaffState) -> StaffMember:
        member = await self._store.staff(staff_id)
        if member is None or member.state is StaffState.REMOVED or member.state not in states:
            raise NoSuchAccount
        return member

    async def _open_cases(self, member: StaffMember) -> list[Case]:
        cases = await self._store.cases_of(member.id)
        return [case for case in cases if case.state is not CaseState.CLOSED]


def _fit(alias: str, roles: Collection[Role], languages: Collection[str]) -> str:
    """The alias as it is kept."""
    tidy = " ".join(alias.split())
    if len(tidy) > LONGEST_ALIAS:
        raise AliasTooLong
    if not roles:
        raise NoRole
    if not languages:
        raise NoLanguage
    return tidy
