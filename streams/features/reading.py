"""What the feature groups share: the shape of a group and reading prevouts without guessing."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from math import log10
from typing import NamedTuple

from schemas.events import Prevout, Transaction

Extracted = tuple[dict[str, float], dict[str, str]]
"""Values by feature name, and for each feature without a value the reason."""


class FeatureGroup(NamedTuple):
    """One group: its extraction, and for each feature how its value is said in words."""

    extract: Callable[[Transaction], Extracted]
    words: Mapping[str, str]
    """Feature name to a phrase with ``{}`` for the value."""


def prevouts(tx: Transaction) -> list[Prevout] | str:
    """Every spent output in order of input, or the reason why not all are known."""
    if tx.is_coinbase:
        return "a coinbase spends no output"
    known = [i.prevout for i in tx.inputs if i.prevout is not None]
    if len(known) == len(tx.inputs):
        return known
    index, first = next((n, i) for n, i in enumerate(tx.inputs) if i.prevout is None)
    return f"input {index} has no prevout: {first.prevout_missing or 'no reason given'}"


def absent(names: Iterable[str], reason: str) -> dict[str, str]:
    """The same reason for several features.

    >>> absent(["a", "b"], "unknown")
    {'a': 'unknown', 'b': 'unknown'}
    """
    return dict.fromkeys(names, reason)


def magnitude(amount: int) -> float:
    """``log10(1 + amount)``: amounts span fifteen decades, and 0 stays 0.

    >>> magnitude(0), magnitude(99), magnitude(2_100_000_000_000_000) < 15.33
    (0.0, 2.0, True)
    """
    return log10(1 + amount)


def flag(condition: bool) -> float:
    """1.0 or 0.0.

    >>> flag(True), flag(False)
    (1.0, 0.0)
    """
    return 1.0 if condition else 0.0
