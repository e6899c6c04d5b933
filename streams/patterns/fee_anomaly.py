"""Fee anomaly: a fee that nobody pays on purpose, by rules that one transaction decides.

*high_rate*: the fee rate is more than a thousand times what nodes ask to relay. *high_share*: a
tenth of the money or more goes to the miner, at a high rate, and the fee is worth having.

Both are absolute, so that a replay says the same: what other transactions of the block paid is in
other partitions. A share says nothing where the size is the reason: a consolidation sweeps many
small coins, and an inscription or a data output pays for its bytes from a coin made for that; they
are left out of *high_share*. A fee below what is relayed is no anomaly: old nodes relayed without
fee by age, and new ones take a child's fee for its parent's.

Source: Bitcoin Core's minimum relay fee (1 sat/vB until 2025); the fee filters that wallets refuse
to exceed (Core's -maxtxfee, 0.1 BTC, and -maxfeerate, 0.1 BTC/kvB = 10,000 sat/vB).
"""

from __future__ import annotations

import msgspec

from schemas.events import PatternMatch, Transaction
from streams.patterns import consolidation
from streams.patterns.about import About
from streams.patterns.words import all_addresses, btc, percent

PATTERN_ID = "fee_anomaly"

MIN_RELAY_MSAT_PER_VB = 1_000
"""What Bitcoin Core asked for most of its time to relay a transaction: 1 sat/vB."""

ENVELOPE = b"\x00\x63\x03ord"
"""OP_FALSE OP_IF "ord": the envelope of an inscription in a tapscript."""

ABOUT = About(
    definition="`high_rate`: the fee rate is more than a thousand times the minimum relay rate. "
    "`high_share`: a tenth of the money spent or more is fee, at a high rate and from a least fee "
    "on; left out are consolidations, inscriptions and data outputs, whose size is the reason. "
    "Both rules are absolute: what others in the block paid plays no part.",
    severity="`medium`; `high` from `high_fee_sat` on",
    source="Bitcoin Core: minrelaytxfee, maxtxfee and maxfeerate",
)


class FeeAnomalyConfig(msgspec.Struct, frozen=True):
    """Limits of a fee anomaly."""

    rate_multiple: int = 1_000
    """Times the minimum relay rate (1 sat/vB), above which a rate alone is an anomaly: one of 5,494
    transactions in three real blocks of 2013 to 2024."""
    share_percent: int = 10
    """Part of the money spent that is fee."""
    share_rate_multiple: int = 100
    """Times the minimum relay rate, from which on a share counts: a payment of pennies costs a
    large share in any block, at a rate like all others."""
    share_fee_sat: int = 100_000
    """A share counts from this fee on: 0.001 BTC. Core's own wallet warns from 0.1 BTC."""
    severity: str = "medium"
    """Severity of a match."""
    high_fee_sat: int = 10_000_000
    """Fee from which on the severity is high: 0.1 BTC, which Core's wallet refuses to pay."""
    confidence: float = 0.9
    """A miner may pay itself, and an accelerator be paid by fee."""


DEFAULTS = FeeAnomalyConfig()


def detect(tx: Transaction, config: FeeAnomalyConfig = DEFAULTS) -> PatternMatch | None:
    """Match a fee that is out of all proportion; None where the fee is unknown."""
    fee = tx.fee_sat
    bound = MIN_RELAY_MSAT_PER_VB * tx.vsize_vb
    if not fee or fee * 1000 < config.share_rate_multiple * bound or tx.is_coinbase:
        return None
    if fee * 1000 > config.rate_multiple * bound:
        return _match(tx, fee, "high_rate", config)
    if fee < config.share_fee_sat:
        return None
    spent = fee + sum(output.value_sat for output in tx.outputs)
    if fee * 100 < config.share_percent * spent or _size_is_the_reason(tx):
        return None
    return _match(tx, fee, "high_share", config)


def _size_is_the_reason(tx: Transaction) -> bool:
    if consolidation.detect(tx) is not None:
        return True
    if any(output.script[:1] == b"\x6a" for output in tx.outputs):
        return True
    return any(ENVELOPE in item for i in tx.inputs for item in i.witness)


def _match(tx: Transaction, fee: int, rule: str, config: FeeAnomalyConfig) -> PatternMatch:
    spent = fee + sum(output.value_sat for output in tx.outputs)
    rate = fee * 1000 // tx.vsize_vb
    return PatternMatch(
        network=tx.network,
        pattern=f"{PATTERN_ID}.{rule}",
        subject=tx.txid,
        severity="high" if fee >= config.high_fee_sat else config.severity,
        confidence=config.confidence,
        reasons=[
            f"the fee is {btc(fee)} ({fee} sat), {percent(fee, spent)} of what is spent",
            f"{rate // 1000:,}.{rate % 1000:03d} sat/vB, "
            f"{rate // MIN_RELAY_MSAT_PER_VB:,} times the minimum relay rate",
        ],
        evidence=[tx.txid],
        addresses=all_addresses(tx),
    )
