"""The judge: a record without fault passes, and each fault is found by its name."""

from __future__ import annotations

from dataclasses import replace

import pytest

from bot.verify.judge import (
    CROSSED,
    LOST,
    ORDER,
    TWICE,
    UNLABELLED,
    UNSAID,
    Labels,
    empty_topics,
    judge,
    repeats,
    takeovers,
    trace,
)
from bot.verify.record import (
    ANSWER,
    GROUP,
    HERS,
    NOTE,
    Answered,
    Changed,
    Decided,
    Deleted,
    Event,
    Killed,
    Opened,
    Polled,
    Removed,
    Said,
    Taken,
    Unsure,
    Wrote,
    words,
)

LABELS = Labels("may be repeated:", ("may not have arrived",))
TOPIC, OTHER_TOPIC = 10, 20


class Story:
    """A record as it is told here, one event a second."""

    def __init__(self) -> None:
        self.record: list[Event] = []
        self.last = 100

    def tell(self, event: Event) -> None:
        self.record.append(replace(event, at=float(len(self.record))))

    def says(self, text: str, chat: str = GROUP, **other: object) -> int:
        self.last += 1
        place = {"topic": TOPIC} if chat == GROUP else {}
        told = {"message": self.last, "chat": chat, "words": text} | place | other
        self.tell(Said(at=0, **told))  # type: ignore[arg-type]
        return self.last

    def writes(self, number: int, woman: str = "w1", topic: int | None = TOPIC) -> None:
        """She writes, it is acknowledged, and stands on the desk."""
        self.tell(Wrote(at=0, woman=woman, number=number))
        self.tell(Taken(at=0, woman=woman, number=number))
        if topic is not None:
            self.says(words(woman, HERS, number), topic=topic)

    def is_answered(self, number: int, woman: str = "w1", topic: int = TOPIC) -> int:
        """A consultant answers, and below it stands what became of it."""
        self.last += 1
        self.tell(Answered(at=0, woman=woman, number=number, topic=topic, message=self.last))
        return self.says("on its way", topic=topic, answers=self.last)

    def arrives(self, number: int, woman: str = "w1", chat: str = "") -> int:
        return self.says(words(woman, ANSWER, number), chat or woman)

    @property
    def faults(self) -> list[str]:
        return [fault.kind for fault in judge(self.record, LABELS)]


@pytest.fixture
def story() -> Story:
    """Two women, each with a topic, two messages and an answer; nothing wrong."""
    told = Story()
    told.tell(Opened(at=0, topic=TOPIC))
    told.tell(Opened(at=0, topic=OTHER_TOPIC))
    for woman, topic in (("w1", TOPIC), ("w2", OTHER_TOPIC)):
        told.says("window", woman, window=True)
        told.writes(1, woman, topic)
        told.writes(2, woman, topic)
        told.is_answered(1, woman, topic)
        told.arrives(1, woman)
    return told


def test_a_record_without_fault_passes(story: Story) -> None:
    assert story.faults == []


# --- lost ----------------------------------------------------------------------------------------


def test_what_was_acknowledged_and_never_stood_on_the_desk_is_lost(story: Story) -> None:
    story.writes(3, topic=None)
    assert story.faults == [LOST]


def test_what_was_never_acknowledged_is_lost(story: Story) -> None:
    story.tell(Wrote(at=0, woman="w1", number=3))
    story.says(words("w1", HERS, 3))
    assert story.faults == [LOST]


def test_an_answer_that_never_stood_before_her_is_lost(story: Story) -> None:
    story.is_answered(2)
    assert story.faults == [LOST]


def test_what_stood_outside_of_any_topic_did_not_reach_the_desk(story: Story) -> None:
    story.writes(3, topic=None)
    story.says(words("w1", HERS, 3), topic=None)
    assert sorted(story.faults) == [CROSSED, LOST]


# --- crossed -------------------------------------------------------------------------------------


def test_her_words_in_another_womans_topic_are_crossed(story: Story) -> None:
    story.writes(3, topic=OTHER_TOPIC)
    assert story.faults == [CROSSED]


def test_two_answers_that_were_swapped_are_crossed(story: Story) -> None:
    story.is_answered(2)
    story.is_answered(2, "w2", OTHER_TOPIC)
    story.arrives(2, "w1", chat="w2")
    story.arrives(2, "w2", chat="w1")
    assert story.faults == [CROSSED, CROSSED]


def test_her_own_words_sent_back_to_her_are_crossed(story: Story) -> None:
    story.says(words("w1", HERS, 1), "w1")
    assert CROSSED in story.faults


def test_a_note_before_her_is_crossed(story: Story) -> None:
    story.says(words("w1", NOTE, 1), "w1")
    assert CROSSED in story.faults


def test_an_edit_can_cross_too(story: Story) -> None:
    message = story.says("on its way", topic=OTHER_TOPIC)
    story.tell(Changed(at=0, message=message, words=words("w1", HERS, 2)))
    assert CROSSED in story.faults


# --- order ---------------------------------------------------------------------------------------


def test_her_words_that_changed_places_on_the_desk_are_out_of_order(story: Story) -> None:
    for number in (4, 3):
        story.writes(number)
    assert story.faults == [ORDER]


def test_answers_that_changed_places_before_her_are_out_of_order(story: Story) -> None:
    story.is_answered(2)
    story.is_answered(3)
    story.arrives(3)
    story.arrives(2)
    assert story.faults == [ORDER]


def test_what_a_consultant_sent_again_may_come_later(story: Story) -> None:
    story.is_answered(2)
    story.is_answered(3)
    story.arrives(3)
    story.tell(Decided(at=0, verb="resend", woman="w1", number=2))
    story.arrives(2)
    assert story.faults == []


# --- twice before her ----------------------------------------------------------------------------


def test_the_same_answer_twice_before_her_is_found(story: Story) -> None:
    story.arrives(1)
    assert story.faults == [TWICE]


def test_a_consultant_may_have_it_sent_again_once(story: Story) -> None:
    story.tell(Decided(at=0, verb="resend", woman="w1", number=1))
    story.arrives(1)
    assert story.faults == []
    story.arrives(1)
    assert story.faults == [TWICE]


def test_an_answer_that_was_removed_when_she_covered_comes_again(story: Story) -> None:
    story.is_answered(2)
    story.tell(Removed(at=0, message=story.arrives(2)))
    story.arrives(2)
    assert story.faults == []


def test_two_windows_at_the_end_are_found(story: Story) -> None:
    second = story.says("window", "w1", window=True)
    assert story.faults == [TWICE]
    story.tell(Removed(at=0, message=second))
    assert story.faults == []


# --- twice on the desk ---------------------------------------------------------------------------


def test_her_words_twice_on_the_desk_without_a_label_are_found(story: Story) -> None:
    story.says(words("w1", HERS, 2))
    assert story.faults == [UNLABELLED]


def test_her_words_twice_on_the_desk_with_a_label_pass_and_are_counted(story: Story) -> None:
    story.says(f"{LABELS.repeated} {words('w1', HERS, 2)}")
    assert story.faults == []
    assert repeats(story.record, LABELS.repeated) == 1


def test_a_label_that_was_taken_away_again_is_none(story: Story) -> None:
    message = story.says(f"{LABELS.repeated} {words('w1', HERS, 2)}")
    story.tell(Changed(at=0, message=message, words=words("w1", HERS, 2)))
    assert story.faults == [UNLABELLED]


def test_two_lines_below_one_answer_without_a_label_are_found(story: Story) -> None:
    story.is_answered(2)
    story.says("sent", answers=story.last - 1)
    story.arrives(2)
    assert story.faults == [UNLABELLED]


def test_a_consultants_own_answer_shown_to_her_is_found(story: Story) -> None:
    shown = story.says(words("w1", ANSWER, 1))
    assert story.faults == [UNLABELLED]
    story.tell(Removed(at=0, message=shown))
    assert story.faults == []


def test_a_topic_that_was_deleted_begins_anew_without_a_label(story: Story) -> None:
    story.tell(Deleted(at=0, topic=TOPIC))
    story.tell(Opened(at=0, topic=30))
    story.says(words("w1", HERS, 2), topic=30)
    assert story.faults == []


# --- what nobody can know ------------------------------------------------------------------------


def test_an_answer_of_unknown_fate_that_the_desk_is_not_told_of_is_found(story: Story) -> None:
    line = story.is_answered(2)
    story.tell(Unsure(at=0, woman="w1", number=2))
    story.tell(Changed(at=0, message=line, words="sent"))
    story.arrives(2)
    assert story.faults == [UNSAID]


def test_an_answer_of_unknown_fate_that_the_desk_is_told_of_passes(story: Story) -> None:
    line = story.is_answered(2)
    story.tell(Unsure(at=0, woman="w1", number=2))
    story.tell(Changed(at=0, message=line, words=LABELS.unsure[0]))
    story.tell(Decided(at=0, verb="resend", woman="w1", number=2))
    story.arrives(2)
    assert story.faults == []


# --- beside the verdict --------------------------------------------------------------------------


def test_a_takeover_lasts_from_the_kill_to_the_next_poll_of_another() -> None:
    story = Story()
    story.tell(Polled(at=0, bot="line", worker=1))
    story.tell(Killed(at=0, worker=2, state="idle"))  # it polled for nobody
    story.tell(Killed(at=0, worker=1, state="idle"))
    story.tell(Opened(at=0, topic=1))
    story.tell(Polled(at=0, bot="line", worker=3))
    assert takeovers(story.record) == [2.0]
    assert empty_topics(story.record) == {1}


def test_a_trace_holds_numbers_and_no_other_woman(story: Story) -> None:
    story.tell(Killed(at=0, worker=1, state="idle"))
    told = "\n".join(trace(story.record, "w1"))
    assert "wrote 1" in told
    assert "answer 1" in told
    assert "KILLED: idle" in told
    assert "w2" not in told
