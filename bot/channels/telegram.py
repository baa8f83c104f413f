"""Telegram: what comes in by polling or by its calls, one live window, nothing left behind.

Two promises hold everywhere here. Nothing that came from her, no id and no token reaches a log
or an exception; and whatever Telegram answers becomes one of the verdicts of `base`
(`telegram_api`).
"""

from __future__ import annotations

import asyncio
import random
import re
from collections import Counter
from collections.abc import Callable, Coroutine, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any

from telegram import CallbackQuery, Message, Update
from telegram.constants import ChatType

from bot.channels.base import (
    MAX_MEDIUM,
    Address,
    Fetch,
    Handle,
    Incoming,
    Intake,
    Limits,
    Outgoing,
    Refused,
    SendError,
    Unauthorised,
    Unknown,
    Unreached,
)
from bot.channels.chats import BATCH, RATES, Chats
from bot.channels.http import AnswerLost, Http, NothingLeft, TooLarge
from bot.channels.pace import Rates
from bot.channels.pictures import MediaIds, Pictures
from bot.channels.polling import LATE, SKEW, Poller, is_recent
from bot.channels.telegram_api import (
    CONNECT_SECONDS,
    AiohttpRequest,
    Calls,
    MuteBot,
    Webhooks,
    ask,
    quietly,
    updates_for,
)
from bot.channels.telegram_hook import Order, TelegramHook
from bot.channels.telegram_profile import Introduction, Profile
from bot.channels.updates import Membership, bare, file_of, medium_of, membership_of, words_of
from bot.channels.words import is_code, plain
from bot.privacy.redact import EventLog
from bot.tasks import Tasks
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
    per_second=RATES.per_second,
)
COVER_PICTURE = "cover"
FETCH_SECONDS = 30.0

_FILE_PATH = re.compile(r"[A-Za-z0-9_-]+(/[A-Za-z0-9_-]+)*(\.[A-Za-z0-9]+)?")
_log = EventLog("telegram")


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
        rates: Rates | None = None,
    ) -> None:
        """`api` is the base address, such as https://api.telegram.org. `pictures` holds
        <name>.png, `cover.png` among them: it stands in for what is missing, and over what
        Telegram no longer lets us delete. Without a `webhook` Telegram is asked for updates;
        `contested` is called when somebody else asks for them, too. `rates` are Telegram's, where
        they are not `chats.RATES`.
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
        self._chats = Chats(Calls(self._bot), covered, rates)
        self._profile, self._now, self._random = profile, now, random
        if rates is not None:
            self.limits = replace(LIMITS, per_second=rates.per_second)
        self._username: str | None = None
        self._aside = Tasks()
        self._poller: Poller[_Taken] | None = None
        self.hook: TelegramHook[_Taken] | None = None
        if webhook is not None:
            told = webhook.url, webhook.secret, Webhooks(self._bot)
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
        introduction = Introduction(self._bot, ask, self._profile)
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

    async def remove(
        self, address: Address, handles: Sequence[Handle], *, urgent: bool = True
    ) -> None:
        """Remove messages. What is over 48 hours old and is ours becomes the bare cover.

        Raises `Refused`, after all else was done, when something of hers is too old.
        """
        numbers = sorted({_number(handle) for handle in handles})
        await self._chats.remove(_number(address), numbers, urgent=urgent)

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

    async def notify(
        self, addresses: Sequence[Address], message: Outgoing
    ) -> Sequence[Handle | SendError]:
        """A new message below all others, after all that is urgent."""
        self.limits.check(addresses)
        return [await self._notify(address, message) for address in addresses]

    async def _notify(self, address: Address, message: Outgoing) -> Handle | SendError:
        try:
            return str(await self._chats.notify(_number(address), message))
        except SendError as error:
            return error

    async def link(self, code: str) -> str | None:
        """The address that opens the chat with this code; None while nobody tells our name."""
        if self._username is None:
            with suppress(SendError):
                await self._named()
        if self._username is None or not is_code(code):
            return None
        return f"https://t.me/{self._username}?start={code}"

    async def close(self) -> None:
        """Close the connections."""
        await self._aside.cancel()
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
            self._beside(ask(self._bot.answer_callback_query(update.callback_query.id)))
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
        told = await ask(self._bot.place_of(file_id))
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
        self._beside(ask(self._bot.leave_chat(chat)))

    # --- aside

    def _beside(self, call: Coroutine[Any, Any, object]) -> None:
        """Run what may fail without anybody noticing, and without holding anybody up."""
        self._aside.spawn(quietly(call))

    def _note(self, code: str) -> None:
        self.events[code] += 1
        _log.event(code)

    # --- at the start

    async def _named(self) -> None:
        self._username = (await ask(self._bot.get_me())).username

    async def _open_line(self) -> None:
        calls: list[Callable[[], Coroutine[Any, Any, object]]] = [self._named]
        if self.hook is None:
            calls.append(partial(self._bot.delete_webhook, drop_pending_updates=False))
        for call in calls:
            try:
                await ask(call())
            except Unauthorised:
                self.events["unauthorised"] += 1
                _log.alarm("unauthorised")
                raise
            except SendError:
                self._note("poll_failed")


def _number(handle: str) -> int:
    try:
        return int(handle)
    except ValueError:
        pass
    raise Refused
