"""What is measured, in rounds: every contestant once in each, so that all share the weather."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

from bench import machine, stored, thirty, tree
from bench.machine import Platform, Process
from tests import postgres

Seen = dict[str, Any]
ENTRY = "bg:home"
SLOW = 0.05
"""Seconds that the real platform takes to answer."""


class Contestant(NamedTuple):
    """Its name in the table, its module with a variant, and the database it needs."""

    name: str
    module: str
    database: str = ""


SQLITE, POSTGRESQL = "SQLite", "PostgreSQL"
PHENS = tuple(Contestant(f"**Phen**, {each}", "phen", each) for each in (SQLITE, POSTGRESQL))
AIOGRAM = Contestant("aiogram, bare", "aiogram_bare")
PTB = Contestant("python-telegram-bot, bare (one after another)", "ptb:one")
PTB_MANY = Contestant("python-telegram-bot, bare (`concurrent_updates`)", "ptb:many")
FRAMEWORKS = (
    Contestant("ConversationHandler, PicklePersistence", "ptb_conversation"),
    Contestant("aiogram-dialog", "aiogram_dialogs"),
)
ORDERED = Contestant("no framework, ordered, over aiohttp", "ordered")
CONTESTANTS = (*PHENS, AIOGRAM, PTB, PTB_MANY, *FRAMEWORKS, ORDERED)


class Load(NamedTuple):
    """Seconds that the platform takes, and how many women tap."""

    delay: float
    women: int


AT_ONCE = Load(0.0, 100)
CROWD = Load(SLOW, 300)
FEW, SOME, MANY = Load(SLOW, 1), Load(SLOW, 10), Load(SLOW, 100)
LOADS = (AT_ONCE, FEW, SOME, MANY, CROWD)
WRITERS = (1, 10)
CONTACTS = (0, 10_000, 1_000_000)
RECIPIENTS, KILLED = 100_000, 9_000
NODES = (0, 10_000)


@dataclass(frozen=True, slots=True)
class Effort:
    """How long and how often."""

    seconds: float = 1.5
    rounds: int = 3
    contacts: tuple[int, ...] = CONTACTS
    nodes: tuple[int, ...] = NODES
    recipients: int = RECIPIENTS
    sending: float = 60.0  # seconds of the broadcast to them that are measured
    killed: int = KILLED  # recipients of the one in which the process is killed


@dataclass(slots=True)
class Found:
    """What was measured: by scenario and subject, one entry a round."""

    taps: dict[str, list[Seen]] = field(default_factory=dict)
    stored: dict[str, list[Seen]] = field(default_factory=dict)
    pages: dict[str, list[Seen]] = field(default_factory=dict)
    broadcast: dict[str, Seen] = field(default_factory=dict)


class Bench:
    """The stand-in, the databases and a folder, for as long as the bench runs."""

    def __init__(self, standin: Platform, folder: Path, tell: Callable[[str], None]) -> None:
        self.standin, self._folder, self.tell = standin, folder, tell
        self._started = 0
        self._rest = ExitStack()
        self._server: postgres.Server | None = None

    @classmethod
    @contextmanager
    def opened(cls, tell: Callable[[str], None]) -> Iterator[Bench]:
        """Start the stand-in; the PostgreSQL is started when it is needed first."""
        with TemporaryDirectory(prefix="phen-bench-") as name:
            folder = Path(name)
            tree.write(thirty.build(), folder / "tree.json")
            with machine.started("bench.standin", folder / "tree.json") as process:
                bench = cls(Platform(int(process.line())), folder, tell)
                with bench._rest:
                    yield bench

    # --- taps ----------------------------------------------------------------------------------

    def taps(self, effort: Effort, contestants: tuple[Contestant, ...], found: Found) -> None:
        """Taps a second and how long a tap takes, beside the others."""
        for number in range(effort.rounds):
            for each in contestants:
                self.tell(f"taps, round {number + 1}: {each.name}")
                with self.running(each) as (process, token):
                    seen: Seen = {"idle": process.megabytes}
                    for load in LOADS:
                        seen[str(load)] = self._tapped(each, token, load, effort.seconds)
                    seen["loaded"] = process.megabytes
                found.taps.setdefault(each.name, []).append(seen)

    def _tapped(self, who: Contestant, token: str, load: Load, seconds: float) -> Seen:
        entry = ENTRY if who.module == "phen" else None
        told = {"women": load.women, "seconds": seconds, "delay": load.delay, "entry": entry}
        return self.standin.ask("taps", token, **told)

    # --- what is stored ------------------------------------------------------------------------

    def stored(self, effort: Effort, found: Found, phens: tuple[Contestant, ...] = PHENS) -> None:
        """The same with many contacts stored, and how long a word takes to the desk and back."""
        made = {}
        for phen in phens:
            for contacts in effort.contacts:
                self.tell(f"stored: {contacts:,} contacts in {phen.database}")
                made[phen, contacts] = self.database(phen.database, contacts)
        self.durable()
        for (phen, contacts), place in made.items():  # once: again, it would meet the same cases
            self.tell(f"stored: {phen.database}, {contacts:,} contacts")
            with self.running(phen, place) as (process, token):
                seen = json.loads(process.line())
                seen["taps"] = self._tapped(phen, token, AT_ONCE, effort.seconds)
                for women in WRITERS:
                    told = {"women": women, "seconds": effort.seconds, "delay": 0.0}
                    seen[f"talks {women}"] = self.standin.ask("talks", token, **told)
                seen["loaded"] = process.megabytes
            found.stored.setdefault(f"{phen.database} {contacts}", []).append(seen)

    def database(self, kind: str, contacts: int) -> tuple[Path, str]:
        """A new one with so many contacts stored: its folder, and its address."""
        folder = self._new_folder()
        if kind == SQLITE:
            return folder, stored.sqlite(folder, contacts)
        if self._server is None:
            self._server = self._rest.enter_context(postgres.server())
        return folder, stored.postgresql(self._server, folder, contacts)

    def durable(self) -> None:
        """From now on the PostgreSQL keeps what it is given, as a real one does."""
        if self._server is not None:
            stored.durable(self._server)

    # --- content -------------------------------------------------------------------------------

    def pages(self, effort: Effort, found: Found) -> None:
        """Content of many nodes, beside the present one."""
        for number in range(effort.rounds):
            for nodes in effort.nodes:
                self.tell(f"content, round {number + 1}: {nodes or 'the present'} nodes")
                with machine.started("bench.pages", nodes) as process:
                    seen = json.loads(process.line())
                found.pages.setdefault(str(nodes), []).append(seen)

    # --- a contestant --------------------------------------------------------------------------

    @contextmanager
    def running(
        self, who: Contestant, place: tuple[Path, str] | None = None, token: str = ""
    ) -> Iterator[tuple[Process, str]]:
        """It runs, and asks for updates: under a new token, or this one."""
        if place is None:
            place = self.database(who.database, 0) if who.database else (self._new_folder(), "")
        folder, database = place
        token = token or self.new_token()
        screens = self._folder / "tree.json"
        words = (who.module, self.standin.url, token, screens, folder, database)
        with machine.started("bench.contestants", *words) as process:
            self.standin.ask("polled", token, pid=process.child.pid)
            yield process, token

    def new_token(self) -> str:
        """A bot that the stand-in does not know yet."""
        self._started += 1
        return f"{self._started}:bench"

    def _new_folder(self) -> Path:
        folder = self._folder / str(len(list(self._folder.iterdir())))
        folder.mkdir()
        return folder
