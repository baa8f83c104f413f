"""What stands below a screen's own text, known to the shell alone: dates, and who is there."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from datetime import datetime
from typing import NamedTuple

from bot import render
from bot.channels.base import Channel, Limits
from bot.neutral import topic_word
from bot.privacy.retention import known_at, whole_hour
from bot.storage.records import Case, CaseState
from bot.storage.store import Store
from bot.texts import Texts
from bot.watch import Watch
from dialogs.model import PLACE_SLOT, WHEN_WORDS, Fill, Language, Screen, TextId
from scheduler import plan
from scheduler.model import Reception, ReceptionState, Reminder, Subscription

Waits = tuple[Subscription, Reception | None]
"""Of what a woman wants to be reminded, and the reception that it is of now, if there is one."""


class Shown(NamedTuple):
    """About which of her reminders a screen says all, with which broadcasts known by then."""

    waits: Sequence[Waits]
    words: Collection[str]


class Fills:
    """Fills a screen; nothing of it depends on who looks at it but her case."""

    def __init__(
        self,
        texts: Texts,
        store: Store,
        now: Callable[[], datetime],
        watch: Watch,
    ) -> None:
        self._texts = texts
        self._store = store
        self._now = now
        self._watch = watch

    async def of(self, screen: Screen, case: Case | None) -> str:
        """The words to add to a screen, or none. `case` is hers, if one is open."""
        language = screen.position.language
        match screen.fill:
            case Fill.RECEPTIONS:
                return await self._receptions(language, screen.position.answer(PLACE_SLOT))
            case Fill.DUTY:
                return await self._watch.words(language)
            case Fill.CASE:
                return await self.of_case(language, case)
            case _:
                return ""

    async def of_case(self, language: Language, case: Case | None) -> str:
        """Whether somebody has answered her; else whether somebody can, and when."""
        if case is not None and case.state is CaseState.CLAIMED:
            return self._texts.say(language, "case.answered")
        if await self._watch.anybody():
            return self._texts.say(language, "case.waiting")
        return "\n\n".join(
            (await self._watch.words(language), self._texts.say(language, "notice.out_of_hours"))
        )

    async def of_reminders(
        self, screen: Screen, hers: Sequence[Waits], channel: Channel
    ) -> tuple[str, Shown]:
        """Of what she is reminded, what is new about it, and what the centre has to say there.

        The most telling first: that in the place of the screen and what is not as it was planned;
        the centre's newest words; then the others in short, and older words. What does not fit
        whole is left out. Whoever chose another language at the gate reads the centre's words in
        that of her reminder, where they were not said in the other.
        """
        language, place = screen.position.language, screen.position.answer(PLACE_SLOT)
        now = self._now()
        free_until = _free_until(channel.limits, now)
        full: dict[str, list[Waits]] = {}
        said: dict[str, list[Waits]] = {}
        older: dict[str, list[Waits]] = {}
        brief: dict[str, list[Waits]] = {}
        known: set[str] = set()
        for waits in hers:
            one, reception = waits
            over = reception is not None and _is_over(one, reception, now)
            if one.municipality == place or over or not _is_as_planned(one, reception):
                coming = await self._next(one.municipality, now) if over else None
                words = reminded_words(
                    self._texts, language, one, reception, now, free_until, coming
                )
                full.setdefault(words, []).append(waits)
            else:
                words = "\n".join(_where_and_when(self._texts, language, one, reception, now))
                brief.setdefault(words, []).append(waits)
            of_the_centre = await self._store.broadcast_words(one.id, language)
            known.update(each.broadcast for each in of_the_centre)
            newest = next((each for each in of_the_centre if each.hers), None)
            for each in of_the_centre:
                if each is newest:
                    said.setdefault(each.text, []).append(waits)
                else:  # it is shown while there is room, and nobody is led here for it
                    older.setdefault(each.text, [])
        room = render.room(screen, self._texts, channel.limits)
        added, missed = "", []
        for words, whose in (*full.items(), *said.items(), *brief.items(), *older.items()):
            longer = f"{added}{render.GAP}{words}" if added else words
            if render.length(longer) <= room:
                added = longer
            else:
                missed += whose
        return added, Shown([waits for waits in hers if waits not in missed], known)

    async def _next(self, municipality: str, now: datetime) -> Reception | None:
        """The next one there, if one is planned."""
        planned = await self._store.receptions(municipality, now)
        return plan.next_for(planned, municipality, now)

    async def _receptions(self, language: Language, code: str | None) -> str:
        if code is None:
            return self._texts.say(language, "no_receptions.text")
        now = self._now()
        coming = plan.upcoming(await self._store.receptions(code, now), code, now)
        if not coming:
            return self._texts.say(language, "no_receptions.text")
        return "\n\n".join(reception_words(self._texts, language, each, now) for each in coming)


def reception_words(texts: Texts, language: Language, reception: Reception, now: datetime) -> str:
    """When and where one reception is, and whether it was moved or cancelled."""
    lines = [
        texts.say(
            language,
            "receptions.line",
            when=texts.when(language, reception.start, reception.end, now),
            place=reception.place,
            landmark=reception.landmark,
        ).rstrip()
    ]
    if reception.state is not ReceptionState.PLANNED:
        lines.append(texts.say(language, f"receptions.{reception.state.value}"))
    return "\n".join(lines)


def reminder_words(
    texts: Texts,
    language: Language,
    words: TextId,
    reception: Reception | None,
    now: datetime,
    reminder: Reminder | None = None,
) -> str:
    """What her phone shows: the words that she chose, so far as they are true.

    Day, hour and place stand there for a reception that is still to come and is what she was
    told, if its place tells nothing of the line; else only that something is new. `reminder`:
    which one it is; None: a broadcast's.
    """
    if words != WHEN_WORDS:
        return texts.say(language, words if words in texts else "remind.words.news")
    if reception is None or reception.start <= now:
        return texts.say(language, "remind.words.news")
    if not plan.takes_place(reception) or reminder in (Reminder.MOVED, Reminder.CANCELLED):
        return texts.say(language, "remind.words.changed")
    if topic_word(texts, reception.place) is not None:
        return texts.say(language, "remind.words.news")
    when = texts.when(language, reception.start, None, now)
    return texts.say(language, WHEN_WORDS, when=when, place=reception.place)


def most_telling_first(hers: Sequence[Waits]) -> list[Waits]:
    """What was changed since she was told; then the next; what has no date last."""

    def rank(waits: Waits) -> tuple[bool, bool, float]:
        reception = waits[1]
        start = reception.start.timestamp() if reception is not None else 0.0
        return not _is_changed(*waits), reception is None, start

    return sorted(hers, key=rank)


def reminded_words(
    texts: Texts,
    language: Language,
    one: Subscription,
    reception: Reception | None,
    now: datetime,
    free_until: datetime | None = None,
    coming: Reception | None = None,
) -> str:
    """Of what she is reminded in one municipality: when and where, what is new, when it rings.

    `free_until`: until when a message to her costs nothing, which may bring it forward. `coming`:
    the next there, to be told of where hers is over although she was told a later date.
    """
    if reception is None:
        lines = _where_and_when(texts, language, one, reception, now)
    elif _is_over(one, reception, now):
        lines = [_where(texts, language, one, None), texts.say(language, "remind.over")]
        if coming is None:
            lines.append(texts.say(language, "remind.no_next"))
        else:
            lines.append(texts.say(language, "remind.next"))
            lines.append(reception_words(texts, language, coming, now))
    else:
        lines = [_where(texts, language, one, reception)]
        if _is_changed(one, reception) and reception.state is ReceptionState.PLANNED:
            lines.append(texts.say(language, "remind.changed"))
        lines.append(reception_words(texts, language, reception, now))
        if plan.takes_place(reception):
            lines.append(_rings(texts, language, one, reception, now, free_until))
    until = texts.moment(language, one.until, now)
    kept = texts.say(language, "remind.kept", when=until)
    return "\n".join((*lines, texts.say(language, "remind.renewed") if one.renew else kept))


def _where(texts: Texts, language: Language, one: Subscription, reception: Reception | None) -> str:
    """Where it is now: a reception may have been moved to another municipality."""
    municipality = one.municipality if reception is None else reception.municipality
    place = texts.say(language, f"place.{municipality}")
    return texts.say(language, "remind.where", place=place)


def _where_and_when(
    texts: Texts, language: Language, one: Subscription, reception: Reception | None, now: datetime
) -> list[str]:
    if reception is not None:
        when = texts.when(language, reception.start, reception.end, now)
    else:
        when = texts.say(language, "remind.no_date_silent" if one.silent else "remind.no_date")
    return [_where(texts, language, one, reception), when]


def _free_until(limits: Limits, now: datetime) -> datetime | None:
    """Until when a message costs nothing to one who is here now, as it is kept."""
    return None if limits.free_hours is None else limits.free_until(whole_hour(now))


def _rings(
    texts: Texts,
    language: Language,
    one: Subscription,
    reception: Reception,
    now: datetime,
    free_until: datetime | None,
) -> str:
    if one.silent:
        return texts.say(language, "remind.silent")
    knows = plan.after(one, reception, None, known_at(now))  # as it is kept
    moments = [at for _, at in plan.moments(knows, reception, now, free_until)]
    if not moments:
        return texts.say(language, "remind.late")
    told = "\n".join(texts.moment(language, at, now) for at in moments)
    return texts.say(language, "remind.rings", moments=told)


def _is_as_planned(one: Subscription, reception: Reception | None) -> bool:
    planned = reception is None or reception.state is ReceptionState.PLANNED
    return planned and not _is_changed(one, reception)


def _is_over(one: Subscription, reception: Reception, now: datetime) -> bool:
    """Whether it has ended before it would have, as she was told; see `plan.readable_until`."""
    return plan.takes_place(reception) and reception.end <= now and one.until > reception.end


def _is_changed(one: Subscription, reception: Reception | None) -> bool:
    """Whether it is another than what she was told of it."""
    if reception is None or one.told is None:
        return False
    return one.told != plan.fingerprint(reception)
