"""What a backup holds, and how it comes back: the centre's own rows, and nothing of a woman.

Everything is named here, table by table and column by column; what nobody has decided about is
not in it, and a test fails until somebody has. Sealed values leave in plain (the file around
them is encrypted) and are sealed anew under the master key of where they come back.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import Column, Row, Table, select

from bot.privacy.retention import Cutoffs
from bot.privacy.vault import Vault
from bot.storage import group
from bot.storage.migrate import known, newest
from bot.storage.part import Part
from bot.storage.records import StaffState, StoreError
from bot.storage.tables import UtcTime, audit, cases, metadata, staff

KEPT: dict[str, tuple[str, ...]] = {
    "staff": (
        "id", "login", "alias", "roles", "languages", "state", "password_hash", "totp_secret",
        "last_totp_step", "created_at", "bell_address", "known_since",
    ),
    "duty_weekly": ("id", "staff_id", "weekday", "starts", "ends"),
    "duty_days": ("id", "staff_id", "day", "starts", "ends"),
    "duty_shifts": ("id", "staff_id", "starts_at", "ends_at"),
    "receptions": (
        "id", "municipality", "place", "starts_at", "ends_at", "landmark", "attends",
        "public_name", "state", "uid", "sequence",
    ),
    "prepared": ("id", "language", "shortcut", "text"),
    "switches": ("name", "at"),
    "moved_groups": ("old", "new"),
    "tallies": ("month", "name", "bucket", "total"),
    "audit": ("at", "staff_id", "action"),
}  # fmt: skip
"""In the order in which it is restored."""

LEFT_OUT = frozenset(
    {
        # a woman's, or names one
        "cases", "messages", "media", "outbox", "handles", "blocks", "topics", "topic_lines",
        "calls", "lent", "subscriptions", "mailings", "leftovers",
        # words for women who were then waiting, and how many received them
        "broadcasts",
        # of the moment, or made again by itself
        "workers", "set_aside", "sessions", "failed_logins", "media_ids", "group_notes",
        "former_logins",
        "staff.bell_index",
        # a link or a code that was used since must not open a second time
        "staff.invite_hash", "staff.invite_expires_at", "staff.bell_code_hash",
        "staff.bell_code_expires_at",
        # names a case; and the numbers' gaps would count what was left out
        "audit.case_id", "audit.id",
    }
)  # fmt: skip
"""Tables, and columns of tables that are kept, that no backup holds."""

RESTORED = "restored"
KEPT_ACTIONS = frozenset(
    {
        "account.accepted", "account.changed", "account.froze", "account.frozen",
        "account.invite_sent", "account.invited", "account.put_out", "account.removed",
        "account.thawed",
        "bell.linked", "bell.unlinked", "duty.saved", "line.resumed", "line.stopped", "login",
        "login.flooded", "login.shut",
        "broadcast.approved", "broadcast.cancelled", "broadcast.paused", "broadcast.proposed",
        "broadcast.resumed", "broadcast.saved", "prepared.deleted", "prepared.saved",
        "reception.called", "reception.cancelled", "reception.imported",
        "reception.restored", "reception.saved", "refused.frozen", "refused.oneself",
        "refused.own_broadcast", "refused.removed", "refused.role", RESTORED,
    }
)  # fmt: skip
"""What the audit says of the centre's people. What it says of a case is a woman's hour."""

_SEALED = {"totp_secret": "totp", "bell_address": "address"}
"""Columns of `staff`, and for what purpose the vault seals them."""


class NotEmpty(StoreError):
    """The database is in use; restore into a new one, made by `phen migrate`."""


class NewerBackup(StoreError):
    """The backup comes from a newer version of Phen; install that version."""


class OlderBackup(StoreError):
    """The backup is too old for this version of Phen; restore it with an older one, then update."""


@dataclass(frozen=True, slots=True)
class Kept:
    """Everything that a backup holds, in plain: strings, whole numbers and None.

    `revision` is the migration at which the database stood.
    """

    revision: str
    made_at: datetime
    rows: dict[str, list[dict[str, Any]]] = field(repr=False)


class Backups(Part):
    """Reads what is kept, and puts it into a new database."""

    async def backup(self) -> Kept:
        """What a backup holds at this moment: one snapshot, while others write.

        Raises `Tampered` where a sealed value cannot be opened: a backup without it is none.
        """
        now = self._now()
        rows = {}
        async with self._database.read() as connection:
            for name, columns in KEPT.items():
                table = metadata.tables[name]
                query = select(*(table.c[column] for column in columns))
                rows[name] = (await connection.execute(query.where(*_which(table, now)))).all()
        plain = {
            name: [_plain(self._vault, name, row) for row in _in_order(rows[name])] for name in rows
        }
        return Kept(newest() or "", now, plain)

    async def restore(self, kept: Kept) -> None:
        """Put it all into an empty database, or nothing; the audit notes when.

        Raises `NotEmpty`, `NewerBackup` or `OlderBackup`.
        """
        if not known(kept.revision):
            raise NewerBackup
        if not set(kept.rows) <= set(KEPT):
            raise OlderBackup
        rows = {name: _fitting(self._vault, name, kept.rows.get(name, ())) for name in KEPT}
        async with self._database.write() as connection:
            for table in (cases, *(metadata.tables[name] for name in KEPT)):
                if (await connection.execute(select(table).limit(1))).first():
                    raise NotEmpty
            for name, values in rows.items():
                if values:
                    await connection.execute(metadata.tables[name].insert(), values)
            for row in rows[staff.name]:  # perhaps nobody had put her out of the group yet
                if row["state"] == StaffState.FROZEN:
                    await group.put_out(connection, row["id"], self._now())
            await connection.execute(audit.insert().values(at=self._now(), action=RESTORED))

    async def restored_since(self, moment: datetime) -> datetime | None:
        """When the line was restored from a backup last, if that was after this moment."""
        query = select(audit.c.at).where(audit.c.action == RESTORED, audit.c.at > moment)
        async with self._database.read() as connection:
            return (await connection.execute(query.order_by(audit.c.at.desc()))).scalars().first()


# --- one row ---------------------------------------------------------------------------------


def _plain(vault: Vault, name: str, row: Row[Any]) -> dict[str, Any]:
    values = dict(row._mapping)
    for column, value in values.items():
        if name == staff.name and column in _SEALED and value is not None:
            opened = vault.unseal(_SEALED[column], name, column, row.id, value)
            values[column] = opened.decode()
        elif isinstance(value, datetime):
            values[column] = value.isoformat()
    return values


def _fitting(vault: Vault, name: str, rows: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """The rows of one table as this version has it. Raises `OlderBackup`."""
    table, fitting = metadata.tables[name], []
    for row in rows:
        missing = [table.c[column] for column in KEPT[name] if column not in row]
        if not set(row) <= set(KEPT[name]) or not all(map(_has_default, missing)):
            raise OlderBackup
        values = {column: _value(table.c[column], value) for column, value in row.items()}
        fitting.append(values | (_sealed(vault, row) if table is staff else {}))
    return fitting


def _sealed(vault: Vault, row: dict[str, Any]) -> dict[str, bytes | None]:
    sealed: dict[str, bytes | None] = dict.fromkeys((*_SEALED, "bell_index"))
    for column, purpose in _SEALED.items():
        if (value := row.get(column)) is not None:
            sealed[column] = vault.seal(purpose, staff.name, column, row["id"], value.encode())
    if (address := row.get("bell_address")) is not None:
        sealed["bell_index"] = vault.blind_index("desk", address)
    return sealed


def _has_default(column: Column[Any]) -> bool:
    return bool(column.nullable) or column.server_default is not None


def _value(column: Column[Any], plain: Any) -> Any:
    if isinstance(column.type, UtcTime) and plain is not None:
        return datetime.fromisoformat(plain)
    return plain


# --- which rows ------------------------------------------------------------------------------


def _which(table: Table, now: datetime) -> list[Any]:
    """Conditions of what is kept of a table. Of a removed account nothing is."""
    is_there = staff.c.state != StaffState.REMOVED
    if table is staff:
        return [is_there]
    if table is audit:
        return [audit.c.action.in_(KEPT_ACTIONS), audit.c.at > Cutoffs.at(now).audits]
    if table.name.startswith("duty_"):
        return [table.c.staff_id.in_(select(staff.c.id).where(is_there))]
    return []


def _in_order(rows: Iterable[Row[Any]]) -> list[Row[Any]]:
    """Where a row stood in its table is not told either."""
    return sorted(rows, key=lambda row: [str(value) for value in row])
