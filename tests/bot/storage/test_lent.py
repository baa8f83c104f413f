"""A voice that is fetched: by whoever has its address, for minutes, and no longer than its case."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from bot.links import LENT_MINUTES, MEDIA, Lent, Links
from bot.privacy.vault import Tampered, Vault
from bot.storage import lent as lent_of
from bot.storage.store import Store
from tests.bot.storage.conftest import Clock, everything, rows

OURS = "https://line.example"
VOICE = b"OggS what-nobody-else-may-hear"
LENDS = timedelta(minutes=LENT_MINUTES)


def linking(store: Store, vault: Vault, clock: Clock) -> Links:
    return Links(vault, OURS, (), clock, store)


@pytest.fixture
async def links(store: Store, vault: Vault, clock: Clock) -> Links:
    for address in ("1", "2"):
        await store.open_case("viber", address, "bg", None, None, f"река {address}")
    return linking(store, vault, clock)


async def lend(links: Links, address: str = "1", voice: bytes = VOICE, suffix: str = ".ogg") -> str:
    """The last part of its address."""
    url = await links.lend("viber", address, voice, suffix)
    assert url is not None
    assert url.startswith(f"{OURS}{MEDIA}")
    return url.removeprefix(f"{OURS}{MEDIA}")


async def test_a_voice_can_be_fetched_for_ten_minutes_as_often_as_a_platform_wants(
    links: Links, store: Store, clock: Clock
) -> None:
    file = await lend(links)
    for after in (timedelta(0), timedelta(minutes=5), timedelta(minutes=4, seconds=59)):
        clock.moment += after
        assert await links.find(file) == Lent(VOICE, "audio/ogg")
    clock.forward(seconds=1)
    assert await links.find(file) is None
    assert (await store.counts())["lent"] == 0


async def test_any_process_can_give_it(links: Links, url: str, vault: Vault, clock: Clock) -> None:
    file = await lend(links)
    other = await Store.open(url, vault, clock)
    try:
        assert await linking(other, vault, clock).find(file) == Lent(VOICE, "audio/ogg")
    finally:
        await other.close()


async def test_the_address_of_a_voice_says_nothing_and_it_stands_nowhere_in_clear(
    links: Links, store: Store, clock: Clock, tmp_path: Path
) -> None:
    names = {
        await lend(links), await lend(links, "2"), await lend(links, voice=VOICE + b"!"),
        await lend(links, suffix=".mp3"),
    }  # fmt: skip
    assert len({Path(name).stem for name in names}) == 3
    assert {len(name) for name in names} == {36}
    others = Links(Vault(bytes(32), tmp_path), OURS, (), clock, store)
    assert await lend(others) not in names
    assert b"nobody-else" not in b"".join(
        part for row in await everything(store) for part in row if isinstance(part, bytes)
    )
    assert "nobody-else" not in repr(await links.find(names.pop()))


async def test_a_voice_lent_again_lies_at_the_same_place_for_ten_minutes_more(
    links: Links, clock: Clock
) -> None:
    file = await lend(links)
    clock.forward(minutes=9)
    assert await lend(links) == file
    clock.forward(minutes=9)
    assert await links.find(file) is not None


async def test_what_is_made_of_a_voice_lies_beside_it_and_no_longer(
    links: Links, store: Store, clock: Clock
) -> None:
    file, music = await lend(links), "0" * 32 + ".mp3"
    clock.forward(minutes=9)
    for _ in range(2):
        await links.lay_beside(file, music, b"ID3")
    assert await links.find(music) == Lent(b"ID3", "audio/mpeg")
    clock.forward(minutes=1)
    assert await links.find(music) is None
    await links.lay_beside(file, music, b"ID3")  # it was made too late
    assert (await store.counts())["lent"] == 0


async def test_delete_everything_takes_her_voices_at_once_and_nobody_elses(
    links: Links, store: Store
) -> None:
    hers, other = await lend(links), await lend(links, "2")
    await links.lay_beside(hers, "0" * 32 + ".mp3", b"ID3")
    await store.forget("viber", "1")
    assert await links.find(hers) is None
    assert await links.find("0" * 32 + ".mp3") is None
    assert await links.find(other) is not None
    assert (await store.counts())["lent"] == 1


async def test_when_she_hides_nothing_more_of_hers_is_fetched_until_it_is_lent_again(
    links: Links, store: Store
) -> None:
    hers, other = await lend(links), await lend(links, "2")
    for _ in range(2):
        await store.take_back_lent("viber", "1")
    assert await links.find(hers) is None
    assert await links.find(other) is not None
    assert await lend(links) == hers
    assert await links.find(hers) is not None


async def test_who_has_no_case_is_lent_nothing(links: Links, store: Store) -> None:
    assert await links.lend("viber", "3", VOICE, ".ogg") is None
    assert await links.lend("web", "1", VOICE, ".ogg") is None
    await store.forget("viber", "1")
    assert await links.lend("viber", "1", VOICE, ".ogg") is None
    assert (await store.counts())["lent"] == 0


async def test_a_voice_of_a_closed_case_can_still_be_fetched(links: Links, store: Store) -> None:
    case = await store.case_of("viber", "1")
    assert case is not None
    await store.close_case(case.id, None, "ended")
    assert await links.find(await lend(links)) is not None


async def test_the_purge_deletes_what_is_over(links: Links, store: Store, clock: Clock) -> None:
    await lend(links)
    assert (await store.purge(clock.forward(minutes=9))).lent == 0
    assert (await store.purge(clock.forward(minutes=1))).lent == 1
    assert (await store.counts())["lent"] == 0


async def test_lending_deletes_what_is_over(links: Links, store: Store, clock: Clock) -> None:
    await lend(links)
    clock.moment += LENDS
    await lend(links, "2")
    assert (await store.counts())["lent"] == 1


async def test_of_too_many_voices_the_oldest_go(
    links: Links, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lent_of, "LENT_BYTES", 2500)
    files = []
    for number in range(3):
        clock.forward(seconds=1)
        files.append(await lend(links, voice=bytes([number]) * 900))
    assert [await links.find(file) is not None for file in files] == [False, True, True]


async def test_voices_swapped_between_rows_are_refused(links: Links, store: Store) -> None:
    one, two = await lend(links), await lend(links, voice=b"OggS another")
    await rows(store, "UPDATE lent SET data = (SELECT data FROM lent WHERE name = :n)", n=one)
    assert await links.find(one) is not None
    with pytest.raises(Tampered):
        await links.find(two)


@pytest.mark.parametrize("asked", ["", "x.ogg", "0" * 32 + ".ogg", "0" * 32, "..%2Fx.mp3"])
async def test_there_is_no_other_voice(links: Links, asked: str) -> None:
    await lend(links)
    assert await links.find(asked) is None
