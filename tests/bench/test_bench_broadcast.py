"""The broadcast of `make bench`: its stand-in counts strictly, its table says what went wrong."""

from __future__ import annotations

import asyncio
import json
import os
import signal
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from bench import broadcast, report, stored, thirty
from bench.contestants import Told, phen, phen_broadcast
from bench.recipients import FIRST, Recipients, TooMany
from bench.scenarios import PHENS, Effort, Found
from tests.bench.running import TOKEN, running, standing_in
from tests.line import eventually

MANY, CAP = 40, 300
DELIVERED = {"recipients": MANY, "delivered": MANY, "gone": 0, "held": 0, "unknown": 0, "failed": 0}


async def test_each_recipient_gets_it_once_while_women_are_answered(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    now = datetime.now(UTC)
    ahead = broadcast.seconds_to_noon(now)
    async with standing_in() as (api, ask):
        settings = phen.settled(Told(api, TOKEN, thirty.build(), tmp_path))
        noon = now + timedelta(seconds=ahead)
        await asyncio.to_thread(stored.subscribed, tmp_path, "", MANY, noon)
        await ask("broadcast", recipients=MANY, cap=CAP, ahead=ahead, delay=0.0)
        async with running(phen_broadcast.serving(settings, CAP, ahead), ask):
            os.kill(os.getpid(), signal.SIGUSR1)
            talks = await ask("talks", women=1, seconds=0.1, delay=0.0, pause=0.01)
            seen = await ask("until", reached=MANY, seconds=60.0)
            said: list[str] = []

            async def reported() -> bool:
                said.extend(capsys.readouterr().out.splitlines())
                return len(said) == 2

            assert await eventually(reported)
    assert seen["reached"] == MANY
    assert (seen["twice"], seen["refused"]) == (0, 0)
    assert talks["faults"] == {}
    assert json.loads(said[0])["enqueue"] > 0
    assert json.loads(said[1]) == DELIVERED


def test_the_call_that_is_one_too_many_in_any_second_is_refused() -> None:
    counted = Recipients(3, cap=2)
    counted.allow("sendmessage", 1, 10.0)
    counted.allow("editmessagetext", 2, 10.6)
    counted.allow("deletemessages", 3, 10.7)
    with pytest.raises(TooMany):
        counted.allow("sendphoto", 3, 11.0)
    counted.allow("sendphoto", 3, 11.01)
    assert (counted.calls, counted.refused) == (3, 1)


def test_more_than_one_a_second_in_a_chat_is_refused_after_a_burst() -> None:
    counted = Recipients(3, cap=1000)
    for _ in range(20):
        counted.allow("sendmessage", 1, 10.0)
    with pytest.raises(TooMany):
        counted.allow("sendmessage", 1, 10.9)
    counted.allow("sendmessage", 2, 10.9)
    counted.allow("sendmessage", 1, 11.0)


def test_who_gets_it_twice_is_counted_as_one_and_named() -> None:
    counted = Recipients(3, cap=30)
    for chat in (FIRST, FIRST + 2, FIRST + 2):
        counted.take(chat)
    assert counted.told() == {"reached": 2, "twice": 1, "calls": 0, "refused": 0}
    assert FIRST + 2 in counted
    assert FIRST + 3 not in counted


async def test_a_call_that_comes_too_early_is_answered_as_telegram_does() -> None:
    async with standing_in() as (api, ask), aiohttp.ClientSession() as session:
        await ask("broadcast", recipients=1, cap=1, ahead=0.0, delay=0.0)
        send = f"{api}/bot{TOKEN}/sendPhoto"
        async with session.post(send, data={"chat_id": FIRST}) as answer:
            assert answer.status == 200
        for _ in range(5):  # between two of them a busy machine may let its second pass
            async with session.post(send, data={"chat_id": FIRST}) as answer:
                told = await answer.json()
            if answer.status == 429:
                break
        assert told["parameters"] == {"retry_after": 1}


def measured(**wrong: Any) -> dict[str, Any]:
    talks = {"seconds": 10.0, "calls": 292, "reached": 280, "refused": 0, "bot": 0.3, "faults": {}}
    talks |= {"from_desk": [0.05, 0.06], "to_desk": [0.03]}
    killed = {"recipients": MANY, "seconds": 9.0, "goes_on": [2.0], "rates": [290.0]}
    killed |= {"reached": MANY, "twice": 0, "refused": 0, "peaks": [140.0], "report": DELIVERED}
    seen = dict.fromkeys(("before", "start", "during"), talks)
    memory = {"idle": 130.0, "enqueued": 135.0, "peak": 140.0}
    return {"recipients": 7, "enqueue": 2.5, **memory, **seen, "killed": killed | wrong}


def written(seen: dict[str, Any]) -> str:
    return report.written(Found(broadcast={PHENS[0].name: seen}), Effort(), 60, [])


def test_the_table_of_the_broadcast_says_that_each_goal_is_met() -> None:
    table = written(measured())
    assert "| 97.3%, 0 times a 429 | met |" in table
    assert "| 0 twice, 0 lost, 0 unknown | met |" in table
    assert "not met" not in table


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ({"twice": 1}, "1 twice, 0 lost, 0 unknown"),
        ({"reached": MANY - 2}, "0 twice, 2 lost, 0 unknown"),
        ({"reached": MANY - 2, "report": DELIVERED | {"delivered": MANY - 2}}, "0 twice, 0 lost"),
    ],
    ids=["twice", "said to have got it", "does not add up"],
)
def test_a_broadcast_that_went_wrong_does_not_meet_its_goal(
    wrong: dict[str, Any], told: str
) -> None:
    table = written(measured(**wrong))
    assert told in table
    assert "not met" in table


def test_what_is_lost_and_told_as_unknown_meets_the_goal() -> None:
    unknown = DELIVERED | {"delivered": MANY - 3, "unknown": 3}
    table = written(measured(reached=MANY - 2, report=unknown))
    assert "| 0 twice, 0 lost, 3 unknown | met |" in table
