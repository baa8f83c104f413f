"""Telegram calls us: only whoever knows the secret, in order, once, and nothing is lost."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from bot.channels import deliveries, telegram_hook
from bot.channels.base import Call, Incoming, Unauthorised
from bot.channels.telegram_hook import MAX_UPDATE
from dialogs.model import MediaKind, Position, Sent, Started, Tapped, Typed
from tests.bot.channels.hook_line import KNOWN, HookLine, hook_line
from tests.bot.channels.telegram_line import PATIENCE, eventually, screen
from tests.standins import telegram_hook as telegram_hook_standin
from tests.standins.referee import objections
from tests.standins.telegram import ApiError, Fault
from tests.standins.woman import Woman

NAMES = ("Теменужка", "Петрова", "temenuzhka", "Стоян", "stoyan77", "Иванова", '"de"')


@pytest.fixture
async def line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[HookLine]:
    """At the end aiogram looks over every request and answer."""
    monkeypatch.setattr(telegram_hook, "LOOK_AGAIN_SECONDS", 0.02)
    async with hook_line(tmp_path) as line:
        yield line
    assert [found for call in line.server.calls for found in objections(call)] == []


async def has_window(line: HookLine) -> Woman:
    woman = line.server.woman()
    await line.channel.show(str(woman.id), screen("Поръчката"), None)
    return woman


def message(line: HookLine, number: int, text: str = "помощ", chat: int = 7) -> dict[str, Any]:
    """An update as it stands in a call."""
    when = int(line.clock().timestamp())
    told = {"message_id": number, "date": when, "chat": {"id": chat, "type": "private"}}
    return {"update_id": number, "message": told | {"text": text}}


# --- setting it


async def test_the_webhook_is_set_by_name_with_its_secret_and_what_waits_is_kept(
    line: HookLine,
) -> None:
    line.server.woman().types("помощ")
    await line.opens()
    assert [call.params for call in line.server.called("setWebhook")] == [
        {
            "url": line.url,
            "secret_token": KNOWN,
            "max_connections": 40,
            "drop_pending_updates": False,
            "allowed_updates": ["message", "edited_message", "callback_query", "my_chat_member"],
        }
    ]
    assert [i.event for i in await line.intake.receives()] == [Typed("помощ", fresh=True)]
    assert not line.server.called("getUpdates")
    assert not line.server.called("deleteWebhook")


async def test_the_webhook_is_set_until_telegram_takes_it(
    line: HookLine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(line.hook._backoff, "_first", 0.01)
    refused = ApiError(400, "Bad Request: bad webhook: Failed to resolve host")
    line.server.fail(
        Fault("html", "setWebhook"), Fault("drop_after", "setWebhook"),
        Fault("refuse", "setWebhook", error=refused),
    )  # fmt: skip
    running = asyncio.create_task(line.channel.run(line.intake))
    await eventually(lambda: not line.hook.reached)
    await eventually(lambda: line.hook.reached)
    assert len(line.server.called("setWebhook")) == 4
    assert line.channel.events["webhook_refused"] == 1
    line.server.woman().types("помощ")
    await line.intake.receives()
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)


async def test_a_webhook_that_somebody_else_set_is_ours_again(
    line: HookLine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(telegram_hook, "LOOK_SECONDS", 0.02)
    monkeypatch.setattr(line.hook._backoff, "_first", 0.01)
    await line.opens()
    line.server.webhook = "https://elsewhere.example/hook"
    await eventually(lambda: line.server.webhook == line.url)
    assert line.channel.events["webhook_elsewhere"] >= 1
    await eventually(lambda: line.channel.reached)


async def test_a_wrong_token_stops_the_channel(line: HookLine) -> None:
    line.server.token = "4839201:AAnother"
    with pytest.raises(Unauthorised):
        await line.channel.run(line.intake)
    assert line.channel.events["unauthorised"] == 1
    line.server.calls.clear()  # an answer of 401 is no type of any method


async def test_a_token_withdrawn_while_running_stops_the_channel(
    line: HookLine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(telegram_hook, "LOOK_SECONDS", 0.02)
    await line.opens()
    line.server.token = "4839201:AAnother"
    assert line.task is not None
    with pytest.raises(Unauthorised):
        await asyncio.wait_for(line.task, PATIENCE)
    line.server.calls.clear()


# --- who calls, and with what


@pytest.mark.parametrize(
    "secret",
    [None, "", "wrong", KNOWN[:-1], KNOWN + "x", "\xd1\x82\xd0\xb0"],
)
async def test_signature_wrong_missing_or_empty_is_refused_and_nothing_is_handed_over(
    line: HookLine, secret: str | None
) -> None:
    await line.opens()
    assert await line.takes(message(line, 1), secret) == 403
    assert await line.takes(b"\xff" * 10, secret) == 403
    assert line.intake.got == []
    assert await line.takes(message(line, 1)) == 200


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"[" * 200_000, 413),
        (b'{"update_id":' + b"[" * (MAX_UPDATE - 100), 400),
        (b"\xff\xfe", 400), (b"", 400), (b"null", 400), (b"[]", 400), (b"7", 400),
        (b'{"update_id": 1', 400), (b'{"update_id": ' + b"9" * 5000 + b"}", 400),
    ],
    ids=lambda each: each[:16].decode("latin-1") if isinstance(each, bytes) else str(each),
)  # fmt: skip
async def test_what_is_no_update_is_refused_and_the_next_good_one_is_answered(
    line: HookLine, body: bytes, status: int
) -> None:
    await line.opens()
    assert await line.takes(body) == status
    assert await line.takes(message(line, 1)) == 200
    assert [i.event for i in line.intake.got] == [Typed("помощ")]


@pytest.mark.parametrize("update_id", [{}, {"update_id": None}, {"update_id": "7"}], ids=str)
async def test_an_update_without_id_is_dropped_and_counted(
    line: HookLine, update_id: dict[str, Any]
) -> None:
    await line.opens()
    assert await line.takes({"message": message(line, 1)["message"]} | update_id) == 200
    assert line.channel.events["update_dropped"] == 1
    assert line.intake.got == []


async def test_an_update_of_an_unknown_kind_is_acknowledged_and_counted(line: HookLine) -> None:
    await line.opens()
    assert await line.takes({"update_id": 2, "message_reaction": {"chat": {"id": 7}}}) == 200
    assert line.channel.events["unknown_event"] == 1
    assert line.intake.got == []


@pytest.mark.parametrize(
    "poison",
    [
        {"message": []}, {"message": [{"chat": {}}]}, {"my_chat_member": {"chat": {}}},
        {"callback_query": {"id": {}, "message": {"chat": "x"}}},
        {"my_chat_member": {"chat": {"id": 7, "type": "private"}, "date": 10**18,
                            "new_chat_member": {"status": "kicked"}}},
    ],
    ids=str,
)  # fmt: skip
async def test_poison_is_set_aside_and_never_blocks_the_next(
    line: HookLine, poison: dict[str, Any]
) -> None:
    await line.opens()
    assert await line.takes({"update_id": 1} | poison) == 200
    assert line.channel.events["update_set_aside"] == 1
    assert await line.takes(message(line, 2)) == 200
    assert [i.key for i in line.intake.got] == ["2"]
    assert line.intake.gone == []


@pytest.mark.parametrize("date", [None, 10**18, "x", -1])
async def test_an_update_without_a_date_or_an_absurd_one_is_not_fresh(
    line: HookLine, date: object
) -> None:
    await line.opens()
    told = message(line, 1)
    told["message"]["date"] = date
    assert await line.takes(told) == 200
    assert [i.event for i in line.intake.got] == [Typed("помощ", fresh=False)]


async def test_of_a_call_nothing_is_kept_that_says_who_she_is(line: HookLine) -> None:
    woman, server = await has_window(line), line.server
    woman.starts("ruse-p1")
    woman.types("помощ", reply_to_message=server.message_json(woman.bot_messages[0]))
    woman.forwards("чуждо")
    woman.taps("Кога?")
    woman.sends_voice(b"OggS", "audio")
    woman.sends("contact")
    woman.edits(woman.chat[1], "друго")
    woman.blocks()
    assert len(server.updates) == 8
    for update in server.updates:
        assert any(name in json.dumps(update, ensure_ascii=False) for name in NAMES)
        call = line.hook.read(json.dumps(update).encode(), KNOWN)
        assert isinstance(call, Call)
        written = json.dumps(call.told, ensure_ascii=False)
        assert not [name for name in (*NAMES, "+359", "BEGIN:VCARD") if name in written]
        assert "помощ" not in repr(call)


# --- what she does


async def test_what_she_does_is_the_same_as_by_polling(line: HookLine) -> None:
    woman = await has_window(line)
    await line.opens()
    assert woman.window is not None
    window = str(woman.window.id)
    first = woman.starts("ruse-p1")
    await line.intake.receives(1)
    second = woman.types("той ме удари")
    await line.intake.receives(2)
    third = woman.taps("Кога?")
    await line.intake.receives(3)
    fourth = woman.sends_voice(b"OggS: a voice")
    got = await line.intake.receives(4)
    who, handles = str(woman.id), [str(s.id) for s in woman.chat if not s.from_bot]
    assert got[:3] == [
        Incoming("telegram", who, Started("ruse-p1"), str(first), handle=handles[0]),
        Incoming("telegram", who, Typed("той ме удари"), str(second), handle=handles[1]),
        Incoming("telegram", who, Tapped(Position("bg", "when")), str(third), window=window),
    ]
    assert (got[3].event, got[3].key) == (Sent(MediaKind.VOICE), str(fourth))
    assert got[3].fetch is not None
    assert await got[3].fetch() == b"OggS: a voice"
    await eventually(lambda: line.server.called("answerCallbackQuery"))
    await eventually(lambda: not line.server.updates)


async def test_edits_and_leaving_come_by_calls_too(line: HookLine) -> None:
    await line.opens()
    woman = line.server.woman()
    woman.types("помощ")
    await line.intake.receives()
    said = woman.chat[-1]
    woman.edits(said, "вече не")
    await eventually(lambda: line.intake.edits == [(str(woman.id), str(said.id), "вече не")])
    woman.blocks()
    await eventually(lambda: line.intake.gone == [str(woman.id)])


async def test_the_bot_added_to_a_group_leaves(line: HookLine) -> None:
    await line.opens()
    group = line.server.group()
    line.server.member(group, 5).puts_the_bot_in()
    await eventually(lambda: line.server.left == [group.id])
    assert line.intake.got == []


# --- nothing is lost, and nothing comes twice


async def test_a_message_that_could_not_be_stored_comes_again(line: HookLine) -> None:
    def refuse(_: Incoming, kept: asyncio.Future[None]) -> None:
        if len(line.intake.got) < 3:
            kept.set_exception(OSError("disk full"))
        else:
            kept.set_result(None)

    await line.opens()
    line.intake.keep = refuse
    line.server.woman().types("помощ")
    await eventually(lambda: not line.server.updates)
    assert line.seen() == [503, 503, 200]
    assert [i.event for i in line.intake.got] == [Typed("помощ")] * 3


async def test_what_takes_too_long_comes_again_and_is_handed_over_once(
    line: HookLine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(deliveries, "SETTLE_SECONDS", 0.05)
    slow: list[asyncio.Future[None]] = []
    await line.opens()
    line.intake.keep = lambda _, kept: slow.append(kept)
    line.server.woman().types("помощ")
    other = line.server.woman()
    await eventually(lambda: 503 in line.seen())
    line.intake.keep = lambda _, kept: kept.set_result(None)
    other.types("и аз")  # is not held up
    await line.intake.receives(2)
    slow[0].set_result(None)
    await eventually(lambda: not line.server.updates)
    assert [i.event for i in line.intake.got] == [Typed("помощ"), Typed("и аз")]


async def test_dup_update_id_is_handled_once(line: HookLine) -> None:
    await line.opens()
    line.caller.lose = 2
    line.server.woman().types("помощ")
    await eventually(lambda: not line.server.updates)
    assert line.seen() == [200, 200, 200]
    assert len(line.intake.got) == 1
    statuses = await asyncio.gather(*(line.takes(message(line, 5)) for _ in range(4)))
    assert statuses == [200] * 4
    assert [i.key for i in line.intake.got][1:] == ["5"]


async def test_after_a_clean_stop_nothing_is_taken_and_telegram_keeps_it(line: HookLine) -> None:
    await line.opens()
    slow: list[asyncio.Future[None]] = []
    line.intake.keep = lambda _, kept: slow.append(kept)
    line.server.woman().types("помощ")
    await line.intake.receives()
    await line.stops()
    slow[0].set_result(None)
    await eventually(lambda: line.seen() == [200])  # what was taken is settled and told
    line.intake.keep = lambda _, kept: kept.set_result(None)
    line.server.woman().types("и аз")
    await eventually(lambda: line.seen().count(503) > 1)
    assert not line.server.called("deleteWebhook")
    assert len(line.intake.got) == 1
    await line.opens()
    await line.intake.receives(2)


async def test_out_of_order_what_came_before_something_newer_of_hers_is_marked(
    line: HookLine,
) -> None:
    await line.opens()
    for number, chat in ((11, 7), (10, 8), (10 + 2, 7), (9, 7), (13, 7)):
        assert await line.takes(message(line, number, chat=chat)) == 200
    assert [(i.key, i.overtaken) for i in line.intake.got] == [
        ("11", False), ("10", False), ("12", False), ("9", True), ("13", False),
    ]  # fmt: skip


async def test_a_random_id_after_a_quiet_week_is_accepted(line: HookLine) -> None:
    await line.opens()
    assert await line.takes(message(line, 70_000_001)) == 200
    line.clock.ahead += timedelta(days=8)
    assert await line.takes(message(line, 5)) == 200
    assert await line.takes(message(line, 6)) == 200
    assert [i.overtaken for i in line.intake.got] == [False] * 3


# --- how late a tap is


def freshness(line: HookLine) -> list[bool]:
    taps = [i.event for i in line.intake.got if isinstance(i.event, Tapped)]
    return [tap.fresh for tap in taps]


async def test_a_tap_delivered_hours_late_opens_the_cover_not_content(
    line: HookLine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(telegram_hook, "LOOK_SECONDS", 0.02)
    woman = await has_window(line)
    woman.taps("Кога?")  # while nobody can be called
    await line.opens()
    await line.intake.receives()
    await eventually(lambda: not line.server.updates)
    await line.looks()
    woman.taps("Кога?")
    await line.intake.receives(2)
    assert freshness(line) == [False, True]


async def test_while_something_waits_at_telegram_every_tap_may_be_late(
    line: HookLine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(telegram_hook, "LOOK_SECONDS", 0.02)
    monkeypatch.setattr(telegram_hook_standin, "AGAIN_SECONDS", 60)
    woman = await has_window(line)
    await line.opens()
    line.intake.keep = lambda _, kept: kept.set_exception(OSError())
    line.server.woman().types("помощ")  # stays at Telegram until it is tried again
    await eventually(lambda: line.seen() == [503])
    line.intake.keep = lambda _, kept: kept.set_result(None)
    line.clock.ahead += timedelta(seconds=61)
    await line.looks()
    woman.taps("Кога?")
    await eventually(lambda: freshness(line) == [False])
    line.server.updates.clear()  # as if it had been brought
    await line.looks()
    woman.taps("Кога?")
    await eventually(lambda: freshness(line) == [False, True])


async def test_a_tap_is_prompt_for_a_minute_after_the_last_word_of_telegrams(
    line: HookLine,
) -> None:
    woman = await has_window(line)
    await line.opens()
    for ahead in (0, 50, 20):
        line.clock.ahead += timedelta(seconds=ahead)
        woman.taps("Кога?")
        count = len(freshness(line)) + 1
        await eventually(lambda count=count: len(freshness(line)) == count)
    assert freshness(line) == [True, True, False]


async def test_a_call_that_lay_elsewhere_is_as_late_as_it_is(line: HookLine) -> None:
    woman = await has_window(line)
    await line.opens()
    woman.taps("Кога?")
    await line.intake.receives()
    query = {
        "id": "9", "data": "bg:when",
        "message": {"message_id": 1, "date": int(line.clock().timestamp()),
                    "chat": {"id": 7, "type": "private"}},
    }  # fmt: skip
    for key, waited in (("90", 0), ("91", 70)):
        told = {"update_id": int(key), "callback_query": query}
        at = line.clock() - timedelta(seconds=waited)
        assert (await line.hook.take(Call(key, told, at))).status == 200
    assert freshness(line) == [True, True, False]
    await eventually(lambda: len(line.server.called("answerCallbackQuery")) == 3)


# --- whether she reaches us


async def test_it_counts_as_not_reached_while_calls_fail_and_something_waits(
    line: HookLine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(telegram_hook, "LOOK_SECONDS", 0.02)
    await line.opens()
    assert line.channel.reached
    line.intake.keep = lambda _, kept: kept.set_exception(OSError())
    line.server.woman().types("помощ")
    await eventually(lambda: not line.channel.reached)
    line.intake.keep = lambda _, kept: kept.set_result(None)
    await eventually(lambda: line.channel.reached)


async def test_three_looks_without_an_answer_count_as_not_reached(
    line: HookLine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(telegram_hook, "LOOK_SECONDS", 0.02)
    monkeypatch.setattr(line.hook._backoff, "_first", 0.01)
    await line.opens()
    line.server.fail(*[Fault("html", "getWebhookInfo")] * 3)
    await eventually(lambda: not line.channel.reached)
    await eventually(lambda: line.channel.reached)
