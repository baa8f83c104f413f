"""Telegram: what comes in by long polling, one live window, and nothing left behind.

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
from collections import Counter, OrderedDict
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import Enum, auto
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from telegram import (
    Bot,
    CallbackQuery,
    ChatMemberUpdated,
    InlineKeyboardButton,
    InlineKeyboardMarkup,
    InputMediaPhoto,
    LinkPreviewOptions,
    Message,
    Update,
)
from telegram.constants import ChatMemberStatus, ChatType, MessageAttachmentType
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

from bot.channels.base import (
    Address,
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
    Unsent,
)
from bot.channels.http import Answer, AnswerLost, Http, NothingLeft, Upload
from bot.channels.pace import Gate, Lane
from bot.channels.pictures import MediaIds, Picture, Pictures
from bot.channels.polling import LATE, Backoff, Poller, is_recent
from bot.privacy.redact import EventLog
from dialogs import payload
from dialogs.model import DANGER, HIDE, Event, MediaKind, Sent, Started, Tapped, Typed

LIMITS = Limits(
    text=4000,  # of 4096: the rest is for the line that names who speaks
    window=1024,
    buttons=100,
    columns=4,
    label=64,
    payload=64,
    picture=True,
    edit=True,
    delete_hours=48,
    knows_edit_time=True,
    keeps_window=True,
)
ASKED_FOR = ("message", "edited_message", "callback_query", "my_chat_member")
OLD_WINDOW = timedelta(minutes=30)
COVER_PICTURE = "cover"
CONNECT_SECONDS = 5.0
READ_SECONDS = 15.0
NO_RETRY_AFTER = 5.0
BATCH = 100
MAX_STANDING = 2000

_START = re.compile(r"/start(?:@\w+)?(?:\s+(?P<code>\S.*?))?\s*", re.DOTALL)
_CODE = re.compile(r"[A-Za-z0-9_-]{1,32}")
_MUTE = logging.Logger("telegram", logging.CRITICAL + 1)
"""Stands in for the library's logger, which writes every call with its text and its ids."""
_log = EventLog("telegram")
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Profile:
    """What Telegram says about the line in one language, all in the cover's words."""

    language: str  # two letters; empty: for everybody else, by default as the first one
    name: str
    short_description: str
    description: str
    commands: tuple[tuple[str, str], ...] = ()


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
        return max(float(str(told)), 1.0)
    except ValueError:
        return NO_RETRY_AFTER


class _Bot(Bot):
    """The library's bot, mute, and with the one call that gives updates as they came."""

    _LOGGER = _MUTE

    async def updates_as_they_came(self, offset: int | None, hold: int) -> object:
        asked = {"offset": offset, "timeout": hold, "limit": BATCH, "allowed_updates": ASKED_FOR}
        return await self._post("getUpdates", asked, read_timeout=hold + READ_SECONDS)


# --- what Telegram's errors mean ---------------------------------------------------------


class Why(Enum):
    """The refusals that we have an answer to."""

    SAME = auto()  # it looks like that already
    NO_EDIT = auto()  # that message is not there or cannot be edited
    NOT_THERE = auto()
    FILE = auto()  # a file id that is no longer taken
    OTHER = auto()


class Declined(Refused):
    """A 400, with what can be done about it, without Telegram's words."""

    def __init__(self, why: Why) -> None:
        super().__init__(why.name)
        self.why = why


class WebhookSet(Unsent):
    """Somebody set a webhook; while it stands there are no updates for us."""


_GONE = ("chat not found", "user not found", "deactivated", "peer_id_invalid", "user_is_blocked")
_WHY = (
    ("message is not modified", Why.SAME),
    ("message to edit not found", Why.NO_EDIT),
    ("message can't be edited", Why.NO_EDIT),
    ("message_id_invalid", Why.NO_EDIT),
    ("no caption in the message", Why.NO_EDIT),
    ("message to delete not found", Why.NOT_THERE),
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
            return Unsent()
        case _Flooded():
            return Throttled(error.seconds)
        case InvalidToken():
            return Unauthorised()
        case Forbidden() | ChatMigrated():
            return Gone()
        case Conflict():
            return WebhookSet() if "webhook" in said else Unsent()
        case BadRequest() if any(part in said for part in _GONE):
            return Gone()
        case BadRequest():
            return Declined(next((why for part, why in _WHY if part in said), Why.OTHER))
        case _:  # lost answers, 5xx, what is not JSON, answers that cannot be read
            return Unknown()


# --- what came in ------------------------------------------------------------------------

_KINDS = {
    MessageAttachmentType.PHOTO: MediaKind.PHOTO,
    MessageAttachmentType.VOICE: MediaKind.VOICE,
    MessageAttachmentType.VIDEO_NOTE: MediaKind.VOICE,
    MessageAttachmentType.AUDIO: MediaKind.VOICE,
    MessageAttachmentType.CONTACT: MediaKind.CONTACT,
    MessageAttachmentType.VENUE: MediaKind.LOCATION,
    MessageAttachmentType.LOCATION: MediaKind.LOCATION,
}


_DATED = ("message", "edited_message", "callback_query")


def _with_sane_dates(part: dict[str, Any]) -> dict[str, Any]:
    """Dates that are missing or absurd become very old ones: not fresh, but readable."""
    sane = {key: _with_sane_dates(each) if key in _DATED else each for key, each in part.items()}
    if "message_id" in sane:
        sane.setdefault("date", 1)
    for key in ("date", "edit_date"):
        told = part.get(key)
        if key in sane and not (type(told) is int and 0 <= told < 2**32):
            sane[key] = 1
    return sane


def _words(text: str, fresh: bool) -> Event:
    """Her text as plain text; only /start is a command here."""
    plain = text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    if start := _START.fullmatch(plain):
        code = start["code"]
        return Started(code if code and _CODE.fullmatch(code) else None)
    return Typed(plain, fresh)


def _event(message: Message, fresh: bool) -> Event | None:
    """What she did, without what it was: no medium is fetched, no sender, no origin."""
    if message.text is not None:
        return _words(message.text, fresh)
    for attribute, kind in _KINDS.items():
        if message[attribute]:
            return Sent(kind, fresh)
    if message.effective_attachment or message.checklist:
        return Sent(MediaKind.OTHER, fresh)
    return None  # a note of Telegram's own: pinned, timer set


# --- the channel -------------------------------------------------------------------------


class TelegramChannel:
    """One bot of Telegram's as a channel."""

    name = "telegram"
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
    ) -> None:
        """`api` is the base address, such as https://api.telegram.org. `pictures` holds
        <name>.png, `cover.png` among them: it stands in for what is missing, and over what
        Telegram no longer lets us delete.
        """
        self.events: Counter[str] = Counter()
        self._requests = AiohttpRequest(Http()), AiohttpRequest(Http(connections=1))
        self._bot = _Bot(
            token,
            base_url=f"{api.rstrip('/')}/bot",
            base_file_url=f"{api.rstrip('/')}/file/bot",
            request=self._requests[0],
            get_updates_request=self._requests[1],
        )
        self._pictures = Pictures(self.name, pictures, media, COVER_PICTURE)
        self._profile, self._now, self._random = profile, now, random
        self._gate: Gate | None = None
        self._standing: OrderedDict[tuple[int, int], str] = OrderedDict()
        self._aside: set[asyncio.Task[None]] = set()

    async def run(self, intake: Intake) -> None:
        """Receive until cancelled. Raises `Unauthorised` when the token is not accepted.

        Edits of hers are settled and ignored. A group or channel is left at once.
        """
        await self._open_line()
        introduction = asyncio.create_task(self._introduce())
        read = partial(self._read, intake)
        try:
            await Poller(self.name, self._fetch, read, self._now, self._random, self.events).run(
                intake
            )
        finally:
            introduction.cancel()
            await asyncio.gather(introduction, return_exceptions=True)

    async def show(self, address: Address, message: Outgoing, window: Handle | None) -> Handle:
        """Show a message; a window is a picture with its text, edited in place."""
        chat = _number(address)
        if not message.window:
            return await self._say(chat, message)
        picture = await self._pictures.named(message.picture)
        if window is not None and await self._edit(chat, _number(window), message, picture):
            return window
        handle = await self._show_new(chat, message, picture)
        if window is not None:
            self._beside(self._delete(chat, [_number(window)]))
        return handle

    async def remove(self, address: Address, handles: Sequence[Handle]) -> None:
        """Remove messages. What is too old to be removed and is ours becomes the bare cover.

        Raises `Refused`, after all else was removed, when something of hers is too old.
        """
        chat = _number(address)
        numbers = sorted({_number(handle) for handle in handles})
        for old in await self._delete(chat, numbers):
            await self._blank(chat, old)

    async def sweep(self, address: Address, newest: Handle | None) -> None:
        """Remove what stands among the newest hundred messages; what is too old is covered."""
        if newest is None:
            return
        chat, last = _number(address), _number(newest)
        for old in await self._delete(chat, range(max(last - BATCH + 1, 1), last + 1)):
            try:
                await self._blank(chat, old)
            except Refused:
                continue

    async def close(self) -> None:
        """Close the connections."""
        for task in self._aside:
            task.cancel()
        await asyncio.gather(*self._aside, return_exceptions=True)
        for request in self._requests:
            await request.shutdown()

    # --- in

    async def _fetch(self, offset: int | None, hold: int) -> Sequence[object]:
        try:
            batch = await _ask(self._bot.updates_as_they_came(offset, hold))
        except WebhookSet:
            await _ask(self._bot.delete_webhook(drop_pending_updates=False))
            raise
        if not isinstance(batch, list):
            raise Unknown
        return batch

    def _read(self, intake: Intake, raw: dict[str, Any], prompt: bool) -> Incoming | None:
        """One raw update as something for the conversation, or None when it is not for it."""
        update = Update.de_json(_with_sane_dates(raw))
        if update.callback_query:
            self._beside(_ask(self._bot.answer_callback_query(update.callback_query.id)))
        chat = update.effective_chat
        if chat is None:
            return None
        if chat.type != ChatType.PRIVATE:
            self._leave(chat.id, update.my_chat_member)
            return None
        key, address = str(update.update_id), str(chat.id)
        if member := update.my_chat_member:
            if member.new_chat_member.status == ChatMemberStatus.BANNED:
                intake.left(self.name, address)
            return None
        if query := update.callback_query:
            handle = str(query.message.message_id) if query.message else None
            return Incoming(self.name, address, self._tapped(query, prompt), key, window=handle)
        if message := update.message:
            fresh = is_recent(message.date, self._now(), LATE)
            if event := _event(message, fresh):
                return Incoming(self.name, address, event, key, handle=str(message.message_id))
        return None

    def _tapped(self, query: CallbackQuery, prompt: bool) -> Tapped:
        window = query.message
        shown = (window.edit_date or window.date) if isinstance(window, Message) else None
        fresh = prompt and is_recent(shown, self._now(), OLD_WINDOW)
        return Tapped(payload.unpack(query.data or ""), fresh)

    def _leave(self, chat: int, member: ChatMemberUpdated | None) -> None:
        gone = (ChatMemberStatus.LEFT, ChatMemberStatus.BANNED)
        if member is None or member.new_chat_member.status not in gone:
            self._note("group_left")
            self._beside(_ask(self._bot.leave_chat(chat)))

    # --- out

    async def _say(self, chat: int, message: Outgoing) -> Handle:
        text = f"{message.author}:\n{message.text}" if message.author else message.text
        sent = await self._send(
            chat,
            Lane.CASE,
            lambda: self._bot.send_message(
                chat,
                text,
                reply_markup=_keyboard(message),
                disable_notification=message.silent,
                protect_content=True,
                link_preview_options=LinkPreviewOptions(is_disabled=True),
            ),
        )
        return str(sent.message_id)

    async def _show_new(self, chat: int, message: Outgoing, picture: Picture) -> Handle:
        sent = await self._with_media(
            picture,
            lambda media: self._send(
                chat,
                _lane(message),
                lambda: self._bot.send_photo(
                    chat,
                    media,
                    caption=message.text,
                    reply_markup=_keyboard(message),
                    disable_notification=message.silent,
                    protect_content=True,
                    filename="picture.png",
                ),
            ),
        )
        self._stands(chat, sent.message_id, picture)
        return str(sent.message_id)

    async def _edit(self, chat: int, window: int, message: Outgoing, picture: Picture) -> bool:
        """Put the message into the window; False when that message cannot be edited."""
        same = self._standing.pop((chat, window), None) == picture.digest
        try:
            if same:
                await self._edit_text(chat, window, message)
            else:
                await self._edit_all(chat, window, message, picture)
        except Declined as refusal:
            if refusal.why is Why.NO_EDIT:
                return False
            if refusal.why is not Why.SAME:
                raise
        self._stands(chat, window, picture)
        return True

    async def _edit_text(self, chat: int, window: int, message: Outgoing) -> None:
        await self._send(
            chat,
            _lane(message),
            lambda: self._bot.edit_message_caption(
                chat, window, caption=message.text, reply_markup=_keyboard(message)
            ),
        )

    async def _edit_all(self, chat: int, window: int, message: Outgoing, picture: Picture) -> None:
        await self._with_media(
            picture,
            lambda media: self._send(
                chat,
                _lane(message),
                lambda: self._bot.edit_message_media(
                    InputMediaPhoto(media, caption=message.text, filename="picture.png"),
                    chat,
                    window,
                    reply_markup=_keyboard(message),
                ),
            ),
        )

    async def _blank(self, chat: int, old: int) -> None:
        """Turn a message of ours that cannot be removed any more into the bare cover."""
        cover = await self._pictures.named(None)
        try:
            await self._edit_all(chat, old, Outgoing("", "", cover=True), cover)
        except Declined as refusal:
            if refusal.why is not Why.SAME:
                raise

    async def _delete(self, chat: int, numbers: Sequence[int]) -> list[int]:
        """Remove messages, each at most 48 hours old; return those that were refused.

        One that is too old makes Telegram refuse the whole batch: then it is halved.
        """
        if not numbers:
            return []
        if len(numbers) > BATCH:
            first = await self._delete(chat, numbers[:BATCH])
            return first + await self._delete(chat, numbers[BATCH:])
        for number in numbers:
            self._standing.pop((chat, number), None)
        try:
            if len(numbers) == 1:
                await self._send(
                    chat, Lane.CRISIS, lambda: self._bot.delete_message(chat, numbers[0])
                )
            else:
                await self._send(
                    chat, Lane.CRISIS, lambda: self._bot.delete_messages(chat, list(numbers))
                )
        except Declined as refusal:
            if len(numbers) == 1:
                return [] if refusal.why is Why.NOT_THERE else [numbers[0]]
            half = len(numbers) // 2
            first = await self._delete(chat, numbers[:half])
            return first + await self._delete(chat, numbers[half:])
        return []

    async def _with_media(self, picture: Picture, send: Callable[[str | bytes], Awaitable[T]]) -> T:
        """Send a picture by the id it has, else upload it and keep the id it gets."""
        if known := await self._pictures.media_id(picture):
            try:
                return await send(known)
            except Declined as refusal:
                if refusal.why is not Why.FILE:
                    raise
        sent = await send(picture.content)
        if isinstance(sent, Message) and sent.photo:
            await self._pictures.keep(picture, sent.photo[-1].file_id)
        return sent

    async def _send(self, chat: int, lane: Lane, call: Callable[[], Coroutine[Any, Any, T]]) -> T:
        """Wait for the turn, and call. A 429 pauses this chat, or all when it recurs."""
        if self._gate is None:
            self._gate = Gate(asyncio.get_running_loop().time)
        await self._gate.enter(str(chat), lane)
        try:
            return await _ask(call())
        except Throttled as throttled:
            pause = self._gate.pause(str(chat), throttled.seconds)
        self._note("throttled")
        raise Throttled(pause.seconds, pause.everywhere)

    def _stands(self, chat: int, number: int, picture: Picture) -> None:
        self._standing[chat, number] = picture.digest
        if len(self._standing) > MAX_STANDING:
            self._standing.popitem(last=False)

    def _beside(self, call: Coroutine[Any, Any, object]) -> None:
        """Run what may fail without anybody noticing, and without holding anybody up."""
        task = asyncio.create_task(_quietly(call))
        self._aside.add(task)
        task.add_done_callback(self._aside.discard)

    def _note(self, code: str) -> None:
        self.events[code] += 1
        _log.event(code)

    # --- at the start

    async def _open_line(self) -> None:
        for call in (
            self._bot.get_me(),
            self._bot.delete_webhook(drop_pending_updates=False),
        ):
            try:
                await _ask(call)
            except Unauthorised:
                self.events["unauthorised"] += 1
                _log.alarm("unauthorised")
                raise
            except SendError:
                self._note("poll_failed")

    async def _introduce(self) -> None:
        """Set name, descriptions and commands where they differ, as late as Telegram wants."""
        backoff = Backoff(self._random, first=5, most=3600)
        profiles = list(self._profile)
        if profiles and all(each.language for each in profiles):
            profiles.insert(0, replace(profiles[0], language=""))
        steps = [partial(step, each) for each in profiles for step in self._steps()]
        while steps:
            pause, later = 0.0, []
            for step in steps:
                try:
                    await _ask(step())
                except Throttled as throttled:
                    pause = max(pause, throttled.seconds)
                    later.append(step)
                except (Refused, Unauthorised):
                    self._note("send_refused")
                except SendError:
                    later.append(step)
            steps = later
            if steps:
                await asyncio.sleep(max(pause, backoff.next()))

    def _steps(self) -> Sequence[Callable[[Profile], Coroutine[Any, Any, None]]]:
        return self._name_it, self._describe, self._describe_shortly, self._offer_commands

    # Telegram counts how often a profile is set, so it is compared first.

    async def _name_it(self, profile: Profile) -> None:
        language = profile.language or None
        if (await self._bot.get_my_name(language)).name != profile.name:
            await self._bot.set_my_name(profile.name, language)

    async def _describe(self, profile: Profile) -> None:
        language = profile.language or None
        if (await self._bot.get_my_description(language)).description != profile.description:
            await self._bot.set_my_description(profile.description, language)

    async def _describe_shortly(self, profile: Profile) -> None:
        language, text = profile.language or None, profile.short_description
        if (await self._bot.get_my_short_description(language)).short_description != text:
            await self._bot.set_my_short_description(text, language)

    async def _offer_commands(self, profile: Profile) -> None:
        language = profile.language or None
        offered = await self._bot.get_my_commands(language_code=language)
        if tuple((each.command, each.description) for each in offered) != profile.commands:
            await self._bot.set_my_commands(profile.commands, language_code=language)


async def _ask(call: Coroutine[Any, Any, T]) -> T:
    """Await one call of the library's; its error becomes a verdict, with no cause attached."""
    try:
        return await call
    except Exception as error:
        failure = error if isinstance(error, SendError) else verdict(error)
    raise failure


async def _quietly(call: Coroutine[Any, Any, object]) -> None:
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


def _lane(message: Outgoing) -> Lane:
    doors = message.position is not None and message.position.node in (DANGER, HIDE)
    return Lane.CRISIS if message.cover or doors else Lane.MENU


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
