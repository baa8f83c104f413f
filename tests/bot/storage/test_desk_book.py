"""Prepared answers and the stop switch."""

from __future__ import annotations

from dataclasses import replace

import pytest

from bot.storage.records import Prepared, ShortcutTaken
from bot.storage.store import Store


async def test_an_answer_is_added_changed_and_deleted(store: Store) -> None:
    added = await store.save_prepared(Prepared("", "bg", "112", "Обади се на 112."))
    assert added.id
    changed = replace(added, text="Ако е спешно: 112.")
    assert await store.save_prepared(changed) == changed
    assert await store.prepared() == [changed]
    assert await store.delete_prepared(added.id)
    assert not await store.delete_prepared(added.id)
    assert await store.prepared() == []


async def test_a_shortcut_belongs_to_one_answer_of_a_language(store: Store) -> None:
    one = await store.save_prepared(Prepared("", "bg", "112", "а"))
    two = await store.save_prepared(Prepared("", "bg", "суд", "б"))
    turkish = await store.save_prepared(Prepared("", "tr", "112", "c"))
    for taken in (Prepared("", "bg", "112", "в"), replace(two, shortcut="112")):
        with pytest.raises(ShortcutTaken):
            await store.save_prepared(taken)
    assert await store.prepared() == [one, two, turkish], "by language and shortcut"


async def test_an_answer_that_a_colleague_deleted_meanwhile_is_kept_as_a_new_one(
    store: Store,
) -> None:
    lost = await store.save_prepared(Prepared("", "bg", "112", "а"))
    await store.delete_prepared(lost.id)
    again = await store.save_prepared(lost)
    assert again.id != lost.id
    assert await store.prepared() == [again]


async def test_the_line_is_stopped_and_goes_on_and_twice_is_no_error(store: Store) -> None:
    assert not await store.stopped()
    for stopped in (True, True, False, False):
        await store.set_stopped(stopped)
        assert await store.stopped() is stopped
