"""Ids that anybody can recompute: SHA-256 over a length-prefixed list of parts (SEMANTICS 5)."""

from __future__ import annotations

from hashlib import sha256

_NULL = b"\xff\xff\xff\xff"


def digest_id(*parts: str | int | None) -> str:
    """Hash a list of parts to a hex id.

    Each part is its 4-byte big-endian length and its UTF-8 bytes; an int is its decimal text;
    ``None`` is ``ff ff ff ff``. So no two different lists have the same id.

    >>> digest_id("step", "a", None) == digest_id("step", "a", None)
    True
    >>> digest_id("ab", "c") == digest_id("a", "bc")
    False
    """
    pieces = []
    for part in parts:
        if part is None:
            pieces.append(_NULL)
        else:
            text = str(part).encode()
            pieces.append(len(text).to_bytes(4, "big"))
            pieces.append(text)
    return sha256(b"".join(pieces)).hexdigest()
