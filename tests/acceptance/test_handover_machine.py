"""The handover in any order: women, consultants, a moved clock, restarts, a delivery that fails.

Hypothesis invents the orders. The real handover, desk and bell act on a real SQLite file; a
recorder plays the platform on the real outbox. After each step the recorder and the database say
whether the promises hold. The test run always tries the same few orders, and does not look for a
shorter one where something breaks. By hand: `HANDOVER_EXAMPLES=500 pytest` with this file tries
others each time and shortens what breaks; `--hypothesis-seed` brings one run back.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import sqlite3
import tempfile
from collections.abc import Awaitable, Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime, time, timedelta
from pathlib import Path
from typing import Any, TypeVar

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    rule,
    run_state_machine_as_test,
)

from bot.bell import Bell
from bot.channels.base import Who
from bot.desk.service import (
    BLOCKS,
    FOR_THE_CASE,
    Desk,
    NoSuchCase,
    NoSuchColleague,
    NotAllowed,
    WrittenSince,
)
from bot.handover import SILENCE, UNANSWERED, UNOPENED, Handover
from bot.lifecycle import CaseState
from bot.live import Changes
from bot.privacy.vault import KeyDestroyed, Vault
from bot.storage.messages import SEEN
from bot.storage.migrate import migrate
from bot.storage.outbox import LEASE
from bot.storage.records import (
    Author,
    BellAddress,
    Blocked,
    CaseClosed,
    Due,
    Medium,
    MediumKind,
    MessageState,
    NotYours,
    Nudge,
    OtherCaseOpen,
    Role,
    StaffMember,
    StaffState,
    TextGone,
)
from bot.storage.store import Store
from bot.texts import ZONE, open_content
from scheduler.duty import Hours, Weekly, next_duty, on_duty
from scheduler.model import SAFE_HOURS

T = TypeVar("T")
QUICK = next(filter(os.path.isdir, ["/dev/shm"]), None)
"""In memory, where there is such a folder: what a disk does is tested elsewhere."""
MORE = os.environ.get("HANDOVER_EXAMPLES")
BEGIN = datetime(2026, 11, 20, 14, 0, tzinfo=UTC)  # a Friday afternoon
RINGS_WITHIN = timedelta(minutes=15)
"""The longest pause between two rounds of a bell."""
SPANS = (
    timedelta(seconds=30),
    timedelta(minutes=2, seconds=1),
    timedelta(minutes=16),
    timedelta(hours=3),
    timedelta(hours=25),
    timedelta(days=2, hours=1),
    timedelta(days=7),
)
Pattern = tuple[range, Hours]
PATTERNS: tuple[Pattern, ...] = (
    (range(0), Hours(time(0), time(0))),
    (range(5), Hours(time(9), time(17))),
    (range(7), Hours(time(20), time(8))),
    (range(1), Hours(time(9), time(12))),
)

# What anybody does, the likelier the more often it stands here
HERS = (
    *("asks", "writes", "comes back") * 3,
    *("hides", "ends") * 2,
    "deletes everything",
)
THEIRS = (
    *("claim", "reply", "hand over", "read", "open again") * 3,
    *("close", "note", "voice", "shut out", "decide") * 2,
    "give back",
)
MEANWHILE = (*("nothing",) * 4, *("hides",) * 3, "ends", "deletes", "close")
OUTCOMES = (
    *("sent",) * 6,
    *("later",) * 3,
    "unknown",
    "failed",
    "held",
    "unsent",
    "gone",
    "too slow",
)
_ANY_CASE = st.integers(0, 11)
HAPPENINGS: dict[str, tuple[int, dict[str, st.SearchStrategy[Any]]]] = {
    "a_woman": (
        5,
        {
            "number": st.integers(0, 2),
            "act": st.sampled_from(HERS),
            "covered": st.booleans(),
            "photo": st.booleans(),
            "again": st.booleans(),
            "language": st.sampled_from(["bg", "tr", "en"]),
        },
    ),
    "a_consultant": (
        8,
        {
            "who": st.integers(0, 6),
            "at": _ANY_CASE,
            "act": st.sampled_from(THEIRS),
            "to": st.integers(0, 2),
            "span": st.sampled_from([FOR_THE_CASE, "hour", "week", None]),
            "again": st.booleans(),
        },
    ),
    "the_delivery": (
        5,
        {
            "at": _ANY_CASE,
            "late": st.booleans(),
            "meanwhile": st.sampled_from(MEANWHILE),
            "outcome": st.sampled_from(OUTCOMES),
        },
    ),
    "time": (
        5,
        {
            "span": st.sampled_from(SPANS),
            "then": st.sampled_from(["nothing", "restart", *("handover", "bell", "purge") * 3]),
        },
    ),
    "the_centre": (
        2,
        {"who": st.integers(0, 2), "pattern": st.sampled_from([None, None, *PATTERNS])},
    ),
}
"""What may happen: how often among the others, and what is left to chance in it."""
_SOMETHING = st.sampled_from(
    [name for name, (often, _) in HAPPENINGS.items() for _ in range(often)]
).flatmap(lambda name: st.tuples(st.just(name), st.fixed_dictionaries(HAPPENINGS[name][1])))


@dataclass(eq=False)
class Woman:
    """What is so on her side, whatever the database says."""

    who: Who
    language: str
    nudge: Nudge | None = None
    window: bool = False  # open: she sees what is sent
    cases: list[Known] = field(default_factory=list)
    block: tuple[str, str | datetime] | None = None
    rung: bool = False  # since she was last here
    said: int = 0

    def open_case(self) -> Known | None:
        return next((case for case in self.cases if case.state is not CaseState.CLOSED), None)

    def blocked(self, now: datetime) -> bool:
        if self.block is None:
            return False
        kind, value = self.block
        if kind == "until":
            assert isinstance(value, datetime)
            return now < value
        return any(c.id == value and c.state is not CaseState.CLOSED for c in self.cases)


@dataclass(eq=False)
class Known:
    """A case as the recorder knows it."""

    id: str
    woman: Woman
    marker: str
    state: CaseState
    last_at: datetime
    last_woman_at: datetime
    said_at: datetime | None = None  # when she first wrote
    owner: int | None = None
    got_at: datetime | None = None  # when its owner came by it
    passed_at: datetime | None = None
    unread_since: datetime | None = None
    owed: bool = False  # she wrote, and no consultant since
    answered: bool = False
    closed_at: datetime | None = None
    last_number: int = 0  # when it was closed
    first_sent: int = 0  # the highest number that was ever about to leave
    text_gone: bool = False
    keys: set[str] = field(default_factory=set)  # of her deliveries that are kept


@dataclass
class Phones:
    """The consultants' phones: what rang."""

    rung: list[tuple[str, frozenset[str]]] = field(default_factory=list)

    async def ring(self, bells: Iterable[BellAddress], case_id: str) -> frozenset[str]:
        whom = frozenset(bell.staff_id for bell in bells)
        self.rung.append((case_id, whom))
        return whom

    async def quiet(self, case_id: str) -> None:
        """What stands on a phone says nothing that could be wrong."""


class HandoverMachine(RuleBasedStateMachine):
    """Three women and three consultants."""

    centre: Path  # its database and keys, before the first woman comes
    staff: list[StaffMember]

    def __init__(self) -> None:
        super().__init__()
        self.loop = asyncio.new_event_loop()
        self.folder = tempfile.TemporaryDirectory(dir=QUICK)
        shutil.copytree(self.centre, self.folder.name, dirs_exist_ok=True)
        self.file = Path(self.folder.name) / "phen.db"
        self.vault = Vault.open(Path(self.folder.name) / "keys" / "master.key")
        self.now = BEGIN
        self.women = [
            Woman(Who("telegram", "7301"), "bg"),
            Woman(Who("web", "w-2"), "tr", Nudge("eve", "nudge.words")),
            Woman(Who("viber", "9001"), "en"),
        ]
        self.cases: dict[str, Known] = {}
        self.everything: dict[str, Known] = {}  # those that are gone, too
        self.dead: list[tuple[str, bytes, str]] = []  # copies of keys that must open nothing
        self.frozen: set[int] = set()
        self.said = 0
        self.answers: dict[str, str] = {}  # a consultant's message -> its case
        self.notes: set[str] = set()
        self.answered = self.unanswered = 0
        # The platform's side
        self.seen: list[Due] = []  # what a round of the delivery found, perhaps long ago
        self.flying: dict[int, Due] = {}
        self.tried: set[str] = set()
        self.again: set[str] = set()  # may leave once more
        self.phones = Phones()
        self.spy = sqlite3.connect(self.file, isolation_level=None)

    def run(self, work: Awaitable[T]) -> T:
        async def awaited() -> T:
            return await work

        return self.loop.run_until_complete(awaited())

    def clock(self) -> datetime:
        return self.now

    # --- the program, and its start -------------------------------------------------------------

    async def _start(self) -> None:
        self.store = await Store.open(f"sqlite:///{self.file}", self.vault, self.clock)
        texts, changes = open_content()[1], Changes()
        self.handover = Handover(
            self.store, texts, changes, self.clock, lambda: None, self._rung_for_her
        )
        self.desk = Desk(self.store, changes, self.clock, lambda: None, texts)
        self.bell = Bell(self.store, changes, self.clock, self.phones, self.handover)

    @initialize(
        claimed=st.tuples(*[st.sampled_from([None, 0, 1, 2])] * 3), hours=st.sampled_from(PATTERNS)
    )
    def begin(self, claimed: tuple[int | None, ...], hours: Pattern) -> None:
        """All three have asked for a person; some have one already."""
        self.run(self._start())
        self.has_other_hours(0, hours)
        for number, who in enumerate(claimed):
            self.asks_for_a_person(number)
            if who is not None:
                self.claims(who, self._pick(number))

    @rule(happening=_SOMETHING)
    def there_is(self, happening: tuple[str, dict[str, Any]]) -> None:
        name, how = happening
        getattr(self, name)(**how)

    def teardown(self) -> None:
        self.spy.close()
        self.run(self.store.close())
        self.loop.run_until_complete(self.loop.shutdown_asyncgens())
        self.loop.close()
        self.folder.cleanup()

    def restart(self) -> None:
        kept = "SELECT id, state, claimed_by, bell_at, bell_round FROM cases ORDER BY id"
        before = self._rows(kept)
        self.run(self.store.close())
        self.run(self._start())
        self.run(self.store.close_unreadable())
        self.run(self.store.recover())
        for channel in ("telegram", "viber", "web"):
            self.run(self.store.take_over(channel))
        for woman in self.women:
            woman.window = False
        self.seen.clear()
        cut_off = [due.message.id for due in self.flying.values() if due.case_id in self.cases]
        told = {due.case_id for due in self.flying.values()}  # its owner hears of what is unknown
        self.flying.clear()
        after = self._rows(kept)
        assert [row[:3] for row in after] == [row[:3] for row in before]
        bells = {row[0]: row[3:] for row in before}
        assert all(row[3:] == bells[row[0]] for row in after if row[0] not in told)
        assert all(row[3] for row in after if row[0] in told and row[1] == CaseState.CLAIMED)
        assert not self._rows("SELECT id FROM cases WHERE present")
        assert not self._rows(
            "SELECT id FROM cases WHERE state <> 'closed' AND absent_since IS NULL"
        )
        for message_id in cut_off:
            found = self._rows("SELECT state FROM messages WHERE id = ?", message_id)
            assert found in ([(MessageState.UNKNOWN,)], []), "it may have arrived"

    # --- the women ------------------------------------------------------------------------------

    def a_woman(
        self, number: int, act: str, covered: bool, photo: bool, again: bool, language: str
    ) -> None:
        match act:
            case "asks":
                self.asks_for_a_person(number)
            case "writes":
                self.writes(number, covered, photo, again)
            case "hides":
                self.hides(number)
            case "comes back":
                self.comes_back(number, language)
            case "ends":
                self.ends_it(number)
            case _:
                self._forget(self.women[number])

    def asks_for_a_person(self, number: int) -> None:
        woman = self.women[number]
        known = woman.open_case()
        opening = self.handover.open_case(
            woman.who, woman.language, "topic.order", "rse27", woman.nudge
        )
        if known is None and woman.blocked(self.now):
            self._refused(opening, Blocked)
            return
        case = self.run(opening)
        if known is None:
            assert case.id not in self.everything
            known = Known(
                case.id, woman, f"«{len(self.everything)}»", CaseState.WAITING, self.now, self.now
            )
            woman.cases.append(known)
            self.cases[case.id] = self.everything[case.id] = known
        assert case.id == known.id
        woman.window, woman.rung = True, False

    def writes(self, number: int, covered: bool, photo: bool, again: bool) -> None:
        """Also into a case that was closed while she typed."""
        woman = self.women[number]
        known = woman.open_case() or next(reversed(woman.cases), None)
        if known is None:
            return
        case = self.run(self.store.case(known.id))
        assert case is not None
        key = f"{woman.said}"
        if not again or not woman.said:
            woman.said += 1
            key = f"{woman.said}"
        medium = Medium(MediumKind.PHOTO, b"photo") if photo else None
        count = self._count(known)
        relayed = self.handover.relay(
            case, f"{known.marker} hers {key}", key, None, covered=covered, medium=medium
        )
        if woman.blocked(self.now):
            self._refused(relayed, Blocked)
        elif any(key in case.keys for case in woman.cases if not case.text_gone):
            assert not self.run(relayed)
        elif known.state is CaseState.CLOSED:
            self._refused(relayed, CaseClosed)
        else:
            assert self.run(relayed)
            known.keys.add(key)
            known.last_at = known.last_woman_at = self.now
            known.unread_since, known.owed = known.unread_since or self.now, True
            known.said_at = known.said_at or self.now
            count += 1
        assert self._count(known) == count

    def hides(self, number: int) -> None:
        woman = self.women[number]
        woman.window = False
        self.run(self.handover.absent(woman.who))

    def comes_back(self, number: int, language: str) -> None:
        """Perhaps through the gate in another language."""
        woman = self.women[number]
        woman.language = language
        found = self.run(self.handover.arrive(woman.who, language))
        if found is None:
            assert woman.open_case() is None
            return
        woman.window, woman.rung = True, False
        known = woman.open_case()
        assert known is None or found.id == known.id
        assert found.id in {case.id for case in woman.cases}

    def ends_it(self, number: int) -> None:
        woman = self.women[number]
        known = woman.open_case()
        self.run(self.handover.end(woman.who))
        if known is not None:
            self._closed(known)

    def _forget(self, woman: Woman) -> None:
        copies = self._copies(woman.cases)
        self.run(self.handover.forget(woman.who))
        for known in list(woman.cases):
            if known.state is not CaseState.CLOSED and not known.answered:
                self.unanswered += 1
            self._gone(known)
        self.dead += copies
        self._nothing_opens()

    # --- the consultants ------------------------------------------------------------------------

    def a_consultant(
        self, who: int, at: int, act: str, to: int, span: str | None, again: bool
    ) -> None:
        """Mostly the one who has the case."""
        known = self._pick(at)
        if who > 2:
            who = who % 3 if known.owner is None else known.owner
        match act:
            case "claim":
                self.claims(who, known)
            case "reply" | "voice" | "note":
                self.writes_to_her(who, known, act, again)
            case "read":
                self.reads(who, known)
            case "hand over":
                self.hands_over(who, known, to)
            case "give back":
                self.gives_back(who, known)
            case "close":
                self.closes(who, known)
            case "open again":
                self.opens_again(who, known)
            case "shut out":
                self.shuts_out_or_lets_in(who, known, span)
            case _:
                self.decides(who, at, again)

    def claims(self, who: int, known: Known) -> None:
        work = self.desk.claim(self.staff[who], known.id)
        if who in self.frozen:
            self._refused(work, NotAllowed)
        elif known.id not in self.cases:
            self._refused(work, NoSuchCase)
        elif known.state is CaseState.CLOSED:
            self._refused(work, CaseClosed)
        else:
            free = known.state is CaseState.WAITING
            assert self.run(work) is (free or known.owner == who)
            if free:
                known.state, known.owner = CaseState.CLAIMED, who
                known.got_at = self.now

    def writes_to_her(self, who: int, known: Known, how: str, again: bool) -> None:
        me = self.staff[who]
        if not again:
            self.said += 1
        text, key = f"{known.marker} {how} {self.said}", f"{how} {self.said}"
        acts = {
            "reply": lambda: self.desk.reply(me, known.id, text, key),
            "voice": lambda: self.desk.say(
                me, known.id, Medium(MediumKind.VOICE, b"voice" + known.marker.encode()), key
            ),
            "note": lambda: self.desk.note(me, known.id, text, key),
        }
        message = self._act(who, known, acts[how](), open_only=True)
        if message is None:
            return
        if how == "note":
            self.notes.add(message.id)
            return
        said_before = set(self.answers)
        assert self.answers.setdefault(message.id, known.id) == known.id
        if message.id in said_before:
            return
        known.last_at, known.passed_at, known.owed = self.now, None, False
        if not known.answered:
            known.answered = True
            self.answered += 1

    def hands_over(self, who: int, known: Known, to: int) -> None:
        work = self.desk.transfer(self.staff[who], known.id, self.staff[to].id)
        refusal = self._refusal(who, known, open_only=True)
        if refusal is None and (to == who or to in self.frozen):
            refusal = NoSuchColleague
        if refusal is not None:
            self._refused(work, refusal)
            return
        self.run(work)
        known.owner, known.passed_at = to, self.now
        known.got_at, known.unread_since = self.now, known.said_at

    def gives_back(self, who: int, known: Known) -> None:
        work = self.desk.give_back(self.staff[who], known.id)
        if self._act_done(who, known, work, open_only=True):
            self._waits(known)

    def closes(self, who: int, known: Known) -> None:
        work = self.desk.close(self.staff[who], known.id)
        open_ = known.state is not CaseState.CLOSED
        if open_ and known.unread_since and self._refusal(who, known) is None:
            self._refused(work, WrittenSince)
            work = self.desk.close(self.staff[who], known.id, self._last_number(known))
        if self._act_done(who, known, work) and known.state is not CaseState.CLOSED:
            self._closed(known)

    def opens_again(self, who: int, known: Known) -> None:
        work = self.desk.reopen(self.staff[who], known.id)
        refusal = self._refusal(who, known)
        if refusal is None and known.state is CaseState.CLOSED:
            if known.text_gone:
                refusal = TextGone
            elif known.woman.open_case() is not None:
                refusal = OtherCaseOpen
        if refusal is not None:
            self._refused(work, refusal)
            return
        self.run(work)
        if known.state is CaseState.CLOSED:
            known.state, known.closed_at = CaseState.CLAIMED, None
            known.last_at, known.answered = self.now, True
            known.woman.window = False  # it counts as open once she has tapped

    def reads(self, who: int, known: Known) -> None:
        """Her own case whole, a waiting one as the list shows it, a colleague's not at all."""
        me = self.staff[who]
        if known.id in self.cases and known.state is CaseState.WAITING and who not in self.frozen:
            view = self.run(self.desk.open(me, known.id))
            assert (view.case.topic, view.case.place, view.messages) == (None, None, ())
            return
        view = self._act(who, known, self.desk.open(me, known.id))
        if view is None:
            return
        assert (view.messages == ()) is known.text_gone or not self._count(known)
        assert view.case.topic == (None if known.text_gone else "topic.order")
        for message in view.messages:
            assert known.marker in message.text or message.author is Author.SYSTEM or message.medium
        self.run(self.desk.looked(me, known.id))
        known.passed_at = known.unread_since = None
        assert {case.id for case in self.run(self.desk.mine(me))} == {
            case.id for case in self.cases.values() if case.owner == who
        }

    def shuts_out_or_lets_in(self, who: int, known: Known, span: str | None) -> None:
        me = self.staff[who]
        if span is None:
            done = self._act_done(who, known, self.desk.unblock(me, known.id))
            block = None
        else:
            done = self._act_done(who, known, self.desk.block(me, known.id, span))
            until = BLOCKS.get(span)
            block = ("case", known.id) if until is None else ("until", self.now + until)
        if done:
            known.woman.block = block
            self.writes(self.women.index(known.woman), covered=False, photo=False, again=False)

    def decides(self, who: int, at: int, leave: bool) -> None:
        """What may not have arrived: sent again, or left."""
        parked = self._parked()
        if not parked:
            return
        message_id, case_id = parked[at % len(parked)]
        known, act = self.cases[case_id], self.desk.drop if leave else self.desk.resend
        work = act(self.staff[who], case_id, message_id)
        if self._act_done(who, known, work, open_only=not leave) and not leave:
            self.again.add(message_id)

    def the_centre(self, who: int, pattern: Pattern | None) -> None:
        if pattern is None:
            self.is_frozen_or_thawed(who)
        else:
            self.has_other_hours(who, pattern)

    def is_frozen_or_thawed(self, who: int) -> None:
        thaws = who in self.frozen
        state = StaffState.ACTIVE if thaws else StaffState.FROZEN
        self.run(self.store.set_staff_state(self.staff[who].id, state))
        self.frozen ^= {who}
        for known in self.cases.values():
            if known.owner == who and known.state is CaseState.CLAIMED:
                self._waits(known)

    def has_other_hours(self, who: int, pattern: Pattern) -> None:
        me, (days, hours) = self.staff[who].id, pattern
        self.run(self.store.set_weekly(me, [Weekly(me, day, hours) for day in days]))

    # --- time -----------------------------------------------------------------------------------

    def time(self, span: timedelta, then: str) -> None:
        """It passes, and the program's own clock does its part, late or at once."""
        self.now += span
        match then:
            case "handover":
                self.the_handover_ticks()
            case "bell":
                self.the_bell_ticks()
            case "purge":
                self.the_clocks_run_out()
            case "restart":
                self.restart()

    def the_handover_ticks(self) -> None:
        self.run(self.handover.tick())
        for known in self.cases.values():
            if known.passed_at is not None and known.passed_at <= self.now - UNOPENED:
                self._waits(known)
            over, is_silent = self.now - SILENCE, known.last_at < self.now - SILENCE
            got = known.got_at is None or known.got_at < over
            if known.state is CaseState.CLOSED or not got:
                continue
            claimed = known.state is CaseState.CLAIMED
            is_left = claimed and known.unread_since is not None and known.unread_since < over
            if not (is_silent or is_left):
                continue
            shut_out = known.woman.blocked(self.now)
            is_owed = known.unread_since is not None or (known.owed and not shut_out)
            is_recent = self.now - known.last_woman_at < UNANSWERED
            if claimed and is_owed and is_recent:
                self._waits(known)
            elif is_silent and (claimed or not is_recent):
                self._closed(known)

    def _rung_for_her(self, who: Who, language: str, said: str) -> None:
        woman = next(each for each in self.women if each.who == who)
        assert woman.nudge is not None, "the default is never"
        assert not woman.window
        assert not woman.rung, "once until she comes back"
        assert (language, said) == (woman.language, woman.nudge.words)
        first, last = SAFE_HOURS[woman.nudge.hours]
        assert first <= self.now.astimezone(ZONE).hour < last
        woman.rung = True

    def the_bell_ticks(self) -> None:
        due = {
            case_id: rounds
            for case_id, rounds in self._rows(
                "SELECT id, bell_round FROM cases WHERE state = 'waiting' AND bell_at <= ?",
                self._stamp(self.now),
            )
        }
        self.phones.rung.clear()
        self.run(self.bell.tick())
        active = {each.id: each for n, each in enumerate(self.staff) if n not in self.frozen}
        table = self.run(self.store.duty())
        there = on_duty(table, self.now, ZONE) & set(active)
        coming = None if there else next_duty(table, self.now, ZONE, active)
        rung = dict(self.phones.rung)
        for known in self._taken_back():
            assert known.unread_since or known.owed, "only what she wrote calls for another"
            assert known.owner is not None
            others = (there or (set() if coming else set(active))) - {self.staff[known.owner].id}
            assert others, "there is somebody who can come"
            self._waits(known)
        for case_id, whom in rung.items():
            known = self.cases[case_id]
            assert whom <= set(active), "a frozen account's bell is not rung"
            if known.state is CaseState.CLAIMED:
                assert known.owner is not None
                assert whom == {self.staff[known.owner].id}
        for known in self.cases.values():
            if known.state is not CaseState.WAITING:
                continue
            ((stamp,),) = self._rows("SELECT bell_at FROM cases WHERE id = ?", known.id)
            rings_at = datetime.fromisoformat(stamp).replace(tzinfo=UTC)
            if coming is not None:
                assert rings_at <= max(coming.start, self.now + RINGS_WITHIN)
                continue
            assert rings_at <= self.now + RINGS_WITHIN
            if known.id in due and active:
                whom = rung.get(known.id, frozenset())
                heard = frozenset().union(*rung.values())  # several cases at once are one ring
                assert heard, "nobody waits without a bell"
                speak = {
                    each
                    for each in there or active
                    if known.woman.language in active[each].languages
                }
                if due[known.id] == 0:
                    assert whom <= (speak or there or set(active)) <= heard

    def _taken_back(self) -> list[Known]:
        """Cases that the bell has taken from a consultant who did not come."""
        waiting = {row[0] for row in self._rows("SELECT id FROM cases WHERE state = 'waiting'")}
        found = [self.cases[case_id] for case_id in waiting]
        return [known for known in found if known.state is CaseState.CLAIMED]

    def the_clocks_run_out(self) -> None:
        """The purge, which the program does every hour."""
        copies = self._copies(self.cases.values())
        self.run(self.store.purge(self.now))
        over = {case_id for case_id, _, _ in copies} & self._run_out()
        self.dead += [copy for copy in copies if copy[0] in over]
        for known in list(self.cases.values()):
            if known.id in over:
                known.text_gone = True
                assert self.run(self.store.messages(known.id)) == []
            if known.closed_at is not None and known.closed_at <= self.now + timedelta(
                hours=1
            ) - timedelta(days=7):
                self._gone(known)
        self._nothing_opens()
        for known in self.cases.values():
            if not known.text_gone:
                assert len(self.run(self.store.messages(known.id))) == self._count(known)

    def _run_out(self) -> set[str]:
        """Cases that were closed so long ago that nobody may read them."""
        today = (self.now + timedelta(hours=1)).date()
        return {
            known.id
            for known in self.cases.values()
            if known.closed_at is not None and known.closed_at.date() + timedelta(days=2) <= today
        }

    # --- the platform ---------------------------------------------------------------------------

    def the_delivery(self, at: int, late: bool, meanwhile: str, outcome: str) -> None:
        """A round. What it found may leave much later, or when it must not any more."""
        self.seen = self.run(self.store.due(self.now)) + self.seen[:4]
        if late or not self.seen:
            return
        due = self.seen[at % len(self.seen)]
        if (known := self.cases.get(due.case_id)) is not None:
            number = self.women.index(known.woman)
            match meanwhile:
                case "hides":
                    self.hides(number)
                case "ends":
                    self.ends_it(number)
                case "deletes":
                    self._forget(known.woman)
                case "close" if known.owner is not None:
                    self.closes(known.owner, known)
        while self.seen:
            self._leaves(self.seen.pop(at % len(self.seen)))
        if outcome != "later":
            if outcome == "too slow":
                self._leases_run_out()
            while self.flying:
                self._its_answer_comes(sorted(self.flying)[0], outcome)

    def _leases_run_out(self) -> None:
        """Whoever was sending hung for too long: what comes of it then changes nothing more."""
        self.now += LEASE
        there = [due for due in self.flying.values() if due.case_id in self.cases]
        assert self.run(self.store.recover({"here"})) == len(there)
        for due in self.flying.values():
            assert not self.run(self.store.settle(due.outbox_id, MessageState.SENT, due.lease))
            assert not self.run(self.store.postpone(due.outbox_id, self.now, lease=due.lease))
        for due in there:
            kept = self._rows("SELECT state FROM messages WHERE id = ?", due.message.id)
            assert kept == [(MessageState.UNKNOWN,)], "it may have arrived: the desk decides"
        self.flying.clear()

    def _leaves(self, due: Due) -> None:
        taken = self.run(self.store.take(due.outbox_id, "here"))
        if taken is None:
            return
        due = taken
        assert due.case_id in self.cases, "nothing after she deleted everything"
        known = self.cases[due.case_id]
        message = due.message
        assert (due.channel, due.address) == known.woman.who, "to nobody but her"
        assert message.case_id == known.id
        assert known.woman.window, "nothing while her window is covered"
        assert message.author in (Author.CONSULTANT, Author.SYSTEM), "a note is never sent"
        assert message.id not in self.notes
        if message.author is Author.CONSULTANT:
            assert self.answers[message.id] == known.id
            assert known.marker in message.text or message.medium
        if known.state is CaseState.CLOSED:
            assert message.number <= known.last_number, "nothing that was not said before"
            assert not known.text_gone
        assert known.id not in {each.case_id for each in self.flying.values()}, "one after another"
        if message.id in self.tried:
            assert message.id in self.again, "nothing twice"
            self.again.discard(message.id)
        else:
            assert message.number > known.first_sent, "in their order"
            known.first_sent = message.number
        self.tried.add(message.id)
        self.flying[due.outbox_id] = due

    def _its_answer_comes(self, outbox_id: int, outcome: str) -> None:
        due = self.flying.pop(outbox_id)
        known = self.cases.get(due.case_id)
        if outcome == "held":
            self.again.add(due.message.id)
            self.run(self.store.set_present(due.case_id, False))
            assert self.run(
                self.store.postpone(outbox_id, self.now, failed=False, lease=due.lease)
            ) is (due.case_id in self.cases)
            if known is not None:
                known.woman.window = False
        elif outcome == "unsent":
            self.again.add(due.message.id)
            later = self.now + timedelta(seconds=2)
            self.run(self.store.postpone(outbox_id, later, lease=due.lease))
        elif outcome == "gone":
            if known is not None:
                self._forget(known.woman)
        else:
            state = MessageState(outcome)
            self.run(self.store.settle(outbox_id, state, due.lease))
            kept = self._rows("SELECT state FROM messages WHERE id = ?", due.message.id)
            assert kept == ([(state,)] if known is not None and not known.text_gone else [])

    # --- what must be so after each step --------------------------------------------------------

    @invariant()
    def each_case_is_where_the_people_left_it(self) -> None:
        kept = self._rows(
            "SELECT id, state, claimed_by, bell_at, bell_round, closed_at IS NULL, present AND"
            " (state <> 'closed' OR EXISTS (SELECT 1 FROM outbox WHERE case_id = cases.id))"
            " FROM cases"
        )
        assert {row[0] for row in kept} == set(self.cases), "nothing is left, and nothing lost"
        for case_id, state, owner, bell_at, rounds, is_open, present in kept:
            known = self.cases[case_id]
            assert state == known.state
            assert owner == (None if known.owner is None else self.staff[known.owner].id)
            assert bool(is_open) is (known.state is not CaseState.CLOSED)
            if present:
                assert known.woman.window, "held while her window is covered"
            if known.state is CaseState.WAITING:
                assert bell_at is not None, "nobody waits without a bell"
                assert owner is None
            if known.state is CaseState.CLAIMED:
                assert known.owner is not None
                assert known.owner not in self.frozen, "who is frozen has no open case"
                if known.unread_since is not None:
                    assert bell_at is not None, "no unread words of hers without a bell"
                if known.owed:
                    reminded = rounds == SEEN
                    assert bell_at is not None or reminded, "none unanswered, either"

    @invariant()
    def what_is_to_be_sent_is_hers_and_was_meant_for_her(self) -> None:
        held = self._rows(
            "SELECT o.case_id, m.case_id, m.id, m.number, m.author, m.state"
            " FROM outbox o JOIN messages m ON m.id = o.message_id"
        )
        for of_row, of_message, message_id, number, author, state in held:
            known = self.cases[of_row]
            assert of_row == of_message
            assert message_id not in self.notes
            assert author in (Author.CONSULTANT, Author.SYSTEM)
            assert state == MessageState.DUE
            if known.state is CaseState.CLOSED:
                assert number <= known.last_number

    @invariant()
    def a_closed_case_takes_no_more_and_nothing_is_left_of_one_that_is_gone(self) -> None:
        for case_id, last in self._rows("SELECT case_id, max(number) FROM messages GROUP BY 1"):
            known = self.cases[case_id]
            assert not known.text_gone
            if known.state is CaseState.CLOSED:
                assert last <= known.last_number
        for table in ("outbox", "handles"):
            for (case_id,) in self._rows(f"SELECT case_id FROM {table}"):
                assert case_id in self.cases

    @invariant()
    def photos_and_voice_are_kept_only_on_their_way(self) -> None:
        kept = self._rows(
            "SELECT m.state, m.case_id FROM media d LEFT JOIN messages m ON m.id = d.message_id"
        )
        for state, case_id in kept:
            assert state not in (None, MessageState.SENT, MessageState.DROPPED)
            if self.cases[case_id].state is CaseState.CLOSED:
                assert state in (MessageState.DUE, MessageState.UNKNOWN, MessageState.FAILED)

    @invariant()
    def each_case_is_counted_once(self) -> None:
        counted = dict(self._rows("SELECT name, sum(total) FROM tallies GROUP BY name"))
        assert counted.get("answered", 0) == self.answered
        assert counted.get("unanswered", 0) == self.unanswered

    # --- helpers --------------------------------------------------------------------------------

    def _rows(self, query: str, *values: object) -> list[Any]:
        return self.spy.execute(query, values).fetchall()

    @staticmethod
    def _stamp(moment: datetime) -> str:
        return moment.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S.%f")

    def _count(self, known: Known) -> int:
        ((count,),) = self._rows("SELECT count(*) FROM messages WHERE case_id = ?", known.id)
        assert isinstance(count, int)
        return count

    def _parked(self) -> list[tuple[str, str]]:
        return self._rows(
            "SELECT id, case_id FROM messages WHERE state IN ('unknown', 'failed')"
            " ORDER BY case_id, number"
        )

    def _pick(self, at: int) -> Known:
        """Mostly a case that is there; sometimes one that is gone."""
        among = self.everything if at == 11 or not self.cases else self.cases
        return list(among.values())[at % len(among)]

    def _refusal(
        self, who: int, known: Known, *, open_only: bool = False
    ) -> type[Exception] | None:
        """How the desk refuses this act; None: she may."""
        if who in self.frozen:
            return NotAllowed
        if known.id not in self.cases:
            return NoSuchCase
        if known.owner != who:
            return NotYours
        return CaseClosed if open_only and known.state is CaseState.CLOSED else None

    def _refused(self, work: Awaitable[Any], refusal: type[Exception]) -> None:
        with pytest.raises(refusal):
            self.run(work)

    def _act(
        self, who: int, known: Known, work: Awaitable[T], *, open_only: bool = False
    ) -> T | None:
        refusal = self._refusal(who, known, open_only=open_only)
        if refusal is None:
            return self.run(work)
        before = self._count(known)
        self._refused(work, refusal)
        assert self._count(known) == before
        return None

    def _act_done(
        self, who: int, known: Known, work: Awaitable[None], *, open_only: bool = False
    ) -> bool:
        self._act(who, known, work, open_only=open_only)
        return self._refusal(who, known, open_only=open_only) is None

    def _waits(self, known: Known) -> None:
        known.state, known.owner = CaseState.WAITING, None
        known.got_at = known.passed_at = None

    def _closed(self, known: Known) -> None:
        if not known.answered:
            self.unanswered += 1
        known.state, known.passed_at = CaseState.CLOSED, None
        known.closed_at = self.now.replace(minute=0, second=0, microsecond=0)
        known.last_number = self._last_number(known)

    def _last_number(self, known: Known) -> int:
        ((number,),) = self._rows("SELECT last_number FROM cases WHERE id = ?", known.id)
        assert isinstance(number, int)
        return number

    def _gone(self, known: Known) -> None:
        del self.cases[known.id]
        known.woman.cases.remove(known)

    def _copies(self, of: Iterable[Known]) -> list[tuple[str, bytes, str]]:
        """The keys of these cases as they stand now: a backup, or a thief, has them so."""
        wanted = {known.id for known in of}
        kept = self._rows("SELECT id, wrapped_key, day_key FROM cases WHERE wrapped_key NOT NULL")
        return [copy for copy in kept if copy[0] in wanted]

    def _nothing_opens(self) -> None:
        for case_id, wrapped, name in self.dead:
            with pytest.raises(KeyDestroyed):
                self.vault.unwrap(wrapped, name, case_id)


async def _open_the_centre(folder: Path) -> list[StaffMember]:
    """Three consultants with languages, duties and linked phones."""
    url = f"sqlite:///{folder / 'phen.db'}"
    await asyncio.to_thread(migrate, url)
    vault = Vault.open(folder / "keys" / "master.key", create=True)
    store = await Store.open(url, vault, lambda: BEGIN)
    soon, hired = BEGIN + timedelta(days=1), []
    for login, languages in {"maria": ["bg"], "elena": ["bg", "tr"], "ivana": ["tr", "en"]}.items():
        code = login.encode()
        member = await store.add_staff(login, "", [Role.CONSULTANT], code, soon, languages)
        await store.accept_invite(member.id, "hash", "secret")
        await store.offer_bell(member.id, code, soon)
        linked = await store.link_bell(code, f"chat of {login}")
        assert linked is not None
        hired.append(linked)
    await store.close()
    return hired


def test_whatever_the_order_the_handover_keeps_its_promises(tmp_path: Path) -> None:
    HandoverMachine.centre = tmp_path
    HandoverMachine.staff = asyncio.run(_open_the_centre(tmp_path))
    run_state_machine_as_test(
        HandoverMachine,
        settings=settings(
            derandomize=MORE is None,
            max_examples=int(MORE or 28),
            stateful_step_count=50,
            deadline=None,
            phases=[Phase.generate, *([Phase.shrink] if MORE else [])],
            database=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
