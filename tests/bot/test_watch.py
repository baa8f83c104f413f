"""What she is told about who is there: honest about languages, and about nobody."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import time, timedelta
from pathlib import Path

import pytest

from bot.storage.records import Role, StaffState
from bot.watch import Watch
from scheduler.duty import Hours, Weekly
from tests.bot.paper import Shell, a_shell

DAY, EVENING = Hours(time(9), time(17)), Hours(time(18), time(20))
"""The shell's clock shows Monday, 23 November 2026, noon in Sofia."""


@pytest.fixture
async def shell(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Shell]:
    async with a_shell(tmp_path, monkeypatch) as shell:
        yield shell


def watch(shell: Shell) -> Watch:
    return Watch(shell.phen.store, shell.phen.texts, shell.phen.changes, shell.phen.now)


async def person(
    shell: Shell,
    login: str,
    *languages: str,
    alias: str = "",
    hours: Hours | None = DAY,
    days: range = range(7),
    role: Role = Role.CONSULTANT,
) -> str:
    """Somebody with an active account, and her hours."""
    store, expires = shell.phen.store, shell.clock() + timedelta(days=1)
    code = login.encode()
    member = await store.add_staff(login, alias, {role}, code, expires, languages or ("bg",))
    assert await store.accept_invite(member.id, "hash", "SECRET")
    if hours is not None:
        await store.set_weekly(member.id, [Weekly(member.id, day, hours) for day in days])
    return member.id


async def test_who_is_on_duty_is_named_by_her_alias_or_else_by_her_role(shell: Shell) -> None:
    await person(shell, "ana", alias="Мария")
    await person(shell, "boyana")
    await person(shell, "vera")
    told = await watch(shell).words("bg")
    assert told == shell.say("duty.now_is", who=f"Мария, {shell.say('case.role')}")
    for login in ("ana", "boyana", "vera"):
        assert login not in told


async def test_only_those_who_speak_her_language_are_named(shell: Shell) -> None:
    await person(shell, "ana", "bg", alias="Мария")
    await person(shell, "elena", "bg", "tr", alias="Елена")
    told = await watch(shell).words("tr")
    assert told == shell.say("duty.now_is", "tr", who="Елена")


async def test_when_nobody_there_speaks_her_language_she_is_told_which_ones_they_speak(
    shell: Shell,
) -> None:
    await person(shell, "ana", "bg", "en")
    await person(shell, "elena", "bg")
    told = await watch(shell).words("tr")
    spoken = f"{shell.say('language.name', 'bg')}, {shell.say('language.name', 'en')}"
    assert told == shell.say("duty.other_language", "tr", languages=spoken)


async def test_a_desk_that_is_open_outside_the_hours_counts_as_somebody(shell: Shell) -> None:
    await person(shell, "ana", alias="Мария", hours=EVENING)
    assert not await watch(shell).anybody()
    async with shell.phen.changes.listen():
        assert await watch(shell).anybody()
        told = await watch(shell).words("bg")
        assert told == shell.say("duty.now_is", who=shell.say("case.role"))
    assert not await watch(shell).anybody()


async def test_when_nobody_is_there_she_is_told_when_somebody_who_speaks_hers_is_next(
    shell: Shell,
) -> None:
    await person(shell, "ana", "bg", hours=EVENING)
    await person(shell, "elena", "tr", hours=EVENING, days=range(1, 7))
    today = shell.phen.texts.moment("bg", shell.clock() + timedelta(hours=6), shell.clock())
    tomorrow = shell.phen.texts.moment("tr", shell.clock() + timedelta(hours=30), shell.clock())
    assert "18:00" in today
    assert await watch(shell).words("bg") == shell.say("duty.next", when=today)
    assert await watch(shell).words("tr") == shell.say("duty.next", "tr", when=tomorrow)


async def test_when_nobody_ever_speaks_hers_she_is_told_when_anybody_is_next(shell: Shell) -> None:
    await person(shell, "ana", "bg", hours=EVENING)
    at = shell.phen.texts.moment("en", shell.clock() + timedelta(hours=6), shell.clock())
    assert await watch(shell).words("en") == shell.say("duty.next", "en", when=at)


async def test_when_no_duty_is_known_no_hour_is_promised(shell: Shell) -> None:
    await person(shell, "ana", hours=None)
    assert not await watch(shell).anybody()
    assert await watch(shell).words("bg") == shell.say("duty.nobody")


async def test_who_cannot_answer_is_not_there(shell: Shell) -> None:
    frozen = await person(shell, "ana", alias="Мария")
    await person(shell, "boss", alias="Шефка", role=Role.ADMIN)
    await shell.phen.store.set_staff_state(frozen, StaffState.FROZEN)
    assert not await watch(shell).anybody()
    assert await watch(shell).words("bg") == shell.say("duty.nobody")


@pytest.mark.parametrize("hours", [DAY, EVENING, None], ids=["there", "later", "nobody"])
async def test_a_look_reads_the_duties_and_the_accounts_once(
    shell: Shell, hours: Hours | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    await person(shell, "ana", hours=hours)
    reads: list[str] = []
    for name in ("duty", "all_staff"):
        monkeypatch.setattr(shell.phen.store, name, counted(shell, name, reads))
    await watch(shell).words("tr")
    assert sorted(reads) == ["all_staff", "duty"]


def counted(shell: Shell, name: str, reads: list[str]) -> object:
    real = getattr(shell.phen.store, name)

    async def read() -> object:
        reads.append(name)
        return await real()

    return read
