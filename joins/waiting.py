"""Joins in which what is said of an event of the first side is certain a constant time after it."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from functools import cached_property

from joins import passed
from joins.join import Join
from joins.outcome import Outcome
from joins.state import Store


@dataclass(frozen=True, kw_only=True)
class WaitingJoin(Join):
    """``final`` says of an event of the first side what is certain at its deadline, once.

    The deadline is a constant before the event is forgotten, so it needs no timer (``passed``).
    """

    @cached_property
    @abstractmethod
    def _waits(self) -> int:
        """How long after an event of the first side its deadline is (ms)."""

    @cached_property
    def _lead(self) -> int:
        """How long after its deadline an event of the first side is forgotten (ms)."""
        return self._expiry(self.sides[0], 0) - self._waits

    def _seen(self, ts: int, watermark: int) -> bool:
        """Whether something has been said of an event of the first side."""
        return self.emit == "eager" or watermark >= ts + self._waits

    def on_watermark(self, store: Store, watermark: int) -> list[Outcome]:
        """Every deadline up to ``watermark``, in order; then what is no longer needed goes."""
        said = super().on_watermark(store, watermark)
        if self.emit == "final":
            passed.tidy(store, self.sides[0])
        return said

    def _timer_dues(self, store: Store) -> list[int | None]:
        due = None if self.emit == "eager" else passed.next_due(store, self.sides[0], self._lead)
        return [None if due is None else due - self._lead]
