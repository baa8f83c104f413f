"""Photos and voice between her phone and the desk, on every channel, through the whole line."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from bot import media
from bot.storage.records import Author, CaseMessage, Medium, MediumKind, MessageState, StaffMember
from dialogs import payload
from dialogs.model import CASE_MEDIA, Position
from tests import sounds
from tests.acceptance.reader import CONTENT
from tests.acceptance.steps import claimed, in_a_case, in_a_case_on_viber, say
from tests.line import Line, eventually, running_line
from tests.phones import TelegramPhone, ViberPhone, WebPhone

TRACES = (
    sounds.TOLD, sounds.MODEL, "Теменужка", "temenuzhka", "Мария Иванова", "Стоян", "stoyan77",
    "777000111",
)  # fmt: skip


JFIF = 20
"""Bytes with which every such photo begins; chance makes no such row of them."""


class Desk:
    """A consultant with the one case."""

    def __init__(self, line: Line, maria: StaffMember, case: str) -> None:
        self._desk, self._store = line.phen.desk, line.phen.store
        self.maria, self.case = maria, case

    async def hers(self) -> list[CaseMessage]:
        said = await self._store.messages(self.case)
        return [message for message in said if message.author is Author.WOMAN]

    async def gets(self, count: int = 1) -> list[Medium]:
        """What she sent, once there are so many."""

        async def there() -> bool:
            return len(await self.hers()) >= count

        assert await eventually(there)
        return [await self._desk.medium(self.maria, self.case, m.id) for m in await self.hers()]

    async def says(self, voice: bytes) -> None:
        medium = Medium(MediumKind.VOICE, await media.voice(voice))
        await self._desk.say(self.maria, self.case, medium, "a key")

    async def state_of_the_last(self) -> MessageState:
        return (await self._store.messages(self.case))[-1].state


Phone = TelegramPhone | ViberPhone | WebPhone


async def on_telegram(line: Line) -> Phone:
    return TelegramPhone((await in_a_case(line)).woman)


async def on_viber(line: Line) -> Phone:
    return ViberPhone((await in_a_case_on_viber(line)).woman)


async def on_the_web(line: Line) -> Phone:
    phone = WebPhone(line.url)
    await phone.opens()
    await phone._post({"p": payload.pack(Position("bg", "talk_yes"), line.phen.now())})
    return phone


Arrives = Callable[[Line], Awaitable[Phone]]
EVERYWHERE: list[Any] = [on_telegram, on_viber, on_the_web]


@asynccontextmanager
async def a_case(folder: Path, arrives: Arrives) -> AsyncIterator[tuple[Line, Any, Desk]]:
    async with running_line(folder) as line:
        phone = await arrives(line)
        maria = await line.consultant()
        yield line, phone, Desk(line, maria, await claimed(line, maria))
        await phone.closes()


async def sees(phone: Phone, words: str) -> None:
    first = " ".join(words.split())

    async def there() -> bool:
        return first in (await phone.look()).all

    assert await eventually(there), (await phone.look()).all


async def agrees(phone: Phone) -> None:
    """She reads what happens with a photo, and agrees."""
    await sees(phone, say("notice.claimed"))
    to_media = next(each for each in CONTENT.nodes["case"].choices if each.go == CASE_MEDIA)
    agreed, _ = CONTENT.nodes[CASE_MEDIA].choices
    await phone.taps(say(to_media.label))
    await sees(phone, say(agreed.label))
    await phone.taps(say(agreed.label))
    await sees(phone, say(to_media.label))


@pytest.mark.parametrize("arrives", EVERYWHERE)
async def test_a_photo_comes_to_the_desk_with_the_picture_and_nothing_else(
    arrives: Arrives, tmp_path: Path
) -> None:
    """file called by a person's name: renamed · photo with GPS: none left"""
    async with a_case(tmp_path, arrives) as (_, phone, desk):
        await agrees(phone)
        await phone.sends_photo(sounds.photo(size=(600, 400)))
        [photo] = await desk.gets()
        assert photo.kind is MediumKind.PHOTO
        image = Image.open(BytesIO(photo.data))
        assert image.size == (600, 400)
        assert dict(image.getexif()) == {}
        told = photo.data + repr(await desk.hers()).encode()
        assert not [trace for trace in TRACES if trace.encode() in told]
        for file in tmp_path.rglob("*"):
            kept = file.read_bytes() if file.is_file() else b""
            assert not [trace for trace in TRACES if trace.encode() in kept], file
            assert photo.data[:JFIF] not in kept, file


@pytest.mark.parametrize("arrives", EVERYWHERE)
async def test_a_consultants_voice_comes_to_her_and_is_kept_nowhere(
    arrives: Arrives, tmp_path: Path
) -> None:
    async with a_case(tmp_path, arrives) as (line, phone, desk):
        await sees(phone, say("notice.claimed"))
        await desk.says(sounds.voice("m4a"))

        async def heard() -> bool:
            return bool(await phone.hears())

        assert await eventually(heard)
        [sound] = await phone.hears()
        assert 0.9 < sounds.seconds(sound) < 1.2
        assert not [trace for trace in TRACES if trace.encode() in sound]
        await phone.look()  # a page without a stream says with this that it has the message

        async def settled() -> bool:
            return await desk.state_of_the_last() is MessageState.SENT

        assert await eventually(settled)
        assert (await line.phen.store.counts())["media"] == 0


@pytest.mark.parametrize("arrives", [on_telegram, on_viber])
async def test_a_photo_without_consent_is_neither_fetched_nor_kept(
    arrives: Arrives, tmp_path: Path
) -> None:
    async with a_case(tmp_path, arrives) as (line, phone, desk):
        await sees(phone, say("notice.claimed"))
        await phone.sends_photo(sounds.photo())
        await sees(phone, say("notice.media_ask"))
        assert line.telegram.downloads == line.viber.downloads == []
        assert await desk.hers() == []
        assert (await line.phen.store.counts())["media"] == 0


async def test_voice_without_consent_refused_and_with_it_heard(tmp_path: Path) -> None:
    async with a_case(tmp_path, on_telegram) as (line, phone, desk):
        await sees(phone, say("notice.claimed"))
        await phone.sends_voice(sounds.voice())
        await sees(phone, say("notice.media_ask"))
        assert await desk.hers() == []
        assert not line.telegram.called("getFile")
        await agrees(phone)
        phone.woman.sends_voice(sounds.voice("m4a"), kind="audio")
        [voice] = await desk.gets()
        assert sounds.stream(voice.data) == "opus,48000,1"
        told = voice.data + repr(await desk.hers()).encode()
        assert not [trace for trace in TRACES if trace.encode() in told]


async def test_a_page_offers_no_photo_before_she_agrees_and_takes_none(tmp_path: Path) -> None:
    async with a_case(tmp_path, on_the_web) as (_, phone, desk):
        await phone.look()
        assert not phone.page.takes_media
        phone.page.takes_media = True  # a forged form
        await phone.sends_photo(sounds.photo())
        await sees(phone, say("notice.media_ask"))
        assert await desk.hers() == []
        await agrees(phone)
        assert phone.page.takes_media
        await phone.sends_voice(sounds.voice("m4a"))
        [voice] = await desk.gets()
        assert voice.kind is MediumKind.VOICE
        assert sounds.stream(voice.data) == "opus,48000,1"


async def test_forwarded_message_no_origin_at_the_desk(tmp_path: Path) -> None:
    async with a_case(tmp_path, on_telegram) as (_, phone, desk):
        await agrees(phone)
        him = {"id": 777_000_111, "is_bot": False, "first_name": "Стоян", "username": "stoyan77"}
        origin = {"type": "user", "sender_user": him, "date": 1_795_000_000}
        phone.woman.sends_photo(
            sounds.photo(), forward_origin=origin, caption="от Стоян", media_group_id="77"
        )
        phone.woman.sends_photo(sounds.photo("PNG"), forward_origin=origin, media_group_id="77")
        got = await desk.gets(2)
        told = b"".join(each.data for each in got) + repr(await desk.hers()).encode()
        assert not [trace for trace in TRACES if trace.encode() in told]


@pytest.mark.parametrize("arrives", EVERYWHERE)
async def test_what_cannot_be_opened_is_said_to_her_and_keeps_nothing(
    arrives: Arrives, tmp_path: Path
) -> None:
    async with a_case(tmp_path, arrives) as (_, phone, desk):
        await agrees(phone)
        await phone.sends_photo(b"\xff\xd8\xff\xe0 this is no picture")
        await sees(phone, say("notice.media_failed"))
        assert await desk.hers() == []
        await phone.types("после с думи")

        async def written() -> bool:
            return [message.text for message in await desk.hers()] == ["после с думи"]

        assert await eventually(written)


@pytest.mark.parametrize("arrives", [on_viber, on_the_web])
async def test_when_she_hides_a_voice_can_be_fetched_no_more(
    arrives: Arrives, tmp_path: Path
) -> None:
    async with a_case(tmp_path, arrives) as (line, phone, desk):
        await sees(phone, say("notice.claimed"))
        await desk.says(sounds.voice("m4a"))

        async def heard() -> bool:
            return bool(await phone.hears())

        async def nothing_lies_there() -> bool:
            return (await line.phen.store.counts())["lent"] == 0

        assert await eventually(heard)
        assert not await nothing_lies_there()
        await phone.types("9")
        assert await eventually(nothing_lies_there)
