"""Pace and polling arithmetic: no server, no waiting."""

from __future__ import annotations

import asyncio
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from random import Random

import pytest

from bot.channels import viber_api
from bot.channels.base import Throttled
from bot.channels.chats import RATES
from bot.channels.pace import SECOND, Gate, Lane, Pace, Rates
from bot.channels.polling import LATE, Backoff, Ledger, is_recent

NOW = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)


def drain(pace: Pace, now: float, until: float) -> list[tuple[float, str, Lane]]:
    """Let through whoever may go from `now` on, with the time at which each went."""
    gone: list[tuple[float, str, Lane]] = []
    while now <= until:
        going, wait = pace.release(now)
        gone += [(now, ticket.chat, ticket.lane) for ticket in going]
        if wait is None:
            break
        now += wait
    return gone


def busiest(times: Sequence[float], seconds: float) -> int:
    """The most that a platform counts in any span of so many seconds, both ends included."""
    return max(bisect_right(times, at + seconds) - n for n, at in enumerate(times))


def broadcast(pace: Pace, chats: int, late: float = 0.0) -> list[float]:
    """When each of so many women is sent the same; fifty always wait, and the clock wakes late."""
    dice, now, times, joined = Random(1), 0.0, [], 0
    while len(times) < chats:
        while joined < chats and joined - len(times) < 50:
            pace.join(str(joined), Lane.BROADCAST)
            joined += 1
        going, wait = pace.release(now)
        times += [now] * len(going)
        now += (wait or 0.0) + dice.uniform(0, late)
    return times


def test_no_second_sees_more_than_thirty_messages() -> None:
    pace = Pace(0.0, RATES)
    for chat in range(200):
        pace.join(str(chat), Lane.MENU)
    times = [at for at, _, _ in drain(pace, 0.0, 60.0)]
    assert len(times) == 200
    assert busiest(times, 1.0) <= 30
    assert times[-1] < 7.5  # and it is nearly thirty


@pytest.mark.parametrize(("cap", "late"), [(1, 0), (10, 0), (30, 0), (30, 0.01), (300, 0.01)])
def test_a_broadcast_takes_97_percent_of_the_cap_and_never_more(cap: int, late: float) -> None:
    pace = Pace(0.0, Rates.under(cap, chat_per_second=1, chat_burst=5))
    times = broadcast(pace, 100 * cap, late)
    assert busiest(times, 1.0) <= cap
    assert len(times) / times[-1] >= 0.97 * cap


def test_nothing_is_too_much_even_when_it_arrives_later_and_closer_together() -> None:
    dice = Random(1)
    times = broadcast(Pace(0.0, RATES), 3000)
    arrived = sorted(at + dice.uniform(0, SECOND - 1) for at in times)
    assert busiest(arrived, 1.0) <= 30


def test_whatever_comes_in_whichever_lane_no_second_sees_too_much() -> None:
    dice, pace, now, times = Random(1), Pace(0.0, RATES), 0.0, []
    while now < 60:
        for _ in range(dice.choice((0, 0, 1, 2, 40)) if now < 50 else 0):
            pace.join(str(dice.randrange(100)), dice.choice(list(Lane)))
        going, wait = pace.release(now)
        times += [now] * len(going)
        now += min(wait or 1.0, dice.uniform(0.01, 1.5))
    assert busiest(times, 1.0) == 30


def test_112_waits_for_no_broadcast_longer_than_the_platforms_next_free_place() -> None:
    dice, pace, now, waits = Random(1), Pace(0.0, RATES), 0.0, []
    for chat in range(3000):
        pace.join(str(chat), Lane.BROADCAST)
    for number in range(40):  # hers comes at any moment of a broadcast at full speed
        arrives = now + dice.uniform(1, 2)
        drain(pace, now, arrives)
        pace.join(f"she{number}", Lane.CRISIS)
        gone = drain(pace, arrives, arrives + 0.1)
        waits.append(next(at for at, _, lane in gone if lane is Lane.CRISIS) - arrives)
        assert gone[0][2] is Lane.CRISIS
        now = arrives + 0.1
    assert max(waits) <= 1 / 28


def test_a_case_waits_for_one_place_and_not_for_the_broadcast() -> None:
    pace = Pace(0.0, RATES)
    for chat in range(300):
        pace.join(str(chat), Lane.BROADCAST)
    drain(pace, 0.0, 3.0)
    pace.join("case", Lane.CASE)
    assert drain(pace, 3.01, 3.1)[0][1] == "case"


def test_all_that_is_urgent_goes_at_once_while_the_platform_takes_it() -> None:
    pace = Pace(0.0, RATES)
    for chat in range(40):
        pace.join(str(chat), Lane.CRISIS)
    going, wait = pace.release(0.0)
    assert len(going) == 30
    assert wait == pytest.approx(SECOND)


def test_what_nobody_waits_for_does_not_come_on_the_heels_of_something_else() -> None:
    pace = Pace(0.0, RATES)
    for lane in (Lane.CASE, Lane.BROADCAST, Lane.BROADCAST):
        pace.join("she", lane)
    times = [at for at, _, _ in drain(pace, 0.0, 60.0)]
    assert times == pytest.approx([0, 1, 2])


def test_viber_sees_no_more_than_500_calls_in_ten_seconds() -> None:
    pace, now, times = Pace(0.0, viber_api.RATES), 0.0, []
    for number in range(1200):
        if number % 3:
            pace.join("", Lane.BROADCAST)  # of many women at once, so that no chat holds it up
        else:
            pace.join(str(number), Lane.CRISIS)
    times = [at for at, _, _ in drain(pace, now, 60.0)]
    assert len(times) == 1200
    assert busiest(times, 10.0) <= 500
    assert times[-1] < 25


def test_112_goes_before_two_hundred_menus() -> None:
    pace = Pace(0.0, RATES)
    for chat in range(200):
        pace.join(str(chat), Lane.BROADCAST if chat % 2 else Lane.MENU)
    drain(pace, 0.0, 0.5)
    pace.join("case", Lane.CASE)
    pace.join("she", Lane.CRISIS)
    following = [chat for _, chat, _ in drain(pace, 0.54, 0.7)]
    assert following[:2] == ["she", "case"]


def test_a_short_burst_in_one_chat_is_let_through_and_then_one_a_second() -> None:
    pace = Pace(0.0, RATES)
    for _ in range(8):
        pace.join("she", Lane.MENU)
    times = [at for at, _, _ in drain(pace, 0.0, 60.0)]
    assert times[int(RATES.chat_burst) - 1] < 0.5
    assert times[-1] - times[int(RATES.chat_burst) - 1] == pytest.approx(3, abs=0.3)


def test_one_busy_chat_does_not_hold_up_another() -> None:
    pace = Pace(0.0, RATES)
    for _ in range(30):
        pace.join("busy", Lane.MENU)
    pace.join("other", Lane.MENU)
    assert next(at for at, chat, _ in drain(pace, 0.0, 60.0) if chat == "other") < 0.5


def test_hide_does_not_wait_for_the_chats_own_second() -> None:
    pace = Pace(0.0, RATES)
    for _ in range(30):
        pace.join("she", Lane.MENU)
    drain(pace, 0.0, 1.0)
    pace.join("she", Lane.CRISIS)
    assert drain(pace, 1.1, 1.2)[0][2] is Lane.CRISIS


def test_a_429_pauses_that_chat_alone() -> None:
    pace = Pace(0.0, RATES)
    assert not pace.pause("she", 5, 0.0).everywhere
    assert pace.paused("she", 1.0) is not None
    assert pace.paused("other", 1.0) is None
    assert pace.paused("she", 5.0) is None


def test_a_429_that_recurs_in_several_chats_pauses_everything() -> None:
    pace = Pace(0.0, RATES)
    pause = [pace.pause(chat, 5, at) for at, chat in enumerate("abc")][-1]
    assert pause.everywhere
    other = pace.paused("other", 3.0)
    assert other is not None
    assert other.everywhere
    assert other.seconds == pytest.approx(4)


def test_many_chats_are_not_remembered() -> None:
    pace = Pace(0.0, replace(RATES, per_second=1e6, burst=1e6, most=None))
    for chat in range(5000):
        pace.join(str(chat), Lane.MENU)
        pace.release(chat / 100)
    assert len(pace._chats) <= 101


async def test_whoever_waits_when_the_pause_comes_is_told() -> None:
    at_once = replace(RATES, burst=10)
    gate = Gate(lambda: 0.0, at_once)  # no time passes: none of the three comes to her turn
    waiting = [asyncio.create_task(gate.enter("she", Lane.MENU)) for _ in range(8)]
    await asyncio.sleep(0)
    gate.pause("she", 7)
    results = await asyncio.gather(*waiting, return_exceptions=True)
    assert sum(isinstance(result, Throttled) for result in results) == 3
    with pytest.raises(Throttled):
        await gate.enter("she", Lane.CRISIS)
    await gate.enter("other", Lane.MENU)


async def test_one_who_gives_up_does_not_block_the_line() -> None:
    gate = Gate(asyncio.get_running_loop().time, RATES)
    tasks = [asyncio.create_task(gate.enter("she", Lane.MENU)) for _ in range(6)]
    await asyncio.sleep(0)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    await asyncio.wait_for(gate.enter("other", Lane.MENU), 30)


def test_the_offset_moves_when_all_is_settled() -> None:
    ledger = Ledger()
    for each in (5, 6, 7):
        assert ledger.admit(each, None)
    ledger.settle(5)
    ledger.settle(7)
    assert ledger.move()
    assert ledger.offset == 6
    ledger.settle(6)
    assert ledger.move()
    assert ledger.offset == 8
    assert not ledger.move()


def test_what_failed_is_handed_over_again_and_what_was_settled_is_not() -> None:
    ledger = Ledger()
    ledger.admit(5, NOW)
    ledger.admit(6, NOW)
    ledger.fail(5)
    ledger.settle(6)
    ledger.move()
    assert ledger.offset == 5
    assert ledger.admit(5, NOW + timedelta(minutes=9))
    assert not ledger.admit(6, NOW)
    assert ledger.sent_after(5) == NOW  # it has not become younger meanwhile


def test_random_id_after_a_quiet_week_is_accepted() -> None:
    ledger = Ledger()
    ledger.admit(900_000, None)
    ledger.settle(900_000)
    ledger.move()
    assert ledger.admit(17, None)
    ledger.settle(17)
    assert ledger.move()
    assert ledger.offset == 18


def test_out_of_order_ids_confirm_nothing_unsettled() -> None:
    ledger = Ledger()
    for each in (9, 7, 8):
        ledger.admit(each, None)
    ledger.settle(9)
    ledger.settle(8)
    ledger.move()
    assert ledger.offset == 7


def test_backoff_grows_to_half_a_minute_and_starts_anew() -> None:
    backoff = Backoff(lambda: 1.0)
    waits = [backoff.next() for _ in range(12)]
    assert waits[0] == 0.25
    assert waits == sorted(waits)
    assert waits[-1] == 30
    backoff.reset()
    assert backoff.next() == 0.25
    assert Backoff(lambda: 0.0).next() == 0.125


@pytest.mark.parametrize(
    ("ago", "recent"),
    [(0, True), (59, True), (61, False), (-30, True), (-3600, False)],
)
def test_what_is_in_the_future_is_not_fresh_either(ago: int, recent: bool) -> None:
    assert is_recent(NOW - timedelta(seconds=ago), NOW, LATE) is recent
    assert not is_recent(None, NOW, LATE)
