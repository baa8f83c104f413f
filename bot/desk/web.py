"""The web desk: the list of cases, one open case, the bell page, and the news of a change.

Pages are whole without a script; `desk.js` asks for the same regions (`data-live`) again when
`/desk/live` says that something changed, and swaps what differs. What a press does stands in
`bot/desk/acts.py`.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import BaseRoute, Route

from bot.bell import is_new
from bot.desk.acts import HANDED, REFUSALS, RUNG, Acts
from bot.desk.bells import CODE_LIFE
from bot.desk.service import BLOCKS, FOR_THE_CASE, MAX_WORDS, CaseView
from bot.desk.words import Words
from bot.storage.records import CaseState, MediumKind
from bot.web.login import Visitor, guarded, page, refusal, visitor_of

if TYPE_CHECKING:
    from bot.web.app import WebParts

HEARTBEAT = 20.0
"""Seconds after which an idle live connection shows that it stands, and checks its session."""

MEDIA_TYPES = {MediumKind.PHOTO: "image/jpeg", MediumKind.VOICE: "audio/ogg"}

Act = Callable[[Request, Visitor, str], Awaitable[Response]]


def desk_routes(parts: WebParts) -> list[BaseRoute]:
    """Everything under `/desk`; what is quiet is asked for by a page, not by a person."""
    pages = DeskPages(parts)
    acts = Acts(parts, pages)
    case = "/desk/case/{case_id}"
    message = f"{case}/message/{{message_id}}"
    gets: list[tuple[str, Act, bool]] = [
        ("/desk", pages.home, False),
        ("/desk/list", pages.cases, True),
        ("/desk/live", pages.live, True),
        ("/desk/bell", pages.bell, False),
        ("/desk/bell/live", pages.bell_again, True),
        (case, pages.case, False),
        (f"{case}/live", pages.case_again, True),
        (f"{message}/medium", pages.medium, False),
    ]
    posts: list[tuple[str, Act, bool]] = [
        ("/desk/bell/offer", acts.offer_bell, False),
        ("/desk/bell/try", acts.try_bell, False),
        ("/desk/bell/unlink", acts.unlink_bell, False),
        (f"{case}/claim", acts.claim, False),
        (f"{case}/reply", acts.reply, False),
        (f"{case}/voice", acts.voice, False),
        (f"{case}/note", acts.note, False),
        (f"{case}/transfer", acts.transfer, False),
        (f"{case}/return", acts.give_back, False),
        (f"{case}/block", acts.block, False),
        (f"{case}/unblock", acts.unblock, False),
        (f"{case}/close", acts.close, False),
        (f"{case}/reopen", acts.reopen, False),
        (f"{case}/looked", acts.looked, True),
        (f"{message}/received", acts.received, False),
        (f"{message}/resend", acts.resend, False),
        (f"{message}/drop", acts.drop, False),
        (f"{message}/correct", acts.correct, False),
        (f"{message}/take_back", acts.take_back, False),
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
    """What the desk shows; who may see what is the service's business."""

    def __init__(self, parts: WebParts) -> None:
        self._parts = parts
        self._desk = parts.desk
        self._words = Words(parts.texts, parts.desk, parts.now)

    async def home(self, request: Request, visitor: Visitor, _: str) -> Response:
        done = request.query_params.get("done")
        return await self.show(visitor, done=done if done in HANDED else None)

    async def cases(self, request: Request, visitor: Visitor, _: str) -> Response:
        """The list alone, for a page that is open."""
        lists = await self._lists(visitor)
        opened = request.query_params.get("open", "")
        return page(self._parts, "desk/_list.html", visitor, opened=opened, **lists)

    async def case(self, request: Request, visitor: Visitor, case_id: str) -> Response:
        """One case; `?answer=` puts a prepared answer into the box where no script does it."""
        view = await self._desk.open(visitor.me, case_id)
        if view.case.state is not CaseState.WAITING:
            await self._desk.looked(visitor.me, case_id, view.upto)
        wanted = request.query_params.get("answer")
        ready = await self._desk.prepared(visitor.me, view.case.language) if wanted else ()
        text = next((each.text for each in ready if each.id == wanted), "")
        return await self.show(visitor, view, draft={"reply": text})

    async def case_again(self, request: Request, visitor: Visitor, case_id: str) -> Response:
        """The open case's regions, for a page that is open."""
        view = await self._desk.open(visitor.me, case_id)
        around = await self._around(visitor, view)
        return page(
            self._parts, "desk/_case.html", visitor, words=self._words, problem=None, draft={},
            **around,
        )  # fmt: skip

    async def medium(self, request: Request, visitor: Visitor, case_id: str) -> Response:
        """What she sent, as it is; the page says that it arrived, and that destroys it."""
        medium = await self._desk.medium(
            visitor.me, case_id, request.path_params.get("message_id", "")
        )
        return Response(
            medium.data,
            media_type=MEDIA_TYPES[medium.kind],
            headers={"Content-Disposition": "inline"},
        )

    async def bell(self, request: Request, visitor: Visitor, _: str) -> Response:
        done = request.query_params.get("done")
        return await self.show_bell(visitor, done=done if done in RUNG else None)

    async def bell_again(self, request: Request, visitor: Visitor, _: str) -> Response:
        """The bell's region, for a page that is open: it says when her phone is linked."""
        return page(self._parts, "desk/_bell.html", visitor, **self._bell(None, None))

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
                    async with asyncio.timeout(HEARTBEAT):
                        await changed.wait()
                except TimeoutError:
                    yield ":\n\n"
                else:
                    changed.clear()
                    yield "data: change\n\n"

    # --- putting a page together ---------------------------------------------------------

    async def show(
        self,
        visitor: Visitor,
        view: CaseView | None = None,
        status: int = 200,
        problem: str | None = None,
        draft: dict[str, str] | None = None,
        done: str | None = None,
    ) -> Response:
        """The whole desk: the list, and the case or what to do without one."""
        around = await self._around(visitor, view) if view else {"view": None}
        return page(
            self._parts,
            "desk/desk.html",
            visitor,
            status,
            problem=problem,
            draft=draft or {},
            done=done,
            opened=view.case.id if view else "",
            **await self._lists(visitor),
            **around,
        )

    async def show_bell(
        self, visitor: Visitor, code: str | None = None, done: str | None = None
    ) -> Response:
        """Her bell, beside the list, so that this page rings, too."""
        lists = await self._lists(visitor)
        bell = self._bell(code, done)
        return page(self._parts, "desk/bell.html", visitor, opened="", view=None, **lists, **bell)

    def _bell(self, code: str | None, done: str | None) -> dict[str, Any]:
        minutes = CODE_LIFE // timedelta(minutes=1)
        has_bot = self._parts.bells is not None
        return {"has_bot": has_bot, "code": code, "done": done, "minutes": minutes}

    async def _lists(self, visitor: Visitor) -> dict[str, Any]:
        waiting, mine = await self._desk.waiting(visitor.me), await self._desk.mine(visitor.me)
        still_open = [case for case in mine if case.state is not CaseState.CLOSED]
        return {
            "waiting": waiting,
            "mine": still_open,
            "closed": [case for case in mine if case.state is CaseState.CLOSED],
            "blocked": await self._desk.blocked(visitor.me),
            "news": len(waiting) + sum(1 for case in still_open if is_new(case)),
            "words": self._words,
        }

    async def _around(self, visitor: Visitor, view: CaseView) -> dict[str, Any]:
        """A case with all that can be done in it."""
        mine = view.case.state is CaseState.CLAIMED
        me = visitor.me
        return {
            "view": view,
            "limit": MAX_WORDS,
            "spans": (FOR_THE_CASE, *BLOCKS) if mine else tuple(BLOCKS),
            "prepared": await self._desk.prepared(me, view.case.language) if mine else (),
            "team": self._words.first(await self._desk.colleagues(me), view.case.language),
            "on_duty": await self._desk.on_duty(me),
        }
