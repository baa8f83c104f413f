"""How the tests are shared out."""

import pytest

LONG = (
    "tests/bot/desk/test_forum.py",
    "tests/transcripts/",
    "tests/test_docs.py",
    "tests/bot/test_cli.py",
    "tests/browser/",
    "tests/acceptance/",
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The longest files first: a file runs in one worker, and the other must not wait for it.

    xdist keeps this order only with `--no-loadscope-reorder`, as in the Makefile.
    """
    items.sort(key=_place)


def _place(item: pytest.Item) -> int:
    found = (n for n, start in enumerate(LONG) if item.nodeid.startswith(start))
    return next(found, len(LONG))
