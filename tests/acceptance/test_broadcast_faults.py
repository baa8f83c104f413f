"""A broadcast reaches each woman once, whatever breaks; what nobody can know is told as unknown."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import text

from bot import mailing, serving
from bot.app import utc_now
from bot.channels import chats
from bot.channels.pace import Rates
from bot.privacy.vault import Vault
from bot.settings import Settings
from bot.storage import together
from bot.storage.mail_records import Audience, Broadcast, BroadcastState
from bot.storage.migrate import migrate
from bot.storage.store import Store
from tests.acceptance.program import Program
from tests.acceptance.steps import claimed, in_a_case
from tests.line import Line, beside, eventually, running_line
from tests.standins import viber
from tests.standins.telegram import ApiError, Fault, TelegramStandIn
from tests.standins.woman import Woman
from tests.transcripts.script import Clock

NOON = datetime(2026, 10, 19, 9, tzinfo=UTC)
NEWS = "remind.words.news"
SILENCE = 1.0
COUNTS = ("delivered", "gone", "held", "unknown", "failed")


async def waits(store: Store, channel: str, address: str) -> None:
    """She wants to be reminded, by day."""
    await store.subscribe(channel, address, "bg", "rse05", "day", NEWS)


async def begins(store: Store, channel: str = "telegram") -> str:
    """A broadcast to all of a channel is approved; its id."""
    who = Audience(frozenset(), frozenset({"bg"}), frozenset({channel}))
    drafted = await store.save_broadcast(None, "anna", who, {"bg": "Идваме и друг път."})
    assert drafted is not None
    proposed = await store.propose(drafted.id, "anna")
    assert proposed is not None
    assert proposed.digest is not None
    return (await store.approve(drafted.id, "maria", proposed.digest)).id


async def report(store: Store, broadcast_id: str) -> Broadcast:
    found = await store.broadcast(broadcast_id)
    assert found is not None
    return found


async def counts(store: Store, broadcast_id: str) -> dict[str, int]:
    """What became of it, once it is over."""

    async def over() -> bool:
        return (await report(store, broadcast_id)).state is BroadcastState.DONE

    assert await eventually(over), await report(store, broadcast_id)
    found = await report(store, broadcast_id)
    return {name: n for name in COUNTS if (n := getattr(found, name))}


@pytest.fixture
async def line(tmp_path: Path) -> AsyncIterator[Line]:
    """At noon: everybody's hours."""
    async with running_line(tmp_path, now=Clock(NOON)) as running:
        yield running


async def telegram_women(line: Line, count: int) -> list[Woman]:
    women = [line.telegram.woman() for _ in range(count)]
    for woman in women:
        await waits(line.phen.store, "telegram", str(woman.id))
    return women


def rung(server: TelegramStandIn, women: list[Woman]) -> list[int]:
    """How often each phone rang, whether or not the answer reached us."""
    times = Counter(
        int(call.params["chat_id"])
        for call in server.called("sendPhoto")
        if call.answer and call.answer["ok"] and not call.params.get("disable_notification")
    )
    return [times[woman.id] for woman in women]


# --- Viber ----------------------------------------------------------------------------------------


async def test_on_viber_it_goes_in_batches_and_who_left_is_forgotten(line: Line) -> None:
    store = line.phen.store
    women = [line.viber.woman(subscribed=True) for _ in range(320)]
    for woman in women:
        await waits(store, "viber", woman.id)
    left = women[:7]
    for woman in left:
        woman.subscribed = False  # and Viber's word of it was lost
    broadcast = await begins(store, "viber")
    line.phen.mailer.wake()
    assert await counts(store, broadcast) == {"delivered": 313, "gone": 7}
    calls = line.viber.called("broadcast_message")
    assert [len(call["broadcast_list"]) for call in calls] == [300, 20]
    assert {len(woman.bot_messages) for woman in women[7:]} == {1}
    assert [await store.subscriptions_of("viber", woman.id) for woman in left] == [[]] * 7
    assert line.viber.refusals == []


async def test_where_vibers_whole_answer_is_lost_all_of_it_is_unknown_and_never_sent_again(
    line: Line,
) -> None:
    store = line.phen.store
    women = [line.viber.woman(subscribed=True) for _ in range(20)]
    for woman in women:
        await waits(store, "viber", woman.id)
    line.viber.fail(viber.Fault("drop_after", "broadcast_message"))
    broadcast = await begins(store, "viber")
    line.phen.mailer.wake()
    assert await counts(store, broadcast) == {"unknown": 20}
    await asyncio.sleep(SILENCE)
    assert len(line.viber.called("broadcast_message")) == 1
    assert {len(woman.bot_messages) for woman in women} == {1}


# --- Telegram -------------------------------------------------------------------------------------


async def test_each_answer_of_telegrams_has_its_end_and_they_add_up(line: Line) -> None:
    store, server = line.phen.store, line.telegram
    await in_a_case(line)  # the pictures lie at Telegram by now
    women = await telegram_women(line, 20)
    server.fail(
        Fault("refuse", "sendPhoto", error=ApiError(400, "Bad Request: no")),
        Fault("drop_after", "sendPhoto"),
        Fault("html", "sendPhoto"),
    )
    broadcast = await begins(store)
    line.phen.mailer.wake()
    assert await counts(store, broadcast) == {"delivered": 17, "failed": 1, "unknown": 2}
    times = rung(server, women)
    assert max(times) == 1
    assert sum(times) == 18, "of what is unknown one had arrived"


async def test_a_message_of_a_case_goes_before_what_is_left_of_a_broadcast(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(chats, "RATES", Rates.under(30, chat_per_second=1, chat_burst=5))
    async with running_line(tmp_path, now=Clock(NOON)) as line:
        maria, woman = await line.consultant(), await in_a_case(line)
        case = await claimed(line, maria)
        await telegram_women(line, 180)
        await begins(line.phen.store)
        line.phen.mailer.wake()
        photos = len(line.telegram.called("sendPhoto"))
        assert await eventually(lambda: len(line.telegram.called("sendPhoto")) > photos + 20)
        await line.phen.desk.reply(maria, case, "тук съм", "k")
        before = len(line.telegram.called("sendPhoto"))
        await woman.sees("тук съм")
        assert len(line.telegram.called("sendPhoto")) - before <= 45, "it went past those who wait"
        assert len(line.telegram.called("sendPhoto")) < photos + 180


# --- killed ---------------------------------------------------------------------------------------


@asynccontextmanager
async def beside_the_program(folder: Path, database: str = "") -> AsyncIterator[Store]:
    """The rows of a program that runs in a process of its own, or will."""
    settings = Settings(data_dir=folder / "data", database_url=database)
    settings.data_dir.mkdir(exist_ok=True)
    await asyncio.to_thread(migrate, settings.database)
    vault = Vault.open(settings.key_file, create=True)
    store = await Store.open(settings.database, vault, utc_now)
    try:
        yield store
    finally:
        await store.close()


async def safe_hours_are_now(store: Store) -> None:
    """The program's clock is the real one; whatever it says, everybody may be rung."""
    now = utc_now()
    moments = {"due": now - timedelta(seconds=1), "latest": now + timedelta(hours=1)}
    change = "UPDATE mailings SET due_at = :due, latest = :latest"
    async with store._database.write() as connection:
        if connection.dialect.name == "sqlite":
            plain = {name: f"{at:%Y-%m-%d %H:%M:%S.%f}" for name, at in moments.items()}
            await connection.execute(text(change), plain)
        else:
            await connection.execute(text(change), moments)


def arrived(server: TelegramStandIn) -> int:
    return sum(bool(call.answer and call.answer["ok"]) for call in server.called("sendPhoto"))


async def starts_and_sends(program: Program, server: TelegramStandIn) -> None:
    before = arrived(server)
    await program.starts()
    assert await eventually(lambda: arrived(server) >= before + 10), arrived(server)


async def test_killed_three_times_and_stopped_once_it_goes_on_and_nobody_is_rung_twice(
    tmp_path: Path,
) -> None:
    server = TelegramStandIn()
    await server.start()
    its = {"PHEN_TELEGRAM_API": server.api, "PHEN_TELEGRAM_TOKEN": server.token}
    program = Program(tmp_path, **its)
    try:
        async with beside_the_program(tmp_path) as store:
            women = [server.woman() for _ in range(140)]
            for woman in women:
                await waits(store, "telegram", str(woman.id))
            broadcast = await begins(store)
            await safe_hours_are_now(store)
            for _ in range(3):
                await starts_and_sends(program, server)
                await program.is_killed()
            await starts_and_sends(program, server)
            assert await program.is_stopped() < 10
            assert await store.take_over_mailings("telegram") == 0, "all of it was settled"
            assert (await report(store, broadcast)).left > 0
            await program.starts()
            told = await counts(store, broadcast)
    finally:
        await program.is_killed()
        await server.stop()
    assert sum(told.values()) == 140
    assert set(told) <= {"delivered", "unknown"}
    times = rung(server, women)
    assert max(times) == 1
    assert told["delivered"] <= sum(times) <= 140
    assert told.get("unknown", 0) <= 3 * 20, "no more than was under way each time"


async def test_on_postgresql_the_other_process_goes_on_where_one_was_killed(
    tmp_path: Path, postgres: Callable[[], str]
) -> None:
    server, database = TelegramStandIn(), postgres()
    await server.start()
    its = {
        "PHEN_TELEGRAM_API": server.api,
        "PHEN_TELEGRAM_TOKEN": server.token,
        "PHEN_DATABASE_URL": database,
    }
    first, second = Program(tmp_path, **its), Program(tmp_path, **its)
    try:
        async with beside_the_program(tmp_path, database) as store:
            women = [server.woman() for _ in range(100)]
            for woman in women:
                await waits(store, "telegram", str(woman.id))
            await first.starts()
            await second.starts()
            broadcast = await begins(store)
            await safe_hours_are_now(store)
            assert await eventually(lambda: arrived(server) >= 30)
            await first.is_killed()
            told = await counts(store, broadcast)
    finally:
        await first.is_killed()
        await second.is_killed()
        await server.stop()
    assert sum(told.values()) == 100
    assert set(told) <= {"delivered", "unknown"}
    assert told.get("unknown", 0) <= 30  # about what leaves in a second
    assert max(rung(server, women)) == 1


async def test_of_two_processes_one_sends_at_the_word_of_the_other_and_each_once(
    tmp_path: Path, postgres: Callable[[], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(together, "BEAT_SECONDS", 0.5)
    monkeypatch.setattr(mailing, "POLL_SECONDS", 3600.0)  # nobody hears of it by looking
    monkeypatch.setattr(serving, "TICK_SECONDS", 3600)
    async with running_line(tmp_path, now=Clock(NOON), database=postgres()) as line:
        assert await eventually(lambda: "telegram" in line.phen.delivery.served)
        async with beside(line) as other:
            assert await eventually(lambda: other.phen.store.together.somebody_holds("telegram"))
            women = await telegram_women(line, 40)
            broadcast = await begins(other.phen.store)
            other.phen.mailer.wake()
            assert await eventually(lambda: sum(rung(line.telegram, women)) > 0)
            assert await counts(other.phen.store, broadcast) == {"delivered": 40}
            day = datetime(2026, 10, 21, 7, tzinfo=UTC)
            await line.reception()
            clock = line.phen.now
            assert isinstance(clock, Clock)
            assert day > clock.at
            clock.at = datetime(2026, 10, 20, 15, tzinfo=UTC)  # two days before: 18:00
            await asyncio.gather(*(each.phen.mailer.tick() for each in (line, other, line, other)))
            assert await eventually(lambda: rung(line.telegram, women) == [2] * 40)
            await asyncio.sleep(SILENCE)
            assert rung(line.telegram, women) == [2] * 40
