"""`phen backup` and `phen restore`: the line without its women, in one encrypted file."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Annotated, TypeVar

import typer

from bot import backup as envelope
from bot.app import utc_now
from bot.cli_common import Mistake, local, read_settings
from bot.privacy.vault import Vault
from bot.settings import Settings
from bot.storage.backup import Kept
from bot.storage.store import Store

T = TypeVar("T")

PassphraseFile = Annotated[
    Path | None,
    typer.Option(help="A file with the passphrase (rights 0400); it is asked for when left out."),
]
_COUNTED = {
    "staff": "accounts",
    "receptions": "receptions",
    "prepared": "prepared answers",
    "audit": "audit entries",
}
_LOST = """\
Open cases and reminders are in no backup, they are gone: tell the staff. Everybody logs in again.
Who was frozen or removed after the backup is back: look at `phen staff list`."""
_STOPPED = "The line is stopped, as it was then; an admin lets it go on."


def backup(
    file: Annotated[Path, typer.Argument(help="A file that does not exist yet.")],
    passphrase_file: PassphraseFile = None,
) -> None:
    """Write accounts, receptions, settings and figures into one encrypted file; no woman is in it.

    The line may be running. Example: phen backup phen.backup --passphrase-file backup.key
    """
    settings = read_settings()
    if file.exists():
        raise Mistake(f"{file} exists already; choose another name.")
    passphrase = _passphrase(passphrase_file, twice=True)
    if len(passphrase) < envelope.MIN_PASSPHRASE:
        raise envelope.PassphraseTooShort
    kept = asyncio.run(_with_store(settings, Store.backup))
    try:
        envelope.write_new(file, envelope.seal(kept, passphrase))
    except OSError as error:
        raise Mistake(f"{file} was not written: {error.strerror}; there is no backup.") from None
    typer.echo(f"Written: {file} ({_count(kept)}).")


def restore(
    file: Annotated[Path, typer.Argument(help="What `phen backup` wrote.")],
    passphrase_file: PassphraseFile = None,
) -> None:
    """Put a backup into a new database, made by `phen migrate`; all of it or nothing.

    Example: phen restore phen.backup --passphrase-file backup.key
    """
    settings = read_settings()
    try:
        data = file.read_bytes()
    except OSError:
        raise Mistake(f"{file} cannot be read; check its name and rights.") from None
    kept = envelope.unseal(data, _passphrase(passphrase_file, twice=False))

    async def put(store: Store) -> bool:
        await store.restore(kept)
        return await store.stopped()

    stopped = asyncio.run(_with_store(settings, put))
    typer.echo(f"Restored as it was at {local(kept.made_at)} ({_count(kept)}).\n{_LOST}")
    if stopped:
        typer.echo(_STOPPED)


async def _with_store(settings: Settings, work: Callable[[Store], Awaitable[T]]) -> T:
    """Only the database: a backup must be possible where channels or content are broken."""
    store = await Store.open(settings.database, Vault.open(settings.key_file), utc_now)
    try:
        return await work(store)
    finally:
        await store.close()


def _passphrase(file: Path | None, *, twice: bool) -> str:
    if file is not None:
        return envelope.read_passphrase(file)
    if not sys.stdin.isatty():
        raise Mistake("Nobody can be asked for the passphrase here; give --passphrase-file.")
    asked: str = typer.prompt("Passphrase", hide_input=True, confirmation_prompt=twice, err=True)
    return asked


def _count(kept: Kept) -> str:
    return ", ".join(f"{what}: {len(kept.rows.get(name, ()))}" for name, what in _COUNTED.items())
