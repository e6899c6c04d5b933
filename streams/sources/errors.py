"""The one error of sources: what went wrong, and what to do about it."""

from __future__ import annotations


class SourceError(Exception):
    """A source cannot go on. ``cause`` says what it met, ``remedy`` what the operator can do."""

    def __init__(self, cause: str, remedy: str) -> None:
        super().__init__(f"{cause}; {remedy}")
        self.cause = cause
        self.remedy = remedy


def unreadable(problem: object) -> SourceError:
    """What a source stored of itself is not what it would store: somebody else wrote it."""
    cause = f"the source's own state cannot be read: {problem}"
    return SourceError(cause, "start it under another --name")
