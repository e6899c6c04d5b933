"""What a hop of ours writes: an event type of the bench's own, as any user makes one."""

from __future__ import annotations

from schemas.events import Value
from streams import event_type


class Count(Value, frozen=True):
    """How many records of its key there have been, this one included."""

    key: str
    count: int


COUNT = event_type("bench.count.v1", Count, key=lambda value: value.key)
