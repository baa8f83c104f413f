"""The rules of the text, which authors keep in `lint.yaml`, and the measuring of sentences."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Annotated

from pydantic import Field, TypeAdapter, ValidationError

from dialogs import source
from dialogs.mistakes import explain
from dialogs.model import Language, TextId
from dialogs.schema import LanguageCode, Part
from dialogs.source import Mistake

FILE = Path(__file__).parent / "lint.yaml"
_WORD = re.compile(r"[^\W_]+(?:['’.:,-][^\W_]+)*")
_NUMBERS = re.compile(r"\d+(?:[ \u00a0]\d+)+")
_END = re.compile(r"[.!?…]+(?=[\"“”»)]*(?:\s|$))|\n+")
_Count = Annotated[int, Field(strict=False)]


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

    def is_for_her(self, text_id: TextId) -> bool:
        """Whether a woman reads it; what only the centre reads is not translated."""
        return not text_id.startswith(tuple(self.centre_only))


class RulesError(Exception):
    """`lint.yaml` cannot be used."""

    def __init__(self, mistakes: list[Mistake]) -> None:
        super().__init__("\n".join(str(mistake) for mistake in mistakes))


def load_rules(path: Path = FILE) -> Rules:
    """The rules of a `lint.yaml`. Raises `RulesError`."""
    document, mistakes = source.read(path, f"{path.parent.name}/{path.name}")
    if mistakes:
        raise RulesError(mistakes)
    try:
        return TypeAdapter(Rules).validate_python(document.data)
    except ValidationError as error:
        raise RulesError(list(explain(error, document))) from None


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


@lru_cache(maxsize=4096)
def _phrase(phrase: str) -> re.Pattern[str]:
    parts = [re.escape(part).replace(r"\*", r"\w*") for part in phrase.split()]
    spaced = r"\s+".join(parts)
    return re.compile(rf"(?<!\w){spaced}(?!\w)", re.IGNORECASE)


def abbreviations(rules: Rules, language: Language) -> frozenset[str]:
    return frozenset(word.casefold() for word in rules.abbreviations.get(language, ()))
