"""The chat page at `/`: one address, one title, everything in the bodies of POST requests.

A request goes one way: read the form, make an `Incoming`, wait for the channel's answer, show
it as a whole page or (for the page's script) as the inside of `<main>`. When nothing comes,
a screen with 112 does: that needs neither database nor conversation.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import json
import secrets
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response, StreamingResponse
from starlette.routing import BaseRoute, Route

from bot import media
from bot.channels.base import MAX_MEDIUM, Incoming, Outgoing, OutgoingButton
from bot.channels.web import NAME, WINDOW, Answer, Correction, NotAnswered, Signal, Wipe
from bot.channels.words import is_code
from bot.links import PAGE
from bot.web import forms, view
from bot.web.templating import Templates
from dialogs import match, payload
from dialogs.model import (
    CASE,
    DANGER,
    HIDE,
    HOME,
    SOURCE_LANGUAGE,
    Event,
    MediaKind,
    Position,
    Sent,
    Started,
    Tapped,
    Typed,
)

if TYPE_CHECKING:
    from bot.web.app import WebParts

EXIT_SITE = "page.exit_site"
HEARTBEAT = 15.0
UPLOADS = 8
"""Photos and voices that are on their way in at once: each lies in memory, whole."""
UPLOAD_SECONDS = 180.0
KNOWN_SECONDS = 1.0
"""How long a request waits to hear whether a carried address is known: 112 must not wait."""
OGG, MP3 = "audio/ogg; codecs=opus", "audio/mpeg"
_HIDE_DIGIT = "9"
_ERROR_MARKS = (HOME, DANGER, HIDE)


def chat_routes(parts: WebParts) -> list[BaseRoute]:
    """`/` to read and to tap, `/live` and `/seen` while a case is open."""
    chat = Chat(parts)
    return [
        Route("/", chat.open, methods=["GET"]),
        Route("/", chat.tap, methods=["POST"]),
        Route(f"{PAGE}{{code}}", chat.come, methods=["GET"]),
        Route("/live", chat.live, methods=["GET"]),
        Route("/seen", chat.seen, methods=["POST"]),
    ]


def failures(parts: WebParts) -> Mapping[Any, Any]:
    """What is shown where no route answers, or one fails: our fault, and 112."""
    chat = Chat(parts)

    async def missing(_: Request, __: Exception) -> Response:
        return chat.error_page(404)

    async def too_large(_: Request, __: Exception) -> Response:
        return chat.error_page(413)

    async def broken(_: Request, __: Exception) -> Response:
        return chat.error_page(500)

    return {404: missing, 405: missing, 413: too_large, 500: broken}


class Chat:
    """The routes, with what they need."""

    def __init__(self, parts: WebParts) -> None:
        self._parts = parts
        self._templates = Templates(parts.texts, parts.pictures)
        self._leaving: set[asyncio.Future[None]] = set()
        self._asking: set[asyncio.Task[bool]] = set()
        self._giving: set[str] = set()
        self._ends: set[asyncio.Task[None]] = set()

    # --- the four routes -------------------------------------------------------------------

    async def open(self, request: Request) -> Response:
        """The cover. A deep link's code goes with it into the cover's door."""
        code = request.query_params.get("start", "")
        event = Started(code if is_code(code) else None)
        return await self._answer(request, {}, event, None)

    async def come(self, request: Request) -> Response:
        """From a chat that keeps everything: the same place here, or the cover once it is late."""
        place = self._parts.links.position(request.path_params["code"])
        return await self._answer(request, {}, Started() if place is None else Tapped(place), None)

    async def tap(self, request: Request) -> Response:
        """A button, words, or a photo or voice."""
        if forms.carries_medium(request):
            return await self._take_medium(request)
        try:
            form = await forms.read(request)
        except forms.BadForm:
            return self.error_page(400)
        event, here = self._event(form)
        address = forms.token(request)
        hides = self._hides(event)
        self._note_seen(address, form.get("seen"), stays=not hides)
        if hides:
            return self._leave(request, form, event, here)
        return await self._answer(request, form, event, here)

    async def live(self, request: Request) -> Response:
        """The stream of a case; 204 tells the browser that there is none."""
        address = forms.token(request)
        if address is None or not await self._has_case(address):
            return Response(status_code=204)
        return StreamingResponse(
            self._events(address),
            media_type="text/event-stream",
            headers={"X-Accel-Buffering": "no"},
        )

    async def seen(self, request: Request) -> Response:
        """Her page has the messages `n` on its screen."""
        try:
            seen = (await forms.read(request)).get("n")
        except forms.BadForm:
            return Response(status_code=400)
        self._note_seen(forms.token(request), seen, stays=True)
        return Response(status_code=204)

    def _note_seen(self, address: str | None, seen: str | None, *, stays: bool) -> None:
        """Who has just read on an open page is back at it: what was held may follow."""
        if address is None:
            return
        if self._parts.channel.seen(address, *forms.numbers(seen)) and stays:
            self._parts.intake.here(NAME, address)

    # --- one request -----------------------------------------------------------------------

    async def _take_medium(self, request: Request) -> Response:
        """A photo or a voice. Of who has no case nothing is read, and of nobody two at once."""
        address = forms.token(request)
        if address is None or not await self._has_case(address):
            return self.error_page(400)
        if address in self._giving or len(self._giving) >= UPLOADS:
            return self.error_page(503)
        self._giving.add(address)
        try:
            return await self._take_her_medium(request, address)
        finally:
            end = asyncio.create_task(self._given(address))
            self._ends.add(end)
            end.add_done_callback(self._ends.discard)

    async def _given(self, address: str) -> None:
        """She may give another once nothing of this one is in memory."""
        with contextlib.suppress(Exception):
            await self._parts.intake.settled(NAME, address)
        self._giving.discard(address)

    async def _take_her_medium(self, request: Request, address: str) -> Response:
        try:
            async with asyncio.timeout(UPLOAD_SECONDS):
                form, content = await forms.read_medium(request)
        except (forms.BadForm, TimeoutError):
            return self.error_page(400)
        at = form.get("at", "")
        here = payload.unpack(at)
        self._note_seen(address, form.get("seen"), stays=True)
        if not content:  # she chose none
            event: Event = Tapped(here, self._is_fresh(at))
            return await self._answer(request, form, event, here)

        kind = MediaKind.PHOTO if media.is_photo(content) else MediaKind.VOICE
        event = Sent(kind, self._is_fresh(at))
        return await self._answer(request, form, event, here, content)

    def _event(self, form: Mapping[str, str]) -> tuple[Event, Position | None]:
        """What she did, and where her page stood."""
        at = form.get("at", "")
        here = payload.unpack(at)
        tapped = form.get("p")
        text = form.get("text", "").strip()
        if tapped is None and text:
            return Typed(text, self._is_fresh(at)), here
        tapped = tapped or ""
        return Tapped(payload.unpack(tapped), self._is_fresh(tapped)), here

    def _is_fresh(self, packed: str) -> bool:
        return payload.is_fresh(packed, self._parts.now())

    def _hides(self, event: Event) -> bool:
        match event:
            case Tapped(to=Position(node=node)):
                return node == HIDE
            case Typed(text=text):
                return text == _HIDE_DIGIT or match.is_safe_word(self._parts.content, text)
            case _:
                return False

    def _leave(
        self, request: Request, form: Mapping[str, str], event: Event, here: Position | None
    ) -> Response:
        """*Hide* is answered at once, whatever the rest of the line is doing."""
        address = forms.token(request)
        if address is not None:
            leaving = self._parts.intake.accept(_incoming(address, form, event, here))
            self._leaving.add(leaving)
            leaving.add_done_callback(self._left)
        return self._away(request, form)

    def _left(self, leaving: asyncio.Future[None]) -> None:
        self._leaving.discard(leaving)
        if not leaving.cancelled():
            leaving.exception()

    def _away(self, request: Request, form: Mapping[str, str]) -> Response:
        if forms.by_script(request) or "away" in form:
            return Response(status_code=204, headers={"X-Leave": "1"})
        site = self._parts.texts.say(SOURCE_LANGUAGE, EXIT_SITE)
        return RedirectResponse(site, status_code=303)

    async def _answer(
        self,
        request: Request,
        form: Mapping[str, str],
        event: Event,
        here: Position | None,
        medium: bytes = b"",
    ) -> Response:
        carried = forms.token(request)
        known = carried if carried is not None and await self._is_known(carried) else None
        address = known or secrets.token_urlsafe(16)
        own = ""
        try:
            answer = await self._ask(_incoming(address, form, event, here, medium))
            if not (answer.window or answer.hidden):  # her words, or a door gone through before
                if isinstance(event, Typed | Sent):
                    if forms.by_script(request):
                        return Response(status_code=204)
                    own = self._echo(event, here)
                is_fresh = isinstance(event, Started) or event.fresh
                answer = await self._ask(self._look(address, here, is_fresh))
        except NotAnswered:
            return self._failed(request, form, event, here)
        if answer.hidden:
            return self._away(request, form)
        if answer.window is None:
            return self._failed(request, form, event, here)
        response = await self._show(request, address, form, answer, answer.window, own)
        await self._settle_cookie(response, carried, address, answer.window)
        return response

    async def _is_known(self, address: str) -> bool:
        """Whether a carried address is hers: somebody may have planted one to read along under.

        While that cannot be said, it is taken: she must not lose her case.
        """
        asking = asyncio.create_task(self._has_case(address))
        self._asking.add(asking)
        asking.add_done_callback(self._asking.discard)
        await asyncio.wait({asking}, timeout=KNOWN_SECONDS)  # a query is never cut off
        return not asking.done() or asking.result()

    def _echo(self, event: Typed | Sent, here: Position | None) -> str:
        """What she sent, as her own page shows it once more."""
        if isinstance(event, Typed):
            return event.text
        language = here.language if here is not None else SOURCE_LANGUAGE
        return self._parts.texts.say(language, f"page.{event.kind}")

    async def _ask(self, incoming: Incoming) -> Answer:
        return await self._parts.channel.answer(self._parts.intake, incoming)

    def _look(self, address: str, here: Position | None, is_fresh: bool) -> Incoming:
        """What stands there when nothing new is to be shown: her case, or the cover."""
        language = here.language if here is not None else SOURCE_LANGUAGE
        return _incoming(address, {}, Tapped(Position(language, CASE), is_fresh), here)

    async def _show(
        self,
        request: Request,
        address: str,
        form: Mapping[str, str],
        answer: Answer,
        window: Outgoing,
        own: str,
    ) -> Response:
        told = list(answer.messages)
        if window.in_case and not window.cover and form.get("live") != "1":
            told += await self._unread(address, forms.numbers(form.get("seen")))
        messages = [
            view.case_message(message, voice)
            for message in told
            if (voice := await self._sources(address, message)) is not None
        ]
        if own and not window.cover:
            messages.append(view.own_message(own, window.language))
        return self._page(window, by_script=forms.by_script(request), messages=messages)

    async def _sources(self, address: str, message: Outgoing) -> tuple[view.Source, ...] | None:
        """Where her page fetches a voice, in the two kinds of which each browser plays one.

        None while it can be fetched nowhere: then its message stays unread.
        """
        if message.voice is None:
            return ()
        lend = self._parts.links.lend(NAME, address, message.voice, ".ogg")
        try:
            lent = await asyncio.shield(lend)  # a query is never cut off
        except Exception:  # the screen itself must come
            return None
        if lent is None:
            return None
        path = urlsplit(lent).path
        return view.Source(path, OGG), view.Source(f"{path.removesuffix('.ogg')}.mp3", MP3)

    async def _unread(self, address: str, read: Sequence[int]) -> list[Outgoing]:
        try:
            unread = await self._parts.intake.unread(NAME, address)
        except Exception:  # the screen itself must come; they stay unread
            return []
        return [message for message in unread if message.number not in read]

    async def _settle_cookie(
        self, response: Response, carried: str | None, address: str, window: Outgoing
    ) -> None:
        """A cookie exists while a case does."""
        if window.in_case and carried != address:
            response.set_cookie(
                forms.COOKIE,
                address,
                httponly=True,
                samesite="strict",
                secure=self._parts.https,
            )
        elif carried is not None and not window.in_case and not await self._has_case(carried):
            response.delete_cookie(
                forms.COOKIE, httponly=True, samesite="strict", secure=self._parts.https
            )

    async def _has_case(self, address: str) -> bool:
        try:
            return await self._parts.intake.has_case(NAME, address)
        except Exception:  # unknown is not no: she must not lose her case
            return True

    # --- what she sees ---------------------------------------------------------------------

    def _page(
        self,
        window: Outgoing,
        *,
        by_script: bool,
        messages: list[view.MessageView] | None = None,
        status: int = 200,
        kept: str = "",
        once: str = "",
    ) -> Response:
        numbers = [str(m.number) for m in messages or () if m.number is not None]
        return self._templates.page(
            "_screen.html" if by_script else "chat.html",
            window.language,
            status,
            screen=view.screen(window, self._parts.now()),
            spare=view.screen(self._error(window.language, None), self._parts.now()),
            messages=messages or [],
            seen=" ".join(numbers),
            once=once or secrets.token_urlsafe(12),
            kept=kept,
            most=MAX_MEDIUM,
            title=self._parts.texts.say(SOURCE_LANGUAGE, "page.title"),
            exit_site=self._parts.texts.say(SOURCE_LANGUAGE, EXIT_SITE),
            demo=self._parts.demo,
        )

    def _failed(
        self, request: Request, form: Mapping[str, str], event: Event, here: Position | None
    ) -> Response:
        """Our fault; her words stand in the field again, to be sent once more.

        What was not fresh leads to the start: somebody else may have found her page.
        """
        to = event.to if isinstance(event, Tapped) else None
        place = to or here
        is_fresh = not isinstance(event, Started) and event.fresh
        language = place.language if place is not None else SOURCE_LANGUAGE
        error = self._error(language, place if is_fresh else None)
        words = form.get("text", "") if isinstance(event, Typed) else ""
        return self._page(
            replace(error, cover=error.cover and not words),
            by_script=forms.by_script(request),
            status=503,
            kept=words,
            once=forms.once(form),
        )

    def error_page(self, status: int) -> Response:
        """A whole page for what is not there, or broke."""
        return self._page(self._error(SOURCE_LANGUAGE, None), by_script=False, status=status)

    def _error(self, language: str, retry: Position | None) -> Outgoing:
        """A screen with 112 that needs nothing but the content."""
        say, now = self._parts.texts.say, self._parts.now()
        if language not in self._parts.content.languages:
            language, retry = SOURCE_LANGUAGE, None
        before_the_gate = retry is None
        again = retry or Position(language, "start")
        return Outgoing(
            text=say(language, "page.error"),
            language=language,
            choices=(OutgoingButton(say(language, "page.again"), payload.pack(again, now)),),
            marks=()
            if before_the_gate
            else tuple(
                OutgoingButton(
                    say(language, f"mark.{node}"), payload.pack(Position(language, node), now)
                )
                for node in _ERROR_MARKS
            ),
            cover=before_the_gate,
            position=again,
        )

    # --- the stream ------------------------------------------------------------------------

    async def _events(self, address: str) -> AsyncIterator[str]:
        async with self._parts.channel.listen(self._parts.intake, address) as signals:
            yield ":\n\n"
            while True:
                try:
                    async with asyncio.timeout(HEARTBEAT):
                        signal = await signals.get()
                except TimeoutError:
                    if not await self._is_known(address):
                        return  # all of it was deleted: her next case has another address
                    yield ":\n\n"
                    continue
                if signal is None:
                    return
                yield await self._as_event(address, signal)

    async def _as_event(self, address: str, signal: Signal) -> str:
        match signal:
            case Wipe(handles=handles):
                kind = "wipe"
                data: dict[str, object] = {"all": WINDOW in handles, "n": list(handles)}
            case Correction(message=message):
                voice = await self._sources(address, message)
                kind, data = "correct", _message_data(message, voice or ())
            case Outgoing(cover=True):
                kind, data = "cover", {}
            case Outgoing(window=True) as window:
                screen = self._page(window, by_script=True)
                kind, data = "window", {"html": bytes(screen.body).decode()}
            case Outgoing() as message:
                voice = await self._sources(address, message)
                return "" if voice is None else _message_event(message, voice)
            case _:
                return ""
        return f"event: {kind}\ndata: {json.dumps(data, ensure_ascii=False)}\n\n"


def _message_data(message: Outgoing, voice: Sequence[view.Source]) -> dict[str, object]:
    return {
        "n": message.number,
        "text": message.text,
        "author": message.author or "",
        "lang": message.language,
        "voice": [asdict(source) for source in voice],
    }


def _message_event(message: Outgoing, voice: Sequence[view.Source]) -> str:
    data = _message_data(message, voice)
    number = "" if message.number is None else f"id: {message.number}\n"
    return f"{number}data: {json.dumps(data, ensure_ascii=False)}\n\n"


def _incoming(
    address: str,
    form: Mapping[str, str],
    event: Event,
    here: Position | None,
    medium: bytes = b"",
) -> Incoming:
    """What a form says. The same words under its key are one message, others one of their own.

    Her page sends that key again where an answer was lost, and she may have gone on writing.
    """

    async def fetch() -> bytes:
        return medium

    content = event.text.encode() if isinstance(event, Typed) else medium
    key = f"{forms.once(form)} {hashlib.sha256(content).hexdigest()}"
    return Incoming(NAME, address, event, key, position=here, fetch=fetch if medium else None)
