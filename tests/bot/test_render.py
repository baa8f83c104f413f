"""A screen as a channel can show it: words, numbers, marks, limits."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot import render
from bot.channels import console, telegram, viber, web
from bot.channels.base import Limits
from bot.texts import open_content
from dialogs import engine, load, payload
from dialogs.model import CASE, HIDE, START, Position

NOW = datetime(2026, 11, 22, 10, 30, tzinfo=UTC)
CONTENT, TEXTS = open_content()
SCREENS = [node.id for node in CONTENT.nodes.values() if node.text in TEXTS]
CHANNELS = [console.ConsoleChannel.limits, telegram.LIMITS, web.LIMITS, viber.LIMITS]
NAMES = ["console", "telegram", "web", "viber"]


def shown(node: str, limits: Limits = telegram.LIMITS, language: str = "bg", **other: object):  # type: ignore[no-untyped-def]
    screen = engine.screen(CONTENT, Position(language, node))
    return render.render(screen, TEXTS, limits, NOW, **other)  # type: ignore[arg-type]


@pytest.mark.parametrize("limits", CHANNELS, ids=NAMES)
@pytest.mark.parametrize("language", CONTENT.languages)
def test_every_screen_fits_every_channel(language: str, limits: Limits) -> None:
    content = load.in_chat(CONTENT, lasting=limits.lasting)
    for node in SCREENS:
        screen = engine.screen(content, Position(language, node))
        window = render.render(screen, TEXTS, limits, NOW)
        assert len(window.text.encode("utf-16-le")) // 2 <= limits.window, node
        assert not window.text.endswith("…"), f"{node} is cut"
        buttons = (*window.choices, *window.marks)
        assert len(window.choices) <= limits.buttons, node
        for button in buttons:
            assert 0 < len(button.label.encode("utf-16-le")) // 2 <= limits.label
            assert len(button.payload.encode()) <= limits.payload
            assert payload.unpack(button.payload) is not None


def test_choices_are_numbered_as_they_can_be_typed() -> None:
    window = shown("home")
    for number, choice in enumerate(window.choices, start=1):
        assert choice.label.startswith(f"{number}. ")


def test_112_and_hide_stand_on_every_screen_behind_the_gate_and_the_cover_has_none() -> None:
    for node in SCREENS:
        screen = engine.screen(CONTENT, Position("bg", node))
        marks = [payload.unpack(mark.payload) for mark in shown(node).marks]
        if screen.cover:
            assert marks == []
        else:
            assert [mark.node for mark in marks[2:] if mark] == ["danger", "hide"]


@pytest.mark.parametrize("limits", CHANNELS, ids=NAMES)
def test_a_stamp_stands_in_the_payload_where_the_platform_tells_no_time(limits: Limits) -> None:
    window = shown("home", limits)
    stamps = [payload.stamp(button.payload) for button in (*window.choices, *window.marks)]
    assert set(stamps) == ({None} if limits.knows_edit_time else {NOW.replace(second=0)})


def test_the_same_screen_a_second_later_is_the_same_message() -> None:
    assert shown("home") == shown("home")


def test_each_language_names_itself() -> None:
    labels = [choice.label for choice in shown("gate_language").choices]
    assert [label.partition(". ")[2] for label in labels] == [
        TEXTS.say(language, "language.name") for language in CONTENT.languages
    ]


def test_what_the_shell_knows_stands_below_the_text() -> None:
    assert shown("talk", added="Сега няма човек.").text.endswith("\n\nСега няма човек.")


def test_a_channel_without_pictures_gets_none() -> None:
    assert shown("home").picture
    assert shown("home", replace(telegram.LIMITS, picture=False)).picture is None


def test_a_tick_stands_in_the_label() -> None:
    node = next(node for node in CONTENT.nodes.values() if node.items)
    before = shown(node.id)
    ticked = payload.unpack(before.choices[0].payload)
    assert ticked is not None
    after = render.render(engine.screen(CONTENT, ticked), TEXTS, telegram.LIMITS, NOW)
    assert "☐" in before.choices[0].label
    assert "☑" in after.choices[0].label


def case_message(text: str, limits: Limits = telegram.LIMITS):  # type: ignore[no-untyped-def]
    screen = engine.screen(CONTENT, Position("bg", CASE))
    return render.case_message(
        text, "bg", screen, TEXTS, limits, NOW, number=3, author="Консултант"
    )


def test_a_message_of_a_case_carries_the_marks_and_no_choices() -> None:
    message = case_message("Тук съм.")
    assert (message.text, message.author, message.number) == ("Тук съм.", "Консултант", 3)
    assert not message.window
    assert message.in_case
    assert message.choices == ()
    assert [mark.label for mark in message.marks] == [mark.label for mark in shown(CASE).marks]


# --- chats that keep everything --------------------------------------------------------------

LASTING = load.in_chat(CONTENT, lasting=True)


def page(position: Position) -> str:
    return f"https://ours.example/r/{position.node}"


def lasting(node: str, language: str = "bg", **other: object):  # type: ignore[no-untyped-def]
    screen = engine.screen(LASTING, Position(language, node))
    return render.render(screen, TEXTS, viber.LIMITS, NOW, **other)  # type: ignore[arg-type]


@pytest.mark.parametrize("language", CONTENT.languages)
def test_what_hide_puts_above_the_cover_comes_first_and_fits(language: str) -> None:
    covers = [LASTING.nodes[node].text for node in LASTING.nodes[HIDE].covers]
    assert covers
    window = lasting(START, language, above=covers, added="и това")
    told = [TEXTS.say(language, text) for text in (*covers, "start.text")]
    assert window.text == "\n\n".join([*told, "и това"])
    assert window.cover
    assert window.marks == ()


def test_only_what_opens_on_our_page_has_an_address() -> None:
    window = lasting("gate_lasting", page=page)
    assert [choice.url for choice in window.choices] == [
        "https://ours.example/r/gate_hide", None,
    ]  # fmt: skip
    assert [payload.unpack(choice.payload) for choice in window.choices] == [
        Position("bg", "gate_hide")
    ] * 2
    for node in SCREENS:
        window = lasting(node, page=page)
        assert [mark.url for mark in window.marks] == [None] * len(window.marks)
        if node != "gate_lasting":
            assert {choice.url for choice in window.choices} <= {None}, node


def test_without_a_page_of_ours_every_choice_leads_on_in_the_chat() -> None:
    assert {choice.url for choice in lasting("gate_lasting").choices} == {None}


@pytest.mark.parametrize("limits", CHANNELS, ids=NAMES)
@pytest.mark.parametrize("language", CONTENT.languages)
def test_back_and_home_have_a_sign_and_112_and_hide_have_words(
    language: str, limits: Limits
) -> None:
    marks = shown("home", limits, language).marks
    assert [mark.sign for mark in marks] == [
        TEXTS.say(language, "mark_sign.back"), TEXTS.say(language, "mark_sign.home"), "", "",
    ]  # fmt: skip
    assert all(mark.label for mark in marks)
    assert len({mark.sign for mark in marks[:2]} - {""}) == 2


@pytest.mark.parametrize("limits", CHANNELS, ids=NAMES)
def test_choices_stand_under_a_message_of_a_case_only_where_nothing_is_edited(
    limits: Limits,
) -> None:
    message = case_message("Тук съм.", limits)
    window = shown(CASE, limits)
    assert window.choices
    assert message.choices == (() if limits.edit else window.choices)
    assert message.marks == window.marks


@pytest.mark.parametrize("limits", CHANNELS, ids=NAMES)
def test_a_message_of_a_case_says_where_she_is_when_she_answers_it(limits: Limits) -> None:
    assert case_message("Тук съм.", limits).position == Position("bg", CASE)


@given(st.text(max_size=300), st.integers(min_value=2, max_value=120))
def test_a_text_is_cut_between_letters_in_the_units_that_messengers_count(
    text: str, limit: int
) -> None:
    cut = case_message(text, replace(telegram.LIMITS, text=limit)).text
    assert len(cut.encode("utf-16-le")) // 2 <= limit
    assert cut == text or text.startswith(cut.removesuffix("…"))


@pytest.mark.parametrize(
    "text", ["<b>не</b> *не* [a](tg://user?id=1)", "🙂" * 10, "\u202eобратно\u200b", "a\nb"]
)
def test_a_text_within_the_limit_stays_letter_for_letter(text: str) -> None:
    assert case_message(text).text == text
