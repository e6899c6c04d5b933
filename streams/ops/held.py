"""Inputs whose readers wait for a transaction that is not over, and for how long they have."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any

from streams.engine.mover import Place
from streams.engine.runner import Report
from streams.ops.transactions import Holder, remedy


class Held:
    """Remembers since when each partition stands, says when it is too long, and by whom.

    For one thread.
    """

    def __init__(
        self,
        report: Report,
        limit: float,
        bootstrap: str = "",
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._report, self._clock, self._bootstrap = report, clock, bootstrap
        self.limit = limit
        """Seconds after which a partition that stands is worth a word."""
        self.unstable: dict[Place, int] = {}
        """Offsets of each partition that readers of committed data cannot have yet."""
        self._stands: dict[Place, tuple[int, float]] = {}
        self._told: dict[Place, Holder | None] = {}

    def look(self, ends: Mapping[Place, int], stable: Mapping[Place, int]) -> None:
        """Note where the partitions end, and where they end for readers of committed data."""
        now, before = self._clock(), self._stands
        self.unstable = {p: max(0, ends.get(p, at) - at) for p, at in stable.items()}
        self._stands = {
            place: before[place] if before.get(place, (-1, 0))[0] == at else (at, now)
            for place, at in stable.items()
            if self.unstable[place]
        }
        for place in [p for p in self._told if self._stands.get(p) != before.get(p)]:
            holder, since = self._told.pop(place), before[place][1]
            if place not in stable:  # it is another worker's now
                continue
            facts = {"seconds": round(now - since, 1), "transactional_id": _name(holder)}
            self._report("transaction_over", {**_where(place), **facts})

    def long(self) -> dict[Place, float]:
        """The partitions that have stood for too long, and for how many seconds."""
        now = self._clock()
        waits = {place: now - since for place, (_, since) in self._stands.items()}
        return {place: seconds for place, seconds in waits.items() if seconds > self.limit}

    def unnamed(self) -> list[Place]:
        """Those of them of which it is not known who holds them."""
        return [place for place in self.long() if self._told.get(place) is None]

    def tell(self, found: Mapping[Place, Holder], why: str = "") -> None:
        """Say who holds those that have no name yet; where nobody knows, say that, once."""
        seconds = self.long()
        for place in self.unnamed():
            holder = found.get(place)
            if holder is None and place in self._told:
                continue
            self._told[place] = holder
            offset = self._stands[place][0]
            facts: dict[str, Any] = {"offset": offset, "seconds": round(seconds[place], 1)}
            facts |= {"waiting": self.unstable[place], **_facts(holder)}
            if why:
                facts["why"] = why
            facts["remedy"] = remedy(self._bootstrap, place, offset, holder)
            self._report("held_by_transaction", {**_where(place), **facts})

    def by(self, place: Place) -> str:
        """Who holds a partition, as far as is known."""
        return _name(self._told.get(place))

    def words(self) -> str:
        """All that stand for too long, for people."""
        return "; ".join(
            f"{place.topic}/{place.partition} waits for a transaction of {self.by(place)}, "
            f"for {seconds:.0f} s"
            for place, seconds in sorted(self.long().items())
        )


def _name(holder: Holder | None) -> str:
    return "somebody" if holder is None else holder.name


def _where(place: Place) -> dict[str, Any]:
    return {"topic": place.topic, "partition": place.partition}


def _facts(holder: Holder | None) -> dict[str, Any]:
    if holder is None:
        return {"transactional_id": None}
    facts: dict[str, Any] = {"producer_id": holder.producer_id, "epoch": holder.epoch}
    known = holder.transaction
    if known is None:
        return {
            "transactional_id": None,
            **facts,
            "state": "hidden from us, or known to no coordinator",
        }
    return {
        "transactional_id": known.transactional_id,
        **facts,
        "state": known.state,
        "open_s": known.age_s,
        "timeout_s": known.timeout_s,
        "coordinator": known.coordinator,
    }
