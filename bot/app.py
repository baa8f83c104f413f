"""The only place where the parts are joined. It decides nothing."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from bot.aside import AsideKeeper
from bot.bell import Bell
from bot.broadcasts import Broadcasting
from bot.channels.base import Channel, Limits, Linked, Webhook, Who
from bot.channels.telegram import LIMITS as TELEGRAM_LIMITS
from bot.channels.telegram import NAME as TELEGRAM
from bot.channels.telegram import TelegramChannel, WebhookAt
from bot.channels.telegram_profile import Profile
from bot.channels.viber import LIMITS as VIBER_LIMITS
from bot.channels.viber import ViberChannel
from bot.channels.web import NAME as WEB
from bot.channels.web import WebChannel, Word
from bot.conversation import Conversation
from bot.delivery import OUTBOX, Delivery
from bot.desk.accounts import Accounts
from bot.desk.bells import Bells
from bot.desk.forum import Forum
from bot.desk.service import Desk
from bot.desk.team import Team
from bot.desk.telegram import NAME as DESK
from bot.desk.telegram import DeskBot
from bot.fills import Fills
from bot.handover import Handover
from bot.inbound import Inbound
from bot.links import Links
from bot.live import Changes
from bot.mailing import MAIL, Mailer
from bot.posters import Posters
from bot.privacy.vault import Vault
from bot.screens import Screens
from bot.settings import Settings, TelegramMode
from bot.stop import StopSwitch
from bot.storage.store import Store
from bot.tasks import Tasks
from bot.texts import Texts, open_content
from bot.watch import Watch
from bot.webhooks import SharedWebhook
from bot.windows import Timing, Windows
from dialogs.model import SOURCE_LANGUAGE, Content, Language

_ROOT = Path(__file__).resolve().parent.parent
PICTURES, AUDIO = _ROOT / "pictures", _ROOT / "audio"
FORUM = "forum"
"""In the health: whether the desk's group is kept as the cases are."""
CLOCK = "clock"
"""The role of the one process that lets time pass, and that has the desk's bot and group."""
PAGE = "page"
"""The word by which one process tells the others what concerns a page of hers."""


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
    posters: Posters
    broadcasts: Broadcasting
    web: WebChannel
    windows: Windows
    screens: Screens
    conversation: Conversation
    delivery: Delivery
    mailer: Mailer
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
    linked: dict[str, Linked] = {}
    if settings.telegram_token is not None:
        telegram = _telegram(settings, content, texts, store, now)
        channels[TELEGRAM] = linked[TELEGRAM] = telegram
        hooks += [telegram.hook] if telegram.hook is not None else []
    viber = _viber(settings, content, texts, links, now)
    if viber is not None:
        channels["viber"] = linked["viber"] = viber
        hooks.append(viber)

    async def gone(who: Who) -> None:
        await handover.forget_gone(who)

    windows = Windows(
        channels,
        timing,
        on_idle=lambda who: screens.idle(who),
        on_gone=gone,
        kept=lambda who: handover.kept_handles(who),
        removed=lambda who, handles: handover.removed(who, handles),
    )

    async def noticed(who: Who) -> None:
        await screens.case_changed(who)

    delivery = Delivery(store, windows, channels, content, texts, changes, now, gone, noticed)
    handover = Handover(
        store,
        texts,
        changes,
        now,
        delivery.wake,
        lambda who, language, words: screens.nudge(who, language, words),
        lambda: stop.on,
    )
    stop = StopSwitch(store, lambda: screens.cover_open())
    accounts = Accounts(store, vault, now)
    tasks = Tasks()
    screens = Screens(
        content,
        texts,
        channels,
        windows,
        handover,
        store,
        Fills(texts, store, now, Watch(store, texts, changes, now)),
        now,
        links.page,
        lambda: stop.on,
        tasks,
    )
    conversation = Conversation(
        content,
        channels,
        windows,
        screens,
        Inbound(channels, windows, handover, screens),
        handover,
        store,
        delivery,
        lambda: stop.on,
        tasks,
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
    mailer = Mailer(store, windows, channels, content, texts, now, gone, lambda: stop.on)
    together.hear(MAIL, lambda _: mailer.woken())
    together.missed(mailer.woken)
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
        posters=Posters(texts, linked, settings.public_url),
        broadcasts=Broadcasting(store, content, texts, _ringing(channels), now, mailer.wake),
        web=web,
        windows=windows,
        screens=screens,
        conversation=conversation,
        delivery=delivery,
        mailer=mailer,
        handover=handover,
        desk=desk,
        desk_bot=desk_bot,
        bells=bells,
        forum=_forum(settings, desk, vault, texts, store, changes, now, bells),
        bell=Bell(store, changes, now, bells, handover),
        stop=stop,
        accounts=accounts,
        team=Team(store, accounts, changes, delivery.wake, texts),
        aside=AsideKeeper(store),
        now=now,
    )


def _ringing(channels: Mapping[str, Channel]) -> dict[str, Limits]:
    """What the channels that can ring can show; where there is none, what they could."""
    limits = {name: each.limits for name, each in channels.items() if each.limits.rings}
    return limits or {TELEGRAM: TELEGRAM_LIMITS, ViberChannel.name: VIBER_LIMITS}


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
