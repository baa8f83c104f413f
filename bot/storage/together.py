"""The processes that share one database: who holds what alone, and words from one to the others.

On SQLite there is one process (`Alone`). On PostgreSQL any number run beside each other
(`Among`): each holds its roles through advisory locks of one session, which the server frees the
moment that session ends, however the process died; words go by LISTEN and NOTIFY. A word that
is lost is no harm: whoever waits for one also looks by itself every few seconds.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import secrets
from collections import OrderedDict
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any

from sqlalchemy import ARRAY, ColumnElement, Text, bindparam, func, select, text
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from bot.privacy.redact import EventLog
from bot.storage.tables import workers

BEAT_SECONDS = 2.0
"""How often a process says that it is there, and tries for the roles that it wants."""
SILENT = timedelta(seconds=10)
"""Who has said nothing for so long counts as gone."""
ANSWER_SECONDS = 5.0
"""How long the session waits for the server before it counts as lost. Less than the server waits
for a machine that is gone: whoever is cut off knows it before another has its roles."""
_FORGOTTEN = timedelta(hours=1)
_NAME = "phen"
_SEPARATOR = "|"
_MOST_WORDS = 1000
_AT_ONCE = 200
"""Words of one turn: however many are told, this process goes on saying that it is there."""
_SAY = select(func.pg_notify(_NAME, func.unnest(bindparam("words", type_=ARRAY(Text)), type_=Text)))
_WHOSE = text("SELECT pid, backend_start FROM pg_stat_activity WHERE pid = pg_backend_pid()")
_GHOST = text(
    "SELECT pg_terminate_backend(pid, 1000) FROM pg_stat_activity "
    "WHERE pid = :pid AND backend_start = :backend_start"
)

log = EventLog("together")

Work = Callable[[], Awaitable[None]]


class Alone:
    """One process: it holds every role, and words stay within it."""

    several = False
    """Whether there may be others."""

    def __init__(self) -> None:
        self.worker = secrets.token_hex(16)
        self._hearing: dict[str, list[Callable[[str], None]]] = {}
        self._deaf: list[Callable[[], None]] = []
        self._one_by_one: dict[str, asyncio.Lock] = {}

    def hear(self, topic: str, callback: Callable[[str], None]) -> None:
        """Call this for every word on the topic that another process tells."""
        self._hearing.setdefault(topic, []).append(callback)

    def missed(self, callback: Callable[[], None]) -> None:
        """Call this when words may have been lost: look at everything that they are about."""
        self._deaf.append(callback)

    def tell(self, topic: str, word: str = "") -> None:
        """Say a word to the other processes. It names nobody, and may be lost."""

    def holds(self, role: str) -> bool:
        """Whether this process, and no other, has the role."""
        return True

    def somebody_holds(self, role: str) -> bool:
        """Whether this process, or another one, has the role."""
        return True

    def contested(self, role: str) -> None:
        """Somebody else does this role's work: where we cannot know that it is ours, it is not."""

    @property
    def steady(self) -> bool:
        """False for a while after an outage that all had in common: nobody had time to go on."""
        return True

    @property
    def watched_elsewhere(self) -> bool:
        """Whether somebody sits before a desk of another process."""
        return False

    async def living(self) -> frozenset[str]:
        """The processes that are there, this one among them."""
        return frozenset({self.worker})

    async def hold(self, role: str, work: Work) -> None:
        """Do the work while, and whenever, the role is this process's. Ends with the work."""
        await work()

    @asynccontextmanager
    async def alone(self, name: str) -> AsyncIterator[None]:
        """One after another, over all processes."""
        async with self._one_by_one.setdefault(name, asyncio.Lock()):
            yield

    async def run(self, watched: Callable[[], bool]) -> None:
        """Be there until cancelled. `watched`: whether somebody sits before a desk of ours."""
        await asyncio.get_running_loop().create_future()


class Among(Alone):
    """One of several processes on PostgreSQL.

    A session that is lost is opened anew. What was held is kept until the server says that
    another has it: while the database is away, 112 is still answered.
    """

    several = True

    def __init__(self, engine: AsyncEngine) -> None:
        super().__init__()
        self._engine = engine
        self._wanted: dict[str, asyncio.Event] = {}
        self._held: set[str] = set()
        self._lost: dict[str, asyncio.Event] = {}
        self._known: set[str] = set()  # roles of which is known who has them
        self._took_part = False
        self._since: float | None = None  # how long the session has been there without a break
        self._mine: dict[str, Any] | None = None  # the server's own name of the last session
        self._words: OrderedDict[str, None] = OrderedDict()
        self._something = asyncio.Event()
        self._watched = False

    def tell(self, topic: str, word: str = "") -> None:
        spoken = _SEPARATOR.join((self.worker, topic, word))
        self._words.pop(spoken, None)  # said again, it is the newest
        self._words[spoken] = None
        if len(self._words) > _MOST_WORDS:
            self._words.popitem(last=False)
        self._something.set()

    def holds(self, role: str) -> bool:
        return role in self._held

    def somebody_holds(self, role: str) -> bool:
        return role in self._known

    @property
    def steady(self) -> bool:
        return self._since is not None and _time() - self._since > SILENT.total_seconds()

    @property
    def watched_elsewhere(self) -> bool:
        return self._watched

    def contested(self, role: str) -> None:
        if role in self._held and self._since is None:
            self._settle(role, mine=False)

    async def living(self) -> frozenset[str]:
        # After an outage that all had in common, everybody is given the time to be heard again.
        query = select(workers.c.id).where(_heard_within(SILENT if self.steady else _FORGOTTEN))
        async with self._engine.connect() as connection:
            found = (await connection.execute(query)).scalars()
            return frozenset({*found, self.worker})

    async def hold(self, role: str, work: Work) -> None:
        got = self._wanted.setdefault(role, asyncio.Event())
        while True:
            self._something.set()
            await got.wait()
            if await self._until_lost(role, work):
                return

    async def _until_lost(self, role: str, work: Work) -> bool:
        """Work until the role is lost; True when the work came to its own end."""
        doing = asyncio.ensure_future(work())
        lost = asyncio.ensure_future(self._lost[role].wait())
        try:
            await asyncio.wait({doing, lost}, return_when=asyncio.FIRST_COMPLETED)
            if doing.done():
                doing.result()
                return True
            return False
        finally:
            lost.cancel()
            doing.cancel()
            await asyncio.wait({doing})
            if not doing.cancelled():
                doing.exception()

    @asynccontextmanager
    async def alone(self, name: str) -> AsyncIterator[None]:
        async with super().alone(name), self._engine.connect() as connection, connection.begin():
            await connection.execute(select(func.pg_advisory_xact_lock(key_of(name))))
            yield

    async def run(self, watched: Callable[[], bool]) -> None:
        while True:
            try:
                async with self._session() as connection:
                    await self._take_part(connection, watched)
            except Exception as error:
                log.failed("session_lost", error)
            finally:
                worked, self._since = self._since is not None, None
            if not worked:
                await asyncio.sleep(BEAT_SECONDS / 2)

    # --- the session ---------------------------------------------------------------------------

    @asynccontextmanager
    async def _session(self) -> AsyncIterator[AsyncConnection]:
        """A connection of its own, outside of any transaction; never given back to the pool."""
        plain = self._engine.execution_options(isolation_level="AUTOCOMMIT")
        async with asyncio.timeout(ANSWER_SECONDS):
            connection = await plain.connect()
        try:
            raw = await connection.get_raw_connection()
            driver: Any = raw.driver_connection
            async with asyncio.timeout(ANSWER_SECONDS):
                await driver.add_listener(_NAME, self._heard)
            yield connection
        finally:
            with contextlib.suppress(Exception):
                await asyncio.wait_for(connection.invalidate(), ANSWER_SECONDS)
                await asyncio.wait_for(connection.close(), ANSWER_SECONDS)

    async def _take_part(self, connection: AsyncConnection, watched: Callable[[], bool]) -> None:
        locked: set[str] = set()  # by this session
        await _within(self._lay_ghost(connection))
        await _within(self._try_for(connection, locked, list(self._held)))
        self._since = _time()
        # After a common loss, whoever had a role is given the time to take it again.
        next_beat = _time() + (BEAT_SECONDS if self._took_part else 0.0)
        if self._took_part:
            self._was_deaf()
        self._took_part = True
        while True:
            self._something.clear()
            await _within(self._speak(connection))
            if _time() >= next_beat:
                await _within(self._beat(connection, watched()))
                await _within(self._try_for(connection, locked, list(self._wanted)))
                next_beat = _time() + BEAT_SECONDS
            with contextlib.suppress(TimeoutError):  # `wait_for` may eat a stop
                async with asyncio.timeout(next_beat - _time()):
                    await self._something.wait()
            if any(role not in self._known for role in self._wanted):
                next_beat = min(next_beat, _time())  # one that was just asked for

    async def _lay_ghost(self, connection: AsyncConnection) -> None:
        """End the session before this one, where the server has not seen yet that it is over.

        Else what we held would count as another's.
        """
        if self._mine is not None:
            await connection.execute(_GHOST, self._mine)
        self._mine = dict((await connection.execute(_WHOSE)).mappings().one())

    def _was_deaf(self) -> None:
        for callback in self._deaf:
            callback()

    async def _speak(self, connection: AsyncConnection) -> None:
        words = list(self._words)[:_AT_ONCE]
        if not words:
            return
        for word in words:  # what is told from now on is said again: it may be news
            del self._words[word]
        try:
            await connection.execute(_SAY, {"words": words})
        except BaseException:
            for word in reversed(words):
                if word not in self._words:
                    self._words[word] = None
                    self._words.move_to_end(word, last=False)
            raise
        if self._words:
            self._something.set()

    async def _beat(self, connection: AsyncConnection, watched: bool) -> None:
        # By the server's clock: those of two machines may be far apart.
        row = {"seen_at": func.now(), "watched": watched}
        mine = insert(workers).values(id=self.worker, **row)
        await connection.execute(mine.on_conflict_do_update(index_elements=["id"], set_=row))
        await connection.execute(workers.delete().where(~_heard_within(_FORGOTTEN)))
        others = select(workers.c.id).where(
            workers.c.id != self.worker, workers.c.watched, _heard_within(SILENT)
        )
        self._watched = (await connection.execute(others)).first() is not None

    async def _try_for(
        self, connection: AsyncConnection, locked: set[str], roles: Sequence[str]
    ) -> None:
        for role in roles:
            if role in locked:
                continue
            got = select(func.pg_try_advisory_lock(key_of(role)))
            if (await connection.execute(got)).scalar_one():
                locked.add(role)
            self._settle(role, mine=role in locked)

    def _settle(self, role: str, *, mine: bool) -> None:
        """Who has the role is known now."""
        self._known.add(role)
        if mine and role not in self._held:
            log.event("role_taken")
            self._held.add(role)
            self._lost[role] = asyncio.Event()
            self._wanted[role].set()
        elif not mine and role in self._held:
            log.alarm("role_lost")
            self._held.discard(role)
            self._wanted[role].clear()
            self._lost[role].set()

    def _heard(self, _: object, __: int, ___: str, payload: object) -> None:
        worker, _, rest = str(payload).partition(_SEPARATOR)
        topic, _, word = rest.partition(_SEPARATOR)
        if worker == self.worker:
            return
        for callback in self._hearing.get(topic, ()):
            try:
                callback(word)
            except Exception as error:  # one that cannot hear it must not deafen the others
                log.failed("word_unheard", error)


async def _within(call: Awaitable[None]) -> None:
    async with asyncio.timeout(ANSWER_SECONDS):
        await call


def _heard_within(span: timedelta) -> ColumnElement[bool]:
    return workers.c.seen_at > func.now() - span


def _time() -> float:
    return asyncio.get_running_loop().time()


def key_of(name: str) -> int:
    """The number of an advisory lock."""
    digest = hashlib.sha256(f"{_NAME}:{name}".encode()).digest()
    return int.from_bytes(digest[:8], "big", signed=True)
