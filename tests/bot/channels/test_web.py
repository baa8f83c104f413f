"""The web as a channel: who gets what, and what counts as sent."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from bot.channels.base import Incoming, Unsent
from bot.channels.web import MAX_STREAMS, Correction, NotAnswered, WebChannel, Wipe, Word
from dialogs.model import Position, Started, Tapped, Typed
from tests.bot.web.fakes import SCREENS, World, message

HOME = Tapped(Position("bg", "home"))


def made(patience: float = 30.0) -> World:
    world = World(patience=patience)
    world.channel._intake = world.line
    return world


@pytest.fixture
def world() -> World:
    return made()


@pytest.fixture
def hasty() -> World:
    """It gives up soon."""
    return made(patience=0.2)


def tap(address: str, event: Tapped | Started | Typed = HOME) -> Incoming:
    return Incoming("web", address, event, key=f"{address}-{id(event)}")


async def test_each_woman_gets_the_screen_that_she_asked_for(world: World) -> None:
    page = Tapped(Position("bg", "page"))
    one, other = await asyncio.gather(
        world.channel.answer(world.line, tap("a")),
        world.channel.answer(world.line, tap("b", page)),
    )
    assert one.window is not None
    assert one.window.position == Position("bg", "home")
    assert other.window is not None
    assert other.window.position == Position("bg", "page")


async def test_two_quick_taps_get_two_screens_in_order(world: World) -> None:
    page = Tapped(Position("bg", "page"))
    first, second = await asyncio.gather(
        world.channel.answer(world.line, tap("a")),
        world.channel.answer(world.line, tap("a", page)),
    )
    assert first.window is not None
    assert first.window.position == Position("bg", "home")
    assert second.window is not None
    assert second.window.position == Position("bg", "page")


async def test_words_in_a_case_leave_the_screen_as_it_is(world: World) -> None:
    world.line.cases.add("a")
    answer = await world.channel.answer(world.line, tap("a", Typed("здравей")))
    assert answer.window is None
    assert not answer.hidden
    assert world.line.relayed == ["здравей"]


async def test_hide_answers_that_the_page_is_gone(world: World) -> None:
    answer = await world.channel.answer(world.line, tap("a", Tapped(Position("bg", "hide"))))
    assert answer.window is None
    assert answer.hidden


async def test_an_answer_that_does_not_come_is_an_error_in_time(hasty: World) -> None:
    hasty.line.hangs = True
    with pytest.raises(NotAnswered):
        await hasty.channel.answer(hasty.line, tap("a"))


async def test_a_failure_does_not_repeat_her_words(world: World) -> None:
    world.line.broken = True
    with pytest.raises(NotAnswered) as caught:
        await world.channel.answer(world.line, tap("a", Typed("тайна")))
    assert "тайна" not in repr(caught.value)
    assert caught.value.__suppress_context__


async def test_a_message_is_sent_once_her_page_has_it(world: World) -> None:
    async with world.channel.listen(world.line, "a") as stream:
        sending = asyncio.create_task(world.channel.show("a", message(3, "Тук съм."), None))
        assert await stream.get() == message(3, "Тук съм.")
        assert not sending.done()
        world.channel.seen("a", 3)
        assert await sending == "3"


async def test_a_message_without_an_open_page_was_not_sent_and_waits(world: World) -> None:
    with pytest.raises(Unsent):
        await world.channel.show("a", message(1, "Тук съм."), None)
    assert world.line.gone == ["a"]


async def test_a_page_that_does_not_answer_has_not_had_the_message(hasty: World) -> None:
    async with hasty.channel.listen(hasty.line, "a"):
        with pytest.raises(Unsent):
            await hasty.channel.show("a", message(1, "Тук съм."), None)


async def test_a_message_that_she_has_read_elsewhere_is_not_shown_again(world: World) -> None:
    world.channel.seen("a", 4)
    assert await world.channel.show("a", message(4, "Тук съм."), None) == "4"


async def test_a_message_that_she_has_read_says_nothing_of_an_earlier_one(world: World) -> None:
    world.channel.seen("a", 4)
    async with world.channel.listen(world.line, "a") as stream:
        sending = asyncio.create_task(world.channel.show("a", message(3, "Тук съм."), None))
        assert await stream.get() == message(3, "Тук съм.")
        world.channel.seen("a", 5)
        await asyncio.sleep(0)
        assert not sending.done()
        world.channel.seen("a", 2, 3)
        assert await sending == "3"


async def test_what_was_corrected_is_shown_although_the_older_words_were_read(
    world: World,
) -> None:
    mended = replace(message(3, "Утре в 10."), edited=True)
    async with world.channel.listen(world.line, "a") as stream:
        world.channel.seen("a", 3)
        sending = asyncio.create_task(world.channel.show("a", mended, None))
        await asyncio.sleep(0)
        assert stream.get_nowait() == mended
        assert not sending.done()
        world.channel.seen("a", 3)
        assert await sending == "3"
    assert await world.channel.show("a", mended, None) == "3", "a page without a stream told so"


async def test_what_she_has_read_is_told_again_to_a_process_that_still_waits_for_it() -> None:
    told: list[tuple[Word, str, int]] = []
    channel = WebChannel(elsewhere=lambda *word: told.append(word))
    for _ in range(2):
        channel.seen("a", 1, 2)
    assert told == [(Word.SEEN, "a", 1), (Word.SEEN, "a", 2)] * 2


async def test_a_message_reaches_no_other_woman(world: World) -> None:
    channel, line = world.channel, world.line
    async with channel.listen(line, "a") as hers, channel.listen(line, "b") as other:
        channel.seen("a", 1)
        await channel.show("a", SCREENS["home"], None)
        assert hers.qsize() == 1
        assert other.empty()


async def test_her_next_tap_does_not_wait_for_a_message_under_way(world: World) -> None:
    async with world.channel.listen(world.line, "a"):
        sending = asyncio.create_task(world.channel.show("a", message(1, "Тук съм."), None))
        await asyncio.sleep(0)
        await world.channel.answer(world.line, tap("a"))
        with pytest.raises(Unsent):
            await sending


async def test_she_is_here_while_a_page_is_open_and_gone_with_the_last(world: World) -> None:
    async with world.channel.listen(world.line, "a"):
        async with world.channel.listen(world.line, "a"):
            assert world.line.present == {"a"}
        assert world.line.present == {"a"}
    assert world.line.present == set()


async def test_one_page_too_many_closes_the_oldest(world: World) -> None:
    channel, line = world.channel, world.line
    async with channel.listen(line, "a") as oldest:
        tasks = []
        for _ in range(MAX_STREAMS):
            opened = channel.listen(line, "a")
            await opened.__aenter__()
            tasks.append(opened)
        assert oldest.get_nowait() is None
        for opened in tasks:
            await opened.__aexit__(None, None, None)


async def test_what_is_removed_leaves_her_open_page(world: World) -> None:
    async with world.channel.listen(world.line, "a") as stream:
        await world.channel.remove("a", ["2", "3"])
        await world.channel.remove("a", ["2", "3"])
        assert stream.get_nowait() == stream.get_nowait() == Wipe(("2", "3"))


async def test_the_cover_needs_no_open_page_but_content_does(world: World) -> None:
    assert await world.channel.show("a", SCREENS["start"], None) == "window"
    with pytest.raises(Unsent):
        await world.channel.show("a", SCREENS["home"], None)


async def test_stopping_covers_every_open_page_before_its_stream_ends(world: World) -> None:
    running = asyncio.create_task(world.channel.run(world.line))
    async with world.channel.listen(world.line, "a") as stream:
        await asyncio.sleep(0)
        await world.channel.remove("a", ["1"])  # this is no use to her any more
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running
        assert [stream.get_nowait(), stream.get_nowait()] == [Wipe(("window",)), None]


async def test_a_page_that_comes_while_the_line_stops_is_covered(world: World) -> None:
    await world.channel.close()
    async with world.channel.listen(world.line, "a") as stream:
        assert [stream.get_nowait(), stream.get_nowait()] == [Wipe(("window",)), None]
        assert world.line.present == set()


async def test_a_page_that_takes_nothing_is_covered_as_soon_as_it_can_be(world: World) -> None:
    async with world.channel.listen(world.line, "a") as stream:
        while not stream.full():
            await world.channel.remove("a", ["1"])
        await world.channel.remove("a", ["window"])
        with pytest.raises(Unsent):
            await world.channel.show("a", message(1, "Тук съм."), None)
        assert world.line.present == set()
        assert [stream.get_nowait(), stream.get_nowait()] == [Wipe(("window",)), None]
        assert stream.empty()


async def test_a_correction_is_made_once_her_page_has_it_and_needs_an_open_page(
    world: World,
) -> None:
    with pytest.raises(Unsent):
        await world.channel.correct("a", "1", message(1, "Утре в 10."))
    async with world.channel.listen(world.line, "a") as stream:
        world.channel.seen("a", 1)
        making = asyncio.create_task(world.channel.correct("a", "1", message(1, "Утре в 10.")))
        assert await stream.get() == Correction(message(1, "Утре в 10."))
        assert not making.done()
        world.channel.seen("a", 1)
        await making


async def test_a_message_taken_back_while_she_writes_does_not_send_her_away(world: World) -> None:
    world.line.cases.add("a")
    waits = asyncio.create_task(world.channel.answer(world.line, tap("a", Typed("здравей"))))
    await asyncio.sleep(0)
    await world.channel.remove("a", ["1"])
    assert not (await waits).hidden
