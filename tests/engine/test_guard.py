"""Poison: what cannot be an event becomes a dead letter with its bytes unchanged, and no more."""

from __future__ import annotations

import struct
from hashlib import sha256

import pytest

from schemas.events import Label, Tip
from schemas.headers import REPLAYS, Headers
from schemas.wire import Codec
from streams import topics
from streams.engine.guard import LETTER_ROOM, letter
from streams.engine.writers import Writer, control_headers
from tests.engine.world import (
    DECLARED,
    OBSERVED,
    OUT,
    T0,
    at,
    counts,
    driver,
    label,
    subjects,
    words,
)

CODEC = Codec()
GOOD = CODEC.encode("ml.label.v1", label(1))
KEY = label(1).subject.encode()
ID = topics.labels.type.event_id(label(1))


def _encoded(value: Label) -> bytes:
    return CODEC.encode("ml.label.v1", value)


POISON: dict[str, tuple[str, bytes | None, bytes | None, Headers]] = {
    "random bytes": ("not_framed", KEY, b"\x01\x02\x03\xff", []),
    "json": ("not_framed", KEY, b'{"a": 1}', []),
    "short": ("not_framed", KEY, b"\x00\x00", []),
    "empty": ("empty_value", KEY, b"", []),
    "tombstone": ("empty_value", KEY, None, []),
    "nothing at all": ("empty_value", None, None, []),
    "unknown schema id": ("unknown_schema", KEY, struct.pack(">bI", 0, 999_999) + b"x", []),
    "truncated": ("wrong_schema", KEY, GOOD[:-3], []),
    "bytes behind": ("wrong_schema", KEY, GOOD + b"\x00", []),
    "wrong schema": ("wrong_schema", KEY, GOOD[:5] + b"\xff" * 12, []),
    "another type": (
        "wrong_schema", KEY, CODEC.encode("bitcoin.tip.v1", Tip("main", 1, "aa")), [],
    ),
    "key not UTF-8": ("bad_headers", b"\xff\xfe", GOOD, []),
    "no key": ("bad_value", None, GOOD, []),
    "key of another": ("bad_value", b"somebody", GOOD, []),
    "header not UTF-8": ("bad_headers", KEY, GOOD, [("ce_source", b"\xff")]),
    "op": ("bad_headers", KEY, GOOD, [("ce_op", b"delete")]),
    "time": ("bad_headers", KEY, GOOD, [("ce_time", b"yesterday")]),
    "time beyond the calendar": ("bad_headers", KEY, GOOD, [("ce_time", b"99999-01-01T00:00Z")]),
    "ingest time": ("bad_headers", KEY, GOOD, [("ce_ingestts", b"1e9")]),
    "anchor": ("bad_headers", KEY, GOOD, [("ce_anchor", b"main/x")]),
    "id of another": ("bad_headers", KEY, GOOD, [("ce_id", b"stolen:assert:1")]),
    "untrue": ("bad_value", KEY, _encoded(Label(KEY.decode(), True, "s", 7.0)), []),
    "not hex": ("bad_value", b"me", _encoded(Label("me", True, "s")), []),
}  # fmt: skip


@pytest.mark.parametrize("name", POISON)
def test_poison_becomes_a_letter_with_its_bytes(name: str) -> None:
    """Cause, step and origin in headers; key, value and own headers as they came."""
    cause, key, value, own = POISON[name]
    world = driver()
    at(world, 0, 7)
    world.produce_raw(OBSERVED, key, value, own)
    at(world, 1, 8)
    (record,) = world.records(topics.dead_letters)
    assert (key, value) == (record.key(), record.value())
    assert own == record.raw_headers[len(record.raw_headers) - len(own) :]
    why = words(record.raw_headers)
    assert (cause, "decode") == (why["dl.cause"], why["dl.step"])
    assert (OBSERVED.name, "0", "1") == (why["dl.topic"], why["dl.partition"], why["dl.offset"])
    assert [7, 8] == subjects(world)
    assert (3, 2, 1) == (counts(world).read, counts(world).used, counts(world).dead_letters)
    assert counts(world).balanced


def test_a_record_without_headers_is_an_event_of_its_own() -> None:
    """Any client can produce: id from the value, time from the broker."""
    world = driver()
    world.now_ts = T0 + 5
    world.produce_raw(OBSERVED, KEY, GOOD)
    (event,) = world.events(OUT)
    assert (T0 + 5, ID) == (event.ts, event.causation_id)


def test_a_malformed_control_record_is_a_letter_and_declares_nothing() -> None:
    """A foreign watermark that is no number moves no time."""
    world = driver(DECLARED)
    world.declare(DECLARED, T0)
    bad = control_headers(Writer("evil", 0, 0, 1), 1)[:1]
    world.produce_raw(DECLARED, None, None, [*bad, ("streams-watermark", b"later")])
    (record,) = world.records(topics.dead_letters)
    assert "watermark" == words(record.raw_headers)["dl.step"]
    assert counts(world, DECLARED).balanced
    assert T0 == world.tasks["by_txid", 0].own_watermark()


def test_a_value_larger_than_a_letter_becomes_hash_and_length() -> None:
    """The letter says where the bytes are, and what they were."""
    value = b"\x01" * topics.LETTER_BYTES
    found = letter(b"k", value, [("own", b"1")], [("dl.cause", b"x")])
    why = words(found.headers)
    assert (b"k", None) == (found.key, found.value)
    assert sha256(value).hexdigest() == why["dl.sha256"]
    assert (str(len(value)), "1") == (why["dl.bytes"], why["own"])


def test_the_largest_source_record_fits_into_a_letter_whole() -> None:
    """What a source topic takes, the dead letters take with the reason added."""
    value = b"\x01" * topics.SOURCE_BYTES
    found = letter(b"k", value, [], [("dl.cause", b"x")])
    assert value == found.value


def test_headers_that_do_not_fit_are_counted_instead() -> None:
    """A letter stays below the limit of its topic; how often it was written back is never lost."""
    own = [(f"h{n}", b"x" * 100) for n in range(LETTER_ROOM // 100)]
    found = letter(b"k", b"v", [*own, (REPLAYS, b"2")], [("dl.cause", b"x")])
    left_out = ("dl.headers_left_out", b"%d" % (len(own) + 1))
    assert [("dl.cause", b"x"), left_out, (REPLAYS, b"2")] == found.headers


def test_reasons_of_an_earlier_letter_are_not_mixed_with_the_new_ones() -> None:
    """A letter has one cause; a record's own headers with such names are kept under another."""
    own = [("dl.cause", b"old"), ("late.by", b"3"), ("ce_id", b"x")]
    kept = [("dl.own.dl.cause", b"old"), ("dl.own.late.by", b"3"), ("ce_id", b"x")]
    new = ("dl.cause", b"new")
    assert [new, *kept] == letter(b"k", b"v", own, [new]).headers
