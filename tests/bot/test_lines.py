"""A message that fails for ever is set aside, with its code under its channel; any other is not."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any

import pytest

from bot.channels.base import Incoming, Who
from bot.lines import Lines, NotHandled
from bot.privacy.redact import EventLog
from bot.texts import open_content
from dialogs.model import Typed

WORDS = "той ме удари"


def lines_that_fail(error: Exception) -> tuple[Lines, list[Incoming]]:
    """Lines in which every message meets this error; whom an apology went to."""
    sorry: list[Incoming] = []

    async def fail(who: Who, incoming: Incoming) -> None:
        raise error

    def spawn(work: Coroutine[Any, Any, None]) -> object:
        return asyncio.ensure_future(work)

    content, _ = open_content()
    return Lines(content, fail, lambda who, incoming: sorry.append(incoming), spawn), sorry


def aside() -> int:
    return EventLog.counted["viber", "set_aside"]


@pytest.mark.parametrize("error", [ValueError(WORDS), OverflowError(WORDS), RecursionError(WORDS)])
async def test_what_fails_for_ever_is_set_aside_and_counted_under_its_channel(
    error: Exception,
) -> None:
    lines, sorry = lines_that_fail(error)
    before = aside()
    await lines.accept(Incoming("viber", "1", Typed(WORDS, True), "k"))
    assert aside() == before + 1
    assert len(sorry) == 1


async def test_what_may_go_well_another_time_is_handed_over_again_and_is_no_poison() -> None:
    lines, sorry = lines_that_fail(OSError("disk full"))
    before = aside()
    for _ in range(2):
        with pytest.raises(NotHandled):
            await lines.accept(Incoming("viber", "1", Typed(WORDS, True), "k"))
    assert aside() == before
    assert len(sorry) == 1
