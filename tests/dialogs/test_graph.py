"""The picture of the dialog that authors look at."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from xml.etree import ElementTree

import pytest

from dialogs.graph import is_dead_end, svg
from dialogs.load import load
from dialogs.model import Content, TextId
from tests.dialogs.small import Small, small


@pytest.fixture
def line(tmp_path: Path) -> Small:
    return small(tmp_path)


def draw(line: Small, topic: str | None = None) -> str:
    content = load(line.dialogs, line.locales)
    return svg(content, words(content), topic)


def words(content: Content) -> Callable[[TextId], str]:
    return lambda text_id: content.texts[text_id].text


def classes(drawing: str, node: str) -> set[str]:
    found = re.search(rf'<g class="([^"]*)" id="{node}"', drawing)
    assert found, f"{node} is not drawn"
    return set(found[1].split())


def test_every_node_of_all_topics_is_drawn_once(line: Small) -> None:
    drawing = draw(line)
    root = ElementTree.fromstring(drawing)
    drawn = [g.get("id") for g in root.iter("{http://www.w3.org/2000/svg}g")]
    assert sorted(map(str, drawn)) == sorted(load(line.dialogs).nodes)


def test_a_topic_is_drawn_with_the_nodes_it_leads_to(line: Small) -> None:
    drawing = draw(line, "danger")
    assert classes(drawing, "danger") == {"node"}
    assert "other" in classes(drawing, "talk")
    assert 'id="bag"' not in drawing


def test_dead_ends_doors_and_covers_are_marked(line: Small) -> None:
    drawing = draw(line)
    assert "dead" in classes(drawing, "order_now")
    assert "dead" not in classes(drawing, "order")
    assert "door" in classes(drawing, "order_result")
    assert {"cover", "far"} <= classes(drawing, "start")
    assert "far" not in classes(drawing, "order_now")
    assert is_dead_end(load(line.dialogs), load(line.dialogs).nodes["order_late"])


def test_boxes_do_not_lie_on_one_another(line: Small) -> None:
    places = re.findall(r"translate\((\d+),(\d+)\)", draw(line))
    assert len(places) == len(set(places))


def test_the_same_content_gives_the_same_drawing(line: Small) -> None:
    assert draw(line) == draw(line)


def test_words_cannot_break_the_drawing(line: Small) -> None:
    line.edit("topics/order.yaml", "Можеш да поискаш защита сега.", "'<script>&\"'")
    ElementTree.fromstring(draw(line, "order"))


def test_an_unknown_topic_is_an_error(line: Small) -> None:
    with pytest.raises(KeyError):
        draw(line, "nothing")


def test_the_real_content_can_be_drawn_by_topic() -> None:
    content = load()
    for topic in (None, *content.topics):
        ElementTree.fromstring(svg(content, words(content), topic))
