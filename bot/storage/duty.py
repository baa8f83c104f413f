"""Who is on duty when: the week's pattern, the days that differ, and shifts from a calendar."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, time
from typing import Any

from sqlalchemy import select

from bot.storage.handing import look_again
from bot.storage.part import Part, new_id
from bot.storage.tables import duty_days, duty_shifts, duty_weekly
from scheduler.duty import Day, DutyTable, Hours, Shift, Weekly

_TABLES = (duty_weekly, duty_days, duty_shifts)


class DutyBook(Part):
    """Keeps the duty table; who is on duty is worked out by `scheduler.duty`."""

    async def duty(self) -> DutyTable:
        """The whole table."""
        async with self._database.read() as connection:
            weekly, days, shifts = [
                (await connection.execute(select(table))).all() for table in _TABLES
            ]
        return DutyTable(
            tuple(
                Weekly(row.staff_id, row.weekday, Hours(_time(row.starts), _time(row.ends)))
                for row in sorted(weekly, key=lambda row: (row.staff_id, row.weekday, row.starts))
            ),
            tuple(
                Day(
                    row.staff_id,
                    date.fromisoformat(row.day),
                    None if row.starts is None else Hours(_time(row.starts), _time(row.ends)),
                )
                for row in sorted(days, key=lambda row: (row.staff_id, row.day, row.starts or 0))
            ),
            tuple(
                Shift(row.staff_id, row.starts_at, row.ends_at)
                for row in sorted(shifts, key=lambda row: (row.starts_at, row.staff_id))
            ),
        )

    async def set_weekly(self, staff_id: str, weekly: Sequence[Weekly]) -> None:
        """Her pattern of the week, instead of the one before."""
        rows = [
            {"id": new_id(), "staff_id": staff_id, "weekday": each.weekday, **_hours(each.hours)}
            for each in weekly
        ]
        await self._replace(duty_weekly, duty_weekly.c.staff_id == staff_id, rows)

    async def set_day(self, staff_id: str, day: date, hours: Sequence[Hours] | None) -> None:
        """What holds for her on that day: these hours, none (she is away), or (None) her week."""
        rows: list[dict[str, Any]] = []
        if hours is not None:
            of_day = {"staff_id": staff_id, "day": day.isoformat()}
            away = {"starts": None, "ends": None}
            rows = [{"id": new_id(), **of_day, **_hours(each)} for each in hours]
            rows = rows or [{"id": new_id(), **of_day, **away}]
        which = (duty_days.c.staff_id == staff_id) & (duty_days.c.day == day.isoformat())
        await self._replace(duty_days, which, rows)

    async def set_shifts(self, staff_id: str, shifts: Sequence[Shift]) -> None:
        """Her duties from a calendar file, instead of those of the file before."""
        rows = [
            {"id": new_id(), "staff_id": staff_id, "starts_at": each.start, "ends_at": each.end}
            for each in shifts
        ]
        await self._replace(duty_shifts, duty_shifts.c.staff_id == staff_id, rows)

    async def _replace(self, table: Any, which: Any, rows: list[dict[str, Any]]) -> None:
        async with self._database.write() as connection:
            await connection.execute(table.delete().where(which))
            if rows:
                await connection.execute(table.insert(), rows)
            await look_again(connection, self._now())


def _time(minutes: int) -> time:
    return time(minutes // 60, minutes % 60)


def _hours(hours: Hours) -> dict[str, int]:
    starts, ends = (each.hour * 60 + each.minute for each in (hours.start, hours.end))
    return {"starts": starts, "ends": ends}
