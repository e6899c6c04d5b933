"""TopK: the values that most events of a window have."""

from __future__ import annotations

from dataclasses import dataclass
from heapq import nsmallest
from typing import Any

from joins.errors import JoinError
from joins.items import order_of, text_of, value_of
from joins.mergeable import OfField, State, field_of
from schemas.envelope import Event

MOST = 1000
"""Values that a state beside the events may have: it is written whole."""


@dataclass(frozen=True)
class TopK(OfField):
    """The ``k`` most frequent values of a field as ``[value, how many events]``, exactly.

    The most frequent first, equally frequent ones by value. State: ``{value: how many}`` up to
    ``MOST`` values; it retracts exactly. Where a window has more, there is no state and its live
    events are read for each result. (Sketches with less memory, as Space-Saving, depend on the
    order of arrival.)

    >>> from joins import Event
    >>> TopK("to", 1).of(Event(id=i, key="k", ts=1, op="assert", value={"to": i[0]})
    ...                  for i in ("a1", "b1", "a2"))
    [['a', 2]]
    """

    k: int

    def __post_init__(self) -> None:
        if self.k < 1:
            raise JoinError(f"k is a number of values from 1, not {self.k}")

    def zero(self) -> State:
        """None yet."""
        return {}

    def add(self, state: State, event: Event) -> State:
        """One more event."""
        text = text_of(field_of(event.value, self.field))
        if text is not None:
            state[text] = state.get(text, 0) + 1
        return state

    def remove(self, state: State, event: Event) -> State:
        """One event less."""
        text = text_of(field_of(event.value, self.field))
        if text is not None:
            state[text] -= 1
            if not state[text]:
                del state[text]
        return state

    def merge(self, one: State, other: State) -> State:
        """The events of both."""
        return merged_counts(one, other)

    def result(self, state: State) -> list[list[Any]]:
        """The most frequent values."""
        first = nsmallest(self.k, state.items(), key=lambda item: (-item[1], order_of(item[0])))
        return [[value_of(text), count] for text, count in first]

    def keeps(self, state: State) -> bool:
        """Up to ``MOST`` values."""
        return len(state) <= MOST


def merged_counts(one: dict[Any, int], other: dict[Any, int]) -> dict[Any, int]:
    """``one``, with what ``other`` counted."""
    for item, count in other.items():
        one[item] = one.get(item, 0) + count
    return one
