"""Consolidation: many coins of one owner become one.

A transaction with many inputs and exactly one output, which can be spent. A second output would be
a payment with its change, and a data output belongs to a protocol: both are left out, and so is
every CoinJoin, which has many outputs. Sweeping a wallet to somebody else has the same shape; where
the output returns to a script that is spent from, the owner is certain.

Source: mempool.space flags five inputs an output and more; Meiklejohn et al., "A Fistful of
Bitcoins", 2013 (inputs of one transaction have one owner).
"""

from __future__ import annotations

import msgspec

from schemas.events import PatternMatch, Transaction
from streams.patterns.about import About
from streams.patterns.words import all_addresses, btc, count

PATTERN_ID = "consolidation"

ABOUT = About(
    definition="Many inputs and exactly one output, which can be spent: many coins of one owner "
    "become one. A payment with change has two outputs, a CoinJoin has many, a protocol's message "
    "is an output of its own: none of them matches.",
    severity="`info`: it is good housekeeping, and tells that the inputs have one owner",
    source="mempool.space (five inputs an output); Meiklejohn et al., A Fistful of Bitcoins, 2013",
)


class ConsolidationConfig(msgspec.Struct, frozen=True):
    """Limits of a consolidation."""

    min_inputs: int = 10
    """Inputs from which on it matches. With five, as explorers have it, a quarter more match, and
    those are small wallets that pay with all they have."""
    severity: str = "info"
    """Severity of a match."""
    confidence: float = 0.9
    """A wallet swept to somebody else looks the same."""
    confidence_without_prevouts: float = 0.7
    """Neither the amounts nor the scripts of the inputs are known."""


DEFAULTS = ConsolidationConfig()


def detect(tx: Transaction, config: ConsolidationConfig = DEFAULTS) -> PatternMatch | None:
    """Match many inputs to one spendable output."""
    if len(tx.outputs) != 1 or len(tx.inputs) < config.min_inputs:
        return None
    if tx.outputs[0].script[:1] == b"\x6a":
        return None
    return PatternMatch(
        network=tx.network,
        pattern=PATTERN_ID,
        subject=tx.txid,
        severity=config.severity,
        confidence=_confidence(tx, config),
        reasons=_reasons(tx),
        evidence=[tx.txid],
        addresses=all_addresses(tx),
    )


def _own(tx: Transaction) -> set[bytes]:
    return {i.prevout.script for i in tx.inputs if i.prevout is not None}


def _unknown(tx: Transaction) -> int:
    return sum(1 for i in tx.inputs if i.prevout is None)


def _confidence(tx: Transaction, config: ConsolidationConfig) -> float:
    if tx.outputs[0].script in _own(tx):
        return 1.0
    return config.confidence_without_prevouts if _unknown(tx) else config.confidence


def _reasons(tx: Transaction) -> list[str]:
    output, unknown, own = tx.outputs[0], _unknown(tx), _own(tx)
    of = count(len(tx.inputs), "input")
    reasons = [f"{of} become one output of {btc(output.value_sat)} ({output.value_sat} sat)"]
    if output.script in own:
        reasons.append("the output returns to a script that is spent from")
    if unknown:
        reasons.append(f"the prevouts of {unknown:,} of {of} are unknown")
    else:
        smallest = min(i.prevout.value_sat for i in tx.inputs if i.prevout is not None)
        reasons.append(f"the coins lie on {count(len(own), 'script')}, the least is {smallest} sat")
    return reasons
