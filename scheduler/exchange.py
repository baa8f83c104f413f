"""Receptions in and out as CSV, the way a spreadsheet saves them.

Columns, in any order, in the first line of the file:

    municipality       LAU code (rse04) or EKATTE code (07603), never the name
    place              where in the municipality: Бяла, читалището
    landmark           how to find it; may be empty
    date               2026-12-01 or 01.12.2026
    start, end         HH:MM on the clocks of Bulgaria, both on that date
    attends            who comes; may be empty
    public_name        the neutral name it is announced under; may be empty
    id                 optional column: empty for a new reception
    state              optional column: planned (also when empty), moved, cancelled
    municipality_name  optional column, for the human eye: must fit the code when filled
    sequence           optional column: how often it was changed when the table was downloaded

How the file itself may be written is said in `csv_lines`. One with any mistake gives no reception
at all, and every mistake by line and column. What becomes of its receptions is decided in
`reception_table`.
"""

from __future__ import annotations

import csv
import io
import re
import unicodedata
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time
from typing import TypeAlias
from zoneinfo import ZoneInfo

from scheduler.csv_lines import COLUMNS, Line, Problem, Unusable, lines_of, shown
from scheduler.model import FARTHEST, Reception, ReceptionState

Places: TypeAlias = Mapping[str, tuple[str, str]]
"""The municipalities: LAU code in lower case -> (EKATTE code, name)."""

SOFIA = ZoneInfo("Europe/Sofia")
LONGEST = {"place": 80, "landmark": 120, "attends": 120, "public_name": 80, "id": 64}
LONGEST_TIDIED = 2_000
"""Longer ones are taken nowhere, and to sort the marks of one takes its length's square."""
_ISO_DATE = re.compile(r"(?P<y>[0-9]{4})-(?P<m>[0-9]{1,2})-(?P<d>[0-9]{1,2})")
_BG_DATE = re.compile(r"(?P<d>[0-9]{1,2})\.(?P<m>[0-9]{1,2})\.(?P<y>[0-9]{4})(\s*г\.?)?")
_TIME = re.compile(r"([01]?[0-9]|2[0-3]):([0-5][0-9])(:00)?")
_ID = re.compile(r"[A-Za-z0-9_-]+")
_COUNT = re.compile(r"[0-9]{1,9}")
_FORMULA = re.compile(r"'*[=+\-@＝＋－＠]")


@dataclass(frozen=True, slots=True)
class CsvRow:
    """One reception of a file, the line that it begins in, and how often it had been changed.

    The reception's id is empty where the file gives none; so is the count (None).
    """

    line: int
    reception: Reception
    sequence: int | None = None


@dataclass(frozen=True, slots=True)
class CsvResult:
    """What a file holds: its receptions, or, when there is any problem, only the problems."""

    rows: tuple[CsvRow, ...] = ()
    problems: tuple[Problem, ...] = ()


def read_csv(data: bytes, places: Places, now: datetime) -> CsvResult:
    """The receptions of a CSV file, or all its mistakes; raises nothing on any bytes.

    `now` is aware: what is over by then is a mistake.
    """
    try:
        rows = [_Row(line) for line in lines_of(data)]
    except Unusable as unusable:
        return CsvResult(problems=unusable.problems)
    drafts = [row.reception(places, now) for row in rows]
    _mark_repeated(rows, drafts)
    problems = tuple(problem for row in rows for problem in row.problems)
    if problems:
        return CsvResult(problems=problems)
    both = zip(rows, drafts, strict=True)
    return CsvResult(tuple(CsvRow(row.line, it, row.sequence) for row, it in both if it))


def write_csv(receptions: Iterable[Reception], places: Places, *, spreadsheet: bool = False) -> str:
    """The receptions as CSV that `read_csv` takes back, soonest first.

    `spreadsheet` is for opening by a double click in Bulgaria: semicolons and a BOM, without
    which Excel breaks columns and Cyrillic. A cell that a spreadsheet would run as a formula gets
    an apostrophe, which `read_csv` takes off again. Minutes and one local day are what it keeps:
    seconds and an end on the next day are lost.
    """
    out = io.StringIO(newline="")
    writer = csv.writer(out, delimiter=";" if spreadsheet else ",", lineterminator="\n")
    writer.writerow(COLUMNS)
    for reception in sorted(receptions, key=lambda it: (it.start, it.municipality, it.id)):
        cells = _cells(reception, places)
        writer.writerow([_guard(cells[column]) for column in COLUMNS])
    return ("\ufeff" if spreadsheet else "") + out.getvalue()


def _cells(reception: Reception, places: Places) -> dict[str, str]:
    start, end = reception.start.astimezone(SOFIA), reception.end.astimezone(SOFIA)
    return {
        "id": reception.id,
        "municipality": reception.municipality,
        "municipality_name": places.get(reception.municipality, ("", ""))[1],
        "place": reception.place,
        "landmark": reception.landmark,
        "date": f"{start:%Y-%m-%d}",
        "start": f"{start:%H:%M}",
        "end": f"{end:%H:%M}",
        "attends": reception.attends,
        "public_name": reception.public_name,
        "state": reception.state.value,
        "sequence": str(reception.sequence),
    }


# --- what holds for a reception from any file ----------------------------------------------------


def municipality_of(value: str, places: Places) -> str:
    """The LAU code that is meant, or nothing. A spreadsheet makes 7603 of the EKATTE code 07603."""
    if value.casefold() in places:
        return value.casefold()
    if not re.fullmatch(r"[0-9]{4,5}", value):
        return ""
    return next((code for code, place in places.items() if place[0] == value.zfill(5)), "")


def municipality_wrong(value: str, places: Places) -> tuple[str, dict[str, str | int]]:
    """Why that is no municipality, as code and params; a name is answered with its code."""
    bare = re.sub(r"^(община|гр\.|град|с\.|село)\s*", "", value, flags=re.IGNORECASE)
    for code, (ekatte, name) in places.items():
        if name.casefold() in (value.casefold(), bare.casefold()):
            return "municipality_by_name", {"value": name, "code": code, "ekatte": ekatte}
    return "municipality_unknown", {"value": shown(value), "known": known_codes(places)}


def known_codes(places: Places) -> str:
    """The codes that there are, each with its name."""
    return ", ".join(f"{code} ({name})" for code, (_, name) in places.items())


def text_wrong(value: str, longest: int) -> tuple[str, dict[str, str | int]] | None:
    """Why a text cannot be taken, as code and params."""
    if len(value) > longest:
        return "too_long", {"found": len(value), "limit": longest}
    if any(unicodedata.category(it)[0] == "C" or it == "\ufffd" for it in value):
        return "unreadable", {}
    return None


def tidy(text: str) -> str:
    """The text in one line and one spelling, without marks that nobody can see."""
    visible = "".join(it for it in text if unicodedata.category(it) != "Cf")
    line = " ".join(visible.split())
    return unicodedata.normalize("NFC", line) if len(line) <= LONGEST_TIDIED else line


def after_change(old: Reception | None, new: Reception) -> Reception:
    """A planned reception whose time or place changed is a moved one, and one moved stays so."""
    if old is None or new.state is not ReceptionState.PLANNED:
        return new
    same = all(
        getattr(old, name) == getattr(new, name)
        for name in ("municipality", "place", "start", "end")
    )
    stays = same and old.state is not ReceptionState.MOVED
    return new if stays else replace(new, state=ReceptionState.MOVED)


# --- the lines of a table ----------------------------------------------------------------------


class _Row:
    """One line of the file, and the mistakes found in it."""

    def __init__(self, line: Line) -> None:
        self.line = line.number
        self.problems = [*line.problems]
        self.sequence: int | None = None
        self._cells = {name: _read(cell) for name, cell in line.cells.items()}

    def wrong(self, column: str, code: str, /, **params: str | int) -> None:
        self.problems.append(Problem(self.line, column, code, params))

    def reception(self, places: Places, now: datetime) -> Reception | None:
        """The reception of this line, its id still as written; None when it is not whole."""
        if self.problems:
            return None
        municipality = self._municipality(places)
        texts = {name: self._text(name) for name in LONGEST}
        state = self._state()
        self.sequence = self._sequence()
        when = self._when(now, state)
        if self.problems or not municipality or not when:
            return None
        return Reception(
            id=texts["id"],
            municipality=municipality,
            place=texts["place"],
            start=when[0],
            end=when[1],
            landmark=texts["landmark"],
            attends=texts["attends"],
            public_name=texts["public_name"],
            state=state,
        )

    def _filled(self, column: str) -> str:
        value = self._cells.get(column, "")
        if not value:
            self.wrong(column, "empty")
        return value

    def _text(self, column: str) -> str:
        value = self._filled(column) if column == "place" else self._cells.get(column, "")
        wrong = text_wrong(value, LONGEST[column])
        if wrong is not None:
            self.wrong(column, wrong[0], **wrong[1])
        elif column == "id" and value and not _ID.fullmatch(value):
            self.wrong(column, "id_format", value=shown(value))
        return value

    def _municipality(self, places: Places) -> str:
        value = self._filled("municipality")
        code = municipality_of(value, places)
        if not value:
            return ""
        if not code:
            wrong, params = municipality_wrong(value, places)
            self.wrong("municipality", wrong, **params)
            return ""
        name = self._cells.get("municipality_name", "")
        if name and name.casefold() != places[code][1].casefold():
            params = {"value": shown(name), "code": code, "name": places[code][1]}
            self.wrong("municipality_name", "municipality_mismatch", **params)
        return code

    def _state(self) -> ReceptionState:
        value = self._cells.get("state", "").casefold() or ReceptionState.PLANNED.value
        if value in {state.value for state in ReceptionState}:
            return ReceptionState(value)
        self.wrong("state", "state_unknown", value=shown(value))
        return ReceptionState.PLANNED

    def _sequence(self) -> int | None:
        value = self._cells.get("sequence", "")
        if value and not _COUNT.fullmatch(value):
            self.wrong("sequence", "sequence_format", value=shown(value))
            return None
        return int(value) if value else None

    def _when(self, now: datetime, state: ReceptionState) -> tuple[datetime, datetime] | None:
        day, *times = self._date(), self._time("start"), self._time("end")
        if day is None:
            return None
        start, end = (
            self._moment(day, at, it) for at, it in zip(times, ("start", "end"), strict=True)
        )
        if start is None or end is None:
            return None
        if end <= start:
            self.wrong("end", "end_before_start", start=_hm(start), end=_hm(end))
        elif end <= now:
            self.wrong("date", "past", date=day.isoformat(), end=_hm(end))
        elif start - now > FARTHEST and state is not ReceptionState.CANCELLED:
            self.wrong("date", "too_far", date=day.isoformat())
        return start, end

    def _date(self) -> date | None:
        value = self._filled("date")
        found = _ISO_DATE.fullmatch(value) or _BG_DATE.fullmatch(value)
        if not found:
            if value:
                self.wrong("date", "date_format", value=shown(value))
            return None
        try:
            return date(int(found["y"]), int(found["m"]), int(found["d"]))
        except ValueError:
            self.wrong("date", "date_impossible", value=shown(value))
            return None

    def _time(self, column: str) -> time | None:
        value = self._filled(column)
        found = _TIME.fullmatch(value)
        if value and not found:
            self.wrong(column, "time_format", value=shown(value))
        return time(int(found[1]), int(found[2])) if found else None

    def _moment(self, day: date, at: time | None, column: str) -> datetime | None:
        """That time of that day in UTC; of an hour that comes twice in the autumn, the first."""
        if at is None:
            return None
        local = datetime.combine(day, at, SOFIA)
        try:
            moment = local.astimezone(UTC)
            exists = moment.astimezone(SOFIA).replace(tzinfo=None) == local.replace(tzinfo=None)
        except OverflowError:  # the first and the last day of the calendar
            self.wrong("date", "date_impossible", value=day.isoformat())
            return None
        if not exists:
            self.wrong(column, "time_gap", value=f"{at:%H:%M}", date=day.isoformat())
        return moment if exists else None


def _mark_repeated(rows: list[_Row], drafts: list[Reception | None]) -> None:
    seen: dict[tuple[object, ...], int] = {}
    for row, draft in zip(rows, drafts, strict=True):
        if draft is None:
            continue
        first = seen.setdefault((draft.municipality, draft.place.casefold(), draft.start), row.line)
        if first != row.line:
            row.wrong("", "twice", first=first)
        elif draft.id and seen.setdefault((draft.id,), row.line) != row.line:
            row.wrong("id", "id_twice", first=seen[(draft.id,)])


def _read(cell: str) -> str:
    text = tidy(cell)
    return text[1:] if text.startswith("'") and _FORMULA.match(text) else text


def _guard(text: str) -> str:
    line = tidy(text)
    return f"'{line}" if _FORMULA.match(line) else line


def _hm(moment: datetime) -> str:
    return f"{moment.astimezone(SOFIA):%H:%M}"
