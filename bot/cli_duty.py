"""`phen duty`: who is on duty when, and whom the bell rings for."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import date, datetime, time, timedelta
from itertools import combinations
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from bot.app import Phen
from bot.bell import answers
from bot.cli_common import Mistake, local, member_of, print_table, with_store
from bot.storage.records import Role, StaffMember
from bot.texts import ZONE
from scheduler.duty import Hours, Shift, Weekly, duties, next_duty, on_duty
from scheduler.ical import read_shifts
from scheduler.ical_lines import Problem

app = typer.Typer(help="Keep the duty table. Example: phen duty list", no_args_is_help=True)
WEEK = 7
DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
AWAY, AS_USUAL = "away", "week"
_SPAN = re.compile(r"([0-9]{1,2}):([0-9]{2})-([0-9]{1,2}):([0-9]{2})")

PROBLEMS = {
    "too_big": "the file is larger than {limit} bytes; export a calendar that holds duties only",
    "encoding": "the text cannot be read; export the calendar again, as UTF-8",
    "not_calendar": "this is no calendar file; export an .ics from the calendar program",
    "broken": "this makes no sense in a calendar; export the calendar again",
    "no_events": "there is no event in the calendar; export the one that holds the duties",
    "too_many_events": "there are {found} events, at most {limit} are read; export a calendar that"
    " holds duties only",
    "too_many_times": "the events happen more than {limit} times in half a year; take out those"
    " that are no duties",
    "too_slow": "it takes too long to work out when the events happen; take out those that are no"
    " duties",
    "nothing_ahead": "no duty is left in the next {weeks} weeks; export a newer calendar",
    "line_broken": "the line is no line of a calendar; export the calendar again",
    "not_closed": "what begins here has no end; the file is cut off, export it again",
    "not_opened": "what ends here has not begun; export the calendar again",
    "missing": "the event does not say when it begins; give it a time",
    "twice": "the property stands twice in its event; leave one",
    "value_broken": "“{value}” makes no sense here; correct the event",
    "zone_unknown": "nobody knows a time zone “{value}”; set the event to Europe/Sofia",
    "kinds_differ": "this is a whole day and the start of the event has a time, or the other way"
    " round; correct one of the two",
    "end_before_start": "the event ends before it begins; correct one of the two",
    "end_and_duration": "the event has both an end and a duration; leave one",
    "event_broken": "the event makes no sense as a whole; make it anew",
    "uid_twice": "the event has the same name as the one in line {first}; leave one",
    "no_length": "the event ends when it begins; give it an end",
    "too_long": "the event is longer than {days} days; make it shorter",
    "quoted_printable": "the text is written as in an old vCalendar (QUOTED-PRINTABLE); export an"
    " iCalendar file",
    "rule_broken": "“{value}” is no rule by which it could repeat; set the repetition anew",
    "rule_too_often": "a duty does not repeat {value}; let it repeat by days or weeks",
    "rule_part": "“{part}” does not go with {freq}; set the repetition anew",
    "rule_never": "no day fits the rule “{value}”; set the repetition anew",
    "no_such_time": "the event does not happen on {value}, so nothing is taken out or changed by"
    " this; take out or change the right day in the calendar",
}
"""Every problem of a calendar file by its code: what is wrong, and what to do."""

Login = Annotated[str, typer.Argument(help="Whose duty, see `phen staff list`.")]


@app.command("list")
def list_duties() -> None:
    """Show who is on duty now and in the coming week. Example: phen duty list"""

    async def read(phen: Phen) -> tuple[dict[str, StaffMember], str, list[Shift]]:
        now, table = phen.now(), await phen.store.duty()
        people = {each.id: each for each in await phen.store.all_staff() if answers(each)}
        today = now.astimezone(ZONE).date()
        earliest = min([today, *(each.start.astimezone(ZONE).date() for each in table.shifts)])
        last = today + timedelta(days=WEEK - 1)
        week = duties(table, earliest - timedelta(days=1), last, ZONE)
        there = [people[who].login for who in on_duty(table, now, ZONE) if who in people]
        coming = next_duty(table, now, ZONE, people)
        if not table:
            says = "No duty is known: a new case rings for everybody."
        elif there:
            says = f"On duty now: {', '.join(sorted(there))}."
        elif coming is not None:
            says = (
                f"Nobody is on duty now; next: {people[coming.who].login}, {local(coming.start)}."
            )
        else:
            says = "Nobody is on duty, and nobody comes: a new case rings for everybody."
        return people, says, [each for each in week if each.end > now and each.who in people]

    people, says, week = with_store(read)
    typer.echo(says)
    table = Table("login", "languages", "from", "to")
    for shift in week:
        member = people[shift.who]
        languages = ", ".join(sorted(member.languages))
        table.add_row(member.login, languages, _day_and_time(shift.start), _day_and_time(shift.end))
    print_table(table)


@app.command("week")
def set_week(
    login: Login,
    pattern: Annotated[
        list[str] | None,
        typer.Argument(help="A day and its hours, in turn; none: no duty in an ordinary week."),
    ] = None,
) -> None:
    """Set the hours of each week, instead of those before.

    Example: phen duty week maria mon 09:00-17:00 tue 09:00-13:00,14:00-17:00 sat 22:00-06:00
    """
    hours = _week(pattern or [])

    async def keep(phen: Phen) -> None:
        member = await _consultant(phen, login)
        weekly = [Weekly(member.id, day, each) for day, each in hours]
        await phen.store.set_weekly(member.id, weekly)
        await phen.store.audit(None, "duty.saved")

    with_store(keep)
    typer.echo("Kept. See `phen duty list`.")


@app.command("day")
def set_day(
    login: Login,
    day: Annotated[str, typer.Argument(help="2026-12-24")],
    what: Annotated[str, typer.Argument(help="away, hours as 10:00-12:00, or week: as usual.")],
) -> None:
    """Set what holds on one day instead. Example: phen duty day maria 2026-12-24 away"""
    when = _day(day)
    hours = None if what == AS_USUAL else [] if what == AWAY else _hours(what)

    async def keep(phen: Phen) -> None:
        if when < phen.now().astimezone(ZONE).date():
            raise Mistake(f"{when} is over; take today or a later day.")
        member = await _consultant(phen, login)
        await phen.store.set_day(member.id, when, hours)
        await phen.store.audit(None, "duty.saved")

    with_store(keep)
    typer.echo("Kept. See `phen duty list`.")


@app.command("import")
def import_calendar(
    login: Login,
    file: Annotated[Path, typer.Argument(help="An iCalendar file in which each event is a duty.")],
) -> None:
    """Take duties from a calendar file, all or none.

    They replace those of the file before. Example: phen duty import maria duties.ics
    """
    try:
        data = file.read_bytes()
    except OSError:
        raise Mistake(f"{file} cannot be read; check its name and rights.") from None

    async def take(phen: Phen) -> tuple[int, datetime]:
        member = await _consultant(phen, login)
        result = read_shifts(data, member.id, phen.now(), ZONE)
        if result.problems:
            raise Mistake("\n".join(told(problem) for problem in result.problems))
        await phen.store.set_shifts(member.id, result.shifts)
        await phen.store.audit(None, "duty.saved")
        return len(result.shifts), result.until

    count, until = with_store(take)
    typer.echo(
        f"Duties taken: {count}, until {until.astimezone(ZONE):%Y-%m-%d}; then import again."
    )


def told(problem: Problem, sentences: Mapping[str, str] = PROBLEMS) -> str:
    """One mistake in a calendar file, with its place, in a sentence."""
    where = [f"line {problem.line}"] if problem.line else []
    where += [problem.name] if problem.name else []
    what = sentences[problem.code].format_map(problem.params)
    return f"{', '.join(where) or 'the file'}: {what}."


async def _consultant(phen: Phen, login: str) -> StaffMember:
    member = await member_of(phen, login)
    if Role.CONSULTANT not in member.roles:
        raise Mistake(f"{member.login} is no consultant; only who answers women has duties.")
    return member


def _week(words: Sequence[str]) -> list[tuple[int, Hours]]:
    """`mon 09:00-17:00 tue 09:00-13:00,14:00-17:00`, as weekday and hours."""
    found: dict[int, list[Hours]] = {}
    if len(words) % 2:
        raise Mistake("Write a day and its hours in turn, as in: mon 09:00-17:00 tue 09:00-13:00.")
    for name, hours in zip(words[::2], words[1::2], strict=True):
        if name.casefold() not in DAYS:
            raise Mistake(f"“{name}” is no day; write one of: {', '.join(DAYS)}.")
        day = DAYS.index(name.casefold())
        if day in found:
            raise Mistake(f"{name} stands there twice; put a comma between its hours.")
        found[day] = _hours(hours)
    return [(day, each) for day, its in found.items() for each in its]


def _hours(text: str) -> list[Hours]:
    found = [_span(each) for each in text.split(",")]
    if any(one.overlap(other) for one, other in combinations(found, 2)):
        raise Mistake(f"The hours {text} overlap; correct one of them.")
    return found


def _span(text: str) -> Hours:
    found = _SPAN.fullmatch(text)
    try:
        if found is None:
            raise ValueError
        from_hour, from_minute, to_hour, to_minute = map(int, found.groups())
        end = time(0) if (to_hour, to_minute) == (24, 0) else time(to_hour, to_minute)
        return Hours(time(from_hour, from_minute), end)
    except ValueError:
        wrong = f"“{text}” are no hours; write them as 09:00-17:00 (22:00-06:00 is overnight)."
        raise Mistake(wrong) from None


def _day(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise Mistake(f"“{text}” is no date; write it as 2026-12-24.") from None


def _day_and_time(moment: datetime) -> str:
    return f"{DAYS[moment.astimezone(ZONE).weekday()]} {local(moment)}"
