"""What a consultant can do, and what nobody may."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from bot.desk.service import (
    MAX_WORDS,
    EmptyText,
    NoSuchCase,
    NotAllowed,
    NothingToDecide,
    SentAlready,
    TextTooLong,
    WrittenSince,
)
from bot.storage.records import (
    Author,
    CaseClosed,
    CaseState,
    MessageState,
    NotYours,
    Role,
    StaffState,
)
from tests.bot.desk import Centre, a_centre


@pytest.fixture
async def centre(tmp_path: Path) -> AsyncIterator[Centre]:
    async with a_centre(tmp_path) as made:
        yield made


async def test_a_waiting_case_tells_no_topic_no_municipality_and_no_words(centre: Centre) -> None:
    maria = await centre.person("maria")
    case = await centre.woman("тих орех", "Страх ме е.")
    listed = (await centre.desk.waiting(maria))[0]
    view = await centre.desk.open(maria, case.id)
    assert (listed.topic, listed.place) == (None, None)
    assert (view.case.topic, view.case.place, view.messages) == (None, None, ())


async def test_who_has_waited_longest_stands_first(centre: Centre) -> None:
    maria = await centre.person("maria")
    first = await centre.woman("първа")
    centre.clock.passes(minutes=3)
    second = await centre.woman("втора")
    listed = await centre.desk.waiting(maria)
    assert [case.id for case in listed] == [first.id, second.id]
    assert centre.desk.age(first).total_seconds() == 180


async def test_after_the_claim_she_is_told_and_the_consultant_sees_all(centre: Centre) -> None:
    maria = await centre.person("maria")
    case = await centre.woman("тих орех", "Мога ли да питам?")
    assert await centre.desk.claim(maria, case.id)
    view = await centre.desk.open(maria, case.id)
    assert (view.case.topic, view.case.place) == ("topic.order", "rse27")
    assert [m.author for m in view.messages] == [Author.WOMAN, Author.SYSTEM]
    assert centre.woken


async def test_one_case_has_one_consultant(centre: Centre) -> None:
    maria, elena = await centre.person("maria"), await centre.person("elena")
    case = await centre.woman("тих орех")
    assert await centre.desk.claim(maria, case.id)
    assert not await centre.desk.claim(elena, case.id)
    assert (await centre.case(case)).claimed_by == maria.id


async def test_a_second_press_of_claim_changes_nothing(centre: Centre) -> None:
    maria = await centre.person("maria")
    case = await centre.woman("тих орех")
    assert await centre.desk.claim(maria, case.id)
    assert await centre.desk.claim(maria, case.id)
    assert len((await centre.desk.open(maria, case.id)).messages) == 1


async def test_the_case_of_a_colleague_is_refused_and_noted(centre: Centre) -> None:
    maria, elena = await centre.person("maria"), await centre.person("elena")
    case = await centre.woman("тих орех", "Тайно.")
    await centre.desk.claim(maria, case.id)
    for attempt in (
        centre.desk.open(elena, case.id),
        centre.desk.reply(elena, case.id, "Здравей", "k"),
        centre.desk.note(elena, case.id, "нещо", "k"),
        centre.desk.close(elena, case.id),
        centre.desk.looked(elena, case.id),
    ):
        with pytest.raises(NotYours):
            await attempt
    assert (await centre.audited()).count((elena.id, "refused.case")) == 5
    assert (await centre.case(case)).state is CaseState.CLAIMED


async def test_nobody_answers_a_case_that_still_waits(centre: Centre) -> None:
    maria = await centre.person("maria")
    case = await centre.woman("тих орех")
    with pytest.raises(NotYours):
        await centre.desk.reply(maria, case.id, "Здравей", "k")


async def test_a_reply_sent_twice_reaches_her_once(centre: Centre) -> None:
    maria = await centre.person("maria")
    case = await centre.woman("тих орех")
    await centre.desk.claim(maria, case.id)
    await centre.send_all()
    first = await centre.desk.reply(maria, case.id, "Здравей.", "same")
    second = await centre.desk.reply(maria, case.id, "Здравей.", "same")
    assert first.id == second.id
    assert await centre.send_all() == ["Здравей."]


async def test_a_key_that_comes_again_with_other_words_is_refused(centre: Centre) -> None:
    maria = await centre.person("maria")
    case = await centre.woman("тих орех")
    await centre.desk.claim(maria, case.id)
    await centre.send_all()
    for write in (centre.desk.reply, centre.desk.note):
        await write(maria, case.id, "Здравей.", "same")
        with pytest.raises(SentAlready):
            await write(maria, case.id, "Здравей. Как си?", "same")
    assert await centre.send_all() == ["Здравей."]


async def test_an_internal_note_is_never_sent(centre: Centre) -> None:
    maria = await centre.person("maria")
    case = await centre.woman("тих орех")
    await centre.desk.claim(maria, case.id)
    await centre.send_all()
    note = await centre.desk.note(maria, case.id, "Две деца.", "k")
    assert (note.author, note.state) == (Author.NOTE, MessageState.KEPT)
    assert await centre.send_all() == []


async def test_two_women_on_one_desk_do_not_cross(centre: Centre) -> None:
    maria = await centre.person("maria")
    one, two = await centre.woman("една", "първо"), await centre.woman("друга", "второ")
    for case in (one, two):
        await centre.desk.claim(maria, case.id)
    await centre.desk.reply(maria, two.id, "за друга", "k")
    await centre.desk.reply(maria, one.id, "за една", "k")
    said = {
        case.alias: [m.text for m in (await centre.desk.open(maria, case.id)).messages]
        for case in (one, two)
    }
    assert "за една" in said["една"]
    assert "за друга" not in said["една"]
    assert "за друга" in said["друга"]


async def test_after_the_close_nothing_more_goes_to_her(centre: Centre) -> None:
    maria = await centre.person("maria")
    case = await centre.woman("тих орех")
    await centre.desk.claim(maria, case.id)
    await centre.desk.close(maria, case.id)
    await centre.desk.close(maria, case.id)
    before = len((await centre.desk.open(maria, case.id)).messages)
    with pytest.raises(CaseClosed):
        await centre.desk.reply(maria, case.id, "Още нещо", "k")
    with pytest.raises(CaseClosed):
        await centre.desk.claim(maria, case.id)
    assert len((await centre.desk.open(maria, case.id)).messages) == before


async def test_a_case_is_not_closed_over_words_that_were_not_shown(centre: Centre) -> None:
    maria = await centre.person("maria")
    case = await centre.woman("тих орех", "Ало?")
    await centre.desk.claim(maria, case.id)
    shown = (await centre.desk.open(maria, case.id)).upto
    await centre.store.add_from_woman(case.id, "Той идва.", "k")
    for seen in (0, shown):
        with pytest.raises(WrittenSince):
            await centre.desk.close(maria, case.id, seen)
    assert (await centre.case(case)).state is CaseState.CLAIMED
    await centre.desk.close(maria, case.id, (await centre.desk.open(maria, case.id)).upto)
    assert (await centre.case(case)).state is CaseState.CLOSED


async def test_open_cases_stand_above_closed_ones(centre: Centre) -> None:
    maria = await centre.person("maria")
    done, going = await centre.woman("край"), await centre.woman("още")
    for case in (done, going):
        await centre.desk.claim(maria, case.id)
    await centre.desk.close(maria, done.id)
    assert [case.alias for case in await centre.desk.mine(maria)] == ["още", "край"]


async def test_empty_and_endless_texts_are_refused(centre: Centre) -> None:
    maria = await centre.person("maria")
    case = await centre.woman("тих орех")
    await centre.desk.claim(maria, case.id)
    with pytest.raises(EmptyText):
        await centre.desk.reply(maria, case.id, " \n\0 ", "k")
    with pytest.raises(TextTooLong):
        await centre.desk.note(maria, case.id, "я" * (MAX_WORDS + 1), "k")


async def test_what_may_not_have_arrived_waits_for_the_consultant(centre: Centre) -> None:
    maria = await centre.person("maria")
    case = await centre.woman("тих орех")
    await centre.desk.claim(maria, case.id)
    await centre.send_all()
    reply = await centre.desk.reply(maria, case.id, "Чуваш ли ме?", "k")
    await centre.send_all(MessageState.UNKNOWN)
    await centre.desk.resend(maria, case.id, reply.id)
    assert await centre.send_all(MessageState.UNKNOWN) == ["Чуваш ли ме?"]
    await centre.desk.drop(maria, case.id, reply.id)
    with pytest.raises(NothingToDecide):
        await centre.desk.resend(maria, case.id, reply.id)


async def test_a_message_of_another_case_cannot_be_resent(centre: Centre) -> None:
    maria, elena = await centre.person("maria"), await centre.person("elena")
    hers, other = await centre.woman("нейна"), await centre.woman("чужда")
    await centre.desk.claim(maria, hers.id)
    await centre.desk.claim(elena, other.id)
    await centre.send_all()
    parked = await centre.desk.reply(elena, other.id, "тайно", "k")
    await centre.send_all(MessageState.UNKNOWN)
    with pytest.raises(NothingToDecide):
        await centre.desk.resend(maria, hers.id, parked.id)


async def test_a_consultant_who_was_removed_is_refused_and_noted(centre: Centre) -> None:
    maria = await centre.person("maria")
    case = await centre.woman("тих орех")
    await centre.desk.claim(maria, case.id)
    await centre.store.set_staff_state(maria.id, StaffState.FROZEN)
    with pytest.raises(NotAllowed):
        await centre.desk.reply(maria, case.id, "Здравей", "k")
    with pytest.raises(NotAllowed):
        await centre.desk.waiting(maria)
    assert (maria.id, "refused.role") in await centre.audited()


async def test_the_cases_of_a_consultant_who_was_removed_wait_for_another(centre: Centre) -> None:
    maria, elena = await centre.person("maria"), await centre.person("elena")
    case, over = await centre.woman("тих орех", "Тук ли си?"), await centre.woman("бял клен")
    for one in (case, over):
        await centre.desk.claim(maria, one.id)
    await centre.desk.close(maria, over.id)
    await centre.store.set_staff_state(maria.id, StaffState.FROZEN)
    assert [one.id for one in await centre.desk.waiting(elena)] == [case.id]
    assert await centre.desk.claim(elena, case.id)
    said = (await centre.desk.open(elena, case.id)).messages
    assert "Тук ли си?" in [message.text for message in said]


async def test_staff_who_are_no_consultants_see_no_case(centre: Centre) -> None:
    ivan = await centre.person("ivan", (Role.STAFF, Role.ADMIN))
    case = await centre.woman("тих орех")
    for attempt in (centre.desk.mine(ivan), centre.desk.open(ivan, case.id)):
        with pytest.raises(NotAllowed):
            await attempt


async def test_a_case_that_is_gone_says_so(centre: Centre) -> None:
    maria = await centre.person("maria")
    with pytest.raises(NoSuchCase):
        await centre.desk.open(maria, "0" * 32)


async def test_reading_takes_the_unread_mark_away(centre: Centre) -> None:
    maria = await centre.person("maria")
    case = await centre.woman("тих орех", "едно", "две")
    await centre.desk.claim(maria, case.id)
    assert (await centre.desk.mine(maria))[0].unread == 2
    await centre.desk.looked(maria, case.id)
    assert (await centre.desk.mine(maria))[0].unread == 0


async def test_opening_what_was_handed_over_keeps_it_though_nothing_is_unread(
    centre: Centre,
) -> None:
    maria, elena = await centre.person("maria"), await centre.person("elena", alias="Елена")
    case, mine = await centre.woman("тих орех"), await centre.woman("бял клен", "Ало?")
    for one in (case, mine):
        await centre.desk.claim(elena, one.id)
    await centre.desk.note(elena, case.id, "Две деца.", "k")
    for one in (mine, case):
        await centre.desk.transfer(elena, one.id, maria.id)
    await centre.desk.looked(maria, mine.id)
    assert [one.alias for one in await centre.desk.mine(maria)] == ["тих орех", "бял клен"]
    await centre.desk.looked(maria, case.id)
    assert (await centre.case(case)).passed_at is None
    assert (await centre.desk.open(maria, case.id)).colleagues == {elena.id: "Елена"}


async def test_a_colleague_who_was_removed_has_no_name_any_more(centre: Centre) -> None:
    maria, elena = await centre.person("maria"), await centre.person("elena")
    case = await centre.woman("тих орех")
    await centre.desk.claim(elena, case.id)
    await centre.desk.note(elena, case.id, "Две деца.", "k")
    await centre.desk.transfer(elena, case.id, maria.id)
    await centre.store.remove_staff(elena.id)
    assert (await centre.desk.open(maria, case.id)).colleagues == {}


async def test_the_list_knows_who_is_shut_out(centre: Centre) -> None:
    maria = await centre.person("maria")
    for name in ("една", "друга"):
        await centre.desk.claim(maria, (await centre.woman(name)).id)
    shut = next(case for case in await centre.desk.mine(maria) if case.alias == "една")
    await centre.desk.block(maria, shut.id, "hour")
    assert await centre.desk.blocked(maria) == {shut.id}
    centre.clock.passes(hours=2)
    assert await centre.desk.blocked(maria) == set()


async def test_every_change_wakes_the_open_desks(centre: Centre) -> None:
    maria = await centre.person("maria")
    case = await centre.woman("тих орех", "едно")
    async with centre.changes.listen() as changed:
        for act in (
            centre.desk.claim(maria, case.id),
            centre.desk.looked(maria, case.id),
            centre.desk.reply(maria, case.id, "Здравей", "a"),
            centre.desk.note(maria, case.id, "бележка", "b"),
            centre.desk.close(maria, case.id),
        ):
            changed.clear()
            await act
            assert changed.is_set()


# --- correcting and taking back ------------------------------------------------------------------


async def test_only_the_one_who_wrote_it_corrects_it_and_the_audit_knows(centre: Centre) -> None:
    maria, elena = await centre.person("maria"), await centre.person("elena")
    case = await centre.woman("тих орех")
    await centre.desk.claim(maria, case.id)
    message = await centre.desk.reply(maria, case.id, "Утре в 9.", "k")
    for act in (
        centre.desk.correct(elena, case.id, message.id, "друго"),
        centre.desk.take_back(elena, case.id, message.id),
    ):
        with pytest.raises(NotYours):
            await act
    for words, refusal in ((" ", EmptyText), ("а" * (MAX_WORDS + 1), TextTooLong)):
        with pytest.raises(refusal):
            await centre.desk.correct(maria, case.id, message.id, words)
    await centre.desk.correct(maria, case.id, message.id, " Утре в 10. ")
    await centre.desk.correct(maria, case.id, message.id, "Утре в 10.")
    await centre.desk.take_back(maria, case.id, message.id)
    await centre.desk.take_back(maria, case.id, message.id)
    audited = await centre.audited()
    assert audited.count((maria.id, "case.corrected")) == 1
    assert audited.count((maria.id, "case.taken_back")) == 1
    assert not {"Утре в 9.", "Утре в 10."} & set(await centre.send_all())


async def test_what_can_be_changed_is_offered_and_nothing_else(centre: Centre) -> None:
    maria = await centre.person("maria")
    case = await centre.woman("тих орех", "Здравей")
    await centre.desk.claim(maria, case.id)
    await centre.send_all()
    await centre.desk.note(maria, case.id, "бележка", "n")
    await centre.desk.reply(maria, case.id, "първо", "k1")
    await centre.send_all(MessageState.UNKNOWN)
    waits = await centre.desk.reply(maria, case.id, "второ", "k2")
    assert (await centre.desk.open(maria, case.id)).mendable == {waits.id}
    await centre.send_all()
    assert (await centre.desk.open(maria, case.id)).mendable == {waits.id}
    centre.desk._lasting = frozenset({"web"})
    view = await centre.desk.open(maria, case.id)
    assert view.mendable == frozenset()
    await centre.desk.close(maria, case.id, view.upto)
    assert (await centre.desk.open(maria, case.id)).mendable == frozenset()
