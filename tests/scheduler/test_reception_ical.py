"""Receptions go out as a calendar and come back; a file changes what it changed, and no more."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import count
from zoneinfo import ZoneInfo

import icalendar
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from scheduler.exchange import tidy
from scheduler.ical import PROBLEM_CODES
from scheduler.model import FARTHEST, Reception, ReceptionState
from scheduler.reception_event import _AT_THE_END, LONGEST_UID
from scheduler.reception_ical import OWN_CODES, IcsResult, is_calendar, read_ics, write_ics
from tests.scheduler.test_ical import CUSTOM_ZONE, calendar

SOFIA = ZoneInfo("Europe/Sofia")
NOW = datetime(2026, 11, 22, 10, 0, tzinfo=UTC)
"""A Sunday, at noon in Sofia."""
PLACES = {
    "rse27": ("63427", "Русе"),
    "rse04": ("07603", "Бяла"),
    "rse05": ("10803", "Ветово"),
}
START = "DTSTART;TZID=Europe/Sofia:20261201T100000"
END = "DTEND;TZID=Europe/Sofia:20261201T140000"
SAYS = "LOCATION:Бяла\\, читалището\nCATEGORIES:rse04\nSUMMARY:Ден за съвети"
ONE = f"UID:one\nSEQUENCE:0\n{START}\n{END}\n{SAYS}"
TUESDAYS = f"UID:all\nSEQUENCE:0\n{START}\n{END}\nRRULE:FREQ=WEEKLY;COUNT=4\n{SAYS}"


def read(data: bytes, known: Iterable[Reception] = (), now: datetime = NOW) -> IcsResult:
    numbers = count(len(list(known)) + 1)
    return read_ics(data, PLACES, known, now, SOFIA, lambda: f"new{next(numbers)}")


class Plan:
    """The receptions of a centre that takes one file after another."""

    def __init__(self) -> None:
        self.known: dict[str, Reception] = {}

    def take(self, *events: str, now: datetime = NOW, data: bytes = b"") -> str:
        """Take a good file; says what became of what lies ahead, as far as there is any."""
        result = read(data or calendar(*events), self.known.values(), now)
        assert result.problems == ()
        self.known |= {it.id: it for it in result.receptions}
        names = ("added", "changed", "cancelled", "older", "unchanged", "stay_cancelled")
        return ", ".join(
            f"{getattr(result, name)} {name}" for name in names if getattr(result, name)
        )

    def says(self) -> list[str]:
        """Day, hour and state of each, in local time."""
        found = sorted(self.known.values(), key=lambda it: (it.start, it.id))
        return [f"{it.start.astimezone(SOFIA):%d.%m %H:%M} {it.state}" for it in found]

    def edit(self, reception_id: str, **changed: object) -> None:
        """Somebody of the team changes one, as the store keeps that."""
        old = self.known[reception_id]
        new = replace(old, sequence=old.sequence + 1, **changed)  # type: ignore[arg-type]
        self.known[reception_id] = new


@pytest.fixture
def plan() -> Plan:
    return Plan()


def refused(data: bytes, known: Iterable[Reception] = ()) -> list[tuple[int, str, str]]:
    """Line, property and code of each mistake, and that nothing was taken."""
    result = read(data, known)
    assert result == IcsResult(problems=result.problems)
    assert {problem.code for problem in result.problems} <= {*PROBLEM_CODES, *OWN_CODES}
    return [(each.line, each.name, each.code) for each in result.problems]


# --- what comes in -------------------------------------------------------------------------


def test_an_event_is_a_reception() -> None:
    event = f"{ONE}\nDESCRIPTION:до пощата\\,\\nзеленият вход\nX-PHEN-ATTENDS:юрист\\; психолог"
    result = read(calendar(event))
    expected = Reception(
        id="new1",
        municipality="rse04",
        place="Бяла, читалището",
        start=datetime(2026, 12, 1, 8, 0, tzinfo=UTC),
        end=datetime(2026, 12, 1, 12, 0, tzinfo=UTC),
        landmark="до пощата, зеленият вход",
        attends="юрист; психолог",
        public_name="Ден за съвети",
        uid="one",
    )
    assert result == IcsResult((expected,), added=1)


@pytest.mark.parametrize(
    "code",
    [
        "CATEGORIES:RSE04",
        "CATEGORIES:07603",
        "CATEGORIES:7603",
        "CATEGORIES:Приемни,rse04",
        "CATEGORIES:Приемни\\, ноември\nCATEGORIES:rse04",
        "X-PHEN-MUNICIPALITY:rse04",
        "X-PHEN-MUNICIPALITY:07603\nCATEGORIES:Приемни",
    ],
)
def test_a_municipality_is_known_by_either_code(code: str) -> None:
    (found,) = read(calendar(ONE.replace("CATEGORIES:rse04", code))).receptions
    assert found.municipality == "rse04"


@pytest.mark.parametrize("place", ["Бяла, читалището, rse04", "Бяла, читалището (RSE04)"])
def test_a_calendar_without_categories_names_it_after_the_place(place: str) -> None:
    event = ONE.replace("CATEGORIES:rse04\n", "").replace(
        "Бяла\\, читалището", place.replace(",", "\\,")
    )
    (found,) = read(calendar(event)).receptions
    assert (found.municipality, found.place) == ("rse04", "Бяла, читалището")


@pytest.mark.parametrize(
    "start",
    [
        "DTSTART;TZID=FLE Standard Time:20261201T100000",
        "DTSTART:20261201T080000Z",
        "DTSTART:20261201T100000",
        "DTSTART;TZID=Europe/Berlin:20261201T090000",
        'DTSTART;TZID="Our office":20261201T100000',
    ],
    ids=["Outlook", "UTC", "floating", "another", "its own"],
)
def test_a_time_is_meant_in_its_zone(start: str) -> None:
    zone = CUSTOM_ZONE.format(name="Our office", winter="0200", summer="0300")
    (found,) = read(calendar(ONE.replace(START, start), before=zone)).receptions
    assert found.start == datetime(2026, 12, 1, 8, 0, tzinfo=UTC)


def test_each_time_of_a_series_is_a_reception_under_a_name_of_its_own(plan: Plan) -> None:
    without = TUESDAYS + "\nEXDATE;TZID=Europe/Sofia:20261208T100000"
    moved = ONE.replace("UID:one", "UID:all\nRECURRENCE-ID:20261215T080000Z").replace(
        "1201", "1217"
    )
    off = ONE.replace("UID:one", "UID:all\nRECURRENCE-ID:20261222T080000Z\nSTATUS:CANCELLED")
    assert plan.take(without, moved, off.replace("1201", "1222")) == "3 added"
    assert plan.says() == ["01.12 10:00 planned", "17.12 10:00 planned", "22.12 10:00 cancelled"]
    assert sorted(it.uid for it in plan.known.values()) == [
        "all/20261201T080000Z",
        "all/20261215T080000Z",
        "all/20261222T080000Z",
    ]


def test_a_series_without_end_is_taken_for_half_a_year_and_goes_on_with_the_next_import(
    plan: Plan,
) -> None:
    endless = TUESDAYS.replace(";COUNT=4", "")
    result = read(calendar(endless))
    assert result.until == NOW + timedelta(weeks=26)
    assert plan.take(endless) == "25 added"
    assert plan.take(endless, now=NOW + timedelta(weeks=4)) == "4 added, 22 unchanged"
    assert read(calendar(ONE)).until is None


def test_an_hour_of_a_series_stays_the_same_when_the_clocks_change(plan: Plan) -> None:
    monthly = TUESDAYS.replace("WEEKLY;COUNT=4", "MONTHLY;COUNT=6")
    plan.take(monthly)
    assert {it.start.astimezone(SOFIA).hour for it in plan.known.values()} == {10}
    assert {it.start.hour for it in plan.known.values()} == {7, 8}


def test_what_does_not_repeat_is_taken_two_years_ahead(plan: Plan) -> None:
    assert plan.take(ONE.replace(":20261201", ":20281101")) == "1 added"
    moved = ONE.replace("UID:one", "UID:all\nRECURRENCE-ID:20261215T080000Z")
    assert plan.take(TUESDAYS, moved.replace(":20261201", ":20270901")) == "4 added"
    assert plan.says()[-2:] == ["01.09 10:00 planned", "01.11 10:00 planned"]


def test_what_is_over_is_left_alone_and_its_mistakes_too(plan: Plan) -> None:
    past = ONE.replace("UID:one", "UID:old").replace("1201", "1101").replace("rse04", "nowhere")
    assert plan.take(past, ONE) == "1 added"
    running = datetime(2026, 12, 1, 11, 59, tzinfo=UTC)
    assert plan.take(past, ONE, now=running) == "1 unchanged"
    over = read(calendar(past, ONE), plan.known.values(), running + timedelta(minutes=1))
    assert [it.code for it in over.problems] == ["nothing_ahead"]


# --- a second file -------------------------------------------------------------------------


def test_the_same_file_again_changes_nothing(plan: Plan) -> None:
    assert plan.take(ONE, TUESDAYS.replace("1000", "1500").replace("1400", "1600")) == "5 added"
    before = dict(plan.known)
    again = plan.take(ONE, TUESDAYS.replace("1000", "1500").replace("1400", "1600"))
    assert again == "5 unchanged"
    assert plan.known == before


def test_a_changed_event_changes_its_reception_and_no_other(plan: Plan) -> None:
    other = ONE.replace("UID:one", "UID:two").replace("1201", "1202")
    plan.take(ONE, other)
    later = ONE.replace("SEQUENCE:0", "SEQUENCE:1").replace("T10", "T11")
    assert plan.take(later, other) == "1 changed, 1 unchanged"
    assert plan.says() == ["01.12 11:00 moved", "02.12 10:00 planned"]
    assert [it.sequence for it in plan.known.values()] == [1, 0]


def test_a_new_landmark_moves_nothing_and_what_was_moved_stays_so(plan: Plan) -> None:
    plan.take(ONE)
    assert plan.take(f"{ONE}\nDESCRIPTION:до пощата") == "1 changed"
    assert plan.says() == ["01.12 10:00 planned"]
    assert plan.take(ONE.replace("T10", "T11")) == "1 changed"
    assert plan.take(ONE.replace("T10", "T11")) == "1 unchanged"
    assert plan.says() == ["01.12 11:00 moved"]


def test_an_older_version_of_an_event_is_left_and_told(plan: Plan) -> None:
    new = ONE.replace("SEQUENCE:0", "SEQUENCE:2").replace("T10", "T11")
    plan.take(ONE)
    plan.take(new)
    assert plan.take(ONE) == "1 older"
    assert plan.take(ONE.replace("SEQUENCE:0", "SEQUENCE:1\nSTATUS:CANCELLED")) == "1 older"
    assert plan.says() == ["01.12 11:00 moved"]


def test_what_the_team_changed_here_is_newer_than_the_calendar(plan: Plan) -> None:
    plan.take(ONE)
    plan.edit("new1", place="Бяла, кметството")
    assert plan.take(ONE) == "1 older"
    assert plan.known["new1"].place == "Бяла, кметството"
    assert plan.take(ONE.replace("SEQUENCE:0", "SEQUENCE:1")) == "1 changed"


def test_a_program_that_does_not_count_is_believed(plan: Plan) -> None:
    for count_of_it in ("", "SEQUENCE:0\n"):
        uncounted = ONE.replace("SEQUENCE:0\n", count_of_it)
        plan.take(uncounted)
        for hour in ("11", "12", "13"):
            assert plan.take(uncounted.replace("T10", f"T{hour}")) == "1 changed"


def test_what_was_called_off_here_never_comes_back_by_a_file(plan: Plan) -> None:
    uncounted = ONE.replace("SEQUENCE:0\n", "")
    plan.take(uncounted)
    plan.edit("new1", state=ReceptionState.CANCELLED)
    before = dict(plan.known)
    for count_of_it in ("", "SEQUENCE:0\n", "SEQUENCE:2\n"):
        event = ONE.replace("SEQUENCE:0\n", count_of_it)
        assert plan.take(f"{event}\nDESCRIPTION:до пощата") == "1 stay_cancelled"
    assert plan.take(uncounted + "\nSTATUS:CANCELLED") == "1 unchanged"
    assert plan.known == before


def test_what_was_called_off_here_does_not_come_back_with_the_rest_of_its_series(
    plan: Plan,
) -> None:
    plan.take(TUESDAYS)
    plan.edit("new1", state=ReceptionState.CANCELLED)
    corrected = TUESDAYS.replace("SEQUENCE:0", "SEQUENCE:1") + "\nDESCRIPTION:до пощата"
    assert plan.take(corrected) == "3 changed, 1 stay_cancelled"
    assert plan.says()[0] == "01.12 10:00 cancelled"


CUT = "\nEND:VEVENT\nBEGIN:VEVENT\n"
"""Between two events."""


@pytest.mark.parametrize(
    "changed",
    [
        TUESDAYS.replace("T10", "T11"),
        TUESDAYS.replace("20261201", "20261202"),
        TUESDAYS.replace("UID:all", "UID:other"),
        TUESDAYS.replace("COUNT=4", "UNTIL=20261202T000000Z")
        + CUT
        + TUESDAYS.replace("UID:all", "UID:other").replace("1201", "1208").replace("T10", "T11"),
    ],
    ids=["another hour", "another day", "another name", "cut in two"],
)
def test_what_was_called_off_here_does_not_come_back_under_another_name_or_hour(
    plan: Plan, changed: str
) -> None:
    plan.take(TUESDAYS)
    plan.edit("new2", state=ReceptionState.CANCELLED)
    assert "1 stay_cancelled" in plan.take(changed)
    assert [it.id for it in plan.known.values() if it.start.day in (8, 9)] == ["new2"]
    assert plan.known["new2"].state is ReceptionState.CANCELLED


def test_what_makes_up_for_one_that_was_called_off_here_is_added(plan: Plan) -> None:
    plan.take(TUESDAYS)
    plan.edit("new2", state=ReceptionState.CANCELLED)
    instead = ONE.replace("1201", "1209")
    assert plan.take(TUESDAYS, instead) == "1 added, 3 unchanged, 1 stay_cancelled"
    without = TUESDAYS + "\nEXDATE;TZID=Europe/Sofia:20261208T100000"
    another = ONE.replace("UID:one", "UID:two").replace("1201", "1210")
    assert plan.take(without, instead, another) == "1 added, 4 unchanged"


def test_of_two_a_week_that_move_by_a_day_the_one_that_was_called_off_stays_so(plan: Plan) -> None:
    twice = TUESDAYS.replace("COUNT=4", "COUNT=4;BYDAY=TU,TH")
    plan.take(twice)
    plan.edit("new3", state=ReceptionState.CANCELLED)
    later = twice.replace("TU,TH", "WE,FR").replace("20261201", "20261202")
    assert plan.take(later) == "3 changed, 1 stay_cancelled"
    assert plan.says() == [
        "02.12 10:00 moved",
        "04.12 10:00 moved",
        "08.12 10:00 cancelled",
        "11.12 10:00 moved",
    ]


@pytest.mark.parametrize("how", ["status", "method"])
def test_an_event_that_is_called_off_cancels_its_reception_and_needs_to_say_no_more(
    plan: Plan, how: str
) -> None:
    plan.take(ONE)
    event = f"UID:one\nSEQUENCE:1\n{START}"
    if how == "method":
        assert plan.take(data=calendar(event, before="METHOD:CANCEL")) == "1 cancelled"
    else:
        assert plan.take(f"{event}\nSTATUS:CANCELLED") == "1 cancelled"
    assert plan.says() == ["01.12 10:00 cancelled"]
    assert plan.known["new1"].end == datetime(2026, 12, 1, 12, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    "changed",
    [
        TUESDAYS + "\nEXDATE;TZID=Europe/Sofia:20261222T100000",
        TUESDAYS.replace("COUNT=4", "COUNT=3"),
        TUESDAYS.replace("COUNT=4", "UNTIL=20261221T000000Z"),
    ],
    ids=["taken out", "counted", "until"],
)
def test_a_time_that_its_series_does_not_hold_any_more_is_cancelled(
    plan: Plan, changed: str
) -> None:
    plan.take(TUESDAYS)
    assert plan.take(changed) == "1 cancelled, 3 unchanged"
    assert plan.says()[-1] == "22.12 10:00 cancelled"
    assert plan.take(changed) == "3 unchanged"


def test_a_time_that_was_changed_and_then_taken_out_is_cancelled(plan: Plan) -> None:
    moved = ONE.replace("UID:one", "UID:all\nRECURRENCE-ID:20261215T080000Z")
    moved = moved.replace("20261201", "20261216").replace("SEQUENCE:0", "SEQUENCE:4")
    plan.take(TUESDAYS, moved)
    without = TUESDAYS + "\nEXDATE;TZID=Europe/Sofia:20261215T100000"
    assert plan.take(without) == "1 cancelled, 3 unchanged"
    assert plan.says()[2] == "16.12 10:00 cancelled"


def test_an_older_version_of_a_series_cancels_nothing(plan: Plan) -> None:
    more = TUESDAYS.replace("COUNT=4", "COUNT=5").replace("SEQUENCE:0", "SEQUENCE:1")
    plan.take(more)
    assert plan.take(TUESDAYS) == "5 older"
    assert "cancelled" not in " ".join(plan.says())


def test_what_the_file_does_not_speak_of_is_left_alone(plan: Plan) -> None:
    plan.take(TUESDAYS)
    assert plan.take(ONE.replace("1201", "1203")) == "1 added"
    alone = ONE.replace("UID:one", "UID:all\nRECURRENCE-ID:20261215T080000Z")
    assert plan.take(alone.replace("20261201T", "20261216T")) == "1 changed"
    unknown = alone.replace("20261215T", "20261217T").replace("20261201T", "20261217T")
    assert plan.take(unknown) == "1 added"
    assert "cancelled" not in " ".join(plan.says())


def test_a_time_beyond_what_was_read_is_not_cancelled(plan: Plan) -> None:
    endless = TUESDAYS.replace(";COUNT=4", "")
    plan.take(endless, now=NOW + timedelta(weeks=4))
    assert plan.take(endless) == "3 added, 22 unchanged"  # the clock was set back


def test_an_event_that_becomes_a_series_stays_its_first_time_and_back(plan: Plan) -> None:
    plan.take(ONE)
    series = TUESDAYS.replace("UID:all", "UID:one").replace("SEQUENCE:0", "SEQUENCE:1")
    assert plan.take(series) == "3 added, 1 unchanged"
    assert plan.known["new1"].uid == "one/20261201T080000Z"
    assert plan.take(series) == "4 unchanged"
    assert plan.take(ONE.replace("SEQUENCE:0", "SEQUENCE:2")) == "3 cancelled, 1 unchanged"


def test_one_time_that_was_called_off_here_stays_so_when_its_series_becomes_one_event(
    plan: Plan,
) -> None:
    plan.take(TUESDAYS)
    plan.edit("new1", state=ReceptionState.CANCELLED)
    one = ONE.replace("UID:one", "UID:all").replace("SEQUENCE:0\n", "")
    assert plan.take(one) == "3 cancelled, 1 stay_cancelled"


def test_an_event_that_becomes_a_series_some_other_week_has_moved(plan: Plan) -> None:
    plan.take(ONE)
    later = TUESDAYS.replace("UID:all", "UID:one").replace("20261201", "20261209")
    assert plan.take(later) == "3 added, 1 changed"
    assert plan.says()[0] == "09.12 10:00 moved"
    assert plan.take(ONE.replace("20261201", "20261209")) == "3 cancelled, 1 unchanged"


def test_a_series_at_another_hour_or_day_has_moved_and_is_not_doubled(plan: Plan) -> None:
    plan.take(TUESDAYS)
    assert plan.take(TUESDAYS.replace("T10", "T11")) == "4 changed"
    assert {it.state for it in plan.known.values()} == {ReceptionState.MOVED}
    assert plan.take(TUESDAYS.replace("20261201", "20261202")) == "4 changed"
    assert plan.says()[0] == "02.12 10:00 moved"
    assert plan.take(TUESDAYS.replace("20261201", "20261202")) == "4 unchanged"


def test_from_some_time_on_a_series_is_at_another_hour(plan: Plan) -> None:
    plan.take(TUESDAYS)
    later = ONE.replace("UID:one", "UID:all\nRECURRENCE-ID;RANGE=THISANDFUTURE:20261215T080000Z")
    later = later.replace("20261201", "20261215").replace("T10", "T11")
    assert plan.take(TUESDAYS, later) == "2 changed, 2 unchanged"
    assert plan.says() == [
        "01.12 10:00 planned",
        "08.12 10:00 planned",
        "15.12 11:00 moved",
        "22.12 11:00 moved",
    ]
    assert plan.known["new4"].uid == "all/20261222T080000Z"
    assert plan.take(TUESDAYS, later) == "4 unchanged"


def test_a_series_that_was_cut_in_two_is_neither_cancelled_nor_doubled(plan: Plan) -> None:
    plan.take(TUESDAYS)
    first = TUESDAYS.replace("COUNT=4", "COUNT=2").replace("SEQUENCE:0", "SEQUENCE:1")
    second = TUESDAYS.replace("COUNT=4", "COUNT=2").replace("UID:all", "UID:all_R2")
    second = second.replace("20261201", "20261215")
    assert plan.take(first, second) == "4 unchanged"
    assert len(plan.known) == 4
    assert plan.take(first, second.replace("T10", "T11")) == "2 changed, 2 unchanged"


def test_from_some_time_on_under_a_new_name_and_at_another_hour_a_series_has_moved(
    plan: Plan,
) -> None:
    plan.take(TUESDAYS)
    first = TUESDAYS.replace("COUNT=4", "UNTIL=20261207T215959Z")
    second = TUESDAYS.replace("COUNT=4", "COUNT=3").replace("UID:all", "UID:all_R2")
    second = second.replace("20261201T1", "20261208T1").replace("Бяла", "БЯЛА")
    second = second.replace("T14", "T17").replace("T10", "T14")
    assert plan.take(first, second) == "3 changed, 1 unchanged"
    assert plan.says() == [
        "01.12 10:00 planned",
        "08.12 14:00 moved",
        "15.12 14:00 moved",
        "22.12 14:00 moved",
    ]
    assert list(plan.known) == ["new1", "new2", "new3", "new4"]
    assert plan.take(first, second) == "4 unchanged"


def test_a_new_name_counts_anew_and_is_believed_also_of_what_was_changed_here(plan: Plan) -> None:
    plan.take(TUESDAYS)
    plan.edit("new4", landmark="до пощата")
    ended = TUESDAYS.replace("COUNT=4", "COUNT=3")
    later = ONE.replace("1201", "1222").replace("T10", "T11")
    assert plan.take(ended, later) == "1 changed, 3 unchanged"
    assert plan.says()[-1] == "22.12 11:00 moved"


def test_what_moved_is_the_one_of_the_same_day_before_a_nearer_one(plan: Plan) -> None:
    early = TUESDAYS.replace("COUNT=4", "COUNT=9;BYDAY=TU,WE").replace("T10", "T05")
    plan.take(early.replace("T14", "T06"))
    ended = early.replace("T14", "T06").replace("COUNT=9", "UNTIL=20261201T000000Z")
    ended = ended.replace("20261201T0", "20261124T0")
    late = ONE.replace("T10", "T22").replace("T14", "T23")
    assert plan.take(ended, late) == "1 changed, 8 cancelled"
    assert plan.says()[0] == "01.12 22:00 moved"


def test_what_ended_and_what_began_elsewhere_or_later_are_two(plan: Plan) -> None:
    plan.take(TUESDAYS)
    ended = TUESDAYS.replace("COUNT=4", "COUNT=3")
    elsewhere = ONE.replace("1201", "1223").replace("читалището", "кметството")
    later = ONE.replace("UID:one", "UID:two").replace("1201", "1226")
    assert plan.take(ended, elsewhere, later) == "2 added, 1 cancelled, 3 unchanged"


def test_what_stands_in_the_file_as_called_off_did_not_move_to_the_next_one_there(
    plan: Plan,
) -> None:
    plan.take(TUESDAYS)
    off = ONE.replace("UID:one", "UID:all\nRECURRENCE-ID:20261208T080000Z\nSTATUS:CANCELLED")
    new = ONE.replace("1201", "1209")
    said = plan.take(TUESDAYS, off.replace("20261201", "20261208"), new)
    assert said == "1 added, 1 cancelled, 3 unchanged"
    assert plan.says()[1:3] == ["08.12 10:00 cancelled", "09.12 10:00 planned"]


def postponed(plan: Plan) -> None:
    """The team moves the first of December to the tenth, here and not in the calendar."""
    old, later = plan.known["new1"], timedelta(days=9)
    moved = ReceptionState.MOVED
    plan.edit("new1", start=old.start + later, end=old.end + later, state=moved)


@pytest.mark.parametrize("counted", ["", "SEQUENCE:0\n", "SEQUENCE:3\n"])
@pytest.mark.parametrize("event", [ONE, TUESDAYS], ids=["one", "series"])
def test_what_was_postponed_here_is_left_alone_when_the_day_before_is_over(
    plan: Plan, event: str, counted: str
) -> None:
    event = event.replace("SEQUENCE:0\n", counted)
    plan.take(event)
    postponed(plan)
    said = plan.take(event, now=NOW + timedelta(days=10))
    assert said in ("1 older", "1 older, 3 unchanged")
    assert "10.12 10:00 moved" in plan.says()
    newer = event.replace("SEQUENCE:3", "SEQUENCE:9").replace("SEQUENCE:0", "SEQUENCE:9")
    plan.take(f"{newer}\nDESCRIPTION:до пощата", now=NOW + timedelta(days=10))
    assert "10.12 10:00 moved" in plan.says()


def test_what_was_postponed_here_is_none_of_those_that_move_then(plan: Plan) -> None:
    plan.take(TUESDAYS)
    postponed(plan)
    wednesdays = TUESDAYS.replace("1201", "1202")
    assert plan.take(wednesdays, now=NOW + timedelta(days=11)) == "3 changed, 1 older"
    assert plan.says()[:2] == ["09.12 10:00 moved", "10.12 10:00 moved"]


@pytest.mark.parametrize(
    "off",
    [
        TUESDAYS + "\nEXDATE;TZID=Europe/Sofia:20261201T100000",
        TUESDAYS
        + CUT
        + ONE.replace("UID:one", "UID:all\nRECURRENCE-ID:20261201T080000Z\nSTATUS:CANCELLED"),
        TUESDAYS + "\nSTATUS:CANCELLED",
    ],
    ids=["taken out", "one time", "series"],
)
def test_what_the_file_calls_off_by_name_is_cancelled_also_where_it_was_postponed(
    plan: Plan, off: str
) -> None:
    plan.take(TUESDAYS)
    postponed(plan)
    plan.take(off, now=NOW + timedelta(days=10))
    assert "10.12 10:00 cancelled" in plan.says()


def test_what_stands_here_from_a_table_already_is_not_doubled(plan: Plan) -> None:
    start = datetime(2026, 12, 1, 8, 0, tzinfo=UTC)
    table = Reception("csv", "rse04", "бяла, Читалището", start, start + timedelta(hours=1))
    plan.known["csv"] = table
    assert plan.take(ONE) == "1 changed"
    assert plan.known["csv"].uid == "one"
    assert plan.take(ONE.replace("1201", "1202")) == "1 changed"
    assert list(plan.known) == ["csv"]


def test_an_event_that_went_to_a_past_day_is_cancelled_and_by_an_older_file_not(
    plan: Plan,
) -> None:
    past = ONE.replace("1201", "1101")
    plan.take(ONE.replace("SEQUENCE:0", "SEQUENCE:1"))
    assert plan.take(past) == "1 older"
    assert plan.take(past.replace("SEQUENCE:0", "SEQUENCE:2")) == "1 cancelled"


# --- what is refused -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        ("CATEGORIES:rse04", "CATEGORIES:Бяла", (10, "CATEGORIES", "municipality_by_name")),
        ("CATEGORIES:rse04", "CATEGORIES:Приемни", (10, "CATEGORIES", "municipality_missing")),
        ("CATEGORIES:rse04", "URL:x", (4, "CATEGORIES", "municipality_missing")),
        ("CATEGORIES:rse04", "CATEGORIES:rse04,rse05", (10, "CATEGORIES", "municipality_twice")),
        (
            "CATEGORIES:rse04",
            "CATEGORIES:rse04\nX-PHEN-MUNICIPALITY:Бяла",
            (11, "X-PHEN-MUNICIPALITY", "municipality_by_name"),
        ),
        (
            "CATEGORIES:rse04",
            "X-PHEN-MUNICIPALITY:sof46",
            (10, "X-PHEN-MUNICIPALITY", "municipality_unknown"),
        ),
        ("LOCATION:Бяла\\, читалището", "LOCATION:", (9, "LOCATION", "missing")),
        ("Бяла\\, ", "Бяла" * 20, (9, "LOCATION", "too_long")),
        ("SUMMARY:", "SUMMARY:\x07", (11, "SUMMARY", "unreadable")),
        ("SUMMARY:", "SUMMARY:a\nSUMMARY:", (12, "SUMMARY", "twice")),
        ("UID:one\n", "UID:\n", (5, "UID", "missing")),
        ("UID:one", "UID:" + "x" * (LONGEST_UID + 1), (5, "UID", "too_long")),
        ("SEQUENCE:0", "SEQUENCE:-1", (6, "SEQUENCE", "value_broken")),
        ("SEQUENCE:0", "SEQUENCE:9999999999", (6, "SEQUENCE", "value_broken")),
        (END, "DTEND;TZID=Europe/Sofia:20261202T000000", (8, "DTEND", "over_midnight")),
        (END, "DURATION:PT20H", (4, "DTEND", "over_midnight")),
        (END, "DTEND;TZID=Europe/Sofia:20261201T100000", (8, "DTEND", "no_length")),
        (f"{START}\n{END}", "DTSTART;VALUE=DATE:20261201", (7, "DTSTART", "whole_day")),
        (START, "DTSTART;TZID=Nowhere:20261201T100000", (7, "DTSTART", "zone_unknown")),
        (START, "DTSTART:soon", (7, "DTSTART", "value_broken")),
        ("1201T14", "1101T14", (8, "DTEND", "end_before_start")),
        (":2026", ":2062", (7, "DTSTART", "too_far")),
        (END, f"{END}\nRDATE:20620101T080000Z", (9, "RDATE", "too_far")),
        (
            "UID:one",
            "UID:one\nRECURRENCE-ID;VALUE=DATE:20261201",
            (6, "RECURRENCE-ID", "kinds_differ"),
        ),
        (
            "LOCATION:Бяла\\, читалището",
            "LOCATION;CHARSET=UTF-8;ENCODING=QUOTED-PRINTABLE:=D0=91=D1=8F",
            (9, "LOCATION", "quoted_printable"),
        ),
        (
            "LOCATION:Бяла\\, читалището",
            "LOCATION;QUOTED-PRINTABLE:=D0=91=\n=D1=8F=\n=D0=91",
            (9, "LOCATION", "quoted_printable"),
        ),
        (
            "CATEGORIES:rse04",
            "CATEGORIES;encoding=quoted-printable:=D0=91",
            (10, "CATEGORIES", "quoted_printable"),
        ),
    ],
)
def test_a_mistake_is_named_by_line_and_property(
    old: str, new: str, problem: tuple[int, str, str]
) -> None:
    good = ONE.replace("UID:one", "UID:good").replace("1201", "1203")
    assert refused(calendar(ONE.replace(old, new), good)) == [problem]


def test_a_name_is_refused_with_the_code_that_may_be_meant() -> None:
    (problem,) = read(calendar(ONE.replace("CATEGORIES:rse04", "CATEGORIES:бяла"))).problems
    assert problem.params == {"value": "Бяла", "code": "rse04", "ekatte": "07603"}
    (missing,) = read(calendar(ONE.replace("CATEGORIES:rse04", "URL:x"))).problems
    assert missing.params == {"known": "rse27 (Русе), rse04 (Бяла), rse05 (Ветово)"}


def test_a_mistake_of_a_series_is_named_once_and_all_mistakes_at_once() -> None:
    series = TUESDAYS.replace("rse04", "nowhere").replace("LOCATION:Бяла\\, читалището\n", "")
    data = calendar(series, ONE.replace(END, "DURATION:PT0H"))
    assert refused(data) == [
        (4, "LOCATION", "missing"),
        (10, "CATEGORIES", "municipality_missing"),
        (13, "DTEND", "no_length"),
    ]


def test_mistakes_of_every_kind_are_told_at_once() -> None:
    numbered = (ONE.replace("UID:one", f"UID:{n}") for n in range(6))
    past = next(numbered).replace("1201", "1101").replace("CATEGORIES:rse04", "URL:x")
    data = calendar(
        past,
        next(numbered).replace("CATEGORIES:rse04", "CATEGORIES:Бяла"),
        next(numbered).replace(END, "DTEND;TZID=Nowhere:20261201T140000"),
        next(numbered) + "\nRRULE:FREQ=SECONDLY",
        next(numbered).replace(START, "DTSTART:soon"),
        next(numbered).replace("SEQUENCE:0", "SEQUENCE:-1"),
    )
    assert refused(data) == [
        (19, "CATEGORIES", "municipality_by_name"),
        (26, "DTEND", "zone_unknown"),
        (39, "RRULE", "rule_too_often"),
        (44, "DTSTART", "value_broken"),
        (52, "SEQUENCE", "value_broken"),
    ]


def test_two_years_ahead_is_near_enough_and_what_is_called_off_may_be_further() -> None:
    far = f"DTSTART:{NOW + FARTHEST:%Y%m%dT%H%M%SZ}\nDURATION:PT1H"
    event = ONE.replace(f"{START}\n{END}", far)
    assert read(calendar(event)).added == 1
    beyond = event.replace("00Z", "01Z")
    assert refused(calendar(beyond)) == [(7, "DTSTART", "too_far")]
    assert read(calendar(f"{beyond}\nSTATUS:CANCELLED")).problems == ()


def test_one_time_that_moved_beyond_two_years_is_refused() -> None:
    moved = ONE.replace("UID:one", "UID:all\nRECURRENCE-ID:20261215T080000Z")
    assert refused(calendar(TUESDAYS, moved.replace(":20261201", ":20621216"))) == [
        (18, "DTSTART", "too_far")
    ]


def test_one_time_that_is_called_off_as_a_whole_day_is_refused_and_not_planned() -> None:
    off = ONE.replace("UID:one", "UID:all\nRECURRENCE-ID;VALUE=DATE:20261208\nSTATUS:CANCELLED")
    assert refused(calendar(TUESDAYS, off.replace("20261201", "20261208"))) == [
        (16, "RECURRENCE-ID", "kinds_differ")
    ]


def test_the_same_reception_under_two_names_is_refused() -> None:
    twice = calendar(ONE, ONE.replace("UID:one", "UID:two").replace("Бяла", "БЯЛА"))
    (problem,) = read(twice).problems
    assert (problem.line, problem.code, problem.params) == (16, "repeated", {"first": 4})


@pytest.mark.parametrize("data", [b"", b"id;municipality\n", b"\xff\xfeB\x00", b"BEGIN:VCALENDAR"])
def test_a_file_that_is_no_calendar_is_refused(data: bytes) -> None:
    assert len(refused(data)) == 1


def test_a_calendar_is_known_by_how_it_begins() -> None:
    assert is_calendar(b"\xef\xbb\xbf\r\n begin:vcalendar\r\n")
    assert not is_calendar(b"municipality,place\n")
    assert not is_calendar(b"")


_LINES = st.sampled_from(
    f"""\
{START}
DTSTART;VALUE=DATE:20261123
DTSTART:99991231T235959
{END}
DURATION:PT1H
DURATION:P9999D
RRULE:FREQ=WEEKLY
RDATE:20261205T100000Z
EXDATE:20261208T080000Z
RECURRENCE-ID:20261208T080000Z
RECURRENCE-ID;RANGE=THISANDFUTURE:20261208T080000Z
RECURRENCE-ID;VALUE=DATE:20261208
RECURRENCE-ID:00010101T000000
EXDATE;VALUE=DATE:20261208
LOCATION;ENCODING=QUOTED-PRINTABLE:=D0=91=
=D1=8F
UID:all
UID:new1@phen
UID:a/20261208T080000Z
STATUS:CANCELLED
SEQUENCE:1
SEQUENCE:١
LOCATION:Бяла rse04
LOCATION:\\
CATEGORIES:rse04,,\\,
X-PHEN-MUNICIPALITY;VALUE=TEXT:rse05
X-PHEN-STATE:moved
SUMMARY;LANGUAGE=bg:x
END:VEVENT
BEGIN:VEVENT
 folded""".splitlines()
)


KNOWN = read(calendar(TUESDAYS)).receptions


@given(st.lists(_LINES, max_size=16))
@example(["UID:all", START, "RECURRENCE-ID:00010101T000000", "STATUS:CANCELLED"])
@settings(max_examples=150, deadline=None)
def test_no_file_makes_it_fail(lines: list[str]) -> None:
    file = ["BEGIN:VCALENDAR", "BEGIN:VEVENT", *lines, "END:VEVENT", "END:VCALENDAR"]
    result = read("\n".join(file).encode(), KNOWN)
    assert {problem.code for problem in result.problems} <= {*PROBLEM_CODES, *OWN_CODES}
    assert not (result.receptions and result.problems)
    assert len({it.id for it in result.receptions}) == len(result.receptions)


# --- what goes out -------------------------------------------------------------------------

_texts = st.text(st.characters(codec="utf-8", categories=["L", "N", "P", "S"]), max_size=40)
_moments = st.integers(1, FARTHEST.days - 1).map(
    lambda days: (NOW + timedelta(days=days)).astimezone(SOFIA).replace(hour=9).astimezone(UTC)
)


@st.composite
def receptions(draw: st.DrawFn) -> list[Reception]:
    starts = draw(st.lists(_moments, max_size=4, unique=True))
    return [
        Reception(
            id=f"id-{number}",
            municipality=draw(st.sampled_from(sorted(PLACES))),
            place=draw(_texts.filter(bool)),
            start=start,
            end=start + timedelta(minutes=draw(st.integers(1, 800))),
            landmark=draw(_texts),
            attends=draw(_texts),
            public_name=draw(_texts),
            state=draw(st.sampled_from(ReceptionState)),
            uid=draw(st.sampled_from(["", f"u\\{number}", f"s,;{number}/20261201T080000Z"])),
            sequence=draw(st.integers(0, 9)),
        )
        for number, start in enumerate(starts)
    ]


def _tidied(it: Reception) -> Reception:
    names = ("place", "landmark", "attends", "public_name")
    return replace(it, **{name: tidy(getattr(it, name)) for name in names})


@given(receptions())
@settings(max_examples=40, deadline=None)
def test_what_is_written_comes_back_as_it_was_also_elsewhere(plan_of_it: list[Reception]) -> None:
    known = [_tidied(it) for it in plan_of_it]
    data = write_ics(known, NOW)
    again = read(data, known)
    elsewhere = read(data)
    if known:
        assert again == IcsResult(unchanged=len(known))
        ids = {it.uid: it.id for it in known}
        found = [replace(it, id=ids[it.uid]) if it.uid else it for it in elsewhere.receptions]
        assert sorted(found, key=lambda it: it.id) == known
    else:
        assert [it.code for it in again.problems] == ["no_events"]


def test_one_time_of_a_series_goes_out_under_its_name_and_both_calendars_know_it(
    plan: Plan,
) -> None:
    plan.take(TUESDAYS)
    ours = write_ics(plan.known.values(), NOW)
    assert plan.take(data=ours) == "4 unchanged"
    assert plan.take(TUESDAYS) == "4 unchanged"
    later = ours.replace(b"T140000", b"T150000").replace(b"SEQUENCE:0", b"SEQUENCE:1")
    assert plan.take(data=later) == "4 changed"


def test_it_is_written_as_rfc_5545_says() -> None:
    (one,) = read(calendar(ONE)).receptions
    long = replace(one, landmark="до пощата, зеленият вход; " * 4, id="a", sequence=3)
    data = write_ics([long, replace(one, id="b", state=ReceptionState.CANCELLED)], NOW)
    lines = data.split(b"\r\n")
    assert data.endswith(b"END:VCALENDAR\r\n")
    assert max(len(line) for line in lines) <= 75
    assert not any(b"\n" in line or b"\r" in line for line in lines)
    assert all(line.decode() or not line for line in lines)  # no letter is cut in two
    parsed = icalendar.Calendar.from_ical(data)
    assert [str(it["STATUS"]) for it in parsed.events] == ["CONFIRMED", "CANCELLED"]
    event = parsed.events[0]
    assert (event["SEQUENCE"], str(event["UID"])) == (3, "one")
    assert event["DTSTAMP"].dt == NOW
    assert event["DTSTART"].params["TZID"] == "Europe/Sofia"
    assert str(event["DESCRIPTION"]) == long.landmark
    assert "LAST-MODIFIED" not in event


def test_the_zone_that_goes_with_it_is_that_of_sofia() -> None:
    (zone,) = icalendar.Calendar.from_ical(write_ics([], NOW)).timezones
    theirs = zone.to_tz()
    for day in range(0, 4000, 5):
        at = datetime(2026, 1, 1, 12) + timedelta(days=day)  # noqa: DTZ001
        assert at.replace(tzinfo=theirs).utcoffset() == at.replace(tzinfo=SOFIA).utcoffset()


def test_a_public_calendar_holds_nothing_of_ours_beside_the_texts() -> None:
    (one,) = read(calendar(f"{ONE}\nX-PHEN-ATTENDS:юрист\nX-PHEN-STATE:moved")).receptions
    data = write_ics([one], NOW, public="Дом и здраве").decode()
    for secret in ("юрист", "X-PHEN", "rse04", "UID:one", "moved"):
        assert secret not in data
    parsed = icalendar.Calendar.from_ical(data)
    assert str(parsed["X-WR-CALNAME"]) == str(parsed["NAME"]) == "Дом и здраве"
    assert "REFRESH-INTERVAL;VALUE=DURATION:PT1H\r\n" in data
    assert "X-PUBLISHED-TTL:PT1H\r\n" in data
    (event,) = parsed.events
    assert str(event["SUMMARY"]) == "Ден за съвети"


def test_in_a_public_calendar_no_event_is_named_by_an_id_of_ours() -> None:
    (one,) = read(calendar(ONE)).receptions
    public, own = (
        icalendar.Calendar.from_ical(write_ics([told], NOW, public=public)).events[0]["UID"]
        for told, public in (
            (replace(one, id="dv-shelter-1"), "Дом и здраве"),
            (replace(one, id="dv-shelter-1", uid=""), None),
        )
    )
    assert re.fullmatch("[0-9a-f]{32}@phen", public)
    assert own == "dv-shelter-1@phen"


# --- files that would take too long ---------------------------------------------------------------

MANY = 1_000_000
MARKS = "\u0301\u0316" * 300_000


@pytest.mark.timeout(20)
def test_a_place_of_a_million_separators_is_too_long_and_takes_no_longer() -> None:
    for sign in (",", ";", "(", "["):
        place = f"LOCATION:x{sign * MANY}x!"
        event = f"UID:one\n{START}\n{END}\n{place}\nCATEGORIES:rse04"
        assert "too_long" in [it.code for it in read(calendar(event)).problems]


@pytest.mark.timeout(20)
def test_marks_that_stand_in_disorder_over_one_letter_are_not_sorted() -> None:
    event = f"{ONE}\nDESCRIPTION:а{MARKS}"
    assert [it.code for it in read(calendar(event)).problems] == ["too_long"]


@pytest.mark.timeout(20)
def test_components_in_each_other_without_an_end_are_refused_soon() -> None:
    data = b"BEGIN:VCALENDAR\r\n" + b"BEGIN:VEVENT\r\n" * 100_000
    assert {it.code for it in read(data).problems} == {"not_closed"}


@pytest.mark.timeout(20)
def test_the_code_at_the_end_is_looked_for_in_one_pass() -> None:
    assert _AT_THE_END.fullmatch("x" + "," * MANY + "x!") is None
    found = _AT_THE_END.fullmatch("Бяла, (читалището) (rse04)")
    assert found is not None
    assert (found["place"], found["code"]) == ("Бяла, (читалището)", "rse04")


@pytest.mark.timeout(20)
def test_thirty_thousand_mistakes_take_no_longer_than_a_few() -> None:
    event = f"{ONE}\n" + "\n".join(["RRULE:FREQ=HOURLY"] * 30_000)
    assert len(read(calendar(event)).problems) >= 30_000


@pytest.mark.timeout(20)
def test_a_rule_that_names_its_months_and_days_over_and_over_is_refused_at_once() -> None:
    rule = f"RRULE:FREQ=YEARLY;BYMONTH=2{',2' * 50_000};BYMONTHDAY=30{',30' * 50_000}"
    assert [it.code for it in read(calendar(f"{ONE}\n{rule}")).problems] == ["rule_never"]
