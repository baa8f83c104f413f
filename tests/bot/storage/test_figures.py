"""How fast women are answered: counted once, by month, and never by woman."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from bot.storage.figures import EDGES, bucket_of
from bot.storage.records import StaffMember, Waits
from bot.storage.store import Store
from tests.bot.storage.conftest import Clock


async def claimed(store: Store, maria: StaffMember, address: str = "1") -> str:
    case = await store.open_case("web", address, "bg", None, None, "река")
    assert await store.claim(case.id, maria.id)
    return case.id


async def test_only_the_first_answer_is_counted_by_how_long_she_waited(
    store: Store, maria: StaffMember, clock: Clock
) -> None:
    case_id = await claimed(store, maria)
    await store.add_note(case_id, maria.id, "бележка", "n")
    await store.add_notice(case_id, "чакай", "n")
    assert await store.waits() == []
    clock.forward(minutes=4)
    await store.add_reply(case_id, maria.id, "тук съм", "a")
    await store.add_reply(case_id, maria.id, "тук съм", "a")
    clock.forward(hours=4)
    await store.add_reply(case_id, maria.id, "още", "b")
    await store.close_case(case_id, None, "bye")
    assert await store.waits() == [Waits("2026-11", {300: 1}, 0)]


@pytest.mark.parametrize(
    ("wait", "edge"), [(0, 60), (60, 60), (60.1, 120), (EDGES[-1], EDGES[-1]), (EDGES[-1] + 1, 0)]
)
def test_a_wait_of_exactly_an_edge_is_below_it(wait: float, edge: int) -> None:
    assert bucket_of(timedelta(seconds=wait)) == edge


async def test_waits_are_listed_from_the_shortest_and_the_longest_has_no_edge(
    store: Store, maria: StaffMember, clock: Clock
) -> None:
    for days, address in ((4, "1"), (0, "2"), (4, "3")):
        case_id = await claimed(store, maria, address)
        clock.forward(days=days)
        await store.add_reply(case_id, maria.id, "тук съм", "a")
    (month,) = await store.waits()
    assert list(month.answered.items()) == [(60, 1), (None, 2)]


@pytest.mark.parametrize("how", ["she ends it", "silence", "forget", "its key is lost"])
async def test_who_leaves_without_an_answer_is_counted_whatever_the_way(
    store: Store, maria: StaffMember, how: str
) -> None:
    case_id = await claimed(store, maria)
    if how == "forget":
        await store.forget("web", "1")
    elif how == "its key is lost":
        store._vault.destroy_day(store._today())
        await store.close_unreadable()
    else:
        await store.close_case(case_id, None, how)
    assert await store.waits() == [Waits("2026-11", {}, 1)]
    await store.forget("web", "1")
    assert await store.waits() == [Waits("2026-11", {}, 1)], "counted once"


async def test_a_month_begins_at_midnight_in_sofia(
    store: Store, maria: StaffMember, clock: Clock
) -> None:
    clock.moment = datetime(2026, 11, 30, 21, 59, tzinfo=UTC)
    for minutes, address in ((0, "1"), (2, "2")):
        clock.forward(minutes=minutes)
        await store.add_reply(await claimed(store, maria, address), maria.id, "тук", "a")
    assert await store.waits() == [Waits("2026-12", {60: 1}, 0), Waits("2026-11", {60: 1}, 0)]


@pytest.mark.parametrize("answered", [True, False])
async def test_a_case_that_is_opened_again_is_not_counted_twice(
    store: Store, maria: StaffMember, answered: bool
) -> None:
    case_id = await claimed(store, maria)
    if answered:
        await store.add_reply(case_id, maria.id, "тук", "a")
    await store.close_case(case_id, None, "bye")
    before = await store.waits()
    await store.reopen(case_id, maria.id)
    await store.add_reply(case_id, maria.id, "още", "b")
    await store.close_case(case_id, None, "bye")
    assert (
        await store.waits()
        == before
        == [Waits("2026-11", {60: 1} if answered else {}, 1 - answered)]
    )
