"""The bell on a consultant's own phone: linked by a code, content-free, and silent to others."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from bot.desk import bells
from bot.storage.records import BellAddress, StaffMember, StaffState
from bot.texts import open_content
from dialogs.model import SOURCE_LANGUAGE
from tests.bot.desk.phones import Phones, some_phones
from tests.line import PATIENCE, eventually
from tests.standins.telegram import ApiError, Fault
from tests.standins.woman import Woman as Phone


@pytest.fixture
async def phones(tmp_path: Path) -> AsyncIterator[Phones]:
    async with some_phones(tmp_path) as made:
        yield made


def say(text: str, **params: object) -> str:
    return open_content()[1].say(SOURCE_LANGUAGE, f"bell.{text}", **params)


async def bells_of(phones: Phones, *members: StaffMember) -> list[BellAddress]:
    wanted = {member.id for member in members}
    return [each for each in await phones.centre.store.bells() if each.staff_id in wanted]


# --- linking -----------------------------------------------------------------------------------


@pytest.mark.parametrize("typed", ["{code}", "/start {code}", "{code:.4} {rest}", " {code}\n"])
async def test_a_consultant_links_her_phone_by_the_code_that_the_desk_shows(
    phones: Phones, typed: str
) -> None:
    maria, phone = await phones.centre.person("maria"), phones.server.woman()
    code = await phones.bells.offer(maria)
    phones.runs()
    phone.types(typed.format(code=code, rest=code[4:]))
    await phone.sees(say("linked"))
    (bell,) = await phones.centre.store.bells()
    assert (bell.staff_id, bell.address) == (maria.id, str(phone.id))
    assert (maria.id, "bell.linked") in await phones.centre.audited()


async def test_a_code_counts_once_and_for_ten_minutes(phones: Phones) -> None:
    maria = await phones.centre.person("maria")
    first, second = phones.server.woman(), phones.server.woman()
    code = await phones.bells.offer(maria)
    phones.runs()
    first.types(code)
    await first.sees(say("linked"))
    second.types(code)
    await second.sees(say("wrong_code"))
    late = await phones.bells.offer(maria)
    phones.centre.clock.passes(minutes=10)
    second.types(late)
    await second.sees(say("wrong_code"))
    assert [bell.address for bell in await phones.centre.store.bells()] == [str(first.id)]


async def test_only_the_newest_code_counts(phones: Phones) -> None:
    maria, phone = await phones.centre.person("maria"), phones.server.woman()
    older = await phones.bells.offer(maria)
    await phones.bells.offer(maria)
    phones.runs()
    phone.types(older)
    await phone.sees(say("wrong_code"))
    assert await phones.centre.store.bells() == []


async def test_of_a_code_only_a_keyed_hash_is_stored(phones: Phones, tmp_path: Path) -> None:
    code = await phones.bells.offer(await phones.centre.person("maria"))
    assert len(code) == bells.DIGITS
    for file in tmp_path.glob("phen.db*"):
        assert code.encode() not in file.read_bytes()


async def test_who_guesses_is_not_answered_any_more_not_even_with_the_right_code(
    phones: Phones,
) -> None:
    maria, stranger = await phones.centre.person("maria"), phones.server.woman()
    code = await phones.bells.offer(maria)
    phones.runs()
    for _ in range(bells.TRIES):
        stranger.types("00000000")
    stranger.types(code)
    await phones.handled()
    assert [m.words for m in stranger.bot_messages] == [say("wrong_code")] * bells.TRIES
    assert await phones.centre.store.bells() == []
    phones.centre.clock.passes(minutes=15)
    stranger.types("00000000")
    await phones_answer(stranger, bells.TRIES + 1)


async def phones_answer(phone: Phone, count: int) -> None:
    found = await phone._until(lambda: len(phone.bot_messages) >= count or None, PATIENCE, count)
    assert found


async def test_anybody_else_gets_one_neutral_sentence(phones: Phones) -> None:
    stranger = phones.server.woman()
    phones.runs()
    stranger.starts()
    stranger.types("Какво е това?")
    stranger.sends("photo")
    await phones_answer(stranger, 3)
    assert {m.words for m in stranger.bot_messages} == {say("neutral")}


async def test_a_linked_phone_is_told_that_nobody_reads_there(phones: Phones) -> None:
    _, phone = await phones.linked("maria")
    phones.runs()
    phone.types("Заета съм.")
    await phone.sees(say("only_rings"))


async def test_a_phone_belongs_to_one_account(phones: Phones) -> None:
    maria, phone = await phones.linked("maria")
    elena = await phones.centre.person("elena")
    code = await phones.bells.offer(elena)
    phones.runs()
    phone.types(code)
    await phone.sees(say("linked"))
    assert [bell.staff_id for bell in await phones.centre.store.bells()] == [elena.id]
    assert (maria.id, "bell.unlinked") in await phones.centre.audited()


async def test_who_blocks_the_bot_is_unlinked(phones: Phones) -> None:
    maria, phone = await phones.linked("maria")
    phones.runs()
    phone.blocks()
    await phones.handled()
    assert await phones.centre.store.bells() == []
    assert (maria.id, "bell.unlinked") in await phones.centre.audited()


async def test_a_strange_group_is_left_and_its_number_told_to_her_who_put_the_bot_there(
    phones: Phones,
) -> None:
    _, phone = await phones.linked("maria")
    group = phones.server.group(forum=True)
    phones.runs()
    phones.server.member(group, phone.id).puts_the_bot_in()
    await phone.sees(say("group_number", number=group.id))
    strange = phones.server.group()
    phones.server.member(strange, phones.server.woman().id).puts_the_bot_in()
    await phones.handled()
    assert await eventually(lambda: phones.server.left == [group.id, strange.id])
    assert len(phones.server.called("sendMessage")) == 1


# --- ringing -----------------------------------------------------------------------------------


async def test_a_ring_has_sound_and_says_nothing(phones: Phones) -> None:
    maria, hers = await phones.linked("maria")
    elena, elenas = await phones.linked("elena")
    case = await phones.centre.woman("тих орех", "Страх ме е.")
    rung = await phones.bells.ring(await bells_of(phones, maria, elena), case.id)
    assert rung == {maria.id, elena.id}
    for phone in (hers, elenas):
        (message,) = phone.bot_messages
        assert message.words == say("ring")
        assert not message.silent
        assert not message.buttons


def test_no_word_of_a_ring_is_about_violence_a_person_or_a_place() -> None:
    content, texts = open_content()
    ring = texts.say(SOURCE_LANGUAGE, "bell.ring").lower()
    names = [texts.say(SOURCE_LANGUAGE, place.name).lower() for place in content.places.values()]
    for word in ("жен", "насил", "помощ", "phen", "разговор", "случай", "център", "{", *names):
        assert word not in ring


async def test_a_new_ring_for_a_case_replaces_the_older_one(phones: Phones) -> None:
    maria, phone = await phones.linked("maria")
    bell = await bells_of(phones, maria)
    await phones.bells.ring(bell, "one")
    await phones.bells.ring(bell, "another")
    first, other = phone.bot_messages
    await phones.bells.ring(bell, "one")
    await phone._until(lambda: len(phone.bot_messages) == 2 or None, PATIENCE, "two rings")
    assert first not in phone.bot_messages
    assert other in phone.bot_messages


async def test_quiet_takes_back_what_rang_for_that_case_and_no_other(phones: Phones) -> None:
    maria, phone = await phones.linked("maria")
    bell = await bells_of(phones, maria)
    await phones.bells.ring(bell, "one")
    await phones.bells.ring(bell, "another")
    await phones.bells.quiet("one")
    await phones.bells.quiet("one")
    await phones.bells.quiet("never rang")
    await phone._until(lambda: len(phone.bot_messages) == 1 or None, PATIENCE, "one ring")


@pytest.mark.parametrize(
    "fault",
    [
        Fault("refuse", error=ApiError(429, "Too Many Requests: retry after 9", retry_after=9)),
        Fault("html", status=502),
        Fault("drop_before"),
        Fault("drop_after"),
    ],
    ids=lambda fault: fault.kind + str(fault.error and fault.error.code),
)
async def test_who_was_perhaps_not_reached_counts_as_not_reached_and_stays_linked(
    phones: Phones, fault: Fault
) -> None:
    maria, _ = await phones.linked("maria")
    bell = await bells_of(phones, maria)
    phones.server.fail(fault)
    assert await phones.bells.ring(bell, "one") == frozenset()
    assert await phones.bells.ring(bell, "one") == {maria.id}


async def test_one_phone_that_does_not_answer_holds_up_no_other(
    phones: Phones, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bells, "RING_SECONDS", 3.0)  # the other one has time to be rung
    maria, _ = await phones.linked("maria")
    elena, _ = await phones.linked("elena")
    phones.server.fail(Fault("drip", "sendMessage"))
    rung = await phones.bells.ring(await bells_of(phones, maria, elena), "one")
    assert len(rung) == 1


async def test_a_ring_that_the_phone_refuses_unlinks_it(phones: Phones) -> None:
    maria, phone = await phones.linked("maria")
    elena, _ = await phones.linked("elena")
    bell = await bells_of(phones, maria, elena)
    phone._chat.open = False
    assert await phones.bells.ring(bell, "one") == {elena.id}
    assert [each.staff_id for each in await phones.centre.store.bells()] == [elena.id]
    assert (maria.id, "bell.unlinked") in await phones.centre.audited()


async def test_a_consultant_tries_out_her_bell_from_the_desk(phones: Phones) -> None:
    maria, phone = await phones.linked("maria")
    elena = await phones.centre.person("elena")
    assert await phones.bells.try_out(maria)
    assert [m.words for m in phone.bot_messages] == [say("ring")]
    assert not await phones.bells.try_out(elena)
    await phones.bells.unlink(maria)
    assert not await phones.bells.try_out(maria)
    assert (maria.id, "bell.unlinked") in await phones.centre.audited()


async def test_a_frozen_account_is_neither_linked_nor_rung(phones: Phones) -> None:
    maria, phone = await phones.linked("maria")
    code = await phones.bells.offer(maria)
    await phones.centre.store.set_staff_state(maria.id, StaffState.FROZEN)
    phones.runs()
    phone.types(code)
    await phone.sees(say("wrong_code"))
    assert not await phones.bells.try_out(maria)
