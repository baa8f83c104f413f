"""From what was measured to the table in README.md, with the goals and whether they are met."""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from bench import broadcast_report
from bench.figures import met, middle_and_late, quantile, table
from bench.scenarios import (
    AIOGRAM,
    AT_ONCE,
    CROWD,
    FEW,
    FRAMEWORKS,
    MANY,
    PHENS,
    PTB,
    PTB_MANY,
    SOME,
    WRITERS,
    Contestant,
    Effort,
    Found,
    Load,
    Seen,
)

README = Path(__file__).with_name("README.md")
BEGIN, END = "<!-- measured: begin -->", "<!-- measured: end -->"
BUSY = 0.85
"""From this share of a processor on, more of it would make it faster."""
STEADY, SLOWER = 0.9, 1.25
"""With many contacts stored: at least this part of the taps, at most so much longer a relay."""

Value = Callable[[Seen], float]


def keep(table: str, readme: Path = README) -> None:
    """Put the table into README.md, between its two marks."""
    text = readme.read_text("utf-8")
    head, _, rest = text.partition(BEGIN)
    _, _, tail = rest.partition(END)
    readme.write_text(f"{head}{BEGIN}\n{table}{END}{tail}", "utf-8")


def written(found: Found, effort: Effort, lasted: float, facts: Sequence[str]) -> str:
    """Everything that was measured, in Markdown. `facts`: what the machine is."""
    parts = [_head(effort, lasted, facts)]
    if found.taps:
        parts.append(_taps(found))
    if found.stored:
        parts.append(_stored(found))
    if found.pages:
        parts.append(_pages(found))
    if found.broadcast:
        parts.append(broadcast_report.tables(found.broadcast))
    if goals := [*_goals(found), *broadcast_report.goals(found.broadcast)]:
        parts.append(table(("goal", "measured", ""), goals))
    return "\n".join(f"\n{part}" for part in parts) + "\n"


def _head(effort: Effort, lasted: float, facts: Sequence[str]) -> str:
    lines = [
        *facts,
        f"{effort.rounds} rounds of {effort.seconds:g} s each, {lasted / 60:.0f} minutes in all; "
        "medians of the rounds, the lowest and the highest in brackets",
    ]
    return "\n".join(f"- {line}" for line in lines)


# --- the tables --------------------------------------------------------------------------------


def _taps(found: Found) -> str:
    head = (
        f"{CROWD.women} women, platform answers after 50 ms: taps/s",
        "beside aiogram",
        f"{AT_ONCE.women} women, it answers at once: taps/s",
        *(f"{load.women} {'woman' if load.women == 1 else 'women'}, 50 ms: ms from update to edit"
          for load in (FEW, SOME, MANY)),
        "ms of processor a tap",
        "MB idle → loaded",
        "limited by",
    )  # fmt: skip
    rows = []
    for name, seen in found.taps.items():
        beside = _beside(found, name, AIOGRAM.name, CROWD)
        rows.append(
            (
                name,
                _spread(seen, _rate(CROWD)),
                f"{beside:.2f}" if not math.isnan(beside) else "–",
                _spread(seen, _rate(AT_ONCE)),
                *(_quantiles(seen, load, "from_handed") for load in (FEW, SOME, MANY)),
                f"{_median(seen, _processor):.2f}",
                f"{_median(seen, lambda s: s['idle']):.0f} → "
                f"{_median(seen, lambda s: s['loaded']):.0f}",
                f"50 ms: {_limit(seen, CROWD)}; at once: {_limit(seen, AT_ONCE)}",
            )
        )
    return "### Taps\n\n" + table(("", *head), rows)


def _stored(found: Found) -> str:
    head = (
        "database, contacts stored",
        "taps/s, at once",
        *(f"{n} writing: ms to the desk" for n in WRITERS),
        *(f"{n} writing: ms from the desk to the platform" for n in WRITERS),
        "ms of one round of the clock",
        "s to start",
        "MB",
    )
    rows = []
    for name, seen in found.stored.items():
        database, contacts = name.split()
        rows.append(
            (
                f"{database}, {int(contacts):,}",
                _spread(seen, lambda s: _per_second(s["taps"])),
                *(_quantiles(seen, f"talks {n}", "to_desk") for n in WRITERS),
                *(_quantiles(seen, f"talks {n}", "from_desk") for n in WRITERS),
                f"{_median(seen, lambda s: s['tick'] * 1000):.1f}",
                f"{_median(seen, lambda s: s['start']):.1f}",
                f"{_median(seen, lambda s: s['loaded']):.0f}",
            )
        )
    return "### What is stored, and the way to a person and back\n\n" + table(head, rows)


def _pages(found: Found) -> str:
    head = ("nodes", "s to load", "µs for a tap", "ms for typed words")
    rows = [
        (
            f"{_median(seen, lambda s: s['nodes']):,.0f}",
            f"{_median(seen, lambda s: s['load']):.2f}",
            f"{_median(seen, lambda s: s['tap'] * 1e6):.0f}",
            f"{_median(seen, lambda s: s['typed'] * 1e3):.1f}",
        )
        for seen in found.pages.values()
    ]
    return "### Content\n\n" + table(head, rows)


# --- the goals ---------------------------------------------------------------------------------


def _goals(found: Found) -> Iterator[tuple[str, str, str]]:
    """What issue 5 asks for."""
    for phen in PHENS:
        if phen.name in found.taps:
            yield from _beside_others(found, phen)
        if f"{phen.database} 0" in found.stored:
            yield from _no_growth(found, phen.database)
    if found.taps or found.stored:
        yield _no_faults(found)


def _beside_others(found: Found, phen: Contestant) -> Iterator[tuple[str, str, str]]:
    wanted = [
        ("as many taps/s as bare aiogram at 50 ms", 1.0, [(AIOGRAM, CROWD)]),
        ("20 times the default of python-telegram-bot at 50 ms", 20.0, [(PTB, CROWD)]),
        ("bare python-telegram-bot at once", 1.0, [(PTB, AT_ONCE), (PTB_MANY, AT_ONCE)]),
        (
            "faster than every dialog framework",
            1.0,
            [(each, load) for each in FRAMEWORKS for load in (CROWD, AT_ONCE)],
        ),
    ]
    for words, least, others in wanted:
        ratios = [_beside(found, phen.name, other.name, load) for other, load in others]
        if not any(math.isnan(ratio) for ratio in ratios):
            yield (
                f"{phen.database}: {words}",
                f"{min(ratios):.2f} times",
                met(min(ratios) >= least),
            )


def _no_growth(found: Found, database: str) -> Iterator[tuple[str, str, str]]:
    kept = {name: seen for name, seen in found.stored.items() if name.startswith(f"{database} ")}
    least, most = kept[f"{database} 0"], kept[max(kept, key=lambda name: int(name.split()[1]))]
    taps = _ratio(most, least, lambda s: _per_second(s["taps"]))
    relay = max(
        _ratio(most, least, lambda s, n=n, way=way: quantile(s[f"talks {n}"][way], 0.5))
        for n in WRITERS
        for way in ("to_desk", "from_desk")
    )
    told = f"{taps:.2f} times the taps/s, {relay:.2f} times as long a relay"
    yield (
        f"{database}: no growth with what is stored",
        told,
        met(taps >= STEADY and relay <= SLOWER),
    )


def _no_faults(found: Found) -> tuple[str, str, str]:
    faults: dict[str, int] = {}
    for name, rounds in [*found.taps.items(), *found.stored.items()]:
        for seen in rounds:
            for part in seen.values():
                for what, times in part["faults"].items() if isinstance(part, dict) else ():
                    faults[f"{name}: {what}"] = max(times, faults.get(f"{name}: {what}", 0))
    told = "; ".join(f"{what} ({times})" for what, times in faults.items()) or "none"
    return "every tap answered once, with the right screen; what was wrong", told, met(not faults)


# --- arithmetic --------------------------------------------------------------------------------


def _rate(load: Load) -> Value:
    return lambda seen: _per_second(seen[str(load)])


def _per_second(part: Seen) -> float:
    return float(part["edits"] / part["seconds"])


def _processor(seen: Seen) -> float:
    """Milliseconds of processor for one tap, at once: what no neighbour on the machine changes."""
    part = seen[str(AT_ONCE)]
    return float(1000 * part["bot"] * part["seconds"] / (part["edits"] or math.nan))


def _beside(found: Found, mine: str, theirs: str, load: Load) -> float:
    """How many times as many taps a second: the median of the rounds' own ratios."""
    if mine not in found.taps or theirs not in found.taps:
        return math.nan
    return _ratio(found.taps[mine], found.taps[theirs], _rate(load))


def _ratio(mine: Sequence[Seen], theirs: Sequence[Seen], value: Value) -> float:
    pairs = zip(mine, theirs, strict=True)
    return statistics.median(value(a) / value(b) if value(b) else math.inf for a, b in pairs)


def _median(rounds: Sequence[Seen], value: Value) -> float:
    return statistics.median(value(seen) for seen in rounds)


def _spread(rounds: Sequence[Seen], value: Value) -> str:
    values = sorted(value(seen) for seen in rounds)
    return f"{statistics.median(values):,.0f} ({values[0]:,.0f}–{values[-1]:,.0f})"


def _quantiles(rounds: Sequence[Seen], load: Load | str, key: str) -> str:
    """Median and 99th percentile in milliseconds, of all rounds together."""
    took = [second for seen in rounds for second in seen[str(load)][key]]
    return middle_and_late(took)


def _limit(rounds: Sequence[Seen], load: Load) -> str:
    """What held it back: a processor that was full, or else the answers that it waited for."""
    bot = _median(rounds, lambda seen: seen[str(load)]["bot"])
    standin = _median(rounds, lambda seen: seen[str(load)]["standin"])
    if bot >= BUSY:
        return f"its processor ({bot:.0%})"
    if standin >= BUSY:
        return f"the stand-in ({standin:.0%})"
    return f"waiting (processor {bot:.0%})"
