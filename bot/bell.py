"""The bell: a case that waits rings for those who can answer it, until somebody has it.

Nobody stares at a screen. Whom it rings for is worked out from the duty table and the
languages that each speaks; how often it has rung stands with the case, so that a restart
goes on where it was. A ring carries no content: not who, not where, not about what.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol

from bot.live import Changes
from bot.privacy.redact import EventLog
from bot.storage.records import BellAddress, Case, CaseState, Role, StaffMember, StaffState
from bot.storage.store import Store
from bot.texts import ZONE
from scheduler.duty import DutyTable, next_duty, on_duty

PAUSES = (timedelta(minutes=2), timedelta(minutes=2), timedelta(minutes=2))
"""From one round to the next: those on duty who speak her language, they again, the others on
duty, everybody."""
LATER = timedelta(minutes=15)
"""Between the rounds that follow, for as long as nobody has claimed it."""
OWNER_AGAIN = timedelta(minutes=8)
OWNER_ROUNDS = 3
"""How often unread words ring for the consultant who has the case."""
UNREACHED = timedelta(seconds=20)
"""Until the next round, where one reached nobody though it should have."""

log = EventLog("bell")


class Ringer(Protocol):
    """Rings on the consultants' own phones."""

    async def ring(self, bells: Iterable[BellAddress], case_id: str) -> frozenset[str]:
        """Ring, with no content; returns the ids of those whose phone took it."""
        ...

    async def quiet(self, case_id: str) -> None:
        """Somebody has this case: take back what rang for it, as far as it is known."""
        ...


@dataclass(frozen=True, slots=True)
class Round:
    """One round of ringing: for whom, and when the next one follows."""

    whom: frozenset[str]
    again_in: timedelta


def call_round(
    number: int, language: str, consultants: Mapping[str, Collection[str]], there: frozenset[str]
) -> Round:
    """Whom round `number` (from 0) rings for.

    `consultants`: the languages that each speaks. `there`: who is on duty; nobody at all when
    no duty is known, and then everybody counts as on duty.
    """
    there = there & frozenset(consultants) or frozenset(consultants)
    speaks = frozenset(who for who in there if language in consultants[who])
    first = speaks or there
    others = (there - first) or frozenset(consultants)
    rounds = (first, first, others, frozenset(consultants))
    pause = PAUSES[number] if number < len(PAUSES) else LATER
    return Round(rounds[number] if number < len(rounds) else there, pause)


class Bell:
    """Rings for what waits. `ringer` is None where the desk has no bot of its own."""

    def __init__(
        self,
        store: Store,
        changes: Changes,
        now: Callable[[], datetime],
        ringer: Ringer | None,
    ) -> None:
        self._store = store
        self._changes = changes
        self._now = now
        self._ringer = ringer
        self._rung: set[str] = set()  # cases for which phones may still show a ring

    async def tick(self) -> None:
        """Ring whatever is due. A ring that was cut off by a crash comes again."""
        now = self._now()
        due = await self._store.ringing(now)
        if due:
            consultants = await self._consultants()
            table = await self._store.duty()
            for case in due:
                if case.state is CaseState.WAITING:
                    await self._ring_waiting(case, consultants, table, now)
                else:
                    await self._ring_owner(case, now)
        await self._quiet()

    async def _ring_waiting(
        self,
        case: Case,
        consultants: Mapping[str, Collection[str]],
        table: DutyTable,
        now: datetime,
    ) -> None:
        there = on_duty(table, now, ZONE) & frozenset(consultants)
        if not there:
            coming = next_duty(table, now, ZONE, consultants)
            if coming is not None:  # nobody is woken at night; the morning begins with it
                await self._store.rung(case, case.bell_round, coming.start)
                return self._changes.notify()
        round_ = call_round(case.bell_round, case.language, consultants, there)
        await self._ring(case, round_.whom, case.bell_round + 1, round_.again_in, now)

    async def _ring_owner(self, case: Case, now: datetime) -> None:
        """Her words are unread, or the case was handed over: its consultant hears of it."""
        if case.unread == 0 and case.passed_at is None:
            await self._store.rung(case, 0, None)
            return
        whom = frozenset({case.claimed_by} if case.claimed_by else ())
        if case.bell_round + 1 >= OWNER_ROUNDS:
            await self._ring(case, whom, case.bell_round + 1, None, now)
        else:
            await self._ring(case, whom, case.bell_round + 1, OWNER_AGAIN, now)

    async def _ring(
        self,
        case: Case,
        whom: frozenset[str],
        rounds: int,
        again_in: timedelta | None,
        now: datetime,
    ) -> None:
        reached = await self._phones(whom, case.id)
        if reached is None:  # a round that should have reached a phone, and did not
            log.alarm("bell_unreached")
            again_in = UNREACHED
        await self._store.rung(case, rounds, None if again_in is None else now + again_in)
        self._changes.notify()

    async def _phones(self, whom: frozenset[str], case_id: str) -> frozenset[str] | None:
        """Who was reached on a phone; None when phones were to ring and none did."""
        if self._ringer is None:
            return frozenset()
        bells = [bell for bell in await self._store.bells() if bell.staff_id in whom]
        if not bells:
            return frozenset()
        self._rung.add(case_id)
        return await self._ringer.ring(bells, case_id) or None

    async def _quiet(self) -> None:
        """Ringing stops when somebody claims: also what stands on the phones of the others."""
        if self._ringer is None or not self._rung:
            return
        waiting = {case.id for case in await self._store.waiting()}
        for case_id in self._rung - waiting:
            await self._ringer.quiet(case_id)
        self._rung &= waiting

    async def _consultants(self) -> dict[str, frozenset[str]]:
        return {each.id: each.languages for each in await self._store.all_staff() if answers(each)}


def answers(member: StaffMember) -> bool:
    """Whether she answers women: only then a bell rings for her."""
    return member.state is StaffState.ACTIVE and Role.CONSULTANT in member.roles
