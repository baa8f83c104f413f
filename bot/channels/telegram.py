"""Telegram: what comes in by polling or by its calls, one live window, nothing left behind.

Two promises hold everywhere here. Nothing that came from her, no id and no token reaches a log
or an exception; and whatever Telegram answers becomes one of the verdicts of `base`, in
`verdict`.
"""

from __future__ import annotations

import asyncio
import json
import logging
import random
import re
from collections import Counter
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from telegram import (
    Bot,
    CallbackQuery,
    InlineKeyboardButton,
    InlineKeyboardMarkup,
    InputMediaPhoto,
    LinkPreviewOptions,
    Message,
    Update,
)
from telegram.constants import ChatType
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
    MAX_MEDIUM,
    Address,
    Fetch,
    Gone,
    Handle,
    Incoming,
    Intake,
    Limits,
    Outgoing,
    Refused,
    SendError,
    Throttled,
    Unauthorised,
    Unknown,
    Unreached,
    Unsent,
)
from bot.channels.chats import BATCH, Chats, Declined, Why
from bot.channels.http import Answer, AnswerLost, Http, NothingLeft, TooLarge, Upload
from bot.channels.pictures import MediaIds, Pictures
from bot.channels.polling import LATE, SKEW, Poller, is_recent
from bot.channels.telegram_hook import Order, Standing, TelegramHook
from bot.channels.telegram_profile import Introduction, Profile
from bot.channels.updates import Membership, bare, file_of, medium_of, membership_of, words_of
from bot.channels.words import plain
from bot.privacy.redact import EventLog
from dialogs import payload
from dialogs.model import MediaKind, Sent, Tapped

NAME = "telegram"
LIMITS = Limits(
    text=4000,  # of 4096: the rest is for the line that names who speaks
    window=1024,
    buttons=96,
    label=64,
    payload=64,
    picture=True,
    edit=True,
    delete_hours=48,
    knows_edit_time=True,
    keeps_window=True,
)
ASKED_FOR = ("message", "edited_message", "callback_query", "my_chat_member")
COVER_PICTURE = "cover"
CONNECT_SECONDS = 5.0
READ_SECONDS = 15.0
FETCH_SECONDS = 30.0
NO_RETRY_AFTER = 5.0
FILE_NAME = "picture.png"
VOICE_NAME, MUSIC_NAME = "1.ogg", "1.mp3"

_FILE_PATH = re.compile(r"[A-Za-z0-9_-]+(/[A-Za-z0-9_-]+)*(\.[A-Za-z0-9]+)?")
_MUTE = logging.Logger("telegram", logging.CRITICAL + 1)
"""Stands in for the library's logger, which writes every call with its text and its ids."""
_JUST_EDITED = frozenset({"editMessageCaption", "editMessageText"})
_OF_A_MESSAGE = ("message_id", "date", "chat", "photo")
_log = EventLog("telegram")
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
        batch = await _ask(bot.updates_as_they_came(offset, hold))
    except WebhookSet:
        await _ask(bot.delete_webhook(drop_pending_updates=False))
        raise
    except Contested:
        contested()
        raise
    if not isinstance(batch, list):
        raise Unknown
    return batch


# --- what goes out -----------------------------------------------------------------------


class _Calls:
    """The calls of `Chats`, each answered or turned into a verdict."""

    def __init__(self, bot: Bot) -> None:
        self._bot = bot

    async def say(self, chat: int, message: Outgoing) -> int:
        if message.voice is not None:
            return await self._speak(chat, message.voice, message)
        sent = await _ask(
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
        sent = await _ask(
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
        sent = await _ask(
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
        sent = await _ask(
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
        sent = await _ask(
            self._bot.edit_message_media(picture, chat, number, reply_markup=_keyboard(message))
        )
        photo = sent.photo if isinstance(sent, Message) else ()
        return number, photo[-1].file_id if photo else None

    async def edit_text(self, chat: int, number: int, message: Outgoing) -> None:
        await _ask(
            self._bot.edit_message_caption(
                chat, number, caption=message.text, reply_markup=_keyboard(message)
            )
        )

    async def edit_words(self, chat: int, number: int, message: Outgoing) -> None:
        await _ask(
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
            await _ask(self._bot.delete_message(chat, numbers[0]))
        else:
            await _ask(self._bot.delete_messages(chat, list(numbers)))


# --- the channel -------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Edited:
    """She changed what she had written."""

    address: Address
    handle: Handle
    text: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class _Left:
    """She shut the line out."""

    address: Address
    at: datetime


class _HandingOver:
    """Takes each update to its place in the intake. `order`: where they may come in any."""

    def __init__(self, intake: Intake, order: Order | None = None) -> None:
        self._intake, self._order = intake, order

    def accept(self, taken: _Taken) -> asyncio.Future[None]:
        match taken:
            case _Edited():
                return self._intake.edited(NAME, taken.address, taken.handle, taken.text)
            case _Left():  # to the second: what she began in the same minute goes, too
                return self._intake.blocked(NAME, taken.address, taken.at + SKEW)
        if self._order and self._order.is_overtaken(taken.address, int(taken.key)):
            taken = replace(taken, overtaken=True)
        return self._intake.accept(taken)


_Taken = Incoming | _Edited | _Left


@dataclass(frozen=True, slots=True)
class WebhookAt:
    """Where Telegram is to call us, and by what we know that it is Telegram."""

    url: str
    secret: str = field(repr=False)


class _Webhooks:
    """The calls of `TelegramHook`, each answered or turned into a verdict."""

    def __init__(self, bot: Bot) -> None:
        self._bot = bot

    async def set(self, url: str, secret: str, connections: int) -> None:
        await _ask(
            self._bot.set_webhook(
                url,
                max_connections=connections,
                allowed_updates=ASKED_FOR,
                drop_pending_updates=False,
                secret_token=secret,
            )
        )

    async def standing(self) -> Standing:
        info = await _ask(self._bot.get_webhook_info())
        return Standing(info.url, info.pending_update_count, info.last_error_date)


class TelegramChannel:
    """One bot of Telegram's as a channel. `hook` takes its calls, where it is to call us."""

    name = NAME
    limits = LIMITS

    def __init__(
        self,
        token: str,
        api: str,
        pictures: Path,
        media: MediaIds,
        profile: Sequence[Profile],
        now: Callable[[], datetime],
        random: Callable[[], float] = random.random,
        webhook: WebhookAt | None = None,
        contested: Callable[[], None] = lambda: None,
    ) -> None:
        """`api` is the base address, such as https://api.telegram.org. `pictures` holds
        <name>.png, `cover.png` among them: it stands in for what is missing, and over what
        Telegram no longer lets us delete. Without a `webhook` Telegram is asked for updates;
        `contested` is called when somebody else asks for them, too.
        """
        self.events: Counter[str] = Counter()
        self._contested = contested
        self._http = Http()
        self._requests = AiohttpRequest(self._http), AiohttpRequest(Http(connections=1))
        self._files = f"{api.rstrip('/')}/file/bot{token}/"
        self._bot = MuteBot(
            token,
            base_url=f"{api.rstrip('/')}/bot",
            request=self._requests[0],
            get_updates_request=self._requests[1],
        )
        covered = Pictures(self.name, pictures, media, COVER_PICTURE)
        self._chats = Chats(_Calls(self._bot), covered)
        self._profile, self._now, self._random = profile, now, random
        self._aside: set[asyncio.Task[None]] = set()
        self._poller: Poller[_Taken] | None = None
        self.hook: TelegramHook[_Taken] | None = None
        if webhook is not None:
            told = webhook.url, webhook.secret, _Webhooks(self._bot)
            self.hook = TelegramHook(self.name, *told, self._read, now, random, self.events)

    @property
    def reached(self) -> bool:
        """Whether what she writes comes to us, as far as Telegram tells."""
        receives = self.hook or self._poller
        return receives is None or receives.reached

    async def run(self, intake: Intake) -> None:
        """Receive until cancelled. Raises `Unauthorised` when the token is not accepted.

        A group or channel is left at once.
        """
        await self._open_line()
        introduction = Introduction(self._bot, _ask, self._profile)
        introducing = asyncio.create_task(
            introduction.make(self._random, lambda: self._note("send_refused"))
        )
        try:
            if self.hook is not None:
                await self.hook.run(_HandingOver(intake, Order(self._now)))
            else:
                fetch = partial(updates_for, self._bot, contested=self._contested)
                told = self._read, self._now, self._random, self.events
                self._poller = Poller(self.name, fetch, *told)
                await self._poller.run(_HandingOver(intake))
        finally:
            introducing.cancel()
            await asyncio.gather(introducing, return_exceptions=True)

    async def show(self, address: Address, message: Outgoing, window: Handle | None) -> Handle:
        """Show a message; a window is a picture with its text, edited in place."""
        chat = _number(address)
        if not message.window:
            return str(await self._chats.say(chat, message))
        old = None if window is None else _number(window)
        new = await self._chats.show(chat, message, old)
        if old is not None and new != old:
            self._beside(self._chats.remove(chat, [old]))
        return str(new)

    async def correct(self, address: Address, handle: Handle, message: Outgoing) -> None:
        """Replace the words of a message of a case."""
        await self._chats.correct(_number(address), _number(handle), message)

    async def remove(self, address: Address, handles: Sequence[Handle]) -> None:
        """Remove messages. What is over 48 hours old and is ours becomes the bare cover.

        Raises `Refused`, after all else was done, when something of hers is too old.
        """
        numbers = sorted({_number(handle) for handle in handles})
        await self._chats.remove(_number(address), numbers)

    async def sweep(self, address: Address, newest: Handle | None) -> None:
        """Remove what stands among the newest hundred messages; what is too old is covered."""
        if newest is None:
            return
        last = _number(newest)
        numbers = range(max(last - BATCH + 1, 1), last + 1)
        try:
            await self._chats.remove(_number(address), numbers)
        except Refused:
            return

    async def close(self) -> None:
        """Close the connections."""
        for task in self._aside:
            task.cancel()
        await asyncio.gather(*self._aside, return_exceptions=True)
        await self._chats.close()
        for request in self._requests:
            await request.shutdown()

    # --- in

    def _read(self, raw: dict[str, Any], prompt: bool) -> _Taken | None:
        """One raw update as something for the conversation, or None when it is not for it."""
        if "my_chat_member" in raw:
            return self._membership(membership_of(raw["my_chat_member"]))
        update = Update.de_json(bare(raw))
        if update.callback_query:
            self._beside(_ask(self._bot.answer_callback_query(update.callback_query.id)))
        chat = update.effective_chat
        if chat is None:
            return None
        if chat.type != ChatType.PRIVATE:
            self._leave(chat.id)
            return None
        key, address = str(update.update_id), str(chat.id)
        if query := update.callback_query:
            handle = str(query.message.message_id) if query.message else None
            return Incoming(self.name, address, self._tapped(query, prompt), key, window=handle)
        if edit := update.edited_message:
            return _Edited(address, str(edit.message_id), plain(edit.text or "").strip())
        if message := update.message:
            fresh = is_recent(message.date, self._now(), LATE)
            handle = str(message.message_id)
            if message.text is not None:
                event = words_of(message.text, fresh)
                return Incoming(self.name, address, event, key, handle=handle)
            if kind := medium_of(raw["message"]):
                fetch = self._fetch_of(kind, raw["message"])
                event = Sent(kind, fresh)
                return Incoming(self.name, address, event, key, handle=handle, fetch=fetch)
        return None

    def _fetch_of(self, kind: MediaKind, told: dict[str, Any]) -> Fetch | None:
        if kind not in (MediaKind.PHOTO, MediaKind.VOICE):
            return None
        return partial(self._bring, file_of(told))

    async def _bring(self, file_id: str | None) -> bytes:
        """What she sent, from Telegram. Its address holds the token and is told to nobody."""
        if file_id is None:
            raise Refused
        told = await _ask(self._bot.place_of(file_id))
        place = told.get("file_path") if isinstance(told, dict) else None
        if not isinstance(place, str) or not _FILE_PATH.fullmatch(place):
            raise Refused
        try:
            answer = await self._http.get(
                self._files + place, most=MAX_MEDIUM, connect=CONNECT_SECONDS, read=FETCH_SECONDS
            )
        except NothingLeft:
            failure: SendError = Unreached()
        except AnswerLost:
            failure = Unknown()
        except TooLarge:
            failure = Refused()
        else:
            if answer.status == 200:
                return answer.body
            failure = Refused()
        raise failure

    def _tapped(self, query: CallbackQuery, prompt: bool) -> Tapped:
        window = query.message
        shown = (window.edit_date or window.date) if isinstance(window, Message) else None
        fresh = prompt and is_recent(shown, self._now(), payload.FRESH)
        return Tapped(payload.unpack(query.data or ""), fresh)

    def _membership(self, told: Membership) -> _Left | None:
        if told.private:
            return _Left(str(told.chat), told.at) if told.gone else None
        if not told.gone:
            self._leave(told.chat)
        return None

    def _leave(self, chat: int) -> None:
        """The line answers only one person alone."""
        self._note("group_left")
        self._beside(_ask(self._bot.leave_chat(chat)))

    # --- aside

    def _beside(self, call: Coroutine[Any, Any, object]) -> None:
        """Run what may fail without anybody noticing, and without holding anybody up."""
        task = asyncio.create_task(quietly(call))
        self._aside.add(task)
        task.add_done_callback(self._aside.discard)

    def _note(self, code: str) -> None:
        self.events[code] += 1
        _log.event(code)

    # --- at the start

    async def _open_line(self) -> None:
        calls: list[Callable[[], Coroutine[Any, Any, object]]] = [self._bot.get_me]
        if self.hook is None:
            calls.append(partial(self._bot.delete_webhook, drop_pending_updates=False))
        for call in calls:
            try:
                await _ask(call())
            except Unauthorised:
                self.events["unauthorised"] += 1
                _log.alarm("unauthorised")
                raise
            except SendError:
                self._note("poll_failed")


async def _ask(call: Coroutine[Any, Any, T]) -> T:
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


def _number(handle: str) -> int:
    try:
        return int(handle)
    except ValueError:
        pass
    raise Refused


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
