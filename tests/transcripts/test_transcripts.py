"""Every transcript, on every channel, in every language."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest

from bot.channels import chats, viber_api
from bot.channels.pace import Rates
from bot.texts import open_content
from tests.line import running_line
from tests.phones import ConsolePhone, Phone, TelegramPhone, ViberPhone, WebPhone
from tests.transcripts.script import Clock, Play, scripts

LANGUAGES = open_content()[0].languages
CHANNELS = ("console", "telegram", "web", "viber")
SCRIPTS = scripts(CHANNELS)


@pytest.fixture(autouse=True)
def _she_taps_fast(monkeypatch: pytest.MonkeyPatch) -> None:
    """The platforms' pace for one chat is tested with it; here nobody waits for it."""
    fast = Rates(1e6, 1e6, 1e6, 1e6)
    monkeypatch.setattr(chats, "RATES", fast)
    monkeypatch.setattr(viber_api, "RATES", fast)


@asynccontextmanager
async def playing(channel: str, language: str, folder: Path) -> AsyncIterator[Play]:
    clock = Clock(datetime.now(UTC))
    console = ConsolePhone()
    also = (console.channel,) if channel == "console" else ()
    async with running_line(folder, now=clock, also=also) as line:
        line.viber.url_taps_reply = True
        phones: dict[str, Phone] = {
            "telegram": TelegramPhone(line.telegram.woman()),
            "web": WebPhone(line.url),
            "console": console,
            "viber": ViberPhone(line.viber.woman()),
        }
        await line.reception()
        consultant = await line.consultant()
        try:
            yield Play(line, phones[channel], language, clock, consultant)
        finally:
            for phone in phones.values():
                await phone.closes()


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize(
    ("script", "channel"), SCRIPTS, ids=[f"{path.stem}-{channel}" for path, channel in SCRIPTS]
)
async def test_the_transcript_plays(
    script: Path, channel: str, language: str, tmp_path: Path
) -> None:
    async with playing(channel, language, tmp_path) as play:
        await play.run(script)
