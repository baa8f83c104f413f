"""What the duty pages say about days, hours and people."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime, time, timedelta
from functools import partial
from typing import TYPE_CHECKING

from babel.dates import format_date

from bot.storage.records import StaffMember
from bot.texts import ZONE
from bot.web.duty_form import DAYS
from bot.web.duty_week import Span
from bot.web.fields import Say
from bot.web.team import PersonLook
from dialogs.model import SOURCE_LANGUAGE
from scheduler.duty import Hours, Shift, Weekly

if TYPE_CHECKING:
    from bot.web.app import WebParts


class DutyLook:
    """`weekly` are the patterns that are told in one line."""

    def __init__(self, parts: WebParts, weekly: Sequence[Weekly]) -> None:
        self._parts = parts
        self._say: Say = partial(parts.texts.say, SOURCE_LANGUAGE)
        self._weekly = weekly
        self.person = PersonLook(parts)

    def names(self, languages: Sequence[str]) -> str:
        return ", ".join(self.person.language(each) for each in languages)

    def day(self, day: date) -> str:
        """„понеделник, 23 ноември“."""
        return str(format_date(day, "EEEE, d MMMM", locale=SOURCE_LANGUAGE))

    def range(self, first: date, days: int = 7) -> str:
        last = first + timedelta(days=days - 1)
        shown = [str(format_date(each, "d MMMM", locale=SOURCE_LANGUAGE)) for each in (first, last)]
        return " – ".join(shown)

    def on(self, shift: Shift, day: date) -> str:
        """The hours of a duty that runs on this day; the night that it begins is whole."""
        first = datetime.combine(day, time(), ZONE)
        after = first + timedelta(days=1)
        if shift.start >= first:
            return self.span(shift)
        return self.span(Span(first, min(shift.end, after)))

    def span(self, span: Span | Shift) -> str:
        """Local hours; midnight at the end is 24:00."""
        start, end = span.start.astimezone(ZONE), span.end.astimezone(ZONE)
        closing = "24:00" if (end.hour, end.minute) == (0, 0) else f"{end:%H:%M}"
        return f"{start:%H:%M}–{closing}"

    def spans(self, spans: Sequence[Span]) -> str:
        return ", ".join(self.span(each) for each in spans)

    def hours(self, hours: Hours) -> str:
        return f"{hours.start:%H:%M}–{hours.end:%H:%M}"

    def shift(self, shift: Shift) -> str:
        """With its day."""
        return f"{self.day(shift.start.astimezone(ZONE).date())}, {self.span(shift)}"

    def moment(self, at: datetime) -> str:
        return self._parts.texts.moment(SOURCE_LANGUAGE, at, self._parts.now())

    def whole(self, spans: Sequence[Span]) -> bool:
        """Whether these are a whole day."""
        return len(spans) == 1 and self.span(spans[0]) == "00:00–24:00"

    def bars(self, spans: Sequence[Span], day: date) -> list[tuple[int, int]]:
        """Where they begin on a day of 1440 minutes, and how long they are."""
        bars = []
        for each in spans:
            start, end = each.start.astimezone(ZONE), each.end.astimezone(ZONE)
            first = start.hour * 60 + start.minute if start.date() == day else 0
            last = end.hour * 60 + end.minute if end.date() == day else 1440
            bars.append((first, max(last - first, 1)))
        return bars

    def week(self, person: StaffMember) -> str:
        """Her pattern in one line; days in a row with the same hours together: „пн–чт …“."""
        runs: list[tuple[int, int, str]] = []
        for weekday in range(len(DAYS)):
            mine = [
                each for each in self._weekly if (each.who, each.weekday) == (person.id, weekday)
            ]
            spans = sorted((each.hours for each in mine), key=lambda hours: hours.start)
            told = ", ".join(self.hours(each) for each in spans)
            if runs and runs[-1][1:] == (weekday - 1, told):
                runs[-1] = (runs[-1][0], weekday, told)
            elif told:
                runs.append((weekday, weekday, told))
        return "; ".join(f"{self._days(first, last)} {told}" for first, last, told in runs)

    def _days(self, first: int, last: int) -> str:
        names = [self._say(f"staff.weekday_short.{DAYS[each]}") for each in (first, last)]
        return names[0] if first == last else "–".join(names)
