"""Ids that anybody can recompute: SHA-256 over a length-prefixed list of parts (SEMANTICS 5)."""

from __future__ import annotations

from collections.abc import Iterable
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
    return sha256(_joined(parts)).hexdigest()


_LENGTH = [n.to_bytes(4, "big") for n in range(256)]


def _joined(parts: Iterable[str | int | None]) -> bytes:
    pieces = []
    for part in parts:
        if part is None:
            pieces.append(_NULL)
            continue
        text = part.encode() if part.__class__ is str else str(part).encode()
        size = len(text)
        pieces.append(_LENGTH[size] if size < 256 else size.to_bytes(4, "big"))
        pieces.append(text)
    return b"".join(pieces)


def fan_ids(step: str, cause: str, parts: Iterable[str | int]) -> list[str]:
    """``digest_id(step, cause, str(part))`` for many parts."""
    front = _joined((step, cause))
    return [sha256(front + _joined((part,))).hexdigest() for part in parts]
