"""What is read, in which language, and which translations stay unseen."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from bot.texts import Texts, needs_signature, open_content
from dialogs.load import load
from tests.dialogs.small import TURKISH, Small, small

NOW = datetime(2026, 11, 23, 8, 0, tzinfo=UTC)  # Monday, 10:00 in Sofia


@pytest.fixture
def line(tmp_path: Path) -> Small:
    made = small(tmp_path)
    made.translate("tr", TURKISH)
    return made


def texts(line: Small) -> Texts:
    return open_content(line.root)[1]


def test_she_reads_her_language_and_bulgarian_where_nothing_is_translated(line: Small) -> None:
    said = texts(line)
    assert said.languages == ("bg", "tr")
    assert said.say("tr", "start.go.language") == "Benim için"
    assert said.say("tr", "order_now.text") == "Можеш да поискаш защита сега."
    assert said.say("zz", "order_now.text") == "Можеш да поискаш защита сега."


def test_a_fact_stands_as_its_value_and_a_name_as_what_is_given(line: Small) -> None:
    said = texts(line)
    assert said.say("bg", "danger.text").startswith("Обади се на 112.")
    assert said.say("tr", "danger.text").startswith("112 numarasını ara.")
    assert said.say("tr", "notice.claimed", alias="Мак {LAW-17}") == "Merhaba. Мак {LAW-17} burada."


def test_the_safe_word_is_told_without_being_given(line: Small) -> None:
    line.append("phrases.yaml", "gate: {hide: 'Напиши {safe_word}.'}\n")
    assert texts(line).say("tr", "gate.hide") == "Напиши çorba."
    assert texts(line).say("bg", "gate.hide") == "Напиши рецепта."


def test_an_unknown_text_or_placeholder_is_an_error(line: Small) -> None:
    said = texts(line)
    with pytest.raises(KeyError):
        said.say("bg", "no.such.text")
    with pytest.raises(KeyError):
        said.say("bg", "notice.claimed")
    assert "notice.claimed" in said
    assert "no.such.text" not in said


def test_a_fuzzy_translation_is_not_shown(line: Small) -> None:
    line.translate("tr", TURKISH, flags="#, fuzzy")
    said = texts(line)
    assert said.say("tr", "start.go.language") == "За мен"
    assert said.translated("tr", "start.go.language") == ("Benim için", False)
    assert said.translated("tr", "order.text") is None


def test_a_translation_of_an_older_sentence_is_not_shown(line: Small) -> None:
    line.edit("topics/start.yaml", "say: За мен", "say: За жената")
    said = texts(line)
    assert said.say("tr", "start.go.language") == "За жената"
    assert said.translated("tr", "start.go.language") == ("Benim için", False)


@pytest.mark.parametrize("language", ["rom", "rmy", "rm"])
def test_romani_is_shown_only_where_it_is_signed(line: Small, language: str) -> None:
    line.translate(language, {"home.text": "Devlesa"})
    assert texts(line).say(language, "home.text") == "С какво да започнем?"
    line.translate(language, {"home.text": "Devlesa"}, flags="#, signed")
    assert texts(line).say(language, "home.text") == "Devlesa"
    assert needs_signature(language)
    assert not needs_signature("ro")


def test_words_are_found_in_the_translators_list(line: Small) -> None:
    content, said = open_content(line.root)
    assert said.words("tr", "danger") == ("acil", "polis")
    assert said.words("bg", "danger") == ("спешно", "полиция")
    assert said.words("tr", "order") == ()
    assert content.words == {"tr": {"danger": ("acil", "polis")}}


@pytest.mark.parametrize(
    ("language", "said"),
    [
        ("bg", "утре, вторник, 24 ноември, 10:00–14:00"),
        ("tr", "yarın, 24 Kasım Salı, 10:00–14:00"),
        ("rom", "утре, вторник, 24 ноември, 10:00–14:00"),
    ],
)
def test_a_reception_is_told_in_date_words(line: Small, language: str, said: str) -> None:
    line.translate("rom", {})
    start, end = datetime(2026, 11, 24, 8, tzinfo=UTC), datetime(2026, 11, 24, 12, tzinfo=UTC)
    assert texts(line).when(language, start, end, NOW) == said


def test_date_words_know_today_later_next_year_and_two_days(line: Small) -> None:
    said = texts(line)
    today, later = datetime(2026, 11, 23, 12, tzinfo=UTC), datetime(2026, 12, 1, 12, tzinfo=UTC)
    assert said.when("bg", today, None, NOW) == "днес, понеделник, 23 ноември, 14:00"
    assert said.when("bg", later, None, NOW) == "вторник, 1 декември, 14:00"
    far = datetime(2027, 6, 1, 11, tzinfo=UTC)
    assert said.when("bg", far, None, NOW) == "вторник, 1 юни 2027\u202fг., 14:00"
    over_night = said.when("bg", later, datetime(2026, 12, 2, 6, tzinfo=UTC), NOW)
    assert over_night == "вторник, 1 декември, 14:00 – сряда, 2 декември, 08:00"


def test_the_day_changes_at_midnight_in_sofia(line: Small) -> None:
    late = datetime(2026, 11, 23, 22, 30, tzinfo=UTC)  # already the 24th in Sofia
    assert texts(line).moment("bg", late, NOW) == "утре, 00:30"
    assert texts(line).moment("bg", datetime(2026, 11, 23, 12, tzinfo=UTC), NOW) == "днес, 14:00"
    far = datetime(2026, 11, 30, 12, tzinfo=UTC)
    assert texts(line).moment("tr", far, NOW) == "30 Kasım Pazartesi, 14:00"


def test_english_days_are_english(line: Small) -> None:
    line.translate("en", {"receptions.tomorrow": "tomorrow"})
    start = datetime(2026, 11, 24, 8, tzinfo=UTC)
    assert texts(line).when("en", start, None, NOW) == "tomorrow, Tuesday, 24 November, 10:00"


def test_every_text_of_the_real_content_can_be_said_with_facts_alone_or_names() -> None:
    content, said = open_content()
    for language in content.languages:
        for node in content.nodes.values():
            if node.text in content.texts:
                assert "{" not in said.say(language, node.text)


BETRAYS = {
    "bg": ("човек", "разговор", "консултант", "отговор"),
    "tr": ("insan", "kişi", "konuş", "danışman", "cevap"),
    "en": ("person", "talk", "counsellor", "answer"),
}


@pytest.mark.parametrize("language", ["bg", "tr", "en"])
def test_the_first_words_of_a_notice_do_not_betray_that_somebody_writes(language: str) -> None:
    """Viber shows them on a locked phone, with a sound; Telegram without one."""
    content, said = open_content()
    notices = [text for text in content.texts if text.startswith("notice.") or text == "case.voice"]
    assert len(notices) > 10
    seen = {text: said.template(language, text)[:26].casefold() for text in notices}
    assert {
        text: first for text, first in seen.items() if any(w in first for w in BETRAYS[language])
    } == {}


@pytest.mark.parametrize("language", ["bg", "tr", "en"])
def test_the_words_under_which_her_phone_rings_are_of_the_home(language: str) -> None:
    content, said = open_content()
    for choice in content.nodes["talk_words"].choices[:-1]:
        words = said.say(language, choice.label).casefold()
        assert not any(betrays in words for betrays in BETRAYS[language])
        if language != "bg":
            assert words != said.say("bg", choice.label).casefold()


def test_texts_can_be_loaded_for_a_content_at_hand(line: Small) -> None:
    content = load(line.dialogs, line.locales)
    assert Texts.load(content, line.locales).say("tr", "language.name") == "Türkçe"
