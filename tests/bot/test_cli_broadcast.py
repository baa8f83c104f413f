"""`phen broadcast`, as two people at a keyboard have it."""

from __future__ import annotations

import asyncio
import io
import re
import shutil
from pathlib import Path

import pyotp
import pytest
from rich.console import Console

from bot import cli_broadcast
from bot.app import Phen
from bot.broadcasts import Problem
from bot.cli_broadcast import in_lines, looks, with_bar
from bot.desk.accounts import unspent_code
from bot.privacy.vault import Vault
from bot.settings import Settings
from bot.storage.mail_records import BroadcastState
from bot.storage.migrate import migrate
from bot.storage.records import Role
from tests.bot.desk import PASSWORD, a_centre
from tests.bot.test_broadcasts import proposed, send, two, wait_there
from tests.bot.test_cli import Keyboard, QuickKeyboard
from tests.bot.test_cli_duty import beside
from tests.line import eventually

WORDS = "Приемната в четвъртък е от 11 часа.\n"
PEOPLE = {"raya": Role.STAFF, "ivan": Role.ADMIN, "maria": Role.CONSULTANT}


@pytest.fixture(scope="module")
def empty(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A line whose people have come in by their invitations, and a file of words."""
    keyboard = Keyboard(tmp_path_factory.mktemp("centre"))
    settings = Settings(data_dir=keyboard.folder / "data")
    settings.data_dir.mkdir()
    migrate(settings.database)
    Vault.open(settings.key_file, create=True)

    async def people(phen: Phen) -> None:
        for login, role in PEOPLE.items():
            token = await phen.accounts.invite(login, [role])
            enrolment = await phen.accounts.accept(token, PASSWORD)
            code = pyotp.TOTP(enrolment.secret).at(phen.now())
            await phen.accounts.confirm(token, enrolment.sealed, code)

    beside(keyboard, people)
    (keyboard.folder / "bg.txt").write_text(WORDS)
    return keyboard.folder


@pytest.fixture
def centre(empty: Path, tmp_path: Path) -> Keyboard:
    """The same line for this test alone."""
    shutil.copytree(empty, tmp_path, dirs_exist_ok=True)
    return QuickKeyboard(tmp_path)


def proof(keyboard: Keyboard, login: str) -> str:
    """What she types when she is asked for password and code."""

    async def code(phen: Phen) -> str:
        credentials = await phen.store.credentials(login)
        assert credentials is not None
        return unspent_code(credentials, phen.now())

    return f"{PASSWORD}\n{beside(keyboard, code)}\n"


def composed(keyboard: Keyboard) -> str:
    """The id of a draft of hers."""
    said = keyboard.types("broadcast", "new", "--as", "raya", "--text", "bg=bg.txt")
    assert said.status == 0, said
    found = re.search(r"broadcast propose ([0-9a-f]{32}) --as raya", said.out)
    assert found
    return found[1]


def test_it_is_composed_shown_proposed_and_approved_by_another(centre: Keyboard) -> None:
    async def waits(phen: Phen) -> None:
        await phen.store.subscribe("telegram", "1", "bg", "rse27", "day", None)

    beside(centre, waits)
    which = composed(centre)
    shown = centre.types("broadcast", "show", which).out
    for told in (WORDS.strip(), "on all channels: under 10", "billable", "up to a minute",
                 "telegram, on the phone", "viber, behind the gate", "[1. Виж]"):  # fmt: skip
        assert told in shown
    proposal = "broadcast", "propose", which, "--as", "raya"
    assert f"approve {which}" in centre.types(*proposal, given=proof(centre, "raya")).out
    ask = "broadcast", "approve", which, "--as"
    assert "Only staff" in centre.refused(*ask, "maria", given=proof(centre, "maria"))
    assert "password" in centre.refused(*ask, "ivan", given="wrong wrong wrong\n000000\n")
    done = centre.types(*ask, "ivan", given=proof(centre, "ivan"))
    assert done.status == 0
    assert WORDS.strip() in done.out
    assert "done" in centre.types("broadcast", "list").out  # all there is looks for herself
    watched = centre.types("broadcast", "watch", which).out
    assert "held: under 10" in watched
    assert "\x1b" not in watched
    assert "begun or ended" in centre.refused("broadcast", "cancel", which)

    async def audited(phen: Phen) -> list[str]:
        return [each.action for each in await phen.store.audits(20)]

    actions = beside(centre, audited)
    assert {"broadcast.saved", "broadcast.proposed", "broadcast.approved"} <= set(actions)
    assert "refused.role" in actions


def test_only_who_wrote_it_proposes_it_and_she_cannot_approve_it(centre: Keyboard) -> None:
    which = composed(centre)

    async def propose(phen: Phen) -> None:
        raya = await phen.store.staff_by_login("raya")
        assert raya is not None
        await phen.broadcasts.propose(raya.id, which)

    ask = "broadcast", "propose", which, "--as", "ivan"
    assert "wrote it last" in centre.refused(*ask, given=proof(centre, "ivan"))
    beside(centre, propose)
    ask = "broadcast", "approve", which, "--as", "raya"
    assert "cannot approve" in centre.refused(*ask, given=proof(centre, "raya"))
    assert "proposed" in centre.types("broadcast", "list").out


def test_it_is_paused_resumed_and_cancelled(centre: Keyboard) -> None:
    which = composed(centre)
    assert "not begun" in centre.refused("broadcast", "watch", which)
    assert "is draft" in centre.refused("broadcast", "approve", which, "--as", "ivan")

    async def begin(phen: Phen) -> None:
        await phen.store.subscribe("telegram", "1", "bg", "rse27", "day", "remind.words.when")
        raya, ivan = [await phen.store.staff_by_login(login) for login in ("raya", "ivan")]
        assert raya is not None
        assert ivan is not None
        it = await phen.broadcasts.propose(raya.id, which)
        await phen.broadcasts.approve(ivan.id, which, it.digest or "")

    beside(centre, begin)
    for word, state in (("pause", "paused"), ("resume", "running"), ("cancel", "cancelled")):
        assert centre.types("broadcast", word, which).status == 0
        assert f"{which}: {state}" in centre.types("broadcast", "show", which).out


@pytest.mark.parametrize(
    ("words", "named"),
    [
        (("new", "--as", "raya", "--text", "bg.txt"), "bg=words.txt"),
        (("new", "--as", "raya", "--text", "bg=none.txt"), "none.txt"),
        (("new", "--as", "raya", "--text", "bg=bad.txt"), "UTF-8"),
        (("new", "--as", "raya", "--text", "bg=link.txt"), "text-bg: “www.a.bg”"),
        (("new", "--as", "nobody", "--text", "bg=bg.txt"), "phen staff list"),
        (("new", "--as", "raya", "--text", "bg=bg.txt", "--channel", "web"), "“web”"),
        (("new", "--as", "raya", "--text", "bg=bg.txt", "--municipality", "Бяла"), "“бяла”"),
        (("show", "nothing"), "no such broadcast"),
        (("watch", "nothing"), "no such broadcast"),
        (("pause", "nothing"), "no such broadcast"),
    ],
)
def test_a_mistake_is_one_sentence(centre: Keyboard, words: tuple[str, ...], named: str) -> None:
    (centre.folder / "bad.txt").write_bytes(b"\xff\xfe\xff")
    (centre.folder / "link.txt").write_text("Виж www.a.bg")
    assert named in centre.refused("broadcast", *words)


def test_every_problem_of_the_words_has_a_sentence_that_says_what_to_do() -> None:
    params = {"n": 1, "found": 2, "value": "x", "phrase": "x", "word": "x"}
    for code, sentence in cli_broadcast.PROBLEMS.items():
        assert ";" in sentence, code
        assert cli_broadcast.told(Problem("text", code, params)).startswith("text: ")


@pytest.mark.parametrize("terminal", [True, False])
async def test_who_looks_on_sees_it_go_until_it_has_ended(
    tmp_path: Path,
    terminal: bool,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(cli_broadcast, "LOOK_SECONDS", 0.01)
    screen = io.StringIO()
    async with a_centre(tmp_path) as centre:
        await wait_there(centre, 25)
        raya, ivan = await two(centre)
        it = await proposed(centre, raya)
        await centre.broadcasts.approve(ivan.id, it.id, it.digest or "")
        look = looks(centre.broadcasts, it.id)
        console = Console(file=screen, force_terminal=True, width=120)
        following = asyncio.create_task(with_bar(look, console) if terminal else in_lines(look))

        def said() -> str:
            if not terminal:
                screen.write(capsys.readouterr().out)
            return screen.getvalue()

        assert await eventually(lambda: "running, under 10 delivered, at least 20 left" in said())
        centre.clock.passes(seconds=30)
        await send(centre, 15)
        told = "at least 10 delivered, at least 10 left, at least 20 a minute, up to a minute to go"
        assert await eventually(lambda: told in said())
        await send(centre, 10)
        assert (await following).state is BroadcastState.DONE
    assert ("\x1b" in said()) == terminal
