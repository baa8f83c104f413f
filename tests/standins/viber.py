"""Viber's side of a bot on loopback, held to its documentation for as far as Phen uses it.

Real HTTP both ways: what the bot calls is refused as Viber refuses it, and what women do comes
to the webhook signed, in order, and again when it was not taken. Her phone is `ViberWoman`.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import hmac
import json
import re
import time
from collections import deque
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlsplit

import aiohttp
from aiohttp import web

from tests.ports import Held
from tests.standins.viber_woman import ViberWoman

TOKEN = "4f1d0a2b3c4d5e6f-stand-in_token_that-must_never-be-logged"
TEXT, CAPTION, SENDER, TRACKING, LABEL, LINK = 7000, 768, 28, 4000, 250, 2000
REQUEST, RECEIVERS, UNANSWERED, ROWS = 30_000, 300, 100, 12
BROADCASTS, BROADCASTS_SECONDS = 500, 10.0
SESSION, HOUR = timedelta(hours=24), timedelta(hours=1)
HOST = "SN-CHAT-05_"
MANDATORY = ("subscribed", "unsubscribed", "message")
OPTIONAL = ("conversation_started", "delivered", "seen", "failed")
INTERNAL = ("webhook", "client_status", "action")  # in the answer of set_webhook, asked for or not
STATUSES = (
    "ok", "invalidUrl", "invalidAuthToken", "badData", "missingData", "receiverNotRegistered",
    "receiverNotSubscribed", "publicAccountBlocked", "publicAccountNotFound",
    "publicAccountSuspended", "webhookNotSet", "receiverNoSuitableDevice", "tooManyRequests",
    "apiVersionNotSupported", "incompatibleWithVersion", "publicAccountNotAuthorized",
    "inchatReplyMessageNotAllowed", "publicAccountIsNotInline", "noPublicChat",
    "cannotSendBroadcast", "broadcastNotAllowed", "unsupportedCountry", "paymentUnsupported",
    "freeMessagesExceeded", "noBalance",
)  # fmt: skip
Json = dict[str, Any]
Check = Callable[[Any], bool]


class Refused(Exception):
    """One of Viber's own statuses; `why` is for the reader of a failed test only."""

    def __init__(self, status: int, why: str = "") -> None:
        super().__init__(f"{status} {why}")
        self.status, self.why = status, why

    def answer(self) -> Json:
        known = 0 < self.status < len(STATUSES)
        name = STATUSES[self.status] if known else "General error"
        return {"status": self.status, "status_message": name, "chat_hostname": HOST}


@dataclass(frozen=True, slots=True)
class Fault:
    """Something that goes wrong with the next `times` requests (of `method`, if it is given).

    kind: html (with the HTTP `status`; `retry_after` becomes a header), refuse (with Viber's
    status `code`), drop_before (not acted), drop_after (acted, no answer), hang (acted, no
    answer until the stand-in stops), drip (acted, the answer comes letter by letter).
    """

    kind: str
    method: str | None = None
    status: int = 502
    code: int = 12
    retry_after: int | None = None
    times: int = 1


@dataclass(slots=True)
class Callback:
    """One event for the webhook, and the HTTP status of each attempt (None: no answer)."""

    event: Json
    statuses: list[int | None] = field(default_factory=list)

    @property
    def taken(self) -> bool:
        return bool(self.statuses) and self.statuses[-1] == 200


class ViberStandIn:
    """The platform with one bot on it."""

    def __init__(
        self,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        token: str = TOKEN,
        *,
        https_only: bool = False,
        receipts: bool = True,
    ) -> None:
        self.now, self.token = now, token
        self.https_only, self.receipts = https_only, receipts
        self.api = ""
        self.webhook = ""
        self.event_types: tuple[str, ...] = OPTIONAL
        self.send_name = self.send_photo = False
        self.retry_after: list[float] = [0.01, 0.02, 0.05]  # Viber: 10, 60, 300, 600, then 900 s
        self.callback_timeout = 10.0
        self.url_taps_reply = False  # Viber documents that an opened URL also comes as a message
        self.welcomes_subscribers = False  # documented for women who have not subscribed yet
        self.calls: list[tuple[str, Json]] = []
        self.refusals: list[tuple[str, int, str]] = []  # (method, status, why), faults apart
        self.callbacks: list[Callback] = []
        self.media: dict[str, bytes | str] = {}  # what women sent, by name; a str redirects to it
        self.downloads: list[str] = []
        self.faults: list[Fault] = []
        self.broadcasts = BROADCASTS  # so many calls are taken in any ten seconds
        self._broadcast_at: deque[float] = deque()
        self.women: dict[str, ViberWoman] = {}
        self._next_token = 5_741_311_803_571_721_087
        self._tasks: set[asyncio.Task[Any]] = set()
        self._stopping = asyncio.Event()
        self._runner: web.AppRunner | None = None
        self._held: Held | None = None
        self._session: aiohttp.ClientSession | None = None

    async def start(self) -> None:
        app = web.Application()
        app.router.add_route("*", "/pa/{method}", self._serve)
        app.router.add_get("/media/{name}", self._download)
        self._stopping.clear()
        self._session = aiohttp.ClientSession()
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await self._runner.setup()
        self._held = self._held or Held()
        await web.TCPSite(self._runner, "127.0.0.1", self._held.port).start()
        self.api = f"http://127.0.0.1:{self._held.port}"

    async def stop(self) -> None:
        """Close the port and forget what is on its way; `start` opens the same port again."""
        self._stopping.set()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._session:
            await self._session.close()
            self._session = None
        if self._runner:
            await self._runner.cleanup()
            self._runner = None

    # --- what tests do

    def woman(self, *, subscribed: bool = False) -> ViberWoman:
        """Another woman, who may have written to the bot before."""
        woman = ViberWoman(self, len(self.women) + 1, subscribed=subscribed)
        self.women[woman.id] = woman
        return woman

    def fail(self, *faults: Fault) -> None:
        for fault in faults:
            self.faults.extend([fault] * fault.times)

    def upload(self, content: bytes | str, suffix: str = ".jpg") -> str:
        """The address under which Viber keeps what a woman sent."""
        name = f"{len(self.media)}{suffix}"
        self.media[name] = content
        return f"{self.api}/media/{name}"

    async def fetch(self, url: str) -> bytes:
        """What the bot offers there, as Viber fetches it for her."""
        assert self._session, "the stand-in is not started"
        async with self._session.get(url) as answer:
            assert answer.status == 200, answer.status
            return await answer.read()

    def called(self, method: str) -> list[Json]:
        return [body for name, body in self.calls if name == method]

    def events(self, kind: str) -> list[Callback]:
        return [callback for callback in self.callbacks if callback.event["event"] == kind]

    def sign(self, body: bytes) -> str:
        return hmac.new(self.token.encode(), body, hashlib.sha256).hexdigest()

    async def post(self, body: bytes, signature: str | None) -> tuple[int, bytes]:
        """Send the webhook anything at all."""
        assert self._session, "the stand-in is not started"
        headers, query = {"Content-Type": "application/json"}, {}
        if signature is not None:
            headers["X-Viber-Content-Signature"] = query["sig"] = signature
        async with self._session.post(
            self.webhook,
            params=query,  # not documented, but Viber does so
            data=body,
            headers=headers,
            timeout=aiohttp.ClientTimeout(total=self.callback_timeout),
            allow_redirects=False,
        ) as answer:
            return answer.status, await answer.read()

    async def settled(self) -> None:
        """Wait until every callback was taken or given up, those that came meanwhile too."""
        while self._tasks:
            await asyncio.wait(set(self._tasks))

    # --- callbacks

    def token_for(self) -> int:
        self._next_token += 1_048_573
        return self._next_token

    def tell(self, woman: ViberWoman, kind: str, **content: Any) -> asyncio.Task[Callback]:
        """Put an event in her line; the task ends when it was taken or given up."""
        event: Json = {
            "event": kind,
            "timestamp": int(self.now().timestamp() * 1000),
            "chat_hostname": HOST,
            "message_token": content.pop("message_token", None) or self.token_for(),
        }
        callback = Callback(event | content)
        return self._task(self._deliver(woman, callback))

    async def _deliver(self, woman: ViberWoman, callback: Callback) -> Callback:
        async with woman.line:
            kind = callback.event["event"]
            if not self.webhook or kind not in (*MANDATORY, *self.event_types):
                return callback
            self.callbacks.append(callback)
            for wait in (0.0, *self.retry_after):
                await asyncio.sleep(wait)
                status, body = await self._attempt(callback)
                if status == 200:
                    if kind == "conversation_started" and body:
                        self._welcome(woman, body)
                    break
        return callback

    async def _attempt(self, callback: Callback) -> tuple[int | None, bytes]:
        raw = json.dumps(callback.event, ensure_ascii=False, separators=(",", ":")).encode()
        status: int | None = None
        answer = b""
        with contextlib.suppress(aiohttp.ClientError, TimeoutError):
            status, answer = await self.post(raw, self.sign(raw))
        callback.statuses.append(status)
        return status, answer

    def _welcome(self, woman: ViberWoman, raw: bytes) -> None:
        """The one message to a woman who has not subscribed: the answer to her opening."""
        try:
            message = json.loads(raw)
        except ValueError:
            return
        if not isinstance(message, dict) or not message.keys() & {"type", "keyboard", "text"}:
            return
        if woman.subscribed and not self.welcomes_subscribers:
            self.refusals.append(("welcome", 0, "she has subscribed: no welcome message"))
            return
        try:
            check_message(message, len(raw), addressed=False)
            _check_level(message, woman)
        except Refused as refused:
            self.refusals.append(("welcome", refused.status, refused.why))
            return
        woman.receives(message, self.token_for())

    def _task(self, work: Coroutine[Any, Any, Callback]) -> asyncio.Task[Callback]:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    # --- HTTP

    async def _serve(self, request: web.Request) -> web.StreamResponse:
        method = request.match_info["method"]
        raw = await request.read()
        body = _object(raw)
        self.calls.append((method, body or {}))
        fault = self._fault(method)
        kind = fault.kind if fault else ""
        if fault and kind == "html":
            seconds = fault.retry_after
            return web.Response(
                status=fault.status,
                text=f"<html>{fault.status}</html>",
                content_type="text/html",
                headers={} if seconds is None else {"Retry-After": str(seconds)},
            )
        if kind == "drop_before":
            _drop(request)
        if method == "broadcast_message" and self._is_too_much():
            return web.Response(status=429, text="<html>429</html>", content_type="text/html")
        handler = getattr(self, f"_do_{method}", None)
        if handler is None:
            return web.Response(status=404)
        try:
            self._authorized(request)
            if fault and kind == "refuse":
                return web.json_response(Refused(fault.code).answer())
            if body is None:
                raise Refused(3, "no JSON object")
            if len(raw) > REQUEST:
                raise Refused(3, f"{len(raw)} bytes of JSON")
            answer = {"status": 0, "status_message": "ok", "chat_hostname": HOST}
            answer |= await handler(body, len(raw))
        except Refused as refused:
            self.refusals.append((method, refused.status, refused.why))
            answer = refused.answer()
        if kind == "drop_after":
            _drop(request)
        if kind == "hang":
            await self._stopping.wait()
        if kind == "drip":
            return await _drip(request, answer)
        return web.json_response(answer)

    async def _download(self, request: web.Request) -> web.StreamResponse:
        name = request.match_info["name"]
        self.downloads.append(name)
        fault = self._fault("download")
        if fault and fault.kind == "html":
            return web.Response(status=fault.status, text="<html>", content_type="text/html")
        if fault:
            _drop(request)
        content = self.media.get(name)
        if isinstance(content, str):
            return web.Response(status=302, headers={"Location": content})
        return web.Response(status=404) if content is None else web.Response(body=content)

    def _fault(self, method: str) -> Fault | None:
        for fault in self.faults:
            if fault.method in (None, method):
                self.faults.remove(fault)
                return fault
        return None

    def _is_too_much(self) -> bool:
        now = time.monotonic()
        while self._broadcast_at and now - self._broadcast_at[0] > BROADCASTS_SECONDS:
            self._broadcast_at.popleft()
        if len(self._broadcast_at) >= self.broadcasts:
            return True
        self._broadcast_at.append(now)
        return False

    def _authorized(self, request: web.Request) -> None:
        given = request.headers.get("X-Viber-Auth-Token")
        if given != self.token:
            raise Refused(2, "missing_auth_token" if given is None else "another token")

    # --- methods

    async def _do_set_webhook(self, body: Json, _: int) -> Json:
        _known(body, "set_webhook", {"url", "event_types", "send_name", "send_photo"})
        url, kinds = body.get("url"), body.get("event_types")
        flags = [body.get("send_name", False), body.get("send_photo", False)]
        if url is None:
            raise Refused(4, "url")
        if not all(isinstance(flag, bool) for flag in flags):
            raise Refused(3, "send_name and send_photo are true or false")
        if kinds is not None and not (
            isinstance(kinds, list) and set(kinds) <= {*MANDATORY, *OPTIONAL}
        ):
            raise Refused(3, f"event_types {kinds!r}")
        if url == "":
            self.webhook = ""
            return {"event_types": []}
        if not _url(*(("https",) if self.https_only else ("https", "http")))(url):
            raise Refused(1, f"url {url!r}")
        before, self.webhook = self.webhook, url
        check = Callback({
            "event": "webhook", "timestamp": int(self.now().timestamp() * 1000),
            "chat_hostname": HOST, "message_token": self.token_for(),
        })  # fmt: skip
        self.callbacks.append(check)
        status, _answer = await self._attempt(check)
        if status != 200:
            self.webhook = before
            raise Refused(1, f"the webhook answered {status}")
        self.send_name, self.send_photo = flags
        self.event_types = OPTIONAL if kinds is None else tuple(k for k in OPTIONAL if k in kinds)
        told = [*MANDATORY, *self.event_types, *(INTERNAL if kinds is None else ())]
        return {"event_types": told}

    async def _do_get_account_info(self, body: Json, _: int) -> Json:
        _known(body, "get_account_info", set())
        return {
            "id": "pa:5550001", "name": "Дом", "uri": "domzdrave", "category": "Organizations",
            "subcategory": "Non-Profit", "country": "BG", "icon": "https://example.org/icon.png",
            "background": "https://example.org/back.png", "webhook": self.webhook,
            "location": {"lat": 43.85, "lon": 25.97},
            "event_types": [*MANDATORY, *self.event_types],
            "subscribers_count": sum(woman.subscribed for woman in self.women.values()),
            "members": [{"id": "b29wcyE=", "name": "Стефка Администратор", "role": "admin"}],
        }  # fmt: skip

    async def _do_send_message(self, body: Json, size: int) -> Json:
        self._reachable()
        check_message(body, size)
        token = self.token_for()
        billed = self._send(body["receiver"], body, token)
        return {"message_token": token, "billing_status": billed}

    async def _do_broadcast_message(self, body: Json, size: int) -> Json:
        self._reachable()
        receivers = body.get("broadcast_list")
        if receivers is None:
            raise Refused(4, "broadcast_list")
        if not (isinstance(receivers, list) and 0 < len(receivers) <= RECEIVERS):
            raise Refused(3, f"broadcast_list takes 1 to {RECEIVERS} ids")
        message = {key: value for key, value in body.items() if key != "broadcast_list"}
        check_message(message, size, addressed=False)
        failed: list[Json] = []
        token, billed = self.token_for(), 0
        for receiver in receivers:
            try:
                billed = max(billed, self._send(receiver, message, token))
            except Refused as refused:
                told = refused.answer()
                del told["chat_hostname"]
                failed.append({"receiver": receiver} | told)
        return {"message_token": token, "billing_status": billed, "failed_list": failed}

    def _reachable(self) -> None:
        if not self.webhook:
            raise Refused(10, "set `webhook` or call set_webhook first")

    def _send(self, receiver: str, message: Json, token: int) -> int:
        """Bring it to her phone; how it is billed. Of a broadcast there is one token for all."""
        woman = self.women.get(receiver)
        if woman is None:
            raise Refused(5, f"receiver {receiver!r}")
        if not woman.subscribed:
            raise Refused(6, f"{receiver} has not subscribed or has left")
        _check_level(message, woman)
        now = self.now()
        while woman.unanswered and now - woman.unanswered[0] >= HOUR:
            woman.unanswered.popleft()
        if len(woman.unanswered) >= UNANSWERED:
            raise Refused(12, f"{UNANSWERED} messages within an hour, and she has not answered")
        woman.unanswered.append(now)
        woman.arrived(message, token)
        in_session = woman.session_since is not None and now - woman.session_since < SESSION
        return 2 if in_session else 5


# --- what a message may be


def check_message(message: Json, size: int, *, addressed: bool = True) -> None:
    """Refuse what Viber's server or the app would not show. Unknown keys count as typos."""
    if size > REQUEST:
        raise Refused(3, f"{size} bytes of JSON")
    if addressed and not message.get("receiver"):
        raise Refused(4, "receiver")
    kind = message.get("type")
    if kind is None and "keyboard" not in message:
        raise Refused(4, "type")
    if kind is not None and kind not in _TYPES:
        raise Refused(3, f"type {kind!r}")
    required, optional = _TYPES.get(kind or "", ({}, {}))
    common = {"type", "sender", "tracking_data", "min_api_version", "keyboard"}
    _known(message, kind or "keyboard", {"receiver"} if addressed else set(), common,
           required, optional)  # fmt: skip
    if missing := [key for key in ("sender", *required) if key not in message]:
        raise Refused(4, ", ".join(missing))
    for key, check in (required | optional | _COMMON).items():
        if key in message and not check(message[key]):
            raise Refused(3, f"{key} {str(message[key])[:80]!r}")
    level = message.get("min_api_version", 1)
    if "keyboard" in message:
        _check_keyboard(message["keyboard"], level)
    if kind == "rich_media":
        if level < 2:
            raise Refused(14, "rich_media needs min_api_version 2")
        _check_buttons(message["rich_media"].get("Buttons"), level, tallest=7)


def rows_of(keyboard: Json) -> list[list[Json]]:
    """The buttons as the app lays them out: six columns, what does not fit starts a row."""
    rows: list[list[Json]] = []
    left = 0
    for button in keyboard["Buttons"]:
        width = button.get("Columns", 6)
        if width > left:
            rows.append([])
            left = 6
        rows[-1].append(button)
        left -= width
    return rows


def _check_level(message: Json, woman: ViberWoman) -> None:
    if message.get("min_api_version", 1) > woman.api_version:
        raise Refused(13, f"her Viber knows level {woman.api_version}")


def _check_keyboard(keyboard: Any, level: int) -> None:
    if not isinstance(keyboard, dict):
        raise Refused(3, "keyboard is no object")
    if keyboard.get("Type") != "keyboard":
        raise Refused(3, f"keyboard.Type {keyboard.get('Type')!r}")
    _check_fields(keyboard, "keyboard", _KEYBOARD, level)
    _check_buttons(keyboard.get("Buttons"), level, tallest=2)
    height = sum(max(b.get("Rows", 1) for b in row) for row in rows_of(keyboard))
    if height > ROWS:
        raise Refused(3, f"a keyboard of {height} rows")


def _check_buttons(buttons: Any, level: int, tallest: int) -> None:
    if not isinstance(buttons, list) or not buttons:
        raise Refused(3, "Buttons is no list or is empty")
    for button in buttons:
        if not isinstance(button, dict):
            raise Refused(3, f"button {button!r}")
        _check_fields(button, "button", _BUTTON, level)
        if not _whole(1, tallest)(button.get("Rows", 1)):
            raise Refused(3, f"button.Rows {button['Rows']!r}")
        if "ActionBody" not in button:
            raise Refused(3, "button.ActionBody is missing")
        if not button.keys() & {"Text", "BgMedia", "Image", "BgColor"}:
            raise Refused(3, "a button without Text, BgMedia, Image and BgColor")
        action = button.get("ActionType", "reply")
        if _ACTIONS[action] > level:
            raise Refused(14, f"{action} needs min_api_version {_ACTIONS[action]}")
        if action == "open-url" and not _url("https", "http")(button["ActionBody"]):
            raise Refused(3, f"button.ActionBody {button['ActionBody']!r} is no URL")


def _check_fields(
    given: Json, what: str, fields: Mapping[str, tuple[int, Check]], level: int
) -> None:
    _known(given, what, fields)
    for key, value in given.items():
        needed, check = fields[key]
        if not check(value):
            raise Refused(3, f"{what}.{key} {str(value)[:80]!r}")
        if needed > level:
            raise Refused(14, f"{what}.{key} needs min_api_version {needed}, not {level}")


def _known(given: Json, what: str, *keys: Any) -> None:
    if unknown := given.keys() - set().union(*keys):
        raise Refused(3, f"{what} has no {', '.join(sorted(unknown))}")


def units(text: str) -> int:
    return len(text.encode("utf-16-le", "surrogatepass")) // 2


def _text(longest: int, least: int = 1) -> Check:
    return lambda value: (
        isinstance(value, str) and len(value.strip()) >= least and units(value) <= longest
    )


def _whole(least: int, most: int) -> Check:
    return lambda value: type(value) is int and least <= value <= most


def _among(*values: str) -> Check:
    return lambda value: isinstance(value, str) and value in values


def _flag(value: Any) -> bool:
    return isinstance(value, bool)


def _any_object(value: Any) -> bool:
    return isinstance(value, dict)


def _paddings(value: Any) -> bool:
    return isinstance(value, list) and len(value) == 4 and all(map(_whole(0, 12), value))


def _color(value: Any) -> bool:
    return isinstance(value, str) and re.fullmatch(r"#[0-9A-Fa-f]{6}", value) is not None


def _url(*schemes: str, endings: tuple[str, ...] = ("",)) -> Check:
    """A URL whose last path segment ends like this."""

    def check(value: Any) -> bool:
        if not isinstance(value, str) or not 0 < len(value) <= LINK or re.search(r"\s", value):
            return False
        try:
            parts = urlsplit(value)
            _ = parts.port  # raises when it is none
        except ValueError:
            return False
        last = parts.path.rsplit("/", 1)[-1].lower()
        return parts.scheme in schemes and bool(parts.hostname) and last.endswith(endings)

    return check


def _label(value: Any) -> bool:
    """At most 250 characters; of HTML only what buttons can show, so a bare `<` is refused."""
    if not isinstance(value, str) or units(value) > LABEL:
        return False
    rest = re.sub(r"</?(?:b|i|u|s|em|strong|br|font(?: [^<>]*)?) ?/?>", "", value)
    return "<" not in rest


def _file(value: Any) -> bool:
    link = _url("https", "http")(value)
    ending = re.search(r"\.([A-Za-z0-9]{1,10})$", urlsplit(value).path if link else "")
    return ending is not None and ending[1].lower() not in {
        "exe", "bat", "cmd", "com", "msi", "bin", "run", "apk", "ipa", "app", "vbs", "ps1", "reg",
    }  # fmt: skip


def _contact(value: Any) -> bool:
    return (
        isinstance(value, dict)
        and value.keys() <= {"name", "phone_number", "avatar"}
        and _text(SENDER)(value.get("name"))
        and re.fullmatch(r"\+?\d{1,17}", str(value.get("phone_number"))) is not None
    )


def _location(value: Any) -> bool:
    if not isinstance(value, dict) or value.keys() != {"lat", "lon"}:
        return False
    try:
        return abs(float(value["lat"])) <= 90 and abs(float(value["lon"])) <= 180
    except (TypeError, ValueError):
        return False


def _sender(value: Any) -> bool:
    return (
        isinstance(value, dict)
        and value.keys() <= {"name", "avatar"}
        and _text(SENDER)(value.get("name"))
        and _url("https", "http")(value.get("avatar", "https://viber.com"))
    )


_WEB = ("https", "http")
_IMAGE = _url(*_WEB, endings=(".jpeg", ".jpg", ".png", ".gif"))
_COMMON: dict[str, Check] = {
    "sender": _sender,
    "tracking_data": _text(TRACKING, least=0),
    "min_api_version": _whole(1, 99),
}
_TYPES: dict[str, tuple[dict[str, Check], dict[str, Check]]] = {  # (required, optional)
    "text": ({"text": _text(TEXT)}, {}),
    "picture": ({"text": _text(CAPTION, least=0), "media": _IMAGE}, {"thumbnail": _IMAGE}),
    "video": (
        {"media": _url(*_WEB, endings=(".mp4",)), "size": _whole(1, 27_262_976)},
        {"thumbnail": _IMAGE, "duration": _whole(1, 180)},
    ),
    "file": (
        {
            "media": _file,
            "size": _whole(1, 52_428_800),
            "file_name": lambda name: _text(256)(name) and "." in name,
        },
        {},
    ),
    "contact": ({"contact": _contact}, {}),
    "location": ({"location": _location}, {}),
    "url": ({"media": _url(*_WEB)}, {}),
    "sticker": ({"sticker_id": _whole(1, 10**9)}, {}),
    "rich_media": ({"rich_media": _any_object}, {"alt_text": _text(TEXT)}),
}
_ACTIONS = {  # and the level each needs
    "reply": 1, "open-url": 1, "none": 2, "share-phone": 3, "location-picker": 3, "open-map": 6,
}  # fmt: skip
_SCALES = _among("crop", "fill", "fit")
_KEYBOARD: dict[str, tuple[int, Check]] = {
    "Type": (1, _among("keyboard")),
    "Buttons": (1, lambda buttons: isinstance(buttons, list)),
    "BgColor": (1, _color),
    "DefaultHeight": (1, _flag),
    "CustomDefaultHeight": (3, _whole(40, 70)),
    "HeightScale": (3, _whole(20, 100)),
    "ButtonsGroupColumns": (4, _whole(1, 6)),
    "ButtonsGroupRows": (4, _whole(1, 7)),
    "InputFieldState": (4, _among("regular", "minimized", "hidden")),
    "FavoritesMetadata": (6, _any_object),
}
_BUTTON: dict[str, tuple[int, Check]] = {
    "Columns": (1, _whole(1, 6)),
    "Rows": (1, _whole(1, 7)),
    "BgColor": (1, _color),
    "Silent": (2, _flag),
    "BgMediaType": (1, _among("picture", "gif")),
    "BgMedia": (1, _url(*_WEB)),
    "BgMediaScaleType": (6, _SCALES),
    "ImageScaleType": (6, _SCALES),
    "BgLoop": (1, _flag),
    "ActionType": (1, _among(*_ACTIONS)),
    "ActionBody": (1, _text(LINK)),
    "Image": (1, _url(*_WEB)),
    "Text": (1, _label),
    "TextVAlign": (1, _among("top", "middle", "bottom")),
    "TextHAlign": (1, _among("left", "center", "right")),
    "TextPaddings": (4, _paddings),
    "TextOpacity": (1, _whole(0, 100)),
    "TextSize": (1, _among("small", "regular", "large")),
    "TextShouldFit": (6, _flag),
    "TextBgGradientColor": (1, _color),
    "OpenURLType": (1, _among("internal", "external")),
    "OpenURLMediaType": (2, _among("not-media", "video", "gif", "picture", "audio")),
    "InternalBrowser": (3, _any_object),
    "Map": (6, _any_object),
    "Frame": (6, _any_object),
    "MediaPlayer": (6, _any_object),
}


def _object(raw: bytes) -> Json | None:
    try:
        body = json.loads(raw or b"{}")
    except ValueError:
        return None
    return body if isinstance(body, dict) else None


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
