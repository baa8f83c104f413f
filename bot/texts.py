"""Every sentence that a person reads, in her language, from the .po files in memory.

A translation is shown only where it is finished: one that is empty, fuzzy, or was made for an
older Bulgarian sentence falls back to Bulgarian. Of a language that must be signed, only entries
with the flag `signed` are shown.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable, Mapping
from datetime import date, datetime, timedelta
from functools import cache, lru_cache
from pathlib import Path
from typing import NamedTuple
from zoneinfo import ZoneInfo

from babel import Locale, UnknownLocaleError
from babel.dates import format_date, get_date_format
from babel.messages.pofile import read_po

from dialogs.build import PLACEHOLDER
from dialogs.load import CATALOGUE, load
from dialogs.model import SOURCE_LANGUAGE, Content, Language, NodeId, TextId

ZONE = ZoneInfo("Europe/Sofia")
SAFE_WORD = "safe_word"
_LOCALES = {"en": "en_GB"}
_YEAR = re.compile(r",?\s*y+(?:\s*'[^']*'\.?)?")


class Translation(NamedTuple):
    """One entry of a catalogue, with what decides whether it may be shown."""

    source: str
    text: str
    fuzzy: bool
    signed: bool


Catalogue = Mapping[TextId, Translation]


def needs_signature(language: Language) -> bool:
    """Whether a native speaker must have signed each sentence: Romani, in whatever code."""
    return language.startswith(("rom", "rm"))


def read_catalogue(path: Path) -> dict[TextId, Translation]:
    """The entries of one .po file by text id."""
    with path.open("rb") as file:
        catalogue = read_po(file)
    return {
        message.context: Translation(
            str(message.id).strip(),
            str(message.string or "").strip(),
            message.fuzzy,
            "signed" in message.flags,
        )
        for message in catalogue
        if message.id and message.context
    }


class Texts:
    """Finds the words of a text id for a language."""

    def __init__(self, content: Content, catalogues: Mapping[Language, Catalogue]) -> None:
        self._content = content
        self._catalogues = catalogues
        self._shown = {
            language: {
                text_id: entry.text
                for text_id, entry in catalogue.items()
                if self._is_shown(language, text_id, entry)
            }
            for language, catalogue in catalogues.items()
        }

    @classmethod
    def load(cls, content: Content, locales: Path) -> Texts:
        """The catalogues of all the content's languages."""
        translated = (name for name in content.languages if name != SOURCE_LANGUAGE)
        return cls(
            content, {name: read_catalogue(locales / name / CATALOGUE) for name in translated}
        )

    @property
    def languages(self) -> tuple[Language, ...]:
        return self._content.languages

    def say(self, language: Language, text_id: TextId, **params: object) -> str:
        """The sentence, with `{LAW-17}` as the fact's value and `{name}` from `params`.

        `{safe_word}` is filled from the content.

        Raises `KeyError` on a text id or a placeholder that does not exist.
        """
        return PLACEHOLDER.sub(
            lambda match: self._value(language, match[1], params),
            self.template(language, text_id),
        )

    def of(self, text_id: TextId) -> Callable[[Language], str]:
        """The sentence in whatever language it will be asked for."""
        return lambda language: self.say(language, text_id)

    def __contains__(self, text_id: object) -> bool:
        return text_id in self._content.texts

    def template(self, language: Language, text_id: TextId) -> str:
        """The sentence with its placeholders as they stand."""
        source = self._content.texts[text_id].text
        return self._shown.get(language, {}).get(text_id, source)

    def translated(self, language: Language, text_id: TextId) -> tuple[str, bool] | None:
        """What a translator wrote, and whether it may be shown; None where nothing stands.

        This is what `dialogs.check` looks at.
        """
        if language == SOURCE_LANGUAGE:
            return self._content.texts[text_id].text, True
        entry = self._catalogues.get(language, {}).get(text_id)
        if entry is None or not entry.text:
            return None
        return entry.text, text_id in self._shown[language]

    def words(self, language: Language, node: NodeId) -> tuple[str, ...]:
        """What a woman might type in this language to get to a node."""
        if language == SOURCE_LANGUAGE:
            return self._content.nodes[node].words
        listed = self._shown.get(language, {}).get(f"{node}.words", "")
        return tuple(word.strip() for word in listed.split(",") if word.strip())

    def all_words(self) -> dict[Language, dict[NodeId, tuple[str, ...]]]:
        """The words of every node in every translated language, for `Content.words`."""
        named = [node.id for node in self._content.nodes.values() if node.words]
        return {
            language: {node: words for node in named if (words := self.words(language, node))}
            for language in self._catalogues
        }

    def when(self, language: Language, start: datetime, end: datetime | None, now: datetime) -> str:
        """Date words in Sofia's time: "утре, вторник, 24 ноември, 10:00–14:00"."""
        begins, today = start.astimezone(ZONE), now.astimezone(ZONE).date()
        words = [*self._near(language, begins.date(), today), _day(language, begins.date(), today)]
        return ", ".join([*words, _hours(language, begins, end and end.astimezone(ZONE), today)])

    def moment(self, language: Language, at: datetime, now: datetime) -> str:
        """A point in time, short where it is near: "утре, 09:00", else with the date."""
        local, today = at.astimezone(ZONE), now.astimezone(ZONE).date()
        near = self._near(language, local.date(), today)
        return ", ".join([*(near or [_day(language, local.date(), today)]), f"{local:%H:%M}"])

    def _near(self, language: Language, day: date, today: date) -> list[str]:
        names = {today: "receptions.today", today + timedelta(days=1): "receptions.tomorrow"}
        return [self.say(language, names[day])] if day in names else []

    def _value(self, language: Language, name: str, params: Mapping[str, object]) -> str:
        fact = self._content.facts.get(name)
        if fact is not None:
            return fact.value
        if name == SAFE_WORD and name not in params:
            return self._safe_word(language)
        return str(params[name])

    def _safe_word(self, language: Language) -> str:
        """The word that hides everything, as she is told it: the first of her language."""
        words = self._content.safe_words
        return (words.get(language) or words.get(SOURCE_LANGUAGE) or ("",))[0]

    def _is_shown(self, language: Language, text_id: TextId, entry: Translation) -> bool:
        source = self._content.texts.get(text_id)
        current = source is not None and source.text == entry.source
        signed = entry.signed or not needs_signature(language)
        return bool(entry.text) and current and signed and not entry.fuzzy


def open_content(root: Path | None = None) -> tuple[Content, Texts]:
    """All that is said, in all languages, ready for the engine and for whoever shows it.

    `root` holds `dialogs` and `locales`; by default those beside this package, which a process
    reads once. Raises `dialogs.load.ContentError`.
    """
    return _ours() if root is None else _read(root)


@cache
def _ours() -> tuple[Content, Texts]:
    return _read(Path(__file__).resolve().parent.parent)


def _read(root: Path) -> tuple[Content, Texts]:
    content = load(root / "dialogs", root / "locales")
    texts = Texts.load(content, root / "locales")
    return dataclasses.replace(content, words=texts.all_words()), texts


# --- dates -----------------------------------------------------------------------------------


@lru_cache(maxsize=64)
def _locale(language: Language) -> Locale:
    """What Babel knows of a language; of Romani it knows nothing, so Bulgarian stands in."""
    try:
        return Locale.parse(_LOCALES.get(language, language))
    except (UnknownLocaleError, ValueError):
        return Locale.parse(SOURCE_LANGUAGE)


def _day(language: Language, day: date, today: date) -> str:
    """Weekday, day and month in the language's own order; the year where it is another."""
    locale = _locale(language)
    pattern = str(get_date_format("full", locale=locale).pattern)
    if day.year == today.year or abs((day - today).days) < 60:
        pattern = _YEAR.sub("", pattern)
    return format_date(day, pattern, locale=locale)


def _hours(language: Language, start: datetime, end: datetime | None, today: date) -> str:
    if end is None:
        return f"{start:%H:%M}"
    if end.date() == start.date():
        return f"{start:%H:%M}–{end:%H:%M}"
    return f"{start:%H:%M} – {_day(language, end.date(), today)}, {end:%H:%M}"
