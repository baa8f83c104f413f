"""What is said in a case, in order, each delivery once."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Row, select
from sqlalchemy.ext.asyncio import AsyncConnection

from bot.privacy.vault import KeyDestroyed
from bot.storage.figures import ANSWERED, bucket_of, count
from bot.storage.media import MediaPart
from bot.storage.part import CASES, new_id
from bot.storage.records import (
    Author,
    Blocked,
    CaseClosed,
    CaseMessage,
    CaseState,
    Medium,
    MessageState,
    NotYours,
    StaffState,
    What,
)
from bot.storage.tables import cases, handles, messages, outbox, staff

Notice = Callable[[str], str]
"""What the line says to her, by the language of her case."""
UNREAD = timedelta(minutes=2)
"""After so long her unread words ring for the consultant who has her case."""
ANSWER_WITHIN = timedelta(minutes=15)
"""After so long it rings for the consultant who has read her words and has not answered."""
LONGEST_PAUSE = timedelta(minutes=15)
"""A bell that is set later than that waits for a duty to begin."""
SEEN = -1
"""Instead of how often it rang: her consultant has seen what there is, and not answered yet."""


class Messages(MediaPart):
    """Keeps what she and the desk say, with the outbox row of what is for her."""

    async def add_from_woman(
        self,
        case_id: str,
        text: str,
        key: str,
        *,
        covered: bool = False,
        medium: Medium | None = None,
        handle: str | None = None,
        language: str | None = None,
    ) -> CaseMessage | None:
        """Keep her words, and a photo or voice with them. None: this delivery was kept before.

        `covered`: her window was covered when they came. `handle`: what stands in her chat.
        `language`: of the screen at which she wrote them; None: her case's. Raises `CaseClosed`,
        `Blocked`.
        """
        async with self._database.write() as connection:
            row = await locked(connection, case_id)
            if await self._is_blocked(connection, row.address_index):
                raise Blocked
            # By address, not by case: the same delivery must not come back in her next case.
            mark = self._vault.mac("delivery", "woman", row.address_index.hex(), key)
            if await _known(connection, mark) is not None:
                return None
            message = await self._append(
                connection, row, Author.WOMAN, None, text, mark, covered=covered, medium=medium
            )
            if handle is not None:
                await connection.execute(
                    handles.insert().values(**self._sealed(row.id, handle, message.id))
                )
            if language is not None and language != row.language:
                await connection.execute(
                    cases.update().where(cases.c.id == row.id).values(language=language)
                )
            return message

    async def add_reply(
        self, case_id: str, staff_id: str, text: str, key: str, medium: Medium | None = None
    ) -> CaseMessage:
        """Keep a reply and its outbox row; the same key again gives the one that is kept.

        Raises `NotYours`, `CaseClosed`.
        """
        return await self._add_from_desk(Author.CONSULTANT, case_id, staff_id, text, key, medium)

    async def add_note(self, case_id: str, staff_id: str, text: str, key: str) -> CaseMessage:
        """Keep an internal note, which is never sent. Raises `NotYours`, `CaseClosed`."""
        return await self._add_from_desk(Author.NOTE, case_id, staff_id, text, key)

    async def _add_from_desk(
        self,
        author: Author,
        case_id: str,
        staff_id: str,
        text: str,
        key: str,
        medium: Medium | None = None,
    ) -> CaseMessage:
        async with self._database.write() as connection:
            row = await locked(connection, case_id)
            if row.claimed_by != staff_id or not await active(connection, staff_id):
                raise NotYours
            mark = self._vault.mac("delivery", author, case_id, staff_id, key)
            known = await _known(connection, mark)
            if known is not None:
                return self._message(known, self._key(row))
            if author is Author.CONSULTANT and not row.answered:
                await self._count_answer(connection, row)
            return await self._append(connection, row, author, staff_id, text, mark, medium=medium)

    async def _count_answer(self, connection: AsyncConnection, row: Row[Any]) -> None:
        """The first answer in a case: how long she waited goes into the month's figures."""
        now = self._now()
        await count(connection, now, ANSWERED, bucket_of(now - row.opened_at))
        await connection.execute(cases.update().where(cases.c.id == row.id).values(answered=True))

    async def add_notice(self, case_id: str, text: str, cause: str) -> CaseMessage | None:
        """Keep a notice of the line and its outbox row. None: that cause had its notice."""
        async with self._database.write() as connection:
            row = await locked(connection, case_id)
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
        *,
        covered: bool = False,
        medium: Medium | None = None,
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
            covered=covered,
            medium=medium.kind if medium else None,
        )
        key = self._key(row)
        await self._insert_message(connection, message, key, mark)
        if medium is not None:
            await self._insert_medium(connection, message.id, key, medium)
        if for_her:
            await enqueue(connection, message.id, row.id, message.number, message.at)
        changed = _after(message) | await _bell_after(connection, message, row)
        await connection.execute(cases.update().where(cases.c.id == row.id).values(**changed))
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
                covered=message.covered,
                medium=message.medium,
            )
        )


async def locked(connection: AsyncConnection, case_id: str) -> Row[Any]:
    """A case's row, held against other writers; `CaseClosed` where there is none."""
    query = select(cases).where(cases.c.id == case_id).with_for_update()
    row = (await connection.execute(query)).one_or_none()
    if row is None:
        raise CaseClosed
    return row


async def _known(connection: AsyncConnection, mark: bytes) -> Row[Any] | None:
    query = select(messages).where(messages.c.delivery_key == mark)
    return (await connection.execute(query)).one_or_none()


async def active(connection: AsyncConnection, staff_id: str) -> bool:
    query = select(staff.c.id).where(staff.c.id == staff_id, staff.c.state == StaffState.ACTIVE)
    return (await connection.execute(query)).one_or_none() is not None


async def enqueue(
    connection: AsyncConnection,
    message_id: str,
    case_id: str,
    number: int,
    due_at: datetime,
    what: What = What.SAY,
) -> None:
    """The outbox row of a message: from now on it is to be sent."""
    await connection.execute(
        outbox.insert().values(
            cause=f"message:{message_id}",
            n=0,
            case_id=case_id,
            message_id=message_id,
            number=number,
            sending=False,
            due_at=due_at,
            attempts=0,
            what=what,
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


async def _bell_after(
    connection: AsyncConnection, message: CaseMessage, row: Row[Any]
) -> dict[str, Any]:
    """What a message changes in the bell of a case that somebody has.

    Who has just answered is rung for nothing but what she had not seen then, and has opened
    what she was handed.
    """
    if row.state != CaseState.CLAIMED:
        return {}
    if message.author is Author.WOMAN:
        return words_ring(row, message.at)
    if message.author is not Author.CONSULTANT:
        return {}
    unseen = select(messages.c.id).where(
        messages.c.case_id == row.id,
        messages.c.author == Author.WOMAN,
        messages.c.number > row.looked,
    )
    crossed = (await connection.execute(unseen.limit(1))).first() is not None
    again_at = message.at + UNREAD if crossed else None
    return {"bell_at": again_at, "bell_round": 0, "passed_at": None}


def words_ring(row: Row[Any], at: datetime) -> dict[str, Any]:
    """New words of hers ring for the consultant who has her case, unless they are read before.

    A bell that comes sooner stays; of one that comes later the rounds count on, so that she
    does not put off by writing who comes to her. `row`: her case's.
    """
    soon = at + UNREAD
    if row.bell_at is None or row.bell_round == SEEN or row.bell_at > at + LONGEST_PAUSE:
        return {"bell_at": soon, "bell_round": 0}
    return {"bell_at": min(row.bell_at, soon)}
