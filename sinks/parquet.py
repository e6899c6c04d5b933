"""Parquet: files that are written once, each with the changes of one partition.

``DIRECTORY/parquet/<topic>/<topic>-<partition>-<first offset>.parquet`` has the columns of
``HEADS``, then the payload's (``sinks.columns``). ``version`` is the offset in the partition. The
files are the topic's history; its net set is the row of the highest version for each ``event_id``
unless its ``op`` is ``retract`` (``net_set_sql`` is that query). A field that a later schema
version adds is a column of later files only: read them with ``union_by_name``.

A file appears whole or not at all (written beside, synced, renamed), and its footer tells the
offsets. What existing files cover is skipped, so a batch that comes again, cut in any
way, adds no row. Rows wait in memory until ``flush`` or ``rows_per_file``: flush seldom, for large
files.
"""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

import msgspec
from msgspec import Meta

from sinks.arrow import arrow_table
from sinks.base import Permanent, Positions, SinkRecord, check_topic
from sinks.columns import FIXED, payload_columns
from sinks.coverage import Coverage, Place, Range
from sinks.drivers import arrow_driver
from sinks.files import sync_directory, typed

if TYPE_CHECKING:
    import pyarrow as pa

HEADS = (*FIXED, "topic", "partition")
"""Columns that every file has."""

_NAME = re.compile(r"(?P<topic>.+)-(?P<partition>\d+)-(?P<first>\d{20})\.parquet")
_OFFSETS = b"streams.offsets"
"""Footer entry: the file's offsets as a JSON list of [first, after the last]."""


class ParquetConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Settings of the Parquet sink."""

    directory: Annotated[str, Meta(description="Files are DIRECTORY/parquet/<topic>/*.parquet.")]
    rows_per_file: Annotated[
        int, Meta(description="A file is written when so many rows wait, or at a flush.", ge=1)
    ] = 100_000
    compression: Annotated[
        Literal["zstd", "snappy", "none"], Meta(description="Codec of the column data.")
    ] = "zstd"


class ParquetSink:
    """Writes each partition's changes to its own files. Upsert key of a reader: ``event_id``."""

    Config: ClassVar = ParquetConfig
    summary: ClassVar[str] = "Parquet files a topic and partition; a fold of them is the net set."

    def __init__(self, config: ParquetConfig) -> None:
        arrow_driver()
        self._config = config
        self._directory = Path(config.directory, "parquet")
        self._seen: set[Path] = set()
        self._durable = Coverage()
        self._taken = Coverage()
        self._waiting: dict[Place, _Waiting] = {}
        with typed(self._directory):
            self._directory.mkdir(parents=True, exist_ok=True)
            for path in sorted(self._directory.glob("*/*.parquet")):
                self._learn(path)

    def write(self, records: Sequence[SinkRecord]) -> None:
        """Take what no file and no waiting row covers."""
        for topic in dict.fromkeys(record.topic for record in records):
            check_topic(topic)
        fresh = self._taken.fresh(records)
        tables = {place: _table(rows) for place, rows in fresh.items()}
        for place, rows in fresh.items():
            self._wait(place, tables[place])
            for record in rows:
                self._taken.add(place, record.offset, record.offset + 1)
        for place in list(self._waiting):  # also those of a batch that is written again
            if self._waiting[place].rows >= self._config.rows_per_file:
                self._write_file(place)

    def flush(self) -> None:
        """Write all waiting rows to files and return when the disk has them."""
        for place in list(self._waiting):
            self._write_file(place)

    def close(self) -> None:
        """Flush."""
        self.flush()

    def positions(self) -> Positions:
        """Return the next offset by (topic, partition) of what is in files."""
        return self._durable.positions()

    def _wait(self, place: Place, table: pa.Table) -> None:
        held = self._waiting.setdefault(place, _Waiting(table.schema))
        if not held.take(table):
            self._write_file(place)
            held = self._waiting[place] = _Waiting(table.schema)
            held.take(table)

    def _write_file(self, place: Place) -> None:
        folder = self._directory / place[0]
        with typed(folder):
            folder.mkdir(exist_ok=True)
            self._rescan(folder, place[1])
            table = self._without_covered(place, self._waiting[place].table())
            if table.num_rows:
                self._learn(_store(folder, place, table, self._config.compression))
        del self._waiting[place]

    def _rescan(self, folder: Path, partition: int) -> None:
        """Learn files that another owner of the partition wrote meanwhile (a rebalance)."""
        for path in folder.glob(f"{folder.name}-{partition}-*.parquet"):
            if path not in self._seen:
                self._learn(path)

    def _learn(self, path: Path) -> None:
        name = _NAME.fullmatch(path.name)
        covered = _covered(path)
        if name is None or name["topic"] != path.parent.name or covered is None:
            raise Permanent(
                f"{path} was not written by this sink",
                "move it out of the directory: what it covers cannot be told",
            )
        place = (name["topic"], int(name["partition"]))
        for first, end in covered:
            self._durable.add(place, first, end)
            self._taken.add(place, first, end)
        self._seen.add(path)

    def _without_covered(self, place: Place, table: pa.Table) -> pa.Table:
        offsets = table["version"].to_pylist()
        return table.filter([not self._durable.holds(place, offset) for offset in offsets])


class _Waiting:
    """Rows of one partition that are in no file yet, a table a batch."""

    def __init__(self, schema: pa.Schema) -> None:
        self._schema = schema
        self._tables: list[pa.Table] = []
        self.rows = 0

    def take(self, table: pa.Table) -> bool:
        """Add rows; return False if a column has one type here and another there."""
        pa = arrow_driver()
        try:
            self._schema = pa.unify_schemas([self._schema, table.schema])
        except (pa.ArrowInvalid, pa.ArrowTypeError):
            return False
        self._tables.append(table)
        self.rows += table.num_rows
        return True

    def table(self) -> pa.Table:
        """Return all rows by offset; a column that some batches lack is NULL there."""
        rows = arrow_driver().concat_tables(self._tables, promote_options="default")
        return rows.sort_by("version")


def net_set_sql(files: str) -> str:
    """Return the DuckDB query for the net set of a topic's files (a path with ``*``).

    >>> print(net_set_sql("out/parquet/alerts/*.parquet"))
    select * from (
        select * from read_parquet('out/parquet/alerts/*.parquet', union_by_name = true)
        qualify row_number() over (partition by event_id order by version desc) = 1)
    where op = 'assert'
    """
    path = files.replace("'", "''")
    return (
        f"select * from (\n    select * from read_parquet('{path}', union_by_name = true)\n"
        "    qualify row_number() over (partition by event_id order by version desc) = 1)\n"
        "where op = 'assert'"
    )


def _table(run: Sequence[SinkRecord]) -> pa.Table:
    return arrow_table(run, payload_columns((r.event for r in run), HEADS), HEADS)


def _covered(path: Path) -> list[Range] | None:
    """Return the offsets that a file holds, from its footer; None if it is not one of ours."""
    pa = arrow_driver()
    try:
        notes = pa.parquet.read_metadata(path).metadata or {}
        found = msgspec.json.decode(notes.get(_OFFSETS, b"null"), type=list[Range] | None)
        if not all(0 <= first < end for first, end in found or ()):
            raise ValueError(f"offsets {found}")
    except (ValueError, RecursionError, OSError, pa.ArrowException) as error:
        if getattr(error, "errno", None) is not None:  # the disk's, not the reader's
            raise
        raise Permanent(
            f"{path} is damaged: {error}", "move it away and replay its offsets"
        ) from error
    return found


def _store(folder: Path, place: Place, table: pa.Table, compression: str) -> Path:
    """Write ``table`` so that its file is there whole or not at all."""
    stem = f"{place[0]}-{place[1]}-"
    path = folder / f"{stem}{table['version'][0].as_py():020}.parquet"
    for torn in folder.glob(f".{stem}*.tmp"):
        torn.unlink()
    beside = folder / f".{path.name}.tmp"
    with beside.open("wb") as file:
        noted = table.replace_schema_metadata(_notes(table))
        arrow_driver().parquet.write_table(noted, file, compression=compression)
        file.flush()
        os.fsync(file.fileno())
    beside.rename(path)
    sync_directory(folder)
    return path


def _notes(table: pa.Table) -> dict[bytes, bytes]:
    held = Coverage()
    for offset in table["version"].to_pylist():
        held.add(("", 0), offset, offset + 1)
    return {_OFFSETS: msgspec.json.encode(held.ranges(("", 0)))}
