"""CoinJoin: several owners in one transaction, by the protocols that leave a clear mark.

Whirlpool (Samourai, Sparrow): as many inputs as outputs, 5 to 10; every output is one of four pool
amounts; an input is the same amount, or a little above it where it comes from outside and pays the
miner. The kind of output script is not asked for: one mix in five has an output that is not P2WPKH.

Wasabi 2 (WabiSabi): many inputs, native segwit only, amounts decomposed into fixed denominations
(powers of two and three, 1-2-5 steps of powers of ten), several of them often repeated, and both
sides sorted by falling amount.

Wasabi 1: many inputs of distinct scripts, native segwit only, one output amount near 0.1 BTC for
about half of the outputs, output scripts all distinct.

All three read the spent amounts and scripts: with a prevout unknown nothing is claimed. A CoinJoin
is no crime: it says that inputs must not be taken for one owner's. The rules are what published
detectors agree on (Ficsor's Dumplings; Stütz et al., "Adoption and Actual Privacy of Decentralized
CoinJoin Implementations in Bitcoin", 2022; GraphSense).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from itertools import pairwise

import msgspec

from schemas.events import PatternMatch, Prevout, Transaction, TxOutput
from streams.chain.script import script_type
from streams.patterns.about import About
from streams.patterns.words import all_addresses, btc, count, percent

PATTERN_ID = "coinjoin"

ABOUT = About(
    definition="Several owners in one transaction, by the protocols that leave a clear mark: "
    "`whirlpool` (5 to 10 equal outputs of a pool's amount), `wasabi2` (many inputs, amounts in "
    "fixed denominations, both sides sorted), `wasabi1` (many inputs, about half of the outputs "
    "equal, near 0.1 BTC). Every prevout must be known.",
    severity="`medium`: no crime, but what comes out has no known origin",
    source="Ficsor's Dumplings; Stütz et al., Adoption and Actual Privacy of Decentralized "
    "CoinJoin Implementations in Bitcoin, 2022; GraphSense",
)

WHIRLPOOL_POOLS_SAT = (100_000, 1_000_000, 5_000_000, 50_000_000)
"""The four pools: 0.001, 0.01, 0.05 and 0.5 BTC."""

WASABI1_BASES_SAT = (10_000_000, 5_000_000)
"""Wasabi 1 mixed about 0.1 BTC, in its first weeks 0.05; doublings came beside, never instead."""


class WhirlpoolConfig(msgspec.Struct, frozen=True):
    """Limits of a Whirlpool mix."""

    min_size: int = 5
    """Inputs, and outputs, at least."""
    max_size: int = 10
    """Pools mixed 5; surge cycles 6 to 8, seldom up to 10."""
    max_entry_excess_sat: int = 110_000
    """What an entering input holds above the pool's amount, for the miner: never more was seen."""
    min_entry_excess_sat: int = 100
    """The least that was seen."""
    max_entries: int = 4
    """Inputs from outside: the others have been mixed before."""
    confidence: float = 0.99
    """None of 5,494 ordinary transactions has the shape."""


class Wasabi2Config(msgspec.Struct, frozen=True):
    """Limits of a Wasabi 2 round."""

    min_inputs: int = 20
    """Its own coordinator asked for 50 until June 2024, those after it for 20 or so."""
    min_output_sat: int = 5_000
    """No coordinator registers less."""
    min_repeated_denominations: int = 3
    """Denominations that more than one output has."""
    min_denomination_share_percent: int = 80
    """Change is the exception: the rest is denominations."""
    confidence: float = 0.95
    """Of 17 found among labelled transactions one is in no coordinator's list."""


class Wasabi1Config(msgspec.Struct, frozen=True):
    """Limits of a Wasabi 1 round."""

    min_inputs: int = 10
    """Inputs at least, over all participants."""
    max_script_share_percent: int = 10
    """No single script brings more of the inputs: that would be one owner."""
    base_tolerance_percent: int = 12
    """The amount rose from 0.1 to 0.11 BTC over the years."""
    min_equal_outputs: int = 10
    """With fewer, equal-output transactions of other makers near 0.1 BTC look the same."""
    max_inputs_per_output: int = 7
    """A participant could register seven inputs."""
    confidence: float = 0.9
    """The mark is weaker than those of the others: one amount, repeated."""


class CoinjoinConfig(msgspec.Struct, frozen=True):
    """Limits of each protocol, and the severity of a match."""

    severity: str = "medium"
    """Severity of a match."""
    whirlpool: WhirlpoolConfig = WhirlpoolConfig()
    wasabi2: Wasabi2Config = Wasabi2Config()
    wasabi1: Wasabi1Config = Wasabi1Config()


DEFAULTS = CoinjoinConfig()


def detect(tx: Transaction, config: CoinjoinConfig = DEFAULTS) -> PatternMatch | None:
    """Match the first protocol whose rule holds; None without every prevout."""
    if len(tx.inputs) < config.whirlpool.min_size or tx.is_coinbase:
        return None
    spent = [i.prevout for i in tx.inputs if i.prevout is not None]
    if len(spent) < len(tx.inputs):
        return None
    for protocol, confidence, reasons in (
        ("whirlpool", config.whirlpool.confidence, whirlpool(spent, tx.outputs, config.whirlpool)),
        ("wasabi2", config.wasabi2.confidence, wasabi2(spent, tx.outputs, config.wasabi2)),
        ("wasabi1", config.wasabi1.confidence, wasabi1(spent, tx.outputs, config.wasabi1)),
    ):
        if reasons:
            return _match(tx, protocol, confidence, reasons, config.severity)
    return None


def whirlpool(
    spent: Sequence[Prevout], outputs: Sequence[TxOutput], config: WhirlpoolConfig
) -> list[str]:
    """Why this is a Whirlpool mix; empty if it is not."""
    size, pool = len(outputs), outputs[0].value_sat if outputs else 0
    if size != len(spent) or not config.min_size <= size <= config.max_size:
        return []
    if pool not in WHIRLPOOL_POOLS_SAT or any(o.value_sat != pool for o in outputs):
        return []
    excess = [prevout.value_sat - pool for prevout in spent]
    entries = [e for e in excess if e]
    if not 1 <= len(entries) <= config.max_entries:
        return []
    if min(entries) < config.min_entry_excess_sat or max(entries) > config.max_entry_excess_sat:
        return []
    if len({p.script for p in spent} | {o.script for o in outputs}) < 2 * size:
        return []
    return [
        f"all {size} outputs are {btc(pool)}, a Whirlpool pool, from as many inputs",
        f"{count(len(entries), 'input')} above the pool's amount, by at most {max(entries):,} sat",
        "every script on both sides is distinct",
    ]


def wasabi2(
    spent: Sequence[Prevout], outputs: Sequence[TxOutput], config: Wasabi2Config
) -> list[str]:
    """Why this is a Wasabi 2 round; empty if it is not."""
    amounts = [output.value_sat for output in outputs]
    if len(spent) < config.min_inputs or min(amounts, default=0) < config.min_output_sat:
        return []
    if not _falling(amounts) or not _falling([prevout.value_sat for prevout in spent]):
        return []
    if not _all_native_segwit(spent, outputs):
        return []
    fixed = sum(1 for amount in amounts if amount in DENOMINATIONS_SAT)
    repeated = [n for a, n in Counter(amounts).items() if n > 1 and a in DENOMINATIONS_SAT]
    if fixed * 100 <= config.min_denomination_share_percent * len(amounts):
        return []
    if len(repeated) < config.min_repeated_denominations or 2 * sum(repeated) < len(amounts) - 1:
        return []
    return [
        f"{percent(fixed, len(amounts))} of {len(amounts):,} outputs are Wasabi 2 denominations",
        f"{count(len(repeated), 'denomination')} repeated, for {sum(repeated):,} outputs in all",
        f"{count(len(spent), 'input')} and the outputs are sorted by falling amount",
    ]


def wasabi1(
    spent: Sequence[Prevout], outputs: Sequence[TxOutput], config: Wasabi1Config
) -> list[str]:
    """Why this is a Wasabi 1 round; empty if it is not."""
    if len(spent) < config.min_inputs or not outputs or not _all_native_segwit(spent, outputs):
        return []
    inputs = Counter(prevout.script for prevout in spent)
    if max(inputs.values()) * 100 > config.max_script_share_percent * len(spent):
        return []
    amount, equal = Counter(output.value_sat for output in outputs).most_common(1)[0]
    if not any(_near(amount, base, config.base_tolerance_percent) for base in WASABI1_BASES_SAT):
        return []
    if equal < config.min_equal_outputs or 2 * _repeated(outputs) < len(outputs) - 1:
        return []
    distinct = len({output.script for output in outputs}) == len(outputs)
    if not distinct or not equal <= len(inputs) <= config.max_inputs_per_output * equal:
        return []
    return [
        f"{equal:,} of {count(len(outputs), 'output')} are {btc(amount)}, a Wasabi 1 amount",
        f"{count(len(spent), 'input')} of {count(len(inputs), 'script')}",
        "the output scripts are all distinct",
    ]


def _denominations(limit: int) -> frozenset[int]:
    found: set[int] = set()
    for base, factors in ((2, (1,)), (3, (1, 2)), (10, (1, 2, 5))):
        power = 1
        while power <= limit:
            found.update(factor * power for factor in factors)
            power *= base
    return frozenset(found)


DENOMINATIONS_SAT = _denominations(200_000_000_000)
"""Wasabi 2's: 2^i, 3^i, 2·3^i, 10^i, 2·10^i and 5·10^i satoshi, to above 1,000 BTC."""


def _falling(amounts: Sequence[int]) -> bool:
    return all(first >= second for first, second in pairwise(amounts))


def _all_native_segwit(spent: Sequence[Prevout], outputs: Sequence[TxOutput]) -> bool:
    scripts = [prevout.script for prevout in spent] + [output.script for output in outputs]
    return all(script_type(script) in ("p2wpkh", "p2tr") for script in scripts)


def _near(amount: int, base: int, tolerance_percent: int) -> bool:
    return abs(amount - base) * 100 <= tolerance_percent * base


def _repeated(outputs: Sequence[TxOutput]) -> int:
    return sum(n for n in Counter(output.value_sat for output in outputs).values() if n > 1)


def _match(
    tx: Transaction, protocol: str, confidence: float, reasons: list[str], severity: str
) -> PatternMatch:
    return PatternMatch(
        network=tx.network,
        pattern=f"{PATTERN_ID}.{protocol}",
        subject=tx.txid,
        severity=severity,
        confidence=confidence,
        reasons=reasons,
        evidence=[tx.txid],
        addresses=all_addresses(tx),
    )
