"""A case from hand to hand: each move only from its states, by its active owner, and once."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any

import pytest

from bot.lifecycle import TRANSITIONS, Act, CaseState
from bot.privacy.vault import Vault
from bot.storage.records import (
    Blocked,
    Case,
    CaseClosed,
    NotYours,
    Nudge,
    OtherCaseOpen,
    Role,
    StaffMember,
    StaffState,
    TextGone,
)
from bot.storage.store import Store
from tests.bot.storage.conftest import NOON, Clock, everything

ADDRESS = "7301999555"


async def in_state(
    store: Store, state: CaseState, owner: StaffMember, address: str = ADDRESS
) -> Case:
    case = await store.open_case("telegram", address, "tr", "topic.order", "rse27", "тиха река")
    await store.add_from_woman(case.id, "нейно", f"{case.id} 1")
    if state is not CaseState.WAITING:
        assert await store.claim(case.id, owner.id)
        await store.add_reply(case.id, owner.id, "отговор", "1")
    if state is CaseState.CLOSED:
        await store.close_case(case.id, "довиждане", "bye", owner.id)
    return await now(store, case)


async def now(store: Store, case: Case) -> Case:
    found = await store.case(case.id)
    assert found is not None
    return found


# --- every move in every state -----------------------------------------------------------------


class Acting:
    """Each act as its author would ask for it; False: it was refused."""

    def __init__(self, store: Store, clock: Clock, maria: StaffMember, elena: StaffMember) -> None:
        self.store, self.clock, self.maria, self.elena = store, clock, maria, elena

    async def do(self, act: Act, case: Case) -> bool:
        return await getattr(self, f"_{act.value}")(case) is not False

    async def _open(self, case: Case) -> bool:
        opened = await self.store.open_case("telegram", ADDRESS, "bg", None, None, "друга")
        return opened.id != case.id

    async def _claim(self, case: Case) -> bool:
        return await self.store.claim(case.id, self.elena.id)

    async def _transfer(self, case: Case) -> bool:
        return await self.store.transfer(case.id, self.maria.id, self.elena.id)

    async def _return(self, case: Case) -> bool:
        return await self.store.return_to_queue(case.id, self.maria.id)

    async def _close(self, case: Case) -> bool:
        return await self.store.close_case(case.id, "край", "again", self.maria.id) is not None

    async def _end(self, case: Case) -> bool:
        return await self.store.close_case(case.id, None, "ended") is not None

    _lapse = _end

    async def _reopen(self, case: Case) -> bool:
        try:
            await self.store.reopen(case.id, self.maria.id)
        except NotYours:
            return False
        return True

    async def _forget(self, case: Case) -> None:
        await self.store.forget("telegram", ADDRESS)

    async def _expire(self, case: Case) -> bool:
        self.clock.forward(days=7)
        return (await self.store.purge(self.clock())).cases == 1


@pytest.mark.parametrize("act", [act for act in Act if act is not Act.OPEN])
@pytest.mark.parametrize("state", CaseState)
async def test_what_is_not_in_the_table_is_refused_and_changes_nothing(
    store: Store, maria: StaffMember, elena: StaffMember, clock: Clock,
    state: CaseState, act: Act,
) -> None:  # fmt: skip
    case = await in_state(store, state, maria)
    clock.forward(minutes=1)
    before = await everything(store)
    done = await Acting(store, clock, maria, elena).do(act, case)
    assert done is ((state, act) in TRANSITIONS)
    after = await store.case(case.id)
    if not done and act is not Act.EXPIRE:  # the purge does its other work
        assert await everything(store) == before
    if done:
        assert (after.state if after else None) is TRANSITIONS[state, act]
    else:
        assert after is not None
        assert after.state is state


async def test_asking_again_opens_another_case_only_once_the_first_is_closed(
    store: Store, maria: StaffMember, elena: StaffMember, clock: Clock
) -> None:
    case = await in_state(store, CaseState.CLAIMED, maria)
    acting = Acting(store, clock, maria, elena)
    assert not await acting.do(Act.OPEN, case)
    await acting.do(Act.CLOSE, case)
    assert await acting.do(Act.OPEN, case)


@pytest.mark.parametrize("act", [Act.TRANSFER, Act.RETURN, Act.CLOSE, Act.REOPEN])
async def test_nobody_moves_the_case_of_a_colleague(
    store: Store, maria: StaffMember, elena: StaffMember, clock: Clock, act: Act
) -> None:
    state = CaseState.CLOSED if act is Act.REOPEN else CaseState.CLAIMED
    case = await in_state(store, state, elena)
    before = await everything(store)
    assert not await Acting(store, clock, maria, elena).do(act, case)
    assert await everything(store) == before


@pytest.mark.parametrize("act", [Act.CLAIM, Act.TRANSFER, Act.RETURN, Act.CLOSE, Act.REOPEN])
async def test_who_is_frozen_moves_nothing(
    store: Store, maria: StaffMember, elena: StaffMember, clock: Clock, act: Act
) -> None:
    of = {Act.CLAIM: CaseState.WAITING, Act.REOPEN: CaseState.CLOSED}
    case = await in_state(store, of.get(act, CaseState.CLAIMED), maria)
    for each in (maria, elena):
        await store.set_staff_state(each.id, StaffState.FROZEN)
    assert not await Acting(store, clock, maria, elena).do(act, case)


async def test_a_case_is_handed_only_to_an_active_colleague_and_never_to_oneself(
    store: Store, maria: StaffMember, elena: StaffMember
) -> None:
    case = await in_state(store, CaseState.CLAIMED, maria)
    await store.set_staff_state(elena.id, StaffState.FROZEN)
    for to in (maria.id, elena.id, "nobody"):
        assert not await store.transfer(case.id, maria.id, to)
    assert await now(store, case) == case


# --- two at once ---------------------------------------------------------------------------------


async def won(*attempts: Awaitable[object]) -> int:
    """How many of these were let through, all begun at once."""
    done = await asyncio.gather(*attempts, return_exceptions=True)
    refusals = (NotYours, OtherCaseOpen, CaseClosed)
    for each in done:
        assert not isinstance(each, BaseException) or isinstance(each, refusals), each
    return sum(1 for each in done if each and not isinstance(each, BaseException))


async def test_of_many_claims_at_once_one_wins(
    store: Store, maria: StaffMember, elena: StaffMember
) -> None:
    case = await in_state(store, CaseState.WAITING, maria)
    both = [store.claim(case.id, who.id) for who in (maria, elena) * 4]
    assert await won(*both) == 1
    assert (await now(store, case)).claimed_by in (maria.id, elena.id)


@pytest.mark.parametrize("first", [0, 1])
async def test_a_claim_and_her_end_at_once_leave_a_closed_case(
    store: Store, maria: StaffMember, first: int
) -> None:
    case = await in_state(store, CaseState.WAITING, maria)
    acts = [store.claim(case.id, maria.id), store.close_case(case.id, None, "ended")]
    assert await won(*acts[first:], *acts[:first]) in (1, 2)
    kept = await now(store, case)
    assert (kept.state, kept.bell_at) == (CaseState.CLOSED, None)
    assert not await store.claim(case.id, maria.id)


@pytest.mark.parametrize("first", [0, 1])
async def test_a_transfer_and_her_end_at_once_leave_a_closed_case_that_rings_for_nobody(
    store: Store, maria: StaffMember, elena: StaffMember, first: int
) -> None:
    case = await in_state(store, CaseState.CLAIMED, maria)
    acts = [
        store.transfer(case.id, maria.id, elena.id),
        store.close_case(case.id, None, "ended"),
    ]
    await won(*acts[first:], *acts[:first])
    kept = await now(store, case)
    assert (kept.state, kept.bell_at, kept.passed_at) == (CaseState.CLOSED, None, None)


@pytest.mark.parametrize("first", [0, 1, 2])
async def test_of_transfer_return_and_close_by_its_owner_at_once_one_wins(
    store: Store, maria: StaffMember, elena: StaffMember, first: int
) -> None:
    case = await in_state(store, CaseState.CLAIMED, maria)
    acts = [
        store.transfer(case.id, maria.id, elena.id),
        store.return_to_queue(case.id, maria.id),
        store.close_case(case.id, None, "closed", maria.id),
    ]
    assert await won(*acts[first:], *acts[:first]) == 1


@pytest.mark.parametrize("first", [0, 1])
async def test_of_a_reopening_and_a_new_case_of_hers_at_once_one_wins(
    store: Store, maria: StaffMember, first: int
) -> None:
    case = await in_state(store, CaseState.CLOSED, maria)
    acts: list[Callable[[], Awaitable[Case]]] = [
        lambda: store.reopen(case.id, maria.id),
        lambda: store.open_case("telegram", ADDRESS, "bg", None, None, "друга"),
    ]
    await won(*(act() for act in acts[first:] + acts[:first]))
    (only,) = await store.open_cases()
    mine = await store.case_of("telegram", ADDRESS)
    assert mine is not None
    assert mine.id == only.id
    assert (only.id == case.id) is (first == 0)


async def test_of_two_reopenings_at_once_one_wins(store: Store, maria: StaffMember) -> None:
    case = await in_state(store, CaseState.CLOSED, maria)
    assert await won(*(store.reopen(case.id, maria.id) for _ in range(3))) == 1


@pytest.mark.parametrize("first", [0, 1])
async def test_a_reply_and_the_freezing_of_its_author_at_once_leave_her_without_the_case(
    store: Store, maria: StaffMember, first: int
) -> None:
    case = await in_state(store, CaseState.CLAIMED, maria)
    before = len(await store.messages(case.id))
    acts: list[Awaitable[object]] = [
        store.add_reply(case.id, maria.id, "още", "2"),
        store.set_staff_state(maria.id, StaffState.FROZEN),
    ]
    got_through = await won(*acts[first:], *acts[:first]) == 2
    kept = await now(store, case)
    assert (kept.state, kept.claimed_by) == (CaseState.WAITING, None)
    assert len(await store.messages(case.id)) - before == got_through
    assert got_through is (first == 0), "whoever comes first to the store"


# --- what she is told of it ----------------------------------------------------------------------


def in_full(language: str) -> str:
    return f"notice in {language}"


def cut_off(language: str) -> str:
    raise InterruptedError


def moves_of(store: Store, case: Case, maria: StaffMember, elena: StaffMember) -> list[Any]:
    """Each move of which she is told, one after the other, to be made with a notice."""
    return [
        lambda notice: store.claim(case.id, maria.id, notice),
        lambda notice: store.transfer(case.id, maria.id, elena.id, notice),
        lambda notice: store.return_to_queue(case.id, elena.id, notice),
    ]


async def test_each_move_is_told_to_her_in_her_language(
    store: Store, maria: StaffMember, elena: StaffMember
) -> None:
    case = await in_state(store, CaseState.WAITING, maria)
    for told, move in enumerate(moves_of(store, case, maria, elena) * 2, start=1):
        assert await move(in_full)
        assert [each.text for each in await store.messages(case.id)][1:] == ["notice in tr"] * told


async def test_a_move_of_which_she_could_not_be_told_has_not_happened(
    store: Store, maria: StaffMember, elena: StaffMember
) -> None:
    case = await in_state(store, CaseState.WAITING, maria)
    for move in moves_of(store, case, maria, elena):
        before = await everything(store)
        with pytest.raises(InterruptedError):
            await move(cut_off)
        assert await everything(store) == before
        assert await move(in_full)
    await store.claim(case.id, maria.id)
    with pytest.raises(InterruptedError):
        await store.return_unread(await now(store, case), cut_off)
    assert (await now(store, case)).claimed_by == maria.id
    await store.close_case(case.id, None, "closed", maria.id)
    with pytest.raises(InterruptedError):
        await store.reopen(case.id, maria.id, cut_off)
    assert (await now(store, case)).state is CaseState.CLOSED


async def test_only_who_still_waits_is_told_that_nobody_has_come_and_each_time_once(
    store: Store, maria: StaffMember, clock: Clock
) -> None:
    case = await in_state(store, CaseState.WAITING, maria)
    assert case.waits_since == NOON
    assert await store.tell_waiting(case, 1, in_full)
    assert not await store.tell_waiting(case, 1, in_full)
    assert await store.claim(case.id, maria.id)
    assert not await store.tell_waiting(case, 2, in_full), "somebody has come"
    clock.forward(hours=1)
    assert await store.return_to_queue(case.id, maria.id)
    assert not await store.tell_waiting(case, 2, in_full), "it has only begun to wait again"
    again = await now(store, case)
    assert (again.waits_since, again.told) == (clock(), 0)
    assert await store.tell_waiting(again, 1, in_full)
    assert len(await store.messages(case.id)) == 3
    assert (await now(store, case)).told == 1


@pytest.mark.parametrize("first", [0, 1])
async def test_of_a_claim_and_a_waiting_message_at_once_she_never_hears_the_claim_first(
    store: Store, maria: StaffMember, first: int
) -> None:
    case = await in_state(store, CaseState.WAITING, maria)
    acts = [
        store.tell_waiting(case, 1, lambda _: "nobody has come"),
        store.claim(case.id, maria.id, lambda _: "somebody is here"),
    ]
    await won(*acts[first:], *acts[:first])
    told = [message.text for message in await store.messages(case.id)][1:]
    assert told in (["nobody has come", "somebody is here"], ["somebody is here"])


@pytest.mark.parametrize("covered", [False, True])
async def test_what_she_writes_at_a_screen_in_another_language_changes_that_of_her_case(
    store: Store, maria: StaffMember, covered: bool
) -> None:
    case = await in_state(store, CaseState.CLAIMED, maria)
    await store.add_from_woman(case.id, "hello", "2", language=None if covered else "en")
    assert await store.return_to_queue(case.id, maria.id, in_full)
    told = (await store.messages(case.id))[-1].text
    assert told == f"notice in {'tr' if covered else 'en'}"


# --- the bell ------------------------------------------------------------------------------------


async def test_a_new_case_rings_at_once_and_a_claimed_one_no_more(
    store: Store, maria: StaffMember, clock: Clock
) -> None:
    case = await in_state(store, CaseState.WAITING, maria)
    (ringing,) = await store.ringing(clock())
    assert (ringing.id, ringing.topic, ringing.place) == (case.id, None, None)
    assert await store.rung(ringing, 1, clock() + timedelta(minutes=2))
    assert await store.ringing(clock()) == []
    (again,) = await store.ringing(clock.forward(minutes=2))
    assert again.bell_round == 1
    await store.claim(case.id, maria.id)
    assert not await store.rung(again, 2, clock()), "claimed in the meantime"
    assert await store.ringing(clock.forward(minutes=14)) == []


async def test_whoever_loses_her_consultant_waits_and_rings_like_a_new_one(
    store: Store, maria: StaffMember, elena: StaffMember, clock: Clock
) -> None:
    for address, loses in {
        "1": lambda case: store.return_to_queue(case.id, maria.id),
        "2": lambda case: store.set_staff_state(maria.id, StaffState.FROZEN),
        "3": lambda case: store.change_staff(maria.id, "", [Role.STAFF], ["bg"]),
        "4": lambda case: store.remove_staff(maria.id),
    }.items():
        await store.set_staff_state(maria.id, StaffState.ACTIVE)
        case = await in_state(store, CaseState.CLAIMED, maria, address)
        clock.forward(minutes=5)
        await loses(case)
        kept = await now(store, case)
        assert (kept.state, kept.claimed_by, kept.bell_at, kept.bell_round) == (
            CaseState.WAITING, None, clock(), 0,
        )  # fmt: skip
        assert await store.claim(case.id, elena.id)


async def test_her_unread_words_ring_for_her_consultant_until_they_are_read_and_answered(
    store: Store, maria: StaffMember, clock: Clock
) -> None:
    case = await in_state(store, CaseState.CLAIMED, maria)
    await store.looked(case.id, maria.id)
    await store.add_from_woman(case.id, "още", "1")
    assert await store.ringing(clock.forward(seconds=119)) == []
    assert len(await store.ringing(clock.forward(seconds=1))) == 1
    await store.looked(case.id, maria.id)
    assert await store.ringing(clock.forward(seconds=899)) == []
    assert len(await store.ringing(clock.forward(seconds=1))) == 1
    await store.add_reply(case.id, maria.id, "да", "quiet")
    assert await store.ringing(clock.forward(days=1)) == []


async def test_more_words_bring_a_later_bell_forward_and_count_its_rounds_on(
    store: Store, maria: StaffMember, clock: Clock
) -> None:
    case = await in_state(store, CaseState.CLAIMED, maria)
    await store.looked(case.id, maria.id)
    await store.add_from_woman(case.id, "още", "1")
    for minutes, soon, rounds in ((8, 2, 2), (1, 1, 2), (60 * 60, 2, 0)):
        kept = await now(store, case)
        assert await store.rung(kept, 2, clock() + timedelta(minutes=minutes))
        await store.add_from_woman(case.id, "и още", f"after {minutes}")
        kept = await now(store, case)
        assert (kept.bell_at, kept.bell_round) == (clock() + timedelta(minutes=soon), rounds)


async def test_words_that_nobody_was_shown_ring_on_after_a_look_and_after_an_answer(
    store: Store, maria: StaffMember, clock: Clock
) -> None:
    case = await in_state(store, CaseState.CLAIMED, maria)
    await store.looked(case.id, maria.id)
    seen = await store.add_from_woman(case.id, "още", "1")
    assert seen is not None
    await store.add_from_woman(case.id, "и още", "2")
    await store.looked(case.id, maria.id, seen.number)
    assert ((kept := await now(store, case)).unread, kept.bell_round) == (1, 0)
    clock.forward(seconds=5)
    await store.add_reply(case.id, maria.id, "да", "crosses")
    assert (await now(store, case)).bell_at == clock() + timedelta(minutes=2)
    await store.looked(case.id, maria.id, 9999)
    kept = await now(store, case)
    assert (kept.unread, kept.unanswered, kept.bell_at) == (0, 0, None)


async def test_what_is_unanswered_rings_for_whoever_gets_it(
    store: Store, maria: StaffMember, elena: StaffMember, clock: Clock
) -> None:
    case = await in_state(store, CaseState.CLAIMED, maria)
    await store.looked(case.id, maria.id)
    await store.return_to_queue(case.id, maria.id)
    await store.claim(case.id, elena.id)
    assert (await now(store, case)).bell_at is None, "Maria has answered"
    await store.add_from_woman(case.id, "още", "1")
    await store.looked(case.id, elena.id)
    for gets_it in ("claims", "opens again"):
        if gets_it == "claims":
            await store.return_to_queue(case.id, elena.id)
            await store.claim(case.id, elena.id)
        else:
            await store.close_case(case.id, None, "bye", elena.id)
            await store.reopen(case.id, elena.id)
        assert (await now(store, case)).bell_at == clock() + timedelta(minutes=15), gets_it
        clock.forward(minutes=1)


async def test_it_is_not_closed_over_words_that_were_not_shown(
    store: Store, maria: StaffMember
) -> None:
    case = await in_state(store, CaseState.CLAIMED, maria)
    await store.looked(case.id, maria.id)
    new = await store.add_from_woman(case.id, "още", "1")
    assert new is not None
    assert await store.close_case(case.id, "край", "bye", maria.id, new.number - 1) is None
    assert (await now(store, case)).state is CaseState.CLAIMED
    assert await store.close_case(case.id, "край", "bye", maria.id, new.number)


@pytest.mark.parametrize("opens", ["looks", "answers"])
async def test_what_was_handed_over_rings_for_the_colleague_until_she_opens_it(
    store: Store, maria: StaffMember, elena: StaffMember, clock: Clock, opens: str
) -> None:
    case = await in_state(store, CaseState.CLAIMED, maria)
    await store.looked(case.id, maria.id)
    assert await store.transfer(case.id, maria.id, elena.id)
    handed = await now(store, case)
    assert (handed.claimed_by, handed.unread, handed.passed_at) == (elena.id, 1, clock())
    assert [each.id for each in await store.ringing(clock())] == [case.id]
    assert [each.id for each in await store.unopened(clock())] == [case.id]
    await store.looked(case.id, maria.id)
    assert await store.unopened(clock()), "who had it before does not open it for her"
    if opens == "looks":
        await store.looked(case.id, elena.id)
    else:
        await store.add_reply(case.id, elena.id, "аз съм", "1")
    assert await store.unopened(clock.forward(days=1)) == []
    unread = opens == "answers"
    assert len(await store.ringing(clock())) == unread, "she has not read what was said before"


# --- opened again --------------------------------------------------------------------------------


async def test_a_case_opened_again_is_the_same_and_waits_until_she_is_there(
    store: Store, maria: StaffMember, clock: Clock
) -> None:
    case = await in_state(store, CaseState.CLOSED, maria)
    clock.forward(hours=3)
    again = await store.reopen(case.id, maria.id)
    assert (again.id, again.alias, again.claimed_by) == (case.id, case.alias, maria.id)
    assert (again.closed_at, again.last_at, again.absent_since) == (None, clock(), clock())
    await store.add_reply(case.id, maria.id, "пак съм тук", "2")
    assert await store.due(clock()) == []
    await store.set_present(case.id, True)
    (due,) = await store.due(clock())
    assert not due.ended


async def test_each_close_says_good_bye(store: Store, maria: StaffMember) -> None:
    case = await in_state(store, CaseState.CLOSED, maria)
    await store.reopen(case.id, maria.id)
    await store.close_case(case.id, "довиждане", "bye", maria.id)
    assert [m.text for m in await store.messages(case.id)].count("довиждане") == 2


async def test_what_nobody_can_read_any_more_is_not_opened_again(
    store: Store, maria: StaffMember, clock: Clock, vault: Vault
) -> None:
    lost = await in_state(store, CaseState.CLOSED, maria)
    assert await store.has_text(lost.id)
    vault.destroy_day(clock().date())
    assert not await store.has_text(lost.id)
    purged = await in_state(store, CaseState.CLOSED, maria, "2")
    await store.purge(clock.forward(days=3))
    for case_id in (lost.id, purged.id, "gone"):
        with pytest.raises(TextGone):
            await store.reopen(case_id, maria.id)


async def test_she_has_one_open_case_whoever_opens_it(store: Store, maria: StaffMember) -> None:
    old = await in_state(store, CaseState.CLOSED, maria)
    await in_state(store, CaseState.WAITING, maria)
    with pytest.raises(OtherCaseOpen):
        await store.reopen(old.id, maria.id)
    assert (await now(store, old)).state is CaseState.CLOSED


# --- her window ----------------------------------------------------------------------------------


async def test_one_window_covers_her_older_case_too(store: Store, maria: StaffMember) -> None:
    old = await in_state(store, CaseState.CLOSED, maria)
    new = await in_state(store, CaseState.WAITING, maria)
    other = await in_state(store, CaseState.CLOSED, maria, "another woman")
    assert {due.case_id for due in await store.due(NOON)} == {old.id, other.id}
    await store.set_present(new.id, False)
    assert {due.case_id for due in await store.due(NOON)} == {other.id}


async def test_how_long_she_is_away_is_known_of_open_cases_only(
    store: Store, maria: StaffMember, clock: Clock
) -> None:
    case, closed = [
        await in_state(store, state, maria, state)
        for state in (CaseState.CLAIMED, CaseState.CLOSED)
    ]
    for each in (case, closed):
        await store.set_present(each.id, False)
    left = clock()
    clock.forward(minutes=5)
    await store.set_present(case.id, False)
    await store.take_over("telegram")
    assert (await now(store, case)).absent_since == left
    assert (await now(store, closed)).absent_since is None
    await store.set_present(case.id, True)
    assert (await now(store, case)).absent_since is None
    clock.forward(minutes=5)
    await store.take_over("telegram")
    assert (await now(store, case)).absent_since == clock()


async def test_she_is_rung_once_until_she_comes_back(store: Store, maria: StaffMember) -> None:
    case = await store.open_case("web", "1", "bg", None, None, "река", Nudge("am", "words"))
    assert case.nudge == Nudge("am", "words")
    assert not await store.nudged(case.id), "she is here"
    await store.set_present(case.id, False)
    assert [await store.nudged(case.id) for _ in range(2)] == [True, False]
    await store.set_present(case.id, True)
    await store.set_present(case.id, False)
    assert await store.nudged(case.id)
    await store.close_case(case.id, None, "bye")
    assert not await store.nudged(case.id)


@pytest.mark.parametrize("closed", [False, True])
async def test_who_stopped_in_that_moment_is_not_rung(
    store: Store, maria: StaffMember, closed: bool
) -> None:
    ring = Nudge("am", "words")
    case = await store.open_case("telegram", "1", "bg", None, None, "река", ring)
    other = await store.open_case("telegram", "2", "bg", None, None, "камък", ring)
    for each in (case, other):
        await store.set_present(each.id, False)
    await store.claim(case.id, maria.id)
    if closed:
        await store.close_case(case.id, None, "bye")
    assert await store.unsubscribe("telegram", "1") == []
    if closed:  # its consultant goes on with it
        assert await store.reopen(case.id, maria.id)
        await store.set_present(case.id, False)
    assert not await store.nudged(case.id)
    assert (await now(store, case)).nudge is None
    assert await store.nudged(other.id)


# --- who is shut out -----------------------------------------------------------------------------


async def shut_out(store: Store, case: Case) -> bool:
    said = len(await store.messages(case.id))
    try:
        await store.add_from_woman(case.id, "още", f"{store._now()}")
    except Blocked:
        assert len(await store.messages(case.id)) == said
        assert await store.blocked("telegram", ADDRESS)
        return True
    return False


async def test_a_block_lasts_until_its_time(store: Store, maria: StaffMember, clock: Clock) -> None:
    case = await in_state(store, CaseState.CLAIMED, maria)
    await store.block(case.id, clock() + timedelta(hours=1))
    assert await shut_out(store, case)
    block = await store.block_of(case.id)
    assert block is not None
    assert block.until == clock() + timedelta(hours=1)
    await store.close_case(case.id, None, "bye")
    with pytest.raises(Blocked):
        await store.open_case("telegram", ADDRESS, "bg", None, None, "друга")
    assert not await store.blocked("viber", ADDRESS)
    clock.forward(hours=1)
    assert await store.block_of(case.id) is None
    again = await store.open_case("telegram", ADDRESS, "bg", None, None, "друга")
    assert not await shut_out(store, again)


async def test_a_block_for_the_case_lasts_while_it_is_open(
    store: Store, maria: StaffMember
) -> None:
    case = await in_state(store, CaseState.CLAIMED, maria)
    await store.block(case.id, None)
    assert await shut_out(store, case)
    await store.close_case(case.id, None, "bye")
    assert not await store.blocked("telegram", ADDRESS)
    await store.reopen(case.id, maria.id)
    assert await shut_out(store, case), "the same case again"
    await store.unblock(case.id)
    assert not await shut_out(store, case)
    assert await store.block_of(case.id) is None


async def test_the_newest_block_counts(store: Store, maria: StaffMember, clock: Clock) -> None:
    case = await in_state(store, CaseState.CLAIMED, maria)
    await store.block(case.id, clock() + timedelta(days=7))
    await store.block(case.id, clock() + timedelta(hours=1))
    clock.forward(hours=1)
    assert not await shut_out(store, case)


async def test_deleting_everything_shakes_off_no_block_that_has_a_time(
    store: Store, maria: StaffMember, clock: Clock
) -> None:
    before = await everything(store)
    case = await in_state(store, CaseState.CLAIMED, maria)
    await store.block(case.id, clock() + timedelta(days=7))
    await store.forget("telegram", ADDRESS)
    with pytest.raises(Blocked):
        await store.open_case("telegram", ADDRESS, "bg", None, None, "друга")
    left = await everything(store) - before
    index = store._index("telegram", ADDRESS)
    assert [row[:3] for row in left if index in row] == [("blocks", index, None)]
    clock.forward(days=7)
    assert (await store.purge(clock())).blocks == 1
    assert not [row for row in await everything(store) if index in row]


async def test_a_block_for_the_case_is_deleted_with_it(store: Store, maria: StaffMember) -> None:
    case = await in_state(store, CaseState.CLAIMED, maria)
    await store.block(case.id, None)
    await store.forget("telegram", ADDRESS)
    assert not [row for row in await everything(store) if row[0] == "blocks"]
    assert (await in_state(store, CaseState.WAITING, maria)).id != case.id
