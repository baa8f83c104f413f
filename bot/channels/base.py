"""The channel protocol: how the shell speaks to a platform, and how a platform answers.

An adapter turns what its platform sends into `Incoming`, hands it to `Intake.accept`, and may
acknowledge it to the platform once the returned future is done. It shows and removes what it
is told to, and maps each of its platform's answers onto one of the verdicts below.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple, Protocol

from dialogs.model import Event, Language, Position

Address = str
"""The platform's id of one conversation. Lives in memory; at rest only sealed."""
Handle = str
"""The platform's id of one message in a conversation."""


class Who(NamedTuple):
    """One conversation: a channel's name and the platform's address. Never logged."""

    channel: str
    address: Address


@dataclass(frozen=True, slots=True)
class Limits:
    """What a channel can show and undo. Lengths in characters as the platform counts them."""

    text: int  # one message of a case
    window: int  # text of the window
    buttons: int  # choices of a window; the row of marks stands apart
    label: int
    payload: int  # bytes
    picture: bool
    edit: bool
    delete_hours: int | None  # None: what was sent cannot be removed
    knows_edit_time: bool  # False: the payload carries a stamp
    keeps_window: bool  # True: what was shown stays until we cover it; False: her page does that
    silent: bool = True  # a message can come without a sound
    free_hours: int | None = None  # of a session; beyond it a message costs. None: none does
    rings: bool = True  # a message can come to her phone by itself
    together: int = 1  # to how many women one call can bring the same message
    per_second: float = 1.0  # calls that the platform takes, over all

    @property
    def lasting(self) -> bool:
        """Nothing that was sent can be removed: her chat keeps it."""
        return self.delete_hours is None

    def check(self, addresses: Sequence[Address]) -> None:
        """Raise `ValueError` where one call cannot bring a message to so many."""
        if len(addresses) > self.together:
            raise ValueError(f"at most {self.together} together")

    def free_until(self, session: datetime) -> datetime:
        """Until when messages cost nothing in the session that her words began at that moment.

        For reminders and broadcasts: what is said in a case is always inside one.
        """
        if self.free_hours is None:
            return datetime.max.replace(tzinfo=UTC)
        return session + timedelta(hours=self.free_hours)

    def is_billable(self, session: datetime | None, now: datetime) -> bool:
        """Whether a message sent now costs money; `session` as in `free_until`, if there is one."""
        if self.free_hours is None:
            return False
        return session is None or now >= self.free_until(session)


@dataclass(frozen=True, slots=True)
class OutgoingButton:
    """One button as she will see it. `ticked` is part of the label already.

    `sign` stands in for the label where there is room for one sign only. With a `url` it opens
    that page of ours instead.
    """

    label: str
    payload: str
    sign: str = ""
    url: str | None = None


@dataclass(frozen=True, slots=True)
class Outgoing:
    """One message, in words, for one channel. Plain text; no markup is ever interpreted."""

    text: str
    language: Language
    choices: tuple[OutgoingButton, ...] = ()
    marks: tuple[OutgoingButton, ...] = ()
    picture: str | None = None  # name in `pictures/`
    audio: str | None = None  # name in `audio/`: the words spoken, once there are recordings
    window: bool = True  # False: an ordinary message of a case
    cover: bool = False
    in_case: bool = False  # a case is open for this address
    silent: bool = True  # asks the platform for no sound
    position: Position | None = None
    number: int | None = None  # a case message's own, so that a repeat can be recognised
    edited: bool = False  # these are no longer the words that it had at first
    author: str | None = None  # the role shown to her
    voice: bytes | None = field(default=None, repr=False)  # a voice note: Ogg with Opus
    takes_media: bool = False  # she has agreed that photos and voice are taken


Fetch = Callable[[], Awaitable[bytes]]
"""Brings a photo or a voice from its platform, as it is there; raises a `SendError`. Nothing is
fetched before she has agreed to that. At most `MAX_MEDIUM` bytes."""
MAX_MEDIUM = 12 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Incoming:
    """One thing that reached us. It must never be logged."""

    channel: str
    address: Address
    event: Event
    key: str  # the platform's id of this delivery: the same twice means the same thing
    handle: Handle | None = None  # her own message, to be removed
    window: Handle | None = None  # the message whose button she tapped
    position: Position | None = None  # where she is, on channels whose page says it
    languages: tuple[Language, ...] = ()
    overtaken: bool = False  # what she did after it was handled before: nothing is shown any more
    fetch: Fetch | None = field(default=None, repr=False)  # brings what she sent, if it is wanted


class Intake(Protocol):
    """Where an adapter hands over what it received."""

    def accept(self, incoming: Incoming) -> asyncio.Future[None]:
        """Queue one message in its conversation's order.

        The future is done when nothing of it can be lost any more: at once for a tap, after
        the commit for what is stored. It fails when the message could not be stored; then it
        must not be acknowledged.
        """
        ...

    def left(self, channel: str, address: Address) -> None:
        """She closed the page: whatever comes next is held."""
        ...

    def blocked(
        self, channel: str, address: Address, at: datetime | None = None
    ) -> asyncio.Future[None]:
        """She blocked the line: all that is kept of her is deleted, and nothing is sent.

        Unless she has come back since `at` and opened a case. The future is done when it is
        deleted.
        """
        ...

    def undelivered(self, channel: str, address: Address, handle: Handle) -> asyncio.Future[None]:
        """A message that the platform had taken did not reach her after all.

        The future is done when the desk can see that; it fails when that could not be kept.
        """
        ...

    def edited(
        self, channel: str, address: Address, handle: Handle, text: str
    ) -> asyncio.Future[None]:
        """She changed her message; empty: nothing is left of its words.

        In its conversation's order. The future is done when the desk can see that, or when it
        is no message of a case; it fails when that could not be kept.
        """
        ...


class Channel(Protocol):
    """One platform."""

    name: str
    limits: Limits

    @property
    def reached(self) -> bool:
        """Whether what she writes comes to us, as far as can be known."""
        ...

    async def run(self, intake: Intake) -> None:
        """Receive until cancelled. Survives the platform's outages."""
        ...

    async def show(self, address: Address, message: Outgoing, window: Handle | None) -> Handle:
        """Show a message: into `window` where it can be edited, else as a new one.

        Returns the handle under which it now stands. When a window had to be replaced, the
        adapter has removed the old one. Raises a `SendError`.
        """
        ...

    async def correct(self, address: Address, handle: Handle, message: Outgoing) -> None:
        """Replace the words of a message of a case, where `limits.edit` says that it can be.

        One that says so already, or stands there no more, is no error. Raises a `SendError`.
        """
        ...

    async def remove(
        self, address: Address, handles: Sequence[Handle], *, urgent: bool = True
    ) -> None:
        """Remove messages from her chat; twice is no error. Raises a `SendError`.

        Not `urgent`: it waits behind all that is.
        """
        ...

    async def sweep(self, address: Address, newest: Handle | None) -> None:
        """Remove what can be found when no window is known. May do nothing."""
        ...

    async def notify(
        self, addresses: Sequence[Address], message: Outgoing
    ) -> Sequence[Handle | SendError]:
        """Bring the same message to women who wait for none just now, after all that is urgent.

        At most `limits.together` of them. For each, in their order, the handle under which it
        stands in her chat, or what became of it. Raises nothing but what stops the call itself
        before anything left (cancellation).
        """
        ...

    async def close(self) -> None:
        """Give back connections; nothing is sent afterwards."""
        ...


class Linked(Protocol):
    """A channel that a link can lead to, from a poster or a leaflet."""

    async def link(self, code: str) -> str | None:
        """The address that opens the chat and brings `code` with it (`words.is_code`).

        None while the platform does not tell how the line is called there.
        """
        ...


@dataclass(frozen=True, slots=True)
class Reply:
    """What is answered to a platform's call. Without a body there is nothing to say."""

    status: int
    body: bytes = b""


@dataclass(frozen=True, slots=True)
class Call:
    """A platform's call whose signature was verified: of its content only what is needed."""

    key: str  # the platform's own id of it: the same twice means the same thing
    told: dict[str, Any] = field(repr=False)  # can be written as JSON
    at: datetime  # when it reached us


class Webhook(Protocol):
    """A channel whose platform calls us. `signature` is the header that signs a call."""

    name: str
    signature: str

    def read(self, body: bytes, signature: str) -> Call | Reply:
        """One call, as it came. Nothing is read of it before its signature is verified.

        A reply where there is nothing to take: it is refused, or asks for nothing.
        """
        ...

    async def take(self, call: Call) -> Reply:
        """Do what it asks for, and say what is answered."""
        ...


class SendError(Exception):
    """A send that did not succeed; its class says what may be done about it."""


class Gone(SendError):
    """She blocked or left the line: purge."""


class Throttled(SendError):
    """The platform wants a pause of `seconds` in this scope."""

    def __init__(self, seconds: float, everywhere: bool = False) -> None:
        super().__init__(seconds)
        self.seconds = seconds
        self.everywhere = everywhere


class Unsent(SendError):
    """Nothing left this machine, or the platform did not take it: retry."""


class Unreached(Unsent):
    """Nothing left this machine: the platform knows nothing of it, and it is no attempt."""


class Unknown(SendError):
    """The answer was lost: it may have arrived."""


class Refused(SendError):
    """The platform says that the request is wrong: our fault, a dead letter."""


class Unpaid(Refused):
    """The platform wants money first: a human must see it."""


class Unauthorised(SendError):
    """Token or account is wrong, blocked or withdrawn: the channel stops and raises an alarm."""
