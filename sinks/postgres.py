"""PostgreSQL: one table a topic, upsert by ``event_id`` and ``version``; a deleted row stays.

The table of ``bitcoin.transactions`` is ``streams.bitcoin_transactions`` (the schema is a setting),
with the columns ``event_id`` (primary key), ``version``, ``op``, ``key``, ``event_ts`` and then the
payload's, as ``sinks.columns`` derives them: amounts and times are bigint, nested values jsonb. A
row with ``op = 'retract'`` is a tombstone: it keeps its version, so that nothing older brings it
back, and has no payload. The view ``streams.bitcoin_transactions_live`` has the other rows, the net
set, and ``event_time`` (timestamptz) in front. A field that a later schema version adds becomes a
column.

A batch is one transaction together with the positions (``_positions``): COPY into a table of this
session, then one upsert. So a batch whose COMMIT was cut off is there whole or not at all, and to
write it again changes nothing. Writers of different partitions may share the tables. Connect
directly or through a pool that keeps sessions.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import Annotated, Any, ClassVar, TypeVar

import msgspec
from msgspec import Meta

from sinks.base import Permanent, Positions, SinkError, SinkRecord, by_topic, ends, locate, newest
from sinks.columns import Column, payload_columns, refuse_rounded
from sinks.loop import LoopThread
from sinks.postgres_cells import header, rows
from sinks.postgres_errors import families, may_be_a_row, typed
from sinks.postgres_link import Link, address
from sinks.postgres_sql import TAKEN, advance, names, quoted, upsert
from sinks.postgres_tables import Tables

T = TypeVar("T")


class PostgresConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Settings of the PostgreSQL sink."""

    uri: Annotated[
        str,
        Meta(
            description="postgresql://USER@HOST:PORT/DATABASE?sslmode=verify-full, "
            "or env:NAME or file:PATH that holds it."
        ),
    ]
    password: Annotated[
        str,
        Meta(description="env:NAME or file:PATH; else the URI's, PGPASSWORD or the pass file."),
    ] = ""
    schema: Annotated[
        str,
        Meta(description="Schema of the tables; made if missing.", min_length=1, max_length=63),
    ] = "streams"
    lock_timeout_ms: Annotated[
        int, Meta(description="Longest wait for a lock that others hold.", ge=0)
    ] = 10_000
    statement_timeout_ms: Annotated[
        int, Meta(description="Longest time of one statement, such as an upsert.", ge=1)
    ] = 60_000


class _Batch(msgspec.Struct, frozen=True):
    """The newest change of each id of one topic, as cells."""

    table: str
    view: str
    topic: str
    columns: tuple[Column, ...]
    cells: list[tuple[Any, ...]]
    records: Sequence[SinkRecord]


class PostgresSink:
    """Upserts events into one PostgreSQL schema. Upsert key: ``event_id``, then ``version``."""

    Config: ClassVar = PostgresConfig
    summary: ClassVar[str] = "One PostgreSQL table a topic, upserted by event_id and version."

    def __init__(self, config: PostgresConfig) -> None:
        families()
        self._schema = config.schema
        self._link = Link(
            address(config.uri, config.password),
            config.lock_timeout_ms,
            config.statement_timeout_ms,
        )
        self._tables = Tables(config.schema)
        self._loop = LoopThread("postgres")
        self._session = 0

    @property
    def place(self) -> str:
        """The server and database, as messages name them."""
        return self._link.where.place

    @property
    def identity(self) -> str:
        """What tells this target from others."""
        return f"{self.place} {self._schema}"

    def write(self, records: Sequence[SinkRecord]) -> None:
        """Upsert a batch and advance the positions, in one transaction."""
        batches = _batches(records)
        self._run(partial(self._write, records, batches))

    def flush(self) -> None:
        """Do nothing: every batch is committed when ``write`` returns."""

    def close(self) -> None:
        """Close the connection."""
        if self._loop.open:
            self._loop.run(self._link.close())
            self._loop.close()

    def positions(self) -> Positions:
        """Return the next offset by (topic, partition), as committed with the rows."""
        return self._run(self._positions)

    def _run(self, work: Callable[[Any], Awaitable[T]]) -> T:
        return self._loop.run(self._guarded(work))

    async def _guarded(self, work: Callable[[Any], Awaitable[T]]) -> T:
        """Give asyncpg's errors the types that a driver acts on, and forget what is in doubt."""
        try:
            return await work(await self._connection())
        except SinkError:
            self._tables.forget()
            raise
        except families() as error:
            self._forget()
            raise typed(error, self.place, self._link.where.secrets) from error
        except BaseException:
            self._forget()
            raise

    async def _connection(self) -> Any:
        connection = await self._link.get()
        if self._session != self._link.number:
            await self._tables.open(connection)
            self._session = self._link.number
        return connection

    def _forget(self) -> None:
        self._link.drop()
        self._session = 0
        self._tables.forget()

    async def _positions(self, connection: Any) -> Positions:
        table = quoted(self._schema, "_positions")
        found = await connection.fetch(f"select topic, partition, next_offset from {table}")
        return {(topic, partition): offset for topic, partition, offset in found}

    async def _write(
        self, records: Sequence[SinkRecord], batches: Sequence[_Batch], connection: Any
    ) -> None:
        for batch in batches:
            await self._tables.prepare(
                connection, batch.topic, (batch.table, batch.view), batch.columns
            )
            rounded = self._tables.as_doubles(batch.table, batch.columns)
            refuse_rounded(batch.records, rounded, TAKEN)
        try:
            async with connection.transaction():
                await self._upsert(connection, batches)
                await self._advance(connection, records)
        except families() as error:
            if may_be_a_row(error):
                await self._blame(connection, records, error)
            raise

    async def _upsert(self, connection: Any, batches: Sequence[_Batch]) -> None:
        for batch in batches:
            known, staged = await self._tables.stage(connection, batch.table)
            await connection.copy_records_to_table(
                staged, schema_name="pg_temp", columns=header(batch.columns), records=batch.cells
            )
            await connection.execute(upsert(self._schema, batch.table, staged, known))

    async def _advance(self, connection: Any, records: Sequence[SinkRecord]) -> None:
        reached = [(*place, offset) for place, offset in ends(records).items()]
        columns = list(map(list, zip(*reached, strict=True))) or [[], [], []]
        await connection.execute(advance(self._schema), *columns)

    async def _blame(
        self, connection: Any, records: Sequence[SinkRecord], error: BaseException
    ) -> None:
        """Raise Permanent with the one record that the server refuses, if it is one."""
        self._tables.forget()
        rows = [row for topic in by_topic(records).values() for row in newest(topic).values()]
        refusal: BaseException | None = error
        while len(rows) > 1 and refusal is not None:
            half = len(rows) // 2
            refusal = await self._refusal(connection, rows[:half])
            if refusal is None:
                refusal = await self._refusal(connection, rows[half:])
                rows = rows[half:]
            else:
                rows = rows[:half]
        if refusal is not None:
            told = typed(refusal, self.place, self._link.where.secrets)
            words = f"{locate(rows[0])} is refused: {told.cause}"
            raise Permanent(words, "send it to dead letters, or alter the table", rows[0])

    async def _refusal(
        self, connection: Any, records: Sequence[SinkRecord]
    ) -> BaseException | None:
        """What the server has against these records; nothing of them is stored."""
        trial = connection.transaction()
        await trial.start()
        try:
            await self._upsert(connection, _batches(records))
        except families() as error:
            if not may_be_a_row(error):
                raise
            return error
        finally:
            if not connection.is_closed():
                await trial.rollback()
            self._tables.forget()
        return None


def _batches(records: Sequence[SinkRecord]) -> list[_Batch]:
    return [_batch(topic, list(newest(rows).values())) for topic, rows in by_topic(records).items()]


def _batch(topic: str, records: Sequence[SinkRecord]) -> _Batch:
    table, view = names(topic)
    columns = payload_columns((record.event for record in records), TAKEN)
    return _Batch(table, view, topic, columns, rows(records, columns), records)
