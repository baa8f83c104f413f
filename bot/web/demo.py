"""The demo's page: her phone, the desk and the staff page side by side. Exists in the demo only."""

from __future__ import annotations

from typing import TYPE_CHECKING

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from bot.web.chat import EXIT_SITE
from bot.web.templating import Templates
from dialogs.model import SOURCE_LANGUAGE

if TYPE_CHECKING:
    from bot.web.app import WebParts


def demo_routes(parts: WebParts) -> list[BaseRoute]:
    """`/demo`, and `/demo/away`, which stands for the neutral site inside the phone's frame."""
    templates = Templates(parts.texts, parts.pictures)

    async def demo(_: Request) -> Response:
        from bot.web.login import SESSION_COOKIE

        response = templates.page("demo.html", SOURCE_LANGUAGE)
        if parts.demo_login is not None:
            response.set_cookie(
                SESSION_COOKIE, await parts.demo_login(), httponly=True, samesite="strict"
            )
        return response

    async def away(_: Request) -> Response:
        site = parts.texts.say(SOURCE_LANGUAGE, EXIT_SITE)
        return templates.page("demo_away.html", SOURCE_LANGUAGE, site=site)

    return [Route("/demo", demo), Route("/demo/away", away)]
