"""The parts joined: health, a clean stop, and what a stop leaves behind."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
import sqlite3
from pathlib import Path

import httpx
import pytest

from bot import serving
from bot.app import join
from bot.channels import viber as viber_of
from bot.channels.base import Intake
from bot.privacy.vault import Vault
from bot.serving import AddressInUse, AddressWrong, serve
from bot.settings import Settings
from bot.storage.migrate import migrate
from bot.storage.records import MessageState, ServedAlready
from dialogs import payload
from dialogs.model import Position, Started, Tapped
from tests.bot.paper import HER, PaperChannel, Shell, a_shell
from tests.line import PATIENCE, Line, eventually, running, running_line
from tests.standins import viber
from tests.standins.telegram import ApiError, Fault


async def health(url: str) -> tuple[int, dict[str, bool]]:
    async with httpx.AsyncClient() as client:
        answer = await client.get(f"{url}/healthz")
    return answer.status_code, answer.json()["parts"]


async def test_health_names_every_part_that_works(tmp_path: Path) -> None:
    async with running_line(tmp_path) as line:
        parts = {"database": True, "web": True, "telegram": True, "viber": True}
        assert await health(line.url) == (200, parts)


async def test_health_names_a_channel_whose_token_was_withdrawn(tmp_path: Path) -> None:
    async with running_line(tmp_path) as line:
        line.telegram.fail(Fault("refuse", "getUpdates", error=ApiError(401, "Unauthorized")))
        line.telegram.woman().starts()

        async def told() -> bool:
            return (await health(line.url))[0] == 503

        assert await eventually(told)
        parts = {"database": True, "web": True, "telegram": False, "viber": True}
        assert (await health(line.url))[1] == parts


async def test_health_names_viber_once_its_token_was_withdrawn(tmp_path: Path) -> None:
    async with running_line(tmp_path) as line:
        line.viber.fail(viber.Fault("refuse", "send_message", code=2))
        woman = line.viber.woman(subscribed=True)
        woman.types("здравей")

        async def told() -> bool:
            return (await health(line.url))[0] == 503

        assert await eventually(told)
        parts = {"database": True, "web": True, "telegram": True, "viber": False}
        assert (await health(line.url))[1] == parts


async def test_a_clean_stop_sends_nothing_on_viber(tmp_path: Path) -> None:
    async with running_line(tmp_path) as line:
        woman = line.viber.woman()
        await woman.opens()
        await woman.sees(line.phen.texts.say("bg", "start.text"))
        woman.taps("За мен")
        gate = line.phen.texts.say("bg", "gate_language.text")
        await woman.sees(gate)
        before = len(line.viber.called("send_message"))
    assert len(line.viber.called("send_message")) == before
    assert woman.bot_messages[-1].text == gate


async def test_a_clean_stop_covers_every_window_on_telegram(tmp_path: Path) -> None:
    async with running_line(tmp_path) as line:
        women = [line.telegram.woman() for _ in range(3)]
        for woman in women:
            woman.starts()
            await woman.sees("За мен" if woman.buttons else "")
            woman.taps(payload="bg:danger")
        for woman in women:
            await woman.sees(line.phen.texts.say("bg", "danger.text"))
    cover = line.phen.texts.say("bg", "start.text")
    for woman in women:
        assert [shown.words for shown in woman.bot_messages] == [cover]


async def test_a_clean_stop_covers_a_page_with_a_case_and_she_is_away_from_then_on(
    tmp_path: Path,
) -> None:
    async with httpx.AsyncClient() as her:
        async with running_line(tmp_path) as line:
            her.base_url = httpx.URL(line.url)
            yes = payload.pack(Position("bg", "talk_yes"), line.phen.now())
            assert "set-cookie" in (await her.post("/", data={"p": yes})).headers
            reading = asyncio.create_task(_read_stream(her))
            assert await eventually(lambda: _present(tmp_path) == [1])
        assert json.loads((await reading)[-1])["all"], "the last word to her page covers it"
    assert _present(tmp_path) == [0]


async def _read_stream(her: httpx.AsyncClient) -> list[str]:
    async with her.stream("GET", "/live", timeout=PATIENCE) as stream:
        return [line[6:] async for line in stream.aiter_lines() if line.startswith("data")]


def _present(folder: Path) -> list[int]:
    with contextlib.closing(sqlite3.connect(folder / "phen.db")) as connection:
        return [here for (here,) in connection.execute("SELECT present FROM cases")]


async def test_a_stop_leaves_no_task_and_no_open_database(tmp_path: Path) -> None:
    before = asyncio.all_tasks()
    async with running_line(tmp_path) as line:
        woman = line.telegram.woman()
        woman.starts()
        await woman.sees(line.phen.texts.say("bg", "start.text"))

    def left() -> list[asyncio.Task[object]]:
        return [task for task in asyncio.all_tasks() - before if not task.done()]

    assert await eventually(lambda: left() == []), left()


class Breaking(PaperChannel):
    """A channel with a fault of ours in it: it breaks when it starts, until that is mended."""

    def __init__(self) -> None:
        super().__init__()
        self.starts, self.mended = 0, False

    async def run(self, intake: Intake) -> None:
        self.starts += 1
        if not self.mended:
            raise KeyError("her words")
        await asyncio.Event().wait()


async def test_a_channel_that_breaks_is_named_and_begins_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(serving, "AGAIN_SECONDS", 0.3)
    paper = Breaking()
    async with running_line(tmp_path, also=(paper,)) as line:

        async def broken() -> bool:
            return not (await health(line.url))[1]["paper"]

        async def well() -> bool:
            return (await health(line.url))[0] == 200

        assert await eventually(broken)
        assert await eventually(lambda: paper.starts > 1)
        paper.mended = True
        assert await eventually(well)


@pytest.mark.parametrize("name", ["telegram", "viber"])
async def test_a_channel_that_nobody_reaches_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setattr(viber_of, "LOOK_SECONDS", 0.2)
    async with running_line(tmp_path) as line:
        assert await eventually(lambda: line.viber.called("get_account_info") != [])
        assert await eventually(lambda: _is(line, name, True))
        assert (await health(line.url))[0] == 200
        if name == "viber":
            line.viber.webhook = "https://elsewhere.example"
        else:
            line.telegram.fail(*[Fault("html", "getUpdates", status=502)] * 100)
            line.telegram.woman().starts()  # which ends the question that is held now
        assert await eventually(lambda: _is(line, name, False))
        assert (await health(line.url))[0] == 503
        if name == "telegram":
            line.telegram.faults.clear()
            assert await eventually(lambda: _is(line, name, True))


async def _is(line: Line, name: str, well: bool) -> bool:
    return (await health(line.url))[1][name] is well


@pytest.fixture
async def settings(tmp_path: Path) -> Settings:
    settings = Settings(data_dir=tmp_path)
    await asyncio.to_thread(migrate, settings.database)
    Vault.open(settings.key_file, create=True)
    return settings


async def test_a_second_program_on_the_same_port_leaves_the_first_ones_women_alone(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with a_shell(tmp_path, monkeypatch) as shell:
        case = await shell.opens_case()
        await shell.phen.store.add_notice(case.id, "на път", "n")
        [due] = await shell.phen.store.due(shell.clock())
        assert await shell.phen.store.take(due.outbox_id, "here")
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            taken.listen()
            second = settings.model_copy(update={"port": taken.getsockname()[1]})
            async with join(second) as phen:
                with pytest.raises(AddressInUse):
                    await serve(phen, asyncio.Event())
        assert (await shell.case()).present
        [message] = await shell.phen.store.messages(case.id)
        assert message.state is MessageState.DUE


async def test_a_second_process_on_the_same_file_is_refused_until_the_first_has_ended(
    settings: Settings,
) -> None:
    own_port = settings.model_copy(update={"port": 0})
    async with running(own_port), join(own_port) as second:
        with pytest.raises(ServedAlready):
            await serve(second, asyncio.Event())
    async with running(own_port) as (phen, _):
        assert await phen.store.answers()


async def test_a_host_of_another_machine_is_said_to_be_wrong(settings: Settings) -> None:
    elsewhere = settings.model_copy(update={"host": "192.0.2.1"})
    async with join(elsewhere) as phen:
        with pytest.raises(AddressWrong):
            await serve(phen, asyncio.Event())


async def test_after_a_crash_nobody_counts_as_present(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with a_shell(tmp_path, monkeypatch) as shell:
        await shell.opens_case()
    stop = asyncio.Event()
    async with join(settings.model_copy(update={"port": 0})) as phen:
        await serve(phen, stop, listening=lambda _: stop.set())
        assert [case.present for case in await phen.store.open_cases()] == [False]


async def test_what_comes_in_while_the_line_stops_opens_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with a_shell(tmp_path, monkeypatch) as shell:
        await _opens(shell)
        shell.does(Tapped(Position("bg", "danger")))
    assert shell.chat == [shell.say("start.text")]


async def _opens(shell: Shell) -> None:
    await shell.done(Started())
    await shell.taps("home")
    assert shell.phen.windows.open_ones() == [HER]
