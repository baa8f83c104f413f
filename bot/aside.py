"""Poison: what nobody understands or can do is set aside, counted, and shown to a person.

Whoever sets something aside only tells its log the code, so that an intake neither waits for
the database nor fails with it. What was told since is written down here, every few seconds.
"""

from __future__ import annotations

from collections import Counter

from bot.privacy.redact import EventLog
from bot.storage.store import Store

SET_ASIDE = frozenset(
    {
        "update_dropped",
        "update_set_aside",
        "set_aside",
        "unknown_event",
        "unreadable",
        "not_reminded",
        "reminder_unknown",
    }
)
"""The codes. A stranger's call without a signature (`call_refused`) is none of them."""


class AsideKeeper:
    """Writes down what this process sets aside from now on."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._kept = Counter(EventLog.counted)

    async def tick(self) -> None:
        """Keep what is new. While the database is away it is counted on, and kept later."""
        for (channel, code), told in list(EventLog.counted.items()):
            new = told - self._kept[channel, code]
            if code in SET_ASIDE and new > 0:
                await self._store.set_aside(channel, code, new)
                self._kept[channel, code] = told
