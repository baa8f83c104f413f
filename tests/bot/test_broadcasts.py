"""What the centre's people do with a broadcast, on a real store."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from bot.broadcasts import LONGEST, Changed, Expired, NoBroadcast, NotNow, rough, tidy
from bot.storage.mail_records import (
    Audience,
    Broadcast,
    BroadcastState,
    MailingEnd,
    MailingOutcome,
    OwnBroadcast,
)
from bot.storage.records import Role, StaffMember
from scheduler.model import Reception, ReceptionState
from tests.bot.desk import Centre, a_centre

EVERYBODY = Audience(frozenset(), frozenset({"bg"}), frozenset({"telegram", "viber"}))
WORDS = {"bg": "Приемната в четвъртък е от 11 часа."}


@pytest.fixture
async def centre(tmp_path: Path) -> AsyncIterator[Centre]:
    async with a_centre(tmp_path) as made:
        yield made


async def two(centre: Centre) -> tuple[StaffMember, StaffMember]:
    """Who writes, and who approves."""
    return await centre.person("raya", [Role.STAFF]), await centre.person("ivan", [Role.ADMIN])


async def wait_there(centre: Centre, count: int, channel: str = "telegram") -> None:
    """So many women want to be reminded, in the daytime."""
    for number in range(count):
        address = f"{channel}{number}"
        await centre.store.subscribe(channel, address, "bg", "rse27", "day", "remind.words.when")


async def proposed(centre: Centre, by: StaffMember) -> Broadcast:
    kept = await centre.broadcasts.save(by.id, EVERYBODY, WORDS)
    return await centre.broadcasts.propose(by.id, kept.id)


async def send(centre: Centre, count: int, end: MailingEnd = MailingEnd.SENT) -> None:
    """So many go out, as the mailer would bring them."""
    worker = centre.store.together.worker
    taken = await centre.store.take_mailings("telegram", worker, count)
    assert len(taken) == count
    ended = {each.id: MailingOutcome(end) for each in taken}
    await centre.store.settle_mailings(worker, ended)


# --- compose -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("texts", "audience", "told"),
    [
        ({}, EVERYBODY, ("text", "no_text", "")),
        ({"bg": ""}, EVERYBODY, ("text-bg", "no_text", "")),
        ({"xx": "Hello."}, EVERYBODY, ("text", "language", "xx")),
        ({"bg": "а" * (LONGEST + 1)}, EVERYBODY, ("text-bg", "long", "501")),
        ({"bg": "Утре\u202eв 10."}, EVERYBODY, ("text-bg", "unprintable", "")),
        ({"bg": "Виж https://example.org/x"}, EVERYBODY, ("text-bg", "link", "https://example")),
        ({"bg": "Виж priemna.bg."}, EVERYBODY, ("text-bg", "link", "priemna.bg")),
        ({"bg": "Пиши на @priemna"}, EVERYBODY, ("text-bg", "link", "@priemna")),
        ({"bg": "Трябва да дойдеш."}, EVERYBODY, ("text-bg", "forbidden", "Трябва")),
        ({"tr": "Sığınma evi yarın açık."}, EVERYBODY, ("text-tr", "topic_word", "Sığınma")),
        (WORDS, replace(EVERYBODY, channels=frozenset()), ("channels", "no_channel", "")),
        (WORDS, replace(EVERYBODY, channels=frozenset({"web"})), ("channels", "channel", "web")),
        (
            WORDS,
            replace(EVERYBODY, municipalities=frozenset({"rse99"})),
            ("municipalities", "municipality", "rse99"),
        ),
    ],
)
async def test_each_mistake_is_named_and_nothing_is_kept(
    centre: Centre, texts: dict[str, str], audience: Audience, told: tuple[str, str, str]
) -> None:
    (problem,) = centre.broadcasts.problems(audience, texts)
    at, code, named = told
    assert (problem.at, problem.code) == (at, code)
    assert named in " ".join(map(str, problem.params.values()))
    with pytest.raises(ValueError, match="problems"):
        await centre.broadcasts.save("raya", audience, texts)
    assert await centre.broadcasts.all() == []


async def test_the_words_pass_the_rule_of_what_a_notification_shows(centre: Centre) -> None:
    late = "Приемната в четвъртък е от 11 часа, а не от 10. Входът е откъм пощата. Приют няма."
    assert centre.broadcasts.problems(EVERYBODY, {"bg": late}) == []
    (problem,) = centre.broadcasts.problems(EVERYBODY, {"bg": late.removeprefix(late[:55])})
    assert problem.params == {"word": "Приют"}


def test_words_are_kept_in_one_way_however_they_were_typed() -> None:
    assert tidy(" Здравей.  \r\n\r\nПриемната е и\u0306. ") == "Здравей.\n\nПриемната е й."


# --- figures -------------------------------------------------------------------------------


def test_a_number_of_women_is_told_in_full_tens() -> None:
    assert [rough(count) for count in (0, 9, 10, 19, 20, 100_009)] == [0, 0, 10, 10, 20, 100_000]


async def test_the_figures_are_of_those_who_wait_now_and_name_no_small_group(
    centre: Centre,
) -> None:
    await wait_there(centre, 9)
    few = await centre.broadcasts.estimate(EVERYBODY)
    assert (few.recipients, few.billable) == (0, 0)
    await wait_there(centre, 12)
    await wait_there(centre, 13, "viber")
    many = await centre.broadcasts.estimate(EVERYBODY)
    assert (many.recipients, many.billable) == (20, 0)
    centre.clock.passes(hours=26)
    assert (await centre.broadcasts.estimate(EVERYBODY)).billable == 10
    only = replace(EVERYBODY, channels=frozenset({"telegram"}))
    assert (await centre.broadcasts.estimate(only)).billable is None
    elsewhere = replace(EVERYBODY, municipalities=frozenset({"rse04"}))
    assert (await centre.broadcasts.estimate(elsewhere)).recipients == 0


async def test_no_choice_of_whom_it_is_for_adds_small_groups_to_one_that_is_counted(
    centre: Centre,
) -> None:
    waiting = {"rse27": 17, "rse04": 8, "rse05": 9}
    for place, count in waiting.items():
        for number in range(count):
            channel, language = ("telegram", "bg") if number % 2 else ("viber", "tr")
            address = f"{place}{number}"
            await centre.store.subscribe(channel, address, language, place, "day", None)
    everybody = await centre.broadcasts.estimate(EVERYBODY)
    assert everybody.recipients == 30
    for chosen, told in (
        ({"rse27"}, 10), ({"rse04"}, 0), ({"rse04", "rse05"}, 0), ({"rse27", "rse04"}, 10),
        (set(waiting), 10),
    ):  # fmt: skip
        for languages in ({"bg"}, {"tr"}, {"bg", "tr"}):
            for channels in ({"telegram"}, {"viber"}, {"telegram", "viber"}):
                audience = Audience(*map(frozenset, (chosen, languages, channels)))
                found = await centre.broadcasts.estimate(audience)
                assert (found.recipients, found.billable or 0) == (told, 0)


async def test_who_costs_something_is_counted_by_municipality_too(centre: Centre) -> None:
    for place in ("rse27", "rse04"):
        for number in range(6):
            address = f"{place}{number}"
            await centre.store.subscribe("viber", address, "bg", place, "day", "remind.words.when")
    centre.clock.passes(hours=26)
    both = replace(EVERYBODY, municipalities=frozenset({"rse27", "rse04"}))
    assert (await centre.broadcasts.estimate(both)).billable == 0
    assert (await centre.broadcasts.estimate(EVERYBODY)).billable == 10


async def test_how_long_it_takes_follows_the_pace_and_the_womens_hours(centre: Centre) -> None:
    await wait_there(centre, 69)
    now = await centre.broadcasts.estimate(EVERYBODY)
    assert timedelta(seconds=1.9) < now.sending < timedelta(seconds=2.2)  # as of sixty
    assert now.latest == datetime(2026, 11, 22, 19, 0, tzinfo=UTC)  # 21:00 in Sofia
    centre.clock.passes(hours=2)  # 13:00: who chose the mornings is rung tomorrow
    assert (await centre.broadcasts.estimate(EVERYBODY)).latest == datetime(
        2026, 11, 23, 10, 0, tzinfo=UTC
    )


# --- what is seen of it --------------------------------------------------------------------


async def test_a_preview_is_the_very_messages_and_the_words_stand_only_behind_the_gate(
    centre: Centre,
) -> None:
    start = centre.clock() + timedelta(days=3)
    cancelled = Reception("r0", "rse27", "Отменена", start, start + timedelta(hours=2))
    cancelled = replace(cancelled, state=ReceptionState.CANCELLED)
    coming = Reception("r1", "rse27", "Читалището", start, start + timedelta(hours=2))
    await centre.store.save_receptions([cancelled, coming])
    raya, _ = await two(centre)
    kept = await centre.broadcasts.save(raya.id, EVERYBODY, WORDS)
    telegram, viber = await centre.broadcasts.previews(kept)
    assert (telegram.channel, viber.channel) == ("telegram", "viber")
    for each in (telegram, viber):
        assert "Читалището" in each.rings.text
        assert each.others == ("Рецепта за днес", "Съвет за чист дом")
        assert each.rings.cover
        assert not each.rings.silent
        assert WORDS["bg"] not in each.rings.text
        assert WORDS["bg"] in each.read.text
        assert each.read.marks
        assert not each.read.cover
    nobody = replace(EVERYBODY, municipalities=frozenset({"rse04"}))
    elsewhere = await centre.broadcasts.save(raya.id, nobody, WORDS)
    (first, _) = await centre.broadcasts.previews(elsewhere)
    assert first.rings.text == "Има нещо ново. Виж тук."


# --- two people ----------------------------------------------------------------------------


async def test_who_proposed_it_cannot_approve_it_and_the_audit_keeps_that(centre: Centre) -> None:
    raya, ivan = await two(centre)
    it = await proposed(centre, raya)
    with pytest.raises(OwnBroadcast):
        await centre.broadcasts.approve(raya.id, it.id, it.digest or "")
    assert (await centre.audited())[0] == (raya.id, "refused.own_broadcast")
    assert (await centre.broadcasts.of(it.id)).state is BroadcastState.PROPOSED
    await wait_there(centre, 1)
    begun = await centre.broadcasts.approve(ivan.id, it.id, it.digest or "")
    assert begun.state is BroadcastState.RUNNING
    assert centre.woken
    told = [action for _, action in await centre.audited() if action.startswith("broadcast.")]
    assert told == ["broadcast.approved", "broadcast.proposed", "broadcast.saved"]


async def test_changed_words_or_half_an_hour_make_an_approval_void(centre: Centre) -> None:
    raya, ivan = await two(centre)
    it = await proposed(centre, raya)
    await centre.broadcasts.save(raya.id, EVERYBODY, {"bg": "Друго."}, it.id)
    for _ in range(2):  # also once the other words are proposed
        with pytest.raises(Changed):
            await centre.broadcasts.approve(ivan.id, it.id, it.digest or "")
        await centre.broadcasts.propose(raya.id, it.id)
    again = await centre.broadcasts.of(it.id)
    centre.clock.passes(minutes=29, seconds=59)
    assert centre.broadcasts.approvable_until(again) is not None
    centre.clock.passes(seconds=1)
    assert centre.broadcasts.approvable_until(again) is None
    with pytest.raises(Expired):
        await centre.broadcasts.approve(ivan.id, it.id, again.digest or "")
    await centre.broadcasts.propose(raya.id, it.id)
    await centre.broadcasts.approve(ivan.id, it.id, again.digest or "")


# --- on its way ----------------------------------------------------------------------------


async def test_it_is_paused_goes_on_and_is_cancelled_and_the_audit_says_by_whom(
    centre: Centre,
) -> None:
    await wait_there(centre, 12)
    raya, ivan = await two(centre)
    it = await proposed(centre, raya)
    with pytest.raises(NotNow):
        await centre.broadcasts.pause(raya.id, it.id)
    await centre.broadcasts.approve(ivan.id, it.id, it.digest or "")
    await centre.broadcasts.pause(raya.id, it.id)
    assert await centre.store.take_mailings("telegram", "me", 5) == []
    await centre.broadcasts.resume(None, it.id)
    await send(centre, 3)
    await centre.broadcasts.cancel(ivan.id, it.id)
    ended = await centre.broadcasts.of(it.id)
    assert (ended.state, ended.delivered, ended.held) == (BroadcastState.CANCELLED, 3, 9)
    for act in (centre.broadcasts.pause, centre.broadcasts.resume, centre.broadcasts.cancel):
        with pytest.raises(NotNow):
            await act(raya.id, it.id)
        with pytest.raises(NoBroadcast):
            await act(raya.id, "nothing")
    assert (await centre.audited())[:3] == [
        (ivan.id, "broadcast.cancelled"),
        (None, "broadcast.resumed"),
        (raya.id, "broadcast.paused"),
    ]


async def test_the_rate_is_of_the_last_minute_and_says_how_long_is_left(centre: Centre) -> None:
    await wait_there(centre, 40)
    raya, ivan = await two(centre)
    it = await proposed(centre, raya)
    await centre.broadcasts.approve(ivan.id, it.id, it.digest or "")
    first = await centre.broadcasts.progress(it.id)
    assert (first.per_minute, first.left_for, first.part) == (None, None, (0, 40))
    centre.clock.passes(seconds=30)
    await send(centre, 15)
    fast = await centre.broadcasts.progress(it.id)
    assert (fast.per_minute, fast.part) == (20, (10, 40))
    assert fast.left_for == timedelta(minutes=1)  # twenty, twenty a minute
    centre.clock.passes(seconds=90)
    await centre.broadcasts.progress(it.id)
    centre.clock.passes(seconds=60)
    waits = await centre.broadcasts.progress(it.id)
    assert (waits.per_minute, waits.left_for) == (0, None)
    assert waits.latest == datetime(2026, 11, 22, 19, 0, tzinfo=UTC)
    await send(centre, 25, MailingEnd.UNKNOWN)
    ended = await centre.broadcasts.progress(it.id)
    assert ended.over
    assert ended.part == (40, 40)
    assert (ended.broadcast.delivered, ended.broadcast.unknown) == (15, 25)


async def test_no_rate_and_no_time_left_tells_how_many_a_small_group_is(centre: Centre) -> None:
    await wait_there(centre, 19)
    raya, ivan = await two(centre)
    it = await proposed(centre, raya)
    await centre.broadcasts.approve(ivan.id, it.id, it.digest or "")
    await centre.broadcasts.progress(it.id)
    centre.clock.passes(seconds=2)
    await send(centre, 3)  # ninety a minute, and of sixteen
    slow = await centre.broadcasts.progress(it.id)
    assert (slow.per_minute, slow.left_for) == (0, None)
    await send(centre, 9)
    centre.clock.passes(seconds=28)
    fast = await centre.broadcasts.progress(it.id)
    assert (fast.per_minute, fast.left_for) == (20, timedelta(0))  # under ten are left


async def test_of_a_small_group_no_part_is_told(centre: Centre) -> None:
    await wait_there(centre, 3)
    raya, ivan = await two(centre)
    it = await proposed(centre, raya)
    await centre.broadcasts.approve(ivan.id, it.id, it.digest or "")
    await send(centre, 1)
    assert (await centre.broadcasts.progress(it.id)).part is None
