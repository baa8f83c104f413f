"""How long a message that did not get through is tried again, before a person sees it.

The platform's refusals count: six, over more than eleven minutes, so that ten bad minutes of its
are outlived. What never left this machine is no attempt: it is tried until the line is back, for
an hour. A pause that the platform asks for (429) counts for neither.
"""

from __future__ import annotations

from datetime import datetime, timedelta

ATTEMPTS = 6
LONGEST = timedelta(hours=1)
"""Since the first try; then a person decides."""
PAUSES = tuple(timedelta(seconds=seconds) for seconds in (2, 10, 60, 180, 420))
"""After the first refusal, the second, and so on."""
SOONEST, LATEST = timedelta(seconds=2), timedelta(seconds=30)
"""Between two tries of which nothing leaves this machine: as long as that has lasted."""


def next_try(attempts: int, first: datetime, now: datetime, *, reached: bool) -> datetime | None:
    """When to try again; None: no more, a person decides.

    `attempts`: how often the platform was reached in vain, this time included. `first`: when it
    was tried for the first time. `reached`: whether the platform was, this time.
    """
    end = first + LONGEST
    if attempts >= ATTEMPTS or now >= end:
        return None
    pause = PAUSES[attempts - 1] if reached else min(max(now - first, SOONEST), LATEST)
    return min(now + pause, end)
