"""Receptions go out as CSV and come back; mistakes are named, and nothing is half imported."""

from __future__ import annotations

import csv
import io
import string
import unicodedata
from datetime import UTC, date, datetime, time, timedelta
from itertools import count

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from scheduler.csv_lines import COLUMNS, MESSAGES, MOST_BYTES, PROBLEM_CODES, Problem
from scheduler.exchange import LONGEST, SOFIA, read_csv, write_csv
from scheduler.model import FARTHEST, Reception, ReceptionState
from scheduler.reception_table import TableResult, compare

PLACES = {
    "rse27": ("63427", "Русе"),
    "rse04": ("07603", "Бяла"),
    "rse05": ("10803", "Ветово"),
}
NOW = datetime(2026, 11, 22, 9, 0, tzinfo=UTC)
HEADER = "municipality,place,landmark,date,start,end,attends,public_name"
ROW = "rse04,Бяла,до пощата,2026-12-01,10:00,14:00,юрист,Ден за здраве"
RECEPTION = Reception(
    id="new1",
    municipality="rse04",
    place="Бяла",
    start=datetime(2026, 12, 1, 8, 0, tzinfo=UTC),
    end=datetime(2026, 12, 1, 12, 0, tzinfo=UTC),
    landmark="до пощата",
    attends="юрист",
    public_name="Ден за здраве",
)


def read(data: bytes | str, *known: Reception) -> TableResult:
    numbers = count(1)
    raw = data.encode() if isinstance(data, str) else data
    return compare(read_csv(raw, PLACES, NOW), known, lambda: f"new{next(numbers)}")


def file(*rows: str, header: str = HEADER) -> str:
    return "\n".join([header, *rows]) + "\n"


def changed(**cells: str) -> str:
    """The good row with other cells."""
    names, values = HEADER.split(","), ROW.split(",")
    return ",".join(cells.get(name, value) for name, value in zip(names, values, strict=True))


def found(data: bytes | str) -> list[tuple[int, str, str]]:
    result = read(data)
    assert result.receptions == ()
    for problem in result.problems:
        assert problem.code in PROBLEM_CODES
        assert "{" not in str(problem), problem
    return [(it.line, it.column, it.code) for it in result.problems]


# What comes in


def test_a_file_is_read() -> None:
    assert read(file(ROW)) == TableResult((RECEPTION,), added=1)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "cp1251", "utf-16"])
@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
@pytest.mark.parametrize("newline", ["\n", "\r\n", "\r"])
def test_a_file_is_read_as_any_spreadsheet_saves_it(
    encoding: str, delimiter: str, newline: str
) -> None:
    text = file(ROW).replace(",", delimiter).replace("\n", newline)
    assert read(text.encode(encoding)).receptions == (RECEPTION,)


def test_capitals_in_quotes_in_windows_1251_are_no_broken_utf_8() -> None:
    text = file(changed(place="Читалище „СР“"))
    assert read(text.encode("cp1251")).receptions[0].place == "Читалище „СР“"


def test_columns_stand_in_any_order_and_case() -> None:
    names, values = HEADER.split(","), ROW.split(",")
    header = ",".join(f" {name.title()} " for name in reversed(names))
    assert read(file(",".join(reversed(values)), header=header)).receptions == (RECEPTION,)


def test_quoted_cells_may_hold_delimiters_and_lines() -> None:
    result = read(file(changed(place='"Бяла, читалище\n ""Напредък"""'), changed(start="11:00")))
    assert [it.place for it in result.receptions] == ['Бяла, читалище "Напредък"', "Бяла"]


def test_empty_lines_and_empty_columns_at_the_end_do_not_matter() -> None:
    text = f"sep=;\n\n{HEADER};;\n\n{ROW};;\n;;;;;;;;;\n".replace(",", ";")
    assert read(text).receptions == (RECEPTION,)


@pytest.mark.parametrize("code", ["rse04", "RSE04", "07603", "7603", " rse04 "])
def test_a_municipality_is_known_by_either_code(code: str) -> None:
    assert read(file(changed(municipality=code))).receptions == (RECEPTION,)


@pytest.mark.parametrize("day", ["2026-12-01", "01.12.2026", "1.12.2026", "01.12.2026 г."])
def test_dates_are_read_as_they_are_written_here(day: str) -> None:
    assert read(file(changed(date=day))).receptions == (RECEPTION,)


def test_times_are_those_of_bulgaria_in_winter_and_in_summer() -> None:
    summer = read(file(changed(date="2027-07-01", start="9:00", end="10:00:00"))).receptions[0]
    assert summer.start == datetime(2027, 7, 1, 6, 0, tzinfo=UTC)
    assert summer.end == datetime(2027, 7, 1, 7, 0, tzinfo=UTC)


def test_an_hour_that_comes_twice_in_the_autumn_is_the_first() -> None:
    row = changed(date="2027-10-31", start="03:30", end="10:00")
    assert read(file(row)).receptions[0].start == datetime(2027, 10, 31, 0, 30, tzinfo=UTC)


def test_one_that_has_begun_today_is_taken() -> None:
    assert read(file(changed(date="2026-11-22", start="09:00"))).problems == ()


def test_an_id_and_a_state_are_kept() -> None:
    header = f"{HEADER},id,state"
    result = read(file(f"{ROW},k3_-x,Cancelled", f"{changed(start='11:00')},,", header=header))
    assert [it.id for it in result.receptions] == ["k3_-x", "new1"]
    assert [it.state for it in result.receptions] == [
        ReceptionState.CANCELLED,
        ReceptionState.PLANNED,
    ]


def test_two_years_ahead_is_the_farthest() -> None:
    last = (NOW + FARTHEST).astimezone(SOFIA).date()
    assert read(file(changed(date=f"{last}"))).problems == ()


def test_one_that_was_taken_with_a_wrong_year_can_be_called_off() -> None:
    row = f"{changed(date='2062-12-01')},cancelled"
    assert read(file(row, header=f"{HEADER},state")).problems == ()


def test_marks_that_nobody_sees_are_taken_out() -> None:
    row = changed(place="\u200bБяла\u00a0 \u202eцентър\u00ad")
    assert read(file(row)).receptions[0].place == "Бяла център"


# Mistakes in a row


@pytest.mark.parametrize(
    ("cells", "column", "code"),
    [
        ({"municipality": ""}, "municipality", "empty"),
        ({"place": " "}, "place", "empty"),
        ({"date": ""}, "date", "empty"),
        ({"start": ""}, "start", "empty"),
        ({"end": ""}, "end", "empty"),
        ({"municipality": "Бяла"}, "municipality", "municipality_by_name"),
        ({"municipality": "община русе"}, "municipality", "municipality_by_name"),
        ({"municipality": "Атлантида"}, "municipality", "municipality_unknown"),
        ({"municipality": "07598"}, "municipality", "municipality_unknown"),
        ({"municipality": "rse99"}, "municipality", "municipality_unknown"),
        ({"date": "12/01/2026"}, "date", "date_format"),
        ({"date": "01.12.26"}, "date", "date_format"),
        ({"date": "утре"}, "date", "date_format"),
        ({"date": "31.02.2027"}, "date", "date_impossible"),
        ({"date": "0000-01-01"}, "date", "date_impossible"),
        ({"date": "0001-01-01", "start": "00:10"}, "date", "date_impossible"),
        ({"start": "25:00"}, "start", "time_format"),
        ({"start": "10"}, "start", "time_format"),
        ({"end": "24:00"}, "end", "time_format"),
        ({"end": "10:00"}, "end", "end_before_start"),
        ({"end": "09:59"}, "end", "end_before_start"),
        ({"date": "2025-12-01"}, "date", "past"),
        ({"date": "2026-11-22", "start": "08:00", "end": "11:00"}, "date", "past"),
        ({"date": "2062-12-01"}, "date", "too_far"),
        ({"date": "2028-11-24"}, "date", "too_far"),
        ({"date": "2027-03-28", "start": "03:30"}, "start", "time_gap"),
        ({"date": "2027-03-28", "start": "02:00", "end": "03:59"}, "end", "time_gap"),
        ({"place": "x" * (LONGEST["place"] + 1)}, "place", "too_long"),
        ({"attends": "юрист\x07"}, "attends", "unreadable"),
        ({"landmark": "до \ufffdощата"}, "landmark", "unreadable"),
    ],
)
def test_a_mistake_is_named_by_line_and_column(
    cells: dict[str, str], column: str, code: str
) -> None:
    assert found(file(ROW, changed(**cells))) == [(3, column, code)]


def test_a_name_is_refused_with_the_reason_and_the_code() -> None:
    (problem,) = read(file(changed(municipality="гр. Бяла"))).problems
    assert str(problem) == (
        "line 2, municipality: “Бяла” is a name, and names repeat (three places are called Бяла)."
        " Write the code: rse04 (EKATTE 07603) is Бяла in this district."
    )
    assert problem.params == {"value": "Бяла", "code": "rse04", "ekatte": "07603"}


def test_a_name_beside_a_code_must_fit_it() -> None:
    header = f"{HEADER},municipality_name"
    assert read(file(f"{ROW},бяла", header=header)).problems == ()
    assert found(file(f"{ROW},Русе", header=header)) == [
        (2, "municipality_name", "municipality_mismatch")
    ]


def test_an_unknown_state_and_a_strange_id_are_refused() -> None:
    assert found(file(f"{ROW},a b,maybe", header=f"{HEADER},id,state")) == [
        (2, "id", "id_format"),
        (2, "state", "state_unknown"),
    ]


@pytest.mark.parametrize("count_", ["-1", "x", "1.5", "9" * 10])
def test_a_strange_count_of_changes_is_refused(count_: str) -> None:
    assert found(file(f"{ROW},{count_}", header=f"{HEADER},sequence")) == [
        (2, "sequence", "sequence_format")
    ]


def test_all_mistakes_are_told_at_once_and_nothing_is_imported() -> None:
    bad = changed(municipality="Русе", date="x", end="y", place="")
    assert found(file(bad, ROW, changed(date="2020-01-01"))) == [
        (2, "municipality", "municipality_by_name"),
        (2, "place", "empty"),
        (2, "date", "date_format"),
        (2, "end", "time_format"),
        (4, "date", "past"),
    ]


def test_no_id_is_spent_on_a_bad_file() -> None:
    def refuse() -> str:
        raise AssertionError

    text = file(ROW, changed(date="x"))
    assert compare(read_csv(text.encode(), PLACES, NOW), [], refuse).problems


def test_the_same_reception_twice_is_named_whatever_its_spelling() -> None:
    again = changed(municipality="7603", place="БЯЛА ", date="1.12.2026", attends="психолог")
    result = read(file(ROW, again))
    assert found(file(ROW, again)) == [(3, "", "twice")]
    assert result.problems[0].params == {"first": 2}


def test_the_same_id_twice_is_named() -> None:
    rows = [f"{ROW},k1", f"{changed(start='11:00')},k1"]
    assert found(file(*rows, header=f"{HEADER},id")) == [(3, "id", "id_twice")]


def test_the_line_is_the_one_an_editor_shows() -> None:
    text = file(changed(place='"Бяла\nчиталище"'), "", changed(date="x", place='"a\nb"'))
    assert found(text) == [(5, "date", "date_format")]


def test_an_unquoted_comma_is_recognised_by_the_shifted_cells() -> None:
    assert found(file(changed(place="Бяла, читалище"))) == [(2, "", "extra_cells")]
    assert "“,”" in str(read(file(changed(place="Бяла, читалище"))).problems[0])


# Mistakes in the file


@pytest.mark.parametrize("name", HEADER.split(","))
def test_a_missing_column_is_named(name: str) -> None:
    header = ",".join(it for it in HEADER.split(",") if it != name)
    assert found(file(ROW, header=header)) == [(1, name, "column_missing")]


def test_a_misspelt_column_and_a_double_one_are_named() -> None:
    assert found(file(ROW, header=f"{HEADER},status,place")) == [
        (1, "status", "column_unknown"),
        (1, "place", "column_twice"),
    ]


@pytest.mark.parametrize(
    ("data", "line", "code"),
    [
        (b"", 0, "empty_file"),
        (b"\xef\xbb\xbf\r\n\r\n", 0, "empty_file"),
        (HEADER.encode(), 0, "empty_file"),
        (ROW.encode(), 1, "no_header"),
        (b"PK\x03\x04rest", 0, "spreadsheet"),
        (b"\xd0\xcf\x11\xe0rest", 0, "spreadsheet"),
        (b"\0\0\0\0", 0, "encoding"),
        (b"\xff\xfe\x00", 0, "encoding"),
        (file(ROW).encode()[:-20] + b"\xff\n", 0, "encoding"),
        (file(ROW).encode("utf-8-sig") + b"\xff", 0, "encoding"),
        (b"x" * (MOST_BYTES + 1), 0, "too_big"),
        (file(ROW, changed(place='"Бяла')).encode(), 3, "quotes"),
        (file(changed(place='"Бяла" x')).encode(), 2, "quotes"),
    ],
)
def test_a_file_that_is_no_table_is_refused_in_one_sentence(
    data: bytes, line: int, code: str
) -> None:
    assert found(data) == [(line, "", code)]


def test_a_long_or_odd_cell_is_quoted_short_and_harmless() -> None:
    (problem,) = read(file(changed(date="{x}\x1b[31m" + "9" * 500))).problems
    assert "{x}?[31m" in str(problem)
    assert len(str(problem)) < 150


def test_a_problem_of_the_whole_file_says_so() -> None:
    assert str(Problem(0, "", "encoding")).startswith("the file: the text cannot be read.")
    assert all(text[-1] != "." for text in MESSAGES.values())


@given(st.binary(max_size=300))
def test_no_bytes_raise(data: bytes) -> None:
    result = read(data)
    assert not (result.receptions and result.problems)


@given(st.lists(st.text(max_size=12), min_size=8, max_size=9), st.sampled_from(",;\t"))
def test_no_cells_raise(cells: list[str], delimiter: str) -> None:
    out = io.StringIO()
    writer = csv.writer(out, delimiter=delimiter)
    writer.writerows([HEADER.split(","), cells])
    result = read(out.getvalue().encode("utf-8", "replace"))
    assert not (result.receptions and result.problems)
    assert all(str(problem) for problem in result.problems)


# What goes out


def cells_of(text: str, delimiter: str = ",") -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text), delimiter=delimiter))


def test_receptions_are_written_soonest_first_in_local_time() -> None:
    later = Reception("b", "rse27", "Русе", RECEPTION.start + timedelta(days=1), NOW)
    rows = cells_of(write_csv([later, RECEPTION], PLACES))
    assert [row["id"] for row in rows] == ["new1", "b"]
    assert rows[0] == {
        "id": "new1",
        "municipality": "rse04",
        "municipality_name": "Бяла",
        "place": "Бяла",
        "landmark": "до пощата",
        "date": "2026-12-01",
        "start": "10:00",
        "end": "14:00",
        "attends": "юрист",
        "public_name": "Ден за здраве",
        "state": "planned",
        "sequence": "0",
    }


def test_no_receptions_give_the_header_alone() -> None:
    assert write_csv([], PLACES) == ",".join(COLUMNS) + "\n"


def test_a_file_for_a_double_click_has_semicolons_and_a_bom() -> None:
    text = write_csv([RECEPTION], PLACES, spreadsheet=True)
    assert text.startswith("\ufeffid;municipality;")
    assert read(text).receptions == (RECEPTION,)


@pytest.mark.parametrize("start", ["=", "+", "-", "@", "\t=", "\r@", " =", "＝", "'="])
def test_no_cell_that_goes_out_is_a_formula(start: str) -> None:
    evil = f'{start}cmd|"/c calc"!A1'
    one = Reception("-id", "rse04", evil, RECEPTION.start, RECEPTION.end, evil, evil, evil)
    text = write_csv([one], PLACES)
    for value in cells_of(text)[0].values():
        assert value[0] not in "=+-@＝＋－＠\t\r"
    back = read(text).receptions[0]
    assert (back.id, back.place) == ("-id", evil.strip())


LETTERS = st.characters(exclude_categories=["C"], exclude_characters="\ufffd") | st.sampled_from(
    "=+-@'\"; ,\tБя"
)


def texts(column: str, least: int = 0) -> st.SearchStrategy[str]:
    """Texts as they are kept: one line, one spelling."""
    raw = st.text(LETTERS, min_size=least, max_size=LONGEST[column] // 3)
    tidy = raw.map(lambda it: " ".join(unicodedata.normalize("NFC", it).split()))
    return tidy.filter(lambda it: least <= len(it) <= LONGEST[column])


@st.composite
def receptions(draw: st.DrawFn) -> Reception:
    day = draw(st.dates(date(2026, 11, 23), date(2028, 11, 21)))
    minutes = st.integers(0, 23 * 60 + 59)
    begin, finish = sorted(draw(st.tuples(minutes, minutes)))
    assume(begin < finish)
    start, end = (
        datetime.combine(day, time(it // 60, it % 60), SOFIA).astimezone(UTC)
        for it in (begin, finish)
    )
    local = [it.astimezone(SOFIA) for it in (start, end)]
    assume([it.hour * 60 + it.minute for it in local] == [begin, finish] and start < end)
    return Reception(
        id=draw(st.text(string.ascii_letters + string.digits + "_-", min_size=1, max_size=64)),
        municipality=draw(st.sampled_from(sorted(PLACES))),
        place=draw(texts("place", least=1)),
        start=start,
        end=end,
        landmark=draw(texts("landmark")),
        attends=draw(texts("attends")),
        public_name=draw(texts("public_name")),
        state=draw(st.sampled_from(ReceptionState)),
    )


@given(
    st.lists(
        receptions(),
        min_size=1,
        max_size=5,
        unique_by=(lambda it: it.id, lambda it: (it.municipality, it.place.casefold(), it.start)),
    ),
    st.booleans(),
)
def test_what_is_written_is_read_back(plan: list[Reception], spreadsheet: bool) -> None:
    result = read(write_csv(plan, PLACES, spreadsheet=spreadsheet))
    assert result.problems == ()
    assert sorted(result.receptions, key=lambda it: it.id) == sorted(plan, key=lambda it: it.id)
