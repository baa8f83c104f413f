"""A calendar is read as RFC 5545 says, or refused by name; nothing of it is half imported."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from time import thread_time
from zoneinfo import ZoneInfo

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from scheduler.duty import Shift
from scheduler.ical import (
    HORIZON,
    PROBLEM_CODES,
    read_calendar,
    read_shifts,
)
from scheduler.ical_lines import MOST_BYTES, MOST_EVENTS, Problem

SOFIA = ZoneInfo("Europe/Sofia")
NOW = datetime(2026, 11, 22, 10, 0, tzinfo=UTC)
"""A Sunday, at noon in Sofia."""

CUSTOM_ZONE = """\
BEGIN:VTIMEZONE
TZID:{name}
BEGIN:STANDARD
DTSTART:16010101T040000
TZOFFSETFROM:+{summer}
TZOFFSETTO:+{winter}
RRULE:FREQ=YEARLY;BYDAY=-1SU;BYMONTH=10
END:STANDARD
BEGIN:DAYLIGHT
DTSTART:16010101T030000
TZOFFSETFROM:+{winter}
TZOFFSETTO:+{summer}
RRULE:FREQ=YEARLY;BYDAY=-1SU;BYMONTH=3
END:DAYLIGHT
END:VTIMEZONE
"""


def calendar(*events: str, before: str = "", uids: bool = True) -> bytes:
    """A file with these events; each gets a UID of its own unless it has one."""
    lines = ["BEGIN:VCALENDAR", "VERSION:2.0", "PRODID:-//a test", *before.splitlines()]
    for number, event in enumerate(events):
        own = [] if "UID:" in event or not uids else [f"UID:{number}"]
        lines += ["BEGIN:VEVENT", *own, *event.strip().splitlines(), "END:VEVENT"]
    return "\r\n".join([*lines, "END:VCALENDAR", ""]).encode()


def local(shift: Shift) -> str:
    start, end = (at.astimezone(SOFIA) for at in (shift.start, shift.end))
    return f"{start:%a %d.%m %H:%M} - {end:%a %d.%m %H:%M}"


def times(data: bytes, now: datetime = NOW) -> list[str]:
    """The duties of a good file in local time."""
    result = read_shifts(data, "maria", now, SOFIA)
    assert result.problems == ()
    assert {shift.who for shift in result.shifts} <= {"maria"}
    assert all(shift.start.tzinfo is UTC and shift.end.tzinfo is UTC for shift in result.shifts)
    return [local(shift) for shift in result.shifts]


def refused(data: bytes, now: datetime = NOW) -> list[tuple[int, str, str]]:
    """Line, property and code of each mistake, and that nothing was taken."""
    result = read_shifts(data, "maria", now, SOFIA)
    assert result.shifts == ()
    assert {problem.code for problem in result.problems} <= set(PROBLEM_CODES)
    return [(each.line, each.name, each.code) for each in result.problems]


# --- as RFC 5545 says ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("start", "end"),
    [
        ("DTSTART:20261123T090000", "DTEND:20261123T170000"),
        ("DTSTART:20261123T070000Z", "DTEND:20261123T150000Z"),
        ("DTSTART;TZID=Europe/Sofia:20261123T090000", "DURATION:PT8H"),
        ("DTSTART;TZID=Europe/Berlin:20261123T080000", "DTEND;TZID=Europe/London:20261123T150000"),
        ("DTSTART;TZID=FLE Standard Time:20261123T090000", "DURATION:P0DT8H"),
        ('DTSTART;TZID="FLE Standard Time":20261123T090000', "DURATION:PT480M"),
        ("DTSTART;TZID=/citadel.org/20250101_1/Europe/Sofia:20261123T090000", "DURATION:PT8H"),
        ("DTSTART;VALUE=DATE-TIME:20261123T090000", "DTEND:20261123T150000Z"),
    ],
    ids=["floating", "UTC", "a zone", "two zones", "Outlook", "quoted", "with a prefix", "mixed"],
)
def test_a_time_is_meant_in_its_zone_and_without_one_in_ours(start: str, end: str) -> None:
    assert times(calendar(f"{start}\n{end}")) == ["Mon 23.11 09:00 - Mon 23.11 17:00"]


def test_a_zone_that_the_file_defines_is_taken_wherever_it_stands_in_it() -> None:
    name = "(UTC+02:00) Helsinki, Kyiv, Riga, Sofia, Tallinn, Vilnius"
    zone = CUSTOM_ZONE.format(name=name, winter="0200", summer="0300")
    event = f'DTSTART;TZID="{name}":20261123T090000\nDURATION:PT8H\nRRULE:FREQ=MONTHLY;COUNT=6'
    first = calendar(event, before=zone)
    event_first = calendar(event).replace(
        b"END:VCALENDAR", "\r\n".join([*zone.splitlines(), "END:VCALENDAR"]).encode()
    )
    for data in (first, event_first):
        found = times(data)
        assert found[0] == "Mon 23.11 09:00 - Mon 23.11 17:00"
        assert found[5] == "Fri 23.04 09:00 - Fri 23.04 17:00"  # summer time


def test_what_one_file_calls_a_zone_does_not_hold_for_the_next_one() -> None:
    event = "DTSTART;TZID=Office:20261123T090000\nDURATION:PT8H"
    ours = CUSTOM_ZONE.format(name="Office", winter="0200", summer="0300")
    theirs = CUSTOM_ZONE.format(name="Office", winter="0100", summer="0200")
    assert times(calendar(event, before=ours)) == ["Mon 23.11 09:00 - Mon 23.11 17:00"]
    assert times(calendar(event, before=theirs)) == ["Mon 23.11 10:00 - Mon 23.11 18:00"]
    assert refused(calendar(event)) == [(6, "DTSTART", "zone_unknown")]


@pytest.mark.parametrize(
    "event",
    [
        "DTSTART;VALUE=DATE:20261123",
        "DTSTART;VALUE=DATE:20261123\nDTEND;VALUE=DATE:20261124",
        "DTSTART;VALUE=DATE:20261123\nDURATION:P1D",
    ],
)
def test_a_whole_day_goes_from_midnight_to_midnight_here(event: str) -> None:
    assert times(calendar(event)) == ["Mon 23.11 00:00 - Tue 24.11 00:00"]


def test_a_duty_over_the_night_in_which_the_clock_changes_ends_when_the_clock_says() -> None:
    spring = "DTSTART;TZID=Europe/Sofia:20270327T220000\nDTEND;TZID=Europe/Sofia:20270328T060000"
    (shift,) = read_shifts(calendar(spring), "maria", NOW, SOFIA).shifts
    assert local(shift) == "Sat 27.03 22:00 - Sun 28.03 06:00"
    assert shift.end - shift.start == timedelta(hours=7)


def test_it_repeats_without_the_days_that_are_taken_out_and_with_those_put_in() -> None:
    event = """\
DTSTART;TZID=Europe/Sofia:20261123T090000
DTEND;TZID=Europe/Sofia:20261123T170000
RRULE:FREQ=WEEKLY;BYDAY=MO,WE;COUNT=5
EXDATE;TZID=Europe/Sofia:20261125T090000
EXDATE:20261130T070000Z
RDATE;TZID=Europe/Sofia:20261205T100000
RDATE;VALUE=PERIOD:20261206T080000Z/PT2H"""
    assert times(calendar(event)) == [
        "Mon 23.11 09:00 - Mon 23.11 17:00",
        "Wed 02.12 09:00 - Wed 02.12 17:00",
        "Sat 05.12 10:00 - Sat 05.12 18:00",
        "Sun 06.12 10:00 - Sun 06.12 12:00",
        "Mon 07.12 09:00 - Mon 07.12 17:00",
    ]


MONDAYS = "UID:m\nDTSTART:20261123T090000\nDTEND:20261123T170000\nRRULE:FREQ=WEEKLY;COUNT=4"


def test_one_time_is_moved_another_is_cancelled_and_the_rest_stays() -> None:
    moved = "UID:m\nRECURRENCE-ID:20261130T090000\nDTSTART:20261201T120000\nDURATION:PT1H"
    cancelled = (
        "UID:m\nRECURRENCE-ID:20261207T090000\nSTATUS:CANCELLED\n"
        "DTSTART:20261207T090000\nDTEND:20261207T170000"
    )
    assert times(calendar(moved, MONDAYS, cancelled)) == [
        "Mon 23.11 09:00 - Mon 23.11 17:00",
        "Tue 01.12 12:00 - Tue 01.12 13:00",
        "Mon 14.12 09:00 - Mon 14.12 17:00",
    ]


def test_one_time_is_moved_together_with_all_that_follow() -> None:
    later = (
        "UID:m\nRECURRENCE-ID;RANGE=THISANDFUTURE:20261207T090000\n"
        "DTSTART:20261207T100000\nDTEND:20261207T120000"
    )
    assert times(calendar(MONDAYS, later)) == [
        "Mon 23.11 09:00 - Mon 23.11 17:00",
        "Mon 30.11 09:00 - Mon 30.11 17:00",
        "Mon 07.12 10:00 - Mon 07.12 12:00",
        "Mon 14.12 10:00 - Mon 14.12 12:00",
    ]


IN_SOFIA = MONDAYS.replace(":2026", ";TZID=Europe/Sofia:2026")


@pytest.mark.parametrize(
    ("said", "problem"),
    [
        ("EXDATE;VALUE=DATE:20261130", (9, "EXDATE", "kinds_differ")),
        ("EXDATE:20261207", (9, "EXDATE", "kinds_differ")),
        ("RDATE;VALUE=DATE:20261202", (9, "RDATE", "kinds_differ")),
        ("EXDATE;TZID=Europe/Sofia:20261130T000000", (9, "EXDATE", "no_such_time")),
        ("EXDATE:20261130T090000Z", (9, "EXDATE", "no_such_time")),
        ("EXDATE:20261201T090000", (9, "EXDATE", "no_such_time")),
        ("EXDATE:20261130T090000\nEXDATE:20261207T090000,20261214T180000",
         (10, "EXDATE", "no_such_time")),
    ],
)  # fmt: skip
def test_what_is_to_be_taken_out_and_is_no_time_of_the_series_is_refused_by_its_line(
    said: str, problem: tuple[int, str, str]
) -> None:
    assert refused(calendar(f"{IN_SOFIA}\n{said}")) == [problem]


@pytest.mark.parametrize(
    ("which", "code"),
    [
        ("RECURRENCE-ID;VALUE=DATE:20261130", "kinds_differ"),
        ("RECURRENCE-ID;TZID=Europe/Sofia:20261130T000000", "no_such_time"),
        ("RECURRENCE-ID:20261202T070000Z", "no_such_time"),
    ],
)
@pytest.mark.parametrize("status", ["CONFIRMED", "CANCELLED"])
def test_one_time_that_is_no_time_of_its_series_is_refused_by_its_line(
    which: str, code: str, status: str
) -> None:
    one = f"UID:m\n{which}\nSTATUS:{status}\nDTSTART:20261130T120000\nDURATION:PT1H"
    assert refused(calendar(MONDAYS, one)) == [(12, "RECURRENCE-ID", code)]


def test_a_missed_time_is_told_as_the_clock_here_shows_it() -> None:
    data = calendar(f"{MONDAYS}\nEXDATE:20261130T090000Z")
    (problem,) = read_shifts(data, "maria", NOW, SOFIA).problems
    assert problem.params == {"value": "2026-11-30 11:00"}


@pytest.mark.parametrize(
    "said",
    [
        "EXDATE:20261117T090000\nEXDATE;VALUE=DATE:20261116",
        "EXDATE:20261222T090000",
        "EXDATE:00010101T000000",
        "EXDATE:20270727T090000",
    ],
    ids=["before today", "after its end", "the first year", "beyond what is read"],
)
def test_what_a_series_cannot_miss_any_more_or_yet_does_no_harm(said: str) -> None:
    assert len(times(calendar(f"{MONDAYS}\n{said}"))) == 4


def test_a_time_of_today_that_is_over_is_still_missed() -> None:
    today = MONDAYS.replace("1123", "1122").replace("T17", "T23")
    assert refused(calendar(f"{today}\nEXDATE:20261122T000000")) == [(9, "EXDATE", "no_such_time")]


def test_a_time_is_taken_out_in_any_zone_and_so_is_one_that_was_put_in_or_changed() -> None:
    out = "EXDATE;TZID=Europe/Berlin:20261130T080000\nEXDATE:20261207T070000Z"
    put_in = "RDATE:20261208T090000\nEXDATE:20261208T090000"
    assert len(times(calendar(f"{IN_SOFIA}\n{out}\n{put_in}"))) == 2
    berlin = IN_SOFIA.replace("Sofia", "Berlin")
    assert len(times(calendar(f"{berlin}\nEXDATE:20261130T090000"))) == 3
    days = "DTSTART;VALUE=DATE:20261123\nRRULE:FREQ=DAILY;COUNT=4\nEXDATE;VALUE=DATE:20261125"
    assert len(times(calendar(days))) == 3
    changed = "UID:m\nRECURRENCE-ID:20261130T090000\nDTSTART:20261201T120000\nDURATION:PT1H"
    assert len(times(calendar(f"{MONDAYS}\nEXDATE:20261130T090000", changed))) == 3


def test_what_a_duty_does_not_need_may_be_written_in_an_old_way() -> None:
    event = "DTSTART:20261123T090000\nDURATION:PT1H\nSUMMARY;ENCODING=QUOTED-PRINTABLE:=D0=91"
    assert len(times(calendar(event))) == 1
    cut = event + "=\n=D1=8F=\n=D0=91"
    assert refused(calendar(cut)) == [(8, "SUMMARY", "quoted_printable")]
    assert refused(calendar(f"{event}\nURL:x\n=D0=91")) == [(10, "", "line_broken")]


def test_of_two_versions_of_an_event_the_later_one_counts() -> None:
    old = "UID:a\nSEQUENCE:1\nDTSTART:20261123T090000\nDURATION:PT1H"
    new = "UID:a\nSEQUENCE:2\nDTSTART:20261124T090000\nDURATION:PT1H"
    assert times(calendar(new, old)) == ["Tue 24.11 09:00 - Tue 24.11 10:00"]


def test_what_was_called_off_is_no_duty() -> None:
    off = "DTSTART:20261123T090000\nDURATION:PT1H\nSTATUS:CANCELLED"
    on = "DTSTART:20261124T090000\nDURATION:PT1H\nSTATUS:CONFIRMED"
    assert times(calendar(off, on)) == ["Tue 24.11 09:00 - Tue 24.11 10:00"]
    whole = calendar(on, before="METHOD:CANCEL")
    assert refused(whole) == [(0, "", "nothing_ahead")]


def test_what_repeats_without_end_is_taken_for_half_a_year() -> None:
    event = "DTSTART;TZID=Europe/Sofia:19900101T090000\nDURATION:PT8H\nRRULE:FREQ=DAILY"
    result = read_shifts(calendar(event), "maria", NOW, SOFIA)
    assert result.problems == ()
    assert result.until == NOW + HORIZON
    assert len(result.shifts) == HORIZON.days + 1  # today's is going on
    assert result.shifts[0].start == datetime(2026, 11, 22, 7, tzinfo=UTC)
    assert result.shifts[-1].start < result.until
    assert local(result.shifts[-1]).endswith("09:00 - Sun 23.05 17:00")


def test_what_is_going_on_is_taken_and_what_is_over_is_not() -> None:
    over = "DTSTART:20261122T080000\nDTEND:20261122T120000"
    on = "DTSTART:20261121T080000\nDTEND:20261122T120001"
    assert times(calendar(over, on)) == ["Sat 21.11 08:00 - Sun 22.11 12:00"]


def test_what_else_is_in_a_calendar_does_not_matter() -> None:
    event = """\
UID:1
DTSTART:20261123T090000
DTEND:20261123T170000
SUMMARY:Дежурство
DESCRIPTION:a long line that is
  folded\\, twice: and once more
 ; here
GEO:nowhere
ATTENDEE;CN="a: b; c":mailto:maria@example.org
BEGIN:VALARM
ACTION:DISPLAY
TRIGGER:-PT15M
DURATION:PT1H
END:VALARM"""
    todo = "BEGIN:VTODO\nUID:t\nDUE:20261124T090000\nEND:VTODO"
    data = calendar(event, before=todo)
    expected = ["Mon 23.11 09:00 - Mon 23.11 17:00"]
    assert times(data) == expected
    assert times(b"\xef\xbb\xbf" + data.replace(b"\r\n", b"\n")) == expected
    assert times(b"\r\n" + data) == expected


def test_two_calendars_in_one_file_are_both_read() -> None:
    first = calendar("UID:a\nDTSTART:20261123T090000\nDURATION:PT1H")
    second = calendar("UID:b\nDTSTART:20261124T090000\nDURATION:PT1H")
    assert len(times(first + second)) == 2


def test_an_event_without_uid_stands_for_itself() -> None:
    events = ["DTSTART:20261123T090000\nDURATION:PT1H", "DTSTART:20261124T090000\nDURATION:PT1H"]
    assert len(times(calendar(*events, uids=False))) == 2


def test_an_hour_that_the_clock_jumps_over_is_read_as_the_clock_would_go_on() -> None:
    event = "DTSTART;TZID=Europe/Sofia:20270328T033000\nDTEND;TZID=Europe/Sofia:20270328T060000"
    assert times(calendar(event)) == ["Sun 28.03 04:30 - Sun 28.03 06:00"]


# --- or refused by name --------------------------------------------------------------------


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        (b"", (0, "", "not_calendar")),
        (b"PK\x03\x04 a spreadsheet", (0, "", "not_calendar")),
        (b"<!doctype html><title>Log in</title>", (0, "", "not_calendar")),
        (b"BEGIN:VCALENDAR\xff\xfe\xd4", (0, "", "encoding")),
        ("BEGIN:VCALENDAR".encode("utf-16"), (0, "", "encoding")),
        (b"BEGIN:VCALENDAR" + b" " * MOST_BYTES, (0, "", "too_big")),
        (calendar(), (0, "", "no_events")),
        (b"BEGIN:VCALENDAR\nBEGIN:VEVENT\nDTSTART:2026", (1, "VCALENDAR", "not_closed")),
        (b"BEGIN:VCALENDAR\nBEGIN:VEVENT\nEND:VCALENDAR\n", (3, "VCALENDAR", "not_opened")),
        (calendar("BEGIN:VEVENT\nEND:VEVENT"), (4, "VEVENT", "not_closed")),
        (calendar() + b"END:VCALENDAR", (5, "VCALENDAR", "not_opened")),
        (calendar("DTSTART:20261123T090000\nthe rest was lost"), (7, "", "line_broken")),
        (calendar("DTSTART:20261123T090000\nDURATION:PT1H", before="CALSCALE:HEBREW"),
         (0, "CALSCALE", "broken")),
    ],
)  # fmt: skip
def test_a_file_that_cannot_be_read_is_refused(data: bytes, problem: tuple[int, str, str]) -> None:
    assert problem in refused(data)


@pytest.mark.parametrize(
    ("event", "problem"),
    [
        ("SUMMARY:when?", (4, "DTSTART", "missing")),
        ("DTSTART:tomorrow\nDURATION:PT1H", (6, "DTSTART", "value_broken")),
        ("DTSTART:20260231T090000\nDURATION:PT1H", (6, "DTSTART", "value_broken")),
        ("DTSTART:PT1H\nDURATION:PT1H", (6, "DTSTART", "value_broken")),
        ("DTSTART:20261123T090000\nDTEND:PT1H", (7, "DTEND", "value_broken")),
        ("DTSTART:20261123T090000\nDURATION:20261123T100000", (7, "DURATION", "value_broken")),
        ("DTSTART:20261123T090000\nDURATION:an hour", (7, "DURATION", "value_broken")),
        ("DTSTART:20261123T090000\nDURATION:-PT1H", (7, "DURATION", "end_before_start")),
        ("DTSTART:20261123T090000\nDTEND:20261123T080000", (7, "DTEND", "end_before_start")),
        ("DTSTART:20261123T090000Z\nDTEND;TZID=Europe/Sofia:20261123T100000",
         (7, "DTEND", "end_before_start")),
        ("DTSTART:20261123T090000\nDTEND;VALUE=DATE:20261124", (7, "DTEND", "kinds_differ")),
        ("DTSTART;VALUE=DATE:20261123\nDURATION:PT8H", (7, "DURATION", "kinds_differ")),
        ("DTSTART:20261123T090000\nDTEND:20261123T100000\nDURATION:PT1H",
         (8, "DURATION", "end_and_duration")),
        ("DTSTART:20261123T090000\nDTSTART:20261124T090000\nDURATION:PT1H",
         (7, "DTSTART", "twice")),
        ("DTSTART;TZID=Mars/Base:20261123T090000\nDURATION:PT1H", (6, "DTSTART", "zone_unknown")),
        ("DTSTART;TZID=Europe:20261123T090000\nDURATION:PT1H", (6, "DTSTART", "zone_unknown")),
        ("DTSTART:20261123T090000\nDURATION:PT1H\nRRULE:FREQ=DAILY\nEXDATE;TZID=Here:20261124",
         (9, "EXDATE", "zone_unknown")),
        ("DTSTART:20261123T090000\nDURATION:PT1H\nRRULE:FREQ=DAILY\nEXDATE:Friday",
         (9, "EXDATE", "value_broken")),
        ("DTSTART:20261123T090000", (4, "DTEND", "no_length")),
        ("DTSTART:20261123T090000\nDTEND:20271123T090000", (4, "DTEND", "too_long")),
        ("DTSTART:20251123T090000\nDURATION:PT1H", (0, "", "nothing_ahead")),
    ],
)  # fmt: skip
def test_an_event_that_makes_no_sense_is_refused_by_its_line(
    event: str, problem: tuple[int, str, str]
) -> None:
    assert refused(calendar(event)) == [problem]


@pytest.mark.parametrize(
    ("rule", "code"),
    [
        ("FREQ=WEKLY", "rule_broken"),
        ("every Monday", "rule_broken"),
        ("", "rule_broken"),
        ("FREQ=DAILY;INTERVAL=0", "rule_broken"),
        ("FREQ=DAILY;INTERVAL=-1", "rule_broken"),
        ("FREQ=DAILY;COUNT=0", "rule_broken"),
        ("FREQ=DAILY;COUNT=3;UNTIL=20261201", "rule_broken"),
        ("FREQ=MONTHLY;BYMONTHDAY=first", "rule_broken"),
        ("FREQ=YEARLY;BYMONTH=13", "rule_broken"),
        ("FREQ=SECONDLY", "rule_too_often"),
        ("FREQ=MINUTELY;UNTIL=20990101T000000Z", "rule_too_often"),
        ("FREQ=HOURLY;COUNT=1000000000", "rule_too_often"),
        ("FREQ=DAILY;BYMINUTE=0,1,2,3", "rule_part"),
        ("FREQ=WEEKLY;BYDAY=2MO", "rule_part"),
        ("FREQ=WEEKLY;BYMONTHDAY=3", "rule_part"),
        ("FREQ=MONTHLY;BYWEEKNO=3", "rule_part"),
        ("FREQ=YEARLY;RSCALE=CHINESE", "rule_part"),
        ("FREQ=DAILY;BYMONTH=2;BYMONTHDAY=30", "rule_never"),
        ("FREQ=WEEKLY;BYSETPOS=9", "rule_never"),
        ("FREQ=DAILY;BYSETPOS=2", "rule_part"),
    ],
)
def test_a_rule_that_makes_no_sense_or_has_no_end_of_times_is_refused_at_once(
    rule: str, code: str
) -> None:
    began = thread_time()
    data = calendar(f"DTSTART:20261123T090000\nDURATION:PT1H\nRRULE:{rule}")
    assert refused(data) == [(8, "RRULE", code)]
    assert thread_time() - began < 0.5


def test_a_rule_that_never_fits_gives_the_first_time_only() -> None:
    rule = "RRULE:FREQ=MONTHLY;BYDAY=5MO;BYMONTHDAY=1"
    data = calendar(f"DTSTART:20261123T090000\nDURATION:PT1H\n{rule}")
    assert times(data) == ["Mon 23.11 09:00 - Mon 23.11 10:00"]


def test_a_bomb_in_a_time_zone_is_refused_at_once() -> None:
    zone = CUSTOM_ZONE.format(name="Office", winter="0200", summer="0300")
    began = thread_time()
    data = calendar("DTSTART:20261123T090000", before=zone.replace("YEARLY", "SECONDLY"))
    assert [code for _, _, code in refused(data)] == ["rule_too_often"] * 2
    assert thread_time() - began < 0.5


def test_thousands_of_events_are_refused_at_once_and_so_are_too_many_times() -> None:
    event = "DTSTART:20261123T090000\nDURATION:PT1H"
    began = thread_time()
    assert refused(calendar(*[event] * (MOST_EVENTS + 1))) == [(0, "", "too_many_events")]
    assert thread_time() - began < 2
    daily = [f"{event}\nRRULE:FREQ=DAILY"] * 12
    assert [code for _, _, code in refused(calendar(*daily))] == ["too_many_times"]


def test_one_that_takes_too_long_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("scheduler.ical.PATIENCE", -1.0)
    assert refused(calendar(MONDAYS)) == [(4, "", "too_slow")]


def test_two_different_events_under_one_name_are_refused() -> None:
    twice = calendar(MONDAYS, MONDAYS.replace("1123", "1124"))
    (problem,) = read_shifts(twice, "maria", NOW, SOFIA).problems
    assert problem == Problem(11, "UID", "uid_twice", {"first": 4})


def test_every_mistake_is_named_and_the_good_events_are_not_taken() -> None:
    good = "DTSTART:20261123T090000\nDURATION:PT1H"
    data = calendar(good, "DTSTART:soon", good, "DTSTART:20261123T090000\nDTEND:20261122T090000")
    assert refused(data) == [(11, "DTSTART", "value_broken"), (21, "DTEND", "end_before_start")]


def test_what_is_read_can_become_something_else_than_duties() -> None:
    last = NOW + timedelta(days=10)
    result = read_calendar(calendar(MONDAYS), NOW, last, SOFIA)
    assert [(it.start.day, it.end - it.start, it.line) for it in result.occurrences] == [
        (23, timedelta(hours=8), 4),
        (30, timedelta(hours=8), 4),
    ]


_PIECES = st.sampled_from(
    """\
BEGIN:VCALENDAR
END:VCALENDAR
BEGIN:VEVENT
END:VEVENT
BEGIN:VTIMEZONE
END:VTIMEZONE
TZID:Office
DTSTART:20261123T090000
DTSTART;TZID=Office:20261123T090000
DTSTART;TZID="':20261123T090000
DTSTART;VALUE=DATE:20261123
DTSTART:00010101T000000
DTEND:99991231T235959
DURATION:PT1H
DURATION:P9999999D
RRULE:FREQ=WEEKLY
RRULE:FREQ=YEARLY;BYMONTH=0
EXDATE:,
RDATE:20261124
RDATE;VALUE=PERIOD:1/2
RECURRENCE-ID:20261123T090000
UID:1
STATUS:CANCELLED
SEQUENCE:x
;;;
X-:y
:
 folded""".splitlines()
)


@given(st.lists(_PIECES, max_size=14))
@example(["DTSTART:00010101T000000", "DTEND:99991231T235959"])
@example(["DTSTART:99991231T235959", "DURATION:P1D", "RRULE:FREQ=DAILY"])
@example(["DTSTART:20261123T090000", "DTEND:00010101T000000"])
@settings(max_examples=300, deadline=None)
def test_no_file_makes_it_fail(pieces: list[str]) -> None:
    whole = ["BEGIN:VCALENDAR", "BEGIN:VEVENT", *pieces, "END:VEVENT", "END:VCALENDAR"]
    for lines in (pieces, whole):
        result = read_shifts("\n".join(lines).encode(), "maria", NOW, SOFIA)
        assert bool(result.shifts) != bool(result.problems)
        assert {problem.code for problem in result.problems} <= set(PROBLEM_CODES)


@given(st.binary(max_size=80))
def test_no_bytes_make_it_fail(data: bytes) -> None:
    assert read_shifts(b"BEGIN:VCALENDAR" + data, "maria", NOW, SOFIA).problems
