"""Who sends in a conversation has it alone, and who was too slow changes nothing more."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta

import pytest

from bot.privacy.vault import Vault
from bot.storage.outbox import LEASE
from bot.storage.records import Case, Due, Lease, MessageState, OnItsWay, StaffMember
from bot.storage.store import Store
from tests.bot.storage.conftest import NOON, Clock

HERS = ("telegram", "1")


@pytest.fixture
async def other(url: str, vault: Vault, clock: Clock, store: Store) -> AsyncIterator[Store]:
    """The same database as another process has it."""
    second = await Store.open(url, vault, clock)
    yield second
    await second.close()


async def opened(store: Store, channel: str = HERS[0]) -> Case:
    return await store.open_case(channel, HERS[1], "bg", None, None, "тиха река")


async def said(store: Store, case: Case, *words: str) -> Due:
    for word in words:
        await store.add_notice(case.id, word, word)
    [due] = await store.due(NOON)
    return due


async def states(store: Store, case: Case) -> list[MessageState]:
    return [message.state for message in await store.messages(case.id)]


async def taken_row(store: Store, due: Due, worker: str) -> Due:
    sending = await store.take(due.outbox_id, worker)
    assert sending is not None
    return sending


async def taken(store: Store, due: Due, worker: str) -> Lease:
    lease = (await taken_row(store, due, worker)).lease
    assert lease is not None
    return lease


async def test_of_two_that_take_the_same_conversation_at_once_one_has_it(
    store: Store, other: Store
) -> None:
    due = await said(store, await opened(store), "едно", "две")
    taking = (store.take(due.outbox_id, "a"), other.take(due.outbox_id, "b"))
    assert sum(due is not None for due in await asyncio.gather(*taking)) == 1
    assert await store.due(NOON) == await other.due(NOON) == []


async def test_a_correction_and_a_send_at_once_end_in_the_same_words(
    store: Store, other: Store, maria: StaffMember
) -> None:
    case = await opened(store)
    assert await store.claim(case.id, maria.id)
    for n in range(5):
        message = await store.add_reply(case.id, maria.id, f"old {n}", f"k{n}")
        [due] = await store.due(NOON)
        sending, corrected = await asyncio.gather(
            other.take(due.outbox_id, "a"),
            store.correct(case.id, maria.id, message.id, f"new {n}"),
            return_exceptions=True,
        )
        if sending is None:  # the other one had the case just then
            sending = await taken_row(store, due, "a")
        assert isinstance(sending, Due)
        assert isinstance(corrected, OnItsWay) or corrected is True
        says = f"old {n}" if isinstance(corrected, OnItsWay) else f"new {n}"
        assert sending.message.text == says
        assert await store.settle(due.outbox_id, MessageState.SENT, sending.lease)


async def test_lease_runs_out_during_a_send_the_old_worker_is_fenced_off(
    store: Store, other: Store, clock: Clock
) -> None:
    case = await opened(store)
    due = await said(store, case, "едно", "две")
    old = await taken(store, due, "slow")
    clock.moment += LEASE
    assert await other.recover({"slow", "quick"}) == 1
    assert await states(store, case) == [MessageState.UNKNOWN, MessageState.DUE]
    [next_one] = await other.due(clock())
    new = await taken(other, next_one, "quick")
    assert new.fence > old.fence
    assert not await store.settle(due.outbox_id, MessageState.SENT, old)
    assert not await store.postpone(next_one.outbox_id, clock(), lease=old)
    assert await states(store, case) == [MessageState.UNKNOWN, MessageState.DUE]
    assert await other.settle(next_one.outbox_id, MessageState.SENT, new)
    assert await states(store, case) == [MessageState.UNKNOWN, MessageState.SENT]


async def test_a_lease_that_is_kept_does_not_run_out(store: Store, clock: Clock) -> None:
    case = await opened(store)
    lease = await taken(store, due := await said(store, case, "едно"), "mine")
    for _ in range(5):
        clock.moment += LEASE - timedelta(seconds=1)
        await store.keep_leases("mine")
        assert await store.recover({"mine"}) == 0
    assert await store.settle(due.outbox_id, MessageState.SENT, lease)
    assert await states(store, case) == [MessageState.SENT]


async def test_what_a_process_was_sending_that_is_gone_is_unknown_at_once(store: Store) -> None:
    case = await opened(store)
    await taken(store, await said(store, case, "едно"), "gone")
    assert await store.recover({"gone", "there"}) == 0
    assert await store.recover({"there"}) == 1
    assert await states(store, case) == [MessageState.UNKNOWN]


async def test_who_takes_a_channel_over_fences_off_whoever_had_it(store: Store) -> None:
    case = await opened(store)
    due = await said(store, case, "едно")
    old = await taken(store, due, "had it")
    await store.take_over("viber")
    assert await states(store, case) == [MessageState.DUE]
    assert await store.take_over(HERS[0]) == 1
    assert await states(store, case) == [MessageState.UNKNOWN]
    assert not await store.settle(due.outbox_id, MessageState.SENT, old)
    found = await store.case_of(*HERS)
    assert found is not None
    assert not found.present


async def test_what_could_not_be_opened_while_its_key_was_replaced_is_sent(store: Store) -> None:
    case = await opened(store)
    due = await said(store, case, "едно")
    await store._give_up_unreadable(due.outbox_id)
    assert await states(store, case) == [MessageState.DUE]
    assert await store.due(NOON) == [due]


async def test_after_a_settled_send_the_next_one_follows_at_once(store: Store) -> None:
    case = await opened(store)
    due = await said(store, case, "едно", "две")
    lease = await taken(store, due, "a")
    assert await store.settle(due.outbox_id, MessageState.SENT, lease)
    [following] = await store.due(NOON)
    assert (await taken(store, following, "b")).fence == lease.fence + 1


# --- whose page she has open ----------------------------------------------------------------------


async def test_what_is_for_a_page_leaves_from_the_process_that_has_it(
    store: Store, other: Store
) -> None:
    case = await opened(store, "web")
    await store.add_notice(case.id, "едно", "n")
    await store.set_present(case.id, True, other.together.worker)
    assert await store.due(NOON, {"web"}) == []
    [due] = await other.due(NOON, {"web"})
    assert due.message.text == "едно"
    assert await other.due(NOON, {"telegram"}) == []


async def test_a_page_that_was_followed_elsewhere_ends_without_harm(
    store: Store, other: Store
) -> None:
    case = await opened(store, "web")
    await store.set_present(case.id, True, store.together.worker)
    await store.set_present(case.id, True, other.together.worker)
    assert not await store.set_present(case.id, False, store.together.worker)
    found = await store.case(case.id)
    assert found is not None
    assert found.present
    assert await store.set_present(case.id, False), "her own hiding counts wherever it comes"


async def test_the_pages_of_a_process_that_is_gone_are_closed(store: Store, other: Store) -> None:
    case = await opened(store, "web")
    await store.set_present(case.id, True, other.together.worker)
    await store.pages_closed("web", {store.together.worker, other.together.worker})
    found = await store.case(case.id)
    assert found is not None
    assert found.present
    await store.pages_closed("web", {store.together.worker})
    found = await store.case(case.id)
    assert found is not None
    assert not found.present
