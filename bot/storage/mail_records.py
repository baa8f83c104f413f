"""What the store takes and gives of reminders and broadcasts: frozen values, already unsealed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import NamedTuple

from bot.storage.records import StoreError
from scheduler.model import Reception, Reminder


@dataclass(frozen=True, slots=True)
class Mailing:
    """One thing to bring to one woman's phone now, under the words that she chose.

    Of a `reminder` the reception goes along; without one it is a broadcast's. `handle`: of the
    one before it in her chat. `attempts` and `tried_at` as in `Due`.
    """

    id: int
    channel: str
    address: str = field(repr=False)
    language: str
    words: str  # id of a text
    reminder: Reminder | None
    broadcast: str | None
    reception: Reception | None
    latest: datetime
    attempts: int
    tried_at: datetime | None
    handle: str | None = field(default=None, repr=False)


class MailingEnd(StrEnum):
    """What became of it. All but the last settle it; then it is kept no more."""

    SENT = "sent"
    UNKNOWN = "unknown"  # its answer was lost: it counts as sent
    GONE = "gone"  # she has left the line: nothing of hers is kept
    FAILED = "failed"
    LATER = "later"


@dataclass(frozen=True, slots=True)
class MailingOutcome:
    """How one send ended. `handle` is of what stands in her chat now.

    `LATER`: it is tried again from `until` on; `refused`, the platform did not take it, which
    counts as an attempt; `afresh`, its first try is still to come.
    """

    end: MailingEnd
    handle: str | None = field(default=None, repr=False)
    until: datetime | None = None
    refused: bool = False
    afresh: bool = False


class BroadcastState(StrEnum):
    DRAFT = "draft"
    PROPOSED = "proposed"
    RUNNING = "running"
    PAUSED = "paused"
    CANCELLED = "cancelled"
    DONE = "done"


@dataclass(frozen=True, slots=True)
class Audience:
    """Whose reminders: of these municipalities, languages and channels."""

    municipalities: frozenset[str]
    languages: frozenset[str]
    channels: frozenset[str]


@dataclass(frozen=True, slots=True)
class Reach:
    """How many women an audience is. `by_channel` and `silent` add up to `recipients`.

    `billable`: to how many of them a message sent now would cost money.
    """

    by_channel: Mapping[str, int]
    silent: int  # who wanted nothing sent: they read it when they come
    billable: int

    @property
    def recipients(self) -> int:
        return sum(self.by_channel.values()) + self.silent


@dataclass(frozen=True, slots=True)
class Broadcast:
    """Words of the centre for those who wait for its receptions, and what became of them.

    `created_by` wrote it last: nobody else proposes it, and she may not approve it. `digest` is of
    words and audience as they were proposed. The counts are of women; `left` of them wait still.
    """

    id: str
    state: BroadcastState
    audience: Audience
    texts: Mapping[str, str]  # by language
    created_by: str
    created_at: datetime
    proposed_at: datetime | None = None
    digest: str | None = None
    approved_by: str | None = None
    started_at: datetime | None = None
    ended_at: datetime | None = None
    until: datetime | None = None
    recipients: int = 0
    delivered: int = 0
    gone: int = 0
    held: int = 0
    unknown: int = 0
    failed: int = 0

    @property
    def left(self) -> int:
        settled = self.delivered + self.gone + self.held + self.unknown + self.failed
        return max(self.recipients - settled, 0)


class CentreWords(NamedTuple):
    """What a broadcast says to who looks behind the gate. `hers`: she is one whom it was for."""

    broadcast: str
    text: str
    hers: bool


class OwnBroadcast(StoreError):
    """Whoever wrote the words cannot approve them; ask a colleague."""


class NotAuthor(StoreError):
    """Only whoever wrote it last proposes it; who saves it anew becomes that."""


class NotProposed(StoreError):
    """The words or the audience are not the ones that were proposed, or half an hour has passed."""
