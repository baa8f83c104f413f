"""A woman's phone, as a test holds it: what she sees in her chat, and what she does."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tests.standins.telegram import Chat, Shown, TelegramStandIn

PATIENCE = 30.0  # seconds; a machine may be busy with other tests
_SENT: dict[str, dict[str, Any]] = {
    "photo": {"photo": [{"file_id": "p", "file_unique_id": "p", "width": 9, "height": 9}]},
    "voice": {"voice": {"file_id": "v", "file_unique_id": "v", "duration": 3}},
    "video_note": {
        "video_note": {"file_id": "n", "file_unique_id": "n", "length": 9, "duration": 3}
    },
    "audio": {"audio": {"file_id": "a", "file_unique_id": "a", "duration": 3}},
    "contact": {"contact": {"phone_number": "+359888123456", "first_name": "Мария"}},
    "location": {"location": {"latitude": 43.85, "longitude": 25.97}},
    "venue": {
        "venue": {
            "location": {"latitude": 43.85, "longitude": 25.97}, "title": "a", "address": "b",
        },
        "location": {"latitude": 43.85, "longitude": 25.97},
    },
    "sticker": {
        "sticker": {
            "file_id": "s", "file_unique_id": "s", "type": "regular", "width": 9, "height": 9,
            "is_animated": False, "is_video": False,
        }
    },
    "document": {
        "document": {"file_id": "d", "file_unique_id": "d", "file_name": "Мария Иванова.pdf"}
    },
    "video": {
        "video": {
            "file_id": "w", "file_unique_id": "w", "width": 9, "height": 9, "duration": 3,
        }
    },
    "dice": {"dice": {"emoji": "🎲", "value": 3}},
    "poll": {
        "poll": {
            "id": "1", "question": "?", "options": [], "total_voter_count": 0,
            "is_closed": False, "is_anonymous": True, "type": "regular",
            "allows_multiple_answers": False, "allows_revoting": False, "members_only": False,
        }
    },
    "story": {"story": {"id": 1, "chat": {"id": 1, "type": "private"}}},
}  # fmt: skip


class Woman:
    """One phone. What she does becomes updates; what the bot does is in `chat`."""

    def __init__(self, server: TelegramStandIn, chat: Chat) -> None:
        self._server, self._chat = server, chat

    @property
    def id(self) -> int:
        return self._chat.id

    @property
    def chat(self) -> list[Shown]:
        """All messages that stand in her chat, oldest first."""
        return list(self._chat.messages.values())

    @property
    def bot_messages(self) -> list[Shown]:
        return [shown for shown in self.chat if shown.from_bot]

    @property
    def window(self) -> Shown | None:
        """The newest picture of the bot's."""
        return next((s for s in reversed(self.bot_messages) if s.photo), None)

    @property
    def buttons(self) -> list[str]:
        """What can be tapped on the window."""
        rows = self.window.buttons if self.window else []
        return [button["text"] for row in rows for button in row]

    # --- what she does

    def starts(self, code: str | None = None) -> int:
        return self.types(f"/start {code}" if code else "/start")

    def types(self, text: str, **other: Any) -> int:
        entities = {}
        if text.startswith("/"):
            length = len(text.split()[0])
            entities = {"entities": [{"type": "bot_command", "offset": 0, "length": length}]}
        self._chat.open = True
        return self._says(text=text, other=entities | other)

    def forwards(self, text: str) -> int:
        """Text that somebody else wrote, with all that Telegram tells about him."""
        him = {"id": 777_000_111, "is_bot": False, "first_name": "Стоян", "username": "stoyan77"}
        when = int(self._server.now().timestamp())
        return self._says(
            text=text, other={"forward_origin": {"type": "user", "sender_user": him, "date": when}}
        )

    def sends(self, kind: str, caption: str | None = None) -> int:
        """A medium, by its name in the Bot API."""
        other = _SENT[kind] | ({"caption": caption} if caption else {})
        return self._says(other=other)

    def sends_photo(self, content: bytes, **other: Any) -> int:
        """A photo, in the sizes that Telegram makes of it: the largest one is this."""
        small = {"file_id": "tiny", "file_unique_id": "s", "width": 90, "height": 67}
        large = {"file_id": self._server.upload(content), "file_unique_id": "l", "width": 1280}
        sizes = [small | {"file_size": 900}, large | {"height": 960, "file_size": len(content)}]
        return self._says(other={"photo": sizes} | other)

    def sends_voice(self, content: bytes, kind: str = "voice", **other: Any) -> int:
        """A voice message, or a piece of music (`audio`) with all that its file tells."""
        told = {
            "file_id": self._server.upload(content), "file_unique_id": "v", "duration": 3,
            "mime_type": "audio/ogg", "file_size": len(content),
        }  # fmt: skip
        if kind == "audio":
            told |= {"file_name": "Мария Иванова.m4a", "title": "Мария", "performer": "Иванова"}
        return self._says(other={kind: told} | other)

    def hears(self, shown: Shown) -> bytes:
        """The sound of a message, once she taps it."""
        heard = self._server.picture(shown.voice or shown.audio)
        assert heard is not None, "there is nothing to hear"
        return heard

    def taps(
        self,
        label: str | None = None,
        *,
        payload: str | None = None,
        message: Shown | None = None,
        inaccessible: bool = False,
    ) -> int:
        """Tap a button, by what it says or what it carries, on the newest message that has it.

        `payload` alone also taps what is not there: a forged button on the window.
        """
        shown, data = self._button(label, payload, message)
        told = self._server.message_json(shown)
        if inaccessible:
            told = {"message_id": shown.id, "chat": told["chat"], "date": 0}
        return self._server.push(
            "callback_query",
            {
                "id": self._server.query_id(),
                "from": self._server.user(self._chat),
                "chat_instance": "-123456789",
                "message": told,
                "data": data,
            },
        )

    def edits(self, message: Shown, text: str) -> int:
        message.text, message.edit_date = text, self._server.now()
        return self._server.push("edited_message", self._server.message_json(message))

    def deletes(self, message: Shown) -> None:
        """Remove a message on her phone; a bot is not told."""
        del self._chat.messages[message.id]

    def blocks(self) -> int:
        self._chat.open = False
        return self._member("member", "kicked")

    def unblocks(self) -> int:
        self._chat.open = True
        return self._member("kicked", "member")

    # --- what she sees

    async def sees(self, fragment: str, timeout: float = PATIENCE) -> Shown:
        """The message of the bot's that says this, once it is there."""
        found: Shown = await self._until(
            lambda: next((s for s in reversed(self.bot_messages) if fragment in s.words), None),
            timeout,
            fragment,
        )
        return found

    async def sees_buttons(self, *labels: str, timeout: float = PATIENCE) -> None:
        await self._until(lambda: set(labels) <= set(self.buttons) or None, timeout, labels)

    async def sees_empty_chat(self, timeout: float = PATIENCE) -> None:
        await self._until(lambda: not self.chat or None, timeout, "an empty chat")

    async def _until(self, look: Any, timeout: float, what: object) -> Any:
        async def wait() -> Any:
            while (found := look()) is None:
                await asyncio.sleep(0.01)
            return found

        try:
            return await asyncio.wait_for(wait(), timeout)
        except TimeoutError:
            stands = [s.words for s in self.bot_messages]
            raise AssertionError(f"she does not see {what!r} but {stands!r}") from None

    # --- on the wire

    def _says(self, **content: Any) -> int:
        shown = self._server.add_message(self._chat, from_bot=False, **content)
        return self._server.push("message", self._server.message_json(shown))

    def _button(
        self, label: str | None, payload: str | None, message: Shown | None
    ) -> tuple[Shown, str]:
        candidates = [message] if message else list(reversed(self.bot_messages))
        for shown in candidates:
            for button in (button for row in shown.buttons for button in row):
                if label is not None and label in button["text"]:
                    return shown, button["callback_data"]
                if label is None and payload == button["callback_data"]:
                    return shown, button["callback_data"]
        if payload is not None and candidates:
            return candidates[0], payload
        there = [b["text"] for shown in candidates for row in shown.buttons for b in row]
        raise AssertionError(f"no button {label!r} among {there!r}")

    def _member(self, old: str, new: str) -> int:
        bot = self._server.bot_user()

        def member(status: str) -> dict[str, Any]:
            return {"status": status, "user": bot} | (
                {"until_date": 0} if status == "kicked" else {}
            )

        return self._server.push(
            "my_chat_member",
            {
                "chat": self._server.chat_json(self._chat),
                "from": self._server.user(self._chat),
                "date": int(self._server.now().timestamp()),
                "old_chat_member": member(old),
                "new_chat_member": member(new),
            },
        )
