"""A case from her side, and what time does to it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from datetime import datetime
from pathlib import Path

import pytest

from bot import handover as handover_of
from bot.channels.base import Unknown, Unsent, Who
from bot.handover import Crowded, Handover
from bot.storage.records import Case, CaseClosed, CaseState, StaffMember
from bot.windows import Timing
from dialogs.model import START, Event, Position, Tapped, Typed
from tests.bot.paper import HER, LastingPaper, Shell, a_shell


@pytest.fixture
async def shell(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Shell]:
    async with a_shell(tmp_path, monkeypatch) as shell:
        yield shell


async def notices(shell: Shell, case_id: str) -> list[str]:
    return [message.text for message in await shell.phen.store.messages(case_id)]


async def test_an_alias_is_two_words_and_no_name(shell: Shell) -> None:
    case = await shell.phen.handover.open_case(HER, "bg", None, None)
    first, second = case.alias.split()
    assert first in shell.say("alias.first")
    assert second in shell.say("alias.second")


async def test_a_case_opens_even_when_every_alias_is_taken(shell: Shell) -> None:
    phen = shell.phen
    always = Handover(
        phen.store, phen.texts, phen.changes, phen.now, lambda: None, pick=lambda words: words[0]
    )
    aliases = [
        (await always.open_case(HER._replace(address=str(n)), "bg", None, None)).alias
        for n in range(3)
    ]
    assert len(set(aliases)) == 3


async def test_after_two_minutes_and_after_fifteen_she_is_told_honestly_once(shell: Shell) -> None:
    case = await shell.phen.handover.open_case(HER, "bg", None, None)
    await shell.phen.handover.tick()
    assert await notices(shell, case.id) == []
    for minutes, text in ((2, "notice.waiting_short"), (13, "notice.waiting_long")):
        shell.clock.passes(minutes=minutes)
        await shell.phen.handover.tick()
        await shell.phen.handover.tick()
        assert (await notices(shell, case.id))[-1] == shell.say(text)
    assert len(await notices(shell, case.id)) == 2


async def test_after_a_long_outage_she_gets_one_waiting_message_not_two(shell: Shell) -> None:
    case = await shell.phen.handover.open_case(HER, "bg", None, None)
    shell.clock.passes(minutes=20)
    await shell.phen.handover.tick()
    assert await notices(shell, case.id) == [shell.say("notice.waiting_long")]


async def test_who_is_answered_is_not_told_that_nobody_answers(shell: Shell) -> None:
    case = await shell.phen.handover.open_case(HER, "bg", None, None)
    await shell.phen.desk.claim(await shell.consultant(), case.id)
    before = await notices(shell, case.id)
    shell.clock.passes(minutes=20)
    await shell.phen.handover.tick()
    assert await notices(shell, case.id) == before


async def test_who_waits_a_second_time_is_told_so_from_then_on_and_not_at_once(
    shell: Shell,
) -> None:
    case = await shell.phen.handover.open_case(HER, "bg", None, None)
    maria = await shell.consultant()
    shell.clock.passes(minutes=16)
    await shell.phen.handover.tick()
    assert await shell.phen.desk.claim(maria, case.id)
    await shell.phen.desk.reply(maria, case.id, "тук съм", "k")
    shell.clock.passes(hours=1)
    await shell.phen.desk.give_back(maria, case.id)
    before = await notices(shell, case.id)
    assert before[-1] == shell.say("notice.returned")
    shell.clock.passes(seconds=5)
    await shell.phen.handover.tick()
    assert await notices(shell, case.id) == before
    for minutes in (2, 13, 60):
        shell.clock.passes(minutes=minutes)
        await shell.phen.handover.tick()
    again = [shell.say("notice.waiting_short"), shell.say("notice.waiting_long")]
    assert await notices(shell, case.id) == before + again


async def test_who_is_claimed_while_the_tick_looks_around_hears_of_nobody_who_has_not_come(
    shell: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    case = await shell.phen.handover.open_case(HER, "bg", None, None)
    maria = await shell.consultant()
    shell.clock.passes(minutes=16)
    real = shell.phen.store.waiting

    async def claimed_meanwhile() -> list[Case]:
        found = await real()
        assert await shell.phen.desk.claim(maria, case.id)
        return found

    monkeypatch.setattr(shell.phen.store, "waiting", claimed_meanwhile)
    await shell.phen.handover.tick()
    assert await notices(shell, case.id) == [shell.say("notice.claimed")]


async def test_a_case_closed_during_the_tick_stops_nobody_elses_notice(
    shell: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = await shell.phen.handover.open_case(HER, "bg", None, None)
    other = await shell.phen.handover.open_case(HER._replace(address="2"), "bg", None, None)
    real = shell.phen.store.waiting

    async def closed_meanwhile() -> list[Case]:
        found = await real()
        await shell.phen.store.close_case(first.id, None, "ended")
        return found

    monkeypatch.setattr(shell.phen.store, "waiting", closed_meanwhile)
    shell.clock.passes(minutes=3)
    await shell.phen.handover.tick()
    assert await notices(shell, first.id) == []
    assert await notices(shell, other.id) == [shell.say("notice.waiting_short")]


@pytest.mark.parametrize(("answered", "hours"), [(True, 24), (False, 72)])
async def test_a_silent_case_closes_with_a_word_and_one_nobody_read_outlasts_a_weekend(
    shell: Shell, answered: bool, hours: int
) -> None:
    case = await shell.phen.handover.open_case(HER, "tr", None, None)
    if answered:
        assert await shell.phen.desk.claim(await shell.consultant(), case.id)
    shell.clock.passes(hours=hours, minutes=-1)
    await shell.phen.handover.tick()
    assert (await shell.case()).state is not CaseState.CLOSED
    shell.clock.passes(hours=24)  # the last notice to her counts as a word
    await shell.phen.handover.tick()
    closed = await shell.phen.store.case(case.id)
    assert closed is not None
    assert closed.state is CaseState.CLOSED
    assert (await notices(shell, case.id))[-1] == shell.say("notice.silent_closed", "tr")


async def test_what_is_unread_for_a_day_waits_for_all_again_however_much_she_writes(
    shell: Shell,
) -> None:
    case = await shell.phen.handover.open_case(HER, "bg", None, None)
    assert await shell.phen.desk.claim(await shell.consultant(), case.id)
    for hour in range(24):
        await shell.phen.handover.relay(case, "ало", f"{hour}", None)
        await shell.phen.handover.tick()
        assert (await shell.case()).state is CaseState.CLAIMED
        shell.clock.passes(hours=1)
    shell.clock.passes(minutes=1)
    await shell.phen.handover.tick()
    assert (await shell.case()).state is CaseState.WAITING
    assert (await notices(shell, case.id))[-1] == shell.say("notice.returned")


async def test_what_she_has_changed_is_no_old_word(shell: Shell) -> None:
    case = await shell.phen.handover.open_case(HER, "bg", None, None)
    maria = await shell.consultant()
    assert await shell.phen.desk.claim(maria, case.id)
    await shell.phen.handover.relay(case, "ало", "1", "7")
    await shell.phen.desk.looked(maria, case.id)
    await shell.phen.desk.reply(maria, case.id, "тук съм", "k")
    shell.clock.passes(hours=25)
    await shell.phen.handover.edited(HER, "7", "ало?", covered=False)
    await shell.phen.handover.tick()
    assert (await shell.case()).claimed_by == maria.id


async def test_what_is_read_and_not_answered_waits_for_all_again_three_times_and_then_ends(
    shell: Shell,
) -> None:
    case = await shell.phen.handover.open_case(HER, "bg", None, None)
    maria = await shell.consultant()
    await shell.phen.handover.relay(case, "ало", "1", None)
    for _ in range(2):
        assert await shell.phen.desk.claim(maria, case.id)
        await shell.phen.desk.looked(maria, case.id)
        shell.clock.passes(hours=24, minutes=1)
        await shell.phen.handover.tick()
        assert (await shell.case()).state is CaseState.WAITING
    assert await shell.phen.desk.claim(maria, case.id)
    shell.clock.passes(hours=24, minutes=1)
    await shell.phen.handover.tick()
    assert (await shell.phen.handover.case_of(HER)) is None
    said = await notices(shell, case.id)
    assert said.count(shell.say("notice.returned")) == 2
    assert said[-1] == shell.say("notice.silent_closed")


@pytest.mark.parametrize("last", ["an answer", "a block"])
async def test_a_silence_after_an_answer_or_a_block_ends_the_case(shell: Shell, last: str) -> None:
    case = await shell.phen.handover.open_case(HER, "bg", None, None)
    maria = await shell.consultant()
    await shell.phen.handover.relay(case, "ало", "1", None)
    assert await shell.phen.desk.claim(maria, case.id)
    await shell.phen.desk.looked(maria, case.id)
    if last == "a block":
        await shell.phen.desk.block(maria, case.id, "week")
    else:
        await shell.phen.desk.reply(maria, case.id, "тук съм", "k")
    shell.clock.passes(hours=24, minutes=1)
    await shell.phen.handover.tick()
    assert (await shell.phen.handover.case_of(HER)) is None


async def test_who_claims_on_monday_what_was_written_on_friday_has_time_to_answer(
    shell: Shell,
) -> None:
    case = await shell.phen.handover.open_case(HER, "bg", None, None)
    await shell.phen.handover.relay(case, "петък вечер", "1", None)
    shell.clock.passes(hours=60)
    maria = await shell.consultant()
    assert await shell.phen.desk.claim(maria, case.id)
    await shell.phen.handover.tick()
    assert (await shell.case()).claimed_by == maria.id  # she is only just reading
    await shell.phen.desk.looked(maria, case.id)
    await shell.phen.handover.tick()
    assert (await shell.case()).state is CaseState.CLAIMED  # and only just writing
    await shell.phen.desk.reply(maria, case.id, "тук съм", "k")


async def test_a_colleague_who_is_handed_a_silent_case_has_it(shell: Shell) -> None:
    case = await shell.phen.handover.open_case(HER, "bg", None, None)
    maria, elena = await shell.consultant(), await shell.consultant("elena")
    assert await shell.phen.desk.claim(maria, case.id)
    await shell.phen.handover.relay(case, "кажете", "1", None)
    await shell.phen.desk.looked(maria, case.id)
    shell.clock.passes(hours=23)
    await shell.phen.desk.transfer(maria, case.id, elena.id)
    shell.clock.passes(minutes=1)
    await shell.phen.desk.looked(elena, case.id)
    shell.clock.passes(hours=2)
    await shell.phen.handover.tick()
    assert (await shell.case()).claimed_by == elena.id


async def test_a_fault_with_one_case_holds_up_no_other(
    shell: Shell, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    first = await shell.phen.handover.open_case(HER, "bg", None, None)
    other = await shell.phen.handover.open_case(HER._replace(address="2"), "bg", None, None)
    real = shell.phen.store.tell_waiting

    async def broken(case: Case, stage: int, notice: Callable[[str], str]) -> bool:
        if case.id == first.id:
            raise RuntimeError("words")
        return await real(case, stage, notice)

    monkeypatch.setattr(shell.phen.store, "tell_waiting", broken)
    shell.clock.passes(minutes=3)
    await shell.phen.handover.tick()
    assert await notices(shell, other.id) == [shell.say("notice.waiting_short")]
    assert "tick_failed" in caplog.text
    assert "words" not in caplog.text


async def test_what_she_writes_while_the_tick_looks_around_is_not_closed_away(
    shell: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    case = await shell.phen.handover.open_case(HER, "bg", None, None)
    shell.clock.passes(hours=73)
    real = shell.phen.store.silent_cases

    async def and_then_she_writes(before: datetime) -> list[Case]:
        found = await real(before)
        await shell.phen.handover.relay(case, "тук съм още", "1", None)
        return found

    monkeypatch.setattr(shell.phen.store, "silent_cases", and_then_she_writes)
    await shell.phen.handover.tick()
    assert (await shell.case()).state is CaseState.WAITING


async def test_what_a_colleague_opens_while_the_tick_looks_around_stays_hers(
    shell: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    case = await shell.phen.handover.open_case(HER, "bg", None, None)
    maria, elena = await shell.consultant(), await shell.consultant("elena")
    assert await shell.phen.desk.claim(maria, case.id)
    await shell.phen.desk.transfer(maria, case.id, elena.id)
    shell.clock.passes(minutes=16)
    real = shell.phen.store.unopened

    async def and_then_she_opens_it(before: datetime) -> list[Case]:
        found = await real(before)
        await shell.phen.desk.looked(elena, case.id)
        return found

    monkeypatch.setattr(shell.phen.store, "unopened", and_then_she_opens_it)
    await shell.phen.handover.tick()
    assert (await shell.case()).claimed_by == elena.id


async def test_coming_and_going_in_any_order_ends_as_she_left_it(shell: Shell) -> None:
    case = await shell.phen.handover.open_case(HER, "bg", None, None)
    for present in (False, True, False):
        for _ in range(3):
            await asyncio.gather(
                shell.phen.handover.arrive(HER) if present else shell.phen.handover.absent(HER)
            )
        found = await shell.phen.store.case(case.id)
        assert found is not None
        assert found.present is present


async def test_her_words_count_once_however_often_they_are_delivered(shell: Shell) -> None:
    case = await shell.phen.handover.open_case(HER, "bg", None, None)
    assert await shell.phen.handover.relay(case, "ало", "7", "3")
    assert not await shell.phen.handover.relay(case, "ало", "7", "3")
    assert await notices(shell, case.id) == ["ало"]
    assert set(await shell.phen.handover.kept_handles(HER)) == {"3"}
    await shell.phen.handover.removed(HER, ["3"])
    assert await shell.phen.handover.kept_handles(HER) == []


async def test_what_is_kept_of_her_can_be_deleted_twice(shell: Shell) -> None:
    case = await shell.phen.handover.open_case(HER, "bg", None, None)
    await shell.phen.handover.relay(case, "ало", "7", "3")
    assert await shell.phen.handover.remembers(HER)
    assert [each.handle for each in await shell.phen.handover.forget(HER)] == ["3"]
    assert await shell.phen.handover.forget(HER) == []
    assert not await shell.phen.handover.remembers(HER)
    with pytest.raises(CaseClosed):
        await shell.phen.handover.relay(case, "ало", "8", None)


# --- ringing her -----------------------------------------------------------------------------

WORDS = "talk_words.go.a"
NOON = Position("bg", "talk_yes").with_answer("r", "pm").with_answer("w", "a")
"""She calls a human; we may ring from 12 to 17, and it is noon in Sofia."""


async def is_away_with_an_answer(
    shell: Shell, door: Position = NOON, away: float = 3
) -> StaffMember:
    """She called a human, hid, and was answered; she has been away for some minutes."""
    await shell.done(Tapped(door))
    await shell.taps("hide")
    maria = await shell.consultant()
    case = await shell.case()
    assert await shell.phen.desk.claim(maria, case.id)
    await shell.phen.desk.reply(maria, case.id, "тук съм", "k")
    shell.clock.passes(minutes=away)
    await shell.ticks()
    return maria


def rings(shell: Shell) -> list[str]:
    """What came with a sound."""
    return [message.text for message in shell.channel.sent if not message.silent]


async def test_her_phone_rings_with_her_neutral_words_over_the_cover(shell: Shell) -> None:
    await is_away_with_an_answer(shell)
    ring = f"{shell.say(WORDS)}\n\n{shell.say('start.text')}"
    assert rings(shell) == [ring]
    assert shell.chat == [ring]
    assert shell.channel.sent[-1].cover
    assert shell.channel.sent[-1].marks == ()
    assert not (await shell.case()).present
    assert shell.phen.windows.open_ones() == []


async def test_her_phone_rings_in_her_language(shell: Shell) -> None:
    await is_away_with_an_answer(shell, Position("tr", NOON.node, NOON.answers))
    assert rings(shell) == [f"{shell.say(WORDS, 'tr')}\n\n{shell.say('start.text', 'tr')}"]


async def test_a_chat_that_keeps_everything_rings_with_the_same_words(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with a_shell(tmp_path, monkeypatch, channel=LastingPaper()) as lasting:
        await is_away_with_an_answer(lasting)
        assert rings(lasting) == [f"{lasting.say(WORDS)}\n\n{lasting.say('start.text')}"]
        assert lasting.channel.sent[-1].position == Position("bg", START)
        assert "тук съм" not in lasting.channel.shown


@pytest.mark.parametrize(
    "answers", [(), (("r", "never"),), (("r", "pm"), ("w", "never")), (("r", "pm"),)]
)
async def test_without_her_leave_nothing_ever_comes_by_itself(
    shell: Shell, answers: tuple[tuple[str, str], ...]
) -> None:
    maria = await is_away_with_an_answer(shell, Position("bg", "talk_yes", answers))
    case = await shell.case()
    for hours in range(30):
        await shell.phen.desk.reply(maria, case.id, "още съм тук", f"k{hours}")
        shell.clock.passes(hours=1)
        await shell.ticks()
    await shell.phen.desk.close(maria, case.id)
    await shell.ticks()
    assert rings(shell) == []
    assert shell.chat == []


async def test_it_rings_once_while_she_is_away_however_much_waits(shell: Shell) -> None:
    maria = await is_away_with_an_answer(shell)
    await shell.phen.desk.reply(maria, (await shell.case()).id, "чакам те", "k2")
    shell.clock.passes(hours=1)
    await shell.ticks()
    assert len(rings(shell)) == 1


async def test_who_came_back_and_left_again_is_rung_again(shell: Shell) -> None:
    maria = await is_away_with_an_answer(shell)
    await shell.taps("inside")
    await shell.ticks()
    assert "тук съм" in shell.chat
    await shell.taps("hide")
    shell.clock.passes(minutes=3)
    await shell.ticks()
    assert len(rings(shell)) == 1  # nothing waits
    await shell.phen.desk.reply(maria, (await shell.case()).id, "чакам те", "k2")
    await shell.ticks()
    assert len(rings(shell)) == 2


async def test_it_rings_in_her_hours_alone(shell: Shell) -> None:
    await is_away_with_an_answer(shell, NOON.with_answer("r", "eve"))  # 17 to 21
    for minutes, count in ((4 * 60 + 56, 0), (1, 1)):  # 16:59, 17:00
        shell.clock.passes(minutes=minutes)
        await shell.ticks()
        assert len(rings(shell)) == count


async def test_after_her_hours_it_waits_for_the_next_day(shell: Shell) -> None:
    await is_away_with_an_answer(shell, NOON.with_answer("r", "am"))  # 9 to 12, which is over
    assert rings(shell) == []
    shell.clock.passes(hours=20, minutes=56)  # 08:59
    await shell.ticks()
    assert rings(shell) == []
    shell.clock.passes(minutes=1)
    await shell.ticks()
    assert len(rings(shell)) == 1


async def test_who_has_just_left_is_not_rung(shell: Shell) -> None:
    await is_away_with_an_answer(shell, away=1)
    assert rings(shell) == []
    shell.clock.passes(minutes=1)
    await shell.ticks()
    assert len(rings(shell)) == 1


async def test_it_does_not_ring_before_a_consultant_is_there(shell: Shell) -> None:
    await shell.done(Tapped(NOON))
    await shell.taps("hide")
    shell.clock.passes(minutes=20)  # both waiting messages are held for her
    await shell.ticks()
    assert (await shell.case()).held
    assert rings(shell) == []


async def test_a_case_that_was_given_back_does_not_ring_her(shell: Shell) -> None:
    maria = await is_away_with_an_answer(shell, away=1)
    await shell.phen.desk.give_back(maria, (await shell.case()).id)
    shell.clock.passes(minutes=10)
    await shell.ticks()
    assert rings(shell) == []


async def test_a_closed_case_does_not_ring_her(shell: Shell) -> None:
    maria = await is_away_with_an_answer(shell, away=1)
    await shell.phen.desk.close(maria, (await shell.case()).id)
    shell.clock.passes(minutes=10)
    await shell.ticks()
    assert rings(shell) == []


@pytest.mark.parametrize("stop", [Typed("стоп"), Tapped(Position("bg", "remind_stop"))])
async def test_after_a_stop_nothing_rings_her_any_more(shell: Shell, stop: Event) -> None:
    maria = await is_away_with_an_answer(shell, away=1)
    await shell.done(stop)
    assert shell.chat == [shell.say("remind_stopped.text")]
    for number in range(2):
        shell.clock.passes(minutes=10)
        await shell.ticks()
        assert rings(shell) == []
        await shell.taps("case")
        await shell.deliver()
        await shell.taps("hide")
        await shell.phen.desk.reply(maria, (await shell.case()).id, "тук съм", f"k{number}")
    assert (await shell.case()).held, "it waits for her all the same"


async def test_who_has_stopped_is_rung_in_a_new_case_if_she_wants_that_again(
    shell: Shell,
) -> None:
    maria = await is_away_with_an_answer(shell, away=1)
    await shell.taps("remind_stop")
    await shell.phen.desk.close(maria, (await shell.case()).id)
    await shell.done(Tapped(NOON))
    case = await shell.case()
    await shell.taps("hide")
    assert await shell.phen.desk.claim(maria, case.id)
    await shell.phen.desk.reply(maria, case.id, "тук съм", "new")
    shell.clock.passes(minutes=3)
    await shell.ticks()
    assert len(rings(shell)) == 1


async def test_who_is_shut_out_is_not_rung_and_is_once_he_is_let_in_again(shell: Shell) -> None:
    await shell.done(Tapped(NOON))
    await shell.taps("hide")
    maria, case = await shell.consultant(), await shell.case()
    assert await shell.phen.desk.claim(maria, case.id)
    await shell.phen.desk.reply(maria, case.id, "тук съм", "k")
    await shell.phen.desk.block(maria, case.id, "case")
    shell.clock.passes(minutes=3)
    await shell.ticks()
    assert rings(shell) == []
    await shell.phen.desk.unblock(maria, case.id)
    await shell.ticks()
    assert len(rings(shell)) == 1


async def test_an_open_window_is_never_rung_over(shell: Shell) -> None:
    await is_away_with_an_answer(shell, away=1)
    await shell.taps("danger")  # 112 stands before her, and her case is still held
    shell.clock.passes(minutes=10)
    await shell.ticks()
    assert rings(shell) == []
    assert shell.chat == [shell.say("danger.text")]


async def test_a_ring_that_fails_is_not_made_up_for_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    quick = Timing(idle=60, give_up=0.05, cover_give_up=60, retry=0.01)
    async with a_shell(tmp_path, monkeypatch, quick) as shell:
        await is_away_with_an_answer(shell, away=1)
        shell.channel.faults = [Unsent() for _ in range(1000)]
        shell.clock.passes(minutes=2)
        await shell.ticks()
        shell.channel.faults = []
        await shell.ticks()
        assert rings(shell) == []
        assert shell.chat == []


async def test_a_ring_whose_answer_was_lost_does_not_ring_twice(shell: Shell) -> None:
    await is_away_with_an_answer(shell, away=1)
    shell.channel.faults, shell.channel.arrives_anyway = [Unknown()], True
    shell.clock.passes(minutes=2)
    await shell.ticks()
    assert len(rings(shell)) == 1


async def test_words_that_the_content_has_no_more_ring_nobody_and_stop_nothing(
    shell: Shell,
) -> None:
    shell.phen.screens.nudge(HER, "bg", "talk_words.go.gone")
    await shell.settled()
    assert shell.channel.sent == []


async def test_after_a_restart_she_is_rung_once_all_the_same(shell: Shell) -> None:
    await is_away_with_an_answer(shell)
    await shell.phen.store.take_over(shell.her.channel)
    shell.clock.passes(hours=1)
    await shell.ticks()
    assert len(rings(shell)) == 1


# --- what a colleague does not open ------------------------------------------------------------


async def test_what_a_colleague_does_not_open_waits_for_everybody_and_she_is_told(
    shell: Shell,
) -> None:
    case = await shell.opens_case()
    maria, elena = await shell.consultant(), await shell.consultant("elena")
    assert await shell.phen.desk.claim(maria, case.id)
    await shell.phen.desk.transfer(maria, case.id, elena.id)
    shell.clock.passes(minutes=14)
    await shell.ticks()
    assert (await shell.case()).state is CaseState.CLAIMED
    shell.clock.passes(minutes=1)
    await shell.ticks()
    await shell.ticks()
    assert (await shell.case()).state is CaseState.WAITING
    assert (await notices(shell, case.id)).count(shell.say("notice.returned")) == 1


async def test_what_its_consultant_never_read_is_not_destroyed_but_waits_for_everybody(
    shell: Shell,
) -> None:
    case = await shell.opens_case()
    assert await shell.phen.desk.claim(await shell.consultant(), case.id)
    await shell.types("той идва")
    shell.clock.passes(hours=25)
    await shell.ticks()
    given_back = await shell.case()
    assert given_back.state is CaseState.WAITING
    assert given_back.bell_at is not None
    assert (await notices(shell, case.id)).count(shell.say("notice.returned")) == 1
    shell.clock.passes(hours=48)
    await shell.ticks()
    over = await shell.phen.store.case(case.id)
    assert over is not None
    assert over.state is CaseState.CLOSED


# --- too many at once --------------------------------------------------------------------------


async def test_when_too_many_wait_on_the_web_one_more_is_refused(
    shell: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(handover_of, "MAX_WAITING_WEB", 3)
    opens = shell.phen.handover.open_case
    for number in range(3):
        await opens(Who("web", str(number)), "bg", None, None)
    with pytest.raises(Crowded):
        await opens(Who("web", "one more"), "bg", None, None)
    assert await opens(Who("web", "1"), "bg", None, None)  # hers is open already
    assert await opens(HER, "bg", None, None)  # on another channel nobody is refused
    maria = await shell.consultant()
    first = (await shell.phen.desk.waiting(maria))[0]
    assert await shell.phen.desk.claim(maria, first.id)
    assert await opens(Who("web", "one more"), "bg", None, None)


async def test_of_many_who_come_at_once_each_is_counted(
    shell: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(handover_of, "MAX_WAITING_WEB", 3)
    opens = shell.phen.handover.open_case
    crowd = [opens(Who("web", str(number)), "bg", None, None) for number in range(20)]
    told = await asyncio.gather(*crowd, return_exceptions=True)
    assert sum(isinstance(each, Crowded) for each in told) == 17
    assert len(await shell.phen.store.waiting()) == 3


def test_forty_may_wait_on_the_web() -> None:
    assert handover_of.MAX_WAITING_WEB == 40
