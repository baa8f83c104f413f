"""A woman who only reads leaves nothing: no row, no file, no line in the log, no cookie."""

from __future__ import annotations

import hashlib
import random
import sqlite3
from contextlib import AsyncExitStack, closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx

from dialogs import engine, payload
from dialogs.model import HOME, Position
from tests.acceptance.program import Program, a_program
from tests.acceptance.reader import CONTENT, SYSTEM, TEXTS, Edge, Reader, choices, graph
from tests.phones import WebPhone

TYPED = ("Той ме удари пак", "qqqq zzzz", "той ще ме убие", "2", "0", "/close", "+359 888 123 456")
SENT = ("photo", "voice", "contact", "location", "sticker", "document", "video", "poll", "story")


def dump(program: Program, folder: Path) -> dict[str, list[tuple[Any, ...]]]:
    """Every row of every table, of a copy that holds what still stands in the log."""
    copy = folder / "copy.db"
    with closing(sqlite3.connect(program.database)) as live, closing(sqlite3.connect(copy)) as to:
        live.backup(to)
        names = [name for (name,) in to.execute("SELECT name FROM sqlite_master WHERE rootpage")]
        tables = [n for (n,) in to.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        assert {"cases", "messages", "handles", "audit", "sessions"} <= set(names)
        rows = {table: sorted(to.execute(f"SELECT * FROM {table}"), key=repr) for table in tables}
    copy.unlink()
    return rows


def files(program: Program) -> dict[str, str]:
    """Every file of the data folder with what it holds; the database's own are in the dump."""
    return {
        str(path.relative_to(program.data)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(program.data.rglob("*"))
        if path.is_file() and not path.name.startswith("phen.db")
    }


def database_files(program: Program) -> dict[str, str]:
    """The database byte by byte; `-shm` holds who reads now."""
    return {
        path.name: hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(program.data.glob("phen.db*"))
        if not path.name.endswith("-shm")
    }


async def _walks_everything(reader: Reader) -> None:
    await reader.opens()
    await reader.walks(choices(), marks=0.05)
    for node in sorted(SYSTEM):
        await reader.forges(node)


async def _tries_everything_else(reader: Reader) -> None:
    """What she may type, send and do beside the buttons."""
    await reader.goes_to("home")
    for text in TYPED:
        reader.woman.types(text)
    for kind in SENT:
        reader.woman.sends(kind, "това съм аз" if kind == "photo" else None)
    reader.woman.forwards("препратено от него")
    for forged in ("bg:case", "bg:case_end_yes", "bg:forget_yes", "bg:nowhere", "{", "' OR 1=1"):
        reader.woman.taps(payload=forged)
    reader.woman.taps(payload="bg:meet_how")
    await reader.sees(TEXTS.say("bg", CONTENT.nodes["meet_how"].text))
    reader.woman.starts("k3f9")
    await reader.sees(TEXTS.say("bg", CONTENT.nodes["start"].text))
    await reader.hides()
    reader.woman.blocks()


def _lines_of_hers(program: Program) -> list[str]:
    return [line for line in program.log if not line.endswith("INFO program started")]


async def test_browsing_on_telegram_writes_nothing(tmp_path: Path) -> None:
    async with a_program(tmp_path, quick=True) as (program, server):
        before = dump(program, tmp_path)
        files_before = files(program)
        first = Reader(server.woman(), "bg", random.Random(7))
        await _walks_everything(first)
        await _tries_everything_else(first)
        after = dump(program, tmp_path)
        assert len(after.pop("media_ids")) > len(before.pop("media_ids"))
        assert after == before
        assert files(program) == files_before

        # Every picture is known by now: from here on not a byte may move.
        bytes_before = database_files(program)
        second = Reader(server.woman(), "tr", random.Random(8))
        await _walks_everything(second)
        await second.hides()
        assert database_files(program) == bytes_before
        assert files(program) == files_before
        assert _lines_of_hers(program) == []


async def test_browsing_on_the_web_writes_nothing(tmp_path: Path) -> None:
    async with a_program(tmp_path) as (program, _), AsyncExitStack() as stack:
        bytes_before, files_before = database_files(program), files(program)
        phone = WebPhone(program.url)
        stack.push_async_callback(phone.closes)
        answers: list[httpx.Response] = []

        async def note(answer: httpx.Response) -> None:
            answers.append(answer)

        phone.client.event_hooks["response"].append(note)
        seen = await _presses_everything(phone)
        for text in TYPED:
            await phone.opens()
            await phone.taps("За мен")
            await phone.types(text)
        doors = {"talk_yes", "case", "case_end_yes", "case_ended", "hide"}
        unbidden = {node for node in CONTENT.nodes if node.startswith(("not_", "got_"))}
        assert set(CONTENT.nodes) - seen - doors - unbidden - SYSTEM - {"suggest"} == set()
        assert [each for each in answers if "set-cookie" in each.headers] == []
        assert not phone.client.cookies
        assert database_files(program) == bytes_before
        assert files(program) == files_before
        assert _lines_of_hers(program) == []


async def _presses_everything(phone: WebPhone) -> set[str]:
    """Press every choice of every page, but the one that calls a human."""
    pressed: set[Edge] = set()
    seen: set[str] = set()
    await phone.opens()
    for (node, answers), leads in graph(*CONTENT.nodes).items():
        here = Position("bg", node, answers)
        shown = engine.screen(CONTENT, here)
        landings = {edge: to[0] for edge, to in leads if to is not None}
        marks = [button for _, button in shown.marks if node == HOME]
        for button in (*shown.choices, *marks):
            edge = node, button.label, landings.get((node, button.label, button.to.node), "")
            if edge[2] and edge not in pressed:
                made = payload.pack(button.to, datetime.now(UTC))
                await phone._post({"at": payload.pack(here), "p": made, "once": ""})
                pressed.add(edge)
                seen |= {button.to.node, phone.page.fields["at"].split(":")[1]}
    return seen


async def test_not_even_a_debug_log_says_who_or_what(tmp_path: Path) -> None:
    async with a_program(tmp_path, quick=True, PHEN_LOG_LEVEL="DEBUG") as (program, server):
        reader = Reader(server.woman(), "bg")
        await reader.opens()
        await reader.asks_for_a_human()
        for text in TYPED:
            reader.woman.types(text)
        reader.woman.sends("contact")
        await reader.sees(TEXTS.say("bg", "notice.cannot_take"))
        async with httpx.AsyncClient(base_url=program.url) as client:
            await client.get("/", params={"start": "тайнидуми"})
            await client.post("/", data={"text": "тайнидуми", "at": "bg:home"})
        await program.is_stopped()
        log = "\n".join(program.log)
        secret = server.token.partition(":")[2]
        hers = (str(reader.woman.id), "Теменужка", "temenuzhka", "359888", "тайнидуми")
        assert [w for w in (*TYPED, *hers, secret, server.token) if len(w) > 1 and w in log] == []
        assert program.count("messages") > len(TYPED)
