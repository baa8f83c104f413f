"""The processes that are measured: started, looked at, and stopped; and what the machine is."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import platform
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
STOP_SECONDS = 15
PATIENCE = 180
PACKAGES = ("python-telegram-bot", "aiogram", "aiogram-dialog", "aiohttp", "httpx", "sqlalchemy")


def facts() -> list[str]:
    """What the figures depend on, and nothing that names the machine."""
    programs = ", ".join(f"{name} {version(name)}" for name in PACKAGES)
    return [
        f"{os.cpu_count()} cores ({_model()}), {platform.system()}, "
        f"Python {platform.python_version()}, no uvloop",
        programs,
    ]


def _model() -> str:
    try:
        told = Path("/proc/cpuinfo").read_text("utf-8")
    except OSError:
        return platform.machine()
    names = [line.partition(":")[2].strip() for line in told.splitlines() if "model name" in line]
    return names[0] if names else platform.machine()


@dataclass(frozen=True, slots=True)
class Process:
    """One process of ours, by its id."""

    child: subprocess.Popen[str]

    def line(self) -> str:
        """The next line that it prints."""
        assert self.child.stdout is not None
        told = self.child.stdout.readline()
        if not told:
            raise RuntimeError(f"{self.child.args} ended with {self.child.wait()}")
        return told.strip()

    @property
    def megabytes(self) -> float:
        """Its memory: what it shares with others is shared out, where the system tells (PSS)."""
        for name, key in (("smaps_rollup", "Pss:"), ("status", "VmRSS:")):
            try:
                told = Path(f"/proc/{self.child.pid}/{name}").read_text("utf-8")
            except OSError:
                continue
            return int(told.partition(key)[2].split()[0]) / 1024
        return float("nan")

    @property
    def peak(self) -> float:
        """The most memory that it has ever had, in megabytes; what it shares is counted whole."""
        told = Path(f"/proc/{self.child.pid}/status").read_text("utf-8")
        return int(told.partition("VmHWM:")[2].split()[0]) / 1024

    def kill(self) -> None:
        """`kill -9`; it is gone when this returns."""
        self.child.kill()
        self.child.wait()


@contextmanager
def started(*words: object, quiet: bool = False) -> Iterator[Process]:
    """`python -m …`, until the end of the block."""
    child = subprocess.Popen(
        [sys.executable, "-m", *(str(word) for word in words)],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL if quiet else None,
        text=True,
    )
    try:
        yield Process(child)
    finally:
        child.terminate()
        try:
            child.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()
        if child.stdout is not None:
            child.stdout.close()


@dataclass(frozen=True, slots=True)
class Platform:
    """The stand-in, as the bench speaks to it."""

    port: int

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def ask(self, what: str, token: str, **told: Any) -> dict[str, Any]:
        """Set it to work, and return what it saw."""
        body = json.dumps({"token": token, **told}).encode()
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE)
        with contextlib.closing(connection):
            connection.request("POST", f"/control/{what}", body)
            answer = connection.getresponse()
            if answer.status != 200:
                raise RuntimeError(f"{token} does not answer the stand-in: {what}")
            return dict(json.loads(answer.read()))
