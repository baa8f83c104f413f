"""A button's payload: what goes in comes out, and rubbish comes to nothing."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dialogs import payload
from dialogs.model import Position

nodes = st.from_regex(r"[a-z][a-z0-9_]{0,23}", fullmatch=True)
answers = st.dictionaries(
    st.from_regex(r"[a-z]", fullmatch=True),
    st.from_regex(r"[0-9a-z]{1,5}", fullmatch=True),
    max_size=3,
)
positions = st.builds(
    lambda language, node, given: Position(language, node, tuple(sorted(given.items()))),
    st.sampled_from(["bg", "tr", "en", "rmn"]),
    nodes,
    answers,
)


@given(positions)
def test_a_position_survives_its_button(position: Position) -> None:
    assert payload.unpack(payload.pack(position)) == position


@given(positions)
def test_a_payload_names_language_and_node_in_clear_within_64_bytes(position: Position) -> None:
    packed = payload.pack(position, datetime(2026, 11, 22, 10, 0, tzinfo=UTC))
    assert packed.split(":")[:2] == [position.language, position.node]
    assert len(packed.encode()) <= payload.MAX_BYTES


@given(positions, st.integers(1_700_000_000, 3_400_000_000))
def test_the_stamp_tells_the_minute_of_the_window(position: Position, moment: int) -> None:
    made_at = datetime.fromtimestamp(moment, UTC)
    stamp = payload.stamp(payload.pack(position, made_at))
    assert stamp == made_at.replace(second=0, microsecond=0)


@given(st.text(max_size=200) | st.binary(max_size=80).map(lambda b: b.decode("latin-1")))
def test_any_bytes_are_a_position_or_nothing(text: str) -> None:
    position = payload.unpack(text)
    if position is not None:
        assert payload.unpack(payload.pack(position)) == position
    payload.stamp(text)


def test_a_payload_that_is_too_long_is_refused_before_a_woman_meets_it() -> None:
    position = Position("bg", "a" * 24, tuple((slot, "12345678") for slot in "abcdef"))
    with pytest.raises(payload.PayloadTooLong):
        payload.pack(position)


@pytest.mark.parametrize(
    "rubbish",
    ["", ":", "bg", "bg:", "bg:Home", "BG:home", "bg:home:x", "bg:home::", "bg:home\n", "bg:дом"],
)
def test_a_forged_payload_is_no_position(rubbish: str) -> None:
    assert payload.unpack(rubbish) is None
