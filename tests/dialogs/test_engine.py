"""The engine on the real content: every step leaves her where 112 and hide are at hand."""

from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bot.texts import open_content
from dialogs import engine, load, payload
from dialogs.model import (
    CASE,
    CASE_MEDIA,
    DANGER,
    HOME,
    MAX_CHECKLIST_ITEMS,
    MAX_CHOICES,
    START,
    AllowMedia,
    Arrive,
    Decline,
    EndCase,
    Event,
    Fill,
    ForgetEverything,
    Hide,
    Mark,
    MediaKind,
    NodeKind,
    OpenCase,
    Position,
    Relay,
    Remind,
    RenewReminder,
    Screen,
    Sent,
    Show,
    Started,
    Step,
    StopReminders,
    TakeMedium,
    Tapped,
    Typed,
)

CONTENT, _ = open_content()
COVER = engine.cover("bg")


def shown(step: Step) -> Screen | None:
    screens = [e.screen for e in step.effects if isinstance(e, Show | Arrive)]
    return screens[-1] if screens else None


def positions() -> st.SearchStrategy[Position]:
    slots = sorted({n.slot for n in CONTENT.nodes.values() if n.slot} | {"m", "g", "e", "d", "z"})
    values = ["1", "2", "5", "h", "rse27", "zz", "63", "0"] + [
        c.value for n in CONTENT.nodes.values() for c in n.choices if c.value
    ]
    pairs = st.dictionaries(st.sampled_from(slots), st.sampled_from(values), max_size=3)
    return st.builds(
        lambda language, node, answers: Position(language, node, tuple(sorted(answers.items()))),
        st.sampled_from([*CONTENT.languages, "xx"]),
        st.sampled_from([*CONTENT.nodes, "gone_node", "order_of_old", "x"]),
        pairs,
    )


def events() -> st.SearchStrategy[Event]:
    codes = [engine.link_code(name) for name in [*CONTENT.topics, *CONTENT.places]]
    return st.one_of(
        st.builds(Started, st.none() | st.sampled_from(codes) | st.text(max_size=40)),
        st.builds(Tapped, st.none() | positions(), st.booleans()),
        st.builds(Typed, st.text(max_size=60) | st.sampled_from(list("0123456789")), st.booleans()),
        st.builds(Sent, st.sampled_from(MediaKind), st.booleans()),
    )


def assert_safe(screen: Screen) -> None:
    if not screen.cover:
        assert [mark for mark, _ in screen.marks] == list(Mark)
        targets = {mark: button.to.node for mark, button in screen.marks}
        assert targets[Mark.DANGER] == DANGER
        assert targets[Mark.HIDE] == "hide"
    for button in [*screen.choices, *(button for _, button in screen.marks)]:
        packed = payload.pack(button.to)
        assert payload.unpack(packed) == button.to
        assert button.to.node in CONTENT.nodes


@settings(max_examples=300, deadline=None)
@given(positions(), st.lists(events(), max_size=12))
def test_any_sequence_of_events_leaves_112_and_hide_at_hand(
    here: Position, sequence: list[Event]
) -> None:
    for event in sequence:
        step = engine.step(CONTENT, here, event)
        here = step.position
        assert here.node in CONTENT.nodes
        screen = shown(step)
        if screen is not None:
            assert_safe(screen)
        else:
            assert any(isinstance(e, Hide | Relay | Decline | TakeMedium) for e in step.effects)


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=64))
def test_any_bytes_as_payload_give_a_safe_screen(rubbish: bytes) -> None:
    position = payload.unpack(rubbish.decode("latin-1"))
    step = engine.step(CONTENT, COVER, Tapped(position))
    screen = shown(step)
    assert screen is not None or Hide() in step.effects
    if position is None:
        assert screen is not None
        assert screen.cover


def test_the_same_step_twice_gives_the_same() -> None:
    tapped = Tapped(Position("bg", HOME))
    assert engine.step(CONTENT, COVER, tapped) == engine.step(CONTENT, COVER, tapped)


def walk() -> Iterator[Screen]:
    """Every screen that can be reached by tapping, once per node and answers."""
    seen: set[Position] = set()
    queue = [engine.cover(language) for language in CONTENT.languages]
    while queue:
        position = queue.pop()
        if position in seen:
            continue
        seen.add(position)
        screen = shown(engine.step(CONTENT, position, Tapped(position)))
        if screen is None:
            continue
        yield screen
        queue += [b.to for b in [*screen.choices, *(b for _, b in screen.marks)]]


def test_every_screen_reached_by_tapping_is_safe_and_has_at_most_four_choices() -> None:
    nodes = set()
    for screen in walk():
        assert_safe(screen)
        nodes.add(screen.position.node)
        ticks = [b for b in screen.choices if b.ticked is not None]
        assert len(screen.choices) - len(ticks) <= MAX_CHOICES
        assert len(ticks) <= MAX_CHECKLIST_ITEMS
    assert nodes >= {START, HOME, DANGER, CASE, "meet", "talk", "forget"}


def test_nobody_reaches_a_topic_without_passing_the_gate() -> None:
    """From the cover every way, by 112 too, leads through "can you read now"."""
    cry = engine.step(CONTENT, COVER, Typed("помощ, той идва")).position
    queue, seen = [COVER, cry], set()
    while queue:
        position = queue.pop()
        if position in seen:
            continue
        seen.add(position)
        step = engine.step(CONTENT, position, Tapped(position))
        if any(isinstance(e, Arrive) for e in step.effects):
            continue
        screen = shown(step)
        if screen is not None:
            topic = CONTENT.nodes[screen.position.node].topic
            assert topic in (engine.GATE_TOPIC, "danger"), screen.position
            queue += [b.to for b in [*screen.choices, *(b for _, b in screen.marks)]]
    assert {p.node for p in seen} >= {DANGER, "danger_here", "gate_alone", "inside"}


def test_who_comes_to_112_from_outside_finds_the_page_she_wanted_behind_the_gate() -> None:
    cry = engine.step(CONTENT, COVER, Typed("помощ, той идва"))
    child = next(b.to for b in shown(cry).choices if b.to.node == "danger_child")
    talk = engine.screen(CONTENT, child).choices[-1].to
    assert talk.node == "gate_language"
    inside = Position("bg", "inside", talk.answers)
    assert engine.step(CONTENT, COVER, Tapped(inside)).position.node == "talk"


def test_in_a_lasting_chat_only_the_gate_offers_our_own_page() -> None:
    lasting = load.in_chat(CONTENT, lasting=True)
    on_page = {
        (node.id, button.to.node)
        for node in lasting.nodes.values()
        for button in engine.screen(lasting, Position("bg", node.id)).choices
        if button.on_page
    }
    assert on_page == {("gate_lasting", "gate_hide")}


def test_a_digit_opens_no_page_and_leads_no_further_in_the_chat() -> None:
    lasting = load.in_chat(CONTENT, lasting=True)
    gate = Position("bg", "gate_lasting")
    assert engine.step(lasting, gate, Typed("1")).position == gate
    assert engine.step(lasting, gate, Typed("2")).position.node == "gate_hide"


def test_where_nothing_lasts_our_own_page_is_never_offered() -> None:
    passing = load.in_chat(CONTENT, lasting=False)
    for node in passing.nodes.values():
        screen = engine.screen(passing, Position("bg", node.id))
        assert not any(button.on_page for button in screen.choices), node.id
        assert screen.position.node != "gate_lasting"


def test_112_and_hide_are_at_hand_where_she_is_told_what_her_chat_keeps() -> None:
    lasting = load.in_chat(CONTENT, lasting=True)
    screen = engine.screen(lasting, Position("tr", "gate_lasting"))
    assert_safe(screen)
    assert dict(screen.marks)[Mark.HOME].to.node == START


@pytest.mark.parametrize("lasting", [True, False])
def test_a_deep_links_code_goes_through_the_gate_of_either_chat(lasting: bool) -> None:
    content = load.in_chat(CONTENT, lasting=lasting)
    position = Position("tr", "gate_alone").with_answer("d", engine.link_code("order"))
    for _ in range(4):
        to = engine.screen(content, position).choices[0].to
        step = engine.step(content, position, Tapped(to))
        if any(isinstance(effect, Arrive) for effect in step.effects):
            break
        position = step.position
    assert step.position.node == "order"


def test_a_tap_on_an_old_window_opens_the_cover() -> None:
    step = engine.step(CONTENT, COVER, Tapped(Position("tr", "order"), fresh=False))
    assert step.position == engine.cover("tr")


def test_hide_works_on_an_old_window_too() -> None:
    step = engine.step(CONTENT, COVER, Tapped(Position("bg", "hide"), fresh=False))
    assert step.effects == (Hide(),)


@pytest.mark.parametrize("language", CONTENT.languages)
def test_the_safe_word_hides_from_every_node(language: str) -> None:
    for word in CONTENT.safe_words[language]:
        for node in CONTENT.nodes.values():
            if node.kind not in (NodeKind.RESULT,):
                step = engine.step(CONTENT, Position("bg", node.id), Typed(word, fresh=False))
                assert step.effects[-1] == Hide(), (word, node.id)


def test_typed_0_is_112_and_typed_9_hides() -> None:
    here = Position("bg", HOME)
    assert engine.step(CONTENT, here, Typed("0")).position.node == DANGER
    assert engine.step(CONTENT, here, Typed("9")).effects == (Hide(),)


def test_a_typed_digit_chooses() -> None:
    here = Position("bg", HOME)
    first = engine.screen(CONTENT, here).choices[0]
    assert engine.step(CONTENT, here, Typed("1")).position == first.to


def test_before_the_gate_typed_words_open_nothing_but_112() -> None:
    for words in ("заповед за защита", "развод", "order", "приемна"):
        assert engine.step(CONTENT, COVER, Typed(words)).position == COVER
    assert engine.step(CONTENT, COVER, Typed("той идва, ще ме убие")).position.node == DANGER


def test_not_understood_twice_offers_a_human() -> None:
    here = Position("bg", HOME)
    once = engine.step(CONTENT, here, Typed("щщщщ ъъъъ"))
    assert once.position.node == "not_understood"
    twice = engine.step(CONTENT, once.position, Typed("щщщщ ъъъъ"))
    assert twice.position.node == "not_understood_again"
    screen = shown(twice)
    assert screen is not None
    assert "talk" in {b.to.node for b in screen.choices}


def test_what_she_types_offers_at_most_three_nearest_pages() -> None:
    step = engine.step(CONTENT, Position("bg", HOME), Typed("искам заповед за защита"))
    screen = shown(step)
    assert screen is not None
    assert step.position.node == "suggest"
    assert 1 <= len(screen.choices) <= MAX_CHOICES


def test_in_a_case_words_go_to_the_desk_and_9_hides() -> None:
    here = Position("bg", CASE)
    assert engine.step(CONTENT, here, Typed("Здравейте")).effects == (Relay("Здравейте"),)
    assert engine.step(CONTENT, here, Typed("Късно е", fresh=False)).effects == (Relay("Късно е"),)
    assert engine.step(CONTENT, here, Typed("9")).effects == (Relay("9"), Hide())
    zero = engine.step(CONTENT, here, Typed("0"))
    assert zero.effects[0] == Relay("0")
    assert zero.position.node == DANGER


@pytest.mark.parametrize("kind", [MediaKind.PHOTO, MediaKind.VOICE])
def test_in_a_case_a_photo_and_a_voice_are_handed_on(kind: MediaKind) -> None:
    step = engine.step(CONTENT, Position("bg", CASE), Sent(kind))
    assert step.effects == (TakeMedium(kind),)
    assert step.position.node == CASE


@pytest.mark.parametrize("kind", [MediaKind.CONTACT, MediaKind.LOCATION, MediaKind.OTHER])
def test_in_a_case_a_number_and_a_place_are_declined(kind: MediaKind) -> None:
    step = engine.step(CONTENT, Position("bg", CASE), Sent(kind))
    assert step.effects == (Decline("notice.cannot_take"),)


def test_she_agrees_to_photos_and_voice_and_is_back_in_her_case() -> None:
    step = engine.step(
        CONTENT, Position("bg", CASE_MEDIA), Tapped(Position("bg", "case_media_yes"))
    )
    assert step.effects[0] == AllowMedia()
    assert step.position.node == CASE


def test_outside_a_case_a_photo_is_explained() -> None:
    photo = Sent(MediaKind.PHOTO)
    assert engine.step(CONTENT, Position("bg", HOME), photo).position.node == "got_photo"
    assert engine.step(CONTENT, COVER, photo).position == COVER


def test_a_tick_lives_in_the_payload_and_goes_again() -> None:
    checklist = next(n for n in CONTENT.nodes.values() if n.kind is NodeKind.CHECKLIST)
    here = Position("bg", checklist.id)
    screen = engine.screen(CONTENT, here)
    assert [b.ticked for b in screen.choices[: len(checklist.items)]] == [False] * len(
        checklist.items
    )
    ticked = engine.screen(CONTENT, screen.choices[1].to)
    assert [b.ticked for b in ticked.choices[: len(checklist.items)]][1] is True
    assert ticked.choices[1].to == here


def test_a_question_answers_in_the_payload_and_the_result_chooses() -> None:
    results = [n for n in CONTENT.nodes.values() if n.kind is NodeKind.RESULT]
    assert results
    for node in results:
        for row in node.cases:
            position = Position("bg", node.id)
            for slot, value in row.when.items():
                position = position.with_answer(slot, value)
            assert engine.step(CONTENT, position, Tapped(position)).position.node != node.id


def test_opening_a_case_takes_topic_and_municipality_only_if_given() -> None:
    door = next(n for n in CONTENT.nodes.values() if n.kind is NodeKind.OPEN_CASE)
    bare = engine.step(CONTENT, COVER, Tapped(Position("tr", door.id)))
    assert bare.effects[0] == OpenCase("tr", None, None)
    assert bare.position.node == CASE
    question = next(n for n in CONTENT.nodes.values() if n.slot == engine.TOPIC_SLOT)
    given = Position("tr", door.id).with_answer("m", "rse05")
    given = given.with_answer("t", question.choices[0].value)
    full = engine.step(CONTENT, COVER, Tapped(given))
    assert full.effects[0] == OpenCase("tr", question.choices[0].label, "rse05")


# --- whether we may ring her ---------------------------------------------------------------


def _nudge(**answers: str) -> tuple[str, str] | None:
    """What the shell is told when she calls a human with these answers."""
    door = Position("bg", "talk_yes")
    for slot, value in answers.items():
        door = door.with_answer(slot, value)
    opened = engine.step(CONTENT, COVER, Tapped(door)).effects[0]
    assert isinstance(opened, OpenCase)
    return opened.nudge


def test_she_is_asked_whether_her_phone_may_ring_before_she_calls_a_human() -> None:
    here = Position("bg", "talk_place")
    walked = []
    while here.node != "talk_yes":
        walked.append(here.node)
        here = engine.screen(CONTENT, here).choices[-1 if here.node == "talk_place" else 0].to
    assert walked == ["talk_place", "talk_nudge", "talk_ready"]


def test_the_first_answer_is_never_and_leads_past_the_words() -> None:
    never = engine.screen(CONTENT, Position("bg", "talk_nudge")).choices[0].to
    assert (never.node, never.answer("r")) == ("talk_ready", "never")


@pytest.mark.parametrize("hours", ["am", "pm", "eve"])
def test_she_chooses_the_hours_and_the_words_of_a_ring(hours: str) -> None:
    chosen = [b for b in engine.screen(CONTENT, Position("bg", "talk_nudge")).choices[1:]]
    to = next(b.to for b in chosen if b.to.answer("r") == hours)
    assert to.node == "talk_words"
    for button in engine.screen(CONTENT, to).choices[:-1]:
        assert _nudge(**dict(button.to.answers)) == (hours, button.label)


@pytest.mark.parametrize(
    "answers",
    [
        {},
        {"r": "never"},
        {"r": "am"},  # no words were chosen
        {"w": "a"},
        {"r": "never", "w": "a"},
        {"r": "am", "w": "never"},
        {"r": "am", "w": "zz"},
        {"r": "now", "w": "a"},  # what another topic asks under the same letters
        {"r": "am", "w": "body"},
    ],
)
def test_without_hours_and_words_of_hers_it_is_never(answers: dict[str, str]) -> None:
    assert _nudge(**answers) is None


def test_where_nothing_rings_she_is_not_asked() -> None:
    web = load.in_chat(CONTENT, lasting=False, rings=False)
    here = engine.screen(web, Position("bg", "talk_place")).choices[-1].to
    assert engine.screen(web, here).position.node == "talk_ready"
    forged = Position("bg", "talk_yes").with_answer("r", "am").with_answer("w", "a")
    assert engine.step(web, COVER, Tapped(forged)).effects[0] == OpenCase("bg", None, None)


@pytest.mark.parametrize("text", ["/close", "/claim 7", "/start", "claim", "1", "/стоп"])
def test_in_a_case_a_command_is_plain_text(text: str) -> None:
    step = engine.step(CONTENT, Position("bg", CASE), Typed(text))
    assert step.effects == (Relay(text),)


def test_in_a_case_the_end_is_two_taps_away() -> None:
    asked = engine.screen(CONTENT, engine.screen(CONTENT, Position("bg", CASE)).choices[0].to)
    ended = engine.step(CONTENT, asked.position, Tapped(asked.choices[0].to))
    assert ended.effects[0] == EndCase()


def test_ending_and_forgetting_are_said_to_the_shell() -> None:
    kinds = {NodeKind.END_CASE: EndCase(), NodeKind.FORGET: ForgetEverything()}
    for kind, effect in kinds.items():
        door = next(n for n in CONTENT.nodes.values() if n.kind is kind)
        step = engine.step(CONTENT, COVER, Tapped(Position("bg", door.id)))
        assert step.effects[0] == effect


def test_a_deep_link_says_nothing_and_leads_behind_the_gate() -> None:
    code = engine.link_code("rse05")
    assert "rse" not in code
    step = engine.step(CONTENT, COVER, Started(code))
    screen = shown(step)
    assert screen is not None
    assert screen.cover
    inside = next(n for n in CONTENT.nodes.values() if n.kind is NodeKind.ARRIVE)
    arrived = engine.step(
        CONTENT, step.position, Tapped(Position("bg", inside.id, step.position.answers))
    )
    assert arrived.position.answer("m") == "rse05"
    screen = shown(arrived)
    assert screen is not None
    assert screen.fill is Fill.RECEPTIONS


def test_a_forged_deep_link_opens_the_plain_cover() -> None:
    assert engine.step(CONTENT, COVER, Started("../../etc")).position == COVER


def test_a_button_of_an_older_version_leads_to_the_nearest_living_node() -> None:
    assert engine.living(CONTENT, Position("bg", "order_that_was_removed")).node == "order"
    assert engine.living(CONTENT, Position("bg", "nothing_like_it")).node == HOME


def test_a_page_whose_fact_has_run_out_shows_the_lines_that_answer() -> None:
    node = next(n for n in CONTENT.nodes.values() if any(f.startswith("LAW") for f in n.facts))
    from dataclasses import replace

    late = replace(CONTENT, expired=frozenset(node.facts))
    step = engine.step(late, COVER, Tapped(Position("bg", node.id)))
    assert step.position.node == "fact_expired"
    on_danger = engine.step(
        replace(CONTENT, expired=frozenset(CONTENT.facts)), COVER, Tapped(Position("bg", DANGER))
    )
    assert on_danger.position.node == DANGER


# --- reminders -----------------------------------------------------------------------------------

ALL = {"m": "rse05", "q": "pm", "c": "a"}
"""Her answers, as the buttons carry them."""


def position_of(node: str, answers: dict[str, str]) -> Position:
    return Position("bg", node, tuple(sorted(answers.items())))


def tapped(node: str, *, fresh: bool = True, **answers: str) -> Step:
    return engine.step(CONTENT, COVER, Tapped(position_of(node, answers), fresh))


def test_from_the_date_a_reminder_is_three_taps_away_and_knows_its_municipality() -> None:
    here = Position("bg", "meet_dates").with_answer("m", "rse05")
    walked = []
    while here.node != "remind_set":
        walked.append(here.node)
        here = engine.screen(CONTENT, here).choices[0].to
    assert walked == ["meet_dates", "remind_hours", "remind_words"]
    step = engine.step(CONTENT, COVER, Tapped(here))
    assert step.effects[0] == Remind("bg", "rse05", "am", "remind.words.when")
    assert step.position.node == "remind_mine"
    assert shown(step) == engine.screen(CONTENT, step.position)


@pytest.mark.parametrize(
    ("chosen", "words"),
    [("when", "remind.words.when"), ("a", "remind_words.go.a"), ("none", None)],
)
def test_her_phone_shows_the_words_that_she_chose_or_nothing(
    chosen: str, words: str | None
) -> None:
    step = tapped("remind_set", **(ALL | {"c": chosen}))
    assert step.effects[0] == Remind("bg", "rse05", "pm", words)


@pytest.mark.parametrize(
    ("answers", "asked"),
    [
        ({}, "remind"),
        ({"q": "pm", "c": "a"}, "remind"),
        ({"m": "rse99", "q": "pm", "c": "a"}, "remind"),
        ({"m": "rse05"}, "remind_hours"),
        ({"m": "rse05", "c": "a"}, "remind_hours"),
        ({"m": "rse05", "q": "night", "c": "a"}, "remind_hours"),
        ({"m": "rse05", "q": "pm"}, "remind_words"),
        ({"m": "rse05", "q": "pm", "c": "zz"}, "remind_words"),
    ],
)
def test_what_she_has_not_answered_is_asked_and_nothing_is_kept(
    answers: dict[str, str], asked: str
) -> None:
    step = tapped("remind_set", **answers)
    assert step.position.node == asked
    assert [type(effect) for effect in step.effects] == [Show]


def test_asked_for_the_municipality_she_goes_on_with_what_she_said_before() -> None:
    step = tapped("remind_set", q="pm", c="a")
    screen = shown(step)
    assert screen is not None
    assert dict(screen.choices[0].to.answers) == {"c": "a", "m": "rse27", "q": "pm"}


def test_a_late_tap_keeps_no_reminder() -> None:
    for node in ("remind_set", "remind_renew"):
        assert tapped(node, fresh=False, **ALL) == tapped("home", fresh=False)


def test_she_renews_the_reminder_that_she_sees() -> None:
    step = tapped("remind_renew", m="rse05")
    assert step.effects[0] == RenewReminder("rse05")
    assert step.position == Position("bg", "remind_mine").with_answer("m", "rse05")


def test_without_a_municipality_nothing_is_renewed() -> None:
    step = tapped("remind_renew")
    assert [type(effect) for effect in step.effects] == [Show]
    assert step.position.node == "remind_mine"


@pytest.mark.parametrize("fresh", [True, False])
def test_the_reminder_itself_stops_them_at_any_age_and_shows_a_cover(fresh: bool) -> None:
    reminder = engine.screen(CONTENT, Position("tr", "reminder"))
    stop = next(b.to for b in reminder.choices if b.to.node == "remind_stop")
    step = engine.step(CONTENT, Position("tr", "home"), Tapped(stop, fresh))
    assert step.effects[0] == StopReminders()
    screen = shown(step)
    assert screen is not None
    assert (screen.position, screen.cover) == (Position("tr", "remind_stopped"), True)
    assert screen.picture == reminder.picture == CONTENT.topics["start"].picture


def test_under_an_old_reminder_every_button_leads_to_a_cover() -> None:
    for button in engine.screen(CONTENT, Position("bg", "reminder")).choices:
        screen = shown(engine.step(CONTENT, COVER, Tapped(button.to, fresh=False)))
        assert screen is not None
        assert screen.cover
    assert shown(tapped("cover_phones", fresh=False)) == shown(tapped("cover_phones"))


def test_a_stop_carries_nothing_of_what_she_read() -> None:
    here = Position("bg", "remind_mine").with_answer("m", "rse05")
    buttons = engine.screen(CONTENT, here).choices
    assert [b.to for b in buttons if b.to.node == "remind_stop"] == [Position("bg", "remind_stop")]
    assert tapped("remind_stop", m="rse05", o="1").position == Position("bg", "remind_stopped")


@pytest.mark.parametrize("fresh", [True, False])
@pytest.mark.parametrize("node", ["start", "gate_alone", "home", "order", "danger", "remind_mine"])
def test_a_typed_stop_word_stops_them_from_anywhere(node: str, fresh: bool) -> None:
    for word in ("стоп", "Stop!", "спри", "spri", "dur", "unsubscribe"):
        step = engine.step(CONTENT, Position("en", node), Typed(word, fresh))
        assert step.effects[0] == StopReminders(), word
        assert step.position == Position("en", "remind_stopped")


def test_in_a_case_a_stop_word_goes_to_the_desk() -> None:
    step = engine.step(CONTENT, Position("bg", CASE), Typed("стоп"))
    assert step.effects == (Relay("стоп"),)


@pytest.mark.parametrize(
    ("cover", "text"),
    [("start", "стоп"), ("cover_tip", "Stop!"), ("reminder", "dur"), ("reminder", "3")],
)
def test_over_the_cover_of_a_case_what_stops_them_goes_to_the_desk_and_stops_them(
    cover: str, text: str
) -> None:
    typed = Typed(text, covered_by=Position("tr", cover))
    step = engine.step(CONTENT, Position("bg", CASE), typed)
    without = engine.step(CONTENT, Position("tr", cover), Typed(text))
    stop, relay, seen = step.effects
    assert (stop, relay) == (StopReminders(), Relay(text))
    assert (stop, seen) == without.effects
    assert step.position == without.position


@pytest.mark.parametrize("text", ["0", "9", "мусака", "3", "1", "не спирай", "нож"])
def test_over_the_cover_of_a_case_all_else_is_read_as_in_a_case(text: str) -> None:
    here = Position("bg", CASE)
    over = Typed(text, covered_by=Position("bg", "start"))
    assert engine.step(CONTENT, here, over) == engine.step(CONTENT, here, Typed(text))


def test_the_cover_after_a_stop_opens_nothing_but_covers_to_what_is_typed() -> None:
    for text in ("развод", "1", "2", "7", "заповед за защита"):
        step = engine.step(CONTENT, Position("bg", "remind_stopped"), Typed(text))
        screen = shown(step)
        assert screen is not None
        assert screen.cover, text


@pytest.mark.parametrize("node", ["remind_hours", "remind_words", "remind_set"])
def test_where_nothing_rings_she_is_told_so_beside_the_dates_and_nothing_is_kept(
    node: str,
) -> None:
    web = load.in_chat(CONTENT, lasting=False, rings=False)
    step = engine.step(web, COVER, Tapped(position_of(node, ALL)))
    assert [type(effect) for effect in step.effects] == [Show]
    screen = shown(step)
    assert screen is not None
    assert (screen.position.node, screen.fill) == ("remind_not_here", Fill.RECEPTIONS)
    assert screen.position.answer("m") == "rse05"


def test_what_to_be_reminded_of_can_be_typed() -> None:
    for text in ("напомни ми", "napomni mi", "кога пак", "bana hatırlat", "remind me"):
        step = engine.step(CONTENT, Position("bg", HOME), Typed(text))
        screen = shown(step)
        assert screen is not None
        assert "remind" in [button.to.node for button in screen.choices], text


def test_what_is_typed_on_any_cover_opens_nothing_behind_the_gate() -> None:
    covers = [node for node in CONTENT.nodes.values() if node.kind is NodeKind.COVER]
    assert any(node.topic != engine.GATE_TOPIC for node in covers)
    for node in covers:
        here = Position("bg", node.id)
        assert engine.step(CONTENT, here, Typed("искам заповед от съда")).position == here
        assert engine.step(CONTENT, here, Sent(MediaKind.PHOTO)).position == here
