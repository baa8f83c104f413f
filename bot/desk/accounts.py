"""Who may come in: invitations, passwords, one-time codes and sessions of the centre's people.

Nothing that opens a door is stored in clear: of an invitation and of a session only a hash,
of a password only its argon2id hash, and the code's secret sealed.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
import re
import secrets
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from weakref import WeakValueDictionary

import pyotp
from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from bot.desk.browsers import Browsers
from bot.privacy.redact import EventLog
from bot.privacy.vault import Tampered, Vault
from bot.storage.records import Role, StaffMember, StaffState
from bot.storage.sessions import FLOODED, SHUT, Credentials
from bot.storage.store import Store
from dialogs.model import SOURCE_LANGUAGE

ISSUER = "Phen"
MIN_PASSWORD, MAX_PASSWORD = 12, 200
INVITE_LIFE = timedelta(days=3)
SESSION_LIFE = timedelta(hours=12)
SESSION_IDLE, SEEN_STEP = timedelta(hours=2), timedelta(minutes=2)
"""After how long without work a session ends, in all processes; how often work is written down."""
MAX_FAILURES, FAILURE_WINDOW = 5, timedelta(minutes=15)
MAX_STRANGERS = 300
"""Failures of all names in that time: then only browsers that are known are let try. What a flood
of invented names takes is bounded by it: a row and a hash of argon2 for each failure."""
MOST_WAITING = 16
"""Strangers who may wait for their password to be looked at."""
log = EventLog("accounts")
_LOGIN = re.compile(r"[a-z0-9][a-z0-9.-]{1,31}")
ONE_LANE = 1
"""Of argon2: with more it starts threads of its own for each hash, and has been seen to wait for
one of them for ever."""
STEP = 30
"""Seconds for which one code counts; one step of drift either way is forgiven."""


class AccountError(Exception):
    """Something about the account is not right."""

    def __init__(self) -> None:
        super().__init__(type(self).__doc__)


class Throttled(AccountError):
    """Too many failed attempts; it opens again after a quarter of an hour."""


class LoginRefused(AccountError):
    """Name, password and code do not belong together, or the code was used before."""


class InviteInvalid(AccountError):
    """This invitation was used, has run out, or never existed."""


class LoginUnfit(AccountError):
    """A login is 2 to 32 small Latin letters, digits, dots and dashes."""


class PasswordTooShort(AccountError):
    """A password has at least twelve characters."""


class PasswordTooLong(AccountError):
    """A password has at most two hundred characters."""


class CodeRefused(AccountError):
    """The code does not belong to this account now."""


@dataclass(frozen=True, slots=True)
class Enrolment:
    """What the second step of an invitation shows: the secret, and the first step sealed."""

    login: str
    secret: str
    uri: str
    sealed: str


class Accounts:
    """Invite, accept, log in, log out."""

    def __init__(
        self,
        store: Store,
        vault: Vault,
        now: Callable[[], datetime],
        hasher: PasswordHasher | None = None,
    ) -> None:
        self._store = store
        self._vault = vault
        self._now = now
        self._hasher = hasher or PasswordHasher(parallelism=ONE_LANE)
        self._nobody = ""  # what an unknown login is checked against, so that it takes as long
        self._browsers = Browsers(vault, now)
        self._names: WeakValueDictionary[tuple[str, str], asyncio.Lock] = WeakValueDictionary()
        self._waiting = 0
        # argon2 takes 64 MB and a core each; strangers keep nobody whom we know waiting
        self._strangers, self._known = asyncio.Semaphore(1), asyncio.Semaphore(1)

    # --- invitations ---------------------------------------------------------------------

    async def invite(
        self,
        login: str,
        roles: Iterable[Role],
        alias: str = "",
        languages: Iterable[str] = (SOURCE_LANGUAGE,),
    ) -> str:
        """Make an account, and the token of its one-time link. Only its hash is kept.

        Raises `LoginUnfit`, `LoginTaken`.
        """
        if not _LOGIN.fullmatch(tidy_login(login)):
            raise LoginUnfit
        token = secrets.token_urlsafe(32)
        expires_at = self._now() + INVITE_LIFE
        member = await self._store.add_staff(
            tidy_login(login),
            alias.strip(),
            frozenset(roles),
            _digest(token),
            expires_at,
            languages,
        )
        await self._store.audit(member.id, "account.invited", None)
        return token

    async def invite_again(self, staff_id: str) -> str:
        """A new link for somebody who has not accepted hers: the one before opens no more.

        Raises `InviteInvalid` when she has accepted, or is not invited at all.
        """
        token = secrets.token_urlsafe(32)
        expires_at = self._now() + INVITE_LIFE
        if not await self._store.invite_again(staff_id, _digest(token), expires_at):
            raise InviteInvalid
        await self._store.audit(staff_id, "account.invited", None)
        return token

    async def invited(self, token: str) -> StaffMember:
        """Whose invitation this is, or `InviteInvalid`."""
        member = await self._store.staff_by_invite(_digest(tidy_invite(token)))
        if member is None or member.state is not StaffState.INVITED:
            raise InviteInvalid
        return member

    async def accept(self, token: str, password: str) -> Enrolment:
        """First step: a password. Nothing is stored; the enrolment carries it on, sealed."""
        member = await self.invited(token)
        _check_password(password)
        secret = pyotp.random_base32()
        step = json.dumps({"password": await self._hash(password), "secret": secret})
        sealed = self._vault.seal("enrolment", "staff", "enrolment", member.id, step.encode())
        return _enrolment(member.login, secret, sealed.hex())

    async def resume(self, token: str, sealed: str) -> Enrolment:
        """The same enrolment again, after a code that did not fit."""
        member = await self.invited(token)
        return _enrolment(member.login, self._unseal(member, sealed)["secret"], sealed)

    async def confirm(self, token: str, sealed: str, code: str) -> str:
        """Second step: the first code. The account is active; returns a session's token."""
        member = await self.invited(token)
        step = self._unseal(member, sealed)
        used = _matching_step(step["secret"], code, self._now())
        if used is None:
            raise CodeRefused
        if not await self._store.accept_invite(member.id, step["password"], step["secret"]):
            raise InviteInvalid
        await self._store.used_totp(member.id, used)
        await self._store.audit(member.id, "account.accepted", None)
        return await self.start_session(member)

    def _unseal(self, member: StaffMember, sealed: str) -> dict[str, str]:
        try:
            blob = bytes.fromhex(sealed)
            opened = self._vault.unseal("enrolment", "staff", "enrolment", member.id, blob)
        except (ValueError, Tampered):
            raise InviteInvalid from None
        step: dict[str, str] = json.loads(opened)
        return step

    async def freeze(self, login: str) -> bool:
        """Shut an account and end its sessions. False: there is no such login.

        Of somebody who has not accepted her invitation there is nothing to keep: it is removed.
        """
        member = await self._store.staff_by_login(tidy_login(login))
        if member is None:
            return False
        if member.state is StaffState.INVITED:
            await self._store.remove_staff(member.id)
            await self._store.audit(member.id, "account.removed", None)
            return True
        await self._store.set_staff_state(member.id, StaffState.FROZEN)
        await self._store.audit(member.id, "account.frozen", None)
        return True

    # --- sessions ------------------------------------------------------------------------

    async def login(self, login: str, password: str, code: str, browser: str = "") -> str:
        """Password and code together; an unknown name costs the same work as a known one.

        `browser` is what its cookie for this name says, see `browser_cookie`.
        """
        login = tidy_login(login)
        found = await self._store.credentials(login)
        known = self._browsers.number(found, browser)
        if not known and self._waiting >= MOST_WAITING:
            raise Throttled
        self._waiting += not known
        lock = self._names.setdefault((login, known), asyncio.Lock())
        try:
            async with lock:  # attempts at once count one by one
                return await self._login(login, password, code, found, known)
        finally:
            self._waiting -= not known

    async def _login(
        self, login: str, password: str, code: str, found: Credentials | None, known: str
    ) -> str:
        since = self._now() - FAILURE_WINDOW
        here, in_all = await self._store.failed_logins(login, known, since)
        if here >= MAX_FAILURES or (in_all >= MAX_STRANGERS and not known):
            raise Throttled
        async with self._known if known else self._strangers:
            right = await self._verify(found.password_hash if found else None, password)
        secret = found.totp_secret if found else pyotp.random_base32()
        step = _matching_step(secret, code, self._now())
        if found is not None and right and step is not None:
            fresh = await self._store.used_totp(found.staff.id, step)
            if fresh:
                await self._store.audit(found.staff.id, "login", None)
                return await self.start_session(found.staff)
        noted = await self._store.login_failed(login, known, since, MAX_FAILURES, MAX_STRANGERS)
        if SHUT in noted:
            log.alarm("login_shut")
        if FLOODED in noted:
            log.alarm("logins_flooded")
        raise LoginRefused

    def browser_cookie(self, login: str) -> str:
        """The name of the cookie by which a browser shows that it knows this login."""
        return self._browsers.cookie(tidy_login(login))

    async def known_browser(self, member: StaffMember) -> str:
        """The value of that cookie, for a browser by which she has just come in."""
        hers = await self._store.credentials(member.login)
        return self._browsers.value(hers) if hers else ""

    async def session(self, token: str, active: bool = True) -> StaffMember | None:
        """Whose session this is; None when it has run out, or the account is not active.

        `active` is false for what a page asks for by itself: that keeps no session alive.
        """
        digest, now = _digest(token), self._now()
        found = await self._store.session(digest)
        if found is None:
            return None
        if found.seen_at is None or found.staff.state is not StaffState.ACTIVE:
            await self._note_refusal(found.staff)
            return None
        if now - found.seen_at > SESSION_IDLE:
            await self._store.end_session(digest)
            return None
        if active and now - found.seen_at >= SEEN_STEP:
            await self._store.session_seen(digest)
        return found.staff

    async def _note_refusal(self, member: StaffMember) -> None:
        """Somebody who was shut out goes on with an open page: the audit keeps that."""
        since = self._now() - FAILURE_WINDOW
        if member.state is StaffState.FROZEN:
            await self._store.audit_once(member.id, "refused.frozen", since)
        elif member.state is StaffState.REMOVED:
            await self._store.audit_once(member.id, "refused.removed", since)

    async def logout(self, token: str) -> None:
        """End this session; twice is no error."""
        await self._store.end_session(_digest(token))

    def form_token(self, token: str) -> str:
        """What every form of this session carries, so that no other site can send one."""
        return hmac.new(token.encode(), b"form", hashlib.sha256).hexdigest()

    async def start_session(self, member: StaffMember) -> str:
        """A new session's token, for somebody who has been let in."""
        token, now = secrets.token_urlsafe(32), self._now()
        await self._store.add_session(_digest(token), member.id, now + SESSION_LIFE)
        return token

    # --- passwords -----------------------------------------------------------------------

    async def _hash(self, password: str) -> str:
        async with self._known:  # who holds an invitation is no stranger
            return await asyncio.to_thread(self._hasher.hash, password)

    async def _verify(self, stored: str | None, password: str) -> bool:
        password = password[:MAX_PASSWORD]
        if not self._nobody:
            random = secrets.token_urlsafe(16)
            self._nobody = await asyncio.to_thread(self._hasher.hash, random)
        try:
            await asyncio.to_thread(self._hasher.verify, stored or self._nobody, password)
        except (VerificationError, InvalidHashError):
            return False
        return stored is not None


def tidy_login(login: str) -> str:
    """Login names do not tell capitals and outer spaces apart."""
    return login.strip().casefold()


def tidy_invite(pasted: str) -> str:
    """The token, also out of a whole pasted link."""
    return pasted.strip().rpartition("#")[2]


def unspent_code(credentials: Credentials, at: datetime) -> str:
    """A code that opens the door at that moment: this step's, or the next if it was spent."""
    now, spent = int(at.timestamp()) // STEP, credentials.last_totp_step
    return pyotp.TOTP(credentials.totp_secret).generate_otp(now + 1 if spent == now else now)


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode()).digest()


def _check_password(password: str) -> None:
    if len(password) < MIN_PASSWORD:
        raise PasswordTooShort
    if len(password) > MAX_PASSWORD:
        raise PasswordTooLong


def _enrolment(login: str, secret: str, sealed: str) -> Enrolment:
    uri = pyotp.TOTP(secret).provisioning_uri(name=login, issuer_name=ISSUER)
    return Enrolment(login, secret, uri, sealed)


def _matching_step(secret: str, code: str, at: datetime) -> int | None:
    """The 30-second step to which this code belongs, or None. All three steps are compared."""
    given = "".join(code.split()).encode()
    now, totp, found = int(at.timestamp()) // STEP, pyotp.TOTP(secret), None
    for step in (now - 1, now, now + 1):
        if hmac.compare_digest(totp.generate_otp(step).encode(), given):
            found = step
    return found
