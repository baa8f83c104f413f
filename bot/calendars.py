"""Calendars of receptions, taken into the store: for the page of the team and for the command."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from datetime import datetime
from functools import partial

from bot.storage.store import Store
from bot.texts import ZONE
from scheduler.exchange import Places
from scheduler.model import Reception
from scheduler.reception_ical import IcsResult, read_ics


async def take_calendar(
    store: Store, data: bytes, places: Places, now: datetime, new_id: Callable[[], str]
) -> IcsResult:
    """Save what a calendar file asks for, or nothing where it has any mistake.

    What somebody saves while it is read is not undone: then it is read once more.
    """
    while True:
        known = await store.receptions()
        result = await asyncio.to_thread(read_ics, data, places, known, now, ZONE, new_id)
        if not result.receptions:
            return result
        try:
            await store.revise_receptions(partial(_revised, result, known), counted=True)
        except _Changed:
            continue
        return result


class _Changed(Exception):
    """The receptions are others than those beside which the file was read."""


def _revised(
    result: IcsResult, before: Sequence[Reception], known: Sequence[Reception]
) -> Sequence[Reception]:
    if list(before) != list(known):
        raise _Changed
    return result.receptions
