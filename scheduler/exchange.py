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

UTF-8 (with a BOM or without), UTF-16 with a BOM or Windows-1251; comma, semicolon or tab. A file
with any mistake gives no reception at all, and every mistake by line and column.
"""

from __future__ import annotations

import csv
import io
import re
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, time
from typing import TypeAlias
from zoneinfo import ZoneInfo

from scheduler.model import Reception, ReceptionState

Places: TypeAlias = Mapping[str, tuple[str, str]]
"""The municipalities: LAU code in lower case -> (EKATTE code, name)."""

SOFIA = ZoneInfo("Europe/Sofia")
NEEDED = ("municipality", "place", "landmark", "date", "start", "end", "attends", "public_name")
COLUMNS = ("id", "municipality", "municipality_name", *NEEDED[1:], "state")
LONGEST = {"place": 80, "landmark": 120, "attends": 120, "public_name": 80, "id": 64}
LONGEST_TIDIED = 2_000
"""Longer ones are taken nowhere, and to sort the marks of one takes its length's square."""
MOST_BYTES = 1_000_000

MESSAGES = {
    # the file
    "spreadsheet": "this is a spreadsheet, not a CSV file. Save it as “CSV UTF-8” and try again",
    "encoding": "the text cannot be read. Save the file as “CSV UTF-8” and try again",
    "too_big": "the file is larger than {limit} bytes. Split it into smaller ones",
    "empty_file": "there is no reception in the file. Write one per line below the header",
    "quotes": "a quotation mark is never closed, or stands where it cannot. Close it, or write two"
    " for one inside a text",
    # the header
    "no_header": "the first line must name the columns: {columns}",
    "column_missing": "the column is missing. Add it to the first line",
    "column_unknown": "there is no such column. Rename or remove it; known are: {columns}",
    "column_twice": "the column stands twice in the first line. Remove one",
    # a row
    "extra_cells": "the line has {found} cells, the first line {expected}. Put quotation marks"
    " around a text with “{delimiter}” in it",
    "empty": "the cell is empty. Fill it in",
    "too_long": "the text has {found} characters, at most {limit} fit. Shorten it",
    "unreadable": "there are characters in it that cannot be shown. Type the text again",
    "id_format": "“{value}” is no id. Leave it empty for a new one, or copy it from an export",
    "municipality_by_name": "“{value}” is a name, and names repeat (three places are called Бяла)."
    " Write the code: {code} (EKATTE {ekatte}) is {value} in this district",
    "municipality_unknown": "“{value}” is no code of a municipality here. Known are: {known}",
    "municipality_mismatch": "“{value}” does not fit the code {code}, which is {name}."
    " Correct one of the two",
    "date_format": "“{value}” is no date. Write it as 2026-12-01 or 01.12.2026",
    "date_impossible": "there is no day {value} in the calendar. Correct it",
    "time_format": "“{value}” is no time. Write hours and minutes as 09:30",
    "time_gap": "{value} does not exist on {date}: the clocks go forward. Choose another hour",
    "end_before_start": "the end {end} is not after the start {start}. Correct one of the two",
    "past": "the reception is over ({date}, {end}). Correct the date or remove the line",
    "state_unknown": "“{value}” is no state. Write planned, moved or cancelled",
    "twice": "the same reception stands in line {first} already. Remove one",
    "id_twice": "the id stands in line {first} already. Leave it empty for a new reception",
}
"""Every problem's code and its English sentence; other languages take the code and the params."""

PROBLEM_CODES = tuple(MESSAGES)

_ISO_DATE = re.compile(r"(?P<y>[0-9]{4})-(?P<m>[0-9]{1,2})-(?P<d>[0-9]{1,2})")
_BG_DATE = re.compile(r"(?P<d>[0-9]{1,2})\.(?P<m>[0-9]{1,2})\.(?P<y>[0-9]{4})(\s*г\.?)?")
_TIME = re.compile(r"([01]?[0-9]|2[0-3]):([0-5][0-9])(:00)?")
_ID = re.compile(r"[A-Za-z0-9_-]+")
_FORMULA = re.compile(r"'*[=+\-@＝＋－＠]")


@dataclass(frozen=True, slots=True)
class Problem:
    """One mistake in the file. `line` counts from 1 as an editor does, 0 is the file as a whole."""

    line: int
    column: str
    code: str
    params: Mapping[str, str | int] = field(default_factory=dict)

    @property
    def message(self) -> str:
        """What is wrong and what to do, in English, without the place."""
        return MESSAGES[self.code].format_map(self.params) + "."

    def __str__(self) -> str:
        where = [f"line {self.line}"] if self.line else []
        where += [self.column] if self.column else []
        return f"{', '.join(where) or 'the file'}: {self.message}"


@dataclass(frozen=True, slots=True)
class CsvResult:
    """What a file holds: its receptions, or, when there is any problem, only the problems."""

    receptions: tuple[Reception, ...]
    problems: tuple[Problem, ...]


def read_csv(data: bytes, places: Places, now: datetime, new_id: Callable[[], str]) -> CsvResult:
    """The receptions of a CSV file, or all its mistakes; raises nothing on any bytes.

    `now` is aware: what is over by then is a mistake. `new_id` is called once for each reception
    without an id, and only if the whole file is good.
    """
    try:
        rows = _rows(_decode(data))
    except _Unusable as unusable:
        return CsvResult((), unusable.problems)
    drafts = [row.reception(places, now) for row in rows]
    _mark_repeated(rows, drafts)
    problems = tuple(problem for row in rows for problem in row.problems)
    if problems:
        return CsvResult((), problems)
    return CsvResult(
        tuple(it if it.id else replace(it, id=new_id()) for it in drafts if it is not None), ()
    )


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
    return "municipality_unknown", {"value": _shown(value), "known": known_codes(places)}


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
    """A planned reception whose time or place changed is a moved one."""
    if old is None or new.state is not ReceptionState.PLANNED:
        return new
    same = all(
        getattr(old, name) == getattr(new, name)
        for name in ("municipality", "place", "start", "end")
    )
    return new if same else replace(new, state=ReceptionState.MOVED)


# --- the lines of a table ----------------------------------------------------------------------


class _Unusable(Exception):
    """The file cannot be read as a table at all."""

    def __init__(self, *problems: Problem) -> None:
        super().__init__()
        self.problems = problems


class _Row:
    """One line of the file, and the mistakes found in it."""

    def __init__(self, line: int, cells: Mapping[str, str]) -> None:
        self.line = line
        self.problems: list[Problem] = []
        self._cells = cells

    def wrong(self, column: str, code: str, /, **params: str | int) -> None:
        self.problems.append(Problem(self.line, column, code, params))

    def reception(self, places: Places, now: datetime) -> Reception | None:
        """The reception of this line, its id still as written; None when it is not whole."""
        if self.problems:
            return None
        municipality = self._municipality(places)
        texts = {name: self._text(name) for name in LONGEST}
        state = self._state()
        when = self._when(now)
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
            self.wrong(column, "id_format", value=_shown(value))
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
            params = {"value": _shown(name), "code": code, "name": places[code][1]}
            self.wrong("municipality_name", "municipality_mismatch", **params)
        return code

    def _state(self) -> ReceptionState:
        value = self._cells.get("state", "").casefold() or ReceptionState.PLANNED.value
        if value in {state.value for state in ReceptionState}:
            return ReceptionState(value)
        self.wrong("state", "state_unknown", value=_shown(value))
        return ReceptionState.PLANNED

    def _when(self, now: datetime) -> tuple[datetime, datetime] | None:
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
        return start, end

    def _date(self) -> date | None:
        value = self._filled("date")
        found = _ISO_DATE.fullmatch(value) or _BG_DATE.fullmatch(value)
        if not found:
            if value:
                self.wrong("date", "date_format", value=_shown(value))
            return None
        try:
            return date(int(found["y"]), int(found["m"]), int(found["d"]))
        except ValueError:
            self.wrong("date", "date_impossible", value=_shown(value))
            return None

    def _time(self, column: str) -> time | None:
        value = self._filled(column)
        found = _TIME.fullmatch(value)
        if value and not found:
            self.wrong(column, "time_format", value=_shown(value))
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


def _decode(data: bytes) -> str:
    if len(data) > MOST_BYTES:
        raise _Unusable(Problem(0, "", "too_big", {"limit": MOST_BYTES}))
    if data.startswith((b"PK\x03\x04", b"\xd0\xcf\x11\xe0")):
        raise _Unusable(Problem(0, "", "spreadsheet"))
    for encoding in _encodings(data):
        try:
            text = data.decode(encoding)
        except UnicodeDecodeError:
            continue
        if "\0" not in text:
            return text
    raise _Unusable(Problem(0, "", "encoding"))


def _encodings(data: bytes) -> tuple[str, ...]:
    """What the bytes may be. One bad byte in UTF-8 must not turn all of it into gibberish."""
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        return ("utf-16",)
    high = sum(byte >= 0x80 for byte in data)
    as_utf8 = sum("\u0400" <= it <= "\u04ff" for it in data.decode("utf-8", "ignore"))
    broken_utf8 = data.startswith(b"\xef\xbb\xbf") or as_utf8 * 4 > high
    return ("utf-8-sig",) if broken_utf8 else ("utf-8-sig", "cp1251")


def _rows(text: str) -> list[_Row]:
    """The lines below the header that hold anything."""
    lines = list(io.StringIO(text, newline=""))
    first = next((at for at, line in enumerate(lines) if _is_header(line)), None)
    if first is None:
        raise _Unusable(Problem(0, "", "empty_file"))
    header, delimiter = _header(lines[first], first + 1)
    below = _records(lines[first + 1 :], delimiter, first + 1)
    rows = [_row(line, cells, header, delimiter) for line, cells in below]
    if not rows:
        raise _Unusable(Problem(0, "", "empty_file"))
    return rows


def _is_header(line: str) -> bool:
    """The first line with a word in it; Excel may write `sep=;` above it."""
    return bool(line.strip(" \t\r\n,;")) and not line.casefold().startswith("sep=")


def _header(line: str, number: int) -> tuple[list[str], str]:
    """The columns, and the delimiter by which most of them are known."""
    readings = [(_columns(line, delimiter), delimiter) for delimiter in ",;\t"]
    header, delimiter = max(readings, key=lambda it: len(set(it[0]).intersection(COLUMNS)))
    known = ", ".join(COLUMNS)
    if not set(header).intersection(COLUMNS):
        raise _Unusable(Problem(number, "", "no_header", {"columns": known}))
    problems = [Problem(number, name, "column_missing") for name in NEEDED if name not in header]
    for at, name in enumerate(header):
        if name and name not in COLUMNS:
            problems.append(Problem(number, _shown(name), "column_unknown", {"columns": known}))
        elif name and name in header[:at]:
            problems.append(Problem(number, name, "column_twice"))
    if problems:
        raise _Unusable(*problems)
    return header, delimiter


def _columns(line: str, delimiter: str) -> list[str]:
    names = [name.strip(' "\r\n\t').casefold() for name in line.split(delimiter)]
    while names and not names[-1]:
        names.pop()
    return names


def _records(lines: list[str], delimiter: str, above: int) -> Iterator[tuple[int, list[str]]]:
    """Line number and cells of each record that holds anything; a record may span lines."""
    reader = csv.reader(lines, delimiter=delimiter, strict=True)
    line = 1
    try:
        for cells in reader:
            if any(cell.strip() for cell in cells):
                yield above + line, cells
            line = reader.line_num + 1
    except csv.Error:
        raise _Unusable(Problem(above + line, "", "quotes")) from None


def _row(line: int, cells: list[str], header: list[str], delimiter: str) -> _Row:
    named = {name: _read(cell) for name, cell in zip(header, cells, strict=False) if name}
    row = _Row(line, named)
    unnamed = [cell for at, cell in enumerate(cells) if at >= len(header) or not header[at]]
    if any(cell.strip() for cell in unnamed):
        sign = {"\t": "TAB"}.get(delimiter, delimiter)
        expected = sum(map(bool, header))
        row.wrong("", "extra_cells", found=len(cells), expected=expected, delimiter=sign)
    return row


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


def _shown(value: str, longest: int = 40) -> str:
    """As much of a cell as a message can quote."""
    printable = "".join(it if it.isprintable() else "?" for it in value)
    return printable if len(printable) <= longest else printable[: longest - 1] + "…"


def _hm(moment: datetime) -> str:
    return f"{moment.astimezone(SOFIA):%H:%M}"
