"""Text forms: base64url, timestamps, JSON in the way JavaScript holds it."""

from __future__ import annotations

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.dwn.cid import cid_of
from schemas.dwn.encoding import (
    MAX_DEPTH,
    b64decode,
    b64encode,
    compact,
    parse_json,
    plain,
    timestamp,
    timestamp_us,
)
from schemas.dwn.errors import DwnInvalid

from .notes import (
    JSON,
)


@given(st.integers(0, 253_402_300_799_999_999))
def test_timestamps_round_trip(us):
    """A timestamp text reads back as the microseconds it was written from."""
    assert timestamp_us(timestamp(us)) == us


def test_leap_second():
    """A leap second counts as the next second."""
    assert timestamp_us("2016-12-31T23:59:60.000001Z") == timestamp_us(
        "2017-01-01T00:00:00.000001Z"
    )


@given(st.binary(max_size=64))
def test_base64url_has_one_text(data):
    """Decoding inverts encoding, and no other text of the standard decoder is taken."""
    text = b64encode(data)
    assert b64decode(text) == data
    if text and len(data) % 3:
        last = text[:-1] + chr(ord(text[-1]) + 1)
        same = base64.urlsafe_b64decode(last + "=" * (-len(last) % 4)) == data
        if same:
            with pytest.raises(DwnInvalid):
                b64decode(last)


@given(JSON)
def test_plain_is_stable(value):
    """What ``plain`` returns it returns again, and JSON text of it reads back with the same CID."""
    try:
        once = plain(value)
    except DwnInvalid:
        return
    assert plain(once) == once
    assert cid_of(parse_json(compact(once))) == cid_of(once)


def test_numbers_are_javascripts():
    """1.0 hashes as 1, and an integer that no double holds exactly hashes as a double."""
    assert cid_of({"n": 1.0}) == cid_of({"n": 1})
    assert cid_of({"n": 2**60}) == cid_of({"n": float(2**60)})


def test_depth_is_bounded():
    """Nesting to the limit is taken, one more is refused; deep text cannot crash the parser."""
    inner: object = 1
    for _ in range(MAX_DEPTH):
        inner = [inner]
    assert plain(inner) == inner
    with pytest.raises(DwnInvalid):
        plain([inner])
    with pytest.raises(DwnInvalid):
        parse_json("[" * 100_000)
