"""Quix Streams, weighed: a stateful ``apply`` that counts, or ``join_interval``, all events open.

Settings named by its author: ``processing_guarantee="exactly-once"``, state in RocksDB with its
changelog topic (the default), a checkpoint every 5 s (``commit_interval``, the default). It is
weighed at the last record; what lies on its disk is told after the last checkpoint.
"""

from __future__ import annotations

from typing import Any

from quixstreams import Application, State
from quixstreams.dataframe import StreamingDataFrame
from stamps import SETTINGS
from weighing import Weighed

INPUTS, SIZE = SETTINGS["inputs"], SETTINGS["size_ms"]
stamps = Weighed()
app = Application(
    broker_address=SETTINGS["bootstrap"],
    consumer_group=SETTINGS["application"],
    auto_offset_reset="earliest",
    processing_guarantee="exactly-once",
    state_dir="state",
    loglevel="ERROR",
)


def count(value: bytes, state: State[str, int]) -> int:
    total: int = state.get("count", 0) + 1
    state.set("count", total)
    seen()
    return total


def seen() -> None:
    """One record more; the last one ends the run."""
    stamps.seen()
    if stamps.last:
        app.stop()


def taken(value: Any) -> Any:
    seen()
    return value["n"]


def joined() -> StreamingDataFrame:
    """Pairs within the interval."""
    left, right = (app.dataframe(app.topic(INPUTS[name])).apply(taken) for name in INPUTS)
    return left.join_interval(
        right,
        how="inner",
        on_merge=lambda one, other: [one, other],
        grace_ms=2 * SIZE,
        backward_ms=SIZE,
        forward_ms=SIZE,
    )


def main() -> None:
    if SETTINGS["case"] == "keys":
        topic = app.topic(INPUTS["left"], value_deserializer="bytes")
        found = app.dataframe(topic).apply(count, stateful=True)
    else:
        found = joined()
    found.to_topic(app.topic(SETTINGS["output"]))
    app.run()
    stamps.end()
    stamps.say()


main()
