"""A photo or a voice: sealed while it is on its way, and gone once it has arrived."""

from __future__ import annotations

import sqlite3
from collections.abc import Awaitable, Callable
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import pytest

from bot.privacy.vault import Tampered
from bot.storage.records import (
    Case,
    CaseMessage,
    Medium,
    MediumKind,
    MessageState,
    StaffMember,
)
from bot.storage.store import Store
from tests.bot.storage.conftest import Clock, rows

PHOTO = Medium(MediumKind.PHOTO, b"\xff\xd8 what-nobody-else-may-see " * 40)
VOICE = Medium(MediumKind.VOICE, b"OggS what-nobody-else-may-hear " * 40)


@pytest.fixture
async def case(store: Store, maria: StaffMember) -> Case:
    opened = await store.open_case("telegram", "1", "bg", None, None, "река")
    assert await store.claim(opened.id, maria.id)
    return opened


async def hers(store: Store, case: Case, key: str = "k") -> CaseMessage:
    said = await store.add_from_woman(case.id, "", key, medium=PHOTO)
    assert said is not None
    return said


def on_disk(file: Path) -> bytes:
    return b"".join(path.read_bytes() for path in sorted(file.parent.glob("phen.db*")))


async def test_a_photo_comes_back_as_it_was_and_stands_nowhere_in_the_file(
    store: Store, case: Case, file: Path
) -> None:
    said = await hers(store, case)
    assert said.medium is MediumKind.PHOTO
    assert await store.medium(said.id) == PHOTO
    assert await store.kept_media(case.id) == {said.id}
    assert (await store.messages(case.id))[0].medium is MediumKind.PHOTO
    assert b"nobody-else" not in on_disk(file)
    with closing(sqlite3.connect(file)) as other:
        ((sealed,),) = other.execute("SELECT data FROM media").fetchall()
    assert sealed[:64] in on_disk(file), "the search finds what is there"


async def test_photos_swapped_between_messages_are_refused(store: Store, case: Case) -> None:
    one, two = await hers(store, case, "a"), await hers(store, case, "b")
    swapped = "UPDATE media SET data = (SELECT data FROM media WHERE message_id = :id)"
    await rows(store, swapped, id=one.id)
    assert await store.medium(one.id) == PHOTO
    with pytest.raises(Tampered):
        await store.medium(two.id)


async def test_the_same_delivery_again_keeps_no_second_photo(store: Store, case: Case) -> None:
    await hers(store, case)
    assert await store.add_from_woman(case.id, "", "k", medium=PHOTO) is None
    assert (await store.counts())["media"] == 1


async def test_what_was_seen_is_dropped_once_and_leaves_its_message(
    store: Store, case: Case, file: Path
) -> None:
    said = await hers(store, case)
    with closing(sqlite3.connect(file)) as other:
        ((sealed,),) = other.execute("SELECT data FROM media").fetchall()
    assert await store.drop_medium(said.id)
    assert not await store.drop_medium(said.id)
    assert await store.medium(said.id) is None
    assert [message.id for message in await store.messages(case.id)] == [said.id]
    await store._leave_no_trace(1)
    assert sealed[64:128] not in on_disk(file)


@pytest.mark.parametrize("state", [MessageState.SENT, MessageState.UNKNOWN, MessageState.FAILED])
async def test_a_voice_note_is_kept_until_it_has_surely_arrived(
    store: Store, case: Case, maria: StaffMember, clock: Clock, state: MessageState
) -> None:
    said = await store.add_reply(case.id, maria.id, "глас", "k", VOICE)
    (due,) = await store.due(clock())
    assert due.message.medium is MediumKind.VOICE
    await store.take(due.outbox_id, "here")
    assert await store.medium(said.id) == VOICE
    await store.settle(due.outbox_id, state)
    assert (await store.medium(said.id) is None) is (state is MessageState.SENT)
    if state is not MessageState.SENT:  # the desk decides
        await store.drop(said.id)
        assert await store.medium(said.id) is None


async def test_a_voice_note_that_is_sent_again_still_has_its_sound(
    store: Store, case: Case, maria: StaffMember, clock: Clock
) -> None:
    said = await store.add_reply(case.id, maria.id, "глас", "k", VOICE)
    (due,) = await store.due(clock())
    await store.settle(due.outbox_id, MessageState.UNKNOWN)
    assert await store.resend(said.id)
    assert await store.medium(said.id) == VOICE


async def test_at_the_close_only_what_is_still_to_be_sent_to_her_stays(
    store: Store, case: Case, maria: StaffMember, clock: Clock
) -> None:
    seen_by_nobody = await hers(store, case)
    parked = await store.add_reply(case.id, maria.id, "глас", "a", VOICE)
    (due,) = await store.due(clock())
    await store.settle(due.outbox_id, MessageState.UNKNOWN)
    held = await store.add_reply(case.id, maria.id, "глас", "b", VOICE)
    other = await store.open_case("telegram", "2", "bg", None, None, "море")
    others = await hers(store, other)
    await store.close_case(case.id, "довиждане", "bye")
    assert await store.kept_media(case.id) == {held.id}
    assert [await store.medium(m.id) for m in (seen_by_nobody, parked)] == [None, None]
    assert await store.medium(held.id) == VOICE
    assert await store.medium(others.id) == PHOTO


@pytest.mark.parametrize("how", ["forget", "purge", "a lost key"])
async def test_what_destroys_the_text_destroys_photos_and_voice(
    store: Store, case: Case, maria: StaffMember, clock: Clock, how: str
) -> None:
    held = await store.add_reply(case.id, maria.id, "глас", "b", VOICE)
    ways: dict[str, Callable[[], Awaitable[object]]] = {
        "forget": lambda: store.forget("telegram", "1"),
        "purge": lambda: store.purge(clock.forward(days=2)),
        "a lost key": lambda: store.close_unreadable(),
    }
    if how == "purge":
        await store.close_case(case.id, None, "bye")
        assert await store.medium(held.id) == VOICE
    if how == "a lost key":
        store._vault.destroy_day(clock().date())
        assert await store.medium(held.id) is None
    await ways[how]()
    assert await store.medium(held.id) is None
    if how != "a lost key":
        assert (await store.counts())["media"] == 0


async def test_media_are_allowed_by_her_and_only_while_her_case_is_open(
    store: Store, case: Case
) -> None:
    assert not case.media_allowed
    await store.allow_media(case.id)
    kept = await store.case(case.id)
    assert kept is not None
    assert kept.media_allowed
    await store.close_case(case.id, None, "bye")
    again = await store.open_case("telegram", "1", "bg", None, None, "море")
    assert not again.media_allowed, "she is asked in each case anew"
    await store.close_case(again.id, None, "bye")
    await store.allow_media(again.id)
    kept = await store.case(again.id)
    assert kept is not None
    assert not kept.media_allowed


async def test_a_handle_says_of_which_message_it_is(
    store: Store, case: Case, maria: StaffMember
) -> None:
    said = await store.add_from_woman(case.id, "нейно", "k", handle="11")
    reply = await store.add_reply(case.id, maria.id, "отговор", "k")
    await store.add_handles(case.id, ["12"], reply.id)
    await store.add_handles(case.id, ["13"])
    assert said is not None
    assert await store.kept_handles("telegram", "1") == ["11", "12", "13"]
    kept = await rows(store, "SELECT message_id FROM handles")
    assert {row[0] for row in kept} == {said.id, reply.id, None}


async def test_a_medium_dies_with_its_message_at_the_retention(
    store: Store, case: Case, clock: Clock
) -> None:
    await hers(store, case)
    assert await store.purge(clock.forward(days=1)), "open: it stays"
    assert (await store.counts())["media"] == 1
    await store.close_case(case.id, None, "bye")
    await store.purge(clock() + timedelta(days=8))
    assert (await store.counts())["media"] == (await store.counts())["messages"] == 0
