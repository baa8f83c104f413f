"""`phen staff` and `phen duty`, as a person at the keyboard has them."""

from __future__ import annotations

import asyncio
import re
import shutil
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TypeVar

import pytest
from typer.testing import CliRunner

from bot import cli
from bot.app import Phen, join
from bot.cli_common import Mistake
from bot.cli_duty import DAYS, PROBLEMS, told
from bot.privacy.vault import Vault
from bot.settings import Settings
from bot.storage.migrate import migrate
from bot.storage.records import Case, CaseState, Role, Wish
from scheduler.ical import PROBLEM_CODES
from scheduler.ical_lines import Problem
from tests.bot.test_cli import Keyboard, QuickKeyboard

T = TypeVar("T")


def tomorrow() -> datetime:
    return datetime.now(UTC) + timedelta(days=1)


@pytest.fixture(scope="module")
def empty(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A line with maria, a consultant of two languages, and boss, who is invited as an admin."""
    keyboard = Keyboard(tmp_path_factory.mktemp("centre"))
    settings = Settings(data_dir=keyboard.folder / "data")
    settings.data_dir.mkdir()
    migrate(settings.database)
    Vault.open(settings.key_file, create=True)

    async def people(phen: Phen) -> None:
        await phen.accounts.invite("boss", [Role.ADMIN])
        await phen.accounts.invite("maria", [Role.CONSULTANT], languages=["bg", "tr"])
        member = await phen.store.staff_by_login("maria")
        assert member is not None
        assert await phen.store.accept_invite(member.id, "hash", "SECRET")

    beside(keyboard, people)
    return keyboard.folder


@pytest.fixture
def centre(empty: Path, tmp_path: Path) -> Keyboard:
    """The same line for this test alone."""
    shutil.copytree(empty, tmp_path, dirs_exist_ok=True)
    return QuickKeyboard(tmp_path)


def beside(keyboard: Keyboard, work: Callable[[Phen], Awaitable[T]]) -> T:
    """Something that happens in the running line meanwhile."""

    async def joined() -> T:
        async with join(Settings(data_dir=keyboard.folder / "data")) as phen:
            return await work(phen)

    return asyncio.run(joined())


def row(said: str, login: str) -> str:
    """The line of a table that speaks of her."""
    (line,) = (line for line in said.splitlines() if re.search(rf"\b{login}\b", line))
    return line


# --- staff ---------------------------------------------------------------------------------


def test_the_list_shows_what_each_speaks_and_whose_phone_rings(centre: Keyboard) -> None:
    listed = centre.types("staff", "list").out
    assert "bg, tr" in row(listed, "maria")
    assert "tr" not in row(listed, "boss")

    assert "linked" not in listed
    beside(centre, linked)
    listed = centre.types("staff", "list").out
    assert "linked" in row(listed, "maria")
    assert "linked" not in row(listed, "boss")
    assert "4711" not in listed


def test_a_language_that_the_line_does_not_speak_is_refused_and_those_it_does_are_named(
    centre: Keyboard,
) -> None:
    invite = ("staff", "add", "ana", "--role", "consultant", "--language")
    said = centre.refused(*invite, "klingon")
    assert "bg" in said
    assert "tr" in said
    assert centre.types(*invite, "tr", "--language", "en").out.startswith("http")
    assert "en, tr" in row(centre.types("staff", "list").out, "ana")


@pytest.mark.parametrize("act", ["freeze", "remove"])
def test_who_is_linked_is_put_out_of_the_group_and_the_operator_reads_so(
    centre: Keyboard, act: str
) -> None:
    beside(centre, linked)
    said = centre.types("staff", act, "maria")  # in a shell that knows of no group
    assert "put out of the desk's Telegram group within seconds" in said.out

    async def noted(phen: Phen) -> list[str]:
        return [note.name for note in await phen.store.group_notes() if note.wish is Wish.OUT]

    assert beside(centre, noted) == ["maria"]
    if act == "freeze":
        assert "can be added" in centre.types("staff", "thaw", "maria", **a_group(centre)).out


def test_whom_phen_cannot_put_out_the_operator_reads_too(centre: Keyboard) -> None:
    assert "no Telegram group" in centre.types("staff", "freeze", "maria").out
    said = centre.types("staff", "remove", "maria", **a_group(centre))
    assert "administrator puts her out. Do it now." in said.out


def a_group(centre: Keyboard) -> dict[str, str]:
    """The settings of a desk that has one."""
    token = centre.folder / "desk.token"
    token.write_text("5550001:AAE-desk_token")
    return {"PHEN_DESK_TOKEN_FILE": str(token), "PHEN_DESK_CHAT": "-1001234567890"}


async def linked(phen: Phen) -> None:
    """Maria's telephone."""
    member = await phen.store.staff_by_login("maria")
    assert member is not None
    await phen.store.offer_bell(member.id, b"code", tomorrow())
    assert await phen.store.link_bell(b"code", "4711")


def test_who_is_frozen_is_thawed_again_and_her_case_waits(centre: Keyboard) -> None:
    async def claimed(phen: Phen) -> Case:
        member = await phen.store.staff_by_login("maria")
        assert member is not None
        case = await phen.store.open_case("web", "1", "bg", None, None, "A B")
        assert await phen.store.claim(case.id, member.id)
        return case

    case = beside(centre, claimed)
    assert centre.types("staff", "freeze", "maria").status == 0
    assert "frozen" in row(centre.types("staff", "list").out, "maria")
    waiting = beside(centre, lambda phen: phen.store.case(case.id))
    assert waiting is not None
    assert waiting.state is CaseState.WAITING
    assert waiting.bell_at is not None

    async def is_told(phen: Phen) -> bool:
        (message,) = await phen.store.messages(case.id)
        return message.text == phen.texts.say("bg", "notice.returned")

    assert beside(centre, is_told)
    assert centre.types("staff", "thaw", "Maria ").status == 0
    assert "active" in row(centre.types("staff", "list").out, "maria")
    assert "not frozen" in centre.refused("staff", "thaw", "maria")


def test_an_invitation_can_be_taken_back(centre: Keyboard) -> None:
    assert "invitation" in Keyboard(centre.folder).types("staff", "freeze", "boss").out
    assert "boss" not in centre.types("staff", "list").out


def test_who_is_removed_is_gone_with_her_duties_and_her_login_is_free(centre: Keyboard) -> None:
    centre.types("duty", "week", "maria", "mon", "09:00-17:00")
    assert centre.types("staff", "remove", "maria").status == 0
    assert "maria" not in centre.types("staff", "list").out
    assert "No duty is known" in centre.types("duty", "list").out
    assert centre.types("staff", "add", "maria", "--role", "consultant").status == 0


@pytest.mark.parametrize(
    "words",
    [("staff", "freeze", "nobody"), ("staff", "thaw", "nobody"), ("duty", "week", "nobody")],
    ids=" ".join,
)
def test_a_login_that_is_nobodys_is_one_sentence(centre: Keyboard, words: tuple[str, ...]) -> None:
    assert "phen staff list" in centre.refused(*words)


# --- duty ----------------------------------------------------------------------------------


def test_before_any_duty_is_known_the_list_says_whom_the_bell_rings_for(centre: Keyboard) -> None:
    said = centre.types("duty", "list")
    assert said.status == 0
    assert "everybody" in said.out


def test_a_week_is_kept_and_listed_with_who_is_there_now(centre: Keyboard) -> None:
    always = [word for day in DAYS for word in (day, "00:00-24:00")]
    assert centre.types("duty", "week", "maria", *always).status == 0
    said = centre.types("duty", "list").out
    assert "On duty now: maria." in said
    assert len([line for line in said.splitlines() if "bg, tr" in line]) in (7, 8)
    assert "\x1b" not in said
    assert centre.types("duty", "week", "maria").status == 0
    assert "No duty is known" in centre.types("duty", "list").out


def test_a_week_replaces_the_week_before(centre: Keyboard) -> None:
    today = datetime.now(UTC).date()
    in_two_days = DAYS[(today + timedelta(days=2)).weekday()]
    centre.types("duty", "week", "maria", in_two_days, "08:11-09:00")
    centre.types("duty", "week", "maria", in_two_days, "10:22-11:00,12:33-13:44")
    said = centre.types("duty", "list").out
    assert "Nobody is on duty now; next: maria" in said
    assert "10:22" in said
    assert "13:44" in said
    assert "08:11" not in said


def test_a_day_can_differ_and_be_as_usual_again(centre: Keyboard) -> None:
    day = datetime.now(UTC).date() + timedelta(days=3)
    centre.types("duty", "week", "maria", DAYS[day.weekday()], "09:11-10:00")
    assert centre.types("duty", "day", "maria", str(day), "away").status == 0
    assert f"{day} 09:11" not in centre.types("duty", "list").out
    assert centre.types("duty", "day", "maria", str(day), "12:22-13:00,14:33-15:00").status == 0
    said = centre.types("duty", "list").out
    assert f"{day} 12:22" in said
    assert f"{day} 14:33" in said
    assert f"{day} 09:11" not in said
    assert centre.types("duty", "day", "maria", str(day), "week").status == 0
    assert f"{day} 09:11" in centre.types("duty", "list").out


@pytest.mark.parametrize(
    ("words", "named"),
    [
        (("week", "maria", "mon"), "in turn"),
        (("week", "maria", "monday", "09:00-17:00"), "monday"),
        (("week", "maria", "mon", "09:00-17:00", "mon", "18:00-19:00"), "twice"),
        (("week", "maria", "mon", "9-17"), "9-17"),
        (("week", "maria", "mon", "09:00-25:00"), "09:00-25:00"),
        (("week", "maria", "mon", "09:00-12:00,11:00-13:00"), "overlap"),
        (("week", "maria", "mon", "22:00-06:00,23:00-23:30"), "overlap"),
        (("day", "maria", "24.12.2031", "away"), "2026-12-24"),
        (("day", "maria", "2031-02-30", "away"), "2031-02-30"),
        (("day", "maria", "2031-12-24", "gone"), "gone"),
        (("import", "maria", "no/such.ics"), "no/such.ics"),
    ],
)
def test_a_mistake_in_the_words_is_one_sentence_before_anything_is_done(
    words: tuple[str, ...], named: str
) -> None:
    error = CliRunner().invoke(cli.app, ["duty", *words]).exception
    assert isinstance(error, Mistake)
    assert named in str(error)
    assert len(str(error).splitlines()) == 1


def test_a_mistake_about_the_person_or_the_day_is_one_sentence_and_changes_nothing(
    centre: Keyboard,
) -> None:
    assert "no consultant" in centre.refused("duty", "week", "boss", "mon", "09:00-17:00")
    assert "2020-12-24" in centre.refused("duty", "day", "maria", "2020-12-24", "away")
    assert "No duty is known" in centre.types("duty", "list").out


# --- duties from a calendar ------------------------------------------------------------------


def calendar(*events: str) -> str:
    inside = "".join(f"BEGIN:VEVENT\n{each}\nEND:VEVENT\n" for each in events)
    return f"BEGIN:VCALENDAR\n{inside}END:VCALENDAR\n"


def test_a_calendar_is_taken_whole_and_the_next_one_replaces_it(centre: Keyboard) -> None:
    file = centre.folder / "duties.ics"
    daily = f"DTSTART:{tomorrow():%Y%m%d}T041700Z\nDURATION:PT1H\nRRULE:FREQ=DAILY"
    file.write_text(calendar(daily))
    said = centre.types("duty", "import", "maria", str(file))
    assert said.status == 0
    assert re.fullmatch(r"Duties taken: 18[123], until 20\d\d-\d\d-\d\d; then .*\n", said.out)
    assert ":17" in row_of_first(centre)
    file.write_text(calendar(daily.replace("1700Z", "2600Z") + ";COUNT=1"))
    assert "Duties taken: 1," in centre.types("duty", "import", "maria", str(file)).out
    assert ":26" in row_of_first(centre)


def row_of_first(keyboard: Keyboard) -> str:
    said = keyboard.types("duty", "list").out
    return next(line for line in said.splitlines() if "bg, tr" in line)


def test_each_mistake_in_a_calendar_is_named_by_its_line_and_nothing_is_taken(
    centre: Keyboard,
) -> None:
    file = centre.folder / "duties.ics"
    good = f"DTSTART:{tomorrow():%Y%m%d}T090000Z\nDURATION:PT1H"
    bad = f"{good}\nRRULE:FREQ=SECONDLY"
    file.write_text(calendar(good, bad, good.replace("DTSTART", "DTSTART;TZID=Mars/Base")))
    said = Keyboard(centre.folder).refused("duty", "import", "maria", str(file), lines=2)
    assert "line 9, RRULE: " in said
    assert "SECONDLY" in said
    assert "line 12, DTSTART: " in said
    assert "Mars/Base" in said
    assert "No duty is known" in centre.types("duty", "list").out


def test_every_problem_of_a_calendar_has_a_sentence_that_says_what_to_do() -> None:
    assert set(PROBLEMS) == set(PROBLEM_CODES)
    params = {"limit": 1, "found": 2, "weeks": 26, "value": "x", "first": 3, "days": 31,
              "part": "BYDAY", "freq": "WEEKLY"}  # fmt: skip
    for code, sentence in PROBLEMS.items():
        assert ";" in sentence, code
        assert told(Problem(4, "DTEND", code, params)).startswith("line 4, DTEND: ")
