"""What Telegram says about the line: set where it differs, and as late as Telegram wants."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any

from bot.channels.base import Refused, SendError, Throttled, Unauthorised
from bot.channels.polling import Backoff

if TYPE_CHECKING:
    from bot.channels.telegram_api import MuteBot

Ask = Callable[[Coroutine[Any, Any, None]], Coroutine[Any, Any, None]]
"""Awaits one call of the library's; its error becomes a `SendError`."""


@dataclass(frozen=True, slots=True)
class Profile:
    """What Telegram says about the line in one language, all in the cover's words."""

    language: str  # two letters; empty: for everybody else, by default as the first one
    name: str
    short_description: str
    description: str
    commands: tuple[tuple[str, str], ...] = ()


class Introduction:
    """Sets name, descriptions and commands. Telegram counts how often: it is compared first."""

    def __init__(self, bot: MuteBot, ask: Ask, profile: Sequence[Profile]) -> None:
        self._bot, self._ask = bot, ask
        self._profiles = list(profile)
        if profile and all(each.language for each in profile):
            self._profiles.insert(0, replace(profile[0], language=""))

    async def make(self, random: Callable[[], float], refused: Callable[[], None]) -> None:
        """Return once all is as it should be, or was `refused`."""
        backoff = Backoff(random, first=5, most=3600)
        steps = [partial(step, each) for each in self._profiles for step in self._steps()]
        while steps:
            pause, later = 0.0, []
            for step in steps:
                try:
                    await self._ask(step())
                except Throttled as throttled:
                    pause = max(pause, throttled.seconds)
                    later.append(step)
                except (Refused, Unauthorised):
                    refused()
                except SendError:
                    later.append(step)
            steps = later
            if steps:
                await asyncio.sleep(max(pause, backoff.next()))

    def _steps(self) -> Sequence[Callable[[Profile], Coroutine[Any, Any, None]]]:
        return self._name_it, self._describe, self._describe_shortly, self._offer_commands

    async def _name_it(self, profile: Profile) -> None:
        language = profile.language or None
        if (await self._bot.get_my_name(language)).name != profile.name:
            await self._bot.set_my_name(profile.name, language)

    async def _describe(self, profile: Profile) -> None:
        language = profile.language or None
        if (await self._bot.get_my_description(language)).description != profile.description:
            await self._bot.set_my_description(profile.description, language)

    async def _describe_shortly(self, profile: Profile) -> None:
        language, text = profile.language or None, profile.short_description
        if (await self._bot.get_my_short_description(language)).short_description != text:
            await self._bot.set_my_short_description(text, language)

    async def _offer_commands(self, profile: Profile) -> None:
        language = profile.language or None
        offered = await self._bot.get_my_commands(language_code=language)
        if tuple((each.command, each.description) for each in offered) != profile.commands:
            await self._bot.set_my_commands(profile.commands, language_code=language)
