"""The receptions as files: a table and a calendar out, either of them in."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from starlette.datastructures import UploadFile
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from bot.calendars import take_calendar
from bot.reception_table import take_table
from bot.texts import ZONE
from bot.web.fields import Say
from bot.web.login import Visitor, new_key, read_form
from bot.web.staff_page import StaffPage
from dialogs.model import SOURCE_LANGUAGE
from scheduler.exchange import Places, write_csv
from scheduler.reception_ical import OWN_CODES, IcsResult, is_calendar, write_ics
from scheduler.reception_table import TableResult

if TYPE_CHECKING:
    from bot.web.app import WebParts

FIGURES = ("added", "changed", "cancelled", "older", "unchanged", "stay_cancelled")
"""What became of the receptions of a file, as its report and an address name it."""

Refuse = Callable[[Request, Visitor, tuple[str, ...]], Awaitable[Response]]
"""Answers with the page of the receptions and the mistakes of a file that was not taken."""


class ReceptionFiles:
    """Nothing of a file with any mistake is taken."""

    def __init__(self, parts: WebParts, refuse: Refuse) -> None:
        self._parts = parts
        self._store = parts.store
        self._refuse = refuse
        self._say: Say = partial(parts.texts.say, SOURCE_LANGUAGE)

    def pages(self) -> list[StaffPage]:
        """For the team."""
        return [
            StaffPage("GET", "/staff/receptions.csv", self.table),
            StaffPage("GET", "/staff/receptions.ics", self.calendar),
            StaffPage("POST", "/staff/receptions/import", self.upload),
        ]

    async def table(self, request: Request, visitor: Visitor) -> Response:
        """What is still to come: a file that holds only it can be uploaded again as it is."""
        coming = await self._store.receptions(since=self._parts.now())
        text = write_csv(coming, self._codes(), spreadsheet=True)
        head = {"Content-Disposition": 'attachment; filename="priemni.csv"'}
        return Response(text, media_type="text/csv", headers=head)

    async def calendar(self, request: Request, visitor: Visitor) -> Response:
        """The same as a calendar."""
        now = self._parts.now()
        written = write_ics(await self._store.receptions(since=now), now)
        head = {"Content-Disposition": 'attachment; filename="priemni.ics"'}
        return Response(written, media_type="text/calendar", headers=head)

    async def upload(self, request: Request, visitor: Visitor) -> Response:
        """Take a file whole, or say line by line why not."""
        upload = (await read_form(request)).get("file")
        data = await upload.read() if isinstance(upload, UploadFile) else b""
        if not isinstance(upload, UploadFile) or not data:
            return await self._refuse(request, visitor, (self._say("staff.csv.empty"),))
        if is_calendar(data) or (upload.filename or "").lower().endswith(".ics"):
            return await self._take_calendar(request, visitor, data)
        return await self._take_table(request, visitor, data)

    async def _take_table(self, request: Request, visitor: Visitor, data: bytes) -> Response:
        now = self._parts.now()
        took = await take_table(self._store, data, self._codes(), now, new_key)
        if took.problems:
            wrong = tuple(self._problem(it.line, it.column, f"csv.problem.{it.code}", it.params)
                          for it in took.problems)  # fmt: skip
            return await self._refuse(request, visitor, wrong)
        return await self._took(visitor, {"done": "imported"} | _figures(took))

    async def _take_calendar(self, request: Request, visitor: Visitor, data: bytes) -> Response:
        now = self._parts.now()
        took = await take_calendar(self._store, data, self._codes(), now, new_key)
        if took.problems:
            wrong = tuple(self._problem(it.line, it.name, _of_calendar(it.code), it.params)
                          for it in took.problems)  # fmt: skip
            return await self._refuse(request, visitor, wrong)
        told = {"done": "calendar"} | _figures(took)
        if took.until is not None:
            told["until"] = took.until.astimezone(ZONE).date().isoformat()
        return await self._took(visitor, told)

    async def _took(self, visitor: Visitor, told: Mapping[str, object]) -> Response:
        await self._store.audit(visitor.me.id, "reception.imported")
        return RedirectResponse(f"/staff?{urlencode(told)}", 303)

    def _problem(self, line: int, column: str, phrase: str, params: Mapping[str, Any]) -> str:
        what = self._say(f"staff.{phrase}", **params)
        where = [self._say("staff.csv.line", n=line)] if line else []
        where += [f"„{column}“"] if column else []
        return f"{', '.join(where)}: {what}" if where else what

    def _codes(self) -> Places:
        places = self._parts.content.places
        return {code: (it.ekatte, self._say(it.name)) for code, it in places.items()}


def _figures(took: TableResult | IcsResult) -> dict[str, object]:
    return {name: getattr(took, name) for name in FIGURES if hasattr(took, name)}


def _of_calendar(code: str) -> str:
    """The phrase of a calendar's mistake: as of one of duties, where it is the same."""
    return f"ics.problem.{code}" if code in OWN_CODES else f"duty.file.problem.{code}"
