"""The only place where the parts are joined. It decides nothing."""

from __future__ import annotations

import asyncio
import contextlib
import signal
from collections.abc import AsyncIterator, Callable, Coroutine
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import uvicorn
from starlette.applications import Starlette

from bot.channels.base import Channel, Unauthorised
from bot.channels.telegram import Profile, TelegramChannel
from bot.channels.web import WebChannel
from bot.conversation import Conversation
from bot.delivery import Delivery, remove_old
from bot.desk.accounts import Accounts
from bot.desk.service import Desk
from bot.handover import Handover
from bot.live import Changes
from bot.privacy.redact import EventLog
from bot.privacy.vault import Vault
from bot.settings import Settings
from bot.storage.store import Store
from bot.texts import Texts, open_content
from bot.web.app import WebParts, create_app
from bot.windows import Timing, Who, Windows
from dialogs.model import Content
from scheduler.clock import Clock

PICTURES = Path(__file__).resolve().parent.parent / "pictures"
DRAIN_SECONDS = 8.0
"""Of the ten that a clean stop may take; the rest is for the web server."""

log = EventLog("program")


def utc_now() -> datetime:
    """The real clock."""
    return datetime.now(UTC)


@dataclass(slots=True)
class Phen:
    """The whole program, joined and not yet running."""

    settings: Settings
    content: Content
    texts: Texts
    vault: Vault
    store: Store
    changes: Changes
    channels: dict[str, Channel]
    web: WebChannel
    windows: Windows
    conversation: Conversation
    delivery: Delivery
    handover: Handover
    desk: Desk
    accounts: Accounts
    now: Callable[[], datetime]
    failing: dict[str, str] = field(default_factory=dict)

    async def health(self) -> dict[str, bool]:
        """What works: the database and each configured channel."""
        return {
            "database": await self.store.answers(),
            **{name: name not in self.failing for name in self.channels},
        }


@contextlib.asynccontextmanager
async def join(
    settings: Settings,
    *,
    now: Callable[[], datetime] = utc_now,
    timing: Timing | None = None,
    create_key: bool = True,
) -> AsyncIterator[Phen]:
    """Join the parts. On leaving, windows are covered and connections closed."""
    content, texts = open_content()
    vault = Vault.open(settings.key_file, create=create_key)
    store = await Store.open(settings.database, vault, now)
    try:
        phen = _joined(settings, content, texts, vault, store, now, timing or Timing())
        await store.recover()
        await store.nobody_present()
        try:
            yield phen
        finally:
            await _wind_down(phen)
    finally:
        await store.close()


def _joined(
    settings: Settings,
    content: Content,
    texts: Texts,
    vault: Vault,
    store: Store,
    now: Callable[[], datetime],
    timing: Timing,
) -> Phen:
    changes = Changes()
    web = WebChannel(now)
    channels: dict[str, Channel] = {web.name: web}
    if settings.telegram_token is not None:
        channels["telegram"] = _telegram(settings, content, texts, store, now)

    async def gone(who: Who) -> None:
        await handover.forget(who)

    windows = Windows(
        channels,
        timing,
        on_idle=lambda who: conversation.idle(who),
        on_gone=gone,
        kept=lambda who: handover.kept_handles(who),
    )
    delivery = Delivery(store, windows, channels, content, texts, changes, now, gone)
    handover = Handover(store, texts, changes, now, delivery.wake)
    conversation = Conversation(
        content, texts, channels, windows, handover, store, now, lambda: changes.watched
    )
    return Phen(
        settings=settings,
        content=content,
        texts=texts,
        vault=vault,
        store=store,
        changes=changes,
        channels=channels,
        web=web,
        windows=windows,
        conversation=conversation,
        delivery=delivery,
        handover=handover,
        desk=Desk(store, changes, now, delivery.wake, texts),
        accounts=Accounts(store, vault, now),
        now=now,
    )
