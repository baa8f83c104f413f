"""The posters: for each municipality and language a sheet to open and print."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from starlette.requests import Request
from starlette.responses import Response

from bot.posters import NoLinks
from bot.web.fields import Say
from bot.web.login import Visitor, page, refusal
from bot.web.staff_page import StaffPage
from dialogs.model import SOURCE_LANGUAGE

if TYPE_CHECKING:
    from bot.web.app import WebParts

HOME = "/staff/posters"
SVG = "image/svg+xml"


def poster_pages(parts: WebParts) -> list[StaffPage]:
    """The posters, for the team."""
    pages = PosterPages(parts)
    return [
        StaffPage("GET", HOME, pages.home),
        StaffPage("GET", f"{HOME}/{{place}}.{{language}}.svg", pages.poster),
    ]


class PosterPages:
    """Lists them, says which codes they bear now, and draws each when it is asked for."""

    def __init__(self, parts: WebParts) -> None:
        self._parts = parts
        self._posters = parts.posters
        self._say: Say = partial(parts.texts.say, SOURCE_LANGUAGE)

    async def home(self, request: Request, visitor: Visitor) -> Response:
        places = self._parts.content.places
        links = await self._posters.links(next(iter(places.values())))
        return page(
            self._parts,
            "staff/posters.html",
            visitor,
            places=sorted((self._say(it.name), code) for code, it in places.items()),
            languages=self._parts.content.languages,
            borne=[name for name, link in links.items() if link],
            silent=[name for name, link in links.items() if not link],
            no_web=not self._posters.web,
        )

    async def poster(self, request: Request, visitor: Visitor) -> Response:
        place = self._parts.content.places.get(request.path_params["place"])
        language = request.path_params["language"]
        if place is None or language not in self._parts.content.languages:
            return refusal(self._parts, visitor, 404, "staff.posters.error.none")
        try:
            drawn = self._posters.draw(place, language, await self._posters.links(place))
        except NoLinks:
            return refusal(self._parts, visitor, 503, "staff.posters.error.no_links")
        name = f'inline; filename="{place.code}.{language}.svg"'
        return Response(drawn, media_type=SVG, headers={"Content-Disposition": name})
