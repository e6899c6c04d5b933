"""How far event time has gone in what was read, from control records (SEMANTICS 2)."""

from __future__ import annotations

from typing import Any

from confluent_kafka import Message

from joins.clock import NEG_INF
from schemas.errors import BadHeaders
from streams.client.options import LOG
from streams.client.start import Place
from streams.engine.writers import Declared, spoken


class Watermarks:
    """What writers have declared, partition by partition, as far as it was read."""

    def __init__(self) -> None:
        self._declared: dict[Place, Declared] = {}

    def take(self, place: Place, message: Message) -> None:
        """Take a control record over; one that makes no sense is logged."""
        headers: Any = message.headers()
        try:
            said = spoken(headers)
            self._declared.setdefault(place, Declared()).declare(*said)
        except BadHeaders as error:
            LOG.warning("control record %s/%s/%s: %s", *place, message.offset(), error)

    def drop(self, place: Place) -> None:
        """Forget a partition."""
        self._declared.pop(place, None)

    def of(self, places: list[Place]) -> int | None:
        """The least of these partitions (ms), None where one has declared nothing.

        Partitions whose writers are all idle hold nothing back.
        """
        if not places or any(place not in self._declared for place in places):
            return None
        found = [self._declared[place].watermark() for place in places]
        least = min((ts for ts in found if ts is not None), default=None)
        return None if least is None or least <= NEG_INF else least
