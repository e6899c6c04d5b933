"""Values that are counted by identity: one text for each, whatever type it came in.

A whole float of 64 bits is the int that it equals, as 1.0 and 1 are one number. A bool is none.

>>> [text_of(value) for value in ("a", 7, 7.0, 0.5, True, b"x")]
['sa', 'i7', 'i7', 'f0.5', 'b1', 'x78']
>>> value_of("f0.5"), value_of("b1"), value_of("x78")
(0.5, True, b'x')
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from joins.errors import JoinError

_READ: dict[str, Callable[[str], Any]] = {
    "s": str,
    "i": int,
    "f": float,
    "b": lambda text: text == "1",
    "x": bytes.fromhex,
}
_END = 2.0**63
_RANK = {"b": 0, "f": 1, "i": 1, "s": 2, "x": 3}


def text_of(value: Any) -> str | None:
    """The text of a str, int, float, bool or bytes; None of None and of NaN.

    Raises JoinError on anything else.
    """
    if isinstance(value, str):
        return "s" + value
    if isinstance(value, bool):
        return f"b{value:d}"
    if isinstance(value, int):
        return f"i{value:d}"
    if isinstance(value, float):
        return _text_of_float(value)
    if isinstance(value, bytes):
        return "x" + value.hex()
    if value is None:
        return None
    raise JoinError(f"a value to be counted is a str, int, float, bool or bytes, not {value!r}")


def _text_of_float(value: float) -> str | None:
    if value != value:
        return None
    whole = value.is_integer() and abs(value) < _END
    return f"i{int(value)}" if whole else f"f{value!r}"


def value_of(text: str) -> Any:
    """The value with this text."""
    return _READ[text[0]](text[1:])


def order_of(text: str) -> tuple[int, Any]:
    """Sorts bools before numbers before str before bytes, each by value."""
    return _RANK[text[0]], value_of(text)
