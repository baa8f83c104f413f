"""Tables of receptions, taken into the store: for the page of the team and for the command."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime

from bot.storage.store import Store
from scheduler.exchange import Places, read_csv
from scheduler.model import Reception
from scheduler.reception_table import TableResult, compare


async def take_table(
    store: Store, data: bytes, places: Places, now: datetime, new_id: Callable[[], str]
) -> TableResult:
    """Save what a CSV file asks for, or nothing where it has any mistake."""
    read = read_csv(data, places, now)
    result = TableResult(problems=read.problems)

    def beside(known: Sequence[Reception]) -> Sequence[Reception]:
        nonlocal result
        result = compare(read, known, new_id)
        return result.receptions

    if read.rows:
        await store.revise_receptions(beside)
    return result
