"""Viber, what goes out: the real client against a stand-in held to Viber's documentation."""

from __future__ import annotations

import asyncio
import json
import logging
import re
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bot import media
from bot.channels import viber as viber_of
from bot.channels import viber_api
from bot.channels.base import (
    Call,
    Gone,
    Handle,
    Outgoing,
    OutgoingButton,
    Refused,
    SendError,
    Throttled,
    Unauthorised,
    Unknown,
    Unpaid,
    Unsent,
)
from bot.channels.http import Answer
from bot.channels.pace import Rates
from bot.channels.viber import LIMITS, ViberChannel
from bot.channels.viber_api import NoBroadcasts, Notes, ViberApi, WebhookMissing, verdict
from bot.channels.viber_screens import unformatted
from bot.links import LENT_MINUTES
from bot.privacy.redact import EventLog
from dialogs import payload
from dialogs.model import Position
from tests import sounds
from tests.bot.channels.telegram_line import MARKS, PATIENCE, eventually, said, screen
from tests.bot.channels.viber_line import NAMES, ViberLine, cover, door, on_phone, stamped, taken
from tests.bot.web.fakes import NOW
from tests.standins.viber import SESSION, STATUSES, TOKEN, UNANSWERED, Fault
from tests.standins.viber_woman import ViberWoman

MEANS: dict[int, type[SendError]] = {
    1: Refused, 2: Unauthorised, 3: Refused, 4: Refused, 5: Gone, 6: Gone, 7: Unauthorised,
    8: Unauthorised, 9: Unauthorised, 10: WebhookMissing, 11: Refused, 12: Throttled, 13: Refused,
    14: Refused, 15: NoBroadcasts, 16: Refused, 17: Refused, 18: Refused, 19: NoBroadcasts,
    20: NoBroadcasts, 21: Refused, 22: Unpaid, 23: Unpaid, 24: Unpaid,
    25: Unsent, 99: Unsent, -1: Unsent,
}  # fmt: skip


def reader(line: ViberLine) -> ViberWoman:
    """A woman who wrote to the line before."""
    return line.server.woman(subscribed=True)


# --- what Viber answers


@pytest.mark.parametrize(("status", "means"), MEANS.items())
async def test_every_status_becomes_one_verdict(
    viber: ViberLine, status: int, means: type[SendError]
) -> None:
    viber.server.fail(Fault("refuse", code=status))
    with pytest.raises(SendError) as raised:
        await viber.shows(reader(viber), screen("Какво е заповед?"))
    assert type(raised.value) is means
    assert raised.value.__context__ is None
    assert raised.value.__cause__ is None
    assert STATUSES[0] not in str(raised.value)


def test_the_table_has_every_status_there_is() -> None:
    assert set(range(1, len(STATUSES))) <= set(MEANS)
    assert verdict(Answer(200, b'{"status":0}')) is None


@pytest.mark.parametrize("status", [2, 7, 8, 9])
async def test_what_stops_the_bot_stops_the_channel(viber: ViberLine, status: int) -> None:
    viber.server.fail(Fault("refuse", "send_message", code=status))
    with pytest.raises(Unauthorised):
        await viber.shows(reader(viber), screen("а"))
    with pytest.raises(Unauthorised) as raised:
        await asyncio.wait_for(viber.task, PATIENCE)
    assert raised.value.__context__ is None
    assert (await viber.takes(viber.says(viber.server.woman(), "а")))[0] == 503


@pytest.mark.parametrize("status", [1, 3, 5, 6, 10, 11, 12, 13, 14, 21, 22, 23, 24, 25])
async def test_what_is_about_one_message_stops_nothing(viber: ViberLine, status: int) -> None:
    woman, other = reader(viber), reader(viber)
    viber.server.fail(Fault("refuse", code=status))
    with pytest.raises(SendError):
        await viber.shows(woman, screen("а"))
    await viber.shows(other, screen("б"))
    await other.sees("б")
    assert not viber.task.done()


@pytest.mark.parametrize(
    ("status", "code"), [(10, "webhook_elsewhere"), (22, "send_unpaid"), (23, "send_unpaid"),
                         (24, "send_unpaid")]
)  # fmt: skip
async def test_what_a_human_must_see_is_counted(viber: ViberLine, status: int, code: str) -> None:
    before = viber.channel.events[code]
    viber.server.fail(Fault("refuse", code=status))
    with pytest.raises(SendError):
        await viber.shows(reader(viber), screen("а"))
    assert viber.channel.events[code] == before + 1


@pytest.mark.parametrize(
    "answer",
    [
        b"", b"null", b"[]", b"7", b"{}", b'{"status":"0"}', b'{"status":true}',
        b'{"status":null}', b'{"status":0', b"<html>ok</html>", b"\xff", b"[" * 100_000,
    ],
    ids=lambda answer: repr(answer[:20]),
)  # fmt: skip
def test_an_answer_that_is_not_vibers_word_is_unknown(answer: bytes) -> None:
    assert type(verdict(Answer(200, answer))) is Unknown


@pytest.mark.parametrize("status", [200, 301, 400, 404, 500, 502, 504])
async def test_html_where_json_belongs_is_unknown(viber: ViberLine, status: int) -> None:
    viber.server.fail(Fault("html", status=status))
    with pytest.raises(Unknown):
        await viber.shows(reader(viber), screen("а"))


@pytest.mark.parametrize(
    ("told", "seconds"),
    [("7", 7), ("0", 1), ("-5", 1), ("1e9", 86400), (None, 60), ("", 60),
     ("Wed, 21 Oct 2026 07:28:00 GMT", 60)],
)  # fmt: skip
def test_a_429_tells_how_long_to_wait(told: str | None, seconds: float) -> None:
    found = verdict(Answer(429, b"<html>", told))
    assert isinstance(found, Throttled)
    assert (found.seconds, found.everywhere) == (seconds, True)


async def test_after_a_429_nothing_goes_to_that_chat_until_then(viber: ViberLine) -> None:
    woman, other = reader(viber), reader(viber)
    viber.server.fail(Fault("html", status=429, retry_after=2))
    with pytest.raises(Throttled) as raised:
        await viber.shows(woman, screen("а"))
    assert raised.value.seconds == 2
    with pytest.raises(Throttled):
        await viber.shows(woman, screen("а"))
    assert len(viber.sent()) == 1  # the second one never left
    await viber.shows(other, screen("б"))
    await asyncio.sleep(2.05)
    await viber.shows(woman, screen("в"))


async def test_a_429_in_several_chats_is_about_all_of_them(viber: ViberLine) -> None:
    viber.server.fail(Fault("html", status=429, retry_after=30, times=3))
    for _ in range(3):
        with pytest.raises(Throttled):
            await viber.shows(reader(viber), screen("а"))
    with pytest.raises(Throttled) as raised:
        await viber.shows(reader(viber), screen("б"))
    assert raised.value.everywhere
    assert len(viber.sent()) == 3


async def test_a_hundred_unanswered_messages_stop_that_chat_and_no_other(
    viber: ViberLine,
) -> None:
    for _ in range(4):  # more than would stop everything, were it about the bot
        woman = reader(viber)
        woman.unanswered.extend([viber.clock()] * UNANSWERED)
        with pytest.raises(Throttled) as raised:
            await viber.shows(woman, screen("а"))
        assert (raised.value.seconds, raised.value.everywhere) == (60, False)
    await viber.shows(reader(viber), screen("б"))
    await woman.types("112")  # and over it is as soon as she does anything
    await viber.shows(woman, door("danger"))
    await woman.sees("112")
    viber.server.refusals.clear()


@pytest.mark.parametrize("kind", ["drop_before", "drop_after", "hang", "drip"])
async def test_an_answer_that_never_comes_is_unknown_and_others_flow(
    viber: ViberLine, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(viber_api, "READ_SECONDS", 2.0)
    monkeypatch.setattr(viber_api, "CONNECT_SECONDS", 2.0)
    viber.server.fail(Fault(kind))
    slow = asyncio.create_task(viber.shows(reader(viber), screen("а")))
    await eventually(viber.sent)
    await viber.shows(reader(viber), screen("б"))
    assert kind.startswith("drop") or not slow.done()
    with pytest.raises(Unknown) as raised:
        await slow
    assert raised.value.__context__ is None


async def test_where_viber_is_not_reached_nothing_left(viber: ViberLine) -> None:
    channel = viber.make(TOKEN)
    await viber.server.stop()
    with pytest.raises(Unsent) as raised:
        await channel.show(reader(viber).id, screen("а"), None)
    assert raised.value.__context__ is None
    await channel.close()


async def test_after_closing_nothing_is_sent_and_no_connection_is_open(viber: ViberLine) -> None:
    woman = reader(viber)
    await viber.shows(woman, screen("а"))
    session = viber.channel._api._http._session
    await viber.channel.close()
    assert session is not None
    assert session.closed
    with pytest.raises(Unsent):
        await viber.shows(woman, screen("б"))


async def test_who_left_is_gone(viber: ViberLine) -> None:
    woman = reader(viber)
    await woman.leaves()
    with pytest.raises(Gone):
        await viber.shows(woman, said("Тук съм."))
    viber.server.refusals.clear()


# --- what it costs


async def test_a_message_out_of_session_is_charged_and_counted(viber: ViberLine) -> None:
    woman = reader(viber)
    await viber.shows(woman, said("Тук съм."))
    assert viber.channel.events["message_charged"] == 0
    viber.clock.time += SESSION
    await viber.shows(woman, said("Още съм тук."))
    assert viber.channel.events["message_charged"] == 1
    await woman.types("и аз")
    await viber.shows(woman, said("Добре."))
    assert viber.channel.events["message_charged"] == 1


def test_what_will_cost_is_known_before_it_is_sent() -> None:
    begun = NOW - timedelta(hours=24)
    assert LIMITS.free_until(begun) == NOW
    assert LIMITS.is_billable(begun, NOW)
    assert not LIMITS.is_billable(begun, NOW - timedelta(seconds=1))
    assert LIMITS.is_billable(None, NOW)
    free = replace(LIMITS, free_hours=None)
    assert not free.is_billable(None, NOW)
    assert free.free_until(begun) > NOW + timedelta(days=365_000)


# --- what the operator asks


async def test_the_webhook_is_set_without_names_and_photos(viber: ViberLine) -> None:
    viber.server.webhook = ""
    await viber.channel.set_webhook()
    assert viber.server.called("set_webhook") == [
        {
            "url": f"{viber.url}/viber/webhook",
            "event_types": ["failed", "conversation_started"],
            "send_name": False,
            "send_photo": False,
        }
    ]  # fmt: skip
    [check] = viber.server.events("webhook")
    assert check.statuses == [200]
    await viber.server.woman().types("помощ")
    assert len(viber.intake.got) == 1


async def test_a_webhook_that_viber_cannot_reach_is_refused(viber: ViberLine) -> None:
    viber.channel.webhook = "http://127.0.0.1:1/viber/webhook"
    with pytest.raises(Refused):
        await viber.channel.set_webhook()
    viber.server.refusals.clear()


async def test_the_account_is_told_without_who_administers_it(viber: ViberLine) -> None:
    account = await viber.channel.account()
    assert set(account) == {"name", "uri", "webhook", "event_types", "subscribers_count"}
    assert account["name"] == "Дом"
    assert "Стефка" not in repr(account)


async def test_a_wrong_token_stops_the_channel_at_its_start(viber: ViberLine) -> None:
    channel = viber.make("wrong-token")
    with pytest.raises(Unauthorised) as raised:
        await asyncio.wait_for(channel.run(viber.intake), PATIENCE)
    assert "wrong" not in repr(raised.value)
    assert raised.value.__context__ is None
    await channel.close()
    viber.server.refusals.clear()


async def test_a_webhook_that_somebody_turned_elsewhere_is_seen_and_so_is_its_return(
    viber: ViberLine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(viber_of, "LOOK_SECONDS", 0.05)
    monkeypatch.setattr(viber_of, "LOOK_AGAIN_SECONDS", 0.05)
    viber.server.webhook = viber.channel.webhook
    channel = viber.make(TOKEN)
    running = asyncio.create_task(channel.run(viber.intake))
    await eventually(lambda: viber.server.called("get_account_info"))
    assert channel.reached
    for address, ours in (("https://elsewhere.example", False), (channel.webhook, True)):
        viber.server.webhook = address
        await eventually(lambda ours=ours: channel.reached is ours)
    assert channel.events["webhook_elsewhere"] >= 1
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    await channel.close()


async def test_a_missing_webhook_is_noted_at_the_start(viber: ViberLine) -> None:
    assert viber.channel.events["webhook_elsewhere"] == 1  # it was set after that start
    channel = viber.make(TOKEN)
    running = asyncio.create_task(channel.run(viber.intake))
    await eventually(lambda: viber.server.called("get_account_info"))
    await asyncio.sleep(0.1)
    assert channel.events["webhook_elsewhere"] == 0
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    await channel.close()


async def test_viber_away_at_the_start_delays_nobody(viber: ViberLine) -> None:
    viber.server.fail(Fault("html", "get_account_info", status=502))
    channel = viber.make(TOKEN)
    running = asyncio.create_task(channel.run(viber.intake))
    await eventually(lambda: channel.events["account_unknown"] == 1)
    body = json.dumps(viber.says(viber.server.woman(), "помощ")).encode()
    call = channel.read(body, viber.server.sign(body))
    assert isinstance(call, Call)
    assert (await channel.take(call)).status == 200
    assert not running.done()
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    await channel.close()


# --- what she gets


async def test_a_screen_is_a_text_with_its_keyboard_and_where_she_is(viber: ViberLine) -> None:
    woman = reader(viber)
    handle = await viber.shows(woman, stamped(screen("Какво е заповед?"), viber.clock))
    [sent] = viber.sent()
    assert sent["type"] == "text"
    assert sent["receiver"] == woman.id
    assert sent["sender"] == {"name": "Дом и здраве"}
    assert sent["min_api_version"] == 3
    assert re.fullmatch(r"bg:order::[0-9a-z]+", sent["tracking_data"])
    shown = await woman.sees("заповед")
    assert handle == str(shown.token)
    assert shown.buttons == ["", "Какво е това?", "Кога?", "◀", "⌂", "112", "✕"]


async def test_a_consultants_words_come_with_who_speaks(viber: ViberLine) -> None:
    woman = reader(viber)
    await viber.shows(woman, said("Тук съм.", author="Мария"))
    assert woman.bot_messages[-1].text == "Тук съм.\n\n— Мария"
    assert woman.buttons == [mark.label for mark in MARKS]


async def test_the_longest_words_with_who_speaks_are_taken(viber: ViberLine) -> None:
    woman = reader(viber)
    await viber.shows(woman, said("д" * LIMITS.text, author="Консултантка от Русе"))
    assert woman.bot_messages[-1].text == "д" * LIMITS.text + "\n\n— Консултантка от Русе"


@pytest.mark.parametrize(
    ("language", "name"), [("bg", "Дом и здраве"), ("tr", "Ev ve sağlık"), ("rom", "Дом и здраве")]
)
async def test_the_bot_has_its_name_in_her_language(
    viber: ViberLine, language: str, name: str
) -> None:
    await viber.shows(reader(viber), replace(screen("а"), language=language))
    assert viber.sent()[0]["sender"] == {"name": name}


async def test_a_long_name_is_cut_to_what_viber_takes(viber: ViberLine) -> None:
    names = {"bg": "Дом, здраве и добри съвети за всеки ден"}
    channel = ViberChannel(TOKEN, viber.server.api, names, viber.links, "", viber.clock)
    await channel.show(reader(viber).id, screen("а"), None)
    assert viber.sent()[0]["sender"]["name"] == names["bg"][:28]
    await channel.close()
    assert all(len(name) <= 28 for name in NAMES.values())


async def test_nothing_is_ever_removed_or_asked_of_viber_for_it(viber: ViberLine) -> None:
    woman = reader(viber)
    handle = await viber.shows(woman, screen("а"))
    await viber.channel.remove(woman.id, [handle, "7"])
    await viber.channel.sweep(woman.id, handle)
    assert len(viber.server.calls) == 1
    assert LIMITS.lasting


async def test_a_message_with_nothing_to_tap_takes_the_last_buttons_away(
    viber: ViberLine,
) -> None:
    woman = reader(viber)
    await viber.shows(woman, screen("Защита"))
    await viber.shows(woman, Outgoing("Супа от леща.", "bg", cover=True))
    assert woman.buttons == [""]
    assert woman.taps("") is None  # and that one does nothing


# --- signs that Viber would read


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("2 * 3", "2 * 3"),
        ("06_12", "06_12"),
        ("*да* и *не*", "*\u200aда*\u200a и *\u200aне*\u200a"),
        ("_а_ ~б~", "_\u200aа_\u200a ~\u200aб~\u200a"),
        ("```в``` `г`", "```\u200aв```\u200a `г`"),
        ("*" * 3400, "*\u200a" * 3400),
        ("*" * 3501, "*" * 3501),  # no room for them: better in bold than not at all
    ],
    ids=lambda value: str(value)[:12],
)
async def test_signs_are_kept_apart_only_where_they_make_a_pair(
    viber: ViberLine, text: str, shown: str
) -> None:
    woman = reader(viber)
    await viber.shows(woman, said(text))
    assert woman.bot_messages[-1].text == shown


@settings(max_examples=400)
@given(st.text("*_~`а \n", max_size=60))
def test_whatever_signs_there_are_she_reads_what_was_written(text: str) -> None:
    assert on_phone(unformatted(text)) == text


def test_an_address_stays_as_it_was_written() -> None:
    text = "Виж https://dinamika.example/a_b_c и www.example.org/*x* или *тук* и *там*"
    shown = unformatted(text)
    assert "https://dinamika.example/a_b_c" in shown
    assert "www.example.org/*x*" in shown
    assert "*\u200aтук*\u200a" in shown


def test_the_phone_of_these_tests_eats_signs() -> None:
    assert on_phone("*да* _не_ ~а~ ```б```") == "да не а б"
    assert on_phone("* да * и 2*3") == "* да * и 2*3"


# --- pictures and voices


async def fetched(address: str) -> tuple[int, bytes, str]:
    async with aiohttp.ClientSession() as viber, viber.get(address) as answer:
        return answer.status, await answer.read(), answer.headers.get("Content-Type", "")


async def test_a_picture_stands_in_the_keyboard_under_a_name_that_says_nothing(
    viber: ViberLine,
) -> None:
    woman = reader(viber)
    await viber.shows(woman, screen("Какво е заповед?"))
    address = viber.sent()[0]["keyboard"]["Buttons"][0]["Image"]
    assert re.fullmatch(rf"{viber.url}/m/[0-9a-f]{{32}}\.png", address)
    status, body, kind = await fetched(address)
    assert (status, body[:4], kind) == (200, b"\x89PNG", "image/png")
    viber.clock.time += timedelta(hours=2)
    assert (await fetched(address))[0] == 404
    await viber.shows(woman, screen("Какво е заповед?"))
    assert viber.sent()[1]["keyboard"]["Buttons"][0]["Image"] != address


async def test_a_picture_that_is_not_there_costs_no_words(viber: ViberLine) -> None:
    woman = reader(viber)
    await viber.shows(woman, screen("Какво е заповед?", picture="unheard_of"))
    assert woman.buttons[0] == "Какво е това?"


async def test_a_voice_comes_before_its_text_as_a_file_that_says_nothing(
    viber: ViberLine,
) -> None:
    woman = reader(viber)
    handle = await viber.shows(woman, screen("Какво е заповед?", audio="order_bg"))
    clip, text = viber.sent()
    assert (clip["type"], text["type"]) == ("file", "text")
    assert clip["file_name"] == "1.m4a"
    assert re.fullmatch(rf"{viber.url}/m/[0-9a-f]{{32}}\.m4a", clip["media"])
    status, body, kind = await fetched(clip["media"])
    assert (status, len(body), kind) == (200, clip["size"], "audio/mp4")
    assert "keyboard" not in clip
    assert handle == str(woman.bot_messages[-1].token)
    assert clip["sender"] == {"name": "Дом и здраве"}


async def test_a_consultants_voice_is_one_file_with_the_keyboard_that_we_keep_for_minutes(
    viber: ViberLine,
) -> None:
    woman = reader(viber)
    voice = await media.voice(sounds.voice())
    place = Position("bg", "case")
    message = said("Гласово съобщение.", author="Мария", voice=voice, position=place)
    handle = await viber.shows(woman, message)
    [clip] = viber.sent()
    assert (clip["type"], clip["file_name"]) == ("file", "1.mp3")
    assert re.fullmatch(rf"{viber.url}/m/[0-9a-f]{{32}}\.mp3", clip["media"])
    assert "Мария" not in json.dumps(clip, ensure_ascii=False)
    assert payload.unpack(clip["tracking_data"]) == place
    assert [button for button in woman.buttons if button] == [mark.label for mark in MARKS]
    assert handle == str(woman.bot_messages[-1].token)
    status, body, kind = await fetched(clip["media"])
    assert (status, len(body), kind) == (200, clip["size"], "audio/mpeg")
    assert sounds.stream(body) == "mp3,48000,1"
    viber.clock.time += timedelta(minutes=LENT_MINUTES)
    assert (await fetched(clip["media"]))[0] == 404


async def test_without_tools_a_consultants_voice_is_refused(
    viber: ViberLine, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    message = said("Гласово съобщение.", voice=await media.voice(sounds.voice()))
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(Refused):
        await viber.shows(reader(viber), message)
    assert viber.sent() == []


# --- what she sends


@pytest.fixture
async def api() -> AsyncIterator[ViberApi]:
    """As it is in earnest, with no server that stands in for Viber's."""
    api = ViberApi(TOKEN, "https://chatapi.viber.com", Notes(EventLog("viber")))
    yield api
    await api.close()


@pytest.mark.parametrize(
    "url",
    [
        "https://dl-media.viber.com/10/media/2/short/any/sig/image/0x0/7b2f.jpg",
        "https://viber.com/a.jpg",
        "https://media-direct.cdn.viber.com:443/download_photo?dlid=1",
        "https://chatapi.viber.com/a.jpg",
    ],
)
def test_a_photo_may_lie_at_viber(api: ViberApi, url: str) -> None:
    assert api._is_vibers(url)


@pytest.mark.parametrize(
    "url",
    [
        "http://dl-media.viber.com/a.jpg", "https://viber.com.evil.example/a.jpg",
        "https://evilviber.com/a.jpg", "https://127.0.0.1/a.jpg", "http://127.0.0.1:8080/desk",
        "https://169.254.169.254/latest/meta-data", "https://[::1]/a.jpg", "https://localhost/",
        "https://dl-media.viber.com:8443/a.jpg", "https://viber.com@127.0.0.1/a.jpg",
        "https://me:word@dl-media.viber.com/a.jpg", "file:///etc/passwd", "//viber.com/a.jpg",
        "https://[viber.com/a.jpg", "https://viber.com:99999/a.jpg", "a.jpg", "",
        "https://127.0.0.1#.viber.com/", "https://127.0.0.1\\.viber.com/",
    ],
)  # fmt: skip
async def test_nothing_is_fetched_from_anywhere_else(api: ViberApi, url: str) -> None:
    with pytest.raises(Refused):
        await api.fetch(url)


async def test_no_address_of_a_callback_leads_to_a_server_beside_us(viber: ViberLine) -> None:
    woman = viber.server.woman()
    await woman.sends_photo(b"", media=f"{viber.url}/m/anything.png")
    [got] = await viber.intake.receives()
    assert got.fetch is not None
    with pytest.raises(Refused):
        await got.fetch()


async def test_viber_may_lead_on_to_itself_and_to_nobody_else(viber: ViberLine) -> None:
    woman, photo = viber.server.woman(), sounds.photo()
    there = viber.server.upload(photo)
    elsewhere = f"{viber.url}/healthz"
    circle = viber.server.upload("/media/2.jpg")
    viber.server.media["2.jpg"] = circle
    leads = (there, elsewhere, circle)
    for lead in leads:
        await woman.sends_photo(b"", media=viber.server.upload(lead))
    first, *others = await viber.intake.receives(len(leads))
    assert first.fetch is not None
    assert await first.fetch() == photo
    for other in others:
        assert other.fetch is not None
        with pytest.raises(Refused):
            await other.fetch()


async def test_a_voice_that_is_not_there_is_no_error(viber: ViberLine) -> None:
    await viber.shows(reader(viber), screen("Какво е заповед?", audio="order_tr"))
    assert [sent["type"] for sent in viber.sent()] == ["text"]


@pytest.mark.parametrize("fault", [Fault("refuse", code=3), Fault("drop_after")])
async def test_a_voice_that_viber_does_not_take_costs_no_words(
    viber: ViberLine, fault: Fault
) -> None:
    woman = reader(viber)
    viber.server.fail(fault)
    await viber.shows(woman, screen("Какво е заповед?", audio="order_bg"))
    assert woman.bot_messages[-1].text == "Какво е заповед?"


async def test_a_voice_for_who_left_is_told_at_once(viber: ViberLine) -> None:
    viber.server.fail(Fault("refuse", code=6))
    with pytest.raises(Gone):
        await viber.shows(reader(viber), screen("Какво е заповед?", audio="order_bg"))
    assert len(viber.sent()) == 1


# --- limits


def heavy() -> Outgoing:
    """More than 30 KB, though each part is within its own limit."""
    buttons = tuple(OutgoingButton("€" * 250, f"bg:b{n}") for n in range(LIMITS.buttons))
    return screen("€" * LIMITS.window, choices=buttons, marks=())


async def test_more_than_30_kb_is_refused_before_anything_leaves(viber: ViberLine) -> None:
    with pytest.raises(Refused) as raised:
        await viber.shows(reader(viber), heavy())
    assert viber.server.calls == []
    assert "€" not in str(raised.value)


async def test_no_welcome_is_more_than_30_kb(viber: ViberLine) -> None:
    woman = viber.server.woman()
    opening = woman.opens()
    await viber.intake.receives()
    with pytest.raises(Refused):
        await viber.shows(woman, heavy())
    await viber.shows(woman, cover())
    await taken(opening)
    assert len(woman.bot_messages) == 1


async def test_cyrillic_goes_out_as_it_is(viber: ViberLine) -> None:
    """Escaped it would be three times as long, and more than 30 KB."""
    buttons = tuple(OutgoingButton("ж" * LIMITS.label, "bg:when") for _ in range(LIMITS.buttons))
    message = screen("а" * LIMITS.window, choices=buttons)
    await viber.shows(reader(viber), message)
    assert len(json.dumps(viber.sent()[0])) > 50_000


# --- who goes first


async def test_hide_and_112_go_before_her_case_and_that_before_the_rest(
    viber: ViberLine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(viber_api, "RATES", Rates(4, 1, 100, 100))
    waiting = [
        asyncio.create_task(viber.shows(reader(viber), message))
        for message in (*(screen(f"{n}") for n in range(3)), said("Тук съм."),
                        door("danger"), cover())
    ]  # fmt: skip
    await asyncio.gather(*waiting)
    assert [sent["text"] for sent in viber.sent()] == [
        "0", "Обади се на 112.", "Супа от леща.", "Тук съм.", "1", "2"
    ]  # fmt: skip


async def test_hide_does_not_wait_for_the_pace_of_her_chat(
    viber: ViberLine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(viber_api, "RATES", Rates(1000, 1000, 0.001, 1))
    woman = reader(viber)
    await viber.shows(woman, screen("а"))
    async with asyncio.timeout(PATIENCE):
        await viber.shows(woman, cover())


# --- nothing of her, anywhere


async def test_nothing_of_her_and_no_token_is_in_any_log_or_error(
    viber: ViberLine, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    caplog.set_level(logging.DEBUG)
    monkeypatch.setattr(viber_api, "RATES", Rates(1e6, 1e6, 1e6, 1e6))
    viber.server.send_name = viber.server.send_photo = True
    viber.server.url_taps_reply = True
    woman, errors = reader(viber), []

    async def tries(message: Outgoing) -> Handle | None:
        try:
            return await viber.shows(woman, message)
        except SendError as error:
            errors.append(f"{error!r} {error} {error.__context__!r} {error.__cause__!r}")
            return None

    await woman.opens("ruse-p1")
    await woman.types("тайна молба")
    for kind in ("picture", "contact", "location", "file", "url"):
        await woman.sends(kind)
    await tries(stamped(screen("Тайна защита"), viber.clock))
    await taken(woman.taps("Кога?"))
    for status in MEANS:
        viber.server.fail(Fault("refuse", code=status))
        await tries(said("Тайна дума"))
    monkeypatch.setattr(viber_api, "READ_SECONDS", 0.2)
    monkeypatch.setattr(viber_api, "CONNECT_SECONDS", 0.2)
    for fault in ("html", "drop_before", "drop_after", "hang", "drip"):
        viber.server.fail(Fault(fault))
        await tries(screen("Тайна защита", audio=None))
    await tries(heavy())
    woman.cannot_show("тайна причина")
    await tries(said("Тайна дума"))
    broken: list[dict[str, Any]] = [
        {"event": "тайна"}, {"event": "message", "sender": woman._user(), "message": "тайна"},
        {"event": "failed", "user_id": woman.id},
        viber.says(woman, "", message={"text": ["тайна"]}),
    ]  # fmt: skip
    for event in broken:
        await viber.takes(event)
    await viber.takes(b"\xff" + "тайна".encode())
    await viber.takes(viber.says(woman, "тайна"), signature="0" * 64)
    viber.intake.keep = lambda _, kept: kept.set_exception(OSError("тайна"))
    await woman.types("тайна молба")
    await woman.leaves()
    await viber.server.settled()
    told = (caplog.text + "\n".join(errors)).lower()
    assert len(errors) > len(MEANS)
    planted = [each for each in woman.planted if len(each) > 4 and not each.isdigit()]
    address = viber.sent()[0]["keyboard"]["Buttons"][0]["Image"]
    for trace in (*planted, "тайна", "ruse-p1", TOKEN, woman.id, address):
        assert trace.lower() not in told
    assert not viber.server.called("get_user_details")
    viber.server.refusals.clear()
