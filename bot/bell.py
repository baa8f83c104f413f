"""The bell: a case that waits rings for those who can answer it, until somebody has it.

Nobody stares at a screen. Whom it rings for is worked out from the duty table and the
languages that each speaks; how often it has rung stands with the case, so that a restart
goes on where it was. A ring carries no content: not who, not where, not about what.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from typing import Protocol

from bot.handover import UNANSWERED, Handover
from bot.live import Changes
from bot.privacy.redact import EventLog
from bot.storage.messages import SEEN
from bot.storage.records import BellAddress, Case, CaseState, Role, StaffMember, StaffState
from bot.storage.store import Store
from bot.texts import ZONE
from scheduler.duty import DutyTable, Shift, Who, next_duty, on_duty

PAUSE = timedelta(minutes=2)
"""Between the first rounds: those on duty who speak her language, they again, the others on
duty, everybody."""
LATER = timedelta(minutes=15)
"""Between the rounds that follow, for as long as nobody has claimed it."""
OWNER_AGAIN = timedelta(minutes=8)
OWNER_ROUNDS = 3
"""How often unread words, or what did not go through, ring for the consultant who has the case;
words that wait for an answer ring once."""
UNREACHED = timedelta(seconds=20)
"""Until the next of the first rounds, where nobody can have heard this one."""

BY_DAY = (9, 21)
"""Local hours, first and last, in which everybody is rung where no duty begins in time for her."""

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
    """One round of ringing: for whom, when the next one follows, and whether it is a first one."""

    whom: frozenset[Who]
    again_in: timedelta
    is_first: bool


def call_round(
    number: int, language: str, consultants: Mapping[Who, Collection[str]], there: frozenset[Who]
) -> Round:
    """Whom round `number` (from 0) rings for.

    `consultants`: the languages that each speaks. `there`: who is on duty; where that is nobody,
    everybody counts as on duty.
    """
    everybody = frozenset(consultants)
    there = there & everybody or everybody
    speak = frozenset(who for who in there if language in consultants[who])
    nearest = speak or there
    firsts = [each for each in (nearest, nearest, there - nearest, everybody) if each]
    if number < len(firsts):
        is_last = number == len(firsts) - 1
        return Round(firsts[number], LATER if is_last else PAUSE, is_first=True)
    return Round(there, LATER, is_first=False)


@dataclass(frozen=True, slots=True)
class _Roster:
    """Who answers women, who of them is on duty at this moment, and who begins next."""

    now: datetime
    consultants: Mapping[Who, Collection[str]]
    table: DutyTable
    there: frozenset[Who]
    coming: Shift | None
    bells: Sequence[BellAddress]


class Bell:
    """Rings for what waits. `ringer` is None where the desk has no bot of its own."""

    def __init__(
        self,
        store: Store,
        changes: Changes,
        now: Callable[[], datetime],
        ringer: Ringer | None,
        handover: Handover,
    ) -> None:
        self._store = store
        self._changes = changes
        self._now = now
        self._ringer = ringer
        self._handover = handover
        self._rung: dict[str, str | None] = {}  # on phones: the case, and who had it then
        self._tried: dict[Who, bool] = {}  # in this tick, and whether it was heard

    async def tick(self) -> None:
        """Ring whatever is due. A ring that was cut off by a crash comes again.

        A fault with one case holds up no other.
        """
        await self._quiet()
        self._tried.clear()
        due = await self._store.ringing(self._now())
        if due:
            roster = await self._roster()
            for case in due:
                try:
                    await self._ring_case(case, roster)
                except Exception as error:
                    log.alarm("tick_failed", error)

    async def _ring_case(self, case: Case, roster: _Roster) -> None:
        if case.state is CaseState.WAITING:
            await self._ring_waiting(case, roster)
        else:
            await self._ring_owner(case, roster)

    async def _ring_waiting(self, case: Case, roster: _Roster) -> None:
        coming = roster.coming
        if not roster.there and coming is not None:
            given_up = case.last_woman_at + UNANSWERED
            begins = coming.start if coming.start < given_up else _by_day(roster.now)
            if begins > roster.now:  # nobody is woken at night; the morning begins with it
                await self._store.rung(case, 0, begins)
                return self._changes.notify()
        round_ = call_round(case.bell_round, case.language, roster.consultants, roster.there)
        heard = await self._rings(case, round_.whom, roster)
        again_in = round_.again_in
        if not heard:
            again_in = min(again_in, UNREACHED if round_.is_first else PAUSE)
        again_at = roster.now + again_in
        if coming is not None:  # whoever comes in the meantime hears of it at once
            again_at = min(again_at, coming.start)
        await self._store.rung(case, case.bell_round + 1, again_at)
        self._changes.notify()

    async def _ring_owner(self, case: Case, roster: _Roster) -> None:
        """Her words are unread or unanswered, something did not go through to her, or the case
        was handed over: its consultant hears of it.
        """
        owner = case.claimed_by
        is_owed = await self._handover.is_owed(case)
        if owner is None or not (is_owed or case.passed_at is not None or went_wrong(case)):
            await self._store.rung(case, SEEN if case.unanswered else 0, None)
            return
        if is_owed and case.passed_at is None:
            return await self._ring_for_words(case, owner, roster)
        await self._rings(case, frozenset({owner}), roster)
        again_at: datetime | None = roster.now + OWNER_AGAIN
        if case.passed_at is None:
            if owner not in roster.there:  # off duty she hears it once, and when her duty begins
                hers = next_duty(roster.table, roster.now, ZONE, {owner})
                again_at = hers.start if hers is not None else again_at
            if case.bell_round + 1 >= OWNER_ROUNDS:
                again_at = None
        await self._store.rung(case, case.bell_round + 1, again_at)
        self._changes.notify()

    async def _ring_for_words(self, case: Case, owner: Who, roster: _Roster) -> None:
        """Her words ring for their consultant first, off duty too; and where she does not come,
        for somebody else who is on duty: the case waits again.

        Where nobody is, it rings on when the next duty begins, whose ever that is.
        """
        there = roster.there or (frozenset() if roster.coming else frozenset(roster.consultants))
        is_away, others = owner not in there, there - {owner}
        was_called = case.bell_round >= (1 if is_away else OWNER_ROUNDS)
        if was_called and others:
            return await self._handover.take_back(case)
        rounds, again_at = case.bell_round, None
        if not (was_called and is_away):
            heard = await self._rings(case, frozenset({owner}), roster)
            if others and not heard:
                return await self._handover.take_back(case)
            is_last = case.bell_round in (SEEN, OWNER_ROUNDS - 1)
            rounds = OWNER_ROUNDS if is_last else case.bell_round + 1
            pause = LATER if was_called else PAUSE if is_away else OWNER_AGAIN
            again_at = roster.now + pause
        if roster.coming is not None and (is_away or was_called):
            again_at = min(again_at or roster.coming.start, roster.coming.start)
        await self._store.rung(case, rounds, again_at)
        self._changes.notify()

    async def _rings(self, case: Case, whom: frozenset[Who], roster: _Roster) -> bool:
        """Ring their phones; False when nobody can have heard it, on a phone or at a desk."""
        if self._ringer is None:
            return True  # there is only the open desk
        bells = [bell for bell in roster.bells if bell.staff_id in whom]
        if not bells:
            return self._changes.watched
        untried = [bell for bell in bells if bell.staff_id not in self._tried]
        if not untried:  # forty cases at once are one ring to a person
            return any(self._tried[bell.staff_id] for bell in bells)
        self._rung[case.id] = case.claimed_by
        try:
            reached = await self._ringer.ring(untried, case.id)
        except Exception as error:  # of whatever kind: the other cases ring all the same
            log.alarm("bell_unreached", error)
            return False
        self._tried |= {bell.staff_id: bell.staff_id in reached for bell in untried}
        if not any(self._tried.get(bell.staff_id) for bell in bells):
            log.alarm("bell_unreached")
            return False
        return True

    async def _quiet(self) -> None:
        """Take back what stands on phones, once somebody else has the case, or it was read."""
        if self._ringer is None or not self._rung:
            return
        open_ = {case.id: case for case in await self._store.open_cases()}
        for case_id, owner in list(self._rung.items()):
            case = open_.get(case_id)
            if case is None or case.claimed_by != owner or (owner and not is_new(case)):
                del self._rung[case_id]
                await self._ringer.quiet(case_id)

    async def _roster(self) -> _Roster:
        now, table = self._now(), await self._store.duty()
        members = await self._store.all_staff()
        consultants = {each.id: each.languages for each in members if answers(each)}
        there = on_duty(table, now, ZONE) & frozenset(consultants)
        coming = next_duty(table, now, ZONE, consultants)
        bells = await self._store.bells() if self._ringer is not None else []
        return _Roster(now, consultants, table, there, coming, bells)


def _by_day(now: datetime) -> datetime:
    """Now, or, at night, the next morning."""
    first, last = BY_DAY
    local = now.astimezone(ZONE)
    if first <= local.hour < last:
        return now
    day = local.date() + timedelta(days=local.hour >= last)
    return datetime.combine(day, time(first), ZONE).astimezone(UTC)


def is_new(case: Case) -> bool:
    """Whether something in the case of a consultant waits to be seen by her: unread words, what
    did not go through, all of it where it was handed to her, or what she is reminded of."""
    reminded = case.bell_round > 0 and case.unanswered > 0
    return case.unread > 0 or case.passed_at is not None or went_wrong(case) or reminded


def went_wrong(case: Case) -> bool:
    """Whether something did not go through to her, and the consultant has not looked since."""
    rings = case.bell_round > 0 or (case.bell_round != SEEN and case.bell_at is not None)
    return rings and bool(case.undecided or case.unmended)


def answers(member: StaffMember) -> bool:
    """Whether she answers women: only then a bell rings for her."""
    return member.state is StaffState.ACTIVE and Role.CONSULTANT in member.roles
