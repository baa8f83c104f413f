"""The prepared answers: what a consultant puts into the box by a shortcut."""

from __future__ import annotations

import contextlib
import re
import unicodedata
from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING

from starlette.datastructures import FormData
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from bot.storage.records import Prepared, ShortcutTaken
from bot.texts import Texts
from bot.web.fields import Say, one_line
from bot.web.login import Visitor, field, page, read_form, refusal
from bot.web.staff_page import StaffPage
from dialogs import lint
from dialogs.model import SOURCE_LANGUAGE, Content

if TYPE_CHECKING:
    from bot.web.app import WebParts

HOME = "/staff/prepared"
DONE = frozenset({"saved", "deleted", "starter"})
FIELDS = ("language", "shortcut", "text")
LONGEST_TEXT = 1000
LONGEST_SHORTCUT = 24
STARTER = "prepared."
"""The ids of the sample answers begin so; what follows names their shortcut."""

_SHORTCUT = re.compile(rf"[^\W_]{{2,{LONGEST_SHORTCUT}}}")


def prepared_pages(parts: WebParts) -> list[StaffPage]:
    """The prepared answers, for the team."""
    pages = PreparedPages(parts)
    one = f"{HOME}/{{answer_id}}"
    return [
        StaffPage("GET", HOME, pages.home),
        StaffPage("POST", f"{HOME}/starter", pages.starter),
        StaffPage("GET", f"{HOME}/new", pages.new),
        StaffPage("POST", f"{HOME}/new", pages.save),
        StaffPage("GET", one, pages.edit),
        StaffPage("POST", one, pages.save),
        StaffPage("POST", f"{one}/delete", pages.delete),
    ]


def starter(content: Content, texts: Texts) -> list[Prepared]:
    """The content's sample answers, in each language."""
    return [
        Prepared(
            "",
            language,
            texts.say(SOURCE_LANGUAGE, f"staff.starter.{name.removeprefix(STARTER)}"),
            texts.say(language, name),
        )
        for language in content.languages
        for name in content.texts
        if name.startswith(STARTER)
    ]


class PreparedPages:
    """Lists, adds, changes and deletes them."""

    def __init__(self, parts: WebParts) -> None:
        self._parts = parts
        self._store = parts.store
        self._say: Say = partial(parts.texts.say, SOURCE_LANGUAGE)
        self._rules = lint.our_rules()

    async def home(self, request: Request, visitor: Visitor) -> Response:
        done, found = request.query_params.get("done", ""), await self._store.prepared()
        return page(
            self._parts,
            "staff/prepared.html",
            visitor,
            groups=[
                (language, [each for each in found if each.language == language])
                for language in self._parts.content.languages
            ],
            nothing_yet=not found,
            done=self._say(f"staff.prepared.done.{done}") if done in DONE else None,
        )

    async def new(self, request: Request, visitor: Visitor) -> Response:
        wanted = request.query_params.get("language", "")
        language = wanted if wanted in self._parts.content.languages else SOURCE_LANGUAGE
        return self._form(visitor, {"language": language, "shortcut": "", "text": ""})

    async def edit(self, request: Request, visitor: Visitor) -> Response:
        old = await self._answer(request)
        if old is None:
            return refusal(self._parts, visitor, 404, "staff.prepared.error.none")
        return self._form(visitor, {name: getattr(old, name) for name in FIELDS}, old)

    async def save(self, request: Request, visitor: Visitor) -> Response:
        """Take the form: a new answer, or a changed one."""
        form, old = await read_form(request), None
        if "answer_id" in request.path_params:
            old = await self._answer(request)
            if old is None:
                return refusal(self._parts, visitor, 404, "staff.prepared.error.none")
        values = written(form)
        problems = self._problems(values)
        if problems:
            return self._form(visitor, values, old, problems)
        question = self._question(values)
        if question and not field(form, "sure"):
            return self._form(visitor, values, old, {"text": question}, sure=True)
        try:
            await self._store.save_prepared(Prepared(old.id if old else "", **values))
        except ShortcutTaken:
            taken = {"shortcut": self._say("staff.prepared.problem.taken")}
            return self._form(visitor, values, old, taken)
        await self._store.audit(visitor.me.id, "prepared.saved")
        return _home("saved")

    async def delete(self, request: Request, visitor: Visitor) -> Response:
        await self._store.delete_prepared(request.path_params["answer_id"])
        await self._store.audit(visitor.me.id, "prepared.deleted")
        return _home("deleted")

    async def starter(self, request: Request, visitor: Visitor) -> Response:
        """Fill an empty desk with the content's sample answers; where any stand, nothing."""
        if not await self._store.prepared():
            with contextlib.suppress(ShortcutTaken):  # two at once: the other one fills it
                for sample in starter(self._parts.content, self._parts.texts):
                    await self._store.save_prepared(sample)
            await self._store.audit(visitor.me.id, "prepared.saved")
        return _home("starter")

    # --- what is wrong, and what is asked --------------------------------------------------

    def _problems(self, values: Mapping[str, str]) -> dict[str, str]:
        problems = {}
        if values["language"] not in self._parts.content.languages:
            problems["language"] = self._say("staff.prepared.problem.language")
        if not _SHORTCUT.fullmatch(values["shortcut"]):
            problems["shortcut"] = self._say("staff.prepared.problem.shortcut")
        if not values["text"]:
            problems["text"] = self._say("staff.prepared.problem.text")
        elif len(values["text"]) > LONGEST_TEXT:
            problems["text"] = self._say("staff.prepared.problem.long", n=LONGEST_TEXT)
        return problems

    def _question(self, values: Mapping[str, str]) -> str:
        """What the line never says, or should not say where a locked screen shows it."""
        language, text = values["language"], values["text"]
        asked = [
            self._say("staff.prepared.problem.forbidden", phrase=found)
            for found in lint.never_said(self._rules, language, text)
        ]
        asked += [
            self._say("staff.prepared.problem.topic_word", word=found)
            for found in lint.seen_first(self._rules, language, text)
        ]
        return " ".join(dict.fromkeys(asked))

    # --- helpers -------------------------------------------------------------------------

    async def _answer(self, request: Request) -> Prepared | None:
        wanted = request.path_params["answer_id"]
        return next((each for each in await self._store.prepared() if each.id == wanted), None)

    def _form(
        self,
        visitor: Visitor,
        values: Mapping[str, str],
        old: Prepared | None = None,
        problems: Mapping[str, str] | None = None,
        sure: bool = False,
    ) -> Response:
        return page(
            self._parts,
            "staff/prepared_form.html",
            visitor,
            422 if problems else 200,
            values=values,
            old=old,
            problems=problems or {},
            sure=sure,
            languages=self._parts.content.languages,
            longest_shortcut=LONGEST_SHORTCUT,
            longest_text=LONGEST_TEXT,
        )


def written(form: FormData) -> dict[str, str]:
    """What stands in the form: the shortcut small and without its `/`, the text with its lines."""
    text = field(form, "text").replace("\r\n", "\n").replace("\r", "\n").replace("\0", "")
    shortcut = unicodedata.normalize("NFC", one_line(field(form, "shortcut")))
    return {
        "language": field(form, "language"),
        "shortcut": shortcut.removeprefix("/").replace("İ", "i").casefold(),
        "text": text.strip(),
    }


def _home(done: str) -> RedirectResponse:
    return RedirectResponse(f"{HOME}?done={done}", 303)
