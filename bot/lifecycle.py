"""The life of a case at a glance: its states, what may happen in each, and what becomes of it.

The store carries these moves out and the desk asks for them; neither knows another one. The
diagram in `docs/cases.md` is drawn from here (`phen graph --cases`).
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum


class CaseState(StrEnum):
    WAITING = "waiting"  # nobody has it: it rings
    CLAIMED = "claimed"  # exactly one consultant has it
    CLOSED = "closed"  # nobody writes any more; its text is kept for a short while


class Act(StrEnum):
    """What moves a case from one state to the next."""

    OPEN = "open"
    CLAIM = "claim"
    TRANSFER = "transfer"
    RETURN = "return"
    CLOSE = "close"
    END = "end"
    LAPSE = "lapse"
    REOPEN = "reopen"
    FORGET = "forget"
    EXPIRE = "expire"


TRANSITIONS: Mapping[tuple[CaseState | None, Act], CaseState | None] = {
    (None, Act.OPEN): CaseState.WAITING,
    (CaseState.WAITING, Act.CLAIM): CaseState.CLAIMED,
    (CaseState.WAITING, Act.END): CaseState.CLOSED,
    (CaseState.WAITING, Act.LAPSE): CaseState.CLOSED,
    (CaseState.CLAIMED, Act.TRANSFER): CaseState.CLAIMED,
    (CaseState.CLAIMED, Act.RETURN): CaseState.WAITING,
    (CaseState.CLAIMED, Act.CLOSE): CaseState.CLOSED,
    (CaseState.CLAIMED, Act.END): CaseState.CLOSED,
    (CaseState.CLAIMED, Act.LAPSE): CaseState.CLOSED,
    (CaseState.CLOSED, Act.REOPEN): CaseState.CLAIMED,
    (CaseState.WAITING, Act.FORGET): None,
    (CaseState.CLAIMED, Act.FORGET): None,
    (CaseState.CLOSED, Act.FORGET): None,
    (CaseState.CLOSED, Act.EXPIRE): None,
}
"""(state, act) -> state. None: there is no case. What is not here cannot happen."""

BY: Mapping[Act, str] = {
    Act.OPEN: "she asks for a person",
    Act.CLAIM: "a consultant takes it",
    Act.TRANSFER: "its consultant hands it to a colleague",
    Act.RETURN: "given back, not opened, read or answered in time, or the account was frozen",
    Act.CLOSE: "its consultant says good-bye",
    Act.END: "she ends it",
    Act.LAPSE: "nobody wrote for too long",
    Act.REOPEN: "its consultant, while the text is kept",
    Act.FORGET: "she deletes everything, or blocks the line",
    Act.EXPIRE: "the time of retention is over",
}
"""Who or what does it, for the diagram."""


def sources(act: Act) -> frozenset[CaseState]:
    """The states in which this may happen."""
    return frozenset(state for state, each in TRANSITIONS if each is act and state is not None)


def target(act: Act) -> CaseState:
    """The state after it; an act has one. `KeyError` for an act after which there is no case."""
    found = {after for (_, each), after in TRANSITIONS.items() if each is act and after}
    if len(found) != 1:
        raise KeyError(act)
    return found.pop()


def diagram() -> str:
    """The table above as a Mermaid state diagram."""
    lines = ["stateDiagram-v2"]
    for (before, act), after in TRANSITIONS.items():
        ends = (each.value if each else "[*]" for each in (before, after))
        lines.append(f"    {' --> '.join(ends)} : {act.value} ({BY[act]})")
    return "\n".join(lines) + "\n"
