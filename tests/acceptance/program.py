"""A real `phen run` in a process of its own, that a test can kill."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from pathlib import Path

from tests import forks
from tests.ports import Held
from tests.standins.telegram import TelegramStandIn
from tests.standins.viber import ViberStandIn

PATIENCE = 60.0
_ADDRESS = re.compile(rb"chat\s+(http://[0-9.:]+)/")


class Program:
    """One process after another over the same folder, as after a crash."""

    def __init__(self, folder: Path, *, quick: bool = False, **settings: str) -> None:
        self.folder = folder
        self._quick = quick
        self.url = ""
        self._log = folder / "log"
        self._process: forks.Process | None = None
        kept = {k: v for k, v in os.environ.items() if not k.startswith("PHEN_")}
        self._environment = kept | {
            "PHEN_DATA_DIR": str(self.data),
            "PHEN_PORT": "0",
            **settings,
        }

    @property
    def data(self) -> Path:
        return self.folder / "data"

    @property
    def database(self) -> Path:
        return self.data / "phen.db"

    @property
    def log(self) -> list[str]:
        return self._log.read_text("utf-8").splitlines()

    async def starts(self) -> None:
        ours, its = os.pipe()
        with self._log.open("ab") as log, open(os.devnull, "rb") as nothing:
            streams = nothing.fileno(), its, log.fileno()
            self._process = forks.start(
                ["run"], self._environment, self.folder, streams, quick=self._quick
            )
        os.close(its)
        told = b""
        with open(ours, "rb", buffering=0) as out:
            async with asyncio.timeout(PATIENCE):
                while b"Stop with" not in told:
                    more = await asyncio.to_thread(out.read, 4096)
                    assert more, told
                    told += more
        found = _ADDRESS.search(told)
        assert found, told
        self.url = found[1].decode()

    async def runs(self, *arguments: str) -> str:
        """Another command beside it; its standard output."""
        done = await asyncio.to_thread(
            forks.run, arguments, self._environment, self.folder, patience=PATIENCE
        )
        assert done.returncode == 0, done
        return done.stdout

    async def is_killed(self) -> None:
        await self._ends(signal.SIGKILL)

    async def is_stopped(self) -> float:
        """Stop it by SIGTERM; the seconds that it took."""
        loop = asyncio.get_running_loop()
        began = loop.time()
        assert await self._ends(signal.SIGTERM) == 0, self.log
        return loop.time() - began

    async def _ends(self, number: int) -> int:
        if self._process is None:
            return 0
        process, self._process = self._process, None
        process.send_signal(number)
        try:
            return await asyncio.wait_for(process.wait(), PATIENCE)
        except TimeoutError:
            process.kill()
            await process.wait()
            raise

    def count(self, table: str) -> int:
        if not self.database.exists():
            return 0
        with closing(sqlite3.connect(self.database)) as connection:
            found: int = connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0]
            return found


@asynccontextmanager
async def a_program(
    folder: Path, *, quick: bool = False, **settings: str
) -> AsyncIterator[tuple[Program, TelegramStandIn]]:
    """A stand-in for Telegram, and a program that runs beside it."""
    server = TelegramStandIn()
    await server.start()
    its = {"PHEN_TELEGRAM_API": server.api, "PHEN_TELEGRAM_TOKEN": server.token}
    program = Program(folder, quick=quick, **its | settings)
    try:
        await program.starts()
        yield program, server
    finally:
        await program.is_killed()
        await server.stop()


@asynccontextmanager
async def a_program_on_viber(
    folder: Path, **settings: str
) -> AsyncIterator[tuple[Program, ViberStandIn]]:
    """A stand-in for Viber, and a program that runs beside it on a port of its own.

    The stand-in tells more of a woman than it was asked for.
    """
    server, held = ViberStandIn(), Held()
    await server.start()
    server.send_name = server.send_photo = True
    its = {
        "PHEN_VIBER_API": server.api,
        "PHEN_VIBER_TOKEN": server.token,
        "PHEN_PORT": str(held.port),
        "PHEN_PUBLIC_URL": f"http://127.0.0.1:{held.port}",
    }
    program = Program(folder, quick=True, **its | settings)
    try:
        await program.starts()
        server.webhook = f"{program.url}/viber/webhook"
        yield program, server
    finally:
        await program.is_killed()
        await server.stop()
