"""A throw-away PostgreSQL for tests and benches: `server()` starts one, `fresh(url)` fills it.

It runs as an ordinary user, in a folder of its own, and ends with the last process that uses it,
however that one ends. Its role is an ordinary one, and its texts are sorted by a language's
rules, not by their bytes: a query that relies on the order of bytes fails here.
"""

from __future__ import annotations

import fcntl
import os
import pwd
import secrets
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import make_url

from bot.storage.migrate import migrate
from bot.storage.tables import metadata

ROLE, PASSWORD = "phen", "only-for-tests"
_MIGRATED, _TRIES = "migrated", 5
_SETTINGS = {
    "fsync": "off",  # a process that is killed loses nothing so; only a machine would
    "full_page_writes": "off",
    "wal_level": "minimal",
    "max_wal_senders": "0",
    "checkpoint_timeout": "1h",
    "max_wal_size": "4GB",
    "shared_buffers": "64MB",
    "max_connections": "200",
    "autovacuum": "off",
    "log_error_verbosity": "terse",
    "listen_addresses": "127.0.0.1",
}


@dataclass(frozen=True)
class Server:
    """One PostgreSQL. `url` is its empty database, over the socket, where no password is asked."""

    folder: Path
    port: int

    @property
    def url(self) -> str:
        return f"postgresql://{ROLE}@/postgres?host={self.folder}&port={self.port}"

    @property
    def log(self) -> str:
        """What it wrote into its log so far."""
        return (self.folder / "log").read_text("utf-8")

    def start(self) -> None:
        """Begin to answer; returns when it does."""
        _as_user("pg_ctl", "-D", self.folder / "data", "-l", self.folder / "log", "-w", "start")

    def stop(self, mode: str = "immediate") -> None:
        """Stop it: `immediate` is a crash of the server, `fast` hangs up on everybody first."""
        _as_user("pg_ctl", "-D", self.folder / "data", "-m", mode, "-w", "stop")

    def administer(self, statement: str) -> str:
        """Run one statement as the administrator."""
        return sql(self.url.replace(f"//{ROLE}@", "//postgres@"), statement)


def over_tcp(url: str, password: str = PASSWORD) -> str:
    """The same database over loopback, where the password is asked."""
    parsed = make_url(url)
    port = int(str(parsed.query["port"]))
    moved = parsed.set(host="127.0.0.1", port=port, password=password, query={})
    return moved.render_as_string(hide_password=False)


@contextmanager
def server() -> Iterator[Server]:
    """A server of one's own; gone at the end, and also when this process is killed."""
    folder = _make()
    with _using(folder):
        _watch(folder)
        yield _begin(folder)


@contextmanager
def shared(meeting: Path) -> Iterator[Server]:
    """The one server of all processes that meet in this folder: started by the first of them."""
    with ExitStack() as users:
        with (meeting / "postgres.lock").open("w") as gate:
            fcntl.flock(gate, fcntl.LOCK_EX)
            found = _join(meeting / "postgres", users)
            if found is None:
                folder = _make()
                users.enter_context(_using(folder))
                _watch(folder)
                found = _begin(folder)
                (meeting / "postgres").write_text(f"{found.port} {folder}", "utf-8")
        yield found


def fresh(url: str) -> str:
    """The address of a new database with no rows on that server, at the newest migration."""
    name = f"t{secrets.token_hex(8)}"
    sql(url, f"CREATE DATABASE {name} TEMPLATE {_MIGRATED} STRATEGY file_copy")
    return _beside(url, name)


def empty(url: str) -> str:
    """The address of a new database that was never migrated."""
    name = f"t{secrets.token_hex(8)}"
    sql(url, f"CREATE DATABASE {name}")
    return _beside(url, name)


def drop(url: str) -> None:
    """Remove that database, whoever is connected to it."""
    name = make_url(url).database
    sql(_beside(url, "postgres"), f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")


def wipe(url: str) -> None:
    """Make that database as a fresh one, at a fifth of the price: no rows, nobody connected."""
    rows = [f"DELETE FROM {table.name}" for table in reversed(metadata.sorted_tables)]
    others = "datname = current_database() AND pid <> pg_backend_pid()"
    hung_up = f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE {others}"
    numbers = "SELECT setval(format('%I', sequencename)::regclass, 1, false) FROM pg_sequences"
    sql(url, "; ".join((hung_up, *rows, numbers)))


def sql(url: str, statement: str) -> str:
    """Run statements beside the program; their rows, a line each, columns parted by `|`."""
    told = [_tool("psql"), "-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-d", url]
    done = subprocess.run([*told, "-c", statement], capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(done.stderr)
    return done.stdout.strip()


def _beside(url: str, name: str) -> str:
    return make_url(url).set(database=name).render_as_string(hide_password=False)


# --- starting and ending ---------------------------------------------------------------------


def _make() -> Path:
    folder = Path(tempfile.mkdtemp(prefix="phen-pg-"))
    (folder / "users").touch()
    if os.getuid() == 0:
        shutil.chown(folder, _user())
    sorted_as = ["-E", "UTF8", "--locale=C.UTF-8", "--locale-provider=icu", "--icu-locale=bg"]
    trusted = ["-U", "postgres", "--auth-local=trust", "--auth-host=scram-sha-256"]
    data = folder / "data"
    _as_user("initdb", "-D", data, "--no-sync", "--no-instructions", *sorted_as, *trusted)
    return folder


def _begin(folder: Path) -> Server:
    """Start it on a free port; another program may take that first, so try again."""
    for left in reversed(range(_TRIES)):
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            found = Server(folder, probe.getsockname()[1])
        settings = {**_SETTINGS, "port": str(found.port), "unix_socket_directories": str(folder)}
        lines = "".join(f"{name} = '{value}'\n" for name, value in settings.items())
        (folder / "data" / "postgresql.auto.conf").write_text(lines, "utf-8")
        try:
            found.start()
            break
        except RuntimeError:
            if not left:
                raise
    found.administer(f"CREATE ROLE {ROLE} LOGIN CREATEDB PASSWORD '{PASSWORD}'")
    sql(found.url, f"CREATE DATABASE {_MIGRATED}")
    migrate(_beside(found.url, _MIGRATED))
    return found


def _watch(folder: Path) -> None:
    """End the server as soon as nobody holds the file `users` any more."""
    end = '"$2" -D "$1/data" -m immediate stop; rm -rf "$1"'
    told = f'flock "$1/users" sh -c \'{end}\' sh "$@" >/dev/null 2>&1 &'
    tool = _tool("pg_ctl")
    done = ["setsid", "sh", "-c", told, "sh", str(folder), tool]
    subprocess.run(done, cwd="/", check=True, **_whose())


@contextmanager
def _using(folder: Path) -> Iterator[None]:
    """Raises `BlockingIOError` where the server is just being ended."""
    with (folder / "users").open() as users:
        fcntl.flock(users, fcntl.LOCK_SH | fcntl.LOCK_NB)
        yield


def _join(note: Path, users: ExitStack) -> Server | None:
    """The server that runs already; None where none does, or it is just being ended."""
    try:
        port, _, folder = note.read_text("utf-8").partition(" ")
        users.enter_context(_using(Path(folder)))
    except (FileNotFoundError, BlockingIOError):
        return None
    return Server(Path(folder), int(port))


def _as_user(tool: str, *arguments: object) -> None:
    with tempfile.TemporaryFile() as said:  # no pipe: the server would hold it open
        told = [_tool(tool), *(str(argument) for argument in arguments)]
        done = subprocess.run(told, stdout=said, stderr=said, cwd="/", check=False, **_whose())
        if done.returncode:
            said.seek(0)
            raise RuntimeError(said.read().decode(errors="replace"))


def _whose() -> dict[str, object]:
    """PostgreSQL does not run as root."""
    if os.getuid() != 0:
        return {}
    found = pwd.getpwnam(_user())
    return {"user": found.pw_uid, "group": found.pw_gid, "extra_groups": []}


def _user() -> str:
    try:
        return pwd.getpwnam("postgres").pw_name
    except KeyError:
        return "nobody"


def _tool(name: str) -> str:
    """Not from the path, where Debian keeps slow wrappers."""
    folders = sorted(
        Path("/usr/lib/postgresql").glob("*/bin"), key=lambda each: int(each.parent.name)
    )
    found = next((str(each / name) for each in reversed(folders) if (each / name).exists()), None)
    found = found or shutil.which(name)
    if found is None:
        raise RuntimeError("PostgreSQL is not installed; run: sh deploy/postgres.sh")
    return found
