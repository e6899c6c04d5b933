"""The units of the domain: newtypes over str and int, and the only arithmetic between them.

Amounts are integers of satoshi, times are integers of milliseconds since 1970 (UTC), sizes are
integers of weight units or virtual bytes. Nothing here is a float.
"""

from __future__ import annotations

import re
from typing import NewType

Txid = NewType("Txid", str)
"""Transaction id, 64 lower-case hex characters in display (big-endian) order."""

Wtxid = NewType("Wtxid", str)
"""Transaction id over the witness serialisation (BIP 141), display order."""

BlockHash = NewType("BlockHash", str)
"""Block id, 64 lower-case hex characters in display order."""

Outpoint = NewType("Outpoint", str)
"""One output of one transaction, written ``<txid>:<vout>``."""

Sat = NewType("Sat", int)
"""Satoshi: 10^-8 bitcoin."""

VBytes = NewType("VBytes", int)
"""Virtual bytes (BIP 141): a quarter of the weight, rounded up."""

FeeRate = NewType("FeeRate", int)
"""Fee rate in millisatoshi per virtual byte, rounded down: an int, so that it compares exactly."""

Ts = NewType("Ts", int)
"""Event time in milliseconds since 1970-01-01 UTC."""

MAX_MONEY_SAT = Sat(2_100_000_000_000_000)
"""No amount on the main network can exceed 21 million bitcoin (Bitcoin Core, ``MAX_MONEY``)."""

_HASH = re.compile(r"[0-9a-f]{64}")


def txid(text: str) -> Txid:
    """Check and return a transaction id.

    >>> txid("ab" * 32)[:4]
    'abab'
    >>> txid("xyz")
    Traceback (most recent call last):
    ...
    ValueError: not a txid (64 lower-case hex characters): 'xyz'
    """
    if not _HASH.fullmatch(text):
        raise ValueError(f"not a txid (64 lower-case hex characters): {text!r}")
    return Txid(text)


def outpoint(txid: str, vout: int) -> Outpoint:
    """Name one output.

    >>> outpoint("ab" * 32, 1)[-3:]
    'b:1'
    """
    return Outpoint(f"{txid}:{vout}")


def vsize(weight: int) -> VBytes:
    """Virtual size of a weight (BIP 141).

    >>> vsize(561)
    141
    """
    return VBytes((weight + 3) // 4)


def feerate(fee: int, size: int) -> FeeRate:
    """Fee rate in millisatoshi per virtual byte.

    >>> feerate(1410, 141)
    10000
    """
    if size <= 0:
        raise ValueError(f"a transaction has a positive size, not {size} vB")
    return FeeRate(fee * 1000 // size)


def is_amount(value: int) -> bool:
    """Whether ``value`` can be an amount of satoshi on the main network.

    >>> is_amount(0), is_amount(-1), is_amount(MAX_MONEY_SAT + 1)
    (True, False, False)
    """
    return 0 <= value <= MAX_MONEY_SAT
