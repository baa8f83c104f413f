"""What must stand in content stands in no program, and what is logged is on the list."""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Iterator
from html.parser import HTMLParser
from pathlib import Path

import pytest

from bot.privacy.redact import EVENTS

ROOT = Path(__file__).parents[1]
PROGRAM = [path for room in ("bot", "dialogs", "scheduler") for path in (ROOT / room).rglob("*.py")]
TEMPLATES = sorted((ROOT / "bot" / "web" / "templates").rglob("*.html"))
CYRILLIC = re.compile(r"[\u0400-\u04ff]+")
LETTERS = {
    "dialogs/match.py": None,  # tables of letters
    "scheduler/exchange.py": re.compile("г|община|гр|град|с|село"),  # of a CSV
    "scheduler/csv_lines.py": re.compile("[Ѐӿ]|Бяла"),  # of a CSV
    "bot/web/fields.py": re.compile("г"),  # of a date
    "bot/neutral.py": re.compile("аАеЕоОрРсСхХуУкКмМтТнНвВ"),  # that look like Latin ones
}
"""Where letters are data, not sentences: the words allowed (None: any)."""
READ_ALOUD = {"alt", "title", "placeholder", "aria-label", "aria-description", "value", "content"}
SHORT = 400


def strings(path: Path) -> Iterator[tuple[int, str]]:
    """Every string of a module that is no docstring."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    loose = {id(n.value) for n in ast.walk(tree) if isinstance(n, ast.Expr)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in loose:
            yield node.lineno, node.value


@pytest.mark.parametrize("path", PROGRAM, ids=lambda path: str(path.relative_to(ROOT)))
def test_no_sentence_that_a_person_reads_stands_in_python(path: Path) -> None:
    name = path.relative_to(ROOT).as_posix()
    allowed = LETTERS.get(name, re.compile("(?!)"))
    found = [
        (line, word)
        for line, text in strings(path)
        for word in CYRILLIC.findall(text)
        if allowed is not None and not allowed.fullmatch(word)
    ]
    assert found == []


class Words(HTMLParser):
    """What of a template would be read or read aloud, with all that is computed left out."""

    def __init__(self, template: str) -> None:
        super().__init__()
        self.found: list[str] = []
        self._inside: list[str] = []
        names = r"\{% block body_\w+ %\}.*?\{% endblock %\}"  # attributes, for no reader
        bare = re.sub(names, "", template)
        bare = re.sub(r"\{#.*?#\}|\{%.*?%\}|\{\{.*?\}\}", "", bare, flags=re.DOTALL)
        self.feed(bare)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._inside.append(tag)
        given = dict(attrs)
        machine = tag == "meta" or given.get("type") == "hidden" or tag in ("option", "button")
        for key, value in attrs:
            if key in READ_ALOUD and value and re.search(r"[^\W\d_]", value) and not machine:
                self.found.append(f"{key}={value}")

    def handle_data(self, data: str) -> None:
        code = self._inside and self._inside[-1] in ("script", "style")
        if not code and re.search(r"[^\W\d_]", data):
            self.found.append(data.strip())


@pytest.mark.parametrize("path", TEMPLATES, ids=lambda path: path.name)
def test_no_word_stands_in_a_template(path: Path) -> None:
    assert Words(path.read_text(encoding="utf-8")).found == []


def test_every_code_that_is_logged_is_on_the_list() -> None:
    calls = {"event", "failed", "alarm", "_note", "_failed"}
    used = {
        node.args[0].value
        for path in PROGRAM
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr in calls
        and node.args
        and isinstance(node.args[0], ast.Constant)
        and isinstance(node.args[0].value, str)
    }
    assert used
    assert used <= EVENTS


def test_long_modules_are_named(record_property: Callable[[str, object], None]) -> None:
    """A question, never a target: the report carries them."""
    lengths = {path: len(path.read_text(encoding="utf-8").splitlines()) for path in PROGRAM}
    for path, length in lengths.items():
        if length > SHORT:
            record_property(str(path.relative_to(ROOT)), length)
