"""Viber, what comes in: its callbacks to a real webhook, signed by a stand-in."""

from __future__ import annotations

import asyncio
import dis
import json
from datetime import timedelta
from typing import Any

import pytest

from bot.channels import deliveries
from bot.channels import viber as viber_of
from bot.channels.base import Gone, Incoming, OutgoingButton
from bot.channels.viber import LEFT_TOO_LONG_AGO
from dialogs import payload
from dialogs.model import HIDE, REMINDER, MediaKind, Position, Sent, Started, Tapped, Typed
from tests.bot.channels.telegram_line import eventually, said, screen
from tests.bot.channels.viber_line import ViberLine, cover, stamped, taken
from tests.standins.viber import TOKEN
from tests.standins.viber_woman import ViberWoman

HERE = Position("bg", "order")


async def has_window(line: ViberLine) -> ViberWoman:
    """A woman with a screen of the line's before her."""
    woman = line.server.woman(subscribed=True)
    await line.shows(woman, stamped(screen("Какво е заповед?"), line.clock))
    return woman


async def got_one(line: ViberLine) -> Incoming:
    [incoming] = await line.intake.receives()
    return incoming


# --- who may call


@pytest.mark.parametrize(
    "signature",
    [None, "", "0" * 64, "подпис", "é" * 64, "\xff", "0" * 5_000, "nobody's"],
    ids=["missing", "empty", "wrong", "cyrillic", "latin", "a byte", "long", "no hex"],
)
async def test_who_does_not_sign_is_refused_and_nothing_is_handed_over(
    viber: ViberLine, signature: str | None
) -> None:
    body = json.dumps(viber.says(viber.server.woman(), "помощ")).encode()
    assert await viber.server.post(body, signature) == (403, b"")
    assert viber.intake.got == []


async def test_another_bots_signature_and_one_for_another_body_are_refused(
    viber: ViberLine,
) -> None:
    body = json.dumps(viber.says(viber.server.woman(), "помощ")).encode()
    good = viber.server.sign(body)
    viber.server.token = "another"
    assert (await viber.takes(body))[0] == 403
    viber.server.token = TOKEN
    assert (await viber.takes(body + b" ", signature=good))[0] == 403
    assert (await viber.takes(body, signature=good[:-1]))[0] == 403
    assert viber.intake.got == []
    assert (await viber.takes(body, signature=good.upper()))[0] == 200
    assert (await got_one(viber)).event == Typed("помощ")


def test_how_much_of_a_signature_is_right_cannot_be_measured() -> None:
    code = viber_of.ViberChannel._is_signed.__code__
    assert "compare_digest" in code.co_names
    assert not [each for each in dis.get_instructions(code) if each.opname == "COMPARE_OP"]


@pytest.mark.parametrize("body", [b"{", b"null", b"\xff", b"[" * 100_000], ids=repr)
async def test_nothing_is_read_before_the_signature_is_right(viber: ViberLine, body: bytes) -> None:
    assert (await viber.takes(body[:100_000], signature="0" * 64))[0] == 403


# --- poison


def deep(levels: int) -> bytes:
    return b'{"event":"message","message":' + b'{"a":' * levels + b"1" + b"}" * levels + b"}"


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"", 400),
        (b"{", 400),
        (b"null", 400),
        (b"[]", 400),
        (b"[[]]", 400),
        (b'"message"', 400),
        (b"7", 400),
        (b"NaN", 400),
        (b"\xff\xfe{}", 400),
        (b'{"event":"message","text":"\xd0"}', 400),
        (b"<html>502</html>", 400),
        (b"9" * 5_000, 400),
        (b'{"event":"message","message_token":' + b"9" * 5_000 + b"}", 400),
        (b"[" * 60_000, 400),
        (deep(9_000), 400),
        (deep(40_000), 413),
        (b'{"event":"message","text":"' + b"a" * 200_000 + b'"}', 413),
        (b"{}", 400),
        (b'{"event":null}', 200),  # an event that nobody knows
    ],
    ids=lambda value: repr(value[:24]) if isinstance(value, bytes) else None,
)
async def test_a_body_that_is_no_event_is_refused_and_the_next_is_answered(
    viber: ViberLine, body: bytes, status: int, caplog: pytest.LogCaptureFixture
) -> None:
    assert (await viber.takes(body))[0] == status
    viber.server.woman().types("помощ")
    assert (await got_one(viber)).event == Typed("помощ")
    assert not [record for record in caplog.records if record.exc_info]


@pytest.mark.parametrize("body", [b"\xd0", b'{"event":"message","text":"\xff"}', b"null", b"[{}]"])
async def test_invalid_utf_8_null_or_an_array_where_an_object_belongs_is_400_without_a_traceback(
    viber: ViberLine, body: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    assert await viber.takes(body) == (400, b"")
    inside = {"sender": [USER], "message": [SAID]}
    assert await viber.takes(viber.event("message", **inside)) == (400, b"")
    assert not [record for record in caplog.records if record.exc_info]


async def test_200_kb_of_nested_json_is_refused(viber: ViberLine) -> None:
    for depth in (9_000, 40_000, 100_000):
        assert (await viber.takes(deep(depth)))[0] in (400, 413)
    woman = viber.server.woman()
    said = viber.says(woman, "помощ", nested=[[[{"a": list(range(9))}] * 90] * 90])
    assert len(json.dumps(said)) > 200_000
    assert (await viber.takes(said))[0] == 413
    assert viber.intake.got == []


USER: dict[str, Any] = {"id": "01234567890A="}
SAID: dict[str, Any] = {"type": "text", "text": "помощ"}
WRONG: list[tuple[str, dict[str, Any]]] = [
    *(
        ("message", {"sender": sender, "message": SAID})
        for sender in (None, [], "01234567890A=", 7, {}, {"id": None}, {"id": ""}, {"id": 5},
                       {"id": ["01234567890A="]}, {"id": "\ud800"})
    ),
    *(
        ("message", {"sender": USER, "message": message})
        for message in (None, [], "text", 7, {}, {"text": "а"}, {"type": []}, {"type": "text"},
                        {"type": "text", "text": None}, {"type": "text", "text": 7},
                        {"type": "text", "text": ["а"]}, {"type": "text", "text": ""},
                        {"type": "url"}, {"type": "url", "media": {}})
    ),
    *(
        ("message", {"sender": USER, "message": SAID, "message_token": token})
        for token in (None, 1.5, True, [], {})
    ),
    ("message", {"sender": USER}),
    ("message", {"message": SAID}),
    ("conversation_started", {}),
    ("conversation_started", {"user": None}),
    ("conversation_started", {"user": []}),
    ("conversation_started", {"user": {"id": 7}}),
    ("conversation_started", {"user": USER, "message_token": None}),
    ("unsubscribed", {}),
    ("unsubscribed", {"user_id": 7}),
    ("unsubscribed", {"user_id": "\udfff"}),
    ("unsubscribed", {"user_id": "01234567890A=", "message_token": {}}),
    ("failed", {}),
    ("failed", {"user_id": None}),
    ("failed", {"user_id": "01234567890A=", "message_token": []}),
]  # fmt: skip


@pytest.mark.parametrize(
    ("kind", "content"), WRONG, ids=[f"{kind} {content}"[:70] for kind, content in WRONG]
)
async def test_a_known_event_of_a_wrong_shape_is_refused(
    viber: ViberLine, kind: str, content: dict[str, Any], caplog: pytest.LogCaptureFixture
) -> None:
    assert await viber.takes(viber.event(kind, **content)) == (400, b"")
    assert viber.channel.events["update_dropped"] == 1
    assert (viber.intake.got, viber.intake.gone, viber.intake.failed) == ([], [], [])
    assert not [record for record in caplog.records if record.exc_info]
    assert (await viber.takes(viber.says(viber.server.woman(), "помощ")))[0] == 200


async def test_a_missing_token_is_refused(viber: ViberLine) -> None:
    told = viber.says(viber.server.woman(), "помощ")
    del told["message_token"]
    assert (await viber.takes(told))[0] == 400


@pytest.mark.parametrize("kind", ["client_status", "action", "sent", "MESSAGE", 7, ["message"], {}])
async def test_viber_event_of_an_unknown_kind_is_taken_and_left(
    viber: ViberLine, kind: Any
) -> None:
    assert await viber.takes(viber.event(kind, sender=USER, message=SAID)) == (200, b"")
    assert viber.channel.events["unknown_event"] == 1
    assert (viber.intake.got, viber.intake.gone) == ([], [])


async def test_what_viber_only_tells_is_taken_and_left(viber: ViberLine) -> None:
    woman = await has_window(viber)  # delivered and seen come
    await taken(woman.subscribes())
    await viber.server.settled()
    assert await viber.takes(viber.event("webhook")) == (200, b"")
    told = [callback.event["event"] for callback in viber.server.callbacks]
    assert told == ["delivered", "seen", "subscribed"]
    assert all(callback.statuses == [200] for callback in viber.server.callbacks)
    intake = viber.intake
    assert (intake.got, intake.gone, intake.failed) == ([], [], [])
    assert viber.channel.events["unknown_event"] == 0


# --- once, and surely


async def test_the_same_message_again_is_taken_and_handed_over_once(viber: ViberLine) -> None:
    told = viber.says(viber.server.woman(), "веднъж")
    assert [(await viber.takes(told))[0] for _ in range(3)] == [200] * 3
    assert (await got_one(viber)).key == str(told["message_token"])
    again = told | {"message_token": viber.server.token_for()}
    assert (await viber.takes(again))[0] == 200
    assert len(viber.intake.got) == 2  # the same words, another message


async def test_duplicates_at_once_wait_for_the_same_end(viber: ViberLine) -> None:
    kept: list[asyncio.Future[None]] = []
    viber.intake.keep = lambda _, settled: kept.append(settled)
    told = viber.says(viber.server.woman(), "веднъж")
    tries = [asyncio.create_task(viber.takes(told)) for _ in range(3)]
    await viber.intake.receives()
    done, _ = await asyncio.wait(tries, timeout=0.2)
    assert not done
    kept[0].set_result(None)
    assert [status for status, _ in await asyncio.gather(*tries)] == [200] * 3
    assert len(kept) == 1


async def test_a_late_200_hands_over_nothing_twice(
    viber: ViberLine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(deliveries, "SETTLE_SECONDS", 0.1)
    kept: list[asyncio.Future[None]] = []
    viber.intake.keep = lambda _, settled: kept.append(settled)
    viber.server.retry_after = [0.3]
    callback = viber.server.woman().types("в случая")
    await eventually(lambda: [c.statuses for c in viber.server.callbacks] == [[503]])
    kept[0].set_result(None)
    assert (await callback).statuses == [503, 200]
    assert len(viber.intake.got) == len(kept) == 1


async def test_viber_hangs_up_before_it_is_settled_and_nothing_is_handed_over_twice(
    viber: ViberLine,
) -> None:
    kept: list[asyncio.Future[None]] = []
    viber.intake.keep = lambda _, settled: kept.append(settled)
    patience, viber.server.retry_after = viber.server.callback_timeout, [0.05]
    viber.server.callback_timeout = 1.0
    callback = viber.server.woman().types("в случая")
    await eventually(lambda: kept)
    viber.server.callback_timeout = patience  # of the next try
    await eventually(lambda: [c.statuses for c in viber.server.callbacks] == [[None]])
    kept[0].set_result(None)
    assert (await callback).statuses == [None, 200]
    assert len(viber.intake.got) == len(kept) == 1


async def test_what_could_not_be_stored_comes_again_and_is_handed_over_again(
    viber: ViberLine,
) -> None:
    def keep(_: Incoming, settled: asyncio.Future[None]) -> None:
        if len(viber.intake.got) < 3:
            settled.set_exception(OSError("disk full"))
        else:
            settled.set_result(None)

    viber.intake.keep = keep
    callback = await viber.server.woman().types("в случая")
    assert callback.statuses == [503, 503, 200]
    assert [each.event for each in viber.intake.got] == [Typed("в случая")] * 3
    assert len({each.key for each in viber.intake.got}) == 1


async def test_a_slow_commit_does_not_hold_up_112(viber: ViberLine) -> None:
    kept: list[asyncio.Future[None]] = []

    def keep(incoming: Incoming, settled: asyncio.Future[None]) -> None:
        if incoming.event == Typed("бавно"):
            kept.append(settled)
        else:
            settled.set_result(None)

    viber.intake.keep = keep
    other = await has_window(viber)
    slow = viber.server.woman().types("бавно")
    await viber.intake.receives(1)
    assert (await taken(other.taps("112"))).statuses == [200]
    assert viber.intake.got[1].event == Tapped(Position("bg", "danger"))
    assert not slow.done()
    kept[0].set_result(None)
    assert (await slow).statuses == [200]


async def test_while_nobody_runs_nothing_is_acknowledged(viber: ViberLine) -> None:
    viber.task.cancel()
    await asyncio.gather(viber.task, return_exceptions=True)
    told = viber.says(viber.server.woman(), "чакам")
    assert await viber.takes(told) == (503, b"")
    running = asyncio.create_task(viber.channel.run(viber.intake))
    await asyncio.sleep(0)
    assert (await viber.takes(told))[0] == 200
    assert (await got_one(viber)).event == Typed("чакам")
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)


async def test_only_so_many_deliveries_are_remembered(
    viber: ViberLine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(deliveries, "REMEMBERED", 3)
    woman = viber.server.woman()
    for n in range(5):
        await woman.types(str(n))
    assert len(viber.channel._deliveries._settling) == 3


# --- she comes and goes


async def test_opening_the_chat_is_answered_with_the_cover_itself(viber: ViberLine) -> None:
    woman = viber.server.woman()
    opening = woman.opens("ruse-p1")
    incoming = await got_one(viber)
    assert incoming.event == Started("ruse-p1")
    assert (incoming.channel, incoming.address) == ("viber", woman.id)
    await viber.shows(woman, stamped(cover(), viber.clock))
    callback = await opening
    assert callback.statuses == [200]
    [shown] = woman.bot_messages
    assert shown.text == "Супа от леща."
    assert shown.buttons == ["1. Още една рецепта"]
    assert "receiver" not in shown.raw
    assert viber.sent() == []
    assert not woman.subscribed
    woman.taps("Още")
    got = await viber.intake.receives(2)
    assert got[1].event == Tapped(Position("bg", "start"))
    await viber.shows(woman, screen("Друго"))  # she wrote: now she may be written to
    assert len(viber.sent()) == 1


@pytest.mark.parametrize(
    "context",
    [None, "", "x" * 33, "../../etc", "a b", "код", "a\n", "'; DROP TABLE cases", {"a": 1}, 7, []],
)
async def test_a_context_that_is_no_short_code_is_not_even_looked_at(
    viber: ViberLine, context: Any
) -> None:
    told = viber.event("conversation_started", type="open", user=USER, subscribed=True)
    await viber.takes(told | {"context": context})
    assert (await got_one(viber)).event == Started(None)


async def test_opening_again_as_a_subscriber_is_answered_by_a_message(viber: ViberLine) -> None:
    woman = viber.server.woman(subscribed=True)
    assert (await woman.opens("order")).statuses == [200]
    assert (await got_one(viber)).event == Started("order")
    assert await viber.shows(woman, cover()) != viber_of.WELCOME
    assert len(viber.sent()) == 1
    await woman.sees("Супа")


async def test_an_opening_that_names_neither_type_nor_time_is_one(viber: ViberLine) -> None:
    told = viber.event("conversation_started", user=USER, subscribed=True)
    del told["timestamp"]
    assert (await viber.takes(told))[0] == 200
    assert (await got_one(viber)).event == Started(None)


async def test_the_same_opening_at_once_has_the_same_answer(viber: ViberLine) -> None:
    woman = viber.server.woman()
    told = viber.event("conversation_started", type="open", user=woman._user(), subscribed=False)
    tries = [asyncio.create_task(viber.takes(told)) for _ in range(3)]
    await viber.intake.receives()
    await asyncio.wait(tries, timeout=0.2)
    await viber.shows(woman, cover())
    answers = await asyncio.gather(*tries)
    assert {status for status, _ in answers} == {200}
    assert len({body for _, body in answers}) == 1
    assert "Супа от леща." in answers[0][1].decode()
    assert len(viber.intake.got) == 1


async def test_an_opening_whose_answer_was_lost_gets_the_same_answer(viber: ViberLine) -> None:
    woman = viber.server.woman()
    told = viber.event("conversation_started", type="open", user=woman._user(), subscribed=False)
    answering = asyncio.create_task(viber.takes(told))
    await viber.intake.receives(1)
    await viber.shows(woman, cover())
    first = await answering
    assert first[0] == 200
    assert json.loads(first[1])["text"] == "Супа от леща."
    assert await viber.takes(told) == first
    assert len(viber.intake.got) == 1  # what she reads meanwhile stays open
    assert viber.sent() == []


async def test_content_on_its_way_is_no_answer_to_an_opening(viber: ViberLine) -> None:
    woman = viber.server.woman(subscribed=True)
    told = viber.event("conversation_started", type="open", user=woman._user(), subscribed=False)
    answering = asyncio.create_task(viber.takes(told))
    await viber.intake.receives(1)
    await viber.shows(woman, screen("Защита"))
    await viber.shows(woman, cover())
    assert json.loads((await answering)[1])["text"] == "Супа от леща."
    assert [shown.text for shown in woman.bot_messages] == ["Защита"]


async def test_no_cover_in_time_is_an_empty_answer(
    viber: ViberLine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(viber_of, "WELCOME_SECONDS", 0.1)
    woman = viber.server.woman()
    assert (await woman.opens()).statuses == [200]
    assert woman.messages == []
    with pytest.raises(Gone):  # later she cannot be written to
        await viber.shows(woman, cover())
    viber.server.refusals.clear()


async def test_an_opening_that_could_not_be_taken_comes_again(
    viber: ViberLine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(viber_of, "WELCOME_SECONDS", 0.1)

    def keep(_: Incoming, settled: asyncio.Future[None]) -> None:
        if len(viber.intake.got) == 1:
            settled.set_exception(OSError())
        else:
            settled.set_result(None)

    viber.intake.keep = keep
    assert (await viber.server.woman().opens()).statuses == [503, 200]


async def test_a_consultants_words_are_no_answer_to_an_opening(viber: ViberLine) -> None:
    woman = viber.server.woman()
    opening = woman.opens()
    await viber.intake.receives()
    with pytest.raises(Gone):
        await viber.shows(woman, said("Тук съм."))
    viber.server.refusals.clear()
    await viber.shows(woman, cover())
    await opening
    assert [shown.text for shown in woman.bot_messages] == ["Супа от леща."]


async def test_leaving_is_told_once_however_often_viber_tells_it(viber: ViberLine) -> None:
    woman = viber.server.woman(subscribed=True)
    left = await woman.leaves()
    assert viber.intake.gone == [woman.id]
    await woman.types("върнах се")
    assert (await viber.takes(left.event))[0] == 200  # a retry after a late 200
    assert viber.intake.gone == [woman.id]
    await woman.leaves()
    assert viber.intake.gone == [woman.id] * 2


async def test_leaving_that_is_told_hours_later_does_not_undo_her_coming_back(
    viber: ViberLine,
) -> None:
    woman = viber.server.woman(subscribed=True)
    told = viber.event("unsubscribed", user_id=woman.id)
    viber.clock.time += LEFT_TOO_LONG_AGO + timedelta(seconds=1)
    assert (await viber.takes(told))[0] == 200
    assert viber.intake.gone == []


async def test_leaving_that_is_told_after_she_wrote_again_is_over(viber: ViberLine) -> None:
    woman = viber.server.woman(subscribed=True)
    told = viber.event("unsubscribed", user_id=woman.id)
    viber.clock.time += timedelta(minutes=10)
    await woman.types("върнах се")
    assert (await viber.takes(told))[0] == 200
    assert viber.intake.gone == []


async def test_leaving_is_acknowledged_once_all_is_deleted(
    viber: ViberLine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(deliveries, "SETTLE_SECONDS", 0.1)
    deleted: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    monkeypatch.setattr(viber.intake, "blocked", lambda channel, address, at: deleted)
    told = viber.event("unsubscribed", user_id=viber.server.woman(subscribed=True).id)
    assert (await viber.takes(told))[0] == 503
    deleted.set_result(None)
    assert (await viber.takes(told))[0] == 200


@pytest.mark.parametrize("desc", ["message validation failed", None])
async def test_what_her_phone_could_not_show_is_told(viber: ViberLine, desc: str | None) -> None:
    woman = viber.server.woman(subscribed=True)
    woman.cannot_show(desc)
    handle = await viber.shows(woman, said("Тук съм."))
    await viber.server.settled()
    assert viber.intake.failed == [(woman.id, handle)]
    assert viber.channel.events["send_failed"] == 1
    assert viber.server.callbacks[-1].statuses == [200]


# --- what she sends


@pytest.mark.parametrize(
    ("kind", "event"),
    [
        ("picture", Sent(MediaKind.PHOTO)),
        ("contact", Sent(MediaKind.CONTACT)),
        ("location", Sent(MediaKind.LOCATION)),
        ("video", Sent(MediaKind.OTHER)),
        ("file", Sent(MediaKind.OTHER)),
        ("sticker", Sent(MediaKind.OTHER)),
        ("url", Typed("https://example.net/negova-stranitsa")),
    ],
)
async def test_a_medium_is_named_and_nothing_of_it_is_kept(
    viber: ViberLine, kind: str, event: object
) -> None:
    woman = viber.server.woman()
    await woman.sends(kind, caption="" if kind == "url" else "това съм аз")
    incoming = await got_one(viber)
    assert incoming.event == event
    assert "това съм аз" not in repr(incoming)
    if kind != "url":
        told = [each for each in woman.planted if len(each) > 4]
        assert not [each for each in told if each in repr(incoming)]


@pytest.mark.parametrize("kind", ["keyboard", "rich_media", "hologram", 7])
async def test_a_kind_that_nobody_knows_is_some_medium(viber: ViberLine, kind: Any) -> None:
    woman = viber.server.woman()
    message = {"type": kind, "media": {"a": 1}, "contact": "+359888123456"}
    told = viber.event("message", sender=woman._user(), message=message)
    assert (await viber.takes(told))[0] == 200
    assert (await got_one(viber)).event == Sent(MediaKind.OTHER)


@pytest.mark.parametrize(
    "content",
    [{"contact": None}, {"contact": []}, {"location": 7}, {"media": 7, "thumbnail": []}],
)
async def test_a_medium_is_never_parsed(viber: ViberLine, content: dict[str, Any]) -> None:
    woman = viber.server.woman()
    for kind in ("picture", "contact", "location", "sticker"):
        told = viber.event("message", sender=woman._user(), message={"type": kind} | content)
        assert (await viber.takes(told))[0] == 200


async def test_her_name_and_picture_reach_nothing_even_if_viber_sends_them(
    viber: ViberLine,
) -> None:
    viber.server.send_name = viber.server.send_photo = True
    woman = viber.server.woman(subscribed=True)
    await woman.types("помощ")
    await woman.opens("order")
    told = repr(await viber.intake.receives(2))
    for trace in (woman.name, woman.avatar, woman.country, woman.language, "Subscriber"):
        assert trace not in told


async def test_half_a_character_does_not_cost_her_words(viber: ViberLine) -> None:
    await viber.takes(viber.says(viber.server.woman(), "помощ \ud83d"))
    assert (await got_one(viber)).event == Typed("помощ \ufffd")


# --- taps


async def test_a_tap_brings_its_position_and_is_no_message_of_hers(viber: ViberLine) -> None:
    woman = await has_window(viber)
    before = len(woman.messages)
    callback = await taken(woman.taps("Кога?"))
    assert callback.event["silent"] is True
    assert await got_one(viber) == Incoming(
        "viber", woman.id, Tapped(Position("bg", "when")), str(callback.event["message_token"])
    )
    assert len(woman.messages) == before


@pytest.mark.parametrize(
    ("ahead", "fresh"),
    [
        (timedelta(), True),
        (timedelta(minutes=30), True),
        (timedelta(minutes=31), False),
        (timedelta(days=400), False),
        (timedelta(minutes=-2), True),
        (timedelta(minutes=-3), False),
    ],
)
async def test_a_button_older_than_half_an_hour_or_from_the_future_is_not_fresh(
    viber: ViberLine, ahead: timedelta, fresh: bool
) -> None:
    woman = await has_window(viber)
    viber.clock.time += ahead
    await taken(woman.taps("Кога?"))
    assert (await got_one(viber)).event == Tapped(Position("bg", "when"), fresh)


@pytest.mark.parametrize(
    ("late", "fresh"),
    [(0, True), (60, True), (61, False), (3600, False), (-60, True), (-61, False)],
)
async def test_what_reached_us_late_is_not_fresh(viber: ViberLine, late: int, fresh: bool) -> None:
    woman = viber.server.woman()
    then = viber.moment() - late * 1000
    data = payload.pack(HERE, viber.clock())
    await viber.takes(viber.says(woman, data, silent=True, timestamp=then))
    await viber.takes(viber.says(woman, "утре в 10", timestamp=then))
    photo = viber.says(woman, "", timestamp=then, message={"type": "picture"})
    await viber.takes(photo)
    got = await viber.intake.receives(3)
    assert [each.event for each in got] == [
        Tapped(HERE, fresh), Typed("утре в 10", fresh), Sent(MediaKind.PHOTO, fresh)
    ]  # fmt: skip


@pytest.mark.parametrize(
    "timestamp", ["missing", None, 10**18, 10**40, -1, 0, "вчера", "", True, [], {}, 3e13, 1.5]
)
async def test_an_absurd_time_or_none_is_not_fresh_and_costs_no_words(
    viber: ViberLine, timestamp: Any
) -> None:
    woman = viber.server.woman()
    for text, silent in (("помощ", False), (payload.pack(HERE, viber.clock()), True)):
        told = viber.says(woman, text, silent=silent, timestamp=timestamp)
        if timestamp == "missing":
            del told["timestamp"]
        assert (await viber.takes(told))[0] == 200
    got = await viber.intake.receives(2)
    assert [each.event for each in got] == [Typed("помощ", False), Tapped(HERE, False)]


@pytest.mark.parametrize(
    "data", ["bg:order; DROP TABLE cases", "../hide", "bg:order", "x" * 5000, "bg:order::!!", "🙂"]
)
async def test_a_forged_button_leads_nowhere(viber: ViberLine, data: str) -> None:
    await viber.takes(viber.says(viber.server.woman(), data, silent=True))
    assert (await got_one(viber)).event == Tapped(None)


async def test_an_old_viber_that_shows_her_tap_is_understood_all_the_same(
    viber: ViberLine,
) -> None:
    data = payload.pack(HERE, viber.clock())
    await viber.takes(viber.says(viber.server.woman(), data, silent=False))
    assert (await got_one(viber)).event == Tapped(HERE)


# --- her words, and where she is


async def test_what_she_types_comes_with_the_position_of_what_stands_before_her(
    viber: ViberLine,
) -> None:
    woman = await has_window(viber)
    await woman.types("*заповед*")
    incoming = await got_one(viber)
    assert incoming.event == Typed("*заповед*")
    assert incoming.position == HERE
    assert incoming.languages == ("bg",)
    await woman.sends("picture")
    assert (await viber.intake.receives(2))[1].position == HERE


async def test_what_stood_before_her_for_long_is_no_position_but_tells_her_language(
    viber: ViberLine,
) -> None:
    woman = viber.server.woman(subscribed=True)
    await viber.shows(woman, screen("Koruma kararı", choices=()))
    old = payload.pack(Position("tr", "order"), viber.clock())
    woman._tracking = old
    viber.clock.time += timedelta(minutes=31)
    await woman.types("yardım")
    incoming = await got_one(viber)
    assert incoming.event == Typed("yardım")
    assert incoming.position is None
    assert incoming.languages == ("tr",)


async def test_a_digit_below_a_reminder_of_days_ago_is_read_there(viber: ViberLine) -> None:
    woman = viber.server.woman(subscribed=True)
    here = Position("tr", REMINDER)
    woman._tracking = payload.pack(here, viber.clock())
    viber.clock.time += timedelta(days=2)
    await woman.types("3")
    assert (await got_one(viber)).position == here


async def test_her_first_words_have_no_position_and_are_fresh_by_their_time(
    viber: ViberLine,
) -> None:
    await viber.server.woman().types("помощ")
    incoming = await got_one(viber)
    assert incoming.event == Typed("помощ", fresh=True)
    assert incoming.position is None
    assert incoming.languages == ()


@pytest.mark.parametrize("tracked", ["", "x" * 4000, "bg:order", "{}", 7, None, ["bg:order"], {}])
async def test_forged_tracking_data_leads_nowhere(viber: ViberLine, tracked: Any) -> None:
    message = {"tracking_data": tracked}
    await viber.takes(viber.says(viber.server.woman(), "помощ", message=message))
    incoming = await got_one(viber)
    assert incoming.event == Typed("помощ")
    assert incoming.position is None


# --- our page


def on_page(line: ViberLine, place: Position) -> OutgoingButton:
    return OutgoingButton("2. На страница", payload.pack(place), url=line.links.page(place))


@pytest.mark.parametrize("later", [timedelta(), timedelta(hours=3)])
async def test_reading_on_our_page_hides_what_stands_here_in_that_language(
    viber: ViberLine, later: timedelta
) -> None:
    viber.server.url_taps_reply = True
    woman = viber.server.woman(subscribed=True)
    await viber.shows(woman, screen("Къде?", choices=(on_page(viber, Position("tr", "order")),)))
    viber.clock.time += later
    await taken(woman.taps("На страница"))
    incoming = await got_one(viber)
    assert incoming.event == Tapped(Position("tr", HIDE))
    assert viber.intake.got[0].position is None


async def test_a_page_of_ours_with_a_forged_place_hides_in_the_first_language(
    viber: ViberLine,
) -> None:
    woman = viber.server.woman()
    await viber.takes(viber.says(woman, f"{viber.url}/r/abc-def", silent=True))
    message = {"type": "url", "media": f"{viber.url}/r/"}
    await viber.takes(viber.says(woman, "", message=message))
    got = await viber.intake.receives(2)
    assert [each.event for each in got] == [Tapped(Position("bg", HIDE))] * 2


async def test_somebody_elses_page_is_what_she_typed(viber: ViberLine) -> None:
    await viber.server.woman().types("https://example.net/r/abc")
    assert (await got_one(viber)).event == Typed("https://example.net/r/abc")
