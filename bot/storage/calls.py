"""Platforms' calls on their way to the process that holds their channel: sealed, gone when done."""

from __future__ import annotations

import json
from collections.abc import Collection
from dataclasses import dataclass
from datetime import timedelta

from sqlalchemy import select

from bot.channels.base import Call, Reply
from bot.privacy.vault import VaultError
from bot.storage import call_keys
from bot.storage.part import Part, log
from bot.storage.tables import calls

FETCHED_WITHIN = timedelta(minutes=1)
"""For so long an answer lies there for the process that was called."""
OLDEST = timedelta(days=1)
"""What nobody has taken by then is purged; a platform keeps it no longer either."""
MOST_AT_ONCE = 100
_STEP = 256


@dataclass(frozen=True, slots=True)
class HandedOver:
    """A call that waits for the process that holds its channel."""

    id: int
    call: Call


class Calls(Part):
    """Carries calls there and their answers back."""

    async def hand_over(self, channel: str, call: Call) -> int:
        """Keep a call for whoever holds the channel; the same one lies there once. Its id."""
        key = self._vault.mac("call", channel, call.key)
        body = json.dumps([call.key, call.told], separators=(",", ":")).encode()
        async with self._database.write() as connection:
            known = select(calls.c.id).where(calls.c.call_key == key)
            if (row_id := (await connection.execute(known)).scalar()) is not None:
                return int(row_id)
            sealed = call_keys.seal(self._vault, self._today(), key.hex(), body)
            row = {"channel": channel, "call_key": key, "body": sealed, "at": call.at}
            added = await connection.execute(calls.insert().values(**row).returning(calls.c.id))
            return int(added.scalar_one())

    async def handed_over(self, channel: str, but: Collection[int] = ()) -> list[HandedOver]:
        """What waits there, the oldest first, without those that are under way.

        One that cannot be opened holds up no other.
        """
        query = (
            select(calls)
            .where(calls.c.channel == channel, calls.c.status.is_(None), calls.c.id.not_in(but))
            .order_by(calls.c.id)
            .limit(MOST_AT_ONCE)
        )
        async with self._database.read() as connection:
            rows = (await connection.execute(query)).all()
        found = []
        for row in rows:
            try:
                opened = call_keys.unseal(self._vault, row.call_key.hex(), row.body)
            except VaultError:
                log.count("unreadable")
                continue
            key, told = json.loads(opened)
            found.append(HandedOver(row.id, Call(key, told, row.at)))
        return found

    async def answer_call(self, call_id: int, reply: Reply) -> None:
        """It was taken; this is to be answered, and what it brought is kept no longer."""
        async with self._database.write() as connection:
            query = select(calls.c.call_key).where(calls.c.id == call_id)
            key = (await connection.execute(query)).scalar()
            if key is None:
                return
            answer = self._vault.seal("call", "calls", "answer", key.hex(), _padded(reply.body))
            nothing = call_keys.seal(self._vault, self._today(), key.hex(), b"")
            values = {"status": reply.status, "answer": answer, "body": nothing}
            await connection.execute(calls.update().where(calls.c.id == call_id).values(**values))

    async def fetch_answer(self, call_id: int) -> Reply | None:
        """What is to be answered, once it is there; then nothing of the call is kept."""
        query = select(calls).where(calls.c.id == call_id, calls.c.status.is_not(None))
        async with self._database.read() as connection:
            row = (await connection.execute(query)).one_or_none()
        if row is None:
            return None
        answer = self._vault.unseal("call", "calls", "answer", row.call_key.hex(), row.answer)
        async with self._database.write() as connection:
            await connection.execute(calls.delete().where(calls.c.id == call_id))
        return Reply(row.status, answer.rstrip())

    async def drop_calls(self) -> None:
        """Delete the answers that nobody fetched."""
        over = calls.c.status.is_not(None), calls.c.at <= self._now() - FETCHED_WITHIN
        async with self._database.read() as connection:
            found = (await connection.execute(select(calls.c.id).where(*over).limit(1))).first()
        if found is not None:
            async with self._database.write() as connection:
                await connection.execute(calls.delete().where(*over))


def _padded(body: bytes) -> bytes:
    """An answer to a multiple of some length, so that it tells little."""
    return body.ljust(-(-len(body) // _STEP) * _STEP)
