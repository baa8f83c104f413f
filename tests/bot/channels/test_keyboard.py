"""Viber's grid of buttons, against what the app can lay out."""

from __future__ import annotations

import re
from html import unescape
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from bot.channels.base import Outgoing, OutgoingButton
from bot.channels.keyboard import LABEL, keyboard
from bot.channels.viber import LIMITS
from bot.channels.viber_screens import API_LEVEL
from tests.standins.viber import check_message

PICTURE = "https://ours.example/m/0123.png"
PAGE = "https://ours.example/r/abcdef"
Json = dict[str, Any]

texts = st.text(
    st.one_of(st.sampled_from("<>&\"'жя €🙂é;"), st.characters(exclude_categories=["Cs"])),
    min_size=1,
    max_size=12,
).filter(lambda text: text.strip())
labels = st.builds(lambda text, times: (text * times)[:300], texts, st.integers(1, 300))
choice = st.builds(
    OutgoingButton,
    labels,
    st.just("bg:order::abc"),
    url=st.sampled_from([None, PAGE]),
)
mark = st.builds(
    OutgoingButton, labels, st.just("bg:hide::abc"), sign=st.sampled_from(["", "◀", "⌂"])
)
messages = st.builds(
    lambda choices, marks: Outgoing("Текст", "bg", choices=tuple(choices), marks=tuple(marks)),
    st.lists(choice, max_size=LIMITS.buttons),
    st.lists(mark, max_size=4),
)


def buttons(message: Outgoing, picture: str | None = None) -> list[Json]:
    made: list[Json] = keyboard(message, picture)["Buttons"]
    return made


def laid_out(board: list[Json]) -> list[list[int]]:
    """The rows of the grid as the app fills it: each cell holds its button's number.

    A button goes where it fits first, at or after the one before it; one of two rows keeps its
    place beside those that follow.
    """
    rows: list[list[int]] = []
    row = column = 0
    for number, button in enumerate(board):
        wide, high = button["Columns"], button["Rows"]
        while True:
            while len(rows) < row + high:
                rows.append([-1] * 6)
            cells = [(r, c) for r in range(row, row + high) for c in range(column, column + wide)]
            if column + wide <= 6 and all(rows[r][c] == -1 for r, c in cells):
                break
            column += 1
            if column == 6:
                row, column = row + 1, 0
        for r, c in cells:
            rows[r][c] = number
    return rows


def message(choices: int, *marks: OutgoingButton) -> Outgoing:
    made = tuple(OutgoingButton(f"{n}. Избор", f"bg:c{n}") for n in range(1, choices + 1))
    return Outgoing("Текст", "bg", choices=made, marks=marks)


MARKS = (
    OutgoingButton("Назад", "bg:back", "◀"),
    OutgoingButton("Начало", "bg:home", "⌂"),
    OutgoingButton("112", "bg:danger"),
    OutgoingButton("Скрий", "bg:hide"),
)


def test_signs_are_narrow_and_words_are_wide() -> None:
    back, home, danger, hide = buttons(message(0, *MARKS))
    assert [b["Columns"] for b in (back, home, danger, hide)] == [1, 1, 2, 2]
    assert [b["Text"] for b in (back, home, danger, hide)] == ["◀", "⌂", "112", "Скрий"]


@pytest.mark.parametrize(
    ("marks", "columns", "texts"),
    [
        (MARKS[1:], [1, 2, 2], ["⌂", "112", "Скрий"]),
        (MARKS[2:], [3, 3], ["112", "Скрий"]),
        (MARKS[3:], [6], ["Скрий"]),
        (MARKS[:1], [1], ["◀"]),
        ((*MARKS[2:], *MARKS[2:]), [1, 1, 1, 1], ["112", "Скрий", "112", "Скрий"]),
    ],
)
def test_marks_share_one_row(
    marks: tuple[OutgoingButton, ...], columns: list[int], texts: list[str]
) -> None:
    made = buttons(message(0, *marks))
    assert [each["Columns"] for each in made] == columns
    assert [each["Text"] for each in made] == texts
    assert len(laid_out(made)) == 1


def test_two_choices_stand_beside_the_picture_and_the_others_below() -> None:
    made = buttons(message(4, *MARKS), PICTURE)
    assert laid_out(made) == [
        [0, 0, 1, 1, 1, 1],
        [0, 0, 2, 2, 2, 2],
        [3, 3, 3, 3, 3, 3],
        [4, 4, 4, 4, 4, 4],
        [5, 6, 7, 7, 8, 8],
    ]
    picture = made[0]
    assert picture["Image"] == PICTURE
    assert (picture["ActionType"], picture["Silent"]) == ("none", True)
    assert "Text" not in picture


def test_one_choice_is_as_high_as_the_picture() -> None:
    assert laid_out(buttons(message(1), PICTURE)) == [[0, 0, 1, 1, 1, 1]] * 2


def test_a_picture_beside_nothing_is_not_shown() -> None:
    assert [each["Text"] for each in buttons(message(0, *MARKS), PICTURE)] == [
        "◀", "⌂", "112", "Скрий"
    ]  # fmt: skip


def test_without_a_picture_each_choice_is_a_row() -> None:
    assert laid_out(buttons(message(3))) == [[n] * 6 for n in range(3)]


def test_nothing_to_tap_is_one_blank_button() -> None:
    for picture in (None, PICTURE):
        [blank] = buttons(message(0), picture)
        assert (blank["ActionType"], blank["Silent"]) == ("none", True)
        assert not blank.keys() & {"Text", "Image"}


def test_a_choice_that_opens_our_page_stays_in_the_closed_browser() -> None:
    read = OutgoingButton("2. На страница", "bg:order", url=PAGE)
    [made] = buttons(Outgoing("Текст", "bg", choices=(read,)))
    assert made["ActionType"] == "open-url"
    assert made["ActionBody"] == PAGE
    assert made["OpenURLType"] == "internal"
    assert made["InternalBrowser"]["ActionButton"] == "none"
    assert made["Silent"] is True


@given(messages, st.sampled_from([None, PICTURE]))
def test_every_keyboard_is_one_that_viber_takes(message: Outgoing, picture: str | None) -> None:
    board = keyboard(message, picture)
    sent = {
        "type": "text", "text": message.text, "sender": {"name": "Дом"}, "keyboard": board,
        "min_api_version": API_LEVEL,
    }  # fmt: skip
    check_message(sent, 0, addressed=False)
    rows = laid_out(board["Buttons"])
    assert len(rows) <= 12
    assert board["DefaultHeight"] is False


@given(messages, st.sampled_from([None, PICTURE]))
def test_every_row_but_that_of_the_marks_is_filled_to_six_columns(
    message: Outgoing, picture: str | None
) -> None:
    assume(message.choices)
    made = buttons(message, picture)
    marks = len(made) - len(message.marks)
    rows = laid_out(made)
    choices = [row for row in rows if max(row) < marks]
    assert all(-1 not in row for row in choices)
    below = [row for row in rows if max(row) >= marks]
    assert len(below) == (1 if message.marks else 0)
    assert all(min(n for n in row if n != -1) >= marks for row in below)  # on a row of their own


@given(messages, st.sampled_from([None, PICTURE]))
def test_no_tap_is_ever_seen_and_each_carries_what_it_should(
    message: Outgoing, picture: str | None
) -> None:
    made = buttons(message, picture)
    assert all(each["Silent"] is True for each in made)
    carried = [each["ActionBody"] for each in made if each["ActionType"] != "none"]
    given = (*message.choices, *message.marks)
    assert carried == [each.url or each.payload for each in given]
    kinds = {each["ActionType"] for each in made if each["ActionBody"] == PAGE}
    assert kinds <= {"open-url"}


@given(labels)
def test_a_label_is_shown_as_it_is_and_never_cut_inside_a_sign(label: str) -> None:
    [made] = buttons(Outgoing("Текст", "bg", choices=(OutgoingButton(label, "bg:order"),)))
    text = made["Text"]
    assert len(text.encode("utf-16-le")) // 2 <= LABEL
    assert "<" not in text
    assert ">" not in text
    assert re.sub(r"&(amp|lt|gt);", "", text).count("&") == 0
    shown = text.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")
    assert label.startswith(shown)
    if shown != label:  # no more is cut than must be
        more = label[: len(shown) + 1]
        assert len(_escaped(more).encode("utf-16-le")) // 2 > LABEL


def _escaped(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def test_markup_of_hers_is_no_markup() -> None:
    label = "<b>не</b> &amp; <script>"
    [made] = buttons(Outgoing("Текст", "bg", choices=(OutgoingButton(label, "bg:order"),)))
    assert made["Text"] == "&lt;b&gt;не&lt;/b&gt; &amp;amp; &lt;script&gt;"
    assert unescape(made["Text"]) == label
