"""The catalogue: complete, uniform and deterministic."""

from __future__ import annotations

from dataclasses import replace
from importlib import import_module
from pkgutil import iter_modules

import streams.patterns
from streams.patterns import TRANSACTION_PATTERNS, detect_all
from streams.patterns.large_transaction import LargeTransactionConfig

from .build import p2wpkh, transaction

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
