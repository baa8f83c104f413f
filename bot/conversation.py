"""The path of one message: normalise, step, commit, send.

A tap that only reads touches no table. What must not be lost is committed first; then her
window and her chat follow.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import assert_never

from bot.channels.base import Channel, Handle, Incoming, Outgoing, Who
from bot.delivery import Delivery
from bot.handover import Crowded, Handover
from bot.inbound import Inbound
from bot.leftovers import take_out
from bot.lines import Edit, Lines
from bot.privacy.redact import EventLog
from bot.screens import Screens
from bot.storage.records import Blocked, Case, CaseClosed, Nudge
from bot.storage.store import Store
from bot.tasks import Tasks
from bot.windows import Windows
from dialogs import engine, match
from dialogs.model import (
    BLOCKED,
    CASE,
    CASE_ENDED,
    CROWDED,
    DANGER,
    NOT_STOPPED,
    STOPPED,
    AllowMedia,
    Arrive,
    Content,
    Decline,
    Effect,
    EndCase,
    Event,
    ForgetEverything,
    Hide,
    Language,
    OpenCase,
    Position,
    Relay,
    Remind,
    RenewReminder,
    Sent,
    Show,
    Started,
    Step,
    StopReminders,
    TakeMedium,
    Tapped,
    Typed,
)

FORGET_AGAIN_SECONDS = 5.0

log = EventLog("conversation")


class Conversation:
    """The intake of every channel.

    `stopped` says whether the stop switch is on; `tasks` runs what nobody waits for.
    """

    def __init__(
        self,
        content: Content,
        channels: Mapping[str, Channel],
        windows: Windows,
        screens: Screens,
        inbound: Inbound,
        handover: Handover,
        store: Store,
        delivery: Delivery,
        stopped: Callable[[], bool],
        tasks: Tasks,
    ) -> None:
        self._content = content
        self._channels = channels
        self._windows = windows
        self._screens = screens
        self._inbound = inbound
        self._handover = handover
        self._store = store
        self._delivery = delivery
        self._stopped = stopped
        self._tasks = tasks
        self._lines = Lines(content, self._handle, self._apologise, tasks.spawn)

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
        self._tasks.spawn(self._screens.absent(who, page=True))

    def blocked(
        self, channel: str, address: str, at: datetime | None = None
    ) -> asyncio.Future[None]:
        """She shut the line out: nothing of her is kept or sent."""
        who = Who(channel, address)
        self._windows.left(who)
        self._windows.touch(who)
        return self._tasks.spawn(self._forget_surely(who, at))

    def edited(self, channel: str, address: str, handle: Handle, text: str) -> asyncio.Future[None]:
        """She changed her message: the desk reads what it says now; see `Intake.edited`."""
        who = Who(channel, address)

        async def take() -> None:
            covered = not self._windows.is_open(who)
            await self._handover.edited(who, handle, text, covered=covered)

        return self._lines.edited(who, Edit(handle, take))

    def undelivered(self, channel: str, address: str, handle: Handle) -> asyncio.Future[None]:
        """The platform took a message and could not bring it: the desk sees that."""
        return self._tasks.spawn(self._delivery.undelivered(Who(channel, address), handle))

    def here(self, channel: str, address: str) -> None:
        """Her page is open, on her case or beside it: what was held may be sent."""
        if self._stopped():
            return
        who = Who(channel, address)
        self._windows.opened(who)
        self._tasks.spawn(self._screens.present(who, page=True))

    def stays(self, channel: str, address: str) -> None:
        """A page of hers was closed at another process; see `WebIntake.stays`."""
        if self._windows.is_open(Who(channel, address)):
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

    async def is_covered_elsewhere(self, who: Who) -> bool:
        """Whether another process has covered her page, which is open here."""
        window = self._windows.get(who)
        if window is None or not (window.open and window.in_case):
            return False
        return await self._handover.is_away(who)

    async def cover_all(self) -> None:
        """Cover every open window, for a clean shutdown."""
        self._screens.cover_open()
        while await self._lines.run_dry():  # what came in may have opened a window again
            self._screens.cover_open()
        await self._windows.settled()
        await self.finish()

    async def finish(self) -> None:
        """Return when nothing is under way beside the lines, before the database is closed."""
        await self._tasks.finish()

    # --- one message -------------------------------------------------------------------------

    async def _handle(self, who: Who, incoming: Incoming) -> None:
        """Normalise, step, commit, send."""
        if self._stopped():
            return await self._say_stopped(who, incoming)
        if incoming.overtaken:
            return await self._catch_up(who, incoming)
        if incoming.handle is not None:
            self._windows.heard(who, incoming.handle)  # hide takes it along from now on
        case = await self._case_she_writes_in(who, incoming)
        here, event = await self._read(who, incoming, case)
        step = self._step(who, here, event, case)
        self._settle_window(who, incoming, step)
        if case is None and incoming.handle is not None:
            self._windows.remove(who, [incoming.handle])
        for effect in step.effects:
            try:
                await self._act(who, incoming, case, effect, step.position.language)
            except (Blocked, Crowded) as refusal:
                node = BLOCKED if isinstance(refusal, Blocked) else CROWDED
                position = Position(step.position.language, node)
                return await self._screens.show(who, position)

    async def _say_stopped(self, who: Who, incoming: Incoming) -> None:
        """The stop switch: one static screen, whatever she did.

        *Hide* still hides, *delete everything* still deletes, and reminders can be ended.
        """
        here = self._screens.where(who, incoming)
        step = engine.step(self._screens.content(who), here, incoming.event)
        if incoming.handle is not None:
            self._windows.remove(who, [incoming.handle])
        ends = any(isinstance(effect, StopReminders) for effect in step.effects)
        if ends:
            await self._stop_reminders(who)
        if any(isinstance(effect, ForgetEverything) for effect in step.effects):
            await self._forget(who, incoming)
        if any(isinstance(effect, Hide) for effect in step.effects):
            self._put_away(who, incoming, here.language)
        elif not incoming.overtaken:
            self._settle_window(who, incoming, step)
            told = step.position.node if ends else STOPPED  # a cover, too: she sees that it worked
            self._screens.cover(who, here.to(told))
        self._tasks.spawn(self._screens.absent(who))

    async def _catch_up(self, who: Who, incoming: Incoming) -> None:
        """Keep what she did before something that is handled already, and show nothing of it."""
        case = await self._case_she_writes_in(who, incoming)
        here, event = await self._read(who, incoming, case)
        if isinstance(event, Started):
            return
        step = engine.step(self._screens.content(who), here, replace(event, fresh=True))
        for effect in step.effects:
            with contextlib.suppress(CaseClosed, Blocked, Crowded):
                await self._keep(who, incoming, case, effect)

    async def _keep(self, who: Who, incoming: Incoming, case: Case | None, effect: Effect) -> None:
        match effect:
            case Relay() | TakeMedium() | Decline() if case is not None:
                await self._inbound.keep(who, incoming, case, effect)
            case AllowMedia():
                await self._allow_media(who)
            case OpenCase():
                await self._open_case(who, effect)
                await self._screens.absent(who)
            case EndCase():
                await self._handover.end(who)
                self._windows.case_over(who)
            case StopReminders():  # what she wanted before that may be over already: not `Remind`
                await self._stop_reminders(who)
            case ForgetEverything():
                await self._forget(who, incoming)

    async def _read(
        self, who: Who, incoming: Incoming, case: Case | None
    ) -> tuple[Position, Event]:
        """Where what she did is read: her words in her case, if she has one, whatever covers it."""
        here, event = await self._screens.read_at(who, incoming), incoming.event
        if case is None:
            return here, event
        if isinstance(event, Typed) and not self._inbound.is_before_her(who, incoming):
            event = replace(event, covered_by=here)
        return Position(case.language, CASE), event

    def _step(self, who: Who, here: Position, event: Event, case: Case | None) -> Step:
        """One step of the dialog; what she writes into a case that has ended is told so."""
        content = self._screens.content(who)
        has_ended = case is None and here.node in (CASE, CASE_ENDED)
        if not has_ended or isinstance(event, Tapped | Started):
            return engine.step(content, here, event)
        ended = here.to(CASE_ENDED)
        step = engine.step(content, ended, event)
        heeded = Hide if here.node == CASE else Hide | StopReminders  # who was told can stop
        kept = step.position.node == DANGER or any(isinstance(e, heeded) for e in step.effects)
        if kept or not event.fresh:
            return step
        return engine.step(content, ended, Tapped(ended))

    async def _case_she_writes_in(self, who: Who, incoming: Incoming) -> Case | None:
        """Only what she writes can belong to a case; *hide* never waits for the database."""
        match incoming.event:
            case Typed(text=text):
                hides = match.is_safe_word(self._content, text)
                return None if hides else await self._screens.case_of(who, incoming)
            case Sent():
                return await self._screens.case_of(who, incoming)
            case _:
                return None

    def _settle_window(self, who: Who, incoming: Incoming, step: Step) -> None:
        if any(isinstance(effect, Hide) for effect in step.effects):
            return
        if incoming.window is not None:
            self._windows.tapped(who, incoming.window)
        elif isinstance(incoming.event, Started) or self._windows.has_none(who):
            self._windows.renew(who, incoming.handle)

    def _apologise(self, who: Who, incoming: Incoming) -> None:
        """Something failed here: she sees where 112 is, or is hidden. Needs no database."""
        here = self._screens.where(who, incoming)
        try:
            step = engine.step(self._screens.content(who), here, incoming.event)
        except Exception as error:
            log.failed("not_handled", error)
            return self._screens.error(who, Position(here.language, DANGER))
        if any(isinstance(effect, Hide) for effect in step.effects):
            self._put_away(who, incoming, step.position.language)
            self._tasks.spawn(self._screens.absent(who))
            return
        if any(isinstance(effect, StopReminders) for effect in step.effects):
            return self._screens.cover(who, Position(here.language, NOT_STOPPED))
        place = here if here.node == DANGER else step.position  # 112 is not taken from her sight
        stays = self._screens.is_before_the_gate(place) or place.node == DANGER
        self._screens.error(who, place if stays else place.to("error"))

    # --- effects -----------------------------------------------------------------------------

    async def _act(
        self, who: Who, incoming: Incoming, case: Case | None, effect: Effect, language: Language
    ) -> None:
        match effect:
            case Show(screen):
                await self._screens.show(who, screen)
            case Arrive(screen):
                await self._screens.arrive(who, screen)
            case Hide():
                self._put_away(who, incoming, language)
                await self._screens.absent(who)
            case OpenCase():
                await self._open_case(who, effect)
            case Relay() | TakeMedium() | Decline():
                if case is not None:
                    await self._inbound.take(who, incoming, case, effect)
            case AllowMedia():
                await self._allow_media(who)
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
                await self._forget(who, incoming)
                self._windows.clear_case(who)
            case _:
                assert_never(effect)

    def _put_away(self, who: Who, incoming: Incoming, language: Language) -> None:
        self._screens.put_away(who, language, incoming.handle or incoming.window)

    async def _remind(self, who: Who, wanted: Remind) -> None:
        """Kept only where something can be brought to her phone, or is read in the same chat."""
        if self._channels[who.channel].limits.rings:
            await self._store.subscribe(
                *who, wanted.language, wanted.place, wanted.hours, wanted.words
            )

    async def _stop_reminders(self, who: Who) -> None:
        """Nothing comes any more, and what came goes from her chat, but what she looks at."""
        if self._channels[who.channel].limits.rings:  # else none is kept there
            take_out(self._store, self._windows, who, await self._store.unsubscribe(*who))

    async def _forget(self, who: Who, incoming: Incoming) -> None:
        """What is kept of her is deleted, and what came goes from her chat."""
        left = await self._handover.forget(who)
        take_out(self._store, self._windows, who, left, anew=not incoming.overtaken)
        self._windows.case_over(who)

    async def _open_case(self, who: Who, wanted: OpenCase) -> None:
        nudge = None if wanted.nudge is None else Nudge(*wanted.nudge)
        await self._handover.open_case(who, wanted.language, wanted.topic, wanted.place, nudge)

    async def _allow_media(self, who: Who) -> None:
        case = await self._handover.case_of(who)
        if case is not None:
            await self._handover.allow_media(case)

    async def _forget_surely(self, who: Who, at: datetime | None) -> None:
        """Delete all about her, however long the database is away; not what she began since."""
        while True:
            try:
                case = await self._handover.case_of(who)
                if at is not None and case is not None and case.opened_at > at:
                    return
                await self._handover.forget_gone(who, at)
            except Exception as error:
                log.failed("not_stored", error)
                await asyncio.sleep(FORGET_AGAIN_SECONDS)
            else:
                return self._windows.case_over(who)
