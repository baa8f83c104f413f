"""The shape of the content's files: checks them, and is published as JSON Schema for editors."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import date
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import (
    BaseModel,
    ConfigDict,
    Discriminator,
    Field,
    StringConstraints,
    Tag,
    TypeAdapter,
)
from typing_extensions import TypeAliasType

from dialogs.model import MAX_CHECKLIST_ITEMS, MAX_CHOICES, MAX_NODE_ID, Confidence

_SCHEMAS = Path(__file__).parent / "schema"

Id = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]*$", max_length=MAX_NODE_ID)]
FactName = Annotated[str, StringConstraints(pattern=r"^[A-Z]+-[0-9]+$")]
Answer = Annotated[str, StringConstraints(pattern=r"^[0-9a-z]{1,8}$")]
Slot = Annotated[str, StringConstraints(pattern=r"^[a-cfh-lnp-z]$")]
"""One letter; d, e, g, m and o are the engine's own (link, misses, page, place, outside)."""
Text = Annotated[str, StringConstraints(min_length=1, strip_whitespace=True)]
LanguageCode = Annotated[str, StringConstraints(pattern=r"^[a-z]{2,3}$")]


class Part(BaseModel):
    """Strict: a key that is misspelt is an error, never ignored."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class ChoicePart(Part):
    say: Text
    go: Id


class AnswerPart(ChoicePart):
    value: Answer


class LastingChoicePart(ChoicePart):
    on_page: Annotated[bool, Field(strict=False)] = False


class CasePart(Part):
    when: dict[Slot | Literal["m"], Answer] | None = None
    go: Id


class EntryPart(Part):
    menu: Id
    say: Text
    go: Id
    order: Annotated[int, Field(strict=False)]


Choices = Annotated[list[ChoicePart], Field(max_length=MAX_CHOICES)]


class NodePart(Part):
    id: Id


class ScreenPart(NodePart):
    """What every node with a screen has."""

    text: Text
    lasting_text: Text | None = None
    back: Id | None = None
    picture: Id | None = None
    facts: list[FactName] = []
    name: Text | None = None
    words: list[Text] = []


class CoverPart(ScreenPart):
    kind: Literal["cover"]
    choices: Choices = []


class LanguagesPart(ScreenPart):
    kind: Literal["languages"]
    go: Id


class ArrivePart(NodePart):
    kind: Literal["arrive"]
    go: Id


class LastingPart(ScreenPart):
    kind: Literal["lasting"]
    go: Id
    choices: Annotated[list[LastingChoicePart], Field(min_length=1, max_length=MAX_CHOICES)]


class PagePart(ScreenPart):
    kind: Literal["page"] = "page"
    choices: Choices = []
    fill: Literal["duty", "reminders"] | None = None


class MenuPart(ScreenPart):
    kind: Literal["menu"]
    choices: Choices = []


class QuestionPart(ScreenPart):
    kind: Literal["question"]
    slot: Slot
    choices: Annotated[list[AnswerPart], Field(min_length=1, max_length=MAX_CHOICES)]


class NudgePart(ScreenPart):
    """A question about ringing her; where nothing can ring she goes to `go` without it."""

    kind: Literal["nudge"]
    slot: Slot
    go: Id
    choices: Annotated[list[AnswerPart], Field(min_length=1, max_length=MAX_CHOICES)]


class RemindPart(ScreenPart):
    """A question about a reminder; where nothing can ring she goes to `go` without it."""

    kind: Literal["remind"]
    slot: Slot
    go: Id
    choices: Annotated[list[AnswerPart], Field(min_length=1, max_length=MAX_CHOICES)]


class SetReminderPart(NodePart):
    kind: Literal["set_reminder"]
    go: Id


class RenewReminderPart(NodePart):
    kind: Literal["renew_reminder"]
    go: Id


class StopRemindersPart(NodePart):
    """The tap can come from her phone at any time, so `go` is a cover."""

    kind: Literal["stop_reminders"]
    go: Id


class ResultPart(NodePart):
    kind: Literal["result"]
    cases: Annotated[list[CasePart], Field(min_length=1)]


class ChecklistPart(ScreenPart):
    kind: Literal["checklist"]
    slot: Slot
    items: Annotated[dict[Id, Text], Field(min_length=1, max_length=MAX_CHECKLIST_ITEMS)]
    choices: Annotated[list[ChoicePart], Field(max_length=2)] = []


class PlacesPart(ScreenPart):
    kind: Literal["places"]
    go: Id
    choices: Annotated[list[ChoicePart], Field(max_length=1)] = []


class ReceptionsPart(ScreenPart):
    kind: Literal["receptions"]
    choices: Choices = []


class OpenCasePart(NodePart):
    kind: Literal["open_case"]
    go: Id


class CaseWindowPart(ScreenPart):
    kind: Literal["case"]
    choices: Choices = []


class EndCasePart(NodePart):
    kind: Literal["end_case"]
    go: Id


class AllowMediaPart(NodePart):
    kind: Literal["allow_media"]
    go: Id


class HidePart(NodePart):
    kind: Literal["hide"]
    covers: list[Id] = []


class ForgetPart(NodePart):
    kind: Literal["forget"]
    go: Id


class SuggestPart(ScreenPart):
    kind: Literal["suggest"]
    choices: Annotated[list[ChoicePart], Field(max_length=1)] = []


def _kind(data: Any) -> str:
    found = data.get("kind", "page") if isinstance(data, Mapping) else getattr(data, "kind", "page")
    return str(found)


AnyNode = Annotated[
    Annotated[CoverPart, Tag("cover")]
    | Annotated[LanguagesPart, Tag("languages")]
    | Annotated[ArrivePart, Tag("arrive")]
    | Annotated[LastingPart, Tag("lasting")]
    | Annotated[PagePart, Tag("page")]
    | Annotated[MenuPart, Tag("menu")]
    | Annotated[QuestionPart, Tag("question")]
    | Annotated[NudgePart, Tag("nudge")]
    | Annotated[RemindPart, Tag("remind")]
    | Annotated[SetReminderPart, Tag("set_reminder")]
    | Annotated[RenewReminderPart, Tag("renew_reminder")]
    | Annotated[StopRemindersPart, Tag("stop_reminders")]
    | Annotated[ResultPart, Tag("result")]
    | Annotated[ChecklistPart, Tag("checklist")]
    | Annotated[PlacesPart, Tag("places")]
    | Annotated[ReceptionsPart, Tag("receptions")]
    | Annotated[OpenCasePart, Tag("open_case")]
    | Annotated[CaseWindowPart, Tag("case")]
    | Annotated[EndCasePart, Tag("end_case")]
    | Annotated[AllowMediaPart, Tag("allow_media")]
    | Annotated[HidePart, Tag("hide")]
    | Annotated[ForgetPart, Tag("forget")]
    | Annotated[SuggestPart, Tag("suggest")],
    Discriminator(_kind),
]


class TopicFile(Part):
    """One file of `topics/`."""

    topic: Id
    title: Text
    picture: Id
    entry: EntryPart | None = None
    nodes: Annotated[list[AnyNode], Field(min_length=1)]


class FactPart(Part):
    id: FactName
    says: Text
    value: str = ""
    phone: Annotated[str, StringConstraints(pattern=r"^\+?[0-9]{3,15}$")] | None = None
    source: str = ""
    confidence: Annotated[Confidence, Field(strict=False)]
    checked_on: Annotated[date, Field(strict=False)]
    checked_by: str = ""
    expires_on: Annotated[date, Field(strict=False)] | None


class PlacePart(Part):
    code: Answer
    ekatte: Annotated[str, StringConstraints(pattern=r"^[0-9]{5}$")]
    name: Text


Phrases = TypeAliasType("Phrases", "Text | dict[str, Phrases]")
"""A sentence, or more names."""


class WordsFile(Part):
    """`words.yaml`: what hides the window, leads to 112 at once, and ends reminders."""

    safe: dict[LanguageCode, list[Text]]
    danger: dict[LanguageCode, list[Text]]
    stop: dict[LanguageCode, list[Text]]


TOPIC = TypeAdapter(TopicFile)
FACTS = TypeAdapter(list[FactPart])
PLACES = TypeAdapter(list[PlacePart])
PHRASES: TypeAdapter[dict[str, Phrases]] = TypeAdapter(dict[str, Phrases])
"""Nested names, texts at the ends."""
WORDS = TypeAdapter(WordsFile)

FILES: Mapping[str, TypeAdapter[Any]] = {
    "topic": TOPIC,
    "facts": FACTS,
    "places": PLACES,
    "phrases": PHRASES,
    "words": WORDS,
}


def schemas() -> dict[str, str]:
    """The JSON Schema of each kind of file, by the name of its schema file."""
    return {
        f"{name}.schema.json": json.dumps(
            shape.json_schema(), ensure_ascii=False, indent=2, sort_keys=True
        )
        + "\n"
        for name, shape in FILES.items()
    }


def write_schemas(folder: Path = _SCHEMAS) -> list[Path]:
    """Write the schema files; editors read them beside the content."""
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    for name, text in schemas().items():
        (folder / name).write_text(text, encoding="utf-8")
        written.append(folder / name)
    return written
