"""Two processes of one line on one PostgreSQL: whoever is asked, it is one line."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime
from pathlib import Path

import httpx
import pytest

from bot.storage import together
from bot.storage.records import Author, MessageState
from dialogs import payload
from dialogs.model import Position
from tests.acceptance.steps import arrived, claimed, in_a_case, in_a_case_on_viber
from tests.line import Line, beside, eventually, running_line


@pytest.fixture
async def first(
    postgres: Callable[[], str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Line]:
    monkeypatch.setattr(together, "BEAT_SECONDS", 0.5)
    async with running_line(tmp_path, database=postgres()) as line:
        assert await eventually(lambda: line.phen.delivery.served == {"web", "telegram", "viber"})
        yield line


@pytest.fixture
async def second(first: Line) -> AsyncIterator[Line]:
    async with beside(first) as line:
        assert await eventually(lambda: line.phen.store.together.somebody_holds("telegram"))
        yield line


async def states(line: Line, case_id: str) -> list[MessageState]:
    said = await line.phen.store.messages(case_id)
    return [message.state for message in said if message.author is Author.CONSULTANT]


async def test_an_answer_given_at_one_process_leaves_from_the_one_that_has_her_chat(
    first: Line, second: Line
) -> None:
    assert second.phen.delivery.served == {"web"}
    maria = await second.consultant()
    woman = await in_a_case(first)
    woman.woman.types("помощ")
    case = await claimed(second, maria)
    assert await arrived(second, case, "помощ")
    await second.phen.desk.reply(maria, case, "тук съм", "k")
    await woman.sees("тук съм")
    assert first.phen.windows.open_ones()
    assert not second.phen.windows.open_ones()

    async def sent() -> bool:
        return await states(second, case) == [MessageState.SENT]

    assert await eventually(sent)


async def test_an_open_desk_hears_what_comes_in_at_another_process(
    first: Line, second: Line
) -> None:
    await second.consultant()
    async with second.phen.changes.listen() as changed:
        changed.clear()
        woman = await in_a_case(first)
        assert await eventually(changed.is_set)
        changed.clear()
        woman.woman.types("помощ")
        assert await eventually(changed.is_set)
        assert await eventually(lambda: first.phen.changes.watched)
    assert not second.phen.changes.watched_here
    assert await eventually(lambda: not first.phen.changes.watched)


async def test_the_stop_switch_stops_all_processes_at_once(first: Line, second: Line) -> None:
    await second.phen.stop.set(True)
    assert await eventually(lambda: first.phen.stop.on, patience=3)
    await second.phen.stop.set(False)
    assert await eventually(lambda: not first.phen.stop.on, patience=3)


class Page:
    """Her page: taps go to one process, its stream comes from another."""

    def __init__(self, taps: httpx.AsyncClient, stream: httpx.AsyncClient) -> None:
        self.taps_at, self.stream_at = taps, stream
        self.events: list[dict[str, object]] = []

    async def taps(self, node: str, **fields: str) -> httpx.Response:
        packed = payload.pack(Position("bg", node), datetime.now(UTC))
        return await self.taps_at.post("/", data={"p": packed, **fields})

    async def listens(self) -> None:
        async with self.stream_at.stream("GET", "/live", cookies=self.taps_at.cookies) as stream:
            async for line in stream.aiter_lines():
                if line.startswith("id: "):
                    await self.taps_at.post("/seen", data={"n": line[4:]})
                if line.startswith("data: "):
                    self.events.append(json.loads(line[6:]))

    def heard(self, words: str) -> bool:
        return any(words in str(each.get("text", "")) for each in self.events)


@pytest.fixture
async def page(first: Line, second: Line) -> AsyncIterator[Page]:
    """A woman in a case, who taps at the first process and has her stream at the second."""
    async with (
        httpx.AsyncClient(base_url=first.url, timeout=30) as taps,
        httpx.AsyncClient(base_url=second.url, timeout=30) as stream,
    ):
        woman = Page(taps, stream)
        await woman.taps("talk_yes")
        assert taps.cookies
        listening = asyncio.create_task(woman.listens())
        assert await eventually(lambda: bool(second.phen.web.addresses))
        yield woman
        listening.cancel()
        await asyncio.gather(listening, return_exceptions=True)


async def test_her_page_hears_and_says_that_it_has_read_through_different_processes(
    first: Line, second: Line, page: Page
) -> None:
    maria = await first.consultant()
    case = await claimed(first, maria)
    await first.phen.desk.reply(maria, case, "тук съм", "k")
    assert await eventually(lambda: page.heard("тук съм"))

    async def sent() -> bool:
        return await states(first, case) == [MessageState.SENT]

    assert await eventually(sent)


async def test_hide_at_one_process_holds_what_comes_for_the_page_at_another(
    first: Line, second: Line, page: Page
) -> None:
    maria = await first.consultant()
    case = await claimed(first, maria)
    await page.taps("hide", away="1")

    async def held() -> bool:
        found = await first.phen.store.case(case)
        return found is not None and not found.present

    assert await eventually(held)
    await first.phen.desk.reply(maria, case, "тук съм", "k")
    await asyncio.sleep(1)
    assert not page.heard("тук съм")
    assert await states(first, case) == [MessageState.DUE]


async def test_an_answer_on_viber_given_at_another_process_arrives(
    first: Line, second: Line
) -> None:
    maria = await second.consultant()
    woman = await in_a_case_on_viber(first)
    case = await claimed(second, maria)
    await second.phen.desk.reply(maria, case, "тук съм", "k")
    await woman.sees("тук съм")
