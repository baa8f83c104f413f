"""One thing that an author must still do."""

from __future__ import annotations

from dataclasses import dataclass

from dialogs.model import Language, Source


@dataclass(frozen=True, slots=True)
class Problem:
    """What is wrong, where, and what to do. `code` names the rule."""

    file: str
    line: int
    node: str
    language: Language | None
    message: str
    code: str

    @classmethod
    def at(
        cls, where: Source, node: str, code: str, message: str, language: Language | None = None
    ) -> Problem:
        return cls(where.file, where.line, node, language, message, code)

    def __str__(self) -> str:
        language = f" [{self.language}]" if self.language else ""
        return f"{self.file}:{self.line}: {self.node}{language}: {self.message} ({self.code})"
