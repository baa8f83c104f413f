"""Women who wait for a reception, and what goes out to them, for the tests of the store.

It is Sunday, 22 November 2026, 14:34 in Ruse. The reception is on 1 December from 10 to 14.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import select

from bot.storage.leftovers import Leftover
from bot.storage.mail_records import Mailing, MailingEnd, MailingOutcome
from bot.storage.store import Store
from bot.storage.tables import subscriptions
from scheduler.model import Reception, Reminder, Subscription
from tests.bot.storage.conftest import Clock

WORKER = "w1"
_ASKED = (9, 12, 17, 18, 19, 21)  # on the clocks of a Bulgarian winter
WORDS = "remind.words.water"


def at(local: str) -> datetime:
    """A moment on the clocks of Bulgaria."""
    there = datetime.fromisoformat(local).replace(tzinfo=ZoneInfo("Europe/Sofia"))
    return there.astimezone(UTC)


BEFORE, MORNING = at("2026-11-29 18:00"), at("2026-12-01 09:00")


def reception(name: str = "r", start: str = "2026-12-01 10:00", there: str = "rse04") -> Reception:
    begins = at(start)
    return Reception(name, there, "Бяла, читалището", begins, begins + timedelta(hours=4))


def handles(left: Sequence[Leftover]) -> list[str]:
    """Under which each of these stands in her chat."""
    return [each.handle for each in left]


async def wait(
    store: Store,
    address: str = "73019",
    hours: str = "day",
    words: str | None = WORDS,
    there: str = "rse04",
    channel: str = "telegram",
    language: str = "bg",
) -> Subscription:
    """She wants to be reminded."""
    return await store.subscribe(channel, address, language, there, hours, words)


async def hers(store: Store, address: str = "73019", channel: str = "telegram") -> Subscription:
    """Her only reminder."""
    ((one, _),) = await store.subscriptions_of(channel, address)
    return one


async def sees(store: Store, channel: str, address: str) -> None:
    """She reads what is known now."""
    await store.seen(channel, address, await store.subscriptions_of(channel, address))


async def tick(
    store: Store,
    moment: datetime | None = None,
    free: Callable[[str, datetime], datetime | None] = lambda channel, here: None,
) -> int:
    """The clock ticks now, or at `moment`."""
    return await store.remind(store._now() if moment is None else moment, free)


async def take(store: Store, limit: int = 1000, channel: str = "telegram") -> list[Mailing]:
    return await store.take_mailings(channel, WORKER, limit)


async def settle(
    store: Store, *taken: Mailing, end: MailingEnd = MailingEnd.SENT, handle: str | None = None
) -> None:
    outcomes: Mapping[int, MailingOutcome] = {
        mailing.id: MailingOutcome(end, handle=handle) for mailing in taken
    }
    await store.settle_mailings(WORKER, outcomes)


async def send(
    store: Store, channel: str = "telegram", end: MailingEnd = MailingEnd.SENT
) -> list[tuple[str, Reminder | None]]:
    """Everything that may go out now does; to whom, and what."""
    taken = await take(store, channel=channel)
    await settle(store, *taken, end=end)
    return sorted((mailing.address, mailing.reminder) for mailing in taken)


async def live(store: Store, clock: Clock, until: datetime) -> list[tuple[datetime, str, str]]:
    """Let time pass, as far as anything can be due then: what went out, when, to whom."""
    went = []
    while clock() < until:
        clock.moment = clock().replace(minute=0, second=0, microsecond=0)
        while clock.forward(hours=1) < until and (clock().hour + 2) % 24 not in _ASKED:
            pass
        await store.expire_mailings()
        await tick(store)
        went += [(clock(), who, what or "") for who, what in await send(store)]
    return went


async def crowd(store: Store, many: int, **same: Any) -> None:
    """Women who wait beside her who waited first: as she does, but for what is `same` to them."""
    async with store._database.write() as connection:
        first = dict((await connection.execute(select(subscriptions))).mappings().first() or {})
        rows = []
        for number in range(many):
            row_id, address = f"{number:032x}", str(number)
            own = {
                "id": row_id,
                "address_index": store._index("telegram", address),
                "address": store._seal("address", row_id, address),
            }
            rows.append({**first, **own, **same})
        await connection.execute(subscriptions.insert(), rows)
