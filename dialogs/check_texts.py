"""The part of the linter that reads sentences: in every language, what she would see or hear."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from dialogs import lint
from dialogs.build import PLACEHOLDER, placeholders
from dialogs.lint import Rules
from dialogs.model import (
    SOURCE_LANGUAGE,
    Content,
    Language,
    Node,
    NodeKind,
    Source,
    SourceText,
    TextId,
)
from dialogs.problem import Problem

_LONG_NUMBER = re.compile(r"(?<![\w{-])\+?\d(?:[ \u00a0/-]?\d){4,}(?!\w)")
_NUMBER = re.compile(r"(?<![\w{-])\d[\d \u00a0]*\d(?!\w)")
_DATE = re.compile(r"\d{4}-\d\d-\d\d")
_LABELS = re.compile(r"\.go\.|\.name$|^entry\.|^mark\.|^menu\.more$|^places\.more$")
_FILLED = {"safe_word"}
"""What `Texts.say` fills by itself; nobody else fills a node's text."""
_WHOLE = 1_000_000
_SEEN = ("bot.", "poster.", "remind.words.")
"""Texts that stand where somebody else can read all of them."""
_RINGS = (NodeKind.NUDGE, NodeKind.REMIND)


@dataclass(frozen=True, slots=True)
class _Text:
    """One text in one language, as the rules look at it. `text` still has its placeholders."""

    id: TextId
    language: Language
    text: str
    shown: str
    source: Source
    name: str

    def problem(self, code: str, message: str) -> Problem:
        return Problem.at(self.source, self.name, code, message, self.language)


def check_texts(
    content: Content,
    translated: Callable[[Language, TextId], tuple[str, bool] | None],
    rules: Rules,
) -> Iterator[Problem]:
    """Every rule of the sentences, for each language that the content has."""
    for language in rules.required:
        if language not in content.languages:
            where = Source(f"locales/{language}/LC_MESSAGES/messages.po", 1)
            message = "the language is required; run `make messages` and translate"
            yield Problem.at(where, language, "no-language", message, language)
    for source in content.texts.values():
        if not rules.is_for_her(source.id):
            continue
        for language in content.languages:
            yield from _check_language(content, translated, rules, source, language)


def _check_language(
    content: Content,
    translated: Callable[[Language, TextId], tuple[str, bool] | None],
    rules: Rules,
    source: SourceText,
    language: Language,
) -> Iterator[Problem]:
    name = _name(content, source)
    found = (source.text, True) if language == SOURCE_LANGUAGE else translated(language, source.id)
    if found is None or not found[1]:
        if language in rules.required:
            message = (
                f"{source.id} is not translated"
                if found is None
                else f"{source.id} was translated before the Bulgarian changed"
            )
            where = f"locales/{language}/LC_MESSAGES/messages.po"
            told = f"{message}; run `make messages` and write it in {where}"
            code = "missing-translation" if found is None else "fuzzy-translation"
            yield Problem.at(source.source, name, code, told, language)
        return
    shown = PLACEHOLDER.sub(lambda match: _value(content, match[1]), found[0])
    text = _Text(source.id, language, found[0], shown, source.source, name)
    yield from _check_placeholders(content, source, text)
    if not source.id.endswith(".words"):
        yield from _check_sentences(rules, text)
        yield from _check_words(rules, text)
        yield from _check_numbers(content, text)
        yield from _check_notified(content, rules, text)


def _name(content: Content, source: SourceText) -> str:
    first = source.id.split(".")[0]
    return first if first in content.nodes else source.id


def _value(content: Content, name: str) -> str:
    fact = content.facts.get(name)
    return fact.value if fact is not None else name


def _is_label(text_id: TextId) -> bool:
    return _LABELS.search(text_id) is not None


# --- one rule each -------------------------------------------------------------------------------


def _check_placeholders(content: Content, source: SourceText, text: _Text) -> Iterator[Problem]:
    wanted, found = placeholders(source.text), placeholders(text.text)
    for name in sorted(wanted - found):
        yield text.problem("placeholder", f"{{{name}}} is missing in {text.id}; put it in")
    for name in sorted(found - wanted):
        yield text.problem("placeholder", f"{{{name}}} is not in the Bulgarian; take it out")
    is_node_text = "/topics/" in text.source.file
    if is_node_text and text.language == SOURCE_LANGUAGE:
        for name in sorted(found - set(content.facts) - _FILLED):
            if not name[:1].isupper():  # a fact that does not exist is told elsewhere
                message = f"nobody fills {{{name}}} in a node's text; write it out or use a fact"
                yield text.problem("placeholder", message)


def _check_sentences(rules: Rules, text: _Text) -> Iterator[Problem]:
    limits = rules.limits.get(text.language)
    if limits is None:
        return
    if _is_label(text.id):
        count = len(lint.words(text.shown))
        if count > limits.label:
            message = f"the button has {count} words, at most {limits.label}: {text.shown!r}"
            yield text.problem("label", message)
        return
    for bubble in lint.bubbles(text.shown):
        if len(bubble) > limits.bubble:
            message = (
                f"a bubble has {len(bubble)} characters, at most {limits.bubble};"
                f" put an empty line into {bubble[:30]!r}…"
            )
            yield text.problem("bubble", message)
    measure = lint.measure(text.shown, lint.abbreviations(rules, text.language))
    if measure.longest_words > limits.sentence:
        message = (
            f"a sentence has {measure.longest_words} words, at most {limits.sentence};"
            f" make two of {measure.longest!r}"
        )
        yield text.problem("sentence", message)
    if limits.mean is not None and measure.mean > limits.mean:
        message = (
            f"{measure.mean:.1f} words a sentence on the whole, at most {limits.mean:g};"
            " write shorter ones"
        )
        yield text.problem("mean", message)


def _check_words(rules: Rules, text: _Text) -> Iterator[Problem]:
    for phrase, instead in rules.forbidden.get(text.language, {}).items():
        for found in lint.finds(phrase, text.shown):
            yield text.problem("forbidden", f"{found[0]!r} is never said; {instead}")
    if "!" in text.shown:
        yield text.problem("exclamation", "an exclamation mark is loud; write a full stop")
    if not text.id.endswith((".text", ".lasting_text")):
        return
    for legal in rules.legal.get(text.language, ()):
        if lint.has(legal.word, text.shown) and not _is_explained(legal, text.shown):
            message = (
                f"{legal.word.strip('*')!r} is a legal word; say on the same screen what it is,"
                " for example after a colon"
            )
            yield text.problem("legal-word", message)


def _is_explained(legal: lint.LegalPart, text: str) -> bool:
    if any(lint.has(meaning, text) for meaning in legal.means):
        return True
    after = (text[found.end() :] for found in lint.finds(legal.word, text))
    return any(re.match(r"(?:\s+\w+){0,3}\s*[:(–—]", rest) for rest in after)


def _check_numbers(content: Content, text: _Text) -> Iterator[Problem]:
    plain = _DATE.sub(" ", PLACEHOLDER.sub(" ", text.text))
    known = {
        re.sub(r"\D", "", number): fact.id
        for fact in content.facts.values()
        if fact.phone is not None and fact.expires_on is not None
        for number in (fact.phone, fact.value)
    }
    for found in {*_LONG_NUMBER.findall(plain), *_NUMBER.findall(plain)}:
        digits = re.sub(r"\D", "", found)
        if digits in known:
            message = f"{found!r} is a fact's number; write {{{known[digits]}}}"
            yield text.problem("number", message)
        elif len(digits) >= 5:
            message = f"{found!r} looks like a phone number; put it into facts.yaml and name it"
            yield text.problem("number", message)


def _check_notified(content: Content, rules: Rules, text: _Text) -> Iterator[Problem]:
    length = _notified(content, rules, text)
    for phrase in rules.topic_words.get(text.language, ()):
        for found in lint.finds(phrase, text.shown[:length]):
            message = (
                f"{found[0]!r} could be read in a notification or by the way;"
                f" say it {'elsewhere' if length == _WHOLE else 'later'}"
            )
            yield text.problem("topic-word", message)


def _notified(content: Content, rules: Rules, text: _Text) -> int:
    """How many of the first characters somebody else could see."""
    node: Node | None = content.nodes.get(text.id.split(".")[0])
    if text.id.startswith(_SEEN) or (node is not None and node.kind is NodeKind.COVER):
        return _WHOLE
    if node is not None and node.kind in _RINGS and _is_label(text.id):
        return _WHOLE  # under these words her phone rings
    if node is not None and text.id in (node.text, node.lasting_text):
        return rules.notified_length
    return rules.notified_length if text.id.startswith(tuple(rules.notified)) else 0
