"""A broadcast: approved by a second person, to each woman once, and every one of them counted."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Callable, Coroutine
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from bot.privacy.vault import Vault
from bot.storage.broadcasts import APPROVAL, LIFE, digest
from bot.storage.mail_counts import PARTS
from bot.storage.mail_records import (
    Audience,
    Broadcast,
    BroadcastState,
    MailingEnd,
    MailingOutcome,
    NotAuthor,
    NotProposed,
    OwnBroadcast,
)
from bot.storage.migrate import migrate
from bot.storage.store import Store
from scheduler.model import Subscription
from tests.bot.storage.conftest import NOON, Clock, everything, rows
from tests.bot.storage.reminders import WORKER, at, reception, sees, send, settle, take, tick, wait
from tests.bot.storage.test_mailings import begun

EVERYBODY = Audience(frozenset(), frozenset({"bg", "tr"}), frozenset({"telegram", "viber"}))
TEXTS = {"bg": "Елате по-рано", "tr": "Erken gelin"}
TELEGRAM = frozenset({"telegram"})
HOUR = timedelta(hours=1)


async def draft(store: Store, audience: Audience = EVERYBODY, by: str = "eva") -> Broadcast:
    made = await store.save_broadcast(None, by, audience, TEXTS)
    assert made is not None
    return made


async def proposed(store: Store, audience: Audience = EVERYBODY) -> tuple[str, str]:
    """A proposal's id and digest."""
    one = await store.propose((await draft(store, audience)).id, "eva")
    assert one is not None
    assert one.digest is not None
    return one.id, one.digest


async def now(store: Store, one: Broadcast) -> Broadcast:
    found = await store.broadcast(one.id)
    assert found is not None
    return found


def counts(one: Broadcast) -> dict[str, int]:
    names = ("recipients", "delivered", "gone", "held", "unknown", "failed", "left")
    return {name: getattr(one, name) for name in names if getattr(one, name)}


async def read(store: Store, waits: Subscription) -> list[str]:
    """What she reads of the centre's words, in Bulgarian."""
    return [each.text for each in await store.broadcast_words(waits.id, "bg")]


# --- composing and approving ---------------------------------------------------------------------


async def test_a_draft_is_kept_as_it_was_written(store: Store, clock: Clock) -> None:
    one = await draft(store)
    assert (one.state, one.audience, one.texts) == (BroadcastState.DRAFT, EVERYBODY, TEXTS)
    assert (one.created_by, one.created_at) == ("eva", NOON)
    changed = await store.save_broadcast(one.id, "ana", EVERYBODY, {"bg": "Друго"})
    assert changed == replace(one, created_by="ana", texts={"bg": "Друго"})
    clock.forward(hours=1)
    newer = await draft(store)
    assert await store.broadcasts() == [newer, changed]
    assert await store.broadcast("nothing") is None
    assert await store.save_broadcast("nothing", "eva", EVERYBODY, TEXTS) is None


async def test_who_wrote_it_cannot_approve_it(store: Store) -> None:
    one, seen = await proposed(store)
    with pytest.raises(OwnBroadcast):
        await store.approve(one, "eva", seen)
    assert await store.audits(9) == []
    assert (await store.approve(one, "ana", seen)).approved_by == "ana"
    (entry,) = await store.audits(9)
    assert (entry.staff_id, entry.action) == ("ana", "broadcast.approved")


async def test_only_who_wrote_it_last_proposes_it(store: Store) -> None:
    one, seen = await proposed(store)
    for _ in ("proposed", "changed"):
        with pytest.raises(NotAuthor):
            await store.propose(one, "ana")
        await store.save_broadcast(one, "eva", EVERYBODY, TEXTS)
    await store.save_broadcast(one, "ana", EVERYBODY, TEXTS)
    assert await store.propose(one, "ana")
    with pytest.raises(OwnBroadcast):
        await store.approve(one, "ana", seen)
    assert (await store.approve(one, "eva", seen)).approved_by == "eva"


@pytest.mark.parametrize(
    "how", ["draft", "text", "audience", "other", "late", "early", "again", "row"]
)
async def test_only_what_was_proposed_within_half_an_hour_can_be_approved(
    store: Store, clock: Clock, how: str
) -> None:
    one, seen = await proposed(store)
    if how == "draft":
        one = (await draft(store)).id
    elif how == "text":
        await store.save_broadcast(one, "eva", EVERYBODY, {**TEXTS, "bg": "Друго"})
    elif how == "audience":
        await store.save_broadcast(one, "eva", replace(EVERYBODY, languages=frozenset()), TEXTS)
        await store.propose(one, "eva")
    elif how == "other":
        seen = digest(await draft(store, replace(EVERYBODY, municipalities=frozenset({"rse04"}))))
    elif how == "late":
        clock.moment += APPROVAL
    elif how == "row":  # whoever can write into the database, and not as staff do
        await rows(store, "UPDATE broadcasts SET texts = '{}'")
    elif how == "early":
        clock.forward(minutes=-1)
    else:
        await store.approve(one, "ana", seen)
    with pytest.raises(NotProposed):
        await store.approve(one, "ana", seen)
    if how == "late":
        assert await store.propose(one, "eva")
        await store.approve(one, "ana", seen)


async def test_what_has_begun_is_neither_changed_nor_proposed(store: Store) -> None:
    await wait(store)
    one = await begun(store)
    assert await store.save_broadcast(one.id, "eva", EVERYBODY, TEXTS) is None
    assert await store.propose(one.id, "eva") is None
    assert await now(store, one) == one


# --- whom it reaches -----------------------------------------------------------------------------


async def test_it_goes_once_to_each_woman_however_many_places_she_waits_at(store: Store) -> None:
    for there in ("rse04", "rse27", "rse13"):
        await wait(store, there=there)
    await wait(store, "other")
    one = await begun(store)
    assert counts(one) == {"recipients": 2, "left": 2}
    assert [who for who, _ in await send(store)] == ["73019", "other"]
    assert counts(await now(store, one)) == {"recipients": 2, "delivered": 2}


async def test_it_goes_only_to_its_audience_and_the_figures_said_so(
    store: Store, clock: Clock
) -> None:
    await store.save_receptions([reception(start="2026-11-22 15:00")])
    for address, there, language, channel in [
        ("1", "rse04", "bg", "telegram"),
        ("2", "rse04", "tr", "telegram"),
        ("3", "rse27", "bg", "telegram"),
        ("4", "rse27", "bg", "viber"),
        ("5", "rse13", "bg", "viber"),
    ]:
        await wait(store, address, there=there, language=language, channel=channel)
    await wait(store, "6", there="rse27", channel="viber", words=None)
    audience = Audience(
        frozenset({"rse04", "rse27"}), frozenset({"bg"}), frozenset({"telegram", "viber"})
    )
    reach = await store.reach(audience, {})
    assert (reach.by_channel, reach.silent) == ({"telegram": 2, "viber": 1}, 1)
    assert (reach.recipients, reach.billable) == (4, 0)
    clock.moment = at("2026-11-22 19:00")  # one of them was for a reception that is over
    assert (await store.reach(audience, {})).by_channel == {"telegram": 1, "viber": 1}
    one = await begun(store, **{name: getattr(audience, name) for name in audience.__slots__})
    assert counts(one) == {"recipients": 3, "held": 1, "left": 2}
    assert [who for who, _ in await send(store)] == ["3"]
    assert [who for who, _ in await send(store, "viber")] == ["4"]


async def test_it_costs_where_she_was_not_there_lately(store: Store, clock: Clock) -> None:
    await wait(store, "1", channel="viber")
    await wait(store, "silent", channel="viber", words=None)
    await wait(store, "2")
    clock.forward(hours=10)
    await wait(store, "3", channel="viber")
    await wait(store, "1", there="rse27", channel="viber")
    assert (await store.reach(EVERYBODY, {"viber": NOON})).billable == 0
    clock.forward(hours=5)
    assert (await store.reach(EVERYBODY, {"viber": NOON + 11 * HOUR})).billable == 2
    await sees(store, "viber", "3")
    assert (await store.reach(EVERYBODY, {"viber": NOON + 11 * HOUR})).billable == 1
    assert (await store.reach(EVERYBODY, {})).billable == 0


async def test_who_wants_nothing_sent_finds_it_when_she_comes(store: Store) -> None:
    silent = await wait(store, words=None)
    one = await begun(store)
    assert one.state is BroadcastState.DONE
    assert counts(one) == {"recipients": 1, "held": 1}
    assert await store.news_for("telegram", "73019")
    assert await read(store, silent) == ["Елате по-рано"]


async def test_who_is_silent_at_one_place_only_is_rung_and_counted_once(store: Store) -> None:
    await wait(store, words=None)
    await wait(store, there="rse27")
    assert (await store.reach(EVERYBODY, {})).by_channel == {"telegram": 1}
    assert (await store.reach(EVERYBODY, {})).silent == 0
    assert counts(await begun(store)) == {"recipients": 1, "left": 1}


async def test_to_nobody_it_has_ended_at_once(store: Store, clock: Clock) -> None:
    one = await begun(store)
    assert (one.state, one.ended_at, counts(one)) == (BroadcastState.DONE, clock(), {})


async def test_it_comes_in_her_hours_and_not_outside(store: Store, clock: Clock) -> None:
    for hours in ("am", "pm", "eve", "day"):
        await wait(store, hours, hours=hours)
    one = await begun(store)
    assert [who for who, _ in await send(store)] == ["day", "pm"]
    clock.moment = at("2026-11-22 17:00")
    assert [who for who, _ in await send(store)] == ["eve"]
    clock.moment = at("2026-11-23 08:59")
    assert await send(store) == []
    clock.moment = at("2026-11-23 09:00")
    assert [who for who, _ in await send(store)] == ["am"]
    ended = await now(store, one)
    assert (ended.state, ended.ended_at) == (BroadcastState.DONE, clock())
    assert counts(ended) == {"recipients": 4, "delivered": 4}


async def test_what_missed_her_hours_waits_for_the_next_and_is_held_after_three_days(
    store: Store, clock: Clock
) -> None:
    await wait(store, hours="pm")
    one = await begun(store)
    assert one.until == NOON + LIFE  # on Wednesday at 14:34
    for day in ("23", "24"):
        clock.moment = at(f"2026-11-{day} 08:00")
        assert await store.expire_mailings() == 1
        assert await store.expire_mailings() == 0
        assert await take(store) == []
    clock.moment = at("2026-11-25 12:00")
    assert await store.expire_mailings() == 1
    (mailing,) = await take(store)
    assert mailing.latest == one.until
    outcome = MailingOutcome(MailingEnd.LATER, until=clock())
    await store.settle_mailings(WORKER, {mailing.id: outcome})
    clock.moment = one.until
    assert await take(store) == []
    assert await store.expire_mailings() == 1
    ended = await now(store, one)
    assert (ended.state, counts(ended)) == (BroadcastState.DONE, {"recipients": 1, "held": 1})


async def test_after_an_outage_inside_her_hours_it_goes_out_at_once(
    store: Store, clock: Clock
) -> None:
    await wait(store, hours="pm")
    await begun(store)
    clock.moment = at("2026-11-23 13:00")
    assert await store.expire_mailings() == 1
    (mailing,) = await take(store)
    assert mailing.latest == at("2026-11-23 17:00")


# --- part by part --------------------------------------------------------------------------------


async def interrupted(store: Store, parts: int) -> Broadcast:
    """It was approved, and the process died with so many parts of it in the mailings."""
    one = await begun(store)
    await rows(store, "DELETE FROM mailings WHERE broadcast_id = :id", id=one.id)
    await rows(
        store,
        "UPDATE broadcasts SET enqueued = 0, recipients = 0, held = 0, state = 'running', "
        "ended_at = NULL WHERE id = :id",
        id=one.id,
    )
    for _ in range(parts):
        await store._enqueue_part()
    return await now(store, one)


async def waits_for(store: Store) -> int:
    return (await store.counts())["mailings"]


@pytest.fixture
async def many(store: Store) -> int:
    """So many women, of each part some; every fourth wants nothing sent."""
    for number in range(32):
        await wait(store, f"{number}", words=None if number % 4 == 0 else "w")
        await wait(store, f"{number}", there="rse27", words=None if number % 8 == 0 else "w")
    return 32


async def test_what_was_interrupted_goes_on_at_the_next_tick_and_adds_up_at_each_moment(
    store: Store, many: int
) -> None:
    one = await interrupted(store, 0)
    assert (one.state, counts(one)) == (BroadcastState.RUNNING, {})
    settled, grows = 0, [0]
    for _ in range(PARTS - 1):
        await store._enqueue_part()
        settled += len(await send(store))
        one = await now(store, one)
        assert one.state is BroadcastState.RUNNING  # although nothing of it waits
        assert (one.delivered, one.left) == (settled, 0)
        assert one.recipients == one.delivered + one.held
        grows.append(one.recipients)
    assert grows == sorted(grows)
    await store.enqueue_rest()
    settled += len(await send(store))
    ended = await now(store, one)
    assert ended.state is BroadcastState.DONE
    assert counts(ended) == {"recipients": many, "delivered": many - 4, "held": 4}
    assert await store.enqueue_rest() == 0


async def test_two_processes_at_once_enqueue_nothing_twice(
    store: Store, many: int, url: str, vault: Vault, clock: Clock
) -> None:
    one = await interrupted(store, 5)
    before = await waits_for(store)
    other = await Store.open(url, vault, clock)
    enqueued = await asyncio.gather(store.enqueue_rest(), other.enqueue_rest())
    await other.close()
    assert before + sum(enqueued) == await waits_for(store) == many - 4
    assert counts(await now(store, one)) == {"recipients": many, "held": 4, "left": many - 4}
    assert len({who for who, _ in await send(store)}) == many - 4


async def test_who_asks_anew_meanwhile_is_rung_no_second_time(store: Store, many: int) -> None:
    one = await interrupted(store, 8)
    rung = [who for who, _ in await send(store)]
    for who in rung:
        await wait(store, who)
        await wait(store, who, there="rse13")
    await store.enqueue_rest()
    again = [who for who, _ in await send(store)]
    assert len(rung + again) == len({*rung, *again}) == many - 4
    assert counts(await now(store, one)) == {"recipients": many, "delivered": many - 4, "held": 4}


async def test_a_pause_in_the_middle_holds_all_parts_and_a_cancel_those_that_are_there(
    store: Store, many: int
) -> None:
    first = await interrupted(store, PARTS // 2)
    assert await store.pause(first.id)
    assert await store.enqueue_rest() > 0
    assert await take(store) == []
    assert (await now(store, first)).left == many - 4
    assert await store.cancel(first.id)
    second = await interrupted(store, PARTS // 2)
    assert await store.cancel(second.id)
    assert await store.enqueue_rest() == await waits_for(store) == 0
    ended = await now(store, second)
    assert ended.state is BroadcastState.CANCELLED
    assert 0 < ended.recipients == ended.held < many
    assert counts(await now(store, first)) == {"recipients": many, "held": many}


async def test_what_is_enqueued_late_ends_with_the_others(
    store: Store, many: int, clock: Clock
) -> None:
    one = await interrupted(store, 0)
    clock.moment = NOON + LIFE - HOUR
    assert await store.enqueue_rest() == many - 4
    clock.moment = NOON + LIFE
    assert await take(store) == []
    assert await store.expire_mailings() == many - 4
    ended = await now(store, one)
    assert (ended.state, counts(ended)) == (
        BroadcastState.DONE,
        {"recipients": many, "held": many},
    )


# --- how it goes ---------------------------------------------------------------------------------


async def test_every_end_is_counted_and_she_who_left_is_gone_from_the_others_too(
    store: Store, clock: Clock
) -> None:
    for address in ("1", "2", "3", "4"):
        await wait(store, address)
    await wait(store, "4", there="rse27")
    first = await begun(store)
    clock.forward(minutes=1)
    second = await begun(store)
    taken = {each.address: each for each in await take(store, limit=4)}
    await settle(store, taken["1"])
    await settle(store, taken["2"], end=MailingEnd.FAILED)
    await settle(store, taken["3"], end=MailingEnd.UNKNOWN)
    assert (await now(store, first)).state is BroadcastState.RUNNING
    await settle(store, taken["4"], end=MailingEnd.GONE)
    ended = await now(store, first)
    assert ended.state is BroadcastState.DONE
    assert counts(ended) == {"recipients": 4, "delivered": 1, "failed": 1, "unknown": 1, "gone": 1}
    assert counts(await now(store, second)) == {"recipients": 4, "gone": 1, "left": 3}


async def test_a_dead_process_leaves_unknowns_and_the_rest_goes_on(
    store: Store, clock: Clock, url: str, vault: Vault
) -> None:
    for address in ("1", "2", "3"):
        await wait(store, address)
    one = await begun(store)
    await settle(store, *await take(store, limit=1))
    await take(store, limit=1)
    again = await Store.open(url, vault, clock)
    assert await again.recover_mailings() == 1
    assert len(await send(again)) == 1
    await again.close()
    ended = await now(store, one)
    assert ended.state is BroadcastState.DONE
    assert counts(ended) == {"recipients": 3, "delivered": 2, "unknown": 1}


async def test_what_is_cancelled_is_held_and_what_is_under_way_is_counted_as_it_ends(
    store: Store, clock: Clock
) -> None:
    for address in ("1", "2", "3", "4"):
        await wait(store, address)
    one = await begun(store)
    sent, late, unknown = await take(store, limit=3)
    assert await store.cancel(one.id)
    assert not await store.cancel(one.id)
    assert not await store.resume(one.id)
    assert counts(await now(store, one)) == {"recipients": 4, "held": 1, "left": 3}
    await settle(store, sent)
    await store.settle_mailings(WORKER, {late.id: MailingOutcome(MailingEnd.LATER, until=clock())})
    assert await store.take_over_mailings("telegram") == 1
    assert unknown.broadcast == one.id
    assert await take(store) == []
    ended = await now(store, one)
    assert (ended.state, ended.ended_at) == (BroadcastState.CANCELLED, clock())
    assert counts(ended) == {"recipients": 4, "delivered": 1, "held": 2, "unknown": 1}
    assert await read(store, await wait(store)) == []


async def test_a_draft_can_be_cancelled(store: Store) -> None:
    one = await draft(store)
    assert await store.cancel(one.id)
    assert await store.propose(one.id, "eva") is None


async def test_who_stops_in_the_middle_is_counted_as_gone(store: Store) -> None:
    await wait(store)
    await wait(store, "other")
    one = await begun(store)
    await store.unsubscribe("telegram", "73019")
    assert counts(await now(store, one)) == {"recipients": 2, "gone": 1, "left": 1}
    await store.forget("telegram", "other")
    ended = await now(store, one)
    assert (ended.state, counts(ended)) == (BroadcastState.DONE, {"recipients": 2, "gone": 2})


async def test_a_reminder_that_ends_before_its_broadcast_came_is_gone_from_it(
    store: Store, clock: Clock
) -> None:
    await store.save_receptions([reception(start="2026-11-22 15:00")])
    await wait(store)
    one = await begun(store)
    await store.pause(one.id)
    clock.moment = at("2026-11-22 19:00")
    await tick(store)
    assert counts(await now(store, one)) == {"recipients": 1, "gone": 1}
    assert (await now(store, one)).state is BroadcastState.DONE


async def test_forget_leaves_of_her_only_that_somebody_is_gone(store: Store) -> None:
    await wait(store, "other")
    await wait(store)
    one = await begun(store)
    await store.unsubscribe("telegram", "73019")
    without = await everything(store)
    await rows(store, "UPDATE broadcasts SET gone = 0")
    await wait(store)
    await wait(store, there="rse27")
    await rows(
        store,
        "INSERT INTO mailings (subscription_id, cause, broadcast_id, channel, due_at, latest, "
        "sending, attempts) SELECT MIN(subscriptions.id), 'x', MIN(broadcast_id), "
        "MIN(subscriptions.channel), MIN(due_at), MIN(latest), FALSE, 0 FROM subscriptions, "
        "mailings WHERE address_index = :index",
        index=store._index("telegram", "73019"),
    )
    assert (await store.counts())["mailings"] == 2
    await store.forget("telegram", "73019")
    assert await everything(store) == without
    assert counts(await now(store, one)) == {"recipients": 2, "gone": 1, "left": 1}


async def test_its_words_are_read_while_it_runs_and_fourteen_days_after(
    store: Store, clock: Clock
) -> None:
    here, elsewhere = await wait(store), await wait(store, there="rse27")
    on_viber = await wait(store, channel="viber")
    await begun(store, "първо")
    clock.forward(minutes=1)
    await begun(store, "второ", municipalities=frozenset({"rse04"}), channels=TELEGRAM)
    await draft(store)
    assert await read(store, here) == ["второ", "първо"]
    assert await read(store, on_viber) == ["първо"]
    assert await read(store, elsewhere) == ["първо"]
    for channel in ("telegram", "viber"):
        await send(store, channel)
    clock.forward(days=13)
    assert len(await read(store, here)) == 2
    clock.forward(days=1)
    assert await read(store, here) == []


async def test_what_was_not_said_in_the_language_of_her_screen_she_reads_in_that_of_her_reminder(
    store: Store,
) -> None:
    asked_in = {
        language: await wait(store, language, language=language) for language in ("bg", "tr")
    }
    await begun(store, "първо", languages=frozenset({"bg"}))

    async def found(asked: str, language: str) -> list[tuple[str, bool]]:
        said = await store.broadcast_words(asked_in[asked].id, language)
        return [(each.text, each.hers) for each in said]

    assert await found("bg", "tr") == await found("bg", "bg") == [("първо", True)]
    assert await found("tr", "bg") == [("първо", False)]
    assert await found("tr", "tr") == []
    assert await store.broadcast_words("nobody", "bg") == []


async def test_ninety_days_after_its_end_nothing_is_kept_of_it(store: Store, clock: Clock) -> None:
    await wait(store)
    one = await begun(store)
    kept = await draft(store)
    await send(store)
    clock.forward(days=90)
    assert (await store.purge(clock() - HOUR)).broadcasts == 0
    assert (await store.purge(clock())).broadcasts == 1
    assert await store.broadcast(one.id) is None
    assert await store.broadcasts() == [kept]


# --- whatever happens, they add up ---------------------------------------------------------------

WOMEN = st.sampled_from(["1", "2", "3", "4", "silent"])


class Sums(RuleBasedStateMachine):
    """Take, settle, expire, stop, forget, cancel in any order: nobody is lost or counted twice."""

    schema: bytes = b""

    @initialize()
    def start(self) -> None:
        self.loop = asyncio.new_event_loop()
        self.folder = tempfile.TemporaryDirectory()
        self.clock = Clock()
        file = Path(self.folder.name) / "phen.db"
        if not Sums.schema:
            migrate(f"sqlite:///{file}")
            Sums.schema = file.read_bytes()
        file.write_bytes(Sums.schema)
        vault = Vault.open(Path(self.folder.name) / "master.key", create=True)
        self.store = self.do(Store.open(f"sqlite:///{file}", vault, self.clock))
        self.taken: list[int] = []
        for woman in ("1", "2", "3", "4"):
            self.comes(woman)
        self.comes("silent")
        self.do(begun(self.store))

    def do(self, work: Coroutine[Any, Any, Any]) -> Any:
        return self.loop.run_until_complete(work)

    @rule(woman=WOMEN, there=st.sampled_from(["rse04", "rse27"]))
    def comes(self, woman: str, there: str = "rse04") -> None:
        words = None if woman == "silent" else "w"
        hours = "am" if woman == "1" else "day"
        self.do(wait(self.store, woman, hours, words, there))

    @rule()
    def begin(self) -> None:
        self.do(begun(self.store))

    @rule(parts=st.integers(0, PARTS))
    def dies_while_it_begins(self, parts: int) -> None:
        self.do(interrupted(self.store, parts))

    @rule(limit=st.integers(1, 4))
    def take(self, limit: int) -> None:
        self.taken += [each.id for each in self.do(take(self.store, limit))]

    @rule(end=st.sampled_from(MailingEnd))
    def settle(self, end: MailingEnd) -> None:
        ended, self.taken = self.taken[:2], self.taken[2:]
        outcomes = {each: MailingOutcome(end, until=self.clock()) for each in ended}
        self.do(self.store.settle_mailings(WORKER, outcomes))

    @rule(hours=st.integers(1, 40))
    def time_passes(self, hours: int) -> None:
        self.clock.forward(hours=hours)
        self.do(self.store.enqueue_rest())
        self.do(self.store.expire_mailings())
        self.do(tick(self.store))

    @rule()
    def dies(self) -> None:
        self.do(self.store.recover_mailings())

    @rule(woman=WOMEN, how=st.sampled_from(["unsubscribe", "forget"]))
    def leaves(self, woman: str, how: str) -> None:
        self.do(getattr(self.store, how)("telegram", woman))

    @rule(turn=st.sampled_from(["pause", "resume", "cancel"]), which=st.integers(0, 2))
    def turns(self, turn: str, which: int) -> None:
        for one in self.do(self.store.broadcasts())[which : which + 1]:
            change: Callable[[str], Coroutine[Any, Any, bool]] = getattr(self.store, turn)
            self.do(change(one.id))

    @invariant()
    def they_add_up(self) -> None:
        for one in self.do(self.store.broadcasts()):
            query = "SELECT COUNT(*) FROM mailings WHERE broadcast_id = :id"
            ((waiting,),) = self.do(rows(self.store, query, id=one.id))
            settled = one.delivered + one.gone + one.held + one.unknown + one.failed
            assert settled + waiting == one.recipients
            going = one.state in (BroadcastState.RUNNING, BroadcastState.PAUSED)
            query = "SELECT enqueued FROM broadcasts WHERE id = :id"
            ((parts,),) = self.do(rows(self.store, query, id=one.id))
            waiting_or_to_come = waiting > 0 or parts < PARTS
            assert going == waiting_or_to_come or one.state is BroadcastState.CANCELLED

    def teardown(self) -> None:
        self.do(self.store.close())
        self.loop.close()
        self.folder.cleanup()


TestSums = Sums.TestCase
TestSums.settings = settings(
    max_examples=8,
    stateful_step_count=20,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)
