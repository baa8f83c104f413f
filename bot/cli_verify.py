"""`phen verify`: prove on this machine that what is promised holds."""

from __future__ import annotations

import asyncio
import sys
from collections import Counter
from contextlib import nullcontext
from typing import Annotated

import typer
from rich.progress import Progress
from rich.table import Table

from bot.cli_common import Mistake, print_table
from bot.privacy import redact
from bot.verify.judge import KINDS, trace
from bot.verify.killer import STATES
from bot.verify.proof import Verdict, prove
from bot.verify.record import Answered, Said, Taken, Wrote

TRACED = 60
"""At most so many lines of a conversation that went wrong."""
TRACE_SECONDS = 5.0
MAX_WORKERS = 9

app = typer.Typer(
    help="Prove that nothing is lost. Example: phen verify kill --n 100", no_args_is_help=True
)


@app.command("kill")
def verify_kill(
    n: Annotated[int, typer.Option(min=1, help="How often a process is killed.")] = 100,
    database: Annotated[
        str, typer.Option(help="An empty PostgreSQL database, postgresql://…; SQLite if left out.")
    ] = "",
    workers: Annotated[
        int, typer.Option(min=1, max=MAX_WORKERS, help="Processes on one PostgreSQL database.")
    ] = 1,
    seed: Annotated[int | None, typer.Option(help="An earlier run's, for the same chance.")] = None,
) -> None:
    """Kill the program again and again among people who write, and look for what is lost.

    Everything is made up and on loopback: its own data, its own platform, its own people.
    Example: phen verify kill --n 1000
    """
    if workers > 1 and not database.startswith("postgresql"):
        raise Mistake("Several processes need PostgreSQL; name an empty one with --database.")
    redact.configure_logging("ERROR")
    shown = Progress(disable=not sys.stdout.isatty(), transient=True)
    with shown if sys.stdout.isatty() else nullcontext():
        bar = shown.add_task("kills", total=n)
        verdict = asyncio.run(
            prove(
                n,
                database=database,
                workers=workers,
                seed=seed,
                told=lambda done: shown.update(bar, completed=done),
            )
        )
    _print_states(verdict)
    _print_verdict(verdict)
    if not verdict.passed:
        _print_traces(verdict)
        raise typer.Exit(1)


def _print_states(verdict: Verdict) -> None:
    table = Table("killed while", "times", "")
    for state in STATES:
        times = verdict.states[state]
        table.add_row(state, str(times), "#" * times if verdict.kills <= 200 else "")
    print_table(table)


def _print_verdict(verdict: Verdict) -> None:
    seen = Counter(type(event) for event in verdict.record)
    faults = Counter(fault.kind for fault in verdict.faults)
    table = Table("judged from the platform's record", "found")
    for kind in KINDS:
        table.add_row(kind, str(faults[kind]))
    print_table(table)
    typer.echo(
        f"{verdict.kills} kills in {verdict.seconds:.0f} s, seed {verdict.seed}:"
        f" {seen[Wrote]} messages of women, {seen[Taken]} acknowledged,"
        f" {seen[Answered]} answers, {seen[Said]} messages sent."
    )
    if verdict.repeats:
        typer.echo(f"{verdict.repeats} messages stood twice on the desk, and said so.")
    if verdict.empty_topics:
        typer.echo(f"{verdict.empty_topics} topics were left empty, with nothing but an alias.")
    if verdict.takeovers:
        longest = max(verdict.takeovers)
        typer.echo(f"{len(verdict.takeovers)} takeovers, the longest after {longest:.1f} s.")
    typer.echo(f"Stopped by SIGTERM within {verdict.stop_seconds:.1f} s.")
    for sentence in verdict.trouble:
        typer.echo(sentence)
    typer.echo("Nothing was lost." if verdict.passed else "NOT PROVED.")


def _print_traces(verdict: Verdict) -> None:
    """What happened around the first fault of each kind, in numbers only."""
    told: set[str] = set()
    for fault in verdict.faults:
        typer.echo(f"{fault.at:9.3f}  {fault.kind}: {fault.woman} {fault.number}, {fault.why}")
        if fault.kind in told:
            continue
        told.add(fault.kind)
        lines = trace(verdict.record, fault.woman)
        near = [each for each in lines if abs(float(each.split()[0]) - fault.at) < TRACE_SECONDS]
        for line in near[:TRACED]:
            typer.echo(f"    {line}")
