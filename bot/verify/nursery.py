"""Starts `phen` in a tenth of a second: a process that has imported everything, and forks.

What is started so is a process of its own, with its own environment, signals and files: it can
be killed like any other. `Nursery` is this side; `python -m bot.verify.nursery` is the other one,
which has one thread and no event loop, so that a fork of it is sound. It speaks in lines of JSON.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import json
import os
import select
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Any

READY_SECONDS = 60.0
END_SECONDS = 20.0


class NurseryEnded(Exception):
    """The nursery has ended by itself; what it said stands on the standard error."""


class Child:
    """A process that was started."""

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self._status: asyncio.Future[int] = asyncio.get_running_loop().create_future()

    @property
    def running(self) -> bool:
        return not self._status.done()

    def send(self, number: int) -> None:
        """A signal; none to a process that has ended."""
        if self.running:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, number)

    async def ended(self) -> int:
        """Its exit status, once it has one; minus the signal that ended it."""
        return await asyncio.shield(self._status)

    def end(self, status: int) -> None:
        self._status.set_result(status)


class Nursery:
    """Starts processes; see `a_nursery`."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process
        self._children: dict[int, Child] = {}
        self._born: asyncio.Queue[Child | None] = asyncio.Queue()
        self._turn = asyncio.Lock()

    async def start(
        self,
        arguments: Sequence[str],
        environment: Mapping[str, str],
        log: Path,
        *,
        quick: bool = False,
    ) -> Child:
        """Start `phen` with these arguments and nothing but this environment.

        What it prints is added to `log`, in whose folder it runs. `quick`: see `hasten`.
        """
        wanted = {"arguments": list(arguments), "environment": dict(environment)}
        line = json.dumps(wanted | {"log": str(log), "quick": quick})
        if self._process.stdin is None:
            raise AssertionError
        async with self._turn:
            self._process.stdin.write(line.encode() + b"\n")
            child = await asyncio.wait_for(self._born.get(), READY_SECONDS)
        if child is None:
            raise NurseryEnded
        return child

    async def listen(self) -> None:
        """Hear what became of the processes, until the nursery ends."""
        if self._process.stdout is None:
            raise AssertionError
        while line := await self._process.stdout.readline():
            told = json.loads(line)
            if "born" in told:
                child = self._children[told["born"]] = Child(told["born"])
                self._born.put_nowait(child)
            elif "ended" in told:
                self._children.pop(told["ended"]).end(told["status"])
        self._born.put_nowait(None)

    async def close(self) -> None:
        """Kill what still runs, and end."""
        for child in list(self._children.values()):
            child.send(signal.SIGKILL)
        if self._process.stdin is not None:
            self._process.stdin.close()
        await asyncio.wait_for(self._process.wait(), END_SECONDS)


@contextlib.asynccontextmanager
async def a_nursery() -> AsyncIterator[Nursery]:
    """A nursery; on leaving, whatever it started is killed."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "bot.verify.nursery",
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        start_new_session=True,  # Ctrl+C is for this side
    )
    nursery = Nursery(process)
    listening = asyncio.create_task(nursery.listen())
    try:
        yield nursery
    finally:
        await nursery.close()
        await listening


# --- the other side ------------------------------------------------------------------------------


def hasten() -> None:
    """Shorter pauses: how long they are is not what is proved, and they keep the kills apart.

    What is left as it is: which call follows which, what is retried, and what is given up.
    """
    from bot import app, delivery
    from bot.channels import chats, telegram_api
    from bot.channels.pace import Rates
    from bot.desk import forum
    from bot.windows import Timing

    _set(chats, RATES=Rates(1e6, 1e6, 1e6, 1e6))
    _set(app, Timing=partial(Timing, retry=0.2))
    _set(telegram_api, CONNECT_SECONDS=0.5, READ_SECONDS=1.0)
    _set(delivery, POLL_SECONDS=0.5)
    _set(forum, AGAIN_SECONDS=0.3, SETTLE_SECONDS=0.05)


def _set(module: ModuleType, **values: Any) -> None:
    for name, value in values.items():
        if name not in vars(module):
            raise LookupError(name)
        vars(module)[name] = value


def _serve() -> None:
    """Fork for each line that comes, and tell what became of it, until the other side ends."""
    _remember_the_content()
    wake, woken = os.pipe()
    for end in (wake, woken):
        os.set_blocking(end, False)
    signal.signal(signal.SIGCHLD, lambda number, frame: None)
    signal.set_wakeup_fd(woken)
    gc.collect()
    gc.freeze()
    children: set[int] = set()
    waiting = b""
    while True:
        ready, _, _ = select.select([0, wake], [], [])
        if wake in ready:
            os.read(wake, 4096)
            _bury(children)
        if 0 not in ready:
            continue
        got = os.read(0, 65536)
        if not got:
            break
        *lines, waiting = (waiting + got).split(b"\n")
        for line in lines:
            pid = os.fork()
            if pid == 0:
                signal.set_wakeup_fd(-1)
                for end in (wake, woken):
                    os.close(end)
                return _become(json.loads(line))
            children.add(pid)
            _tell(born=pid)
    for pid in children:
        os.kill(pid, signal.SIGKILL)


def _bury(children: set[int]) -> None:
    while children:
        pid, status = os.waitpid(-1, os.WNOHANG)
        if pid == 0:
            return
        children.discard(pid)
        _tell(ended=pid, status=os.waitstatus_to_exitcode(status))


def _tell(**what: int) -> None:
    os.write(1, json.dumps(what).encode() + b"\n")


def _become(wanted: dict[str, Any]) -> None:
    """In the child: be `phen`, as if it had been started from a shell.

    The library's random numbers are seeded anew by the fork itself; all others come from the
    system.
    """
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    os.environ.clear()
    os.environ.update(wanted["environment"])
    os.chdir(Path(wanted["log"]).parent)  # a `phen.toml` of the real line is not read
    nothing = os.open(os.devnull, os.O_RDONLY)
    log = os.open(wanted["log"], os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    for source, to in ((nothing, 0), (log, 1), (log, 2)):
        os.dup2(source, to)
        os.set_inheritable(to, True)
    os.close(nothing)
    os.close(log)
    sys.argv = ["phen", *wanted["arguments"]]
    if wanted["quick"]:
        hasten()
    from bot import cli

    cli.main()


def _remember_the_content() -> None:
    """Read it once for all: it is the same files each time."""
    from bot import cli  # noqa: F401  # all that `phen run` needs
    from bot.texts import open_content
    from dialogs import lint

    open_content()
    lint.our_rules()


if __name__ == "__main__":
    _serve()
