"""What may be read of Telegram's updates, and nothing else of them.

Plain dictionaries, before the library sees them: so a sender's name, an origin, an entity or a
medium is never parsed, and none of them can keep her words from being understood.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from bot.channels.base import MAX_MEDIUM
from bot.channels.deliveries import Names
from bot.channels.words import is_code, plain
from dialogs.model import Event, MediaKind, Started, Typed

_START = re.compile(r"/start(?:@\w+)?(?:\s+(?P<code>\S.*?))?\s*", re.DOTALL)
_NESTED = ("message", "edited_message", "callback_query")
_READ = {"message_id", "date", "edit_date", "chat", "text"}
_KINDS = {
    "photo": MediaKind.PHOTO,
    "voice": MediaKind.VOICE,
    "audio": MediaKind.VOICE,
    "contact": MediaKind.CONTACT,
    "venue": MediaKind.LOCATION,
    "location": MediaKind.LOCATION,
}
_OTHER = {
    "animation", "checklist", "dice", "document", "game", "invoice", "live_photo", "paid_media",
    "passport_data", "poll", "sticker", "story", "successful_payment", "video", "video_note",
}  # fmt: skip
_CHAT: Names = {"id": None, "type": None}
_FILE: Names = dict.fromkeys(("file_id", "file_size", "width", "height"))
_MESSAGE: Names = {
    **{name: {} for name in (*_KINDS, *_OTHER)},  # that it is one, and nothing of it
    **dict.fromkeys(("photo", "voice", "audio"), _FILE),
    **dict.fromkeys(_READ),
    "chat": _CHAT,
}
NEEDED: Names = {
    "update_id": None,
    "message": _MESSAGE,
    "edited_message": _MESSAGE,
    "callback_query": {"id": None, "data": None, "message": _MESSAGE},
    "my_chat_member": {"chat": _CHAT, "date": None, "new_chat_member": {"status": None}},
}
"""All that is ever read of an update, and that another process may be handed."""
_GONE = {"left", "kicked"}


@dataclass(frozen=True, slots=True)
class Membership:
    """What became of the bot in a chat: a woman shut it out, or somebody put it into a group."""

    chat: int
    private: bool
    gone: bool
    at: datetime


def membership_of(told: dict[str, Any]) -> Membership:
    """Raises what a wrong one raises."""
    chat, status = told["chat"], told["new_chat_member"]["status"]
    at = datetime.fromtimestamp(told["date"], UTC)
    return Membership(int(chat["id"]), chat["type"] == "private", status in _GONE, at)


def bare(part: dict[str, Any]) -> dict[str, Any]:
    """An update without sender, entities, origin, media, and what is replied to.

    Dates that are missing or absurd become very old ones: not fresh.
    """
    kept = {key: bare(each) if key in _NESTED and each else each for key, each in part.items()}
    if "chat" not in kept or "message_id" not in kept:
        if isinstance(query := kept.get("callback_query"), dict):
            query |= {"from": None, "chat_instance": ""}  # the library wants them to be there
        return kept
    kept = {key: each for key, each in kept.items() if key in _READ}
    if type(kept["message_id"]) is not int or type(kept["chat"]["id"]) is not int:
        raise TypeError  # nobody has such an id: it could be neither answered nor sealed
    for key in {"date", "edit_date"} & {"date", *kept}:
        told = kept.get(key)
        if not (type(told) is int and 0 <= told < 2**32):
            kept[key] = 1
    return kept


def words_of(text: str, fresh: bool) -> Event:
    """Her text as plain text; only /start is a command here."""
    words = plain(text)
    if start := _START.fullmatch(words):
        code = start["code"]
        return Started(code if code and is_code(code) else None)
    return Typed(words, fresh)


def medium_of(told: dict[str, Any]) -> MediaKind | None:
    """Of which kind a message's medium is; None for a note of Telegram's own."""
    known = next((kind for key, kind in _KINDS.items() if key in told), None)
    return known or (MediaKind.OTHER if _OTHER & told.keys() else None)


def file_of(told: dict[str, Any]) -> str | None:
    """Telegram's id of a voice, or of a photo's largest size; None where nothing may be fetched.

    A file's name, its title, and who sent it first are not looked at.
    """
    sizes = told["photo"] if "photo" in told else [told.get("voice") or told.get("audio")]
    fits = [each for each in sizes if _fits(each)] if isinstance(sizes, list) else []
    best = max(fits, key=_area, default=None)
    return str(best["file_id"]) if best is not None else None


def _fits(told: object) -> bool:
    if not isinstance(told, dict) or not isinstance(told.get("file_id"), str):
        return False
    size = told.get("file_size", 0)
    return type(size) is int and size <= MAX_MEDIUM


def _area(told: dict[str, Any]) -> int:
    width, height = told.get("width", 0), told.get("height", 0)
    return width * height if type(width) is int and type(height) is int else 0
