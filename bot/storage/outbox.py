"""What waits to be sent to her, in order within each case, and the handles of what was sent.

A row of the outbox lives until its message is settled. What became of the message then stands
with the message: sent, unknown (its answer was lost: the desk decides), failed, dropped.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Row, and_, exists, func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from bot.privacy.vault import KeyDestroyed, Tampered
from bot.storage.media import MediaPart
from bot.storage.messages import enqueue
from bot.storage.part import log
from bot.storage.records import Due, MessageState, What
from bot.storage.tables import cases, handles, media, messages, outbox

_SETTLED = (MessageState.SENT, MessageState.UNKNOWN, MessageState.FAILED)
_UNDECIDED = (MessageState.UNKNOWN, MessageState.FAILED)
_ENDS = {
    What.CORRECT: (MessageState.SENT, MessageState.UNCORRECTED),
    What.TAKE_BACK: (MessageState.TAKEN_BACK, MessageState.NOT_TAKEN),
}
"""How what was sent before ends when it was changed in her chat, and when that failed."""

_earlier = outbox.alias("earlier")
_FIRST = ~exists().where(
    _earlier.c.case_id == outbox.c.case_id, _earlier.c.number < outbox.c.number
)
_PRESENT = exists().where(cases.c.id == outbox.c.case_id, cases.c.present)


class Outbox(MediaPart):
    """Says what is due, and settles it."""

    async def due(self, now: datetime, limit: int = 50) -> list[Due]:
        """What may be sent now: of each case whose window is open, the first unsettled message.

        A message that cannot be opened is set aside as failed, so that it stops nobody else.
        """
        query = (
            select(
                outbox.c.id.label("outbox_id"),
                outbox.c.attempts,
                outbox.c.what,
                messages,
                cases.c.channel,
                cases.c.language,
                cases.c.address,
                cases.c.wrapped_key,
                cases.c.day_key,
                cases.c.closed_at,
            )
            .join_from(outbox, messages, messages.c.id == outbox.c.message_id)
            .join(cases, cases.c.id == outbox.c.case_id)
            .where(cases.c.present, ~outbox.c.sending, outbox.c.due_at <= now, _FIRST)
            .order_by(outbox.c.id)
            .limit(limit)
        )
        async with self._database.read() as connection:
            rows = (await connection.execute(query)).all()
            standing = await self._standing(
                connection, [row for row in rows if row.what != What.SAY]
            )
        opened = [(row.outbox_id, self._due(row, standing.get(row.id))) for row in rows]
        for outbox_id, due in opened:
            if due is None:
                log.alarm("unreadable")
                await self.settle(outbox_id, MessageState.FAILED)
        return [due for _, due in opened if due is not None]

    async def _standing(
        self, connection: AsyncConnection, rows: Sequence[Row[Any]]
    ) -> dict[str, str]:
        """Under which handle each of these messages stands in her chat, if it still does."""
        query = select(handles).where(handles.c.message_id.in_([row.id for row in rows]))
        found: dict[str, str] = {}
        for row in (await connection.execute(query.order_by(handles.c.at))).all():
            try:
                found[row.message_id] = self._handle(row.id, row.handle)
            except Tampered:
                log.alarm("unreadable")
        return found

    def _due(self, row: Row[Any], handle: str | None) -> Due | None:
        try:
            return Due(
                outbox_id=row.outbox_id,
                case_id=row.case_id,
                channel=row.channel,
                address=self._address(row.case_id, row.address),
                language=row.language,
                message=self._message(row, self._key(row)),
                attempts=row.attempts,
                ended=row.closed_at is not None,
                what=What(row.what),
                handle=handle,
            )
        except (Tampered, KeyDestroyed):
            return None

    async def sending(self, outbox_id: int) -> bool:
        """Mark a row just before its send. False: it is gone, taken, or covered since: do not."""
        mark = outbox.update().values(sending=True)
        async with self._database.write() as connection:
            done = await connection.execute(
                mark.where(outbox.c.id == outbox_id, ~outbox.c.sending, _PRESENT)
            )
        return done.rowcount == 1

    async def settle(self, outbox_id: int, state: MessageState) -> None:
        """The send ended: `SENT`, `UNKNOWN` or `FAILED`. A row that is gone is no error.

        Of a correction, or of a removal, `SENT` says that her chat is as it is wanted.
        """
        if state not in _SETTLED:
            raise ValueError("a send ends as sent, unknown or failed")
        async with self._database.write() as connection:
            await _settle(connection, outbox.c.id == outbox_id, state)

    async def postpone(self, outbox_id: int, until: datetime, *, failed: bool = True) -> None:
        """Nothing arrived: try again from `until` on. What follows in the case waits, too.

        Not `failed`: it was held or told to pause, which is no attempt.
        """
        change = outbox.update().where(outbox.c.id == outbox_id)
        attempts = outbox.c.attempts + int(failed)
        async with self._database.write() as connection:
            await connection.execute(change.values(sending=False, due_at=until, attempts=attempts))

    async def due_count(self, case_id: str) -> int:
        """How many messages wait to be sent to her."""
        query = select(func.count()).where(outbox.c.case_id == case_id)
        async with self._database.read() as connection:
            return (await connection.execute(query)).scalar_one()

    async def recover(self) -> int:
        """At the start: a send that was cut off may have arrived. Returns how many.

        A correction or a removal that was cut off is made once more, which changes nothing.
        """
        again = outbox.update().where(outbox.c.sending, outbox.c.what != What.SAY)
        async with self._database.write() as connection:
            await connection.execute(again.values(sending=False))
            return await _settle(connection, outbox.c.sending, MessageState.UNKNOWN)

    async def resend(self, message_id: str) -> bool:
        """The desk wants a parked message sent again; False if it is not parked."""
        async with self._database.write() as connection:
            if not await _decide(connection, message_id, MessageState.DUE):
                return False
            query = select(messages).where(messages.c.id == message_id)
            row = (await connection.execute(query)).one()
            await enqueue(connection, message_id, row.case_id, row.number, self._now())
            return True

    async def not_delivered(self, message_id: str) -> bool:
        """What counted as sent, or is about to, did not arrive; False if nothing changed."""
        there = messages.c.state.in_((MessageState.SENT, MessageState.DUE))
        async with self._database.write() as connection:
            await connection.execute(outbox.delete().where(outbox.c.message_id == message_id))
            done = await connection.execute(
                messages.update()
                .where(messages.c.id == message_id, there)
                .values(state=MessageState.FAILED)
            )
        return done.rowcount == 1

    async def drop(self, message_id: str) -> bool:
        """The desk leaves a parked message as it is; False if it is not parked."""
        async with self._database.write() as connection:
            await connection.execute(media.delete().where(media.c.message_id == message_id))
            return await _decide(connection, message_id, MessageState.DROPPED)


class Handles(MediaPart):
    """The platform's ids of what stands in her chat, sealed, until it is removed."""

    async def add_handles(
        self, case_id: str, new: Sequence[str], message_id: str | None = None
    ) -> None:
        """Remember messages that will have to be removed; a case that is gone is no error.

        `message_id`: of which message of the case they are, so that it can be mended there.
        """
        rows = [self._sealed(case_id, handle, message_id) for handle in new]
        async with self._database.write() as connection:
            known = select(cases.c.id).where(cases.c.id == case_id)
            if rows and (await connection.execute(known)).one_or_none():
                await connection.execute(handles.insert(), rows)

    async def kept_handles(self, channel: str, address: str) -> list[str]:
        """All handles of this address, oldest first."""
        async with self._database.read() as connection:
            return list((await self._handles_of(connection, channel, address)).values())

    async def drop_handles(self, channel: str, address: str, gone: Sequence[str]) -> None:
        """Forget these handles: they were removed from her chat.

        What was to be corrected or removed there is so by that.
        """
        async with self._database.write() as connection:
            found = await self._handles_of(connection, channel, address)
            rows = [row for row, h in found.items() if h in gone]
            query = select(handles.c.message_id).where(handles.c.id.in_(rows))
            said = (await connection.execute(query)).scalars().all()
            await _delete_handles(connection, rows)
            mends = outbox.c.message_id.in_(said), outbox.c.what != What.SAY, ~outbox.c.sending
            await _settle(connection, and_(*mends), MessageState.SENT)

    async def old_handles(self, before: datetime) -> list[tuple[str, str, list[str]]]:
        """Channel, address and handles of what was shown before that time. Nothing is deleted:
        `drop_handles` does, once they are removed from her chat."""
        query = (
            select(handles, cases.c.channel, cases.c.address)
            .join_from(handles, cases, cases.c.id == handles.c.case_id)
            .where(handles.c.at < before)
            .order_by(handles.c.at)
        )
        async with self._database.read() as connection:
            rows = (await connection.execute(query)).all()
        found: dict[tuple[str, str], list[str]] = {}
        for row in rows:
            try:
                whose = row.channel, self._address(row.case_id, row.address)
                found.setdefault(whose, []).append(self._handle(row.id, row.handle))
            except Tampered:
                log.alarm("unreadable")
        return [(channel, address, old) for (channel, address), old in found.items()]

    async def _handles_of(
        self, connection: AsyncConnection, channel: str, address: str
    ) -> dict[str, str]:
        query = (
            select(handles.c.id, handles.c.handle)
            .join_from(handles, cases, cases.c.id == handles.c.case_id)
            .where(cases.c.address_index == self._index(channel, address))
            .order_by(handles.c.at)
        )
        found: dict[str, str] = {}
        for row in (await connection.execute(query)).all():
            try:
                found[row.id] = self._handle(row.id, row.handle)
            except Tampered:  # it can remove nothing, and must not stop the others
                log.alarm("unreadable")
        return found


async def _settle(
    connection: AsyncConnection, which: ColumnElement[bool], state: MessageState
) -> int:
    rows = (await connection.execute(select(outbox.c.message_id, outbox.c.what).where(which))).all()
    found = [row.message_id for row in rows]
    for what in What:
        done, failed = _ENDS.get(what, (state, state))
        these = messages.c.id.in_([row.message_id for row in rows if row.what == what])
        ends = done if state is MessageState.SENT else failed
        await connection.execute(messages.update().where(these).values(state=ends))
    await connection.execute(outbox.delete().where(outbox.c.message_id.in_(found)))
    if state is MessageState.SENT:  # a photo or a voice that has arrived is kept no longer
        await connection.execute(media.delete().where(media.c.message_id.in_(found)))
    return len(found)


async def _decide(connection: AsyncConnection, message_id: str, state: MessageState) -> bool:
    parked = messages.c.id == message_id, messages.c.state.in_(_UNDECIDED)
    done = await connection.execute(messages.update().where(*parked).values(state=state))
    return done.rowcount == 1


async def _delete_handles(connection: AsyncConnection, rows: list[str]) -> None:
    if rows:
        await connection.execute(handles.delete().where(handles.c.id.in_(rows)))
