"""Event types of a user's own steps: a class is enough, its Avro schema and id follow from it.

The types of ``schemas`` have schema files, committed ids and a registry. A type made here is known
to the process that imports the module which makes it, and to nobody else.
"""

from __future__ import annotations

import json
import types
import typing
from collections.abc import Callable
from hashlib import sha256
from typing import Any

import msgspec

from schemas.catalog import BY_NAME, EventType, Parts
from schemas.events import Value
from schemas.wire import Codec
from streams.engine.codec import register, unregister

FIRST_ID = 1 << 30
"""Ids of own types lie above; locks and registries count from 1."""
_PLAIN: dict[Any, str] = {
    str: "string", int: "long", float: "double", bool: "boolean", bytes: "bytes"
}  # fmt: skip


class BadType(TypeError):
    """A class cannot be an event type; the message names the field and the remedy."""


class OwnType(EventType, frozen=True, kw_only=True):
    """An event type that no schema file describes."""

    schema: str
    """Its Avro schema as JSON."""

    @property
    def number(self) -> int:
        """Its schema id: a digest of the schema, so that a changed class is another type."""
        digest = sha256(self.schema.encode()).digest()
        return FIRST_ID | (int.from_bytes(digest[:4], "big") & (FIRST_ID - 1))


OWN: dict[str, OwnType] = {}
"""The own types of this process, by name."""


def event_type(
    name: str,
    cls: type[Value],
    key: Callable[[Any], str],
    identity: Callable[[Any], Parts] | None = None,
) -> OwnType:
    """Make ``cls`` an event type named ``name`` (``shop.order.v1``), and return it.

    ``key`` gives the Kafka key of a value; ``identity`` what a value is about, where producers
    outside write it. Fields are str, int, float, bool, bytes, other such classes, ``list``s and
    ``dict``s of them with str keys, and each of these ``| None``. Raises BadType.

    >>> class Receipt(Value, frozen=True):
    ...     number: str
    ...     items: list[str]
    ...     note: str | None = None
    >>> event_type("doc.receipt.v1", Receipt, key=lambda receipt: receipt.number).name
    'doc.receipt.v1'
    >>> forget("doc.receipt.v1")
    """
    if name in BY_NAME and name not in OWN:
        raise BadType(f"{name} is a type of ours: name yours after you, such as shop.{name}")
    made = OwnType(name, cls, identity, key, schema=json.dumps(avro_of(cls, name)))
    try:
        register(cls)
    except ValueError as error:
        raise BadType(f"the class of {name}: {error}") from error
    OWN[name] = BY_NAME[name] = made
    return made


def forget(name: str) -> None:
    """Make a name of an own type, and that of its class, free again."""
    unregister(OWN[name].cls)
    del OWN[name], BY_NAME[name]


def teach(codec: Codec) -> Codec:
    """Let a codec write and read the own types; returns it."""
    for own in OWN.values():
        codec.learn(own, own.number, json.loads(own.schema))
    return codec


def avro_of(cls: type[Value], name: str) -> dict[str, Any]:
    """The Avro record of a class; raises BadType."""
    hints = typing.get_type_hints(cls)
    fields = []
    for field in msgspec.structs.fields(cls):
        kind = _avro(hints[field.name], f"{cls.__name__}.{field.name}")
        fields.append({"name": field.name, "type": kind})
    return {"type": "record", "name": name, "fields": fields}


def _avro(hint: Any, where: str) -> Any:
    if hint in _PLAIN:
        return _PLAIN[hint]
    origin, inner = typing.get_origin(hint), typing.get_args(hint)
    if origin is list:
        return {"type": "array", "items": _avro(inner[0], where)}
    if origin is dict and inner[0] is str:
        return {"type": "map", "values": _avro(inner[1], where)}
    if origin in (typing.Union, types.UnionType) and len(inner) == 2 and type(None) in inner:
        return ["null", _avro(next(i for i in inner if i is not type(None)), where)]
    if isinstance(hint, type) and issubclass(hint, Value):
        return avro_of(hint, where.replace(".", "_"))
    raise BadType(f"field {where} has a type that Avro cannot hold: use str, int, float, bool, "
                  "bytes, a Value, a list or a dict of them")  # fmt: skip
