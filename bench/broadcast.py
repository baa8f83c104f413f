"""A broadcast to many: beside women who write to a person, and through kill -9 at three points."""

from __future__ import annotations

import json
import signal
import time
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from bench import stored
from bench.scenarios import PHENS, SLOW, Bench, Contestant, Effort, Found, Seen

CAP, PAID_CAP = 30, 300
"""Calls that Telegram takes in any second; and a cap as of its paid broadcasts, to be done sooner.
"""
KILLED_AT = (0.10, 0.37, 0.80)
WRITING, PAUSE = 12, 6.0
"""Women who write to a person meanwhile; seconds from an answer to the next word."""
HURRY = 1.0
"""The same while it is enqueued, to see what that holds up."""
BEFORE, ENQUEUING = 0.3, 0.1
"""Parts of the time of the broadcast for which the same is measured before it and at its start."""
LOOK_SECONDS = 20.0
NOON = 12
_ZONE = ZoneInfo("Europe/Sofia")


def measure(
    bench: Bench, effort: Effort, found: Found, phens: tuple[Contestant, ...] = PHENS
) -> None:
    """On each database: one that is looked at for a while, and one that is killed, to its end."""
    for phen in phens:
        seen = _sustained(bench, phen, effort)
        found.broadcast[phen.name] = seen | {"killed": _killed(bench, phen, effort.killed)}


class _Line:
    """One database with those who wait, and the process that serves it, again and again."""

    def __init__(self, bench: Bench, phen: Contestant, recipients: int, cap: int) -> None:
        self._bench, self._recipients = bench, recipients
        bench.tell(f"broadcast: {recipients:,} recipients in {phen.database}")
        now = datetime.now(UTC)
        ahead = seconds_to_noon(now)
        self._who = Contestant(phen.name, f"phen_broadcast:{cap}:{ahead}", phen.database)
        self._place = bench.database(phen.database, 0)
        stored.subscribed(*self._place, recipients, now + timedelta(seconds=ahead))
        bench.durable()
        self._token = bench.new_token()
        told = {"recipients": recipients, "cap": cap, "ahead": ahead, "delay": SLOW}
        self.ask("broadcast", **told)

    def running(self) -> Any:
        return self._bench.running(self._who, self._place, self._token)

    def ask(self, what: str, **told: Any) -> Seen:
        return self._bench.standin.ask(what, self._token, **told)

    def counted(self) -> Seen:
        """What the stand-in has counted by now."""
        return self.ask("until", reached=0, seconds=0.0)

    def reached(self, share: float) -> Seen:
        """Wait until that part of them has got it; what the stand-in has counted by then."""
        wanted = int(self._recipients * share)
        while (seen := self.ask("until", reached=wanted, seconds=LOOK_SECONDS))["reached"] < wanted:
            continue
        return seen


def _sustained(bench: Bench, phen: Contestant, effort: Effort) -> Seen:
    """At Telegram's own cap: the rate, and how long an answer of the desk's takes beside it."""
    line = _Line(bench, phen, effort.recipients, CAP)
    told = {"women": WRITING, "delay": SLOW, "pause": PAUSE}
    with line.running() as (process, _):
        seen: Seen = {"recipients": effort.recipients}
        seen["before"] = line.ask("talks", seconds=effort.sending * BEFORE, **told)
        seen["idle"] = process.peak
        bench.tell(f"broadcast: {phen.database}, {CAP} a second")
        process.child.send_signal(signal.SIGUSR1)
        hurry = told | {"pause": HURRY, "seconds": effort.sending * ENQUEUING}
        seen["start"] = line.ask("talks", **hurry)
        seen |= json.loads(process.line())
        seen["enqueued"] = process.peak
        seen["during"] = line.ask("talks", seconds=effort.sending, **told)
        seen["peak"] = process.peak
    return seen


def _killed(bench: Bench, phen: Contestant, recipients: int) -> Seen:
    """Under a higher cap, to its end: when it goes on after each kill, and who got it how often."""
    line = _Line(bench, phen, recipients, PAID_CAP)
    seen: Seen = {"recipients": recipients, "goes_on": [], "rates": [], "peaks": []}
    began = 0.0
    for share in (*KILLED_AT, None):
        started = time.monotonic()
        with line.running() as (process, _):
            if began:
                seen["goes_on"].append(line.ask("next")["at"] - started)
            else:
                process.child.send_signal(signal.SIGUSR1)
                seen |= json.loads(process.line())
                began = time.monotonic()
            before, since = line.counted()["reached"], time.monotonic()
            until = f"{share:.0%}" if share else "its end"
            bench.tell(f"broadcast: {phen.database}, {PAID_CAP} a second, until {until}")
            if share is None:
                seen["report"] = json.loads(process.line())
            else:
                line.reached(share)
            sent = line.counted()["reached"] - before
            seen["rates"].append(sent / (time.monotonic() - since))
            seen["peaks"].append(process.peak)
            if share is not None:
                process.kill()
        line.counted()  # by now all that was on its way has come
    seen["seconds"] = time.monotonic() - began
    return seen | line.counted()


def seconds_to_noon(now: datetime) -> float:
    """Seconds until midday there, or since: within everybody's hours, whenever this is run."""
    there = now.astimezone(_ZONE)
    return (there.replace(hour=NOON, minute=0, second=0, microsecond=0) - there).total_seconds()
