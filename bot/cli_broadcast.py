"""`phen broadcast`: words for the women who wait for a reception, set going by two people."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Awaitable, Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn
from rich.table import Table

from bot import broadcasts
from bot.app import Phen
from bot.broadcasts import Broadcasting, Estimate, Preview, Problem, first_words, rough, tidy
from bot.channels.base import Outgoing
from bot.cli_common import Mistake, local, member_of, print_table, with_store
from bot.storage.mail_records import Audience, Broadcast, BroadcastState
from bot.storage.records import Role, StaffMember

app = typer.Typer(
    help="Write to the women who wait for a reception. Example: phen broadcast list",
    no_args_is_help=True,
)

Which = Annotated[str, typer.Argument(help="Which one; see `phen broadcast list`.")]
As = Annotated[str, typer.Option("--as", help="Your login; see `phen staff list`.")]

PROBLEMS = {
    "no_text": "there are no words; give them with --text bg=FILE.",
    "long": "there is room for {n} characters, and there are {found}; shorten it.",
    "unprintable": "there are characters that are not shown; write it anew.",
    "link": "“{value}” is an address, and a phone shows what is there; say it in words.",
    "forbidden": "“{phrase}” is never said on the line; say it otherwise.",
    "topic_word": "“{word}” at the beginning could be read on a locked screen; say it later.",
    "language": "the line does not speak “{value}”; see the folders of locales.",
    "municipality": "there is no municipality “{value}”; take LAU codes, for example rse27.",
    "channel": "“{value}” is no channel that can ring; take telegram or viber.",
    "no_channel": "there is no channel; take telegram or viber.",
}
FIGURES = ("delivered", "unknown", "gone", "held", "failed")
LOOK_SECONDS = 1.0
_NOT_PROPOSED = "It is {}; what was proposed within the last half hour can be approved."
_OPEN = (BroadcastState.DRAFT, BroadcastState.PROPOSED)


@app.command("new")
def new(
    login: As,
    text: Annotated[
        list[str], typer.Option(help="A language and a file: bg=words.txt. Can be repeated.")
    ],
    municipality: Annotated[
        list[str] | None, typer.Option(help="LAU code; all when left out. Can be repeated.")
    ] = None,
    channel: Annotated[
        list[str] | None, typer.Option(help="telegram or viber; both when left out.")
    ] = None,
) -> None:
    """Compose one; nothing is sent. Example: phen broadcast new --as maria --text bg=words.txt"""
    texts = dict(_read(each) for each in text)

    async def compose(phen: Phen) -> tuple[Broadcast, str]:
        member = await member_of(phen, login)
        audience = Audience(
            frozenset(code.lower() for code in municipality or ()),
            frozenset(texts),
            frozenset(channel or phen.broadcasts.channels),
        )
        if problems := phen.broadcasts.problems(audience, texts):
            raise Mistake("\n".join(map(told, problems)))
        kept = await phen.broadcasts.save(member.id, audience, texts, proved=False)
        return kept, await _shown(phen, kept)

    kept, shown = with_store(compose)
    typer.echo(shown)
    typer.echo(f"Kept. Next: phen broadcast propose {kept.id} --as {login}")


@app.command("list")
def list_all() -> None:
    """List them, the newest first. Example: phen broadcast list"""

    async def read(phen: Phen) -> list[tuple[Broadcast, str]]:
        languages = phen.content.languages
        return [(it, first_words(it.texts, languages)) for it in await phen.broadcasts.all()]

    table = Table("id", "state", "made", "languages", "recipients", "words")
    for it, words in with_store(read):
        languages = ", ".join(sorted(it.texts))
        recipients = _women(it.recipients) if it.started_at is not None else ""
        table.add_row(it.id, it.state, local(it.created_at), languages, recipients, words[:60])
    print_table(table)


@app.command("show")
def show(which: Which) -> None:
    """Show one: words, figures, and what a phone shows. Example: phen broadcast show 0123abcd"""

    async def read(phen: Phen) -> str:
        return await _shown(phen, await phen.broadcasts.of(which))

    typer.echo(with_store(read))


@app.command("propose")
def propose(which: Which, login: As) -> None:
    """Ask a second person to approve it. Example: phen broadcast propose 0123abcd --as maria

    Your password and code are asked for. She has thirty minutes.
    """
    show(which)
    password, code = _asked()

    async def ask(phen: Phen) -> str:
        me = await _proved(phen, login, password, code)
        proposed = await phen.broadcasts.propose(me.id, which)
        until = phen.broadcasts.approvable_until(proposed)
        return "" if until is None else local(until)

    until = with_store(ask)
    typer.echo(f"Proposed. Somebody else, until {until}: phen broadcast approve {which} --as LOGIN")


@app.command("approve")
def approve(which: Which, login: As) -> None:
    """Set going what another proposed. Example: phen broadcast approve 0123abcd --as elena

    It is shown first; then your password and code are asked for.
    """

    async def read(phen: Phen) -> tuple[Broadcast, str]:
        found = await phen.broadcasts.of(which)
        if phen.broadcasts.approvable_until(found) is None:
            raise Mistake(_NOT_PROPOSED.format(found.state))
        return found, await _shown(phen, found)

    found, shown = with_store(read)
    typer.echo(shown)
    password, code = _asked()

    async def begin(phen: Phen) -> None:
        me = await _proved(phen, login, password, code)
        await phen.broadcasts.approve(me.id, which, found.digest or "")

    with_store(begin)
    typer.echo(f"It goes out. Look on with: phen broadcast watch {which}")


@app.command("pause")
def pause(which: Which) -> None:
    """Let nothing more of it go out for now. Example: phen broadcast pause 0123abcd"""
    with_store(lambda phen: phen.broadcasts.pause(None, which))
    typer.echo("Paused; what is under way this second still arrives.")


@app.command("resume")
def resume(which: Which) -> None:
    """Let a paused one go on where it was. Example: phen broadcast resume 0123abcd"""
    with_store(lambda phen: phen.broadcasts.resume(None, which))
    typer.echo("It goes on.")


@app.command("cancel")
def cancel(which: Which) -> None:
    """End it for good. Example: phen broadcast cancel 0123abcd

    Whom it has not reached it never will, and nobody can read its words any more.
    """
    with_store(lambda phen: phen.broadcasts.cancel(None, which))
    typer.echo("Cancelled.")


@app.command("watch")
def watch(which: Which) -> None:
    """Look on until it has ended. Example: phen broadcast watch 0123abcd"""
    follow = with_bar if sys.stdout.isatty() else in_lines
    ended = with_store(lambda phen: follow(looks(phen.broadcasts, which)))
    typer.echo("\n".join(_report(ended)))


# --- looking on ------------------------------------------------------------------------------


Look = Callable[[], Awaitable[broadcasts.Progress]]


def looks(service: Broadcasting, which: str) -> Look:
    """How far it is, each time that one looks. Raises `Mistake` where it has not begun."""

    async def look() -> broadcasts.Progress:
        told = await service.progress(which)
        if told.broadcast.started_at is None:
            raise Mistake(f"It has not begun; it is {told.broadcast.state}.")
        return told

    return look


async def in_lines(look: Look) -> Broadcast:
    """One line for each time that something is new."""
    before = ""
    while not (told := await look()).over:
        line = _line(told)
        if line != before:
            typer.echo(line)
            before = line
        await asyncio.sleep(LOOK_SECONDS)
    return told.broadcast


async def with_bar(look: Look, console: Console | None = None) -> Broadcast:
    """A bar that fills; for a small group, which is not counted out, one that only moves."""
    columns = BarColumn(), TextColumn("{task.description}")
    with Progress(*columns, console=console) as bar:
        task = bar.add_task("", total=None)
        while True:
            told = await look()
            settled, total = told.part or (None, None)
            bar.update(task, description=_line(told), completed=settled, total=total)
            if told.over:
                return told.broadcast
            await asyncio.sleep(LOOK_SECONDS)


def _line(told: broadcasts.Progress) -> str:
    it = told.broadcast
    parts = [str(it.state), f"{_women(it.delivered)} delivered", f"{_women(it.left)} left"]
    if told.left_for is not None and told.per_minute is not None:
        parts += [f"{_women(told.per_minute)} a minute", f"{_lasts(told.left_for)} to go"]
    elif it.state is BroadcastState.RUNNING and told.per_minute is not None:
        waits = f"the rest wait for their hours, the last until {local(told.latest)}"
        parts += [f"{_women(0)} a minute", waits]
    return ", ".join(parts)


# --- how it is told --------------------------------------------------------------------------


async def _shown(phen: Phen, it: Broadcast) -> str:
    lines = list(_about(it))
    if it.state in _OPEN:
        lines += _estimated(await phen.broadcasts.estimate(it.audience))
        for preview in await phen.broadcasts.previews(it):
            lines += _previewed(preview)
    elif it.started_at is not None:
        lines += _report(it)
    return "\n".join(lines)


def _about(it: Broadcast) -> Iterator[str]:
    yield f"{it.id}: {it.state}"
    yield f"municipalities: {', '.join(sorted(it.audience.municipalities)) or 'all'}"
    yield f"channels: {', '.join(sorted(it.audience.channels))}"
    for language, text in it.texts.items():
        yield f"\n{language}:"
        yield from (f"    {line}" for line in text.split("\n"))


def _estimated(now: Estimate) -> Iterator[str]:
    yield f"\nwaiting there, in all languages and on all channels: {_women(now.recipients)}"
    paid = "none" if now.billable is None else _women(now.billable)
    yield f"billable Viber messages, if it went now: {paid}"
    yield f"sending takes: {_lasts(now.sending)}"
    yield f"the last phones may ring until: {local(now.latest)}"


def _previewed(it: Preview) -> Iterator[str]:
    yield f"\n{it.language}, {it.channel}, on the phone:"
    yield from _message(it.rings)
    yield from (f"    or: {words}" for words in it.others)
    yield f"{it.language}, {it.channel}, behind the gate:"
    yield from _message(it.read)


def _message(message: Outgoing) -> Iterator[str]:
    yield from (f"    {line}".rstrip() for line in message.text.split("\n"))
    yield "    " + " ".join(f"[{button.label}]" for button in (*message.choices, *message.marks))


def _report(it: Broadcast) -> list[str]:
    figures = {"recipients": it.recipients, **{name: getattr(it, name) for name in FIGURES}}
    return [f"{it.state}:", *(f"    {name}: {_women(count)}" for name, count in figures.items())]


def _women(count: int) -> str:
    tens = rough(count)
    return f"at least {tens}" if tens else "under 10"


def _lasts(span: timedelta) -> str:
    minutes = -(-int(span.total_seconds()) // 60)
    if minutes <= 1:
        return "up to a minute"
    return f"about {minutes} minutes" if minutes <= 120 else f"about {-(-minutes // 60)} hours"


def told(it: Problem) -> str:
    return f"{it.at}: {PROBLEMS[it.code].format(**it.params)}"


# --- what is given ---------------------------------------------------------------------------


def _read(given: str) -> tuple[str, str]:
    """A language with its words, from `bg=words.txt`."""
    language, equals, name = given.partition("=")
    if not equals:
        raise Mistake(f"“{given}” is no language with its file; write --text bg=words.txt.")
    try:
        return language, tidy(Path(name).read_text("utf-8-sig"))
    except UnicodeDecodeError:
        raise Mistake(f"{name} is not written in UTF-8; save it so.") from None
    except OSError:
        raise Mistake(f"{name} cannot be read; check its name and rights.") from None


def _asked() -> tuple[str, str]:
    """Password and code; not echoed, and never in the shell's history."""
    return typer.prompt("Password", hide_input=True, err=True), typer.prompt("Code", err=True)


async def _proved(phen: Phen, login: str, password: str, code: str) -> StaffMember:
    """Who is at the keyboard, by what opens the staff page to her."""
    token = await phen.accounts.login(login, password, code)
    try:
        me = await phen.accounts.session(token)
    finally:
        await phen.accounts.logout(token)
    if me is None or me.roles.isdisjoint((Role.STAFF, Role.ADMIN)):
        await phen.store.audit(None if me is None else me.id, "refused.role")
        raise Mistake("Only staff and admins propose and approve; nothing was done.")
    return me
