"""Ids that anybody can recompute: SHA-256 over a length-prefixed list of parts (SEMANTICS 5)."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from hashlib import sha256

_NULL = b"\xff\xff\xff\xff"
_SIZES = [size.to_bytes(4, "big") for size in range(256)]


def digest_id(*parts: str | int | None) -> str:
    """Hash a list of parts to a hex id.

    Each part is its 4-byte big-endian length and its UTF-8 bytes; an int is its decimal text;
    ``None`` is ``ff ff ff ff``. So no two different lists have the same id.

    >>> digest_id("step", "a", None) == digest_id("step", "a", None)
    True
    >>> digest_id("ab", "c") == digest_id("a", "bc")
    False
    """
    return sha256(b"".join(map(_part, parts))).hexdigest()


def _part(part: str | int | None) -> bytes:
    """A part as it is hashed."""
    if part is None:
        return _NULL
    text = part.encode() if type(part) is str else str(part).encode()
    size = len(text)
    return (_SIZES[size] if size < 256 else size.to_bytes(4, "big")) + text


def digester(*front: str | int | None) -> Callable[..., str]:
    """``digest_id(*front, ...)`` for many lists that begin with the same parts.

    >>> digester("step", "a")("b", None) == digest_id("step", "a", "b", None)
    True
    """
    begun = sha256(b"".join(map(_part, front)))

    def digest(*parts: str | None) -> str:
        rest = b""
        for part in parts:
            rest += _part(part)
        state = begun.copy()
        state.update(rest)
        return state.hexdigest()

    return digest


def fan_ids(step: str, cause: str, parts: Iterable[str | int]) -> list[str]:
    """``digest_id(step, cause, str(part))`` for many parts."""
    front = _part(step) + _part(cause)
    return [sha256(front + _part(part)).hexdigest() for part in parts]
