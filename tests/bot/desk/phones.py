"""Consultants' phones: the desk's own bot on a real store, against a stand-in of the Bot API."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from bot.desk.bells import Bells
from bot.desk.forum import Forum
from bot.desk.telegram import DeskBot, Handler
from bot.storage.records import StaffMember
from bot.texts import open_content
from tests.bot.desk import Centre, a_centre
from tests.line import eventually
from tests.standins.referee import objections
from tests.standins.telegram import Chat, TelegramStandIn
from tests.standins.woman import Woman as Phone

TOKEN = "5550001:AAE-desk_token_that-must_never-be-logged"


@dataclass
class Phones:
    """A centre, its bot, and the phones of whoever writes to it."""

    centre: Centre
    server: TelegramStandIn
    bot: DeskBot
    bells: Bells
    tasks: list[asyncio.Task[None]] = field(default_factory=list)

    def runs(self, handle: Handler | None = None) -> asyncio.Task[None]:
        """Let the bot receive from now on."""
        task = asyncio.create_task(self.bot.run(handle or self.bells.took))
        self.tasks.append(task)
        return task

    async def linked(self, login: str) -> tuple[StaffMember, Phone]:
        """A consultant whose phone rings; how it is linked is tested with the bells."""
        member, phone = await self.centre.person(login, alias=login), self.server.woman()
        await self.centre.store.offer_bell(member.id, b"code", self.centre.clock.at.max.replace(
            tzinfo=self.centre.clock.at.tzinfo))  # fmt: skip
        assert await self.centre.store.link_bell(b"code", str(phone.id))
        return member, phone

    def forum(self, group: Chat) -> Forum:
        """The face in this group, receiving and showing."""
        centre = self.centre
        forum = Forum(
            self.bells, group.id, centre.desk, centre.store, centre.vault, open_content()[1],
            centre.changes, centre.clock,
        )  # fmt: skip
        self.runs(forum.took)
        self.tasks.append(asyncio.create_task(forum.run()))
        return forum

    async def handled(self) -> None:
        """Everything that was said is settled: Telegram would not deliver it again."""
        assert await eventually(lambda: not self.server.updates)

    async def stops(self) -> None:
        """The bot ends, as with the program; what it has said stays."""
        for task in self.tasks:
            task.cancel()
        await asyncio.gather(*self.tasks, return_exceptions=True)
        self.tasks.clear()
        await self.bot.close()

    def starts_again(self) -> None:
        """Another process over the same database."""
        self.bot = DeskBot(TOKEN, self.server.api, self.centre.clock, lambda: 0.0)
        centre = self.centre
        self.bells = Bells(self.bot, centre.store, centre.vault, open_content()[1], centre.clock)


@asynccontextmanager
async def some_phones(folder: Path) -> AsyncIterator[Phones]:
    """A centre with a bot of its own, not yet receiving."""
    server = TelegramStandIn(token=TOKEN)
    await server.start()
    async with a_centre(folder) as centre:
        bot = DeskBot(TOKEN, server.api, centre.clock, lambda: 0.0)
        phones = Phones(
            centre,
            server,
            bot,
            Bells(bot, centre.store, centre.vault, open_content()[1], centre.clock),
        )
        try:
            yield phones
        finally:
            await phones.stops()
            await server.stop()
    answered = [call for call in server.calls if call.answer and call.answer["ok"]]
    assert [found for call in answered for found in objections(call)] == []
