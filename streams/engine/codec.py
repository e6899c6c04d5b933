"""State on the changelog: MessagePack, with events and values tagged by their class.

Nothing executable is ever read back: a tag names a class of ours, or the record is refused.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import lru_cache
from struct import Struct
from typing import Any, get_type_hints

import msgspec

from joins.state import Key
from schemas import events
from schemas.catalog import BY_NAME
from schemas.envelope import Anchor, Event
from streams.engine.changes import Changes, Timed

_DUE = Struct(">BBq")
"""In front of the value of an entry with a time: a class of no name, the time in ms."""
_STRUCT = 1
_TUPLE = 2

_CLASSES: dict[str, type[msgspec.Struct]] = {
    cls.__name__: cls
    for cls in vars(events).values()
    if isinstance(cls, type) and issubclass(cls, events.Value)
}
_CLASSES["Event"] = Event
_CLASSES["Anchor"] = Anchor


def _prepare(cls: type[msgspec.Struct]) -> None:
    """Let msgspec learn a class now: it does so at the first use, unguarded.

    Tasks recover in several threads, and two that met there ended the process (SIGSEGV).
    """
    msgspec.msgpack.Decoder(cls)


_FLAT = {int, str, float, bool, type(None)}
_FRONTS: dict[type, bytes] = {}
"""What the bytes of an instance begin with, by state class."""
_EVENT_FRONTS: dict[type | None, bytes] = {}
"""The same of an event, by the class of its value."""


def _know(cls: type[msgspec.Struct]) -> None:
    _prepare(cls)
    _FRONTS[cls] = _front(cls.__name__)
    _EVENT_FRONTS[cls] = _front(f"Event/{cls.__name__}")


def _front(name: str) -> bytes:
    return b"\xc1" + bytes((len(name.encode()),)) + name.encode()


for _cls in _CLASSES.values():
    _know(_cls)


def register(cls: type[msgspec.Struct]) -> type[msgspec.Struct]:
    """Let states hold instances of ``cls`` (a class decorator); the name must be its own."""
    if _CLASSES.setdefault(cls.__name__, cls) is not cls:
        raise ValueError(f"two state classes are named {cls.__name__}: rename one of them")
    _HELD[cls.__name__] = _held(cls)
    _know(cls)
    return cls


def unregister(cls: type[msgspec.Struct]) -> None:
    """Make the name of a registered class free again."""
    if _CLASSES.get(cls.__name__) is cls:
        del _CLASSES[cls.__name__], _HELD[cls.__name__], _FRONTS[cls], _EVENT_FRONTS[cls]


_HELD: dict[str, tuple[str, ...]] = {}
"""The fields of a state class that hold events."""


def _held(cls: type[msgspec.Struct]) -> tuple[str, ...]:
    forms = (Event, list[Event], Event | None)
    return tuple(name for name, hint in get_type_hints(cls).items() if hint in forms)


def _revive(held: Any) -> None:
    """Give events their typed values back: MessagePack only keeps the fields."""
    for event in held if isinstance(held, list) else (held,):
        if event is not None and event.type in BY_NAME:
            event.value = msgspec.convert(event.value, BY_NAME[event.type].cls)


def _tag(value: Any) -> Any:
    if isinstance(value, msgspec.Struct):
        name = type(value).__name__
        if name not in _CLASSES:
            raise TypeError(f"{name} is not a state class: decorate it with codec.register")
        fields = [_tag(getattr(value, f)) for f in value.__struct_fields__]
        return msgspec.msgpack.Ext(_STRUCT, _pack.encode([name, *fields]))
    if isinstance(value, tuple):
        return msgspec.msgpack.Ext(_TUPLE, _pack.encode([_tag(v) for v in value]))
    if isinstance(value, list):
        return [_tag(v) for v in value]
    if isinstance(value, dict):
        return {k: _tag(v) for k, v in value.items()}
    return value


def _untag(code: int, data: memoryview) -> Any:
    if code not in (_TUPLE, _STRUCT):
        raise ValueError(f"unknown tag {code} in a state record")
    try:
        if code == _TUPLE:
            return tuple(_unpack.decode(data))
        name, *fields = _unpack.decode(data)
        return _CLASSES[name](*fields)
    except (KeyError, TypeError, ValueError, RecursionError) as error:
        raise ValueError(f"a state record holds no class of ours: {error!r}") from error


_pack = msgspec.msgpack.Encoder()
_unpack = msgspec.msgpack.Decoder(ext_hook=_untag)


def encode_value(value: Any) -> bytes:
    """Bytes of a state value.

    An event of ours, or a value of a state class, is written whole by its type: ``c1`` (which
    MessagePack never uses), the length and the name of the class, its fields by name. Everything
    else is written with a tag at every object.
    """
    kind = type(value)
    if kind is Event:
        front = _EVENT_FRONTS.get(type(value.value))
    elif kind is int or (kind in (dict, list) and set(map(type, _parts(value))) <= _FLAT):
        return _pack.encode(value)  # counts and tallies
    elif kind is Timed:
        return _due_bytes(value.due) + encode_value(value.value)
    else:
        front = _FRONTS.get(kind)
    return _pack.encode(_tag(value)) if front is None else front + _pack.encode(value)


def _parts(value: dict[Any, Any] | list[Any]) -> Iterable[Any]:
    return value.values() if type(value) is dict else value


@lru_cache(1024)
def _due_bytes(due: int) -> bytes:
    return _DUE.pack(0xC1, 0, due)


def decode_value(data: bytes) -> Any:
    """The state value of ``encode_value``'s bytes; raises ValueError for what it never wrote."""
    if data[:1] != b"\xc1":
        return _plain(data)
    if data[1:2] == b"\0" and len(data) >= _DUE.size:
        if data[_DUE.size : _DUE.size + 2] == b"\xc1\0":
            raise ValueError("a state record with a time in a time")
        return Timed(decode_value(data[_DUE.size :]), _DUE.unpack_from(data)[2])
    try:
        end = 2 + data[1]
        outer, _, inner = data[2:end].decode().partition("/")
        found: Any = msgspec.msgpack.decode(memoryview(data)[end:], type=_CLASSES[outer])
        if inner:
            found.value = msgspec.convert(found.value, _CLASSES[inner])
        for field in _HELD.get(outer, ()):
            _revive(getattr(found, field))
    except (LookupError, AttributeError, RecursionError) as error:
        raise ValueError(f"a state record holds no class of ours: {error!r}") from error
    return found


def _plain(data: bytes) -> Any:
    """What was written with tags; raises ValueError."""
    try:
        return _unpack.decode(data)
    except RecursionError as error:
        raise ValueError("a state record that is nested too deep") from error


def due_of(data: bytes) -> int | None:
    """The event time (ms) that an entry is due at, from the bytes of its content."""
    if data[:2] == b"\xc1\0" and len(data) >= _DUE.size:
        due: int = _DUE.unpack_from(data)[2]
        return due
    return None


def encode_key(key: Key) -> bytes:
    """Bytes of a state key."""
    return _pack.encode(key)


def decode_key(data: bytes) -> Key:
    """The state key of ``encode_key``'s bytes."""
    return tuple(_plain(data))


def encode_changes(changes: Changes) -> Iterator[tuple[bytes, bytes | None]]:
    """Key and value on the changelog of each entry."""
    pack, path, bodies = _pack.encode, changes.path, changes.bodies
    for key, value, due in changes.entries:
        body = None if value is None else encode_value(value)
        if due is not None and body is not None:
            body = _due_bytes(due) + body
        if bodies is not None:
            bodies.append(body)
        yield pack((*path, *key)), body
