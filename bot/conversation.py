"""The path of one message: normalise, step, commit, send.

A tap that only reads touches no table. What must not be lost is committed first; then her
window and her chat follow.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any, assert_never
from zoneinfo import ZoneInfo

from bot import media, render
from bot.channels.base import Channel, Fetch, Handle, Incoming, Outgoing, SendError
from bot.delivery import Delivery
from bot.fills import Fills, Waits, most_telling_first
from bot.handover import Crowded, Handover
from bot.lines import Edit, Lines
from bot.privacy.redact import EventLog
from bot.storage.records import (
    Blocked,
    Case,
    CaseClosed,
    CaseState,
    Medium,
    MediumKind,
    Nudge,
)
from bot.storage.store import Store
from bot.texts import Texts
from bot.windows import Who, Windows
from dialogs import engine, load, match
from dialogs.model import (
    BLOCKED,
    CASE,
    CASE_ENDED,
    CROWDED,
    DANGER,
    NOT_STOPPED,
    PLACE_SLOT,
    REMIND_MINE,
    REMIND_NONE,
    SOURCE_LANGUAGE,
    STOPPED,
    TALK,
    AllowMedia,
    Arrive,
    Content,
    Decline,
    Effect,
    EndCase,
    Fill,
    ForgetEverything,
    Hide,
    Language,
    MediaKind,
    OpenCase,
    Position,
    Relay,
    Remind,
    RenewReminder,
    Screen,
    Sent,
    Show,
    Started,
    Step,
    StopReminders,
    TakeMedium,
    Tapped,
    TextId,
    Typed,
)

SOFIA = ZoneInfo("Europe/Sofia")
FORGET_AGAIN_SECONDS = 5.0

log = EventLog("conversation")


class Conversation:
    """The intake of every channel.

    `page` gives the address of a position on our own page; `stopped` says whether the stop switch
    is on.
    """

    def __init__(
        self,
        content: Content,
        texts: Texts,
        channels: Mapping[str, Channel],
        windows: Windows,
        handover: Handover,
        store: Store,
        delivery: Delivery,
        fills: Fills,
        now: Callable[[], datetime],
        page: render.Page,
        stopped: Callable[[], bool] = lambda: False,
    ) -> None:
        self._content = content
        self._contents = {
            name: load.in_chat(content, lasting=channel.limits.lasting, rings=channel.limits.rings)
            for name, channel in channels.items()
        }
        self._page = page
        self._stopped = stopped
        self._texts = texts
        self._channels = channels
        self._windows = windows
        self._handover = handover
        self._store = store
        self._delivery = delivery
        self._fills = fills
        self._now = now
        self._tasks: set[asyncio.Task[None]] = set()
        self._lines = Lines(content, self._handle, self._apologise, self._spawn)

    # --- the intake's protocol ---------------------------------------------------------------

    def accept(self, incoming: Incoming) -> asyncio.Future[None]:
        """Queue one message; see `Intake.accept`."""
        return self._lines.accept(incoming)

    async def has_case(self, channel: str, address: str) -> bool:
        """Whether anything is kept for this address that she may come back to."""
        return await self._handover.remembers(Who(channel, address))

    def left(self, channel: str, address: str) -> None:
        """Her page was closed: what comes next is held."""
        who = Who(channel, address)
        self._windows.left(who)
        self._spawn(self._absent(who, page=True))

    def blocked(
        self, channel: str, address: str, at: datetime | None = None
    ) -> asyncio.Future[None]:
        """She shut the line out: nothing of her is kept or sent."""
        who = Who(channel, address)
        self._windows.left(who)
        self._windows.touch(who)
        return self._spawn(self._forget_surely(who, at))

    def edited(self, channel: str, address: str, handle: Handle, text: str) -> asyncio.Future[None]:
        """She changed her message: the desk reads what it says now; see `Intake.edited`."""
        who = Who(channel, address)

        async def take() -> None:
            window = self._windows.get(who)
            covered = window is None or not window.open
            await self._handover.edited(who, handle, text, covered=covered)

        return self._lines.edited(who, Edit(handle, take))

    def undelivered(self, channel: str, address: str, handle: Handle) -> asyncio.Future[None]:
        """The platform took a message and could not bring it: the desk sees that."""
        return self._spawn(self._delivery.undelivered(Who(channel, address), handle))

    def here(self, channel: str, address: str) -> None:
        """Her page is open, on her case or beside it: what was held may be sent."""
        if self._stopped():
            return
        who = Who(channel, address)
        self._windows.opened(who)
        self._spawn(self._present(who, page=True))

    def stays(self, channel: str, address: str) -> None:
        """A page of hers was closed at another process; see `WebIntake.stays`."""
        window = self._windows.get(Who(channel, address))
        if window is not None and window.open:
            self.here(channel, address)

    def covered(self, channel: str, address: str) -> None:
        """Another process covers her page: nothing more is said on it from here."""
        self._windows.covered_elsewhere(Who(channel, address))

    async def unread(self, channel: str, address: str) -> Sequence[Outgoing]:
        """The case messages that are due to her; see `Delivery.unread`."""
        if self._stopped():
            return []
        return await self._delivery.unread(Who(channel, address))

    async def settled(self, channel: str, address: str) -> None:
        """Return when nothing she sent is unhandled and no window is on its way to her."""
        who = Who(channel, address)
        await self._lines.settled(who)
        await self._windows.settled_for(who)

    def idle(self, who: Who) -> None:
        """Her window was left alone: it becomes the cover, and her case is held.

        Where a cover would be a new message, nothing comes by itself: it would only ring.
        """
        window = self._windows.get(who)
        if self._lasting(who):
            self._windows.left(who)
            self._spawn(self._absent(who))
            return
        language = window.position.language if window and window.position else SOURCE_LANGUAGE
        self._cover(who, language)

    async def case_changed(self, who: Who) -> None:
        """Her case went on, or was closed: a window that speaks of it says so now.

        A lasting chat has heard it from the message itself.
        """
        lasting = self._lasting(who)
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

    def cover_open(self) -> None:
        """Cover every open window, since the line was stopped."""
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
                    if not self._lasting(who):
                        self.idle(who)
                for who in mine:
                    await self._windows.settled_for(who)
        except TimeoutError:
            log.event("window_dropped")
        finally:
            self._windows.drop_all(channel)

    async def is_covered_elsewhere(self, who: Who) -> bool:
        """Whether another process has covered her page, which is open here."""
        window = self._windows.get(who)
        if window is None or not (window.open and window.in_case):
            return False
        return await self._handover.is_away(who)

    async def cover_all(self) -> None:
        """Cover every open window, for a clean shutdown."""
        for who in self._windows.open_ones():
            self.idle(who)
        while await self._lines.run_dry():  # what came in may have opened a window again
            for who in self._windows.open_ones():
                self.idle(who)
        await self._windows.settled()
        await self.finish()

    async def finish(self) -> None:
        """Return when nothing is under way beside the lines, before the database is closed."""
        while self._tasks:
            await asyncio.wait(set(self._tasks))

    # --- one message -----------------------------------------------------------------------------

    async def _handle(self, who: Who, incoming: Incoming) -> None:
        """Normalise, step, commit, send."""
        if self._stopped():
            return await self._say_stopped(who, incoming)
        if incoming.overtaken:
            return await self._catch_up(who, incoming)
        if incoming.handle is not None:
            self._windows.heard(who, incoming.handle)  # hide takes it along from now on
        case = await self._case_she_writes_in(who, incoming)
        here = self._where(who, incoming, case)
        step = self._step(who, here, incoming, case)
        self._settle_window(who, incoming, step)
        if case is None and incoming.handle is not None:
            self._windows.remove(who, [incoming.handle])
        for effect in step.effects:
            try:
                await self._act(who, incoming, case, effect, step.position.language)
            except (Blocked, Crowded) as refusal:
                node = BLOCKED if isinstance(refusal, Blocked) else CROWDED
                position = Position(step.position.language, node)
                return await self._show(who, self._screen(who, position))

    async def _say_stopped(self, who: Who, incoming: Incoming) -> None:
        """The stop switch: one static screen, whatever she did.

        *Hide* still hides, *delete everything* still deletes, and reminders can be ended.
        """
        here = self._where(who, incoming, None)
        step = engine.step(self._today(who), here, incoming.event)
        if incoming.handle is not None:
            self._windows.remove(who, [incoming.handle])
        ends = any(isinstance(effect, StopReminders) for effect in step.effects)
        if ends:
            await self._stop_reminders(who)
        if any(isinstance(effect, Hide) for effect in step.effects):
            self._put_away(who, incoming, here.language)
        elif not incoming.overtaken:
            self._settle_window(who, incoming, step)
            told = step.position.node if ends else STOPPED  # a cover, too: she sees that it worked
            self._cover(who, here.language, self._screen(who, here.to(told)))
        if any(isinstance(effect, ForgetEverything) for effect in step.effects):
            self._windows.remove(who, await self._handover.forget(who))
        self._spawn(self._absent(who))

    async def _catch_up(self, who: Who, incoming: Incoming) -> None:
        """Keep what she did before something that is handled already, and show nothing of it."""
        if isinstance(incoming.event, Started):
            return
        case = await self._case_she_writes_in(who, incoming)
        here = self._where(who, incoming, case)
        event = replace(incoming.event, fresh=True)
        for effect in engine.step(self._today(who), here, event).effects:
            with contextlib.suppress(CaseClosed, Blocked, Crowded):
                await self._keep(who, incoming, case, effect)

    async def _keep(self, who: Who, incoming: Incoming, case: Case | None, effect: Effect) -> None:
        match effect:
            case Relay(text) if case is not None:
                covered = not self._is_before_her(who, incoming)
                await self._handover.relay(case, text, incoming.key, None, covered=covered)
            case TakeMedium(kind) if case is not None:
                await self._keep_medium(who, incoming, case, kind)
            case AllowMedia():
                await self._allow_media(who)
            case Decline(text) if case is not None:
                await self._handover.decline(case, text, incoming.key, None)
            case OpenCase():
                await self._open_case(who, effect)
                await self._absent(who)
            case EndCase():
                await self._handover.end(who)
                self._windows.case_over(who)
            case StopReminders():  # what she wanted before that may be over already: not `Remind`
                await self._stop_reminders(who)
            case ForgetEverything():
                await self._handover.forget(who)
                self._windows.case_over(who)

    def _step(self, who: Who, here: Position, incoming: Incoming, case: Case | None) -> Step:
        """One step of the dialog; what she writes into a case that has ended is told so."""
        content = self._today(who)
        if (
            case is not None
            or here.node not in (CASE, CASE_ENDED)
            or isinstance(incoming.event, Tapped | Started)
        ):
            return engine.step(content, here, incoming.event)
        ended = here.to(CASE_ENDED)
        step = engine.step(content, ended, incoming.event)
        kept = step.position.node == DANGER or any(isinstance(e, Hide) for e in step.effects)
        if kept or not incoming.event.fresh:
            return step
        return engine.step(content, ended, Tapped(ended))

    async def _case_she_writes_in(self, who: Who, incoming: Incoming) -> Case | None:
        """Only what she writes can belong to a case; *hide* never waits for the database."""
        match incoming.event:
            case Typed(text=text):
                hides = match.is_safe_word(self._content, text)
                return None if hides else await self._handover.case_of(who)
            case Sent():
                return await self._handover.case_of(who)
            case _:
                return None

    def _where(self, who: Who, incoming: Incoming, case: Case | None) -> Position:
        if case is not None:
            return Position(case.language, CASE)
        if incoming.position is not None:
            return incoming.position
        window = self._windows.get(who)
        if window is not None and window.position is not None:
            return window.position
        language = incoming.languages[0] if incoming.languages else SOURCE_LANGUAGE
        return engine.cover(language)

    def _today(self, who: Who) -> Content:
        """The content of her kind of chat, with the facts marked that have run out."""
        return load.on(self._contents[who.channel], self._now().astimezone(SOFIA).date())

    def _lasting(self, who: Who) -> bool:
        return self._channels[who.channel].limits.lasting

    def _settle_window(self, who: Who, incoming: Incoming, step: Step) -> None:
        if any(isinstance(effect, Hide) for effect in step.effects):
            return
        if incoming.window is not None:
            self._windows.tapped(who, incoming.window)
        elif isinstance(incoming.event, Started) or self._windows.has_none(who):
            self._windows.renew(who, incoming.handle)

    # --- effects --------------------------------------------------------------------------------

    async def _act(
        self, who: Who, incoming: Incoming, case: Case | None, effect: Effect, language: Language
    ) -> None:
        match effect:
            case Show(screen):
                await self._show(who, screen)
            case Arrive(screen):
                await self._arrive(who, screen)
            case Hide():
                self._put_away(who, incoming, language)
                await self._absent(who)
            case OpenCase():
                await self._open_case(who, effect)
            case Relay(text):
                await self._relay(who, incoming, case, text)
            case TakeMedium(kind):
                await self._take_medium(who, incoming, case, kind)
            case AllowMedia():
                await self._allow_media(who)
            case Decline(text):
                await self._decline(who, incoming, case, text)
            case EndCase():
                await self._handover.end(who)
                self._windows.case_over(who)
            case Remind():
                await self._remind(who, effect)
            case RenewReminder(place):
                await self._store.renew(*who, place)
            case StopReminders():
                await self._stop_reminders(who)
            case ForgetEverything():
                self._windows.remove(who, await self._handover.forget(who))
                self._windows.case_over(who)
                self._windows.clear_case(who)
            case _:
                assert_never(effect)

    async def _remind(self, who: Who, wanted: Remind) -> None:
        """Kept only where something can be brought to her phone, or is read in the same chat."""
        if self._channels[who.channel].limits.rings:
            await self._store.subscribe(
                *who, wanted.language, wanted.place, wanted.hours, wanted.words
            )

    async def _stop_reminders(self, who: Who) -> None:
        """Nothing comes any more, and what came goes from her chat, but what she looks at."""
        if not self._channels[who.channel].limits.rings:
            return  # none is kept there
        handles = await self._store.unsubscribe(*who)
        window = self._windows.get(who)
        stays = window.handle if window is not None else None
        self._windows.remove(who, [handle for handle in handles if handle != stays])

    async def _open_case(self, who: Who, wanted: OpenCase) -> None:
        nudge = None if wanted.nudge is None else Nudge(*wanted.nudge)
        await self._handover.open_case(who, wanted.language, wanted.topic, wanted.place, nudge)

    async def _allow_media(self, who: Who) -> None:
        case = await self._handover.case_of(who)
        if case is not None:
            await self._handover.allow_media(case)

    async def _show(self, who: Who, screen: Screen) -> None:
        if screen.cover:
            return self._cover(who, screen.position.language, screen)
        node = screen.position.node
        if screen.fill is Fill.CASE or node == TALK:
            return await self._show_talk(who, screen)
        if screen.fill is Fill.REMINDERS:
            return await self._show_reminders(who, screen)
        self._put(who, screen, await self._fills.of(screen, None), in_case=self._in_case(who))

    async def _show_talk(self, who: Who, screen: Screen) -> None:
        """The door to a human: her case if one is open, else what comes before it."""
        case = await self._handover.arrive(who)
        if case is None or case.state is CaseState.CLOSED:
            if screen.position.node == CASE:
                screen = self._screen(who, screen.position.to(CASE_ENDED))
            return self._put(who, screen, await self._fills.of(screen, None), in_case=bool(case))
        screen = self._screen(who, Position(screen.position.language, CASE))
        self._put(
            who,
            screen,
            await self._fills.of(screen, case),
            in_case=True,
            takes_media=case.media_allowed,
        )

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
            on_landed=lambda: self._spawn(self._told(who, shown)),
        )

    async def _told(self, who: Who, shown: Sequence[Waits]) -> None:
        """She sees it now; where that cannot be kept, she only hears of it once more."""
        try:
            await self._store.seen(*who, shown)
        except Exception as error:
            log.failed("not_stored", error)

    async def _arrive(self, who: Who, screen: Screen) -> None:
        """The gate is passed: her case before anything else, and what was held for her.

        Then what is new about that of which she is reminded.
        """
        case = await self._handover.arrive(who)
        if case is None:
            if await self._has_news(who):
                screen = self._screen(who, Position(screen.position.language, REMIND_MINE))
            return await self._show(who, screen)
        if case.state is not CaseState.CLOSED:
            screen = self._screen(who, Position(screen.position.language, CASE))
        added, takes = await self._fills.of(screen, case), case.media_allowed
        self._put(who, screen, added, in_case=True, takes_media=takes)

    async def _has_news(self, who: Who) -> bool:
        """Whether she waits for something of which she has not been told all."""
        rings = self._channels[who.channel].limits.rings
        return rings and await self._store.news_for(*who)

    def _put_away(self, who: Who, incoming: Incoming, language: Language) -> None:
        """What she sees is removed; where it cannot be, the cover stands below it."""
        self._spawn(self._silence(who))
        if not self._lasting(who):
            return self._windows.hide(who, incoming.handle or incoming.window)
        cover = self._screen(who, engine.cover(language))
        self._put(who, cover, "", in_case=False, above=engine.above_cover(self._today(who)))

    async def _present(self, who: Who, *, page: bool = False) -> None:
        try:
            if await self._handover.arrive(who, page=page) is None:
                self._windows.case_over(who)
        except Exception as error:  # her next tap tries again
            log.failed("presence_not_kept", error)

    async def _silence(self, who: Who) -> None:
        """She hid: of the voices in her case nothing more is fetched."""
        try:
            await self._handover.silence(who)
        except Exception as error:  # they go by themselves, in minutes
            log.failed("absence_not_kept", error)

    async def _absent(self, who: Who, *, page: bool = False) -> None:
        """Hold what comes for her. A database that is away must not undo what she sees."""
        try:
            await self._handover.absent(who, page=page)
        except Exception as error:  # her window is closed in memory, and nothing is sent to it
            log.failed("absence_not_kept", error)

    async def _take_medium(
        self, who: Who, incoming: Incoming, case: Case | None, kind: MediaKind
    ) -> None:
        """A photo or a voice: fetched only if she agreed, made anew, and relayed."""
        if case is None:
            return
        if await self._handover.is_blocked(who):  # before anything of his is fetched and opened
            return await self._shut_out(who, incoming, case)
        match await _fetched(incoming, case, kind):
            case Medium() as medium:
                await self._relay(who, incoming, case, "", medium)
            case refusal:
                await self._decline(who, incoming, case, refusal)

    async def _keep_medium(self, who: Who, incoming: Incoming, case: Case, kind: MediaKind) -> None:
        """The same without showing anything."""
        match await _fetched(incoming, case, kind):
            case Medium() as medium:
                covered = not self._is_before_her(who, incoming)
                await self._handover.relay(
                    case, "", incoming.key, None, covered=covered, medium=medium
                )
            case refusal:
                await self._handover.decline(case, refusal, incoming.key, None)

    async def _relay(
        self,
        who: Who,
        incoming: Incoming,
        case: Case | None,
        text: str,
        medium: Medium | None = None,
    ) -> None:
        if case is None:
            return
        covered = not self._is_before_her(who, incoming)
        try:
            await self._handover.relay(
                case, text, incoming.key, incoming.handle, covered=covered, medium=medium
            )
        except Blocked:
            return await self._shut_out(who, incoming, case)
        except CaseClosed:
            self._remove_hers(who, incoming)
            return await self._show(who, self._screen(who, Position(case.language, TALK)))
        if incoming.position is not None and not covered:
            return await self._open_her_window(who)
        window = self._windows.get(who)
        if window is not None and window.open:
            self._windows.touch(who)
            return None if case.present else await self._present(who)
        self._remove_hers(who, incoming)
        self._cover(who, case.language)

    def _is_before_her(self, who: Who, incoming: Incoming) -> bool:
        """Whether what she writes comes from an open window: else it may be somebody else."""
        if incoming.position is not None and not self._before_the_gate(incoming.position):
            return True
        window = self._windows.get(who)
        return window is not None and window.open

    async def _open_her_window(self, who: Who) -> None:
        """What she wrote came with what stands before her: it is open.

        Waited for, so that a *hide* in the same words has the last one.
        """
        self._windows.opened(who)
        if self._channels[who.channel].limits.keeps_window:
            await self._present(who)

    def _before_the_gate(self, position: Position) -> bool:
        node = self._content.nodes[engine.living(self._content, position).node]
        return engine.is_before_the_gate(node)

    async def _decline(self, who: Who, incoming: Incoming, case: Case | None, text: TextId) -> None:
        if case is None:
            return
        try:
            await self._handover.decline(case, text, incoming.key, incoming.handle)
        except Blocked:
            return await self._shut_out(who, incoming, case)
        except CaseClosed:
            self._remove_hers(who, incoming)
            return await self._show(who, self._screen(who, Position(case.language, TALK)))
        window = self._windows.get(who)
        if window is None or not window.open:
            self._remove_hers(who, incoming)

    async def _shut_out(self, who: Who, incoming: Incoming, case: Case) -> None:
        """A consultant takes nothing from this address: a covered window does not say so."""
        self._remove_hers(who, incoming)
        if not self._is_before_her(who, incoming):
            return self._cover(who, case.language)
        await self._show(who, self._screen(who, Position(case.language, BLOCKED)))

    def _remove_hers(self, who: Who, incoming: Incoming) -> None:
        """What she sent while nothing of her case stands in the chat is not left lying there."""
        if incoming.handle is not None:
            self._windows.remove(who, [incoming.handle])

    async def _forget_surely(self, who: Who, at: datetime | None) -> None:
        """Delete all about her, however long the database is away; not what she began since."""
        while True:
            try:
                case = await self._handover.case_of(who)
                if at is not None and case is not None and case.opened_at > at:
                    return
                await self._handover.forget(who, at)
            except Exception as error:
                log.failed("not_stored", error)
                await asyncio.sleep(FORGET_AGAIN_SECONDS)
            else:
                return self._windows.case_over(who)

    def nudge(self, who: Who, language: Language, words: TextId) -> None:
        """Ring her as she allowed: the cover comes anew, with a sound, under her neutral words."""
        window = self._windows.get(who)
        if self._stopped() or words not in self._texts or (window is not None and window.open):
            return
        self._windows.renew(who)
        cover = self._screen(who, engine.cover(language))
        self._put(who, cover, "", in_case=False, above=(words,), silent=False)

    def _cover(self, who: Who, language: str, screen: Screen | None = None) -> None:
        """The harmless screen; the case's messages go, and what comes for her is held."""
        screen = screen or self._screen(who, engine.cover(language))
        was_in_case = self._in_case(who)
        self._put(who, screen, "", in_case=False)
        self._windows.clear_case(who)
        if was_in_case:
            self._spawn(self._absent(who))

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

    def _apologise(self, who: Who, incoming: Incoming) -> None:
        """Something failed here: she sees where 112 is, or is hidden. Needs no database."""
        here = self._where(who, incoming, None)
        try:
            step = engine.step(self._today(who), here, incoming.event)
        except Exception as error:
            log.failed("not_handled", error)
            return self._show_error(who, Position(here.language, DANGER))
        if any(isinstance(effect, Hide) for effect in step.effects):
            self._put_away(who, incoming, step.position.language)
            self._spawn(self._absent(who))
            return
        if any(isinstance(effect, StopReminders) for effect in step.effects):
            not_stopped = self._screen(who, Position(here.language, NOT_STOPPED))
            return self._cover(who, here.language, not_stopped)
        place = here if here.node == DANGER else step.position  # 112 is not taken from her sight
        stays = self._before_the_gate(place) or place.node == DANGER
        self._show_error(who, place if stays else place.to("error"))

    def _show_error(self, who: Who, position: Position) -> None:
        try:
            self._put(who, self._screen(who, position), "", in_case=self._in_case(who))
        except Exception as error:  # her next message must find the line alive
            log.failed("not_handled", error)

    def _in_case(self, who: Who) -> bool:
        window = self._windows.get(who)
        return window is not None and window.in_case

    def _screen(self, who: Who, position: Position) -> Screen:
        return engine.screen(self._today(who), position)

    def _spawn(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task


async def _fetched(incoming: Incoming, case: Case, kind: MediaKind) -> Medium | TextId:
    """What she sent, made anew; or what she is told instead."""
    if not case.media_allowed:
        return "notice.media_ask"
    if incoming.fetch is None:  # her platform gives us none
        return "notice.cannot_take"
    try:
        return await _made_anew(kind, incoming.fetch)
    except (media.Unusable, media.NoTools, SendError) as error:
        log.failed("medium_refused", error)
        return "notice.media_failed"


async def _made_anew(kind: MediaKind, fetch: Fetch) -> Medium:
    raw = await fetch()
    if kind is MediaKind.PHOTO:
        return Medium(MediumKind.PHOTO, await media.photo(raw))
    return Medium(MediumKind.VOICE, await media.voice(raw))
