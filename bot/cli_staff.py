"""`phen staff`: the centre's accounts."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.table import Table

from bot.app import Phen
from bot.cli_common import Mistake, member_of, print_table, with_store
from bot.storage.records import Role, StaffState
from dialogs.model import SOURCE_LANGUAGE

app = typer.Typer(help="Keep the centre's accounts. Example: phen staff list", no_args_is_help=True)

Login = Annotated[str, typer.Argument(help="Whose account; see `phen staff list`.")]


@app.command("add")
def add(
    login: Annotated[str, typer.Argument(help="Small letters, digits, dots.")],
    role: Annotated[list[Role], typer.Option(help="Can be given more than once.")],
    alias: Annotated[str, typer.Option(help="How women see her; the role when left out.")] = "",
    language: Annotated[
        list[str] | None, typer.Option(help="What she speaks; bg when left out. Can be repeated.")
    ] = None,
) -> None:
    """Invite somebody by a link that works once.

    Example: phen staff add maria --role consultant --language bg --language tr
    """
    spoken = language or [SOURCE_LANGUAGE]

    async def invite(phen: Phen) -> str:
        known = phen.content.languages
        if not set(spoken) <= set(known):
            raise Mistake(f"The line speaks only these languages: {', '.join(known)}.")
        token = await phen.accounts.invite(login, role, alias, spoken)
        return f"{phen.settings.address}/invite#{token}"

    typer.echo(with_store(invite))
    typer.echo("The link works once, for three days. Send it over a channel that you trust.")


@app.command("list")
def list_all() -> None:
    """List the accounts, and whose phone rings. Example: phen staff list"""
    table = Table("login", "alias", "roles", "languages", "bell", "state")
    for member in with_store(lambda phen: phen.store.all_staff()):
        roles = ", ".join(sorted(role.value for role in member.roles))
        bell = "linked" if member.has_bell else "no"
        languages = ", ".join(sorted(member.languages))
        table.add_row(member.login, member.alias, roles, languages, bell, member.state.value)
    print_table(table)


@app.command("freeze")
def freeze(login: Login) -> None:
    """Shut an account for a while and end its sessions. Example: phen staff freeze maria

    Her open cases wait, and ring, for another; the women are told. Who has not accepted her
    invitation is removed.
    """

    async def shut(phen: Phen) -> str:
        member = await member_of(phen, login)
        async with phen.team.leaving(member):
            await phen.accounts.freeze(member.login)
        if member.state is StaffState.INVITED:
            return "The invitation is taken back."
        return "The account is frozen, its sessions are ended, its open cases wait for another."

    typer.echo(with_store(shut))


@app.command("thaw")
def thaw(login: Login) -> None:
    """Let a frozen account in again, with its old password. Example: phen staff thaw maria"""

    async def let_in(phen: Phen) -> None:
        member = await member_of(phen, login)
        if member.state is not StaffState.FROZEN:
            raise Mistake(f"The account is not frozen but {member.state.value}; nothing was done.")
        if not await phen.store.set_staff_state(member.id, StaffState.ACTIVE):
            raise Mistake("She never accepted her invitation; remove the account and add it anew.")
        await phen.store.audit(None, "account.thawed")

    with_store(let_in)
    typer.echo("The account is active again.")


@app.command("remove")
def remove(login: Login) -> None:
    """Remove an account for good; its login is free again. Example: phen staff remove maria

    Her open cases wait, and ring, for another; the women are told.
    """

    async def take_away(phen: Phen) -> None:
        member = await member_of(phen, login)
        async with phen.team.leaving(member):
            await phen.store.remove_staff(member.id)
            await phen.store.audit(None, "account.removed")

    with_store(take_away)
    typer.echo("The account is removed, its sessions are ended, its open cases wait for another.")
