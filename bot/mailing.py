"""Reminders and broadcasts on their way: each woman's own neutral words, in her hours, once.

What is due lies in the store. Whoever serves a channel takes about as much as the platform takes
in a second, sends it behind all that is urgent, and settles it together. What was under way when
the process died may have arrived: it counts as sent, and is told as unknown.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Any

from bot import render
from bot.channels.base import (
    Channel,
    Gone,
    Handle,
    Refused,
    SendError,
    Throttled,
    Unauthorised,
    Unknown,
    Unpaid,
    Unreached,
    Unsent,
    Who,
)
from bot.fills import reminder_words
from bot.mail_round import STOPPED, Round
from bot.privacy.redact import EventLog
from bot.retry import next_try
from bot.storage.mail_records import Mailing, MailingEnd, MailingOutcome
from bot.storage.store import Store
from bot.texts import Texts
from bot.windows import Windows
from dialogs import engine
from dialogs.model import REMINDER, Content, Language, Position

MAIL = "mail"
"""The word by which one process tells the others that something may be due."""
POLL_SECONDS = 5.0
TOGETHER_SECONDS = 0.2
"""So long what has ended waits for more, to be settled in one transaction."""
AGAIN_SECONDS = 1.0
"""Until the store is asked again where it did not answer."""
KEEP_SECONDS = 10.0
"""How often the lease on what is under way is renewed: it lasts three times as long."""
OPEN = timedelta(minutes=2)
"""A woman who is reading is not rung; so much later it is tried again."""
LAST = timedelta(seconds=5)
"""So long before her hours end nothing more is begun: it must not ring after them."""
UNPAID = timedelta(minutes=10)
"""Until the next try where the platform wants money first."""
DRAIN_SECONDS, SETTLE_SECONDS = 1.5, 1.0
"""At a clean stop, for what is under way, and to settle it."""

log = EventLog("mailing")


class Mailer:
    """Sends what is due on one channel after another, for as long as it is served from here."""

    def __init__(
        self,
        store: Store,
        windows: Windows,
        channels: Mapping[str, Channel],
        content: Content,
        texts: Texts,
        now: Callable[[], datetime],
        on_gone: Callable[[Who], Awaitable[None]],
        stopped: Callable[[], bool],
    ) -> None:
        """`stopped`: whether the stop switch is on; then what is due waits."""
        self._store = store
        self._windows = windows
        self._channels = channels
        self._content = content
        self._texts = texts
        self._now = now
        self._on_gone = on_gone
        self._stopped = stopped
        self._rounds: dict[str, Round] = {}
        self._running: set[asyncio.Task[Any]] = set()

    def wake(self) -> None:
        """Something may be due now, here or in another process."""
        self.woken()
        self._store.together.tell(MAIL)

    def woken(self) -> None:
        """Another process says that something may be due."""
        for round_ in self._rounds.values():
            round_.turn.set()

    async def tick(self) -> None:
        """Let time pass, for all processes: what is due is put on its way."""
        for round_ in list(self._rounds.values()):
            await self._hold(round_)
        await self._recover()
        more = await self._store.enqueue_rest() + await self._store.expire_mailings()
        if await self._store.remind(self._now(), self._free_until) + more:
            self.wake()

    async def run(self, name: str) -> None:
        """Send what is due on this channel until cancelled; then settle what is under way."""
        if (task := asyncio.current_task()) is not None:
            self._running.add(task)
            task.add_done_callback(self._running.discard)
        round_ = self._rounds[name] = Round(self._channels[name])
        try:
            while True:
                round_.turn.clear()
                try:
                    pause = await self._pass(round_)
                except Exception as error:  # what has ended is kept, and settled by the next pass
                    log.failed("outbox_unread", error)
                    pause = AGAIN_SECONDS
                with suppress(TimeoutError):
                    async with asyncio.timeout(pause):
                        await round_.turn.wait()
                await asyncio.sleep(TOGETHER_SECONDS)
        finally:
            if self._rounds.get(name) is round_:
                del self._rounds[name]
            await self._end(round_)

    async def drain(self) -> None:
        """Return when every `run` has ended: some seconds after it was cancelled."""
        while self._running:
            await asyncio.wait(list(self._running))

    async def _pass(self, round_: Round) -> float:
        """Settle what has ended, and begin as much as there is room for.

        Returns for how many seconds there is nothing to do, unless its turn comes before that.
        """
        await self._settle(round_)
        await self._keep(round_)
        if self._stopped():
            return POLL_SECONDS
        if (pause := round_.paused_for()) > 0:
            return min(pause, POLL_SECONDS)
        if (limit := round_.limit()) == 0:
            return AGAIN_SECONDS
        if round_.emptied and (pause := await self._until_due(round_)) > 0:
            return min(pause, POLL_SECONDS)
        taken = await self._take(round_, limit)
        round_.took(len(taken), limit)
        self._begin(round_, taken)
        return 0 if taken else POLL_SECONDS

    async def _hold(self, round_: Round) -> None:
        """What is known here of its sends is said before they can count as cut off.

        The database may have been away for longer than a lease.
        """
        if round_.under_way or round_.ended:
            await self._store.keep_mailings(self._store.together.worker)
        async with round_.settling:
            await self._settle_ended(round_)

    async def _recover(self) -> None:
        together = self._store.together
        steady, living = together.steady, await together.living()
        await self._store.recover_mailings(living, steady)

    async def _settle(self, round_: Round) -> None:
        async with round_.settling:  # what is settled twice could be under way anew by then
            await self._settle_ended(round_)
            while round_.gone:
                who = round_.gone[0]
                if await self._store.knows(*who):
                    await self._on_gone(who)
                round_.gone.pop(0)

    async def _settle_ended(self, round_: Round) -> None:
        if ended := dict(round_.ended):
            await self._store.settle_mailings(self._store.together.worker, ended)
            for mailing_id, outcome in ended.items():
                if round_.ended.get(mailing_id) is outcome:
                    del round_.ended[mailing_id]

    async def _keep(self, round_: Round) -> None:
        now = asyncio.get_running_loop().time()
        if round_.under_way and now >= round_.keep_at:
            await self._store.keep_mailings(self._store.together.worker)
            round_.keep_at = now + KEEP_SECONDS

    async def _until_due(self, round_: Round) -> float:
        due = await self._store.mailings_due(round_.channel.name)
        return POLL_SECONDS if due is None else (due - self._now()).total_seconds()

    async def _take(self, round_: Round, limit: int) -> list[Mailing]:
        """Lease them. At a stop in between they are known here all the same, and given back."""
        worker, name = self._store.together.worker, round_.channel.name
        if not round_.under_way:
            round_.keep_at = asyncio.get_running_loop().time() + KEEP_SECONDS
        taking = asyncio.ensure_future(self._store.take_mailings(name, worker, limit))
        try:
            return await asyncio.shield(taking)
        except asyncio.CancelledError:
            with suppress(Exception):
                for mailing in await taking:
                    round_.ended[mailing.id] = _later(self._now())
            raise

    def _begin(self, round_: Round, taken: Sequence[Mailing]) -> None:
        """Send what is alike for several women in as few calls as the platform allows."""
        now, alike = self._now(), defaultdict[tuple[Language, str], list[Mailing]](list)
        for mailing in taken:
            if held_until := self._held_until(mailing, now):
                round_.end(mailing.id, _later(held_until))
            elif (words := self._words(mailing, now)) is not None:
                alike[mailing.language, words].append(mailing)
            else:
                round_.end(mailing.id, self._outcome(mailing, Refused(), round_.channel))
        most = round_.channel.limits.together
        for (language, words), these in alike.items():
            for at in range(0, len(these), most):
                some = these[at : at + most]
                round_.begin(self._send(round_, language, words, some), len(some))

    def _held_until(self, mailing: Mailing, now: datetime) -> datetime | None:
        """Until when it waits, though it is due; None: it may go."""
        if now >= mailing.latest - LAST:
            return mailing.latest  # then the store looks when it can go again
        window = self._windows.get(Who(mailing.channel, mailing.address))
        if window is None or not window.open:
            return None
        last_chance = mailing.latest - 2 * LAST
        return min(now + OPEN, last_chance) if now < last_chance else mailing.latest

    def _words(self, mailing: Mailing, now: datetime) -> str | None:
        """What her phone shows; None where we cannot say it: a fault of ours with one of them."""
        try:
            return reminder_words(
                self._texts,
                mailing.language,
                mailing.words,
                mailing.reception,
                now,
                mailing.reminder,
            )
        except Exception as error:
            log.failed("delivery_failed", error)
            return None

    async def _send(
        self, round_: Round, language: Language, words: str, mailings: Sequence[Mailing]
    ) -> None:
        channel = round_.channel
        results: Sequence[Handle | SendError]
        try:
            screen = engine.screen(self._content, Position(language, REMINDER))
            message = render.reminder(
                words, language, screen, self._texts, channel.limits, self._now()
            )
            until = min(each.latest for each in mailings) - self._now()
            async with asyncio.timeout(until.total_seconds()):
                results = await channel.notify([each.address for each in mailings], message)
        except TimeoutError:  # it stood behind others for so long; perhaps it was just going
            results = [Unknown()] * len(mailings)
        except Exception as error:  # a fault of ours: not theirs, and not to be tried for ever
            log.failed("delivery_failed", error)
            results = [Refused()] * len(mailings)
        round_.heed(results)
        for mailing, result in zip(mailings, results, strict=True):
            who = Who(mailing.channel, mailing.address)
            round_.end(mailing.id, self._outcome(mailing, result, channel))
            if isinstance(result, Gone):
                round_.gone.append(who)
            elif isinstance(result, str) and not channel.limits.lasting:
                self._replace(who, mailing.handle)
                self._windows.came(who, result, message)

    def _replace(self, who: Who, before: Handle | None) -> None:
        """Remove the one before it, unless that is her window, which has its own way to go."""
        window = self._windows.get(who)
        if before is not None and (window is None or window.handle != before):
            self._windows.tidy(who, [before])

    def _outcome(
        self, mailing: Mailing, result: Handle | SendError, channel: Channel
    ) -> MailingOutcome:
        """The one table: what becomes of a mailing after the platform's answer."""
        now, told = self._now(), EventLog(channel.name)
        match result:
            case str():
                told.count("sent")
                removable = None if channel.limits.lasting else result
                return MailingOutcome(MailingEnd.SENT, handle=removable)
            case Gone():
                told.count("gone")
                return MailingOutcome(MailingEnd.GONE)
            case Unknown():
                told.count("unknown")
                if mailing.reminder is not None:
                    told.failed("reminder_unknown")
                return MailingOutcome(MailingEnd.UNKNOWN)
            case Throttled(seconds=seconds):
                told.count("throttled")
                return _later(now + timedelta(seconds=seconds))
            case Unauthorised():
                told.count("throttled")
                return _later(now + STOPPED)
            case Unpaid():
                told.count("refused")
                return _later(now + UNPAID)
            case Unreached():  # her hours end the tries, however long the line is down
                told.count("unsent")
                return _later(now + STOPPED)
            case Unsent():
                told.count("unsent")
                first = mailing.tried_at or now
                until = next_try(mailing.attempts + 1, first, now, reached=True)
                if until is not None:
                    return MailingOutcome(MailingEnd.LATER, until=until, refused=True)
            case _:
                told.count("refused")
        if mailing.reminder is not None:  # of a broadcast its report says so
            told.alarm("not_reminded")
        return MailingOutcome(MailingEnd.FAILED)

    async def _end(self, round_: Round) -> None:
        """What is under way ends, and what has ended is settled; the rest will be unknown."""
        if round_.under_way:
            await asyncio.wait(list(round_.under_way), timeout=DRAIN_SECONDS)
        late = list(round_.under_way)
        for task in late:
            task.cancel()
        await asyncio.gather(*late, return_exceptions=True)
        try:
            async with asyncio.timeout(SETTLE_SECONDS):
                await self._settle(round_)
        except Exception as error:
            log.failed("delivery_failed", error)

    def _free_until(self, channel: str, here: datetime) -> datetime | None:
        """Until when a message on this channel costs her centre nothing, if it ever does."""
        limits = self._channels[channel].limits if channel in self._channels else None
        if limits is None or limits.free_hours is None:
            return None
        return limits.free_until(here)


def _later(until: datetime) -> MailingOutcome:
    """As if it had not been tried yet."""
    return MailingOutcome(MailingEnd.LATER, until=until, afresh=True)
