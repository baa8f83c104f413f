"""Viber: its callbacks come in by webhook, every screen is a new message, nothing can be removed.

Two promises hold everywhere here. Nothing that came from her, no id and no token reaches a log
or an exception; and whatever Viber answers becomes one of the verdicts of `base` (`viber_api`).
Of a callback only her id, her words and the position are read: never a name, a picture, a
country or her phone's language.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from functools import partial
from random import random
from typing import Any, TypeVar
from urllib.parse import quote

from viberbot.api.event_type import EventType
from viberbot.api.messages import KeyboardMessage
from viberbot.api.messages.message_type import MessageType
from viberbot.api.viber_requests import ViberConversationStartedRequest, ViberMessageRequest

from bot.channels.base import (
    Address,
    Call,
    Fetch,
    Handle,
    Incoming,
    Intake,
    Limits,
    Outgoing,
    Refused,
    Reply,
    SendError,
    Unauthorised,
    Unknown,
)
from bot.channels.chats import lane_of
from bot.channels.deliveries import Deliveries, Names, has_failed, needed
from bot.channels.http import read_object
from bot.channels.keyboard import LABEL
from bot.channels.pace import Lane
from bot.channels.polling import LATE, MISSES, Backoff, is_recent
from bot.channels.viber_api import RATES, TOGETHER, NoBroadcasts, Notes, ViberApi, encoded
from bot.channels.viber_screens import Screens
from bot.channels.words import is_code, plain
from bot.links import Links
from bot.privacy.redact import EventLog
from dialogs import payload
from dialogs.model import (
    HIDE,
    REMINDER,
    SOURCE_LANGUAGE,
    Event,
    MediaKind,
    Position,
    Sent,
    Started,
    Tapped,
    Typed,
)

LIMITS = Limits(
    text=6900,  # of 7000: the rest is for the line that names who speaks
    window=7000,
    buttons=10,  # of twelve rows one is for the marks, and one more for the picture
    label=LABEL,
    payload=64,
    picture=True,
    edit=False,
    delete_hours=None,
    knows_edit_time=False,
    keeps_window=True,
    silent=False,
    free_hours=24,
    together=TOGETHER,
    per_second=RATES.per_second,
)
SIGNATURE = "x-viber-content-signature"
MAX_CALLBACK = 64 * 1024
WELCOME_SECONDS = 4.0
LOOK_SECONDS, LOOK_AGAIN_SECONDS = 3600.0, 60.0
"""Between two looks at the account: while all is well, and while Viber calls another address."""
MOST_KEPT = 1000
LEFT_TOO_LONG_AGO = timedelta(hours=2)
"""Viber brings again for about an hour; what is older than this was kept by somebody."""
STRANGER_LATE = timedelta(minutes=5)
WELCOME: Handle = "welcome"
_KINDS = {
    MessageType.PICTURE: MediaKind.PHOTO,
    MessageType.CONTACT: MediaKind.CONTACT,
    MessageType.LOCATION: MediaKind.LOCATION,
}
_READ = ("type", "text", "media", "tracking_data")
_ASK_FOR_SOMETHING = (
    EventType.MESSAGE, EventType.CONVERSATION_STARTED, EventType.UNSUBSCRIBED, EventType.FAILED,
)  # fmt: skip
_NEEDED: Names = {
    **dict.fromkeys(("event", "timestamp", "message_token", "silent", "subscribed", "context")),
    "user_id": None,
    "user": {"id": None},
    "sender": {"id": None},
    "message": dict.fromkeys(_READ),
}
"""All that is ever read of a callback, and that another process may be handed."""

T = TypeVar("T")


class _Welcome:
    """An arrival that waits for the screen which answers it.

    Found by her address when that screen is shown, and by the delivery when it comes again.
    """

    def __init__(self, settled: asyncio.Future[None]) -> None:
        self._settled = settled
        self.body: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()

    @property
    def failed(self) -> bool:
        return not self.body.done() and has_failed(self._settled)

    async def reply(self) -> Reply:
        """The screen, once it is there. Without one Viber brings again what was not settled."""
        await asyncio.wait({self.body}, timeout=WELCOME_SECONDS)
        if self.body.done():
            return Reply(200, self.body.result())
        return Reply(503 if self.failed or not self._settled.done() else 200)


class ViberChannel:
    """One bot of Viber's as a channel, and what its operator asks of it."""

    name = "viber"
    limits = LIMITS
    signature = SIGNATURE

    def __init__(
        self,
        token: str,
        api: str,
        names: Mapping[str, str],
        links: Links,
        webhook: str,
        now: Callable[[], datetime],
    ) -> None:
        """`api` is the base address, such as https://chatapi.viber.com. `names` are the bot's
        in each language, in the cover's words, at most 28 characters. `webhook` is where Viber
        is to call us.
        """
        self._notes = Notes(EventLog(self.name))
        self.events = self._notes.events
        self.reached = True
        self.webhook = webhook
        self._token, self._now = token, now
        self._uri: str | None = None
        self._may_broadcast = True
        self._api = ViberApi(token, api, self._notes)
        self._links = links
        self._screens = Screens(self.name, names, links, now)
        self._intake: Intake | None = None
        self._deliveries = Deliveries()
        self._arriving: dict[Address, _Welcome] = {}
        self._welcomes: OrderedDict[str, _Welcome] = OrderedDict()
        self._newest: OrderedDict[Address, datetime] = OrderedDict()

    async def run(self, intake: Intake) -> None:
        """Let callbacks in until cancelled. Raises `Unauthorised` once Viber shuts us out."""
        self._intake = intake
        looking = asyncio.create_task(self._look_at_account())
        try:
            await self._api.withdrawn.wait()
        finally:
            self._intake = None
            looking.cancel()
            await asyncio.gather(looking, return_exceptions=True)
        raise Unauthorised

    async def show(self, address: Address, message: Outgoing, window: Handle | None) -> Handle:
        """Send a message below all others; the answer to her arrival goes with that callback."""
        if message.voice is not None:
            voice = await self._screens.voice(address, message, message.voice)
            return await self._api.send(address, voice, Lane.CASE)
        fields = self.fields(message)
        welcome = self._arriving.get(address)
        if message.cover and welcome is not None and not welcome.body.done():
            welcome.body.set_result(encoded(fields))
            return WELCOME
        lane = lane_of(message) if message.window else Lane.CASE
        if message.audio is not None and (clip := self._screens.clip(message)) is not None:
            with suppress(Refused, Unknown):  # her text does not depend on it
                await self._api.send(address, clip, lane)
        return await self._api.send(address, fields, lane)

    async def correct(self, address: Address, handle: Handle, message: Outgoing) -> None:
        """What was sent stays as it is; `limits` says so."""
        raise Refused

    async def remove(
        self, address: Address, handles: Sequence[Handle], *, urgent: bool = True
    ) -> None:
        """Viber lets nobody remove what was sent."""

    async def sweep(self, address: Address, newest: Handle | None) -> None:
        """As `remove`."""

    async def notify(
        self, addresses: Sequence[Address], message: Outgoing
    ) -> Sequence[Handle | SendError]:
        """One message to all of them; to one alone by its own call, which tells its price."""
        self.limits.check(addresses)
        became = await self._notify(list(dict.fromkeys(addresses)), self.fields(message))
        return [became[address] for address in addresses]

    async def _notify(
        self, addresses: Sequence[Address], fields: Mapping[str, Any]
    ) -> Mapping[Address, Handle | SendError]:
        if len(addresses) > 1 and self._may_broadcast:
            try:
                return await self._api.broadcast(addresses, fields)
            except NoBroadcasts:
                self._may_broadcast = False  # until the next start
                self._notes.note("send_refused")
            except SendError as error:
                return dict.fromkeys(addresses, error)
        each = await asyncio.gather(*(self._notify_one(to, fields) for to in addresses))
        return dict(zip(addresses, each, strict=True))

    async def _notify_one(self, address: Address, fields: Mapping[str, Any]) -> Handle | SendError:
        try:
            return await self._api.send(address, fields, Lane.BROADCAST)
        except SendError as error:
            return error

    async def link(self, code: str) -> str | None:
        """The address that opens the chat with this code; None while nobody tells our name."""
        if self._uri is None:
            with suppress(SendError):
                await self.account()
        if self._uri is None or not is_code(code):
            return None
        return f"viber://pa?chatURI={quote(self._uri, safe='')}&context={code}"

    async def close(self) -> None:
        """Close the connections."""
        await self._api.close()

    # --- what the operator asks --------------------------------------------------------------

    async def set_webhook(self) -> None:
        """Tell Viber where to call. It calls at once: we must be listening. Raises `SendError`."""
        await self._api.set_webhook(self.webhook)

    async def account(self) -> Mapping[str, Any]:
        """What Viber says of the bot. Raises `SendError`."""
        account = await self._api.account()
        uri = account.get("uri")
        self._uri = uri if isinstance(uri, str) and uri else None
        return account

    # --- out ---------------------------------------------------------------------------------

    def fields(self, message: Outgoing) -> dict[str, Any]:
        """A message with its keyboard, as it is told to Viber."""
        return self._screens.fields(message)

    async def _look_at_account(self) -> None:
        """Now and each hour: is the token good, and does Viber call us and nobody else?"""
        backoff, misses = Backoff(random, first=5, most=600), 0
        while True:
            try:
                account = await self.account()
            except SendError:
                misses += 1
                self.reached = self.reached and misses < MISSES
                self._notes.note("account_unknown")
                await asyncio.sleep(backoff.next())
                continue
            backoff.reset()
            misses = 0
            self.reached = account.get("webhook") == self.webhook
            if not self.reached:
                self._notes.alarm("webhook_elsewhere")
            await asyncio.sleep(LOOK_SECONDS if self.reached else LOOK_AGAIN_SECONDS)

    # --- in ------------------------------------------------------------------------------------

    def read(self, body: bytes, signature: str) -> Call | Reply:
        """One callback: verified, and only what is needed of it. Most of them ask for nothing."""
        if not self._is_signed(body, signature):
            return self._refuse(403)
        if len(body) > MAX_CALLBACK:
            return self._refuse(413)
        told = read_object(body)
        if told is None or "event" not in told:
            return self._refuse(400)
        match told["event"]:
            case EventType.WEBHOOK | EventType.SUBSCRIBED | EventType.DELIVERED | EventType.SEEN:
                return Reply(200)
            case event if event not in _ASK_FOR_SOMETHING:
                self._notes.note("unknown_event")
                return Reply(200)
        try:
            key = f"{told['event']} {_token(told['message_token'])}"
            if told["event"] == EventType.FAILED:  # a broadcast has one token for all women
                key += f" {_address(told['user_id'])}"
        except (LookupError, TypeError, ValueError):
            return self._refuse(400)
        return Call(key, needed(told, _NEEDED), self._now())

    async def take(self, call: Call) -> Reply:
        """Read, settle, and only then acknowledge."""
        intake = self._intake
        if intake is None:
            return Reply(503)
        try:
            return await self._take(intake, call.told)
        except (LookupError, ValueError, TypeError, AttributeError):
            return self._refuse(400)

    def _is_signed(self, body: bytes, signature: str) -> bool:
        wanted = hmac.new(self._token.encode(), body, hashlib.sha256).hexdigest()
        return hmac.compare_digest(wanted.encode(), signature.lower().encode())

    async def _take(self, intake: Intake, told: dict[str, Any]) -> Reply:
        match told["event"]:
            case EventType.MESSAGE:
                return await self._settle(intake, self._read(told))
            case EventType.CONVERSATION_STARTED:
                return await self._welcome(intake, told)
            case EventType.UNSUBSCRIBED:
                return await self._leave(intake, told)
            case _:
                return await self._fail(intake, told)

    async def _settle(self, intake: Intake, incoming: Incoming) -> Reply:
        kept = await self._deliveries.once(incoming.key, lambda: intake.accept(incoming))
        return Reply(200 if kept else 503)

    async def _leave(self, intake: Intake, told: dict[str, Any]) -> Reply:
        """She left. Brought late, or once more, it would undo her coming back."""
        address, key = _address(told["user_id"]), _token(told["message_token"])
        left = _moment(told.get("timestamp")) or self._now()
        if self._now() - left > LEFT_TOO_LONG_AGO or left < self._newest.get(address, left):
            return Reply(200)
        kept = await self._deliveries.once(key, lambda: intake.blocked(self.name, address, left))
        return Reply(200 if kept else 503)

    async def _fail(self, intake: Intake, told: dict[str, Any]) -> Reply:
        """What Viber took did not arrive; told twice, it would undo that it was sent again."""
        address, token = _address(told["user_id"]), _token(told["message_token"])
        self._notes.note("send_failed")
        kept = await self._deliveries.once(
            f"failed {token} {address}", lambda: intake.undelivered(self.name, address, token)
        )
        return Reply(200 if kept else 503)

    async def _welcome(self, intake: Intake, told: dict[str, Any]) -> Reply:
        """She opened the chat: the cover, as the answer itself, for she is no subscriber yet.

        Brought once more, because the answer was lost, it gets the same answer.
        """
        bare = {"timestamp": None, "type": None, **told, "user": _id(told["user"])}
        request = ViberConversationStartedRequest().from_dict(bare)
        address, key = _address(request.user.id), _token(told["message_token"])
        if self._is_over(address, _moment(request.timestamp)):
            return Reply(200)
        code = request.context
        started = Started(code if isinstance(code, str) and is_code(code) else None)
        incoming = Incoming(self.name, address, started, key)
        if request.subscribed is True:
            return await self._settle(intake, incoming)
        known = self._welcomes.get(key) or self._arriving.get(address)
        if known is not None and not known.failed:
            _keep(self._welcomes, key, known)
            return await known.reply()
        welcome = self._arriving[address] = _Welcome(intake.accept(incoming))
        _keep(self._welcomes, key, welcome)
        try:
            return await welcome.reply()
        finally:
            if self._arriving.get(address) is welcome:
                del self._arriving[address]

    def _is_over(self, address: Address, opened: datetime | None) -> bool:
        """Whether her opening the chat is told too late to be answered with a cover.

        Of a stranger's we may learn some minutes later; what a woman did since is not covered.
        """
        newest = self._newest.get(address)
        if opened is None:
            return newest is not None
        late = self._now() - opened > (LATE if newest is not None else STRANGER_LATE)
        return late or (newest is not None and opened < newest)

    def _read(self, told: dict[str, Any]) -> Incoming:
        """A message of hers, without her name and without what cannot be needed."""
        message = {key: told["message"][key] for key in _READ if key in told["message"]}
        if message["type"] not in (MessageType.TEXT, MessageType.URL):
            message = {**message, "type": MessageType.KEYBOARD}  # its medium is never parsed
        sender = _id(told["sender"])
        bare = {"timestamp": None, **told, "sender": sender, "message": message}
        request = ViberMessageRequest().from_dict(bare)
        address, key = _address(request.sender.id), _token(request.message_token)
        said = _moment(request.timestamp)
        overtaken = self._is_overtaken(address, said)
        self._heard(address, said)
        prompt = is_recent(said, self._now(), LATE) and not overtaken
        tracked = request.message.tracking_data
        event = self._event(request, told["message"]["type"], prompt)
        fetch = self._fetch_of(event, told["message"])
        if isinstance(event, Tapped) or not isinstance(tracked, str):
            return Incoming(self.name, address, event, key, overtaken=overtaken, fetch=fetch)
        here = payload.unpack(tracked)
        reminder = here is not None and here.node == REMINDER  # a cover: it may be of days ago
        stands = prompt and (reminder or payload.is_fresh(tracked, self._now()))
        return Incoming(
            self.name,
            address,
            event,
            key,
            position=here if stands else None,
            languages=(here.language,) if here is not None else (),
            overtaken=overtaken,
            fetch=fetch,
        )

    def _fetch_of(self, event: Event, message: dict[str, Any]) -> Fetch | None:
        """Of a photo alone: a voice message cannot be sent to a bot there."""
        url = message.get("media")
        if not (isinstance(event, Sent) and event.kind is MediaKind.PHOTO and isinstance(url, str)):
            return None
        return partial(self._api.fetch, url)

    def _is_overtaken(self, address: Address, said: datetime | None) -> bool:
        """Whether something she did later was handled before: Viber brings again in any order."""
        newest = self._newest.get(address)
        return newest is not None and (said is None or said < newest)

    def _heard(self, address: Address, said: datetime | None) -> None:
        """When she wrote last, so that her leaving before that is not told too late."""
        if said is not None:
            _keep(self._newest, address, max(said, self._newest.get(address, said)))

    def _event(self, request: ViberMessageRequest, kind: str, prompt: bool) -> Event:
        message = request.message
        if isinstance(message, KeyboardMessage):
            return Sent(_KINDS.get(kind, MediaKind.OTHER), prompt)
        words = plain(_words(message.text if kind == MessageType.TEXT else message.media))
        if self._links.is_page(words):  # she reads on our page now: nothing stays open here
            language = self._links.language_of(words) or SOURCE_LANGUAGE
            return Tapped(Position(language, HIDE))
        if payload.stamp(words) is not None:
            return Tapped(payload.unpack(words), prompt and payload.is_fresh(words, self._now()))
        # A silent tap that is not ours comes from an old or a foreign button.
        return Tapped(None) if request.silent is True else Typed(words, prompt)

    def _refuse(self, status: int) -> Reply:
        self._notes.seldom(
            "call_refused" if status == 403 else "update_dropped"
        )  # whoever calls us must not fill the log
        return Reply(status)


def _keep(kept: OrderedDict[str, T], key: str, value: T) -> None:
    """Remember, and forget the oldest."""
    kept[key] = value
    kept.move_to_end(key)
    if len(kept) > MOST_KEPT:
        kept.popitem(last=False)


def _id(user: dict[str, Any]) -> dict[str, Any]:
    return {"id": user["id"]}


def _words(told: object) -> str:
    if not isinstance(told, str) or not told:
        raise TypeError
    return told


def _address(told: object) -> Address:
    """An id that can be sent and sealed. Raises `ValueError` for halves of characters in it."""
    address = _words(told)
    address.encode()
    return address


def _token(token: object) -> str:
    if type(token) is not int and not isinstance(token, str):
        raise TypeError
    return str(token)


def _moment(told: object) -> datetime | None:
    """Viber counts in milliseconds; what is absurd is no moment."""
    try:
        return datetime.fromtimestamp(int(str(told)) / 1000, UTC)
    except (ValueError, OverflowError, OSError):
        return None
