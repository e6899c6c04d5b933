"""Bytewax, weighed: ``stateful_map`` that counts, or ``join_window`` with one window of all events.

It has no interval join; its window here holds all events until the end. Settings named by its
author: batches of 1,000 records, snapshots of changed keys into SQLite every 10 s (the default
``epoch_interval``), one recovery partition for the one worker. ``tail=False`` ends the flow at the
end of the topics. It is weighed at the last record; what lies on its disk is told at the end.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import bytewax.operators as op
import bytewax.operators.windowing as win
from bytewax.connectors.kafka import KafkaSink, KafkaSinkMessage, KafkaSource, KafkaSourceMessage
from bytewax.dataflow import Dataflow
from bytewax.operators import KeyedStream
from bytewax.recovery import RecoveryConfig, init_db_dir
from bytewax.run import cli_main
from stamps import SETTINGS
from weighing import Weighed

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
Member = tuple[datetime, int]
stamps, flow = Weighed(), Dataflow("memory")


def source(side: str) -> Any:
    """One input."""
    found = KafkaSource([SETTINGS["bootstrap"]], [SETTINGS["inputs"][side]], tail=False)
    return op.input(side, flow, found)


def counted() -> KeyedStream[int]:
    """The count of each key."""

    def keyed(batch: Sequence[KafkaSourceMessage[bytes, bytes]]) -> list[tuple[str, None]]:
        stamps.seen(len(batch))
        return [(message.key.decode(), None) for message in batch]

    def add(total: int | None, _: None) -> tuple[int, int]:
        total = (total or 0) + 1
        return total, total

    by_key = op.flat_map_batch("key", source("left"), keyed)
    return op.stateful_map("count", by_key, add)


def joined() -> KeyedStream[list[int]]:
    """Pairs in one window."""
    clock = win.EventClock(
        ts_getter=lambda member: member[0],
        wait_for_system_duration=timedelta(milliseconds=SETTINGS["size_ms"]),
        now_getter=lambda: EPOCH,
        to_system_utc=lambda _: None,
    )
    length = timedelta(milliseconds=SETTINGS["size_ms"])
    windower = win.TumblingWindower(length=length, align_to=EPOCH)
    found = win.join_window(
        "join", clock, windower, members("left"), members("right"),
        insert_mode="product", emit_mode="final", ordered=False,
    ).down  # fmt: skip

    def rows(item: Any) -> list[Any]:
        key, (_, (left, right)) = item
        return [] if left is None or right is None else [(key, [left[1], right[1]])]

    return op.flat_map("rows", found, rows)


def members(side: str) -> KeyedStream[Member]:
    """One input by key, with its times."""

    def read(batch: Sequence[KafkaSourceMessage[bytes, bytes]]) -> list[tuple[str, Member]]:
        stamps.seen(len(batch))
        return [member(json.loads(message.value)) for message in batch]

    def member(value: Any) -> tuple[str, Member]:
        return value["key"], (EPOCH + timedelta(milliseconds=value["ts"]), value["n"])

    return op.flat_map_batch(f"members_{side}", source(side), read)


def main() -> None:
    store = Path("state")
    store.mkdir()
    init_db_dir(store, 1)
    found: Any = counted() if SETTINGS["case"] == "keys" else joined()
    rows = op.map(
        "out", found, lambda kv: KafkaSinkMessage(kv[0].encode(), json.dumps(kv[1]).encode())
    )
    op.output("sink", rows, KafkaSink([SETTINGS["bootstrap"]], SETTINGS["output"]))
    cli_main(flow, epoch_interval=timedelta(seconds=10), recovery_config=RecoveryConfig(store))
    stamps.end()
    stamps.say()


main()
