"""Peel chain: a large coin from which small payments are peeled, one after the other.

A *hop* spends one coin alone and pays two scripts, neither of which is the one spent from: a small
amount, the peel, and the rest, which is the change. The next hop spends that change. A chain of
many hops is how a service pays out of one large coin, and how stolen money is carried off in
portions. Hops of tokens (a data output), coins merged on the way (two inputs) and wallets that
return change to the same script are no hops.

Only confirmed hops count: their times rise along a chain, whatever order they arrive in. A pause of
more than ``max_pause_ms`` ends a chain. A match is said at hop ``min_hops`` and then each time the
length has doubled: its content depends on the hops before it, never on those to come.

Source: Meiklejohn et al., "A Fistful of Bitcoins", 2013, section 5; Kappos et al., "How to Peel a
Million", USENIX Security 2022.
"""

from __future__ import annotations

import msgspec

from schemas.events import PatternMatch, PeelHop, Transaction, TxOutput
from streams.patterns.about import About
from streams.patterns.words import btc, count, percent

PATTERN_ID = "peel_chain"

DAY_MS = 86_400_000

ABOUT = About(
    definition="A hop spends one coin and pays two scripts other than its own: a small amount and "
    "the change; the next hop spends the change. A match is said at `min_hops` hops, and again "
    "each time their number has doubled. Only confirmed hops count. Left out: data outputs, "
    "merged coins, change to the script spent from.",
    severity="`low`; `medium` from `medium_hops` on; `high` from there when `high_sat` was peeled. "
    "Exchanges pay out like this, too",
    source="Meiklejohn et al., A Fistful of Bitcoins, 2013; Kappos et al., How to Peel a Million, "
    "USENIX Security 2022",
)


class PeelChainConfig(msgspec.Struct, frozen=True):
    """Limits of a peel chain."""

    max_peel_percent: int = 20
    """The peel's part of what is paid out: the change keeps four fifths or more."""
    min_hops: int = 5
    """Length of the first match. Two to four in a row are what ordinary wallets do when they pay
    twice in an hour: eleven real blocks of 2013 to 2024 have 41 such chains, and 15 of five to 24
    hops."""
    max_pause_ms: int = DAY_MS
    """Time between two hops: chains are driven by programs, within minutes or hours."""
    trail: int = 20
    """Transactions named, the latest, beside the first."""
    medium_hops: int = 10
    """Length from which on the severity is medium."""
    high_sat: int = 1_000_000_000
    """Peeled off in all, from which on a chain of medium length is of high severity: 10 BTC."""
    confidence: float = 0.8
    """Which output is the change is inferred from the amounts; the next hop confirms it."""


DEFAULTS = PeelChainConfig()


class Chain(msgspec.Struct, frozen=True):
    """A chain up to and including one hop."""

    hops: int
    first: str
    """Txid of the first hop."""
    first_ts: int
    start_sat: int
    """What the first hop spent."""
    peeled_sat: int
    trail: tuple[str, ...]
    """Txids of the latest hops, in order."""


def hop_of(tx: Transaction, config: PeelChainConfig = DEFAULTS) -> PeelHop | None:
    """The hop that a confirmed transaction is; None if it is none."""
    if len(tx.inputs) != 1 or len(tx.outputs) != 2 or tx.block_hash is None:
        return None
    spent, (first, second) = tx.inputs[0].prevout, tx.outputs
    if (
        spent is None
        or first.script == second.script
        or spent.script in (first.script, second.script)
    ):
        return None
    vout = 0 if first.value_sat > second.value_sat else 1
    change, peel = tx.outputs[vout], tx.outputs[1 - vout]
    if not _is_peel(peel, change, config):
        return None
    return PeelHop(
        network=tx.network,
        txid=tx.txid,
        prev_txid=tx.inputs[0].prev_txid,
        prev_vout=tx.inputs[0].prev_vout,
        change_vout=vout,
        input_sat=spent.value_sat,
        peel_sat=peel.value_sat,
        change_sat=change.value_sat,
        address=spent.address,
        peel_address=peel.address,
        change_address=change.address,
    )


def _is_peel(peel: TxOutput, change: TxOutput, config: PeelChainConfig) -> bool:
    total = peel.value_sat + change.value_sat
    if not 0 < peel.value_sat * 100 <= config.max_peel_percent * total:
        return False
    return peel.script[:1] != b"\x6a" and change.script[:1] != b"\x6a"


def follows(
    hop: PeelHop, ts: int, before: PeelHop, before_ts: int, config: PeelChainConfig
) -> bool:
    """Whether ``hop`` goes on where ``before`` left off, soon enough."""
    if (hop.prev_txid, hop.prev_vout) != (before.txid, before.change_vout):
        return False
    return 0 <= ts - before_ts <= config.max_pause_ms


def chain_of(
    hop: PeelHop, ts: int, before: Chain | None, config: PeelChainConfig = DEFAULTS
) -> Chain:
    """The chain up to ``hop``, given the chain that it follows, if any."""
    if before is None:
        return Chain(1, hop.txid, ts, hop.input_sat, hop.peel_sat, (hop.txid,))
    return Chain(
        before.hops + 1,
        before.first,
        before.first_ts,
        before.start_sat,
        before.peeled_sat + hop.peel_sat,
        (*before.trail, hop.txid)[-config.trail :],
    )


def match(
    hop: PeelHop, ts: int, chain: Chain, config: PeelChainConfig = DEFAULTS
) -> PatternMatch | None:
    """The match at this hop, where the length is ``min_hops`` or that doubled, once or often."""
    if not is_milestone(chain.hops, config.min_hops):
        return None
    first = [] if chain.first in chain.trail else [chain.first]
    addresses = [hop.address, hop.change_address, hop.peel_address]
    return PatternMatch(
        network=hop.network,
        pattern=PATTERN_ID,
        subject=hop.txid,
        severity=_severity(chain, config),
        confidence=config.confidence,
        reasons=_reasons(hop, ts, chain),
        evidence=[*first, *chain.trail],
        addresses=[address for address in addresses if address is not None],
    )


def is_milestone(hops: int, least: int) -> bool:
    """Whether a length is worth saying: the least, then each doubling.

    >>> [hops for hops in range(50) if is_milestone(hops, 5)]
    [5, 10, 20, 40]
    """
    times, rest = divmod(hops, least)
    return hops >= least and not rest and times & (times - 1) == 0


def _severity(chain: Chain, config: PeelChainConfig) -> str:
    if chain.hops < config.medium_hops:
        return "low"
    return "high" if chain.peeled_sat >= config.high_sat else "medium"


def _reasons(hop: PeelHop, ts: int, chain: Chain) -> list[str]:
    minutes = (ts - chain.first_ts) // 60_000
    return [
        f"{count(chain.hops, 'hop')} in {count(minutes, 'minute')}, each spends the change before "
        "it and peels off a small amount",
        f"{btc(chain.peeled_sat)} ({chain.peeled_sat} sat) peeled off {btc(chain.start_sat)}, "
        f"{percent(chain.peeled_sat, chain.start_sat)}",
        f"{btc(hop.change_sat)} ({hop.change_sat} sat) left as change",
    ]
