"""The compiled encoders write what fastavro writes, to the byte."""

from __future__ import annotations

import io
import json
import struct
from typing import Any

import fastavro
import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from schemas.catalog import TYPES, EventType
from schemas.compiled import compile_encoder
from tests.strategies import values

SCHEMAS = {t.name: json.loads(t.path.read_text()) for t in TYPES}


def _fastavro(schema: Any, value: Any) -> bytes:
    out = io.BytesIO()
    fastavro.schemaless_writer(out, fastavro.parse_schema(schema, named_schemas={}), value)
    return out.getvalue()


@pytest.mark.parametrize("event_type", TYPES, ids=lambda t: t.name)
@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_bytes_equal_fastavros(event_type: EventType, data: st.DataObject) -> None:
    """For every type of ours and whatever its fields hold."""
    value = data.draw(values(event_type.cls))
    schema = SCHEMAS[event_type.name]
    plain = msgspec.to_builtins(value, builtin_types=(bytes,))
    assert _fastavro(schema, plain) == compile_encoder(schema)(value)


class _One(msgspec.Struct):
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
