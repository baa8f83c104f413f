"""The receptions: calendar and list, and their form."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import date, datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING

from babel.dates import format_date, format_skeleton
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from bot.neutral import topic_word
from bot.texts import ZONE
from bot.web.calendar_feed import FEED
from bot.web.fields import Say, read_day
from bot.web.login import Visitor, field, page, read_form, refusal
from bot.web.reception_files import FIGURES, ReceptionFiles
from bot.web.reception_form import FIELDS, Changed, digest_of, filled_in, revised, values_of
from bot.web.reception_waits import ReceptionWaits
from bot.web.staff_page import StaffPage
from dialogs.model import SOURCE_LANGUAGE
from scheduler.exchange import LONGEST
from scheduler.model import Reception, ReceptionState
from scheduler.plan import clashes, month_grid

if TYPE_CHECKING:
    from bot.web.app import WebParts

DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
DONE = frozenset(
    {"saved", "moved", "cancelled", "restored", "imported", "calendar", "called", "not_called"}
)
TOLD_FOR = timedelta(days=7)
"""For so long staff read that the line came back from a backup, and what is gone."""


def reception_pages(parts: WebParts) -> list[StaffPage]:
    """The receptions, for the team."""
    pages = ReceptionPages(parts)
    one = "/staff/receptions/{reception_id}"
    return [
        StaffPage("GET", "/staff", pages.home),
        *ReceptionFiles(parts, pages.refuse_file).pages(),
        StaffPage("GET", "/staff/receptions/new", pages.new),
        StaffPage("POST", "/staff/receptions/new", pages.save),
        StaffPage("GET", one, pages.edit),
        StaffPage("POST", one, pages.save),
        StaffPage("POST", f"{one}/cancel", pages.cancel),
        StaffPage("POST", f"{one}/restore", pages.restore),
    ]


class ReceptionPages:
    """What a form must hold is said by `filled_in`."""

    def __init__(self, parts: WebParts) -> None:
        self._parts = parts
        self._store = parts.store
        self._say: Say = partial(parts.texts.say, SOURCE_LANGUAGE)
        self._waits = ReceptionWaits(parts)
        self._places = {code: self._say(it.name) for code, it in parts.content.places.items()}

    # --- calendar and list ---------------------------------------------------------------

    async def home(self, request: Request, visitor: Visitor) -> Response:
        return await self._home(request, visitor)

    async def refuse_file(
        self, request: Request, visitor: Visitor, wrong: tuple[str, ...]
    ) -> Response:
        return await self._home(request, visitor, 422, wrong)

    async def _home(
        self, request: Request, visitor: Visitor, status: int = 200, wrong: tuple[str, ...] = ()
    ) -> Response:
        """The month; `wrong` are the mistakes of a file that was not taken."""
        today = self._parts.now().astimezone(ZONE).date()
        first = _month(request.query_params.get("month", "")) or today.replace(day=1)
        found = await self._store.receptions()
        waits = await self._waits.of(found)
        return page(
            self._parts,
            "staff/month.html",
            visitor,
            status,
            month=first,
            previous=_shift(first, -1),
            following=_shift(first, 1),
            today=today,
            weeks=month_grid(first.year, first.month, found, ZONE),
            rows=[it for it in found if _month_of(it) == first],
            look=Look(self._parts, self._places),
            days=DAYS,
            done=self._done(request),
            restored=await self._store.restored_since(self._parts.now() - TOLD_FOR),
            wrong=wrong,
            feed=f"{self._parts.public_url}{FEED}",
            waits=waits,
            late=[it for it in found if it.id in waits and waits[it.id].late],
            bells=self._parts.bells is not None,
        )

    def _done(self, request: Request) -> str | None:
        query = request.query_params
        if query.get("done") not in DONE:
            return None
        figures = {name: query.get(name, "0")[:6] for name in FIGURES}
        said = self._say(f"staff.done.{query['done']}", **figures)
        if figures["stay_cancelled"].strip("0"):
            said += " " + self._say("staff.done.stay_cancelled", n=figures["stay_cancelled"])
        until = read_day(query.get("until", ""))
        if until is not None:
            said += " " + self._say("staff.done.until", date=f"{until:%d.%m.%Y}")
        return said

    # --- the form ------------------------------------------------------------------------

    async def new(self, request: Request, visitor: Visitor) -> Response:
        day = request.query_params.get("day", "")
        values = {name: "" for name in FIELDS} | {"day": day if read_day(day) else ""}
        return self._form(visitor, values | {"from": "10:00", "to": "14:00"})

    async def edit(self, request: Request, visitor: Visitor) -> Response:
        reception = await self._reception(request)
        if reception is None:
            return refusal(self._parts, visitor, 404, "staff.error.no_reception")
        return self._form(visitor, values_of(reception), reception)

    async def save(self, request: Request, visitor: Visitor) -> Response:
        """Take the form: a new reception, or a changed one, which may become a moved one."""
        form, old = await read_form(request), None
        if "reception_id" in request.path_params:
            old = await self._reception(request)
            if old is None:
                return refusal(self._parts, visitor, 404, "staff.error.no_reception")
        filled = filled_in(form, old, self._places, self._parts.now(), self._say)
        new, seen = filled.reception, field(form, "seen")
        if new is None:
            return self._form(visitor, filled.values, old, filled.problems, seen=seen)
        questions = await self._questions(new)
        if questions and not field(form, "sure"):
            return self._form(visitor, filled.values, old, questions, sure=True, seen=seen)
        moved = new.state is ReceptionState.MOVED
        try:
            await self._store.revise_receptions(partial(revised, new, seen))
        except Changed as changed:
            return self._changed(visitor, changed.now, new)
        await self._store.audit(visitor.me.id, "reception.saved")
        return _to_month(new, "moved" if moved else "saved")

    async def _questions(self, new: Reception) -> dict[str, str]:
        """What may be meant, and is asked once before it is saved."""
        questions = {}
        for name in ("public_name", "place"):  # on posters; on locked phones
            if word := topic_word(self._parts.texts, getattr(new, name)):
                questions[name] = self._say("staff.problem.topic_word", word=word)
        others = clashes(new, await self._store.receptions(since=new.start))
        if others:
            name = self._places.get(others[0].municipality, others[0].municipality)
            questions["from"] = self._say("staff.problem.clash", name=name)
        return questions

    def _form(
        self,
        visitor: Visitor,
        values: Mapping[str, str],
        old: Reception | None = None,
        problems: Mapping[str, str] | None = None,
        sure: bool = False,
        seen: str | None = None,
        changed: bool = False,
    ) -> Response:
        """`seen`: the digest of what the form showed first, if not of what `old` is now."""
        return page(
            self._parts,
            "staff/form.html",
            visitor,
            409 if changed else 422 if problems else 200,
            values=values,
            old=old,
            seen=digest_of(old) if old and seen is None else seen,
            problems=problems or {},
            sure=sure,
            changed=changed,
            places=sorted(self._places.items(), key=lambda item: item[1]),
            limits=LONGEST,
            month=_month_of(old) if old else None,
            look=Look(self._parts, self._places),
        )

    def _changed(
        self, visitor: Visitor, now: Reception | None, hers: Reception | None = None
    ) -> Response:
        """The form as the reception is now, and where it differs, what stood in `hers`."""
        if now is None:
            return refusal(self._parts, visitor, 404, "staff.error.no_reception")
        values, typed = values_of(now), values_of(hers or now)
        yours = {it: self._yours(it, typed[it]) for it in FIELDS if typed[it] != values[it]}
        return self._form(visitor, values, now, yours, changed=True)

    def _yours(self, name: str, typed: str) -> str:
        text = self._places.get(typed, typed) if name == "municipality" else typed
        empty = self._say("staff.form.yours_empty")
        return self._say("staff.form.yours", text=text) if text else empty

    # --- cancel and restore --------------------------------------------------------------

    async def cancel(self, request: Request, visitor: Visitor) -> Response:
        return await self._set_state(request, visitor, ReceptionState.CANCELLED, "cancelled")

    async def restore(self, request: Request, visitor: Visitor) -> Response:
        return await self._set_state(request, visitor, ReceptionState.PLANNED, "restored")

    async def _set_state(
        self, request: Request, visitor: Visitor, state: ReceptionState, done: str
    ) -> Response:
        reception = await self._reception(request)
        if reception is None:
            return refusal(self._parts, visitor, 404, "staff.error.no_reception")
        seen = field(await read_form(request), "seen")
        try:
            new = replace(reception, state=state)
            await self._store.revise_receptions(partial(revised, new, seen))
        except Changed as changed:
            return self._changed(visitor, changed.now)
        await self._store.audit(visitor.me.id, f"reception.{done}")
        return _to_month(reception, done)

    async def _reception(self, request: Request) -> Reception | None:
        return await self._store.reception(request.path_params["reception_id"])


# --- words and addresses -------------------------------------------------------------------


class Look:
    """What the staff's templates say about a reception or an account."""

    def __init__(self, parts: WebParts, places: Mapping[str, str]) -> None:
        self._texts = parts.texts
        self._places = places
        self._now = parts.now()

    def municipality(self, it: Reception) -> str:
        return self._places.get(it.municipality, it.municipality)

    def when(self, it: Reception) -> str:
        return self._texts.when(SOURCE_LANGUAGE, it.start, it.end, self._now)

    def begins(self, it: Reception) -> str:
        return it.start.astimezone(ZONE).strftime("%H:%M")

    def state(self, it: Reception) -> str:
        """The state as a word's name: what is over is `past`, unless it was cancelled."""
        over = it.end < self._now and it.state is not ReceptionState.CANCELLED
        return "past" if over else it.state.value

    def month(self, day: date) -> str:
        return str(format_skeleton("yMMMM", day, locale=SOURCE_LANGUAGE))

    def day(self, day: date) -> str:
        return str(format_date(day, "long", locale=SOURCE_LANGUAGE))

    def short(self, at: datetime) -> str:
        return at.astimezone(ZONE).strftime("%d.%m.%Y")


def _month(written: str) -> date | None:
    return read_day(f"{written}-01")


def _month_of(it: Reception) -> date:
    return it.start.astimezone(ZONE).date().replace(day=1)


def _shift(first: date, months: int) -> date:
    return (first + timedelta(days=31 if months > 0 else -1)).replace(day=1)


def _to_month(it: Reception, done: str) -> RedirectResponse:
    return RedirectResponse(f"/staff?month={_month_of(it):%Y-%m}&done={done}", 303)
