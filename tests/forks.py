"""`phen` in a process of its own, in a tenth of the time: forked from one that imported it all.

What is started has its own environment, folder, streams and signals, and can be killed like any
other. How the command itself starts up is tried, now and then, without this.
"""

from __future__ import annotations

import asyncio
import atexit
import json
import os
import select
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any

import time_machine

ROOT = Path(__file__).resolve().parent.parent
_ENOUGH = 1 << 20
_STATUS_BYTES = 12


class Process:
    """One that was started. Its status comes through a pipe, from the one that forked it."""

    def __init__(self, pid: int, told: int) -> None:
        self.pid = pid
        self.returncode: int | None = None
        self._told = told

    def send_signal(self, number: int) -> None:
        if self.returncode is None:
            with suppress(ProcessLookupError):
                os.kill(self.pid, number)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)

    async def wait(self) -> int:
        """Its status, once it has ended; minus the signal that ended it."""
        while (status := self.ended()) is None:
            await asyncio.sleep(0.01)
        return status

    def ended(self, patience: float = 0.0) -> int | None:
        """The same, or None where it runs after so many seconds still."""
        if self.returncode is None and select.select([self._told], [], [], patience)[0]:
            told = os.read(self._told, _STATUS_BYTES)
            os.close(self._told)
            self.returncode = int(told) if told else -signal.SIGKILL
        return self.returncode


def start(
    arguments: Sequence[str],
    environment: Mapping[str, str],
    folder: Path,
    streams: tuple[int, int, int],
    *,
    quick: bool = False,
) -> Process:
    """Start `phen` with these words and nothing but this environment, as a shell would.

    `quick`: without the platforms' pace, which is tested elsewhere.
    """
    server = _server()
    told, tells = os.pipe()
    wanted = {"words": list(arguments), "environment": dict(environment), "folder": str(folder)}
    wanted |= {"quick": quick, "ahead": time.time() - time_machine.escape_hatch.time.time()}
    socket.send_fds(server, [json.dumps(wanted).encode()], [*streams, tells])
    os.close(tells)
    return Process(int(server.recv(_ENOUGH)), told)


def run(
    arguments: Sequence[str],
    environment: Mapping[str, str],
    folder: Path,
    given: str = "",
    patience: float = 60.0,
) -> subprocess.CompletedProcess[str]:
    """Like `subprocess.run`."""
    files = [os.memfd_create(name) for name in ("in", "out", "err")]
    try:
        os.pwrite(files[0], given.encode(), 0)
        process = start(arguments, environment, folder, (files[0], files[1], files[2]))
        if process.ended(patience) is None:
            process.kill()
            process.ended(patience)
            raise subprocess.TimeoutExpired(list(arguments), patience)
        out, err = (os.pread(file, _ENOUGH, 0).decode() for file in files[1:])
    finally:
        for file in files:
            os.close(file)
    return subprocess.CompletedProcess(list(arguments), process.returncode or 0, out, err)


@cache
def _server() -> socket.socket:
    """The one of this test run's worker."""
    ours, its = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("PHEN_", "PYTEST_"))}
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.forks", str(its.fileno())],
        pass_fds=[its.fileno()], cwd=ROOT, env=kept | {"LANG": "C.UTF-8"},
        start_new_session=True,
    )  # fmt: skip
    its.close()

    def end() -> None:
        ours.close()
        process.wait(10)

    atexit.register(end)
    return ours


# --- the other side: one thread, no event loop, so that a fork of it is sound ---------------------


def _serve(line: socket.socket) -> None:
    from bot import app, cli  # noqa: F401
    from bot.storage import migrate  # noqa: F401

    children: dict[int, int] = {}
    while True:
        ready, _, _ = select.select([line], [], [], 0.02 if children else None)
        _bury(children)
        if not ready:
            continue
        message, fds, _, _ = socket.recv_fds(line, _ENOUGH, 4)
        if not message:
            break
        pid = os.fork()
        if pid == 0:
            line.close()
            for told in (*children.values(), fds.pop()):
                os.close(told)
            return _become(json.loads(message), fds)
        children[pid] = fds.pop()
        for fd in fds:
            os.close(fd)
        line.send(str(pid).encode())
    for pid in children:
        os.kill(pid, signal.SIGKILL)


def _bury(children: dict[int, int]) -> None:
    while children:
        pid, status = os.waitpid(-1, os.WNOHANG)
        if pid == 0:
            return
        told = children.pop(pid)
        with suppress(BrokenPipeError):
            os.write(told, str(os.waitstatus_to_exitcode(status)).encode())
        os.close(told)


def _become(wanted: dict[str, Any], streams: list[int]) -> None:
    for to, stream in enumerate(streams):
        os.dup2(stream, to)
        os.close(stream)
    os.chdir(wanted["folder"])
    os.environ.clear()
    os.environ.update(wanted["environment"])
    time.tzset()
    time_machine.travel(time.time() + wanted["ahead"], tick=True).start()
    if wanted["quick"]:
        from bot.channels import chats, viber_api
        from bot.channels.pace import Rates

        chats.RATES = viber_api.RATES = Rates(1e6, 1e6, 1e6, 1e6)
    sys.argv = ["phen", *wanted["words"]]
    from bot.cli import main

    main()


if __name__ == "__main__":
    _serve(socket.socket(fileno=int(sys.argv[1])))
