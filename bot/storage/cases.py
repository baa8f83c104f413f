"""Cases: opened, claimed, read, closed."""

from __future__ import annotations

from collections.abc import Callable, Collection
from datetime import datetime
from typing import Any

from sqlalchemy import and_, exists, or_, select
from sqlalchemy.ext.asyncio import AsyncConnection

from bot.lifecycle import Act, target
from bot.privacy.retention import whole_hour
from bot.storage.handing import Handing, count_unanswered, same_woman, went_not_on
from bot.storage.messages import Notice
from bot.storage.part import CASES, OPEN, log, new_id, since
from bot.storage.records import Author, Blocked, Case, CaseState, MessageState, Nudge
from bot.storage.tables import audit, cases, handles, media, messages, outbox


class Cases(Handing):
    """Opens, claims, reads and closes cases; each method is one transaction."""

    # --- a case ------------------------------------------------------------------------------

    async def open_case(
        self,
        channel: str,
        address: str,
        language: str,
        topic: str | None,
        place: str | None,
        alias: str,
        nudge: Nudge | None = None,
    ) -> Case:
        """Open a case for this address, or return the one that is open. Raises `Blocked`.

        She is present from the start, and it rings at once. An alias that another kept case
        has gets a number.
        """
        index = self._index(channel, address)
        async with self._database.write() as connection:
            mine = CASES.where(cases.c.address_index == index, OPEN)
            row = (await connection.execute(mine)).one_or_none()
            if row is None:
                if await self._is_blocked(connection, index):
                    raise Blocked
                await self._insert_case(
                    connection, channel, address, language, topic, place, alias, nudge
                )
                row = (await connection.execute(mine)).one()
            return self._case(row)

    async def _insert_case(
        self,
        connection: AsyncConnection,
        channel: str,
        address: str,
        language: str,
        topic: str | None,
        place: str | None,
        alias: str,
        nudge: Nudge | None,
    ) -> None:
        case_id, now = new_id(), self._now()
        name, wrapped = self._vault.new_case_key(self._today(), case_id)
        key = self._vault.unwrap(wrapped, name, case_id)
        about = {
            column: None
            if value is None
            else self._vault.seal_text(key, "cases", column, case_id, value)
            for column, value in (("topic", topic), ("place", place))
        }
        sealed = self._vault.seal("address", "cases", "address", case_id, address.encode())
        await connection.execute(
            cases.insert().values(
                id=case_id,
                alias=await _free_alias(connection, alias),
                state=CaseState.WAITING,
                channel=channel,
                language=language,
                address_index=self._index(channel, address),
                address=sealed,
                **about,
                wrapped_key=wrapped,
                day_key=name,
                opened_at=now,
                last_woman_at=now,
                last_at=now,
                present=True,
                told=0,
                looked=0,
                last_number=0,
                bell_round=0,
                bell_at=now,
                nudge_hours=nudge.hours if nudge else None,
                nudge_words=nudge.words if nudge else None,
            )
        )

    async def case_of(self, channel: str, address: str) -> Case | None:
        """The open case of this address."""
        index = self._index(channel, address)
        return await self._first(CASES.where(cases.c.address_index == index, OPEN))

    async def closed_case_of(self, channel: str, address: str) -> Case | None:
        """The newest closed case that still holds something she has not been sent."""
        waits = exists().where(outbox.c.case_id == cases.c.id)
        return await self._first(
            CASES.where(
                cases.c.address_index == self._index(channel, address),
                cases.c.state == CaseState.CLOSED,
                cases.c.wrapped_key.is_not(None),
                waits,
            ).order_by(cases.c.closed_at.desc(), cases.c.opened_at.desc())
        )

    async def has_text(self, case_id: str) -> bool:
        """Whether what was said in it can still be read."""
        async with self._database.read() as connection:
            row = (await connection.execute(CASES.where(cases.c.id == case_id))).one_or_none()
        return row is not None and self._can_open(row)

    async def knows(self, channel: str, address: str) -> bool:
        """Whether anything is kept for this address, open or closed."""
        index = self._index(channel, address)
        return await self._first(CASES.where(cases.c.address_index == index)) is not None

    async def case(self, case_id: str) -> Case | None:
        """One case, with topic and place: whoever shows it must know that the reader may."""
        return await self._first(CASES.where(cases.c.id == case_id))

    async def waiting(self) -> list[Case]:
        """Cases that nobody has claimed, oldest first, without topic and place."""
        found = CASES.where(cases.c.state == CaseState.WAITING)
        return await self._all(found.order_by(cases.c.opened_at), blank=True)

    async def open_cases(self) -> list[Case]:
        """Waiting and claimed cases, oldest first, without topic and place."""
        return await self._all(CASES.where(OPEN).order_by(cases.c.opened_at), blank=True)

    async def silent_cases(self, before: datetime) -> list[Case]:
        """Open cases in which neither she nor the desk wrote since `before`; no topic, no place.

        Those, too, whose consultant has not read what she wrote before it: that she writes on
        puts nothing off. Who has just got a case has as long to answer as if it had been written
        then.
        """
        got = or_(cases.c.claimed_by.is_(None), cases.c.claimed_at < before)
        unread = messages.select().where(
            messages.c.case_id == cases.c.id,
            messages.c.author == Author.WOMAN,
            messages.c.number > cases.c.looked,
        )
        # What she edits is unread again from there on, and nobody knows when it was read before.
        old = unread.where(messages.c.at < before).exists()
        edited = unread.where(messages.c.edited).exists()
        left = and_(cases.c.state == CaseState.CLAIMED, old, ~edited)
        found = CASES.where(OPEN, or_(cases.c.last_at < before, left), got)
        return await self._all(found.order_by(cases.c.last_at), blank=True)

    async def cases_of(self, staff_id: str) -> list[Case]:
        """What a consultant has claimed, closed ones too while they exist; newest first."""
        found = CASES.where(cases.c.claimed_by == staff_id)
        return await self._all(found.order_by(cases.c.last_at.desc(), cases.c.id))

    async def address_of(self, case_id: str) -> tuple[str, str] | None:
        """Channel and address of a case."""
        query = select(cases.c.channel, cases.c.address).where(cases.c.id == case_id)
        async with self._database.read() as connection:
            row = (await connection.execute(query)).one_or_none()
        return None if row is None else (row.channel, self._address(case_id, row.address))

    async def set_present(self, case_id: str, present: bool, worker: str | None = None) -> bool:
        """Whether her window is open now: only then is anything sent. False: nothing changed.

        It is one window: once it is covered, what is held of an older case of hers stays held.
        `worker`: the process that has her page open, or had it until now; the end of a page
        that another one has followed elsewhere changes nothing.
        """
        if present:
            here = {"present": True, "absent_since": None, "nudged_at": None, "present_in": worker}
            return await self._change(cases.update().where(cases.c.id == case_id).values(**here))
        away = {"present": False, "absent_since": since(self._now()), "present_in": None}
        hers = [same_woman(case_id)]
        if worker is not None:
            hers.append(or_(cases.c.present_in.is_(None), cases.c.present_in == worker))
        return await self._change(cases.update().where(*hers).values(**away))

    async def pages_closed(self, channel: str, living: Collection[str]) -> None:
        """Of the pages that a process had open which is not `living`, none is open now."""
        gone = or_(cases.c.present_in.is_(None), cases.c.present_in.not_in(living))
        shown = cases.c.channel == channel, cases.c.present, gone
        away = {"present": False, "absent_since": since(self._now()), "present_in": None}
        if await self._first(CASES.where(*shown)) is not None:
            await self._change(cases.update().where(*shown).values(**away))

    async def set_language(self, case_id: str, language: str) -> None:
        """In which she reads from now on."""
        await self._change(cases.update().where(cases.c.id == case_id).values(language=language))

    async def tell_waiting(self, case: Case, stage: int, notice: Notice) -> bool:
        """Keep that waiting message. False: she had it, or somebody has come since it was read."""
        same_wait = cases.c.claimed_at.is_not_distinct_from(case.claimed_at)
        told = (
            cases.update()
            .where(cases.c.id == case.id, cases.c.state == CaseState.WAITING)
            .where(cases.c.told < stage, same_wait)
            .values(told=stage)
        )
        return await self._move(case.id, told, notice)

    # --- the end -----------------------------------------------------------------------------

    async def close_case(
        self,
        case_id: str,
        notice: str | None,
        cause: str,
        by: str | None = None,
        seen: int | None = None,
    ) -> Case | None:
        """Close a case and keep the good-bye in one transaction; None if it is not open.

        `by`: the consultant who closes it; None, too, if it is not hers. `seen`: the number up to
        which it was shown to her; None, too, if the woman has written since, and that is unread.
        From now on its times are whole hours, and its key is under today's, which is destroyed
        within 48 hours. Of photos and voices only those stay that are still to be sent to her.
        """
        mine = [] if by is None else [cases.c.claimed_by == by]
        if seen is not None:
            newer = messages.select().where(
                messages.c.case_id == case_id,
                messages.c.author == Author.WOMAN,
                messages.c.number > cases.c.looked,
                messages.c.number > seen,
            )
            mine.append(~newer.exists())
        return await self._end_case(case_id, notice, cause, *mine)

    async def lapse_case(self, case: Case, notice: str, cause: str) -> Case | None:
        """Close a silent case as `close_case` does; None where it went on since it was read."""
        return await self._end_case(case.id, notice, cause, went_not_on(case))

    async def _end_case(
        self, case_id: str, notice: str | None, cause: str, *conditions: Any
    ) -> Case | None:
        async with self._database.write() as connection:
            found = CASES.where(cases.c.id == case_id, OPEN, *conditions).with_for_update(of=cases)
            row = (await connection.execute(found)).one_or_none()
            if row is None:
                return None
            if notice is not None:  # opened again, it is closed, and says good-bye, again
                await self._append_notice(connection, row, notice, f"{cause}:{row.last_number}")
            await self._rewrap(connection, row, self._vault.day_key(self._today()))
            await count_unanswered(connection, row, self._now())
            await self._close(connection, case_id)
            return self._case((await connection.execute(CASES.where(cases.c.id == case_id))).one())

    async def _close(self, connection: AsyncConnection, case_id: str) -> None:
        await connection.execute(
            cases.update()
            .where(cases.c.id == case_id)
            .values(
                state=target(Act.CLOSE),
                closed_at=self._now(),
                bell_at=None,
                passed_at=None,
                nudged_at=None,
                absent_since=None,
            )
        )
        unsent = messages.c.state != MessageState.DUE
        over = select(messages.c.id).where(messages.c.case_id == case_id, unsent)
        await connection.execute(media.delete().where(media.c.message_id.in_(over)))
        await _blur(connection, case_id, self._now())

    async def close_unreadable(self) -> int:
        """At the start: close the open cases whose key is lost, so that she can open another."""
        async with self._database.write() as connection:
            existing = self._vault.day_keys()  # in a writer's turn: none is just being made
            query = select(cases).where(OPEN, cases.c.day_key.not_in(existing))
            lost = (await connection.execute(query)).all()
            for row in lost:
                await connection.execute(outbox.delete().where(outbox.c.case_id == row.id))
                await count_unanswered(connection, row, self._now())
                await self._close(connection, row.id)
        if lost:
            log.alarm("cases_lost", count=len(lost))
        return len(lost)


async def _free_alias(connection: AsyncConnection, alias: str) -> str:
    number, free = 1, alias
    while (await connection.execute(select(cases.c.id).where(cases.c.alias == free))).first():
        number += 1
        free = f"{alias} {number}"
    return free


_TIMES: tuple[tuple[Any, Any, Callable[[str], Any], tuple[str, ...]], ...] = (
    (cases, cases.c.id, lambda case_id: cases.c.id == case_id,
     ("opened_at", "last_woman_at", "last_at", "claimed_at", "closed_at")),
    (messages, messages.c.id, lambda case_id: messages.c.case_id == case_id, ("at",)),
    (handles, handles.c.id, lambda case_id: handles.c.case_id == case_id, ("at",)),
    (audit, audit.c.id, lambda case_id: audit.c.case_id == case_id, ("at",)),
)  # fmt: skip


async def _blur(connection: AsyncConnection, case_id: str, now: datetime) -> None:
    """Round every time that is kept of a case down to its hour."""
    for table, key, of_case, columns in _TIMES:
        for row in (await connection.execute(select(table).where(of_case(case_id)))).all():
            times = {c: getattr(row, c) for c in columns if getattr(row, c) is not None}
            blurred = {column: whole_hour(moment) for column, moment in times.items()}
            await connection.execute(table.update().where(key == row.id).values(**blurred))
    # A due time in the future is a pause that a platform asked for, and stays.
    await connection.execute(
        outbox.update()
        .where(outbox.c.case_id == case_id, outbox.c.due_at <= now)
        .values(due_at=whole_hour(now))
    )
