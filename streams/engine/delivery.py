"""How a task's results and watermarks get out, beside its state."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from streams.engine.checkpoint import Written
from streams.engine.emit import Encoder, Snapshot
from streams.engine.stages import Stage
from streams.engine.topology import SubTopology
from streams.topics import Topic


def declares_to(sub: SubTopology) -> tuple[Topic, ...]:
    """The outputs of a task in which it declares watermarks."""
    return tuple(t for t in sub.outputs if t.declared and not t.table)


class Delivery:
    """Exactly once: all of them with their checkpoint's transaction, and nothing outside of it."""

    def __init__(self, encoder: Encoder, declare_to: tuple[Topic, ...]) -> None:
        self.encoder, self.declare_to = encoder, declare_to

    def owes(self) -> bool:
        """Whether something that was written outside of a transaction has to be written again."""
        return False

    def ahead(self, pending: Sequence[Any]) -> None:
        """Write what is new in ``pending`` before its checkpoint."""

    def hold(self) -> None:
        """Write nothing ahead until the next checkpoint is over."""

    def take(self) -> None:
        """A checkpoint takes what is pending: what is newer has to wait for it."""

    def records(self, snapshot: Snapshot) -> Iterable[Written]:
        """What a checkpoint writes in its transaction; raises KafkaException."""
        with Stage.OUTPUTS:
            yield from self.encoder.outputs(snapshot.outputs)
        yield from self.encoder.declared(snapshot, self.declare_to)
        yield from self.encoder.state(snapshot)

    def committed(self, snapshot: Snapshot) -> None:
        """The transaction is committed: write what had to wait for that."""

    def over(self, failed: bool) -> None:
        """The checkpoint is over; of one that failed, what is pending again may be stored."""

    def close(self) -> None:
        """Let go: what is on its way and in no checkpoint the next owner writes."""
