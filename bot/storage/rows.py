"""Receptions and reminders as rows, alone or beside what refers to them."""

from __future__ import annotations

from collections.abc import Set
from typing import Any

from sqlalchemy import Row, select

from bot.storage.tables import receptions, subscriptions
from scheduler.model import Reception, ReceptionState, Reminder, Subscription

RECEPTION = tuple(column.label(f"of_{column.name}") for column in receptions.c)
WITH_RECEPTION = select(subscriptions, *RECEPTION).outerjoin_from(
    subscriptions, receptions, receptions.c.id == subscriptions.c.reception_id
)
"""Reminders, each beside what it is of: `subscription_of` and `its_reception` read a row."""


def reception_of(row: Row[Any], prefix: str = "") -> Reception:
    """The reception of a row, whose columns have this prefix."""

    def of(name: str) -> Any:
        return getattr(row, f"{prefix}{name}")

    return Reception(
        id=of("id"),
        municipality=of("municipality"),
        place=of("place"),
        start=of("starts_at"),
        end=of("ends_at"),
        landmark=of("landmark"),
        attends=of("attends"),
        public_name=of("public_name"),
        state=ReceptionState(of("state")),
        uid=of("uid"),
        sequence=of("sequence"),
    )


def its_reception(row: Row[Any]) -> Reception | None:
    """The reception that stands in a row beside what refers to it, if there is one."""
    return None if row.of_id is None else reception_of(row, "of_")


def reception_columns(reception: Reception) -> dict[str, Any]:
    """A reception as its row."""
    return {
        "id": reception.id,
        "municipality": reception.municipality,
        "place": reception.place,
        "starts_at": reception.start,
        "ends_at": reception.end,
        "landmark": reception.landmark,
        "attends": reception.attends,
        "public_name": reception.public_name,
        "state": reception.state,
        "uid": reception.uid,
        "sequence": reception.sequence,
    }


def subscription_of(row: Row[Any]) -> Subscription:
    """A reminder's row as the plan reads it."""
    return Subscription(
        id=row.id,
        municipality=row.municipality,
        hours=row.hours,
        reception=row.reception_id,
        told=row.told,
        told_start=row.told_start,
        known_at=row.known_at,
        done=frozenset(Reminder(each) for each in row.done.split(",") if each),
        silent=row.words is None,
        renew=row.renew,
        until=row.until,
    )


def knowledge(subscription: Subscription) -> dict[str, Any]:
    """What she knows, and what went out to her, as columns of its row."""
    return {
        "told": subscription.told,
        "told_start": subscription.told_start,
        "known_at": subscription.known_at,
        "done": written(subscription.done),
    }


def written(done: Set[Reminder]) -> str:
    """Reminders as one column."""
    return ",".join(sorted(each.value for each in done))
