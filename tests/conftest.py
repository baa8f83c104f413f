"""How the tests are shared out."""

import pytest


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The longest file first: a file runs in one worker, and the other must not wait for it."""
    items.sort(key=lambda item: "transcripts" not in item.nodeid)
