"""What could not be taken in or brought to her comes before a person, through the whole line."""

from __future__ import annotations

from pathlib import Path

import httpx
import pytest

from bot import serving
from bot.privacy.redact import EventLog
from bot.storage.records import Role
from tests.acceptance.consultant import at_the_desk
from tests.acceptance.steps import claimed, in_a_case
from tests.line import Line, eventually, running_line
from tests.standins.telegram import ApiError, Fault

ALL = {Role.CONSULTANT, Role.STAFF}
SECRET = "тайна дума"
HER_ID = 77_001_377_001
"""So long that no random token on a page contains it."""


async def invited(line: Line) -> str:
    token = await line.phen.accounts.invite("maria", ALL, "Мария", ["bg"])
    return str(token)


async def test_poison_is_counted_by_code_for_machines_and_on_the_staff_page_without_content(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(serving, "TICK_SECONDS", 0.3)
    async with running_line(tmp_path) as line:
        before = EventLog.counted["telegram", "update_set_aside"]  # by others in this process
        junk = {"id": HER_ID, "type": SECRET}
        line.telegram.push("message", {"message_id": "x", "chat": junk, "text": SECRET})

        async def counted() -> bool:
            async with httpx.AsyncClient(base_url=line.url, timeout=60) as machine:
                told = (await machine.get("/metrics")).text
            assert SECRET not in told
            assert str(HER_ID) not in told
            count = f'{{channel="telegram",code="update_set_aside"}} {before + 1}'
            return f"phen_set_aside_total{count}" in told

        assert await eventually(counted)
        async with at_the_desk(line.url, "maria", await invited(line)) as staff:

            async def shown() -> bool:
                await staff.get("/staff/line")
                assert SECRET not in staff.page
                assert str(HER_ID) not in staff.page
                return "Какво не мина" in staff.text and "Telegram" in staff.text

            assert await eventually(shown), staff.text


async def test_a_dead_letter_stands_before_its_consultant_within_a_minute(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(serving, "TICK_SECONDS", 0.3)
    async with (
        running_line(tmp_path) as line,
        httpx.AsyncClient(base_url=line.url, timeout=60) as machine,
    ):
        maria = await line.consultant()
        await in_a_case(line)
        case = await claimed(line, maria)
        line.telegram.fail(Fault("refuse", "sendMessage", error=ApiError(400, "Bad Request: no")))
        await line.phen.desk.reply(maria, case, "тук съм", "k")

        async def before_her() -> bool:
            [found] = await line.phen.desk.mine(maria)
            told = (await machine.get("/metrics")).text
            return found.undecided == 1 and found.bell_at is not None and "undecided 1" in told

        assert await eventually(before_her, patience=60)
