"""Calls that reach the wrong process, on a real PostgreSQL; and on SQLite, where there is none."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import pytest

from bot import webhooks
from bot.channels.base import Call, Reply
from bot.privacy.vault import Vault
from bot.storage.migrate import migrate
from bot.storage.store import Store
from bot.webhooks import SharedWebhook
from tests.bot.storage.conftest import rows
from tests.line import eventually

ROLE = "viber"


def now() -> datetime:
    return datetime.now(UTC)


@dataclass
class Hook:
    """A channel's own webhook: answers each call with what it says, or as a test wants."""

    got: list[str] = field(default_factory=list)
    answer: Callable[[Call], Reply] = lambda call: Reply(200, json.dumps(call.told).encode())
    name: str = ROLE
    signature: str = "x-signature"

    def read(self, body: bytes, signature: str) -> Call | Reply:
        return Call(body.decode(), {"says": body.decode()}, now()) if signature else Reply(403)

    async def take(self, call: Call) -> Reply:
        self.got.append(call.key)
        await asyncio.sleep(0)
        return self.answer(call)


@dataclass
class Process:
    """One of several: its store, its part in the company, and its webhook."""

    store: Store
    hook: Hook
    shared: SharedWebhook
    tasks: list[asyncio.Task[None]] = field(default_factory=list)

    @property
    def holds(self) -> bool:
        return self.store.together.holds(ROLE)

    def joins(self, *, wants: bool = True) -> None:
        """Take part; `wants`: and hold the channel, once nobody else does."""
        together = self.store.together
        self.tasks = [
            asyncio.create_task(together.run(lambda: False)),
            asyncio.create_task(self.shared.run()),
        ]
        if wants:
            self.wants()

    def wants(self) -> None:
        async def channel() -> None:
            await asyncio.get_running_loop().create_future()

        self.tasks.append(asyncio.create_task(self.store.together.hold(ROLE, channel)))

    async def called(self, words: str, signature: str = "good") -> Reply:
        """The platform calls this process."""
        read = self.shared.read(words.encode(), signature)
        return await self.shared.take(read) if isinstance(read, Call) else read

    async def dies(self) -> None:
        for task in self.tasks:
            task.cancel()
        await asyncio.gather(*self.tasks, return_exceptions=True)
        self.tasks = []


@asynccontextmanager
async def process(url: str, vault: Vault) -> AsyncIterator[Process]:
    store, hook = await Store.open(url, vault, now), Hook()
    made = Process(store, hook, SharedWebhook(hook, store, store.together))
    try:
        yield made
    finally:
        await made.dies()
        await store.close()


@pytest.fixture
async def two(
    postgres: Callable[[], str], tmp_path: Path
) -> AsyncIterator[tuple[Process, Process]]:
    """The holder of the channel, and another one."""
    url, vault = postgres(), Vault.open(tmp_path / "keys" / "master.key", create=True)
    async with AsyncExitStack() as stack:
        holder, other = [await stack.enter_async_context(process(url, vault)) for _ in range(2)]
        holder.joins()
        assert await eventually(lambda: holder.holds)
        other.joins()
        yield holder, other


Two = tuple[Process, Process]


async def kept(one: Process) -> int:
    return (await one.store.counts())["calls"]


async def test_a_call_that_reaches_the_wrong_process_gets_the_holders_answer(two: Two) -> None:
    holder, other = two
    assert await other.called("помощ") == Reply(200, json.dumps({"says": "помощ"}).encode())
    assert await holder.called("и аз") == Reply(200, json.dumps({"says": "и аз"}).encode())
    assert (holder.hook.got, other.hook.got) == (["помощ", "и аз"], [])
    assert await kept(holder) == 0


async def test_a_call_whose_signature_is_wrong_is_refused_where_it_arrives(two: Two) -> None:
    holder, other = two
    assert await other.called("помощ", signature="") == Reply(403)
    assert holder.hook.got == []
    assert await kept(holder) == 0


async def test_many_calls_at_once_each_get_their_own_answer_in_their_order(two: Two) -> None:
    holder, other = two
    words = [str(number) for number in range(20)]
    replies = await asyncio.gather(*(other.called(each) for each in words))
    assert [json.loads(reply.body)["says"] for reply in replies] == words
    assert sorted(holder.hook.got, key=int) == words


async def test_without_a_holder_a_call_is_kept_and_taken_once_by_who_takes_over(
    two: Two, monkeypatch: pytest.MonkeyPatch
) -> None:
    holder, other = two
    holder.hook.answer = lambda _: Reply(503)  # it is about to die
    with monkeypatch.context() as hasty:
        hasty.setattr(webhooks, "ANSWER_SECONDS", 0.2)
        assert [await other.called(each) for each in ("1", "2", "1")] == [Reply(200)] * 3
    await holder.dies()
    assert await kept(other) == 2
    assert await eventually(lambda: other.holds)
    assert json.loads((await other.called("3")).body) == {"says": "3"}
    assert other.hook.got == ["1", "2", "3"]  # what was kept before goes before
    await asyncio.sleep(0.1)
    assert other.hook.got == ["1", "2", "3"]


async def test_what_could_not_be_stored_is_taken_once_more(
    two: Two, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(webhooks, "LOOK_SECONDS", 0.05)
    holder, other = two
    holder.hook.answer = lambda _: Reply(503 if len(holder.hook.got) < 3 else 200)
    assert await other.called("помощ") == Reply(200)
    assert holder.hook.got == ["помощ"] * 3
    assert await kept(holder) == 0


async def test_poison_is_set_aside_and_never_blocks_the_next(two: Two) -> None:
    def fails(_: Call) -> Reply:
        raise AssertionError

    holder, other = two
    holder.hook.answer = fails
    assert await other.called("1") == Reply(200)
    holder.hook.answer = lambda _: Reply(200)
    assert await other.called("2") == Reply(200)
    assert holder.hook.got == ["1", "2"]


async def test_a_call_that_comes_again_while_it_waits_is_taken_once(two: Two) -> None:
    holder, other = two
    replies = await asyncio.gather(*(other.called("помощ") for _ in range(5)))
    assert holder.hook.got == ["помощ"]
    assert {reply.status for reply in replies} == {200}


async def test_a_lost_word_costs_a_moment_and_no_call(
    two: Two, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(webhooks, "LOOK_SECONDS", 0.1)
    monkeypatch.setattr(webhooks, "WAITED_FOR_SECONDS", 0.1)
    holder, other = two
    await other.dies()  # it neither tells nor hears anything
    assert json.loads((await other.called("помощ")).body) == {"says": "помощ"}
    assert holder.hook.got == ["помощ"]


async def test_what_cannot_be_kept_comes_again(two: Two) -> None:
    holder, other = two
    await rows(other.store, "ALTER TABLE calls RENAME TO calls_away")
    assert await other.called("помощ") == Reply(503)
    assert holder.hook.got == []


async def test_on_sqlite_every_call_is_taken_where_it_arrives(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'phen.db'}"
    await asyncio.to_thread(migrate, url)
    vault = Vault.open(tmp_path / "keys" / "master.key", create=True)
    async with process(url, vault) as alone:
        assert json.loads((await alone.called("помощ")).body) == {"says": "помощ"}
        alone.joins()
        assert json.loads((await alone.called("и аз")).body) == {"says": "и аз"}
        assert alone.hook.got == ["помощ", "и аз"]
        assert await kept(alone) == 0
