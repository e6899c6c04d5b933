"""Live facts in memory, all of them or those of a horizon."""

from __future__ import annotations

from collections.abc import Iterator
from heapq import heappop, heappush
from typing import Any, Generic, TypeVar

from streams.client.records import Fact, Record, fact_of

V = TypeVar("V")
FUTURE_MS = 3 * 3_600_000
"""An event further ahead of the clock that saw it moves no horizon (SEMANTICS 2, block topics)."""

_Place = tuple[str, int]


class Held(Generic[V]):
    """Facts by topic and id.

    With ``horizon_ms``, a fact whose event time lies more than that below the greatest of its
    partition is let go: memory is then bounded by what a horizon holds, and ``beyond`` says of
    which events nothing can be known any more.
    """

    def __init__(self, horizon_ms: int | None = None) -> None:
        self.horizon_ms = horizon_ms
        self.forgotten = 0
        """Facts that were let go."""
        self._facts: dict[Fact, Record[V]] = {}
        self._newest: dict[_Place, int] = {}
        self._due: dict[_Place, list[tuple[int, Fact]]] = {}

    def __len__(self) -> int:
        return len(self._facts)

    def __iter__(self) -> Iterator[Record[V]]:
        return iter(self._facts.values())

    def get(self, fact: Fact) -> Record[V] | None:
        """The live record of a fact."""
        return self._facts.get(fact)

    def pop(self, fact: Fact) -> Record[V] | None:
        """Take a fact out."""
        return self._facts.pop(fact, None)

    def put(self, record: Record[V]) -> None:
        """Keep a fact, unless it is beyond the horizon."""
        if self.beyond(record):
            self.forgotten += 1
            return
        self._facts[fact_of(record)] = record
        if self.horizon_ms is not None:
            due = self._due.setdefault((record.topic, record.partition), [])
            heappush(due, (record.event.ts, fact_of(record)))

    def beyond(self, record: Record[Any]) -> bool:
        """Whether facts of this record's time have been let go."""
        edge = self._edge((record.topic, record.partition))
        return edge is not None and record.event.ts < edge

    def see(self, record: Record[Any]) -> None:
        """Let event time go on to this record's, and let go what is now beyond the horizon."""
        if self.horizon_ms is None:
            return
        place, event = (record.topic, record.partition), record.event
        seen = record.append_ts if event.ingest_ts is None else event.ingest_ts
        if event.ts <= seen + FUTURE_MS and event.ts > self._newest.get(place, event.ts - 1):
            self._newest[place] = event.ts
            self._let_go(place)

    def drop(self, topic: str, partition: int) -> None:
        """Forget a partition: another member of the group has it now."""
        self._facts = {
            fact: record
            for fact, record in self._facts.items()
            if (record.topic, record.partition) != (topic, partition)
        }
        self._newest.pop((topic, partition), None)
        self._due.pop((topic, partition), None)

    def _edge(self, place: _Place) -> int | None:
        newest = self._newest.get(place)
        return None if newest is None or self.horizon_ms is None else newest - self.horizon_ms

    def _let_go(self, place: _Place) -> None:
        due, edge = self._due.get(place, []), self._edge(place)
        while due and edge is not None and due[0][0] < edge:
            ts, fact = heappop(due)
            kept = self._facts.get(fact)
            if kept is not None and kept.event.ts == ts:
                del self._facts[fact]
                self.forgotten += 1
