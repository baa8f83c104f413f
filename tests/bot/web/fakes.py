"""A line of help small enough to see through: what the web page is tested against."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import uvicorn
import yaml
from starlette.applications import Starlette

from bot.channels.base import Incoming, Outgoing, OutgoingButton
from bot.channels.web import WebChannel
from bot.links import Links
from bot.metrics import Sample
from bot.privacy.vault import Vault
from bot.storage.lent import LentVoice
from bot.web.app import WebParts, assemble
from bot.web.chat import chat_routes
from bot.web.demo import demo_routes
from bot.web.health import health_routes
from bot.web.platforms import platform_routes
from dialogs import payload
from dialogs.model import CASE, Content, Position, Sent, Started, Tapped, Typed

NOW = datetime(2026, 11, 22, 10, 0, tzinfo=UTC)
ROOT = Path(__file__).parents[3]
MARKS = ("back", "home", "danger", "hide")
SAFE_WORD = "рецепта за погача"


def flat(values: Mapping[str, Any], before: str = "") -> dict[str, str]:
    """Nested phrases by their dotted ids."""
    texts: dict[str, str] = {}
    for key, value in values.items():
        name = f"{before}{key}"
        texts |= flat(value, f"{name}.") if isinstance(value, dict) else {name: str(value).strip()}
    return texts


class Words:
    """The page's own phrases, and the marks."""

    def __init__(self) -> None:
        self._texts = flat(yaml.safe_load((ROOT / "dialogs" / "web_phrases.yaml").read_text()))
        labels = {"back": "Назад", "home": "Начало", "danger": "112", "hide": "Скрий"}
        self._texts |= {f"mark.{mark}": label for mark, label in labels.items()}

    def say(self, language: str, text_id: str, **params: object) -> str:
        return self._texts[text_id].format_map(params)


class Clock:
    """Stands still until it is moved."""

    def __init__(self) -> None:
        self.time = NOW

    def __call__(self) -> datetime:
        return self.time


class Line:
    """An intake that shows what the test wrote, and remembers what came."""

    def __init__(self, channel: WebChannel, screens: Mapping[str, Outgoing], clock: Clock) -> None:
        self.channel = channel
        self.screens = dict(screens)
        self.clock = clock
        self.received: list[Incoming] = []
        self.relayed: list[str] = []
        self.given: list[bytes] = []
        self.takes_media = False
        self.cases: set[str] = set()
        self.due: list[Outgoing] = []
        self.present: set[str] = set()
        self.gone: list[str] = []
        self.broken = False
        self.hangs = False
        self.silent = False
        self._work: set[asyncio.Task[None]] = set()

    def accept(self, incoming: Incoming) -> asyncio.Future[None]:
        self.received.append(incoming)
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        if self.broken:
            done.set_exception(OSError(str(incoming)))
            return done
        done.set_result(None)
        if not self.hangs and not self.silent:
            task = asyncio.get_running_loop().create_task(self._handle(incoming))
            self._work.add(task)
            task.add_done_callback(self._work.discard)
        return done

    async def _handle(self, incoming: Incoming) -> None:
        address = incoming.address
        match incoming.event:
            case Typed(text=text) if address in self.cases:
                self.relayed.append(text)
            case Sent() if incoming.fetch is not None and address in self.cases:
                self.given.append(await incoming.fetch())
            case Typed():
                await self._show(address, "understood")
            case Tapped(to=Position(node="hide")):
                await self.channel.sweep(address, None)
            case Tapped(to=Position(node="open")):
                self.cases.add(address)
                await self._show(address, CASE)
            case Tapped(to=Position(node="forget")):
                self.cases.discard(address)
                await self._show(address, "home")
            case Tapped(to=Position(node=node), fresh=True):
                await self._show(address, node if node in self.screens else "home")
            case Started(code=code):
                await self._show(address, "start", code)
            case _:
                await self._show(address, "start")

    async def _show(self, address: str, node: str, code: str | None = None) -> None:
        window = made(self.screens[node], self.clock(), in_case=address in self.cases, code=code)
        await self.channel.show(address, replace(window, takes_media=self.takes_media), None)

    async def has_case(self, channel: str, address: str) -> bool:
        return address in self.cases

    async def unread(self, channel: str, address: str) -> Sequence[Outgoing]:
        return self.due if address in self.cases else []

    async def settled(self, channel: str, address: str) -> None:
        if self.hangs:
            await asyncio.Event().wait()
        while self._work:
            await asyncio.wait(set(self._work))

    def here(self, channel: str, address: str) -> None:
        self.present.add(address)

    def stays(self, channel: str, address: str) -> None:
        """Another page of hers was closed."""

    def covered(self, channel: str, address: str) -> None:
        self.present.discard(address)

    def left(self, channel: str, address: str) -> None:
        self.present.discard(address)
        self.gone.append(address)


def screen(
    node: str, text: str, *choices: tuple[str, str], picture: str | None = None, cover: bool = False
) -> Outgoing:
    """A screen whose choices are (label, node)."""
    buttons = tuple(
        OutgoingButton(f"{number}. {label}", to) for number, (label, to) in enumerate(choices, 1)
    )
    position = Position("bg", node)
    return Outgoing(text, "bg", choices=buttons, picture=picture, cover=cover, position=position)


def made(window: Outgoing, now: datetime, *, in_case: bool, code: str | None) -> Outgoing:
    """The screen as it leaves the renderer: payloads stamped, marks below."""
    position = window.position
    assert position is not None
    answers = (("d", code),) if code else ()
    choices = tuple(
        OutgoingButton(b.label, payload.pack(Position("bg", b.payload, answers), now))
        for b in window.choices
    )
    marks = [Position("bg", node) for node in ("home", "home", "danger", "hide")]
    return Outgoing(
        window.text,
        "bg",
        choices=choices,
        marks=()
        if window.cover
        else tuple(
            OutgoingButton(Words().say("bg", f"mark.{mark}"), payload.pack(to, now))
            for mark, to in zip(MARKS, marks, strict=True)
        ),
        picture=window.picture,
        cover=window.cover,
        in_case=in_case and not window.cover,
        position=position,
    )


SCREENS = {
    "start": screen(
        "start",
        "Супа от леща за четирима.\n\nВари се 30 минути.\n\nТелефон за спешни случаи:\n112",
        ("Още една рецепта", "start"),
        ("За мен", "home"),
        picture="cover",
        cover=True,
    ),
    "home": screen(
        "home",
        "С какво да започнем?\n\nИзбери едно. Можеш да се върнеш.",
        ("Какво прави той?", "page"),
        ("Кога сте тук?", "page"),
        ("Искам да говоря с човек", "open"),
        picture="home",
    ),
    "page": screen(
        "page", "<b>Това не е по твоя вина.</b>\nИма хора, които помагат.", ("Да", "home")
    ),
    "danger": screen(
        "danger",
        "Обади се на 112.\n\n112\n\nДенонощно, без пари:\n0800 1 86 76",
        ("Той е тук", "page"),
        picture="danger",
    ),
    "understood": screen("understood", "Може би търсиш това.", ("Защита", "page")),
    CASE: screen(CASE, "Повикахме човек.\n\nМожеш да пишеш тук.", ("Край на разговора", "forget")),
}


def message(
    number: int, text: str, author: str | None = "Мария", voice: bytes | None = None
) -> Outgoing:
    """One message of a case."""
    return Outgoing(
        text, "bg", window=False, in_case=True, number=number, author=author, voice=voice
    )


class LentVoices:
    """The store's table of lent voices, in memory. Everybody has a case."""

    def __init__(self, clock: Clock) -> None:
        self._now = clock
        self._lying: dict[str, LentVoice] = {}

    async def lend(
        self, name: str, channel: str, address: str, content: bytes, until: datetime
    ) -> bool:
        self._lying[name] = LentVoice(content, until)
        return True

    async def lend_beside(self, lies: str, name: str, content: bytes) -> None:
        self._lying[name] = LentVoice(content, self._lying[lies].until)

    async def lent(self, name: str) -> LentVoice | None:
        found = self._lying.get(name)
        return found if found is not None and found.until > self._now() else None


class World:
    """One page with all that stands behind it."""

    def __init__(self, *, public_url: str = "", demo: bool = False, patience: float = 30.0) -> None:
        """`patience`: for how many seconds an answer and her page are waited for."""
        self.clock = Clock()
        self.channel = WebChannel(answer_seconds=patience, acknowledge=patience)
        self.line = Line(self.channel, SCREENS, self.clock)
        self.well: dict[str, bool] = {"database": True}
        self.parts = WebParts(
            content=cast(
                Content,
                SimpleNamespace(
                    languages=("bg", "tr", "en"), safe_words={"bg": (SAFE_WORD,)}, danger_words={}
                ),
            ),
            texts=cast(Any, Words()),
            channel=self.channel,
            intake=self.line,
            desk=cast(Any, None),
            accounts=cast(Any, None),
            team=cast(Any, None),
            stop=cast(Any, None),
            store=cast(Any, None),
            changes=cast(Any, None),
            now=self.clock,
            links=Links(
                Vault(bytes(32), Path("no-days")),
                "http://ours.example",
                (),
                self.clock,
                LentVoices(self.clock),
            ),
            posters=cast(Any, None),
            broadcasts=cast(Any, None),
            health=self._health,
            metrics=self._metrics,
            public_url=public_url,
            demo=demo,
        )

    async def _health(self) -> Mapping[str, bool]:
        return self.well

    async def _metrics(self) -> list[Sample]:
        return [Sample("streams", 2)]

    def app(self) -> Starlette:
        routes = [*chat_routes(self.parts), *health_routes(self.parts)]
        routes += platform_routes(self.parts)
        return assemble(
            self.parts, [*routes, *(demo_routes(self.parts) if self.parts.demo else ())]
        )


@asynccontextmanager
async def served(world: World) -> AsyncIterator[str]:
    """The world's web on a real server; gives its address."""
    config = uvicorn.Config(world.app(), port=0, log_config=None, access_log=False, lifespan="off")
    server = uvicorn.Server(config)
    serving = asyncio.create_task(server.serve())
    while not server.started:  # uvicorn tells in no other way
        await asyncio.sleep(0.01)
    running = asyncio.create_task(world.channel.run(world.line))
    await asyncio.sleep(0)
    yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}/"
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    server.should_exit = True
    await serving
