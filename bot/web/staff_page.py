"""What a page behind the staff's door is: its address, what answers, and for which roles."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from bot.storage.records import Role
from bot.web.login import Handler, Visitor, guarded, refusal

if TYPE_CHECKING:
    from bot.web.app import WebParts

EVERYBODY = tuple(Role)
TEAM = (Role.STAFF, Role.ADMIN)
ADMIN = (Role.ADMIN,)


@dataclass(frozen=True, slots=True)
class StaffPage:
    """One page, or one form that is sent to it. `quiet`: a page asks for it, not a person."""

    method: str
    path: str
    answer: Handler
    roles: tuple[Role, ...] = TEAM
    quiet: bool = False

    def route(self, parts: WebParts) -> Route:
        """Its route: whoever has none of the roles is refused, and the audit notes it."""

        async def handler(request: Request, visitor: Visitor) -> Response:
            if visitor.is_a(*self.roles):
                return await self.answer(request, visitor)
            await parts.store.audit(visitor.me.id, "refused.role")
            return refusal(parts, visitor, 403, "staff.error.not_allowed")

        return Route(self.path, guarded(parts, handler, self.quiet), methods=[self.method])
