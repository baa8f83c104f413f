"""Addresses of our own that say nothing: a position on our page, a picture, a consultant's voice.

Nothing is stored for them. A page's address holds its position sealed, for minutes; a
picture's name is a keyed fingerprint that changes every hour. A voice lies here in memory for
the minutes in which a platform or her page fetches it, and is named by a fingerprint as well.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path

from bot.privacy.vault import Vault, VaultError
from dialogs import payload
from dialogs.model import Position

PAGE_MINUTES = 10
"""How long the address of a page opens it."""
MEDIA_HOURS = 1
"""How long after its hour a medium's address still gives it."""
LENT_MINUTES = 10
"""How long a voice can be fetched."""
LENT_BYTES = 64 * 1024 * 1024
"""Of all voices that lie here; the oldest go first."""
PAGE, MEDIA = "/r/", "/m/"
_CODE = re.compile(r"[A-Za-z0-9_-]*")
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
    """A voice that lies here until then, for whoever was given its address."""

    content: bytes = field(repr=False)
    mime: str
    until: datetime


class Links:
    """Makes the addresses, and knows its own again."""

    def __init__(
        self, vault: Vault, base: str, folders: tuple[Path, ...], now: Callable[[], datetime]
    ) -> None:
        """`base` is where people reach us; `folders` hold the pictures and the audio clips."""
        self._vault, self._base, self._now = vault, base, now
        self._media = {
            path.name: Medium(path, _KINDS[path.suffix])
            for folder in folders
            for path in sorted(folder.glob("*"))
            if path.suffix in _KINDS
        }
        self._lent: OrderedDict[str, Lent] = OrderedDict()

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

    def lend(self, content: bytes, suffix: str) -> str:
        """The address under which this can be fetched for some minutes; lent again, the same."""
        now = self._now()
        file = self._file(content, suffix)
        until = now + timedelta(minutes=LENT_MINUTES)
        self._lay(file, Lent(content, _KINDS[suffix], until))
        return f"{self._base}{MEDIA}{file}"

    def lay_beside(self, lent: Lent, file: str, content: bytes) -> None:
        """The same voice in another kind, for as long as that one lies here."""
        self._lay(file, Lent(content, _KINDS[Path(file).suffix], lent.until))

    def _lay(self, file: str, lent: Lent) -> None:
        self._forget_old(self._now())
        self._lent[file] = lent
        self._lent.move_to_end(file)
        while sum(len(each.content) for each in self._lent.values()) > LENT_BYTES:
            self._lent.popitem(last=False)

    def _file(self, content: bytes, suffix: str) -> str:
        return f"{self._code(hashlib.sha256(content).hexdigest(), 0)}{suffix}"

    def _forget_old(self, now: datetime) -> None:
        for file in [file for file, each in self._lent.items() if each.until <= now]:
            del self._lent[file]

    # --- what an address gives -----------------------------------------------------------------

    def find(self, file: str) -> Medium | Lent | None:
        """The file or voice behind the last part of an address, while that is not too old."""
        self._forget_old(self._now())
        if (lent := self._lent.get(file)) is not None:
            return lent
        hours = range(self._hour() - MEDIA_HOURS, self._hour() + 1)
        for name, medium in self._media.items():
            if any(file == f"{self._code(name, hour)}{medium.path.suffix}" for hour in hours):
                return medium
        return None

    def _hour(self) -> int:
        return int(self._now().timestamp()) // 3600

    def _code(self, name: str, hour: int) -> str:
        return self._vault.mac("media", name, str(hour)).hex()[:32]
