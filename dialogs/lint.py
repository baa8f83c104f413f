"""The rules of the text, which authors keep in `lint.yaml`, and the measuring of sentences."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from functools import cache, lru_cache
from pathlib import Path
from typing import Annotated

from pydantic import Field, TypeAdapter, ValidationError

from dialogs import source
from dialogs.load import ContentError, nearest_name
from dialogs.mistakes import explain
from dialogs.model import Language, TextId
from dialogs.schema import LanguageCode, Part
from dialogs.source import Document, Mistake

FILE = Path(__file__).parent / "lint.yaml"
_WORD = re.compile(r"[^\W_]+(?:['’.:,-][^\W_]+)*")
_NUMBERS = re.compile(r"\d+(?:[ \u00a0]\d+)+")
_END = re.compile(r"[.!?…]+(?=[\"“”»)]*(?:\s|$))|\n+")
_Count = Annotated[int, Field(strict=False)]


class Degradation(StrEnum):
    """What of a screen a channel cannot show, or cannot undo. Stable: `lint.yaml` names them."""

    TEXT_CUT = "text-cut"
    LABEL_CUT = "label-cut"
    TOO_MANY_BUTTONS = "too-many-buttons"
    PAYLOAD_TOO_LONG = "payload-too-long"
    REQUEST_TOO_LARGE = "request-too-large"
    PICTURE_MISSING = "picture-missing"
    STAYS = "stays"  # what was sent cannot be removed
    NO_EDIT = "no-edit"  # each screen is a new message
    RINGS = "rings"  # no message comes without a sound
    NOT_SHOWN = "not-shown"  # there is no message at all


_CODES = tuple(code.value for code in Degradation)


class LimitPart(Part):
    """How much a text of one language may hold; `mean` only where sentences must be short."""

    sentence: _Count
    bubble: _Count
    label: _Count
    mean: Annotated[float, Field(strict=False)] | None = None


class LegalPart(Part):
    """A legal word, and the words one of which must explain it on the same screen."""

    word: str
    means: tuple[str, ...] = Field(default=(), strict=False)


class Rules(Part):
    """`lint.yaml`."""

    required: list[LanguageCode]
    centre_only: list[str]
    notified: list[str]
    notified_length: _Count
    limits: dict[LanguageCode, LimitPart]
    abbreviations: dict[LanguageCode, list[str]]
    legal: dict[LanguageCode, list[LegalPart]]
    forbidden: dict[LanguageCode, dict[str, str]]
    topic_words: dict[LanguageCode, list[str]]
    channels: dict[str, list[str]] = Field(default_factory=dict)

    def allows(self, channel: str, code: Degradation) -> bool:
        """Whether the authors know of it and take it, on every screen of that channel."""
        return code in self.channels.get(channel, ())

    def is_for_her(self, text_id: TextId) -> bool:
        """Whether a woman reads it; what only the centre reads is not translated."""
        return not text_id.startswith(tuple(self.centre_only))


class RulesError(ContentError):
    """`lint.yaml` cannot be used; says each place and what to do there."""


@cache
def our_rules() -> Rules:
    """Those of the content beside this package, which a process reads once."""
    return load_rules()


def load_rules(path: Path = FILE, channels: Collection[str] | None = None) -> Rules:
    """The rules of a `lint.yaml`. Raises `RulesError`.

    `channels` are the names of those there are; without them their names are not looked at.
    """
    document, mistakes = source.read(path, f"{path.parent.name}/{path.name}")
    if mistakes:
        raise RulesError(mistakes)
    try:
        rules = TypeAdapter(Rules).validate_python(document.data)
    except ValidationError as error:
        raise RulesError(explain(error, document)) from None
    if mistakes := list(_unknown_names(rules, document, channels)):
        raise RulesError(mistakes)
    return rules


def _unknown_names(
    rules: Rules, document: Document, channels: Collection[str] | None
) -> Iterator[Mistake]:
    for channel, codes in rules.channels.items():
        where = ("channels", channel)
        if channels is not None and channel not in channels:
            message = f"unknown channel {channel!r}, {_instead(channel, channels)}"
            yield Mistake(document.at(where), "channels", message)
        for n, code in enumerate(codes):
            if code not in _CODES:
                message = f"unknown code {code!r}, {_instead(code, _CODES)}"
                yield Mistake(document.at((*where, n)), channel, message)


def _instead(name: str, known: Collection[str]) -> str:
    meant = nearest_name(name, known)
    return f"did you mean {meant!r}?" if meant else f"take one of {', '.join(known)}"


# --- measuring ---------------------------------------------------------------------------------


def bubbles(text: str) -> list[str]:
    """The paragraphs of a text: each is one bubble."""
    return [part.strip() for part in re.split(r"\n\s*\n", text) if part.strip()]


def sentences(text: str, abbreviations: frozenset[str]) -> list[str]:
    """The sentences of a text. "10 ч." and "3.5" end none."""
    found, start = [], 0
    for end in _END.finditer(text):
        before = text[start : end.end()].split()
        shortened = bool(before) and before[-1].strip('(„“"').casefold() in abbreviations
        goes_on = text[end.end() :].lstrip(" ")[:1]
        if shortened and end[0] == "." and goes_on not in ("", "\n") and not goes_on.isupper():
            continue
        found.append(text[start : end.end()].strip())
        start = end.end()
    found.append(text[start:].strip())
    return [sentence for sentence in found if _WORD.search(sentence)]


def words(text: str) -> list[str]:
    """The words of a text; the groups of one number are one word."""
    return _WORD.findall(_NUMBERS.sub(lambda match: match[0].replace(" ", ""), text))


@dataclass(frozen=True, slots=True)
class Measure:
    """How long a text is."""

    mean: float
    longest: str
    longest_words: int


def measure(text: str, abbreviations: frozenset[str]) -> Measure:
    """Words per sentence of a whole text."""
    counted = [(len(words(one)), one) for one in sentences(text, abbreviations)]
    if not counted:
        return Measure(0.0, "", 0)
    longest, sentence = max(counted)
    return Measure(sum(count for count, _ in counted) / len(counted), sentence, longest)


def finds(phrase: str, text: str) -> Iterator[re.Match[str]]:
    """Where a phrase stands as whole words; a `*` stands for any ending."""
    return _phrase(phrase).finditer(text)


def has(phrase: str, text: str) -> bool:
    return next(finds(phrase, text), None) is not None


def never_said(rules: Rules, language: Language, text: str) -> list[str]:
    """What stands there of that which the line never says, as it is written there."""
    phrases = rules.forbidden.get(language, {})
    return _found(phrases, text)


def seen_first(rules: Rules, language: Language, text: str) -> list[str]:
    """What of its beginning, where a notification would show it, tells what the line is about."""
    return _found(rules.topic_words.get(language, ()), text[: rules.notified_length])


def _found(phrases: Iterable[str], text: str) -> list[str]:
    return list(dict.fromkeys(found[0] for phrase in phrases for found in finds(phrase, text)))


@lru_cache(maxsize=4096)
def _phrase(phrase: str) -> re.Pattern[str]:
    parts = [re.escape(part).replace(r"\*", r"\w*") for part in phrase.split()]
    spaced = r"\s+".join(parts)
    return re.compile(rf"(?<!\w){spaced}(?!\w)", re.IGNORECASE)


def abbreviations(rules: Rules, language: Language) -> frozenset[str]:
    return frozenset(word.casefold() for word in rules.abbreviations.get(language, ()))
