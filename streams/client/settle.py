"""Facts whose block lies deep enough: a pure fold of a topic's records and of ``bitcoin.tip``."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Generic, TypeVar

from sortedcontainers import SortedDict

from schemas.envelope import Anchor, Event
from streams.client.burial import UNDO_BLOCKS, Burial
from streams.client.errors import BadOption
from streams.client.held import Held
from streams.client.records import Change, Fact, Record, asserted, fact_of, withdrawn

V = TypeVar("V")


class Settler(Generic[V]):
    """Yields a fact when its block is buried by ``confirmations`` blocks, itself included.

    At every moment the facts that are out are those that are live, and whose block is on the chain
    and deep enough: so any interleaving of the same records and tips ends with the same set. A fact
    that is retracted before it is deep enough is never seen. One that is retracted, replaced or
    disconnected afterwards comes as Withdrawn. A fact without a block (of the mempool) is never
    yielded, or at once with ``unanchored``.

    Facts that wait are all kept. Facts that are out are kept too, or those of ``horizon_ms``; of
    what is older a retract passes through. What one tip makes certain comes by (ts, id).
    """

    def __init__(
        self,
        confirmations: int,
        unanchored: bool = False,
        horizon_ms: int | None = None,
        undo_blocks: int = UNDO_BLOCKS,
    ) -> None:
        if confirmations < 1:
            raise BadOption(
                f"confirmations={confirmations} is not possible",
                "1 means: in a block; leave the option out for every fact at once",
            )
        self.confirmations, self.unanchored = confirmations, unanchored
        self.undo_blocks = undo_blocks
        self.out: Held[V] = Held(horizon_ms)
        self.waiting: dict[Fact, Record[V]] = {}
        self.without_effect = self.cancelled = self.without_block = 0
        self._fallen: set[Fact] = set()
        """Those that wait and were out before their block was disconnected."""
        self._at: dict[str, SortedDict] = {}
        """Network -> (height, block hash) -> what waits for that block."""
        self._chains: dict[str, Burial] = {}

    # Records --------------------------------------------------------------------------------------

    def take(self, record: Record[V], known: bool = False) -> list[Change[V]]:
        """The changes that one record makes; ``known`` facts are out without waiting (resume)."""
        self.out.see(record)
        fact = fact_of(record)
        old, waits = self.out.get(fact), self.waiting.get(fact)
        if record.event.op == "retract":
            return self._retract(old, waits, record)
        before = old or waits
        if before is not None and _same(before.event, record.event):
            self.without_effect += 1
            return []
        ended = self._end(old, waits, record)
        anchor = record.event.anchor
        if self._settled(anchor) or (known and anchor is not None):
            self.out.put(record)
            return [*ended, asserted(record)]
        if anchor is None:
            self.without_block += 1
        else:
            self._wait(record, anchor)
        return ended

    def _end(
        self, old: Record[V] | None, waits: Record[V] | None, record: Record[V]
    ) -> list[Change[V]]:
        if waits is not None:
            self._cancel(waits)
        if old is None:
            return []
        self.out.pop(fact_of(old))
        return [withdrawn(old, record, "replaced")]

    def _retract(
        self, old: Record[V] | None, waits: Record[V] | None, record: Record[V]
    ) -> list[Change[V]]:
        if waits is not None:
            self._cancel(waits)
            self.cancelled += 1
            return []
        if old is None and not self.out.beyond(record):
            self.without_effect += 1
            return []
        self.out.pop(fact_of(record))
        return [withdrawn(record if old is None else old, record, "retracted")]

    def _settled(self, anchor: Anchor | None) -> bool:
        if anchor is None:
            return self.unanchored
        chain = self._chains.get(anchor.network)
        return chain is not None and chain.buried(anchor.height, anchor.block_hash)

    def _wait(self, record: Record[V], anchor: Anchor) -> None:
        self.waiting[fact_of(record)] = record
        places = self._at.setdefault(anchor.network, SortedDict())
        places.setdefault((anchor.height, anchor.block_hash), {})[fact_of(record)] = record

    def _cancel(self, record: Record[V]) -> None:
        anchor = record.event.anchor
        self._leave(record)
        if anchor is not None:
            place = (anchor.height, anchor.block_hash)
            facts = self._at[anchor.network][place]
            del facts[fact_of(record)]
            if not facts:
                del self._at[anchor.network][place]

    def _leave(self, record: Record[V]) -> None:
        del self.waiting[fact_of(record)]
        self._fallen.discard(fact_of(record))

    # Tips -----------------------------------------------------------------------------------------

    def tip(self, event: Event) -> list[Change[V]]:
        """The changes that one event of ``bitcoin.tip`` makes."""
        value = event.value
        chain = self._chains.get(value.network)
        if chain is None:
            chain = self._chains[value.network] = Burial(self.confirmations, self.undo_blocks)
        if event.op == "retract":
            was = chain.disconnect(value.height, value.hash)
            return list(self._disconnected(value.network, value.hash)) if was else []
        places = chain.connect(value.height, value.hash)
        return list(self._buried(value.network, chain, places))

    def _buried(
        self, network: str, chain: Burial, places: list[tuple[int, str]]
    ) -> Iterator[Change[V]]:
        waits = self._at.get(network, SortedDict())
        assumed = [p for p in waits.irange(maximum=(chain.assumed,)) if chain.buried(*p)]
        facts = [r for place in {*places, *assumed} for r in waits.pop(place, {}).values()]
        for record in sorted(facts, key=_by_time):
            self._leave(record)
            self.out.put(record)
            yield asserted(record)

    def _disconnected(self, network: str, block_hash: str) -> Iterator[Change[V]]:
        found = [r for r in self.out if _is_in(r.event.anchor, network, block_hash)]
        for record in sorted(found, key=_by_time):
            self.out.pop(fact_of(record))
            if record.event.anchor is not None:
                self._wait(record, record.event.anchor)
                self._fallen.add(fact_of(record))
            yield withdrawn(record, record, "disconnected")

    # What is known --------------------------------------------------------------------------------

    def net(self) -> dict[str, Record[V]]:
        """What is out, by id."""
        return {record.id: record for record in self.out}

    def counts(self) -> dict[str, int]:
        """Facts that are out, wait, were cancelled while they waited, or have no block."""
        return {
            "without_effect": self.without_effect,
            "live": len(self.out),
            "forgotten": self.out.forgotten,
            "waiting": len(self.waiting),
            "cancelled": self.cancelled,
            "without_block": self.without_block,
        }

    def unresolved(self, topic: str, partition: int) -> int | None:
        """The offset of the first fact of a partition that waits and was never out."""
        offsets = (
            record.offset
            for fact, record in self.waiting.items()
            if _is_at(record, topic, partition) and fact not in self._fallen
        )
        return min(offsets, default=None)

    def drop(self, topic: str, partition: int) -> None:
        """Forget a partition: another member of the group has it now."""
        self.out.drop(topic, partition)
        for record in [r for r in self.waiting.values() if _is_at(r, topic, partition)]:
            self._cancel(record)


def _same(old: Event, new: Event) -> bool:
    return bool(old.value == new.value and old.anchor == new.anchor)


def _by_time(record: Record[Any]) -> tuple[int, str]:
    return record.event.ts, record.event.id


def _is_in(anchor: Anchor | None, network: str, block_hash: str) -> bool:
    return anchor is not None and (anchor.network, anchor.block_hash) == (network, block_hash)


def _is_at(record: Record[Any], topic: str, partition: int) -> bool:
    return (record.topic, record.partition) == (topic, partition)
