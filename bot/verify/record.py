"""What the platform saw, in order: all that the judge knows. It holds made-up words only."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

GROUP = "group"
STAFF = "staff"
"""Whose chat something stands in, where it is no woman's."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """`at`: seconds since the beginning."""

    at: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Wrote(Event):
    """A woman wrote her message of that number."""

    woman: str
    number: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Taken(Event):
    """The program acknowledged it: it will not be delivered again."""

    woman: str
    number: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Answered(Event):
    """A consultant wrote an answer of that number into a topic; `message` is hers there."""

    woman: str
    number: int
    topic: int
    message: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Decided(Event):
    """A consultant pressed a button of an answer that may not have arrived."""

    verb: str
    woman: str
    number: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Said(Event):
    """A message of a bot's stands in a chat. `answers`: the message that it replies to."""

    message: int
    chat: str
    words: str
    topic: int | None = None
    answers: int | None = None
    window: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Changed(Event):
    """It says something else now."""

    message: int
    words: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Removed(Event):
    """It stands there no more."""

    message: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Opened(Event):
    """A topic of the group."""

    topic: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Deleted(Event):
    """A topic is gone, with all that stood in it."""

    topic: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Unsure(Event):
    """The program cannot know whether this answer arrived: it was told nothing."""

    woman: str
    number: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Polled(Event):
    """A process asks for a bot's updates."""

    bot: str
    worker: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Killed(Event):
    """A process was killed, in a state as the platform saw it."""

    worker: int
    state: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Drained(Event):
    """From here on nothing went wrong any more, and everybody waited until all was quiet."""


class Mention(NamedTuple):
    """Numbered words in a text: whose, what they are, and the number."""

    woman: str
    kind: str
    number: int


HERS, ANSWER, NOTE = "says", "answer", "note"
_MENTION = re.compile(r"\b(w[0-9]+) (says|answer|note) ([0-9]+)\b")


def words(woman: str, kind: str, number: int) -> str:
    """What is written in such a message."""
    return f"{woman} {kind} {number}"


@lru_cache(10_000)
def mentions(text: str) -> tuple[Mention, ...]:
    """All numbered words in a text."""
    found = _MENTION.findall(text)
    return tuple(Mention(woman, kind, int(number)) for woman, kind, number in found)
