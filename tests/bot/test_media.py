"""What is left of a photo or a voice: the picture and the sound, and nothing about them."""

from __future__ import annotations

import asyncio
import shutil
import struct
import zlib
from io import BytesIO
from pathlib import Path
from random import Random

import pytest
from PIL import Image

from bot import media
from bot.channels.base import MAX_MEDIUM
from bot.media import NoTools, Unusable
from tests import sounds
from tests.line import eventually

PLACE = b"GPS"
NOISE = Random(1).randbytes(5000)
"""Always the same: some noise begins like a sound."""
PAGE = b"<!doctype html><html><body><script>fetch('/desk')</script></body></html>"


def opened(made: bytes) -> Image.Image:
    image = Image.open(BytesIO(made), formats=["JPEG"])
    image.load()
    return image


def near(pixel: object, colour: tuple[int, int, int]) -> bool:
    assert isinstance(pixel, tuple)
    return all(abs(a - b) < 40 for a, b in zip(pixel, colour, strict=True))


# --- photos --------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
async def test_photo_with_gps_none_left(kind: str) -> None:
    raw = sounds.photo(kind)
    assert sounds.TOLD.encode() in raw
    assert sounds.MODEL.encode() in raw
    made = await media.photo(raw)
    for trace in (sounds.TOLD.encode(), sounds.MODEL.encode(), b"Exif", b"ICC_PROFILE", b"adobe"):
        assert trace not in made
    image = opened(made)
    assert dict(image.getexif()) == {}
    assert set(image.info) <= {"jfif", "jfif_version", "jfif_unit", "jfif_density"}


async def test_a_photo_stands_upright_without_the_note_that_says_so() -> None:
    image = opened(await media.photo(sounds.photo(turned=6)))
    assert image.size == (40, 60)
    assert near(image.getpixel((20, 5)), sounds.RED)
    assert near(image.getpixel((20, 55)), sounds.BLUE)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
async def test_a_large_photo_gets_smaller_and_keeps_its_shape(kind: str) -> None:
    image = opened(await media.photo(sounds.photo(kind, size=(4000, 3000))))
    assert image.size == (1600, 1200)


async def test_a_small_photo_stays_as_large_as_it_is() -> None:
    assert opened(await media.photo(sounds.photo())).size == (60, 40)


async def test_what_is_transparent_becomes_white_and_not_black() -> None:
    out = BytesIO()
    Image.new("RGBA", (8, 8), (0, 0, 0, 0)).save(out, "PNG")
    assert near(opened(await media.photo(out.getvalue())).getpixel((4, 4)), (255, 255, 255))


def bomb(side: int) -> bytes:
    """A PNG of few bytes that would fill the memory."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        check = zlib.crc32(kind + content)
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", check)

    header = struct.pack(">2I5B", side, side, 1, 0, 0, 0, 0)
    rows = zlib.compress(bytes((side // 8 + 1) * side), 9)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")
    )


def animation() -> bytes:
    out = BytesIO()
    Image.new("P", (8, 8)).save(out, "GIF")
    return out.getvalue()


@pytest.mark.parametrize(
    "raw",
    [
        b"", NOISE, PAGE, b"\xff\xd8\xff\xe0" + NOISE[:500], bomb(8000),
        bomb(12_000), animation(), sounds.photo()[:400], b"%PDF-1.7 ...", b"<svg/>",
        bytes(MAX_MEDIUM + 1),
    ],
    ids=[
        "nothing", "noise", "a page", "a broken picture", "a bomb", "a greater bomb", "a gif",
        "half a picture", "a pdf", "a drawing", "too much",
    ],
)  # fmt: skip
async def test_what_is_no_photo_is_refused(raw: bytes) -> None:
    with pytest.raises(Unusable):
        await media.photo(raw)


def progressive(size: tuple[int, int], again: int = 0) -> bytes:
    """A JPEG that comes in several scans, the last of them some times more."""
    out = BytesIO()
    Image.new("L", size).save(out, "JPEG", progressive=True)
    raw = out.getvalue()
    end = raw.rindex(b"\xff\xd9")
    last = raw[raw.rindex(b"\xff\xc4", 0, end) : end]  # with the table that it needs
    return raw[:end] + last * again + raw[end:]


async def test_a_photo_that_comes_in_several_scans_is_opened() -> None:
    assert opened(await media.photo(progressive((60, 40)))).size == (60, 40)
    assert opened(await media.photo(progressive((60, 40), again=20))).size == (60, 40)


async def test_few_bytes_that_are_worked_on_for_minutes_are_refused() -> None:
    with pytest.raises(Unusable):
        await media.photo(progressive((60, 40), again=200))


async def test_what_must_be_whole_in_memory_may_be_less_large(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(media, "MAX_DECODED", 4_000_000)
    assert opened(await media.photo(sounds.photo(size=(4000, 3000)))).size == (1600, 1200)
    with pytest.raises(Unusable):
        await media.photo(progressive((4000, 3000)))


def test_a_photo_is_known_by_its_first_bytes() -> None:
    assert all(media.is_photo(sounds.photo(kind)) for kind in ("JPEG", "PNG", "WEBP"))
    assert not any(media.is_photo(raw) for raw in (b"", PAGE, sounds.voice("wav"), animation()))


# --- voices --------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", sounds.FORMATS)
async def test_a_voice_of_any_kind_becomes_opus_and_says_nothing_of_itself(kind: str) -> None:
    made = await media.voice(sounds.voice(kind))
    assert sounds.stream(made) == "opus,48000,1"
    assert 0.9 < sounds.seconds(made) < 1.2
    for trace in (sounds.TOLD.encode(), sounds.MODEL.encode(), b"Temenuzhka", b"TITLE", b"title"):
        assert trace not in made
    assert sounds.tags(made) == "Lavc libopus"


async def test_the_voice_of_an_old_phone_is_heard_too() -> None:
    frames = (b"\x3c" + bytes(31)) * 50  # AMR, of 20 ms each
    made = await media.voice(b"#!AMR\n" + frames)
    assert sounds.stream(made) == "opus,48000,1"
    assert 0.9 < sounds.seconds(made) < 1.2


def test_the_files_that_these_tests_send_do_say_something() -> None:
    for kind in sounds.FORMATS.keys() - {"aac"}:
        assert sounds.TOLD.encode() in sounds.voice(kind), kind


async def test_the_same_voice_made_twice_is_the_same_so_that_nothing_tells_when() -> None:
    raw = sounds.voice("m4a")
    assert await media.voice(raw) == await media.voice(raw)


async def test_for_who_plays_no_opus_there_is_an_mp3_that_says_nothing_either() -> None:
    made = await media.as_mp3(await media.voice(sounds.voice("m4a")))
    assert sounds.stream(made) == "mp3,48000,1"
    assert 0.9 < sounds.seconds(made) < 1.2
    for trace in (b"ID3", b"TAG", b"Xing", b"Lavf", sounds.TOLD.encode()):
        assert trace not in made


async def test_what_follows_five_minutes_is_cut_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(media, "VOICE_SECONDS", 1)
    assert sounds.seconds(await media.voice(sounds.voice("m4a", 3))) < 1.1


@pytest.mark.parametrize(
    "raw",
    [
        b"", NOISE, PAGE, sounds.photo(), b"OggS" + NOISE[:900],
        b"\x1aE\xdf\xa3" + NOISE[:900], b"#EXTM3U\n#EXTINF:9,\nfile:///etc/passwd\n",
        b"ffconcat version 1.0\nfile /etc/passwd\n", b"\x00\x00\x00\x18ftypM4A " + bytes(99),
        bytes(MAX_MEDIUM + 1),
    ],
    ids=[
        "nothing", "noise", "a page", "a photo", "broken ogg", "broken webm", "a playlist",
        "a list of files", "an empty m4a", "too much",
    ],
)  # fmt: skip
async def test_what_is_no_voice_is_refused(raw: bytes) -> None:
    with pytest.raises(Unusable):
        await media.voice(raw)


async def test_without_ffmpeg_sound_is_refused_and_photos_are_not(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    raw = sounds.voice()
    assert media.hears()
    monkeypatch.setenv("PATH", str(tmp_path))
    assert not media.hears()
    for make in (media.voice, media.as_mp3):
        with pytest.raises(NoTools):
            await make(raw)
    assert await media.photo(sounds.photo())


# --- the tool ------------------------------------------------------------------------------------


@pytest.fixture
def slow(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A tool that never ends, and leaves a folder with its number, since it may write no file."""
    tool, known = tmp_path / "ffmpeg", tmp_path / "pids"
    known.mkdir()
    folder, sleep = shutil.which("mkdir"), shutil.which("sleep")
    tool.write_text(f"#!/bin/sh\n{folder} {known}/$$\nexec {sleep} 60\n")
    tool.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    return known


def pids(known: Path) -> list[int]:
    return [int(each.name) for each in known.iterdir()]


def alive(pid: int) -> bool:
    return Path(f"/proc/{pid}").exists()


async def test_a_voice_that_nobody_waits_for_ends_its_tool(slow: Path) -> None:
    raw = b"OggS" + bytes(99)
    making = asyncio.create_task(media.voice(raw))
    assert await eventually(lambda: len(pids(slow)) == 1)
    making.cancel()
    with pytest.raises(asyncio.CancelledError):
        await making
    assert not alive(pids(slow)[0])


async def test_a_tool_that_takes_too_long_is_ended(
    slow: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(media, "TIME_OUT", 0.3)
    with pytest.raises(Unusable):
        await media.voice(b"OggS" + bytes(99))
    assert not any(map(alive, pids(slow)))


async def test_no_more_than_two_are_made_at_once(slow: Path) -> None:
    making = [asyncio.create_task(media.voice(b"OggS" + bytes(99))) for _ in range(4)]
    assert await eventually(lambda: len(pids(slow)) == 2)
    await asyncio.sleep(0.2)  # that nothing more comes can only be waited for
    assert len(pids(slow)) == 2
    for each in making:
        each.cancel()
    await asyncio.gather(*making, return_exceptions=True)
    assert not any(map(alive, pids(slow)))


async def test_the_tool_may_fill_neither_memory_nor_disk(slow: Path) -> None:
    making = asyncio.create_task(media.voice(b"OggS" + bytes(99)))
    limits = "/proc/{}/limits"

    def held() -> bool:
        known = pids(slow)
        told = Path(limits.format(known[0])).read_text() if known else ""
        lines = {line[:26].strip(): line[26:].split()[0] for line in told.splitlines()[1:]}
        return (
            lines.get("Max file size") == "0"
            and lines.get("Max core file size") == "0"
            and lines.get("Max address space") == str(2 << 30)
        )

    assert await eventually(held)
    making.cancel()
    await asyncio.gather(making, return_exceptions=True)
