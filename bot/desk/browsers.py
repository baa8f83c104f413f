"""The browsers that an account was let in by: whoever knows only its name shuts none of them out.

Each account has a cookie of its own there ("device cookie" in OWASP's words). It opens no door:
it says only that failures in this browser are not a stranger's, and are counted apart. It is of
no use once the account has another password, was frozen, or is gone.
"""

from __future__ import annotations

import hmac
import re
import secrets
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from bot.privacy.vault import Vault
from bot.storage.sessions import Credentials

BROWSER_LIFE = timedelta(days=90)
_COOKIE = re.compile(r"([0-9a-f]{32})\.([0-9]{1,10})\.([0-9a-f]{64})")


class Browsers:
    """Makes the cookies, and knows them again."""

    def __init__(self, vault: Vault, now: Callable[[], datetime]) -> None:
        self._vault = vault
        self._now = now

    def cookie(self, login: str) -> str:
        """What the cookie of a tidy login is called: not by the login, whether it exists or not."""
        return f"known-{self._vault.mac('browser', login).hex()[:16]}"

    def value(self, hers: Credentials) -> str:
        """For a browser by which she has just come in."""
        number, at = secrets.token_hex(16), int(self._now().timestamp())
        return f"{number}.{at}.{self._signature(hers, number, at)}"

    def number(self, hers: Credentials | None, value: str) -> str:
        """Under what failures in this browser are counted; empty where it does not know her."""
        found = _COOKIE.fullmatch(value)
        if hers is None or found is None:
            return ""
        number, at, signature = found[1], int(found[2]), found[3]
        if not hmac.compare_digest(self._signature(hers, number, at), signature):
            return ""
        made_at = datetime.fromtimestamp(at, UTC)
        if hers.known_since is not None and made_at <= hers.known_since:
            return ""
        return number if self._now() - made_at < BROWSER_LIFE else ""

    def _signature(self, hers: Credentials, number: str, at: int) -> str:
        return self._vault.mac(
            "known browser", hers.staff.id, hers.password_hash, number, str(at)
        ).hex()
