"""What the parts of the store share: the database, the vault, the clock, a case's row."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from datetime import UTC, date, datetime
from typing import Any

from sqlalchemy import Row, case, exists, func, null, or_, select
from sqlalchemy.ext.asyncio import AsyncConnection

from bot.privacy.redact import EventLog
from bot.privacy.vault import KeyDestroyed, Vault, day_of
from bot.storage import call_keys
from bot.storage.engine import Database
from bot.storage.records import (
    Author,
    Case,
    CaseMessage,
    CaseState,
    MediumKind,
    MessageState,
    Nudge,
    Role,
    StaffMember,
    StaffState,
)
from bot.storage.tables import blocks, cases, messages
from bot.storage.together import Alone

log = EventLog("store")

OPEN = cases.c.state != CaseState.CLOSED

UNDECIDED = (MessageState.UNKNOWN, MessageState.FAILED)
"""States of a message about which the desk has to decide."""
UNMENDED = (MessageState.UNCORRECTED, MessageState.NOT_TAKEN)
"""It was to be changed or removed in her chat, and stands there as before."""

_answers = messages.alias("answers")
ANSWERED_LATER = exists().where(
    _answers.c.case_id == messages.c.case_id,
    _answers.c.author == Author.CONSULTANT,
    _answers.c.number > messages.c.number,
)
"""Whether a consultant wrote after that message."""

CASES = select(
    cases,
    select(func.count())
    .where(
        messages.c.case_id == cases.c.id,
        messages.c.author == Author.WOMAN,
        messages.c.number > cases.c.looked,
    )
    .scalar_subquery()
    .label("unread"),
    select(func.count())
    .where(
        messages.c.case_id == cases.c.id,
        messages.c.author == Author.WOMAN,
        ~ANSWERED_LATER,
    )
    .scalar_subquery()
    .label("unanswered"),
    select(func.count())
    .where(messages.c.case_id == cases.c.id, messages.c.state == MessageState.DUE)
    .scalar_subquery()
    .label("held"),
    select(func.count())
    .where(messages.c.case_id == cases.c.id, messages.c.state.in_(UNDECIDED))
    .scalar_subquery()
    .label("undecided"),
    select(func.count())
    .where(messages.c.case_id == cases.c.id, messages.c.state.in_(UNMENDED))
    .scalar_subquery()
    .label("unmended"),
)
"""Cases with what is unread, held and gone wrong. Their order is up to the caller."""


def new_id() -> str:
    """A random id that says nothing, not even an order."""
    return secrets.token_hex(16)


def since(now: datetime) -> Any:
    """Since when she is away; of a closed case, that is no longer kept."""
    return case(
        (cases.c.state == CaseState.CLOSED, null()),
        else_=func.coalesce(cases.c.absent_since, now),
    )


def member_of(row: Row[Any]) -> StaffMember:
    """Somebody of the centre, from a row with the columns of `staff`."""
    return StaffMember(
        row.id,
        row.login,
        row.alias,
        frozenset(Role(role) for role in row.roles.split(",") if role),
        StaffState(row.state),
        row.created_at,
        frozenset(row.languages.split(",")),
        row.bell_address is not None,
    )


class Part:
    """Base of the store's parts."""

    def __init__(self, database: Database, vault: Vault, now: Callable[[], datetime]) -> None:
        self._database = database
        self._vault = vault
        self._now = now
        self.together = Alone()

    def _today(self) -> date:
        return self._now().astimezone(UTC).date()

    # --- sealed values -----------------------------------------------------------------------

    def _index(self, channel: str, address: str) -> bytes:
        return self._vault.blind_index(channel, address)

    def _key(self, row: Row[Any]) -> bytes:
        """The key of a case; `KeyDestroyed` where its text is gone."""
        if row.wrapped_key is None or row.day_key is None:
            raise KeyDestroyed
        case_id: str = row.case_id if "case_id" in row._fields else row.id
        return self._vault.unwrap(row.wrapped_key, row.day_key, case_id)

    def _can_open(self, row: Row[Any]) -> bool:
        """Whether the text of a case can still be read."""
        try:
            self._key(row)
        except KeyDestroyed:
            return False
        return True

    def _address(self, case_id: str, sealed: bytes) -> str:
        return self._vault.unseal("address", "cases", "address", case_id, sealed).decode()

    def _handle(self, row_id: str, sealed: bytes) -> str:
        return self._vault.unseal("handle", "handles", "handle", row_id, sealed).decode()

    def _message(self, row: Row[Any], key: bytes) -> CaseMessage:
        return CaseMessage(
            id=row.id,
            case_id=row.case_id,
            number=row.number,
            author=Author(row.author),
            staff_id=row.staff_id,
            text=self._vault.unseal_text(key, "messages", "text", row.id, row.text),
            at=row.at,
            state=MessageState(row.state),
            covered=row.covered,
            edited=row.edited,
            medium=MediumKind(row.medium) if row.medium else None,
        )

    def _case(self, row: Row[Any], blank: bool = False) -> Case:
        topic = place = None
        if not blank and (row.topic or row.place):
            topic, place = self._about(row)
        return Case(
            id=row.id,
            alias=row.alias,
            state=CaseState(row.state),
            channel=row.channel,
            language=row.language,
            topic=topic,
            place=place,
            opened_at=row.opened_at,
            last_woman_at=row.last_woman_at,
            last_at=row.last_at,
            claimed_by=row.claimed_by,
            claimed_at=row.claimed_at,
            closed_at=row.closed_at,
            present=row.present,
            told=row.told,
            unread=row.unread,
            unanswered=row.unanswered,
            held=row.held,
            undecided=row.undecided,
            unmended=row.unmended,
            bell_round=row.bell_round,
            bell_at=row.bell_at,
            passed_at=row.passed_at,
            answered=row.answered,
            media_allowed=row.media_allowed,
            nudge=Nudge(row.nudge_hours, row.nudge_words) if row.nudge_hours else None,
            nudged_at=row.nudged_at,
            absent_since=row.absent_since,
        )

    def _about(self, row: Row[Any]) -> tuple[str | None, str | None]:
        try:
            key = self._key(row)
        except KeyDestroyed:
            return None, None
        topic, place = (
            sealed and self._vault.unseal_text(key, "cases", column, row.id, sealed)
            for column, sealed in (("topic", row.topic), ("place", row.place))
        )
        return topic, place

    # --- who is shut out ---------------------------------------------------------------------

    async def _is_blocked(self, connection: AsyncConnection, index: bytes) -> bool:
        """Whether nothing is taken from this address now."""
        lasts = or_(
            blocks.c.until > self._now(),
            blocks.c.case_id.in_(select(cases.c.id).where(OPEN)),
        )
        query = select(blocks.c.address_index).where(blocks.c.address_index == index, lasts)
        return (await connection.execute(query)).first() is not None

    # --- the keys of the days ----------------------------------------------------------------

    async def _rewrap(self, connection: AsyncConnection, row: Row[Any], to: str) -> None:
        """Put a case's key under another day's; one that is lost stays lost."""
        if row.wrapped_key is None or row.day_key == to:
            return
        try:
            name, wrapped = self._vault.rewrap(row.wrapped_key, row.day_key, to, row.id)
        except KeyDestroyed:
            return
        await connection.execute(
            cases.update().where(cases.c.id == row.id).values(wrapped_key=wrapped, day_key=name)
        )

    async def _destroy_unused_keys(self, today: date) -> int:
        """Destroy each day's key that wraps nothing, but the one that today's cases will take."""
        # In a writer's turn, so that no case is just being opened under one of them.
        async with self._database.write() as connection:
            rows = await connection.execute(select(cases.c.day_key).distinct())
            used = set(rows.scalars()) | await call_keys.day_keys(connection)
            existing = self._vault.day_keys()
            used.update([name for name in existing if day_of(name) == today][-1:])
            unused = [name for name in existing if name not in used]
            for name in unused:
                self._vault.destroy(name)
        return len(unused)
