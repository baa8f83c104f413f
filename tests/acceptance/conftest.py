"""What all acceptance tests share."""

import pytest

from bot.channels import chats, viber_api
from bot.channels.pace import Rates


@pytest.fixture(autouse=True)
def _no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    """The platforms' pace is tested elsewhere; here it would only be waited for."""
    fast = Rates(1e6, 1e6, 1e6, 1e6)
    monkeypatch.setattr(chats, "RATES", fast)
    monkeypatch.setattr(viber_api, "RATES", fast)
