"""Text forms that DWN messages use: strict base64url, compact JSON, timestamps; all bounded."""

from __future__ import annotations

import base64
import binascii
import math
import re
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec

from schemas.dwn.errors import DwnInvalid

MAX_MESSAGE_BYTES = 262_144
"""Largest message (without its data) that is looked at. A server takes about 16 KB over HTTP."""
MAX_DEPTH = 32
"""Deepest nesting of a message; real protocol definitions stay below 20."""
MAX_NODES = 20_000
"""Most values (members, items, scalars) in one message."""
_MAX_SAFE = 2**53 - 1
_BASE64URL = re.compile(r"[A-Za-z0-9_-]*")
_TIMESTAMP = re.compile(r"(\d{4}-[01]\d-[0-3]\dT[0-2]\d:[0-5]\d:)([0-5]\d|60)\.(\d{6})Z", re.ASCII)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def b64encode(data: bytes) -> str:
    """Encode to base64url without padding (RFC 7515, appendix C)."""
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def b64decode(text: object) -> bytes:
    """Decode base64url without padding; only the one canonical text of the bytes is taken."""
    if not isinstance(text, str) or not _BASE64URL.fullmatch(text):
        raise DwnInvalid("shape", "not base64url without padding")
    try:
        data = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
    except binascii.Error as error:
        raise DwnInvalid("shape", f"not base64url: {error}") from None
    if b64encode(data) != text:
        raise DwnInvalid("shape", "base64url with stray bits in its last character")
    return data


def parse_json(raw: bytes | str) -> Any:
    """Parse untrusted JSON; raises DwnInvalid (``json``, ``too_large``, ``too_deep``)."""
    if len(raw) > MAX_MESSAGE_BYTES:
        raise DwnInvalid("too_large", f"{len(raw)} bytes of JSON; the limit is {MAX_MESSAGE_BYTES}")
    try:
        return msgspec.json.decode(raw)
    except RecursionError:
        raise DwnInvalid("too_deep", f"JSON nested deeper than {MAX_DEPTH}") from None
    except (msgspec.MsgspecError, UnicodeError) as error:
        raise DwnInvalid("json", f"not JSON: {error}") from None


def compact(value: Any) -> str:
    """JSON text without spaces, members in their order."""
    return msgspec.json.encode(value).decode()


def plain(value: Any) -> Any:
    """A bounded copy of ``value`` in the JSON data model, numbers as JavaScript would hold them.

    DWNs hash what a JavaScript engine parsed: 1.0 is the integer 1 and integers above 2^53 - 1 are
    floats. Raises DwnInvalid: ``too_deep``, ``too_large`` or ``shape`` (a type that JSON lacks).
    """
    return _Copy().copy(value, 0)


class _Copy:
    def __init__(self) -> None:
        self.nodes = 0
        self.size = 0

    def copy(self, value: Any, depth: int) -> Any:
        self._count(value, depth)
        match value:
            case None | bool():
                return value
            case str():
                return self._text(value)
            case int() | float():
                return _number(value)
            case dict():
                return {self._text(k): self.copy(v, depth + 1) for k, v in value.items()}
            case list():
                return [self.copy(item, depth + 1) for item in value]
        raise DwnInvalid("shape", f"JSON has no {type(value).__name__}")

    def _count(self, value: Any, depth: int) -> None:
        self.nodes += 1
        if depth > MAX_DEPTH:
            raise DwnInvalid("too_deep", f"nested deeper than {MAX_DEPTH}")
        if self.nodes > MAX_NODES:
            raise DwnInvalid("too_large", f"more than {MAX_NODES} values")

    def _text(self, value: Any) -> str:
        if not isinstance(value, str):
            raise DwnInvalid("shape", "a member name that is not text")
        self.size += len(value)
        if self.size > MAX_MESSAGE_BYTES:
            raise DwnInvalid("too_large", f"more than {MAX_MESSAGE_BYTES} characters")
        if not value.isascii():
            _check_unicode(value)
        return value


def _check_unicode(value: str) -> None:
    try:
        value.encode()
    except UnicodeEncodeError:
        raise DwnInvalid("shape", "a lone surrogate is not text") from None


def _number(value: int | float) -> int | float:
    if isinstance(value, int):
        return value if -_MAX_SAFE <= value <= _MAX_SAFE else _as_float(value)
    if not math.isfinite(value):
        raise DwnInvalid("shape", "JSON has no NaN or infinity")
    return int(value) if value.is_integer() and abs(value) <= _MAX_SAFE else value


def _as_float(value: int) -> float:
    try:
        return float(value)
    except OverflowError:
        raise DwnInvalid("shape", "a number that no double can hold") from None


def timestamp(us: int) -> str:
    """Write microseconds since 1970 (UTC) as DWNs do: always six fraction digits.

    >>> timestamp(1_700_000_000_123_456)
    '2023-11-14T22:13:20.123456Z'
    """
    moment = _EPOCH + timedelta(microseconds=us)
    return moment.strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def timestamp_us(text: object) -> int:
    """Read a DWN timestamp to microseconds since 1970; a leap second counts as the next second.

    >>> timestamp_us("1970-01-01T00:00:01.000002Z")
    1000002
    """
    found = _TIMESTAMP.fullmatch(text) if isinstance(text, str) else None
    if found is None:
        raise DwnInvalid("timestamp", "a timestamp is yyyy-mm-ddThh:mm:ss.ffffffZ in UTC")
    try:
        minute = datetime.fromisoformat(found[1] + "00+00:00")
    except ValueError as error:
        raise DwnInvalid("timestamp", str(error)) from None
    whole = round((minute - _EPOCH).total_seconds()) + int(found[2])
    return whole * 1_000_000 + int(found[3])
