"""The nursery: what it starts is a process of its own, and can be killed."""

from __future__ import annotations

import os
import signal
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from bot.verify.nursery import Nursery, a_nursery
from tests.line import eventually

PATIENCE = 60.0


@pytest.fixture
async def nursery() -> AsyncIterator[Nursery]:
    async with a_nursery() as made:
        yield made


def _environment(folder: Path, **more: str) -> dict[str, str]:
    path = {"PATH": os.environ["PATH"]}
    return path | {"PHEN_DATA_DIR": str(folder / "data"), "PHEN_PORT": "0"} | more


async def test_each_has_its_own_environment_log_exit_status_and_end(
    nursery: Nursery, tmp_path: Path
) -> None:
    first, second, third = (tmp_path / name for name in ("first", "second", "third"))
    for folder in (first, second, third):
        folder.mkdir()
    good = await nursery.start(["migrate"], _environment(first), first / "log")
    wrong = await nursery.start(["run"], _environment(second, PHEN_PORT="x"), second / "log")
    assert await good.ended() == 0
    assert await wrong.ended() == 1
    assert (first / "data" / "phen.db").exists()
    assert not (second / "data").exists()
    assert "PHEN_PORT" in (second / "log").read_text("utf-8")

    running = await nursery.start(["run"], _environment(third), third / "log", quick=True)

    def serves() -> bool:
        return "Stop with" in (third / "log").read_text("utf-8")

    assert await eventually(lambda: (third / "log").exists() and serves(), PATIENCE)
    running.send(signal.SIGKILL)
    assert await running.ended() == -signal.SIGKILL
    running.send(signal.SIGKILL)  # to nobody

    asked = await nursery.start(["run"], _environment(third), third / "log", quick=True)
    assert await eventually(
        lambda: (third / "log").read_text("utf-8").count("Stop with") == 2, PATIENCE
    )
    asked.send(signal.SIGTERM)
    assert await asked.ended() == 0
