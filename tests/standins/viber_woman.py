"""A woman's phone with Viber: what she sees in the bot's chat, and what she does there."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import html
import re
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tests.standins.viber import Callback, ViberStandIn

Json = dict[str, Any]
PATIENCE = 30.0  # seconds; a machine may be busy with other tests
_STORE = "https://dl-media.viber.com/10/media/2/short/any/sig/image/0x0/"
_SENT: dict[str, Json] = {
    "picture": {
        "media": f"{_STORE}7b2f.jpg", "thumbnail": f"{_STORE}7b2f_t.jpg",
        "file_name": "IMG_temenuzhka.jpg", "size": 44_120,
    },
    "video": {
        "media": f"{_STORE}19ac.mp4", "thumbnail": f"{_STORE}19ac_t.jpg",
        "file_name": "vkashti.mp4", "size": 912_004, "duration": 9,
    },
    "file": {"media": f"{_STORE}55d0.pdf", "file_name": "Мария Иванова.pdf", "size": 20_480},
    "contact": {
        "contact": {
            "name": "Мария Иванова", "phone_number": "+359888123456", "avatar": f"{_STORE}m.jpg",
        }
    },
    "location": {
        "location": {"lat": 43.8564123, "lon": 25.9704321, "address": "ул. Борисова 7, Русе"}
    },
    "sticker": {"sticker_id": 40126, "media": f"{_STORE}40126.png"},
    "url": {"media": "https://example.net/negova-stranitsa"},
}  # fmt: skip


@dataclass(slots=True)
class Shown:
    """One message in the chat. `mine`: the woman's own."""

    mine: bool
    type: str
    text: str = ""
    media: str | None = None
    keyboard: Json | None = None
    token: int = 0
    raw: Json = field(default_factory=dict)

    @property
    def picture(self) -> str | None:
        return self.media if self.type == "picture" else None

    @property
    def buttons(self) -> list[str]:
        """What the keyboard sent along says."""
        return labels(self.keyboard)


class ViberWoman:
    """One phone. What she does goes to the webhook; what the bot sends is in `messages`.

    Every action may be awaited: it then ends when the webhook took the event or Viber gave up.
    """

    def __init__(self, server: ViberStandIn, number: int, *, subscribed: bool) -> None:
        self._server = server
        self.id = base64.b64encode(hashlib.sha256(b"%d" % number).digest()[:16]).decode()
        self.subscribed = subscribed
        self.looks = True  # she has the chat open: whatever comes is seen
        self.personalization = True  # allows Viber to hand out her name
        # All that the line must never keep.
        self.name = "Теменужка Петрова"
        self.avatar = f"https://media-direct.cdn.viber.com/download_photo?dlid={number}-temenuzhka"
        self.country, self.language, self.api_version = "DE", "de-AT", 10
        self.phone = "+359887654321"
        self.messages: list[Shown] = []
        self.keyboard: Json | None = None
        self.opened_urls: list[str] = []
        # The platform's own book-keeping.
        self.line = asyncio.Lock()
        self.unanswered: deque[datetime] = deque()
        self.session_since: datetime | None = server.now() if subscribed else None
        self._tracking: str | None = None
        self._unshowable: deque[str | None] = deque()
        self._unread: int | None = None
        self._changed = asyncio.Event()

    @property
    def planted(self) -> list[str]:
        """What must be found in no database, log or notice."""
        found = [self.name, self.avatar, self.phone, self.language]
        for content in _SENT.values():
            found += [str(value) for value in _leaves(content)]
        return found

    # --- what she sees

    @property
    def bot_messages(self) -> list[Shown]:
        return [shown for shown in self.messages if not shown.mine]

    @property
    def buttons(self) -> list[str]:
        """What can be tapped now: the app shows the last keyboard it got, and no other."""
        return labels(self.keyboard)

    async def sees(self, fragment: str, timeout: float = PATIENCE) -> Shown:
        """The newest message of the bot's that says this, once it is there."""
        found: Shown = await self._until(
            lambda: next((s for s in reversed(self.bot_messages) if fragment in s.text), None),
            timeout,
            fragment,
        )
        return found

    async def sees_buttons(self, *wanted: str, timeout: float = PATIENCE) -> None:
        await self._until(lambda: set(wanted) <= set(self.buttons) or None, timeout, wanted)

    async def sees_messages(self, count: int, timeout: float = PATIENCE) -> list[Shown]:
        """The bot's messages, once there are this many."""
        await self._until(
            lambda: len(self.bot_messages) >= count or None, timeout, f"{count} messages"
        )
        return self.bot_messages

    # --- what she does

    def opens(self, context: str | None = None) -> asyncio.Task[Callback]:
        """Open the chat, by its button or by a deep link with `context`."""
        content = {} if context is None else {"context": context}
        return self._server.tell(
            self, "conversation_started",
            type="open", **content, user=self._user(), subscribed=self.subscribed,
        )  # fmt: skip

    def subscribes(self) -> asyncio.Task[Callback]:
        """By the switch in the chat's settings; a first message subscribes without this."""
        self.subscribed, self._tracking = True, None
        return self._server.tell(self, "subscribed", user=self._user())

    def leaves(self) -> asyncio.Task[Callback]:
        self.subscribed = False
        return self._server.tell(self, "unsubscribed", user_id=self.id)

    def types(self, text: str) -> asyncio.Task[Callback]:
        return self._says({"type": "text", "text": text})

    def sends(self, kind: str, caption: str = "", **changed: Any) -> asyncio.Task[Callback]:
        """Something other than text, by its name in the documentation."""
        content = _SENT[kind] | ({"text": caption} if caption else {}) | changed
        return self._says({"type": kind} | content)

    def sends_photo(self, content: bytes, **other: Any) -> asyncio.Task[Callback]:
        """A photo that Viber keeps for the bot to fetch. Voice messages it brings to no bot."""
        told = {"media": self._server.upload(content), "size": len(content)}
        return self.sends("picture", **(told | other))

    async def hears(self, shown: Shown) -> bytes:
        """The sound of a file, once she taps it."""
        assert shown.media, "there is nothing to hear"
        return await self._server.fetch(shown.media)

    def taps(self, label: str) -> asyncio.Task[Callback] | None:
        """Tap a button of the keyboard that is shown. None: the bot is told nothing of it."""
        button = self._button(label)
        action, body = button.get("ActionType", "reply"), button["ActionBody"]
        silent = button.get("Silent", False)
        if action == "share-phone":
            return self.sends("contact", contact={"name": self.name, "phone_number": self.phone})
        if action == "location-picker":
            return self.sends("location")
        if action == "open-url":
            self.opened_urls.append(body)
            self._subscribe()
            if not self._server.url_taps_reply:
                return None
        if action in ("none", "open-map"):
            return None
        return self._says({"type": "text", "text": body}, silent=silent)

    def reads(self) -> asyncio.Task[Callback] | None:
        """Look at what came while `looks` was False; Viber says so once for all of it."""
        unread, self._unread = self._unread, None
        if unread is None:
            return None
        return self._server.tell(self, "seen", message_token=unread, user_id=self.id)

    def cannot_show(self, desc: str | None = "message validation failed", times: int = 1) -> None:
        """The next messages fail on her phone, after Viber took them (None: without a reason)."""
        self._unshowable.extend([desc] * times)

    # --- what comes to her phone

    def arrived(self, message: Json, token: int) -> None:
        """A message Viber took, and the receipts for it."""
        if self._unshowable:
            desc = self._unshowable.popleft()
            told = {} if desc is None else {"desc": desc}
            self._server.tell(self, "failed", message_token=token, user_id=self.id, **told)
            return
        self.receives(message, token)
        if not self._server.receipts:
            return
        self._server.tell(self, "delivered", message_token=token, user_id=self.id)
        if self.looks:
            self.reads()

    def receives(self, message: Json, token: int) -> None:
        keyboard = message.get("keyboard")
        self._tracking = message.get("tracking_data")
        self.keyboard = keyboard or self.keyboard
        if "type" in message:  # else nothing but a keyboard
            self.messages.append(
                Shown(
                    mine=False, type=message["type"], text=message.get("text", ""),
                    media=message.get("media"), keyboard=keyboard, token=token, raw=message,
                )
            )  # fmt: skip
            self._unread = token
        self._changed.set()

    # --- on the wire

    def _says(self, message: Json, *, silent: bool = False) -> asyncio.Task[Callback]:
        self._subscribe()
        if self._tracking is not None:
            message = message | {"tracking_data": self._tracking}
        token = self._server.token_for()
        if not silent:
            self.messages.append(
                Shown(
                    mine=True, type=message["type"], text=message.get("text", ""),
                    media=message.get("media"), token=token, raw=message,
                )
            )  # fmt: skip
        self._changed.set()
        return self._server.tell(
            self, "message",
            message_token=token, sender=self._user(), message=message, silent=silent,
        )  # fmt: skip

    def _subscribe(self) -> None:
        now = self._server.now()
        self.subscribed = True
        self.unanswered.clear()
        if self.session_since is None or (now - self.session_since).days >= 1:
            self.session_since = now

    def _user(self) -> Json:
        """Names and photos only for a bot that asked, and the real ones only if she agrees."""
        told: Json = {
            "id": self.id, "language": self.language, "country": self.country,
            "api_version": self.api_version,
        }  # fmt: skip
        if self._server.send_name:
            told["name"] = self.name if self.personalization else "Subscriber"
        if self._server.send_photo and self.personalization:
            told["avatar"] = self.avatar
        return told

    def _button(self, label: str) -> Json:
        buttons = (self.keyboard or {}).get("Buttons", [])
        for fits in (str.__eq__, str.__contains__):
            for button in buttons:
                if fits(_label(button), label):
                    return dict(button)
        raise AssertionError(f"no button {label!r} among {self.buttons!r}")

    async def _until(self, look: Callable[[], Any], timeout: float, what: object) -> Any:
        async def wait() -> Any:
            while (found := look()) is None:
                self._changed.clear()
                await self._changed.wait()
            return found

        try:
            return await asyncio.wait_for(wait(), timeout)
        except TimeoutError:
            stands = [shown.text for shown in self.bot_messages]
            raise AssertionError(
                f"she does not see {what!r} but {stands!r}, refused: {self._server.refusals!r}"
            ) from None


def labels(keyboard: Json | None) -> list[str]:
    return [_label(button) for button in (keyboard or {}).get("Buttons", [])]


def _label(button: Json) -> str:
    text = re.sub(r"<br ?/?>", "\n", button.get("Text", ""))
    return html.unescape(re.sub(r"<[^<>]*>", "", text))


def _leaves(value: Any) -> list[Any]:
    if isinstance(value, dict):
        return [leaf for each in value.values() for leaf in _leaves(each)]
    return [value]
