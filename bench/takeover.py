"""``python -m bench.takeover``: how long a task takes to take its state over.

A task's own store, encoder and transactions write a changelog on a real Kafka; then a new task of
the same name recovers from it, as a worker does after its fence. Cases:

======  ===========================================================================================
memory  engine.store=memory: the whole changelog is read
cold    engine.store=rocks without its folder: the same, into RocksDB
warm    engine.store=rocks on a copy that lacks the last checkpoint
======  ===========================================================================================
"""

from __future__ import annotations

import argparse
import gc
import json
import shutil
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic
from msgspec import structs

from schemas.wire import Codec
from streams.broker import EmbeddedBroker
from streams.engine.checkpoint import Transactions
from streams.engine.delivery import Delivery
from streams.engine.emit import Encoder
from streams.engine.recovery import Reader, Recovery, recover
from streams.engine.settings import EngineSettings
from streams.engine.step import Step
from streams.engine.task import Task
from streams.engine.topology import Topology, build
from streams.engine.transport import GC_THRESHOLDS
from streams.topics import Topic

INPUT = Topic("takeover.in", "txid", "nothing is read from it", "ml.label.v1", source=True)
STEP = Step("keep", (INPUT,), (), lambda *_: None)
A_CHECKPOINT = 20_000
SHAPES = ("counts", "entries")
"""Plain counts in pages (``state.table``), or entries of about 360 bytes of their own."""


def made(settings: EngineSettings) -> Task:
    """A new task."""
    topology: Topology = build((STEP,))
    return Task(topology, topology.subs[0], 0, settings, Codec())


def fill(task: Task, shape: str, numbers: range) -> None:
    """Give these keys a value."""
    scope: Any = task.store.scope(STEP.name)
    if shape == "counts":
        counts = scope.table("count")
        for number in numbers:
            counts[f"key-{number:09d}"] = number
        return
    for number in numbers:
        scope.put(("entry", f"key-{number:09d}"), {"n": number, "body": f"{number:0300d}"})


class Log:
    """The changelog of one task."""

    def __init__(self, settings: EngineSettings) -> None:
        self.settings, self.kafka = settings, {"bootstrap.servers": settings.bootstrap}
        self.name = settings.changelog(made(settings).sub.name)
        topic = NewTopic(self.name, 1, 1, config={"cleanup.policy": "compact"})
        admin = AdminClient({"bootstrap.servers": settings.bootstrap})
        admin.create_topics([topic])[self.name].result(30)

    def write(self, task: Task, shape: str, numbers: range) -> None:
        """Fill and checkpoint, as a runner does."""
        delivery = Delivery(Encoder(self.name, 0, 1, task.writer, 1), ())
        tx = Transactions(self.kafka, self.settings.transactional_id(task.sub.name, 0))
        tx.fence()
        for first in range(numbers.start, numbers.stop, A_CHECKPOINT):
            fill(task, shape, range(first, min(first + A_CHECKPOINT, numbers.stop)))
            task.store.settle()
            snapshot = task.snapshot()
            tx.commit(delivery.records(snapshot))
            task.store.keep(snapshot.changes)
            task.store.kept()
        tx.close()

    def recovered(self, settings: EngineSettings) -> tuple[Task, dict[str, Any]]:
        """A new task that stands at the end, and what that took."""
        began, cpu = time.perf_counter(), time.process_time()
        task = made(settings)
        recovery, reader = Recovery(task), Reader(self.kafka, self.name, 0)
        try:
            recover(recovery, reader, lambda: True)
        finally:
            reader.close()
        facts = {"seconds": round(time.perf_counter() - began, 2), "records": recovery.records}
        return task, facts | {"cpu_s": round(time.process_time() - cpu, 2)}


def run(bootstrap: str, shape: str, keys: int, folder: Path) -> dict[str, Any]:
    """All cases of one shape."""
    settings = EngineSettings(
        bootstrap=bootstrap, partitions=1, application=f"takeover-{shape}", state_dir=str(folder)
    )
    rocks = structs.replace(settings, store="rocks")
    log = Log(settings)
    task, _ = log.recovered(settings)  # an empty log gets its name (lineage) so
    log.write(task, shape, range(keys))
    found: dict[str, Any] = {"shape": shape, "keys": keys}
    found["memory"] = log.recovered(settings)[1]
    task, found["cold"] = log.recovered(rocks)
    task.store.close()
    task, _ = log.recovered(settings)
    log.write(task, shape, range(A_CHECKPOINT))
    task, found["warm"] = log.recovered(rocks)
    found["entries"] = len(task.store)
    task.store.close()
    return found


def main() -> None:
    """Measure, and print one JSON line a shape."""
    own = argparse.ArgumentParser("python -m bench.takeover", description=__doc__)
    own.add_argument("--keys", type=int, default=1_000_000)
    own.add_argument("--shape", choices=SHAPES, action="append")
    asked = own.parse_args()
    gc.freeze()
    gc.set_threshold(*GC_THRESHOLDS)  # as a worker has it
    folder = Path(tempfile.mkdtemp(prefix="streams-takeover-"))
    try:
        with EmbeddedBroker() as broker:
            for shape in asked.shape or SHAPES:
                json.dump(run(broker.start(), shape, asked.keys, folder), sys.stdout)
                sys.stdout.write("\n")
                sys.stdout.flush()
    finally:
        shutil.rmtree(folder)


if __name__ == "__main__":
    main()
