"""The line as a whole: the stop switch, what did not go through, how the bell is set, and how fast
women were answered."""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import date, datetime
from functools import partial
from typing import TYPE_CHECKING, Any

from babel.dates import format_skeleton
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from bot.aside import SET_ASIDE
from bot.bell import answers
from bot.desk.figures import MonthFigures, figures_of
from bot.desk.words import age
from bot.storage.figures import EDGES
from bot.storage.records import SetAside
from bot.web.fields import Say
from bot.web.login import Visitor, page
from bot.web.staff_page import ADMIN, StaffPage
from dialogs.model import SOURCE_LANGUAGE

if TYPE_CHECKING:
    from bot.web.app import WebParts

HOME = "/staff/line"
DONE = frozenset({"stopped", "resumed"})
PLACES = frozenset({"telegram", "viber", "web", "desk", "store"})
"""Where something is set aside, as far as there is a name for it."""
MONTHS = 24
"""How many of the last months the table shows."""


def switchboard_pages(parts: WebParts) -> list[StaffPage]:
    """The line's page for the team; the switch for admins."""
    pages = SwitchboardPages(parts)
    return [
        StaffPage("GET", HOME, pages.home),
        StaffPage("GET", f"{HOME}/wrong", pages.wrong, quiet=True),
        StaffPage("POST", f"{HOME}/stop", pages.stop, ADMIN),
        StaffPage("POST", f"{HOME}/resume", pages.resume, ADMIN),
    ]


class SwitchboardPages:
    """Shows the line, stops it and lets it go on."""

    def __init__(self, parts: WebParts) -> None:
        self._parts = parts
        self._say: Say = partial(parts.texts.say, SOURCE_LANGUAGE)

    async def home(self, request: Request, visitor: Visitor) -> Response:
        store, done = self._parts.store, request.query_params.get("done", "")
        consultants = [each for each in await store.all_staff() if answers(each)]
        return page(
            self._parts,
            "staff/line.html",
            visitor,
            months=[figures_of(each) for each in (await store.waits())[:MONTHS]],
            look=FiguresLook(self._say),
            consultants=len(consultants),
            linked=sum(1 for each in consultants if each.has_bell),
            desk_bot=self._parts.bells is not None,
            done=self._say(f"staff.line.done.{done}") if done in DONE else None,
            **await self._wrong(),
        )

    async def wrong(self, request: Request, visitor: Visitor) -> Response:
        """What did not go through, for a page that is open."""
        return page(self._parts, "staff/_wrong.html", visitor, **await self._wrong())

    async def _wrong(self) -> dict[str, Any]:
        store, now = self._parts.store, self._parts.now()
        return {
            "undecided": await store.undecided(),
            "aside": await store.aside(now),
            "wrong": WrongLook(self._say, now),
        }

    async def stop(self, request: Request, visitor: Visitor) -> Response:
        return await self._set(visitor, True)

    async def resume(self, request: Request, visitor: Visitor) -> Response:
        return await self._set(visitor, False)

    async def _set(self, visitor: Visitor, stopped: bool) -> Response:
        done = "stopped" if stopped else "resumed"
        await self._parts.stop.set(stopped)
        await self._parts.store.audit(visitor.me.id, f"line.{done}")
        self._parts.changes.notify()
        return RedirectResponse(f"{HOME}?done={done}", 303)


class WrongLook:
    """What the template says about what did not go through, at this moment."""

    def __init__(self, say: Say, now: datetime) -> None:
        self._say = say
        self._now = now

    def age(self, since: datetime) -> str:
        return age(self._say, self._now - since)

    def channel(self, it: SetAside) -> str:
        return self._say(f"staff.wrong.channel.{it.channel if it.channel in PLACES else 'other'}")

    def what(self, it: SetAside) -> str:
        return self._say(f"staff.wrong.code.{it.code if it.code in SET_ASIDE else 'other'}")

    def times(self, it: SetAside) -> str:
        return self._say("staff.wrong.at_least", n=it.count) if it.at_least else str(it.count)


class FiguresLook:
    """What the template says about a month."""

    def __init__(self, say: Say) -> None:
        self._say = say

    def month(self, of: MonthFigures) -> str:
        first = date.fromisoformat(f"{of.month}-01")
        return str(format_skeleton("yMMMM", first, locale=SOURCE_LANGUAGE))

    def wait(self, seconds: float | None) -> str:
        """An upper edge in words: up to 5 minutes, over 3 days."""
        if seconds is None:
            return self._say("staff.line.wait.none")
        if seconds == math.inf:
            return self._say("staff.line.wait.over", n=EDGES[-1] // 86400)
        minutes = int(seconds) // 60
        if minutes < 60:
            return self._say("staff.line.wait.minutes", n=minutes)
        if minutes < 2 * 1440:
            hours = f"{minutes / 60:g}".replace(".", ",")
            return self._say("staff.line.wait.hours", n=hours)
        return self._say("staff.line.wait.days", n=minutes // 1440)

    def most(self, months: Sequence[MonthFigures]) -> int:
        """The largest number of one month: the bars are measured by it."""
        return max((each.answered + each.unanswered for each in months), default=0)
