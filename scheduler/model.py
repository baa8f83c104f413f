"""What is planned: receptions, as the centre keeps them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class ReceptionState(StrEnum):
    PLANNED = "planned"
    MOVED = "moved"
    CANCELLED = "cancelled"


@dataclass(frozen=True, slots=True)
class Reception:
    """One day on which the centre's advisers sit in a village or town.

    `start` and `end` are aware and kept in UTC. `municipality` is the LAU code in lower case
    (`rse27`), never a name: there are three places called Бяла. `public_name` is neutral.
    """

    id: str
    municipality: str
    place: str
    start: datetime
    end: datetime
    landmark: str = ""
    attends: str = ""
    public_name: str = ""
    state: ReceptionState = ReceptionState.PLANNED
