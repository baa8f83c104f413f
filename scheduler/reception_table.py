"""A table of receptions beside those that are known: what is new, changed, or stays called off."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from scheduler.csv_lines import Problem
from scheduler.exchange import CsvResult, CsvRow, after_change, tidy
from scheduler.model import Reception, ReceptionState
from scheduler.plan import takes_place

_TEXTS = ("place", "landmark", "attends", "public_name")


@dataclass(frozen=True, slots=True)
class TableResult:
    """What a table asks for; or, when there is any problem, only the problems.

    `receptions` are to be saved. `stay_cancelled` take place in the table and are called off
    here: a table calls off, and never brings back.
    """

    receptions: tuple[Reception, ...] = ()
    problems: tuple[Problem, ...] = ()
    added: int = 0
    changed: int = 0
    unchanged: int = 0
    stay_cancelled: int = 0


def compare(read: CsvResult, known: Iterable[Reception], new_id: Callable[[], str]) -> TableResult:
    """What becomes of a table, seen from all receptions that are `known`.

    A row is known again by its id, and without one by its municipality, place and start. One that
    was changed here since the table was downloaded, and stands otherwise in it, is a mistake.
    `new_id` is called once for each new reception without an id, and only if there is none.
    """
    by_id = {it.id: it for it in known}
    olds = _meant(read.rows, by_id)
    problems = [*read.problems, *(
        Problem(row.line, "", "changed_since")
        for row, old in zip(read.rows, olds, strict=True)
        if old is not None and _is_older(row, old) and not _says_the_same(row.reception, old)
    )]  # fmt: skip
    if problems:
        return TableResult(problems=tuple(problems))
    figures: Counter[str] = Counter()
    saved: list[Reception] = []
    for row, old in zip(read.rows, olds, strict=True):
        new = row.reception
        if old is None:
            figures["added"] += 1
            saved.append(new if new.id else replace(new, id=new_id()))
            continue
        if not new.id:  # known by its place: another spelling of it is no other place
            new = replace(new, place=old.place)
        if _says_the_same(new, old):
            figures["unchanged"] += 1
        elif takes_place(new) and not takes_place(old):
            figures["stay_cancelled"] += 1
        else:
            figures["changed"] += 1
            saved.append(after_change(old, _named_as(old, new)))
    return TableResult(
        tuple(saved),
        added=figures["added"],
        changed=figures["changed"],
        unchanged=figures["unchanged"],
        stay_cancelled=figures["stay_cancelled"],
    )


def _meant(rows: Sequence[CsvRow], by_id: Mapping[str, Reception]) -> list[Reception | None]:
    """The known reception of each row."""
    named = {row.reception.id for row in rows}
    free = [it for it in by_id.values() if it.id not in named]
    # Of several at one place and time the last is meant: one that takes place, if any does.
    free.sort(key=lambda it: (takes_place(it), it.id))
    there = {_place_and_time(it): it for it in free}
    receptions = [row.reception for row in rows]
    return [by_id.get(it.id) if it.id else there.get(_place_and_time(it)) for it in receptions]


def _named_as(old: Reception, new: Reception) -> Reception:
    return replace(new, id=old.id, uid=old.uid, sequence=old.sequence)


def _place_and_time(it: Reception) -> tuple[str, str, datetime]:
    return it.municipality, tidy(it.place).casefold(), it.start


def _is_older(row: CsvRow, old: Reception) -> bool:
    """Whether the row was downloaded before the last change here; one without an id never was."""
    return bool(row.reception.id) and row.sequence is not None and row.sequence < old.sequence


def _says_the_same(new: Reception, old: Reception) -> bool:
    """Whether a row says what is kept; of one that was moved it need not say so."""
    states = (new.state, old.state)
    is_same = new.state is old.state or states == (ReceptionState.PLANNED, ReceptionState.MOVED)
    return is_same and _told(new) == _told(old)


def _told(it: Reception) -> tuple[object, ...]:
    return it.municipality, it.start, it.end, *(tidy(getattr(it, name)) for name in _TEXTS)
