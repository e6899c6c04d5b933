"""Compiled writers and readers against fastavro: to the byte, and on bytes of any kind."""

from __future__ import annotations

import io
import json
import struct
from random import Random
from typing import Any

import fastavro
import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from schemas.avro_reader import HOSTILE, compile_decoder
from schemas.avro_writer import compile_encoder
from schemas.catalog import TYPES, EventType
from schemas.events import Value
from tests.strategies import values

SCHEMAS = {t.name: json.loads(t.path.read_text()) for t in TYPES}
PARSED = {name: fastavro.parse_schema(schema, named_schemas={}) for name, schema in SCHEMAS.items()}
ENCODERS = {name: compile_encoder(schema) for name, schema in SCHEMAS.items()}
DECODERS = {t.name: compile_decoder(SCHEMAS[t.name], t.cls) for t in TYPES}


def _fastavro(schema: Any, value: Any) -> bytes:
    out = io.BytesIO()
    fastavro.schemaless_writer(out, schema, value)
    return out.getvalue()


@pytest.mark.parametrize("event_type", TYPES, ids=lambda t: t.name)
@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_bytes_equal_fastavros(event_type: EventType, data: st.DataObject) -> None:
    """For every type of ours and whatever its fields hold."""
    value = data.draw(values(event_type.cls))
    plain = msgspec.to_builtins(value, builtin_types=(bytes,))
    assert _fastavro(PARSED[event_type.name], plain) == ENCODERS[event_type.name](value)


@pytest.mark.parametrize("event_type", TYPES, ids=lambda t: t.name)
@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_what_fastavro_wrote_is_read_back(event_type: EventType, data: st.DataObject) -> None:
    """Wherever it stands among other bytes, and to its end exactly."""
    value, front = data.draw(values(event_type.cls)), data.draw(st.binary(max_size=3))
    plain = msgspec.to_builtins(value, builtin_types=(bytes,))
    body = _fastavro(PARSED[event_type.name], plain)
    read = DECODERS[event_type.name]
    assert (value, len(front) + len(body)) == read(front + body, len(front))


@pytest.mark.parametrize("event_type", TYPES, ids=lambda t: t.name)
@settings(max_examples=30, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data(), seed=st.integers(0, 2**32))
def test_spoilt_bytes_are_a_value_or_a_known_error(
    event_type: EventType, data: st.DataObject, seed: int
) -> None:
    """Cut, changed or made up: reading ends, within the bytes, and never in another way."""
    body, chance = ENCODERS[event_type.name](data.draw(values(event_type.cls))), Random(seed)
    for _ in range(10):
        _read_spoilt(event_type, _spoilt(body, chance))


def _spoilt(body: bytes, chance: Random) -> bytes:
    at, other = chance.randint(0, max(len(body) - 1, 0)), chance.randbytes(chance.randint(0, 4))
    made_up = chance.randbytes(chance.randint(0, 60))
    return chance.choice([body[:at], body[:at] + other + body[at + 1 :], made_up])


def _read_spoilt(event_type: EventType, spoilt: bytes) -> None:
    try:
        value, end = DECODERS[event_type.name](spoilt, 0)
    except HOSTILE:
        return
    assert end <= len(spoilt), spoilt
    assert type(value) is event_type.cls, spoilt


HUGE = [
    b"\xff" * 9 + b"\x01", b"\xff" * 20, b"\x80" * 9 + b"\x02", b"\x01", b"\xfe\xff\xff\xff\x0f"
]  # fmt: skip


@pytest.mark.parametrize("length", HUGE, ids=bytes.hex)
@pytest.mark.parametrize("kind", ["string", "bytes", {"type": "array", "items": "long"}], ids=str)
def test_an_announced_length_is_never_believed(kind: Any, length: bytes) -> None:
    """Negative, beyond 64 bits or beyond the end: refused before memory is taken."""
    if length == b"\1" and isinstance(kind, dict):
        return  # one item, in a block that says its size
    with pytest.raises(HOSTILE):
        compile_decoder(_schema(kind), _One)(length + b"\0\0\0", 0)


@given(st.integers(-(2**63), 2**63 - 1))
def test_every_number_is_read_as_fastavro_reads_it(number: int) -> None:
    """Of one byte to ten."""
    body = _fastavro(_schema("long"), {"field": number})
    assert (_One(number), len(body)) == compile_decoder(_schema("long"), _One)(body, 0)


def test_a_class_with_other_fields_is_refused() -> None:
    """At compile time, with both lists."""
    schema = {"type": "record", "name": "One", "fields": [{"name": "other", "type": "long"}]}
    with pytest.raises(ValueError, match="other"):
        compile_decoder(schema, _One)


class _One(Value, frozen=True):
    field: Any


def _schema(kind: Any) -> dict[str, Any]:
    return {"type": "record", "name": "One", "fields": [{"name": "field", "type": kind}]}


LONGS = [0, -1, 63, 64, -64, -65, 8191, 8192, 1 << 20, 2_100_000_000_000_000, 2**63 - 1, -(2**63)]


@given(st.integers(-(2**63), 2**63 - 1) | st.sampled_from(LONGS))
def test_every_64_bit_number_is_written(number: int) -> None:
    """At every boundary of the variable length too."""
    schema = _schema("long")
    assert _fastavro(schema, {"field": number}) == compile_encoder(schema)(_One(number))


@given(
    st.dictionaries(st.text(max_size=80), st.lists(st.none() | st.binary(max_size=80), max_size=3))
)
def test_maps_of_arrays_of_optional_bytes_are_written(value: dict[str, Any]) -> None:
    """Types nest as a schema says."""
    schema = _schema({"type": "map", "values": {"type": "array", "items": ["null", "bytes"]}})
    assert _fastavro(schema, {"field": value}) == compile_encoder(schema)(_One(value))


WRONG = [
    ("long", 1 << 63), ("long", "1"), ("long", None), ("string", b"x"), ("string", None),
    ("double", "x"), ("bytes", 1), ({"type": "array", "items": "long"}, 5),
    ({"type": "map", "values": "double"}, {"a": None}),
]  # fmt: skip


@pytest.mark.parametrize(("kind", "value"), WRONG, ids=lambda x: str(x)[:20])
def test_a_value_that_does_not_fit_is_refused(kind: Any, value: Any) -> None:
    """Nothing is written in its place."""
    with pytest.raises((OverflowError, TypeError, AttributeError, struct.error)):
        compile_encoder(_schema(kind))(_One(value))


def test_a_union_of_more_than_null_and_one_type_is_refused() -> None:
    """At compile time, by name."""
    with pytest.raises(ValueError, match="union"):
        compile_encoder(_schema(["null", "long", "string"]))
