"""Cells as PostgreSQL can hold them: exact, or the record is refused by name.

PostgreSQL's text and jsonb have no NUL character. It is stored as the two characters ``␛0``, and a
``␛`` (U+241B) of the text itself as ``␛␛``: so no two texts meet, and ``unescape`` gives the text
back. Every other text is stored as it is.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from sinks.base import Permanent, SinkRecord, locate
from sinks.columns import Column, Kind, cell
from sinks.postgres_sql import TAKEN, fit

Put = Callable[[Any], Any]
"""Gives a value the form that its column takes; raises ValueError, TypeError or OverflowError."""

ESCAPE = "\u241b"
_JSON_ESCAPES = re.compile(r"\\(?:u0000|.)")
_ESCAPED = re.compile(f"{ESCAPE}([0{ESCAPE}])")
_BIGINT = range(-(2**63), 2**63)


def escape(text: str) -> str:
    r"""Return ``text`` without NUL; raises UnicodeEncodeError for what is no Unicode text.

    >>> escape("a\x00b"), escape("plain")
    ('a␛0b', 'plain')
    """
    if text.isascii():
        return text.replace("\0", f"{ESCAPE}0")
    text.encode()
    return text.replace(ESCAPE, ESCAPE * 2).replace("\0", f"{ESCAPE}0")


def unescape(text: str) -> str:
    r"""Return the text that ``escape`` was given.

    >>> unescape(escape("␛0 and \x00")) == "␛0 and \x00"
    True
    """
    return _ESCAPED.sub(lambda found: "\0" if found[1] == "0" else ESCAPE, text)


def escape_json(text: str) -> str:
    r"""Return JSON with the strings in it escaped; it has NUL only as ``\u0000``.

    >>> print(escape_json('{"a":"\\u0000","b":"\\\\u0000"}'))
    {"a":"␛0","b":"\\u0000"}
    """
    if ESCAPE in text:
        text = text.replace(ESCAPE, ESCAPE * 2)
    if "\\u0000" not in text:
        return text
    return _JSON_ESCAPES.sub(lambda at: f"{ESCAPE}0" if at[0] == "\\u0000" else at[0], text)


def rows(records: Sequence[SinkRecord], columns: Sequence[Column]) -> list[tuple[Any, ...]]:
    """Return the cells of each record: the fixed ones, then ``columns``.

    Raises Permanent with the first record of which a cell does not fit.
    """
    convert = [(column, _converter(column)) for column in columns]
    return [_row(record, convert) for record in records]


def header(columns: Sequence[Column]) -> list[str]:
    """Return the names of the cells of ``rows``."""
    return ["event_id", "version", "op", "key", "event_ts", *(fit(c.name) for c in columns)]


def _row(record: SinkRecord, convert: Sequence[tuple[Column, Put]]) -> tuple[Any, ...]:
    at, cells = "", list[Any]()
    try:
        for at, put, given in _heads(record):  # noqa: B007
            cells.append(put(given))
        for column, put in convert:
            at = column.name
            found = cell(at, record.event, TAKEN)
            cells.append(None if found is None else put(found))
    except (TypeError, ValueError, OverflowError, RecursionError) as error:
        raise Permanent(
            f"{locate(record)}: column {at!r} cannot hold its value: {error}",
            "correct the producer, or send the record to dead letters",
            record,
        ) from error
    return tuple(cells)


def _heads(record: SinkRecord) -> Iterable[tuple[str, Put, Any]]:
    event = record.event
    return (
        ("event_id", escape, event.id),
        ("version", _int, record.offset),
        ("op", _same, event.op),
        ("key", escape, event.key),
        ("event_ts", _int, event.ts),
    )


def _int(value: int) -> int:
    if value not in _BIGINT:
        raise OverflowError(f"{value} is beyond 64 bits")
    return value


def _float(value: float) -> float:
    exact = float(value)
    if isinstance(value, int) and int(exact) != value:
        raise OverflowError(f"{value} is no double")
    return exact


def _same(value: Any) -> Any:
    return value


_PUT: dict[Kind, Put] = {
    Kind.TEXT: escape,
    Kind.INT: _int,
    Kind.FLOAT: _float,
    Kind.BOOL: _same,
    Kind.BYTES: _same,
    Kind.JSON: escape_json,
}


def _converter(column: Column) -> Put:
    put = _PUT[column.kind]
    if not column.many:
        return put
    return lambda items: [None if item is None else put(item) for item in items]
