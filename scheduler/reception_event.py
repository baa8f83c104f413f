"""One event of a calendar and the reception that it is: what stands where.

    SUMMARY              the neutral name it is announced under; may be empty
    LOCATION             where in the municipality: Бяла, читалището
    DESCRIPTION          how to find it; may be empty
    CATEGORIES           among them the municipality's code, LAU (rse04) or EKATTE (07603), never
                         its name; or in X-PHEN-MUNICIPALITY; or, for calendars that know no
                         categories, the LAU code at the end of LOCATION: Бяла, читалището, rse04
    X-PHEN-ATTENDS       who comes; may be missing
    X-PHEN-STATE         moved, for one that is not where or when it was to be; may be missing

Its UID is the reception's `uid`; of one that has none, its id and `@phen`; in the public calendar,
a hash of its id and `@phen`.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from itertools import islice
from zoneinfo import ZoneInfo

from icalendar import Event as Component
from icalendar import vText

from scheduler.exchange import (
    LONGEST,
    SOFIA,
    Places,
    known_codes,
    municipality_of,
    municipality_wrong,
    text_wrong,
    tidy,
)
from scheduler.ical import Occurrence
from scheduler.ical_lines import Event, Problem, shown, unescaped
from scheduler.model import FARTHEST, Reception, ReceptionState

LONGEST_UID = 480
MOMENT = "%Y%m%dT%H%M%SZ"
OWN_UID = re.compile(r"(?P<id>[A-Za-z0-9_-]{1,64})@phen")

_PROPERTY = {
    "place": "LOCATION",
    "landmark": "DESCRIPTION",
    "attends": "X-PHEN-ATTENDS",
    "public_name": "SUMMARY",
}
_ROOM = 20
"""Characters that a code at the end of LOCATION, and what parts it from the place, need at most."""
_CODE, _CATEGORIES, _STATE = "X-PHEN-MUNICIPALITY", "CATEGORIES", "X-PHEN-STATE"


def uid_of(reception: Reception) -> str:
    """Under which UID it stands in our calendars."""
    return reception.uid or f"{reception.id}@phen"


def public_uid_of(reception: Reception) -> str:
    """Under which UID everybody's phone knows it: an id from a file of ours may tell the topic."""
    return f"{hashlib.sha256(reception.id.encode()).hexdigest()[:32]}@phen"


def uid_at(at: Occurrence) -> str:
    """Under which UID that is known: its event's, and of one time of a series also which."""
    uid = at.event.uid
    return uid if at.original is None else f"{uid}/{at.original:{MOMENT}}"


def name_wrong(event: Event) -> Iterator[Problem]:
    """What is wrong with that by which an event is known again."""
    count = event.lines["SEQUENCE"]
    if count and not re.fullmatch(r"[0-9]{1,9}", count[0][1]):
        yield event.wrong("SEQUENCE", "value_broken", value=shown(count[0][1]))
    wrong = text_wrong(event.uid, LONGEST_UID)
    if not event.uid:
        yield event.wrong("UID", "missing")
    elif wrong is not None:
        yield event.wrong("UID", wrong[0], **wrong[1])
    if event.lines["RECURRENCE-ID"] and event.begins and not event.moment("RECURRENCE-ID"):
        yield event.wrong("RECURRENCE-ID", "kinds_differ")


def read_event(
    at: Occurrence, places: Places, now: datetime, zone: ZoneInfo
) -> Reception | list[Problem]:
    """The reception at that time, with no id unless it came from us; or what is wrong with it."""
    reading = _Reading(at.event, places)
    problems = [*_time_wrong(at, now, zone), *reading.problems]
    if problems:
        return problems
    uid = uid_at(at)
    own = OWN_UID.fullmatch(uid)
    return Reception(
        id=own["id"] if own else "",
        municipality=reading.municipality,
        place=reading.texts["place"],
        start=at.start,
        end=at.end,
        landmark=reading.texts["landmark"],
        attends=reading.texts["attends"],
        public_name=reading.texts["public_name"],
        state=ReceptionState.CANCELLED if at.cancelled else reading.state,
        uid="" if own else uid,
        sequence=at.event.sequence or 0,
    )


def said_wrong(event: Event, places: Places) -> list[Problem]:
    """What is wrong with what an event says, whenever it happens."""
    return [*name_wrong(event), *_Reading(event, places).problems]


def _time_wrong(at: Occurrence, now: datetime, zone: ZoneInfo) -> Iterator[Problem]:
    """What cannot be a reception: women come on one day, at an hour."""
    if re.fullmatch("[0-9]{8}", at.event.lines["DTSTART"][0][1]):
        yield at.event.wrong("DTSTART", "whole_day")
    elif at.end <= at.start:
        yield at.event.wrong("DTEND", "no_length")
    elif at.start.astimezone(zone).date() != at.end.astimezone(zone).date():
        yield at.event.wrong("DTEND", "over_midnight")
    elif at.start - now > FARTHEST and not at.cancelled:
        put_in = at.event.lines["RDATE"] and at.original != at.event.begins
        yield at.event.wrong("RDATE" if put_in else "DTSTART", "too_far")


class _Reading:
    """What the properties of one event say, and the mistakes found in them."""

    def __init__(self, event: Event, places: Places) -> None:
        self.problems = [
            Problem(line, name, "quoted_printable")
            for name, line in event.quoted.items()
            if name in (*_PROPERTY.values(), _CODE, _CATEGORIES)
        ]
        self._event = event
        self._places = places
        self.texts = {field: self._text(name) for field, name in _PROPERTY.items()}
        self.texts["place"], in_place = _code_in(self.texts["place"], places)
        self.municipality = self._municipality(in_place)
        self._check()

    @property
    def state(self) -> ReceptionState:
        moved = ReceptionState.MOVED
        said = {value.casefold() for _, value in self._event.lines[_STATE]}
        return moved if moved.value in said else ReceptionState.PLANNED

    def _text(self, name: str) -> str:
        stands = self._event.lines[name]
        if len(stands) > 1:
            self.problems.append(self._event.wrong(name, "twice"))
        readable = stands and name not in self._event.quoted
        return tidy(unescaped(stands[0][1])) if readable else ""

    def _check(self) -> None:
        for field, value in self.texts.items():
            wrong = text_wrong(value, LONGEST[field])
            if wrong is not None:
                self.problems.append(self._event.wrong(_PROPERTY[field], wrong[0], **wrong[1]))
        if not self.texts["place"] and "LOCATION" not in self._event.quoted:
            self.problems.append(self._event.wrong("LOCATION", "missing"))

    def _municipality(self, in_place: str) -> str:
        """Its LAU code, wherever one stands; empty with a mistake."""
        event, places = self._event, self._places
        named = [(line, _CODE, tidy(unescaped(value))) for line, value in event.lines[_CODE]]
        each_once = {
            each: line
            for line, value in event.lines[_CATEGORIES]
            for each in re.split(r"(?<!\\),", value)
        }
        sorts = [(line, _CATEGORIES, tidy(unescaped(each))) for each, line in each_once.items()]
        codes = {municipality_of(value, places) for *_, value in (*named, *sorts)} | {in_place}
        known = sorted(codes - {""})
        wrong = list(islice(self._refused(named), 1))
        if not wrong and len(known) > 1:
            wrong = [event.wrong(_CODE if named else _CATEGORIES, "municipality_twice")]
        if not wrong and not known:
            missing = event.wrong(_CATEGORIES, "municipality_missing", known=known_codes(places))
            by_name = (it for it in self._refused(sorts) if it.code == "municipality_by_name")
            wrong = [next(by_name, missing)]
        if self.problems and event.quoted:  # it may stand in what cannot be read
            return ""
        self.problems += wrong[:1]
        return "" if wrong else known[0]

    def _refused(self, stands: Iterable[tuple[int, str, str]]) -> Iterator[Problem]:
        for line, name, value in stands:
            if not municipality_of(value, self._places):
                yield Problem(line, name, *municipality_wrong(value, self._places))


def _code_in(place: str, places: Places) -> tuple[str, str]:
    """The place without the LAU code of its municipality at the end, and the code."""
    found = _AT_THE_END.fullmatch(place) if len(place) <= LONGEST["place"] + _ROOM else None
    if found is None or found["code"].casefold() not in places:
        return place, ""
    return found["place"], found["code"].casefold()


_AT_THE_END = re.compile(r"(?P<place>.*[^\s,;(\[]|)[\s,;(\[]+(?P<code>[A-Za-z0-9]+)[)\]]?")
"""The place ends before what parts it from the code: else the time grows with its square."""


def write_event(it: Reception, now: datetime, *, is_public: bool) -> Component:
    """Its event; a public one holds nothing of ours beside the texts, and not who comes."""
    event, is_cancelled = Component(), it.state is ReceptionState.CANCELLED
    event.add("UID", public_uid_of(it) if is_public else uid_of(it))
    event.add("DTSTAMP", now.astimezone(UTC))
    event.add("DTSTART", it.start.astimezone(SOFIA))
    event.add("DTEND", it.end.astimezone(SOFIA))
    event.add("SEQUENCE", it.sequence)
    event.add("STATUS", "CANCELLED" if is_cancelled else "CONFIRMED")
    texts = {"SUMMARY": it.public_name, "LOCATION": it.place, "DESCRIPTION": it.landmark}
    if not is_public:
        texts |= {"X-PHEN-ATTENDS": it.attends, _CODE: it.municipality}
        if it.state is ReceptionState.MOVED:
            texts[_STATE] = it.state.value
    for name, text in texts.items():
        if text:
            event.add(name, vText(text))
    return event
