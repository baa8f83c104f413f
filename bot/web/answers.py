"""What to do when a child is in danger, and when the police ask: the centre's written answers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from starlette.requests import Request
from starlette.responses import Response

from bot.web.login import Visitor, page
from bot.web.staff_page import EVERYBODY, StaffPage

if TYPE_CHECKING:
    from bot.web.app import WebParts

CHILD_LAW = "LAW-40"
"""The duty to report; the page says when it was last checked, and by whom."""


def answer_pages(parts: WebParts) -> list[StaffPage]:
    """One page, for everybody who has a login."""

    async def show(request: Request, visitor: Visitor) -> Response:
        return page(
            parts,
            "staff/answers.html",
            visitor,
            law=parts.content.facts[CHILD_LAW],
            today=parts.now().date(),
        )

    return [StaffPage("GET", "/desk/answers", show, EVERYBODY)]
