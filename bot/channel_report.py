"""What each channel shows of every node, and what it cannot: `phen check --channels`.

Each screen is rendered at its longest and put as the channel's own code puts it, without any
platform. What is lost on the way is a degradation: an error unless `lint.yaml` allows it there.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta
from itertools import chain, groupby
from typing import Any

from bot.channels.base import Limits, Outgoing, OutgoingButton
from bot.fills import reception_words
from bot.on_paper import Arrived, OnPaper, noon
from bot.render import render
from bot.texts import Texts
from dialogs import engine, links, load, sizes
from dialogs.lint import Degradation, Rules
from dialogs.model import (
    HIDE,
    MAX_CHOICES,
    PAGE_SLOT,
    Button,
    Content,
    Fill,
    Language,
    Node,
    NodeId,
    NodeKind,
    Position,
    Screen,
    TextId,
)
from dialogs.payload import PayloadTooLong
from scheduler.exchange import LONGEST
from scheduler.model import Reception, ReceptionState

RECEPTIONS = 3
"""How many `scheduler.plan.upcoming` gives."""
ON_DUTY, ALIAS = 3, 20
"""How many consultants are named to her at once, and how long a chosen name may well be."""
DAYS = 800
"""How far ahead the longest date is looked for: a whole year beyond this one."""
_ENDLESS = 1_000_000
_HOURS = timedelta(hours=4)
_LETTER = "\u00e9"  # one character and two bytes, as Cyrillic ones are


# --- what the report holds -----------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Row:
    """One node on one channel in one language, at its longest.

    `shows` is *screen*, *passed* (she does not see it on this channel), or *door* (nobody sees
    it anywhere). `instead` is the node whose screen comes in its place.
    """

    node: NodeId
    channel: str
    language: Language
    shows: str
    instead: NodeId | None = None
    characters: int = 0
    limit: int = 0
    choices: int = 0
    marks: int = 0
    picture: str | None = None
    size: int | None = None
    other_words: bool = False
    lacks: Mapping[Degradation, str] = field(default_factory=dict)
    """Each degradation, with what is wrong and what to do."""


@dataclass(frozen=True, slots=True)
class Fault:
    """A degradation that the content does not allow. `language` None: in every language."""

    file: str
    line: int
    node: NodeId
    language: Language | None
    channel: str
    message: str
    code: Degradation

    def __str__(self) -> str:
        language = f" [{self.language}]" if self.language else ""
        return (
            f"{self.file}:{self.line}: {self.node}{language} {self.channel}:"
            f" {self.message} ({self.code})"
        )


@dataclass(frozen=True, slots=True)
class Report:
    """All rows, and what of them is an error."""

    rows: tuple[Row, ...]
    faults: tuple[Fault, ...]
    rules: Rules

    @property
    def summary(self) -> str:
        nodes, channels_, languages = (
            len({getattr(row, name) for row in self.rows})
            for name in ("node", "channel", "language")
        )
        size = f"{nodes} nodes, {channels_} channels, {languages} languages"
        return f"{size}: {len(self.faults)} degradations that are not allowed"

    def lines(self) -> Iterator[str]:
        """For people: one line per node and channel, of all languages the longest."""
        for _, rows in groupby(self.rows, lambda row: (row.node, row.channel)):
            yield _line(list(rows), self.rules)

    def for_machines(self) -> dict[str, Any]:
        """Everything, as JSON holds it."""
        return {
            "allowed": self.rules.channels,
            "rows": [dataclasses.asdict(row) for row in self.rows],
            "faults": [dataclasses.asdict(fault) for fault in self.faults],
        }


def _line(rows: Sequence[Row], rules: Rules) -> str:
    row = max(rows, key=lambda each: each.characters)
    head = f"{row.node:24} {row.channel:8} "
    if row.shows == "door":
        return f"{head}no screen"
    if row.shows == "passed":
        return f"{head}passed: {row.instead} comes"
    length = f"{row.characters} of {row.limit} ({row.language})"
    buttons = f"choices {row.choices}, marks {row.marks}"
    size = max((each.size or 0 for each in rows), default=0)
    said = [f"{size} bytes"] if size else []
    said += [f"{row.instead} in its place"] if row.instead else []
    said += ["other words"] if row.other_words else []
    codes = dict.fromkeys(chain.from_iterable(each.lacks for each in rows))
    fine = [str(code) for code in codes if rules.allows(row.channel, code)]
    said += [f"allowed {' '.join(fine)}"] if fine else []
    said += [f"{code} NOT ALLOWED" for code in codes if str(code) not in fine]
    shown = f"{length:18} {buttons:19} {row.picture or '-':10} {', '.join(said)}"
    return f"{head}{shown}".rstrip()


# --- making it -----------------------------------------------------------------------------------


def report(
    content: Content,
    texts: Texts,
    day: date,
    on_paper: Mapping[str, OnPaper],
    rules: Rules,
) -> Report:
    """Every node on every channel, in every language, as on that day."""
    shell = _Shell(texts, noon(day))
    views = [_View(content, texts, day, name, paper, shell) for name, paper in on_paper.items()]
    rows = tuple(
        view.row(node, language)
        for node in content.nodes.values()
        for view in views
        for language in content.languages
    )
    return Report(rows, tuple(_faults(rows, content, rules)), rules)


def _faults(rows: Iterable[Row], content: Content, rules: Rules) -> Iterator[Fault]:
    """Said once where it is so in every language."""
    for (name, channel), group in groupby(rows, lambda row: (row.node, row.channel)):
        where = content.nodes[name].source
        told: dict[tuple[Degradation, str], list[Language]] = {}
        for row in group:
            for code, message in row.lacks.items():
                if not rules.allows(channel, code):
                    told.setdefault((code, message), []).append(row.language)
        for (code, message), languages in told.items():
            everywhere = len(languages) == len(content.languages)
            for language in [None] if everywhere else languages:
                yield Fault(where.file, where.line, name, language, channel, message, code)


class _Shell:
    """What `bot.fills` adds to a screen, at its longest."""

    def __init__(self, texts: Texts, now: datetime) -> None:
        self._texts, self._now = texts, now
        self._receptions: dict[Language, str] = {}
        self._duties: dict[Language, str] = {}

    def added(self, screen: Screen) -> str:
        language = screen.position.language
        match screen.fill:
            case Fill.RECEPTIONS:
                coming = "\n\n".join([self._reception(language)] * RECEPTIONS)
                return max(coming, self._longest(language, "no_receptions.text"), key=_units)
            case Fill.DUTY:
                return self._duty(language)
            case Fill.CASE:
                nobody = (
                    f"{self._duty(language)}\n\n{self._texts.say(language, 'notice.out_of_hours')}"
                )
                return max(
                    nobody, self._longest(language, "case.answered", "case.waiting"), key=_units
                )
            case _:
                return ""

    def _reception(self, language: Language) -> str:
        """On the day with the longest name, with every field as long as the centre may make it."""
        if language not in self._receptions:
            planned = Reception(
                "", "", _LETTER * LONGEST["place"], self._now, self._now + _HOURS,
                landmark=_LETTER * LONGEST["landmark"],
            )  # fmt: skip
            days = (
                replace(planned, start=self._now + day, end=self._now + day + _HOURS, state=state)
                for day in (timedelta(days=number) for number in range(DAYS))
                for state in ReceptionState
            )
            words = (reception_words(self._texts, language, each, self._now) for each in days)
            self._receptions[language] = max(words, key=_units)
        return self._receptions[language]

    def _duty(self, language: Language) -> str:
        """Who is there, or when next, on the day with the longest name."""
        if language not in self._duties:
            say, now = self._texts.say, self._now
            spoken = ", ".join(say(each, "language.name") for each in self._texts.languages)
            days = (now + timedelta(days=number) for number in range(DAYS))
            when = max((self._texts.moment(language, day, now) for day in days), key=_units)
            who = ", ".join([_LETTER * ALIAS] * ON_DUTY)
            words = (
                say(language, "duty.nobody"),
                say(language, "duty.next", when=when),
                say(language, "duty.now_is", who=who),
                say(language, "duty.other_language", languages=spoken),
            )
            self._duties[language] = max(words, key=_units)
        return self._duties[language]

    def _longest(self, language: Language, *text_ids: TextId) -> str:
        return max((self._texts.say(language, each) for each in text_ids), key=_units)


class _View:
    """One channel's sight of the content."""

    def __init__(
        self,
        content: Content,
        texts: Texts,
        day: date,
        name: str,
        paper: OnPaper,
        shell: _Shell,
    ) -> None:
        self._texts, self._now, self._name, self._shell = texts, noon(day), name, shell
        self._paper, self._limits = paper, paper.limits
        self._plain = content
        hers = load.in_chat(content, lasting=self._limits.lasting, rings=self._limits.rings)
        self._content = load.on(hers, day)
        self._carried = sizes.carried(self._content)
        entered = [topic.id for topic in content.topics.values() if topic.entry is not None]
        self._links = [engine.link_code(each) for each in (*entered, *content.places)]

    def row(self, node: Node, language: Language) -> Row:
        here = Row(node.id, self._name, language, "screen", limit=self._limits.window)
        position = self._at_its_longest(node.id, language)
        try:
            if self._has_no_screen(node):
                return self._without_screen(here, node, position)
            return self._of(here, list(self._screens(node, position)))
        except PayloadTooLong as error:
            message = (
                f"a button needs {len(str(error).encode())} bytes of {self._limits.payload};"
                " shorten ids or answers, or ask less"
            )
            return dataclasses.replace(here, lacks={Degradation.PAYLOAD_TOO_LONG: message})
        except (LookupError, ValueError) as error:
            message = f"cannot be put together ({error!r}); see what phen check says"
            return dataclasses.replace(here, lacks={Degradation.NOT_SHOWN: message})

    # --- screens -----------------------------------------------------------------------------

    def _has_no_screen(self, node: Node) -> bool:
        covers = node.kind is NodeKind.HIDE and self._limits.lasting
        return self._content.nodes[node.id].kind in links.DOORS and not covers

    def _without_screen(self, here: Row, node: Node, position: Position) -> Row:
        if node.kind in links.DOORS:
            return dataclasses.replace(here, shows="door", limit=0)
        shown = engine.screen(self._content, position).position.node
        return dataclasses.replace(here, shows="passed", instead=shown, limit=0)

    def _screens(self, node: Node, position: Position) -> Iterator[Screen]:
        """What can stand there: every page of a long list."""
        if node.kind is NodeKind.HIDE:
            yield engine.screen(self._content, engine.cover(position.language))
            return
        shown = engine.screen(self._content, position.with_answer(PAGE_SLOT, None))
        if node.kind is NodeKind.SUGGEST:
            yield self._with_offers(shown)
            return
        seen: set[Position] = set()
        while shown.position not in seen:
            seen.add(shown.position)
            yield shown
            further = (b.to for b in shown.choices if b.to.answer(PAGE_SLOT) is not None)
            shown = engine.screen(self._content, next(further, shown.position))

    def _with_offers(self, shown: Screen) -> Screen:
        """The longest names that can be offered for what she typed."""
        language = shown.position.language
        named = [node for node in self._content.nodes.values() if f"{node.id}.name" in self._texts]
        named.sort(key=lambda node: -_units(self._texts.say(language, f"{node.id}.name")))
        offers = [
            Button(f"{node.id}.name", shown.position.to(node.id))
            for node in named[: engine.MAX_OFFERS]
        ]
        return dataclasses.replace(shown, choices=(*offers, *shown.choices)[:MAX_CHOICES])

    def _at_its_longest(self, node: NodeId, language: Language) -> Position:
        """She gets there with every answer that she can carry."""
        position = Position(language, node)
        for slot, value in self._carried[node].items():
            if slot == engine.LINK_SLOT:
                value = max(self._links, key=len, default=value)
            position = position.with_answer(slot, value)
        return position

    # --- what becomes of them ----------------------------------------------------------------

    def _of(self, here: Row, screens: Sequence[Screen]) -> Row:
        """One row of all its screens: the most of each, and whatever is lost."""
        lacks = dict(self._never())
        for screen in screens:
            whole = self._rendered(here.node, screen, self._endless)
            sent = self._rendered(here.node, screen, self._limits)
            arrived = self._paper.put(sent)
            lacks = {**dict(self._lost(whole, sent, arrived)), **lacks}
            here = dataclasses.replace(
                here,
                characters=max(here.characters, _units(whole.text), _units(arrived.text)),
                choices=max(here.choices, len(whole.choices)),
                marks=max(here.marks, len(whole.marks)),
                picture=sent.picture if arrived.picture else None,
                size=max(here.size or 0, arrived.size) if arrived.size is not None else None,
            )
        node = self._plain.nodes[here.node]
        shown = screens[0].position.node
        return dataclasses.replace(
            here,
            instead=shown if shown != here.node else None,
            other_words=self._limits.lasting and bool(node.lasting_text) and shown == node.id,
            lacks=lacks,
        )

    @property
    def _endless(self) -> Limits:
        return dataclasses.replace(self._limits, window=_ENDLESS, label=_ENDLESS, picture=True)

    def _never(self) -> Iterator[tuple[Degradation, str]]:
        """What this channel can do for no screen at all."""
        if self._limits.lasting:
            message = "what was sent cannot be removed there; say so behind the gate, and allow it"
            yield Degradation.STAYS, message
        if not self._limits.edit:
            message = "each screen is a new message there; mind what stands above, and allow it"
            yield Degradation.NO_EDIT, message
        if not self._limits.silent:
            message = "every message rings there; mind its first words, and allow it"
            yield Degradation.RINGS, message

    def _rendered(self, node: NodeId, screen: Screen, limits: Limits) -> Outgoing:
        return render(
            screen,
            self._texts,
            limits,
            self._now,
            above=engine.above_cover(self._content) if node == HIDE else (),
            added=self._shell.added(screen),
            page=self._paper.page,
        )

    def _lost(
        self, whole: Outgoing, sent: Outgoing, arrived: Arrived
    ) -> Iterator[tuple[Degradation, str]]:
        limits = self._limits
        if sent.text != whole.text:
            length = _units(whole.text)
            message = f"the text has {length} characters of {limits.window}; shorten it"
            yield Degradation.TEXT_CUT, message
        buttons = (*whole.choices, *whole.marks)
        counted = len(whole.choices)
        if counted > limits.buttons:
            message = f"{counted} choices of {limits.buttons}; lead some from another page"
            yield Degradation.TOO_MANY_BUTTONS, message
        if cut := [one for one in zip(buttons, arrived.labels, strict=True) if self._is_cut(*one)]:
            names = ", ".join(repr(button.label) for button, _ in cut)
            message = f"more than {limits.label} characters on a button ({names}); shorten it"
            yield Degradation.LABEL_CUT, message
        if (needed := max((len(b.payload.encode()) for b in buttons), default=0)) > limits.payload:
            message = f"a button needs {needed} bytes of {limits.payload}; shorten ids or answers"
            yield Degradation.PAYLOAD_TOO_LONG, message
        if arrived.size is not None and arrived.size > (self._paper.size or _ENDLESS):
            message = f"the call has {arrived.size} bytes of {self._paper.size}; shorten the text"
            yield Degradation.REQUEST_TOO_LARGE, message
        if not limits.picture:
            yield Degradation.PICTURE_MISSING, "shows no picture; say all in words, and allow it"
        elif not arrived.picture:
            message = f"the picture {whole.picture!r} does not arrive; draw it, or name another"
            yield Degradation.PICTURE_MISSING, message

    def _is_cut(self, button: OutgoingButton, arrived: str) -> bool:
        whole = arrived in (button.label, button.sign)
        return not whole or _units(arrived) > self._limits.label


def _units(text: str) -> int:
    """UTF-16 units: the measure of `render`."""
    return len(text.encode("utf-16-le")) // 2
