"""The live windows, against a channel that keeps the chat as she would see it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from bot import windows as windows_of
from bot.channels.base import (
    Gone,
    Handle,
    Outgoing,
    Refused,
    SendError,
    Throttled,
    Unknown,
    Unsent,
    Who,
)
from bot.windows import REPEAT, Covered, Timing, Windows
from dialogs.model import REMINDER, START, Position
from tests.bot.paper import LastingPaper, PaperChannel, cover, page, said, until

QUICK = Timing(idle=60, give_up=30, cover_give_up=60, retry=0.01)
HASTY = replace(QUICK, give_up=0.3)
HER = Who("paper", "1")


@dataclass
class World:
    channel: PaperChannel
    windows: Windows
    idle: list[Who] = field(default_factory=list)
    gone: list[Who] = field(default_factory=list)
    kept: dict[Who, list[Handle]] = field(default_factory=dict)

    async def keep(self, handle: Handle) -> None:
        self.kept.setdefault(HER, []).append(handle)

    async def say(self, text: str) -> None:
        await self.windows.say(HER, said(text), self.keep)


def made(timing: Timing = QUICK, channel: PaperChannel | None = None) -> World:
    channel = channel or PaperChannel()

    async def on_gone(who: Who) -> None:
        world.gone.append(who)

    async def kept(who: Who) -> list[Handle]:
        await asyncio.sleep(0)
        return list(world.kept.get(who, []))

    async def removed(who: Who, handles: Sequence[Handle]) -> None:
        await asyncio.sleep(0)
        world.kept[who] = [one for one in world.kept.get(who, []) if one not in handles]

    windows = Windows(
        {"paper": channel},
        timing,
        on_idle=lambda who: world.idle.append(who),
        on_gone=on_gone,
        kept=kept,
        removed=removed,
    )
    world = World(channel, windows)
    return world


@asynccontextmanager
async def a_world(
    timing: Timing = QUICK, channel: PaperChannel | None = None
) -> AsyncIterator[World]:
    world = made(timing, channel)
    yield world
    if world.channel.lock is not None:
        world.channel.lock.set()
    await asyncio.wait_for(world.windows.settled(), 30)


@pytest.fixture
async def world() -> AsyncIterator[World]:
    async with a_world() as made:
        yield made


@pytest.fixture
async def hasty() -> AsyncIterator[World]:
    """It soon gives up what does not arrive."""
    async with a_world(HASTY) as made:
        yield made


async def met(world: World) -> None:
    """Everything that was to go wrong has gone wrong."""
    while world.channel.faults:
        await asyncio.sleep(0)


# --- one window ----------------------------------------------------------------------------


async def test_one_window_is_edited_in_place(world: World) -> None:
    for text in ("one", "two", "three"):
        world.windows.show(HER, page(text))
        await world.windows.settled()
    assert world.channel.chat() == ["three"]
    assert world.channel.shown == ["one", "two", "three"]


async def test_of_two_wishes_in_a_row_only_the_newest_is_brought(world: World) -> None:
    for text in ("one", "two", "three"):
        world.windows.show(HER, page(text))
    await world.windows.settled()
    assert world.channel.shown == ["three"]


async def test_what_is_said_stands_below_the_window_in_its_order(world: World) -> None:
    world.windows.show(HER, page("case", in_case=True))
    await asyncio.gather(world.say("first"), world.say("second"))
    assert world.channel.chat() == ["case", "first", "second"]


async def test_a_tap_under_a_message_of_her_case_moves_the_window_down(world: World) -> None:
    world.windows.show(HER, page("case", in_case=True))
    await world.say("first")
    window = world.windows.get(HER)
    assert window is not None
    world.windows.tapped(HER, window.said[0])
    world.windows.show(HER, page("danger", in_case=True))
    await world.windows.settled()
    assert world.channel.chat() == ["first", "danger"]


async def test_a_tap_on_an_older_window_leaves_one_window(world: World) -> None:
    world.channel.chats["1"] = {"7": "of an earlier run"}
    world.channel._last = 7
    world.windows.show(HER, page("one"))
    await world.windows.settled()
    world.windows.tapped(HER, "7")
    world.windows.show(HER, page("two"))
    await world.windows.settled()
    assert world.channel.chat() == ["two"]


@pytest.mark.parametrize("how", ["cover", "hide"])
async def test_a_second_window_from_before_a_crash_goes_with_the_first_one(
    world: World, how: str
) -> None:
    world.channel.chats["1"] = {"6": "to be removed then", "7": "of an earlier run"}
    world.channel._last = 7
    world.windows.tapped(HER, "7")
    if how == "cover":
        world.windows.show(HER, cover())
    else:
        world.windows.hide(HER)
    await world.windows.settled()
    assert world.channel.chat() == (["cover"] if how == "cover" else [])


async def test_a_tap_on_an_older_window_while_a_screen_is_on_its_way_leaves_one(
    world: World,
) -> None:
    world.channel.chats["1"] = {"7": "of an earlier run"}
    world.channel._last = 7
    world.channel.lock = asyncio.Event()
    world.windows.show(HER, page("one"))
    await asyncio.sleep(0.01)
    world.windows.tapped(HER, "7")
    world.windows.show(HER, page("two"))
    world.channel.lock.set()
    await world.windows.settled()
    assert world.channel.chat() == ["two"]
    world.windows.hide(HER)
    await world.windows.settled()
    assert world.channel.chat() == []


async def test_what_she_writes_puts_the_next_screen_below_it(world: World) -> None:
    world.windows.show(HER, page("one"))
    await world.windows.settled()
    world.windows.renew(HER, world.channel.her_message())
    world.windows.show(HER, page("two"))
    await world.windows.settled()
    assert world.channel.chat() == ["two"]


async def test_where_no_window_is_known_what_stands_above_is_swept(world: World) -> None:
    world.channel.chats["1"] = {"1": "forgotten", "2": "forgotten, too"}
    world.channel._last = 2
    world.windows.renew(HER, world.channel.her_message())
    world.windows.show(HER, page("new"))
    await world.windows.settled()
    assert world.channel.chat() == ["new"]


# --- failures ------------------------------------------------------------------------------


@pytest.mark.parametrize("fault", [Throttled(0.02), Unsent(), Unknown()], ids=lambda f: repr(f)[:7])
async def test_a_screen_that_did_not_arrive_is_brought_again(
    world: World, fault: SendError
) -> None:
    world.channel.faults = [fault, fault]
    world.windows.show(HER, page("one"))
    await world.windows.settled()
    assert world.channel.chat() == ["one"]


async def test_content_that_could_not_be_sent_for_30_seconds_is_dropped(hasty: World) -> None:
    hasty.channel.faults = [Unsent()] * 1000
    hasty.windows.show(HER, page("old news"))
    await hasty.windows.settled()
    hasty.channel.faults = []
    hasty.windows.show(HER, page("new"))
    await hasty.windows.settled()
    assert hasty.channel.shown == ["new"]


async def test_a_cover_goes_on_trying(hasty: World) -> None:
    hasty.windows.show(HER, page("content"))
    await hasty.windows.settled()
    hasty.channel.faults = [Unsent()] * 60
    hasty.windows.show(HER, cover())
    await hasty.windows.settled()
    assert hasty.channel.chat() == ["cover"]


async def test_a_tap_that_waited_behind_a_throttled_cover_opens_nothing(hasty: World) -> None:
    hasty.windows.show(HER, page("content"))
    await hasty.windows.settled()
    hasty.channel.faults = [Throttled(0.5)]
    hasty.windows.show(HER, cover())
    await met(hasty)
    hasty.windows.show(HER, page("tapped long ago"))
    await hasty.windows.settled()
    assert "tapped long ago" not in hasty.channel.shown


@pytest.mark.parametrize("fault", [Refused(), KeyError("x")], ids=["refused", "fault of ours"])
async def test_one_screen_that_is_refused_does_not_end_her_window(
    world: World, fault: SendError
) -> None:
    world.channel.faults = [fault]
    world.windows.show(HER, page("bad"))
    await world.windows.settled()
    world.windows.show(HER, page("good"))
    await world.windows.settled()
    assert world.channel.chat() == ["good"]


async def test_a_refused_screen_makes_way_for_a_newer_wish(world: World) -> None:
    world.channel.lock = asyncio.Event()
    world.channel.faults = [Refused()]
    world.windows.show(HER, page("bad"))
    await asyncio.sleep(0.01)
    world.windows.show(HER, page("good"))
    world.channel.lock.set()
    await world.windows.settled()
    assert world.channel.chat() == ["good"]


async def test_where_even_the_cover_is_refused_the_content_goes(world: World) -> None:
    world.windows.show(HER, page("content"))
    await world.windows.settled()
    world.channel.faults = [Refused()]
    world.windows.show(HER, cover())
    await world.windows.settled()
    assert world.channel.chat() == []


async def test_a_window_whose_answer_was_lost_is_not_left_above_the_cover(world: World) -> None:
    world.channel.arrives_anyway = True
    world.channel.faults = [Unknown()]
    world.windows.show(HER, page("content"))
    await world.windows.settled()
    world.windows.show(HER, cover())
    await world.windows.settled()
    assert world.channel.chat() == ["cover"]


async def test_who_left_the_line_is_told_once_and_leaves_no_window(world: World) -> None:
    world.windows.show(HER, page("one"))
    await world.windows.settled()
    world.channel.faults = [Gone()]
    world.windows.show(HER, page("two"))
    await world.windows.settled()
    assert world.gone == [HER]
    assert world.windows.get(HER) is None


# --- hide ----------------------------------------------------------------------------------


async def test_hide_leaves_nothing_and_twice_is_no_error(world: World) -> None:
    world.windows.show(HER, page("case", in_case=True))
    await world.say("first")
    for _ in range(2):
        world.windows.hide(HER, world.channel.her_message())
        await world.windows.settled()
        assert world.channel.chat() == []


async def test_hide_does_not_wait_for_a_call_that_hangs(world: World) -> None:
    world.windows.show(HER, page("one"))
    await world.windows.settled()
    world.channel.lock = asyncio.Event()
    world.windows.show(HER, page("two"))
    await asyncio.sleep(0.01)
    world.windows.hide(HER)
    await until(lambda: world.channel.chat() == [])
    world.channel.lock.set()
    await world.windows.settled()
    assert world.channel.chat() == []


async def test_a_new_message_that_an_edit_became_during_hide_is_removed(world: World) -> None:
    world.windows.show(HER, page("one"))
    await world.windows.settled()
    world.channel.lock, world.channel.cannot_edit = asyncio.Event(), True
    world.windows.show(HER, page("two"))
    await asyncio.sleep(0.01)
    world.windows.hide(HER)
    world.channel.lock.set()
    await world.windows.settled()
    assert world.channel.chat() == []


async def test_who_comes_back_while_a_call_hangs_sees_the_cover(world: World) -> None:
    world.channel.lock = asyncio.Event()
    world.windows.show(HER, page("one"))
    await asyncio.sleep(0.01)
    world.windows.hide(HER)
    world.windows.renew(HER, world.channel.her_message())
    world.windows.show(HER, cover())
    world.channel.lock.set()
    await world.windows.settled()
    assert world.channel.chat() == ["cover"]


async def test_hide_goes_on_until_the_platform_has_removed_it(world: World) -> None:
    world.windows.show(HER, page("one"))
    await world.windows.settled()
    world.channel.removals = [Unsent(), Throttled(0.02), Unknown()]
    world.windows.hide(HER)
    await world.windows.settled()
    assert world.channel.chat() == []


async def test_hide_with_no_known_window_sweeps_and_goes_on_trying(world: World) -> None:
    world.channel.chats["1"] = {"1": "forgotten"}
    world.channel._last = 1
    world.channel.removals = [Unsent(), Throttled(0.02)]
    world.windows.hide(HER, world.channel.her_message())
    await world.windows.settled()
    assert world.channel.chat() == []


async def test_hide_finds_a_window_whose_answer_was_lost(world: World) -> None:
    world.channel.arrives_anyway = True
    world.channel.faults = [Unknown()]
    world.windows.show(HER, page("one"))
    await world.windows.settled()
    assert world.channel.chat() == ["one", "one"]
    world.windows.hide(HER, world.channel.her_message())
    await world.windows.settled()
    assert world.channel.chat() == []


# --- what is said --------------------------------------------------------------------------


@pytest.mark.parametrize("close", ["hide", "cover", "left", "never opened"])
async def test_nothing_is_said_to_a_window_that_is_not_open(world: World, close: str) -> None:
    if close != "never opened":
        world.windows.show(HER, page("case", in_case=True))
        await world.windows.settled()
    match close:
        case "hide":
            world.windows.hide(HER)
        case "cover":
            world.windows.show(HER, cover())
        case "left":
            world.windows.left(HER)
    with pytest.raises(Covered):
        await world.say("secret")
    assert "secret" not in world.channel.shown


@pytest.mark.parametrize("close", ["hide", "cover"])
async def test_what_was_on_its_way_while_she_hid_is_removed_and_counts_as_unread(
    world: World, close: str
) -> None:
    world.windows.show(HER, page("case", in_case=True))
    await world.windows.settled()
    world.channel.lock = asyncio.Event()
    saying = asyncio.create_task(world.say("secret"))
    await asyncio.sleep(0.01)
    if close == "hide":
        world.windows.hide(HER)
    else:
        world.windows.show(HER, cover())
        world.windows.clear_case(HER)
    world.channel.lock.set()
    with pytest.raises(Covered):
        await saying
    await world.windows.settled()
    assert world.channel.chat() == ([] if close == "hide" else ["cover"])


@pytest.mark.parametrize("fault", [Unsent(), Unknown(), Refused(), Throttled(3), Gone()])
async def test_who_says_something_learns_what_became_of_it(world: World, fault: SendError) -> None:
    world.windows.show(HER, page("case", in_case=True))
    await world.windows.settled()
    world.channel.faults = [fault]
    with pytest.raises(type(fault)):
        await world.say("first")


async def test_the_cover_takes_the_messages_of_her_case_along(world: World) -> None:
    world.windows.show(HER, page("case", in_case=True))
    await world.say("first")
    world.windows.show(HER, cover())
    world.windows.clear_case(HER)
    await world.windows.settled()
    assert world.channel.chat() == ["cover"]


# --- chats that keep everything --------------------------------------------------------------


@pytest.fixture
async def lasting() -> AsyncIterator[World]:
    async with a_world(channel=LastingPaper()) as made:
        yield made


async def test_in_a_lasting_chat_each_screen_stands_below_the_last(lasting: World) -> None:
    for text in ("one", "two"):
        lasting.windows.show(HER, page(text))
        await lasting.windows.settled()
    assert lasting.channel.chat() == ["one", "two"]


async def test_in_a_lasting_chat_nothing_is_renewed_so_that_nothing_comes_twice(
    lasting: World,
) -> None:
    lasting.channel.lock = asyncio.Event()
    lasting.windows.show(HER, page("one"))
    await asyncio.sleep(0.01)
    lasting.windows.renew(HER, lasting.channel.her_message())
    lasting.channel.lock.set()
    await lasting.windows.settled()
    assert lasting.channel.chat() == ["one"]
    lasting.windows.renew(HER, lasting.channel.her_message())
    window = lasting.windows.get(HER)
    assert window is not None
    assert window.handle is not None
    assert lasting.channel.asked == []  # type: ignore[attr-defined]


async def test_a_cover_that_would_only_ring_later_is_dropped_in_a_lasting_chat() -> None:
    async with a_world(HASTY, LastingPaper()) as lasting:
        lasting.channel.faults = [Unsent()] * 1000
        lasting.windows.show(HER, cover())
        await lasting.windows.settled()  # long before `cover_give_up`
        assert lasting.channel.chat() == []
        assert len(lasting.channel.faults) > 0
        window = lasting.windows.get(HER)
        assert window is None or not window.open


async def test_a_cover_whose_answer_was_lost_is_not_chased_by_another(lasting: World) -> None:
    lasting.channel.arrives_anyway = True
    lasting.channel.faults = [Unknown()]
    lasting.windows.show(HER, page("content"))
    await lasting.windows.settled()
    lasting.windows.show(HER, cover())
    await lasting.windows.settled()
    assert lasting.channel.chat().count("cover") == 1
    assert lasting.channel.chat()[-1] == "cover"
    assert lasting.channel.asked == []  # type: ignore[attr-defined]


async def test_what_may_stand_in_a_lasting_chat_already_is_repeated_only_after_a_long_pause() -> (
    None
):
    loop = asyncio.get_running_loop()
    async with a_world(Timing(give_up=5, retry=0.1), LastingPaper()) as world:
        world.channel.faults = [Unknown()]
        began = loop.time()
        world.windows.show(HER, page("one"))
        await world.windows.settled()
        assert loop.time() - began >= 0.1 * REPEAT
        assert world.channel.chat() == ["one"]


@pytest.mark.parametrize(
    ("fault", "stands"), [(Unknown(), []), (Unsent(), ["one"])], ids=["answer lost", "unsent"]
)
async def test_what_would_be_repeated_too_late_in_a_lasting_chat_is_dropped(
    fault: SendError, stands: list[str]
) -> None:
    async with a_world(Timing(give_up=4, retry=1), LastingPaper()) as world:
        world.channel.faults = [fault]
        world.windows.show(HER, page("one"))
        await world.windows.settled()
        assert world.channel.chat() == stands


async def test_what_landed_in_a_lasting_chat_while_she_hid_counts_as_sent(lasting: World) -> None:
    lasting.windows.show(HER, page("case", in_case=True))
    await lasting.windows.settled()
    lasting.channel.lock = asyncio.Event()
    under_way = asyncio.create_task(lasting.say("first"))
    await asyncio.sleep(0.01)
    queued = asyncio.create_task(lasting.say("second"))
    await asyncio.sleep(0.01)
    lasting.windows.show(HER, cover())
    lasting.channel.lock.set()
    await under_way
    with pytest.raises(Covered):
        await queued
    await lasting.windows.settled()
    assert lasting.channel.chat() == ["case", "first", "cover"]
    assert len(lasting.kept[HER]) == 1


async def test_who_left_a_lasting_chat_is_forgotten_and_no_clock_runs_for_her() -> None:
    async with a_world(Timing(idle=0.3), LastingPaper()) as world:
        world.windows.show(HER, page("case", in_case=True))
        await world.windows.settled()
        world.windows.left(HER)
        assert world.windows.get(HER) is None
        await asyncio.sleep(0.4)
        assert world.idle == []


async def test_the_cover_in_a_lasting_chat_does_not_wait_behind_a_call_that_hangs(
    lasting: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(windows_of, "COVER_SECONDS", 0.05)
    lasting.windows.show(HER, page("case", in_case=True))
    await lasting.windows.settled()
    real, hangs = lasting.channel.show, asyncio.Event()

    async def show(address: str, message: Outgoing, window: str | None) -> str:
        if not message.cover:
            await hangs.wait()
        return await real(address, message, window)

    monkeypatch.setattr(lasting.channel, "show", show)
    lasting.windows.show(HER, page("under way"))
    await asyncio.sleep(0)
    lasting.windows.show(HER, cover())
    await until(lambda: lasting.channel.chat() == ["case", "cover"])
    hangs.set()
    await lasting.windows.settled()
    assert lasting.channel.chat().count("cover") == 1


async def test_a_cover_that_hangs_is_not_sent_twice(
    lasting: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(windows_of, "COVER_SECONDS", 0.05)
    lasting.windows.show(HER, page("case"))
    await lasting.windows.settled()
    lasting.channel.lock = asyncio.Event()
    lasting.windows.show(HER, cover())
    await asyncio.sleep(0.2)
    lasting.channel.lock.set()
    await lasting.windows.settled()
    assert lasting.channel.chat() == ["case", "cover"]


@pytest.mark.parametrize("fault", [Unsent(), ValueError()], ids=["unsent", "a fault of ours"])
async def test_a_cover_refused_beside_the_line_is_brought_in_its_turn(
    lasting: World, monkeypatch: pytest.MonkeyPatch, fault: Exception
) -> None:
    monkeypatch.setattr(windows_of, "COVER_SECONDS", 0.05)
    real, hangs, faults = lasting.channel.show, asyncio.Event(), [fault]

    async def show(address: str, message: Outgoing, window: str | None) -> str:
        if message.cover and faults:
            raise faults.pop()
        if not message.cover:
            await hangs.wait()
        return await real(address, message, window)

    monkeypatch.setattr(lasting.channel, "show", show)
    lasting.windows.show(HER, page("under way"))
    await asyncio.sleep(0)
    lasting.windows.show(HER, cover())
    await until(lambda: not faults)
    hangs.set()
    await lasting.windows.settled()
    assert lasting.channel.chat() == ["under way", "cover"]


async def test_who_writes_again_into_a_chat_she_had_left_starts_its_clock_anew() -> None:
    async with a_world(Timing(idle=0.3), LastingPaper()) as world:
        world.windows.show(HER, page("case", in_case=True))
        await world.windows.settled()
        world.windows.left(HER)
        world.windows.opened(HER)
        await world.say("first")
        await until(lambda: world.idle == [HER])


# --- time and memory -----------------------------------------------------------------------


async def test_a_window_left_alone_is_told_and_one_in_use_is_not() -> None:
    async with a_world(Timing(idle=0.2)) as world:
        world.windows.show(HER, page("one"))
        window = world.windows.get(HER)
        assert window is not None
        for _ in range(4):
            clock = window.idle
            assert clock is not None
            world.windows.touch(HER)
            assert clock.cancelled()  # it begins anew
        await until(lambda: world.idle == [HER])
        world.windows.show(HER, cover())
        await world.windows.settled()
        await asyncio.sleep(0.3)
        assert world.idle == [HER]


async def test_a_hidden_window_takes_no_memory(world: World) -> None:
    for number in range(50):
        who = Who("paper", str(number))
        world.windows.show(who, page("one"))
        await world.windows.settled()
        world.windows.hide(who)
    await world.windows.settled()
    assert world.windows._windows == {}


async def test_memory_is_bounded_by_covered_windows(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(windows_of, "MAX_CLOSED", 20)
    for number in range(100):
        world.windows.show(Who("paper", str(number)), cover())
        await world.windows.settled()
    assert len(world.windows._windows) <= 20


async def test_two_women_never_wait_for_each_other(world: World) -> None:
    other = Who("paper", "2")
    world.channel.faults = [Throttled(1)]
    world.windows.show(HER, page("hers"))
    await met(world)
    world.windows.show(other, page("the other's"))
    await world.windows.settled()
    assert world.channel.shown == ["the other's", "hers"]


# --- any order at all ----------------------------------------------------------------------

FAULTS = st.sampled_from(["unsent", "throttled", "lost", "refused"])
ACTS = st.lists(
    st.one_of(
        st.sampled_from(
            ["show", "case", "cover", "say", "renew", "tap", "tap old", "hide", "wait", "pass"]
        ),
        FAULTS,
    ),
    max_size=25,
)
VERDICTS = {"unsent": Unsent, "lost": Unknown, "refused": Refused}


async def perform(world: World, act: str, sayings: list[asyncio.Task[None]]) -> None:
    windows, channel = world.windows, world.channel
    standing = list(channel.chats.get("1", {}))
    match act:
        case "show":
            windows.show(HER, page("page"))
        case "case":
            windows.show(HER, page("case", in_case=True))
        case "cover":
            windows.show(HER, cover())
            windows.clear_case(HER)
        case "say":
            sayings.append(asyncio.create_task(world.say("said")))
        case "renew":
            windows.renew(HER, channel.her_message())
        case "tap" if standing:
            windows.tapped(HER, standing[-1])
        case "tap old" if standing:
            windows.tapped(HER, standing[0])
        case "hide":
            windows.hide(HER, channel.her_message())
        case "wait":
            await asyncio.sleep(0)
        case "pass":
            await asyncio.sleep(0.003)
        case "throttled":
            channel.faults.append(Throttled(0.001))
        case "unsent" | "lost" | "refused":
            channel.faults.append(VERDICTS[act]())


async def nothing_left_after(acts: list[str], arrives_anyway: bool, cannot_edit: bool) -> list[str]:
    world = made(Timing(idle=60, give_up=0.05, cover_give_up=0.5, retry=0.001))
    world.channel.arrives_anyway, world.channel.cannot_edit = arrives_anyway, cannot_edit
    sayings: list[asyncio.Task[None]] = []
    for act in acts:
        await perform(world, act, sayings)
        if arrives_anyway:
            await world.windows.settled()
    world.windows.hide(HER, world.channel.her_message())
    await asyncio.wait_for(world.windows.settled(), 30)
    await asyncio.gather(*sayings, return_exceptions=True)
    await asyncio.wait_for(world.windows.settled(), 30)
    assert all(window.lost for window in world.windows._windows.values())
    return world.channel.chat()


@settings(max_examples=300)
@given(ACTS, st.booleans())
def test_after_hide_nothing_of_ours_stays_whatever_came_before(
    acts: list[str], cannot_edit: bool
) -> None:
    assert asyncio.run(nothing_left_after(acts, False, cannot_edit)) == []


@settings(max_examples=200)
@given(ACTS)
@example(["show", "say", "refused", "lost", "show", "cover"])
def test_after_hide_nothing_stays_even_of_what_arrived_without_an_answer(acts: list[str]) -> None:
    """Of a call that was under way when she hid, and whose answer was lost, nobody can know."""
    assert asyncio.run(nothing_left_after(acts, True, False)) == []


@pytest.mark.parametrize("act", ["correct", "take back"])
async def test_nothing_is_changed_in_a_chat_that_is_covered_by_the_time_of_its_turn(
    world: World, act: str
) -> None:
    world.windows.show(HER, page("case", in_case=True))
    await world.say("утре в 9")
    await world.windows.settled()
    (handle,) = [each for each, text in world.channel.chats["1"].items() if text == "утре в 9"]
    world.channel.lock = asyncio.Event()
    world.windows.show(HER, page("112", in_case=True))
    await asyncio.sleep(0.01)
    change = (
        world.windows.correct(HER, handle, said("утре в 10"))
        if act == "correct"
        else world.windows.take_back(HER, handle)
    )
    changing = asyncio.create_task(change)
    await asyncio.sleep(0.01)
    world.windows.left(HER)
    world.channel.lock.set()
    with pytest.raises(Covered):
        await changing
    assert "утре в 9" in world.channel.chat()


# --- a reminder that comes beside the line ---------------------------------------------------


def reminded(world: World) -> Handle:
    """A reminder stands in her chat, and the windows are told."""
    handle = world.channel.her_message()
    world.channel.chats.setdefault(HER.address, {})[handle] = "reminder"
    world.windows.came(HER, handle, cover("reminder"))
    return handle


async def test_a_reminder_is_her_window_from_now_on_where_the_old_one_was_covered(
    world: World,
) -> None:
    world.windows.show(HER, cover())
    await world.windows.settled()
    handle = reminded(world)
    await world.windows.settled()
    assert world.channel.chat() == ["reminder"]
    world.windows.tapped(HER, handle)
    world.windows.show(HER, page("gate"))
    await world.windows.settled()
    assert world.channel.chats[HER.address] == {handle: "gate"}


async def test_hide_takes_a_reminder_along(world: World) -> None:
    world.windows.show(HER, cover())
    await world.windows.settled()
    reminded(world)
    world.windows.hide(HER)
    await world.windows.settled()
    assert world.channel.chat() == []


@pytest.mark.parametrize("how", ["hide", "cover"])
async def test_a_reminder_below_an_open_window_goes_with_hide_and_with_the_next_cover(
    world: World, how: str
) -> None:
    world.windows.show(HER, page("one"))
    await world.windows.settled()
    world.windows.clear_case(HER)  # nothing of a case stands there: the reminder alone counts
    await world.windows.settled()
    reminded(world)
    await world.windows.settled()
    assert world.channel.chat() == ["one", "reminder"]
    if how == "hide":
        world.windows.hide(HER)
    else:
        world.windows.show(HER, cover())
        world.windows.clear_case(HER)
    await world.windows.settled()
    assert world.channel.chat() == ([] if how == "hide" else ["cover"])


def lowest(world: World, who: Who = HER) -> Position | None:
    window = world.windows.get(who)
    return window.position if window is not None else None


async def test_where_no_window_is_known_it_is_known_that_a_reminder_stands_lowest(
    world: World,
) -> None:
    for _ in range(2):  # the mailer removes the one before it
        reminded(world)
        assert lowest(world) == Position("bg", START)
        assert world.windows.has_none(HER)
        assert world.windows.open_ones() == []
    assert world.channel.chat() == ["reminder", "reminder"]


@pytest.mark.parametrize("how", ["hide", "tap", "word"])
async def test_what_stood_there_before_our_start_still_goes_although_a_reminder_came(
    world: World, how: str
) -> None:
    world.channel.chats["1"] = {world.channel.her_message(): "open since before"}
    handle = reminded(world)
    if how == "hide":
        world.windows.hide(HER, world.channel.her_message())
    else:
        if how == "tap":
            world.windows.tapped(HER, handle)
        else:
            world.windows.renew(HER, world.channel.her_message())
        world.windows.show(HER, cover())
    await world.windows.settled()
    assert world.channel.chat() == ([] if how == "hide" else ["cover"])


async def test_a_reminder_to_very_many_takes_no_place_from_those_whose_window_is_known(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(windows_of, "MAX_CLOSED", 1)
    world.windows.show(HER, cover())
    await world.windows.settled()
    other = HER._replace(address="2")
    world.windows.came(other, "7", cover("reminder"))
    assert lowest(world, other) is None
    assert not world.windows.has_none(HER)


async def test_after_something_was_lost_a_digit_means_the_reminder_below_the_cover(
    world: World,
) -> None:
    world.windows.show(HER, cover())
    await world.windows.settled()
    window = world.windows.get(HER)
    assert window is not None
    window.lost, reminder = True, replace(cover("reminder"), position=Position("bg", REMINDER))
    world.windows.came(HER, world.channel.her_message(), reminder)
    assert lowest(world) == Position("bg", REMINDER)


async def test_a_cover_that_is_on_its_way_does_not_take_a_reminders_place(world: World) -> None:
    world.windows.show(HER, page("one"))
    await world.windows.settled()
    world.channel.lock = asyncio.Event()
    world.windows.show(HER, cover())
    await asyncio.sleep(0)
    reminded(world)
    world.channel.lock.set()
    await world.windows.settled()
    assert world.channel.chat() == ["reminder"]


async def test_what_was_lost_is_swept_although_a_reminder_came(world: World) -> None:
    world.windows.show(HER, page("one"))
    await world.windows.settled()
    world.channel.faults, world.channel.arrives_anyway = [Unknown()], True
    with pytest.raises(Unknown):
        await world.say("nobody knows where this stands")
    world.channel.lock = asyncio.Event()
    world.windows.show(HER, cover())
    await asyncio.sleep(0)
    reminded(world)
    world.channel.lock.set()
    await world.windows.settled()
    assert world.channel.chat() == ["cover"]


async def test_in_a_lasting_chat_a_reminder_is_nobodys_to_remove() -> None:
    channel = LastingPaper()
    async with a_world(channel=channel) as world:
        world.windows.show(HER, page("one"))
        await world.windows.settled()
        reminded(world)
        window = world.windows.get(HER)
        assert window is not None
        assert window.said == []
        world.windows.show(HER, cover())
        await world.windows.settled()
        assert world.channel.chat() == ["one", "reminder", "cover"]
    assert channel.asked == []
