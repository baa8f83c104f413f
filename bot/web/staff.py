"""The staff pages: the receptions as calendar and list, their form, CSV in and out, accounts."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time, timedelta
from functools import partial
from typing import TYPE_CHECKING, Any

from babel.dates import format_date, format_skeleton
from starlette.datastructures import FormData, UploadFile
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import BaseRoute, Route

from bot.storage.records import Role
from bot.texts import ZONE
from bot.web.login import Visitor, field, guarded, new_key, page, read_form, refusal
from dialogs.model import SOURCE_LANGUAGE
from scheduler.exchange import LONGEST, read_csv, write_csv
from scheduler.model import Reception, ReceptionState
from scheduler.plan import clashes, month_grid

if TYPE_CHECKING:
    from bot.web.app import WebParts

TEXTS = ("place", "landmark", "attends", "public_name")
FIELDS = ("municipality", "day", "from", "to", *TEXTS)
LONGEST_DAY = timedelta(hours=12)
FARTHEST = timedelta(days=731)
DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
DONE = frozenset({"saved", "moved", "cancelled", "restored", "imported"})

_DATES = ("%Y-%m-%d", "%d.%m.%Y", "%d.%m.%Y г.")
_KEY = re.compile(r"[0-9a-f]{24}")

Say = Callable[..., str]
Act = Callable[[Request, Visitor], Awaitable[Response]]


def staff_routes(parts: WebParts) -> list[BaseRoute]:
    """Everything under `/staff`."""
    pages = StaffPages(parts)
    one = "/staff/receptions/{reception_id}"
    team, admin = (Role.STAFF, Role.ADMIN), (Role.ADMIN,)
    routes: list[tuple[str, str, Act, tuple[Role, ...]]] = [
        ("GET", "/staff", pages.home, team),
        ("GET", "/staff/receptions.csv", pages.download, team),
        ("POST", "/staff/receptions/import", pages.upload, team),
        ("GET", "/staff/receptions/new", pages.new, team),
        ("POST", "/staff/receptions/new", pages.save, team),
        ("GET", one, pages.edit, team),
        ("POST", one, pages.save, team),
        ("POST", f"{one}/cancel", pages.cancel, team),
        ("POST", f"{one}/restore", pages.restore, team),
        ("GET", "/staff/accounts", pages.accounts, admin),
    ]
    return [
        Route(path, guarded(parts, _only(parts, act, roles)), methods=[method])
        for method, path, act, roles in routes
    ]


def _only(parts: WebParts, act: Act, roles: tuple[Role, ...]) -> Act:
    """Refuse, and note in the audit, whoever has none of these roles."""

    async def handler(request: Request, visitor: Visitor) -> Response:
        if visitor.is_a(*roles):
            return await act(request, visitor)
        await parts.store.audit(visitor.me.id, "refused.role")
        return refusal(parts, visitor, 403, "staff.error.not_allowed")

    return handler


class StaffPages:
    """The pages; what a form must hold is said by `filled_in`."""

    def __init__(self, parts: WebParts) -> None:
        self._parts = parts
        self._store = parts.store
        self._say: Say = partial(parts.texts.say, SOURCE_LANGUAGE)
        self._places = {code: self._say(it.name) for code, it in parts.content.places.items()}

    # --- calendar and list ---------------------------------------------------------------

    async def home(self, request: Request, visitor: Visitor) -> Response:
        return await self._home(request, visitor)

    async def _home(
        self, request: Request, visitor: Visitor, status: int = 200, wrong: tuple[str, ...] = ()
    ) -> Response:
        """The month; `wrong` are the mistakes of a file that was not taken."""
        today = self._parts.now().astimezone(ZONE).date()
        first = _month(request.query_params.get("month", "")) or today.replace(day=1)
        found = await self._store.receptions()
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
            wrong=wrong,
        )

    def _done(self, request: Request) -> str | None:
        query = request.query_params
        if query.get("done") not in DONE:
            return None
        figures = {name: query.get(name, "0")[:6] for name in ("added", "changed")}
        return self._say(f"staff.done.{query['done']}", **figures)

    # --- the form ------------------------------------------------------------------------

    async def new(self, request: Request, visitor: Visitor) -> Response:
        day = request.query_params.get("day", "")
        values = {name: "" for name in FIELDS} | {"day": day if _day(day) else ""}
        return self._form(visitor, values | {"from": "10:00", "to": "14:00"})

    async def edit(self, request: Request, visitor: Visitor) -> Response:
        reception = await self._reception(request)
        if reception is None:
            return refusal(self._parts, visitor, 404, "staff.error.no_reception")
        return self._form(visitor, _values(reception), reception)

    async def save(self, request: Request, visitor: Visitor) -> Response:
        """Take the form: a new reception, or a changed one, which may become a moved one."""
        form, old = await read_form(request), None
        if "reception_id" in request.path_params:
            old = await self._reception(request)
            if old is None:
                return refusal(self._parts, visitor, 404, "staff.error.no_reception")
        filled = filled_in(form, old, self._places, self._parts.now(), self._say)
        if filled.reception is None:
            return self._form(visitor, filled.values, old, filled.problems)
        questions = await self._questions(filled.reception)
        if questions and not field(form, "sure"):
            return self._form(visitor, filled.values, old, questions, sure=True)
        new = filled.reception
        moved = new.state is ReceptionState.MOVED
        await self._store.save_receptions([new])
        await self._store.audit(visitor.me.id, "reception.saved")
        return _to_month(new, "moved" if moved else "saved")

    async def _questions(self, new: Reception) -> dict[str, str]:
        """What may be meant, and is asked once before it is saved."""
        questions = {}
        word = topic_word(new.public_name, self._say("staff.topic_words"))
        if word:
            questions["public_name"] = self._say("staff.problem.topic_word", word=word)
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
    ) -> Response:
        return page(
            self._parts,
            "staff/form.html",
            visitor,
            422 if problems else 200,
            values=values,
            old=old,
            problems=problems or {},
            sure=sure,
            places=sorted(self._places.items(), key=lambda item: item[1]),
            limits=LONGEST,
            month=_month_of(old) if old else None,
            look=Look(self._parts, self._places),
        )

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
        await self._store.save_receptions([replace(reception, state=state)])
        await self._store.audit(visitor.me.id, f"reception.{done}")
        return _to_month(reception, done)

    async def _reception(self, request: Request) -> Reception | None:
        return await self._store.reception(request.path_params["reception_id"])

    # --- files ---------------------------------------------------------------------------

    async def download(self, request: Request, visitor: Visitor) -> Response:
        """What is still to come: a file that holds only it can be uploaded again as it is."""
        coming = await self._store.receptions(since=self._parts.now())
        text = write_csv(coming, self._codes(), spreadsheet=True)
        head = {"Content-Disposition": 'attachment; filename="priemni.csv"'}
        return Response(text, media_type="text/csv", headers=head)

    async def upload(self, request: Request, visitor: Visitor) -> Response:
        """Take a file whole, or say line by line why not."""
        upload = (await read_form(request)).get("file")
        data = await upload.read() if isinstance(upload, UploadFile) else b""
        if not data:
            return await self._home(request, visitor, 422, (self._say("staff.csv.empty"),))
        result = read_csv(data, self._codes(), self._parts.now(), new_key)
        if result.problems:
            wrong = tuple(self._problem(it.line, it.column, it.code, it.params)
                          for it in result.problems)  # fmt: skip
            return await self._home(request, visitor, 422, wrong)
        new = [after_change(await self._store.reception(it.id), it) for it in result.receptions]
        added, changed = await self._store.save_receptions(new)
        await self._store.audit(visitor.me.id, "reception.imported")
        return RedirectResponse(f"/staff?done=imported&added={added}&changed={changed}", 303)

    def _problem(self, line: int, column: str, code: str, params: Mapping[str, Any]) -> str:
        what = self._say(f"staff.csv.problem.{code}", **params)
        where = [self._say("staff.csv.line", n=line)] if line else []
        where += [f"„{column}“"] if column else []
        return f"{', '.join(where)}: {what}" if where else what

    def _codes(self) -> dict[str, tuple[str, str]]:
        places = self._parts.content.places
        return {code: (places[code].ekatte, name) for code, name in self._places.items()}

    # --- people --------------------------------------------------------------------------

    async def accounts(self, request: Request, visitor: Visitor) -> Response:
        people = await self._store.all_staff()
        look = Look(self._parts, self._places)
        return page(self._parts, "staff/accounts.html", visitor, people=people, look=look)


# --- what a form must hold -----------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Filled:
    """What was written, and either the reception it makes or what is wrong, by field."""

    values: Mapping[str, str]
    problems: Mapping[str, str]
    reception: Reception | None = None


def filled_in(
    form: FormData, old: Reception | None, places: Mapping[str, str], now: datetime, say: Say
) -> Filled:
    """Read the form of a reception. The form's key is a new one's id: sent twice, kept once."""
    values = {name: " ".join(field(form, name).split())[:500] for name in FIELDS}
    problems = {name: say(f"staff.problem.{name}") for name in ("municipality", "day", "place")
                if not values[name]}  # fmt: skip
    if values["municipality"] not in places:
        problems["municipality"] = say("staff.problem.municipality")
    for name in TEXTS:
        if len(values[name]) > LONGEST[name]:
            problems[name] = say("staff.problem.long_text", n=LONGEST[name])
    start, end = _times(values, old, now, problems, say)
    if problems or start is None or end is None:
        ordered = {name: problems[name] for name in FIELDS if name in problems}
        return Filled(values, ordered)
    key = field(form, "key")
    new = Reception(
        id=old.id if old else (key if _KEY.fullmatch(key) else new_key()),
        municipality=values["municipality"],
        start=start,
        end=end,
        state=old.state if old else ReceptionState.PLANNED,
        **{name: values[name] for name in TEXTS},
    )
    return Filled(values, {}, after_change(old, new))


def after_change(old: Reception | None, new: Reception) -> Reception:
    """A planned reception whose time or place changed is a moved one."""
    if old is None or new.state is not ReceptionState.PLANNED:
        return new
    same = all(
        getattr(old, name) == getattr(new, name)
        for name in ("municipality", "place", "start", "end")
    )
    return new if same else replace(new, state=ReceptionState.MOVED)


def topic_word(name: str, words: str) -> str | None:
    """The first word of a public name that tells what the line is about, or None."""
    beginnings = tuple(word.strip().casefold() for word in words.split(",") if word.strip())
    found: list[str] = re.findall(r"\w+", name)
    return next((word for word in found if word.casefold().startswith(beginnings)), None)


def _times(
    values: Mapping[str, str],
    old: Reception | None,
    now: datetime,
    problems: dict[str, str],
    say: Say,
) -> tuple[datetime | None, datetime | None]:
    day = _day(values["day"])
    if day is None:
        problems["day"] = say("staff.problem.day")
        return None, None
    moments = {name: _moment(day, name, values[name], problems, say) for name in ("from", "to")}
    start, end = moments["from"], moments["to"]
    if start is None or end is None:
        return None, None
    if end <= start:
        problems["to"] = say("staff.problem.end_before_start")
    elif end - start > LONGEST_DAY:
        problems["to"] = say("staff.problem.too_long")
    elif start < now and (old is None or old.start != start):
        problems["day"] = say("staff.problem.past")
    elif start - now > FARTHEST:
        problems["day"] = say("staff.problem.too_far")
    return start, end


def _moment(
    day: date, name: str, written: str, problems: dict[str, str], say: Say
) -> datetime | None:
    """That time of that day in UTC; of an hour that comes twice in the autumn, the first."""
    found = re.fullmatch(r"([01]?\d|2[0-3])[:.]([0-5]\d)", written, re.ASCII)
    if found is None:
        problems[name] = say(f"staff.problem.{name}")
        return None
    local = datetime.combine(day, time(int(found[1]), int(found[2])), ZONE)
    moment = local.astimezone(UTC)
    if moment.astimezone(ZONE).replace(tzinfo=None) != local.replace(tzinfo=None):
        problems[name] = say("staff.problem.gap")
        return None
    return moment


def _day(written: str) -> date | None:
    for pattern in _DATES:
        try:
            day = datetime.strptime(written, pattern).date()  # noqa: DTZ007
        except ValueError:
            continue
        return day if 2000 <= day.year <= 2200 else None
    return None


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


def _values(it: Reception) -> dict[str, str]:
    start, end = it.start.astimezone(ZONE), it.end.astimezone(ZONE)
    when = {"day": f"{start:%Y-%m-%d}", "from": f"{start:%H:%M}", "to": f"{end:%H:%M}"}
    return {"municipality": it.municipality, **when} | {name: getattr(it, name) for name in TEXTS}


def _month(written: str) -> date | None:
    return _day(f"{written}-01")


def _month_of(it: Reception) -> date:
    return it.start.astimezone(ZONE).date().replace(day=1)


def _shift(first: date, months: int) -> date:
    return (first + timedelta(days=31 if months > 0 else -1)).replace(day=1)


def _to_month(it: Reception, done: str) -> RedirectResponse:
    return RedirectResponse(f"/staff?month={_month_of(it):%Y-%m}&done={done}", 303)
