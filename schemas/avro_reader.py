"""Typed values from Avro bodies, by code made from their schema: one function a record type.

fastavro makes a dict of every record through several calls a field. A function that knows the
fields reads the bytes straight into the class. The bytes are untrusted: whatever they are, reading
ends within their length, and with one of the errors in ``HOSTILE``.
"""

from __future__ import annotations

import struct
import typing
from collections.abc import Callable
from struct import Struct
from typing import Any

import msgspec

from schemas.events import Value

Decode = Callable[[bytes, int], tuple[Any, int]]
"""From bytes and a position to a value and the position behind it."""

HOSTILE = (
    ArithmeticError, AttributeError, EOFError, LookupError, MemoryError, RecursionError, TypeError,
    ValueError, struct.error,
)  # fmt: skip
"""What code for bytes, or for values, that are not what they claim to be may raise."""

_double = Struct("<d").unpack_from


def long_at(data: bytes, at: int) -> tuple[int, int]:
    """A zig-zag number of up to ten bytes; raises ValueError beyond 64 bits."""
    if at + 3 <= len(data):  # most have two bytes or three
        low, middle, high = data[at : at + 3]
        if low > 127 and middle < 128:
            rest = low & 127 | middle << 7
            return (rest >> 1) ^ -(rest & 1), at + 2
        if low > 127 and high < 128:
            rest = low & 127 | (middle & 127) << 7 | high << 14
            return (rest >> 1) ^ -(rest & 1), at + 3
    rest, shift = 0, 0
    for byte in data[at : at + 10]:
        at += 1
        if byte < 128:
            rest |= byte << shift
            if rest >> 64:
                raise ValueError("a number has more than 64 bits")
            return (rest >> 1) ^ -(rest & 1), at
        rest |= (byte & 127) << shift
        shift += 7
    raise ValueError("a number does not end within ten bytes")


def size_at(data: bytes, at: int) -> tuple[int, int]:
    """A length; raises ValueError for a negative one, EOFError when it leads beyond the end."""
    size, at = long_at(data, at)
    if size < 0:
        raise ValueError(f"a length of {size}")
    if at + size > len(data):
        raise EOFError(f"{size} bytes are announced, {len(data) - at} are left")
    return size, at


def count_at(data: bytes, at: int) -> tuple[int, int]:
    """How many items a block of an array or map has; a negative count is followed by a size."""
    count, at = long_at(data, at)
    if count < 0:
        _, at = long_at(data, at)
        count = -count
    if count > len(data) - at:  # every item takes a byte at least
        raise EOFError(f"{count} items are announced, {len(data) - at} bytes are left")
    return count, at


class _Source:
    """The text of a decoder, and the names that it uses."""

    def __init__(self) -> None:
        self.names: dict[str, Any] = {
            "long_at": long_at, "size_at": size_at, "count_at": count_at, "_double": _double,
        }  # fmt: skip
        self.lines: list[str] = []
        self._number = 0

    def new(self) -> str:
        """A name for a local variable."""
        self._number += 1
        return f"v{self._number}"

    def say(self, depth: int, *lines: str) -> None:
        self.lines += ["    " * depth + line for line in lines]


def compile_decoder(schema: Any, cls: type[Value]) -> Decode:
    """The decoder of a record schema (parsed JSON) into ``cls``.

    Raises ValueError where class and schema differ, or for a type that it cannot do.
    """
    return _record(schema, cls, {})


def _record(schema: Any, cls: Any, known: dict[str, Any]) -> Decode:
    source = _Source()
    source.say(0, "def decode(d, i):", "    z = len(d)")
    found = source.new()
    _read_record(source, 1, schema, cls, found, known)
    source.say(1, f"return {found}, i")
    exec(compile("\n".join(source.lines), f"<avro {schema['name']}>", "exec"), source.names)
    decode: Decode = source.names["decode"]
    return decode


def _read_record(
    source: _Source, depth: int, schema: Any, cls: Any, into: str, known: dict[str, Any]
) -> None:
    names = tuple(field["name"] for field in schema["fields"])
    if names != cls.__struct_fields__:
        raise ValueError(f"{cls.__name__} has {cls.__struct_fields__}, its schema {names}")
    known[schema["name"]] = known[f"streams.{schema['name']}"] = schema
    hints, found = typing.get_type_hints(cls), [source.new() for _ in names]
    for field, variable in zip(schema["fields"], found, strict=True):
        _read(source, depth, field["type"], hints[field["name"]], variable, known)
    source.names[f"cls_{into}"] = cls
    source.say(depth, f"{into} = cls_{into}({', '.join(found)})")


def _read(
    source: _Source, depth: int, kind: Any, hint: Any, into: str, known: dict[str, Any]
) -> None:
    """The lines that read a value of type ``kind`` at ``i`` into a variable."""
    if isinstance(kind, list):
        _read_optional(source, depth, kind, hint, into, known)
    elif isinstance(kind, str) and kind in _PLAIN:
        source.say(depth, *(line.replace("$", into) for line in _PLAIN[kind]))
    elif isinstance(kind, dict) and kind["type"] in ("array", "map"):
        _read_many(source, depth, kind, hint, into, known)
    elif isinstance(kind, dict) and kind["type"] != "record":
        _read(source, depth, kind["type"], hint, into, known)
    else:
        schema = known[kind] if isinstance(kind, str) else kind
        _read_record(source, depth, schema, _class_in(hint), into, known)


_SIZE = (
    "n = d[i]",
    "if not n & 129:",  # neither negative nor of more bytes
    "    i += 1",
    "    j = i + (n >> 1)",
    "elif n > 127 and not n & 1 and d[i + 1] < 128:",  # a hash has 64 letters: two bytes
    "    j = i + 2 + ((n & 127 | d[i + 1] << 7) >> 1)",
    "    i += 2",
    "else:",
    "    n, i = size_at(d, i)",
    "    j = i + n",
    "if j > z:",
    "    raise EOFError(f'{j - i} bytes are announced, {z - i} are left')",
)
_PLAIN: dict[str, tuple[str, ...]] = {
    "string": (*_SIZE, "$ = d[i:j].decode()", "i = j"),
    "bytes": (*_SIZE, "$ = d[i:j]", "i = j"),
    "long": ("n = d[i]", "if n < 128:", "    $ = (n >> 1) ^ -(n & 1)", "    i += 1", "else:",
             "    $, i = long_at(d, i)"),
    "boolean": ("n = d[i]", "if n > 1:", "    raise ValueError(f'a boolean of {n}')", "$ = n == 1",
                "i += 1"),
    "double": ("$ = _double(d, i)[0]", "i += 8"),
}  # fmt: skip


def _read_optional(
    source: _Source, depth: int, kind: Any, hint: Any, into: str, known: dict[str, Any]
) -> None:
    if len(kind) != 2 or kind[0] != "null":
        raise ValueError(f"union {kind} is not one of null and another type")
    source.say(depth, "n = d[i]", "i += 1", "if n == 0:", f"    {into} = None", "elif n == 2:")
    _read(source, depth + 1, kind[1], hint, into, known)
    source.say(depth, "else:", "    raise ValueError(f'a union of two has no part {n / 2}')")


def _read_many(
    source: _Source, depth: int, kind: Any, hint: Any, into: str, known: dict[str, Any]
) -> None:
    count, name, item = source.new(), source.new(), source.new()
    is_map = kind["type"] == "map"
    source.say(depth, f"{into} = {'{}' if is_map else '[]'}", f"{count}, i = count_at(d, i)")
    source.say(depth, f"while {count}:", f"    for _ in range({count}):")
    if is_map:
        _read(source, depth + 2, "string", str, name, known)
    _read(source, depth + 2, kind["values" if is_map else "items"], hint, item, known)
    put = f"{into}[{name}] = {item}" if is_map else f"{into}.append({item})"
    source.say(depth + 2, put)
    source.say(depth + 1, f"{count}, i = count_at(d, i)")


def _class_in(hint: Any) -> Any:
    """The record class inside a type such as ``list[TxInput]`` or ``Prevout | None``."""
    if isinstance(hint, type) and issubclass(hint, msgspec.Struct):
        return hint
    for part in typing.get_args(hint):
        found = _class_in(part)
        if found is not None:
            return found
    return None
