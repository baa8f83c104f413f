"""What is stored: once, in order, sealed, and gone when it must be."""

from __future__ import annotations

import asyncio
import shutil
import signal
import sqlite3
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy.exc import OperationalError

from bot.privacy.vault import KeyDestroyed, Tampered, Vault
from bot.storage.records import (
    Author,
    BellAddress,
    Case,
    CaseClosed,
    CaseMessage,
    CaseState,
    LoginTaken,
    Medium,
    MediumKind,
    MessageState,
    NotYours,
    Nudge,
    Role,
    StaffMember,
    StaffState,
)
from bot.storage.sessions import Session
from bot.storage.store import Store
from scheduler.model import Reception, ReceptionState
from tests.bot.storage.conftest import NOON, Clock, everything, rows

WORDS = "Zlatnata-duma-na-Ayshe той ме удари"
ADDRESS = "7301999555"


async def opened(store: Store, address: str = ADDRESS, alias: str = "тиха река") -> Case:
    return await store.open_case("telegram", address, "tr", "violence.title", "rse27", alias)


async def claimed(store: Store, staff: StaffMember, address: str = ADDRESS) -> Case:
    case = await opened(store, address)
    assert await store.claim(case.id, staff.id)
    return case


async def states(store: Store, case: Case) -> list[MessageState]:
    return [message.state for message in await store.messages(case.id)]


def everything_on_disk(folder: Path) -> bytes:
    return b"\0".join(path.read_bytes() for path in sorted(folder.glob("phen.db*")))


# --- cases -----------------------------------------------------------------------------------


async def test_asking_twice_for_a_person_opens_one_case(store: Store) -> None:
    first = await opened(store)
    again = await store.open_case("telegram", ADDRESS, "bg", None, None, "друга")
    assert again == first
    assert (first.state, first.topic, first.place) == (CaseState.WAITING, "violence.title", "rse27")
    assert first.present
    assert first.opened_at == NOON
    assert await store.case_of("telegram", ADDRESS) == first
    assert await store.case_of("viber", ADDRESS) is None
    assert await store.address_of(first.id) == ("telegram", ADDRESS)


async def test_two_cases_never_bear_the_same_alias(store: Store) -> None:
    aliases = [(await opened(store, str(n))).alias for n in range(3)]
    assert aliases == ["тиха река", "тиха река 2", "тиха река 3"]


async def test_the_waiting_list_shows_neither_topic_nor_place(store: Store, clock: Clock) -> None:
    old = await opened(store, "1")
    clock.forward(minutes=1)
    new = await opened(store, "2")
    assert [case.id for case in await store.waiting()] == [old.id, new.id]
    assert {case.topic or case.place for case in await store.waiting()} == {None}
    assert {case.topic or case.place for case in await store.open_cases()} == {None}


async def test_only_one_of_many_consultants_gets_the_case(
    store: Store, maria: StaffMember, elena: StaffMember
) -> None:
    case = await opened(store)
    got = await asyncio.gather(*(store.claim(case.id, who.id) for who in [maria, elena] * 5))
    assert got.count(True) == 1
    kept = await store.case(case.id)
    assert kept is not None
    assert kept.state is CaseState.CLAIMED
    assert await store.waiting() == []
    assert [c.topic for c in await store.cases_of(kept.claimed_by or "")] == ["violence.title"]


async def test_a_frozen_consultant_can_neither_claim_nor_answer(
    store: Store, maria: StaffMember
) -> None:
    mine, other = await claimed(store, maria), await opened(store, "2")
    await store.set_staff_state(maria.id, StaffState.FROZEN)
    assert not await store.claim(other.id, maria.id)
    with pytest.raises(NotYours):
        await store.add_reply(mine.id, maria.id, "здравей", "k")


async def test_a_delivery_that_comes_twice_is_kept_once(store: Store) -> None:
    case = await opened(store)
    assert await store.add_from_woman(case.id, WORDS, "update 7")
    assert await store.add_from_woman(case.id, WORDS, "update 7") is None
    assert await store.add_from_woman(case.id, "още", "update 8")
    assert [m.text for m in await store.messages(case.id)] == [WORDS, "още"]
    assert [m.number for m in await store.messages(case.id, after=1)] == [2]


async def test_an_old_delivery_does_not_come_back_in_her_next_case(store: Store) -> None:
    first = await opened(store)
    await store.add_from_woman(first.id, WORDS, "update 7")
    await store.close_case(first.id, None, "silent")
    second = await opened(store)
    assert await store.add_from_woman(second.id, WORDS, "update 7") is None
    assert await store.messages(second.id) == []


async def test_two_women_with_the_same_update_id_are_both_heard(store: Store) -> None:
    for address in ("1", "2"):
        case = await opened(store, address)
        assert await store.add_from_woman(case.id, address, "update 7")
        assert [m.text for m in await store.messages(case.id)] == [address]


async def test_a_closed_or_vanished_case_takes_nothing_more(
    store: Store, maria: StaffMember
) -> None:
    case = await claimed(store, maria)
    await store.close_case(case.id, None, "bye")
    with pytest.raises(CaseClosed):
        await store.add_from_woman(case.id, WORDS, "late")
    with pytest.raises(CaseClosed):
        await store.add_reply(case.id, maria.id, "късно", "late")
    with pytest.raises(CaseClosed):
        await store.add_from_woman("gone", WORDS, "late")


async def test_a_reply_of_somebody_else_is_refused(
    store: Store, maria: StaffMember, elena: StaffMember
) -> None:
    case = await claimed(store, maria)
    with pytest.raises(NotYours):
        await store.add_reply(case.id, elena.id, "аз съм", "k")
    with pytest.raises(NotYours):
        await store.add_note(case.id, elena.id, "аз съм", "k")
    assert await store.messages(case.id) == []


async def test_a_reply_sent_twice_from_the_desk_is_one_reply(
    store: Store, maria: StaffMember
) -> None:
    case = await claimed(store, maria)
    first = await store.add_reply(case.id, maria.id, "здравей", "form 1")
    assert await store.add_reply(case.id, maria.id, "здравей", "form 1") == first
    assert await store.due_count(case.id) == 1


async def test_a_note_is_never_sent(store: Store, maria: StaffMember) -> None:
    case = await claimed(store, maria)
    note = await store.add_note(case.id, maria.id, "да се обадя на колега", "k")
    assert (note.author, note.state) == (Author.NOTE, MessageState.KEPT)
    assert await store.due(NOON) == []


async def test_unread_and_held_count_what_each_side_has_not_seen(
    store: Store, maria: StaffMember
) -> None:
    case = await claimed(store, maria)
    for n in range(3):
        await store.add_from_woman(case.id, WORDS, f"{n}")
    await store.add_reply(case.id, maria.id, "тук съм", "r")
    counted = await store.case(case.id)
    assert counted is not None
    assert (counted.unread, counted.held) == (3, 1)
    await store.looked(case.id, maria.id)
    counted = await store.case(case.id)
    assert counted is not None
    assert counted.unread == 0


async def test_silence_is_broken_by_people_and_not_by_the_line(store: Store, clock: Clock) -> None:
    case = await opened(store)
    clock.forward(hours=20)
    await store.add_notice(case.id, "още сме тук", "told 1")
    assert [c.id for c in await store.silent_cases(clock() - timedelta(hours=10))] == [case.id]
    await store.add_from_woman(case.id, WORDS, "k")
    assert await store.silent_cases(clock() - timedelta(hours=10)) == []


async def test_a_notice_is_given_once_for_its_cause(store: Store) -> None:
    one, two = await opened(store, "1"), await opened(store, "2")
    assert await store.add_notice(one.id, "чакай", "told 1")
    assert await store.add_notice(one.id, "чакай", "told 1") is None
    assert await store.add_notice(two.id, "чакай", "told 1")


async def test_closing_says_good_bye_once_and_keeps_only_hours(
    store: Store, clock: Clock, maria: StaffMember
) -> None:
    case = await claimed(store, maria)
    await store.add_from_woman(case.id, WORDS, "k")
    await store.add_handles(case.id, ["11"])
    await store.audit(maria.id, "claimed", case.id)
    closed = await store.close_case(case.id, "довиждане", "bye")
    assert await store.close_case(case.id, "довиждане", "bye") is None
    await store.audit(maria.id, "closed", case.id)
    assert closed is not None
    hour = NOON.replace(minute=0, second=0, microsecond=0)
    assert {closed.opened_at, closed.last_at, closed.claimed_at, closed.closed_at} == {hour}
    assert {m.at for m in await store.messages(case.id)} == {hour}
    assert {entry.at for entry in await store.audits(9)} == {hour}
    due = await rows(store, "SELECT due_at FROM outbox")
    assert due == await rows(store, "SELECT at FROM handles")
    waits = await store.closed_case_of("telegram", ADDRESS)
    assert waits == closed
    assert [due.message.text for due in await store.due(clock())] == ["довиждане"]
    assert (await opened(store)).id != case.id


# --- the outbox ------------------------------------------------------------------------------


async def test_messages_leave_in_order_and_one_case_does_not_hold_up_another(
    store: Store, clock: Clock
) -> None:
    one, two = await opened(store, "1"), await opened(store, "2")
    for n in (1, 2):
        await store.add_notice(one.id, f"one {n}", f"n{n}")
    await store.add_notice(two.id, "two", "n")
    due = await store.due(NOON)
    assert [(d.address, d.message.text) for d in due] == [("1", "one 1"), ("2", "two")]
    assert await store.take(due[0].outbox_id, "here")
    assert not await store.take(due[0].outbox_id, "here")
    assert [d.address for d in await store.due(NOON)] == ["2"]
    await store.postpone(due[0].outbox_id, NOON + timedelta(minutes=1))
    assert [d.address for d in await store.due(NOON)] == ["2"]
    (again, _) = await store.due(clock.forward(minutes=1))
    assert (again.message.text, again.attempts) == ("one 1", 1)
    await store.postpone(again.outbox_id, clock(), failed=False)
    (held, _) = await store.due(clock())
    assert held.attempts == 1, "what was only held has not failed"
    await store.settle(again.outbox_id, MessageState.SENT)
    assert {d.message.text for d in await store.due(clock())} == {"one 2", "two"}
    assert await states(store, one) == [MessageState.SENT, MessageState.DUE]


async def test_nothing_leaves_while_she_is_away_even_if_it_was_about_to(store: Store) -> None:
    case = await opened(store)
    await store.add_notice(case.id, "чакай", "n")
    (due,) = await store.due(NOON)
    await store.set_present(case.id, False)
    assert not await store.take(due.outbox_id, "here")
    assert await store.due(NOON) == []
    await store.set_present(case.id, True)
    assert await store.take(due.outbox_id, "here")
    await store.take_over("telegram")
    assert await store.due(NOON) == []


async def test_a_send_cut_off_by_a_crash_is_parked_until_the_desk_decides(store: Store) -> None:
    case = await opened(store)
    for n in (1, 2):
        await store.add_notice(case.id, f"{n}", f"{n}")
    (due,) = await store.due(NOON)
    await store.take(due.outbox_id, "here")
    assert await store.recover() == 1
    assert await states(store, case) == [MessageState.UNKNOWN, MessageState.DUE]
    await store.settle(due.outbox_id, MessageState.SENT)  # the old worker comes late
    assert await states(store, case) == [MessageState.UNKNOWN, MessageState.DUE]
    assert await store.resend(due.message.id)
    assert not await store.resend(due.message.id)
    assert [d.message.number for d in await store.due(NOON)] == [1]


async def test_what_the_platform_could_not_bring_after_all_waits_for_the_desk(
    store: Store,
) -> None:
    case = await opened(store)
    for n in (1, 2):
        await store.add_notice(case.id, f"{n}", f"{n}")
    (due,) = await store.due(NOON)
    await store.take(due.outbox_id, "here")
    await store.settle(due.outbox_id, MessageState.SENT)
    assert await store.not_delivered(due.message.id)
    assert await states(store, case) == [MessageState.FAILED, MessageState.DUE]
    assert not await store.not_delivered(due.message.id)
    assert await store.resend(due.message.id)
    assert [d.message.number for d in await store.due(NOON)] == [1]


async def test_what_was_not_delivered_before_its_send_was_settled_stays_failed(
    store: Store,
) -> None:
    case = await opened(store)
    await store.add_notice(case.id, "1", "1")
    (due,) = await store.due(NOON)
    await store.take(due.outbox_id, "here")
    assert await store.not_delivered(due.message.id)
    await store.settle(due.outbox_id, MessageState.SENT)
    assert await states(store, case) == [MessageState.FAILED]
    assert await store.due(NOON) == []
    assert await store.due_count(case.id) == 0


@pytest.mark.parametrize("state", [MessageState.UNKNOWN, MessageState.DROPPED])
async def test_what_is_already_for_the_desk_or_decided_is_not_failed_anew(
    store: Store, state: MessageState
) -> None:
    case = await opened(store)
    await store.add_notice(case.id, "1", "1")
    (due,) = await store.due(NOON)
    await store.settle(due.outbox_id, MessageState.UNKNOWN)
    if state is MessageState.DROPPED:
        assert await store.drop(due.message.id)
    assert not await store.not_delivered(due.message.id)
    assert await states(store, case) == [state]


async def test_what_she_wrote_cannot_fail_to_be_delivered(store: Store) -> None:
    case = await opened(store)
    hers = await store.add_from_woman(case.id, WORDS, "k")
    assert hers is not None
    assert not await store.not_delivered(hers.id)
    assert not await store.not_delivered("no such message")
    assert await states(store, case) == [hers.state]


async def test_the_desk_can_leave_a_parked_message(store: Store) -> None:
    case = await opened(store)
    notice = await store.add_notice(case.id, "1", "1")
    assert notice is not None
    (due,) = await store.due(NOON)
    await store.settle(due.outbox_id, MessageState.FAILED)
    assert await store.drop(notice.id)
    assert not await store.drop(notice.id)
    assert await states(store, case) == [MessageState.DROPPED]
    with pytest.raises(ValueError, match="sent, unknown or failed"):
        await store.settle(due.outbox_id, MessageState.DUE)


# --- handles ---------------------------------------------------------------------------------


async def test_handles_are_taken_once_and_old_ones_are_named(store: Store, clock: Clock) -> None:
    case = await opened(store)
    await store.add_handles(case.id, ["11", "12"])
    clock.forward(hours=24)
    await store.add_handles(case.id, ["13"])
    await store.add_handles("gone", ["14"])
    assert await store.old_handles(clock()) == [("telegram", ADDRESS, ["11", "12"])]
    await store.drop_handles("telegram", ADDRESS, ["11"])
    assert sorted(await store.kept_handles("telegram", ADDRESS)) == ["12", "13"]
    await store.drop_handles("telegram", ADDRESS, ["12", "13"])
    assert await store.kept_handles("telegram", ADDRESS) == []


# --- at rest ---------------------------------------------------------------------------------


def markers() -> Iterator[bytes]:
    for text in (WORDS, ADDRESS, "rse27", "violence.title", "Тайна-бележка", "handle-4711"):
        for encoding in ("utf-8", "utf-16-le"):
            yield text.encode(encoding)


async def test_the_database_file_holds_no_plain_word_of_hers(
    store: Store, maria: StaffMember, file: Path, tmp_path: Path
) -> None:
    case = await claimed(store, maria)
    await store.add_from_woman(case.id, WORDS, "update-998877")
    await store.add_reply(case.id, maria.id, "Тайна-бележка", "form")
    await store.add_note(case.id, maria.id, "Тайна-бележка", "note")
    await store.add_handles(case.id, ["handle-4711"])
    disk = everything_on_disk(tmp_path)
    assert (tmp_path / "phen.db-wal").stat().st_size > 0
    assert b"telegram" in disk  # the search sees what is not sealed
    assert not [marker for marker in (*markers(), b"update-998877") if marker in disk]


async def test_sealed_values_swapped_between_rows_are_refused(store: Store) -> None:
    one, two = await opened(store, "1"), await opened(store, "2")
    for n in ("a", "b"):
        await store.add_from_woman(one.id, n, n)
    await rows(store, "UPDATE messages SET text = (SELECT text FROM messages WHERE number = 2)")
    await rows(
        store,
        "UPDATE cases SET address = (SELECT address FROM cases WHERE id = :id)",
        id=two.id,
    )
    await rows(store, "UPDATE cases SET place = topic")
    with pytest.raises(Tampered):
        await store.messages(one.id)
    with pytest.raises(Tampered):
        await store.address_of(one.id)
    with pytest.raises(Tampered):
        await store.case(one.id)


async def test_one_unreadable_message_does_not_stop_the_others(store: Store) -> None:
    one, two = await opened(store, "1"), await opened(store, "2")
    broken = await store.add_notice(one.id, "едно", "n")
    await store.add_notice(two.id, "две", "n")
    assert broken is not None
    spoiled = "UPDATE messages SET text = :text WHERE id = :id"
    await rows(store, spoiled, text=b"\0", id=broken.id)
    assert [d.message.text for d in await store.due(NOON)] == ["две"]
    assert await store.due_count(one.id) == 0


async def test_after_forget_nothing_is_left_in_the_file_and_no_copy_opens(
    store: Store, maria: StaffMember, file: Path, tmp_path: Path, vault: Vault
) -> None:
    other = await opened(store, "other woman")
    await store.add_from_woman(other.id, "друга", "k")
    before = await store.counts()
    case = await claimed(store, maria)
    await store.add_from_woman(case.id, WORDS, "k")
    await store.add_reply(case.id, maria.id, "тук съм", "k")
    await store.add_handles(case.id, ["11", "12"])
    await store.audit(maria.id, "claimed", case.id)
    shutil.copy(tmp_path / "phen.db", tmp_path / "copy.db")
    shutil.copy(tmp_path / "phen.db-wal", tmp_path / "copy.db-wal")
    with closing(sqlite3.connect(tmp_path / "copy.db")) as copy:
        copied = copy.execute("SELECT * FROM cases JOIN messages ON case_id=cases.id").fetchall()
        hers = "SELECT day_key, wrapped_key FROM cases WHERE id = ?"
        ((name, wrapped),) = copy.execute(hers, (case.id,)).fetchall()
    cipher = [
        value for row in copied if row[0] == case.id for value in row if isinstance(value, bytes)
    ]

    left = await store.forget("telegram", ADDRESS)
    assert sorted(each.handle for each in left) == ["11", "12"]
    await store.drop_leftovers([each.id for each in left])  # they were removed from her chat
    await store.leave_no_trace()

    disk = everything_on_disk(tmp_path)
    assert len(cipher) > 6
    assert not [value for value in cipher if value[8:40] in disk]
    assert case.id.encode() not in disk
    assert (tmp_path / "phen.db-wal").stat().st_size == 0
    assert not store.traces_remain
    assert await store.counts() == {**before, "audit": before["audit"] + 2, "tallies": 1}
    assert {entry.case_id for entry in await store.audits(9)} == {None}
    assert isinstance(name, str)
    assert isinstance(wrapped, bytes)
    with pytest.raises(KeyDestroyed):
        vault.unwrap(wrapped, name, case.id)
    assert [m.text for m in await store.messages(other.id)] == ["друга"]
    assert await store.forget("telegram", ADDRESS) == []


async def test_forget_leaves_nothing_of_her_in_any_table_but_the_months_figures(
    store: Store, maria: StaffMember, elena: StaffMember
) -> None:
    """Whatever a case can have: each table is compared row by row."""
    before = await everything(store)
    nudge = Nudge("am", "words")
    case = await store.open_case("web", ADDRESS, "tr", "topic.order", "rse27", "тиха река", nudge)
    await store.allow_media(case.id)
    await store.add_from_woman(
        case.id, WORDS, "k", covered=True, medium=Medium(MediumKind.PHOTO, b"photo"), handle="11"
    )
    await store.claim(case.id, maria.id)
    voice = await store.add_reply(
        case.id, maria.id, "глас", "k", Medium(MediumKind.VOICE, b"voice")
    )
    await store.add_note(case.id, maria.id, "бележка", "k")
    await store.add_handles(case.id, ["12"], voice.id)
    await store.block(case.id, None)
    await store.set_present(case.id, False)
    await store.nudged(case.id)
    await store.transfer(case.id, maria.id, elena.id)
    await store.audit(maria.id, "case.transferred", case.id)
    filled = {row[0] for row in await everything(store) - before}
    assert filled == {
        "cases", "messages", "media", "outbox", "handles", "blocks", "audit", "tallies",
    }  # fmt: skip
    stands = await store.forget("web", ADDRESS)
    left = await everything(store) - before
    assert {row[0] for row in left} == {"audit", "tallies", "leftovers"}
    index = store._index("web", ADDRESS)
    assert not [row for row in left if case.id in row or index in row or ADDRESS in row]
    await store.drop_leftovers([each.id for each in stands])
    left = await everything(store) - before
    assert {row[0] for row in left} == {"audit", "tallies"}
    assert before <= await everything(store)


async def test_somebody_who_only_read_leaves_no_row_when_she_deletes_everything(
    store: Store,
) -> None:
    before = await store.counts()
    assert await store.forget("telegram", ADDRESS) == []
    assert await store.counts() == before


async def test_delete_everything_waits_for_another_reader_and_then_leaves_no_trace(
    store: Store, file: Path
) -> None:
    case = await opened(store)
    await store.add_from_woman(case.id, WORDS, "k")
    with closing(sqlite3.connect(file)) as reader:
        reader.execute("BEGIN")
        reader.execute("SELECT count(*) FROM cases").fetchone()
        deleting = asyncio.create_task(store.forget("telegram", ADDRESS))
        await asyncio.sleep(0.5)
        assert not deleting.done()
        assert await store.case(case.id) is None  # the line goes on meanwhile
        reader.rollback()
        await deleting
    assert not store.traces_remain
    assert file.with_name("phen.db-wal").stat().st_size == 0


async def test_traces_that_could_not_be_removed_are_known_and_go_at_the_next_start(
    store: Store, file: Path, vault: Vault, clock: Clock
) -> None:
    await opened(store)
    with closing(sqlite3.connect(file)) as reader:
        reader.execute("BEGIN")
        reader.execute("SELECT count(*) FROM cases").fetchone()
        await store.forget("telegram", ADDRESS, patience=0.1)
        assert store.traces_remain
        reader.rollback()
    again = await Store.open(f"sqlite:///{file}", vault, clock)
    assert file.with_name("phen.db-wal").stat().st_size == 0
    await again.close()


# --- receptions, pictures, staff -------------------------------------------------------------


def reception(name: str, hours: float = 24, place: str = "Ветово") -> Reception:
    start = NOON + timedelta(hours=hours)
    return Reception(name, "rse04", place, start, start + timedelta(hours=4))


async def test_receptions_are_saved_all_or_none_and_read_in_order(store: Store) -> None:
    late, soon = reception("late", 48), reception("soon")
    assert await store.save_receptions([late, soon]) == (2, 0)
    moved = replace(soon, state=ReceptionState.MOVED)
    assert await store.save_receptions([late, moved]) == (0, 1)
    assert await store.receptions("rse04", since=NOON) == [replace(moved, sequence=1), late]
    assert await store.receptions("rse27") == []
    assert await store.receptions(since=late.end) == []
    assert await store.reception("late") == late
    naive = replace(late, id="x", start=late.start.replace(tzinfo=None))
    with pytest.raises(Exception, match="time zone"):
        await store.save_receptions([reception("new"), naive])
    assert await store.reception("new") is None


async def test_of_two_processes_that_revise_at_once_the_later_sees_what_the_first_saved(
    store: Store, url: str, vault: Vault, clock: Clock
) -> None:
    await store.save_receptions([reception("one")])

    def one_more(known: Sequence[Reception]) -> list[Reception]:
        return [replace(it, place=f"{it.place}!") for it in known]

    other = await Store.open(url, vault, clock)
    every = (each.revise_receptions(one_more) for each in (store, other) * 5)
    assert await asyncio.gather(*every) == [(0, 1)] * 10
    await other.close()
    [kept] = await store.receptions()
    assert (kept.place, kept.sequence) == ("Ветово" + "!" * 10, 10)


async def test_what_a_revision_raises_is_raised_and_nothing_is_saved(store: Store) -> None:
    def refuse(known: Sequence[Reception]) -> list[Reception]:
        raise LookupError(len(known))

    await store.save_receptions([reception("one"), reception("two")])
    before = await store.receptions()
    with pytest.raises(LookupError, match="2"):
        await store.revise_receptions(refuse)
    assert await store.receptions() == before


async def test_a_picture_is_known_by_its_newest_id(store: Store) -> None:
    assert await store.media.get("telegram", "sha") is None
    for file_id in ("one", "two"):
        await store.media.put("telegram", "sha", file_id)
    assert await store.media.get("telegram", "sha") == "two"


async def test_an_invitation_is_accepted_once_and_in_time(store: Store, clock: Clock) -> None:
    soon = NOON + timedelta(hours=1)
    invited = await store.add_staff("ana", "", [Role.ADMIN, Role.STAFF], b"token", soon)
    with pytest.raises(LoginTaken):
        await store.add_staff("ana", "", [Role.STAFF], b"other", soon)
    assert await store.staff_by_invite(b"token") == invited
    assert await store.credentials("ana") is None
    clock.forward(hours=2)
    assert await store.staff_by_invite(b"token") is None
    assert not await store.accept_invite(invited.id, "h", "s")
    clock.forward(hours=-2)
    assert await store.accept_invite(invited.id, "hash", "secret")
    assert not await store.accept_invite(invited.id, "hash", "secret")
    found = await store.credentials("ana")
    assert found is not None
    assert (found.password_hash, found.totp_secret) == ("hash", "secret")
    assert found.staff.roles == {Role.ADMIN, Role.STAFF}
    assert [each.login for each in await store.all_staff()] == ["ana"]


async def test_a_one_time_code_is_taken_once(store: Store, maria: StaffMember) -> None:
    assert [await store.used_totp(maria.id, step) for step in (5, 5, 4, 6)] == [
        True, False, False, True,
    ]  # fmt: skip


async def test_a_frozen_account_is_logged_out_at_once(
    store: Store, maria: StaffMember, clock: Clock
) -> None:
    for token in (b"1", b"2"):
        await store.add_session(token, maria.id, NOON + timedelta(hours=1))
    assert await store.session(b"1") == Session(maria, NOON)
    await store.end_session(b"1")
    assert await store.session(b"1") is None
    await store.set_staff_state(maria.id, StaffState.FROZEN)
    await store.set_staff_state(maria.id, StaffState.ACTIVE)
    await store.session_seen(b"2")
    assert await store.session(b"2") == Session(maria, None), "hers, and over"
    await store.add_session(b"3", maria.id, NOON + timedelta(hours=1))
    clock.forward(hours=1)
    assert await store.session(b"3") is None
    await store.purge(clock())
    assert (await store.counts())["sessions"] == 0


async def test_when_she_last_worked_is_the_same_for_every_process(
    store: Store, maria: StaffMember, clock: Clock
) -> None:
    for token in (b"1", b"2"):
        await store.add_session(token, maria.id, NOON + timedelta(hours=9))
    clock.forward(hours=1)
    await store.session_seen(b"1")
    assert await store.session(b"1") == Session(maria, NOON + timedelta(hours=1))
    assert await store.session(b"2") == Session(maria, NOON)


async def failed(store: Store, login: str, browser: str = "") -> list[str]:
    return await store.login_failed(login, browser, store._now() - timedelta(minutes=15), 2, 5)


async def test_failed_logins_are_counted_per_login_and_browser(store: Store, clock: Clock) -> None:
    await failed(store, "a")
    clock.forward(minutes=10)
    await failed(store, "a")
    await failed(store, "a", "hers")
    assert await store.failed_logins("a", "", NOON) == (2, 3)
    assert await store.failed_logins("a", "", clock()) == (1, 2)
    assert await store.failed_logins("a", "hers", NOON) == (1, 3)
    assert await store.failed_logins("b", "", NOON) == (0, 3)


async def test_of_an_account_it_is_noted_once_that_its_name_was_tried_too_often(
    store: Store, maria: StaffMember, clock: Clock
) -> None:
    assert [await failed(store, "maria") for _ in range(3)] == [[], ["login.shut"], []]
    assert [await failed(store, "nobody") for _ in range(3)] == [[], ["login.flooded"], []]
    shut, flooded = sorted(await store.tried_too_often(NOON - timedelta(1)), key=lambda e: e.action,
                           reverse=True)  # fmt: skip
    assert (shut.staff_id, shut.at) == (maria.id, NOON)
    assert (flooded.staff_id, flooded.at) == (None, NOON)
    clock.forward(minutes=16)
    assert [await failed(store, "maria") for _ in range(2)] == [[], ["login.shut"]]
    assert max(entry.at for entry in await store.tried_too_often(NOON)) == clock()


async def test_a_login_of_somebody_who_is_gone_is_known_until_somebody_else_has_it(
    store: Store, maria: StaffMember, elena: StaffMember, clock: Clock
) -> None:
    for who in (maria, elena):
        await store.remove_staff(who.id)
    assert await failed(store, "maria") == ["refused.removed"]
    await store.add_staff("elena", "", [Role.STAFF], b"2", NOON + timedelta(days=1))
    assert await failed(store, "elena") == []
    assert [entry.staff_id for entry in await store.audits(9)] == [maria.id]
    again = await store.add_staff("maria", "", [Role.STAFF], b"3", NOON + timedelta(days=1))
    await store.remove_staff(again.id)
    assert await failed(store, "maria") == ["refused.removed"]
    assert "maria" not in str(await everything(store))


# --- the staff's own bells, and who is gone ----------------------------------------------------


async def linked(store: Store, who: StaffMember, chat: str) -> StaffMember | None:
    code = f"code for {who.login}".encode()
    await store.offer_bell(who.id, code, store._now() + timedelta(minutes=10))
    return await store.link_bell(code, chat)


async def test_a_bell_is_linked_by_a_code_that_works_once_and_in_time(
    store: Store, maria: StaffMember, clock: Clock, tmp_path: Path
) -> None:
    assert not maria.has_bell
    await store.offer_bell(maria.id, b"first", clock() + timedelta(minutes=10))
    await store.offer_bell(maria.id, b"code", clock() + timedelta(minutes=10))
    assert await store.link_bell(b"first", "5550001") is None, "the newer code counts"
    assert await store.link_bell(b"other", "5550001") is None
    found = await store.link_bell(b"code", "5550001")
    assert found is not None
    assert (found.id, found.has_bell) == (maria.id, True)
    assert await store.link_bell(b"code", "5550002") is None, "spent"
    assert await store.bells() == [BellAddress(maria.id, "5550001")]
    assert await store.staff_by_bell("5550001") == found
    assert b"5550001" not in everything_on_disk(tmp_path)
    await store.offer_bell(maria.id, b"late", clock() + timedelta(minutes=10))
    clock.forward(minutes=10)
    assert await store.link_bell(b"late", "5550003") is None
    await store.unlink_bell(maria.id)
    assert await store.bells() == []
    assert await store.staff_by_bell("5550001") is None


async def test_a_chat_rings_for_one_account_and_an_account_in_one_chat(
    store: Store, maria: StaffMember, elena: StaffMember
) -> None:
    await linked(store, maria, "1")
    await linked(store, elena, "1")
    assert await store.bells() == [BellAddress(elena.id, "1")]
    await linked(store, elena, "2")
    assert await store.bells() == [BellAddress(elena.id, "2")]
    assert await store.staff_by_bell("1") is None


async def test_who_is_frozen_is_neither_rung_nor_linked(store: Store, maria: StaffMember) -> None:
    await linked(store, maria, "1")
    await store.set_staff_state(maria.id, StaffState.FROZEN)
    assert await store.bells() == []
    assert await store.staff_by_bell("1") is None
    assert await linked(store, maria, "2") is None
    await store.set_staff_state(maria.id, StaffState.ACTIVE)
    assert await store.bells() == [BellAddress(maria.id, "1")]


async def test_one_bell_that_cannot_be_read_does_not_silence_the_others(
    store: Store, maria: StaffMember, elena: StaffMember
) -> None:
    for who in (maria, elena):
        await linked(store, who, who.login)
    spoiled = "UPDATE staff SET bell_address = :address WHERE id = :id"
    await rows(store, spoiled, address=b"\0", id=maria.id)
    assert await store.bells() == [BellAddress(elena.id, "elena")]


async def test_what_she_speaks_and_may_do_is_changed(store: Store, maria: StaffMember) -> None:
    roles = {Role.CONSULTANT, Role.STAFF}
    assert await store.change_staff(maria.id, "Ива", roles, ["tr", "bg"])
    changed = await store.staff(maria.id)
    assert changed == replace(
        maria, alias="Ива", roles=frozenset(roles), languages=frozenset({"bg", "tr"})
    )
    assert not await store.change_staff("nobody", "", roles, ["bg"])


async def test_who_has_not_accepted_is_invited_again_and_the_first_link_is_void(
    store: Store, maria: StaffMember, clock: Clock
) -> None:
    soon = clock() + timedelta(days=3)
    invited = await store.add_staff("ana", "", [Role.STAFF], b"first", clock(), ["tr"])
    assert invited.languages == {"tr"}
    assert await store.invite_again(invited.id, b"second", soon)
    assert await store.staff_by_invite(b"first") is None
    assert await store.staff_by_invite(b"second") == invited
    assert not await store.invite_again(maria.id, b"third", soon)


async def test_who_was_removed_or_never_accepted_is_not_thawed(
    store: Store, maria: StaffMember, clock: Clock
) -> None:
    invited = await store.add_staff("ana", "", [Role.STAFF], b"1", clock() + timedelta(days=1))
    await store.remove_staff(maria.id)
    for who, state in ((maria, StaffState.REMOVED), (invited, StaffState.INVITED)):
        assert not await store.set_staff_state(who.id, StaffState.ACTIVE)
        kept = await store.staff(who.id)
        assert kept is not None
        assert kept.state is state


async def test_a_removed_account_keeps_nothing_and_its_login_is_free(
    store: Store, maria: StaffMember
) -> None:
    await linked(store, maria, "1")
    await store.offer_bell(maria.id, b"code", NOON + timedelta(days=1))
    await store.add_session(b"1", maria.id, NOON + timedelta(hours=1))
    await store.used_totp(maria.id, 7)
    await store.remove_staff(maria.id)
    ((*kept,),) = await rows(
        store,
        "SELECT alias, roles, state, password_hash, totp_secret, last_totp_step, invite_hash,"
        " invite_expires_at, bell_address, bell_index, bell_code_hash, bell_code_expires_at"
        " FROM staff",
    )
    assert kept == ["", "", "removed", *[None] * 9]
    assert await store.all_staff() == []
    ended = await store.session(b"1")
    assert ended is not None
    assert (ended.seen_at, ended.staff.state) == (None, StaffState.REMOVED)
    assert await store.credentials("maria") is None
    again = await store.add_staff("maria", "", [Role.STAFF], b"2", NOON + timedelta(days=1))
    assert again.id != maria.id


async def test_a_removed_account_goes_once_nothing_speaks_of_it(
    store: Store, maria: StaffMember, elena: StaffMember, clock: Clock
) -> None:
    case = await claimed(store, maria)
    await store.add_reply(case.id, maria.id, "тук съм", "k")
    await store.remove_staff(maria.id)
    await store.claim(case.id, elena.id)
    assert (await store.purge(clock())).removed == 0
    (said,) = await store.messages(case.id)
    author = await store.staff(said.staff_id or "")
    assert author is not None, "her words still have an author"
    await store.close_case(case.id, None, "bye")
    assert (await store.purge(clock.forward(days=2))).removed == 1, "its words are destroyed"
    assert await store.staff(maria.id) is None
    await store.remove_staff(elena.id)
    assert (await store.purge(clock())).removed == 0, "a closed case is hers"
    assert (await store.purge(clock.forward(days=7))).removed == 1


async def test_while_a_removed_accounts_session_would_have_lasted_it_is_known_whose_it_is(
    store: Store, maria: StaffMember, clock: Clock
) -> None:
    await store.add_session(b"1", maria.id, NOON + timedelta(hours=12))
    await store.remove_staff(maria.id)
    assert (await store.purge(clock.forward(hours=11))).removed == 0
    assert await store.session(b"1") is not None
    assert (await store.purge(clock.forward(hours=1))).removed == 1


# --- the database itself ---------------------------------------------------------------------


async def test_many_writers_and_readers_at_once_lose_nothing(store: Store) -> None:
    case = await opened(store)
    said = await asyncio.gather(*(store.add_from_woman(case.id, "ид", f"{n}") for n in range(40)))
    numbers = sorted(m.number for m in said if isinstance(m, CaseMessage))
    assert numbers == list(range(1, 41))


async def test_a_locked_database_acknowledges_nothing_and_recovers(
    store: Store, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    case = await opened(store)
    async with store._database._engine.connect() as connection:
        raw = await connection.get_raw_connection()
        await raw.driver_connection.execute("PRAGMA busy_timeout=50")  # type: ignore[union-attr]
    with closing(sqlite3.connect(file)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(OperationalError) as refused:
            await store.add_from_woman(case.id, WORDS, "k")
        assert WORDS not in str(refused.value)
        assert await store.case(case.id) is not None
        other.rollback()
    assert await store.add_from_woman(case.id, WORDS, "k")


async def test_what_is_deleted_is_overwritten_and_what_is_kept_is_on_the_disk(
    store: Store, file: Path
) -> None:
    async with store._database.read() as connection:
        said = {
            name: (await connection.exec_driver_sql(f"PRAGMA {name}")).scalar_one()
            for name in ("secure_delete", "synchronous", "journal_mode", "foreign_keys")
        }
    assert said == {"secure_delete": 1, "synchronous": 2, "journal_mode": "wal", "foreign_keys": 1}


KILLED = """
import asyncio, os, signal, sys
from datetime import UTC, datetime
from pathlib import Path
from bot.privacy.vault import Vault
from bot.storage.store import Store

async def main(url, key):
    store = await Store.open(url, Vault.open(Path(key)), lambda: datetime.now(UTC))
    case = await store.open_case("telegram", "1", "bg", None, None, "one")
    await store.add_from_woman(case.id, "kept", "k")
    gone = await store.open_case("telegram", "2", "bg", None, None, "two")
    print(gone.id, flush=True)
    async def killed(patience):
        os.kill(os.getpid(), signal.SIGKILL)
    store._database.truncate_log = killed
    await store.forget("telegram", "2")

asyncio.run(main(*sys.argv[1:]))
"""


async def test_killed_right_after_what_was_committed_is_there_and_what_was_deleted_is_not(
    file: Path, vault: Vault, clock: Clock, tmp_path: Path
) -> None:
    url = f"sqlite:///{file}"
    child = await asyncio.create_subprocess_exec(
        sys.executable, "-c", KILLED, url, str(tmp_path / "keys" / "master.key"),
        stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    printed, _ = await child.communicate()
    assert child.returncode == -signal.SIGKILL
    assert printed.strip() in everything_on_disk(tmp_path)  # the log still holds it
    store = await Store.open(url, vault, clock)
    assert printed.strip() not in everything_on_disk(tmp_path)
    kept = await store.case_of("telegram", "1")
    assert kept is not None
    assert [m.text for m in await store.messages(kept.id)] == ["kept"]
    assert await store.case_of("telegram", "2") is None
    await store.close()


def spoil(file: Path) -> None:
    file.write_bytes(b"nothing that is a database" * 400)
    for ending in ("-wal", "-shm"):
        file.with_name(file.name + ending).unlink(missing_ok=True)


async def test_a_database_that_is_gone_does_not_answer(store: Store, file: Path) -> None:
    assert await store.answers()
    await store._database._engine.dispose()
    spoil(file)
    assert not await store.answers()


async def test_closing_waits_for_what_is_under_way(file: Path, vault: Vault, clock: Clock) -> None:
    threads = set(threading.enumerate())
    store = await Store.open(f"sqlite:///{file}", vault, clock)
    task = asyncio.create_task(opened(store))
    await asyncio.sleep(0)
    await store.close()
    assert (await task).state is CaseState.WAITING
    for thread in set(threading.enumerate()) - threads:
        thread.join(10)  # told to end, it may still be on its way out
        assert not thread.is_alive()
