"""Laws of keys as bytes: they come back, and they sort as tuples do."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streams.engine.ordered import END, pack, unpack

NUMBERS = st.integers() | st.integers(-300, 300) | st.sampled_from(
    [n + d for n in (-(2**64), -(2**63), 0, 2**63, 2**64) for d in (-1, 0, 1)]
)  # fmt: skip
TEXTS = st.text(max_size=4) | st.text(alphabet="a\0\x01\xff\U0001f600", max_size=4)
PARTS: dict[type, Any] = {int: NUMBERS, str: TEXTS}
FORMS = st.lists(st.sampled_from([int, str]), min_size=1, max_size=4)


@st.composite
def pairs(draw: Any) -> tuple[Any, Any]:
    """Two keys whose parts have one type at each position, often with a common beginning."""
    form = draw(FORMS)
    one = tuple(draw(PARTS[kind]) for kind in form)
    shared = draw(st.integers(0, len(form)))
    other = one[:shared] + tuple(draw(PARTS[kind]) for kind in form[shared:])
    return one[: draw(st.integers(0, len(form)))], other


@settings(max_examples=500, deadline=None)
@given(pairs())
def test_bytes_sort_as_tuples_do(both: tuple[Any, Any]) -> None:
    """Less, equal and greater are the same for the tuples and for their bytes."""
    one, other = both
    packed, against = pack(one), pack(other)
    assert (one < other, one == other) == (packed < against, packed == against)


@settings(max_examples=500, deadline=None)
@given(pairs())
def test_keys_come_back_and_prefixes_stay_prefixes(both: tuple[Any, Any]) -> None:
    """Unpacking gives the key, from any part on; a range from prefix to END holds its keys."""
    one, other = both
    assert other == unpack(pack(other))
    assert other[1:] == unpack(pack(other), len(pack(other[:1])))
    inside = pack(one) <= pack(other) < pack(one) + END
    assert (one == other[: len(one)]) == inside


@pytest.mark.parametrize("data", [b"\x02abc", b"\x10\0\0", b"\x11\x05a", b"\x01", b"\x02a\0\xff"])
def test_what_was_never_packed_is_refused(data: bytes) -> None:
    """Bytes that no key gives are a ValueError, not another key."""
    with pytest.raises(ValueError, match="not a key"):
        unpack(data)


def test_half_a_surrogate_pair_and_a_giant_are_refused() -> None:
    """What the changelog could not hold is refused as it is there."""
    with pytest.raises(UnicodeEncodeError):
        pack(("\ud800",))
    with pytest.raises(OverflowError):
        pack((1 << 3000,))
