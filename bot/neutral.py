"""Texts of the team that are read outside: on a locked phone, in a calendar, on a wall."""

from __future__ import annotations

import re
import unicodedata
from functools import cache

from bot.texts import Texts
from dialogs import lint
from dialogs.model import SOURCE_LANGUAGE

LONGEST = 1_000
"""Characters that are looked at; none of the texts that are kept is as long."""
_LATIN, _CYRILLIC = "aAeEoOpPcCxXyYkKmMtThHbB", "аАеЕоОрРсСхХуУкКмМтТнНвВ"
_ALIKE = str.maketrans(_LATIN, _CYRILLIC), str.maketrans(_CYRILLIC, _LATIN)
"""Letters that an eye takes for each other, one for one."""


def topic_word(texts: Texts, text: str) -> str | None:
    """The first of its words that tells what the line is about, or None.

    Looked for are the stems in `staff.topic_words`, anywhere in a word, and every language's words
    that no notification may show; also where letters of the other alphabet stand among theirs.
    """
    told = texts.say(SOURCE_LANGUAGE, "staff.topic_words").split(",")
    stems = tuple(word.strip().casefold() for word in told if word.strip())
    plain = _plain(text)
    read = (plain, *(plain.translate(alike) for alike in _ALIKE))
    for word in re.finditer(r"\w+", plain):
        seen = [each[slice(*word.span())].casefold() for each in read]
        if any(stem in each for stem in stems for each in seen):
            return word[0]
    found = (it for each in read for phrase in _phrases() for it in lint.finds(phrase, each))
    return next((plain[slice(*it.span())] for it in found), None)


def _plain(text: str) -> str:
    """In one spelling, without what stands above or between letters and cannot be read."""
    composed = unicodedata.normalize("NFKC", text[:LONGEST])
    return "".join(it for it in composed if unicodedata.category(it) not in ("Mn", "Cf"))


@cache
def _phrases() -> tuple[str, ...]:
    return tuple(it for phrases in lint.our_rules().topic_words.values() for it in phrases)
