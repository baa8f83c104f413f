"""A consultant at the web desk, over HTTP, from her invitation on."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx
import pyotp

from tests.bot.web.test_desk_web import Browser
from tests.line import PATIENCE, eventually

PASSWORD = "four quiet green boats"
_CLAIM = re.compile(r'action="(/desk/case/\w+)/claim"')


class Consultant(Browser):
    """Her browser, and the case that she has."""

    case = ""

    async def comes_in(self, login: str, invitation: str) -> None:
        """Accept the invitation, log out, and log in with password and code."""
        await self.get("/invite")
        await self.submit("/invite", token=invitation)
        await self.submit("/invite/password", password=PASSWORD, again=PASSWORD)
        found = re.search(r'class="secret">([A-Z2-7 ]+)<', self.page)
        assert found, self.text
        totp = pyotp.TOTP(found[1].replace(" ", ""))
        now = int(time.time())
        await self.submit("/invite/code", code=totp.at(now))
        await self.submit("/logout")
        await self.logs_in(login, totp.at(now + 30))  # each code opens once

    async def logs_in(self, login: str, code: str) -> None:
        await self.get("/login")
        await self.post("/login", login=login, password=PASSWORD, code=code)
        assert self.status == 200
        assert "Чакат човек" in self.text

    async def claims(self) -> None:
        """Claim whoever waits; if a colleague was quicker, the next one."""
        until = asyncio.get_running_loop().time() + PATIENCE
        while asyncio.get_running_loop().time() < until:
            await self.get("/desk")
            if found := _CLAIM.search(self.page):
                await self.submit(f"{found[1]}/claim")
                if self.status == 200:
                    self.case = found[1]
                    return
            await asyncio.sleep(0.05)
        raise AssertionError("nobody waits")

    async def replies(self, text: str) -> None:
        await self.submit(f"{self.case}/reply", text=text)
        assert self.status == 200, self.text

    async def sees(self, words: str) -> None:
        async def there() -> bool:
            await self.get(self.case)
            return words in self.text

        assert await eventually(there), self.text


@asynccontextmanager
async def at_the_desk(url: str, login: str, invitation: str) -> AsyncIterator[Consultant]:
    async with httpx.AsyncClient(base_url=url, follow_redirects=True, timeout=60) as client:
        consultant = Consultant(client)
        await consultant.comes_in(login, invitation)
        yield consultant
