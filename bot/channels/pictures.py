"""The pictures of the window: each is uploaded once, and then shown by the platform's own id."""

from __future__ import annotations

import asyncio
import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from bot.channels.base import Refused
from bot.tasks import Tasks


class MediaIds(Protocol):
    """The platform's ids of our own pictures, kept across restarts."""

    async def get(self, channel: str, digest: str) -> str | None:
        """The id under which a picture was uploaded; `digest` is the SHA-256 of its content."""
        ...

    async def put(self, channel: str, digest: str, media_id: str) -> None:
        """Keep an id, in place of an older one."""
        ...


@dataclass(frozen=True, slots=True)
class Picture:
    """One PNG, and the digest that names it."""

    digest: str
    content: bytes


class Pictures:
    """`<name>.png` of one folder, read once."""

    def __init__(self, channel: str, folder: Path, ids: MediaIds, fallback: str) -> None:
        """`fallback` names the picture that is shown where one is missing."""
        self._channel, self._folder, self._ids = channel, folder, ids
        self._fallback = fallback
        self._read: dict[str, Picture] = {}
        self._known: dict[str, str] = {}
        self._keeping = Tasks()

    async def named(self, name: str | None) -> Picture:
        """The picture of that name, or the fallback. Raises `Refused`."""
        for each in (name, self._fallback):
            if each is None:
                continue
            if each not in self._read and (picture := await self._load(each)):
                self._read[each] = picture
            if each in self._read:
                return self._read[each]
        raise Refused

    async def media_id(self, picture: Picture) -> str | None:
        """The platform's id of a picture, if it was uploaded before."""
        if picture.digest not in self._known:
            try:
                media_id = await self._ids.get(self._channel, picture.digest)
            except Exception:  # a store out of order must not cost her the window
                return None
            if media_id is not None:
                self._known[picture.digest] = media_id
        return self._known.get(picture.digest)

    def keep(self, picture: Picture, media_id: str) -> None:
        """Remember the id that the platform gave; nothing is written when it is known."""
        if self._known.get(picture.digest) == media_id:
            return
        self._known[picture.digest] = media_id
        self._keeping.spawn(self._store(picture, media_id))  # no window waits for it

    async def kept(self) -> None:
        """Return when every id is stored, or cannot be."""
        await self._keeping.finish()

    async def _store(self, picture: Picture, media_id: str) -> None:
        try:
            await self._ids.put(self._channel, picture.digest, media_id)
        except Exception:  # it is uploaded again after the next start
            return

    async def _load(self, name: str) -> Picture | None:
        try:
            content = await asyncio.to_thread((self._folder / f"{name}.png").read_bytes)
        except OSError:
            return None
        return Picture(hashlib.sha256(content).hexdigest(), content)
