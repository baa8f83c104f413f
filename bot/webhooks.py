"""A platform's call that reaches another process than the one that holds its channel.

It is verified where it arrives, kept, and taken by the holder in the order in which it was kept;
the answer goes back the same way. Words between the processes make that quick, and looking
every few seconds makes it sure.
"""

from __future__ import annotations

import asyncio

from bot.channels.base import Call, Reply, Webhook
from bot.privacy.redact import EventLog
from bot.storage.calls import Calls, HandedOver
from bot.storage.together import Alone

ANSWER_SECONDS = 8.0
"""How long the platform waits for the holder's answer. After that the call is kept, and that is
its answer: whoever takes the channel over takes the call, too."""
LOOK_SECONDS, TIDY_SECONDS = 2.0, 60.0
WAITED_FOR_SECONDS = 1.0
"""How often a process looks for an answer of which it heard no word."""
CALLED, ANSWERED = "call", "answered"

log = EventLog("webhooks")


class SharedWebhook:
    """A channel's webhook in each of several processes; one of them holds the channel."""

    def __init__(self, hook: Webhook, book: Calls, together: Alone) -> None:
        self.name, self.signature = hook.name, hook.signature
        self._hook, self._book, self._together = hook, book, together
        self._called = asyncio.Event()
        self._caught_up = asyncio.Event()
        self._caught_up.set()
        self._waiting: dict[int, asyncio.Event] = {}
        self._taking: dict[int, asyncio.Task[None]] = {}
        together.hear(CALLED, self._hear_call)
        together.hear(ANSWERED, self._hear_answer)

    # --- where it arrives ----------------------------------------------------------------------

    def read(self, body: bytes, signature: str) -> Call | Reply:
        """As the channel's own does: that needs no other process."""
        return self._hook.read(body, signature)

    async def take(self, call: Call) -> Reply:
        """Take it here, or have the holder take it."""
        if not self._together.holds(self.name):
            return await self._hand_over(call)
        if not self._caught_up.is_set():  # what was kept for the holder before comes first
            self._called.set()
            await _within(LOOK_SECONDS, self._caught_up)
        return await self._hook.take(call)

    async def _hand_over(self, call: Call) -> Reply:
        try:
            call_id = await self._book.hand_over(self.name, call)
        except Exception as error:  # it comes again
            log.failed("not_stored", error)
            return Reply(503)
        answered = self._waiting.setdefault(call_id, asyncio.Event())
        self._together.tell(CALLED, self.name)
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                while True:
                    await _within(WAITED_FOR_SECONDS, answered)
                    answered.clear()
                    if (
                        reply := await asyncio.shield(self._book.fetch_answer(call_id))
                    ) is not None:
                        return reply
        except TimeoutError:
            pass
        except Exception as error:  # it is kept, whatever becomes of its answer
            log.failed("calls_unread", error)
        finally:
            self._waiting.pop(call_id, None)
        return Reply(200)

    def _hear_answer(self, word: str) -> None:
        if word.isdecimal() and (answered := self._waiting.get(int(word))) is not None:
            answered.set()

    # --- where it is taken ---------------------------------------------------------------------

    async def run(self) -> None:
        """Take what is kept for the holder, whenever that is this process. Until cancelled."""
        loop = asyncio.get_running_loop()
        tidied = loop.time()
        try:
            while True:
                self._called.clear()
                try:
                    if self._together.holds(self.name):
                        await self._look()
                        if loop.time() - tidied >= TIDY_SECONDS:
                            tidied = loop.time()
                            await self._book.drop_calls()
                    else:
                        self._caught_up.clear()
                except Exception as error:  # looked for again
                    log.failed("calls_unread", error)
                await _within(LOOK_SECONDS, self._called)
        finally:
            for task in self._taking.values():
                task.cancel()
            await asyncio.gather(*self._taking.values(), return_exceptions=True)

    def _hear_call(self, word: str) -> None:
        if word == self.name:
            self._called.set()

    async def _look(self) -> None:
        while found := await self._book.handed_over(self.name, tuple(self._taking)):
            for each in found:
                task = asyncio.create_task(self._answer(each))
                self._taking[each.id] = task
            await asyncio.sleep(0)  # each of them begins, in this order
        self._caught_up.set()

    async def _answer(self, handed: HandedOver) -> None:
        """Take one; what could not be kept stays there and is taken once more."""
        try:
            reply = await self._taken(handed.call)
            if reply.status == 503:
                return await asyncio.sleep(LOOK_SECONDS)
            await self._book.answer_call(handed.id, reply)
            self._together.tell(ANSWERED, str(handed.id))
        except Exception as error:  # its answer is not kept: it is taken once more, too
            log.failed("calls_unread", error)
            await asyncio.sleep(LOOK_SECONDS)
        finally:
            del self._taking[handed.id]

    async def _taken(self, call: Call) -> Reply:
        try:
            return await self._hook.take(call)
        except Exception as error:  # a fault of ours would recur for ever
            log.alarm("set_aside", error)
            return Reply(200)


async def _within(seconds: float, event: asyncio.Event) -> None:
    try:
        async with asyncio.timeout(seconds):
            await event.wait()
    except TimeoutError:
        return
