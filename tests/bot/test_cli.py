"""The command, as a person at the keyboard has it, and what it says.

How it starts, reads its settings and ends is tried in a real process, and so is each group once.
"""

from __future__ import annotations

import asyncio
import json
import os
import re
import shutil
import socket
import sqlite3
import subprocess
import sys
import xml.etree.ElementTree as ET
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from bot import cli
from bot.privacy import redact
from tests import forks
from tests.line import running_line
from tests.standins.viber import TOKEN, Fault, ViberStandIn

ROOT = Path(__file__).parents[2]
LOGGED = re.compile(r"\d{4}-\d\d-\d\dT\S+ [A-Z]+ ")


@dataclass
class Said:
    """What a command left behind."""

    status: int
    out: str
    err: str

    @property
    def all(self) -> str:
        return self.out + self.err


@dataclass
class Keyboard:
    """A shell in an empty folder, with a data folder of its own."""

    folder: Path

    def types(self, *words: str, given: str = "", **settings: str) -> Said:
        environment = {
            "PATH": os.environ["PATH"], "LANG": "C.UTF-8", "PYTHONPATH": str(ROOT),
            "PHEN_DATA_DIR": str(self.folder / "data"), **settings,
        }  # fmt: skip
        done = self.runs(words, environment, given)
        said = Said(done.returncode, done.stdout, done.stderr)
        assert "Traceback" not in said.all
        return said

    def runs(
        self, words: tuple[str, ...], environment: dict[str, str], given: str
    ) -> subprocess.CompletedProcess[str]:
        return forks.run(words, environment, self.folder, given)

    def refused(self, *words: str, given: str = "", lines: int = 1, **settings: str) -> str:
        """What is said about a mistake: so many lines, on the standard error, and status 1."""
        said = self.types(*words, given=given, **settings)
        assert said.status == 1, said
        told = [line for line in said.err.splitlines() if not LOGGED.match(line)]
        assert len(told) == lines, said
        return said.err


class SlowKeyboard(Keyboard):
    """The same from the first instruction of a new interpreter on: for how a command starts."""

    def runs(
        self, words: tuple[str, ...], environment: dict[str, str], given: str
    ) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "bot", *words],
            input=given, capture_output=True, text=True, timeout=60, cwd=self.folder,
            env=environment, check=False,
        )  # fmt: skip


class QuickKeyboard(Keyboard):
    """The same in this process, a fifth of the time: for what a command does, not how it starts."""

    def types(self, *words: str, given: str = "", **settings: str) -> Said:
        ours = dict.fromkeys(name for name in os.environ if name.startswith("PHEN_"))
        environment = {**ours, "PHEN_DATA_DIR": str(self.folder / "data"), **settings}
        with pytest.MonkeyPatch.context() as patch:
            patch.chdir(self.folder)
            patch.setattr(redact, "configure_logging", lambda level: None)  # it is the process's
            done = CliRunner().invoke(cli.app, words, input=given, env=environment)
        if isinstance(done.exception, cli.MISTAKES):
            return Said(1, done.stdout, f"{done.exception}\n")
        if isinstance(done.exception, Exception):
            raise done.exception
        return Said(done.exit_code, done.stdout, done.stderr)


@pytest.fixture
def keyboard(tmp_path: Path) -> Keyboard:
    return Keyboard(tmp_path)


@pytest.fixture(scope="module")
def centre(tmp_path_factory: pytest.TempPathFactory) -> Keyboard:
    """A migrated line that the commands beside a server share."""
    keyboard = Keyboard(tmp_path_factory.mktemp("centre"))
    assert keyboard.types("migrate").status == 0
    return QuickKeyboard(keyboard.folder)


# --- help ----------------------------------------------------------------------------------


def commands(group: object, before: tuple[str, ...] = ()) -> list[tuple[str, ...]]:
    found: list[tuple[str, ...]] = []
    for name, command in group.commands.items():  # type: ignore[attr-defined]
        words = (*before, name)
        found += commands(command, words) if hasattr(command, "commands") else [words]
    return found


COMMANDS = commands(typer.main.get_command(cli.app))


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_every_command_has_help_with_an_example(words: tuple[str, ...]) -> None:
    result = CliRunner().invoke(cli.app, [*words, "--help"])
    assert result.exit_code == 0
    assert f"Example: phen {' '.join(words)}" in " ".join(result.output.split())


def test_an_unknown_command_is_refused_without_a_traceback(tmp_path: Path) -> None:
    assert SlowKeyboard(tmp_path).types("chatt").status == 2


# --- staff ---------------------------------------------------------------------------------


def test_staff_are_invited_listed_and_removed(centre: Keyboard) -> None:
    centre = Keyboard(centre.folder)
    invited = centre.types("staff", "add", "maria", "--role", "consultant", "--alias", "Мария")
    assert invited.status == 0
    assert invited.out.startswith("http://127.0.0.1:8000/invite#")
    listed = centre.types("staff", "list")
    assert "maria" in listed.out
    assert "invited" in listed.out
    assert "\x1b" not in listed.out
    assert centre.refused("staff", "add", "maria", "--role", "staff")
    assert centre.types("staff", "remove", "maria").status == 0
    assert "maria" not in centre.types("staff", "list").out
    assert "phen staff list" in centre.refused("staff", "remove", "nobody")


def test_an_unknown_role_is_refused(centre: Keyboard) -> None:
    assert centre.types("staff", "add", "ana", "--role", "boss").status == 2


def test_purge_says_what_it_destroyed(centre: Keyboard) -> None:
    assert centre.types("purge").out == "Destroyed: 0 case texts, 0 cases, 0 keys.\n"


# --- content -------------------------------------------------------------------------------


def test_check_speaks_to_people_and_to_machines(keyboard: Keyboard) -> None:
    told = keyboard.types("check")
    assert "nodes" in told.out.splitlines()[-1]
    machine = keyboard.types("check", "--format", "json")
    problems = json.loads(machine.out)
    assert bool(problems) == bool(machine.status)


def test_check_says_what_each_channel_shows_to_people_and_to_machines(keyboard: Keyboard) -> None:
    told = keyboard.types("check", "--channels", "--on", "2026-11-22")
    assert told.status == 0, told
    assert len(told.out.splitlines()) % 4 == 0
    assert re.search(r"^danger +viber +\d+ of 7000 .* allowed stays no-edit rings$", told.out, re.M)
    (summary,) = told.err.splitlines()
    assert " 4 channels, " in summary
    assert " 0 degradations" in summary
    machine = keyboard.types("check", "--channels", "--format", "json", "--on", "2026-11-22")
    assert (machine.status, machine.err) == (0, "")
    assert json.loads(machine.out).keys() == {"allowed", "rows", "faults"}


@pytest.fixture
def rules(keyboard: Keyboard) -> Path:
    """The rules of a copy of the program, which the keyboard's commands run then."""
    for name in ("bot", "dialogs", "scheduler", "locales", "pictures"):
        leave = shutil.ignore_patterns("__pycache__")
        shutil.copytree(ROOT / name, keyboard.folder / name, ignore=leave)
    return keyboard.folder / "dialogs" / "lint.yaml"


def test_check_fails_on_what_a_channel_lacks_and_nobody_allowed(
    keyboard: Keyboard, rules: Path
) -> None:
    keyboard = SlowKeyboard(keyboard.folder)  # a fork would have the program of this folder
    edit(rules, "viber: [stays, no-edit, rings]", "viber: [stays, rings]")
    words = ("check", "--channels", "--on", "2026-11-22")
    told = keyboard.types(*words, PYTHONPATH=str(keyboard.folder))
    assert told.status == 1
    assert "no-edit NOT ALLOWED" in told.out
    *errors, summary = told.err.splitlines()
    assert f" {len(errors)} degradations" in summary
    for error in errors:
        assert re.fullmatch(r"dialogs/topics/\w+\.yaml:\d+: \w+ viber: .+ \(no-edit\)", error)
    machine = keyboard.types(*words, "--format", "json", PYTHONPATH=str(keyboard.folder))
    assert machine.status == 1
    assert len(json.loads(machine.out)["faults"]) == len(errors)


def test_a_wrong_name_in_the_rules_is_one_sentence(keyboard: Keyboard, rules: Path) -> None:
    keyboard = SlowKeyboard(keyboard.folder)
    at = edit(rules, "no-edit, rings]", "no-edits, rings]")
    for words in (["check"], ["check", "--channels"]):
        said = keyboard.refused(*words, PYTHONPATH=str(keyboard.folder))
        assert f"dialogs/lint.yaml:{at}: viber: " in said
        assert "'no-edit'?" in said
    edit(rules, "viber: [stays, no-edits,", "vibre: [stays, no-edit,")
    said = keyboard.refused("check", "--channels", PYTHONPATH=str(keyboard.folder))
    assert f"dialogs/lint.yaml:{at}: channels: " in said
    assert "'viber'?" in said


def edit(file: Path, old: str, new: str) -> int:
    """Replace what stands once; its line."""
    text = file.read_text(encoding="utf-8")
    assert text.count(old) == 1
    file.write_text(text.replace(old, new), encoding="utf-8")
    return text[: text.index(old)].count("\n") + 1


def test_graph_draws_a_valid_picture_of_one_topic_or_of_all(keyboard: Keyboard) -> None:
    for words in (["order"], []):
        out = keyboard.folder / "drawing.svg"
        assert keyboard.types("graph", *words, "--out", str(out)).status == 0
        root = ET.fromstring(out.read_text(encoding="utf-8"))
        assert root.tag == "{http://www.w3.org/2000/svg}svg"
        out.unlink()


def test_graph_names_the_topics_when_there_is_none_of_that_name(keyboard: Keyboard) -> None:
    assert "order" in keyboard.refused("graph", "ordre")
    assert "no/such" in keyboard.refused("graph", "order", "--out", "no/such/x.svg")


# --- talk ----------------------------------------------------------------------------------


def test_talk_takes_piped_lines_one_after_another_without_colour_codes(
    keyboard: Keyboard,
) -> None:
    said = keyboard.types("talk", given="4\n1\n0\n")
    assert said.status == 0
    assert said.err == ""
    assert "\x1b" not in said.out
    frames = said.out.split("─" * 40)
    assert "112" in frames[-1]
    assert "[9]" in frames[-1]
    assert not (keyboard.folder / "data").exists()


@pytest.mark.parametrize("given", ["", "\n", "9\n", "0011\n\x00\n🙂\n", "помощ"])
def test_talk_ends_with_its_input_whatever_it_was(keyboard: Keyboard, given: str) -> None:
    said = keyboard.types("talk", given=given)
    assert (said.status, said.err) == (0, "")


# --- what is wrong before it starts --------------------------------------------------------


def newer(file: Path) -> None:
    with sqlite3.connect(file) as database:
        database.execute("UPDATE alembic_version SET version_num = '9999_of_tomorrow'")
    database.close()


@pytest.mark.parametrize(
    "words", [["migrate"], ["run"], ["staff", "list"], ["purge"]], ids=" ".join
)
def test_a_database_of_a_newer_version_is_one_sentence(
    keyboard: Keyboard, words: list[str]
) -> None:
    assert keyboard.types("migrate").status == 0
    newer(keyboard.folder / "data" / "phen.db")
    assert "newer version" in keyboard.refused(*words)


def test_a_port_in_use_is_one_sentence(keyboard: Keyboard) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        for command in ("run", "demo"):
            assert "PHEN_PORT" in keyboard.refused(command, PHEN_PORT=port)


def test_a_host_that_is_not_here_is_one_sentence(keyboard: Keyboard) -> None:
    assert "PHEN_HOST" in keyboard.refused("run", PHEN_HOST="192.0.2.1", PHEN_PORT="0")


@pytest.mark.parametrize("words", [["migrate"], ["run"], ["staff", "list"]], ids=" ".join)
def test_a_file_in_place_of_the_data_folder_is_one_sentence(
    keyboard: Keyboard, words: list[str]
) -> None:
    (keyboard.folder / "data").write_text("")
    assert keyboard.refused(*words)


def test_a_database_that_cannot_be_opened_is_one_sentence(keyboard: Keyboard) -> None:
    url = f"sqlite+aiosqlite:///{keyboard.folder}/no/such/phen.db"
    assert keyboard.refused("migrate", PHEN_DATABASE_URL=url)


def test_a_database_that_is_none_is_one_sentence(keyboard: Keyboard) -> None:
    (keyboard.folder / "data").mkdir()
    (keyboard.folder / "data" / "phen.db").write_text("not a database at all, but a letter\n" * 99)
    assert keyboard.refused("migrate")


@pytest.mark.parametrize(
    "words", [["staff", "list"], ["receptions", "list"], ["purge"]], ids=" ".join
)
def test_before_the_first_migrate_one_sentence_says_so(
    keyboard: Keyboard, words: list[str]
) -> None:
    assert "phen migrate" in keyboard.refused(*words)
    assert not (keyboard.folder / "data").exists()


def test_a_lost_master_key_is_one_sentence_and_no_new_key_is_made(keyboard: Keyboard) -> None:
    assert keyboard.types("migrate").status == 0
    key = keyboard.folder / "data" / "keys" / "master.key"
    key.unlink()
    assert keyboard.refused("migrate")
    assert keyboard.refused("run")
    assert not key.exists()


def test_misspelt_settings_are_all_named(keyboard: Keyboard) -> None:
    said = keyboard.refused("run", lines=2, PHEN_PROT="1", PHEN_TELEGRAM_TOKN="12:secret")
    assert "PHEN_PORT" in said
    assert "secret" not in said


@pytest.mark.parametrize(
    "settings",
    [{"PHEN_TELEGRAM_TOKEN": "1:x"}, {"PHEN_HOST": "0.0.0.0"}],
    ids=["a token", "not on loopback"],
)
def test_the_demo_refuses(keyboard: Keyboard, settings: dict[str, str]) -> None:
    assert "phen run" in keyboard.refused("demo", **settings)
    assert not (keyboard.folder / "data").exists()


# --- faults of ours ------------------------------------------------------------------------


def raising(error: BaseException) -> Callable[[], None]:
    def fails() -> None:
        raise error

    return fails


@pytest.mark.parametrize(
    "error",
    [KeyError("her words"), RuntimeError("4839201:token"), OSError(28, "No space left on device")],
    ids=lambda error: type(error).__name__,
)
def test_a_fault_of_ours_is_one_line_without_the_words_it_held(
    error: Exception, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(cli, "app", raising(error))
    with pytest.raises(SystemExit) as ended:
        cli.main()
    assert ended.value.code == 1
    said = capsys.readouterr().err
    assert len(said.splitlines()) == 1
    assert "her words" not in said
    assert "token" not in said


# --- viber ---------------------------------------------------------------------------------

NOWHERE = "http://127.0.0.1:9"


@pytest.fixture
async def platform() -> AsyncIterator[ViberStandIn]:
    server = ViberStandIn()
    await server.start()
    yield server
    await server.stop()


def bot_of(server: ViberStandIn, **other: str) -> dict[str, str]:
    """The settings of a line that has this bot."""
    told = {"PHEN_VIBER_TOKEN": server.token, "PHEN_VIBER_API": server.api}
    return {**told, "PHEN_PUBLIC_URL": NOWHERE, **other}


async def asks_viber(keyboard: Keyboard, *words: str, **settings: str) -> Said:
    said = await asyncio.to_thread(keyboard.types, "viber", *words, **settings)
    assert TOKEN not in said.all
    return said


async def viber_refuses(keyboard: Keyboard, *words: str, **settings: str) -> str:
    """The one sentence in which `phen viber` says what to do."""
    said = await asks_viber(keyboard, *words, **settings)
    told = [line for line in said.err.splitlines() if not LOGGED.match(line)]
    assert (said.status, len(told)) == (1, 1), said
    return told[0]


async def test_viber_is_told_where_a_running_line_is_and_says_so_afterwards(
    tmp_path: Path,
) -> None:
    keyboard = Keyboard(tmp_path)
    (keyboard.folder / "data").mkdir()
    async with running_line(keyboard.folder / "data") as line:
        hook = f"{line.url}/viber/webhook"
        settings = bot_of(line.viber, PHEN_PUBLIC_URL=line.url)
        line.viber.webhook = ""
        elsewhere = await asks_viber(keyboard, "info", **settings)
        assert (elsewhere.status, elsewhere.out == "") == (1, False)
        assert hook in elsewhere.err
        assert "phen viber set-webhook" in elsewhere.err
        told = await asks_viber(keyboard, "set-webhook", **settings)
        assert (told.status, hook in told.out, told.err) == (0, True, "")
        assert line.viber.webhook == hook
        assert not line.viber.send_name
        assert not line.viber.send_photo
        known = await asks_viber(keyboard, "info", **settings)
        assert (known.status, known.err) == (0, "")
        for shown in (hook, "domzdrave", "conversation_started"):
            assert shown in known.out
        assert "Администратор" not in known.out  # nor anybody else who keeps the bot
        assert "b29wcyE=" not in known.out


async def test_info_says_when_viber_calls_somebody_else(
    centre: Keyboard, platform: ViberStandIn
) -> None:
    platform.webhook = "https://somebody.example/viber/webhook"
    said = await asks_viber(centre, "info", **bot_of(platform))
    assert said.status == 1
    assert "https://somebody.example/viber/webhook" in said.out
    assert f"{NOWHERE}/viber/webhook" in said.err
    assert platform.called("set_webhook") == []


@pytest.mark.parametrize("words", ["set-webhook", "info"])
async def test_a_token_that_viber_does_not_know_is_one_sentence(
    centre: Keyboard, platform: ViberStandIn, words: str
) -> None:
    wrong = bot_of(platform, PHEN_VIBER_TOKEN="5e0c-of-another-bot")
    told = await viber_refuses(centre, words, **wrong)
    assert "PHEN_VIBER_TOKEN" in told
    assert "5e0c" not in told


@pytest.mark.parametrize("words", ["set-webhook", "info"])
async def test_without_a_token_of_vibers_one_sentence_says_so(centre: Keyboard, words: str) -> None:
    assert "PHEN_VIBER_TOKEN" in await viber_refuses(centre, words)


@pytest.mark.parametrize("words", ["set-webhook", "info"])
async def test_a_token_without_our_address_is_one_sentence(
    centre: Keyboard, platform: ViberStandIn, words: str
) -> None:
    told = await viber_refuses(centre, words, **bot_of(platform, PHEN_PUBLIC_URL=""))
    assert "PHEN_PUBLIC_URL" in told
    assert platform.calls == []


@pytest.mark.parametrize("words", ["set-webhook", "info"])
async def test_a_viber_that_cannot_be_reached_is_one_sentence(
    centre: Keyboard, platform: ViberStandIn, words: str
) -> None:
    settings = bot_of(platform, PHEN_VIBER_API=NOWHERE)
    assert "PHEN_VIBER_API" in await viber_refuses(centre, words, **settings)


@pytest.mark.parametrize(
    "fault", [Fault("html"), Fault("drop_after"), Fault("refuse", code=99)],
    ids=["a page in between", "no answer", "an unknown status"],
)  # fmt: skip
@pytest.mark.parametrize("words", ["set-webhook", "info"])
async def test_an_answer_of_vibers_that_says_nothing_is_one_sentence(
    centre: Keyboard, platform: ViberStandIn, words: str, fault: Fault
) -> None:
    platform.fail(fault)
    assert await viber_refuses(centre, words, **bot_of(platform))


@pytest.mark.parametrize("https_only", [False, True], ids=["nobody answers", "not encrypted"])
async def test_an_address_that_viber_does_not_take_is_one_sentence(
    centre: Keyboard, platform: ViberStandIn, https_only: bool
) -> None:
    platform.https_only = https_only
    told = await viber_refuses(centre, "set-webhook", **bot_of(platform))
    assert "https://" in told
    assert "phen run" in told
    assert platform.webhook == ""
