"""What a consultant can do, whichever face of the desk she uses.

A case waits, is claimed by one consultant, and is closed: `waiting -> claimed -> closed`.
Who may do what is decided here and nowhere else: every act asks the store who its author is
now, so that somebody removed a minute ago is refused. Each change wakes the open desks
(`Changes`) and the delivery.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from bot.live import Changes
from bot.storage.records import (
    Case,
    CaseClosed,
    CaseMessage,
    CaseState,
    MessageState,
    NotYours,
    Role,
    StaffMember,
    StaffState,
)
from bot.storage.store import Store
from bot.texts import Texts

MAX_WORDS = 3000
"""Characters of one reply or note: what every channel takes in one message."""

UNSETTLED = frozenset({MessageState.UNKNOWN, MessageState.FAILED})
"""Replies that wait for the consultant's decision."""


class NotAllowed(Exception):
    """This account is frozen, or is not a consultant's."""


class NoSuchCase(Exception):
    """There is no such case any more."""


class EmptyText(Exception):
    """Nothing was written."""


class TextTooLong(Exception):
    """The text is longer than one message can be."""


class NothingToDecide(Exception):
    """That message does not wait for a decision any more."""


@dataclass(frozen=True, slots=True)
class CaseView:
    """A case as its reader may see it: before the claim there is nothing but the case."""

    case: Case
    messages: tuple[CaseMessage, ...] = ()


class Desk:
    """The desk's one service."""

    def __init__(
        self,
        store: Store,
        changes: Changes,
        now: Callable[[], datetime],
        wake: Callable[[], None],
        texts: Texts,
    ) -> None:
        self._store = store
        self._changes = changes
        self._now = now
        self._wake = wake
        self._texts = texts

    # --- reading -------------------------------------------------------------------------

    async def waiting(self, me: StaffMember) -> list[Case]:
        """The cases that nobody has claimed, oldest first: age, language and channel only."""
        await self._consultant(me)
        return [_unclaimed(case) for case in await self._store.waiting()]

    async def mine(self, me: StaffMember) -> list[Case]:
        """My cases: the open ones by who wrote last, then the closed ones still kept."""
        await self._consultant(me)
        cases = await self._store.cases_of(me.id)
        return sorted(cases, key=lambda case: (case.state is CaseState.CLOSED, -_stamp(case)))

    async def open(self, me: StaffMember, case_id: str) -> CaseView:
        """One case. A waiting one shows no more than the list does; a colleague's is refused."""
        await self._consultant(me)
        case = await self._case(case_id)
        if case.state is CaseState.WAITING:
            return CaseView(_unclaimed(case))
        await self._own(me, case)
        return CaseView(case, tuple(await self._store.messages(case.id)))

    def age(self, case: Case) -> timedelta:
        """How long ago she asked for a person."""
        return max(self._now() - case.opened_at, timedelta(0))

    # --- acting --------------------------------------------------------------------------

    async def claim(self, me: StaffMember, case_id: str) -> bool:
        """Take a waiting case, and tell her that a person is here. False: a colleague has it."""
        await self._consultant(me)
        case = await self._case(case_id)
        if case.state is CaseState.CLOSED:
            raise CaseClosed
        if await self._store.claim(case.id, me.id):
            await self._store.audit(me.id, "case.claimed", case.id)
        elif (await self._case(case.id)).claimed_by != me.id:
            return False
        notice = self._texts.say(case.language, "notice.claimed")
        await self._store.add_notice(case.id, notice, f"claimed:{case.id}")
        self._changed()
        return True

    async def reply(self, me: StaffMember, case_id: str, text: str, key: str) -> CaseMessage:
        """Answer her; the same key again stores and sends nothing twice."""
        words = _words(text)
        case = await self._mine_and_open(me, case_id)
        message = await self._store.add_reply(case.id, me.id, words, key)
        self._changed()
        return message

    async def note(self, me: StaffMember, case_id: str, text: str, key: str) -> CaseMessage:
        """Write down something for the desk; it is never sent."""
        words = _words(text)
        case = await self._mine_and_open(me, case_id)
        message = await self._store.add_note(case.id, me.id, words, key)
        self._changes.notify()
        return message

    async def close(self, me: StaffMember, case_id: str) -> None:
        """End my case with a good-bye in her language. Closing twice is no error."""
        case = await self._my(me, case_id)
        if case.state is CaseState.CLOSED:
            return
        notice = self._texts.say(case.language, "notice.closed")
        await self._store.close_case(case.id, notice, f"closed:{case.id}")
        await self._store.audit(me.id, "case.closed", case.id)
        self._changed()

    async def resend(self, me: StaffMember, case_id: str, message_id: str) -> None:
        """Send again what may not have arrived."""
        case = await self._mine_and_open(me, case_id)
        await self._undecided(case, message_id)
        await self._store.resend(message_id)
        self._changed()

    async def drop(self, me: StaffMember, case_id: str, message_id: str) -> None:
        """Leave it: what may not have arrived is not sent again, and what follows goes on."""
        case = await self._my(me, case_id)
        await self._undecided(case, message_id)
        await self._store.drop(message_id)
        self._changed()

    async def looked(self, me: StaffMember, case_id: str) -> None:
        """I have read my case up to her newest message."""
        case = await self._my(me, case_id)
        if case.unread:
            await self._store.looked(case.id, me.id)
            self._changes.notify()

    # --- who may -------------------------------------------------------------------------

    async def _consultant(self, me: StaffMember) -> None:
        """Refuse, and note in the audit, whoever is not a consultant at this moment."""
        current = await self._store.staff(me.id)
        if current and current.state is StaffState.ACTIVE and Role.CONSULTANT in current.roles:
            return
        await self._store.audit(me.id, "refused.role", None)
        raise NotAllowed

    async def _case(self, case_id: str) -> Case:
        case = await self._store.case(case_id)
        if case is None:
            raise NoSuchCase
        return case

    async def _own(self, me: StaffMember, case: Case) -> None:
        if case.claimed_by != me.id:
            await self._store.audit(me.id, "refused.case", case.id)
            raise NotYours

    async def _my(self, me: StaffMember, case_id: str) -> Case:
        await self._consultant(me)
        case = await self._case(case_id)
        await self._own(me, case)
        return case

    async def _mine_and_open(self, me: StaffMember, case_id: str) -> Case:
        case = await self._my(me, case_id)
        if case.state is CaseState.CLOSED:
            raise CaseClosed
        return case

    async def _undecided(self, case: Case, message_id: str) -> None:
        for message in await self._store.messages(case.id):
            if message.id == message_id and message.state in UNSETTLED:
                return
        raise NothingToDecide

    def _changed(self) -> None:
        self._changes.notify()
        self._wake()


def _unclaimed(case: Case) -> Case:
    return replace(case, topic=None, place=None)


def _stamp(case: Case) -> float:
    return case.last_at.timestamp()


def _words(text: str) -> str:
    words = text.replace("\r\n", "\n").replace("\r", "\n").replace("\0", "").strip()
    if not words:
        raise EmptyText
    if len(words) > MAX_WORDS:
        raise TextTooLong
    return words
