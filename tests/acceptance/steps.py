"""What the tests of faults do again and again."""

from __future__ import annotations

from dataclasses import replace

from bot.channels.base import Who
from bot.storage.records import Author, StaffMember
from dialogs.model import Position
from tests.acceptance.reader import CONTENT, TEXTS, Reader, ViberReader
from tests.line import Line, eventually


def say(text_id: str, language: str = "bg") -> str:
    return TEXTS.say(language, text_id)


def screen(node: str) -> str:
    """The words of a screen."""
    return say(CONTENT.nodes[node].text)


async def in_a_case(line: Line) -> Reader:
    """A woman who has asked for a human; she went there without the gate, to be quick."""
    reader = Reader(line.telegram.woman(), "bg")
    reader.woman.starts()
    await reader.sees(screen("start"))
    reader.woman.taps(payload="bg:talk_yes")
    await reader.sees(screen("case"))
    return reader


async def in_a_case_on_viber(line: Line) -> ViberReader:
    """The same on Viber, where the line goes by its own clock."""
    reader = ViberReader(line.viber.woman(), "bg", now=line.phen.now)
    await reader.opens()
    await to_a_human(reader)
    return reader


async def to_a_human(reader: ViberReader) -> None:
    """Straight through the door to a human."""
    await reader._taps(Position(reader.language, "talk_yes"))
    await reader.sees(say(CONTENT.nodes["case"].text, reader.language))
    reader.at = Position(reader.language, "case")


async def claimed(line: Line, maria: StaffMember) -> str:
    """The case that waits is Maria's now."""

    async def waiting() -> bool:
        return bool(await line.phen.desk.waiting(maria))

    assert await eventually(waiting)
    [case] = await line.phen.desk.waiting(maria)
    assert await line.phen.desk.claim(maria, case.id)
    return case.id


async def ten_idle_minutes_pass(line: Line, who: Who) -> None:
    """She leaves her window alone until it is covered. All before and after takes its time."""
    windows = line.phen.windows
    usual, windows._timing = windows._timing, replace(windows._timing, idle=0.05)
    windows.touch(who)
    assert await eventually(lambda: not windows.is_open(who))
    windows._timing = usual


async def hers(line: Line, case_id: str) -> list[str]:
    said = await line.phen.store.messages(case_id)
    return [message.text for message in said if message.author is Author.WOMAN]


async def arrived(line: Line, case_id: str, *texts: str) -> bool:
    async def there() -> bool:
        return await hers(line, case_id) == [*texts]

    return await eventually(there)


async def rows(line: Line, table: str, count: int) -> bool:
    """Whether a table has that many rows."""
    return (await line.phen.store.counts())[table] == count
