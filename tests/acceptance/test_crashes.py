"""A real `phen run` is killed, stopped, or given a wrong token."""

from __future__ import annotations

import asyncio
import contextlib
import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import httpx

from bot.app import join
from bot.settings import Settings
from scheduler.model import Reception
from tests.acceptance.consultant import Consultant, at_the_desk
from tests.acceptance.program import Program, a_program
from tests.acceptance.reader import CONTENT, TEXTS, Reader
from tests.line import eventually
from tests.standins.telegram import ApiError, Chat, Fault, Shown, TelegramStandIn


def screen(node: str) -> str:
    return TEXTS.say("bg", CONTENT.nodes[node].text)


async def _in_a_case(server: TelegramStandIn) -> Reader:
    reader = Reader(server.woman(), "bg")
    reader.woman.starts()
    await reader.sees(screen("start"))
    reader.woman.taps(payload="bg:talk_yes")
    await reader.sees(screen("case"))
    return reader


async def _invitation(program: Program) -> str:
    told = await program.runs("staff", "add", "maria", "--role", "consultant")
    return told.split()[0]


def _only_the_cover(reader: Reader) -> bool:
    return [shown.caption for shown in reader.woman.chat] == [screen("start")]


async def _reads(program: Program, consultant: Consultant, *words: str) -> None:
    """The desk of the program as it runs now shows each of these once."""
    async with httpx.AsyncClient(
        base_url=program.url, follow_redirects=True, cookies=consultant.client.cookies, timeout=60
    ) as client:
        again = Consultant(client)
        await again.get("/desk")
        await again.claims()
        await again.sees(words[-1])
        said = re.findall(r'<p class="words"[^>]*>([^<]*)</p>', again.page)
        assert [said.count(word) for word in words] == [1] * len(words)


async def test_killed_after_commit_before_acknowledging_it_is_handled_once(tmp_path: Path) -> None:
    async with (
        a_program(tmp_path) as (program, server),
        at_the_desk(program.url, "maria", await _invitation(program)) as maria,
    ):
        reader = await _in_a_case(server)
        assert await eventually(lambda: not server.updates)
        confirm, server._confirm = server._confirm, lambda offset: None  # type: ignore[method-assign]
        reader.woman.types("само веднъж")
        assert await eventually(lambda: program.count("messages") == 1)
        await program.is_killed()
        server._confirm = confirm  # type: ignore[method-assign]
        assert server.updates
        await program.starts()
        assert await eventually(lambda: not server.updates)
        assert program.count("messages") == 1
        await _reads(program, maria, "само веднъж")


async def test_killed_right_after_her_message_it_is_there_and_her_window_is_covered(
    tmp_path: Path,
) -> None:
    async with (
        a_program(tmp_path) as (program, server),
        at_the_desk(program.url, "maria", await _invitation(program)) as maria,
    ):
        reader = await _in_a_case(server)
        reader.woman.types("едно")
        assert await eventually(lambda: program.count("messages") == 1)
        await program.is_killed()
        reader.woman.types("две")
        reader.woman.taps(payload="bg:case")
        await program.starts()
        assert await eventually(lambda: program.count("messages") == 2)
        assert await eventually(lambda: _only_the_cover(reader))
        await _reads(program, maria, "едно", "две")
        reader.woman.taps(payload="bg:inside")
        await reader.sees(screen("case"))
        await reader.hides()


async def test_killed_during_a_send_the_desk_decides_and_she_has_it_once(tmp_path: Path) -> None:
    async with (
        a_program(tmp_path) as (program, server),
        at_the_desk(program.url, "maria", await _invitation(program)) as maria,
    ):
        reader = await _in_a_case(server)
        await maria.claims()
        await reader.sees(TEXTS.say("bg", "notice.claimed"))
        server.fail(Fault("drip", "sendMessage"))
        await maria.replies("идвам")
        await reader.sees("идвам")
        await program.is_killed()
        assert _undecided(program) == 0
        await program.starts()
        assert await eventually(lambda: _undecided(program) == 1)
        assert sum("идвам" in shown.words for shown in reader.woman.chat) <= 1
        assert len([call for call in server.called("sendMessage") if "идвам" in str(call)]) == 1


def _undecided(program: Program) -> int:
    """How many messages may or may not have arrived."""
    return program.count("messages WHERE state = 'unknown'")


@contextlib.contextmanager
def nothing_removed(server: TelegramStandIn) -> Iterator[None]:
    """Telegram takes everything but what would remove a message."""

    def fails(chat: Chat, messages: Sequence[Shown]) -> None:
        raise ApiError(502, "Bad Gateway")

    removes = server._delete
    server._delete = fails  # type: ignore[method-assign]
    try:
        yield
    finally:
        server._delete = removes  # type: ignore[method-assign]


async def test_killed_right_after_she_deleted_everything_her_words_leave_her_chat(
    tmp_path: Path,
) -> None:
    async with a_program(tmp_path, quick=True) as (program, server):
        reader = await _in_a_case(server)
        reader.woman.types("едно")
        assert await eventually(lambda: program.count("messages") == 1)
        with nothing_removed(server):
            reader.woman.taps(payload="bg:forget_yes")
            assert await eventually(lambda: program.count("cases") == 0 and not server.updates)
            await program.is_killed()
        assert "едно" in [shown.words for shown in reader.woman.chat]
        assert program.count("leftovers") > 0
        await program.starts()
        assert await eventually(lambda: program.count("leftovers") == 0)
        assert "едно" not in [shown.words for shown in reader.woman.chat]


async def test_killed_right_after_her_stop_the_reminder_leaves_her_chat(tmp_path: Path) -> None:
    async with a_program(tmp_path, quick=True) as (program, server):
        woman = server.woman()
        async with join(Settings(data_dir=program.data)) as phen:
            start = phen.now() + timedelta(days=3)
            planned = Reception("r1", "rse05", "Ветово", start, start + timedelta(hours=4))
            await phen.store.save_receptions([planned])
            who = "telegram", str(woman.id)
            await phen.store.subscribe(*who, "bg", "rse05", "day", "remind_words.go.a")
            await phen.store.save_receptions([replace(planned, place="Гарата")])
        assert await eventually(lambda: program.count("subscriptions WHERE handle <> ''") == 1)
        (reminder,) = woman.chat
        with nothing_removed(server):
            woman.types("стоп")
            assert await eventually(
                lambda: program.count("subscriptions") == 0 and not server.updates
            )
            await program.is_killed()
        assert reminder in woman.chat
        await program.starts()
        assert await eventually(lambda: reminder not in woman.chat)
        assert await eventually(lambda: program.count("leftovers") == 0)


async def test_sigterm_under_load_is_out_within_ten_seconds_and_leaves_covers(
    tmp_path: Path,
) -> None:
    async with a_program(tmp_path) as (program, server):
        readers = [Reader(server.woman(), "bg") for _ in range(12)]
        talkers = [await _in_a_case(server) for _ in range(3)]
        for reader in readers:
            reader.woman.starts()
        for reader in readers:
            await reader.sees(screen("start"))

        async def taps_on() -> None:
            for number in range(10_000):
                for reader in readers:
                    node = ("order", "violence", "danger", "meet")[number % 4]
                    reader.woman.taps(payload=f"bg:{node}", message=reader.woman.bot_messages[0])
                for reader in talkers:
                    reader.woman.types(f"ред {number}")
                await asyncio.sleep(0.2)

        load = asyncio.create_task(taps_on())
        await asyncio.sleep(2)
        assert await eventually(
            lambda: any(s.caption != screen("start") for r in readers for s in r.woman.chat)
        )
        seconds = await program.is_stopped()
        load.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await load
        assert seconds < 10
        assert {s.caption for r in readers for s in r.woman.bot_messages} == {screen("start")}
        assert {s.caption for r in talkers for s in r.woman.bot_messages} == {screen("start")}
        assert [line for line in program.log if " ERROR " in line] == []


async def test_a_wrong_token_is_not_printed_and_the_web_goes_on(tmp_path: Path) -> None:
    wrong = "7301:AAE-this-is-not-the-token"
    async with a_program(tmp_path, PHEN_TELEGRAM_TOKEN=wrong) as (program, _):
        async with httpx.AsyncClient(base_url=program.url, timeout=60) as client:

            async def says_so() -> bool:
                health = await client.get("/healthz")
                return health.status_code == 503 and not health.json()["parts"]["telegram"]

            assert await eventually(says_so)
            assert (await client.get("/")).status_code == 200
        await program.is_stopped()
        assert any("unauthorised" in line for line in program.log)
        assert wrong.partition(":")[2] not in "\n".join(program.log)
