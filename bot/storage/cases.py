"""Cases and what is said in them."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any

from sqlalchemy import Row, Select, exists, select
from sqlalchemy.ext.asyncio import AsyncConnection

from bot.privacy.retention import whole_hour
from bot.privacy.vault import KeyDestroyed
from bot.storage.part import CASES, OPEN, Part, new_id
from bot.storage.records import (
    Author,
    Case,
    CaseClosed,
    CaseMessage,
    CaseState,
    MessageState,
    NoSuchCase,
    NotYours,
    StaffState,
)
from bot.storage.tables import audit, cases, handles, messages, outbox, staff


class Cases(Part):
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
    ) -> Case:
        """Open a case for this address, or return the one that is open.

        She is present from the start. An alias that another kept case has gets a number.
        """
        index = self._index(channel, address)
        async with self._database.write() as connection:
            mine = CASES.where(cases.c.address_index == index, OPEN)
            row = (await connection.execute(mine)).one_or_none()
            if row is None:
                await self._insert_case(connection, channel, address, language, topic, place, alias)
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
        """Open cases in which neither she nor the desk wrote since `before`; no topic, no place."""
        found = CASES.where(OPEN, cases.c.last_at < before)
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

    async def claim(self, case_id: str, staff_id: str) -> bool:
        """Give a waiting case to an active member of staff; False if somebody has it."""
        active = exists().where(staff.c.id == staff_id, staff.c.state == StaffState.ACTIVE)
        return await self._change(
            cases.update()
            .where(cases.c.id == case_id, cases.c.state == CaseState.WAITING, active)
            .values(state=CaseState.CLAIMED, claimed_by=staff_id, claimed_at=self._now())
        )

    async def set_present(self, case_id: str, present: bool) -> None:
        """Whether her window is open now: only then is anything sent."""
        await self._change(cases.update().where(cases.c.id == case_id).values(present=present))

    async def nobody_present(self) -> None:
        """At the start: no window is known to be open."""
        await self._change(cases.update().values(present=False))

    async def looked(self, case_id: str, staff_id: str) -> None:
        """The consultant who has the case has read all that stands in it."""
        await self._change(
            cases.update()
            .where(cases.c.id == case_id, cases.c.claimed_by == staff_id)
            .values(looked=cases.c.last_number)
        )

    async def told(self, case_id: str, stage: int) -> None:
        """She has had that waiting message."""
        await self._change(cases.update().where(cases.c.id == case_id).values(told=stage))

    # --- what is said ------------------------------------------------------------------------

    async def add_from_woman(self, case_id: str, text: str, key: str) -> CaseMessage | None:
        """Keep her words. None: this delivery was kept before. Raises `CaseClosed`."""
        async with self._database.write() as connection:
            row = await _locked(connection, case_id)
            # By address, not by case: the same delivery must not come back in her next case.
            mark = self._vault.mac("delivery", "woman", row.address_index.hex(), key)
            if await _known(connection, mark) is not None:
                return None
            return await self._append(connection, row, Author.WOMAN, None, text, mark)

    async def add_reply(self, case_id: str, staff_id: str, text: str, key: str) -> CaseMessage:
        """Keep a reply and its outbox row; the same key again gives the one that is kept.

        Raises `NotYours`, `CaseClosed`.
        """
        return await self._add_from_desk(Author.CONSULTANT, case_id, staff_id, text, key)

    async def add_note(self, case_id: str, staff_id: str, text: str, key: str) -> CaseMessage:
        """Keep an internal note, which is never sent. Raises `NotYours`, `CaseClosed`."""
        return await self._add_from_desk(Author.NOTE, case_id, staff_id, text, key)

    async def _add_from_desk(
        self, author: Author, case_id: str, staff_id: str, text: str, key: str
    ) -> CaseMessage:
        async with self._database.write() as connection:
            row = await _locked(connection, case_id)
            if row.claimed_by != staff_id or not await _active(connection, staff_id):
                raise NotYours
            mark = self._vault.mac("delivery", author, case_id, staff_id, key)
            known = await _known(connection, mark)
            if known is not None:
                return self._message(known, self._key(row))
            return await self._append(connection, row, author, staff_id, text, mark)

    async def add_notice(self, case_id: str, text: str, cause: str) -> CaseMessage | None:
        """Keep a notice of the line and its outbox row. None: that cause had its notice."""
        async with self._database.write() as connection:
            row = await _locked(connection, case_id)
            return await self._append_notice(connection, row, text, cause)

    async def _append_notice(
        self, connection: AsyncConnection, row: Row[Any], text: str, cause: str
    ) -> CaseMessage | None:
        mark = self._vault.mac("delivery", Author.SYSTEM, row.id, cause)
        if await _known(connection, mark) is not None:
            return None
        return await self._append(connection, row, Author.SYSTEM, None, text, mark)

    async def messages(self, case_id: str, after: int = 0) -> list[CaseMessage]:
        """What was said after that number, in order; nothing once the text is destroyed."""
        said = (
            select(messages)
            .where(messages.c.case_id == case_id, messages.c.number > after)
            .order_by(messages.c.number)
        )
        async with self._database.read() as connection:
            row = (await connection.execute(CASES.where(cases.c.id == case_id))).one_or_none()
            rows = (await connection.execute(said)).all()
        try:
            key = self._key(row) if row else b""
        except KeyDestroyed:
            return []
        return [self._message(message, key) for message in rows]

    async def _append(
        self,
        connection: AsyncConnection,
        row: Row[Any],
        author: Author,
        staff_id: str | None,
        text: str,
        mark: bytes,
    ) -> CaseMessage:
        """The next message of an open case, and its outbox row where it is for her."""
        if row.state == CaseState.CLOSED:
            raise CaseClosed
        for_her = author in (Author.CONSULTANT, Author.SYSTEM)
        message = CaseMessage(
            id=new_id(),
            case_id=row.id,
            number=row.last_number + 1,
            author=author,
            staff_id=staff_id,
            text=text,
            at=self._now(),
            state=MessageState.DUE if for_her else MessageState.KEPT,
        )
        await self._insert_message(connection, message, self._key(row), mark)
        if for_her:
            await _enqueue(connection, message)
        await connection.execute(
            cases.update().where(cases.c.id == row.id).values(**_after(message))
        )
        return message

    async def _insert_message(
        self, connection: AsyncConnection, message: CaseMessage, key: bytes, mark: bytes
    ) -> None:
        sealed = self._vault.seal_text(key, "messages", "text", message.id, message.text)
        await connection.execute(
            messages.insert().values(
                id=message.id,
                case_id=message.case_id,
                number=message.number,
                author=message.author,
                staff_id=message.staff_id,
                text=sealed,
                at=message.at,
                state=message.state,
                delivery_key=mark,
            )
        )

    # --- the end -----------------------------------------------------------------------------

    async def close_case(self, case_id: str, notice: str | None, cause: str) -> Case | None:
        """Close a case and keep the good-bye in one transaction; None if it is not open.

        From now on its times are whole hours, and its key is under today's, which is
        destroyed within 48 hours.
        """
        async with self._database.write() as connection:
            found = CASES.where(cases.c.id == case_id, OPEN).with_for_update(of=cases)
            row = (await connection.execute(found)).one_or_none()
            if row is None:
                return None
            if notice is not None:
                await self._append_notice(connection, row, notice, cause)
            await self._rewrap(connection, row, self._vault.day_key(self._today()))
            await self._close(connection, case_id)
            return self._case(
                (await connection.execute(CASES.where(cases.c.id == case_id))).one()
            )

    async def _close(self, connection: AsyncConnection, case_id: str) -> None:
        await connection.execute(
            cases.update()
            .where(cases.c.id == case_id)
            .values(state=CaseState.CLOSED, closed_at=self._now())
        )
        await _blur(connection, case_id, self._now())

    async def close_unreadable(self) -> int:
        """At the start: close the open cases whose key is lost, so that she can open another."""
        existing = self._vault.day_keys()
        async with self._database.write() as connection:
            query = select(cases.c.id).where(OPEN, cases.c.day_key.not_in(existing))
            lost = (await connection.execute(query)).scalars().all()
            for case_id in lost:
                await connection.execute(outbox.delete().where(outbox.c.case_id == case_id))
                await self._close(connection, case_id)
        return len(lost)

    # --- helpers -----------------------------------------------------------------------------

    async def _first(self, query: Select[Any]) -> Case | None:
        async with self._database.read() as connection:
            row = (await connection.execute(query.limit(1))).one_or_none()
        return None if row is None else self._case(row)

    async def _all(self, query: Select[Any], blank: bool = False) -> list[Case]:
        async with self._database.read() as connection:
            rows = (await connection.execute(query)).all()
        return [self._case(row, blank) for row in rows]

    async def _change(self, statement: Any) -> bool:
        async with self._database.write() as connection:
            changed = await connection.execute(statement)
        return bool(changed.rowcount)


async def _locked(connection: AsyncConnection, case_id: str) -> Row[Any]:
    """A case's row, held against other writers; raises `NoSuchCase`."""
    query = select(cases).where(cases.c.id == case_id).with_for_update()
    row = (await connection.execute(query)).one_or_none()
    if row is None:
        raise NoSuchCase
    return row


async def _known(connection: AsyncConnection, mark: bytes) -> Row[Any] | None:
    query = select(messages).where(messages.c.delivery_key == mark)
    return (await connection.execute(query)).one_or_none()


async def _active(connection: AsyncConnection, staff_id: str) -> bool:
    query = select(staff.c.id).where(staff.c.id == staff_id, staff.c.state == StaffState.ACTIVE)
    return (await connection.execute(query)).one_or_none() is not None


async def _free_alias(connection: AsyncConnection, alias: str) -> str:
    number, free = 1, alias
    while (await connection.execute(select(cases.c.id).where(cases.c.alias == free))).first():
        number += 1
        free = f"{alias} {number}"
    return free


async def _enqueue(connection: AsyncConnection, message: CaseMessage) -> None:
    await connection.execute(
        outbox.insert().values(
            cause=f"message:{message.id}",
            n=0,
            case_id=message.case_id,
            message_id=message.id,
            number=message.number,
            sending=False,
            due_at=message.at,
            attempts=0,
        )
    )


def _after(message: CaseMessage) -> dict[str, Any]:
    """What a message changes in its case. Notes and notices do not break a silence."""
    changed: dict[str, Any] = {"last_number": message.number}
    if message.author in (Author.WOMAN, Author.CONSULTANT):
        changed["last_at"] = message.at
    if message.author is Author.WOMAN:
        changed["last_woman_at"] = message.at
    return changed


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
