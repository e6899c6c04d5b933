"""Which addresses a person takes for each other: same kind, same beginning, same end."""

from __future__ import annotations

SEGWIT_PREFIXES = ("bc1", "tb1", "bcrt1")
"""Human-readable parts and separator of native segwit addresses (BIP 173)."""

FIRST = LAST = 4
"""Characters that people compare and explorers leave when they shorten an address. By chance two
addresses agree in eight characters of bech32 once in 32^8 = 1.1e12 pairs."""


def look(address: str, first: int = FIRST, last: int = LAST) -> str:
    """What a person sees of an address; empty where it is too short for a beginning and an end.

    The prefix that all of a kind share (``bc1q``, ``bc1p``, ``1``, ``3``) tells the kind and is not
    counted.

    >>> look("bc1qar0srrr7xfkvy5l643lydnw9re59gtzzwf5mdq")
    'bc1qar0s..5mdq'
    >>> look("1BoatSLRHtKNngkdXEeobR76b53LETtpyT"), look("shop")
    ('1Boat..tpyT', '')
    """
    start = prefix_length(address) + first
    if len(address) < start + last:
        return ""
    return f"{address[:start]}..{address[-last:]}"


def prefix_length(address: str) -> int:
    """Characters in front that every address of the kind has.

    >>> prefix_length("bc1p" + "0" * 58), prefix_length("bcrt1q" + "0" * 38), prefix_length("3Ab")
    (4, 6, 1)
    """
    for prefix in SEGWIT_PREFIXES:
        if address.startswith(prefix):
            return len(prefix) + 1
    return 1
