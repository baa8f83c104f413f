"""The desk's bot on the wire: polled as the women's is, and never mixed with it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from bot import serving
from bot.channels.base import Gone, Refused, Throttled, Unauthorised, Unknown, Unsent
from bot.channels.chats import Declined
from bot.desk.forum import Forum
from bot.desk.telegram import DeskUpdate, GroupMoved, TopicGone, Unmet, What, understood
from tests.bot.desk.phones import TOKEN, Phones, some_phones
from tests.line import eventually, running_line
from tests.standins.telegram import ApiError, Fault, TelegramStandIn


@pytest.fixture
async def phones(tmp_path: Path) -> AsyncIterator[Phones]:
    async with some_phones(tmp_path) as made:
        yield made


class Record:
    """Takes updates; `fails` decides which could not be kept."""

    def __init__(self) -> None:
        self.got: list[DeskUpdate] = []
        self.fails = 0

    async def __call__(self, update: DeskUpdate) -> None:
        if self.fails:
            self.fails -= 1
            raise OSError
        self.got.append(update)

    @property
    def texts(self) -> list[str]:
        return [update.text for update in self.got]


# --- what comes in -----------------------------------------------------------------------------


async def test_what_somebody_does_in_a_group_is_understood(phones: Phones) -> None:
    group = phones.server.group(forum=True)
    record, member = Record(), phones.server.member(group, 7001)
    thread = await phones.bot.make_topic(group.id, "тих орех")
    line = await phones.bot.say(group.id, "тя", topic=thread, buttons=[("Поеми", "claim:")])
    phones.runs(record)
    colleague = member.says("помагам ти", "тих орех", sender=7002)
    said = member.says("Здравей", "тих орех")
    member.says("благодаря", "тих орех", answers=colleague)
    member.says("пак аз", "тих орех", answers=said)
    member.says(None, "тих орех", photo=[{"file_id": "p", "file_unique_id": "p", "width": 9,
                                          "height": 9}])  # fmt: skip
    member.says("общо", None)
    member.says("анонимно", "тих орех", sender=1087968824)
    member.edits(said, "Здравей!")
    query = member.presses("Поеми", "тих орех")
    await phones.handled()
    by_key = sorted(record.got, key=lambda update: update.key)
    found = [(u.what, u.user, u.topic, u.text, u.aside, u.medium) for u in by_key]
    assert found == [
        (What.SAID, 7002, thread, "помагам ти", False, False),
        (What.SAID, 7001, thread, "Здравей", False, False),
        (What.SAID, 7001, thread, "благодаря", True, False),
        (What.SAID, 7001, thread, "пак аз", False, False),
        (What.SAID, 7001, thread, "", False, True),
        (What.SAID, 7001, None, "общо", False, False),
        (What.SAID, None, thread, "анонимно", False, False),
        (What.EDITED, 7001, thread, "Здравей!", False, False),
        (What.PRESSED, 7001, thread, "claim:", False, False),
    ]
    assert (by_key[-1].query, by_key[-1].message) == (query, line)


async def test_an_answer_in_the_general_topic_is_in_no_topic(phones: Phones) -> None:
    told = {
        "message_id": 5, "message_thread_id": 3, "date": 1, "text": "да",
        "chat": {"id": -100, "type": "supergroup"}, "from": {"id": 7, "is_bot": False},
    }  # fmt: skip
    update = understood({"update_id": 1, "message": told})
    assert update is not None
    assert update.topic is None


@pytest.mark.parametrize(
    "note",
    [
        {"forum_topic_created": {"name": "а", "icon_color": 1}},
        {"new_chat_members": []},
        {"pinned_message": {"text": "тайна"}},
    ],
)
def test_telegrams_own_notes_and_other_bots_are_nobodys_word(note: dict[str, Any]) -> None:
    base = {"message_id": 5, "date": 1, "chat": {"id": -100, "type": "supergroup"}}
    her: dict[str, Any] = {"from": {"id": 7, "is_bot": False}}
    assert understood({"update_id": 1, "message": base | her | note}) is None
    bot = {"from": {"id": 8, "is_bot": True}, "text": "реклама"}
    assert understood({"update_id": 1, "message": base | bot}) is None


async def test_one_bad_update_is_set_aside_and_the_next_one_is_taken(phones: Phones) -> None:
    record, phone = Record(), phones.server.woman()
    for number, bad in enumerate([{"chat": 5}, "?", {"chat": {"id": 1}, "text": "а"}, []]):
        phones.server.push("message", bad, update_id=70_000_001 + number)
    phones.server.push_raw({"no": "id"})
    phones.server.skip_ids(70_000_100)
    phone.types("добър")
    phones.runs(record)
    assert await eventually(lambda: record.texts == ["добър"])
    await phones.handled()
    phones.server.calls.clear()  # what is no update is no answer of Telegram's either


async def test_what_could_not_be_kept_comes_again_in_its_order(phones: Phones) -> None:
    record, phone = Record(), phones.server.woman()
    record.fails = 2
    for text in ("едно", "две", "три"):
        phone.types(text)
    phones.runs(record)
    await phones.handled()
    assert record.texts == ["едно", "две", "три"]


async def test_a_slow_topic_holds_up_no_other(phones: Phones) -> None:
    slow, quick = phones.server.woman(), phones.server.woman()
    record, gate = Record(), asyncio.Event()

    async def handle(update: DeskUpdate) -> None:
        if update.chat == slow.id:
            await gate.wait()
        await record(update)

    slow.types("бавно")
    quick.types("бързо")
    phones.runs(handle)
    assert await eventually(lambda: record.texts == ["бързо"])
    gate.set()
    await phones.handled()
    assert record.texts == ["бързо", "бавно"]


async def test_a_second_poller_makes_it_stand_by_and_loses_nothing(phones: Phones) -> None:
    conflict = ApiError(409, "Conflict: terminated by other getUpdates request")
    phones.server.fail(*[Fault("refuse", "getUpdates", error=conflict)] * 3)
    record, phone = Record(), phones.server.woman()
    phone.types("чакай")
    phones.runs(record)
    assert await eventually(lambda: record.texts == ["чакай"])
    assert phones.bot.events["poll_failed"] == 3


async def test_a_wrong_token_stops_it(phones: Phones) -> None:
    phones.server.token = "5550001:AAother"
    with pytest.raises(Unauthorised) as raised:
        await phones.bot.run(Record())
    assert "AAE" not in repr(raised.value)
    phones.server.calls.clear()


# --- what goes out -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fault", "verdict"),
    [
        (ApiError(400, "Bad Request: message thread not found"), TopicGone),
        (ApiError(400, "Bad Request: TOPIC_ID_INVALID"), TopicGone),
        (ApiError(400, "Bad Request: group chat was upgraded to a supergroup chat",
                  migrate_to_chat_id=-1009), GroupMoved),
        (ApiError(400, "Bad Request: message text is empty"), Declined),
        (ApiError(400, "Bad Request: not enough rights to create a topic"), Refused),
        (ApiError(403, "Forbidden: bot was kicked from the supergroup chat"), Gone),
        (ApiError(401, "Unauthorized"), Unauthorised),
        (ApiError(429, "Too Many Requests: retry after 7", retry_after=7), Throttled),
        (Fault("html"), Unknown),
        (Fault("drop_after"), Unknown),
    ],
)  # fmt: skip
async def test_what_telegram_answers_becomes_a_verdict_without_its_words(
    phones: Phones, fault: ApiError | Fault, verdict: type[Exception]
) -> None:
    phones.server.fail(fault if isinstance(fault, Fault) else Fault("refuse", error=fault))
    with pytest.raises(verdict) as raised:
        await phones.bot.say(phones.server.woman().id, "тайна", topic=5)
    assert raised.value.__context__ is None
    assert "тайна" not in repr(raised.value)
    if isinstance(raised.value, GroupMoved):
        assert raised.value.chat == -1009


@pytest.mark.parametrize(
    ("said", "verdict"),
    [
        ("not enough rights to restrict/unrestrict chat member", Refused),
        ("can't remove chat owner", Refused),
        ("user is an administrator of the chat", Refused),
        ("CHAT_ADMIN_REQUIRED", Refused),
        ("chat not found", Gone),
        ("USER_NOT_PARTICIPANT", Unmet),
        ("PARTICIPANT_ID_INVALID", Unmet),
        ("user not found", Unmet),
    ],
)
@pytest.mark.parametrize("call", ["put_out", "let_back"])
async def test_what_telegram_answers_about_a_member(
    phones: Phones, call: str, said: str, verdict: type[Exception]
) -> None:
    phones.server.fail(Fault("refuse", error=ApiError(400, f"Bad Request: {said}")))
    with pytest.raises(verdict) as raised:
        await getattr(phones.bot, call)(phones.server.group(forum=True).id, 7001)
    assert isinstance(raised.value, Unmet) == (verdict is Unmet)
    assert raised.value.__context__ is None


async def test_without_telegram_nothing_has_left(phones: Phones) -> None:
    await phones.server.stop()
    with pytest.raises(Unsent):
        await phones.bot.say(1, "а")
    await phones.server.start()


# --- beside the women's bot --------------------------------------------------------------------


async def test_the_two_bots_never_mix_and_health_names_the_desks(tmp_path: Path) -> None:
    desk = TelegramStandIn(token=TOKEN)
    async with running_line(tmp_path, desk=desk) as line:
        stranger, woman = desk.woman(), line.telegram.woman()
        stranger.types("здравей")
        woman.starts()
        await stranger.sees(line.phen.texts.say("bg", "bell.neutral"))
        await woman.sees(line.phen.texts.say("bg", "start.text"))
        assert not [m for m in stranger.bot_messages if m.photo]
        assert len(woman.bot_messages) == 1
        async with httpx.AsyncClient() as client:
            answer = await client.get(f"{line.url}/healthz")
            assert answer.json()["parts"]["desk"] is True
            desk.fail(Fault("refuse", "getUpdates", error=ApiError(401, "Unauthorized")))
            stranger.types("още")

            async def named() -> bool:
                answer = await client.get(f"{line.url}/healthz")
                return answer.status_code == 503 and answer.json()["parts"]["desk"] is False

            assert await eventually(named)


async def test_a_case_that_waits_rings_on_the_phone_and_a_claim_takes_it_back(
    tmp_path: Path,
) -> None:
    desk = TelegramStandIn(token=TOKEN)
    async with running_line(tmp_path, desk=desk) as line:
        maria, phone = await line.consultant(), desk.woman()
        assert line.phen.bells is not None
        phone.types(await line.phen.bells.offer(maria))
        await phone.sees(line.phen.texts.say("bg", "bell.linked"))
        case = await line.phen.store.open_case("web", "her", "bg", None, None, "тих орех")
        await line.phen.bell.tick()
        ring = await phone.sees(line.phen.texts.say("bg", "bell.ring"))
        await line.phen.desk.claim(maria, case.id)
        await line.phen.bell.tick()
        assert await eventually(lambda: ring not in phone.bot_messages)


async def test_the_joined_line_keeps_the_group_and_a_fault_there_is_named_apart_from_the_bell(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(serving, "AGAIN_SECONDS", 0.3)
    desk, shows, broken = TelegramStandIn(token=TOKEN), Forum.run, True

    async def breaks(forum: Forum) -> None:
        if broken:
            raise KeyError("her words")
        await shows(forum)

    monkeypatch.setattr(Forum, "run", breaks)
    group = desk.group(forum=True)
    async with (
        running_line(tmp_path, desk=desk, desk_chat=group.id) as line,
        httpx.AsyncClient() as client,
    ):

        async def parts() -> dict[str, bool]:
            told: dict[str, bool] = (await client.get(f"{line.url}/healthz")).json()["parts"]
            return told

        async def named() -> bool:
            return not (await parts())["forum"]

        async def well() -> bool:
            return (await parts())["forum"]

        assert await eventually(named)
        assert (await parts())["desk"]
        broken = False
        assert await eventually(well)
        await line.phen.store.open_case("web", "her", "bg", None, None, "тих орех")
        line.phen.changes.notify()
        assert await eventually(lambda: "тих орех" in group.topics.values())
