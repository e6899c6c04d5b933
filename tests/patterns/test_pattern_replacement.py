"""Replacement: bump or redirect, and what is said when a body is unknown."""

from __future__ import annotations

import pytest

from schemas.events import PatternMatch, Transaction
from streams.patterns import detect_replacement

from .build import OTHER_TXID, TXID, Owned, address, p2wpkh, transaction
from .data import api_transactions

OWN, PAYEE, FRESH, THIEF = (p2wpkh(n) for n in range(4))
SPENT: list[Owned | None] = [(200_000, OWN)]


def old(*outputs: Owned) -> Transaction:
    return transaction(SPENT, outputs, TXID)


def new(*outputs: Owned) -> Transaction:
    return transaction(SPENT, outputs, OTHER_TXID)


def classify(
    before: Transaction | None, after: Transaction | None, watched: tuple[str, ...] = ()
) -> PatternMatch:
    return detect_replacement("regtest", TXID, before, OTHER_TXID, after, watched)


def test_more_fee_from_known_change_is_a_bump() -> None:
    """The payee keeps its amount, the own script pays the fee."""
    found = classify(
        old((100_000, PAYEE), (99_000, OWN)),
        new((100_000, PAYEE), (95_000, OWN)),
    )
    assert (found.pattern, found.severity, found.confidence) == ("replacement.bump", "info", 1.0)
    assert [
        f"replaced by {OTHER_TXID}",
        "every payee keeps its amount",
        "the fee goes from 1,000 to 5,000 sat",
    ] == found.reasons
    assert found.evidence == [TXID, OTHER_TXID]


def test_a_fresh_script_that_shrinks_by_the_fee_is_read_as_change() -> None:
    """Change on a fresh script looks like a payee: still a bump, but less sure."""
    found = classify(
        old((100_000, PAYEE), (99_000, FRESH)),
        new((100_000, PAYEE), (95_000, FRESH)),
    )
    assert (found.pattern, found.confidence) == ("replacement.bump", 0.7)


def test_one_satoshi_more_than_the_fee_is_a_redirect() -> None:
    """What an output loses beyond the fee went to somebody."""
    found = classify(
        old((100_000, PAYEE), (99_000, FRESH)),
        new((100_000, PAYEE), (94_999, FRESH), (1, THIEF)),
    )
    assert (found.pattern, found.severity) == ("replacement.redirect", "high")


def test_a_payee_that_vanishes_is_a_redirect() -> None:
    """The only payment goes elsewhere: certain, with both amounts in words."""
    found = classify(old((150_000, PAYEE)), new((140_000, THIEF)))
    assert (
        found.pattern, found.severity, found.confidence,
    ) == ("replacement.redirect", "high", 1.0)  # fmt: skip
    assert f"{address(PAYEE)} was to get 0.0015 BTC (150000 sat) and gets nothing" in found.reasons


def test_a_watched_payee_settles_the_matter() -> None:
    """A watched address that is paid a satoshi less is redirected, even by no more than the fee."""
    before, after = old((100_000, PAYEE), (99_000, OWN)), new((99_999, PAYEE), (98_000, OWN))
    assert classify(before, after).pattern == "replacement.bump"
    found = classify(before, after, watched=(str(address(PAYEE)),))
    assert (found.pattern, found.confidence) == ("replacement.redirect", 1.0)
    assert found.reasons[1] == "a watched payee loses"


def test_unknown_prevouts_are_said() -> None:
    """Without prevouts an own script cannot be told from a payee's."""
    unknown = transaction([None], [(150_000, PAYEE)], TXID)
    found = classify(unknown, new((140_000, THIEF)))
    assert (found.pattern, found.confidence) == ("replacement.redirect", 0.6)
    assert found.reasons[-1] == "some prevouts are unknown: what looks like a payee may be change"


@pytest.mark.parametrize(
    ("before", "after", "who"),
    [
        (None, new((1, PAYEE)), "the replaced transaction is"),
        (old((1, PAYEE)), None, "the replacing transaction is"),
        (None, None, "the replaced transaction and the replacing transaction are"),
    ],
)
def test_an_unknown_body_is_said(
    before: Transaction | None, after: Transaction | None, who: str
) -> None:
    """Nothing is claimed about payees when a body is not known."""
    found = classify(before, after)
    assert (found.pattern, found.severity) == ("replacement.unknown", "low")
    assert f"{who} not known here: payees may keep their amounts or not" == found.reasons[1]


def test_real_replacements() -> None:
    """Of two real pairs one pays more fee, the other takes two payees' outputs away."""
    before = {tx.txid[:8]: tx for tx in api_transactions("transactions-replaced.json")}
    after = {tx.txid[:8]: tx for tx in api_transactions("transactions-rbfs.json")}
    assert {"replacement.bump", "replacement.redirect"} == {
        detect_replacement("main", a.txid, a, b.txid, b).pattern
        for a in before.values()
        for b in after.values()
        if a.inputs[0].prev_txid == b.inputs[0].prev_txid
    }
