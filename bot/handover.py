"""A case from her side: it opens, carries her words, waits while she is away, and ends.

Each function commits before anything is shown or sent.
"""

from __future__ import annotations

import asyncio
import contextlib
import secrets
from collections.abc import Awaitable, Callable, Collection, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from bot.channels.base import Handle, Who
from bot.channels.web import NAME as WEB
from bot.live import Changes
from bot.privacy.redact import EventLog
from bot.privacy.retention import SILENCE
from bot.storage.leftovers import Leftover
from bot.storage.records import Blocked, Case, CaseClosed, CaseState, Medium, Nudge
from bot.storage.store import Store
from bot.texts import ZONE, Texts
from dialogs.model import Language, TextId
from scheduler.model import SAFE_HOURS

WAITING_NOTICES: tuple[tuple[timedelta, TextId], ...] = (
    (timedelta(minutes=2), "notice.waiting_short"),
    (timedelta(minutes=15), "notice.waiting_long"),
)
AT_ONCE = 0.5
"""Seconds that she waits for the last trace to go; then it goes without her, see `tick`."""
UNANSWERED = timedelta(hours=72)
"""How long what nobody has claimed, read or answered waits; else it ends after `SILENCE`."""
MAX_WAITING_WEB = 40
"""Cases that may wait on the web at once; tens come in a whole month."""
AWAY = timedelta(minutes=2)
"""Who has been away for less is rung for nothing."""
UNOPENED = timedelta(minutes=15)
"""A case that was handed to a colleague goes back to the queue, unless she opens it by then."""
_ALIAS_TRIES = 20
_ALIAS_WORDS = ("alias.first", "alias.second")

log = EventLog("handover")


class Crowded(Exception):
    """So many wait on the web already that one more is not taken: a hand could not be one."""


class Handover:
    """What happens to a case when the woman acts, or when time passes.

    `wake` is called when something may now be sent to her; `ring` rings her under neutral words,
    but not while the line is `stopped`; `pick` chooses an alias's word.
    """

    def __init__(
        self,
        store: Store,
        texts: Texts,
        changes: Changes,
        now: Callable[[], datetime],
        wake: Callable[[], None],
        ring: Callable[[Who, Language, TextId], None] = lambda who, language, words: None,
        stopped: Callable[[], bool] = lambda: False,
        pick: Callable[[Sequence[str]], str] = secrets.choice,
    ) -> None:
        self._store = store
        self._texts = texts
        self._changes = changes
        self._now = now
        self._wake = wake
        self._ring = ring
        self._stopped = stopped
        self._pick = pick
        self._web_room = asyncio.Lock()  # of many who come at once each is counted
        self._presence = asyncio.Lock()  # coming and going are stored in the order they happened

    async def case_of(self, who: Who) -> Case | None:
        """Her open case."""
        return await self._store.case_of(who.channel, who.address)

    async def open_case(
        self,
        who: Who,
        language: Language,
        topic: TextId | None,
        place: str | None,
        nudge: Nudge | None = None,
    ) -> Case:
        """Open her case, or find the one that is open already; she is present, and it rings.

        Raises `Blocked` where a consultant has shut this address out, and `Crowded`.
        """
        async with self._web_room if who.channel == WEB else contextlib.nullcontext():
            await self._room_for(who)
            case = await self._store.open_case(
                who.channel, who.address, language, topic, place, await self._alias(), nudge
            )
        await self._present(case, page=who.channel == WEB)
        return case

    async def relay(
        self,
        case: Case,
        text: str,
        key: str,
        handle: Handle | None,
        *,
        covered: bool = False,
        medium: Medium | None = None,
    ) -> bool:
        """Keep her words for the desk. False: this delivery was kept already.

        `covered`: her window was covered when she wrote, so that it may be somebody else; else
        her case goes on in the language in which it is given here.
        When the case was closed in the meantime, the store's `CaseClosed` says so, and
        `Blocked` when a consultant has shut her out.
        """
        stored = await self._store.add_from_woman(
            case.id,
            text,
            key,
            covered=covered,
            medium=medium,
            handle=handle,
            language=None if covered else case.language,
        )
        self._changes.notify()
        return stored is not None

    async def edited(self, who: Who, handle: Handle, text: str, *, covered: bool) -> None:
        """She changed what stands under this handle; outside of an open case nothing is kept."""
        if await self._store.edit_from_woman(*who, handle, text, covered=covered):
            self._changes.notify()

    async def _room_for(self, who: Who) -> None:
        """A web address costs nothing: a forger must not fill the desk's list without end."""
        if who.channel == WEB:
            waiting = [each for each in await self._store.waiting() if each.channel == WEB]
            if len(waiting) >= MAX_WAITING_WEB and await self.case_of(who) is None:
                raise Crowded

    async def is_blocked(self, who: Who) -> bool:
        """Whether a consultant has shut this address out for now."""
        return await self._store.blocked(who.channel, who.address)

    async def allow_media(self, case: Case) -> None:
        """She agreed that photos and voice are taken in this case."""
        await self._store.allow_media(case.id)

    async def decline(self, case: Case, text: TextId, key: str, handle: Handle | None) -> None:
        """Tell her, in the case, why what she sent was not taken.

        Raises `Blocked` when a consultant has shut her out: that would fill the case, too.
        """
        if await self._store.block_of(case.id) is not None:
            raise Blocked
        if handle is not None:
            await self._store.add_handles(case.id, [handle])
        await self._store.add_notice(
            case.id, self._texts.say(case.language, text), f"decline:{key}"
        )
        self._wake()

    async def arrive(
        self, who: Who, language: Language | None = None, *, page: bool = False
    ) -> Case | None:
        """She is back: her open case, or a closed one with answers that she has not read.

        What was held may now be sent. `language`: in which she reads, where that is known; from
        now on her case speaks it, too. `page`: her page has its stream in this process.
        """
        async with self._presence:
            case = await self._open_or_unread(who)
            if case is not None:
                if language is not None and language != case.language:
                    await self._store.set_language(case.id, language)
                    case = replace(case, language=language)
                await self._present(case, page=page)
            return case

    async def remembers(self, who: Who) -> bool:
        """Whether something is kept that she may come back to, or have deleted."""
        return await self._store.knows(who.channel, who.address)

    async def absent(self, who: Who, *, page: bool = False) -> None:
        """Her window is covered or gone: from now on everything is held.

        `page`: only her page in this process was closed; another process may have one open.
        """
        async with self._presence:
            case = await self._open_or_unread(who)
            if case is not None and case.present:
                worker = self._store.together.worker if page else None
                await self._store.set_present(case.id, False, worker)
                self._changes.notify()

    async def is_away(self, who: Who) -> bool:
        """Whether she has a case, and its window is not open."""
        case = await self._open_or_unread(who)
        return case is not None and not case.present

    async def silence(self, who: Who) -> None:
        """Nothing more of her case's voices can be fetched, until they are shown again."""
        await self._store.take_back_lent(who.channel, who.address)

    async def end(self, who: Who) -> None:
        """She ends her case; no good-bye is held for her."""
        case = await self.case_of(who)
        if case is not None:
            await self._store.close_case(case.id, None, f"ended:{case.id}")
            self._changes.notify()

    async def forget(self, who: Who) -> list[Leftover]:
        """Delete all that is stored about her; returns what still stands in her chat."""
        left = await self._store.forget(*who, AT_ONCE)
        self._changes.notify()
        return left

    async def forget_gone(self, who: Who, begun_before: datetime | None = None) -> None:
        """The same of who has left the line: nothing can be removed from her chat any more.

        `begun_before`: of her reminders only those; see the store's `forget`.
        """
        await self._store.forget(*who, AT_ONCE, begun_before, gone=True)
        self._changes.notify()

    async def kept_handles(self, who: Who) -> list[Handle]:
        """The messages of her case that stand in her chat."""
        return await self._store.kept_handles(who.channel, who.address)

    async def removed(self, who: Who, handles: Sequence[Handle]) -> None:
        """These messages of her case stand in her chat no more."""
        await self._store.drop_handles(who.channel, who.address, handles)

    async def tick(self) -> None:
        """Let time pass: honest waiting messages, and the close of a silent case.

        What somebody who was reading kept from being erased is erased first. A fault with one
        case holds up no other.
        """
        now = self._now()
        await self._alone(self._store.leave_no_trace())
        for case in await self._store.unopened(now - UNOPENED):
            await self._alone(self.take_back(case))
        for case in await self._store.waiting():
            await self._alone(self._tell_waiting(case, now))
        for case in await self._store.silent_cases(now - SILENCE):
            await self._alone(self._end_silence(case, now))

    async def ring_away(self, channels: Collection[str]) -> None:
        """Ring whoever is away, has an answer waiting and allowed it, on these channels."""
        if not self._stopped():
            now = self._now()
            for case in await self._store.open_cases():
                if case.channel in channels:
                    await self._alone(self._nudge(case, now))

    async def _alone(self, step: Awaitable[object]) -> None:
        try:
            await step
        except CaseClosed:
            return  # since it was read
        except Exception as error:
            log.alarm("tick_failed", error)

    async def _end_silence(self, case: Case, now: datetime) -> None:
        """Close a case in which nobody writes, unless she has not been read or answered."""
        if now - case.last_woman_at < UNANSWERED:
            if case.state is CaseState.WAITING:
                return  # written on a Friday evening, it is read on Monday
            if await self.is_owed(case):
                return await self.take_back(case)
        if now - case.last_at <= SILENCE:
            return  # she was answered by somebody who has not read all
        notice = self._texts.say(case.language, "notice.silent_closed")
        if await self._store.lapse_case(case, notice, f"silent:{case.id}") is not None:
            self._changes.notify()

    async def _nudge(self, case: Case, now: datetime) -> None:
        """Ring whoever is away, has an answer waiting and allowed it, once and in her hours."""
        nudge = case.nudge
        if nudge is None or case.present or not case.held or case.nudged_at is not None:
            return
        if case.state is not CaseState.CLAIMED or case.absent_since is None:
            return
        first, last = SAFE_HOURS.get(nudge.hours, (0, 0))
        if not first <= now.astimezone(ZONE).hour < last or now - case.absent_since < AWAY:
            return
        if await self._store.block_of(case.id) is not None:
            return  # whoever is shut out may be holding her phone
        address = await self._store.address_of(case.id)
        if address is not None and await self._store.nudged(case.id):
            self._ring(Who(*address), case.language, nudge.words)

    async def is_owed(self, case: Case) -> bool:
        """Whether words of hers are unread, or unanswered; who is shut out is owed no answer."""
        if case.unread or not case.unanswered:
            return bool(case.unread)
        return await self._store.block_of(case.id) is None

    async def take_back(self, case: Case) -> None:
        """Its consultant does not come to it: it waits, and rings, for everybody again."""
        if await self._store.return_unread(case, self._texts.of("notice.returned")):
            await self._store.audit(None, "case.returned", case.id)
            self._changes.notify()
            self._wake()

    async def _open_or_unread(self, who: Who) -> Case | None:
        case = await self.case_of(who)
        return case or await self._store.closed_case_of(who.channel, who.address)

    async def _tell_waiting(self, case: Case, now: datetime) -> None:
        waited = now - case.waits_since
        due = sum(1 for after, _ in WAITING_NOTICES if waited >= after)
        if due <= case.told:
            return
        notice = self._texts.of(WAITING_NOTICES[due - 1][1])
        if await self._store.tell_waiting(case, due, notice):
            self._changes.notify()
            self._wake()

    async def _present(self, case: Case, *, page: bool = False) -> None:
        if not case.present or page:
            worker = self._store.together.worker if case.channel == WEB else None
            await self._store.set_present(case.id, True, worker)
        self._changes.notify()
        self._wake()

    async def _alias(self) -> str:
        taken = {case.alias for case in await self._store.open_cases()}
        lists = [self._texts.say("bg", key).split(", ") for key in _ALIAS_WORDS]
        for _ in range(_ALIAS_TRIES):  # then the store numbers it
            if (alias := " ".join(self._pick(words) for words in lists)) not in taken:
                break
        return alias
