"""Exact sums of ints and floats as plain data, so that adding and removing know no order.

A float is an int times a power of two, so a sum of floats is one as well: nothing is rounded until
the sum is asked for. So sums do not depend on the order of their terms, a removed term leaves no
trace, and equal sums have equal states.

A state is the sum itself where only ints were added and it has 64 bits, else
``[floats, mantissa, exponent]``: how many of the terms are floats, and ``mantissa * 2**exponent``,
with an odd mantissa where the exponent is negative. A mantissa beyond 64 bits is its little-endian
two's complement, since the changelog has no longer ints.

>>> state = put(put(put(0, 1e16), 1.0), -1e16)
>>> number(state), number(take(state, 1.0))
(1.0, 0.0)
"""

from __future__ import annotations

from typing import Any, TypeAlias

Exact: TypeAlias = Any
"""``int | [int, int | bytes, int]``"""

_LEAST, _END = -(1 << 63), 1 << 63


def put(state: Exact, value: int | float) -> Exact:
    """The sum with one more term."""
    if type(state) is int and type(value) is int and _LEAST <= (total := state + value) < _END:
        return total
    return _plus(state, *_parts(value), 1)


def take(state: Exact, value: int | float) -> Exact:
    """The sum without a term that it has."""
    if type(state) is int and type(value) is int and _LEAST <= (total := state - value) < _END:
        return total
    return _plus(state, *_parts(value), -1)


def put_square(state: Exact, value: int | float) -> Exact:
    """The sum with the square of ``value`` as one more term."""
    floats, mantissa, exponent = _parts(value)
    return _plus(state, floats, mantissa * mantissa, 2 * exponent, 1)


def take_square(state: Exact, value: int | float) -> Exact:
    """The sum without the square of ``value``."""
    floats, mantissa, exponent = _parts(value)
    return _plus(state, floats, mantissa * mantissa, 2 * exponent, -1)


def both(one: Exact, other: Exact) -> Exact:
    """The sum of two sums."""
    return _plus(one, *_opened(other), 1)


def number(state: Exact) -> int | float:
    """The sum: an int where every term is one, else the nearest float."""
    floats, mantissa, exponent = _opened(state)
    return quotient(mantissa, 1, exponent) if floats else mantissa


def ratio(state: Exact) -> tuple[int, int]:
    """Mantissa and exponent (0 or negative) of the sum."""
    return _opened(state)[1:]


def quotient(numerator: int, denominator: int, exponent: int = 0) -> float:
    """The float nearest to ``numerator / denominator * 2**exponent``; beyond floats an infinity."""
    try:
        return (numerator << max(exponent, 0)) / (denominator << max(-exponent, 0))
    except OverflowError:
        return float("inf") if (numerator < 0) == (denominator < 0) else float("-inf")


def _parts(value: int | float) -> tuple[int, int, int]:
    """Whether it is a float (1), and what ``Exact`` has of it."""
    if isinstance(value, int):
        return 0, value, 0
    numerator, denominator = value.as_integer_ratio()
    return 1, numerator, 1 - denominator.bit_length()


def _plus(state: Exact, floats: int, mantissa: int, exponent: int, sign: int) -> Exact:
    had, total, at = _opened(state)
    least = min(at, exponent)
    total = (total << at - least) + sign * (mantissa << exponent - least)
    return _closed(had + sign * floats, total, least)


def _opened(state: Exact) -> tuple[int, int, int]:
    if isinstance(state, int):
        return 0, state, 0
    floats, mantissa, exponent = state
    if isinstance(mantissa, bytes):
        mantissa = int.from_bytes(mantissa, "little", signed=True)
    return floats, mantissa, exponent


def _closed(floats: int, mantissa: int, exponent: int) -> Exact:
    if exponent < 0:
        zeros = (mantissa & -mantissa).bit_length() - 1 if mantissa else -exponent
        spare = min(zeros, -exponent)
        mantissa, exponent = mantissa >> spare, exponent + spare
    fits = _LEAST <= mantissa < _END
    if fits and not floats:
        return mantissa
    if fits:
        return [floats, mantissa, exponent]
    size = mantissa.bit_length() // 8 + 1
    return [floats, mantissa.to_bytes(size, "little", signed=True), exponent]
