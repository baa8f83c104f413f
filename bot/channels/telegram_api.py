"""Telegram's calls: the library's bot on our transport, each answered or turned into a verdict.

Knows no window and no conversation. Whatever Telegram answers becomes one of the verdicts of
`base`, in `verdict`; no call, with its text, its ids and the token, reaches a log or an exception.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Coroutine, Sequence
from typing import Any, TypeVar

from telegram import (
    Bot,
    InlineKeyboardButton,
    InlineKeyboardMarkup,
    InputMediaPhoto,
    LinkPreviewOptions,
    Message,
)
from telegram.error import (
    BadRequest,
    ChatMigrated,
    Conflict,
    Forbidden,
    InvalidToken,
    NetworkError,
    TelegramError,
)
from telegram.request import BaseRequest, RequestData

from bot import media
from bot.channels.base import (
    Gone,
    Outgoing,
    Refused,
    SendError,
    Throttled,
    Unauthorised,
    Unknown,
    Unreached,
    Unsent,
)
from bot.channels.chats import BATCH, Declined, Why
from bot.channels.http import Answer, AnswerLost, Http, NothingLeft, Upload
from bot.channels.telegram_hook import Standing

ASKED_FOR = ("message", "edited_message", "callback_query", "my_chat_member")
CONNECT_SECONDS = 5.0
READ_SECONDS = 15.0
NO_RETRY_AFTER = 5.0
FILE_NAME = "picture.png"
VOICE_NAME, MUSIC_NAME = "1.ogg", "1.mp3"

_MUTE = logging.Logger("telegram", logging.CRITICAL + 1)
"""Stands in for the library's logger, which writes every call with its text and its ids."""
_JUST_EDITED = frozenset({"editMessageCaption", "editMessageText"})
_OF_A_MESSAGE = ("message_id", "date", "chat", "photo")
T = TypeVar("T")


# --- transport ---------------------------------------------------------------------------


class _NothingLeft(NetworkError):
    """Nothing left this machine."""


class _Flooded(TelegramError):
    """A 429. The library's own exception warns about itself whenever it is made."""

    def __init__(self, seconds: float) -> None:
        super().__init__("flooded")
        self.seconds = seconds


class AiohttpRequest(BaseRequest):
    """The library's transport, on aiohttp. What is no answer of Telegram's is an error here."""

    __slots__ = ("_http",)

    def __init__(self, http: Http) -> None:
        self._http = http

    @property
    def read_timeout(self) -> float:
        return READ_SECONDS

    async def initialize(self) -> None:
        """Connections are opened when they are needed."""

    async def shutdown(self) -> None:
        await self._http.close()

    async def do_request(
        self,
        url: str,
        method: str,
        request_data: RequestData | None = None,
        read_timeout: Any = BaseRequest.DEFAULT_NONE,
        write_timeout: Any = BaseRequest.DEFAULT_NONE,
        connect_timeout: Any = BaseRequest.DEFAULT_NONE,
        pool_timeout: Any = BaseRequest.DEFAULT_NONE,
    ) -> tuple[int, bytes]:
        """Post one call; its errors carry neither the address nor the content."""
        fields = request_data.json_parameters if request_data else {}
        files = request_data.multipart_data if request_data else {}
        read = read_timeout if isinstance(read_timeout, int | float) else READ_SECONDS
        try:
            answer = await self._http.post(
                url,
                fields,
                {name: Upload(f, c, m) for name, (f, c, m) in files.items() if type(c) is bytes},
                connect=CONNECT_SECONDS,
                read=read,
            )
        except NothingLeft:
            failure: TelegramError = _NothingLeft("unsent")
        except AnswerLost:
            failure = NetworkError("lost")
        else:
            self._check(answer)
            return answer.status, answer.body
        raise failure

    def _check(self, answer: Answer) -> None:
        """A proxy's page is not Telegram's word on the token, and a 429 has its time."""
        if answer.status == 200:
            return
        told = _object(answer.body)
        if answer.status == 429:
            hint = (told or {}).get("parameters")
            seconds = hint.get("retry_after") if isinstance(hint, dict) else answer.retry_after
            raise _Flooded(_seconds(seconds))
        if told is None:
            raise NetworkError("not Telegram")

    @staticmethod
    def parse_json_payload(payload: bytes) -> dict[str, Any]:
        """Like the library's, which logs what it cannot read."""
        told = _object(payload)
        if told is None:
            raise NetworkError("not Telegram")
        return told


def _object(body: bytes) -> dict[str, Any] | None:
    try:
        told = json.loads(body.decode(errors="replace"))
    except (ValueError, RecursionError):
        return None
    return told if isinstance(told, dict) else None


def _seconds(told: object) -> float:
    try:
        return min(max(1.0, float(str(told))), 86400.0)
    except ValueError:
        return NO_RETRY_AFTER


class MuteBot(Bot):
    """The library's bot, mute, and with the one call that gives updates as they came."""

    _LOGGER = _MUTE

    async def updates_as_they_came(self, offset: int | None, hold: int) -> object:
        asked = {"offset": offset, "timeout": hold, "limit": BATCH, "allowed_updates": ASKED_FOR}
        return await self._post("getUpdates", asked, read_timeout=hold + READ_SECONDS)

    async def place_of(self, file_id: str) -> object:
        """Where a file lies. The library's own call would look for it on this machine, too."""
        return await self._post("getFile", {"file_id": file_id})

    async def _post(self, endpoint: str, *args: Any, **more: Any) -> Any:
        """Of the message that an answer tells only what is needed is taken: the rest would be
        made into objects, which takes a sixth of our time, and thrown away."""
        told = await super()._post(endpoint, *args, **more)
        if not isinstance(told, dict) or "message_id" not in told:
            return told
        if endpoint in _JUST_EDITED:
            return True
        return {name: told[name] for name in _OF_A_MESSAGE if name in told}


# --- what Telegram's errors mean ---------------------------------------------------------


class WebhookSet(Unsent):
    """Somebody set a webhook; while it stands there are no updates for us."""


class Contested(Unsent):
    """Somebody else asks for our updates at the same time."""


_GONE = ("chat not found", "user not found", "deactivated", "peer_id_invalid", "user_is_blocked")
_WHY = (
    ("message is not modified", Why.SAME),
    ("message to edit not found", Why.NOT_THERE),
    ("message can't be edited", Why.NO_EDIT),
    ("message_id_invalid", Why.NO_EDIT),
    ("no caption in the message", Why.NO_EDIT),
    ("message to delete not found", Why.NOT_THERE),
    ("voice_messages_forbidden", Why.NO_VOICE),
    ("receiving of voice messages", Why.NO_VOICE),
    ("file identifier", Why.FILE),
    ("file_id", Why.FILE),
    ("file reference", Why.FILE),
    ("file_reference", Why.FILE),
    ("wrong padding", Why.FILE),
)


def verdict(error: Exception) -> SendError:
    """The one table: what may be done after an error of the library's."""
    said = str(error).lower() if isinstance(error, BadRequest | Conflict) else ""
    match error:
        case _NothingLeft():
            return Unreached()
        case _Flooded():
            return Throttled(error.seconds)
        case InvalidToken():
            return Unauthorised()
        case Forbidden() | ChatMigrated():
            return Gone()
        case Conflict():
            return WebhookSet() if "webhook" in said else Contested()
        case BadRequest() if any(part in said for part in _GONE):
            return Gone()
        case BadRequest():
            return Declined(next((why for part, why in _WHY if part in said), Why.OTHER))
        case _:  # lost answers, 5xx, what is not JSON, answers that cannot be read
            return Unknown()


async def updates_for(
    bot: MuteBot,
    offset: int | None,
    hold: int,
    contested: Callable[[], None] = lambda: None,
) -> Sequence[object]:
    """Ask for updates; a webhook that stands in the way is taken down. Raises a `SendError`."""
    try:
        batch = await ask(bot.updates_as_they_came(offset, hold))
    except WebhookSet:
        await ask(bot.delete_webhook(drop_pending_updates=False))
        raise
    except Contested:
        contested()
        raise
    if not isinstance(batch, list):
        raise Unknown
    return batch


async def ask(call: Coroutine[Any, Any, T]) -> T:
    """Await one call of the library's; its error becomes a verdict, with no cause attached."""
    try:
        return await call
    except Exception as error:
        failure = error if isinstance(error, SendError) else verdict(error)
    raise failure


async def quietly(call: Coroutine[Any, Any, object]) -> None:
    """Await what may fail without anybody noticing."""
    try:
        await call
    except SendError:
        return


# --- what goes out -----------------------------------------------------------------------


class Calls:
    """The calls of `Chats`, each answered or turned into a verdict."""

    def __init__(self, bot: Bot) -> None:
        self._bot = bot

    async def say(self, chat: int, message: Outgoing) -> int:
        if message.voice is not None:
            return await self._speak(chat, message.voice, message)
        sent = await ask(
            self._bot.send_message(
                chat,
                _words(message),
                reply_markup=_keyboard(message),
                disable_notification=message.silent,
                protect_content=True,
                link_preview_options=LinkPreviewOptions(is_disabled=True),
            )
        )
        return sent.message_id

    async def _speak(self, chat: int, voice: bytes, message: Outgoing) -> int:
        sent = await ask(
            self._bot.send_voice(
                chat,
                voice,
                caption=message.author or message.text,
                reply_markup=_keyboard(message),
                disable_notification=message.silent,
                protect_content=True,
                filename=VOICE_NAME,
            )
        )
        return sent.message_id

    async def play(self, chat: int, message: Outgoing) -> int:
        if message.voice is None:
            raise Refused
        try:
            music = await media.as_mp3(message.voice)
        except (media.Unusable, media.NoTools):
            raise Refused from None
        sent = await ask(
            self._bot.send_audio(
                chat,
                music,
                title=message.text,
                caption=message.author or message.text,
                reply_markup=_keyboard(message),
                disable_notification=message.silent,
                protect_content=True,
                filename=MUSIC_NAME,
            )
        )
        return sent.message_id

    async def show_picture(
        self, chat: int, media: str | bytes, message: Outgoing
    ) -> tuple[int, str | None]:
        sent = await ask(
            self._bot.send_photo(
                chat,
                media,
                caption=message.text,
                reply_markup=_keyboard(message),
                disable_notification=message.silent,
                protect_content=True,
                filename=FILE_NAME,
            )
        )
        return sent.message_id, sent.photo[-1].file_id if sent.photo else None

    async def edit_picture(
        self, chat: int, number: int, media: str | bytes, message: Outgoing
    ) -> tuple[int, str | None]:
        picture = InputMediaPhoto(media, caption=message.text, filename=FILE_NAME)
        sent = await ask(
            self._bot.edit_message_media(picture, chat, number, reply_markup=_keyboard(message))
        )
        photo = sent.photo if isinstance(sent, Message) else ()
        return number, photo[-1].file_id if photo else None

    async def edit_text(self, chat: int, number: int, message: Outgoing) -> None:
        await ask(
            self._bot.edit_message_caption(
                chat, number, caption=message.text, reply_markup=_keyboard(message)
            )
        )

    async def edit_words(self, chat: int, number: int, message: Outgoing) -> None:
        await ask(
            self._bot.edit_message_text(
                _words(message),
                chat,
                number,
                reply_markup=_keyboard(message),
                link_preview_options=LinkPreviewOptions(is_disabled=True),
            )
        )

    async def delete(self, chat: int, numbers: Sequence[int]) -> None:
        if len(numbers) == 1:
            await ask(self._bot.delete_message(chat, numbers[0]))
        else:
            await ask(self._bot.delete_messages(chat, list(numbers)))


class Webhooks:
    """The calls of `TelegramHook`, each answered or turned into a verdict."""

    def __init__(self, bot: Bot) -> None:
        self._bot = bot

    async def set(self, url: str, secret: str, connections: int) -> None:
        await ask(
            self._bot.set_webhook(
                url,
                max_connections=connections,
                allowed_updates=ASKED_FOR,
                drop_pending_updates=False,
                secret_token=secret,
            )
        )

    async def standing(self) -> Standing:
        info = await ask(self._bot.get_webhook_info())
        return Standing(info.url, info.pending_update_count, info.last_error_date)


def _words(message: Outgoing) -> str:
    return f"{message.author}:\n{message.text}" if message.author else message.text


def _keyboard(message: Outgoing) -> InlineKeyboardMarkup | None:
    """One choice in a row, and the marks in the last row, always in the same places."""
    rows = [[each] for each in message.choices]
    if message.marks:
        rows.append(list(message.marks))
    if not rows:
        return None
    return InlineKeyboardMarkup(
        [[InlineKeyboardButton(b.label, callback_data=b.payload) for b in row] for row in rows]
    )
