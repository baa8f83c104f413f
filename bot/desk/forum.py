"""The desk inside Telegram: a topic per case in the centre's own group.

The other face of the desk, over the same service. What stands in a topic is worked out anew
from the case each time something changes, and only what differs is sent: so a restart, a lost
answer or a topic that somebody deleted leaves nothing out and nothing in the wrong place. A
topic goes with its case.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from functools import partial
from typing import Any
from weakref import WeakValueDictionary

from bot.channels.base import Gone, Refused, SendError, Throttled, Unauthorised, Unknown, Unsent
from bot.channels.chats import Declined, Why
from bot.desk.bells import Bells
from bot.desk.membership import Membership
from bot.desk.service import (
    Desk,
    EmptyText,
    NoSuchCase,
    NoSuchMessage,
    NotAllowed,
    NothingToDecide,
    SentAlready,
    TextTooLong,
    WrittenSince,
)
from bot.desk.telegram import (
    NAME,
    Button,
    DeskUpdate,
    GroupMoved,
    TopicGone,
    What,
)
from bot.desk.topics import TopicTexts, Wanted
from bot.live import Changes
from bot.privacy.redact import EventLog
from bot.privacy.vault import Vault
from bot.storage.records import (
    Author,
    CannotBeUndone,
    Case,
    CaseClosed,
    CaseState,
    NotStanding,
    NotYours,
    OnItsWay,
    StaffMember,
    Topic,
    TopicLine,
)
from bot.storage.store import Store
from bot.texts import Texts
from dialogs.model import SOURCE_LANGUAGE, TextId

NOTE = "//"
"""What begins so is an internal note."""
COMMAND = "/"
"""What begins so is for the bot: it answers with the buttons."""
SETTLE_SECONDS = 0.2
"""Changes come in crowds: a reply is stored, sent and settled. One look serves them all."""
LOOK_SECONDS = 60.0
AGAIN_SECONDS = 5.0
REFUSED_SECONDS = 60.0
FINISH_SECONDS = 2.0
BEGUN = b"begun"
"""Instead of what a line says: it was about to be sent, and may stand there already."""
PRESSED = "pressed:"
"""What an entry begins with that is no line, but a press that was acted on."""
REPEATED = b"repeated:"
"""Before what a line says: it may stand there twice, and says so."""

REFUSALS: Mapping[type[Exception], TextId] = {
    CannotBeUndone: "bell.refused.lasting",
    CaseClosed: "bell.refused.closed",
    EmptyText: "bell.refused.empty",
    NoSuchCase: "bell.refused.closed",
    NoSuchMessage: "bell.refused.decided",
    NotAllowed: "bell.refused.not_allowed",
    NothingToDecide: "bell.refused.decided",
    NotStanding: "bell.refused.standing",
    NotYours: "bell.refused.not_yours",
    OnItsWay: "bell.refused.on_its_way",
    SentAlready: "bell.refused.edited",
    TextTooLong: "bell.refused.too_long",
    WrittenSince: "bell.refused.written_since",
}
"""What the service refuses, and what is said then."""

log = EventLog(NAME)


class Forum:
    """Keeps a topic for each open case, and takes what consultants do there.

    What is not of this group is for `bells`, who shares its bot.
    """

    def __init__(
        self,
        bells: Bells,
        chat: int,
        desk: Desk,
        store: Store,
        vault: Vault,
        texts: Texts,
        changes: Changes,
        now: Callable[[], datetime],
    ) -> None:
        self._bells = bells
        self._bot = bells.bot
        self._chat = chat
        self._desk = desk
        self._store = store
        self._vault = vault
        self._say = partial(texts.say, SOURCE_LANGUAGE)
        self._says = TopicTexts(desk, store, texts, now)
        self._changes = changes
        self._membership = Membership(self._bot, chat, store, changes)
        self._locks: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()
        self._later: dict[str, float] = {}

    # --- what stands there -------------------------------------------------------------------

    async def run(self) -> None:
        """Keep the topics as the cases are, until cancelled and through every outage.

        Beside them, who is in the group. Raises `Unauthorised` when the token is not accepted.
        """
        async with self._membership.kept(), self._changes.listen(desk=False) as changed:
            while True:
                changed.clear()
                if pause := await self._round():
                    await asyncio.sleep(pause)
                    continue
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(self._until_next()):  # `wait_for` may eat a stop
                        await changed.wait()
                await asyncio.sleep(SETTLE_SECONDS)

    async def _round(self) -> float:
        """Look at every case; the seconds to leave the whole group alone after that."""
        try:
            await self._sync()
        except GroupMoved as moved:
            await self._moved(await self._group(), moved.chat)
            return SETTLE_SECONDS
        except Throttled as pause:
            return pause.seconds
        except Unauthorised:
            raise
        except Exception as error:
            log.failed("forum_failed", error)
            return AGAIN_SECONDS
        return 0.0

    def _until_next(self) -> float:
        now = asyncio.get_running_loop().time()
        return max(0.0, min([LOOK_SECONDS, *(at - now for at in self._later.values())]))

    async def _sync(self) -> None:
        cases = [case.id for case in await self._store.open_cases()]
        ended = [each.case_id for each in await self._store.topics() if each.case_id not in cases]
        now = asyncio.get_running_loop().time()
        self._later = {case: at for case, at in self._later.items() if at > now}
        for case_id in (*ended, *cases):
            if case_id not in self._later:
                await _to_its_end(self._look_at(case_id))

    async def _look_at(self, case_id: str) -> None:
        """One case. What is wrong with one topic holds up no other."""
        try:
            async with self._lock(case_id):
                await self._show(case_id)
        except (GroupMoved, Throttled, Unauthorised, Unsent):
            raise
        except Exception as error:
            wrong = isinstance(error, Refused | Gone)
            (log.alarm if wrong else log.failed)("forum_failed", error)
            pause = REFUSED_SECONDS if wrong else AGAIN_SECONDS
            self._later[case_id] = asyncio.get_running_loop().time() + pause

    async def _show(self, case_id: str) -> None:
        case = await self._store.case(case_id)
        known = await self._topic_of(case_id)
        if case is None or case.state is CaseState.CLOSED:
            if known is not None:
                await self._end(known)
            return
        try:
            await self._fill(case, known)
        except TopicGone:  # deleted by hand: never the General topic, but a new one
            await self._store.drop_topic(case_id)
            await self._fill(case, None)

    async def _fill(self, case: Case, known: Topic | None) -> None:
        topic = await self._open(case, known)
        there = {(line.entry, line.part): line for line in await self._store.topic_lines(case.id)}
        for wanted in await self._says.all_of(case, there):
            await self._put(topic, wanted, there.pop((wanted.entry, wanted.part), None))
        for line in there.values():
            if line.entry.startswith(PRESSED):
                continue
            if line.line is not None:
                with contextlib.suppress(Declined):
                    await self._bot.remove(topic.chat, line.line)
            await self._store.drop_line(case.id, line)

    async def _open(self, case: Case, known: Topic | None) -> Topic:
        """The case's topic. Who waits again gets a new one: in the old one stand her words."""
        group = await self._group()
        told = case.state is not CaseState.WAITING
        if known is not None and known.chat == group and (told or not known.told):
            if told and not known.told:
                await self._store.topic_told(case.id)
            return known
        if known is not None:
            await self._end(known)
        # If the answer is lost, or we are killed here, a topic stays that holds only its name.
        topic = Topic(case.id, group, await self._bot.make_topic(group, case.alias), told)
        await self._store.add_topic(topic)
        return topic

    async def _end(self, topic: Topic) -> None:
        """Delete a topic with all that stands in it."""
        try:
            await self._bot.delete_topic(topic.chat, topic.thread)
        except TopicGone:
            pass
        except Refused:
            log.alarm("topic_not_deleted")
            if topic.chat == await self._group():
                raise
        await self._store.drop_topic(topic.case_id)

    async def _put(self, topic: Topic, wanted: Wanted, old: TopicLine | None) -> None:
        shown = self._vault.mac("forum", wanted.text, json.dumps(wanted.buttons))
        new = TopicLine(wanted.entry, wanted.part, None, wanted.answers)
        if old is not None and _may_stand_twice(old):
            wanted = replace(wanted, text=self._say("bell.repeated", words=wanted.text))
            new, shown = replace(new, shown=BEGUN), REPEATED + shown
        line = old.line if old is not None else None
        if old is not None and line is not None:
            if old.shown == shown:
                return
            # Until the answer is there nobody knows what it says: it is edited once more.
            open_end = REPEATED if _may_stand_twice(old) else None
            await self._store.save_line(topic.case_id, replace(new, line=line, shown=open_end))
            try:
                await self._bot.edit(topic.chat, line, wanted.text, wanted.buttons)
            except Declined as refusal:
                if refusal.why in (Why.NO_EDIT, Why.NOT_THERE):
                    line = None
                elif refusal.why is not Why.SAME:
                    raise
        if line is None:
            line = await self._post(topic, wanted, new)
        await self._store.save_line(topic.case_id, replace(new, line=line, shown=shown))

    async def _post(self, topic: Topic, wanted: Wanted, before: TopicLine) -> int:
        """Send it; whoever is killed here, or gets no answer, knows the next time that he did."""
        await self._store.save_line(topic.case_id, replace(before, shown=BEGUN))
        try:
            try:
                return await self._send(topic, wanted, wanted.text)
            except Declined:  # what Telegram does not take must not hold up what follows
                return await self._send(topic, wanted, self._say("bell.unshown"))
        except Unknown:
            raise
        except SendError:  # it surely does not stand there
            await self._store.save_line(topic.case_id, before)
            raise

    async def _send(self, topic: Topic, wanted: Wanted, text: str) -> int:
        return await self._bot.say(
            topic.chat,
            text,
            topic=topic.thread,
            answers=wanted.answers,
            buttons=wanted.buttons,
            silent=wanted.silent,
        )

    # --- what consultants do -----------------------------------------------------------------

    async def took(self, update: DeskUpdate) -> None:
        """Somebody did something in the group; returns once nothing of it can be lost."""
        if update.private or update.chat != await self._group():
            return await self._bells.took(update)
        if update.what is What.MOVED and update.moved_to is not None:
            await self._moved(update.chat, update.moved_to)
        elif update.topic is None:
            return  # the General topic is the staff's own
        elif (topic := await self._store.topic_at(update.chat, update.topic)) is None:
            self._refuse(update, "bell.refused.foreign")
        elif update.what in (What.SAID, What.EDITED, What.PRESSED):
            await self._act(update, topic)

    async def _act(self, update: DeskUpdate, topic: Topic) -> None:
        me = None
        if update.user is not None:
            me = await self._store.staff_by_bell(str(update.user))
        if me is None:
            await self._store.audit(None, "refused.stranger", topic.case_id)
            return self._refuse(update, "bell.refused.stranger")
        done: Callable[[], Awaitable[TextId | None]]
        if update.what is What.PRESSED:
            done = partial(self._pressed, me, topic, update)
        elif update.what is What.EDITED:
            done = partial(self._edited, me, topic, update)
        else:
            done = partial(self._said, me, topic, update)
        async with self._lock(topic.case_id):
            try:
                refused = await done()
            except tuple(REFUSALS) as error:
                refused = await self._why(error, topic)
        if refused is not None:
            self._refuse(update, refused)
        elif update.query is not None:
            self._bot.beside(self._bot.answer(update.query))

    async def _why(self, error: Exception, topic: Topic) -> TextId:
        case = await self._store.case(topic.case_id)
        if isinstance(error, NotYours) and case and case.state is CaseState.WAITING:
            return "bell.refused.unclaimed"
        return REFUSALS[type(error)]

    async def _said(self, me: StaffMember, topic: Topic, update: DeskUpdate) -> TextId | None:
        """What stands in her case's topic goes to her: to nobody else, and once."""
        key, words = f"forum:{update.key}", update.text
        if update.medium:
            return "bell.refused.medium"
        is_note = update.aside or words.startswith(NOTE)
        if is_note or not words.startswith(COMMAND):
            await self._desk.looked(me, topic.case_id, await self._stands(topic))
        if is_note:
            words = words.removeprefix(NOTE)
            message = await self._desk.note(me, topic.case_id, words, key)
        elif words.startswith(COMMAND):
            self._tell(update, "bell.controls", self._says.controls())
            return None
        else:
            message = await self._desk.reply(me, topic.case_id, words, key)
        await self._belongs(topic, f"m:{message.id}", update.message)
        return None

    async def _stands(self, topic: Topic) -> int:
        """The number up to which what the woman wrote stands in the topic."""
        lines = await self._store.topic_lines(topic.case_id)
        there = {line.entry for line in lines if line.line is not None}
        upto = 0
        for message in await self._store.messages(topic.case_id):
            if message.author is Author.WOMAN and f"m:{message.id}" not in there:
                break
            upto = message.number
        return upto

    async def _belongs(self, topic: Topic, entry: str, answers: int | None) -> None:
        """What becomes of it is said below what she wrote.

        Where it was kept by a process that was killed then, it stands there as if it came from
        the web desk: that goes.
        """
        lines = await self._store.topic_lines(topic.case_id)
        known = [line for line in lines if line.entry == entry]
        if any(line.answers is not None for line in known):
            return
        shown = BEGUN if any(_may_stand_twice(line) for line in known) else None
        for line in known:
            if line.line is not None:
                try:
                    await self._bot.remove(topic.chat, line.line)
                except SendError:
                    shown = BEGUN
            await self._store.drop_line(topic.case_id, line)
        await self._store.save_line(topic.case_id, TopicLine(entry, 0, None, answers, shown))

    async def _edited(self, me: StaffMember, topic: Topic, update: DeskUpdate) -> TextId | None:
        """An answer that she edits is corrected for the woman; it never turns into a note."""
        lines = await self._store.topic_lines(topic.case_id)
        entry = next((line.entry for line in lines if line.answers == update.message), None)
        if entry is None or update.medium or update.text.startswith(COMMAND):
            return "bell.refused.edited"
        await self._desk.correct(me, topic.case_id, entry.removeprefix("m:"), update.text)
        return None

    async def _pressed(self, me: StaffMember, topic: Topic, update: DeskUpdate) -> TextId | None:
        verb, _, message_id = update.text.partition(":")
        case_id = topic.case_id
        if verb == "claim":
            return None if await self._desk.claim(me, case_id) else "bell.refused.taken"
        if verb == "read":
            await self._desk.open(me, case_id)  # refuses whoever has not got it
            await self._desk.looked(me, case_id, await self._stands(topic))
        elif verb == "back":
            await self._desk.give_back(me, case_id)
        elif verb == "close":
            await self._desk.open(me, case_id)
            ask = self._says.button("close_yes"), self._says.button("close_no")
            self._tell(update, "bell.close_ask", ask)
        elif verb == "close_yes":
            await self._desk.close(me, case_id, await self._stands(topic))
        elif verb == "close_no" and update.message is not None:
            self._bot.beside(self._bot.remove(update.chat, update.message))
        elif verb == "resend" and await self._comes_first(topic, update):
            await self._desk.resend(me, case_id, message_id)
        elif verb == "drop":
            await self._desk.drop(me, case_id, message_id)
        elif verb == "take_back":
            await self._desk.take_back(me, case_id, message_id)
        return None

    async def _comes_first(self, topic: Topic, update: DeskUpdate) -> bool:
        """Not so for a press that came before, to a process that was killed then.

        Kept before it is acted on: who sees nothing come of it presses again, but what was sent
        once more by itself, nobody has decided.
        """
        entry = f"{PRESSED}{update.key}"
        if entry in {line.entry for line in await self._store.topic_lines(topic.case_id)}:
            return False
        await self._store.save_line(topic.case_id, TopicLine(entry, 0, None))
        return True

    def _refuse(self, update: DeskUpdate, text: TextId) -> None:
        """Say that nothing was done: to whoever pressed, or below what was written."""
        if update.query is not None:
            self._bot.beside(self._bot.answer(update.query, self._say(text)))
        elif update.what in (What.SAID, What.EDITED):
            self._tell(update, text)

    def _tell(self, update: DeskUpdate, text: TextId, buttons: Sequence[Button] = ()) -> None:
        said = self._bot.say(
            update.chat,
            self._say(text),
            topic=update.topic,
            answers=update.message,
            buttons=buttons,
            silent=True,
        )
        self._bot.beside(said)

    # --- the group ---------------------------------------------------------------------------

    async def _group(self) -> int:
        """The group's newest id: the setting keeps the one that it began with."""
        return await self._store.newest_group(self._chat)

    async def _moved(self, old: int, new: int) -> None:
        if old != new:
            await self._store.group_moved(old, new)
            self._changes.notify()

    async def _topic_of(self, case_id: str) -> Topic | None:
        found = await self._store.topics()
        return next((topic for topic in found if topic.case_id == case_id), None)

    def _lock(self, case_id: str) -> asyncio.Lock:
        """What is done in a topic and what is shown there take turns."""
        return self._locks.setdefault(case_id, asyncio.Lock())


def _may_stand_twice(line: TopicLine) -> bool:
    """Whether it was sent before, and nobody knows whether it arrived."""
    return line.shown == BEGUN or (line.shown or b"").startswith(REPEATED)


async def _to_its_end(work: Coroutine[Any, Any, None]) -> None:
    """Await it; a stop lets it finish, so that what Telegram took is known after the start."""
    task = asyncio.create_task(work)
    try:
        await asyncio.shield(task)
    except asyncio.CancelledError:
        await asyncio.wait({task}, timeout=FINISH_SECONDS)
        task.cancel()
        raise
