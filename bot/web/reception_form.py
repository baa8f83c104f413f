"""The form of a reception: what must stand in it, and what may be meant otherwise."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import astuple, dataclass, replace
from datetime import UTC, date, datetime, timedelta

from starlette.datastructures import FormData

from bot.texts import ZONE
from bot.web.fields import Say, one_line, read_day, read_time
from bot.web.login import field, new_key
from scheduler.exchange import LONGEST, after_change
from scheduler.model import FARTHEST, Reception, ReceptionState

TEXTS = ("place", "landmark", "attends", "public_name")
FIELDS = ("municipality", "day", "from", "to", *TEXTS)
LONGEST_DAY = timedelta(hours=12)

_KEY = re.compile(r"[0-9a-f]{24}")


@dataclass(frozen=True, slots=True)
class Filled:
    """What was written, and either the reception it makes or what is wrong, by field."""

    values: Mapping[str, str]
    problems: Mapping[str, str]
    reception: Reception | None = None


def filled_in(
    form: FormData, old: Reception | None, places: Mapping[str, str], now: datetime, say: Say
) -> Filled:
    """Read the form of a reception. The form's key is a new one's id: sent twice, kept once."""
    values = {name: one_line(field(form, name)) for name in FIELDS}
    problems = {name: say(f"staff.problem.{name}") for name in ("municipality", "day", "place")
                if not values[name]}  # fmt: skip
    if values["municipality"] not in places:
        problems["municipality"] = say("staff.problem.municipality")
    for name in TEXTS:
        if len(values[name]) > LONGEST[name]:
            problems[name] = say("staff.problem.long_text", n=LONGEST[name])
    start, end = _times(values, old, now, problems, say)
    if problems or start is None or end is None:
        ordered = {name: problems[name] for name in FIELDS if name in problems}
        return Filled(values, ordered)
    key = field(form, "key")
    new = Reception(
        id=old.id if old else (key if _KEY.fullmatch(key) else new_key()),
        municipality=values["municipality"],
        start=start,
        end=end,
        state=old.state if old else ReceptionState.PLANNED,
        place=values["place"],
        landmark=values["landmark"],
        attends=values["attends"],
        public_name=values["public_name"],
    )
    return Filled(values, {}, after_change(old, new))


def _times(
    values: Mapping[str, str],
    old: Reception | None,
    now: datetime,
    problems: dict[str, str],
    say: Say,
) -> tuple[datetime | None, datetime | None]:
    day = read_day(values["day"])
    if day is None:
        problems["day"] = say("staff.problem.day")
        return None, None
    moments = {name: _moment(day, name, values[name], problems, say) for name in ("from", "to")}
    start, end = moments["from"], moments["to"]
    if start is None or end is None:
        return None, None
    if end <= start:
        problems["to"] = say("staff.problem.end_before_start")
    elif end - start > LONGEST_DAY:
        problems["to"] = say("staff.problem.too_long")
    elif start < now and (old is None or old.start != start):
        problems["day"] = say("staff.problem.past")
    elif start - now > FARTHEST:
        problems["day"] = say("staff.problem.too_far")
    return start, end


def _moment(
    day: date, name: str, written: str, problems: dict[str, str], say: Say
) -> datetime | None:
    """That time of that day in UTC; of an hour that comes twice in the autumn, the first."""
    hour = read_time(written)
    if hour is None:
        problems[name] = say(f"staff.problem.{name}")
        return None
    local = datetime.combine(day, hour, ZONE)
    moment = local.astimezone(UTC)
    if moment.astimezone(ZONE).replace(tzinfo=None) != local.replace(tzinfo=None):
        problems[name] = say("staff.problem.gap")
        return None
    return moment


class Changed(Exception):
    """The reception is another than the form showed; nothing was saved. None: it is gone."""

    def __init__(self, now: Reception | None) -> None:
        super().__init__()
        self.now = now


def digest_of(it: Reception) -> str:
    """What a form says that it showed: another one after each change, also by a calendar.

    Not its `sequence`, by which calendars that do not count change nothing.
    """
    return hashlib.sha256(repr(astuple(it)).encode()).hexdigest()[:32]


def revised(new: Reception, seen: str, known: Sequence[Reception]) -> list[Reception]:
    """What is to be saved of a form that showed what `seen` is the digest of; empty: a new one.

    Raises `Changed`, unless it stands there already, as it does when a form is sent twice.
    """
    now = next((it for it in known if it.id == new.id), None)
    if now is None and not seen:
        return [new]
    if now is None or seen != digest_of(now):
        if now is not None and replace(new, uid=now.uid, sequence=now.sequence) == now:
            return []
        raise Changed(now)
    return [new]


def values_of(it: Reception) -> dict[str, str]:
    """What the form shows of a reception."""
    start, end = it.start.astimezone(ZONE), it.end.astimezone(ZONE)
    when = {"day": f"{start:%Y-%m-%d}", "from": f"{start:%H:%M}", "to": f"{end:%H:%M}"}
    return {"municipality": it.municipality, **when} | {name: getattr(it, name) for name in TEXTS}
