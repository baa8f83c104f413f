"""Whoever may not work at the desk any more is put out of its Telegram group."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import timedelta
from itertools import pairwise
from pathlib import Path

import pytest

from bot import serving
from bot.app import join
from bot.desk import membership
from bot.desk.forum import Forum
from bot.privacy.redact import EventLog
from bot.privacy.vault import Vault
from bot.settings import Settings
from bot.storage.migrate import migrate
from bot.storage.records import Role, StaffMember, StaffState
from tests.bot.desk import Centre
from tests.bot.desk.phones import Phones, some_phones
from tests.line import eventually
from tests.standins.member import Member, NoMember
from tests.standins.telegram import ApiError, Call, Chat, Fault


@dataclass
class Room:
    """The centre's group, with two consultants in it."""

    phones: Phones
    group: Chat
    forum: Forum
    maria: Member
    elena: Member
    account: StaffMember  # Maria's

    @property
    def centre(self) -> Centre:
        return self.phones.centre

    async def sets(self, state: StaffState) -> None:
        """Maria's account; nobody here is told, as when the operator's command does it."""
        await self.centre.store.set_staff_state(self.account.id, state)

    async def notes(self) -> int:
        return (await self.centre.store.counts())["group_notes"]

    async def put_out(self) -> list[str | None]:
        """Of whom the audit says that she was put out."""
        return [who for who, what in await self.centre.audited() if what == "account.put_out"]

    async def settled(self) -> None:
        async def done() -> bool:
            return await self.notes() == 0

        assert await eventually(done)

    def bans(self) -> list[Call]:
        return self.phones.server.called("banChatMember")


def count(code: str) -> int:
    return EventLog.counted["desk", code]


@pytest.fixture
async def room(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Room]:
    for name in ("LOOK_SECONDS", "AGAIN_SECONDS", "SETTLE_SECONDS"):
        monkeypatch.setattr(membership, name, 0.02)
    async with some_phones(tmp_path) as phones:
        account, phone = await phones.linked("maria")
        _, elenas = await phones.linked("elena")
        group = phones.server.group(forum=True)
        member = phones.server.member
        maria, elena = member(group, phone.id), member(group, elenas.id)
        made = Room(phones, group, phones.forum(group), maria, elena, account)
        await made.settled()  # both may come in: they were just linked
        yield made


async def test_who_is_frozen_is_out_and_sees_nothing_more(room: Room) -> None:
    await room.centre.woman("тих орех", "Страх ме е.")
    room.centre.changes.notify()
    await room.maria.sees_topics("тих орех")
    before = count("member_put_out")
    await room.sets(StaffState.FROZEN)
    assert await eventually(lambda: not room.maria.is_in)
    with pytest.raises(NoMember):
        room.maria.says("Здравей", "тих орех")
    await room.settled()
    assert room.elena.is_in
    (call,) = room.bans()
    assert not call.params.get("revoke_messages"), "what she answered stays for her colleagues"
    assert await eventually(lambda: count("member_put_out") == before + 1)
    assert await room.put_out() == [room.account.id]


async def test_a_change_on_the_web_puts_her_out_at_once(
    room: Room, monkeypatch: pytest.MonkeyPatch
) -> None:
    await room.phones.stops()
    monkeypatch.setattr(membership, "LOOK_SECONDS", 60.0)
    await room.sets(StaffState.ACTIVE)
    room.phones.starts_again()
    room.phones.forum(room.group)
    await room.settled()  # and so it waits for a minute now
    await room.sets(StaffState.FROZEN)
    room.centre.changes.notify()
    assert await eventually(lambda: not room.maria.is_in)


async def test_who_is_removed_is_out_and_nothing_of_her_stays(room: Room) -> None:
    await room.centre.store.remove_staff(room.account.id)
    assert await eventually(lambda: not room.maria.is_in)
    await room.settled()
    assert await room.put_out() == [room.account.id]


async def test_who_answers_women_no_more_is_out(room: Room) -> None:
    await room.centre.store.change_staff(room.account.id, "", [Role.STAFF], ["bg"])
    assert await eventually(lambda: not room.maria.is_in)


async def test_a_thief_who_blocks_the_bot_first_is_out_all_the_same(room: Room) -> None:
    await room.centre.store.unlink_bell(room.account.id)
    await room.sets(StaffState.FROZEN)
    assert await eventually(lambda: not room.maria.is_in)


async def test_who_is_thawed_may_be_added_again(room: Room) -> None:
    await room.sets(StaffState.FROZEN)
    assert await eventually(lambda: not room.maria.is_in)
    with pytest.raises(NoMember):
        room.maria.joins()
    await room.sets(StaffState.ACTIVE)
    assert await eventually(lambda: not room.group.banned)
    await room.settled()
    room.maria.joins()
    assert room.maria.is_in
    assert await room.put_out() == [room.account.id]


async def test_to_let_back_who_is_in_the_group_puts_nobody_out(room: Room) -> None:
    before = len(room.phones.server.called("unbanChatMember"))
    await room.sets(StaffState.ACTIVE)
    await room.settled()
    assert len(room.phones.server.called("unbanChatMember")) == before + 1
    assert room.maria.is_in


async def test_through_an_outage_she_is_put_out_once_telegram_is_back(room: Room) -> None:
    await room.phones.server.stop()
    await room.sets(StaffState.FROZEN)
    before = count("forum_failed")
    assert await eventually(lambda: count("forum_failed") > before)
    assert await room.notes() == 1
    assert await room.put_out() == []
    await room.phones.server.start()
    assert await eventually(lambda: not room.maria.is_in)
    await room.settled()
    assert await room.put_out() == [room.account.id]


@pytest.mark.parametrize("kind", ["drop_before", "drop_after", "html"])
async def test_an_answer_that_is_lost_is_asked_for_again(room: Room, kind: str) -> None:
    room.phones.server.fail(Fault(kind, "banChatMember"))
    await room.sets(StaffState.FROZEN)
    await room.settled()
    assert not room.maria.is_in
    assert len(room.bans()) == 2


async def test_killed_between_the_ban_and_the_end_of_its_note_it_is_done_again_harmlessly(
    room: Room,
) -> None:
    await room.phones.stops()
    await room.sets(StaffState.FROZEN)
    room.group.banned.add(room.maria.user)  # so far the process came that was killed
    room.group.members.discard(room.maria.user)
    assert await room.notes() == 1
    room.phones.starts_again()
    room.phones.forum(room.group)
    await room.settled()
    assert room.group.banned == {room.maria.user}
    assert room.elena.is_in


async def test_telegrams_pause_is_kept(room: Room) -> None:
    slow = ApiError(429, "Too Many Requests: retry after 1", retry_after=1)
    room.phones.server.fail(Fault("refuse", "banChatMember", error=slow))
    await room.sets(StaffState.FROZEN)
    await room.settled()
    first, second = room.bans()
    assert second.at - first.at >= 1
    assert not room.maria.is_in


def no_right(group: Chat, user: int) -> None:
    group.rights.discard("restrict_members")


def owner(group: Chat, user: int) -> None:
    group.owner = user


def administrator(group: Chat, user: int) -> None:
    group.admins.add(user)


def bot_is_out(group: Chat, user: int) -> None:
    group.open = False


@pytest.mark.parametrize("cause", [no_right, owner, administrator, bot_is_out])
async def test_where_telegram_refuses_a_person_is_told_and_it_is_tried_again(
    room: Room, monkeypatch: pytest.MonkeyPatch, cause: object
) -> None:
    monkeypatch.setattr(membership, "REFUSED_SECONDS", 0.3)
    assert callable(cause)
    cause(room.group, room.maria.user)
    before = count("member_not_put_out")
    await room.sets(StaffState.FROZEN)

    async def told() -> bool:
        return any(note.refused for note in await room.centre.store.group_notes())

    assert await eventually(told)
    assert count("member_not_put_out") > before
    assert room.maria.is_in
    room.group.rights.add("restrict_members")
    room.group.owner, room.group.open = None, True
    room.group.admins.clear()
    assert await eventually(lambda: not room.maria.is_in)
    await room.settled()
    asked = [call.at for call in room.bans()]
    assert all(later - at >= 0.3 for at, later in pairwise(asked))
    assert await room.put_out() == [room.account.id], "of what was refused nothing is said"


def test_what_is_refused_is_not_tried_more_than_once_a_minute() -> None:
    assert membership.REFUSED_SECONDS >= 60


async def test_one_who_cannot_be_put_out_keeps_no_other_in(room: Room) -> None:
    room.group.owner = room.maria.user
    await room.sets(StaffState.FROZEN)
    other = await room.centre.store.staff_by_login("elena")
    assert other is not None
    await room.centre.store.set_staff_state(other.id, StaffState.FROZEN)
    assert await eventually(lambda: not room.elena.is_in)
    assert room.maria.is_in


async def test_one_whose_answer_is_lost_holds_up_no_other(
    room: Room, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(membership, "AGAIN_SECONDS", 60.0)
    room.phones.server.fail(Fault("html", "banChatMember"))
    await room.sets(StaffState.FROZEN)
    assert await eventually(lambda: len(room.bans()) == 1)
    other = await room.centre.store.staff_by_login("elena")
    assert other is not None
    await room.centre.store.set_staff_state(other.id, StaffState.FROZEN)
    assert await eventually(lambda: not room.elena.is_in)
    assert room.maria.is_in


async def test_that_she_is_not_there_is_believed_only_when_it_is_said_several_times(
    room: Room, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Telegram has said so of members, and named them as such a moment later."""
    monkeypatch.setattr(membership, "REFUSED_SECONDS", 0.05)
    unmet = ApiError(400, "Bad Request: PARTICIPANT_ID_INVALID")
    room.phones.server.fail(Fault("refuse", "banChatMember", error=unmet))
    await room.sets(StaffState.FROZEN)
    assert await eventually(lambda: not room.maria.is_in)
    await room.settled()
    await room.sets(StaffState.ACTIVE)
    await room.settled()
    before = len(room.bans())
    said = [Fault("refuse", "banChatMember", error=unmet)] * membership.SAID_TIMES
    room.phones.server.fail(*said)
    await room.sets(StaffState.FROZEN)
    await room.settled()
    assert len(room.bans()) == before + membership.SAID_TIMES
    assert await room.put_out() == [room.account.id], "the second time she was not there"


async def test_a_group_with_a_newer_number_is_followed(room: Room) -> None:
    newer = room.phones.server.migrate(room.group)
    room.phones.server.updates.clear()  # only the answer tells
    await room.sets(StaffState.FROZEN)
    assert await eventually(lambda: newer.banned == {room.maria.user})
    await room.settled()


@pytest.mark.parametrize("group", [None, -1001234567890])
async def test_a_line_without_a_group_keeps_no_note_of_who_was_to_leave_it(
    tmp_path: Path, group: int | None
) -> None:
    settings = Settings(data_dir=tmp_path, desk_token="5550001:AAE-desk", desk_chat=group)
    migrate(settings.database)
    Vault.open(settings.key_file, create=True)
    async with join(settings) as phen:
        store, soon = phen.store, phen.now() + timedelta(minutes=10)
        maria = await store.add_staff("maria", "", [Role.CONSULTANT], b"link", soon)
        assert await store.accept_invite(maria.id, "hash", "SECRET")
        await store.offer_bell(maria.id, b"code", soon)
        assert await store.link_bell(b"code", "7000001")
        await store.remove_staff(maria.id)
        await serving._purge(phen)
        assert (await store.counts())["group_notes"] == (0 if group is None else 1)
