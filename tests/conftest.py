"""How the tests are shared out, and where their chance comes from."""

import logging
import os
import sys
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime

import pytest
import time_machine
from hypothesis import HealthCheck, settings

from bot.privacy.redact import EventLog
from tests.postgres import Server, drop, fresh, shared

LONG = (
    "tests/bot/desk/test_forum.py",
    "tests/transcripts/",
    "tests/test_docs.py",
    "tests/bot/test_cli.py",
    "tests/browser/",
    "tests/acceptance/",
)

# The same examples each time: a run that fails says something of the change before it. Now and
# then look for new ones: HYPOTHESIS_PROFILE=new make test
# How long one takes says only how busy the machine is.
_ANY_PACE = {"deadline": None, "suppress_health_check": [HealthCheck.too_slow]}
settings.register_profile("same", derandomize=True, **_ANY_PACE)
settings.register_profile("new", derandomize=False, **_ANY_PACE)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "same"))


TODAY = datetime(2026, 11, 23, 10, 7, tzinfo=UTC)
"""A Monday after noon, at the centre. Some day people have to look at the facts again, and women
are shown less until they do: that is tried by itself, and must not end all other tests. Not a
whole hour: a test by itself sees the same kind of time as one in the middle of a run."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The longest files first: a file runs in one worker, and the other must not wait for it.

    xdist keeps this order only with `--no-loadscope-reorder`, as in the Makefile.
    """
    items.sort(key=_place)


def _place(item: pytest.Item) -> int:
    found = (n for n, start in enumerate(LONG) if item.nodeid.startswith(start))
    return next(found, len(LONG))


@pytest.fixture(scope="session", autouse=True)
def a_day_on_which_the_facts_hold() -> Iterator[None]:
    """It begins now, for all tests and for what they fork."""
    with time_machine.travel(TODAY, tick=True):
        yield


@pytest.fixture(autouse=True)
def logging_as_it_was(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A command that makes its log the process's only one does so for the length of a test."""
    root, ours = logging.root, logging.getLogger("phen")
    factory, last, raises = (
        logging.getLogRecordFactory(), logging.lastResort, logging.raiseExceptions
    )  # fmt: skip
    handlers, levels = root.handlers[:], (root.level, ours.level)
    for module, hook in (
        (sys, "excepthook"), (sys, "unraisablehook"), (threading, "excepthook"),
    ):  # fmt: skip
        monkeypatch.setattr(module, hook, getattr(module, hook))
    monkeypatch.setattr(EventLog, "strict", EventLog.strict)
    monkeypatch.setattr(EventLog, "dropped", EventLog.dropped)
    yield
    if logging.getLogRecordFactory() is not factory:
        logging.captureWarnings(False)
        logging.setLogRecordFactory(factory)
        root.handlers[:] = handlers
    logging.lastResort, logging.raiseExceptions = last, raises
    root.setLevel(levels[0])
    ours.setLevel(levels[1])


@pytest.fixture(scope="session")
def postgres_server(tmp_path_factory: pytest.TempPathFactory, worker_id: str) -> Iterator[Server]:
    """The one PostgreSQL of this run, which all its workers use: not to be stopped."""
    mine = tmp_path_factory.getbasetemp()
    with shared(mine if worker_id == "master" else mine.parent) as server:
        yield server


@pytest.fixture
def postgres(postgres_server: Server) -> Iterator[Callable[[], str]]:
    """Each call makes a new, migrated database with no rows, and gives its address."""
    made: list[str] = []

    def make() -> str:
        made.append(fresh(postgres_server.url))
        return made[-1]

    yield make
    for url in made:
        drop(url)
