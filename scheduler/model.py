"""What is planned: receptions as the centre keeps them, and who wants to be reminded of them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

FARTHEST = timedelta(days=731)
"""So far ahead a reception is planned at most; beyond that a year is mistyped."""


class ReceptionState(StrEnum):
    PLANNED = "planned"
    MOVED = "moved"
    CANCELLED = "cancelled"


@dataclass(frozen=True, slots=True)
class Reception:
    """One day on which the centre's advisers sit in a village or town.

    `start` and `end` are aware and kept in UTC. `municipality` is the LAU code in lower case
    (`rse27`), never a name: there are three places called Бяла. `public_name` is neutral.
    """

    id: str
    municipality: str
    place: str
    start: datetime
    end: datetime
    landmark: str = ""
    attends: str = ""
    public_name: str = ""
    state: ReceptionState = ReceptionState.PLANNED
    uid: str = ""
    """Its name in the calendars that it came from or went to, if it did: of one time of a series
    the series' UID, a slash and the moment at which it was to begin at first (UTC)."""
    sequence: int = 0
    """How often it was changed, as calendars count (RFC 5545, SEQUENCE)."""


SAFE_HOURS = {"am": (9, 12), "pm": (12, 17), "eve": (17, 21), "day": (9, 21)}
"""By the codes of her answers: from which hour on, and until which, her phone may ring. Local."""


class Reminder(StrEnum):
    """What a woman is told about a reception that she wants to be reminded of."""

    BEFORE = "before"  # two days before, at 18:00
    MORNING = "morning"  # on the same day, at 09:00
    MOVED = "moved"  # it is another day, hour or place than she was told
    CANCELLED = "cancelled"


@dataclass(frozen=True, slots=True)
class Subscription:
    """She wants to be reminded of the receptions of one municipality.

    Without a `reception` she waits for one to be planned. What she was told of it stands in
    `told` (`plan.fingerprint`) and `told_start`; with `known_at` None she has not seen its date
    yet, else she saw it then. `done` are the reminders that went out for what she was told.
    `silent`: nothing is sent; she looks for herself. `until`: when it ends at the latest.
    """

    id: str
    municipality: str
    hours: str
    reception: str | None
    told: str | None
    told_start: datetime | None
    known_at: datetime | None
    done: frozenset[Reminder]
    silent: bool
    renew: bool
    until: datetime
