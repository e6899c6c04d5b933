"""DuckDB: tables, views, tombstones, columns that are added, and positions."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from sink_cases import Part, Sample, SampleV2, dicts, record

from schemas.envelope import Event
from schemas.events import Alert, Transaction, TxOutput
from sinks.base import Permanent, Retryable, SinkRecord
from sinks.duckdb import DuckDBConfig, DuckDBSink


@pytest.fixture
def sink(tmp_path: Path) -> Iterator[DuckDBSink]:
    """Return a sink on a new file."""
    opened = DuckDBSink(DuckDBConfig(path=str(tmp_path / "new" / "out.duckdb"), threads=1))
    yield opened
    opened.close()


def rows(sink: DuckDBSink, sql: str) -> list[dict[str, Any]]:
    """Return the rows of a query."""
    return dicts(sink.cursor().execute(sql))


def test_a_table_is_the_topic_with_underscores(sink: DuckDBSink) -> None:
    """Columns: the five fixed ones, then the payload's; ``version`` of the payload is renamed."""
    value = Transaction(
        "regtest", "aa", "bb", 2, 0, 100, 400, 100, False, [], [TxOutput(5, b"\x01", "addr")]
    )
    event = Event("id", "aa", 77, "assert", value)
    sink.write([SinkRecord("bitcoin.transactions", 0, 3, event)])
    row = rows(sink, "from bitcoin_transactions")[0]
    assert ["event_id", "version", "op", "key", "event_ts", "network"] == list(row)[:6]
    assert ("id", 3, "assert", "aa", 77, 2) == (*list(row.values())[:5], row["payload_version"])


def test_nested_records_can_be_queried(sink: DuckDBSink) -> None:
    """JSON columns answer DuckDB's arrows, without an extension to download."""
    sink.write([record(0, value=Sample(parts=[Part(2**53 + 1, b"\xff", "addr")]))])
    sql = "select parts->0->>'amount_sat' as sat, parts->0->>'script' as script from test_samples"
    assert [{"sat": str(2**53 + 1), "script": "/w=="}] == rows(sink, sql)


def test_lists_are_lists(sink: DuckDBSink) -> None:
    """A list of texts is a list column, and an upsert replaces it."""
    event = Event("id", "e", 1, "assert", Alert("e", "k", "high", ["one", "two"], []))
    sink.write([SinkRecord("alerts", 0, 0, event)])
    value = Alert("e", "k", "high", ["three"], [])
    sink.write([SinkRecord("alerts", 0, 1, Event("id", "e", 1, "assert", value))])
    assert [{"r": "three"}] == rows(sink, "select unnest(reasons) as r from alerts")


def test_a_deleted_row_is_a_tombstone(sink: DuckDBSink) -> None:
    """It keeps id, version, key and ts, has no payload, and is not in the live view."""
    sink.write([record(0), record(1, "b")])
    sink.write([record(2, value=Sample(count=9), op="retract"), record(3, "b")])
    sql = "select event_id, version, op, key, event_ts, count from test_samples where version = 2"
    expected = {
        "event_id": "a", "version": 2, "op": "retract", "key": "key-a", "event_ts": 1002,
        "count": None,
    }  # fmt: skip
    assert [expected] == rows(sink, sql)
    assert [{"event_id": "b"}] == rows(sink, "select event_id from test_samples_live")


def test_a_column_is_added_and_its_view_follows(sink: DuckDBSink) -> None:
    """The new field is there in table and view; rows from before have NULL."""
    sink.write([record(0)])
    sink.write([record(1, "b", SampleV2(added=7))])
    sql = "select event_id, added from test_samples_live order by event_id"
    assert [("a", None), ("b", 7)] == [tuple(row.values()) for row in rows(sink, sql)]


def test_an_older_class_clears_what_it_does_not_have(sink: DuckDBSink) -> None:
    """An upsert is the whole value: a cell of the old value does not stay behind."""
    sink.write([record(0, value=SampleV2(added=7))])
    sink.write([record(1, value=Sample())])
    assert [{"added": None}] == rows(sink, "select added from test_samples")


def test_a_column_that_changes_its_type_is_refused(sink: DuckDBSink) -> None:
    """No cast is guessed; the message names column, table and both types."""
    sink.write([record(0)])
    other = msgspec.defstruct("Other", [("count", str)])
    with pytest.raises(Permanent, match=r"'count' of table 'test_samples' is BIGINT.*VARCHAR"):
        sink.write([record(1, value=other("7"))])
    assert {("test.samples", 0): 1} == sink.positions()


def test_an_int_may_fill_a_double(sink: DuckDBSink) -> None:
    """Avro promotes int to double, and an exact one needs no new column."""
    sink.write([record(0)])
    narrow = msgspec.defstruct("Narrow", [("ratio", int)])
    sink.write([record(1, value=narrow(3))])
    assert [{"ratio": 3.0}] == rows(sink, "select ratio from test_samples")
    with pytest.raises(Permanent, match="9007199254740993 is none") as caught:
        sink.write([record(2, value=narrow(4), id="b"), record(3, value=narrow(2**53 + 1))])
    assert 3 == caught.value.record.offset if caught.value.record else False


def test_a_batch_is_all_or_nothing(sink: DuckDBSink) -> None:
    """When one topic of a batch fails, no row and no position of the others is stored."""
    other = msgspec.defstruct("Other", [("count", str)])
    sink.write([record(0)])
    mixed = [record(5, topic="test.first"), record(6, value=other("7"))]
    with pytest.raises(Permanent):
        sink.write(mixed)
    assert {("test.samples", 0): 1} == sink.positions()
    sink.write(mixed[:1])
    assert [{"n": 1}] == rows(sink, "select count(*) as n from test_first")


@pytest.mark.parametrize(
    ("first", "second"),
    [("a.b", "a_b"), ("a.b", "A.b"), ("x", "x.live"), ("x.live", "x")],
)
def test_topics_that_need_one_name(tmp_path: Path, first: str, second: str) -> None:
    """Two topics never share a table or view, also when the file is opened again."""
    config = DuckDBConfig(path=str(tmp_path / "out.duckdb"))
    sink = DuckDBSink(config)
    sink.write([record(0, topic=first)])
    sink.close()
    sink = DuckDBSink(config)
    with pytest.raises(Permanent, match="both need the name"):
        sink.write([record(0, topic=second)])
    sink.close()


@pytest.mark.parametrize("topic", ["_positions", "_batch", ".positions"])
def test_the_sinks_own_names_are_no_topics(sink: DuckDBSink, topic: str) -> None:
    """A topic cannot overwrite the table of positions."""
    with pytest.raises(Permanent, match="the sink itself"):
        sink.write([record(0, topic=topic)])


def test_a_second_process_is_told_what_to_do(sink: DuckDBSink, tmp_path: Path) -> None:
    """DuckDB's lock is an error that passes when the other process ends."""
    sink.write([record(0)])
    code = (
        "import sys; from sinks.duckdb import *; from sinks.base import Retryable\n"
        "try: DuckDBSink(DuckDBConfig(path=sys.argv[1]))\n"
        "except Retryable as error: print(error)\n"
    )
    command = [sys.executable, "-c", code, str(tmp_path / "new" / "out.duckdb")]
    done = subprocess.run(
        command, capture_output=True, text=True, check=True, cwd=Path(__file__).parents[2]
    )
    assert "close the other process" in done.stdout


def test_a_path_that_cannot_be(tmp_path: Path) -> None:
    """A directory in place of the file is an error of ours."""
    with pytest.raises(Retryable, match="cannot use"):
        DuckDBSink(DuckDBConfig(path=str(tmp_path)))


def test_reading_while_writing(sink: DuckDBSink) -> None:
    """A cursor sees committed batches only, and does not stop the sink."""
    cursor = sink.cursor()
    for offset in range(3):
        sink.write([record(offset, f"e{offset}")])
        found = cursor.execute("select count(*) from test_samples_live").fetchone()
        assert (offset + 1,) == found
