"""Replacement: a transaction in the mempool gave way to another that spends the same output.

A *bump* keeps every payee's amount and pays more fee. A *redirect* takes a payee's amount away, in
whole or in part: a payment that was announced and then withdrawn. Signalling (BIP 125) says nothing
any more, since nodes replace without it.

What counts as a payee: an output of the replaced transaction that is not data and does not return
to a script that either transaction spends from. A payee that the caller watches settles the matter;
otherwise change on a fresh script looks like a payee, and the confidence says so.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection
from typing import NamedTuple

import msgspec

from schemas.events import PatternMatch, Transaction
from streams.patterns.about import About
from streams.patterns.words import all_addresses, btc

PATTERN_ID = "replacement"

ABOUT = About(
    definition="A transaction in the mempool gave way to another one that spends the same output. "
    "`bump`: every payee keeps its amount; `redirect`: a payee loses; `unknown`: a body is not "
    "known. What counts as a payee: outputs that carry no data and return to no script spent from.",
    severity="`info` for a bump, `high` for a redirect, `low` where it cannot be told",
    source="BIP 125; full replacement by fee in Bitcoin Core",
)


class ReplacementConfig(msgspec.Struct, frozen=True):
    """Severities by class, and how sure each finding is."""

    bump_severity: str = "info"
    """Nobody loses."""
    redirect_severity: str = "high"
    """A payment that was announced is withdrawn."""
    unknown_severity: str = "low"
    """A body is not known."""
    change_confidence: float = 0.7
    """One output shrank by no more than the fee grew: nearly always change that pays for it."""
    single_loss_confidence: float = 0.6
    """One output vanished and others stayed: a payee, or change moved to a fresh script."""


DEFAULTS = ReplacementConfig()


class Loss(NamedTuple):
    """What one script of the replaced transaction lost, in satoshi."""

    script: bytes
    before_sat: int
    after_sat: int
    address: str | None


class _Finding(NamedTuple):
    kind: str
    confidence: float
    reasons: list[str]


def detect_replacement(
    network: str,
    txid: str,
    old: Transaction | None,
    new_txid: str,
    new: Transaction | None,
    watched: Collection[str] = (),
    config: ReplacementConfig = DEFAULTS,
) -> PatternMatch:
    """Classify the replacement of ``txid`` (body ``old``) by ``new_txid`` (body ``new``).

    ``watched`` holds addresses that are payees for certain. Without both bodies the class is
    ``replacement.unknown``, with the reason.
    """
    found = _classify(old, new, watched, config)
    severity = {
        "bump": config.bump_severity,
        "redirect": config.redirect_severity,
        "unknown": config.unknown_severity,
    }[found.kind]
    addresses = [a for tx in (old, new) if tx is not None for a in all_addresses(tx)]
    return PatternMatch(
        network=network,
        pattern=f"{PATTERN_ID}.{found.kind}",
        subject=txid,
        severity=severity,
        confidence=found.confidence,
        reasons=[f"replaced by {new_txid}", *found.reasons],
        evidence=[txid, new_txid],
        addresses=list(dict.fromkeys(addresses)),
    )


def losses(old: Transaction, new: Transaction) -> list[Loss]:
    """What payees of ``old`` lose in ``new``, in order of output; own scripts and data aside."""
    own = _own_scripts(old) | _own_scripts(new)
    before, after = _paid(old), _paid(new)
    addresses = {output.script: output.address for output in old.outputs}
    return [
        Loss(script, amount, after[script], addresses[script])
        for script, amount in before.items()
        if after[script] < amount and script not in own and script[:1] != b"\x6a"
    ]


def _classify(
    old: Transaction | None,
    new: Transaction | None,
    watched: Collection[str],
    config: ReplacementConfig,
) -> _Finding:
    if old is None or new is None:
        return _Finding("unknown", 1.0, _unknown_bodies(old, new))
    lost = losses(old, new)
    if not lost:
        return _Finding("bump", 1.0, ["every payee keeps its amount", *_fees(old, new)])
    reasons = [_in_words(loss) for loss in lost] + _fees(old, new)
    if any(loss.address in watched for loss in lost):
        return _Finding("redirect", 1.0, ["a watched payee loses", *reasons])
    if _is_change(lost, old, new):
        return _Finding("bump", config.change_confidence, ["only change pays the fee", *reasons])
    if _prevouts_unknown(old) or _prevouts_unknown(new):
        reasons.append("some prevouts are unknown: what looks like a payee may be change")
        return _Finding("redirect", config.single_loss_confidence, reasons)
    return _Finding("redirect", _redirect_confidence(lost, old, config), reasons)


def _is_change(lost: list[Loss], old: Transaction, new: Transaction) -> bool:
    """One of several outputs shrank, and by no more than the fee grew."""
    if len(lost) > 1 or len(_paid(old)) < 2 or not lost[0].after_sat:
        return False
    if old.fee_sat is None or new.fee_sat is None:
        return False
    return lost[0].before_sat - lost[0].after_sat <= new.fee_sat - old.fee_sat


def _redirect_confidence(lost: list[Loss], old: Transaction, config: ReplacementConfig) -> float:
    alone = len(lost) == 1 and len(_paid(old)) > 1
    return config.single_loss_confidence if alone else 1.0


def _paid(tx: Transaction) -> Counter[bytes]:
    amounts: Counter[bytes] = Counter()
    for output in tx.outputs:
        amounts[output.script] += output.value_sat
    return amounts


def _prevouts_unknown(tx: Transaction) -> bool:
    return any(i.prevout is None for i in tx.inputs)


def _own_scripts(tx: Transaction) -> set[bytes]:
    return {i.prevout.script for i in tx.inputs if i.prevout is not None}


def _in_words(loss: Loss) -> str:
    payee = loss.address or f"script {loss.script.hex()}"
    before = f"{btc(loss.before_sat)} ({loss.before_sat} sat)"
    if not loss.after_sat:
        return f"{payee} was to get {before} and gets nothing"
    return f"{payee} was to get {before} and gets {btc(loss.after_sat)} ({loss.after_sat} sat)"


def _fees(old: Transaction, new: Transaction) -> list[str]:
    if old.fee_sat is None or new.fee_sat is None:
        return ["the fee of one of them is unknown"]
    return [f"the fee goes from {old.fee_sat:,} to {new.fee_sat:,} sat"]


def _unknown_bodies(old: Transaction | None, new: Transaction | None) -> list[str]:
    names = {"replaced": old, "replacing": new}
    unknown = [f"the {name} transaction" for name, tx in names.items() if tx is None]
    are = "is" if len(unknown) == 1 else "are"
    return [f"{' and '.join(unknown)} {are} not known here: payees may keep their amounts or not"]
