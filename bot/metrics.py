"""The figures of `/metrics`, as Prometheus reads them. None is about a woman.

What has happened is counted by the log (`EventLog.counted`), by code, since this process began;
how things stand is asked for at each request.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import groupby

from bot.aside import SET_ASIDE
from bot.privacy.redact import EventLog
from bot.storage.store import Store

STEP = timedelta(seconds=10)
"""Ages are told in such steps: the moment of a message is nobody's business."""
VERDICTS = frozenset({"sent", "unsent", "throttled", "unknown", "refused", "gone"})
_OWN_NAMES = {
    "retried": "retries_total",
    "poll_failed": "polls_failed_total",
    "call_refused": "calls_refused_total",
}


@dataclass(frozen=True, slots=True)
class Sample:
    """One figure. A name that ends in `_total` only ever grows."""

    name: str
    value: int
    labels: Mapping[str, str] = field(default_factory=dict)


class Metrics:
    """Gathers the figures of this process and of the database."""

    def __init__(
        self,
        store: Store,
        now: Callable[[], datetime],
        roles: Collection[str],
    ) -> None:
        """`roles`: those that this process could hold."""
        self._store = store
        self._now = now
        self._roles = roles

    async def __call__(self) -> list[Sample]:
        """All of them; without those of the database while it is away."""
        try:
            stored = await self._stored()
        except Exception:  # of whatever kind: the rest can be told without it
            stored = [Sample("database_up", 0)]
        together = self._store.together
        roles = [Sample("role_held", together.holds(each), {"role": each}) for each in self._roles]
        return [*counted(EventLog.counted), *stored, *roles]

    async def _stored(self) -> list[Sample]:
        now = self._now()
        queue, undecided = await self._store.queue(now), await self._store.undecided()
        return [
            Sample("database_up", 1),
            Sample("outbox_due", queue.due),
            Sample("outbox_oldest_seconds", _age(queue.since, now)),
            Sample("undecided", undecided.count),
            Sample("undecided_oldest_seconds", _age(undecided.oldest_at, now)),
            Sample("workers_alive", len(await self._store.together.living())),
            Sample("wal_bytes", self._store.log_bytes()),
        ]


def counted(events: Mapping[tuple[str, str], int]) -> list[Sample]:
    """What the log has counted, each under its name."""
    return [_sample(part, code, times) for (part, code), times in events.items()]


def _sample(part: str, code: str, times: int) -> Sample:
    if code in VERDICTS:
        return Sample("sends_total", times, {"channel": part, "verdict": code})
    if code in SET_ASIDE:
        return Sample("set_aside_total", times, {"channel": part, "code": code})
    if code in _OWN_NAMES:
        return Sample(_OWN_NAMES[code], times, {"channel": part})
    return Sample("events_total", times, {"part": part, "code": code})


def exposition(samples: Iterable[Sample]) -> str:
    """Prometheus's text format."""
    lines = []
    in_order = sorted(samples, key=lambda each: (each.name, sorted(each.labels.items())))
    for name, group in groupby(in_order, key=lambda each: each.name):
        lines.append(f"# TYPE phen_{name} {'counter' if name.endswith('_total') else 'gauge'}")
        lines += [f"phen_{name}{_braced(each.labels)} {int(each.value)}" for each in group]
    return "".join(f"{line}\n" for line in lines)


def _braced(labels: Mapping[str, str]) -> str:
    """Their values are names from lists of ours: nothing in them needs a backslash."""
    told = ",".join(f'{name}="{value}"' for name, value in labels.items())
    return f"{{{told}}}" if told else ""


def _age(since: datetime | None, now: datetime) -> int:
    """In whole steps."""
    if since is None or since >= now:
        return 0
    return int((now - since) // STEP * STEP.total_seconds())
