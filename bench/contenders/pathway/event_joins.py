"""Pathway: ``interval_join``, ``asof_join`` and ``windowby`` with persistence on disk.

Licence BSL 1.1: used by this bench alone, nothing of it ships. Settings named by its author: a
commit every 1.5 s (``autocommit_duration_ms``, the default; ours is 0.3 s), a filesystem backend.
There is no ``behavior``: nothing is ever late, what changes is corrected, and nothing is ever
forgotten, so the state has no bound. With one (``cutoff``, ``exactly_once_behavior``) the time is
one for all partitions, and what one partition has ahead makes the others late. An as-of join has no
tolerance: a partner that is too old is left out behind it. It works in Rust by minibatches, so the
first record cannot be seen: the first minibatch of each input, and the start-up with it, is left
out of both events and time; where it holds more than half of them, all is measured, start-up too.
The end is when all results of the minibatch with the last event are out; its persistence goes on
behind, and is not waited for.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable
from time import sleep
from typing import Any

import pathway as pw
from stamps import SETTINGS, Stamps, cpu_seconds, leave

KAFKA = {
    "bootstrap.servers": SETTINGS["bootstrap"],
    "group.id": SETTINGS["name"],
    "auto.offset.reset": "earliest",
}
SIZE = SETTINGS["size_ms"]
IDLE = 0.1
"""CPU seconds in 2 s of a process that has nothing to do."""
stamps, whole = Stamps(), Stamps()
done = dict.fromkeys(SETTINGS["inputs"], 0)
"""By side, how many events are in."""
times = {"said": 0, "last": sys.maxsize}
"""The minibatch whose results are out, and that with the last event, once it is known."""


class Fact(pw.Schema):
    """An input."""

    key: str
    ts: int
    n: int


def side(name: str) -> pw.Table:
    """One input, counted."""
    facts = pw.io.kafka.read(
        KAFKA, topic=SETTINGS["inputs"][name], format="json", schema=Fact, name=name
    )

    def arrived(key: Any, row: dict[str, Any], time: int, is_addition: bool) -> None:
        if is_addition:
            through(name, row["events"], time)

    pw.io.subscribe(facts.reduce(events=pw.reducers.count()), on_change=arrived)
    return facts


def through(name: str, events: int, time: int) -> None:
    """So many events of a side are in the minibatches up to ``time``."""
    done[name] = events
    if not stamps.began and all(done.values()):
        stamps.begin(already=sum(done.values()))
    if sum(done.values()) == SETTINGS["events"]:
        times["last"] = time
        look()


def said(time: int) -> None:
    """The results of all minibatches up to ``time`` are out."""
    times["said"] = time
    look()


def look() -> None:
    """End where the results of the last minibatch are out; whichever is known first."""
    if times["said"] >= times["last"] and not stamps.seconds:
        stamps.end()
        whole.end()
        threading.Thread(target=tell).start()


def tell() -> None:
    """Wait until its producer has sent what is left, which is when nothing works; then tell."""
    used, before = cpu_seconds(), 0.0
    while used - before > IDLE:
        sleep(2)
        used, before = cpu_seconds(), used
    (stamps if stamps.events > whole.events / 2 else whole).say()
    leave()


def interval(how: pw.JoinMode) -> pw.Table:
    """Pairs within the interval."""
    left, right = side("left"), side("right")
    near = pw.temporal.interval(-SIZE, SIZE)
    found = left.interval_join(right, left.ts, right.ts, near, left.key == right.key, how=how)
    return found.select(left=left.n, right=right.n)


def asof(how: pw.JoinMode, tolerance: bool) -> pw.Table:
    """The newest right event that is not younger."""
    left, right = side("left"), side("right")
    found = left.asof_join(right, left.ts, right.ts, left.key == right.key, how=how)
    if not tolerance:
        found = found.select(left=left.n, right=right.n)
        return found.filter(pw.this.right.is_not_none())
    since = pw.coalesce(right.ts, 0)
    pairs = found.select(left=left.n, at=left.ts, right=right.n, since=since)
    fits = pw.this.since >= pw.this.at - SIZE
    return pairs.select(pw.this.left, right=pw.if_else(fits, pw.this.right, None))


def windows(facts: pw.Table) -> pw.GroupedTable:
    """Tumbling windows."""
    return facts.windowby(facts.ts, window=pw.temporal.tumbling(SIZE), instance=facts.key)


def totals() -> pw.Table:
    """Count and sum by window."""
    return windows(side("left")).reduce(
        key=pw.this._pw_instance,
        start=pw.this._pw_window_start,
        count=pw.reducers.count(),
        sum=pw.reducers.sum(pw.this.n),
    )


def group() -> pw.Table:
    """Three inputs as one, collected by window."""
    sides = [side(name).select(pw.this.key, pw.this.ts, pw.this.n, side=name) for name in "abc"]
    member = pw.make_tuple(pw.this.ts, pw.this.side, pw.this.n)
    return windows(pw.Table.concat_reindex(*sides)).reduce(
        key=pw.this._pw_instance,
        start=pw.this._pw_window_start,
        all=pw.reducers.sorted_tuple(member),
    )


CASES: dict[str, Callable[[], pw.Table]] = {
    "interval_inner": lambda: interval(pw.JoinMode.INNER),
    "interval_left": lambda: interval(pw.JoinMode.LEFT),
    "asof": lambda: asof(pw.JoinMode.LEFT, tolerance=True),
    "lookup": lambda: asof(pw.JoinMode.LEFT, tolerance=False),
    "lookup_corrections": lambda: asof(pw.JoinMode.LEFT, tolerance=False),
    "window_count_sum": totals,
    "group3": group,
}


def summed(rows: pw.Table) -> pw.Table:
    """One row that changes with every minibatch that changes a result, so that its end is told."""
    if "right" not in rows.column_names():
        return rows.reduce(rows=pw.reducers.count())
    found = rows.select(n=pw.coalesce(rows.right, 0))
    return found.reduce(rows=pw.reducers.count(), sum=pw.reducers.sum(found.n))


def main() -> None:
    output = {"bootstrap.servers": SETTINGS["bootstrap"]}
    rows = CASES[SETTINGS["case"]]()
    pw.io.kafka.write(rows, output, SETTINGS["output"], format="json")
    pw.io.subscribe(summed(rows), on_change=lambda **_: None, on_time_end=said)
    whole.begin()
    backend = pw.persistence.Backend.filesystem("persisted")
    pw.run(
        persistence_config=pw.persistence.Config(backend),
        monitoring_level=pw.MonitoringLevel.NONE,
    )


main()
