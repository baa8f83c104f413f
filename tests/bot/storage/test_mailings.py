"""What goes to her phone: in her hours, once, and by whoever holds the lease on it."""

from __future__ import annotations

import re
from datetime import timedelta

import pytest
from sqlalchemy import text

from bot.privacy.redact import EventLog
from bot.privacy.vault import Vault
from bot.storage.mail_records import Audience, Broadcast, MailingEnd, MailingOutcome
from bot.storage.mailings import _may_go
from bot.storage.outbox import LEASE
from bot.storage.store import Store
from bot.storage.tables import mailings
from scheduler import plan
from scheduler.model import Reminder
from tests.bot.storage.conftest import Clock, rows
from tests.bot.storage.reminders import (
    BEFORE,
    MORNING,
    WORDS,
    WORKER,
    at,
    crowd,
    handles,
    hers,
    reception,
    send,
    settle,
    take,
    tick,
    wait,
)

HOUR = timedelta(hours=1)


@pytest.fixture
async def due(store: Store, clock: Clock) -> None:
    """Her reminder stands in the mailings, two days before at six."""
    await store.save_receptions([reception()])
    await wait(store)
    clock.moment = BEFORE
    assert await tick(store) == 1


async def begun(store: Store, text: str = "Елате по-рано", **audience: frozenset[str]) -> Broadcast:
    """A broadcast that was approved, to everybody."""
    everybody = {
        "municipalities": frozenset[str](),
        "languages": frozenset({"bg", "tr"}),
        "channels": frozenset({"telegram", "viber"}),
    }
    draft = await store.save_broadcast(None, "eva", Audience(**everybody | audience), {"bg": text})
    assert draft is not None
    proposed = await store.propose(draft.id, "eva")
    assert proposed is not None
    assert proposed.digest is not None
    return await store.approve(draft.id, "ana", proposed.digest)


async def later(store: Store, mailing_id: int, **outcome: object) -> None:
    ended = MailingOutcome(MailingEnd.LATER, **outcome)  # type: ignore[arg-type]
    await store.settle_mailings(WORKER, {mailing_id: ended})


async def test_a_mailing_says_all_that_is_needed_to_send_it(
    store: Store, clock: Clock, due: None
) -> None:
    (mailing,) = await take(store)
    assert mailing.channel == "telegram"
    assert (mailing.address, mailing.language, mailing.words) == ("73019", "bg", WORDS)
    assert (mailing.reminder, mailing.broadcast) == (Reminder.BEFORE, None)
    assert mailing.reception == reception()
    assert mailing.latest == at("2026-11-29 21:00")
    assert (mailing.attempts, mailing.tried_at, mailing.handle) == (0, None, None)
    assert "73019" not in repr(mailing)


async def test_what_is_being_sent_is_given_to_nobody_else(store: Store, due: None) -> None:
    assert len(await take(store)) == 1
    assert await store.take_mailings("telegram", "w2", 9) == []


async def test_only_what_is_of_this_channel_is_given_out(store: Store, due: None) -> None:
    assert await take(store, channel="viber") == []
    assert await store.mailings_due("viber") is None
    assert await store.mailings_due("telegram") == BEFORE


async def test_only_who_holds_it_can_settle_it(store: Store, due: None) -> None:
    (mailing,) = await take(store)
    sent = {mailing.id: MailingOutcome(MailingEnd.SENT), 999: MailingOutcome(MailingEnd.SENT)}
    await store.settle_mailings("w2", sent)
    assert (await store.counts())["mailings"] == 1
    await store.settle_mailings(WORKER, sent)
    assert (await store.counts())["mailings"] == 0
    await store.settle_mailings(WORKER, sent)


async def test_the_handle_of_what_stands_in_her_chat_is_kept_and_given_out(
    store: Store, clock: Clock, due: None
) -> None:
    await settle(store, *await take(store), handle="4711")
    clock.moment = MORNING
    await tick(store)
    (mailing,) = await take(store)
    assert (mailing.handle, mailing.reminder) == ("4711", Reminder.MORNING)
    await settle(store, mailing, end=MailingEnd.UNKNOWN)
    assert handles(await store.unsubscribe("telegram", "73019")) == ["4711"]


async def test_what_did_not_arrive_is_tried_later_and_a_refusal_counts(
    store: Store, clock: Clock, due: None
) -> None:
    (mailing,) = await take(store)
    until = clock() + timedelta(minutes=2)
    await later(store, mailing.id, until=until, refused=True)
    assert await take(store) == []
    assert await store.mailings_due("telegram") == until
    clock.moment = until
    (again,) = await take(store)
    assert (again.id, again.attempts, again.tried_at) == (mailing.id, 1, BEFORE)
    await later(store, again.id, until=clock(), afresh=True)
    (afresh,) = await take(store)
    assert (afresh.attempts, afresh.tried_at) == (1, None)
    await later(store, afresh.id)
    assert len(await take(store)) == 1


async def test_who_has_left_the_line_waits_for_nothing_any_more(
    store: Store, clock: Clock, due: None
) -> None:
    await wait(store, there="rse27")
    await wait(store, "other")
    await wait(store, channel="viber", words=None)
    await send(store, end=MailingEnd.GONE)
    assert await store.subscriptions_of("telegram", "73019") == []
    assert len(await store.subscriptions_of("telegram", "other")) == 1
    assert len(await store.subscriptions_of("viber", "73019")) == 1


@pytest.mark.parametrize("end", [MailingEnd.SENT, MailingEnd.UNKNOWN, MailingEnd.FAILED])
async def test_however_it_ended_it_is_not_sent_again(
    store: Store, clock: Clock, end: MailingEnd, due: None
) -> None:
    await send(store, end=end)
    assert await tick(store) == 0
    assert (await store.counts())["mailings"] == 0
    assert (await hers(store)).done == {Reminder.BEFORE}
    assert (await hers(store)).told == plan.fingerprint(reception())


async def test_what_a_dead_process_was_sending_may_have_arrived(
    store: Store, clock: Clock, url: str, vault: Vault, due: None
) -> None:
    (mailing,) = await take(store)
    assert await store.recover_mailings([WORKER]) == 0
    again = await Store.open(url, vault, clock)
    told = EventLog.counted["telegram", "reminder_unknown"]
    assert await again.recover_mailings() == 1
    assert EventLog.counted["telegram", "reminder_unknown"] == told + 1  # a person hears of it
    assert await again.recover_mailings() == 0
    assert await tick(again) == 0
    assert (await again.counts())["mailings"] == 0
    await again.close()
    await settle(store, mailing)


async def test_a_lease_that_nobody_keeps_runs_out(store: Store, clock: Clock, due: None) -> None:
    await take(store)
    clock.forward(seconds=LEASE.total_seconds() - 1)
    await store.keep_mailings("w2")
    assert await store.recover_mailings([WORKER]) == 0
    await store.keep_mailings(WORKER)
    clock.forward(seconds=LEASE.total_seconds() - 1)
    assert await store.recover_mailings([WORKER]) == 0
    clock.forward(seconds=1)
    assert await store.recover_mailings([WORKER]) == 1


async def test_after_an_outage_whoever_is_there_may_still_say_how_it_ended(
    store: Store, clock: Clock, due: None
) -> None:
    (mailing,) = await take(store)
    clock.forward(seconds=3 * LEASE.total_seconds())
    assert await store.recover_mailings([WORKER], steady=False) == 0
    await later(store, mailing.id, until=clock(), afresh=True)
    assert len(await take(store)) == 1
    assert await store.recover_mailings([], steady=False) == 1


async def test_who_takes_a_channel_over_cuts_off_what_another_was_sending_there(
    store: Store, clock: Clock, due: None
) -> None:
    await take(store)
    assert await store.take_over_mailings("viber") == 0
    assert await store.take_over_mailings("telegram") == 1
    assert (await store.counts())["mailings"] == 0


async def test_a_reminder_that_missed_her_hours_comes_in_the_next(
    store: Store, clock: Clock, due: None
) -> None:
    assert await store.expire_mailings() == 0
    clock.moment = at("2026-11-29 21:00")
    assert await take(store) == []  # nothing rings at nine
    assert await store.expire_mailings() == 1
    assert (await hers(store)).done == frozenset()
    assert await tick(store) == 0
    clock.moment = at("2026-11-30 09:00")
    assert await tick(store) == 1
    assert await send(store) == [("73019", Reminder.BEFORE)]


async def test_a_reminder_that_is_of_no_use_any_more_does_not_come(
    store: Store, clock: Clock, due: None
) -> None:
    clock.moment = MORNING + timedelta(minutes=5)
    await store.expire_mailings()
    await tick(store)
    assert await send(store) == [("73019", Reminder.MORNING)]


async def test_a_change_that_missed_her_hours_is_told_in_the_next(
    store: Store, clock: Clock, due: None
) -> None:
    told = (await hers(store)).told
    await store.save_receptions([reception(start="2026-12-02 10:00")])
    await tick(store)
    clock.moment = at("2026-11-29 21:30")
    assert await store.expire_mailings() == 1
    await tick(store)
    assert (await hers(store)).told == told
    clock.moment = at("2026-11-30 09:00")
    await tick(store)
    assert await send(store) == [("73019", Reminder.MOVED)]


async def test_what_is_under_way_at_the_end_of_her_hours_is_left_alone(
    store: Store, clock: Clock, due: None
) -> None:
    taken = await take(store)
    clock.moment = at("2026-11-29 21:00")
    assert await store.expire_mailings() == 0
    await settle(store, *taken)
    assert (await hers(store)).done == {Reminder.BEFORE}


async def test_an_address_that_cannot_be_opened_does_not_stop_the_others(
    store: Store, clock: Clock
) -> None:
    await store.save_receptions([reception()])
    await wait(store)
    await crowd(store, 2)
    spoil = "UPDATE subscriptions SET address = :other WHERE id = :id"
    await rows(store, spoil, other=b"\0", id=f"{1:032x}")
    clock.moment = BEFORE
    await tick(store)
    assert {who for who, _ in await send(store)} == {"73019", "0"}
    assert (await store.counts())["mailings"] == 0
    assert await tick(store) == 0


async def test_reminders_go_before_broadcasts_and_the_older_broadcast_first(
    store: Store, clock: Clock, due: None
) -> None:
    await wait(store, "other")
    first = await begun(store)
    clock.forward(minutes=1)
    second = await begun(store)
    order = []
    for _ in range(5):
        (mailing,) = await take(store, limit=1)
        order.append(mailing.broadcast)
    assert order == [None, first.id, first.id, second.id, second.id]
    assert await take(store) == []


async def test_of_a_broadcast_nothing_goes_out_while_it_is_paused(
    store: Store, clock: Clock
) -> None:
    await wait(store)
    one = await begun(store)
    assert await store.mailings_due("telegram") == clock()
    assert await store.pause(one.id)
    assert not await store.pause(one.id)
    assert await take(store) == []
    assert await store.mailings_due("telegram") is None
    assert await store.resume(one.id)
    assert not await store.resume(one.id)
    assert len(await take(store)) == 1


async def test_what_may_go_is_found_by_an_index_in_its_order(store: Store, clock: Clock) -> None:
    """However many wait: nothing is sorted, and no table is read through."""
    sqlite = store._database._sqlite
    async with store._database.read() as connection:
        if not sqlite:  # so few rows would not be worth an index
            for slow in ("seqscan", "hashjoin", "mergejoin"):
                await connection.execute(text(f"SET LOCAL enable_{slow} = off"))
        for of in (mailings.c.broadcast_id.is_(None), mailings.c.broadcast_id == "b"):
            query = _may_go("telegram", of, clock()).limit(30)
            written = query.compile(connection.engine, compile_kwargs={"literal_binds": True})
            explain = text(f"EXPLAIN {'QUERY PLAN' * sqlite} {written}".replace(":", r"\:"))
            steps = "\n".join(str(row) for row in await connection.execute(explain))
            assert "ix_mailings_broadcast_id_channel_due_at" in steps
            assert not re.search(r"sort|temp b-tree|seq scan|scan (?!using)", steps.lower())
