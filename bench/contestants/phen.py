"""Phen itself: the whole program as `phen run` joins it, with a consultant who answers at once.

Two things differ from the real one. Its own pace, which keeps it below what Telegram takes of
one bot (30 calls a second), is lifted: what is measured is the program, not its patience. And a
consultant sits in the same process, to be as quick as the program is.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from functools import partial

from bench.contestants import Told
from bot import app
from bot.app import Phen
from bot.channels.pace import Rates
from bot.desk.service import Desk
from bot.privacy.vault import Vault
from bot.serving import serve, until_signalled
from bot.settings import Settings
from bot.storage.migrate import migrate
from bot.storage.records import Author, CaseState, Role, StaffMember

LIMITLESS = 1e9
LIFTED = Rates(LIMITLESS, LIMITLESS, LIMITLESS, LIMITLESS)
TICKS = 5


def run(told: Told) -> None:
    """Run until it is stopped."""
    asyncio.run(serving(settled(told)))


def settled(told: Told) -> Settings:
    """Its settings, on a database that is ready."""
    settings = Settings(
        data_dir=told.folder,
        database_url=told.database,
        port=0,
        telegram_token=told.token,
        telegram_api=told.api,
    )
    if not settings.key_file.exists():
        Vault.open(settings.key_file, create=True)
        migrate(settings.database)
    return settings


@asynccontextmanager
async def joined(
    settings: Settings, rates: Rates, now: Callable[[], datetime] = app.utc_now
) -> AsyncIterator[Phen]:
    """The program's parts; its channel has these rates, which is a parameter of the adapter's."""
    made = app.TelegramChannel
    app.TelegramChannel = partial(made, rates=rates)
    try:
        async with app.join(settings, now=now) as phen:
            yield phen
    finally:
        app.TelegramChannel = made


async def serving(settings: Settings) -> None:
    """The program, and its consultant."""
    began = time.monotonic()
    listening = asyncio.Event()
    async with joined(settings, LIFTED) as phen:
        me = await consultant(phen)
        tasks = [
            asyncio.create_task(answer(phen, me)),
            asyncio.create_task(_tell(phen, began, listening)),
        ]
        try:
            await serve(phen, until_signalled(), listening=lambda port: listening.set())
        finally:
            for task in tasks:
                task.cancel()


async def consultant(phen: Phen) -> StaffMember:
    """Who sits at the desk; after a restart the same."""
    known = [each for each in await phen.store.all_staff() if each.login == "maria"]
    if known:
        return known[0]
    expires = phen.now() + timedelta(days=1)
    new = await phen.store.add_staff("maria", "Мария", {Role.CONSULTANT}, b"maria", expires)
    await phen.store.accept_invite(new.id, "unused", "unused")
    return next(each for each in await phen.store.all_staff() if each.id == new.id)


async def _tell(phen: Phen, began: float, listening: asyncio.Event) -> None:
    """Say how long the start took, and what one round of the clock takes."""
    await listening.wait()
    start = time.monotonic() - began
    await asyncio.sleep(1)
    before = time.monotonic()
    for _ in range(TICKS):
        await phen.handover.tick()
        await phen.bell.tick()
    tick = (time.monotonic() - before) / TICKS
    print(json.dumps({"start": start, "tick": tick}), flush=True)


async def answer(phen: Phen, me: StaffMember) -> None:
    """Take every case that waits, and answer every word, saying when it was seen."""
    read: dict[str, datetime] = {}
    answered: dict[str, int] = {}
    async with phen.changes.listen() as changed:
        while True:
            await changed.wait()
            changed.clear()
            for case in await phen.desk.waiting(me):
                await phen.desk.claim(me, case.id)
            for case in await phen.desk.mine(me):
                if case.state is CaseState.CLAIMED and read.get(case.id) != case.last_woman_at:
                    read[case.id] = case.last_woman_at
                    answered[case.id] = await _read(phen.desk, me, case.id, answered)


async def _read(desk: Desk, me: StaffMember, case_id: str, answered: dict[str, int]) -> int:
    """Answer what is new in a case; the number of the last message in it."""
    last = answered.get(case_id, 0)
    messages = (await desk.open(me, case_id)).messages
    seen = time.monotonic()
    for message in messages:
        if message.number > last and message.author is Author.WOMAN:
            number = message.text.rpartition(" ")[2]
            await desk.reply(me, case_id, f"{seen:.6f} {number}", message.id)
    return max((message.number for message in messages), default=last)
