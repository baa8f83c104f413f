"""Which reception is meant by one time of an event in a calendar file.

It is known again by its UID, one time of a series by that and when it was to begin at first; else
by place and time; else as the nearest that its calendar does not hold any more.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from scheduler.ical import Occurrence
from scheduler.ical_lines import Event, Problem
from scheduler.ical_series import excluded
from scheduler.model import Reception, ReceptionState
from scheduler.plan import takes_place
from scheduler.reception_event import MOMENT, OWN_UID, uid_at, uid_of

NEAR = timedelta(days=3)
"""So far a whole series is moved at most, for its times to be known again."""

_OF_SERIES = re.compile(r"(?P<uid>.+)/(?P<original>[0-9]{8}T[0-9]{6}Z)", re.DOTALL)


@dataclass(slots=True)
class Draft:
    """One time of an event: the reception it would be, and the one that it is known as.

    `adopted`: known by place and time, from another calendar.
    """

    at: Occurrence
    old: Reception | None
    new: Reception | None = None
    problems: Sequence[Problem] = ()
    adopted: bool = False


class Matching:
    """Finds for each occurrence the reception that it is, each reception once.

    One that was called off is found too, so that it does not come back under another name.
    """

    def __init__(
        self,
        known: Iterable[Reception],
        events: Sequence[Event],
        now: datetime,
        until: datetime,
        zone: ZoneInfo,
    ) -> None:
        self._by_uid = {uid_of(it): it for it in known}
        self._by_id = {it.id: it for it in self._by_uid.values()}
        self._now = now.astimezone(UTC)
        self._until = until.astimezone(UTC)
        self._zone = zone
        self._taken: set[str] = set()
        self._left: defaultdict[str, list[Reception]] | None = None
        self._says = _Says(events, self._now, zone)

    def by_name(self, at: Occurrence) -> Reception | None:
        """The one of its UID. What repeats now and did not before was its first time, and back."""
        uid, name = at.event.uid, uid_at(at)
        names = [name]
        if at.original is None:
            names.append(f"{uid}/{at.start:{MOMENT}}")
        elif (uid, at.original) in self._says.first:
            names.append(uid)
        found = [self._by_uid[each] for each in names if each in self._by_uid]
        if own := OWN_UID.fullmatch(name):
            found += [self._by_id[own["id"]]] if own["id"] in self._by_id else []
        return next((self._take(it) for it in found if it.id not in self._taken), None)

    def by_what_they_say(self, drafts: Sequence[Draft]) -> None:
        """Those under another name: by place and time, then by the nearest time of the series,
        then by the nearest at the same place of what its calendar does not hold any more: many
        programs cut a series in two where it changes, and the second has a name of its own.
        """
        new = [it for it in drafts if it.old is None and not it.at.cancelled]
        there = {place_and_time(it): it for it in sorted(self._free(), key=takes_place)}
        for draft in new:
            same = there.pop(place_and_time(draft.new), None) if draft.new else None
            if same is not None:
                draft.old, draft.adopted = self._take(same), True
        self._pair(new, lambda it: self._left_of(it.at.event.uid))
        left = defaultdict(list)
        for old in (old for uid in sorted(self._says.whole) for old in self._left_of(uid)):
            left[_place(old)].append(old)
        for draft in self._pair(new, lambda it: left[_place(it.new)] if it.new else [], self._fits):
            draft.adopted = True

    def gone(self) -> list[Reception]:
        """Those that their calendar does not hold any more, as far as it was read."""
        left = {it.id: it for uid in sorted(self._says.whole) for it in self._left_of(uid)}
        return [it for it in left.values() if takes_place(it)]

    def stayed(self) -> list[Reception]:
        """Those that were moved here, and of which the file has only what is over."""
        return [it for it in self._free() if takes_place(it) and self._says.nothing_of(it)]

    def sequence_of(self, reception: Reception) -> int | None:
        """How often the calendar says that this one, or its whole series, was changed."""
        return self._says.sequence_of({uid_of(reception), series_of(reception)[0]})

    def _pair(
        self,
        drafts: Sequence[Draft],
        olds_for: Callable[[Draft], Iterable[Reception]],
        fits: Callable[[Draft, Reception], bool] = lambda *_: True,
    ) -> list[Draft]:
        """Give each draft that has none the nearest of its own, those of the same day first."""
        pairs = [
            (not self._same_day(draft, old), abs(old.start - draft.at.start), number, old)
            for number, draft in enumerate(drafts)
            if draft.old is None
            for old in olds_for(draft)
            if abs(old.start - draft.at.start) <= NEAR and fits(draft, old)
        ]
        paired = []
        for *_, number, old in sorted(pairs, key=lambda it: (*it[:3], it[3].start, it[3].id)):
            draft = drafts[number]
            if draft.old is None and old.id not in self._taken:
                draft.old = self._take(old)
                paired.append(draft)
        return paired

    def _fits(self, draft: Draft, old: Reception) -> bool:
        """What was called off, and is at the same place on another day, may be made up for."""
        return takes_place(old) or self._same_day(draft, old)

    def _same_day(self, draft: Draft, old: Reception) -> bool:
        one, other = (it.astimezone(self._zone).date() for it in (draft.at.start, old.start))
        return one == other

    def _left_of(self, uid: str) -> list[Reception]:
        """Those of this event or series, as far as it was read, that nothing in the file is."""
        if uid not in self._says.whole:
            return []
        if self._left is None:
            self._left = defaultdict(list)
            for it in self._free():
                if self._says.nothing_of(it):
                    continue
                series, original = series_of(it)
                if original is None or original < f"{self._until:{MOMENT}}":
                    self._left[series].append(it)
                if original is not None:
                    self._left[uid_of(it)].append(it)
        return [it for it in self._left[uid] if it.id not in self._taken]

    def _take(self, reception: Reception) -> Reception:
        self._taken.add(reception.id)
        return reception

    def _free(self) -> list[Reception]:
        """Those ahead that no event of the file is, soonest first."""
        free = (
            it for it in self._by_id.values() if it.end > self._now and it.id not in self._taken
        )
        return sorted(free, key=lambda it: (it.start, it.id))


class _Says:
    """What a file says of its events and series as a whole."""

    def __init__(self, events: Sequence[Event], now: datetime, zone: ZoneInfo) -> None:
        self._events = events
        self._now = now
        whole = [it for it in events if not it.lines["RECURRENCE-ID"]]
        self.whole = {it.uid for it in whole}
        """The UIDs of which the file says all, not only how one time of a series changed."""
        self.first = {(it.uid, it.begins) for it in whole}
        self._over = {it.uid for it in whole if self._is_over(it)}
        self._called_off = {(it.uid, f"{at:{MOMENT}}") for it in whole for at in excluded(it, zone)}
        for event in events:
            if str(event.component.get("STATUS", "")).upper() == "CANCELLED":
                at = event.moment("RECURRENCE-ID")
                self._called_off.add((event.uid, f"{at:{MOMENT}}" if at else ""))

    def nothing_of(self, it: Reception) -> bool:
        """Whether it was moved, and all that the file has of it is the time before, now over.

        What the file calls off by name is called off, whenever it was.
        """
        uid, original = series_of(it)
        if it.state is not ReceptionState.MOVED or uid not in self.whole:
            return False
        if {(uid, ""), (uid, original or "")} & self._called_off:
            return False
        return uid in self._over if original is None else original < f"{self._now:{MOMENT}}"

    def sequence_of(self, uids: set[str]) -> int | None:
        """The highest count that stands in one of these events."""
        counts = [it.sequence for it in self._events if it.uid in uids and it.sequence is not None]
        return max(counts, default=None)

    def _is_over(self, event: Event) -> bool:
        at, repeats = event.begins, event.lines["RRULE"] or event.lines["RDATE"]
        return at is not None and at < self._now and not repeats


def series_of(reception: Reception) -> tuple[str, str | None]:
    """The UID of the series that it is one time of, and which; or its own and None."""
    found = _OF_SERIES.fullmatch(reception.uid)
    return (found["uid"], found["original"]) if found else (uid_of(reception), None)


def _place(it: Reception) -> tuple[str, str]:
    return it.municipality, it.place.casefold()


def place_and_time(it: Reception) -> tuple[str, str, datetime]:
    """By which two are the same reception."""
    return (*_place(it), it.start)
