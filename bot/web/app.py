"""The ASGI application: joins the web's rooms and decides nothing."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.gzip import GZipMiddleware
from starlette.routing import BaseRoute, Mount

from bot.channels.base import Webhook
from bot.channels.web import WebChannel, WebIntake
from bot.links import Links
from bot.live import Changes
from bot.web.calendar_feed import feed_routes
from bot.web.chat import EXIT_SITE, chat_routes, failures
from bot.web.demo import demo_routes
from bot.web.health import health_routes
from bot.web.platforms import platform_routes
from bot.web.security import BodyLimit, SecurityHeaders
from bot.web.templating import HERE, PICTURES, KeptFiles
from dialogs.model import SOURCE_LANGUAGE, Content

if TYPE_CHECKING:
    from bot.broadcasts import Broadcasting
    from bot.desk.accounts import Accounts
    from bot.desk.bells import Bells
    from bot.desk.service import Desk
    from bot.desk.team import Team
    from bot.metrics import Sample
    from bot.posters import Posters
    from bot.stop import StopSwitch
    from bot.storage.store import Store
    from bot.texts import Texts


@dataclass(frozen=True, slots=True)
class WebParts:
    """All that the web's rooms are made of.

    `bells` is None where the desk has no bot of its own: then only an open page rings.
    `desk_group`: whether the desk can be worked in a Telegram group, too.
    `health` names each part and says whether it works; `metrics` gives the figures of `/metrics`.
    In the demo only: `demo_login` gives a session of its consultant, `demo_hint` the logins
    with the codes that count at a time.
    """

    content: Content
    texts: Texts
    channel: WebChannel
    intake: WebIntake
    desk: Desk
    accounts: Accounts
    team: Team
    stop: StopSwitch
    store: Store
    changes: Changes
    now: Callable[[], datetime]
    links: Links
    posters: Posters
    broadcasts: Broadcasting
    health: Callable[[], Awaitable[Mapping[str, bool]]]
    webhooks: Mapping[str, Webhook] = field(default_factory=dict)
    metrics: Callable[[], Awaitable[Sequence[Sample]]] | None = None
    bells: Bells | None = None
    desk_group: bool = False
    public_url: str = ""
    demo: bool = False
    demo_login: Callable[[], Awaitable[str]] | None = None
    demo_hint: Callable[[datetime], Awaitable[Sequence[object]]] | None = None
    pictures: Path = PICTURES

    @property
    def https(self) -> bool:
        """Whether cookies may be kept to encrypted connections."""
        return self.public_url.startswith("https://")


def create_app(parts: WebParts) -> Starlette:
    """The whole web: chat, desk, staff, and what machines ask."""
    from bot.desk.web import desk_routes
    from bot.web.login import login_routes
    from bot.web.staff import staff_routes

    return assemble(
        parts,
        [
            *chat_routes(parts),
            *desk_routes(parts),
            *staff_routes(parts),
            *login_routes(parts),
            *platform_routes(parts),
            *feed_routes(parts),
            *health_routes(parts),
            *(demo_routes(parts) if parts.demo else ()),
        ],
    )


def assemble(parts: WebParts, routes: Sequence[BaseRoute]) -> Starlette:
    """These routes under the headers, files and failures that all of the web shares."""
    exit_site = parts.texts.say(SOURCE_LANGUAGE, EXIT_SITE)
    app = Starlette(
        routes=[*routes, Mount("/static", KeptFiles(directory=HERE / "static"))],
        middleware=[Middleware(BodyLimit), Middleware(GZipMiddleware, minimum_size=1000)],
        exception_handlers=failures(parts),
    )
    app.middleware_stack = SecurityHeaders(  # around all, so that a fault's page has them, too
        app.build_middleware_stack(), demo=parts.demo, https=parts.https, exit_site=exit_site
    )
    return app
