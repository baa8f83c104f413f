"""What did not go through, for human eyes: what was set aside, and what waits for a decision.

Of what was set aside a code and a time are kept, never its content and never whose it was.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from sqlalchemy import func, select

from bot.privacy.retention import SET_ASIDE
from bot.storage.part import UNDECIDED, Part
from bot.storage.records import CaseState, Queue, SetAside, Undecided
from bot.storage.tables import cases, messages, outbox, set_aside

MOST_AN_HOUR = 100
"""Rows of one channel and code that an hour takes: a flood must not fill the database. What is
beyond that is counted in `/metrics` alone."""
_HOUR = timedelta(hours=1)


class Aside(Part):
    """Keeps what was set aside for a week, and says how much waits for a person."""

    async def set_aside(self, channel: str, code: str, times: int = 1) -> None:
        """So often something was set aside there. A full hour only moves its newest row."""
        now = self._now()
        these = set_aside.c.channel == channel, set_aside.c.code == code
        lately = select(func.count(), func.max(set_aside.c.id)).where(
            *these, set_aside.c.at > now - _HOUR
        )
        row = {"channel": channel, "code": code, "at": now}
        async with self._database.write() as connection:
            there, newest = (await connection.execute(lately)).one()
            room = min(times, MOST_AN_HOUR - there)
            if room > 0:
                await connection.execute(set_aside.insert(), [row] * room)
            else:
                moved = set_aside.update().where(set_aside.c.id == newest)
                await connection.execute(moved.values(at=now))

    async def aside(self, now: datetime) -> list[SetAside]:
        """What was set aside within a week, by channel and code, the newest first."""
        newest = func.max(set_aside.c.at, type_=set_aside.c.at.type)
        query = (
            select(set_aside.c.channel, set_aside.c.code, func.count(), newest)
            .where(set_aside.c.at > now - SET_ASIDE)
            .group_by(set_aside.c.channel, set_aside.c.code)
            .order_by(newest.desc(), set_aside.c.channel, set_aside.c.code)
        )
        async with self._database.read() as connection:
            rows = (await connection.execute(query)).all()
        return [
            SetAside(channel, code, count, last_at, at_least=count >= MOST_AN_HOUR)
            for channel, code, count, last_at in rows
        ]

    async def undecided(self) -> Undecided:
        """How many messages may not have reached her, and wait for the desk."""
        oldest = func.min(messages.c.at, type_=messages.c.at.type)
        query = (
            select(func.count(), oldest)
            .join_from(messages, cases, cases.c.id == messages.c.case_id)
            .where(messages.c.state.in_(UNDECIDED))
        )
        nobodys = query.where(cases.c.state != CaseState.CLAIMED)
        async with self._database.read() as connection:
            count, at = (await connection.execute(query)).one()
            alone, _ = (await connection.execute(nobodys)).one()
        return Undecided(count, alone, at)

    async def queue(self, now: datetime) -> Queue:
        """How many messages could be sent now, and since when the first of them waits."""
        oldest = func.min(outbox.c.due_at, type_=outbox.c.due_at.type)
        query = (
            select(func.count(), oldest)
            .join_from(outbox, cases, cases.c.id == outbox.c.case_id)
            .where(cases.c.present, outbox.c.due_at <= now)
        )
        async with self._database.read() as connection:
            return Queue(*(await connection.execute(query)).one())
