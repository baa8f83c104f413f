"""Decides from the platform's record alone whether anything was lost, crossed, or said twice.

It knows nothing of the program: not its database, not its log, not what it believes.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from bot.verify.record import (
    ANSWER,
    GROUP,
    HERS,
    NOTE,
    STAFF,
    Answered,
    Changed,
    Decided,
    Deleted,
    Event,
    Killed,
    Mention,
    Opened,
    Polled,
    Removed,
    Said,
    Taken,
    Unsure,
    Wrote,
    mentions,
)

LOST = "lost"
CROSSED = "crossed"
ORDER = "out of order"
TWICE = "twice before her"
UNLABELLED = "twice on the desk, not labelled"
UNSAID = "may be lost, and the desk was not told"
KINDS = (LOST, CROSSED, ORDER, TWICE, UNLABELLED, UNSAID)


@dataclass(frozen=True, slots=True)
class Labels:
    """What the desk reads where something is not certain."""

    repeated: str
    unsure: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Fault:
    """Something that must not be. `woman` and `number`: of which message."""

    kind: str
    woman: str
    number: int
    at: float
    why: str


@dataclass(slots=True)
class _Message:
    """A message of a bot's, and all that it ever said."""

    said: Said
    words: list[tuple[float, str]]
    gone_at: float | None = None

    @property
    def now(self) -> str:
        return self.words[-1][1]

    def stood_at(self, at: float) -> bool:
        return self.said.at <= at and (self.gone_at is None or self.gone_at > at)


@dataclass(slots=True)
class _Story:
    """The record in the shape in which it is asked."""

    messages: dict[int, _Message] = field(default_factory=dict)
    topics: dict[int, float | None] = field(default_factory=dict)  # when each was deleted
    wrote: dict[Mention, float] = field(default_factory=dict)
    taken: set[Mention] = field(default_factory=set)
    answered: dict[Mention, Answered] = field(default_factory=dict)
    resent: dict[Mention, int] = field(default_factory=lambda: defaultdict(int))
    unsure: list[Unsure] = field(default_factory=list)

    def in_group(self) -> Iterator[_Message]:
        return (each for each in self.messages.values() if each.said.chat == GROUP)

    def before_women(self) -> Iterator[_Message]:
        elsewhere = (GROUP, STAFF)
        return (each for each in self.messages.values() if each.said.chat not in elsewhere)


def judge(record: Sequence[Event], labels: Labels) -> list[Fault]:
    """All faults, in the order of time."""
    story = _told(record)
    rules: tuple[Callable[[_Story, Labels], Iterable[Fault]], ...] = (
        _lost,
        _crossed,
        _out_of_order,
        _twice_before_her,
        _two_windows,
        _not_labelled,
        _unsaid,
    )
    found = [fault for rule in rules for fault in rule(story, labels)]
    return sorted(found, key=lambda fault: fault.at)


def repeats(record: Sequence[Event], label: str) -> int:
    """How many messages on the desk say that they may stand there twice."""
    return sum(isinstance(event, Said) and label in event.words for event in record)


def empty_topics(record: Sequence[Event]) -> set[int]:
    """Topics in which nothing was ever said, and that nobody deleted."""
    used = {event.topic for event in record if isinstance(event, Said | Deleted)}
    return {event.topic for event in record if isinstance(event, Opened)} - used


def takeovers(record: Sequence[Event]) -> list[float]:
    """For each kill of who asked for a bot's updates: the seconds until another one asked."""
    asks: dict[str, int] = {}
    since: dict[str, float] = {}
    found: list[float] = []
    for event in record:
        match event:
            case Polled(bot=bot, worker=worker):
                if bot in since and asks.get(bot) != worker:
                    found.append(event.at - since.pop(bot))
                asks[bot] = worker
            case Killed(worker=worker, at=at):
                since |= {bot: at for bot, who in asks.items() if who == worker}
    return found


def trace(record: Sequence[Event], woman: str) -> list[str]:
    """What happened around one woman, in numbers only."""
    lines: list[str] = []
    hers: set[int] = set()
    for event in record:
        told = _line(event, woman, hers)
        if told:
            lines.append(f"{event.at:9.3f}  {told}")
    return lines


def _line(event: Event, woman: str, hers: set[int]) -> str:
    match event:
        case Wrote() | Taken() | Answered() | Decided() | Unsure() if event.woman == woman:
            if isinstance(event, Answered):
                hers.add(event.message)
            verb = event.verb if isinstance(event, Decided) else type(event).__name__.lower()
            return f"{verb} {event.number}"
        case Said(window=True, chat=chat, message=message) if chat == woman:
            hers.add(message)
            return f"window {message}"
        case Said(words=words, chat=chat, message=message, topic=topic, answers=answers):
            about = _numbers(words, woman)
            if chat == woman or about or (answers in hers and answers is not None):
                hers.add(message)
                where = chat if topic is None else f"topic {topic}"
                to = f" to {answers}" if answers is not None else ""
                return f"message {message}{to} in {where}: {about or '-'}"
        case Changed(message=message, words=words) if message in hers:
            return f"message {message} changed: {_numbers(words, woman) or '-'}"
        case Removed(message=message) if message in hers:
            return f"message {message} removed"
        case Killed(state=state):
            return f"KILLED: {state}"
    return ""


def _numbers(words: str, woman: str) -> str:
    return ", ".join(f"{m.kind} {m.number}" for m in mentions(words) if m.woman == woman)


def _told(record: Sequence[Event]) -> _Story:
    story = _Story()
    for event in record:
        match event:
            case Said():
                story.messages[event.message] = _Message(event, [(event.at, event.words)])
            case Changed():
                story.messages[event.message].words.append((event.at, event.words))
            case Removed(message=message):
                if message in story.messages:
                    story.messages[message].gone_at = event.at
            case Opened(topic=topic):
                story.topics[topic] = None
            case Deleted(topic=topic):
                story.topics[topic] = event.at
                for each in story.messages.values():
                    if each.said.topic == topic and each.gone_at is None:
                        each.gone_at = event.at
            case Wrote(woman=woman, number=number):
                story.wrote[Mention(woman, HERS, number)] = event.at
            case Taken(woman=woman, number=number):
                story.taken.add(Mention(woman, HERS, number))
            case Answered(woman=woman, number=number):
                story.answered[Mention(woman, ANSWER, number)] = event
            case Decided(verb="resend", woman=woman, number=number):
                story.resent[Mention(woman, ANSWER, number)] += 1
            case Unsure():
                story.unsure.append(event)
    return story


def _fault(kind: str, what: Mention, at: float, why: str) -> Fault:
    return Fault(kind, what.woman, what.number, at, why)


def _first(messages: Iterable[_Message], kind: str) -> dict[Mention, _Message]:
    """Where each numbered message stood first."""
    found: dict[Mention, tuple[float, _Message]] = {}
    for each in messages:
        for at, text in each.words:
            for said in mentions(text):
                if said.kind == kind and (said not in found or at < found[said][0]):
                    found[said] = at, each
    return {said: each for said, (_, each) in found.items()}


def _lost(story: _Story, labels: Labels) -> Iterator[Fault]:
    shown = _first((each for each in story.in_group() if each.said.topic is not None), HERS)
    for said, at in story.wrote.items():
        if said not in story.taken:
            yield _fault(LOST, said, at, "it was never acknowledged")
        elif said not in shown:
            yield _fault(LOST, said, at, "it was acknowledged, and never stood on the desk")
    brought = _first(story.before_women(), ANSWER)
    for said, answered in story.answered.items():
        if said not in brought:
            yield _fault(LOST, said, answered.at, "the answer never stood before her")


def _crossed(story: _Story, labels: Labels) -> Iterator[Fault]:
    owner: dict[int, str] = {}
    for each in story.messages.values():
        topic = each.said.topic
        for at, text in each.words:
            for said in mentions(text):
                if said.kind == NOTE and each.said.chat != GROUP:
                    yield _fault(CROSSED, said, at, "a note left the desk")
                elif each.said.chat == GROUP and topic is None:
                    yield _fault(CROSSED, said, at, "it stood outside of any topic")
                elif topic is not None:
                    if owner.setdefault(topic, said.woman) != said.woman:
                        yield _fault(CROSSED, said, at, f"it stood in {owner[topic]}'s topic")
                elif each.said.chat != said.woman or said.kind != ANSWER:
                    yield _fault(CROSSED, said, at, f"it stood in the chat of {each.said.chat}")
    for said, answered in story.answered.items():
        if owner.get(answered.topic, said.woman) != said.woman:
            yield _fault(CROSSED, said, answered.at, "it was written in another's topic")


def _out_of_order(story: _Story, labels: Labels) -> Iterator[Fault]:
    on_desk = _first((each for each in story.in_group() if each.said.topic is not None), HERS)
    yield from _ascending(on_desk)
    brought = _first(story.before_women(), ANSWER)
    # What a consultant has sent again stands where she wanted it, and after later ones.
    yield from _ascending({s: each for s, each in brought.items() if not story.resent[s]})


def _ascending(first: dict[Mention, _Message]) -> Iterator[Fault]:
    newest: dict[str, int] = defaultdict(int)
    for said, each in sorted(first.items(), key=lambda item: item[1].said.message):
        if said.number < newest[said.woman]:
            why = f"number {newest[said.woman]} stood there before it"
            yield _fault(ORDER, said, each.said.at, why)
        newest[said.woman] = max(newest[said.woman], said.number)


def _twice_before_her(story: _Story, labels: Labels) -> Iterator[Fault]:
    copies: dict[Mention, list[_Message]] = defaultdict(list)
    for each in story.before_women():
        for said in mentions(each.said.words):
            copies[said].append(each)
    for said, messages in copies.items():
        for count, each in enumerate(messages):
            beside = [m for m in messages[:count] if m.stood_at(each.said.at)]
            if len(beside) > story.resent[said]:
                yield _fault(TWICE, said, each.said.at, "it stood there already")


def _two_windows(story: _Story, labels: Labels) -> Iterator[Fault]:
    standing: dict[str, list[_Message]] = defaultdict(list)
    for each in story.before_women():
        if each.said.window and each.gone_at is None:
            standing[each.said.chat].append(each)
    for woman, windows in standing.items():
        if len(windows) > 1:
            yield Fault(TWICE, woman, 0, windows[-1].said.at, "two windows stand in her chat")


def _not_labelled(story: _Story, labels: Labels) -> Iterator[Fault]:
    """What stands twice in a topic says so: her words, ours, and what stands below an answer."""
    theirs = {answered.message: said for said, answered in story.answered.items()}
    labelled = {each.said.answers for each in story.in_group() if labels.repeated in each.now}
    before: dict[tuple[object, ...], list[_Message]] = defaultdict(list)
    for each in story.in_group():
        if each.said.topic is None:
            continue
        for key, said in _names(each, theirs):
            name = each.said.topic, *key
            twice = any(other.stood_at(each.said.at) for other in before[name])
            before[name].append(each)
            if twice and not (labels.repeated in each.said.words and labels.repeated in each.now):
                yield _fault(UNLABELLED, said, each.said.at, "nothing says that it stands twice")
        for said in mentions(each.now):
            answered = story.answered.get(said)
            known = answered is not None and answered.message in labelled
            if said.kind == ANSWER and each.gone_at is None and not known:
                why = "her own answer is shown to a consultant as if it came from elsewhere"
                yield _fault(UNLABELLED, said, each.said.at, why)


def _names(
    each: _Message, theirs: dict[int, Mention]
) -> Iterator[tuple[tuple[object, ...], Mention]]:
    """Under which names a message would be known again."""
    for said in mentions(each.said.words):
        if said.kind == HERS:
            yield (said,), said
    if each.said.answers in theirs:
        yield (each.said.answers,), theirs[each.said.answers]


def _unsaid(story: _Story, labels: Labels) -> Iterator[Fault]:
    told: dict[int, list[float]] = defaultdict(list)  # until when each was said to be unsure
    for each in story.in_group():
        if each.said.answers is not None:
            ends = [at for at, _ in each.words[1:]] + [each.gone_at or float("inf")]
            told[each.said.answers] += [
                end
                for end, (_, text) in zip(ends, each.words, strict=True)
                if any(label in text for label in labels.unsure)
            ]
    for unsure in story.unsure:
        said = Mention(unsure.woman, ANSWER, unsure.number)
        answered = story.answered.get(said)
        if answered is None or not any(end > unsure.at for end in told[answered.message]):
            yield _fault(UNSAID, said, unsure.at, "nobody knows whether it arrived")
