"""The web desk: the list of cases, one open case, and the news that something changed.

Pages are whole without a script; `desk.js` asks for the same regions (`data-live`) again when
`/desk/live` says that something changed, and swaps what differs.
"""

from __future__ import annotations

import asyncio
import unicodedata
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, Any

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response, StreamingResponse
from starlette.routing import BaseRoute, Route

from bot.desk.service import (
    MAX_WORDS,
    UNSETTLED,
    CaseView,
    EmptyText,
    NoSuchCase,
    NotAllowed,
    NothingToDecide,
    TextTooLong,
)
from bot.storage.records import (
    Author,
    Case,
    CaseClosed,
    CaseMessage,
    CaseState,
    MessageState,
    NotYours,
)
from bot.texts import ZONE
from bot.web.login import Visitor, field, guarded, page, read_form, refusal, visitor_of
from dialogs.model import SOURCE_LANGUAGE

if TYPE_CHECKING:
    from bot.web.app import WebParts


HEARTBEAT = 20.0
"""Seconds after which an idle live connection shows that it stands, and checks its session."""

REFUSALS: dict[type[Exception], tuple[int, str]] = {
    NotAllowed: (403, "desk.error.not_allowed"),
    NotYours: (403, "desk.error.not_yours"),
    NoSuchCase: (404, "desk.error.no_such_case"),
    CaseClosed: (409, "desk.error.case_closed"),
    NothingToDecide: (409, "desk.error.nothing_to_decide"),
    EmptyText: (422, "desk.error.empty_text"),
    TextTooLong: (422, "desk.error.text_too_long"),
}

Act = Callable[[Request, Visitor, str], Awaitable[Response]]


def desk_routes(parts: WebParts) -> list[BaseRoute]:
    """Everything under `/desk`."""
    pages = DeskPages(parts)
    case = "/desk/case/{case_id}"
    message = f"{case}/message/{{message_id}}"
    gets: list[tuple[str, Act, bool]] = [
        ("/desk", pages.home, False),
        ("/desk/list", pages.cases, True),
        ("/desk/live", pages.live, True),
        (case, pages.case, False),
        (f"{case}/live", pages.case_again, True),
    ]
    posts: list[tuple[str, Act, bool]] = [
        (f"{case}/claim", pages.claim, False),
        (f"{case}/reply", pages.reply, False),
        (f"{case}/note", pages.note, False),
        (f"{case}/close", pages.close, False),
        (f"{case}/looked", pages.looked, True),
        (f"{message}/resend", pages.resend, False),
        (f"{message}/drop", pages.drop, False),
    ]
    return [
        Route(path, guarded(parts, _refusing(parts, act), quiet), methods=[method])
        for method, routes in (("GET", gets), ("POST", posts))
        for path, act, quiet in routes
    ]


def _refusing(parts: WebParts, act: Act) -> Callable[[Request, Visitor], Awaitable[Response]]:
    """What the service refuses becomes a page that says why."""

    async def handler(request: Request, visitor: Visitor) -> Response:
        try:
            return await act(request, visitor, request.path_params.get("case_id", ""))
        except tuple(REFUSALS) as error:
            return refusal(parts, visitor, *REFUSALS[type(error)])

    return handler


class DeskPages:
    """The desk's pages and acts; who may do what is the service's business."""

    def __init__(self, parts: WebParts) -> None:
        self._parts = parts
        self._desk = parts.desk
        self._words = Words(parts)

    # --- pages ---------------------------------------------------------------------------

    async def home(self, request: Request, visitor: Visitor, _: str) -> Response:
        return await self._page(visitor)

    async def cases(self, request: Request, visitor: Visitor, _: str) -> Response:
        """The list alone, for a page that is open."""
        lists = await self._lists(visitor)
        opened = request.query_params.get("open", "")
        return page(self._parts, "desk/_list.html", visitor, opened=opened, **lists)

    async def case(self, request: Request, visitor: Visitor, case_id: str) -> Response:
        view = await self._desk.open(visitor.me, case_id)
        if view.case.state is not CaseState.WAITING:
            await self._desk.looked(visitor.me, case_id)
        return await self._page(visitor, view)

    async def case_again(self, request: Request, visitor: Visitor, case_id: str) -> Response:
        """The open case's regions, for a page that is open."""
        view = await self._desk.open(visitor.me, case_id)
        return page(
            self._parts, "desk/_case.html", visitor, view=view, words=self._words, draft={},
            problem=None, limit=MAX_WORDS,
        )  # fmt: skip

    async def live(self, request: Request, visitor: Visitor, _: str) -> Response:
        await self._desk.waiting(visitor.me)  # refuses whoever is no consultant
        return StreamingResponse(
            self._news(request),
            media_type="text/event-stream",
            headers={"X-Accel-Buffering": "no"},
        )

    async def _news(self, request: Request) -> AsyncIterator[str]:
        """Says that something changed, never what; ends with the session."""
        async with self._parts.changes.listen() as changed:
            yield "retry: 2000\n\ndata: change\n\n"
            # Shielded: a query cut off by a closed page leaves a connection that hangs the exit.
            while await asyncio.shield(visitor_of(self._parts, request, active=False)):
                try:
                    await asyncio.wait_for(changed.wait(), HEARTBEAT)
                except TimeoutError:
                    yield ":\n\n"
                else:
                    changed.clear()
                    yield "data: change\n\n"

    # --- acts ----------------------------------------------------------------------------

    async def claim(self, request: Request, visitor: Visitor, case_id: str) -> Response:
        if await self._desk.claim(visitor.me, case_id):
            return _to_case(case_id)
        return page(self._parts, "desk/taken.html", visitor, 409)

    async def reply(self, request: Request, visitor: Visitor, case_id: str) -> Response:
        return await self._write(request, visitor, case_id, "reply")

    async def note(self, request: Request, visitor: Visitor, case_id: str) -> Response:
        return await self._write(request, visitor, case_id, "note")

    async def _write(self, request: Request, visitor: Visitor, case_id: str, kind: str) -> Response:
        """Store a reply or a note; what cannot be stored stands in its box again."""
        form = await read_form(request)
        text, key = field(form, "text"), field(form, "key")
        act = self._desk.reply if kind == "reply" else self._desk.note
        try:
            await act(visitor.me, case_id, text, key)
        except (EmptyText, TextTooLong, CaseClosed) as error:
            view = await self._desk.open(visitor.me, case_id)
            status, problem = REFUSALS[type(error)]
            return await self._page(visitor, view, status, problem, {kind: text})
        return _to_case(case_id)

    async def close(self, request: Request, visitor: Visitor, case_id: str) -> Response:
        await self._desk.close(visitor.me, case_id)
        return _to_case(case_id)

    async def looked(self, request: Request, visitor: Visitor, case_id: str) -> Response:
        await self._desk.looked(visitor.me, case_id)
        return Response(status_code=204)

    async def resend(self, request: Request, visitor: Visitor, case_id: str) -> Response:
        await self._desk.resend(visitor.me, case_id, request.path_params["message_id"])
        return _to_case(case_id)

    async def drop(self, request: Request, visitor: Visitor, case_id: str) -> Response:
        await self._desk.drop(visitor.me, case_id, request.path_params["message_id"])
        return _to_case(case_id)

    # --- putting a page together ---------------------------------------------------------

    async def _lists(self, visitor: Visitor) -> dict[str, Any]:
        waiting, mine = await self._desk.waiting(visitor.me), await self._desk.mine(visitor.me)
        still_open = [case for case in mine if case.state is not CaseState.CLOSED]
        return {
            "waiting": waiting,
            "mine": still_open,
            "closed": [case for case in mine if case.state is CaseState.CLOSED],
            "news": len(waiting) + sum(1 for case in still_open if case.unread),
            "words": self._words,
        }

    async def _page(
        self,
        visitor: Visitor,
        view: CaseView | None = None,
        status: int = 200,
        problem: str | None = None,
        draft: dict[str, str] | None = None,
    ) -> Response:
        return page(
            self._parts,
            "desk/desk.html",
            visitor,
            status,
            view=view,
            opened=view.case.id if view else "",
            problem=problem,
            draft=draft or {},
            limit=MAX_WORDS,
            **await self._lists(visitor),
        )


class Words:
    """What the desk's templates say about a case and its messages."""

    def __init__(self, parts: WebParts) -> None:
        self._texts = parts.content.texts
        self._say = partial(parts.texts.say, SOURCE_LANGUAGE)
        self._age_of = parts.desk.age
        self._now = parts.now

    def age(self, case: Case) -> str:
        """How long she has waited: minutes, then hours, then days."""
        minutes = self._age_of(case) // timedelta(minutes=1)
        if minutes < 1:
            return self._say("desk.age.now")
        if minutes < 60:
            return self._say("desk.age.minutes", n=minutes)
        hours, minutes = divmod(minutes, 60)
        if hours < 24:
            return self._say("desk.age.hours", h=hours, m=minutes)
        return self._say("desk.age.days", d=hours // 24, h=hours % 24)

    def language(self, case: Case) -> str:
        return self._name("desk.language", case.language)

    def channel(self, case: Case) -> str:
        return self._name("desk.channel", case.channel)

    def topic(self, case: Case) -> str:
        known = case.topic if case.topic in self._texts else None
        return self._say(known or "desk.not_given")

    def place(self, case: Case) -> str:
        return self._name("place", case.place) if case.place else self._say("desk.not_given")

    def time(self, at: datetime) -> str:
        """The hour; with the day where it was not today. Figures only, so for any language."""
        local, today = at.astimezone(ZONE), self._now().astimezone(ZONE).date()
        return local.strftime("%H:%M" if local.date() == today else "%d.%m. %H:%M")

    def state(self, message: CaseMessage, case: Case) -> str:
        """What became of a message to her; empty for hers and for notes."""
        if message.state is MessageState.KEPT:
            return ""
        held = message.state is MessageState.DUE and not case.present
        return self._say(f"desk.state.{'held' if held else message.state.value}")

    def undecided(self, message: CaseMessage) -> bool:
        return message.state in UNSETTLED

    def shown(self, message: CaseMessage) -> str:
        """The text as it may stand on the desk."""
        return neutral(message.text) if message.author is Author.WOMAN else message.text

    def _name(self, group: str, code: str) -> str:
        text_id = f"{group}.{code}"
        return self._say(text_id) if text_id in self._texts else code


def neutral(text: str) -> str:
    """Her text without what changes how the text around it reads.

    Direction marks, zero-width and other invisible characters go; so does the fourth and every
    further accent on one letter.
    """
    shown: list[str] = []
    accents = 0
    for char in text:
        kind = unicodedata.category(char)
        accents = accents + 1 if kind in ("Mn", "Me") else 0
        if char in "\n\t" or (kind not in ("Cc", "Cf", "Co", "Cs", "Cn") and accents <= 3):
            shown.append(char)
    return "".join(shown)


def _to_case(case_id: str) -> RedirectResponse:
    return RedirectResponse(f"/desk/case/{case_id}", 303)
