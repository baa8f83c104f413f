"""What she was promised comes to her phone: her words, in her hours, once; and stops at a word."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from bot import serving
from bot.app import PICTURES
from bot.leftovers import remove_leftovers
from bot.privacy.redact import EventLog
from bot.storage.records import Role
from dialogs.model import REMIND_MINE, WHEN_WORDS
from scheduler.model import Reception, ReceptionState
from tests.acceptance.consultant import at_the_desk
from tests.acceptance.steps import rows, say, screen
from tests.line import SOFIA, Line, eventually, running_line
from tests.standins.woman import Woman
from tests.transcripts.script import Clock

MONDAY = datetime(2026, 10, 19, 13, tzinfo=SOFIA)
RECIPE = "Рецепта за днес"
HOUR = timedelta(hours=1)


@dataclass
class Days:
    """A line whose days pass as the test lets them, and what came to each phone meanwhile."""

    line: Line
    clock: Clock
    came: dict[int, list[datetime]] = field(default_factory=dict)
    _seen: set[tuple[int, int]] = field(default_factory=set)

    async def subscribed(
        self, hours: str = "day", place: str = "rse05", words: str = WHEN_WORDS
    ) -> Woman:
        woman = self.line.telegram.woman()
        who = "telegram", str(woman.id)
        await self.line.phen.store.subscribe(*who, "bg", place, hours, words)
        return woman

    async def plans(self, start: datetime, name: str = "r1", place: str = "rse05") -> Reception:
        planned = Reception(name, place, "Ветово", start, start + 4 * HOUR)
        await self.line.phen.store.save_receptions([planned])
        return planned

    async def pass_until(self, moment: datetime, step: timedelta = HOUR) -> None:
        """Let time pass, and whatever falls due meanwhile arrive."""
        while self.clock.at < moment:
            self.clock.at = min(self.clock.at + step, moment.astimezone(UTC))
            await self.looks()

    async def looks(self) -> None:
        """What is due just now arrives."""
        await self.line.phen.mailer.tick()
        assert await eventually(lambda: rows(self.line, "mailings", 0))
        phen = self.line.phen
        await remove_leftovers(phen.store, phen.windows, phen.channels, phen.delivery.served)
        for chat in self.line.telegram.chats.values():
            for shown in chat.messages.values():
                if shown.from_bot and (chat.id, shown.id) not in self._seen:
                    self._seen.add((chat.id, shown.id))
                    self.came.setdefault(chat.id, []).append(shown.date.astimezone(SOFIA))

    async def reminders_of(self, woman: Woman) -> int:
        return len(await self.line.phen.store.subscriptions_of("telegram", str(woman.id)))


@pytest.fixture
async def days(tmp_path: Path) -> AsyncIterator[Days]:
    clock = Clock(MONDAY.astimezone(UTC))
    async with running_line(tmp_path, now=clock) as line:
        yield Days(line, clock)


async def taps_through(woman: Woman, words: str) -> None:
    """She asks to be reminded of a date that she sees, by day, and hides."""
    woman.starts()
    await woman.sees(screen("start"), timeout=20)
    woman.taps(payload="bg:meet_dates:m.rse05")
    await woman.sees("Ветово", timeout=20)
    woman.taps("Напомни ми")
    await woman.sees(screen("remind_hours"), timeout=20)
    woman.taps("Денем, 9 до 21")
    await woman.sees(screen("remind_words"), timeout=20)
    woman.taps(words)
    await woman.sees(screen(REMIND_MINE), timeout=20)
    woman.taps("Скрий")
    await woman.sees_empty_chat(timeout=20)


async def test_two_days_before_and_in_the_morning_her_words_come_and_nothing_else(
    days: Days,
) -> None:
    await days.plans(datetime(2026, 10, 21, 10, tzinfo=SOFIA))
    woman = days.line.telegram.woman()
    await taps_through(woman, RECIPE)
    await days.pass_until(datetime(2026, 10, 19, 17, 59, tzinfo=SOFIA))
    assert woman.chat == []
    await days.pass_until(datetime(2026, 10, 19, 18, tzinfo=SOFIA))
    [first] = woman.chat
    assert first.words == RECIPE
    assert not first.silent
    assert days.line.telegram.picture(first.photo) == (PICTURES / "cover.png").read_bytes()
    assert woman.buttons == ["1. Виж", "2. Спешни телефони", "3. Спри съобщенията"]
    await days.pass_until(datetime(2026, 10, 21, 8, 59, tzinfo=SOFIA))
    assert woman.chat == [first]
    await days.pass_until(datetime(2026, 10, 21, 9, tzinfo=SOFIA))
    assert await eventually(lambda: first not in woman.chat)
    [second] = woman.chat
    assert second.words == RECIPE
    await days.pass_until(datetime(2026, 10, 21, 13, 59, tzinfo=SOFIA))
    assert woman.chat == [second]
    await days.pass_until(datetime(2026, 10, 21, 15, tzinfo=SOFIA))
    assert await eventually(lambda: woman.chat == [])
    assert [at.isoformat()[:16] for at in days.came[woman.id]] == [
        "2026-10-19T18:00", "2026-10-21T09:00",
    ]  # fmt: skip
    assert await days.reminders_of(woman) == 0, "it is over, and nothing is kept of it"


async def test_she_opens_the_reminder_and_reads_behind_the_gate(days: Days) -> None:
    await days.plans(datetime(2026, 10, 21, 10, tzinfo=SOFIA))
    woman = await days.subscribed()
    await days.pass_until(datetime(2026, 10, 19, 18, tzinfo=SOFIA))
    await woman.sees("Ветово")
    woman.taps("Виж")
    await woman.sees(screen("start"))
    woman.taps(payload="bg:inside")
    await woman.sees(screen(REMIND_MINE))
    assert len(woman.chat) == 1


@pytest.mark.parametrize("stop", ["", "стоп", "3"], ids=["tapped", "word", "digit"])
async def test_stop_ends_everything_days_later(days: Days, stop: str) -> None:
    await days.plans(datetime(2026, 10, 21, 10, tzinfo=SOFIA))
    woman = await days.subscribed()
    await days.pass_until(datetime(2026, 10, 19, 18, tzinfo=SOFIA))
    await days.pass_until(datetime(2026, 10, 21, 8, 30, tzinfo=SOFIA))
    if stop:
        woman.types(stop)
    else:
        woman.taps("Спри съобщенията", message=woman.bot_messages[0])
    await woman.sees(screen("remind_stopped"))
    assert await days.reminders_of(woman) == 0
    await days.pass_until(datetime(2026, 10, 21, 15, tzinfo=SOFIA))
    assert await eventually(
        lambda: [each.words for each in woman.chat] == [screen("remind_stopped")]
    )


async def test_a_silent_woman_gets_nothing_and_sees_it_when_she_comes(days: Days) -> None:
    await days.plans(datetime(2026, 10, 21, 10, tzinfo=SOFIA))
    woman = days.line.telegram.woman()
    await taps_through(woman, "Нищо. Ще погледна сама.")
    await days.pass_until(datetime(2026, 10, 21, 9, 30, tzinfo=SOFIA))
    assert woman.chat == []
    woman.starts()
    await woman.sees(screen("start"))
    woman.taps(payload="bg:inside")
    shown = await woman.sees(screen(REMIND_MINE))
    assert "Ветово" in shown.words


@pytest.mark.parametrize(
    "start",
    [datetime(2026, 10, 25, 10, tzinfo=SOFIA), datetime(2027, 3, 28, 10, tzinfo=SOFIA)],
    ids=["autumn", "spring"],
)
async def test_one_reminder_at_the_right_local_time_though_the_clocks_change(
    days: Days, start: datetime
) -> None:
    """And though ours is set back by an hour after each of them."""
    days.clock.at = (start - timedelta(days=3)).astimezone(UTC)
    await days.plans(start)
    by_day, early = await days.subscribed("day"), await days.subscribed("am")
    half = HOUR / 2
    await days.pass_until((start - timedelta(days=2)).replace(hour=18, minute=30), half)
    days.clock.at -= HOUR
    await days.pass_until(start - half, half)
    days.clock.at -= HOUR
    await days.pass_until(start + 5 * HOUR, half)
    friday, saturday, sunday = (f"{start - timedelta(days=n):%m-%d}" for n in (2, 1, 0))
    came = {who: [f"{at:%m-%d %H:%M}" for at in times] for who, times in days.came.items()}
    assert came == {
        by_day.id: [f"{friday} 18:00", f"{sunday} 09:00"],
        early.id: [f"{saturday} 09:00", f"{sunday} 09:00"],
    }


@pytest.mark.parametrize("cancelled", [False, True], ids=["moved", "cancelled"])
async def test_a_change_comes_at_her_next_safe_hour_and_to_nobody_else(
    days: Days, cancelled: bool
) -> None:
    store = days.line.phen.store
    await days.plans(datetime(2026, 10, 20, 10, tzinfo=SOFIA), "r0")
    over = await days.subscribed()
    await days.pass_until(datetime(2026, 10, 20, 16, tzinfo=SOFIA), 3 * HOUR)
    assert await days.reminders_of(over) == 0
    planned = await days.plans(datetime(2026, 10, 23, 10, tzinfo=SOFIA))
    await days.plans(datetime(2026, 10, 23, 10, tzinfo=SOFIA), "r2", "rse27")
    woman, later = await days.subscribed(), await days.subscribed("pm", words="remind.words.news")
    stopped, elsewhere = await days.subscribed(), await days.subscribed(place="rse27")
    await store.unsubscribe("telegram", str(stopped.id))
    await days.pass_until(datetime(2026, 10, 22, 7, tzinfo=SOFIA), 3 * HOUR)
    days.came.clear()
    state = ReceptionState.CANCELLED if cancelled else ReceptionState.MOVED
    moved = replace(planned, state=state)
    if not cancelled:
        moved = replace(moved, start=planned.start + HOUR, end=planned.end + HOUR)
    await store.save_receptions([moved])
    await days.pass_until(datetime(2026, 10, 22, 17, tzinfo=SOFIA))
    came = {who: [f"{at:%d %H:%M}" for at in times] for who, times in days.came.items()}
    assert came == {woman.id: ["22 09:00"], later.id: ["22 12:00"]}
    await woman.sees(say("remind.words.changed"))
    woman.taps("Виж")
    await woman.sees(screen("start"))
    woman.taps(payload="bg:inside")
    shown = await woman.sees(screen(REMIND_MINE))
    assert ("11:00" in shown.words) is not cancelled
    assert elsewhere.id not in came


async def test_who_could_not_be_reminded_is_counted_before_a_person(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(serving, "TICK_SECONDS", 0.3)
    roles = {Role.CONSULTANT, Role.STAFF}
    async with running_line(tmp_path) as line:
        token = str(await line.phen.accounts.invite("maria", roles, "Мария", ["bg"]))
        async with at_the_desk(line.url, "maria", token) as staff:
            EventLog("telegram").alarm("not_reminded")  # as the mailer does

            async def shown() -> bool:
                await staff.get("/staff/line")
                return say("staff.wrong.code.not_reminded") in staff.text

            assert await eventually(shown), staff.text
