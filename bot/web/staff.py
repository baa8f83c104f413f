"""The staff pages: which there are."""

from __future__ import annotations

from typing import TYPE_CHECKING

from starlette.routing import BaseRoute

from bot.web.answers import answer_pages
from bot.web.broadcasts import broadcast_pages
from bot.web.duty import duty_pages
from bot.web.posters import poster_pages
from bot.web.prepared import prepared_pages
from bot.web.reception_waits import wait_pages
from bot.web.receptions import reception_pages
from bot.web.switchboard import switchboard_pages
from bot.web.team import team_pages

if TYPE_CHECKING:
    from bot.web.app import WebParts


def staff_routes(parts: WebParts) -> list[BaseRoute]:
    """Everything under `/staff`, and `/desk/answers`."""
    pages = [
        *reception_pages(parts),
        *wait_pages(parts),
        *broadcast_pages(parts),
        *poster_pages(parts),
        *duty_pages(parts),
        *prepared_pages(parts),
        *switchboard_pages(parts),
        *team_pages(parts),
        *answer_pages(parts),
    ]
    return [page.route(parts) for page in pages]
