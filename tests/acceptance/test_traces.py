"""A woman who only reads leaves nothing: no row, no file, no line in the log, no cookie."""

from __future__ import annotations

import random
from contextlib import AsyncExitStack
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import httpx

from dialogs import engine, payload
from dialogs.model import HOME, Position
from tests.acceptance.consultant import at_the_desk
from tests.acceptance.disk import database_files, dump, files
from tests.acceptance.program import Program, a_program, a_program_on_viber
from tests.acceptance.reader import (
    CONTENT,
    LASTING,
    REMINDED,
    SYSTEM,
    TEXTS,
    Edge,
    Reader,
    ViberReader,
    Walker,
    choices,
    graph,
)
from tests.line import eventually
from tests.phones import WebPhone
from tests.standins.viber import ViberStandIn

TYPED = ("Той ме удари пак", "qqqq zzzz", "той ще ме убие", "2", "0", "/close", "+359 888 123 456")
FORGED = ("bg:case", "bg:case_end_yes", "bg:forget_yes", "bg:nowhere", "{", "' OR 1=1")
SENT = ("photo", "voice", "contact", "location", "sticker", "document", "video", "poll", "story")


async def _walks_everything(reader: Walker) -> None:
    await reader.opens()
    await reader.walks(choices(lasting=reader.lasting), marks=0.05)
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
    for forged in FORGED:
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
        assert await eventually(lambda: not server.updates)
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


async def _tries_everything_else_on_viber(server: ViberStandIn, reader: ViberReader) -> None:
    """The same where nothing is removed, with the page of ours and with leaving."""
    woman = reader.woman
    await reader.goes_to("home")
    for text in TYPED:
        await reader.is_answered(partial(woman.types, text))
    for kind in ("picture", "video", "file", "contact", "location", "sticker", "url"):
        await reader.is_answered(partial(woman.sends, kind))
    for forged in FORGED:
        await reader.is_answered(partial(reader.forges_payload, forged))
    await reader.is_answered(partial(woman.opens, "k3f9"))
    await reader.forges("meet_how")
    await reader.goes_to("gate_lasting")
    woman.taps(TEXTS.say("bg", LASTING.nodes["gate_lasting"].choices[0].label))
    async with httpx.AsyncClient(timeout=60) as client:
        page = await client.get(woman.opened_urls[-1])
    assert page.status_code == 200
    assert "set-cookie" not in page.headers
    await reader.hides()
    woman.subscribes()
    await woman.leaves()
    await server.settled()


async def test_browsing_on_viber_writes_nothing(tmp_path: Path) -> None:
    async with a_program_on_viber(tmp_path) as (program, server):
        before, files_before = dump(program, tmp_path), files(program)
        bytes_before = database_files(program)
        for language, dice in (("bg", 7), ("tr", 8)):
            reader = ViberReader(server.woman(), language, random.Random(dice))
            await _walks_everything(reader)
            await reader.hides()
        assert database_files(program) == bytes_before

        reader = ViberReader(server.woman(), "bg", random.Random(9))
        await reader.opens()
        await _tries_everything_else_on_viber(server, reader)
        assert dump(program, tmp_path) == before
        assert files(program) == files_before
        assert _lines_of_hers(program) == []
        assert server.refusals == []
        assert [each.event for each in server.callbacks if not each.taken] == []


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
        doors = {"talk_yes", "case", "case_end_yes", "case_ended", "case_media_yes", "hide"}
        unbidden = {node for node in CONTENT.nodes if node.startswith(("not_", "got_"))}
        others = SYSTEM | REMINDED | {"suggest"}
        assert set(CONTENT.nodes) - seen - doors - unbidden - others == set()
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
        async with httpx.AsyncClient(base_url=program.url, timeout=60) as client:
            await client.get("/", params={"start": "тайнидуми"})
            await client.post("/", data={"text": "тайнидуми", "at": "bg:home"})
        await program.is_stopped()
        log = "\n".join(program.log)
        secret = server.token.partition(":")[2]
        hers = (str(reader.woman.id), "Теменужка", "temenuzhka", "359888", "тайнидуми")
        assert [w for w in (*TYPED, *hers, secret, server.token) if len(w) > 1 and w in log] == []
        assert program.count("messages") > len(TYPED)


def _at_rest(program: Program) -> dict[str, bytes]:
    """All that the program has written anywhere."""
    paths = [path for path in sorted(program.folder.rglob("*")) if path.is_file()]
    return {str(path.relative_to(program.folder)): path.read_bytes() for path in paths}


async def test_what_viber_tells_of_her_is_nowhere_after_a_case(tmp_path: Path) -> None:
    async with a_program_on_viber(tmp_path, PHEN_LOG_LEVEL="DEBUG") as (program, server):
        invitation = (await program.runs("staff", "add", "maria", "--role", "consultant")).split()
        async with at_the_desk(program.url, "maria", invitation[0]) as maria:
            woman = server.woman()
            reader = ViberReader(woman, "bg")
            await reader.opens()
            await reader.asks_for_a_human()
            for text in TYPED:
                await woman.types(text)
            for kind in ("picture", "video", "file", "contact", "location", "sticker"):
                await woman.sends(kind, caption="това съм аз" if kind == "picture" else "")
            await reader.sees(TEXTS.say("bg", "notice.cannot_take"))
            await maria.claims()
            await maria.replies("Пишете спокойно.")
            await reader.sees("Пишете спокойно.")
            await maria.sees(TYPED[0])
            desk = maria.text
            await reader.hides()
            await woman.leaves()
            assert await eventually(lambda: program.count("cases") == 0)
        while_it_runs = _at_rest(program)
        await program.is_stopped()
        told = [*woman.planted, "това съм аз"]
        hers = [word for word in told if not (word.isdigit() and len(word) < 9)]
        assert len(hers) > 10
        assert [word for word in hers if word in desk] == []
        hidden = [*hers, woman.id, server.token, *(word for word in TYPED if len(word) > 1)]
        for kept in (while_it_runs, _at_rest(program)):
            assert {"log", "data/phen.db"} <= set(kept)
            found = [(n, w) for n, held in kept.items() for w in hidden if w.encode() in held]
            assert found == []
