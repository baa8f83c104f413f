"""The clocks: what was promised to be gone is gone, and not before."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest

from bot.privacy.retention import Cutoffs, whole_hour
from bot.privacy.vault import KeyDestroyed, Vault
from bot.storage.records import Case, Purged, Role, TextGone
from bot.storage.store import Store
from tests.sqlite import migrated

SOON = timedelta(days=1)
MIDNIGHT = datetime(2026, 11, 22, tzinfo=UTC)


class Clock:
    moment = MIDNIGHT

    def __call__(self) -> datetime:
        return self.moment


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def vault(tmp_path: Path) -> Vault:
    return Vault.open(tmp_path / "keys" / "master.key", create=True)


@pytest.fixture
async def store(tmp_path: Path, vault: Vault, clock: Clock) -> AsyncIterator[Store]:
    url = migrated(tmp_path / "phen.db")
    opened = await Store.open(url, vault, clock)
    yield opened
    await opened.close()


async def closed_case(store: Store, address: str = "1") -> Case:
    case = await store.open_case("telegram", address, "bg", "violence.title", "rse27", address)
    await store.add_from_woman(case.id, "думи", "k")
    closed = await store.close_case(case.id, "довиждане", "bye")
    assert closed is not None
    return closed


async def purge_at(store: Store, clock: Clock, moment: datetime) -> Purged:
    clock.moment = moment
    return await store.purge(moment)


@pytest.mark.parametrize("closed_at", [timedelta(), timedelta(hours=23, minutes=59)])
async def test_closed_text_is_gone_within_48_hours_and_kept_for_a_night(
    store: Store, clock: Clock, vault: Vault, closed_at: timedelta
) -> None:
    clock.moment = MIDNIGHT + closed_at
    case = await closed_case(store)
    (name,) = vault.day_keys()
    await purge_at(store, clock, MIDNIGHT + timedelta(hours=46, minutes=59))
    assert len(await store.messages(case.id)) == 2
    purged = await purge_at(store, clock, MIDNIGHT + timedelta(hours=47, minutes=30))
    assert (purged.texts, purged.keys) == (1, 1)
    assert await store.messages(case.id) == []
    assert name not in vault.day_keys()
    kept = await store.case(case.id)
    assert kept is not None
    assert (kept.topic, kept.place, kept.held) == (None, None, 0)
    assert await store.closed_case_of("telegram", "1") is None


async def test_an_open_case_stays_readable_while_yesterdays_copy_does_not(
    store: Store, clock: Clock, vault: Vault
) -> None:
    case = await store.open_case("telegram", "1", "bg", None, None, "река")
    await store.add_from_woman(case.id, "думи", "k")
    async with store._database.read() as connection:
        copy = await connection.exec_driver_sql("SELECT wrapped_key, day_key FROM cases")
        wrapped, name = tuple(copy.one())
    await purge_at(store, clock, MIDNIGHT + timedelta(days=1, minutes=1))
    assert vault.day_keys() == ["2026-11-23"]
    with pytest.raises(KeyDestroyed):
        vault.unwrap(wrapped, name, case.id)
    assert [m.text for m in await store.messages(case.id)] == ["думи"]


async def test_a_case_open_for_days_is_closed_under_the_key_of_its_last_day(
    store: Store, clock: Clock, vault: Vault
) -> None:
    case = await store.open_case("telegram", "1", "bg", None, None, "река")
    await store.add_from_woman(case.id, "думи", "k")
    clock.moment = MIDNIGHT + timedelta(days=3)
    await store.close_case(case.id, None, "bye")
    await store.purge(clock())
    assert vault.day_keys() == ["2026-11-25"]
    assert len(await store.messages(case.id)) == 1
    await purge_at(store, clock, MIDNIGHT + timedelta(days=5))
    assert await store.messages(case.id) == []


async def test_after_a_week_nothing_says_that_this_address_had_a_case(
    store: Store, clock: Clock
) -> None:
    case = await closed_case(store)
    await store.audit(None, "closed", case.id)
    await purge_at(store, clock, MIDNIGHT + timedelta(days=6, hours=22))
    assert await store.address_of(case.id) == ("telegram", "1")
    assert (await purge_at(store, clock, MIDNIGHT + timedelta(days=7))).cases == 1
    assert await store.case(case.id) is None
    assert [entry.case_id for entry in await store.audits(9)] == [None]


async def test_the_other_clocks(store: Store, clock: Clock) -> None:
    case = await store.open_case("telegram", "1", "bg", None, None, "река")
    await store.add_handles(case.id, ["11"])
    soon = MIDNIGHT + timedelta(hours=2)
    invited = await store.add_staff("ana", "", [Role.STAFF], b"1", soon)
    active = await store.add_staff("eva", "", [Role.STAFF], b"2", soon)
    await store.accept_invite(active.id, "hash", "secret")
    await store.add_session(b"s", active.id, soon)
    await store.login_failed("f", "", MIDNIGHT, 5, 300)
    await store.audit(active.id, "login")
    assert await store.purge(MIDNIGHT) == Purged()
    gone = await store.add_staff("ida", "", [Role.STAFF], b"3", soon)
    await store.remove_staff(gone.id)
    purged = await purge_at(store, clock, soon)
    assert (purged.sessions, purged.invites) == (1, 1)
    assert purged.failed_logins == 1
    assert await store.staff(invited.id) is None
    assert (await purge_at(store, clock, MIDNIGHT + timedelta(days=2))).handles == 1
    kept = await purge_at(store, clock, MIDNIGHT + timedelta(days=89))
    assert (kept.audits, kept.former_logins) == (0, 0)
    purged = await purge_at(store, clock, MIDNIGHT + timedelta(days=90))
    assert (purged.audits, purged.former_logins) == (1, 1)
    assert await store.staff(active.id) is not None


async def consultant(store: Store) -> str:
    invited = await store.add_staff("maria", "", [Role.CONSULTANT], b"i", store._now() + SOON)
    assert await store.accept_invite(invited.id, "hash", "secret")
    return invited.id


async def test_a_case_that_was_opened_again_lives_under_the_days_of_an_open_one(
    store: Store, clock: Clock, vault: Vault
) -> None:
    maria = await consultant(store)
    case = await store.open_case("telegram", "1", "bg", "violence.title", None, "река")
    await store.claim(case.id, maria)
    await store.add_from_woman(case.id, "думи", "k")
    await store.close_case(case.id, None, "bye", maria)
    async with store._database.read() as connection:
        copy = await connection.exec_driver_sql("SELECT wrapped_key, day_key FROM cases")
        wrapped, name = tuple(copy.one())
    clock.moment = MIDNIGHT + timedelta(days=1, hours=20)
    await store.reopen(case.id, maria)
    await store.purge(clock())
    assert vault.day_keys() == ["2026-11-23"], "under the key of today, at the next purge"
    with pytest.raises(KeyDestroyed):
        vault.unwrap(wrapped, name, case.id)
    for days in range(2, 9):
        await purge_at(store, clock, MIDNIGHT + timedelta(days=days))
        assert [m.text for m in await store.messages(case.id)] == ["думи"]
    await store.close_case(case.id, None, "bye", maria)
    assert (await purge_at(store, clock, MIDNIGHT + timedelta(days=9))).texts == 0
    assert (await purge_at(store, clock, MIDNIGHT + timedelta(days=10))).texts == 1
    assert await store.messages(case.id) == []
    with pytest.raises(TextGone):
        await store.reopen(case.id, maria)
    assert (await purge_at(store, clock, MIDNIGHT + timedelta(days=14))).cases == 0
    assert (await purge_at(store, clock, MIDNIGHT + timedelta(days=15))).cases == 1


async def test_opened_again_just_before_its_text_goes_it_stays(store: Store, clock: Clock) -> None:
    maria = await consultant(store)
    case = await store.open_case("telegram", "1", "bg", None, None, "река")
    await store.claim(case.id, maria)
    await store.add_from_woman(case.id, "думи", "k")
    await store.close_case(case.id, None, "bye", maria)
    clock.moment = MIDNIGHT + timedelta(days=2)
    await store.reopen(case.id, maria)
    assert (await store.purge(clock())).texts == 0
    assert len(await store.messages(case.id)) == 1


async def test_a_block_goes_when_its_time_is_over_and_not_before(
    store: Store, clock: Clock
) -> None:
    case = await store.open_case("telegram", "1", "bg", None, None, "река")
    await store.block(case.id, MIDNIGHT + timedelta(days=7))
    await store.close_case(case.id, None, "bye")
    assert (await purge_at(store, clock, MIDNIGHT + timedelta(days=6, hours=23))).blocks == 0
    assert (await purge_at(store, clock, MIDNIGHT + timedelta(days=7))).blocks == 1
    assert (await store.counts())["blocks"] == 0


async def test_a_case_whose_key_is_lost_lets_its_woman_open_another(
    store: Store, vault: Vault
) -> None:
    lost = await store.open_case("telegram", "1", "bg", "t", None, "река")
    await store.add_notice(lost.id, "чакай", "n")
    vault.destroy_day(MIDNIGHT.date())
    assert await store.close_unreadable() == 1
    assert await store.case_of("telegram", "1") is None
    assert await store.messages(lost.id) == []
    assert await store.due(MIDNIGHT) == []
    again = await store.open_case("telegram", "1", "bg", None, None, "море")
    assert again.id != lost.id


def test_days_are_those_of_utc() -> None:
    sofia = datetime.fromisoformat("2026-11-24T00:30:00+02:00")
    assert Cutoffs.at(sofia).last_day == date(2026, 11, 21)
    assert whole_hour(sofia).isoformat() == "2026-11-24T00:00:00+02:00"
