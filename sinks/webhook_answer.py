"""What a receiver's answer means: taken, try again, leave the event out, or stop."""

from __future__ import annotations

from datetime import UTC
from email.utils import parsedate_to_datetime

from sinks.base import Permanent, Retryable, SinkError

PASSING = frozenset({408, 425, 429, *range(500, 600)})
"""Statuses that may be others later."""
LONGEST_WAIT_SECONDS = 3600.0
"""A receiver that asks for more is asked again after this."""
SHOWN = 200
"""Bytes of an answer that a message shows."""


class Later(Retryable):
    """Try again, not before so many seconds have passed."""

    def __init__(self, cause: str, remedy: str, seconds: float = 0.0) -> None:
        super().__init__(cause, remedy)
        self.seconds = seconds


def judged(
    place: str, status: int, body: bytes, stop_on: frozenset[int], wait: str | None, now_s: float
) -> SinkError | None:
    """Return None for an event that was taken, else the error that a driver acts on.

    A refused event is a Permanent whose ``record`` the caller adds.
    """
    if 200 <= status < 300:
        return None
    cause = f"{place} answers {status}: {_shown(body)}"
    if status in PASSING:
        return Later(cause, "see why the receiver cannot take events now", after(wait, now_s))
    if 300 <= status < 400:
        return Stop(cause, "name the address that it moved to: redirects are not followed")
    if status in stop_on:
        return Stop(cause, "correct `url`, or what the receiver allows; nothing is lost meanwhile")
    return Permanent(cause, "see what the receiver has against this event")


class Stop(Permanent):
    """No event would be taken: address or credentials are wrong."""


def after(header: str | None, now_s: float) -> float:
    """Return the seconds that a ``Retry-After`` header asks for: a number, or an HTTP date.

    >>> after("12", 0), after("Thu, 01 Jan 1970 00:01:00 GMT", 50), after("soon", 0), after(None, 0)
    (12.0, 10.0, 0.0, 0.0)
    """
    if header is None:
        return 0.0
    if header.strip().isdecimal() and header.isascii():
        return min(float(header), LONGEST_WAIT_SECONDS)
    try:
        at = parsedate_to_datetime(header)
    except (ValueError, TypeError):
        return 0.0
    seconds = at.replace(tzinfo=at.tzinfo or UTC).timestamp() - now_s
    return min(max(seconds, 0.0), LONGEST_WAIT_SECONDS)


def statuses(text: str) -> frozenset[int]:
    """Return the statuses of a setting such as ``401,403``; raises Permanent for other text."""
    parts = [part.strip() for part in text.split(",") if part.strip()]
    if not all(part.isascii() and part.isdigit() and 400 <= int(part) < 500 for part in parts):
        raise Permanent(f"stop_on is {text!r}", "write statuses from 400 to 499, such as 401,403")
    return frozenset(map(int, parts))


def _shown(body: bytes) -> str:
    text = " ".join(body[:SHOWN].decode(errors="replace").split())
    return "".join(c for c in text if c.isprintable()) or "nothing more"
