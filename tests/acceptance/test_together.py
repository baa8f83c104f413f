"""Two processes of one line on one PostgreSQL: whoever is asked, it is one line."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy import text

from bot import serving
from bot.storage import together
from bot.storage.engine import connect
from bot.storage.records import Author, MessageState
from dialogs import payload
from dialogs.model import Position
from tests.acceptance.reader import Reader
from tests.acceptance.steps import arrived, claimed, in_a_case, in_a_case_on_viber, screen
from tests.line import Line, beside, eventually, running_line


@pytest.fixture
async def first(
    postgres: Callable[[], str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Line]:
    monkeypatch.setattr(together, "BEAT_SECONDS", 0.5)
    monkeypatch.setattr(serving, "TICK_SECONDS", 3600)  # nobody hears of it by looking
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
    assert await eventually(lambda: first.phen.stop.on)
    await second.phen.stop.set(False)
    assert await eventually(lambda: not first.phen.stop.on)


# --- a channel goes from one process to another ---------------------------------------------------

_END_THE_HOLDER = """
    SELECT pg_terminate_backend(pid) FROM pg_locks JOIN pg_database ON oid = database
    WHERE datname = current_database() AND locktype = 'advisory' AND granted
    AND (classid::bigint << 32 | objid::bigint) = :key
"""


@asynccontextmanager
async def taken_from(line: Line, role: str) -> AsyncIterator[None]:
    """Another process has this role, since the one that had it lost its session."""
    engine = connect(line.phen.settings.database)
    key = {"key": together.key_of(role)}
    try:
        async with engine.connect() as connection:
            await connection.execute(text(_END_THE_HOLDER), key)
            await connection.execute(text("SELECT pg_advisory_lock(:key)"), key)
            await connection.commit()
            yield
    finally:
        await engine.dispose()


async def test_who_has_lost_a_channel_covers_what_is_open_there(first: Line) -> None:
    woman = await in_a_case(first)
    async with taken_from(first, "telegram"):
        await woman.sees(screen("start"))
        assert await eventually(lambda: not first.phen.windows.open_ones())


class Slow:
    """Telegram takes its time for what is to be sent."""

    def __init__(self, line: Line) -> None:
        self.begun, self.go_on = asyncio.Event(), asyncio.Event()
        send = line.telegram._do_send_message

        async def slow(*args: Any) -> Any:
            self.begun.set()
            await self.go_on.wait()
            return send(*args)

        line.telegram._do_send_message = slow  # type: ignore[assignment,method-assign]


def stands(woman: Reader, words: str) -> bool:
    return any(words in shown.words for shown in woman.woman.bot_messages)


async def test_message_in_flight_lands_after_the_channel_was_lost_it_is_removed(
    first: Line,
) -> None:
    maria, woman = await first.consultant(), await in_a_case(first)
    case = await claimed(first, maria)
    await woman.sees("Човекът е тук")
    slow = Slow(first)
    await first.phen.desk.reply(maria, case, "тук съм", "k")
    await slow.begun.wait()
    async with taken_from(first, "telegram"):
        assert await eventually(lambda: "telegram" not in first.phen.delivery.served)
        assert await eventually(lambda: not first.phen.windows.open_ones())
        slow.go_on.set()
        await first.phen.delivery.drain()
        assert await eventually(lambda: first.telegram.called("sendMessage")[-1].answer is not None)
        assert await eventually(lambda: not stands(woman, "тук съм"))
        assert await states(first, case) == [MessageState.DUE]


async def test_message_in_flight_when_another_process_hears_that_she_hides_it_is_removed(
    first: Line,
) -> None:
    maria, woman = await first.consultant(), await in_a_case(first)
    case = await claimed(first, maria)
    await woman.sees("Човекът е тук")
    slow = Slow(first)
    await first.phen.desk.reply(maria, case, "тук съм", "k")
    await slow.begun.wait()
    await first.phen.store.set_present(case, False)
    slow.go_on.set()
    await first.phen.delivery.drain()
    assert await eventually(lambda: not stands(woman, "тук съм"))
    assert await states(first, case) == [MessageState.DUE]
    assert not first.phen.windows.open_ones()


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
                if line.startswith("data: "):
                    self.events.append(said := json.loads(line[6:]))
                    if isinstance(said.get("n"), int):
                        await self.taps_at.post("/seen", data={"n": str(said["n"])})

    @property
    def wiped(self) -> bool:
        return any(each.get("all") for each in self.events)

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


async def test_what_is_said_in_her_second_case_reaches_the_same_page(
    first: Line, second: Line, page: Page
) -> None:
    maria, cases = await first.consultant(), []
    for words in ("тук съм", "пак съм тук"):
        await page.taps("talk_yes")
        cases.append(case := await claimed(first, maria))
        for number in range(3):
            await first.phen.desk.reply(maria, case, f"{words} {number}", f"{words} {number}")
            assert await eventually(lambda: page.heard(f"{words} {number}"))  # noqa: B023
        await page.taps("case_end_yes")
    numbers = [each["n"] for each in page.events if isinstance(each.get("n"), int)]
    assert len(numbers) == len(set(numbers)), "an old case's handles would wipe lines of the new"
    assert len(set(cases)) == 2
    for case in cases:
        assert await states(first, case) == [MessageState.SENT] * 3


async def test_a_correction_that_her_page_has_is_settled_whichever_process_hears_it(
    first: Line, second: Line, page: Page
) -> None:
    maria = await first.consultant()
    case = await claimed(first, maria)
    said = await first.phen.desk.reply(maria, case, "в 9", "k")

    async def sent() -> bool:
        return await states(first, case) == [MessageState.SENT]

    assert await eventually(sent)
    await first.phen.desk.correct(maria, case, said.id, "в 10")
    assert await eventually(lambda: page.heard("в 10"))
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
    assert await eventually(lambda: page.wiped)
    assert not second.phen.windows.open_ones(), "nor is what is just on its way shown there"
    await first.phen.desk.reply(maria, case, "тук съм", "k")
    await asyncio.sleep(1)
    assert not page.heard("тук съм")
    assert await states(first, case) == [MessageState.DUE]


@pytest.fixture
async def two_pages(first: Line, second: Line, page: Page) -> AsyncIterator[Page]:
    """The same woman has a second page open, whose taps and stream are the first process's."""
    async with httpx.AsyncClient(
        base_url=first.url, timeout=30, cookies=page.taps_at.cookies
    ) as at:
        other = Page(at, at)
        listening = asyncio.create_task(other.listens())
        assert await eventually(lambda: bool(first.phen.web.addresses))
        yield other
        listening.cancel()
        await asyncio.gather(listening, return_exceptions=True)


async def test_of_two_pages_at_two_processes_both_are_covered_when_she_hides(
    page: Page, two_pages: Page
) -> None:
    await two_pages.taps("hide", away="1")
    assert await eventually(lambda: page.wiped and two_pages.wiped)


async def test_of_two_pages_at_two_processes_the_one_that_stays_is_written_to(
    first: Line, second: Line, page: Page, two_pages: Page
) -> None:
    maria = await first.consultant()
    case = await claimed(first, maria)
    assert await eventually(lambda: page.heard("Човекът") or two_pages.heard("Човекът"))
    [address] = first.phen.web.addresses
    await first.phen.web.close()
    assert await eventually(lambda: not first.phen.web.addresses)
    await first.phen.desk.reply(maria, case, "тук съм", "k")
    assert await eventually(lambda: page.heard("тук съм"))
    assert second.phen.web.addresses == [address]


async def test_a_page_is_covered_though_the_word_that_she_hid_was_lost(
    first: Line, second: Line, page: Page
) -> None:
    maria, ours = await first.consultant(), second.phen.store.together
    case = await claimed(first, maria)
    assert isinstance(ours, together.Among)
    assert ours._mine is not None
    assert await eventually(lambda: bool(second.phen.windows.open_ones()))
    await first.phen.store.set_present(case, False)  # all that is left of the hiding
    engine, mine = connect(first.phen.settings.database), {"pid": ours._mine["pid"]}
    async with engine.connect() as connection:
        await connection.execute(text("SELECT pg_terminate_backend(:pid)"), mine)
    await engine.dispose()
    assert await eventually(lambda: page.wiped)
    assert not second.phen.windows.open_ones()


async def test_an_answer_on_viber_given_at_another_process_arrives(
    first: Line, second: Line
) -> None:
    maria = await second.consultant()
    woman = await in_a_case_on_viber(first)
    case = await claimed(second, maria)
    await second.phen.desk.reply(maria, case, "тук съм", "k")
    await woman.sees("тук съм")
