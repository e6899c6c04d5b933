"""What a source hands on: events, how far its event time is declared, and where it stands."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from schemas.envelope import Event


class SourceBatch(NamedTuple):
    """Events to be written together with the source's new position."""

    events: list[Event]
    watermark_ts: int | None
    """No event below this ts (ms) will follow, corrections excepted; None: nothing declared yet."""
    cursor: dict[str, Any]
    """Plain data from which the source can go on."""
    kept: Mapping[str, bytes | None] = {}
    """What the batch changes of the state that is kept by key; None: forget it."""
