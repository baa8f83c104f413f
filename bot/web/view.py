"""An outgoing message as a template shows it: paragraphs, telephone lines, buttons with marks."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime

from bot.channels.base import Outgoing, OutgoingButton
from dialogs import payload
from dialogs.model import CASE, Mark

_NUMBERED = re.compile(r"(?P<number>\d{1,2})\. (?P<label>.+)", re.DOTALL)
_PHONE = re.compile(r"\+?\d[\d ]{1,18}\d")
_TICKS = {"☑ ": True, "☐ ": False}
_MARKS = tuple(Mark)


@dataclass(frozen=True, slots=True)
class Line:
    """One line of text; `phone` is what to dial when the line is a number and nothing else."""

    text: str
    phone: str | None


@dataclass(frozen=True, slots=True)
class ChoiceView:
    """One answer. `language` is the one in which its label is written."""

    label: str
    number: str
    payload: str
    language: str
    ticked: bool | None


@dataclass(frozen=True, slots=True)
class Source:
    """Where a voice can be fetched for some minutes, and as what."""

    src: str
    type: str


@dataclass(frozen=True, slots=True)
class MessageView:
    """One message of a case, hers or ours."""

    paragraphs: tuple[tuple[Line, ...], ...]
    number: int | None
    author: str
    language: str
    hers: bool = False
    voice: tuple[Source, ...] = ()


@dataclass(frozen=True, slots=True)
class ScreenView:
    """One screen."""

    language: str
    paragraphs: tuple[tuple[Line, ...], ...]
    choices: tuple[ChoiceView, ...]
    marks: tuple[tuple[str, OutgoingButton], ...]
    picture: str | None
    cover: bool
    in_case: bool
    talking: bool
    takes_media: bool
    at: str


def screen(message: Outgoing, now: datetime) -> ScreenView:
    """A window's message as a screen, made at `now`."""
    position = message.position
    talking = message.in_case and position is not None and position.node == CASE
    return ScreenView(
        language=message.language,
        paragraphs=paragraphs(message.text),
        choices=tuple(_choice(button, message.language) for button in message.choices),
        marks=tuple(zip(_MARKS[-len(message.marks) :], message.marks, strict=False))
        if message.marks
        else (),
        picture=message.picture,
        cover=message.cover,
        in_case=message.in_case,
        talking=talking,
        takes_media=talking and message.takes_media,
        at=payload.pack(position, now) if position is not None else "",
    )


def case_message(message: Outgoing, voice: tuple[Source, ...] = ()) -> MessageView:
    """A message of a case."""
    author, language = message.author or "", message.language
    return MessageView(paragraphs(message.text), message.number, author, language, voice=voice)


def own_message(text: str, language: str) -> MessageView:
    """What she has just written, as an echo on the page that answers it."""
    return MessageView(paragraphs(text), None, "", language, hers=True)


def paragraphs(text: str) -> tuple[tuple[Line, ...], ...]:
    """Text cut at its empty lines, then into lines."""
    blocks = re.split(r"\n\s*\n", text.strip())
    return tuple(tuple(_line(line) for line in block.splitlines()) for block in blocks if block)


def _line(text: str) -> Line:
    alone = text.strip()
    if _PHONE.fullmatch(alone):
        return Line(alone, alone.replace(" ", ""))
    return Line(text, None)


def _choice(button: OutgoingButton, language: str) -> ChoiceView:
    match = _NUMBERED.fullmatch(button.label)
    number, label = (match["number"], match["label"]) if match else ("", button.label)
    ticked = _TICKS.get(label[:2])
    to = payload.unpack(button.payload)
    return ChoiceView(
        label=label if ticked is None else label[2:],
        number=number,
        payload=button.payload,
        language=to.language if to is not None else language,
        ticked=ticked,
    )
