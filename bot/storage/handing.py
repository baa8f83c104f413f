"""A case from hand to hand: claimed, handed over, given back, opened again; and its bell.

Which moves there are stands in `bot/lifecycle.py`; here each is one transaction that only an
active owner, and only the right state, gets through.
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Row, Select, and_, delete, exists, literal, or_, select
from sqlalchemy import case as when
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from bot.lifecycle import Act, sources, target
from bot.storage.figures import UNANSWERED, count
from bot.storage.messages import (
    ANSWER_WITHIN,
    LONGEST_PAUSE,
    SEEN,
    UNREAD,
    Messages,
    Notice,
    locked,
)
from bot.storage.part import ANSWERED_LATER, CASES, OPEN
from bot.storage.records import (
    Author,
    Block,
    Case,
    CaseState,
    NotYours,
    OtherCaseOpen,
    StaffState,
    TextGone,
)
from bot.storage.tables import blocks, cases, messages, staff

UNNOTICED = timedelta(seconds=15)
"""After so long it rings for a consultant that something did not go through in her case."""


class Handing(Messages):
    """Who has a case, and for whom it rings."""

    # --- from hand to hand ---------------------------------------------------------------------

    async def claim(self, case_id: str, staff_id: str, notice: Notice | None = None) -> bool:
        """Give a waiting case to an active member of staff; False if somebody has it."""
        claimed = (
            cases.update()
            .where(cases.c.id == case_id, _may(Act.CLAIM), _active(staff_id))
            .values(
                state=target(Act.CLAIM),
                claimed_by=staff_id,
                claimed_at=self._now(),
                **_waits_for_answer(self._now()),
            )
        )
        return await self._move(case_id, claimed, notice)

    async def transfer(
        self, case_id: str, staff_id: str, to: str, notice: Notice | None = None
    ) -> bool:
        """Hand a case to an active colleague, for whom it rings until she opens it.

        False: it is not hers, or the colleague is not active, or no other.
        """
        if to == staff_id:
            return False
        passed = (
            cases.update()
            .where(cases.c.id == case_id, _may(Act.TRANSFER), cases.c.claimed_by == staff_id)
            .where(_active(staff_id), _active(to))
            .values(
                state=target(Act.TRANSFER),
                claimed_by=to,
                claimed_at=self._now(),
                looked=0,
                passed_at=self._now(),
                bell_at=self._now(),
                bell_round=0,
            )
        )
        return await self._move(case_id, passed, notice)

    async def return_to_queue(
        self, case_id: str, staff_id: str, notice: Notice | None = None
    ) -> bool:
        """Give a case back: it waits, and rings, like a new one. False: it is not hers."""
        given_back = (
            cases.update()
            .where(cases.c.id == case_id, _may(Act.RETURN), cases.c.claimed_by == staff_id)
            .values(**waits_again(self._now()))
        )
        return await self._move(case_id, given_back, notice)

    async def return_unread(self, case: Case, notice: Notice) -> bool:
        """Take a case from a consultant who does not come to it; it waits like a new one.

        False where it went on since it was read: she has opened it, or somebody wrote.
        """
        given_back = (
            cases.update()
            .where(cases.c.id == case.id, _may(Act.RETURN), went_not_on(case))
            .where(cases.c.bell_round == case.bell_round)
            .where(cases.c.bell_at.is_not_distinct_from(case.bell_at))
            .values(**waits_again(self._now()))
        )
        return await self._move(case.id, given_back, notice)

    async def unopened(self, before: datetime) -> list[Case]:
        """Cases handed to a colleague before that time, which she has not opened."""
        return await self._all(CASES.where(OPEN, cases.c.passed_at <= before), blank=True)

    async def reopen(self, case_id: str, staff_id: str, notice: Notice | None = None) -> Case:
        """Open a closed case of hers again. Raises `NotYours`, `OtherCaseOpen`, `TextGone`.

        It goes on under the same alias and key; the woman counts as present only once she is
        there. In the figures it was counted when it was closed, and is not counted again.
        """
        try:
            async with self._database.write() as connection:
                query = CASES.where(cases.c.id == case_id)
                row = (await connection.execute(query)).one_or_none()
                if row is None or not self._can_open(row):
                    raise TextGone
                change = (
                    cases.update()
                    .where(cases.c.id == case_id, _may(Act.REOPEN))
                    .where(cases.c.claimed_by == staff_id, _active(staff_id))
                    .values(
                        state=target(Act.REOPEN),
                        closed_at=None,
                        last_at=self._now(),
                        absent_since=self._now(),
                        answered=True,
                        **_waits_for_answer(self._now()),
                    )
                )
                if (await connection.execute(change)).rowcount == 0:
                    raise NotYours
                away = cases.update().where(same_woman(case_id)).values(present=False)
                await connection.execute(away)
                await self._tell_move(connection, case_id, notice)
                return self._case((await connection.execute(query)).one())
        except IntegrityError:
            raise OtherCaseOpen from None

    async def looked(self, case_id: str, staff_id: str, upto: int | None = None) -> None:
        """The consultant who has the case has read it up to that message's number; None: all.

        It rings no more for that, but once more where she has not answered `ANSWER_WITHIN`.
        """
        mine = CASES.where(cases.c.id == case_id, cases.c.claimed_by == staff_id)
        async with self._database.write() as connection:
            before = (await connection.execute(mine.with_for_update(of=cases))).one_or_none()
            if before is None:
                return
            read = before.last_number if upto is None else min(upto, before.last_number)
            look = cases.update().where(cases.c.id == case_id)
            seen = {"looked": max(read, before.looked), "passed_at": None}
            await connection.execute(look.values(**seen))
            row = (await connection.execute(mine)).one()
            await connection.execute(look.values(**_bell_after_look(before, row, self._now())))

    # --- the bell ------------------------------------------------------------------------------

    async def ringing(self, now: datetime) -> list[Case]:
        """Open cases whose bell is due, the longest due first; without topic and place."""
        due = CASES.where(OPEN, cases.c.bell_at <= now).order_by(cases.c.bell_at)
        return await self._all(due, blank=True)

    async def rung(self, case: Case, rounds: int, again_at: datetime | None) -> bool:
        """It has rung (or waits for a duty to begin): the next time is `again_at`.

        False where the case went on meanwhile: somebody claimed it, or read it.
        """
        return await self._change(
            cases.update()
            .where(
                cases.c.id == case.id,
                cases.c.state == case.state,
                cases.c.bell_round == case.bell_round,
                cases.c.bell_at == case.bell_at,
            )
            .values(bell_round=rounds, bell_at=again_at)
        )

    # --- what she agreed to --------------------------------------------------------------------

    async def allow_media(self, case_id: str) -> None:
        """She agreed that photos and voice are taken in this case."""
        await self._change(
            cases.update().where(cases.c.id == case_id, OPEN).values(media_allowed=True)
        )

    async def nudged(self, case_id: str) -> bool:
        """She is rung now, once until she comes back.

        False: she was, or she is here, or wants it no more.
        """
        wants = cases.c.nudge_hours.is_not(None), cases.c.nudged_at.is_(None)
        return await self._change(
            cases.update()
            .where(cases.c.id == case_id, OPEN, ~cases.c.present, *wants)
            .values(nudged_at=self._now())
        )

    # --- who is shut out -----------------------------------------------------------------------

    async def block(self, case_id: str, until: datetime | None) -> None:
        """Take nothing from this case's address until then; None: while the case is open."""
        async with self._database.write() as connection:
            query = select(cases.c.address_index).where(cases.c.id == case_id)
            index = (await connection.execute(query)).scalar_one_or_none()
            if index is not None:
                await connection.execute(delete(blocks).where(blocks.c.address_index == index))
                whose = case_id if until is None else None
                new = blocks.insert().values(address_index=index, case_id=whose, until=until)
                await connection.execute(new)

    async def unblock(self, case_id: str) -> None:
        """Take words from this case's address again."""
        index = select(cases.c.address_index).where(cases.c.id == case_id)
        await self._change(delete(blocks).where(blocks.c.address_index.in_(index)))

    async def block_of(self, case_id: str) -> Block | None:
        """Whether, and until when, nothing is taken from this case's address."""
        query = (
            select(blocks.c.until, blocks.c.address_index)
            .join_from(blocks, cases, cases.c.address_index == blocks.c.address_index)
            .where(cases.c.id == case_id)
        )
        async with self._database.read() as connection:
            row = (await connection.execute(query)).one_or_none()
            lasts = row is not None and await self._is_blocked(connection, row.address_index)
        return Block(row.until) if row is not None and lasts else None

    async def blocked(self, channel: str, address: str) -> bool:
        """Whether nothing is taken from this address now."""
        async with self._database.read() as connection:
            return await self._is_blocked(connection, self._index(channel, address))

    # --- helpers -----------------------------------------------------------------------------

    async def _move(self, case_id: str, moved: Any, notice: Notice | None) -> bool:
        """A move, and what she is told of it; False, and nothing, where it cannot be made."""
        async with self._database.write() as connection:
            if (await connection.execute(moved)).rowcount == 0:
                return False
            await self._tell_move(connection, case_id, notice)
        return True

    async def _tell_move(
        self, connection: AsyncConnection, case_id: str, notice: Notice | None
    ) -> None:
        if notice is not None:
            row = await locked(connection, case_id)
            cause = f"moved:{row.last_number}"  # the number that it takes: no move has another's
            await self._append_notice(connection, row, notice(row.language), cause)

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


def same_woman(case_id: str) -> Any:
    """This case, and the others of the same address."""
    one = select(cases.c.address_index).where(cases.c.id == case_id).scalar_subquery()
    return cases.c.address_index == one


def went_not_on(case: Case) -> Any:
    """Nobody has written in it, and it has not changed hands, since this was read."""
    columns = "state", "last_at", "claimed_by", "claimed_at", "passed_at"
    return and_(*(cases.c[name].is_not_distinct_from(getattr(case, name)) for name in columns))


def waits_again(now: datetime) -> dict[str, Any]:
    """What a case becomes that has lost its consultant: it waits from now on."""
    return {
        "state": target(Act.RETURN),
        "told": 0,
        "claimed_by": None,
        "claimed_at": now,
        "passed_at": None,
        "bell_at": now,
        "bell_round": 0,
    }


def _waits_for_answer(now: datetime) -> dict[str, Any]:
    """The bell of whoever gets a case: it reminds her, where words of hers wait for an answer."""
    waits = exists().where(
        messages.c.case_id == cases.c.id,
        messages.c.author == Author.WOMAN,
        or_(messages.c.number > cases.c.looked, ~ANSWERED_LATER),
    )
    at = literal(now + ANSWER_WITHIN, cases.c.bell_at.type)
    return {"bell_at": when((waits, at)), "bell_round": when((waits, SEEN), else_=0)}


def _bell_after_look(before: Row[Any], row: Row[Any], now: datetime) -> dict[str, Any]:
    """When it rings next for a consultant who has just looked; `before`: how it stood then."""
    if row.state == CaseState.CLAIMED and row.unread:
        soon = now + UNREAD
        return {"bell_at": min(row.bell_at or soon, soon), "bell_round": 0}
    if row.state != CaseState.CLAIMED or not row.unanswered:
        return {"bell_at": None, "bell_round": 0}
    if before.unread or not before.bell_round:
        return {"bell_at": now + ANSWER_WITHIN, "bell_round": SEEN}
    was_reminded = before.bell_round != SEEN
    return {"bell_at": None if was_reminded else row.bell_at, "bell_round": SEEN}


async def call_owner(connection: AsyncConnection, case_ids: Collection[str], now: datetime) -> None:
    """Something did not go through in these cases: it rings for the consultant who has each.

    Not in the moment itself, in which she may have it before her eyes.
    """
    rings_later = or_(cases.c.bell_at.is_(None), cases.c.bell_at > now + UNNOTICED)
    await connection.execute(
        cases.update()
        .where(cases.c.id.in_(case_ids), cases.c.state == CaseState.CLAIMED, rings_later)
        .values(bell_at=now + UNNOTICED, bell_round=0)
    )


async def look_again(connection: AsyncConnection, now: datetime) -> None:
    """Who is there has changed: what waits for a duty to begin rings, or waits, by what is so now.

    What rings already goes on in its rounds.
    """
    await connection.execute(
        cases.update().where(OPEN, cases.c.bell_at > now + LONGEST_PAUSE).values(bell_at=now)
    )


async def count_unanswered(connection: AsyncConnection, row: Row[Any], now: datetime) -> None:
    """A case that ends without an answer goes into the month's figures."""
    if row.state != CaseState.CLOSED and not row.answered:
        await count(connection, now, UNANSWERED)


def _may(act: Act) -> Any:
    return cases.c.state.in_(sources(act))


def _active(staff_id: str) -> Any:
    return exists().where(staff.c.id == staff_id, staff.c.state == StaffState.ACTIVE)
