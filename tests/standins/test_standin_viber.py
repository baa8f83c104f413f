"""The stand-in before a bot that does nothing but what each test tells it to."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from tests.standins.viber import STATUSES, Fault, ViberStandIn, rows_of
from tests.standins.viber_woman import ViberWoman

Json = dict[str, Any]
SENDER = {"name": "Дом"}
OK = web.Response


class Clock:
    ahead = timedelta()

    def __call__(self) -> datetime:
        return datetime.now(UTC) + self.ahead


class Bot:
    """A webhook that notes what comes and answers what the test says, and a bare client."""

    def __init__(self, server: ViberStandIn) -> None:
        self.server = server
        self.taken: list[Json] = []
        self.raw: list[tuple[bytes, str]] = []
        self.answers: list[Callable[[], web.Response] | Callable[[], Awaitable[web.Response]]] = []
        self.welcome: Json | None = None
        self.session = aiohttp.ClientSession()
        self.url = ""

    async def hook(self, request: web.Request) -> web.Response:
        body = await request.read()
        self.raw.append((body, request.headers.get("X-Viber-Content-Signature", "")))
        event = json.loads(body)
        if self.answers:
            answer = self.answers.pop(0)()
            return answer if isinstance(answer, web.Response) else await answer
        self.taken.append(event)
        if event["event"] == "conversation_started" and self.welcome is not None:
            return web.json_response(self.welcome)
        return web.Response()

    @property
    def kinds(self) -> list[str]:
        return [event["event"] for event in self.taken]

    async def call(self, method: str, body: Json, token: str | None = None) -> Json:
        answer = await self.http(method, body, token)
        assert answer.status == 200
        told: Json = await answer.json()
        return told

    async def http(
        self, method: str, body: Json, token: str | None = None
    ) -> aiohttp.ClientResponse:
        raw = json.dumps(body, ensure_ascii=False).encode()
        headers = {"X-Viber-Auth-Token": token or self.server.token}
        url = f"{self.server.api}/pa/{method}"
        return await self.session.post(url, data=raw, headers=headers)

    async def send(self, woman: ViberWoman, text: str = "а", **other: Any) -> Json:
        message = {"receiver": woman.id, "type": "text", "text": text, "sender": SENDER}
        return await self.call("send_message", message | other)


@pytest.fixture
async def server() -> AsyncIterator[ViberStandIn]:
    server = ViberStandIn(now=Clock())
    await server.start()
    yield server
    await server.stop()


@pytest.fixture
async def bot(server: ViberStandIn) -> AsyncIterator[Bot]:
    bot = Bot(server)
    app = web.Application()
    app.router.add_post("/hook", bot.hook)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    bot.url = server.webhook = f"http://127.0.0.1:{runner.addresses[0][1]}/hook"
    yield bot
    await bot.session.close()
    await runner.cleanup()


def keyboard(*buttons: Json, **other: Any) -> Json:
    return {"Type": "keyboard", "Buttons": list(buttons)} | other


def button(text: str = "Помощ", body: str = "bg:home", **other: Any) -> Json:
    return {"ActionBody": body, "Text": text} | other


async def test_webhook_is_tried_before_it_is_taken(server: ViberStandIn, bot: Bot) -> None:
    server.webhook = ""
    told = await bot.call("set_webhook", {"url": bot.url, "event_types": ["failed"]})
    assert told["status"] == 0
    assert told["event_types"] == ["subscribed", "unsubscribed", "message", "failed"]
    assert bot.kinds == ["webhook"]
    assert not server.send_name
    woman = server.woman()
    await woman.opens()
    await woman.types("а")
    assert bot.kinds == ["webhook", "message"]
    assert (await bot.call("get_account_info", {}))["webhook"] == bot.url
    assert (await bot.call("set_webhook", {"url": ""}))["status"] == 0
    assert (await bot.send(woman))["status"] == 10


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({}, 4),
        ({"url": "ftp://127.0.0.1/"}, 1),
        ({"url": "http://127.0.0.1:notaport/"}, 1),
        ({"url": "http://127.0.0.1:1/", "event_types": ["mesage"]}, 3),
        ({"url": "http://127.0.0.1:1/", "send_names": True}, 3),
        ({"url": "http://127.0.0.1:1/", "send_name": "no"}, 3),
        ({"url": "http://127.0.0.1:1/"}, 1),  # nobody answers there
    ],
)
async def test_webhooks_viber_does_not_take(
    server: ViberStandIn, bot: Bot, body: Json, status: int
) -> None:
    assert (await bot.call("set_webhook", body))["status"] == status
    assert server.webhook == bot.url


async def test_webhook_without_tls_or_with_another_answer(server: ViberStandIn, bot: Bot) -> None:
    bot.answers = [lambda: OK(status=204)]
    assert (await bot.call("set_webhook", {"url": bot.url}))["status_message"] == "invalidUrl"
    server.https_only = True
    assert (await bot.call("set_webhook", {"url": bot.url}))["status"] == 1


async def test_a_message_with_its_receipts(server: ViberStandIn, bot: Bot) -> None:
    woman = server.woman(subscribed=True)
    board = keyboard(
        button("<b>Аз &amp; ти</b>", Columns=3), button("", Columns=4, BgColor="#ffffff")
    )
    told = await bot.send(woman, "здравей", keyboard=board, tracking_data="t1")
    assert told["status"] == 0
    assert told["status_message"] == "ok"
    assert told["billing_status"] == 2
    shown = await woman.sees("здравей")
    assert not shown.mine
    assert shown.token == told["message_token"] > 2**53
    assert shown.buttons == woman.buttons == ["Аз & ти", ""]
    assert [len(row) for row in rows_of(board)] == [1, 1]
    await server.settled()
    assert bot.kinds == ["delivered", "seen"]
    assert {event["message_token"] for event in bot.taken} == {told["message_token"]}
    assert {event["user_id"] for event in bot.taken} == {woman.id}
    body, signature = bot.raw[0]
    assert signature == server.sign(body)
    await bot.send(woman, "без клавиатура")
    assert woman.messages[-1].keyboard is None
    assert woman.buttons == ["Аз & ти", ""]
    assert [kind for kind, _ in server.calls] == ["send_message", "send_message"]


async def test_seen_once_for_all_that_came(server: ViberStandIn, bot: Bot) -> None:
    woman = server.woman(subscribed=True)
    woman.looks = False
    await bot.send(woman)
    last = await bot.send(woman)
    seen = woman.reads()
    assert seen
    await seen
    assert woman.reads() is None
    assert bot.kinds == ["delivered", "delivered", "seen"]
    assert bot.taken[-1]["message_token"] == last["message_token"]
    server.receipts = False
    await bot.send(woman)
    await server.settled()
    assert len(bot.taken) == 3


async def test_what_fails_on_her_phone(server: ViberStandIn, bot: Bot) -> None:
    woman = server.woman(subscribed=True)
    woman.cannot_show()
    woman.cannot_show(None)
    assert (await bot.send(woman))["status"] == 0
    assert (await bot.send(woman))["status"] == 0
    await server.settled()
    assert bot.kinds == ["failed", "failed"]
    assert ["desc" in event for event in bot.taken] == [True, False]
    assert woman.messages == []


async def test_opening_is_no_subscription(server: ViberStandIn, bot: Bot) -> None:
    woman = server.woman()
    bot.welcome = {
        "type": "text", "text": "добре дошла", "sender": SENDER, "keyboard": keyboard(button()),
    }  # fmt: skip
    await woman.opens("ruse-p1")
    assert bot.taken[0]["context"] == "ruse-p1"
    assert bot.taken[0]["subscribed"] is False
    assert woman.messages[-1].text == "добре дошла"
    assert not woman.subscribed
    assert (await bot.send(woman))["status"] == 6
    await woman.opens()
    assert "context" not in bot.taken[1]
    assert woman.taps("Помощ")
    await server.settled()
    assert bot.kinds == ["conversation_started", "conversation_started", "message"]
    assert (await bot.send(woman))["status"] == 0
    await woman.opens()
    assert bot.taken[-1]["subscribed"] is True
    assert len(woman.bot_messages) == 3  # no welcome for who has subscribed
    assert [why for method, _, why in server.refusals if method == "welcome"]


async def test_a_welcome_that_is_no_message(server: ViberStandIn, bot: Bot) -> None:
    woman = server.woman()
    bot.welcome = {"type": "text", "text": "а", "sender": SENDER, "receiver": woman.id}
    await woman.opens()
    bot.welcome = {"status": 0}
    await woman.opens()
    assert woman.messages == []
    assert server.refusals == [("welcome", 3, "text has no receiver")]


async def test_taps(server: ViberStandIn, bot: Bot) -> None:
    woman = server.woman(subscribed=True)
    board = keyboard(
        button("Да", "bg:yes"),
        button("Тихо", "bg:hush", Silent=True),
        button("Сайт", "https://example.org/a", ActionType="open-url", OpenURLType="external"),
        button("Дай номер", "x", ActionType="share-phone"),
        button("Нищо", "x", ActionType="none"),
    )
    await bot.send(woman, "меню", keyboard=board, min_api_version=3, tracking_data="t7")
    await server.settled()
    bot.taken.clear()
    woman.taps("Да")
    woman.taps("Тихо")
    assert woman.taps("Сайт") is None
    assert woman.taps("Нищо") is None
    woman.taps("номер")
    await server.settled()
    texts = [(e["message"].get("text"), e["silent"]) for e in bot.taken]
    assert texts == [("bg:yes", False), ("bg:hush", True), (None, False)]
    assert {event["message"]["tracking_data"] for event in bot.taken} == {"t7"}
    assert bot.taken[-1]["message"]["contact"]["phone_number"] == woman.phone
    assert [shown.text for shown in woman.messages] == ["меню", "bg:yes", ""]
    assert [shown.mine for shown in woman.messages] == [False, True, True]
    assert woman.opened_urls == ["https://example.org/a"]
    server.url_taps_reply = True
    told = woman.taps("Сайт")
    assert told
    await told
    assert bot.taken[-1]["message"]["text"] == "https://example.org/a"
    with pytest.raises(AssertionError, match="no button 'Не'"):
        woman.taps("Не")


async def test_what_is_told_of_her(server: ViberStandIn, bot: Bot) -> None:
    woman = server.woman()
    await woman.types("а")
    told = {"id", "country", "language", "api_version"}
    assert bot.taken[-1]["sender"].keys() == told
    server.send_name = server.send_photo = True
    await woman.types("а")
    assert bot.taken[-1]["sender"].keys() == told | {"name", "avatar"}
    assert bot.taken[-1]["sender"]["name"] in woman.planted
    woman.personalization = False
    await woman.opens()
    assert bot.taken[-1]["user"]["name"] == "Subscriber"


async def test_what_else_she_sends(server: ViberStandIn, bot: Bot) -> None:
    woman = server.woman()
    for kind in ("picture", "video", "file", "contact", "location", "sticker", "url"):
        await woman.sends(kind)
        sent = bot.taken[-1]["message"]
        assert sent["type"] == kind
        assert len(sent) > 1
    await woman.sends("picture", "виж")
    assert bot.taken[-1]["message"]["text"] == "виж"
    assert all(shown.mine for shown in woman.messages)
    assert woman.messages[0].picture in woman.planted
    assert str(bot.taken[4]["message"]["location"]["lat"]) in woman.planted


async def test_leaving_and_coming_back(server: ViberStandIn, bot: Bot) -> None:
    woman = server.woman(subscribed=True)
    await bot.send(woman, tracking_data="t")
    await woman.leaves()
    assert (await bot.send(woman))["status_message"] == "receiverNotSubscribed"
    await woman.subscribes()
    assert (await bot.send(woman))["status"] == 0
    assert (await bot.send(server.woman()))["status"] == 6
    await server.settled()
    assert [kind for kind in bot.kinds if "subscribed" in kind] == ["unsubscribed", "subscribed"]
    await woman.types("а")
    assert "tracking_data" not in bot.taken[-1]["message"]


async def test_callbacks_come_again_in_order(server: ViberStandIn, bot: Bot) -> None:
    woman, other = server.woman(), server.woman()
    asked, free = asyncio.Event(), asyncio.Event()

    async def slowly() -> web.Response:
        asked.set()
        await free.wait()
        return web.Response(status=503)

    bot.answers = [slowly]
    first, second = woman.types("едно"), woman.types("две")
    await asked.wait()
    assert (await other.types("междувременно")).taken  # each woman has a line of her own
    free.set()
    assert (await first).statuses == [503, 200]
    assert (await second).statuses == [200]
    hers = [e for e in bot.taken if e["sender"]["id"] == woman.id]
    assert [event["message"]["text"] for event in hers] == ["едно", "две"]
    tokens = [json.loads(body)["message_token"] for body, _ in bot.raw]
    assert tokens.count(hers[0]["message_token"]) == 2


async def test_callbacks_are_given_up(server: ViberStandIn, bot: Bot) -> None:
    woman = server.woman()
    patience, server.callback_timeout = server.callback_timeout, 1.0

    async def never() -> web.Response:
        server.callback_timeout = patience  # of the next tries
        await asyncio.Event().wait()
        raise AssertionError

    bot.answers = [never, lambda: OK(status=302), lambda: OK(status=201), lambda: OK(status=500)]
    callback = await woman.types("едно")
    assert callback.statuses == [None, 302, 201, 500]
    assert not callback.taken
    assert (await woman.types("две")).taken
    assert server.events("message")[0] is callback


async def test_anything_may_be_posted(server: ViberStandIn, bot: Bot) -> None:
    body = b'{"event": "webhook"}'
    bot.answers = [lambda: OK(status=403, text="no"), lambda: OK(text="yes")]
    assert await server.post(body, None) == (403, b"no")
    assert await server.post(body, server.sign(body)) == (200, b"yes")
    assert [signature for _, signature in bot.raw] == ["", server.sign(body)]


REFUSED: list[tuple[Json, int]] = [
    ({"text": ""}, 3),
    ({"text": " \n"}, 3),
    ({"text": "я" * 7001}, 3),
    ({"text": None}, 3),
    ({"type": "txt"}, 3),
    ({"type": None}, 4),
    ({"receiver": ""}, 4),
    ({"receiver": "01234567890A="}, 5),
    ({"sender": {}}, 3),
    ({"sender": {"name": "я" * 29}}, 3),
    ({"sender": {"name": "я", "photo": "x"}}, 3),
    ({"tracking_data": "x" * 4001}, 3),
    ({"tracking_data": 7}, 3),
    ({"min_api_version": "3"}, 3),
    ({"min_api_version": 11}, 13),
    ({"trackingdata": "x"}, 3),
    ({"auth_token": "x"}, 3),
    ({"type": "picture", "media": "https://example.org/a.jpg?v=1", "text": "я" * 769}, 3),
    ({"type": "picture", "media": "https://example.org/a.webp"}, 3),
    ({"type": "picture", "media": "file:///a.jpg"}, 3),
    ({"type": "picture"}, 4),
    ({"type": "file", "text": None, "media": "https://example.org/a.pdf"}, 3),
    ({"keyboard": []}, 3),
    ({"keyboard": {"Buttons": [button()]}}, 3),
    ({"keyboard": keyboard()}, 3),
    ({"keyboard": keyboard(button(), Bg="#ffffff")}, 3),
    ({"keyboard": keyboard(button(), InputFieldState="hidden"), "min_api_version": 3}, 14),
    ({"keyboard": keyboard(*[button(Rows=2)] * 7)}, 3),
    ({"keyboard": keyboard({"Text": "а"})}, 3),
    ({"keyboard": keyboard({"ActionBody": "а"})}, 3),
    ({"keyboard": keyboard(button(body=""))}, 3),
    ({"keyboard": keyboard(button("я" * 251))}, 3),
    ({"keyboard": keyboard(button("<a href='x'>а</a>"))}, 3),
    ({"keyboard": keyboard(button("1 < 2"))}, 3),
    ({"keyboard": keyboard(button(Columns=7))}, 3),
    ({"keyboard": keyboard(button(Columns="3"))}, 3),
    ({"keyboard": keyboard(button(Rows=3))}, 3),
    ({"keyboard": keyboard(button(Coloumns=3))}, 3),
    ({"keyboard": keyboard(button(TextSize="huge"))}, 3),
    ({"keyboard": keyboard(button(TextPaddings=12)), "min_api_version": 4}, 3),
    ({"keyboard": keyboard(button(BgColor="white"))}, 3),
    ({"keyboard": keyboard(button(ActionType="call"))}, 3),
    ({"keyboard": keyboard(button(ActionType="open-url"))}, 3),
    ({"keyboard": keyboard(button(ActionType="share-phone")), "min_api_version": 2}, 14),
    ({"keyboard": keyboard(button(Silent=True))}, 14),
    ({"keyboard": keyboard(button(Silent="true")), "min_api_version": 3}, 3),
]


@pytest.mark.parametrize(("changed", "status"), REFUSED)
async def test_what_viber_refuses(
    server: ViberStandIn, bot: Bot, changed: Json, status: int
) -> None:
    woman = server.woman(subscribed=True)
    message = {"receiver": woman.id, "type": "text", "text": "а", "sender": SENDER} | changed
    if changed.get("type", "text") is None:
        del message["type"]
    told = await bot.call("send_message", message)
    assert (told["status"], told["status_message"]) == (status, STATUSES[status])
    assert "message_token" not in told
    assert woman.messages == []
    assert len(server.refusals) == 1


TAKEN: list[Json] = [
    {"type": "text", "text": "я" * 7000},
    {"type": "picture", "text": "", "media": "https://example.org/a.jpg?v=1"},
    {"type": "file", "media": "http://example.org/a.pdf", "size": 9, "file_name": "a.pdf"},
    {"type": "video", "media": "http://example.org/a.mp4", "size": 9, "duration": 3},
    {"type": "url", "media": "https://example.org/"},
    {"type": "contact", "contact": {"name": "112", "phone_number": "112"}},
    {"type": "location", "location": {"lat": "43.85", "lon": 25.97}},
    {"type": "sticker", "sticker_id": 46105},
    {"type": "rich_media", "min_api_version": 7, "rich_media": {
        "Type": "rich_media", "Buttons": [button(Rows=7)]}},
    {"keyboard": keyboard(button("<font color='#323232' size=\"24\"><b>а</b></font><br>б"))},
    {"type": "text", "text": "а", "min_api_version": 6, "keyboard": keyboard(
        button(Columns=2, Silent=False, TextPaddings=[0, 0, 0, 0], TextShouldFit=True),
        InputFieldState="hidden", DefaultHeight=False, BgColor="#FFFFFF")},
]  # fmt: skip


@pytest.mark.parametrize("message", TAKEN)
async def test_what_viber_takes(server: ViberStandIn, bot: Bot, message: Json) -> None:
    woman = server.woman(subscribed=True)
    told = await bot.call("send_message", {"receiver": woman.id, "sender": SENDER} | message)
    assert (told["status"], server.refusals) == (0, [])
    assert len(woman.messages) == ("type" in message)


async def test_a_request_that_is_too_big(server: ViberStandIn, bot: Bot) -> None:
    woman = server.woman(subscribed=True)
    board = keyboard(*[button("я" * 250, "x" * 2000)] * 12)
    assert (await bot.send(woman, keyboard=board))["status"] == 3
    assert server.refusals[0][2].endswith("bytes of JSON")


async def test_a_hundred_messages_without_an_answer(server: ViberStandIn, bot: Bot) -> None:
    server.receipts = False
    woman = server.woman(subscribed=True)
    statuses = [(await bot.send(woman))["status"] for _ in range(101)]
    assert statuses == [0] * 100 + [12]
    await woman.types("а")
    assert (await bot.send(woman))["status"] == 0
    assert isinstance(server.now, Clock)
    server.now.ahead = timedelta(hours=25)
    assert (await bot.send(woman))["billing_status"] == 5


async def test_broadcast(server: ViberStandIn, bot: Bot) -> None:
    here, gone = server.woman(subscribed=True), server.woman()
    message = {"type": "text", "text": "а", "sender": SENDER}
    told = await bot.call(
        "broadcast_message", message | {"broadcast_list": [here.id, gone.id, "x"]}
    )
    assert told["status"] == 0
    assert [(f["receiver"], f["status"]) for f in told["failed_list"]] == [(gone.id, 6), ("x", 5)]
    assert here.messages[0].token == told["message_token"]
    assert told["billing_status"] == 2
    many = await bot.call("broadcast_message", message | {"broadcast_list": ["x"] * 301})
    assert many["status"] == 3


async def test_too_many_broadcasts_in_ten_seconds(server: ViberStandIn, bot: Bot) -> None:
    server.broadcasts = 2
    message = {"type": "text", "text": "а", "sender": SENDER, "broadcast_list": ["x"]}
    answers = [(await bot.http("broadcast_message", message)).status for _ in range(3)]
    assert answers == [200, 200, 429]
    assert (await bot.call("get_account_info", {}))["status"] == 0


async def test_token_and_method(server: ViberStandIn, bot: Bot) -> None:
    told = await bot.call("get_account_info", {}, token="another")
    assert told["status_message"] == "invalidAuthToken"
    assert (await bot.http("delete_message", {})).status == 404
    assert server.called("get_account_info") == [{}]


async def test_faults(server: ViberStandIn, bot: Bot) -> None:
    woman = server.woman(subscribed=True)
    message = {"receiver": woman.id, "type": "text", "text": "а", "sender": SENDER}
    server.fail(
        Fault("html", status=429, retry_after=7, times=2),
        Fault("refuse", code=24),
        Fault("drop_before", "send_message"),
        Fault("drop_after", "send_message"),
    )
    for _ in range(2):
        answer = await bot.http("get_account_info", {})
        assert (answer.status, answer.headers["Retry-After"]) == (429, "7")
    assert (await bot.send(woman))["status_message"] == "noBalance"
    assert (await bot.call("get_account_info", {}))["status"] == 0
    for stands in (0, 1):
        with pytest.raises(aiohttp.ClientError):
            await bot.http("send_message", message)
        assert len(woman.messages) == stands
    for kind in ("hang", "drip"):
        server.fail(Fault(kind))
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(1):
                await bot.send(woman)
    assert len(woman.messages) == 3
    assert server.faults == []
    assert server.refusals == []


async def test_it_comes_back_on_the_same_port(server: ViberStandIn, bot: Bot) -> None:
    woman = server.woman(subscribed=True)
    before = server.api
    await server.stop()
    with pytest.raises(aiohttp.ClientError):
        await bot.send(woman)
    await server.start()
    assert server.api == before
    await bot.send(woman, "пак")
    assert (await woman.sees_messages(1))[0].text == "пак"
    await woman.sees_buttons()
    with pytest.raises(AssertionError, match="she does not see 'нищо'"):
        await woman.sees("нищо", timeout=0.01)
