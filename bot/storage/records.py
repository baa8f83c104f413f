"""What the store takes and gives: frozen values, already unsealed, and the ways it refuses."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from bot.lifecycle import CaseState as CaseState


class Author(StrEnum):
    WOMAN = "woman"
    CONSULTANT = "consultant"
    NOTE = "note"  # internal: never sent
    SYSTEM = "system"


class MessageState(StrEnum):
    """What became of a message on its way to her."""

    KEPT = "kept"  # hers, or a note: nothing to send
    DUE = "due"
    SENT = "sent"
    UNKNOWN = "unknown"  # the answer was lost: parked until the desk decides
    FAILED = "failed"  # given up: the desk decides
    DROPPED = "dropped"  # the desk decided not to send it again
    CORRECTING = "correcting"  # its old words stand in her chat until the new ones are there
    UNCORRECTED = "uncorrected"  # given up: the old words stand in her chat
    TAKING_BACK = "taking_back"  # it stands in her chat until it is removed there
    NOT_TAKEN = "not_taken"  # given up: it still stands in her chat
    TAKEN_BACK = "taken_back"  # it was not sent, or stands in her chat no more


class What(StrEnum):
    """What an outbox row is to do with its message."""

    SAY = "say"
    CORRECT = "correct"  # it stands in her chat with its old words
    TAKE_BACK = "take_back"  # it stands in her chat and shall not


class MediumKind(StrEnum):
    PHOTO = "photo"
    VOICE = "voice"


class Role(StrEnum):
    CONSULTANT = "consultant"
    STAFF = "staff"
    ADMIN = "admin"


class StaffState(StrEnum):
    INVITED = "invited"
    ACTIVE = "active"
    FROZEN = "frozen"
    REMOVED = "removed"  # kept without name and credentials while something speaks of it


@dataclass(frozen=True, slots=True)
class Nudge:
    """When and under which neutral words she lets us ring: ids of the content."""

    hours: str
    words: str


@dataclass(frozen=True, slots=True)
class Case:
    """One woman's conversation with the desk, under a random alias.

    `topic` and `place` are None where she gave none, where they are gone, and in every list
    that is read before a claim.
    """

    id: str
    alias: str
    state: CaseState
    channel: str
    language: str
    topic: str | None
    place: str | None
    opened_at: datetime
    last_woman_at: datetime
    last_at: datetime
    claimed_by: str | None  # staff id
    claimed_at: datetime | None  # of one that was given back: when that was
    closed_at: datetime | None
    present: bool
    told: int  # which waiting message she has had: 0, 1, 2
    unread: int  # her messages after the desk last looked
    held: int  # messages for her that wait to be sent
    bell_round: int = 0  # how often it has rung for this; `SEEN`: for nothing that is new
    bell_at: datetime | None = None  # when it rings next; None: it does not
    passed_at: datetime | None = None  # handed to a colleague who has not opened it yet
    answered: bool = False  # a consultant has written to her
    media_allowed: bool = False  # she agreed that photos and voice are taken
    nudge: Nudge | None = None  # whether we may ring her; None: never
    nudged_at: datetime | None = None  # since she was last here
    absent_since: datetime | None = None  # None: present, or not known
    unanswered: int = 0  # her messages after which no consultant wrote
    undecided: int = 0  # messages to her that may not have arrived: the desk decides
    unmended: int = 0  # those that stand in her chat, and were to be changed or removed there

    @property
    def waits_since(self) -> datetime:
        """Since when nobody has it, while nobody has."""
        return self.claimed_at or self.opened_at


@dataclass(frozen=True, slots=True)
class CaseMessage:
    """One message of a case; `number` counts from 1 in its case."""

    id: str
    case_id: str
    number: int
    author: Author
    staff_id: str | None
    text: str
    at: datetime
    state: MessageState
    covered: bool = False  # hers, and written while her window was covered: it may not be she
    edited: bool = False
    medium: MediumKind | None = None  # a photo or a voice belongs to it


@dataclass(frozen=True, slots=True)
class Medium:
    """A photo or a voice, without any metadata. `data` is JPEG, or Ogg with Opus."""

    kind: MediumKind
    data: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Lease:
    """One sender has this conversation; whoever comes after it has a greater fence."""

    case_id: str
    fence: int


@dataclass(frozen=True, slots=True)
class Due:
    """A message that may be sent now. `attempts` counts the sends that the platform refused.

    `ended`: its case is closed, and this is read afterwards.
    """

    outbox_id: int
    case_id: str
    channel: str
    address: str = field(repr=False)
    language: str
    message: CaseMessage = field(repr=False)
    attempts: int
    ended: bool
    what: What = What.SAY
    handle: str | None = field(default=None, repr=False)  # under which it stands in her chat
    lease: Lease | None = None  # under which it is sent
    tried_at: datetime | None = None  # for the first time, as far as it was tried before


@dataclass(frozen=True, slots=True)
class StaffMember:
    id: str
    login: str
    alias: str  # shown to her; may be empty
    roles: frozenset[Role]
    state: StaffState
    created_at: datetime
    languages: frozenset[str] = frozenset({"bg"})
    has_bell: bool = False  # her Telegram is linked to the desk's bot


@dataclass(frozen=True, slots=True)
class BellAddress:
    """Where a consultant's bell rings: a chat of the desk's bot."""

    staff_id: str
    address: str = field(repr=False)


class Wish(StrEnum):
    """What is to become of a consultant's phone in the desk's Telegram group."""

    OUT = "out"
    BACK = "back"  # nothing keeps her from being added again
    NONE = "none"  # nothing; but it was linked, and may be there


@dataclass(frozen=True, slots=True)
class GroupNote:
    """What is to be done with one phone in the group."""

    id: str
    staff_id: str
    name: str  # the login of her account, which may be gone
    wish: Wish
    refused: bool  # Telegram did not do it: a person must
    address: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Topic:
    """Where a case stands in the desk's group. `told`: what she said stands there, too."""

    case_id: str
    chat: int
    thread: int
    told: bool


@dataclass(frozen=True, slots=True)
class TopicLine:
    """One message of ours in a topic, and which part of which entry of the case it shows."""

    entry: str
    part: int
    line: int | None  # the message's number; None: nothing stands there yet
    answers: int | None = None  # the consultant's message that it belongs to
    shown: bytes | None = field(default=None, repr=False)  # fingerprint of what it says


@dataclass(frozen=True, slots=True)
class Prepared:
    """An answer that is ready to be put into the box; nothing is sent by it."""

    id: str
    language: str
    shortcut: str
    text: str


@dataclass(frozen=True, slots=True)
class Block:
    """Nothing is taken from this address: until a moment, or (None) while the case lasts."""

    until: datetime | None


@dataclass(frozen=True, slots=True)
class Waits:
    """How fast the women of one month were answered, for the centre and never of one woman.

    `answered` counts by the upper edge of the wait in seconds (None: longer than the last).
    """

    month: str  # 2026-11
    answered: dict[int | None, int]
    unanswered: int


@dataclass(frozen=True, slots=True)
class SetAside:
    """How often something was set aside on a channel within a week, by its code."""

    channel: str
    code: str
    count: int
    last_at: datetime
    at_least: bool = False  # there was more of it than is counted


@dataclass(frozen=True, slots=True)
class Undecided:
    """Messages to women that may not have arrived, until somebody decides about each.

    `nobodys`: those of them in cases that no consultant has now.
    """

    count: int
    nobodys: int
    oldest_at: datetime | None  # when the oldest of them was written


@dataclass(frozen=True, slots=True)
class Queue:
    """What could be sent to women now, and since when the first of it waits."""

    due: int
    since: datetime | None


@dataclass(frozen=True, slots=True)
class AuditEntry:
    """Who did what at the desk. `staff_id` None: the program, or a woman."""

    at: datetime
    staff_id: str | None
    action: str
    case_id: str | None


@dataclass(frozen=True, slots=True)
class Purged:
    """How many of each thing a purge removed."""

    texts: int = 0  # cases whose text was destroyed
    cases: int = 0
    handles: int = 0
    audits: int = 0
    sessions: int = 0
    invites: int = 0
    failed_logins: int = 0
    former_logins: int = 0
    blocks: int = 0
    calls: int = 0
    lent: int = 0
    set_aside: int = 0
    subscriptions: int = 0  # reminders that nobody looked at after their end
    leftovers: int = 0  # reminders that stand in a chat for good
    broadcasts: int = 0
    group_notes: int = 0
    removed: int = 0  # accounts of which nothing speaks any more
    keys: int = 0


class StoreError(Exception):
    """The store refused; the class's docstring says why."""

    def __init__(self) -> None:
        super().__init__(type(self).__doc__)


class CaseClosed(StoreError):
    """The case is closed or gone; nothing was stored."""


class NotYours(StoreError):
    """The case is not hers, or her account is not active; nothing was stored."""


class Blocked(StoreError):
    """Nothing is taken from this address for now; nothing was stored."""


class NotStanding(StoreError):
    """It neither waits to be sent nor stands in her chat: it cannot be changed there."""


class OnItsWay(StoreError):
    """It is being sent at this moment; nothing was changed. Try again."""


class CannotBeUndone(StoreError):
    """It was sent, and her platform lets nothing be changed or removed."""


class OtherCaseOpen(StoreError):
    """She has another case open; it is not opened again."""


class TextGone(StoreError):
    """The text of the case is destroyed; it cannot be opened again."""


class ShortcutTaken(StoreError):
    """This language has an answer with that shortcut already."""


class LoginTaken(StoreError):
    """Somebody has this login already; choose another one."""


class NotMigrated(StoreError):
    """The database is not up to date; run `phen migrate`."""


class DatabaseUnreachable(StoreError):
    """The database cannot be opened; check PHEN_DATABASE_URL, its folder or server, its rights."""


class ServedAlready(StoreError):
    """Another process serves this SQLite database; stop it. Several together need PostgreSQL."""


class ServerLogsText(StoreError):
    """PostgreSQL would write what is stored, or when, into its own log."""

    def __init__(self, settings: Sequence[str]) -> None:
        super().__init__()
        self.args = (
            "PostgreSQL would write what is stored, or when, into its own log; set as "
            f"docs/postgresql.md says: {', '.join(settings)}.",
        )


class NewerDatabase(StoreError):
    """The database comes from a newer version of Phen; install that version."""
