"""A woman who waits for a reception hears of it once, in her hours, and only what holds."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from bot.privacy.retention import SUBSCRIPTION
from bot.privacy.vault import Vault
from bot.storage.mail_records import MailingEnd, MailingOutcome
from bot.storage.reminding import BATCH
from bot.storage.store import Store
from scheduler import plan
from scheduler.model import Reception, ReceptionState, Reminder
from tests.bot.storage.conftest import NOON, Clock, everything, rows
from tests.bot.storage.reminders import (
    BEFORE,
    MORNING,
    WORDS,
    WORKER,
    at,
    crowd,
    handles,
    hers,
    live,
    reception,
    sees,
    send,
    settle,
    take,
    tick,
    wait,
)

HOUR = timedelta(hours=1)
DAY = timedelta(days=1)


def moved(one: Reception, days: int = 1) -> Reception:
    later = {"start": one.start + days * DAY, "end": one.end + days * DAY}
    return replace(one, **later, state=ReceptionState.MOVED)  # type: ignore[arg-type]


def cancelled(one: Reception) -> Reception:
    return replace(one, state=ReceptionState.CANCELLED)


async def waiting_mailings(store: Store) -> int:
    return (await store.counts())["mailings"]


# --- what is kept --------------------------------------------------------------------------------


async def test_she_waits_for_the_next_reception_that_takes_place(store: Store) -> None:
    soon, late = reception("soon"), reception("late", "2026-12-08 10:00")
    over, off = reception("over", "2026-11-22 10:00"), reception("off", "2026-11-25 10:00")
    other = reception("other", "2026-11-24 10:00", "rse27")
    await store.save_receptions([late, soon, over, cancelled(off), other])
    one = await wait(store)
    assert (one.reception, one.told, one.told_start) == ("soon", plan.fingerprint(soon), soon.start)
    assert (one.until, one.done, one.silent, one.renew) == (soon.end, frozenset(), False, False)
    assert await store.subscriptions_of("telegram", "73019") == [(one, soon)]
    assert await store.subscriptions_of("viber", "73019") == []
    assert await store.reminded_by(["soon", "late"]) == {"soon": 1}


async def test_what_she_wanted_there_before_counts_no_more(store: Store) -> None:
    await store.save_receptions([reception()])
    await wait(store, hours="am")
    await wait(store, there="rse27")
    again = await wait(store, hours="eve", words=None)
    found = dict(await store.subscriptions_of("telegram", "73019"))
    assert [(one.municipality, one.hours, one.silent) for one in found] == [
        ("rse04", "eve", True),
        ("rse27", "day", False),
    ]
    assert again in found


async def test_a_reminder_that_stands_in_her_chat_is_still_known_when_she_asks_anew(
    store: Store, clock: Clock
) -> None:
    await store.save_receptions([reception()])
    await wait(store)
    clock.moment = BEFORE
    await tick(store)
    await settle(store, *await take(store), handle="4711")
    await wait(store, hours="am")
    assert handles(await store.unsubscribe("telegram", "73019")) == ["4711"]
    assert await store.subscriptions_of("telegram", "73019") == []
    await removed(store)
    assert await store.unsubscribe("telegram", "73019") == []


async def test_hours_that_do_not_exist_are_refused(store: Store) -> None:
    with pytest.raises(ValueError, match="hours"):
        await wait(store, hours="night")


async def test_where_nothing_is_sent_no_address_is_kept(store: Store) -> None:
    silent, rung = await wait(store, "silent", words=None), await wait(store, "rung")
    found = await rows(store, "SELECT id, address FROM subscriptions")
    kept = {row[0]: row[1] for row in found}
    assert kept[silent.id] is None
    assert kept[rung.id] is not None
    assert await rows(store, "SELECT words FROM subscriptions ORDER BY words IS NULL") == [
        (WORDS,),
        (None,),
    ]


async def test_the_file_holds_neither_her_address_nor_the_minute_in_which_she_was_there(
    store: Store, clock: Clock, file: Path
) -> None:
    await store.save_receptions([reception()])
    await wait(store, "7301999555")
    await wait(store, "7301999555", there="rse27")  # nothing is planned there
    await store.renew("telegram", "7301999555", "rse27")
    await sees(store, "telegram", "7301999555")
    disk = b"".join(path.read_bytes() for path in sorted(file.parent.glob("phen.db*")))
    assert WORDS.encode() in disk  # the search sees what is not sealed
    assert b"7301999555" not in disk
    for row in await rows(store, "SELECT * FROM subscriptions"):
        assert not [value for value in row if "34:56" in str(value)]
    await tick(store)
    moments = await rows(store, "SELECT known_at, here_at, until, next_at FROM subscriptions")
    whole = {str(value)[14:] for row in moments for value in row if value is not None}
    assert whole == {"00:00.000000"}


async def test_she_reads_as_having_known_it_only_after_she_was_there(store: Store) -> None:
    await store.save_receptions([reception()])
    one = await wait(store)
    assert one.known_at is not None
    assert NOON <= one.known_at <= NOON + HOUR


# --- what is due ---------------------------------------------------------------------------------


async def test_two_days_before_and_on_the_morning_she_is_reminded_once(
    store: Store, clock: Clock
) -> None:
    await store.save_receptions([reception()])
    await wait(store)
    assert await live(store, clock, at("2026-12-03 10:00")) == [
        (BEFORE, "73019", "before"),
        (MORNING, "73019", "morning"),
    ]
    assert (await store.counts())["subscriptions"] == 0


async def test_what_is_due_is_one_mailing_however_often_the_clock_ticks(
    store: Store, clock: Clock, url: str, vault: Vault
) -> None:
    await store.save_receptions([reception()])
    await wait(store)
    assert await tick(store, BEFORE - timedelta(seconds=1)) == 0
    assert await tick(store, BEFORE) == 1
    clock.moment = BEFORE
    assert await tick(store) == 0
    again = await Store.open(url, vault, clock)
    clock.forward(minutes=5)
    assert await tick(again) == 0
    await again.close()
    clock.moment = BEFORE - HOUR  # the clock was set back
    assert await tick(store) == 0
    clock.moment = BEFORE + HOUR
    assert await tick(store) == 0
    assert await send(store) == [("73019", Reminder.BEFORE)]
    clock.moment = BEFORE - HOUR
    assert await tick(store) == 0
    clock.moment = BEFORE
    assert await tick(store) == 0
    assert await waiting_mailings(store) == 0


async def test_what_is_not_due_is_looked_at_again_when_it_is(store: Store) -> None:
    await store.save_receptions([reception()])
    await wait(store)
    await tick(store)
    ((moment,),) = await rows(store, "SELECT next_at FROM subscriptions")
    assert str(moment)[:19] == "2026-11-29 16:00:00"


async def test_nothing_is_due_outside_her_hours(store: Store, clock: Clock) -> None:
    await store.save_receptions([reception(start="2026-12-01 14:00")])
    await wait(store, hours="pm")
    assert await live(store, clock, at("2026-12-03 10:00")) == [
        (at("2026-11-30 12:00"), "73019", "before"),
        (at("2026-12-01 12:00"), "73019", "morning"),
    ]


async def test_a_reminder_goes_out_early_where_this_costs_nothing(
    store: Store, clock: Clock
) -> None:
    await store.save_receptions([reception()])
    clock.moment = at("2026-11-29 09:30")
    await wait(store)
    asked: list[tuple[str, datetime]] = []

    def free(channel: str, here: datetime) -> datetime:
        asked.append((channel, here))
        return at("2026-11-29 17:00")

    clock.moment = at("2026-11-29 16:49")
    assert await tick(store, free=free) == 0
    clock.moment = at("2026-11-29 16:55")
    await tick(store, free=free)
    assert set(asked) == {("telegram", at("2026-11-29 09:00"))}


async def test_what_we_sent_opens_no_free_session(store: Store, clock: Clock) -> None:
    one = reception()
    await store.save_receptions([one])
    await wait(store)
    await tick(store)
    clock.forward(hours=2)
    await store.save_receptions([moved(one, 7)])
    asked: set[datetime] = set()

    def free(channel: str, here: datetime) -> None:
        asked.add(here)

    for _ in range(2):
        await tick(store, free=free)
        await send(store)
    assert asked == {NOON.replace(minute=0, second=0, microsecond=0)}


async def test_who_waits_for_a_date_is_reminded_of_the_first_that_is_planned(
    store: Store, clock: Clock
) -> None:
    one = await wait(store)
    assert (one.reception, one.told, one.known_at) == (None, None, None)
    assert NOON + SUBSCRIPTION < one.until <= NOON + SUBSCRIPTION + HOUR
    await tick(store)
    await store.save_receptions([reception(), reception("other", there="rse27")])
    await tick(store)
    bound = await hers(store)
    assert (bound.reception, bound.told, bound.until) == ("r", None, reception().end)
    assert [what for _, _, what in await live(store, clock, MORNING + HOUR)] == [
        "before",
        "morning",
    ]


async def test_a_date_that_she_never_heard_of_can_be_changed_without_a_word(
    store: Store, clock: Clock
) -> None:
    one, next_one = reception(), reception("next", "2026-12-15 10:00")
    await wait(store)
    await tick(store)
    await store.save_receptions([one])
    await tick(store)
    await store.save_receptions([moved(one)])
    await tick(store)
    assert await waiting_mailings(store) == 0
    await store.save_receptions([cancelled(one), next_one])
    await tick(store)
    assert (await hers(store)).reception == "next"
    assert [what for _, _, what in await live(store, clock, next_one.end)] == ["before", "morning"]


async def test_she_hears_of_a_change_to_a_date_of_which_she_was_reminded(
    store: Store, clock: Clock
) -> None:
    one = reception()
    await wait(store)
    await store.save_receptions([one])
    clock.moment = BEFORE
    await tick(store)
    assert await send(store) == [("73019", Reminder.BEFORE)]
    assert (await hers(store)).told == plan.fingerprint(one)
    await store.save_receptions([cancelled(one)])
    await tick(store)
    assert await send(store) == [("73019", Reminder.CANCELLED)]


async def test_who_waits_is_bound_to_one_that_takes_place_after_all(store: Store) -> None:
    one = reception()
    await store.save_receptions([cancelled(one)])
    await wait(store)
    await tick(store)
    assert (await hers(store)).reception is None
    await store.save_receptions([one])
    await tick(store)
    assert (await hers(store)).reception == "r"


async def test_a_reminder_for_which_no_date_is_planned_ends_by_itself(
    store: Store, clock: Clock
) -> None:
    one = await wait(store)
    await tick(store)
    clock.moment = one.until - timedelta(seconds=1)
    await tick(store)
    assert (await store.counts())["subscriptions"] == 1
    clock.moment = one.until
    await tick(store)
    assert (await store.counts())["subscriptions"] == 0


async def test_after_the_reception_a_renewed_reminder_waits_for_the_next(
    store: Store, clock: Clock
) -> None:
    assert not await store.renew("telegram", "73019", "rse04")
    one, next_one = reception(), reception("next", "2027-01-12 10:00")
    await store.save_receptions([one])
    await wait(store)
    assert await store.renew("telegram", "73019", "rse04")
    assert not await store.renew("telegram", "73019", "rse27")
    await live(store, clock, one.end)
    waits = await hers(store)
    assert (waits.reception, waits.told, waits.done, waits.renew) == (None, None, frozenset(), 0)
    assert waits.until >= clock() + SUBSCRIPTION
    await store.save_receptions([next_one])
    assert [what for _, _, what in await live(store, clock, next_one.end)] == ["before", "morning"]
    assert (await store.counts())["subscriptions"] == 0


async def test_a_silent_one_gets_nothing_sent_and_sees_that_it_is_due(
    store: Store, clock: Clock
) -> None:
    one = reception()
    await store.save_receptions([one])
    await wait(store, words=None)
    await tick(store)
    assert not await store.news_for("telegram", "73019")
    clock.moment = BEFORE
    assert await tick(store) == 0
    assert await store.news_for("telegram", "73019")
    assert not await store.news_for("telegram", "73020")
    await sees(store, "telegram", "73019")
    await tick(store)
    assert not await store.news_for("telegram", "73019")
    clock.moment = MORNING
    assert await tick(store) == 0
    assert await store.news_for("telegram", "73019")
    await sees(store, "telegram", "73019")
    await store.save_receptions([moved(one)])
    assert await tick(store) == 0
    assert await store.news_for("telegram", "73019")
    assert (await hers(store)).told == plan.fingerprint(one)
    await sees(store, "telegram", "73019")
    assert (await hers(store)).told == plan.fingerprint(moved(one))
    await tick(store)
    assert not await store.news_for("telegram", "73019")
    assert await waiting_mailings(store) == 0
    await live(store, clock, moved(one).end)
    assert (await store.counts())["subscriptions"] == 0


async def test_a_tick_goes_on_until_nothing_is_due(store: Store, clock: Clock) -> None:
    await store.save_receptions([reception()])
    await wait(store)
    await crowd(store, BATCH)
    clock.moment = BEFORE
    assert await tick(store) == BATCH + 1
    assert await tick(store) == 0


# --- moved, cancelled ----------------------------------------------------------------------------


@pytest.mark.parametrize("change", [moved, cancelled])
async def test_a_change_is_told_once_and_what_waited_to_be_sent_is_not_sent(
    store: Store, clock: Clock, change: object
) -> None:
    assert callable(change)
    one = reception()
    await store.save_receptions([one])
    await wait(store)
    await wait(store, "other", there="rse27")
    clock.moment = BEFORE
    assert await tick(store) == 1
    await store.save_receptions([change(one)])
    assert await waiting_mailings(store) == 0
    assert await tick(store) == 1
    assert await tick(store) == 0
    told = Reminder.MOVED if change is moved else Reminder.CANCELLED
    assert await send(store) == [("73019", told)]
    clock.forward(minutes=5)
    assert await tick(store) == 0
    assert await store.news_for("telegram", "73019")
    assert (await hers(store)).told == plan.fingerprint(change(one))


async def test_after_a_move_she_is_reminded_of_the_new_date(store: Store, clock: Clock) -> None:
    one = reception()
    await store.save_receptions([one])
    await wait(store)
    clock.moment = BEFORE
    await tick(store)
    await send(store)
    await store.save_receptions([moved(one, 7)])
    assert await live(store, clock, at("2026-12-09 10:00")) == [
        (BEFORE + HOUR, "73019", "moved"),
        (BEFORE + 7 * DAY, "73019", "before"),
        (MORNING + 7 * DAY, "73019", "morning"),
    ]


@pytest.mark.parametrize("off", [False, True], ids=["moved", "then cancelled"])
async def test_of_one_moved_to_an_earlier_day_she_hears_though_it_is_over(
    store: Store, clock: Clock, off: bool
) -> None:
    thursday, tuesday = reception(start="2026-11-26 14:00"), reception(start="2026-11-24 09:00")
    await store.save_receptions([thursday])
    await wait(store, hours="pm")
    clock.moment = at("2026-11-23 22:00")
    change = replace(tuesday, state=ReceptionState.MOVED)
    await store.save_receptions([change])
    if off:
        await store.save_receptions([cancelled(change)])
    clock.moment = at("2026-11-24 08:30")
    told, late = (Reminder.CANCELLED, {}) if off else (Reminder.MOVED, {"r": 1})
    assert await store.late_by() == late
    # All stood still until two days later, and the hourly clock was the first to go on.
    clock.moment = at("2026-11-26 11:30")
    assert await store.late_by(["r"]) == late
    assert (await store.purge(clock())).subscriptions == 0
    assert await tick(store) == 0
    clock.moment = at("2026-11-26 12:00")
    assert await tick(store) == 1
    assert await send(store) == [("73019", told)]
    assert await store.late_by() == {}
    clock.moment = at("2026-11-26 17:59")
    await tick(store)
    assert await store.news_for("telegram", "73019"), "she can read what happened"
    clock.moment = at("2026-11-26 18:00")  # when it would have ended
    await tick(store)
    assert (await store.counts())["subscriptions"] == 0


async def test_she_who_was_never_told_the_old_day_waits_no_longer_than_for_the_new(
    store: Store, clock: Clock
) -> None:
    heard, unheard = "73019", "other"
    await wait(store, unheard)
    await store.save_receptions([reception()])
    await wait(store, heard)
    await tick(store)
    sooner = replace(reception(start="2026-11-25 10:00"), state=ReceptionState.MOVED)
    await store.save_receptions([sooner])
    assert (await hers(store, unheard)).until == sooner.end
    assert (await hers(store, heard)).until == reception().end
    await store.save_receptions([reception()])
    assert (await hers(store, unheard)).until == reception().end


async def test_moved_back_before_it_went_out_there_is_nothing_to_tell(
    store: Store, clock: Clock
) -> None:
    one = reception()
    await store.save_receptions([one])
    await wait(store)
    await tick(store)
    before = await hers(store)
    await store.save_receptions([moved(one)])
    assert await tick(store) == 1
    await store.save_receptions([one])
    assert await tick(store) == 0
    assert await waiting_mailings(store) == 0
    assert await hers(store) == before
    assert [what for _, _, what in await live(store, clock, one.end)] == ["before", "morning"]


async def test_a_reminder_that_was_put_back_comes_after_all_when_the_date_holds_again(
    store: Store, clock: Clock
) -> None:
    one = reception()
    await store.save_receptions([one])
    await wait(store)
    clock.moment = BEFORE
    await tick(store)
    await store.save_receptions([moved(one)])
    await store.save_receptions([one])
    assert await tick(store) == 1
    assert await send(store) == [("73019", Reminder.BEFORE)]


async def test_a_change_waits_for_her_hours(store: Store, clock: Clock) -> None:
    one = reception()
    await store.save_receptions([one])
    await wait(store, hours="am")
    await store.save_receptions([moved(one)])
    assert await tick(store) == 0
    assert [(when, what) for when, _, what in await live(store, clock, BEFORE)] == [
        (at("2026-11-23 09:00"), "moved")
    ]


async def test_a_change_of_what_she_need_not_know_is_not_told(store: Store) -> None:
    one = reception()
    await store.save_receptions([one])
    await wait(store)
    await tick(store)
    assert await store.save_receptions([replace(one, attends="юрист")]) == (0, 1)
    assert await tick(store) == 0


async def test_who_has_seen_the_change_is_not_rung_for_it(store: Store, clock: Clock) -> None:
    one = reception()
    await store.save_receptions([one])
    await wait(store)
    await store.save_receptions([moved(one)])
    assert await tick(store) == 1
    assert await store.news_for("telegram", "73019")
    await sees(store, "telegram", "73019")
    assert await waiting_mailings(store) == 0
    assert not await store.news_for("telegram", "73019")
    assert await tick(store) == 0
    assert (await hers(store)).told == plan.fingerprint(moved(one))
    await sees(store, "telegram", "nobody")


async def test_who_has_seen_it_while_an_older_change_went_out_is_not_rung_again(
    store: Store, clock: Clock
) -> None:
    one = reception()
    await store.save_receptions([one])
    await wait(store)
    await store.save_receptions([moved(one)])
    await tick(store)
    taken = await take(store)
    await store.save_receptions([moved(one, 2)])
    await sees(store, "telegram", "73019")
    await settle(store, *taken)
    assert await tick(store) == 0
    assert (await hers(store)).told == plan.fingerprint(moved(one, 2))


@pytest.mark.parametrize("end", [MailingEnd.SENT, MailingEnd.LATER])
async def test_a_second_change_while_the_first_goes_out_is_told_after_it(
    store: Store, clock: Clock, end: MailingEnd
) -> None:
    one = reception()
    await store.save_receptions([one])
    await wait(store)
    await store.save_receptions([moved(one)])
    await tick(store)
    taken = await take(store)
    await store.save_receptions([moved(one, 2)])
    assert await tick(store) == 0
    await store.settle_mailings(WORKER, {taken[0].id: MailingOutcome(end, until=clock())})
    assert await tick(store) == 1
    (second,) = await take(store)
    assert second.reception is not None
    assert second.reception.start == one.start + 2 * DAY
    await settle(store, second)
    assert await tick(store) == 0


async def test_what_was_cancelled_can_be_read_until_it_would_have_ended(
    store: Store, clock: Clock
) -> None:
    one = reception()
    await store.save_receptions([one])
    await wait(store)
    await store.save_receptions([cancelled(one)])
    await tick(store)
    assert await send(store) == [("73019", Reminder.CANCELLED)]
    clock.forward(days=2)
    await tick(store)
    ((_, shown),) = await store.subscriptions_of("telegram", "73019")
    assert shown is not None
    assert shown.state is ReceptionState.CANCELLED
    assert shown.sequence == 1
    await live(store, clock, one.end)
    assert (await store.counts())["subscriptions"] == 0


async def test_after_she_read_that_it_is_cancelled_she_can_wait_for_the_next(
    store: Store, clock: Clock
) -> None:
    one, next_one = reception(), reception("next", "2026-12-08 10:00")
    await store.save_receptions([one, next_one])
    await wait(store)
    await store.save_receptions([cancelled(one)])
    await tick(store)
    await send(store)
    await sees(store, "telegram", "73019")
    await tick(store)
    assert await store.renew("telegram", "73019", "rse04")
    await tick(store)
    await tick(store)
    assert (await hers(store)).reception == "next"


async def test_who_wants_the_next_hears_of_an_earlier_one_instead_of_a_cancelled(
    store: Store, clock: Clock
) -> None:
    one = reception(start="2026-12-10 10:00")
    await store.save_receptions([one])
    await wait(store)
    await wait(store, "other")
    await store.renew("telegram", "73019", "rse04")
    await store.save_receptions([cancelled(one)])
    await tick(store)
    assert len(await send(store)) == 2
    await tick(store)
    assert (await hers(store)).reception == "r"  # she can read that it is cancelled
    await store.save_receptions([reception("new", "2026-12-03 10:00")])
    went = await live(store, clock, at("2026-12-03 11:00"))
    assert [(who, what) for _, who, what in went] == [
        ("73019", Reminder.BEFORE),
        ("73019", Reminder.MORNING),
    ]
    assert await store.news_for("telegram", "73019")
    assert (await hers(store)).reception == "new"
    assert (await hers(store, "other")).reception == "r"


async def test_staff_see_how_many_wait_and_for_how_many_a_change_comes_too_late(
    store: Store, clock: Clock
) -> None:
    one = reception(start="2026-11-23 10:00")
    soon = reception("soon", "2026-11-23 14:00", "rse27")
    await store.save_receptions([one, reception("later")])
    for number, hours in enumerate(("am", "am", "pm", "eve", "day")):
        await wait(store, str(number), hours=hours)
    await wait(store, "silent", words=None)
    clock.moment = at("2026-11-23 07:00")
    assert await store.late_by(["r"]) == {}
    await store.save_receptions([cancelled(one), soon])
    await wait(store, "elsewhere", there="rse27", words=None)
    await store.save_receptions([cancelled(soon)])
    both = "r", "soon", "later", "nothing"
    assert await store.reminded_by(both) == {"r": 6, "soon": 1}
    # In the morning hours and over the day it comes at nine, when she sets out.
    assert await store.late_by(both) == {"r": 3, "soon": 1}
    clock.moment = at("2026-11-23 09:01")
    assert await store.late_by(both) == {"r": 6, "soon": 1}
    await tick(store)
    assert await store.late_by(["r"]) == {"r": 6}  # nothing has gone out yet
    assert len(await send(store)) == 3
    assert await store.late_by(["r"]) == {"r": 3}


# --- receptions ----------------------------------------------------------------------------------


async def test_a_reception_counts_its_changes_as_calendars_do(store: Store) -> None:
    one = replace(reception(), uid="series@else")
    assert await store.save_receptions([one]) == (1, 0)
    assert await store.save_receptions([replace(one, uid="")]) == (0, 0)
    assert await store.save_receptions([replace(one, place="Бяла")]) == (0, 1)
    assert await store.save_receptions([replace(one, place="Бяла", sequence=7)]) == (0, 1)
    assert await store.save_receptions([replace(one, place="Бяла", sequence=3)]) == (0, 0)
    assert await store.save_receptions([replace(one, uid="", place="Ветово")]) == (0, 1)
    kept = await store.reception("r")
    assert kept is not None
    assert (kept.uid, kept.sequence, kept.place) == ("series@else", 8, "Ветово")


async def test_the_same_reception_twice_in_one_file_is_the_later_one(store: Store) -> None:
    one = reception()
    assert await store.save_receptions([one, replace(one, place="Бяла")]) == (1, 1)
    kept = await store.reception("r")
    assert kept is not None
    assert (kept.place, kept.sequence) == ("Бяла", 1)


# --- erasure -------------------------------------------------------------------------------------


async def test_stop_ends_all_her_reminders_and_nobody_elses(store: Store, clock: Clock) -> None:
    await store.save_receptions([reception()])
    await wait(store, "other")
    before = await everything(store)
    await wait(store)
    await wait(store, there="rse27")
    await tick(store, BEFORE)
    assert await store.unsubscribe("telegram", "73019") == []
    left = {row[:2] for row in await everything(store) if row[0] != "mailings"}
    assert left == {row[:2] for row in before}
    assert await waiting_mailings(store) == 1


async def test_forget_leaves_no_byte_of_her_reminders(
    store: Store, clock: Clock, file: Path
) -> None:
    await store.save_receptions([reception()])
    await wait(store, "other")
    before = await store.counts()
    await wait(store)
    await wait(store, there="rse27")
    clock.moment = BEFORE
    await tick(store)
    taken = await take(store)
    await settle(store, *(each for each in taken if each.address == "73019"), handle="4711")
    await sees(store, "telegram", "73019")
    cipher = [
        value
        for row in await rows(store, "SELECT id, address, address_index, handle FROM subscriptions "
                              "WHERE address_index = :index",
                              index=store._index("telegram", "73019"))
        for value in row if value is not None
    ]  # fmt: skip
    assert len(cipher) == 7
    assert handles(await store.forget("telegram", "73019")) == ["4711"]
    disk = b"\0".join(path.read_bytes() for path in sorted(file.parent.glob("phen.db*")))
    for value in cipher:
        assert (value if isinstance(value, bytes) else str(value).encode()) not in disk
    assert not store.traces_remain
    assert await store.counts() == {**before, "mailings": 1, "leftovers": 1}
    ((found, *sealed),) = await rows(
        store, "SELECT address_index, sealed_for, address, handle FROM leftovers"
    )
    assert found is None, "nothing finds it by her address"
    await removed(store)
    await store.leave_no_trace()
    disk = b"\0".join(path.read_bytes() for path in sorted(file.parent.glob("phen.db*")))
    for value in sealed:
        assert (value if isinstance(value, bytes) else str(value).encode()) not in disk
    assert await store.counts() == {**before, "mailings": 1}


async def test_forget_leaves_no_byte_of_a_reminder_that_she_stopped_before(
    store: Store, file: Path
) -> None:
    await wait(store)
    ((sealed,),) = await rows(store, "SELECT address FROM subscriptions")
    assert isinstance(sealed, bytes)
    await store.unsubscribe("telegram", "73019")
    assert await store.forget("telegram", "73019") == []
    assert sealed not in b"".join(path.read_bytes() for path in file.parent.glob("phen.db*"))


async def test_her_leaving_told_again_takes_no_reminder_that_she_began_since(
    store: Store, clock: Clock
) -> None:
    left = clock()
    await wait(store, there="rse27")
    clock.forward(minutes=30)
    await wait(store)
    await store.forget("telegram", "73019", begun_before=left)
    assert (await hers(store)).municipality == "rse04"
    await store.forget("telegram", "73019")
    assert await store.subscriptions_of("telegram", "73019") == []


async def test_a_spoiled_handle_does_not_keep_her_from_stopping(store: Store) -> None:
    await wait(store)
    await rows(store, "UPDATE subscriptions SET handle = address")
    assert await store.unsubscribe("telegram", "73019") == []
    assert (await store.counts())["subscriptions"] == 0


async def reminded(store: Store, clock: Clock, handle: str = "4711") -> None:
    """She was reminded of the next reception, and that stands in her chat."""
    await store.save_receptions([reception()])
    await wait(store)
    clock.moment = MORNING
    await tick(store)
    await settle(store, *await take(store), handle=handle)


async def still_stand(store: Store, channel: str = "telegram") -> list[tuple[str, str]]:
    return [(each.address, each.handle) for each in await store.leftovers([channel])]


async def removed(store: Store) -> None:
    """All that is known was removed from the chats."""
    await store.drop_leftovers([each.id for each in await store.leftovers(["telegram"])])


@pytest.mark.parametrize("by_purge", [False, True], ids=["looked at", "purged"])
async def test_a_reminder_that_is_over_is_known_until_it_is_removed_from_her_chat(
    store: Store, clock: Clock, url: str, vault: Vault, by_purge: bool
) -> None:
    await reminded(store, clock)
    assert await still_stand(store) == []
    clock.moment = reception().end + 12 * HOUR
    await (store.purge(clock()) if by_purge else tick(store))
    assert (await store.counts())["subscriptions"] == 0
    again = await Store.open(url, vault, clock)  # whatever became of the process
    assert await still_stand(again) == [("73019", "4711")]
    assert await still_stand(again, "viber") == []
    await removed(again)
    assert await still_stand(again) == []
    await again.drop_leftovers([])
    await again.close()


async def test_after_two_days_nothing_is_kept_of_a_reminder_that_could_not_be_removed(
    store: Store, clock: Clock
) -> None:
    await reminded(store, clock)
    clock.moment = reception().end
    await tick(store)
    assert (await store.purge(clock() + 2 * DAY - HOUR)).leftovers == 0
    assert (await store.purge(clock() + 2 * DAY)).leftovers == 1
    assert await still_stand(store) == []


async def test_whoever_wants_the_next_keeps_no_reminder_of_the_last_in_her_chat(
    store: Store, clock: Clock
) -> None:
    await reminded(store, clock)
    await store.renew("telegram", "73019", "rse04")
    clock.moment = reception().end
    await tick(store)
    assert (await hers(store)).reception is None
    assert await still_stand(store) == [("73019", "4711")]
    assert handles(await store.unsubscribe("telegram", "73019")) == ["4711"]


async def test_whoever_wants_silence_from_now_on_keeps_none_either(
    store: Store, clock: Clock
) -> None:
    await reminded(store, clock)
    await wait(store, words=None)
    assert await rows(store, "SELECT address, handle FROM subscriptions") == [(None, None)]
    assert await still_stand(store) == [("73019", "4711")]


@pytest.mark.parametrize("how", ["bounced", "left"])
async def test_of_who_left_the_line_is_not_known_what_stands_in_her_chat(
    store: Store, clock: Clock, how: str
) -> None:
    await reminded(store, clock)
    clock.moment = reception().end
    await tick(store)
    await wait(store, there="rse27")
    if how == "left":
        assert await store.forget("telegram", "73019", gone=True) == []
    else:
        await store.save_receptions([reception("next", "2026-12-02 10:00", "rse27")])
        await tick(store)
        clock.moment = at("2026-12-02 09:00")
        await tick(store)
        await send(store, end=MailingEnd.GONE)
    assert (await store.counts())["leftovers"] == 0


@pytest.mark.parametrize("how", ["stop", "forget"])
@pytest.mark.parametrize("is_over", [False, True])
async def test_what_she_ends_is_known_through_a_kill_until_it_is_removed_from_her_chat(
    store: Store, clock: Clock, url: str, vault: Vault, how: str, is_over: bool
) -> None:
    await reminded(store, clock)
    if is_over:
        clock.moment = reception().end
        await tick(store)
    ended = store.unsubscribe if how == "stop" else store.forget
    assert handles(await ended("telegram", "73019")) == ["4711"]
    assert (await store.counts())["subscriptions"] == 0
    again = await Store.open(url, vault, clock)  # whatever became of the process
    assert await still_stand(again) == [("73019", "4711")]
    assert handles(await again.unsubscribe("telegram", "73019")) == (
        ["4711"] if how == "stop" else []  # of who deleted everything nothing finds it
    )
    await removed(again)
    assert (await again.counts())["leftovers"] == 0
    await again.close()


async def test_after_a_stop_delete_everything_leaves_nothing_that_finds_her(
    store: Store, clock: Clock
) -> None:
    await reminded(store, clock)
    await store.unsubscribe("telegram", "73019")
    before = await rows(store, "SELECT sealed_for, address, handle FROM leftovers")
    assert handles(await store.forget("telegram", "73019")) == ["4711"]
    ((index, *after),) = await rows(
        store, "SELECT address_index, sealed_for, address, handle FROM leftovers"
    )
    assert index is None
    assert not set(after) & set(*before)


async def test_what_is_left_of_who_deleted_everything_goes_first_and_tells_no_minute(
    store: Store, clock: Clock
) -> None:
    await reminded(store, clock)
    await wait(store, "other", there="rse27")
    clock.moment = reception().end + timedelta(minutes=17)
    await tick(store)
    case = await store.open_case("telegram", "other", "bg", None, None, "тиха река")
    await store.add_handles(case.id, ["11", "12"])
    await store.forget("telegram", "other")
    assert await still_stand(store) == [("other", "11"), ("other", "12"), ("73019", "4711")]
    assert [each.erased for each in await store.leftovers(["telegram"])] == [True, True, False]
    kept = {str(until)[14:19] for (until,) in await rows(store, "SELECT until FROM leftovers")}
    assert kept == {"00:00"}
    until = reception().end + 2 * DAY
    assert (await store.purge(until - HOUR)).leftovers == 0
    assert (await store.purge(until)).leftovers == 3


async def test_who_ends_a_removal_late_forgets_nobody_elses_message(
    store: Store, clock: Clock
) -> None:
    await reminded(store, clock)
    (first,) = await store.unsubscribe("telegram", "73019")
    await store.drop_leftovers([first.id])
    case = await store.open_case("telegram", "other", "bg", None, None, "тиха река")
    await store.add_handles(case.id, ["11"])
    await store.forget("telegram", "other")
    await store.drop_leftovers([first.id])
    assert await still_stand(store) == [("other", "11")]


async def test_a_leftover_that_cannot_be_opened_does_not_stop_the_others(
    store: Store, clock: Clock
) -> None:
    await reminded(store, clock)
    clock.moment = reception().end
    await tick(store)
    await rows(store, "UPDATE leftovers SET handle = address")
    assert await still_stand(store) == []
    assert await store.unsubscribe("telegram", "73019") == []


async def test_a_reminder_that_nobody_looked_at_goes_half_a_day_after_its_end(
    store: Store, clock: Clock
) -> None:
    await store.save_receptions([reception()])
    await wait(store)
    kept = reception().end + timedelta(hours=11)
    assert (await store.purge(kept)).subscriptions == 0
    assert (await store.purge(kept + HOUR)).subscriptions == 1
    assert (await store.counts())["subscriptions"] == 0


async def test_what_changed_after_she_read_it_she_is_told_all_the_same(
    store: Store, clock: Clock
) -> None:
    one = reception()
    await store.save_receptions([one])
    await wait(store)
    shown = await store.subscriptions_of("telegram", "73019")
    await store.save_receptions([moved(one)])
    await store.seen("telegram", "73019", shown)
    assert (await hers(store)).told == plan.fingerprint(one)
    clock.moment = at("2026-11-23 12:00")
    assert await tick(store) == 1
