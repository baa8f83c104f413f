"""The whole line in Telegram's webhook mode: what she writes arrives once and in order."""

from __future__ import annotations

from pathlib import Path

import httpx

from tests.acceptance.steps import arrived, claimed, in_a_case
from tests.line import Line, eventually, running_line


async def healthy(line: Line) -> bool:
    async with httpx.AsyncClient(base_url=line.url, timeout=60) as client:
        told = (await client.get("/healthz")).json()["parts"]
    return bool(told["telegram"])


def nothing_waits(line: Line) -> bool:
    """Whether the line knows that: from then on a tap is not late."""
    looks = [call.answer for call in line.telegram.called("getWebhookInfo") if call.answer]
    return any(look["result"]["pending_update_count"] == 0 for look in looks)


async def test_her_words_arrive_once_and_in_order_though_answers_and_calls_are_lost(
    tmp_path: Path,
) -> None:
    async with running_line(tmp_path, webhook=True) as line:
        assert await eventually(lambda: nothing_waits(line))
        reader, maria = await in_a_case(line), await line.consultant()
        case_id = await claimed(line, maria)
        caller = line.telegram.caller
        assert caller is not None
        caller.lose = 4  # what was committed is brought again
        words = [f"той идва {number}" for number in range(8)]
        for each in words:
            reader.woman.types(each)
        assert await arrived(line, case_id, *words)
        assert await eventually(lambda: not line.telegram.updates)
        assert await arrived(line, case_id, *words)
        assert await line.phen.desk.reply(maria, case_id, "Тук съм.", "r1")
        await reader.woman.sees("Тук съм.")
        assert await healthy(line)
        reader.woman.taps(payload="bg:hide")
        await reader.woman.sees_empty_chat()
        assert not line.telegram.called("getUpdates")


async def test_what_was_committed_before_a_restart_and_comes_again_is_there_once(
    tmp_path: Path,
) -> None:
    async with running_line(tmp_path, webhook=True) as line:
        assert await eventually(lambda: nothing_waits(line))
        reader, maria = await in_a_case(line), await line.consultant()
        case_id = await claimed(line, maria)
        caller = line.telegram.caller
        assert caller is not None
        caller.lose = 1_000  # Telegram hears of nothing
        reader.woman.types("той идва")
        assert await arrived(line, case_id, "той идва")
        left = list(line.telegram.updates)
        assert len(left) == 1
    async with running_line(tmp_path, webhook=True) as again:
        again.telegram.chats.update(line.telegram.chats)
        for update in left:
            again.telegram.push_raw(update)
        assert await eventually(lambda: not again.telegram.updates)
        assert await arrived(again, case_id, "той идва")
