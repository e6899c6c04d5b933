"""Consolidation: its shape, its limits, what it is not, and what real blocks hold."""

from __future__ import annotations

from collections import Counter

import pytest

from streams.patterns.consolidation import ConsolidationConfig, detect

from .build import TXID, Owned, p2wpkh, transaction
from .data import block, coinjoins

DATA = b"\x6a\x04omni"


def many(inputs: int, *outputs: Owned) -> list[Owned | None]:
    """Inputs of 1,000 sat and more, each on a script of its own."""
    return [(1_000 + n, p2wpkh(n)) for n in range(inputs)]


def test_ten_coins_become_one_with_the_figures_in_words() -> None:
    """Ten inputs and one output match, and the reasons have the counts and the amounts."""
    found = detect(transaction(many(10), [(9_000, p2wpkh(99))]))
    assert found is not None
    assert (
        found.pattern, found.subject, found.severity, found.confidence, found.evidence,
    ) == ("consolidation", TXID, "info", 0.9, [TXID])  # fmt: skip
    assert found.reasons == [
        "10 inputs become one output of 0.00009 BTC (9000 sat)",
        "the coins lie on 10 scripts, the least is 1000 sat",
    ]


@pytest.mark.parametrize(("inputs", "matches"), [(9, False), (10, True)])
def test_the_least_number_of_inputs(inputs: int, matches: bool) -> None:
    """Nine inputs are a near miss, ten a match."""
    assert matches == (detect(transaction(many(inputs), [(1, p2wpkh(99))])) is not None)


def test_limits_can_be_set() -> None:
    """An operator who wants five inputs gets them."""
    tx = transaction(many(5), [(1, p2wpkh(99))])
    assert detect(tx, ConsolidationConfig(min_inputs=5)) is not None


@pytest.mark.parametrize(
    "outputs",
    [
        [(5_000, p2wpkh(98)), (4_000, p2wpkh(99))],
        [(5_000, p2wpkh(98)), (0, DATA)],
        [(0, DATA)],
        [],
    ],
    ids=["payment with change", "message", "burnt", "nothing"],
)
def test_other_outputs_are_no_consolidation(outputs: list[Owned]) -> None:
    """A payment with change, a protocol's message and coins that are burnt do not match."""
    assert detect(transaction(many(20), outputs)) is None


def test_an_output_to_an_own_script_is_certain() -> None:
    """Where the coin returns to a script that is spent from, nobody else can be the owner."""
    found = detect(transaction(many(10), [(9_000, p2wpkh(3))]))
    assert found is not None
    assert found.confidence == 1.0
    assert found.reasons[1] == "the output returns to a script that is spent from"


def test_unknown_prevouts_are_said() -> None:
    """The shape is known without them, the owner is less sure."""
    found = detect(transaction([None, *many(9)], [(9_000, p2wpkh(99))]))
    assert found is not None
    assert found.confidence == 0.7
    assert found.reasons[-1] == "the prevouts of 1 of 10 inputs are unknown"


@pytest.mark.parametrize(("height", "expected"), [(277647, 3), (367891, 0), (866342, 24)])
def test_real_blocks(height: int, expected: int) -> None:
    """Counts of three real blocks.

    Each was listed with its inputs and outputs and read: 866342 holds among them six of one service
    with 100 inputs each, and one with 1,009. Block 367891 has a sweep of 20,000 inputs: they are
    worth 0 sat, and its only output is data.
    """
    found = [tx for tx in block(height, with_prevouts=True) if detect(tx)]
    assert expected == len(found)
    assert all(len(tx.outputs) == 1 and len(tx.inputs) >= 10 for tx in found)


def test_no_coinjoin_is_a_consolidation() -> None:
    """Of 3,641 labelled transactions no mix matches; what is spent after mixes may be merged."""
    found = Counter(kind for kind, tx in coinjoins() if detect(tx))
    assert {
        "whirlpool_postmix": 80, "equal_output_postmix": 21, "wasabi1_postmix": 8,
        "wasabi2_postmix": 4,
    } == dict(found)  # fmt: skip
