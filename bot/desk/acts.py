"""What a press on the web desk does: one method for each act, and what each refusal says."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from starlette.datastructures import UploadFile
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from bot import media
from bot.desk.service import (
    BlockWrong,
    EmptyText,
    NoSuchCase,
    NoSuchColleague,
    NoSuchMessage,
    NotAllowed,
    NothingToDecide,
    SentAlready,
    TextTooLong,
    WrittenSince,
)
from bot.storage.records import (
    CannotBeUndone,
    CaseClosed,
    Medium,
    MediumKind,
    NotStanding,
    NotYours,
    OnItsWay,
    OtherCaseOpen,
    TextGone,
)
from bot.web.login import Visitor, field, page, read_form

if TYPE_CHECKING:
    from bot.desk.bells import Bells
    from bot.desk.web import DeskPages
    from bot.web.app import WebParts


class NoBell(Exception):
    """The desk has no bot of its own: there is no bell to link."""


REFUSALS: dict[type[Exception], tuple[int, str]] = {
    NotAllowed: (403, "desk.error.not_allowed"),
    NotYours: (403, "desk.error.not_yours"),
    NoSuchCase: (404, "desk.error.no_such_case"),
    NoSuchMessage: (404, "desk.error.no_such_message"),
    NoBell: (404, "desk.error.no_bell"),
    CaseClosed: (409, "desk.error.case_closed"),
    NothingToDecide: (409, "desk.error.nothing_to_decide"),
    SentAlready: (409, "desk.error.sent_already"),
    WrittenSince: (409, "desk.error.written_since"),
    NoSuchColleague: (409, "desk.error.no_such_colleague"),
    OtherCaseOpen: (409, "desk.error.other_case_open"),
    TextGone: (409, "desk.error.text_gone"),
    NotStanding: (409, "desk.error.not_standing"),
    OnItsWay: (409, "desk.error.on_its_way"),
    CannotBeUndone: (409, "desk.error.cannot_be_undone"),
    EmptyText: (422, "desk.error.empty_text"),
    TextTooLong: (422, "desk.error.text_too_long"),
    BlockWrong: (422, "desk.error.block_wrong"),
    media.Unusable: (422, "desk.error.voice_unusable"),
    media.NoTools: (503, "desk.error.no_tools"),
}
"""What the page says, and under which status."""

HANDED = frozenset({"transferred", "returned"})
RUNG = frozenset({"rang", "silent", "unlinked"})
"""What the list, and the bell page, may say of the act that led to it."""


class Acts:
    """The desk's acts; who may do what is the service's business."""

    def __init__(self, parts: WebParts, pages: DeskPages) -> None:
        self._parts = parts
        self._desk = parts.desk
        self._pages = pages

    # --- writing ---------------------------------------------------------------------------

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
        except (EmptyText, TextTooLong, CaseClosed, SentAlready) as error:
            view = await self._desk.open(visitor.me, case_id)
            status, problem = REFUSALS[type(error)]
            return await self._pages.show(visitor, view, status, problem, {kind: text})
        return _to_case(case_id)

    async def voice(self, request: Request, visitor: Visitor, case_id: str) -> Response:
        """A voice note, made anew before it is kept; what is no sound is refused."""
        form = await read_form(request)
        upload = form.get("voice")
        raw = await upload.read() if isinstance(upload, UploadFile) else b""
        await self._desk.may_write(visitor.me, case_id)  # before a stranger's file is decoded
        if not raw:
            raise media.Unusable
        voice = Medium(MediumKind.VOICE, await media.voice(raw))
        await self._desk.say(visitor.me, case_id, voice, field(form, "key"))
        return _to_case(case_id)

    async def resend(self, request: Request, visitor: Visitor, case_id: str) -> Response:
        await self._desk.resend(visitor.me, case_id, request.path_params["message_id"])
        return _to_case(case_id)

    async def correct(self, request: Request, visitor: Visitor, case_id: str) -> Response:
        text = field(await read_form(request), "text")
        message = request.path_params["message_id"]
        await self._desk.correct(visitor.me, case_id, message, text)
        return _to_case(case_id)

    async def take_back(self, request: Request, visitor: Visitor, case_id: str) -> Response:
        await self._desk.take_back(visitor.me, case_id, request.path_params["message_id"])
        return _to_case(case_id)

    async def drop(self, request: Request, visitor: Visitor, case_id: str) -> Response:
        await self._desk.drop(visitor.me, case_id, request.path_params["message_id"])
        return _to_case(case_id)

    # --- a case from hand to hand ------------------------------------------------------------

    async def claim(self, request: Request, visitor: Visitor, case_id: str) -> Response:
        if await self._desk.claim(visitor.me, case_id):
            return _to_case(case_id)
        return page(self._parts, "desk/taken.html", visitor, 409)

    async def transfer(self, request: Request, visitor: Visitor, case_id: str) -> Response:
        to = field(await read_form(request), "to")
        await self._desk.transfer(visitor.me, case_id, to)
        return RedirectResponse("/desk?done=transferred", 303)

    async def give_back(self, request: Request, visitor: Visitor, case_id: str) -> Response:
        await self._desk.give_back(visitor.me, case_id)
        return RedirectResponse("/desk?done=returned", 303)

    async def close(self, request: Request, visitor: Visitor, case_id: str) -> Response:
        """End it; where she has written since this page was shown, that stands there now."""
        seen = _number(field(await read_form(request), "seen"))
        try:
            await self._desk.close(visitor.me, case_id, seen)
        except WrittenSince:
            view = await self._desk.open(visitor.me, case_id)
            return await self._pages.show(visitor, view, *REFUSALS[WrittenSince])
        return _to_case(case_id)

    async def reopen(self, request: Request, visitor: Visitor, case_id: str) -> Response:
        await self._desk.reopen(visitor.me, case_id)
        return _to_case(case_id)

    async def block(self, request: Request, visitor: Visitor, case_id: str) -> Response:
        await self._desk.block(visitor.me, case_id, field(await read_form(request), "span"))
        return _to_case(case_id)

    async def unblock(self, request: Request, visitor: Visitor, case_id: str) -> Response:
        await self._desk.unblock(visitor.me, case_id)
        return _to_case(case_id)

    # --- reading -----------------------------------------------------------------------------

    async def looked(self, request: Request, visitor: Visitor, case_id: str) -> Response:
        upto = _number(field(await read_form(request), "upto"))
        await self._desk.looked(visitor.me, case_id, upto)
        return Response(status_code=204)

    async def received(self, request: Request, visitor: Visitor, case_id: str) -> Response:
        await self._desk.received(visitor.me, case_id, request.path_params["message_id"])
        return _to_case(case_id)

    # --- her bell ----------------------------------------------------------------------------

    async def offer_bell(self, request: Request, visitor: Visitor, _: str) -> Response:
        """A one-time code; it stands on this one page, and nowhere else."""
        code = await (await self._bells(visitor)).offer(visitor.me)
        return await self._pages.show_bell(visitor, code)

    async def try_bell(self, request: Request, visitor: Visitor, _: str) -> Response:
        rang = await (await self._bells(visitor)).try_out(visitor.me)
        return RedirectResponse(f"/desk/bell?done={'rang' if rang else 'silent'}", 303)

    async def unlink_bell(self, request: Request, visitor: Visitor, _: str) -> Response:
        await (await self._bells(visitor)).unlink(visitor.me)
        return RedirectResponse("/desk/bell?done=unlinked", 303)

    async def _bells(self, visitor: Visitor) -> Bells:
        await self._desk.waiting(visitor.me)  # refuses whoever is no consultant
        if self._parts.bells is None:
            raise NoBell
        return self._parts.bells


def _number(written: str) -> int:
    """A message's number as a page sends it; 0, which is no message's, for anything else."""
    return int(written) if re.fullmatch("[0-9]{1,9}", written) else 0


def _to_case(case_id: str) -> RedirectResponse:
    return RedirectResponse(f"/desk/case/{case_id}", 303)
