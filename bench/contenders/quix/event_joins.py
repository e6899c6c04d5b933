"""Quix Streams: ``join_interval``, ``join_asof`` and tumbling windows of a StreamingDataFrame.

Settings named by its author: ``processing_guarantee="exactly-once"``, state in RocksDB with its
changelog topic (the default), a checkpoint every 5 s (``commit_interval``, the default; ours is
0.3 s). Windows are ``final`` with ``closing_strategy="partition"``: with the default, ``key``, the
last window of each key is never said. ``grace_ms`` is what the disorder asks for, and 7 days, the
default, for a lookup. An as-of join has no tolerance: a partner that is too old is left out by the
merger. The end is when ``run`` has returned: it commits the last checkpoint before.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import count
from typing import Any

from quixstreams import Application
from quixstreams.dataframe import StreamingDataFrame
from quixstreams.dataframe.windows import Collect, Count, Sum
from stamps import SETTINGS, Stamps

SIZE, DISORDER = SETTINGS["size_ms"], SETTINGS["disorder_ms"]
stamps, numbers = Stamps(), count(1)
app = Application(
    broker_address=SETTINGS["bootstrap"],
    consumer_group=SETTINGS["name"],
    auto_offset_reset="earliest",
    processing_guarantee="exactly-once",
    state_dir="state",
    loglevel="ERROR",
)


def side(name: str, of: Callable[[Any], Any]) -> StreamingDataFrame:
    """One input, of each record what is needed."""

    def taken(value: Any) -> Any:
        if not stamps.began:
            stamps.begin()
        if next(numbers) == SETTINGS["events"]:
            app.stop()  # after this one
        return of(value)

    return app.dataframe(app.topic(SETTINGS["inputs"][name])).apply(taken)


def interval(how: Any) -> StreamingDataFrame:
    """Pairs within the interval."""
    left, right = (side(name, lambda value: value["n"]) for name in ("left", "right"))
    return left.join_interval(
        right,
        how=how,
        on_merge=lambda one, other: [one, other],
        grace_ms=SIZE + DISORDER,
        backward_ms=SIZE,
        forward_ms=SIZE,
    )


def asof() -> StreamingDataFrame:
    """The newest right record that is not too old."""
    left, right = (side(name, lambda v: [v["n"], v["ts"]]) for name in ("left", "right"))
    return left.join_asof(right, how="left", on_merge=newest, grace_ms=SIZE + DISORDER)


def newest(left: Any, right: Any) -> list[int | None]:
    """The pair, or the left one alone where the other is older than the tolerance."""
    fits = right is not None and left[1] - right[1] <= SIZE
    return [left[0], right[0] if fits else None]


def lookup() -> StreamingDataFrame:
    """The version of a table, kept for 7 days."""
    left, right = (side(name, lambda value: [value["n"]]) for name in ("left", "right"))
    return left.join_asof(right, on_merge=lambda one, other: [one[0], other[0]])


def totals() -> StreamingDataFrame:
    """Count and sum by window."""
    windows = side("left", lambda value: value["n"]).tumbling_window(SIZE, DISORDER)
    found = windows.agg(count=Count(), sum=Sum()).final(closing_strategy="partition")
    return found.apply(
        lambda value, key, *_: [key.decode(), value["start"], value["count"], value["sum"]],
        metadata=True,
    )


def group() -> StreamingDataFrame:
    """Three inputs as one, collected by window."""
    a, b, c = (side(name, member(name)) for name in "abc")
    windows = a.concat(b).concat(c).tumbling_window(SIZE, DISORDER)
    found = windows.agg(all=Collect()).final(closing_strategy="partition")
    return found.apply(
        lambda value, key, *_: [key.decode(), value["start"], *sorted_out(value["all"])],
        metadata=True,
    )


def member(name: str) -> Callable[[Any], Any]:
    """A record as a member of a group."""
    return lambda value: [name, value["ts"], value["n"]]


def sorted_out(found: list[Any]) -> list[list[int]]:
    """The numbers by side, in the order of time."""
    found = sorted(found, key=lambda one: one[1])
    return [[n for name, _, n in found if name == wanted] for wanted in "abc"]


CASES: dict[str, Callable[[], StreamingDataFrame]] = {
    "interval_inner": lambda: interval("inner"),
    "interval_left": lambda: interval("left"),
    "asof": asof,
    "lookup": lookup,
    "window_count_sum": totals,
    "group3": group,
}


def main() -> None:
    CASES[SETTINGS["case"]]().to_topic(app.topic(SETTINGS["output"]))
    app.run()
    stamps.end()
    stamps.say()


main()
