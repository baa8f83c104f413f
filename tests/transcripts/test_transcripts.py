"""Every transcript, on every channel, in every language."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from bot.channels import chats
from bot.texts import open_content
from tests.line import running_line
from tests.phones import ConsolePhone, Phone, TelegramPhone, WebPhone
from tests.transcripts.script import Clock, Play, scripts

LANGUAGES = open_content()[0].languages


@pytest.fixture(autouse=True)
def _she_taps_fast(monkeypatch: pytest.MonkeyPatch) -> None:
    """Telegram's pace for one chat is tested with the channel; here nobody waits for it."""
    monkeypatch.setattr(chats, "RATES", replace(chats.RATES, chat_per_second=100.0))


@asynccontextmanager
async def playing(channel: str, language: str, folder: Path) -> AsyncIterator[Play]:
    clock = Clock(datetime.now(UTC))
    console = ConsolePhone()
    also = (console.channel,) if channel == "console" else ()
    async with running_line(folder, now=clock, also=also) as line:
        phones: dict[str, Phone] = {
            "telegram": TelegramPhone(line.telegram.woman()),
            "web": WebPhone(line.url),
            "console": console,
        }
        await line.reception()
        consultant = await line.consultant()
        try:
            yield Play(line, phones[channel], language, clock, consultant)
        finally:
            for phone in phones.values():
                await phone.closes()


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("channel", ["console", "telegram", "web"])
@pytest.mark.parametrize("script", scripts(), ids=lambda path: path.stem)
async def test_the_transcript_plays(
    script: Path, channel: str, language: str, tmp_path: Path
) -> None:
    async with playing(channel, language, tmp_path) as play:
        await play.run(script)
