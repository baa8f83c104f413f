"""One step of the dialog: (content, position, event) -> (position, effects).

Pure: no clock, no dice, no network, no database. Whoever calls it shows the screens and
does the rest; whatever comes in, the position that comes out is a living one.
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from itertools import islice
from typing import assert_never

from dialogs import match, payload
from dialogs.model import (
    CASE,
    COVER_SLOT,
    DANGER,
    HIDE,
    HOME,
    HOURS_SLOT,
    MAX_CHOICES,
    MEET,
    MISS_SLOT,
    NEVER,
    NUDGE_SLOT,
    NUDGE_WORDS_SLOT,
    OUTSIDE_SLOT,
    PAGE_SLOT,
    PLACE_SLOT,
    REMIND,
    SILENT,
    SOURCE_LANGUAGE,
    START,
    TOPIC_SLOT,
    WHEN,
    WHEN_WORDS,
    AllowMedia,
    Arrive,
    Button,
    Choice,
    Content,
    Decline,
    Effect,
    EndCase,
    Event,
    Fill,
    ForgetEverything,
    Hide,
    Language,
    Mark,
    MediaKind,
    Node,
    NodeId,
    NodeKind,
    OpenCase,
    Position,
    Relay,
    Remind,
    RenewReminder,
    Screen,
    Sent,
    Show,
    Started,
    Step,
    StopReminders,
    TakeMedium,
    Tapped,
    TextId,
    Typed,
)

LINK_SLOT = "d"
"""The answer slot that carries a deep link's code through the gate."""
GATE_TOPIC = "start"
"""The topic whose nodes stand before the gate is passed."""
MAX_OFFERS = 3
_DANGER_DIGIT, _HIDE_DIGIT = "0", "9"
_HOPS = 16
_GOT = {
    MediaKind.PHOTO: "got_photo",
    MediaKind.VOICE: "got_voice",
    MediaKind.CONTACT: "got_contact",
    MediaKind.LOCATION: "got_other",
    MediaKind.OTHER: "got_other",
}


def step(content: Content, position: Position, event: Event) -> Step:
    """Where she is after `event`, and what is to be done about it.

    While a case is open and she writes, `position` is the node `case`.
    """
    here = living(content, position)
    match event:
        case Started(code):
            return _started(content, here, code)
        case Tapped(to, fresh):
            return _tapped(content, here, to, fresh)
        case Typed(covered_by=Position() as cover) if (
            content.nodes[here.node].kind is NodeKind.CASE
        ):
            return _typed_over_case(content, here, event, living(content, cover))
        case Typed(text, fresh):
            return _typed(content, here, text, fresh)
        case Sent(kind, fresh):
            return _sent(content, here, kind, fresh)
        case _:
            assert_never(event)


def cover(language: Language) -> Position:
    """The harmless first screen."""
    return Position(language, START)


def link_code(name: str) -> str:
    """The deep link's code of a topic or a place: says nothing to who reads it."""
    return payload.to_base36(zlib.crc32(f"phen:{name}".encode()) % 36**5)


def living(content: Content, position: Position) -> Position:
    """The same position with all that this content does not know taken out.

    A node of an older version becomes the nearest living one: its name shortened part by
    part, else home.
    """
    language = position.language if position.language in content.languages else SOURCE_LANGUAGE
    node = position.node
    while node and node not in content.nodes:
        node = node.rpartition("_")[0]
    known = Position(language, node or HOME)
    for slot, value in position.answers:
        if _is_answer(content, slot, value):
            known = known.with_answer(slot, value)
    return known


def is_before_the_gate(node: Node) -> bool:
    """Whether it is seen without passing the gate; what is typed there opens nothing behind it."""
    return node.topic == GATE_TOPIC or node.kind is NodeKind.COVER


def above_cover(content: Content) -> tuple[TextId, ...]:
    """What stands above the cover after *hide*, where what was read cannot be removed."""
    return tuple(content.nodes[cover].text for cover in content.nodes[HIDE].covers)


def screen(content: Content, position: Position) -> Screen:
    """The screen of a position, without acting on it."""
    return _screen(content, _resolve(content, living(content, position)))


# --- events --------------------------------------------------------------------------------


def _started(content: Content, here: Position, code: str | None) -> Step:
    start = cover(here.language)
    if code is not None and _linked(content, start.language, code) is not None:
        start = start.with_answer(LINK_SLOT, code)
    return _show(content, start)


def _tapped(content: Content, here: Position, to: Position | None, fresh: bool) -> Step:
    if to is None:
        return _show(content, cover(here.language))
    target = living(content, to)
    match content.nodes[target.node].kind:
        case NodeKind.HIDE:
            return _hidden(target)
        case NodeKind.STOP_REMINDERS | NodeKind.COVER:  # also under a reminder of days ago
            return _go(content, target)
    return _go(content, target) if fresh else _show(content, cover(target.language))


def _typed(content: Content, here: Position, text: str, fresh: bool) -> Step:
    if match.is_safe_word(content, text):
        return _hidden(here)
    word = text.strip()
    if content.nodes[here.node].kind is NodeKind.CASE:
        return _typed_in_case(content, here, text, word)
    if (stop := _stop(content)) is not None and match.is_stop_word(content, text):
        return _go(content, Position(here.language, stop))
    if not fresh:
        return _show(content, cover(here.language))
    if word == _HIDE_DIGIT:
        return _hidden(here)
    if word == _DANGER_DIGIT or match.is_danger(content, text):
        return _go(content, _to_danger(content, here))
    shown = screen(content, here)
    choices = {str(number): button for number, button in enumerate(shown.choices, start=1)}
    if chosen := choices.get(word):  # a page opens by a tap alone
        return _show(content, here) if chosen.on_page else _go(content, chosen.to)
    if is_before_the_gate(content.nodes[here.node]):
        return _show(content, here)
    return _not_understood(content, here, text)


def _typed_in_case(content: Content, here: Position, text: str, word: str) -> Step:
    if word == _HIDE_DIGIT:
        return Step(cover(here.language), (Relay(text), Hide()))
    if word == _DANGER_DIGIT:
        danger = _go(content, Position(here.language, DANGER))
        return Step(danger.position, (Relay(text), *danger.effects))
    return Step(here, (Relay(text),))


def _typed_over_case(content: Content, here: Position, typed: Typed, cover: Position) -> Step:
    """Her case has it; but what ends her reminders on that cover ends them in a case, too."""
    without = _typed(content, cover, typed.text, typed.fresh)
    if StopReminders() not in without.effects:
        return _typed(content, here, typed.text, typed.fresh)
    stop, *shown = without.effects
    return Step(without.position, (stop, Relay(typed.text), *shown))


def _sent(content: Content, here: Position, kind: MediaKind, fresh: bool) -> Step:
    if content.nodes[here.node].kind is NodeKind.CASE:
        if kind in (MediaKind.PHOTO, MediaKind.VOICE):
            return Step(here, (TakeMedium(kind),))
        return Step(here, (Decline("notice.cannot_take"),))
    if not fresh:
        return _show(content, cover(here.language))
    if is_before_the_gate(content.nodes[here.node]):
        return _show(content, here)
    return _show(content, Position(here.language, _GOT[kind]))


def _not_understood(content: Content, here: Position, text: str) -> Step:
    offers = match.nearest(content, text, limit=MAX_OFFERS)
    if offers:
        return _offer(content, here, offers)
    missed = here.answer(MISS_SLOT) is not None
    node = "not_understood_again" if missed else "not_understood"
    return _show(content, Position(here.language, node).with_answer(MISS_SLOT, "1"))


def _offer(content: Content, here: Position, offers: Sequence[NodeId]) -> Step:
    position = Position(here.language, "suggest")
    shown = _screen(content, position)
    buttons = tuple(Button(f"{node}.name", position.to(node)) for node in offers)
    filled = Screen(
        shown.position,
        shown.text,
        shown.picture,
        (*buttons, *shown.choices)[:MAX_CHOICES],
        shown.marks,
    )
    return Step(position, (Show(filled),))


# --- arriving ------------------------------------------------------------------------------


def _show(content: Content, position: Position) -> Step:
    return Step(position, (Show(_screen(content, position)),))


def _hidden(position: Position) -> Step:
    return Step(cover(position.language), (Hide(),))


def _go(content: Content, target: Position) -> Step:
    """Arrive at a node: through results to a screen, or through a door to its effect."""
    position = _resolve(content, target)
    node = content.nodes[position.node]
    effects: list[Effect] = []
    match node.kind:
        case NodeKind.HIDE:
            return _hidden(position)
        case NodeKind.OPEN_CASE:
            effects.append(_open_case(content, position))
            position = Position(position.language, CASE)
        case NodeKind.END_CASE:
            effects.append(EndCase())
            position = Position(position.language, node.go or HOME)
        case NodeKind.ALLOW_MEDIA:
            effects.append(AllowMedia())
            position = Position(position.language, node.go or CASE)
        case NodeKind.SET_REMINDER:
            if (wanted := _remind(content, position)) is None:
                return _go(content, position.to(_unanswered(content, position)))
            effects.append(wanted)
            position = position.to(node.go or HOME)
        case NodeKind.RENEW_REMINDER:
            if (place := position.answer(PLACE_SLOT)) is not None:
                effects.append(RenewReminder(place))
            position = position.to(node.go or HOME)
        case NodeKind.STOP_REMINDERS:
            effects.append(StopReminders())
            position = Position(position.language, node.go or START)
        case NodeKind.FORGET:
            effects.append(ForgetEverything())
            position = Position(position.language, node.go or HOME)
        case NodeKind.ARRIVE:
            position = _resolve(content, _beyond_the_gate(content, position, node))
            return Step(position, (Arrive(_screen(content, position)),))
        case _:
            pass
    effects.append(Show(_screen(content, position)))
    return Step(position, tuple(effects))


def _resolve(content: Content, position: Position) -> Position:
    """Follow results, and turn a page whose facts have run out into the one that says so."""
    for _ in range(_HOPS):
        node = content.nodes[position.node]
        if node.kind is not NodeKind.RESULT:
            if content.expired.intersection(node.facts) and node.id not in (DANGER, "fact_expired"):
                return position.to("fact_expired")
            return position
        position = position.to(_chosen(node, position))
    return position.to(HOME)


def _chosen(node: Node, position: Position) -> NodeId:
    for row in node.cases:
        if all(position.answer(slot) == value for slot, value in row.when.items()):
            return row.go
    return HOME


def _open_case(content: Content, position: Position) -> OpenCase:
    topic = _given(content, position, TOPIC_SLOT)
    label = topic.label if topic is not None else None
    return OpenCase(
        position.language, label, position.answer(PLACE_SLOT), _nudge(content, position)
    )


def _nudge(content: Content, position: Position) -> tuple[str, TextId] | None:
    """When and under which words she lets us ring: the words are the button that she chose."""
    asked = [node for node in content.nodes.values() if node.kind is NodeKind.NUDGE]
    given = {
        node.slot: choice
        for node in asked
        for choice in node.choices
        if node.slot and choice.value == position.answer(node.slot) != NEVER
    }
    hours, words = given.get(NUDGE_SLOT), given.get(NUDGE_WORDS_SLOT)
    if hours is None or words is None or hours.value is None:
        return None
    return hours.value, words.label


def _remind(content: Content, position: Position) -> Remind | None:
    """What she wants to be reminded of, once all is answered."""
    place = position.answer(PLACE_SLOT)
    hours = _given(content, position, HOURS_SLOT)
    words = _given(content, position, COVER_SLOT)
    if place is None or hours is None or words is None or hours.value is None:
        return None
    said = {SILENT: None, WHEN: WHEN_WORDS}.get(words.value or "", words.label)
    return Remind(position.language, place, hours.value, said)


def _unanswered(content: Content, position: Position) -> NodeId:
    """The first question about a reminder that she has not answered."""
    if position.answer(PLACE_SLOT) is None:
        return REMIND
    asked = {node.slot: node.id for node in content.nodes.values() if node.slot is not None}
    slot = HOURS_SLOT if _given(content, position, HOURS_SLOT) is None else COVER_SLOT
    return asked.get(slot, REMIND)


def _given(content: Content, position: Position, slot: str) -> Choice | None:
    """The choice by which she answered to `slot`."""
    value = position.answer(slot)
    choices = (c for n in content.nodes.values() if n.slot == slot for c in n.choices)
    return next((c for c in choices if value is not None and c.value == value), None)


def _stop(content: Content) -> NodeId | None:
    """The door by which she ends her reminders."""
    kind = NodeKind.STOP_REMINDERS
    return next((node.id for node in content.nodes.values() if node.kind is kind), None)


def _beyond_the_gate(content: Content, position: Position, node: Node) -> Position:
    code = position.answer(LINK_SLOT)
    linked = _linked(content, position.language, code) if code is not None else None
    return linked or Position(position.language, node.go or HOME)


def _linked(content: Content, language: Language, code: str) -> Position | None:
    """Where a deep link's code leads, once the gate is passed."""
    for topic in content.topics.values():
        if topic.entry is not None and link_code(topic.id) == code:
            return Position(language, topic.entry.go)
    for place in content.places.values():
        if link_code(place.code) == code:
            receptions = content.nodes[MEET].go or MEET
            return Position(language, receptions).with_answer(PLACE_SLOT, place.code)
    return None


# --- screens -------------------------------------------------------------------------------


def _screen(content: Content, position: Position) -> Screen:
    node = content.nodes[position.node]
    is_cover = node.kind is NodeKind.COVER
    return Screen(
        position=position,
        text=node.text,
        picture=node.picture or content.topics[node.topic].picture,
        choices=_choices(content, node, position),
        marks=() if is_cover else _marks(content, node, position),
        fill=_fill(node),
        cover=is_cover,
        facts=node.facts,
    )


def _fill(node: Node) -> Fill | None:
    if node.kind is NodeKind.RECEPTIONS:
        return Fill.RECEPTIONS
    if node.kind is NodeKind.CASE:
        return Fill.CASE
    return node.fill


def _marks(content: Content, node: Node, position: Position) -> tuple[tuple[Mark, Button], ...]:
    back = content.parents.get(node.id, START)
    targets = (
        (Mark.BACK, _moved(content, position, node, back)),
        (Mark.HOME, Position(position.language, _home_for(node, position))),
        (Mark.DANGER, _to_danger(content, position)),
        (Mark.HIDE, Position(position.language, HIDE)),
    )
    return tuple((mark, Button(f"mark.{mark.value}", to)) for mark, to in targets)


def _home_for(node: Node, position: Position) -> NodeId:
    """Before she has said that she can read now, home is the cover."""
    return START if _is_outside(node, position) else HOME


def _is_outside(node: Node, position: Position) -> bool:
    return node.topic == GATE_TOPIC or position.answer(OUTSIDE_SLOT) is not None


def _to_danger(content: Content, position: Position) -> Position:
    """112 is open to everybody; who comes from outside the gate stays outside."""
    is_outside = _is_outside(content.nodes[position.node], position)
    danger = Position(position.language, DANGER)
    return danger.with_answer(OUTSIDE_SLOT, "1") if is_outside else danger


def _to_the_gate(content: Content, position: Position, go: NodeId) -> Position:
    """The gate before a page that lies behind it; the page's topic is opened after it."""
    gate = next(n.id for n in content.nodes.values() if n.kind is NodeKind.LANGUAGES)
    topic = content.topics[content.nodes[go].topic]
    code = link_code(topic.id) if topic.entry is not None else None
    return Position(position.language, gate).with_answer(LINK_SLOT, code)


def _choices(content: Content, node: Node, position: Position) -> tuple[Button, ...]:
    own = tuple(_button(content, node, choice, position) for choice in node.choices)
    match node.kind:
        case NodeKind.LANGUAGES:
            return _language_buttons(content, node, position) + own
        case NodeKind.MENU:
            return _paged(position, _entries(content, node, position) + own, (), "menu.more")
        case NodeKind.PLACES:
            return _paged(position, _places(content, node, position), own, "places.more")
        case NodeKind.CHECKLIST:
            return _ticks(node, position) + own
        case _:
            return own


def _button(content: Content, node: Node, choice: Choice, position: Position) -> Button:
    to = _moved(content, position, node, choice.go)
    if choice.value is not None and node.slot is not None:
        to = to.with_answer(node.slot, choice.value)
    return Button(choice.label, to, on_page=choice.on_page)


def _moved(content: Content, position: Position, node: Node, go: NodeId) -> Position:
    """Answers go along within a topic, and are left behind where it ends."""
    if content.nodes[go].topic != node.topic:
        behind = content.nodes[go].kind is not NodeKind.HIDE
        if behind and position.answer(OUTSIDE_SLOT) is not None:
            return _to_the_gate(content, position, go)
        return Position(position.language, go)
    return position.to(go).with_answer(PAGE_SLOT, None).with_answer(MISS_SLOT, None)


def _language_buttons(content: Content, node: Node, position: Position) -> tuple[Button, ...]:
    go = _moved(content, position, node, node.go or START)
    return tuple(
        Button("language.name", Position(language, go.node, go.answers))
        for language in content.languages
    )


def _entries(content: Content, node: Node, position: Position) -> tuple[Button, ...]:
    entries = [t.entry for t in content.topics.values() if t.entry and t.entry.menu == node.id]
    entries.sort(key=lambda entry: (entry.order, entry.go))
    return tuple(Button(e.label, Position(position.language, e.go)) for e in entries)


def _places(content: Content, node: Node, position: Position) -> tuple[Button, ...]:
    go = _moved(content, position, node, node.go or HOME)
    return tuple(
        Button(place.name, go.with_answer(PLACE_SLOT, place.code))
        for place in content.places.values()
    )


def _paged(
    position: Position, buttons: tuple[Button, ...], always: tuple[Button, ...], more: TextId
) -> tuple[Button, ...]:
    """At most four choices: the page that the position names, and a button to the next."""
    room = MAX_CHOICES - len(always)
    if len(buttons) <= room:
        return buttons + always
    size = room - 1
    pages = -(-len(buttons) // size)
    page = int(position.answer(PAGE_SLOT) or "0") % pages
    following = position.with_answer(PAGE_SLOT, str((page + 1) % pages))
    shown = tuple(islice(buttons, page * size, page * size + size))
    return (*shown, Button(more, following), *always)


def _ticks(node: Node, position: Position) -> tuple[Button, ...]:
    slot = node.slot or ""
    ticked = int(position.answer(slot) or "0", 36)
    buttons = []
    for bit, item in enumerate(node.items):
        changed = ticked ^ (1 << bit)
        value = payload.to_base36(changed) if changed else None
        is_ticked = bool(ticked >> bit & 1)
        buttons.append(Button(item.label, position.with_answer(slot, value), is_ticked))
    return tuple(buttons)


def _is_answer(content: Content, slot: str, value: str) -> bool:
    if slot == PLACE_SLOT:
        return value in content.places
    if slot == PAGE_SLOT:
        return value.isdigit() and len(value) <= 2
    if slot in (MISS_SLOT, OUTSIDE_SLOT):
        return value == "1"
    if slot == LINK_SLOT:
        return _linked(content, SOURCE_LANGUAGE, value) is not None
    return any(_fits(node, value) for node in content.nodes.values() if node.slot == slot)


def _fits(node: Node, value: str) -> bool:
    if node.kind is NodeKind.CHECKLIST:
        return 0 < int(value, 36) < 1 << len(node.items)
    return any(choice.value == value for choice in node.choices)
