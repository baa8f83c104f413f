"""Phen with a broadcast, under a cap that the bench sets, and with its clock some hours ahead.

What comes on SIGUSR1 is what staff do: compose, propose, approve. Each line that it prints is one
thing that the bench waits for.
"""

from __future__ import annotations

import asyncio
import json
import signal
import time
from datetime import timedelta

from bench.contestants import Told
from bench.contestants.phen import answer, consultant, joined, settled
from bot.app import Phen, utc_now
from bot.channels.chats import RATES
from bot.channels.pace import Rates
from bot.channels.telegram import NAME
from bot.serving import serve, until_signalled
from bot.settings import Settings
from bot.storage.broadcasts import digest
from bot.storage.mail_records import Audience, BroadcastState
from dialogs.model import SOURCE_LANGUAGE

LOOK_SECONDS = 0.2
COUNTS = ("recipients", "delivered", "gone", "held", "unknown", "failed")
_WORDS = {SOURCE_LANGUAGE: "В петък идваме един час по-рано."}
_AUDIENCE = Audience(frozenset(), frozenset({SOURCE_LANGUAGE}), frozenset({NAME}))


def run(told: Told, variant: str) -> None:
    """Run until it is stopped. `variant`: the cap, a colon, the seconds ahead."""
    cap, _, ahead = variant.partition(":")
    asyncio.run(serving(settled(told), int(cap), float(ahead)))


async def serving(settings: Settings, cap: int, ahead: float) -> None:
    """The program, a consultant, and who approves the broadcast."""
    rates = Rates.under(cap, RATES.chat_per_second, RATES.chat_burst)
    shift = timedelta(seconds=ahead)
    approved = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGUSR1, approved.set)
    async with joined(settings, rates, lambda: utc_now() + shift) as phen:
        tasks = [
            asyncio.create_task(answer(phen, await consultant(phen))),
            asyncio.create_task(_broadcast(phen, approved)),
            asyncio.create_task(_report(phen)),
        ]
        try:
            await serve(phen, until_signalled())
        finally:
            for task in tasks:
                task.cancel()


async def _broadcast(phen: Phen, approved: asyncio.Event) -> None:
    """Begin it, and say how long that took."""
    await approved.wait()
    draft = await phen.store.save_broadcast(None, "first", _AUDIENCE, _WORDS)
    assert draft is not None
    await phen.store.propose(draft.id, "first")
    began = time.monotonic()
    await phen.store.approve(draft.id, "second", digest(draft))
    phen.mailer.wake()
    print(json.dumps({"enqueue": time.monotonic() - began}), flush=True)


async def _report(phen: Phen) -> None:
    """Say what became of it, once it has ended."""
    while True:
        await asyncio.sleep(LOOK_SECONDS)
        for each in await phen.store.broadcasts():
            if each.state is BroadcastState.DONE:
                print(json.dumps({name: getattr(each, name) for name in COUNTS}), flush=True)
                return
