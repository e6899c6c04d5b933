"""Shared by the sink tests: a value with every kind of field, and how to read each sink back."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping, Sequence
from hashlib import sha256
from pathlib import Path
from typing import Any, Protocol, cast

import asyncpg
import duckdb
import msgspec

from schemas.envelope import Event, Op
from sinks.base import Sink, SinkRecord
from sinks.catalog import open_sink
from sinks.memory import MemorySink
from sinks.ndjson import net_set, read_lines
from sinks.parquet import net_set_sql
from sinks.postgres_cells import unescape
from tests import postgres

TOPIC = "test.samples"


class Part(msgspec.Struct, frozen=True):
    """A nested record."""

    amount_sat: int
    script: bytes
    address: str | None = None


class Sample(msgspec.Struct, frozen=True):
    """One field of each kind, and two whose names are taken."""

    text: str = "a"
    count: int = 1
    ratio: float = 0.5
    flag: bool = True
    raw: bytes = b"\x00\xff"
    maybe: int | None = None
    tags: list[str] = []
    parts: list[Part] = []
    table: dict[str, float] = {}
    version: int = 2
    key: str = "k"


class SampleV2(Sample, frozen=True):
    """The same with a field that a later schema version added."""

    added: int | None = None


JSON_FIELDS = {"parts", "table"}
RENAMED = {"payload_version": "version", "payload_key": "key"}


def record(
    offset: int,
    id: str = "a",
    value: object = None,
    op: Op = "assert",
    partition: int = 0,
    topic: str = TOPIC,
) -> SinkRecord:
    """Make a record; ``value`` None of an assert is a default Sample."""
    held = Sample() if value is None and op == "assert" else value
    return SinkRecord(topic, partition, offset, Event(id, f"key-{id}", 1000 + offset, op, held))


def plain(value: object) -> Any:
    """Return a value as plain data, as it is compared: bytes as base64."""
    return msgspec.to_builtins(value)


def fold(records: Sequence[SinkRecord], topic: str = TOPIC) -> dict[str, Any]:
    """Brute force: the net set of SEMANTICS 1 of a whole log, one change after the other."""
    live: dict[str, Any] = {}
    for item in sorted(records, key=lambda r: r.offset):
        if item.topic != topic:
            continue
        if item.event.op == "assert":
            live[item.event.id] = plain(item.event.value)
        else:
            live.pop(item.event.id, None)
    return live


class Target(Protocol):
    """A sink's place, and how a reader who knows only the format reads it."""

    name: str

    def __init__(self, root: Path) -> None: ...

    def open(self) -> Sink: ...

    def live(self, topic: str = TOPIC) -> dict[str, Any]:
        """Return the net set, read after the sink was closed or flushed."""

    def raw(self, topic: str = TOPIC) -> list[Any]:
        """Return every stored row or line, sorted."""


class MemoryTarget:
    """Memory: the object itself is what persists."""

    name = "memory"

    def __init__(self, root: Path) -> None:
        self._sink = MemorySink()

    def open(self) -> Sink:
        return self._sink

    def live(self, topic: str = TOPIC) -> dict[str, Any]:
        return {id: plain(value) for id, value in self._sink.live(topic).items()}

    def raw(self, topic: str = TOPIC) -> list[Any]:
        return sorted((id, r.offset) for id, r in self._sink.rows.get(topic, {}).items())


class NdjsonTarget:
    """NDJSON: lines and their fold."""

    name = "ndjson"

    def __init__(self, root: Path) -> None:
        self.root = root

    def open(self) -> Sink:
        return open_sink("ndjson", {"directory": str(self.root)})

    def path(self, topic: str = TOPIC) -> Path:
        return self.root / "ndjson" / f"{topic}.ndjson"

    def live(self, topic: str = TOPIC) -> dict[str, Any]:
        return net_set(self.path(topic)) if self.path(topic).exists() else {}

    def raw(self, topic: str = TOPIC) -> list[Any]:
        if not self.path(topic).exists():
            return []
        return sorted((line.partition, line.version) for line in read_lines(self.path(topic)))


class ParquetTarget:
    """Parquet: files and their fold in SQL."""

    name = "parquet"

    def __init__(self, root: Path) -> None:
        self.root = root

    def open(self) -> Sink:
        return open_sink("parquet", {"directory": str(self.root)})

    def files(self, topic: str = TOPIC) -> list[Path]:
        return sorted((self.root / "parquet" / topic).glob("*.parquet"))

    def _glob(self, topic: str) -> str:
        return str(self.root / "parquet" / topic / "*.parquet")

    def live(self, topic: str = TOPIC) -> dict[str, Any]:
        if not self.files(topic):
            return {}
        return values(duckdb.connect().execute(net_set_sql(self._glob(topic))))

    def raw(self, topic: str = TOPIC) -> list[Any]:
        if not self.files(topic):
            return []
        sql = f"select partition, version from read_parquet('{self._glob(topic)}') order by all"
        return duckdb.connect().execute(sql).fetchall()


class DuckDBTarget:
    """DuckDB: the live view, read in a process' own connection after close."""

    name = "duckdb"

    def __init__(self, root: Path) -> None:
        self.path = root / "out.duckdb"

    def open(self) -> Sink:
        return open_sink("duckdb", {"path": str(self.path)})

    def _query(self, relation: str) -> list[dict[str, Any]]:
        with duckdb.connect(str(self.path)) as db:
            try:
                return dicts(db.execute(f'from "{relation}"'))
            except duckdb.CatalogException:
                return []

    def live(self, topic: str = TOPIC) -> dict[str, Any]:
        return _values(self._query(topic.replace(".", "_") + "_live"))

    def raw(self, topic: str = TOPIC) -> list[Any]:
        return sorted(map(str, self._query(topic.replace(".", "_"))))


class PostgresTarget:
    """PostgreSQL: the live view, read through a connection of its own; a schema a place."""

    name = "postgres"

    def __init__(self, root: Path) -> None:
        self.uri = postgres.shared()
        self.schema = f"Test {sha256(str(root).encode()).hexdigest()[:16]}"

    def open(self) -> Sink:
        return open_sink("postgres", {"uri": self.uri, "schema": self.schema})

    def query(self, relation: str) -> list[dict[str, Any]]:
        try:
            return postgres.query(self.uri, f'select * from "{self.schema}"."{relation}"')
        except asyncpg.UndefinedTableError:
            return []

    def live(self, topic: str = TOPIC) -> dict[str, Any]:
        rows = self.query(topic.replace(".", "_") + "_live")
        for row in rows:
            del row["event_time"]
            if row.get("table") is not None:  # jsonb writes the double 7e16 as an integer
                doubles = {name: float(n) for name, n in json.loads(row["table"]).items()}
                row["table"] = json.dumps(doubles)
        return cast(dict[str, Any], _unescaped(_values(rows)))

    def raw(self, topic: str = TOPIC) -> list[Any]:
        return sorted(map(str, self.query(topic.replace(".", "_"))))


def _unescaped(plain: Any) -> Any:
    """Plain data with every text as it was before PostgreSQL."""
    if isinstance(plain, str):
        return unescape(plain)
    if isinstance(plain, dict):
        return {unescape(name): _unescaped(content) for name, content in plain.items()}
    return [_unescaped(item) for item in plain] if isinstance(plain, list) else plain


TARGETS: list[type[Target]] = [
    MemoryTarget, NdjsonTarget, ParquetTarget, DuckDBTarget, PostgresTarget
]  # fmt: skip
FILE_TARGETS: list[type[Target]] = [NdjsonTarget, ParquetTarget, DuckDBTarget]
STORING_TARGETS: list[type[Target]] = [*FILE_TARGETS, PostgresTarget]
"""Those that keep what they have outside of the process."""


def dicts(result: duckdb.DuckDBPyConnection) -> list[dict[str, Any]]:
    """Return the rows of a result as dictionaries."""
    names = [column[0] for column in result.description or []]
    return [dict(zip(names, row, strict=True)) for row in result.fetchall()]


def values(result: duckdb.DuckDBPyConnection) -> dict[str, Any]:
    """Return the payload of each row by event id, as plain data."""
    return _values(dicts(result))


def _values(rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    return {row["event_id"]: _payload(row) for row in rows}


def _payload(row: Mapping[str, Any]) -> Any:
    if row.get("payload") is not None:
        return json.loads(row["payload"])
    fixed = {"event_id", "version", "op", "key", "event_ts", "topic", "partition", "payload"}
    return {
        RENAMED.get(n, n): _cell(RENAMED.get(n, n), c) for n, c in row.items() if n not in fixed
    }


def _cell(name: str, cell: Any) -> Any:
    if isinstance(cell, bytes):
        return base64.b64encode(cell).decode()
    return json.loads(cell) if name in JSON_FIELDS and cell is not None else cell


def write_all(target: Target, *batches: Sequence[SinkRecord]) -> None:
    """Open the sink, write the batches with a flush after each, and close it."""
    sink = target.open()
    for batch in batches:
        sink.write(batch)
        sink.flush()
    sink.close()


def only(sink: Sink, kind: type[Any]) -> Any:
    """Return ``sink`` as the class it is."""
    assert isinstance(sink, kind)
    return cast(Any, sink)
