"""Live ids of a task's source topics: a repeated fact has no second effect (SEMANTICS 1).

One entry an id (a digest of the value, not the value), due at its event time, so that ids are
forgotten once no correction of them can be accepted any more.
"""

from __future__ import annotations

from hashlib import blake2b

from joins.state import Store
from schemas.envelope import Event

_NEVER, _ONCE = b"\0", b"\1"
"""Whether a retract of the id has ever had an effect; the digest of the live value follows."""


class Intake:
    """Which ids of the source topics are live, and with what content."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def effect(self, topic: str, event: Event, value: bytes | None) -> bool:
        """Record the event, whose value has these bytes; False when it changes nothing.

        An assert of a live id with another value has an effect: the step that reads the topic
        keeps its live events by id and replaces the old one.
        """
        place = ("live", topic, event.id)
        known: bytes = self._store.get(place) or b""
        live = known[1:]
        after = b"" if event.op == "retract" else blake2b(value or b"", digest_size=16).digest()
        if live == after:
            return False
        mark = _ONCE if live else known[:1] or _NEVER  # another value is a retract and an assert
        self._store.put(place, mark + after, event.ts)
        return True

    def was_retracted(self, topic: str, event_id: str) -> bool:
        """Whether a retract of this id has had an effect."""
        known: bytes = self._store.get(("live", topic, event_id)) or b""
        return known[:1] == _ONCE

    def expire(self, before: int) -> None:
        """Forget the ids whose event time is below ``before``."""
        self._store.expire("live", before)
