"""PostgreSQL: tables, views, tombstones, columns that are added, several writers, names."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sink_cases import TOPIC, Part, PostgresTarget, Sample, SampleV2, fold, record

from schemas.envelope import Event
from schemas.events import Alert, Transaction, TxOutput
from sinks.base import Permanent, Sink, SinkRecord
from sinks.postgres_cells import ESCAPE, escape, escape_json, unescape
from sinks.postgres_sql import LONGEST, fit, names
from tests.postgres import query


@pytest.fixture
def target(tmp_path: Path) -> PostgresTarget:
    """A schema of this test alone."""
    return PostgresTarget(tmp_path)


@pytest.fixture
def sink(target: PostgresTarget) -> Iterator[Sink]:
    """A sink on a schema that is not there yet."""
    opened = target.open()
    yield opened
    opened.close()


def ask(target: PostgresTarget, sql: str) -> list[dict[str, Any]]:
    """Rows of a query with the test's schema first on the path."""
    return query(target.uri, f'set search_path to "{target.schema}"', sql)


# Tables -------------------------------------------------------------------------------------------


def test_each_kind_has_its_type(target: PostgresTarget, sink: Sink) -> None:
    """Amounts and times are bigint, lists arrays, nested values jsonb."""
    sink.write([record(0)])
    found = query(
        target.uri,
        "select attname, format_type(atttypid, atttypmod) as type from pg_attribute "
        f"where attrelid = '\"{target.schema}\".test_samples'::regclass and attnum > 0",
    )
    assert {
        "event_id": "text", "version": "bigint", "op": "text", "key": "text", "event_ts": "bigint",
        "text": "text", "count": "bigint", "ratio": "double precision", "flag": "boolean",
        "raw": "bytea", "maybe": "bigint", "tags": "text[]", "parts": "jsonb", "table": "jsonb",
        "payload_version": "bigint", "payload_key": "text",
    } == {row["attname"]: row["type"] for row in found}  # fmt: skip


def test_money_is_a_bigint_and_nested_records_can_be_queried(
    target: PostgresTarget, sink: Sink
) -> None:
    """An amount is exact, in its column and inside of jsonb."""
    outputs = [TxOutput(2**53 + 1, b"\x01", "addr")]
    value = Transaction("regtest", "aa", "bb", 2, 0, 100, 400, 100, False, [], outputs, 2**53 + 1)
    sink.write([SinkRecord("bitcoin.transactions", 0, 3, Event("i", "aa", 77, "assert", value))])
    sql = (
        "select pg_typeof(fee_sat)::text as type, fee_sat, "
        "(outputs->0->>'value_sat')::bigint as sat, payload_version from bitcoin_transactions_live"
    )
    assert [
        {"type": "bigint", "fee_sat": 2**53 + 1, "sat": 2**53 + 1, "payload_version": 2}
    ] == ask(target, sql)


def test_a_deleted_row_is_a_tombstone(target: PostgresTarget, sink: Sink) -> None:
    """It keeps id, version, key and ts, has no payload, and is not in the live view."""
    sink.write([record(0), record(1, "b")])
    sink.write([record(2, value=Sample(count=9), op="retract"), record(3, "b")])
    sql = "select event_id, version, op, key, event_ts, count from test_samples where version = 2"
    expected = {
        "event_id": "a", "version": 2, "op": "retract", "key": "key-a", "event_ts": 1002,
        "count": None,
    }  # fmt: skip
    assert [expected] == ask(target, sql)
    assert [{"event_id": "b"}] == ask(target, "select event_id from test_samples_live")


def test_the_live_view_has_a_time(target: PostgresTarget, sink: Sink) -> None:
    """To the millisecond; a time that is none leaves it empty, and does not break the view."""
    times = {"a": 1_700_000_000_123, "b": -1, "c": 2**62, "d": -(2**63)}
    sink.write(
        [
            SinkRecord(TOPIC, 0, n, Event(id, "k", ts, "assert", Sample()))
            for n, (id, ts) in enumerate(times.items())
        ]
    )
    sql = "select to_char(event_time at time zone 'UTC', 'YYYY-MM-DD HH24:MI:SS.MS') as at"
    assert [
        "2023-11-14 22:13:20.123",
        "1969-12-31 23:59:59.999",
        None,
        None,
    ] == [row["at"] for row in ask(target, f"{sql} from test_samples_live order by event_id")]


def test_a_column_is_added_and_its_view_follows(target: PostgresTarget, sink: Sink) -> None:
    """A new optional field is a new column in table and view; rows from before have NULL."""
    sink.write([record(0)])
    sink.write([record(1, "b", SampleV2(added=7))])
    found = ask(target, "select event_id, added from test_samples_live order by event_id")
    assert [("a", None), ("b", 7)] == [tuple(row.values()) for row in found]


def test_a_column_that_another_writer_added_is_emptied_too(target: PostgresTarget) -> None:
    """A row whose new version lacks a field does not keep the old version's cell.

    old   open, writes a                     writes a (version 2, no such field)
    new            writes a (with added=7)
    """
    old, new = target.open(), target.open()
    old.write([record(0)])
    new.write([record(1, value=SampleV2(added=7))])
    old.write([record(2, value=Sample(count=2))])
    old.close()
    new.close()
    found = ask(target, "select version, added from test_samples")
    assert [{"version": 2, "added": None}] == found


def test_an_incompatible_column_is_refused(target: PostgresTarget, sink: Sink) -> None:
    """The message names column and types, and what to do; nothing is stored."""
    sink.write([record(0)])
    other = msgspec.defstruct("Other", [("count", str)])
    with pytest.raises(Permanent, match=r"column 'count' of table .* is bigint.*has text;.*schema"):
        sink.write([record(1, value=other("7")), record(2, topic="test.more")])
    assert {(TOPIC, 0): 1} == sink.positions()


def test_an_int_may_fill_a_double(target: PostgresTarget, sink: Sink) -> None:
    """Avro promotes int to double; one that a double cannot hold is refused."""
    sink.write([record(0)])
    narrow = msgspec.defstruct("Narrow", [("ratio", int)])
    sink.write([record(1, value=narrow(3))])
    assert [{"ratio": 3.0}] == ask(target, "select ratio from test_samples")
    with pytest.raises(Permanent) as caught:
        sink.write([record(2, value=Sample(ratio=2**53 + 1))])
    assert 2 == caught.value.record.offset if caught.value.record else False
    with pytest.raises(Permanent, match="9007199254740993 is none") as rounded:
        sink.write([record(3, value=narrow(4), id="b"), record(4, value=narrow(2**53 + 1))])
    assert 4 == rounded.value.record.offset if rounded.value.record else False


@pytest.mark.parametrize(
    "sql",
    [
        "create table {}.test_samples (id int)",
        "create table {}.test_samples (event_id text, version bigint, op text, key text, "
        "event_ts bigint)",
        "create table {}.test_samples (event_id text primary key, version int, op text, key text, "
        "event_ts bigint)",
    ],
)
def test_a_table_of_somebody_else_is_refused(target: PostgresTarget, sink: Sink, sql: str) -> None:
    """No column, no unique id, another type: the table is left as it is."""
    schema = f'"{target.schema}"'
    query(target.uri, f"create schema {schema}", sql.format(schema), "select 1")
    with pytest.raises(Permanent, match=r"was not made by this sink.*rename that table"):
        sink.write([record(0)])


def test_a_table_that_was_dropped_is_not_silently_begun_anew(
    target: PostgresTarget, sink: Sink
) -> None:
    """Its positions say that rows are there: the message has the statement that fills it anew."""
    sink.write([record(0)])
    ask(target, "select 1")
    query(target.uri, f'drop table "{target.schema}".test_samples cascade', "select 1")
    again = target.open()
    with pytest.raises(Permanent, match=r"is gone.*delete from .*_positions") as caught:
        again.write([record(1)])
    query(target.uri, str(caught.value).partition("beginning: ")[2], "select 1")
    again.write([record(0), record(1, "b")])
    again.close()
    assert {"a", "b"} == set(target.live())


def test_a_column_of_the_operator_that_is_generated(target: PostgresTarget, sink: Sink) -> None:
    """A generated column beside ours is left alone."""
    sink.write([record(0)])
    query(
        target.uri,
        f'alter table "{target.schema}".test_samples add column twice bigint '
        "generated always as (count * 2) stored",
        "select 1",
    )
    sink.write([record(1, value=Sample(count=21))])
    assert [{"twice": 42}] == ask(target, "select twice from test_samples")


# Names --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("first", "second"), [("a.b", "a_b"), ("x", "x.live"), ("x.live", "x")])
def test_topics_that_need_one_name(target: PostgresTarget, first: str, second: str) -> None:
    """Two topics never share a table or view, also in two processes."""
    one, two = target.open(), target.open()
    one.write([record(0, topic=first)])
    with pytest.raises(Permanent, match="both need the name"):
        two.write([record(0, topic=second)])
    one.close()
    two.close()


@pytest.mark.parametrize("topic", ["_positions", "_names", ".positions"])
def test_the_sinks_own_names_are_no_topics(sink: Sink, topic: str) -> None:
    """A topic cannot overwrite the table of positions."""
    with pytest.raises(Permanent, match="the sink itself"):
        sink.write([record(0, topic=topic)])


def test_long_names_are_cut_and_stay_apart(target: PostgresTarget, sink: Sink) -> None:
    """PostgreSQL would cut two topics or fields to one name without a word."""
    topics = ["t" * 100 + end for end in ("1", "2")]
    long = msgspec.defstruct("Long", [("f" * 70 + "1", int), ("f" * 70 + "2", int)])
    sink.write([record(n, topic=topic, value=long(n, -n)) for n, topic in enumerate(topics)])
    found = [target.query(names(topic)[1]) for topic in topics]
    assert [[0, 0], [1, -1]] == [[c for n, c in r[0].items() if n[0] == "f"] for r in found]


@given(st.text(min_size=1, max_size=120), st.text(min_size=1, max_size=120))
def test_names_fit_and_differ(one: str, other: str) -> None:
    """A name is never longer than PostgreSQL's, and two names stay two."""
    assert all(len(fit(name).encode()) <= LONGEST for name in (one, other))
    assert (one == other) == (fit(one) == fit(other))


def test_hostile_names_are_quoted(target: PostgresTarget) -> None:
    """A schema with quotes and a statement in its name is a name; so is a field called select."""
    target.schema = f'x"; drop schema public; -- {target.schema[-8:]}'
    value = msgspec.defstruct("Hostile", [("select", int), ("Größe", int)])(1, 2)
    sink = target.open()
    sink.write([record(0, value=value)])
    sink.close()
    schema = target.schema.replace('"', '""')
    found = query(target.uri, f'select "select", "Größe" from "{schema}".test_samples_live')
    assert [{"select": 1, "Größe": 2}] == found


# Text ---------------------------------------------------------------------------------------------

_PARTS = st.sampled_from(["\0", ESCAPE, "0", "a", "\\", "u0000", '"', "日"])
_TEXT = st.lists(_PARTS, max_size=8).map("".join)


@given(_TEXT, _TEXT)
def test_text_without_nul_is_one_to_one(one: str, other: str) -> None:
    """No NUL is left, the text comes back, and two texts stay two."""
    assert ("\0" in escape(one), one) == (False, unescape(escape(one)))
    assert (one == other) == (escape(one) == escape(other))


@given(st.recursive(_TEXT, lambda i: st.lists(i) | st.dictionaries(_TEXT, i), max_leaves=8))
@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_json_without_nul_is_one_to_one(value: Any) -> None:
    """The same inside of JSON, where a backslash may stand before the text ``u0000``."""

    def back(plain: Any) -> Any:
        if isinstance(plain, dict):
            return {unescape(name): back(cell) for name, cell in plain.items()}
        return [back(p) for p in plain] if isinstance(plain, list) else unescape(plain)

    stored = escape_json(msgspec.json.encode(value).decode())
    plain = msgspec.json.decode(stored)
    assert (value, False) == (back(plain), "\0" in str(plain))


# Writers ------------------------------------------------------------------------------------------


def test_two_writers_of_different_partitions(target: PostgresTarget) -> None:
    """They start at once on an empty schema, widen the table meanwhile, and lose nothing."""
    logs = [
        [
            record(n, f"p{p}-{n % 50}", SampleV2(count=n) if n > 150 else Sample(count=n),
                   "retract" if n % 7 == 3 else "assert", partition=p)
            for n in range(300)
        ]
        for p in range(3)
    ]  # fmt: skip
    errors: list[Exception] = []

    def write(log: list[SinkRecord]) -> None:
        sink = target.open()
        try:
            for start in range(0, len(log), 20):
                sink.write(log[start : start + 20])
        except Permanent as error:
            errors.append(error)
        finally:
            sink.close()

    writers = [threading.Thread(target=write, args=[log]) for log in logs]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    expected: dict[str, Any] = {}
    for log in logs:
        expected |= {id: {"added": None, **value} for id, value in fold(log).items()}
    opened = target.open()
    assert ([], expected) == (errors, target.live())
    assert {(TOPIC, p): 300 for p in range(3)} == opened.positions()
    opened.close()


def test_an_old_owner_that_still_writes(target: PostgresTarget) -> None:
    """A partition that moved: the late batch of its old owner changes no newer row.

    old   0 ......... 99                    50 ... 99 again
    new                  100 ....... 199
    """
    log = [record(n, f"e{n % 9}", Sample(count=n)) for n in range(200)]
    old, new = target.open(), target.open()
    old.write(log[:100])
    new.write(log[100:])
    old.write(log[50:100])
    old.close()
    assert (fold(log), {(TOPIC, 0): 200}) == (target.live(), new.positions())
    new.close()


def test_an_alert_as_a_reader_sees_it(target: PostgresTarget, sink: Sink) -> None:
    """A list of texts is an array, and an upsert replaces it."""
    event = Event("id", "e", 1, "assert", Alert("e", "k", "high", ["one", "two"], []))
    sink.write([SinkRecord("alerts", 0, 0, event)])
    value = Alert("e", "k", "high", ["three"], [])
    sink.write([SinkRecord("alerts", 0, 1, Event("id", "e", 1, "assert", value))])
    assert [{"r": "three"}] == ask(target, "select unnest(reasons) as r from alerts_live")


def test_nested_parts(target: PostgresTarget, sink: Sink) -> None:
    """Bytes inside of jsonb are base64."""
    sink.write([record(0, value=Sample(parts=[Part(1, b"\xff", "addr")]))])
    assert [{"s": "/w=="}] == ask(target, "select parts->0->>'script' as s from test_samples")
