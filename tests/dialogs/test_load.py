"""The content's files: what loads, and what an author is told when something is wrong."""

from __future__ import annotations

import json
import re
from datetime import date
from pathlib import Path

import pytest

from dialogs import engine, schema
from dialogs import load as loading
from dialogs.load import ContentError, in_chat, load, on
from dialogs.model import Choice, Fill, Mark, NodeKind, Position, Tapped
from tests.dialogs import small as files
from tests.dialogs.small import KEEPS, Small, small


@pytest.fixture
def line(tmp_path: Path) -> Small:
    return small(tmp_path)


def problems(line: Small) -> list[str]:
    with pytest.raises(ContentError) as caught:
        load(line.dialogs, line.locales)
    return [str(problem) for problem in caught.value.problems]


def test_the_small_content_loads_with_every_kind_of_node(line: Small) -> None:
    content = load(line.dialogs, line.locales)
    assert content.nodes["danger"].source.file == "dialogs/topics/danger.yaml"
    assert content.nodes["danger"].source.line == 5
    assert content.nodes["order_when"].choices[0] == Choice("order_when.go.s", "order_result", "s")
    assert content.nodes["talk"].fill is Fill.DUTY
    assert content.nodes["order_result"].kind is NodeKind.RESULT
    assert [item.key for item in content.nodes["bag"].items] == ["card", "keys"]
    assert content.texts["start.text"].text == "Супа от леща за четирима.\n\nВари се 30 мин."
    assert content.texts["order.words"].text == "заповед, съд"
    assert content.texts["place.rse27"].text == "Русе"
    assert content.texts["mark.danger"].text == "112"
    assert content.topics["order"].entry is not None
    assert content.topics["order"].entry.label == "entry.order"


def test_a_fact_shown_in_a_text_counts_as_used(line: Small) -> None:
    assert load(line.dialogs, line.locales).nodes["order"].facts == ("LAW-20", "LAW-17")


def test_back_leads_to_the_screen_nearest_to_home(line: Small) -> None:
    parents = load(line.dialogs, line.locales).parents
    assert parents["order"] == "home"
    assert parents["order_when"] == "order"
    assert parents["order_now"] == "order_when"  # not to the result between them
    assert parents["order_late"] == "order"  # its own `back`
    assert parents["case"] == "talk"
    assert parents["danger"] == parents["error"] == "home"
    assert parents["alone"] == "language"
    assert parents["language"] == "start"


def test_languages_stand_in_an_order_that_never_changes(line: Small) -> None:
    assert load(line.dialogs, line.locales).languages == ("bg",)
    for language in ("rom", "en", "ar", "tr"):
        line.catalogue(language, "")
    (line.locales / "xx").mkdir()
    assert load(line.dialogs, line.locales).languages == ("bg", "tr", "en", "ar", "rom")


def test_a_fact_is_expired_from_the_day_on_which_it_expires(line: Small) -> None:
    content = load(line.dialogs, line.locales)
    assert on(content, date(2027, 2, 19)).expired == frozenset()
    assert on(content, date(2027, 2, 20)).expired == {"LAW-17", "LAW-20"}
    assert on(content, date(2999, 1, 1)).expired == {"LAW-17", "LAW-20"}  # 112 never


def test_phrases_of_every_phrase_file_are_read(line: Small) -> None:
    line.add("desk_phrases.yaml", "desk: {title: Разговори}\n")
    assert load(line.dialogs, line.locales).texts["desk.title"].text == "Разговори"


def test_words_that_yaml_takes_for_something_else_stay_words(line: Small) -> None:
    line.append("phrases.yaml", "answer: {no: no, yes: 12, when: 2026-01-01}\n")
    texts = load(line.dialogs, line.locales).texts
    assert [texts[f"answer.{n}"].text for n in ("no", "yes", "when")] == ["no", "12", "2026-01-01"]


BROKEN = [
    ("a tab", "topics/order.yaml", "  go: order\n", "\tgo: order\n", "a tab"),
    ("not yaml", "topics/order.yaml", "say: Готово", "say: [", "not YAML"),
    ("an alias", "topics/order.yaml", "Съдът помага", "*later", "not YAML: an alias"),
    ("a key twice", "phrases.yaml", "  home: Начало", "  back: Начало", "the key stands twice"),
    ("unknown key", "topics/order.yaml", "  back: order", "  bakc: order", "unknown key 'bakc'"),
    ("unknown kind", "topics/danger.yaml", "kind: hide", "kind: hyde", "unknown kind 'hyde'"),
    ("no text", "topics/order.yaml",
     "    text: Можеш да поискаш защита сега.\n", "", "'text' is missing"),
    ("empty text", "topics/order.yaml",
     "text: Можеш да поискаш защита сега.", "text:", "has no text"),
    ("no slot", "topics/order.yaml", "    slot: w\n", "", "'slot' is missing"),
    ("engine's slot", "topics/order.yaml", "slot: w", "slot: m", "'slot' cannot be read"),
    ("dead link", "topics/order.yaml", "go: bag", "go: bagg", "leads to 'bagg'"),
    ("dead back", "topics/order.yaml", "back: order", "back: nowhere_at_all", "leads to 'nowhere"),
    ("dead entry", "topics/order.yaml", "  go: order\n", "  go: ordr\n", "did you mean 'order'?"),
    ("no menu", "topics/order.yaml", "menu: home", "menu: order", "no node of kind menu"),
    ("no default", "topics/order.yaml", "      - go: order_late\n", "", "has no default"),
    ("early default", "topics/order.yaml", "      - when: {w: s}\n        go: order_now",
     "      - go: order_now", "hides those below"),
    ("circle", "topics/order.yaml", "- go: order_late", "- go: order_result", "a circle"),
    ("duplicate id", "topics/order.yaml", "id: order_now", "id: order_late", "stands already at"),
    ("id too long", "topics/order.yaml",
     "id: order_now", "id: order_and_order_and_order", "'id' cannot"),
    ("topic name", "topics/order.yaml", "topic: order", "topic: odrer", "called like its file"),
    ("words, no name", "topics/order.yaml", "    name: Заповед за защита\n", "", "no name"),
    ("no 112", "topics/danger.yaml", "id: danger", "id: dangr", "this node must exist"),
    ("bad date", "facts.yaml", "checked_on: 2026-11-01", "checked_on: soon", "a date like"),
    ("bad ekatte", "places.yaml", '"63427"', '"6342"', "five digits"),
    ("place twice", "places.yaml", "rse04", "rse27", "stands twice"),
]  # fmt: skip


@pytest.mark.parametrize(("name", "file", "old", "new", "told"), BROKEN, ids=[b[0] for b in BROKEN])
def test_a_mistake_is_told_with_its_file_and_line(
    line: Small, name: str, file: str, old: str, new: str, told: str
) -> None:
    line.edit(file, old, new)
    found = problems(line)
    assert any(told in problem for problem in found), found
    assert all(problem.startswith("dialogs") and problem.count(": ") >= 2 for problem in found)


def test_a_broken_file_is_not_blamed_on_those_who_lead_there(line: Small) -> None:
    line.edit("topics/danger.yaml", "kind: hide", "kind: hyde")
    assert len(problems(line)) == 1
    line.edit("topics/talk.yaml", "title: ", "title: [")
    assert all("leads to" not in problem for problem in problems(line))


def test_the_line_is_the_one_where_the_mistake_stands(line: Small) -> None:
    at = line.edit("topics/order.yaml", "        go: bag", "        go: bagg")
    assert problems(line)[0].startswith(f"dialogs/topics/order.yaml:{at}: order: ")


CHOICES = KEEPS[KEEPS.index("    choices") : KEEPS.index("  - id: hiding")]
LASTING_BROKEN = [
    ("no choices", "topics/start.yaml", CHOICES, "", "keeps: 'choices' is missing"),
    ("no go", "topics/start.yaml", "    kind: lasting\n    go: hiding\n",
     "    kind: lasting\n", "keeps: 'go' is missing"),
    ("dead choice", "topics/start.yaml", "        go: hiding\n        on_page",
     "        go: hidng\n        on_page", "leads to 'hidng', which does not exist"),
    ("on a page from elsewhere", "topics/start.yaml", "        go: enter\n",
     "        go: enter\n        on_page: true\n", "unknown key 'on_page'"),
    ("not yes or no", "topics/start.yaml", "on_page: true", "on_page: maybe", "'on_page'"),
    ("no words", "topics/start.yaml", "lasting_text: Скрий слага рецепта отдолу.",
     "lasting_text: ''", "'lasting_text' has no text"),
    ("two doors to one page", "topics/start.yaml", "        go: hiding\n  - id: hiding",
     "        go: hiding\n        on_page: true\n  - id: hiding", "stands already at"),
    ("no such cover", "topics/danger.yaml", "covers: [soup]", "covers: [sopu]",
     "hide: leads to 'sopu', which does not exist, did you mean 'soup'?"),
    ("covers elsewhere", "topics/danger.yaml", "    name: Спешна помощ\n",
     "    name: Спешна помощ\n    covers: [soup]\n", "unknown key 'covers'"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("name", "file", "old", "new", "told"), LASTING_BROKEN, ids=[b[0] for b in LASTING_BROKEN]
)
def test_a_mistake_about_lasting_chats_is_told_with_its_file_and_line(
    line: Small, name: str, file: str, old: str, new: str, told: str
) -> None:
    line.in_lasting_chats()
    assert load(line.dialogs, line.locales).nodes["hide"].covers == ("soup",)
    line.edit(file, old, new)
    found = problems(line)
    assert [told in problem for problem in found] == [True], found
    assert re.match(rf"dialogs/{file}:\d+: ", found[0])


def test_an_unknown_cover_is_told_at_its_own_line(line: Small) -> None:
    line.in_lasting_chats()
    at = line.edit("topics/danger.yaml", "covers: [soup]", "covers: [soup, nowhere]")
    told = f"dialogs/topics/danger.yaml:{at}: hide: leads to 'nowhere'"
    assert problems(line)[0].startswith(told)


# --- chats that keep everything, and others ------------------------------------------------------


def test_where_a_chat_keeps_everything_other_words_are_said(line: Small) -> None:
    line.in_lasting_chats()
    content = load(line.dialogs, line.locales)
    lasting = in_chat(content, lasting=True)
    assert content.nodes["hiding"].text == "hiding.text"
    assert lasting.nodes["hiding"].text == "hiding.lasting_text"
    assert lasting.texts["hiding.lasting_text"].text == "Скрий слага рецепта отдолу."
    assert lasting.nodes["home"] == content.nodes["home"]
    assert lasting.nodes["keeps"].choices == (
        Choice("keeps.go.page", "hiding", on_page=True),
        Choice("keeps.go.hiding", "hiding"),
    )
    assert lasting.parents["hiding"] == "keeps"
    assert lasting.parents["keeps"] == "alone"


def test_where_a_chat_keeps_nothing_what_is_said_of_it_is_passed(line: Small) -> None:
    line.in_lasting_chats()
    passing = in_chat(load(line.dialogs, line.locales), lasting=False)
    assert passing.nodes["hiding"].text == "hiding.text"
    assert passing.parents["hiding"] == "alone"
    step = engine.step(passing, engine.cover("bg"), Tapped(Position("bg", "keeps")))
    assert step.position.node == "hiding"


@pytest.mark.parametrize(
    ("lasting", "way"),
    [
        (False, ["gate_hide", "gate_alone", "gate_language", "start"]),
        (True, ["gate_hide", "gate_lasting", "gate_alone", "gate_language", "start"]),
    ],
    ids=["passing", "lasting"],
)
def test_back_leads_out_of_the_gate_and_never_in_a_circle(lasting: bool, way: list[str]) -> None:
    content = in_chat(load(), lasting=lasting)
    position, went = Position("bg", "gate_hide"), ["gate_hide"]
    while position.node != "start" and len(went) < 9:
        marks = dict(engine.screen(content, position).marks)
        position = engine.step(content, position, Tapped(marks[Mark.BACK].to)).position
        went.append(position.node)
    assert went == way


def test_answers_go_through_the_gate_that_is_passed() -> None:
    linked = Position("tr", "gate_lasting").with_answer("d", engine.link_code("order"))
    screen = engine.screen(in_chat(load(), lasting=False), linked)
    assert screen.position == linked.to("gate_hide")


def test_more_than_four_choices_are_refused(line: Small) -> None:
    five = "".join(f"      - say: Бутон\n        go: order{n}\n" for n in range(5))
    line.append("topics/order.yaml", f"  - id: many\n    text: Избери.\n    choices:\n{five}")
    assert any("holds 5, at most 4" in problem for problem in problems(line))


def test_all_mistakes_of_all_files_are_told_at_once(line: Small) -> None:
    line.edit("topics/order.yaml", "back: order", "bakc: order")
    line.edit("topics/talk.yaml", "go: meet\n", "go: meat\n")
    line.edit("facts.yaml", "confidence: H", "confidence: X")
    (line.dialogs / "places.yaml").unlink()
    found = problems(line)
    told = (
        "bakc",
        "leads to 'meat', which does not exist, did you mean 'meet'?",
        "H, M, L",
        "missing",
    )
    assert all(any(part in problem for problem in found) for part in told), found


@pytest.mark.parametrize("junk", [b"\xff\xfe", b"", b"\x00", b"[" * 5000, b"- 1", b"topic: order"])
def test_rubbish_in_a_file_is_told_and_never_a_traceback(line: Small, junk: bytes) -> None:
    (line.dialogs / "topics" / "order.yaml").write_bytes(junk)
    assert any("topics/order.yaml" in problem for problem in problems(line))


def test_a_file_with_a_byte_order_mark_loads(line: Small) -> None:
    path = line.dialogs / "topics" / "order.yaml"
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes())
    assert "order" in load(line.dialogs, line.locales).nodes


def test_the_published_schemas_are_current() -> None:
    folder = Path(loading.__file__).parent / "schema"
    published = {path.name: path.read_text(encoding="utf-8") for path in folder.glob("*.json")}
    assert published == schema.schemas(), "run `phen check --schema`"


def test_the_published_schema_takes_the_small_content_and_refuses_a_misspelt_key() -> None:
    import yaml
    from jsonschema import Draft202012Validator, ValidationError

    validator = Draft202012Validator(json.loads(schema.schemas()["topic.schema.json"]))
    topic = yaml.safe_load(files.ORDER)
    validator.validate(topic)
    topic["nodes"][0]["chioces"] = []
    with pytest.raises(ValidationError):
        validator.validate(topic)


def test_the_real_content_loads() -> None:
    assert len(load().nodes) > 20
