"""The file of a backup: who has it without the passphrase learns its date and rough size.

A header in clear (which format, how the key is made of the passphrase), then one sealed message.
Inside: compressed lines of JSON, the first about the backup itself, then one for each row.
"""

from __future__ import annotations

import gzip
import json
import os
import stat
import struct
import unicodedata
from collections.abc import Iterator
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import NamedTuple

from argon2.low_level import Type, hash_secret_raw
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from bot.storage.backup import Kept, NewerBackup

MAGIC, FORMAT = b"PhenBackup", 1
MIN_PASSPHRASE = 12
SMALLEST = 64 * 1024
"""What is sealed is padded to the next power of two, and to so many bytes at least."""


class Cost(NamedTuple):
    """What making the key of the passphrase takes (argon2id)."""

    passes: int
    memory: int  # KiB, as a power of two
    lanes: int


COST = Cost(3, 16, 4)
_BOUNDS = Cost(10, 20, 8)
"""A changed header must not take the machine's memory."""

_HEADER = struct.Struct(f">{len(MAGIC)}sB3B16s12s")  # magic, format, cost, salt, nonce


class BackupError(Exception):
    """The backup was refused; the class's docstring says why."""

    def __init__(self) -> None:
        super().__init__(type(self).__doc__)


class NotABackup(BackupError):
    """This file is not a backup of Phen; look at its name."""


class NotOpened(BackupError):
    """Wrong passphrase, or the file was changed; nothing was restored."""


class PassphraseFileUnread(BackupError):
    """The passphrase file cannot be read as text; check its name, its rights and its encoding."""


class PassphraseFileOpen(BackupError):
    """The passphrase file is open to others; run chmod 400 on it."""


class PassphraseTooShort(BackupError):
    """A backup's passphrase has at least twelve characters."""


# --- the envelope ----------------------------------------------------------------------------


def seal(kept: Kept, passphrase: str) -> bytes:
    """The whole file."""
    packed = gzip.compress("\n".join(_lines(kept)).encode(), mtime=0)
    framed = len(packed).to_bytes(8) + packed
    padded = framed.ljust(max(SMALLEST, 1 << (len(framed) - 1).bit_length()), b"\0")
    salt, nonce = os.urandom(16), os.urandom(12)
    header = _HEADER.pack(MAGIC, FORMAT, *COST, salt, nonce)
    return header + AESGCM(_key(passphrase, salt, COST)).encrypt(nonce, padded, header)


def unseal(data: bytes, passphrase: str) -> Kept:
    """What the file holds. Raises `NotABackup`, `NewerBackup` or `NotOpened`."""
    # Not `splitlines`: what staff wrote may hold signs that it takes for the end of a line.
    first, *others = map(json.loads, decrypt(data, passphrase).split("\n"))
    kept = Kept(first["revision"], datetime.fromisoformat(first["made_at"]), {})
    for table, row in others:
        kept.rows.setdefault(table, []).append(row)
    return kept


def decrypt(data: bytes, passphrase: str) -> str:
    """The lines in the file, in plain. Raises what `unseal` does."""
    if not data.startswith(MAGIC):
        raise NotABackup
    header, body = data[: _HEADER.size], data[_HEADER.size :]
    if len(header) < _HEADER.size:
        raise NotOpened
    _, form, passes, memory, lanes, salt, nonce = _HEADER.unpack(header)
    if form > FORMAT:
        raise NewerBackup
    cost = Cost(passes, memory, lanes)
    if not all(1 <= one <= most for one, most in zip(cost, _BOUNDS, strict=True)):
        raise NotOpened
    try:
        padded = AESGCM(_key(passphrase, salt, cost)).decrypt(nonce, body, header)
    except InvalidTag:
        raise NotOpened from None
    return gzip.decompress(padded[8 : 8 + int.from_bytes(padded[:8])]).decode()


def _key(passphrase: str, salt: bytes, cost: Cost) -> bytes:
    # The same letters typed on another system can be other bytes: й is one sign or two.
    secret = unicodedata.normalize("NFC", passphrase).encode()
    memory = max(1 << cost.memory, 8 * cost.lanes)
    return hash_secret_raw(secret, salt, cost.passes, memory, cost.lanes, 32, Type.ID)


def _lines(kept: Kept) -> Iterator[str]:
    yield _json({"revision": kept.revision, "made_at": kept.made_at.isoformat()})
    for table, rows in kept.rows.items():
        for row in rows:
            yield _json([table, row])


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, sort_keys=True)


# --- files -----------------------------------------------------------------------------------


def write_new(file: Path, data: bytes) -> None:
    """Put the file in place, whole and on the disk, for its owner alone; or raise OSError."""
    draft = file.with_name(f".{file.name}.{os.urandom(4).hex()}")
    try:
        handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, stat.S_IRUSR | stat.S_IWUSR)
        with os.fdopen(handle, "wb") as out:
            out.write(data)
            out.flush()
            os.fsync(out.fileno())
        draft.rename(file)
    finally:
        draft.unlink(missing_ok=True)
    folder = os.open(file.parent, os.O_RDONLY)
    try:
        with suppress(OSError):  # a disk in the network may not know this
            os.fsync(folder)
    finally:
        os.close(folder)


def read_passphrase(file: Path) -> str:
    """The passphrase in this file, without the end of its line. Raises a `BackupError`."""
    try:
        mode = file.stat().st_mode
        passphrase = file.read_text("utf-8").rstrip("\r\n")
    except (OSError, UnicodeDecodeError):
        raise PassphraseFileUnread from None
    if mode & (stat.S_IRWXG | stat.S_IRWXO):
        raise PassphraseFileOpen
    return passphrase
