"""The README and the pages under docs/ say what is so: every example runs, every name exists."""

from __future__ import annotations

import asyncio
import hashlib
import inspect
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path

import pytest
import typer

from bot import content_tools, settings
from bot.channels.base import Channel, Limits
from bot.cli import app
from bot.settings import Settings
from bot.texts import open_content
from dialogs import load
from tests.line import eventually
from tests.ports import Held
from tests.standins.telegram import TelegramStandIn
from tests.standins.viber import ViberStandIn
from tests.transcripts.test_transcripts import playing

ROOT = Path(__file__).resolve().parent.parent
README = (ROOT / "README.md").read_text("utf-8")
PAGES = [ROOT / "README.md", ROOT / "tests/transcripts/README.md", *sorted(ROOT.glob("docs/*.md"))]
COPIED = ("bot", "dialogs", "scheduler", "locales", "pictures", "deploy", "Makefile")
PATIENCE = 120.0
# What the pages tell is followed step by step, which takes minutes where the machine is busy.
pytestmark = pytest.mark.timeout(1200)


@dataclass(frozen=True)
class Example:
    """One fenced block of a page."""

    kind: str
    text: str

    @property
    def path(self) -> str:
        """The file that it says it is, in its first line."""
        return self.text.partition("\n")[0].removeprefix("# ")


def examples(page: str, *kinds: str) -> list[Example]:
    found = re.findall(r"^```(\w+)\n(.*?)^```$", page, re.M | re.S)
    return [Example(kind, text) for kind, text in found if kind in kinds]


def commands() -> Iterator[tuple[str, str]]:
    """Each command as it is typed, with its help."""

    def walk(command: object, name: str) -> Iterator[tuple[str, str]]:
        inner = getattr(command, "commands", {})
        yield name, str(getattr(command, "help", ""))
        for word, one in inner.items():
            yield from walk(one, f"{name} {word}")

    yield from walk(typer.main.get_command(app), "phen")


# --- following the pages -----------------------------------------------------------------------


@dataclass
class Copy:
    """A copy of the program in which the examples are followed, one after the other.

    What an example starts goes on running for those right after it that speak of Viber: they
    are typed in a second terminal, with the same settings.
    """

    folder: Path
    telegram: TelegramStandIn
    viber: ViberStandIn
    held: Held = field(default_factory=Held)
    settings: list[str] = field(default_factory=list)
    running: asyncio.subprocess.Process | None = None

    async def follow(self, example: Example) -> None:
        if "phen viber" not in example.text:
            await self.stop()
        if example.kind == "console":
            await self._type(example.text)
        else:
            file = self.folder / example.path
            before = file.read_text("utf-8") if file.exists() else ""
            file.write_text(before + example.text, "utf-8")

    async def _type(self, block: str) -> None:
        lines = [line.removeprefix("$ ") for line in block.splitlines()]
        assert all(line.startswith("$ ") for line in block.splitlines()), block
        serves = lines[-1].endswith("phen run")
        if serves:
            self.settings = [line for line in lines if line.startswith("export ")]
            lines[-1] = f"exec {lines[-1]}"
        elif "phen viber" in block:
            lines = [*self.settings, *lines]
        process = await asyncio.create_subprocess_exec(
            "bash", "-ec", "\n".join(self._adapted(line) for line in lines),
            cwd=self.folder, env=self._environment(), stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
        )  # fmt: skip
        async with asyncio.timeout(PATIENCE):
            if serves:
                return await self._serves(process)
            said = (await process.communicate())[0]
        assert process.returncode == 0, f"{block}\n{said.decode()}"

    async def _serves(self, process: asyncio.subprocess.Process) -> None:
        """Let it run until it listens and has asked its platform."""
        assert process.stdout is not None
        said = b""
        while b"Stop with" not in said:
            line = await process.stdout.readline()
            assert line, said.decode()
            said += line
        asked = "get_account_info" if "PHEN_VIBER" in str(self.settings) else "getUpdates"
        assert await eventually(lambda: asked in self._called())
        self.running = process

    async def stop(self) -> None:
        """Stop what runs, as its operator would."""
        if self.running is not None:
            self.running.terminate()
            async with asyncio.timeout(PATIENCE):
                said = (await self.running.communicate())[0]
            assert self.running.returncode == 0, said.decode()
            self.running = None

    def _called(self) -> set[str]:
        return {call.method for call in self.telegram.calls} | {n for n, _ in self.viber.calls}

    def _adapted(self, line: str) -> str:
        """What long targets would do is only listed; the date of an example never passes."""
        line = re.sub(r"^make (run|test)$", r"make -n \1", line)
        line = re.sub(r"\b20\d\d(?=-12-01\b)", str(date.today().year + 1), line)  # noqa: DTZ011
        line = re.sub(r"(?<=')\d+:[\w-]+(?=')", self.telegram.token, line)
        line = re.sub(r"(?<=')[\w-]+-Viber-gave-you(?=')", self.viber.token, line)
        line = line.replace("https://help.example.org", f"http://127.0.0.1:{self.held.port}")
        return f"{line} || test $? = 1" if "phen check" in line else line

    def _environment(self) -> dict[str, str]:
        own = {key: value for key, value in os.environ.items() if not key.startswith("PHEN_")}
        return own | {
            "PHEN_PORT": str(self.held.port),
            "PHEN_TELEGRAM_API": self.telegram.api,
            "PHEN_VIBER_API": self.viber.api,
        }


@pytest.fixture(scope="module")
def followed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy after everything that the README and the authors' page say was done."""
    folder = tmp_path_factory.mktemp("phen")
    for name in (*COPIED, "pyproject.toml", "requirements.lock", "requirements-test.lock"):
        source = ROOT / name
        if source.is_dir():
            shutil.copytree(source, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(source, folder / name)
    programs = folder / ".venv" / "bin"
    programs.mkdir(parents=True)
    for name, what in {"python": "", "phen": "-m bot"}.items():
        (programs / name).write_text(f'#!/bin/sh\nexec {sys.executable} {what} "$@"\n')
        (programs / name).chmod(0o755)
    for name in (".run", ".test"):
        (folder / ".venv" / name).touch()

    async def work() -> None:
        telegram, viber = TelegramStandIn(), ViberStandIn()
        await telegram.start()
        await viber.start()
        copy = Copy(folder, telegram, viber)
        try:
            for page in (ROOT / "README.md", ROOT / "docs/authors.md"):
                for example in examples(page.read_text("utf-8"), "console", "yaml", "python"):
                    await copy.follow(example)
            assert viber.webhook == f"http://127.0.0.1:{copy.held.port}/viber/webhook"
            assert viber.refusals == []
        finally:
            await copy.stop()
            await viber.stop()
            await telegram.stop()

    asyncio.run(work())
    return folder


def test_the_topic_of_the_readme_stands_in_its_menu(followed: Path) -> None:
    content, texts = open_content(followed)
    topic = content.topics["breath"]
    assert topic.entry is not None
    assert topic.entry.menu == "home"
    assert topic.entry.go in content.nodes
    assert texts.say("bg", "entry.breath") == "Малко въздух"
    assert (followed / "breath.svg").stat().st_size > 1000


def test_the_language_of_the_readme_is_one_of_the_lines(followed: Path) -> None:
    content, texts = open_content(followed)
    assert "ro" in content.languages
    assert texts.say("ro", "mark.hide") == texts.say("bg", "mark.hide")
    assert 'msgctxt "language.name"' in (followed / "locales/ro" / load.CATALOGUE).read_text()


def test_the_municipality_of_the_readme_is_known(followed: Path) -> None:
    content, texts = open_content(followed)
    place = content.places["raz26"]
    assert (place.ekatte, texts.say("bg", place.name)) == ("61710", "Разград")


def test_phen_check_tells_machines_what_the_readmes_topic_still_needs(followed: Path) -> None:
    today = date.today()  # noqa: DTZ011  # the tests', and not that of another process
    done = subprocess.run(
        [sys.executable, "-m", "bot", "check", "--format", "json", "--on", str(today)],
        cwd=followed,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 1, done.stderr
    found = json.loads(done.stdout)
    before = {problem.code for problem in content_tools.problems(today)}
    assert {p["code"] for p in found if p["node"].startswith("breath")} == {"missing-translation"}
    assert {p["code"] for p in found} == before | {"missing-translation"}


def test_phen_check_refuses_a_format_that_it_does_not_have() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "bot", "check", "--format", "yaml"],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert done.returncode != 0
    assert "json" in done.stderr


def test_the_channel_of_the_readme_has_all_that_a_channel_has() -> None:
    (example,) = examples(README, "python")
    made: dict[str, object] = {}
    exec(compile(example.text, example.path, "exec"), made)
    (paper,) = (one for name, one in made.items() if name.endswith("Channel"))
    assert isinstance(vars(paper)["limits"], Limits)
    for name, member in inspect.getmembers(Channel, inspect.isfunction):
        if not name.startswith("_"):
            theirs = inspect.signature(getattr(paper, name)).parameters
            assert list(theirs) == list(inspect.signature(member).parameters)


@pytest.mark.parametrize("channel", ["console", "telegram", "web"])
async def test_the_transcript_of_the_readme_plays(channel: str, tmp_path: Path) -> None:
    (example,) = examples(README, "transcript")
    script = tmp_path / "readme.txt"
    script.write_text(example.text, "utf-8")
    async with playing(channel, "bg", tmp_path) as play:
        await play.run(script)


# --- names -------------------------------------------------------------------------------------

_GROUPS = {
    "phen broadcast",
    "phen duty",
    "phen receptions",
    "phen staff",
    "phen verify",
    "phen viber",
}
"""Commands that only hold others."""


def test_every_command_is_in_the_readme_and_shows_an_example() -> None:
    for name, told in commands():
        assert f"Example: {name}" in told or name == "phen", f"{name}: its help has no example"
        has_own = name not in ("phen", *_GROUPS)
        if has_own:
            assert f"| `{name}` |" in README, f"{name} is missing in the README"


def test_the_readme_names_no_command_that_does_not_exist() -> None:
    known = {name for name, _ in commands()}
    for page in PAGES:
        for typed in re.findall(r"(?:`|bin/)phen ([a-z]+(?: [a-z-]+)?)", page.read_text("utf-8")):
            first, _, second = typed.partition(" ")
            is_known = f"phen {typed}" in known or f"phen {first}" in known - _GROUPS
            assert is_known, f"{page.name}: phen {first} {second}"


def test_the_readme_has_every_setting_and_no_other() -> None:
    fields = {f"{settings.PREFIX}{name.upper()}" for name in Settings.model_fields}
    files = {f"{settings.PREFIX}{name.upper()}_FILE" for name in settings._SECRETS}
    rows = re.findall(r"^\| `(PHEN_\w+)` \|", README, re.M)
    assert sorted(rows) == sorted(fields | files)
    for page in PAGES:
        assert set(re.findall(r"PHEN_\w*\w", page.read_text("utf-8"))) <= fields | files


def test_the_defaults_in_the_readme_are_the_programs() -> None:
    rows = dict(re.findall(r"^\| `PHEN_(\w+)` \| `([^`|]+)` \|", README, re.M))
    told = {name.lower(): value for name, value in rows.items()}
    assert told == {name: str(getattr(Settings(), name)) for name in told}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_link_and_picture_leads_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)\s]+)\)", page.read_text("utf-8")):
        name, _, anchor = target.partition("#")
        linked = (page.parent / name).resolve() if name else page
        assert linked.is_file(), target
        assert linked.is_relative_to(ROOT), target
        if anchor:
            titles = re.findall(r"^#+ (.+)$", linked.read_text("utf-8"), re.M)
            assert anchor in {title.lower().replace(" ", "-") for title in titles}, target


def test_every_file_that_a_page_names_exists() -> None:
    for page in PAGES:
        for name in re.findall(r"`((?:bot|dialogs|docs|tests|pictures|scheduler)/[^`*<]+)`",
                               page.read_text("utf-8")):  # fmt: skip
            assert (ROOT / name).exists(), f"{page.name}: {name}"


def test_the_picture_is_small_enough_for_a_slow_line() -> None:
    assert 20_000 < (ROOT / "docs/demo.png").stat().st_size < 300_000


def test_the_licence_is_the_official_text() -> None:
    text = (ROOT / "LICENSE").read_bytes()
    known = "0d96a4ff68ad6d4b6f1f30f713b18d5184912ba8dd389f86aa7710db079abcb0"
    assert hashlib.sha256(text).hexdigest() == known


# --- what stands nowhere -----------------------------------------------------------------------


def _written() -> Iterator[tuple[str, str]]:
    """Every text file of the repository: what git knows, and what it would take."""
    listed = subprocess.run(
        ["git", "ls-files", "-co", "--exclude-standard", "-z"],
        cwd=ROOT, capture_output=True, check=True,
    ).stdout.decode()  # fmt: skip
    for name in filter(None, listed.split("\0")):
        file = ROOT / name
        if file.is_file():
            text = file.read_bytes()
            if b"\0" not in text:
                yield name, text.decode("utf-8", "replace")


def test_no_file_names_a_package_registrys_host() -> None:
    hosts = [".".join(parts) for parts in (
        ("pypi", "org"), ("pythonhosted", "org"), ("registry", "npmjs"), ("deb", "debian", "org"),
    )]  # fmt: skip
    assert [(n, host) for n, text in _written() for host in hosts if host in text] == []


def test_no_file_speaks_of_the_machine_it_was_written_on() -> None:
    words = ["/" + "work/", "sub" + "agent", "anth" + "ropic", "chat" + "gpt"]
    found = [(n, word) for n, text in _written() for word in words if word in text.lower()]
    assert found == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_a_page_is_calm(page: Path) -> None:
    text = page.read_text("utf-8")
    assert not re.search("[\U0001f000-\U0001faff\u2600-\u27bf]", text), "no pictures in the text"
    assert not re.search(r"\b(agents?|assistant)\b", text, re.I)
