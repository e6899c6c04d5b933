"""When each result must be said, and what is late: the definition of time, by the letter.

A ``Moments`` is one task. It is told one arrival after another (anything with ``side`` and
``event``; with ``side`` and ``ts``, a watermark; with ``side`` alone, idleness) and answers with
exactly what a join has to say to it. It forgets nothing that a definition could ask for.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from heapq import heappop, heappush
from typing import Any, NamedTuple

from reference import INF, Live, Row

Define = Callable[[Live, list[int]], list[Row]]
"""The rows of one key, from its live events and the ts of every id that was ever live."""


@dataclass(frozen=True)
class Rules:
    """A join as the definition sees it: what, and when."""

    define: Define
    sides: tuple[str, ...]
    emit: str
    lateness: Mapping[str, int]
    grace: Mapping[str, int]
    retract_grace: int
    declared: frozenset[str] = frozenset()
    tables: frozenset[str] = frozenset()
    kept: int | None = None
    """How long after an event of the first side a version may correct it (ms), beyond ``W``."""


class Lateness(NamedTuple):
    """Why an event is late; ``limit = watermark - g``."""

    side: str
    id: str
    ts: int
    watermark: float
    by: float
    idle: bool


@dataclass
class Said:
    """What must be said to one arrival, in order; ``correction``: it was one, or none came."""

    late: Lateness | None = None
    gone: list[Row] = field(default_factory=list)
    come: list[Row] = field(default_factory=list)
    ripe: list[Row] = field(default_factory=list)
    correction: bool = False


@dataclass
class Partition:
    """``W_p``, whether it is idle, and ``W_idle``."""

    watermark: float = -INF
    idle: bool = False
    idle_watermark: float = -INF


class Moments:
    """One task."""

    def __init__(self, rules: Rules) -> None:
        self.rules = rules
        self.W = -INF
        self.parts = {side: Partition() for side in rules.sides}
        self.live: dict[str, dict[str, dict[str, Any]]] = {}
        """Key -> side -> id -> event."""
        self.known: defaultdict[str, list[int]] = defaultdict(list)
        self.withdrawn: set[tuple[str, str]] = set()
        self.standing: defaultdict[str, dict[str, Row]] = defaultdict(dict)
        self.fixed: defaultdict[str, list[Row]] = defaultdict(list)
        """Rows whose event no version reaches any more."""
        self.waiting: list[tuple[float, str]] = []

    @property
    def net(self) -> dict[str, Row]:
        """Id -> row of everything that stands."""
        return {id: row for rows in self.standing.values() for id, row in rows.items()}

    def tell(self, item: Any) -> Said:
        """Take one arrival."""
        if hasattr(item, "event"):
            return self.event(item.side, item.event)
        part = self.parts[item.side]
        if hasattr(item, "ts"):
            part.watermark = max(part.watermark, item.ts)
        else:
            part.idle = True
        return Said(ripe=self.advance())

    def close(self) -> Said:
        """``W = +inf``."""
        self.W = INF
        return Said(ripe=self.ripen())

    # --- one event --------------------------------------------------------------------------------

    def event(self, side: str, event: Any) -> Said:
        """Lateness first; then what it changes at the present ``W``; then the new ``W``."""
        late, corrects = self.late(side, event)
        if late:
            return Said(late, correction=corrects)
        changed, replaced = self.fold(side, event)
        said = Said(correction=corrects or replaced)
        if changed:
            said.gone, said.come = self.restate(event.key, side)
        part = self.parts[side]
        part.idle = False
        if side not in self.rules.declared:
            part.watermark = max(part.watermark, event.ts - self.rules.lateness[side])
        said.ripe = self.advance()
        return said

    def late(self, side: str, event: Any) -> tuple[Lateness | None, bool]:
        """``ts < max(W_p, W_idle) - g``; of declared partitions only ``W_idle`` counts."""
        part = self.parts[side]
        again = (side, event.id) in self.withdrawn
        corrects = event.correction or event.op == "retract" or again
        g = self.rules.retract_grace if corrects else self.rules.grace[side]
        own = -INF if side in self.rules.declared else part.watermark
        watermark = max(own, part.idle_watermark)
        if side in self.rules.tables or event.ts >= watermark - g:
            return None, corrects
        by = watermark - g - event.ts
        return Lateness(side, event.id, event.ts, watermark, by, event.ts >= own - g), corrects

    def fold(self, side: str, event: Any) -> tuple[bool, bool]:
        """Whether the event has an effect (section 1), and whether it withdraws something."""
        sides = self.live.setdefault(event.key, {name: {} for name in self.rules.sides})
        live = sides[side].get(event.id)
        if event.op == "retract" and live is None:
            return False, False
        if event.op == "assert" and live is not None and live.value == event.value:
            return False, False
        if live is not None:
            self.withdrawn.add((side, event.id))
            del sides[side][event.id]
        if event.op == "assert":
            sides[side][event.id] = event
            self.known[event.key].append(event.ts)
        return True, live is not None

    # --- rows -------------------------------------------------------------------------------------

    def restate(self, key: str, side: str) -> tuple[list[Row], list[Row]]:
        """What stands no more and what stands now, after a change of one key."""
        if side in self.rules.tables:
            self.settle(key)
        before, after = self.standing[key], self.now(key)
        self.standing[key] = after
        gone = [row for id, row in before.items() if not same(row, after.get(id))]
        come = [row for id, row in after.items() if not same(row, before.get(id))]
        return sorted(gone, key=by_ts), sorted(come, key=by_ts)

    def now(self, key: str) -> dict[str, Row]:
        """The rows of a key that are certain at ``W``; a note of when the others will be."""
        live = {side: list(events.values()) for side, events in self.live[key].items()}
        rows = self.rules.define(live, self.known[key]) + self.fixed[key]
        for row in rows:
            if self.due(row) > self.W:
                heappush(self.waiting, (self.due(row), key))
        found = {row.id: row for row in rows if self.due(row) <= self.W}
        assert len(found) == len([row for row in rows if self.due(row) <= self.W])
        return found

    def due(self, row: Row) -> float:
        """The least ``W`` with ``W - grace > instant`` for all that the row waits for."""
        if self.rules.emit == "eager":
            return -INF
        grace = self.rules.grace
        return max((instant + grace[side] + 1 for side, instant in row.waits), default=-INF)

    def settle(self, key: str) -> None:
        """Before a version counts: what is kept no more stays as it is for ever."""
        first = self.rules.sides[0]
        kept = self.rules.kept
        assert kept is not None
        old = [e for e in self.live[key][first].values() if self.W > e.ts + kept]
        ids = {e.id for e in old}
        for row in self.standing[key].values():
            if row.members[first][0] in ids:
                self.fixed[key].append(replace_waits(row))
        for id in ids:
            del self.live[key][first][id]

    # --- time -------------------------------------------------------------------------------------

    def advance(self) -> list[Row]:
        """``W`` is the least ``W_p`` of the partitions that are not idle, and never moves back."""
        active = [part.watermark for part in self.parts.values() if not part.idle]
        if active:
            self.W = max(self.W, min(active))
            for part in self.parts.values():
                if part.idle:
                    part.idle_watermark = self.W
        return self.ripen()

    def ripen(self) -> list[Row]:
        """What became certain, deadline by deadline, at one instant by (ts, id)."""
        keys = set()
        while self.waiting and self.waiting[0][0] <= self.W:
            keys.add(heappop(self.waiting)[1])
        come = []
        for key in keys:
            before, self.standing[key] = self.standing[key], self.now(key)
            come += [row for id, row in self.standing[key].items() if id not in before]
            assert before.keys() <= self.standing[key].keys()
        return sorted(come, key=lambda row: (self.due(row), row.ts, row.id))


def by_ts(row: Row) -> tuple[int, str]:
    """(ts, id)."""
    return row.ts, row.id


def same(row: Row, other: Row | None) -> bool:
    """Whether two rows with one id say the same."""
    return other is not None and replace_waits(row) == replace_waits(other)


def replace_waits(row: Row) -> Row:
    """The row without when it became certain."""
    return row._replace(waits=())


def with_times(rules: Rules, **times: Any) -> Rules:
    """The same join with other times."""
    return replace(rules, **times)
