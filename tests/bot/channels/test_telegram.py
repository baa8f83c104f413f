"""Telegram, what comes in: the real client against a stand-in of the Bot API."""

from __future__ import annotations

import asyncio
import logging
import socket
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from bot import media
from bot.channels import polling
from bot.channels.base import MAX_MEDIUM, Incoming, Outgoing, Refused, Unauthorised
from bot.channels.polling import Backoff
from bot.channels.updates import file_of
from dialogs.model import MediaKind, Position, Sent, Started, Tapped, Typed
from tests import sounds
from tests.bot.channels.telegram_line import (
    MARKS,
    PATIENCE,
    Line,
    RecordingIntake,
    eventually,
    new_channel,
    said,
    screen,
)  # fmt: skip
from tests.standins.telegram import ApiError, Fault
from tests.standins.woman import Woman


async def has_window(line: Line) -> Woman:
    """A woman with the line's window before her."""
    woman = line.server.woman()
    await line.channel.show(str(woman.id), screen("Какво е заповед?"), None)
    return woman


# --- the start


async def test_the_profile_is_set_in_each_language_and_only_where_it_differs(line: Line) -> None:
    await line.opens()
    await eventually(lambda: ("commands", "tr") in line.server.profile)
    assert line.server.profile["name", ""] == "Дом и здраве"  # whoever has another language
    assert line.server.profile["name", "tr"] == "Ev ve sağlık"
    assert line.server.profile["description", "tr"] == "Ev ve sağlık bilgileri."
    await line.closes()
    before = len(line.server.calls)
    line.channel = new_channel(line.server, line.pictures, line.media, line.clock)
    await line.opens()
    await eventually(lambda: len(line.server.called("getMyCommands")) == 6)
    assert not [c for c in line.server.calls[before:] if c.method.startswith("setMy")]


async def test_a_profile_that_is_refused_never_delays_her(line: Line) -> None:
    flood = ApiError(429, "Too Many Requests: retry after 9000", retry_after=9000)
    line.server.fail(Fault("refuse", "getMyName", error=flood))
    await line.opens()
    line.server.woman().starts()
    await line.intake.receives()


async def test_pending_updates_are_never_dropped(line: Line) -> None:
    line.server.webhook = "https://old.example/hook"
    line.server.woman().types("помощ")
    await line.opens()
    assert [i.event for i in await line.intake.receives()] == [Typed("помощ", fresh=True)]
    assert line.server.called("deleteWebhook")[0].params == {"drop_pending_updates": False}


async def test_update_kinds_are_asked_for_by_name(line: Line) -> None:
    await line.opens()
    assert line.server.called("getUpdates")[0].params["allowed_updates"] == [
        "message", "edited_message", "callback_query", "my_chat_member",
    ]  # fmt: skip


async def test_wrong_token_at_start_stops_the_channel(line: Line) -> None:
    line.channel = new_channel(
        line.server, line.pictures, line.media, line.clock, token="1:AAwrong-token"
    )
    with pytest.raises(Unauthorised) as raised:
        await line.channel.run(line.intake)
    assert "wrong" not in repr(raised.value)
    assert raised.value.__context__ is None
    line.server.calls.clear()  # an answer of 401 is no type of any method


async def test_token_withdrawn_while_running_stops_the_channel(line: Line) -> None:
    await line.opens()
    line.server.token = "4839201:AAnother"
    line.server.woman().starts()  # ends the long poll; the next one is refused
    assert line.task is not None
    with pytest.raises(Unauthorised):
        await asyncio.wait_for(line.task, PATIENCE)
    assert [i.event for i in line.intake.got] == [Started()]
    assert line.channel.events["unauthorised"] == 1
    line.server.calls.clear()


# --- what she does


async def test_what_she_types_taps_and_starts(line: Line) -> None:
    woman = await has_window(line)
    await line.opens()
    window = woman.window
    assert window is not None
    first = woman.starts("ruse-p1")
    second = woman.types("той ме удари")
    third = woman.taps("Кога?")
    got = await line.intake.receives(3)
    address, handles = str(woman.id), [s.id for s in woman.chat if not s.from_bot]
    assert got == [
        Incoming("telegram", address, Started("ruse-p1"), str(first), handle=str(handles[0])),
        Incoming("telegram", address, Typed("той ме удари"), str(second), handle=str(handles[1])),
        Incoming(
            "telegram", address, Tapped(Position("bg", "when")), str(third), window=str(window.id)
        ),
    ]
    await eventually(lambda: line.server.called("answerCallbackQuery"))


@pytest.mark.parametrize(
    ("text", "event"),
    [
        ("/start", Started()),
        ("/start@dom_zdrave_bot order", Started("order")),
        ("/start " + "x" * 33, Started()),
        ("/start a b", Started()),
        ("/start ../../etc", Started()),
        ("/close", Typed("/close")),
        ("/help", Typed("/help")),
        ("/started", Typed("/started")),
        ("*смел* <a href='tg://user?id=1'>х</a>", Typed("*смел* <a href='tg://user?id=1'>х</a>")),
    ],
)
async def test_a_woman_types_any_command(line: Line, text: str, event: object) -> None:
    await line.opens()
    line.server.woman().types(text)
    assert (await line.intake.receives())[0].event == event


async def test_text_mention_and_forwarded_message_keep_no_origin(line: Line) -> None:
    await line.opens()
    woman = line.server.woman()
    woman.forwards("ще те намеря")
    him = {"id": 999_111, "is_bot": False, "first_name": "Стоян"}
    mention = {"type": "text_mention", "offset": 0, "length": 4, "user": him}
    woman.types("това е Стоян", entities=[mention])
    got = await line.intake.receives(2)
    assert [i.event for i in got] == [Typed("ще те намеря"), Typed("това е Стоян")]
    assert "777000111" not in repr(got)
    assert "999111" not in repr(got)


@pytest.mark.parametrize(
    ("medium", "kind"),
    [
        ("photo", MediaKind.PHOTO),
        ("voice", MediaKind.VOICE),
        ("video_note", MediaKind.OTHER),
        ("audio", MediaKind.VOICE),
        ("contact", MediaKind.CONTACT),
        ("location", MediaKind.LOCATION),
        ("venue", MediaKind.LOCATION),
        ("sticker", MediaKind.OTHER),
        ("document", MediaKind.OTHER),
        ("video", MediaKind.OTHER),
        ("dice", MediaKind.OTHER),
        ("poll", MediaKind.OTHER),
        ("story", MediaKind.OTHER),
    ],
)
async def test_a_medium_is_named_and_never_fetched(
    line: Line, medium: str, kind: MediaKind
) -> None:
    await line.opens()
    woman = line.server.woman()
    woman.sends(medium)
    [incoming] = await line.intake.receives()
    assert incoming.event == Sent(kind)
    assert incoming.handle == str(woman.chat[0].id)
    assert not line.server.called("getFile")
    assert "359888123456" not in repr(incoming)
    assert "Мария" not in repr(incoming)


async def test_an_entity_without_offset_does_not_cost_her_words(line: Line) -> None:
    await line.opens()
    woman = line.server.woman()
    shown = line.server.add_message(woman._chat, from_bot=False, text="помощ")
    told = line.server.message_json(shown) | {"entities": [{"type": "bold", "length": 3}]}
    line.server.push_raw({"update_id": 70_000_005, "message": told | {"reply_to_message": 7}})
    assert [i.event for i in await line.intake.receives()] == [Typed("помощ")]
    line.server.calls.clear()


async def test_a_message_she_edits_is_not_a_second_message(line: Line) -> None:
    await line.opens()
    woman = line.server.woman()
    woman.types("едно")
    woman.edits(woman.chat[0], "друго")
    woman.types("три")
    got = await line.intake.receives(2)
    assert [i.event for i in got] == [Typed("едно"), Typed("три")]


async def test_an_edit_of_hers_is_handed_over_by_its_message_and_as_plain_text(line: Line) -> None:
    await line.opens()
    woman = line.server.woman()
    woman.types("едно")
    await line.intake.receives(1)
    written = woman.chat[0]
    woman.edits(written, "две 😀")
    woman.edits(written, " \n\u00a0")
    await eventually(lambda: len(line.intake.edits) == 2)
    address, handle = str(woman.id), str(written.id)
    assert line.intake.edits == [(address, handle, "две 😀"), (address, handle, "")]


async def test_an_edit_that_could_not_be_kept_comes_again(line: Line) -> None:
    failed: list[None] = []

    def fails_once(kept: asyncio.Future[None]) -> None:
        if failed:
            return kept.set_result(None)
        failed.append(None)
        kept.set_exception(OSError())

    line.intake.keep_edit = fails_once
    await line.opens()
    woman = line.server.woman()
    woman.types("едно")
    await line.intake.receives(1)
    number = woman.edits(woman.chat[0], "две")
    await eventually(lambda: len(line.intake.edits) == 2)
    assert line.intake.edits[0] == line.intake.edits[1]
    await eventually(
        lambda: (line.server.called("getUpdates")[-1].params.get("offset") or 0) > number
    )


CORRECTIONS = {
    "message is not modified": None,
    "message to edit not found": None,
    "message can't be edited": Refused,
}


@pytest.mark.parametrize("why", CORRECTIONS)
async def test_what_telegram_says_to_a_correction_is_a_verdict(line: Line, why: str) -> None:
    await line.opens()
    woman = line.server.woman()
    address = str(woman.id)
    handle = await line.channel.show(address, said("Утре в 9.", number=1), None)
    error = ApiError(400, f"Bad Request: {why}")
    line.server.fail(Fault("refuse", "editMessageText", error=error))
    correct = line.channel.correct(address, handle, said("Утре в 10.", number=1))
    if (verdict := CORRECTIONS[why]) is None:
        await correct
    else:
        with pytest.raises(verdict):
            await correct


async def test_notes_of_telegrams_own_are_no_message(line: Line) -> None:
    await line.opens()
    woman = line.server.woman()
    woman._says(other={"message_auto_delete_timer_changed": {"message_auto_delete_time": 86400}})
    woman.types("тук съм")
    assert [i.event for i in await line.intake.receives()] == [Typed("тук съм")]


async def test_a_forged_button_payload_leads_nowhere(line: Line) -> None:
    woman = await has_window(line)
    await line.opens()
    woman.taps(payload="bg:order; DROP TABLE cases")
    woman.taps(payload="../hide")
    got = await line.intake.receives(2)
    assert [i.event for i in got] == [Tapped(None), Tapped(None)]


async def test_blocking_the_line_is_told_at_once(line: Line) -> None:
    await line.opens()
    woman = line.server.woman()
    woman.blocks()
    await eventually(lambda: line.intake.gone == [str(woman.id)])
    woman.unblocks()
    woman.starts()
    await line.intake.receives()
    assert len(line.intake.gone) == 1


async def test_the_bot_added_to_a_group_leaves(line: Line) -> None:
    await line.opens()
    group, server = line.server.group(), line.server
    someone = {"id": 5, "is_bot": False, "first_name": "а"}
    member = {"status": "member", "user": server.bot_user()}
    told: dict[str, Any] = {
        "chat": server.chat_json(group), "from": someone, "date": int(line.clock().timestamp()),
        "old_chat_member": member | {"status": "left"}, "new_chat_member": member,
    }  # fmt: skip
    server.push("my_chat_member", told)
    await eventually(lambda: server.left == [group.id])
    server.push("my_chat_member", told | {"new_chat_member": member | {"status": "left"}})
    other = server.group("group")
    message = server.message_json(server.add_message(other, from_bot=False, text="/start"))
    server.push("message", message)
    await eventually(lambda: server.left == [group.id, other.id])
    assert line.intake.got == []
    assert not server.called("sendMessage")


# --- freshness


async def test_a_tap_delivered_hours_late_is_not_fresh(line: Line) -> None:
    woman = await has_window(line)
    woman.taps("Кога?")  # while nobody polls
    await line.opens()
    assert (await line.intake.receives())[0].event == Tapped(Position("bg", "when"), fresh=False)
    woman.taps("Кога?")
    assert (await line.intake.receives(2))[1].event == Tapped(Position("bg", "when"), fresh=True)


async def test_a_tap_during_an_outage_is_not_fresh(line: Line) -> None:
    woman = await has_window(line)
    await line.opens()
    await line.server.stop()
    woman.taps("Кога?")
    line.clock.ahead += timedelta(minutes=20)
    await line.server.start()
    assert (await line.intake.receives(1))[0].event == Tapped(Position("bg", "when"), False)


async def test_a_full_batch_carries_the_doubt_over(line: Line) -> None:
    woman = await has_window(line)
    for _ in range(150):
        woman.taps("Кога?")
    await line.opens()
    got = await line.intake.receives(150)
    assert not any(i.event.fresh for i in got if isinstance(i.event, Tapped))


async def test_a_button_older_than_half_an_hour_is_not_fresh(line: Line) -> None:
    woman = await has_window(line)
    line.clock.ahead += timedelta(minutes=31)
    await line.opens()
    woman.taps("Кога?")
    await line.intake.receives()
    assert woman.window is not None
    await line.channel.show(str(woman.id), screen("Друго"), str(woman.window.id))
    woman.taps("Кога?")
    got = await line.intake.receives(2)
    assert [i.event.fresh for i in got if isinstance(i.event, Tapped)] == [False, True]


async def test_an_inaccessible_window_is_not_fresh(line: Line) -> None:
    woman = await has_window(line)
    await line.opens()
    woman.taps("Кога?", inaccessible=True)
    [incoming] = await line.intake.receives()
    assert incoming.event == Tapped(Position("bg", "when"), fresh=False)
    assert woman.window is not None
    assert incoming.window == str(woman.window.id)


async def test_what_was_typed_hours_ago_is_not_fresh(line: Line) -> None:
    woman = line.server.woman()
    woman.types("утре в 10")
    woman.sends("photo")
    line.clock.ahead += timedelta(hours=5)
    await line.opens()
    got = await line.intake.receives(2)
    assert [i.event for i in got] == [Typed("утре в 10", False), Sent(MediaKind.PHOTO, False)]


@pytest.mark.parametrize("date", [None, 10**18, -1, "вчера", True, [], 3e9])
async def test_an_update_without_a_date_or_with_an_absurd_one_is_not_fresh(
    line: Line, date: object
) -> None:
    await line.opens()
    woman = line.server.woman()
    message = line.server.message_json(line.server.add_message(woman._chat, from_bot=False))
    message |= {"date": date, "text": "тук ли сте"}
    if date is None:
        del message["date"]
    line.server.push_raw({"update_id": 70_000_900, "message": message})
    assert (await line.intake.receives())[0].event == Typed("тук ли сте", fresh=False)
    line.server.calls.clear()  # the referee knows no such date


# --- poison


def _deep(levels: int) -> Any:
    message: dict[str, Any] = {"message_id": 1, "date": 1, "chat": {"id": 1, "type": "private"}}
    for _ in range(levels):
        message = message | {"reply_to_message": message}
    return message


@pytest.mark.parametrize(
    "poison",
    [
        {"message": "an array where an object belongs"},
        {"message": []},
        {"message": {"message_id": 5}},
        {"message": {"message_id": "x", "date": 5, "chat": None, "text": 7}},
        {"message": {"message_id": 5, "date": 5, "text": "a", "chat": {"id": 1, "type": "private"},
                     "entities": [{"type": "bold", "length": 3}]}},
        {"callback_query": {"id": "1"}},
        {"callback_query": None},
        {"my_chat_member": {"chat": {}}},
        {"unheard_of": {"a": 1}},
        {"message": _deep(300)},
        {},
    ],
    ids=lambda poison: next(iter(poison), "empty"),
)  # fmt: skip
async def test_an_update_that_does_not_parse_is_set_aside_and_the_next_is_answered_at_once(
    line: Line, poison: dict[str, Any]
) -> None:
    await line.opens()
    line.server.push_raw({"update_id": 70_000_001} | poison)
    line.server.skip_ids(70_000_002)
    line.server.woman().types("помощ")
    await eventually(lambda: line.intake.got and line.intake.got[-1].event == Typed("помощ"))
    assert line.channel.events["poll_failed"] == 0  # nor did it wait before it asked again
    await eventually(lambda: line.server.updates == [])  # confirmed, it never comes again
    line.server.calls.clear()


@pytest.mark.parametrize("nothing", [{"message": {}}, [], None, 5, {"update_id": "7"}])
async def test_update_without_id_is_dropped_and_counted(line: Line, nothing: object) -> None:
    await line.opens()
    line.server.push_raw(nothing)
    line.server.woman().types("помощ")
    await line.intake.receives()
    assert line.channel.events["update_dropped"] >= 1
    line.server.calls.clear()


# --- nothing is lost, nothing twice


async def test_dup_update_id_is_handed_over_once(line: Line) -> None:
    await line.opens()
    woman = line.server.woman()
    update_id = woman.types("веднъж")
    await line.intake.receives()
    await eventually(lambda: line.server.updates == [])
    shown = line.server.message_json(woman.chat[0])
    line.server.push("message", shown, update_id)
    woman.types("второ")
    got = await line.intake.receives(2)
    assert [i.event for i in got] == [Typed("веднъж"), Typed("второ")]


async def test_random_id_after_a_quiet_week_is_accepted(line: Line) -> None:
    await line.opens()
    woman = line.server.woman()
    woman.types("преди")
    await eventually(lambda: line.intake.got and not line.server.updates)
    line.server.skip_ids(1_234)
    woman.types("след")
    woman.types("и още")
    got = await line.intake.receives(3)
    assert [i.event for i in got] == [Typed("преди"), Typed("след"), Typed("и още")]
    await eventually(lambda: not line.server.updates)


async def test_what_could_not_be_stored_is_asked_for_again(line: Line) -> None:
    tries: list[str] = []

    def keep(incoming: Incoming, kept: asyncio.Future[None]) -> None:
        tries.append(incoming.key)
        if incoming.event == Typed("в случая") and tries.count(incoming.key) < 3:
            kept.set_exception(OSError("disk full"))
        else:
            kept.set_result(None)

    line.intake.keep = keep
    await line.opens()
    woman = line.server.woman()
    first = woman.types("в случая")
    second = woman.types("след него")
    await eventually(lambda: tries.count(str(first)) == 3 and not line.server.updates)
    assert tries.count(str(second)) == 1
    offsets = [c.params.get("offset") for c in line.server.called("getUpdates")]
    assert offsets.count(first) >= 2
    assert offsets[-1] == second + 1


async def test_a_slow_commit_does_not_hold_up_112(line: Line) -> None:
    slow: list[asyncio.Future[None]] = []

    def keep(incoming: Incoming, kept: asyncio.Future[None]) -> None:
        if incoming.event == Typed("бавно"):
            slow.append(kept)
        else:
            kept.set_result(None)

    line.intake.keep = keep
    woman, other = line.server.woman(), await has_window(line)
    await line.opens()
    first = woman.types("бавно")
    await line.intake.receives(1)
    other.taps("112")
    got = await line.intake.receives(2)
    assert got[1].event == Tapped(Position("bg", "danger"), fresh=True)
    assert line.server.updates[0]["update_id"] == first  # not acknowledged
    slow[0].set_result(None)
    await eventually(lambda: not line.server.updates)
    assert len(slow) == 1


async def test_killed_after_fetch_it_is_handled_again(line: Line) -> None:
    line.intake.keep = lambda incoming, kept: None
    await line.opens()
    line.server.woman().types("чакам")
    await line.intake.receives()
    await line.closes()
    assert len(line.server.updates) == 1
    line.channel = new_channel(line.server, line.pictures, line.media, line.clock)
    line.intake = RecordingIntake()
    await line.opens()
    assert [i.event for i in await line.intake.receives()] == [Typed("чакам")]


async def test_a_clean_stop_confirms_what_was_settled(line: Line) -> None:
    await line.opens()
    line.server.woman().types("чух")
    await line.intake.receives()
    await line.closes()
    assert line.server.updates == []


# --- the platform fails


@pytest.mark.parametrize(
    "fault",
    [
        Fault("html", "getUpdates", 502),
        Fault("html", "getUpdates", 200),
        Fault("html", "getUpdates", 404),
        Fault("drop_before", "getUpdates"),
        Fault("drop_after", "getUpdates"),
        Fault("refuse", "getUpdates", error=ApiError(500, "Internal Server Error")),
        Fault("refuse", "getUpdates", error=ApiError(429, "Too Many", retry_after=1)),
        Fault("refuse", "getUpdates", error=ApiError(409, "Conflict: terminated by other")),
    ],
    ids=lambda fault: f"{fault.kind}-{fault.error.code if fault.error else fault.status}",
)
async def test_html_where_json_belongs_and_other_failures_back_off_and_go_on(
    line: Line, fault: Fault
) -> None:
    line.server.fail(fault, fault)
    line.task = asyncio.create_task(line.channel.run(line.intake))
    line.server.woman().types("помощ")
    assert [i.event for i in await line.intake.receives(1)] == [Typed("помощ")]
    assert line.channel.events["poll_failed"] >= 2


async def test_a_second_poller_stands_by_and_nothing_is_lost(line: Line) -> None:
    await line.opens()
    other = new_channel(line.server, line.pictures, line.media, line.clock)
    theirs = RecordingIntake()
    task = asyncio.create_task(other.run(theirs))
    await asyncio.sleep(0.5)
    for n in range(20):
        line.server.woman().types(f"жена {n}")
        await asyncio.sleep(0.02)
    await eventually(lambda: len({str(i.event) for i in line.intake.got + theirs.got}) == 20, 60)
    await eventually(lambda: line.channel.events["poll_failed"] + other.events["poll_failed"] > 0)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    await other.close()


async def test_a_webhook_that_somebody_set_is_removed_again(line: Line) -> None:
    await line.opens()
    line.server.webhook = "https://somebody.example"
    line.server.woman().types("помощ")  # ends the poll under way
    line.server.woman().types("още")
    await line.intake.receives(2)
    await eventually(lambda: line.server.webhook == "")
    line.server.woman().types("и пак")
    await line.intake.receives(3)


async def test_no_dns_for_20_minutes_drains_in_order(
    line: Line, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No name is found. The waits between the questions run sixty times as fast as they would."""
    loop, found = asyncio.get_running_loop(), socket.gaierror(socket.EAI_AGAIN, "no DNS")
    asked: list[str] = []

    async def getaddrinfo(host: str, *_: object, **__: object) -> object:
        asked.append(host)
        raise found

    monkeypatch.setattr(polling, "Backoff", partial(Backoff, first=0.25 / 60, most=30 / 60))
    by_name = line.server.api.replace("127.0.0.1", "localhost")
    line.channel = new_channel(line.server, line.pictures, line.media, line.clock, api=by_name)
    monkeypatch.setattr(loop, "getaddrinfo", getaddrinfo)
    line.task = asyncio.create_task(line.channel.run(line.intake))
    woman = line.server.woman()
    for n in range(5):
        woman.types(str(n))
    await eventually(lambda: line.channel.events["poll_failed"] > 8)
    line.clock.ahead += timedelta(minutes=20)
    assert not line.channel.reached
    assert "localhost" in asked
    assert line.intake.got == []
    monkeypatch.undo()
    got = await line.intake.receives(5)
    assert [i.event for i in got] == [Typed(str(n), fresh=False) for n in range(5)]
    assert line.channel.reached


async def test_an_id_below_one_lets_go_of_nothing_that_waits(line: Line) -> None:
    """To the platform an offset below 0 means: forget all but so many of the last."""
    await line.opens()
    for n in range(3):
        line.server.push_raw({"update_id": -1 - n, "message": {}})
    await eventually(lambda: line.channel.events["update_dropped"] >= 3)
    line.server.woman().types("помощ")
    assert [i.event for i in await line.intake.receives()] == [Typed("помощ")]
    assert all((call.params.get("offset") or 1) > 0 for call in line.server.called("getUpdates"))
    line.server.calls.clear()


@pytest.mark.parametrize("wrong", ["\ud83d", "5550002", None, [5], {"": 5}, 1.5, True])
@pytest.mark.parametrize("what", ["chat", "message_id"])
async def test_an_id_that_nobody_has_is_set_aside(line: Line, what: str, wrong: Any) -> None:
    await line.opens()
    woman = line.server.woman()
    woman.types("нищо")
    message = line.server.message_json(woman.chat[0])
    told = {"chat": {"id": wrong, "type": "private"}} if what == "chat" else {what: wrong}
    line.server.push("message", message | told)
    woman.types("помощ")
    got = await line.intake.receives(2)
    assert [i.event for i in got] == [Typed("нищо"), Typed("помощ")]
    assert line.channel.events["update_set_aside"] == 1
    line.server.calls.clear()


# --- photos and voices


async def spoken(**other: Any) -> Outgoing:
    ogg = await media.voice(sounds.voice())
    return said("Гласово съобщение.", author="Консултант", voice=ogg, **other)


async def test_a_voice_is_a_voice_message_that_names_who_speaks(line: Line) -> None:
    woman = line.server.woman()
    await line.channel.show(str(woman.id), await spoken(), None)
    [shown] = woman.bot_messages
    assert (shown.caption, shown.text, shown.photo) == ("Консултант", None, None)
    assert shown.voice is not None
    assert shown.protected
    assert shown.silent
    assert [button["text"] for row in shown.buttons for button in row] == [m.label for m in MARKS]


@pytest.mark.parametrize(
    "why",
    [None, "VOICE_MESSAGES_FORBIDDEN", "user restricted receiving of voice messages"],
    ids=["as the stand-in says", "by its name", "in words"],
)
async def test_who_lets_nobody_send_her_voices_gets_it_as_music_without_a_name(
    line: Line, why: str | None
) -> None:
    woman = line.server.woman()
    if why is None:
        woman._chat.takes_voice = False
    else:
        error = ApiError(400, f"Bad Request: {why}")
        line.server.fail(Fault("refuse", "sendVoice", error=error))
    number = await line.channel.show(str(woman.id), await spoken(), None)
    [shown] = woman.bot_messages
    assert number == str(shown.id)
    assert sounds.stream(woman.hears(shown)) == "mp3,48000,1"
    assert (shown.caption, shown.title) == ("Консултант", "Гласово съобщение.")
    assert shown.protected
    assert shown.buttons
    [call] = line.server.called("sendAudio")
    assert "performer" not in call.params
    await line.channel.remove(str(woman.id), [number])
    assert woman.bot_messages == []


async def test_without_tools_a_voice_that_she_lets_nobody_send_is_refused(
    line: Line, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    woman = line.server.woman()
    woman._chat.takes_voice = False
    message = await spoken()
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(Refused):
        await line.channel.show(str(woman.id), message, None)
    assert woman.bot_messages == []


def size(file_id: object, side: int, **other: Any) -> dict[str, Any]:
    return {"file_id": file_id, "file_unique_id": "u", "width": side, "height": side} | other


@pytest.mark.parametrize(
    ("told", "wanted"),
    [
        ({"photo": [size("a", 90), size("b", 1280), size("c", 320)]}, "b"),
        ({"photo": [size("a", 90), size("b", 1280, file_size=MAX_MEDIUM + 1)]}, "a"),
        ({"photo": [size("a", 1280, file_size=MAX_MEDIUM)]}, "a"),
        ({"photo": [size("a", 90, file_size=MAX_MEDIUM + 1)]}, None),
        ({"photo": [size(7, 90), "x", None]}, None),
        ({"photo": []}, None),
        ({"photo": "a"}, None),
        ({"voice": {"file_id": "v", "duration": 3}}, "v"),
        ({"audio": {"file_id": "m", "file_name": "Мария Иванова.mp3"}}, "m"),
        ({"voice": {"file_id": "v", "file_size": MAX_MEDIUM + 1}}, None),
        ({"voice": {"file_id": "v", "file_size": True}}, None),
        ({"voice": None}, None),
    ],
)
def test_the_largest_photo_that_may_be_fetched_is_chosen(
    told: dict[str, Any], wanted: str | None
) -> None:
    assert file_of(told) == wanted


async def test_the_largest_size_of_a_photo_is_fetched_by_a_token_that_nobody_sees(
    line: Line, caplog: pytest.LogCaptureFixture
) -> None:
    raw = sounds.photo()
    caplog.set_level(logging.DEBUG)
    await line.opens()
    line.server.woman().sends_photo(raw)
    [got] = await line.intake.receives()
    assert got.fetch is not None
    assert await got.fetch() == raw
    assert line.server.token not in caplog.text + repr(got)


@pytest.mark.parametrize(
    "place", ["/var/lib/phen/key", "../../etc/passwd", "https://evil.example/x", "a?b", "", None, 7]
)
async def test_a_place_that_is_none_of_telegrams_is_not_asked(line: Line, place: object) -> None:
    await line.opens()
    line.server.woman().sends_photo(sounds.photo())
    [got] = await line.intake.receives()
    assert got.fetch is not None
    line.server._do_get_file = lambda *_: {"file_id": "x", "file_path": place}
    with pytest.raises(Refused):
        await got.fetch()
    assert line.server.downloads == []
    line.server.calls.clear()  # the referee knows no such file


async def test_what_telegram_will_not_give_us_is_refused(line: Line) -> None:
    await line.opens()
    woman = line.server.woman()
    woman.sends_photo(bytes(9))
    [got] = await line.intake.receives()
    assert got.fetch is not None
    line.server.fail(
        Fault("refuse", "getFile", error=ApiError(400, "Bad Request: file is too big"))
    )
    with pytest.raises(Refused):
        await got.fetch()


async def test_each_photo_of_an_album_comes_for_itself(line: Line) -> None:
    await line.opens()
    woman = line.server.woman()
    photos = [sounds.photo(size=(side, 40)) for side in (50, 60)]
    for photo in photos:
        woman.sends_photo(photo, media_group_id="13")
    got = await line.intake.receives(2)
    assert [await each.fetch() for each in got if each.fetch] == photos
    assert len({each.key for each in got}) == 2
