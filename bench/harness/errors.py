"""What can go wrong in a bench; the message names cause and remedy."""

from __future__ import annotations


class BenchError(RuntimeError):
    """A bench cannot be run here, or a contender failed."""

    def __init__(self, cause: str, remedy: str) -> None:
        super().__init__(f"{cause}: {remedy}")
        self.cause, self.remedy = cause, remedy


class WrongResult(BenchError):
    """A contender's output is not the one that the input asks for, so it has no rate."""
