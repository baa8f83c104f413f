"""What was said, changed afterwards: at the desk at once, in her chat by an outbox row."""

from __future__ import annotations

from datetime import timedelta

import pytest

from bot.storage.messages import SEEN
from bot.storage.records import (
    Author,
    CannotBeUndone,
    Case,
    CaseClosed,
    CaseMessage,
    Due,
    Medium,
    MediumKind,
    MessageState,
    NotStanding,
    NotYours,
    OnItsWay,
    StaffMember,
    What,
)
from bot.storage.store import Store
from tests.bot.storage.conftest import Clock, everything, rows

HER = ("telegram", "7301999555")


async def opened(store: Store, address: str = HER[1]) -> Case:
    return await store.open_case("telegram", address, "bg", None, None, "тиха река")


async def claimed(store: Store, by: StaffMember) -> Case:
    case = await opened(store)
    assert await store.claim(case.id, by.id)
    return case


async def only(store: Store, case: Case) -> CaseMessage:
    (message,) = await store.messages(case.id)
    return message


async def due(store: Store, clock: Clock) -> Due:
    (found,) = await store.due(clock())
    return found


async def sent(store: Store, clock: Clock, case: Case, by: StaffMember) -> CaseMessage:
    """A reply that stands in her chat under the handle 41."""
    message = await store.add_reply(case.id, by.id, "Утре в 9.", "k")
    row = await due(store, clock)
    assert await store.take(row.outbox_id, "here")
    await store.add_handles(case.id, ["41"], message.id)
    await store.settle(row.outbox_id, MessageState.SENT)
    return message


# --- hers --------------------------------------------------------------------------------------


async def test_her_edit_replaces_her_words_and_the_old_ones_are_nowhere(store: Store) -> None:
    case = await opened(store)
    await store.add_from_woman(case.id, "Казвам се Мария", "k", handle="7")
    assert await store.edit_from_woman(*HER, "7", "Не искам да кажа")
    message = await only(store, case)
    assert (message.text, message.edited, message.covered) == ("Не искам да кажа", True, False)
    assert "искам" not in str(await everything(store))


async def test_an_edit_to_nothing_leaves_no_words(store: Store) -> None:
    case = await opened(store)
    await store.add_from_woman(case.id, "Казвам се Мария", "k", handle="7")
    assert await store.edit_from_woman(*HER, "7", "")
    assert (await only(store, case)).text == ""


async def test_the_same_edit_twice_changes_nothing(store: Store) -> None:
    case = await opened(store)
    await store.add_from_woman(case.id, "едно", "k", handle="7")
    await store.edit_from_woman(*HER, "7", "две")
    before = await everything(store)
    assert not await store.edit_from_woman(*HER, "7", "две")
    assert await everything(store) == before


async def test_an_edit_of_what_is_no_message_of_an_open_case_writes_nothing(
    store: Store, maria: StaffMember, clock: Clock
) -> None:
    case = await claimed(store, maria)
    await store.add_from_woman(case.id, "едно", "k", handle="7")
    await store.add_reply(case.id, maria.id, "наше", "k")
    await store.add_handles(case.id, ["41"], (await store.messages(case.id))[-1].id)
    before = await everything(store)
    for address, handle in ((HER[1], "8"), (HER[1], "41"), ("another", "7")):
        assert not await store.edit_from_woman("telegram", address, handle, "две")
    assert await everything(store) == before
    await store.close_case(case.id, None, "bye")
    before = await everything(store)
    assert not await store.edit_from_woman(*HER, "7", "две")
    assert await everything(store) == before


async def test_who_is_shut_out_edits_nothing(store: Store, clock: Clock) -> None:
    case = await opened(store)
    await store.add_from_woman(case.id, "едно", "k", handle="7")
    await store.block(case.id, clock() + timedelta(hours=1))
    assert not await store.edit_from_woman(*HER, "7", "две")
    assert (await only(store, case)).text == "едно"


async def test_an_edit_is_news_where_the_words_were_read_and_words_remain(
    store: Store, maria: StaffMember, clock: Clock
) -> None:
    case = await claimed(store, maria)
    await store.add_from_woman(case.id, "едно", "k", handle="7")
    await store.looked(case.id, maria.id)
    clock.forward(minutes=5)
    await store.edit_from_woman(*HER, "7", "две")
    now = await store.case(case.id)
    assert now is not None
    assert (now.unread, now.last_woman_at, now.bell_at is None) == (1, clock(), False)
    await store.looked(case.id, maria.id)
    await store.edit_from_woman(*HER, "7", "")
    now = await store.case(case.id)
    assert now is not None
    assert (now.unread, now.bell_round) == (0, SEEN), "it has been seen, and is not answered"


async def test_an_edit_under_a_cover_is_marked(store: Store) -> None:
    case = await opened(store)
    await store.add_from_woman(case.id, "едно", "k", handle="7")
    await store.edit_from_woman(*HER, "7", "две", covered=True)
    assert (await only(store, case)).covered


async def test_an_edited_photo_keeps_its_photo(store: Store) -> None:
    case = await opened(store)
    photo = Medium(MediumKind.PHOTO, b"jpeg")
    message = await store.add_from_woman(case.id, "", "k", handle="7", medium=photo)
    assert message is not None
    assert not await store.edit_from_woman(*HER, "7", "")
    assert await store.medium(message.id) == photo


# --- the consultant's --------------------------------------------------------------------------


async def test_what_waits_is_corrected_in_place_and_said_once(
    store: Store, maria: StaffMember, clock: Clock
) -> None:
    case = await claimed(store, maria)
    message = await store.add_reply(case.id, maria.id, "Утре в 9.", "k")
    assert await store.correct(case.id, maria.id, message.id, "Утре в 10.")
    row = await due(store, clock)
    assert (row.what, row.message.text) == (What.SAY, "Утре в 10.")


async def test_what_waits_and_is_taken_back_is_never_sent(
    store: Store, maria: StaffMember, clock: Clock
) -> None:
    case = await claimed(store, maria)
    voice = Medium(MediumKind.VOICE, b"ogg")
    message = await store.add_reply(case.id, maria.id, "Глас.", "k", voice)
    assert await store.take_back(case.id, maria.id, message.id)
    assert not await store.take_back(case.id, maria.id, message.id)
    assert await store.due(clock()) == []
    assert await store.medium(message.id) is None
    assert (await only(store, case)).state is MessageState.TAKEN_BACK


@pytest.mark.parametrize(
    ("what", "waits", "done", "failed"),
    [
        (What.CORRECT, MessageState.CORRECTING, MessageState.SENT, MessageState.UNCORRECTED),
        (What.TAKE_BACK, MessageState.TAKING_BACK, MessageState.TAKEN_BACK, MessageState.NOT_TAKEN),
    ],
    ids=["correct", "take back"],
)
async def test_what_was_sent_is_changed_in_her_chat_and_a_failure_says_so_and_can_be_repeated(
    store: Store, maria: StaffMember, clock: Clock,
    what: What, waits: MessageState, done: MessageState, failed: MessageState,
) -> None:  # fmt: skip
    case = await claimed(store, maria)
    message = await sent(store, clock, case, maria)
    for told, ends in ((MessageState.FAILED, failed), (MessageState.SENT, done)):
        await mends(store, what, case, maria, message)
        assert (await only(store, case)).state is waits
        row = await due(store, clock)
        assert (row.what, row.handle) == (what, "41")
        assert await store.take(row.outbox_id, "here")
        await store.settle(row.outbox_id, told)
        assert (await only(store, case)).state is ends
        assert await store.due(clock()) == []


async def mends(
    store: Store, what: What, case: Case, by: StaffMember, message: CaseMessage, **other: bool
) -> bool:
    if what is What.CORRECT:
        return await store.correct(case.id, by.id, message.id, "Утре в 10.", **other)
    return await store.take_back(case.id, by.id, message.id, **other)


MENDS = pytest.mark.parametrize("what", [What.CORRECT, What.TAKE_BACK])


@MENDS
async def test_what_is_just_being_sent_is_left_alone(
    store: Store, maria: StaffMember, clock: Clock, what: What
) -> None:
    case = await claimed(store, maria)
    message = await store.add_reply(case.id, maria.id, "Утре в 9.", "k")
    assert await store.take((await due(store, clock)).outbox_id, "here")
    with pytest.raises(OnItsWay):
        await mends(store, what, case, maria, message)
    assert (await only(store, case)).text == "Утре в 9."


async def test_what_is_corrected_after_it_was_found_due_is_taken_as_it_says_now(
    store: Store, maria: StaffMember, clock: Clock
) -> None:
    case = await claimed(store, maria)
    message = await store.add_reply(case.id, maria.id, "Утре в 9.", "k")
    for words, what in (("Утре в 10.", What.SAY), ("Утре в 12.", What.CORRECT)):
        found = await due(store, clock)
        assert await store.correct(case.id, maria.id, message.id, words)
        taken = await store.take(found.outbox_id, "here")
        assert taken is not None
        assert (taken.what, taken.message.text) == (what, words)
        if what is What.SAY:
            await store.add_handles(case.id, ["41"], message.id)
            await store.settle(found.outbox_id, MessageState.SENT, taken.lease)
            assert await store.correct(case.id, maria.id, message.id, "Утре в 11.")
        else:
            assert taken.handle == "41"


@MENDS
async def test_what_is_taken_back_after_it_was_found_due_is_taken_no_more(
    store: Store, maria: StaffMember, clock: Clock, what: What
) -> None:
    case = await claimed(store, maria)
    if what is What.CORRECT:
        message = await sent(store, clock, case, maria)
        await store.correct(case.id, maria.id, message.id, "Утре в 10.")
    else:
        message = await store.add_reply(case.id, maria.id, "Утре в 9.", "k")
    found = await due(store, clock)
    assert await store.take_back(case.id, maria.id, message.id)
    assert await store.take(found.outbox_id, "here") is None


@MENDS
async def test_what_was_sent_into_a_chat_that_keeps_everything_stays_and_keeps_its_words(
    store: Store, maria: StaffMember, clock: Clock, what: What
) -> None:
    case = await claimed(store, maria)
    message = await sent(store, clock, case, maria)
    with pytest.raises(CannotBeUndone):
        await mends(store, what, case, maria, message, lasting=True)
    now = await only(store, case)
    assert (now.text, now.state) == ("Утре в 9.", MessageState.SENT)
    waits = await store.add_reply(case.id, maria.id, "Утре в 11.", "k2")
    assert await mends(store, what, case, maria, waits, lasting=True)


@MENDS
async def test_where_it_was_removed_from_her_chat_nothing_is_to_be_done(
    store: Store, maria: StaffMember, clock: Clock, what: What
) -> None:
    case = await claimed(store, maria)
    message = await sent(store, clock, case, maria)
    await store.drop_handles(*HER, ["41"])
    assert await mends(store, what, case, maria, message)
    ends = MessageState.SENT if what is What.CORRECT else MessageState.TAKEN_BACK
    assert (await only(store, case)).state is ends
    assert await store.due_count(case.id) == 0


@MENDS
async def test_what_is_removed_from_her_chat_while_its_correction_waits_is_settled_by_that(
    store: Store, maria: StaffMember, clock: Clock, what: What
) -> None:
    case = await claimed(store, maria)
    message = await sent(store, clock, case, maria)
    await mends(store, what, case, maria, message)
    await store.add_reply(case.id, maria.id, "и още", "k2")
    await store.drop_handles(*HER, ["41"])
    ends = MessageState.SENT if what is What.CORRECT else MessageState.TAKEN_BACK
    assert [each.state for each in await store.messages(case.id)] == [ends, MessageState.DUE]
    assert (await due(store, clock)).what is What.SAY


@MENDS
async def test_what_was_cut_off_is_made_once_more_after_the_start(
    store: Store, maria: StaffMember, clock: Clock, what: What
) -> None:
    case = await claimed(store, maria)
    message = await sent(store, clock, case, maria)
    await mends(store, what, case, maria, message)
    assert await store.take((await due(store, clock)).outbox_id, "here")
    assert await store.recover() == 0
    assert (await due(store, clock)).what is what


async def test_a_correction_goes_before_what_was_said_after_it_and_is_replaced_by_the_next(
    store: Store, maria: StaffMember, clock: Clock
) -> None:
    case = await claimed(store, maria)
    message = await sent(store, clock, case, maria)
    await store.correct(case.id, maria.id, message.id, "Утре в 10.")
    await store.add_reply(case.id, maria.id, "и още", "k2")
    await store.correct(case.id, maria.id, message.id, "Утре в 11.")
    row = await due(store, clock)
    assert (row.what, row.message.text) == (What.CORRECT, "Утре в 11.")
    await store.take_back(case.id, maria.id, message.id)
    assert (await due(store, clock)).what is What.TAKE_BACK
    with pytest.raises(NotStanding):
        await store.correct(case.id, maria.id, message.id, "Утре в 12.")


@MENDS
async def test_nobody_changes_what_another_has_said_or_what_was_never_for_her(
    store: Store, maria: StaffMember, elena: StaffMember, clock: Clock, what: What
) -> None:
    case = await claimed(store, maria)
    message = await sent(store, clock, case, maria)
    note = await store.add_note(case.id, maria.id, "бележка", "n")
    hers = await store.add_from_woman(case.id, "нейно", "w", handle="7")
    notice = await store.add_notice(case.id, "от линията", "c")
    assert hers is not None
    assert notice is not None
    with pytest.raises(NotYours):
        await mends(store, what, case, elena, message)
    for other in (note, hers, notice):
        with pytest.raises(NotStanding):
            await mends(store, what, case, maria, other)
    await store.transfer(case.id, maria.id, elena.id)
    with pytest.raises(NotStanding):
        await mends(store, what, case, elena, message)
    await store.transfer(case.id, elena.id, maria.id)
    await store.close_case(case.id, None, "bye")
    with pytest.raises(CaseClosed):
        await mends(store, what, case, maria, message)
    texts = {each.text for each in await store.messages(case.id)}
    assert texts == {"Утре в 9.", "бележка", "нейно", "от линията"}


@MENDS
@pytest.mark.parametrize("state", [MessageState.UNKNOWN, MessageState.FAILED])
async def test_what_waits_for_a_decision_is_decided_first(
    store: Store, maria: StaffMember, clock: Clock, what: What, state: MessageState
) -> None:
    case = await claimed(store, maria)
    message = await store.add_reply(case.id, maria.id, "Утре в 9.", "k")
    await store.settle((await due(store, clock)).outbox_id, state)
    with pytest.raises(NotStanding):
        await mends(store, what, case, maria, message)


async def test_a_voice_is_taken_back_but_not_corrected(
    store: Store, maria: StaffMember, clock: Clock
) -> None:
    case = await claimed(store, maria)
    voice = Medium(MediumKind.VOICE, b"ogg")
    message = await store.add_reply(case.id, maria.id, "Глас.", "k", voice)
    with pytest.raises(NotStanding):
        await store.correct(case.id, maria.id, message.id, "друго")
    assert await store.take_back(case.id, maria.id, message.id)


async def test_a_correction_is_sealed(store: Store, maria: StaffMember, clock: Clock) -> None:
    case = await claimed(store, maria)
    message = await sent(store, clock, case, maria)
    await store.correct(case.id, maria.id, message.id, "Чакам те на гарата")
    kept = await rows(store, "SELECT text FROM messages")
    assert all("гарата".encode() not in bytes(text) for (text,) in kept)
    assert (await only(store, case)).author is Author.CONSULTANT
