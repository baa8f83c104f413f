"""`phen talk`: the same dialog in a terminal, for authors, translators and tests."""

from __future__ import annotations

import asyncio
import contextlib
import secrets
from collections.abc import Sequence
from typing import TextIO

from bot.channels.base import (
    Address,
    Handle,
    Incoming,
    Intake,
    Limits,
    Outgoing,
    Refused,
    SendError,
)
from dialogs import payload
from dialogs.model import Event, Started, Tapped, Typed

ADDRESS: Address = "console"
BACK, HOME = "<", "*"
RULE = "─" * 40
_CLEAR = "\x1b[2J\x1b[H"


class ConsoleChannel:
    """One person at one terminal. Digits tap choices, `<` goes back, `*` home."""

    name = "console"
    reached = True
    limits = Limits(
        text=4096,
        window=4096,
        buttons=12,
        label=80,
        payload=payload.MAX_BYTES,
        picture=False,
        edit=True,
        delete_hours=24 * 365,
        knows_edit_time=True,
        keeps_window=True,
        rings=False,
    )

    def __init__(
        self, lines: asyncio.Queue[str | None], out: TextIO, code: str | None = None
    ) -> None:
        self._lines = lines
        self._out = out
        self._code = code
        self._window: Outgoing | None = None
        self._handle: Handle | None = None
        self._said: dict[Handle, Outgoing] = {}

    async def run(self, intake: Intake) -> None:
        """Take line after line until the input ends."""
        await self._hand_over(intake, Started(self._code), None)
        while (line := await self._lines.get()) is not None:
            await self._hand_over(intake, *self._read(line.rstrip("\n")))
            self._lines.task_done()

    async def show(self, address: Address, message: Outgoing, window: Handle | None) -> Handle:
        """Draw the screen anew: what is covered or hidden is gone from it."""
        handle = window or secrets.token_hex(4)
        if message.window:
            self._window, self._handle = message, handle
        else:
            self._said[handle] = message
        self._draw()
        return handle

    async def correct(self, address: Address, handle: Handle, message: Outgoing) -> None:
        """Draw the message with its new words, if it stands there."""
        if handle in self._said:
            await self.show(address, message, handle)

    async def remove(
        self, address: Address, handles: Sequence[Handle], *, urgent: bool = True
    ) -> None:
        """Take messages off the screen."""
        for handle in handles:
            self._said.pop(handle, None)
            if handle == self._handle:
                self._window = self._handle = None
        self._draw()

    async def sweep(self, address: Address, newest: Handle | None) -> None:
        """There is nothing on the screen that is not known."""

    async def notify(
        self, addresses: Sequence[Address], message: Outgoing
    ) -> Sequence[Handle | SendError]:
        """A terminal rings nowhere; `limits` says so."""
        self.limits.check(addresses)
        return [Refused() for _ in addresses]

    async def close(self) -> None:
        """The terminal stays open."""

    async def _hand_over(self, intake: Intake, event: Event, window: Handle | None) -> None:
        with contextlib.suppress(Exception):  # the screen says so, and she can type it again
            await intake.accept(self._incoming(event, window))

    def _incoming(self, event: Event, window: Handle | None) -> Incoming:
        return Incoming(self.name, ADDRESS, event, key=secrets.token_hex(8), window=window)

    def _read(self, line: str) -> tuple[Event, Handle | None]:
        word = line.strip()
        if word == "/start" or word.startswith("/start "):
            return Started(word.removeprefix("/start").strip() or None), None
        buttons = self._buttons()
        if word in buttons:
            return Tapped(payload.unpack(buttons[word])), self._handle
        return Typed(line), None

    def _buttons(self) -> dict[str, str]:
        if self._window is None:
            return {}
        choices = {str(n): b.payload for n, b in enumerate(self._window.choices, start=1)}
        marks = dict(zip((BACK, HOME), (m.payload for m in self._window.marks[:2]), strict=False))
        return choices | marks

    def _draw(self) -> None:
        if self._out.isatty():
            self._out.write(_CLEAR)
        self._out.write(f"{RULE}\n")
        if self._window is not None:
            self._out.write(f"{self._window.text}\n\n")
            self._out.writelines(f"  {choice.label}\n" for choice in self._window.choices)
            keys = (BACK, HOME, "0", "9")
            marks = zip(keys, self._window.marks, strict=False)
            self._out.write("  ".join(f"[{key}] {mark.label}" for key, mark in marks) + "\n")
        for message in self._said.values():
            self._out.write(f"» {message.author or ''} {message.text}\n")
        self._out.flush()
