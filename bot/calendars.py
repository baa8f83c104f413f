"""Calendars of receptions, taken into the store: for the page of the team and for the command."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import datetime

from bot.storage.store import Store
from bot.texts import ZONE
from scheduler.exchange import Places
from scheduler.reception_ical import IcsResult, read_ics


async def take_calendar(
    store: Store, data: bytes, places: Places, now: datetime, new_id: Callable[[], str]
) -> IcsResult:
    """Save what a calendar file asks for, or nothing where it has any mistake.

    To be called for one file after another: the second is seen from what the first left.
    """
    known = await store.receptions()
    result = await asyncio.to_thread(read_ics, data, places, known, now, ZONE, new_id)
    await store.save_receptions(result.receptions, counted=True)
    return result
