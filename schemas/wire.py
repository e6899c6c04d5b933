"""Values on the wire: the Confluent frame (magic byte 0, 4-byte schema id) around an Avro body."""

from __future__ import annotations

import json
import struct
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import fastavro
import msgspec

from schemas.avro_reader import HOSTILE, compile_decoder
from schemas.avro_writer import Encode, compile_encoder
from schemas.catalog import BY_NAME, EventType
from schemas.errors import EmptyValue, NotFramed, UnknownSchema, WrongSchema
from schemas.events import Value
from schemas.registry import locked_ids

T = TypeVar("T")
_FRAME = struct.Struct(">bI")
for _type in BY_NAME.values():
    # msgspec learns a class at its first use, unguarded: two threads that met there crashed
    msgspec.msgpack.Decoder(_type.cls)


class _Made(dict[str, T]):
    """Things by name, made when they are first asked for."""

    def __init__(self, make: Callable[[str], T]) -> None:
        super().__init__()
        self._make = make

    def __missing__(self, name: str) -> T:
        made = self[name] = self._make(name)
        return made


class Codec:
    """Encode and decode values by schema id; ids are the lock's unless a registry gave others.

    With a registry's ids, values are written under these alone. Records that were framed with the
    lock's ids before are still read where their id leaves no doubt: it is unknown to the registry's
    table, or the reader says which type the topic carries and only the lock's type is that one. In
    doubt the registry's id wins. A registry counts from 1 as the lock does, so without the type
    most of the lock's ids are in doubt; topics carry one type each, so with it none is.
    """

    def __init__(self, ids: Mapping[str, int] | None = None) -> None:
        locked = locked_ids()
        self.ids = dict(locked if ids is None else ids)
        self._schemas: dict[str, Any] = {}
        self._encoders = _Made(lambda name: compile_encoder(self._schemas[name]))
        self._decoders = _Made(lambda name: compile_decoder(self._schemas[name], BY_NAME[name].cls))
        self._frames: dict[str, bytes] = {}
        self._by_id: dict[int, EventType] = {}
        self._by_lock = {number: BY_NAME[name] for name, number in locked.items()}
        for name, number in self.ids.items():
            event_type = BY_NAME[name]
            self.learn(event_type, number, json.loads(event_type.path.read_text()))

    def learn(self, event_type: EventType, number: int, schema: Any) -> None:
        """Know one more type, by its schema id and its Avro schema (parsed JSON)."""
        name = event_type.name
        self.ids[name] = number
        fastavro.parse_schema(schema, named_schemas={})  # says what is wrong with one that is none
        self._schemas[name] = schema
        self._encoders.pop(name, None)
        self._decoders.pop(name, None)
        self._frames[name] = _FRAME.pack(0, number)
        self._by_id[number] = event_type

    def encode(self, type_name: str, value: Value) -> bytes:
        """Frame and encode a value; raises WrongSchema when it does not fit its schema."""
        try:
            return self._frames[type_name] + self._encoders[type_name](value)
        except HOSTILE as error:
            raise WrongSchema(f"value does not fit {type_name}: {error}") from error

    def encoder(self, type_name: str) -> Encode:
        """What ``encode`` does for one type, to be called again and again."""
        frame, body = self._frames[type_name], self._encoders[type_name]

        def encode(value: Value) -> bytes:
            try:
                return frame + body(value)
            except HOSTILE as error:
                raise WrongSchema(f"value does not fit {type_name}: {error}") from error

        return encode

    def decode(self, data: bytes | None, expected: str | None = None) -> tuple[EventType, Any]:
        """Read one framed value; ``expected`` names the type that its topic carries.

        A value of another type is returned all the same, when its id says so: refusing it is the
        caller's. ``expected`` only decides between the registry's id and the lock's.

        Raises EmptyValue, NotFramed, UnknownSchema or WrongSchema: never anything else, whatever
        the bytes are.
        """
        if not data:
            raise EmptyValue("the record has an empty value")
        if len(data) < _FRAME.size or data[0] != 0:
            raise NotFramed("the value does not begin with magic byte 0 and a schema id")
        event_type = self._type(_FRAME.unpack_from(data)[1], expected)
        return event_type, self._body(event_type.name, data)

    def reader(self, type_name: str) -> Callable[[bytes | None], Any]:
        """What ``decode`` does for a topic of one type, to be called again and again.

        It raises the same, and WrongSchema for a value of another type.
        """

        frames = self._frames

        def read(data: bytes | None) -> Any:
            if data is None or not data.startswith(frames[type_name]):
                found, value = self.decode(data, type_name)
                if found.name != type_name:
                    raise WrongSchema(f"a {found.name}, where only {type_name} belongs")
                return value
            return self._body(type_name, data)

        return read

    def _body(self, type_name: str, data: bytes) -> Any:
        """The value behind the frame; raises WrongSchema."""
        try:
            value, end = self._decoders[type_name](data, _FRAME.size)
        except HOSTILE as error:
            raise WrongSchema(f"not a {type_name}: {type(error).__name__} {error}") from error
        if end != len(data):
            raise WrongSchema(f"{len(data) - end} bytes after the end of {type_name}")
        return value

    def _type(self, number: int, expected: str | None) -> EventType:
        found, locked = self._by_id.get(number), self._by_lock.get(number)
        if found is None or (locked is not None and found.name != expected == locked.name):
            found = locked
        if found is None:
            raise UnknownSchema(f"schema id {number} is unknown")
        return found
