"""Understands what was typed: the safe word, danger, the nearest nodes. Pure, and nothing is kept.

A message is seen in the forms in which people type here: Cyrillic; Bulgarian in Latin letters
(4 = ч, 6 = ш, q = я, w = в, y = ъ, sht, zh); Turkish without its dots and tails.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache

from rapidfuzz import fuzz, process
from rapidfuzz.distance import OSA

from dialogs.model import Content, NodeId

MAX_LENGTH = 1000
"""Characters of a message that are looked at."""
MAX_WINDOWS = 400
_LONG_WORD = 5
_NEAR = 82.0
_LETTERS_TO_LATIN = {
    "а": "a", "б": "b", "в": "v", "г": "g", "д": "d", "е": "e", "ж": "j", "з": "z", "и": "i",
    "й": "i", "к": "k", "л": "l", "м": "m", "н": "n", "о": "o", "п": "p", "р": "r", "с": "s",
    "т": "t", "у": "u", "ф": "f", "х": "h", "ц": "c", "ч": "4", "ш": "6", "щ": "6t", "ъ": "a",
    "ь": "i", "ю": "iu", "я": "ia", "ы": "i", "э": "e", "ѝ": "i", "ё": "e",
}  # fmt: skip
_CYRILLIC = str.maketrans(_LETTERS_TO_LATIN)
