"""What goes: at her word at once, and by the clocks of `bot/privacy/retention.py`."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any

from sqlalchemy import exists, or_, select
from sqlalchemy.ext.asyncio import AsyncConnection

from bot.privacy.retention import Cutoffs, whole_hour
from bot.privacy.vault import day_of
from bot.storage import call_keys
from bot.storage.calls import OLDEST
from bot.storage.handing import count_unanswered
from bot.storage.leftovers import Leftover, leave
from bot.storage.mail_counts import drop
from bot.storage.outbox import Handles
from bot.storage.part import OPEN, log
from bot.storage.records import CaseState, Purged, StaffState, Wish
from bot.storage.subscriptions import Subscriptions
from bot.storage.tables import (
    audit,
    blocks,
    broadcasts,
    calls,
    cases,
    failed_logins,
    former_logins,
    group_notes,
    handles,
    leftovers,
    lent,
    media,
    messages,
    outbox,
    sessions,
    set_aside,
    staff,
    subscriptions,
)

FORGET_PATIENCE = 50.0
"""Seconds for which *delete everything* tries to empty the write-ahead log: 60 are promised."""
PURGE_PATIENCE = 2.0


class Erasure(Handles, Subscriptions):
    """Deletes so that nothing can be read again: keys, rows, write-ahead log."""

    async def forget(
        self,
        channel: str,
        address: str,
        patience: float = FORGET_PATIENCE,
        begun_before: datetime | None = None,
        *,
        gone: bool = False,
    ) -> list[Leftover]:
        """Delete all about this address; returns what stands in her chat.

        Where that is, and nothing else of her, is known until it is removed from there
        (`drop_leftovers`); of who is `gone` not even that: she has left the line, which reaches
        her chat no more.

        `patience` is how many seconds to try to empty the write-ahead log; see `leave_no_trace`.
        `begun_before`: a reminder that she set or read in an hour since then stays.

        The audit keeps that a woman deleted everything, and in which hour. The day's key under
        which her case's key was is replaced, so that no copy opens her text from now on.
        """
        async with self._database.write() as connection:
            found = list((await self._handles_of(connection, channel, address)).values())
            index = self._index(channel, address)
            found += await self._unsubscribe(connection, index, begun_before)
            mine = cases.c.address_index == index
            rows = (await connection.execute(select(cases).where(mine))).all()
            if rows:
                for row in rows:
                    await count_unanswered(connection, row, self._now())
                await _delete_cases(connection, [row.id for row in rows])
                await self._free_keys(connection, {row.day_key for row in rows} - {None})
                await connection.execute(
                    audit.insert().values(at=whole_hour(self._now()), action="forgotten")
                )
            stands = [] if gone else list(dict.fromkeys(found))
            left = await self._leave_nameless(connection, channel, address, stands)
        if rows:
            await self._destroy_unused_keys(self._today())
        if rows or self._database.log_bytes():  # also of what went before, as at a *stop*
            await self._leave_no_trace(patience)
        return left

    async def leave_no_trace(self) -> None:
        """Empty the write-ahead log, if deleted rows still stand there: every few seconds.

        That may have failed before, since somebody reads an old snapshot.
        """
        if self.traces_remain:
            await self._leave_no_trace(PURGE_PATIENCE)

    async def _free_keys(self, connection: AsyncConnection, names: set[str]) -> None:
        """Put what else is under these days' keys under new ones of the same days."""
        for name in sorted(names):
            if name in self._vault.day_keys():
                new = self._vault.replace_day_key(day_of(name))
                others = select(cases).where(cases.c.day_key == name)
                for row in (await connection.execute(others)).all():
                    await self._rewrap(connection, row, new)
                await call_keys.rewrap(connection, self._vault, name, new)

    async def purge(self, now: datetime) -> Purged:
        """Delete what its clock has run out for. Run it every few minutes, and at the start."""
        cutoffs, today = Cutoffs.at(now), now.astimezone(UTC).date()
        async with self._database.write() as connection:
            await self._renew_keys(connection, today)
            texts = await _delete_texts(connection, cutoffs)
            gone = await _delete_old(connection, cutoffs)
        keys = await self._destroy_unused_keys(today)
        purged = Purged(texts=texts, keys=keys, **gone)
        if texts or self.traces_remain or any(gone.values()) or self._database.log_bytes():
            await self._leave_no_trace(PURGE_PATIENCE)
        return purged

    async def _renew_keys(self, connection: AsyncConnection, today: date) -> None:
        """Open cases stand under today's key: yesterday's is destroyed and opens no copy."""
        rows = (await connection.execute(select(cases).where(OPEN))).all()
        for row in rows:
            if row.day_key is not None and day_of(row.day_key) != today:
                await self._rewrap(connection, row, self._vault.day_key(today))
        for name in await call_keys.day_keys(connection):
            if day_of(name) != today:
                await call_keys.rewrap(connection, self._vault, name, self._vault.day_key(today))

    async def _leave_no_trace(self, patience: float) -> None:
        self.traces_remain = not await self._database.truncate_log(patience)
        if self.traces_remain:
            log.alarm("traces_remain")


async def _delete_cases(connection: AsyncConnection, ids: list[str]) -> int:
    """Cases with all that hangs on them. The audit forgets which case it spoke of."""
    await _delete_media(connection, ids)
    await connection.execute(blocks.delete().where(blocks.c.case_id.in_(ids)))
    for table in (outbox, handles, messages):
        await connection.execute(table.delete().where(table.c.case_id.in_(ids)))
    spoke = audit.c.case_id.in_(ids)
    for row in (await connection.execute(select(audit).where(spoke))).all():
        await connection.execute(
            audit.update().where(audit.c.id == row.id).values(case_id=None, at=whole_hour(row.at))
        )
    await connection.execute(cases.delete().where(cases.c.id.in_(ids)))
    return len(ids)


async def _delete_media(connection: AsyncConnection, ids: list[str]) -> None:
    of_cases = select(messages.c.id).where(messages.c.case_id.in_(ids))
    await connection.execute(media.delete().where(media.c.message_id.in_(of_cases)))


async def _delete_texts(connection: AsyncConnection, cutoffs: Cutoffs) -> int:
    """What was said in the cases that were closed on the last day, or before; and their keys."""
    day_after = (cutoffs.last_day + timedelta(days=1)).isoformat()
    over = cases.c.state == CaseState.CLOSED, cases.c.day_key < day_after
    ids = (await connection.execute(select(cases.c.id).where(*over))).scalars().all()
    await _delete_media(connection, list(ids))
    for table in (outbox, messages):
        await connection.execute(table.delete().where(table.c.case_id.in_(ids)))
    nothing = {"topic": None, "place": None, "wrapped_key": None, "day_key": None}
    await connection.execute(cases.update().where(cases.c.id.in_(ids)).values(**nothing))
    return len(ids)


def _spoken_of() -> Any:
    """A removed account of which something that is kept still speaks."""
    return or_(
        exists().where(cases.c.claimed_by == staff.c.id),
        exists().where(messages.c.staff_id == staff.c.id),
        exists().where(sessions.c.staff_id == staff.c.id),
    )


async def _delete_old(connection: AsyncConnection, cutoffs: Cutoffs) -> dict[str, int]:
    """Everything else whose time has come; how many of each."""
    closed = cases.c.state == CaseState.CLOSED, cases.c.closed_at <= cutoffs.cases
    old_cases = (await connection.execute(select(cases.c.id).where(*closed))).scalars().all()
    uninvited = staff.c.state == StaffState.INVITED, staff.c.invite_expires_at <= cutoffs.now
    nobody_in = (group_notes.c.wish != Wish.OUT,)  # who still reads there is not forgotten
    conditions: dict[str, tuple[Any, tuple[Any, ...]]] = {
        "handles": (handles, (handles.c.at <= cutoffs.handles,)),
        "audits": (audit, (audit.c.at <= cutoffs.audits,)),
        "sessions": (sessions, (sessions.c.expires_at <= cutoffs.now,)),
        "invites": (staff, uninvited),
        "failed_logins": (failed_logins, (failed_logins.c.at <= cutoffs.failed_logins,)),
        "former_logins": (former_logins, (former_logins.c.until <= cutoffs.now,)),
        "blocks": (blocks, (blocks.c.case_id.is_(None), blocks.c.until <= cutoffs.now)),
        "calls": (calls, (calls.c.at <= cutoffs.now - OLDEST,)),
        "lent": (lent, (lent.c.until <= cutoffs.now,)),
        "set_aside": (set_aside, (set_aside.c.at <= cutoffs.set_aside,)),
        "leftovers": (leftovers, (leftovers.c.until <= cutoffs.now,)),
        "broadcasts": (broadcasts, (broadcasts.c.ended_at <= cutoffs.broadcasts,)),
        "group_notes": (group_notes, (*nobody_in, group_notes.c.at <= cutoffs.group_notes)),
        "removed": (staff, (staff.c.state == StaffState.REMOVED, ~_spoken_of())),
    }
    over = subscriptions.c.until <= cutoffs.subscriptions
    await leave(connection, over, cutoffs.now)
    gone = {
        "cases": await _delete_cases(connection, list(old_cases)),
        "subscriptions": await drop(connection, over, cutoffs.now),
    }
    for name, (table, which) in conditions.items():
        gone[name] = (await connection.execute(table.delete().where(*which))).rowcount
    return gone
