"""Viber's REST calls: paced, and each answered or turned into a verdict of `base`.

Knows no screen. Nothing here logs a call: its address, its words and the token stay inside.
"""

from __future__ import annotations

import asyncio
import json
import re
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import urljoin, urlsplit

from bot.channels.base import (
    MAX_MEDIUM,
    Address,
    Gone,
    Handle,
    Refused,
    SendError,
    Throttled,
    Unauthorised,
    Unknown,
    Unpaid,
    Unreached,
    Unsent,
)
from bot.channels.http import Answer, AnswerLost, Http, NothingLeft, TooLarge, read_object
from bot.channels.pace import Gate, Lane, Rates
from bot.privacy.redact import EventLog

RATES = Rates.under(50, chat_per_second=4, chat_burst=8)
"""Viber names 500 calls in ten seconds for broadcasts, and nothing for the rest. All of them
together stay below that: where a woman is answered, a broadcast waits."""
TOGETHER = 300
"""To how many women one call can bring a message."""
EVERYBODY: Address = ""
"""In the gate: a call that concerns no single chat. A pause of it holds back broadcasts alone."""
MAX_BYTES = 30_000
"""Of one call, as JSON."""
EVENTS = ("failed", "conversation_started")
"""What we ask Viber to tell beside her words and her leaving; when she reads is not our affair."""
CONNECT_SECONDS, READ_SECONDS = 5.0, 15.0
FETCH_SECONDS = 30.0
MEDIA_HOST = re.compile(r"([a-z0-9-]+\.)*viber\.com")
"""What she sends lies under these names; from nowhere else is anything fetched."""
MAX_HOPS = 3
TOO_MANY_SECONDS = 60.0
"""How long to wait where Viber says only that it was too much."""
SELDOM_SECONDS = 60.0
_CHARGED = 5


class WebhookMissing(Unsent):
    """No webhook is set; while there is none Viber takes no message."""


class NoBroadcasts(Refused):
    """This account may not send to several women at once; to each one it may."""


_STATUS: Mapping[int, type[SendError]] = {
    1: Refused,  # invalidUrl
    2: Unauthorised,  # invalidAuthToken
    3: Refused,  # badData
    4: Refused,  # missingData
    5: Gone,  # receiverNotRegistered: she has no Viber any more
    6: Gone,  # receiverNotSubscribed: she left us
    7: Unauthorised,  # publicAccountBlocked: the bot is, not she
    8: Unauthorised,  # publicAccountNotFound
    9: Unauthorised,  # publicAccountSuspended
    10: WebhookMissing,
    11: Refused,  # receiverNoSuitableDevice
    12: Throttled,  # tooManyRequests: a hundred messages without a word of hers
    13: Refused,  # apiVersionNotSupported: her Viber is too old
    14: Refused,  # incompatibleWithVersion: our fields ask for more than `API_LEVEL`
    15: NoBroadcasts,  # publicAccountNotAuthorized: for this call
    16: Refused,  # inchatReplyMessageNotAllowed
    17: Refused,  # publicAccountIsNotInline
    18: Refused,  # noPublicChat
    19: NoBroadcasts,  # cannotSendBroadcast
    20: NoBroadcasts,  # broadcastNotAllowed
    21: Refused,  # unsupportedCountry
    22: Unpaid,  # paymentUnsupported
    23: Unpaid,  # freeMessagesExceeded
    24: Unpaid,  # noBalance
}


def verdict(answer: Answer) -> SendError | None:
    """The one table: what may be done after an answer of Viber's; None when it took the call."""
    if answer.status == 429:
        return Throttled(_seconds(answer.retry_after), everywhere=True)
    told = read_object(answer.body)
    status = told.get("status") if told is not None else None
    if answer.status != 200 or type(status) is not int:
        return Unknown()  # lost in between, or not Viber's word
    return _meant(status)


def _meant(status: int) -> SendError | None:
    """What a status means, of a whole call or of one woman in a broadcast."""
    if status == 0:
        return None
    kind = _STATUS.get(status, Unsent)
    return Throttled(TOO_MANY_SECONDS) if kind is Throttled else kind()


def _failed(told: object) -> list[tuple[Address, SendError]]:
    """Whom a broadcast did not reach, and why. What cannot be read says nothing of anybody."""
    found = []
    for each in told if isinstance(told, list) else ():
        if isinstance(each, dict) and isinstance(address := each.get("receiver"), str):
            status = each.get("status")
            error = _meant(status) if type(status) is int else Unknown()
            if error is not None:
                found.append((address, error))
    return found


def _seconds(told: str | None) -> float:
    try:
        return min(max(1.0, float(told or "")), 86400.0)
    except ValueError:
        return TOO_MANY_SECONDS


def encoded(fields: Mapping[str, Any]) -> bytes:
    """As it goes out; Cyrillic is not escaped, or it would be three times as long.

    Raises `Refused` where Viber would not take so much.
    """
    body = json.dumps(fields, ensure_ascii=False, separators=(",", ":")).encode()
    if len(body) > MAX_BYTES:
        raise Refused
    return body


class Notes:
    """What happened, by code: in the log, and counted."""

    def __init__(self, log: EventLog) -> None:
        self.events: Counter[str] = Counter()
        self._log = log
        self._logged: dict[str, float] = {}

    def note(self, code: str, times: int = 1) -> None:
        self.events[code] += times
        self._log.event(code, **({"times": times} if times > 1 else {}))
        self._log.count(code, times - 1)

    def seldom(self, code: str) -> None:
        """Counted each time, and in the log once a minute."""
        self.events[code] += 1
        now = time.monotonic()
        if now - self._logged.get(code, -SELDOM_SECONDS) >= SELDOM_SECONDS:
            self._logged[code] = now
            self._log.event(code)
        else:
            self._log.count(code)

    def alarm(self, code: str) -> None:
        """Somebody must do something about it."""
        self.events[code] += 1
        self._log.alarm(code)


class ViberApi:
    """The calls of one bot. `withdrawn` is set once Viber shuts the bot out."""

    def __init__(self, token: str, base: str, notes: Notes) -> None:
        self._token, self._base, self._notes = token, base.rstrip("/"), notes
        self._http = Http()
        self._gate: Gate | None = None
        self.withdrawn = asyncio.Event()

    async def send(self, address: Address, fields: Mapping[str, Any], lane: Lane) -> Handle:
        """Send one message in its turn; Viber's token of it. Raises a `SendError`."""
        told = await self._in_turn(address, lane, "send_message", {"receiver": address, **fields})
        self._charged(told, 1)
        return str(told.get("message_token", ""))

    async def broadcast(
        self, addresses: Sequence[Address], fields: Mapping[str, Any]
    ) -> dict[Address, Handle | SendError]:
        """Send the same to at most `TOGETHER` women: what became of it for each.

        Raises a `SendError` when it became the same for all, `NoBroadcasts` among them.
        """
        call = {"broadcast_list": list(addresses), **fields}
        try:
            told = await self._in_turn(EVERYBODY, Lane.BROADCAST, "broadcast_message", call)
        except Throttled as throttled:
            seconds = throttled.seconds
        else:
            return self._became(addresses, told)
        raise Throttled(seconds, everywhere=True)

    def _became(
        self, addresses: Sequence[Address], told: Mapping[str, Any]
    ) -> dict[Address, Handle | SendError]:
        became: dict[Address, Handle | SendError] = dict.fromkeys(
            addresses, str(told.get("message_token", ""))
        )
        failed = {a: error for a, error in _failed(told.get("failed_list")) if a in became}
        for kind in {type(error): error for error in failed.values()}.values():
            self._heed(kind)
        self._charged(told, len(became) - len(failed))
        return became | failed

    def _charged(self, told: Mapping[str, Any], times: int) -> None:
        if times and told.get("billing_status") == _CHARGED:
            self._notes.note("message_charged", times)

    async def _in_turn(
        self, chat: Address, lane: Lane, method: str, fields: Mapping[str, Any]
    ) -> dict[str, Any]:
        """Wait for the turn, and call. A 429 pauses this chat, or all when it recurs.

        What is too much in one chat alone is over as soon as she does anything.
        """
        if self._gate is None:
            self._gate = Gate(asyncio.get_running_loop().time, RATES)
        await self._gate.enter(chat, lane)
        try:
            return await self._call(method, fields)
        except Throttled as throttled:
            seconds, everywhere = throttled.seconds, throttled.everywhere
        if everywhere or chat == EVERYBODY:
            everywhere = self._gate.pause(chat, seconds).everywhere
        raise Throttled(seconds, everywhere)

    async def set_webhook(self, url: str) -> None:
        """Tell Viber where to call. It calls at once: we must be listening. Raises `SendError`."""
        nothing_of_hers = {"send_name": False, "send_photo": False}
        await self._call("set_webhook", {"url": url, "event_types": EVENTS, **nothing_of_hers})

    async def account(self) -> Mapping[str, Any]:
        """What Viber says of the bot; who its administrators are is left out."""
        told = await self._call("get_account_info", {})
        shown = ("name", "uri", "webhook", "event_types", "subscribers_count")
        return {key: told[key] for key in shown if key in told}

    async def fetch(self, url: str) -> bytes:
        """What she sent, from where Viber keeps it. Raises a `SendError`.

        Whatever a callback says: no address that is not Viber's is asked, nor led on to.
        """
        for _ in range(MAX_HOPS):
            if not self._is_vibers(url):
                raise Refused
            answer = await self._get(url)
            if answer.status == 200:
                return answer.body
            if answer.location is None or not 300 <= answer.status < 400:
                raise Refused
            url = urljoin(url, answer.location)
        raise Refused

    def _is_vibers(self, url: str) -> bool:
        """Of Viber's own name over TLS, or of the server that stands in for it here."""
        try:
            parts, api = urlsplit(url), urlsplit(self._base)
            host, port = parts.hostname or "", parts.port
            if parts.username is not None or parts.password is not None:
                return False
            if (parts.scheme, host, port) == (api.scheme, api.hostname, api.port):
                return True
        except ValueError:
            return False
        own = MEDIA_HOST.fullmatch(host) is not None
        return parts.scheme == "https" and own and port in (None, 443)

    async def _get(self, url: str) -> Answer:
        try:
            return await self._http.get(
                url, most=MAX_MEDIUM, connect=CONNECT_SECONDS, read=FETCH_SECONDS
            )
        except NothingLeft:
            failure: SendError = Unreached()
        except AnswerLost:
            failure = Unknown()
        except TooLarge:
            failure = Refused()
        raise failure

    async def close(self) -> None:
        """Close the connections."""
        await self._http.close()

    async def _call(self, method: str, fields: Mapping[str, Any]) -> dict[str, Any]:
        """One call: its answer, or a verdict with no cause attached."""
        body = encoded(fields)
        try:
            answer = await self._http.post_json(
                f"{self._base}/pa/{method}",
                body,
                {"X-Viber-Auth-Token": self._token},
                connect=CONNECT_SECONDS,
                read=READ_SECONDS,
            )
        except NothingLeft:
            failure: SendError = Unreached()
        except AnswerLost:
            failure = Unknown()
        else:
            refusal = verdict(answer)
            if refusal is None:
                return read_object(answer.body) or {}
            failure = refusal
        self._heed(failure)
        raise failure

    def _heed(self, failure: SendError) -> None:
        """What stops us all is told at once."""
        if isinstance(failure, Unauthorised):
            self.withdrawn.set()
        elif isinstance(failure, Unpaid):
            self._notes.alarm("send_unpaid")
        elif isinstance(failure, WebhookMissing):
            self._notes.alarm("webhook_elsewhere")
