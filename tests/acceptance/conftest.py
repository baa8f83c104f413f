"""What all acceptance tests share."""

import pytest

from bot.channels import pace


@pytest.fixture(autouse=True)
def _no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    """Telegram's pace is tested elsewhere; here it would only be waited for."""
    monkeypatch.setattr(pace, "CHAT_BURST", 1e6)
    monkeypatch.setattr(pace, "CHAT_PER_SECOND", 1e6)
    monkeypatch.setattr(pace.Pace.__init__, "__defaults__", (1e6, 1e6))
