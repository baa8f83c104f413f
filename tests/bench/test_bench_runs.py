"""The comparison of `make bench`: its women, its table, and our own side of it, in small."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from bench import pages, report, standin, thirty
from bench.contestants import Told, ordered, phen
from bench.scenarios import AIOGRAM, CROWD, ENTRY, LOADS, PHENS, PTB, Effort, Found
from tests.bench.running import TOKEN, running, standing_in

SMALL = Effort(0.2, 1)


async def test_each_woman_taps_again_as_soon_as_her_screen_is_there() -> None:
    async with standing_in() as (api, ask):
        bot = ordered.serving(Told(api, TOKEN, thirty.build(), Path()))
        async with running(bot, ask):
            seen = await ask("taps", women=3, seconds=0.5, delay=0.0, entry=None)
    assert seen["edits"] > 3
    assert seen["faults"] == {}


async def test_phen_shows_every_screen_and_brings_every_word_to_the_desk_and_back(
    tmp_path: Path,
) -> None:
    async with standing_in() as (api, ask):
        settings = phen.settled(Told(api, TOKEN, thirty.build(), tmp_path))
        async with running(phen.serving(settings), ask):
            taps = await ask("taps", women=2, seconds=0.1, delay=0.0, entry=ENTRY)
            talks = await ask("talks", women=2, seconds=0.1, delay=0.0)
    assert taps["faults"] == {}
    assert talks["faults"] == {}, "among them what was never answered"


async def test_a_screen_that_her_button_does_not_lead_to_is_a_fault() -> None:
    seen = standin.Bot(thirty.build(), 1)
    woman = seen.women[1] = standin.Woman(1)
    await seen.call("sendmessage", {"chat_id": "1", "text": "начало"})
    seen._tap(woman, "bg:violence", "violence")
    await seen.call("editmessagetext", {"chat_id": "1", "message_id": "1", "text": "друго"})
    await seen.call("answercallbackquery", {"callback_query_id": "88000000001"})
    assert seen.faults == {"wrong screen": 1}
    await seen.call("answercallbackquery", {"callback_query_id": "88000000001"})
    assert seen.faults == {"wrong screen": 1, "answered twice": 1}


def test_what_a_step_takes_is_measured_in_content_that_was_made_larger() -> None:
    assert pages.measure(20)["nodes"] > 100 + 20


def measured(crowd: int) -> dict[str, Any]:
    part = {"seconds": 1.0, "edits": crowd, "bot": 0.9, "standin": 0.1, "faults": {}}
    loads = {str(load): part | {"from_handed": [0.001, 0.002]} for load in LOADS}
    return {"idle": 100.0, "loaded": 110.0, **loads}


def test_the_table_says_of_each_goal_whether_it_is_met(tmp_path: Path) -> None:
    found = Found(
        taps={
            PHENS[0].name: [measured(300), measured(500), measured(310)],
            AIOGRAM.name: [measured(200), measured(200), measured(200)],
            PTB.name: [measured(19), measured(19), measured(19)],
        }
    )
    table = report.written(found, SMALL, 60, ["two cores"])
    assert "| 310 (300–500) | 1.55 |" in table, "the median, the spread, and the rounds' own ratio"
    assert "as many taps/s as bare aiogram at 50 ms | 1.55 times | met |" in table
    assert "python-telegram-bot at 50 ms | 16.32 times | **not met** |" in table
    readme = tmp_path / "README.md"
    readme.write_text(f"before\n{report.BEGIN}\nold\n{report.END}\nafter\n", "utf-8")
    report.keep(table, readme)
    kept = readme.read_text("utf-8")
    assert kept.startswith(f"before\n{report.BEGIN}\n")
    assert kept.endswith(f"{report.END}\nafter\n")
    assert "old" not in kept


def test_a_fault_of_anybody_stands_in_the_table() -> None:
    wrong = measured(300)
    wrong[str(CROWD)]["faults"] = {"wrong screen": 2}
    table = report.written(Found(taps={PHENS[0].name: [wrong]}), SMALL, 60, [])
    assert "wrong screen (2) | **not met** |" in table


def test_the_thirty_screens_lead_to_one_another() -> None:
    screens = thirty.build()
    assert len(screens.screens) == thirty.SIZE
    assert all(screens.exits(name) for name in screens.screens)
    assert len({screen.text for screen in screens.screens.values()}) == thirty.SIZE
    assert f"bg:{screens.home}" == ENTRY
