"""The tables of the PostgreSQL sink: made, widened, and refused where they are somebody else's."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sinks.base import Permanent
from sinks.columns import Column
from sinks.postgres_sql import (
    COLUMNS,
    FIXED_TYPES,
    UNIQUE_ID,
    add_column,
    create,
    fit,
    live_view,
    lock_key,
    own_tables,
    quoted,
    sql_type,
    stage,
)

Names = tuple[str, str]
"""Table and live view of a topic."""

Known = dict[str, str]
"""Columns of a table with their types."""


class Tables:
    """What one session knows of the schema's tables. Changes are made one table a transaction.

    They happen under an advisory lock, so that several writers may start at once.
    """

    def __init__(self, schema: str) -> None:
        self._schema = schema
        self._known: dict[str, Known] = {}
        self._staged: dict[str, tuple[tuple[str, ...], str]] = {}
        self._count = 0

    def forget(self) -> None:
        """Nothing is known: another session begins, or a table may have changed."""
        self._known.clear()
        self._staged.clear()

    async def open(self, connection: Any) -> None:
        """Make the schema and the sink's own tables where they are missing."""
        self.forget()
        own = [quoted(self._schema, name) for name in ("_positions", "_names")]
        sql = "select to_regclass($1) is null or to_regclass($2) is null"
        if await connection.fetchval(sql, *own):
            async with connection.transaction():
                await self._lock(connection)
                for statement in [*await self._schema_missing(connection), *self._own()]:
                    await connection.execute(statement)

    async def prepare(
        self, connection: Any, topic: str, names: Names, columns: Sequence[Column]
    ) -> None:
        """Make a topic's table fit ``columns``; raises Permanent where it cannot."""
        known = self._known.get(names[0])
        if known is not None and not self._missing(names[0], known, columns):
            return
        async with connection.transaction():
            await self._lock(connection)
            await self._claim(connection, topic, names)
            known = await self._read(connection, names[0])
            if not known:
                await self._refuse_if_lost(connection, topic, names[0])
                await connection.execute(create(self._schema, names[0]))
            else:
                await self._check_fixed(connection, names[0], known)
            missing = self._missing(names[0], known, columns)
            for column in missing:
                await connection.execute(add_column(self._schema, names[0], column))
            if missing or not known or await self._lacks_view(connection, names[1]):
                await connection.execute(live_view(self._schema, *names))
            self._known[names[0]] = await self._read(connection, names[0])

    def as_doubles(self, table: str, columns: Sequence[Column]) -> list[Column]:
        """Those that are ints, and doubles in the table."""
        known = self._known[table]
        return [column for column in columns if known[fit(column.name)] != sql_type(column)]

    async def stage(self, connection: Any, table: str) -> tuple[tuple[str, ...], str]:
        """Return the table's columns, which stay so until the transaction ends, and the name of
        the place where a batch waits."""
        name = quoted(self._schema, table)
        await connection.execute(f"lock table {name} in row exclusive mode")
        self._known[table] = await self._read(connection, table)
        columns = tuple(self._known[table])
        if self._staged.get(table, ((), ""))[0] != columns:
            self._count += 1
            staged = f"_batch_{self._count}"
            await connection.execute(stage(self._schema, table, staged, columns))
            self._staged[table] = (columns, staged)
        return self._staged[table]

    def _own(self) -> list[str]:
        return own_tables(self._schema)

    async def _schema_missing(self, connection: Any) -> list[str]:
        found = await connection.fetchval(
            "select to_regnamespace($1) is not null", quoted(self._schema)
        )
        return [] if found else [f"create schema {quoted(self._schema)}"]

    async def _lock(self, connection: Any) -> None:
        await connection.execute("select pg_advisory_xact_lock($1)", lock_key(self._schema))

    async def _lacks_view(self, connection: Any, view: str) -> bool:
        sql = "select to_regclass($1) is null"
        return bool(await connection.fetchval(sql, quoted(self._schema, view)))

    async def _read(self, connection: Any, table: str) -> Known:
        found = await connection.fetch(COLUMNS, quoted(self._schema, table))
        return {row["attname"]: row["type"] for row in found}

    async def _claim(self, connection: Any, topic: str, names: Names) -> None:
        """Note that the names are the topic's; raises Permanent if another topic has one."""
        table = quoted(self._schema, "_names")
        for name in names:
            if name in ("_positions", "_names"):
                owner = "the sink itself"
            else:
                await connection.execute(
                    f"insert into {table} values ($1, $2) on conflict do nothing", name, topic
                )
                sql = f"select topic from {table} where name = $1"
                owner = await connection.fetchval(sql, name)
            if owner != topic:
                raise Permanent(
                    f"topics {owner!r} and {topic!r} both need the name {name!r} in PostgreSQL",
                    "write one of them to another schema",
                )

    async def _refuse_if_lost(self, connection: Any, topic: str, table: str) -> None:
        own = quoted(self._schema, "_positions")
        if await connection.fetchval(f"select exists (select from {own} where topic = $1)", topic):
            raise Permanent(
                f"table {self._schema}.{table} is gone, but its positions are still there",
                "restore it; or have it filled anew from the topic's beginning: "
                f"delete from {own} where topic = '{topic}'",
            )

    async def _check_fixed(self, connection: Any, table: str, known: Known) -> None:
        wrong = [name for name, kind in FIXED_TYPES.items() if known.get(name) != kind]
        unique = await connection.fetchval(UNIQUE_ID, quoted(self._schema, table))
        if wrong or not unique:
            what = f"column {wrong[0]!r} as {FIXED_TYPES[wrong[0]]}" if wrong else "unique event_id"
            raise Permanent(
                f"table {self._schema}.{table} was not made by this sink: it has no {what}",
                "rename that table, or name another schema",
            )

    def _missing(self, table: str, known: Known, columns: Sequence[Column]) -> list[Column]:
        """The columns that the table lacks; raises Permanent where one has another type."""
        for column in columns:
            held = known.get(fit(column.name), sql_type(column))
            if held != sql_type(column) and (sql_type(column), held) != (
                "bigint",
                "double precision",
            ):
                raise self._mismatch(table, column, held)
        return [column for column in columns if fit(column.name) not in known]

    def _mismatch(self, table: str, column: Column, held: str) -> Permanent:
        name = f"{self._schema}.{table}"
        return Permanent(
            f"column {column.name!r} of table {name} is {held}, but the event type now has "
            f"{sql_type(column)}",
            "keep the field's type in new schema versions, or write to another schema",
        )
