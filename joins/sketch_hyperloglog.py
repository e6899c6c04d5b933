"""Distinct: how many different values, exactly while they are few, then by HyperLogLog.

P. Flajolet, E. Fusy, O. Gandouet, F. Meunier: HyperLogLog, AofA 2007; the estimate is the improved
raw estimator of O. Ertl: New cardinality estimation algorithms for HyperLogLog sketches,
arXiv:1702.01284 (algorithm 6), which needs no tables of corrections. Values are hashed with
BLAKE2b to 64 bits, so the same values give the same estimate everywhere.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from hashlib import blake2b
from math import sqrt

from joins.errors import JoinError
from joins.items import text_of
from joins.mergeable import OfField, State, field_of
from joins.top_k import merged_counts
from schemas.envelope import Event

_BITS = 64
_ALPHA = 0.7213475204444817
"""1 / (2 ln 2)."""


@dataclass(frozen=True)
class Distinct(OfField):
    """How many different values a field has.

    Up to ``exact`` values the number is exact; above it is an estimate of ``2 ** precision``
    registers, whose standard error is ``1.04 / sqrt(2 ** precision)``: 1.6 % by default. State:
    ``{hash: how many}``, which retracts exactly, or the registers (a byte each), which cannot: on a
    retract the window's live events are read. The state follows from the live values alone.

    >>> from joins import Event
    >>> Distinct("to").of(Event(id=i, key="k", ts=1, op="assert", value={"to": i[0]})
    ...                   for i in ("a1", "b1", "a2"))
    2
    """

    precision: int = 12
    exact: int = 256

    def __post_init__(self) -> None:
        if not 4 <= self.precision <= 16:
            raise JoinError(f"precision is a number of bits from 4 to 16, not {self.precision}")
        if self.exact < 0:
            raise JoinError(f"exact is a number of values from 0, not {self.exact}")

    def zero(self) -> State:
        """None yet."""
        return {}

    def add(self, state: State, event: Event) -> State:
        """One more value."""
        hash = self._hash(event)
        if hash is None:
            return state
        if isinstance(state, bytes):
            return self._raised(state, hash)
        state[hash] = state.get(hash, 0) + 1
        return state if len(state) <= self.exact else self._registers(state)

    def remove(self, state: State, event: Event) -> State | None:
        """Without a value; lost where there are only registers."""
        hash = self._hash(event)
        if hash is None:
            return state
        if isinstance(state, bytes):
            return None
        state[hash] -= 1
        if not state[hash]:
            del state[hash]
        return state

    def merge(self, one: State, other: State) -> State:
        """The values of both."""
        if isinstance(one, dict) and isinstance(other, dict):
            both = merged_counts(one, other)
            return both if len(both) <= self.exact else self._registers(both)
        return bytes(map(max, self._dense(one), self._dense(other)))

    def result(self, state: State) -> int:
        """The number of values."""
        return len(state) if isinstance(state, dict) else round(estimate(state))

    def _hash(self, event: Event) -> int | None:
        text = text_of(field_of(event.value, self.field))
        if text is None:
            return None
        return int.from_bytes(blake2b(text.encode(), digest_size=8).digest(), "big")

    def _place(self, hash: int) -> tuple[int, int]:
        """The register, and the place of the first 1 among the bits that do not choose it."""
        rest = _BITS - self.precision
        return hash >> rest, rest - (hash & ((1 << rest) - 1)).bit_length() + 1

    def _raised(self, registers: bytes, hash: int) -> bytes:
        at, rank = self._place(hash)
        if registers[at] >= rank:
            return registers
        return registers[:at] + bytes((rank,)) + registers[at + 1 :]

    def _dense(self, state: State) -> bytes:
        return state if isinstance(state, bytes) else self._registers(state)

    def _registers(self, hashes: Iterable[int]) -> bytes:
        registers = bytearray(1 << self.precision)
        for at, rank in map(self._place, hashes):
            registers[at] = max(registers[at], rank)
        return bytes(registers)


def estimate(registers: bytes) -> float:
    """How many values these registers have seen."""
    size = len(registers)
    last = _BITS - (size.bit_length() - 1) + 1
    counts = [registers.count(rank) for rank in range(last + 1)]
    z = size * _tau(1 - counts[last] / size)
    for count in reversed(counts[1:last]):
        z = 0.5 * (z + count)
    z += size * _sigma(counts[0] / size)
    return _ALPHA * size * size / z


def _sigma(x: float) -> float:
    """x + the sum of x^(2^k) * 2^(k-1): what empty registers stand for."""
    if x == 1:
        return float("inf")
    y, z, before = 1.0, x, -1.0
    while z != before:
        x, before = x * x, z
        z, y = z + x * y, y + y
    return z


def _tau(x: float) -> float:
    """A third of (1 - x - the sum of (1 - x^(2^-k))^2 * 2^-k): what full registers stand for."""
    if x in (0, 1):
        return 0.0
    y, z, before = 1.0, 1 - x, -1.0
    while z != before:
        x, before, y = sqrt(x), z, 0.5 * y
        z -= (1 - x) ** 2 * y
    return z / 3
