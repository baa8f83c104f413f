"""Templates, static files and pictures of the web, and the words in them.

A template gets its words by id: `t("page.send")`. Static files have their content's digest in
the address and may be kept; everything else may not. Pictures are put into the page itself:
a request of their own would tell a proxy's log which screen she reads.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable
from functools import cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup
from starlette.responses import HTMLResponse, Response
from starlette.staticfiles import StaticFiles
from starlette.types import Scope

if TYPE_CHECKING:
    from bot.texts import Texts

HERE = Path(__file__).parent
PICTURES = HERE.parents[1] / "pictures"
_SVG = "http://www.w3.org/2000/svg"
_NAME = re.compile(r"[a-z][a-z0-9_]*")
_AS_SHOWN = {
    "aria-hidden": "true",
    "focusable": "false",
    "class": "picture",
    "preserveAspectRatio": "xMidYMid slice",
}
_DRAWN = ("path", "circle", "rect", "ellipse", "line", "polyline", "polygon")
_PAINT = ("linearGradient", "radialGradient", "stop", "clipPath", "mask")
_SHAPES = frozenset(("svg", "g", "defs", *_DRAWN, *_PAINT))


class Templates:
    """Renders `templates/` in one language at a time."""

    def __init__(self, texts: Texts, pictures: Path = PICTURES) -> None:
        self._texts = texts
        self._environment = Environment(
            loader=FileSystemLoader(HERE / "templates"),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        self._environment.globals["static"] = static
        self._environment.globals["picture"] = partial(picture, folder=pictures)

    def render(self, name: str, language: str, **values: Any) -> str:
        """The template's text; `t` in it says a phrase in `language`."""
        say: Callable[..., str] = partial(self._texts.say, language)
        return self._environment.get_template(name).render(t=say, language=language, **values)

    def page(self, name: str, language: str, status: int = 200, **values: Any) -> HTMLResponse:
        return HTMLResponse(self.render(name, language, **values), status_code=status)


class KeptFiles(StaticFiles):
    """Static files; one asked for by its digest may be kept for good."""

    async def get_response(self, path: str, scope: Scope) -> Response:
        response = await super().get_response(path, scope)
        if response.status_code == 200 and scope["query_string"].startswith(b"v="):
            response.headers["Cache-Control"] = "public, max-age=31536000, immutable"
        return response


@cache
def static(name: str) -> str:
    """The address of a static file, with its digest."""
    digest = hashlib.sha256((HERE / "static" / name).read_bytes()).hexdigest()[:10]
    return f"/static/{name}?v={digest}"


@cache
def picture(name: str | None, folder: Path = PICTURES) -> Markup:
    """A picture as markup for the page, or nothing when there is none that may stand there."""
    file = folder / f"{name}.svg"
    if name is None or not _NAME.fullmatch(name) or not file.is_file():
        return Markup()
    try:
        return _clean(ElementTree.parse(file).getroot())  # noqa: S314  # our own file
    except (ElementTree.ParseError, ValueError):
        return Markup()


def _clean(root: ElementTree.Element) -> Markup:
    """Only shapes and colours. Raises ValueError for anything that could do or load something."""
    ElementTree.register_namespace("", _SVG)
    for parent in root.iter():
        for child in [c for c in parent if _tag(c) in ("title", "desc", "metadata")]:
            parent.remove(child)
    for element in root.iter():
        if _tag(element) not in _SHAPES:
            raise ValueError
        for name, value in element.attrib.items():
            if name.startswith("on") or name == "style" or "}" in name or "//" in value:
                raise ValueError
    root.attrib.pop("width", None)
    root.attrib.pop("height", None)
    root.attrib.update(_AS_SHOWN)
    return Markup(ElementTree.tostring(root, encoding="unicode"))  # noqa: S704  # cleaned above


def _tag(element: ElementTree.Element) -> str:
    return str(element.tag).removeprefix(f"{{{_SVG}}}")
