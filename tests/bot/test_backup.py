"""A backup holds no woman, and brings the centre back on another machine."""

from __future__ import annotations

import asyncio
import base64
import json
import os
import resource
import secrets
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from typing import Any

import pyotp
import pytest
from sqlalchemy import LargeBinary, String, select

from bot import backup
from bot.app import utc_now
from bot.backup import Cost, NotABackup, NotOpened
from bot.desk.accounts import Accounts, unspent_code
from bot.privacy.vault import Vault
from bot.storage.backup import KEPT, LEFT_OUT, Kept, NewerBackup
from bot.storage.engine import connect, writing
from bot.storage.migrate import migrate
from bot.storage.records import (
    BellAddress,
    Medium,
    MediumKind,
    Prepared,
    Role,
    StaffMember,
    Topic,
    TopicLine,
)  # fmt: skip
from bot.storage.store import Store
from bot.storage.tables import UtcTime, metadata
from scheduler.duty import Hours, Shift, Weekly
from scheduler.model import Reception
from tests.bot.desk import PASSWORD, QUICK, a_centre
from tests.bot.test_cli import QuickKeyboard, Said
from tests.bot.web.test_desk_web import browser

ROOT = Path(__file__).parents[2]
PASSPHRASE = "пет зелени кончета на Марийкиния двор"
WOMEN = [f"73019995{n:03}" for n in range(3)]
WORDS = "Zlatnata-duma-na-Ayshe той ме удари"
ANSWER = "Тук съм, кажи ми повече"
HANDLES = ["4711000815", "4711000816"]
PHOTO = b"\xff\xd8\xff" + b"her photo, as it was sent" * 9
BELL, GROUP = "55577001234", -1001998877665544
RECEPTION = datetime(2031, 12, 1, 8, 0, tzinfo=UTC)


@dataclass
class Place:
    """A machine: its data folder with keys of its own, and its database."""

    folder: Path
    url: str

    @classmethod
    def new(cls, folder: Path, url: str | None) -> Place:
        folder.mkdir()
        place = cls(folder, url or f"sqlite:///{folder}/phen.db")
        if url is None:
            migrate(place.url)
        Vault.open(place.key_file, create=True)
        (folder / "passphrase").write_text(f"{PASSPHRASE}\n", "utf-8")
        (folder / "passphrase").chmod(0o400)
        return place

    @property
    def key_file(self) -> Path:
        return self.folder / "keys" / "master.key"

    @property
    def vault(self) -> Vault:
        return Vault.open(self.key_file)

    async def open(self, now: Callable[[], datetime] = utc_now) -> Store:
        return await Store.open(self.url, self.vault, now)

    def phen(self, *words: str, asked: bool = False) -> Said:
        """A command on this machine; the passphrase is in a file, unless it is to be asked for."""
        file = () if asked else ("--passphrase-file", str(self.folder / "passphrase"))
        settings = {"PHEN_DATA_DIR": str(self.folder), "PHEN_DATABASE_URL": self.url}
        return QuickKeyboard(self.folder).types(*words, *file, **settings)

    async def rows(self) -> int:
        """How many rows it has in all."""
        store = await self.open()
        try:
            return sum((await store.counts()).values())
        finally:
            await store.close()


@pytest.fixture
def sqlite(tmp_path: Path) -> Place:
    return Place.new(tmp_path / "old", None)


@pytest.fixture(params=["sqlite", "postgres", "sqlite to postgres", "postgres to sqlite"])
def machines(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[Place, Place]:
    """The one that is lost, and the one after it."""
    kinds = [part.strip() for part in request.param.split(" to ")]

    def database(kind: str) -> str | None:
        return request.getfixturevalue("postgres")() if kind == "postgres" else None

    return (
        Place.new(tmp_path / "old", database(kinds[0])),
        Place.new(tmp_path / "new", database(kinds[-1])),
    )


# --- a line as it is on an ordinary day --------------------------------------------------------


@dataclass
class Clock:
    """Counts on by odd steps: no two moments are the same."""

    moment: datetime

    def __call__(self) -> datetime:
        self.moment += timedelta(seconds=61, microseconds=7919)
        return self.moment


async def hire(store: Store, vault: Vault, login: str, *roles: Role) -> StaffMember:
    """Somebody comes in as everybody does: by an invitation, a password and a code."""
    accounts = Accounts(store, vault, utc_now, QUICK)
    token = await accounts.invite(login, roles, "Мария", ["bg", "tr"])
    enrolment = await accounts.accept(token, PASSWORD)
    session = await accounts.confirm(token, enrolment.sealed, pyotp.TOTP(enrolment.secret).now())
    await accounts.logout(session)  # it is of the same second as the account: `fill_the_rest`
    member = await store.staff_by_login(login)
    assert member is not None
    return member


async def the_centre(store: Store, vault: Vault) -> StaffMember:
    """Staff, duties, receptions, answers, and what else the centre has set."""
    maria = await hire(store, vault, "maria", Role.CONSULTANT, Role.ADMIN)
    await store.offer_bell(maria.id, b"code", utc_now() + timedelta(days=1))
    assert await store.link_bell(b"code", BELL)
    await store.set_weekly(maria.id, [Weekly(maria.id, 0, Hours(time(9), time(17)))])
    await store.set_day(maria.id, date(2031, 12, 2), [])
    shift = Shift(maria.id, RECEPTION, RECEPTION + timedelta(hours=8))
    await store.set_shifts(maria.id, [shift])
    end = RECEPTION + timedelta(hours=4)
    await store.save_receptions(
        [Reception("r1", "rse05", "Ветово\u2028читалището", RECEPTION, end)]
    )
    await store.save_prepared(Prepared("", "tr", "selam", "Merhaba, buradayım."))
    await store.group_moved(GROUP, GROUP - 1)
    await store.set_stopped(True)
    await store.audit(maria.id, "line.stopped")
    return maria


async def the_women(place: Place, maria: StaffMember) -> None:
    """An open case with all that hangs on it, a closed one, and one that was deleted."""
    store = await place.open(Clock(utc_now() - timedelta(hours=7)))
    for note in await store.group_notes():  # of the same second as the account: `fill_the_rest`
        await store.group_note_done(note)
    photo = Medium(MediumKind.PHOTO, PHOTO)
    for n, (address, alias) in enumerate(zip(WOMEN, ("тиха река", "жълта дюля", "синя слива"),
                                             strict=True)):  # fmt: skip
        case = await store.open_case("telegram", address, "tr", "violence.title", "rse27", alias)
        await store.add_from_woman(case.id, f"{WORDS} {n}", f"d{n}", medium=photo)
        assert await store.claim(case.id, maria.id)
        await store.audit(maria.id, "case.claimed", case.id)
        await store.add_reply(case.id, maria.id, f"{ANSWER} {n}", f"k{n}")
        await store.add_handles(case.id, HANDLES)
        await store.add_topic(Topic(case.id, GROUP, 90210000 + n, True))
        line = TopicLine("entry-of-hers", 0, 80310000 + n, None, b"shown in the topic")
        await store.save_line(case.id, line)
        await store.block(case.id, None)
        if n == 2:
            assert await store.close_case(case.id, "Благодаря ти.", "close", maria.id)
    await store.forget("telegram", WOMEN[0], patience=0)
    await store.audit(None, "refused.stranger", case.id)
    await store.close()
    await fill_the_rest(place)


async def fill_the_rest(place: Place) -> None:
    """A row of random values in every table that is to be left out and has none yet."""
    engine = connect(place.url)
    async with writing(engine).begin() as connection:
        case_id = (
            (await connection.execute(select(metadata.tables["cases"].c.id))).scalars().first()
        )
        for table in metadata.sorted_tables:
            has_one = (await connection.execute(select(table).limit(1))).first()
            if table.name in LEFT_OUT and not has_one:
                row = {column.name: random_value(column) for column in table.columns}
                row |= {"case_id": case_id} if "case_id" in row else {}
                for column in table.columns:
                    if column.foreign_keys and not column.nullable and row[column.name] is None:
                        (key,) = column.foreign_keys
                        known = await connection.execute(select(key.column).limit(1))
                        row[column.name] = known.scalar_one()
                await connection.execute(table.insert().values(**row))
    await engine.dispose()


def random_value(column: Any) -> Any:
    if column.foreign_keys:
        return None
    if isinstance(column.type, LargeBinary):
        return secrets.token_bytes(40)
    if isinstance(column.type, String):
        return secrets.token_hex((column.type.length or 32) // 2)[:32]
    if isinstance(column.type, UtcTime):
        long_ago = timedelta(days=2)  # no second of these is one in which the test runs
        return utc_now() - long_ago - timedelta(seconds=secrets.randbelow(80_000), microseconds=7)
    return 1 if column.type.python_type is not bool else True


# --- no woman ----------------------------------------------------------------------------------


async def hers(place: Place) -> dict[str, list[Any]]:
    """All that stands in what is left out, by table or column."""
    engine, found = connect(place.url), {}
    async with engine.connect() as connection:
        for name in sorted(LEFT_OUT):
            table, _, column = name.partition(".")
            what = metadata.tables[table]
            query = select(what.c[column]) if column else select(what)
            rows = (await connection.execute(query)).all()
            found[name] = [value for row in rows for value in row if value is not None]
    await engine.dispose()
    return found


def traces(value: Any) -> Iterator[bytes]:
    """How a value would look in a file: raw, hexadecimal, in base64, as JSON.

    Not what is so short that it may stand among what is random by chance.
    """
    return (each for each in looks(value) if len(each) >= 6)


def looks(value: Any) -> Iterator[bytes]:
    if isinstance(value, datetime) and value.minute:  # a whole hour is anybody's
        for form in ("%Y-%m-%dT%H:%M:%S", "%Y-%m-%d %H:%M:%S"):
            yield value.strftime(form).encode()
        return
    if isinstance(value, int) and abs(value) > 999_999:
        value = str(value)
    if not isinstance(value, bytes | str) or len(value) < 6:
        return
    if isinstance(value, str):
        yield json.dumps(value).strip('"').encode()
        value = value.encode()
    yield value
    yield value.hex().encode()
    for shift in range(3):  # where it would stand within a longer text
        body = base64.b64encode(bytes(shift) + value)
        yield body[-(-shift * 8 // 6) : -4]


@pytest.mark.parametrize("machines", ["sqlite", "postgres"], indirect=True)
async def test_a_backup_holds_no_woman_searched_byte_by_byte(
    machines: tuple[Place, Place],
) -> None:
    place, _ = machines
    store = await place.open()
    maria = await the_centre(store, place.vault)
    await the_women(place, maria)
    done = await asyncio.to_thread(place.phen, "backup", "line.backup")
    assert done.status == 0, done
    assert "accounts: 1, receptions: 1, prepared answers: 1" in done.out
    data = (place.folder / "line.backup").read_bytes()
    plain = backup.decrypt(data, PASSPHRASE).encode()
    left_out = await hers(place)
    empty = {"staff.invite_hash", "staff.invite_expires_at", "staff.bell_code_hash",
             "staff.bell_code_expires_at"}  # fmt: skip
    assert {name for name, values in left_out.items() if not values} == empty
    left_out["said"] = [*WOMEN, WORDS, ANSWER, *HANDLES, PHOTO, "violence.title", "entry-of-hers"]
    left_out["keys"] = [
        base64.b64decode(place.key_file.read_bytes()),
        *(file.read_bytes() for file in (place.folder / "keys" / "days").iterdir()),
    ]
    searched = 0
    for name, values in left_out.items():
        for value in values:
            if value in (maria.id, GROUP, "consultant"):  # the centre's own
                continue
            for trace in traces(value):
                searched += 1
                assert trace not in plain, name
                assert trace not in data, name
    assert searched > 300
    assert maria.id.encode() in plain
    assert b"case" not in plain
    assert b"forgotten" not in plain
    assert PASSPHRASE.encode() not in data
    await store.close()


def test_the_size_of_a_backup_says_little() -> None:
    def size(rows: int) -> int:
        row = {"id": secrets.token_hex(16), "text": secrets.token_hex(16)}
        return len(backup.seal(Kept("0004", utc_now(), {"prepared": [row] * rows}), PASSPHRASE))

    assert size(0) == size(1) == size(200)


# --- the drill ---------------------------------------------------------------------------------


async def test_the_line_comes_back_on_a_new_machine_without_its_women(
    machines: tuple[Place, Place],
) -> None:
    old, new = machines
    store = await old.open()
    maria = await the_centre(store, old.vault)
    await the_women(old, maria)
    elena = await hire(store, old.vault, "elena", Role.STAFF)
    told = await asyncio.gather(
        store.duty(), store.receptions(), store.prepared(), store.waits(), store.staff(maria.id)
    )
    on_the_way = asyncio.Event()
    writers = asyncio.create_task(go_on(store, maria, on_the_way))
    await on_the_way.wait()
    done = await asyncio.to_thread(old.phen, "backup", "line.backup")
    writers.cancel()
    await asyncio.gather(writers, return_exceptions=True)
    assert writers.cancelled(), "they wrote until the end"
    await store.close()
    assert done.status == 0, done

    said = await asyncio.to_thread(new.phen, "restore", str(old.folder / "line.backup"))
    assert said.status == 0, said
    assert "Open cases and reminders" in said.out
    assert "The line is stopped" in said.out
    assert new.key_file.read_bytes() != old.key_file.read_bytes()
    store = await new.open()
    accounts = Accounts(store, new.vault, utc_now, QUICK)
    for login in (maria.login, elena.login):
        found = await store.credentials(login)
        assert found is not None
        code = unspent_code(found, utc_now())
        assert await accounts.session(await accounts.login(login, PASSWORD, code))
    assert await store.bells() == [BellAddress(maria.id, BELL)]
    assert await store.staff_by_bell(BELL) == told[4]
    duty, receptions, prepared, waits, _ = told
    assert {*duty.weekly} <= {*(await store.duty()).weekly}
    assert (await store.duty()).days == duty.days
    assert (await store.duty()).shifts == duty.shifts
    assert {*receptions} <= {*await store.receptions()}
    assert await store.prepared() == prepared
    assert await store.stopped()
    assert await store.newest_group(GROUP) == GROUP - 1
    restored = {of.month: of for of in await store.waits()}
    assert all(of.month in restored for of in waits)
    actions = [entry.action for entry in await store.audits(1000)]
    assert "restored" in actions
    assert "line.stopped" in actions
    counts = await store.counts()
    sessions = {"sessions": 2}  # of those who have just logged in
    assert {name: counts[name] for name in counts if counts[name] and name in LEFT_OUT} == sessions
    await store.close()


async def go_on(store: Store, maria: StaffMember, on_the_way: asyncio.Event) -> None:
    """Women and staff go on, all the while."""
    expires = utc_now() + timedelta(days=1)
    for n in range(100_000):
        case = await store.open_case("web", f"w{n}", "bg", None, None, f"alias{n}")
        await store.add_from_woman(case.id, WORDS, f"w{n}")
        new = await store.add_staff(f"new{n}", "", [Role.CONSULTANT], b"%d" % n, expires)
        await store.set_weekly(new.id, [Weekly(new.id, 1, Hours(time(9), time(10)))])
        if n == 2:
            on_the_way.set()


async def test_staff_read_for_a_week_that_open_cases_are_gone(tmp_path: Path) -> None:
    async with a_centre(tmp_path) as centre:
        await centre.store.restore(Kept("0004", centre.clock(), {}))
        session = await centre.session_of("ivan", [Role.STAFF])
        async with browser(centre, session) as ivan:
            await ivan.get("/staff")
            assert "възстановена от резервно копие" in ivan.text
            centre.clock.at += timedelta(days=7)
        session = await centre.session_of("elena", [Role.STAFF])
        async with browser(centre, session) as elena:
            await elena.get("/staff")
            assert "Нова приемна" in elena.text
            assert "резервно копие" not in elena.text


# --- what is refused ---------------------------------------------------------------------------


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """A key that is made quickly, for who needs a hundred of them."""
    monkeypatch.setattr(backup, "COST", Cost(1, 6, 1))


def some_backup() -> bytes:
    return backup.seal(
        Kept("0004", utc_now(), {"switches": [{"name": "x", "at": None}]}), PASSPHRASE
    )


@pytest.mark.usefixtures("quick")
def test_one_changed_byte_anywhere_is_told_in_one_sentence() -> None:
    data = some_backup()
    header = range(backup._HEADER.size)
    for at in (*header, *range(0, len(data), len(data) // 50), len(data) - 1):
        for flip in (0x01, 0xFF):
            changed = bytearray(data)
            changed[at] ^= flip
            with pytest.raises((NotOpened, NotABackup, NewerBackup)) as refusal:
                backup.unseal(bytes(changed), PASSPHRASE)
            assert len(str(refusal.value).splitlines()) == 1
            in_clear = at <= len(backup.MAGIC)
            assert in_clear or "Wrong passphrase, or the file was changed" in str(refusal.value)


@pytest.mark.usefixtures("quick")
def test_a_file_that_was_cut_off_or_has_more_in_it_is_refused() -> None:
    data = some_backup()
    for length in range(0, len(data), len(data) // 50):
        with pytest.raises((NotOpened, NotABackup)):
            backup.unseal(data[:length], PASSPHRASE)
    with pytest.raises(NotOpened):
        backup.unseal(data + b"\0", PASSPHRASE)


@pytest.mark.usefixtures("quick")
def test_the_passphrase_is_the_same_however_a_keyboard_composes_its_letters() -> None:
    composed, apart = "й" * 12, "и\u0306" * 12
    data = backup.seal(Kept("0004", utc_now(), {}), composed)
    assert backup.unseal(data, apart).rows == {}
    for wrong in ("", "и" * 12, composed + " "):
        with pytest.raises(NotOpened):
            backup.unseal(data, wrong)


def refused(said: Said, *words: str) -> None:
    assert said.status == 1, said
    assert len(said.err.splitlines()) == 1, said
    assert said.out == ""
    for word in words:
        assert word in said.err, said


def test_a_backup_that_is_not_right_restores_nothing(sqlite: Place, tmp_path: Path) -> None:
    async def fill() -> None:
        store = await sqlite.open()
        await the_centre(store, sqlite.vault)
        await store.close()

    asyncio.run(fill())
    assert sqlite.phen("backup", "line.backup").status == 0
    data = (sqlite.folder / "line.backup").read_bytes()
    new = Place.new(tmp_path / "new", None)
    broken = new.folder / "broken"
    for content, words in (
        (data[:-1], "Wrong passphrase"),
        (data[: len(data) // 2], "Wrong passphrase"),
        (b"", "not a backup"),
        (b"SQLite format 3\0" + bytes(5000), "not a backup"),
        (data.replace(b"PhenBackup\x01", b"PhenBackup\x02"), "newer version"),
    ):
        broken.write_bytes(content)
        refused(new.phen("restore", str(broken)), words)
    refused(new.phen("restore", "nowhere"), "nowhere", "cannot be read")
    (new.folder / "passphrase").chmod(0o600)
    (new.folder / "passphrase").write_text("another passphrase", "utf-8")
    refused(new.phen("restore", str(sqlite.folder / "line.backup")), "Wrong passphrase")
    assert asyncio.run(new.rows()) == 0
    refused(sqlite.phen("restore", str(sqlite.folder / "line.backup")), "in use", "phen migrate")


def test_an_existing_file_is_never_overwritten(sqlite: Place) -> None:
    (sqlite.folder / "line.backup").write_text("mine")
    refused(sqlite.phen("backup", "line.backup"), "exists already")
    assert (sqlite.folder / "line.backup").read_text() == "mine"


def test_only_its_owner_reads_a_backup(sqlite: Place) -> None:
    before = os.umask(0)
    try:
        assert sqlite.phen("backup", "line.backup").status == 0
    finally:
        os.umask(before)
    assert (sqlite.folder / "line.backup").stat().st_mode & 0o777 == 0o600


@contextmanager
def a_disk_of(size: int) -> Iterator[None]:
    """No file grows beyond this, as on a disk that is nearly full."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_a_full_disk_leaves_no_half_of_a_backup(sqlite: Place) -> None:
    def files() -> set[str]:
        return {file.name for file in sqlite.folder.iterdir() if "phen.db" not in file.name}

    before = files()
    with a_disk_of(backup.SMALLEST // 2):
        refused(sqlite.phen("backup", "line.backup"), "line.backup was not written")
    refused(sqlite.phen("backup", "no/such/folder"), "No such file")
    assert files() == before


# --- the passphrase ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("content", "mode", "words"),
    [
        (PASSPHRASE.encode(), 0o440, "chmod 400"),
        (PASSPHRASE.encode(), 0o404, "chmod 400"),
        (b"\xff\xfe\x00", 0o400, "as text"),
        (b"short\n", 0o400, "twelve"),
        (b"", 0o400, "twelve"),
    ],
)
def test_a_passphrase_file_that_will_not_do(
    content: bytes, mode: int, words: str, sqlite: Place
) -> None:
    file = sqlite.folder / "passphrase"
    file.chmod(0o600)
    file.write_bytes(content)
    file.chmod(mode)
    refused(sqlite.phen("backup", "line.backup"), words)
    assert not (sqlite.folder / "line.backup").exists()


def test_without_a_terminal_nobody_is_asked(sqlite: Place) -> None:
    refused(sqlite.phen("backup", "line.backup", asked=True), "--passphrase-file")
    (sqlite.folder / "passphrase").unlink()
    refused(sqlite.phen("backup", "line.backup"), "passphrase file")


def test_at_a_terminal_the_passphrase_is_asked_for_twice_and_not_shown(sqlite: Place) -> None:
    in_a_terminal = "import pty, sys; sys.exit(pty.spawn(sys.argv[1:]) >> 8)"
    environment = {name: value for name, value in os.environ.items() if "PHEN_" not in name}
    with subprocess.Popen(
        [sys.executable, "-c", in_a_terminal, sys.executable, "-m", "bot", "backup", "line.backup"],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=sqlite.folder, bufsize=0,
        env=environment | {"PHEN_DATA_DIR": str(sqlite.folder), "PYTHONPATH": str(ROOT)},
    ) as terminal:  # fmt: skip
        assert terminal.stdin is not None
        assert terminal.stdout is not None
        shown = b""
        for times in (1, 2):
            while shown.count(b": ") < times:
                read = terminal.stdout.read(1)
                assert read, shown
                shown += read
            terminal.stdin.write(f"{PASSPHRASE}\n".encode())
        shown += terminal.stdout.read()
        assert terminal.wait() == 0, shown
    assert PASSPHRASE.encode() not in shown
    data = (sqlite.folder / "line.backup").read_bytes()
    assert set(backup.unseal(data, PASSPHRASE).rows) <= set(KEPT)
