"""The duty table is kept as it was given, and what waits for a duty is looked at anew."""

from __future__ import annotations

from datetime import date, time, timedelta

from bot.bell import LATER, PAUSE
from bot.storage.handing import LONGEST_PAUSE
from bot.storage.records import StaffMember, StaffState
from bot.storage.store import Store
from scheduler.duty import Day, Hours, Shift, Weekly
from tests.bot.storage.conftest import NOON, Clock

MORNING, NIGHT = Hours(time(9), time(12, 30)), Hours(time(20), time(8))
MONDAY = date(2026, 11, 23)


async def test_the_table_comes_back_as_it_was_given(
    store: Store, maria: StaffMember, elena: StaffMember
) -> None:
    weekly = [Weekly(maria.id, 0, MORNING), Weekly(maria.id, 0, NIGHT), Weekly(maria.id, 4, NIGHT)]
    shift = Shift(elena.id, NOON, NOON + timedelta(hours=30))
    await store.set_weekly(maria.id, weekly)
    await store.set_shifts(elena.id, [shift])
    await store.set_day(maria.id, MONDAY, [])
    await store.set_day(elena.id, MONDAY, [MORNING, NIGHT])
    table = await store.duty()
    assert (list(table.weekly), list(table.shifts)) == (weekly, [shift])
    assert set(table.days) == {
        Day(maria.id, MONDAY, None),
        Day(elena.id, MONDAY, MORNING),
        Day(elena.id, MONDAY, NIGHT),
    }


async def test_what_is_set_anew_stands_instead_of_what_was_and_a_colleagues_stays(
    store: Store, maria: StaffMember, elena: StaffMember
) -> None:
    for who in (maria, elena):
        await store.set_weekly(who.id, [Weekly(who.id, 0, MORNING)])
        await store.set_shifts(who.id, [Shift(who.id, NOON, NOON + timedelta(hours=1))])
        await store.set_day(who.id, MONDAY, [])
    await store.set_weekly(maria.id, [Weekly(maria.id, 2, NIGHT)])
    await store.set_shifts(maria.id, [])
    await store.set_day(maria.id, MONDAY, None)
    table = await store.duty()
    assert set(table.weekly) == {Weekly(maria.id, 2, NIGHT), Weekly(elena.id, 0, MORNING)}
    assert [shift.who for shift in table.shifts] == [elena.id]
    assert table.days == (Day(elena.id, MONDAY, None),)


async def test_who_is_removed_is_on_no_duty(store: Store, maria: StaffMember) -> None:
    await store.set_weekly(maria.id, [Weekly(maria.id, 0, MORNING)])
    await store.set_day(maria.id, MONDAY, [])
    await store.set_shifts(maria.id, [Shift(maria.id, NOON, NOON + timedelta(hours=1))])
    await store.remove_staff(maria.id)
    assert not await store.duty()


async def test_when_who_is_there_changes_what_waits_for_a_duty_is_looked_at_anew(
    store: Store, maria: StaffMember, clock: Clock
) -> None:
    tomorrow, soon = NOON + timedelta(days=1), NOON + timedelta(minutes=2)
    waits = await store.open_case("web", "1", "bg", None, None, "река")
    rings = await store.open_case("web", "2", "bg", None, None, "море")
    clock.forward(minutes=1)

    async def bells() -> list[object]:
        found = [await store.case(case.id) for case in (waits, rings)]
        return [case and case.bell_at for case in found]

    async def frozen_and_back() -> None:
        await store.set_staff_state(maria.id, StaffState.FROZEN)
        await store.set_staff_state(maria.id, StaffState.ACTIVE)

    for change in (
        lambda: store.set_weekly(maria.id, []),
        lambda: store.set_shifts(maria.id, []),
        lambda: store.set_day(maria.id, MONDAY, None),
        lambda: store.change_staff(maria.id, "", maria.roles, ["tr"]),
        frozen_and_back,
    ):
        for case, at in ((waits, tomorrow), (rings, soon)):
            now = await store.case(case.id)
            assert now is not None
            assert await store.rung(now, 1, at)
        await change()
        assert await bells() == [clock(), soon], "what rings already goes on in its rounds"


def test_no_round_of_ringing_looks_like_a_wait_for_a_duty() -> None:
    assert max(PAUSE, LATER) <= LONGEST_PAUSE
