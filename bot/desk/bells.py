"""The bell on the consultants' own phones: linked by a code, and ringing without content.

A ring may stand on a lock screen at her home. So it says neither who, nor where, nor about
what; and the bot tells nobody what it is for.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
import secrets
from collections import OrderedDict
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from bot.channels.base import Gone, SendError
from bot.desk.telegram import NAME, DeskBot, DeskUpdate, What
from bot.privacy.redact import EventLog
from bot.privacy.vault import Vault
from bot.storage.records import BellAddress, StaffMember
from bot.storage.store import Store
from bot.texts import Texts
from dialogs.model import SOURCE_LANGUAGE, TextId

DIGITS = 8
CODE_LIFE = timedelta(minutes=10)
TRIES = 5
SILENCE = timedelta(minutes=15)
"""For so long nothing is answered to a chat that has tried in vain `TRIES` times."""
RING_SECONDS = 5.0
MAX_STRANGERS = 10_000
_CODE = re.compile(rf"(?:/start(?:@\w+)?\s+)?((?:[0-9][\s-]?){{{DIGITS}}})")

log = EventLog(NAME)


@dataclass(slots=True)
class _Tries:
    """What a chat has tried in vain."""

    count: int
    until: datetime


class Bells:
    """Links consultants' phones to the desk's bot, and rings them. It is the bell's `Ringer`.

    What rang stands in memory only, by case, so that it can be taken back.
    """

    def __init__(
        self,
        bot: DeskBot,
        store: Store,
        vault: Vault,
        texts: Texts,
        now: Callable[[], datetime],
    ) -> None:
        self.bot = bot
        self._store = store
        self._vault = vault
        self._texts = texts
        self._now = now
        self._rung: dict[str, dict[int, int]] = {}
        self._tries: OrderedDict[int, _Tries] = OrderedDict()

    # --- from the web desk -------------------------------------------------------------------

    async def offer(self, me: StaffMember) -> str:
        """A code that she sends to the bot within `CODE_LIFE`; the one before counts no more."""
        code = "".join(secrets.choice("0123456789") for _ in range(DIGITS))
        await self._store.offer_bell(me.id, self._hash(code), self._now() + CODE_LIFE)
        return code

    async def unlink(self, me: StaffMember) -> None:
        """Her phone rings no more."""
        await self._store.unlink_bell(me.id)
        await self._store.audit(me.id, "bell.unlinked")

    async def try_out(self, me: StaffMember) -> bool:
        """Ring her now, as a case would. False: it is not linked, or was not reached."""
        mine = [bell for bell in await self._store.bells() if bell.staff_id == me.id]
        return me.id in await self.ring(mine, f"try:{me.id}")

    # --- ringing -----------------------------------------------------------------------------

    async def ring(self, bells: Iterable[BellAddress], case_id: str) -> frozenset[str]:
        """Ring, with sound and no content; returns the ids of those whose phone took it.

        What rang there for the same case before is taken away.
        """
        rung = await asyncio.gather(*(self._ring(bell, case_id) for bell in bells))
        return frozenset(staff_id for staff_id in rung if staff_id is not None)

    async def quiet(self, case_id: str) -> None:
        """Take back what rang for this case, as far as it is known."""
        for chat, message in self._rung.pop(case_id, {}).items():
            self.bot.beside(self.bot.remove(chat, message))

    async def _ring(self, bell: BellAddress, case_id: str) -> str | None:
        chat = int(bell.address)
        try:
            async with asyncio.timeout(RING_SECONDS):
                message = await self.bot.say(chat, self._say("bell.ring"))
        except Gone:  # she blocked the bot: from now on the desk shows that nothing rings there
            await self._lost(bell.staff_id)
            return None
        except (SendError, TimeoutError) as error:
            log.failed("bell_failed", error)
            return None
        known = self._rung.setdefault(case_id, {})
        if (older := known.get(chat)) is not None:
            self.bot.beside(self.bot.remove(chat, older))
        known[chat] = message
        return bell.staff_id

    async def _lost(self, staff_id: str) -> None:
        await self._store.unlink_bell(staff_id)
        await self._store.audit(staff_id, "bell.unlinked")
        log.event("bell_unlinked")

    # --- what is said to the bot -------------------------------------------------------------

    async def took(self, update: DeskUpdate) -> None:
        """Somebody did something in a private chat, or in a group that is not the desk's."""
        if not update.private:
            return await self._strange_group(update)
        if update.what is What.BLOCKED:
            member = await self._store.staff_by_bell(str(update.chat))
            if member is not None:
                await self._lost(member.id)
        elif update.what is What.SAID:
            await self._said(update)

    async def _said(self, update: DeskUpdate) -> None:
        if self._is_silenced(update.chat):
            return
        address = str(update.chat)
        before = await self._store.staff_by_bell(address)
        code = _CODE.fullmatch(update.text.strip())
        if code is None:
            answer = "bell.neutral" if before is None else "bell.only_rings"
        elif member := await self._store.link_bell(self._hash(code[1]), address):
            if before is not None and before.id != member.id:
                await self._store.audit(before.id, "bell.unlinked")
            await self._store.audit(member.id, "bell.linked")
            self._tries.pop(update.chat, None)
            answer = "bell.linked"
        else:
            answer = "bell.wrong_code"
        if answer in ("bell.neutral", "bell.wrong_code"):
            self._tried(update.chat)
        await self._tell(update.chat, answer)

    async def _strange_group(self, update: DeskUpdate) -> None:
        """A group that is not the desk's is left. Its number is told to who put the bot there,
        if she is one of us: it is what PHEN_DESK_CHAT wants."""
        if update.what is What.BLOCKED:
            return
        if update.what is What.ADDED and update.user is not None:
            member = await self._store.staff_by_bell(str(update.user))
            if member is not None:
                await self._tell(update.user, "bell.group_number", number=update.chat)
        log.event("group_left")
        self.bot.beside(self.bot.leave(update.chat))

    async def _tell(self, chat: int, text: TextId, **params: object) -> None:
        with contextlib.suppress(SendError):
            await self.bot.say(chat, self._say(text, **params))

    # --- guesses -----------------------------------------------------------------------------

    def _is_silenced(self, chat: int) -> bool:
        tries = self._tries.get(chat)
        if tries is None or tries.until <= self._now():
            self._tries.pop(chat, None)
            return False
        return tries.count >= TRIES

    def _tried(self, chat: int) -> None:
        count = self._tries[chat].count if chat in self._tries else 0
        self._tries[chat] = _Tries(count + 1, self._now() + SILENCE)
        self._tries.move_to_end(chat)
        if len(self._tries) > MAX_STRANGERS:
            self._tries.popitem(last=False)

    def _hash(self, code: str) -> bytes:
        return self._vault.mac("bell", re.sub(r"[^0-9]", "", code))

    def _say(self, text: TextId, **params: object) -> str:
        return self._texts.say(SOURCE_LANGUAGE, text, **params)
