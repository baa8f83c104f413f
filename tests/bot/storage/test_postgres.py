"""What only PostgreSQL can do to the store: other processes, its own log, going away."""

from __future__ import annotations

import asyncio
import re
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import func, select, text
from sqlalchemy.exc import DBAPIError

from bot import cli
from bot.privacy.vault import Vault
from bot.storage import engine
from bot.storage.engine import Database, connect, leaks
from bot.storage.migrate import migrate
from bot.storage.records import CaseMessage, DatabaseUnreachable, Role, ServerLogsText
from bot.storage.store import Store
from tests import postgres as throw_away
from tests.bot.storage.conftest import NOON, Clock, everything, rows
from tests.postgres import PASSWORD, Server, over_tcp

WORDS = "Той идва насам"
ADDRESS = "woman-4711"
SETTINGS = Path("docs/postgresql.md")


@pytest.fixture
def address(postgres: Callable[[], str]) -> str:
    return postgres()


@asynccontextmanager
async def opened(url: str, vault: Vault, clock: Clock) -> AsyncIterator[Store]:
    store = await Store.open(url, vault, clock)
    try:
        yield store
    finally:
        await store.close()


@asynccontextmanager
async def bare(url: str) -> AsyncIterator[Database]:
    database = Database(connect(url))
    try:
        yield database
    finally:
        await database.close()


def set_for(server: Server, url: str, setting: str) -> None:
    """As the centre's administrator would, for this database only."""
    name = url.split("?")[0].rsplit("/", 1)[1]
    server.administer(f"ALTER DATABASE {name} SET {setting}")


# --- several processes ---------------------------------------------------------------------------


async def test_two_processes_write_to_one_case_and_every_number_is_there_once(
    address: str, vault: Vault, clock: Clock
) -> None:
    async with opened(address, vault, clock) as one, opened(address, vault, clock) as two:
        both = [
            each.open_case("web", ADDRESS, "bg", None, None, "тиха река")
            for _ in range(3)
            for each in (one, two)
        ]
        (case,) = {case.id for case in await asyncio.gather(*both)}
        said = await asyncio.gather(
            *(each.add_from_woman(case, WORDS, str(n)) for n in range(15) for each in (one, two))
        )
        kept = [message for message in said if isinstance(message, CaseMessage)]
        assert sorted(message.number for message in kept) == list(range(1, 16))


async def test_a_writer_waits_for_the_writer_of_another_process_and_a_reader_does_not(
    address: str,
) -> None:
    async with bare(address) as one, bare(address) as two:
        written = asyncio.Event()

        async def second() -> None:
            async with two.write():
                written.set()

        async with one.write() as connection:
            await connection.execute(text("DELETE FROM switches"))
            waiting = asyncio.create_task(second())
            async with asyncio.timeout(30), two.read() as reading:
                count = text("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'")
                while (await reading.execute(count)).scalar_one() < 2:
                    await asyncio.sleep(0.01)
            assert not written.is_set()
        await asyncio.wait_for(waiting, 30)
        assert written.is_set()


async def test_a_reader_sees_one_snapshot_and_can_change_nothing(address: str) -> None:
    count = text("SELECT count(*) FROM switches")
    new = text("INSERT INTO switches (name, at) VALUES ('stopped', now())")
    async with bare(address) as one, bare(address) as two:
        async with one.read() as reading:
            assert (await reading.execute(count)).scalar_one() == 0
            async with two.write() as writing:
                await writing.execute(new)
            assert (await reading.execute(count)).scalar_one() == 0
        async with one.read() as reading:
            assert (await reading.execute(count)).scalar_one() == 1
            with pytest.raises(DBAPIError, match="read-only"):
                await reading.execute(text("DELETE FROM switches"))


async def test_a_process_that_hangs_while_it_writes_is_cut_off_and_the_others_go_on(
    address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(engine._SESSION, "idle_in_transaction_session_timeout", "1s")
    async with bare(address) as hanging:
        monkeypatch.undo()

        async def hang() -> None:
            async with hanging.write() as connection:
                await connection.execute(text("DELETE FROM switches"))
                async with bare(address) as other, other.write() as second:
                    assert (await second.execute(text("SELECT 1"))).scalar_one() == 1
                await connection.execute(text("SELECT 1"))

        with pytest.raises(DBAPIError):
            await hang()
        async with hanging.write() as connection:
            assert (await connection.execute(text("SELECT 1"))).scalar_one() == 1


async def test_who_waits_too_long_for_the_other_writer_is_told_and_nothing_is_kept(
    address: str, vault: Vault, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(engine._SESSION, "lock_timeout", "100ms")
    async with opened(address, vault, clock) as store, bare(address) as other:
        async with other.write():
            with pytest.raises(DBAPIError) as refused:
                await store.open_case("web", ADDRESS, "bg", None, None, "тиха река")
            assert ADDRESS not in str(refused.value)
        assert await store.open_case("web", ADDRESS, "bg", None, None, "тиха река")


async def test_of_several_processes_that_start_at_once_one_migrates(
    postgres_server: Server,
) -> None:
    url = throw_away.empty(postgres_server.url)
    was_new = await asyncio.gather(*(asyncio.to_thread(migrate, url) for _ in range(3)))
    assert sorted(was_new) == [False, False, True]
    throw_away.drop(url)


# --- away, and back ------------------------------------------------------------------------------


async def test_postgresql_goes_away_and_comes_back_nothing_committed_is_lost(
    vault: Vault, clock: Clock
) -> None:
    with throw_away.server() as server:
        url = throw_away.fresh(server.url)
        async with opened(url, vault, clock) as store:
            case = await store.open_case("web", ADDRESS, "bg", None, None, "тиха река")
            kept = [await store.add_from_woman(case.id, WORDS, str(n)) for n in range(5)]
            await asyncio.to_thread(server.stop)
            for key in ("away", "still away"):
                with pytest.raises((DBAPIError, OSError)):
                    await store.add_from_woman(case.id, WORDS, key)
            assert not await store.answers()
            await asyncio.to_thread(server.start)
            assert await store.answers()
            assert await store.messages(case.id) == kept
            assert await store.add_from_woman(case.id, WORDS, "4") is None, "it is known"
            again = await store.add_from_woman(case.id, WORDS, "away")
            assert again is not None
            assert again.number == 6
            await asyncio.to_thread(server.stop)
        # and closing a store whose server is gone is no error


async def test_a_connection_that_the_server_ended_is_not_used_again(
    address: str, postgres_server: Server
) -> None:
    async with bare(address) as database:
        async with database.read() as connection:
            mine = (await connection.execute(text("SELECT pg_backend_pid()"))).scalar_one()
        raw = await database._engine.raw_connection()
        driver = raw.driver_connection
        raw.close()
        assert driver is not None
        postgres_server.administer(f"SELECT pg_terminate_backend({mine})")
        async with asyncio.timeout(30):
            while not driver.is_closed():
                await asyncio.sleep(0.01)
        async with database.write() as connection:
            assert (await connection.execute(text("SELECT 1"))).scalar_one() == 1


@pytest.mark.parametrize("wrong", ["password", "database", "port", "folder", "name"])
async def test_a_database_that_cannot_be_reached_is_one_sentence_without_the_password(
    wrong: str, address: str, vault: Vault, clock: Clock
) -> None:
    url = over_tcp(address)
    url = {
        "password": url.replace(PASSWORD, "secret-4711"),
        "database": url + "x",
        "port": re.sub(r":\d+/", ":1/", url),
        "folder": "postgresql://phen@/phen?host=/nowhere",
        "name": url.replace("127.0.0.1", "nowhere.invalid"),
    }[wrong]
    with pytest.raises(DatabaseUnreachable, match="check PHEN_DATABASE_URL") as refused:
        await Store.open(url, vault, clock)
    assert not re.search(f"{PASSWORD}|4711|nowhere", str(refused.value))
    assert refused.value.__cause__ is None
    with pytest.raises(DatabaseUnreachable):
        migrate(url)


def test_the_command_says_so_and_ends_with_an_error(
    address: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PHEN_DATABASE_URL", over_tcp(address, "secret-4711"))
    monkeypatch.setattr(sys, "argv", ["phen", "migrate"])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    said = capsys.readouterr()
    assert ended.value.code == 1
    assert "PHEN_DATABASE_URL" in said.err
    assert len(said.err.splitlines()) == 1
    assert "4711" not in said.err + said.out


# --- its log -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "setting",
    [
        "log_statement = mod",
        "log_duration = on",
        "log_min_duration_statement = 0",
        "log_min_duration_sample = 100",
        "log_transaction_sample_rate = 0.5",
        "log_error_verbosity = 'default'",
        "log_min_messages = debug2",
        "log_executor_stats = on",
        "auto_explain.log_min_duration = 0",
        "pgaudit.log = 'write'",
    ],
)
async def test_a_server_that_would_write_it_into_its_log_is_refused_by_name(
    setting: str, address: str, vault: Vault, clock: Clock, postgres_server: Server
) -> None:
    set_for(postgres_server, address, setting)
    name = setting.split(" ")[0]
    with pytest.raises(ServerLogsText, match=rf"docs/postgresql\.md.*: {re.escape(name)}\.$"):
        await Store.open(address, vault, clock)


async def test_every_setting_that_is_asked_for_is_in_the_document() -> None:
    document = SETTINGS.read_text("utf-8")
    assert [name for name in (*engine._QUIET, *engine._SESSION) if name not in document] == []


async def test_what_the_role_may_switch_off_itself_is_off(
    address: str, vault: Vault, clock: Clock, postgres_server: Server
) -> None:
    set_for(postgres_server, address, "log_parameter_max_length_on_error = -1")
    set_for(postgres_server, address, "debug_print_plan = on")
    async with opened(address, vault, clock) as store:
        async with store._database.read() as connection:
            assert await leaks(connection) == []
            for name in ("log_parameter_max_length_on_error", "debug_print_plan"):
                ((value,),) = await connection.execute(select(func.current_setting(name)))
                assert value == engine._SESSION[name]
        case = await store.open_case("web", ADDRESS, "bg", WORDS, WORDS, "тиха река")
        await store.add_from_woman(case.id, WORDS, "k")
        await store.add_staff("maria-4711", "", [Role.STAFF], b"1", NOON + timedelta(days=1))
        with pytest.raises(DBAPIError):
            await rows(store, "SELECT 1 / (length(:words) - 14)", words=WORDS)
        with pytest.raises(DBAPIError):
            await rows(store, "UPDATE staff SET id = NULL")
        with pytest.raises(DBAPIError):
            await rows(store, "INSERT INTO cases SELECT * FROM cases")
        index = store._index("web", ADDRESS).hex()
    log = postgres_server.log
    assert "SELECT 1 / (length(" in log, "errors are in it, with their statements"
    assert "cases" in log
    found = [each for each in (WORDS, ADDRESS, "maria-4711", index, case.id) if each in log]
    assert found == []


async def test_no_row_holds_a_plain_word_of_hers(address: str, vault: Vault, clock: Clock) -> None:
    async with opened(address, vault, clock) as store:
        case = await store.open_case("web", ADDRESS, "bg", "violence.title", "rse27", "река")
        await store.add_from_woman(case.id, WORDS, "update-998877", handle="handle-4711")
        await store.add_notice(case.id, WORDS, "cause")
        kept = b"\0".join(
            value if isinstance(value, bytes) else str(value).encode()
            for row in await everything(store)
            for value in row
        )
    assert "река".encode() in kept, "the search finds what is not sealed"
    marks = (WORDS, ADDRESS, "violence.title", "rse27", "handle-4711", "update-998877")
    assert [mark for mark in marks if mark.encode() in kept] == []
