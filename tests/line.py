"""The whole program on a temporary database, with a stand-in for Telegram, over real HTTP."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

from pydantic import SecretStr

from bot.app import Phen, join, utc_now
from bot.channels.base import Channel
from bot.privacy.vault import Vault
from bot.serving import serve
from bot.settings import Settings, TelegramMode
from bot.storage.records import Role, StaffMember, StaffState
from bot.windows import Timing
from scheduler.model import Reception
from tests.ports import Held
from tests.sqlite import migrated
from tests.standins.telegram import TelegramStandIn
from tests.standins.viber import ViberStandIn

PATIENCE = 30.0
SOFIA = ZoneInfo("Europe/Sofia")


@dataclass(slots=True)
class Line:
    """A running line, as its neighbours see it."""

    phen: Phen
    telegram: TelegramStandIn
    viber: ViberStandIn
    url: str

    async def consultant(self, login: str = "maria", alias: str = "Мария") -> StaffMember:
        """An active account; how one gets in is tested with the accounts."""
        expires = self.phen.now() + timedelta(days=1)
        member = await self.phen.store.add_staff(
            login, alias, {Role.CONSULTANT, Role.STAFF}, login.encode(), expires
        )
        await self.phen.store.accept_invite(member.id, "unused", "unused")
        active = await self.phen.store.staff(member.id)
        assert active is not None
        assert active.state is StaffState.ACTIVE
        return active

    async def reception(self, municipality: str = "rse05", place: str = "Ветово") -> Reception:
        day = self.phen.now().astimezone(SOFIA) + timedelta(days=3)
        start = day.replace(hour=10, minute=0, second=0, microsecond=0)
        planned = Reception("r1", municipality, place, start, start + timedelta(hours=4))
        await self.phen.store.save_receptions([planned])
        return planned


@asynccontextmanager
async def beside(line: Line) -> AsyncIterator[Line]:
    """Another process of the same line: the same database and keys, and its own port."""
    settings = line.phen.settings.model_copy(update={"port": 0})
    async with running(settings, now=line.phen.now) as (phen, port):
        yield Line(phen, line.telegram, line.viber, f"http://127.0.0.1:{port}")


@asynccontextmanager
async def running(
    settings: Settings,
    *,
    now: Callable[[], datetime] = utc_now,
    timing: Timing | None = None,
    also: tuple[Channel, ...] = (),
) -> AsyncIterator[tuple[Phen, int]]:
    """One process, and its port, until its clean stop."""
    stop, listening = asyncio.Event(), asyncio.get_running_loop().create_future()
    async with join(settings, now=now, timing=timing, also=also) as phen:
        serving = asyncio.create_task(serve(phen, stop, listening=listening.set_result))
        await asyncio.wait({serving, listening}, return_when=asyncio.FIRST_COMPLETED)
        if serving.done():
            await serving
        try:
            yield phen, listening.result()
        finally:
            stop.set()
            await serving


@asynccontextmanager
async def running_line(
    folder: Path,
    *,
    timing: Timing | None = None,
    now: Callable[[], datetime] = utc_now,
    also: tuple[Channel, ...] = (),
    desk: TelegramStandIn | None = None,
    desk_chat: int | None = None,
    webhook: bool = False,
    database: str = "",
) -> AsyncIterator[Line]:
    """Start everything, and stop it as SIGTERM would.

    `desk` is the desk's own bot, with another token than the women's; `desk_chat` its forum.
    `webhook`: Telegram calls the line, instead of being asked. `database`: where its rows are.
    """
    telegram, viber, held = TelegramStandIn(now), ViberStandIn(now=now), Held()
    await telegram.start()
    if desk is not None:
        telegram.stands_beside(desk)
    await viber.start()
    try:
        settings = Settings(
            data_dir=folder,
            database_url=database,
            port=held.port,
            public_url=f"http://127.0.0.1:{held.port}",
            telegram_token=telegram.token,
            telegram_api=telegram.api,
            telegram_mode=TelegramMode.WEBHOOK if webhook else TelegramMode.POLLING,
            telegram_webhook_secret=SecretStr("of-the-test") if webhook else None,
            desk_token=desk.token if desk is not None else None,
            desk_chat=desk_chat,
            viber_token=viber.token,
            viber_api=viber.api,
        )
        viber.webhook = f"{settings.address}/viber/webhook"
        if not database:
            migrated(folder / "phen.db")
        Vault.open(settings.key_file, create=True)
        async with running(settings, now=now, timing=timing, also=also) as (phen, _):
            yield Line(phen, telegram, viber, settings.address)
    finally:
        await viber.stop()
        await telegram.stop()


async def eventually(
    what: Callable[[], Awaitable[bool] | bool], patience: float = PATIENCE
) -> bool:
    """Whether something becomes true within `patience` seconds."""
    loop = asyncio.get_running_loop()
    until = loop.time() + patience
    while True:
        told = what()
        if told if isinstance(told, bool) else await told:
            return True
        if loop.time() > until:
            return False
        await asyncio.sleep(0.02)
