"""What authors use: the checks, the drawing and the schemas, over the content as it stands."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from functools import partial

from bot.texts import open_content
from dialogs.check import check
from dialogs.graph import svg
from dialogs.load import ContentError
from dialogs.model import SOURCE_LANGUAGE
from dialogs.problem import Problem
from dialogs.schema import write_schemas

__all__ = ["drawing", "problems", "summary", "topics", "write_schemas"]


def problems(day: date) -> list[Problem]:
    """Everything that is wrong with the content as on that day."""
    content, texts = open_content()
    return check(content, texts.translated, day)


def summary(found: Sequence[Problem]) -> str:
    """One line at the end: how much there is, and how much is wrong with it."""
    try:
        content, _ = open_content()
    except ContentError:
        return f"{len(found)} problems"
    size = f"{len(content.nodes)} nodes, {len(content.texts)} texts, {len(content.languages)}"
    return f"{size} languages: {len(found)} problems"


def drawing(topic: str | None) -> str | None:
    """The dialog as SVG, of one topic or of all; None when there is no such topic."""
    content, texts = open_content()
    if topic is not None and topic not in content.topics:
        return None
    return svg(content, partial(texts.say, SOURCE_LANGUAGE), topic)


def topics() -> str:
    """The names that `phen graph` takes."""
    return ", ".join(sorted(open_content()[0].topics))
