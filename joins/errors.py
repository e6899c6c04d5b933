"""Errors of this package."""

from __future__ import annotations


class JoinError(ValueError):
    """A join is declared, or fed, in a way that has no meaning; the message names the remedy."""
