"""Lines of the catalogue of faults that belong to Viber, on the whole program."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import aiohttp
import pytest

from bot.channels import deliveries
from bot.channels.base import Who
from bot.storage.engine import LOCK_WAIT_MS
from bot.storage.records import MessageState
from dialogs.model import Position
from tests.acceptance.consultant import at_the_desk
from tests.acceptance.disk import connected, database_files, files
from tests.acceptance.program import a_program_on_viber
from tests.acceptance.reader import CONTENT, HIDDEN_UNDER, ViberReader
from tests.acceptance.steps import (
    arrived,
    claimed,
    hers,
    in_a_case_on_viber,
    rows,
    say,
    screen,
    ten_idle_minutes_pass,
    to_a_human,
)
from tests.line import Line, eventually, running_line
from tests.standins.viber import Callback, ViberStandIn
from tests.standins.viber_woman import ViberWoman
from tests.transcripts.script import Clock

LOCKED = 12.0
"""Longer than a connection waits for the lock."""
AT_ONCE = LOCK_WAIT_MS / 1000
"""What is there by then has not waited for the lock."""
SILENCE = 0.6
"""How long nothing must come, where nothing may."""


def _raw(callback: Callback) -> bytes:
    """The body as it went over the wire."""
    return json.dumps(callback.event, ensure_ascii=False, separators=(",", ":")).encode()


async def _again(server: ViberStandIn, callback: Callback, times: int = 1) -> set[int]:
    """The same signed body once more, several at once; what was answered."""
    body = _raw(callback)
    answers = await asyncio.gather(*(server.post(body, server.sign(body)) for _ in range(times)))
    return {status for status, _ in answers}


def _came(woman: ViberWoman) -> list[str]:
    return [shown.text for shown in woman.bot_messages]


async def _is_left_alone(server: ViberStandIn, woman: ViberWoman) -> bool:
    """Whether nothing is sent to her for a while, not even what she would not see."""
    before = len(server.called("send_message")), _came(woman)
    await asyncio.sleep(SILENCE)
    return (len(server.called("send_message")), _came(woman)) == before


def _replies(woman: ViberWoman) -> list[str]:
    """What a consultant said to her, in its order."""
    by = "\n\n— Мария"
    return [text.removesuffix(by) for text in _came(woman) if text.endswith(by)]


async def _hears(woman: ViberWoman, *replies: str) -> bool:
    return await eventually(lambda: _replies(woman) == [*replies])


# --- the same twice ------------------------------------------------------------------------------


async def test_dup_viber_token_is_handled_once(tmp_path: Path) -> None:
    async with running_line(tmp_path) as line:
        reader, maria = await in_a_case_on_viber(line), await line.consultant()
        case = await claimed(line, maria)
        told = await reader.woman.types("веднъж")
        assert await _again(line.viber, told, times=5) == {200}
        await reader.woman.types("край")
        assert await _again(line.viber, told) == {200}
        await reader.woman.types("веднъж")
        assert await arrived(line, case, "веднъж", "край", "веднъж")


async def test_dup_viber_token_across_a_restart_is_handled_once(tmp_path: Path) -> None:
    async with a_program_on_viber(tmp_path) as (program, server):
        invitation = (await program.runs("staff", "add", "maria", "--role", "consultant")).split()
        async with at_the_desk(program.url, "maria", invitation[0]) as maria:
            woman = server.woman()
            reader = ViberReader(woman, "bg")
            await reader.opens()
            await to_a_human(reader)
            await server.settled()
            kept, takes = program.count("messages"), server.post

            async def answer_is_lost(body: bytes, signature: str | None) -> tuple[int, bytes]:
                await takes(body, signature)
                raise aiohttp.ClientConnectionError

            server.post, server.retry_after = answer_is_lost, [0.3] * 400  # type: ignore[method-assign]
            delivery = woman.types("само веднъж")
            assert await eventually(lambda: program.count("messages") == kept + 1)
            await program.is_killed()
            server.post = takes  # type: ignore[method-assign]
            await program.starts()
            callback = await delivery
            assert callback.taken
            assert len(callback.statuses) > 1
            assert await _again(server, callback, times=3) == {200}
            assert program.count("messages") == kept + 1
            await maria.claims()
            await maria.sees("само веднъж")
            assert maria.text.count("само веднъж") == 1


async def test_a_replayed_signed_body_has_no_effect(tmp_path: Path) -> None:
    async with running_line(tmp_path) as line:
        reader = ViberReader(line.viber.woman(), "bg")
        await reader.opens()
        await reader.asks_for_a_human()
        case = await claimed(line, await line.consultant())
        await reader.sees(say("notice.claimed"))
        said = await reader.woman.types("това е между нас")
        assert await arrived(line, case, "това е между нас")
        await reader.forges("case_end")
        await reader.forges_payload("bg:nowhere")
        await line.phen.conversation.settled("viber", reader.woman.id)
        await reader.hides()
        await line.viber.settled()
        taps = [c for c in line.viber.events("message") if c.event["silent"]]
        counts = await line.phen.store.counts()
        sent = len(line.viber.called("send_message"))
        for callback in (*taps, said, *line.viber.events("conversation_started")):
            assert await _again(line.viber, callback, times=2) == {200}
        await line.phen.conversation.settled("viber", reader.woman.id)
        assert await _is_left_alone(line.viber, reader.woman)
        assert len(line.viber.called("send_message")) == sent
        assert await line.phen.store.counts() == counts
        assert await hers(line, case) == ["това е между нас"]


async def test_an_old_tap_that_opened_a_case_is_replayed_after_its_end(tmp_path: Path) -> None:
    async with running_line(tmp_path) as line:
        reader = await in_a_case_on_viber(line)
        opened = line.viber.events("message")[-1]
        assert opened.event["message"]["text"].startswith("bg:talk_yes")
        await reader.forges("case_end")
        await reader._taps(Position("bg", "case_end_yes"))
        await reader.sees(screen("case_ended"))
        assert await _again(line.viber, opened) == {200}
        await line.phen.conversation.settled("viber", reader.woman.id)
        assert await line.phen.desk.waiting(await line.consultant()) == []


# --- who is not Viber ----------------------------------------------------------------------------


async def test_signature_wrong_missing_or_empty_is_403_and_nothing_written(tmp_path: Path) -> None:
    async with a_program_on_viber(tmp_path) as (program, server):
        reader = ViberReader(server.woman(), "bg")
        await reader.opens()
        await server.settled()
        bytes_before, files_before, log = database_files(program), files(program), program.log
        sent = len(server.called("send_message"))
        good = await _signed_bodies(server, reader)
        other = ViberStandIn(token="another-token-of-another-bot-00000000000")
        for body in good:
            right = server.sign(body)
            wrong = {
                "", "0" * 64, right[:-1], right + "0", right[::-1], "не е подпис", right[:32] * 2,
                other.sign(body), server.sign(body + b" "), server.token,
            }  # fmt: skip
            for signature in wrong:
                assert await _refused(server, body, signature.encode())
            assert await _refused(server, body, None)
        assert await _is_left_alone(server, reader.woman)
        assert len(server.called("send_message")) == sent
        assert database_files(program) == bytes_before
        assert files(program) == files_before
        told = program.log[len(log) :]
        assert not [line for line in told if reader.woman.id in line or "talk_yes" in line]


async def _signed_bodies(server: ViberStandIn, reader: ViberReader) -> list[bytes]:
    """A tap that opens a case, words, and her leaving: each would write something."""
    person = {"id": reader.woman.id}
    stamp = int(server.now().timestamp() * 1000)
    made = [
        {"event": "message", "sender": person, "silent": True,
         "message": {"type": "text", "text": "bg:talk_yes"}},
        {"event": "message", "sender": person, "message": {"type": "text", "text": "помощ"}},
        {"event": "unsubscribed", "user_id": reader.woman.id},
        {"event": "conversation_started", "user": person, "subscribed": False},
    ]  # fmt: skip
    return [
        json.dumps({**each, "timestamp": stamp, "message_token": server.token_for()}).encode()
        for each in made
    ]


async def _refused(server: ViberStandIn, body: bytes, signature: bytes | None) -> bool:
    """Whether it is answered by 403 and no word; bytes, so that a header may hold anything."""
    reader, writer = await asyncio.open_connection(*_host(server.webhook))
    header = b"" if signature is None else b"X-Viber-Content-Signature: " + signature + b"\r\n"
    writer.write(
        b"POST /viber/webhook HTTP/1.1\r\nHost: here\r\nConnection: close\r\n%s"
        b"Content-Type: application/json\r\nContent-Length: %d\r\n\r\n%s"
        % (header, len(body), body)
    )
    await writer.drain()
    answer = await reader.read()
    writer.close()
    await writer.wait_closed()
    head, _, rest = answer.partition(b"\r\n\r\n")
    return head.startswith(b"HTTP/1.1 403") and rest == b""


def _host(url: str) -> tuple[str, int]:
    host, _, port = url.removeprefix("http://").partition("/")[0].partition(":")
    return host, int(port)


# --- late, locked, gone --------------------------------------------------------------------------


async def _arrives_late(
    line: Line, clock: Clock, does: Callable[[], asyncio.Task[Callback] | None]
) -> None:
    """What she does now reaches us three hours later."""
    address, line.viber.webhook = line.viber.webhook, "http://127.0.0.1:9/viber/webhook"
    line.viber.retry_after = [0.05] * 200
    done = does()
    assert done is not None
    assert await eventually(lambda: bool(line.viber.callbacks[-1].statuses))
    clock.at += timedelta(hours=3)
    line.viber.webhook = address
    assert (await done).taken


@pytest.mark.parametrize("typed", [False, True])
async def test_a_tap_delivered_hours_late_brings_the_cover(typed: bool, tmp_path: Path) -> None:
    clock = Clock(datetime.now(UTC))
    async with running_line(tmp_path, now=clock) as line:
        reader = ViberReader(line.viber.woman(), "bg", now=clock)
        await reader.opens()
        await reader.goes_to("order")
        await line.viber.settled()
        woman, before = reader.woman, len(reader.woman.bot_messages)
        choice = next(each for each in woman.buttons if each.startswith("1."))
        await _arrives_late(line, clock, lambda: woman.types("1") if typed else woman.taps(choice))
        await woman.sees_messages(before + 1)
        await line.phen.conversation.settled("viber", woman.id)
        assert _came(woman)[before:] == [screen("start")]
        assert len(woman.buttons) == len(CONTENT.nodes["start"].choices) + 1  # and its picture


async def test_what_she_wrote_in_her_case_is_kept_however_late_it_comes(tmp_path: Path) -> None:
    clock = Clock(datetime.now(UTC))
    async with running_line(tmp_path, now=clock) as line:
        reader = await in_a_case_on_viber(line)
        case = await claimed(line, await line.consultant())
        await reader.sees(say("notice.claimed"))
        before = len(reader.woman.bot_messages)
        await _arrives_late(line, clock, lambda: reader.woman.types("чувате ли ме"))
        assert await arrived(line, case, "чувате ли ме")
        await line.phen.conversation.settled("viber", reader.woman.id)
        assert set(_came(reader.woman)[before:]) <= {screen("start")}


async def test_database_locked_is_not_acknowledged_and_is_taken_once_when_it_is_free(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(deliveries, "SETTLE_SECONDS", 1.0)
    async with running_line(tmp_path) as line:
        line.viber.retry_after = [0.2] * 200
        reader = await in_a_case_on_viber(line)
        case = await claimed(line, await line.consultant())
        await reader.sees(say("notice.claimed"))
        other = ViberReader(line.viber.woman(), "bg")
        await other.opens()
        with closing(connected(tmp_path)) as thief:
            await asyncio.to_thread(thief.execute, "BEGIN EXCLUSIVE")
            delivery = reader.woman.types("помощ")
            await asyncio.sleep(0.2)
            await other._taps(Position("bg", "danger"))
            await other.woman.sees(screen("danger"), timeout=AT_ONCE)
            await asyncio.sleep(LOCKED)
            assert not delivery.done()
            thief.rollback()
        callback = await delivery
        assert callback.taken
        assert set(callback.statuses) == {503, 200}
        assert await arrived(line, case, "помощ")
        assert await _again(line.viber, callback, times=3) == {200}
        assert await hers(line, case) == ["помощ"]
        await reader._taps(Position("bg", "danger"))
        await reader.sees(screen("danger"))


async def test_112_and_hide_answer_her_while_her_own_words_wait_for_the_database(
    tmp_path: Path,
) -> None:
    async with running_line(tmp_path) as line:
        reader = await in_a_case_on_viber(line)
        woman = reader.woman
        # She does not wait for her words' receipt, nor does Viber for her taps.
        with closing(connected(tmp_path)) as thief:
            await asyncio.to_thread(thief.execute, "BEGIN EXCLUSIVE")
            woman.types("помощ")
            woman.line = asyncio.Lock()
            await asyncio.sleep(0.2)
            await reader._taps(Position("bg", "danger"))
            await woman.sees(screen("danger"), timeout=AT_ONCE)
            await reader._taps(Position("bg", "hide"))
            await woman.sees(say(CONTENT.nodes[HIDDEN_UNDER[0]].text), timeout=AT_ONCE)
            thief.rollback()
        await line.viber.settled()


async def test_she_leaves_and_nothing_of_her_is_kept_or_sent(tmp_path: Path) -> None:
    async with running_line(tmp_path) as line:
        reader, maria = await in_a_case_on_viber(line), await line.consultant()
        case = await claimed(line, maria)
        await reader.sees(say("notice.claimed"))
        await reader.woman.types("ало")
        assert await arrived(line, case, "ало")
        await reader.forges("order")  # something stands open there
        await line.viber.settled()
        await reader.woman.leaves()
        assert await eventually(lambda: rows(line, "cases", 0))
        assert await rows(line, "messages", 0)
        assert await rows(line, "outbox", 0)
        assert await line.phen.store.case(case) is None
        assert await _is_left_alone(line.viber, reader.woman)
        assert line.viber.refusals == []  # not even tried


async def test_her_leaving_brought_again_does_not_undo_her_return(tmp_path: Path) -> None:
    async with running_line(tmp_path) as line:
        reader, maria = await in_a_case_on_viber(line), await line.consultant()
        left = await reader.woman.leaves()
        assert await eventually(lambda: rows(line, "cases", 0))
        await reader.opens()
        await to_a_human(reader)
        case = await claimed(line, maria)
        assert await _again(line.viber, left, times=3) == {200}
        await reader.woman.types("пак съм тук")
        assert await arrived(line, case, "пак съм тук")


async def test_she_left_unnoticed_and_the_first_answer_of_viber_is_enough(tmp_path: Path) -> None:
    async with running_line(tmp_path) as line:
        reader, maria = await in_a_case_on_viber(line), await line.consultant()
        case = await claimed(line, maria)
        await reader.sees(say("notice.claimed"))
        reader.woman.subscribed = False
        await line.phen.desk.reply(maria, case, "тук съм", "1")
        assert await eventually(lambda: rows(line, "cases", 0))
        assert [status for _, status, _ in line.viber.refusals] == [6]
        assert await _is_left_alone(line.viber, reader.woman)


# --- nothing comes by itself ---------------------------------------------------------------------


async def test_sigterm_with_open_windows_is_quick_and_sends_nothing(tmp_path: Path) -> None:
    async with a_program_on_viber(tmp_path) as (program, server):
        readers = [ViberReader(server.woman(), language) for language in ("bg", "tr", "en")]
        for reader in readers:
            await reader.opens()
            await reader.goes_to("order")
        talker = ViberReader(server.woman(), "bg")
        await talker.opens()
        await to_a_human(talker)
        await talker.woman.types("тук съм")
        await server.settled()
        assert await _is_left_alone(server, talker.woman)
        before = len(server.calls)
        assert await program.is_stopped() < 10
        assert len(server.calls) == before
        await program.starts()
        assert await eventually(lambda: len(server.calls) > before)  # it looks at its account
        assert await _is_left_alone(server, talker.woman)
        assert {method for method, _ in server.calls[before:]} == {"get_account_info"}
        assert [line for line in program.log if " ERROR " in line] == []


@pytest.mark.parametrize("returns", ["taps", "writes"])
async def test_after_ten_idle_minutes_nothing_is_sent_until_she_taps_or_writes(
    returns: str, tmp_path: Path
) -> None:
    async with running_line(tmp_path) as line:
        reader, maria = await in_a_case_on_viber(line), await line.consultant()
        woman, case = reader.woman, await claimed(line, maria)
        await woman.types("тук съм")
        await line.phen.desk.reply(maria, case, "и аз", "1")
        assert await _hears(woman, "и аз")
        before = _came(woman)
        await ten_idle_minutes_pass(line, Who("viber", woman.id))
        await line.phen.desk.reply(maria, case, "още", "2")
        await line.phen.desk.reply(maria, case, "и още", "3")
        assert await _is_left_alone(line.viber, woman)
        assert _came(woman) == before
        said = await line.phen.store.messages(case)
        assert [m.state for m in said if m.text in ("още", "и още")] == [MessageState.DUE] * 2
        if returns == "taps":
            await reader._taps(Position("bg", "case"))
        else:
            await woman.types("върнах се")
            assert await arrived(line, case, "тук съм", "върнах се")
        assert await _hears(woman, "и аз", "още", "и още")
        assert screen("start") not in "".join(_came(woman)[len(before) :])


@pytest.mark.parametrize("how", ["button", "9", "safe word"])
async def test_after_hide_nothing_is_sent_until_she_returns(how: str, tmp_path: Path) -> None:
    clock = Clock(datetime.now(UTC))
    async with running_line(tmp_path, now=clock) as line:
        reader, maria = await in_a_case_on_viber(line), await line.consultant()
        woman, case = reader.woman, await claimed(line, maria)
        await line.phen.desk.reply(maria, case, "преди", "1")
        assert await _hears(woman, "преди")
        if how == "button":
            await reader._taps(Position("bg", "hide"))
        else:
            await woman.types("9" if how == "9" else CONTENT.safe_words["bg"][0])
        await woman.sees(say(CONTENT.nodes[HIDDEN_UNDER[0]].text))
        before = _came(woman)
        assert before[-1].endswith(screen("start"))
        await line.phen.desk.reply(maria, case, "първо", "2")
        clock.at += timedelta(minutes=20)
        await line.phen.handover.tick()
        await line.phen.desk.reply(maria, case, "второ", "3")
        await line.phen.desk.looked(maria, case)  # a digit may be an answer: it is kept
        await line.phen.desk.close(maria, case)
        assert await _is_left_alone(line.viber, woman)
        assert _came(woman) == before

        await woman.opens()
        await woman.sees_messages(len(before) + 1)
        assert await _is_left_alone(line.viber, woman)
        assert _came(woman)[len(before) :] == [screen("start")]
        await reader._taps(Position("bg", "inside"))
        assert await _hears(woman, "преди", "първо", "второ")
        await reader.sees(say("notice.closed"))
        await reader.hides()
        await reader._taps(Position("bg", "inside"))
        await woman.sees_messages(len(_came(woman)) + 1)
        assert await _is_left_alone(line.viber, woman)
        assert _replies(woman) == ["преди", "първо", "второ"]


async def test_hiding_twice_is_no_error_and_both_times_the_cover_stands_below(
    tmp_path: Path,
) -> None:
    async with running_line(tmp_path) as line:
        reader = await in_a_case_on_viber(line)
        for _ in range(2):
            await reader.hides()
        await reader._types("9")
        await reader._is_hidden()
        await line.viber.settled()
        assert line.viber.refusals == []
        assert [c.statuses for c in line.viber.callbacks if not c.taken] == []
