"""Measure, and write the table: `python -m bench`, or a part of it for a quick look."""

from __future__ import annotations

import sys
import time
from typing import Annotated

import typer
from rich.console import Console

from bench import broadcast, machine, report
from bench.scenarios import CONTESTANTS, Bench, Effort, Found

SCENARIOS = ("taps", "stored", "pages", "broadcast")


def main(
    only: Annotated[str, typer.Option(help=f"{', '.join(SCENARIOS)}; the table is printed")] = "",
    seconds: Annotated[float, typer.Option(help="for each measurement")] = 1.5,
    rounds: Annotated[int, typer.Option(help="of which the medians are taken")] = 3,
    who: Annotated[str, typer.Option(help="contestants whose name or module holds this")] = "",
) -> None:
    """Run everything and write bench/README.md, or print a part.

    Example: python -m bench --only taps --who aiogram --seconds 1 --rounds 1
    """
    if only and only not in SCENARIOS:
        raise typer.BadParameter(f"{only}: choose one of {', '.join(SCENARIOS)}")
    console, found, began = Console(stderr=True), Found(), time.monotonic()
    chosen = tuple(each for each in CONTESTANTS if who in each.name or who in each.module)
    effort = Effort(seconds, rounds)
    with console.status("starting") as status:

        def tell(what: str) -> None:
            what = f"{time.monotonic() - began:4.0f} s  {what}"
            status.update(what) if console.is_terminal else console.print(what, highlight=False)

        with Bench.opened(tell) as bench:
            if only in ("", "taps"):
                bench.taps(effort, chosen, found)
            if only in ("", "stored"):
                bench.stored(effort, found)
            if only in ("", "pages"):
                bench.pages(effort, found)
            if only in ("", "broadcast"):
                broadcast.measure(bench, effort, found)
    table = report.written(found, effort, time.monotonic() - began, machine.facts())
    if only or who:
        sys.stdout.write(table)
    else:
        report.keep(table)


if __name__ == "__main__":
    typer.run(main)
