"""Whole sinks under test: a broker, a producer of changes that knows its net set, processes."""

from __future__ import annotations

import os
import random
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic

from schemas.envelope import Event, Op
from schemas.events import AddressScore, Alert
from schemas.headers import to_headers
from schemas.wire import Codec
from streams.client import Read, read_all
from streams.engine import groups

ROOT = Path(__file__).parents[2]
PARTITIONS = 4
TOPICS = {"alerts": "alerts.alert.v1", "ml.address_results": "ml.address_result.v1"}


def make_topics(bootstrap: str) -> None:
    """Create the topics of these tests anew."""
    admin = AdminClient({"bootstrap.servers": bootstrap})
    names = [*TOPICS, "dead_letters"]
    there = set(admin.list_topics(timeout=15).topics)
    for future in admin.delete_topics([n for n in names if n in there]).values() if there else ():
        future.result(30)
    made = admin.create_topics([NewTopic(name, PARTITIONS, 1) for name in names])
    for future in made.values():
        future.result(30)


class Changes:
    """A seeded history of asserts, changes and retracts; what it wrote is folded as it goes."""

    def __init__(self, bootstrap: str, seed: int, ids: int = 400) -> None:
        self.random = random.Random(seed)
        self.ids = ids
        self.live: dict[str, dict[str, Any]] = {name: {} for name in TOPICS}
        """The net set by topic: plain values by event id. Aborted changes are not in it."""
        self.written = 0
        self._codec = Codec()
        self._producer = Producer(
            {"bootstrap.servers": bootstrap, "transactional.id": f"changes-{seed}", "linger.ms": 1}
        )
        self._producer.init_transactions(30)

    def write(self, count: int) -> None:
        """Write so many changes in one transaction; one in ten is rolled back."""
        kept = self.random.random() > 0.1
        self._producer.begin_transaction()
        for _ in range(count):
            topic = self.random.choice(list(TOPICS))
            self._send(topic, self._change(topic), kept)
        if kept:
            self._producer.commit_transaction(30)
            self.written += count
        else:
            self._producer.flush(30)  # aborting what the broker has not begun is an error there
            self._producer.abort_transaction(30)

    def _change(self, topic: str) -> Event:
        number = self.random.randrange(self.ids)
        op: Op = "retract" if self.random.random() < 0.25 else "assert"
        value = self._value(topic, number)
        return Event(f"{topic}-{number}", f"k{number % 37}", 1_700_000_000_000 + number, op, value,
                     type=TOPICS[topic])  # fmt: skip

    def _value(self, topic: str, number: int) -> Any:
        if topic == "alerts":
            severity = self.random.choice(["info", "low", "medium", "high"])
            return Alert(f"e{number}", "test", severity, ["r\0" * self.random.randrange(3)], [])
        score = self.random.choice([None, self.random.random()])
        return AddressScore("regtest", f"a{number}", f"t{number}", score, None, False, "日本")

    def _send(self, topic: str, event: Event, kept: bool) -> None:
        value = self._codec.encode(event.type, event.value)
        headers: Any = to_headers(event)
        self._producer.produce(topic, value, event.key, headers=headers)
        if kept and event.op == "assert":
            self.live[topic][event.id] = msgspec.to_builtins(event.value)
        elif kept:
            self.live[topic].pop(event.id, None)


class Writing(threading.Thread):
    """Writes changes in the background, a transaction now and then, until it has written enough."""

    def __init__(self, changes: Changes, total: int, batch: int = 20, pause: float = 0.05) -> None:
        super().__init__(daemon=True)
        self.changes, self.total, self.batch, self.pause = changes, total, batch, pause
        self._tick = threading.Event()

    def run(self) -> None:
        while self.changes.written < self.total:
            self.changes.write(self.batch)
            self._tick.wait(self.pause)


class SinkProcess:
    """``streams sink`` as a process; ended by its process id."""

    def __init__(self, bootstrap: str, folder: Path, *words: str, **extra: str) -> None:
        self.log = folder / "sink.log"
        argv = [sys.executable, "-m", "streams", "sink", *words]
        own = {"STREAMS_BROKER": bootstrap, "PYTHONPATH": str(ROOT)}
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                argv, stdout=log, stderr=log, env={**os.environ, **own, **extra}, cwd=folder
            )

    def told(self) -> str:
        """What all processes with this log have said."""
        return self.log.read_text()

    def memory_bytes(self) -> int:
        """Resident memory at this moment."""
        pages = Path(f"/proc/{self.process.pid}/statm").read_text().split()[1]
        return int(pages) * os.sysconf("SC_PAGE_SIZE")

    def kill(self) -> None:
        """SIGKILL, whatever it does."""
        self.process.kill()
        self.process.wait(30)

    def end(self) -> int:
        """SIGTERM; return the exit code."""
        self.process.terminate()
        return self.process.wait(60)


def letters(bootstrap: str) -> Iterator[tuple[Read, dict[str, str]]]:
    """The dead letters of a broker with their headers."""
    for read in read_all(bootstrap, "dead_letters", Codec()):
        yield read, {name: raw.decode() for name, raw in read.headers}


def members(bootstrap: str, name: str) -> list[str]:
    """The members of the groups of one sink that have partitions."""
    admin = AdminClient({"bootstrap.servers": bootstrap})
    names = [g for g in groups.names_of(admin, 10) if g.startswith(f"streams-sink-{name}-")]
    found = groups.describe(admin, names).values()
    described = [member for future in found for member in future.result(10).members]
    return [m.member_id for m in described if m.assignment and m.assignment.topic_partitions]
