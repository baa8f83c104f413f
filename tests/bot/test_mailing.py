"""Reminders and broadcasts leave once, in her hours, and none is lost over what goes wrong."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import event, text

from bot import mailing
from bot.app import Phen, join
from bot.channels import chats, viber_api
from bot.channels.base import Outgoing, Who
from bot.channels.pace import Rates
from bot.leftovers import remove_leftovers
from bot.privacy.redact import EventLog
from bot.privacy.vault import Vault
from bot.settings import Settings
from bot.storage.mail_records import Audience, Broadcast, BroadcastState
from bot.storage.outbox import LEASE
from dialogs.model import START, Position
from scheduler.model import Reception
from tests.line import eventually
from tests.sqlite import migrated
from tests.standins.telegram import ApiError, Fault, TelegramStandIn
from tests.standins.viber import Fault as Viber
from tests.standins.viber import ViberStandIn
from tests.standins.woman import Woman
from tests.transcripts.script import Clock

NOON = datetime(2026, 10, 19, 10, tzinfo=UTC)
NEWS = "remind.words.news"
QUIET = 0.8
"""How long nothing must happen, where nothing may."""
ALL_COUNTS = ("delivered", "gone", "held", "unknown", "failed")


class Post:
    """The parts of the program, with nothing running but what a test runs."""

    def __init__(
        self, phen: Phen, telegram: TelegramStandIn, viber: ViberStandIn, clock: Clock
    ) -> None:
        self.phen, self.telegram, self.viber, self.clock = phen, telegram, viber, clock

    async def woman(self, hours: str = "day", words: str = NEWS) -> Woman:
        """Somebody on Telegram who wants to be reminded."""
        woman = self.telegram.woman()
        who = "telegram", str(woman.id)
        await self.phen.store.subscribe(*who, "bg", "rse05", hours, words)
        return woman

    async def women(self, count: int) -> list[Woman]:
        return [await self.woman() for _ in range(count)]

    async def begins(self, **audience: frozenset[str]) -> str:
        """A broadcast to all of them is approved; its id."""
        store = self.phen.store
        everybody = {
            "municipalities": frozenset[str](),
            "languages": frozenset({"bg"}),
            "channels": frozenset({"telegram"}),
        }
        texts = {"bg": "Идваме и другата седмица."}
        drafted = await store.save_broadcast(None, "anna", Audience(**everybody | audience), texts)
        assert drafted is not None
        proposed = await store.propose(drafted.id, "anna")
        assert proposed is not None
        assert proposed.digest is not None
        await store.approve(drafted.id, "maria", proposed.digest)
        self.phen.mailer.wake()
        return drafted.id

    @asynccontextmanager
    async def serving(self, channel: str = "telegram") -> AsyncIterator[asyncio.Task[None]]:
        """What is due on this channel is sent; until a clean stop."""
        running = asyncio.create_task(self.phen.mailer.run(channel))
        try:
            yield running
        finally:
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)

    async def report(self, broadcast_id: str) -> Broadcast:
        found = await self.phen.store.broadcast(broadcast_id)
        assert found is not None
        return found

    async def is_over(self, broadcast_id: str, patience: float = 60, **counts: int) -> bool:
        """Whether it ends, with exactly these counts."""

        async def done() -> bool:
            return (await self.report(broadcast_id)).state is BroadcastState.DONE

        assert await eventually(done, patience), await self.report(broadcast_id)
        report = await self.report(broadcast_id)
        return {name: getattr(report, name) for name in ALL_COUNTS} == {
            **dict.fromkeys(ALL_COUNTS, 0),
            **counts,
        }

    async def rows(self, statement: str) -> list[tuple[Any, ...]]:
        async with self.phen.store._database.read() as connection:
            return [tuple(row) for row in await connection.execute(text(statement))]

    @property
    def sent(self) -> int:
        """How often Telegram was asked to show something new."""
        return len(self.telegram.called("sendPhoto"))

    @contextmanager
    def said(
        self, what: str, does: Callable[[], object] = lambda: None
    ) -> Iterator[list[tuple[Any, ...]]]:
        """What the database's driver is told meanwhile; at the first of it something is done."""
        engine = self.phen.store._database._engine.sync_engine
        heard: list[tuple[Any, ...]] = []

        def hear(*told: Any) -> None:
            heard.append(told)
            if len(heard) == 1:
                does()

        event.listen(engine, what, hear)
        try:
            yield heard
        finally:
            event.remove(engine, what, hear)

    @contextmanager
    def locked(self) -> Iterator[sqlite3.Connection]:
        """Nobody can write to the database."""
        file = self.phen.store._database._engine.url.database
        assert file is not None
        other = sqlite3.connect(file, isolation_level=None, timeout=10)
        other.execute("BEGIN IMMEDIATE")
        try:
            yield other
        finally:
            other.close()


@pytest.fixture
async def post(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Post]:
    fast = Rates(1e6, 1e6, 1e6, 1e6)
    monkeypatch.setattr(chats, "RATES", fast)
    monkeypatch.setattr(viber_api, "RATES", fast)
    clock = Clock(NOON)
    telegram, viber = TelegramStandIn(clock), ViberStandIn(now=clock)
    await telegram.start()
    await viber.start()
    viber.webhook = "http://127.0.0.1:8000/viber/webhook"
    settings = Settings(
        data_dir=tmp_path,
        telegram_token=telegram.token,
        telegram_api=telegram.api,
        viber_token=viber.token,
        viber_api=viber.api,
        public_url="http://127.0.0.1:8000",
    )
    migrated(tmp_path / "phen.db")
    Vault.open(settings.key_file, create=True)
    try:
        async with join(settings, now=clock) as phen:
            picture = Outgoing("", "bg", picture="cover", cover=True)
            await phen.channels["telegram"].notify([str(telegram.woman().id)], picture)
            telegram.calls.clear()  # the cover's picture lies there by now
            yield Post(phen, telegram, viber, clock)
    finally:
        await viber.stop()
        await telegram.stop()


def stands(woman: Woman) -> list[str]:
    return [shown.words for shown in woman.bot_messages]


class Slow:
    """Telegram takes each picture only when it is told to go on; how many it has before it.

    `busy`: what it says instead of taking it.
    """

    def __init__(self, telegram: TelegramStandIn) -> None:
        self.waiting, self.go_on = 0, asyncio.Event()
        self.busy: ApiError | None = None
        send = telegram._do_send_photo

        async def slow(*args: Any) -> Any:
            self.waiting += 1
            await self.go_on.wait()
            if self.busy is not None:
                raise self.busy
            return send(*args)

        telegram._do_send_photo = slow  # type: ignore[assignment,method-assign]


# --- what arrives -------------------------------------------------------------------------------


async def test_what_is_approved_leaves_at_once_and_arrives_once(
    post: Post, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mailing, "POLL_SECONDS", 3600.0)  # nothing is found by looking now and then
    women = await post.women(70)
    async with post.serving():
        await asyncio.sleep(0.1)  # it looked, and waits
        broadcast = await post.begins()
        assert await post.is_over(broadcast, delivered=70)
    news = post.phen.texts.say("bg", NEWS)
    assert {tuple(stands(woman)) for woman in women} == {(news,)}
    assert all(not shown.silent for woman in women for shown in woman.bot_messages)


async def test_who_waits_at_two_places_is_rung_once(post: Post) -> None:
    woman = await post.woman()
    await post.phen.store.subscribe("telegram", str(woman.id), "bg", "rse27", "day", NEWS)
    async with post.serving():
        assert await post.is_over(await post.begins(), delivered=1)
    assert len(stands(woman)) == 1


async def test_no_more_is_taken_than_leaves_in_a_second(post: Post) -> None:
    await post.women(80)
    slow = Slow(post.telegram)
    async with post.serving():
        broadcast = await post.begins()
        assert await eventually(lambda: slow.waiting == 30)
        await asyncio.sleep(QUIET)
        assert await post.rows("SELECT count(*) FROM mailings WHERE sending") == [(30,)]
        slow.go_on.set()
        assert await post.is_over(broadcast, delivered=80)


async def test_while_nothing_is_due_it_looks_now_and_then_and_keeps_no_writer_waiting(
    post: Post, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mailing, "POLL_SECONDS", 0.3)
    await post.woman()
    loop = asyncio.get_running_loop()
    with post.said("before_cursor_execute") as said:

        def begun() -> list[str]:
            return [told[2] for told in said if told[2].startswith("BEGIN")]

        began = loop.time()
        async with post.serving():
            assert await eventually(lambda: len(begun()) > 4)
            looks = len(begun())
            assert looks <= (loop.time() - began) / 0.3 + 2
    assert begun().count("BEGIN IMMEDIATE") == 1, "at the first look only"


# --- what makes it wait -------------------------------------------------------------------------


async def test_who_reads_just_now_is_rung_when_she_has_gone(post: Post) -> None:
    woman, other = await post.women(2)
    who = Who("telegram", str(woman.id))
    post.phen.windows.opened(who)
    async with post.serving():
        broadcast = await post.begins()
        assert await eventually(lambda: len(stands(other)) == 1)
        await asyncio.sleep(QUIET)
        assert stands(woman) == []
        post.phen.windows.left(who)
        post.clock.at += mailing.OPEN
        post.phen.mailer.wake()
        assert await post.is_over(broadcast, delivered=2)
    assert len(stands(woman)) == 1


async def test_who_reads_to_the_last_minute_is_rung_before_her_hours_end(post: Post) -> None:
    woman = await post.woman("pm")
    who = Who("telegram", str(woman.id))
    post.clock.at = datetime(2026, 10, 19, 13, 59, tzinfo=UTC)  # a minute to five
    post.phen.windows.opened(who)
    async with post.serving():
        broadcast = await post.begins()
        held = "SELECT 1 FROM mailings WHERE NOT sending AND due_at > '2026-10-19 13:59:30'"
        assert await eventually(lambda: _found(post, held))
        post.phen.windows.left(who)
        post.clock.at += timedelta(seconds=51)
        post.phen.mailer.wake()
        assert await post.is_over(broadcast, delivered=1)


async def test_nothing_begins_in_the_last_seconds_of_her_hours(post: Post) -> None:
    woman = await post.woman("pm")
    post.clock.at = datetime(2026, 10, 19, 13, 59, 57, tzinfo=UTC)
    async with post.serving():
        broadcast = await post.begins()
        await asyncio.sleep(QUIET)
        assert stands(woman) == []
        post.clock.at = datetime(2026, 10, 19, 14, 1, tzinfo=UTC)
        await post.phen.mailer.tick()
        await asyncio.sleep(QUIET)
        assert stands(woman) == []
        post.clock.at = datetime(2026, 10, 20, 9, 1, tzinfo=UTC)  # noon of the next day
        post.phen.mailer.wake()
        assert await post.is_over(broadcast, delivered=1)


async def test_what_hangs_past_her_hours_is_given_up_as_unknown(post: Post) -> None:
    await post.woman("pm")
    post.clock.at = datetime(2026, 10, 19, 13, 59, 54, 900_000, tzinfo=UTC)
    slow = Slow(post.telegram)
    async with post.serving():
        broadcast = await post.begins()
        assert await eventually(lambda: slow.waiting == 1)
        began = asyncio.get_running_loop().time()
        assert await post.is_over(broadcast, unknown=1)
        assert asyncio.get_running_loop().time() - began < 15, "sooner than a call is given up"


async def test_while_the_line_is_stopped_nothing_leaves(post: Post) -> None:
    await post.women(3)
    await post.phen.stop.set(True)
    async with post.serving():
        broadcast = await post.begins()
        await asyncio.sleep(QUIET)
        assert post.sent == 0
        await post.phen.stop.set(False)
        post.phen.mailer.wake()
        assert await post.is_over(broadcast, delivered=3)


async def test_after_a_pause_no_more_goes_than_was_under_way_and_resume_goes_on(post: Post) -> None:
    await post.women(90)
    slow = Slow(post.telegram)
    async with post.serving():
        broadcast = await post.begins()
        assert await eventually(lambda: slow.waiting == 30)
        assert await post.phen.store.pause(broadcast)
        slow.go_on.set()
        assert await eventually(lambda: _delivered(post, broadcast, 30))
        await asyncio.sleep(QUIET)
        assert slow.waiting == 30
        assert await post.phen.store.resume(broadcast)
        post.phen.mailer.wake()
        assert await post.is_over(broadcast, delivered=90)


async def test_who_wants_nothing_any_more_while_it_waits_gets_nothing(post: Post) -> None:
    women = await post.women(31)
    slow = Slow(post.telegram)
    async with post.serving():
        broadcast = await post.begins()
        assert await eventually(lambda: slow.waiting == 30)
        [(index,)] = await post.rows(
            "SELECT address_index FROM subscriptions JOIN mailings ON subscription_id = "
            "subscriptions.id WHERE NOT sending"
        )
        [last] = [
            each for each in women if post.phen.vault.blind_index("telegram", str(each.id)) == index
        ]
        await post.phen.store.unsubscribe("telegram", str(last.id))
        slow.go_on.set()
        assert await post.is_over(broadcast, delivered=30, gone=1)
    assert stands(last) == []


# --- what the platform says ---------------------------------------------------------------------


async def test_who_blocked_the_line_loses_her_reminders_and_her_case(post: Post) -> None:
    woman, other = await post.women(2)
    store, who = post.phen.store, Who("telegram", str(woman.id))
    await store.subscribe(*who, "bg", "rse27", "day", NEWS)
    await post.phen.handover.open_case(who, "bg", None, None, None)
    post.telegram.chats[woman.id].open = False
    async with post.serving():
        broadcast = await post.begins()
        assert await post.is_over(broadcast, delivered=1, gone=1)

        async def forgotten() -> bool:
            return await store.subscriptions_of(*who) == [] and not await store.knows(*who)

        assert await eventually(forgotten)
    assert len(await store.subscriptions_of("telegram", str(other.id))) == 1


async def test_a_pause_for_one_chat_holds_only_that_one(post: Post) -> None:
    women = await post.women(4)
    busy = ApiError(429, "Too Many Requests: retry after 40", retry_after=40)
    post.telegram.fail(Fault("refuse", "sendPhoto", error=busy))
    async with post.serving():
        broadcast = await post.begins()
        assert await eventually(lambda: sum(len(stands(each)) for each in women) == 3)
        await asyncio.sleep(QUIET)
        assert post.sent == 4, "she is not tried before that"
        again = "SELECT count(*) FROM mailings WHERE NOT sending AND due_at > '2026-10-19 10:00:39'"
        assert await post.rows(again) == [(1,)]
    assert (await post.report(broadcast)).left == 1


async def test_a_pause_for_all_is_kept_to_the_second(post: Post) -> None:
    await post.women(40)
    busy = ApiError(429, "Too Many Requests: retry after 2", retry_after=2)
    post.telegram.fail(*[Fault("refuse", "sendPhoto", error=busy)] * 30)
    async with post.serving():
        broadcast = await post.begins()
        assert await eventually(lambda: post.sent >= 3)
        await asyncio.sleep(QUIET)
        first, before = post.telegram.called("sendPhoto")[0].at, post.sent
        assert before <= 30
        post.telegram.faults.clear()
        post.clock.at += timedelta(seconds=3)
        assert await post.is_over(broadcast, delivered=40)
    assert post.telegram.called("sendPhoto")[before].at - first >= 2


async def test_a_platform_that_is_out_of_order_is_tried_with_one_call(post: Post) -> None:
    women = await post.women(60)
    post.telegram.fail(*[Fault("html", "sendPhoto")] * 500)
    async with post.serving():
        broadcast = await post.begins()
        assert await eventually(lambda: post.sent >= 10)
        await asyncio.sleep(4)
        lost = post.sent
        assert lost <= 30  # all of them by now, were it tried as before
        post.telegram.faults.clear()
        assert await post.is_over(broadcast, delivered=60 - lost, unknown=lost)
    assert sum(len(stands(woman)) for woman in women) == 60 - lost


async def test_where_the_platform_cannot_be_reached_it_is_left_in_peace(post: Post) -> None:
    women = await post.women(5)
    await post.telegram.stop()
    unsent = EventLog.counted["telegram", "unsent"]
    async with post.serving():
        broadcast = await post.begins()
        await asyncio.sleep(3)
        assert EventLog.counted["telegram", "unsent"] - unsent <= 8
        post.clock.at += timedelta(hours=2)  # longer than a message of a case is tried
        tried = EventLog.counted["telegram", "unsent"]
        post.phen.mailer.wake()
        assert await eventually(lambda: EventLog.counted["telegram", "unsent"] > tried)
        await post.telegram.start()
        post.clock.at += timedelta(minutes=1)
        assert await post.is_over(broadcast, delivered=5)
    assert {len(stands(woman)) for woman in women} == {1}


async def test_where_the_platform_wants_money_first_it_waits_until_that_is_there(
    post: Post,
) -> None:
    woman = post.viber.woman(subscribed=True)
    await post.phen.store.subscribe("viber", woman.id, "bg", "rse05", "day", NEWS)
    post.viber.fail(Viber("refuse", "send_message", code=24))
    async with post.serving("viber"):
        broadcast = await post.begins(channels=frozenset({"viber"}))
        assert await eventually(lambda: len(post.viber.called("send_message")) == 1)
        await asyncio.sleep(QUIET)
        assert len(post.viber.called("send_message")) == 1
        post.clock.at += mailing.UNPAID
        post.phen.mailer.wake()
        assert await post.is_over(broadcast, delivered=1)
    assert post.phen.viber is not None
    assert post.phen.viber.events["send_unpaid"] == 1


@pytest.mark.parametrize(
    ("fault", "code", "arrived"),
    [
        (
            Fault("refuse", "sendPhoto", error=ApiError(400, "Bad Request: no")),
            "not_reminded",
            [0, 1],
        ),
        (Fault("drop_after", "sendPhoto"), "reminder_unknown", [1, 1]),
    ],
)
async def test_what_does_not_surely_arrive_ends_one_reminder_and_a_person_hears_of_it(
    post: Post, fault: Fault, code: str, arrived: list[int]
) -> None:
    woman, other = await post.women(2)
    start = datetime(2026, 10, 21, 7, tzinfo=UTC)
    meeting = Reception("r1", "rse05", "Ветово", start, start + timedelta(hours=4))
    await post.phen.store.save_receptions([meeting])
    await post.phen.mailer.tick()
    post.clock.at = datetime(2026, 10, 19, 15, 1, tzinfo=UTC)  # two days before, 18:01
    told = EventLog.counted["telegram", code]
    post.telegram.fail(fault)
    await post.phen.mailer.tick()
    async with post.serving():
        assert await eventually(lambda: _none(post))
    assert sorted((len(stands(woman)), len(stands(other)))) == arrived
    assert EventLog.counted["telegram", code] - told == 1


async def test_words_that_cannot_be_said_stop_nobody_else(post: Post) -> None:
    women = await post.women(3)
    await post.woman(words="remind.kept")  # it lacks what that text asks for
    async with post.serving():
        assert await post.is_over(await post.begins(), delivered=3, failed=1)
    assert {len(stands(woman)) for woman in women} == {1}


async def test_an_answer_that_was_lost_is_unknown_and_never_sent_again(post: Post) -> None:
    women = await post.women(5)
    post.telegram.fail(Fault("drop_after", "sendPhoto"))
    async with post.serving():
        assert await post.is_over(await post.begins(), delivered=4, unknown=1)
    assert {len(stands(woman)) for woman in women} == {1}


# --- what is over -------------------------------------------------------------------------------


class Over:
    """A woman who was reminded of a reception that is over by now; `clears`: as the clock does."""

    def __init__(self, post: Post, woman: Woman) -> None:
        self.post, self.woman = post, woman
        self.who = Who("telegram", str(woman.id))

    async def clears(self) -> None:
        phen = self.post.phen
        await remove_leftovers(phen.store, phen.windows, phen.channels, {"telegram"})

    async def kept(self) -> int:
        return (await self.post.phen.store.counts())["leftovers"]


async def reminded(post: Post, knows_window: bool = False) -> Over:
    over = Over(post, await post.woman())
    store = post.phen.store
    start = NOON + timedelta(days=1)
    await store.save_receptions(
        [Reception("r1", "rse05", "Ветово", start, start + timedelta(hours=3))]
    )
    if knows_window:
        start_of = Position("bg", START)
        cover = Outgoing("", "bg", picture="cover", cover=True, position=start_of)
        post.phen.windows.show(over.who, cover)
        await post.phen.windows.settled()
    await post.phen.mailer.tick()
    async with post.serving():
        assert await eventually(lambda: len(stands(over.woman)) == 1)
        assert await eventually(lambda: _none(post))
    await post.phen.windows.settled()
    await over.clears()
    assert len(stands(over.woman)) == 1, "it is not over yet"
    post.clock.at = start + timedelta(hours=3)
    await post.phen.mailer.tick()
    assert await over.kept() == 1
    return over


@pytest.mark.parametrize("knows_window", [False, True])
async def test_the_last_reminder_leaves_her_chat_when_it_is_over(
    post: Post, knows_window: bool
) -> None:
    over = await reminded(post, knows_window)
    await over.clears()
    assert stands(over.woman) == []
    assert await over.kept() == 0
    assert post.phen.windows.has_none(over.who)
    await over.clears()


@pytest.mark.parametrize(
    "fault",
    [
        Fault("drop_before", "deleteMessage"),
        Fault("html", "deleteMessage"),
        Fault("refuse", "deleteMessage", error=ApiError(429, "Too Many", retry_after=1)),
    ],
    ids=lambda fault: fault.kind,
)
async def test_it_leaves_later_where_telegram_does_not_remove_it_now(
    post: Post, fault: Fault
) -> None:
    over = await reminded(post)
    post.telegram.fail(fault)
    await over.clears()
    assert len(stands(over.woman)) == await over.kept() == 1

    async def cleared() -> bool:
        await over.clears()
        return await over.kept() == 0

    assert await eventually(cleared)
    assert stands(over.woman) == []


async def test_a_reminder_at_which_she_looks_is_left_until_she_has_gone(post: Post) -> None:
    over = await reminded(post)
    windows = post.phen.windows
    windows.tapped(over.who, str(over.woman.bot_messages[0].id))
    windows.opened(over.who)
    await over.clears()
    assert len(stands(over.woman)) == await over.kept() == 1
    windows.left(over.who)  # it was covered
    windows._windows[over.who].position = Position("bg", START)
    await over.clears()
    assert len(stands(over.woman)) == 1, "it is her window by now"
    assert await over.kept() == 0


async def test_of_who_blocked_the_line_meanwhile_nothing_is_kept(post: Post) -> None:
    over = await reminded(post)
    over.woman.blocks()
    await over.clears()
    assert await over.kept() == 0


# --- what stops us ------------------------------------------------------------------------------


async def test_a_clean_stop_settles_what_is_under_way_and_the_next_start_goes_on(
    post: Post,
) -> None:
    women = await post.women(50)
    slow = Slow(post.telegram)
    async with post.serving() as running:
        broadcast = await post.begins()
        assert await eventually(lambda: slow.waiting == 30)
        running.cancel()
        slow.go_on.set()
    assert (await post.report(broadcast)).delivered == 30
    async with post.serving():
        assert await post.is_over(broadcast, delivered=50)
    assert {len(stands(woman)) for woman in women} == {1}


async def test_what_hangs_at_a_stop_is_unknown_at_the_next_start(post: Post) -> None:
    await post.women(3)
    slow = Slow(post.telegram)
    async with post.serving():
        broadcast = await post.begins()
        assert await eventually(lambda: slow.waiting == 3)
    assert await post.phen.store.take_over_mailings("telegram") == 3
    assert await post.is_over(broadcast, unknown=3)
    async with post.serving():
        await asyncio.sleep(QUIET)
    assert slow.waiting == 3


async def test_what_was_taken_in_the_moment_of_a_stop_is_given_back(post: Post) -> None:
    women = await post.women(3)
    broadcast = await post.begins()
    running: list[asyncio.Task[None]] = []
    with post.said("commit", lambda: running[0].cancel()):  # it has just leased them
        async with post.serving() as task:
            running.append(task)
            await asyncio.wait({task}, timeout=30)
    assert await post.rows("SELECT count(*) FROM mailings WHERE NOT sending") == [(3,)]
    async with post.serving():
        assert await post.is_over(broadcast, delivered=3)
    assert {len(stands(woman)) for woman in women} == {1}


async def test_what_was_sent_while_the_database_was_away_is_settled_when_it_is_back(
    post: Post,
) -> None:
    women = await post.women(40)
    slow = Slow(post.telegram)
    async with post.serving():
        broadcast = await post.begins()
        assert await eventually(lambda: slow.waiting == 30)
        with post.locked():
            slow.go_on.set()
            assert await eventually(lambda: sum(len(stands(each)) for each in women) == 30)
            await asyncio.sleep(6)  # the first try to settle gives up
        assert await post.is_over(broadcast, delivered=40)
    assert {len(stands(woman)) for woman in women} == {1}


async def test_where_the_lease_ran_out_meanwhile_nobody_is_rung_twice(post: Post) -> None:
    women = await post.women(3)
    slow = Slow(post.telegram)
    async with post.serving():
        broadcast = await post.begins()
        assert await eventually(lambda: slow.waiting == 3)
        assert await post.phen.store.recover_mailings() == 3  # another takes us for dead
        slow.go_on.set()
        assert await post.is_over(broadcast, unknown=3)
        await asyncio.sleep(QUIET)
    assert {len(stands(woman)) for woman in women} == {1}


@pytest.mark.parametrize("under_way", [False, True])
async def test_what_telegram_did_not_take_comes_though_the_database_was_away_for_a_lease(
    post: Post, under_way: bool
) -> None:
    woman = await post.woman()
    start = NOON + timedelta(days=1)
    soon = Reception("r1", "rse05", "Ветово", start, start + timedelta(hours=3))
    await post.phen.store.save_receptions([soon])
    await post.phen.mailer.tick()
    slow = Slow(post.telegram)
    slow.busy = ApiError(429, "Too Many Requests: retry after 1", retry_after=1)
    async with post.serving():
        assert await eventually(lambda: slow.waiting == 1)
        (round_,) = post.phen.mailer._rounds.values()
        with post.locked():
            if not under_way:
                slow.go_on.set()
                assert await eventually(lambda: bool(round_.ended))
            post.clock.at += LEASE + timedelta(seconds=1)
        await post.phen.mailer.tick()
        slow.go_on.set()
        assert await eventually(lambda: not round_.under_way)
        slow.busy = None

        def arrived() -> bool:
            post.clock.at += timedelta(seconds=2)
            post.phen.mailer.wake()
            return len(stands(woman)) == 1

        assert await eventually(arrived)
        assert await eventually(lambda: _none(post))
    assert slow.waiting == 2


async def _found(post: Post, statement: str) -> bool:
    return bool(await post.rows(statement))


async def _none(post: Post) -> bool:
    return await post.rows("SELECT count(*) FROM mailings") == [(0,)]


async def _delivered(post: Post, broadcast: str, count: int) -> bool:
    return (await post.report(broadcast)).delivered == count
