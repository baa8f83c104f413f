"""What authors use: the checks, the drawing and the schemas, over the content as it stands."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from functools import partial

from bot import channel_report, on_paper
from bot.channel_report import Report
from bot.texts import open_content
from bot.web.templating import PICTURES
from dialogs.check import check
from dialogs.graph import svg
from dialogs.lint import load_rules
from dialogs.load import ContentError
from dialogs.model import SOURCE_LANGUAGE
from dialogs.problem import Problem
from dialogs.schema import write_schemas

__all__ = ["channels", "drawing", "problems", "summary", "topics", "write_schemas"]


def problems(day: date) -> list[Problem]:
    """Everything that is wrong with the content as on that day."""
    content, texts = open_content()
    return check(content, texts.translated, day)


def channels(day: date) -> Report:
    """What each channel shows of every node as on that day, and what it cannot."""
    content, texts = open_content()
    known = on_paper.channels(texts, day, PICTURES)
    return channel_report.report(content, texts, day, known, load_rules(channels=known))


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
