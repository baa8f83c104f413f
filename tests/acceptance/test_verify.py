"""`phen verify kill`: the real program is killed again and again, and nothing may be lost."""

from __future__ import annotations

import asyncio
import re
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from bot.verify.killer import STATES

PATIENCE = 1800.0
"""Seconds. Without anything else to do the machine needs a tenth of that."""


async def _verify(folder: Path, *arguments: str) -> tuple[int | None, str]:
    """The command's exit status, and what it printed."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "bot", "verify", "kill", *arguments,
        cwd=folder, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
    )  # fmt: skip
    out, _ = await asyncio.wait_for(process.communicate(), PATIENCE)
    return process.returncode, out.decode()


def _times(told: str) -> dict[str, int]:
    """How often it was killed in each state, as the histogram says."""
    found = {state: re.search(rf"{re.escape(state)}\W+(\d+)", told) for state in STATES}
    return {state: int(each[1]) for state, each in found.items() if each is not None}


@pytest.mark.timeout(PATIENCE)
async def test_killed_sixty_times_in_every_state_nothing_is_lost(tmp_path: Path) -> None:
    # The settings of the real line, which lie where it is proved, are not touched.
    (tmp_path / "phen.toml").write_text('viber_token = "real"', "utf-8")
    status, told = await _verify(tmp_path, "--n", "60")
    assert status == 0, told
    assert "Nothing was lost." in told
    times = _times(told)
    assert sum(times.values()) == 60
    assert [state for state in STATES if not times.get(state)] == []


@pytest.mark.timeout(PATIENCE)
async def test_of_three_processes_on_postgresql_some_are_killed_forty_times_and_nothing_is_lost(
    tmp_path: Path, postgres: Callable[[], str]
) -> None:
    status, told = await _verify(tmp_path, "--n", "40", "--database", postgres(), "--workers", "3")
    assert status == 0, told
    assert "Nothing was lost." in told
    longest = re.search(r"takeovers, the longest after ([0-9.]+) s", told)
    assert longest is not None
    assert float(longest[1]) < 10


async def test_several_processes_on_sqlite_are_refused_in_one_sentence(tmp_path: Path) -> None:
    status, told = await _verify(tmp_path, "--workers", "3")
    assert status == 1
    assert told.strip() == ("Several processes need PostgreSQL; name an empty one with --database.")
