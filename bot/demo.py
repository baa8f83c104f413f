"""The demo: sample receptions and logins, on loopback only and never beside a token."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from datetime import datetime, time, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pyotp

from bot.desk.accounts import Accounts, unspent_code
from bot.settings import Settings
from bot.storage.records import Role
from bot.storage.store import Store
from scheduler.model import Reception

SOFIA = ZoneInfo("Europe/Sofia")
SAMPLE = Path(__file__).resolve().parent.parent / "deploy" / "demo_receptions.csv"
PASSWORD = "only for the demo"  # noqa: S105  # opens nothing but the demo on this machine
LOGINS = {
    "maria": frozenset({Role.CONSULTANT}),
    "elena": frozenset({Role.CONSULTANT}),
    "demo": frozenset({Role.CONSULTANT, Role.STAFF, Role.ADMIN}),
}
SHOWN_AS = "demo"
"""The account that the side-by-side page is signed in as."""


class NotADemo(Exception):
    """The demo runs on loopback and without a token; use `phen run` for the real line."""

    def __init__(self) -> None:
        super().__init__(type(self).__doc__)


def settings_for(settings: Settings) -> Settings:
    """The same settings with a data folder of the demo's own. Raises `NotADemo`."""
    if settings.telegram_token is not None or not settings.on_loopback:
        raise NotADemo
    folder = settings.data_dir / "demo"
    return settings.model_copy(
        update={"data_dir": folder, "database_url": "", "master_key_file": None}
    )


@dataclass(frozen=True, slots=True)
class Login:
    """What the demo shows about one account."""

    login: str
    password: str
    code: str


class Demo:
    """The sample logins of one running demo."""

    def __init__(self, store: Store, accounts: Accounts) -> None:
        self._store = store
        self._accounts = accounts

    async def fill(self, now: datetime) -> None:
        """Make the logins and the receptions, where they are not there yet."""
        for login, roles in LOGINS.items():
            if await self._store.staff_by_login(login) is None:
                token = await self._accounts.invite(login, roles)
                enrolment = await self._accounts.accept(token, PASSWORD)
                code = pyotp.TOTP(enrolment.secret).at(now)
                await self._accounts.confirm(token, enrolment.sealed, code)
        if not await self._store.receptions(since=now):
            await self._store.save_receptions(sample(now))

    async def login(self) -> str:
        """A session's token for the side-by-side page."""
        member = await self._store.staff_by_login(SHOWN_AS)
        if member is None:
            raise NotADemo
        return await self._accounts.start_session(member)

    async def hint(self, now: datetime) -> list[Login]:
        """Every login with the code that counts now."""
        logins = []
        for login in LOGINS:
            found = await self._store.credentials(login)
            if found is not None:
                code = unspent_code(found, now)
                logins.append(Login(login, PASSWORD, code))
        return logins


def sample(now: datetime) -> list[Reception]:
    """Receptions in the coming weeks, from today on."""
    with SAMPLE.open(encoding="utf-8", newline="") as file:
        return [_reception(number, row, now) for number, row in enumerate(csv.DictReader(file))]


def _reception(number: int, row: dict[str, str], now: datetime) -> Reception:
    day = now.astimezone(SOFIA).date() + timedelta(days=int(row["in_days"]))
    start, end = (
        datetime.combine(day, time.fromisoformat(row[key]), SOFIA) for key in ("start", "end")
    )
    return Reception(
        id=f"demo-{number}",
        municipality=row["municipality"],
        place=row["place"],
        start=start,
        end=end,
        landmark=row["landmark"],
        attends=row["attends"],
        public_name=row["public_name"],
    )
