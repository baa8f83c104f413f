"""Brings a database to the newest schema, all or nothing.

Of several processes that start at once one migrates, and the others find it done.
"""

from __future__ import annotations

import asyncio
import threading
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from alembic.util import CommandError
from sqlalchemy import Connection, make_url
from sqlalchemy.exc import OperationalError

from bot.storage.engine import connect, reach, writing
from bot.storage.records import DatabaseUnreachable, NewerDatabase

_NO_FILE = "unable to open database file"
_MIGRATIONS = Path(__file__).parent / "migrations"


def migrate(url: str) -> bool:
    """Run what is missing; True when the database was new and empty.

    May be called with or without a running loop; blocks until done.

    Raises `NewerDatabase` or `DatabaseUnreachable`, and then has changed nothing.
    """
    failure: list[BaseException] = []
    was_new: list[bool] = []

    def run() -> None:
        try:
            was_new.append(asyncio.run(_migrate(url)))
        except BaseException as error:
            failure.append(error)

    # A thread of its own: the caller's may have a loop that is running.
    thread = threading.Thread(target=run, name="migrate")
    thread.start()
    thread.join()
    if failure and isinstance(failure[0], OperationalError) and _NO_FILE in str(failure[0]):
        raise DatabaseUnreachable from None
    if failure:
        raise failure[0]
    _close_to_others(url)
    return was_new[0]


def newest() -> str | None:
    """The revision that this version of the program wants."""
    return _scripts().get_current_head()


def known(revision: str) -> bool:
    """Whether this version of the program has that migration."""
    return any(script.revision == revision for script in _scripts().walk_revisions())


async def _migrate(url: str) -> bool:
    engine = connect(url, migrating=True)
    try:
        if engine.dialect.name != "sqlite":
            await reach(engine)
        async with writing(engine).begin() as connection:
            return await connection.run_sync(_upgrade)
    finally:
        await engine.dispose()


def _close_to_others(url: str) -> None:
    file = make_url(url).database if url.startswith("sqlite") else None
    if file:
        Path(file).chmod(0o600)  # the log's files take the same rights


def _upgrade(connection: Connection) -> bool:
    is_new = MigrationContext.configure(connection).get_current_revision() is None
    config = _config()
    config.attributes["connection"] = connection
    try:
        command.upgrade(config, "head")
    except CommandError as error:
        if "Can't locate revision" in str(error):
            raise NewerDatabase from None
        raise
    return is_new


def _config() -> Config:
    config = Config()
    # Alembic reads `%` in a path as a placeholder.
    config.set_main_option("script_location", str(_MIGRATIONS).replace("%", "%%"))
    return config


def _scripts() -> ScriptDirectory:
    return ScriptDirectory.from_config(_config())
