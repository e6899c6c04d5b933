"""The RC4 stream cipher, by which Counterparty obscures its messages; no secrecy is meant."""

from __future__ import annotations


def rc4(key: bytes, data: bytes) -> bytes:
    """Encrypt or decrypt ``data``. Raises ValueError for an empty key.

    >>> rc4(b"Key", b"Plaintext").hex()
    'bbf316e8d940af0ad3'
    """
    if not key:
        raise ValueError("RC4 needs a key of at least one byte")
    return bytes(byte ^ mask for byte, mask in zip(data, _keystream(key, len(data)), strict=True))


def _keystream(key: bytes, size: int) -> bytes:
    state = _schedule(key)
    out = bytearray()
    i = j = 0
    for _ in range(size):
        i = (i + 1) & 0xFF
        j = (j + state[i]) & 0xFF
        state[i], state[j] = state[j], state[i]
        out.append(state[(state[i] + state[j]) & 0xFF])
    return bytes(out)


def _schedule(key: bytes) -> list[int]:
    state = list(range(256))
    j = 0
    for i in range(256):
        j = (j + state[i] + key[i % len(key)]) & 0xFF
        state[i], state[j] = state[j], state[i]
    return state
