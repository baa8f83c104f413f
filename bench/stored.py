"""Databases with many contacts in them, made in bulk: each a closed case, and what stands of it.

Addresses and keys are any bytes, of the size that the sealed ones have; nothing opens them.
Names and indexes count up, which fills a tree quickly and leaves it as deep as any.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import islice
from pathlib import Path
from typing import Any

from bench.recipients import FIRST
from bot.channels.telegram import NAME
from bot.privacy.vault import Vault
from bot.settings import Settings
from bot.storage.engine import connect
from bot.storage.migrate import migrate
from bot.storage.part import new_id
from bot.storage.reminding import bound
from bot.storage.tables import subscriptions
from dialogs.model import SOURCE_LANGUAGE
from tests import postgres

ADDRESS, INDEX, KEY, HANDLE = 39, 32, 61, 34
"""Bytes of a sealed Telegram id, its index, a wrapped key, a sealed message number."""

TOGETHER = 5_000
"""Rows of one statement."""
_MUNICIPALITIES = ("rse03", "rse04", "rse05", "rse08", "rse13", "rse27", "rse33", "rse37")
_WORDS = "remind_words.go.a"

_CASES = """
INSERT INTO cases (id, alias, state, channel, language, address_index, address, wrapped_key,
    day_key, opened_at, last_woman_at, last_at, closed_at, present, told, looked, last_number)
SELECT {id}, 'Тиха Ела ' || {id}, 'closed', 'telegram', 'bg', {index}, {address}, {key},
    '{day}', '{at}', '{at}', '{at}', '{at}', {false}, 0, 2, 2
FROM {numbers}
"""
_HANDLES = """
INSERT INTO handles (id, case_id, handle, at)
SELECT id, id, substr(wrapped_key, 1, {handle}), '{at}' FROM cases
"""


def sqlite(folder: Path, contacts: int) -> str:
    """A new database in that folder; its address. The key to it stands there, too."""
    settings = Settings(data_dir=folder)
    Vault.open(settings.key_file, create=True)
    migrate(settings.database)
    words = {
        "id": "printf('%032x', i)",
        "false": "0",
        "index": f"CAST(printf('%0{INDEX}x', i) AS BLOB)",
        "address": f"randomblob({ADDRESS})",
        "key": f"randomblob({KEY})",
        "numbers": f"(WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n "
        f"WHERE i < {contacts}) SELECT i FROM n)",
        "handle": HANDLE,
        **_when("%Y-%m-%d %H:%M:%S.000000"),
    }
    if contacts:
        with sqlite3.connect(folder / "phen.db") as connection:
            connection.execute("PRAGMA synchronous=OFF")
            connection.execute(_CASES.format(**words))
            connection.execute(_HANDLES.format(**words))
        connection.close()
    return ""


def postgresql(server: postgres.Server, folder: Path, contacts: int) -> str:
    """A new database on that server; its address."""
    Vault.open(Settings(data_dir=folder).key_file, create=True)
    url = postgres.fresh(server.url)
    words = {
        "id": "lpad(to_hex(i), 32, '0')",
        "false": "false",
        "index": f"lpad(to_hex(i), {INDEX}, '0')::bytea",
        "address": _filled(ADDRESS),
        "key": _filled(KEY),
        "numbers": f"generate_series(1, {contacts}) AS n(i)",
        "handle": HANDLE,
        **_when("%Y-%m-%d %H:%M:%S+00"),
    }
    if contacts:
        postgres.sql(url, _CASES.format(**words))
        postgres.sql(url, _HANDLES.format(**words))
        postgres.sql(url, "ANALYZE")
    return url


def subscribed(folder: Path, url: str, many: int, now: datetime) -> None:
    """Let so many women wait for a reception that is not planned yet, on the database there.

    Their addresses are sealed as the program seals them: it opens each.
    """
    settings = Settings(data_dir=folder, database_url=url)
    rows = _waiting(Vault.open(settings.key_file), many, now)
    asyncio.run(_insert(settings.database, rows))
    if url:
        postgres.sql(url, "ANALYZE")


async def _insert(database: str, rows: Iterator[dict[str, Any]]) -> None:
    engine = connect(database)
    async with engine.begin() as connection:
        while some := list(islice(rows, TOGETHER)):
            await connection.execute(subscriptions.insert(), some)
    await engine.dispose()


def _waiting(vault: Vault, many: int, now: datetime) -> Iterator[dict[str, Any]]:
    looked_at = {"next_at": now + timedelta(days=1), "news": False}  # by the clock, not before
    alike = {**bound(None, now), **looked_at, "channel": NAME, "language": SOURCE_LANGUAGE}
    for number in range(many):
        row, address = new_id(), str(FIRST + number)
        yield alike | {
            "id": row,
            "address_index": vault.blind_index(NAME, address),
            "address": vault.seal("address", "subscriptions", "address", row, address.encode()),
            "municipality": _MUNICIPALITIES[number % len(_MUNICIPALITIES)],
            "hours": "day",
            "words": _WORDS,
        }


def durable(server: postgres.Server) -> None:
    """What the tests switch off on their server: each commit waits for the disk again, and what
    was deleted is cleaned up."""
    for name in ("fsync", "full_page_writes", "autovacuum"):
        server.administer(f"ALTER SYSTEM SET {name} = on")
    server.administer("SELECT pg_reload_conf()")


def _filled(size: int) -> str:
    return f"substring(decode(repeat(md5(i::text), 4), 'hex') FROM 1 FOR {size})"


def _when(form: str) -> dict[str, str]:
    """Closed two hours ago: nothing of it is due for anything."""
    then = datetime.now(UTC).replace(minute=0, second=0) - timedelta(hours=2)
    return {"at": then.strftime(form), "day": then.date().isoformat()}
