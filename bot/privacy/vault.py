"""Keys and sealing: whoever has the database alone reads nothing of a woman in it.

The master key stands in a file of its own; a sub-key for each purpose is derived from it.
The text of a case is sealed under the case's key, and that key is wrapped under a random key of
the day, in a file beside the master key. Once the day's file is destroyed, neither the master
key nor any copy of the database opens the text again.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import os
import re
import stat
from contextlib import suppress
from datetime import date
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

KEY_BYTES = 32
NONCE_BYTES = 12
STEP = 256
"""A sealed text's length is padded to a multiple of this, so that it tells little."""
FORMAT = b"\x01"
"""First byte of everything sealed: says how it was sealed."""

DayKey = str
"""A day's key by name: `2026-11-22`, or `2026-11-22.1` where it was replaced that day."""

_NAME = re.compile(r"(\d{4}-\d{2}-\d{2})(?:\.(\d+))?")


class VaultError(Exception):
    """The vault refused; its text is one sentence for the operator, without any value."""


class Tampered(VaultError):
    """A sealed value does not belong where it stands, or was changed."""

    def __init__(self) -> None:
        super().__init__(type(self).__doc__)


class KeyDestroyed(VaultError):
    """The key of that day was destroyed: nobody can open this text any more."""

    def __init__(self) -> None:
        super().__init__(type(self).__doc__)


class Vault:
    """Seals and opens values, finds addresses again, and destroys the key of a day."""

    def __init__(self, master: bytes, days_folder: Path) -> None:
        if len(master) != KEY_BYTES:
            raise VaultError("The master key must be 32 bytes long.")
        self._master = master
        self._days = days_folder
        self._subkeys: dict[str, bytes] = {}

    @classmethod
    def open(cls, key_file: Path, create: bool = False, days_folder: Path | None = None) -> Vault:
        """Read the master key; with `create`, make it where there is none.

        The days' keys stand in `days_folder`, or in `days/` beside the file.
        """
        days = days_folder or key_file.parent / "days"
        _make_folder(key_file.parent, create)
        if create and not key_file.exists():
            _write_new(key_file, base64.b64encode(os.urandom(KEY_BYTES)) + b"\n")
        master = _read_master(key_file)
        _make_folder(days, True)
        return cls(master, days)

    # --- values under the master key ---------------------------------------------------------

    def seal(self, purpose: str, table: str, column: str, row: str, plaintext: bytes) -> bytes:
        """Seal a value for exactly one place of the database."""
        return _seal(self._subkey(f"seal {purpose}"), _place(table, column, row), plaintext)

    def unseal(self, purpose: str, table: str, column: str, row: str, sealed: bytes) -> bytes:
        """Open a sealed value; `Tampered` if it was sealed for another place."""
        return _unseal(self._subkey(f"seal {purpose}"), _place(table, column, row), sealed)

    def mac(self, purpose: str, *parts: str) -> bytes:
        """A keyed fingerprint: the same parts give the same 32 bytes, which say nothing."""
        message = b"".join(_with_length(part.encode()) for part in parts)
        return hmac.digest(self._subkey(f"mac {purpose}"), message, hashlib.sha256)

    def blind_index(self, channel: str, address: str) -> bytes:
        """By which a sealed address is found again."""
        return self.mac("address", channel, address)

    # --- the text of a case ------------------------------------------------------------------

    def new_case_key(self, day: date, case_id: str) -> tuple[DayKey, bytes]:
        """A fresh key for a case, wrapped under the newest key of that day."""
        return self.wrap(os.urandom(KEY_BYTES), self.day_key(day), case_id)

    def wrap(self, case_key: bytes, name: DayKey, case_id: str) -> tuple[DayKey, bytes]:
        """Wrap a case's key under the day's key of that name."""
        return name, _seal(self._wrapping_key(name), _place("cases", "key", case_id), case_key)

    def unwrap(self, wrapped: bytes, name: DayKey, case_id: str) -> bytes:
        """The case's key; `KeyDestroyed` once the day's key is gone."""
        return _unseal(self._wrapping_key(name), _place("cases", "key", case_id), wrapped)

    def rewrap(
        self, wrapped: bytes, name: DayKey, to: DayKey, case_id: str
    ) -> tuple[DayKey, bytes]:
        """The same case key under another day's key."""
        return self.wrap(self.unwrap(wrapped, name, case_id), to, case_id)

    def seal_text(self, case_key: bytes, table: str, column: str, row: str, text: str) -> bytes:
        """Seal a text of a case for exactly one place, padded to steps of 256 bytes."""
        return self.seal_bytes(case_key, table, column, row, text.encode())

    def unseal_text(self, case_key: bytes, table: str, column: str, row: str, sealed: bytes) -> str:
        """Open a text of a case; `Tampered` if it was sealed for another place."""
        return self.unseal_bytes(case_key, table, column, row, sealed).decode()

    def seal_bytes(self, case_key: bytes, table: str, column: str, row: str, plain: bytes) -> bytes:
        """Like `seal_text`, for a photo or a voice of a case."""
        return _seal(case_key, _place(table, column, row), _pad(plain))

    def unseal_bytes(
        self, case_key: bytes, table: str, column: str, row: str, sealed: bytes
    ) -> bytes:
        """Like `unseal_text`, for a photo or a voice of a case."""
        return _unpad(_unseal(case_key, _place(table, column, row), sealed))

    # --- the keys of the days ----------------------------------------------------------------

    def day_key(self, day: date) -> DayKey:
        """The newest key of that day, made at the first call. It is on the disk on return."""
        names = [name for name in self.day_keys() if day_of(name) == day]
        return names[-1] if names else self._make_day_key(day.isoformat())

    def replace_day_key(self, day: date) -> DayKey:
        """A new newest key for that day, so that the older one can be destroyed early."""
        names = [name for name in self.day_keys() if day_of(name) == day]
        last = _order(names[-1])[1] if names else -1
        return self._make_day_key(f"{day.isoformat()}.{last + 1}" if names else day.isoformat())

    def day_keys(self) -> list[DayKey]:
        """All keys that still exist, oldest first."""
        names = [path.name.removesuffix(".key") for path in self._days.glob("*.key")]
        return sorted((name for name in names if _NAME.fullmatch(name)), key=_order)

    def destroy(self, name: DayKey) -> None:
        """Overwrite and remove one key; twice is no error."""
        path = self._day_file(name)
        if not path.exists():
            return
        path.chmod(stat.S_IRUSR | stat.S_IWUSR)
        with path.open("r+b") as file:
            file.write(os.urandom(path.stat().st_size))
            file.flush()
            os.fsync(file.fileno())
        path.unlink(missing_ok=True)
        _sync_folder(self._days)

    def destroy_day(self, day: date) -> int:
        """Destroy every key of that day; returns how many there were."""
        names = [name for name in self.day_keys() if day_of(name) == day]
        for name in names:
            self.destroy(name)
        return len(names)

    def _make_day_key(self, name: DayKey) -> DayKey:
        _make_folder(self._days, True)
        _write_new(self._day_file(name), os.urandom(KEY_BYTES))
        return name

    def _day_file(self, name: DayKey) -> Path:
        if not _NAME.fullmatch(name):
            raise Tampered
        return self._days / f"{name}.key"

    def _wrapping_key(self, name: DayKey) -> bytes:
        # Read anew each time: a key that another task destroyed must not live on in memory.
        try:
            key = self._day_file(name).read_bytes()
        except FileNotFoundError:
            raise KeyDestroyed from None
        if len(key) != KEY_BYTES:
            raise KeyDestroyed
        return _derive(key, self._subkey("day"), f"phen day {name}")

    def _subkey(self, purpose: str) -> bytes:
        if purpose not in self._subkeys:
            self._subkeys[purpose] = _derive(self._master, None, f"phen {purpose}")
        return self._subkeys[purpose]


def day_of(name: DayKey) -> date:
    """The day that a key belongs to."""
    return date.fromisoformat(name[:10])


def _order(name: DayKey) -> tuple[str, int]:
    day, _, count = name.partition(".")
    return day, int(count or 0)


def _derive(key: bytes, salt: bytes | None, info: str) -> bytes:
    return HKDF(algorithm=SHA256(), length=KEY_BYTES, salt=salt, info=info.encode()).derive(key)


def _seal(key: bytes, place: bytes, plaintext: bytes) -> bytes:
    nonce = os.urandom(NONCE_BYTES)
    return FORMAT + nonce + AESGCM(key).encrypt(nonce, plaintext, place)


def _unseal(key: bytes, place: bytes, sealed: bytes) -> bytes:
    nonce, body = sealed[1 : 1 + NONCE_BYTES], sealed[1 + NONCE_BYTES :]
    if sealed[:1] != FORMAT or len(nonce) != NONCE_BYTES:
        raise Tampered
    try:
        return AESGCM(key).decrypt(nonce, body, place)
    except InvalidTag:
        raise Tampered from None


def _place(table: str, column: str, row: str) -> bytes:
    return f"{table}\0{column}\0{row}".encode()


def _with_length(part: bytes) -> bytes:
    return len(part).to_bytes(4) + part


def _pad(plain: bytes) -> bytes:
    framed = _with_length(plain)
    return framed + bytes(-len(framed) % STEP)


def _unpad(padded: bytes) -> bytes:
    length = int.from_bytes(padded[:4])
    return padded[4 : 4 + length]


# --- files -----------------------------------------------------------------------------------


def _read_master(path: Path) -> bytes:
    try:
        mode = path.stat().st_mode
        content = path.read_bytes()
    except FileNotFoundError:
        raise VaultError(
            "The master key file is missing; restore it, or begin a new line with `phen migrate`."
        ) from None
    except OSError:
        raise VaultError("The master key file cannot be read; check who owns it.") from None
    if mode & (stat.S_IRWXG | stat.S_IRWXO):
        raise VaultError("The master key file is open to others; run chmod 400 on it.")
    try:
        master = base64.b64decode(content.strip(), validate=True)
    except binascii.Error:
        raise VaultError("The master key file does not hold base64; restore it.") from None
    if len(master) != KEY_BYTES:
        raise VaultError("The master key file does not hold 32 bytes; restore it.")
    return master


def _make_folder(folder: Path, create: bool) -> None:
    if not create:
        return
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    except OSError:
        raise VaultError("The folder for keys cannot be made; check its rights.") from None


def _write_new(path: Path, content: bytes) -> None:
    """Put a file of 0400 in place, whole and on the disk; an existing one wins."""
    draft = path.with_name(f".{path.name}.{os.urandom(4).hex()}")
    try:
        handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, stat.S_IRUSR)
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        with suppress(FileExistsError):
            os.link(draft, path)
    except OSError:
        raise VaultError("A key file cannot be written; check the disk and its rights.") from None
    finally:
        draft.unlink(missing_ok=True)
    _sync_folder(path.parent)


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
