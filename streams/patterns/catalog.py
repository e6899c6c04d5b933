"""Every pattern, with its words and limits: one file each, and one line here."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Generic, NamedTuple, TypeVar

import msgspec

from schemas.events import PatternMatch, Transaction
from streams.patterns import (
    address_poisoning,
    batch_payout,
    coinjoin,
    consolidation,
    fee_anomaly,
    large_transaction,
    op_return,
    peel_chain,
    replacement,
)
from streams.patterns.about import About

ConfigT = TypeVar("ConfigT")
Found = PatternMatch | list[PatternMatch] | None


@dataclass(frozen=True)
class TransactionPattern(Generic[ConfigT]):
    """A pattern with its limits: ``detect(tx, config)`` is pure."""

    id: str
    detect: Callable[[Transaction, ConfigT], Found]
    config: ConfigT


TRANSACTION_PATTERNS: tuple[TransactionPattern[Any], ...] = (
    TransactionPattern(
        large_transaction.PATTERN_ID, large_transaction.detect, large_transaction.DEFAULTS
    ),
    TransactionPattern(coinjoin.PATTERN_ID, coinjoin.detect, coinjoin.DEFAULTS),
    TransactionPattern(op_return.PATTERN_ID, op_return.detect, op_return.DEFAULTS),
    TransactionPattern(consolidation.PATTERN_ID, consolidation.detect, consolidation.DEFAULTS),
    TransactionPattern(batch_payout.PATTERN_ID, batch_payout.detect, batch_payout.DEFAULTS),
    TransactionPattern(fee_anomaly.PATTERN_ID, fee_anomaly.detect, fee_anomaly.DEFAULTS),
    TransactionPattern(
        address_poisoning.PATTERN_ID, address_poisoning.detect, address_poisoning.DEFAULTS
    ),
)
"""With default limits; ``dataclasses.replace(pattern, config=...)`` sets others."""


class Entry(NamedTuple):
    """A pattern as the documentation shows it."""

    id: str
    about: About
    config: msgspec.Struct
    """Its limits, with their defaults."""


def _entry(module: Any) -> Entry:
    return Entry(module.PATTERN_ID, module.ABOUT, module.DEFAULTS)


PATTERNS: tuple[Entry, ...] = (
    _entry(large_transaction),
    _entry(coinjoin),
    _entry(op_return),
    _entry(replacement),
    _entry(consolidation),
    _entry(batch_payout),
    _entry(fee_anomaly),
    _entry(peel_chain),
    _entry(address_poisoning),
)
"""Every pattern, those that take more than one transaction too."""


def detect_all(
    tx: Transaction, patterns: tuple[TransactionPattern[Any], ...] = TRANSACTION_PATTERNS
) -> list[PatternMatch]:
    """Every match of every pattern in one transaction, in the order of the catalogue."""
    matches: list[PatternMatch] = []
    for pattern in patterns:
        found = pattern.detect(tx, pattern.config)
        if found:
            matches.extend(found if isinstance(found, list) else (found,))
    return matches
