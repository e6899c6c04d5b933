"""DuckDB: one table a topic, upsert by ``event_id`` and ``version``; a deleted row stays.

The table of ``bitcoin.transactions`` is ``bitcoin_transactions``, with the columns ``event_id``
(primary key), ``version``, ``op``, ``key``, ``event_ts`` and then the payload's, as
``sinks.columns`` derives them. A row with ``op = 'retract'`` is a tombstone: it keeps its version,
so that nothing older brings it back, and has no payload. The view ``bitcoin_transactions_live`` has
the other rows: the net set.

A batch is one transaction, together with the consumer's positions (table ``_positions``): rows and
positions never disagree, and a driver that resumes at ``positions()`` repeats nothing. A field that
a later schema version adds becomes a column; rows from before have NULL there.

One process at a time may open a database file; read in the same process with ``cursor()``.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, ClassVar

import msgspec
from msgspec import Meta

from sinks.arrow import arrow_table
from sinks.base import (
    Permanent,
    Positions,
    Retryable,
    SinkRecord,
    by_topic,
    check_topic,
    ends,
    newest,
)
from sinks.columns import FIXED, Column, Kind, payload_columns, refuse_rounded
from sinks.drivers import duckdb_driver, need

if TYPE_CHECKING:
    import duckdb

_POSITIONS = """
create table if not exists _positions (
    topic varchar, "partition" integer, next_offset bigint not null,
    primary key (topic, "partition"))
"""
_ADVANCE = """
insert into _positions values (?, ?, ?)
on conflict (topic, "partition") do update
set next_offset = greatest(next_offset, excluded.next_offset)
"""
_COLUMNS = """
select column_name, data_type from duckdb_columns()
where database_name = current_database() and schema_name = current_schema() and table_name = ?
"""
_TYPES = {
    Kind.TEXT: "VARCHAR",
    Kind.INT: "BIGINT",
    Kind.FLOAT: "DOUBLE",
    Kind.BOOL: "BOOLEAN",
    Kind.BYTES: "BLOB",
    Kind.JSON: "JSON",
}
_OFFLINE = {"autoinstall_known_extensions": "false"}
"""Nothing is downloaded at run time: JSON is built into the wheel."""


class DuckDBConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Settings of the DuckDB sink."""

    path: Annotated[
        str, Meta(description="Database file; it and its directory are made if missing.")
    ]
    threads: Annotated[
        int, Meta(description="Threads that DuckDB may use; 0: one a core.", ge=0)
    ] = 0


class DuckDBSink:
    """Upserts events into one DuckDB database. Upsert key: ``event_id``, then ``version``."""

    Config: ClassVar = DuckDBConfig
    summary: ClassVar[str] = "One DuckDB table a topic, upserted by event_id and version."

    def __init__(self, config: DuckDBConfig) -> None:
        duckdb_driver()
        need("pyarrow", extra="duckdb")
        self._path = config.path
        self._tables: dict[str, dict[str, str]] = {}
        with _typed(self._path):
            self._db = _connect(config)
            self._db.execute(_POSITIONS)
        self._owners = {"_positions": "the sink itself", "_batch": "the sink itself"}
        for topic, _ in self.positions():
            self._claim(topic)

    def write(self, records: Sequence[SinkRecord]) -> None:
        """Upsert a batch and advance the positions, in one transaction."""
        with self._transaction():
            for topic, rows in by_topic(records).items():
                self._upsert(topic, list(newest(rows).values()))
            for (topic, partition), offset in ends(records).items():
                self._db.execute(_ADVANCE, [topic, partition, offset])

    def flush(self) -> None:
        """Do nothing: every batch is committed when ``write`` returns."""

    def close(self) -> None:
        """Close the database file."""
        with _typed(self._path):
            self._db.close()

    def positions(self) -> Positions:
        """Return the next offset by (topic, partition), as committed with the rows."""
        with _typed(self._path):
            rows = self._db.execute("from _positions").fetchall()
        return {(topic, partition): offset for topic, partition, offset in rows}

    def cursor(self) -> duckdb.DuckDBPyConnection:
        """Return a second connection to the same database, to read from while the sink writes."""
        return self._db.cursor()

    def _upsert(self, topic: str, rows: list[SinkRecord]) -> None:
        table = self._claim(topic)
        columns = payload_columns(record.event for record in rows)
        known = self._prepare(table, columns)
        refuse_rounded(rows, [c for c in columns if known[c.name.casefold()] != sql_type(c)])
        self._db.register("_batch", arrow_table(rows, columns))
        try:
            self._db.execute(upsert_sql(table, [*FIXED, *(c.name for c in columns)], list(known)))
        finally:
            self._db.unregister("_batch")

    def _prepare(self, table: str, columns: Sequence[Column]) -> Mapping[str, str]:
        """Make the table fit ``columns``; return all its columns with their types."""
        known = self._tables.get(table) or self._read_columns(table)
        statements = [] if known else [create_sql(table)]
        for column in columns:
            held = known.get(column.name.casefold())
            if held is None:
                statements.append(add_column_sql(table, column))
            elif not _fits(sql_type(column), held):
                raise _mismatch(table, column, held)
        if statements:
            for statement in [*statements, live_view_sql(table)]:
                self._db.execute(statement)
            known = self._read_columns(table)
        self._tables[table] = known
        return known

    def _read_columns(self, table: str) -> dict[str, str]:
        found = self._db.execute(_COLUMNS, [table]).fetchall()
        return {name.casefold(): data_type for name, data_type in found}

    def _claim(self, topic: str) -> str:
        """Return the table of a topic; raises Permanent if another topic has it."""
        table = table_name(topic)
        for name in (table, f"{table}_live"):
            owner = self._owners.setdefault(name.casefold(), topic)
            if owner != topic:
                raise Permanent(
                    f"topics {owner!r} and {topic!r} both need the name {name!r} in DuckDB",
                    "write one of them to another database file",
                )
        return table

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        with _typed(self._path):
            self._db.begin()
            try:
                yield
                self._db.commit()
            except BaseException:
                self._tables.clear()
                self._rollback()
                raise

    def _rollback(self) -> None:
        # An error that is fatal to the database has rolled back already.
        with suppress(duckdb_driver().Error):
            self._db.rollback()


def table_name(topic: str) -> str:
    """Return the table of a topic.

    >>> table_name("bitcoin.transactions")
    'bitcoin_transactions'
    """
    return check_topic(topic).replace(".", "_")


def quoted(name: str) -> str:
    """Return a name as SQL identifier.

    >>> quoted('odd"name')
    '"odd""name"'
    """
    return '"' + name.replace('"', '""') + '"'


def sql_type(column: Column) -> str:
    """Return the DuckDB type of a column.

    >>> sql_type(Column("reasons", Kind.TEXT, many=True))
    'VARCHAR[]'
    """
    return _TYPES[column.kind] + ("[]" if column.many else "")


def create_sql(table: str) -> str:
    """Return the statement that makes a topic's table with the fixed columns."""
    return (
        f"create table {quoted(table)} (event_id varchar primary key, version bigint not null, "
        "op varchar not null, key varchar, event_ts bigint)"
    )


def add_column_sql(table: str, column: Column) -> str:
    """Return the statement that adds a payload column."""
    return f"alter table {quoted(table)} add column {quoted(column.name)} {sql_type(column)}"


def live_view_sql(table: str) -> str:
    """Return the statement that makes the view of the rows that are not deleted."""
    live = quoted(f"{table}_live")
    return f"create or replace view {live} as select * from {quoted(table)} where op = 'assert'"


def upsert_sql(table: str, given: Sequence[str], known: Sequence[str]) -> str:
    """Return the statement that upserts ``_batch``; known columns that are not given become NULL.

    >>> print(upsert_sql("t", ["event_id", "version", "a"], ["event_id", "version", "a", "b"]))
    insert into "t" ("event_id", "version", "a")
    select "event_id", "version", "a" from _batch
    on conflict (event_id) do update set
    "version" = excluded."version", "a" = excluded."a", "b" = excluded."b"
    where excluded.version > "t".version
    """
    names = ", ".join(map(quoted, given))
    sets = ", ".join(f"{quoted(c)} = excluded.{quoted(c)}" for c in known if c != "event_id")
    return (
        f"insert into {quoted(table)} ({names})\nselect {names} from _batch\n"
        f"on conflict (event_id) do update set\n{sets}\n"
        f"where excluded.version > {quoted(table)}.version"
    )


def _fits(new: str, held: str) -> bool:
    return new == held or (new, held) == ("BIGINT", "DOUBLE")


def _mismatch(table: str, column: Column, held: str) -> Permanent:
    return Permanent(
        f"column {column.name!r} of table {table!r} is {held}, but the event type now has "
        f"{sql_type(column)}",
        "keep the field's type in new schema versions, or write to a new database file",
    )


def _connect(config: DuckDBConfig) -> duckdb.DuckDBPyConnection:
    if config.path != ":memory:":
        Path(config.path).parent.mkdir(parents=True, exist_ok=True)
    threads = {"threads": str(config.threads)} if config.threads else {}
    connection: duckdb.DuckDBPyConnection = duckdb_driver().connect(
        config.path, config={**_OFFLINE, **threads}
    )
    return connection


@contextmanager
def _typed(path: str) -> Iterator[None]:
    """Give DuckDB's errors the two types that a driver acts on."""
    driver = duckdb_driver()
    try:
        yield
    except (driver.OperationalError, OSError) as error:
        raise Retryable(
            f"DuckDB cannot use {path} now: {error}",
            "free the disk, or close the other process that has the file open, and retry",
        ) from error
    except (driver.FatalException, driver.InternalException) as error:
        raise Permanent(
            f"DuckDB gave {path} up: {error}",
            "restart the worker: the file is recovered when it is opened again",
        ) from error
    except driver.Error as error:
        raise Permanent(
            f"DuckDB refuses the write to {path}: {error}",
            "correct the table or the data; nothing of the batch was stored",
        ) from error
