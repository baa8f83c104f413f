"""The stand-in before another client than ours: aiogram's own, with its own models."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import pytest
from aiogram import Bot
from aiogram.client.session.aiohttp import AiohttpSession
from aiogram.client.telegram import TelegramAPIServer
from aiogram.exceptions import (
    TelegramBadRequest,
    TelegramForbiddenError,
    TelegramMigrateToChat,
    TelegramRetryAfter,
    TelegramUnauthorizedError,
)
from aiogram.types import (
    BufferedInputFile,
    InlineKeyboardButton,
    InlineKeyboardMarkup,
    InputMediaAudio,
    InputMediaPhoto,
    ReplyParameters,
)

from tests.standins.member import NoMember
from tests.standins.referee import objections
from tests.standins.telegram import ANONYMOUS, Call, Shown, TelegramStandIn

PNG = b"\x89PNG\r\n\x1a\n"


class Clock:
    ahead = timedelta()

    def __call__(self) -> datetime:
        return datetime.now(UTC) + self.ahead


@pytest.fixture
async def server() -> AsyncIterator[TelegramStandIn]:
    server = TelegramStandIn(now=Clock())
    await server.start()
    yield server
    await server.stop()
    assert [found for call in server.calls for found in objections(call)] == []


@pytest.fixture
async def bot(server: TelegramStandIn) -> AsyncIterator[Bot]:
    session = AiohttpSession(api=TelegramAPIServer.from_base(server.api))
    bot = Bot(server.token, session=session)
    yield bot
    await session.close()


def keyboard(data: str = "bg:home", text: str = "⌂") -> InlineKeyboardMarkup:
    button = InlineKeyboardButton(text=text, callback_data=data)
    return InlineKeyboardMarkup(inline_keyboard=[[button]])


async def test_messages_as_aiogram_reads_them(server: TelegramStandIn, bot: Bot) -> None:
    woman = server.woman()
    sent = await bot.send_message(woman.id, "едно", reply_markup=keyboard(), protect_content=True)
    assert (sent.text, sent.has_protected_content) == ("едно", True)
    await bot.edit_message_text("две", chat_id=woman.id, message_id=sent.message_id)
    photo = BufferedInputFile(PNG, "picture.png")
    window = await bot.send_photo(woman.id, photo, caption="картина")
    assert window.photo
    edited = await bot.edit_message_caption(
        chat_id=woman.id, message_id=window.message_id, caption="друга", reply_markup=keyboard()
    )
    assert not isinstance(edited, bool)
    assert edited.edit_date
    await bot.edit_message_reply_markup(chat_id=woman.id, message_id=window.message_id)
    audio = InputMediaAudio(media=BufferedInputFile(b"ID3", "listen.mp3"), caption="чуй")
    await bot.edit_message_media(audio, chat_id=woman.id, message_id=window.message_id)
    back = InputMediaPhoto(media=window.photo[-1].file_id)
    await bot.edit_message_media(back, chat_id=woman.id, message_id=window.message_id)
    await bot.send_audio(woman.id, BufferedInputFile(b"ID3", "listen.mp3"))
    assert [s.words for s in woman.chat] == ["две", "", ""]


async def test_updates_as_aiogram_reads_them(server: TelegramStandIn, bot: Bot) -> None:
    woman = server.woman()
    await bot.send_message(woman.id, "меню", reply_markup=keyboard())
    woman.starts("ruse-p1")
    for medium in ("photo", "voice", "contact", "poll", "story", "dice", "sticker", "venue"):
        woman.sends(medium)
    woman.forwards("чуждо")
    woman.edits(woman.chat[-1], "мое")
    woman.taps("⌂")
    woman.blocks()
    updates = await bot.get_updates()
    assert len(updates) == 13
    query = updates[11].callback_query
    assert query
    assert query.data == "bg:home"
    await bot.answer_callback_query(query.id)
    assert len(await bot.get_updates(offset=updates[4].update_id)) == 9
    assert await bot.get_updates(offset=updates[-1].update_id + 1) == []


async def test_webhook_and_profile(server: TelegramStandIn, bot: Bot) -> None:
    await bot.set_webhook("https://example.org/hook")
    assert (await bot.get_webhook_info()).url == "https://example.org/hook"
    await bot.delete_webhook()
    await bot.set_my_name("Дом", language_code="bg")
    assert (await bot.get_my_name(language_code="bg")).name == "Дом"
    with pytest.raises(TelegramBadRequest):
        await bot.set_my_name("Кхер", language_code="rom")


async def test_what_the_platform_refuses(server: TelegramStandIn, bot: Bot) -> None:
    woman = server.woman()
    sent = await bot.send_message(woman.id, "а", reply_markup=keyboard())
    for call, told in (
        (bot.send_message(woman.id, "я" * 4097), "too long"),
        (bot.send_message(woman.id, " "), "empty"),
        (bot.send_photo(woman.id, "no-such-id"), "wrong file identifier"),
        (bot.send_photo(woman.id, BufferedInputFile(PNG, "p"), caption="🌿" * 513), "too long"),
        (bot.send_message(woman.id, "а", reply_markup=keyboard("x" * 65)), "BUTTON_DATA_INVALID"),
        (bot.edit_message_text("б", chat_id=woman.id, message_id=9), "to edit not found"),
        (
            bot.edit_message_text(
                "а", chat_id=woman.id, message_id=sent.message_id, reply_markup=keyboard()
            ),
            "not modified",
        ),
        (bot.delete_message(woman.id, 9), "to delete not found"),
        (bot.delete_messages(woman.id, list(range(1, 102))), "too many"),
        (bot.send_message(42, "а"), "chat not found"),
        (bot.answer_callback_query("1"), "too old"),
    ):
        with pytest.raises(TelegramBadRequest, match=told):
            await call
    assert isinstance(server.now, Clock)
    server.now.ahead = timedelta(hours=49)
    with pytest.raises(TelegramBadRequest, match="can't be deleted"):
        await bot.delete_messages(woman.id, [sent.message_id])
    woman.blocks()
    with pytest.raises(TelegramForbiddenError):
        await bot.send_message(woman.id, "а")
    server.calls.clear()  # what was refused for its shape is no shape aiogram knows


async def test_limits_and_token(server: TelegramStandIn, bot: Bot) -> None:
    server.limits, server.clock = True, lambda: 100.0
    woman = server.woman()
    for n in range(20):
        await bot.send_message(woman.id, str(n))
    with pytest.raises(TelegramRetryAfter):
        await bot.send_message(woman.id, "и още")
    server.token = "1:other"
    with pytest.raises(TelegramUnauthorizedError):
        await bot.get_me()
    server.calls.clear()


async def test_strict_limits(server: TelegramStandIn, bot: Bot) -> None:
    server.limits, server.per_second, server.chat_burst = True, 2, 1
    server.clock = lambda: 100.0
    women = [server.woman() for _ in range(3)]
    await bot.send_message(women[0].id, "а")
    with pytest.raises(TelegramRetryAfter):  # in her chat
        await bot.send_message(women[0].id, "б")
    await bot.send_message(women[1].id, "а")
    with pytest.raises(TelegramRetryAfter):  # over all
        await bot.send_message(women[2].id, "а")
    server.calls.clear()


def test_the_referee_objects_to_what_is_not_in_the_api() -> None:
    call = Call("sendMessage", {"chat_id": 1, "text": "а", "silent": True}, {}, 0.0)
    call.answer = {
        "ok": True,
        "result": {"message_id": 1, "date": 1, "chat": {"id": 1, "type": "private"}, "sound": 0},
    }
    assert objections(call) == ["sendMessage has no silent", "sendMessage answers result.sound"]


async def test_a_forum_as_aiogram_reads_it(server: TelegramStandIn, bot: Bot) -> None:
    group = server.group(forum=True)
    member = server.member(group, 7001)
    topic = await bot.create_forum_topic(group.id, "тих орех")
    thread = topic.message_thread_id
    sent = await bot.send_message(
        group.id, "тя", message_thread_id=thread, reply_markup=keyboard("claim:", "Поеми")
    )
    assert (sent.message_thread_id, sent.is_topic_message) == (thread, True)
    said = member.says("аз", "тих орех")
    member.says("в общата", None)
    member.says("анонимно", "тих орех", sender=ANONYMOUS)
    member.edits(said, "пак аз")
    member.presses("Поеми", "тих орех")
    member.puts_the_bot_in()
    first, general, hidden, edited, pressed, put_in = await bot.get_updates()
    assert first.message
    assert first.message.from_user
    assert first.message.reply_to_message
    assert (first.message.from_user.id, first.message.message_thread_id) == (7001, thread)
    assert first.message.reply_to_message.forum_topic_created  # as for all that answers nothing
    assert general.message
    assert general.message.is_topic_message is None
    assert hidden.message
    assert hidden.message.sender_chat
    assert edited.edited_message
    assert pressed.callback_query
    assert put_in.my_chat_member
    reply = await bot.send_message(
        group.id, "бележка", message_thread_id=thread,
        reply_parameters=ReplyParameters(message_id=said.id),
    )  # fmt: skip
    assert reply.reply_to_message
    await bot.delete_forum_topic(group.id, thread)
    assert [shown.words for shown in group.messages.values()] == ["в общата"]


async def test_what_the_platform_refuses_in_a_forum(server: TelegramStandIn, bot: Bot) -> None:
    group, plain = server.group(forum=True), server.group()
    thread = (await bot.create_forum_topic(group.id, "тих орех")).message_thread_id
    server.drop_topic(group, thread)
    reply = ReplyParameters(message_id=5)
    for call, told in (
        (bot.send_message(group.id, "а", message_thread_id=thread), "message thread not found"),
        (bot.send_message(plain.id, "а", message_thread_id=1), "message thread not found"),
        (bot.send_message(group.id, "а", reply_parameters=reply), "to be replied not found"),
        (bot.delete_forum_topic(group.id, thread), "TOPIC_ID_INVALID"),
        (bot.create_forum_topic(plain.id, "а"), "the chat is not a forum"),
    ):
        with pytest.raises(TelegramBadRequest, match=told):
            await call
    group.rights.clear()
    with pytest.raises(TelegramBadRequest, match="not enough rights"):
        await bot.create_forum_topic(group.id, "а")
    group.open = False
    with pytest.raises(TelegramForbiddenError, match="kicked"):
        await bot.send_message(group.id, "а")


async def test_who_is_put_out_of_a_group(server: TelegramStandIn, bot: Bot) -> None:
    group = server.group(forum=True)
    member, other = server.member(group, 7001), server.member(group, 7002)
    assert await bot.unban_chat_member(group.id, 7001, only_if_banned=True)
    assert member.is_in
    for _ in range(2):
        assert await bot.ban_chat_member(group.id, 7001)
    (told,) = await bot.get_updates()
    assert told.message
    assert told.message.left_chat_member
    assert told.message.left_chat_member.id == 7001
    for act in (
        lambda: member.says("аз", None),
        lambda: member.reads(None),
        lambda: member.sends_press(Shown(1, group.id, True, server.now()), "claim:"),
        member.joins,
    ):
        with pytest.raises(NoMember):
            act()
    other.says("тук съм", None)
    assert await bot.unban_chat_member(group.id, 7001, only_if_banned=True)
    assert not member.is_in
    member.joins()
    assert await bot.unban_chat_member(group.id, 7001)
    assert not member.is_in, "without the condition it puts out who is in"


async def test_whom_the_platform_does_not_put_out(server: TelegramStandIn, bot: Bot) -> None:
    group = server.group(forum=True)
    for user in (1, 2, 3, 4):
        server.member(group, user)
    await bot.ban_chat_member(group.id, 4)
    group.owner, group.admins = 1, {2}
    for call, told in (
        (bot.ban_chat_member(group.id, 1), "can't remove chat owner"),
        (bot.ban_chat_member(group.id, 2), "user is an administrator of the chat"),
        (bot.ban_chat_member(group.id, 999), "PARTICIPANT_ID_INVALID"),
        (bot.unban_chat_member(server.group("group").id, 3), "supergroup and channel chats only"),
    ):
        with pytest.raises(TelegramBadRequest, match=told):
            await call
    group.rights.discard("restrict_members")
    assert await bot.unban_chat_member(group.id, 3, only_if_banned=True)
    for call in (
        bot.ban_chat_member(group.id, 3),
        bot.unban_chat_member(group.id, 4, only_if_banned=True),
    ):
        with pytest.raises(TelegramBadRequest, match="not enough rights to restrict"):
            await call
    assert group.members == {1, 2, 3}
    assert group.banned == {4}


async def test_a_group_that_gets_a_newer_id(server: TelegramStandIn, bot: Bot) -> None:
    old = server.group(forum=True)
    thread = (await bot.create_forum_topic(old.id, "тих орех")).message_thread_id
    new = server.migrate(old)
    with pytest.raises(TelegramMigrateToChat) as raised:
        await bot.send_message(old.id, "а", message_thread_id=thread)
    assert raised.value.migrate_to_chat_id == new.id
    told, beside = await bot.get_updates()
    assert told.message
    assert beside.message
    assert told.message.migrate_to_chat_id == new.id
    assert beside.message.migrate_from_chat_id == old.id
    await bot.send_message(new.id, "а", message_thread_id=thread)


async def test_two_bots_under_one_address_share_nothing(server: TelegramStandIn, bot: Bot) -> None:
    beside = TelegramStandIn(token="5550001:AAE-another")
    server.stands_beside(beside)
    session = AiohttpSession(api=TelegramAPIServer.from_base(server.api))
    other = Bot(beside.token, session=session)
    hers, theirs = server.woman(), beside.woman()
    hers.types("едно")
    theirs.types("друго")
    (mine,), (its,) = await bot.get_updates(), await other.get_updates()
    assert mine.message
    assert its.message
    assert (mine.message.text, its.message.text) == ("едно", "друго")
    assert not [call for call in server.calls if call in beside.calls]
    await session.close()
