"""Aggregates without error: Count, Sum, Mean, Variance, Min, Max."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from typing import Any

from joins import exact
from joins.errors import JoinError
from joins.mergeable import OfField, State, Stateful, field_of
from schemas.envelope import Event


@dataclass(frozen=True)
class Count(Stateful):
    """How many events. State: that number; it retracts exactly."""

    def zero(self) -> State:
        """None yet."""
        return 0

    def add(self, state: State, event: Event) -> State:
        """One more."""
        return state + 1

    def remove(self, state: State, event: Event) -> State:
        """One less."""
        return state - 1

    def merge(self, one: State, other: State) -> State:
        """Both."""
        return one + other

    def result(self, state: State) -> int:
        """The number of events."""
        return int(state)


class Sum(OfField):
    """The sum of a field; 0 where no event has it.

    An int where every value is one, else the float nearest to the exact sum, whatever the order.
    State: the exact sum (``joins.exact``); it retracts exactly.
    """

    def zero(self) -> State:
        """Nothing yet."""
        return 0

    def add(self, state: State, event: Event) -> State:
        """One more term."""
        value = self.number(event)
        return state if value is None else exact.put(state, value)

    def remove(self, state: State, event: Event) -> State:
        """Without a term."""
        value = self.number(event)
        return state if value is None else exact.take(state, value)

    def merge(self, one: State, other: State) -> State:
        """The sum of both."""
        return exact.both(one, other)

    def result(self, state: State) -> int | float:
        """The sum."""
        return exact.number(state)


class Mean(OfField):
    """The mean of a field: the float nearest to it; None where no event has it.

    State: ``[how many, exact sum]``; it retracts exactly.
    """

    def zero(self) -> State:
        """Nothing yet."""
        return [0, 0]

    def add(self, state: State, event: Event) -> State:
        """One more term."""
        value = self.number(event)
        return state if value is None else [state[0] + 1, exact.put(state[1], value)]

    def remove(self, state: State, event: Event) -> State:
        """Without a term."""
        value = self.number(event)
        return state if value is None else [state[0] - 1, exact.take(state[1], value)]

    def merge(self, one: State, other: State) -> State:
        """The terms of both."""
        return [one[0] + other[0], exact.both(one[1], other[1])]

    def result(self, state: State) -> float | None:
        """The mean."""
        count, total = state
        mantissa, exponent = exact.ratio(total)
        return exact.quotient(mantissa, count, exponent) if count else None


@dataclass(frozen=True)
class Variance(OfField):
    """The variance of a field: the float nearest to it; ``sample``: by n - 1 instead of n.

    None where it has no value: of no events, or as a sample's of one. State: ``[how many, exact
    sum, exact sum of squares]``; it retracts exactly. The difference ``n * squares - sum ** 2`` is
    taken of exact numbers, so nothing cancels and no running mean (Welford, Chan) is needed, which
    would depend on the order.
    """

    sample: bool = False

    def zero(self) -> State:
        """Nothing yet."""
        return [0, 0, 0]

    def add(self, state: State, event: Event) -> State:
        """One more term."""
        value = self.number(event)
        if value is None:
            return state
        count, total, squares = state
        return [count + 1, exact.put(total, value), exact.put_square(squares, value)]

    def remove(self, state: State, event: Event) -> State:
        """Without a term."""
        value = self.number(event)
        if value is None:
            return state
        count, total, squares = state
        return [count - 1, exact.take(total, value), exact.take_square(squares, value)]

    def merge(self, one: State, other: State) -> State:
        """The terms of both."""
        totals = [exact.both(a, b) for a, b in zip(one[1:], other[1:], strict=True)]
        return [one[0] + other[0], *totals]

    def result(self, state: State) -> float | None:
        """The variance."""
        count, total, squares = state
        divisor = count * (count - 1 if self.sample else count)
        if divisor == 0:
            return None
        (mantissa, exponent), (square, at) = exact.ratio(total), exact.ratio(squares)
        least = min(2 * exponent, at)
        spread = (count * square << at - least) - (mantissa * mantissa << 2 * exponent - least)
        return exact.quotient(spread, divisor, least)


class _Extreme(OfField):
    """The value that is before all others.

    State: ``[value, how many have it]``, empty where no event has the field. Without the last
    event that had the value the state is lost: only the events know which is next.
    """

    @abstractmethod
    def before(self, one: Any, other: Any) -> bool:
        """Whether ``one`` is asked for rather than ``other``, which differs."""

    def zero(self) -> State:
        """Nothing yet."""
        return []

    def add(self, state: State, event: Event) -> State:
        """One more value."""
        value = _comparable(field_of(event.value, self.field))
        return state if value is None else self._with(state, [value, 1])

    def remove(self, state: State, event: Event) -> State | None:
        """Without a value; lost where it is the only one of the extreme."""
        value = _comparable(field_of(event.value, self.field))
        if value is None or value != state[0] or type(value) is not type(state[0]):
            return state
        return [value, state[1] - 1] if state[1] > 1 else None

    def merge(self, one: State, other: State) -> State:
        """The values of both."""
        return self._with(one, other) if other else one

    def result(self, state: State) -> Any:
        """The extreme."""
        return state[0] if state else None

    def _with(self, state: State, more: State) -> State:
        if not state:
            return more
        value, new = state[0], more[0]
        if value == new:
            if type(value) is type(new):
                return [value, state[1] + more[1]]
            # 1, 1.0 and True are equal: which one is said must not hang on who came first.
            return max(state, more, key=lambda found: type(found[0]).__name__)
        try:
            return more if self.before(new, value) else state
        except TypeError:
            raise JoinError(
                f"{type(self).__name__}({self.field!r}) cannot order {value!r} and {new!r}: "
                "let the field have one type"
            ) from None


class Min(_Extreme):
    """The least value of a field; None where no event has it.

    NaN does not count. State: ``[least, how many have it]``; when the last of these is removed, the
    window's live events are read.
    """

    def before(self, one: Any, other: Any) -> bool:
        """The lesser one."""
        return bool(one < other)


class Max(_Extreme):
    """The greatest value of a field; None where no event has it.

    NaN does not count. State: ``[greatest, how many have it]``; when the last of these is removed,
    the window's live events are read.
    """

    def before(self, one: Any, other: Any) -> bool:
        """The greater one."""
        return bool(one > other)


def _comparable(value: Any) -> Any:
    """The value, or None for NaN; a zero has no sign."""
    if isinstance(value, float):
        return None if value != value else value or 0.0
    return value
