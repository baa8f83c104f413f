"""What `/metrics` says: operations only, by names of ours, in Prometheus's text format."""

from __future__ import annotations

import re
from datetime import timedelta
from pathlib import Path

from bot.aside import AsideKeeper
from bot.metrics import Metrics, Sample, counted, exposition
from bot.privacy.redact import EventLog
from bot.storage.records import MessageState
from tests.bot.desk import a_centre


def told(samples: list[Sample], name: str) -> int:
    (one,) = [each.value for each in samples if each.name == name]
    return one


def test_a_counter_and_a_gauge_have_their_types_and_each_name_stands_once() -> None:
    samples = [
        Sample("sends_total", 2, {"channel": "viber", "verdict": "sent"}),
        Sample("outbox_due", 1),
        Sample("sends_total", 3, {"channel": "telegram", "verdict": "gone"}),
    ]
    assert exposition(samples) == (
        "# TYPE phen_outbox_due gauge\n"
        "phen_outbox_due 1\n"
        "# TYPE phen_sends_total counter\n"
        'phen_sends_total{channel="telegram",verdict="gone"} 3\n'
        'phen_sends_total{channel="viber",verdict="sent"} 2\n'
    )


def test_what_the_log_counts_has_the_name_under_which_it_is_looked_for() -> None:
    events = {
        ("viber", "update_dropped"): 4,
        ("viber", "call_refused"): 5,
        ("telegram", "poll_failed"): 6,
        ("telegram", "sent"): 7,
        ("telegram", "retried"): 8,
        ("bell", "bell_unreached"): 9,
    }
    lines = exposition(counted(events)).splitlines()
    assert [line for line in lines if not line.startswith("#")] == [
        'phen_calls_refused_total{channel="viber"} 5',
        'phen_events_total{part="bell",code="bell_unreached"} 9',
        'phen_polls_failed_total{channel="telegram"} 6',
        'phen_retries_total{channel="telegram"} 8',
        'phen_sends_total{channel="telegram",verdict="sent"} 7',
        'phen_set_aside_total{channel="viber",code="update_dropped"} 4',
    ]


async def test_how_things_stand_is_asked_for_at_each_request(tmp_path: Path) -> None:
    async with a_centre(tmp_path) as centre:
        metrics = Metrics(centre.store, centre.clock, ("desk", "telegram"))
        case = await centre.woman("река")
        await centre.store.add_notice(case.id, "words", "n1")
        await centre.store.add_notice(case.id, "words", "n2")
        centre.clock.passes(seconds=47)
        samples = await metrics()
        assert told(samples, "database_up") == 1
        assert told(samples, "outbox_due") == 2
        assert told(samples, "outbox_oldest_seconds") == 40
        assert told(samples, "undecided") == 0
        assert told(samples, "wal_bytes") > 0
        held = [each.labels["role"] for each in samples if each.name == "role_held" and each.value]
        assert held == ["desk", "telegram"]
        await centre.send_all(MessageState.UNKNOWN)
        samples = await metrics()
        assert told(samples, "undecided") == 1
        assert told(samples, "undecided_oldest_seconds") == 40


async def test_nothing_in_it_is_a_womans(tmp_path: Path) -> None:
    async with a_centre(tmp_path) as centre:
        case = await centre.woman("река", "той ме удари")
        metrics = Metrics(centre.store, centre.clock, ("desk",))
        page = exposition(await metrics())
        names = set(re.findall(r'[a-z_]+="([^"]*)"', page))
        assert not names & {case.id, case.alias, "rse27", "topic.order", "bg"}
        assert all(re.fullmatch(r"[a-z0-9_]+", name) for name in names)
        assert page.isascii()


async def test_while_the_database_is_away_it_says_so_and_the_rest(tmp_path: Path) -> None:
    async with a_centre(tmp_path) as centre:
        metrics = Metrics(centre.store, centre.clock, ("desk",))
        (tmp_path / "phen.db").write_bytes(b"nothing that a database can be read from" * 200)
        EventLog("viber").count("call_refused")
        samples = await metrics()
        assert told(samples, "database_up") == 0
        assert not [each for each in samples if each.name == "outbox_due"]
        assert [each for each in samples if each.name == "calls_refused_total"]


# --- what is set aside -------------------------------------------------------------------------


async def test_what_is_set_aside_is_written_down_once_and_no_strangers_call(tmp_path: Path) -> None:
    async with a_centre(tmp_path) as centre:
        EventLog("telegram").failed("update_dropped")  # before this process's keeper began
        keeper = AsideKeeper(centre.store)
        EventLog("telegram").failed("update_set_aside")
        EventLog("viber").count("update_dropped", 3)
        EventLog("viber").count("call_refused", 3)
        await keeper.tick()
        await keeper.tick()
        aside = await centre.store.aside(centre.clock())
        assert {(each.channel, each.code, each.count) for each in aside} == {
            ("telegram", "update_set_aside", 1),
            ("viber", "update_dropped", 3),
        }


async def test_what_could_not_be_written_down_is_not_forgotten(tmp_path: Path) -> None:
    async with a_centre(tmp_path) as centre:
        keeper = AsideKeeper(centre.store)
        EventLog("telegram").failed("update_set_aside")
        async with centre.store._database.write() as connection:
            await connection.exec_driver_sql("ALTER TABLE set_aside RENAME TO away")
        try:
            await keeper.tick()
        except Exception:
            failed = True
        assert failed
        async with centre.store._database.write() as connection:
            await connection.exec_driver_sql("ALTER TABLE away RENAME TO set_aside")
        centre.clock.at += timedelta(minutes=1)
        await keeper.tick()
        (kept,) = await centre.store.aside(centre.clock())
        assert (kept.channel, kept.code, kept.count) == ("telegram", "update_set_aside", 1)
