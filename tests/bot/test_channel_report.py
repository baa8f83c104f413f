"""What each channel shows of every node: each thing that can be lost is lost once, and named."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from functools import cache
from pathlib import Path

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from bot.channel_report import Fault, Report, Row, report
from bot.channels.viber import LIMITS, ViberChannel
from bot.links import Links
from bot.on_paper import LONGEST_ADDRESS, RECEIVER, OnPaper, channels, noon
from bot.privacy.vault import Vault
from bot.render import render
from bot.texts import open_content
from bot.web.templating import PICTURES
from dialogs import engine
from dialogs.lint import Degradation, Rules, RulesError, load_rules
from dialogs.model import PLACE_SLOT, Position, Tapped
from scheduler.exchange import LONGEST
from scheduler.model import Reception, ReceptionState
from tests.bot.paper import a_shell
from tests.dialogs.small import Small, small

TODAY = date(2026, 11, 22)
EVERYWHERE = ("console", "telegram", "viber", "web")
TAKEN = {"console": ["picture-missing"], "viber": ["stays", "no-edit", "rings", "picture-missing"]}
PHRASES = """\
bot: {name: Дом}
duty:
  now_is: "Има човек: {who}."
  other_language: "Говори {languages}."
  next: "Идва {when}."
  nobody: Сега няма човек. Пиши.
case: {waiting: Викаме човек., answered: Тук е.}
no: {reception: Още няма.}
"""
SVG = '<svg xmlns="http://www.w3.org/2000/svg"><path d="M0 0"/></svg>'
Change = Callable[[dict[str, OnPaper]], None]


@pytest.fixture
def line(tmp_path: Path) -> Small:
    """The small content with the phrases of the shell, and its four pictures."""
    made = small(tmp_path)
    made.add("bot_phrases.yaml", PHRASES)
    made.edit(
        "phrases.yaml", "  today: днес\n", "  today: днес\n  line: '{when} {place} {landmark}'\n"
    )
    made.edit("phrases.yaml", "  today: днес\n", "  today: днес\n  moved: Друг ден.\n")
    made.edit("phrases.yaml", "  today: днес\n", "  today: днес\n  cancelled: Няма да я има.\n")
    made.edit("phrases.yaml", "notice:\n", "notice:\n  out_of_hours: Няма човек. Пиши тук.\n")
    (tmp_path / "pictures").mkdir()
    for name in ("pot", "bell", "paper", "two"):
        (tmp_path / f"pictures/{name}.png").write_bytes(b"png")
        (tmp_path / f"pictures/{name}.svg").write_text(SVG)
    return made


def told(
    line: Small,
    *,
    allowed: dict[str, list[str]] | None = None,
    day: date = TODAY,
    change: Change = lambda on_paper: None,
) -> Report:
    content, texts = open_content(line.root)
    on_paper = channels(texts, day, line.root / "pictures")
    change(on_paper)
    taken = TAKEN if allowed is None else allowed
    return report(content, texts, day, on_paper, rules(taken))


def rules(allowed: dict[str, list[str]]) -> Rules:
    return load_rules().model_copy(update={"channels": allowed})


def faults(line: Small, code: str, **other: object) -> list[Fault]:
    """The errors of that code; there are no others."""
    found = told(line, **other).faults  # type: ignore[arg-type]
    assert {fault.code for fault in found} == {code}, [str(fault) for fault in found]
    return list(found)


def places(found: list[Fault]) -> set[tuple[str, str]]:
    return {(fault.node, fault.channel) for fault in found}


def row(found: Report, node: str, channel: str, language: str = "bg") -> Row:
    (one,) = (
        each
        for each in found.rows
        if (each.node, each.channel, each.language) == (node, channel, language)
    )
    return one


def shown(found: Report, channel: str) -> set[str]:
    return {each.node for each in found.rows if each.channel == channel and each.limit}


def limited(channel: str, **limits: int) -> Change:
    """That channel with less room."""

    def change(on_paper: dict[str, OnPaper]) -> None:
        paper = on_paper[channel]
        on_paper[channel] = replace(paper, limits=replace(paper.limits, **limits))  # type: ignore[arg-type]

    return change


# --- the real content ----------------------------------------------------------------------------


@cache
def real() -> Report:
    content, texts = open_content()
    on_paper = channels(texts, TODAY, PICTURES)
    return report(content, texts, TODAY, on_paper, load_rules(channels=on_paper))


def test_the_real_content_loses_nothing_that_it_does_not_allow() -> None:
    assert [str(fault) for fault in real().faults] == []


def test_every_node_stands_in_the_report_on_every_channel_in_every_language() -> None:
    content, _ = open_content()
    found = real()
    wanted = [(n, c, lang) for n in content.nodes for c in EVERYWHERE for lang in content.languages]
    assert [(each.node, each.channel, each.language) for each in found.rows] == wanted
    lines = list(found.lines())
    assert [line.split()[:2] for line in lines] == [
        [n, c] for n in content.nodes for c in EVERYWHERE
    ]
    assert max(map(len, lines)) < 160


async def test_the_longest_dates_are_as_long_as_the_line_itself_makes_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    at = datetime(2027, 9, 13, 8, tzinfo=UTC)  # Monday and September have long names
    longest = [
        Reception(
            id=f"r{n}", municipality="rse27", start=at, end=at + timedelta(hours=4),
            place="м" * LONGEST["place"], landmark="м" * LONGEST["landmark"],
            state=ReceptionState.MOVED,
        )
        for n in range(4)
    ]  # fmt: skip
    async with a_shell(tmp_path, monkeypatch) as shell:
        await shell.phen.store.save_receptions(longest)
        await shell.done(Tapped(Position("bg", "meet_dates").with_answer(PLACE_SLOT, "rse27")))
        said = len(shell.chat[-1])
    assert said == row(real(), "meet_dates", "telegram").characters


# --- each thing that can be lost -----------------------------------------------------------------


def test_the_small_content_loses_nothing(line: Small) -> None:
    assert [str(fault) for fault in told(line).faults] == []


def test_a_text_that_is_cut(line: Small) -> None:
    at = line.edit("topics/order.yaml", "Можеш да поискаш защита сега.", "м" * 1025)
    (cut,) = faults(line, "text-cut")
    assert str(cut) == (
        f"dialogs/topics/order.yaml:{at - 1}: order_now telegram:"
        " the text has 1025 characters of 1024; shorten it (text-cut)"
    )


def test_a_text_that_just_fits_is_not_cut(line: Small) -> None:
    line.edit("topics/order.yaml", "Можеш да поискаш защита сега.", "м" * 1024)
    found = told(line)
    assert found.faults == ()
    assert row(found, "order_now", "telegram").characters == 1024
    line.edit("topics/order.yaml", "м" * 1024, "м" * 1025)
    assert places(faults(line, "text-cut")) == {("order_now", "telegram")}


def test_a_translation_that_is_cut_is_told_with_its_language(line: Small) -> None:
    line.translate("tr", {"order_late.text": "ş" * 1025})
    (cut,) = faults(line, "text-cut")
    assert (cut.node, cut.channel, cut.language) == ("order_late", "telegram", "tr")
    assert ": order_late [tr] telegram: " in str(cut)
    assert "1025 of 1024 (tr)" in next(
        each for each in told(line).lines() if each.startswith("order_late ") and "telegram" in each
    )


@pytest.mark.parametrize("old", ["Има човек: ", "Идва ", "Говори ", "Сега няма човек. Пиши."])
def test_the_longest_of_what_the_shell_may_add_counts(line: Small, old: str) -> None:
    line.edit("bot_phrases.yaml", old, "м" * 1024)
    assert places(faults(line, "text-cut")) >= {("talk", "telegram"), ("case", "telegram")}


@pytest.mark.parametrize("old", ["Викаме човек.", "Тук е.", "Няма човек. Пиши тук."])
def test_the_longest_of_what_is_said_of_a_case_counts(line: Small, old: str) -> None:
    file = "phrases.yaml" if "тук" in old else "bot_phrases.yaml"
    line.edit(file, old, "м" * 1024)
    assert places(faults(line, "text-cut")) == {("case", "telegram")}


def test_a_label_that_is_cut(line: Small) -> None:
    line.edit("topics/order.yaml", "Какво да взема", "м" * 65)
    cut = faults(line, "label-cut")
    assert places(cut) == {("order", "telegram"), ("order", "web")}
    assert f"more than 64 characters on a button ('2. {'м' * 65}')" in str(cut[0])


def test_a_tick_needs_room_in_the_label(line: Small) -> None:
    line.edit("topics/order.yaml", "Лична карта", "м" * (64 - len("1. ☑ ")))
    assert told(line).faults == ()
    line.edit("topics/order.yaml", "мм", "ммм")
    assert places(faults(line, "label-cut")) == {("bag", "telegram"), ("bag", "web")}


def test_a_label_that_viber_cuts_for_its_own_signs(line: Small) -> None:
    line.edit("topics/order.yaml", "Какво да взема", '"' + "<" * 60 + "&" + '"')
    assert told(line).faults == ()
    line.edit("topics/order.yaml", "<" * 60, "<" * 64)
    assert ("order", "viber") in places(faults(line, "label-cut"))


def test_a_mark_that_is_too_long(line: Small) -> None:
    line.edit("phrases.yaml", "hide: Скрий", f"hide: {'м' * 81}")
    assert {channel for _, channel in places(faults(line, "label-cut"))} == {
        "console", "telegram", "web",
    }  # fmt: skip


def test_the_label_of_a_later_page_of_a_long_list(line: Small) -> None:
    line.append("places.yaml", "".join(PLACE.format(n=n) for n in range(4)))
    line.append("places.yaml", PLACE.format(n=5).replace("Село 5", "м" * 70))
    asking = {(node, channel) for node in ("meet", "remind") for channel in ("telegram", "web")}
    assert places(faults(line, "label-cut")) == asking


PLACE = '- {{code: rse9{n}, ekatte: "9999{n}", name: Село {n}}}\n'


def test_the_longest_name_that_can_be_offered(line: Small) -> None:
    line.edit("topics/danger.yaml", "name: Спешна помощ", f"name: {'м' * 70}")
    assert places(faults(line, "label-cut")) == {("suggest", "telegram"), ("suggest", "web")}


@pytest.mark.parametrize("channel", ["telegram", "viber"])
def test_more_buttons_than_there_is_room_for(line: Small, channel: str) -> None:
    line.edit("topics/talk.yaml", "      - say: Първо село\n        go: meet\n", "")
    found = faults(line, "too-many-buttons", change=limited(channel, buttons=2))
    assert ("bag", channel) in places(found)
    assert ("order", channel) not in places(found)  # has two choices
    (bag,) = (fault for fault in found if fault.node == "bag")
    assert "3 choices of 2" in bag.message


def test_a_payload_that_is_too_long(line: Small) -> None:
    letters = "abcfhi"
    line.append("topics/order.yaml", "".join(
        f"  - id: order_question_number_{a}\n    kind: question\n    slot: {a}\n    text: Да?\n"
        f"    choices:\n      - {{say: Да, value: abcdefgh, go: order_question_number_{b}}}\n"
        for a, b in zip(letters, letters[1:] + letters[0], strict=True)
    ))  # fmt: skip
    line.edit("topics/order.yaml", "go: order_late\n", "go: order_question_number_a\n")
    found = faults(line, "payload-too-long")
    assert {("order_question_number_a", channel) for channel in EVERYWHERE} <= places(found)


def test_a_payload_that_only_one_channel_has_no_room_for(line: Small) -> None:
    found = faults(line, "payload-too-long", change=limited("console", payload=20))
    assert {fault.channel for fault in found} == {"console"}
    assert ("order_when", "console") in places(found)
    assert ("danger", "console") not in places(found)


def test_a_call_that_is_too_large(line: Small) -> None:
    def change(on_paper: dict[str, OnPaper]) -> None:
        on_paper["viber"] = replace(on_paper["viber"], size=2_600)

    line.edit("topics/order.yaml", "Можеш да поискаш защита сега.", "м" * 1020)
    found = faults(line, "request-too-large", change=change)
    assert places(found) == {("order_now", "viber")}
    assert told(line).faults == ()


async def test_the_size_is_that_of_the_call_which_viber_gets() -> None:
    content, texts = open_content()
    links = Links(Vault(bytes(32), Path()), LONGEST_ADDRESS, (PICTURES,), lambda: noon(TODAY))
    shown = engine.screen(content, Position("bg", "gate_lasting"))
    message = render(shown, texts, LIMITS, noon(TODAY), page=links.page)
    name = {"bg": texts.say("bg", "bot.name")}
    async with listening() as (address, bodies):
        channel = ViberChannel("token", address, name, links, "", lambda: noon(TODAY))
        await channel.show(RECEIVER, message, None)
        await channel.close()
    (body,) = bodies
    assert channels(texts, TODAY, PICTURES)["viber"].put(message).size == len(body)


@asynccontextmanager
async def listening() -> AsyncIterator[tuple[str, list[bytes]]]:
    """Something that takes every call and keeps what it held."""
    bodies: list[bytes] = []

    async def take(request: web.Request) -> web.Response:
        bodies.append(await request.read())
        return web.json_response({"status": 0, "message_token": 1})

    app = web.Application()
    app.router.add_post("/pa/send_message", take)
    async with TestServer(app) as server:
        yield str(server.make_url("")), bodies


@pytest.mark.parametrize(
    ("file", "channels_"), [("bell.png", {"telegram", "viber"}), ("bell.svg", {"web"})]
)
def test_a_picture_that_is_not_drawn(line: Small, file: str, channels_: set[str]) -> None:
    (line.root / "pictures" / file).unlink()
    allowed = {**TAKEN, "viber": ["stays", "no-edit", "rings"]}
    found = [f for f in faults(line, "picture-missing", allowed=allowed) if f.node == "danger"]
    assert {fault.channel for fault in found} == channels_
    assert "'bell'" in str(found[0])


def test_a_channel_without_pictures(line: Small) -> None:
    found = faults(line, "picture-missing", allowed={**TAKEN, "console": []})
    screens = shown(told(line), "console")
    assert places(found) == {(node, "console") for node in screens}


def test_on_viber_a_picture_needs_choices_to_stand_beside(line: Small) -> None:
    found = faults(
        line, "picture-missing", allowed={**TAKEN, "viber": ["stays", "no-edit", "rings"]}
    )
    assert ("order_now", "viber") in places(found)
    assert ("order", "viber") not in places(found)


@pytest.mark.parametrize("code", ["stays", "no-edit", "rings"])
def test_what_viber_never_can(line: Small, code: str) -> None:
    others = [each for each in TAKEN["viber"] if each != code]
    found = faults(line, code, allowed={**TAKEN, "viber": others})
    screens = shown(told(line), "viber")
    assert places(found) == {(node, "viber") for node in screens}
    assert all(fault.language is None for fault in found)


def test_what_is_asked_about_ringing_is_passed_where_nothing_rings(line: Small) -> None:
    line.asks_whether_to_ring()
    found = told(line)
    shown_on = {each for each in EVERYWHERE if "ring" in shown(found, each)}
    assert shown_on == {"telegram", "viber"}


def test_a_node_that_cannot_be_put_together(line: Small) -> None:
    line.edit("bot_phrases.yaml", "duty:", "dooty:")
    found = faults(line, "not-shown")
    assert places(found) == {(n, channel) for n in ("talk", "case") for channel in EVERYWHERE}
    assert "duty.nobody" in str(found[0])


def test_every_code_is_provoked_here() -> None:
    text = Path(__file__).read_text("utf-8")
    assert [code for code in Degradation if f'"{code}"' not in text] == []


# --- what is said and is no error ----------------------------------------------------------------


def test_what_is_allowed_is_said_and_is_no_error(line: Small) -> None:
    found = told(line)
    assert row(found, "order", "viber").lacks.keys() == {"stays", "no-edit", "rings"}
    (said,) = (each for each in found.lines() if each.split()[:2] == ["order", "viber"])
    assert said.endswith("allowed stays no-edit rings")
    (said,) = (
        each for each in told(line, allowed={}).lines() if each.split()[:2] == ["order", "viber"]
    )
    assert said.endswith("stays NOT ALLOWED, no-edit NOT ALLOWED, rings NOT ALLOWED")


def test_what_is_said_of_lasting_chats_is_passed_elsewhere(line: Small) -> None:
    line.in_lasting_chats()
    found = told(line)
    assert found.faults == ()
    assert row(found, "keeps", "viber").shows == "screen"
    for channel in ("console", "telegram", "web"):
        passed = row(found, "keeps", channel)
        assert (passed.shows, passed.instead, passed.lacks) == ("passed", "hiding", {})
    assert "keeps                    telegram passed: hiding comes" in found.lines()


def test_other_words_in_a_lasting_chat(line: Small) -> None:
    line.in_lasting_chats()
    found = told(line)
    other = {each.channel for each in found.rows if each.other_words}
    assert other == {"viber"}
    assert row(found, "hiding", "viber").characters == len("Скрий слага рецепта отдолу.")
    assert row(found, "hiding", "web").characters == len("Скрий маха всичко от чата.")


def test_hide_puts_its_covers_into_a_lasting_chat_and_shows_nothing_elsewhere(line: Small) -> None:
    line.in_lasting_chats()
    found = told(line)
    hidden = row(found, "hide", "viber")
    covers = ["Още една супа.", "Супа от леща за четирима.", "Вари се 30 мин."]
    assert (hidden.shows, hidden.instead) == ("screen", "start")
    assert hidden.characters == len("\n\n".join(covers))
    assert row(found, "hide", "web").shows == "door"


def test_a_page_whose_fact_has_run_out(line: Small) -> None:
    found = told(line, day=date(2027, 3, 1))
    assert row(found, "order", "web").instead == "fact_expired"
    assert row(told(line), "order", "web").instead is None


def test_choices_and_marks_are_counted(line: Small) -> None:
    bag = row(told(line), "bag", "telegram")
    assert (bag.choices, bag.marks, bag.picture, bag.limit) == (3, 4, "paper", 1024)
    start = row(told(line), "start", "telegram")
    assert (start.choices, start.marks) == (1, 0)


def test_for_machines_it_is_json_with_everything(line: Small) -> None:
    line.edit("topics/order.yaml", "Можеш да поискаш защита сега.", "м" * 1025)
    found = told(line)
    read = json.loads(json.dumps(found.for_machines()))
    assert read["allowed"] == TAKEN
    assert len(read["rows"]) == len(found.rows)
    cut = next(r for r in read["rows"] if (r["node"], r["channel"]) == ("order_now", "telegram"))
    assert cut["lacks"] == {"text-cut": "the text has 1025 characters of 1024; shorten it"}
    assert cut.keys() == {
        "node", "channel", "language", "shows", "instead", "characters", "limit", "choices",
        "marks", "picture", "size", "other_words", "lacks",
    }  # fmt: skip
    (fault,) = read["faults"]
    assert fault.keys() == {"file", "line", "node", "language", "channel", "message", "code"}
    assert (fault["node"], fault["channel"], fault["code"]) == ("order_now", "telegram", "text-cut")
    assert found.summary.endswith(": 1 degradations that are not allowed")


# --- lint.yaml -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("listed", "at", "said"),
    [
        ("  vibre: [stays]", 2, "unknown channel 'vibre', did you mean 'viber'?"),
        ("  fax: [stays]", 2, "unknown channel 'fax', take one of console, telegram, viber, web"),
        ("  viber:\n    - no-edit\n    - stay", 4, "unknown code 'stay', did you mean 'stays'?"),
        ("  web: [trills]", 2, "unknown code 'trills', take one of text-cut, "),
        ("  web: stays", 2, "must be a list"),
    ],
)
def test_a_wrong_name_in_the_rules_is_told_with_its_line(
    tmp_path: Path, listed: str, at: int, said: str
) -> None:
    path = tmp_path / "lint.yaml"
    rest = load_rules().model_dump(mode="json", exclude={"channels"})
    path.write_text(f"channels:\n{listed}\n{_yaml(rest)}", encoding="utf-8")
    with pytest.raises(RulesError) as wrong:
        load_rules(path, channels=EVERYWHERE)
    assert f"lint.yaml:{at}: " in str(wrong.value)
    assert said in str(wrong.value)


def _yaml(data: dict[str, object]) -> str:
    return "".join(f"{key}: {json.dumps(value)}\n" for key, value in data.items())
