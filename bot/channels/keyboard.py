"""A screen's buttons as a keyboard of Viber's: a grid of six columns. Pure.

The picture stands in the keyboard, not in the chat: so it goes with the next screen, and does
not land among the pictures of her phone.
"""

from __future__ import annotations

from html import escape
from typing import Any

from bot.channels.base import Outgoing, OutgoingButton

COLUMNS = 6
BLOCK_ROWS = 2
PICTURE_COLUMNS = 2
LABEL = 250
"""Characters of a button's text, markup included, as phones count them: in UTF-16 units."""
_GROUND, _CHOICE, _MARK = "#F7F1E6", "#FFFFFF", "#E7DFD0"

Button = dict[str, Any]
_BLANK: Button = {
    "Columns": COLUMNS,
    "Rows": 1,
    "BgColor": _GROUND,
    "Silent": True,
    "ActionType": "none",
    "ActionBody": "none",
}


def keyboard(message: Outgoing, picture: str | None) -> dict[str, Any]:
    """The keyboard under a message; `picture` is an address.

    Where there is nothing to tap it is blank: without one the app would go on showing the last.
    """
    buttons = [*_choices(message.choices, picture), *_marks(message.marks)] or [_BLANK]
    return {"Type": "keyboard", "DefaultHeight": False, "BgColor": _GROUND, "Buttons": buttons}


def _choices(choices: tuple[OutgoingButton, ...], picture: str | None) -> list[Button]:
    """One below the other; beside the first two stands the picture."""
    if picture is None or not choices:
        return [_button(choice, COLUMNS, _CHOICE) for choice in choices]
    beside = choices[:BLOCK_ROWS]
    rows = BLOCK_ROWS // len(beside)
    return [
        _picture(picture),
        *(_button(choice, COLUMNS - PICTURE_COLUMNS, _CHOICE, rows) for choice in beside),
        *(_button(choice, COLUMNS, _CHOICE) for choice in choices[BLOCK_ROWS:]),
    ]


def _marks(marks: tuple[OutgoingButton, ...]) -> list[Button]:
    """One row: narrow where a sign will do, so that 112 and *hide* are wide and have words."""
    signs = sum(1 for mark in marks if mark.sign)
    wide = (COLUMNS - signs) // max(len(marks) - signs, 1)
    return [_button(mark, 1 if mark.sign else wide, _MARK) for mark in marks]


def _button(button: OutgoingButton, columns: int, color: str, rows: int = 1) -> Button:
    """A tap that leaves nothing in her chat: what it carries is not shown there."""
    made: Button = {
        "Columns": columns,
        "Rows": rows,
        "BgColor": color,
        "Silent": True,
        "ActionType": "reply",
        "ActionBody": button.payload,
        "Text": _text(button.sign or button.label if columns == 1 else button.label),
        "TextSize": "regular",
    }
    if button.url is not None:
        made |= {
            "ActionType": "open-url",
            "ActionBody": button.url,
            "OpenURLType": "internal",
            "InternalBrowser": {"ActionButton": "none", "TitleType": "default"},
        }
    return made


def _picture(address: str) -> Button:
    return {
        "Columns": PICTURE_COLUMNS,
        "Rows": BLOCK_ROWS,
        "BgColor": _CHOICE,
        "Silent": True,
        "ActionType": "none",
        "ActionBody": "none",
        "Image": address,
    }


def _text(label: str) -> str:
    """Viber reads a button's text as HTML; ours is plain, and never cut inside a sign."""
    while _units(shown := escape(label, quote=False)) > LABEL:
        label = label[:-1]
    return shown


def _units(text: str) -> int:
    return len(text.encode("utf-16-le", "surrogatepass")) // 2
