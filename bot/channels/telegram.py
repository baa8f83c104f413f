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
from dataclasses import dataclass
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
_log = logging.getLogger(__name__)
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Profile:
    """What Telegram says about the line in one language, all in the cover's words."""

    language: str  # two letters; empty: for everybody whose language has no profile
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


def _with_sane_dates(part: dict[str, Any]) -> dict[str, Any]:
    """Dates that are missing or absurd become very old ones: not fresh, but readable."""
    sane = {key: _with_sane_dates(v) if key in _DATED else v for key, v in part.items() if v}
    if "message_id" in part:
        sane["date"] = part.get("date", 1)
    for key in ("date", "edit_date"):
        if key in sane and not (type(sane[key]) is int and 0 <= sane[key] < 2**32):
            sane[key] = 1
    return sane


_DATED = ("message", "edited_message", "callback_query")


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
        self._bot = _Bot(
            token,
            base_url=f"{api.rstrip('/')}/bot",
            base_file_url=f"{api.rstrip('/')}/file/bot",
            request=AiohttpRequest(Http()),
            get_updates_request=AiohttpRequest(Http(connections=1)),
        )
        self._requests = self._bot.request, self._bot._request[0]
        self._pictures = Pictures(pictures, media, COVER_PICTURE)
        self._profile, self._now, self._random = profile, now, random
        self._gate: Gate | None = None
        self._standing: OrderedDict[tuple[int, int], str] = OrderedDict()
        self._aside: set[asyncio.Task[None]] = set()
