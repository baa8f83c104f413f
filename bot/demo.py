"""The demo: a sample day of the centre, on loopback only and never beside a token."""

from __future__ import annotations

import csv
import secrets
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, time, timedelta
from pathlib import Path
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

import pyotp

from bot.channels.base import Who
from bot.channels.web import NAME as WEB
from bot.desk.accounts import unspent_code
from bot.settings import Settings
from bot.storage.records import Role
from bot.web.prepared import starter
from scheduler.duty import Hours, Weekly
from scheduler.model import Reception

if TYPE_CHECKING:
    from bot.app import Phen

SOFIA = ZoneInfo("Europe/Sofia")
SAMPLES = Path(__file__).resolve().parent.parent / "deploy"
PASSWORD = "only for the demo"  # noqa: S105  # opens nothing but the demo on this machine
LOGINS = {
    "maria": frozenset({Role.CONSULTANT}),
    "elena": frozenset({Role.CONSULTANT}),
    "demo": frozenset({Role.CONSULTANT, Role.STAFF, Role.ADMIN}),
}
SPEAK = {"maria": ("bg",), "elena": ("bg", "tr"), "demo": ("bg", "tr", "en")}
WORKING_DAYS, ALL_DAYS = range(5), range(7)
DUTY = {
    "maria": (WORKING_DAYS, Hours(time(8), time(14))),
    "elena": (WORKING_DAYS, Hours(time(13), time(20))),
    "demo": (ALL_DAYS, Hours(time(0), time(0))),
}
"""Somebody is there at whatever hour it is tried out."""
GREETING = "prepared.greet"
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
    """The sample day of one running demo."""

    def __init__(self, phen: Phen) -> None:
        self._phen = phen
        self._store = phen.store
        self._accounts = phen.accounts

    async def fill(self, now: datetime) -> None:
        """Make what is not there yet: people with their hours, answers, receptions and cases."""
        for login in LOGINS:
            if await self._store.staff_by_login(login) is None:
                await self._hire(login, now)
        if not await self._store.prepared():
            for answer in starter(self._phen.content, self._phen.texts):
                await self._store.save_prepared(answer)
        if not await self._store.receptions(since=now):
            await self._store.save_receptions(sample(now))
        if not await self._store.open_cases():
            for row in _rows("demo_cases.csv"):
                await self._call(row)

    async def _hire(self, login: str, now: datetime) -> None:
        token = await self._accounts.invite(login, LOGINS[login])
        member = await self._accounts.invited(token)
        enrolment = await self._accounts.accept(token, PASSWORD)
        code = pyotp.TOTP(enrolment.secret).at(now)
        await self._accounts.confirm(token, enrolment.sealed, code)
        await self._store.change_staff(member.id, member.alias, member.roles, SPEAK[login])
        days, hours = DUTY[login]
        await self._store.set_weekly(member.id, [Weekly(member.id, day, hours) for day in days])

    async def _call(self, row: dict[str, str]) -> None:
        """A woman asks for a person, writes and hides her screen; a colleague may hand her over."""
        handover, desk, who = (
            self._phen.handover,
            self._phen.desk,
            Who(WEB, secrets.token_urlsafe(16)),
        )
        case = await handover.open_case(
            who, row["language"], row["topic"] or None, row["municipality"] or None
        )
        await handover.relay(case, row["words"], "demo", None)
        await handover.absent(who)
        colleague = await self._store.staff_by_login(row["handed_over_by"])
        shown = await self._store.staff_by_login(SHOWN_AS)
        if colleague is None or shown is None:
            return
        await desk.claim(colleague, case.id)
        greeting = self._phen.texts.say(row["language"], GREETING)
        await desk.reply(colleague, case.id, greeting, "demo")
        await desk.transfer(colleague, case.id, shown.id)

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
    rows = enumerate(_rows("demo_receptions.csv"))
    return [_reception(number, row, now) for number, row in rows]


def _rows(name: str) -> Iterator[dict[str, str]]:
    with (SAMPLES / name).open(encoding="utf-8", newline="") as file:
        yield from csv.DictReader(file)


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
