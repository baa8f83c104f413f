"""The broadcasts: words for the women who wait for a reception, approved by a second person."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from functools import partial
from itertools import groupby
from typing import TYPE_CHECKING, Any

from starlette.datastructures import FormData
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from bot.broadcasts import (
    LONGEST,
    Changed,
    Expired,
    NoBroadcast,
    NotNow,
    Problem,
    first_words,
    rough,
    tidy,
)
from bot.storage.mail_records import Audience, Broadcast, BroadcastState, NotAuthor, OwnBroadcast
from bot.storage.records import StoreError
from bot.web.fields import Say
from bot.web.login import Visitor, field, page, read_form, refusal
from bot.web.staff_page import StaffPage
from dialogs.model import SOURCE_LANGUAGE

if TYPE_CHECKING:
    from bot.web.app import WebParts

HOME = "/staff/broadcasts"
DONE = frozenset({"saved", "proposed", "approved", "paused", "resumed", "cancelled"})
FIGURES = ("delivered", "unknown", "gone", "held", "failed")
"""What becomes of a message, in the order in which it is told."""
GOING = (BroadcastState.RUNNING, BroadcastState.PAUSED)
_REFUSED: dict[type[StoreError], str] = {
    OwnBroadcast: "own",
    NotAuthor: "not_author",
    Changed: "changed",
    Expired: "expired",
    NotNow: "not_now",
}


def broadcast_pages(parts: WebParts) -> list[StaffPage]:
    """The broadcasts, for the team."""
    pages = BroadcastPages(parts)
    one = f"{HOME}/{{broadcast_id}}"
    return [
        StaffPage("GET", HOME, pages.home),
        StaffPage("GET", f"{HOME}/new", pages.new),
        StaffPage("POST", f"{HOME}/new", pages.save),
        StaffPage("GET", one, pages.one),
        StaffPage("GET", f"{one}/edit", pages.edit),
        StaffPage("POST", f"{one}/edit", pages.save),
        StaffPage("GET", f"{one}/progress", pages.progress, quiet=True),
        StaffPage("POST", f"{one}/propose", pages.propose),
        StaffPage("POST", f"{one}/approve", pages.approve),
        StaffPage("POST", f"{one}/pause", pages.pause),
        StaffPage("POST", f"{one}/resume", pages.resume),
        StaffPage("POST", f"{one}/cancel", pages.cancel),
    ]


class BroadcastPages:
    """Who may do what, and what may be said, is the service's business (`bot.broadcasts`)."""

    def __init__(self, parts: WebParts) -> None:
        self._parts = parts
        self._broadcasts = parts.broadcasts
        self._say: Say = partial(parts.texts.say, SOURCE_LANGUAGE)

    # --- pages ---------------------------------------------------------------------------

    async def home(self, request: Request, visitor: Visitor) -> Response:
        return page(
            self._parts,
            "staff/broadcasts.html",
            visitor,
            found=await self._broadcasts.all(),
            look=await self._look(),
        )

    async def new(self, request: Request, visitor: Visitor) -> Response:
        audience = Audience(frozenset(), frozenset(), frozenset(self._broadcasts.channels))
        return await self._form(visitor, audience, {})

    async def edit(self, request: Request, visitor: Visitor) -> Response:
        try:
            found = await self._broadcasts.of(request.path_params["broadcast_id"])
        except NoBroadcast:
            return self._none(visitor)
        if found.state not in (BroadcastState.DRAFT, BroadcastState.PROPOSED):
            return await self._one(visitor, found, "not_now")
        return await self._form(visitor, found.audience, found.texts, found)

    async def save(self, request: Request, visitor: Visitor) -> Response:
        """Take the form: a new draft, or a changed one, of which no approval counts any more."""
        form, old = await read_form(request), None
        try:
            if "broadcast_id" in request.path_params:
                old = await self._broadcasts.of(request.path_params["broadcast_id"])
            texts = written(form, self._parts.content.languages)
            audience = Audience(_ticked(form, "municipalities"), frozenset(texts),
                                _ticked(form, "channels"))  # fmt: skip
            problems = self._broadcasts.problems(audience, texts)
            if problems:
                return await self._form(visitor, audience, texts, old, problems)
            kept = await self._broadcasts.save(
                visitor.me.id, audience, texts, old.id if old else None
            )
        except StoreError as error:
            return await self._refused(request, visitor, error)
        return _to(kept.id, "saved")

    async def one(self, request: Request, visitor: Visitor) -> Response:
        done = request.query_params.get("done", "")
        try:
            found = await self._broadcasts.of(request.path_params["broadcast_id"])
        except NoBroadcast:
            return self._none(visitor)
        return await self._one(visitor, found, done=done if done in DONE else "")

    async def progress(self, request: Request, visitor: Visitor) -> Response:
        """How far it is, for a page that is open."""
        try:
            told = await self._broadcasts.progress(request.path_params["broadcast_id"])
        except NoBroadcast:
            return self._none(visitor)
        return page(
            self._parts,
            "staff/_broadcast_progress.html",
            visitor,
            it=told.broadcast,
            progress=told,
            figures=FIGURES,
            look=await self._look(),
        )

    # --- what is done with it ------------------------------------------------------------

    async def propose(self, request: Request, visitor: Visitor) -> Response:
        return await self._act(request, visitor, "proposed")

    async def approve(self, request: Request, visitor: Visitor) -> Response:
        return await self._act(request, visitor, "approved")

    async def pause(self, request: Request, visitor: Visitor) -> Response:
        return await self._act(request, visitor, "paused")

    async def resume(self, request: Request, visitor: Visitor) -> Response:
        return await self._act(request, visitor, "resumed")

    async def cancel(self, request: Request, visitor: Visitor) -> Response:
        return await self._act(request, visitor, "cancelled")

    async def _act(self, request: Request, visitor: Visitor, done: str) -> Response:
        service, me = self._broadcasts, visitor.me.id
        wanted = request.path_params["broadcast_id"]
        try:
            match done:
                case "proposed":
                    await service.propose(me, wanted)
                case "approved":
                    seen = field(await read_form(request), "digest")
                    await service.approve(me, wanted, seen)
                case "paused":
                    await service.pause(me, wanted)
                case "resumed":
                    await service.resume(me, wanted)
                case "cancelled":
                    await service.cancel(me, wanted)
        except StoreError as error:
            return await self._refused(request, visitor, error)
        return _to(wanted, done)

    async def _refused(self, request: Request, visitor: Visitor, error: StoreError) -> Response:
        """The page as it is now, with one sentence on why nothing was done."""
        found = await self._parts.store.broadcast(request.path_params.get("broadcast_id", ""))
        told = next((text for kind, text in _REFUSED.items() if isinstance(error, kind)), None)
        if found is None or told is None:
            return self._none(visitor)
        return await self._one(visitor, found, told)

    # --- helpers -------------------------------------------------------------------------

    async def _one(
        self, visitor: Visitor, found: Broadcast, wrong: str = "", done: str = ""
    ) -> Response:
        service, started = self._broadcasts, found.started_at is not None
        open_ = found.state in (BroadcastState.DRAFT, BroadcastState.PROPOSED)
        previews = await service.previews(found) if open_ else []
        return page(
            self._parts,
            "staff/broadcast.html",
            visitor,
            409 if wrong else 200,
            it=found,
            previews=[(code, list(each)) for code, each in groupby(previews, _language)],
            estimate=await service.estimate(found.audience) if open_ else None,
            until=service.approvable_until(found),
            mine=found.created_by == visitor.me.id,
            progress=await service.progress(found.id) if started else None,
            going=found.state in GOING,
            figures=FIGURES,
            look=await self._look(),
            wrong=self._say(f"staff.broadcast.error.{wrong}") if wrong else None,
            done=self._say(f"staff.broadcast.done.{done}") if done else None,
        )

    async def _form(
        self,
        visitor: Visitor,
        audience: Audience,
        texts: Mapping[str, str],
        old: Broadcast | None = None,
        problems: Sequence[Problem] = (),
    ) -> Response:
        told: dict[str, str] = {}
        for it in problems:
            words = self._say(f"staff.broadcast.problem.{it.code}", **it.params)
            told[it.at] = f"{told[it.at]} {words}" if it.at in told else words
        return page(
            self._parts,
            "staff/broadcast_form.html",
            visitor,
            422 if told else 200,
            old=old,
            audience=audience,
            texts=texts,
            problems=told,
            languages=self._parts.content.languages,
            channels=self._broadcasts.channels,
            longest=LONGEST,
            look=await self._look(),
        )

    def _none(self, visitor: Visitor) -> Response:
        return refusal(self._parts, visitor, 404, "staff.broadcast.error.none")

    async def _look(self) -> BroadcastLook:
        people = {each.id: each.login for each in await self._parts.store.all_staff()}
        return BroadcastLook(self._parts, people)


class BroadcastLook:
    """What the templates say about a broadcast, at this moment."""

    def __init__(self, parts: WebParts, people: Mapping[str, str]) -> None:
        self._say: Say = partial(parts.texts.say, SOURCE_LANGUAGE)
        self._parts = parts
        self._people = people
        self._now = parts.now()

    @property
    def places(self) -> list[tuple[str, str]]:
        """Code and name of each municipality, by name."""
        places = self._parts.content.places
        named = [(code, self._say(it.name)) for code, it in places.items()]
        return sorted(named, key=lambda it: it[1])

    @property
    def ticks(self) -> list[tuple[str, str, str]]:
        return [(code, name, "") for code, name in self.places]

    def women(self, count: int) -> str:
        return women(self._say, count)

    def who(self, staff_id: str | None) -> str:
        return self._people.get(staff_id or "", "") or self._say("staff.broadcast.nobody")

    def state(self, it: Broadcast) -> str:
        """The state as a word's name: what nobody approved in time is a draft again."""
        late = self._parts.broadcasts.approvable_until(it) is None
        return "late" if it.state is BroadcastState.PROPOSED and late else it.state.value

    def first(self, it: Broadcast) -> str:
        return first_words(it.texts, self._parts.content.languages)

    def municipalities(self, it: Broadcast) -> str:
        names = [name for code, name in self.places if code in it.audience.municipalities]
        return ", ".join(names) or self._say("staff.broadcast.everywhere")

    def languages(self, it: Broadcast) -> str:
        known = [each for each in self._parts.content.languages if each in it.texts]
        return ", ".join(self._say(f"desk.language.{each}") for each in known)

    def channels(self, it: Broadcast) -> str:
        return ", ".join(self._say(f"desk.channel.{each}") for each in sorted(it.audience.channels))

    def at(self, moment: datetime) -> str:
        return self._parts.texts.moment(SOURCE_LANGUAGE, moment, self._now)

    def lasts(self, span: timedelta) -> str:
        """How long something takes, in the next larger unit that says enough."""
        minutes = -(-int(span.total_seconds()) // 60)
        if minutes <= 1:
            return self._say("staff.broadcast.lasts.minute")
        if minutes <= 120:
            return self._say("staff.broadcast.lasts.minutes", n=minutes)
        return self._say("staff.broadcast.lasts.hours", n=-(-minutes // 60))


def women(say: Say, count: int) -> str:
    """How many women, as staff may read it: under ten, or at least so many tens."""
    tens = rough(count)
    return say("staff.broadcast.many", n=tens) if tens else say("staff.broadcast.few")


def written(form: FormData, languages: Sequence[str]) -> dict[str, str]:
    """The words in the form, by language; where none stand, that language gets none."""
    texts = {each: tidy(field(form, f"text-{each}")) for each in languages}
    return {language: text for language, text in texts.items() if text}


def _ticked(form: FormData, name: str) -> frozenset[str]:
    return frozenset(str(each) for each in form.getlist(name))


def _language(it: Any) -> str:
    return str(it.language)


def _to(broadcast_id: str, done: str) -> RedirectResponse:
    return RedirectResponse(f"{HOME}/{broadcast_id}?done={done}", 303)
