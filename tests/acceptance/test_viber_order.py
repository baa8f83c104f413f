"""Viber brings again what we did not take, in whatever order: what is told late shows nothing."""

from __future__ import annotations

import asyncio
import json
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from typing import Any

from bot.storage.records import MessageState
from dialogs import payload
from dialogs.model import Position
from tests.acceptance.disk import connected
from tests.acceptance.reader import ViberReader
from tests.acceptance.steps import arrived, claimed, in_a_case_on_viber, rows, say, to_a_human
from tests.line import Line, eventually, running_line
from tests.standins.viber_woman import ViberWoman

HIDDEN = Position("bg", "hide")
SILENCE = 0.6


def _ago(line: Line, seconds: float) -> int:
    return int((line.phen.now() - timedelta(seconds=seconds)).timestamp() * 1000)


def _told(line: Line, woman: ViberWoman, text: str, ago: float, *, tap: bool = False) -> Any:
    """What she wrote or tapped some seconds ago, as Viber brings it again now."""
    message = {"type": "text", "text": text, "tracking_data": woman._tracking}
    return {
        "event": "message", "timestamp": _ago(line, ago),
        "message_token": line.viber.token_for(), "sender": {"id": woman.id},
        "message": message, "silent": tap,
    }  # fmt: skip


def _tap(line: Line, woman: ViberWoman, node: str, ago: float) -> Any:
    made = line.phen.now() - timedelta(seconds=ago)
    return _told(line, woman, payload.pack(Position("bg", node), made), ago, tap=True)


async def _brings(line: Line, event: Any) -> int:
    body = json.dumps(event, ensure_ascii=False).encode()
    return (await line.viber.post(body, line.viber.sign(body)))[0]


async def _hides(line: Line, reader: ViberReader) -> int:
    """She hides; how many messages stand in her chat then."""
    before = len(reader.woman.bot_messages)
    await reader._taps(HIDDEN)
    await reader.woman.sees_messages(before + 1)
    await line.phen.windows.settled()
    return len(reader.woman.bot_messages)


async def _nothing_more(woman: ViberWoman, count: int) -> bool:
    await asyncio.sleep(SILENCE)
    return len(woman.bot_messages) == count


async def test_words_that_hide_has_overtaken_are_kept_and_open_nothing(tmp_path: Path) -> None:
    async with running_line(tmp_path) as line:
        reader, maria = await in_a_case_on_viber(line), await line.consultant()
        woman, case = reader.woman, await claimed(line, maria)
        await reader.sees(say("notice.claimed"))
        early = [_told(line, woman, f"ред {ago}", ago) for ago in (600, 5)]
        count = await _hides(line, reader)
        await line.phen.desk.reply(maria, case, "таен отговор", "1")
        for words in early:
            assert await _brings(line, words) == 200
        assert await arrived(line, case, "ред 600", "ред 5")
        assert await _nothing_more(woman, count)


async def test_a_tap_that_hide_has_overtaken_shows_nothing(tmp_path: Path) -> None:
    async with running_line(tmp_path) as line:
        reader = ViberReader(line.viber.woman(), "bg")
        await reader.opens()
        await reader.goes_to("order")
        early = [_tap(line, reader.woman, "order_when", ago) for ago in (120, 12)]
        count = await _hides(line, reader)
        for tap in early:
            assert await _brings(line, tap) == 200
        assert await _nothing_more(reader.woman, count)


async def test_delete_everything_that_hide_has_overtaken_still_deletes(tmp_path: Path) -> None:
    async with running_line(tmp_path) as line:
        reader = await in_a_case_on_viber(line)
        tap = _tap(line, reader.woman, "forget_yes", 8)
        count = await _hides(line, reader)
        assert await _brings(line, tap) == 200
        assert await eventually(lambda: rows(line, "cases", 0))
        assert await _nothing_more(reader.woman, count)


async def test_a_call_for_a_human_that_hide_has_overtaken_waits_at_the_desk(
    tmp_path: Path,
) -> None:
    async with running_line(tmp_path) as line:
        reader = ViberReader(line.viber.woman(), "bg")
        await reader.opens()
        await reader.goes_to("talk")
        tap = _tap(line, reader.woman, "talk_yes", 8)
        count = await _hides(line, reader)
        assert await _brings(line, tap) == 200
        maria = await line.consultant()
        case = await claimed(line, maria)
        await line.phen.desk.reply(maria, case, "тук съм", "1")
        assert await _nothing_more(reader.woman, count)


async def test_words_brought_again_to_a_locked_database_apologise_once(tmp_path: Path) -> None:
    async with running_line(tmp_path) as line:
        reader, maria = await in_a_case_on_viber(line), await line.consultant()
        case = await claimed(line, maria)
        await reader.sees(say("notice.claimed"))
        await line.viber.settled()
        line.viber.callback_timeout = 15
        words = _told(line, reader.woman, "помощ", 0)
        with closing(connected(tmp_path)) as thief:
            await asyncio.to_thread(thief.execute, "BEGIN EXCLUSIVE")
            count = len(reader.woman.bot_messages)
            assert await _brings(line, words) == 503
            await reader.woman.sees_messages(count + 1)
            assert await _brings(line, words) == 503
            assert await _nothing_more(reader.woman, count + 1)
            thief.rollback()
        assert await _brings(line, words) == 200
        assert await arrived(line, case, "помощ")


async def test_an_opening_told_late_leaves_her_in_her_case(tmp_path: Path) -> None:
    async with running_line(tmp_path) as line:
        woman = line.viber.woman()
        reader = ViberReader(woman, "bg")
        await reader.opens()
        await to_a_human(reader)
        maria = await line.consultant()
        case = await claimed(line, maria)
        await reader.sees(say("notice.claimed"))
        for subscribed in (False, True):
            opening = {
                "event": "conversation_started", "timestamp": _ago(line, 60), "type": "open",
                "message_token": line.viber.token_for(), "user": {"id": woman.id},
                "subscribed": subscribed,
            }  # fmt: skip
            assert await _brings(line, opening) == 200
        await line.phen.desk.reply(maria, case, "чуваш ли ме", "1")
        await reader.sees("чуваш ли ме")


async def test_an_opening_told_half_an_hour_late_rings_nobody(tmp_path: Path) -> None:
    async with running_line(tmp_path) as line:
        woman = line.viber.woman(subscribed=True)
        opening = {
            "event": "conversation_started", "timestamp": _ago(line, 1800), "type": "open",
            "message_token": line.viber.token_for(), "user": {"id": woman.id}, "subscribed": True,
        }  # fmt: skip
        assert await _brings(line, opening) == 200
        assert await _nothing_more(woman, 0)


async def test_a_failure_told_twice_does_not_undo_that_it_was_sent_again(tmp_path: Path) -> None:
    async with running_line(tmp_path) as line:
        reader, maria = await in_a_case_on_viber(line), await line.consultant()
        case = await claimed(line, maria)
        await reader.sees(say("notice.claimed"))
        reader.woman.cannot_show()
        await line.phen.desk.reply(maria, case, "тук съм", "1")

        async def is_now(state: MessageState) -> bool:
            return (await line.phen.store.messages(case))[-1].state is state

        assert await eventually(lambda: is_now(MessageState.FAILED))
        [failed] = line.viber.events("failed")
        message = (await line.phen.store.messages(case))[-1]
        await line.phen.desk.resend(maria, case, message.id)
        await reader.sees("тук съм")
        assert await eventually(lambda: is_now(MessageState.SENT))
        assert await _brings(line, failed.event) == 200
        assert await is_now(MessageState.SENT)


async def test_an_old_leaving_after_a_restart_does_not_delete_her_new_case(tmp_path: Path) -> None:
    async with running_line(tmp_path) as line:
        reader = await in_a_case_on_viber(line)
        left = await reader.woman.leaves()
        assert await eventually(lambda: rows(line, "cases", 0))
        await reader.opens()
        await to_a_human(reader)
        assert await eventually(lambda: rows(line, "cases", 1))
    async with running_line(tmp_path) as line:
        assert await _brings(line, left.event) == 200
        assert await rows(line, "cases", 1)


async def test_words_that_begin_with_the_address_of_our_page_are_kept(tmp_path: Path) -> None:
    async with running_line(tmp_path) as line:
        reader = await in_a_case_on_viber(line)
        case = await claimed(line, await line.consultant())
        words = f"{line.url}/r/abc не ми се отваря"
        await reader.woman.types(words)
        assert await arrived(line, case, words)
