"""The translators' files follow the Bulgarian, and no translator's work is lost."""

from __future__ import annotations

from pathlib import Path

import pytest
from babel.messages.catalog import Message
from babel.messages.pofile import read_po

from bot.texts import open_content
from dialogs.extract import update_catalogues
from tests.dialogs.small import TURKISH, Small, small


@pytest.fixture
def line(tmp_path: Path) -> Small:
    return small(tmp_path)


def update(line: Small) -> list[Path]:
    return update_catalogues(line.dialogs, line.locales)


def entry(line: Small, text_id: str, language: str = "tr") -> Message:
    path = line.locales / language / "LC_MESSAGES" / "messages.po"
    with path.open("rb") as file:
        return next(message for message in read_po(file) if message.context == text_id)


def test_the_required_languages_get_every_text_with_its_place(line: Small) -> None:
    assert [path.parent.parent.name for path in update(line)] == ["tr", "en"]
    found = entry(line, "danger.text", "en")
    assert found.id == "Обади се на {TEL-01}.\n\nОтговарят по всяко време."
    assert found.string == ""
    assert found.locations == [("dialogs/topics/danger.yaml", 6)]


def test_what_only_the_centre_reads_is_not_translated(line: Small) -> None:
    line.add("desk_phrases.yaml", "desk: {title: Разговори}\n")
    update(line)
    text = (line.locales / "tr" / "LC_MESSAGES" / "messages.po").read_text(encoding="utf-8")
    assert "desk.title" not in text
    assert '"topic.order"' not in text


def test_a_second_run_changes_nothing(line: Small) -> None:
    line.translate("tr", TURKISH)
    assert update(line)
    assert update(line) == []


def test_translations_stay(line: Small) -> None:
    line.translate("tr", TURKISH)
    update(line)
    assert entry(line, "start.go.language").string == "Benim için"
    assert open_content(line.root)[1].say("tr", "danger.text").startswith("112 numarasını ara.")


def test_a_changed_bulgarian_sentence_marks_its_translation_fuzzy(line: Small) -> None:
    line.translate("tr", TURKISH, flags="#, signed")
    update(line)
    line.edit("topics/start.yaml", "say: За мен", "say: Само за мен")
    update(line)
    found = entry(line, "start.go.language")
    assert found.string == "Benim için"
    assert found.fuzzy
    assert "signed" not in found.flags
    assert "signed" in entry(line, "danger.text").flags
    assert open_content(line.root)[1].say("tr", "start.go.language") == "Само за мен"


def test_a_translator_who_looked_at_it_makes_it_shown_again(line: Small) -> None:
    line.translate("tr", TURKISH)
    line.edit("topics/start.yaml", "say: За мен", "say: Само за мен")
    update(line)
    path = line.locales / "tr" / "LC_MESSAGES" / "messages.po"
    text = path.read_text(encoding="utf-8")
    path.write_text(text.replace("#, fuzzy\n", ""), encoding="utf-8")
    assert open_content(line.root)[1].say("tr", "start.go.language") == "Benim için"
    update(line)
    assert not entry(line, "start.go.language").fuzzy


def test_a_removed_text_is_kept_for_its_return(line: Small) -> None:
    line.translate("tr", TURKISH)
    line.edit("phrases.yaml", "  claimed: Здравей. {alias} е тук.\n", "")
    update(line)
    path = line.locales / "tr" / "LC_MESSAGES" / "messages.po"
    assert '#~ msgstr "Merhaba. {alias} burada."' in path.read_text(encoding="utf-8")
    line.edit("phrases.yaml", "notice:\n", "notice:\n  claimed: Здравей. {alias} е тук.\n")
    update(line)
    assert entry(line, "notice.claimed").string == "Merhaba. {alias} burada."


def test_a_language_that_babel_does_not_know_is_kept_too(line: Small) -> None:
    line.translate("rom", {"home.text": "Devlesa"}, flags="#, signed")
    update(line)
    assert "signed" in entry(line, "home.text", "rom").flags
    assert open_content(line.root)[1].say("rom", "home.text") == "Devlesa"
