"""What she writes and sends into her case.

Whatever it is, the desk has it first; then her window follows. What comes while that is covered
is kept, and answered with the cover: it may be somebody else's finger.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import assert_never

from bot import media
from bot.channels.base import Channel, Fetch, Handle, Incoming, SendError, Who
from bot.handover import Handover
from bot.privacy.redact import EventLog
from bot.screens import Screens
from bot.storage.records import Blocked, Case, CaseClosed, Medium, MediumKind
from bot.windows import Windows
from dialogs import engine
from dialogs.model import BLOCKED, TALK, Decline, MediaKind, Position, Relay, TakeMedium

Letter = Relay | TakeMedium | Decline
"""The effects by which something of hers goes into her case."""
_Ready = Relay | Medium | Decline

log = EventLog("conversation")


class Inbound:
    """The way from her chat into her case."""

    def __init__(
        self,
        channels: Mapping[str, Channel],
        windows: Windows,
        handover: Handover,
        screens: Screens,
    ) -> None:
        self._channels = channels
        self._windows = windows
        self._handover = handover
        self._screens = screens

    async def take(self, who: Who, incoming: Incoming, case: Case, letter: Letter) -> None:
        """Bring it to the desk, and show her what becomes of it."""
        if isinstance(letter, TakeMedium) and await self._handover.is_blocked(who):
            return await self._shut_out(who, incoming, case)  # nothing is fetched and opened
        ready = await _ready(incoming, case, letter)
        covered = not self.is_before_her(who, incoming)
        try:
            await self._bring(case, ready, incoming.key, incoming.handle, covered=covered)
        except Blocked:
            return await self._shut_out(who, incoming, case)
        except CaseClosed:
            self._remove(who, incoming)
            if covered:
                return self._screens.cover(who, engine.cover(case.language))
            return await self._screens.show(who, Position(case.language, TALK))
        if not isinstance(ready, Decline):
            await self._relayed(who, incoming, case, covered=covered)
        elif not self._windows.is_open(who):
            self._remove(who, incoming)

    async def keep(self, who: Who, incoming: Incoming, case: Case, letter: Letter) -> None:
        """Bring it to the desk, and show nothing of it: she has gone on since.

        Raises `Blocked` and `CaseClosed`, as the handover does.
        """
        ready = await _ready(incoming, case, letter)
        covered = not self.is_before_her(who, incoming)
        await self._bring(case, ready, incoming.key, None, covered=covered)

    async def _bring(
        self, case: Case, ready: _Ready, key: str, handle: Handle | None, *, covered: bool
    ) -> None:
        match ready:
            case Relay(text):
                await self._handover.relay(case, text, key, handle, covered=covered)
            case Medium():
                await self._handover.relay(case, "", key, handle, covered=covered, medium=ready)
            case Decline(text):
                await self._handover.decline(case, text, key, handle)
            case _:
                assert_never(ready)

    async def _relayed(self, who: Who, incoming: Incoming, case: Case, *, covered: bool) -> None:
        """The desk has it: her window stays open, or is opened by it, or is the cover."""
        if incoming.position is not None and not covered:
            return await self._open_her_window(who)
        if self._windows.is_open(who):
            self._windows.touch(who)
            return None if case.present else await self._screens.present(who)
        self._remove(who, incoming)
        self._screens.cover(who, engine.cover(case.language))

    def is_before_her(self, who: Who, incoming: Incoming) -> bool:
        """Whether what she writes comes from an open window: else it may be somebody else."""
        here = incoming.position
        behind_the_gate = here is not None and not self._screens.is_before_the_gate(here)
        return behind_the_gate or self._windows.is_open(who)

    async def _open_her_window(self, who: Who) -> None:
        """What she wrote came with what stands before her: it is open.

        Waited for, so that a *hide* in the same words has the last one.
        """
        self._windows.opened(who)
        if self._channels[who.channel].limits.keeps_window:
            await self._screens.present(who)

    async def _shut_out(self, who: Who, incoming: Incoming, case: Case) -> None:
        """A consultant takes nothing from this address: a covered window does not say so."""
        self._remove(who, incoming)
        if not self.is_before_her(who, incoming):
            return self._screens.cover(who, engine.cover(case.language))
        await self._screens.show(who, Position(case.language, BLOCKED))

    def _remove(self, who: Who, incoming: Incoming) -> None:
        """What she sent while nothing of her case stands in the chat is not left lying there."""
        if incoming.handle is not None:
            self._windows.remove(who, [incoming.handle])


async def _ready(incoming: Incoming, case: Case, letter: Letter) -> _Ready:
    """What goes into the case: of a photo or a voice what was made of it, if it can be taken."""
    if not isinstance(letter, TakeMedium):
        return letter
    if not case.media_allowed:
        return Decline("notice.media_ask")
    if incoming.fetch is None:  # her platform gives us none
        return Decline("notice.cannot_take")
    try:
        return await _made_anew(letter.kind, incoming.fetch)
    except (media.Unusable, media.NoTools, SendError) as error:
        log.failed("medium_refused", error)
        return Decline("notice.media_failed")


async def _made_anew(kind: MediaKind, fetch: Fetch) -> Medium:
    raw = await fetch()
    if kind is MediaKind.PHOTO:
        return Medium(MediumKind.PHOTO, await media.photo(raw))
    return Medium(MediumKind.VOICE, await media.voice(raw))
