"""PostgreSQL that refuses, waits, is frozen or killed: every error has a name, nothing is lost."""

from __future__ import annotations

import asyncio
import os
import signal
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import asyncpg
import pytest
from sink_cases import TOPIC, PostgresTarget, Sample, fold, record

from sinks.base import Permanent, Retryable, Sink
from sinks.catalog import open_sink
from tests.postgres import PostgresServer, query, until

LOG = [record(n, f"e{n % 30}", Sample(count=n)) for n in range(120)]


@pytest.fixture
def target(tmp_path: Path) -> PostgresTarget:
    """A schema of this test alone."""
    return PostgresTarget(tmp_path)


@pytest.fixture
def sink(target: PostgresTarget) -> Iterator[Sink]:
    """A sink on that schema."""
    opened = target.open()
    yield opened
    opened.close()


def to(uri: str, **settings: Any) -> Sink:
    """Open a sink to a server."""
    return open_sink("postgres", {"uri": uri, **settings})


# One record ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("at", [0, 1, 57, 118, 119])
def test_the_one_row_that_the_server_refuses_is_named(
    target: PostgresTarget, sink: Sink, at: int
) -> None:
    """Nothing of the batch is stored; without that record it goes through."""
    sink.write([record(0, "first")])
    table = f'"{target.schema}".test_samples'
    query(target.uri, f"alter table {table} add check (count <> -1)", "select 1")
    log = [record(1 + n, f"e{n}", Sample(count=-1 if n == at else n)) for n in range(120)]
    with pytest.raises(Permanent, match=r"23514.*violates check constraint") as caught:
        sink.write(log)
    assert (log[at], {(TOPIC, 0): 1}) == (caught.value.record, sink.positions())
    good = [item for item in log if item != log[at]]
    sink.write(good)
    assert fold([record(0, "first"), *good]) == target.live()


def test_an_id_that_no_index_can_hold(target: PostgresTarget, sink: Sink) -> None:
    """A limit of the server is a reason to leave one record out, too."""
    huge = "".join(chr(0x4E00 + n * 7919 % 20000) for n in range(9000))
    with pytest.raises(Permanent, match="54000") as caught:
        sink.write([record(0), record(1, huge), record(2, "b")])
    assert 1 == (caught.value.record or LOG[0]).offset


def test_a_trigger_that_refuses_every_row_names_the_first(
    target: PostgresTarget, sink: Sink
) -> None:
    """What no row survives is told with a row, and with the trigger's words."""
    sink.write([record(0)])
    schema = f'"{target.schema}"'
    query(
        target.uri,
        f"create function {schema}.no() returns trigger language plpgsql as "
        "$$ begin raise 'not on my watch'; end $$",
        f"create trigger no before insert on {schema}.test_samples execute function {schema}.no()",
        "select 1",
    )
    with pytest.raises(Permanent, match="not on my watch") as caught:
        sink.write([record(1), record(2, "b")])
    assert 1 == (caught.value.record or LOG[0]).offset


# The connection -----------------------------------------------------------------------------------


def test_a_connection_that_is_killed_between_batches(target: PostgresTarget, sink: Sink) -> None:
    """The next batch opens another one, or says that it may be tried again."""
    sink.write(LOG[:50])
    _kill_backends(target)
    _patiently(sink, 50, 7)
    assert fold(LOG) == target.live()


def _kill_backends(target: PostgresTarget) -> None:
    sql = (
        "select pg_terminate_backend(pid) from pg_stat_activity "
        "where application_name = 'streams' and pid <> pg_backend_pid()"
    )
    query(target.uri, sql)


def test_connections_killed_all_the_time_also_in_a_commit(
    target: PostgresTarget, sink: Sink
) -> None:
    """Wherever a batch is cut off, its rows and its positions are there together or not at all.

    writer   batch, batch, x    batch, x  ...        resumes at positions() after each x
    killer          kill        kill      kill ...
    """
    stop = threading.Event()

    def kill() -> None:
        while not stop.wait(0.01):
            _kill_backends(target)

    killer = threading.Thread(target=kill)
    sink.write(LOG[:1])
    killer.start()
    stopper = threading.Timer(3, stop.set)
    stopper.start()
    _patiently(sink, 1, 3)
    stop.set()
    stopper.cancel()
    killer.join()
    opened = target.open()
    assert (fold(LOG), {(TOPIC, 0): len(LOG)}) == (target.live(), opened.positions())
    opened.close()


def _patiently(sink: Sink, position: int, size: int) -> None:
    """Write the log from a position on as a driver does: again while it may pass."""
    while position < len(LOG):
        try:
            sink.write(LOG[position : position + size])
            position += size
        except Retryable:
            position = until("positions", lambda: _position(sink))


def _position(sink: Sink) -> int:
    try:
        return sink.positions().get((TOPIC, 0), 0)
    except Retryable:
        return 0


def test_a_server_that_crashes_and_recovers(server: PostgresServer) -> None:
    """Every call says that it may be tried again; after recovery the log goes on."""
    sink = to(server.uri)
    sink.write(LOG[:50])
    server.stop(signal.SIGQUIT)
    for _ in range(2):
        with pytest.raises(Retryable, match=r"PostgreSQL at 127.0.0.1:\d+/postgres"):
            sink.write(LOG[50:])
    server.start()
    sink.write(LOG[50:])
    sink.close()
    found = query(server.uri, "select event_id, count from streams.test_samples_live")
    expected = {id: value["count"] for id, value in fold(LOG).items()}
    assert expected == {row["event_id"]: row["count"] for row in found}


def test_a_server_that_answers_no_more(server: PostgresServer) -> None:
    """A server that is frozen is given up after the time of a statement, not waited for."""
    sink = to(server.uri, statement_timeout_ms=500)
    sink.write(LOG[:1])
    assert server.process is not None
    pid = query(server.uri, "select pid from pg_stat_activity where application_name = 'streams'")[
        0
    ]["pid"]
    _signal(pid, signal.SIGSTOP)
    try:
        with pytest.raises(Retryable):
            sink.write(LOG[1:])
    finally:
        _signal(pid, signal.SIGCONT)
    sink.write(LOG[1:])
    assert {(TOPIC, 0): len(LOG)} == sink.positions()
    sink.close()


def _signal(pid: int, number: signal.Signals) -> None:
    os.kill(pid, number)


# Waiting ------------------------------------------------------------------------------------------


def test_a_lock_that_others_hold_is_named(target: PostgresTarget) -> None:
    """A table that somebody locked is retryable, names the table, and says where to look."""
    sink = open_sink(
        "postgres", {"uri": target.uri, "schema": target.schema, "lock_timeout_ms": 200}
    )
    sink.write(LOG[:1])
    table = f'"{target.schema}".test_samples'
    with Holding(target.uri, f"lock table {table}"), pytest.raises(Retryable) as caught:
        sink.write(LOG[1:])
    assert ("55P03" in str(caught.value), "pg_locks" in str(caught.value)) == (True, True)
    sink.write(LOG[1:])
    sink.close()
    assert fold(LOG) == target.live()


def test_a_statement_that_takes_too_long_is_named(target: PostgresTarget) -> None:
    """A row lock beyond the time of a statement is retryable, and the setting is in the remedy."""
    sink = open_sink(
        "postgres",
        {
            "uri": target.uri, "schema": target.schema, "lock_timeout_ms": 0,
            "statement_timeout_ms": 300,
        },
    )  # fmt: skip
    sink.write(LOG[:1])
    held = f"select * from \"{target.schema}\".test_samples where event_id = 'e0' for update"
    with (
        Holding(target.uri, held),
        pytest.raises(Retryable, match=r"57014.*statement_timeout_ms"),
    ):
        sink.write([record(200, "e0")])
    sink.close()


class Holding:
    """A transaction of somebody else that stays open."""

    def __init__(self, uri: str, statement: str) -> None:
        self.uri, self.statement = uri, statement
        self.ready, self.done = threading.Event(), threading.Event()
        self.thread = threading.Thread(target=self._run)

    def __enter__(self) -> None:
        self.thread.start()
        assert self.ready.wait(10)

    def __exit__(self, *_: object) -> None:
        self.done.set()
        self.thread.join()

    def _run(self) -> None:
        async def hold() -> None:
            connection = await asyncpg.connect(self.uri)
            async with connection.transaction():
                await connection.execute(self.statement)
                self.ready.set()
                await asyncio.to_thread(self.done.wait)
            await connection.close()

        asyncio.run(hold())
