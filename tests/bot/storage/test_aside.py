"""What was set aside is kept by code and time for a week; what waits for a decision is counted."""

from __future__ import annotations

from datetime import timedelta

from bot.storage.aside import MOST_AN_HOUR
from bot.storage.records import MessageState, Queue, SetAside, StaffMember, Undecided
from bot.storage.store import Store
from tests.bot.storage.conftest import Clock


async def test_what_was_set_aside_is_counted_by_channel_and_code_the_newest_first(
    store: Store, clock: Clock
) -> None:
    await store.set_aside("telegram", "update_dropped")
    await store.set_aside("viber", "update_dropped", 2)
    first = clock()
    second = clock.forward(hours=1)
    await store.set_aside("telegram", "set_aside", 3)
    assert await store.aside(clock()) == [
        SetAside("telegram", "set_aside", 3, second),
        SetAside("telegram", "update_dropped", 1, first),
        SetAside("viber", "update_dropped", 2, first),
    ]


async def test_a_flood_takes_no_more_than_its_hour_and_is_seen_to_go_on(
    store: Store, clock: Clock
) -> None:
    await store.set_aside("viber", "update_dropped", 10 * MOST_AN_HOUR)
    clock.forward(minutes=30)
    await store.set_aside("viber", "update_dropped")
    assert await store.aside(clock()) == [
        SetAside("viber", "update_dropped", MOST_AN_HOUR, clock(), at_least=True)
    ]
    await store.set_aside("telegram", "update_dropped")
    assert (await store.counts())["set_aside"] == MOST_AN_HOUR + 1
    clock.forward(hours=1, seconds=1)
    await store.set_aside("viber", "update_dropped")
    assert (await store.counts())["set_aside"] == MOST_AN_HOUR + 2


async def test_after_seven_days_nothing_is_left_of_it(store: Store, clock: Clock) -> None:
    await store.set_aside("telegram", "set_aside")
    kept = clock.forward(days=6, hours=23)
    assert len(await store.aside(kept)) == 1
    assert (await store.purge(kept)).set_aside == 0
    gone = clock.forward(hours=1)
    assert await store.aside(gone) == []
    assert (await store.purge(gone)).set_aside == 1
    assert (await store.counts())["set_aside"] == 0


async def test_what_is_kept_of_it_is_a_channel_a_code_and_a_time(
    store: Store, clock: Clock
) -> None:
    await store.set_aside("telegram", "set_aside")
    async with store._database.read() as connection:
        row = (await connection.exec_driver_sql("SELECT * FROM set_aside")).one()
    assert row._fields == ("id", "channel", "code", "at")


async def test_undecided_messages_are_counted_and_those_that_nobody_has_apart(
    store: Store, clock: Clock, maria: StaffMember
) -> None:
    assert await store.undecided() == Undecided(0, 0, None)
    written = clock()
    hers = await store.open_case("web", "1", "bg", None, None, "A 1")
    await store.claim(hers.id, maria.id)
    await store.add_reply(hers.id, maria.id, "words", "k1")
    clock.forward(minutes=5)
    nobodys = await store.open_case("web", "2", "bg", None, None, "A 2")
    await store.add_notice(nobodys.id, "words", "n1")
    clock.forward(minutes=5)
    assert await store.queue(clock()) == Queue(2, written)
    for due in await store.due(clock()):
        state = MessageState.FAILED if due.case_id == hers.id else MessageState.UNKNOWN
        await store.settle(due.outbox_id, state)
    assert await store.undecided() == Undecided(2, 1, written)
    assert await store.queue(clock()) == Queue(0, None)
    (reply,) = await store.messages(hers.id)
    await store.drop(reply.id)
    assert await store.undecided() == Undecided(1, 1, written + timedelta(minutes=5))


async def test_what_waits_for_her_to_come_back_is_not_late(store: Store, clock: Clock) -> None:
    away = await store.open_case("web", "1", "bg", None, None, "A 1")
    await store.add_notice(away.id, "words", "n1")
    await store.set_present(away.id, False)
    assert await store.queue(clock()) == Queue(0, None)
