"""Memory: rows in dictionaries, for tests and notebooks; the shortest correct sink."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import msgspec

from sinks.base import Positions, SinkRecord, by_topic, check_topic, ends, newest


class MemoryConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The memory sink has no settings."""


class MemorySink:
    """Keeps the newest record of each event id. Upsert key: ``event_id``, then ``version``.

    >>> from schemas.envelope import Event
    >>> sink = MemorySink()
    >>> sink.write([SinkRecord("t", 0, 7, Event("a", "k", 0, "assert", 1))])
    >>> sink.live("t"), sink.positions()
    ({'a': 1}, {('t', 0): 8})
    """

    Config: ClassVar = MemoryConfig
    summary: ClassVar[str] = "Rows in memory, gone with the process."

    def __init__(self, config: MemoryConfig | None = None) -> None:
        self.rows: dict[str, dict[str, SinkRecord]] = {}
        """Newest record by topic and event id; a retract is a tombstone."""
        self._positions: dict[tuple[str, int], int] = {}

    def write(self, records: Sequence[SinkRecord]) -> None:
        """Keep what is above the version of the row that is held."""
        topics = {check_topic(topic): rows for topic, rows in by_topic(records).items()}
        for topic, rows in topics.items():
            held = self.rows.setdefault(topic, {})
            for record in newest(rows).values():
                known = held.get(record.event.id)
                if known is None or record.offset > known.offset:
                    held[record.event.id] = record
        for place, offset in ends(records).items():
            self._positions[place] = max(self._positions.get(place, 0), offset)

    def flush(self) -> None:
        """Do nothing: there is nothing more durable than memory here."""

    def close(self) -> None:
        """Do nothing; the rows stay readable."""

    def positions(self) -> Positions:
        """Return the next offset by (topic, partition) of what was written."""
        return dict(self._positions)

    def live(self, topic: str) -> dict[str, Any]:
        """Return the net set of a topic: the value of each live id."""
        held = self.rows.get(topic, {})
        return {id: r.event.value for id, r in held.items() if r.event.op == "assert"}
