"""Peel chain: what a hop is, how hops follow each other, and the chains of real blocks.

::

    1,000 --+-- 900 --+-- 800 --+-- ...   change, each spent by the next hop
            +-- 100   +-- 100             peels
"""

from __future__ import annotations

from collections import Counter

import msgspec
import pytest

from schemas.events import PeelHop, Transaction
from streams.patterns.peel_chain import (
    DAY_MS,
    DEFAULTS,
    Chain,
    chain_of,
    follows,
    hop_of,
    is_milestone,
    match,
)

from .build import PREVIOUS, TXID, Owned, p2wpkh, transaction
from .data import block, block_alone, coinjoins

FROM, PEEL, CHANGE = p2wpkh(1), p2wpkh(2), p2wpkh(3)
DATA = b"\x6a\x04omni"


def confirmed(spent: list[Owned | None], outputs: list[Owned]) -> Transaction:
    return msgspec.structs.replace(transaction(spent, outputs), block_hash="bb" * 32)


def hop(*outputs: Owned, spent: tuple[Owned | None, ...] = ((1_010, FROM),)) -> PeelHop | None:
    return hop_of(confirmed(list(spent), list(outputs)))


def test_a_hop_has_the_peel_and_the_change() -> None:
    """One coin, a small amount and the rest, in either order of outputs."""
    expected = PeelHop(
        "regtest", TXID, PREVIOUS, 0, 1, 1_010, 200, 800, "addr-000001", "addr-000002",
        "addr-000003",
    )  # fmt: skip
    assert expected == hop((200, PEEL), (800, CHANGE))
    turned = msgspec.structs.replace(expected, change_vout=0)
    assert turned == hop((800, CHANGE), (200, PEEL))


@pytest.mark.parametrize(("peel", "expected"), [(0, False), (1, True), (200, True), (201, False)])
def test_the_peel_is_at_most_a_fifth(peel: int, expected: bool) -> None:
    """A fifth of what is paid out is a hop, a satoshi more is not; nothing is no peel."""
    assert expected == (hop((peel, PEEL), (1_000 - peel, CHANGE)) is not None)


@pytest.mark.parametrize(
    ("outputs", "spent"),
    [
        ([(100, PEEL), (900, CHANGE)], [(500, FROM), (510, FROM)]),
        ([(100, PEEL), (900, CHANGE)], [None]),
        ([(100, PEEL)], [(1_010, FROM)]),
        ([(50, PEEL), (50, p2wpkh(9)), (900, CHANGE)], [(1_010, FROM)]),
        ([(100, PEEL), (900, FROM)], [(1_010, FROM)]),
        ([(100, FROM), (900, CHANGE)], [(1_010, FROM)]),
        ([(100, CHANGE), (900, CHANGE)], [(1_010, FROM)]),
        ([(100, DATA), (900, CHANGE)], [(1_010, FROM)]),
        ([(100, PEEL), (900, DATA)], [(1_010, FROM)]),
    ],
    ids=[
        "two inputs", "prevout unknown", "one output", "three outputs", "change to itself",
        "peel to itself", "one payee", "peel is data", "change is data",
    ],
)  # fmt: skip
def test_what_is_no_hop(outputs: list[Owned], spent: list[Owned | None]) -> None:
    """Merged coins, change to the same script, tokens: none of them is a hop."""
    assert hop_of(confirmed(spent, outputs)) is None


def test_only_confirmed_transactions_are_hops() -> None:
    """What is in the mempool has no time yet that rises along a chain."""
    assert hop_of(transaction([(1_010, FROM)], [(100, PEEL), (900, CHANGE)])) is None


def test_the_next_hop_spends_the_change_soon_enough() -> None:
    """The peel spent, a day and a millisecond of pause, or a time that falls, end a chain."""
    before = hop((100, PEEL), (900, CHANGE))
    assert before is not None
    after = msgspec.structs.replace(before, txid="ee" * 32, prev_txid=TXID, prev_vout=1)
    of_peel = msgspec.structs.replace(after, prev_vout=0)
    assert [True, True, False, False] == [
        follows(after, ts, before, 0, DEFAULTS) for ts in (0, DAY_MS, DAY_MS + 1, -1)
    ]
    assert follows(of_peel, 0, before, 0, DEFAULTS) is False


@pytest.mark.parametrize(
    ("hops", "peeled", "severity"),
    [
        (4, 0, None), (5, 0, "low"), (6, 0, None), (10, 999_999_999, "medium"),
        (10, 1_000_000_000, "high"), (5, 1_000_000_000, "low"), (20, 0, "medium"), (15, 0, None),
    ],
)  # fmt: skip
def test_lengths_that_are_said_and_their_severity(
    hops: int, peeled: int, severity: str | None
) -> None:
    """The fifth hop, then each doubling; from ten on medium, and high with 10 BTC peeled."""
    chain = Chain(hops, "aa" * 32, 0, 2_000_000_000, peeled, (TXID,))
    last = hop((100, PEEL), (900, CHANGE))
    assert last is not None
    found = match(last, 0, chain)
    assert severity == (None if found is None else found.severity)


def test_a_match_has_the_figures_in_words() -> None:
    """Hops, time, what was peeled and what is left are said; the first hop and the latest named."""
    last = hop((100, PEEL), (900, CHANGE))
    assert last is not None
    chain: Chain | None = None
    for number in range(40):
        one = msgspec.structs.replace(last, txid=f"{number:064x}", input_sat=50_000)
        chain = chain_of(one, 60_000 * number, chain)
    assert chain is not None
    found = match(last, 60_000 * 39, chain)
    assert found is not None
    assert found.reasons == [
        "40 hops in 39 minutes, each spends the change before it and peels off a small amount",
        "0.00004 BTC (4000 sat) peeled off 0.0005 BTC, 8.0 %",
        "0.000009 BTC (900 sat) left as change",
    ]
    assert [f"{0:064x}", *(f"{n:064x}" for n in range(20, 40))] == found.evidence
    assert ["addr-000001", "addr-000003", "addr-000002"] == found.addresses


def chains(transactions: list[Transaction]) -> dict[str, tuple[PeelHop, Chain]]:
    """By txid, the hops among transactions in the order of a block, with their chains."""
    found: dict[str, tuple[PeelHop, Chain]] = {}
    for tx in transactions:
        one = hop_of(tx)
        if one is not None:
            known = found.get(one.prev_txid)
            before = known[1] if known and follows(one, 0, known[0], 0, DEFAULTS) else None
            found[tx.txid] = (one, chain_of(one, 0, before))
    return found


def said(height: int) -> dict[int, int]:
    """How many chains of a block are said, by length."""
    found = chains(block_alone(height)).values()
    return dict(Counter(chain.hops for one, chain in found if match(one, 0, chain)))


@pytest.mark.parametrize(
    ("height", "expected"),
    [
        (227835, {}), (227836, {}), (277647, {}), (367891, {}), (413567, {5: 4, 10: 1}),
        (481815, {5: 2, 10: 2, 20: 1}), (481829, {5: 1}), (514485, {5: 1, 10: 1}), (540107, {}),
        (574200, {5: 7, 10: 6, 20: 6}), (866342, {}),
    ],
)  # fmt: skip
def test_real_blocks(height: int, expected: dict[int, int]) -> None:
    """Of 17,103 transactions 15 chains are said.

    A block knows the coins that it makes itself, so a chain is seen from its second hop on.
    """
    assert expected == said(height)


def test_a_real_chain_hop_by_hop() -> None:
    """Six wallets of block 574200 peel 0.001 BTC 25 times: here one, against the block's own coins.

    Each hop spends the change of the one before, and its fee is what the amounts leave over.
    """
    transactions = {tx.txid: tx for tx in block_alone(574200)}
    found = chains(list(transactions.values()))
    last = next(txid for txid in found if txid.startswith("496efae608db"))
    chain = found[last][1]
    assert (24, 2_400_000) == (chain.hops, chain.peeled_sat)
    for first, second in zip(chain.trail, chain.trail[1:], strict=False):
        spent = transactions[second].inputs[0]
        assert first == spent.prev_txid
        amounts = [output.value_sat for output in transactions[first].outputs]
        assert (max(amounts), 100_000) == (amounts[spent.prev_vout], min(amounts))


@pytest.mark.parametrize(("height", "expected"), [(277647, 29), (367891, 21), (866342, 55)])
def test_hops_in_real_blocks(height: int, expected: int) -> None:
    """How many transactions are hops where every prevout is known: 1 to 14 in a hundred."""
    found = [msgspec.structs.replace(tx, block_hash="aa") for tx in block(height, True)]
    assert expected == sum(1 for tx in found if hop_of(tx))


def test_a_mix_is_no_hop() -> None:
    """No CoinJoin and no Tx0 is taken for a hop, whatever is done with the coins afterwards."""
    confirmed_ones = [(k, msgspec.structs.replace(tx, block_hash="aa")) for k, tx in coinjoins()]
    kinds = {kind for kind, tx in confirmed_ones if hop_of(tx)}
    assert all(kind.endswith("postmix") for kind in kinds)


def test_milestones() -> None:
    """A chain of a thousand hops is said eight times."""
    assert 8 == sum(1 for hops in range(1_001) if is_milestone(hops, 5))
