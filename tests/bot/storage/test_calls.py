"""A platform's call on its way to another process: sealed, in order, once, and then gone."""

from __future__ import annotations

import json
from datetime import timedelta

import pytest

from bot.channels.base import Call, Reply
from bot.privacy.vault import KeyDestroyed, Vault
from bot.storage import call_keys
from bot.storage.store import Store
from tests.bot.storage.conftest import Clock, everything, rows


def call(clock: Clock, key: str = "70000001", text: str = "той идва") -> Call:
    return Call(key, {"message": {"text": text, "chat": {"id": 5550002}}}, clock())


async def test_a_call_comes_out_as_it_went_in_and_says_nothing_on_the_disk(
    store: Store, clock: Clock
) -> None:
    given = call(clock)
    call_id = await store.hand_over("telegram", given)
    (found,) = await store.handed_over("telegram")
    assert (found.id, found.call) == (call_id, given)
    assert await store.handed_over("viber") == []
    at_rest = str(await everything(store))
    for word in ("70000001", "5550002", "той", "text"):
        assert word not in at_rest
    assert "той" not in f"{found} {given}"


async def test_calls_of_different_lengths_look_alike(store: Store, clock: Clock) -> None:
    for number, text in enumerate(("да", "д" * 30)):
        await store.hand_over("telegram", call(clock, str(number), text))
    assert len(set(await rows(store, "SELECT length(body) FROM calls"))) == 1


async def test_the_same_call_lies_there_once_and_calls_come_in_their_order(
    store: Store, clock: Clock
) -> None:
    first = await store.hand_over("telegram", call(clock, "9"))
    second = await store.hand_over("telegram", call(clock, "3"))
    assert await store.hand_over("telegram", call(clock, "9")) == first
    assert await store.hand_over("viber", call(clock, "9")) not in (first, second)
    assert [each.id for each in await store.handed_over("telegram")] == [first, second]
    assert [each.id for each in await store.handed_over("telegram", (first,))] == [second]


async def test_an_answer_is_fetched_once_and_takes_the_call_with_it(
    store: Store, clock: Clock
) -> None:
    call_id = await store.hand_over("viber", call(clock))
    assert await store.fetch_answer(call_id) is None
    await store.answer_call(call_id, Reply(200, '{"text":"Супа"}'.encode()))
    assert await store.handed_over("viber") == []
    assert "Супа" not in str(await everything(store))
    assert await store.fetch_answer(call_id) == Reply(200, '{"text":"Супа"}'.encode())
    assert await store.fetch_answer(call_id) is None
    assert (await store.counts())["calls"] == 0
    await store.answer_call(call_id, Reply(200))  # nobody waits for it any more


async def test_what_nobody_fetches_goes_and_what_nobody_took_stays_for_a_day(
    store: Store, clock: Clock
) -> None:
    taken = await store.hand_over("viber", call(clock, "1"))
    left = await store.hand_over("viber", call(clock, "2"))
    await store.answer_call(taken, Reply(200))
    clock.forward(seconds=59)
    await store.drop_calls()
    assert (await store.counts())["calls"] == 2
    clock.forward(seconds=1)
    await store.drop_calls()
    assert [each.id for each in await store.handed_over("viber")] == [left]
    await store.purge(clock.forward(hours=23))
    assert [each.id for each in await store.handed_over("viber")] == [left]
    assert (await store.purge(clock.forward(hours=1))).calls == 1
    assert await store.handed_over("viber") == []


async def test_a_call_that_cannot_be_opened_holds_up_no_other(store: Store, clock: Clock) -> None:
    await store.hand_over("viber", call(clock, "1"))
    good = await store.hand_over("viber", call(clock, "2"))
    await rows(store, "UPDATE calls SET body = (SELECT body FROM calls WHERE id = :id)", id=good)
    assert [each.id for each in await store.handed_over("viber")] == [good]


async def test_when_it_came_is_kept_to_the_moment(store: Store, clock: Clock) -> None:
    clock.moment += timedelta(microseconds=123456)
    await store.hand_over("viber", call(clock))
    assert (await store.handed_over("viber"))[0].call.at == clock.moment


async def test_once_it_is_taken_no_copy_opens_it_with_the_master_key(
    store: Store, clock: Clock, vault: Vault
) -> None:
    call_id = await store.hand_over("viber", call(clock))
    ((copy,),) = await rows(store, "SELECT body FROM calls")
    assert isinstance(copy, bytes)
    row = vault.mac("call", "viber", "70000001").hex()
    assert "той идва".encode() not in copy
    assert json.loads(call_keys.unseal(vault, row, copy))[0] == "70000001"
    await store.answer_call(call_id, Reply(200))
    ((left,),) = await rows(store, "SELECT body FROM calls")
    assert isinstance(left, bytes)
    assert call_keys.unseal(vault, row, left) == b"", "though nobody has fetched the answer yet"
    await store.fetch_answer(call_id)
    clock.forward(days=1)
    await store.purge(clock.moment)
    with pytest.raises(KeyDestroyed):
        call_keys.unseal(vault, row, copy)


async def test_a_call_that_waits_outlives_midnight_and_delete_everything(
    store: Store, clock: Clock, vault: Vault
) -> None:
    await store.open_case("viber", "1", "bg", None, None, "река")
    given = call(clock)
    await store.hand_over("viber", given)
    ((copy,),) = await rows(store, "SELECT body FROM calls")
    assert isinstance(copy, bytes)
    await store.forget("viber", "1")
    assert [each.call for each in await store.handed_over("viber")] == [given]
    with pytest.raises(KeyDestroyed):  # her day's key is gone all the same
        call_keys.unseal(vault, vault.mac("call", "viber", "70000001").hex(), copy)
    await store.purge(clock.forward(hours=12))
    assert [each.call for each in await store.handed_over("viber")] == [given]
