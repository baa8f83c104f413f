"""What no platform should ever send: real updates with something wrong in them, from a seed."""

from __future__ import annotations

import copy
import json
import random
import time
from collections.abc import Callable, Sequence
from typing import Any

MARK = "zq7junk"
"""Stands in every text and id of the junk, and must stand in no log and no table."""
PEOPLE = tuple(range(777_000_001, 777_000_021))
DEEP = 300
HUGE = 10**18


def nested(depth: int) -> Any:
    """Lists in lists."""
    inner: Any = MARK
    for _ in range(depth):
        inner = [inner]
    return inner


def _large() -> Any:
    """200 KB of it, deep and wide."""
    return {"a": [nested(DEEP)] * 100, "b": [{MARK: MARK * 4}] * 4_000}


LARGE = _large()
ODD: tuple[Any, ...] = (
    None, True, False, 0, 1, -1, HUGE, -HUGE, 2**31, 2**63, 10**40, 1.5, 1e308, float("inf"),
    float("nan"), "", " ", "0", "-5", MARK, f"{MARK}\x00", f"\ud83d{MARK}", f"{MARK}\udc00",
    "\u202e" + MARK, MARK * 500, [], {}, [[]], [None], [{}], {"": None}, {"id": MARK},
    {"update_id": {}}, [MARK] * 30, nested(20),
)  # fmt: skip
ANSWERS: tuple[bytes, ...] = (
    b"", b"null", b"[]", b'"x"', b"0", b"{}", b'{"ok":true}', b'{"ok":true,"result":null}',
    b'{"ok":true,"result":{}}', b'{"ok":true,"result":"x"}', b'{"ok":"x","result":[',
    b'{"ok":true,"result":[{"update_id":5', b"\xff\xfe\x00\x80", b"\xef\xbb\xbf{}",
    b'{"ok":true,"result":[' + b"[" * 100_000, b"[" * 200_000, b"<html>502 Bad Gateway</html>",
    b'{"ok":true,"result":[{"update_id":' + b"9" * 5_000 + b"}]}", b'{"ok":false}',
    b'{"ok":false,"error_code":"x","description":5,"parameters":[]}',
)  # fmt: skip
"""Whole answers to `getUpdates` that are none."""


class Junk:
    """The same seed gives the same junk."""

    def __init__(self, seed: int, on_viber: Sequence[str]) -> None:
        """`on_viber`: the ids of who is said to have sent it there."""
        self.dice = random.Random(seed)
        self._on_viber = on_viber
        self._next_id = 100_000_001
        self._sent: list[tuple[bytes, str | None]] = []

    # --- Telegram

    def batch(self, size: int) -> list[Any]:
        """So many updates. The last has an id of its own, so that the platform lets go of all."""
        made = [self._update() for _ in range(size - 1)]
        return [*made, {"update_id": self._id(), MARK: MARK}]

    def answer(self) -> bytes:
        return self.dice.choice(ANSWERS)

    def _id(self) -> int:
        # Now and then the platform begins somewhere else, as after a quiet week.
        self._next_id += 1 if self.dice.random() > 0.0005 else self.dice.randrange(10, 10_000_000)
        return self._next_id

    def _update(self) -> Any:
        dice = self.dice
        kind, content = dice.choice(_UPDATES)(dice)
        made: Any = {"update_id": self._id(), kind: content}
        roll = dice.random()
        if roll < 0.02:
            return dice.choice(ODD)
        if roll < 0.04:
            own = made["update_id"]
            odd = (None, True, 1.5, "", str(own), [own], {"": own}, -own, HUGE + own, 10**40 + own)
            return made | {"update_id": dice.choice(odd)}
        if roll < 0.06:  # ids out of order, and such as have been
            made["update_id"] = max(1, made["update_id"] - dice.randrange(1, 300))
        elif roll < 0.09:
            made[f"{MARK}_kind"] = made.pop(kind)
        elif roll < 0.11:
            made[dice.choice(("message", "callback_query", "poll", "edited_message"))] = content
        if roll < 0.95:  # where it hurts
            for _ in range(2):
                spoil(dice, made.get(kind), ("message_id", "chat", "text", "data", "message"))
        for _ in range(dice.randrange(1, 3)):
            mutate(dice, made)
        if dice.random() < 0.002:
            made[kind] = {"chat": LARGE, "text": LARGE, "message_id": 5, "date": 5}
        return made

    # --- Viber

    def call(self, sign: Callable[[bytes], str]) -> tuple[bytes, str | None, frozenset[int]]:
        """A body, its signature, and what it may be answered."""
        dice = self.dice
        roll = dice.random()
        if roll < 0.05 and self._sent:
            body, signature = dice.choice(self._sent)
            return body, signature, _TAKEN
        body = self._body()
        if roll < 0.15:
            wrong = (None, "", "x", "0" * 64, sign(body)[:-1], sign(body + b" "), "я" * 32)
            return body, dice.choice(wrong), frozenset({403})
        signature = sign(body)
        if dice.random() < 0.05:
            self._sent.append((body, signature))
            del self._sent[:-50]
        return body, signature, _TAKEN

    def _body(self) -> bytes:
        dice = self.dice
        roll = dice.random()
        if roll < 0.08:
            return dice.choice(ANSWERS[:14])
        if roll < 0.081:
            return b"[" * 200_000
        event = dice.choice(_EVENTS)(dice, dice.choice(self._on_viber))
        if roll < 0.95:
            for _ in range(2):
                spoil(dice, event, ("sender", "message", "user", "user_id", "message_token"))
        for _ in range(dice.randrange(1, 3)):
            mutate(dice, event)
        if roll < 0.083:
            event["message"] = LARGE
        body = json.dumps(event).encode()
        if roll > 0.97:
            at = dice.randrange(len(body))
            body = body[:at] + dice.choice((b"", b"\xff", b"\x00", b"}")) + body[at + 1 :]
        return body


_TAKEN = frozenset({200, 400, 413})


def spoil(dice: random.Random, made: Any, keys: Sequence[str]) -> None:
    """Something without which it is no message."""
    there = [key for key in keys if isinstance(made, dict) and key in made]
    if not there:
        return mutate(dice, made)
    key = dice.choice(there)
    inner = made[key]
    if isinstance(inner, dict) and inner and dice.random() < 0.5:
        first = next(iter(inner))  # an id, or what it is
        made, key = inner, dice.choice((first, first, *inner))
    _pick(dice, made, key, ODD)


def mutate(dice: random.Random, made: Any) -> None:
    """Spoil something in it, anywhere but its own id."""
    where, key = None, None
    while True:
        if isinstance(made, dict) and made:
            where, key = made, dice.choice([k for k in made if k != "update_id"] or [""])
        elif isinstance(made, list) and made:
            where, key = made, dice.randrange(len(made))
        else:
            break
        made = where[key] if key != "" else None
        if dice.random() < 0.3:
            break
    if where is not None and key != "":
        _pick(dice, where, key, ODD)


def _pick(dice: random.Random, where: Any, key: Any, odd: tuple[Any, ...]) -> Any:
    match dice.randrange(8):
        case 0 if isinstance(where, dict):
            del where[key]
        case 1:
            where[key] = [where[key]]
        case 2:
            where[key] = {"": where[key]}
        case 3:
            where[key] = str(where[key])
        case _:
            where[key] = copy.deepcopy(dice.choice(odd))
    return where


# --- what is spoilt: Telegram --------------------------------------------------------------------


def _person(dice: random.Random) -> dict[str, Any]:
    return {"id": dice.choice(PEOPLE), "is_bot": False, "first_name": MARK, "language_code": "de"}


def _message(dice: random.Random, /, **content: Any) -> dict[str, Any]:
    person = _person(dice)
    return {
        "message_id": dice.randrange(1, 10_000), "from": person,
        "chat": {"id": person["id"], "type": "private", "first_name": MARK},
        "date": int(time.time()) - dice.choice((0, 0, 10, 100, 10_000)),
    } | content  # fmt: skip


def _text(dice: random.Random) -> tuple[str, Any]:
    text = dice.choice((f"{MARK} ало", f"/start {MARK}", "/start", "/close", "1", f"{MARK}\n" * 40))
    entities = [{"type": dice.choice(("bot_command", "url", "text_mention", MARK)), "length": 3}]
    return "message", _message(dice, text=text, entities=entities)


def _edited(dice: random.Random) -> tuple[str, Any]:
    return "edited_message", _message(dice, text=MARK, edit_date=int(time.time()))


def _medium(dice: random.Random) -> tuple[str, Any]:
    one = {"file_id": MARK, "file_unique_id": MARK, "width": 9, "height": 9, "file_size": 99}
    kind = dice.choice(("photo", "voice", "contact", "location", "sticker", "poll", "dice", MARK))
    return "message", _message(dice, **{kind: [one, one] if kind == "photo" else one}, caption=MARK)


def _tap(dice: random.Random) -> tuple[str, Any]:
    data = dice.choice(("bg:order", "bg:danger", "bg:hide", f"bg:{MARK}", "zz:home", MARK * 9))
    window = _message(dice, caption=MARK)
    return "callback_query", {
        "id": f"{MARK}{dice.randrange(10**9)}", "from": window["from"], "chat_instance": MARK,
        "message": window, "data": data,
    }  # fmt: skip


def _group(dice: random.Random) -> tuple[str, Any]:
    chat = {"id": -dice.choice(PEOPLE), "type": dice.choice(("group", "channel", MARK))}
    return "message", _message(dice, text=MARK, chat=chat | {"title": MARK})


def _member(dice: random.Random) -> tuple[str, Any]:
    message = _message(dice)
    bot = {"id": 4839201, "is_bot": True, "first_name": MARK}
    return "my_chat_member", {
        "chat": message["chat"], "from": message["from"], "date": message["date"],
        "old_chat_member": {"status": "member", "user": bot},
        "new_chat_member": {"status": dice.choice(("kicked", "member", MARK)), "user": bot,
                            "until_date": 0},
    }  # fmt: skip


_UPDATES = (_text, _text, _edited, _edited, _medium, _medium, _tap, _group, _member)


# --- what is spoilt: Viber -----------------------------------------------------------------------


def _event(dice: random.Random, kind: str, /, **content: Any) -> dict[str, Any]:
    return {
        "event": kind, "timestamp": int(time.time() * 1000) - dice.choice((0, 0, 10_000, 10**8)),
        "chat_hostname": MARK, "message_token": dice.randrange(10**18, 2 * 10**18),
    } | content  # fmt: skip


def _user(user: str) -> dict[str, Any]:
    return {"id": user, "name": MARK, "language": "de", "api_version": 10}


def _words(dice: random.Random, user: str) -> dict[str, Any]:
    kind = dice.choice(("text", "text", "text", "picture", "contact", "location", "url", MARK))
    message = {"type": kind, "text": dice.choice((MARK, "bg:danger", "1", f"{MARK}\n" * 30)),
               "media": f"https://{MARK}.example/", "tracking_data": dice.choice((MARK, "bg:case")),
               "contact": {"name": MARK, "phone_number": MARK}}  # fmt: skip
    return _event(dice, "message", sender=_user(user), message=message, silent=dice.random() < 0.5)


def _opening(dice: random.Random, user: str) -> dict[str, Any]:
    subscribed = dice.random() < 0.5
    return _event(
        dice, "conversation_started",
        type="open", context=MARK, user=_user(user), subscribed=subscribed,
    )  # fmt: skip


def _told(dice: random.Random, user: str) -> dict[str, Any]:
    kinds = ("subscribed", "unsubscribed", "delivered", "seen", "failed", "webhook", MARK)
    return _event(dice, dice.choice(kinds), user_id=user, desc=MARK)


_EVENTS = (_words, _words, _opening, _told)
