"""Under which day's key each call that was handed over stands: destroyed with it, no copy opens it.

A call's row begins with that key's name, and with a key of its own wrapped under it.
"""

from __future__ import annotations

from datetime import date
from typing import NamedTuple

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from bot.privacy.vault import DayKey, KeyDestroyed, Vault
from bot.storage.tables import calls

_END = b"\n"
_WRAPPED = 61
"""Bytes of a wrapped key."""


class Sealed(NamedTuple):
    """What stands in the column `body`."""

    day_key: DayKey
    wrapped: bytes
    text: bytes

    def packed(self) -> bytes:
        return self.day_key.encode() + _END + self.wrapped + self.text


def unpacked(body: bytes) -> Sealed:
    name, _, rest = body.partition(_END)
    return Sealed(name.decode(), rest[:_WRAPPED], rest[_WRAPPED:])


def seal(vault: Vault, today: date, row: str, plain: bytes) -> bytes:
    """In a writer's turn, so that the day's key is not just being destroyed."""
    name, wrapped = vault.new_case_key(today, row)
    key = vault.unwrap(wrapped, name, row)
    return Sealed(name, wrapped, vault.seal_bytes(key, "calls", "body", row, plain)).packed()


def unseal(vault: Vault, row: str, body: bytes) -> bytes:
    """Raises `VaultError`."""
    sealed = unpacked(body)
    key = vault.unwrap(sealed.wrapped, sealed.day_key, row)
    return vault.unseal_bytes(key, "calls", "body", row, sealed.text)


async def day_keys(connection: AsyncConnection) -> set[DayKey]:
    """Those under which a call stands."""
    bodies = (await connection.execute(select(calls.c.body))).scalars()
    return {unpacked(body).day_key for body in bodies}


async def rewrap(connection: AsyncConnection, vault: Vault, name: DayKey, to: DayKey) -> None:
    """Put the calls that stand under one day's key under another."""
    for row in (await connection.execute(select(calls))).all():
        sealed = unpacked(row.body)
        if sealed.day_key != name:
            continue
        try:
            new, wrapped = vault.rewrap(sealed.wrapped, name, to, row.call_key.hex())
        except KeyDestroyed:
            continue
        body = Sealed(new, wrapped, sealed.text).packed()
        await connection.execute(calls.update().where(calls.c.id == row.id).values(body=body))
