"""The content's own linter: what an author must still do before a woman reads it.

`load` has seen to it that files can be used; this looks at sense. It knows no catalogue: what a
translator wrote comes through a small port, which `bot.texts.Texts.translated` is.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from datetime import date

from dialogs import links, match
from dialogs.build import facts_in
from dialogs.check_texts import check_texts
from dialogs.engine import GATE_TOPIC
from dialogs.lint import Rules, load_rules
from dialogs.load import on
from dialogs.model import (
    DANGER,
    MAX_NODE_ID,
    PLACE_SLOT,
    REMINDER,
    SOURCE_LANGUAGE,
    Confidence,
    Content,
    Fact,
    Language,
    Node,
    NodeKind,
    Source,
    TextId,
)
from dialogs.paths import reachable, taps_to_danger
from dialogs.payload import MAX_BYTES
from dialogs.problem import Problem
from dialogs.sizes import longest_payloads

Translated = Callable[[Language, TextId], tuple[str, bool] | None]
"""What stands for a text in a language and whether it may be shown, or None."""
_ID = re.compile(r"[a-z][a-z0-9_]*")


def check(
    content: Content, translated: Translated, today: date, rules: Rules | None = None
) -> list[Problem]:
    """Everything that is wrong, in the order of the files."""
    rules = load_rules() if rules is None else rules
    content = on(content, today)
    found = [
        *_check_nodes(content),
        *_check_paths(content),
        *_check_payloads(content),
        *_check_cases(content),
        *_check_facts(content),
        *_check_typed_words(content, rules),
        *check_texts(content, translated, rules),
    ]
    return sorted(set(found), key=lambda p: (p.file, p.line, p.language or "", p.code, p.message))


# --- nodes and links ---------------------------------------------------------------------------


def _check_nodes(content: Content) -> Iterator[Problem]:
    for node in content.nodes.values():
        if not _ID.fullmatch(node.id) or len(node.id) > MAX_NODE_ID:
            message = f"use small Latin letters, digits and _, at most {MAX_NODE_ID}"
            yield Problem.at(node.source, node.id, "node-id", message)
        for target in links.targets(node):
            if target not in content.nodes:
                message = f"leads to {target!r}, which does not exist; write it or lead elsewhere"
                yield Problem.at(node.source, node.id, "dead-link", message)
        for cover in node.covers:
            if cover in content.nodes and content.nodes[cover].kind is not NodeKind.COVER:
                message = f"{cover!r} is no cover and would stand there after *hide*; name another"
                yield Problem.at(node.source, node.id, "not-a-cover", message)
    yield from _check_covers(content)
    somewhere = content.nodes[DANGER].source
    for name in (*links.FIXED, *links.DOOR_IDS, *links.SYSTEM):
        if name not in content.nodes:
            yield Problem.at(somewhere, name, "missing-node", "the line needs this node; write it")


def _check_covers(content: Content) -> Iterator[Problem]:
    """What stands on her phone by itself, and what comes where it was tapped, betrays nothing."""
    shown = {REMINDER: content.nodes.get(REMINDER)}
    for node in content.nodes.values():
        if node.kind is NodeKind.STOP_REMINDERS:
            shown[node.id] = content.nodes.get(node.go or "")
    for name, cover in shown.items():
        if cover is not None and cover.kind is not NodeKind.COVER:
            message = f"{cover.id!r} is read by whoever holds her phone; make it a cover"
            yield Problem.at(cover.source, name, "not-a-cover", message)
        elif cover is not None and cover.topic != GATE_TOPIC:
            message = f"{cover.id!r} stands before the gate; move it to the topic {GATE_TOPIC!r}"
            yield Problem.at(cover.source, name, "not-a-cover", message)


def _check_paths(content: Content) -> Iterator[Problem]:
    reached = reachable(content)
    taps = taps_to_danger(content)
    for node in content.nodes.values():
        if node.id not in reached:
            message = "no button leads here; lead one here or remove the node"
            yield Problem.at(node.source, node.id, "unreachable", message)
        away = taps.get(node.id)
        if node.kind not in links.DOORS and (away is None or away > 1):
            told = "cannot be reached" if away is None else f"is {away} taps away"
            message = f"112 {told}; show it here or add a button to the page that shows it"
            yield Problem.at(node.source, node.id, "far-from-112", message)


def _check_payloads(content: Content) -> Iterator[Problem]:
    for name, longest in longest_payloads(content).items():
        node = content.nodes[name]
        if len(longest) > MAX_BYTES:
            message = (
                f"a button here can need {len(longest)} bytes, {MAX_BYTES} is the most"
                f" ({longest}); shorten ids or answers, or ask less"
            )
            yield Problem.at(node.source, node.id, "payload", message)


def _check_cases(content: Content) -> Iterator[Problem]:
    """A row of a result for an answer that no question of the content gives."""
    given: dict[str, set[str]] = {PLACE_SLOT: set(content.places)}
    for node in content.nodes.values():
        if node.kind is NodeKind.QUESTION and node.slot is not None:
            values = (choice.value for choice in node.choices if choice.value is not None)
            given.setdefault(node.slot, set()).update(values)
    for node in content.nodes.values():
        for slot, value in ((s, v) for case in node.cases for s, v in case.when.items()):
            if value not in given.get(slot, ()):
                message = f"no question gives the answer {value!r} to {slot!r}; correct the case"
                yield Problem.at(node.source, node.id, "dead-case", message)


# --- facts -------------------------------------------------------------------------------------


def _check_facts(content: Content) -> Iterator[Problem]:
    for fact in content.facts.values():
        if not fact.source.strip() or not fact.checked_by.strip():
            message = "has no source or nobody who checked it; write both"
            yield Problem.at(fact.where, fact.id, "fact-unsourced", message)
    for where, name, fact_id in _used(content):
        yield from _check_use(content, where, name, fact_id, content.facts.get(fact_id))


def _used(content: Content) -> Iterator[tuple[Source, str, str]]:
    for node in content.nodes.values():
        yield from ((node.source, node.id, fact_id) for fact_id in node.facts)
    for text in content.texts.values():
        name = text.id if text.id.split(".")[0] not in content.nodes else text.id.split(".")[0]
        yield from ((text.source, name, fact_id) for fact_id in facts_in(text.text))


def _check_use(
    content: Content, where: Source, name: str, fact_id: str, fact: Fact | None
) -> Iterable[Problem]:
    if fact is None:
        message = f"the fact {fact_id} does not exist; add it to facts.yaml or correct its name"
        return [Problem.at(where, name, "fact-unknown", message)]
    found = []
    if fact_id in content.expired:
        message = f"the fact {fact_id} expired on {fact.expires_on}; have it checked anew"
        found.append(Problem.at(where, name, "fact-expired", message))
    if fact.confidence is not Confidence.HIGH:
        message = (
            f"the fact {fact_id} is not certain ({fact.confidence});"
            " say that a lawyer or a call can tell"
        )
        found.append(Problem.at(where, name, "fact-uncertain", message))
    return found


# --- what she types ----------------------------------------------------------------------------


def _check_typed_words(content: Content, rules: Rules) -> Iterator[Problem]:
    where = content.nodes[DANGER].source
    words = Source(f"{where.file.split('/')[0]}/words.yaml", 1)
    for language in (SOURCE_LANGUAGE, *rules.required):
        for name, listed in (
            ("safe", content.safe_words),
            ("danger", content.danger_words),
            ("stop", content.stop_words),
        ):
            if not listed.get(language):
                message = f"no {name} words; write some"
                yield Problem.at(words, name, "no-words", message, language)
    for others in (*content.safe_words.values(), *content.danger_words.values()):
        for word in others:
            if match.is_stop_word(content, word):
                message = f"{word!r} would end reminders, too; take another or another stop word"
                yield Problem.at(words, "stop", "stop-word", message)
    for node in content.nodes.values():
        yield from _check_clashes(content, node)


def _check_clashes(content: Content, node: Node) -> Iterator[Problem]:
    """A word that should lead to a node must not hide the window, or end reminders, instead."""
    translated = [words.get(node.id, ()) for words in content.words.values()]
    for word in (*node.words, *(word for words in translated for word in words)):
        if match.is_safe_word(content, word):
            message = f"{word!r} is (almost) a safe word and would hide the window; take another"
            yield Problem.at(node.source, node.id, "safe-word", message)
        if match.is_stop_word(content, word):
            message = f"{word!r} is a stop word and would end reminders; take another"
            yield Problem.at(node.source, node.id, "stop-word", message)
