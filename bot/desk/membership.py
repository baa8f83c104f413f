"""Who is in the desk's Telegram group: out goes, by itself, whoever may not work here any more.

What is to be done stands in the store, written with the change of the account. It is done within
seconds, through every outage and after a kill; to put somebody out twice harms nobody.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from bot.channels.base import Gone, Refused, Throttled, Unauthorised
from bot.desk.telegram import NAME, DeskBot, GroupMoved, Unmet
from bot.live import Changes
from bot.privacy.redact import EventLog
from bot.storage.records import GroupNote, Wish
from bot.storage.store import Store

LOOK_SECONDS = 5.0
"""A command of the operator's, in a process of its own, wakes nobody."""
SETTLE_SECONDS = 0.2
AGAIN_SECONDS = 5.0
REFUSED_SECONDS = 60.0
SAID_TIMES = 3
"""Telegram has said of members that it knows nobody of that number; so often it is believed."""

log = EventLog(NAME)


class Membership:
    """Does in the group what the store's notes say."""

    def __init__(self, bot: DeskBot, chat: int, store: Store, changes: Changes) -> None:
        """`chat` is the group's number in the setting; it may have a newer one."""
        self._bot = bot
        self._chat = chat
        self._store = store
        self._changes = changes
        self._later: dict[str, float] = {}
        self._unmet: Counter[str] = Counter()

    @asynccontextmanager
    async def kept(self) -> AsyncIterator[None]:
        """While it lasts, the group is kept so."""
        work = asyncio.create_task(self._run())
        try:
            yield
        finally:
            work.cancel()
            await asyncio.wait({work})

    async def _run(self) -> None:
        async with self._changes.listen(desk=False) as changed:
            while True:
                changed.clear()
                try:
                    await self._round()
                except Throttled as pause:
                    await asyncio.sleep(pause.seconds)
                    continue
                except Exception as error:
                    log.failed("forum_failed", error)
                    await asyncio.sleep(AGAIN_SECONDS)
                    continue
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(LOOK_SECONDS):  # `wait_for` may eat a stop
                        await changed.wait()
                        await asyncio.sleep(SETTLE_SECONDS)

    async def _round(self) -> None:
        found = await self._store.group_notes()
        notes = {note.id: note for note in found if note.wish is not Wish.NONE}
        for known in (self._later, self._unmet):
            for note_id in known.keys() - notes.keys():
                del known[note_id]
        loop = asyncio.get_running_loop()
        now = loop.time()
        for note_id, note in notes.items():
            if self._later.get(note_id, now) <= now:
                pause = await self._try(note)
                self._later[note_id] = loop.time() + pause

    async def _try(self, note: GroupNote) -> float:
        """Do it; after how many seconds to look again. What fails with one holds up no other."""
        group = await self._store.newest_group(self._chat)
        call = self._bot.put_out if note.wish is Wish.OUT else self._bot.let_back
        unmet = False
        try:
            await call(group, int(note.address))
        except GroupMoved as moved:
            await self._store.group_moved(group, moved.chat)
            return AGAIN_SECONDS
        except Unmet:
            if note.wish is Wish.OUT and not self._is_believed(note):
                return REFUSED_SECONDS
            unmet = True
        except (Refused, Gone, Unauthorised):
            await self._refused(note)
            return REFUSED_SECONDS
        except Throttled:
            raise
        except Exception as error:
            log.failed("forum_failed", error)
            return AGAIN_SECONDS
        await self._store.group_note_done(note, unmet=unmet)
        if note.wish is Wish.OUT:
            log.event("member_put_out")
        return AGAIN_SECONDS

    def _is_believed(self, note: GroupNote) -> bool:
        self._unmet[note.id] += 1
        return self._unmet[note.id] >= SAID_TIMES

    async def _refused(self, note: GroupNote) -> None:
        stays = note.wish is Wish.OUT
        log.alarm("member_not_put_out" if stays else "member_not_let_back")
        if not note.refused:
            await self._store.group_note_refused(note)
