"""Quantiles: DDSketch, a histogram whose buckets grow with the values.

Charles Masson, Jee E. Rim, Homin K. Lee: DDSketch: A Fast and Fully-Mergeable Quantile Sketch with
Relative-Error Guarantees, PVLDB 12 (2019). The bucket of a value depends on nothing but the value,
so buckets are counts that go up and down: what is removed leaves no trace. Buckets are never
collapsed; ``1 / (2 * error)`` of them cover a factor of two, so amounts from 1 to 10^15 have at
most 2,500 at an error of 0.01, and only those that are in use are kept.

For bounds that are the same on every machine no logarithm is taken: between powers of two the
bucket grows linearly (section 2.2 of the paper leaves the mapping open; this one costs 44 % more
buckets at most).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import accumulate
from math import ceil, floor, frexp, ldexp
from sys import float_info
from typing import Any

from joins.errors import JoinError
from joins.items import text_of, value_of
from joins.mergeable import OfField, State
from joins.top_k import merged_counts
from schemas.envelope import Event

MOST = 5000
"""Buckets that a state beside the events may have: it is written whole."""
_LOWEST = 1075
"""No float has an exponent below ``-_LOWEST``: buckets of positive values are positive."""


@dataclass(frozen=True)
class Quantiles(OfField):
    """Quantiles of a field, one for each of ``at``; None each where no event has it.

    The quantile at q of n values is the one with ``floor(q * (n - 1))`` values before it. Each is
    told as a float within ``error`` of it, relatively; ``error=0`` tells the value itself. State:
    ``{bucket: how many}`` (with ``error=0``: ``{value: how many}``) up to ``MOST``; it retracts
    exactly. Where a window has more, there is no state and its live events are read for each
    result.

    >>> from joins import Event
    >>> events = [Event(id=f"{n}", key="k", ts=n, op="assert", value={"sat": n})
    ...           for n in range(1, 102)]
    >>> Quantiles("sat", (0.5, 0.99), error=0).of(events)
    [51, 100]
    >>> [round(found, 1) for found in Quantiles("sat", (0.5, 0.99)).of(events)]
    [50.9, 100.5]
    """

    at: tuple[float, ...] = (0.5,)
    error: float = 0.01

    def __post_init__(self) -> None:
        object.__setattr__(self, "at", tuple(self.at))
        if not self.at or not all(0 <= q <= 1 for q in self.at):
            raise JoinError(f"quantiles are numbers from 0 to 1, for example (0.5,), not {self.at}")
        if self.error != 0 and not 1e-4 <= self.error < 1:
            raise JoinError(
                f"error is 0 for exact quantiles, or from 0.0001 to below 1, not {self.error}"
            )

    def zero(self) -> State:
        """None yet."""
        return {}

    def add(self, state: State, event: Event) -> State:
        """One more value."""
        value = self.number(event)
        if value is not None:
            bucket = self.bucket(value)
            state[bucket] = state.get(bucket, 0) + 1
        return state

    def remove(self, state: State, event: Event) -> State:
        """One value less."""
        value = self.number(event)
        if value is not None:
            bucket = self.bucket(value)
            state[bucket] -= 1
            if not state[bucket]:
                del state[bucket]
        return state

    def merge(self, one: State, other: State) -> State:
        """The values of both."""
        return merged_counts(one, other)

    def result(self, state: State) -> list[Any]:
        """The quantiles, in the order of ``at``."""
        total = sum(state.values())
        if not total:
            return [None] * len(self.at)
        buckets = sorted(state, key=_order_of_text) if self.error == 0 else sorted(state)
        until = list(accumulate(state[bucket] for bucket in buckets))
        return [self.middle(_reaching(buckets, until, floor(q * (total - 1)))) for q in self.at]

    def keeps(self, state: State) -> bool:
        """Up to ``MOST`` buckets."""
        return len(state) <= MOST

    def bucket(self, value: int | float) -> int | str | None:
        """Where a value is counted: its text, or a number that grows with the value."""
        if self.error == 0:
            return text_of(value)
        if value == 0:
            return 0
        size = self._place(abs(value))
        return size if value > 0 else -size

    def _place(self, value: int | float) -> int:
        try:
            part, exponent = frexp(value)
        except OverflowError:
            raise JoinError(
                f"Quantiles({self.field!r}) takes numbers up to 1e308; error=0 takes greater ones"
            ) from None
        # part is in [0.5, 1), so the left side grows without a jump, at least as ln(value) does
        # and at most twice as fast; ln((1 + error) / (1 - error)) is a bit more than 2 * error.
        return ceil((2 * part - 1 + exponent + _LOWEST) / (2 * self.error))

    def middle(self, bucket: Any) -> Any:
        """The value that is nowhere farther than ``error`` from those of its bucket."""
        if self.error == 0:
            return value_of(bucket)
        if bucket == 0:
            return 0.0
        low, high = self._bound(abs(bucket) - 1), self._bound(abs(bucket))
        middle = low * (2 / (1 + low / high)) if low else high
        return middle if bucket > 0 else -middle

    def _bound(self, place: int) -> float:
        """The greatest value with this place."""
        at = place * (2 * self.error) - _LOWEST
        exponent = floor(at)
        part = (at - exponent + 1) / 2
        return ldexp(part, exponent) if exponent <= float_info.max_exp else float_info.max


def _order_of_text(text: str) -> tuple[Any, str]:
    return value_of(text), text


def _reaching(buckets: list[Any], until: Iterable[int], rank: int) -> Any:
    """The bucket of the value with ``rank`` values before it."""
    return next(bucket for bucket, count in zip(buckets, until, strict=True) if count > rank)
