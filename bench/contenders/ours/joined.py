"""The join of a case as a step over topics of the bench's own: what a user's module looks like.

Beside the join it holds what the bench needs: the first and the last input record are noted, and
the worker is ended when its committed positions cover the input.
"""

from __future__ import annotations

from typing import Any

import join_values as v
import msgspec
from running import Watch, settings
from stamps import SETTINGS, Stamps

import joins
from joins import Event, Matched, Unmatched
from streams import Step, Topic
from streams.engine.joining import Say, join_step
from streams.engine.own_types import OwnType
from streams.engine.settings import EngineSettings
from streams.engine.topology import build

SIZE = SETTINGS["size_ms"]
CASE = SETTINGS["case"]
COMMON: dict[str, Any] = {"name": CASE, "lateness": SETTINGS["disorder_ms"]}


def pair(result: Matched | Unmatched) -> v.Pair:
    """The two events of a result."""
    left, right = (result.members.get(side) for side in ("left", "right"))
    return v.Pair(result.key, number(left), None if right is None else number(right))


def number(event: object) -> int:
    """What the value of an event has."""
    assert isinstance(event, Event)
    found: int = event.value.n
    return found


def totals(result: Matched | Unmatched) -> v.Totals:
    """Count and sum of a window."""
    assert isinstance(result, Matched)
    value = result.value
    return v.Totals(result.key, result.ts + 1 - SIZE, value["count"], value["sum"])


def trio(result: Matched | Unmatched) -> v.Trio:
    """The members of a window."""
    numbers = (
        [number(event) for event in result.members.get(side) or ()]  # type: ignore[union-attr]
        for side in "abc"
    )
    return v.Trio(result.key, result.ts + 1 - SIZE, *numbers)


def make(case: str) -> tuple[joins.Join, OwnType, Say]:
    """The join of a case, the type of its results, and how they are said."""
    if case in ("interval_inner", "interval_left"):
        kind = case.removeprefix("interval_")
        return joins.IntervalJoin(before=SIZE, after=SIZE, kind=kind, **COMMON), v.PAIR, pair
    if case == "asof":
        return joins.AsOfJoin(tolerance=SIZE, kind="left", **COMMON), v.PAIR, pair
    if case in ("lookup", "lookup_corrections"):
        horizon = SETTINGS["horizon_ms"]
        return joins.LookupJoin(horizon=horizon, emit="eager", **COMMON), v.PAIR, pair
    windows = joins.Tumbling(size=SIZE)
    if case == "window_count_sum":
        aggregates = {"count": joins.Count(), "sum": joins.Sum("n")}
        join = joins.WindowAggregate(windows=windows, aggregates=aggregates, **COMMON)
        return join, v.TOTALS, totals
    sides = ("a", "b", "c")
    return joins.WindowJoin(windows=windows, sides=sides, kind="outer", **COMMON), v.TRIO, trio


def topic(side: str, name: str) -> Topic:
    """An input: anyone may produce to it, so its time is observed."""
    table = CASE.startswith("lookup") and side == "right"
    return Topic(name, "any", side, v.FACT.name, source=True, declared=False, table=table)


join, kind, say = make(CASE)
inputs = {side: topic(side, name) for side, name in SETTINGS["inputs"].items()}
output = Topic(SETTINGS["output"], "any", "what comes out", kind.name)
watch = Watch(Stamps(), {name: SETTINGS["counts"][name] for name in SETTINGS["inputs"].values()})


def watched(step: Step) -> Step:
    """The same step, its inputs counted."""
    for read in step.reads:
        step = watch.watched(step, read.name)
    return step


def changelog(step: Step) -> str:
    """Where the worker keeps the state of a step of this run's module."""
    sub = f"{SETTINGS['name'].replace('-', '_')}-{build((step,)).subs[0].name}"
    own: EngineSettings = msgspec.structs.replace(settings, application=SETTINGS["application"])
    return own.changelog(sub)


step = watched(join_step(join, inputs, output, say))
watch.changelogs = [changelog(step)]
