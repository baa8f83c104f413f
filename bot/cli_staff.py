"""`phen staff`: the centre's accounts."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.table import Table

from bot.app import Phen
from bot.cli_common import Mistake, member_of, print_table, with_store
from bot.storage.records import Role, StaffMember, StaffState
from dialogs.model import SOURCE_LANGUAGE

app = typer.Typer(help="Keep the centre's accounts. Example: phen staff list", no_args_is_help=True)

PUT_OUT = (
    "While the line runs, she is put out of the desk's Telegram group within seconds; the page "
    "with the accounts says so if Telegram refuses."
)
ALONE = (
    "Her telephone is not linked: if she is in the desk's Telegram group, she reads on there until "
    "the group's administrator puts her out. Do it now."
)
NO_GROUP = (
    "The desk has no Telegram group in these settings (PHEN_DESK_CHAT): there is none to leave."
)
BACK = "She can be added to the desk's Telegram group again, by an invite link."

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
        group = await _of_group(phen, member)
        async with phen.team.leaving(member):
            await phen.accounts.freeze(member.login)
        if member.state is StaffState.INVITED:
            return "The invitation is taken back."
        done = "The account is frozen, its sessions are ended, its open cases wait for another."
        return f"{done}\n{group}"

    typer.echo(with_store(shut))


@app.command("thaw")
def thaw(login: Login) -> None:
    """Let a frozen account in again, with its old password. Example: phen staff thaw maria"""

    async def let_in(phen: Phen) -> str:
        member = await member_of(phen, login)
        if member.state is not StaffState.FROZEN:
            raise Mistake(f"The account is not frozen but {member.state.value}; nothing was done.")
        if not await phen.store.set_staff_state(member.id, StaffState.ACTIVE):
            raise Mistake("She never accepted her invitation; remove the account and add it anew.")
        await phen.store.audit(None, "account.thawed")
        return BACK if member.has_bell and phen.settings.desk_chat is not None else ""

    back = with_store(let_in)
    typer.echo(f"The account is active again.\n{back}".strip())


@app.command("remove")
def remove(login: Login) -> None:
    """Remove an account for good; its login is free again. Example: phen staff remove maria

    Her open cases wait, and ring, for another; the women are told.
    """

    async def take_away(phen: Phen) -> str:
        member = await member_of(phen, login)
        group = await _of_group(phen, member)
        async with phen.team.leaving(member):
            await phen.store.remove_staff(member.id)
            await phen.store.audit(None, "account.removed")
        return group

    group = with_store(take_away)
    typer.echo("The account is removed, its sessions are ended, its open cases wait for another.")
    typer.echo(group)


async def _of_group(phen: Phen, member: StaffMember) -> str:
    """What becomes of her in the desk's Telegram group when she may not work here any more."""
    noted = {note.staff_id for note in await phen.store.group_notes()}
    if member.has_bell or member.id in noted:
        return PUT_OUT
    return ALONE if phen.settings.desk_chat is not None else NO_GROUP
