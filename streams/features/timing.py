"""Timing: lock time, sequences and the replaceability signal (BIPs 65, 68, 112, 125).

>>> from schemas.events import Transaction, TxInput, TxOutput
>>> spent = TxInput("aa" * 32, 0, 0xFFFFFFFD, b"", [], None, "pruned")
>>> tx = Transaction("regtest", "bb" * 32, "bb" * 32, 2, 866_341, 110, 440, 110, False, [spent],
...                  [TxOutput(1_000, b"\\x52")])
>>> extract(tx)[0]
{'locktime_height_set': 1.0, 'locktime_time_set': 0.0, 'replaceable': 1.0, \
'relative_lock_count': 0.0}
"""

from __future__ import annotations

from schemas.events import Transaction
from streams.features.reading import Extracted, flag

LOCKTIME_THRESHOLD = 500_000_000
"""Below it a lock time is a block height, from it on a Unix time (Bitcoin Core, ``script.h``)."""

FINAL_SEQUENCE = 0xFFFFFFFF
MAX_REPLACEABLE_SEQUENCE = 0xFFFFFFFD
"""BIP 125: any sequence up to this signals that the transaction may be replaced."""

NO_RELATIVE_LOCK = 1 << 31
"""BIP 68: with this bit set a sequence is no relative lock; neither is it in version 1."""

WORDS = {
    "locktime_height_set": "a lock until a height (1 yes, 0 no) of {}",
    "locktime_time_set": "a lock until a time (1 yes, 0 no) of {}",
    "replaceable": "a replaceability signal (1 yes, 0 no) of {}",
    "relative_lock_count": "a number of relative locks of {}",
}


def extract(tx: Transaction) -> Extracted:
    """Flags of the lock time and sequences: known for every transaction."""
    sequences = [i.sequence for i in tx.inputs]
    locked = tx.locktime > 0 and sequences.count(FINAL_SEQUENCE) < len(sequences)
    by_height = tx.locktime < LOCKTIME_THRESHOLD
    relative = [s for s in sequences if not s & NO_RELATIVE_LOCK] if tx.version >= 2 else []
    return {
        "locktime_height_set": flag(locked and by_height),
        "locktime_time_set": flag(locked and not by_height),
        "replaceable": flag(min(sequences, default=FINAL_SEQUENCE) <= MAX_REPLACEABLE_SEQUENCE),
        "relative_lock_count": 0.0 if tx.is_coinbase else float(len(relative)),
    }, {}
