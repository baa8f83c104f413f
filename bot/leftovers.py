"""What has to go from a chat is removed from there: at once, and in the end after any kill.

It is known from the transaction on that makes it so (`bot/storage/leftovers.py`).
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

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


def take_out(
    store: Store, windows: Windows, who: Who, left: Sequence[Leftover], *, anew: bool = False
) -> None:
    """Remove these from her chat now, beside all else, and then forget where they stood.

    A reminder that she opened is her window by now. `anew`: it goes, too, and what she sees next
    stands below it; else it stays, and `remove_leftovers` looks what becomes of it.
    """
    window = windows.get(who)
    if anew and window is not None and window.handle in [each.handle for each in left]:
        windows.renew(who)
    these = [each for each in left if window is None or window.handle != each.handle]
    ids = [each.id for each in these]
    windows.remove_known(who, [each.handle for each in these], lambda: store.drop_leftovers(ids))


async def remove_leftovers(
    store: Store, windows: Windows, channels: Mapping[str, Channel], served: Collection[str]
) -> None:
    """Try each once; what cannot be removed now is left for next time.

    What is of who deleted everything goes first; else after all that is urgent. Of the channels
    that this process serves: only where the windows are is known at what a woman looks.
    """
    unreached = set[str]()
    for each in await store.leftovers([name for name in served if name in channels]):
        if each.channel in unreached:
            continue
        try:
            over = await _remove(windows, channels[each.channel], each)
        except (Unreached, Unauthorised):
            unreached.add(each.channel)
        except (Throttled, Unsent, Unknown):
            continue
        except SendError as error:  # she has left the line, or it can never be removed
            log.failed("not_removed", error)
            await store.drop_leftovers([each.id])
        except Exception as error:  # a fault with one must not keep all others standing
            log.failed("not_removed", error)
        else:
            if over:
                await store.drop_leftovers([each.id])


async def _remove(windows: Windows, channel: Channel, old: Leftover) -> bool:
    """Whether it is over with it. False: she looks at it just now."""
    who = Who(old.channel, old.address)
    window = windows.get(who)
    if window is not None and window.handle == old.handle:
        if window.open:
            return False
        if window.position is not None and window.position.node != REMINDER:
            return True  # it is her window by now, which has its own way to go
    await channel.remove(who.address, [old.handle], urgent=old.erased)
    windows.taken_away(who, old.handle)
    return True
