"""The command `phen`: every command exits 0 or says in one sentence what to do."""

from __future__ import annotations

import asyncio
import json
import sys
import tempfile
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import Annotated, Literal

import typer

from bot import (
    cli_backup,
    cli_broadcast,
    cli_duty,
    cli_poster,
    cli_receptions,
    cli_staff,
    cli_verify,
    cli_viber,
    content_tools,
    lifecycle,
)
from bot.app import Phen, join
from bot.backup import BackupError
from bot.channels.console import ADDRESS, ConsoleChannel
from bot.cli_common import Mistake, read_settings, with_store
from bot.demo import LOGINS, PASSWORD, Demo, NotADemo, settings_for
from bot.desk.accounts import AccountError
from bot.privacy import redact
from bot.privacy.vault import Vault, VaultError
from bot.serving import AddressInUse, AddressWrong, serve, until_signalled
from bot.settings import Settings, SettingsWrong
from bot.storage.migrate import migrate as bring_up_to_date
from bot.storage.records import StoreError
from bot.texts import ZONE
from dialogs.load import ContentError

app = typer.Typer(
    name="phen",
    help="Phen, an anonymous help line. Example: phen demo",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    add_completion=False,
)
app.add_typer(cli_receptions.app, name="receptions")
cli_receptions.app.command()(cli_poster.poster)
app.add_typer(cli_staff.app, name="staff")
app.add_typer(cli_duty.app, name="duty")
app.add_typer(cli_broadcast.app, name="broadcast")
app.add_typer(cli_viber.app, name="viber")
app.add_typer(cli_verify.app, name="verify")
app.command()(cli_backup.backup)
app.command()(cli_backup.restore)


def main() -> None:
    """Run the command; a mistake is one sentence on the standard error and exit status 1."""
    try:
        app()
    except MISTAKES as error:
        typer.echo(str(error), err=True)
        sys.exit(1)
    except BrokenPipeError:
        sys.exit(1)
    except OSError as error:  # its own words hold a path, which helps, and nothing of a woman's
        typer.echo(_file_trouble(error), err=True)
        sys.exit(1)
    except Exception as error:  # the text of an error may hold what nobody may read
        typer.echo(f"{_FAULT} {redact.describe(error)}", err=True)
        sys.exit(1)


def _file_trouble(error: OSError) -> str:
    what = error.strerror or type(error).__name__
    name = f"{error.filename}: " if error.filename else ""
    return f"{name}{what}; nothing more was done. Check the name and its rights."


_FAULT = "This is a fault of the program; nothing more was done. Tell its makers this line:"
MISTAKES = (
    AccountError,
    AddressInUse,
    AddressWrong,
    BackupError,
    ContentError,
    Mistake,
    NotADemo,
    SettingsWrong,
    StoreError,
    VaultError,
)


def _prepare(settings: Settings) -> None:
    """The data folder, an up-to-date database, and the master key of a new one."""
    try:
        settings.data_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
    except OSError:
        raise Mistake("PHEN_DATA_DIR: the folder cannot be made; check its rights.") from None
    is_new = bring_up_to_date(settings.database)
    Vault.open(settings.key_file, create=is_new)


# --- running ---------------------------------------------------------------------------------


@app.command()
def run() -> None:
    """Serve the web, the desk and the configured channels until SIGTERM. Example: phen run"""
    asyncio.run(_serve(read_settings(), with_demo=False))


@app.command()
def demo() -> None:
    """Serve everything on loopback with sample data and demo logins. Example: phen demo"""
    asyncio.run(_serve(settings_for(read_settings()), with_demo=True))


@app.command()
def talk(
    start: Annotated[str, typer.Option(help="A deep link's code, as on a poster.")] = "",
) -> None:
    """Walk the dialog in this terminal; nothing is stored. Example: phen talk"""
    asyncio.run(_talk(start or None))


async def _serve(settings: Settings, *, with_demo: bool) -> None:
    stop = until_signalled()
    redact.install_loop_handler(asyncio.get_running_loop())
    await asyncio.to_thread(_prepare, settings)
    async with join(settings) as phen:
        demo_logins = Demo(phen) if with_demo else None
        if demo_logins is not None:
            await demo_logins.fill(phen.now())

        def listening(port: int) -> None:
            _print_addresses(settings, port, demo_logins)

        await serve(phen, stop, demo=demo_logins, listening=listening)


def _print_addresses(settings: Settings, port: int, demo_logins: Demo | None) -> None:
    base = settings.public_url or f"http://{settings.host}:{port}"
    typer.echo(f"chat   {base}/\ndesk   {base}/desk\nstaff  {base}/staff")
    if demo_logins is not None:
        typer.echo(f"all    {base}/demo\n\nDemo logins (the codes stand on the login page):")
        for login, roles in LOGINS.items():
            typer.echo(f"  {login:6} {PASSWORD!r}  {', '.join(sorted(roles))}")
    typer.echo("Stop with Ctrl+C.")
    sys.stdout.flush()


async def _talk(start: str | None) -> None:
    redact.configure_logging("ERROR")
    with tempfile.TemporaryDirectory() as folder:
        settings = Settings(data_dir=Path(folder))
        await asyncio.to_thread(_prepare, settings)
        lines: asyncio.Queue[str | None] = asyncio.Queue()
        console = ConsoleChannel(lines, sys.stdout, start)
        async with join(settings, also=[console]) as phen:
            reader = asyncio.create_task(_read_lines(lines, phen))
            await console.run(phen.conversation)
            await reader


async def _read_lines(lines: asyncio.Queue[str | None], phen: Phen) -> None:
    """One line after another: each is answered before the next, as when a person types."""
    await phen.conversation.settled(ConsoleChannel.name, ADDRESS)
    while line := await asyncio.to_thread(sys.stdin.readline):
        lines.put_nowait(line)
        await lines.join()
        await phen.conversation.settled(ConsoleChannel.name, ADDRESS)
    lines.put_nowait(None)


@app.command()
def migrate() -> None:
    """Bring the database up to date. Example: phen migrate"""
    settings = read_settings()
    _prepare(settings)
    typer.echo("The database is up to date.")


@app.command()
def purge() -> None:
    """Destroy now whatever its time has come for. Example: phen purge"""
    purged = with_store(lambda phen: phen.store.purge(phen.now()))
    typer.echo(f"Destroyed: {purged.texts} case texts, {purged.cases} cases, {purged.keys} keys.")


# --- content ---------------------------------------------------------------------------------


@app.command()
def check(
    form: Annotated[Literal["text", "json"], typer.Option("--format")] = "text",
    on: Annotated[datetime | None, typer.Option(help="Check as on this day.")] = None,
    schema: Annotated[bool, typer.Option(help="Write the JSON Schemas of the files.")] = False,
    channels: Annotated[
        bool, typer.Option(help="Report what each channel shows of every node; errors on stderr.")
    ] = False,
) -> None:
    """Check the content. Example: phen check --format json"""
    if schema:
        content_tools.write_schemas()
        return
    day = on.date() if on is not None else datetime.now(ZONE).date()
    if channels:
        report = content_tools.channels(day)
        if form == "json":
            typer.echo(json.dumps(report.for_machines(), ensure_ascii=False))
        else:
            typer.echo("\n".join(report.lines()))
            typer.echo("\n".join([*map(str, report.faults), report.summary]), err=True)
        if report.faults:
            raise typer.Exit(1)
        return
    problems = content_tools.problems(day)
    if form == "json":
        typer.echo(json.dumps([asdict(problem) for problem in problems], ensure_ascii=False))
    else:
        for problem in problems:
            typer.echo(str(problem))
        typer.echo(content_tools.summary(problems))
    if problems:
        raise typer.Exit(1)


@app.command()
def graph(
    topic: Annotated[str, typer.Argument(help="One topic; all when left out.")] = "",
    out: Annotated[Path, typer.Option(help="Where the SVG goes.")] = Path("phen.svg"),
    cases: Annotated[
        bool, typer.Option("--cases", help="Print the life of a case instead, as Mermaid.")
    ] = False,
) -> None:
    """Draw the dialog: dead ends, and how far 112 is. Example: phen graph order --out order.svg"""
    if cases:
        return typer.echo(lifecycle.diagram(), nl=False)
    drawing = content_tools.drawing(topic or None)
    if drawing is None:
        raise Mistake(f"There is no topic of that name; take one of: {content_tools.topics()}.")
    out.write_text(drawing, encoding="utf-8")
    typer.echo(f"Drawn: {out}")
