"""What can go wrong with a DWN server, by what the caller can do about it."""

from __future__ import annotations

from typing import Any


class DwnError(Exception):
    """Base of the client's errors."""


class DwnRefused(DwnError):
    """The server understood and said no: trying the same again will not help.

    ``status`` is the DWN status (400 bad message, 401 not authorised, 404 absent, 409 older than
    what it has, 413 or 431 too large) or the JSON-RPC error code; ``reply`` is the whole reply.
    """

    def __init__(self, status: int, detail: str, reply: dict[str, Any] | None = None) -> None:
        super().__init__(f"the DWN refused ({status}): {detail}")
        self.status, self.detail, self.reply = status, detail, reply or {}


class DwnUnavailable(DwnError):
    """No usable answer: unreachable, timed out, broken off or failed inside; may be tried again."""


class DwnGarbled(DwnUnavailable):
    """An answer that is not what the protocol says; from a server that nobody has to trust."""
