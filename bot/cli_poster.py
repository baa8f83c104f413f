"""`phen receptions poster`: a municipality's sheet for a wall."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from bot.app import Phen
from bot.cli_common import Mistake, with_store
from bot.posters import NoLinks
from dialogs.model import SOURCE_LANGUAGE, Place

_SILENT = "No code for {}: it does not tell us our name there just now; try again in a minute."
_NO_WEB = "No code for the web: set PHEN_PUBLIC_URL, the address of the page."


def poster(
    municipality: Annotated[str, typer.Argument(help="LAU or EKATTE code, never a name.")],
    language: Annotated[str, typer.Option(help="Of its words.")] = SOURCE_LANGUAGE,
    out: Annotated[Path, typer.Option(help="Where the SVG goes.")] = Path("poster.svg"),
) -> None:
    """Draw a poster whose codes open the line. Example: phen receptions poster rse04 --language tr

    A4, to be printed at its real size.
    """

    async def draw(phen: Phen) -> tuple[str, list[str]]:
        place = _place(phen, municipality)
        if language not in phen.content.languages:
            known = ", ".join(phen.content.languages)
            raise Mistake(f"There is no language “{language}”; take one of: {known}.")
        links = await phen.posters.links(place)
        without = [_SILENT.format(name.capitalize()) for name, link in links.items() if not link]
        without += [] if phen.posters.web else [_NO_WEB]
        try:
            return phen.posters.draw(place, language, links), without
        except NoLinks:
            raise Mistake(" ".join(without)) from None

    drawn, without = with_store(draw)
    out.write_text(drawn, encoding="utf-8")
    for each in without:
        typer.echo(each, err=True)
    typer.echo(f"Drawn: {out}")


def _place(phen: Phen, code: str) -> Place:
    """Whose code this is; a `Mistake` if it is no municipality's."""
    for place in phen.content.places.values():
        if code.lower() == place.code or code == place.ekatte:
            return place
    known = ", ".join(f"{lau} ({name})" for lau, (_, name) in phen.places.items())
    raise Mistake(f"There is no municipality “{code}”; take one of: {known}.")
