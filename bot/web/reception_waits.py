"""How many women wait for a reception, and whom to ring where a change comes too late for some."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from bot.bell import answers
from bot.texts import ZONE
from bot.web.broadcasts import women
from bot.web.fields import Say
from bot.web.login import Visitor, refusal
from bot.web.staff_page import StaffPage
from dialogs.model import SOURCE_LANGUAGE
from scheduler.duty import on_duty
from scheduler.model import Reception

if TYPE_CHECKING:
    from bot.web.app import WebParts


@dataclass(frozen=True, slots=True)
class Waits:
    """In words, as staff may read them: small groups are not counted out.

    `late`: for how many a change comes too late; empty where it comes in time for everybody.
    """

    women: str
    late: str


def wait_pages(parts: WebParts) -> list[StaffPage]:
    """The ring that a change may need."""
    path = "/staff/receptions/{reception_id}/call"
    return [StaffPage("POST", path, ReceptionWaits(parts).call)]


class ReceptionWaits:
    """Counts those who wait, and rings the consultants who can tell them."""

    def __init__(self, parts: WebParts) -> None:
        self._parts = parts
        self._store = parts.store
        self._say: Say = partial(parts.texts.say, SOURCE_LANGUAGE)

    async def of(self, receptions: Iterable[Reception]) -> dict[str, Waits]:
        """By the id of each reception that is not over, or of which a change has still to be told.

        (Somebody may set out for a date that was moved to an earlier one, and past.)
        """
        now, found = self._parts.now(), list(receptions)
        late = await self._store.late_by()
        shown = [it.id for it in found if it.end > now or it.id in late]
        waiting = await self._store.reminded_by(shown)
        return {each: self._told(waiting.get(each, 0), late.get(each, 0)) for each in shown}

    def _told(self, waiting: int, late: int) -> Waits:
        return Waits(women(self._say, waiting), women(self._say, late) if late else "")

    async def call(self, request: Request, visitor: Visitor) -> Response:
        """Ring the consultants on duty, or all of them where nobody is; without a word."""
        reception = await self._store.reception(request.path_params["reception_id"])
        if reception is None:
            return refusal(self._parts, visitor, 404, "staff.error.no_reception")
        rung = await self._ring(reception)
        await self._store.audit(visitor.me.id, "reception.called")
        done, month = "called" if rung else "not_called", reception.start.astimezone(ZONE)
        return RedirectResponse(f"/staff?month={month:%Y-%m}&done={done}", 303)

    async def _ring(self, reception: Reception) -> bool:
        if self._parts.bells is None:
            return False
        members = await self._store.all_staff()
        consultants = frozenset(each.id for each in members if answers(each))
        there = on_duty(await self._store.duty(), self._parts.now(), ZONE) & consultants
        whom = there or consultants
        bells = [bell for bell in await self._store.bells() if bell.staff_id in whom]
        return bool(await self._parts.bells.ring(bells, f"reception:{reception.id}"))
