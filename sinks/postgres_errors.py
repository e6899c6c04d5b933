"""What PostgreSQL's errors mean for a driver: try again, leave a record out, or stop."""

from __future__ import annotations

import ssl
from collections.abc import Iterable
from typing import Any

from sinks.base import Permanent, Retryable, SinkError
from sinks.drivers import need
from sinks.secrets import hidden

PASSING = ("08", "40", "53", "57", "58", "55P03", "55006", "25006", "25P03", "42P01", "42703")
"""States that pass: connection, conflict, resources, an operator, the disk, a lock, a standby, a
table that changed under a batch (the next attempt looks at it anew)."""

OF_A_ROW = ("22", "23", "54", "P0001")
"""States that one row may have caused: its data, a constraint, a limit, a trigger."""

MOST_WORDS = 500
"""Characters of the server's own words: they may quote a whole row."""

_REMEDIES = {
    "08": "see that the server runs and can be reached",
    "28": "correct user or password: PGPASSWORD, a pass file, or the setting `password`",
    "3D": "create the database, or correct the end of the setting `uri`",
    "42501": "grant the user the right, or let its owner create schema and tables once",
    "42P10": "the table has no unique index on event_id: rename it, or name another schema",
    "53300": "raise max_connections, or close other clients",
    "53100": "free the server's disk",
    "55P03": "see who holds the lock: select * from pg_locks where granted; or raise the setting "
    "`lock_timeout_ms`",
    "57014": "see what slows the server: pg_stat_activity; or raise `statement_timeout_ms`",
    "25006": "wait for the fail-over, or name the primary server",
    "40": "nothing to do: the batch is written again",
}


def driver() -> Any:
    """Return asyncpg; raises MissingDriver."""
    return need("asyncpg", extra="postgres")


def families() -> tuple[type[BaseException], ...]:
    """Return the classes of everything that asyncpg raises by design."""
    known = driver()
    return (
        known.PostgresError,
        known.InterfaceError,
        known.exceptions.InternalClientError,
        OSError,
        TimeoutError,
    )


def may_be_a_row(error: BaseException) -> bool:
    """Whether another batch, without some row, could succeed."""
    return _state(error).startswith(OF_A_ROW) or _is_misuse(error)


def typed(error: BaseException, place: str, secrets: Iterable[str]) -> SinkError:
    """Return the error that a driver acts on; ``place`` is the server, as messages name it."""
    state = _state(error)
    words = hidden(_words(error), secrets)
    if state:
        kind = Retryable if state.startswith(PASSING) else Permanent
        return kind(f"{place} answers {state}: {words}", _remedy(state))
    if isinstance(error, ssl.SSLError) or "rejected SSL" in words or _is_misuse(error):
        return Permanent(f"{place} cannot be used so: {words}", "correct `uri` and its sslmode")
    return Retryable(f"{place} cannot be reached: {words}", _REMEDIES["08"])


def _is_misuse(error: BaseException) -> bool:
    """Whether asyncpg itself refuses a setting or a value, without a word of the server."""
    return isinstance(error, driver().InterfaceError) and isinstance(error, ValueError)


def _state(error: BaseException) -> str:
    return getattr(error, "sqlstate", None) or ""


def _words(error: BaseException) -> str:
    parts = [str(error), *(getattr(error, name, None) or "" for name in ("detail", "table_name"))]
    text = "; ".join(dict.fromkeys(" ".join(part.split()) for part in parts if part))
    return text[:MOST_WORDS] or type(error).__name__


def _remedy(state: str) -> str:
    for length in (5, 2):
        if state[:length] in _REMEDIES:
            return _REMEDIES[state[:length]]
    if state.startswith(PASSING):
        return _REMEDIES["08"]
    return "correct the table or the data; nothing of the batch was stored"
