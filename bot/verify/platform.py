"""A stand-in for Telegram on loopback: two bots, women's chats, one group with topics; and faults.

It gives each process an address of its own, so that it knows who calls. What happens goes into
the record; `moment` is told of every step of every call, and may hold it.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from random import Random
from typing import Any

from aiohttp import web

from bot.verify import record
from bot.verify.record import Event, Mention, mentions

LINE, DESK = "line", "desk"
TOKENS = {LINE: "1001:stand-in-for-the-line", DESK: "1002:stand-in-for-the-desk"}
GROUP_CHAT = -1_001_000_000_001
FIRST_WOMAN, FIRST_CONSULTANT = 500_001, 900_001
FIRST_MESSAGE = 1_000_000
FAULTS = {"lost": 4, "dropped": 3, "page": 3, "gateway": 3, "drip": 1, "flood": 1}
"""How often each comes among the calls that go wrong."""
DRIP_SECONDS = 0.4
Json = dict[str, Any]

KINDS = {
    (LINE, "sendMessage"): "message to her",
    (LINE, "sendPhoto"): "window sent",
    (LINE, "editMessageMedia"): "window edited",
    (LINE, "editMessageCaption"): "window edited",
    (LINE, "deleteMessage"): "removal",
    (LINE, "deleteMessages"): "removal",
    (LINE, "answerCallbackQuery"): "tap answered",
    (DESK, "sendMessage"): "message to the desk",
    (DESK, "editMessageText"): "desk edited",
    (DESK, "createForumTopic"): "topic opened",
    (DESK, "deleteForumTopic"): "topic deleted",
    (DESK, "answerCallbackQuery"): "press answered",
}
"""The calls in which a kill counts, by what they do."""


class Refusal(Exception):
    """An answer that is no."""

    def __init__(self, code: int, description: str, **parameters: Any) -> None:
        super().__init__(description)
        self.answer = {"ok": False, "error_code": code, "description": description}
        if parameters:
            self.answer["parameters"] = parameters


def bad(description: str) -> Refusal:
    return Refusal(400, f"Bad Request: {description}")


@dataclass(slots=True, eq=False)
class Call:
    """One call, and how far it is."""

    worker: int
    bot: str
    method: str
    given: Json
    acted: bool = False
    untold: bool = False
    """Nobody tells the program what became of it."""

    @property
    def kind(self) -> str | None:
        return KINDS.get((self.bot, self.method))


@dataclass(slots=True)
class Message:
    """What stands in a chat."""

    id: int
    from_bot: bool
    at: float
    words: str
    topic: int | None = None
    answers: int | None = None
    picture: bool = False
    buttons: list[Json] = field(default_factory=list)
    sender: int = 0
    edited_at: float | None = None


@dataclass(slots=True)
class Chat:
    """One chat."""

    id: int
    name: str
    last: int
    """The number of its newest message; no number stands in two chats."""
    messages: dict[int, Message] = field(default_factory=dict)


@dataclass(slots=True)
class Updates:
    """What waits for one bot."""

    waiting: list[Json] = field(default_factory=list)
    next_id: int = 1
    came: asyncio.Event = field(default_factory=asyncio.Event)
    newest: object = None  # the question that is answered; an older one is ended by it
    fetched: dict[int, set[int]] = field(default_factory=dict)  # by which processes
    wrote: dict[int, Mention] = field(default_factory=dict)


Moment = Callable[[str, Call], Awaitable[None]]
"""Told of a call that is "received", "acted" on, "answered", or "dropped" without an answer."""


async def _nothing(what: str, call: Call) -> None:
    return


class Platform:
    """The server."""

    def __init__(self, dice: Random, faults: float) -> None:
        self.dice, self.faults = dice, faults
        self.moment: Moment = _nothing
        self.record: list[Event] = []
        self.stood: set[tuple[str, Mention]] = set()
        """What has ever stood in whose chat."""
        self.group = Chat(GROUP_CHAT, record.GROUP, FIRST_MESSAGE)
        self.topics: dict[int, str] = {}
        self.chats: dict[int, Chat] = {GROUP_CHAT: self.group}
        self.updates = {LINE: Updates(), DESK: Updates()}
        self.under_way: set[Call] = set()
        self.last_answer = self.last_drop = self.last_fetch = float("-inf")
        self.polled: set[tuple[int, str]] = set()  # who has asked for updates since its start
        self.alive: set[int] = set()
        self.dead: set[int] = set()
        """Each start of a process has a number of its own, which never comes back."""
        self._queries = 1
        self._began = time.monotonic()
        self._runner: web.AppRunner | None = None
        self._base = ""

    async def start(self) -> None:
        app = web.Application(client_max_size=20_000_000)
        app.router.add_post("/{worker}/bot{token}/{method}", self._serve)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        self._base = f"http://127.0.0.1:{self._runner.addresses[0][1]}"

    async def stop(self) -> None:
        if self._runner is not None:
            await self._runner.cleanup()

    def address(self, worker: int) -> str:
        """Where this process finds Telegram."""
        return f"{self._base}/{worker}"

    @property
    def now(self) -> float:
        return round(time.monotonic() - self._began, 4)

    # --- who is here

    def woman(self, name: str) -> Chat:
        return self._chat_of(FIRST_WOMAN + len(self.chats), name)

    def consultant(self, number: int) -> Chat:
        return self._chat_of(FIRST_CONSULTANT + number, record.STAFF)

    def _chat_of(self, number: int, name: str) -> Chat:
        chat = Chat(number, name, (1 + len(self.chats)) * FIRST_MESSAGE)
        self.chats[chat.id] = chat
        return chat

    # --- what people do

    def writes(self, chat: Chat, words: str, sender: int, topic: int | None = None) -> Message:
        """Somebody writes; the update waits for the bot of that chat."""
        bot = LINE if chat.name not in (record.GROUP, record.STAFF) else DESK
        message = self._add(chat, words, sender=sender, topic=topic)
        update = self._push(bot, "message", self._told(chat, message))
        said = next(iter(mentions(words)), None)
        if bot == LINE and said is not None:
            self.updates[bot].wrote[update] = said
            self.note(record.Wrote(at=self.now, woman=said.woman, number=said.number))
        elif said is not None and said.kind == record.ANSWER and topic is not None:
            self.note(
                record.Answered(
                    at=self.now,
                    woman=said.woman,
                    number=said.number,
                    topic=topic,
                    message=message.id,
                )
            )
        return message

    def presses(self, chat: Chat, message: Message, data: str, sender: int) -> None:
        """Somebody presses a button."""
        self._queries += 1
        self._push(
            LINE if chat.name not in (record.GROUP, record.STAFF) else DESK,
            "callback_query",
            {
                "id": str(self._queries),
                "from": {"id": sender, "is_bot": False, "first_name": "-"},
                "chat_instance": "1",
                "message": self._told(chat, message),
                "data": data,
            },
        )

    def note(self, event: Event) -> None:
        self.record.append(event)

    def died(self, worker: int) -> None:
        """A process is gone: what it had asked for is answered to nobody."""
        self.alive.discard(worker)
        self.dead.add(worker)
        self.polled = {(who, bot) for who, bot in self.polled if who != worker}
        for call in [call for call in self.under_way if call.worker == worker]:
            self._untold(call)
            self.under_way.discard(call)
        for updates in self.updates.values():
            updates.came.set()

    def fetched_again(self, worker: int) -> bool:
        """Whether this process has been given what another one had fetched before."""
        return any(
            before != worker
            for updates in self.updates.values()
            for update in updates.waiting
            for before in updates.fetched.get(update["update_id"], ())
        )

    def unconfirmed(self) -> bool:
        """Whether something was fetched and not acknowledged."""
        return any(
            update["update_id"] in updates.fetched
            for updates in self.updates.values()
            for update in updates.waiting
        )

    def quiet(self) -> bool:
        """Whether nothing waits to be fetched, and nothing is under way."""
        return not self.under_way and not any(each.waiting for each in self.updates.values())

    # --- the wire

    async def _serve(self, request: web.Request) -> web.StreamResponse:
        worker = int(request.match_info["worker"])
        bot = next((b for b, t in TOKENS.items() if t == request.match_info["token"]), None)
        if bot is None:
            return web.json_response(Refusal(401, "Unauthorized").answer, status=401)
        try:
            given = await _read(request)
        except ConnectionError:  # it was killed while it wrote
            return _hang_up(request)
        call = Call(worker, bot, request.match_info["method"], given)
        fault = self._fault()
        if call.method == "getUpdates":
            return await self._poll(request, call, fault)
        self.under_way.add(call)
        try:
            return await self._answered(request, call, fault)
        finally:
            self.under_way.discard(call)

    async def _answered(
        self, request: web.Request, call: Call, fault: str | None
    ) -> web.StreamResponse:
        if call.worker in self.dead:  # it was on its way when its process died
            self._untold(call)
        await self.moment("received", call)
        if call.worker in self.dead and self.dice.random() < 0.5:
            return _hang_up(request)
        if fault == "dropped":
            return await self._drop(request, call)
        if fault == "gateway":
            self._untold(call)
            return web.Response(status=502, text="<html>502</html>", content_type="text/html")
        if fault == "flood":
            flood = Refusal(429, "Too Many Requests: retry after 1", retry_after=1)
            return web.json_response(flood.answer, status=429)
        answer = self._act(call)
        call.acted = True
        await self.moment("acted", call)
        if call.worker in self.dead:
            return _hang_up(request)
        if fault == "lost":
            return await self._drop(request, call)
        if fault == "page":
            self._untold(call)
            return web.Response(text="<html>Welcome</html>", content_type="text/html")
        if fault == "drip":
            self._untold(call)
            return await _drip(request, answer)
        self.last_answer = self.now
        await self.moment("answered", call)
        return web.json_response(answer, status=200 if answer["ok"] else answer["error_code"])

    def _fault(self) -> str | None:
        if self.dice.random() >= self.faults:
            return None
        return self.dice.choices(list(FAULTS), list(FAULTS.values()))[0]

    async def _drop(self, request: web.Request, call: Call) -> web.StreamResponse:
        self._untold(call)
        self.last_drop = self.now
        await self.moment("dropped", call)
        return _hang_up(request)

    def _untold(self, call: Call) -> None:
        """The program will never know what became of this call."""
        if call.untold or (call.bot, call.method) != (LINE, "sendMessage"):
            return
        call.untold = True
        for said in mentions(str(call.given.get("text", ""))):
            if said.kind == record.ANSWER:
                self.note(record.Unsure(at=self.now, woman=said.woman, number=said.number))

    # --- updates

    async def _poll(
        self, request: web.Request, call: Call, fault: str | None
    ) -> web.StreamResponse:
        updates = self.updates[call.bot]
        if fault in ("dropped", "gateway"):
            return web.Response(status=502, text="<html>", content_type="text/html")
        self.polled.add((call.worker, call.bot))
        self.note(record.Polled(at=self.now, bot=call.bot, worker=call.worker))
        mine = updates.newest = object()
        updates.came.set()
        if (offset := call.given.get("offset")) is not None:
            self._confirm(updates, offset)
        until = time.monotonic() + float(call.given.get("timeout", 0))
        while not updates.waiting and (left := until - time.monotonic()) > 0:
            updates.came.clear()
            try:
                await asyncio.wait_for(updates.came.wait(), left)
            except TimeoutError:
                break
            if call.worker in self.dead:
                return _hang_up(request)
            if updates.newest is not mine:
                other = Refusal(409, "Conflict: terminated by other getUpdates request")
                return web.json_response(other.answer, status=409)
        batch = updates.waiting[:100]
        for update in batch:
            updates.fetched.setdefault(update["update_id"], set()).add(call.worker)
        if batch:
            self.last_fetch = self.now
            await self.moment("fetched", call)
        if fault == "lost":
            return _hang_up(request)
        return web.json_response({"ok": True, "result": batch})

    def _confirm(self, updates: Updates, offset: int) -> None:
        for update in [each for each in updates.waiting if each["update_id"] < offset]:
            updates.waiting.remove(update)
            updates.fetched.pop(update["update_id"], None)
            said = updates.wrote.pop(update["update_id"], None)
            if said is not None:
                self.note(record.Taken(at=self.now, woman=said.woman, number=said.number))

    def _push(self, bot: str, kind: str, content: Json) -> int:
        updates = self.updates[bot]
        update_id = updates.next_id
        updates.next_id += 1
        updates.waiting.append({"update_id": update_id, kind: content})
        updates.came.set()
        return update_id

    # --- what the calls do

    def _act(self, call: Call) -> Json:
        try:
            return {"ok": True, "result": self._do(call.bot, call.method, call.given)}
        except Refusal as refusal:
            return refusal.answer

    def _do(self, bot: str, method: str, given: Json) -> Any:
        match method:
            case "getMe":
                return _me(bot)
            case "sendMessage" | "sendPhoto":
                return self._say(method == "sendPhoto", given)
            case "editMessageText" | "editMessageCaption" | "editMessageMedia":
                return self._edit(method == "editMessageMedia", given)
            case "deleteMessage":
                return self._remove(
                    given, [given["message_id"]], bad("message to delete not found")
                )
            case "deleteMessages":
                return self._remove(given, given["message_ids"], None)
            case "createForumTopic":
                return self._open(str(given["name"]))
            case "deleteForumTopic":
                return self._delete(given["message_thread_id"])
            case "getMyName":
                return {"name": ""}
            case "getMyDescription":
                return {"description": ""}
            case "getMyShortDescription":
                return {"short_description": ""}
            case "getMyCommands":
                return []
            case _:
                return True

    def _say(self, picture: bool, given: Json) -> Json:
        chat = self._chat(given)
        topic = given.get("message_thread_id")
        if topic is not None and topic not in self.topics:
            raise bad("message thread not found")
        answers = (given.get("reply_parameters") or {}).get("message_id")
        message = self._add(
            chat,
            str(given.get("caption" if picture else "text", "")),
            from_bot=True,
            topic=topic,
            answers=answers if answers in chat.messages else None,
            picture=picture,
            buttons=_buttons(given),
        )
        self.stood |= {(chat.name, said) for said in mentions(message.words)}
        self.note(
            record.Said(
                at=self.now,
                message=message.id,
                chat=chat.name,
                words=message.words,
                topic=topic,
                answers=message.answers,
                window=picture,
            )
        )
        return self._told(chat, message)

    def _edit(self, media: bool, given: Json) -> Json:
        chat = self._chat(given)
        message = chat.messages.get(given["message_id"])
        if message is None:
            raise bad("message to edit not found")
        content = given["media"] if media else given
        words = str(content.get("caption" if message.picture else "text", ""))
        if not media and (words, _buttons(given)) == (message.words, message.buttons):
            raise bad("message is not modified")
        message.words, message.buttons = words, _buttons(given)
        message.edited_at = time.time()
        self.stood |= {(chat.name, said) for said in mentions(words)}
        self.note(record.Changed(at=self.now, message=message.id, words=words))
        return self._told(chat, message)

    def _remove(self, given: Json, numbers: list[int], refusal: Refusal | None) -> bool:
        chat = self._chat(given)
        for number in numbers:
            if chat.messages.pop(number, None) is not None:
                self.note(record.Removed(at=self.now, message=number))
            elif refusal is not None:
                raise refusal
        return True

    def _open(self, name: str) -> Json:
        opened = self._add(self.group, "", from_bot=True)
        opened.topic = opened.id
        self.topics[opened.id] = name
        self.note(record.Opened(at=self.now, topic=opened.id))
        return {"message_thread_id": opened.id, "name": name, "icon_color": 7322096}

    def _delete(self, topic: int) -> bool:
        if self.topics.pop(topic, None) is None:
            raise bad("TOPIC_ID_INVALID")
        there = self.group.messages
        self.group.messages = {n: each for n, each in there.items() if each.topic != topic}
        self.note(record.Deleted(at=self.now, topic=topic))
        return True

    def _chat(self, given: Json) -> Chat:
        chat = self.chats.get(int(given["chat_id"]))
        if chat is None:
            raise bad("chat not found")
        return chat

    def _add(self, chat: Chat, words: str, **other: Any) -> Message:
        chat.last += 1
        told = {"from_bot": False} | other
        message = Message(chat.last, at=time.time(), words=words, **told)
        chat.messages[message.id] = message
        return message

    def _told(self, chat: Chat, message: Message) -> Json:
        """A message as it looks on the wire."""
        private = chat is not self.group
        where: Json = {"id": chat.id, "type": "private" if private else "supergroup"}
        who: Json = {"id": message.sender, "is_bot": message.from_bot, "first_name": "-"}
        told: Json = {
            "message_id": message.id,
            "date": int(message.at),
            "chat": where,
            "from": who,
        }
        if message.topic is not None:
            told |= {"message_thread_id": message.topic, "is_topic_message": True}
        if message.edited_at is not None:
            told["edit_date"] = int(message.edited_at)
        if message.picture:
            size = {"file_id": "picture", "file_unique_id": "p", "width": 640, "height": 640}
            told |= {"photo": [size], "caption": message.words}
        elif message.words:
            told["text"] = message.words
            if message.words.startswith("/"):
                length = len(message.words.split()[0])
                told["entities"] = [{"type": "bot_command", "offset": 0, "length": length}]
        return told


def _me(bot: str) -> Json:
    return {"id": 1001, "is_bot": True, "first_name": bot, "username": f"{bot}_bot"}


def _buttons(given: Json) -> list[Json]:
    rows = (given.get("reply_markup") or {}).get("inline_keyboard", [])
    return [button for row in rows for button in row]


async def _read(request: web.Request) -> Json:
    """The fields of a form, of which some hold JSON; what is uploaded is not kept."""
    return {
        key: _value(key, value)
        for key, value in (await request.post()).items()
        if isinstance(value, str)
    }


_PLAIN = {"text", "caption", "photo", "callback_query_id", "name", "description"}


def _value(key: str, value: str) -> Any:
    if key in _PLAIN:
        return value
    try:
        return json.loads(value)
    except ValueError:
        return value


def _hang_up(request: web.Request) -> web.StreamResponse:
    if request.transport is not None:
        request.transport.abort()
    return web.Response()  # to nobody


async def _drip(request: web.Request, answer: Json) -> web.StreamResponse:
    response = web.StreamResponse(headers={"Content-Type": "application/json"})
    await response.prepare(request)
    with contextlib.suppress(ConnectionError):
        for letter in json.dumps(answer):
            await response.write(letter.encode())
            await asyncio.sleep(DRIP_SECONDS)
    return response
