"""The lines of a CSV file, and every problem of one in words.

UTF-8 (with a BOM or without), UTF-16 with a BOM or Windows-1251; comma, semicolon or tab. What
stands in the cells is read in `exchange`.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

NEEDED = ("municipality", "place", "landmark", "date", "start", "end", "attends", "public_name")
COLUMNS = ("id", "municipality", "municipality_name", *NEEDED[1:], "state", "sequence")
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
    "too_far": "{date} is more than two years ahead. Correct the year",
    "state_unknown": "“{value}” is no state. Write planned, moved or cancelled",
    "twice": "the same reception stands in line {first} already. Remove one",
    "id_twice": "the id stands in line {first} already. Leave it empty for a new reception",
    "sequence_format": "“{value}” is no count of changes. Leave what was exported, or nothing",
    # a row beside what is known
    "changed_since": "the reception was changed here since this table was downloaded. Download it"
    " anew",
}
"""Every problem's code and its English sentence; other languages take the code and the params."""

PROBLEM_CODES = tuple(MESSAGES)


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
class Line:
    """One line of the file: its cells as they stand there by column, and what is wrong with it."""

    number: int
    cells: Mapping[str, str]
    problems: tuple[Problem, ...] = ()


class Unusable(Exception):
    """The file cannot be read as a table at all."""

    def __init__(self, *problems: Problem) -> None:
        super().__init__()
        self.problems = problems


def lines_of(data: bytes) -> list[Line]:
    """The lines of a file below the header that hold anything; raises `Unusable`."""
    text = _decode(data)
    lines = list(io.StringIO(text, newline=""))
    first = next((at for at, line in enumerate(lines) if _is_header(line)), None)
    if first is None:
        raise Unusable(Problem(0, "", "empty_file"))
    header, delimiter = _header(lines[first], first + 1)
    below = _records(lines[first + 1 :], delimiter, first + 1)
    found = [_line(number, cells, header, delimiter) for number, cells in below]
    if not found:
        raise Unusable(Problem(0, "", "empty_file"))
    return found


def _is_header(line: str) -> bool:
    """The first line with a word in it; Excel may write `sep=;` above it."""
    return bool(line.strip(" \t\r\n,;")) and not line.casefold().startswith("sep=")


def _header(line: str, number: int) -> tuple[list[str], str]:
    """The columns, and the delimiter by which most of them are known."""
    readings = [(_columns(line, delimiter), delimiter) for delimiter in ",;\t"]
    header, delimiter = max(readings, key=lambda it: len(set(it[0]).intersection(COLUMNS)))
    known = ", ".join(COLUMNS)
    if not set(header).intersection(COLUMNS):
        raise Unusable(Problem(number, "", "no_header", {"columns": known}))
    problems = [Problem(number, name, "column_missing") for name in NEEDED if name not in header]
    for at, name in enumerate(header):
        if name and name not in COLUMNS:
            problems.append(Problem(number, shown(name), "column_unknown", {"columns": known}))
        elif name and name in header[:at]:
            problems.append(Problem(number, name, "column_twice"))
    if problems:
        raise Unusable(*problems)
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
        raise Unusable(Problem(above + line, "", "quotes")) from None


def _line(number: int, cells: list[str], header: list[str], delimiter: str) -> Line:
    named = {name: cell for name, cell in zip(header, cells, strict=False) if name}
    unnamed = [cell for at, cell in enumerate(cells) if at >= len(header) or not header[at]]
    if not any(cell.strip() for cell in unnamed):
        return Line(number, named)
    sign = {"\t": "TAB"}.get(delimiter, delimiter)
    expected = sum(map(bool, header))
    params: dict[str, str | int] = {"found": len(cells), "expected": expected, "delimiter": sign}
    return Line(number, named, (Problem(number, "", "extra_cells", params),))


def _decode(data: bytes) -> str:
    if len(data) > MOST_BYTES:
        raise Unusable(Problem(0, "", "too_big", {"limit": MOST_BYTES}))
    if data.startswith((b"PK\x03\x04", b"\xd0\xcf\x11\xe0")):
        raise Unusable(Problem(0, "", "spreadsheet"))
    for encoding in _encodings(data):
        try:
            text = data.decode(encoding)
        except UnicodeDecodeError:
            continue
        if "\0" not in text:
            return text
    raise Unusable(Problem(0, "", "encoding"))


def _encodings(data: bytes) -> tuple[str, ...]:
    """What the bytes may be. One bad byte in UTF-8 must not turn all of it into gibberish."""
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        return ("utf-16",)
    high = sum(byte >= 0x80 for byte in data)
    as_utf8 = sum("\u0400" <= it <= "\u04ff" for it in data.decode("utf-8", "ignore"))
    broken_utf8 = data.startswith(b"\xef\xbb\xbf") or as_utf8 * 4 > high
    return ("utf-8-sig",) if broken_utf8 else ("utf-8-sig", "cp1251")


def shown(value: str, longest: int = 40) -> str:
    """As much of a cell as a message can quote."""
    printable = "".join(it if it.isprintable() else "?" for it in value)
    return printable if len(printable) <= longest else printable[: longest - 1] + "…"
