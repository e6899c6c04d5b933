"""One task: a join, its clock and its state, fed one arrival after another (SEMANTICS 2)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from joins.clock import POS_INF
from joins.join import Join
from joins.outcome import Outcome
from joins.state import MemoryStore, Store
from schemas.envelope import Event


class JoinTask:
    """Partition ``number`` of every side of a join.

    Each method returns the outcomes in the order in which they became certain. ``counts`` has
    ``accepted`` (with effect), ``no_effect`` and ``late``, whose sum is what was received.
    """

    def __init__(
        self, join: Join, number: int, declared: Iterable[str] = (), store: Store | None = None
    ) -> None:
        self.join = join
        self.number = number
        self.store: Store = MemoryStore() if store is None else store
        self.clock = join.clock([(side, number) for side in join.sides], declared)
        self.counts: Counter[str] = Counter()

    def receive(self, side: str, event: Event, written: bool = True) -> list[Outcome]:
        """Take one event: lateness first, then what it changes, then what time it makes."""
        retracted = self.join.retracted(self.store, side, event)
        late = self.clock.late(side, self.number, event, retracted=retracted, written=written)
        if late is not None:
            self.counts["late"] += 1
            return [late]
        change = self.join.effect(self.store, side, event)
        self.counts["no_effect" if change is None else "accepted"] += 1
        said: list[Outcome] = []
        if change is not None:
            said = self.join.apply(self.store, change, self.clock.watermark)
        return said + self._moved(self.clock.seen(side, self.number, event.ts))

    def declare(self, side: str, ts: int) -> list[Outcome]:
        """The side's writers promise that nothing below ``ts`` comes any more."""
        return self._moved(self.clock.declare(side, self.number, ts))

    def idle(self, side: str) -> list[Outcome]:
        """The side's partition is idle: time goes on without it."""
        return self._moved(self.clock.idle(side, self.number))

    def close(self) -> list[Outcome]:
        """Nothing comes any more."""
        return self._moved(self.clock.close())

    @property
    def closed(self) -> bool:
        """Whether ``close`` was called."""
        return self.clock.watermark >= POS_INF

    def _moved(self, moved: bool) -> list[Outcome]:
        return self.join.on_watermark(self.store, self.clock.watermark) if moved else []
