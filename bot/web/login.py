"""The door of the desk and staff pages: who is asking, the login, and the invitation.

`guarded` wraps every page behind the door. A form counts only with its session's token, and
only from our own pages.
"""

from __future__ import annotations

import secrets
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import segno
from markupsafe import Markup
from starlette.datastructures import FormData
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import BaseRoute, Route

from bot.desk.accounts import (
    MAX_PASSWORD,
    MIN_PASSWORD,
    AccountError,
    CodeRefused,
    Enrolment,
    InviteInvalid,
    LoginRefused,
    PasswordTooLong,
    PasswordTooShort,
    Throttled,
    tidy_invite,
)
from bot.desk.browsers import BROWSER_LIFE
from bot.desk.service import MAX_WORDS
from bot.storage.records import Role, StaffMember
from bot.texts import Texts
from bot.web.templating import Templates
from dialogs.model import SOURCE_LANGUAGE

if TYPE_CHECKING:
    from bot.web.app import WebParts

SESSION_COOKIE = "desk"
HOMES = {Role.CONSULTANT: "/desk", Role.STAFF: "/staff", Role.ADMIN: "/staff"}
"""Where each role's work begins; the first one that a person has is where she lands."""
MAX_FIELD = 20_000
"""Bytes of one form field."""

_PROBLEMS: dict[type[AccountError], tuple[int, str]] = {
    LoginRefused: (403, "login.error.login_refused"),
    Throttled: (429, "login.error.throttled"),
    InviteInvalid: (404, "login.error.invite_invalid"),
    PasswordTooShort: (422, "login.error.password_too_short"),
    PasswordTooLong: (422, "login.error.password_too_long"),
    CodeRefused: (422, "login.error.code_refused"),
}


class ForeignForm(Exception):
    """The form does not come from a page of this session."""


@dataclass(frozen=True, slots=True)
class Visitor:
    """Whoever is logged in, with the token of her session's forms."""

    me: StaffMember
    token: str
    form_token: str

    def is_a(self, *roles: Role) -> bool:
        """Whether she has one of these roles."""
        return not self.me.roles.isdisjoint(roles)


Handler = Callable[[Request, Visitor], Awaitable[Response]]


# --- pages -------------------------------------------------------------------------------


@cache
def _templates(texts: Texts) -> Templates:
    return Templates(texts)


def new_key() -> str:
    """Makes one form's submits one act, however often it is sent."""
    return secrets.token_hex(12)


def page(
    parts: WebParts, template: str, visitor: Visitor | None, status: int = 200, **values: Any
) -> HTMLResponse:
    """A page of the desk or staff side, in Bulgarian; its words come from the content."""
    return _templates(parts.texts).page(
        template,
        SOURCE_LANGUAGE,
        status,
        visitor=visitor,
        key=new_key,
        stopped=parts.stop.on,
        **values,
    )


def refusal(parts: WebParts, visitor: Visitor | None, status: int, text: str) -> HTMLResponse:
    """A page that says in one sentence why this did not happen, and where to go on."""
    home = home_of(visitor.me) if visitor else "/login"
    return page(parts, "desk/refused.html", visitor, status, text=text, home=home, limit=MAX_WORDS)


# --- who is asking -----------------------------------------------------------------------


async def visitor_of(parts: WebParts, request: Request, active: bool = True) -> Visitor | None:
    """Whoever's session this request belongs to."""
    token = request.cookies.get(SESSION_COOKIE)
    me = await parts.accounts.session(token, active) if token else None
    if token is None or me is None:
        return None
    return Visitor(me, token, parts.accounts.form_token(token))


def guarded(parts: WebParts, handler: Handler, quiet: bool = False) -> Callable[..., Any]:
    """Let `handler` answer only a logged-in person, and only forms of her own session.

    `quiet` is for what a page asks for by itself: it gets 401 instead of the login page, and
    does not keep the session alive.
    """

    async def endpoint(request: Request) -> Response:
        visitor = await visitor_of(parts, request, active=not quiet)
        if visitor is None:
            return Response(status_code=401) if quiet else _to_login(request)
        try:
            if request.method == "POST":
                await _check_form(request, visitor)
            return await handler(request, visitor)
        except ForeignForm:
            return refusal(parts, visitor, 403, "desk.error.form")
        finally:
            await request.close()  # an uploaded file goes at once

    return endpoint


def _to_login(request: Request) -> RedirectResponse:
    place = "/staff" if request.url.path.startswith("/staff") else "/desk"
    ended = "&ended=1" if SESSION_COOKIE in request.cookies else ""
    return RedirectResponse(f"/login?next={place}{ended}", 303)


async def _check_form(request: Request, visitor: Visitor) -> None:
    if not _same_origin(request):
        raise ForeignForm
    form = await read_form(request)
    given = field(form, "form_token")
    if not secrets.compare_digest(given.encode(), visitor.form_token.encode()):
        raise ForeignForm


def _same_origin(request: Request) -> bool:
    """Whether a form was sent from our own pages.

    Under `no-referrer` a browser sends `Origin: null`; then Sec-Fetch-Site speaks, and on a
    browser or an address that has neither, the form's token alone.
    """
    site = request.headers.get("sec-fetch-site")
    if site is not None:
        return site == "same-origin"
    origin = request.headers.get("origin", "null")
    return origin == "null" or urlsplit(origin).netloc == request.headers.get("host")


async def read_form(request: Request) -> FormData:
    """The request's form; read once, kept for whoever asks again."""
    return await request.form(max_files=1, max_fields=40, max_part_size=MAX_FIELD)


def field(form: FormData, name: str) -> str:
    """One text field, empty where it is missing or a file."""
    value = form.get(name, "")
    return value if isinstance(value, str) else ""


# --- login and logout --------------------------------------------------------------------


def login_routes(parts: WebParts) -> list[BaseRoute]:
    """Login, logout and invitation."""

    async def show(request: Request) -> Response:
        visitor = await visitor_of(parts, request, active=False)
        place = _place(request.query_params.get("next", ""))
        if visitor is not None and "bye" not in request.query_params:
            return RedirectResponse(home_of(visitor.me, place), 303)
        notice = next((n for n in ("bye", "ended") if n in request.query_params), None)
        return await _login_page(parts, place, notice=f"login.{notice}" if notice else None)

    async def enter(request: Request) -> Response:
        form = await read_form(request)
        login, place = field(form, "login"), _place(field(form, "next"))
        if not _same_origin(request):
            return await _login_page(parts, place, login, problem=(403, "login.error.form"))
        try:
            browser = request.cookies.get(parts.accounts.browser_cookie(login), "")
            token = await parts.accounts.login(
                login, field(form, "password"), field(form, "code"), browser
            )
        except AccountError as error:
            return await _login_page(parts, place, login, problem=_PROBLEMS[type(error)])
        return await _enter(parts, request, token, place)

    async def leave(request: Request, visitor: Visitor) -> Response:
        await parts.accounts.logout(visitor.token)
        answer = RedirectResponse("/login?bye=1", 303)
        answer.delete_cookie(SESSION_COOKIE, path="/", httponly=True, samesite="strict")
        return answer

    return [
        Route("/login", show, methods=["GET"]),
        Route("/login", enter, methods=["POST"]),
        Route("/logout", guarded(parts, leave), methods=["POST"]),
        *_invite_routes(parts),
    ]


async def _login_page(
    parts: WebParts,
    place: str,
    login: str = "",
    notice: str | None = None,
    problem: tuple[int, str] | None = None,
) -> Response:
    hint = parts.demo_hint
    return page(
        parts,
        "login/login.html",
        None,
        problem[0] if problem else 200,
        place=place,
        login=login[:80],
        notice=notice,
        problem=problem[1] if problem else None,
        hint=await hint(parts.now()) if hint else None,
    )


def home_of(me: StaffMember, wanted: str = "") -> str:
    """The page that she asked for if her role may have it, else where her work begins."""
    mine = [home for role, home in HOMES.items() if role in me.roles]
    return wanted if wanted in mine else (mine[0] if mine else "/desk")


def _place(wanted: str) -> str:
    return wanted if wanted in HOMES.values() else ""


async def _enter(parts: WebParts, request: Request, token: str, place: str = "") -> Response:
    me = await parts.accounts.session(token)
    answer = RedirectResponse(home_of(me, place) if me else "/login", 303)
    secure = parts.https or request.url.scheme == "https"
    answer.set_cookie(
        SESSION_COOKIE, token, path="/", secure=secure, httponly=True, samesite="strict"
    )
    if me is not None:
        answer.set_cookie(
            parts.accounts.browser_cookie(me.login),
            await parts.accounts.known_browser(me),
            max_age=int(BROWSER_LIFE.total_seconds()),
            path="/login",
            secure=secure,
            httponly=True,
            samesite="strict",
        )
    return answer


# --- invitation --------------------------------------------------------------------------


def _invite_routes(parts: WebParts) -> list[BaseRoute]:
    """The token comes after `#`, so that it stands in no log; a script posts it, or a hand."""

    async def show(request: Request) -> Response:
        return page(parts, "login/invite.html", None, problem=None)

    async def hello(request: Request) -> Response:
        form = await read_form(request)
        return await _password_page(parts, tidy_invite(field(form, "token")))

    async def password(request: Request) -> Response:
        form = await read_form(request)
        token, chosen = tidy_invite(field(form, "token")), field(form, "password")
        if chosen != field(form, "again"):
            return await _password_page(parts, token, (422, "login.error.passwords_differ"))
        try:
            enrolment = await parts.accounts.accept(token, chosen)
        except InviteInvalid:
            return _no_invite(parts)
        except AccountError as error:
            return await _password_page(parts, token, _PROBLEMS[type(error)])
        return _code_page(parts, token, enrolment)

    async def code(request: Request) -> Response:
        form = await read_form(request)
        token, sealed = tidy_invite(field(form, "token")), field(form, "sealed")
        try:
            session = await parts.accounts.confirm(token, sealed, field(form, "code"))
        except CodeRefused as error:
            enrolment = await parts.accounts.resume(token, sealed)
            return _code_page(parts, token, enrolment, _PROBLEMS[type(error)])
        except AccountError:
            return _no_invite(parts)
        return await _enter(parts, request, session)

    return [
        Route("/invite", show, methods=["GET"]),
        Route("/invite", hello, methods=["POST"]),
        Route("/invite/password", password, methods=["POST"]),
        Route("/invite/code", code, methods=["POST"]),
    ]


def _no_invite(parts: WebParts) -> Response:
    return page(parts, "login/invite.html", None, 404, problem="login.error.invite_invalid")


async def _password_page(
    parts: WebParts, token: str, problem: tuple[int, str] | None = None
) -> Response:
    try:
        member = await parts.accounts.invited(token)
    except InviteInvalid:
        return _no_invite(parts)
    status, text = problem or (200, None)
    shortest = MAX_PASSWORD if text == "login.error.password_too_long" else MIN_PASSWORD
    return page(
        parts,
        "login/password.html",
        None,
        status,
        token=token,
        login=member.login,
        problem=text,
        shortest=MIN_PASSWORD,
        limit=shortest,
    )


def _code_page(
    parts: WebParts, token: str, enrolment: Enrolment, problem: tuple[int, str] | None = None
) -> Response:
    status, text = problem or (200, None)
    picture = segno.make(enrolment.uri, error="m").svg_inline(scale=5, border=3, svgclass="qr")
    return page(
        parts,
        "login/code.html",
        None,
        status,
        token=token,
        enrolment=enrolment,
        picture=Markup(picture),  # noqa: S704  # segno's own drawing
        secret=" ".join(enrolment.secret[n : n + 4] for n in range(0, 32, 4)),
        problem=text,
    )
