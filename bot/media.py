"""What is left of a photo or a voice: the picture and the sound, and nothing about them.

Whatever comes in is decoded and made anew, so that no place, no time, no name of a device and
no hidden part of the file goes on. What cannot be decoded is refused. Nothing touches a disk.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import resource
import shutil
from asyncio.subprocess import DEVNULL, PIPE
from collections.abc import Iterator
from io import BytesIO
from weakref import WeakKeyDictionary

from PIL import Image, ImageOps

from bot.channels.base import MAX_MEDIUM

SIDE = 1600
"""Pixels of the longer side of a photo: a letter can be read on it."""
MAX_PIXELS = 64_000_000
"""Of a picture as it comes: the largest that phones make within `MAX_MEDIUM`."""
MAX_DECODED = 16_000_000
"""Of a picture in memory. A large JPEG is made smaller while it is decoded; others are not, nor
is a progressive one."""
MAX_SCANS = 100
"""Of a progressive JPEG, which has ten. Each goes over the whole picture and needs few bytes."""
QUALITY = 85
VOICE_SECONDS = 300
VOICE_BITS, MP3_BITS = "32k", "64k"
AT_ONCE = 2
TIME_OUT = 60.0
"""Seconds for one voice; five minutes of sound take about three."""

_RATE = 48_000
_TOOL = "ffmpeg"
_JPEG, _SCAN = b"\xff\xd8\xff", b"\xff\xda"
_LIMITS = {
    resource.RLIMIT_CPU: 60,
    resource.RLIMIT_AS: 2 << 30,
    resource.RLIMIT_FSIZE: 0,  # it writes to a pipe, and to no file
    resource.RLIMIT_CORE: 0,
}
_CODECS = "opus,libopus,vorbis,aac,mp3float,mp3,amrnb,amrwb,pcm_s16le,flac,alac"
_turns: WeakKeyDictionary[asyncio.AbstractEventLoop, asyncio.Semaphore] = WeakKeyDictionary()


class Unusable(Exception):
    """This is no photo or voice that we can open."""


class NoTools(Exception):
    """ffmpeg is not installed: sound cannot be made anew, so none is taken or sent."""


def hears() -> bool:
    """Whether voices can be taken and sent on this machine."""
    return shutil.which(_TOOL) is not None


def is_photo(raw: bytes) -> bool:
    """Whether this says of itself that it is a picture of a kind that we open."""
    webp = raw.startswith(b"RIFF") and raw[8:12] == b"WEBP"
    return webp or raw.startswith((_JPEG, b"\x89PNG\r\n\x1a\n"))


async def photo(raw: bytes) -> bytes:
    """A JPEG of at most 1,600 pixels a side, without metadata. Raises `Unusable`."""
    _check_size(raw)
    async with _turn():
        return await asyncio.to_thread(_drawn_anew, raw)


async def voice(raw: bytes) -> bytes:
    """Ogg with Opus, one channel, without metadata; what follows five minutes is cut off.

    Raises `Unusable` or `NoTools`.
    """
    opus = ("-c:a", "libopus", "-application", "voip", "-b:a", VOICE_BITS, "-f", "ogg")
    made = await _spoken_anew(raw, opus)
    if not _lasts(made):
        raise Unusable
    return made


async def as_mp3(voice: bytes) -> bytes:
    """The same sound where Opus is not played. Raises `Unusable` or `NoTools`."""
    mp3 = ("-c:a", "libmp3lame", "-b:a", MP3_BITS, "-f", "mp3")
    return await _spoken_anew(voice, (*mp3, "-id3v2_version", "0", "-write_xing", "0"))


def _check_size(raw: bytes) -> None:
    if not 0 < len(raw) <= MAX_MEDIUM:
        raise Unusable


def _turn() -> asyncio.Semaphore:
    """What keeps a crowd of large files from filling the memory."""
    return _turns.setdefault(asyncio.get_running_loop(), asyncio.Semaphore(AT_ONCE))


# --- photos --------------------------------------------------------------------------------------


def _drawn_anew(raw: bytes) -> bytes:
    try:
        return _drawn(raw)
    except Exception:  # whatever a broken file does to its decoder; the cause may hold parts of it
        raise Unusable from None


def _drawn(raw: bytes) -> bytes:
    if raw.startswith(_JPEG) and raw.count(_SCAN) > MAX_SCANS:
        raise Unusable
    with Image.open(BytesIO(raw), formats=("JPEG", "PNG", "WEBP")) as image:
        _check_pixels(image, MAX_DECODED if image.info.get("progressive") else MAX_PIXELS)
        (wide, high), longest = image.size, max(*image.size, SIDE)
        image.draft("RGB", (wide * SIDE // longest, high * SIDE // longest))  # decoded smaller
        _check_pixels(image, MAX_DECODED)
        image.thumbnail((SIDE, SIDE))  # first: what comes after it is a copy
        upright = ImageOps.exif_transpose(image)
    seen = Image.new("RGB", upright.size, "white")  # a new picture: it has no metadata
    if upright.has_transparency_data:
        upright = upright.convert("RGBA")
        seen.paste(upright, mask=upright)
    else:
        seen.paste(upright.convert("RGB"))
    out = BytesIO()
    seen.save(out, "JPEG", quality=QUALITY)
    return out.getvalue()


def _check_pixels(image: Image.Image, most: int) -> None:
    if image.width * image.height > most:
        raise Unusable


# --- voices --------------------------------------------------------------------------------------


def _container(raw: bytes) -> str:
    """ffmpeg's name for what this is. It is never left to guess: playlists name other files."""
    if raw.startswith(b"\x1aE\xdf\xa3"):
        return "matroska"
    if raw.startswith(b"OggS"):
        return "ogg"
    if raw[4:8] == b"ftyp":
        return "mov"
    if raw.startswith(b"#!AMR"):
        return "amr"
    if raw.startswith(b"RIFF") and raw[8:12] == b"WAVE":
        return "wav"
    if raw.startswith(b"ID3"):
        return "mp3"
    if raw[:1] == b"\xff" and len(raw) > 1 and raw[1] & 0xE0 == 0xE0:
        return "mp3" if raw[1] & 0x06 else "aac"
    raise Unusable


async def _spoken_anew(raw: bytes, into: tuple[str, ...]) -> bytes:
    _check_size(raw)
    kind = _container(raw)
    tool = shutil.which(_TOOL)
    if tool is None:
        raise NoTools
    command = (
        *(tool, "-nostdin", "-hide_banner", "-loglevel", "quiet", "-threads", "1"),
        *("-protocol_whitelist", "file", "-codec_whitelist", _CODECS, "-f", kind),
        *("-i", "/dev/stdin", "-map", "0:a:0", "-map_metadata", "-1", "-map_chapters", "-1"),
        *("-t", str(VOICE_SECONDS), "-ac", "1", "-ar", str(_RATE)),
        *("-fflags", "+bitexact", "-flags:a", "+bitexact", *into, "pipe:1"),
    )
    async with _turn():
        return await _run(command, raw)


async def _run(command: tuple[str, ...], raw: bytes) -> bytes:
    """What the tool makes of it. However this ends, the tool has ended, too."""
    with _in_memory(raw) as given:
        try:
            tool = await asyncio.create_subprocess_exec(
                *command, stdin=given, stdout=PIPE, stderr=DEVNULL, env={}
            )
        except OSError:
            raise NoTools from None
        try:
            async with asyncio.timeout(TIME_OUT):
                with contextlib.suppress(ProcessLookupError, PermissionError):
                    for limit, most in _LIMITS.items():
                        resource.prlimit(tool.pid, limit, (most, most))
                made, _ = await tool.communicate()
        except TimeoutError:
            raise Unusable from None
        finally:
            if tool.returncode is None:
                with contextlib.suppress(ProcessLookupError):
                    tool.kill()
                await tool.wait()
    if tool.returncode != 0 or not made:
        raise Unusable
    return made


@contextlib.contextmanager
def _in_memory(raw: bytes) -> Iterator[int]:
    """A file without a disk: an MP4 whose index stands at its end cannot be read from a pipe."""
    given = os.memfd_create("voice")
    try:
        with os.fdopen(os.dup(given), "wb") as file:
            file.write(raw)
        os.lseek(given, 0, os.SEEK_SET)
        yield given
    finally:
        os.close(given)


def _lasts(ogg: bytes) -> bool:
    """Whether there is any sound in it: the last page says how many samples there were."""
    last = ogg.rfind(b"OggS")
    return last >= 0 and int.from_bytes(ogg[last + 6 : last + 14], "little", signed=True) > 0
