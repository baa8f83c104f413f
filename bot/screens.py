"""What stands before each woman: the screen that she asked for, or the cover.

The windows bring it to her chat. Here it is decided what it is, with what is known of her case
and of her reminders, and kept whether she looks at it: what comes for her while she does not is
held.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from zoneinfo import ZoneInfo

from bot import render
from bot.channels.base import Channel, Handle, Incoming, Who
from bot.fills import Fills, Shown, most_telling_first
from bot.handover import Handover
from bot.privacy.redact import EventLog
from bot.storage.records import Case, CaseState
from bot.storage.store import Store
from bot.tasks import Tasks
from bot.texts import Texts
from bot.windows import Windows
from dialogs import engine, load
from dialogs.model import (
    CASE,
    CASE_ENDED,
    MAX_CHOICES,
    PLACE_SLOT,
    REMIND_MINE,
    REMIND_NONE,
    REMINDER,
    SOURCE_LANGUAGE,
    TALK,
    Content,
    Fill,
    Language,
    Position,
    Screen,
    TextId,
    Typed,
)

SOFIA = ZoneInfo("Europe/Sofia")
_DIGITS = frozenset(str(number) for number in range(1, MAX_CHOICES + 1))

log = EventLog("conversation")


class Screens:
    """The screens of all women.

    `page` gives the address of a position on our own page; `stopped` says whether the stop switch
    is on; `tasks` runs what a screen does not wait for.
    """

    def __init__(
        self,
        content: Content,
        texts: Texts,
        channels: Mapping[str, Channel],
        windows: Windows,
        handover: Handover,
        store: Store,
        fills: Fills,
        now: Callable[[], datetime],
        page: render.Page,
        stopped: Callable[[], bool],
        tasks: Tasks,
    ) -> None:
        self._content = content
        self._contents = {
            name: load.in_chat(content, lasting=channel.limits.lasting, rings=channel.limits.rings)
            for name, channel in channels.items()
        }
        self._texts = texts
        self._channels = channels
        self._windows = windows
        self._handover = handover
        self._store = store
        self._fills = fills
        self._now = now
        self._page = page
        self._stopped = stopped
        self._tasks = tasks

    def content(self, who: Who) -> Content:
        """The content of her kind of chat, with the facts marked that have run out."""
        return load.on(self._contents[who.channel], self._now().astimezone(SOFIA).date())

    def lasting(self, who: Who) -> bool:
        """Whether her chat keeps everything."""
        return self._channels[who.channel].limits.lasting

    def is_before_the_gate(self, position: Position) -> bool:
        """Whether whoever holds her phone may see it."""
        node = self._content.nodes[engine.living(self._content, position).node]
        return engine.is_before_the_gate(node)

    def where(self, who: Who, incoming: Incoming) -> Position:
        """What stands before her, as far as her page or memory tells; else the cover."""
        language = incoming.languages[0] if incoming.languages else SOURCE_LANGUAGE
        return self._known(who, incoming) or engine.cover(language)

    def _known(self, who: Who, incoming: Incoming) -> Position | None:
        window = self._windows.get(who)
        return incoming.position or (window.position if window is not None else None)

    async def case_of(self, who: Who, incoming: Incoming) -> Case | None:
        """Her open case, to be answered at once in the language of what stands before her."""
        case, here = await self._handover.case_of(who), self._known(who, incoming)
        known = incoming.languages[:1] if here is None else (here.language,)
        speaks = next((each for each in known if each in self._content.languages), None)
        return case if case is None or speaks is None else replace(case, language=speaks)

    async def read_at(self, who: Who, incoming: Incoming) -> Position:
        """As `where`. Only of a digit where nothing is known the store is asked, too.

        It may be one of a reminder that came before our start, or that memory had no room for.
        """
        event, known = incoming.event, self._known(who, incoming)
        is_digit = isinstance(event, Typed) and event.text.strip() in _DIGITS
        if is_digit and known is None and self._channels[who.channel].limits.rings:
            language = await self._store.reminded_in(*who)
            if language is not None:
                return Position(language, REMINDER)
        return self.where(who, incoming)

    # --- what she asks for -------------------------------------------------------------------

    async def show(self, who: Who, wanted: Screen | Position) -> None:
        """Put a screen before her, with what is known to the shell alone."""
        screen = self._screen(who, wanted) if isinstance(wanted, Position) else wanted
        if screen.cover:
            return self._cover(who, screen)
        if screen.fill is Fill.CASE or screen.position.node == TALK:
            return await self._show_talk(who, screen)
        if screen.fill is Fill.REMINDERS:
            return await self._show_reminders(who, screen)
        self._put(who, screen, await self._fills.of(screen, None), in_case=self._in_case(who))

    async def arrive(self, who: Who, screen: Screen) -> None:
        """The gate is passed: her case before anything else, and what was held for her.

        Then what is new about that of which she is reminded.
        """
        case = await self._handover.arrive(who, screen.position.language)
        if case is None:
            if await self._has_news(who):
                screen = self._screen(who, Position(screen.position.language, REMIND_MINE))
            return await self.show(who, screen)
        if case.state is not CaseState.CLOSED:
            screen = self._screen(who, Position(screen.position.language, CASE))
        added, takes = await self._fills.of(screen, case), case.media_allowed
        self._put(who, screen, added, in_case=True, takes_media=takes)

    def put_away(self, who: Who, language: Language, newest: Handle | None) -> None:
        """What she sees is removed; where it cannot be, the cover stands below it.

        Where none of it is known, all down to `newest` goes.
        """
        self._tasks.spawn(self._silence(who))
        if not self.lasting(who):
            return self._windows.hide(who, newest)
        cover = self._screen(who, engine.cover(language))
        self._put(who, cover, "", in_case=False, above=engine.above_cover(self.content(who)))

    def cover(self, who: Who, position: Position) -> None:
        """A screen that says nothing; the case's messages go, and what comes for her is held."""
        self._cover(who, self._screen(who, position))

    def error(self, who: Who, position: Position) -> None:
        """Where she is told that something failed. Needs no database, and never fails itself."""
        try:
            self._put(who, self._screen(who, position), "", in_case=self._in_case(who))
        except Exception as error:  # her next message must find the line alive
            log.failed("not_handled", error)

    def _cover(self, who: Who, screen: Screen) -> None:
        was_in_case = self._in_case(who)
        self._put(who, screen, "", in_case=False)
        self._windows.clear_case(who)
        if was_in_case:
            self._tasks.spawn(self.absent(who))

    async def _show_talk(self, who: Who, screen: Screen) -> None:
        """The door to a human: her case if one is open, else what comes before it."""
        case = await self._handover.arrive(who, screen.position.language)
        if case is None or case.state is CaseState.CLOSED:
            if screen.position.node == CASE:
                screen = self._screen(who, screen.position.to(CASE_ENDED))
            return self._put(who, screen, await self._fills.of(screen, None), in_case=bool(case))
        screen = self._screen(who, Position(screen.position.language, CASE))
        added, takes = await self._fills.of(screen, case), case.media_allowed
        self._put(who, screen, added, in_case=True, takes_media=takes)

    async def _show_reminders(self, who: Who, screen: Screen) -> None:
        """Of what she is reminded; what stands before her then counts as told to her."""
        hers = most_telling_first(await self._store.subscriptions_of(*who))
        places = [one.municipality for one, _ in hers]
        if not places:
            none = self._screen(who, screen.position.to(REMIND_NONE))
            return self._put(who, none, "", in_case=self._in_case(who))
        if screen.position.answer(PLACE_SLOT) not in places:  # she renews the one that she sees
            screen = self._screen(who, screen.position.with_answer(PLACE_SLOT, places[0]))
        added, shown = await self._fills.of_reminders(screen, hers, self._channels[who.channel])
        self._put(
            who,
            screen,
            added,
            in_case=self._in_case(who),
            on_landed=lambda: self._tasks.spawn(self._told(who, shown)),
        )

    async def _told(self, who: Who, shown: Shown) -> None:
        """She sees it now; where that cannot be kept, she only hears of it once more."""
        try:
            await self._store.seen(*who, *shown)
        except Exception as error:
            log.failed("not_stored", error)

    async def _has_news(self, who: Who) -> bool:
        """Whether she waits for something of which she has not been told all."""
        rings = self._channels[who.channel].limits.rings
        return rings and await self._store.news_for(*who)

    # --- what comes by itself ----------------------------------------------------------------

    def idle(self, who: Who) -> None:
        """Her window was left alone: it becomes the cover, and her case is held.

        Where a cover would be a new message, nothing comes by itself: it would only ring.
        """
        window = self._windows.get(who)
        if self.lasting(who):
            self._windows.left(who)
            self._tasks.spawn(self.absent(who))
            return
        language = window.position.language if window and window.position else SOURCE_LANGUAGE
        self.cover(who, engine.cover(language))

    def cover_open(self) -> None:
        """Cover every open window: the line was stopped, or this process ends."""
        for who in self._windows.open_ones():
            self.idle(who)

    async def give_up(self, channel: str, patience: float) -> None:
        """Another process has this channel now: what is open is covered, and then forgotten.

        It cannot know of these windows, and nobody else would cover one that is left alone.
        """
        mine = [who for who in self._windows.open_ones() if who.channel == channel]
        try:
            async with asyncio.timeout(patience):
                for who in mine:
                    if not self.lasting(who):
                        self.idle(who)
                for who in mine:
                    await self._windows.settled_for(who)
        except TimeoutError:
            log.event("window_dropped")
        finally:
            self._windows.drop_all(channel)

    def nudge(self, who: Who, language: Language, words: TextId) -> None:
        """Ring her as she allowed: the cover comes anew, with a sound, under her neutral words."""
        window = self._windows.get(who)
        if self._stopped() or words not in self._texts or (window is not None and window.open):
            return
        self._windows.renew(who)
        cover = self._screen(who, engine.cover(language))
        self._put(who, cover, "", in_case=False, above=(words,), silent=False)

    async def case_changed(self, who: Who) -> None:
        """Her case went on, or was closed: a window that speaks of it says so now.

        A lasting chat has heard it from the message itself.
        """
        lasting = self.lasting(who)
        if not lasting and not self._stands_on_case(who):
            return
        case = await self._handover.case_of(who)
        if lasting:
            if case is None:
                self._windows.case_over(who)
            return
        window = self._windows.get(who)
        if window is None or window.position is None or not self._stands_on_case(who):
            return  # she went elsewhere meanwhile, or hid it
        screen = self._screen(who, window.position.to(CASE if case else CASE_ENDED))
        added = await self._fills.of_case(screen.position.language, case) if case else ""
        if not self._stands_on_case(who):
            return
        takes = case is not None and case.media_allowed
        stays = not self._channels[who.channel].limits.keeps_window  # a page keeps what was said
        self._put(who, screen, added, in_case=bool(case) or stays, takes_media=takes)
        if case is None:
            self._windows.case_over(who)

    def _stands_on_case(self, who: Who) -> bool:
        window = self._windows.get(who)
        here = window.position if window is not None and window.open else None
        return here is not None and here.node in (CASE, CASE_ENDED)

    # --- whether she looks at it -------------------------------------------------------------

    async def present(self, who: Who, *, page: bool = False) -> None:
        """She looks: what was held for her may be sent."""
        try:
            if await self._handover.arrive(who, page=page) is None:
                self._windows.case_over(who)
        except Exception as error:  # her next tap tries again
            log.failed("presence_not_kept", error)

    async def absent(self, who: Who, *, page: bool = False) -> None:
        """Hold what comes for her. A database that is away must not undo what she sees."""
        try:
            await self._handover.absent(who, page=page)
        except Exception as error:  # her window is closed in memory, and nothing is sent to it
            log.failed("absence_not_kept", error)

    async def _silence(self, who: Who) -> None:
        """She hid: of the voices in her case nothing more is fetched."""
        try:
            await self._handover.silence(who)
        except Exception as error:  # they go by themselves, in minutes
            log.failed("absence_not_kept", error)

    # -----------------------------------------------------------------------------------------

    def _in_case(self, who: Who) -> bool:
        window = self._windows.get(who)
        return window is not None and window.in_case

    def _screen(self, who: Who, position: Position) -> Screen:
        return engine.screen(self.content(who), position)

    def _put(
        self,
        who: Who,
        screen: Screen,
        added: str,
        *,
        in_case: bool,
        above: Sequence[TextId] = (),
        silent: bool = True,
        takes_media: bool = False,
        on_landed: Callable[[], object] | None = None,
    ) -> None:
        message = render.render(
            screen,
            self._texts,
            self._channels[who.channel].limits,
            self._now(),
            above=above,
            added=added,
            in_case=in_case,
            page=self._page,
        )
        message = replace(message, silent=silent, takes_media=takes_media)
        self._windows.show(who, message, on_landed)
