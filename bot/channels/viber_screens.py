"""What a message looks like on Viber: its text, its keyboard, its clip or voice, as JSON."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from viberbot.api.messages import FileMessage, TextMessage

from bot import media
from bot.channels.base import Address, Outgoing, Refused
from bot.channels.keyboard import keyboard
from bot.links import Links
from dialogs import payload
from dialogs.model import SOURCE_LANGUAGE

API_LEVEL = 3
"""Silent taps need 2, the closed browser 3 (Viber 7.6, of 2017)."""
MAX_TEXT = 7000
MAX_NAME = 28
VOICE_NAME = "1.mp3"
_HAIR_SPACE = "\u200a"
_ADDRESSES = re.compile(r"((?:https?://|www\.)\S+)")


class Screens:
    """Of one bot."""

    def __init__(
        self, channel: str, names: Mapping[str, str], links: Links, now: Callable[[], datetime]
    ) -> None:
        """`names` are the bot's in each language, at most 28 characters."""
        self._channel, self._names, self._links, self._now = channel, names, links, now

    def fields(self, message: Outgoing) -> dict[str, Any]:
        """A text with its keyboard. The position of what she types goes along.

        Who speaks stands below the words: the first ones can be read on a lock screen.
        """
        text = f"{message.text}\n\n— {message.author}" if message.author else message.text
        picture = self._links.medium(f"{message.picture}.png") if message.picture else None
        sent = TextMessage(
            text=unformatted(text),
            keyboard=keyboard(message, picture),
            tracking_data=self._tracked(message),
            min_api_version=API_LEVEL,
        )
        return {**sent.to_dict(), "sender": self._sender(message)}

    def clip(self, message: Outgoing) -> dict[str, Any] | None:
        """A voice for who does not read; Viber knows no voice messages from a bot, only files."""
        for kind in ("m4a", "mp3"):
            name = f"{message.audio}.{kind}"
            if address := self._links.medium(name):
                clip = FileMessage(
                    media=address, size=self._links.size(name), file_name=f"1.{kind}"
                )
                fields = {**clip.to_dict(), "min_api_version": API_LEVEL}
                return {**fields, "sender": self._sender(message)}
        return None

    async def voice(self, address: Address, message: Outgoing, voice: bytes) -> dict[str, Any]:
        """A file with the keyboard: one message, so that it rings once. Raises `Refused`.

        Viber fetches it from us within minutes, and keeps it; ours is then gone.
        """
        try:
            sound = await media.as_mp3(voice)
        except (media.Unusable, media.NoTools):
            raise Refused from None
        lent = await self._links.lend(self._channel, address, sound, ".mp3")
        if lent is None:
            raise Refused
        sent = FileMessage(
            media=lent,
            size=len(sound),
            file_name=VOICE_NAME,
            keyboard=keyboard(message, None),
            tracking_data=self._tracked(message),
            min_api_version=API_LEVEL,
        )
        return {**sent.to_dict(), "sender": self._sender(message)}

    def _sender(self, message: Outgoing) -> dict[str, str]:
        name = self._names.get(message.language) or self._names[SOURCE_LANGUAGE]
        return {"name": name[:MAX_NAME]}

    def _tracked(self, message: Outgoing) -> str | None:
        return payload.pack(message.position, self._now()) if message.position else None


def unformatted(text: str) -> str:
    """The same words where Viber would read signs in them as bold or struck out.

    It takes a sign as one only where no space follows: so a hair's breadth of one does. An
    address stays as it is, so that it can be tapped; and so does a text that would get too
    long: better in bold than not at all.
    """
    parts = _ADDRESSES.split(text)
    words = "".join(parts[::2])
    for sign in ("*", "_", "~", "```"):
        if words.count(sign) > 1:
            parts[::2] = [part.replace(sign, f"{sign}{_HAIR_SPACE}") for part in parts[::2]]
    shown = "".join(parts)
    return shown if len(shown.encode("utf-16-le", "surrogatepass")) <= 2 * MAX_TEXT else text
