"""The net set of events: what is live (SEMANTICS 5)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from schemas.envelope import Event

if TYPE_CHECKING:
    from streams.client.decode import Read


def fold(reads: list[Read]) -> dict[str, Any]:
    """The net set of what was read: id to value of what is live (SEMANTICS 5)."""
    return net_set(read.event for read in reads if read.event is not None)


def net_set(events: Iterable[Event]) -> dict[str, Any]:
    """The net set of events in their order: id to value of what is live (SEMANTICS 5)."""
    live: dict[str, Any] = {}
    for event in events:
        if event.op == "assert":
            live[event.id] = event.value
        else:
            live.pop(event.id, None)
    return live
