"""What nobody waits for: a reminder, and many of them at once, on each platform."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from bot.channels import viber_api
from bot.channels.base import (
    Gone,
    Outgoing,
    OutgoingButton,
    Refused,
    SendError,
    Throttled,
    Unknown,
    Unpaid,
    Unreached,
)
from bot.channels.pace import Rates
from dialogs.model import Position
from tests.bot.channels.telegram_line import (
    Clock,
    Line,
    MediaIds,
    draw,
    eventually,
    new_channel,
    said,
)
from tests.bot.channels.viber_line import ViberLine
from tests.standins import telegram, viber
from tests.standins.telegram import ApiError, TelegramStandIn
from tests.standins.viber import SESSION
from tests.standins.viber_woman import ViberWoman

STOP = OutgoingButton("Не ми пишете", "bg:remind_stop")
REMINDER = Outgoing(
    "Новата рецепта е готова.",
    "bg",
    (OutgoingButton("Отвори", "bg:start"), STOP),
    picture="cover",
    cover=True,
    silent=False,
    position=Position("bg", "reminder"),
)


# --- Telegram --------------------------------------------------------------------------------


async def notified(line: Line, address: object) -> str | SendError:
    [became] = await line.channel.notify([str(address)], REMINDER)
    return became


async def test_a_reminder_is_a_new_message_that_rings(line: Line) -> None:
    woman = line.server.woman()
    before = await line.channel.show(str(woman.id), Outgoing("Супа", "bg", cover=True), None)
    handle = await notified(line, woman.id)
    assert [str(shown.id) for shown in woman.chat] == [before, handle]
    shown = woman.chat[-1]
    assert shown.caption == REMINDER.text
    assert line.server.picture(shown.photo) == (line.pictures / "cover.png").read_bytes()
    assert [row[0]["text"] for row in shown.buttons] == ["Отвори", "Не ми пишете"]
    assert shown.protected
    assert not shown.silent


@pytest.mark.parametrize(
    ("fault", "verdict"),
    [
        (telegram.Fault("refuse", error=ApiError(403, "Forbidden: user is deactivated")), Gone),
        (telegram.Fault("refuse", error=ApiError(400, "Bad Request: chat not found")), Gone),
        (telegram.Fault("refuse", error=ApiError(400, "Bad Request: anything")), Refused),
        (telegram.Fault("html"), Unknown),
        (telegram.Fault("drop_before"), Unknown),
        (telegram.Fault("drop_after"), Unknown),
    ],
    ids=["deactivated", "no chat", "refused", "a proxy's page", "unread", "answer lost"],
)
async def test_what_becomes_of_a_reminder_on_telegram(
    line: Line, fault: telegram.Fault, verdict: type[SendError]
) -> None:
    line.server.fail(fault)
    became = await notified(line, line.server.woman().id)
    assert isinstance(became, verdict)


async def test_who_blocked_the_line_is_gone_and_the_others_get_theirs(line: Line) -> None:
    woman, other = line.server.woman(), line.server.woman()
    woman.blocks()
    assert isinstance(await notified(line, woman.id), Gone)
    assert await notified(line, other.id) == str(other.chat[-1].id)


async def test_while_telegram_is_away_nothing_left(line: Line) -> None:
    woman = line.server.woman()
    await line.server.stop()
    assert isinstance(await notified(line, woman.id), Unreached)


async def test_a_429_pauses_her_chat_alone_and_then_all(line: Line) -> None:
    women = [line.server.woman() for _ in range(4)]
    slow = ApiError(429, "Too Many Requests: retry after 7", retry_after=7)
    for woman in women[:3]:
        line.server.fail(telegram.Fault("refuse", error=slow))
        became = await notified(line, woman.id)
        assert isinstance(became, Throttled)
        assert became.seconds == pytest.approx(7, abs=0.5)
        assert became.everywhere is (woman is women[2])
    asked = len(line.server.calls)
    assert isinstance(await notified(line, women[3].id), Throttled)
    assert len(line.server.calls) == asked


async def test_telegram_takes_one_at_a_time(line: Line) -> None:
    with pytest.raises(ValueError, match="at most 1"):
        await line.channel.notify(["1", "2"], REMINDER)
    assert line.server.called("sendPhoto") == []
    assert await line.channel.notify([], REMINDER) == []


@pytest.fixture
async def strict(tmp_path: Path) -> AsyncIterator[Line]:
    """A platform that takes sixty a second and one a second in a chat, counted strictly.

    It gets at most fifty: how a busy machine shakes our calls together is not what is tested
    here; that no more than the cap ever leaves is shown in `test_pace`.
    """
    draw(tmp_path, "cover")
    server, media = TelegramStandIn(), MediaIds()
    server.limits, server.per_second, server.chat_burst = True, 60, 1
    await server.start()
    rates = Rates.under(50, chat_per_second=1, chat_burst=5)
    channel = new_channel(server, tmp_path, media, Clock(), rates=rates)
    await channel.notify([str(server.woman().id)], REMINDER)  # the picture is there from now on
    yield Line(server, channel, None, Clock(), media, tmp_path)  # type: ignore[arg-type]
    await channel.close()
    await server.stop()


async def test_a_broadcast_at_full_speed_is_never_refused_and_holds_up_nobody(strict: Line) -> None:
    women = [strict.server.woman() for _ in range(100)]
    broadcasting = [asyncio.create_task(notified(strict, woman.id)) for woman in women]
    await asyncio.sleep(0.5)
    she = strict.server.woman()
    await strict.channel.show(str(she.id), Outgoing("112", "bg", cover=True), None)
    assert not all(each.done() for each in broadcasting)  # behind them all it would be the last
    became = await asyncio.gather(*broadcasting)
    assert [each for each in became if isinstance(each, SendError)] == []
    assert strict.channel.limits.per_second == pytest.approx(48.7)


async def test_what_nobody_waits_for_is_removed_after_what_somebody_does(strict: Line) -> None:
    women, she = [strict.server.woman() for _ in range(60)], strict.server.woman()
    removing = [
        asyncio.create_task(strict.channel.remove(str(woman.id), ["1"], urgent=False))
        for woman in women
    ]
    await asyncio.sleep(0.1)
    await strict.channel.show(str(she.id), said("Тук съм."), None)
    assert len(strict.server.called("deleteMessage")) < 30
    await asyncio.gather(*removing)
    assert len(strict.server.called("deleteMessage")) == 60


async def test_a_poster_leads_to_the_line_on_telegram(line: Line) -> None:
    assert await line.channel.link("ruse-p1") == "https://t.me/dom_zdrave_bot?start=ruse-p1"
    assert await line.channel.link("ruse-p2") == "https://t.me/dom_zdrave_bot?start=ruse-p2"
    assert len(line.server.called("getMe")) == 1
    assert await line.channel.link("no code") is None


async def test_no_poster_leads_anywhere_while_nobody_tells_the_lines_name(line: Line) -> None:
    line.server.fail(telegram.Fault("html", "getMe"))
    assert await line.channel.link("ruse-p1") is None
    assert await line.channel.link("ruse-p1") is not None


# --- Viber -----------------------------------------------------------------------------------


def subscribed(line: ViberLine, count: int) -> list[ViberWoman]:
    line.server.receipts = False
    return [line.server.woman(subscribed=True) for _ in range(count)]


async def broadcast(line: ViberLine, *women: ViberWoman) -> list[str | SendError]:
    return list(await line.channel.notify([woman.id for woman in women], REMINDER))


async def test_three_hundred_women_are_one_call(viber: ViberLine) -> None:
    women = subscribed(viber, 300)
    became = await broadcast(viber, *women)
    assert [method for method, _ in viber.server.calls] == ["broadcast_message"]
    assert became == [str(woman.bot_messages[0].token) for woman in women]
    shown = women[-1].bot_messages[0]
    assert shown.text == REMINDER.text
    assert shown.raw["sender"] == {"name": "Дом и здраве"}
    assert [label for label in women[-1].buttons if label] == ["Отвори", "Не ми пишете"]
    with pytest.raises(ValueError, match="at most 300"):
        await viber.channel.notify([str(n) for n in range(301)], REMINDER)
    assert len(viber.server.calls) == 1


async def test_who_stands_twice_in_a_broadcast_gets_it_once(viber: ViberLine) -> None:
    one, other = subscribed(viber, 2)
    became = await broadcast(viber, one, other, one)
    assert became[0] == became[2]
    assert len(one.bot_messages) == len(other.bot_messages) == 1


async def test_one_woman_alone_is_told_by_a_message_of_her_own(viber: ViberLine) -> None:
    [woman] = subscribed(viber, 1)
    [handle] = await broadcast(viber, woman)
    assert handle == str(woman.bot_messages[0].token)
    assert [method for method, _ in viber.server.calls] == ["send_message"]
    woman.subscribed = False
    [became] = await broadcast(viber, woman)
    assert isinstance(became, Gone)
    viber.server.refusals.clear()
    assert await viber.channel.notify([], REMINDER) == []


async def test_whom_a_broadcast_did_not_reach_has_her_own_verdict(viber: ViberLine) -> None:
    here, left, old, silent = subscribed(viber, 4)
    left.subscribed = False
    old.api_version = 1
    silent.unanswered.extend([viber.clock()] * 100)
    became = await viber.channel.notify([left.id, here.id, "nobody", old.id, silent.id], REMINDER)
    assert became[1] == str(here.bot_messages[0].token)
    assert [type(each) for each in became] == [Gone, str, Gone, Refused, Throttled]
    assert isinstance(became[4], Throttled)
    assert not became[4].everywhere
    assert isinstance((await broadcast(viber, here, here, left))[0], str)  # and nobody is paused


async def test_what_viber_says_of_women_who_were_not_asked_about_is_nothing(
    viber: ViberLine, monkeypatch: pytest.MonkeyPatch
) -> None:
    odd = ["а", {}, {"receiver": 5, "status": 5}, {"receiver": "another", "status": 5}]

    async def answers(body: object, size: int) -> dict[str, object]:
        failed = [*odd, {"receiver": one.id, "status": 0}, {"receiver": other.id, "status": "5"}]
        return {"message_token": 17, "failed_list": failed}

    one, other = subscribed(viber, 2)
    monkeypatch.setattr(viber.server, "_do_broadcast_message", answers)
    became = await broadcast(viber, one, other)
    assert became[0] == "17"
    assert isinstance(became[1], Unknown)


@pytest.mark.parametrize("kind", ["html", "drop_before", "drop_after"])
async def test_a_lost_answer_tells_of_nobody(viber: ViberLine, kind: str) -> None:
    women = subscribed(viber, 2)
    viber.server.fail(viber_fault(kind))
    became = await broadcast(viber, *women)
    assert [type(each) for each in became] == [Unknown, Unknown]


def viber_fault(kind: str, **other: int) -> viber.Fault:
    return viber.Fault(kind, "broadcast_message", **other)


async def test_after_closing_nothing_of_a_broadcast_leaves(viber: ViberLine) -> None:
    women = subscribed(viber, 2)
    await viber.channel.close()
    assert [type(each) for each in await broadcast(viber, *women)] == [Unreached, Unreached]


async def test_a_429_holds_back_broadcasts_and_no_case(viber: ViberLine) -> None:
    women = subscribed(viber, 2)
    viber.server.broadcasts = 1
    await broadcast(viber, *women)
    for _ in range(2):
        became = await broadcast(viber, *women)
        assert [type(each) for each in became] == [Throttled, Throttled]
        assert all(isinstance(each, Throttled) and each.everywhere for each in became)
    assert len(viber.server.called("broadcast_message")) == 2
    await viber.shows(women[0], said("Тук съм."))


async def test_a_broadcast_that_is_too_much_by_its_status_holds_back_the_next_one_too(
    viber: ViberLine,
) -> None:
    women = subscribed(viber, 2)
    viber.server.fail(viber_fault("refuse", code=12))
    for _ in range(2):
        became = await broadcast(viber, *women)
        assert all(isinstance(each, Throttled) and each.everywhere for each in became)
    assert len(viber.server.called("broadcast_message")) == 1


async def test_case_messages_go_before_broadcasts(
    viber: ViberLine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(viber_api, "RATES", Rates(4, 1, 100, 100))
    women = subscribed(viber, 2)
    waiting = [asyncio.create_task(broadcast(viber, *women)) for _ in range(3)]
    waiting.append(asyncio.create_task(viber.shows(women[0], said("Тук съм."))))  # type: ignore[arg-type]
    await asyncio.gather(*waiting)
    methods = [method for method, _ in viber.server.calls]
    assert methods == ["broadcast_message", "send_message", *["broadcast_message"] * 2]


async def test_each_charged_message_of_a_broadcast_is_counted(viber: ViberLine) -> None:
    one, other, left = subscribed(viber, 3)
    await broadcast(viber, one, other)
    assert viber.channel.events["message_charged"] == 0
    left.subscribed = False
    viber.clock.time += SESSION
    await broadcast(viber, one, other, left)
    assert viber.channel.events["message_charged"] == 2


async def test_who_has_no_money_is_told_once(viber: ViberLine) -> None:
    women = subscribed(viber, 2)
    viber.server.fail(viber_fault("refuse", code=24))
    assert [type(each) for each in await broadcast(viber, *women)] == [Unpaid, Unpaid]
    assert viber.channel.events["send_unpaid"] == 1


async def test_an_account_that_may_not_broadcast_tells_each_woman_by_herself(
    viber: ViberLine,
) -> None:
    women = subscribed(viber, 3)
    women[1].subscribed = False
    viber.server.fail(viber_fault("refuse", code=20))
    became = await broadcast(viber, *women)
    assert [type(each) for each in became] == [str, Gone, str]
    assert women[2].bot_messages[0].text == REMINDER.text
    await broadcast(viber, women[0], women[2])
    assert len(viber.server.called("broadcast_message")) == 1
    viber.server.refusals.clear()


async def test_a_broadcast_that_two_phones_cannot_show_is_told_of_both(viber: ViberLine) -> None:
    women = subscribed(viber, 2)
    for woman in women:
        woman.cannot_show()
    [token, _] = await broadcast(viber, *women)
    await eventually(lambda: len(viber.intake.failed) == 2)
    assert viber.intake.failed == [(woman.id, token) for woman in women]


async def test_a_poster_leads_to_the_line_on_viber(viber: ViberLine) -> None:
    viber.server.calls.clear()
    link = await viber.channel.link("ruse-p1")
    assert link == "viber://pa?chatURI=domzdrave&context=ruse-p1"
    assert viber.server.calls == []  # it is known since the start
    assert await viber.channel.link("no code") is None
