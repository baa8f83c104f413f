"""Databases with many contacts in them, made in bulk: each a closed case, and what stands of it.

Addresses and keys are any bytes, of the size that the sealed ones have; nothing opens them.
Names and indexes count up, which fills a tree quickly and leaves it as deep as any.
"""

from __future__ import annotations

import sqlite3
from datetime import UTC, datetime, timedelta
from pathlib import Path

from bot.privacy.vault import Vault
from bot.settings import Settings
from bot.storage.migrate import migrate
from tests import postgres

ADDRESS, INDEX, KEY, HANDLE = 39, 32, 61, 34
"""Bytes of a sealed Telegram id, its index, a wrapped key, a sealed message number."""

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


def durable(server: postgres.Server) -> None:
    """What the tests switch off on their server: each commit waits for the disk again."""
    for name in ("fsync", "full_page_writes"):
        server.administer(f"ALTER SYSTEM SET {name} = on")
    server.administer("SELECT pg_reload_conf()")


def _filled(size: int) -> str:
    return f"substring(decode(repeat(md5(i::text), 4), 'hex') FROM 1 FOR {size})"


def _when(form: str) -> dict[str, str]:
    """Closed two hours ago: nothing of it is due for anything."""
    then = datetime.now(UTC).replace(minute=0, second=0) - timedelta(hours=2)
    return {"at": then.strftime(form), "day": then.date().isoformat()}
