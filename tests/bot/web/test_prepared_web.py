"""The prepared answers as the team's browser meets them, without a script."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from bot.storage.records import Prepared, Role
from bot.texts import open_content
from bot.web.prepared import STARTER
from dialogs import lint
from tests.bot.desk import Centre, a_centre
from tests.bot.web.test_desk_web import Browser, browser

HOME = "/staff/prepared"
NEW = f"{HOME}/new"
GOOD = {"language": "bg", "shortcut": "поздрав", "text": "Здравей. Тук съм."}


@pytest.fixture
async def centre(tmp_path: Path) -> AsyncIterator[Centre]:
    async with a_centre(tmp_path) as made:
        yield made


@pytest.fixture
async def ivan(centre: Centre) -> AsyncIterator[Browser]:
    """Somebody of the team."""
    async with browser(centre, await centre.session_of("ivan", [Role.STAFF])) as made:
        yield made


async def kept(centre: Centre) -> list[tuple[str, str, str]]:
    return [(each.language, each.shortcut, each.text) for each in await centre.store.prepared()]


async def test_an_answer_is_added_changed_and_deleted(centre: Centre, ivan: Browser) -> None:
    await ivan.get(NEW)
    await ivan.submit(NEW, **GOOD)
    assert "Отговорът е запазен" in ivan.text
    assert "/поздрав Здравей. Тук съм." in ivan.text
    at = f"{HOME}/{(await centre.store.prepared())[0].id}"
    await ivan.get(at)
    assert "Здравей. Тук съм." in ivan.page
    await ivan.submit(at, **GOOD | {"text": "Здравей.\r\n\r\nПиши спокойно."})
    assert await kept(centre) == [("bg", "поздрав", "Здравей.\n\nПиши спокойно.")]
    await ivan.get(at)
    await ivan.submit(f"{at}/delete")
    assert "изтрит" in ivan.text
    assert await kept(centre) == []
    await ivan.get(at)
    assert ivan.status == 404


async def test_a_shortcut_is_kept_small_and_without_its_stroke(
    centre: Centre, ivan: Browser
) -> None:
    await ivan.get(NEW)
    await ivan.submit(NEW, **GOOD | {"shortcut": " /Поздра\u0432\u0438\u0306 "})
    assert [each.shortcut for each in await centre.store.prepared()] == ["поздравй"]


@pytest.mark.parametrize(
    ("wrong", "field", "told"),
    [
        ({"language": "xx"}, "language", "Избери език"),
        ({"shortcut": "а"}, "shortcut", "от 2 до 24"),
        ({"shortcut": "а" * 25}, "shortcut", "от 2 до 24"),
        ({"shortcut": "два пъти"}, "shortcut", "от 2 до 24"),
        ({"shortcut": "а_б"}, "shortcut", "от 2 до 24"),
        ({"text": " \r\n "}, "text", "Напиши текста"),
        ({"text": "а" * 1001}, "text", "до 1000 знака"),
    ],
)
async def test_each_mistake_is_named_at_its_field(
    centre: Centre, ivan: Browser, wrong: dict[str, str], field: str, told: str
) -> None:
    await ivan.get(NEW)
    await ivan.submit(NEW, **GOOD | wrong)
    assert ivan.status == 422
    found = re.search(rf'id="{field}-wrong">([^<]+)<', ivan.page)
    assert found
    assert told in found[1]
    assert await kept(centre) == []


async def test_one_language_has_a_shortcut_once(centre: Centre, ivan: Browser) -> None:
    await centre.store.save_prepared(Prepared("", "bg", "поздрав", "Здравей."))
    await ivan.get(NEW)
    await ivan.submit(NEW, **GOOD)
    assert ivan.status == 422
    assert "вече има такова кратко име" in ivan.text
    assert GOOD["text"] in ivan.page
    await ivan.submit(NEW, **GOOD | {"language": "tr", "text": "Merhaba."})
    assert len(await kept(centre)) == 2


@pytest.mark.parametrize(
    ("language", "text", "phrase"),
    [
        ("bg", "Ще те защитим.", "Ще те защитим"),
        ("bg", "Тук съм. Не е по твоя вина, а той е насилник.", "насилник"),
        ("tr", "Onu terk et.", "Onu terk et"),
        ("en", "You are safe.", "You are safe"),
        ("bg", "Кризисен център има и в Русе.", "Кризисен център"),
    ],
)
async def test_what_the_line_never_says_is_asked_about_once(
    centre: Centre, ivan: Browser, language: str, text: str, phrase: str
) -> None:
    await ivan.get(NEW)
    await ivan.submit(NEW, **GOOD | {"language": language, "text": text})
    assert ivan.status == 422
    assert f"„{phrase}“" in ivan.text
    assert text in ivan.page
    assert await kept(centre) == []
    await ivan.submit(NEW, **GOOD | {"language": language, "text": text})
    assert await kept(centre) == [(language, "поздрав", text)]


async def test_the_forbidden_phrases_are_those_of_its_own_language(
    centre: Centre, ivan: Browser
) -> None:
    await ivan.get(NEW)
    await ivan.submit(NEW, **GOOD | {"language": "en", "text": "трябва"})
    assert ivan.status == 200
    assert len(await kept(centre)) == 1


async def test_an_empty_desk_is_filled_with_the_samples_and_no_other(
    centre: Centre, ivan: Browser
) -> None:
    await ivan.get(HOME)
    form = ivan.fields(f"{HOME}/starter")
    await ivan.submit(f"{HOME}/starter")
    assert "Примерните отговори са сложени" in ivan.text
    samples = await kept(centre)
    assert {language for language, _, _ in samples} == {"bg", "tr", "en"}
    assert ("bg", "112", "Ако е спешно сега, първо се обади на 112. Тук съм.") in samples
    assert len(samples) == 18
    first = next(each for each in await centre.store.prepared() if each.shortcut == "поздрав")
    await centre.store.delete_prepared(first.id)
    await ivan.post(f"{HOME}/starter", **form)
    assert len(await kept(centre)) == 17


def test_every_sample_has_a_shortcut_and_nothing_that_is_never_said() -> None:
    content, texts = open_content()
    rules = lint.load_rules()
    names = [each for each in content.texts if each.startswith(STARTER)]
    assert names
    for name in names:
        assert f"staff.starter.{name.removeprefix(STARTER)}" in texts
        for language in content.languages:
            text = texts.say(language, name)
            assert texts.translated(language, name) is not None, (language, name)
            assert not [each for each in rules.forbidden[language] if lint.has(each, text)]


async def test_markup_in_an_answer_is_only_text(centre: Centre, ivan: Browser) -> None:
    await ivan.get(NEW)
    await ivan.submit(NEW, **GOOD | {"text": "<b>Здравей</b> {{ 7*7 }}"})
    assert "&lt;b&gt;Здравей" in ivan.page
    assert "{{ 7*7 }}" in ivan.text


async def test_consultants_do_not_change_prepared_answers(centre: Centre) -> None:
    old = await centre.store.save_prepared(Prepared("", **GOOD))
    async with browser(centre, await centre.session_of("maria")) as maria:
        await maria.get(HOME)
        assert maria.status == 403
        token = maria.fields("/logout")
        for path in (NEW, f"{HOME}/{old.id}", f"{HOME}/{old.id}/delete", f"{HOME}/starter"):
            await maria.post(path, **token, **GOOD | {"text": "Друго."})
            assert maria.status == 403
    assert await centre.store.prepared() == [old]
