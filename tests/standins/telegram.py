"""A Bot API server on loopback that holds to its documentation, for as far as Phen uses it.

Real HTTP, real long polling, real refusals; what women see in their chats is at `Woman`.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import re
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from aiohttp import web

from tests.ports import Held
from tests.standins.member import Member
from tests.standins.telegram_hook import Caller
from tests.standins.woman import Woman

TOKEN = "4839201:AAE-stand-in_token_that-must_never-be-logged"
CAPTION, TEXT, DATA, BATCH = 1024, 4096, 64, 100
UPLOAD, DOWNLOAD, PHOTO = 50_000_000, 20_000_000, 10_000_000
DELETABLE = timedelta(hours=48)
ANONYMOUS = 1087968824
ANSWERABLE_SECONDS = 15 * 60
Json = dict[str, Any]


class ApiError(Exception):
    """A refusal as Telegram words it."""

    def __init__(self, code: int, description: str, **parameters: Any) -> None:
        super().__init__(description)
        self.code, self.description, self.parameters = code, description, parameters

    def answer(self) -> Json:
        told: Json = {"ok": False, "error_code": self.code, "description": self.description}
        return told | ({"parameters": self.parameters} if self.parameters else {})


def bad(description: str) -> ApiError:
    return ApiError(400, f"Bad Request: {description}")


@dataclass(slots=True)
class Call:
    """One request as it came, and the answer it got (None: none was given)."""

    method: str
    params: Json
    files: dict[str, bytes]
    at: float
    answer: Json | None = None


@dataclass(frozen=True, slots=True)
class Fault:
    """Something that goes wrong with one request. `method` None: with whichever comes next.

    kind: html (with `status`), raw (200, with `body`), drop_before (not acted), drop_after (acted,
    no answer), drip (acted, the answer comes a byte a second), refuse (with `error`).
    """

    kind: str
    method: str | None = None
    status: int = 502
    error: ApiError | None = None
    body: bytes = b""


@dataclass(slots=True)
class Shown:
    """One message in a chat."""

    id: int
    chat: int
    from_bot: bool
    date: datetime
    text: str | None = None
    caption: str | None = None
    photo: str | None = None  # file id
    audio: str | None = None
    voice: str | None = None
    title: str | None = None  # of the audio
    other: Json = field(default_factory=dict)
    buttons: list[list[Json]] = field(default_factory=list)
    edit_date: datetime | None = None
    protected: bool = False
    silent: bool = False
    sender: int | None = None  # who of a group; ANONYMOUS: an administrator who does not say
    thread: int | None = None  # the topic of a forum
    answers: int | None = None  # the message that it replies to

    @property
    def words(self) -> str:
        return self.text or self.caption or ""

    @property
    def content(self) -> tuple[Any, ...]:
        media = self.photo, self.audio, self.voice
        return self.text, self.caption, *media, json.dumps(self.buttons)


@dataclass(slots=True)
class Chat:
    """One conversation. `open` False: she blocked the bot, or it is out of the group.

    Of a group: who is in it, who of them are its owner and administrators, and who was put out.
    `rights` are the bot's.
    """

    id: int
    type: str = "private"
    open: bool = True
    takes_voice: bool = True  # False: she lets nobody send her voice messages
    messages: dict[int, Shown] = field(default_factory=dict)
    forum: bool = False
    topics: dict[int, str] = field(default_factory=dict)
    rights: set[str] = field(
        default_factory=lambda: {"manage_topics", "delete_messages", "restrict_members"}
    )
    members: set[int] = field(default_factory=set)
    owner: int | None = None
    admins: set[int] = field(default_factory=set)
    banned: set[int] = field(default_factory=set)
    moved_to: int | None = None
    budget: float = 20.0
    budget_at: float = 0.0


class TelegramStandIn:
    """The server. `limits` switches the 429s on.

    `per_second` is taken in any second, strictly; in one chat one a second, after `chat_burst`
    at once: with 1 that is strict, too.
    """

    def __init__(
        self,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        limits: bool = False,
        token: str = TOKEN,
    ) -> None:
        self.now, self.limits, self.token = now, limits, token
        self.per_second, self.chat_burst = 30, 20.0
        self.clock: Callable[[], float] = time.monotonic  # of the limits
        self.api = ""
        self.calls: list[Call] = []
        self.faults: deque[Fault] = deque()
        self.chats: dict[int, Chat] = {}
        self.files: dict[str, bytes] = {}
        self.paths: dict[str, str] = {}  # of what `getFile` was asked for: the file ids
        self.downloads: list[str] = []
        self.profile: dict[tuple[str, str], Any] = {}
        self.webhook = ""
        self.caller: Caller | None = None
        self.updates: list[Any] = []
        self.left: list[int] = []
        self._beside: dict[str, TelegramStandIn] = {}
        self._allowed: list[str] | None = None
        self._next_update, self._next_message, self._next_chat = 70_000_001, 100, 5_550_001
        self._queries: dict[str, float] = {}
        self._arrived = asyncio.Event()
        self._poll: asyncio.Event | None = None
        self._global = deque[float]()
        self._runner: web.AppRunner | None = None
        self._held: Held | None = None

    async def start(self) -> None:
        app = web.Application(client_max_size=20_000_000)
        app.router.add_route("*", "/bot{token}/{method}", self._serve)
        app.router.add_get("/file/bot{token}/{path:.+}", self._download)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await self._runner.setup()
        self._held = self._held or Held()
        await web.TCPSite(self._runner, "127.0.0.1", self._held.port).start()
        self.api = f"http://127.0.0.1:{self._held.port}"

    async def stop(self) -> None:
        """Close the port; `start` opens the same one again, with everything still there.

        But for a webhook: that is called no more until it is set anew.
        """
        if self.caller is not None:
            await self.caller.close()
            self.caller = None
        if self._runner:
            await self._runner.cleanup()
            self._runner = None

    def stands_beside(self, other: TelegramStandIn) -> None:
        """Another bot, with a token, chats and updates of its own, under this address."""
        self._beside[other.token] = other
        other.api = self.api

    # --- what tests do

    def woman(self) -> Woman:
        """Another woman, with a chat of her own."""
        self._next_chat += 1
        self.chats[self._next_chat] = Chat(self._next_chat)
        return Woman(self, self.chats[self._next_chat])

    def group(self, kind: str = "supergroup", *, forum: bool = False) -> Chat:
        self._next_chat += 1
        chat = Chat(-1_000_000_000_000 - self._next_chat, kind, forum=forum)
        self.chats[chat.id] = chat
        return chat

    def member(self, group: Chat, user: int) -> Member:
        """Somebody's phone in a group, whose member she becomes."""
        member = Member(self, group, user)
        member.joins()
        return member

    def migrate(self, old: Chat) -> Chat:
        """The group gets a newer id; everything in it goes along. Both chats are told."""
        new = self.group(forum=old.forum)
        new.topics, new.messages, new.rights = old.topics, old.messages, old.rights
        new.members, new.owner, new.admins, new.banned = (
            old.members, old.owner, old.admins, old.banned
        )  # fmt: skip
        for shown in new.messages.values():
            shown.chat = new.id
        old.topics, old.messages, old.moved_to = {}, {}, new.id
        for chat, told in ((old, {"migrate_to_chat_id": new.id}),
                           (new, {"migrate_from_chat_id": old.id})):  # fmt: skip
            note = self.add_message(chat, from_bot=False, sender=ANONYMOUS, other=told)
            self.push("message", self.message_json(note))
        return new

    def fail(self, *faults: Fault) -> None:
        self.faults.extend(faults)

    def called(self, method: str) -> list[Call]:
        return [call for call in self.calls if call.method == method]

    def push(self, kind: str, content: Any, update_id: int | None = None) -> int:
        """Put an update into the queue, unless its kind was not asked for."""
        if update_id is None:
            update_id = self._next_update
            self._next_update += 1
        if self._allowed is None or kind in self._allowed:
            self.push_raw({"update_id": update_id, kind: content})
        return update_id

    def push_raw(self, update: Any) -> None:
        self.updates.append(update)
        self._arrived.set()
        if self.caller is not None:
            self.caller.wake()

    def skip_ids(self, to: int) -> None:
        """A quiet week: the next update gets this id."""
        self._next_update = to

    def add_message(self, chat: Chat, **content: Any) -> Shown:
        self._next_message += 1
        shown = Shown(self._next_message, chat.id, date=self.now(), **content)
        chat.messages[shown.id] = shown
        return shown

    def query_id(self) -> str:
        query = str(88_000_000_000 + len(self._queries))
        self._queries[query] = time.monotonic()
        return query

    def picture(self, file_id: str | None) -> bytes | None:
        return self.files.get(file_id or "")

    def upload(self, content: bytes) -> str:
        """The id under which something that a user sent lies here."""
        file_id = f"AwAC{hashlib.sha256(content).hexdigest()[:20]}{len(self.files)}"
        self.files[file_id] = content
        return file_id

    # --- how things look on the wire

    def user(self, chat: Chat, sender: int | None = None) -> Json:
        # All that the line must never keep.
        user = sender or chat.id
        return {
            "id": user, "is_bot": False, "first_name": "Теменужка", "last_name": "Петрова",
            "username": f"temenuzhka{user}", "language_code": "de",
        }  # fmt: skip

    def bot_user(self) -> Json:
        return {"id": 4839201, "is_bot": True, "first_name": "Дом", "username": "dom_zdrave_bot"}

    def sender(self, shown: Shown) -> Json:
        if shown.from_bot:
            return self.bot_user()
        if shown.sender == ANONYMOUS:
            return {"id": ANONYMOUS, "is_bot": True, "first_name": "Group"}
        return self.user(self.chats[shown.chat], shown.sender)

    def _answered(self, shown: Shown) -> Json:
        """A message as it stands in the one that replies to it: without what it replies to."""
        told = self.message_json(shown)
        told.pop("reply_to_message", None)
        return told

    def chat_json(self, chat: Chat) -> Json:
        if chat.type != "private":
            told = {"id": chat.id, "type": chat.type, "title": "Съседите"}
            return told | ({"is_forum": True} if chat.forum else {})
        user = self.user(chat)
        return {"id": chat.id, "type": "private"} | {
            key: user[key] for key in ("first_name", "last_name", "username")
        }

    def message_json(self, shown: Shown) -> Json:
        chat = self.chats[shown.chat]
        told: Json = {
            "message_id": shown.id,
            "from": self.sender(shown),
            "chat": self.chat_json(chat),
            "date": int(shown.date.timestamp()),
        } | shown.other
        if shown.sender == ANONYMOUS:
            told["sender_chat"] = self.chat_json(chat)
        if shown.thread is not None:
            told |= {"message_thread_id": shown.thread, "is_topic_message": True}
        answered = chat.messages.get(shown.answers or shown.thread or 0)
        if answered is not None and answered is not shown:
            told["reply_to_message"] = self._answered(answered)
        if shown.edit_date:
            told["edit_date"] = int(shown.edit_date.timestamp())
        if shown.text is not None:
            told["text"] = shown.text
        if shown.caption:
            told["caption"] = shown.caption
        if shown.photo:
            told["photo"] = [
                {"file_id": f"{shown.photo}-s", "file_unique_id": "s", "width": 90, "height": 90},
                {"file_id": shown.photo, "file_unique_id": "x", "width": 640, "height": 640},
            ]
        if shown.audio:
            told["audio"] = {"file_id": shown.audio, "file_unique_id": "a", "duration": 9}
        if shown.voice:
            told["voice"] = {"file_id": shown.voice, "file_unique_id": "v", "duration": 9}
        if shown.buttons:
            told["reply_markup"] = {"inline_keyboard": shown.buttons}
        if shown.protected:
            told["has_protected_content"] = True
        return told

    # --- HTTP

    async def _serve(self, request: web.Request) -> web.StreamResponse:
        if other := self._beside.get(request.match_info["token"]):
            return await other._serve(request)
        method = request.match_info["method"]
        params, files = await _read(request)
        call = Call(method, params, files, time.monotonic())
        self.calls.append(call)
        fault = self._fault(method)
        if fault and fault.kind == "html":
            return web.Response(
                status=fault.status, text="<html>502 Bad Gateway</html>", content_type="text/html"
            )
        if fault and fault.kind == "raw":
            return web.Response(body=fault.body, content_type="application/json")
        if fault and fault.kind == "drop_before":
            _drop(request)
        call.answer = answer = await self._answer(request.match_info["token"], call, fault)
        if fault and fault.kind == "drop_after":
            _drop(request)
        if fault and fault.kind == "drip":
            return await _drip(request, answer)
        status = 200 if answer["ok"] else answer["error_code"]
        return web.json_response(answer, status=status)

    def _fault(self, method: str) -> Fault | None:
        if self.faults and self.faults[0].method in (None, method):
            return self.faults.popleft()
        return None

    async def _answer(self, token: str, call: Call, fault: Fault | None) -> Json:
        try:
            if token != self.token:
                raise ApiError(401, "Unauthorized")
            if fault and fault.error:
                raise fault.error
            name = re.sub(r"[A-Z]", lambda m: f"_{m[0].lower()}", call.method)
            handler = getattr(self, f"_do_{name}", None)
            if handler is None:
                raise ApiError(404, "Not Found")
            result = handler(call.params, call.files)
            return {"ok": True, "result": await result if hasattr(result, "__await__") else result}
        except ApiError as error:
            return error.answer()

    # --- updates

    async def _do_get_updates(self, params: Json, _: Any) -> list[Any]:
        if self.webhook:
            raise ApiError(
                409,
                "Conflict: can't use getUpdates method while webhook is active; "
                "use deleteWebhook to delete the webhook first",
            )
        if self._poll:
            self._poll.set()
        if params.get("allowed_updates") is not None:
            self._allowed = list(params["allowed_updates"]) or None
        if (offset := params.get("offset")) is not None:
            self._confirm(offset)
        limit = min(params.get("limit", BATCH), BATCH)
        mine = self._poll = asyncio.Event()
        try:
            await self._wait(mine, float(params.get("timeout", 0)))
        finally:
            if self._poll is mine:
                self._poll = None
        return self.updates[:limit]

    def _confirm(self, offset: int) -> None:
        if offset < 0:  # so many from the end; "all previous updates will be forgotten"
            self.updates = self.updates[offset:]
            return
        ids = [u["update_id"] for u in self.updates if _has_id(u)]
        if ids and offset > max(ids) + 10 and offset > self._next_update:
            return  # an offset from before a quiet week confirms nothing
        self.updates = [u for u in self.updates if not (_has_id(u) and u["update_id"] < offset)]
        while self.updates and not _has_id(self.updates[0]) and offset:
            self.updates.pop(0)

    async def _wait(self, mine: asyncio.Event, seconds: float) -> None:
        until = time.monotonic() + seconds
        while not self.updates and (left := until - time.monotonic()) > 0:
            self._arrived.clear()
            waits = [asyncio.ensure_future(event.wait()) for event in (mine, self._arrived)]
            await asyncio.wait(waits, timeout=left, return_when=asyncio.FIRST_COMPLETED)
            for each in waits:
                each.cancel()
            if mine.is_set():
                raise ApiError(
                    409,
                    "Conflict: terminated by other getUpdates request; "
                    "make sure that only one bot instance is running",
                )

    async def _do_set_webhook(self, params: Json, _: Any) -> bool:
        url, secret = params.get("url", ""), params.get("secret_token")
        if url and not url.startswith(("https://", "http://127.0.0.1:")):
            raise bad("bad webhook: An HTTPS URL must be provided for webhook")
        if secret is not None and not re.fullmatch(r"[A-Za-z0-9_-]{1,256}", secret):
            raise bad("secret token contains unallowed characters")
        await self._unhook(params)
        if params.get("allowed_updates") is not None:
            self._allowed = list(params["allowed_updates"]) or None
        self.webhook = url
        if url.startswith("http://127.0.0.1:"):
            self.caller = Caller(self, url, secret, params.get("max_connections", 40))
        return True

    async def _do_delete_webhook(self, params: Json, _: Any) -> bool:
        await self._unhook(params)
        return True

    async def _unhook(self, params: Json) -> None:
        self.webhook = ""
        if self.caller is not None:
            await self.caller.close()
            self.caller = None
        if params.get("drop_pending_updates"):
            self.updates.clear()

    def _do_get_webhook_info(self, params: Json, _: Any) -> Json:
        told: Json = {
            "url": self.webhook, "has_custom_certificate": False,
            "pending_update_count": len(self.updates),
        }  # fmt: skip
        if self.caller is not None:
            told |= {"max_connections": self.caller.connections}
            if self._allowed is not None:
                told |= {"allowed_updates": self._allowed}
            if self.caller.failed_at is not None:
                told |= {
                    "last_error_date": int(self.caller.failed_at.timestamp()),
                    "last_error_message": self.caller.failure,
                }
        return told

    def _do_get_me(self, params: Json, _: Any) -> Json:
        return self.bot_user() | {"can_join_groups": True}

    def _do_answer_callback_query(self, params: Json, _: Any) -> bool:
        asked = self._queries.get(params.get("callback_query_id", ""))
        if asked is None or time.monotonic() - asked > ANSWERABLE_SECONDS:
            raise bad("query is too old and response timeout expired or query ID is invalid")
        return True

    def _do_leave_chat(self, params: Json, _: Any) -> bool:
        chat = self._chat(params)
        chat.open = False
        self.left.append(chat.id)
        return True

    # --- members

    def _do_ban_chat_member(self, params: Json, _: Any) -> bool:
        chat, user = self._writable(params), int(params["user_id"])
        if chat.type == "private":
            raise bad("can't ban members in private chats")
        if user == chat.owner:
            raise bad("can't remove chat owner")
        if "restrict_members" not in chat.rights:
            raise bad("not enough rights to restrict/unrestrict chat member")
        if user in chat.admins:
            raise bad("user is an administrator of the chat")
        if user not in self.chats and user not in chat.members | chat.banned:
            raise bad("PARTICIPANT_ID_INVALID")
        chat.banned.add(user)
        if user in chat.members:
            chat.members.discard(user)
            told = {"left_chat_member": self.user(chat, user)}
            note = self.add_message(chat, from_bot=True, other=told)
            self.push("message", self.message_json(note))
        return True

    def _do_unban_chat_member(self, params: Json, _: Any) -> bool:
        chat, user = self._writable(params), int(params["user_id"])
        if chat.type not in ("supergroup", "channel"):
            raise bad("method is available for supergroup and channel chats only")
        if params.get("only_if_banned") and user not in chat.banned:
            return True
        if "restrict_members" not in chat.rights:
            raise bad("not enough rights to restrict/unrestrict chat member")
        chat.banned.discard(user)
        chat.members.discard(user)  # without `only_if_banned` who is in it goes
        return True

    # --- sending

    def _do_send_message(self, params: Json, _: Any) -> Json:
        chat = self._writable(params)
        text = params.get("text", "").strip()
        if not text:
            raise bad("message text is empty")
        if _units(text) > TEXT:
            raise bad("message is too long")
        thread = params.get("message_thread_id")
        if thread is not None and thread not in chat.topics:
            raise bad("message thread not found")
        return self.message_json(self._sent(chat, params, text=text))

    def _do_send_photo(self, params: Json, files: dict[str, bytes]) -> Json:
        chat = self._writable(params)
        caption = _caption(params)
        photo = self._file("photo", params.get("photo"), files)
        return self.message_json(self._sent(chat, params, caption=caption, photo=photo))

    def _do_send_audio(self, params: Json, files: dict[str, bytes]) -> Json:
        chat = self._writable(params)
        caption = _caption(params)
        audio = self._file("audio", params.get("audio"), files)
        if not self.files[audio].startswith((b"ID3", b"\xff")) and b"ftyp" not in self.files[audio]:
            raise bad("wrong type of the web page content")  # it takes .MP3 and .M4A
        told = {"caption": caption, "audio": audio, "title": params.get("title")}
        return self.message_json(self._sent(chat, params, **told))

    def _do_send_voice(self, params: Json, files: dict[str, bytes]) -> Json:
        chat = self._writable(params)
        caption = _caption(params)
        if not chat.takes_voice:
            raise bad("VOICE_MESSAGES_FORBIDDEN")
        voice = self._file("voice", params.get("voice"), files)
        shown = self._sent(chat, params, caption=caption, voice=voice)
        if b"OpusHead" not in self.files[voice]:  # then it becomes a file with a name
            shown.voice, shown.audio = None, voice
        return self.message_json(shown)

    def _do_get_file(self, params: Json, _: Any) -> Json:
        file_id = params.get("file_id")
        content = self.files.get(str(file_id))
        if content is None:
            raise bad("invalid file_id")
        if len(content) > DOWNLOAD:
            raise bad("file is too big")
        kind = "photos" if content.startswith((b"\x89PNG", b"\xff\xd8")) else "voice"
        path = f"{kind}/file_{len(self.paths)}.dat"
        self.paths[path] = str(file_id)
        told = {"file_id": file_id, "file_unique_id": "f", "file_size": len(content)}
        return told | {"file_path": path}

    async def _download(self, request: web.Request) -> web.StreamResponse:
        """A file's content, for an hour after `getFile`; the address holds the bot's token."""
        path = request.match_info["path"]
        self.downloads.append(path)
        fault = self._fault("download")
        if fault and fault.kind == "html":
            return web.Response(status=fault.status, text="<html>", content_type="text/html")
        if fault:
            _drop(request)
        if request.match_info["token"] != self.token or path not in self.paths:
            return web.json_response(ApiError(404, "Not Found").answer(), status=404)
        content = self.files[self.paths[path]]
        return web.Response(body=content, content_type="application/octet-stream")

    def _sent(self, chat: Chat, params: Json, **content: Any) -> Shown:
        return self.add_message(
            chat,
            from_bot=True,
            buttons=_keyboard(params),
            protected=bool(params.get("protect_content")),
            silent=bool(params.get("disable_notification")),
            thread=params.get("message_thread_id"),
            answers=self._reply(chat, params.get("reply_parameters")),
            **content,
        )

    def _reply(self, chat: Chat, wanted: Json | None) -> int | None:
        if not wanted:
            return None
        if wanted["message_id"] in chat.messages:
            return int(wanted["message_id"])
        if wanted.get("allow_sending_without_reply"):
            return None
        raise bad("message to be replied not found")

    # --- topics

    def _do_create_forum_topic(self, params: Json, _: Any) -> Json:
        chat = self._writable(params)
        if not chat.forum:
            raise bad("the chat is not a forum")
        if "manage_topics" not in chat.rights:
            raise bad("not enough rights to create a topic")
        name = str(params["name"])
        opened = self.add_message(chat, from_bot=True)
        opened.thread = opened.id
        opened.other = {"forum_topic_created": {"name": name, "icon_color": 7322096}}
        chat.topics[opened.id] = name
        return {"message_thread_id": opened.id, "name": name, "icon_color": 7322096}

    def _do_delete_forum_topic(self, params: Json, _: Any) -> bool:
        chat = self._writable(params)
        if "delete_messages" not in chat.rights:
            raise bad("not enough rights to delete a topic")
        if params["message_thread_id"] not in chat.topics:
            raise bad("TOPIC_ID_INVALID")
        self.drop_topic(chat, params["message_thread_id"])
        return True

    def drop_topic(self, chat: Chat, thread: int) -> None:
        """Delete a topic with all in it, as an administrator does by hand: no bot is told."""
        del chat.topics[thread]
        chat.messages = {n: each for n, each in chat.messages.items() if each.thread != thread}

    def _do_edit_message_caption(self, params: Json, _: Any) -> Json:
        shown = self._editable(params)
        if not (shown.photo or shown.audio or shown.voice):
            raise bad("there is no caption in the message to edit")
        return self._edited(shown, params, caption=_caption(params))

    def _do_edit_message_text(self, params: Json, _: Any) -> Json:
        shown = self._editable(params)
        if shown.text is None:
            raise bad("there is no text in the message to edit")
        return self._edited(shown, params, text=params["text"])

    def _do_edit_message_reply_markup(self, params: Json, _: Any) -> Json:
        return self._edited(self._editable(params), params)

    def _do_edit_message_media(self, params: Json, files: dict[str, bytes]) -> Json:
        shown = self._editable(params)
        media = params["media"]
        kind = {"photo": "photo", "audio": "audio"}.get(media.get("type"))
        if kind is None:
            raise bad("unsupported media type")
        if shown.voice:
            raise bad("message can't be edited")
        content: Json = {"text": None, "photo": None, "audio": None, "caption": _caption(media)}
        content[kind] = self._file(kind, media.get("media"), files)
        return self._edited(shown, params, **content)

    def _edited(self, shown: Shown, params: Json, **content: Any) -> Json:
        before = shown.content
        kept = {key: getattr(shown, key) for key in (*content, "buttons")}
        for key, value in (content | {"buttons": _keyboard(params)}).items():
            setattr(shown, key, value)
        if shown.content == before:
            for key, value in kept.items():
                setattr(shown, key, value)
            raise bad(
                "message is not modified: specified new message content and reply markup are "
                "exactly the same as a current content and reply markup of the message"
            )
        shown.edit_date = self.now()
        return self.message_json(shown)

    def _editable(self, params: Json) -> Shown:
        chat = self._writable(params)
        shown = chat.messages.get(params["message_id"])
        if shown is None:
            raise bad("message to edit not found")
        if not shown.from_bot:
            raise bad("message can't be edited")
        return shown

    # --- deleting

    def _do_delete_message(self, params: Json, _: Any) -> bool:
        chat = self._chat(params)
        shown = chat.messages.get(params["message_id"])
        if shown is None:
            raise bad("message to delete not found")
        self._delete(chat, [shown])
        return True

    def _do_delete_messages(self, params: Json, _: Any) -> bool:
        chat = self._chat(params)
        ids = params["message_ids"]
        if not 1 <= len(ids) <= BATCH:
            raise bad("too many message identifiers specified")
        self._delete(chat, [chat.messages[i] for i in ids if i in chat.messages])
        return True

    def _delete(self, chat: Chat, messages: list[Shown]) -> None:
        if any(self.now() - shown.date > DELETABLE for shown in messages):
            raise bad("message can't be deleted for everyone")
        for shown in messages:
            del chat.messages[shown.id]

    # --- chats, files, limits

    def _chat(self, params: Json) -> Chat:
        try:
            chat = self.chats.get(int(params["chat_id"]))
        except (KeyError, ValueError, TypeError, OverflowError):
            raise bad("chat_id is empty") from None
        if chat is None:
            raise bad("chat not found")
        if chat.moved_to is not None:
            upgraded = "Bad Request: group chat was upgraded to a supergroup chat"
            raise ApiError(400, upgraded, migrate_to_chat_id=chat.moved_to)
        return chat

    def _writable(self, params: Json) -> Chat:
        chat = self._chat(params)
        if not chat.open and chat.type != "private":
            raise ApiError(403, f"Forbidden: bot was kicked from the {chat.type} chat")
        if not chat.open:
            raise ApiError(403, "Forbidden: bot was blocked by the user")
        if self.limits:
            self._count(chat)
        return chat

    def _count(self, chat: Chat) -> None:
        now = self.clock()
        while self._global and now - self._global[0] > 1:
            self._global.popleft()
        chat.budget = min(chat.budget + (now - chat.budget_at), self.chat_burst)
        chat.budget_at = now
        if len(self._global) >= self.per_second or chat.budget < 1:
            seconds = 1 if len(self._global) >= self.per_second else 3
            raise ApiError(429, f"Too Many Requests: retry after {seconds}", retry_after=seconds)
        self._global.append(now)
        chat.budget -= 1

    def _file(self, kind: str, given: Any, files: dict[str, bytes]) -> str:
        content = files.get(kind)
        if isinstance(given, str) and given.startswith("attach://"):
            content = files.get(given.removeprefix("attach://"))
        if content is not None:
            if kind == "photo" and not content.startswith((b"\x89PNG", b"\xff\xd8")):
                raise bad("IMAGE_PROCESS_FAILED")
            if len(content) > (PHOTO if kind == "photo" else UPLOAD):
                raise ApiError(413, "Request Entity Too Large")
            file_id = f"AgAC{hashlib.sha256(content).hexdigest()[:20]}{len(self.files)}"
            self.files[file_id] = content
            return file_id
        if given not in self.files:
            raise bad("wrong file identifier/HTTP URL specified")
        return str(given)

    # --- profile

    def _do_set_my_name(self, params: Json, _: Any) -> bool:
        return self._set("name", params, params.get("name", ""), 64)

    def _do_set_my_description(self, params: Json, _: Any) -> bool:
        return self._set("description", params, params.get("description", ""), 512)

    def _do_set_my_short_description(self, params: Json, _: Any) -> bool:
        return self._set("short_description", params, params.get("short_description", ""), 120)

    def _do_set_my_commands(self, params: Json, _: Any) -> bool:
        for each in params["commands"]:
            if not re.fullmatch(r"[a-z0-9_]{1,32}", each["command"]):
                raise bad("BOT_COMMAND_INVALID")
        return self._set("commands", params, params["commands"], 100)

    def _set(self, what: str, params: Json, value: Any, longest: int) -> bool:
        language = params.get("language_code", "")
        if language and not re.fullmatch(r"[a-z]{2}", language):
            raise bad("invalid language code specified")
        if len(value) > longest:
            raise bad(f"{what} is too long")
        self.profile[what, language] = value
        return True

    def _get(self, what: str, params: Json, missing: Any) -> Any:
        dedicated = self.profile.get((what, params.get("language_code", "")))
        return dedicated or self.profile.get((what, ""), missing)

    def _do_get_my_name(self, params: Json, _: Any) -> Json:
        return {"name": self._get("name", params, "dom")}

    def _do_get_my_description(self, params: Json, _: Any) -> Json:
        return {"description": self._get("description", params, "")}

    def _do_get_my_short_description(self, params: Json, _: Any) -> Json:
        return {"short_description": self._get("short_description", params, "")}

    def _do_get_my_commands(self, params: Json, _: Any) -> list[Json]:
        commands: list[Json] = self._get("commands", params, [])
        return commands


async def _read(request: web.Request) -> tuple[Json, dict[str, bytes]]:
    """Parameters come as JSON, as a form, or as multipart with JSON in its fields."""
    if request.content_type == "application/json":
        return await request.json(), {}
    params: Json = {key: _value(key, value) for key, value in request.query.items()}
    files: dict[str, bytes] = {}
    for key, value in (await request.post()).items():
        if isinstance(value, web.FileField):
            files[key] = value.file.read()
        else:
            params[key] = _value(key, str(value))
    return params, files


_WORDS = {"text", "caption", "photo", "audio", "url", "callback_query_id", "parse_mode"} | {
    "voice", "file_id", "title", "name", "description", "short_description", "language_code",
}  # fmt: skip


def _value(key: str, value: str) -> Any:
    if key in _WORDS:
        return value
    try:
        return json.loads(value)
    except ValueError:
        return value


def _drop(request: web.Request) -> None:
    if request.transport:
        request.transport.abort()
    raise ConnectionResetError


async def _drip(request: web.Request, answer: Json) -> web.StreamResponse:
    response = web.StreamResponse(headers={"Content-Type": "application/json"})
    await response.prepare(request)
    for letter in json.dumps(answer):
        await response.write(letter.encode())
        await asyncio.sleep(0.2)
    return response


def _has_id(update: Any) -> bool:
    return isinstance(update, dict) and isinstance(update.get("update_id"), int)


def _units(text: str) -> int:
    return len(text.encode("utf-16-le")) // 2


def _caption(params: Json) -> str | None:
    caption: str | None = params.get("caption") or None
    if caption and _units(caption) > CAPTION:
        raise bad("message caption is too long")
    return caption


def _keyboard(params: Json) -> list[list[Json]]:
    rows: list[list[Json]] = (params.get("reply_markup") or {}).get("inline_keyboard", [])
    for button in (button for row in rows for button in row):
        if not button.get("text"):
            raise bad("can't parse inline keyboard button: text must be non-empty")
        if not 1 <= len(button.get("callback_data", "").encode()) <= DATA:
            raise bad("BUTTON_DATA_INVALID")
    if sum(map(len, rows)) > 100 or any(len(row) > 8 for row in rows):
        raise bad("REPLY_MARKUP_TOO_LONG")
    return [row for row in rows if row]
