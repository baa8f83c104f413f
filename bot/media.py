"""What is left of a photo or a voice: the picture and the sound, and nothing about them.

Whatever comes in is decoded and made anew, so that no place, no time, no name of a device and
no hidden part of the file goes on. What cannot be decoded is refused.
"""

from __future__ import annotations


class Unusable(Exception):
    """This is no photo or voice that we can open."""


class NoTools(Exception):
    """ffmpeg is not installed: sound cannot be made anew, so none is taken or sent."""


async def photo(raw: bytes) -> bytes:
    """A JPEG of at most 1,600 pixels a side, without metadata. Raises `Unusable`."""
    raise Unusable


async def voice(raw: bytes) -> bytes:
    """Ogg with Opus, one channel, at most five minutes, without metadata.

    Raises `Unusable` or `NoTools`.
    """
    raise NoTools


async def as_mp3(voice: bytes) -> bytes:
    """The same sound where Opus is not played. Raises `Unusable` or `NoTools`."""
    raise NoTools
