"""What both faces of the desk say about a case, its messages and a colleague."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Iterable
from datetime import datetime, timedelta
from functools import partial

from bot.bell import is_new
from bot.desk.service import UNSETTLED, CaseView, Desk
from bot.storage.records import Author, Block, Case, CaseMessage, MessageState, StaffMember
from bot.texts import ZONE, Texts
from dialogs.model import SOURCE_LANGUAGE


class Words:
    """Sentences of the content with what is known filled in."""

    def __init__(self, texts: Texts, desk: Desk, now: Callable[[], datetime]) -> None:
        self._texts = texts
        self._say = partial(texts.say, SOURCE_LANGUAGE)
        self._age_of = desk.age
        self._now = now

    # --- a case ----------------------------------------------------------------------------

    def age(self, case: Case) -> str:
        """How long she has waited: minutes, then hours, then days."""
        return age(self._say, self._age_of(case))

    def language(self, case: Case) -> str:
        return self._name("desk.language", case.language)

    def channel(self, case: Case) -> str:
        return self._name("desk.channel", case.channel)

    def topic(self, case: Case) -> str:
        known = case.topic if case.topic in self._texts else None
        return self._say(known or "desk.not_given")

    def place(self, case: Case) -> str:
        return self._name("place", case.place) if case.place else self._say("desk.not_given")

    def time(self, at: datetime) -> str:
        """The hour; with the day where it was not today. Figures only, so for any language."""
        local, today = at.astimezone(ZONE), self._now().astimezone(ZONE).date()
        return local.strftime("%H:%M" if local.date() == today else "%d.%m. %H:%M")

    def is_new(self, case: Case) -> bool:
        return is_new(case)

    def bell(self, case: Case) -> int:
        """A number that rises with every ring, for the open page; 0 where nothing rings.

        A case that appears rings on the page at once, so its first round is no second ring.
        """
        if case.claimed_by is None or case.passed_at is not None:
            return max(1, case.bell_round)
        return max(0, case.bell_round) if is_new(case) else 0

    def blocked(self, block: Block) -> str:
        """That nothing is taken from this address, and how long."""
        if block.until is None:
            return self._say("desk.block.for_case")
        return self._say("desk.block.until", at=self.time(block.until))

    # --- a message -------------------------------------------------------------------------

    def author(self, message: CaseMessage, view: CaseView) -> str:
        """Who wrote it; what a colleague wrote before the case was handed over, by her name."""
        told = self._say(f"desk.author.{message.author.value}")
        if message.staff_id in (None, view.case.claimed_by):
            return told
        name = view.colleagues.get(str(message.staff_id), self._say("desk.author.colleague"))
        return f"{told}, {name}" if message.author is Author.NOTE else name

    def state(self, message: CaseMessage, case: Case) -> str:
        """What became of a message to her; empty for hers and for notes."""
        if message.state is MessageState.KEPT:
            return ""
        return self._say(f"desk.state.{standing(message, case)}")

    def undecided(self, message: CaseMessage) -> bool:
        return message.state in UNSETTLED

    def shown(self, message: CaseMessage) -> str:
        """The text as it may stand on the desk."""
        return neutral(message.text) if message.author is Author.WOMAN else message.text

    # --- a colleague -----------------------------------------------------------------------

    def name(self, member: StaffMember) -> str:
        return member.alias or member.login

    def languages(self, member: StaffMember) -> str:
        return ", ".join(self._name("desk.language", each) for each in sorted(member.languages))

    def first(self, members: Iterable[StaffMember], language: str) -> list[StaffMember]:
        """Those who speak her language before the others."""
        return sorted(members, key=lambda each: language not in each.languages)

    def _name(self, group: str, code: str) -> str:
        text_id = f"{group}.{code}"
        return self._say(text_id) if text_id in self._texts else code


def age(say: Callable[..., str], span: timedelta) -> str:
    """How long something lasts: minutes, then hours, then days."""
    minutes = span // timedelta(minutes=1)
    if minutes < 1:
        return say("desk.age.now")
    if minutes < 60:
        return say("desk.age.minutes", n=minutes)
    hours, minutes = divmod(minutes, 60)
    if hours < 24:
        return say("desk.age.hours", h=hours, m=minutes)
    return say("desk.age.days", d=hours // 24, h=hours % 24)


def standing(message: CaseMessage, case: Case) -> str:
    """The name of its state; `held` is what waits until she is back."""
    held = message.state is MessageState.DUE and not case.present
    return "held" if held else message.state.value


def neutral(text: str) -> str:
    """Her text without what changes how the text around it reads.

    Direction marks, zero-width and other invisible characters go; so does the fourth and every
    further accent on one letter.
    """
    shown: list[str] = []
    accents = 0
    for char in text:
        kind = unicodedata.category(char)
        accents = accents + 1 if kind in ("Mn", "Me") else 0
        if char in "\n\t" or (kind not in ("Cc", "Cf", "Co", "Cs", "Cn") and accents <= 3):
            shown.append(char)
    return "".join(shown)
