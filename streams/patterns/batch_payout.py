"""Batch payout: one owner pays many others at once, as exchanges, pools and payroll do.

Few inputs, many outputs to distinct scripts that are not spent from, in differing amounts. Left
out: a coinbase (new coin is shared out, not paid), a transaction with a data output (Whirlpool's
Tx0, a mint of tokens), outputs that are nearly all equal (a wallet splits its coins, or somebody
advertises by dust), and a CoinJoin, which has as many inputs as there are parts in it.

Source: mempool.space flags five outputs an input and more; bitcoinops.org, "Payment batching".
"""

from __future__ import annotations

from collections import Counter

import msgspec

from schemas.events import PatternMatch, Transaction, TxOutput
from streams.patterns.about import About
from streams.patterns.words import btc, count, input_addresses, output_addresses, percent

PATTERN_ID = "batch_payout"

MAX_NAMED = 10
"""Payees named, the largest first."""

ABOUT = About(
    definition="Few inputs, many outputs to distinct scripts that are not spent from, in differing "
    "amounts: an exchange, a pool or an employer pays many at once. Left out: a coinbase, a "
    "transaction with a data output (Tx0 of Whirlpool, a mint of tokens), outputs that are nearly "
    "all equal (coins that are split, dust advertising), and every CoinJoin.",
    severity="`info`: it tells that the payer is a service, and that the outputs have many owners",
    source="mempool.space (five outputs an input); bitcoinops.org, Payment batching",
)


class BatchPayoutConfig(msgspec.Struct, frozen=True):
    """Limits of a batch payout."""

    min_payees: int = 10
    """Distinct scripts paid from which on it matches; below are payments to a few by hand."""
    min_payees_per_input: int = 5
    """A CoinJoin has an input for each of its few outputs; explorers draw the line here, too."""
    max_equal_percent: int = 90
    """Of the payees, how many may get one and the same amount. A pool that pays at a threshold had
    83 %; coins that are split, and dust advertising, have 95 and more."""
    severity: str = "info"
    """Severity of a match."""
    confidence: float = 0.9
    """A wallet may pay many scripts of its own."""
    confidence_without_prevouts: float = 0.7
    """What returns to the payer cannot be told."""


DEFAULTS = BatchPayoutConfig()


def detect(tx: Transaction, config: BatchPayoutConfig = DEFAULTS) -> PatternMatch | None:
    """Match few inputs that pay many scripts in differing amounts."""
    if len(tx.outputs) < config.min_payees or tx.is_coinbase:
        return None
    if len(tx.outputs) < config.min_payees_per_input * len(tx.inputs):
        return None
    paid = _paid(tx)
    payees = len({output.script for output in paid})
    if payees < max(config.min_payees, config.min_payees_per_input * len(tx.inputs)):
        return None
    if any(output.script[:1] == b"\x6a" for output in tx.outputs):
        return None
    _, equal = Counter(output.value_sat for output in paid).most_common(1)[0]
    if equal * 100 > config.max_equal_percent * len(paid):
        return None
    unknown = any(i.prevout is None for i in tx.inputs)
    largest = sorted(paid, key=lambda output: -output.value_sat)[:MAX_NAMED]
    return PatternMatch(
        network=tx.network,
        pattern=PATTERN_ID,
        subject=tx.txid,
        severity=config.severity,
        confidence=config.confidence_without_prevouts if unknown else config.confidence,
        reasons=_reasons(tx, paid, payees, unknown),
        evidence=[tx.txid],
        addresses=list(dict.fromkeys([*input_addresses(tx), *output_addresses(largest)])),
    )


def _paid(tx: Transaction) -> list[TxOutput]:
    own = {i.prevout.script for i in tx.inputs if i.prevout is not None}
    return [output for output in tx.outputs if output.script not in own]


def _reasons(tx: Transaction, paid: list[TxOutput], payees: int, unknown: bool) -> list[str]:
    amounts = Counter(output.value_sat for output in paid)
    total, (amount, equal) = sum(output.value_sat for output in paid), amounts.most_common(1)[0]
    reasons = [
        f"{count(payees, 'script')} get {btc(total)} ({total} sat) in all "
        f"from {count(len(tx.inputs), 'input')}",
        f"{count(len(amounts), 'amount')}, the most frequent for {percent(equal, len(paid))} "
        f"of the outputs ({amount} sat)",
    ]
    if unknown:
        reasons.append("some prevouts are unknown: what returns to the payer is counted as paid")
    return reasons
