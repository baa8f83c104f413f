"""What the groups of commands share: the parts joined, a table, and how a mistake is told."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import TypeVar

from rich.console import Console
from rich.table import Table

from bot import settings as settings_of
from bot.app import Phen, join
from bot.desk.accounts import tidy_login
from bot.privacy import redact
from bot.settings import Settings
from bot.storage.records import StaffMember
from bot.texts import ZONE

T = TypeVar("T")
_PIPED = 500


class Mistake(Exception):
    """A mistake of the person at the keyboard: one sentence that says what to do."""


def read_settings() -> Settings:
    """The settings, and from now on a log that tells nothing of anybody."""
    settings = settings_of.read()
    redact.configure_logging(settings.log_level)
    return settings


def with_store(work: Callable[[Phen], Awaitable[T]]) -> T:
    """Do one thing with the parts joined, beside a running server."""

    async def joined() -> T:
        async with join(read_settings()) as phen:
            return await work(phen)

    return asyncio.run(joined())


async def member_of(phen: Phen, login: str) -> StaffMember:
    """Whose login this is; a `Mistake` if it is nobody's."""
    member = await phen.store.staff_by_login(tidy_login(login))
    if member is None:
        raise Mistake("There is no such login; see `phen staff list`.")
    return member


def print_table(table: Table) -> None:
    """A table as wide as the terminal; where there is none, each row whole on its line."""
    Console(width=None if sys.stdout.isatty() else _PIPED).print(table)


def local(moment: datetime) -> str:
    """A moment on the clocks of Bulgaria."""
    return moment.astimezone(ZONE).strftime("%Y-%m-%d %H:%M")
