"""How the tests are shared out."""

import pytest

LONG = ("tests/transcripts/", "tests/test_docs.py", "tests/bot/test_cli.py")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The longest files first: a file runs in one worker, and the other must not wait for it."""
    items.sort(key=lambda item: not item.nodeid.startswith(LONG))
