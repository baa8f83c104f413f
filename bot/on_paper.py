"""The channels without their platforms: what of a message would arrive on her phone."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from html import unescape
from pathlib import Path

from bot.channels import telegram, viber, viber_api, web
from bot.channels.base import Limits, Outgoing
from bot.channels.console import ConsoleChannel
from bot.links import Links
from bot.privacy.vault import KEY_BYTES, Vault
from bot.render import Page
from bot.texts import Texts
from bot.web.templating import picture as drawn

LONGEST_ADDRESS = "https://" + "a" * 92
"""Stands for PHEN_PUBLIC_URL where addresses of ours go along."""
RECEIVER = "a" * 24
"""As long as Viber's ids are."""


@dataclass(frozen=True, slots=True)
class Arrived:
    """What of a message gets to her phone. `size`: bytes of the call, where they are limited."""

    text: str
    labels: tuple[str, ...]
    picture: bool
    size: int | None = None


@dataclass(frozen=True, slots=True)
class OnPaper:
    """A channel that sends nothing: `put` says what would arrive.

    `size` is the most that a call may have.
    """

    limits: Limits
    put: Callable[[Outgoing], Arrived]
    page: Page | None = None
    size: int | None = None


def channels(texts: Texts, day: date, pictures: Path) -> dict[str, OnPaper]:
    """Every channel there is, with the pictures of that folder."""

    def has_png(message: Outgoing) -> bool:
        return (pictures / f"{message.picture}.png").is_file()

    def has_svg(message: Outgoing) -> bool:
        return bool(drawn(message.picture, pictures))

    return {
        ConsoleChannel.name: OnPaper(ConsoleChannel.limits, _as_it_is(lambda message: False)),
        telegram.TelegramChannel.name: OnPaper(telegram.LIMITS, _as_it_is(has_png)),
        viber.ViberChannel.name: _viber(texts, noon(day), pictures),
        web.NAME: OnPaper(web.LIMITS, _as_it_is(has_svg)),
    }


def _as_it_is(has_picture: Callable[[Outgoing], bool]) -> Callable[[Outgoing], Arrived]:
    def put(message: Outgoing) -> Arrived:
        labels = tuple(button.label for button in (*message.choices, *message.marks))
        return Arrived(message.text, labels, has_picture(message))

    return put


def _viber(texts: Texts, now: datetime, pictures: Path) -> OnPaper:
    """The adapter's own fields and keyboard, under addresses of the length of ours."""
    vault = Vault(os.urandom(KEY_BYTES), Path())  # opens nothing: only lengths count
    ours = Links(vault, LONGEST_ADDRESS, (pictures,), lambda: now)
    names = {language: texts.say(language, "bot.name") for language in texts.languages}
    channel = viber.ViberChannel("", "", names, ours, "", lambda: now)

    def put(message: Outgoing) -> Arrived:
        fields = channel.fields(message)
        buttons = (fields.get("keyboard") or {}).get("Buttons", [])
        labels = tuple(unescape(button["Text"]) for button in buttons if "Text" in button)
        call = {"receiver": RECEIVER, **fields}
        size = len(json.dumps(call, ensure_ascii=False, separators=(",", ":")).encode())
        return Arrived(fields["text"], labels, any("Image" in each for each in buttons), size)

    return OnPaper(viber.LIMITS, put, ours.page, viber_api.MAX_BYTES)


def noon(day: date) -> datetime:
    """The middle of a day in Sofia, or near it."""
    return datetime.combine(day, time(10), UTC)
