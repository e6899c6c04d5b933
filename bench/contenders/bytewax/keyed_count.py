"""Bytewax: ``stateful_map`` over its Kafka source, with a recovery store on disk.

Settings named by its author: batches of 1,000 records, snapshots of changed keys into SQLite every
10 s (the default ``epoch_interval``; ours is 1 s), one recovery partition for the one worker.
``tail=False`` ends the flow at the end of the topic; the end is when the flow has returned, which
it does after its last snapshot.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path

import bytewax.operators as op
from bytewax.connectors.kafka import KafkaSource, KafkaSourceMessage
from bytewax.dataflow import Dataflow
from bytewax.outputs import DynamicSink, StatelessSinkPartition
from bytewax.recovery import RecoveryConfig, init_db_dir
from bytewax.run import cli_main
from stamps import SETTINGS, Stamps

Counted = tuple[str, int]
stamps, counts = Stamps(), dict[str, int]()


class Newest(StatelessSinkPartition[Counted]):
    """Keeps the newest count of each key: the result that is checked."""

    def write_batch(self, items: Sequence[Counted]) -> None:
        counts.update(items)


class NewestSink(DynamicSink[Counted]):
    def build(self, step_id: str, worker_index: int, worker_count: int) -> Newest:
        return Newest()


def keyed(batch: Sequence[KafkaSourceMessage[bytes, bytes]]) -> list[tuple[str, None]]:
    if not stamps.began:
        stamps.begin()
    return [(message.key.decode(), None) for message in batch]


def add(total: int | None, _: None) -> tuple[int, int]:
    total = (total or 0) + 1
    return total, total


def main() -> None:
    store = Path("recovery")
    store.mkdir()
    init_db_dir(store, 1)
    flow = Dataflow("keyed_count")
    source = KafkaSource([SETTINGS["bootstrap"]], [SETTINGS["topic"]], tail=False)
    events = op.input("events", flow, source)
    by_key = op.flat_map_batch("key", events, keyed)
    op.output("counts", op.stateful_map("count", by_key, add), NewestSink())
    cli_main(flow, epoch_interval=timedelta(seconds=10), recovery_config=RecoveryConfig(store))
    stamps.end()
    stamps.tell(counts)


main()
