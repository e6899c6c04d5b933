"""Pathway: ``groupby().reduce(count())`` over its Kafka source, with persistence on disk.

Settings named by its author: ``format="raw"`` with generated row keys (the message key would make
one row of all events of a key), a commit every 1.5 s (``autocommit_duration_ms``, the default; ours
is 1 s), ``max_backlog_size`` off, a filesystem backend. It works in Rust by minibatches, so the
first record cannot be seen: the first minibatch, and the start-up with it, is left out of both
events and time. The end is when the minibatch with the last event is through; its persistence goes
on behind, and is not waited for.
"""

from __future__ import annotations

import csv
import threading
from pathlib import Path
from time import sleep
from typing import Any

import pathway as pw
from stamps import SETTINGS, Stamps, leave

OUTPUT = Path("counts.csv")
stamps = Stamps()


def arrived(key: Any, row: dict[str, Any], time: int, is_addition: bool) -> None:
    """The number of all events, once a minibatch."""
    if not is_addition:
        return
    if not stamps.began:
        stamps.begin(already=row["events"])
    elif row["events"] == SETTINGS["events"]:
        stamps.end()
        threading.Thread(target=tell).start()


def tell() -> None:
    """Wait until the file has everything, then tell it."""
    while sum((found := counted()).values()) != SETTINGS["events"]:
        sleep(0.2)
    stamps.tell(found)
    leave()


def counted() -> dict[str, int]:
    """The live rows: the file has every change, ``diff`` 1 or -1."""
    live: dict[str, int] = {}
    with OUTPUT.open() as file:
        for row in csv.DictReader(file):
            if row["diff"] == "1":
                live[row["name"]] = int(row["count"])
    return live


def main() -> None:
    events = pw.io.kafka.read(
        {
            "bootstrap.servers": SETTINGS["bootstrap"],
            "group.id": SETTINGS["name"],
            "auto.offset.reset": "earliest",
        },
        topic=SETTINGS["topic"],
        format="plaintext",
        autogenerate_key=True,
    )
    counts = events.groupby(events.key).reduce(name=events.key, count=pw.reducers.count())
    total = events.reduce(events=pw.reducers.count())
    pw.io.csv.write(counts, str(OUTPUT))
    pw.io.subscribe(total, on_change=arrived)
    backend = pw.persistence.Backend.filesystem("persisted")
    pw.run(
        persistence_config=pw.persistence.Config(backend),
        monitoring_level=pw.MonitoringLevel.NONE,
    )


main()
