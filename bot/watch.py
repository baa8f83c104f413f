"""Who is there for her now, or when next: what she is told before and while she waits."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

from bot.bell import answers
from bot.live import Changes
from bot.storage.records import StaffMember
from bot.storage.store import Store
from bot.texts import ZONE, Texts
from dialogs.model import Language
from scheduler.duty import DutyTable, next_duty, on_duty


@dataclass(frozen=True, slots=True)
class Watch:
    """Looks at the duty table and at the open desks; each look reads both tables once."""

    store: Store
    texts: Texts
    changes: Changes
    now: Callable[[], datetime]

    async def anybody(self) -> bool:
        """Whether somebody is on duty, or has a desk open."""
        if self.changes.watched:
            return True
        there, _, _ = await self._look()
        return bool(there)

    async def words(self, language: Language) -> str:
        """Who is there, by role or chosen alias; else when somebody is next, where that is known.

        Honest about languages: who does not speak hers is said to speak another one.
        """
        there, consultants, table = await self._look()
        role = self.texts.say(language, "case.role")
        speaking = [each for each in there if language in each.languages]
        if speaking:
            who = dict.fromkeys(each.alias or role for each in speaking)
            return self.texts.say(language, "duty.now_is", who=", ".join(who))
        if there:
            spoken = {each for member in there for each in member.languages}
            names = [
                self.texts.say(each, "language.name")
                for each in self.texts.languages
                if each in spoken
            ]
            return self.texts.say(language, "duty.other_language", languages=", ".join(names))
        if self.changes.watched:
            return self.texts.say(language, "duty.now_is", who=role)
        return self._next(language, consultants, table)

    async def _look(self) -> tuple[list[StaffMember], list[StaffMember], DutyTable]:
        """The consultants on duty now, all consultants, by login, and the table."""
        table, members = await self.store.duty(), await self.store.all_staff()
        consultants = [each for each in members if answers(each)]
        there = on_duty(table, self.now(), ZONE)
        return [each for each in consultants if each.id in there], consultants, table

    def _next(
        self, language: Language, consultants: Sequence[StaffMember], table: DutyTable
    ) -> str:
        """When somebody who speaks her language is next, or else anybody."""
        now = self.now()
        hers = {each.id for each in consultants if language in each.languages}
        among = {each.id for each in consultants}
        coming = next_duty(table, now, ZONE, hers) or next_duty(table, now, ZONE, among)
        if coming is None:
            return self.texts.say(language, "duty.nobody")
        when = self.texts.moment(language, coming.start, now)
        return self.texts.say(language, "duty.next", when=when)
