"""The catalogue: complete, uniform and deterministic."""

from __future__ import annotations

from dataclasses import replace
from importlib import import_module
from pkgutil import iter_modules

import msgspec
import pytest

import streams.patterns
from schemas.events import Transaction
from streams.patterns import TRANSACTION_PATTERNS, detect_all
from streams.patterns.large_transaction import LargeTransactionConfig
from streams.patterns.peel_chain import hop_of

from .build import p2wpkh, transaction
from .data import block, coinjoins

TX = transaction([(20_000, p2wpkh(1))], [(10_000, p2wpkh(2)), (0, b"\x6a\x04omni")])


def test_every_pattern_file_is_in_the_catalogue() -> None:
    """A file with a PATTERN_ID and a detect function is listed: none can be forgotten."""
    modules = [
        import_module(f"streams.patterns.{m.name}") for m in iter_modules(streams.patterns.__path__)
    ]
    declared = {m.PATTERN_ID for m in modules if hasattr(m, "detect") and hasattr(m, "PATTERN_ID")}
    assert declared == {pattern.id for pattern in TRANSACTION_PATTERNS}


def test_limits_can_be_set() -> None:
    """The same catalogue with another limit finds what the default does not."""
    low = tuple(
        replace(p, config=LargeTransactionConfig(limit_sat=9_999))
        if p.id == "large_transaction"
        else p
        for p in TRANSACTION_PATTERNS
    )
    assert [match.pattern for match in detect_all(TX)] == ["op_return.omni"]
    assert [m.pattern for m in detect_all(TX, low)] == ["large_transaction", "op_return.omni"]


def test_detection_is_a_pure_function() -> None:
    """The same transaction gives the same matches."""
    assert detect_all(TX) == detect_all(TX)


def test_severities_and_confidences_are_in_range() -> None:
    """Every match speaks the four severities and a confidence in [0, 1]."""
    for match in detect_all(TX):
        assert match.severity in ("info", "low", "medium", "high")
        assert 0.0 <= match.confidence <= 1.0


SHAPES = ("coinjoin", "consolidation", "batch_payout", "address_poisoning")
"""What a transaction is by its shape: it is one of them at most."""


def shapes(tx: Transaction) -> set[str]:
    """The shapes that a transaction has; a hop of a peel chain is one, too."""
    found = {match.pattern.split(".")[0] for match in detect_all(tx)} & set(SHAPES)
    confirmed = msgspec.structs.replace(tx, block_hash="bb" * 32)
    return found | ({"peel_hop"} if hop_of(confirmed) else set())


@pytest.mark.parametrize("height", [277647, 367891, 866342])
def test_no_transaction_of_a_real_block_has_two_shapes(height: int) -> None:
    """The patterns leave each other's shapes alone."""
    assert [] == [tx.txid for tx in block(height, with_prevouts=True) if len(shapes(tx)) > 1]


def test_no_transaction_around_coinjoins_has_two_shapes() -> None:
    """Nor does any of 3,641 labelled ones; a mix is a CoinJoin and nothing else."""
    assert [] == [tx.txid for _, tx in coinjoins() if len(shapes(tx)) > 1]


@pytest.mark.parametrize("height", [277647, 367891, 866342])
def test_no_consolidation_and_no_batch_has_a_strange_fee(height: int) -> None:
    """What many inputs or outputs cost is no anomaly."""
    found = [{m.pattern.split(".")[0] for m in detect_all(tx)} for tx in block(height, True)]
    assert [] == [p for p in found if "fee_anomaly" in p and p & {"consolidation", "batch_payout"}]
