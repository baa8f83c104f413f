"""The parts of the content from its files; `load` joins them and checks the links."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from pydantic import TypeAdapter, ValidationError

from dialogs import schema, source
from dialogs.mistakes import explain
from dialogs.model import (
    Case,
    Choice,
    Entry,
    Fact,
    FactId,
    Fill,
    Item,
    Language,
    Node,
    NodeId,
    NodeKind,
    Place,
    Source,
    SourceText,
    TextId,
    Topic,
)
from dialogs.source import Document, Mistake

File = TypeVar("File")

PLACEHOLDER = re.compile(r"\{([A-Za-z][A-Za-z0-9_-]*)\}")
"""`{LAW-17}` stands for a fact's value, `{name}` for what the shell fills in."""
FACT_ID = re.compile(r"[A-Z]+-[0-9]+")


def placeholders(text: str) -> frozenset[str]:
    """The names between braces."""
    return frozenset(PLACEHOLDER.findall(text))


def facts_in(text: str) -> Iterator[FactId]:
    """The facts whose values a text shows, in reading order."""
    return (name for name in PLACEHOLDER.findall(text) if FACT_ID.fullmatch(name))


@dataclass(slots=True)
class Built:
    """What the files hold so far. `lines` says where a node names a target.

    `unread` are nodes of files that have other mistakes; `is_whole` is false where not even
    the ids of a file's nodes are known.
    """

    folder: str
    nodes: dict[NodeId, Node] = field(default_factory=dict)
    topics: dict[str, Topic] = field(default_factory=dict)
    facts: dict[FactId, Fact] = field(default_factory=dict)
    places: dict[str, Place] = field(default_factory=dict)
    texts: dict[TextId, SourceText] = field(default_factory=dict)
    safe: dict[Language, tuple[str, ...]] = field(default_factory=dict)
    danger: dict[Language, tuple[str, ...]] = field(default_factory=dict)
    stop: dict[Language, tuple[str, ...]] = field(default_factory=dict)
    lines: dict[tuple[str, str], Source] = field(default_factory=dict)
    unread: set[NodeId] = field(default_factory=set)
    is_whole: bool = True


def build(folder: Path, mistakes: list[Mistake]) -> Built:
    """Read every file; what is wrong is appended to `mistakes`, and the rest is built."""
    return _Builder(folder, mistakes).run()


class _Builder:
    def __init__(self, folder: Path, mistakes: list[Mistake]) -> None:
        self._folder = folder
        self._mistakes = mistakes
        self._name = folder.resolve().name
        self.built = Built(self._name)

    def run(self) -> Built:
        self._topics()
        for path in sorted(self._folder.glob("*phrases.yaml")) or [self._folder / "phrases.yaml"]:
            self._phrases(path)
        self._facts()
        self._places()
        self._words()
        return self.built

    # --- reading -----------------------------------------------------------------------------

    def _read(self, path: Path, shape: TypeAdapter[File]) -> tuple[File, Document] | None:
        name = f"{self._name}/{path.relative_to(self._folder).as_posix()}"
        document, mistakes = source.read(path, name)
        self._mistakes.extend(mistakes)
        try:
            if document.data is not None:
                return shape.validate_python(document.data), document
        except ValidationError as error:
            self._mistakes.extend(explain(error, document))
        if path.parent != self._folder:
            self._note_unread(document.data)
        return None

    def _note_unread(self, data: object) -> None:
        """Links to the nodes of a broken file are no mistakes of those who lead there."""
        nodes = data.get("nodes") if isinstance(data, dict) else None
        if not isinstance(nodes, list):
            self.built.is_whole = False
            return
        parts = (part for part in nodes if isinstance(part, dict))
        self.built.unread.update(str(part["id"]) for part in parts if "id" in part)

    def wrong(self, where: Source, node: str, message: str) -> None:
        self._mistakes.append(Mistake(where, node, message))

    def text(self, text_id: TextId, text: str, where: Source, node: str) -> TextId:
        known = self.built.texts.get(text_id)
        if known is not None:
            self.wrong(
                where, node, f"text {text_id!r} stands already at {known.source}, name one anew"
            )
        else:
            self.built.texts[text_id] = SourceText(text_id, text.strip(), where)
        return text_id

    # --- topics --------------------------------------------------------------------------------

    def _topics(self) -> None:
        paths = sorted((self._folder / "topics").glob("*.yaml"))
        if not paths:
            where = Source(f"{self._name}/topics", 1)
            self.wrong(where, "topics", "holds no topic file, write one")
        for path in paths:
            read = self._read(path, schema.TOPIC)
            if read is not None:
                self._topic(path, *read)

    def _topic(self, path: Path, file: schema.TopicFile, document: Document) -> None:
        name = file.topic
        if name != path.stem:
            message = f"the topic is called like its file, write topic: {path.stem}"
            self.wrong(document.at(("topic",)), name, message)
        title = self.text(f"topic.{name}", file.title, document.at(("title",)), name)
        entry = self._entry(file, document)
        where = document.at(("topic",))
        self.built.topics[name] = Topic(name, title, file.picture, where, entry)
        for number, part in enumerate(file.nodes):
            self._node(_NodeBuilder(self, name, part, document, number).build())

    def _entry(self, file: schema.TopicFile, document: Document) -> Entry | None:
        part = file.entry
        if part is None:
            return None
        where = document.at(("entry", "say"))
        self.built.lines[file.topic, "entry"] = document.at(("entry",))
        label = self.text(f"entry.{file.topic}", part.say, where, file.topic)
        return Entry(part.menu, label, part.go, part.order)

    def _node(self, node: Node) -> None:
        known = self.built.nodes.get(node.id)
        if known is not None:
            message = f"this id stands already at {known.source}, give one of them another id"
            self.wrong(node.source, node.id, message)
            return
        self.built.nodes[node.id] = node

    # --- the other files -------------------------------------------------------------------------

    def _phrases(self, path: Path) -> None:
        read = self._read(path, schema.PHRASES)
        if read is None:
            return
        file, document = read
        for key, value in file.items():
            self._phrase((key,), value, document)

    def _phrase(self, loc: tuple[str, ...], value: schema.Phrases, document: Document) -> None:
        if isinstance(value, str):
            text_id = ".".join(loc)
            self.text(text_id, value, document.at(loc), text_id)
            return
        for key, inner in value.items():
            self._phrase((*loc, key), inner, document)

    def _facts(self) -> None:
        read = self._read(self._folder / "facts.yaml", schema.FACTS)
        if read is None:
            return
        file, document = read
        for number, part in enumerate(file):
            where = document.at((number, "id"))
            if part.id in self.built.facts:
                self.wrong(where, part.id, "this fact stands twice, keep one")
            self.built.facts[part.id] = Fact(where=where, **dict(part))

    def _places(self) -> None:
        read = self._read(self._folder / "places.yaml", schema.PLACES)
        if read is None:
            return
        file, document = read
        for number, part in enumerate(file):
            where = document.at((number, "code"))
            if part.code in self.built.places:
                self.wrong(where, part.code, "this place stands twice, keep one")
                continue
            name = self.text(f"place.{part.code}", part.name, where, part.code)
            self.built.places[part.code] = Place(part.code, part.ekatte, name, where)

    def _words(self) -> None:
        read = self._read(self._folder / "words.yaml", schema.WORDS)
        if read is not None:
            self.built.safe = {name: tuple(words) for name, words in read[0].safe.items()}
            self.built.danger = {name: tuple(words) for name, words in read[0].danger.items()}
            self.built.stop = {name: tuple(words) for name, words in read[0].stop.items()}


class _NodeBuilder:
    """One node from its part of a topic file."""

    def __init__(
        self, builder: _Builder, topic: str, part: schema.AnyNode, document: Document, number: int
    ) -> None:
        self._builder = builder
        self._topic = topic
        self._part = part
        self._document = document
        self._loc: source.Loc = ("nodes", number)
        self._facts: list[FactId] = list(getattr(part, "facts", ()))

    def build(self) -> Node:
        part = self._part
        fill = getattr(part, "fill", None)
        text = self._say("text", getattr(part, "text", None), "text")
        lasting: str | None = getattr(part, "lasting_text", None)
        choices, items, cases = self._choices(), self._items(), self._cases()
        self._name()
        self._line(getattr(part, "go", None), "go")
        self._line(getattr(part, "back", None), "back")
        return Node(
            id=part.id,
            kind=NodeKind(part.kind),
            topic=self._topic,
            text=text,
            source=self._at("id"),
            choices=choices,
            items=items,
            cases=cases,
            slot=getattr(part, "slot", None),
            go=getattr(part, "go", None),
            back=getattr(part, "back", None),
            facts=tuple(dict.fromkeys(self._facts)),
            words=tuple(getattr(part, "words", ())),
            picture=getattr(part, "picture", None),
            fill=Fill(fill) if fill is not None else None,
            lasting_text=lasting and self._say("lasting_text", lasting, "lasting_text"),
            covers=self._covers(),
        )

    def _at(self, *loc: str | int) -> Source:
        return self._document.at((*self._loc, *loc))

    def _line(self, target: NodeId | None, *loc: str | int) -> None:
        if target is not None:
            self._builder.built.lines.setdefault((self._part.id, target), self._at(*loc))

    def _say(self, name: str, text: str | None, *loc: str | int) -> TextId:
        text_id = f"{self._part.id}.{name}"
        if text is not None:
            self._facts.extend(facts_in(text))
            self._builder.text(text_id, text, self._at(*loc), self._part.id)
        return text_id

    def _choices(self) -> tuple[Choice, ...]:
        built = []
        for number, choice in enumerate(getattr(self._part, "choices", ())):
            value = getattr(choice, "value", None)
            loc = ("choices", number)
            on_page: bool = getattr(choice, "on_page", False)
            name = value or ("page" if on_page else choice.go)
            label = self._say(f"go.{name}", choice.say, *loc, "say")
            self._line(choice.go, *loc, "go")
            built.append(Choice(label, choice.go, value, on_page))
        return tuple(built)

    def _covers(self) -> tuple[NodeId, ...]:
        named: Iterable[NodeId] = getattr(self._part, "covers", ())
        for number, node in enumerate(named):
            self._line(node, "covers", number)
        return tuple(named)

    def _items(self) -> tuple[Item, ...]:
        items: dict[str, str] = getattr(self._part, "items", {})
        return tuple(
            Item(key, self._say(f"item.{key}", text, "items", key)) for key, text in items.items()
        )

    def _cases(self) -> tuple[Case, ...]:
        parts = list(getattr(self._part, "cases", ()))
        for number, case in enumerate(parts):
            self._line(case.go, "cases", number, "go")
            self._check_default(case, number, len(parts))
        return tuple(Case(dict(case.when or {}), case.go) for case in parts)

    def _check_default(self, case: schema.CasePart, number: int, count: int) -> None:
        last = number == count - 1
        where = self._at("cases", number)
        if last and case.when:
            message = "the last case has no default, add one with go alone"
            self._builder.wrong(where, self._part.id, message)
        elif not last and not case.when:
            message = "a case without `when` hides those below it, move it to the end"
            self._builder.wrong(where, self._part.id, message)

    def _name(self) -> None:
        words: Iterable[str] = getattr(self._part, "words", ())
        name: str | None = getattr(self._part, "name", None)
        if words:
            self._say("words", ", ".join(words), "words")
            if name is None:
                message = "has words but no name, add `name:` of 1 to 4 words"
                self._builder.wrong(self._at("words"), self._part.id, message)
        if name is not None:
            self._say("name", name, "name")
