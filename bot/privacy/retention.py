"""How long anything is kept: every clock of the promise stands here, and nowhere else.

`Cutoffs` turns a moment into "what is older than this must go". The store's `purge` carries it
out; it should run every few minutes and at the start.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

SILENCE = timedelta(hours=24)
"""A case in which nobody wrote for so long is closed."""
TEXT_DAYS = 2
"""A closed case's text goes at the end of the next day: within 48 hours of the close."""
CASE_AFTER_CLOSE = timedelta(days=7)
"""Then nothing says any more that this address had a case."""
IN_HER_CHAT = timedelta(hours=23)
"""A case's messages leave her chat within a day: the clock that looks ticks every ten minutes."""
HANDLES = timedelta(hours=48)
"""Telegram deletes nothing older: until then a removal that failed can be tried again."""
AUDIT = timedelta(days=90)
FAILED_LOGINS = timedelta(hours=1)
SET_ASIDE = timedelta(days=7)
"""What was set aside goes by the clock of the logs."""
SUBSCRIPTION = timedelta(days=60)
"""A reminder for which no date is planned ends after so long; else it ends with its reception."""
OVERDUE = timedelta(hours=12)
"""After its end a reminder goes by itself; one that nobody looked at goes after so long."""
BROADCAST_WORDS = timedelta(days=14)
"""So long a broadcast is read behind the gate by those it was for."""
BROADCASTS = timedelta(days=90)
"""The words and the figures of a broadcast that has ended: as long as the audit."""
GROUP_NOTES = timedelta(days=90)
"""For so long a phone is known that was linked, to be put out of the desk's Telegram group with
its account. Who is to leave is known until she is out; where there is no group, for an hour."""
LEAD = timedelta(hours=1)
"""What was promised is done so much earlier, so that a late purge still keeps the promise."""


@dataclass(frozen=True, slots=True)
class Cutoffs:
    """What must be gone at one moment. Anything at or before each value goes."""

    now: datetime
    last_day: date  # closed cases of this day, and the keys of that day
    cases: datetime
    handles: datetime
    audits: datetime
    failed_logins: datetime
    set_aside: datetime
    subscriptions: datetime
    broadcasts: datetime
    group_notes: datetime

    @classmethod
    def at(cls, now: datetime) -> Cutoffs:
        """`now` is aware. The days are UTC days."""
        now = now.astimezone(UTC)
        return cls(
            now=now,
            last_day=(now + LEAD).date() - timedelta(days=TEXT_DAYS),
            cases=now + LEAD - CASE_AFTER_CLOSE,
            handles=now - HANDLES,
            audits=now - AUDIT,
            failed_logins=now - FAILED_LOGINS,
            set_aside=now - SET_ASIDE,
            subscriptions=now - OVERDUE,
            broadcasts=now - BROADCASTS,
            group_notes=now - GROUP_NOTES,
        )


def whole_hour(moment: datetime) -> datetime:
    """The hour in which it was: all that is kept of a time once a case is closed."""
    return moment.replace(minute=0, second=0, microsecond=0)


def known_at(moment: datetime) -> datetime:
    """The full hour from which on she counts as knowing what she reads now; not before she does."""
    return whole_hour(moment) + timedelta(hours=1)
