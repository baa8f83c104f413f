"""The poster of a municipality: one sheet for a wall, with codes that open the line there.

It belongs to the cover. Whoever reads it finds recipes and telephones under the neutral name,
and of the centre nothing: no telephone of its own, no address.
"""

from __future__ import annotations

import textwrap
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING

import segno

from bot.web.templating import Templates
from dialogs.engine import link_code
from dialogs.model import Language, Place

if TYPE_CHECKING:
    from bot.channels.base import Linked
    from bot.texts import Texts

WEB = "web"
WIDTH, HEIGHT, MARGIN = 210.0, 297.0, 15.0
"""A4, in millimetres like every length here; in the margin no printer needs to print."""
_SLACK = 4
"""Letters that a line may have beyond the half, so that there are two of about the same length."""
QUIET = 4
"""Modules around a QR code that stay white, as its standard asks."""
_ROOM = WIDTH - 2 * MARGIN
_BAND = (138.0, 260.0)
"""Where on the sheet the codes and their labels stand."""
_LARGEST_CODE, _LABEL = 90.0, 14.0
_LETTER = 0.62
"""How wide a letter is for its height, at the most: in bold, and whatever font a computer has."""


class NoLinks(Exception):
    """There is nothing yet that a poster could lead to."""


@dataclass(frozen=True, slots=True)
class _Code:
    """A QR code where it stands on the sheet, with all its white."""

    channel: str
    x: float
    y: float
    side: float
    modules: int
    path: str


@dataclass(frozen=True, slots=True)
class Posters:
    """Draws them.

    `linked` are the configured chats by name; `web` is where people reach our page, empty where
    nobody has said so.
    """

    texts: Texts
    linked: Mapping[str, Linked]
    web: str

    async def links(self, place: Place) -> dict[str, str | None]:
        """What opens the line at a municipality, by channel.

        None where a platform has not told us our own name just now.
        """
        code = link_code(place.code)
        links = {name: await channel.link(code) for name, channel in self.linked.items()}
        return links | ({WEB: f"{self.web}/?start={code}"} if self.web else {})

    def draw(self, place: Place, language: Language, links: Mapping[str, str | None]) -> str:
        """The poster as SVG, with a code for each of the `links` that is known.

        Raises `NoLinks` where none is.
        """
        known = {name: link for name, link in links.items() if link}
        if not known:
            raise NoLinks
        where = self.texts.say(language, place.name)
        local = self.texts.say(language, "poster.place", place=where)
        about = self.texts.say(language, "poster.about")
        lines = textwrap.wrap(about, len(about) // 2 + _SLACK)
        return Templates(self.texts).render(
            "poster.svg",
            language,
            name_size=_fitting(self.texts.say(language, "bot.name"), 21),
            place=local,
            place_size=_fitting(local, 10),
            about=lines,
            about_size=min(_fitting(line, 8.5) for line in lines),
            codes=_codes(known),
        )


def _fitting(words: str, most: float) -> float:
    """The size of a line that is as wide as the sheet at the most."""
    return round(min(most, _ROOM / (_LETTER * len(words))), 2)


def _codes(links: Mapping[str, str]) -> list[_Code]:
    """The codes beside each other, as large as there is room."""
    n, (top, bottom) = len(links), _BAND
    side = min(_LARGEST_CODE, _ROOM / n)
    left = (WIDTH - n * side) / 2
    y = top + (bottom - top - side - _LABEL) / 2
    return [
        _code(channel, link, left + place * side, y, side)
        for place, (channel, link) in enumerate(links.items())
    ]


def _code(channel: str, link: str, x: float, y: float, side: float) -> _Code:
    matrix = segno.make(link, error="m", micro=False).matrix
    path = []
    for row, modules in enumerate(matrix, QUIET):
        column = QUIET
        for dark, run in groupby(modules):
            length = len(list(run))
            path += [f"M{column} {row}h{length}v1h-{length}z"] if dark else []
            column += length
    return _Code(channel, x, y, side, len(matrix) + 2 * QUIET, "".join(path))
