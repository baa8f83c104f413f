"""A position as a button's payload: `bg:order_when:m.rse27-w.h:k3f9`, at most 64 bytes.

Language and node stand in clear, so that an old button can be read by eye and by a newer
program. After them come the answers, and where a channel cannot tell how old its window is,
a stamp: the minute at which the window was made.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

from dialogs.model import Position

MAX_BYTES = 64
FRESH = timedelta(minutes=30)
"""How long after it was made a window still leads on; then a tap opens the cover."""
_EARLY = timedelta(minutes=2)  # a stamp from the future is no stamp of ours
_PAYLOAD = re.compile(
    r"(?P<language>[a-z]{2,3}):(?P<node>[a-z][a-z0-9_]{0,23})"
    r"(?::(?P<answers>(?:[a-z][.][0-9a-z]{1,8})(?:-[a-z][.][0-9a-z]{1,8})*)?"
    r"(?::(?P<stamp>[0-9a-z]{1,7}))?)?"
)
_DIGITS = "0123456789abcdefghijklmnopqrstuvwxyz"


class PayloadTooLong(ValueError):
    """A position that does not fit into 64 bytes. `phen check` finds it before a woman does."""


def pack(position: Position, made_at: datetime | None = None) -> str:
    """The payload of a button that leads to `position`.

    `made_at` adds the stamp. Raises `PayloadTooLong` over 64 bytes.
    """
    answers = "-".join(f"{slot}.{value}" for slot, value in position.answers)
    parts = [position.language, position.node]
    if answers or made_at is not None:
        parts.append(answers)
    if made_at is not None:
        parts.append(to_base36(int(made_at.timestamp()) // 60))
    payload = ":".join(parts)
    if len(payload.encode()) > MAX_BYTES:
        raise PayloadTooLong(payload)
    return payload


def unpack(payload: str) -> Position | None:
    """The position in a payload, or None when it is no payload of ours."""
    match = _match(payload)
    if match is None:
        return None
    pairs = [item.split(".", 1) for item in (match["answers"] or "").split("-") if item]
    answers = {slot: value for slot, value in pairs}
    return Position(match["language"], match["node"], tuple(sorted(answers.items())))


def stamp(payload: str) -> datetime | None:
    """The minute at which a payload's window was made, if it carries a stamp."""
    match = _match(payload)
    if match is None or not match["stamp"]:
        return None
    try:
        return datetime.fromtimestamp(int(match["stamp"], 36) * 60, UTC)
    except (OverflowError, ValueError, OSError):
        return None


def is_fresh(payload: str, now: datetime) -> bool:
    """Whether the window of this payload was made within the last half hour."""
    made = stamp(payload)
    return made is not None and -_EARLY <= now - made <= FRESH


def _match(payload: str) -> re.Match[str] | None:
    if len(payload) > MAX_BYTES:
        return None
    return _PAYLOAD.fullmatch(payload)


def to_base36(number: int) -> str:
    """A number not below 0 in the digits that a payload allows."""
    digits = ""
    while True:
        number, rest = divmod(number, 36)
        digits = _DIGITS[rest] + digits
        if number == 0:
            return digits
