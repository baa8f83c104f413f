"""What waits to be sent to her, in order within each case, and the handles of what was sent.

A row of the outbox lives until its message is settled. What became of the message then stands
with the message: sent, unknown (its answer was lost: the desk decides), failed, dropped.

Whoever sends holds a lease on the whole conversation, under a number that grows: the fence. A
lease that runs out makes what was being sent unknown, and whoever held it changes nothing more.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Row, Select, and_, exists, func, or_, select
from sqlalchemy.ext.asyncio import AsyncConnection

from bot.privacy.vault import KeyDestroyed, Tampered
from bot.storage.handing import call_owner
from bot.storage.media import MediaPart
from bot.storage.messages import enqueue
from bot.storage.part import UNDECIDED, log, since
from bot.storage.records import Due, Lease, MessageState, What
from bot.storage.tables import cases, handles, media, messages, outbox

LEASE = timedelta(seconds=30)
"""How long a conversation is kept for one sender that says nothing more."""
_SETTLED = (MessageState.SENT, MessageState.UNKNOWN, MessageState.FAILED)
_ENDS = {
    What.CORRECT: (MessageState.SENT, MessageState.UNCORRECTED),
    What.TAKE_BACK: (MessageState.TAKEN_BACK, MessageState.NOT_TAKEN),
}
"""How what was sent before ends when it was changed in her chat, and when that failed."""

_earlier = outbox.alias("earlier")
_FIRST = ~exists().where(
    _earlier.c.case_id == outbox.c.case_id, _earlier.c.number < outbox.c.number
)


class Outbox(MediaPart):
    """Says what is due, and settles it."""

    async def due(
        self, now: datetime, channels: Collection[str] | None = None, limit: int = 50
    ) -> list[Due]:
        """What may be sent now: of each case whose window is open, the first unsettled message.

        Only on these `channels` (None: on all), to no page that is open in another process, and
        not where another one is just sending. A message that cannot be opened is set aside as
        failed, so that it stops nobody else.
        """
        query = self._waiting(now).order_by(outbox.c.id).limit(limit)
        if channels is not None:
            query = query.where(cases.c.channel.in_(channels))
        async with self._database.read() as connection:
            rows = (await connection.execute(query)).all()
            standing = await self._standing(connection, rows)
        opened = [(row.outbox_id, self._due(row, standing.get(row.id))) for row in rows]
        for outbox_id, due in opened:
            if due is None:
                await self._give_up_unreadable(outbox_id)
        return [due for _, due in opened if due is not None]

    def _waiting(self, now: datetime) -> Select[Any]:
        """Rows that may be sent from here now, with their message and what its case tells."""
        here = or_(cases.c.present_in.is_(None), cases.c.present_in == self.together.worker)
        return (
            select(
                outbox.c.id.label("outbox_id"),
                outbox.c.attempts,
                outbox.c.tried_at,
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
            .where(here, _free(now))
        )

    async def _standing(
        self, connection: AsyncConnection, rows: Sequence[Row[Any]]
    ) -> dict[str, str]:
        """Under which handle each of these messages stands in her chat, if it still does."""
        sent = [row.id for row in rows if row.what != What.SAY]
        if not sent:
            return {}
        query = select(handles).where(handles.c.message_id.in_(sent))
        found: dict[str, str] = {}
        for row in (await connection.execute(query.order_by(handles.c.at))).all():
            try:
                found[row.message_id] = self._handle(row.id, row.handle)
            except Tampered:
                log.alarm("unreadable")
        return found

    async def _give_up_unreadable(self, outbox_id: int) -> None:
        """Settle what cannot be opened, unless its key was just put under another day's.

        In a writer's turn: no key is replaced meanwhile.
        """
        query = (
            select(messages, cases.c.wrapped_key, cases.c.day_key, cases.c.address)
            .join_from(outbox, messages, messages.c.id == outbox.c.message_id)
            .join(cases, cases.c.id == outbox.c.case_id)
            .where(outbox.c.id == outbox_id, ~outbox.c.sending)
        )
        async with self._database.write() as connection:
            row = (await connection.execute(query)).one_or_none()
            if row is None:
                return
            try:
                self._message(row, self._key(row))
                self._address(row.case_id, row.address)
            except (Tampered, KeyDestroyed):
                log.alarm("unreadable")
                which = outbox.c.id == outbox_id
                await _settle(connection, which, MessageState.FAILED, self._now())

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
                tried_at=row.tried_at,
                ended=row.closed_at is not None,
                what=What(row.what),
                handle=handle,
            )
        except (Tampered, KeyDestroyed):
            return None

    async def take(self, outbox_id: int, worker: str) -> Due | None:
        """Lease the conversation just before a send; under that lease it is to be settled.

        What is to be sent is read anew: once it is leased, nobody corrects it or takes it back.
        None: the row is gone or taken, her window was covered since, or somebody else sends.
        """
        now = self._now()
        of_row = select(outbox.c.case_id).where(outbox.c.id == outbox_id)
        whole = select(cases.c.id, cases.c.fence).where(cases.c.id.in_(of_row))
        async with self._database.write() as connection:
            query = whole.with_for_update(skip_locked=True)
            case = (await connection.execute(query)).one_or_none()
            if case is None:
                return None
            due = await self._anew(connection, outbox_id, now)
            if due is None:
                return None
            leased = {"fence": case.fence + 1, "leased_by": worker, "leased_until": now + LEASE}
            await connection.execute(cases.update().where(cases.c.id == case.id).values(**leased))
            tried = {"sending": True, "tried_at": func.coalesce(outbox.c.tried_at, now)}
            await connection.execute(
                outbox.update().where(outbox.c.id == outbox_id).values(**tried)
            )
            return replace(due, lease=Lease(case.id, case.fence + 1))

    async def _anew(self, connection: AsyncConnection, outbox_id: int, now: datetime) -> Due | None:
        """The row as it is while its case is held; None where it may be sent no more."""
        query = self._waiting(now).where(outbox.c.id == outbox_id)
        row = (await connection.execute(query)).one_or_none()
        if row is None:
            return None
        standing = await self._standing(connection, [row])
        return self._due(row, standing.get(row.id))

    async def keep_leases(self, worker: str) -> None:
        """What this process sends goes on: to be called while a send is under way."""
        mine = cases.update().where(cases.c.leased_by == worker)
        async with self._database.write() as connection:
            await connection.execute(mine.values(leased_until=self._now() + LEASE))

    async def settle(self, outbox_id: int, state: MessageState, lease: Lease | None = None) -> bool:
        """The send ended: `SENT`, `UNKNOWN` or `FAILED`. A row that is gone is no error.

        Of a correction, or of a removal, `SENT` says that her chat is as it is wanted. `lease`:
        under which it was sent. False: it had run out, and nothing was changed.
        """
        if state not in _SETTLED:
            raise ValueError("a send ends as sent, unknown or failed")
        async with self._database.write() as connection:
            if not await _let_go(connection, outbox_id, lease):
                return False
            await _settle(connection, outbox.c.id == outbox_id, state, self._now())
            return True

    async def postpone(
        self,
        outbox_id: int,
        until: datetime,
        *,
        failed: bool = True,
        afresh: bool = False,
        lease: Lease | None = None,
    ) -> bool:
        """Nothing arrived: try again from `until` on. What follows in the case waits, too.

        Not `failed`: it did not leave this machine, or was held or told to pause, which is no
        attempt; `afresh`, its first try is still to come. `lease` and the answer as in `settle`.
        """
        change = outbox.update().where(outbox.c.id == outbox_id)
        attempts = outbox.c.attempts + int(failed)
        async with self._database.write() as connection:
            if not await _let_go(connection, outbox_id, lease):
                return False
            tried = {"tried_at": None} if afresh else {}
            later = change.values(sending=False, due_at=until, attempts=attempts, **tried)
            await connection.execute(later)
            return True

    async def due_count(self, case_id: str) -> int:
        """How many messages wait to be sent to her."""
        query = select(func.count()).where(outbox.c.case_id == case_id)
        async with self._database.read() as connection:
            return (await connection.execute(query)).scalar_one()

    async def recover(self, living: Collection[str] = ()) -> int:
        """A send that was cut off may have arrived: it becomes unknown. Returns how many.

        Cut off is what a process that is not `living` was sending, and what nobody has kept a
        lease on. A correction or a removal is made once more, which changes nothing. To be
        called at the start, and every few seconds.
        """
        now = self._now()
        out = or_(cases.c.leased_until <= now, cases.c.leased_by.not_in(living))
        return await self._cut_off(and_(cases.c.leased_by.is_not(None), out))

    async def take_over(self, channel: str) -> int:
        """This process serves the channel from now on, and no other.

        Whatever was being sent there is cut off, and of no window is known that it is open.
        """
        away = {"present": False, "absent_since": since(self._now())}
        mine = cases.c.channel == channel
        async with self._database.write() as connection:
            await connection.execute(cases.update().where(mine, cases.c.present).values(**away))
        return await self._cut_off(mine, cases.c.leased_by.is_not(None))

    async def _cut_off(self, *which: ColumnElement[bool]) -> int:
        found = select(cases.c.id).where(*which)
        async with self._database.read() as connection:
            if (await connection.execute(found.limit(1))).first() is None:
                return 0
        async with self._database.write() as connection:
            ids = (await connection.execute(found)).scalars().all()
            of_them = outbox.c.case_id.in_(ids), outbox.c.sending
            again = outbox.update().where(*of_them, outbox.c.what != What.SAY)
            await connection.execute(again.values(sending=False))
            unknown = await _settle(connection, and_(*of_them), MessageState.UNKNOWN, self._now())
            over = {"fence": cases.c.fence + 1, "leased_by": None, "leased_until": None}
            await connection.execute(cases.update().where(cases.c.id.in_(ids)).values(**over))
            return unknown

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
            if done.rowcount == 1:
                of = select(messages.c.case_id).where(messages.c.id == message_id)
                whose = (await connection.execute(of)).scalars().all()
                await call_owner(connection, whose, self._now())
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
            await _settle(connection, and_(*mends), MessageState.SENT, self._now())

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


def _free(now: datetime) -> ColumnElement[bool]:
    """Nobody is sending in this conversation."""
    return or_(cases.c.leased_until.is_(None), cases.c.leased_until <= now)


async def _let_go(connection: AsyncConnection, outbox_id: int, lease: Lease | None) -> bool:
    """Give a lease back; False where it had run out. Without one, whoever has it loses it."""
    over = cases.update().values(leased_by=None, leased_until=None)
    if lease is None:
        of_row = select(outbox.c.case_id).where(outbox.c.id == outbox_id)
        await connection.execute(over.where(cases.c.id.in_(of_row)))
        return True
    mine = cases.c.id == lease.case_id, cases.c.fence == lease.fence
    return (await connection.execute(over.where(*mine))).rowcount == 1


async def _settle(
    connection: AsyncConnection, which: ColumnElement[bool], state: MessageState, now: datetime
) -> int:
    columns = outbox.c.message_id, outbox.c.case_id, outbox.c.what
    rows = (await connection.execute(select(*columns).where(which))).all()
    found = [row.message_id for row in rows]
    for what in What:
        done, failed = _ENDS.get(what, (state, state))
        these = messages.c.id.in_([row.message_id for row in rows if row.what == what])
        ends = done if state is MessageState.SENT else failed
        await connection.execute(messages.update().where(these).values(state=ends))
    await connection.execute(outbox.delete().where(outbox.c.message_id.in_(found)))
    if state is MessageState.SENT:  # a photo or a voice that has arrived is kept no longer
        await connection.execute(media.delete().where(media.c.message_id.in_(found)))
    else:  # a person hears of it within a minute
        await call_owner(connection, {row.case_id for row in rows}, now)
    return len(found)


async def _decide(connection: AsyncConnection, message_id: str, state: MessageState) -> bool:
    parked = messages.c.id == message_id, messages.c.state.in_(UNDECIDED)
    done = await connection.execute(messages.update().where(*parked).values(state=state))
    return done.rowcount == 1


async def _delete_handles(connection: AsyncConnection, rows: list[str]) -> None:
    if rows:
        await connection.execute(handles.delete().where(handles.c.id.in_(rows)))
