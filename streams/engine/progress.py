"""How far a task has come in event time: its clock, fed by events, writers and silence."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from joins.clock import NEG_INF, SideTime, TaskClock
from joins.outcome import Late
from schemas.envelope import Event
from schemas.headers import Headers
from streams.engine.settings import EngineSettings
from streams.engine.step import Step
from streams.engine.topology import SubTopology
from streams.engine.writers import Declared, spoken
from streams.topics import Topic, blocks, transactions

BLOCKS = frozenset({blocks.name, transactions.name})
"""Topics whose times are those of blocks, which miners choose."""


def _time_of(topic: Topic, steps: Iterable[Step]) -> SideTime:
    """How the time of an input is told: the steps that read it agree (``plan``).

    The one that remembers least says which corrections are late: they touch no state at all.
    """
    readers = [step for step in steps if topic in step.reads]
    time = readers[0].times[topic.name]
    least = min(step.retract_grace or 0 for step in readers)
    never = topic.table or time.never_late
    return replace(time, declared=topic.declared, never_late=never, retract_grace=least)


class Progress:
    """The event time of one task's inputs (SEMANTICS 2); versioned tables take no part in it.

    ``sub`` is of a topology whose steps are ``planned``.
    """

    def __init__(
        self,
        sub: SubTopology,
        writers: Mapping[str, tuple[str, ...]],
        partition: int,
        settings: EngineSettings,
    ) -> None:
        self.partition, self.max_skew = partition, settings.max_skew_ms
        self._caps = (settings.future_cap_ms, settings.block_future_cap_ms)
        inputs = sub.inputs
        self.timed = tuple(topic.name for topic in inputs if not topic.table)
        self.declared = {t.name: Declared(writers[t.name]) for t in inputs if t.declared}
        sides = {t.name: _time_of(t, sub.steps) for t in inputs}
        self.clock = TaskClock(sides, [(name, partition) for name in self.timed])
        graces = [max(sides[t.name].grace, sides[t.name].retract_grace or 0) for t in inputs]
        self.keep = max(graces, default=0)
        """How far below the watermark (ms) an event of any input may lie and still count."""

    @property
    def watermark(self) -> int:
        """``W`` of the task."""
        return self.clock.watermark

    @property
    def all_idle(self) -> bool:
        """Whether no input says anything about time at present."""
        return all(self.clock.is_idle(name, self.partition) for name in self.timed)

    def late(self, topic: Topic, event: Event, *, retracted: bool, written: bool) -> Late | None:
        """Whether an event is late; to be asked before anything else is done with it."""
        if topic.table:
            return None
        return self.clock.late(
            topic.name, self.partition, event, retracted=retracted, written=written
        )

    def none_late(self, topic: Topic, times: Sequence[int]) -> bool:
        """Whether none of many asserts with these times (ms), in this order, is late."""
        return topic.table or self.clock.none_late(topic.name, self.partition, times)

    def ahead_of_arrival(self, topic: Topic, event: Event, written: bool) -> int | None:
        """How far an event is too far ahead (ms), where nobody has judged it yet: at its source."""
        if event.ingest_ts is None or (written and not topic.source):
            return None
        ahead = event.ts - event.ingest_ts
        return ahead if ahead > self.future_cap(topic) else None

    def future_cap(self, topic: Topic) -> int:
        """How far an event of a topic may be ahead of its arrival (ms)."""
        return self._caps[topic.name in BLOCKS]

    def seen(self, topic: Topic, ts: int) -> None:
        """Note an accepted event."""
        if not topic.table:
            self.clock.seen(topic.name, self.partition, ts)

    def hear(self, topic: Topic, headers: Headers | None) -> bool:
        """Take a control record over; whether time is to be settled: what came before comes first.

        Raises BadHeaders, and has had no effect then.
        """
        declared = self.declared.get(topic.name)
        if declared is None:
            return False
        declared.declare(*spoken(headers))
        return not topic.table and self._news(topic.name, declared.watermark())

    def _news(self, name: str, bound: int | None) -> bool:
        idle = self.clock.is_idle(name, self.partition)
        if bound is None or idle:
            return bound is not None or not idle
        return bound > self.clock.partition_watermark(name, self.partition)

    def settle(self, topic: Topic) -> None:
        """Let the clock know what the writers of an input have declared."""
        name, bound = topic.name, self.declared[topic.name].watermark()
        if bound is None:
            self.clock.idle(name, self.partition)
        else:
            self.clock.seen(name, self.partition, bound)  # whoever declares is no longer idle
            self.clock.declare(name, self.partition, bound)

    def idle(self, topic: Topic) -> None:
        """An input was silent at its end for the idle timeout; known writers are waited for."""
        declared = self.declared.get(topic.name)
        waiting = declared is not None and declared.watermark() is not None
        if not topic.table and not waiting:
            self.clock.idle(topic.name, self.partition)

    def ahead(self) -> set[str]:
        """Inputs so far ahead of the task's watermark that they must wait, lest state grows."""
        limit = self.clock.watermark + self.max_skew
        if self.clock.watermark == NEG_INF or self.all_idle:  # there is nobody to wait for
            return set()
        return {
            name
            for name in self.timed
            if self.clock.partition_watermark(name, self.partition) > limit
        }

    def dump(self) -> dict[str, Any]:
        """Plain data for the position record."""
        return {
            "clock": self.clock.dump(),
            "declared": {name: d.dump() for name, d in self.declared.items()},
        }

    def load(self, dumped: Mapping[str, Any]) -> None:
        """Take over what ``dump`` gave; inputs that the topology no longer has are left out."""
        clock = dumped["clock"]
        rows = [row for row in clock["partitions"] if row[0] in self.timed]
        self.clock.load({"watermark": clock["watermark"], "partitions": rows})
        for name, said in dumped["declared"].items():
            if name in self.declared:
                self.declared[name].load(said)
