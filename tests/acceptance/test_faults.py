"""Lines of the catalogue of faults, each on the whole program; named after what must happen."""

from __future__ import annotations

import asyncio
import random
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from bot.channels.base import Who
from bot.storage.records import CaseState
from dialogs.model import DANGER, HIDE
from tests.acceptance.reader import CONTENT, Reader
from tests.acceptance.steps import (
    arrived,
    claimed,
    in_a_case,
    rows,
    say,
    screen,
    ten_idle_minutes_pass,
)
from tests.line import Line, eventually, running_line
from tests.phones import WebPhone
from tests.transcripts.script import Clock

# --- intake ------------------------------------------------------------------------------------


async def test_dup_update_id_is_handled_once(tmp_path: Path) -> None:
    async with running_line(tmp_path) as line:
        reader, maria = await in_a_case(line), await line.consultant()
        case = await claimed(line, maria)
        reader.woman.types("веднъж")
        line.telegram.push_raw(line.telegram.updates[-1])
        again = line.telegram.updates[-1]
        assert await arrived(line, case, "веднъж")
        assert await eventually(lambda: not line.telegram.updates)
        line.telegram.push_raw(again)
        reader.woman.types("край")
        assert await arrived(line, case, "веднъж", "край")


async def test_out_of_order_ids_keep_the_order_in_which_they_came(tmp_path: Path) -> None:
    async with running_line(tmp_path) as line:
        reader, maria = await in_a_case(line), await line.consultant()
        case = await claimed(line, maria)
        line.telegram.skip_ids(90_000_000)
        reader.woman.types("първо")
        line.telegram.skip_ids(89_999_990)
        reader.woman.types("второ")
        line.telegram.skip_ids(90_000_001)
        reader.woman.types("трето")
        assert await arrived(line, case, "първо", "второ", "трето")


async def test_a_tap_delivered_hours_late_opens_the_cover(tmp_path: Path) -> None:
    clock = Clock(datetime.now(UTC))
    async with running_line(tmp_path, now=clock) as line:
        line.telegram.now = clock
        reader = Reader(line.telegram.woman(), "bg")
        await reader.opens()
        await reader.goes_to("order")
        clock.at += timedelta(hours=3)
        reader.woman.taps(payload="bg:order_yes")
        await reader.sees(screen("start"))
        assert [shown.caption for shown in reader.woman.bot_messages] == [screen("start")]


async def test_the_bot_added_to_a_group_leaves(tmp_path: Path) -> None:
    async with running_line(tmp_path) as line:
        group, server = line.telegram.group(), line.telegram
        message = server.add_message(group, from_bot=False, text="/start")
        server.push("message", server.message_json(message))
        assert await eventually(lambda: server.left == [group.id])
        assert [shown for shown in group.messages.values() if shown.from_bot] == []


@pytest.mark.parametrize(
    "forged",
    [
        "", " ", "x" * 64, "bg", "bg:", ":home", "zz:home", "bg:nowhere", "bg:../etc/passwd",
        "bg:case", "bg:case_end_yes", "bg:forget_yes", "bg:inside:d.zzzzz", "bg:talk_place:m.rse99",
        "bg:order_papers:p.zzzzzzzz", "bg:home::zzzzzzz", '{"a": [1]}', "bg:home\n", "БГ:дом",
    ],
)  # fmt: skip
async def test_a_forged_button_gives_a_safe_screen_and_does_nothing(
    forged: str, tmp_path: Path
) -> None:
    async with running_line(tmp_path) as line:
        woman = line.telegram.woman()
        woman.starts()
        await woman.sees(screen("start"))
        woman.taps(payload=forged)
        await line.phen.conversation.settled("telegram", str(woman.id))
        assert await eventually(lambda: not line.telegram.updates)
        await line.phen.conversation.settled("telegram", str(woman.id))
        [window] = woman.bot_messages
        to = {b["callback_data"].split(":")[1] for row in window.buttons for b in row}
        covers = {say(n.text) for n in CONTENT.nodes.values() if n.kind.value == "cover"}
        assert window.caption in covers or {DANGER, HIDE} <= to
        counts = await line.phen.store.counts()
        assert {counts[table] for table in ("cases", "messages", "handles", "audit")} == {0}


# --- a case -------------------------------------------------------------------------------------


async def test_two_women_interleaved_on_one_desk_do_not_cross(tmp_path: Path) -> None:
    dice = random.Random(4)
    async with running_line(tmp_path) as line:
        maria = await line.consultant()
        women = {name: await in_a_case(line) for name in ("а",)}
        cases = {"а": await claimed(line, maria)}
        women["б"] = await in_a_case(line)
        cases["б"] = await claimed(line, maria)
        lines = [(who, n) for n in range(5) for who in "аб"]
        dice.shuffle(lines)
        said: dict[str, list[str]] = {"а": [], "б": []}
        for who, number in lines:
            said[who].append(f"{who}{number}")
            women[who].woman.types(f"{who}{number}")
            await line.phen.desk.reply(maria, cases[who], f"за {who}{number}", f"{who}{number}")
        for who in "аб":
            assert await arrived(line, cases[who], *said[who])
            replies = [f"за {text}" for text in said[who]]
            heard = await _heard(women[who], replies[-1])
            assert heard == replies


async def _heard(reader: Reader, last: str) -> list[str]:
    """What a consultant said to her, once the last of it is there."""
    await reader.sees(last)
    texts = [shown.text or "" for shown in reader.woman.bot_messages if not shown.photo]
    return [text.split(":\n", 1)[1] for text in texts if ":\n" in text]


@pytest.mark.parametrize("command", ["/close", "/claim", "/note тайно", "/forget", "/reply x"])
async def test_a_staff_command_that_she_types_is_plain_text(command: str, tmp_path: Path) -> None:
    async with running_line(tmp_path) as line:
        reader, maria = await in_a_case(line), await line.consultant()
        case = await claimed(line, maria)
        reader.woman.types(command)
        assert await arrived(line, case, command)
        found = await line.phen.store.case(case)
        assert found is not None
        assert found.state is CaseState.CLAIMED


async def test_hiding_twice_is_like_hiding_once(tmp_path: Path) -> None:
    async with running_line(tmp_path) as line:
        reader = await in_a_case(line)
        await claimed(line, await line.consultant())
        reader.woman.types("ало")
        window = reader.window
        reader.woman.taps(payload="bg:hide", message=window)
        reader.woman.taps(payload="bg:hide", message=window)
        await reader.woman.sees_empty_chat()
        line.telegram.push("callback_query", _tap_on(line, reader, window))
        reader.woman.types("9")
        reader.woman.types(CONTENT.safe_words["bg"][0])
        await reader.woman.sees_empty_chat()
        await asyncio.sleep(0.3)
        assert reader.woman.chat == []


def _tap_on(line: Line, reader: Reader, window: Any) -> dict[str, Any]:
    server = line.telegram
    return {
        "id": server.query_id(), "from": server.user(server.chats[reader.woman.id]),
        "chat_instance": "1", "message": server.message_json(window), "data": "bg:hide",
    }  # fmt: skip


async def test_replies_while_hidden_are_held_and_shown_once(tmp_path: Path) -> None:
    async with running_line(tmp_path) as line:
        reader, maria = await in_a_case(line), await line.consultant()
        case = await claimed(line, maria)
        await line.phen.desk.reply(maria, case, "преди", "1")
        await reader.sees("преди")
        await reader.hides()
        await line.phen.desk.reply(maria, case, "първо", "2")
        await line.phen.desk.reply(maria, case, "второ", "3")
        await asyncio.sleep(0.5)
        assert reader.woman.chat == []
        reader.woman.starts()
        await reader.sees(screen("start"))
        reader.woman.taps(payload="bg:inside")
        assert await _heard(reader, "второ") == ["първо", "второ"]
        await reader.hides()
        reader.woman.starts()
        await reader.sees(screen("start"))
        reader.woman.taps(payload="bg:inside")
        await reader.sees(screen("case"))
        await asyncio.sleep(0.5)
        assert [s for s in reader.woman.bot_messages if not s.photo] == []


async def test_ten_idle_minutes_cover_the_window_and_hold_the_replies(tmp_path: Path) -> None:
    async with running_line(tmp_path) as line:
        reader, maria = await in_a_case(line), await line.consultant()
        case = await claimed(line, maria)
        reader.woman.types("тук съм")
        await line.phen.desk.reply(maria, case, "и аз", "1")
        await reader.sees("и аз")
        await ten_idle_minutes_pass(line, Who("telegram", str(reader.woman.id)))
        assert await eventually(lambda: _only_the_cover(reader))
        await line.phen.desk.reply(maria, case, "още", "2")
        await asyncio.sleep(0.3)
        assert _only_the_cover(reader)
        reader.woman.taps(payload="bg:inside")
        assert await _heard(reader, "още") == ["още"]


def _only_the_cover(reader: Reader) -> bool:
    return [shown.caption for shown in reader.woman.chat] == [screen("start")]


async def test_what_she_writes_on_the_cover_is_kept_and_taken_from_the_chat(
    tmp_path: Path,
) -> None:
    async with running_line(tmp_path) as line:
        reader, maria = await in_a_case(line), await line.consultant()
        case = await claimed(line, maria)
        await ten_idle_minutes_pass(line, Who("telegram", str(reader.woman.id)))
        assert await eventually(lambda: _only_the_cover(reader))
        reader.woman.types("той спи")
        assert await arrived(line, case, "той спи")
        assert await eventually(lambda: _only_the_cover(reader))


async def test_she_blocks_the_bot_and_nothing_of_her_is_kept_or_sent(tmp_path: Path) -> None:
    async with running_line(tmp_path) as line:
        reader, maria = await in_a_case(line), await line.consultant()
        case = await claimed(line, maria)
        reader.woman.types("ало")
        assert await arrived(line, case, "ало")
        reader.woman.blocks()
        assert await eventually(lambda: rows(line, "cases", 0))
        assert await rows(line, "messages", 0)
        calls = len(line.telegram.called("sendMessage")) + len(line.telegram.called("sendPhoto"))
        await asyncio.sleep(0.5)
        assert (
            len(line.telegram.called("sendMessage")) + len(line.telegram.called("sendPhoto"))
            == calls
        )


# --- the web ---


async def test_a_page_that_she_loads_again_is_the_same_page(tmp_path: Path) -> None:
    async with running_line(tmp_path) as line:
        phone = WebPhone(line.url)
        try:
            await phone.opens()
            before = phone.page
            await phone.taps("За мен")
            words = phone.page.words
            phone.page = before
            await phone.taps("За мен")
            assert phone.page.words == words
        finally:
            await phone.closes()
