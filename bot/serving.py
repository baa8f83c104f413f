"""The program at work: the web, the roles that it holds, its clocks, and a clean stop."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import gc
import signal
import socket
from collections.abc import Awaitable, Callable, Coroutine, Iterator
from dataclasses import replace
from functools import partial
from typing import Any

import uvicorn
from starlette.applications import Starlette

from bot.app import CLOCK, FORUM, Phen
from bot.channels.base import Channel, Unauthorised, Who
from bot.channels.web import NAME as WEB
from bot.channels.web import Word
from bot.delivery import remove_old
from bot.demo import Demo
from bot.desk.telegram import NAME as DESK
from bot.leftovers import remove_leftovers
from bot.metrics import Metrics
from bot.posters import Posters
from bot.privacy.redact import EventLog
from bot.settings import Settings
from bot.stop import STOP
from bot.web.app import WebParts, create_app
from scheduler.clock import Clock

DRAIN_SECONDS = 6.0
"""Of the ten that a clean stop may take; the rest is for the web server and the database."""
LAST_SECONDS = 1.0
TICK_SECONDS = 5
TIDY_SECONDS = 600
"""Until what still stands in a chat is tried again."""
BEGIN_SECONDS = 2.0
"""How long the web waits at the start for the channels."""
GIVE_UP_SECONDS = 3.0
"""How long a channel that was lost to another process goes on covering what is open."""
AGAIN_SECONDS = 5.0
"""Until a channel that broke begins again."""

log = EventLog("program")


class AddressInUse(Exception):
    """Something else listens on that port; stop it, or set PHEN_PORT to another one."""

    def __init__(self) -> None:
        super().__init__(type(self).__doc__)


class AddressWrong(Exception):
    """PHEN_HOST and PHEN_PORT are nothing that this machine lets us listen on; set others."""

    def __init__(self) -> None:
        super().__init__(type(self).__doc__)


class _WebServer(uvicorn.Server):
    """uvicorn without its own signal handlers: the whole program stops together."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


def web_app(phen: Phen, demo: Demo | None = None) -> Starlette:
    """The ASGI application over these parts."""
    return create_app(
        WebParts(
            texts=phen.texts,
            content=phen.content,
            channel=phen.web,
            webhooks=phen.webhooks,
            links=phen.links,
            posters=phen.posters if demo is None else _opened_here(phen),
            broadcasts=phen.broadcasts,
            intake=phen.conversation,
            desk=phen.desk,
            accounts=phen.accounts,
            bells=phen.bells,
            desk_group=phen.forum is not None,
            team=phen.team,
            stop=phen.stop,
            store=phen.store,
            changes=phen.changes,
            now=phen.now,
            health=phen.health,
            metrics=Metrics(phen.store, phen.now, _could_hold(phen)),
            public_url=phen.settings.address,
            demo=demo is not None,
            demo_login=demo.login if demo else None,
            demo_hint=demo.hint if demo else None,
        )
    )


def _opened_here(phen: Phen) -> Posters:
    """The demo's posters: their code opens on this computer alone."""
    return replace(phen.posters, web=phen.settings.address)


async def serve(
    phen: Phen,
    stop: asyncio.Event,
    *,
    demo: Demo | None = None,
    listening: Callable[[int], None] = lambda port: None,
) -> None:
    """Run the web server, the channels, the outbox and the clock until `stop` is set.

    `listening` is told the port. Raises `AddressInUse`, `AddressWrong` or `ServedAlready`
    before anything runs.
    """
    listener = _bind(phen.settings)
    with contextlib.ExitStack() as ours:
        ours.callback(listener.close)
        ours.enter_context(phen.store.served_from_here())
        await _serve(phen, stop, listener, demo, listening)


async def _serve(
    phen: Phen,
    stop: asyncio.Event,
    listener: socket.socket,
    demo: Demo | None,
    listening: Callable[[int], None],
) -> None:
    together = phen.store.together
    await phen.store.close_unreadable()
    await phen.store.recover(await together.living())
    await phen.store.pages_closed(WEB, await together.living())
    await phen.stop.refresh()
    server = _WebServer(
        uvicorn.Config(
            web_app(phen, demo),
            log_config=None,
            access_log=False,
            server_header=False,
            lifespan="off",
            timeout_graceful_shutdown=2,
        )
    )
    words = asyncio.create_task(_hear(phen))
    clock = _own_clock(phen)
    among = asyncio.create_task(together.run(lambda: phen.changes.watched_here))
    sending = asyncio.create_task(phen.delivery.run())
    work = [asyncio.create_task(each) for each in _roles(phen)]
    with contextlib.suppress(TimeoutError):  # a database that is away keeps nobody from 112
        await asyncio.wait_for(_begun(phen), BEGIN_SECONDS)
    serving = asyncio.create_task(server.serve([listener]))
    serving.add_done_callback(lambda _: stop.set())
    clock.start()
    gc.collect()  # the content and all code stay: else each full collection looks them through,
    gc.freeze()  # and every woman waits for it
    listening(listener.getsockname()[1])
    log.event("started")
    try:
        await stop.wait()
    finally:
        log.event("stopping")
        until = asyncio.get_running_loop().time() + DRAIN_SECONDS
        await _still(clock)
        await _end(*work)
        await _drain(phen, until)
        server.should_exit = True
        await serving
        await _end(sending, words)
        with contextlib.suppress(Exception):
            await asyncio.wait_for(phen.aside.tick(), LAST_SECONDS)
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(phen.conversation.finish(), LAST_SECONDS)
        among.cancel()  # only now may another process take over what was ours
        await asyncio.wait({among}, timeout=LAST_SECONDS)
        log.event("stopped")


def until_signalled() -> asyncio.Event:
    """An event that SIGTERM or Ctrl+C sets."""
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    return stop


def _bind(settings: Settings) -> socket.socket:
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((settings.host, settings.port))
        listener.listen()  # whoever calls before the server runs waits, and is not refused
    except OSError as error:
        listener.close()
        raise (AddressInUse if error.errno == errno.EADDRINUSE else AddressWrong) from None
    return listener


def _could_hold(phen: Phen) -> list[str]:
    return [*(name for name in phen.channels if name != WEB), CLOCK]


def _roles(phen: Phen) -> list[Coroutine[Any, Any, None]]:
    """What this process does: the web always, each other part while no other process has it."""
    hold = phen.store.together.hold
    roles = [
        _web(phen),
        *(
            hold(name, partial(_channel, phen, channel))
            for name, channel in phen.channels.items()
            if channel is not phen.web
        ),
        hold(CLOCK, partial(_time, phen)),
        *(webhook.run() for webhook in phen.webhooks.values()),
    ]
    if phen.desk_bot is not None and phen.bells is not None:
        handle = phen.bells.took if phen.forum is None else phen.forum.took
        bot = partial(phen.desk_bot.run, handle)
        roles.append(hold(CLOCK, partial(_receive, phen, DESK, bot)))
    if phen.forum is not None:
        roles.append(hold(CLOCK, partial(_receive, phen, FORUM, phen.forum.run)))
    return roles


async def _begun(phen: Phen) -> None:
    """Return when each channel that is ours is served: whoever calls from then on is heard."""
    ours = {name for name in phen.channels if phen.store.together.holds(name)}
    await phen.delivery.serves(ours)


async def _web(phen: Phen) -> None:
    with _serving(phen, WEB):
        await _receive(phen, WEB, partial(phen.web.run, phen.conversation))


async def _channel(phen: Phen, channel: Channel) -> None:
    """A channel's intake, windows and outbox, for as long as they are this process's."""
    while True:
        try:
            await phen.store.take_over(channel.name)
            await phen.store.take_over_mailings(channel.name)
            break
        except Exception as error:
            log.failed("tick_failed", error)
        await asyncio.sleep(AGAIN_SECONDS)
    mailing = asyncio.create_task(phen.mailer.run(channel.name))
    try:
        with _serving(phen, channel.name):
            await _receive(phen, channel.name, partial(channel.run, phen.conversation))
    finally:
        mailing.cancel()  # it settles by itself what is under way: to cover what is open is urgent
        if not phen.store.together.holds(channel.name):
            await phen.screens.give_up(channel.name, GIVE_UP_SECONDS)


@contextlib.contextmanager
def _serving(phen: Phen, name: str) -> Iterator[None]:
    """From here the channel is served: also what was to be removed when a process was killed."""

    async def clear() -> None:
        try:
            await remove_leftovers(phen.store, phen.windows, phen.channels, {name})
        except Exception as error:  # the clock tries again
            log.failed("tick_failed", error)

    with phen.delivery.serving(name):
        clearing = asyncio.create_task(clear())
        try:
            yield
        finally:
            clearing.cancel()


async def _receive(phen: Phen, name: str, run: Callable[[], Awaitable[None]]) -> None:
    """Receive on one channel. A fault of ours in it is an alarm, and it begins again."""
    while True:
        try:
            return await run()
        except Unauthorised:
            phen.failing.add(name)
            return log.alarm("channel_stopped")
        except Exception as error:
            phen.failing.add(name)
            log.alarm("channel_stopped", error)
        await asyncio.sleep(AGAIN_SECONDS)
        phen.failing.discard(name)


async def _hear(phen: Phen) -> None:
    """Look at the stop switch whenever another process says so; and, where words were lost,
    at what they may have been about."""
    said, missed = asyncio.Event(), asyncio.Event()
    phen.store.together.hear(STOP, lambda _: said.set())
    for event in (missed, said):
        phen.store.together.missed(event.set)
    while True:
        await said.wait()
        said.clear()
        try:
            await phen.stop.refresh()
            if missed.is_set():
                await _cover_pages(phen)
                missed.clear()
        except Exception as error:
            log.failed("tick_failed", error)
            await asyncio.sleep(1)
            said.set()


async def _cover_pages(phen: Phen) -> None:
    """The word that she hid may have been lost: her pages here are covered now."""
    for address in phen.web.addresses:
        if await phen.conversation.is_covered_elsewhere(Who(WEB, address)):
            phen.web.told(phen.conversation, Word.WIPE, address, 0)


def _new_clock() -> Clock:
    return Clock(failed=lambda name, error: log.alarm("tick_failed", error))


def _own_clock(phen: Phen) -> Clock:
    """What every process does by itself, for its own pages and windows."""

    async def ring() -> None:
        await phen.handover.ring_away(phen.delivery.served)

    async def tidy() -> None:
        await remove_old(phen.store, phen.windows, phen.delivery.served, phen.now())

    async def clear() -> None:
        await remove_leftovers(phen.store, phen.windows, phen.channels, phen.delivery.served)

    clock = _new_clock()
    clock.every(TICK_SECONDS, phen.stop.refresh, "stop switch")
    clock.every(TICK_SECONDS, ring, "her ring")
    clock.every(TICK_SECONDS, phen.aside.tick, "set aside")
    clock.every(TIDY_SECONDS, tidy, "old messages")
    clock.every(TIDY_SECONDS, clear, "leftovers")
    return clock


async def _time(phen: Phen) -> None:
    """Let time pass, for all processes."""

    async def pages() -> None:
        await phen.store.pages_closed(WEB, await phen.store.together.living())

    clock = _new_clock()
    clock.every(TICK_SECONDS, phen.handover.tick, "waiting")
    clock.every(TICK_SECONDS, phen.bell.tick, "bell")
    clock.every(TICK_SECONDS, phen.mailer.tick, "reminders")
    clock.every(TICK_SECONDS, pages, "lost pages")
    clock.every(3600, partial(_purge, phen), "retention")
    clock.start()
    try:
        await asyncio.get_running_loop().create_future()
    finally:
        await _still(clock)


async def _purge(phen: Phen) -> None:
    """Destroy what its time has come for; where there is no group, also who was to leave it."""
    await phen.store.purge(phen.now())
    if phen.forum is None:
        await phen.store.drop_group_notes()


async def _still(clock: Clock) -> None:
    clock.stop()
    await clock.finish(1)


async def _end(*tasks: asyncio.Task[None]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


async def _drain(phen: Phen, until: float) -> None:
    """Cover every open window and finish what is under way, for as long as there is time."""
    try:
        async with asyncio.timeout_at(until):
            await phen.conversation.cover_all()
            await phen.delivery.drain()
            await phen.mailer.drain()
    except TimeoutError:
        log.alarm("drain_late")
