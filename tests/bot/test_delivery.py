"""The outbox: what was committed for her is sent once, in order, while her window is open."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest

from bot import delivery as delivery_of
from bot.channels.base import Gone, Outgoing, Refused, SendError, Throttled, Unknown, Unsent
from bot.delivery import remove_old
from bot.retry import ATTEMPTS as MAX_ATTEMPTS
from bot.storage.records import (
    CannotBeUndone,
    Case,
    CaseMessage,
    Lease,
    Medium,
    MediumKind,
    MessageState,
    StaffMember,
)
from dialogs import payload
from dialogs.model import CASE, CASE_ENDED, Position
from tests.bot.paper import HER, LastingPaper, Shell, a_shell, until


@pytest.fixture
async def shell(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Shell]:
    monkeypatch.setattr(delivery_of, "POLL_SECONDS", 0.05)
    async with a_shell(tmp_path, monkeypatch) as shell:
        yield shell


async def claimed(shell: Shell) -> tuple[Case, StaffMember]:
    """A case that somebody answers, with the notice of that on her screen."""
    case = await shell.opens_case()
    maria = await shell.consultant()
    assert await shell.phen.desk.claim(maria, case.id)
    await shell.deliver()
    return case, maria


async def states(shell: Shell, case: Case) -> dict[str, MessageState]:
    return {m.text: m.state for m in await shell.phen.store.messages(case.id)}


async def test_answers_come_in_their_order_under_the_consultants_role(shell: Shell) -> None:
    case, maria = await claimed(shell)
    for number in range(3):
        await shell.phen.desk.reply(maria, case.id, f"ред {number}", f"k{number}")
    for _ in range(3):
        await shell.deliver()
    assert shell.chat[-3:] == ["ред 0", "ред 1", "ред 2"]
    assert (await states(shell, case))["ред 2"] is MessageState.SENT


async def test_a_note_is_never_sent(shell: Shell) -> None:
    case, maria = await claimed(shell)
    await shell.phen.desk.note(maria, case.id, "само за нас", "n")
    await shell.deliver()
    assert "само за нас" not in shell.channel.shown


async def test_while_she_hides_everything_is_held_and_comes_when_she_is_back(shell: Shell) -> None:
    case, maria = await claimed(shell)
    await shell.taps("hide")
    await shell.phen.desk.reply(maria, case.id, "тук съм", "k")
    await shell.deliver()
    assert shell.chat == []
    await shell.taps("inside")
    await shell.deliver()
    assert shell.chat[-1] == "тук съм"


async def test_what_she_has_read_does_not_come_again(shell: Shell) -> None:
    case, maria = await claimed(shell)
    await shell.phen.desk.reply(maria, case.id, "тук съм", "k")
    await shell.deliver()
    await shell.taps("hide")
    await shell.taps("inside")
    await shell.deliver()
    assert shell.channel.shown.count("тук съм") == 1
    assert await shell.phen.delivery.unread(HER) == []


@pytest.mark.parametrize(
    ("fault", "state"),
    [(Unknown(), MessageState.UNKNOWN), (Refused(), MessageState.FAILED)],
    ids=["answer lost", "refused"],
)
async def test_what_may_have_arrived_or_never_will_waits_for_the_desk(
    shell: Shell, fault: SendError, state: MessageState
) -> None:
    case, maria = await claimed(shell)
    shell.channel.faults = [fault]
    await shell.phen.desk.reply(maria, case.id, "тук съм", "k")
    await shell.deliver()
    assert (await states(shell, case))["тук съм"] is state
    await shell.phen.desk.reply(maria, case.id, "и още", "k2")
    await shell.deliver()
    assert (await states(shell, case))["и още"] is MessageState.SENT


async def test_what_never_left_is_sent_again_and_a_human_sees_it_after_six_times(
    shell: Shell,
) -> None:
    case, maria = await claimed(shell)
    shell.channel.faults = [Unsent()] * MAX_ATTEMPTS
    await shell.phen.desk.reply(maria, case.id, "тук съм", "k")
    for _ in range(MAX_ATTEMPTS):
        assert (await states(shell, case))["тук съм"] is MessageState.DUE
        await shell.deliver()
        shell.clock.passes(minutes=8)
    assert (await states(shell, case))["тук съм"] is MessageState.FAILED


async def test_a_throttled_message_waits_as_long_as_it_was_told(shell: Shell) -> None:
    case, maria = await claimed(shell)
    shell.channel.faults = [Throttled(40)]
    await shell.phen.desk.reply(maria, case.id, "тук съм", "k")
    await shell.deliver()
    shell.clock.passes(seconds=39)
    await shell.deliver()
    assert "тук съм" not in shell.chat
    shell.clock.passes(seconds=2)
    await shell.deliver()
    assert shell.chat[-1] == "тук съм"


async def test_she_blocks_the_line_and_is_purged(shell: Shell) -> None:
    case, maria = await claimed(shell)
    shell.channel.faults = [Gone()]
    await shell.phen.desk.reply(maria, case.id, "тук съм", "k")
    await shell.deliver()
    assert not await shell.phen.store.knows(*HER)


async def test_a_database_away_after_a_send_does_not_end_the_case(
    shell: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    case, maria = await claimed(shell)
    store, refusals = shell.phen.store, [OSError(), OSError()]
    real = store.settle

    async def settle(outbox_id: int, state: MessageState, lease: Lease | None) -> bool:
        if refusals:
            raise refusals.pop()
        return await real(outbox_id, state, lease)

    monkeypatch.setattr(asyncio, "sleep", _soon(asyncio.sleep))
    monkeypatch.setattr(store, "settle", settle)
    await shell.phen.desk.reply(maria, case.id, "едно", "k")
    await shell.phen.desk.reply(maria, case.id, "две", "k2")
    await shell.deliver()
    await shell.deliver()
    assert shell.chat[-2:] == ["едно", "две"]
    assert shell.channel.shown.count("едно") == 1


def _soon(sleep):  # type: ignore[no-untyped-def]
    return lambda seconds: sleep(min(seconds, 0.01))


async def test_a_handle_that_could_not_be_kept_is_known_until_she_hides(
    shell: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    case, maria = await claimed(shell)

    async def fails(*_: object) -> None:
        raise OSError

    monkeypatch.setattr(shell.phen.store, "add_handles", fails)
    await shell.phen.desk.reply(maria, case.id, "тук съм", "k")
    await shell.deliver()
    assert (await states(shell, case))["тук съм"] is MessageState.SENT
    await shell.taps("hide")
    assert shell.chat == []


async def test_the_outbox_runs_by_itself_and_survives_a_database_away(
    shell: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    case, maria = await claimed(shell)
    running = asyncio.create_task(shell.phen.delivery.run())
    store, real, away = shell.phen.store, shell.phen.store.due, [1, 2]

    async def due(*args: object) -> object:
        if away:
            away.pop()
            raise OSError
        return await real(*args)  # type: ignore[arg-type]

    monkeypatch.setattr(store, "due", due)
    await shell.phen.desk.reply(maria, case.id, "тук съм", "k")
    await until(lambda: "тук съм" in shell.chat)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    await shell.phen.delivery.drain()


async def test_messages_of_a_case_leave_the_chat_after_a_day(shell: Shell) -> None:
    case, maria = await claimed(shell)
    await shell.phen.desk.reply(maria, case.id, "тук съм", "k")
    await shell.deliver()
    await remove_old(
        shell.phen.store, shell.phen.windows, shell.phen.delivery.served, shell.clock()
    )
    await shell.phen.windows.settled()
    assert "тук съм" in shell.chat
    shell.clock.at += timedelta(hours=24)
    await remove_old(
        shell.phen.store, shell.phen.windows, shell.phen.delivery.served, shell.clock()
    )
    await shell.phen.windows.settled()
    assert "тук съм" not in shell.chat


# --- a chat that keeps everything ----------------------------------------------------------


@pytest.fixture
async def lasting(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Shell]:
    async with a_shell(tmp_path, monkeypatch, channel=LastingPaper()) as shell:
        yield shell


async def replied(shell: Shell, text: str = "тук съм") -> tuple[Case, StaffMember, str]:
    """An answer that stands in her chat, and the platform's id of it."""
    case, maria = await claimed(shell)
    await shell.phen.desk.reply(maria, case.id, text, text)
    await shell.deliver()
    assert (await states(shell, case))[text] is MessageState.SENT
    return case, maria, list(shell.channel.chats["1"])[-1]


async def fails(shell: Shell, handle: str) -> None:
    """The platform says that it could not bring this message."""
    shell.phen.conversation.undelivered(*shell.her, handle)
    await shell.settled()


async def test_what_a_platform_could_not_bring_after_all_is_seen_at_the_desk(
    lasting: Shell,
) -> None:
    case, _, handle = await replied(lasting)
    async with lasting.phen.changes.listen() as changed:
        await fails(lasting, handle)
        assert changed.is_set()
    assert (await states(lasting, case))["тук съм"] is MessageState.FAILED


async def test_what_was_not_delivered_can_be_sent_again(lasting: Shell) -> None:
    case, maria, handle = await replied(lasting)
    await fails(lasting, handle)
    message = (await lasting.phen.store.messages(case.id))[-1]
    await lasting.phen.desk.resend(maria, case.id, message.id)
    await lasting.deliver()
    assert (await states(lasting, case))["тук съм"] is MessageState.SENT
    assert lasting.channel.shown.count("тук съм") == 2


async def test_what_was_not_delivered_a_second_time_is_seen_again(lasting: Shell) -> None:
    case, maria, handle = await replied(lasting)
    await fails(lasting, handle)
    message = (await lasting.phen.store.messages(case.id))[-1]
    await lasting.phen.desk.resend(maria, case.id, message.id)
    await lasting.deliver()
    await fails(lasting, list(lasting.channel.chats["1"])[-1])
    assert (await states(lasting, case))["тук съм"] is MessageState.FAILED


async def test_a_failure_told_before_its_send_was_settled_is_not_forgotten(
    lasting: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    case, maria = await claimed(lasting)
    store, real, told = lasting.phen.store, lasting.phen.store.settle, asyncio.Event()

    async def settle(outbox_id: int, state: MessageState, lease: Lease | None) -> bool:
        await told.wait()
        return await real(outbox_id, state, lease)

    monkeypatch.setattr(store, "settle", settle)
    await lasting.phen.desk.reply(maria, case.id, "тук съм", "k")
    delivering = asyncio.create_task(lasting.deliver())
    await until(lambda: "тук съм" in lasting.chat and lasting.phen.delivery._taken)
    await fails(lasting, list(lasting.channel.chats["1"])[-1])
    assert (await states(lasting, case))["тук съм"] is MessageState.FAILED
    told.set()
    await delivering
    assert (await states(lasting, case))["тук съм"] is MessageState.FAILED


async def test_a_failure_told_before_the_answer_to_its_send_is_not_forgotten(
    lasting: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    case, maria = await claimed(lasting)
    real = lasting.channel.show

    async def show(address: str, message: Outgoing, window: str | None) -> str:
        handle = await real(address, message, window)
        await lasting.phen.delivery.undelivered(lasting.her, handle)
        return handle

    monkeypatch.setattr(lasting.channel, "show", show)
    await lasting.phen.desk.reply(maria, case.id, "тук съм", "k")
    await lasting.deliver()
    assert (await states(lasting, case))["тук съм"] is MessageState.FAILED


async def test_a_failure_of_what_was_never_a_message_of_a_case_changes_nothing(
    lasting: Shell,
) -> None:
    case, _, _ = await replied(lasting)
    async with lasting.phen.changes.listen() as changed:
        await fails(lasting, "no such message")
        await fails(lasting, "1")  # her window
        assert not changed.is_set()
    assert set((await states(lasting, case)).values()) == {MessageState.SENT}


async def test_another_womans_failure_does_not_touch_hers(lasting: Shell) -> None:
    case, _, handle = await replied(lasting)
    lasting.phen.conversation.undelivered(lasting.her.channel, "2", handle)
    await lasting.settled()
    assert (await states(lasting, case))["тук съм"] is MessageState.SENT


async def test_no_handle_of_a_chat_that_keeps_everything_is_stored(lasting: Shell) -> None:
    await replied(lasting)
    await lasting.types("и аз")
    assert await lasting.phen.store.kept_handles(*lasting.her) == []
    assert (await lasting.phen.store.counts())["handles"] == 0


async def test_the_memory_of_what_was_sent_is_bounded(
    lasting: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(delivery_of, "MAX_TAKEN", 3)
    case, maria, _ = await replied(lasting)
    for number in range(5):
        await lasting.phen.desk.reply(maria, case.id, f"ред {number}", f"k{number}")
        await lasting.deliver()
    assert len(lasting.phen.delivery._taken) == 3
    await fails(lasting, list(lasting.channel.chats["1"])[-1])
    assert (await states(lasting, case))["ред 4"] is MessageState.FAILED


async def test_a_message_of_a_case_brings_the_keyboard_to_a_chat_that_keeps_everything(
    lasting: Shell,
) -> None:
    await replied(lasting)
    window = next(message for message in lasting.channel.sent if message.window)
    answer = lasting.channel.sent[-1]
    assert answer.choices == window.choices != ()
    assert answer.marks == window.marks != ()
    assert answer.position == Position("bg", CASE)


async def test_the_good_bye_brings_the_keyboard_of_a_case_that_has_ended(lasting: Shell) -> None:
    case, maria, _ = await replied(lasting)
    await lasting.phen.desk.close(maria, case.id)
    await lasting.deliver()
    good_bye = lasting.channel.sent[-1]
    assert good_bye.position == Position("bg", CASE_ENDED)
    leads = [payload.unpack(choice.payload) for choice in good_bye.choices]
    assert [to.node for to in leads if to] == ["home", "forget"]


# --- a consultant's voice ------------------------------------------------------------------------


VOICE = b"OggS: a voice"


def voices(shell: Shell) -> list[bytes]:
    """The voices that came to her."""
    return [message.voice for message in shell.channel.sent if message.voice is not None]


async def spoken(shell: Shell) -> tuple[Case, CaseMessage]:
    """A voice note in the outbox."""
    case, maria = await claimed(shell)
    voice = Medium(MediumKind.VOICE, VOICE)
    return case, await shell.phen.desk.say(maria, case.id, voice, "k")


async def test_a_voice_is_sent_once_and_nothing_of_it_is_kept(shell: Shell) -> None:
    _, message = await spoken(shell)
    await shell.deliver()
    assert voices(shell) == [VOICE]
    assert await shell.phen.store.medium(message.id) is None
    assert shell.chat[-1] == shell.phen.texts.say("bg", "case.voice")


async def test_a_voice_is_held_while_she_hides_and_kept_until_it_is_sent(shell: Shell) -> None:
    _, message = await spoken(shell)
    await shell.taps("hide")
    await shell.deliver()
    assert voices(shell) == []
    assert await shell.phen.store.medium(message.id) is not None
    await shell.taps("inside")
    await shell.deliver()
    assert voices(shell) == [VOICE]


async def test_a_voice_that_was_refused_waits_for_the_desk_and_can_be_sent_again(
    shell: Shell,
) -> None:
    case, message = await spoken(shell)
    shell.channel.faults = [Refused()]
    await shell.deliver()
    assert (await states(shell, case))[message.text] is MessageState.FAILED
    assert await shell.phen.store.resend(message.id)
    await shell.deliver()
    assert voices(shell) == [VOICE]


async def test_a_voice_that_is_kept_no_longer_is_not_replaced_by_its_words(shell: Shell) -> None:
    case, message = await spoken(shell)
    await shell.deliver()
    assert await shell.phen.store.not_delivered(message.id)
    assert await shell.phen.store.resend(message.id)
    before = list(shell.chat)
    assert [each.voice for each in await shell.phen.delivery.unread(HER)] == []
    await shell.deliver()
    assert shell.chat == before
    assert (await states(shell, case))[message.text] is MessageState.FAILED


async def test_a_page_without_a_stream_is_given_the_voice_with_its_message(shell: Shell) -> None:
    await spoken(shell)
    [unread] = await shell.phen.delivery.unread(HER)
    assert unread.voice == VOICE
    assert "Ogg" not in repr(unread)


# --- what was said is corrected or taken back ----------------------------------------------------


async def answered(shell: Shell) -> tuple[Case, StaffMember, str]:
    """Her chat ends with two answers; the first one's id."""
    case, maria = await claimed(shell)
    first = await shell.phen.desk.reply(maria, case.id, "Утре в 9.", "k1")
    await shell.phen.desk.reply(maria, case.id, "Тук съм.", "k2")
    for _ in range(2):
        await shell.deliver()
    assert shell.chat[-2:] == ["Утре в 9.", "Тук съм."]
    return case, maria, first.id


async def state_of(shell: Shell, case: Case, message_id: str) -> MessageState:
    (found,) = [m.state for m in await shell.phen.store.messages(case.id) if m.id == message_id]
    return found


async def test_a_correction_stands_where_the_old_words_stood(shell: Shell) -> None:
    case, maria, message = await answered(shell)
    await shell.phen.desk.correct(maria, case.id, message, "Утре в 10.")
    await shell.deliver()
    assert shell.chat[-2:] == ["Утре в 10.", "Тук съм."]
    assert await state_of(shell, case, message) is MessageState.SENT


async def test_what_is_taken_back_leaves_her_chat_and_its_handle_is_forgotten(
    shell: Shell,
) -> None:
    case, maria, message = await answered(shell)
    kept = len(await shell.phen.store.kept_handles(*HER))
    await shell.phen.desk.take_back(maria, case.id, message)
    await shell.deliver()
    assert "Утре в 9." not in shell.chat
    assert shell.chat[-1] == "Тук съм."
    assert await state_of(shell, case, message) is MessageState.TAKEN_BACK
    assert len(await shell.phen.store.kept_handles(*HER)) == kept - 1


async def test_a_correction_does_not_overtake_what_it_corrects(shell: Shell) -> None:
    case, maria = await claimed(shell)
    message = await shell.phen.desk.reply(maria, case.id, "Утре в 9.", "k")
    await shell.phen.desk.correct(maria, case.id, message.id, "Утре в 10.")
    assert (await shell.phen.delivery.unread(shell.her))[-1].edited, "her page may have the older"
    await shell.deliver()
    assert shell.channel.shown[-1] == "Утре в 10."
    assert "Утре в 9." not in shell.channel.shown


async def test_what_was_corrected_while_it_was_about_to_leave_comes_corrected(
    shell: Shell,
) -> None:
    case, maria = await claimed(shell)
    message = await shell.phen.desk.reply(maria, case.id, "Утре в 9.", "k")
    [due] = await shell.phen.store.due(shell.clock(), shell.phen.delivery.served)
    await shell.phen.desk.correct(maria, case.id, message.id, "Утре в 10.")
    await shell.phen.delivery._deliver(due)
    assert shell.channel.shown[-1] == "Утре в 10."
    assert await state_of(shell, case, message.id) is MessageState.SENT


async def test_after_hide_there_is_nothing_to_correct_and_nothing_comes_back(
    shell: Shell,
) -> None:
    case, maria, message = await answered(shell)
    await shell.phen.desk.correct(maria, case.id, message, "Утре в 10.")
    await shell.taps("hide")
    assert await state_of(shell, case, message) is MessageState.SENT
    await shell.taps("inside")
    await shell.deliver()
    assert "Утре в 10." not in [*shell.chat, *shell.channel.shown]


async def test_while_nobody_looks_a_correction_waits(shell: Shell) -> None:
    case, maria, message = await answered(shell)
    shell.phen.windows.left(HER)
    await shell.phen.desk.correct(maria, case.id, message, "Утре в 10.")
    await shell.deliver()
    assert await state_of(shell, case, message) is MessageState.CORRECTING
    assert "Утре в 9." in shell.chat
    await shell.taps("inside")
    await shell.deliver()
    assert "Утре в 10." in shell.chat


@pytest.mark.parametrize("fault", [Unknown(), Unsent(), Throttled(1)], ids=repr)
async def test_a_correction_that_may_have_come_is_simply_made_again(
    shell: Shell, fault: SendError
) -> None:
    case, maria, message = await answered(shell)
    shell.channel.faults = [fault]
    await shell.phen.desk.correct(maria, case.id, message, "Утре в 10.")
    await shell.deliver()
    assert await state_of(shell, case, message) is MessageState.CORRECTING
    shell.clock.passes(minutes=1)
    await shell.deliver()
    assert "Утре в 10." in shell.chat
    assert await state_of(shell, case, message) is MessageState.SENT


async def test_a_correction_that_is_refused_says_that_the_old_words_stand(shell: Shell) -> None:
    case, maria, message = await answered(shell)
    shell.channel.faults = [Refused()]
    await shell.phen.desk.correct(maria, case.id, message, "Утре в 10.")
    await shell.deliver()
    assert await state_of(shell, case, message) is MessageState.UNCORRECTED
    await shell.phen.desk.correct(maria, case.id, message, "Утре в 10.")
    await shell.deliver()
    assert "Утре в 10." in shell.chat


async def test_what_could_not_be_taken_back_says_that_it_still_stands(shell: Shell) -> None:
    case, maria, message = await answered(shell)
    shell.channel.removals = [Refused()]
    await shell.phen.desk.take_back(maria, case.id, message)
    await shell.deliver()
    assert "Утре в 9." in shell.chat
    assert await state_of(shell, case, message) is MessageState.NOT_TAKEN


async def test_into_a_chat_that_keeps_everything_nothing_is_corrected(lasting: Shell) -> None:
    case, maria, _ = await replied(lasting)
    message = (await lasting.phen.store.messages(case.id))[-1].id
    with pytest.raises(CannotBeUndone):
        await lasting.phen.desk.correct(maria, case.id, message, "друго")
    with pytest.raises(CannotBeUndone):
        await lasting.phen.desk.take_back(maria, case.id, message)
    await lasting.deliver()
    assert lasting.channel.asked == []  # type: ignore[attr-defined]
