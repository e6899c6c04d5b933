"""Bytewax: ``join_window``, ``fold_window`` and ``collect_window`` with a recovery store on disk.

It has no interval join: its own form of the job is ``join_window`` over tumbling windows, with
``insert_mode="product"`` and ``emit_mode="final"``, which pairs what lies in one window.
Settings named by its author: ``EventClock`` with a wait of the disorder and a system time that
stands still (by default it adds the time that goes by to the time of events: a flow that works off
the past more slowly than it happened closes its windows too soon), ``ordered=False`` (nothing here
needs the order, and sorting costs), batches of 1,000 records, snapshots of changed keys into SQLite
every 10 s (the default ``epoch_interval``; ours is 0.3 s), one recovery partition for the one
worker. ``tail=False`` ends the flow at the end of the topics; the end is when the flow has
returned, which it does after its last snapshot.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
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
from stamps import SETTINGS, Stamps

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
SIZE = SETTINGS["size_ms"]
Member = tuple[datetime, str, int]
stamps, flow = Stamps(), Dataflow("joins")
clock = win.EventClock(
    ts_getter=lambda member: member[0],
    wait_for_system_duration=timedelta(milliseconds=SETTINGS["disorder_ms"]),
    now_getter=lambda: EPOCH,
    to_system_utc=lambda _: None,
)
windower = win.TumblingWindower(length=timedelta(milliseconds=SIZE), align_to=EPOCH)


def side(name: str) -> KeyedStream[Member]:
    """One input by key."""

    def members(batch: Iterable[KafkaSourceMessage[bytes, bytes]]) -> list[tuple[str, Member]]:
        if not stamps.began:
            stamps.begin()
        return [member(json.loads(message.value)) for message in batch]

    def member(value: Any) -> tuple[str, Member]:
        return value["key"], (EPOCH + timedelta(milliseconds=value["ts"]), name, value["n"])

    source = KafkaSource([SETTINGS["bootstrap"]], [SETTINGS["inputs"][name]], tail=False)
    return op.flat_map_batch(f"members_{name}", op.input(name, flow, source), members)


def product(unmatched: bool) -> Any:
    """Pairs in one window."""
    found = win.join_window(
        "join", clock, windower, side("left"), side("right"),
        insert_mode="product", emit_mode="final", ordered=False,
    ).down  # fmt: skip

    def rows(item: Any) -> list[Any]:
        key, (_, (left, right)) = item
        if left is None or (right is None and not unmatched):
            return []
        return [message(key, [left[2], None if right is None else right[2]])]

    return op.flat_map("rows", found, rows)


def totals() -> Any:
    """Count and sum by window."""
    found = win.fold_window(
        "fold", side("left"), clock, windower,
        builder=lambda: (0, 0),
        folder=lambda so_far, member: (so_far[0] + 1, so_far[1] + member[2]),
        merger=lambda one, other: (one[0] + other[0], one[1] + other[1]),
        ordered=False,
    ).down  # fmt: skip
    return op.map("rows", found, lambda kv: message(kv[0], [kv[0], kv[1][0] * SIZE, *kv[1][1]]))


def group() -> Any:
    """Three inputs as one, collected by window."""
    merged = op.merge("all", *(side(name) for name in "abc"))
    found = win.collect_window("collect", merged, clock, windower, ordered=False).down

    def row(item: Any) -> Any:
        key, (number, members) = item
        parts = [[n for _, name, n in sorted(members) if name == wanted] for wanted in "abc"]
        return message(key, [key, number * SIZE, *parts])

    return op.map("rows", found, row)


def message(key: str, row: list[Any]) -> KafkaSinkMessage[bytes, bytes]:
    """A row on its way to the output topic."""
    return KafkaSinkMessage(key.encode(), json.dumps(row).encode())


CASES: dict[str, Callable[[], Any]] = {
    "interval_inner": lambda: product(unmatched=False),
    "interval_left": lambda: product(unmatched=True),
    "window_count_sum": totals,
    "group3": group,
}


def main() -> None:
    store = Path("recovery")
    store.mkdir()
    init_db_dir(store, 1)
    sink = KafkaSink([SETTINGS["bootstrap"]], SETTINGS["output"])
    op.output("out", CASES[SETTINGS["case"]](), sink)
    cli_main(flow, epoch_interval=timedelta(seconds=10), recovery_config=RecoveryConfig(store))
    stamps.end()
    stamps.say()


main()
