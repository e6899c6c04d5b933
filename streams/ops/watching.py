"""What a worker is doing, read from the running application whenever somebody asks.

Nothing here costs the tasks anything: their counts are theirs, and are looked at, not copied.
"""

from __future__ import annotations

import time
from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any

from streams.engine.mover import Place
from streams.engine.runner import Report, Runner
from streams.engine.selection import Selection
from streams.ops.held import Held
from streams.ops.outage import Outage

BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
"""Upper limits (s) of the checkpoint durations."""
LOOK_MOST_SECONDS = 3.0
"""What one look may count for: the broker is asked before it, for two seconds at most."""


class Durations:
    """Durations in buckets, as a histogram shows them."""

    def __init__(self) -> None:
        self.counts = [0] * (len(BUCKETS) + 1)
        self.total = 0.0

    def add(self, seconds: float) -> None:
        """Count one."""
        self.counts[bisect_left(BUCKETS, seconds)] += 1
        self.total += seconds

    def cumulative(self) -> list[tuple[str, float]]:
        """Limit and how many were not above it; the last limit is +Inf."""
        found, below = [], 0
        for limit, count in zip((*map(str, BUCKETS), "+Inf"), self.counts, strict=True):
            below += count
            found.append((limit, float(below)))
        return found


class Watch:
    """Listens to the engine's events, counts them, and passes them on.

    What every task would say again and again while the broker is away is counted only.
    """

    def __init__(self, report: Report, outage: Outage | None = None) -> None:
        self._report, self._outage = report, outage
        self.assigned = False
        """Whether the group has ever given this worker its share, be it nothing."""
        self.checkpoints: dict[str, Durations] = {}
        """Committed checkpoints, by sub-topology."""
        self.put_back: Counter[str] = Counter()
        """Checkpoints that failed and are tried again, by sub-topology."""
        self.recovered: Counter[str] = Counter()
        """Tasks that were recovered, by sub-topology."""
        self.recovery_seconds: Counter[str] = Counter()

    def __call__(self, event: str, facts: dict[str, Any]) -> None:
        """Take one event of the engine."""
        sub = str(facts.get("task", "")).rpartition("/")[0]
        if event == "assigned":
            self.assigned = True
        elif event == "checkpoint":
            self.checkpoints.setdefault(sub, Durations()).add(facts["seconds"])
        elif event == "checkpoint_put_back":
            self.put_back[sub] += 1
            if self._outage is not None and self._outage.away:  # it has been said, once
                self._outage.left_out += 1
                return
        elif event == "task_recovered":
            self.recovered[sub] += 1
            self.recovery_seconds[sub] += facts.get("fence_s", 0) + facts.get("replay_s", 0)
        self._report(event, facts)


class Worker:
    """The running application as operation sees it."""

    def __init__(self, app: Any, watch: Watch, outage: Outage) -> None:
        self.app, self.watch, self.outage = app, watch, outage
        self.selection: Selection = app.selection
        self.ends: dict[Place, int] = {}
        """The ends of the inputs, as they were at the last look."""
        self.stable: dict[Place, int] = {}
        """Where they end for readers of committed data."""
        settings = app.flow.settings
        self.held_inputs = Held(watch, settings.held_ms / 1000, settings.bootstrap)
        """Those of them at which readers wait for a transaction of somebody."""

    @property
    def consumer(self) -> Any | None:
        """The engine's consumer; None before it has started."""
        found = self.app._consumer  # the public property would make one
        return found if hasattr(found, "tasks") else None

    @property
    def tasks(self) -> dict[Place, Runner]:
        """The tasks that work: sub-topology and partition to runner."""
        consumer = self.consumer
        return {} if consumer is None else consumer.tasks

    @property
    def held(self) -> dict[Place, Runner]:
        """The tasks that work, and those that take their state over."""
        consumer = self.consumer
        return {} if consumer is None else {**consumer.opening, **consumer.tasks}

    @property
    def broken(self) -> list[Place]:
        """The tasks a step of which fails on everything."""
        return [place for place, r in self.tasks.items() if r.breaker.broken is not None]

    @property
    def parked(self) -> int:
        """Tasks that were let go and are kept for a while."""
        return 0 if self.consumer is None else len(self.consumer.parked)

    @property
    def wanted(self) -> set[Place]:
        """The tasks that the group has given to this worker."""
        consumer = self.consumer
        if consumer is None:
            return set()
        homes = {topic.name: sub.name for sub in self.selection.run for topic in sub.inputs}
        held = consumer.assignment()
        return {Place(homes[tp.topic], tp.partition) for tp in held if tp.topic in homes}

    def inputs(self) -> list[tuple[Place, Runner]]:
        """Every input partition of the tasks that work."""
        return [
            (Place(topic, partition), runner)
            for (_, partition), runner in self.tasks.items()
            for topic in runner.task.position
        ]

    def unread(self) -> dict[Place, int]:
        """Positions in those inputs that have records for us, where nothing says to wait."""
        found: dict[Place, int] = {}
        for place, runner in self.inputs():
            at = runner.task.position[place.topic]
            may = place.topic not in runner.paused and runner.breaker.broken is None
            if may and at < self.stable.get(place, 0):
                found[place] = at
        return found

    @property
    def in_flight(self) -> int:
        """Records that were fetched and not yet processed."""
        if self.consumer is None:
            return 0
        session = self.consumer.mover.session
        return int(session.moved - session.done)

    def mover_runs(self) -> bool:
        """Whether the thread that brings the records lives, or is not yet needed."""
        consumer = self.consumer
        return consumer is None or self.app.should_stop or consumer.mover.is_alive()


class Awake:
    """Time that was ours: what passes between two looks that are far apart is not.

    The process was halted as a whole then.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock, self._looked, self.now = clock, clock(), 0.0

    def look(self) -> float:
        """How much it is now (s); to be asked every second or so."""
        at = self._clock()
        self.now += min(at - self._looked, LOOK_MOST_SECONDS)
        self._looked = at
        return self.now


class Unread:
    """Inputs that have records for a worker that reads nothing at all.

    One that is read slowly, as others are before it, is no such input: one of them moves.
    """

    def __init__(
        self,
        positions: Callable[[], Mapping[Place, int]],
        outage: Outage,
        limit: float,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._positions, self._outage, self._awake = positions, outage, Awake(clock)
        self.limit = limit
        """Seconds after which nobody can be expected to read on."""
        self._seen: dict[Place, int] = {}
        self._since = 0.0

    def look(self) -> None:
        """Note whether anything moved since the last look."""
        now, found = self._awake.look(), dict(self._positions())
        still = {place for place, at in found.items() if self._seen.get(place) == at}
        if not found or still != found.keys() or self._outage.away:
            self._since = now
        self._seen = found

    def stuck(self) -> dict[Place, float]:
        """The inputs, and for how many seconds nothing came of any."""
        waited = self._awake.now - self._since
        return dict.fromkeys(self._seen, waited) if waited > self.limit else {}


class Stalls:
    """Which tasks have work to write and have not written it for too long."""

    def __init__(
        self,
        tasks: Callable[[], Mapping[Place, Runner]],
        outage: Outage,
        limit: float,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._tasks, self._outage, self._awake = tasks, outage, Awake(clock)
        self.limit = limit
        """Seconds after which a task that does not get its work written is stuck."""
        self._seen: dict[Place, tuple[int, float]] = {}

    def look(self) -> None:
        """Note which tasks have moved since the last look."""
        now = self._awake.look()
        self._seen = {
            place: self._one(place, runner, now) for place, runner in self._tasks().items()
        }

    def _one(self, place: Place, runner: Runner, now: float) -> tuple[int, float]:
        moves, since = self._seen.get(place, (-1, now))
        if runner.moves != moves or self._outage.away or runner.idle:
            since = now
        return runner.moves, since

    def stuck(self) -> dict[Place, float]:
        """The tasks that are stuck, and for how many seconds."""
        waited = {place: self._awake.now - since for place, (_, since) in self._seen.items()}
        return {place: seconds for place, seconds in waited.items() if seconds > self.limit}
