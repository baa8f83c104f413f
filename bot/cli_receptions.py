"""`phen receptions`: the plan of the receptions, and files in and out."""

from __future__ import annotations

import csv
import io
import secrets
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from bot import cli_duty
from bot.app import Phen
from bot.calendars import take_calendar
from bot.cli_common import Mistake, local, print_table, with_store
from bot.reception_table import take_table
from bot.texts import ZONE
from scheduler import csv_lines, exchange
from scheduler.ical_lines import Problem
from scheduler.model import Reception
from scheduler.reception_ical import IcsResult, is_calendar, write_ics
from scheduler.reception_table import TableResult

app = typer.Typer(
    help="Keep the mobile receptions. Example: phen receptions list", no_args_is_help=True
)
CALENDAR = ".ics"
AS_IN_A_TABLE = ("too_long", "unreadable", "municipality_by_name", "municipality_unknown")

PROBLEMS = {
    **cli_duty.PROBLEMS,
    **{code: csv_lines.MESSAGES[code] for code in AS_IN_A_TABLE},
    "too_big": "the file is larger than {limit} bytes; export a calendar that holds receptions"
    " only",
    "no_events": "there is no event in the calendar; export the one that holds the receptions",
    "too_many_events": "there are {found} events, at most {limit} are read; export a calendar that"
    " holds receptions only",
    "too_many_times": "the events happen more than {limit} times in half a year; take out those"
    " that are no receptions",
    "too_slow": "it takes too long to work out when the events happen; take out those that are no"
    " receptions",
    "nothing_ahead": "no reception lies ahead (of what repeats: in the next {weeks} weeks); export"
    " a newer calendar",
    "rule_too_often": "a reception does not repeat {value}; let it repeat by days or weeks",
    "no_length": "the reception ends when it begins; give it an end",
    "whole_day": "a reception is no whole day; give it hours",
    "over_midnight": "the reception ends on another day than it begins; correct one of the two",
    "too_far": "the reception is more than two years ahead; correct the year",
    "repeated": "the same reception stands in line {first} already; remove one",
    "municipality_missing": "no municipality is named by its code (names repeat); write it as a"
    " category, or after the place: {known}",
    "municipality_twice": "there are codes of two municipalities; leave one",
}
"""Every problem of a calendar file by its code: what is wrong, and what to do."""


@app.command("list")
def list_receptions(
    municipality: Annotated[str, typer.Option(help="LAU code, for example rse27.")] = "",
    past: Annotated[bool, typer.Option(help="Also those that are over.")] = False,
) -> None:
    """List the receptions. Example: phen receptions list --municipality rse27"""

    async def read(phen: Phen) -> list[Reception]:
        since = None if past else phen.now()
        return await phen.store.receptions(municipality.lower() or None, since)

    table = Table("id", "municipality", "place", "start", "end", "state")
    for reception in with_store(read):
        start, end = (local(moment) for moment in (reception.start, reception.end))
        table.add_row(
            reception.id, reception.municipality, reception.place, start, end, reception.state.value
        )
    print_table(table)


@app.command("add")
def add_reception(
    municipality: Annotated[str, typer.Argument(help="LAU or EKATTE code, never a name.")],
    day: Annotated[str, typer.Argument(help="2026-12-01 or 01.12.2026")],
    start: Annotated[str, typer.Argument(help="10:00, local time")],
    end: Annotated[str, typer.Argument(help="14:00, local time")],
    place: Annotated[str, typer.Argument(help="Where, as it is shown to her.")],
    landmark: Annotated[str, typer.Option()] = "",
    attends: Annotated[str, typer.Option()] = "",
    public_name: Annotated[str, typer.Option(help="A neutral name.")] = "",
) -> None:
    """Add one reception. Example: phen receptions add rse05 2026-12-01 10:00 14:00 Читалището"""
    fields = {
        "municipality": municipality,
        "date": day,
        "start": start,
        "end": end,
        "place": place,
        "landmark": landmark,
        "attends": attends,
        "public_name": public_name,
    }
    text = io.StringIO()
    writer = csv.DictWriter(text, fields)
    writer.writeheader()
    writer.writerow(fields)
    took = _take_table(text.getvalue().encode(), "reception.saved")
    if took.added:
        typer.echo("Added.")
    else:
        _tell(took)


@app.command("import")
def import_receptions(
    file: Annotated[Path, typer.Argument(help="A CSV or an iCalendar file.")],
) -> None:
    """Take receptions from a file, all or none.

    A calendar changes what it changed since: by UID and SEQUENCE.
    Example: phen receptions import plan.csv, or phen receptions import plan.ics
    """
    try:
        data = file.read_bytes()
    except OSError:
        raise Mistake(f"{file} cannot be read; check its name and rights.") from None
    if is_calendar(data) or file.suffix.lower() == CALENDAR:
        took = _take_calendar(data)
        typer.echo(
            f"Added: {took.added}, changed: {took.changed}, cancelled: {took.cancelled},"
            f" older: {took.older}, unchanged: {took.unchanged}."
        )
        _tell_of_cancelled(took.stay_cancelled)
        if took.until is not None:
            until = took.until.astimezone(ZONE)
            typer.echo(f"What repeats is taken until {until:%Y-%m-%d}; then import again.")
    else:
        _tell(_take_table(data, "reception.imported"))


@app.command("export")
def export_receptions(
    file: Annotated[Path | None, typer.Argument(help="Standard output when left out.")] = None,
    ics: Annotated[bool, typer.Option("--ics", help="As a calendar; also by its name.")] = False,
) -> None:
    """Write the coming receptions as CSV or iCalendar. Example: phen receptions export plan.ics"""
    as_calendar = ics or (file is not None and file.suffix.lower() == CALENDAR)

    async def read(phen: Phen) -> bytes:
        now = phen.now()
        coming = await phen.store.receptions(since=now)
        if as_calendar:
            return write_ics(coming, now)
        text = exchange.write_csv(coming, phen.places)
        return text.encode("utf-8" if file is None else "utf-8-sig")

    written = with_store(read)
    if file is None:
        typer.echo(written, nl=False)
    else:
        file.write_bytes(written)
        typer.echo(f"Written: {file}")


def _take_table(data: bytes, action: str) -> TableResult:
    async def take(phen: Phen) -> TableResult:
        result = await take_table(phen.store, data, phen.places, phen.now(), _new_id)
        if result.problems:
            raise Mistake("\n".join(str(problem) for problem in result.problems))
        await phen.store.audit(None, action)
        return result

    return with_store(take)


def _tell(took: TableResult) -> None:
    typer.echo(f"Added: {took.added}, changed: {took.changed}, unchanged: {took.unchanged}.")
    _tell_of_cancelled(took.stay_cancelled)


def _tell_of_cancelled(count: int) -> None:
    if count:
        typer.echo(
            f"Called off here but taking place in the file: {count}. They stay called off; if they"
            " do take place, restore them on the page."
        )


def _take_calendar(data: bytes) -> IcsResult:
    async def take(phen: Phen) -> IcsResult:
        result = await take_calendar(phen.store, data, phen.places, phen.now(), _new_id)
        if result.problems:
            raise Mistake("\n".join(told(problem) for problem in result.problems))
        await phen.store.audit(None, "reception.imported")
        return result

    return with_store(take)


def told(problem: Problem) -> str:
    """One mistake in a calendar file, with its place, in a sentence."""
    return cli_duty.told(problem, PROBLEMS)


def _new_id() -> str:
    return secrets.token_hex(8)
