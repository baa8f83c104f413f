"""A case from her side, and what time does to it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from bot.handover import Handover
from bot.storage.records import CaseClosed, CaseState
from tests.bot.paper import HER, Shell, a_shell


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
        phen.store, phen.texts, phen.changes, phen.now, lambda: None, lambda words: words[0]
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


async def test_a_case_closed_during_the_tick_stops_nobody_elses_notice(
    shell: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = await shell.phen.handover.open_case(HER, "bg", None, None)
    other = await shell.phen.handover.open_case(HER._replace(address="2"), "bg", None, None)
    real = shell.phen.store.add_notice

    async def closed_meanwhile(case_id: str, text: str, cause: str) -> object:
        if case_id == first.id:
            raise CaseClosed
        return await real(case_id, text, cause)

    monkeypatch.setattr(shell.phen.store, "add_notice", closed_meanwhile)
    shell.clock.passes(minutes=3)
    await shell.phen.handover.tick()
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
    assert set(await shell.phen.handover.forget(HER)) == {"3"}
    assert await shell.phen.handover.forget(HER) == []
    assert not await shell.phen.handover.remembers(HER)
    with pytest.raises(CaseClosed):
        await shell.phen.handover.relay(case, "ало", "8", None)
