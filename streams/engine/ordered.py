"""Keys as bytes that sort as the keys do: for a store on disk, which knows no order but theirs.

A key is a tuple of str and int. Each part begins with a byte for its kind, and no part's bytes are
the beginning of another's, so the bytes of a prefix are a prefix of the bytes.

========  ====================  ==============================================================
kind      part                  bytes
========  ====================  ==============================================================
``02``    str                   UTF-8 (sorts by code point, as str does), ``00`` written as
                                ``00 ff``; then ``00``
``0f``    int below -2**63      255 - length, and the complement of the magnitude, big-endian
``10``    int of 64 bits        the number + 2**63, eight bytes, big-endian
``11``    int above             length and magnitude, big-endian
========  ====================  ==============================================================
"""

from __future__ import annotations

from struct import Struct
from struct import error as StructError  # noqa: N812

from joins.state import Key

_TEXT, _BELOW, _LONG, _ABOVE = 0x02, 0x0F, 0x10, 0x11
_BIAS = 1 << 63
_NUMBER = Struct(">BQ")
_pack, _unpack = _NUMBER.pack, Struct(">Q").unpack_from
END = b"\xff"
"""Greater than how any part begins: a prefix and this is above every key with the prefix."""


def number(part: int) -> bytes:
    """The bytes of an int.

    >>> number(-1) < number(0) < number(255) < number(2**70)
    True
    """
    if -_BIAS <= part < _BIAS:
        return _pack(_LONG, part + _BIAS)
    size = (part.bit_length() + 7) // 8
    if size > 255:
        raise OverflowError("a key part has more than 255 bytes: keep large numbers in values")
    body = abs(part).to_bytes(size, "big")
    if part > 0:
        return bytes((_ABOVE, size)) + body
    return bytes((_BELOW, 255 - size)) + bytes(255 - b for b in body)


def text(part: str) -> bytes:
    """The bytes of a str; raises UnicodeEncodeError for half a surrogate pair."""
    body = part.encode()
    if b"\0" in body:
        body = body.replace(b"\0", b"\0\xff")
    return b"\x02" + body + b"\0"


def pack(parts: Key) -> bytes:
    """The bytes of a key, or of a prefix.

    >>> pack(("a", 7)).startswith(pack(("a",))), pack(("a", -1)) < pack(("a", 2)) < pack(("b",))
    (True, True)
    """
    try:
        return b"".join(
            [
                (b"\x02" + p.encode() + b"\0" if "\0" not in p else text(p))
                if isinstance(p, str)
                else _pack(_LONG, p + _BIAS)
                for p in parts
            ]
        )
    except StructError:  # an int of more than 64 bits
        return b"".join([text(p) if isinstance(p, str) else number(p) for p in parts])


def unpack(data: bytes, start: int = 0) -> Key:
    """The parts of a key from ``start`` on; raises ValueError for what ``pack`` never wrote.

    >>> unpack(pack(("tx", -5, "a\\0b")))
    ('tx', -5, 'a\\x00b')
    """
    parts: list[str | int] = []
    place, end = start, len(data)
    while place < end:
        kind = data[place]
        if kind == _TEXT:
            stop = _text_end(data, place + 1)
            body = data[place + 1 : stop]
            parts.append((body.replace(b"\0\xff", b"\0") if b"\0" in body else body).decode())
            place = stop + 1
        elif kind == _LONG and place + 9 <= end:
            parts.append(_unpack(data, place + 1)[0] - _BIAS)
            place += 9
        elif kind in (_BELOW, _ABOVE) and place + 1 < end:
            place, large = _large(data, place)
            parts.append(large)
        else:
            raise ValueError(f"not a key: byte {kind:#x} at {place} of {data.hex()}")
    return tuple(parts)


def _text_end(data: bytes, place: int) -> int:
    """Where the text that begins at ``place`` is over."""
    stop = data.find(b"\0", place)
    while stop >= 0 and data[stop + 1 : stop + 2] == END:
        stop = data.find(b"\0", stop + 2)
    if stop < 0:
        raise ValueError(f"not a key: text without an end at {place} of {data.hex()}")
    return stop


def _large(data: bytes, place: int) -> tuple[int, int]:
    """Where the large int at ``place`` is over, and the int."""
    above = data[place] == _ABOVE
    size = data[place + 1] if above else 255 - data[place + 1]
    stop = place + 2 + size
    body = data[place + 2 : stop]
    if len(body) != size:
        raise ValueError(f"not a key: an int without an end at {place} of {data.hex()}")
    if above:
        return stop, int.from_bytes(body, "big")
    return stop, -int.from_bytes(bytes(255 - b for b in body), "big")
