"""The types of the dialog: what the content is made of, and what the engine takes and gives.

Everything here is a frozen value. Text stands as a `TextId`; the words behind it
are looked up for a language by whoever shows them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from enum import StrEnum

NodeId = str
"""At most 24 ASCII characters, `[a-z][a-z0-9_]*`: stands in clear in every button."""
TextId = str
"""Stable name of one text, for example `danger.text` or `danger.go.danger_here`."""
FactId = str
"""For example `LAW-17`: a statement in `facts.yaml`."""
Language = str
"""A folder of `locales/`, or the source language `bg`."""

SOURCE_LANGUAGE: Language = "bg"
MAX_NODE_ID = 24
MAX_CHOICES = 4
MAX_CHECKLIST_ITEMS = 6

START, HOME, DANGER, HIDE = "start", "home", "danger", "hide"
TALK, MEET, REMIND, FORGET = "talk", "meet", "remind", "forget"
CASE, CASE_ENDED, CASE_MEDIA = "case", "case_ended", "case_media"
STOPPED, BLOCKED, CROWDED = "stopped", "blocked", "crowded"
REMINDER, NOT_STOPPED = "reminder", "remind_not_stopped"
"""What comes to her phone, and what is said where reminders could not be stopped: covers."""
REMIND_MINE, REMIND_NONE = "remind_mine", "remind_none"
PLACE_SLOT = "m"
"""The answer slot that holds a municipality's code, wherever it is asked."""
PAGE_SLOT = "g"
"""The answer slot that holds the page of a long list of choices."""
TOPIC_SLOT = "t"
"""The answer slot that holds what she wants to talk about."""
NUDGE_SLOT, NUDGE_WORDS_SLOT = "r", "w"
"""The answer slots that hold at which hours, and under which neutral words, she lets us ring."""
HOURS_SLOT, COVER_SLOT = "q", "c"
"""The answer slots that hold in which hours, and under which neutral words, a reminder comes."""
SILENT, WHEN = "none", "when"
"""The answers to `COVER_SLOT` that let nothing be sent (she looks for herself), and that let
day, hour and place be sent."""
WHEN_WORDS: TextId = "remind.words.when"
"""The words that are day, hour and place; all others are the button that she chose."""
NEVER = "never"
"""The answer to `NUDGE_SLOT` that is the default."""
OUTSIDE_SLOT = "o"
"""The answer slot that says: she came to 112 without passing the gate."""
MISS_SLOT = "e"
"""The answer slot that counts what was typed and not understood."""


class NodeKind(StrEnum):
    """What a node does when she arrives at it."""

    COVER = "cover"  # harmless page before the gate; no marks
    LANGUAGES = "languages"  # gate: choose a language
    ARRIVE = "arrive"  # gate: passed; home, or her open case
    LASTING = "lasting"  # gate: told that her chat keeps everything; passed where it does not
    PAGE = "page"  # text and choices
    MENU = "menu"  # text and the topics that enter here
    NUDGE = "nudge"  # a question about ringing her; passed where nothing can ring
    QUESTION = "question"  # one small answer, carried in the payload
    RESULT = "result"  # no screen: chooses by the answers
    CHECKLIST = "checklist"  # ticks, carried in the payload
    PLACES = "places"  # one of the municipalities
    RECEPTIONS = "receptions"  # the next receptions there
    OPEN_CASE = "open_case"  # door: a human is asked for
    CASE = "case"  # the window of an open case
    END_CASE = "end_case"  # door: she ends her case
    ALLOW_MEDIA = "allow_media"  # door: she agrees that photos and voice are taken
    REMIND = "remind"  # a question about a reminder; passed where nothing can ring
    SET_REMINDER = "set_reminder"  # door: she wants to be reminded
    RENEW_REMINDER = "renew_reminder"  # door: of the reception after the next one, too
    STOP_REMINDERS = "stop_reminders"  # door: of nothing any more; works at any age
    HIDE = "hide"  # door: the window is removed
    FORGET = "forget"  # door: all about her is deleted
    SUGGEST = "suggest"  # the nearest nodes to what she typed


class Fill(StrEnum):
    """What the shell adds to a screen from what only it knows."""

    RECEPTIONS = "receptions"  # the next receptions in the position's municipality
    DUTY = "duty"  # who is there now, or when next
    CASE = "case"  # whether somebody has answered
    REMINDERS = "reminders"  # of what she is reminded, and what is new about it


@dataclass(frozen=True, slots=True)
class Source:
    """Where in the content's files something stands."""

    file: str
    line: int

    def __str__(self) -> str:
        return f"{self.file}:{self.line}"


@dataclass(frozen=True, slots=True)
class Choice:
    """One button of a node. `value` is the answer that it gives to the node's slot.

    `on_page` opens `go` on our own page instead of in her chat.
    """

    label: TextId
    go: NodeId
    value: str | None = None
    on_page: bool = False


@dataclass(frozen=True, slots=True)
class Item:
    """One line of a checklist; its tick is the bit of its place in the list."""

    key: str
    label: TextId


@dataclass(frozen=True, slots=True)
class Case:
    """One row of a result: go there when every answer named in `when` was given."""

    when: Mapping[str, str]
    go: NodeId


@dataclass(frozen=True, slots=True)
class Node:
    """One place in the dialog.

    `lasting_text` takes the text's place in a chat from which nothing can be removed; `covers`
    are what *hide* puts there, above the cover itself.
    """

    id: NodeId
    kind: NodeKind
    topic: str
    text: TextId
    source: Source
    choices: tuple[Choice, ...] = ()
    items: tuple[Item, ...] = ()
    cases: tuple[Case, ...] = ()
    slot: str | None = None
    go: NodeId | None = None
    back: NodeId | None = None
    facts: tuple[FactId, ...] = ()
    words: tuple[str, ...] = ()
    picture: str | None = None
    fill: Fill | None = None
    lasting_text: TextId | None = None
    covers: tuple[NodeId, ...] = ()


@dataclass(frozen=True, slots=True)
class Entry:
    """The choice by which a topic enters a menu: a new topic is a file alone."""

    menu: NodeId
    label: TextId
    go: NodeId
    order: int


@dataclass(frozen=True, slots=True)
class Topic:
    """One file of `topics/`."""

    id: str
    title: TextId
    picture: str
    source: Source
    entry: Entry | None = None


class Confidence(StrEnum):
    HIGH = "H"
    MEDIUM = "M"
    LOW = "L"
    GENERAL = "GK"


@dataclass(frozen=True, slots=True)
class Fact:
    """A statement of law or a phone number, once, with where it comes from.

    `value` replaces `{ID}` in a text. `phone` is E.164, or a short code such as `112`.
    """

    id: FactId
    value: str
    says: str
    source: str
    confidence: Confidence
    checked_on: date
    checked_by: str
    expires_on: date | None
    where: Source
    phone: str | None = None


@dataclass(frozen=True, slots=True)
class Place:
    """A municipality. Its codes tell it from others of the same name."""

    code: str  # LAU in lower case, as it stands in a payload: rse27
    ekatte: str
    name: TextId
    source: Source


@dataclass(frozen=True, slots=True)
class SourceText:
    """A Bulgarian text and where it stands."""

    id: TextId
    text: str
    source: Source


@dataclass(frozen=True, slots=True)
class Content:
    """All that is said, checked for shape (not for sense: that is `check.py`)."""

    nodes: Mapping[NodeId, Node]
    topics: Mapping[str, Topic]
    facts: Mapping[FactId, Fact]
    places: Mapping[str, Place]
    texts: Mapping[TextId, SourceText]
    languages: tuple[Language, ...]
    safe_words: Mapping[Language, tuple[str, ...]]
    danger_words: Mapping[Language, tuple[str, ...]]
    stop_words: Mapping[Language, tuple[str, ...]]
    expired: frozenset[FactId] = frozenset()
    parents: Mapping[NodeId, NodeId] = field(default_factory=dict)
    words: Mapping[Language, Mapping[NodeId, tuple[str, ...]]] = field(default_factory=dict)
    """What a woman might type in a translated language; the source's words stand in the nodes."""


# --- what the engine takes ---------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Position:
    """Where she is: the whole of her state, small enough for a button."""

    language: Language
    node: NodeId
    answers: tuple[tuple[str, str], ...] = ()

    def answer(self, slot: str) -> str | None:
        return next((value for key, value in self.answers if key == slot), None)

    def to(self, node: NodeId) -> Position:
        return Position(self.language, node, self.answers)

    def with_answer(self, slot: str, value: str | None) -> Position:
        """The same place with one answer set, or removed where `value` is None."""
        kept = [(k, v) for k, v in self.answers if k != slot]
        if value is not None:
            kept.append((slot, value))
        return Position(self.language, self.node, tuple(sorted(kept)))


class MediaKind(StrEnum):
    PHOTO = "photo"
    VOICE = "voice"
    CONTACT = "contact"
    LOCATION = "location"
    OTHER = "other"


@dataclass(frozen=True, slots=True)
class Started:
    """She opened the line; `code` is a deep link's, a topic or a place, or nothing."""

    code: str | None = None


@dataclass(frozen=True, slots=True)
class Tapped:
    """She tapped a button that leads to `to` (None: its payload did not parse).

    `fresh` is false when the window was last changed too long ago, or the tap came too late.
    """

    to: Position | None
    fresh: bool = True


@dataclass(frozen=True, slots=True)
class Typed:
    """She typed. The text lives as long as this event. `fresh` as in `Tapped`.

    `covered_by`: of a case whose window is not open, what stands before her instead.
    """

    text: str
    fresh: bool = True
    covered_by: Position | None = None


@dataclass(frozen=True, slots=True)
class Sent:
    """She sent something that is not text. It was not fetched."""

    kind: MediaKind
    fresh: bool = True


Event = Started | Tapped | Typed | Sent


# --- what the engine gives ---------------------------------------------------------------


class Mark(StrEnum):
    """The row that never changes its place, on every screen behind the gate."""

    BACK = "back"
    HOME = "home"
    DANGER = "danger"
    HIDE = "hide"


@dataclass(frozen=True, slots=True)
class Button:
    """What she can tap. `ticked` is None but in a checklist. `on_page` as in `Choice`."""

    label: TextId
    to: Position
    ticked: bool | None = None
    on_page: bool = False


@dataclass(frozen=True, slots=True)
class Screen:
    """What she sees, as facts: text ids and buttons, no words and no channel."""

    position: Position
    text: TextId
    picture: str
    choices: tuple[Button, ...] = ()
    marks: tuple[tuple[Mark, Button], ...] = ()
    fill: Fill | None = None
    cover: bool = False
    facts: tuple[FactId, ...] = ()


@dataclass(frozen=True, slots=True)
class Show:
    """Her window shows this screen."""

    screen: Screen


@dataclass(frozen=True, slots=True)
class Arrive:
    """She passed the gate: her open case if there is one, else this screen."""

    screen: Screen


@dataclass(frozen=True, slots=True)
class Hide:
    """Remove the window and all of the case from the chat, and be silent."""


@dataclass(frozen=True, slots=True)
class OpenCase:
    """She asks for a human. `topic` and `place` only if she gave them.

    `nudge`: at which hours, and under which words of the content, she lets us ring; None: never.
    """

    language: Language
    topic: TextId | None
    place: str | None
    nudge: tuple[str, TextId] | None = None


@dataclass(frozen=True, slots=True)
class Relay:
    """Her words belong to her open case."""

    text: str


@dataclass(frozen=True, slots=True)
class Decline:
    """In a case she sent what cannot be taken; `text` tells her why."""

    text: TextId


@dataclass(frozen=True, slots=True)
class TakeMedium:
    """A photo or a voice of hers belongs to her open case, if she agreed to that."""

    kind: MediaKind


@dataclass(frozen=True, slots=True)
class AllowMedia:
    """She agrees that photos and voice are taken in her case."""


@dataclass(frozen=True, slots=True)
class EndCase:
    """She ends her case."""


@dataclass(frozen=True, slots=True)
class Remind:
    """She wants to be reminded of the next reception in `place`.

    `hours` is the code of her answer; `words` the neutral ones under which it comes, or None:
    nothing is sent, and she sees it when she comes.
    """

    language: Language
    place: str
    hours: str
    words: TextId | None


@dataclass(frozen=True, slots=True)
class RenewReminder:
    """She wants to be reminded of the reception after the next one, too, in `place`."""

    place: str


@dataclass(frozen=True, slots=True)
class StopReminders:
    """She wants no reminder any more, of any place."""


@dataclass(frozen=True, slots=True)
class ForgetEverything:
    """All that is stored about her is deleted within 60 seconds."""


Effect = (
    Show
    | Arrive
    | Hide
    | OpenCase
    | Relay
    | TakeMedium
    | Decline
    | AllowMedia
    | EndCase
    | Remind
    | RenewReminder
    | StopReminders
    | ForgetEverything
)


@dataclass(frozen=True, slots=True)
class Step:
    """Where she is now, and what is to be done about it, in this order."""

    position: Position
    effects: tuple[Effect, ...]
