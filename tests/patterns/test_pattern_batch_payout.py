"""Batch payout: its shape, its limits, what it is not, and what real blocks hold."""

from __future__ import annotations

from collections import Counter

import pytest

from streams.patterns.batch_payout import BatchPayoutConfig, detect

from .build import TXID, Owned, p2wpkh, transaction
from .data import block, coinjoins

DATA = b"\x6a\x04omni"
OWN = p2wpkh(0)


def payees(number: int, amount: int = 0) -> list[Owned]:
    """Outputs to distinct scripts, of one amount or of rising ones."""
    return [(amount or 10_000 + n, p2wpkh(100 + n)) for n in range(number)]


def spent(inputs: int = 1) -> list[Owned | None]:
    return [(100_000_000, OWN)] * inputs


def matches(inputs: int, outputs: list[Owned]) -> bool:
    return detect(transaction(spent(inputs), outputs)) is not None


def test_one_input_pays_ten_with_the_figures_in_words() -> None:
    """Ten payees of one input match; change to the own script is not counted."""
    found = detect(transaction(spent(), [*payees(10), (1_000_000, OWN)]))
    assert found is not None
    assert (
        found.pattern, found.subject, found.severity, found.confidence, found.evidence,
    ) == ("batch_payout", TXID, "info", 0.9, [TXID])  # fmt: skip
    assert found.reasons == [
        "10 scripts get 0.00100045 BTC (100045 sat) in all from 1 input",
        "10 amounts, the most frequent for 10.0 % of the outputs (10000 sat)",
    ]
    assert found.addresses[:2] == ["addr-000000", "addr-00006d"]


@pytest.mark.parametrize(("number", "expected"), [(9, False), (10, True)])
def test_the_least_number_of_payees(number: int, expected: bool) -> None:
    """Nine payees are a near miss; a script that is paid twice counts once."""
    assert expected == matches(1, payees(number))
    assert matches(1, [*payees(9), (77, p2wpkh(100))]) is False


@pytest.mark.parametrize(("inputs", "expected"), [(2, True), (3, False)])
def test_the_least_number_of_payees_for_an_input(inputs: int, expected: bool) -> None:
    """Ten payees are enough for two inputs, and not for three."""
    assert expected == matches(inputs, payees(10))


@pytest.mark.parametrize(("equal", "expected"), [(18, True), (19, False)])
def test_amounts_that_are_nearly_all_equal(equal: int, expected: bool) -> None:
    """Nine tenths may get the same: one more, and it is coins split, or advertising."""
    same = [(5_000, p2wpkh(300 + n)) for n in range(equal)]
    assert expected == matches(1, [*same, *payees(20 - equal)])


def test_what_is_left_out() -> None:
    """A coinbase, data outputs, and outputs that return to the payer do not match."""
    assert detect(transaction([None], payees(20), coinbase=True)) is None
    assert matches(1, [*payees(20), (0, DATA)]) is False
    assert matches(1, [(n, OWN) for n in range(1, 30)]) is False


def test_unknown_prevouts_are_said() -> None:
    """What returns to the payer cannot be told then: less sure, with the reason."""
    found = detect(transaction([None], payees(10)))
    assert found is not None
    assert found.confidence == 0.7
    assert found.reasons[-1].startswith("some prevouts are unknown")


def test_limits_can_be_set() -> None:
    """An operator who wants five payees gets them."""
    tx = transaction(spent(), payees(5))
    assert detect(tx, BatchPayoutConfig(min_payees=5)) is not None


@pytest.mark.parametrize(("height", "expected"), [(277647, 5), (367891, 0), (866342, 8)])
def test_real_blocks(height: int, expected: int) -> None:
    """Counts of three real blocks, each match listed and read.

    All but one have one input, and pay 10 to 153 scripts. Left out in 277647 is one that pays 48
    scripts 9,000 sat each; in 866342 a mint of tokens to 21 scripts.
    """
    assert expected == sum(1 for tx in block(height, with_prevouts=True) if detect(tx))


def test_no_coinjoin_and_no_tx0_is_a_batch_payout() -> None:
    """Of 3,641 labelled transactions none matches, though 86 of Tx0 have the shape of one."""
    assert Counter() == Counter(kind for kind, tx in coinjoins() if detect(tx))
