"""The net view: records folded into the changes that they make (SEMANTICS 1 and 5)."""

from __future__ import annotations

from typing import Generic, TypeVar

from streams.client.held import Held
from streams.client.records import Change, Record, asserted, fact_of, withdrawn

V = TypeVar("V")


class Net(Generic[V]):
    """Folds a topic record by record; per id, Asserted and Withdrawn alternate.

    An assert of what is live already and a retract of what is not have no effect. Another value of
    a live id is a Withdrawn (``replaced``) and an Asserted. With ``horizon_ms``, what is older is
    no longer folded: a retract of it passes through, and an assert of it may come twice.
    """

    def __init__(self, horizon_ms: int | None = None) -> None:
        self.held: Held[V] = Held(horizon_ms)
        self.without_effect = 0

    def take(self, record: Record[V], known: bool = False) -> list[Change[V]]:
        """The changes that one record makes; that it is ``known`` makes no difference here."""
        self.held.see(record)
        old = self.held.get(fact_of(record))
        if record.event.op == "retract":
            return self._retract(old, record)
        if old is not None and old.event.value == record.event.value:
            self.without_effect += 1
            return []
        self.held.put(record)
        ended: list[Change[V]] = [] if old is None else [withdrawn(old, record, "replaced")]
        return [*ended, asserted(record)]

    def _retract(self, old: Record[V] | None, record: Record[V]) -> list[Change[V]]:
        if old is None and not self.held.beyond(record):
            self.without_effect += 1
            return []
        self.held.pop(fact_of(record))
        return [withdrawn(record if old is None else old, record, "retracted")]

    def net(self) -> dict[str, Record[V]]:
        """What is live, by id."""
        return {record.id: record for record in self.held}

    def counts(self) -> dict[str, int]:
        """Records without effect, facts that are live, facts that the horizon let go."""
        return {
            "without_effect": self.without_effect,
            "live": len(self.held),
            "forgotten": self.held.forgotten,
        }

    def unresolved(self, topic: str, partition: int) -> int | None:
        """Nothing waits here."""
        return None

    def drop(self, topic: str, partition: int) -> None:
        """Forget a partition: another member of the group has it now."""
        self.held.drop(topic, partition)
