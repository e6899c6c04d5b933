"""Every pattern that a single transaction shows: one file each, and one line here."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from schemas.events import PatternMatch, Transaction
from streams.patterns import coinjoin, large_transaction, op_return

ConfigT = TypeVar("ConfigT")
Found = PatternMatch | list[PatternMatch] | None


@dataclass(frozen=True)
class TransactionPattern(Generic[ConfigT]):
    """A pattern with its limits: ``detect(tx, config)`` is pure."""

    id: str
    detect: Callable[[Transaction, ConfigT], Found]
    config: ConfigT

    def matches(self, tx: Transaction) -> list[PatternMatch]:
        """Every match in one transaction; empty if there is none."""
        found = self.detect(tx, self.config)
        if found is None:
            return []
        return found if isinstance(found, list) else [found]


TRANSACTION_PATTERNS: tuple[TransactionPattern[Any], ...] = (
    TransactionPattern(
        large_transaction.PATTERN_ID,
        large_transaction.detect,
        large_transaction.LargeTransactionConfig(),
    ),
    TransactionPattern(coinjoin.PATTERN_ID, coinjoin.detect, coinjoin.CoinjoinConfig()),
    TransactionPattern(op_return.PATTERN_ID, op_return.detect, op_return.OpReturnConfig()),
)
"""With default limits; ``dataclasses.replace(pattern, config=...)`` sets others."""


def detect_all(
    tx: Transaction, patterns: tuple[TransactionPattern[Any], ...] = TRANSACTION_PATTERNS
) -> list[PatternMatch]:
    """Every match of every pattern in one transaction, in the order of the catalogue."""
    return [match for pattern in patterns for match in pattern.matches(tx)]
