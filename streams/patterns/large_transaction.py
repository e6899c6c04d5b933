"""Large transaction: one transaction moves more than a limit to scripts that are not its own.

What goes back to a script that the transaction also spends from is change, and is not counted. When
a prevout is unknown, change cannot be told from payment: all outputs are counted, the confidence is
lower, and a reason says so.
"""

from __future__ import annotations

import msgspec

from schemas.events import PatternMatch, Transaction, TxOutput
from streams.patterns.about import About
from streams.patterns.words import btc, count, input_addresses, output_addresses

PATTERN_ID = "large_transaction"

ABOUT = About(
    definition="One transaction moves more than `limit_sat` to scripts other than its own. What "
    "returns to a script spent from is change; where prevouts are unknown all is counted, and the "
    "confidence is lower. A coinbase moves nothing.",
    severity="`medium`; `high` above `high_sat`",
    source="common practice of monitoring; the limit is the operator's",
)

MAX_NAMED = 10
"""Receivers named, the largest first: enough to act on, and the row stays small."""


class LargeTransactionConfig(msgspec.Struct, frozen=True):
    """Limits in satoshi."""

    limit_sat: int = 10_000_000_000
    """In real blocks of 2013 to 2024 none to 17 in 1,000 transactions pay out more than 100 BTC; an
    exchange sets its own."""
    high_sat: int = 100_000_000_000
    """Above ten times that the severity is high."""
    confidence_without_prevouts: float = 0.5
    """An amount that may be half change is right about half of the time."""


DEFAULTS = LargeTransactionConfig()


def detect(tx: Transaction, config: LargeTransactionConfig = DEFAULTS) -> PatternMatch | None:
    """Match when the amount moved is above ``limit_sat``; a coinbase moves nothing."""
    total = 0
    for output in tx.outputs:
        total += output.value_sat
    if total <= config.limit_sat or tx.is_coinbase:
        return None
    paid = _paid(tx)
    moved = sum(output.value_sat for _, output in paid)
    if moved <= config.limit_sat:
        return None
    unknown = sum(1 for i in tx.inputs if i.prevout is None)
    largest = sorted(paid, key=lambda item: (-item[1].value_sat, item[0]))[:MAX_NAMED]
    addresses = [*input_addresses(tx), *output_addresses(output for _, output in largest)]
    return PatternMatch(
        network=tx.network,
        pattern=PATTERN_ID,
        subject=tx.txid,
        severity="high" if moved > config.high_sat else "medium",
        confidence=config.confidence_without_prevouts if unknown else 1.0,
        reasons=_reasons(tx, moved, unknown, config),
        evidence=[tx.txid],
        addresses=list(dict.fromkeys(addresses)),
    )


def _paid(tx: Transaction) -> list[tuple[int, TxOutput]]:
    own = {i.prevout.script for i in tx.inputs if i.prevout is not None}
    return [(n, o) for n, o in enumerate(tx.outputs) if o.value_sat and o.script not in own]


def _reasons(
    tx: Transaction, moved: int, unknown: int, config: LargeTransactionConfig
) -> list[str]:
    reasons = [
        f"moves {btc(moved)} ({moved} sat), above the limit of {btc(config.limit_sat)}",
    ]
    change = sum(output.value_sat for output in tx.outputs) - moved
    if change:
        reasons.append(f"{btc(change)} ({change} sat) returns to its own scripts, not counted")
    if unknown:
        of = count(len(tx.inputs), "input")
        reasons.append(f"the prevouts of {unknown:,} of {of} are unknown: change may be counted")
    return reasons
