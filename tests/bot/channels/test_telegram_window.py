"""Telegram, what goes out: the window, case messages, removing, pace, verdicts, silence."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Iterator
from datetime import timedelta

import pytest

from bot.channels.base import (
    Gone,
    Outgoing,
    OutgoingButton,
    Refused,
    SendError,
    Throttled,
    Unauthorised,
    Unknown,
    Unsent,
)
from bot.channels.telegram import LIMITS
from dialogs.model import Position, Tapped
from tests.bot.channels.telegram_line import (
    Line,
    draw,
    eventually,
    new_channel,
    said,
    screen,
)
from tests.standins.telegram import ApiError, Fault, Shown
from tests.standins.woman import Woman


async def shows(line: Line, woman: Woman, message: Outgoing, window: str | None = None) -> str:
    return await line.channel.show(str(woman.id), message, window)


def window_of(woman: Woman) -> Shown:
    assert woman.window is not None
    return woman.window


# --- the window


async def test_the_window_is_a_picture_with_its_text_and_the_marks_in_one_row(line: Line) -> None:
    woman = line.server.woman()
    handle = await shows(line, woman, screen("Какво е заповед за защита?"))
    window = window_of(woman)
    assert handle == str(window.id)
    assert window.caption == "Какво е заповед за защита?"
    assert line.server.picture(window.photo) == (line.pictures / "order.png").read_bytes()
    rows = [[button["text"] for button in row] for row in window.buttons]
    assert rows == [["Какво е това?"], ["Кога?"], ["◀", "⌂", "112", "✕"]]
    assert window.protected
    assert window.silent
    assert "parse_mode" not in line.server.called("sendPhoto")[0].params


async def test_the_window_is_edited_in_place(line: Line) -> None:
    woman = line.server.woman()
    handle = await shows(line, woman, screen("Едно"))
    for text, picture in (("Две", "order"), ("Три", "meet"), ("Четири", "meet")):
        assert await shows(line, woman, screen(text, picture), handle) == handle
    assert [s.caption for s in woman.chat] == ["Четири"]
    assert line.server.picture(window_of(woman).photo) == (line.pictures / "meet.png").read_bytes()
    assert len(line.server.called("editMessageMedia")) == 1
    assert len(line.server.called("editMessageCaption")) == 2


async def test_the_cover_takes_the_place_of_content_and_its_marks(line: Line) -> None:
    woman = line.server.woman()
    handle = await shows(line, woman, screen("Едно"))
    door = OutgoingButton("За мен", "bg:gate")
    cover = Outgoing("Дом и здраве", "bg", (door,), picture="cover", cover=True)
    await shows(line, woman, cover, handle)
    assert woman.buttons == ["За мен"]
    assert window_of(woman).caption == "Дом и здраве"


async def test_a_picture_is_uploaded_once_even_across_restarts(line: Line) -> None:
    women = [line.server.woman() for _ in range(3)]
    await shows(line, women[0], screen("а"))
    await shows(line, women[1], screen("б"))
    await line.channel.close()
    line.channel = new_channel(line.server, line.pictures, line.media, line.clock)
    await shows(line, women[2], screen("в"))
    assert [bool(call.files) for call in line.server.called("sendPhoto")] == [True, False, False]
    assert len(line.media.ids) == 1


async def test_a_file_id_that_is_no_longer_taken_is_replaced(line: Line) -> None:
    woman = line.server.woman()
    handle = await shows(line, woman, screen("а"))
    line.server.files.clear()
    await shows(line, line.server.woman(), screen("б"))
    [known] = line.media.ids.values()
    assert known in line.server.files
    line.server.files.clear()
    await shows(line, woman, screen("в", "meet"), handle)
    assert window_of(woman).caption == "в"


async def test_a_store_out_of_order_does_not_cost_her_the_window(line: Line) -> None:
    class Broken:
        async def get(self, channel: str, digest: str) -> str | None:
            raise OSError("database is locked")

        async def put(self, channel: str, digest: str, media_id: str) -> None:
            raise OSError("database is locked")

    await line.channel.close()
    line.channel = new_channel(line.server, line.pictures, Broken(), line.clock)  # type: ignore[arg-type]
    woman = line.server.woman()
    handle = await shows(line, woman, screen("а"))
    await shows(line, woman, screen("б"), handle)
    assert window_of(woman).caption == "б"


async def test_a_missing_picture_shows_the_covers(line: Line) -> None:
    woman = line.server.woman()
    await shows(line, woman, screen("а", "no_such_picture"))
    assert line.server.picture(window_of(woman).photo) == (line.pictures / "cover.png").read_bytes()


async def test_the_same_screen_twice_is_no_error(line: Line) -> None:
    woman = line.server.woman()
    handle = await shows(line, woman, screen("а"))
    assert await shows(line, woman, screen("а"), handle) == handle
    await line.channel.close()
    line.channel = new_channel(line.server, line.pictures, line.media, line.clock)
    assert await shows(line, woman, screen("а"), handle) == handle
    assert len(woman.chat) == 1


async def test_a_window_she_deleted_comes_anew(line: Line) -> None:
    woman = line.server.woman()
    handle = await shows(line, woman, screen("а"))
    woman.deletes(window_of(woman))
    new = await shows(line, woman, screen("б"), handle)
    assert new != handle
    assert [s.caption for s in woman.chat] == ["б"]


async def test_a_window_that_cannot_be_edited_is_replaced_and_removed(line: Line) -> None:
    woman = line.server.woman()
    handle = await shows(line, woman, screen("а"))
    refusal = ApiError(400, "Bad Request: message can't be edited")
    line.server.fail(Fault("refuse", "editMessageCaption", error=refusal))
    new = await shows(line, woman, screen("б"), handle)
    await eventually(lambda: [str(s.id) for s in woman.chat] == [new])


async def test_a_case_message_on_which_she_tapped_becomes_the_window(line: Line) -> None:
    woman = line.server.woman()
    handle = await shows(line, woman, said("Тук съм."))
    new = await shows(line, woman, screen("а"), handle)
    assert new == handle  # Telegram lets a picture be added to a text
    assert window_of(woman).caption == "а"


async def test_silence_is_asked_for_only_where_it_is_meant(line: Line) -> None:
    woman = line.server.woman()
    await shows(line, woman, said("тихо", silent=True))
    await shows(line, woman, said("звън", silent=False))
    assert [s.silent for s in woman.chat] == [True, False]


# --- a case


async def test_a_case_message_is_plain_text_with_the_marks_under_it(line: Line) -> None:
    woman = line.server.woman()
    text = "Виж https://example.org и <b>това</b> *тук* _там_"
    await shows(line, woman, said(text, author="Консултант"))
    [message] = woman.chat
    assert message.text == f"Консултант:\n{text}"
    assert [[b["text"] for b in row] for row in message.buttons] == [["◀", "⌂", "112", "✕"]]
    assert message.protected
    params = line.server.called("sendMessage")[0].params
    assert params["link_preview_options"] == {"is_disabled": True}
    assert "parse_mode" not in params
    assert "entities" not in params


async def test_limits_are_what_the_platform_takes(line: Line) -> None:
    woman = line.server.woman()
    await shows(line, woman, screen("🌿" * (LIMITS.window // 2)))  # two units each
    await shows(line, woman, said("я" * LIMITS.text, author="Консултант"))
    for wrong in (
        screen("🌿" * (LIMITS.window // 2 + 1)),
        said("я" * 4097),
        said(""),
        screen("а", choices=(OutgoingButton("а", "x" * (LIMITS.payload + 1)),)),
        screen("а", choices=(OutgoingButton("", "bg:home"),)),
    ):
        with pytest.raises(Refused):
            await shows(line, woman, wrong)


# --- removing


async def test_what_is_removed_is_gone_and_twice_is_no_error(line: Line) -> None:
    woman = line.server.woman()
    handles = [await shows(line, woman, said(str(n))) for n in range(3)]
    woman.types("нейното")
    handles.append(str(woman.chat[-1].id))
    for _ in range(2):
        await line.channel.remove(str(woman.id), handles)
        assert woman.chat == []
    await line.channel.remove(str(woman.id), handles[:1])
    await line.channel.remove(str(woman.id), [])


async def test_a_long_case_is_removed_in_batches_of_a_hundred(line: Line) -> None:
    woman = line.server.woman()
    for n in range(230):
        woman.types(str(n))
    await line.channel.remove(str(woman.id), [str(s.id) for s in woman.chat])
    assert woman.chat == []
    assert len(line.server.called("deleteMessages")) == 3


async def test_what_is_too_old_to_be_removed_becomes_the_bare_cover(line: Line) -> None:
    woman = line.server.woman()
    old = [
        await shows(line, woman, screen("заповед", "order")),
        await shows(line, woman, said("а")),
    ]
    line.clock.ahead += timedelta(hours=49)
    new = [await shows(line, woman, said(str(n))) for n in range(3)]
    await line.channel.remove(str(woman.id), [*new, *old])
    cover = (line.pictures / "cover.png").read_bytes()
    assert [(s.words, s.buttons) for s in woman.chat] == [("", []), ("", [])]
    assert [line.server.picture(s.photo) for s in woman.chat] == [cover, cover]
    await line.channel.remove(str(woman.id), old)  # and again


async def test_her_own_old_message_is_told_as_refused_when_all_else_is_gone(line: Line) -> None:
    woman = line.server.woman()
    woman.types("старо")
    hers = woman.chat[0]
    line.clock.ahead += timedelta(hours=49)
    new = [await shows(line, woman, said(str(n))) for n in range(3)]
    with pytest.raises(Refused):
        await line.channel.remove(str(woman.id), [str(hers.id), *new])
    assert woman.chat == [hers]


async def test_sweep_finds_what_nobody_remembers_and_nothing_of_another(line: Line) -> None:
    woman, other = line.server.woman(), line.server.woman()
    for n in range(5):
        await shows(line, woman, said(str(n)))
        await shows(line, other, said(str(n)))
    woman.types("скрий")
    await line.channel.sweep(str(woman.id), str(woman.chat[-1].id))
    assert woman.chat == []
    assert len(other.chat) == 5
    await line.channel.sweep(str(woman.id), None)


async def test_sweep_covers_an_old_window_that_cannot_be_removed(line: Line) -> None:
    woman = line.server.woman()
    woman.types("старо")
    await shows(line, woman, screen("заповед"))
    line.clock.ahead += timedelta(hours=49)
    await shows(line, woman, screen("ново"))
    woman.types("скрий")
    await line.channel.sweep(str(woman.id), str(woman.chat[-1].id))
    assert [s.words for s in woman.chat] == ["старо", ""]


# --- verdicts


@pytest.mark.parametrize(
    ("fault", "verdict"),
    [
        (Fault("html", status=502), Unknown),
        (Fault("html", status=504), Unknown),
        (Fault("html", status=200), Unknown),
        (Fault("html", status=401), Unknown),  # a proxy's page says nothing of the token
        (Fault("html", status=429), Throttled),
        (Fault("drop_before"), Unknown),
        (Fault("drop_after"), Unknown),
        (Fault("refuse", error=ApiError(500, "Internal Server Error")), Unknown),
        (Fault("refuse", error=ApiError(401, "Unauthorized")), Unauthorised),
        (Fault("refuse", error=ApiError(404, "Not Found")), Unauthorised),
        (Fault("refuse", error=ApiError(403, "Forbidden: user is deactivated")), Gone),
        (Fault("refuse", error=ApiError(400, "Bad Request: chat not found")), Gone),
        (Fault("refuse", error=ApiError(400, "Bad Request: x", migrate_to_chat_id=-100)), Gone),
        (Fault("refuse", error=ApiError(400, "Bad Request: something else")), Refused),
        (Fault("refuse", error=ApiError(409, "Conflict: x")), Unsent),
    ],
    ids=lambda each: (
        f"{each.kind}-{each.error.code if each.error else each.status}"
        if isinstance(each, Fault)
        else each.__name__
    ),
)
async def test_each_answer_has_its_verdict(
    line: Line, fault: Fault, verdict: type[SendError]
) -> None:
    woman = line.server.woman()
    line.server.fail(fault)
    with pytest.raises(verdict) as raised:
        await shows(line, woman, said("тайна"))
    assert raised.value.__cause__ is None
    assert raised.value.__context__ is None
    assert "тайна" not in repr(raised.value)
    assert str(woman.id) not in repr(raised.value)


async def test_no_connection_means_that_nothing_was_sent(line: Line) -> None:
    await line.server.stop()
    with pytest.raises(Unsent):
        await shows(line, line.server.woman(), said("а"))
    await line.server.start()


async def test_no_dns_means_that_nothing_was_sent(line: Line) -> None:
    await line.channel.close()
    line.channel = new_channel(line.server, line.pictures, line.media, line.clock)
    line.server.api = "http://no-such-host.invalid"
    line.channel = new_channel(line.server, line.pictures, line.media, line.clock)
    with pytest.raises(Unsent):
        await shows(line, line.server.woman(), said("а"))


async def test_after_closing_nothing_is_sent(line: Line) -> None:
    await line.channel.close()
    with pytest.raises(Unsent):
        await shows(line, line.server.woman(), said("а"))


async def test_an_answer_that_drips_times_out_and_others_flow(
    line: Line, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bot.channels.telegram_api.READ_SECONDS", 2.0)
    monkeypatch.setattr("bot.channels.telegram_api.CONNECT_SECONDS", 2.0)
    line.server.fail(Fault("drip"))
    slow = asyncio.create_task(shows(line, line.server.woman(), said("а")))
    await eventually(lambda: line.server.called("sendMessage"))
    await shows(line, line.server.woman(), said("б"))
    assert not slow.done()
    with pytest.raises(Unknown):
        await slow


async def test_who_blocked_the_line_is_gone(line: Line) -> None:
    woman = line.server.woman()
    handle = await shows(line, woman, screen("а"))
    woman.blocks()
    for message, window in ((screen("б"), handle), (screen("в"), None), (said("г"), None)):
        with pytest.raises(Gone):
            await shows(line, woman, message, window)


# --- pace


async def test_429_with_retry_after_stops_that_chat_until_then_and_no_other(line: Line) -> None:
    woman, other = line.server.woman(), line.server.woman()
    flood = ApiError(429, "Too Many Requests: retry after 2", retry_after=2)
    line.server.fail(Fault("refuse", error=flood))
    with pytest.raises(Throttled) as raised:
        await shows(line, woman, said("а"))
    assert raised.value.seconds == 2
    assert not raised.value.everywhere
    with pytest.raises(Throttled):
        await shows(line, woman, said("а"))
    assert len(line.server.called("sendMessage")) == 1  # the second one never left
    await shows(line, other, said("б"))
    await asyncio.sleep(2.05)
    await shows(line, woman, said("а"))


async def test_sixty_women_at_once_stay_under_the_platforms_limits(line: Line) -> None:
    line.server.limits = True
    line.server.per_second += 15  # for what a busy machine shakes together; `test_pace` is strict
    women = [line.server.woman() for _ in range(60)]
    await shows(line, women[0], screen("а"))
    await asyncio.gather(*(shows(line, woman, screen("а")) for woman in women))
    assert len(line.server.called("sendPhoto")) == 61
    assert all(call.answer and call.answer["ok"] for call in line.server.calls)


async def test_hide_overtakes_a_hundred_menus(line: Line) -> None:
    woman = line.server.woman()
    handle = await shows(line, woman, screen("а"))
    menus = [asyncio.create_task(shows(line, line.server.woman(), screen("а"))) for _ in range(100)]
    await asyncio.sleep(0.2)
    await line.channel.remove(str(woman.id), [handle])
    assert len(line.server.called("sendPhoto")) < 100  # behind them all it would be the last
    assert woman.chat == []
    for menu in menus:
        menu.cancel()
    await asyncio.gather(*menus, return_exceptions=True)


# --- nothing in any log


@contextlib.contextmanager
def every_log() -> Iterator[list[str]]:
    """All that any logger says at DEBUG, with the exceptions and their causes."""
    said: list[str] = []

    class Keep(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            said.append(logging.Formatter("%(name)s %(message)s").format(record))

    keep, root = Keep(), logging.getLogger()
    before = root.level
    root.addHandler(keep)
    root.setLevel(logging.DEBUG)
    loggers = [logging.getLogger(name) for name in list(logging.root.manager.loggerDict)]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.DEBUG)
    try:
        yield said
    finally:
        root.removeHandler(keep)
        root.setLevel(before)
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)


async def test_debug_log_has_no_text_no_id_no_token(line: Line) -> None:
    asyncio.get_running_loop().set_debug(True)
    line.server._next_message = 1_618_033_988  # no port and no address in memory has such digits
    with every_log() as logged:
        line.channel = new_channel(line.server, line.pictures, line.media, line.clock)
        line.intake.keep = lambda _, kept: kept.set_exception(OSError("редове: той ме удари"))
        woman = line.server.woman()
        line.server.fail(
            Fault("html", "getUpdates"),
            Fault("html", "getUpdates", 200),
            Fault("drop_after", "getUpdates"),
        )
        line.task = asyncio.create_task(line.channel.run(line.intake))
        handle = await shows(line, woman, screen("тайният екран"))
        await shows(line, woman, screen("друга тайна", "meet"), handle)
        for kind in ("html", "drop_before", "drop_after"):
            line.server.faults.clear()
            line.server.fail(Fault(kind, "sendMessage"))
            with pytest.raises(SendError):
                await shows(line, woman, said("тайна от консултант"))
        line.server.faults.clear()
        woman.types("той ме удари")
        line.server.push_raw({"update_id": 70_777_777, "message": {"text": "отрова", "chat": 5}})
        await line.intake.receives(1)
        await line.channel.remove(str(woman.id), [handle])
        await line.closes()
        line.server.calls.clear()
        told = "\n".join(logged)
    assert "not_stored" in told  # the log works
    secrets = [line.server.token, "AAE-stand-in", str(woman.id), handle, "4839201", "70777777"]
    secrets += ["тайн", "тайна", "удари", "отрова", "Теменужка", "70000001"]
    assert [secret for secret in secrets if secret in told] == []


async def test_wrong_token_at_start_is_not_printed(line: Line) -> None:
    wrong = "4839201:AAwrong-token-of-the-operator"
    with every_log() as logged:
        line.channel = new_channel(line.server, line.pictures, line.media, line.clock, token=wrong)
        with pytest.raises(Unauthorised):
            await line.channel.run(line.intake)
        line.server.calls.clear()
        told = "\n".join(logged)
    assert "unauthorised" in told
    assert "AAwrong" not in told


# --- ten women at once


async def test_ten_women_tap_at_once_and_nothing_crosses(line: Line) -> None:
    await line.opens()
    women = [line.server.woman() for _ in range(10)]
    handles = await asyncio.gather(
        *(shows(line, woman, screen(f"екран {n}")) for n, woman in enumerate(women))
    )
    for _ in range(3):
        for woman in women:
            woman.taps("Кога?")
    got = await line.intake.receives(30)
    for woman, handle in zip(women, handles, strict=True):
        hers = [i for i in got if i.address == str(woman.id)]
        assert [(i.window, i.event) for i in hers] == [(handle, Tapped(Position("bg", "when")))] * 3
    await asyncio.gather(
        *(shows(line, woman, screen(f"после {n}"), handles[n]) for n, woman in enumerate(women))
    )
    assert [[s.words for s in woman.chat] for woman in women] == [[f"после {n}"] for n in range(10)]


async def test_a_changed_picture_is_another_picture(line: Line) -> None:
    await shows(line, line.server.woman(), screen("а"))
    draw(line.pictures, "meet")
    (line.pictures / "order.png").write_bytes((line.pictures / "meet.png").read_bytes())
    await line.channel.close()
    line.channel = new_channel(line.server, line.pictures, line.media, line.clock)
    await shows(line, line.server.woman(), screen("а"))
    await eventually(lambda: len(line.media.ids) == 2)
