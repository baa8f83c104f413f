"""Several processes on one PostgreSQL: who has what alone, and words between them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from datetime import timedelta

import pytest
from sqlalchemy import make_url, text
from sqlalchemy.ext.asyncio import AsyncEngine

from bot.storage import together
from bot.storage.engine import connect
from bot.storage.together import Alone, Among
from tests.line import eventually
from tests.postgres import over_tcp

ROLE = "telegram"


class Process:
    """What one process would do: be there, and work while it has the role."""

    def __init__(self, engine: AsyncEngine) -> None:
        self.engine = engine
        self.among = Among(engine)
        self.begun = 0
        self.working = False
        self.heard: list[str] = []
        self.among.hear("topic", self.heard.append)
        self.tasks = [
            asyncio.create_task(self.among.run(lambda: False)),
            asyncio.create_task(self.among.hold(ROLE, self.work)),
        ]

    async def work(self) -> None:
        self.begun += 1
        self.working = True
        try:
            await asyncio.get_running_loop().create_future()
        finally:
            self.working = False

    async def end(self) -> None:
        for task in self.tasks:
            task.cancel()
        await asyncio.gather(*self.tasks, return_exceptions=True)
        with suppress(Exception):
            await self.engine.dispose()


Begin = Callable[[], Process]


@pytest.fixture
async def begin(
    postgres: Callable[[], str], monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Begin]:
    monkeypatch.setattr(together, "BEAT_SECONDS", 0.2)
    url, begun = postgres(), list[Process]()

    def one_more() -> Process:
        begun.append(Process(connect(url)))
        return begun[-1]

    yield one_more
    for process in begun:
        await process.end()


async def cut_off(process: Process) -> None:
    """The server ends all sessions of these processes, as when it restarts."""
    async with process.engine.connect() as connection:
        await connection.execute(
            text(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                "WHERE datname = current_database() AND pid <> pg_backend_pid()"
            )
        )


async def test_a_role_is_one_processs_and_another_takes_it_when_that_one_ends(begin: Begin) -> None:
    first = begin()
    assert await eventually(lambda: first.working)
    second = begin()
    assert await eventually(lambda: second.among.somebody_holds(ROLE))
    assert (first.working, second.working) == (True, False)
    await first.end()
    assert await eventually(lambda: second.working)
    assert second.among.holds(ROLE)


async def test_a_process_that_is_alone_is_not_kept_from_its_work_by_a_lost_session(
    begin: Begin,
) -> None:
    only = begin()
    assert await eventually(lambda: only.working)
    await cut_off(only)
    assert await eventually(lambda: only.among._took_part)
    await asyncio.sleep(3 * together.BEAT_SECONDS)
    assert (only.working, only.begun) == (True, 1)


async def test_who_had_a_role_has_it_again_after_a_loss_that_all_had_in_common(
    begin: Begin, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(together, "BEAT_SECONDS", 1.0)  # so long the others leave it alone
    first = begin()
    assert await eventually(lambda: first.working)
    second = begin()
    assert await eventually(lambda: second.among.somebody_holds(ROLE))
    await cut_off(second)
    await asyncio.sleep(3 * together.BEAT_SECONDS)
    assert (first.working, first.begun, second.begun) == (True, 1, 0)


async def test_who_has_lost_its_role_to_another_ends_its_work(begin: Begin) -> None:
    first = begin()
    assert await eventually(lambda: first.working)
    first.tasks[0].cancel()  # it hears and says nothing any more, but works on
    await asyncio.gather(first.tasks[0], return_exceptions=True)
    second = begin()
    assert await eventually(lambda: second.working)
    assert first.working
    first.tasks[0] = asyncio.create_task(first.among.run(lambda: False))
    assert await eventually(lambda: not first.working)
    assert second.working


async def test_words_reach_the_others_and_not_oneself(begin: Begin) -> None:
    first, second = begin(), begin()
    assert await eventually(lambda: first.among._took_part and second.among._took_part)
    first.among.tell("topic", "дума|с черта")
    assert await eventually(lambda: second.heard == ["дума|с черта"])
    assert first.heard == []


async def test_a_word_that_nobody_could_pass_on_is_passed_on_later(begin: Begin) -> None:
    first, second = begin(), begin()
    assert await eventually(lambda: first.among._took_part and second.among._took_part)
    await cut_off(second)
    first.among.tell("topic", "after all")
    assert await eventually(lambda: not first.among._words)


async def test_of_two_words_the_one_that_was_said_again_is_the_last(begin: Begin) -> None:
    listener = begin()
    assert await eventually(lambda: listener.among._took_part)
    first = begin()
    for word in ("hidden", "here", "hidden"):
        first.among.tell("topic", word)
    assert await eventually(lambda: len(listener.heard) > 1)
    assert listener.heard == ["here", "hidden"]


async def test_a_word_that_is_told_again_while_it_is_being_said_is_said_again(
    begin: Begin,
) -> None:
    listener, speaker = begin(), begin()
    assert await eventually(lambda: listener.among._took_part)
    await stop_beating(speaker)
    async with speaker.engine.connect() as connection:
        speaker.among.tell("topic", "changed")
        saying = asyncio.create_task(speaker.among._speak(connection))
        await asyncio.sleep(0)
        assert not saying.done()
        speaker.among.tell("topic", "changed")
        await saying
    assert len(speaker.among._words) == 1


async def test_a_role_that_somebody_else_does_is_given_up_while_the_server_cannot_be_asked(
    begin: Begin,
) -> None:
    process = begin()
    assert await eventually(lambda: process.working)
    process.among.contested(ROLE)
    await asyncio.sleep(0)
    assert process.working, "the server has just said that it is ours"
    await stop_beating(process)
    process.among.contested(ROLE)
    assert await eventually(lambda: not process.working)


async def test_who_is_stopped_while_it_gives_up_a_role_stops(begin: Begin) -> None:
    process, ending = begin(), asyncio.Event()

    async def work() -> None:
        try:
            await asyncio.get_running_loop().create_future()
        finally:
            ending.set()
            await asyncio.sleep(0.1)

    holding = asyncio.create_task(process.among.hold("viber", work))
    assert await eventually(lambda: process.among.holds("viber"))
    await stop_beating(process)
    process.among.contested("viber")
    await ending.wait()
    holding.cancel()
    done, _ = await asyncio.wait({holding}, timeout=30)
    assert done


async def test_after_an_outage_nobody_counts_as_gone_before_he_could_be_heard(
    begin: Begin, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = begin(), begin()

    async def both() -> bool:
        return len(await first.among.living()) == 2

    assert await eventually(both)
    await stop_beating(second)
    monkeypatch.setattr(together, "SILENT", timedelta(seconds=3))
    assert await eventually(lambda: only(first.among))
    since = first.among._since
    assert first.among.steady
    await cut_off(second)
    assert await eventually(lambda: first.among._since not in (None, since))
    assert await both()
    assert not first.among.steady
    assert await eventually(lambda: only(first.among))
    assert first.among.steady


class Wire:
    """The way to the server, which can be cut so that only this end notices."""

    def __init__(self, port: int) -> None:
        self.to = port
        self.held: list[asyncio.StreamWriter] = []

    async def carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        away, home = await asyncio.open_connection("127.0.0.1", self.to)
        self.held += [writer, home]

        async def pass_on(source: asyncio.StreamReader, to: asyncio.StreamWriter) -> None:
            while (content := await source.read(65536)) and not to.is_closing():
                to.write(content)

        with suppress(OSError):
            await asyncio.gather(pass_on(reader, home), pass_on(away, writer))

    def cut(self) -> None:
        for ours in self.held[::2]:
            ours.transport.abort()


async def test_a_session_that_only_we_know_to_be_over_takes_no_role_from_us(
    postgres: Callable[[], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(together, "BEAT_SECONDS", 0.2)
    direct = make_url(over_tcp(postgres()))
    assert direct.port is not None
    wire = Wire(direct.port)
    server = await asyncio.start_server(wire.carry, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    process = Process(connect(direct.set(port=port).render_as_string(hide_password=False)))
    try:
        assert await eventually(lambda: process.working)
        since = process.among._since
        wire.cut()
        assert await eventually(lambda: process.among._since not in (None, since))
        await asyncio.sleep(3 * together.BEAT_SECONDS)
        assert (process.working, process.begun) == (True, 1)
    finally:
        await process.end()
        for each in wire.held:
            each.transport.abort()
        server.close()


async def stop_beating(process: Process) -> None:
    process.tasks[0].cancel()
    await asyncio.gather(process.tasks[0], return_exceptions=True)


async def only(among: Among) -> bool:
    return await among.living() == {among.worker}


async def test_who_says_nothing_for_ten_seconds_counts_as_gone(
    begin: Begin, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = begin(), begin()
    assert await eventually(lambda: first.among._took_part and second.among._took_part)

    async def both() -> bool:
        return len(await first.among.living()) == 2

    assert await eventually(both)
    await stop_beating(second)
    monkeypatch.setattr(together, "SILENT", timedelta(seconds=1))
    assert await eventually(lambda: only(first.among))


@asynccontextmanager
async def counted(among: Alone, inside: list[int]) -> AsyncIterator[None]:
    async with among.alone("accounts"):
        inside[0] += 1
        inside[1] = max(inside)
        yield
        inside[0] -= 1


async def test_what_is_to_happen_one_by_one_does_so_over_all_processes(begin: Begin) -> None:
    first, second, inside = begin(), begin(), [0, 0]

    async def enter(among: Alone) -> None:
        async with counted(among, inside):
            await asyncio.sleep(0.02)

    await asyncio.gather(*(enter(each.among) for each in (first, second) * 4))
    assert inside == [0, 1]


async def test_one_process_alone_has_everything() -> None:
    alone, done = Alone(), []

    async def work() -> None:
        done.append("работа")

    await alone.hold(ROLE, work)
    assert done == ["работа"]
    assert alone.holds("anything")
    assert alone.somebody_holds("anything")
    assert await alone.living() == {alone.worker}
    assert alone.steady
