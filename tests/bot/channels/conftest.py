"""Fixtures of the channels' tests."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.bot.channels.telegram_line import (
    Clock,
    Line,
    MediaIds,
    RecordingIntake,
    draw,
    new_channel,
)  # fmt: skip
from tests.bot.channels.viber_line import ViberLine, viber_line
from tests.standins.referee import objections
from tests.standins.telegram import TelegramStandIn


@pytest.fixture
async def line(tmp_path: Path) -> AsyncIterator[Line]:
    """A channel before a stand-in; at the end aiogram looks over every request and answer."""
    draw(tmp_path, "cover", "order", "danger", "meet")
    clock, media = Clock(), MediaIds()
    server = TelegramStandIn(now=clock)
    await server.start()
    channel = new_channel(server, tmp_path, media, clock)
    line = Line(server, channel, RecordingIntake(), clock, media, tmp_path)
    yield line
    await line.closes()
    await server.stop()
    assert [found for call in server.calls for found in objections(call)] == []


@pytest.fixture
async def viber(tmp_path: Path) -> AsyncIterator[ViberLine]:
    """A channel and its webhook before a stand-in, which refused nothing but what it was told to.

    A test that means something to be refused clears `refusals`.
    """
    async with viber_line(tmp_path) as line:
        yield line
    assert line.server.refusals == []
    assert {method for method, _ in line.server.calls} <= {
        "set_webhook", "send_message", "broadcast_message", "get_account_info",
    }  # fmt: skip
