"""Receptions in and out as an iCalendar file (RFC 5545).

What stands where in an event is told by `reception_event`, which reception it is by
`reception_match`. A file with any mistake gives no reception at all, and every mistake by its
line: those of `scheduler.ical`, and

    municipality_missing {known} · municipality_unknown {value, known} · municipality_twice ·
    municipality_by_name {value, code, ekatte} · too_long {found, limit} · unreadable ·
    whole_day · over_midnight · no_length · repeated {first} · nothing_ahead {weeks} · too_far
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from icalendar import Calendar, Timezone, vDuration, vText

from scheduler.exchange import Places, after_change
from scheduler.ical import HORIZON, CalendarResult, Occurrence, read_calendar
from scheduler.ical_lines import Problem
from scheduler.model import Reception, ReceptionState
from scheduler.plan import takes_place
from scheduler.reception_event import name_wrong, read_event, said_wrong, write_event
from scheduler.reception_match import Draft, Matching, place_and_time, series_of

OWN_CODES = (
    "too_big", "no_events", "too_many_events", "too_many_times", "too_slow", "nothing_ahead",
    "rule_too_often", "no_length", "too_long", "unreadable", "whole_day", "over_midnight",
    "repeated", "municipality_missing", "municipality_by_name", "municipality_unknown",
    "municipality_twice", "too_far",
)  # fmt: skip
"""What is told of receptions in other words than of duties; the rest is `ical.PROBLEM_CODES`."""

PUBLISHED_EVERY = timedelta(hours=1)
"""How often a phone that subscribed should look again."""

_LAST = datetime(9000, 1, 1, tzinfo=UTC)


# --- in ------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class IcsResult:
    """What a file asks for; or, when there is any problem, only the problems.

    `receptions` are to be saved. Of those that lie ahead, by what becomes of them: `older` are
    left alone, because they were changed here since; `stay_cancelled` too: they were called off
    here and take place in the file, and no file brings back what was called off. What repeats was
    taken as far as `until`; None: nothing does.
    """

    receptions: tuple[Reception, ...] = ()
    problems: tuple[Problem, ...] = ()
    added: int = 0
    changed: int = 0
    cancelled: int = 0
    older: int = 0
    unchanged: int = 0
    stay_cancelled: int = 0
    until: datetime | None = None


def is_calendar(data: bytes) -> bool:
    """Whether a file is meant as a calendar, by how it begins."""
    return data.removeprefix(b"\xef\xbb\xbf").lstrip()[:15].upper() == b"BEGIN:VCALENDAR"


def read_ics(
    data: bytes,
    places: Places,
    known: Iterable[Reception],
    now: datetime,
    zone: ZoneInfo,
    new_id: Callable[[], str],
) -> IcsResult:
    """What a calendar asks for, seen from all receptions that are `known`, past ones too.

    An event is known again by its UID, one time of a series by that and when it was to begin at
    first. An event that repeats is taken for half a year, what is over at `now` (aware) not at
    all. A known reception that its own calendar does not hold any more is cancelled; of what the
    calendar never held nothing is said. Raises nothing on any bytes. It may take seconds: not on
    the event loop.
    """
    until = now + HORIZON
    read = read_calendar(data, now, until, zone, _LAST)
    if read.problems:
        wrong = [*read.problems, *_also_wrong(read, places, now)]
        return IcsResult(problems=tuple(sorted(wrong, key=lambda it: it.line)))
    matching = Matching(known, read.events, now, until, zone)
    drafts = [_draft(it, matching.by_name(it), places, now, zone) for it in read.occurrences]
    problems = sorted(_unfit(drafts), key=lambda it: it.line)
    if problems:
        return IcsResult(problems=tuple(problems))
    matching.by_what_they_say(drafts)
    gone, stayed = matching.gone(), matching.stayed()
    if not drafts and not gone and not stayed:
        ahead = Problem(0, "", "nothing_ahead", {"weeks": HORIZON.days // 7})
        return IcsResult(problems=(ahead,))
    outcome = _Outcome(new_id, len(stayed))
    for draft in drafts:
        outcome.take(draft)
    for old in gone:
        outcome.drop(old, matching.sequence_of(old))
    repeats = any(event.lines["RRULE"] for event in read.events)
    return outcome.result(until if repeats else None)


def _draft(
    at: Occurrence, old: Reception | None, places: Places, now: datetime, zone: ZoneInfo
) -> Draft:
    unnamed = list(name_wrong(at.event))
    if at.cancelled and old is not None:  # needs to say no more than which
        return Draft(at, old, problems=unnamed)
    read = read_event(at, places, now, zone)
    if isinstance(read, Reception):
        return Draft(at, old, read, unnamed)
    return Draft(at, old, problems=[*unnamed, *read])


def _also_wrong(read: CalendarResult, places: Places, now: datetime) -> Iterator[Problem]:
    """What else is wrong in a file of which something cannot be read, so that all is told at once.

    Of an event in which a mistake is known, and of one that may be over, nothing more is said.
    """
    wrong = {(it.line, it.name) for it in read.problems}
    lines = {it.line for it in read.problems}
    for event in read.events:
        if event.line in lines or not event.stands.isdisjoint(wrong):
            continue
        at = event.begins
        is_ahead = at is not None and (at > now or bool(event.lines["RRULE"]))
        if is_ahead and str(event.component.get("STATUS", "")).upper() != "CANCELLED":
            yield from said_wrong(event, places)


def _unfit(drafts: Sequence[Draft]) -> Iterator[Problem]:
    """Every mistake once, however often its event repeats; and what stands there twice."""
    told: set[tuple[int, str, str]] = set()
    seen: dict[tuple[str, str, datetime], int] = {}
    for draft in drafts:
        found, it = draft.problems, draft.new
        if it is not None and not draft.at.cancelled:
            first = seen.setdefault(place_and_time(it), draft.at.line)
            if first != draft.at.line:
                found = [*found, draft.at.event.wrong("DTSTART", "repeated", first=first)]
        for problem in found:
            name = (problem.line, problem.name, problem.code)
            if name not in told:
                told.add(name)
                yield problem


# --- what becomes of it ---------------------------------------------------------------------------


class _Outcome:
    """What is to be saved, and the figures of the report."""

    def __init__(self, new_id: Callable[[], str], stayed: int) -> None:
        """`stayed`: so many were changed here since, and the file has nothing of them."""
        self._new_id = new_id
        self._saved: list[Reception] = []
        self._figures: Counter[str] = Counter(older=stayed)
        self._older: set[str] = set()

    def take(self, draft: Draft) -> None:
        old, new = draft.old, draft.new
        if old is None:
            if new is not None:
                self._count("added", new if new.id else replace(new, id=self._new_id()))
        elif not takes_place(old) and not draft.at.cancelled:
            self._count("stay_cancelled")
        elif not draft.adopted and _is_older(draft.at.event.sequence, old):
            self._count("older")
            self._older.add(draft.at.event.uid)
        elif new is None or draft.at.cancelled:
            self._cancel(old, draft.at.event.sequence)
        else:
            self._change(old, _changed(old, new))

    def drop(self, old: Reception, sequence: int | None) -> None:
        """Its calendar does not hold it any more. To be asked after all that it does hold.

        Of a series the count of one time says nothing of the others: such a file is older only
        if another time in it is.
        """
        uid, original = series_of(old)
        may_be_older = original is None or uid in self._older
        if may_be_older and _is_older(sequence, old):
            self._count("older")
        else:
            self._cancel(old, sequence)

    def _cancel(self, old: Reception, sequence: int | None) -> None:
        counted = max(sequence or 0, old.sequence)
        self._change(old, replace(old, state=ReceptionState.CANCELLED, sequence=counted))

    def _change(self, old: Reception, new: Reception) -> None:
        if replace(new, uid=old.uid, sequence=old.sequence) == old:
            return self._count("unchanged", None if new == old else new)
        ends = new.state is ReceptionState.CANCELLED
        self._count("cancelled" if ends else "changed", new)

    def _count(self, what: str, saved: Reception | None = None) -> None:
        self._figures[what] += 1
        self._saved += [] if saved is None else [saved]

    def result(self, until: datetime | None) -> IcsResult:
        of = self._figures
        return IcsResult(
            tuple(self._saved),
            added=of["added"],
            changed=of["changed"],
            cancelled=of["cancelled"],
            older=of["older"],
            unchanged=of["unchanged"],
            stay_cancelled=of["stay_cancelled"],
            until=until,
        )


def _is_older(sequence: int | None, old: Reception) -> bool:
    """Whether the file was written before what is known. Where nobody counts, it is taken."""
    return sequence is not None and sequence < old.sequence


def _changed(old: Reception, new: Reception) -> Reception:
    """The known reception as the file has it; one that was moved stays so."""
    named = replace(
        new, id=old.id, uid=new.uid or old.uid, sequence=max(new.sequence, old.sequence)
    )
    moved = after_change(old, named)
    stays = old.state is ReceptionState.MOVED and moved.state is ReceptionState.PLANNED
    return replace(moved, state=ReceptionState.MOVED) if stays else moved


# --- out ------------------------------------------------------------------------------------------

_SOFIA = """\
BEGIN:VTIMEZONE
TZID:Europe/Sofia
BEGIN:DAYLIGHT
DTSTART:19970330T030000
RRULE:FREQ=YEARLY;BYMONTH=3;BYDAY=-1SU
TZNAME:EEST
TZOFFSETFROM:+0200
TZOFFSETTO:+0300
END:DAYLIGHT
BEGIN:STANDARD
DTSTART:19971026T040000
RRULE:FREQ=YEARLY;BYMONTH=10;BYDAY=-1SU
TZNAME:EET
TZOFFSETFROM:+0300
TZOFFSETTO:+0200
END:STANDARD
END:VTIMEZONE
"""


def write_ics(
    receptions: Iterable[Reception], now: datetime, *, public: str | None = None
) -> bytes:
    """The receptions as a calendar that `read_ics` takes back as they are, soonest first.

    `public`: the name of a calendar for everybody's phone instead, which holds nothing of ours
    beside the texts as they are given, and who comes is left out. A phone should look again every
    `PUBLISHED_EVERY`. `now` (aware) is when the calendar was made.
    """
    calendar = Calendar()
    calendar.add("VERSION", "2.0")
    calendar.add("PRODID", "-//Phen//EN")
    if public is not None:
        calendar.add("NAME", public)
        calendar.add("X-WR-CALNAME", vText(public))
        every = PUBLISHED_EVERY
        calendar.add("REFRESH-INTERVAL", every, parameters={"VALUE": "DURATION"})
        calendar.add("X-PUBLISHED-TTL", vDuration(every))
    calendar.add_component(Timezone.from_ical(_SOFIA))
    for it in sorted(receptions, key=lambda it: (it.start, it.municipality, it.id)):
        calendar.add_component(write_event(it, now, is_public=public is not None))
    written: bytes = calendar.to_ical()
    return written
