"""Thirty women on three channels talk at once with three consultants at the web desk."""

from __future__ import annotations

import asyncio
import random
import re
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from html import unescape
from pathlib import Path
from typing import Protocol

from bot.storage.records import Role
from dialogs import payload
from dialogs.model import Position
from tests.acceptance.consultant import Consultant, at_the_desk
from tests.acceptance.reader import Reader, ViberReader
from tests.acceptance.steps import rows, say, screen, to_a_human
from tests.line import Line, eventually, running_line
from tests.phones import WebPhone

EACH = 10
LANGUAGES = ("bg", "tr", "en")
LOGINS = ("maria", "elena", "vera")
SAID, ANSWERED = 4, 3
_HERS = re.compile(r"(\w+)#(\d+)\.")
_ANSWER = re.compile(r"(\w+)>(\w+)#(\d+);")
_CLAIM = re.compile(r'action="(/desk/case/\w+)/claim"')
Heard = list[tuple[str, str, int]]
"""Who said it, to whom, and the how manieth of that."""


def _heard(texts: list[str]) -> Heard:
    found = _ANSWER.findall("\n".join(texts))
    return [(login, mark, int(number)) for login, mark, number in found]


class Talker(Protocol):
    """One woman who talks, on whatever channel."""

    async def asks(self) -> None: ...
    async def writes(self, text: str) -> None: ...
    async def heard(self) -> Heard: ...


class OnTelegram:
    def __init__(self, line: Line, language: str) -> None:
        self.reader = Reader(line.telegram.woman(), language)

    async def asks(self) -> None:
        self.reader.woman.starts()
        await self.reader.sees(screen("start"))
        await self.reader._taps(Position(self.reader.language, "talk_yes"))
        await self.reader.sees(say("case.text", self.reader.language))

    async def writes(self, text: str) -> None:
        self.reader.woman.types(text)

    async def heard(self) -> Heard:
        return _heard([shown.words for shown in self.reader.woman.bot_messages])


class OnViber:
    def __init__(self, line: Line, language: str) -> None:
        self.reader = ViberReader(line.viber.woman(), language)

    async def asks(self) -> None:
        await self.reader._starts()
        await self.reader.sees(screen("start"))
        await to_a_human(self.reader)

    async def writes(self, text: str) -> None:
        await self.reader.woman.types(text)

    async def heard(self) -> Heard:
        return _heard([shown.text for shown in self.reader.woman.bot_messages])


class OnTheWeb:
    def __init__(self, line: Line, language: str) -> None:
        self.phone, self.language, self.now = WebPhone(line.url), language, line.phen.now

    async def asks(self) -> None:
        await self.phone.opens()
        to = payload.pack(Position(self.language, "talk_yes"), self.now())
        await self.phone._post({"p": to})
        assert say("case.text", self.language).split()[-1] in (await self.phone.look()).text

    async def writes(self, text: str) -> None:
        await self.phone.types(text)

    async def heard(self) -> Heard:
        return _heard((await self.phone.look()).said)


@dataclass
class Colleague:
    """A consultant with several cases at once."""

    at: Consultant
    login: str
    dice: random.Random
    cases: dict[str, str] = field(default_factory=dict)
    late: int = 0
    """How often another one was quicker."""

    async def works(self, owners: list[str], total: int) -> None:
        """Claim whoever waits until all have somebody, then answer each, by turns."""
        while len(owners) < total:
            await self.at.get("/desk")
            for case in _CLAIM.findall(self.at.page)[:1]:
                await self.at.submit(f"{case}/claim")
                if self.at.status == 200:
                    self.cases[case] = ""
                    owners.append(case)
                else:
                    assert self.at.status == 409, self.at.text
                    self.late += 1
            await asyncio.sleep(0.1)
        for case in self.cases:
            self.cases[case] = await self._whose(case)
        for case, number in self._turns():
            await self.at.get(case)
            await self.at.submit(f"{case}/reply", text=f"{self.login}>{self.cases[case]}#{number};")
            assert self.at.status == 200, self.at.text

    async def reads(self, case: str) -> list[tuple[str, int]]:
        """What she wrote, as it stands on the desk."""
        await self.at.get(case)
        wrote = _ANSWER.sub("", self.at.text)
        return [(mark, int(number)) for mark, number in _HERS.findall(wrote)]

    async def reads_until(self, case: str, count: int) -> list[tuple[str, int]]:
        """The same, once it is that much."""
        wrote: list[tuple[str, int]] = []

        async def there() -> bool:
            wrote[:] = await self.reads(case)
            return len(wrote) >= count

        assert await eventually(there), self.at.text
        return wrote

    async def _whose(self, case: str) -> str:
        """Her mark, by what she has written."""
        wrote = await self.reads_until(case, 1)
        return wrote[0][0]

    def _turns(self) -> Iterator[tuple[str, int]]:
        """All cases mixed; in each the answers keep their order."""
        turns = [case for case in self.cases for _ in range(ANSWERED)]
        self.dice.shuffle(turns)
        told = Counter[str]()
        for case in turns:
            yield case, told[case]
            told[case] += 1


async def _talks(talker: Talker, mark: str, dice: random.Random) -> None:
    await asyncio.sleep(dice.random() * 0.3)
    await talker.asks()
    for number in range(SAID):
        await talker.writes(f"{mark}#{number}.")
        await asyncio.sleep(dice.random() * 0.4)


@asynccontextmanager
async def _women(line: Line) -> AsyncIterator[dict[str, Talker]]:
    found: dict[str, Talker] = {}
    for number in range(EACH):
        language = LANGUAGES[number % len(LANGUAGES)]
        found[f"telegram{number}"] = OnTelegram(line, language)
        found[f"viber{number}"] = OnViber(line, language)
        found[f"web{number}"] = OnTheWeb(line, language)
    try:
        yield found
    finally:
        for woman in found.values():
            if isinstance(woman, OnTheWeb):
                await woman.phone.closes()


_BOX = re.compile(r"<textarea.*?</textarea>", re.DOTALL)
"""In which what was said can be corrected: it stands there once more."""


async def _colleagues(line: Line, stack: AsyncExitStack, dice: random.Random) -> list[Colleague]:
    found = []
    for login in LOGINS:
        token = await line.phen.accounts.invite(login, {Role.CONSULTANT})
        at = await stack.enter_async_context(at_the_desk(line.url, login, token))
        found.append(Colleague(at, login, random.Random(dice.random())))
    return found


async def _each_case_has_one_owner(colleagues: list[Colleague], marks: set[str]) -> None:
    """Each woman has one case, and a colleague of who claimed it cannot open it."""
    owned = Counter(case for each in colleagues for case in each.cases)
    assert set(owned.values()) == {1}
    assert sorted(mark for each in colleagues for mark in each.cases.values()) == sorted(marks)
    for colleague, other in zip(colleagues, [*colleagues[1:], colleagues[0]], strict=True):
        for case in colleague.cases:
            await other.at.get(case)
            assert other.at.status == 403


async def _the_desk_has_it_all(colleagues: list[Colleague]) -> None:
    for colleague in colleagues:
        for case, mark in colleague.cases.items():
            wrote = await colleague.reads_until(case, SAID)
            assert wrote == [(mark, number) for number in range(SAID)]
            answers = _heard([unescape(_BOX.sub("", colleague.at.page))])
            assert answers == [(colleague.login, mark, n) for n in range(ANSWERED)]


async def _every_woman_has_it_all(colleagues: list[Colleague], women: dict[str, Talker]) -> None:
    owner = {mark: each.login for each in colleagues for mark in each.cases.values()}
    for mark, woman in women.items():

        async def complete(woman: Talker = woman) -> bool:
            return len(await woman.heard()) >= ANSWERED

        assert await eventually(complete), (mark, await woman.heard())
    await asyncio.sleep(0.5)  # what came twice would come now
    for mark, woman in women.items():
        assert await woman.heard() == [(owner[mark], mark, n) for n in range(ANSWERED)]


async def _nothing_is_left_to_send(line: Line, women: dict[str, Talker]) -> None:
    """A page without a script says what it has shown when she next looks."""

    async def settled() -> bool:
        for woman in women.values():
            await woman.heard()
        return await rows(line, "outbox", 0)

    assert await eventually(settled)


async def test_ten_women_on_each_of_three_channels_talk_with_three_consultants_and_nothing_crosses(
    tmp_path: Path,
) -> None:
    dice = random.Random(20261123)
    async with (
        running_line(tmp_path) as line,
        AsyncExitStack() as stack,
        _women(line) as women,
    ):
        colleagues = await _colleagues(line, stack, dice)
        owners: list[str] = []
        async with asyncio.TaskGroup() as together:
            for mark, woman in women.items():
                together.create_task(_talks(woman, mark, random.Random(dice.random())))
            for colleague in colleagues:
                together.create_task(colleague.works(owners, len(women)))
        assert all(each.cases for each in colleagues)
        await _the_desk_has_it_all(colleagues)
        await _every_woman_has_it_all(colleagues, women)
        await _each_case_has_one_owner(colleagues, set(women))
        assert line.viber.refusals == []
        assert [each.event for each in line.viber.callbacks if not each.taken] == []
        await _nothing_is_left_to_send(line, women)
