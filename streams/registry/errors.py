"""What can go wrong with a schema registry: one line of cause, one of remedy."""

from __future__ import annotations


class RegistryError(RuntimeError):
    """The registry cannot give the ids; ``cause`` and ``remedy`` are one line each."""

    def __init__(self, cause: str, remedy: str) -> None:
        super().__init__(f"{cause}: {remedy}")
        self.cause, self.remedy = cause, remedy


class RegistryAway(RegistryError):
    """Nobody answers, or the server is in trouble: what it said before still holds."""


class Incompatible(RegistryError):
    """The registry's compatibility rule refuses a schema."""
