"""Addresses that say nothing: a page of ours for minutes, a medium for its hour and the next."""

from __future__ import annotations

import base64
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.links import PAGE_MINUTES, Links, Medium
from bot.privacy.vault import Vault
from bot.texts import open_content
from dialogs import payload
from dialogs.model import Position

OURS = "https://line.example"
NOON = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
CONTENT, _ = open_content()
HERS = Position("tr", "order_when", (("b", "2"), ("m", "rse27"), ("w", "s")))
PAGES = timedelta(minutes=PAGE_MINUTES)


class Clock:
    def __init__(self, at: datetime = NOON) -> None:
        self.at = at

    def __call__(self) -> datetime:
        return self.at


def made(clock: Clock, *folders: Path, key: int = 1) -> Links:
    return Links(Vault(bytes([key]) * 32, Path("no-days")), OURS, folders, clock)


def code(url: str) -> str:
    assert url.startswith(f"{OURS}/r/")
    return url.removeprefix(f"{OURS}/r/")


def sealed(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def unsealed(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")


def positions() -> st.SearchStrategy[Position]:
    answers = st.dictionaries(
        st.sampled_from("abmw"), st.from_regex(r"[0-9a-z]{1,5}", fullmatch=True), max_size=3
    )
    return st.builds(
        lambda language, node, given: Position(language, node, tuple(sorted(given.items()))),
        st.sampled_from(["bg", "tr", "rmn"]),
        st.sampled_from(sorted(CONTENT.nodes)),
        answers,
    )


# --- a page of ours --------------------------------------------------------------------------


def test_the_address_of_a_page_opens_it_within_ten_minutes_and_again() -> None:
    clock = Clock()
    links = made(clock)
    address = code(links.page(HERS))
    for after in (timedelta(0), timedelta(minutes=5), PAGES - timedelta(seconds=1)):
        clock.at = NOON + after
        assert links.position(address) == HERS
        assert links.position(address) == HERS


@pytest.mark.parametrize(
    "after",
    [PAGES, PAGES + timedelta(seconds=1), timedelta(days=1), timedelta(seconds=-1),
     timedelta(days=-1)],
    ids=str,
)  # fmt: skip
def test_the_address_of_a_page_opens_nothing_later_nor_from_the_future(after: timedelta) -> None:
    clock = Clock()
    links = made(clock)
    address = code(links.page(HERS))
    clock.at = NOON + after
    assert links.position(address) is None


@given(positions(), st.integers(min_value=0, max_value=59))
def test_every_place_of_the_dialog_is_open_for_nine_minutes_and_never_for_more_than_ten(
    position: Position, second: int
) -> None:
    clock = Clock(NOON.replace(second=second))
    links = made(clock)
    address = code(links.page(position))
    clock.at += timedelta(minutes=9)
    assert links.position(address) == position
    clock.at += timedelta(minutes=1)
    assert links.position(address) is None


@given(positions())
def test_an_address_says_nothing_of_the_place_it_opens(position: Position) -> None:
    address = code(made(Clock()).page(position))
    for told in (address.encode(), sealed(address)):
        for part in (position.node, payload.pack(position)):
            if len(part) > 7:  # four letters stand in such an address by chance
                assert part.encode() not in told


@given(positions(), positions())
def test_the_addresses_of_all_places_are_equally_long(one: Position, other: Position) -> None:
    links = made(Clock())
    assert len(links.page(one)) == len(links.page(other))


def test_two_addresses_of_one_place_have_nothing_in_common() -> None:
    links = made(Clock())
    one, other = sealed(code(links.page(HERS))), sealed(code(links.page(HERS)))
    alike = sum(a == b for a, b in zip(one, other, strict=True))
    assert alike < len(one) // 4


def test_a_forged_address_opens_nothing() -> None:
    links = made(Clock())
    raw = sealed(code(links.page(HERS)))
    for at in range(len(raw)):
        forged = bytes([*raw[:at], raw[at] ^ 1, *raw[at + 1 :]])
        assert links.position(unsealed(forged)) is None


def test_an_address_with_its_end_or_its_beginning_cut_off_opens_nothing() -> None:
    links = made(Clock())
    address = code(links.page(HERS))
    for at in range(1, len(address)):
        assert links.position(address[:-at]) is None
        assert links.position(address[at:]) is None


def test_an_address_made_with_another_key_opens_nothing() -> None:
    clock = Clock()
    address = code(made(clock, key=2).page(HERS))
    assert made(clock, key=2).position(address) == HERS
    assert made(clock, key=1).position(address) is None


@given(st.text(max_size=200) | st.binary(max_size=120).map(unsealed))
def test_whatever_is_asked_for_opens_a_page_of_ours_or_nothing(text: str) -> None:
    assert made(Clock()).position(text) is None


def test_a_payload_in_clear_is_no_address() -> None:
    assert made(Clock()).position(payload.pack(HERS, NOON)) is None


def test_our_pages_are_known_and_their_language_is_told_however_old_they_are() -> None:
    clock = Clock()
    links = made(clock)
    url = links.page(HERS)
    clock.at += timedelta(days=3)
    assert links.is_page(url)
    assert links.language_of(url) == "tr"


@pytest.mark.parametrize(
    "text", ["", "r", "/r/x", "https://line.example.evil/r/x", "https://other.example/r/x",
             "виж https://line.example/r/x"],
)  # fmt: skip
def test_what_is_no_page_of_ours_is_not_taken_for_one(text: str) -> None:
    links = made(Clock())
    assert not links.is_page(text)
    assert links.language_of(text) is None


# --- pictures and clips ----------------------------------------------------------------------

FILES = {"order.png": "image/png", "danger.png": "image/png", "talk.mp3": "audio/mpeg",
         "talk.m4a": "audio/mp4"}  # fmt: skip


@pytest.fixture
def folders(tmp_path: Path) -> tuple[Path, ...]:
    """Pictures and clips, and beside them what is nobody's business."""
    pictures, clips = tmp_path / "pictures", tmp_path / "clips"
    for folder in (pictures, clips):
        folder.mkdir()
    for number, name in enumerate([*FILES, "order.svg", "README.md"]):
        folder = pictures if name.endswith((".png", ".svg", ".md")) else clips
        (folder / name).write_bytes(b"x" * (number + 1))
    (tmp_path / "secret.png").write_bytes(b"")
    return pictures, clips, tmp_path / "not-there"


def file(url: str | None) -> str:
    assert url is not None
    parts = urlsplit(url)
    assert url.startswith(f"{OURS}/m/")
    assert (parts.query, parts.fragment) == ("", "")
    return parts.path.removeprefix("/m/")


@pytest.mark.parametrize("name", FILES)
async def test_a_medium_is_found_at_its_address_with_its_kind(
    folders: tuple[Path, ...], name: str
) -> None:
    links = made(Clock(), *folders)
    found = await links.find(file(links.medium(name)))
    assert isinstance(found, Medium)
    assert (found.path.name, found.mime) == (name, FILES[name])
    assert links.size(name) == found.path.stat().st_size


def test_the_address_of_a_medium_says_nothing_but_its_kind(folders: tuple[Path, ...]) -> None:
    links = made(Clock(), *folders)
    names = [file(links.medium(name)) for name in FILES]
    assert [Path(name).suffix for name in names] == [".png", ".png", ".mp3", ".m4a"]
    assert len({Path(name).stem for name in names}) == len(FILES)
    for name in names:
        assert len(Path(name).stem) == 32
        assert set(Path(name).stem) <= set("0123456789abcdef")


def test_the_address_of_a_medium_is_the_same_all_its_hour_and_another_in_the_next(
    folders: tuple[Path, ...],
) -> None:
    clock = Clock()
    links = made(clock, *folders)
    first = links.medium("order.png")
    clock.at = NOON + timedelta(minutes=59, seconds=59)
    assert links.medium("order.png") == first
    clock.at = NOON + timedelta(hours=1)
    assert links.medium("order.png") != first


@pytest.mark.parametrize(
    ("after", "opens"),
    [(timedelta(0), True), (timedelta(hours=1), True),
     (timedelta(hours=1, minutes=59, seconds=59), True), (timedelta(hours=2), False),
     (timedelta(days=1), False), (timedelta(seconds=-1), False)],
    ids=str,
)  # fmt: skip
async def test_the_address_of_a_medium_opens_in_its_hour_and_the_next(
    folders: tuple[Path, ...], after: timedelta, opens: bool
) -> None:
    clock = Clock()
    links = made(clock, *folders)
    name = file(links.medium("order.png"))
    clock.at = NOON + after
    assert (await links.find(name) is not None) is opens


@pytest.mark.parametrize("name", ["order.svg", "README.md", "secret.png", "../secret.png", "gone"])
def test_what_is_no_medium_of_ours_has_no_address(folders: tuple[Path, ...], name: str) -> None:
    assert made(Clock(), *folders).medium(name) is None


@pytest.mark.parametrize("asked", ["", "order.png", "../secret.png", "0" * 32 + ".png", "."])
async def test_what_is_no_address_of_ours_opens_nothing(
    folders: tuple[Path, ...], asked: str
) -> None:
    assert await made(Clock(), *folders).find(asked) is None


async def test_an_address_opens_only_with_its_own_ending_and_under_its_own_key(
    folders: tuple[Path, ...],
) -> None:
    links = made(Clock(), *folders)
    name = file(links.medium("talk.mp3"))
    assert await links.find(Path(name).stem) is None
    assert await links.find(f"{Path(name).stem}.m4a") is None
    assert await made(Clock(), *folders, key=2).find(name) is None
