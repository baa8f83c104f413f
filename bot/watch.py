"""Who is there for her now, or when next: what she is told before and while she waits."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from bot.bell import answers
from bot.live import Changes
from bot.storage.records import StaffMember
from bot.storage.store import Store
from bot.texts import ZONE, Texts
from dialogs.model import Language
from scheduler.duty import next_duty, on_duty


@dataclass(frozen=True, slots=True)
class Watch:
    """Looks at the duty table and at the open desks."""

    store: Store
    texts: Texts
    changes: Changes
    now: Callable[[], datetime]

    async def anybody(self) -> bool:
        """Whether somebody is on duty, or has a desk open."""
        return self.changes.watched or bool(await self.on_duty())

    async def on_duty(self) -> list[StaffMember]:
        """The consultants on duty now, by login."""
        there = on_duty(await self.store.duty(), self.now(), ZONE)
        return [each for each in await self.store.all_staff() if each.id in there and answers(each)]

    async def words(self, language: Language) -> str:
        """Who is there, by role or chosen alias; else when somebody is next, where that is known.

        Honest about languages: who does not speak hers is said to speak another one.
        """
        there = await self.on_duty()
        role = self.texts.say(language, "case.role")
        speaking = [each for each in there if language in each.languages]
        if speaking:
            who = dict.fromkeys(each.alias or role for each in speaking)
            return self.texts.say(language, "duty.now_is", who=", ".join(who))
        if there:
            spoken = sorted({each for member in there for each in member.languages})
            names = (self.texts.say(each, "language.name") for each in spoken)
            return self.texts.say(language, "duty.other_language", languages=", ".join(names))
        if self.changes.watched:
            return self.texts.say(language, "duty.now_is", who=role)
        return await self._next(language)

    async def _next(self, language: Language) -> str:
        now, members = self.now(), await self.store.all_staff()
        among = {each.id for each in members if answers(each)}
        hers = {each.id for each in members if answers(each) and language in each.languages}
        table = await self.store.duty()
        coming = next_duty(table, now, ZONE, hers) or next_duty(table, now, ZONE, among)
        if coming is None:
            return self.texts.say(language, "duty.nobody")
        when = self.texts.moment(language, coming.start, now)
        return self.texts.say(language, "duty.next", when=when)
