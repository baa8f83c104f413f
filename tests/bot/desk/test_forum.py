"""The desk inside Telegram: a topic per case, and nothing in the wrong one."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from bot.desk import forum as forum_module
from bot.desk.forum import Forum
from bot.desk.topics import MOST
from bot.storage.records import (
    Author,
    Case,
    CaseState,
    Medium,
    MediumKind,
    MessageState,
    StaffMember,
    StaffState,
)
from bot.texts import open_content
from dialogs.model import SOURCE_LANGUAGE
from tests.bot.desk import Centre
from tests.bot.desk.phones import Phones, some_phones
from tests.line import eventually
from tests.standins.member import Member
from tests.standins.telegram import ANONYMOUS, ApiError, Chat, Fault


def say(text: str, **params: object) -> str:
    return open_content()[1].say(SOURCE_LANGUAGE, f"bell.{text}", **params)


@dataclass
class Room:
    """The centre's group, with two consultants in it."""

    phones: Phones
    group: Chat
    forum: Forum
    maria: Member
    elena: Member
    maria_account: StaffMember
    elena_account: StaffMember

    @property
    def centre(self) -> Centre:
        return self.phones.centre

    async def waits(self, alias: str, *said: str) -> Case:
        case = await self.centre.woman(alias, *said)
        self.centre.changes.notify()
        await self.maria.sees(alias, say("case", since="", speaks="", by="")[:7])
        return case

    async def claimed(self, alias: str, *said: str) -> Case:
        """A case that Maria has claimed in its topic."""
        case = await self.waits(alias, *said)
        assert await self.maria.is_told(self.maria.presses("Поеми", alias)) is None
        await self.maria.sees(alias, say("owner", name="maria"))
        for text in (*said, say("from_line", words="").strip()):  # that a person is here
            await self.maria.sees(alias, text)
        return case

    async def closes(self, case: Case) -> None:
        """Maria does, on the web desk."""
        desk, me = self.centre.desk, self.maria_account
        await desk.close(me, case.id, (await desk.open(me, case.id)).upto)

    async def writes(self, case: Case, text: str) -> None:
        await self.centre.store.add_from_woman(case.id, text, f"key {text}")
        self.centre.changes.notify()

    async def sends(self, state: MessageState = MessageState.SENT) -> list[str]:
        """Deliver what is due to the women."""
        texts = await self.centre.send_all(state)
        self.centre.changes.notify()
        return texts

    async def said_to(self, case: Case, author: Author = Author.CONSULTANT) -> list[str]:
        found = await self.centre.store.messages(case.id)
        return [message.text for message in found if message.author is author]


@pytest.fixture
async def room(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Room]:
    monkeypatch.setattr(forum_module, "SETTLE_SECONDS", 0.02)
    async with some_phones(tmp_path) as phones:
        maria, marias = await phones.linked("maria")
        elena, elenas = await phones.linked("elena")
        group = phones.server.group(forum=True)
        forum = phones.forum(group)
        member = phones.server.member
        yield Room(
            phones, group, forum, member(group, marias.id), member(group, elenas.id), maria, elena
        )


# --- a topic per case --------------------------------------------------------------------------


async def test_who_waits_has_a_topic_named_by_her_alias_that_tells_nothing_else(
    room: Room,
) -> None:
    await room.waits("тих орех", "Страх ме е.")
    await room.maria.sees_topics("тих орех")
    (shown,) = room.maria.reads("тих орех")
    assert shown.words == say("case", since="22.11. 11:00", speaks="български", by="уеб")
    assert shown.protected
    assert [button["text"] for row in shown.buttons for button in row] == [say("button.claim")]


async def test_after_the_claim_topic_municipality_and_her_words_stand_there_in_order(
    room: Room,
) -> None:
    case = await room.claimed("тих орех", "Първо.", "Второ.")
    texts = open_content()[1]
    about = await room.maria.sees("тих орех", texts.say("bg", "topic.order"))
    assert texts.say("bg", "place.rse27") in about.words
    await room.writes(case, "Трето.")
    await room.maria.sees("тих орех", "Трето.")
    hers = [text for text in room.maria.words("тих орех") if text in ("Първо.", "Второ.", "Трето.")]
    assert hers == ["Първо.", "Второ.", "Трето."]
    assert not room.maria.reads("тих орех")[0].buttons
    assert (await room.centre.case(case)).claimed_by == room.maria_account.id


async def test_two_women_in_any_order_never_cross(room: Room) -> None:
    one, two = await room.claimed("една", "първата"), await room.claimed("друга", "втората")
    room.maria.says("за втората", "друга")
    await room.writes(one, "пак първата")
    room.maria.says("за първата", "една")
    await room.writes(two, "пак втората")
    for topic, case, hers, answer in (
        ("една", one, "пак първата", "за първата"),
        ("друга", two, "пак втората", "за втората"),
    ):
        await room.maria.sees(topic, hers)
        await room.phones.handled()
        assert await room.said_to(case) == [answer]
    assert not [text for text in room.maria.words("една") if "втората" in text]
    assert not [text for text in room.maria.words("друга") if "първата" in text]


async def test_a_close_deletes_the_topic_and_she_is_told_good_bye(room: Room) -> None:
    case = await room.claimed("тих орех", "Здравей")
    room.maria.presses("Приключи", "тих орех")
    await room.maria.sees("тих орех", say("close_ask"))
    assert (await room.centre.case(case)).state is CaseState.CLAIMED
    room.maria.presses(say("button.close_yes"), "тих орех")
    await room.maria.sees_topics()
    assert (await room.centre.case(case)).state is CaseState.CLOSED
    assert room.group.messages == {}

    async def forgotten() -> bool:
        return await room.centre.store.topics() == []

    assert await eventually(forgotten)


async def test_a_close_that_crosses_with_her_words_is_refused_until_they_stand_there(
    room: Room,
) -> None:
    case = await room.claimed("тих орех", "Здравей")
    room.maria.presses("Приключи", "тих орех")
    await room.maria.sees("тих орех", say("close_ask"))
    await room.centre.store.add_from_woman(case.id, "Той идва.", "k")  # nobody is told of it yet
    told = await room.maria.is_told(room.maria.presses(say("button.close_yes"), "тих орех"))
    assert told == say("refused.written_since")
    assert (await room.centre.case(case)).state is CaseState.CLAIMED
    room.centre.changes.notify()
    await room.maria.sees("тих орех", "Той идва.")
    room.maria.presses(say("button.close_yes"), "тих орех")
    await room.maria.sees_topics()
    assert (await room.centre.case(case)).state is CaseState.CLOSED


async def test_an_answer_that_crosses_with_her_words_has_not_read_them(room: Room) -> None:
    case = await room.claimed("тих орех", "Здравей")
    await room.maria.sees("тих орех", "Здравей")
    await room.centre.store.add_from_woman(case.id, "Той идва.", "k")  # nobody is told of it yet
    room.maria.says("Тук съм", "тих орех")
    await room.maria.sees("тих орех", say("state.due"))
    kept = await room.centre.case(case)
    assert kept.unread == 1
    assert kept.bell_at is not None
    await room.maria.sees("тих орех", "Той идва.")
    room.maria.presses("Прочетох", "тих орех")
    await room.phones.handled()
    assert (await room.centre.case(case)).unread == 0


async def test_a_second_thought_keeps_the_case(room: Room) -> None:
    case = await room.claimed("тих орех")
    room.maria.presses("Приключи", "тих орех")
    ask = await room.maria.sees("тих орех", say("close_ask"))
    room.maria.presses(say("button.close_no"), "тих орех")
    assert await eventually(lambda: ask.id not in room.group.messages)
    assert (await room.centre.case(case)).state is CaseState.CLAIMED


async def test_who_deletes_everything_leaves_no_topic(room: Room) -> None:
    await room.claimed("тих орех", "Здравей")
    await room.centre.store.forget("web", "тих орех", 1)
    room.centre.changes.notify()
    await room.maria.sees_topics()

    async def empty() -> bool:
        return (await room.centre.store.counts())["topic_lines"] == 0

    assert await eventually(empty)


async def test_what_is_given_back_waits_in_a_new_topic_without_her_words(room: Room) -> None:
    case = await room.claimed("тих орех", "Страх ме е.")
    room.maria.says("Здравей", "тих орех")
    await room.maria.sees("тих орех", say("state.due"))
    room.maria.presses("Върни", "тих орех")
    assert await eventually(lambda: len(room.group.topics) == 1 and not any(
        "Страх" in shown.words or "Здравей" in shown.words
        for shown in room.group.messages.values()))  # fmt: skip
    await room.elena.sees("тих орех", "Чака")
    room.elena.presses("Поеми", "тих орех")
    await room.elena.sees("тих орех", "Страх ме е.")
    assert (await room.centre.case(case)).claimed_by == room.elena_account.id


async def test_a_case_that_is_handed_over_shows_its_new_owner_below(room: Room) -> None:
    case = await room.claimed("тих орех", "Здравей")
    room.centre.clock.passes(minutes=1)
    await room.centre.desk.transfer(room.maria_account, case.id, room.elena_account.id)
    await room.elena.sees("тих орех", say("owner", name="elena"))
    assert await eventually(lambda: say("owner", name="maria") not in room.elena.words("тих орех"))
    room.elena.presses("Прочетох", "тих орех")
    await room.phones.handled()
    assert (await room.centre.case(case)).passed_at is None


async def test_a_case_that_is_opened_again_has_a_topic_again(room: Room) -> None:
    case = await room.claimed("тих орех", "Здравей")
    await room.closes(case)
    await room.maria.sees_topics()
    await room.centre.desk.reopen(room.maria_account, case.id)
    await room.maria.sees("тих орех", "Здравей")


# --- who may -----------------------------------------------------------------------------------


async def test_only_a_linked_consultant_can_claim(room: Room) -> None:
    case = await room.waits("тих орех", "Тайно.")
    stranger = room.phones.server.member(room.group, 999)
    told = await stranger.is_told(stranger.presses("Поеми", "тих орех"))
    assert told == say("refused.stranger")
    assert (await room.centre.case(case)).state is CaseState.WAITING
    assert (None, "refused.stranger") in await room.centre.audited()
    assert "Тайно." not in room.maria.words("тих орех")


async def test_one_case_is_claimed_once(room: Room) -> None:
    case = await room.waits("тих орех")
    await room.centre.desk.claim(room.elena_account, case.id)
    button = room.maria.reads("тих орех")[0]
    told = await room.maria.is_told(room.maria.sends_press(button, "claim:"))
    assert told == say("refused.taken")
    assert (await room.centre.case(case)).claimed_by == room.elena_account.id


@pytest.mark.parametrize("how", ["removed", "frozen", "unlinked", "anonymous"])
async def test_a_consultant_who_was_removed_acts_refused_and_audited(room: Room, how: str) -> None:
    case = await room.claimed("тих орех", "Здравей")
    store, me, sender = room.centre.store, room.maria_account.id, None
    if how == "removed":
        await store.remove_staff(me)
    elif how == "frozen":
        await store.set_staff_state(me, StaffState.FROZEN)
    elif how == "unlinked":
        await store.unlink_bell(me)
    else:
        sender = ANONYMOUS
    room.maria.says("Аз съм", "тих орех", sender=sender)
    await room.phones.handled()
    assert await eventually(lambda: any(
        shown.words == say("refused.stranger") for shown in room.group.messages.values()
    ) or not any(name == "тих орех" for name in room.group.topics.values()))  # fmt: skip
    assert await room.said_to(case) == []
    assert "refused.stranger" in [action for _, action in await room.centre.audited()]


async def test_a_colleague_cannot_answer_anothers_case(room: Room) -> None:
    case = await room.claimed("тих орех", "Здравей")
    room.elena.says("аз да кажа", "тих орех")
    refused = await room.elena.sees("тих орех", say("refused.not_yours"))
    assert refused.answers is not None
    assert await room.said_to(case) == []
    assert (room.elena_account.id, "refused.case") in await room.centre.audited()
    for button in ("Върни", "Приключи", "Прочетох"):
        told = await room.elena.is_told(room.elena.presses(button, "тих орех"))
        assert told == say("refused.not_yours")
    assert (await room.centre.case(case)).claimed_by == room.maria_account.id


async def test_nobody_answers_a_case_that_still_waits(room: Room) -> None:
    case = await room.waits("тих орех")
    room.maria.says("Здравей", "тих орех")
    await room.maria.sees("тих орех", say("refused.unclaimed"))
    assert await room.said_to(case) == []


async def test_a_reply_in_a_foreign_topic_goes_nowhere_and_says_so(room: Room) -> None:
    case = await room.claimed("тих орех")
    thread = await room.phones.bot.make_topic(room.group.id, "кафе")
    assert thread
    room.maria.says("Идвам след малко", "кафе")
    await room.maria.sees("кафе", say("refused.foreign"))
    room.maria.says("Здравей на всички", None)
    await room.phones.handled()
    assert await room.said_to(case) == []


async def test_a_reply_in_a_closed_topic_is_refused_and_says_so(
    room: Room, monkeypatch: pytest.MonkeyPatch
) -> None:
    case = await room.claimed("тих орех", "Здравей")
    room.group.rights.discard("delete_messages")  # the topic stays, for as long as it must
    await room.closes(case)
    before = await room.said_to(case)
    room.maria.says("Още нещо", "тих орех")
    await room.maria.sees("тих орех", say("refused.closed"))
    assert await room.said_to(case) == before


async def test_a_topic_that_could_not_be_deleted_is_deleted_later(
    room: Room, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(forum_module, "REFUSED_SECONDS", 0.1)
    case = await room.claimed("тих орех", "Здравей")
    room.group.rights.discard("delete_messages")
    await room.closes(case)
    assert await eventually(lambda: len(room.phones.server.called("deleteForumTopic")) > 1)
    assert room.maria.topics == ["тих орех"]
    room.group.rights.add("delete_messages")
    await room.maria.sees_topics()


# --- what goes to her --------------------------------------------------------------------------


async def test_what_the_owner_writes_goes_to_her_once(room: Room) -> None:
    case = await room.claimed("тих орех", "Здравей")
    await room.sends()
    room.maria.says("Тук съм.", "тих орех")
    update = room.phones.server.updates[-1]
    await room.phones.handled()
    await room.phones.stops()
    room.phones.starts_again()
    room.phones.forum(room.group)
    room.phones.server.push_raw(update)  # killed before it was acknowledged, it comes again
    await room.phones.handled()
    assert await room.said_to(case) == ["Тук съм."]
    assert await room.sends() == ["Тук съм."]
    assert room.maria.words("тих орех").count("Тук съм.") == 1


async def test_a_reply_is_shown_as_held_until_it_is_sent(room: Room) -> None:
    case = await room.claimed("тих орех", "Здравей")
    await room.sends()
    await room.centre.store.set_present(case.id, False)
    said = room.maria.says("Тук съм.", "тих орех")
    held = await room.maria.sees("тих орех", say("state.held"))
    assert held.answers == said.id
    assert held.silent
    await room.centre.store.set_present(case.id, True)
    await room.sends()
    sent = await room.maria.sees("тих орех", say("state.sent"))
    assert sent.id == held.id


async def test_a_reply_that_perhaps_did_not_arrive_is_decided_there(room: Room) -> None:
    case = await room.claimed("тих орех", "Здравей")
    await room.sends()
    room.maria.says("Тук съм.", "тих орех")
    await room.maria.sees("тих орех", say("state.due"))
    await room.sends(MessageState.UNKNOWN)
    await room.maria.sees("тих орех", say("state.unknown"))
    room.maria.presses(say("button.resend"), "тих орех")
    await room.maria.sees("тих орех", say("state.due"))
    assert await room.sends() == ["Тук съм."]
    shown = await room.maria.sees("тих орех", say("state.sent"))
    told = await room.maria.is_told(room.maria.sends_press(shown, f"resend:{case.id}"))
    assert told == say("refused.decided")


async def test_a_press_that_comes_again_after_a_kill_sends_nothing_once_more(room: Room) -> None:
    await room.claimed("тих орех", "Здравей")
    await room.sends()
    room.maria.says("Тук съм.", "тих орех")
    await room.maria.sees("тих орех", say("state.due"))
    await room.sends(MessageState.UNKNOWN)
    await room.maria.sees("тих орех", say("state.unknown"))
    room.maria.presses(say("button.resend"), "тих орех")
    press = room.phones.server.updates[-1]
    await room.maria.sees("тих орех", say("state.due"))
    await room.sends(MessageState.UNKNOWN)
    await room.maria.sees("тих орех", say("state.unknown"))
    await room.phones.stops()
    room.phones.starts_again()
    room.phones.forum(room.group)
    room.phones.server.push_raw(press)
    await room.phones.handled()
    assert await room.sends() == []


async def test_what_she_wrote_to_a_process_that_was_killed_stands_there_once(room: Room) -> None:
    case = await room.claimed("тих орех", "Здравей")
    await room.phones.stops()
    said = room.maria.says("Тук съм.", "тих орех")
    update = room.phones.server.updates.pop()
    key = f"forum:{update['update_id']}"
    await room.centre.desk.reply(room.maria_account, case.id, "Тук съм.", key)
    room.phones.starts_again()
    room.phones.forum(room.group)
    await room.maria.sees("тих орех", "Тук съм.\n\n")  # as if it came from the web desk
    room.phones.server.push_raw(update)
    assert await eventually(lambda: room.maria.reads("тих орех")[-1].answers == said.id)
    state = room.maria.reads("тих орех")[-1]
    assert state.words == say("state.due")
    assert [words for words in room.maria.words("тих орех") if "Тук съм." in words] == ["Тук съм."]


async def test_a_copy_that_may_stand_twice_says_so_as_long_as_it_stands(
    room: Room, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(forum_module, "AGAIN_SECONDS", 0.1)
    case = await room.claimed("тих орех", "Здравей")
    label = say("repeated", words="").strip()
    room.phones.server.fail(Fault("drop_after", "sendMessage"))
    await room.centre.store.add_from_woman(case.id, "едно", "key", handle="7")
    room.centre.changes.notify()
    repeated = await room.maria.sees("тих орех", label)
    assert room.maria.words("тих орех")[-2:] == ["едно", say("repeated", words="едно").strip()]
    her = "web", "тих орех"
    await room.centre.store.edit_from_woman(*her, "7", "едно и половина", covered=False)
    room.centre.changes.notify()
    mended = await room.maria.sees("тих орех", "едно и половина")
    assert mended.id == repeated.id
    assert mended.words.startswith(label)


async def test_what_changed_and_changed_back_while_an_answer_was_lost_says_what_is_so(
    room: Room, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(forum_module, "AGAIN_SECONDS", 1.5)
    case = await room.claimed("тих орех", "Здравей")
    await room.sends()
    await room.centre.store.set_present(case.id, False)
    room.maria.says("Тук съм.", "тих орех")
    await room.maria.sees("тих орех", say("state.held"))
    room.phones.server.fail(Fault("drop_after", "editMessageText"))
    await room.centre.store.set_present(case.id, True)
    room.centre.changes.notify()
    await room.maria.sees("тих орех", say("state.due"))
    await room.centre.store.set_present(case.id, False)
    await room.maria.sees("тих орех", say("state.held"))


async def test_a_note_is_never_sent(room: Room) -> None:
    case = await room.claimed("тих орех", "Здравей")
    await room.sends()
    advice = room.elena.says("Питай я за детето", "тих орех")
    await room.elena.sees("тих орех", say("refused.not_yours"))
    room.maria.says("// две деца", "тих орех")
    room.maria.says("Ще я питам", "тих орех", answers=advice)
    await room.phones.handled()
    await room.maria.sees("тих орех", say("noted"))
    assert await room.said_to(case) == []
    assert await room.said_to(case, Author.NOTE) == ["две деца", "Ще я питам"]
    assert await room.sends() == []


async def test_a_command_gives_the_buttons_and_is_not_sent(room: Room) -> None:
    case = await room.claimed("тих орех", "Здравей")
    room.maria.says("/close", "тих орех")
    shown = await room.maria.sees("тих орех", say("controls"))
    assert [row[0]["callback_data"] for row in shown.buttons] == ["read:", "back:", "close:"]
    assert await room.said_to(case) == []
    assert (await room.centre.case(case)).state is CaseState.CLAIMED


async def test_what_cannot_be_sent_is_refused_and_says_so(room: Room) -> None:
    case = await room.claimed("тих орех", "Здравей")
    room.maria.says(None, "тих орех", voice={"file_id": "v", "file_unique_id": "v", "duration": 3})
    await room.maria.sees("тих орех", say("refused.medium"))
    room.maria.says("дълго " * 600, "тих орех")
    await room.maria.sees("тих орех", say("refused.too_long"))
    room.maria.says("//", "тих орех")
    await room.maria.sees("тих орех", say("refused.empty"))
    assert await room.said_to(case) == []


async def stands(room: Room, case: Case) -> str:
    """Her newest answer was sent, and stands in the woman's chat; its id."""
    await room.sends()
    message = (await room.centre.store.messages(case.id))[-1]
    await room.centre.store.add_handles(case.id, ["41"], message.id)
    return message.id


async def test_who_edits_her_answer_corrects_it_for_the_woman(room: Room) -> None:
    case = await room.claimed("тих орех", "Здравей")
    said = room.maria.says("Тук съм.", "тих орех")
    await room.maria.sees("тих орех", say("state.due"))
    await stands(room, case)
    room.maria.edits(said, "Тук съм до 9.")
    told = await room.maria.sees("тих орех", say("state.correcting"))
    assert told.answers == said.id
    assert "Тук съм до 9." in told.words
    assert await room.sends() == ["Тук съм до 9."]
    await room.maria.sees("тих орех", say("state.sent"))


async def test_an_answer_is_taken_back_by_its_button(room: Room) -> None:
    case = await room.claimed("тих орех", "Здравей")
    room.maria.says("Тук съм.", "тих орех")
    await room.maria.sees("тих орех", say("state.due"))
    await stands(room, case)
    room.centre.changes.notify()
    await room.maria.sees("тих орех", say("state.sent"))
    room.maria.presses(say("button.take_back"), "тих орех")
    await room.maria.sees("тих орех", say("state.taking_back"))
    await room.sends()
    shown = await room.maria.sees("тих орех", say("state.taken_back"))
    assert shown.buttons == []


async def test_an_edit_that_would_make_a_note_or_is_of_no_answer_is_refused(room: Room) -> None:
    case = await room.claimed("тих орех", "Здравей")
    said = room.maria.says("Тук съм.", "тих орех")
    await room.maria.sees("тих орех", say("state.due"))
    room.maria.edits(said, "// лъже")
    told = await room.maria.sees("тих орех", say("refused.edited"))
    assert told.answers == said.id
    note = room.maria.says("// две деца", "тих орех")
    await room.maria.sees("тих орех", say("noted"))
    room.maria.edits(note, "Две деца ли имаш?")
    await room.maria.sees("тих орех", say("refused.standing"))
    assert await room.said_to(case) == ["Тук съм."]
    assert await room.said_to(case, Author.NOTE) == ["две деца"]


async def test_nobody_else_corrects_her_answer(room: Room) -> None:
    case = await room.claimed("тих орех", "Здравей")
    said = room.maria.says("Тук съм.", "тих орех")
    await room.maria.sees("тих орех", say("state.due"))
    await room.centre.desk.transfer(room.maria_account, case.id, room.elena_account.id)
    room.maria.edits(said, "Няма ме.")
    await room.maria.sees("тих орех", say("refused.not_yours"))
    assert await room.said_to(case) == ["Тук съм."]


async def test_who_answers_has_read_her_words(room: Room) -> None:
    case = await room.claimed("тих орех", "Здравей")
    assert (await room.centre.case(case)).unread == 1
    room.maria.says("Тук съм.", "тих орех")
    await room.phones.handled()
    assert (await room.centre.case(case)).unread == 0


# --- what comes from her -----------------------------------------------------------------------


async def test_what_she_sends_is_shown_as_plain_words(room: Room) -> None:
    case = await room.claimed("тих орех")
    store = room.centre.store
    await store.add_from_woman(case.id, "<b>\u202eдвойно</b> *x*", "k1", covered=True)
    photo = Medium(MediumKind.PHOTO, b"jpeg")
    await store.add_from_woman(case.id, "", "k2", medium=photo)
    room.centre.changes.notify()
    shown = await room.maria.sees("тих орех", "<b>двойно</b> *x*")
    assert shown.words.startswith(say("covered"))
    await room.maria.sees("тих орех", say("photo"))
    for call in room.phones.server.called("sendMessage"):
        assert "parse_mode" not in call.params


async def test_a_long_message_of_hers_comes_whole(room: Room) -> None:
    long = "🌿" * (2 * MOST) + "край"
    await room.claimed("тих орех", "начало")
    case = (await room.centre.store.open_cases())[0]
    await room.writes(case, long)
    await room.maria.sees("тих орех", "край")
    assert "".join(room.maria.words("тих орех")[-3:]) == long


async def test_what_a_consultant_writes_on_the_web_stands_in_the_topic_too(room: Room) -> None:
    case = await room.claimed("тих орех", "Здравей")
    await room.centre.desk.reply(room.maria_account, case.id, "От компютъра.", "w1")
    await room.centre.desk.note(room.maria_account, case.id, "Бележка оттам.", "w2")
    shown = await room.maria.sees("тих орех", "От компютъра.")
    assert say("state.due") in shown.words
    note = await room.maria.sees("тих орех", "Бележка оттам.")
    assert note.words.startswith(say("note_from_desk", name="maria", words="")[:7])


# --- faults ------------------------------------------------------------------------------------


async def test_a_restart_makes_no_second_topic_and_says_nothing_twice(room: Room) -> None:
    case = await room.claimed("тих орех", "Здравей")
    room.maria.says("Тук съм.", "тих орех")
    await room.maria.sees("тих орех", say("state.due"))
    await room.phones.stops()
    before = room.maria.words("тих орех")
    room.phones.starts_again()
    room.phones.forum(room.group)
    await room.writes(case, "Още ли си там?")
    await room.maria.sees("тих орех", "Още ли си там?")
    assert room.maria.topics == ["тих орех"]
    assert room.maria.words("тих орех") == [*before, "Още ли си там?"]


async def test_what_ended_while_it_was_stopped_has_no_topic_afterwards(room: Room) -> None:
    case = await room.claimed("тих орех", "Здравей")
    await room.phones.stops()
    await room.closes(case)
    room.phones.starts_again()
    room.phones.forum(room.group)
    await room.maria.sees_topics()


async def test_topic_deleted_by_hand_a_new_one_never_the_general_topic(room: Room) -> None:
    case = await room.claimed("тих орех", "Страх ме е.")
    (thread,) = room.group.topics
    room.phones.server.drop_topic(room.group, thread)
    await room.writes(case, "Там ли си?")
    await room.maria.sees("тих орех", "Там ли си?")
    assert "Страх ме е." in room.maria.words("тих орех")
    assert thread not in room.group.topics
    assert room.maria.words(None) == []


async def test_forum_group_gets_a_new_id_followed(room: Room) -> None:
    case = await room.claimed("тих орех", "Страх ме е.")
    newer = room.phones.server.migrate(room.group)
    maria = room.phones.server.member(newer, room.maria.user)
    await room.phones.handled()
    await room.writes(case, "Там ли си?")
    await maria.sees("тих орех", "Там ли си?")
    maria.says("Тук съм.", "тих орех")
    await maria.sees("тих орех", say("state.due"))
    assert maria.topics == ["тих орех"]
    assert await room.centre.store.newest_group(room.group.id) == newer.id
    await room.phones.stops()
    room.phones.starts_again()
    room.phones.forum(room.group)  # the setting still holds the old id
    await room.writes(case, "Ало?")
    await maria.sees("тих орех", "Ало?")


async def test_a_move_that_only_an_answer_tells_is_followed(room: Room) -> None:
    case = await room.claimed("тих орех", "Страх ме е.")
    newer = room.phones.server.migrate(room.group)
    room.phones.server.updates.clear()
    await room.writes(case, "Там ли си?")
    await room.phones.server.member(newer, room.maria.user).sees("тих орех", "Там ли си?")


@pytest.mark.parametrize(
    "fault",
    [
        Fault("refuse", "sendMessage",
              error=ApiError(429, "Too Many Requests: retry after 1", retry_after=1)),
        Fault("html", "sendMessage"),
        Fault("drop_before", "sendMessage"),
        Fault("refuse", "sendMessage", error=ApiError(400, "Bad Request: message is too weird")),
    ],
    ids=["429", "502", "lost", "refused"],
)  # fmt: skip
async def test_nothing_of_hers_is_lost_on_the_way(
    room: Room, fault: Fault, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(forum_module, "AGAIN_SECONDS", 0.1)
    case = await room.claimed("тих орех", "Здравей")
    room.phones.server.fail(fault)
    await room.writes(case, "едно")
    await room.writes(case, "две")
    await room.maria.sees("тих орех", "две")
    repeated = say("repeated", words="едно").strip()
    first = {"html": repeated, "drop_before": repeated}
    expected = say("unshown") if fault.error and fault.error.code == 400 else "едно"
    assert room.maria.words("тих орех")[-2:] == [first.get(fault.kind, expected), "две"]


async def test_a_case_whose_topic_is_refused_holds_up_no_other(room: Room) -> None:
    full = ApiError(400, "Bad Request: not enough rights to create a topic")
    room.phones.server.fail(Fault("refuse", "createForumTopic", error=full))
    await room.centre.woman("първа")
    room.centre.clock.passes(seconds=1)
    await room.centre.woman("втора")
    room.centre.changes.notify()
    await room.maria.sees_topics("втора")


async def test_another_group_in_the_setting_gets_topics_of_its_own(room: Room) -> None:
    await room.claimed("тих орех", "Здравей")
    await room.phones.stops()
    room.phones.starts_again()
    other = room.phones.server.group(forum=True)
    room.phones.forum(other)
    await room.phones.server.member(other, room.maria.user).sees("тих орех", "Здравей")
    await room.maria.sees_topics()


async def test_the_forum_is_no_desk_that_somebody_sits_before(room: Room) -> None:
    await room.waits("тих орех")
    assert not room.centre.changes.watched


async def test_no_word_stands_in_the_tables_of_the_forum(room: Room, tmp_path: Path) -> None:
    await room.claimed("тих орех", "Страх ме е.")
    await room.phones.stops()
    files = [file.read_bytes() for file in tmp_path.glob("phen.db*")]
    assert any(b"topic_lines" in file for file in files)
    assert not any("Страх".encode() in file for file in files)
