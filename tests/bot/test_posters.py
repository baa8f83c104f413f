"""The posters: what stands on one, and whether a phone can read its codes from a wall."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from xml.etree import ElementTree

import pytest
import segno

from bot.on_paper import LONGEST_ADDRESS
from bot.posters import MARGIN, QUIET, WIDTH, NoLinks, Posters
from bot.texts import Texts, open_content
from dialogs import lint
from dialogs.engine import link_code
from dialogs.model import Content
from tests.bot.test_cli import Keyboard, QuickKeyboard

SVG = "{http://www.w3.org/2000/svg}"
OURS = "https://help.example.org"
LEAST_MODULE = 0.8
"""Millimetres: what the camera of a cheap phone still reads at arm's length."""
_RUN = re.compile(r"M(\d+) (\d+)h(\d+)v1h-\3z")


@dataclass
class Chat:
    """A platform, as far as a poster knows it."""

    address: str | None
    asked: list[str] = field(default_factory=list)

    async def link(self, code: str) -> str | None:
        self.asked.append(code)
        return None if self.address is None else self.address.format(code)


TELEGRAM = Chat("https://t.me/dom_i_zdrave_bot?start={}")
VIBER = Chat("viber://pa?chatURI=domizdrave&context={}")
BOTH = {"telegram": TELEGRAM, "viber": VIBER}


@pytest.fixture(scope="module")
def said() -> tuple[Content, Texts]:
    return open_content()


async def drawn(posters: Posters, said: tuple[Content, Texts], place: str, language: str) -> str:
    found = said[0].places[place]
    return posters.draw(found, language, await posters.links(found))


def words(svg: str) -> list[str]:
    return [each.text or "" for each in ElementTree.fromstring(svg).iter(f"{SVG}text")]


@dataclass(frozen=True)
class Seen:
    """A code as it stands on the sheet."""

    label: str
    modules: frozenset[tuple[int, int]]  # the dark ones: row and column, after the white
    across: int  # with the white
    side: float
    left: float


def codes(svg: str) -> list[Seen]:
    """What is painted black is read back from its paths, square by square."""
    found = []
    for group in ElementTree.fromstring(svg).iter(f"{SVG}g"):
        code, label = group.find(f"{SVG}svg"), group.find(f"{SVG}text")
        assert code is not None
        assert label is not None
        path = code[0].attrib["d"]
        assert _RUN.sub("", path) == ""
        dark = [
            (int(y) - QUIET, int(x) - QUIET + along)
            for x, y, length in _RUN.findall(path)
            for along in range(int(length))
        ]
        assert len(dark) == len(set(dark))
        across = int(code.attrib["viewBox"].split()[2])
        side, left = float(code.attrib["width"]), float(code.attrib["x"])
        found.append(Seen(label.text or "", frozenset(dark), across, side, left))
    return found


def modules(link: str) -> frozenset[tuple[int, int]]:
    matrix = segno.make(link, error="m", micro=False).matrix
    return frozenset(
        (row, column) for row, line in enumerate(matrix) for column, dark in enumerate(line) if dark
    )


# --- the codes ---------------------------------------------------------------------------------


async def test_each_code_opens_its_channel_at_that_municipality(
    said: tuple[Content, Texts],
) -> None:
    posters = Posters(said[1], BOTH, OURS)
    for place in said[0].places:
        code = link_code(place)
        found = {
            each.label: each.modules for each in codes(await drawn(posters, said, place, "bg"))
        }
        assert found == {
            "Telegram": modules(f"https://t.me/dom_i_zdrave_bot?start={code}"),
            "Viber": modules(f"viber://pa?chatURI=domizdrave&context={code}"),
            "Интернет": modules(f"{OURS}/?start={code}"),
        }
        assert TELEGRAM.asked[-1] == code


@pytest.mark.parametrize("linked", [{}, {"viber": VIBER}, BOTH])
async def test_a_phone_reads_the_codes_from_the_wall(
    said: tuple[Content, Texts], linked: dict[str, Chat]
) -> None:
    posters = Posters(said[1], linked, LONGEST_ADDRESS)
    found = codes(await drawn(posters, said, "rse04", "bg"))
    assert len(found) == len(linked) + 1
    for each in found:
        symbol = max(max(row, column) for row, column in each.modules) + 1
        assert each.across == symbol + 2 * QUIET
        assert each.side / each.across >= LEAST_MODULE
        assert each.left >= MARGIN
        assert each.left + each.side <= WIDTH - MARGIN
    for one, next_one in pairwise(found):
        assert one.left + one.side <= next_one.left  # not even the white of two overlaps


async def test_only_what_is_configured_and_knows_its_name_stands_there(
    said: tuple[Content, Texts],
) -> None:
    place = said[0].places["rse04"]
    posters = Posters(said[1], {"telegram": Chat(None), "viber": VIBER}, "")
    links = await posters.links(place)
    assert links["telegram"] is None
    assert [each.label for each in codes(posters.draw(place, "bg", links))] == ["Viber"]


async def test_a_poster_that_leads_nowhere_is_none(said: tuple[Content, Texts]) -> None:
    with pytest.raises(NoLinks):
        await drawn(Posters(said[1], {"telegram": Chat(None)}, ""), said, "rse04", "bg")


# --- the words ---------------------------------------------------------------------------------


async def test_the_name_the_place_and_112_stand_there_in_each_language(
    said: tuple[Content, Texts],
) -> None:
    content, texts = said
    for language in content.languages:
        for place in content.places.values():
            svg = await drawn(Posters(texts, BOTH, OURS), said, place.code, language)
            first, second, *rest = words(svg)
            assert first == texts.say(language, "bot.name")
            assert texts.say(language, place.name) in second
            assert rest[-1].endswith(content.facts["TEL-01"].value)


async def test_nobody_reads_there_what_it_is_about(said: tuple[Content, Texts]) -> None:
    content, texts = said
    rules = lint.load_rules()
    others = [fact for fact in content.facts.values() if fact.phone and fact.id != "TEL-01"]
    for language in content.languages:
        told = " ".join(words(await drawn(Posters(texts, BOTH, OURS), said, "rse04", language)))
        assert not [each for each in rules.topic_words[language] if lint.has(each, told)]
        assert not [fact.id for fact in others if fact.value in told]
        assert re.findall(r"\d+", told) == ["112"]


async def test_it_prints_as_one_sheet_of_a4_and_loads_or_does_nothing(
    said: tuple[Content, Texts],
) -> None:
    root = ElementTree.fromstring(await drawn(Posters(said[1], BOTH, OURS), said, "rse33", "tr"))
    assert (root.attrib["width"], root.attrib["height"]) == ("210mm", "297mm")
    assert root.attrib["viewBox"] == "0 0 210 297"
    for each in root.iter():
        assert each.tag.removeprefix(SVG) in {"svg", "g", "path", "rect", "text", "title"}
        assert not [name for name in each.attrib if name == "style" or "href" in name]
        paint = {each.attrib.get(name, "none") for name in ("fill", "stroke")}
        assert paint <= {"none", "#fff", "#000"}


# --- the command -------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def keyboard(tmp_path_factory: pytest.TempPathFactory) -> Keyboard:
    keyboard = QuickKeyboard(tmp_path_factory.mktemp("centre"))
    assert keyboard.types("migrate").status == 0
    return keyboard


def poster(*words: str) -> tuple[str, ...]:
    return ("receptions", "poster", *words)


@pytest.mark.parametrize("code", ["rse04", "RSE04", "07603"])
def test_the_command_draws_one_by_either_code(
    keyboard: Keyboard, said: tuple[Content, Texts], tmp_path: Path, code: str
) -> None:
    out = tmp_path / "byala.svg"
    done = keyboard.types(
        *poster(code, "--language", "tr", "--out", str(out)), PHEN_PUBLIC_URL=OURS
    )
    assert (done.status, done.err) == (0, "")
    assert str(out) in done.out
    svg = out.read_text("utf-8")
    assert words(svg)[0] == said[1].say("tr", "bot.name")
    assert [each.modules for each in codes(svg)] == [modules(f"{OURS}/?start={link_code('rse04')}")]


def test_the_command_says_which_municipalities_and_languages_there_are(
    keyboard: Keyboard, said: tuple[Content, Texts]
) -> None:
    told = keyboard.refused(*poster("Бяла"), PHEN_PUBLIC_URL=OURS)
    assert all(code in told for code in said[0].places)
    told = keyboard.refused(*poster("rse04", "--language", "de"), PHEN_PUBLIC_URL=OURS)
    assert "bg, tr, en" in told
    assert not (keyboard.folder / "poster.svg").exists()


def test_the_command_names_the_setting_without_which_there_is_nothing_to_open(
    keyboard: Keyboard,
) -> None:
    assert "PHEN_PUBLIC_URL" in keyboard.refused(*poster("rse04"))
    assert not (keyboard.folder / "poster.svg").exists()


def test_the_command_names_the_chat_that_it_had_to_leave_out(keyboard: Keyboard) -> None:
    done = keyboard.types(
        *poster("rse04"),
        PHEN_PUBLIC_URL=OURS,
        PHEN_TELEGRAM_TOKEN="1:nobody",
        PHEN_TELEGRAM_API="http://127.0.0.1:9",
    )
    assert done.status == 0
    assert "No code for Telegram" in done.err
    assert len(codes((keyboard.folder / "poster.svg").read_text("utf-8"))) == 1
