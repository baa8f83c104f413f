"""The desk's own bot on Telegram: what staff say to it, and the calls by which it answers.

It has its own token, so that women's and staff's traffic never mix. Here is only the wire:
whom it rings stands in `bells`, the group in which the desk may work in `forum`. As in the
women's channel, no word, id or token reaches a log or an exception.
"""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum, auto
from functools import partial
from typing import Any, TypeVar

from telegram import InlineKeyboardButton, InlineKeyboardMarkup, LinkPreviewOptions, ReplyParameters
from telegram.error import BadRequest, ChatMigrated

from bot.channels.base import Refused, SendError
from bot.channels.http import Http
from bot.channels.polling import Poller
from bot.channels.telegram_api import AiohttpRequest, MuteBot, quietly, updates_for, verdict
from bot.channels.updates import medium_of
from bot.channels.words import plain
from bot.privacy.redact import EventLog
from bot.tasks import Tasks

NAME = "desk"
T = TypeVar("T")
log = EventLog(NAME)


class What(Enum):
    """What somebody did."""

    SAID = auto()
    EDITED = auto()
    PRESSED = auto()  # a button of ours; `text` is what it carries
    ADDED = auto()  # the bot was put into this chat
    BLOCKED = auto()  # the bot was blocked, or taken out
    MOVED = auto()  # the group has a newer id: `moved_to`


@dataclass(frozen=True, slots=True)
class DeskUpdate:
    """One thing that reached the desk's bot. It must never be logged."""

    key: str  # Telegram's id of this delivery: the same twice means the same thing
    what: What
    chat: int
    private: bool = False
    user: int | None = None  # None: nobody knows who, as with an anonymous administrator
    text: str = field(default="", repr=False)
    medium: bool = False  # it is, or has, a photo, a voice or whatever is no text
    message: int | None = None
    topic: int | None = None  # of a forum; None: the General topic, or no forum
    aside: bool = False  # it answers a message of somebody else of the staff
    query: str | None = None  # of a button, to be answered
    moved_to: int | None = None


Handler = Callable[[DeskUpdate], Awaitable[None]]
"""Returns once nothing of it can be lost any more; when it raises, the update comes again."""

Button = tuple[str, str]
"""What it says, and what it carries."""


class TopicGone(Refused):
    """There is no such topic any more."""


class Unmet(Refused):
    """Telegram knows nobody of this number for the bot: she is not in the group, it seems."""


class GroupMoved(SendError):
    """The group has a newer id."""

    def __init__(self, chat: int) -> None:
        super().__init__()
        self.chat = chat


class DeskBot:
    """The desk's bot: receives, and makes its few calls. Each raises a `SendError`."""

    def __init__(
        self,
        token: str,
        api: str,
        now: Callable[[], datetime],
        random: Callable[[], float] = random.random,
    ) -> None:
        """`api` is the base address, such as https://api.telegram.org."""
        self.events: Counter[str] = Counter()
        self._requests = AiohttpRequest(Http()), AiohttpRequest(Http(connections=1))
        self._bot = MuteBot(
            token,
            base_url=f"{api.rstrip('/')}/bot",
            request=self._requests[0],
            get_updates_request=self._requests[1],
        )
        self._poller: Poller[DeskUpdate] = Poller(
            NAME, partial(updates_for, self._bot), understood, now, random, self.events
        )
        self._aside = Tasks()

    @property
    def reached(self) -> bool:
        """Whether Telegram answers when we ask for updates."""
        return self._poller.reached

    async def run(self, handle: Handler) -> None:
        """Receive until cancelled. Raises `Unauthorised` when the token is not accepted."""
        await self._poller.run(InTurn(handle))

    def beside(self, call: Coroutine[Any, Any, object]) -> None:
        """Run what may fail without anybody noticing, and without holding anybody up."""
        self._aside.spawn(quietly(call))

    async def close(self) -> None:
        """Close the connections."""
        await self._aside.cancel()
        for request in self._requests:
            await request.shutdown()

    # --- messages

    async def say(
        self,
        chat: int,
        text: str,
        *,
        topic: int | None = None,
        answers: int | None = None,
        buttons: Sequence[Button] = (),
        silent: bool = False,
    ) -> int:
        """Send plain text, and return the message's number. Raises `TopicGone`, too."""
        reply = ReplyParameters(answers, allow_sending_without_reply=True) if answers else None
        sent = await _ask(
            self._bot.send_message(
                chat,
                text,
                message_thread_id=topic,
                reply_parameters=reply,
                reply_markup=_keyboard(buttons),
                disable_notification=silent,
                protect_content=True,
                link_preview_options=LinkPreviewOptions(is_disabled=True),
            )
        )
        return sent.message_id

    async def edit(
        self, chat: int, message: int, text: str, buttons: Sequence[Button] = ()
    ) -> None:
        """Change a message of ours. Raises `Declined`, too."""
        await _ask(
            self._bot.edit_message_text(
                text,
                chat,
                message,
                reply_markup=_keyboard(buttons),
                link_preview_options=LinkPreviewOptions(is_disabled=True),
            )
        )

    async def remove(self, chat: int, message: int) -> None:
        """Take a message away. Raises `Declined`, too."""
        await _ask(self._bot.delete_message(chat, message))

    async def answer(self, query: str, text: str | None = None) -> None:
        """Answer a press; the text is shown to whoever pressed, and to nobody else."""
        await _ask(self._bot.answer_callback_query(query, text, show_alert=text is not None))

    # --- the group

    async def make_topic(self, chat: int, name: str) -> int:
        """Open a topic in the forum, and return its number."""
        return (await _ask(self._bot.create_forum_topic(chat, name))).message_thread_id

    async def delete_topic(self, chat: int, topic: int) -> None:
        """Delete a topic with all that stands in it. Raises `TopicGone`, too."""
        await _ask(self._bot.delete_forum_topic(chat, topic))

    async def put_out(self, chat: int, user: int) -> None:
        """Put somebody out of the group, so that no link lets her in again; twice is no error.

        Needs the right *Ban users*. Raises `Unmet`, too.
        """
        await _ask(self._bot.ban_chat_member(chat, user), _NOBODY, Unmet)

    async def let_back(self, chat: int, user: int) -> None:
        """Who was put out can be added again. Raises `Unmet`, too."""
        call = self._bot.unban_chat_member(chat, user, only_if_banned=True)
        await _ask(call, _NOBODY, Unmet)

    async def leave(self, chat: int) -> None:
        """Leave a group."""
        await _ask(self._bot.leave_chat(chat))


# --- what comes in -----------------------------------------------------------------------


class InTurn:
    """Hands over in order within each chat and topic, and side by side otherwise.

    Where something could not be kept, what follows it in its topic is not kept either: it all
    comes again, in its order.
    """

    def __init__(self, handle: Handler) -> None:
        self._handle = handle
        self._last: dict[tuple[int, int | None], asyncio.Future[None]] = {}

    def accept(self, incoming: DeskUpdate) -> asyncio.Future[None]:
        place = incoming.chat, incoming.topic
        task = asyncio.ensure_future(self._after(self._last.get(place), incoming))
        self._last[place] = task
        task.add_done_callback(partial(self._done, place))
        return task

    async def _after(self, before: asyncio.Future[None] | None, update: DeskUpdate) -> None:
        if before is not None:
            await before
        await self._handle(update)

    def _done(self, place: tuple[int, int | None], task: asyncio.Future[None]) -> None:
        if self._last.get(place) is task:
            del self._last[place]


def understood(raw: dict[str, Any], prompt: bool = True) -> DeskUpdate | None:
    """One raw update, or None when it is nobody's word. Names and profiles are never read."""
    key = str(raw["update_id"])
    if query := raw.get("callback_query"):
        return _pressed(key, query)
    if member := raw.get("my_chat_member"):
        return _membership(key, member)
    if told := raw.get("message"):
        return _message(key, What.SAID, told)
    if told := raw.get("edited_message"):
        return _message(key, What.EDITED, told)
    return None


def _message(key: str, what: What, told: dict[str, Any]) -> DeskUpdate | None:
    chat = told["chat"]["id"]
    if (newer := told.get("migrate_to_chat_id")) is not None:
        return DeskUpdate(key, What.MOVED, chat, moved_to=int(newer))
    if (older := told.get("migrate_from_chat_id")) is not None:
        return DeskUpdate(key, What.MOVED, int(older), moved_to=chat)
    medium = medium_of(told) is not None
    if "text" not in told and not medium:
        return None  # a note of Telegram's own
    sender = told.get("from") or {}
    anonymous = "sender_chat" in told
    if sender.get("is_bot") and not anonymous:
        return None
    user = None if anonymous else sender.get("id")
    return DeskUpdate(
        key,
        what,
        chat,
        private=told["chat"]["type"] == "private",
        user=user,
        text=plain(told.get("text", "")),
        medium=medium,
        message=told["message_id"],
        topic=_topic(told),
        aside=_answers_somebody_else(told, user),
    )


def _pressed(key: str, query: dict[str, Any]) -> DeskUpdate | None:
    told = query.get("message")
    if not told:
        return None
    return DeskUpdate(
        key,
        What.PRESSED,
        told["chat"]["id"],
        private=told["chat"]["type"] == "private",
        user=query["from"]["id"],
        text=str(query.get("data", "")),
        message=told["message_id"],
        topic=_topic(told),
        query=str(query["id"]),
    )


def _membership(key: str, member: dict[str, Any]) -> DeskUpdate:
    chat, status = member["chat"], member["new_chat_member"]["status"]
    what = What.BLOCKED if status in ("kicked", "left") else What.ADDED
    private = chat["type"] == "private"
    return DeskUpdate(key, what, chat["id"], private=private, user=member["from"]["id"])


def _topic(told: dict[str, Any]) -> int | None:
    # An answer in the General topic has a thread, too, which is no topic.
    return told["message_thread_id"] if told.get("is_topic_message") else None


def _answers_somebody_else(told: dict[str, Any], user: int | None) -> bool:
    # In a topic, what answers nothing answers the note that the topic was opened.
    author = (told.get("reply_to_message") or {}).get("from") or {}
    return bool(author) and not author.get("is_bot") and author.get("id") != user


# --- what goes out -----------------------------------------------------------------------

_NO_TOPIC = ("thread not found", "topic_id_invalid", "topic_deleted")
_NOBODY = ("user_not_participant", "participant_id_invalid", "user_id_invalid", "user not found")


async def _ask(
    call: Coroutine[Any, Any, T],
    words: Sequence[str] = _NO_TOPIC,
    meaning: type[Refused] = TopicGone,
) -> T:
    """Await one call of the library's; its error becomes a verdict, with no cause attached.

    `meaning`: the verdict on a refusal in one of these words.
    """
    try:
        return await call
    except ChatMigrated as moved:
        failure: SendError = GroupMoved(moved.new_chat_id)
    except BadRequest as wrong:
        said = any(part in str(wrong).lower() for part in words)
        failure = meaning() if said else verdict(wrong)
    except Exception as error:
        failure = error if isinstance(error, SendError) else verdict(error)
    raise failure


def _keyboard(buttons: Sequence[Button]) -> InlineKeyboardMarkup | None:
    """One button in a row: their words are long, and telephones narrow."""
    if not buttons:
        return None
    return InlineKeyboardMarkup(
        [[InlineKeyboardButton(label, callback_data=data)] for label, data in buttons]
    )
