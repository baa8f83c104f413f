"""Reminders that are over are taken out of the chats in which they still stand."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from bot.channels.base import (
    Channel,
    SendError,
    Throttled,
    Unauthorised,
    Unknown,
    Unreached,
    Unsent,
    Who,
)
from bot.privacy.redact import EventLog
from bot.storage.leftovers import Leftover
from bot.storage.store import Store
from bot.windows import Windows
from dialogs.model import REMINDER

log = EventLog("leftovers")


async def remove_leftovers(
    store: Store, windows: Windows, channels: Mapping[str, Channel], served: Collection[str]
) -> None:
    """Try each once, after all that is urgent; what cannot be removed now is left for next time.

    Of the channels that this process serves: only where the windows are is known at what a woman
    looks. Whoever reads just now is left alone.
    """
    unreached = set[str]()
    for each in await store.leftovers([name for name in served if name in channels]):
        who = Who(each.channel, each.address)
        if each.channel in unreached or windows.is_open(who):
            continue
        try:
            await _remove(windows, channels[each.channel], who, each)
        except (Unreached, Unauthorised):
            unreached.add(each.channel)
        except (Throttled, Unsent, Unknown):
            continue
        except SendError as error:  # she has left the line, or it can never be removed
            log.failed("not_removed", error)
            await store.drop_leftovers([each.id])
        else:
            await store.drop_leftovers([each.id])


async def _remove(windows: Windows, channel: Channel, who: Who, old: Leftover) -> None:
    window = windows.get(who)
    shows = None if window is None or window.handle != old.handle else window.position
    if shows is not None and shows.node != REMINDER:
        return  # it is her window by now, which has its own way to go
    await channel.remove(who.address, [old.handle], urgent=False)
    windows.taken_away(who, old.handle)
