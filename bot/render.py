"""A screen as one channel can show it: words, buttons, limits. Pure."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime

from bot.channels.base import Limits, Outgoing, OutgoingButton
from bot.texts import Texts
from dialogs import payload
from dialogs.model import Button, Language, Mark, Position, Screen, TextId

Page = Callable[[Position], str]

_LANGUAGE_NAME = "language.name"
GAP = "\n\n"
"""Between the parts of a text."""
_TICKED, _UNTICKED = "☑", "☐"


def render(
    screen: Screen,
    texts: Texts,
    limits: Limits,
    now: datetime,
    *,
    above: Sequence[TextId] = (),
    added: str = "",
    in_case: bool = False,
    page: Page | None = None,
) -> Outgoing:
    """The window that shows `screen`.

    Texts `above` stand over its own, and `added` below: what the shell knows. `page` gives the
    address of a position on our own page; without it every choice leads on in the chat.
    """
    language = screen.position.language
    made_at = None if limits.knows_edit_time else now
    text = GAP.join(texts.say(language, text_id) for text_id in (*above, screen.text))
    return Outgoing(
        text=_fit(f"{text}{GAP}{added}" if added else text, limits.window),
        language=language,
        choices=_choices(screen, texts, limits, made_at, page),
        marks=_marks(screen.marks, texts, language, made_at),
        picture=screen.picture if limits.picture else None,
        cover=screen.cover,
        in_case=in_case,
        position=screen.position,
    )


def room(screen: Screen, texts: Texts, limits: Limits) -> int:
    """How much can be `added` to a screen without being cut off, as `length` counts."""
    return limits.window - length(texts.say(screen.position.language, screen.text) + GAP)


def length(text: str) -> int:
    """In UTF-16 units, the measure that messengers use."""
    return len(text.encode("utf-16-le")) // 2


def reminder(
    words: str, language: Language, screen: Screen, texts: Texts, limits: Limits, now: datetime
) -> Outgoing:
    """What comes to her phone by itself: `screen`, a cover, with her neutral `words` for its text.

    It asks for a sound.
    """
    made_at = None if limits.knows_edit_time else now
    return Outgoing(
        text=_fit(words, limits.window),
        language=language,
        choices=_choices(screen, texts, limits, made_at, None),
        picture=screen.picture if limits.picture else None,
        cover=True,
        silent=False,
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
    voice: bytes | None = None,
    edited: bool = False,
) -> Outgoing:
    """An ordinary message of a case, with the marks of `screen` under it.

    With a `voice` its words stand in for that where there is no sound.

    Where the window cannot be edited the newest message takes its place, with its choices.
    """
    made_at = None if limits.knows_edit_time else now
    return Outgoing(
        text=_fit(text, limits.text),
        language=language,
        choices=() if limits.edit else _choices(screen, texts, limits, made_at, None),
        marks=_marks(screen.marks, texts, language, made_at),
        window=False,
        in_case=True,
        position=screen.position,
        number=number,
        edited=edited,
        author=author,
        voice=voice,
    )


def _choices(
    screen: Screen,
    texts: Texts,
    limits: Limits,
    made_at: datetime | None,
    page: Page | None,
) -> tuple[OutgoingButton, ...]:
    language = screen.position.language
    return tuple(
        _choice(button, number, texts, language, limits, made_at, page)
        for number, button in enumerate(screen.choices, start=1)
    )


def _choice(
    button: Button,
    number: int,
    texts: Texts,
    language: Language,
    limits: Limits,
    made_at: datetime | None,
    page: Page | None,
) -> OutgoingButton:
    spoken = button.to.language if button.label == _LANGUAGE_NAME else language
    label = texts.say(spoken, button.label)
    tick = {None: "", True: f"{_TICKED} ", False: f"{_UNTICKED} "}[button.ticked]
    return OutgoingButton(
        _fit(f"{number}. {tick}{label}", limits.label),
        _pack(button.to, made_at),
        url=page(button.to) if page is not None and button.on_page else None,
    )


def _marks(
    marks: tuple[tuple[Mark, Button], ...],
    texts: Texts,
    language: Language,
    made_at: datetime | None,
) -> tuple[OutgoingButton, ...]:
    return tuple(
        OutgoingButton(
            texts.say(language, button.label),
            _pack(button.to, made_at),
            texts.say(language, sign) if (sign := f"mark_sign.{mark.value}") in texts else "",
        )
        for mark, button in marks
    )


def _pack(position: Position, made_at: datetime | None) -> str:
    return payload.pack(position, made_at)


def _fit(text: str, limit: int) -> str:
    """At most `limit`, as `length` counts."""
    if length(text) <= limit:
        return text
    return text.encode("utf-16-le")[: 2 * (limit - 1)].decode("utf-16-le", errors="ignore") + "…"
