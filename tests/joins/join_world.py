"""Joins as steps of a topology, fed from the same timelines: what comes out, and what should."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import Any

import msgspec
from join_cases import Case
from join_laws import as_row
from reference import Event as Plain
from reference import Row

from joins import Arrival, Watermark
from schemas.envelope import Event
from schemas.events import Alert
from streams.engine.joining import join_step
from streams.engine.settings import EngineSettings
from streams.testing import TopologyDriver
from streams.topics import By, Topic

T0 = 1_700_000_000_000
"""Where the time of these tests begins (ms); a multiple of no window that they use."""
END = T0 + 10_000_000
FAR = 10**15


class Stage(msgspec.Struct, frozen=True):
    """A join whose first side reads what the stage before says; the other sides are sources."""

    case: Case
    by: By = "txid"
    regroup: Callable[[str], str] = str
    """The key of what it says, from its own."""


def topic(name: str, by: By, *, source: bool, table: bool = False) -> Topic[Alert]:
    """A topic of alerts; versions are alerts too."""
    return Topic(name, by, name, "alerts.alert.v1", source=source, table=table)


def alert_of(stage: Stage, row: Row) -> Alert:
    """What a result is written as: all that it says."""
    said = repr((row.type, row.side, row.members, row.value))
    return Alert(stage.regroup(row.key), said, row.type, [], [])


def say(stage: Stage, outcome: Any) -> Alert:
    """The same of what a join said; of a fold, the definition names no members."""
    row = as_row(outcome)
    return alert_of(stage, row._replace(members={}) if row.value is not None else row)


class World:
    """A chain of stages as a topology in memory, and the composed definition."""

    def __init__(self, stages: Sequence[Stage], retract_grace: int, **options: Any) -> None:
        self.stages = stages
        self.topics: dict[tuple[int, str], Topic[Alert]] = {}
        self.outs: list[Topic[Alert]] = []
        settings = EngineSettings(
            lateness_ms=0, grace_ms=0, retract_grace_ms=retract_grace, max_skew_ms=FAR,
            future_cap_ms=FAR, block_future_cap_ms=FAR,
        )  # fmt: skip
        steps = [self._step(number, stage) for number, stage in enumerate(stages)]
        options.setdefault("partitions", 1)
        self.driver = TopologyDriver(steps, settings, **options)

    def _step(self, number: int, stage: Stage) -> Any:
        sides = {}
        for position, side in enumerate(stage.case.join.sides):
            if number and not position:
                sides[side] = self.outs[-1]
                continue
            # `final` needs the table's time, so there it is a topic like any other.
            table = side in stage.case.tables and stage.case.join.emit == "eager"
            sides[side] = topic(f"t.{number}.{side}", stage.by, source=True, table=table)
            self.topics[number, side] = sides[side]
        following = self.stages[number + 1].by if number + 1 < len(self.stages) else stage.by
        self.outs.append(topic(f"t.{number}.out", following, source=False))
        return join_step(stage.case.join, sides, self.outs[-1], partial(say, stage))

    def send(self, place: tuple[int, str], item: Any) -> None:
        """An arrival or a watermark of a source."""
        if isinstance(item, Watermark):
            self.driver.declare(self.topics[place], item.ts, run=False)
            return
        event = msgspec.structs.replace(item.event, type="alerts.alert.v1")
        self.driver.send(self.topics[place], event, writer="source", run=False)

    def end(self) -> None:
        """All is read; then all sources declare the end of time, and all is read and kept."""
        self.settle()
        for place in self.topics:
            self.driver.declare(self.topics[place], END, run=False)
        self.settle()

    def settle(self) -> None:
        """Read and keep until what the first task says has reached the last."""
        for _ in self.driver.tasks:
            self.driver.run()
            self.driver.checkpoint()

    def expected(self, live: dict[tuple[int, str], list[Event]]) -> dict[str, Alert]:
        """The composed definition over the live events of every source."""
        above: list[Any] = []
        found: dict[str, Alert] = {}
        for number, stage in enumerate(self.stages):
            rows = list(self._rows(number, stage, live, above))
            found = {row.id: alert_of(stage, row) for row in rows}
            above = [
                Plain(row.id, found[row.id].entity, row.ts, "assert", found[row.id]) for row in rows
            ]
        return found

    def _rows(
        self, number: int, stage: Stage, live: dict[tuple[int, str], list[Event]], above: list[Any]
    ) -> Iterable[Row]:
        keys: defaultdict[str, dict[str, list[Any]]] = defaultdict(
            lambda: {side: [] for side in stage.case.join.sides}
        )
        for position, side in enumerate(stage.case.join.sides):
            for event in above if number and not position else live.get((number, side), []):
                keys[event.key][side].append(event)
        for sides in keys.values():
            times = [event.ts for events in sides.values() for event in events]
            yield from stage.case.define(sides, times)


def as_alert(arrival: Arrival) -> Arrival:
    """The arrival with an alert as its value, at the tests' time."""
    event = arrival.event
    value = Alert(event.key, "source", str(event.value), [], [])
    kept = Event(event.id, event.key, T0 + event.ts, event.op, value, event.correction)
    return Arrival(arrival.side, 0, kept)


def live_of(items: Iterable[tuple[tuple[int, str], Any]]) -> dict[tuple[int, str], list[Event]]:
    """What lives of each source, by section 1 of the definition."""
    found: dict[tuple[int, str], dict[str, Event]] = {}
    for place, item in items:
        if isinstance(item, Arrival):
            events = found.setdefault(place, {})
            if item.event.op == "assert":
                events[item.event.id] = item.event
            else:
                events.pop(item.event.id, None)
    return {place: list(events.values()) for place, events in found.items()}
