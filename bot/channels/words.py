"""What she types and what a deep link brings, on every platform: plain text, and short codes."""

from __future__ import annotations

import re

_CODE = re.compile(r"[A-Za-z0-9_-]{1,32}")


def plain(text: str) -> str:
    """Her text without halves of characters, which nothing could store or send."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def is_code(text: str) -> bool:
    """Whether this can be a deep link's code; anything else is not even looked at."""
    return _CODE.fullmatch(text) is not None
