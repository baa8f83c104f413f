"""A consultant's phone in a group, as a test holds it: what she reads there, and what she does."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from tests.standins.telegram import Chat, Shown, TelegramStandIn

T = TypeVar("T")
PATIENCE = 30.0


class NoMember(AssertionError):
    """Telegram shows her no such group, and lets her do nothing there."""


class Member:
    """One phone. A topic is called by its name; None is the General topic.

    Who was put out sees no group any more, and can come back only when that is lifted.
    """

    def __init__(self, server: TelegramStandIn, group: Chat, user: int) -> None:
        self._server, self.group, self.user = server, group, user

    # --- what she sees

    @property
    def is_in(self) -> bool:
        return self.user in self.group.members

    @property
    def topics(self) -> list[str]:
        self._must_be_in()
        return list(self.group.topics.values())

    def reads(self, topic: str | None) -> list[Shown]:
        """What stands in a topic, oldest first, without Telegram's own notes."""
        self._must_be_in()
        thread = self._thread(topic)
        there = [shown for shown in self.group.messages.values() if shown.thread == thread]
        return [shown for shown in there if shown.words or shown.other.keys() & {"photo"}]

    def words(self, topic: str | None) -> list[str]:
        return [shown.words for shown in self.reads(topic)]

    async def sees(self, topic: str | None, fragment: str) -> Shown:
        """The newest message in a topic that says this, once it is there."""

        def look() -> Shown | None:
            if topic is not None and topic not in self.topics:
                return None
            there = [shown for shown in self.reads(topic) if fragment in shown.words]
            return there[-1] if there else None

        return await self._until(look, f"{fragment!r} in {topic!r}")

    async def sees_topics(self, *names: str) -> None:
        """Exactly these topics, in any order."""
        await self._until(lambda: sorted(self.topics) == sorted(names) or None, f"topics {names}")

    async def _until(self, look: Callable[[], T | None], what: str) -> T:
        async def wait() -> T:
            while (found := look()) is None:
                await asyncio.sleep(0.01)
            return found

        try:
            return await asyncio.wait_for(wait(), PATIENCE)
        except TimeoutError:
            stands = {name: self.words(name) for name in self.topics}
            raise AssertionError(f"she does not see {what} but {stands}") from None

    # --- what she does

    def joins(self) -> None:
        """By a link to the group, or added by its administrator."""
        if self.user in self.group.banned:
            raise NoMember("she was put out")
        self.group.members.add(self.user)

    def _must_be_in(self) -> None:
        if not self.is_in:
            raise NoMember("she is not in the group")

    def says(
        self,
        text: str | None,
        topic: str | None,
        *,
        answers: Shown | None = None,
        sender: int | None = None,
        **other: Any,
    ) -> Shown:
        """Write, or send whatever `other` holds. `sender`: somebody else than she."""
        self._must_be_in()
        shown = self._server.add_message(
            self.group,
            from_bot=False,
            text=text,
            sender=sender or self.user,
            thread=self._thread(topic),
            answers=answers.id if answers else None,
            other=other,
        )
        self._server.push("message", self._server.message_json(shown))
        return shown

    def edits(self, shown: Shown, text: str) -> None:
        self._must_be_in()
        shown.text, shown.edit_date = text, self._server.now()
        self._server.push("edited_message", self._server.message_json(shown))

    def presses(self, label: str, topic: str | None) -> str:
        """Press the newest button that says this; the query's id, for what is answered."""
        for shown in reversed(self.reads(topic)):
            for button in (button for row in shown.buttons for button in row):
                if label in button["text"]:
                    return self.sends_press(shown, button["callback_data"])
        raise AssertionError(f"no button {label!r} in {topic!r}: {self.words(topic)}")

    def sends_press(self, shown: Shown, data: str) -> str:
        self._must_be_in()
        query = self._server.query_id()
        self._server.push(
            "callback_query",
            {
                "id": query,
                "from": self._server.user(self.group, self.user),
                "chat_instance": "-123456789",
                "message": self._server.message_json(shown),
                "data": data,
            },
        )
        return query

    async def is_told(self, query: str) -> str | None:
        """What the press was answered with; only she sees it."""

        def look() -> tuple[str | None] | None:
            for call in self._server.called("answerCallbackQuery"):
                if call.params["callback_query_id"] == query:
                    return (call.params.get("text"),)
            return None

        return (await self._until(look, "an answer to the press"))[0]

    def puts_the_bot_in(self) -> None:
        self._must_be_in()
        self._membership("left", "member")

    def _membership(self, old: str, new: str) -> None:
        bot = self._server.bot_user()
        self._server.push(
            "my_chat_member",
            {
                "chat": self._server.chat_json(self.group),
                "from": self._server.user(self.group, self.user),
                "date": int(self._server.now().timestamp()),
                "old_chat_member": {"status": old, "user": bot},
                "new_chat_member": {"status": new, "user": bot},
            },
        )

    def _thread(self, topic: str | None) -> int | None:
        if topic is None:
            return None
        return next(thread for thread, name in self.group.topics.items() if name == topic)
