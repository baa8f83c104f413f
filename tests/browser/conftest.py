"""One browser and one running line for each file of tests."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from playwright.async_api import Browser

from bot.storage.records import Role
from tests.browser.people import Monday, chromium, hire
from tests.line import Line, running_line


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def browser() -> AsyncIterator[Browser]:
    async with chromium() as browser:
        yield browser


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def line(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Line]:
    """The whole program on a Monday morning; Maria and Elena answer, Raya plans."""
    folder: Path = tmp_path_factory.mktemp("line")
    async with running_line(folder, now=Monday()) as line:
        for login in ("maria", "elena"):
            await hire(line, login, [Role.CONSULTANT])
        await hire(line, "raya", [Role.STAFF, Role.ADMIN])
        yield line
