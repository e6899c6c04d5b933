"""A flood behind a PostgreSQL that is gone for long, then slow: the sink waits, and stays small."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from confluent_kafka import Producer
from sink_world import PARTITIONS, ROOT, SinkProcess, make_topics, members
from test_sinks_gone import cleaned, rows

from schemas.envelope import Event
from schemas.events import Alert
from schemas.headers import to_headers
from schemas.wire import Codec
from tests.postgres import PostgresServer, query, until

TOPIC = "alerts"
IDS = 500
BACKLOG = 60_000
RECORD_BYTES = 1500
POLL_MS = 6000
"""A member that does not poll for so long is put out of its group."""
GONE_S, SLOW_S = 15.0, 8
SHORT_POLLS = (
    "import sys; from streams.ops import sinking; "
    f"sinking.KAFKA |= {{'max.poll.interval.ms': {POLL_MS}, 'session.timeout.ms': {POLL_MS}}}; "
    "from streams.cli.main import main; main()"
)
"""``streams``, but its group is less patient: five minutes are too long for a test."""
MOST_GROWTH = 80 << 20
"""Bytes that the process may grow by while more than that waits for it: one batch, and what the
consumer has fetched."""
SLOWNESS = (
    "create table slowness (seconds int)",
    "insert into slowness values (0)",
    "create function slowly() returns trigger language plpgsql as "
    "$$ begin perform pg_sleep((select seconds from slowness)); return null; end $$",
    "create trigger slowly after insert on streams.alerts "
    "for each statement execute function slowly()",
    "select 1",
)
"""Each statement that writes rows takes as long as a table says."""


class Flood:
    """Many versions of a few rows, big ones; knows what must be left in the end."""

    def __init__(self, bootstrap: str) -> None:
        self.live: dict[str, Any] = {}
        self._codec, self._number = Codec(), 0
        own = {"linger.ms": 5, "enable.idempotence": True, "compression.type": "none"}
        self._producer = Producer({"bootstrap.servers": bootstrap, **own})

    def write(self, count: int) -> None:
        """Write so many changes."""
        for _ in range(count):
            self._number += 1
            one = self._number % IDS
            evidence = [f"{self._number}-".ljust(RECORD_BYTES, "x")]
            event = Event(
                f"a{one}", f"k{one}", 1_700_000_000_000 + one, "assert",
                Alert(f"e{one}", "test", "low", [], evidence), type="alerts.alert.v1",
            )  # fmt: skip
            headers: Any = to_headers(event)
            value = self._codec.encode(event.type, event.value)
            self._producer.produce(TOPIC, value, event.key, one % PARTITIONS, headers=headers)
            self._producer.poll(0)
            self.live[event.id] = event.value
        assert 0 == self._producer.flush(60)

    def net(self) -> dict[str, Any]:
        """What a reader must find."""
        return {id: msgspec.to_builtins(value) for id, value in self.live.items()}


class ShortPolls(SinkProcess):
    """``streams sink postgres`` in a group that soon puts out who does not poll."""

    def __init__(self, bootstrap: str, folder: Path, uri: str) -> None:
        self.log = folder / "sink.log"
        words = ["sink", "postgres", "-o", f"uri={uri}", "--topic", TOPIC]
        own = {"STREAMS_BROKER": bootstrap, "PYTHONPATH": str(ROOT)}
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-c", SHORT_POLLS, *words],
                stdout=log, stderr=log, env={**os.environ, **own}, cwd=folder,
            )  # fmt: skip


@pytest.fixture
def sink(sink_broker: str, server: PostgresServer, tmp_path: Path) -> Iterator[ShortPolls]:
    """A sink process that has its partitions."""
    make_topics(sink_broker)
    made = ShortPolls(sink_broker, tmp_path, server.uri)
    until("it has partitions", lambda: members(sink_broker, "postgres"), 120)
    yield made
    made.kill()


def grown(sink: ShortPolls, before: int, seconds: float) -> int:
    """By how much it grew at most in this time; it must live."""
    most, end = 0, time.monotonic() + seconds
    while time.monotonic() < end:
        assert sink.process.poll() is None, sink.told()
        most = max(most, sink.memory_bytes() - before)
        time.sleep(0.2)
    return most


def test_a_flood_behind_a_postgres_that_is_gone_then_slow(
    sink_broker: str, server: PostgresServer, sink: ShortPolls
) -> None:
    """It is the same member all the time, stays small, and rows are the net set in the end.

    ::

        producer    500 rows        90 MB
        PostgreSQL  ----------|  gone 15 s  |-- each statement takes 8 s --|------------>
        sink        writes      paused        waits, still in its group      catches up
        group       (puts out who does not poll for 6 s)  same member ................
    """
    flood = Flood(sink_broker)
    flood.write(IDS)
    until("it writes", lambda: len(rows(server.uri, TOPIC)) == IDS, 60)
    query(server.uri, *SLOWNESS)
    group, memory = members(sink_broker, "postgres"), sink.memory_bytes()
    server.stop()
    flood.write(BACKLOG)
    until("it says so", lambda: "reading is paused" in sink.told())
    gone = grown(sink, memory, GONE_S)
    server.start()
    query(server.uri, f"update slowness set seconds = {SLOW_S}", "select 1")
    slow = grown(sink, memory, 2.5 * SLOW_S)
    assert group == members(sink_broker, "postgres")
    assert max(gone, slow) < MOST_GROWTH < BACKLOG * RECORD_BYTES, (gone, slow)
    query(server.uri, "update slowness set seconds = 0", "select 1")
    expected = flood.net()
    until("all is through", lambda: cleaned(rows(server.uri, TOPIC)) == expected, 180)
    assert group == members(sink_broker, "postgres")
    assert 0 == sink.end(), sink.told()
