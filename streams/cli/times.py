"""Times on the command line: so long ago, or a moment."""

from __future__ import annotations

import re
import time
from datetime import UTC, datetime

from streams.cli.errors import UserError

_AGO = re.compile(r"(\d{1,9})(ms|s|m|h|d)")
_UNIT_MS = {"ms": 1, "s": 1000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}


def moment_ms(text: str | None, now_ms: int | None = None) -> int | None:
    """Milliseconds since 1970 of ``90s``, ``15m``, ``2h``, ``3d`` (ago), or of an ISO 8601 time.

    A time without a zone is UTC. Raises UserError.

    >>> moment_ms("15m", now_ms=1_000_000)
    100000
    >>> moment_ms("1970-01-01T00:01Z")
    60000
    """
    if text is None:
        return None
    ago = _AGO.fullmatch(text)
    if ago is not None:
        now = time.time_ns() // 1_000_000 if now_ms is None else now_ms
        return max(0, now - int(ago[1]) * _UNIT_MS[ago[2]])
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        raise UserError(
            f"{text!r} is not a time", "write 15m, 2h or 3d (ago), or 2026-05-26T10:20:00Z"
        ) from None
    return round((found if found.tzinfo else found.replace(tzinfo=UTC)).timestamp() * 1000)
