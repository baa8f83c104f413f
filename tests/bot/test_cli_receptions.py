"""`phen receptions`, as a person at the keyboard has it."""

from __future__ import annotations

import csv
import io
from datetime import UTC, datetime, timedelta
from pathlib import Path
from string import Formatter

import pytest
from icalendar import Calendar

from bot.cli_receptions import PROBLEMS, told
from bot.texts import ZONE
from scheduler.ical import HORIZON, PROBLEM_CODES
from scheduler.ical_lines import Problem
from scheduler.reception_ical import OWN_CODES
from tests.bot.test_cli import Keyboard, QuickKeyboard, SlowKeyboard
from tests.scheduler.test_ical import calendar

HEAD = "municipality,date,start,end,place,landmark,attends,public_name\n"
GOOD = HEAD + "rse05,2027-12-01,10:00,14:00,Ветово,читалището,,Ден за съвети\n"
EVENT = """\
UID:{uid}
SEQUENCE:0
DTSTART;TZID=FLE Standard Time:20271206T100000
DURATION:PT4H
LOCATION:Ветово\\, {uid}
CATEGORIES:rse05
"""


@pytest.fixture(scope="module")
def centre(tmp_path_factory: pytest.TempPathFactory) -> Keyboard:
    """A migrated line that the commands beside a server share."""
    keyboard = Keyboard(tmp_path_factory.mktemp("centre"))
    assert keyboard.types("migrate").status == 0
    return QuickKeyboard(keyboard.folder)


# --- tables --------------------------------------------------------------------------------


def test_a_reception_is_added_listed_and_exported(centre: Keyboard) -> None:
    centre = Keyboard(centre.folder)
    added = SlowKeyboard(centre.folder).types(
        "receptions", "add", "rse05", "2027-11-01", "10:00", "14:00", "Сеново",
        "--landmark", "до пощата",
    )  # fmt: skip
    assert (added.status, added.out) == (0, "Added.\n")
    listed = centre.types("receptions", "list", "--municipality", "RSE05")
    assert "2027-11-01 10:00" in listed.out
    assert "Сеново" in listed.out
    assert "\x1b" not in listed.out
    assert "Сеново" not in centre.types("receptions", "list", "--municipality", "rse27").out
    exported = centre.types("receptions", "export")
    rows = list(csv.DictReader(io.StringIO(exported.out.lstrip("\ufeff"))))
    assert "до пощата" in {row["landmark"] for row in rows}


def test_what_is_exported_can_be_imported_and_changes_nothing(
    centre: Keyboard, tmp_path: Path
) -> None:
    plan = tmp_path / "plan.csv"
    plan.write_text(GOOD, encoding="utf-8")
    assert centre.types("receptions", "import", str(plan)).out == (
        "Added: 1, changed: 0, unchanged: 0.\n"
    )
    assert centre.types("receptions", "import", str(plan)).out == (
        "Added: 0, changed: 0, unchanged: 1.\n"
    )
    out = tmp_path / "out.csv"
    assert centre.types("receptions", "export", str(out)).status == 0
    again = centre.types("receptions", "import", str(out))
    assert again.status == 0, again
    assert again.out.startswith("Added: 0, changed: 0, unchanged: ")


def test_what_is_there_already_is_not_added_again_and_it_says_so(centre: Keyboard) -> None:
    words = ("receptions", "add", "rse05", "2027-11-08", "10:00", "14:00", "Кривня")
    assert centre.types(*words).out == "Added.\n"
    assert centre.types(*words).out == "Added: 0, changed: 0, unchanged: 1.\n"


def test_what_is_called_off_stays_so_and_an_older_table_is_refused(
    centre: Keyboard, tmp_path: Path
) -> None:
    plan = tmp_path / "plan.csv"
    plan.write_text(GOOD.replace("-12-01", "-11-09"), encoding="utf-8")
    centre.types("receptions", "import", str(plan))
    old = tmp_path / "old.csv"
    centre.types("receptions", "export", str(old))
    off = tmp_path / "off.csv"
    off.write_text("\n".join(
        line.replace(",planned,0", ",cancelled,0") if "-11-09" in line else line
        for line in old.read_text("utf-8").splitlines()
    ), encoding="utf-8")  # fmt: skip
    assert ", changed: 1," in centre.types("receptions", "import", str(off)).out
    assert centre.types("receptions", "import", str(plan)).out == (
        "Added: 0, changed: 0, unchanged: 0.\n"
        "Called off here but taking place in the file: 1. They stay called off; if they do take"
        " place, restore them on the page.\n"
    )
    assert "changed here since this table was downloaded" in centre.refused(
        "receptions", "import", str(old)
    )


@pytest.mark.parametrize(
    ("row", "line"),
    [
        ("rse99,2027-12-01,10:00,14:00,Ветово,,,\n", "2"),
        ("rse05,2001-12-01,10:00,14:00,Ветово,,,\n", "2"),
        ("rse05,2072-12-01,10:00,14:00,Ветово,,,\n", "line 2, date: 2072-12-01 is more than two"),
        ("rse05,2027-12-02,14:00,10:00,Ветово,,,\n", "2"),
        ("rse05,2027-12-03,10:00,14:00,A,,,\nrse05,31.31.2027,10:00,14:00,B,,,\n", "3"),
    ],
    ids=["unknown municipality", "in the past", "too far", "end before start", "no date"],
)
def test_a_mistake_in_a_csv_is_named_by_its_line_and_nothing_is_imported(
    centre: Keyboard, tmp_path: Path, row: str, line: str
) -> None:
    before = centre.types("receptions", "export").out
    plan = tmp_path / "plan.csv"
    plan.write_text(HEAD + row, encoding="utf-8")
    assert line in centre.refused("receptions", "import", str(plan))
    assert centre.types("receptions", "export").out == before


def test_every_mistake_of_a_csv_is_named_at_once(centre: Keyboard, tmp_path: Path) -> None:
    plan = tmp_path / "plan.csv"
    plan.write_text(HEAD + "rse99,2027-12-01,10:00,14:00,A,,,\nrse05,x,10:00,14:00,B,,,\n")
    centre.refused("receptions", "import", str(plan), lines=2)


@pytest.mark.parametrize("content", [b"", b"\x00\x01", b"a;b;c\n1;2;3\n", b"\xff\xfe\x00"])
def test_a_file_that_is_no_plan_is_refused(
    centre: Keyboard, tmp_path: Path, content: bytes
) -> None:
    plan = tmp_path / "plan.csv"
    plan.write_bytes(content)
    said = centre.types("receptions", "import", str(plan))
    assert said.status == 1
    assert said.err.strip()


def test_a_file_that_is_not_there_and_a_folder_that_is_not_there(centre: Keyboard) -> None:
    centre = Keyboard(centre.folder)
    assert "gone.csv" in centre.refused("receptions", "import", "gone.csv")
    assert "no/such" in centre.refused("receptions", "export", "no/such/plan.csv")


# --- calendars -----------------------------------------------------------------------------


def events(name: str) -> list[str]:
    return [EVENT.format(uid=f"{name}{number}") for number in range(3)]


def imported(centre: Keyboard, file: Path, data: bytes) -> str:
    file.write_bytes(data)
    said = centre.types("receptions", "import", str(file))
    assert said.status == 0, said
    return said.out


def test_a_second_calendar_changes_what_changed_and_says_so(
    centre: Keyboard, tmp_path: Path
) -> None:
    first, second, third = events("a")
    plan = tmp_path / "plan.ics"
    assert imported(centre, plan, calendar(first, second)) == (
        "Added: 2, changed: 0, cancelled: 0, older: 0, unchanged: 0.\n"
    )
    later = first.replace("SEQUENCE:0", "SEQUENCE:1").replace("T10", "T11")
    off = second + "STATUS:CANCELLED"
    assert imported(centre, plan, calendar(later, off, third)) == (
        "Added: 1, changed: 1, cancelled: 1, older: 0, unchanged: 0.\n"
    )
    assert imported(centre, plan, calendar(first, off, third)) == (
        "Added: 0, changed: 0, cancelled: 0, older: 1, unchanged: 2.\n"
    )
    listed = centre.types("receptions", "list").out.splitlines()
    rows = [[cell.strip() for cell in line.split("│")[1:-1]] for line in listed if ", a" in line]
    assert {row[2]: row[-1] for row in rows} == {
        "Ветово, a0": "moved",
        "Ветово, a1": "cancelled",
        "Ветово, a2": "planned",
    }


def test_one_that_does_not_count_is_believed_each_time(centre: Keyboard, tmp_path: Path) -> None:
    event, *_ = events("b")
    plan = tmp_path / "plan.ics"
    imported(centre, plan, calendar(event))
    for hour in ("11", "12", "13"):
        said = imported(centre, plan, calendar(event.replace("T10", f"T{hour}")))
        assert "changed: 1, cancelled: 0, older: 0" in said


def test_what_was_called_off_here_stays_so_when_its_calendar_comes_again(
    centre: Keyboard, tmp_path: Path
) -> None:
    event, *_ = events("called-off")
    plan, table = tmp_path / "plan.ics", tmp_path / "table.csv"
    imported(centre, plan, calendar(event))
    off = 'rse05,2027-12-06,10:00,14:00,"Ветово, called-off0",,,,cancelled\n'
    said = imported(centre, table, (HEAD.replace("\n", ",state\n") + off).encode())
    assert said == "Added: 0, changed: 1, unchanged: 0.\n"
    assert imported(centre, plan, calendar(event)).endswith(
        "unchanged: 0.\nCalled off here but taking place in the file: 1. They stay called off; if"
        " they do take place, restore them on the page.\n"
    )


def test_it_says_until_when_it_took_what_repeats(centre: Keyboard, tmp_path: Path) -> None:
    event, *_ = events("c")
    now = datetime.now(UTC)
    tomorrow = now + timedelta(days=1)
    monthly = event.replace("20271206", f"{tomorrow:%Y%m%d}") + "RRULE:FREQ=MONTHLY"
    said = imported(centre, tmp_path / "plan.ics", calendar(monthly))
    until = (now + HORIZON).astimezone(ZONE)
    assert f"What repeats is taken until {until:%Y-%m-%d}; then import again.\n" in said


def test_a_calendar_that_goes_out_comes_back_unchanged_under_any_name(
    centre: Keyboard, tmp_path: Path
) -> None:
    imported(centre, tmp_path / "plan.ics", calendar(*events("d")))
    assert centre.types("receptions", "export", "out.ics").out == "Written: out.ics\n"
    written = (centre.folder / "out.ics").read_bytes()
    assert len(Calendar.from_ical(written).events) >= 3
    said = imported(centre, tmp_path / "plan.txt", written)
    assert said.startswith("Added: 0, changed: 0, cancelled: 0, older: 0, unchanged: ")


def test_a_calendar_goes_to_standard_output_as_it_is_kept(centre: Keyboard) -> None:
    centre = Keyboard(centre.folder)
    said = centre.types("receptions", "export", "--ics")
    assert said.status == 0
    assert said.out.startswith("BEGIN:VCALENDAR")
    assert not Calendar.from_ical(said.out).errors


def test_every_mistake_of_a_calendar_is_named_by_its_line_and_nothing_is_imported(
    centre: Keyboard, tmp_path: Path
) -> None:
    before = centre.types("receptions", "list").out
    good, nowhere, day = events("e")
    plan = tmp_path / "plan.ics"
    plan.write_bytes(
        calendar(
            good,
            nowhere.replace("rse05", "Ветово"),
            day.replace("DURATION:PT4H", "DURATION:PT20H"),
        )
    )
    said = centre.refused("receptions", "import", str(plan), lines=2).splitlines()
    assert said[0].startswith("line 18, CATEGORIES: “Ветово” is a name, and names repeat")
    assert said[1].startswith("line 20, DTEND: the reception ends on another day")
    assert centre.types("receptions", "list").out == before


@pytest.mark.parametrize("content", [b"", b"BEGIN:VCALENDAR", b"municipality,place\n"])
def test_a_file_that_is_no_calendar_is_refused(
    centre: Keyboard, tmp_path: Path, content: bytes
) -> None:
    plan = tmp_path / "plan.ICS"
    plan.write_bytes(content)
    centre.refused("receptions", "import", str(plan))


@pytest.mark.parametrize("code", sorted({*PROBLEM_CODES, *OWN_CODES}))
def test_each_mistake_of_a_calendar_is_one_sentence(code: str) -> None:
    fields = {name for _, name, _, _ in Formatter().parse(PROBLEMS[code]) if name}
    said = told(Problem(4, "DTEND", code, dict.fromkeys(fields, "7")))
    assert said.startswith("line 4, DTEND: ")
    assert "dut" not in said
