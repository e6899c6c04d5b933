"""Batches as Arrow tables, exact or refused: a cell is never rounded, cut or replaced."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from sinks.base import Permanent, SinkRecord, locate
from sinks.columns import FIXED, Column, Kind, cell
from sinks.drivers import arrow_driver

if TYPE_CHECKING:
    import pyarrow as pa

Read = Callable[[SinkRecord], Any]

_FIXED: dict[str, tuple[Kind, Read]] = {
    "event_id": (Kind.TEXT, lambda record: record.event.id),
    "version": (Kind.INT, lambda record: record.offset),
    "op": (Kind.TEXT, lambda record: record.event.op),
    "key": (Kind.TEXT, lambda record: record.event.key),
    "event_ts": (Kind.INT, lambda record: record.event.ts),
    "topic": (Kind.TEXT, lambda record: record.topic),
    "partition": (Kind.INT, lambda record: record.partition),
}


def arrow_table(
    records: Sequence[SinkRecord], columns: Sequence[Column], fixed: tuple[str, ...] = FIXED
) -> pa.Table:
    """Return the rows of ``records``: the fixed columns and then ``columns``.

    Raises Permanent with the first record of which a cell does not fit its column.
    """
    arrays = {
        name: _array(records, name, (kind, False), read) for name, kind, read in _heads(fixed)
    }
    for column in columns:
        read = partial(_payload_cell, column.name, fixed)
        arrays[column.name] = _array(records, column.name, column.type, read)
    return arrow_driver().table(arrays)


def _heads(fixed: tuple[str, ...]) -> list[tuple[str, Kind, Read]]:
    return [(name, *_FIXED[name]) for name in fixed]


def _payload_cell(name: str, fixed: tuple[str, ...], record: SinkRecord) -> Any:
    return cell(name, record.event, fixed)


def _array(
    records: Sequence[SinkRecord], name: str, kind: tuple[Kind, bool], read: Read
) -> pa.Array:
    arrow_type = _type(kind)
    try:
        return _convert([read(record) for record in records], arrow_type)
    except (ValueError, TypeError, OverflowError):
        _blame(records, name, arrow_type, read)
        raise


def _convert(cells: list[Any], arrow_type: pa.DataType) -> pa.Array:
    return arrow_driver().array(cells, type=arrow_type)


def _blame(records: Sequence[SinkRecord], name: str, arrow_type: pa.DataType, read: Read) -> None:
    for record in records:
        try:
            _convert([read(record)], arrow_type)
        except (ValueError, TypeError, OverflowError) as error:
            raise Permanent(
                f"{locate(record)}: column {name!r} cannot hold its value as {arrow_type}: {error}",
                "correct the producer, or send the record to dead letters",
                record,
            ) from error


def _type(kind: tuple[Kind, bool]) -> pa.DataType:
    pa = arrow_driver()
    plain = {
        Kind.TEXT: pa.string(),
        Kind.INT: pa.int64(),
        Kind.FLOAT: pa.float64(),
        Kind.BOOL: pa.bool_(),
        Kind.BYTES: pa.binary(),
        Kind.JSON: pa.string(),
    }[kind[0]]
    return pa.list_(plain) if kind[1] else plain
