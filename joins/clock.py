"""Event time of one task: watermarks, idleness and what is late (SEMANTICS 2).

Nothing here reads a wall clock: the owner of the clock says when a partition has become idle.
Watermarks are ints; the limits are ``NEG_INF`` and ``POS_INF``, far outside every real time and
small enough to stay 64-bit after sums.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from joins.errors import JoinError
from joins.outcome import Late
from schemas.envelope import Event

NEG_INF = -(2**62)
POS_INF = 2**62


@dataclass(frozen=True, slots=True)
class SideTime:
    """How the time of one side is told.

    ``declared``: writers declare it, else it is observed from the events themselves, less
    ``lateness``. ``never_late``: a versioned table, whose versions always count.
    ``retract_grace``: the grace of its corrections, where it is not that of the task.
    """

    declared: bool = False
    lateness: int = 0
    grace: int = 0
    never_late: bool = False
    retract_grace: int | None = None


@dataclass(slots=True)
class _Partition:
    watermark: int = NEG_INF
    idle: bool = False
    idle_watermark: int = NEG_INF


class TaskClock:
    """The watermark ``W`` of a task, from the ``W_p`` of its input partitions. It never goes back.

    >>> clock = TaskClock({"left": SideTime(), "right": SideTime()}, [("left", 0), ("right", 0)])
    >>> clock.seen("left", 0, 100)
    False
    >>> clock.seen("right", 0, 40), clock.watermark
    (True, 40)
    >>> clock.idle("right", 0), clock.watermark
    (True, 100)
    >>> clock.late("right", 0, Event(id="r", key="k", ts=90, op="assert", value=1)).by
    10
    """

    def __init__(
        self,
        sides: Mapping[str, SideTime],
        partitions: Iterable[tuple[str, int]],
        retract_grace: int = 0,
    ) -> None:
        self._sides = dict(sides)
        self._partitions = {partition: _Partition() for partition in partitions}
        self._retract_grace = retract_grace
        self.watermark = NEG_INF
        """``W`` of the task."""

    def late(
        self,
        side: str,
        partition: int,
        event: Event,
        *,
        retracted: bool = False,
        written: bool = True,
    ) -> Late | None:
        """Whether an event is late; to be asked before anything else is done with it.

        ``retracted``: a retract of its id has had an effect (``liveness.retracted``); ``written``:
        on a declared side, that the record names the writer it came from. State forgets a retract
        when its id is late by either grace, so ``by`` of such an assert is then by ``grace``.
        """
        time = self._sides[side]
        if time.never_late:
            return None
        state = self._state(side, partition)
        corrects = event.correction or event.op == "retract" or retracted
        g = self._undo_grace(time) if corrects else time.grace
        own = self._own_limit(time, state, written)
        watermark = max(own, state.idle_watermark)
        if event.ts >= watermark - g:
            return None
        return Late(side, event, watermark, watermark - g - event.ts, event.ts >= own - g)

    def none_late(self, side: str, partition: int, times: Sequence[int]) -> bool:
        """Whether none of many plain asserts with these ts, in this order, is late.

        True is certain; after False ask for each. On a declared side records are taken for ones
        without a writer, which are late sooner.
        """
        time, state = self._sides[side], self._state(side, partition)
        if time.never_late:
            return True
        reached, behind = max(state.watermark, state.idle_watermark), time.grace
        if time.declared:
            return min(times) >= reached - behind
        if min(times) >= max(reached, max(times) - time.lateness) - behind:
            return True
        lateness = time.lateness
        for ts in times:
            if ts < reached - behind:
                return False
            if ts - lateness > reached:
                reached = ts - lateness
        return True

    def _undo_grace(self, time: SideTime) -> int:
        return self._retract_grace if time.retract_grace is None else time.retract_grace

    def _own_limit(self, time: SideTime, state: _Partition, written: bool) -> int:
        if not time.declared:
            return state.watermark
        # What was in time at its writer is never late again; without a writer nobody has judged it.
        return NEG_INF if written else state.watermark - time.lateness

    def seen(self, side: str, partition: int, ts: int) -> bool:
        """Note an accepted event; its partition is no longer idle. True when ``W`` moved."""
        state = self._state(side, partition)
        rejoined, state.idle = state.idle, False
        time = self._sides[side]
        if time.declared or ts - time.lateness <= state.watermark:
            return rejoined and self._advance()
        state.watermark = ts - time.lateness
        return self._advance()

    def declare(self, side: str, partition: int, ts: int) -> bool:
        """Note what the writers of a declared partition promise. True when ``W`` moved."""
        if not self._sides[side].declared:
            raise JoinError(f"side {side!r} is observed, its watermark cannot be declared")
        state = self._state(side, partition)
        state.watermark = max(state.watermark, ts)
        return self._advance()

    def idle(self, side: str, partition: int) -> bool:
        """Note that a partition is idle: ``W`` goes on without it. True when ``W`` moved."""
        self._state(side, partition).idle = True
        return self._advance()

    def close(self) -> bool:
        """No event comes any more: ``W`` is ``POS_INF``. True when ``W`` moved."""
        moved = self.watermark < POS_INF
        self.watermark = POS_INF
        return moved

    def partition_watermark(self, side: str, partition: int) -> int:
        """``W_p`` of one input partition."""
        return self._state(side, partition).watermark

    def is_idle(self, side: str, partition: int) -> bool:
        """Whether the partition is left out of ``W`` at present."""
        return self._state(side, partition).idle

    def dump(self) -> dict[str, Any]:
        """All that the clock knows, as plain data."""
        rows = [
            [side, partition, state.watermark, state.idle, state.idle_watermark]
            for (side, partition), state in self._partitions.items()
        ]
        return {"watermark": self.watermark, "partitions": rows}

    def load(self, dumped: Mapping[str, Any]) -> None:
        """Stand where ``dump`` was taken; partitions that it does not name keep their state."""
        self.watermark = dumped["watermark"]
        for side, partition, watermark, idle, idle_watermark in dumped["partitions"]:
            self._partitions[side, partition] = _Partition(watermark, idle, idle_watermark)

    def _state(self, side: str, partition: int) -> _Partition:
        try:
            return self._partitions[side, partition]
        except KeyError:
            known = ", ".join(f"{side}-{number}" for side, number in self._partitions)
            raise JoinError(f"no partition {side}-{partition} here; there is {known}") from None

    def _advance(self) -> bool:
        least = min((s.watermark for s in self._partitions.values() if not s.idle), default=None)
        if least is None:
            return False
        moved = least > self.watermark
        if moved:
            self.watermark = least
        for state in self._partitions.values():
            if state.idle:
                state.idle_watermark = self.watermark
        return moved
