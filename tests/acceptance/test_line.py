"""Ten women at once in three languages; two of them talk to two consultants at the web desk."""

from __future__ import annotations

import asyncio
import random
import re
from contextlib import AsyncExitStack
from pathlib import Path

from bot.storage.records import Role
from tests.acceptance.consultant import Consultant, at_the_desk
from tests.acceptance.reader import CONTENT, REMINDED, SYSTEM, TEXTS, Reader, Watch, choices
from tests.line import Line, eventually, running_line

READERS = {"bg": 2, "tr": 3, "en": 3}
TALKERS = {"bg": "жена", "tr": "kadın"}
SAID = 15


def _shares(language: str, dice: random.Random) -> list[list[tuple[str, str, str]]]:
    """Every button of every topic, dealt out in another order to each woman of a language."""
    edges = choices()
    dice.shuffle(edges)
    count = READERS[language]
    return [edges[number::count] for number in range(count)]


async def _reads(reader: Reader, share: list[tuple[str, str, str]]) -> None:
    await reader.opens()
    await reader.walks(share, marks=0.1)
    await reader.goes_to("home")
    await reader.types("qqqq zzzz", "not_understood")
    await reader.types("zzzz qqqq", "not_understood_again")
    word = {"bg": "заповед", "tr": "koruma", "en": "order"}[reader.language]
    await reader.types(word, "suggest")
    for kind, node in (
        ("photo", "got_photo"), ("voice", "got_voice"),
        ("contact", "got_contact"), ("sticker", "got_other"),
    ):  # fmt: skip
        await reader.sends(kind, node)
    for node in sorted(SYSTEM):
        await reader.forges(node)
    assert [shown for shown in reader.woman.chat if not shown.from_bot] == []
    await reader.hides()


def _numbered(name: str, text: str) -> list[int]:
    return [int(number) for number in re.findall(rf"{name}-(\d+)\.", text)]


async def _talks(reader: Reader, name: str, dice: random.Random) -> None:
    """She asks for a human and writes her lines at uneven times."""
    await reader.opens()
    await reader.asks_for_a_human()
    for number in range(SAID):
        reader.woman.types(f"{name}-{number}.")
        await asyncio.sleep(dice.random() * 0.15)


async def _answers(consultant: Consultant, name: str, dice: random.Random) -> None:
    await consultant.claims()
    for number in range(SAID):
        await consultant.replies(f"{name}-{number}.")
        await asyncio.sleep(dice.random() * 0.15)


def _heard(reader: Reader) -> str:
    return "\n".join(shown.text or "" for shown in reader.woman.bot_messages)


async def _nothing_crossed(
    consultants: dict[str, Consultant], talkers: dict[str, Reader]
) -> dict[str, str]:
    """Who talked to whom, after every line has arrived once and in its order."""
    every = list(range(SAID))
    pairs: dict[str, str] = {}
    for name, consultant in consultants.items():

        async def complete(consultant: Consultant = consultant) -> bool:
            await consultant.get(consultant.case)
            found = [each for each in TALKERS.values() if f"{each}-" in consultant.text]
            return len(found) == 1 and _numbered(found[0], consultant.text) == every

        assert await eventually(complete), consultant.text
        [hers] = [each for each in TALKERS.values() if f"{each}-" in consultant.text]
        pairs[name] = hers
        reader = talkers[hers]
        assert await eventually(lambda r=reader, n=name: len(_numbered(n, _heard(r))) >= SAID)
        assert _numbered(name, _heard(reader)) == every
        others = [other for other in consultants if other != name]
        assert all(other not in _heard(reader) for other in others)
    assert sorted(pairs.values()) == sorted(TALKERS.values())
    return pairs


async def _leaves(reader: Reader, *, ends: bool) -> None:
    if ends:
        reader.woman.taps(payload=f"{reader.language}:case_end")
        await reader.sees(TEXTS.say(reader.language, CONTENT.nodes["case_end"].text))
        reader.woman.taps(payload=f"{reader.language}:case_end_yes")
        await reader.sees(TEXTS.say(reader.language, CONTENT.nodes["case_ended"].text))
    await reader.hides()


async def _consultants(line: Line, stack: AsyncExitStack) -> dict[str, Consultant]:
    found = {}
    for login in ("maria", "elena"):
        token = await line.phen.accounts.invite(login, {Role.CONSULTANT})
        found[login] = await stack.enter_async_context(at_the_desk(line.url, login, token))
    return found


async def test_ten_women_at_once_and_two_of_them_talk_to_two_consultants(tmp_path: Path) -> None:
    dice = random.Random(20261122)
    async with running_line(tmp_path) as line, AsyncExitStack() as stack:
        await line.reception()
        watch = Watch(line.telegram)
        consultants = await _consultants(line, stack)
        talkers = {n: Reader(line.telegram.woman(), lang) for lang, n in TALKERS.items()}
        readers: list[Reader] = []
        async with asyncio.TaskGroup() as together:
            for language in READERS:
                for share in _shares(language, dice):
                    reader = Reader(line.telegram.woman(), language, random.Random(dice.random()))
                    readers.append(reader)
                    together.create_task(_reads(reader, share))
            for name, reader in talkers.items():
                together.create_task(_talks(reader, name, dice))
            for name, consultant in consultants.items():
                together.create_task(_answers(consultant, name, dice))
        await _nothing_crossed(consultants, talkers)
        first, second = talkers.values()
        await _leaves(first, ends=False)
        await _leaves(second, ends=True)
        late = next(c for c in consultants.values() if TALKERS["bg"] in c.text)
        await late.replies("още нещо")
        await asyncio.sleep(0.5)

        assert [w.chat for w in (r.woman for r in (*readers, *talkers.values())) if w.chat] == []
        assert watch.faults == []
        assert {watch.windows[reader.woman.id] for reader in readers} == {1}
        doors = {
            *("talk_yes", "case", "case_end", "case_end_yes", "case_ended"),
            *("case_media", "case_media_yes"),
            *REMINDED,
        }
        for language in READERS:
            seen = set[str]().union(*(r.seen for r in readers if r.language == language))
            assert set(CONTENT.nodes) - seen - doors == set()
