"""The chain's tips beside a consumer: ``bitcoin.tip`` from its beginning, outside of any group."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

from schemas.envelope import Event
from schemas.events import Tip
from schemas.wire import Codec
from streams import topics
from streams.client.decode import is_control, read_message
from streams.client.errors import TimedOut
from streams.client.fetch import Fetch
from streams.client.options import LOG, Settings
from streams.client.records import Record
from streams.client.settle import Settler

PLACE = (topics.tip.name, 0)
"""Every partition holds every tip."""
SLICE_SECONDS = 0.1


class Tips:
    """Reads tips as they come."""

    def __init__(self, settings: Settings, codec: Codec, settler: Settler[Any]) -> None:
        self.codec, self.settler, self.timeout = codec, settler, settings.timeout
        self.fetch = Fetch(settings.bootstrap, settings.kafka, None, settings.timeout)

    def open(self) -> None:
        """Read all tips that there are now; raises NoTopic, Unavailable or TimedOut.

        Before the first fact: so a fact of a block that was undone long ago is never seen.
        """
        self.fetch.partitions(PLACE[0])
        self.fetch.measure_ends([PLACE])
        self.fetch.assign({PLACE: 0})
        while not self.fetch.at_end:
            event = self._next(SLICE_SECONDS)
            if event is not None:
                self.settler.tip(event)
            elif time.monotonic() - self.fetch.moved_at > self.timeout:
                raise TimedOut(
                    f"{self.fetch.behind()[0]} for {self.timeout} s",
                    "a transaction is open there: see that the worker runs, or raise timeout=",
                )
        self.fetch.ends.clear()

    def poll(self) -> Sequence[Record[Any]]:
        """The changes that the next tip makes, if there is one."""
        event = self._next(0.0)
        return () if event is None else self.settler.tip(event)

    def _next(self, seconds: float) -> Event | None:
        message = self.fetch.poll(seconds)
        if message is None or is_control(message):
            return None
        read = read_message(message, self.codec)
        if read.event is None or not isinstance(read.event.value, Tip):
            LOG.warning("%s/%s/%s is no tip: %s", *PLACE, read.offset, read.error)
            return None
        return read.event

    def close(self) -> None:
        """Leave the broker."""
        self.fetch.close()
