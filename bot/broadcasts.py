"""Broadcasts as the centre's people have them: composed, looked at, approved by a second person.

The staff page and `phen broadcast` both stand on this. What goes to a phone is never these words,
only each woman's own neutral ones; a broadcast is read behind the gate.
"""

from __future__ import annotations

import re
import unicodedata
from collections import deque
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from bot import render
from bot.channels.base import Limits, Outgoing
from bot.fills import reminder_words
from bot.storage.broadcasts import APPROVAL
from bot.storage.mail_records import (
    Audience,
    Broadcast,
    BroadcastState,
    NotProposed,
    OwnBroadcast,
)
from bot.storage.records import StoreError
from bot.storage.store import Store
from bot.texts import Texts
from dialogs import engine, lint
from dialogs.model import (
    COVER_SLOT,
    REMIND_MINE,
    REMINDER,
    SILENT,
    WHEN,
    WHEN_WORDS,
    Content,
    Language,
    Position,
    TextId,
)
from scheduler import plan
from scheduler.model import SAFE_HOURS, Reception

LONGEST = 500
"""Characters of one language's words: they stand below a date, in a window that has its limit."""
LEAST = 10
"""A group that is smaller is never named."""
RATE_SPAN = timedelta(minutes=1)
_LINK = re.compile(r"://|\bwww\.|@\w|(?<=\w)\.[a-z]{2}", re.IGNORECASE)
"""What a messenger would make a link of: a preview of it tells what she reads."""
_OPEN = (BroadcastState.DRAFT, BroadcastState.PROPOSED)
_OVER = (BroadcastState.DONE, BroadcastState.CANCELLED)


class NoBroadcast(StoreError):
    """There is no such broadcast; nothing was done."""


class NotNow(StoreError):
    """The broadcast has begun or ended in the meantime, or does not run; nothing was done."""


class Changed(NotProposed):
    """The words or the audience are not the ones that you saw; read them again."""


class Expired(NotProposed):
    """It was proposed more than half an hour ago; propose it again."""


@dataclass(frozen=True, slots=True)
class Problem:
    """One mistake in what was composed: at which field, and what. `code` is stable."""

    at: str
    code: str
    params: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Preview:
    """What one language's women see on one channel: on the phone, then behind the gate.

    `others` are the words that stand in the first one's place for who chose them.
    """

    channel: str
    language: Language
    rings: Outgoing
    others: tuple[str, ...]
    read: Outgoing


@dataclass(frozen=True, slots=True)
class Estimate:
    """What it would be now. Who asks again and again, choosing otherwise, learns no more by it.

    Numbers of women are `rough`: of everybody, or the sum over the chosen municipalities of each
    one's; in all languages and on all channels, whichever were chosen. `billable` is None where no
    channel of it asks for money. `sending` is how long the slowest platform's pace makes so many
    take; `latest`, when the last of the women's hours of today or tomorrow end.
    """

    recipients: int
    billable: int | None
    sending: timedelta
    latest: datetime


@dataclass(frozen=True, slots=True)
class Progress:
    """How far one is, by numbers that are `rough`: also what is made of them names no small group.

    `per_minute` is known once it was looked at twice, `left_for` where it is not 0. What goes
    slower than that waits for the women's hours; the last of them end at `latest`.
    """

    broadcast: Broadcast
    per_minute: int | None
    left_for: timedelta | None
    latest: datetime

    @property
    def over(self) -> bool:
        return self.broadcast.state in _OVER

    @property
    def part(self) -> tuple[int, int] | None:
        """How many of how many are settled, rough; None where that would name a small group."""
        total = rough(self.broadcast.recipients)
        if total == 0:
            return None
        settled = self.broadcast.recipients - self.broadcast.left
        return (total, total) if self.over else (min(rough(settled), total), total)


def rough(women: int) -> int:
    """So many at least, in full tens; 0 says that there are fewer than ten.

    Of groups that can be chosen at will these give each number away: told are only those of fixed
    groups (`Estimate`), or of women whom two people have written to.
    """
    return women - women % LEAST


def tidy(text: str) -> str:
    """The words as they are kept: one way to write each letter and each line's end.

    Far too long ones keep their letters: to sort their marks would take their length's square.
    """
    lines = text.replace("\r\n", "\n").replace("\r", "\n").strip().split("\n")
    tidied = "\n".join(line.rstrip() for line in lines)
    return unicodedata.normalize("NFC", tidied) if len(tidied) <= 10 * LONGEST else tidied


class Broadcasting:
    """What the centre's people do with broadcasts; who does it is written into the audit."""

    def __init__(
        self,
        store: Store,
        content: Content,
        texts: Texts,
        limits: Mapping[str, Limits],
        now: Callable[[], datetime],
        wake: Callable[[], None],
    ) -> None:
        """`limits` are those of the channels that can ring; `wake`: something may go out now."""
        self._store = store
        self._content = content
        self._texts = texts
        self._limits = limits
        self._now = now
        self._wake = wake
        self._rules = lint.our_rules()
        self._looks: dict[str, deque[tuple[datetime, int]]] = {}

    @property
    def channels(self) -> tuple[str, ...]:
        """The channels that a broadcast can go to."""
        return tuple(self._limits)

    # --- compose -------------------------------------------------------------------------

    def problems(self, audience: Audience, texts: Mapping[Language, str]) -> list[Problem]:
        """What has to be put right before it can be kept."""
        return list(self._problems(audience, texts))

    def _problems(self, audience: Audience, texts: Mapping[Language, str]) -> Iterator[Problem]:
        for code in sorted(audience.municipalities - set(self._content.places)):
            yield Problem("municipalities", "municipality", {"value": code})
        for name in sorted(audience.channels - set(self._limits)):
            yield Problem("channels", "channel", {"value": name})
        if not audience.channels:
            yield Problem("channels", "no_channel")
        if not texts:
            yield Problem("text", "no_text")
        for language, text in texts.items():
            yield from self._wrong_in(language, text)

    def _wrong_in(self, language: Language, text: str) -> Iterator[Problem]:
        at = f"text-{language}"
        if language not in self._content.languages:
            yield Problem("text", "language", {"value": language})
            return
        if not text:
            yield Problem(at, "no_text")
        if len(text) > LONGEST:
            yield Problem(at, "long", {"n": LONGEST, "found": len(text)})
            return  # to look further would take a time that grows with its square
        if not all(sign.isprintable() or sign == "\n" for sign in text):
            yield Problem(at, "unprintable")
        if found := _LINK.search(text):
            around = re.compile(r"\S*" + re.escape(found[0]) + r"\S*").search(text)
            yield Problem(at, "link", {"value": around[0] if around else found[0]})
        for word in lint.never_said(self._rules, language, text):
            yield Problem(at, "forbidden", {"phrase": word})
        for word in lint.seen_first(self._rules, language, text):
            yield Problem(at, "topic_word", {"word": word})

    async def save(
        self,
        by: str,
        audience: Audience,
        texts: Mapping[Language, str],
        broadcast_id: str | None = None,
        *,
        proved: bool = True,
    ) -> Broadcast:
        """Keep a draft, new or changed; what was proposed of it counts no more.

        `by` is who wrote it; where that is not `proved`, the audit does not say so. Raises
        `NotNow` where it has begun, ValueError for what `problems` finds.
        """
        if self.problems(audience, texts):
            raise ValueError("it has problems")
        kept = await self._store.save_broadcast(broadcast_id, by, audience, texts)
        if kept is None:
            raise NotNow
        await self._store.audit(by if proved else None, "broadcast.saved")
        return kept

    async def of(self, broadcast_id: str) -> Broadcast:
        """One broadcast, as it stands now. Raises `NoBroadcast`."""
        found = await self._store.broadcast(broadcast_id)
        if found is None:
            raise NoBroadcast
        return found

    async def all(self) -> list[Broadcast]:
        """All of them, the newest first."""
        return await self._store.broadcasts()

    # --- look at it ----------------------------------------------------------------------

    async def previews(self, broadcast: Broadcast) -> list[Preview]:
        """What is seen of it, by language and channel: the very messages that would be sent."""
        coming = await self._next(broadcast.audience)
        languages = [each for each in self._content.languages if each in broadcast.texts]
        channels = [each for each in self._limits if each in broadcast.audience.channels]
        return [
            self._preview(channel, language, broadcast.texts[language], coming)
            for language in languages
            for channel in channels
        ]

    async def _next(self, audience: Audience) -> Reception | None:
        """A reception by which to show what "day, hour and place" is."""
        there = audience.municipalities
        coming = await self._store.receptions(since=self._now())
        fit = (it for it in coming if not there or it.municipality in there)
        return next((it for it in fit if plan.takes_place(it) and it.start > self._now()), None)

    def _preview(
        self, channel: str, language: Language, text: str, coming: Reception | None
    ) -> Preview:
        limits, now = self._limits[channel], self._now()
        first, *others = [
            reminder_words(self._texts, language, words, coming, now) for words in self._offered()
        ]
        cover = engine.screen(self._content, Position(language, REMINDER))
        mine = engine.screen(self._content, Position(language, REMIND_MINE))
        return Preview(
            channel,
            language,
            render.reminder(first, language, cover, self._texts, limits, now),
            tuple(dict.fromkeys(others)),
            render.render(mine, self._texts, limits, now, added=text),
        )

    def _offered(self) -> list[TextId]:
        """The neutral words under which a reminder can come."""
        asked = (node for node in self._content.nodes.values() if node.slot == COVER_SLOT)
        choices = [choice for node in asked for choice in node.choices]
        return [
            WHEN_WORDS if choice.value == WHEN else choice.label
            for choice in choices
            if choice.value != SILENT
        ]

    async def estimate(self, audience: Audience) -> Estimate:
        """For how many it is now, what it costs, and how long it will take."""
        now = self._now()
        paid = {
            name: now - timedelta(hours=limits.free_hours)
            for name, limits in self._limits.items()
            if limits.free_hours is not None and name in audience.channels
        }
        reaches = [await self._store.reach(each, paid) for each in self._fixed(audience)]
        recipients = sum(rough(each.recipients) for each in reaches)
        billable = sum(rough(each.billable) for each in reaches) if paid else None
        return Estimate(recipients, billable, self._sending(audience, recipients), _latest(now))

    def _fixed(self, audience: Audience) -> list[Audience]:
        """The groups of which alone numbers are told: all women, or those of each municipality."""
        languages, channels = frozenset(self._content.languages), frozenset(self._limits)
        chosen = sorted(audience.municipalities)
        parts = [frozenset((code,)) for code in chosen] or [frozenset[str]()]
        return [Audience(part, languages, channels) for part in parts]

    def _sending(self, audience: Audience, recipients: int) -> timedelta:
        """Each woman is one message; at most so long, as all may be on the slowest channel."""
        chosen = [limits for name, limits in self._limits.items() if name in audience.channels]
        pace = min((each.per_second * each.together for each in chosen), default=0)
        return timedelta(seconds=recipients / pace if pace else 0)

    # --- begin ---------------------------------------------------------------------------

    async def propose(self, by: str, broadcast_id: str) -> Broadcast:
        """Ask a second person, who has half an hour.

        Raises `NotAuthor` where somebody else wrote it last, `NoBroadcast`, `NotNow`.
        """
        await self.of(broadcast_id)
        proposed = await self._store.propose(broadcast_id, by)
        if proposed is None:
            raise NotNow
        await self._store.audit(by, "broadcast.proposed")
        return proposed

    async def approve(self, by: str, broadcast_id: str, seen: str) -> Broadcast:
        """Set it going. `seen`: the digest of what the second person has read.

        Raises `OwnBroadcast`, `Changed`, `Expired`, `NotNow`, `NoBroadcast`.
        """
        try:
            begun = await self._store.approve(broadcast_id, by, seen)
        except OwnBroadcast:
            await self._store.audit(by, "refused.own_broadcast")
            raise
        except NotProposed:
            raise await self._why_not(broadcast_id, seen) from None
        self._wake()
        return begun

    async def _why_not(self, broadcast_id: str, seen: str) -> StoreError:
        found = await self.of(broadcast_id)
        if found.state not in _OPEN:
            return NotNow()
        return Expired() if found.digest == seen else Changed()

    def approvable_until(self, broadcast: Broadcast) -> datetime | None:
        """Until when it can be approved; None: it is not proposed, or that time is over."""
        if broadcast.state is not BroadcastState.PROPOSED or broadcast.proposed_at is None:
            return None
        until = broadcast.proposed_at + APPROVAL
        return until if self._now() < until else None

    # --- on its way ----------------------------------------------------------------------

    async def pause(self, by: str | None, broadcast_id: str) -> None:
        """Nothing more of it goes out until `resume`. Raises `NoBroadcast`, `NotNow`."""
        await self._turned(by, broadcast_id, self._store.pause, "paused")

    async def resume(self, by: str | None, broadcast_id: str) -> None:
        """It goes on where it was. Raises `NoBroadcast`, `NotNow`."""
        await self._turned(by, broadcast_id, self._store.resume, "resumed")
        self._wake()

    async def cancel(self, by: str | None, broadcast_id: str) -> None:
        """What has not gone out never will. Raises `NoBroadcast`, `NotNow`."""
        await self._turned(by, broadcast_id, self._store.cancel, "cancelled")

    async def _turned(
        self,
        by: str | None,
        broadcast_id: str,
        turn: Callable[[str], Awaitable[bool]],
        done: str,
    ) -> None:
        await self.of(broadcast_id)
        if not await turn(broadcast_id):
            raise NotNow
        await self._store.audit(by, f"broadcast.{done}")

    async def progress(self, broadcast_id: str) -> Progress:
        """How far it is; the rate is of the last minute in which it was looked at."""
        found, now = await self.of(broadcast_id), self._now()
        rate = self._rate(found, now)
        left_for = timedelta(minutes=rough(found.left) / rate) if rate else None
        latest = _latest(now)
        until = latest if found.until is None else min(latest, found.until)
        return Progress(found, rate, left_for, until)

    def _rate(self, found: Broadcast, now: datetime) -> int | None:
        """How many are settled in a minute, lately; in full tens, and of nothing but full tens."""
        if found.state is not BroadcastState.RUNNING:
            self._looks.pop(found.id, None)
            return None
        looks = self._looks.setdefault(found.id, deque())
        looks.append((now, rough(found.recipients - found.left)))
        while len(looks) > 2 and now - looks[1][0] >= RATE_SPAN:
            looks.popleft()
        (since, before), (_, settled) = looks[0], looks[-1]
        passed = (now - since).total_seconds()
        return rough(int((settled - before) * 60 / passed)) if passed >= 1 else None


def _latest(now: datetime) -> datetime:
    """When the last hours end in which some woman's phone may ring, from now on."""
    return max(plan.safe_span(code, now)[1] for code in SAFE_HOURS)


def first_words(texts: Mapping[Language, str], languages: Sequence[Language]) -> str:
    """How it is told apart in a list: the first line in the first language that it has."""
    return next((texts[each].split("\n")[0] for each in languages if each in texts), "")
