"""The tables of the broadcast, and its goals."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from bench.broadcast import CAP, KILLED_AT, PAID_CAP, WRITING
from bench.figures import met, middle_and_late, number, table

Seen = Mapping[str, Any]
LEAST = 0.97
"""The part of its cap that Phen is to take."""
_WHEN = ("before", "start", "during")


def tables(found: Mapping[str, Seen]) -> str:
    """What was measured, by database."""
    return f"### A broadcast\n\n{_sustained(found)}\n\n{_killed(found)}"


def goals(found: Mapping[str, Seen]) -> Iterator[tuple[str, str, str]]:
    """What issue 6 asks for."""
    for name, seen in found.items():
        database, during, killed = name.rpartition(" ")[2], seen["during"], seen["killed"]
        share, refused = _share(during), during["refused"] + seen["start"]["refused"]
        yield (
            f"{database}: {LEAST:.0%} of the cap of {CAP} a second, and nothing refused",
            f"{share:.1%}, {refused} times a 429",
            met(share >= LEAST and not refused),
        )
        told, lost = killed["report"], _lost(killed)
        yield (
            f"{database}: after kill -9 at {_points()} nobody gets it twice or is lost untold",
            f"{killed['twice']} twice, {lost} lost, {told['unknown']} unknown",
            met(not killed["twice"] and not lost and _adds_up(killed)),
        )
        faults = seen["during"]["faults"]
        said = "; ".join(f"{what} ({times})" for what, times in faults.items()) or "none"
        yield f"{database}: every word answered meanwhile; what was wrong", said, met(not faults)


def _sustained(found: Mapping[str, Seen]) -> str:
    head = (
        f"{CAP} a second",
        "recipients",
        "s to enqueue",
        "MB idle → enqueued → sending, at most",
        "calls/s that count",
        "of the cap",
        "of them the broadcast's",
        "429",
        f"{WRITING} women writing: ms from the desk to the platform: without it",
        "at its start",
        "in its middle",
        "ms to the desk: without it",
        "at its start",
        "in its middle",
        "processor",
    )
    rows = [
        (
            name,
            f"{seen['recipients']:,}",
            f"{seen['enqueue']:.2f}",
            f"{seen['idle']:.0f} → {seen['enqueued']:.0f} → {seen['peak']:.0f}",
            f"{during['calls'] / during['seconds']:.2f}",
            f"{_share(during):.1%}",
            f"{during['reached'] / during['seconds']:.1f}",
            str(during["refused"]),
            *(middle_and_late(seen[when]["from_desk"]) for when in _WHEN),
            *(middle_and_late(seen[when]["to_desk"]) for when in _WHEN),
            f"{during['bot']:.0%}",
        )
        for name, seen in found.items()
        for during in [seen["during"]]
    ]
    return table(head, rows)


def _killed(found: Mapping[str, Seen]) -> str:
    head = (
        f"{PAID_CAP} a second, killed at {_points()}",
        "recipients",
        "s in all",
        "a second, between the kills",
        "s from the new start until it goes on",
        "got it",
        "twice",
        "told: delivered",
        "unknown",
        "of them arrived",
        "lost and not told",
        "the report adds up",
        "429",
        "MB at most",
    )
    rows = [
        (
            name,
            f"{killed['recipients']:,}",
            f"{killed['seconds']:.0f}",
            " · ".join(number(each) for each in killed["rates"]),
            " · ".join(number(each) for each in killed["goes_on"]),
            f"{killed['reached']:,}",
            str(killed["twice"]),
            f"{told['delivered']:,}",
            str(told["unknown"]),
            str(killed["reached"] - told["delivered"]),
            str(_lost(killed)),
            "yes" if _adds_up(killed) else "**no**",
            str(killed["refused"]),
            f"{max(killed['peaks']):.0f}",
        )
        for name, seen in found.items()
        for killed in [seen["killed"]]
        for told in [killed["report"]]
    ]
    return table(head, rows)


def _share(during: Seen) -> float:
    return float(during["calls"] / during["seconds"] / CAP)


def _lost(killed: Seen) -> int:
    """Who did not get it though the report does not say so, and who it says got it and did not."""
    told = killed["report"]
    excused = told["recipients"] - told["delivered"]
    return max(killed["recipients"] - killed["reached"] - excused, 0)


def _adds_up(killed: Seen) -> bool:
    told = killed["report"]
    parts = sum(told[name] for name in ("delivered", "gone", "held", "unknown", "failed"))
    return bool(told["recipients"] == killed["recipients"] == parts)


def _points() -> str:
    *first, last = (f"{each:.0%}" for each in KILLED_AT)
    return f"{', '.join(first)} and {last}"
