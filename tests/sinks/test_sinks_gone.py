"""PostgreSQL gone while results flow, and a sink process that is killed: nothing is lost."""

from __future__ import annotations

import json
import random
import time
from pathlib import Path
from typing import Any

from sink_world import TOPICS, Changes, SinkProcess, Writing, make_topics, members

from sinks.postgres_cells import unescape
from tests.postgres import PostgresServer, query, until

GONE_S = 10.0
TOTAL = 6000
SEED = 20
MOST_GROWTH = 64 << 20
"""Bytes that the process may grow by while it waits: what the consumer had fetched already."""


def rows(uri: str, topic: str) -> dict[str, Any]:
    """What a reader who knows only SQL finds: the live rows' payload by event id."""
    table = f"streams.{topic.replace('.', '_')}_live"
    if query(uri, f"select to_regclass('{table}') as made")[0]["made"] is None:
        return {}
    found = query(uri, f"select to_jsonb(t) as row from {table} t")
    plain = [json.loads(row["row"]) for row in found]
    fixed = {"event_time", "event_id", "version", "op", "key", "event_ts"}
    return {r["event_id"]: {n: c for n, c in r.items() if n not in fixed} for r in plain}


def cleaned(net: dict[str, Any]) -> dict[str, Any]:
    """Rows with NUL in their texts as it was."""
    return json.loads(json.dumps(net), object_hook=_unescaped)  # type: ignore[no-any-return]


def _unescaped(found: dict[str, Any]) -> dict[str, Any]:
    return {
        name: [unescape(c) for c in cell] if isinstance(cell, list) else cell
        for name, cell in found.items()
    }


def stored(uri: str) -> int:
    """How many rows there are in all, tombstones too."""
    tables = [f"streams.{topic.replace('.', '_')}" for topic in TOPICS]
    there = [t for t in tables if query(uri, f"select to_regclass('{t}') as made")[0]["made"]]
    return sum(query(uri, f"select sum(version) as n from {t}")[0]["n"] or 0 for t in there)


class Scene:
    """A producer that writes all the time, a sink process, and its PostgreSQL."""

    def __init__(self, broker: str, server: PostgresServer, folder: Path) -> None:
        self.broker, self.server, self.folder = broker, server, folder
        self.changes, self._chance = Changes(broker, SEED), random.Random(SEED)
        self.writing = Writing(self.changes, TOTAL)
        self.sink = self._start()
        self.writing.start()

    def _start(self) -> SinkProcess:
        chosen = [word for topic in TOPICS for word in ("--topic", topic)]
        address = f"uri={self.server.uri}"
        return SinkProcess(self.broker, self.folder, "postgres", "-o", address, *chosen)

    def wait_until_written(self, share: float) -> None:
        """Wait until about this share of all changes is written, and the sink has written, too."""
        aim = TOTAL * (share + self._chance.uniform(-0.05, 0.05))
        until("enough is written", lambda: self.changes.written >= aim, 120)
        seen = stored(self.server.uri)
        until("the sink writes", lambda: stored(self.server.uri) > seen)

    def kill_sink(self) -> None:
        """SIGKILL, and a new process."""
        old = members(self.broker, "postgres")
        self.sink.kill()
        self.sink = self._start()
        until("it has begun", lambda: members(self.broker, "postgres") not in ([], old))

    def stop_postgres(self, seconds: float) -> None:
        """Stop PostgreSQL, look at the sink meanwhile, and start it again."""
        group, memory = members(self.broker, "postgres"), self.sink.memory_bytes()
        before = self.changes.written
        self.server.stop()
        gone = time.monotonic()
        until("it says so", lambda: "reading is paused" in self.sink.told())
        while time.monotonic() < gone + seconds:
            assert self.sink.process.poll() is None, self.sink.told()
            time.sleep(0.2)
        grown = self.sink.memory_bytes() - memory
        assert (group, True) == (members(self.broker, "postgres"), grown < MOST_GROWTH), grown
        assert self.changes.written > before
        self.server.start()
        until("it goes on", lambda: "it works again after" in self.sink.told())

    def finish(self) -> None:
        """Wait until all is written and through."""
        self.writing.join(120)
        assert not self.writing.is_alive()
        until("all is through", lambda: self.found() == self.changes.live, 60)
        assert 0 == self.sink.end(), self.sink.told()

    def found(self) -> dict[str, Any]:
        """The net set of each topic, as PostgreSQL has it."""
        return {topic: cleaned(rows(self.server.uri, topic)) for topic in TOPICS}


def test_ten_seconds_without_postgres_and_two_kills(
    sink_broker: str, server: PostgresServer, tmp_path: Path
) -> None:
    """Rows equal the net set of what was committed, whatever was stopped or killed meanwhile.

    time         0 ............ 1/5 ............... 2/5 ........... 4/5 ........ end
    producer     writes, one transaction in ten is rolled back, all the time
    sink         writes   kill -9, new    waits    goes on   kill -9, new   goes on
    PostgreSQL   serves                   gone 10 s, back            serves
    """
    make_topics(sink_broker)
    scene = Scene(sink_broker, server, tmp_path)
    try:
        scene.wait_until_written(0.2)
        scene.kill_sink()
        scene.wait_until_written(0.4)
        scene.stop_postgres(GONE_S)
        scene.wait_until_written(0.8)
        scene.kill_sink()
        scene.finish()
    finally:
        scene.sink.kill()
    assert 1 == scene.sink.told().count("reading is paused"), scene.sink.told()
    assert all(scene.changes.live[topic] for topic in TOPICS)
