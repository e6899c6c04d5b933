"""What a task's state says to the changelog."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

from joins.state import Key


class Timed(NamedTuple):
    """A value on the changelog with the event time (ms) that its entry is due at."""

    value: Any
    due: int


class Changes(NamedTuple):
    """What changed in one table, for the changelog."""

    path: Key
    """What stands in front of each key."""
    entries: list[tuple[Any, Any, int | None]]
    """Keys with their value, None where deleted, and when they are due (ms)."""
    bodies: list[bytes | None] | None = None
    """Where there is a list, the encoder leaves the content of each entry in it as written."""

    def places(self) -> Iterator[Key]:
        """The keys as the changelog has them."""
        for key, _, _ in self.entries:
            yield (*self.path, *key)
