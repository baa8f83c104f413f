"""What was said, changed afterwards: her edits, and the desk's corrections and withdrawals.

Her words are replaced where they stand. What the desk said is replaced while it waits; once it
stands in her chat, an outbox row changes or removes it there.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import Row, exists, select
from sqlalchemy.ext.asyncio import AsyncConnection

from bot.privacy.vault import Tampered
from bot.storage.messages import active, enqueue, locked, words_ring
from bot.storage.part import OPEN, Part, log
from bot.storage.records import (
    Author,
    CannotBeUndone,
    CaseClosed,
    CaseState,
    MessageState,
    NotStanding,
    NotYours,
    OnItsWay,
    What,
)
from bot.storage.tables import cases, handles, media, messages, outbox

STANDING = (MessageState.SENT, MessageState.UNCORRECTED, MessageState.NOT_TAKEN)
"""It may stand in her chat, and nothing is on its way to change that."""
_ON_THE_WAY = (MessageState.DUE, MessageState.CORRECTING, MessageState.TAKING_BACK)


class Mending(Part):
    """Replaces and withdraws what was said."""

    async def edit_from_woman(
        self, channel: str, address: str, handle: str, text: str, *, covered: bool = False
    ) -> bool:
        """She changed her message that stands under this handle; empty: its words are gone.

        Words that the desk has read already are news again; words that are gone are not.
        `covered`: her window was covered when she did. False: nothing was changed, since it is
        no message of her open case, or she is shut out, or it says that already.
        """
        mine = cases.c.address_index == self._index(channel, address), OPEN
        async with self._database.write() as connection:
            query = select(cases).where(*mine).with_for_update()
            case = (await connection.execute(query)).one_or_none()
            if case is None or await self._is_blocked(connection, case.address_index):
                return False
            row = await self._hers(connection, case.id, handle)
            if row is None or self._message(row, key := self._key(case)).text == text:
                return False
            await self._rewrite(connection, row, key, text)
            if covered:
                marked = messages.update().where(messages.c.id == row.id)
                await connection.execute(marked.values(covered=True))
            await self._is_news(connection, case, row, text)
            return True

    async def _hers(
        self, connection: AsyncConnection, case_id: str, handle: str
    ) -> Row[Any] | None:
        query = (
            select(handles.c.id, handles.c.handle, handles.c.message_id)
            .join_from(handles, messages, messages.c.id == handles.c.message_id)
            .where(messages.c.case_id == case_id, messages.c.author == Author.WOMAN)
        )
        for row in (await connection.execute(query)).all():
            try:
                found = self._handle(row.id, row.handle) == handle
            except Tampered:
                log.alarm("unreadable")
                continue
            if found:
                return await _row(connection, row.message_id)
        return None

    async def _is_news(
        self, connection: AsyncConnection, case: Row[Any], row: Row[Any], text: str
    ) -> None:
        now = self._now()
        changed: dict[str, Any] = {"last_at": now, "last_woman_at": now}
        if text and row.number <= case.looked:
            changed["looked"] = row.number - 1
            if case.state == CaseState.CLAIMED:
                changed |= words_ring(case, now)
        await connection.execute(cases.update().where(cases.c.id == case.id).values(**changed))

    async def correct(
        self, case_id: str, staff_id: str, message_id: str, text: str, *, lasting: bool = False
    ) -> bool:
        """Replace the words of a written reply of hers. False: it says that already.

        What was taken back says nothing any more and is not brought back.

        `lasting`: in her chat nothing can be changed. Raises `NotYours`, `CaseClosed`,
        `NotStanding`, `OnItsWay`, `CannotBeUndone`.
        """
        async with self._database.write() as connection:
            case = await self._her_case(connection, case_id, staff_id)
            row = await _own(connection, case_id, staff_id, message_id)
            if row.medium is not None or row.state == MessageState.TAKING_BACK:
                raise NotStanding
            same = self._message(row, key := self._key(case)).text == text
            if same and row.state != MessageState.UNCORRECTED:
                return False
            if not await _waits(connection, row):
                await self._mend(connection, row, What.CORRECT, lasting)
            await self._rewrite(connection, row, key, text)
            return True

    async def take_back(
        self, case_id: str, staff_id: str, message_id: str, *, lasting: bool = False
    ) -> bool:
        """Withdraw a reply of hers, written or spoken. False: that was done already.

        Raises as `correct` does.
        """
        async with self._database.write() as connection:
            await self._her_case(connection, case_id, staff_id)
            row = await _own(connection, case_id, staff_id, message_id)
            if row.state in (MessageState.TAKING_BACK, MessageState.TAKEN_BACK):
                return False
            unsent = row.state == MessageState.DUE
            if await _waits(connection, row):
                await connection.execute(outbox.delete().where(outbox.c.message_id == row.id))
            if unsent:
                await connection.execute(media.delete().where(media.c.message_id == row.id))
                await _ends(connection, row, MessageState.TAKEN_BACK)
            else:
                await self._mend(connection, row, What.TAKE_BACK, lasting)
            return True

    async def _her_case(self, connection: AsyncConnection, case_id: str, staff_id: str) -> Row[Any]:
        case = await locked(connection, case_id)
        if case.claimed_by != staff_id or not await active(connection, staff_id):
            raise NotYours
        if case.state == CaseState.CLOSED:
            raise CaseClosed
        return case

    async def _mend(
        self, connection: AsyncConnection, row: Row[Any], what: What, lasting: bool
    ) -> None:
        """Have it changed in her chat, unless it was removed from there already."""
        if lasting:
            raise CannotBeUndone
        taken = what is What.TAKE_BACK
        stands = exists().where(handles.c.message_id == row.id)
        if not (await connection.execute(select(stands))).scalar_one():
            ends = MessageState.TAKEN_BACK if taken else MessageState.SENT
            return await _ends(connection, row, ends)
        await enqueue(connection, row.id, row.case_id, row.number, self._now(), what)
        state = MessageState.TAKING_BACK if taken else MessageState.CORRECTING
        await _ends(connection, row, state)

    async def _rewrite(
        self, connection: AsyncConnection, row: Row[Any], key: bytes, text: str
    ) -> None:
        sealed = self._vault.seal_text(key, "messages", "text", row.id, text)
        change = messages.update().where(messages.c.id == row.id)
        await connection.execute(change.values(text=sealed, edited=True))


async def _row(connection: AsyncConnection, message_id: str) -> Row[Any] | None:
    query = select(messages).where(messages.c.id == message_id)
    return (await connection.execute(query)).one_or_none()


async def _own(
    connection: AsyncConnection, case_id: str, staff_id: str, message_id: str
) -> Row[Any]:
    """A reply that she wrote herself in this case."""
    row = await _row(connection, message_id)
    if row is None or row.case_id != case_id or row.staff_id != staff_id:
        raise NotStanding
    if row.author != Author.CONSULTANT:
        raise NotStanding
    return row


async def _waits(connection: AsyncConnection, row: Row[Any]) -> bool:
    """Whether it, or its correction, still waits to be sent; False: it stands in her chat."""
    if row.state in STANDING:
        return False
    if row.state not in _ON_THE_WAY:
        raise NotStanding
    query = select(outbox.c.sending).where(outbox.c.message_id == row.id)
    if (await connection.execute(query)).scalar_one_or_none() is not False:
        raise OnItsWay
    return True


async def _ends(connection: AsyncConnection, row: Row[Any], state: MessageState) -> None:
    change = messages.update().where(messages.c.id == row.id)
    await connection.execute(change.values(state=state))
