"""What she types is understood in any spelling, and ordinary sentences raise no alarm."""

from __future__ import annotations

import dataclasses
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.texts import open_content
from dialogs import match
from dialogs.load import load
from dialogs.model import Content
from tests.dialogs.small import small


@pytest.fixture(scope="module")
def content(tmp_path_factory: pytest.TempPathFactory) -> Content:
    loaded = load(small(tmp_path_factory.mktemp("line")).dialogs)
    return dataclasses.replace(loaded, words={"tr": {"danger": ("acil", "polis")}})


@pytest.fixture(scope="module")
def real() -> Content:
    return open_content()[0]


@pytest.mark.parametrize(
    ("cyrillic", "latin"),
    [
        ("помощ", "pomo6t"),
        ("помощ", "pomosht"),
        ("чакам", "4akam"),
        ("шапка", "6apka"),
        ("жена", "jena"),
        ("жена", "zhena"),
        ("яд", "qd"),
        ("вода", "woda"),
        ("хора", "xora"),
        ("Цена", "tsena"),
        ("юли", "yuli"),
        ("мой", "moy"),
        ("ПОМООООЩ", "помощ"),
        ("\u202eпо\u200bмощ\ufeff", "помощ"),
        ("şiddet", "siddet"),
        ("YARDIM", "yardım"),
        ("İmdat", "imdat"),
    ],
)
def test_every_spelling_becomes_the_same(cyrillic: str, latin: str) -> None:
    assert match.normalise(cyrillic) == match.normalise(latin)


def test_numbers_stay_numbers() -> None:
    assert match.normalise("в 4 часа, 112 и 66!") == "v 4 chasa 112 i 66"


@pytest.mark.parametrize(
    "text",
    ["рецепта", "Рецепта!", "recepta", "рецепа", "рецетпа", "çorba", "corba", "СУПА", "recipe"],
)
def test_the_safe_word_hides_also_when_mistyped(content: Content, text: str) -> None:
    assert match.is_safe_word(content, text)


@pytest.mark.parametrize(
    "text", ["", "!", "дай ми рецепта за супа", "лупа", "полиция", "суп", "рецензии", "9"]
)
def test_other_messages_do_not_hide(content: Content, text: str) -> None:
    assert not match.is_safe_word(content, text)


@pytest.mark.parametrize(
    "text",
    ["стоп", "СТОП!", "stop", "/stop", "спри", "spri.", "спрете", "спри съобщенията",
     "spri saobshteniqta", "не ми пишете повече", "ne mi pi6ete pove4e", "dur", "durdur", "DURDUR!",
     "mesajlari durdur", "artik yazma", "bana yazmayin", "unsubscribe"],
)  # fmt: skip
def test_a_stop_word_is_known_in_any_language_and_spelling(real: Content, text: str) -> None:
    assert match.is_stop_word(real, text)


@pytest.mark.parametrize(
    "text",
    ["", "!", "сто", "стол", "топ", "той не спира", "стоп линия за помощ", "не пише", "спирка",
     "bana yaz", "bana yazın", "artık yaz", "mesajları durdurma", "subscribe", "resubscribe",
     "more messages", "пиши повече", "дума", "dürüst", "yazdım", "не спирам да плача", "помощ",
     "мусака"],
)  # fmt: skip
def test_other_messages_stop_nothing(real: Content, text: str) -> None:
    assert not match.is_stop_word(real, text)


@pytest.mark.parametrize(
    "text",
    [
        "помощ",
        "pomo6t",
        "Моля ви, ПОМОООЩ!!!",
        "той ме бие пак",
        "bie me",
        "6te me ubie",
        "той има нож в ръката",
        "beni dovuyor",
        "BENİ DÖVÜYOR",
        "yardim edin",
        "please help me",
        "he has a knfie",
        "не знам какво да правя\nпомощ",
    ],
)
def test_danger_is_heard_in_any_language_and_spelling(content: Content, text: str) -> None:
    assert match.is_danger(content, text)


ORDINARY = [
    "кога е следващата приемна",
    "има ли приемна в Бяла този месец",
    "искам да питам за децата",
    "какво е заповед за защита",
    "добър ден как сте",
    "благодаря много",
    "вие ме питате за адреса",
    "мъжът ми чете телефона",
    "пие много и вика",
    "имаме крава",
    "kolko struva advokat",
    "dobar den iskam da popitam",
    "iyi günler",
    "her gün geliyor musunuz",
    "güzel bir gün",
    "ne zaman geliyorsunuz",
    "çocuklarım var",
    "mahkeme nerede",
    "how do I get there",
    "when is the next meeting",
    "he reads my phone",
    "",
    "👍",
    "112",
]


@pytest.mark.parametrize("text", ORDINARY)
def test_an_ordinary_sentence_raises_no_alarm(content: Content, real: Content, text: str) -> None:
    assert not match.is_danger(content, text)
    assert not match.is_danger(real, text)
    assert not match.is_safe_word(real, text)


@pytest.mark.parametrize(
    "text", ["помощ", "toi me bie", "6te me ubie", "beni dövüyor", "he has a knife"]
)
def test_the_real_content_hears_danger(real: Content, text: str) -> None:
    assert match.is_danger(real, text)


def test_what_she_means_is_found_by_its_words(content: Content) -> None:
    assert match.nearest(content, "Какво е заповедта?") == ["order"]
    assert match.nearest(content, "imam nujda ot zapoved") == ["order"]
    assert match.nearest(content, "искам разговор със съда") == ["talk", "order"]
    assert match.nearest(content, "polise gitmek: polis") == ["danger"]
    assert match.nearest(content, "времето е хубаво") == []
    assert match.nearest(content, "заповед, човек, полиция", limit=2) == ["danger", "order"]


def test_words_of_another_language_count_only_where_they_are_given(content: Content) -> None:
    assert match.nearest(dataclasses.replace(content, words={}), "acil") == []


@pytest.mark.parametrize(
    "rubbish",
    ["аб вг " * 40_000, "x" * 200_000, "\u202e" * 200_000, "\ufdfa" * 200_000, "бие " * 50_000],
    ids=["words", "one word", "invisible", "growing", "repeated"],
)
def test_200_kb_of_rubbish_take_no_time(real: Content, rubbish: str) -> None:
    start = time.thread_time()
    match.is_safe_word(real, rubbish)
    match.is_danger(real, rubbish)
    assert len(match.nearest(real, rubbish)) <= 3
    assert time.thread_time() - start < 1


def test_nothing_that_she_typed_is_kept(content: Content) -> None:
    known = match._known.cache_info().currsize
    match.nearest(content, "нещо съвсем лично")
    match.is_danger(content, "нещо съвсем лично")
    match.is_safe_word(content, "нещо съвсем лично")
    assert match._known.cache_info().currsize >= known
    before = match._known.cache_info().currsize
    match.is_danger(content, "друго лично")
    assert match._known.cache_info().currsize == before


TEXTS = st.text(st.characters(exclude_categories=()), max_size=200)


@given(TEXTS)
def test_no_text_raises(text: str) -> None:
    content = _small_content()
    match.is_safe_word(content, text)
    match.is_danger(content, text)
    assert set(match.nearest(content, text)) <= set(content.nodes)
    assert set(match.normalise(text)) <= set("abcdefghijklmnopqrstuvwxyz0123456789 ")


@given(st.sampled_from(["помощ", "beni dövüyor", "help me"]), TEXTS, TEXTS)
def test_danger_is_heard_whatever_stands_around_it(phrase: str, before: str, after: str) -> None:
    assert match.is_danger(_small_content(), f"{before}\n{phrase}\n{after}")


_KEPT: list[Content] = []


def _small_content() -> Content:
    if not _KEPT:
        import tempfile

        with tempfile.TemporaryDirectory() as folder:
            _KEPT.append(load(small(Path(folder)).dialogs))
    return _KEPT[0]
