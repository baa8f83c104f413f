"""What a consultant can do, whichever face of the desk she uses.

A case goes its way by `bot/lifecycle.py`. Who may do what is decided here and nowhere else:
every act asks the store who its author is now, so that somebody removed a minute ago is
refused. Each change wakes the open desks (`Changes`) and the delivery.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from bot.bell import answers, is_new
from bot.live import Changes
from bot.storage.mending import STANDING
from bot.storage.records import (
    Author,
    Block,
    Case,
    CaseClosed,
    CaseMessage,
    CaseState,
    Medium,
    MessageState,
    NotYours,
    Prepared,
    StaffMember,
    StaffState,
)
from bot.storage.store import Store
from bot.texts import ZONE, Texts
from scheduler.duty import on_duty

MAX_WORDS = 3000
"""Characters of one reply or note: what every channel takes in one message."""

FOR_THE_CASE = "case"
BLOCKS = {
    "hour": timedelta(hours=1),
    "day": timedelta(days=1),
    "week": timedelta(days=7),
}
"""The spans for which an abuser can be shut out; a block without span ends with the case."""

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


class SentAlready(Exception):
    """This form was sent before with other words: those are kept, and the new ones are not."""


class NothingToDecide(Exception):
    """That message does not wait for a decision any more."""


class NoSuchColleague(Exception):
    """Nobody active of that id answers women."""


class NoSuchMessage(Exception):
    """There is no such message in this case, or it is not hers to change."""


class WrittenSince(Exception):
    """She has written something that was not shown to whoever closes her case."""


class BlockWrong(Exception):
    """A block lasts for the case, or for one of the spans that are offered."""


@dataclass(frozen=True, slots=True)
class CaseView:
    """A case as its reader may see it: before the claim there is nothing but the case.

    `unseen` are the messages whose photo or voice was not opened yet; `mendable` those of hers
    that she may correct or take back; `colleagues` name who else wrote in it, by staff id.
    """

    case: Case
    messages: tuple[CaseMessage, ...] = ()
    block: Block | None = None
    can_reopen: bool = False
    mendable: frozenset[str] = frozenset()
    unseen: frozenset[str] = frozenset()
    colleagues: Mapping[str, str] = field(default_factory=dict)

    @property
    def upto(self) -> int:
        """The number of the last message that it shows."""
        return self.messages[-1].number if self.messages else 0


class Desk:
    """The desk's one service.

    `lasting` names the channels in which nothing that was sent can be changed or removed.
    """

    def __init__(
        self,
        store: Store,
        changes: Changes,
        now: Callable[[], datetime],
        wake: Callable[[], None],
        texts: Texts,
        lasting: frozenset[str] = frozenset(),
    ) -> None:
        self._lasting = lasting
        self._store = store
        self._changes = changes
        self._now = now
        self._wake = wake
        self._texts = texts

    # --- reading -------------------------------------------------------------------------

    async def waiting(self, me: StaffMember) -> list[Case]:
        """The cases that nobody has claimed, oldest first: age, language and channel only.

        `bell_round` says how often each has rung.
        """
        await self._consultant(me)
        return [_unclaimed(case) for case in await self._store.waiting()]

    async def mine(self, me: StaffMember) -> list[Case]:
        """My cases: open ones first, of these what waits for my decision, then what is new to
        me, by who waits longest.

        The closed ones that are still kept follow, the newest first.
        """
        await self._consultant(me)
        return sorted(await self._store.cases_of(me.id), key=_urgency)

    async def open(self, me: StaffMember, case_id: str) -> CaseView:
        """One case. A waiting one shows no more than the list does; a colleague's is refused."""
        await self._consultant(me)
        case = await self._case(case_id)
        if case.state is CaseState.WAITING:
            return CaseView(_unclaimed(case))
        await self._own(me, case)
        messages = tuple(await self._store.messages(case.id))
        return CaseView(
            case,
            messages,
            await self._store.block_of(case.id),
            await self._can_reopen(case),
            frozenset(each.id for each in messages if self.can_mend(case, each)),
            await self._store.kept_media(case.id),
            await self._names({each.staff_id for each in messages} - {me.id}),
        )

    async def colleagues(self, me: StaffMember) -> list[StaffMember]:
        """To whom I can hand a case: the other active consultants."""
        await self._consultant(me)
        return [
            each for each in await self._store.all_staff() if each.id != me.id and answers(each)
        ]

    async def on_duty(self, me: StaffMember) -> frozenset[str]:
        """The ids of those who are on duty now."""
        await self._consultant(me)
        return on_duty(await self._store.duty(), self._now(), ZONE)

    async def blocked(self, me: StaffMember) -> frozenset[str]:
        """The ids of my open cases of which nothing is taken now."""
        mine = [case for case in await self.mine(me) if case.state is not CaseState.CLOSED]
        return frozenset([case.id for case in mine if await self._store.block_of(case.id)])

    async def prepared(self, me: StaffMember, language: str) -> list[Prepared]:
        """The answers that are ready in this language."""
        await self._consultant(me)
        return [each for each in await self._store.prepared() if each.language == language]

    def can_mend(self, case: Case, message: CaseMessage) -> bool:
        """Whether who has this case can correct or take back that message, as it stands now."""
        own = message.author is Author.CONSULTANT and message.staff_id == case.claimed_by
        if not own or case.state is CaseState.CLOSED:
            return False
        waits = message.state in (MessageState.DUE, MessageState.CORRECTING)
        return waits or (message.state in STANDING and case.channel not in self._lasting)

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
        if await self._store.claim(case.id, me.id, self._texts.of("notice.claimed")):
            await self._store.audit(me.id, "case.claimed", case.id)
        elif (await self._case(case.id)).claimed_by != me.id:
            return False
        self._changed()
        return True

    async def reply(self, me: StaffMember, case_id: str, text: str, key: str) -> CaseMessage:
        """Answer her; the same key again stores and sends nothing twice.

        Raises `SentAlready` where that key brought other words before.
        """
        words = _words(text)
        case = await self._mine_and_open(me, case_id)
        message = await self._store.add_reply(case.id, me.id, words, key)
        self._changed()
        return _kept(message, words)

    async def correct(self, me: StaffMember, case_id: str, message_id: str, text: str) -> None:
        """Replace the words of my reply: before it is sent, or else in her chat, too.

        Raises the store's `NotStanding`, `OnItsWay`, and `CannotBeUndone` where it was sent into
        a chat that keeps everything.
        """
        words = _words(text)
        case = await self._mine_and_open(me, case_id)
        lasting = case.channel in self._lasting
        if await self._store.correct(case.id, me.id, message_id, words, lasting=lasting):
            await self._store.audit(me.id, "case.corrected", case.id)
        self._changed()

    async def take_back(self, me: StaffMember, case_id: str, message_id: str) -> None:
        """Do not send my reply, or remove it from her chat. She may have read it.

        Raises as `correct` does.
        """
        case = await self._mine_and_open(me, case_id)
        lasting = case.channel in self._lasting
        if await self._store.take_back(case.id, me.id, message_id, lasting=lasting):
            await self._store.audit(me.id, "case.taken_back", case.id)
        self._changed()

    async def may_write(self, me: StaffMember, case_id: str) -> None:
        """Refuse whoever cannot write to her now, before her recording is worked on."""
        await self._mine_and_open(me, case_id)

    async def say(self, me: StaffMember, case_id: str, voice: Medium, key: str) -> CaseMessage:
        """Send her a voice note; the same key again sends nothing twice.

        Its words are a neutral line of the content, for a channel or a moment without sound.
        """
        case = await self._mine_and_open(me, case_id)
        words = self._texts.say(case.language, "case.voice")
        message = await self._store.add_reply(case.id, me.id, words, key, voice)
        self._changed()
        return message

    async def transfer(self, me: StaffMember, case_id: str, to: str) -> None:
        """Hand my case to a colleague: it rings for her, and the woman is told.

        What a colleague has not opened after `UNOPENED` goes back to the queue by itself.
        """
        case = await self._mine_and_open(me, case_id)
        if to not in {each.id for each in await self.colleagues(me)}:
            raise NoSuchColleague
        notice = self._texts.of("notice.transferred")
        if not await self._store.transfer(case.id, me.id, to, notice):
            raise NotYours
        await self._store.audit(me.id, "case.transferred", case.id)
        self._changed()

    async def give_back(self, me: StaffMember, case_id: str) -> None:
        """Put my case back into the queue: it rings as when it was new, and the woman is told."""
        case = await self._mine_and_open(me, case_id)
        notice = self._texts.of("notice.returned")
        if not await self._store.return_to_queue(case.id, me.id, notice):
            raise NotYours
        await self._store.audit(me.id, "case.returned", case.id)
        self._changed()

    async def reopen(self, me: StaffMember, case_id: str) -> None:
        """Open my closed case again while its text is kept. Raises `OtherCaseOpen`, `TextGone`."""
        case = await self._my(me, case_id)
        if case.state is not CaseState.CLOSED:
            return
        await self._store.reopen(case.id, me.id, self._texts.of("notice.reopened"))
        await self._store.audit(me.id, "case.reopened", case.id)
        self._changed()

    async def block(self, me: StaffMember, case_id: str, span: str) -> None:
        """Take nothing from this address: `case` while it is open, or a span of `BLOCKS`.

        112 and reading stay open to whoever is behind it.
        """
        case = await self._my(me, case_id)
        if span != FOR_THE_CASE and span not in BLOCKS:
            raise BlockWrong
        until = None if span == FOR_THE_CASE else self._now() + BLOCKS[span]
        await self._store.block(case.id, until)
        await self._store.audit(me.id, "case.blocked", case.id)
        self._changes.notify()

    async def unblock(self, me: StaffMember, case_id: str) -> None:
        """Take words from this address again."""
        case = await self._my(me, case_id)
        await self._store.unblock(case.id)
        await self._store.audit(me.id, "case.unblocked", case.id)
        self._changes.notify()

    async def medium(self, me: StaffMember, case_id: str, message_id: str) -> Medium:
        """What she sent, to be seen or heard once: `received` then destroys it.

        Raises `NoSuchMessage` when that was done already.
        """
        case = await self._my(me, case_id)
        await self._message_of(case, message_id, Author.WOMAN)
        medium = await self._store.medium(message_id)
        if medium is None:
            raise NoSuchMessage
        await self._store.audit(me.id, "case.medium", case.id)
        return medium

    async def received(self, me: StaffMember, case_id: str, message_id: str) -> None:
        """The photo or voice is on my screen: nothing of it is kept."""
        case = await self._my(me, case_id)
        await self._message_of(case, message_id, Author.WOMAN)
        if await self._store.drop_medium(message_id):
            self._changes.notify()

    async def note(self, me: StaffMember, case_id: str, text: str, key: str) -> CaseMessage:
        """Write down something for the desk; it is never sent."""
        words = _words(text)
        case = await self._mine_and_open(me, case_id)
        message = await self._store.add_note(case.id, me.id, words, key)
        self._changes.notify()
        return _kept(message, words)

    async def close(self, me: StaffMember, case_id: str, seen: int = 0) -> None:
        """End my case with a good-bye in her language. Closing twice is no error.

        `seen`: the number up to which it was shown to me. Raises `WrittenSince` where there are
        newer words of hers, and I have not `looked` at them.
        """
        case = await self._my(me, case_id)
        if case.state is CaseState.CLOSED:
            return
        notice = self._texts.say(case.language, "notice.closed")
        if await self._store.close_case(case.id, notice, f"closed:{case.id}", me.id, seen) is None:
            case = await self._my(me, case_id)  # it went on meanwhile
            if case.state is CaseState.CLOSED:
                return
            raise WrittenSince
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

    async def looked(self, me: StaffMember, case_id: str, upto: int | None = None) -> None:
        """I have read my case up to the message of that number; None: to its end."""
        case = await self._my(me, case_id)
        if is_new(case):
            await self._store.looked(case.id, me.id, upto)
            self._changes.notify()

    # --- helpers ---------------------------------------------------------------------------

    async def _can_reopen(self, case: Case) -> bool:
        return case.state is CaseState.CLOSED and await self._store.has_text(case.id)

    async def _names(self, staff_ids: set[str | None]) -> dict[str, str]:
        """How colleagues call each other; who was removed has no name any more."""
        names = {}
        for staff_id in staff_ids - {None}:
            member = await self._store.staff(str(staff_id))
            if member is not None and member.state is not StaffState.REMOVED:
                names[member.id] = member.alias or member.login
        return names

    async def _message_of(self, case: Case, message_id: str, author: Author) -> CaseMessage:
        for message in await self._store.messages(case.id):
            if message.id == message_id and message.author is author:
                return message
        raise NoSuchMessage

    # --- who may -------------------------------------------------------------------------

    async def _consultant(self, me: StaffMember) -> None:
        """Refuse, and note in the audit, whoever is not a consultant at this moment."""
        current = await self._store.staff(me.id)
        if current is not None and answers(current):
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


def _kept(message: CaseMessage, words: str) -> CaseMessage:
    if message.text != words:
        raise SentAlready
    return message


def _urgency(case: Case) -> tuple[bool, bool, bool, float]:
    """Where a case stands in my list: what I have to decide about is first."""
    if case.state is CaseState.CLOSED:
        return True, True, True, -case.last_at.timestamp()
    new = is_new(case)
    since = case.last_woman_at.timestamp() if new else -case.last_at.timestamp()
    return False, not case.undecided, not new, since


def _words(text: str) -> str:
    words = text.replace("\r\n", "\n").replace("\r", "\n").replace("\0", "").strip()
    if not words:
        raise EmptyText
    if len(words) > MAX_WORDS:
        raise TextTooLong
    return words
