"""The only place where the parts are joined. It decides nothing."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import gc
import signal
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import uvicorn
from starlette.applications import Starlette

from bot.aside import AsideKeeper
from bot.bell import Bell
from bot.channels.base import Channel, Unauthorised, Webhook
from bot.channels.telegram import NAME as TELEGRAM
from bot.channels.telegram import TelegramChannel, WebhookAt
from bot.channels.telegram_profile import Profile
from bot.channels.viber import ViberChannel
from bot.channels.web import NAME as WEB
from bot.channels.web import WebChannel, Word
from bot.conversation import Conversation
from bot.delivery import OUTBOX, Delivery, remove_old
from bot.demo import Demo
from bot.desk.accounts import Accounts
from bot.desk.bells import Bells
from bot.desk.forum import Forum
from bot.desk.service import Desk
from bot.desk.team import Team
from bot.desk.telegram import NAME as DESK
from bot.desk.telegram import DeskBot
from bot.fills import Fills
from bot.handover import Handover
from bot.links import Links
from bot.live import Changes
from bot.metrics import Metrics
from bot.privacy.redact import EventLog
from bot.privacy.vault import Vault
from bot.settings import Settings, TelegramMode
from bot.stop import STOP, StopSwitch
from bot.storage.store import Store
from bot.texts import Texts, open_content
from bot.watch import Watch
from bot.web.app import WebParts, create_app
from bot.webhooks import SharedWebhook
from bot.windows import Timing, Who, Windows
from dialogs.model import SOURCE_LANGUAGE, Content, Language
from scheduler.clock import Clock

_ROOT = Path(__file__).resolve().parent.parent
PICTURES, AUDIO = _ROOT / "pictures", _ROOT / "audio"
DRAIN_SECONDS = 6.0
"""Of the ten that a clean stop may take; the rest is for the web server and the database."""
LAST_SECONDS = 1.0
FORUM = "forum"
"""In the health: whether the desk's group is kept as the cases are."""
CLOCK = "clock"
"""The role of the one process that lets time pass, and that has the desk's bot and group."""
PAGE = "page"
"""The word by which one process tells the others what concerns a page of hers."""
TICK_SECONDS = 5
BEGIN_SECONDS = 2.0
"""How long the web waits at the start for the channels."""
GIVE_UP_SECONDS = 3.0
"""How long a channel that was lost to another process goes on covering what is open."""
AGAIN_SECONDS = 5.0
"""Until a channel that broke begins again."""

log = EventLog("program")


def utc_now() -> datetime:
    """The real clock."""
    return datetime.now(UTC)


@dataclass(slots=True)
class Phen:
    """The whole program, joined and not yet running."""

    settings: Settings
    content: Content
    texts: Texts
    vault: Vault
    store: Store
    changes: Changes
    channels: dict[str, Channel]
    viber: ViberChannel | None
    webhooks: dict[str, SharedWebhook]
    links: Links
    web: WebChannel
    windows: Windows
    conversation: Conversation
    delivery: Delivery
    handover: Handover
    desk: Desk
    desk_bot: DeskBot | None
    bells: Bells | None
    forum: Forum | None
    bell: Bell
    stop: StopSwitch
    accounts: Accounts
    team: Team
    aside: AsideKeeper
    now: Callable[[], datetime]
    failing: set[str] = field(default_factory=set)

    @property
    def places(self) -> dict[str, tuple[str, str]]:
        """Each municipality's EKATTE code and Bulgarian name, by its LAU code."""
        return {
            code: (place.ekatte, self.texts.say(SOURCE_LANGUAGE, place.name))
            for code, place in self.content.places.items()
        }

    async def health(self) -> dict[str, bool]:
        """What works: the database, each configured channel, the desk's own bot and its group."""
        together = self.store.together
        reached = {
            name: channel.reached
            if name == WEB or together.holds(name)
            else together.somebody_holds(name)
            for name, channel in self.channels.items()
        }
        if self.desk_bot is not None:
            reached[DESK] = self.desk_bot.reached or not together.holds(CLOCK)
        if self.forum is not None:
            reached[FORUM] = True
        works = {name: answers and name not in self.failing for name, answers in reached.items()}
        return {"database": await self.store.answers(), **works}


@contextlib.asynccontextmanager
async def join(
    settings: Settings,
    *,
    now: Callable[[], datetime] = utc_now,
    timing: Timing | None = None,
    also: Sequence[Channel] = (),
) -> AsyncIterator[Phen]:
    """Join the parts; on leaving, connections are closed.

    `also` are channels beside the configured ones. What a server beside us is doing is left
    alone: only `serve` puts right what the last run left half done.
    """
    content, texts = open_content()
    vault = Vault.open(settings.key_file)
    store = await Store.open(settings.database, vault, now)
    try:
        phen = _joined(settings, content, texts, vault, store, now, timing or Timing(), also)
        try:
            yield phen
        finally:
            for channel in phen.channels.values():
                await channel.close()
            if phen.desk_bot is not None:
                await phen.desk_bot.close()
    finally:
        await store.close()


def _joined(
    settings: Settings,
    content: Content,
    texts: Texts,
    vault: Vault,
    store: Store,
    now: Callable[[], datetime],
    timing: Timing,
    also: Sequence[Channel],
) -> Phen:
    together = store.together
    changes = Changes(together)

    def elsewhere(word: Word, address: str, number: int) -> None:
        index = vault.blind_index(WEB, address).hex()
        together.tell(PAGE, f"{word} {index} {number}")

    web = WebChannel(elsewhere=elsewhere)
    channels: dict[str, Channel] = {channel.name: channel for channel in (web, *also)}
    links = Links(vault, settings.address, (PICTURES, AUDIO), now, store)
    hooks: list[Webhook] = []
    if settings.telegram_token is not None:
        channels[TELEGRAM] = telegram = _telegram(settings, content, texts, store, now)
        hooks += [telegram.hook] if telegram.hook is not None else []
    viber = _viber(settings, content, texts, links, now)
    if viber is not None:
        channels["viber"] = viber
        hooks.append(viber)

    async def gone(who: Who) -> None:
        await handover.forget(who)

    windows = Windows(
        channels,
        timing,
        on_idle=lambda who: conversation.idle(who),
        on_gone=gone,
        kept=lambda who: handover.kept_handles(who),
        removed=lambda who, handles: handover.removed(who, handles),
    )

    async def noticed(who: Who) -> None:
        await conversation.case_changed(who)

    delivery = Delivery(store, windows, channels, content, texts, changes, now, gone, noticed)
    handover = Handover(
        store,
        texts,
        changes,
        now,
        delivery.wake,
        lambda who, language, words: conversation.nudge(who, language, words),
        lambda: stop.on,
    )
    stop = StopSwitch(store, lambda: conversation.cover_open())
    accounts = Accounts(store, vault, now)
    conversation = Conversation(
        content,
        texts,
        channels,
        windows,
        handover,
        delivery,
        Fills(texts, store, now, Watch(store, texts, changes, now)),
        now,
        links.page,
        lambda: stop.on,
    )
    lasting = frozenset(name for name, each in channels.items() if each.limits.lasting)
    desk = Desk(store, changes, now, delivery.wake, texts, lasting)

    def told(word: str) -> None:
        kind, index, number = word.split()
        for address in web.addresses:
            if vault.blind_index(WEB, address).hex() == index:
                web.told(conversation, Word(kind), address, int(number))

    together.hear(PAGE, told)
    together.hear(OUTBOX, lambda _: delivery.woken())
    together.missed(delivery.woken)
    desk_bot = _desk_bot(settings, now)
    bells = None if desk_bot is None else Bells(desk_bot, store, vault, texts, now)
    return Phen(
        settings=settings,
        content=content,
        texts=texts,
        vault=vault,
        store=store,
        changes=changes,
        channels=channels,
        viber=viber,
        webhooks={hook.name: SharedWebhook(hook, store, together) for hook in hooks},
        links=links,
        web=web,
        windows=windows,
        conversation=conversation,
        delivery=delivery,
        handover=handover,
        desk=desk,
        desk_bot=desk_bot,
        bells=bells,
        forum=_forum(settings, desk, vault, texts, store, changes, now, bells),
        bell=Bell(store, changes, now, bells),
        stop=stop,
        accounts=accounts,
        team=Team(store, accounts, changes, delivery.wake, texts),
        aside=AsideKeeper(store),
        now=now,
    )


def _telegram(
    settings: Settings,
    content: Content,
    texts: Texts,
    store: Store,
    now: Callable[[], datetime],
) -> TelegramChannel:
    if settings.telegram_token is None:
        raise AssertionError
    webhook, secret = None, settings.telegram_webhook_secret
    if settings.telegram_mode is TelegramMode.WEBHOOK and secret is not None:
        webhook = WebhookAt(f"{settings.address}/telegram/webhook", secret.get_secret_value())
    return TelegramChannel(
        settings.telegram_token.get_secret_value(),
        settings.telegram_api,
        PICTURES,
        store.media,
        [_profile(language, texts) for language in content.languages],
        now,
        webhook=webhook,
        contested=lambda: store.together.contested(TELEGRAM),
    )


def _desk_bot(settings: Settings, now: Callable[[], datetime]) -> DeskBot | None:
    if settings.desk_token is None:
        return None
    return DeskBot(settings.desk_token.get_secret_value(), settings.telegram_api, now)


def _forum(
    settings: Settings,
    desk: Desk,
    vault: Vault,
    texts: Texts,
    store: Store,
    changes: Changes,
    now: Callable[[], datetime],
    bells: Bells | None,
) -> Forum | None:
    if bells is None or settings.desk_chat is None:
        return None
    return Forum(bells, settings.desk_chat, desk, store, vault, texts, changes, now)


def _viber(
    settings: Settings,
    content: Content,
    texts: Texts,
    links: Links,
    now: Callable[[], datetime],
) -> ViberChannel | None:
    if settings.viber_token is None:
        return None
    return ViberChannel(
        settings.viber_token.get_secret_value(),
        settings.viber_api,
        {language: texts.say(language, "bot.name") for language in content.languages},
        links,
        f"{settings.address}/viber/webhook",
        now,
    )


def _profile(language: Language, texts: Texts) -> Profile:
    """What the bot says of itself, in the cover's words."""
    return Profile(
        language=language,
        name=texts.say(language, "bot.name"),
        short_description=texts.say(language, "bot.short_description"),
        description=texts.say(language, "bot.description"),
        commands=(("start", texts.say(language, "bot.command_start")),),
    )


# --- serving -----------------------------------------------------------------------------------


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
            intake=phen.conversation,
            desk=phen.desk,
            accounts=phen.accounts,
            bells=phen.bells,
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
    with phen.delivery.serving(WEB):
        await _receive(phen, WEB, partial(phen.web.run, phen.conversation))


async def _channel(phen: Phen, channel: Channel) -> None:
    """A channel's intake, windows and outbox, for as long as they are this process's."""
    while True:
        try:
            await phen.store.take_over(channel.name)
            break
        except Exception as error:
            log.failed("tick_failed", error)
        await asyncio.sleep(AGAIN_SECONDS)
    try:
        with phen.delivery.serving(channel.name):
            await _receive(phen, channel.name, partial(channel.run, phen.conversation))
    finally:
        if not phen.store.together.holds(channel.name):
            await phen.conversation.give_up(channel.name, GIVE_UP_SECONDS)


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
        if await phen.conversation.covered_elsewhere(Who(WEB, address)):
            phen.web.told(phen.conversation, Word.WIPE, address, 0)


def _new_clock() -> Clock:
    return Clock(failed=lambda name, error: log.alarm("tick_failed", error))


def _own_clock(phen: Phen) -> Clock:
    """What every process does by itself, for its own pages and windows."""

    async def ring() -> None:
        await phen.handover.ring_away(phen.delivery.served)

    async def tidy() -> None:
        await remove_old(phen.store, phen.windows, phen.delivery.served, phen.now())

    clock = _new_clock()
    clock.every(TICK_SECONDS, phen.stop.refresh, "stop switch")
    clock.every(TICK_SECONDS, ring, "her ring")
    clock.every(TICK_SECONDS, phen.aside.tick, "set aside")
    clock.every(600, tidy, "old messages")
    return clock


async def _time(phen: Phen) -> None:
    """Let time pass, for all processes."""

    async def pages() -> None:
        await phen.store.pages_closed(WEB, await phen.store.together.living())

    async def purge() -> None:
        await phen.store.purge(phen.now())

    clock = _new_clock()
    clock.every(TICK_SECONDS, phen.handover.tick, "waiting")
    clock.every(TICK_SECONDS, phen.bell.tick, "bell")
    clock.every(TICK_SECONDS, pages, "lost pages")
    clock.every(3600, purge, "retention")
    clock.start()
    try:
        await asyncio.get_running_loop().create_future()
    finally:
        await _still(clock)


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
    except TimeoutError:
        log.alarm("drain_late")
