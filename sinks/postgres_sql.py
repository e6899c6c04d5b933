"""The statements and names of the PostgreSQL sink; nothing here speaks to a server."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from hashlib import sha256

from sinks.base import check_topic
from sinks.columns import FIXED, Column, Kind

TAKEN = (*FIXED, "event_time")
"""Columns of each live view that no field of a payload may have."""

LONGEST = 63
"""Bytes of a name; PostgreSQL cuts longer ones off without an error."""

FIXED_TYPES = {
    "event_id": "text",
    "version": "bigint",
    "op": "text",
    "key": "text",
    "event_ts": "bigint",
}
_TYPES = {
    Kind.TEXT: "text",
    Kind.INT: "bigint",
    Kind.FLOAT: "double precision",
    Kind.BOOL: "boolean",
    Kind.BYTES: "bytea",
    Kind.JSON: "jsonb",
}
_YEARS = (-62_135_596_800_000, 253_402_300_799_999)
"""Years 1 to 9999 in ms: a view must not fail at a row that has another time."""

COLUMNS = """
select attname, format_type(atttypid, atttypmod) as type
from pg_attribute
where attrelid = to_regclass($1) and attnum > 0 and not attisdropped and attgenerated = ''
order by attnum
"""
UNIQUE_ID = """
select exists (
    select from pg_index i join pg_attribute a on a.attrelid = i.indrelid and a.attname = 'event_id'
    where i.indrelid = to_regclass($1) and i.indisunique and i.indpred is null
    and i.indnkeyatts = 1 and i.indkey[0] = a.attnum)
"""


def names(topic: str) -> tuple[str, str]:
    """Return the table of a topic and the view of its live rows.

    >>> names("bitcoin.transactions")
    ('bitcoin_transactions', 'bitcoin_transactions_live')
    """
    table = fit(check_topic(topic).replace(".", "_"), LONGEST - len("_live"))
    return table, f"{table}_live"


def fit(name: str, most: int = LONGEST) -> str:
    """Return ``name`` if it has at most ``most`` bytes, else its beginning and a hash of it all.

    >>> fit("a" * 20, most=16)
    'aaa_42492da06234'
    """
    raw = name.encode()
    if len(raw) <= most:
        return name
    return f"{raw[: most - 13].decode(errors='ignore')}_{sha256(raw).hexdigest()[:12]}"


def quoted(*parts: str) -> str:
    """Return names as one SQL identifier.

    >>> quoted("streams", 'odd"name')
    '"streams"."odd""name"'
    """
    return ".".join('"' + part.replace('"', '""') + '"' for part in parts)


def sql_type(column: Column) -> str:
    """Return the PostgreSQL type of a column, as the server itself names it.

    >>> sql_type(Column("reasons", Kind.TEXT, many=True))
    'text[]'
    """
    return _TYPES[column.kind] + ("[]" if column.many else "")


def own_tables(schema: str) -> list[str]:
    """Return the statements that make the sink's own two tables."""
    return [
        f"create table if not exists {quoted(schema, '_positions')} (topic text, "
        "partition integer, next_offset bigint not null, primary key (topic, partition))",
        f"create table if not exists {quoted(schema, '_names')} (name text primary key, "
        "topic text not null)",
    ]


def create(schema: str, table: str) -> str:
    """Return the statement that makes a topic's table with the fixed columns."""
    fixed = ", ".join(f"{name} {kind}" for name, kind in FIXED_TYPES.items())
    fixed = fixed.replace("event_id text", "event_id text primary key")
    fixed = fixed.replace("version bigint", "version bigint not null")
    return f"create table {quoted(schema, table)} ({fixed.replace('op text', 'op text not null')})"


def add_column(schema: str, table: str, column: Column) -> str:
    """Return the statement that adds a payload column."""
    name = quoted(fit(column.name))
    return f"alter table {quoted(schema, table)} add column {name} {sql_type(column)}"


def live_view(schema: str, table: str, view: str) -> str:
    """Return the statement that makes the view of the rows that are not deleted."""
    first, last = _YEARS
    time = (
        f"case when event_ts between {first} and {last} "
        "then timestamptz 'epoch' + event_ts * interval '1 ms' end as event_time"
    )
    # A view's columns may only grow at their end, as those of the table do.
    return (
        f"create or replace view {quoted(schema, view)} as select {time}, t.* "
        f"from {quoted(schema, table)} t where op = 'assert'"
    )


def stage(schema: str, table: str, name: str, columns: Iterable[str]) -> str:
    """Return the statement that makes the place where a batch waits, in this session alone."""
    chosen = ", ".join(map(quoted, columns))
    return (
        f"create temp table {quoted(name)} on commit delete rows as "
        f"select {chosen} from {quoted(schema, table)} with no data"
    )


def upsert(schema: str, table: str, staged: str, columns: Sequence[str]) -> str:
    """Return the statement that takes over a batch; columns that it left out become NULL.

    Rows go in the order of their ids, so that two writers never wait for each other in a circle.

    >>> print(upsert("s", "t", "b", ["event_id", "version", "a"]))
    insert into "s"."t" as t ("event_id", "version", "a")
    select "event_id", "version", "a" from pg_temp."b" order by event_id
    on conflict (event_id) do update set "version" = excluded."version", "a" = excluded."a"
    where excluded.version > t.version
    """
    chosen = ", ".join(map(quoted, columns))
    sets = ", ".join(f"{quoted(c)} = excluded.{quoted(c)}" for c in columns if c != "event_id")
    return (
        f"insert into {quoted(schema, table)} as t ({chosen})\n"
        f"select {chosen} from pg_temp.{quoted(staged)} order by event_id\n"
        f"on conflict (event_id) do update set {sets}\n"
        "where excluded.version > t.version"
    )


def advance(schema: str) -> str:
    """Return the statement that moves positions forward, never back."""
    return (
        f"insert into {quoted(schema, '_positions')} as p (topic, partition, next_offset)\n"
        "select * from unnest($1::text[], $2::integer[], $3::bigint[]) order by 1, 2\n"
        "on conflict (topic, partition) do update\n"
        "set next_offset = greatest(p.next_offset, excluded.next_offset)"
    )


def lock_key(schema: str) -> int:
    """Return the number of the advisory lock under which tables are made and changed."""
    return int.from_bytes(sha256(f"streams.sink:{schema}".encode()).digest()[:8], signed=True)
