"""One proof: a database, processes, people and faults; so many kills; and the verdict."""

from __future__ import annotations

import asyncio
import contextlib
import os
import secrets
import signal
import tempfile
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random

import pyotp
from argon2 import PasswordHasher

from bot.app import join
from bot.desk.accounts import Accounts
from bot.privacy.vault import Vault
from bot.settings import Settings
from bot.storage.migrate import migrate
from bot.storage.records import Role
from bot.texts import open_content
from bot.verify import record
from bot.verify.judge import Fault, Labels, empty_topics, judge, repeats, takeovers
from bot.verify.killer import RECOVERING, STARTING, STOPPING, Killer
from bot.verify.nursery import Child, Nursery, a_nursery
from bot.verify.people import NAMES, Consultant, Phrases, Woman, undecided, ways
from bot.verify.platform import DESK, GROUP_CHAT, LINE, TOKENS, Platform
from bot.verify.record import Event
from dialogs import load
from dialogs.model import Content

WOMEN = 10
FAULTS = 0.15
BREATH_SECONDS = 0.35
"""At most so long a process lives before a kill is aimed at it."""
START_SECONDS = 60.0
DRAIN_SECONDS = 240.0
"""So long without any arrival, and what is missing then is lost. Longer than the pauses after four
refusals, and in no hurry where the machine is busy."""
LOOK_SECONDS = 0.05
STOP_SECONDS = 10.0
TAKEOVER_SECONDS = 10.0
TWO, TWO_AT_ONCE = 2, 0.25
"""Of more than two processes two die at once, so often."""
QUIET_SECONDS = 0.5
STOPPING_SECONDS = 0.15


@dataclass(slots=True)
class Verdict:
    """What came of it."""

    seed: int
    kills: int = 0
    states: Counter[str] = field(default_factory=Counter)
    faults: list[Fault] = field(default_factory=list)
    record: list[Event] = field(default_factory=list)
    log: Counter[str] = field(default_factory=Counter)
    seconds: float = 0.0
    stop_seconds: float = 0.0
    takeovers: list[float] = field(default_factory=list)
    """Seconds from the kill of whoever asked for a bot's updates to the first one who did next."""
    repeats: int = 0
    empty_topics: int = 0
    trouble: list[str] = field(default_factory=list)
    """What went wrong beside the messages, one sentence each."""

    @property
    def passed(self) -> bool:
        return not self.faults and not self.trouble


@dataclass(slots=True)
class _Worker:
    """One place for a process: each that is started there has a number of its own."""

    number: int = 0
    child: Child | None = None

    @property
    def running(self) -> bool:
        return self.child is not None and self.child.running


async def prove(
    kills: int,
    *,
    database: str = "",
    workers: int = 1,
    seed: int | None = None,
    told: Callable[[int], None] = lambda done: None,
) -> Verdict:
    """Kill so many times, let everything come to rest, and judge. `told` hears of each kill."""
    seed = secrets.randbelow(2**31) if seed is None else seed
    with tempfile.TemporaryDirectory() as folder:
        async with a_nursery() as nursery:
            proof = _Proof(Path(folder), nursery, database, workers, seed)
            return await proof.run(kills, told)


class _Proof:
    def __init__(
        self, folder: Path, nursery: Nursery, database: str, workers: int, seed: int
    ) -> None:
        self._folder, self._nursery, self._database = folder, nursery, database
        self._dice = Random(seed)  # noqa: S311  # chance that can be repeated
        self._verdict = Verdict(seed)
        self._platform = Platform(self._dice, FAULTS)
        content, texts = open_content()
        self._phrases = Phrases(texts)
        self._women = self._some_women(load.in_chat(content, lasting=False))
        self._consultants = [
            Consultant(self._platform, number, self._women, self._phrases, self._dice)
            for number in range(len(NAMES))
        ]
        self._killer = Killer(self._platform, self._dice, self._kill)
        self._workers = [_Worker() for _ in range(workers)]
        self._starts = 0
        self._ending = False

    def _some_women(self, content: Content) -> dict[str, Woman]:
        far = ways(content)
        names = [f"w{number}" for number in range(1, WOMEN + 1)]
        return {name: Woman(self._platform, name, far, self._dice) for name in names}

    async def run(self, kills: int, told: Callable[[int], None]) -> Verdict:
        began = time.monotonic()
        await asyncio.to_thread(self._found)
        await self._hire()
        await self._platform.start()
        try:
            async with self._people():
                for done in range(1, kills + 1):
                    await self._one_kill()
                    told(done)
                await self._come_to_rest()
            await self._stop()
        finally:
            await self._platform.stop()
        verdict = self._verdict
        verdict.kills, verdict.states = kills, self._killer.met
        verdict.record = self._platform.record
        verdict.faults = judge(verdict.record, Labels(self._phrases.repeated, self._phrases.unsure))
        verdict.repeats = repeats(verdict.record, self._phrases.repeated)
        verdict.empty_topics = len(empty_topics(verdict.record))
        if len(self._workers) > 1:
            verdict.takeovers = takeovers(verdict.record)
            if max(verdict.takeovers, default=0.0) > TAKEOVER_SECONDS:
                verdict.trouble.append("Nobody took over within ten seconds.")
        verdict.log = self._logged()
        verdict.seconds = time.monotonic() - began
        return verdict

    # --- the centre

    @property
    def _settings(self) -> Settings:
        return Settings(data_dir=self._folder / "data", database_url=self._database)

    def _found(self) -> None:
        settings = self._settings
        settings.data_dir.mkdir(mode=0o700)
        migrate(settings.database)
        Vault.open(settings.key_file, create=True)

    async def _hire(self) -> None:
        """Consultants whose telephones are linked with the desk's bot."""
        async with join(self._settings) as phen:
            cheap = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)  # nobody logs in
            accounts = Accounts(phen.store, phen.vault, phen.now, cheap)
            for consultant, name in zip(self._consultants, NAMES, strict=True):
                login = f"c{consultant.chat.id}"
                token = await accounts.invite(login, [Role.CONSULTANT], name)
                member = await accounts.invited(token)
                enrolment = await accounts.accept(token, secrets.token_urlsafe(16))
                code = pyotp.TOTP(enrolment.secret).at(phen.now())
                await accounts.confirm(token, enrolment.sealed, code)
                until = datetime.now(UTC) + timedelta(hours=1)
                await phen.store.offer_bell(member.id, login.encode(), until)
                await phen.store.link_bell(login.encode(), str(consultant.chat.id))

    # --- the people

    @contextlib.asynccontextmanager
    async def _people(self) -> AsyncIterator[None]:
        lives = [asyncio.create_task(each.live()) for each in self._women.values()]
        lives += [asyncio.create_task(each.live()) for each in self._consultants]
        lives.append(asyncio.create_task(self._send_for_more()))
        watched = asyncio.gather(*lives)
        try:
            yield
            if watched.done():
                await watched
        finally:
            for life in lives:
                life.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await watched

    async def _send_for_more(self) -> None:
        """A woman whose case is closed comes back with another one."""
        while not self._ending:
            for woman in self._women.values():
                if woman.is_done and self._is_over(woman):
                    woman.begins()
            await asyncio.sleep(0.1)

    def _is_over(self, woman: Woman) -> bool:
        last = record.Mention(woman.name, record.HERS, woman.written)
        if woman.written and (record.GROUP, last) not in self._platform.stood:
            return False
        there = self._platform.group.messages.values()
        return not any(m.woman == woman.name for each in there for m in record.mentions(each.words))

    # --- the processes

    async def _start(self, worker: _Worker) -> None:
        self._starts += 1
        worker.number = self._starts
        kept = {key: value for key, value in os.environ.items() if not key.startswith("PHEN_")}
        environment = kept | {
            "PHEN_DATA_DIR": str(self._settings.data_dir),
            "PHEN_DATABASE_URL": self._database,
            "PHEN_PORT": "0",
            "PHEN_TELEGRAM_API": self._platform.address(worker.number),
            "PHEN_TELEGRAM_TOKEN": TOKENS[LINE],
            "PHEN_DESK_TOKEN": TOKENS[DESK],
            "PHEN_DESK_CHAT": str(GROUP_CHAT),
        }
        worker.child = await self._nursery.start(["run"], environment, self._log, quick=True)
        self._platform.alive.add(worker.number)

    @property
    def _log(self) -> Path:
        return self._folder / "log"

    def _kill(self, number: int, state: str) -> None:
        worker = next(each for each in self._workers if each.number == number)
        if worker.child is None:
            raise AssertionError
        worker.child.send(signal.SIGKILL)
        platform = self._platform
        platform.note(record.Killed(at=platform.now, worker=number, state=state))
        platform.died(number)

    async def _one_kill(self) -> None:
        wanted = self._killer.choose()
        down = [worker for worker in self._workers if not worker.running]
        for worker in down:
            await self._start(worker)
        if wanted == STARTING:
            await asyncio.sleep(self._dice.uniform(0, 0.2))
            late = any(number == down[0].number for number, _ in self._platform.polled)
            if not late:
                return await self._struck(down[0], STARTING)
        await self._until_polled()
        if wanted != RECOVERING:
            await asyncio.sleep(self._dice.uniform(0, BREATH_SECONDS))
        if wanted == STOPPING:
            worker = self._dice.choice(self._workers)
            if worker.child is not None:
                worker.child.send(signal.SIGTERM)
            await asyncio.sleep(self._dice.uniform(0, STOPPING_SECONDS))
            return await self._struck(worker, STOPPING)
        await self._killer.strike(wanted)
        if len(self._workers) > TWO and self._dice.random() < TWO_AT_ONCE and self._platform.alive:
            self._kill(self._dice.choice(sorted(self._platform.alive)), "together with another")
        await self._buried()

    async def _struck(self, worker: _Worker, state: str) -> None:
        self._killer.struck(worker.number, state)
        await self._buried()

    async def _buried(self) -> None:
        for worker in self._workers:
            if worker.child is not None and worker.number in self._platform.dead:
                status = await worker.child.ended()
                # Asked to stop before it could hear that, it ends at once.
                if status not in (-signal.SIGKILL, -signal.SIGTERM, 0):
                    self._verdict.trouble.append(f"A process ended by itself with {status}.")

    async def _until_polled(self) -> None:
        """Wait until both bots are asked for by a process that lives."""
        async with asyncio.timeout(START_SECONDS):
            while {bot for _, bot in self._platform.polled} != {LINE, DESK}:
                for worker in self._workers:
                    if worker.child is not None and not worker.child.running:
                        raise RuntimeError(self._log.read_text("utf-8")[-2000:])
                await asyncio.sleep(0.005)

    # --- the end

    async def _come_to_rest(self) -> None:
        """No more kills and faults: whatever is not lost arrives now."""
        self._ending = True
        self._platform.faults = 0.0
        for each in self._women.values():
            each.stops()
        for consultant in self._consultants:
            consultant.closes = False
        for worker in self._workers:
            if not worker.running:
                await self._start(worker)
        while not self._rests():
            if not await self._comes_to_rest():
                break
            await asyncio.sleep(QUIET_SECONDS)  # somebody may just be about to answer
        self._platform.note(record.Drained(at=self._platform.now))

    async def _comes_to_rest(self) -> bool:
        """False: something is missing still, and for a long time nothing more has arrived."""
        stood, since = -1, 0.0
        while not self._rests():
            now = time.monotonic()
            if len(self._platform.stood) > stood:
                stood, since = len(self._platform.stood), now
            if now - since > DRAIN_SECONDS:
                return False
            await asyncio.sleep(LOOK_SECONDS)
        return True

    def _rests(self) -> bool:
        return self._all_arrived() and self._platform.quiet()

    def _all_arrived(self) -> bool:
        stood, there = self._platform.stood, self._platform.group.messages.values()
        return (
            not undecided(list(there))
            and all(
                (record.GROUP, record.Mention(woman.name, record.HERS, number)) in stood
                for woman in self._women.values()
                for number in range(1, woman.written + 1)
            )
            and all(
                (woman.name, record.Mention(woman.name, record.ANSWER, number)) in stood
                for woman in self._women.values()
                for number in range(1, woman.answers + 1)
            )
        )

    async def _stop(self) -> None:
        """Every process stops by itself, in time, when it is asked to."""
        await self._until_polled()
        began = time.monotonic()
        for worker in self._workers:
            if worker.child is not None:
                worker.child.send(signal.SIGTERM)
        try:
            async with asyncio.timeout(STOP_SECONDS):
                for worker in self._workers:
                    if worker.child is not None and await worker.child.ended() != 0:
                        self._verdict.trouble.append("A process did not stop cleanly.")
        except TimeoutError:
            self._verdict.trouble.append("A process did not stop within ten seconds.")
        self._verdict.stop_seconds = time.monotonic() - began

    def _logged(self) -> Counter[str]:
        """What the program complained of, by level and code."""
        lines = self._log.read_text("utf-8").splitlines()
        found: Counter[str] = Counter()
        for line in lines:
            words = line.split()
            for level in ("WARNING", "ERROR"):
                if level in words:
                    found[" ".join(words[words.index(level) :][:6])] += 1
        return found
