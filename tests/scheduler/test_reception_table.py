"""A table beside what is known: nothing is doubled, undone or brought back by it."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from scheduler.exchange import write_csv
from scheduler.model import Reception, ReceptionState
from scheduler.reception_table import TableResult
from tests.scheduler.test_exchange import HEADER, PLACES, RECEPTION, ROW, changed, file, read

DAY = timedelta(days=1)
KNOWN = replace(RECEPTION, id="k1", uid="one@else", sequence=4)
MOVED = replace(
    KNOWN,
    start=KNOWN.start + DAY,
    end=KNOWN.end + DAY,
    state=ReceptionState.MOVED,
    sequence=KNOWN.sequence + 1,
)
OFF = replace(KNOWN, state=ReceptionState.CANCELLED, sequence=KNOWN.sequence + 1)
OTHER = replace(KNOWN, id="k2", start=KNOWN.start + 7 * DAY, end=KNOWN.end + 7 * DAY)


def downloaded(*receptions: Reception, **cells: str) -> str:
    """The table as it was downloaded, with other cells in its first line."""
    head, first, *others = write_csv(receptions, PLACES).splitlines()
    names = head.split(",")
    pairs = zip(names, first.split(","), strict=True)
    line = ",".join(cells.get(name, value) for name, value in pairs)
    return "\n".join([head, line, *others])


# Without an id


def test_the_same_file_a_second_time_changes_nothing() -> None:
    first = read(file(ROW, changed(start="11:00", place="Борово"))).receptions
    again = read(file(ROW, changed(start="11:00", place="Борово")), *first)
    assert again == TableResult(unchanged=2)


def test_a_line_is_known_again_by_its_place_and_start_however_they_are_written() -> None:
    row = changed(municipality="7603", place="  БЯЛА ", date="1.12.2026")
    assert read(file(row), replace(KNOWN, place="Бяла\u00ad")) == TableResult(unchanged=1)


def test_a_line_with_other_words_changes_the_known_one() -> None:
    result = read(file(changed(landmark="до читалището")), KNOWN)
    assert result == TableResult((replace(KNOWN, landmark="до читалището"),), changed=1)


@pytest.mark.parametrize("cells", [{"municipality": "rse05"}, {"place": "А"}, {"start": "09:00"}])
def test_one_elsewhere_or_at_another_hour_is_a_new_one(cells: dict[str, str]) -> None:
    assert read(file(changed(**cells)), KNOWN).added == 1


def test_one_that_another_line_names_by_its_id_is_not_meant() -> None:
    header = f"{HEADER},id"
    result = read(file(f"{ROW},", f"{changed(start='11:00')},k1", header=header), KNOWN)
    assert (result.added, result.changed) == (1, 1)
    assert {it.id for it in result.receptions} == {"new1", "k1"}


def test_of_two_at_one_place_and_start_the_one_that_takes_place_is_meant() -> None:
    for off in (replace(KNOWN, id="a"), replace(KNOWN, id="z")):
        off = replace(off, state=ReceptionState.CANCELLED)
        assert read(file(ROW), off, KNOWN) == TableResult(unchanged=1)


def test_one_that_was_moved_to_where_the_file_has_it_stays_a_moved_one() -> None:
    moved = replace(KNOWN, state=ReceptionState.MOVED)
    assert read(file(ROW), moved) == TableResult(unchanged=1)
    [kept] = read(file(changed(attends="")), moved).receptions
    assert kept == replace(moved, attends="")


# What was called off


@pytest.mark.parametrize("cells", [{}, {"landmark": "до читалището"}])
def test_what_is_called_off_here_stays_so_and_is_counted(cells: dict[str, str]) -> None:
    other = changed(start="11:00")
    result = read(file(changed(**cells), other), OFF)
    assert (result.stay_cancelled, result.added, result.changed) == (1, 1, 0)
    assert [it.id for it in result.receptions] == ["new1"]


@pytest.mark.parametrize("state", ["", "planned", "moved"])
def test_no_word_in_a_table_brings_back_what_was_called_off(state: str) -> None:
    cells = {"state": state, "date": "2026-12-03"}
    assert read(downloaded(OFF, **cells), OFF) == TableResult(stay_cancelled=1)


def test_a_table_calls_off() -> None:
    result = read(downloaded(KNOWN, state="cancelled"), KNOWN)
    assert (result.changed, result.receptions[0].state) == (1, ReceptionState.CANCELLED)
    assert read(downloaded(OFF), OFF) == TableResult(unchanged=1)


# A table that is older than what is known


@pytest.mark.parametrize("now", [MOVED, OFF, replace(KNOWN, place="Борово", sequence=5)])
def test_a_table_from_before_a_change_here_is_refused_by_line(now: Reception) -> None:
    new = ",rse05,,Ветово,,2026-12-05,10:00,14:00,,,,"
    result = read("\n".join([downloaded(OTHER, KNOWN), new]), now, OTHER)
    assert result.receptions == ()
    assert [(it.line, it.column, it.code) for it in result.problems] == [(2, "", "changed_since")]
    assert "Download it anew" in str(result.problems[0])


def test_an_older_line_that_says_what_is_kept_is_taken() -> None:
    later = replace(KNOWN, sequence=9)
    assert read(downloaded(KNOWN), later) == TableResult(unchanged=1)


def test_a_table_of_now_moves_what_has_another_day() -> None:
    result = read(downloaded(KNOWN, date="2026-12-02"), KNOWN)
    assert result == TableResult((replace(MOVED, sequence=KNOWN.sequence),), changed=1)


def test_a_table_that_does_not_count_is_taken_as_it_is() -> None:
    result = read(file(f"{ROW},k1", header=f"{HEADER},id"), MOVED)
    assert [it.start for it in result.receptions] == [KNOWN.start]


def test_a_count_beside_no_id_says_nothing() -> None:
    table = downloaded(KNOWN, id="", landmark="до читалището")
    assert read(table, replace(KNOWN, sequence=9)).changed == 1
    assert read(table).added == 1


def test_a_count_in_the_table_does_not_become_our_own() -> None:
    for known in ([KNOWN], []):
        table = downloaded(KNOWN, sequence="999999999", landmark="")
        [kept] = read(table, *known).receptions
        assert kept.sequence == (KNOWN.sequence if known else 0)
