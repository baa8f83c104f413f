"""The centre's figures: how fast women are answered, by month and never by woman."""

from __future__ import annotations

from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from bot.storage.part import Part
from bot.storage.records import Waits
from bot.storage.tables import tallies

ANSWERED, UNANSWERED = "answered", "unanswered"
EDGES = tuple(
    minutes * 60
    for minutes in (1, 2, 3, 5, 10, 15, 20, 30, 45, 60, 90, 120, 240, 480, 720, 1440, 2880, 4320)
)
"""Upper edges of the waits that are told apart, in seconds: coarse enough to be nobody's."""
_LONGER = 0
_ZONE = ZoneInfo("Europe/Sofia")


class Figures(Part):
    """Reads what `count` wrote."""

    async def waits(self) -> list[Waits]:
        """How fast women were answered, a month each, newest first."""
        async with self._database.read() as connection:
            rows = (await connection.execute(select(tallies))).all()
        months = sorted({row.month for row in rows}, reverse=True)
        return [
            Waits(
                month,
                {
                    row.bucket or None: row.total
                    for row in sorted(rows, key=lambda row: row.bucket or EDGES[-1] + 1)
                    if row.month == month and row.name == ANSWERED
                },
                sum(row.total for row in rows if row.month == month and row.name == UNANSWERED),
            )
            for month in months
        ]


def bucket_of(wait: timedelta) -> int:
    """The upper edge of this wait; 0 for one that is longer than all."""
    return next((edge for edge in EDGES if wait.total_seconds() <= edge), _LONGER)


async def count(connection: AsyncConnection, now: datetime, name: str, bucket: int = 0) -> None:
    """One more, in the transaction of what is counted."""
    month = now.astimezone(_ZONE).strftime("%Y-%m")
    which = tallies.c.month == month, tallies.c.name == name, tallies.c.bucket == bucket
    done = await connection.execute(
        tallies.update().where(*which).values(total=tallies.c.total + 1)
    )
    if done.rowcount == 0:
        await connection.execute(
            tallies.insert().values(month=month, name=name, bucket=bucket, total=1)
        )
