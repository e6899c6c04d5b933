"""The columns of a value: derived from the class of its Avro record, the same for every table.

A table has the fixed columns of ``FIXED`` and then one column a field of the payload:

- ``str``, ``int``, ``float``, ``bool`` and ``bytes``, or None: a plain column;
- a list of one of these: a list column;
- everything else (records, lists of records, maps, unions): JSON text, in which bytes are base64,
  ints are exact and NaN is null, since JSON has none.

A value that has no class (a mapping, a plain number) fills the one column ``payload`` with JSON: so
the columns never depend on which record came first.

A field whose name is taken (a fixed one, or one that begins with ``payload``) gets the prefix
``payload_``: the field ``version`` of a transaction is the column ``payload_version``. No two
fields can meet in one column this way.
"""

from __future__ import annotations

from collections.abc import Iterable
from enum import Enum
from typing import Any

import msgspec
from msgspec import inspect

from schemas.envelope import Event
from sinks.base import Permanent, SinkRecord, locate

FIXED = ("event_id", "version", "op", "key", "event_ts")
"""Columns that every row has; ``version`` is the offset, ``event_ts`` is in milliseconds."""

PAYLOAD = "payload"
"""The column of a value without a class, and the prefix of fields whose name is taken."""

_json = msgspec.json.Encoder(order="deterministic")


class Kind(Enum):
    """What a cell holds."""

    TEXT = "text"
    INT = "int"
    FLOAT = "float"
    BOOL = "bool"
    BYTES = "bytes"
    JSON = "json"


_PYTHON: dict[Kind, tuple[type, ...]] = {
    Kind.TEXT: (str,),
    Kind.INT: (int,),
    Kind.FLOAT: (float, int),
    Kind.BOOL: (bool,),
    Kind.BYTES: (bytes,),
}


class Column(msgspec.Struct, frozen=True):
    """One column of a table."""

    name: str
    kind: Kind
    many: bool = False
    """The cell is a list of ``kind``."""
    field: str | None = None
    """The attribute of the value; None where the cell is the whole value."""

    @property
    def type(self) -> tuple[Kind, bool]:
        """Two columns of one name fit each other when these are equal."""
        return (self.kind, self.many)

    def read(self, value: object) -> Any:
        """Return the cell of this column in ``value``; raises TypeError if its type is wrong."""
        cell = value if self.field is None else getattr(value, self.field)
        if cell is None:
            return None
        if self.kind is Kind.JSON:
            return to_json(cell)
        self._check(cell)
        return cell

    def _check(self, cell: Any) -> None:
        # Arrow would cut 1.5 to 1 and take a text for a list of characters.
        if self.many and not isinstance(cell, list | tuple):
            raise TypeError(f"{type(cell).__name__} is no list")
        for item in cell if self.many else (cell,):
            if item is not None and not isinstance(item, _PYTHON[self.kind]):
                raise TypeError(f"{type(item).__name__} is no {self.kind.value}")


def to_json(value: object) -> str:
    """Write a value as JSON: maps by key, bytes as base64, ints exact.

    >>> to_json({"b": 2**64, "a": b"x"})
    '{"a":"eA==","b":18446744073709551616}'
    """
    return _json.encode(value).decode()


def column_name(field: str, taken: Iterable[str] = FIXED) -> str:
    """Return the column of a field.

    >>> column_name("fee_sat"), column_name("version"), column_name("payload_version")
    ('fee_sat', 'payload_version', 'payload_payload_version')
    """
    folded = field.casefold()
    clash = folded.startswith(PAYLOAD) or folded in taken
    return f"{PAYLOAD}_{field}" if clash else field


def columns_of(cls: type[object], taken: tuple[str, ...] = FIXED) -> tuple[Column, ...]:
    """Return the payload's columns for values of ``cls``; raises Permanent if two would meet.

    >>> from schemas.events import Tip
    >>> [(c.name, c.kind.value) for c in columns_of(Tip)]
    [('network', 'text'), ('height', 'int'), ('hash', 'text')]
    """
    return tuple(_by_name(cls, taken).values())


def _derive(cls: type[object], taken: tuple[str, ...]) -> tuple[Column, ...]:
    if cls is type(None):
        return ()
    if not issubclass(cls, msgspec.Struct):
        return (Column(PAYLOAD, Kind.JSON),)
    info = inspect.type_info(cls)
    assert isinstance(info, inspect.StructType)
    columns = tuple(_column(field, taken) for field in info.fields)
    _refuse_twins(cls, columns)
    return columns


_derived: dict[tuple[type[object], tuple[str, ...]], dict[str, Column]] = {}


def _by_name(cls: type[object], taken: tuple[str, ...]) -> dict[str, Column]:
    found = _derived.get((cls, taken))
    if found is None:
        found = {column.name: column for column in _derive(cls, taken)}
        _derived[cls, taken] = found
    return found


def cell(name: str, event: Event, taken: tuple[str, ...] = FIXED) -> Any:
    """Return the cell of ``event`` in column ``name``; a retract is a tombstone without cells."""
    if event.op == "retract":
        return None
    column = _by_name(type(event.value), taken).get(name)
    return None if column is None else column.read(event.value)


def payload_columns(events: Iterable[Event], taken: tuple[str, ...] = FIXED) -> tuple[Column, ...]:
    """Return the columns of all values of ``events``; raises Permanent where types disagree."""
    found: dict[str, Column] = {}
    for cls in dict.fromkeys(type(event.value) for event in events if event.op == "assert"):
        for column in columns_of(cls, taken):
            known = found.setdefault(column.name, column)
            if known.type != column.type:
                raise Permanent(
                    f"column {column.name!r} is {known.kind.value} in one event type of the topic "
                    f"and {column.kind.value} in {cls.__name__}",
                    "give the field one type, or the event type its own topic",
                )
    return tuple(found.values())


def refuse_rounded(
    records: Iterable[SinkRecord], columns: Iterable[Column], taken: tuple[str, ...] = FIXED
) -> None:
    """Raise Permanent with the first record of which a double would round an int.

    ``columns`` are the ints of the event type that a table holds as doubles, from another version.
    """
    for column in columns:
        for record in records:
            found = cell(column.name, record.event, taken)
            for number in found if column.many and found is not None else (found,):
                if number is not None and int(float(number)) != number:
                    raise Permanent(
                        f"{locate(record)}: column {column.name!r} holds doubles, and {number} is "
                        "none",
                        "correct the producer, or send the record to dead letters",
                        record,
                    )


def _column(field: inspect.Field, taken: tuple[str, ...]) -> Column:
    kind, many = _kind(field.type)
    return Column(column_name(field.name, taken), kind, many, field.name)


_PLAIN: dict[type[inspect.Type], Kind] = {
    inspect.StrType: Kind.TEXT,
    inspect.IntType: Kind.INT,
    inspect.FloatType: Kind.FLOAT,
    inspect.BoolType: Kind.BOOL,
    inspect.BytesType: Kind.BYTES,
}


def _kind(info: inspect.Type) -> tuple[Kind, bool]:
    bare = _without_none(info)
    if type(bare) in _PLAIN:
        return _PLAIN[type(bare)], False
    if isinstance(bare, inspect.LiteralType) and all(isinstance(v, str) for v in bare.values):
        return Kind.TEXT, False
    if isinstance(bare, inspect.ListType):
        item = _PLAIN.get(type(_without_none(bare.item_type)))
        return (item, True) if item else (Kind.JSON, False)
    return Kind.JSON, False


def _without_none(info: inspect.Type) -> inspect.Type:
    if isinstance(info, inspect.Metadata):
        return _without_none(info.type)
    if not isinstance(info, inspect.UnionType):
        return info
    rest = [part for part in info.types if not isinstance(part, inspect.NoneType)]
    return _without_none(rest[0]) if len(rest) == 1 else info


def _refuse_twins(cls: type[object], columns: tuple[Column, ...]) -> None:
    names = {column.name.casefold() for column in columns}
    if len(names) < len(columns):
        raise Permanent(
            f"fields of {cls.__name__} differ only in upper and lower case",
            "rename one: column names ignore case",
        )
