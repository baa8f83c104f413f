"""A stand-in for Telegram that is fast and keeps count: what every contestant is measured by.

It answers after a delay that can be set, plays the women, and looks at each screen that arrives.
A process of its own, started by the bench; `/control/<what>` sets it to work.
"""

from __future__ import annotations

import asyncio
import json
import os
import random
import sys
import time
from collections import deque
from dataclasses import asdict, dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

from aiohttp import web

from bench import tree
from bench.recipients import Recipients, TooMany
from bench.tree import Tree

WARM_SECONDS = 0.5
"""Before anything is counted."""
PATIENCE = 60.0
"""Seconds until what has not come counts as lost."""
FIRST_CHAT = 5_550_001
WORDS = "Добър ден, чува ли ме някой? Пише ви жена номер"
_BOT = '{"id":4839201,"is_bot":true,"first_name":"Дом","username":"dom_bot"}'
_TRUE = b'{"ok":true,"result":true}'
_PROFILE = {
    "getme": {"id": 4839201, "is_bot": True, "first_name": "Дом", "username": "dom_bot"},
    "getmyname": {"name": ""},
    "getmydescription": {"description": ""},
    "getmyshortdescription": {"short_description": ""},
    "getmycommands": [],
}
_PHOTO = (
    '"photo":[{"file_id":"AgACphoto","file_unique_id":"x","width":640,"height":640,'
    '"file_size":21000}],'
)

Told = dict[str, Any]


@dataclass(slots=True)
class Woman:
    """One phone: the window on it, and what she waits for."""

    chat: int
    node: str = ""
    window: int = 0
    last: int = 0  # number of the newest message in the chat
    body: str = ""  # of the window, as JSON
    buttons: list[str] = field(default_factory=list)
    expects: str | None = None  # the screen that her tap leads to; None once it has come
    turning: int = 0  # which of the two calls of her tap are not yet answered
    tapped_at: float = 0.0
    handed_at: float = 0.0
    said: int = 0  # to the desk, and which of it was answered
    answered: int = 0
    thinks: asyncio.TimerHandle | None = None  # until she writes again
    arrived: asyncio.Event = field(default_factory=asyncio.Event)


@dataclass(slots=True)
class Count:
    """What was seen while it was counted, in seconds."""

    edits: int = 0
    from_handed: list[float] = field(default_factory=list)
    from_tapped: list[float] = field(default_factory=list)
    to_desk: list[float] = field(default_factory=list)
    from_desk: list[float] = field(default_factory=list)


class Bot:
    """One contestant's bot, with its women."""

    def __init__(self, screens: Tree, chats: int) -> None:
        self.tree, self._chats = screens, chats
        self.exits = {name: screens.exits(name) for name in screens.screens}
        self.delay = 0.0
        self.resting = 0.0  # the delay while nothing is measured
        self.ahead = 0.0  # seconds by which its clock is before the machine's
        self.recipients: Recipients | None = None
        self.entry: str | None = None
        self.women: dict[int, Woman] = {}
        self.polled = asyncio.Event()
        self._pending: deque[tuple[int, bytes, Woman]] = deque()
        self._arrived = asyncio.Event()
        self._next_update, self._handed = 1, 0
        self._unanswered: dict[str, Woman] = {}
        self._count: Count | None = None
        self._goes_on = self._talks = False
        self._pause = 0.0
        self.pid = 0
        self.faults: dict[str, int] = {}

    # --- what the bot calls

    async def call(self, method: str, fields: dict[str, str]) -> bytes:
        """Act on one call, and answer it after the delay. Raises `TooMany`."""
        if method == "getupdates":
            return await self._updates(fields)
        if self.recipients is not None and "chat_id" in fields:
            self.recipients.allow(method, int(fields["chat_id"]), time.monotonic())
        answer, then = self._act(method, fields)
        if self.delay:
            await asyncio.sleep(self.delay)
        if then is not None:
            self._done(then, edit=method.startswith("edit"))
        return answer

    def _act(self, method: str, fields: dict[str, str]) -> tuple[bytes, Woman | None]:
        match method:
            case "answercallbackquery":
                woman = self._unanswered.pop(fields["callback_query_id"], None)
                if woman is None:
                    self._fault("answered twice")
                return _TRUE, woman
            case "editmessagetext" | "editmessagecaption" | "editmessagemedia":
                return self._edited(method, fields)
            case "sendmessage" | "sendphoto":
                return self._sent(method, fields)
            case _ if method in _PROFILE:
                return json.dumps({"ok": True, "result": _PROFILE[method]}).encode(), None
            case _ if not method.startswith(("delete", "set", "close", "logout")):
                self._fault(f"unknown call {method}")
        return _TRUE, None

    async def _updates(self, fields: dict[str, str]) -> bytes:
        began = time.monotonic()
        if offset := int(fields.get("offset") or 0):
            while self._pending and self._pending[0][0] < offset:
                self._pending.popleft()
        self.polled.set()
        until = began + float(fields.get("timeout") or 0)
        while not self._pending and (left := until - time.monotonic()) > 0:
            self._arrived.clear()
            try:
                await asyncio.wait_for(self._arrived.wait(), left)
            except TimeoutError:
                break
        if (rest := began + self.delay - time.monotonic()) > 0:
            await asyncio.sleep(rest)
        batch = list(islice(self._pending, int(fields.get("limit") or 100)))
        now = time.monotonic()
        for number, _, woman in batch:
            if number > self._handed:
                self._handed, woman.handed_at = number, now
        return b'{"ok":true,"result":[' + b",".join(update for _, update, _ in batch) + b"]}"

    def _edited(self, method: str, fields: dict[str, str]) -> tuple[bytes, Woman | None]:
        woman = self.women[int(fields["chat_id"])]
        now = time.monotonic()
        if int(fields["message_id"]) != woman.window:
            self._fault("another message edited")
            return _TRUE, None
        picture = method != "editmessagetext"
        if method == "editmessagemedia":
            text = json.loads(fields["media"]).get("caption", "")
        else:
            text = fields["caption" if picture else "text"]
        self._stands(woman, text, fields.get("reply_markup", ""), picture=picture)
        told = self._told(woman, woman.window, woman.body, edited=True)
        if woman.expects is None:
            if not self._talks:
                self._fault("edited without a tap")
            return told, None
        if not self._talks and text != self.tree.screens[woman.expects].text:
            self._fault("wrong screen")
        if self._count is not None:
            self._count.from_tapped.append(now - woman.tapped_at)
            self._count.from_handed.append(now - woman.handed_at)
        woman.node, woman.expects = woman.expects, None
        return told, woman

    def _sent(self, method: str, fields: dict[str, str]) -> tuple[bytes, Woman | None]:
        if self.recipients is not None and int(fields["chat_id"]) in self.recipients:
            return self._notified(int(fields["chat_id"]), self.recipients), None
        woman = self.women[int(fields["chat_id"])]
        picture = method == "sendphoto"
        text = fields.get("caption", "") if picture else fields["text"]
        if self._talks and not picture:
            self._replied(woman, text)
            woman.last += 1
            plain = f'"text":{json.dumps(text, ensure_ascii=False)}'
            return self._told(woman, woman.last, plain, edited=False), None
        woman.last += 1
        woman.window = woman.last
        self._stands(woman, text, fields.get("reply_markup", ""), picture=picture)
        told = self._told(woman, woman.window, woman.body, edited=False)
        if self.entry is None:
            woman.node = self.tree.home
            woman.arrived.set()
        elif woman.expects is None:
            self._tap(woman, self.entry, self.tree.home)
        return told, None

    def _notified(self, chat: int, recipients: Recipients) -> bytes:
        recipient = Woman(chat)
        return self._told(recipient, recipients.take(chat), f'{_PHOTO}"caption":""', edited=False)

    def _stands(self, woman: Woman, text: str, markup: str, *, picture: bool) -> None:
        said = json.dumps(text, ensure_ascii=False)
        words = f'{_PHOTO}"caption":{said}' if picture else f'"text":{said}'
        woman.body = f'{words},"reply_markup":{markup or "null"}'
        rows = json.loads(markup)["inline_keyboard"] if markup else []
        woman.buttons = [button["callback_data"] for row in rows for button in row]

    # --- what the women do

    def _done(self, woman: Woman, *, edit: bool) -> None:
        """One call of a tap's is answered. After both, nothing turns any more, and she goes on."""
        woman.turning -= 1
        if edit and self._count is not None:
            self._count.edits += 1
        if not woman.turning:
            woman.arrived.set()
            if self._goes_on and not self._talks:
                self._tap_on(woman)

    def _tap_on(self, woman: Woman) -> None:
        place, to = random.choice(self.exits[woman.node])
        self._tap(woman, woman.buttons[place], to)

    def _tap(self, woman: Woman, data: str, expects: str) -> None:
        query = str(88_000_000_000 + self._next_update)
        self._unanswered[query] = woman
        woman.expects, woman.turning, woman.tapped_at = expects, 2, time.monotonic()
        self._push(
            woman,
            f'"callback_query":{{"id":"{query}","from":{_user(woman)},"message":'
            f"{self._message(woman, woman.window, woman.body, edited=bool(woman.node))},"
            f'"chat_instance":"1","data":{json.dumps(data)}}}',
        )

    def _says(self, woman: Woman, text: str) -> None:
        woman.last += 1
        woman.tapped_at = time.monotonic()
        said = json.dumps(text, ensure_ascii=False)
        command = f'"entities":[{{"type":"bot_command","offset":0,"length":{len(text)}}}],'
        self._push(
            woman,
            f'"message":{{"message_id":{woman.last},"from":{_user(woman)},'
            f'"chat":{_chat(woman)},"date":{self._now()},'
            f'{command if text.startswith("/") else ""}"text":{said}}}',
        )

    def _says_after(self, woman: Woman, pause: float) -> None:
        if woman.thinks is not None:
            woman.thinks.cancel()
        pause *= random.uniform(0.5, 1.5)
        loop = asyncio.get_running_loop()
        woman.thinks = loop.call_later(pause, self._says_on, woman)

    def _says_on(self, woman: Woman) -> None:
        if not self._goes_on or woman.said != woman.answered:
            return
        woman.said += 1
        self._says(woman, f"{WORDS} {woman.said}")

    def _replied(self, woman: Woman, text: str) -> None:
        """An answer of the desk's: it says when her words were seen there, and which."""
        seen, _, number = text.rpartition("\n")[2].partition(" ")
        if number != str(woman.said) or woman.answered == woman.said:
            if number.isdigit():
                self._fault("answered out of order")
            return
        woman.answered = woman.said
        if self._count is not None:
            self._count.to_desk.append(float(seen) - woman.tapped_at)
            self._count.from_desk.append(time.monotonic() - float(seen))
        woman.arrived.set()
        if self._pause:
            self._says_after(woman, self._pause)
        else:
            self._says_on(woman)

    def _push(self, woman: Woman, content: str) -> None:
        number = self._next_update
        self._next_update += 1
        self._pending.append((number, f'{{"update_id":{number},{content}}}'.encode(), woman))
        self._arrived.set()

    # --- how it looks on the wire

    def _message(self, woman: Woman, number: int, body: str, *, edited: bool) -> str:
        now = self._now()
        when = f'"date":{now},"edit_date":{now}' if edited else f'"date":{now}'
        return f'{{"message_id":{number},"from":{_BOT},"chat":{_chat(woman)},{when},{body}}}'

    def _told(self, woman: Woman, number: int, body: str, *, edited: bool) -> bytes:
        message = self._message(woman, number, body, edited=edited)
        return f'{{"ok":true,"result":{message}}}'.encode()

    def _now(self) -> int:
        return int(time.time() + self.ahead)

    def _fault(self, what: str) -> None:
        self.faults[what] = self.faults.get(what, 0) + 1

    # --- what the bench asks for

    async def taps(self, women: int, seconds: float, delay: float, entry: str | None) -> Told:
        """Let so many women tap, each again as soon as her screen stands there."""
        self.delay, self.entry = self.resting, entry
        await self._arrive(women)
        self.delay, self._goes_on = delay, True
        for woman in self._first(women):
            self._tap_on(woman)
        return await self._measure(seconds)

    async def talks(self, women: int, seconds: float, delay: float, pause: float = 0.0) -> Told:
        """Let so many women write to a person, each again when she is answered and some time,
        of `pause` seconds in the mean, has passed."""
        self.delay, self._talks, self._pause = self.resting, True, pause
        await self._arrive(women)
        for woman in self._first(women):
            if not woman.said:
                woman.arrived.clear()
                self._tap(woman, self.tree.person, woman.node)
                await asyncio.wait_for(woman.arrived.wait(), PATIENCE)
        self.delay, self._goes_on = delay, True
        for woman in self._first(women):
            self._says_after(woman, pause)
        return await self._measure(seconds)

    def _first(self, women: int) -> list[Woman]:
        return list(self.women.values())[:women]

    async def _arrive(self, women: int) -> None:
        while len(self.women) < women:
            woman = Woman(self._chats + len(self.women))
            self.women[woman.chat] = woman
            self._says(woman, "/start")
        for woman in self._first(women):
            await asyncio.wait_for(woman.arrived.wait(), PATIENCE)

    async def _measure(self, seconds: float) -> Told:
        await asyncio.sleep(WARM_SECONDS)
        began, busy, used = time.monotonic(), time.process_time(), _processor(self.pid)
        self._count = count = Count()
        before = self.recipients.told() if self.recipients is not None else {}
        await asyncio.sleep(seconds)
        self._count = None
        after = self.recipients.told() if self.recipients is not None else {}
        lasted, busy = time.monotonic() - began, time.process_time() - busy
        used = _processor(self.pid) - used
        self._goes_on, self.delay = False, self.resting
        await self._run_dry()
        told = {"seconds": lasted, "standin": busy / lasted, "bot": used / lasted}
        told |= {name: after[name] - before[name] for name in after}
        return {**told, "faults": self.faults, **asdict(count)}

    async def _run_dry(self) -> None:
        """Until each tap and each word is answered; what is not is a fault."""
        until = time.monotonic() + PATIENCE
        while self._open() and time.monotonic() < until:  # noqa: ASYNC110 - it looks at many things
            await asyncio.sleep(0.02)
        if waits := self._open():
            self.faults["never answered"] = self.faults.get("never answered", 0) + waits

    def _open(self) -> int:
        taps = sum(woman.turning for woman in self.women.values())
        words = sum(woman.said != woman.answered for woman in self.women.values())
        return taps + words


def _processor(pid: int) -> float:
    """Seconds that a process has used, in all its threads."""
    told = Path(f"/proc/{pid}/stat").read_text("utf-8").rpartition(")")[2].split()
    return (int(told[11]) + int(told[12])) / os.sysconf("SC_CLK_TCK")


def _user(woman: Woman) -> str:
    return (
        f'{{"id":{woman.chat},"is_bot":false,"first_name":"Мария","last_name":"Петрова",'
        f'"username":"maria{woman.chat}","language_code":"bg"}}'
    )


def _chat(woman: Woman) -> str:
    return (
        f'{{"id":{woman.chat},"type":"private","first_name":"Мария","last_name":"Петрова",'
        f'"username":"maria{woman.chat}"}}'
    )


# --- HTTP -------------------------------------------------------------------------------------


class Server:
    """All bots under one address, each made when it is first spoken of."""

    def __init__(self, screens: Tree) -> None:
        self._tree = screens
        self._bots: dict[str, Bot] = {}

    async def serve(self, request: web.BaseRequest) -> web.Response:
        """`/bot<token>/<method>` for the contestants, `/control/<what>` for the bench."""
        _, first, last = request.path.split("/")
        if first.startswith("bot"):
            fields = await _fields(request)
            try:
                answer = await self._bot(first[3:]).call(last.lower(), fields)
            except TooMany as refusal:
                return _refused(refusal)
        else:
            told = json.loads(await request.read())
            answer = json.dumps(await self._control(self._bot(told.pop("token")), last, told))
            answer = answer.encode()
        return web.Response(body=answer, content_type="application/json")

    def _bot(self, token: str) -> Bot:
        if token not in self._bots:
            self._bots[token] = Bot(self._tree, FIRST_CHAT + 1000 * len(self._bots))
        return self._bots[token]

    async def _control(self, bot: Bot, what: str, told: dict[str, Any]) -> Told:
        match what:
            case "polled":
                bot.pid = told["pid"]
                await asyncio.wait_for(bot.polled.wait(), PATIENCE)
                return {}
            case "taps":
                return await bot.taps(**told)
            case "broadcast":
                bot.ahead, bot.resting = told["ahead"], told["delay"]
                bot.recipients = Recipients(told["recipients"], told["cap"])
                return {}
            case "until" if bot.recipients is not None:
                await bot.recipients.until(**told)
                return bot.recipients.told()
            case "next" if bot.recipients is not None:
                async with asyncio.timeout(PATIENCE):
                    return {"at": await bot.recipients.next()}
            case _:
                return await bot.talks(**told)


def _refused(refusal: TooMany) -> web.Response:
    told = {
        "ok": False,
        "error_code": 429,
        "description": f"Too Many Requests: retry after {refusal.seconds}",
        "parameters": {"retry_after": refusal.seconds},
    }
    return web.json_response(told, status=429)


async def _fields(request: web.BaseRequest) -> dict[str, str]:
    if request.content_type.startswith("multipart"):
        parts = await request.post()
        return {name: part for name, part in parts.items() if isinstance(part, str)}
    body = (await request.read()).decode()
    if request.content_type == "application/json":
        return {k: v if isinstance(v, str) else json.dumps(v) for k, v in json.loads(body).items()}
    return dict(parse_qsl(body, keep_blank_values=True))


async def listening(screens: Tree) -> tuple[asyncio.Server, int]:
    """The stand-in on a free port of loopback, and the port."""
    server = web.Server(Server(screens).serve, access_log=None)
    listener = await asyncio.get_running_loop().create_server(server, "127.0.0.1", 0)
    return listener, int(listener.sockets[0].getsockname()[1])


async def _main(path: Path) -> None:
    listener, port = await listening(tree.read(path))
    print(port, flush=True)
    await listener.serve_forever()


if __name__ == "__main__":
    asyncio.run(_main(Path(sys.argv[1])))
