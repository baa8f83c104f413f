"""The duty table: who is there when, who is missing, and how each person's hours are set."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from datetime import date, timedelta
from functools import partial
from typing import TYPE_CHECKING

from starlette.datastructures import UploadFile
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from bot.bell import answers
from bot.storage.records import Role, StaffMember
from bot.texts import ZONE
from bot.web.duty_form import AWAY, DAYS, SPANS, filled_day, filled_week, week_values
from bot.web.duty_look import DutyLook
from bot.web.duty_week import week_of
from bot.web.fields import Say, read_day
from bot.web.login import Visitor, field, page, read_form, refusal
from bot.web.staff_page import StaffPage
from dialogs.model import SOURCE_LANGUAGE
from scheduler.duty import Day, Hours, next_duty, on_duty
from scheduler.ical import read_shifts
from scheduler.ical_lines import Problem

if TYPE_CHECKING:
    from bot.web.app import WebParts

HOME = "/staff/duty"
DONE = frozenset({"week", "day", "day_deleted", "file", "file_deleted"})
SHOWN_SHIFTS = 20
_NEW_DAY = {"day": "", "kind": AWAY} | {
    f"day-{part}-{n}": "" for n in SPANS for part in ("from", "to")
}


def duty_pages(parts: WebParts) -> list[StaffPage]:
    """The duty table, for the team."""
    pages = DutyPages(parts)
    one = f"{HOME}/{{staff_id}}"
    return [
        StaffPage("GET", HOME, pages.home),
        StaffPage("GET", one, pages.person),
        StaffPage("POST", f"{one}/week", pages.save_week),
        StaffPage("POST", f"{one}/day", pages.save_day),
        StaffPage("POST", f"{one}/day/delete", pages.delete_day),
        StaffPage("POST", f"{one}/file", pages.upload),
        StaffPage("POST", f"{one}/file/delete", pages.delete_file),
    ]


class DutyPages:
    """The week at a glance, and a page for each person who answers women."""

    def __init__(self, parts: WebParts) -> None:
        self._parts = parts
        self._store = parts.store
        self._say: Say = partial(parts.texts.say, SOURCE_LANGUAGE)

    # --- the week at a glance --------------------------------------------------------------

    async def home(self, request: Request, visitor: Visitor) -> Response:
        now, table = self._parts.now(), await self._store.duty()
        today = now.astimezone(ZONE).date()
        first = read_day(request.query_params.get("from", "")) or today
        people = [each for each in await self._store.all_staff() if Role.CONSULTANT in each.roles]
        there = {each.id: each for each in people if answers(each)}
        coming = next_duty(table, now, ZONE, there)
        languages = self._parts.content.languages
        speaks = {each.id: each.languages for each in there.values()}
        now_there = [there[who] for who in on_duty(table, now, ZONE) if who in there]
        spoken = {each for person in now_there for each in person.languages}
        never = [each for each in languages if not any(each in known for known in speaks.values())]
        return page(
            self._parts,
            "staff/duty.html",
            visitor,
            known=bool(table),
            days=week_of(table, speaks, languages, first, ZONE),
            first=first,
            today=today,
            previous=first - timedelta(days=7),
            following=first + timedelta(days=7),
            now_there=sorted(now_there, key=lambda person: person.login),
            missing=[each for each in languages if each not in spoken and each not in never],
            coming=coming,
            people=people,
            there=there,
            never=never,
            look=DutyLook(self._parts, table.weekly),
        )

    # --- one person ------------------------------------------------------------------------

    async def person(self, request: Request, visitor: Visitor) -> Response:
        person = await self._person(request)
        if person is None:
            return self._nobody(visitor)
        done = request.query_params.get("done", "")
        return await self._page(visitor, person, done=done if done in DONE else "")

    async def save_week(self, request: Request, visitor: Visitor) -> Response:
        person = await self._person(request)
        if person is None:
            return self._nobody(visitor)
        filled = filled_week(await read_form(request), person.id, self._say)
        if filled.problems:
            return await self._page(
                visitor, person, week=filled.values, problems=filled.problems, at="week"
            )
        await self._store.set_weekly(person.id, filled.weekly)
        return await self._saved(visitor, person, "week")

    async def save_day(self, request: Request, visitor: Visitor) -> Response:
        person = await self._person(request)
        if person is None:
            return self._nobody(visitor)
        filled = filled_day(await read_form(request), self._today(), self._say)
        if filled.day is None:
            return await self._page(
                visitor, person, day=filled.values, problems=filled.problems, at="day"
            )
        await self._store.set_day(person.id, filled.day, filled.hours)
        return await self._saved(visitor, person, "day")

    async def delete_day(self, request: Request, visitor: Visitor) -> Response:
        person, day = await self._person(request), field(await read_form(request), "day")
        if person is None:
            return self._nobody(visitor)
        which = read_day(day)
        if which is not None:
            await self._store.set_day(person.id, which, None)
        return await self._saved(visitor, person, "day_deleted")

    async def upload(self, request: Request, visitor: Visitor) -> Response:
        """Take a calendar whole, or say line by line why not."""
        person = await self._person(request)
        if person is None:
            return self._nobody(visitor)
        upload = (await read_form(request)).get("file")
        data = await upload.read() if isinstance(upload, UploadFile) else b""
        if not data:
            return await self._page(
                visitor, person, wrong=(self._say("staff.csv.empty"),), at="file"
            )
        now = self._parts.now()
        result = await asyncio.to_thread(read_shifts, data, person.id, now, ZONE)
        if result.problems:
            wrong = tuple(self._problem(each) for each in result.problems)
            return await self._page(visitor, person, wrong=wrong, at="file")
        await self._store.set_shifts(person.id, result.shifts)
        return await self._saved(visitor, person, "file")

    async def delete_file(self, request: Request, visitor: Visitor) -> Response:
        person = await self._person(request)
        if person is None:
            return self._nobody(visitor)
        await self._store.set_shifts(person.id, ())
        return await self._saved(visitor, person, "file_deleted")

    # --- helpers -------------------------------------------------------------------------

    async def _person(self, request: Request) -> StaffMember | None:
        wanted = request.path_params["staff_id"]
        people = await self._store.all_staff()
        found = (each for each in people if each.id == wanted and Role.CONSULTANT in each.roles)
        return next(found, None)

    def _nobody(self, visitor: Visitor) -> Response:
        return refusal(self._parts, visitor, 404, "staff.duty.error.nobody")

    async def _saved(self, visitor: Visitor, person: StaffMember, done: str) -> Response:
        """Written down; the desks look again at who is there."""
        await self._store.audit(visitor.me.id, "duty.saved")
        self._parts.changes.notify()
        return RedirectResponse(f"{HOME}/{person.id}?done={done}", 303)

    async def _page(
        self,
        visitor: Visitor,
        person: StaffMember,
        week: Mapping[str, str] | None = None,
        day: Mapping[str, str] | None = None,
        problems: Mapping[str, str] | None = None,
        wrong: Sequence[str] = (),
        at: str = "",
        done: str = "",
    ) -> Response:
        """Her page; `at` is the form that holds what was not taken."""
        table, now = await self._store.duty(), self._parts.now()
        weekly = [each for each in table.weekly if each.who == person.id]
        shifts = [each for each in table.shifts if each.who == person.id and each.end > now]
        days = [each for each in table.days if each.who == person.id and each.day >= self._today()]
        return page(
            self._parts,
            "staff/duty_person.html",
            visitor,
            422 if at else 200,
            person=person,
            rings=answers(person),
            week=week or week_values(weekly),
            day=day or _NEW_DAY,
            problems=problems or {},
            wrong_lines=wrong,
            at=at,
            sure=False,
            done=self._say(f"staff.duty.done.{done}") if done else None,
            exceptions=_by_day(days),
            shifts=shifts[:SHOWN_SHIFTS],
            more_shifts=max(len(shifts) - SHOWN_SHIFTS, 0),
            weekdays=DAYS,
            spans=SPANS,
            look=DutyLook(self._parts, weekly),
        )

    def _problem(self, problem: Problem) -> str:
        what = self._say(f"staff.duty.file.problem.{problem.code}", **problem.params)
        where = [self._say("staff.csv.line", n=problem.line)] if problem.line else []
        where += [problem.name] if problem.name else []
        return f"{', '.join(where)}: {what}" if where else what

    def _today(self) -> date:
        return self._parts.now().astimezone(ZONE).date()


def _by_day(days: Sequence[Day]) -> list[tuple[date, list[Hours]]]:
    """The days that differ, each with its hours; none: she is away."""
    found: dict[date, list[Hours]] = {}
    for each in sorted(days, key=lambda each: each.day):
        found.setdefault(each.day, []).extend([each.hours] if each.hours else [])
    return list(found.items())
