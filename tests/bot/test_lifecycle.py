"""The table of a case's states: complete, and drawn in the docs as it is."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

import pytest
from typer.testing import CliRunner

from bot.cli import app
from bot.lifecycle import BY, TRANSITIONS, Act, CaseState, diagram, sources, target

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "cases.md").read_text("utf-8")


def drawn() -> str:
    found = re.search(r"<!-- diagram -->\n```mermaid\n(.*?)```\n<!-- /diagram -->", PAGE, re.S)
    assert found, "the page has no diagram between its marks"
    return found[1]


def test_the_picture_in_the_docs_is_the_table_in_the_code() -> None:
    assert drawn() == diagram(), "print it anew: phen graph --cases"


def test_the_command_prints_the_same_picture() -> None:
    printed = CliRunner().invoke(app, ["graph", "--cases"])
    assert (printed.exit_code, printed.output) == (0, diagram())


def test_the_picture_shows_every_move_once_and_says_who_makes_it() -> None:
    lines = diagram().splitlines()[1:]
    assert len(set(lines)) == len(lines) == len(TRANSITIONS)
    for (before, act), after in TRANSITIONS.items():
        ends = f"    {before or '[*]'} --> {after or '[*]'} : "
        assert f"{ends}{act.value} ({BY[act]})" in lines


def test_every_state_stands_on_the_page_and_so_does_every_module_that_enforces_it() -> None:
    rows = re.findall(r"^\| (\w+) \| ", PAGE, re.M)
    assert [row for row in rows if row in set(CaseState)] == [state.value for state in CaseState]


def test_every_act_has_its_place_and_one_outcome() -> None:
    assert set(BY) == set(Act) == {act for _, act in TRANSITIONS}
    for act in Act:
        after = {TRANSITIONS[pair] for pair in TRANSITIONS if pair[1] is act}
        assert len(after) == 1, f"{act} leads to {after}"
        (state,) = after
        if state is None:
            with pytest.raises(KeyError):
                target(act)
        else:
            assert target(act) is state


def test_a_state_is_left_by_what_the_table_says_and_by_nothing_else() -> None:
    assert sources(Act.OPEN) == frozenset()
    assert sources(Act.CLAIM) == {CaseState.WAITING}
    assert sources(Act.TRANSFER) == sources(Act.RETURN) == {CaseState.CLAIMED}
    assert sources(Act.CLOSE) == {CaseState.CLAIMED}
    assert sources(Act.REOPEN) == sources(Act.EXPIRE) == {CaseState.CLOSED}
    assert sources(Act.FORGET) == set(CaseState)
    left = Counter(act for act in Act for _ in sources(act))
    assert sum(left.values()) + 1 == len(TRANSITIONS)


def test_from_every_state_she_can_have_everything_deleted_and_every_case_comes_to_an_end() -> None:
    for state in CaseState:
        assert TRANSITIONS[state, Act.FORGET] is None
    assert TRANSITIONS[target(Act.CLOSE), Act.EXPIRE] is None
