"""How far behind its sources each topic's declared time may be, apart from slow data.

::

    source --> a (grace 5) --> t --> b (waits up to 60 for a partner) --> u
               0 .. 5 behind: t 5    u: 5 at least, 65 at most
"""

from __future__ import annotations

from typing import NamedTuple

from streams.engine.plan import subs_in_order
from streams.engine.step import Step
from streams.engine.topology import SubTopology, Topology


class Delay(NamedTuple):
    """From ``least`` to ``most`` ms; ``most`` is None where there is no bound."""

    least: int
    most: int | None

    def plus(self, other: Delay) -> Delay:
        """One after the other."""
        most = None if self.most is None or other.most is None else self.most + other.most
        return Delay(self.least + other.least, most)

    def less(self, ms: int) -> Delay:
        """What is left of it beyond ``ms``."""
        return Delay(max(0, self.least - ms), None if self.most is None else max(0, self.most - ms))

    def or_(self, other: Delay) -> Delay:
        """Whichever is greater: a task goes on with the slowest of its inputs."""
        most = None if self.most is None or other.most is None else max(self.most, other.most)
        return Delay(max(self.least, other.least), most)


NONE = Delay(0, 0)


def added(step: Step) -> Delay:
    """What a (planned) step adds: its grace, and what may hold it back."""
    grace = step.grace or 0
    if step.delay is None:
        return Delay(grace, grace if step.holdback is None else None)
    return Delay(grace, max(grace, step.delay))


def delays(topology: Topology) -> dict[str, Delay]:
    """By topic, for a planned topology; a source's own topic is not behind itself.

    Of a topic that anyone may write ``lateness`` counts where it is read.
    """
    found: dict[str, Delay] = {}
    for name in subs_in_order(topology):
        sub = topology.sub(name)
        declared = _declared(sub, found)
        for topic in sub.outputs:
            found[topic.name] = found.get(topic.name, NONE).or_(declared)
    for topic in topology.inputs:
        found.setdefault(topic.name, NONE)
    return found


def _declared(sub: SubTopology, found: dict[str, Delay]) -> Delay:
    """What a task of ``sub`` declares: the least of what its steps would."""
    start = NONE
    for topic in sub.inputs:
        if not topic.table:
            reader = next(step for step in sub.steps if topic in step.reads)
            lateness = 0 if topic.declared else reader.times[topic.name].lateness
            start = start.or_(found.get(topic.name, NONE).plus(Delay(lateness, lateness)))
    declared: dict[str, Delay] = {}
    for step in sub.steps:
        told = start
        for writer in sub.steps:
            if any(t in writer.writes and not t.broadcast for t in step.reads):
                told = told.or_(declared[writer.name].less(step.grace or 0))
        declared[step.name] = told.plus(added(step))
    total = NONE
    for one in declared.values():
        total = total.or_(one)
    return total
