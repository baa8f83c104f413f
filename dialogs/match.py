"""Understands what was typed: the safe word, danger, a stop, the nearest nodes. Keeps nothing.

Whatever the alphabet, text becomes one plain Latin form, so that all the ways in which people
type here meet: Cyrillic; Bulgarian in Latin letters (4 = ч, 6 = ш, q = я, w = в, y = ъ);
Turkish without its dots and tails.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cache

from rapidfuzz import fuzz
from rapidfuzz.distance import OSA

from dialogs.model import Content, Language, NodeId

MAX_LENGTH = 1000
"""Characters of a message that are looked at."""
_MAX_WORDS = 200
_NEAR_ENOUGH = 82.0
_WORD_ALIKE = 78.0
_TURNED = 2
_FILLER = 3
"""Words shorter than this say little about what she means."""

_CYRILLIC = str.maketrans(
    dict(zip("абвгдезийклмнопрстуфхъьыэѝѐ", "abvgdeziiklmnoprstufhaiieie", strict=True))
    | {"ж": "zh", "ц": "ts", "ч": "ch", "ш": "sh", "щ": "sht", "ю": "yu", "я": "ya"}
    | {"ı": "i", "ß": "ss", "æ": "ae", "ø": "o", "ł": "l", "đ": "d"}
)
_TYPED = str.maketrans({"4": "ch", "6": "sh", "q": "ya", "w": "v", "x": "h"})
_SOUNDS = (("zh", "j"), ("ts", "c"), ("kh", "h"), ("sht", "st"))
_TOKEN = re.compile(r"[a-z0-9]+")
_REPEATED = re.compile(r"([a-z])\1+")


def normalise(text: str) -> str:
    """The plain Latin form of a text: words of a-z and digits with one space between."""
    return " ".join(_words(text, "i"))


def is_safe_word(content: Content, text: str) -> bool:
    """Whether the whole message is a safe word of any language, a typing mistake forgiven."""
    return any(_alike(*pair, first=False) for pair in _whole(content.safe_words, text))


def is_stop_word(content: Content, text: str) -> bool:
    """Whether the whole message ends her reminders, in any language and alphabet.

    No mistake is forgiven: one letter makes *write to me* of *do not write to me*.
    """
    return any(typed == known for typed, known in _whole(content.stop_words, text))


def is_danger(content: Content, text: str) -> bool:
    """Whether a danger word or phrase of any language stands in the message."""
    phrases = [form.split() for phrase in _all(content.danger_words) for form in _known(phrase)]
    return any(_holds(form.split(), phrase) for form in _forms(text) for phrase in phrases)


def nearest(content: Content, text: str, limit: int = 3) -> list[NodeId]:
    """The nodes whose words come nearest to the message, best first; none where none is near."""
    typed = [_Said(form.split()) for form in _forms(text)]
    scores: dict[NodeId, float] = {}
    for node, phrases in _phrases(content):
        score = max((_score(said, p) for said in typed for p in phrases), default=0.0)
        if score >= _NEAR_ENOUGH:
            scores[node] = score
    order = {node: place for place, node in enumerate(content.nodes)}
    return sorted(scores, key=lambda node: (-scores[node], order[node]))[:limit]


def _whole(words: Mapping[Language, Iterable[str]], text: str) -> Iterator[tuple[str, str]]:
    """The whole message beside each of the words, in every form, without spaces."""
    typed = [form.replace(" ", "") for form in _forms(text)]
    return (
        (form, known.replace(" ", ""))
        for word in _all(words)
        for known in _known(word)
        for form in typed
        if form and known
    )


# --- forms -----------------------------------------------------------------------------------


def _forms(text: str) -> tuple[str, ...]:
    """The plain forms of a text: a Latin y is й to some and ъ to others."""
    return tuple(dict.fromkeys((" ".join(_words(text, "i")), " ".join(_words(text, "a")))))


@cache
def _known(phrase: str) -> tuple[str, ...]:
    """The forms of a phrase of the content. Never called with what she typed: it is kept."""
    return _forms(phrase)


def _words(text: str, y: str) -> list[str]:
    plain = unicodedata.normalize("NFKD", text[:MAX_LENGTH]).casefold()
    plain = "".join(
        c for c in plain if unicodedata.category(c) not in ("Mn", "Cf", "Cc", "Cs") or c in "\n\r\t"
    )
    latin = plain.translate(_CYRILLIC)
    return [_sound(token, y) for token in _TOKEN.findall(latin)[:_MAX_WORDS]]


def _sound(token: str, y: str) -> str:
    """One word by its sound: typed digits as letters, letter pairs as one, repeats as one."""
    if token.isdigit():
        return token
    token = token.translate(_TYPED)
    for pair, letter in _SOUNDS:
        token = token.replace(pair, letter)
    token = re.sub(r"y(?=[ua])", "i", token)
    return _REPEATED.sub(r"\1", token.replace("y", y))


def _all(words: Mapping[Language, Iterable[str]]) -> Iterator[str]:
    return (word for listed in words.values() for word in listed)


# --- likeness --------------------------------------------------------------------------------


def _alike(typed: str, known: str, *, first: bool = True) -> bool:
    """Whether a typed word is a known one; longer words forgive more.

    With `first`, the first letter must stand: it is seldom mistyped, and it tells words apart.
    """
    if typed == known:
        return True
    if first and typed[:1] != known[:1]:
        return False
    forgiven = 0 if len(known) < 5 else 1 if len(known) < 9 else 2
    if not forgiven or abs(len(typed) - len(known)) > forgiven:
        return False
    return OSA.distance(typed, known, score_cutoff=forgiven) <= forgiven


def _holds(words: Sequence[str], phrase: Sequence[str]) -> bool:
    """Whether the phrase stands in the words, in its order, or written as one word.

    Two words may be turned around: "бие ме", "той ме бие".
    """
    size = len(phrase)
    if not size:
        return False
    windows = [words[n : n + size] for n in range(len(words) - size + 1)]
    orders = [phrase, phrase[::-1]] if size == _TURNED else [phrase]
    if any(all(map(_alike, window, order)) for window in windows for order in orders):
        return True
    joined = "".join(phrase)
    return size > 1 and len(joined) > 6 and any(_alike(word, joined) for word in words)


def _phrases(content: Content) -> Iterator[tuple[NodeId, list[list[str]]]]:
    for node in content.nodes.values():
        listed = [*node.words]
        for words in content.words.values():
            listed.extend(words.get(node.id, ()))
        if listed:
            yield node.id, [form.split() for phrase in listed for form in _known(phrase)]


class _Said:
    """The words of one message, each known word looked for only once."""

    def __init__(self, words: Sequence[str]) -> None:
        self._by_letter: dict[str, list[str]] = {}
        self._found: dict[str, float] = {}
        for word in dict.fromkeys(words):
            self._by_letter.setdefault(word[:1], []).append(word)

    def likeness(self, known: str) -> float:
        """0 to 100: of the nearest word said."""
        if known not in self._found:
            candidates = self._by_letter.get(known[:1], ())
            self._found[known] = max((_likeness(word, known) for word in candidates), default=0.0)
        return self._found[known]


def _score(said: _Said, phrase: Sequence[str]) -> float:
    """0 to 105: how much of the phrase was said; a longer phrase wins over a shorter one."""
    telling = [word for word in phrase if len(word) >= _FILLER] or list(phrase)
    length = sum(map(len, telling))
    if not length:
        return 0.0
    share = sum(len(word) * said.likeness(word) for word in telling) / length
    return share + min(length, 50) / 10 if share >= _NEAR_ENOUGH else 0.0


def _likeness(typed: str, known: str) -> float:
    """0 to 100: of the same word, also with another ending."""
    if typed == known:
        return 100.0
    if len(known) == _FILLER and typed.startswith(known) and len(typed) <= len(known) + 2:
        return 90.0  # съд, съда, съдът
    if min(len(typed), len(known)) < 4:
        return 0.0
    stem = max(4, len(known) - 2)
    if typed[:stem] == known[:stem] and len(typed) <= len(known) + 4:
        return 95.0
    return fuzz.ratio(typed, known, score_cutoff=_WORD_ALIKE)
