"""One live window per chat on a platform that edits and deletes: what to call, in which order.

Knows no library. The adapter brings the calls (`Api`), each of which answers or raises one of
the verdicts of `base`; here they are paced, and their refusals answered.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Sequence
from enum import Enum, auto
from typing import Protocol, TypeVar

from bot.channels.base import Outgoing, Refused, Throttled
from bot.channels.pace import Gate, Lane, Rates
from bot.channels.pictures import Picture, Pictures
from dialogs.model import DANGER, HIDE

RATES = Rates.under(30, chat_per_second=1, chat_burst=5)
"""The platform takes thirty messages in any second, and a short burst in one chat."""
BATCH = 100
MAX_STANDING = 2000
T = TypeVar("T")


class Why(Enum):
    """The refusals that we have an answer to."""

    SAME = auto()  # it looks like that already
    NO_EDIT = auto()  # that message cannot be edited
    NOT_THERE = auto()
    FILE = auto()  # a file id that is no longer taken
    NO_VOICE = auto()  # she lets nobody send her voice messages
    OTHER = auto()


class Declined(Refused):
    """A refusal, with what can be done about it, without the platform's words."""

    def __init__(self, why: Why) -> None:
        super().__init__(why.name)
        self.why = why


class Api(Protocol):
    """The platform's calls. `media` is the content of a picture, or the id it has there."""

    async def say(self, chat: int, message: Outgoing) -> int: ...

    async def play(self, chat: int, message: Outgoing) -> int:
        """A voice as a piece of music: for who lets nobody send her voice messages."""
        ...

    async def show_picture(
        self, chat: int, media: str | bytes, message: Outgoing
    ) -> tuple[int, str | None]:
        """Returns the new message's number and the picture's id."""
        ...

    async def edit_picture(
        self, chat: int, number: int, media: str | bytes, message: Outgoing
    ) -> tuple[int, str | None]: ...

    async def edit_text(self, chat: int, number: int, message: Outgoing) -> None: ...

    async def edit_words(self, chat: int, number: int, message: Outgoing) -> None:
        """The words of an ordinary message."""
        ...

    async def delete(self, chat: int, numbers: Sequence[int]) -> None: ...


class Chats:
    """All chats of one bot."""

    def __init__(self, api: Api, pictures: Pictures, rates: Rates | None = None) -> None:
        """`rates` instead of `RATES`."""
        self._api, self._pictures, self._rates = api, pictures, rates
        self._gate: Gate | None = None
        self._standing: OrderedDict[tuple[int, int], str] = OrderedDict()

    async def say(self, chat: int, message: Outgoing) -> int:
        """Send an ordinary message or a voice; its number."""
        try:
            return await self._send(chat, Lane.CASE, lambda: self._api.say(chat, message))
        except Declined as refusal:
            if refusal.why is not Why.NO_VOICE:
                raise
        return await self._send(chat, Lane.CASE, lambda: self._api.play(chat, message))

    async def show(self, chat: int, message: Outgoing, window: int | None) -> int:
        """Show a window: edited in place where that is possible, else as a new message."""
        picture = await self._pictures.named(message.picture)
        if window is not None and await self._edit(chat, window, message, picture):
            return window
        number = await self._show_new(chat, message, picture, lane_of(message))
        self._stands(chat, number, picture)
        return number

    async def notify(self, chat: int, message: Outgoing) -> int:
        """Show a window that nobody waits for, as a new message.

        What it shows is not remembered: so many of them would push out the windows in use.
        """
        picture = await self._pictures.named(message.picture)
        return await self._show_new(chat, message, picture, Lane.BROADCAST)

    async def correct(self, chat: int, number: int, message: Outgoing) -> None:
        """Replace the words of an ordinary message; one that is not there is left so."""
        try:
            await self._send(chat, Lane.CASE, lambda: self._api.edit_words(chat, number, message))
        except Declined as refusal:
            if refusal.why not in (Why.SAME, Why.NOT_THERE):
                raise

    async def close(self) -> None:
        """Return when nothing is left to store."""
        await self._pictures.kept()

    async def remove(self, chat: int, numbers: Sequence[int], *, urgent: bool = True) -> None:
        """Remove messages. What is too old for that and is ours becomes the bare cover.

        Raises `Refused`, after all else was done, when something of hers is too old.
        """
        left = False
        lane = Lane.CRISIS if urgent else Lane.BROADCAST
        for old in await self._delete(chat, numbers, lane):
            try:
                await self._blank(chat, old, lane)
            except Refused:
                left = True
        if left:
            raise Refused

    async def _show_new(self, chat: int, message: Outgoing, picture: Picture, lane: Lane) -> int:
        number, _ = await self._with_media(
            picture,
            lambda media: self._send(
                chat, lane, lambda: self._api.show_picture(chat, media, message)
            ),
        )
        return number

    async def _edit(self, chat: int, window: int, message: Outgoing, picture: Picture) -> bool:
        """Put the message into the window; False when that message cannot be edited."""
        same = self._standing.pop((chat, window), None) == picture.digest
        try:
            if same:
                await self._send(
                    chat, lane_of(message), lambda: self._api.edit_text(chat, window, message)
                )
            else:
                await self._edit_all(chat, window, message, picture, lane_of(message))
        except Declined as refusal:
            if refusal.why in (Why.NO_EDIT, Why.NOT_THERE):
                return False
            if refusal.why is not Why.SAME:
                raise
        self._stands(chat, window, picture)
        return True

    async def _edit_all(
        self, chat: int, number: int, message: Outgoing, picture: Picture, lane: Lane
    ) -> None:
        await self._with_media(
            picture,
            lambda media: self._send(
                chat,
                lane,
                lambda: self._api.edit_picture(chat, number, media, message),
            ),
        )

    async def _blank(self, chat: int, old: int, lane: Lane) -> None:
        """Turn a message of ours that cannot be removed any more into the bare cover."""
        cover = await self._pictures.named(None)
        try:
            await self._edit_all(chat, old, Outgoing("", "", cover=True), cover, lane)
        except Declined as refusal:
            if refusal.why is not Why.SAME:
                raise

    async def _delete(self, chat: int, numbers: Sequence[int], lane: Lane) -> list[int]:
        """Remove messages; return those that were refused.

        One that is too old makes the platform refuse the whole batch: then it is halved.
        """
        if not numbers:
            return []
        if len(numbers) > BATCH:
            return await self._delete_both(chat, numbers, BATCH, lane)
        for number in numbers:
            self._standing.pop((chat, number), None)
        try:
            await self._send(chat, lane, lambda: self._api.delete(chat, numbers))
        except Declined as refusal:
            if len(numbers) == 1:
                return [] if refusal.why is Why.NOT_THERE else [*numbers]
            return await self._delete_both(chat, numbers, len(numbers) // 2, lane)
        return []

    async def _delete_both(
        self, chat: int, numbers: Sequence[int], cut: int, lane: Lane
    ) -> list[int]:
        first = await self._delete(chat, numbers[:cut], lane)
        return first + await self._delete(chat, numbers[cut:], lane)

    async def _with_media(
        self, picture: Picture, send: Callable[[str | bytes], Awaitable[tuple[int, str | None]]]
    ) -> tuple[int, str | None]:
        """Send a picture by the id it has, else upload it and keep the id it gets."""
        if known := await self._pictures.media_id(picture):
            try:
                return await send(known)
            except Declined as refusal:
                if refusal.why is not Why.FILE:
                    raise
        number, media_id = await send(picture.content)
        if media_id is not None:
            self._pictures.keep(picture, media_id)
        return number, media_id

    async def _send(self, chat: int, lane: Lane, call: Callable[[], Awaitable[T]]) -> T:
        """Wait for the turn, and call. A 429 pauses this chat, or all when it recurs."""
        if self._gate is None:
            self._gate = Gate(asyncio.get_running_loop().time, self._rates or RATES)
        await self._gate.enter(str(chat), lane)
        try:
            return await call()
        except Throttled as throttled:
            pause = self._gate.pause(str(chat), throttled.seconds)
        raise Throttled(pause.seconds, pause.everywhere)

    def _stands(self, chat: int, number: int, picture: Picture) -> None:
        self._standing[chat, number] = picture.digest
        if len(self._standing) > MAX_STANDING:
            self._standing.popitem(last=False)


def lane_of(message: Outgoing) -> Lane:
    """112, hide and the cover go before what is only read."""
    door = message.position is not None and message.position.node in (DANGER, HIDE)
    return Lane.CRISIS if message.cover or door else Lane.MENU
