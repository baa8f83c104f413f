"""Addresses of our own that say nothing: a position on our page, a picture, a consultant's voice.

A page's address holds its position sealed, for minutes; a picture's name is a keyed fingerprint
that changes every hour: nothing is stored for them. A voice lies in the database for the minutes
in which a platform or her page fetches it, from whichever process; it is named by a fingerprint
as well.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Protocol

from bot.privacy.vault import Vault, VaultError
from dialogs import payload
from dialogs.model import Position

PAGE_MINUTES = 10
"""How long the address of a page opens it."""
MEDIA_HOURS = 1
"""How long after its hour a medium's address still gives it."""
LENT_MINUTES = 10
"""How long a voice can be fetched."""
PAGE, MEDIA = "/r/", "/m/"
_CODE = re.compile(r"[A-Za-z0-9_-]*")
_LENT = re.compile(r"[0-9a-f]{32}\.(ogg|mp3)")
_KINDS = {
    ".png": "image/png",
    ".mp3": "audio/mpeg",
    ".m4a": "audio/mp4",
    ".ogg": "audio/ogg",
}
_PLACE = ("links", "page", "position")


@dataclass(frozen=True, slots=True)
class Medium:
    """One file of ours, as a platform fetches it."""

    path: Path
    mime: str


@dataclass(frozen=True, slots=True)
class Lent:
    """A voice that can be fetched now, by whoever was given its address."""

    content: bytes = field(repr=False)
    mime: str


class Lies(Protocol):
    """A voice as the store keeps it."""

    @property
    def content(self) -> bytes: ...


class Voices(Protocol):
    """The store's part of it; see `bot.storage.lent`."""

    async def lend(
        self, name: str, channel: str, address: str, content: bytes, until: datetime
    ) -> bool: ...

    async def lend_beside(self, lies: str, name: str, content: bytes) -> None: ...

    async def lent(self, name: str) -> Lies | None: ...


class Links:
    """Makes the addresses, and knows its own again."""

    def __init__(
        self,
        vault: Vault,
        base: str,
        folders: tuple[Path, ...],
        now: Callable[[], datetime],
        voices: Voices | None = None,
    ) -> None:
        """`base` is where people reach us; `folders` hold the pictures and the audio clips.

        Without `voices` none can be lent.
        """
        self._vault, self._base, self._now, self._voices = vault, base, now, voices
        self._media = {
            path.name: Medium(path, _KINDS[path.suffix])
            for folder in folders
            for path in sorted(folder.glob("*"))
            if path.suffix in _KINDS
        }

    # --- a page of ours ------------------------------------------------------------------------

    def page(self, position: Position) -> str:
        """The address that opens our page at a position, once and again within ten minutes."""
        packed = payload.pack(position, self._now()).ljust(payload.MAX_BYTES).encode()
        sealed = self._vault.seal("page", *_PLACE, packed)
        return f"{self._base}{PAGE}{base64.urlsafe_b64encode(sealed).decode().rstrip('=')}"

    def position(self, code: str) -> Position | None:
        """Where the address of a page leads, or None once it is too old, or was never ours."""
        packed = self._opened(code)
        made = payload.stamp(packed)
        if made is None or not timedelta(0) <= self._now() - made < timedelta(minutes=PAGE_MINUTES):
            return None
        return payload.unpack(packed)

    def is_page(self, text: str) -> bool:
        """Whether this is such an address, whole: so a platform tells us that she opened it."""
        prefix = f"{self._base}{PAGE}"
        return text.startswith(prefix) and _CODE.fullmatch(text, len(prefix)) is not None

    def language_of(self, url: str) -> str | None:
        """The language of the page that an address opened, however old."""
        position = payload.unpack(self._opened(url.removeprefix(f"{self._base}{PAGE}")))
        return position.language if position is not None else None

    def _opened(self, code: str) -> str:
        try:
            sealed = base64.b64decode(code + "=" * (-len(code) % 4), altchars=b"-_", validate=True)
            return self._vault.unseal("page", *_PLACE, sealed).decode().strip()
        except (VaultError, ValueError, binascii.Error):
            return ""

    # --- pictures and clips --------------------------------------------------------------------

    def medium(self, name: str) -> str | None:
        """The address of a file, such as `order.png`, for this hour; None where there is none."""
        if name not in self._media:
            return None
        return f"{self._base}{MEDIA}{self._code(name, self._hour())}{Path(name).suffix}"

    def size(self, name: str) -> int:
        """The bytes of a file of ours."""
        return self._media[name].path.stat().st_size

    # --- voices --------------------------------------------------------------------------------

    async def lend(self, channel: str, address: str, content: bytes, suffix: str) -> str | None:
        """The address under which her voice can be fetched for some minutes; again, the same.

        None where she has no case any more.
        """
        said = self._vault.mac("voice", channel, address, hashlib.sha256(content).hexdigest())
        file = f"{said.hex()[:32]}{suffix}"
        until = self._now() + timedelta(minutes=LENT_MINUTES)
        if self._voices and await self._voices.lend(file, channel, address, content, until):
            return f"{self._base}{MEDIA}{file}"
        return None

    async def lay_beside(self, lies: str, file: str, content: bytes) -> None:
        """The same voice in another kind, for as long as that one can be fetched."""
        if self._voices:
            await self._voices.lend_beside(lies, file, content)

    # --- what an address gives -----------------------------------------------------------------

    async def find(self, file: str) -> Medium | Lent | None:
        """The file or voice behind the last part of an address, while that is not too old."""
        return self._medium_of(file) or await self._voice_of(file)

    async def _voice_of(self, file: str) -> Lent | None:
        if self._voices is None or _LENT.fullmatch(file) is None:
            return None
        lies = await self._voices.lent(file)
        return None if lies is None else Lent(lies.content, _KINDS[Path(file).suffix])

    def _medium_of(self, file: str) -> Medium | None:
        hours = range(self._hour() - MEDIA_HOURS, self._hour() + 1)
        for name, medium in self._media.items():
            if any(file == f"{self._code(name, hour)}{medium.path.suffix}" for hour in hours):
                return medium
        return None

    def _hour(self) -> int:
        return int(self._now().timestamp()) // 3600

    def _code(self, name: str, hour: int) -> str:
        return self._vault.mac("media", name, str(hour)).hex()[:32]
