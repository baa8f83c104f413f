"""A screen as one channel can show it: words, buttons, limits. Pure."""

from __future__ import annotations

from datetime import datetime

from bot.channels.base import Limits, Outgoing, OutgoingButton
from bot.texts import Texts
from dialogs import payload
from dialogs.model import Button, Language, Mark, Position, Screen

_LANGUAGE_NAME = "language.name"
_TICKED, _UNTICKED = "☑", "☐"


def render(
    screen: Screen,
    texts: Texts,
    limits: Limits,
    now: datetime,
    *,
    added: str = "",
    in_case: bool = False,
) -> Outgoing:
    """The window that shows `screen`. `added` stands below its text: what the shell knows."""
    language = screen.position.language
    made_at = None if limits.knows_edit_time else now
    text = texts.say(language, screen.text)
    return Outgoing(
        text=_fit(f"{text}\n\n{added}" if added else text, limits.window),
        language=language,
        choices=tuple(
            _choice(button, number, texts, language, limits, made_at)
            for number, button in enumerate(screen.choices, start=1)
        ),
        marks=_marks(screen.marks, texts, language, made_at),
        picture=screen.picture if limits.picture else None,
        cover=screen.cover,
        in_case=in_case,
        position=screen.position,
    )


def case_message(
    text: str,
    language: Language,
    screen: Screen,
    texts: Texts,
    limits: Limits,
    now: datetime,
    *,
    number: int | None,
    author: str | None,
) -> Outgoing:
    """An ordinary message of a case, with the marks of `screen` under it."""
    made_at = None if limits.knows_edit_time else now
    return Outgoing(
        text=_fit(text, limits.text),
        language=language,
        marks=_marks(screen.marks, texts, language, made_at),
        window=False,
        in_case=True,
        number=number,
        author=author,
    )


def _choice(
    button: Button,
    number: int,
    texts: Texts,
    language: Language,
    limits: Limits,
    made_at: datetime | None,
) -> OutgoingButton:
    spoken = button.to.language if button.label == _LANGUAGE_NAME else language
    label = texts.say(spoken, button.label)
    tick = {None: "", True: f"{_TICKED} ", False: f"{_UNTICKED} "}[button.ticked]
    return OutgoingButton(_fit(f"{number}. {tick}{label}", limits.label), _pack(button.to, made_at))


def _marks(
    marks: tuple[tuple[Mark, Button], ...],
    texts: Texts,
    language: Language,
    made_at: datetime | None,
) -> tuple[OutgoingButton, ...]:
    return tuple(
        OutgoingButton(texts.say(language, button.label), _pack(button.to, made_at))
        for _, button in marks
    )


def _pack(position: Position, made_at: datetime | None) -> str:
    return payload.pack(position, made_at)


def _fit(text: str, limit: int) -> str:
    """At most `limit` UTF-16 units, the measure that messengers use."""
    encoded = text.encode("utf-16-le")
    if len(encoded) <= 2 * limit:
        return text
    return encoded[: 2 * (limit - 1)].decode("utf-16-le", errors="ignore") + "…"
