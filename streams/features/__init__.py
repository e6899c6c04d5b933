"""Features: the named numbers that a model learns from and scores, one group a file.

A feature's name carries its unit; a name that starts with ``log10_`` holds ``log10(1 + amount)``. A
feature that cannot be known has a reason and no value: it is never 0 instead. Everything here is a
pure function of the transaction. A new group is one file and one line in ``GROUPS``.
"""

from __future__ import annotations

from schemas.events import Features, Transaction
from streams.features import amounts, fees, reuse, scripts, structure, timing
from streams.features.reading import FeatureGroup

GROUPS: dict[str, FeatureGroup] = {
    "amounts": FeatureGroup(amounts.extract, amounts.WORDS),
    "fees": FeatureGroup(fees.extract, fees.WORDS),
    "reuse": FeatureGroup(reuse.extract, reuse.WORDS),
    "scripts": FeatureGroup(scripts.extract, scripts.WORDS),
    "structure": FeatureGroup(structure.extract, structure.WORDS),
    "timing": FeatureGroup(timing.extract, timing.WORDS),
}

WORDS: dict[str, str] = {
    name: phrase for group in GROUPS.values() for name, phrase in group.words.items()
}
"""Every feature's name to a phrase with ``{}`` for its value."""


def extract(tx: Transaction) -> Features:
    """Every feature of a transaction, each either with a value or with a reason."""
    values: dict[str, float] = {}
    missing: dict[str, str] = {}
    for group in GROUPS.values():
        found, absent = group.extract(tx)
        values |= found
        missing |= absent
    return Features(network=tx.network, txid=tx.txid, values=values, missing=missing)
