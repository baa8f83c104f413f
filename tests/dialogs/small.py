"""A tiny line of help, whole and without mistakes: what the tests of the content break."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from textwrap import dedent

START = """\
topic: start
title: Начало
picture: pot
nodes:
  - id: start
    kind: cover
    text: |
      Супа от леща за четирима.

      Вари се 30 мин.
    choices:
      - say: За мен
        go: language
  - id: language
    kind: languages
    text: Избери език.
    go: alone
  - id: alone
    text: Можеш ли да четеш сега?
    choices:
      - say: Да
        go: enter
      - say: Не сега
        go: start
  - id: enter
    kind: arrive
    go: home
  - id: reminder
    kind: cover
    text: Има нещо за теб.
    choices:
      - {say: Виж, go: start}
      - {say: Спри съобщенията, go: remind_stop}
      - {say: Спешно, go: danger}
  - id: remind_stop
    kind: stop_reminders
    go: remind_stopped
  - id: remind_stopped
    kind: cover
    text: Готово.
    choices:
      - {say: Спешно, go: danger}
  - id: remind_not_stopped
    kind: cover
    text: Сега не се получи.
    choices:
      - {say: Опитай пак, go: remind_stop}
      - {say: Спешно, go: danger}
  - id: home
    kind: menu
    text: С какво да започнем?
    choices:
      - say: Говоря с човек
        go: talk
"""
KEEPS = """\
  - id: keeps
    kind: lasting
    go: hiding
    text: Този чат пази всичко.
    choices:
      - say: Ще чета на страница
        go: hiding
        on_page: true
      - say: Ще чета тук
        go: hiding
  - id: hiding
    text: Скрий маха всичко от чата.
    lasting_text: Скрий слага рецепта отдолу.
    choices:
      - say: Разбрах
        go: enter
  - id: soup
    kind: cover
    text: Още една супа.
    choices:
      - say: Спешно 112
        go: danger
"""
RECIPE_CHOICE = """\
        go: language
      - say: Рецепта
        go: soup
"""
DANGER = """\
topic: danger
title: Спешна помощ
picture: bell
nodes:
  - id: danger
    text: |
      Обади се на {TEL-01}.

      Отговарят по всяко време.
    name: Спешна помощ
    words: [спешно, полиция]
    choices:
      - say: Говоря с човек
        go: talk
  - id: hide
    kind: hide
"""
ORDER = """\
topic: order
title: Защита от съда
picture: paper
entry:
  menu: home
  say: Съдът помага
  go: order
  order: 10
nodes:
  - id: order
    text: |
      Съдът може да помогне. Имаш {LAW-17} месеца.
    facts: [LAW-20]
    name: Заповед за защита
    words: [заповед, съд]
    choices:
      - say: Кога беше?
        go: order_when
      - say: Какво да взема
        go: bag
  - id: order_when
    kind: question
    slot: w
    text: Кога беше последният път?
    choices:
      - say: Скоро
        value: s
        go: order_result
      - say: Отдавна
        value: l
        go: order_result
  - id: order_result
    kind: result
    cases:
      - when: {w: s}
        go: order_now
      - go: order_late
  - id: order_now
    text: Можеш да поискаш защита сега.
  - id: order_late
    text: Питай ни. Може да има друг път.
    back: order
  - id: bag
    kind: checklist
    slot: b
    text: Отбележи каквото имаш.
    items: {card: Лична карта, keys: Ключове}
    choices:
      - say: Готово
        go: order
"""
TALK = """\
topic: talk
title: Разговор с човек
picture: two
nodes:
  - id: talk
    text: Човек ще ти пише тук.
    fill: duty
    name: Говоря с човек
    words: [човек, разговор]
    choices:
      - say: Да, искам
        go: talk_open
      - say: Първо село
        go: meet
      - say: Изтрий всичко
        go: forget
  - id: talk_open
    kind: open_case
    go: case
  - id: case
    kind: case
    text: Повикахме човек.
    choices:
      - say: Край на разговора
        go: case_end
  - id: case_end
    kind: end_case
    go: home
  - id: forget
    kind: forget
    go: home
  - id: meet
    kind: places
    text: Избери община.
    go: meet_when
  - id: meet_when
    kind: receptions
    text: Тук сме скоро.
  - id: remind
    kind: places
    text: За коя община да ти напомня?
    go: remind_hours
  - id: remind_hours
    kind: remind
    slot: q
    text: В кои часове да пиша?
    go: remind_not_here
    choices:
      - {say: Сутрин, value: am, go: remind_words}
  - id: remind_words
    kind: remind
    slot: c
    text: С какви думи да пиша?
    go: remind_not_here
    choices:
      - {say: Ден и час, value: when, go: remind_set}
      - {say: Съвет за дома, value: a, go: remind_set}
      - {say: Нищо, value: none, go: remind_set}
  - id: remind_set
    kind: set_reminder
    go: remind_mine
  - id: remind_mine
    text: За това ти напомням.
    fill: reminders
    choices:
      - {say: И следващия път, go: remind_renew}
      - {say: Друга община, go: remind}
      - {say: Спри, go: remind_stop}
  - id: remind_renew
    kind: renew_reminder
    go: remind_mine
  - id: remind_none
    text: Не ти напомням за нищо.
    choices:
      - {say: Напомни ми, go: remind}
  - id: remind_not_here
    text: Тази страница не може да пише.
"""
STATES = """\
topic: states
title: Състояния
picture: pot
nodes:
  - id: not_understood
    text: Не разбрах. Избери с бутон.
  - id: not_understood_again
    text: Още не разбирам. Човек ще разбере.
    choices:
      - say: Говоря с човек
        go: talk
  - id: suggest
    kind: suggest
    text: Може би търсиш това.
  - id: got_photo
    text: Снимката не е отворена.
  - id: got_voice
    text: Гласът не е чут.
  - id: got_contact
    text: Номерът не е записан.
  - id: got_other
    text: Това не мога да го отворя.
  - id: fact_expired
    text: Тази страница чака проверка. Обади се на {TEL-01}.
  - id: error
    text: Грешката е наша. Опитай пак.
  - id: case_ended
    text: Разговорът приключи.
  - id: no_receptions
    text: Още няма дата.
  - id: stopped
    kind: cover
    text: |
      Сега не работи.

      Спешно: {TEL-01}
  - id: blocked
    text: Сега не приемаме думи.
  - id: crowded
    text: Сега чакат много хора.
"""
RING = """\
  - id: ring
    kind: nudge
    slot: r
    text: Да ти звънне ли телефонът?
    go: talk_open
    choices:
      - {say: Никога, value: never, go: talk_open}
      - {say: Сутрин, value: am, go: ring_words}
  - id: ring_words
    kind: nudge
    slot: w
    text: С кои думи да звънне?
    go: talk_open
    choices:
      - {say: Рецепта за днес, value: a, go: talk_open}
      - {say: По-добре никога, value: never, go: talk_open}
"""
PHRASES = """\
language:
  name: Български
mark:
  back: Назад
  home: Начало
  danger: "112"
  hide: Скрий
menu: {more: Още}
places: {more: Още общини}
receptions:
  today: днес
  tomorrow: утре
notice:
  claimed: Здравей. {alias} е тук.
  cannot_take: Пиши ни с думи.
"""
FACTS = """\
- id: TEL-01
  says: Номер 112 е за спешна помощ.
  value: "112"
  phone: "112"
  source: закон
  confidence: H
  checked_on: 2026-11-01
  checked_by: екипът
  expires_on: null
- id: LAW-17
  says: Срокът е три месеца.
  value: "3"
  source: закон, чл. 10
  confidence: H
  checked_on: 2026-11-01
  checked_by: екипът
  expires_on: 2027-02-20
- id: LAW-20
  says: Молбата може да се даде в полицията.
  source: закон
  confidence: H
  checked_on: 2026-11-01
  checked_by: екипът
  expires_on: 2027-02-20
"""
PLACES = """\
- {code: rse27, ekatte: "63427", name: Русе}
- {code: rse04, ekatte: "07603", name: Бяла}
"""
WORDS = """\
safe:
  bg: [рецепта, супа]
  tr: [çorba]
  en: [recipe]
danger:
  bg: [помощ, бие ме, ще ме убие, има нож]
  tr: [imdat, beni dövüyor, yardım edin]
  en: [help me, he has a knife]
stop:
  bg: [стоп, спри съобщенията]
  tr: [durdur]
  en: [unsubscribe]
"""
TURKISH = {
    "start.text": "Dört kişilik mercimek çorbası.\n\n30 dakika pişer.",
    "start.go.language": "Benim için",
    "language.name": "Türkçe",
    "danger.text": "{TEL-01} numarasını ara.\n\nHer zaman cevap verirler.",
    "danger.words": "acil, polis",
    "receptions.today": "bugün",
    "receptions.tomorrow": "yarın",
    "notice.claimed": "Merhaba. {alias} burada.",
}


@dataclass(frozen=True)
class Small:
    """The small content as files. `edit` breaks one of them."""

    root: Path

    @property
    def dialogs(self) -> Path:
        return self.root / "dialogs"

    @property
    def locales(self) -> Path:
        return self.root / "locales"

    def edit(self, name: str, old: str, new: str) -> int:
        """Replace a text that stands once or more; the line of the first change."""
        path = self.dialogs / name
        text = path.read_text(encoding="utf-8")
        assert old in text, f"{old!r} is not in {name}"
        path.write_text(text.replace(old, new, 1), encoding="utf-8")
        return text[: text.index(old)].count("\n") + 1

    def add(self, name: str, text: str) -> None:
        path = self.dialogs / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(dedent(text), encoding="utf-8")

    def append(self, name: str, text: str) -> None:
        path = self.dialogs / name
        path.write_text(path.read_text(encoding="utf-8") + text, encoding="utf-8")

    def in_lasting_chats(self) -> None:
        """The gate says what a chat keeps, and *hide* covers it with a recipe."""
        self.edit("topics/start.yaml", "go: enter\n", "go: keeps\n")
        self.append("topics/start.yaml", KEEPS)
        self.edit("topics/start.yaml", "        go: language\n", RECIPE_CHOICE)
        self.append("topics/danger.yaml", "    covers: [soup]\n")

    def asks_whether_to_ring(self) -> None:
        """Before a human is called she says whether her phone may ring, and with which words."""
        self.edit("topics/talk.yaml", "go: talk_open\n", "go: ring\n")
        self.append("topics/talk.yaml", RING)

    def translate(self, language: str, entries: dict[str, str], flags: str = "") -> Path:
        """A catalogue whose msgids are the Bulgarian texts as they stand now."""
        from dialogs.load import load

        texts = load(self.dialogs, self.locales).texts
        body = ['msgid ""', 'msgstr "Content-Type: text/plain; charset=utf-8\\n"', ""]
        for text_id, translation in entries.items():
            body += [flags] if flags else []
            body += [f"msgctxt {_quoted(text_id)}", f"msgid {_quoted(texts[text_id].text)}"]
            body += [f"msgstr {_quoted(translation)}", ""]
        return self.catalogue(language, "\n".join(body))

    def catalogue(self, language: str, text: str) -> Path:
        path = self.locales / language / "LC_MESSAGES" / "messages.po"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        return path


def small(root: Path) -> Small:
    """Write the small content under `root`."""
    made = Small(root)
    files = {
        "topics/start.yaml": START,
        "topics/danger.yaml": DANGER,
        "topics/order.yaml": ORDER,
        "topics/talk.yaml": TALK,
        "topics/states.yaml": STATES,
        "phrases.yaml": PHRASES,
        "facts.yaml": FACTS,
        "places.yaml": PLACES,
        "words.yaml": WORDS,
    }
    for name, text in files.items():
        made.add(name, text)
    made.locales.mkdir()
    return made


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{escaped}"'
