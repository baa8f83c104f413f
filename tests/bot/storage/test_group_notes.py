"""Who is to leave the desk's Telegram group is noted with the change of her account."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import timedelta

import pytest

from bot.privacy.retention import GROUP_NOTES
from bot.storage.records import Role, StaffMember, StaffState, Wish
from bot.storage.store import Store
from tests.bot.storage.conftest import Clock, consultant, everything, rows

PHONE, OTHER = "7000001", "7000002"
Act = Callable[[Store, str], Awaitable[object]]


async def linked(store: Store, member: StaffMember, phone: str = PHONE) -> None:
    await store.offer_bell(member.id, b"code", store._now() + timedelta(minutes=10))
    assert await store.link_bell(b"code", phone)


async def settled(store: Store) -> None:
    """The group's keeper has done what there was."""
    for note in await store.group_notes():
        if note.wish is not Wish.NONE:
            await store.group_note_done(note)


async def noted(store: Store) -> dict[str, Wish]:
    return {note.address: note.wish for note in await store.group_notes()}


async def froze(store: Store, staff_id: str) -> None:
    await store.set_staff_state(staff_id, StaffState.FROZEN)


async def thawed(store: Store, staff_id: str) -> None:
    await store.set_staff_state(staff_id, StaffState.ACTIVE)


async def removed(store: Store, staff_id: str) -> None:
    await store.remove_staff(staff_id)


async def lost_the_role(store: Store, staff_id: str) -> None:
    await store.change_staff(staff_id, "", [Role.STAFF], ["bg"])


async def got_the_role(store: Store, staff_id: str) -> None:
    await store.change_staff(staff_id, "", [Role.STAFF, Role.CONSULTANT], ["bg"])


LEAVING = [froze, removed, lost_the_role]


@pytest.mark.parametrize("act", LEAVING)
async def test_whoever_may_not_work_here_any_more_is_to_leave(
    store: Store, maria: StaffMember, elena: StaffMember, act: Act
) -> None:
    await linked(store, maria)
    await linked(store, elena, OTHER)
    await settled(store)
    await act(store, maria.id)
    (note,) = await store.group_notes()
    assert (note.address, note.wish, note.staff_id) == (PHONE, Wish.OUT, maria.id)
    assert (note.name, note.refused) == ("maria", False)


@pytest.mark.parametrize("act", LEAVING)
async def test_without_a_linked_phone_there_is_nobody_to_put_out(
    store: Store, maria: StaffMember, act: Act
) -> None:
    await act(store, maria.id)
    assert await store.group_notes() == []


@pytest.mark.parametrize("act", LEAVING)
async def test_a_phone_that_was_hers_once_leaves_with_her(
    store: Store, maria: StaffMember, act: Act
) -> None:
    """A thief who blocks the bot first, or a telephone that she sold, reads on otherwise."""
    await linked(store, maria)
    await linked(store, maria, OTHER)
    await store.unlink_bell(maria.id)
    await settled(store)
    assert await noted(store) == {PHONE: Wish.NONE, OTHER: Wish.NONE}
    await act(store, maria.id)
    assert await noted(store) == {PHONE: Wish.OUT, OTHER: Wish.OUT}


async def test_who_changes_nothing_of_it_stays(store: Store, maria: StaffMember) -> None:
    await linked(store, maria)
    await settled(store)
    await store.change_staff(maria.id, "Мими", [Role.CONSULTANT, Role.STAFF], ["tr"])
    assert await noted(store) == {}


@pytest.mark.parametrize(("away", "again"), [(froze, thawed), (lost_the_role, got_the_role)])
@pytest.mark.parametrize("done", [False, True])
async def test_who_works_here_again_may_come_back(
    store: Store, maria: StaffMember, away: Act, again: Act, done: bool
) -> None:
    await linked(store, maria)
    await away(store, maria.id)
    if done:
        await settled(store)
    await again(store, maria.id)
    assert await noted(store) == {PHONE: Wish.BACK}


async def test_a_phone_that_is_linked_again_may_come_back(
    store: Store, maria: StaffMember, elena: StaffMember
) -> None:
    await linked(store, maria)
    await froze(store, maria.id)
    await linked(store, elena)
    assert await noted(store) == {PHONE: Wish.BACK}


async def test_a_phone_that_somebody_links_who_answers_no_women_leaves_all_the_same(
    store: Store, maria: StaffMember, elena: StaffMember
) -> None:
    await lost_the_role(store, elena.id)
    await linked(store, maria)
    await froze(store, maria.id)
    await linked(store, elena)
    assert await noted(store) == {PHONE: Wish.OUT}


async def test_who_is_thawed_and_answers_no_women_has_no_business_there(
    store: Store, maria: StaffMember
) -> None:
    await linked(store, maria)
    await lost_the_role(store, maria.id)
    await settled(store)
    await froze(store, maria.id)
    await thawed(store, maria.id)
    assert await noted(store) == {PHONE: Wish.OUT}


async def test_what_is_wished_while_telegram_is_asked_is_not_lost(
    store: Store, maria: StaffMember
) -> None:
    await linked(store, maria)
    await froze(store, maria.id)
    (asked,) = await store.group_notes()
    await thawed(store, maria.id)
    await store.group_note_refused(asked)
    await store.group_note_done(asked)
    (note,) = await store.group_notes()
    assert (note.wish, note.refused) == (Wish.BACK, False)


async def test_a_phone_that_is_unlinked_while_it_is_let_back_leaves_when_its_owner_does(
    store: Store, maria: StaffMember
) -> None:
    await linked(store, maria)
    (asked,) = await store.group_notes()
    await linked(store, maria, OTHER)
    await froze(store, maria.id)
    await store.group_note_done(asked)
    assert await noted(store) == {PHONE: Wish.OUT, OTHER: Wish.OUT}


async def test_who_is_frozen_and_then_removed_is_tried_anew(
    store: Store, maria: StaffMember
) -> None:
    await linked(store, maria)
    await froze(store, maria.id)
    (note,) = await store.group_notes()
    await store.group_note_refused(note)
    assert (await store.group_notes())[0].refused
    await store.remove_staff(maria.id)
    (note,) = await store.group_notes()
    assert (note.wish, note.refused, note.name) == (Wish.OUT, False, "maria")


async def test_of_who_is_removed_nothing_stays_once_she_is_out(
    store: Store, maria: StaffMember, clock: Clock
) -> None:
    await linked(store, maria)
    await store.remove_staff(maria.id)
    assert PHONE.encode() not in str(await everything(store)).encode()
    await store.purge(clock())
    assert await noted(store) == {PHONE: Wish.OUT}, "the account is gone, she is not"
    await settled(store)
    counts = await store.counts()
    assert (counts["staff"], counts["group_notes"]) == (0, 0)


async def test_a_note_has_an_end(store: Store, maria: StaffMember, clock: Clock) -> None:
    await linked(store, maria)
    await store.unlink_bell(maria.id)
    await store.purge(clock.forward(days=GROUP_NOTES.days, minutes=-1))
    assert await noted(store) == {PHONE: Wish.NONE}
    assert (await store.purge(clock.forward(minutes=1))).group_notes == 1
    assert await noted(store) == {}


async def test_who_still_reads_there_is_not_forgotten(
    store: Store, maria: StaffMember, clock: Clock
) -> None:
    await linked(store, maria)
    await store.remove_staff(maria.id)
    await store.purge(clock.forward(days=400))
    assert await noted(store) == {PHONE: Wish.OUT}


async def test_where_there_is_no_group_nothing_is_kept(store: Store, maria: StaffMember) -> None:
    await linked(store, maria)
    await store.remove_staff(maria.id)
    await store.drop_group_notes()
    assert (await store.counts())["group_notes"] == 0


async def test_a_note_that_cannot_be_opened_keeps_no_other_in(
    store: Store, maria: StaffMember
) -> None:
    anna = await consultant(store, "anna")
    await linked(store, anna)
    await linked(store, maria, OTHER)
    for member in (anna, maria):
        await froze(store, member.id)
    await rows(store, "UPDATE group_notes SET staff_id = 'x' WHERE name = 'anna'")
    assert await noted(store) == {OTHER: Wish.OUT}
