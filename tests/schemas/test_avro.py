"""The Avro schemas are the source of truth: classes, ids and other people's readers agree."""

from __future__ import annotations

import io
import json
from typing import Any

import avro.io
import avro.schema
import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.catalog import IDS_LOCK, TYPES, EventType
from schemas.errors import EmptyValue, NotFramed, SchemaError, UnknownSchema, WrongSchema
from schemas.events import Tip
from schemas.registry import fingerprint, locked_ids, next_lock, schema_text
from schemas.wire import Codec
from tests.strategies import values

CODEC = Codec()
NAMES = [t.name for t in TYPES]


def records(schema: Any) -> list[dict[str, Any]]:
    """Every record definition inside a schema."""
    if isinstance(schema, list):
        return [r for part in schema for r in records(part)]
    if not isinstance(schema, dict):
        return []
    found = [schema] if schema.get("type") == "record" else []
    for part in [schema.get("items"), schema.get("values"), schema.get("type")]:
        found += records(part) if not isinstance(part, str) else []
    for field in schema.get("fields", []):
        found += records(field["type"])
    return found


@pytest.mark.parametrize("event_type", TYPES, ids=NAMES)
def test_every_field_has_words(event_type: EventType) -> None:
    """Every field of every record says what it means."""
    schema = json.loads(event_type.path.read_text())
    silent = [(r["name"], f["name"]) for r in records(schema) for f in r["fields"] if not f["doc"]]
    assert [] == silent


@pytest.mark.parametrize("event_type", TYPES, ids=NAMES)
def test_amounts_and_times_name_their_unit(event_type: EventType) -> None:
    """A field of satoshi or of event time says so in its words."""
    for record in records(json.loads(event_type.path.read_text())):
        for field in record["fields"]:
            if field["name"].endswith("_sat"):
                assert "satoshi" in field["doc"], field["name"]
            if field["name"].endswith("_ts"):
                assert "ms since 1970" in field["doc"], field["name"]


@pytest.mark.parametrize("event_type", TYPES, ids=NAMES)
def test_class_has_the_fields_of_its_schema(event_type: EventType) -> None:
    """The class and the schema have the same fields in the same order."""
    schema = json.loads(event_type.path.read_text())
    fields = [field["name"] for field in schema["fields"]]
    assert fields == [field.name for field in msgspec.structs.fields(event_type.cls)]


@pytest.mark.parametrize("event_type", TYPES, ids=NAMES)
@settings(max_examples=15)
@given(data=st.data())
def test_round_trip_and_the_referee_agree(event_type: EventType, data: st.DataObject) -> None:
    """What we write we read back, and the avro package reads the same from our bytes."""
    value = data.draw(values(event_type.cls))
    framed = CODEC.encode(event_type.name, value)
    assert (event_type, value) == CODEC.decode(framed)
    schema = avro.schema.parse(event_type.path.read_text())
    reader = avro.io.DatumReader(schema)
    seen = reader.read(avro.io.BinaryDecoder(io.BytesIO(framed[5:])))
    assert msgspec.to_builtins(value, builtin_types=(bytes,)) == seen


def test_frame_is_the_confluent_one_byte_for_byte() -> None:
    """Magic byte 0, the id in four bytes big-endian, then plain Avro: golden bytes."""
    number = locked_ids()["bitcoin.tip.v1"]
    expected = b"\x00" + number.to_bytes(4, "big") + b"\x08main" + b"\x02" + b"\x04ab"
    assert expected == CODEC.encode("bitcoin.tip.v1", Tip("main", 1, "ab"))


@settings(max_examples=300)
@given(st.binary(max_size=60))
def test_hostile_bytes_only_raise_schema_errors(data: bytes) -> None:
    """Whatever the bytes are, decoding gives a value or a SchemaError."""
    for number in (*CODEC.ids.values(), 999_999):
        try:
            CODEC.decode(b"\x00" + number.to_bytes(4, "big") + data)
        except SchemaError:
            continue


@pytest.mark.parametrize(
    ("data", "error"),
    [
        (None, EmptyValue),
        (b"", EmptyValue),
        (b"\x00\x00", NotFramed),
        (b"{}", NotFramed),
        (b"\x00\x00\x0f\xff\xff", UnknownSchema),
        (CODEC.encode("bitcoin.tip.v1", Tip("main", 1, "ab")) + b"\x00", WrongSchema),
        (CODEC.encode("bitcoin.tip.v1", Tip("main", 1, "ab"))[:-1], WrongSchema),
    ],
)
def test_each_defect_has_its_own_error(data: bytes | None, error: type[SchemaError]) -> None:
    """Empty, unframed, unknown, too long and too short are told apart."""
    with pytest.raises(error):
        CODEC.decode(data)


def test_ids_are_those_of_the_lock_on_every_machine() -> None:
    """Ids come from the committed lock, are unique, and a new type takes the next number."""
    lock = json.loads(IDS_LOCK.read_text())
    assert {name: entry["id"] for name, entry in lock.items()} == locked_ids()
    assert len(lock) == len({entry["id"] for entry in lock.values()})
    without = {name: entry for name, entry in lock.items() if name != NAMES[-1]}
    assert max(e["id"] for e in without.values()) + 1 == next_lock(without)[NAMES[-1]]["id"]


def test_lock_holds_the_fingerprints_of_the_files() -> None:
    """A schema that was edited after it got its id would be noticed."""
    lock = json.loads(IDS_LOCK.read_text())
    assert {t.name: fingerprint(schema_text(t)) for t in TYPES} == {
        name: entry["sha256"] for name, entry in lock.items()
    }
