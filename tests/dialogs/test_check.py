"""Each rule of the content, broken once; an author is told where and what to do."""

from __future__ import annotations

import dataclasses
from datetime import date
from pathlib import Path

import pytest

from bot.texts import open_content
from dialogs.check import check
from dialogs.lint import (
    RulesError,
    abbreviations,
    bubbles,
    has,
    load_rules,
    measure,
    sentences,
    words,
)
from dialogs.load import load
from dialogs.paths import taps_to_danger
from dialogs.problem import Problem
from dialogs.sizes import longest_payloads
from tests.dialogs.small import Small, small

TODAY = date(2026, 11, 22)
RULES = load_rules()


@pytest.fixture
def line(tmp_path: Path) -> Small:
    return small(tmp_path)


def found(line: Small, *, today: date = TODAY, required: tuple[str, ...] = ()) -> list[Problem]:
    content, texts = open_content(line.root)
    rules = RULES.model_copy(update={"required": list(required)})
    return check(content, texts.translated, today, rules)


def codes(line: Small) -> set[str]:
    return {problem.code for problem in found(line)}


def whole(line: Small) -> None:
    """The small content has one fault by design: its cover is too far from 112."""
    line.edit("topics/start.yaml", "        go: language\n", MORE)


MORE = "        go: language\n      - say: Спешно 112\n        go: danger\n"


def test_the_small_content_has_nothing_wrong(line: Small) -> None:
    whole(line)
    assert [str(problem) for problem in found(line)] == []


def test_a_problem_says_file_line_node_language_and_what_to_do(line: Small) -> None:
    whole(line)
    at = line.edit("topics/order.yaml", "text: Можеш да поискаш", "text: Трябва да поискаш")
    (problem,) = found(line)
    told = f"dialogs/topics/order.yaml:{at}: order_now [bg]: 'Трябва' is never said; say what she"
    assert str(problem).startswith(told)
    assert dataclasses.asdict(problem).keys() == {
        "file", "line", "node", "language", "message", "code",
    }  # fmt: skip


# --- nodes and links ---------------------------------------------------------------------------


def test_a_node_to_which_no_button_leads(line: Small) -> None:
    line.append("topics/order.yaml", "  - id: order_lost\n    text: Никой не идва тук.\n")
    assert [p.node for p in found(line) if p.code == "unreachable"] == ["order_lost"]


def test_a_cover_from_which_112_is_two_taps_away(line: Small) -> None:
    assert [p.node for p in found(line) if p.code == "far-from-112"] == ["start"]
    line.edit("topics/start.yaml", "Вари се 30 мин.", "Спешно: {TEL-01}")
    assert codes(line) == set()


def test_a_missing_state_of_the_line(line: Small) -> None:
    line.edit("topics/states.yaml", "  - id: got_photo\n    text: Снимката не е отворена.\n", "")
    assert [p.node for p in found(line) if p.code == "missing-node"] == ["got_photo"]


def test_a_payload_that_can_get_too_long(line: Small) -> None:
    assert "payload" not in codes(line)
    letters = "abcfhi"
    questions = "".join(
        f"  - id: order_question_number_{a}\n    kind: question\n    slot: {a}\n    text: Да?\n"
        f"    choices:\n      - {{say: Да, value: abcdefgh, go: order_question_number_{b}}}\n"
        for a, b in zip(letters, letters[1:] + letters[0], strict=True)
    )
    line.append("topics/order.yaml", questions)
    line.edit("topics/order.yaml", "go: order_late\n", "go: order_question_number_a\n")
    far = [p for p in found(line) if p.code == "payload"]
    assert "order_question_number_a" in {p.node for p in far}
    assert "talk" not in {p.node for p in far}  # answers end with their topic


def test_the_longest_payload_counts_every_answer_of_the_topic_once(line: Small) -> None:
    longest = longest_payloads(load(line.dialogs))
    assert longest["order_now"] == "bg:order_now:b.3-w.s:zzzzzz"
    assert longest["meet_when"] == "bg:meet_when:m.rse27:zzzzzz"
    assert longest["alone"] == "bg:alone:d.zzzzz:zzzzzz"


def test_a_case_for_an_answer_that_nobody_can_give(line: Small) -> None:
    line.edit("topics/order.yaml", "when: {w: s}", "when: {w: x}")
    assert "dead-case" in codes(line)


# --- whether we may ring her ---------------------------------------------------------------------


def test_what_is_asked_about_ringing_can_have_nothing_wrong(line: Small) -> None:
    whole(line)
    line.asks_whether_to_ring()
    assert [str(problem) for problem in found(line)] == []


def test_the_words_under_which_her_phone_rings_betray_nothing(line: Small) -> None:
    whole(line)
    line.asks_whether_to_ring()
    at = line.edit("topics/talk.yaml", "Рецепта за днес", "Спри да те бие")
    told = [(p.line, p.node, p.code) for p in found(line)]
    assert told == [(at, "ring_words", "topic-word")]


# --- reminders -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("file", "old", "new", "node"),
    [
        ("talk", "Съвет за дома", "Когато те бие", "remind_words"),
        ("start", "Има нещо за теб", "Каквото и да ти каже, ако пак те удари", "reminder"),
        ("start", "Готово", "Няма да пиша за насилие", "remind_stopped"),
        ("start", "Сега не се получи", "Не спрях думите за насилие", "remind_not_stopped"),
    ],
)
def test_what_a_reminder_shows_betrays_nothing(
    line: Small, file: str, old: str, new: str, node: str
) -> None:
    whole(line)
    at = line.edit(f"topics/{file}.yaml", old, new)
    told = [(p.line, p.node, p.code) for p in found(line) if p.code == "topic-word"]
    assert told == [(at, node, "topic-word")]


def test_the_whole_of_the_neutral_words_is_read_by_whoever_holds_her_phone(line: Small) -> None:
    line.append(
        "phrases.yaml", f'remind: {{words: {{when: "{"{when}, {place}. " * 8} насилие"}}}}\n'
    )
    told = [(p.node, p.code) for p in found(line) if p.code == "topic-word"]
    assert told == [("remind", "topic-word")]


def test_the_shell_fills_the_words_of_a_reminder(line: Small) -> None:
    line.append("phrases.yaml", 'remind: {words: {when: "{when}, {place}"}}\n')
    assert "placeholder" not in codes(line)


def test_a_reminder_that_is_no_cover(line: Small) -> None:
    line.edit("topics/start.yaml", "id: reminder\n    kind: cover", "id: reminder")
    assert ("reminder", "not-a-cover") in [(p.node, p.code) for p in found(line)]


def test_a_stop_that_leads_behind_the_gate(line: Small) -> None:
    line.edit("topics/start.yaml", "go: remind_stopped", "go: home")
    assert ("remind_stop", "not-a-cover") in [(p.node, p.code) for p in found(line)]


def test_a_stop_that_leads_to_a_cover_outside_the_gates_topic(line: Small) -> None:
    line.edit("topics/start.yaml", "go: remind_stopped", "go: stopped")
    assert ("remind_stop", "not-a-cover") in [(p.node, p.code) for p in found(line)]


def test_words_that_would_end_reminders_instead(line: Small) -> None:
    line.edit("topics/order.yaml", "words: [заповед", "words: [стоп, заповед")
    line.edit("words.yaml", "bg: [помощ,", "bg: [unsubscribe, помощ,")
    assert [p.node for p in found(line) if p.code == "stop-word"] == ["order", "stop"]


def test_a_language_without_a_stop_word(line: Small) -> None:
    line.edit("words.yaml", "  tr: [durdur]\n", "")
    told = [(p.node, p.language) for p in found(line, required=("tr",)) if p.code == "no-words"]
    assert told == [("stop", "tr")]


# --- chats that keep everything ------------------------------------------------------------------


def whole_and_lasting(line: Small) -> None:
    line.in_lasting_chats()
    line.edit("topics/start.yaml", "        go: soup\n", "        go: soup\n" + MORE_112)


MORE_112 = "      - say: Спешно 112\n        go: danger\n"


def test_what_is_said_of_lasting_chats_can_have_nothing_wrong(line: Small) -> None:
    whole_and_lasting(line)
    assert [str(problem) for problem in found(line)] == []


def test_what_hide_puts_into_a_chat_must_be_a_cover(line: Small) -> None:
    whole_and_lasting(line)
    line.edit("topics/danger.yaml", "covers: [soup]", "covers: [soup, order]")
    (problem,) = found(line)
    assert (problem.node, problem.code) == ("hide", "not-a-cover")
    assert "'order'" in problem.message


def test_the_gate_of_lasting_chats_must_be_reached(line: Small) -> None:
    whole_and_lasting(line)
    line.edit("topics/start.yaml", "        go: keeps\n", "        go: hiding\n")
    assert [(p.node, p.code) for p in found(line)] == [("keeps", "unreachable")]


def test_the_gate_of_lasting_chats_has_112_one_tap_away(line: Small) -> None:
    whole_and_lasting(line)
    assert taps_to_danger(load(line.dialogs))["keeps"] == 1


def test_112_must_stand_on_its_page_in_every_kind_of_chat(line: Small) -> None:
    assert taps_to_danger(load(line.dialogs))["danger"] == 0
    other = "    lasting_text: Обади се.\n    name: Спешна"
    line.edit("topics/danger.yaml", "    name: Спешна", other)
    assert "danger" not in taps_to_danger(load(line.dialogs))


def test_the_gate_of_lasting_chats_carries_the_links_code(line: Small) -> None:
    whole_and_lasting(line)
    assert longest_payloads(load(line.dialogs))["keeps"] == "bg:keeps:d.zzzzz:zzzzzz"


def test_a_payload_behind_the_gate_of_lasting_chats_that_can_get_too_long(line: Small) -> None:
    whole_and_lasting(line)
    letters = "abcfhi"
    line.append("topics/start.yaml", "".join(
        f"  - id: keeps_question_number_{a}\n    kind: question\n    slot: {a}\n    text: Да?\n"
        f"    choices:\n      - {{say: Да, value: abcdefgh, go: {b}}}\n"
        for a, b in zip(letters, [*(f"keeps_question_number_{b}" for b in letters[1:]), "keeps"],
                        strict=True)
    ))  # fmt: skip
    line.edit("topics/start.yaml", "        go: keeps\n", "        go: keeps_question_number_a\n")
    assert "keeps" in {p.node for p in found(line) if p.code == "payload"}


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("Трябва да изтриеш чата.", "forbidden"),
        ("Насилие не остава в чата.", "topic-word"),
        ("Пише заповед и нищо друго тук.", "legal-word"),
        (" ".join(["дума"] * 17) + ".", "sentence"),
    ],
    ids=["forbidden", "topic-word", "legal-word", "sentence"],
)
def test_what_is_said_only_in_lasting_chats_is_read_as_strictly(
    line: Small, text: str, code: str
) -> None:
    whole_and_lasting(line)
    line.edit("topics/start.yaml", "Скрий слага рецепта отдолу.", text)
    assert (code, "hiding") in {(p.code, p.node) for p in found(line)}


def test_a_translation_of_what_is_said_in_lasting_chats_is_asked_for(line: Small) -> None:
    whole_and_lasting(line)
    line.translate("tr", {"hiding.text": "Gizle her şeyi siler."})
    told = [p for p in found(line, required=("tr",)) if p.code == "missing-translation"]
    assert [p.message for p in told if p.node == "hiding" and "lasting" in p.message], told


# --- facts -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("file", "old", "new", "code"),
    [
        ("topics/order.yaml", "[LAW-20]", "[LAW-99]", "fact-unknown"),
        ("topics/order.yaml", "{LAW-17}", "{LAW-98}", "fact-unknown"),
        ("phrases.yaml", "Пиши ни с думи.", "Виж {LAW-97}.", "fact-unknown"),
        ("facts.yaml", "source: закон, чл. 10", "source: ' '", "fact-unsourced"),
        ("facts.yaml", "checked_by: екипът", "checked_by: ''", "fact-unsourced"),
        ("facts.yaml", "confidence: H\n  checked_on: 2026-11-01\n  checked_by: екипът\n"
         "  expires_on: 2027", "confidence: M\n  checked_on: 2026-11-01\n  checked_by: екипът\n"
         "  expires_on: 2027", "fact-uncertain"),
    ],
)  # fmt: skip
def test_a_fact_that_cannot_be_stated(
    line: Small, file: str, old: str, new: str, code: str
) -> None:
    line.edit(file, old, new)
    assert code in codes(line)


def test_an_expired_fact(line: Small) -> None:
    expired = [p for p in found(line, today=date(2027, 3, 1)) if p.code == "fact-expired"]
    assert {p.node for p in expired} == {"order"}


# --- translations ------------------------------------------------------------------------------


def test_a_required_language_that_is_not_there(line: Small) -> None:
    told = [p for p in found(line, required=("tr",)) if p.code == "no-language"]
    assert [(p.file, p.language) for p in told] == [("locales/tr/LC_MESSAGES/messages.po", "tr")]


def test_a_missing_and_a_fuzzy_translation(line: Small) -> None:
    line.translate("tr", {"home.text": "Nereden başlayalım?"}, flags="#, fuzzy")
    told = {p.code: p for p in found(line, required=("tr",)) if p.node == "home"}
    assert told["fuzzy-translation"].language == "tr"
    assert told["missing-translation"].file == "dialogs/topics/start.yaml"
    assert "missing-translation" not in {p.code for p in found(line)}


def test_a_translation_of_the_staffs_words_is_not_asked_for(line: Small) -> None:
    line.add("desk_phrases.yaml", "desk: {title: Трябва да има доста думи на този бутон тук!}\n")
    line.catalogue("tr", "")
    told = found(line, required=("tr",))
    assert all("desk.title" not in str(problem) for problem in told)


def test_a_translation_that_lost_a_facts_place(line: Small) -> None:
    line.translate("tr", {"danger.text": "112 numarasını ara. {LAW-17}"})
    told = [p.message for p in found(line) if p.code == "placeholder"]
    assert any("{TEL-01} is missing" in message for message in told)
    assert any("{LAW-17} is not in the Bulgarian" in message for message in told)


def test_a_placeholder_that_nobody_fills(line: Small) -> None:
    line.edit("topics/order.yaml", "поискаш защита сега.", "поискаш {name} сега.")
    assert "placeholder" in codes(line)


# --- sentences -----------------------------------------------------------------------------------

LONG = "Едно две три четири пет шест седем осем девет десет единайсет дванайсет тринайсет."
NINE = "Ти можеш да дойдеш при нас в понеделник сутринта."
BROKEN_SENTENCES = [
    (f"Да. Не. {LONG}", "sentence"),
    (f"{NINE} {NINE}", "mean"),
    (" ".join(["Тук сме."] * 25), "bubble"),
    ("Ела утре!", "exclamation"),
    ("Това е престъпление.", "forbidden"),
    ("Вече си в безопасност.", "forbidden"),
    ("Напусни го днес.", "forbidden"),
    ("Защо не си тръгна?", "forbidden"),
    ("Ти го провокираш.", "forbidden"),
    ("Пише заповед и нищо друго.", "legal-word"),
    ("Обади се на 0800 1 86 76.", "number"),
    ("Обади се на 082820100.", "number"),
    ("Той те бие често.", "topic-word"),
]


@pytest.mark.parametrize(("text", "code"), BROKEN_SENTENCES, ids=[b[1] for b in BROKEN_SENTENCES])
def test_a_sentence_that_she_should_not_read(line: Small, text: str, code: str) -> None:
    whole(line)
    line.edit("topics/order.yaml", "Можеш да поискаш защита сега.", f'"{text}"')
    assert {(p.node, p.code) for p in found(line)} == {("order_now", code)}


CALM = "Тук можеш да четеш спокойно. Няма бързане. Ето какво значи това."
GOOD_SENTENCES = [
    "Ела в 10 ч. в читалището на ул. Дунав.",
    f"{CALM} Заповед за защита: лист от съда.",
    f"{CALM} Заповед значи лист от съда.",
    f"{CALM} Той те бие често.",
    "Имаш 3 месеца и 30 дни. Вземи 100 лв.",
    "„Аз съм тук.“ Така кажи.",
]


@pytest.mark.parametrize("text", GOOD_SENTENCES)
def test_a_sentence_that_she_may_read(line: Small, text: str) -> None:
    whole(line)
    line.edit("topics/order.yaml", "Можеш да поискаш защита сега.", f"'{text}'")
    assert [str(p) for p in found(line)] == []


@pytest.mark.parametrize(
    ("language", "text", "code"),
    [
        ("tr", "Artık güvendesin.", "forbidden"),
        ("tr", "Şiddet var.", "topic-word"),
        ("tr", "Bir koruma kararı çıkar. Sonra.", "legal-word"),
        ("en", "You must go.", "forbidden"),
        ("en", "A man can beat you.", "topic-word"),
        ("en", " ".join(["word"] * 17) + ".", "sentence"),
        ("en", " ".join(["Come in."] * 30), "bubble"),
    ],
)
def test_a_translation_that_she_should_not_read(
    line: Small, language: str, text: str, code: str
) -> None:
    line.translate(language, {"order_now.text": text})
    told = {(p.node, p.language, p.code) for p in found(line)}
    assert ("order_now", language, code) in told


def test_a_button_of_five_words(line: Small) -> None:
    line.edit("topics/order.yaml", "say: Кога беше?", "say: Кога беше това за последно?")
    assert "label" in codes(line)


def test_a_topic_word_on_the_cover_or_in_what_a_notification_can_show(line: Small) -> None:
    whole(line)
    far = "Супа. " * 20
    line.edit("topics/start.yaml", "Вари се 30 мин.", f"{far[:100]}\n\n      Насилие.")
    assert "topic-word" in codes(line)  # a cover counts whole
    line.append("phrases.yaml", "bot: {name: Помощ при насилие}\n")
    assert {p.node for p in found(line) if p.code == "topic-word"} == {"start", "bot.name"}


# --- what she types ------------------------------------------------------------------------------


def test_a_nodes_word_that_would_hide_the_window(line: Small) -> None:
    line.edit("topics/order.yaml", "[заповед, съд]", "[заповед, рецепти]")
    assert [p.node for p in found(line) if p.code == "safe-word"] == ["order"]


def test_a_language_without_a_safe_word(line: Small) -> None:
    line.edit("words.yaml", "  bg: [рецепта, супа]\n", "")
    assert "no-words" in codes(line)


# --- measuring -----------------------------------------------------------------------------------


def test_numbers_and_abbreviations_end_no_sentence() -> None:
    short = abbreviations(RULES, "bg")
    assert sentences("Ела в 10 ч. до 12.30 ч. Ще чакаме.", short) == [
        "Ела в 10 ч. до 12.30 ч.",
        "Ще чакаме.",
    ]
    assert sentences("Той вика… Защо?\nНе знам", short) == ["Той вика…", "Защо?", "Не знам"]
    assert words("Обади се на 0800 1 86 76 до 10:30 ч.") == [
        "Обади", "се", "на", "080018676", "до", "10:30", "ч",
    ]  # fmt: skip
    assert measure("Едно две. Три.", short).mean == pytest.approx(1.5)
    assert measure("…", short).longest_words == 0
    assert bubbles("Едно\nдве.\n\n  \nТри.") == ["Едно\nдве.", "Три."]


def test_a_star_stands_for_any_ending() -> None:
    assert has("жертв*", "Жертвите чакат")
    assert not has("жертва", "жертвата")
    assert not has("бие", "убие")


def test_a_broken_list_of_rules_is_told_with_its_line(tmp_path: Path) -> None:
    path = tmp_path / "lint.yaml"
    path.write_text("required: [tr]\nrequierd: [en]\n", encoding="utf-8")
    with pytest.raises(RulesError, match=r"lint\.yaml:2: .*unknown key 'requierd'"):
        load_rules(path)


def test_the_real_content_has_nothing_wrong() -> None:
    content, texts = open_content()
    told = [str(problem) for problem in check(content, texts.translated, date(2026, 11, 22))]
    assert told == []
