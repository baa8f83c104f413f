"""What stands below a screen's own text, known to the shell alone: dates, and who is there."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from bot.storage.records import Case, CaseState
from bot.storage.store import Store
from bot.texts import Texts
from bot.watch import Watch
from dialogs.model import PLACE_SLOT, Fill, Language, Screen
from scheduler import plan
from scheduler.model import Reception, ReceptionState


class Fills:
    """Fills a screen; nothing of it depends on who looks at it but her case."""

    def __init__(
        self,
        texts: Texts,
        store: Store,
        now: Callable[[], datetime],
        watch: Watch,
    ) -> None:
        self._texts = texts
        self._store = store
        self._now = now
        self._watch = watch

    async def of(self, screen: Screen, case: Case | None) -> str:
        """The words to add to a screen, or none. `case` is hers, if one is open."""
        language = screen.position.language
        match screen.fill:
            case Fill.RECEPTIONS:
                return await self._receptions(language, screen.position.answer(PLACE_SLOT))
            case Fill.DUTY:
                return await self._watch.words(language)
            case Fill.CASE:
                return await self.of_case(language, case)
            case _:
                return ""

    async def of_case(self, language: Language, case: Case | None) -> str:
        """Whether somebody has answered her; else whether somebody can, and when."""
        if case is not None and case.state is CaseState.CLAIMED:
            return self._texts.say(language, "case.answered")
        if await self._watch.anybody():
            return self._texts.say(language, "case.waiting")
        return "\n\n".join(
            (await self._watch.words(language), self._texts.say(language, "notice.out_of_hours"))
        )

    async def _receptions(self, language: Language, code: str | None) -> str:
        if code is None:
            return self._texts.say(language, "no_receptions.text")
        now = self._now()
        coming = plan.upcoming(await self._store.receptions(code, now), code, now)
        if not coming:
            return self._texts.say(language, "no_receptions.text")
        return "\n\n".join(reception_words(self._texts, language, each, now) for each in coming)


def reception_words(texts: Texts, language: Language, reception: Reception, now: datetime) -> str:
    """When and where one reception is, and whether it was moved or cancelled."""
    lines = [
        texts.say(
            language,
            "receptions.line",
            when=texts.when(language, reception.start, reception.end, now),
            place=reception.place,
            landmark=reception.landmark,
        ).rstrip()
    ]
    if reception.state is not ReceptionState.PLANNED:
        lines.append(texts.say(language, f"receptions.{reception.state.value}"))
    return "\n".join(lines)
