"""Values on the wire: the Confluent frame (magic byte 0, 4-byte schema id) around an Avro body."""

from __future__ import annotations

import io
import json
import struct
from collections.abc import Mapping
from typing import Any

import fastavro
import msgspec

from schemas.catalog import BY_NAME, EventType
from schemas.errors import EmptyValue, NotFramed, UnknownSchema, WrongSchema
from schemas.events import Value
from schemas.registry import locked_ids

_FRAME = struct.Struct(">bI")
_HOSTILE = (
    ArithmeticError,
    AssertionError,
    AttributeError,
    EOFError,
    LookupError,
    MemoryError,
    RecursionError,
    TypeError,
    ValueError,
    struct.error,
)
"""What fastavro raises on bytes that are not what they claim to be."""


class Codec:
    """Encode and decode values by schema id; ids are the lock's unless a registry gave others."""

    def __init__(self, ids: Mapping[str, int] | None = None) -> None:
        self.ids = dict(locked_ids() if ids is None else ids)
        self._schemas: dict[str, Any] = {}
        self._frames: dict[str, bytes] = {}
        self._by_id: dict[int, EventType] = {}
        for name, number in self.ids.items():
            event_type = BY_NAME[name]
            schema = json.loads(event_type.path.read_text())
            self._schemas[name] = fastavro.parse_schema(schema, named_schemas={})
            self._frames[name] = _FRAME.pack(0, number)
            self._by_id[number] = event_type

    def encode(self, type_name: str, value: Value) -> bytes:
        """Frame and encode a value; raises WrongSchema when it does not fit its schema."""
        out = io.BytesIO()
        out.write(self._frames[type_name])
        plain = msgspec.to_builtins(value, builtin_types=(bytes,))
        try:
            fastavro.schemaless_writer(out, self._schemas[type_name], plain)
        except _HOSTILE as error:
            raise WrongSchema(f"value does not fit {type_name}: {error}") from error
        return out.getvalue()

    def decode(self, data: bytes | None) -> tuple[EventType, Any]:
        """Read one framed value.

        Raises EmptyValue, NotFramed, UnknownSchema or WrongSchema: never anything else, whatever
        the bytes are.
        """
        if not data:
            raise EmptyValue("the record has an empty value")
        if len(data) < _FRAME.size or data[0] != 0:
            raise NotFramed("the value does not begin with magic byte 0 and a schema id")
        number = _FRAME.unpack_from(data)[1]
        event_type = self._by_id.get(number)
        if event_type is None:
            raise UnknownSchema(f"schema id {number} is unknown")
        body = io.BytesIO(data)
        body.seek(_FRAME.size)
        try:
            plain = fastavro.schemaless_reader(body, self._schemas[event_type.name], None)
            value = msgspec.convert(plain, event_type.cls)
        except _HOSTILE as error:
            raise WrongSchema(f"not a {event_type.name}: {type(error).__name__} {error}") from error
        if body.tell() != len(data):
            raise WrongSchema(f"{len(data) - body.tell()} bytes after the end of {event_type.name}")
        return event_type, value
