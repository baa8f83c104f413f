"""The people of the centre: who has an account, the invitation, and what an admin changes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING

from starlette.datastructures import FormData
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from bot.desk.accounts import INVITE_LIFE, AccountError, InviteInvalid, LoginUnfit
from bot.desk.team import (
    LONGEST_ALIAS,
    AliasTooLong,
    NoLanguage,
    NoRole,
    NoSuchAccount,
    NotAnAdmin,
    NotOneself,
)
from bot.storage.records import LoginTaken, Role, StaffMember, StaffState, Wish
from bot.texts import ZONE
from bot.web.fields import Say, one_line
from bot.web.login import Visitor, field, page, read_form, refusal
from bot.web.staff_page import ADMIN, StaffPage
from dialogs import lint
from dialogs.model import SOURCE_LANGUAGE

if TYPE_CHECKING:
    from bot.web.app import WebParts

HOME = "/staff/accounts"
DONE = frozenset({"changed", "frozen", "thawed", "removed"})

_AT_FIELD: dict[type[Exception], tuple[str, str]] = {
    LoginUnfit: ("login", "staff.team.problem.login"),
    LoginTaken: ("login", "staff.team.problem.login_taken"),
    AliasTooLong: ("alias", "staff.team.problem.alias_long"),
    NoRole: ("roles", "staff.team.problem.roles"),
    NoLanguage: ("languages", "staff.team.problem.languages"),
}
"""What is wrong with what was written, and at which field it is said."""
_REFUSED: dict[type[AccountError], tuple[int, str]] = {
    NotAnAdmin: (403, "staff.error.not_allowed"),
    NotOneself: (403, "staff.team.error.oneself"),
    NoSuchAccount: (404, "staff.team.error.no_account"),
    InviteInvalid: (409, "staff.team.error.accepted"),
}


def team_pages(parts: WebParts) -> list[StaffPage]:
    """The accounts, for admins."""
    pages = TeamPages(parts)
    one = f"{HOME}/{{staff_id}}"
    return [
        StaffPage("GET", HOME, pages.home, ADMIN),
        StaffPage("GET", f"{HOME}/new", pages.new, ADMIN),
        StaffPage("POST", f"{HOME}/new", pages.invite, ADMIN),
        StaffPage("GET", one, pages.edit, ADMIN),
        StaffPage("POST", one, pages.change, ADMIN),
        StaffPage("POST", f"{one}/invite", pages.invite_again, ADMIN),
        StaffPage("POST", f"{one}/freeze", pages.freeze, ADMIN),
        StaffPage("POST", f"{one}/thaw", pages.thaw, ADMIN),
        StaffPage("POST", f"{one}/remove", pages.remove, ADMIN),
    ]


class TeamPages:
    """Who may do what is the service's business (`bot.desk.team`)."""

    def __init__(self, parts: WebParts) -> None:
        self._parts = parts
        self._team = parts.team
        self._say: Say = partial(parts.texts.say, SOURCE_LANGUAGE)
        self._rules = lint.our_rules()

    # --- pages ---------------------------------------------------------------------------

    async def home(self, request: Request, visitor: Visitor) -> Response:
        done = request.query_params.get("done", "")
        people = await self._parts.store.all_staff()
        return page(
            self._parts,
            "staff/team.html",
            visitor,
            people=people,
            desk_group=self._parts.desk_group,
            told=[*await self._tried(people), *await self._reading(people)],
            look=PersonLook(self._parts),
            desk_bot=self._parts.bells is not None,
            done=self._say(f"staff.team.done.{done}") if done in DONE else None,
        )

    async def new(self, request: Request, visitor: Visitor) -> Response:
        values = {"roles": {Role.CONSULTANT.value}, "languages": {SOURCE_LANGUAGE}}
        return self._form(visitor, {"login": "", "alias": "", **values})

    async def edit(self, request: Request, visitor: Visitor) -> Response:
        person = await self._person(request)
        if person is None:
            return self._refused(visitor, NoSuchAccount())
        alone = person.id not in await self._within_reach([person])
        return self._form(visitor, _values(person), person, alone=alone)

    async def _tried(self, people: Iterable[StaffMember]) -> list[str]:
        """At whose login, or at all of them, somebody guessed within the last day."""
        names = {person.id: person.login for person in people}
        tried = await self._parts.store.tried_too_often(self._parts.now() - timedelta(days=1))
        when = [(entry, entry.at.astimezone(ZONE).strftime("%d.%m., %H:%M")) for entry in tried]
        return sorted(
            self._say("staff.team.flooded", when=at)
            if entry.staff_id is None
            else self._say("staff.team.shut", name=names[entry.staff_id], when=at)
            for entry, at in when
            if entry.staff_id is None or entry.staff_id in names
        )

    async def _reading(self, people: Iterable[StaffMember]) -> list[str]:
        """Who may not work here any more, and reads on in the desk's Telegram group."""
        if not self._parts.desk_group:
            return []
        notes = [note for note in await self._parts.store.group_notes() if note.wish is Wish.OUT]
        told = [("refused" if note.refused else "pending", note.name) for note in notes]
        reached = await self._within_reach(people)
        told += [
            ("unlinked", person.login)
            for person in people
            if person.state is StaffState.FROZEN
            and Role.CONSULTANT in person.roles
            and person.id not in reached
        ]
        return [
            self._say(f"staff.team.group.{what}", name=name) for what, name in sorted(set(told))
        ]

    async def _within_reach(self, people: Iterable[StaffMember]) -> set[str]:
        """Whose phone is, or was, linked: only them Phen can put out of the group."""
        noted = {note.staff_id for note in await self._parts.store.group_notes()}
        return noted | {person.id for person in people if person.has_bell}

    def _form(
        self,
        visitor: Visitor,
        values: Mapping[str, str | set[str]],
        person: StaffMember | None = None,
        problems: Mapping[str, str] | None = None,
        alone: bool = False,
    ) -> Response:
        return page(
            self._parts,
            "staff/person.html",
            visitor,
            422 if problems else 200,
            values=values,
            person=person,
            problems=problems or {},
            sure=False,
            is_me=person is not None and person.id == visitor.me.id,
            roles=[role.value for role in Role],
            languages=self._parts.content.languages,
            longest_alias=LONGEST_ALIAS,
            desk_bot=self._parts.bells is not None,
            alone=alone and self._parts.desk_group,
            look=PersonLook(self._parts),
        )

    def _link(self, request: Request, visitor: Visitor, login: str, token: str) -> Response:
        """The one-time link, in the answer itself: kept nowhere, it can be shown only once."""
        address = self._parts.public_url or str(request.base_url).rstrip("/")
        return page(
            self._parts,
            "staff/invited.html",
            visitor,
            login=login,
            link=f"{address}/invite#{token}",
            days=INVITE_LIFE.days,
        )

    # --- acts ----------------------------------------------------------------------------

    async def invite(self, request: Request, visitor: Visitor) -> Response:
        written = await self._written(request)
        if written.problems:
            return self._form(visitor, written.values, problems=written.problems)
        try:
            token = await self._team.invite(
                visitor.me, written.login, written.alias, written.roles, written.languages
            )
        except (AccountError, LoginTaken) as error:
            return self._wrong(visitor, error, written)
        return self._link(request, visitor, written.login.strip().casefold(), token)

    async def change(self, request: Request, visitor: Visitor) -> Response:
        person, written = await self._person(request), await self._written(request)
        if person is None:
            return self._refused(visitor, NoSuchAccount())
        if written.problems:
            return self._form(visitor, written.values, person, written.problems)
        try:
            await self._team.change(
                visitor.me, person.id, written.alias, written.roles, written.languages
            )
        except AccountError as error:
            return self._wrong(visitor, error, written, person)
        return _home("changed")

    async def invite_again(self, request: Request, visitor: Visitor) -> Response:
        person = await self._person(request)
        if person is None:
            return self._refused(visitor, NoSuchAccount())
        try:
            token = await self._team.invite_again(visitor.me, person.id)
        except AccountError as error:
            return self._refused(visitor, error)
        return self._link(request, visitor, person.login, token)

    async def freeze(self, request: Request, visitor: Visitor) -> Response:
        return await self._act(request, visitor, "frozen")

    async def thaw(self, request: Request, visitor: Visitor) -> Response:
        return await self._act(request, visitor, "thawed")

    async def remove(self, request: Request, visitor: Visitor) -> Response:
        return await self._act(request, visitor, "removed")

    async def _act(self, request: Request, visitor: Visitor, done: str) -> Response:
        team = self._team
        act = {"frozen": team.freeze, "thawed": team.thaw, "removed": team.remove}[done]
        try:
            await act(visitor.me, request.path_params["staff_id"])
        except AccountError as error:
            return self._refused(visitor, error)
        return _home(done)

    # --- helpers -------------------------------------------------------------------------

    async def _person(self, request: Request) -> StaffMember | None:
        found = await self._parts.store.staff(request.path_params["staff_id"])
        return None if found is None or found.state is StaffState.REMOVED else found

    async def _written(self, request: Request) -> Written:
        form = await read_form(request)
        written = Written(form, self._parts.content.languages)
        for language, phrases in self._rules.topic_words.items():
            if language in self._parts.content.languages and any(
                lint.has(phrase, written.alias) for phrase in phrases
            ):
                written.problems["alias"] = self._say("staff.team.problem.alias_topic")
        return written

    def _wrong(
        self,
        visitor: Visitor,
        error: Exception,
        written: Written,
        person: StaffMember | None = None,
    ) -> Response:
        at = _AT_FIELD.get(type(error))
        if at is None:
            return self._refused(visitor, error)
        problems = {at[0]: self._say(at[1], n=LONGEST_ALIAS)}
        return self._form(visitor, written.values, person, problems)

    def _refused(self, visitor: Visitor, error: Exception) -> Response:
        status, text = next(told for kind, told in _REFUSED.items() if isinstance(error, kind))
        return refusal(self._parts, visitor, status, text)


class Written:
    """What stands in the form of an account."""

    def __init__(self, form: FormData, languages: tuple[str, ...]) -> None:
        given = {name: set(map(str, form.getlist(name))) for name in ("roles", "languages")}
        self.login = one_line(field(form, "login"))
        self.alias = one_line(field(form, "alias"))
        self.roles = frozenset(role for role in Role if role.value in given["roles"])
        self.languages = frozenset(each for each in languages if each in given["languages"])
        self.problems: dict[str, str] = {}

    @property
    def values(self) -> dict[str, str | set[str]]:
        chosen = {"roles": {role.value for role in self.roles}, "languages": set(self.languages)}
        return {"login": self.login, "alias": self.alias, **chosen}


def _values(person: StaffMember) -> dict[str, str | set[str]]:
    chosen = {"roles": {role.value for role in person.roles}, "languages": set(person.languages)}
    return {"login": person.login, "alias": person.alias, **chosen}


def _home(done: str) -> RedirectResponse:
    return RedirectResponse(f"{HOME}?done={done}", 303)


class PersonLook:
    """What the templates say about a person of the centre."""

    def __init__(self, parts: WebParts) -> None:
        self._say: Say = partial(parts.texts.say, SOURCE_LANGUAGE)
        self._order = parts.content.languages

    def name(self, person: StaffMember) -> str:
        """Her login, with the alias that women see."""
        return f"{person.login} ({person.alias})" if person.alias else person.login

    def roles(self, person: StaffMember) -> str:
        return ", ".join(self._say(f"staff.role.{each}") for each in Role if each in person.roles)

    def languages(self, spoken: frozenset[str]) -> str:
        known = [each for each in self._order if each in spoken]
        return ", ".join(self.language(each) for each in known)

    def language(self, code: str) -> str:
        return self._say(f"desk.language.{code}")

    def bell(self, person: StaffMember) -> str:
        """Whether her Telegram rings; only a consultant's does."""
        if Role.CONSULTANT not in person.roles:
            return "none"
        return "linked" if person.has_bell else "unlinked"

    def short(self, at: datetime) -> str:
        return at.astimezone(ZONE).strftime("%d.%m.%Y")
