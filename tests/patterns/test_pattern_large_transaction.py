"""Large transaction: what counts as moved, and what is said about it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.patterns.large_transaction import LargeTransactionConfig, detect
from streams.patterns.words import btc

from .build import TXID, p2wpkh, transaction
from .data import block

LIMIT = 10_000_000_000
OWN, PAYEE, OTHER = p2wpkh(1), p2wpkh(2), p2wpkh(3)


def test_above_the_limit_matches_with_the_figures_in_words() -> None:
    """One satoshi and more above the limit is a match whose reason has both figures."""
    tx = transaction([(200_000_000_000, OWN)], [(123_450_000_000, PAYEE)])
    found = detect(tx)
    assert found is not None
    assert (
        found.subject, found.pattern, found.severity, found.confidence,
    ) == (TXID, "large_transaction", "high", 1.0)  # fmt: skip
    assert found.reasons == ["moves 1,234.5 BTC (123450000000 sat), above the limit of 100 BTC"]
    assert found.addresses == ["addr-000001", "addr-000002"]


@pytest.mark.parametrize(("paid", "matches"), [(LIMIT, False), (LIMIT + 1, True)])
def test_the_limit_itself_is_not_above_it(paid: int, matches: bool) -> None:
    """Exactly the limit is a near miss, one satoshi more is a match of medium severity."""
    found = detect(transaction([(2 * LIMIT, OWN)], [(paid, PAYEE)]))
    assert matches == (found is not None)
    assert found is None or found.severity == "medium"


def test_change_to_an_own_script_is_not_moved() -> None:
    """A small payment from a large wallet is no large transaction."""
    tx = transaction([(50 * LIMIT, OWN)], [(1_000, PAYEE), (49 * LIMIT, OWN)])
    assert detect(tx) is None


def test_change_is_said_when_the_rest_is_still_large() -> None:
    """What returns is named, so that the sum can be followed."""
    found = detect(transaction([(5 * LIMIT, OWN)], [(2 * LIMIT, PAYEE), (LIMIT, OWN)]))
    assert found is not None
    assert found.reasons[1] == "100 BTC (10000000000 sat) returns to its own scripts, not counted"


def test_unknown_prevouts_lower_the_confidence_and_are_said() -> None:
    """Without a prevout change cannot be told, so the match is half as sure."""
    found = detect(transaction([None, (LIMIT, OWN)], [(LIMIT + 1, PAYEE)]))
    assert found is not None
    assert found.confidence == 0.5
    assert found.reasons[1] == "the prevouts of 1 of 2 inputs are unknown: change may be counted"


def test_a_coinbase_moves_nothing() -> None:
    """New coin is created, not moved, whatever the limit."""
    tx = transaction([None], [(5_000_000_000, PAYEE)], coinbase=True)
    assert detect(tx, LargeTransactionConfig(limit_sat=0)) is None


@pytest.mark.parametrize(("height", "expected"), [(277647, 3), (367891, 2), (866342, 0)])
def test_real_blocks(height: int, expected: int) -> None:
    """Counts of real blocks with every prevout known."""
    assert expected == sum(1 for tx in block(height, with_prevouts=True) if detect(tx))


@given(st.integers(0, 2_100_000_000_000_000))
def test_an_amount_in_words_can_be_read_back_exactly(amount: int) -> None:
    """No satoshi is lost in writing an amount."""
    whole, _, fraction = btc(amount).removesuffix(" BTC").replace(",", "").partition(".")
    assert amount == int(whole) * 100_000_000 + int(fraction.ljust(8, "0"))
