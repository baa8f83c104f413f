"""What the schema found wrong, in an author's words."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from pydantic import ValidationError

from dialogs.model import NodeKind
from dialogs.source import Document, Loc, Mistake

_HINTS = {
    "id": "an id: small Latin letters, digits and _, at most 24, first a letter",
    "slot": "a slot: one small letter, but not d, e, g or m",
    "value": "an answer: 1 to 8 small letters or digits",
    "checked_on": "a date like 2026-11-22",
    "expires_on": "a date like 2027-02-20, or null for never",
    "confidence": "one of H, M, L, GK",
    "order": "a whole number",
    "ekatte": "five digits in quotes",
    "phone": "a number like +35982123456 or a short code like 112",
    "fill": "duty",
}
_ID_KEYS = {"go", "back", "menu", "topic", "picture"}
_MESSAGES = {
    "missing": "{key} is missing, add it",
    "extra_forbidden": "unknown key {key}, remove it or correct its name",
    "union_tag_invalid": "unknown kind {tag!r}, take one of {kinds}",
    "string_too_short": "{key} has no text, write it",
    "string_type": "{key} has no text, write it",
    "too_long": "{key} holds {actual_length}, at most {max_length} are allowed",
    "too_short": "{key} is empty, add to it or remove it",
    "list_type": "{key} must be a list, start its lines with -",
    "model_type": "{key} must hold names with values",
    "dict_type": "{key} must hold names with values",
}


def explain(error: ValidationError, document: Document) -> Iterator[Mistake]:
    """Each error of the schema at its line, with what to do."""
    seen: set[tuple[Loc, str]] = set()
    for details in error.errors(include_url=False):
        loc = _place(document.data, details["loc"])
        message = _message(details["type"], loc, details.get("ctx", {}))
        if (loc, message) in seen:
            continue
        seen.add((loc, message))
        yield Mistake(document.at(loc), _node(document.data, loc), message)


def _place(data: Any, raw: Sequence[str | int]) -> Loc:
    """The schema's path without the names of its own alternatives."""
    loc: list[str | int] = []
    for n, step in enumerate(raw):
        is_key = isinstance(data, Mapping) and step in data
        is_index = isinstance(data, list) and isinstance(step, int) and step < len(data)
        is_missing_key = n == len(raw) - 1 and isinstance(data, Mapping)
        if is_key or is_index:
            data = data[step]
        elif not is_missing_key or not str(step).isidentifier():
            continue
        loc.append(step)
    return tuple(loc)


def _node(data: Any, loc: Loc) -> str:
    """The nearest thing with a name: a node's id, a fact's, a place's code, a key."""
    name = str(data.get("topic", "")) if isinstance(data, Mapping) else ""
    for step in loc:
        try:
            data = data[step]
        except (KeyError, IndexError, TypeError):
            break
        if isinstance(data, Mapping):
            name = str(data.get("id") or data.get("code") or name)
    return name or ".".join(str(step) for step in loc) or "file"


def _message(kind: str, loc: Loc, context: Mapping[str, Any]) -> str:
    key = str(loc[-1]) if loc else "file"
    told = _MESSAGES.get(kind)
    if told is not None:
        return told.format(key=repr(key), kinds=", ".join(NodeKind), **context)
    wanted = _HINTS.get("id" if key in _ID_KEYS else key)
    return f"{key!r} cannot be read, write {wanted or 'what the schema allows here'}"
