"""`/receptions.ics`: the receptions for everybody's phone, under neutral names.

A phone that subscribed shows it among the days of whoever holds the phone, so nothing in it tells
what the line is about. It is asked for without a login, and says the same while the line is
stopped.
"""

from __future__ import annotations

import hashlib
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from bot.neutral import topic_word
from dialogs.model import SOURCE_LANGUAGE
from scheduler.model import Reception
from scheduler.reception_ical import write_ics

if TYPE_CHECKING:
    from bot.web.app import WebParts

FEED = "/receptions.ics"
SHOWN_AFTER = timedelta(days=1)
"""So long after its end one stays, also a cancelled one: a phone may not look sooner."""
MAX_AGE = 600
"""Seconds for which an answer may be kept on the way."""


def feed_routes(parts: WebParts) -> list[BaseRoute]:
    """The public calendar."""
    return [Route(FEED, Feed(parts).answer)]


class Feed:
    """Makes the calendar anew only when something in it changed."""

    def __init__(self, parts: WebParts) -> None:
        self._parts = parts
        self._name = parts.texts.say(SOURCE_LANGUAGE, "bot.name")
        self._made = ("", b"")

    async def answer(self, request: Request) -> Response:
        now = self._parts.now()
        coming = await self._parts.store.receptions(since=now - SHOWN_AFTER)
        shown = [self._neutral(it) for it in coming]
        tag = f'W/"{hashlib.sha256(repr(shown).encode()).hexdigest()[:32]}"'
        headers = {"Cache-Control": f"public, max-age={MAX_AGE}", "ETag": tag}
        known = request.headers.get("if-none-match", "")
        if tag in (each.strip() for each in known.split(",")):
            return Response(status_code=304, headers=headers)
        if self._made[0] != tag:
            self._made = tag, write_ics(shown, now, public=self._name)
        return Response(self._made[1], media_type="text/calendar", headers=headers)

    def _neutral(self, it: Reception) -> Reception:
        """Without who comes, and without a text that tells the topic."""
        code = self._parts.content.places.get(it.municipality)
        town = self._parts.texts.say(SOURCE_LANGUAGE, code.name) if code else ""
        place = it.place if self._tells_nothing(it.place) else ""
        named = (place,) if town.casefold() in place.casefold() else (place, town)
        return replace(
            it,
            public_name=it.public_name if self._tells_nothing(it.public_name) else self._name,
            place=", ".join(filter(None, named)),
            landmark=it.landmark if self._tells_nothing(it.landmark) else "",
            attends="",
        )

    def _tells_nothing(self, text: str) -> bool:
        return bool(text) and topic_word(self._parts.texts, text) is None
